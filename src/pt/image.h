// SPDX-License-Identifier: Apache-2.0
#ifndef PT_IMAGE_H
#define PT_IMAGE_H

// The code that a trace ran through, as libipt wants it: sections of files. What no file has (a snapshot's own
// pages, code made at run time) is copied into a file in memory. It does not change once made, and
// several decoders read it at the same time.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/view.h>

#include "base/array.h"

struct file;
struct pt_image;
struct pt_image_section_cache;

/** [start, start + size) of the traced memory. */
struct image_section {
	uint64_t start, size;
	const uint8_t *data; // mapped
	int id;		     // in libipt's cache
	int fd;
	uint64_t offset; // in the file
};

/**
 * Invariants: sections are sorted by start, do not overlap, and none is empty. `copy` is -1, or the
 * descriptor of the file in memory, of which copy_data maps copy_size bytes.
 */
struct image {
	ARRAY(struct image_section) sections;
	struct pt_image_section_cache *cache;
	ARRAY(struct file *) files; // what image_add_file() opened
	int copy;
	const uint8_t *copy_data;
	uint64_t copy_size;
};

/** All executable mappings of `view`. Errors: out of memory, SYSTEM. */
struct strobe_error *image_init(struct image *image, const struct strobe_view *view)
	STROBE_MUST_CHECK;
/** `size` bytes of a file, from `offset` on, were at `start` at some time. `*ret_added` is false where there is other
 *  code, or no such file. */
struct strobe_error *image_add_file(struct image *image, const char *path, uint64_t offset,
				    uint64_t start, uint64_t size, bool *ret_added)
	STROBE_MUST_CHECK;
void image_fini(struct image *image);
/** The same for a decoder, which frees it with pt_image_free() before image_fini(). */
struct strobe_error *image_for_decoder(const struct image *image, struct pt_image **ret)
	STROBE_MUST_CHECK;
/** Copies code; returns how many bytes there are, up to `size`. A code_read of code/code_map.h. */
size_t image_read(void *image, uint64_t address, void *buffer, size_t size);

#endif
