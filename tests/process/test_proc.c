// SPDX-License-Identifier: Apache-2.0
// Texts of /proc: as the kernel writes them for odd names, and as it never should.
#include "process/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static bool path_is(const struct proc_mapping *mapping, const char *path)
{
	return mapping->path_size == strlen(path) &&
	       memcmp(mapping->path, path, mapping->path_size) == 0;
}

static void reads_a_line(void)
{
	static const char text[] =
		"7f1200000000-7f1200002000 rw-s 0000a000 fd:01 4711    /tmp/with  two blanks \n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  "
		"[vsyscall]\n";
	const char *at = text;
	struct proc_mapping mapping;
	CHECK(proc_next_mapping(&at, &mapping));
	CHECK_EQUAL(mapping.start, 0x7f1200000000);
	CHECK_EQUAL(mapping.end, 0x7f1200002000);
	CHECK(mapping.readable && mapping.writable && !mapping.executable && mapping.shared);
	CHECK_EQUAL(mapping.offset, 0xa000);
	CHECK_EQUAL(mapping.inode, 4711);
	CHECK(path_is(&mapping, "/tmp/with  two blanks "));
	CHECK(proc_next_mapping(&at, &mapping));
	CHECK_EQUAL(mapping.start, 0xffffffffff600000);
	CHECK(!mapping.readable && !mapping.writable && mapping.executable && !mapping.shared);
	CHECK(proc_mapping_is(&mapping, "[vsyscall]"));
	CHECK(!proc_mapping_is(&mapping, "[vsyscall"));
	CHECK(!proc_mapping_is(&mapping, "[vsyscall]x"));
	CHECK(!proc_next_mapping(&at, &mapping));
	CHECK(!proc_next_mapping(&at, &mapping));
}

static void skips_what_is_no_line(void)
{
	static const char text[] = "nonsense\n"
				   "1000\n"
				   "1000-2000\n"
				   "1000-2000 rw\n"
				   "3000-2000 rw-p 0 00:00 0\n"
				   "2000-2000 rw-p 0 00:00 0\n"
				   "1000-2000 rw-p 0 0000 0\n"
				   "4000-5000 r--p 0 00:00 0\n"
				   "6000-7000 r--p 0 00:00 0 /the/last"; // no newline
	const char *at = text;
	struct proc_mapping mapping;
	CHECK(proc_next_mapping(&at, &mapping));
	CHECK_EQUAL(mapping.start, 0x4000);
	CHECK_EQUAL(mapping.path_size, 0);
	CHECK(proc_next_mapping(&at, &mapping));
	CHECK_EQUAL(mapping.start, 0x6000);
	CHECK(path_is(&mapping, "/the/last"));
	CHECK(!proc_next_mapping(&at, &mapping));
	at = NULL;
	CHECK(!proc_next_mapping(&at, &mapping));
}

/** Every beginning of a line, too: nothing is read behind its end. */
static void survives_truncation(void)
{
	static const char line[] = "7f1200000000-7f1200002000 rw-s 0000a000 fd:01 4711    /tmp/x";
	for (size_t size = 0; size < sizeof(line); size++) {
		char *text = malloc(size + 1); // for sanitizers
		CHECK(text);
		memcpy(text, line, size);
		text[size] = 0;
		const char *at = text;
		struct proc_mapping mapping;
		if (proc_next_mapping(&at, &mapping))
			CHECK(mapping.path_size <= size);
		CHECK(*at == 0);
		free(text);
	}
}

static void *map_file(const char *path, bool remove)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	CHECK(ftruncate(fd, 4096) == 0);
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	close(fd);
	CHECK(map != MAP_FAILED);
	if (remove)
		unlink(path);
	return map;
}

static void expect_path(const void *map, const char *path)
{
	struct text maps = {0};
	struct proc_mapping mapping;
	CHECK_EQUAL(proc_read("self/maps", &maps), 0);
	const char *at = maps.data;
	bool found = false;
	while (proc_next_mapping(&at, &mapping))
		if (mapping.start == (uint64_t)(uintptr_t)map) {
			found = true;
			CHECK(path_is(&mapping, path));
			CHECK(mapping.shared && mapping.inode);
		}
	CHECK(found);
	text_fini(&maps);
}

static void reads_names_as_the_kernel_writes_them(void)
{
	char folder[] = "/tmp/strobe-proc-XXXXXX", path[128], written[128];
	CHECK(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/two\nlines (deleted)", folder);
	snprintf(written, sizeof(written), "%s/two\\012lines (deleted)", folder);
	void *kept = map_file(path, false);
	expect_path(kept, written);
	unlink(path);
	snprintf(path, sizeof(path), "%s/gone: 1-2 r--p", folder);
	snprintf(written, sizeof(written), "%s/gone: 1-2 r--p (deleted)", folder);
	void *gone = map_file(path, true);
	expect_path(gone, written);
	munmap(kept, 4096);
	munmap(gone, 4096);
	rmdir(folder);
}

static void many_mappings_take_linear_time(void)
{
	enum { COUNT = 60000 };
	struct text text = {0};
	for (unsigned i = 0; i < COUNT; i++)
		text_printf(&text, "%x000-%x800 rw-p 00000000 00:00 0 \n", i + 16, i + 16);
	CHECK(!text.failed);
	struct timespec start, end;
	clock_gettime(CLOCK_MONOTONIC, &start);
	const char *at = text.data;
	struct proc_mapping mapping;
	unsigned count = 0;
	while (proc_next_mapping(&at, &mapping))
		count++;
	clock_gettime(CLOCK_MONOTONIC, &end);
	CHECK_EQUAL(count, COUNT);
	// It takes some 10 ms; to look through all of the text for each line takes half a minute.
	CHECK(end.tv_sec - start.tv_sec < 5);
	text_fini(&text);
}

static void finds_fields(void)
{
	static const char text[] = "Name:\tPid: 3\nUmask:\t0022\nNSpid:\t12\t1\nPid:\t12\n"
				   "Empty:\nSigQ:\t1/2\nCapEff:\t000001ffffffffff\nLast:\tx";
	const char *at;
	uint64_t number;
	CHECK_EQUAL(proc_field(text, "Name", &at), strlen("Pid: 3"));
	CHECK(strncmp(at, "Pid: 3\n", 7) == 0);
	CHECK(proc_field_number(text, "Pid", 10, &number));
	CHECK_EQUAL(number, 12);
	CHECK(proc_field_number(text, "CapEff", 16, &number));
	CHECK_EQUAL(number, 0x1ffffffffff);
	CHECK_EQUAL(proc_field(text, "Empty", &at), 0);
	CHECK(!proc_field_number(text, "Empty", 10, &number));
	CHECK(!proc_field_number(text, "Last", 10, &number));
	CHECK_EQUAL(proc_field(text, "Last", &at), 1);
	CHECK_EQUAL(proc_field(text, "Las", &at), 0);
	CHECK(!at);
	CHECK_EQUAL(proc_field("", "Name", &at), 0);
	CHECK(!at);
}

static void counts_fields_of_stat_behind_the_name(void)
{
	static const char text[] = "12 (a) R (b 1 2) S 7 8 9\n";
	CHECK_EQUAL(*proc_stat_field(text, 3), 'S');
	CHECK_EQUAL(*proc_stat_field(text, 4), '7');
	CHECK_EQUAL(*proc_stat_field(text, 6), '9');
	CHECK(!proc_stat_field(text, 7));
	CHECK(!proc_stat_field("", 3));
	CHECK(!proc_stat_field("12 (a", 3));
	CHECK(!proc_stat_field("12 (a)", 3));
	char name[16] = {0};
	struct text stat = {0};
	CHECK(prctl(PR_GET_NAME, name) == 0 && prctl(PR_SET_NAME, "x) Z 1 (y ") == 0);
	CHECK_EQUAL(proc_read("thread-self/stat", &stat), 0);
	prctl(PR_SET_NAME, name);
	CHECK_EQUAL(*proc_stat_field(stat.data, 3), 'R');
	CHECK_EQUAL(strtol(proc_stat_field(stat.data, 4), NULL, 10), getppid());
	CHECK(proc_stat_field(stat.data, 52));
	CHECK(!proc_stat_field(stat.data, 53));
	text_fini(&stat);
}

static void what_is_gone_is_an_errno(void)
{
	struct text text = {0};
	struct proc_tids tids = {0};
	CHECK_EQUAL(proc_read("999999999/maps", &text), ENOENT);
	CHECK_EQUAL(proc_read_link("999999999/exe", &text), ENOENT);
	CHECK_EQUAL(proc_read("self/task", &text), EISDIR);
	CHECK_EQUAL(text.size, 0);
	CHECK_EQUAL(proc_threads(999999999, &tids), ENOENT);
	CHECK_EQUAL(proc_read_link("self/exe", &text), 0);
	CHECK(strstr(text.data, "test_proc"));
	text_fini(&text);
}

static void *wait_for_end(void *argument)
{
	char byte;
	return read(*(int *)argument, &byte, 1) == 0 ? argument : NULL;
}

static void lists_threads_in_order(void)
{
	enum { COUNT = 20 };
	pthread_t threads[COUNT];
	int ends[2];
	CHECK(pipe(ends) == 0);
	for (unsigned i = 0; i < COUNT; i++)
		CHECK(pthread_create(&threads[i], NULL, wait_for_end, &ends[0]) == 0);
	struct proc_tids tids = {0};
	CHECK_EQUAL(proc_threads(getpid(), &tids), 0);
	close(ends[1]);
	for (unsigned i = 0; i < COUNT; i++)
		pthread_join(threads[i], NULL);
	close(ends[0]);
	CHECK(tids.list.count >= COUNT + 1); // sanitizers have their own
	CHECK_EQUAL(tids.list.items[0], getpid());
	for (size_t i = 1; i < tids.list.count; i++)
		CHECK(tids.list.items[i - 1] < tids.list.items[i]);
	array_fini(&tids.list);
}

CHECK_MAIN({"a line of maps", reads_a_line}, {"what is no line of maps", skips_what_is_no_line},
	   {"every beginning of a line", survives_truncation},
	   {"paths with newlines, blanks, of deleted files", reads_names_as_the_kernel_writes_them},
	   {"60,000 mappings take linear time", many_mappings_take_linear_time},
	   {"fields of status", finds_fields},
	   {"fields of stat, whatever the name", counts_fields_of_stat_behind_the_name},
	   {"what is gone is an errno", what_is_gone_is_an_errno},
	   {"threads in order", lists_threads_in_order})
