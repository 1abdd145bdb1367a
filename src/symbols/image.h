// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_IMAGE_H
#define SYMBOLS_IMAGE_H

// ELF images made in memory: of a module that only the view's memory holds, and of the parts of a
// .dwp file that belong to one unit.

#include <stddef.h>
#include <stdint.h>
#include <strobe/view.h>
#include <libelf.h>

#include "symbols/sections.h"

struct file;

/** Named limits. */
enum { IMAGE_SIZE_LIMIT = 256 << 20, IMAGE_PROGRAM_HEADER_LIMIT = 4096 };

/**
 * The ELF file mapped at `module`, put together from its loaded segments; what the view does not
 * hold reads as zero. NULL if there is no readable ELF header. Release with image_free().
 */
void *image_from_memory(const struct strobe_view *view, const struct strobe_module *module,
			size_t *size);
/**
 * An ELF file with the given .debug_*.dwo sections of `elf`, for libdw. Large parts that are not
 * compressed in `file` are mapped again and not copied. NULL when memory is short.
 */
void *image_of_sections(const struct section_bytes parts[SECTION_COUNT], Elf *elf,
			const struct file *file, size_t *size);
void image_free(void *image, size_t size);

/** libelf's own mapping of `file`, which must outlive it; NULL if it is no ELF file. */
Elf *image_open_elf(const struct file *file);
void image_close_elf(Elf *elf);

#endif
