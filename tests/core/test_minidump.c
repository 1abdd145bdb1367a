// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <strobe/memory.h>
#include <strobe/view.h>
#include <unistd.h>

#include "check.h"

// A minidump as LLDB and Breakpad write them, put together byte by byte.

enum { SIZE = 16384, STREAMS = 11 };
static uint8_t dump[SIZE];
static uint32_t used, stream_count;
static char path[64];

static uint32_t put(const void *data, uint32_t size)
{
	uint32_t at = used;
	if (size)
		memcpy(dump + at, data, size);
	used += (size + 7) & ~7u;
	return at;
}

static void put_number(uint32_t at, uint64_t value, unsigned size)
{
	memcpy(dump + at, &value, size);
}

static void add_stream(uint32_t type, uint32_t at, uint32_t size)
{
	uint32_t entry = 32 + 12 * stream_count++;
	put_number(entry, type, 4);
	put_number(entry + 4, size, 4);
	put_number(entry + 8, at, 4);
}

static uint32_t put_string(const char *text)
{
	uint8_t wide[256] = {0};
	uint32_t size = (uint32_t)strlen(text) * 2;
	memcpy(wide, &size, 4);
	for (size_t i = 0; text[i]; i++)
		wide[4 + 2 * i] = (uint8_t)text[i];
	return put(wide, 4 + size + 2);
}

static void add_system_and_text(void)
{
	static const char maps[] = "00400000-00401000 r-xp 00000000 fe:00 12      /nowhere/prog\n"
				   "00600000-00602000 rw-p 00000000 00:00 0 \n"
				   "7ffd0000-7ffd2000 rw-p 00000000 00:00 0       [stack]\n"
				   "not a line\n";
	static const char status[] = "Name:\tprog\nState:\tt (tracing stop)\nTgid:\t70\nPid:\t70\n"
				     "PPid:\t1\nUid:\t1000\t1000\t1000\t1000\n";
	static const char command[] = "prog\0--flag";
	uint8_t system[56] = {9};
	add_stream(7, put(system, sizeof(system)), sizeof(system));
	add_stream(0x47670009, put(maps, sizeof(maps) - 1), sizeof(maps) - 1);
	add_stream(0x47670004, put(status, sizeof(status) - 1), sizeof(status) - 1);
	add_stream(0x47670006, put(command, sizeof(command)), sizeof(command));
}

static void add_threads(bool of_lldb)
{
	uint8_t context[1232] = {0}, list[4 + 2 * 48] = {2}, names[4 + 12] = {1};
	uint64_t pc = 0x400010, sp = 0x7ffd0100, base = 0xf5ba5e;
	uint32_t context_size = of_lldb ? 736 : sizeof(context);
	context[48] = of_lldb ? 0x07 : 0x0f;
	context[50] = 0x10;
	context[51] = of_lldb ? 0x80 : 0;
	context[56] = 0x33;
	context[68] = 0x46;
	memcpy(context + 152, &sp, 8);
	memcpy(context + 248, &pc, 8);
	context[120] = 0xaa;	   // rax
	context[240] = 0xbb;	   // r15
	context[256] = 0x7f;	   // control word
	context[256 + 160] = 0xcc; // xmm0
	if (of_lldb)
		memcpy(context + 720, &base, 8);
	uint32_t at = put(context, context_size);
	for (uint32_t i = 0; i < 2; i++) {
		uint32_t tid = 71 - i; // LLDB's order: newest first
		memcpy(list + 4 + 48 * i, &tid, 4);
		memcpy(list + 4 + 48 * i + 40, &context_size, 4);
		memcpy(list + 4 + 48 * i + 44, &at, 4);
	}
	uint64_t name = put_string("helper");
	names[4] = 71;
	memcpy(names + 8, &name, 8);
	add_stream(24, put(names, sizeof(names)), sizeof(names)); // before the threads
	add_stream(3, put(list, sizeof(list)), sizeof(list));
}

static void add_memory(void)
{
	uint8_t small[] = {1, 2, 3, 4, 5, 6, 7, 8}, list[20] = {1}, list_64[32] = {1};
	uint64_t start = 0x7ffd0100;
	uint32_t size = sizeof(small), at = put(small, sizeof(small));
	memcpy(list + 4, &start, 8);
	memcpy(list + 12, &size, 4);
	memcpy(list + 16, &at, 4);
	add_stream(5, put(list, sizeof(list)), sizeof(list));
	uint8_t page[4096];
	memset(page, 0x5e, sizeof(page));
	uint64_t page_at = put(page, sizeof(page)), page_start = 0x600000, page_size = 4096;
	memcpy(list_64 + 8, &page_at, 8);
	memcpy(list_64 + 16, &page_start, 8);
	memcpy(list_64 + 24, &page_size, 8);
	add_stream(9, put(list_64, sizeof(list_64)), sizeof(list_64));
}

static void add_exception(bool of_lldb)
{
	static const char text[] =
		"signal SIGSEGV: address not mapped to object (fault address=0x10)";
	uint8_t exception[168] = {70};
	exception[8] = 11;
	if (of_lldb) {
		memcpy(exception + 12, "BDLL", 4);
		memcpy(exception + 40, text, sizeof(text));
		add_stream(0x4c4c4442, 0, 0);
	} else {
		exception[12] = 2;    // si_code
		exception[24] = 0x20; // si_addr
	}
	add_stream(6, put(exception, sizeof(exception)), sizeof(exception));
}

static void write_bytes(uint32_t size)
{
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(dump, 1, size, file) != size || fclose(file) != 0)
		abort();
}

static void make(bool of_lldb)
{
	memset(dump, 0, sizeof(dump));
	memcpy(dump, "MDMP\x93\xa7", 6);
	used = 32 + 12 * STREAMS + 4;
	stream_count = 0;
	put_number(12, 32, 4);
	put_number(20, 1700000000, 4);
	add_system_and_text();
	add_threads(of_lldb);
	add_memory();
	add_exception(of_lldb);
	put_number(8, stream_count, 4);
	write_bytes(used);
}

static struct strobe_view *open_dump(void)
{
	struct strobe_view_options options = {.size = sizeof(options), .no_debuginfod = true};
	struct strobe_view *view = NULL;
	CHECK_OK(strobe_view_open(path, &options, &view));
	return view;
}

static uint8_t first_byte(const struct strobe_view *view, const char *name)
{
	struct strobe_register r;
	return strobe_view_register_by_name(view, 0, name, &r) ? r.bytes[0] : 0xee;
}

static void reads_what_lldb_writes(void)
{
	make(true);
	struct strobe_view *view = open_dump();
	const struct strobe_process_info *info = strobe_view_process_info(view);
	CHECK_STRING(info->source_kind, "minidump");
	CHECK_STRING(info->source_maker, "lldb");
	CHECK_EQUAL(info->pid, 70);
	CHECK_EQUAL(info->uid, 1000);
	CHECK_STRING(info->command, "prog --flag");
	CHECK_EQUAL(info->time_ns, 1700000000000000000);
	CHECK(!info->time_is_file_time);
	CHECK_EQUAL(info->signal.number, 11);
	CHECK_STRING(info->signal.code_name, "SEGV_MAPERR");
	CHECK_EQUAL(info->signal.address, 0x10);
	CHECK_EQUAL(info->mapped_bytes, 0x5000);
	CHECK_EQUAL(info->present_bytes, 4096 + 8);
	CHECK_EQUAL(strobe_view_thread_count(view), 2);
	CHECK_EQUAL(strobe_view_thread(view, 0)->tid, 70); // who took the signal
	CHECK_STRING(strobe_view_thread(view, 0)->name, "prog");
	CHECK_STRING(strobe_view_thread(view, 1)->name, "helper");
	CHECK_EQUAL(strobe_view_thread(view, 0)->pc, 0x400010);
	CHECK_EQUAL(first_byte(view, "rax"), 0xaa);
	CHECK_EQUAL(first_byte(view, "r15"), 0xbb);
	CHECK_EQUAL(first_byte(view, "cs"), 0x33);
	CHECK_EQUAL(first_byte(view, "eflags"), 0x46);
	CHECK_EQUAL(first_byte(view, "fs_base"), 0x5e);
	CHECK_EQUAL(first_byte(view, "xmm0"), 0xee); // LLDB leaves them out
	CHECK_STRING(strobe_view_mapping_at(view, 0x7ffd0000)->path, "[stack]");
	uint8_t bytes[16];
	CHECK_EQUAL(strobe_memory_read(view, 0x7ffd0100, bytes, 16), 8);
	CHECK_EQUAL(bytes[7], 8);
	CHECK_EQUAL(strobe_memory_read(view, 0x600ff0, bytes, 16), 16);
	CHECK_EQUAL(bytes[15], 0x5e);
	CHECK_EQUAL(strobe_view_warning_count(view), 1); // "not a line"
	strobe_view_close(view);
}

static void reads_what_breakpad_writes(void)
{
	make(false);
	struct strobe_view *view = open_dump();
	const struct strobe_process_info *info = strobe_view_process_info(view);
	CHECK(!info->source_maker);
	CHECK_STRING(info->signal.code_name, "SEGV_ACCERR");
	CHECK_EQUAL(info->signal.address, 0x20);
	CHECK_EQUAL(first_byte(view, "xmm0"), 0xcc);
	CHECK_EQUAL(first_byte(view, "fctrl"), 0x7f);
	CHECK_EQUAL(first_byte(view, "fs_base"), 0xee); // nor does Breakpad tell this one
	strobe_view_close(view);
}

static void open_damaged(void)
{
	struct strobe_view *view = NULL;
	struct strobe_error *error = strobe_view_open(path, NULL, &view);
	strobe_error_free(error);
	if (!view)
		return;
	struct strobe_register r;
	strobe_view_process_info(view);
	for (size_t i = 0; i < strobe_view_thread_count(view); i++)
		for (size_t k = 0; k < strobe_view_register_count(view, i); k++)
			strobe_view_register(view, i, k, &r);
	uint8_t bytes[64];
	for (size_t i = 0; i < strobe_view_mapping_count(view); i++)
		strobe_memory_read(view, strobe_view_mapping(view, i)->start, bytes, 64);
	strobe_view_close(view);
}

static void survives_damage(void)
{
	make(true);
	for (uint32_t size = 0; size < used; size += 37) {
		write_bytes(size);
		open_damaged();
	}
	uint32_t random = 99;
	for (int i = 0; i < 2000; i++) {
		random = random * 1664525 + 1013904223;
		uint32_t at = (random >> 8) % (i % 2 ? 512 : used);
		uint8_t was = dump[at];
		dump[at] ^= (uint8_t)(1 + random % 255);
		write_bytes(used);
		open_damaged();
		dump[at] = was;
	}
}

static void remove_file(void)
{
	unlink(path);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"a minidump of LLDB is read whole", reads_what_lldb_writes},
		{"a minidump of Breakpad is read whole", reads_what_breakpad_writes},
		{"truncated and damaged minidumps end well", survives_damage},
	};
	strcpy(path, "/tmp/strobe-minidump-XXXXXX");
	int fd = mkstemp(path);
	if (fd < 0)
		return 1;
	close(fd);
	atexit(remove_file);
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}
