// SPDX-License-Identifier: Apache-2.0
// The address space stays what it was, and so does what stands in it.
#include "battery.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PAGE = 4096 };
static char before[1 << 20], after[1 << 20];

// The first line that differs, of the second text.
static const char *difference(const char *a, const char *b)
{
	static char line[200];
	size_t start = 0, i = 0;
	for (; a[i] && a[i] == b[i]; i++)
		if (a[i] == '\n')
			start = i + 1;
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(b + start, "\n"), b + start);
	return line;
}

static void maps(const struct battery_check *check)
{
	volatile char deep[64 * 1024]; // the stack grows now, not later
	memset((char *)deep, 1, sizeof(deep));
	battery_sleep_ns(1);
	EXPECT(battery_read("/proc/self/maps", before, sizeof(before)) > 0, "maps cannot be read");
	long end = CALL(SYS_brk, 0);
	battery_ready();
	while (battery_more()) {
		EXPECT(battery_read("/proc/self/maps", after, sizeof(after)) > 0,
		       "maps cannot be read");
		EXPECT(strcmp(before, after) == 0, "a mapping changed: %s",
		       difference(before, after));
		EXPECT(CALL(SYS_brk, 0) == end, "the break moved");
	}
}

// Flags of mappings (VmFlags), which advice, locks and protection leave there.
static void keep_flags(char *text)
{
	char *to = text;
	for (char *line = text, *next; *line; line = next) {
		next = line + strcspn(line, "\n");
		next += *next == '\n';
		if (strncmp(line, "VmFlags:", 8) == 0) {
			memmove(to, line, (size_t)(next - line));
			to += next - line;
		}
	}
	*to = '\0';
}

static void mapping_flags(const struct battery_check *check)
{
	char *area =
		mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(area, PAGE, MADV_DONTFORK);
	madvise(area + 2 * PAGE, PAGE, MADV_WIPEONFORK);
	madvise(area + 4 * PAGE, PAGE, MADV_DONTDUMP);
	memset(area, 1, 8 * PAGE);
	EXPECT(battery_read("/proc/self/smaps", before, sizeof(before)) > 0, "smaps");
	keep_flags(before);
	battery_ready();
	while (battery_more()) {
		EXPECT(battery_read("/proc/self/smaps", after, sizeof(after)) > 0, "smaps");
		keep_flags(after);
		EXPECT(strcmp(before, after) == 0, "flags changed: %s", difference(before, after));
	}
}

// What /proc/self/status tells, but for what time alone moves.
static void keep_lines(char *text)
{
	static const char *const kept[] = {
		"Umask:",  "Uid:",    "Gid:",	 "FDSize:",  "Groups:", "VmSize:",     "VmLck:",
		"VmPin:",  "VmData:", "VmStk:",	 "Threads:", "SigPnd:", "ShdPnd:",     "SigBlk:",
		"SigIgn:", "SigCgt:", "CapInh:", "CapPrm:",  "CapEff:", "NoNewPrivs:", "Seccomp:"};
	char *to = text;
	for (char *line = text, *next; *line; line = next) {
		next = line + strcspn(line, "\n");
		next += *next == '\n';
		for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
			if (strncmp(line, kept[i], strlen(kept[i])) == 0) {
				size_t length = (size_t)(next - line);
				memmove(to, line, length);
				to += length;
				break;
			}
	}
	*to = '\0';
}

static void status(const struct battery_check *check)
{
	battery_read("/proc/self/status", before, sizeof(before));
	battery_read("/proc/self/status", before, sizeof(before));
	keep_lines(before);
	battery_ready();
	while (battery_more()) {
		battery_read("/proc/self/status", after, sizeof(after));
		keep_lines(after);
		EXPECT(strcmp(before, after) == 0, "changed: %s", difference(before, after));
	}
}

static void limits(const struct battery_check *check)
{
	battery_read("/proc/self/limits", before, sizeof(before));
	battery_ready();
	while (battery_more()) {
		battery_read("/proc/self/limits", after, sizeof(after));
		EXPECT(strcmp(before, after) == 0, "a limit changed: %s",
		       difference(before, after));
	}
}

struct code {
	const unsigned char *start;
	size_t size;
	uint64_t sum;
};

static uint64_t sum_of(const struct code *code)
{
	uint64_t sum = 14695981039346656037u;
	const uint64_t *words = (const void *)code->start;
	for (size_t i = 0; i < code->size / 8; i++)
		sum = (sum ^ words[i]) * 1099511628211u;
	return sum;
}

// All executable mappings: nothing may be patched, at no time.
static void code(const struct battery_check *check)
{
	static struct code codes[64];
	size_t count = 0;
	battery_read("/proc/self/maps", before, sizeof(before));
	for (char *line = before; *line; line += strcspn(line, "\n"), line += *line == '\n') {
		unsigned long start, end;
		char mode[5];
		if (sscanf(line, "%lx-%lx %4s", &start, &end, mode) != 3 ||
		    strcmp(mode, "r-xp") != 0 || count == 64 ||
		    memmem(line, strcspn(line, "\n"), "[v", 2))
			continue;
		codes[count] = (struct code){(const void *)start, end - start, 0};
		codes[count].sum = sum_of(&codes[count]);
		count++;
	}
	EXPECT(count > 0, "no executable mappings");
	battery_ready();
	while (battery_more())
		for (size_t i = 0; i < count; i++)
			EXPECT(sum_of(&codes[i]) == codes[i].sum, "code at %p changed",
			       (const void *)codes[i].start);
}

// Pages are written all the time: what a copy of them needs must not be seen here.
static void pages(const struct battery_check *check)
{
	enum { COUNT = 512 };
	uint64_t *words = mmap(NULL, COUNT * PAGE, PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	battery_ready();
	for (uint64_t round = 1; battery_more(); round++) {
		for (size_t i = 0; i < COUNT; i++)
			words[i * (PAGE / 8) + round % (PAGE / 8)] = round * COUNT + i;
		for (size_t i = 0; i < COUNT; i++)
			EXPECT(words[i * (PAGE / 8) + round % (PAGE / 8)] == round * COUNT + i,
			       "page %zu has another value", i);
	}
}

static bool holds(const unsigned char *page, int value)
{
	for (int i = 0; i < PAGE; i++)
		if (page[i] != value)
			return false;
	return true;
}

static void special_pages(const struct battery_check *check)
{
	unsigned char *area =
		mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *common =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	madvise(area, PAGE, MADV_DONTFORK);
	madvise(area + PAGE, PAGE, MADV_WIPEONFORK);
	madvise(common, PAGE, MADV_DONTFORK);
	battery_ready();
	for (int round = 0; battery_more(); round++) {
		int value = round % 255 + 1;
		memset(area, value, 4 * PAGE);
		memset(common, value, 2 * PAGE);
		for (int i = 0; i < 4; i++)
			EXPECT(holds(area + i * PAGE, value), "page %d of private memory", i);
		for (int i = 0; i < 2; i++)
			EXPECT(holds(common + i * PAGE, value), "page %d of shared memory", i);
		usleep(100);
	}
}

static void *churn(void *part)
{
	for (int round = 0; battery_more(); round++) {
		size_t size = (size_t)(1 + round % 16) * PAGE;
		unsigned char *area = mmap(NULL, size, PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (area == MAP_FAILED) {
			battery_fail("mmap: %s", strerror(errno));
			break;
		}
		memset(area, round % 256, size);
		int failed = mprotect(area, PAGE, PROT_READ);
		unsigned char mincore_out[16];
		failed |= mincore(area, size, mincore_out);
		failed |= mprotect(area, PAGE, PROT_READ | PROT_WRITE);
		area = mremap(area, size, size + PAGE, MREMAP_MAYMOVE);
		if (failed || area == MAP_FAILED || area[0] != round % 256 ||
		    area[size - 1] != round % 256 || area[size] != 0) {
			battery_fail("a mapping has other contents, or mprotect failed");
			break;
		}
		if (mprotect(area, size, PROT_READ | PROT_WRITE) != 0)
			battery_fail("mprotect: %s", strerror(errno));
		area[0] = 1;
		if (munmap(area, size + PAGE) != 0)
			battery_fail("munmap: %s", strerror(errno));
	}
	return NULL;
}

static void mapping_churn(const struct battery_check *check)
{
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, churn, NULL);
	battery_ready();
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static void heap_churn(const struct battery_check *check)
{
	// Not sbrk(): musl's refuses to move it.
	char *start = (char *)CALL(SYS_brk, 0);
	battery_ready();
	while (battery_more()) {
		EXPECT((char *)CALL(SYS_brk, start + 16 * PAGE) == start + 16 * PAGE,
		       "the break cannot be moved");
		memset(start, 7, 16 * PAGE);
		EXPECT((char *)CALL(SYS_brk, 0) == start + 16 * PAGE, "the break moved");
		EXPECT((char *)CALL(SYS_brk, start) == start, "the break does not come back");
	}
}

static void process_limit(const struct battery_check *check)
{
	if (setresuid(65534, 65534, 65534) != 0) {
		battery_skip("only root can become a user without processes");
		return;
	}
	struct rlimit none = {0, 0};
	setrlimit(RLIMIT_NPROC, &none);
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	EXPECT(pid < 0, "the limit does not work");
	battery_ready();
	while (battery_more()) {
		EXPECT(fork() < 0 && errno == EAGAIN, "fork works now");
		usleep(100);
	}
}

const struct battery_check memory_checks[] = {
	{"maps", "the mappings and the break stay", maps},
	{"mapping-flags", "their flags stay, advice among them", mapping_flags},
	{"status", "/proc/self/status: threads, masks, sizes, rights", status},
	{"limits", "resource limits stay", limits},
	{"code", "no executable byte changes, at no time", code},
	{"pages", "memory that is written all the time reads as written", pages},
	{"special-pages", "so does shared, MADV_DONTFORK and MADV_WIPEONFORK memory",
	 special_pages},
	{"mapping-churn", "mmap, mprotect, mremap, munmap all the time", mapping_churn},
	{"heap-churn", "a break that moves all the time", heap_churn},
	{"process-limit", "a process that may have no child", process_limit},
	{0},
};
