// SPDX-License-Identifier: Apache-2.0
// Programs are recorded by single steps, and compared with a brute-force single-stepper; with limits, forks, signals,
// and while they run. PROGRAMS names them.

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <strobe/cursor.h>
#include <strobe/symbols.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "truth.h"

static char folder[] = "/tmp/strobe-record-XXXXXX";
static char path[128];
static const char *program;

static struct strobe_record_options begin(const char **arguments)
{
	struct strobe_record_options options = {.size = sizeof(options),
						.method = STROBE_RECORD_STEP,
						.path = path,
						.arguments = arguments};
	if (!*path) {
		CHECK(mkdtemp(folder));
		snprintf(path, sizeof(path), "%s/t.strobe-trace", folder);
		program = getenv("PROGRAMS");
		personality(ADDR_NO_RANDOMIZE);
	}
	CHECK(program);
	if (arguments)
		arguments[0] = program;
	return options;
}

static struct strobe_trace *open_trace(void)
{
	struct strobe_trace *trace;
	struct strobe_trace_options options = {.size = sizeof(options), .index_path = ""};
	CHECK_OK(strobe_trace_open(path, &options, &trace));
	return trace;
}

static uint64_t address_of(const char *name, uint64_t *end)
{
	// The program is static: its addresses are those of any trace of it.
	struct strobe_trace *trace = open_trace();
	struct strobe_symbols *symbols;
	struct strobe_function function;
	CHECK_OK(strobe_symbols_open(strobe_trace_view(trace), &symbols));
	CHECK_OK(strobe_function_find(symbols, name, &function));
	if (end)
		*end = function.end;
	strobe_symbols_close(symbols);
	strobe_trace_close(trace);
	return function.start;
}

static uint64_t count_events(enum strobe_event_type type)
{
	struct strobe_trace *trace = open_trace();
	uint64_t sum = 0;
	for (size_t i = 0; i < strobe_trace_thread_count(trace); i++) {
		const struct strobe_trace_thread *thread = strobe_trace_thread(trace, i);
		sum += thread->event_counts[type];
		if (thread->error_count)
			printf("# thread %d has %d errors\n", thread->tid,
			       (int)thread->error_count);
		CHECK_EQUAL(thread->error_count, 0);
	}
	strobe_trace_close(trace);
	return sum;
}

static void run(struct strobe_record_options *options, struct strobe_record_result *result)
{
	// The programs' output is not ours.
	int out = dup(1), null = open("/dev/null", O_RDWR);
	fflush(stdout);
	dup2(null, 1);
	struct strobe_error *error = strobe_record_run(options, result);
	dup2(out, 1);
	close(out);
	close(null);
	CHECK_OK(error);
}

static void compare_with_steps(const char *situation)
{
	const char *arguments[] = {"", situation, NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	struct addresses steps = {0}, recorded = {0};
	run(&options, &result);
	CHECK_EQUAL(result.end, STROBE_RECORD_TARGET_ENDED);
	CHECK(!result.target_runs && WIFEXITED(result.exit_status));
	CHECK_EQUAL(WEXITSTATUS(result.exit_status), 0);
	CHECK_EQUAL(result.threads, 1);
	struct strobe_trace *trace = open_trace();
	const struct strobe_trace_thread *thread = strobe_trace_thread(trace, 0);
	CHECK_EQUAL(thread->instruction_count, result.instructions);
	CHECK_EQUAL(thread->error_count, 0);
	uint64_t start = address_of("main", NULL);
	CHECK_OK(truth_read(trace, 0, start, &recorded));
	CHECK(truth_step(arguments, start, &steps));
	size_t at = truth_compare(&steps, &recorded);
	if (at != SIZE_MAX)
		printf("# %s: %zu steps, %zu recorded, from %zu on: 0x%" PRIx64 ", not 0x%" PRIx64
		       "\n",
		       situation, steps.list.count, recorded.list.count, at,
		       at < recorded.list.count ? recorded.list.items[at] : 0,
		       at < steps.list.count ? steps.list.items[at] : 0);
	CHECK(steps.list.count > 50);
	CHECK_EQUAL(at, SIZE_MAX);
	array_fini(&steps.list);
	array_fini(&recorded.list);
	strobe_trace_close(trace);
}

static void the_same_addresses(void)
{
	compare_with_steps("plain");
	compare_with_steps("strings");
	compare_with_steps("jumps");
	compare_with_steps("parts");
}

static void with_signals(void)
{
	compare_with_steps("signals");
	// raise() and the end of a mask each bring one to the handler.
	CHECK_EQUAL(count_events(STROBE_EVENT_SIGNAL), 6);
	compare_with_steps("faults");
	CHECK_EQUAL(count_events(STROBE_EVENT_SIGNAL), 3);
}

/** The program says itself if anything was not as without us. */
static void fares_well(const char *situation)
{
	const char *arguments[] = {"", situation, NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	run(&options, &result);
	if (result.exit_status)
		printf("# %s: wait status 0x%x\n", situation, (unsigned)result.exit_status);
	CHECK_EQUAL(result.exit_status, 0);
	CHECK(count_events(STROBE_EVENT_SYSTEM_CALL) > 0);
}

static void programs_notice_nothing(void)
{
	fares_well("flags");
	fares_well("traps");
	fares_well("interrupted");
	fares_well("seccomp");
	fares_well("forks");
}

static void code_made_at_run_time(void)
{
	compare_with_steps("makes-code");
}

static void each_thread_is_recorded(void)
{
	const char *arguments[] = {"", "threads", NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	run(&options, &result);
	CHECK_EQUAL(result.exit_status, 0);
	CHECK_EQUAL(result.threads, 5);
	uint64_t work = address_of("work", NULL);
	struct strobe_trace *trace = open_trace();
	CHECK_EQUAL(strobe_trace_thread_count(trace), 5);
	uint64_t sum = 0;
	for (size_t i = 0; i < 5; i++) {
		struct addresses list = {0};
		size_t entries = 0;
		CHECK_OK(truth_read(trace, i, 0, &list));
		sum += list.list.count;
		for (size_t k = 0; k < list.list.count; k++)
			entries += list.list.items[k] == work;
		CHECK_EQUAL(entries, i ? 100 : 0); // 20 times work(3), which is 5 calls
		array_fini(&list.list);
	}
	CHECK_EQUAL(sum, result.instructions);
	strobe_trace_close(trace);
	CHECK_EQUAL(count_events(STROBE_EVENT_THREAD_START), 5);
	CHECK_EQUAL(count_events(STROBE_EVENT_THREAD_END), 5);
}

static void forks_are_followed_if_asked(void)
{
	const char *arguments[] = {"", "forks", NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	run(&options, &result);
	CHECK_EQUAL(result.processes, 1);
	options.follow_forks = true;
	run(&options, &result);
	CHECK_EQUAL(result.processes, 3);
	CHECK_EQUAL(result.exit_status, 0);
	uint64_t work = address_of("work", NULL), entries = 0;
	struct strobe_trace *trace = open_trace();
	for (size_t i = 0; i < strobe_trace_thread_count(trace); i++) {
		struct addresses list = {0};
		CHECK_OK(truth_read(trace, i, 0, &list));
		for (size_t k = 0; k < list.list.count; k++)
			entries += list.list.items[k] == work;
		array_fini(&list.list);
	}
	strobe_trace_close(trace);
	CHECK_EQUAL(entries, 15); // the child's work(5)
}

static void other_programs_are_executed(void)
{
	static const char *const situations[] = {"executes", "thread-executes"};
	for (unsigned i = 0; i < 2; i++) {
		const char *arguments[] = {"", situations[i], NULL};
		struct strobe_record_options options = begin(arguments);
		struct strobe_record_result result;
		run(&options, &result);
		CHECK_EQUAL(result.exit_status, 0);
		CHECK_EQUAL(count_events(STROBE_EVENT_EXEC), 1);
		CHECK_EQUAL(result.processes, 1);
	}
}

static void ends_are_told(void)
{
	const char *arguments[] = {"", "dies", NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	run(&options, &result);
	CHECK(WIFSIGNALED(result.exit_status) && WTERMSIG(result.exit_status) == SIGKILL);
	CHECK_EQUAL(count_events(STROBE_EVENT_THREAD_END), 1);
	arguments[1] = "crashes";
	run(&options, &result);
	CHECK(WIFSIGNALED(result.exit_status) && WTERMSIG(result.exit_status) == SIGSEGV);
	CHECK_EQUAL(count_events(STROBE_EVENT_SIGNAL), 1);
}

static void a_count_is_a_limit(void)
{
	const char *arguments[] = {"", "plain", NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	options.limits.instructions = 1234;
	run(&options, &result);
	CHECK_EQUAL(result.end, STROBE_RECORD_INSTRUCTIONS);
	CHECK_EQUAL(result.instructions, 1234);
	struct strobe_trace *trace = open_trace();
	CHECK_EQUAL(strobe_trace_thread(trace, 0)->instruction_count, 1234);
	CHECK(strobe_trace_info(trace)->finished);
	strobe_trace_close(trace);
}

static void only_a_function_is_recorded(void)
{
	const char *arguments[] = {"", "parts", NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	struct addresses list = {0};
	uint64_t end, start;
	run(&options, &result);
	start = address_of("other", &end);
	options.limits.range_starts[0] = start;
	options.limits.range_ends[0] = end;
	options.limits.range_count = 1;
	uint64_t all = result.instructions;
	run(&options, &result);
	CHECK_EQUAL(result.exit_status, 0);
	CHECK(result.instructions < all / 10);
	struct strobe_trace *trace = open_trace();
	CHECK_OK(truth_read(trace, 0, 0, &list));
	CHECK_EQUAL(list.list.count, result.instructions);
	// Brute force, and then only what is inside.
	struct addresses steps = {0}, inside = {0};
	CHECK(truth_step(arguments, address_of("main", NULL), &steps));
	for (size_t i = 0; i < steps.list.count; i++)
		if (steps.list.items[i] >= start && steps.list.items[i] < end)
			CHECK(array_push(&inside.list, steps.list.items[i]));
	CHECK(inside.list.count > 20);
	CHECK_EQUAL(truth_compare(&inside, &list), SIZE_MAX);
	array_fini(&steps.list);
	array_fini(&inside.list);
	array_fini(&list.list);
	strobe_trace_close(trace);
	CHECK(count_events(STROBE_EVENT_SKIPPED) > 5);
}

static void from_one_place_until_another(void)
{
	const char *arguments[] = {"", "parts", NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	struct addresses list = {0};
	options.limits.instructions = 100;
	run(&options, &result);
	options.limits = (struct strobe_record_limits){.from = address_of("other", NULL),
						       .until = address_of("work", NULL)};
	run(&options, &result);
	CHECK_EQUAL(result.end, STROBE_RECORD_UNTIL);
	struct strobe_trace *trace = open_trace();
	CHECK_OK(truth_read(trace, 0, 0, &list));
	CHECK_EQUAL(list.list.items[0], options.limits.from);
	CHECK(list.list.count < 50);
	array_fini(&list.list);
	strobe_trace_close(trace);
}

/** A program that runs; its standard input is a pipe. */
static pid_t start(const char *situation, int *input)
{
	int ends[2], out[2];
	char byte;
	CHECK(pipe(ends) == 0 && pipe(out) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[0], 0);
		dup2(out[1], 1);
		close(ends[1]);
		execl(program, "programs", situation, NULL);
		_exit(127);
	}
	close(ends[0]);
	close(out[1]);
	if (strcmp(situation, "waits") == 0)
		CHECK(read(out[0], &byte, 1) == 1);
	else
		usleep(50000);
	*input = ends[1];
	return pid;
}

static bool is_untraced(pid_t pid)
{
	char name[64], text[4096];
	snprintf(name, sizeof(name), "/proc/%d/status", (int)pid);
	int fd = open(name, O_RDONLY);
	ssize_t size = fd < 0 ? 0 : read(fd, text, sizeof(text) - 1);
	close(fd);
	text[size > 0 ? size : 0] = '\0';
	return strstr(text, "TracerPid:\t0\n") && !strstr(text, "State:\tt") &&
	       !strstr(text, "State:\tT") && !strstr(text, "State:\tZ");
}

/** Whether a process is let go, and alive, within five seconds. */
static bool is_soon_untraced(pid_t pid)
{
	unsigned tries = 0;
	while (!is_untraced(pid) && tries++ < 500)
		usleep(10000);
	return is_untraced(pid);
}

static void a_running_process_is_recorded_and_let_go(void)
{
	struct strobe_record_options options = begin(NULL);
	struct strobe_record_result result;
	int input;
	pid_t pid = start("spin", &input);
	options.pid = pid;
	for (unsigned i = 0; i < 5; i++) {
		options.limits.instructions = 500 + i;
		run(&options, &result);
		CHECK(result.target_runs);
		CHECK_EQUAL(result.instructions, 500 + i);
		CHECK(is_untraced(pid));
		usleep(20000);
		CHECK(is_untraced(pid));
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(input);
}

static void one_that_waits_is_not_disturbed(void)
{
	struct strobe_record_options options = begin(NULL);
	struct strobe_record_result result;
	int input, status;
	pid_t pid = start("waits", &input);
	options.pid = pid;
	options.limits.seconds = 0.4;
	for (unsigned i = 0; i < 3; i++) {
		run(&options, &result);
		CHECK_EQUAL(result.end, STROBE_RECORD_SECONDS);
		CHECK(result.target_runs && is_untraced(pid));
		CHECK_EQUAL(count_events(STROBE_EVENT_SYSTEM_CALL), 1); // it waits in it
		CHECK_EQUAL(count_events(STROBE_EVENT_SYSTEM_CALL_END), 0);
	}
	CHECK(write(input, "x", 1) == 1);
	CHECK(waitpid(pid, &status, 0) == pid);
	CHECK_EQUAL(status, 0);
	close(input);
}

static void who_records_is_killed(void)
{
	struct strobe_record_options options = begin(NULL);
	struct strobe_record_result result;
	int input;
	pid_t pid = start("spin", &input);
	options.pid = pid;
	for (unsigned i = 0; i < 12; i++) {
		pid_t strobe = fork();
		if (strobe == 0) {
			strobe_error_free(strobe_record_run(&options, &result));
			_exit(0);
		}
		usleep(i * 15000);
		kill(strobe, SIGKILL);
		waitpid(strobe, NULL, 0);
		CHECK(is_soon_untraced(pid));
		usleep(20000);
		CHECK(is_soon_untraced(
			pid)); // it has not died of a trap; its recorder may have come late
	}
	struct strobe_trace *trace = open_trace();
	CHECK(strobe_trace_thread_count(trace) == 1);
	CHECK_EQUAL(strobe_trace_thread(trace, 0)->error_count, 0);
	strobe_trace_close(trace);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(input);
}

static bool stop_at_once(void *context, const struct strobe_record_progress *progress)
{
	unsigned *calls = context;
	(void)progress;
	return ++*calls < 3;
}

static void the_caller_ends_it(void)
{
	struct strobe_record_options options = begin(NULL);
	struct strobe_record_result result;
	unsigned calls = 0;
	int input;
	pid_t pid = start("spin", &input);
	options.pid = pid;
	options.progress = stop_at_once;
	options.context = &calls;
	run(&options, &result);
	CHECK_EQUAL(result.end, STROBE_RECORD_STOPPED);
	CHECK_EQUAL(calls, 3);
	CHECK(is_untraced(pid));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	close(input);
}

static void what_cannot_be_recorded(void)
{
	const char *arguments[] = {"", NULL};
	struct strobe_record_options options = begin(arguments);
	struct strobe_record_result result;
	arguments[0] = "/none/such";
	CHECK_ERROR(strobe_record_run(&options, &result), STROBE_ERROR_NOT_FOUND);
	options.arguments = NULL;
	CHECK_ERROR(strobe_record_run(&options, &result), STROBE_ERROR_INVALID);
	options.pid = 1 << 22;
	CHECK_ERROR(strobe_record_run(&options, &result), STROBE_ERROR_NOT_FOUND);
	options.pid = getpid();
	struct strobe_error *error = strobe_record_run(&options, &result);
	CHECK(error != NULL);
	strobe_error_free(error);
	options.pid = 0;
	options.arguments = arguments;
	arguments[0] = program;
	options.path = "/none/such";
	CHECK_ERROR(strobe_record_run(&options, &result), STROBE_ERROR_SYSTEM);
	options.path = path;
	options.method = STROBE_RECORD_INTEL_PT;
	if (!strobe_record_method_problem(STROBE_RECORD_INTEL_PT))
		SKIP("this machine has Intel PT");
	CHECK_ERROR(strobe_record_run(&options, &result), STROBE_ERROR_UNSUPPORTED);
}

static void clean_up(void)
{
	unlink(path);
	CHECK(rmdir(folder) == 0);
}

CHECK_MAIN({"the same addresses as step by step", the_same_addresses},
	   {"with signals and faults", with_signals},
	   {"programs notice nothing", programs_notice_nothing},
	   {"code that is made at run time", code_made_at_run_time},
	   {"each thread is recorded", each_thread_is_recorded},
	   {"forks are followed if asked", forks_are_followed_if_asked},
	   {"other programs are executed", other_programs_are_executed},
	   {"how it ended is told", ends_are_told}, {"a count is a limit", a_count_is_a_limit},
	   {"only a function is recorded", only_a_function_is_recorded},
	   {"from one place until another", from_one_place_until_another},
	   {"a running process is recorded, and let go", a_running_process_is_recorded_and_let_go},
	   {"one that waits is not disturbed", one_that_waits_is_not_disturbed},
	   {"who records is killed", who_records_is_killed},
	   {"the caller ends it", the_caller_ends_it},
	   {"what cannot be recorded is told", what_cannot_be_recorded},
	   {"nothing else is left", clean_up})
