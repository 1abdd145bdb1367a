// SPDX-License-Identifier: Apache-2.0
// Minidumps of Linux processes. The format: Breakpad's minidump_format.h and Microsoft's
// minidumpapiset.h; what LLDB adds to them: its MinidumpTypes.h.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "core/core.h"
#include "core/proc.h"
#include "view/signals.h"

enum stream {
	STREAM_THREADS = 3,
	STREAM_MODULES = 4,
	STREAM_MEMORY = 5,
	STREAM_EXCEPTION = 6,
	STREAM_SYSTEM = 7,
	STREAM_MEMORY_64 = 9,
	STREAM_MISC = 15,
	STREAM_THREAD_NAMES = 24,
	STREAM_LINUX_STATUS = 0x47670004,
	STREAM_LINUX_COMMAND = 0x47670006,
	STREAM_LINUX_AUXV = 0x47670008,
	STREAM_LINUX_MAPS = 0x47670009,
	STREAM_LLDB = 0x4c4c4442, // "this is LLDB's"; also in an exception's flags
};

enum {
	HEADER_SIZE = 32,
	DIRECTORY_ENTRY = 12,
	THREAD_SIZE = 48,
	THREAD_CONTEXT = 40,
	MODULE_SIZE = 108,
	MODULE_NAME = 20,
	MODULE_RECORD = 76,
	RECORD_BUILD_ID = 0x4270454c, // "LEpB": an ELF build id follows
	EXCEPTION_SIZE = 168,
	EXCEPTION_TEXT = 40,
	EXCEPTION_TEXT_SIZE = 120,
	MACHINE_X86_64 = 9,
	MACHINE_ARM64 = 12,
	MAX_STREAMS = 1024,
	MAX_NAME = 4096,
};

// CONTEXT of x86-64.
enum {
	CONTEXT_FLAGS = 48,
	CONTEXT_SEGMENTS = 56, // cs ds es fs gs ss, 16 bits each
	CONTEXT_EFLAGS = 68,
	CONTEXT_RAX = 120, // then rcx rdx rbx rsp rbp rsi rdi r8-r15 rip
	CONTEXT_FXSAVE = 256,
	CONTEXT_FULL = 1232, // as everybody but LLDB writes it
	FLAG_FLOATING = 8,
	FLAG_LLDB = 0x80, // of the top byte: fs_base and gs_base end the structure
};

enum { ORIG_RAX_WORD = 120 / 8, FS_BASE_WORD = 168 / 8 }; // of user_regs_struct

struct dump {
	struct strobe_view *view;
	const uint8_t *data;
	uint64_t size;
	int exception_tid; // -1 = none
};

struct part {
	const uint8_t *bytes;
	uint64_t size;
};

bool minidump_is(const struct file *file)
{
	return file->size >= HEADER_SIZE && memcmp(file->data, "MDMP", 4) == 0;
}

static bool find_part(const struct dump *dump, uint64_t offset, uint64_t size, struct part *ret)
{
	if (offset > dump->size || size > dump->size - offset)
		return false;
	*ret = (struct part){dump->data + offset, size};
	return true;
}

static void complain(const struct dump *dump, const char *what, uint64_t offset)
{
	view_warn(dump->view, "%s: damaged or truncated: %s at file offset 0x%" PRIx64,
		  dump->view->info.source_path, what, offset);
}

/** The items of a stream that begins with a count of `head` bytes; clipped to what is there. */
static uint64_t count_items(const struct dump *dump, const struct part *part, unsigned count_size,
			    unsigned head, unsigned item, const char *what)
{
	if (part->size < head) {
		complain(dump, what, (uint64_t)(part->bytes - dump->data));
		return 0;
	}
	uint64_t count = elf_number(part->bytes, count_size);
	uint64_t room = (part->size - head) / item;
	if (count > room) {
		complain(dump, what, (uint64_t)(part->bytes - dump->data));
		count = room;
	}
	return count;
}

/** A length-prefixed UTF-16 string as UTF-8 in the arena; NULL if it is not in the file. */
static const char *read_string(const struct dump *dump, uint64_t offset)
{
	struct part part;
	char text[MAX_NAME];
	size_t used = 0;
	if (!find_part(dump, offset, 4, &part))
		return NULL;
	uint64_t size = elf_number(part.bytes, 4);
	if (!find_part(dump, offset + 4, size, &part))
		return NULL;
	for (uint64_t at = 0; at + 2 <= size && used < sizeof(text) - 4; at += 2) {
		unsigned c = (unsigned)elf_number(part.bytes + at, 2);
		if (!c)
			break;
		if (c < 0x80) {
			text[used++] = (char)c;
		} else if (c < 0x800) {
			text[used++] = (char)(0xc0 | c >> 6);
			text[used++] = (char)(0x80 | (c & 63));
		} else {
			text[used++] = (char)(0xe0 | c >> 12);
			text[used++] = (char)(0x80 | (c >> 6 & 63));
			text[used++] = (char)(0x80 | (c & 63));
		}
	}
	return arena_copy_string(&dump->view->arena, text, used);
}

/** Turns a CONTEXT into the registers that Linux would have written. */
static bool convert_context(const struct dump *dump, const struct part *context,
			    struct register_blocks *ret)
{
	// Offsets in user_regs_struct of rax rcx rdx rbx rsp rbp rsi rdi r8-r15 rip.
	static const uint8_t places[] = {80, 88, 96, 40, USER_RSP, 32, 104, 112,     72,
					 64, 56, 48, 24, 16,	   8,  0,   USER_RIP};
	// cs ds es fs gs ss
	static const uint8_t segments[] = {136, 184, 192, 200, 208, 160};
	if (context->size < CONTEXT_FXSAVE)
		return false;
	uint8_t *general = arena_alloc(&dump->view->arena, USER_REGISTERS_SIZE);
	if (!general)
		return false;
	for (size_t i = 0; i < sizeof(places); i++)
		memcpy(general + places[i], context->bytes + CONTEXT_RAX + 8 * i, 8);
	for (size_t i = 0; i < sizeof(segments); i++)
		memcpy(general + segments[i], context->bytes + CONTEXT_SEGMENTS + 2 * i, 2);
	memcpy(general + 144, context->bytes + CONTEXT_EFLAGS, 4);
	ret->general_missing = 1u << ORIG_RAX_WORD;
	if (context->bytes[CONTEXT_FLAGS + 3] & FLAG_LLDB)
		memcpy(general + 168, context->bytes + context->size - 16, 16);
	else
		ret->general_missing |= 3u << FS_BASE_WORD; // and gs_base
	ret->general = general;
	if (context->bytes[CONTEXT_FLAGS] & FLAG_FLOATING && context->size >= CONTEXT_FULL)
		ret->fxsave = context->bytes + CONTEXT_FXSAVE;
	return true;
}

static struct strobe_error *read_threads(struct dump *dump, const struct part *part)
{
	struct strobe_view *view = dump->view;
	uint64_t count = count_items(dump, part, 4, 4, THREAD_SIZE, "its list of threads");
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *item = part->bytes + 4 + i * THREAD_SIZE;
		struct register_blocks blocks = {0};
		struct part context;
		struct strobe_thread thread = view_thread((int32_t)elf_number(item, 4));
		uint64_t context_at = elf_number(item + THREAD_CONTEXT + 4, 4);
		if (!view->is_x86_64)
			; // registers of others are not read
		else if (find_part(dump, context_at, elf_number(item + THREAD_CONTEXT, 4),
				   &context) &&
			 convert_context(dump, &context, &blocks))
			thread.has_registers = true;
		else
			complain(dump, "a thread's registers", context_at);
		if (thread.has_registers) {
			thread.pc = elf_number(blocks.general + USER_RIP, 8);
			thread.sp = elf_number(blocks.general + USER_RSP, 8);
		}
		if (!array_push(&view->threads, thread) || !array_push(&view->registers, blocks))
			return error_no_memory();
	}
	return NULL;
}

static struct strobe_error *read_modules(struct dump *dump, const struct part *part)
{
	static const char digits[] = "0123456789abcdef";
	struct strobe_view *view = dump->view;
	uint64_t count = count_items(dump, part, 4, 4, MODULE_SIZE, "its list of modules");
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *item = part->bytes + 4 + i * MODULE_SIZE;
		struct module_hint hint = {.start = elf_number(item, 8)};
		struct part record;
		hint.path = read_string(dump, elf_number(item + MODULE_NAME, 4));
		if (find_part(dump, elf_number(item + MODULE_RECORD + 4, 4),
			      elf_number(item + MODULE_RECORD, 4), &record) &&
		    record.size > 4 && record.size <= 4 + (ELF_BUILD_ID_TEXT - 1) / 2 &&
		    elf_number(record.bytes, 4) == RECORD_BUILD_ID) {
			char id[ELF_BUILD_ID_TEXT];
			size_t size = record.size - 4;
			for (size_t k = 0; k < size; k++) {
				id[2 * k] = digits[record.bytes[4 + k] >> 4];
				id[2 * k + 1] = digits[record.bytes[4 + k] & 15];
			}
			hint.build_id = arena_copy_string(&view->arena, id, 2 * size);
		}
		if (!array_push(&view->hints, hint))
			return error_no_memory();
	}
	return NULL;
}

static struct strobe_error *add_memory(struct dump *dump, uint64_t start, uint64_t size,
				       uint64_t offset)
{
	struct strobe_view *view = dump->view;
	if (size > UINT64_MAX - start)
		size = UINT64_MAX - start;
	uint64_t held = offset < dump->size ? dump->size - offset : 0;
	if (held > size)
		held = size;
	if (held < size)
		complain(dump, "the end of a stretch of memory", offset);
	struct segment present = {.start = start, .end = start + held};
	if (held)
		present.data = dump->data + offset;
	struct segment lost = {.start = start + held,
			       .end = start + size,
			       .why = "cut off: the minidump ends before it"};
	if ((held && !array_push(&view->segments, present)) ||
	    (held < size && !array_push(&view->segments, lost)))
		return error_no_memory();
	return NULL;
}

static struct strobe_error *read_memory(struct dump *dump, const struct part *part)
{
	struct strobe_error *error = NULL;
	uint64_t count = count_items(dump, part, 4, 4, 16, "its list of memory");
	for (uint64_t i = 0; !error && i < count; i++) {
		const uint8_t *item = part->bytes + 4 + 16 * i;
		error = add_memory(dump, elf_number(item, 8), elf_number(item + 8, 4),
				   elf_number(item + 12, 4));
	}
	return error;
}

static struct strobe_error *read_memory_64(struct dump *dump, const struct part *part)
{
	struct strobe_error *error = NULL;
	uint64_t count = count_items(dump, part, 8, 16, 16, "its list of memory");
	uint64_t offset = count ? elf_number(part->bytes + 8, 8) : 0;
	for (uint64_t i = 0; !error && i < count; i++) {
		const uint8_t *item = part->bytes + 16 + 16 * i;
		uint64_t size = elf_number(item + 8, 8);
		error = add_memory(dump, elf_number(item, 8), size, offset);
		if (__builtin_add_overflow(offset, size, &offset))
			break;
	}
	return error;
}

/** LLDB tells code and address in words alone: "address not mapped to object (fault address=0x10)". */
static void read_fault_text(const uint8_t *bytes, struct strobe_signal *signal)
{
	static const char mark[] = "fault address";
	char text[EXCEPTION_TEXT_SIZE + 1];
	uint8_t info[24] = {0}; // as a siginfo_t would have told it
	int code = 0;
	memcpy(text, bytes, EXCEPTION_TEXT_SIZE);
	text[EXCEPTION_TEXT_SIZE] = '\0';
	if (strstr(text, "address not mapped"))
		code = 1; // SEGV_MAPERR
	else if (strstr(text, "invalid permissions"))
		code = 2; // SEGV_ACCERR
	info[0] = (uint8_t)signal->number;
	info[8] = (uint8_t)code;
	if (code)
		signal_from_siginfo(info, sizeof(info), true, signal);
	const char *at = strstr(text, mark);
	at = at ? strstr(at, "0x") : NULL;
	signal->has_address = at && sscanf(at, "0x%" SCNx64, &signal->address) == 1;
}

static void read_exception(struct dump *dump, const struct part *part)
{
	struct strobe_view *view = dump->view;
	if (part->size < EXCEPTION_SIZE - 8) {
		complain(dump, "its exception", (uint64_t)(part->bytes - dump->data));
		return;
	}
	// The signal's number is the code on Linux; Crashpad and Breakpad mark a dump without one.
	int number = (int32_t)elf_number(part->bytes + 8, 4);
	uint32_t flags = (uint32_t)elf_number(part->bytes + 12, 4);
	struct strobe_signal signal = signal_from_number(number);
	if (!signal.number)
		return;
	if (flags == STREAM_LLDB) {
		read_fault_text(part->bytes + EXCEPTION_TEXT, &signal);
	} else {
		uint8_t info[24] = {0}; // as a siginfo_t would have told it
		memcpy(info, &number, 4);
		memcpy(info + 8, &flags, 4);
		memcpy(info + 16, part->bytes + 24, 8);
		struct strobe_signal whole;
		if (signal_from_siginfo(info, sizeof(info), true, &whole))
			signal = whole;
		signal.sender_pid = 0;
		signal.sender_uid = -1;
	}
	dump->exception_tid = (int32_t)elf_number(part->bytes, 4);
	view->info.signal = signal;
	view->info.signal_tid = dump->exception_tid;
}

static void read_system(struct dump *dump, const struct part *part)
{
	struct strobe_view *view = dump->view;
	unsigned machine = part->size >= 2 ? (unsigned)elf_number(part->bytes, 2) : 0xffff;
	view->is_x86_64 = machine == MACHINE_X86_64;
	view->info.machine = view->is_x86_64		? "x86_64"
			     : machine == MACHINE_ARM64 ? "aarch64"
							: "machine of an unknown kind";
	if (!view->is_x86_64)
		view_warn(view, "%s: a minidump of %s: registers are read for x86_64 alone",
			  view->info.source_path, view->info.machine);
}

static void read_names(struct dump *dump, const struct part *part)
{
	uint64_t count = count_items(dump, part, 4, 4, 12, "its list of thread names");
	for (uint64_t i = 0; i < count; i++) {
		const uint8_t *item = part->bytes + 4 + 12 * i;
		int tid = (int32_t)elf_number(item, 4);
		for (size_t k = 0; k < dump->view->threads.count; k++)
			if (dump->view->threads.items[k].tid == tid)
				dump->view->threads.items[k].name =
					read_string(dump, elf_number(item + 4, 8));
	}
}

static struct strobe_error *read_stream(struct dump *dump, enum stream type,
					const struct part *part)
{
	struct strobe_view *view = dump->view;
	const char *text = (const char *)part->bytes;
	switch (type) {
	case STREAM_THREADS:
		return read_threads(dump, part);
	case STREAM_MODULES:
		return read_modules(dump, part);
	case STREAM_MEMORY:
		return read_memory(dump, part);
	case STREAM_MEMORY_64:
		return read_memory_64(dump, part);
	case STREAM_EXCEPTION:
		read_exception(dump, part);
		return NULL;
	case STREAM_MISC:
		if (part->size >= 12 && part->bytes[4] & 1 && view->info.pid < 0)
			view->info.pid = (int32_t)elf_number(part->bytes + 8, 4);
		return NULL;
	case STREAM_THREAD_NAMES:
		read_names(dump, part);
		return NULL;
	case STREAM_LINUX_STATUS:
		return proc_read_status(view, text, part->size);
	case STREAM_LINUX_COMMAND:
		proc_read_command(view, text, part->size);
		return NULL;
	case STREAM_LINUX_AUXV:
		return view->auxv.count ? NULL : auxv_read(view, part->bytes, part->size);
	case STREAM_LINUX_MAPS:
		return view->areas.count ? NULL : proc_read_maps(view, text, part->size);
	case STREAM_LLDB:
		view->info.source_maker = "lldb";
		return NULL;
	case STREAM_SYSTEM:
		return NULL; // read first
	}
	return NULL;
}

/** Finds stream number `index` of the directory. */
static bool find_stream(const struct dump *dump, uint32_t index, enum stream *type,
			struct part *ret)
{
	uint64_t directory = elf_number(dump->data + 12, 4);
	struct part entry;
	if (!find_part(dump, directory + (uint64_t)index * DIRECTORY_ENTRY, DIRECTORY_ENTRY,
		       &entry)) {
		complain(dump, "its list of streams", directory);
		return false;
	}
	*type = (enum stream)elf_number(entry.bytes, 4);
	uint64_t offset = elf_number(entry.bytes + 8, 4);
	uint64_t size = elf_number(entry.bytes + 4, 4);
	*ret = (struct part){0};
	if (find_part(dump, offset, size, ret))
		return true;
	complain(dump, "a stream", offset);
	if (offset < dump->size)
		find_part(dump, offset, dump->size - offset, ret);
	return true;
}

/** Memory that no map covers gets areas of its own. */
static struct strobe_error *cover_memory(struct strobe_view *view)
{
	if (view->areas.count)
		return NULL;
	for (size_t i = 0; i < view->segments.count; i++) {
		const struct segment *segment = &view->segments.items[i];
		struct area area = {.start = segment->start,
				    .end = segment->end,
				    .permissions = STROBE_PERMISSION_READ};
		if (!array_push(&view->areas, area))
			return error_no_memory();
	}
	view_warn(view, "%s: holds no memory map: permissions and files are not known",
		  view->info.source_path);
	return NULL;
}

/** Cores have the thread first that took the signal: here too. */
static void conclude(struct dump *dump)
{
	struct strobe_view *view = dump->view;
	for (size_t i = 0; i < view->threads.count; i++) {
		struct strobe_thread *thread = &view->threads.items[i];
		if (thread->tid == view->info.pid && !thread->name)
			thread->name = view->info.name;
		if (thread->tid != dump->exception_tid)
			continue;
		thread->signal = view->info.signal;
		struct strobe_thread first = *thread;
		struct register_blocks blocks = view->registers.items[i];
		memmove(view->threads.items + 1, view->threads.items, i * sizeof(first));
		memmove(view->registers.items + 1, view->registers.items, i * sizeof(blocks));
		view->threads.items[0] = first;
		view->registers.items[0] = blocks;
	}
}

struct strobe_error *minidump_read(struct strobe_view *view)
{
	struct dump dump = {view, view->source->data, view->source->size, -1};
	struct strobe_error *error = NULL;
	uint64_t count = elf_number(dump.data + 8, 4);
	enum stream type;
	struct part part;
	view->info.source_kind = "minidump";
	view->info.machine = "machine of an unknown kind";
	view->info.time_ns = (int64_t)elf_number(dump.data + 20, 4) * 1000000000;
	view->info.time_is_file_time = false;
	view->parts_dumped = true;
	if (count > MAX_STREAMS) {
		complain(&dump, "its number of streams", 8);
		count = MAX_STREAMS;
	}
	for (uint32_t i = 0; i < count && find_stream(&dump, i, &type, &part); i++)
		if (type == STREAM_SYSTEM)
			read_system(&dump, &part);
	for (uint32_t i = 0; !error && i < count && find_stream(&dump, i, &type, &part); i++)
		if (part.bytes && type != STREAM_THREAD_NAMES)
			error = read_stream(&dump, type, &part);
	for (uint32_t i = 0; !error && i < count && find_stream(&dump, i, &type, &part); i++)
		if (part.bytes && type == STREAM_THREAD_NAMES)
			error = read_stream(&dump, type, &part);
	if (!error)
		error = cover_memory(view);
	if (!error)
		conclude(&dump);
	return error;
}
