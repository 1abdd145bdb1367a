// SPDX-License-Identifier: Apache-2.0
#include "view/overlay.h"

#include <strobe/memory.h>
#include <time.h>
#include <unistd.h>

#include "check.h"
#include "core_writer.h"
#include "view/build.h"
#include "view/view.h"

// Two mappings that touch, one of them read-only; one whose contents are missing; a large one of
// zeros.
enum {
	FIRST = 0x10000,
	SECOND = 0x12000,
	END = 0x14000,
	MISSING = 0x20000,
	MISSING_END = 0x23000,
	CODE = 0x30000,
	XSAVE = 2696,
	ENABLED = 464,
	PRESENT = 512,
	RAX = 10,
};
#define LARGE UINT64_C(0x100000000)
#define LARGE_SIZE UINT64_C(0x10000000)

static char path[64];
static uint8_t first[0x2000], second[0x2000], xsave[XSAVE];

static void put64(uint8_t *bytes, uint64_t value)
{
	memcpy(bytes, &value, 8);
}

static struct strobe_view *open_view(void)
{
	struct core_writer writer;
	struct strobe_view *view = NULL;
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	for (size_t i = 0; i < sizeof(first); i++)
		first[i] = (uint8_t)(i * 7), second[i] = (uint8_t)(i * 11 + 1);
	registers[CORE_WRITER_RIP] = CODE + 4;
	registers[CORE_WRITER_RSP] = FIRST + 0x100;
	registers[RAX] = 0x1122334455667788;
	// x87 and SSE in use, AVX and AVX-512 enabled but in their initial state, with rubbish there.
	memset(xsave, 0xa5, sizeof(xsave));
	memset(xsave, 0, 512);
	xsave[160] = 0x16;
	put64(xsave + ENABLED, 0x2e7);
	memset(xsave + PRESENT, 0, 64);
	put64(xsave + PRESENT, 3);
	core_writer_init(&writer);
	for (int tid = 1; tid <= 2; tid++) {
		core_writer_thread(&writer, tid, 11, registers);
		core_writer_note(&writer, "CORE", NT_FPREGSET, xsave, 512);
		core_writer_note(&writer, "LINUX", 0x202, xsave, sizeof(xsave));
	}
	core_writer_segment(&writer, FIRST, sizeof(first), PF_R | PF_W, first, sizeof(first));
	core_writer_segment(&writer, SECOND, sizeof(second), PF_R, second, sizeof(second));
	core_writer_segment(&writer, MISSING, MISSING_END - MISSING, PF_R | PF_W, NULL, 0);
	core_writer_segment(&writer, CODE, 0x1000, PF_R | PF_X, second, 0x1000);
	core_writer_segment(&writer, LARGE, LARGE_SIZE, PF_R | PF_W, NULL, LARGE_SIZE);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
	CHECK_OK(strobe_view_open(path, NULL, &view));
	return view;
}

static uint64_t read64(const struct strobe_view *view, uint64_t address)
{
	uint64_t value = 0;
	CHECK(view_read_unsigned(view, address, 8, &value));
	return value;
}

static void write64(struct strobe_view *view, uint64_t address, uint64_t value)
{
	CHECK_OK(strobe_overlay_write(view, address, &value, 8));
}

static void reads_what_was_written(void)
{
	struct strobe_view *view = open_view();
	struct strobe_overlay_entry entry;
	CHECK_EQUAL(strobe_overlay_count(view), 0);
	write64(view, FIRST + 0x10, 0x0102030405060708);
	CHECK_EQUAL(read64(view, FIRST + 0x10), 0x0102030405060708);
	CHECK_EQUAL(strobe_overlay_count(view), 1);
	CHECK(strobe_overlay_entry(view, 0, &entry));
	CHECK_EQUAL(entry.kind, STROBE_OVERLAY_MEMORY);
	CHECK_EQUAL(entry.address, FIRST + 0x10);
	CHECK_EQUAL(entry.size_bytes, 8);
	CHECK(memcmp(entry.old_bytes, first + 0x10, 8) == 0);
	CHECK(!entry.old_known && !entry.read_only && !entry.executable);
	CHECK(!strobe_overlay_entry(view, 1, &entry));
	// All around is as it was.
	uint8_t around[0x4000];
	CHECK_EQUAL(strobe_memory_read(view, FIRST, around, sizeof(around)), sizeof(around));
	CHECK(memcmp(around, first, 0x10) == 0);
	CHECK(memcmp(around + 0x18, first + 0x18, 0x2000 - 0x18) == 0);
	CHECK(memcmp(around + 0x2000, second, 0x2000) == 0);
	strobe_view_close(view);
}

static void crosses_mappings_that_touch(void)
{
	struct strobe_view *view = open_view();
	struct strobe_overlay_entry entry;
	write64(view, SECOND - 3, 0x1112131415161718);
	// The same from wherever the read starts.
	CHECK_EQUAL(read64(view, SECOND - 3), 0x1112131415161718);
	uint8_t bytes[16];
	CHECK_EQUAL(strobe_memory_read(view, SECOND, bytes, 6), 6);
	CHECK(memcmp(bytes, "\x15\x14\x13\x12\x11", 5) == 0);
	CHECK_EQUAL(bytes[5], second[5]);
	CHECK(strobe_overlay_entry(view, 0, &entry));
	CHECK(entry.read_only);
	CHECK(strobe_view_mapping_at(view, SECOND)->start == SECOND);
	CHECK_EQUAL(strobe_view_mapping_at(view, FIRST)->end, SECOND);
	strobe_view_close(view);
}

static void writes_all_or_nothing(void)
{
	struct strobe_view *view = open_view();
	uint64_t value = 0;
	struct strobe_error *error = strobe_overlay_write(view, END - 4, &value, 8);
	CHECK(error);
	CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_UNREADABLE);
	CHECK_EQUAL(strobe_error_address(error), END);
	strobe_error_free(error);
	CHECK_EQUAL(strobe_overlay_count(view), 0);
	uint8_t bytes[4];
	CHECK_EQUAL(strobe_memory_read(view, END - 4, bytes, 4), 4);
	CHECK(memcmp(bytes, second + 0x1ffc, 4) == 0);
	CHECK_ERROR(strobe_overlay_write(view, FIRST, &value, 0), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_overlay_write(view, UINT64_MAX - 3, &value, 8), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_overlay_write(view, LARGE, &value, (1 << 28) + 1), STROBE_ERROR_LIMIT);
	strobe_view_close(view);
}

static void makes_missing_bytes_known(void)
{
	struct strobe_view *view = open_view();
	struct strobe_memory_extent extent;
	struct strobe_overlay_entry entry;
	uint64_t value;
	CHECK(!view_read_unsigned(view, MISSING + 0x800, 4, &value));
	CHECK_OK(strobe_overlay_write(view, MISSING + 0x800, "abcd", 4));
	CHECK(view_read_unsigned(view, MISSING + 0x800, 4, &value));
	CHECK_EQUAL(value, 0x64636261);
	CHECK(!view_read_unsigned(view, MISSING + 0x7ff, 4, &value));
	CHECK(!view_read_unsigned(view, MISSING + 0x801, 4, &value));
	strobe_memory_extent(view, MISSING, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK_EQUAL(extent.end, MISSING + 0x800);
	strobe_memory_extent(view, MISSING + 0x800, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_PRESENT);
	CHECK_EQUAL(extent.end, MISSING + 0x804);
	strobe_memory_extent(view, MISSING + 0x804, &extent);
	CHECK_EQUAL(extent.state, STROBE_MEMORY_MISSING);
	CHECK_EQUAL(extent.end, MISSING_END);
	// Over known and unknown bytes, and back.
	CHECK_OK(strobe_overlay_write(view, MISSING + 0x7fe, "0123", 4));
	CHECK(strobe_overlay_entry(view, 1, &entry));
	CHECK(entry.old_known && memcmp(entry.old_known, "\0\0\1\1", 4) == 0);
	CHECK(memcmp(entry.old_bytes, "\0\0ab", 4) == 0);
	CHECK_OK(strobe_overlay_undo(view, 1));
	CHECK(!view_read_unsigned(view, MISSING + 0x7ff, 1, &value));
	CHECK(view_read_unsigned(view, MISSING + 0x800, 4, &value) && value == 0x64636261);
	CHECK_OK(strobe_overlay_undo(view, 1));
	CHECK(!view_read_unsigned(view, MISSING + 0x800, 1, &value));
	strobe_view_close(view);
}

static void undoes_in_reverse_order(void)
{
	struct strobe_view *view = open_view();
	uint64_t before = read64(view, FIRST + 0xffc);
	write64(view, FIRST + 0xffc, 1); // across two pages
	write64(view, FIRST + 0xffc, 2);
	write64(view, FIRST + 0x1000, 3);
	CHECK_EQUAL(view->overlay->pages.count, 2);
	CHECK_OK(strobe_overlay_undo(view, 1));
	CHECK_EQUAL(read64(view, FIRST + 0xffc), 2);
	CHECK_OK(strobe_overlay_undo(view, 1));
	CHECK_EQUAL(read64(view, FIRST + 0xffc), 1);
	write64(view, LARGE, 4);
	CHECK_OK(strobe_overlay_undo(view, 100));
	CHECK_EQUAL(read64(view, FIRST + 0xffc), before);
	CHECK_EQUAL(read64(view, LARGE), 0);
	CHECK_EQUAL(strobe_overlay_count(view), 0);
	CHECK_EQUAL(view->overlay->pages.count, 0);
	strobe_view_close(view);
}

static void costs_a_page_in_a_large_mapping(void)
{
	struct strobe_view *view = open_view();
	CHECK_OK(strobe_overlay_write(view, LARGE + LARGE_SIZE / 2, "x", 1));
	CHECK_EQUAL(view->overlay->pages.count, 1);
	CHECK_OK(strobe_overlay_write(view, LARGE + LARGE_SIZE - 1, "x", 1));
	CHECK_EQUAL(view->overlay->pages.count, 2);
	strobe_view_close(view);
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/** `count` writes all over a mapping, in no order, read back; CPU seconds. */
static double write_many(struct strobe_view *view, size_t count)
{
	size_t pages = LARGE_SIZE / 4096;
	double started = seconds();
	for (size_t i = 0; i < count; i++)
		write64(view, LARGE + i * 7919 % pages * 4096 + i / pages * 8, i);
	for (size_t i = 0; i < count; i++)
		CHECK_EQUAL(read64(view, LARGE + i * 7919 % pages * 4096 + i / pages * 8), i);
	CHECK_OK(strobe_overlay_undo(view, SIZE_MAX));
	return seconds() - started;
}

static void takes_a_hundred_thousand_writes(void)
{
	struct strobe_view *view = open_view();
	double few = write_many(view, 10000), many = write_many(view, 100000);
	printf("# 10,000 writes: %.3f s, 100,000: %.3f s\n", few, many);
	// Ten times as many in a hundred times the time would be quadratic.
	CHECK(many < 40 * few + 0.5);
	for (size_t i = 0; i < 100000; i++) // and to one page
		write64(view, FIRST + i % 512 * 8, i);
	CHECK_EQUAL(view->overlay->pages.count, 1);
	CHECK_EQUAL(read64(view, FIRST + 99999 % 512 * 8), 99999);
	strobe_view_close(view);
}

struct hits {
	size_t count;
	uint64_t address;
};

static bool on_hit(void *context, uint64_t address, uint64_t size)
{
	struct hits *hits = context;
	hits->count++;
	hits->address = address;
	return size > 0;
}

static void is_searched(void)
{
	struct strobe_view *view = open_view();
	struct hits hits = {0};
	struct strobe_search search = {.size = sizeof(search),
				       .kind = STROBE_SEARCH_BYTES,
				       .pattern = "needle",
				       .pattern_size = 6};
	CHECK_OK(strobe_memory_search(view, &search, on_hit, NULL, &hits));
	CHECK_EQUAL(hits.count, 0);
	CHECK_OK(strobe_overlay_write(view, FIRST + 0xffd, "needle", 6)); // across pages
	CHECK_OK(strobe_overlay_write(view, MISSING + 0x1ffe, "needle", 6));
	CHECK_OK(strobe_memory_search(view, &search, on_hit, NULL, &hits));
	CHECK_EQUAL(hits.count, 2);
	CHECK_EQUAL(hits.address, MISSING + 0x1ffe);
	// Partly in what was there before.
	CHECK_OK(strobe_overlay_write(view, LARGE + 0x200000, "\1", 1));
	search.pattern = "\0\0\1\0\0";
	search.pattern_size = 5;
	hits.count = 0;
	CHECK_OK(strobe_memory_search(view, &search, on_hit, NULL, &hits));
	CHECK_EQUAL(hits.count, 1);
	CHECK_EQUAL(hits.address, LARGE + 0x200000 - 2);
	strobe_view_close(view);
}

static void tells_of_code_and_read_only_memory(void)
{
	struct strobe_view *view = open_view();
	struct strobe_overlay_entry entry;
	size_t available;
	CHECK_OK(strobe_overlay_write(view, CODE + 4, "\xcc", 1));
	CHECK(strobe_overlay_entry(view, 0, &entry));
	CHECK(entry.read_only && entry.executable);
	const uint8_t *bytes = view_pointer(view, CODE, &available);
	CHECK(bytes && available == 0x1000 && bytes[4] == 0xcc);
	// A pointer to what is before a changed page ends there.
	bytes = view_pointer(view, LARGE, &available);
	CHECK(bytes && available == LARGE_SIZE);
	write64(view, LARGE + 0x5008, 1);
	bytes = view_pointer(view, LARGE, &available);
	CHECK(bytes && available == 0x5000);
	strobe_view_close(view);
}

static bool reg_is(const struct strobe_view *view, const char *name, const void *bytes, size_t size)
{
	struct strobe_register reg;
	return strobe_view_register_by_name(view, 0, name, &reg) && reg.size_bytes == size &&
	       memcmp(reg.bytes, bytes, size) == 0;
}

static bool number_is(const struct strobe_view *view, const char *name, uint64_t value, size_t size)
{
	return reg_is(view, name, &value, size);
}

static void set(struct strobe_view *view, const char *name, const void *bytes, size_t size)
{
	CHECK_OK(strobe_overlay_set_register(view, 0, name, bytes, size));
}

static void set_number(struct strobe_view *view, const char *name, uint64_t value, size_t size)
{
	set(view, name, &value, size);
}

static void sets_general_registers_and_parts(void)
{
	struct strobe_view *view = open_view();
	struct strobe_overlay_entry entry;
	set_number(view, "eax", 0xaabbccdd, 4);
	CHECK(number_is(view, "rax", 0x11223344aabbccdd, 8));
	set_number(view, "al", 0x01, 1);
	set_number(view, "ah", 0x02, 1);
	CHECK(number_is(view, "rax", 0x11223344aabb0201, 8));
	set_number(view, "rip", CODE + 0x20, 8);
	set_number(view, "sp", FIRST + 0x200, 8);
	CHECK_EQUAL(strobe_view_thread(view, 0)->pc, CODE + 0x20);
	CHECK_EQUAL(strobe_view_thread(view, 0)->sp, FIRST + 0x200);
	CHECK_EQUAL(strobe_view_thread(view, 1)->pc, CODE + 4);
	set_number(view, "eflags", 0x246, 4);
	set_number(view, "fs_base", 0x7000, 8);
	set_number(view, "orig_rax", UINT64_MAX, 8);
	CHECK(number_is(view, "rflags", 0x246, 8));
	CHECK(number_is(view, "fs_base", 0x7000, 8));
	CHECK(strobe_overlay_entry(view, 1, &entry));
	CHECK_EQUAL(entry.kind, STROBE_OVERLAY_REGISTER);
	CHECK_STRING(entry.register_name, "al");
	CHECK_EQUAL(entry.tid, 1);
	CHECK_EQUAL(*entry.old_bytes, 0xdd);
	CHECK_OK(strobe_overlay_undo(view, SIZE_MAX));
	CHECK(number_is(view, "rax", 0x1122334455667788, 8));
	CHECK_EQUAL(strobe_view_thread(view, 0)->pc, CODE + 4);
	CHECK_EQUAL(strobe_view_thread(view, 0)->sp, FIRST + 0x100);
	CHECK_ERROR(strobe_overlay_set_register(view, 0, "rzx", "12345678", 8),
		    STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_overlay_set_register(view, 9, "rax", "12345678", 8),
		    STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_overlay_set_register(view, 0, "rax", "1234", 4), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_overlay_set_register(view, 0, "fctrl", "1234", 4), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_overlay_set_register(view, 0, "tmm0", xsave, 1024),
		    STROBE_ERROR_NOT_FOUND);
	strobe_view_close(view);
}

static void sets_halves_of_vectors(void)
{
	struct strobe_view *view = open_view();
	struct register_blocks blocks;
	uint8_t wide[64], zeros[64] = {0}, expected[64] = {0x16};
	for (size_t i = 0; i < sizeof(wide); i++)
		wide[i] = (uint8_t)(i + 1);
	CHECK(reg_is(view, "zmm0", expected, 64)); // initial: the rubbish is not shown
	set(view, "ymm3", wide, 32);
	CHECK(reg_is(view, "ymm3", wide, 32));
	CHECK(reg_is(view, "xmm3", wide, 16));
	CHECK(reg_is(view, "ymm4", zeros, 32)); // nor now that the component is in use
	CHECK(reg_is(view, "ymm0", expected, 32));
	set(view, "xmm3", zeros, 16);
	memcpy(expected, wide, 32);
	memset(expected, 0, 16);
	CHECK(reg_is(view, "ymm3", expected, 32)); // the upper half stays
	set(view, "zmm3", wide, 64);
	CHECK(reg_is(view, "ymm3", wide, 32));
	set(view, "zmm20", wide, 64);
	CHECK(reg_is(view, "xmm20", wide, 16));
	CHECK(reg_is(view, "zmm21", zeros, 64));
	set_number(view, "k3", 0x77, 8);
	CHECK(number_is(view, "k3", 0x77, 8) && number_is(view, "k2", 0, 8));
	set_number(view, "pkru", 0x55555554, 4);
	CHECK(number_is(view, "pkru", 0x55555554, 4));
	CHECK(view_overlay_registers(view, 0, &blocks));
	uint64_t present;
	memcpy(&present, blocks.xsave + PRESENT, 8);
	CHECK_EQUAL(present, 0x2e7);
	CHECK(memcmp(blocks.fxsave + 160 + 48, wide, 16) == 0); // the older note has it, too
	CHECK(memcmp(blocks.xsave + 160 + 48, wide, 16) == 0);
	CHECK(!view_overlay_registers(view, 1, &blocks));
	CHECK(blocks.xsave && blocks.general);
	CHECK(!view_overlay_registers(view, 2, &blocks));
	CHECK(!blocks.general);
	CHECK_OK(strobe_overlay_undo(view, 5));
	CHECK(reg_is(view, "ymm3", wide, 32));
	CHECK(reg_is(view, "zmm3", (memset(wide + 32, 0, 32), wide), 64));
	CHECK_OK(strobe_overlay_undo(view, 1));
	CHECK(reg_is(view, "ymm3", zeros, 32));
	CHECK(!view_overlay_registers(view, 0, &blocks));
	CHECK(memcmp(blocks.xsave, xsave, sizeof(xsave)) == 0);
	strobe_view_close(view);
}

static void sets_floating_point_registers(void)
{
	struct strobe_view *view = open_view();
	uint8_t number[10] = {1, 2, 3, 4, 5, 6, 7, 0x80, 0xff, 0x3f};
	set(view, "st2", number, 10);
	CHECK(reg_is(view, "st2", number, 10));
	set_number(view, "mxcsr", 0x1fa0, 4);
	CHECK(number_is(view, "mxcsr", 0x1fa0, 4));
	set_number(view, "fctrl", 0x27f, 4);
	CHECK(number_is(view, "fctrl", 0x27f, 4));
	set_number(view, "ftag", 0xffcf, 4); // register 2 valid by its bits: the others empty
	struct register_blocks blocks;
	CHECK(view_overlay_registers(view, 0, &blocks));
	CHECK_EQUAL(blocks.xsave[4], 4);
	CHECK_EQUAL(blocks.fxsave[4], 4);
	CHECK(number_is(view, "ftag", 0xffcf, 4));
	strobe_view_close(view);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"reads what was written", reads_what_was_written},
		{"crosses mappings that touch", crosses_mappings_that_touch},
		{"writes all or nothing", writes_all_or_nothing},
		{"makes missing bytes known, those alone", makes_missing_bytes_known},
		{"undoes in reverse order", undoes_in_reverse_order},
		{"costs a page, however large the mapping", costs_a_page_in_a_large_mapping},
		{"takes a hundred thousand writes", takes_a_hundred_thousand_writes},
		{"is searched", is_searched},
		{"tells of code and read-only memory", tells_of_code_and_read_only_memory},
		{"sets general registers and their parts", sets_general_registers_and_parts},
		{"sets halves of vector registers", sets_halves_of_vectors},
		{"sets floating-point registers", sets_floating_point_registers},
	};
	snprintf(path, sizeof(path), "/tmp/strobe-overlay-%d", (int)getpid());
	int status = check_run(cases, sizeof(cases) / sizeof(cases[0]));
	unlink(path);
	return status;
}
