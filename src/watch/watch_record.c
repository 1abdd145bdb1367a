// SPDX-License-Identifier: Apache-2.0
// Traces that begin at a hit: a recorder of its own, which ends by itself. By Intel PT alone: where the kernel steps over a probe of ours
// in a thread that is stepped anyhow, it sends that a SIGTRAP of its own, of which the program would die.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <strobe/record.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "watch/watch.h"

/** How much is recorded, and how long the recorder may take to begin. */
enum { SECONDS_MAX = 5, BEGIN_MS = 5000, GATE = 3 };

/** The recorder runs: its caller need not wait any more. */
static bool tell_begun(void *context, const struct strobe_record_progress *progress)
{
	bool *told = context;
	char begun = 0;
	(void)progress;
	if (!*told)
		*told = write(GATE, &begun, 1) == 1;
	return true;
}

/** In a process of its own: records, and tells why not if that fails. Nothing of the session is open in it, which may end meanwhile. */
static void record(const struct event *event, const char *path, int gate)
{
	bool told = false;
	struct strobe_record_result result;
	struct strobe_record_options options = {
		.size = sizeof(options),
		.pid = event->pid,
		.tid = event->tid,
		.path = path,
		.method = STROBE_RECORD_INTEL_PT,
		.limits = {.seconds = SECONDS_MAX},
		.progress = tell_begun,
		.context = &told,
	};
	int nothing = open("/dev/null", O_RDWR);
	for (int i = 0; i < GATE; i++)
		dup2(nothing, i);
	dup2(gate, GATE);
	syscall(SYS_close_range, GATE + 1u, ~0u, 0u);
	struct strobe_error *error = strobe_record_run(&options, &result);
	const char *why = error ? strobe_error_message(error) : "";
	if (!told && write(GATE, why, strlen(why) + 1) < 0)
		_exit(1);
	_exit(error != NULL);
}

/** What it told: "" = it has begun. False if nothing. */
static bool wait_for_word(int gate, char *why, size_t size)
{
	struct pollfd descriptor = {.fd = gate, .events = POLLIN};
	ssize_t got = poll(&descriptor, 1, BEGIN_MS) > 0 ? read(gate, why, size - 1) : 0;
	if (got <= 0)
		return false;
	why[got] = 0;
	return true;
}

bool watch_record(void *context, const struct event *event, const char *path, const char **why)
{
	struct strobe_watch *watch = context;
	const char *problem = strobe_record_method_problem(STROBE_RECORD_INTEL_PT);
	int gate[2];
	if (problem) {
		snprintf(watch->why, sizeof(watch->why), "it needs Intel PT: %s", problem);
		*why = watch->why;
		return false;
	}
	if (pipe2(gate, O_CLOEXEC)) {
		*why = strerror(errno);
		return false;
	}
	pid_t pid = fork();
	if (pid == 0) {
		// Nobody's child, so that nobody has to wait for it.
		if (fork() == 0)
			record(event, path, gate[1]);
		_exit(0);
	}
	close(gate[1]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	snprintf(watch->why, sizeof(watch->why), "the recorder did not begin");
	bool heard = pid > 0 && wait_for_word(gate[0], watch->why, sizeof(watch->why));
	close(gate[0]);
	*why = watch->why;
	return heard && !watch->why[0];
}
