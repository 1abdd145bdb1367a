// SPDX-License-Identifier: Apache-2.0
#include "elf/strobe_note.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "core/core.h"
#include "core/descriptors.h"
#include "core/proc.h"
#include "view/signals.h"

static const uint32_t redacted_matches = UINT32_C(1) << 31;

static void complain(const struct strobe_view *view, uint64_t offset, const char *what)
{
	view_warn(view, "%s: damaged: a note with %s at file offset 0x%" PRIx64,
		  view->info.source_path, what, offset);
}

/** Copies the structure that a note begins with; later versions may have more. */
static bool take(const struct strobe_view *view, const struct elf_note *note, uint64_t offset,
		 void *ret, size_t size, const char *what)
{
	if (note->size < size) {
		view_warn(view,
			  "%s: damaged: a note with %s that is too short at file offset 0x%" PRIx64,
			  view->info.source_path, what, offset);
		return false;
	}
	memcpy(ret, note->data, size);
	return true;
}

/** The string at `*at` in a note, which is left behind; NULL if it does not end there. */
static const char *take_string(const struct elf_note *note, size_t *at)
{
	const char *text = (const char *)note->data + *at;
	size_t length = strnlen(text, note->size - *at);
	if (length == note->size - *at)
		return NULL;
	*at += length + 1;
	return text;
}

/** True if [offset, offset + size) lies in the source. */
static bool in_source(const struct strobe_view *view, uint64_t offset, uint64_t size)
{
	return offset <= view->source_size && size <= view->source_size - offset;
}

static const char *id_text(struct strobe_view *view, const uint8_t id[STROBE_ID_SIZE])
{
	static const char digits[] = "0123456789abcdef";
	char text[2 * STROBE_ID_SIZE];
	for (size_t i = 0; i < STROBE_ID_SIZE; i++) {
		text[2 * i] = digits[id[i] >> 4];
		text[2 * i + 1] = digits[id[i] & 15];
	}
	return arena_copy_string(&view->arena, text, sizeof(text));
}

static int64_t known_time(uint64_t time_ns)
{
	return time_ns && time_ns <= INT64_MAX ? (int64_t)time_ns : -1;
}

static void read_capture(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	enum { METHOD_CRASH = 3 };
	static const char *const methods[] = {NULL, "clone", "copy", "crash"};
	static const char *const contents[] = {"changed", "full", "stacks", "reachable"};
	struct strobe_note_capture raw;
	struct strobe_capture *capture = &view->facts.capture;
	if (!take(view, note, offset, &raw, sizeof(raw), "how it was taken"))
		return;
	view->facts.captured = true;
	memcpy(view->facts.id, raw.id, sizeof(raw.id));
	capture->id = id_text(view, raw.id);
	capture->method = raw.method < 4 ? methods[raw.method] : NULL;
	capture->contents = raw.contents < 4 ? contents[raw.contents] : NULL;
	capture->time_ns = known_time(raw.realtime_ns);
	capture->boot_time_ns = known_time(raw.boottime_ns);
	// Who crashed did not run on.
	bool paused = raw.pause_ns <= INT64_MAX && raw.method != METHOD_CRASH;
	capture->pause_ns = paused ? (int64_t)raw.pause_ns : -1;
	capture->redacted = raw.redacted & ~redacted_matches;
	capture->redacted_matches = raw.redacted & redacted_matches;
	view->info.source_kind = "snapshot";
	view->info.source_maker = "strobe";
	if (capture->time_ns >= 0) {
		view->info.time_ns = capture->time_ns;
		view->info.time_is_file_time = false;
	}
	if (raw.contents > 1) // STROBE_CONTENTS_STACKS, _REACHABLE: changed memory may be missing
		view->parts_dumped = true;
}

static struct strobe_error *read_proc_file(struct strobe_view *view, const struct elf_note *note,
					   uint64_t offset)
{
	size_t at = 0;
	const char *name = take_string(note, &at);
	if (!name || !*name) {
		complain(view, offset, "a file of /proc that has no name");
		return NULL;
	}
	struct proc_file file = {name, (const char *)note->data + at, note->size - at};
	return array_push(&view->facts.proc_files, file) ? NULL : error_no_memory();
}

/** The thread that a note is on: the last NT_PRSTATUS's, or one without registers. */
static struct strobe_thread *find_thread(struct strobe_view *view, int tid)
{
	size_t count = view->threads.count;
	if (count && view->threads.items[count - 1].tid == tid)
		return &view->threads.items[count - 1];
	if (!array_push(&view->threads, view_thread(tid)))
		return NULL;
	if (!array_push(&view->registers, (struct register_blocks){0})) {
		view->threads.count--;
		return NULL;
	}
	return &view->threads.items[count];
}

static struct strobe_error *read_thread(struct strobe_view *view, const struct elf_note *note,
					uint64_t offset)
{
	struct strobe_note_thread raw;
	if (!take(view, note, offset, &raw, sizeof(raw), "a thread"))
		return NULL;
	struct strobe_thread *thread = find_thread(view, raw.tid);
	if (!thread)
		return error_no_memory();
	thread->not_stopped = raw.flags & STROBE_THREAD_NOT_STOPPED;
	if (thread->not_stopped && !thread->pc && !thread->sp)
		thread->has_registers = false;
	thread->in_system_call = (raw.flags & STROBE_THREAD_IN_SYSCALL) != 0;
	thread->cpu = raw.cpu >= 0 ? raw.cpu : -1;
	thread->state = raw.state > ' ' && raw.state < 127 ? (char)raw.state : 0;
	thread->signals_known = raw.flags & STROBE_THREAD_SIGNALS_KNOWN;
	thread->blocked = thread->signals_known ? raw.blocked : 0;
	thread->pending = thread->signals_known ? raw.pending : 0;
	thread->robust_list_known = raw.flags & STROBE_THREAD_ROBUST_KNOWN;
	thread->robust_list = thread->robust_list_known ? raw.robust_list : 0;
	thread->robust_list_size_bytes = thread->robust_list_known ? raw.robust_list_size : 0;
	thread->rseq_known = raw.flags & STROBE_THREAD_RSEQ_KNOWN;
	thread->rseq = thread->rseq_known ? raw.rseq_address : 0;
	thread->rseq_size_bytes = thread->rseq_known ? raw.rseq_size : 0;
	thread->rseq_signature = thread->rseq_known ? raw.rseq_signature : 0;
	return NULL;
}

static struct strobe_error *read_descriptor(struct strobe_view *view, const struct elf_note *note,
					    uint64_t offset)
{
	struct strobe_note_descriptor raw;
	size_t at = sizeof(raw);
	if (!take(view, note, offset, &raw, sizeof(raw), "a descriptor"))
		return NULL;
	const char *link = take_string(note, &at);
	const char *text = link ? take_string(note, &at) : NULL;
	const char *peer = text ? take_string(note, &at) : NULL;
	if (!peer) // what there is of it is shown
		complain(view, offset, "a descriptor whose text does not end");
	struct strobe_descriptor descriptor = {
		.fd = raw.fd,
		.mode = raw.mode,
		.type = descriptor_type(&view->arena, link ? link : "", raw.mode),
		.path = link && *link ? link : NULL,
		.info = text && *text ? text : NULL,
		.peer = peer && *peer ? peer : NULL,
		.flags = -1,
		.position = -1,
	};
	if (text)
		descriptor_parse_info(text, &descriptor.position, &descriptor.flags);
	view->descriptors_known = true;
	return array_push(&view->descriptors, descriptor) ? NULL : error_no_memory();
}

static struct strobe_error *read_not_atomic(struct strobe_view *view, const struct elf_note *note,
					    uint64_t offset)
{
	struct strobe_note_range raw;
	size_t at = sizeof(raw);
	if (!take(view, note, offset, &raw, sizeof(raw), "a range that is not atomic"))
		return NULL;
	struct strobe_not_atomic range = {raw.start, raw.end, take_string(note, &at)};
	if (!range.why || range.start >= range.end) {
		complain(view, offset,
			 "a range that is not atomic and no range, or without a reason");
		return NULL;
	}
	return array_push(&view->facts.not_atomic, range) ? NULL : error_no_memory();
}

static struct strobe_error *read_extents(struct strobe_view *view, const struct elf_note *note,
					 uint64_t offset)
{
	struct strobe_note_extent extent;
	size_t count = note->size / sizeof(extent), bad = 0;
	if (!array_reserve(&view->facts.extents, view->facts.extents.count + count))
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		memcpy(&extent, note->data + i * sizeof(extent), sizeof(extent));
		if (extent.start >= extent.end || !extent.kind)
			bad++;
		else if (!array_push(&view->facts.extents, extent))
			return error_no_memory();
	}
	if (bad || note->size % sizeof(extent))
		complain(view, offset, "extents of which some are none");
	return NULL;
}

static void read_parent(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	struct strobe_note_parent raw;
	size_t at = sizeof(raw);
	if (!take(view, note, offset, &raw, sizeof(raw), "the snapshot that this one builds on"))
		return;
	struct snapshot_parent *parent = &view->facts.parent;
	parent->known = true;
	memcpy(parent->id, raw.id, sizeof(raw.id));
	parent->path = take_string(note, &at);
	if (!parent->path) {
		complain(view, offset, "a parent whose path does not end");
		parent->path = "";
	}
	view->facts.capture.parent_id = id_text(view, raw.id);
	view->facts.capture.parent_path = *parent->path ? parent->path : NULL;
}

static void read_page_hashes(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	struct strobe_note_page_hashes raw;
	uint64_t table, data;
	if (!take(view, note, offset, &raw, sizeof(raw), "the place of page hashes"))
		return;
	if (raw.kind != 1 || !raw.page_count)
		return; // of a later version, or none
	if (raw.page_size < 4096 || raw.page_size & (raw.page_size - 1) ||
	    __builtin_mul_overflow(raw.page_count, 8, &table) ||
	    __builtin_mul_overflow(raw.page_count, raw.page_size, &data) ||
	    !in_source(view, raw.table_offset, table) || !in_source(view, raw.data_offset, data))
		complain(view, offset, "page hashes that are not all in the file");
	else
		view->facts.page_hashes = raw;
}

static struct strobe_error *read_embedded(struct strobe_view *view, const struct elf_note *note,
					  uint64_t offset)
{
	struct strobe_note_embedded raw;
	size_t at = sizeof(raw);
	if (!take(view, note, offset, &raw, sizeof(raw), "an embedded file"))
		return NULL;
	const char *build_id = take_string(note, &at);
	const char *path = build_id ? take_string(note, &at) : NULL;
	if (!path) {
		complain(view, offset, "an embedded file whose name does not end");
		return NULL;
	}
	if (!in_source(view, raw.offset, raw.size)) {
		view_warn(view, "%s: truncated: the embedded file %s is not all in it",
			  view->info.source_path, path);
		return NULL;
	}
	struct embedded_file file = {raw.offset, raw.size, (enum strobe_embedded_kind)raw.kind,
				     *build_id ? build_id : NULL, path};
	return array_push(&view->facts.embedded, file) ? NULL : error_no_memory();
}

static struct strobe_error *read_signal(struct strobe_view *view, const struct elf_note *note,
					uint64_t offset)
{
	struct strobe_note_signal raw;
	struct strobe_queued_signal queued = {0};
	if (!take(view, note, offset, &raw, sizeof(raw), "a queued signal"))
		return NULL;
	if (!signal_from_siginfo(note->data + sizeof(raw), note->size - sizeof(raw), true,
				 &queued.signal)) {
		complain(view, offset, "a queued signal that is too short");
		return NULL;
	}
	queued.tid = raw.tid;
	return array_push(&view->facts.queued_signals, queued) ? NULL : error_no_memory();
}

static void read_frozen(struct strobe_view *view, const struct elf_note *note, uint64_t offset)
{
	struct strobe_note_frozen raw;
	if (take(view, note, offset, &raw, sizeof(raw), "a frozen process") && raw.pid > 0)
		view->facts.frozen_pid = raw.pid;
}

struct strobe_error *strobe_note_read(struct strobe_view *view, const struct elf_note *note,
				      uint64_t file_offset)
{
	switch (note->type) {
	case NT_STROBE_CAPTURE:
		read_capture(view, note, file_offset);
		return NULL;
	case NT_STROBE_PROC_FILE:
		return read_proc_file(view, note, file_offset);
	case NT_STROBE_THREAD:
		return read_thread(view, note, file_offset);
	case NT_STROBE_DESCRIPTOR:
		return read_descriptor(view, note, file_offset);
	case NT_STROBE_NOT_ATOMIC:
		return read_not_atomic(view, note, file_offset);
	case NT_STROBE_EXTENTS:
		return read_extents(view, note, file_offset);
	case NT_STROBE_PARENT:
		read_parent(view, note, file_offset);
		return NULL;
	case NT_STROBE_PAGE_HASHES:
		read_page_hashes(view, note, file_offset);
		return NULL;
	case NT_STROBE_EMBEDDED:
		return read_embedded(view, note, file_offset);
	case NT_STROBE_SIGNAL:
		return read_signal(view, note, file_offset);
	case NT_STROBE_FROZEN:
		read_frozen(view, note, file_offset);
		return NULL;
	default:
		return NULL; // of a later version
	}
}
