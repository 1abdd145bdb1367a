// SPDX-License-Identifier: Apache-2.0
// Processes frozen at an instant: what the clone is, holds, and leaves behind.
#include "process/freeze.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "child.h"
#include "process/proc.h"

enum { WORDS = 4096, PAGE = 4096, MARK = 0x5eed };

/** Shared with the children, so that nothing need be asked of them. */
static struct told {
	atomic_ulong rounds[2];
	atomic_ulong both; // counted up by two processes in turn
	atomic_int clone;
} * told;
static uint64_t *words;		    // private: all equal but in the midst of a round
static uint8_t *shared, *kept_back; // shared; private, MADV_DONTFORK in the child

static void make_memory(void)
{
	int rights = PROT_READ | PROT_WRITE;
	if (!told) {
		told = mmap(NULL, PAGE, rights, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		words = mmap(NULL, WORDS * 8, rights, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		kept_back = mmap(NULL, 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		shared = mmap(NULL, 4 * PAGE, rights, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	}
	CHECK(told != MAP_FAILED && words != MAP_FAILED && kept_back != MAP_FAILED &&
	      shared != MAP_FAILED);
	memset((void *)told, 0, sizeof(*told));
	memset(shared, 0xab, 4 * PAGE);
}

static void run_rounds(unsigned which)
{
	for (uint64_t round = 1;; round++) {
		for (size_t i = 0; i < WORDS; i++)
			words[i] = round;
		atomic_store(&told->rounds[which], round);
	}
}

static void live(int ready_fd)
{
	// What a fork does not inherit must be the child's own.
	mmap(kept_back, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	     -1, 0);
	memset(kept_back, 0xcd, 2 * PAGE);
	if (madvise(kept_back, 2 * PAGE, MADV_DONTFORK) || open("/dev/null", O_RDONLY) < 0)
		_exit(1);
	child_ready(ready_fd);
	run_rounds(0);
}

static void live_wiped(int ready_fd)
{
	mmap(kept_back, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
	     -1, 0);
	memset(kept_back, 0xcd, 2 * PAGE);
	if (madvise(kept_back, PAGE, MADV_WIPEONFORK))
		_exit(1);
	child_ready(ready_fd);
}

/** What was copied, by the callbacks. */
struct copied {
	bool may_run;
	pid_t pids[2];
	struct {
		uint64_t start, end;
		size_t index;
		bool sparse;
	} ranges[4096];
	size_t count, looks;
};

static struct strobe_error *copy(void *context, size_t index, uint64_t start, uint64_t end,
				 bool sparse)
{
	struct copied *copied = context;
	CHECK(copied->count < 4096);
	if (!copied->may_run)
		CHECK_EQUAL(child_state(copied->pids[index], copied->pids[index]),
			    't'); // it stands
	copied->ranges[copied->count].start = start;
	copied->ranges[copied->count].end = end;
	copied->ranges[copied->count].index = index;
	copied->ranges[copied->count++].sparse = sparse;
	return NULL;
}

static struct strobe_error *stand(void *context, size_t index, const char **why)
{
	return NULL;
}

static struct strobe_error *look(void *context, size_t index)
{
	struct copied *copied = context;
	copied->looks += index < 2;
	return NULL;
}

static bool has_range(const struct copied *copied, const void *start, size_t size, size_t index)
{
	uint64_t at = (uint64_t)(uintptr_t)start;
	for (size_t i = 0; i < copied->count; i++)
		if (copied->ranges[i].start <= at && copied->ranges[i].end >= at + size &&
		    copied->ranges[i].index == index)
			return true;
	return false;
}

static struct freeze_options options_for(struct copied *copied)
{
	return (struct freeze_options){.shared_budget_bytes = 8 << 20,
				       .stop_limit_ms = 2000,
				       .copy = copy,
				       .stand = stand,
				       .look = look,
				       .context = copied};
}

static void freeze(struct frozen *frozen, struct copied *copied, pid_t pid)
{
	struct freeze_options options = options_for(copied);
	struct strobe_error *error = NULL;
	copied->pids[0] = pid;
	freeze_take(frozen, &pid, 1, &options, &error);
	CHECK_OK(error);
	if (!frozen->cloned)
		printf("# no clone: %s\n", frozen->clone.why);
	CHECK(frozen->cloned);
}

static void read_words(pid_t pid, uint64_t *ret)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK_EQUAL(pread(fd, ret, WORDS * 8, (off_t)(uintptr_t)words), WORDS * 8);
	close(fd);
}

static size_t count_entries(pid_t pid, const char *folder)
{
	char path[64];
	size_t count = 0;
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, folder);
	DIR *entries = opendir(path);
	CHECK(entries);
	for (struct dirent *entry; (entry = readdir(entries));)
		count += entry->d_name[0] != '.';
	closedir(entries);
	return count;
}

static bool goes_on(unsigned which)
{
	unsigned long before = atomic_load(&told->rounds[which]);
	for (unsigned i = 0; i < 2000; i++) {
		if (atomic_load(&told->rounds[which]) > before + 2)
			return true;
		child_pause_ms(5);
	}
	return false;
}

static bool is_gone(pid_t pid)
{
	for (unsigned i = 0; i < 2000; i++) {
		char state = child_state(pid, pid);
		if (state == 0 || state == 'Z' || state == 'X')
			return true;
		child_pause_ms(5);
	}
	return false;
}

static void the_clone_is_nobodys(void)
{
	static struct copied copied;
	struct frozen frozen = {0};
	copied = (struct copied){0};
	make_memory();
	pid_t pid = child_start(live);
	size_t descriptors = count_entries(pid, "fd");
	freeze(&frozen, &copied, pid);
	pid_t clone = frozen.clone.pid;
	CHECK(clone > 0 && clone != pid);
	CHECK(child_field(clone, "PPid") != pid);
	CHECK(child_field(clone, "PPid") != getpid() || getpid() == 1);
	CHECK_EQUAL(child_field(clone, "TracerPid"), getpid());
	CHECK_EQUAL(child_state(clone, clone), 't');
	CHECK_EQUAL(sched_getscheduler(clone), SCHED_OTHER);
	CHECK_EQUAL(count_entries(clone, "fd"), 0);
	CHECK_EQUAL(count_entries(clone, "task"), 1);
	CHECK_EQUAL(child_field(pid, "TracerPid"), 0);
	CHECK_EQUAL(count_entries(pid, "fd"), descriptors);
	CHECK_EQUAL(count_entries(pid, "task"), 1);
	CHECK_EQUAL(copied.looks, 1);
	CHECK(frozen.threads.released_ns > frozen.threads.first_stop_ns);
	CHECK(goes_on(0));
	freeze_fini(&frozen);
	CHECK(is_gone(clone));
	child_end(pid);
}

static void the_instant_is_kept(void)
{
	static struct copied copied;
	static uint64_t first[WORDS], later[WORDS];
	make_memory();
	pid_t pid = child_start(live);
	for (unsigned round = 0; round < 5; round++) {
		struct frozen frozen = {0};
		copied = (struct copied){0};
		CHECK(goes_on(0));
		unsigned long before = atomic_load(&told->rounds[0]);
		freeze(&frozen, &copied, pid);
		read_words(frozen.clone.pid, first);
		CHECK(first[0] >= before);
		for (size_t i = 1; i < WORDS; i++) // a round was half done, at one place at most
			CHECK(first[i] == first[i - 1] ||
			      (first[i] == first[0] - 1 && first[i - 1] == first[0]));
		CHECK(goes_on(0));
		read_words(frozen.clone.pid, later);
		CHECK(memcmp(first, later, sizeof(first)) == 0);
		read_words(pid, later);
		CHECK(later[0] > first[0]);
		freeze_fini(&frozen);
	}
	child_end(pid);
}

static void what_a_clone_does_not_freeze_is_copied(void)
{
	static struct copied copied;
	struct frozen frozen = {0};
	copied = (struct copied){0};
	make_memory();
	pid_t pid = child_start(live);
	freeze(&frozen, &copied, pid);
	CHECK(has_range(&copied, shared, 4 * PAGE, 0));
	CHECK(has_range(&copied, (void *)told, PAGE, 0));
	CHECK(has_range(&copied, kept_back, 2 * PAGE, 0));
	CHECK(!has_range(&copied, words, PAGE, 0));
	for (size_t i = 0; i < copied.count; i++)
		CHECK(!copied.ranges[i].sparse);
	CHECK_EQUAL(frozen.gaps.count, 0);
	freeze_fini(&frozen);
	child_end(pid);
}

static void what_a_clone_has_lost_is_copied_later(void)
{
	static struct copied copied;
	struct frozen frozen = {0};
	copied = (struct copied){.may_run = true};
	make_memory();
	pid_t pid = child_start(live_wiped);
	freeze(&frozen, &copied, pid);
	uint64_t start = (uint64_t)(uintptr_t)kept_back;
	CHECK(has_range(&copied, kept_back, PAGE, 0));
	CHECK(!has_range(&copied, kept_back + PAGE, PAGE, 0));
	CHECK_EQUAL(frozen.gaps.count, 1);
	CHECK_EQUAL(frozen.gaps.items[0].start, start);
	CHECK_EQUAL(frozen.gaps.items[0].end, start + PAGE);
	CHECK(strstr(frozen.gaps.items[0].why, "MADV_WIPEONFORK"));
	freeze_fini(&frozen);
	child_end(pid);
}

static void what_is_over_budget_is_told(void)
{
	static struct copied copied;
	struct frozen frozen = {0};
	struct freeze_options options = options_for(&copied);
	struct strobe_error *error = NULL;
	make_memory();
	pid_t pid = child_start(live);
	copied = (struct copied){.pids = {pid}};
	options.shared_budget_bytes = PAGE; // for `told`, the smallest
	freeze_take(&frozen, &pid, 1, &options, &error);
	CHECK_OK(error);
	CHECK(has_range(&copied, (void *)told, PAGE, 0));
	CHECK(!has_range(&copied, shared, PAGE, 0));
	bool found = false;
	for (size_t i = 0; i < frozen.gaps.count; i++) {
		const struct freeze_gap *gap = &frozen.gaps.items[i];
		CHECK(i == 0 || frozen.gaps.items[i - 1].start < gap->start);
		if (gap->start <= (uint64_t)(uintptr_t)shared &&
		    gap->end >= (uint64_t)(uintptr_t)(shared + 4 * PAGE))
			found = strstr(gap->why, "shared memory");
	}
	CHECK(found);
	freeze_fini(&frozen);
	child_end(pid);
}

static void without_a_clone_all_is_copied(void)
{
	static struct copied copied;
	struct frozen frozen = {0};
	struct freeze_options options = options_for(&copied);
	struct strobe_error *error = NULL;
	make_memory();
	pid_t pid = child_start(live);
	copied = (struct copied){.pids = {pid}};
	options.no_clone = true;
	freeze_take(&frozen, &pid, 1, &options, &error);
	CHECK_OK(error);
	CHECK(!frozen.cloned);
	CHECK_EQUAL(frozen.clone.pid, 0);
	CHECK_STRING(frozen.copy_why, "--no-clone");
	CHECK(has_range(&copied, words, WORDS * 8, 0));
	CHECK(has_range(&copied, shared, 4 * PAGE, 0));
	CHECK(copied.ranges[0].sparse);
	CHECK_EQUAL(copied.looks, 1);
	CHECK(goes_on(0));
	freeze_fini(&frozen);
	child_end(pid);
}

/** Two that count in turn: what the one holds is what the other does, or one more. */
static void take_turns(int ready_fd, unsigned which)
{
	child_ready(ready_fd);
	for (;;) {
		unsigned long turn = atomic_load(&told->both);
		if (turn % 2 != which)
			continue;
		words[0] = turn;
		atomic_store(&told->rounds[which], turn);
		atomic_store(&told->both, turn + 1);
	}
}

static void live_first(int ready_fd)
{
	take_turns(ready_fd, 0);
}

static void live_second(int ready_fd)
{
	take_turns(ready_fd, 1);
}

static void two_at_one_instant(void)
{
	static struct copied copied;
	static uint64_t memory[2][WORDS];
	make_memory();
	pid_t pids[2] = {child_start(live_first), child_start(live_second)};
	for (unsigned round = 0; round < 5; round++) {
		struct frozen frozen[2] = {0};
		struct strobe_error *errors[2] = {0};
		struct freeze_options options = options_for(&copied);
		copied = (struct copied){.pids = {pids[0], pids[1]}};
		CHECK(goes_on(0));
		freeze_take(frozen, pids, 2, &options, errors);
		CHECK_OK(errors[0]);
		CHECK_OK(errors[1]);
		CHECK(frozen[0].cloned && frozen[1].cloned);
		CHECK_EQUAL(copied.looks, 2);
		CHECK(has_range(&copied, shared, PAGE, 0) && has_range(&copied, shared, PAGE, 1));
		read_words(frozen[0].clone.pid, memory[0]);
		read_words(frozen[1].clone.pid, memory[1]);
		uint64_t a = memory[0][0], b = memory[1][0];
		CHECK(a > b ? a - b == 1 : b - a == 1);
		CHECK(frozen[0].threads.released_ns >= frozen[1].threads.first_stop_ns);
		CHECK(frozen[1].threads.released_ns >= frozen[0].threads.first_stop_ns);
		CHECK(goes_on(1));
		freeze_fini(&frozen[0]);
		freeze_fini(&frozen[1]);
	}
	child_end(pids[0]);
	child_end(pids[1]);
}

static void one_of_two_is_not_there(void)
{
	static struct copied copied;
	make_memory();
	pid_t pids[2] = {999999999, child_start(live)};
	struct frozen frozen[2] = {0};
	struct strobe_error *errors[2] = {0};
	struct freeze_options options = options_for(&copied);
	copied = (struct copied){.pids = {pids[0], pids[1]}};
	freeze_take(frozen, pids, 2, &options, errors);
	CHECK_ERROR(errors[0], STROBE_ERROR_NOT_FOUND);
	CHECK_OK(errors[1]);
	CHECK(frozen[1].cloned);
	CHECK_EQUAL(copied.looks, 1);
	freeze_fini(&frozen[0]);
	freeze_fini(&frozen[1]);
	child_end(pids[1]);
}

static void take_and_wait(int ready_fd)
{
	static struct copied copied; // in a process of its own: the tracer
	static struct frozen frozen;
	struct freeze_options options = options_for(&copied);
	struct strobe_error *error = NULL;
	pid_t pid = atomic_load(&told->clone);
	copied.pids[0] = pid;
	freeze_take(&frozen, &pid, 1, &options, &error);
	if (error || !frozen.cloned)
		_exit(1);
	atomic_store(&told->clone, frozen.clone.pid);
	child_ready(ready_fd);
}

static void the_clone_ends_with_who_took_it(void)
{
	make_memory();
	pid_t pid = child_start(live);
	atomic_store(&told->clone, pid);
	pid_t tracer = child_start(take_and_wait);
	pid_t clone = atomic_load(&told->clone);
	CHECK(clone != pid);
	CHECK_EQUAL(child_state(clone, clone), 't');
	child_end(tracer);
	CHECK(is_gone(clone));
	CHECK(goes_on(0));
	CHECK_EQUAL(child_field(pid, "TracerPid"), 0);
	child_end(pid);
}

static struct strobe_error *kill_and_copy(void *context, size_t index, uint64_t start, uint64_t end,
					  bool sparse)
{
	struct copied *copied = context;
	kill(copied->pids[index], SIGKILL);
	copied->count += end > start && !sparse;
	return NULL;
}

/** Who is killed while it stands is told to its parent, although its clone lives. */
static void killed_in_the_stop(void)
{
	static struct copied copied;
	struct frozen frozen = {0};
	struct freeze_options options = options_for(&copied);
	struct strobe_error *error = NULL;
	make_memory();
	pid_t pid = child_start(live);
	copied = (struct copied){.pids = {pid}};
	options.copy = kill_and_copy;
	freeze_take(&frozen, &pid, 1, &options, &error);
	strobe_error_free(error); // whatever it came to
	bool left = true;
	for (unsigned i = 0; i < 1000 && left; i++) {
		left = threads_tend(&frozen.threads);
		child_pause_ms(5);
	}
	CHECK(!left);
	CHECK_EQUAL(child_state(pid, pid), 0);
	pid_t clone = frozen.clone.pid;
	freeze_fini(&frozen);
	CHECK(clone <= 0 || is_gone(clone));
}

CHECK_MAIN({"the clone is nobody's child, with nothing open", the_clone_is_nobodys},
	   {"the instant is kept while the process goes on", the_instant_is_kept},
	   {"shared memory, and what is kept out of clones",
	    what_a_clone_does_not_freeze_is_copied},
	   {"what is wiped in clones", what_a_clone_has_lost_is_copied_later},
	   {"more shared memory than the budget", what_is_over_budget_is_told},
	   {"without a clone", without_a_clone_all_is_copied},
	   {"two processes at one instant", two_at_one_instant},
	   {"one of two is not there", one_of_two_is_not_there},
	   {"the clone ends with who took it", the_clone_ends_with_who_took_it},
	   {"killed in the stop", killed_in_the_stop})
