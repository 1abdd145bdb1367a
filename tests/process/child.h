// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_PROCESS_CHILD_H
#define TESTS_PROCESS_CHILD_H

// Children of a test, in known states. They end with it.

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

/** Runs in the child; calls child_ready() when its state is as wanted. */
typedef void (*child_body)(int ready_fd);

/** A child that runs `body`, and waits for signals should that return; back when it wrote a byte. */
static inline pid_t child_start(child_body body)
{
	int ends[2];
	char ready;
	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	fflush(stdout);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		body(ends[1]);
		for (;;)
			pause();
	}
	close(ends[1]);
	CHECK(read(ends[0], &ready, 1) == 1);
	close(ends[0]);
	return pid;
}

/** In the child. */
static inline void child_ready(int ready_fd)
{
	if (write(ready_fd, "", 1) != 1)
		_exit(1);
}

static inline void child_end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
}

/** The letter of /proc/PID/task/TID/stat; 0 if there is no such thread. */
static inline char child_state(pid_t pid, pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", (int)pid, (int)tid);
	FILE *file = fopen(path, "r");
	size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	if (file)
		fclose(file);
	text[size] = 0;
	const char *at = strrchr(text, ')');
	return at && at[1] ? at[2] : 0;
}

static inline void child_pause_ms(unsigned ms)
{
	struct timespec pause = {.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000};
	nanosleep(&pause, NULL);
}

/** Waits for a state, ten seconds at most. */
static inline bool child_reaches(pid_t pid, char state)
{
	for (unsigned i = 0; i < 2000; i++) {
		if (child_state(pid, pid) == state)
			return true;
		child_pause_ms(5);
	}
	return false;
}

/** The number in a field of /proc/PID/status; -1 if there is none. */
static inline long child_field(pid_t pid, const char *field)
{
	char path[64], line[256];
	long number = -1;
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, field, strlen(field)) == 0 && line[strlen(field)] == ':')
			number = strtol(line + strlen(field) + 1, NULL, 10);
	if (file)
		fclose(file);
	return number;
}

#endif
