// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "core/core.h"
#include "view/signals.h"

#ifndef NT_X86_XSAVE_LAYOUT
#define NT_X86_XSAVE_LAYOUT 0x205 // Linux 6.12: where XSAVE components lie
#endif

// struct elf_prstatus and elf_prpsinfo of x86-64 and other 64-bit machines (include/linux/elfcore.h).
enum {
	PRSTATUS_SIGNAL = 12,
	PRSTATUS_PID = 32,
	PRSTATUS_PPID = 36,
	PRSTATUS_PGRP = 40,
	PRSTATUS_SID = 44,
	PRSTATUS_REGISTERS = 112,
	PRSTATUS_PID_32 = 24, // of 32-bit machines: pid, ppid, pgrp and sid follow each other too
	PRPSINFO_SIZE = 136,
	PRPSINFO_UID = 16,
	PRPSINFO_PID = 24,
	PRPSINFO_NAME = 40,
	PRPSINFO_NAME_SIZE = 16,
	PRPSINFO_ARGUMENTS = 56,
	PRPSINFO_ARGUMENTS_SIZE = 80,
	PRPSINFO_SIZE_32 = 124, // 16-bit uids
	PRPSINFO_NAME_32 = 28,
};
enum { LAYOUT_ENTRY_SIZE = 16 }; // type, size, offset, flags

static void complain(const struct strobe_view *view, uint64_t offset, const char *what)
{
	view_warn(view, "%s: damaged: %s at file offset 0x%" PRIx64, view->info.source_path, what,
		  offset);
}

static int read_int(const uint8_t *bytes)
{
	return (int32_t)elf_number(bytes, 4);
}

static struct strobe_error *read_prstatus(struct strobe_view *view, const struct elf_note *note,
					  uint64_t offset)
{
	bool wide = view->word_bytes == 8;
	uint32_t pid_at = wide ? PRSTATUS_PID : PRSTATUS_PID_32;
	if (note->size < pid_at + 16) {
		complain(view, offset, "an NT_PRSTATUS note that is too short");
		return NULL;
	}
	struct strobe_thread thread = view_thread(read_int(note->data + pid_at));
	struct register_blocks blocks = {0};
	if (view->is_x86_64 && note->size >= PRSTATUS_REGISTERS + USER_REGISTERS_SIZE) {
		blocks.general = note->data + PRSTATUS_REGISTERS;
		thread.has_registers = true;
		thread.pc = elf_number(blocks.general + USER_RIP, 8);
		thread.sp = elf_number(blocks.general + USER_RSP, 8);
	} else if (view->is_x86_64) {
		complain(view, offset, "an NT_PRSTATUS note without registers");
	}
	if (!view->threads.count) {
		int number = (int16_t)elf_number(note->data + PRSTATUS_SIGNAL, 2);
		// The kernel writes the fatal signal into every thread; the first is who took it.
		thread.signal = signal_from_number(number);
		view->info.ppid = read_int(note->data + pid_at + 4);
		view->info.pgid = read_int(note->data + pid_at + 8);
		view->info.sid = read_int(note->data + pid_at + 12);
	}
	if (!array_push(&view->threads, thread) || !array_push(&view->registers, blocks))
		return error_no_memory();
	return NULL;
}

static const char *copy_field(struct strobe_view *view, const uint8_t *bytes, size_t size)
{
	size_t length = strnlen((const char *)bytes, size);
	while (length && bytes[length - 1] == ' ') // the kernel ends arguments with a space
		length--;
	return length ? arena_copy_string(&view->arena, (const char *)bytes, length) : NULL;
}

static void read_prpsinfo(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	struct strobe_process_info *info = &view->info;
	bool wide = view->word_bytes == 8;
	if (note->size < (wide ? PRPSINFO_SIZE : PRPSINFO_SIZE_32)) {
		complain(view, offset, "an NT_PRPSINFO note that is too short");
		return;
	}
	const uint8_t *ids = note->data + (wide ? PRPSINFO_PID : 12);
	const uint8_t *name = note->data + (wide ? PRPSINFO_NAME : PRPSINFO_NAME_32);
	unsigned id_size = wide ? 4 : 2;
	const uint8_t *users = note->data + (wide ? PRPSINFO_UID : 8);
	info->state = (char)note->data[1] >= ' ' ? (char)note->data[1] : 0;
	info->uid = (int64_t)elf_number(users, id_size);
	info->gid = (int64_t)elf_number(users + id_size, id_size);
	info->pid = read_int(ids);
	info->ppid = read_int(ids + 4);
	info->pgid = read_int(ids + 8);
	info->sid = read_int(ids + 12);
	info->name = copy_field(view, name, PRPSINFO_NAME_SIZE);
	info->command = copy_field(view, name + PRPSINFO_NAME_SIZE, PRPSINFO_ARGUMENTS_SIZE);
}

struct strobe_error *auxv_read(struct strobe_view *view, const uint8_t *data, uint64_t size)
{
	unsigned word = view->word_bytes;
	for (uint64_t at = 0; at + 2 * word <= size; at += 2 * word) {
		struct auxv_entry entry = {elf_number(data + at, word),
					   elf_number(data + at + word, word)};
		if (entry.type == AT_NULL)
			break;
		if (entry.type == AT_PAGESZ && entry.value && entry.value <= 1 << 20)
			view->info.page_size_bytes = (uint32_t)entry.value;
		if (!array_push(&view->auxv, entry))
			return error_no_memory();
	}
	return NULL;
}

/** NT_FILE: count, page size, count times (start, end, offset in pages), then count names. */
static struct strobe_error *read_files(struct strobe_view *view, const struct elf_note *note,
				       uint64_t offset)
{
	unsigned word = view->word_bytes;
	if (note->size < 2 * word) {
		complain(view, offset, "an NT_FILE note that is too short");
		return NULL;
	}
	uint64_t count = elf_number(note->data, word);
	uint64_t page = elf_number(note->data + word, word);
	uint64_t room = (note->size - 2 * word) / (3 * word);
	if (count > room || !page) {
		complain(view, offset, "an NT_FILE note with a wrong count");
		count = count > room ? 0 : count; // where names begin is not known
	}
	view->files_listed = count > 0;
	const char *name = (const char *)note->data + 2 * word + count * 3 * word;
	const char *end = (const char *)note->data + note->size;
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *entry = note->data + 2 * word + i * 3 * word;
		size_t length = strnlen(name, (size_t)(end - name));
		if (name == end || length == (size_t)(end - name)) {
			complain(view, offset, "an NT_FILE note whose names are cut off");
			return NULL;
		}
		struct file_range range = {
			.start = elf_number(entry, word),
			.end = elf_number(entry + word, word),
		};
		if (__builtin_mul_overflow(elf_number(entry + 2 * word, word), page,
					   &range.offset_bytes))
			complain(view, offset, "an NT_FILE note with an impossible file offset");
		else if (range.start >= range.end)
			complain(view, offset, "an NT_FILE note with an empty range");
		else if (range.path = name, !array_push(&view->ranges, range))
			return error_no_memory();
		name += length + 1;
	}
	return NULL;
}

static void read_siginfo(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	struct strobe_signal signal;
	if (!view->threads.count)
		return;
	if (!signal_from_siginfo(note->data, note->size, view->word_bytes == 8, &signal)) {
		complain(view, offset, "an NT_SIGINFO note that is too short");
		return;
	}
	struct strobe_thread *thread = &view->threads.items[view->threads.count - 1];
	if (signal.number)
		thread->signal = signal;
}

/** Notes on a thread follow its NT_PRSTATUS. */
static void read_extended(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	struct register_blocks *blocks =
		view->registers.count ? &view->registers.items[view->registers.count - 1] : NULL;
	if (!blocks || !view->is_x86_64)
		return;
	if (note->size < XSAVE_HEADER_END) {
		complain(view, offset, "an NT_X86_XSTATE note that is too short");
		return;
	}
	blocks->xsave = note->data;
	blocks->xsave_size = note->size;
}

static void read_fpregset(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	if (!view->registers.count || !view->is_x86_64)
		return;
	if (note->size < FXSAVE_SIZE)
		complain(view, offset, "an NT_FPREGSET note that is too short");
	else
		view->registers.items[view->registers.count - 1].fxsave = note->data;
}

static struct strobe_error *read_layout(struct strobe_view *view, const struct elf_note *note)
{
	struct xsave_layout *layout = arena_alloc(&view->arena, sizeof(*layout));
	if (!layout)
		return error_no_memory();
	for (uint32_t at = 0; at + LAYOUT_ENTRY_SIZE <= note->size; at += LAYOUT_ENTRY_SIZE) {
		uint64_t type = elf_number(note->data + at, 4);
		if (type >= XSAVE_COMPONENT_COUNT)
			continue;
		layout->components[type].size = (uint32_t)elf_number(note->data + at + 4, 4);
		layout->components[type].offset = (uint32_t)elf_number(note->data + at + 8, 4);
	}
	view->xsave_layout = layout;
	return NULL;
}

static struct strobe_error *read_note(struct strobe_view *view, const struct elf_note *note,
				      uint64_t offset)
{
	if (elf_note_is(note, "LINUX")) {
		if (note->type == NT_X86_XSTATE)
			read_extended(view, note, offset);
		else if (note->type == NT_X86_XSAVE_LAYOUT)
			return read_layout(view, note);
		return NULL;
	}
	if (elf_note_is(note, STROBE_NOTE_NAME))
		return strobe_note_read(view, note, offset);
	if (!elf_note_is(note, "CORE"))
		return NULL;
	switch (note->type) {
	case NT_PRSTATUS:
		return read_prstatus(view, note, offset);
	case NT_FPREGSET:
		read_fpregset(view, note, offset);
		return NULL;
	case NT_PRPSINFO:
		read_prpsinfo(view, note, offset);
		return NULL;
	case NT_SIGINFO:
		read_siginfo(view, note, offset);
		return NULL;
	case NT_AUXV:
		return view->auxv.count ? NULL : auxv_read(view, note->data, note->size);
	case NT_FILE:
		return view->ranges.count ? NULL : read_files(view, note, offset);
	default:
		return NULL;
	}
}

static bool keep_note(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	struct raw_note raw = {
		.type = note->type,
		.name = note->name,
		.name_size = note->name_size,
		.data = note->data,
		.size = note->size,
		.file_offset = offset,
		.thread_index = view->threads.count - 1,
	};
	return array_push(&view->notes, raw);
}

/** What follows from all notes together. */
static void conclude(struct strobe_view *view)
{
	struct strobe_process_info *info = &view->info;
	if (info->pid < 0 && view->threads.count == 1)
		info->pid = view->threads.items[0].tid;
	for (size_t i = 0; i < view->threads.count; i++) {
		view->registers.items[i].layout = view->xsave_layout;
		if (view->threads.items[i].tid == info->pid) {
			view->threads.items[i].name = info->name;
			if (!view->threads.items[i].state)
				view->threads.items[i].state = info->state;
		}
	}
	if (view->threads.count && view->threads.items[0].signal.number) {
		info->signal = view->threads.items[0].signal;
		info->signal_tid = view->threads.items[0].tid;
	}
}

struct strobe_error *notes_read(struct strobe_view *view, const uint8_t *data, uint64_t size,
				uint64_t align, uint64_t file_offset)
{
	struct elf_note_walk walk = {.data = data, .size = size, .align = align};
	struct elf_note note;
	struct strobe_error *error = NULL;
	while (!error && elf_note_next(&walk, &note)) {
		view_touched(view, note.data, note.size);
		error = read_note(view, &note, file_offset + note.offset);
		if (!error && !keep_note(view, &note, file_offset + note.offset))
			error = error_no_memory();
	}
	if (error)
		return error;
	if (walk.damaged)
		complain(view, file_offset + walk.position, "a note that does not fit");
	conclude(view);
	return NULL;
}
