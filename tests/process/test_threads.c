// SPDX-License-Identifier: Apache-2.0
// Threads that are stopped and let go, in states that make this hard.
#include "process/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "child.h"

enum { THREADS = 50, LIMIT_MS = 2000 };

/** What a child tells, in memory shared with it. */
static struct told {
	atomic_ulong rounds[THREADS + 1];
	atomic_int pid;
	atomic_int handled;
} * told;

static void share(void)
{
	if (!told)
		told = mmap(NULL, sizeof(*told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			    -1, 0);
	CHECK(told != MAP_FAILED);
	memset((void *)told, 0, sizeof(*told));
}

static void *count_rounds(void *argument)
{
	size_t index = (size_t)argument;
	for (;;) {
		atomic_fetch_add(&told->rounds[index], 1);
		if (index % 2)
			child_pause_ms(1);
		else
			for (volatile int i = 0; i < 1000; i++)
				;
	}
	return NULL;
}

static void live_with_threads(int ready_fd)
{
	pthread_t thread;
	for (size_t i = 1; i <= THREADS; i++)
		if (pthread_create(&thread, NULL, count_rounds, (void *)i))
			_exit(1);
	child_ready(ready_fd);
	count_rounds(NULL);
}

static unsigned long all_rounds(void)
{
	unsigned long sum = 0;
	for (size_t i = 0; i <= THREADS; i++)
		sum += atomic_load(&told->rounds[i]);
	return sum;
}

/** True once each of the threads went on, within ten seconds. */
static bool all_go_on(void)
{
	unsigned long before[THREADS + 1];
	for (size_t i = 0; i <= THREADS; i++)
		before[i] = atomic_load(&told->rounds[i]);
	for (unsigned round = 0; round < 1000; round++) {
		size_t moved = 0;
		for (size_t i = 0; i <= THREADS; i++)
			moved += atomic_load(&told->rounds[i]) != before[i];
		if (moved == THREADS + 1)
			return true;
		child_pause_ms(10);
	}
	return false;
}

static void stop(struct threads *threads, pid_t pid, unsigned limit_ms)
{
	CHECK_OK(threads_seize(threads, pid, limit_ms));
	threads_interrupt(threads);
	CHECK_OK(threads_wait(threads));
}

static void stops_many_and_lets_them_go(void)
{
	share();
	pid_t pid = child_start(live_with_threads);
	for (unsigned round = 0; round < 3; round++) {
		struct threads threads;
		stop(&threads, pid, LIMIT_MS);
		CHECK_EQUAL(threads.list.count, THREADS + 1);
		CHECK_EQUAL(threads.stopped_count, THREADS + 1);
		CHECK_EQUAL(threads.stuck_count, 0);
		for (size_t i = 0; i < threads.list.count; i++) {
			const struct stopped_thread *thread = &threads.list.items[i];
			CHECK_EQUAL(thread->state, THREAD_STOPPED);
			CHECK(i == 0 || threads.list.items[i - 1].tid < thread->tid);
			CHECK(thread->regs.rip && thread->regs.rsp && thread->xstate_size);
			CHECK(thread->status && thread->stat && thread->has_blocked);
			CHECK_EQUAL(thread->signal, 0);
			CHECK(!thread->group_stopped);
			CHECK_EQUAL(child_state(pid, thread->tid), 't');
		}
		unsigned long before = all_rounds();
		child_pause_ms(50);
		CHECK_EQUAL(all_rounds(), before);
		threads_release(&threads, &threads.list.items[7]);
		CHECK(threads.released_ns > threads.first_stop_ns);
		CHECK_EQUAL(child_state(pid, threads.list.items[7].tid), 't');
		threads_release_one(&threads, &threads.list.items[7]);
		threads_release_one(&threads, &threads.list.items[7]); // once is enough
		CHECK(all_go_on());
		CHECK_EQUAL(child_field(pid, "TracerPid"), 0);
		CHECK(!threads_tend(&threads));
		threads_fini(&threads);
	}
	child_end(pid);
}

static void stays_stopped_if_it_was(void)
{
	share();
	pid_t pid = child_start(live_with_threads);
	kill(pid, SIGSTOP);
	CHECK(child_reaches(pid, 'T'));
	struct threads threads;
	stop(&threads, pid, LIMIT_MS);
	CHECK_EQUAL(threads.stopped_count, THREADS + 1);
	for (size_t i = 0; i < threads.list.count; i++) {
		CHECK(threads.list.items[i].group_stopped);
		CHECK_EQUAL(threads.list.items[i].signal, 0);
	}
	threads_release(&threads, NULL);
	threads_fini(&threads);
	CHECK(child_reaches(pid, 'T'));
	unsigned long before = all_rounds();
	child_pause_ms(50);
	CHECK_EQUAL(all_rounds(), before);
	CHECK_EQUAL(child_state(pid, pid), 'T');
	kill(pid, SIGCONT);
	CHECK(all_go_on());
	child_end(pid);
}

static void live_behind_vfork(int ready_fd)
{
	pid_t pid = vfork();
	if (pid == 0) {
		atomic_store(&told->pid, (int)syscall(SYS_getpid));
		(void)!write(ready_fd, "", 1);
		for (;;)
			pause();
	}
	count_rounds(NULL);
}

static void tells_who_did_not_stop_and_tends_it(void)
{
	share();
	pid_t pid = child_start(live_behind_vfork);
	struct threads threads;
	int64_t start = threads_clock_ns();
	CHECK_OK(threads_seize(&threads, pid, 100));
	threads_interrupt(&threads);
	CHECK_OK(threads_wait(&threads));
	CHECK(threads_clock_ns() - start < INT64_C(2000000000));
	CHECK_EQUAL(threads.stopped_count, 0);
	CHECK_EQUAL(threads.stuck_count, 1);
	CHECK_EQUAL(threads.list.items[0].state, THREAD_STUCK);
	threads_release(&threads, NULL);
	CHECK(threads_tend(&threads)); // one is left
	kill(atomic_load(&told->pid), SIGKILL);
	bool left = true;
	for (unsigned i = 0; i < 1000 && left; i++) {
		left = threads_tend(&threads);
		child_pause_ms(5);
	}
	CHECK(!left);
	CHECK_EQUAL(threads.stuck_count, 0);
	for (unsigned i = 0; i < 1000 && !atomic_load(&told->rounds[0]); i++)
		child_pause_ms(5);
	CHECK(atomic_load(&told->rounds[0]));
	CHECK_EQUAL(child_field(pid, "TracerPid"), 0);
	threads_fini(&threads);
	child_end(pid);
}

static void ends_before_it_is_stopped(void)
{
	share();
	pid_t pid = child_start(live_with_threads);
	struct threads threads;
	CHECK_OK(threads_seize(&threads, pid, LIMIT_MS));
	kill(pid, SIGKILL);
	threads_interrupt(&threads);
	CHECK_ERROR(threads_wait(&threads), STROBE_ERROR_NOT_FOUND);
	threads_release(&threads, NULL);
	CHECK(!threads_tend(&threads));
	threads_fini(&threads);
	waitpid(pid, NULL, __WALL);
	CHECK_ERROR(threads_seize(&threads, pid, LIMIT_MS), STROBE_ERROR_NOT_FOUND);
	threads_fini(&threads);
}

static void ends_while_it_stands(void)
{
	share();
	pid_t pid = child_start(live_with_threads);
	struct threads threads;
	stop(&threads, pid, LIMIT_MS);
	kill(pid, SIGKILL);
	CHECK(child_reaches(pid, 'Z'));
	threads_release(&threads, NULL);
	// Its parent is told at once, not when we end.
	bool left = true;
	for (unsigned i = 0; i < 1000 && left; i++) {
		left = threads_tend(&threads);
		child_pause_ms(5);
	}
	CHECK(!left);
	threads_fini(&threads);
	CHECK_EQUAL(child_state(pid, pid), 0); // we are both parent and tracer
	CHECK(waitpid(pid, NULL, __WALL) == -1 && errno == ECHILD);
}

static void note_signal(int signal)
{
	atomic_fetch_add(&told->handled, signal == SIGUSR1 ? 1 : 100);
}

static void live_with_handler(int ready_fd)
{
	signal(SIGUSR1, note_signal);
	child_ready(ready_fd);
	count_rounds(NULL);
}

/** Some of the signals are taken in the instant of the stop: none is lost, none comes twice. */
static void gives_signals_back(void)
{
	share();
	pid_t pid = child_start(live_with_handler);
	unsigned met = 0;
	for (int round = 1; round <= 200; round++) {
		struct threads threads;
		CHECK_OK(threads_seize(&threads, pid, LIMIT_MS));
		if (round % 2)
			threads_interrupt(&threads);
		kill(pid, SIGUSR1);
		if (round % 4 == 0)
			child_pause_ms(1); // time enough to stop for the signal itself
		if (round % 2 == 0)
			threads_interrupt(&threads);
		CHECK_OK(threads_wait(&threads));
		CHECK_EQUAL(threads.stopped_count, 1);
		met += threads.list.items[0].signal == SIGUSR1;
		threads_release(&threads, NULL);
		threads_fini(&threads);
		for (unsigned i = 0; i < 2000 && atomic_load(&told->handled) < round; i++)
			child_pause_ms(1);
		CHECK_EQUAL(atomic_load(&told->handled), round);
	}
	printf("# %u of 200 were met in the stop\n", met);
	CHECK(met > 0);
	child_end(pid);
}

static void *end_leader(void *argument)
{
	(void)argument;
	child_pause_ms(100);
	return count_rounds(NULL);
}

static void live_without_leader(int ready_fd)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, end_leader, NULL))
		_exit(1);
	child_ready(ready_fd);
	syscall(SYS_exit, 0); // this thread only
}

static void stops_what_is_left_of_it(void)
{
	share();
	pid_t pid = child_start(live_without_leader);
	CHECK(child_reaches(pid, 'Z'));
	struct threads threads;
	stop(&threads, pid, LIMIT_MS);
	CHECK_EQUAL(threads.list.count, 2);
	CHECK_EQUAL(threads.list.items[0].state, THREAD_DEAD);
	CHECK_EQUAL(threads.list.items[1].state, THREAD_STOPPED);
	CHECK_EQUAL(threads_alive(&threads), threads.list.items[1].tid);
	CHECK(threads.mem_fd >= 0);
	uint64_t byte;
	CHECK_EQUAL(pread(threads.mem_fd, &byte, sizeof(byte), (off_t)(uintptr_t)&told),
		    sizeof(byte));
	CHECK_EQUAL(byte, (uint64_t)(uintptr_t)told);
	threads_release(&threads, NULL);
	threads_fini(&threads);
	for (unsigned i = 0; i < 1000 && !atomic_load(&told->rounds[0]); i++)
		child_pause_ms(5);
	CHECK(atomic_load(&told->rounds[0]));
	child_end(pid);
}

CHECK_MAIN({"fifty threads", stops_many_and_lets_them_go},
	   {"a stopped process stays stopped", stays_stopped_if_it_was},
	   {"a thread behind vfork", tells_who_did_not_stop_and_tends_it},
	   {"it ends before it stands", ends_before_it_is_stopped},
	   {"it ends while it stands", ends_while_it_stands},
	   {"signals in the instant of the stop", gives_signals_back},
	   {"a process without its first thread", stops_what_is_left_of_it})
