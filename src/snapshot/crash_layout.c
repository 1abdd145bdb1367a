// SPDX-License-Identifier: Apache-2.0
#include "snapshot/crash_layout.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "elf/elf_image.h"

enum { SEGMENT_SIZE = sizeof(Elf64_Phdr), HEADER_SIZE = sizeof(Elf64_Ehdr) };

static uint64_t round_up(uint64_t number, uint64_t to)
{
	return (number + to - 1) / to * to;
}

// Reads on until the prefix has `size` bytes.
static struct strobe_error *grow_prefix(struct crash_layout *layout, struct crash_input *input,
					uint64_t size)
{
	size_t got, more = (size_t)size - layout->prefix_size;
	uint8_t *prefix = realloc(layout->prefix, (size_t)size);
	if (!prefix)
		return error_no_memory();
	layout->prefix = prefix;
	struct strobe_error *error =
		crash_input_read(input, prefix + layout->prefix_size, more, &got);
	if (error)
		return error;
	layout->prefix_size += got;
	if (got < more)
		return error_new(STROBE_ERROR_FORMAT,
				 "the core ends within its headers, after %zu bytes",
				 layout->prefix_size);
	return NULL;
}

static struct strobe_error *read_header(struct crash_layout *layout, struct crash_input *input)
{
	Elf64_Ehdr *header = &layout->header;
	struct strobe_error *error = grow_prefix(layout, input, HEADER_SIZE);
	if (error)
		return error;
	memcpy(header, layout->prefix, HEADER_SIZE);
	if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0)
		return error_new(STROBE_ERROR_FORMAT, "what comes is no ELF file");
	if (header->e_ident[EI_DATA] != ELFDATA2LSB || header->e_ident[EI_CLASS] != ELFCLASS64)
		layout->plain = "no 64-bit little-endian core";
	else if (header->e_type != ET_CORE)
		return error_new(STROBE_ERROR_FORMAT, "what comes is an ELF file, but no core");
	else if (header->e_phentsize != SEGMENT_SIZE || header->e_phoff < HEADER_SIZE ||
		 header->e_phoff > CRASH_PREFIX_LIMIT)
		layout->plain = "its program headers are not where they should be";
	return NULL;
}

// Cores of more than 65,534 segments tell their number in a section header, at the end of the file;
// but the notes, which the first segment describes, follow the program headers at once.
static struct strobe_error *count_segments(struct crash_layout *layout, struct crash_input *input)
{
	uint64_t start = layout->header.e_phoff;
	layout->segment_count = layout->header.e_phnum;
	if (layout->header.e_phnum != PN_XNUM)
		return NULL;
	Elf64_Phdr first;
	struct strobe_error *error = grow_prefix(layout, input, start + SEGMENT_SIZE);
	if (error)
		return error;
	elf_segment_decode(true, layout->prefix + start, &first);
	uint64_t count = first.p_offset > start ? (first.p_offset - start) / SEGMENT_SIZE : 0;
	if (first.p_type != PT_NOTE || count < PN_XNUM || count > CRASH_SEGMENT_LIMIT)
		layout->plain = "its program headers cannot be counted";
	else
		layout->segment_count = (uint32_t)count;
	return NULL;
}

static struct strobe_error *read_segments(struct crash_layout *layout, struct crash_input *input)
{
	uint64_t start = layout->header.e_phoff;
	struct strobe_error *error = count_segments(layout, input);
	if (error || layout->plain)
		return error;
	error = grow_prefix(layout, input, start + (uint64_t)layout->segment_count * SEGMENT_SIZE);
	if (error)
		return error;
	layout->segments = calloc(layout->segment_count + 1, SEGMENT_SIZE);
	if (!layout->segments)
		return error_no_memory();
	for (uint32_t i = 0; i < layout->segment_count; i++)
		elf_segment_decode(true, layout->prefix + start + (uint64_t)i * SEGMENT_SIZE,
				   &layout->segments[i]);
	return NULL;
}

// Finds the notes, and where memory begins and ends.
static void examine(struct crash_layout *layout)
{
	bool found = false;
	uint64_t first = UINT64_MAX, last = 0;
	for (uint32_t i = 0; i < layout->segment_count; i++) {
		const Elf64_Phdr *segment = &layout->segments[i];
		uint64_t end = segment->p_offset + segment->p_filesz;
		if (segment->p_filesz == 0)
			continue;
		if (end < segment->p_offset || end > INT64_MAX) {
			layout->plain = "a segment does not fit any file";
			return;
		}
		if (end > layout->end)
			layout->end = end;
		if (segment->p_type == PT_NOTE && !found) {
			found = true;
			layout->notes_index = i;
			layout->notes_start = segment->p_offset;
			layout->notes_end = end;
			continue;
		}
		first = segment->p_offset < first ? segment->p_offset : first;
		last = end > last ? end : last;
		if (segment->p_type == PT_LOAD)
			layout->memory_bytes += segment->p_filesz;
	}
	layout->notes_last = found && last > 0 && last <= layout->notes_start;
	layout->data_start = layout->data_end = 0;
	if (last > 0) {
		layout->data_start = first;
		layout->data_end = last;
	}
	uint64_t begin = layout->notes_last ? first : layout->notes_start;
	if (!found || begin < layout->prefix_size || begin > CRASH_PREFIX_LIMIT)
		layout->plain = "its notes and memory do not follow its headers";
	else if (!layout->notes_last && first < layout->notes_end)
		layout->plain = "its notes are in the midst of its memory";
}

struct strobe_error *crash_layout_read(struct crash_layout *layout, struct crash_input *input)
{
	struct strobe_error *error = read_header(layout, input);
	if (!error && !layout->plain)
		error = read_segments(layout, input);
	if (error || layout->plain)
		return error;
	examine(layout);
	input->expected = layout->end;
	if (layout->plain)
		return NULL;
	return grow_prefix(layout, input,
			   layout->notes_last ? layout->data_start : layout->notes_start);
}

void crash_layout_fini(struct crash_layout *layout)
{
	free(layout->prefix);
	free(layout->segments);
}

void crash_layout_settle(struct crash_layout *layout, uint64_t size)
{
	uint64_t headers = HEADER_SIZE + (uint64_t)layout->segment_count * SEGMENT_SIZE;
	if (layout->segment_count >= PN_XNUM)
		headers += sizeof(Elf64_Shdr);
	uint64_t old_size = layout->notes_end - layout->notes_start;
	layout->new_notes = layout->notes_last ? layout->notes_start : round_up(headers, 8);
	uint64_t end = layout->new_notes + size + old_size;
	if (!layout->notes_last && end > layout->notes_end)
		layout->shift = round_up(end - layout->notes_end, CRASH_PAGE);
	if (layout->data_start % CRASH_PAGE) { // gdb's: without hashes then
		layout->data_start = layout->data_end = 0;
	} else if (layout->data_start) {
		layout->data_start += layout->shift;
		layout->data_end += layout->shift;
	}
	for (uint32_t i = 0; i < layout->segment_count; i++) {
		Elf64_Phdr *segment = &layout->segments[i];
		if (i == layout->notes_index) {
			segment->p_offset = layout->new_notes;
			segment->p_filesz += size;
		} else if (segment->p_offset >= layout->notes_end) {
			segment->p_offset += layout->shift;
		}
	}
}

struct strobe_error *crash_layout_write(const struct crash_layout *layout, struct output *output)
{
	Elf64_Ehdr header = layout->header;
	bool many = layout->segment_count >= PN_XNUM;
	uint64_t size = (uint64_t)layout->segment_count * SEGMENT_SIZE;
	header.e_phoff = HEADER_SIZE;
	header.e_shoff = many ? HEADER_SIZE + size : 0; // other sections are not taken over
	header.e_shnum = many ? 1 : 0;
	header.e_shentsize = many ? sizeof(Elf64_Shdr) : 0;
	header.e_shstrndx = SHN_UNDEF;
	struct strobe_error *error = output_write(output, &header, HEADER_SIZE);
	if (!error)
		error = output_write(output, layout->segments, (size_t)size);
	if (!error && many) {
		// As the kernel has it: fs/binfmt_elf.c, fill_extnum_info().
		Elf64_Shdr section = {.sh_type = SHT_NULL,
				      .sh_size = header.e_shnum,
				      .sh_link = header.e_shstrndx,
				      .sh_info = layout->segment_count};
		error = output_write(output, &section, sizeof(section));
	}
	if (error || !layout->notes_last)
		return error ? error : output_skip(output, layout->new_notes - output->position);
	// Memory stays where it is; what else stood before it (nothing, in gdb's cores) does too.
	return output_write(output, layout->prefix + output->position,
			    layout->prefix_size - output->position);
}
