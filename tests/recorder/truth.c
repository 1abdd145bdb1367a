// SPDX-License-Identifier: Apache-2.0
#include "truth.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <strobe/cursor.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

bool truth_step(const char *const *arguments, uint64_t start, struct addresses *ret)
{
	int status, signal = 0;
	bool started = false;
	uint64_t last = 0;
	pid_t pid = fork();
	if (pid == 0) {
		dup2(open("/dev/null", O_RDWR), 1);
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		execv(arguments[0], (char *const *)(uintptr_t)arguments);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFSTOPPED(status))
		return false;
	for (;;) {
		uint64_t pc =
			(uint64_t)ptrace(PTRACE_PEEKUSER, pid, offsetof(struct user, regs.rip), 0);
		started = started || pc == start;
		// A jump to itself would look the same: these programs have none.
		// It goes to the handler of a signal, if there is one; SIGUSR2 has none.
		bool executes = !signal || signal == SIGUSR2;
		if (started && executes && pc != last && !array_push(&ret->list, pc))
			return false;
		last = executes ? pc : 0;
		if (ptrace(PTRACE_SINGLESTEP, pid, 0, (void *)(long)signal))
			return false;
		if (waitpid(pid, &status, 0) != pid)
			return false;
		if (!WIFSTOPPED(status))
			return true;
		signal = WSTOPSIG(status) == SIGTRAP ? 0 : WSTOPSIG(status);
		// It stands where it stood: what it would have executed comes later.
		if (signal && started)
			ret->list.count--;
		if (signal)
			last = 0;
	}
}

struct strobe_error *truth_read(struct strobe_trace *trace, size_t thread, uint64_t start,
				struct addresses *ret)
{
	struct strobe_cursor *cursor;
	struct strobe_error *error = strobe_cursor_open(trace, thread, &cursor);
	if (error)
		return error;
	strobe_cursor_set_forwards(cursor, true);
	strobe_cursor_seek(cursor, 0, STROBE_SEEK_BEGIN);
	bool started = !start;
	while (strobe_cursor_has_value(cursor)) {
		uint64_t pc;
		if (strobe_cursor_address(cursor, &pc)) {
			started = started || pc == start;
			if (started && !array_push(&ret->list, pc))
				abort();
		}
		strobe_cursor_next(cursor);
	}
	strobe_cursor_close(cursor);
	return NULL;
}

size_t truth_compare(const struct addresses *a, const struct addresses *b)
{
	size_t count = a->list.count < b->list.count ? a->list.count : b->list.count;
	for (size_t i = 0; i < count; i++)
		if (a->list.items[i] != b->list.items[i])
			return i;
	return a->list.count == b->list.count ? SIZE_MAX : count;
}
