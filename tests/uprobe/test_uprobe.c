// SPDX-License-Identifier: Apache-2.0
// Hits by the kernel's uprobes: each arrives once, in order, with the registers and the stack of its moment; nothing is left behind.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <strobe/symbols.h>
#include <strobe/view.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "patience.h"
#include "tracepoint/engine.h"

enum { CALLS = 500, THREADS = 4 };
static __thread uint64_t thread_local_number;

__attribute__((noinline)) static int counted(uint64_t number, const char *text)
{
	__asm__ volatile("" ::"r"(number), "r"(text) : "memory");
	return (int)number + 1;
}

/** What the target does between two bytes of its standard input. */
static void *call(void *context)
{
	uint64_t base = (uint64_t)(uintptr_t)context * CALLS;
	for (uint64_t i = 0; i < CALLS; i++)
		counted(base + i, "text");
	return NULL;
}

static void run_target(int commands, int answers)
{
	char byte;
	thread_local_number = 42;
	while (read(commands, &byte, 1) == 1) {
		pthread_t threads[THREADS];
		for (uintptr_t i = 0; byte == 't' && i < THREADS; i++)
			pthread_create(&threads[i], NULL, call, (void *)i);
		for (unsigned i = 0; byte == 't' && i < THREADS; i++)
			pthread_join(threads[i], NULL);
		if (byte == '1')
			counted(7, "one");
		if (write(answers, &byte, 1) != 1)
			break;
	}
	_exit(0);
}

struct target {
	pid_t pid;
	int commands, answers;
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	void *engine;
};

static void open_target(struct target *target)
{
	int in[2], out[2];
	char name[20];
	CHECK(pipe(in) == 0 && pipe(out) == 0);
	target->pid = fork();
	if (target->pid == 0) {
		close(in[1]);
		close(out[0]);
		run_target(in[0], out[1]);
	}
	close(in[0]);
	close(out[1]);
	target->commands = in[1];
	target->answers = out[0];
	snprintf(name, sizeof(name), "%d", target->pid);
	CHECK_OK(strobe_view_open(name, NULL, &target->view));
	CHECK_OK(strobe_symbols_open(target->view, &target->symbols));
	struct strobe_error *error =
		uprobe_engine.open(target->pid, target->symbols, &target->engine);
	if (error && (strobe_error_code(error) == STROBE_ERROR_UNSUPPORTED ||
		      strobe_error_errno(error) == EPERM || strobe_error_errno(error) == EACCES)) {
		printf("# %s\n", strobe_error_message(error));
		strobe_error_free(error);
		kill(target->pid, SIGKILL);
		waitpid(target->pid, NULL, 0);
		SKIP("uprobes by BPF are not to be had here");
	}
	CHECK_OK(error);
}

static void command(struct target *target, char byte)
{
	char back = 0;
	CHECK(write(target->commands, &byte, 1) == 1);
	CHECK(read(target->answers, &back, 1) == 1 && back == byte);
}

static void close_target(struct target *target)
{
	int status = 0;
	if (target->engine)
		uprobe_engine.close(target->engine);
	strobe_symbols_close(target->symbols);
	strobe_view_close(target->view);
	close(target->commands);
	CHECK_EQUAL(waitpid(target->pid, &status, 0), target->pid);
	CHECK_EQUAL(status, 0); // it ended by itself
	close(target->answers);
}

struct seen {
	unsigned count, returned;
	uint64_t sum, last_time, frame;
	bool in_order, right;
	uint8_t numbers[THREADS * CALLS];
};

static void see(void *context, const struct engine_hit *hit)
{
	struct seen *seen = context;
	seen->in_order &= (uint64_t)hit->time_ns >= seen->last_time;
	seen->last_time = (uint64_t)hit->time_ns;
	if (hit->cookie == 2) {
		seen->returned++;
		seen->right &= hit->regs.rax == 8 && hit->frame == seen->frame;
		return;
	}
	seen->count++;
	seen->frame = hit->frame;
	seen->right &= hit->cookie == 1 && hit->regs.rip == (uint64_t)(uintptr_t)counted &&
		       hit->stack_size >= 1024;
	if (hit->regs.rdi < sizeof(seen->numbers))
		seen->numbers[hit->regs.rdi]++;
	if (hit->has_bases) // our own thread-locals are where the target's are
		seen->right &= hit->tid != hit->pid ||
			       hit->regs.fs_base == (uint64_t)(uintptr_t)pthread_self();
}

static void arm_counted(struct target *target, enum probe_kind kind, uint32_t cookie,
			uint32_t *probe)
{
	struct probe_request request = {.kind = kind,
					.address = (uint64_t)(uintptr_t)counted,
					.cookie = cookie,
					.stack_bytes = 1000};
	struct probe_answer answer;
	CHECK_OK(uprobe_engine.arm(target->engine, &request, 1, &answer));
	CHECK_STRING(answer.why, "");
	CHECK(answer.probe != 0);
	*probe = answer.probe;
}

/** Until so many hits have come. */
static void wait_for(struct target *target, struct seen *seen, unsigned wanted)
{
	bool ended = false;
	for (int64_t begin = patience_begin();
	     seen->count + seen->returned < wanted && patience_lasts(begin);) {
		CHECK_OK(uprobe_engine.wait(target->engine, 1000, see, seen, &ended));
		CHECK(!ended);
	}
}

static void test_hits(void)
{
	struct target target;
	struct seen seen = {.in_order = true, .right = true};
	uint32_t probe;
	bool ended;
	open_target(&target);
	arm_counted(&target, PROBE_AT, 1, &probe);
	command(&target, 't');
	wait_for(&target, &seen, THREADS * CALLS);
	CHECK_EQUAL(seen.count, THREADS * CALLS);
	for (unsigned i = 0; i < THREADS * CALLS; i++)
		CHECK_EQUAL(seen.numbers[i], 1);
	CHECK(seen.right);
	struct engine_totals totals;
	uprobe_engine.totals(target.engine, probe, &totals);
	CHECK_EQUAL(totals.hits, THREADS * CALLS);
	// Disarmed: none comes, and the code is as it was.
	uprobe_engine.disarm(target.engine, &probe, 1);
	command(&target, 't');
	CHECK_OK(uprobe_engine.wait(target.engine, 100, see, &seen, &ended));
	CHECK_EQUAL(seen.count, THREADS * CALLS);
	close_target(&target);
}

static void test_return(void)
{
	struct target target;
	struct seen seen = {.in_order = true, .right = true};
	uint32_t probes[2];
	open_target(&target);
	arm_counted(&target, PROBE_AT, 1, &probes[0]);
	arm_counted(&target, PROBE_RETURN, 2, &probes[1]);
	command(&target, '1');
	wait_for(&target, &seen, 2);
	CHECK(seen.count == 1 && seen.returned == 1);
	CHECK(seen.right && seen.in_order);
	close_target(&target);
}

static void test_refusals(void)
{
	struct target target;
	open_target(&target);
	struct probe_request requests[] = {
		{.address = 16}, {.address = (uint64_t)(uintptr_t)&target}, {.kind = PROBE_SIGNAL}};
	struct probe_answer answers[3];
	CHECK_OK(uprobe_engine.arm(target.engine, requests, 3, answers));
	for (unsigned i = 0; i < 3; i++)
		CHECK(answers[i].probe == 0 && answers[i].why[0]);
	close_target(&target);
}

/** Killed at any moment, a watcher leaves the target running and its code as it was. */
static void test_killed(void)
{
	struct target target;
	uint8_t before[64], after[64];
	int mem;
	char path[64];
	open_target(&target);
	uprobe_engine.close(target.engine);
	target.engine = NULL;
	snprintf(path, sizeof(path), "/proc/%d/mem", target.pid);
	CHECK((mem = open(path, O_RDONLY | O_CLOEXEC)) >= 0);
	CHECK(pread(mem, before, sizeof(before), (off_t)(uintptr_t)counted) == sizeof(before));
	for (unsigned i = 0; i < 40; i++) {
		pid_t watcher = fork();
		if (watcher == 0) {
			void *engine;
			uint32_t probe;
			struct probe_request request = {.address = (uint64_t)(uintptr_t)counted,
							.cookie = 1};
			struct probe_answer answer;
			if (uprobe_engine.open(target.pid, target.symbols, &engine))
				_exit(1);
			for (;; uprobe_engine.disarm(engine, &probe, 1)) {
				if (uprobe_engine.arm(engine, &request, 1, &answer))
					_exit(1);
				probe = answer.probe;
			}
		}
		usleep(1000 * (i % 20));
		command(&target, '1');
		kill(watcher, SIGKILL);
		waitpid(watcher, NULL, 0);
		command(&target, 't');
	}
	bool same = false;
	for (int64_t begin = patience_begin();
	     !same && patience_lasts(begin);) { // the kernel takes its time
		CHECK(pread(mem, after, sizeof(after), (off_t)(uintptr_t)counted) == sizeof(after));
		same = memcmp(before, after, sizeof(before)) == 0;
		usleep(10000);
	}
	CHECK(same);
	close(mem);
	close_target(&target);
}

CHECK_MAIN({"every hit of four threads arrives once, with its registers", test_hits},
	   {"a return is matched with its call", test_return},
	   {"what cannot be armed says why", test_refusals},
	   {"killed at any moment, nothing is left in the target", test_killed}, )
