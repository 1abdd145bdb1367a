// SPDX-License-Identifier: Apache-2.0
#ifndef CORE_CORE_H
#define CORE_CORE_H

// Readers of core files: each fills a view that has its source file set.

#include "elf/elf_image.h"
#include "view/build.h"
#include "view/process_memory.h"
#include "view/view.h"

/** Fills `view` from an ELF core. Errors: FORMAT (not a core), NO_MEMORY. */
struct strobe_error *elf_core_read(struct strobe_view *view) STROBE_MUST_CHECK;
/** Reads the notes of one PT_NOTE; `file_offset` names places in warnings. */
struct strobe_error *notes_read(struct strobe_view *view, const uint8_t *data, uint64_t size,
				uint64_t align, uint64_t file_offset) STROBE_MUST_CHECK;

/** Reads one note of Strobe's own. */
struct strobe_error *strobe_note_read(struct strobe_view *view, const struct elf_note *note,
				      uint64_t file_offset) STROBE_MUST_CHECK;
/** What follows from all of Strobe's notes together; after the last note and PT_LOAD. */
struct strobe_error *strobe_notes_conclude(struct strobe_view *view) STROBE_MUST_CHECK;

/** packed.c: sets source_size and, for seekable zstd files, packed. Errors: FORMAT, LIMIT. */
struct strobe_error *packed_open(struct strobe_view *view) STROBE_MUST_CHECK;
/** packed.c: up to `*size` bytes of the source from `offset` on, unpacked, borrowed from the view.
 *  `*size` becomes how many there are; NULL if none. Only out-of-memory is an error. */
struct strobe_error *source_bytes(struct strobe_view *view, uint64_t offset, uint64_t *size,
				  const uint8_t **ret) STROBE_MUST_CHECK;
/** packed.c: decodes the ELF header; `*why` = NULL, or why it is none. `*storage` is to be freed
 *  after `image`. Only out-of-memory is an error. */
struct strobe_error *source_headers(struct strobe_view *view, struct elf_image *image,
				    const char **why, uint8_t **storage) STROBE_MUST_CHECK;

/** Snapshots being opened, each for the sake of the one that builds on it. */
struct core_chain {
	const struct core_chain *child; // NULL: the one that was asked for
	const uint8_t *id;		// STROBE_ID_SIZE bytes
	const uint8_t *parent_id;	// of the one that is to be opened next
};
/** open.c: opens the file at `path` as the parent in `chain`. */
struct strobe_error *core_open_link(const char *path, const struct core_chain *chain,
				    const struct strobe_view_options *options,
				    struct strobe_view **ret) STROBE_MUST_CHECK;
/** parents.c: is it the one that `chain` wants? Errors: FORMAT. */
struct strobe_error *parent_check(const struct strobe_view *view, const struct core_chain *chain)
	STROBE_MUST_CHECK;
/** parents.c: after its notes are read: opens what `view` builds on, for the ranges that are there;
 *  `child` opened it (NULL: nobody did). What is missing is a warning. */
struct strobe_error *parent_open(struct strobe_view *view, const struct core_chain *child,
				 const struct strobe_view_options *options) STROBE_MUST_CHECK;

/** embedded.c: lets the view's files be found among those that the source carries. */
struct strobe_error *embedded_offer(struct strobe_view *view) STROBE_MUST_CHECK;

/** True if `file` begins as a minidump does. */
bool minidump_is(const struct file *file);
/** Fills `view` from a minidump of Breakpad, Crashpad or LLDB. Errors: FORMAT, NO_MEMORY. */
struct strobe_error *minidump_read(struct strobe_view *view) STROBE_MUST_CHECK;
/** notes.c: auxiliary vector, as the kernel lays it out. */
struct strobe_error *auxv_read(struct strobe_view *view, const uint8_t *data, uint64_t size)
	STROBE_MUST_CHECK;

/** Opens the core file or minidump at `path`. `options` may be NULL. */
struct strobe_error *core_open_file(const char *path, const struct strobe_view_options *options,
				    struct strobe_view **ret) STROBE_MUST_CHECK;
/**
 * Opens the ELF core that `fd` holds (a memfd: an image of a process that the caller froze) under
 * the name `label`. `fd` stays the caller's, who may close it at once.
 */
struct strobe_error *core_open_image(int fd, const char *label,
				     const struct strobe_view_options *options,
				     struct strobe_view **ret) STROBE_MUST_CHECK;
/** The same where the process that holds the rest is known by `files`, which stay the
 *  caller's, too. */
struct strobe_error *core_open_frozen(int fd, const struct process_files *files, const char *label,
				      const struct strobe_view_options *options,
				      struct strobe_view **ret) STROBE_MUST_CHECK;

#endif
