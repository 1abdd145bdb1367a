// SPDX-License-Identifier: Apache-2.0
// Programs that are watched from their first instruction on.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
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

// It waits stopped, not traced: the agent's surgeon is to trace it. Whoever kills us, it goes on: a process of its own sees to that.

/** In the guard: has `pid` go on as soon as the other end of `pipe` is closed. */
static void guard(int pipe, pid_t pid)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP};
	char byte;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	setsid();
	prctl(PR_SET_NAME, "strobe-guard");
	dup3(pipe, 0, 0);
	syscall(SYS_close_range, 1U, ~0U, 0U);
	while (read(0, &byte, 1) < 0 && errno == EINTR)
		;
	kill(pid, SIGCONT); // our maker's child, whose id is its own until that waits for it
	_exit(0);
}

static struct strobe_error *start_guard(pid_t pid, struct watch_guard *ret)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) != 0)
		return error_errno(errno, "pipe");
	*ret = (struct watch_guard){.pid = fork(), .pipe = ends[1]};
	if (ret->pid == 0)
		guard(ends[0], pid);
	int problem = errno;
	close(ends[0]);
	if (ret->pid > 0)
		return NULL;
	close(ends[1]);
	return error_errno(problem, "fork");
}

static void end_guard(struct watch_guard *guard)
{
	if (guard->pid <= 0)
		return;
	if (guard->pipe >= 0)
		close(guard->pipe);
	while (waitpid(guard->pid, NULL, 0) < 0 && errno == EINTR)
		;
	guard->pid = 0;
}

/** Lets go of it where it stands, in a stop that others may trace it in. */
static struct strobe_error *leave_stopped(pid_t pid, const char *name)
{
	int status = 0;
	kill(pid, SIGSTOP); // it takes it before its first instruction
	tracing_release(pid, 0);
	while (waitpid(pid, &status, WUNTRACED) < 0)
		if (errno != EINTR)
			return error_errno(errno, "starting %s", name);
	return WIFSTOPPED(status)
		       ? NULL
		       : error_new(STROBE_ERROR_NOT_FOUND, "%s: ended before it began", name);
}

static struct strobe_error *follow(pid_t pid, const char *name, int gate, struct watch_guard *guard)
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
	if (!error)
		error = start_guard(pid, guard);
	return error ? error : leave_stopped(pid, name);
}

struct strobe_error *strobe_watch_start(const char *const *arguments,
					const struct strobe_watch_options *options,
					struct strobe_watch **ret)
{
	int gate[2];
	struct watch_guard guard = {0};
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate))
		return error_errno(errno, "socketpair");
	pid_t pid = fork();
	if (pid == 0) {
		close(gate[0]);
		become(arguments, gate[1]);
	}
	close(gate[1]);
	struct strobe_error *error =
		pid < 0 ? error_errno(errno, "fork") : follow(pid, arguments[0], gate[0], &guard);
	close(gate[0]);
	if (!error)
		error = strobe_watch_open(pid, options, ret);
	if (error && pid > 0) {
		kill(pid, SIGKILL);
		end_guard(&guard);
		waitpid(pid, NULL, 0);
	}
	if (!error)
		(*ret)->guard = guard;
	return error;
}

void watch_go(struct strobe_watch *watch)
{
	// Not waited for: hits are on their way.
	if (watch->guard.pid > 0 && watch->guard.pipe >= 0)
		close(watch->guard.pipe);
	watch->guard.pipe = -1;
}

void watch_end_guard(struct strobe_watch *watch)
{
	end_guard(&watch->guard);
}
