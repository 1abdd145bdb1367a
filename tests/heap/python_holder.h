// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_HEAP_PYTHON_HOLDER_H
#define TESTS_HEAP_PYTHON_HOLDER_H

// A Python that holds small objects and stands still.

#include "holder.h"

static const char program[] = "import os, signal\n"
			      "keep = [(i, str(i), [i]) for i in range(20000)]\n"
			      "del keep[::3]\n"
			      "os.write(1, b'.')\n"
			      "signal.pause()\n";

static inline void start_python(struct holder *holder)
{
	int ends[2];
	char byte;
	CHECK(pipe(ends) == 0);
	holder->pid = fork();
	CHECK(holder->pid >= 0);
	if (holder->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(ends[1], 1);
		execl("/usr/bin/python3", "python3", "-I", "-c", program, (char *)NULL);
		_exit(127);
	}
	close(ends[1]);
	ssize_t got = read(ends[0], &byte, 1);
	close(ends[0]);
	if (got != 1)
		SKIP("/usr/bin/python3 is not installed");
	usleep(50000);
}

#endif
