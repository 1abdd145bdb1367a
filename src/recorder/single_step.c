// SPDX-License-Identifier: Apache-2.0
// The single-step recorder: every instruction is a stop.
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

#include "base/error.h"
#include "recorder/follow.h"
#include "recorder/calling.h"
#include "recorder/starting.h"

enum { TENDS_A_SECOND = 10, SYNC_TENDS = 5, RELEASE_LIMIT_MS = 2000 };

static volatile sig_atomic_t tend_is_due;

static void on_alarm(int number)
{
	(void)number;
	tend_is_due = 1;
}

/** Interrupts waiting now and then. */
static void start_clock(void)
{
	struct sigaction action = {.sa_handler = on_alarm}; // no SA_RESTART
	struct itimerval interval = {.it_interval.tv_usec = 1000000 / TENDS_A_SECOND,
				     .it_value.tv_usec = 1000000 / TENDS_A_SECOND};
	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &interval, NULL);
}

static void stop_clock(void)
{
	setitimer(ITIMER_REAL, &(struct itimerval){0}, NULL);
}

static void check_end(struct stepper *stepper)
{
	const struct record_job *job = stepper->job;
	double seconds = (double)(record_clock() - (uint64_t)stepper->begin_ns) / 1e9;
	if (job->limits.seconds > 0 && seconds >= job->limits.seconds)
		stepper_end(stepper, STROBE_RECORD_SECONDS);
	if (job->shared->stop || job->ended())
		stepper_end(stepper, STROBE_RECORD_STOPPED);
}

/** Brings what was recorded into the file, and looks whether it is to end. */
static struct strobe_error *tend(struct stepper *stepper)
{
	static unsigned round;
	struct record_shared *shared = stepper->job->shared;
	struct strobe_error *error = NULL;
	tend_is_due = 0;
	round++;
	for (size_t i = 0; !error && i < stepper->followers.count; i++) {
		struct step_thread *trace = &stepper->followers.items[i]->trace;
		if (round % SYNC_TENDS == 0)
			pt_writer_sync(trace->writer);
		error = step_thread_flush(trace, false);
	}
	if (!error)
		error = recording_flush(stepper->job->writer);
	shared->instructions = stepper->instructions;
	shared->threads = stepper->followers.count;
	shared->bytes = recording_size(stepper->job->writer);
	shared->started = stepper->started;
	check_end(stepper);
	return error;
}

static struct strobe_error *loop(struct stepper *stepper)
{
	struct strobe_error *error = NULL;
	while (!error && !stepper->ending) {
		struct tracing_event event;
		int result = tracing_wait(&event);
		if (result < 0 || !stepper->followers.count) {
			stepper_end(stepper, STROBE_RECORD_TARGET_ENDED);
			stepper->target_ended = true;
			break;
		}
		if (result > 0)
			error = follow_stop(stepper, &event);
		if (!error && !stepper->followers.count) {
			stepper_end(stepper, STROBE_RECORD_TARGET_ENDED);
			stepper->target_ended = true;
		}
		if (!error && tend_is_due)
			error = tend(stepper);
	}
	return error;
}

/** Threads of `pid` that are not stopped. */
static struct strobe_error *release_running(struct stepper *stepper, pid_t pid)
{
	ARRAY(struct tracing_thread) threads = {0};
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < stepper->followers.count; i++) {
		const struct follower *follower = stepper->followers.items[i];
		if (follower->trace.pid == pid && !follower->stopped &&
		    !array_push(&threads, (struct tracing_thread){follower->trace.tid,
								  follower->trap_blocked}))
			error = error_no_memory();
	}
	if (!tracing_release_running(pid, threads.items, threads.count, RELEASE_LIMIT_MS) && !error)
		error = error_new(STROBE_ERROR_LIMIT,
				  "a thread of process %d did not stop within %d ms to be let go",
				  (int)pid, RELEASE_LIMIT_MS);
	array_fini(&threads);
	return error;
}

/** All go their own way; then what is left of their packets is written. */
static struct strobe_error *release(struct stepper *stepper)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < stepper->followers.count; i++) {
		struct follower *follower = stepper->followers.items[i];
		if (!follower->stopped)
			continue;
		calling_show_trap(follower);
		tracing_release(follower->trace.tid, follower->give);
	}
	for (size_t i = 0; i < stepper->processes.count; i++) {
		struct strobe_error *other =
			release_running(stepper, stepper->processes.items[i]->pid);
		if (error)
			strobe_error_free(other);
		else
			error = other;
	}
	return error;
}

static struct strobe_error *write_rest(struct stepper *stepper)
{
	struct strobe_error *error = NULL;
	while (!error && stepper->followers.count) {
		struct follower *follower = stepper->followers.items[0];
		error = stepper_remove(stepper, follower);
	}
	return error;
}

static int64_t wall_offset(void)
{
	struct timespec wall;
	clock_gettime(CLOCK_REALTIME, &wall);
	return (int64_t)wall.tv_sec * 1000000000 + wall.tv_nsec - (int64_t)record_clock();
}

static void conclude(struct stepper *stepper, struct strobe_record_result *result)
{
	result->end = stepper->end;
	result->instructions = stepper->instructions;
	result->threads = stepper->thread_count;
	result->processes = stepper->process_count;
	result->events = stepper->events;
	result->target_runs = !stepper->target_ended;
	result->exit_status = stepper->target_ended ? stepper->exit_status : 0;
	result->seconds = (double)(record_clock() - (uint64_t)stepper->begin_ns) / 1e9;
}

struct strobe_error *step_run(struct record_job *job)
{
	struct stepper stepper = {.job = job, .begin_ns = (int64_t)record_clock()};
	struct recording_clock clock = {.multiplier = 1, .wall_offset_ns = wall_offset()};
	struct strobe_error *error = recording_set_clock(job->writer, &clock);
	start_clock();
	check_end(&stepper); // whoever wanted it may be gone already
	if (!error && !stepper.ending)
		error = starting_begin(&stepper);
	if (!error)
		error = loop(&stepper);
	stop_clock();
	struct strobe_error *left = release(&stepper);
	if (!error)
		error = write_rest(&stepper);
	conclude(&stepper, &job->shared->result);
	if (!error)
		error = recording_finish(job->writer, record_clock(), stepper.instructions, 0);
	stepper_fini(&stepper);
	if (error || !left)
		strobe_error_free(left);
	else
		error = left;
	return error;
}
