// SPDX-License-Identifier: Apache-2.0
#ifndef ELF_ELF_IMAGE_H
#define ELF_ELF_IMAGE_H

// Bounds-checked reading of ELF headers from bytes in memory, for what must be fast or must
// survive damage. 32-bit files are widened; only little-endian ones are read.

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** An ELF file's bytes with its header decoded. Borrows the bytes. */
struct elf_image {
	const uint8_t *data;
	uint64_t size;
	bool wide; // ELFCLASS64
	Elf64_Ehdr header;
	uint32_t segment_count; // e_phnum, or what section 0 says for PN_XNUM
	bool segment_count_cut; // more were announced than the file can hold
};

/** Reads an unsigned little-endian number of 1 to 8 bytes. */
static inline uint64_t elf_number(const uint8_t *bytes, unsigned size)
{
	uint64_t value = 0;
	for (unsigned i = size; i-- > 0;)
		value = value << 8 | bytes[i];
	return value;
}

/** False if `data` is no ELF file that can be read; `*why` (static) then says so in a few words. */
bool elf_image_init(struct elf_image *image, const uint8_t *data, uint64_t size, const char **why);
/** Program header `index`; false past the end of the table or the file. */
bool elf_image_segment(const struct elf_image *image, uint32_t index, Elf64_Phdr *ret);
/** Section header `index`; false past the end of the table or the file. */
bool elf_image_section(const struct elf_image *image, uint32_t index, Elf64_Shdr *ret);
/** The contents of the first section called `name`; false if there is none in the file. */
bool elf_image_section_by_name(const struct elf_image *image, const char *name,
			       const uint8_t **bytes, uint64_t *size);
/** Decodes one program header of 32 or 56 bytes. */
void elf_segment_decode(bool wide, const uint8_t *bytes, Elf64_Phdr *ret);
/** "x86_64", "aarch64", ...; NULL for a machine without a name here. */
const char *elf_machine_name(unsigned machine);
/** "EXEC", "DYN", ...: the name of an e_type; "of unknown type" for others. */
const char *elf_type_name(unsigned type);

/** One note. Borrows its bytes. */
struct elf_note {
	uint32_t type;
	const char *name; // name_size bytes, usually with a NUL
	uint32_t name_size;
	const uint8_t *data;
	uint32_t size;
	uint64_t offset; // of its header within the walked bytes
};

/** Position in a run of notes. Set data, size and align (4 or 8); the rest zero. */
struct elf_note_walk {
	const uint8_t *data;
	uint64_t size;
	uint64_t align;
	uint64_t position;
	bool damaged; // set when a note does not fit: the walk ended at `position`
};
/** The next note; false at the end, or at damage. */
bool elf_note_next(struct elf_note_walk *walk, struct elf_note *ret);
/** True if the note's name is `name`. */
bool elf_note_is(const struct elf_note *note, const char *name);

enum { ELF_BUILD_ID_TEXT = 2 * 64 + 1 }; // longer ids are not believed

/** Finds a build id among notes, as lower-case hex in `text`; false if there is none. */
bool elf_notes_build_id(const uint8_t *data, uint64_t size, uint64_t align,
			char text[ELF_BUILD_ID_TEXT]);
/** The build id of a file: from its program headers, else its sections. */
bool elf_image_build_id(const struct elf_image *image, char text[ELF_BUILD_ID_TEXT]);

#endif
