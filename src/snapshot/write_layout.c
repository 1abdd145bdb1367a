// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_layout.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

void layout_init(struct layout *layout, uint64_t gap_pages)
{
	*layout = (struct layout){.gap_pages = gap_pages, .limit = LAYOUT_LOADS};
}

void layout_fini(struct layout *layout)
{
	array_fini(&layout->loads);
}

/** Can it be stored although it need not be? */
static bool is_optional(const struct load *load)
{
	return load->kind == STROBE_EXTENT_AS_FILE || load->kind == STROBE_EXTENT_AS_PARENT ||
	       load->kind == STROBE_EXTENT_LEFT_OUT;
}

/** Appends to the first `*count` loads, merging; there is room. */
static void append(const struct layout *layout, struct load *loads, size_t *count,
		   const struct load *next)
{
	size_t back = *count;
	struct load *last = back ? &loads[back - 1] : NULL;
	if (last && last->mapping == next->mapping && last->end == next->start &&
	    last->kind == next->kind) {
		last->end = next->end;
		return;
	}
	// A short gap behind something stored is cheaper in the file than headers around it.
	while (next->kind == LAYOUT_STORED && back && loads[back - 1].mapping == next->mapping &&
	       is_optional(&loads[back - 1]) &&
	       next->start - loads[back - 1].start < layout->gap_pages * PAGE_SIZE_BYTES)
		back--;
	if (next->kind == LAYOUT_STORED && back < *count && back &&
	    loads[back - 1].mapping == next->mapping && loads[back - 1].kind == LAYOUT_STORED &&
	    loads[back - 1].end == loads[back].start) {
		loads[back - 1].end = next->end;
		*count = back;
		return;
	}
	loads[(*count)++] = *next;
}

/** Makes fewer of them by storing larger gaps. */
static void compact(struct layout *layout)
{
	while (layout->loads.count >= layout->limit && layout->gap_pages < 1 << 16) {
		size_t count = 0;
		layout->gap_pages = layout->gap_pages ? layout->gap_pages * 2 : 1;
		for (size_t i = 0; i < layout->loads.count; i++) {
			struct load next = layout->loads.items[i];
			append(layout, layout->loads.items, &count, &next);
		}
		// So little: it is mappings that are many, not gaps.
		bool useless = layout->loads.count - count < layout->loads.count / 64;
		layout->loads.count = count;
		if (useless && layout->gap_pages >= 64)
			break;
	}
	if (layout->loads.count >= layout->limit / 2)
		layout->limit = 2 * layout->loads.count;
}

struct strobe_error *layout_add(struct layout *layout, uint32_t mapping, uint64_t start,
				uint64_t end, uint32_t kind)
{
	struct load next = {start, end, mapping, kind};
	if (start >= end)
		return NULL;
	if (!array_reserve(&layout->loads, layout->loads.count + 1))
		return error_no_memory();
	append(layout, layout->loads.items, &layout->loads.count, &next);
	if (layout->loads.count >= layout->limit)
		compact(layout);
	return NULL;
}

uint64_t layout_left_out(const struct layout *layout, uint32_t kind)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < layout->loads.count; i++)
		if (layout->loads.items[i].kind == kind)
			sum += layout->loads.items[i].end - layout->loads.items[i].start;
	return sum;
}

static size_t headers_size(size_t loads)
{
	size_t count = loads + 1;
	return sizeof(Elf64_Ehdr) + count * sizeof(Elf64_Phdr) +
	       (count >= PN_XNUM ? sizeof(Elf64_Shdr) : 0);
}

void layout_settle(struct layout *layout, uint64_t notes_size)
{
	layout->notes_offset = headers_size(layout->loads.count + layout->spare);
	layout->data_offset = (layout->notes_offset + notes_size + PAGE_SIZE_BYTES - 1) &
			      ~(uint64_t)(PAGE_SIZE_BYTES - 1);
	layout->stored_bytes = layout_left_out(layout, LAYOUT_STORED);
}

struct strobe_error *layout_extents(const struct layout *layout, struct strobe_note_extent **ret,
				    size_t *count)
{
	size_t found = 0;
	struct strobe_note_extent *extents = calloc(layout->loads.count + 1, sizeof(*extents));
	if (!extents)
		return error_no_memory();
	for (size_t i = 0; i < layout->loads.count; i++) {
		const struct load *load = &layout->loads.items[i];
		if (load->kind == LAYOUT_STORED || load->kind == LAYOUT_ZEROS)
			continue;
		struct strobe_note_extent *last = found ? &extents[found - 1] : NULL;
		if (last && last->end == load->start && last->kind == load->kind)
			last->end = load->end;
		else
			extents[found++] =
				(struct strobe_note_extent){load->start, load->end, load->kind, 0};
	}
	*ret = extents;
	*count = found;
	return NULL;
}

static uint8_t *put(uint8_t *at, const void *bytes, size_t size)
{
	memcpy(at, bytes, size);
	return at + size;
}

static uint8_t *put_segments(const struct layout *layout, const struct strobe_view *view,
			     uint8_t *at)
{
	uint64_t offset = layout->data_offset;
	for (size_t i = 0; i < layout->loads.count; i++) {
		const struct load *load = &layout->loads.items[i];
		unsigned permissions = strobe_view_mapping(view, load->mapping)->permissions;
		Elf64_Phdr segment = {
			.p_type = PT_LOAD,
			.p_flags = permissions & (PF_R | PF_W | PF_X), // the same bits
			.p_offset = load->kind == LAYOUT_ZEROS ? layout->zeros_offset : offset,
			.p_vaddr = load->start,
			.p_memsz = load->end - load->start,
			.p_align = PAGE_SIZE_BYTES,
		};
		if (load->kind == LAYOUT_STORED || load->kind == LAYOUT_ZEROS)
			segment.p_filesz = segment.p_memsz;
		if (load->kind == LAYOUT_STORED)
			offset += segment.p_filesz;
		at = put(at, &segment, sizeof(segment));
	}
	return at;
}

struct strobe_error *layout_headers(const struct layout *layout, const struct strobe_view *view,
				    uint64_t notes_size, void **ret, size_t *size)
{
	size_t count = layout->loads.count + 1;
	bool many = count >= PN_XNUM;
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = sizeof(header),
		.e_ehsize = sizeof(header),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = many ? PN_XNUM : (Elf64_Half)count,
	};
	Elf64_Phdr note = {
		.p_type = PT_NOTE,
		.p_offset = layout->notes_offset,
		.p_filesz = notes_size,
		.p_align = 4,
	};
	Elf64_Shdr section = {.sh_info = (Elf64_Word)count};
	if (many) {
		header.e_shoff = sizeof(header) + count * sizeof(Elf64_Phdr);
		header.e_shentsize = sizeof(section);
		header.e_shnum = 1;
		section.sh_size = 1; // e_shnum, as the kernel writes it
	}
	*size = headers_size(layout->loads.count);
	uint8_t *bytes = malloc(*size);
	if (!bytes)
		return error_no_memory();
	uint8_t *at = put(put(bytes, &header, sizeof(header)), &note, sizeof(note));
	at = put_segments(layout, view, at);
	if (many)
		put(at, &section, sizeof(section));
	*ret = bytes;
	return NULL;
}
