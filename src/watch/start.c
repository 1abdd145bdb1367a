// SPDX-License-Identifier: Apache-2.0
// Programs that are watched from their first instruction on.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "process/tracing.h"
#include "watch/watch.h"

/** In the child: waits until it is followed, then becomes the program; tells why if that fails. */
static void become(const char *const *arguments, int gate)
{
	char byte;
	prctl(PR_SET_PTRACER, (unsigned long)getppid(), 0, 0, 0); // fails where it is not needed
	if (write(gate, &byte, 1) != 1 || read(gate, &byte, 1) != 1)
		_exit(127);
	execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	int problem = errno;
	if (write(gate, &problem, sizeof(problem)) < 0)
		_exit(126);
	_exit(127);
}

/** Until it stands in the new program. */
static struct strobe_error *wait_for_exec(const char *name, int gate)
{
	struct tracing_event event;
	int problem = 0, got;
	while ((got = tracing_wait(&event)) >= 0) {
		if (got == 0)
			continue;
		if (event.kind == TRACING_EXEC)
			return NULL;
		if (event.kind == TRACING_GONE)
			break;
		tracing_continue(event.tid, event.kind == TRACING_SIGNAL ? event.signal : 0);
	}
	if (read(gate, &problem, sizeof(problem)) == sizeof(problem))
		return problem == ENOENT ? error_new(STROBE_ERROR_NOT_FOUND, "no program %s", name)
					 : error_errno(problem, "%s", name);
	return error_new(STROBE_ERROR_NOT_FOUND, "%s: ended before it began", name);
}

static struct strobe_error *follow(pid_t pid, const char *name, int gate,
				   const struct strobe_watch_options *options,
				   struct strobe_watch **ret)
{
	char byte;
	if (read(gate, &byte, 1) != 1)
		return error_new(STROBE_ERROR_NOT_FOUND, "%s: ended before it began", name);
	struct strobe_error *error = tracing_adopt(pid);
	if (error)
		return error;
	if (write(gate, &byte, 1) != 1)
		return error_errno(errno, "starting %s", name);
	error = wait_for_exec(name, gate);
	return error ? error : strobe_watch_open(pid, options, ret);
}

struct strobe_error *strobe_watch_start(const char *const *arguments,
					const struct strobe_watch_options *options,
					struct strobe_watch **ret)
{
	int gate[2];
	if (options && options->engine && strcmp(options->engine, agent_engine.name) == 0)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "engine agent cannot begin with a program that waits to be "
				 "started: give the process id of one "
				 "that runs");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate))
		return error_errno(errno, "socketpair");
	pid_t pid = fork();
	if (pid == 0) {
		close(gate[0]);
		become(arguments, gate[1]);
	}
	close(gate[1]);
	struct strobe_error *error = pid < 0 ? error_errno(errno, "fork")
					     : follow(pid, arguments[0], gate[0], options, ret);
	close(gate[0]);
	if (error && pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	if (!error)
		(*ret)->waits = true;
	return error;
}

void watch_go(struct strobe_watch *watch)
{
	if (watch->waits)
		tracing_release(watch->pid, 0);
	watch->waits = false;
}
