// SPDX-License-Identifier: Apache-2.0
// Snapshots of children, taken by the library: by several threads, of several at once.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <strobe/memory.h>
#include <strobe/snapshot.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>

#include "../process/child.h"

enum { PAGE = 4096, CHILDREN = 4, FILE_PAGES = 8, ROUNDS = 8 };

static volatile uint64_t word;
static struct told {
	atomic_ulong rounds[CHILDREN];
} * told;
static unsigned which; // child, where it is one
static uint8_t
	*area; // private, of the child: a page of data, one never touched, one of zeros, data
static uint8_t *file;	// private mapping of a file; its third page is changed
static uint8_t *common; // shared, 4 MiB
static size_t common_size = 4 << 20;

static void live(int ready_fd)
{
	word = 4700 + which;
	area[0] = 1;
	memset(area + 2 * PAGE, 0, PAGE);
	for (unsigned i = 0; i < PAGE; i++)
		area[3 * PAGE + i] = (uint8_t)(i * 7 + which);
	file[2 * PAGE + 5] = 0x55;
	child_ready(ready_fd);
	for (;;)
		atomic_fetch_add(&told->rounds[which], 1);
}

static void make_memory(void)
{
	int rights = PROT_READ | PROT_WRITE;
	char path[] = "/tmp/strobe-take-XXXXXX";
	if (told)
		return;
	told = mmap(NULL, PAGE, rights, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	common = mmap(NULL, common_size, rights, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	area = mmap(NULL, 4 * PAGE, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = mkstemp(path);
	CHECK(fd >= 0);
	for (unsigned i = 0; i < FILE_PAGES * PAGE; i += 8) {
		uint64_t value = i * UINT64_C(0x9e3779b97f4a7c15);
		CHECK(write(fd, &value, 8) == 8);
	}
	file = mmap(NULL, FILE_PAGES * PAGE, rights, MAP_PRIVATE, fd, 0);
	close(fd);
	unlink(path);
	CHECK(told != MAP_FAILED && common != MAP_FAILED && area != MAP_FAILED &&
	      file != MAP_FAILED);
	memset(common, 0xee, common_size);
}

static pid_t make_child(unsigned index)
{
	make_memory();
	which = index;
	return child_start(live);
}

static bool goes_on(unsigned index)
{
	unsigned long before = atomic_load(&told->rounds[index]);
	for (unsigned i = 0; i < 2000; i++) {
		if (atomic_load(&told->rounds[index]) > before + 2)
			return true;
		child_pause_ms(5);
	}
	return false;
}

static uint64_t word_of(struct strobe_snapshot *snapshot)
{
	struct strobe_view *view;
	uint64_t value = 0;
	CHECK_OK(strobe_snapshot_view(snapshot, NULL, &view));
	size_t size = strobe_memory_read(view, (uint64_t)(uintptr_t)&word, &value, 8);
	strobe_view_close(view);
	CHECK_EQUAL(size, 8);
	return value;
}

/** One of the threads that take at once. */
struct job {
	pid_t pid;
	unsigned index;
	bool may_fail;
	unsigned good, refused, bad;
	char problem[256];
};

static void *take_some(void *argument)
{
	struct job *job = argument;
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct strobe_snapshot *snapshot;
		struct strobe_error *error = strobe_snapshot_take(job->pid, NULL, &snapshot);
		if (error) {
			bool right =
				job->may_fail && strobe_error_code(error) == STROBE_ERROR_SYSTEM;
			snprintf(job->problem, sizeof(job->problem), "%s",
				 strobe_error_message(error));
			strobe_error_free(error);
			job->refused += right;
			job->bad += !right;
			continue;
		}
		struct strobe_view *view;
		uint64_t value = 0;
		error = strobe_snapshot_view(snapshot, NULL, &view);
		if (!error) {
			strobe_memory_read(view, (uint64_t)(uintptr_t)&word, &value, 8);
			strobe_view_close(view);
		}
		strobe_error_free(error);
		job->good += value == 4700 + job->index;
		job->bad += value != 4700 + job->index;
		strobe_snapshot_close(snapshot);
	}
	return NULL;
}

static void run_jobs(struct job *jobs)
{
	pthread_t threads[CHILDREN];
	for (unsigned i = 0; i < CHILDREN; i++)
		CHECK(pthread_create(&threads[i], NULL, take_some, &jobs[i]) == 0);
	for (unsigned i = 0; i < CHILDREN; i++)
		pthread_join(threads[i], NULL);
	for (unsigned i = 0; i < CHILDREN; i++)
		if (jobs[i].problem[0])
			printf("# %s\n", jobs[i].problem);
}

static void several_threads_take_theirs(void)
{
	struct job jobs[CHILDREN] = {0};
	for (unsigned i = 0; i < CHILDREN; i++)
		jobs[i] = (struct job){.pid = make_child(i), .index = i};
	run_jobs(jobs);
	for (unsigned i = 0; i < CHILDREN; i++) {
		CHECK_EQUAL(jobs[i].good, ROUNDS);
		CHECK_EQUAL(child_field(jobs[i].pid, "TracerPid"), 0);
		CHECK(goes_on(i));
		child_end(jobs[i].pid);
	}
}

/** A process has one tracer at a time: who comes second is refused, and does no harm. */
static void several_threads_take_the_same(void)
{
	struct job jobs[CHILDREN] = {0};
	pid_t pid = make_child(0);
	for (unsigned i = 0; i < CHILDREN; i++)
		jobs[i] = (struct job){.pid = pid, .may_fail = true};
	run_jobs(jobs);
	unsigned good = 0;
	for (unsigned i = 0; i < CHILDREN; i++) {
		CHECK_EQUAL(jobs[i].bad, 0);
		good += jobs[i].good;
	}
	printf("# %u of %u were taken\n", good, CHILDREN * ROUNDS);
	CHECK(good > 0);
	CHECK_EQUAL(child_field(pid, "TracerPid"), 0);
	CHECK(goes_on(0));
	child_end(pid);
}

static void some_of_many_are_refused(void)
{
	pid_t first = make_child(0), second = make_child(1);
	int pids[] = {first, 999999999, getpid(), second};
	struct strobe_snapshot *snapshots[4];
	struct strobe_error *errors[4];
	strobe_snapshot_take_all(pids, 4, NULL, snapshots, errors);
	CHECK_OK(errors[0]);
	CHECK(!snapshots[1] && !snapshots[2]);
	CHECK_ERROR(errors[1], STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(errors[2], STROBE_ERROR_UNSUPPORTED);
	CHECK_OK(errors[3]);
	CHECK_EQUAL(strobe_snapshot_info(snapshots[0])->pid, first);
	CHECK_EQUAL(strobe_snapshot_info(snapshots[3])->pid, second);
	CHECK_EQUAL(word_of(snapshots[0]), 4700);
	CHECK_EQUAL(word_of(snapshots[3]), 4701);
	CHECK(goes_on(0) && goes_on(1));
	strobe_snapshot_close(snapshots[3]);
	strobe_snapshot_close(snapshots[0]);
	// The same twice: one gets it.
	int twice[] = {first, first};
	strobe_snapshot_take_all(twice, 2, NULL, snapshots, errors);
	CHECK_OK(errors[0]);
	CHECK_ERROR(errors[1], STROBE_ERROR_SYSTEM);
	strobe_snapshot_close(snapshots[0]);
	CHECK(goes_on(0));
	// All refused, and none asked for.
	strobe_snapshot_take_all(&pids[1], 2, NULL, snapshots, errors);
	CHECK(!snapshots[0] && !snapshots[1]);
	CHECK_ERROR(errors[0], STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(errors[1], STROBE_ERROR_UNSUPPORTED);
	strobe_snapshot_take_all(NULL, 0, NULL, snapshots, errors);
	child_end(first);
	child_end(second);
}

static void *wait_here(void *unused)
{
	for (;;)
		pause();
	return unused;
}

static void live_twofold(int ready_fd)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, wait_here, NULL))
		_exit(1);
	live(ready_fd);
}

static pid_t traced; // the thread that somebody else traces

static void trace_it(int ready_fd)
{
	CHECK(ptrace(PTRACE_SEIZE, traced, 0, 0) == 0);
	child_ready(ready_fd);
}

/** Who cannot be had whole is not kept while others are held. */
static void one_thread_is_anothers(void)
{
	make_memory();
	pid_t whole = make_child(1);
	which = 0;
	pid_t pid = child_start(live_twofold);
	char path[64];
	struct dirent *entry;
	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	DIR *tasks = opendir(path);
	CHECK(tasks);
	while ((entry = readdir(tasks)))
		if (atoi(entry->d_name) > 0 && atoi(entry->d_name) != pid)
			traced = atoi(entry->d_name);
	closedir(tasks);
	pid_t tracer = child_start(trace_it);
	int pids[] = {pid, whole};
	struct strobe_snapshot *snapshots[2];
	struct strobe_error *errors[2];
	strobe_snapshot_take_all(pids, 2, NULL, snapshots, errors);
	CHECK_ERROR(errors[0], STROBE_ERROR_SYSTEM);
	CHECK_OK(errors[1]);
	CHECK_EQUAL(child_field(pid, "TracerPid"), 0);
	CHECK(goes_on(0) && goes_on(1));
	strobe_snapshot_close(snapshots[1]);
	child_end(tracer);
	child_end(pid);
	child_end(whole);
}

static void closed_in_any_order(void)
{
	static const unsigned orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
					     {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	int pids[3];
	for (unsigned i = 0; i < 3; i++)
		pids[i] = make_child(i);
	for (unsigned round = 0; round < 6; round++) {
		struct strobe_snapshot *snapshots[3];
		struct strobe_error *errors[3];
		strobe_snapshot_take_all(pids, 3, NULL, snapshots, errors);
		for (unsigned i = 0; i < 3; i++)
			CHECK_OK(errors[i]);
		for (unsigned i = 0; i < 3; i++) {
			unsigned now = orders[round][i];
			const struct strobe_snapshot_info *info =
				strobe_snapshot_info(snapshots[now]);
			int clone = info->clone_pid;
			if (info->method_why)
				printf("# %s\n", info->method_why);
			CHECK(clone > 0 && child_state(clone, clone) == 't');
			CHECK_EQUAL(word_of(snapshots[now]), 4700 + now);
			CHECK(!strobe_snapshot_close(snapshots[now]));
			char state = child_state(clone, clone);
			CHECK(state == 0 || state == 'Z' || state == 'X');
		}
	}
	CHECK(!strobe_snapshot_close(NULL));
	for (unsigned i = 0; i < 3; i++)
		child_end(pids[i]);
}

/** The thread that makes a clone is on its way to its own code when the next capture comes. */
static void one_right_after_the_other(void)
{
	enum { TIMES = 100 };
	pid_t pid = make_child(0);
	for (unsigned i = 0; i < TIMES; i++) {
		struct strobe_snapshot *snapshot;
		CHECK_OK(strobe_snapshot_take(pid, NULL, &snapshot));
		const struct strobe_snapshot_info *info = strobe_snapshot_info(snapshot);
		if (info->method != STROBE_SNAPSHOT_CLONE)
			printf("# %u: %s\n", i, info->method_why);
		CHECK_EQUAL(info->method, STROBE_SNAPSHOT_CLONE);
		strobe_snapshot_close(snapshot);
	}
	CHECK(goes_on(0));
	child_end(pid);
}

/** Which processor a thread runs on, the kernel writes into it whenever that changes. */
static void forget_rseq(uint8_t *bytes, uint64_t start, size_t size)
{
	uint64_t at = (uint64_t)(uintptr_t)__builtin_thread_pointer() + (uint64_t)__rseq_offset;
	for (uint64_t i = at; i < at + 32; i++)
		if (i >= start && i - start < size)
			bytes[i - start] = 0;
}

/** The view must have what /proc/PID/mem has, in all mappings that can be read. */
static void compare(struct strobe_view *view, pid_t pid, size_t *compared)
{
	char path[64], line[512];
	static uint8_t want[64 * PAGE], got[64 * PAGE];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	FILE *maps = fopen(path, "r");
	CHECK(fd >= 0 && maps);
	while (fgets(line, sizeof(line), maps)) {
		unsigned long long start, end;
		char rights[8];
		CHECK(sscanf(line, "%llx-%llx %4s", &start, &end, rights) == 3);
		if (rights[0] != 'r' || strstr(line, "[v"))
			continue;
		// The middle of what is huge (a sanitizer's) tells nothing new.
		if (end - start > 64 << 20)
			end = start + (64 << 20);
		for (; start < end; start += sizeof(want)) {
			size_t size = end - start < sizeof(want) ? end - start : sizeof(want);
			ssize_t there = pread(fd, want, size, (off_t)start);
			if (there != (ssize_t)size)
				continue;
			size_t have = strobe_memory_read(view, start, got, size);
			forget_rseq(want, start, size);
			forget_rseq(got, start, size);
			if (have != size || memcmp(want, got, size) != 0)
				printf("# %zu of %zu at %llx of %s", have, size, start, line);
			CHECK_EQUAL(have, size);
			CHECK(memcmp(want, got, size) == 0);
			*compared += size;
		}
	}
	fclose(maps);
	close(fd);
}

static void holds_all(bool no_clone)
{
	pid_t pid = make_child(2);
	struct strobe_snapshot_options options = {
		.size = sizeof(options), .no_clone = no_clone, .shared_budget_bytes = UINT64_MAX};
	struct strobe_snapshot *snapshot;
	struct strobe_view *view;
	size_t compared = 0;
	kill(pid, SIGSTOP); // as it was taken, so it stays
	CHECK(child_reaches(pid, 'T'));
	CHECK_OK(strobe_snapshot_take(pid, &options, &snapshot));
	const struct strobe_snapshot_info *info = strobe_snapshot_info(snapshot);
	CHECK_EQUAL(info->method, no_clone ? STROBE_SNAPSHOT_COPY : STROBE_SNAPSHOT_CLONE);
	CHECK(no_clone ? info->method_why != NULL && info->clone_pid == 0
		       : info->method_why == NULL && info->clone_pid > 0);
	CHECK_EQUAL(info->not_atomic_count, 0);
	CHECK_EQUAL(info->thread_count, child_field(pid, "Threads"));
	CHECK(info->pause_ns > 0 && info->memory_bytes > 0);
	CHECK_OK(strobe_snapshot_view(snapshot, NULL, &view));
	compare(view, pid, &compared);
	printf("# %zu bytes are equal\n", compared);
	CHECK(compared > common_size + 12 * PAGE);
	uint8_t byte = 0;
	CHECK_EQUAL(strobe_memory_read(view, (uint64_t)(uintptr_t)(file + 2 * PAGE + 5), &byte, 1),
		    1);
	CHECK_EQUAL(byte, 0x55);
	strobe_view_close(view);
	strobe_snapshot_close(snapshot);
	CHECK_EQUAL(child_state(pid, pid), 'T');
	child_end(pid);
}

static void a_clone_holds_all(void)
{
	holds_all(false);
}

static void a_copy_holds_all(void)
{
	holds_all(true);
}

static void what_is_over_budget_is_not_atomic(void)
{
	pid_t pid = make_child(0);
	struct strobe_snapshot_options options = {.size = sizeof(options),
						  .shared_budget_bytes = 2 * PAGE};
	struct strobe_snapshot *snapshot;
	CHECK_OK(strobe_snapshot_take(pid, &options, &snapshot));
	const struct strobe_snapshot_info *info = strobe_snapshot_info(snapshot);
	bool found = false;
	for (size_t i = 0; i < info->not_atomic_count; i++) {
		const struct strobe_not_atomic *part = &info->not_atomic[i];
		uint64_t start = (uint64_t)(uintptr_t)common;
		found = found || (part->start <= start && part->end >= start + common_size &&
				  strstr(part->why, "--shared-budget"));
		CHECK(part->start > (uint64_t)(uintptr_t)told ||
		      part->end <= (uint64_t)(uintptr_t)told); // that one was small enough
	}
	CHECK(found);
	// It is there all the same, as it is now.
	struct strobe_view *view;
	uint8_t byte = 0;
	CHECK_OK(strobe_snapshot_view(snapshot, NULL, &view));
	CHECK_EQUAL(strobe_memory_read(view, (uint64_t)(uintptr_t)common, &byte, 1), 1);
	CHECK_EQUAL(byte, 0xee);
	strobe_view_close(view);
	strobe_snapshot_close(snapshot);
	child_end(pid);
}

static void outlives_the_process(void)
{
	pid_t pid = make_child(3);
	struct strobe_snapshot *snapshot;
	struct strobe_view *first, *second;
	CHECK_OK(strobe_snapshot_take(pid, NULL, &snapshot));
	child_end(pid);
	CHECK_EQUAL(word_of(snapshot), 4703);
	CHECK_OK(strobe_snapshot_view(snapshot, NULL, &first)); // two views of one
	CHECK_OK(strobe_snapshot_view(snapshot, NULL, &second));
	uint64_t a = 0, b = 0;
	CHECK_EQUAL(strobe_memory_read(first, (uint64_t)(uintptr_t)&word, &a, 8), 8);
	strobe_view_close(first);
	CHECK_EQUAL(strobe_memory_read(second, (uint64_t)(uintptr_t)&word, &b, 8), 8);
	strobe_view_close(second);
	CHECK(a == 4703 && b == 4703);
	strobe_snapshot_close(snapshot);
}

CHECK_MAIN({"several threads take one child each", several_threads_take_theirs},
	   {"several threads take the same child", several_threads_take_the_same},
	   {"some of many are refused", some_of_many_are_refused},
	   {"one thread is another's", one_thread_is_anothers},
	   {"closed in any order", closed_in_any_order},
	   {"one right after the other", one_right_after_the_other},
	   {"a clone holds all memory", a_clone_holds_all},
	   {"a copy holds all memory", a_copy_holds_all},
	   {"over the budget", what_is_over_budget_is_not_atomic},
	   {"a snapshot outlives its process", outlives_the_process})
