// SPDX-License-Identifier: Apache-2.0
// Hits by jumps into code of ours: exact, harmless to threads that run all the time, and taken back without a trace, whoever dies when.
#include <dirent.h>

#include "target.h"

#include "agent/agent.h"
#include "tracepoint/program.h"

enum { CALLS = 1000, THREADS = 4, CYCLE_THREADS = 8 };
static unsigned cycles = 1000;

struct seen {
	uint64_t count, last_time;
	bool in_order, right, checked;
	uint8_t numbers[CALLS];
};

static void see(void *context, const struct engine_hit *hit)
{
	struct seen *seen = context;
	uint64_t here = (uint64_t)(uintptr_t)hot_function;
	seen->count++;
	seen->in_order &= (uint64_t)hit->time_ns >= seen->last_time;
	seen->last_time = (uint64_t)hit->time_ns;
	seen->checked &= hit->checked;
	seen->right &= hit->cookie == 1 && hit->regs.rip == here && hit->regs.rsi == 5 &&
		       hit->stack_size >= 1000 && hit->tid > 0;
	if (hit->regs.rdi < CALLS)
		seen->numbers[hit->regs.rdi]++;
}

static uint32_t arm(struct target *target, const struct probe_program *condition)
{
	struct probe_request request = {.kind = PROBE_AT,
					.address = (uint64_t)(uintptr_t)hot_function,
					.cookie = 1,
					.condition = condition,
					.stack_bytes = 1000};
	struct probe_answer answer;
	CHECK_OK(agent_engine.arm(target->engine, &request, 1, &answer));
	CHECK_STRING(answer.why, "");
	CHECK(answer.probe != 0);
	CHECK_STRING(answer.method, "jump");
	return answer.probe;
}

/** Until so many hits have come. */
static void collect(struct target *target, struct seen *seen, uint64_t wanted)
{
	bool ended;
	for (int64_t begin = patience_begin(); seen->count < wanted && patience_lasts(begin);)
		CHECK_OK(agent_engine.wait(target->engine, 10, see, seen, &ended));
}

static void test_hits(void)
{
	struct target target;
	static struct seen seen;
	seen = (struct seen){.in_order = true, .right = true};
	target_start(&target, THREADS, CALLS);
	target_watch(&target);
	uint32_t probe = arm(&target, NULL);
	CHECK(!target_code_is_ours(&target, (const void *)hot_function, 16));
	target.page->go = 1;
	collect(&target, &seen, THREADS * CALLS);
	CHECK_EQUAL(seen.count, THREADS * CALLS);
	for (unsigned i = 0; i < CALLS; i++)
		CHECK_EQUAL(seen.numbers[i], THREADS);
	CHECK(seen.right);
	CHECK(seen.in_order);
	struct engine_totals totals;
	agent_engine.totals(target.engine, probe, &totals);
	CHECK_EQUAL(totals.hits, THREADS * CALLS);
	CHECK_EQUAL(totals.dropped, 0);
	agent_engine.disarm(target.engine, &probe, 1);
	CHECK(target_code_is_ours(&target, (const void *)hot_function, 16));
	target_unwatch(&target);
	target_end(&target);
}

/** number (rdi) < 10, as 64 bits */
static struct probe_program *first_ten(void)
{
	static const struct program_step steps[] = {{.op = OP_REGISTER, .a = 5},
						    {.op = OP_CONST, .value = 10},
						    {.op = OP_LT},
						    {.op = OP_END}};
	struct probe_program *program = malloc(sizeof(*program) + sizeof(steps));
	program->count = 4;
	program->stack = 2;
	memcpy(program->steps, steps, sizeof(steps));
	return program;
}

static void test_condition(void)
{
	struct target target;
	static struct seen seen;
	seen = (struct seen){.in_order = true, .right = true, .checked = true};
	struct probe_program *condition = first_ten();
	bool ended;
	target_start(&target, THREADS, CALLS);
	target_watch(&target);
	uint32_t probe = arm(&target, condition);
	free(condition);
	target.page->go = 1;
	while (target.page->finished < THREADS)
		usleep(1000);
	// They are all there; more would come along with the last ones, or right after.
	collect(&target, &seen, THREADS * 10);
	CHECK_OK(agent_engine.wait(target.engine, 50, see, &seen, &ended));
	CHECK_EQUAL(seen.count, THREADS * 10);
	for (unsigned i = 0; i < CALLS; i++)
		CHECK_EQUAL(seen.numbers[i], i < 10 ? THREADS : 0);
	CHECK(seen.checked);
	struct engine_totals totals;
	agent_engine.totals(target.engine, probe, &totals);
	CHECK_EQUAL(totals.condition_false, THREADS * (CALLS - 10));
	target_unwatch(&target);
	CHECK(target_code_is_ours(&target, (const void *)hot_function, 16));
	target_end(&target);
}

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/** Of hits in a row one in a while is recorded, and all are counted. */
static void test_pause(void)
{
	enum { PAUSED_CALLS = 200000 };
	struct target target;
	static struct seen seen;
	seen = (struct seen){.in_order = true, .right = true};
	target_start(&target, THREADS, PAUSED_CALLS);
	target_watch(&target);
	struct probe_request request = {.kind = PROBE_AT,
					.address = (uint64_t)(uintptr_t)hot_function,
					.cookie = 1,
					.pause_ns = 1000000,
					.stack_bytes = 1000};
	struct probe_answer answer;
	struct engine_totals totals;
	CHECK_OK(agent_engine.arm(target.engine, &request, 1, &answer));
	CHECK(answer.probe != 0);
	int64_t begin = now_ns();
	target.page->go = 1;
	int64_t patience = patience_begin();
	bool ended;
	while (target.page->finished < THREADS && patience_lasts(patience))
		CHECK_OK(agent_engine.wait(target.engine, 10, see, &seen, &ended));
	int64_t took = now_ns() - begin;
	do {
		CHECK_OK(agent_engine.wait(target.engine, 10, see, &seen, &ended));
		agent_engine.totals(target.engine, answer.probe, &totals);
	} while (seen.count + totals.skipped + totals.dropped < THREADS * PAUSED_CALLS &&
		 patience_lasts(patience));
	printf("# %lu recorded in %ld ms, %lu skipped\n", (unsigned long)seen.count,
	       (long)(took / 1000000), (unsigned long)totals.skipped);
	CHECK_EQUAL(totals.hits, THREADS * PAUSED_CALLS);
	CHECK_EQUAL(seen.count + totals.skipped + totals.dropped, THREADS * PAUSED_CALLS);
	// The clocks were compared for 2 ms only.
	CHECK(seen.count >= 1 && seen.count <= (uint64_t)(took / 500000) + 10);
	target_unwatch(&target);
	target_end(&target);
}

enum { POINTERS = 6, FOLLOW_CALLS = 30000 };

/** Pointers good, bad, and good now and then; the numbers of calls where the condition holds, where it does not, and where nothing can
 *  be read surely. */
static void follow_pointers(struct target_page *page)
{
	long size = sysconf(_SC_PAGESIZE);
	uint32_t *good = malloc(64), *other = malloc(64);
	uint8_t *last = mmap(NULL, 2 * (size_t)size, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	mprotect(last + size, (size_t)size, PROT_NONE);
	good[2] = 77;
	other[2] = 78;
	uint64_t pointers[POINTERS] = {(uintptr_t)good,
				       (uintptr_t)other,
				       0,
				       ~0ULL,
				       (uintptr_t)last + (uint64_t)size - 10,
				       0};
	__atomic_fetch_add(&page->running, 1, __ATOMIC_SEQ_CST);
	while (!page->go)
		usleep(100);
	for (uint64_t i = 0; i < FOLLOW_CALLS; i++) {
		uint64_t *changing = &pointers[POINTERS - 1];
		if (*changing) { // the kernel itself may find it or not
			munmap((void *)*changing, (size_t)size);
			*changing = 0;
		} else {
			*changing = (uintptr_t)mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE,
						    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		}
		for (unsigned j = 0; j < POINTERS; j++)
			if (hot_function(pointers[j], i) != pointers[j] + i + 3)
				page->wrong++;
	}
	page->finished = 1;
	while (!page->stop)
		usleep(1000);
	_exit(page->wrong != 0);
}

struct followed {
	uint64_t checked, unchecked, strange;
};

static void see_followed(void *context, const struct engine_hit *hit)
{
	struct followed *followed = context;
	if (hit->checked)
		followed->checked++;
	else
		followed->unchecked++;
	// What is there can be read.
	followed->strange += hit->checked && hit->regs.rdi < 4096;
}

/** A load that could fail is made by the kernel, and says so where it does. */
static void follow_with(bool transactions)
{
	static const struct program_step steps[] = {{.op = OP_REGISTER, .a = 5},
						    {.op = OP_CONST, .value = 8},
						    {.op = OP_ADD},
						    {.op = OP_LOAD, .a = 4, .b = 1},
						    {.op = OP_CONST, .value = 77},
						    {.op = OP_EQ},
						    {.op = OP_END}};
	struct probe_program *program = malloc(sizeof(*program) + sizeof(steps));
	*program = (struct probe_program){.count = 7, .stack = 2};
	memcpy(program->steps, steps, sizeof(steps));
	struct target target = {0};
	struct followed followed = {0};
	struct engine_totals totals;
	target.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	target.pid = fork();
	if (target.pid == 0)
		follow_pointers(target.page);
	while (!target.page->running)
		usleep(1000);
	target_watch(&target);
	uint32_t probe = arm(&target, program);
	free(program);
	target.page->go = 1;
	bool ended;
	int64_t begin = patience_begin();
	while (!target.page->finished && patience_lasts(begin))
		CHECK_OK(agent_engine.wait(target.engine, 5, see_followed, &followed, &ended));
	begin = patience_begin();
	do {
		CHECK_OK(agent_engine.wait(target.engine, 20, see_followed, &followed, &ended));
		agent_engine.totals(target.engine, probe, &totals);
	} while (followed.checked + followed.unchecked + totals.dropped <
			 FOLLOW_CALLS * 4 + FOLLOW_CALLS / 2 &&
		 patience_lasts(begin));
	printf("# %lu hold, %lu do not, %lu cannot be told, %lu dropped\n",
	       (unsigned long)followed.checked, (unsigned long)totals.condition_false,
	       (unsigned long)followed.unchecked, (unsigned long)totals.dropped);
	// The one that comes and goes is zero while it is there.
	CHECK_EQUAL(totals.condition_false, FOLLOW_CALLS + FOLLOW_CALLS / 2);
	CHECK_EQUAL(followed.checked + followed.unchecked + totals.dropped,
		    FOLLOW_CALLS * 4 + FOLLOW_CALLS / 2);
	CHECK(followed.checked > 0 && followed.checked <= FOLLOW_CALLS);
	CHECK(followed.unchecked > 0 && followed.strange == 0);
	target_unwatch(&target);
	target_end(&target);
}

static void test_pointers(void)
{
	follow_with(true); // where the processor has them
	follow_with(false);
}

/** Instructions of seven, three, five and one bytes. */
static unsigned arm_function(struct target *target, const struct probe_program *condition,
			     uint32_t probes[4])
{
	static const uint64_t offsets[] = {0, 7, 10, 15};
	struct probe_request requests[4];
	struct probe_answer answers[4];
	unsigned armed = 0;
	for (unsigned i = 0; i < 4; i++)
		requests[i] = (struct probe_request){.address = (uint64_t)(uintptr_t)hot_function +
								offsets[i],
						     .cookie = i + 1,
						     .condition = condition,
						     .stack_bytes = 1000};
	CHECK_OK(agent_engine.arm(target->engine, requests, 4, answers));
	for (unsigned i = 0; i < 4; i++) {
		probes[i] = answers[i].probe;
		armed += answers[i].probe != 0;
	}
	return armed;
}

static void count_all(void *context, const struct engine_hit *hit)
{
	uint64_t *hits = context;
	CHECK(hit->cookie >= 1 && hit->cookie <= 4);
	hits[hit->cookie]++;
}

static void test_cycles(void)
{
	struct target target;
	struct probe_program *condition = first_ten();
	uint64_t hits[5] = {0}, armed = 0;
	bool ended;
	target_start(&target, CYCLE_THREADS, 0);
	target_watch(&target);
	target.page->go = 1;
	// Where other work is done the threads may not be running just then.
	int64_t begin = patience_begin();
	for (unsigned i = 0; i < cycles || (!hits[1] && patience_lasts(begin)); i++) {
		uint32_t probes[4];
		armed += arm_function(&target, i % 2 ? condition : NULL, probes);
		if (i % 16 == 0)
			CHECK_OK(agent_engine.wait(target.engine, 1, count_all, hits, &ended));
		agent_engine.disarm(target.engine, probes, 4);
		CHECK(target_code_is_ours(&target, (const void *)hot_function, 32));
	}
	printf("# %lu armed, hits %lu %lu %lu %lu\n", (unsigned long)armed, (unsigned long)hits[1],
	       (unsigned long)hits[2], (unsigned long)hits[3], (unsigned long)hits[4]);
	CHECK(hits[1] > 0 && armed >= cycles);
	CHECK(target_text_is_ours(&target));
	free(condition);
	target_unwatch(&target);
	CHECK(target_text_is_ours(&target));
	target_end(&target);
}

/** No check here: it is not this process's case that would end. */
static void watch_until_killed(struct target *target, unsigned pause_us)
{
	char name[20];
	struct probe_request request = {.address = (uint64_t)(uintptr_t)hot_function, .cookie = 1};
	struct probe_answer answer;
	snprintf(name, sizeof(name), "%d", target->pid);
	if (strobe_view_open(name, NULL, &target->view) ||
	    strobe_symbols_open(target->view, &target->symbols) ||
	    agent_engine.open(target->pid, target->symbols, &target->engine))
		_exit(1); // the one before is still putting things back
	for (;;) {
		if (agent_engine.arm(target->engine, &request, 1, &answer) || !answer.probe)
			_exit(1);
		usleep(pause_us);
		agent_engine.disarm(target->engine, &answer.probe, 1);
	}
}

/** Killed at any moment, a watcher leaves the target running, its code as it was, and nobody behind. */
static void test_killed(void)
{
	struct target target;
	unsigned killed = 0;
	target_start(&target, 2, 0);
	target.page->go = 1;
	for (unsigned i = 0; i < 60; i++) {
		pid_t watcher = fork();
		if (watcher == 0)
			watch_until_killed(&target, i * 10);
		usleep(700 * i);
		kill(watcher, SIGKILL);
		int status;
		waitpid(watcher, &status, 0);
		killed += WIFSIGNALED(status);
		usleep(5000 * (i % 4));
	}
	printf("# %u killed at work\n", killed);
	CHECK(killed > 5);
	bool same = false;
	for (int64_t begin = patience_begin(); !same && patience_lasts(begin);) {
		usleep(10000);
		same = target_code_is_ours(&target, (const void *)hot_function, 16);
	}
	CHECK(same);
	target_end(&target);
}

/** Our child that has this name, or the process that it traces. */
static pid_t find_surgeon(void)
{
	char path[64], children[256] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	FILE *file = fopen(path, "r");
	pid_t found = 0;
	while (file && fscanf(file, "%63s", children) == 1) {
		char name[64] = "";
		snprintf(path, sizeof(path), "/proc/%s/comm", children);
		FILE *comm = fopen(path, "r");
		if (comm && fgets(name, sizeof(name), comm) &&
		    strcmp(name, "strobe-surgeon\n") == 0)
			found = atoi(children);
		if (comm)
			fclose(comm);
	}
	if (file)
		fclose(file);
	return found;
}

/** The process that `tracer` traces. */
static pid_t find_traced(pid_t tracer)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	pid_t found = 0;
	while (folder && !found && (entry = readdir(folder))) {
		char path[300], line[128];
		int of = 0;
		snprintf(path, sizeof(path), "/proc/%s/status", entry->d_name);
		FILE *file = fopen(path, "r");
		while (file && fgets(line, sizeof(line), file))
			if (sscanf(line, "TracerPid: %d", &of) == 1 && of == tracer)
				found = atoi(entry->d_name);
		if (file)
			fclose(file);
	}
	if (folder)
		closedir(folder);
	return found;
}

/** The process in the target's memory is made anew. */
static void test_helper_killed(void)
{
	struct target target;
	target_start(&target, 2, 0);
	target.page->go = 1;
	target_watch(&target);
	for (unsigned i = 0; i < 20; i++) {
		uint32_t probe = arm(&target, NULL);
		pid_t helper = find_traced(find_surgeon());
		CHECK(helper > 0 && helper != target.pid);
		CHECK(kill(helper, SIGKILL) == 0);
		usleep(1000 * i);
		agent_engine.disarm(target.engine, &probe, 1);
		CHECK(target_code_is_ours(&target, (const void *)hot_function, 16));
	}
	target_unwatch(&target);
	CHECK(target_code_is_ours(&target, (const void *)hot_function, 16));
	target_end(&target);
}

/** Jumps that nobody takes back are harmless. */
static void test_surgeon_killed(void)
{
	struct target target;
	static struct seen seen;
	seen = (struct seen){.in_order = true, .right = true};
	bool ended;
	target_start(&target, 2, 0);
	target.page->go = 1;
	target_watch(&target);
	uint32_t probe = arm(&target, NULL);
	pid_t surgeon = find_surgeon();
	CHECK(surgeon > 0);
	CHECK(kill(surgeon, SIGKILL) == 0);
	usleep(50000);
	collect(&target, &seen, 1);
	CHECK_OK(agent_engine.wait(target.engine, 0, see, &seen, &ended));
	CHECK(seen.count > 0 && seen.right && !ended);
	struct probe_request request = {.address = (uint64_t)(uintptr_t)hot_end - 1};
	struct probe_answer answer;
	CHECK_ERROR(agent_engine.arm(target.engine, &request, 1, &answer), STROBE_ERROR_SYSTEM);
	agent_engine.disarm(target.engine, &probe, 1);
	target_unwatch(&target);
	CHECK(!target_code_is_ours(&target, (const void *)hot_function, 16));
	usleep(50000);
	target_end(&target);
}

static void test_refusals(void)
{
	struct target target;
	target_start(&target, 1, 10);
	target_watch(&target);
	struct probe_request requests[] = {
		{.address = 16},
		{.address = (uint64_t)(uintptr_t)&target},
		{.kind = PROBE_SIGNAL},
		{.kind = PROBE_RETURN, .address = (uint64_t)(uintptr_t)hot_function}};
	struct probe_answer answers[4];
	CHECK_OK(agent_engine.arm(target.engine, requests, 4, answers));
	for (unsigned i = 0; i < 4; i++)
		CHECK(answers[i].probe == 0 && answers[i].why[0]);
	target_unwatch(&target);
	target_end(&target);
}

static const struct check_case cases[] = {
	{"armed and disarmed 1,000 times under eight threads that run", test_cycles},
	{"every hit of four threads arrives once, with its registers", test_hits},
	{"a condition is evaluated inside", test_condition},
	{"of many hits in a row one in a while is recorded", test_pause},
	{"a condition follows pointers that lead nowhere", test_pointers},
	{"killed at any moment, nothing is left in the code", test_killed},
	{"its helper killed, another takes its place", test_helper_killed},
	{"killed with its guardian, the jumps that stay do no harm", test_surgeon_killed},
	{"what cannot be armed says why", test_refusals},
};

/** With a number, as many cycles, and nothing else. */
int main(int argc, char **argv)
{
	if (argc > 1)
		cycles = (unsigned)atoi(argv[1]);
	return check_run(cases, argc > 1 ? 1 : sizeof(cases) / sizeof(cases[0]));
}
