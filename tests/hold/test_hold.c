// SPDX-License-Identifier: Apache-2.0
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <strobe/hold.h>
#include <strobe/memory.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static char folder[PATH_MAX];
static pid_t child;
static volatile uint64_t word = 1;

static void *wait_for_ever(void *context)
{
	for (;;)
		pause();
	return NULL;
}

// A process to copy, and a second thread here: a library's caller is not alone in its process.
static void begin(void)
{
	pthread_t thread;
	snprintf(folder, sizeof(folder), "/tmp/strobe-test-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	setenv("XDG_RUNTIME_DIR", folder, 1);
	child = fork();
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		word = 42;
		wait_for_ever(NULL);
	}
	CHECK(child > 0 && pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
	usleep(100000);
}

static void end(void)
{
	char command[PATH_MAX + 16];
	kill(child, SIGKILL);
	CHECK(waitpid(child, NULL, 0) == child);
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	CHECK(system(command) == 0);
}

// Gone, or waiting for init to take note.
static bool is_dead(int pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return true;
	size_t size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	const char *state = size ? strrchr(text, ')') : NULL;
	return !state || state[2] == 'Z' || state[2] == 'X';
}

static uint64_t word_of(struct strobe_view *view)
{
	uint64_t value = 0;
	CHECK_EQUAL(strobe_memory_read(view, (uint64_t)(uintptr_t)&word, &value, sizeof(value)),
		    sizeof(value));
	return value;
}

static void from_taking_to_dropping(void)
{
	struct strobe_hold *hold, *again, **holds;
	struct strobe_view *first, *second;
	size_t count;
	begin();
	CHECK_OK(strobe_hold_list(&holds, &count));
	CHECK_EQUAL(count, 0);
	strobe_hold_list_free(holds, count);
	CHECK_OK(strobe_hold_take(child, NULL, "one", &hold));
	const struct strobe_hold_info *info = strobe_hold_info(hold);
	CHECK_STRING(info->name, "one");
	CHECK_EQUAL(info->snapshot.pid, child);
	CHECK(!info->gone && !info->problem && info->keeper_pid > 0 && info->time_ns > 0);
	CHECK_ERROR(strobe_hold_take(child, NULL, "one", &again), STROBE_ERROR_INVALID);
	// The keeper is no child of ours: there is but the one that is copied.
	CHECK_EQUAL(waitpid(-1, NULL, WNOHANG), 0);
	CHECK_OK(strobe_hold_find("one", &again));
	CHECK_EQUAL(strobe_hold_info(again)->keeper_pid, info->keeper_pid);
	CHECK(strobe_hold_info(again)->age_ns > 0);
	strobe_hold_free(again);
	CHECK_OK(strobe_hold_open("one", NULL, &first));
	CHECK_OK(strobe_view_open("@one", NULL, &second));
	CHECK_EQUAL(word_of(first), 42);
	CHECK_EQUAL(word_of(second), 42);
	strobe_view_close(first);
	CHECK_OK(strobe_hold_list(&holds, &count));
	CHECK_EQUAL(count, 1);
	strobe_hold_list_free(holds, count);
	CHECK_OK(strobe_hold_drop("one"));
	CHECK(is_dead(info->snapshot.clone_pid));
	CHECK_EQUAL(word_of(second), 42); // it was read before
	strobe_view_close(second);
	CHECK_ERROR(strobe_hold_drop("one"), STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_hold_find("one", &again), STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_view_open("@one", NULL, &second), STROBE_ERROR_NOT_FOUND);
	strobe_hold_free(hold);
	end();
}

static void refusals(void)
{
	struct strobe_hold *hold;
	struct strobe_view *view;
	begin();
	CHECK_ERROR(strobe_hold_take(child, NULL, "a/b", &hold), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_hold_find("", &hold), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_hold_drop(".."), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_view_open("@", NULL, &view), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_hold_take(INT_MAX, NULL, "none", &hold), STROBE_ERROR_NOT_FOUND);
	CHECK_ERROR(strobe_hold_find("none", &hold), STROBE_ERROR_NOT_FOUND);
	CHECK(strobe_hold_free(NULL) == NULL);
	end();
}

CHECK_MAIN({"a copy is taken, found, read by several and dropped", from_taking_to_dropping},
	   {"names and processes that cannot be", refusals})
