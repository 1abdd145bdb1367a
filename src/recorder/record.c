// SPDX-License-Identifier: Apache-2.0
// A recording is made by a process of its own: while a thread is stepped, its trap flag and debug registers are ours to
// take away again, and the kernel does not do it for a tracer that is killed. So whoever waits here can be
// killed at any moment: the recording process sees that, ends the recording, and lets the target go.
#include <strobe/record.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "process/permission.h"
#include "recorder/launch.h"
#include "recorder/method.h"
#include "recording/writer.h"

enum { PROGRESS_MS = 100 };

static volatile sig_atomic_t end_is_asked;

static void ask_for_end(int number)
{
	(void)number;
	end_is_asked = 1;
}

static bool is_asked_to_end(void)
{
	return end_is_asked;
}

/** What a terminal or a shell does to the caller's processes is not meant for the recording one. */
static void settle(pid_t parent)
{
	static const int ignored[] = {SIGINT,  SIGQUIT, SIGHUP,	 SIGPIPE, SIGUSR1,
				      SIGUSR2, SIGTSTP, SIGTTIN, SIGTTOU};
	struct sigaction action = {.sa_handler = ask_for_end}; // no SA_RESTART
	sigset_t none;
	setsid();
	prctl(PR_SET_NAME, "recorder");
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		end_is_asked = 1;
}

static void fail(struct record_shared *shared, struct strobe_error *error)
{
	shared->failed = true;
	shared->failure.code = strobe_error_code(error);
	shared->failure.errnum = strobe_error_errno(error);
	snprintf(shared->failure.message, sizeof(shared->failure.message), "%s",
		 strobe_error_message(error));
	strobe_error_free(error);
}

/** The recording process's work. */
static struct strobe_error *record(struct record_job *job)
{
	const struct record_method *method = record_method_choose(job->options->method);
	struct record_shared *shared = job->shared;
	struct strobe_error *error =
		recording_create(job->options->path,
				 method->method == STROBE_RECORD_INTEL_PT ? RECORDING_INTEL_PT
									  : RECORDING_SINGLE_STEP,
				 job->pid, &job->writer);
	if (error)
		return error;
	shared->result.method = method->method;
	shared->result.pid = job->pid;
	error = method->run(job);
	shared->result.bytes = recording_size(job->writer);
	job->writer = recording_writer_close(job->writer);
	return error;
}

static struct strobe_error *check(const struct strobe_record_options *options)
{
	const struct record_method *method = record_method_choose(options->method);
	const struct strobe_record_limits *limits = &options->limits;
	const char *problem = method->problem();
	if (options->size < sizeof(*options))
		return error_new(STROBE_ERROR_INVALID, "strobe_record_options.size is %zu, not %zu",
				 options->size, sizeof(*options));
	if (!options->path || !*options->path)
		return error_new(STROBE_ERROR_INVALID, "no file given");
	if ((options->pid > 0) == (options->arguments && options->arguments[0]))
		return error_new(STROBE_ERROR_INVALID,
				 "either a process or a program is to be given");
	if (limits->range_count > STROBE_RECORD_RANGES)
		return error_new(STROBE_ERROR_LIMIT, "more than %d ranges", STROBE_RECORD_RANGES);
	for (unsigned i = 0; i < limits->range_count; i++)
		if (limits->range_starts[i] >= limits->range_ends[i])
			return error_new(STROBE_ERROR_INVALID, "a range is empty");
	if (problem)
		return error_new(STROBE_ERROR_UNSUPPORTED, "%s", problem);
	if (options->pid > 0)
		return permission_check(options->pid);
	return NULL;
}

static void tell_progress(const struct strobe_record_options *options, struct record_shared *shared)
{
	struct strobe_record_progress progress = {.instructions = shared->instructions,
						  .threads = shared->threads,
						  .bytes = shared->bytes,
						  .started = shared->started};
	if (options->progress && !shared->stop && !options->progress(options->context, &progress))
		shared->stop = true;
}

/** Waits for the recording process. */
static int wait_for(pid_t recorder, const struct strobe_record_options *options,
		    struct record_shared *shared)
{
	int status, handle = (int)syscall(SYS_pidfd_open, recorder, 0);
	struct pollfd poller = {.fd = handle, .events = POLLIN};
	for (;;) {
		poll(&poller, 1, PROGRESS_MS);
		pid_t pid = waitpid(recorder, &status, WNOHANG);
		if (pid == recorder || (pid < 0 && errno != EINTR))
			break;
		tell_progress(options, shared);
	}
	if (handle >= 0)
		close(handle);
	return status;
}

static struct strobe_error *conclude(const struct record_shared *shared, int status,
				     struct strobe_record_result *ret)
{
	const struct record_failure *failure = &shared->failure;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return error_new(STROBE_ERROR_SYSTEM,
				 "the recording process ended, wait status 0x%x; what it had "
				 "recorded is in the file",
				 (unsigned)status);
	if (!shared->failed) {
		*ret = shared->result;
		return NULL;
	}
	struct strobe_error *error =
		error_new((enum strobe_error_code)failure->code, "%s", failure->message);
	return failure->errnum ? error_set_errno(error, failure->errnum) : error;
}

static void run_recorder(struct record_job *job, struct launch *launch, pid_t parent)
{
	settle(parent);
	if (launch)
		close(launch->gate);
	struct strobe_error *error = record(job);
	if (error)
		fail(job->shared, error);
	_exit(0);
}

static struct strobe_error *fork_recorder(const struct strobe_record_options *options,
					  struct record_shared *shared, struct launch *launch,
					  struct strobe_record_result *ret)
{
	struct record_job job = {.options = options,
				 .limits = options->limits,
				 .pid = launch ? launch->pid : options->pid,
				 .launch = launch ? launch->starter : -1,
				 .shared = shared,
				 .ended = is_asked_to_end};
	pid_t parent = getpid();
	pid_t recorder = fork();
	if (recorder < 0)
		return error_errno(errno, "fork");
	if (recorder == 0)
		run_recorder(&job, launch, parent);
	if (launch)
		launch_allow(launch, recorder);
	int status = wait_for(recorder, options, shared);
	return conclude(shared, status, ret);
}

/** The program is the caller's child: takes its end, if it has come. */
static void reap(const struct launch *launch, struct strobe_error *error,
		 struct strobe_record_result *ret)
{
	int status;
	bool ended = !error && !ret->target_runs;
	pid_t pid = waitpid(launch->pid, &status, ended ? 0 : WNOHANG);
	if (pid == launch->pid && !error) {
		ret->target_runs = false;
		ret->exit_status = status;
	}
}

struct strobe_error *strobe_record_run(const struct strobe_record_options *options,
				       struct strobe_record_result *ret)
{
	struct launch launch;
	struct strobe_record_result result = {0};
	struct strobe_error *error = check(options);
	if (error)
		return error;
	struct record_shared *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
					    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return error_no_memory();
	bool starts = options->pid <= 0;
	error = starts ? launch_prepare(options->arguments, &launch) : NULL;
	if (!error) {
		error = fork_recorder(options, shared, starts ? &launch : NULL, &result);
		if (starts) {
			launch_close(&launch);
			reap(&launch, error, &result);
		}
	}
	munmap(shared, sizeof(*shared));
	if (!error)
		*ret = result;
	return error;
}
