// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/core.h"

/** What truncation took. */
struct loss {
	uint64_t count, bytes;
	uint64_t start, end, offset; // of the first
};

static unsigned permissions_of(uint32_t flags)
{
	return flags & (PF_X | PF_W | PF_R); // the same bits
}

static struct strobe_error *add_present(struct strobe_view *view, uint64_t start, uint64_t size,
					uint64_t offset)
{
	if (view->packed)
		return view_add_lazy(view, start, start + size, view->packed, offset);
	struct segment present = {start, start + size, view->source->data + offset, NULL, NULL};
	return array_push(&view->segments, present) ? NULL : error_no_memory();
}

static struct strobe_error *add_load(struct strobe_view *view, const Elf64_Phdr *load,
				     struct loss *loss)
{
	uint64_t start = load->p_vaddr, size = load->p_memsz;
	if (size < load->p_filesz && !size)
		size = load->p_filesz; // some writers leave p_memsz out
	if (size > UINT64_MAX - start)
		size = UINT64_MAX - start;
	if (!size)
		return NULL;
	uint64_t dumped = load->p_filesz < size ? load->p_filesz : size;
	uint64_t held = load->p_offset < view->source_size ? view->source_size - load->p_offset : 0;
	if (held > dumped)
		held = dumped;
	struct area area = {
		.start = start,
		.end = start + size,
		.permissions = permissions_of(load->p_flags),
	};
	struct segment lost = {start + held, start + dumped, NULL,
			       "cut off: the core file ends before it", NULL};
	if (!array_push(&view->areas, area) ||
	    (held < dumped && !array_push(&view->segments, lost)))
		return error_no_memory();
	// A hostile offset may point far past the file: no pointer is made unless bytes are there.
	struct strobe_error *error = held ? add_present(view, start, held, load->p_offset) : NULL;
	if (error)
		return error;
	if (held < dumped) {
		if (!loss->count++) {
			loss->start = start + held;
			loss->end = start + dumped;
			loss->offset = load->p_offset + held;
		}
		loss->bytes += dumped - held;
	}
	return NULL;
}

static struct strobe_error *read_notes(struct strobe_view *view, const Elf64_Phdr *note)
{
	uint64_t size = note->p_filesz, held = view->source_size;
	const uint8_t *bytes;
	if (note->p_offset > held || size > held - note->p_offset)
		view_warn(view,
			  "%s: truncated: notes at file offset 0x%" PRIx64 " end at 0x%" PRIx64
			  ", the file at 0x%" PRIx64,
			  view->info.source_path, note->p_offset, note->p_offset + note->p_filesz,
			  held);
	struct strobe_error *error = source_bytes(view, note->p_offset, &size, &bytes);
	if (error || !size)
		return error;
	return notes_read(view, bytes, size, note->p_align, note->p_offset);
}

static void tell_loss(const struct strobe_view *view, const struct loss *loss)
{
	if (!loss->count)
		return;
	view_warn(view,
		  "%s: truncated: the file ends at 0x%" PRIx64 "; %" PRIu64 " bytes of %" PRIu64
		  " segment%s are missing, from file offset 0x%" PRIx64 " (memory 0x%" PRIx64
		  "-0x%" PRIx64 ") on",
		  view->info.source_path, view->source_size, loss->bytes, loss->count,
		  loss->count == 1 ? "" : "s", loss->offset, loss->start, loss->end);
}

static void recognise_maker(struct strobe_view *view, const struct elf_image *image)
{
	if (view->facts.captured)
		return; // its notes say who
	// BFD's writer, which gdb uses, adds section headers; the kernel has one at most (PN_XNUM).
	if (image->header.e_shnum > 1)
		view->info.source_maker = "gdb";
	else if (image->header.e_phoff == sizeof(Elf64_Ehdr) && view->files_listed)
		view->info.source_maker = "kernel";
}

/** What packed the file, if a packer did: systemd-coredump and others do. */
static const char *name_packer(const struct file *file)
{
	static const struct {
		const char *name, *magic;
		size_t size;
	} packers[] = {
		{"zstd", "\x28\xb5\x2f\xfd", 4},
		{"xz",
		 "\xfd"
		 "7zXZ",
		 5},
		{"gzip", "\x1f\x8b", 2},
		{"lz4", "\x04\x22\x4d\x18", 4},
		{"bzip2", "BZh", 3},
	};
	for (size_t i = 0; i < sizeof(packers) / sizeof(packers[0]); i++)
		if (file->size >= packers[i].size &&
		    memcmp(file->data, packers[i].magic, packers[i].size) == 0)
			return packers[i].name;
	return NULL;
}

/** Without an ELF header that says CORE there is nothing to show. */
static struct strobe_error *check(const struct strobe_view *view, const struct elf_image *image,
				  const char *why)
{
	const char *path = view->info.source_path;
	const char *packer = view->packed ? NULL : name_packer(view->source);
	if (packer && strcmp(packer, "zstd") == 0)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: compressed without a table to seek by, or cut off: "
				 "unpack it with zstd -d first",
				 path);
	if (packer)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: compressed: unpack it with %s -d first", path, packer);
	if (why)
		return error_new(STROBE_ERROR_FORMAT, "%s: not a core file: %s", path, why);
	if (image->header.e_type != ET_CORE)
		return error_new(STROBE_ERROR_FORMAT, "%s: not a core file: ELF type %s%s", path,
				 elf_type_name(image->header.e_type),
				 image->header.e_type == ET_REL ? "" : " (a program or library)");
	return NULL;
}

static struct strobe_error *read_image(struct strobe_view *view, const struct elf_image *image)
{
	struct loss loss = {0};
	Elf64_Phdr segment;
	struct strobe_error *error = NULL;
	view->info.source_kind = "core";
	view->is_x86_64 = image->header.e_machine == EM_X86_64 && image->wide;
	view->word_bytes = image->wide ? 8 : 4;
	view->info.machine = elf_machine_name(image->header.e_machine);
	if (!view->info.machine)
		view->info.machine =
			arena_printf(&view->arena, "machine %u", (unsigned)image->header.e_machine);
	if (image->segment_count_cut)
		view_warn(view,
			  "%s: truncated: program headers at file offset 0x%" PRIx64
			  ": only %" PRIu32 " of those announced are in the file",
			  view->info.source_path, (uint64_t)image->header.e_phoff,
			  image->segment_count);
	for (uint32_t i = 0; !error && elf_image_segment(image, i, &segment); i++) {
		if (segment.p_type == PT_LOAD)
			error = add_load(view, &segment, &loss);
		else if (segment.p_type == PT_NOTE)
			error = read_notes(view, &segment);
	}
	if (error)
		return error;
	error = strobe_notes_conclude(view);
	if (error)
		return error;
	tell_loss(view, &loss);
	recognise_maker(view, image);
	if (!view->is_x86_64)
		view_warn(view, "%s: a core of %s: registers are read for x86_64 alone",
			  view->info.source_path, view->info.machine);
	if (!view->threads.count)
		view_warn(view, "%s: holds no threads (no NT_PRSTATUS notes)",
			  view->info.source_path);
	return NULL;
}

struct strobe_error *elf_core_read(struct strobe_view *view)
{
	struct elf_image image;
	const char *why;
	uint8_t *storage;
	struct strobe_error *error = source_headers(view, &image, &why, &storage);
	if (!error)
		error = check(view, &image, why);
	if (!error)
		error = read_image(view, &image);
	free(storage);
	return error;
}
