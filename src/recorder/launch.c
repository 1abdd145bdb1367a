// SPDX-License-Identifier: Apache-2.0
#include <stdbool.h>

#include "recorder/launch.h"

#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

/** In the child. */
static void start(const char *const *arguments, int starter, int gate)
{
	pid_t recorder;
	char byte = 0;
	// Whoever waits at the other ends may be gone: then nothing is started.
	if (read(gate, &recorder, sizeof(recorder)) != sizeof(recorder))
		_exit(127);
	close(gate);
	prctl(PR_SET_PTRACER, (unsigned long)recorder, 0, 0, 0); // fails where it is not needed
	if (write(starter, &byte, 1) != 1 || read(starter, &byte, 1) != 1)
		_exit(127);
	execvp(arguments[0], (char *const *)(uintptr_t)arguments);
	int problem = errno;
	if (write(starter, &problem, sizeof(problem)) < 0)
		_exit(126);
	_exit(127);
}

struct strobe_error *launch_prepare(const char *const *arguments, struct launch *ret)
{
	int starter[2], gate[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, starter))
		return error_errno(errno, "socketpair");
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, gate)) {
		int problem = errno;
		close(starter[0]);
		close(starter[1]);
		return error_errno(problem, "socketpair");
	}
	pid_t pid = fork();
	if (pid == 0) {
		close(starter[0]);
		close(gate[0]);
		start(arguments, starter[1], gate[1]);
	}
	int problem = errno;
	close(starter[1]);
	close(gate[1]);
	*ret = (struct launch){.pid = pid, .starter = starter[0], .gate = gate[0]};
	if (pid > 0)
		return NULL;
	launch_close(ret);
	return error_errno(problem, "fork");
}

void launch_allow(struct launch *launch, pid_t recorder)
{
	if (send(launch->gate, &recorder, sizeof(recorder), MSG_NOSIGNAL) < 0)
		return; // it is gone: the recording process sees that, too
}

void launch_close(struct launch *launch)
{
	close(launch->starter);
	close(launch->gate);
}

bool launch_wait(int starter)
{
	char byte;
	return read(starter, &byte, 1) == 1;
}

void launch_go(int starter)
{
	char byte = 0;
	(void)!send(starter, &byte, 1, MSG_NOSIGNAL);
}

int launch_failure(int starter)
{
	int problem = 0;
	ssize_t got = recv(starter, &problem, sizeof(problem), MSG_DONTWAIT);
	return got == sizeof(problem) ? problem : 0;
}
