// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_notes.h"

#include <elf.h>
#include <string.h>

#include "base/error.h"
#include "elf/strobe_note.h"

enum { PRSTATUS_REGISTERS = 112 }; // struct elf_prstatus of x86-64
static const char strobe_name[] = STROBE_NOTE_NAME;

void notes_fini(struct notes *notes)
{
	array_fini(&notes->items);
	arena_fini(&notes->arena);
}

static uint64_t padded(uint64_t size)
{
	return (size + 3) & ~UINT64_C(3);
}

static bool is_named(const struct raw_note *note, const char *name)
{
	size_t size = strlen(name);
	return note->name_size >= size && memcmp(note->name, name, size) == 0 &&
	       (note->name_size == size || !note->name[size]);
}

const struct raw_note *notes_find(const struct strobe_view *view, uint32_t type, uint32_t size)
{
	for (size_t i = 0; i < view->notes.count; i++) {
		const struct raw_note *note = &view->notes.items[i];
		if (note->type == type && note->size >= size && is_named(note, STROBE_NOTE_NAME))
			return note;
	}
	return NULL;
}

/** What speaks of the file it stands in, not of the process. */
static bool is_of_file(const struct raw_note *note)
{
	if (!is_named(note, STROBE_NOTE_NAME))
		return false;
	switch (note->type) {
	case NT_STROBE_CAPTURE:
	case NT_STROBE_EXTENTS:
	case NT_STROBE_PARENT:
	case NT_STROBE_PAGE_HASHES:
	case NT_STROBE_EMBEDDED:
	case NT_STROBE_FROZEN:
		return true;
	default:
		return false;
	}
}

/** Registers as the view has them now: an overlay's may differ from the source's. */
static void use_registers(const struct strobe_view *view, const struct raw_note *raw,
			  struct out_note *note)
{
	if (raw->thread_index >= view->registers.count)
		return;
	const struct register_blocks *blocks = &view->registers.items[raw->thread_index];
	const uint8_t *now = NULL;
	if (is_named(raw, "CORE") && raw->type == NT_PRSTATUS && !blocks->general_missing) {
		now = blocks->general;
		note->registers_at = PRSTATUS_REGISTERS;
		note->registers_size = USER_REGISTERS_SIZE;
	} else if (is_named(raw, "CORE") && raw->type == NT_FPREGSET) {
		now = blocks->fxsave;
		note->registers_size = FXSAVE_SIZE;
	} else if (is_named(raw, "LINUX") && raw->type == NT_X86_XSTATE) {
		now = blocks->xsave;
		note->registers_size = blocks->xsave_size;
	}
	if (now && now != raw->data + note->registers_at &&
	    note->registers_size <= raw->size - note->registers_at)
		note->registers = now;
}

static struct strobe_error *push(struct notes *notes, const struct out_note *note)
{
	if (!array_push(&notes->items, *note))
		return error_no_memory();
	notes->size += sizeof(Elf64_Nhdr) + padded(note->name_size) + padded(note->size);
	return NULL;
}

struct strobe_error *notes_copy(struct notes *notes, const struct strobe_view *view)
{
	struct strobe_error *error = NULL;
	if (!view->notes.count)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: a %s has no ELF notes, which a snapshot is made from",
				 view->info.source_path, view->info.source_kind);
	if (!view->is_x86_64)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "%s: a process of %s: snapshots are written of x86_64 alone",
				 view->info.source_path, view->info.machine);
	for (size_t i = 0; !error && i < view->notes.count; i++) {
		const struct raw_note *raw = &view->notes.items[i];
		struct out_note note = {.type = raw->type,
					.name_size = raw->name_size,
					.size = raw->size,
					.name = raw->name,
					.data = raw->data};
		if (is_of_file(raw))
			continue;
		use_registers(view, raw, &note);
		error = push(notes, &note);
	}
	return error;
}

struct strobe_error *notes_add(struct notes *notes, uint32_t type, const void *data, uint64_t size,
			       const void *tail, uint64_t tail_size)
{
	uint64_t whole = size + tail_size;
	if (whole > UINT32_MAX)
		return error_new(STROBE_ERROR_LIMIT, "a note of %llu bytes does not fit a core",
				 (unsigned long long)whole);
	uint8_t *bytes = arena_alloc(&notes->arena, whole + 1);
	if (!bytes)
		return error_no_memory();
	memcpy(bytes, data, size);
	if (tail_size)
		memcpy(bytes + size, tail, tail_size);
	struct out_note note = {.type = type,
				.name_size = sizeof(strobe_name),
				.size = (uint32_t)whole,
				.name = strobe_name,
				.data = bytes};
	return push(notes, &note);
}

void *notes_data(const struct notes *notes, size_t index)
{
	return (void *)notes->items.items[index].data; // ours, in the arena
}

static struct strobe_error *write_padded(struct output *output, const void *bytes, uint64_t size)
{
	static const uint8_t zeros[4];
	struct strobe_error *error = output_write(output, bytes, size);
	if (!error && padded(size) > size)
		error = output_write(output, zeros, padded(size) - size);
	return error;
}

static struct strobe_error *write_data(struct output *output, const struct out_note *note)
{
	if (!note->registers)
		return write_padded(output, note->data, note->size);
	uint32_t end = note->registers_at + note->registers_size;
	struct strobe_error *error = output_write(output, note->data, note->registers_at);
	if (!error)
		error = output_write(output, note->registers, note->registers_size);
	// Everything before is a multiple of 4.
	return error ? error : write_padded(output, note->data + end, note->size - end);
}

struct strobe_error *notes_write(const struct notes *notes, struct output *output)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < notes->items.count; i++) {
		const struct out_note *note = &notes->items.items[i];
		Elf64_Nhdr header = {note->name_size, note->size, note->type};
		error = output_write(output, &header, sizeof(header));
		if (!error)
			error = write_padded(output, note->name, note->name_size);
		if (!error)
			error = write_data(output, note);
	}
	return error;
}
