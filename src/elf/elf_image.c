// SPDX-License-Identifier: Apache-2.0
#include "elf/elf_image.h"

#include <string.h>

static bool inside(const struct elf_image *image, uint64_t offset, uint64_t size)
{
	return offset <= image->size && size <= image->size - offset;
}

void elf_segment_decode(bool wide, const uint8_t *bytes, Elf64_Phdr *ret)
{
	if (wide) {
		memcpy(ret, bytes, sizeof(*ret));
		return;
	}
	Elf32_Phdr narrow;
	memcpy(&narrow, bytes, sizeof(narrow));
	*ret = (Elf64_Phdr){
		.p_type = narrow.p_type,
		.p_flags = narrow.p_flags,
		.p_offset = narrow.p_offset,
		.p_vaddr = narrow.p_vaddr,
		.p_paddr = narrow.p_paddr,
		.p_filesz = narrow.p_filesz,
		.p_memsz = narrow.p_memsz,
		.p_align = narrow.p_align,
	};
}

static void decode_header(struct elf_image *image)
{
	if (image->wide) {
		memcpy(&image->header, image->data, sizeof(image->header));
		return;
	}
	Elf32_Ehdr narrow;
	memcpy(&narrow, image->data, sizeof(narrow));
	memcpy(image->header.e_ident, narrow.e_ident, EI_NIDENT);
	image->header.e_type = narrow.e_type;
	image->header.e_machine = narrow.e_machine;
	image->header.e_entry = narrow.e_entry;
	image->header.e_phoff = narrow.e_phoff;
	image->header.e_shoff = narrow.e_shoff;
	image->header.e_phentsize = narrow.e_phentsize;
	image->header.e_phnum = narrow.e_phnum;
	image->header.e_shentsize = narrow.e_shentsize;
	image->header.e_shnum = narrow.e_shnum;
	image->header.e_shstrndx = narrow.e_shstrndx;
}

static void count_segments(struct elf_image *image)
{
	uint64_t entry = image->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	image->segment_count = image->header.e_phnum;
	// ELF gABI: 65,535 or more program headers are counted in sh_info of section 0.
	Elf64_Shdr first;
	if (image->header.e_phnum == PN_XNUM && elf_image_section(image, 0, &first))
		image->segment_count = first.sh_info;
	uint64_t room = image->header.e_phoff < image->size
				? (image->size - image->header.e_phoff) / entry
				: 0;
	if (image->segment_count > room) {
		image->segment_count = (uint32_t)room;
		image->segment_count_cut = true;
	}
}

bool elf_image_init(struct elf_image *image, const uint8_t *data, uint64_t size, const char **why)
{
	*image = (struct elf_image){.data = data, .size = size};
	if (size < EI_NIDENT || memcmp(data, ELFMAG, SELFMAG) != 0) {
		*why = "not an ELF file";
		return false;
	}
	if (data[EI_DATA] != ELFDATA2LSB) {
		*why = "an ELF file that is not little-endian";
		return false;
	}
	if (data[EI_CLASS] != ELFCLASS64 && data[EI_CLASS] != ELFCLASS32) {
		*why = "an ELF file of unknown class";
		return false;
	}
	image->wide = data[EI_CLASS] == ELFCLASS64;
	if (size < (image->wide ? sizeof(Elf64_Ehdr) : sizeof(Elf32_Ehdr))) {
		*why = "cut off within its ELF header";
		return false;
	}
	decode_header(image);
	count_segments(image);
	return true;
}

bool elf_image_segment(const struct elf_image *image, uint32_t index, Elf64_Phdr *ret)
{
	uint64_t entry = image->wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	if (index >= image->segment_count)
		return false; // count_segments() made sure that the others fit
	elf_segment_decode(image->wide, image->data + image->header.e_phoff + index * entry, ret);
	return true;
}

bool elf_image_section(const struct elf_image *image, uint32_t index, Elf64_Shdr *ret)
{
	uint64_t entry = image->wide ? sizeof(Elf64_Shdr) : sizeof(Elf32_Shdr);
	uint64_t count = image->header.e_shnum;
	if (!image->header.e_shoff || (index >= count && index != 0))
		return false;
	if (image->header.e_shoff > image->size ||
	    !inside(image, image->header.e_shoff + index * entry, entry))
		return false;
	const uint8_t *bytes = image->data + image->header.e_shoff + index * entry;
	if (image->wide) {
		memcpy(ret, bytes, sizeof(*ret));
		return true;
	}
	Elf32_Shdr narrow;
	memcpy(&narrow, bytes, sizeof(narrow));
	*ret = (Elf64_Shdr){
		.sh_name = narrow.sh_name,
		.sh_type = narrow.sh_type,
		.sh_flags = narrow.sh_flags,
		.sh_addr = narrow.sh_addr,
		.sh_offset = narrow.sh_offset,
		.sh_size = narrow.sh_size,
		.sh_link = narrow.sh_link,
		.sh_info = narrow.sh_info,
		.sh_addralign = narrow.sh_addralign,
		.sh_entsize = narrow.sh_entsize,
	};
	return true;
}

bool elf_image_section_by_name(const struct elf_image *image, const char *name,
			       const uint8_t **bytes, uint64_t *size)
{
	Elf64_Shdr strings, section;
	if (!elf_image_section(image, image->header.e_shstrndx, &strings) ||
	    !inside(image, strings.sh_offset, strings.sh_size))
		return false;
	size_t length = strlen(name) + 1;
	for (uint32_t i = 1; i < image->header.e_shnum; i++) {
		if (!elf_image_section(image, i, &section))
			return false;
		if (section.sh_type == SHT_NOBITS || section.sh_name >= strings.sh_size ||
		    strings.sh_size - section.sh_name < length ||
		    memcmp(image->data + strings.sh_offset + section.sh_name, name, length) != 0)
			continue;
		if (!inside(image, section.sh_offset, section.sh_size))
			return false;
		*bytes = image->data + section.sh_offset;
		*size = section.sh_size;
		return true;
	}
	return false;
}

const char *elf_machine_name(unsigned machine)
{
	switch (machine) {
	case EM_X86_64:
		return "x86_64";
	case EM_386:
		return "i386";
	case EM_AARCH64:
		return "aarch64";
	case EM_ARM:
		return "arm";
	case EM_RISCV:
		return "riscv";
	case EM_PPC64:
		return "ppc64le";
	case EM_LOONGARCH:
		return "loongarch";
	case EM_MIPS:
		return "mips";
	default:
		return NULL;
	}
}

const char *elf_type_name(unsigned type)
{
	switch (type) {
	case ET_REL:
		return "REL";
	case ET_EXEC:
		return "EXEC";
	case ET_DYN:
		return "DYN";
	case ET_CORE:
		return "CORE";
	default:
		return "of unknown type";
	}
}

bool elf_note_next(struct elf_note_walk *walk, struct elf_note *ret)
{
	uint64_t mask = walk->align == 8 ? 7 : 3;
	uint64_t left = walk->position < walk->size ? walk->size - walk->position : 0;
	if (left < sizeof(Elf64_Nhdr)) {
		walk->damaged |= left != 0;
		return false;
	}
	Elf64_Nhdr header;
	const uint8_t *start = walk->data + walk->position;
	memcpy(&header, start, sizeof(header));
	uint64_t data_at = (sizeof(header) + (uint64_t)header.n_namesz + mask) & ~mask;
	uint64_t end = data_at + header.n_descsz;
	if (data_at > left || end > left) {
		walk->damaged = true;
		return false;
	}
	*ret = (struct elf_note){
		.type = header.n_type,
		.name = (const char *)start + sizeof(header),
		.name_size = header.n_namesz,
		.data = start + data_at,
		.size = header.n_descsz,
		.offset = walk->position,
	};
	walk->position += (end + mask) & ~mask;
	return true;
}

bool elf_note_is(const struct elf_note *note, const char *name)
{
	size_t length = strlen(name);
	// Some writers count the NUL, some do not.
	return note->name_size >= length && note->name_size <= length + 1 &&
	       memcmp(note->name, name, length) == 0;
}

bool elf_notes_build_id(const uint8_t *data, uint64_t size, uint64_t align,
			char text[ELF_BUILD_ID_TEXT])
{
	static const char digits[] = "0123456789abcdef";
	struct elf_note_walk walk = {.data = data, .size = size, .align = align};
	struct elf_note note;
	while (elf_note_next(&walk, &note)) {
		if (note.type != NT_GNU_BUILD_ID || !elf_note_is(&note, "GNU") || !note.size ||
		    note.size > (ELF_BUILD_ID_TEXT - 1) / 2)
			continue;
		for (uint32_t i = 0; i < note.size; i++) {
			text[2 * i] = digits[note.data[i] >> 4];
			text[2 * i + 1] = digits[note.data[i] & 15];
		}
		text[2 * note.size] = '\0';
		return true;
	}
	return false;
}

bool elf_image_build_id(const struct elf_image *image, char text[ELF_BUILD_ID_TEXT])
{
	Elf64_Phdr segment;
	for (uint32_t i = 0; elf_image_segment(image, i, &segment); i++)
		if (segment.p_type == PT_NOTE &&
		    inside(image, segment.p_offset, segment.p_filesz) &&
		    elf_notes_build_id(image->data + segment.p_offset, segment.p_filesz,
				       segment.p_align, text))
			return true;
	Elf64_Shdr section; // debug files have notes whose program headers point nowhere
	for (uint32_t i = 1; elf_image_section(image, i, &section); i++)
		if (section.sh_type == SHT_NOTE &&
		    inside(image, section.sh_offset, section.sh_size) &&
		    elf_notes_build_id(image->data + section.sh_offset, section.sh_size,
				       section.sh_addralign, text))
			return true;
	return false;
}
