// SPDX-License-Identifier: Apache-2.0
#include <strobe/view.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "core_writer.h"

enum { ENABLED = 464, PRESENT = 512, LARGEST = 11008 };

static char directory[64];

/** A view of a core with one thread and this XSAVE image. */
static struct strobe_view *view_of(const uint8_t *xsave, size_t size, const uint32_t *layout,
				   size_t layout_size)
{
	char path[128];
	struct core_writer writer;
	struct strobe_view *view = NULL;
	uint64_t registers[CORE_WRITER_REGISTERS] = {0};
	core_writer_init(&writer);
	core_writer_thread(&writer, 1, 11, registers);
	core_writer_note(&writer, "CORE", NT_FPREGSET, xsave, 512);
	core_writer_note(&writer, "LINUX", 0x202, xsave, size);
	if (layout)
		core_writer_note(&writer, "LINUX", 0x205, layout, layout_size);
	snprintf(path, sizeof(path), "%s/core", directory);
	core_writer_save(&writer, path);
	core_writer_fini(&writer);
	CHECK_OK(strobe_view_open(path, NULL, &view));
	return view;
}

static void set_masks(uint8_t *xsave, uint64_t enabled, uint64_t present)
{
	memcpy(xsave + ENABLED, &enabled, 8);
	memcpy(xsave + PRESENT, &present, 8);
}

static uint8_t byte_of(const struct strobe_view *view, const char *name, size_t index)
{
	struct strobe_register r;
	if (!strobe_view_register_by_name(view, 0, name, &r)) {
		printf("# there is no %s\n", name);
		return 0xee;
	}
	return index < r.size_bytes ? r.bytes[index] : 0xef;
}

static bool has(const struct strobe_view *view, const char *name)
{
	struct strobe_register r;
	return strobe_view_register_by_name(view, 0, name, &r);
}

static void puts_vectors_together(void)
{
	// Intel's places: k at 1088, upper halves of zmm at 1152, zmm16 on at 1664, pkru at 2688.
	uint8_t xsave[2696] = {0};
	set_masks(xsave, 0x2e7, 0x2e7);
	xsave[160 + 16 * 3] = 0x11;
	xsave[576 + 16 * 3] = 0x22;
	xsave[1152 + 32 * 3] = 0x33;
	xsave[1664 + 64 * 5] = 0x44;
	xsave[1088 + 8 * 2] = 0x55;
	xsave[2688] = 0x66;
	struct strobe_view *view = view_of(xsave, sizeof(xsave), NULL, 0);
	CHECK_EQUAL(byte_of(view, "xmm3", 0), 0x11);
	CHECK_EQUAL(byte_of(view, "ymm3", 16), 0x22);
	CHECK_EQUAL(byte_of(view, "zmm3", 0), 0x11);
	CHECK_EQUAL(byte_of(view, "zmm3", 16), 0x22);
	CHECK_EQUAL(byte_of(view, "zmm3", 32), 0x33);
	CHECK_EQUAL(byte_of(view, "zmm21", 0), 0x44);
	CHECK_EQUAL(byte_of(view, "xmm21", 0), 0x44);
	CHECK_EQUAL(byte_of(view, "k2", 0), 0x55);
	CHECK_EQUAL(byte_of(view, "pkru", 0), 0x66);
	CHECK(!has(view, "tmm0"));
	strobe_view_close(view);
}

static void knows_the_compact_places(void)
{
	// AMD's: no room for MPX.
	uint8_t xsave[2440] = {0};
	set_masks(xsave, 0x2e7, 0x2e7);
	xsave[832 + 8 * 2] = 0x55;
	xsave[896 + 32 * 3] = 0x33;
	xsave[1408 + 64 * 5] = 0x44;
	xsave[2432] = 0x66;
	struct strobe_view *view = view_of(xsave, sizeof(xsave), NULL, 0);
	CHECK_EQUAL(byte_of(view, "k2", 0), 0x55);
	CHECK_EQUAL(byte_of(view, "zmm3", 32), 0x33);
	CHECK_EQUAL(byte_of(view, "zmm21", 0), 0x44);
	CHECK_EQUAL(byte_of(view, "pkru", 0), 0x66);
	strobe_view_close(view);
}

static void believes_the_layout_note(void)
{
	uint8_t xsave[2440] = {0};
	// type, size, offset, flags
	static const uint32_t layout[] = {2, 256, 576, 0, 5, 64, 1000, 0, 9, 8, 2439, 0};
	set_masks(xsave, 0x227, 0x227);
	xsave[1000 + 8] = 0x77;
	struct strobe_view *view = view_of(xsave, sizeof(xsave), layout, sizeof(layout));
	CHECK_EQUAL(byte_of(view, "k1", 0), 0x77);
	CHECK(!has(view, "pkru")); // would end behind the note
	CHECK(!has(view, "zmm0"));
	strobe_view_close(view);
}

static void reads_tiles(void)
{
	static uint8_t xsave[LARGEST];
	set_masks(xsave, 0x602e7, 0x602e7);
	xsave[2752] = 1;
	xsave[2816 + 1024 * 7 + 1023] = 0x99;
	struct strobe_view *view = view_of(xsave, sizeof(xsave), NULL, 0);
	CHECK_EQUAL(byte_of(view, "tilecfg", 0), 1);
	CHECK_EQUAL(byte_of(view, "tmm7", 1023), 0x99);
	strobe_view_close(view);
	view = view_of(xsave, sizeof(xsave) - 1, NULL, 0);
	CHECK(has(view, "tilecfg"));
	CHECK(!has(view, "tmm0")); // the note ends within the tiles
	strobe_view_close(view);
}

static void shows_initial_state(void)
{
	uint8_t xsave[832];
	memset(xsave, 0xcc, sizeof(xsave));
	set_masks(xsave, 7, 0);
	struct strobe_view *view = view_of(xsave, sizeof(xsave), NULL, 0);
	CHECK_EQUAL(byte_of(view, "fctrl", 0), 0x7f);
	CHECK_EQUAL(byte_of(view, "fctrl", 1), 0x03);
	CHECK_EQUAL(byte_of(view, "ftag", 0), 0xff);
	CHECK_EQUAL(byte_of(view, "mxcsr", 0), 0x80);
	CHECK_EQUAL(byte_of(view, "ymm1", 0), 0);
	CHECK_EQUAL(byte_of(view, "ymm1", 16), 0);
	CHECK_EQUAL(byte_of(view, "st0", 0), 0);
	strobe_view_close(view);
}

static void widens_the_tags(void)
{
	uint8_t xsave[832] = {0};
	set_masks(xsave, 7, 7);
	xsave[3] = 6 << 3;    // top of stack is 6: two values pushed
	xsave[4] = 0xc0;      // physical 6 and 7 in use
	xsave[32 + 7] = 0x80; // st0 = 1.0
	xsave[32 + 8] = 0xff;
	xsave[32 + 9] = 0x3f;
	struct strobe_view *view = view_of(xsave, sizeof(xsave), NULL, 0);
	// 6 valid (0), 7 zero (1), the others empty (3).
	CHECK_EQUAL(byte_of(view, "ftag", 0), 0xff);
	CHECK_EQUAL(byte_of(view, "ftag", 1), 0x4f);
	strobe_view_close(view);
}

/** Runs a program that kills itself; false if it left no core in `directory`. */
static bool make_real_core(void)
{
	pid_t pid = fork();
	if (pid < 0)
		abort();
	if (pid == 0) {
		struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
		if (setrlimit(RLIMIT_CORE, &limit) != 0 || chdir(directory) != 0)
			_exit(1);
		__asm__ volatile("fldpi; fldz; fld1; mov $0x1234567, %%ebx; movq %%rbx, %%xmm5\n\t"
				 "pcmpeqd %%xmm6, %%xmm6; hlt" ::
					 : "rbx", "xmm5", "xmm6");
		_exit(1);
	}
	int status;
	waitpid(pid, &status, 0);
	char path[128];
	snprintf(path, sizeof(path), "%s/core", directory);
	struct stat st;
	return WIFSIGNALED(status) && stat(path, &st) == 0;
}

/** The little-endian value that gdb printed as hexadecimal in `text`. */
static bool equals(const struct strobe_register *r, const char *text)
{
	unsigned long long value;
	if (sscanf(text, "0x%llx", &value) != 1 || r->size_bytes > 8)
		return false;
	return memcmp(&value, r->bytes, r->size_bytes) == 0;
}

static void agrees_with_gdb(void)
{
	char path[128], command[512], line[512];
	unlink((snprintf(path, sizeof(path), "%s/core", directory), path));
	if (system("command -v gdb >/dev/null 2>&1") != 0)
		SKIP("gdb is not installed");
	if (!make_real_core())
		SKIP("the kernel writes cores elsewhere (core_pattern)");
	struct strobe_view *view = NULL;
	CHECK_OK(strobe_view_open(path, NULL, &view));
	snprintf(command, sizeof(command),
		 "gdb -batch -nx -ex 'info registers' -ex 'info registers float' -ex 'p/x $mxcsr' "
		 "-ex 'p/x $xmm5.v2_int64[0]' -ex 'p/x $xmm6.v2_int64[1]' %s %s 2>/dev/null",
		 "/proc/self/exe", path);
	FILE *gdb = popen(command, "r");
	CHECK(gdb != NULL);
	unsigned compared = 0, wrong = 0, printed = 0;
	while (fgets(line, sizeof(line), gdb)) {
		char name[64], value[128];
		struct strobe_register r;
		if (strstr(line, "<unavailable>")) // gdb 13 knows Intel's places alone
			continue;
		if (sscanf(line, "$%*d = %127s", value) == 1) {
			printed++;
			static const char *const names[] = {"mxcsr", "xmm5", "xmm6"};
			CHECK(printed <= 3);
			CHECK(strobe_view_register_by_name(view, 0, names[printed - 1], &r));
			if (printed == 3)
				r.bytes += 8;
			if (printed > 1)
				r.size_bytes = 8;
			snprintf(name, sizeof(name), "%s", names[printed - 1]);
		} else if (sscanf(line, "%63s (raw %127s", name, value) == 2 ||
			   sscanf(line, "%63s %*s (raw %127s", name, value) == 2) {
			char digits[32] = "0x";
			CHECK(strobe_view_register_by_name(view, 0, name, &r));
			for (int i = 0; i < 10; i++)
				snprintf(digits + 2 + 2 * i, 3, "%02x", r.bytes[9 - i]);
			compared++;
			wrong += strncmp(digits, value, 22) != 0;
			continue;
		} else if (sscanf(line, "%63s %127s", name, value) != 2 ||
			   !strobe_view_register_by_name(view, 0, name, &r) || r.size_bytes > 8) {
			continue;
		}
		compared++;
		if (!equals(&r, value)) {
			wrong++;
			printf("# %s differs from gdb's %s\n", name, value);
		}
	}
	pclose(gdb);
	strobe_view_close(view);
	printf("# %u registers compared\n", compared);
	CHECK(compared >= 24 + 8 + 8 + 3);
	CHECK_EQUAL(wrong, 0);
}

static void remove_directory(void)
{
	char command[128];
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	if (system(command) != 0)
		printf("# %s stays behind\n", directory);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"wide registers are put together from their parts", puts_vectors_together},
		{"images without room for MPX are read right", knows_the_compact_places},
		{"a layout note says where components lie", believes_the_layout_note},
		{"AMX tiles are read, and only whole", reads_tiles},
		{"components in their initial state are not what the bytes say",
		 shows_initial_state},
		{"x87 tags are widened as FSTENV does", widens_the_tags},
		{"a real core's registers are those that gdb shows", agrees_with_gdb},
	};
	strcpy(directory, "/tmp/strobe-registers-XXXXXX");
	if (!mkdtemp(directory))
		return 1;
	atexit(remove_directory);
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}
