// SPDX-License-Identifier: Apache-2.0
#include "symbols/image.h"

#include <elf.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <sys/mman.h>

#include "base/file.h"
#include "base/guard.h"

enum { PAGE = 4096, COPY_LIMIT = 256 << 10, NAME_SIZE = 32 };

static void *map(size_t size)
{
	void *image = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	return image == MAP_FAILED ? NULL : image;
}

void image_free(void *image, size_t size)
{
	if (!image)
		return;
	guard_unmap(image, size);
	munmap(image, size);
}

Elf *image_open_elf(const struct file *file)
{
	// Not elf_memory(): libelf writes into what it decompresses from, which is read-only here.
	// A part of a file is mapped for it to write to; it knows only whole ones by descriptor.
	Elf *elf = file->fd_offset ? elf_memory((char *)file->data, file->size)
				   : elf_begin(file->fd, ELF_C_READ_MMAP, NULL);
	size_t size = 0;
	const char *data = elf ? elf_rawfile(elf, &size) : NULL;
	guard_map(data, size, file->path);
	return elf;
}

void image_close_elf(Elf *elf)
{
	size_t size = 0;
	const char *data = elf ? elf_rawfile(elf, &size) : NULL;
	guard_unmap(data, size);
	elf_end(elf);
}

static uint64_t round_up(uint64_t value)
{
	return (value + PAGE - 1) & ~(uint64_t)(PAGE - 1);
}

/** File bytes that a segment brings into memory, with the rest of its last page (where the section
 *  headers of the vdso are) unless the kernel cleared that for .bss. */
static uint64_t segment_size(const Elf64_Phdr *phdr)
{
	if (phdr->p_filesz > IMAGE_SIZE_LIMIT || phdr->p_offset > IMAGE_SIZE_LIMIT)
		return 0;
	if (phdr->p_memsz > phdr->p_filesz)
		return phdr->p_filesz;
	return round_up(phdr->p_offset + phdr->p_filesz) - phdr->p_offset;
}

void *image_from_memory(const struct strobe_view *view, const struct strobe_module *module,
			size_t *size)
{
	Elf64_Ehdr ehdr;
	if (strobe_memory_read(view, module->start, &ehdr, sizeof(ehdr)) != sizeof(ehdr) ||
	    memcmp(ehdr.e_ident, ELFMAG, SELFMAG) != 0 || ehdr.e_ident[EI_CLASS] != ELFCLASS64 ||
	    ehdr.e_ident[EI_DATA] != ELFDATA2LSB || ehdr.e_phentsize != sizeof(Elf64_Phdr) ||
	    !ehdr.e_phnum || ehdr.e_phnum > IMAGE_PROGRAM_HEADER_LIMIT)
		return NULL;
	size_t table = ehdr.e_phnum * sizeof(Elf64_Phdr);
	Elf64_Phdr *phdrs = malloc(table);
	if (!phdrs ||
	    strobe_memory_read(view, module->start + ehdr.e_phoff, phdrs, table) != table) {
		free(phdrs);
		return NULL;
	}
	uint64_t total = sizeof(ehdr);
	for (unsigned i = 0; i < ehdr.e_phnum; i++) {
		uint64_t end = phdrs[i].p_offset + segment_size(&phdrs[i]);
		if (phdrs[i].p_type == PT_LOAD && end <= IMAGE_SIZE_LIMIT && end > total)
			total = end;
	}
	uint8_t *image = map(total);
	for (unsigned i = 0; image && i < ehdr.e_phnum; i++) {
		uint64_t part = segment_size(&phdrs[i]);
		if (phdrs[i].p_type != PT_LOAD || phdrs[i].p_offset + part > total)
			continue;
		for (uint64_t done = 0; done < part; done += PAGE) { // around unreadable pages
			uint64_t step = part - done < PAGE ? part - done : PAGE;
			strobe_memory_read(view, phdrs[i].p_vaddr + module->bias + done,
					   image + phdrs[i].p_offset + done, step);
		}
	}
	free(phdrs);
	if (!image)
		return NULL;
	uint64_t sections_end = ehdr.e_shoff + (uint64_t)ehdr.e_shnum * sizeof(Elf64_Shdr);
	if (ehdr.e_shoff > total || sections_end > total) {
		ehdr.e_shoff = 0; // not loaded: libelf must not look for them
		ehdr.e_shnum = ehdr.e_shstrndx = 0;
	}
	memcpy(image, &ehdr, sizeof(ehdr));
	*size = total;
	return image;
}

/** The file that parts come from, as libelf holds it. */
struct origin {
	const struct file *file;
	const uint8_t *data;
	size_t size;
};

/** Where a part goes: small ones are copied, large ones are the file's pages, mapped in place. */
static bool place_part(uint8_t *image, uint64_t *position, const struct section_bytes *part,
		       const struct origin *origin, Elf64_Shdr *shdr, bool really)
{
	const struct file *file = origin->file;
	uintptr_t start = (uintptr_t)origin->data, at = (uintptr_t)part->data;
	bool inside = origin->data && at >= start && at - start <= origin->size &&
		      part->size <= origin->size - (at - start);
	uint64_t offset = inside ? at - start : 0;
	if (!inside || part->size < COPY_LIMIT) {
		if (really)
			memcpy(image + *position, part->data, part->size);
		shdr->sh_offset = *position;
		*position += (part->size + 15) & ~(uint64_t)15;
		return true;
	}
	uint64_t lead = offset % PAGE, mapped = round_up(lead + part->size);
	*position = round_up(*position);
	if (really && mmap(image + *position, mapped, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, file->fd,
			   (off_t)(file->fd_offset + offset - lead)) == MAP_FAILED)
		return false;
	if (really)
		guard_map(image + *position, mapped, file->path);
	shdr->sh_offset = *position + lead;
	*position += mapped;
	return true;
}

static bool lay_out(uint8_t *image, const struct section_bytes parts[SECTION_COUNT],
		    const struct origin *origin, uint64_t *total)
{
	bool really = image != NULL;
	Elf64_Shdr shdrs[SECTION_COUNT + 2] = {0};
	char strings[(SECTION_COUNT + 2) * NAME_SIZE] = "";
	size_t count = 1, names_size = 1;
	uint64_t position = sizeof(Elf64_Ehdr) + sizeof(shdrs) + sizeof(strings);
	for (int i = 0; i < SECTION_COUNT; i++) {
		if (!parts[i].data || !parts[i].size)
			continue;
		Elf64_Shdr *shdr = &shdrs[count++];
		shdr->sh_name = (Elf64_Word)names_size;
		names_size += (size_t)snprintf(strings + names_size, NAME_SIZE, ".debug_%s.dwo",
					       section_name(i)) +
			      1;
		shdr->sh_type = SHT_PROGBITS;
		shdr->sh_size = parts[i].size;
		shdr->sh_addralign = 1;
		if (!place_part(image, &position, &parts[i], origin, shdr, really))
			return false;
	}
	shdrs[count] = (Elf64_Shdr){.sh_type = SHT_STRTAB,
				    .sh_offset = sizeof(Elf64_Ehdr) + sizeof(shdrs),
				    .sh_size = sizeof(strings),
				    .sh_addralign = 1};
	*total = round_up(position);
	if (!really)
		return true;
	Elf64_Ehdr ehdr = {.e_type = ET_REL,
			   .e_machine = EM_X86_64,
			   .e_version = EV_CURRENT,
			   .e_ehsize = sizeof(ehdr),
			   .e_shoff = sizeof(ehdr),
			   .e_shentsize = sizeof(Elf64_Shdr),
			   .e_shnum = (Elf64_Half)(count + 1),
			   .e_shstrndx = (Elf64_Half)count};
	memcpy(ehdr.e_ident, ELFMAG, SELFMAG);
	ehdr.e_ident[EI_CLASS] = ELFCLASS64;
	ehdr.e_ident[EI_DATA] = ELFDATA2LSB;
	ehdr.e_ident[EI_VERSION] = EV_CURRENT;
	memcpy(image, &ehdr, sizeof(ehdr));
	memcpy(image + sizeof(ehdr), shdrs, sizeof(shdrs));
	memcpy(image + sizeof(ehdr) + sizeof(shdrs), strings, sizeof(strings));
	return true;
}

void *image_of_sections(const struct section_bytes parts[SECTION_COUNT], Elf *elf,
			const struct file *file, size_t *size)
{
	uint64_t total;
	struct origin origin = {.file = file};
	origin.data = (const uint8_t *)elf_rawfile(elf, &origin.size);
	if (!lay_out(NULL, parts, &origin, &total))
		return NULL;
	uint8_t *image = map(total);
	if (image && !lay_out(image, parts, &origin, &total)) {
		image_free(image, total);
		return NULL;
	}
	*size = total;
	return image;
}
