// SPDX-License-Identifier: Apache-2.0
// Who cannot be captured is told why, and what would help.
#include "process/permission.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "child.h"

enum { NOBODY = 65534 };

/** The error's code; its message must hold `part`, and be one line. */
static int code_of(struct strobe_error *error, const char *part)
{
	CHECK(error);
	int code = (int)strobe_error_code(error);
	bool right = strstr(strobe_error_message(error), part) &&
		     !strchr(strobe_error_message(error), '\n');
	if (!right)
		printf("# \"%s\", expected \"%s\"\n", strobe_error_message(error), part);
	strobe_error_free(error);
	CHECK(right);
	return code;
}

static void no_such_process(void)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0)
		_exit(0);
	waitpid(pid, NULL, 0);
	char part[64];
	snprintf(part, sizeof(part), "no process %d", (int)pid);
	CHECK_EQUAL(code_of(permission_check(pid), part), STROBE_ERROR_NOT_FOUND);
	CHECK_EQUAL(code_of(permission_check(0), "no process 0"), STROBE_ERROR_NOT_FOUND);
	CHECK_EQUAL(code_of(permission_check(-1), "no process -1"), STROBE_ERROR_NOT_FOUND);
	CHECK_EQUAL(code_of(permission_explain(pid, ESRCH), "has ended"), STROBE_ERROR_NOT_FOUND);
	CHECK_EQUAL(code_of(permission_explain(pid, EPERM), "has ended"), STROBE_ERROR_NOT_FOUND);
}

static void nothing_speaks_against_a_child(void)
{
	pid_t pid = child_start(child_ready);
	CHECK_OK(permission_check(pid));
	child_end(pid);
}

static void *tell_tid(void *argument)
{
	pid_t tid = (pid_t)syscall(SYS_gettid);
	if (write(*(int *)argument, &tid, sizeof(tid)) != sizeof(tid))
		_exit(1);
	for (;;)
		pause();
}

static int tid_ends[2];

static void live_with_a_thread(int ready_fd)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, tell_tid, &tid_ends[1]))
		_exit(1);
	child_ready(ready_fd);
}

static void a_threads_id(void)
{
	pid_t tid;
	char part[64];
	CHECK(pipe2(tid_ends, O_CLOEXEC) == 0);
	pid_t pid = child_start(live_with_a_thread);
	CHECK(read(tid_ends[0], &tid, sizeof(tid)) == sizeof(tid));
	snprintf(part, sizeof(part), "%d is a thread of process %d", (int)tid, (int)pid);
	CHECK_EQUAL(code_of(permission_check(tid), part), STROBE_ERROR_NOT_FOUND);
	child_end(pid);
	close(tid_ends[0]);
	close(tid_ends[1]);
}

static void ourselves(void)
{
	CHECK_EQUAL(code_of(permission_check(getpid()), "cannot capture itself"),
		    STROBE_ERROR_UNSUPPORTED);
}

static void a_kernel_thread(void)
{
	// Any that is there: it has no executable and no parent, or kthreadd for one.
	pid_t found = 0;
	DIR *folder = opendir("/proc");
	CHECK(folder);
	for (struct dirent *entry; !found && (entry = readdir(folder));) {
		pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
		if (pid > 0 && (child_field(pid, "PPid") == 2 || pid == 2) &&
		    child_field(pid, "VmSize") < 0 && child_state(pid, pid) != 'Z')
			found = pid;
	}
	closedir(folder);
	if (!found)
		SKIP("no kernel thread is visible (a PID namespace)");
	CHECK_EQUAL(code_of(permission_check(found), "is a kernel thread"),
		    STROBE_ERROR_UNSUPPORTED);
}

static void a_zombie(void)
{
	pid_t pid = child_start(child_ready);
	kill(pid, SIGKILL);
	CHECK(child_reaches(pid, 'Z'));
	CHECK_EQUAL(code_of(permission_check(pid), "is a zombie"), STROBE_ERROR_UNSUPPORTED);
	waitpid(pid, NULL, 0);
}

static void *live_on(void *argument)
{
	for (;;)
		pause();
	return argument;
}

static void end_first_thread(int ready_fd)
{
	pthread_t thread;
	if (pthread_create(&thread, NULL, live_on, NULL))
		_exit(1);
	child_ready(ready_fd);
	syscall(SYS_exit, 0);
}

static void one_without_its_first_thread(void)
{
	pid_t pid = child_start(end_first_thread);
	CHECK(child_reaches(pid, 'Z'));
	CHECK_OK(permission_check(pid));
	child_end(pid);
}

static void be_traced(int ready_fd)
{
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	child_ready(ready_fd);
}

static void one_that_is_traced(void)
{
	pid_t pid = child_start(be_traced);
	char part[80];
	snprintf(part, sizeof(part), "traced by process %d (test_permission", (int)getpid());
	CHECK_EQUAL(code_of(permission_check(pid), part), STROBE_ERROR_SYSTEM);
	CHECK_EQUAL(code_of(permission_explain(pid, EPERM), part), STROBE_ERROR_SYSTEM);
	child_end(pid);
}

static void hide(int ready_fd)
{
	prctl(PR_SET_DUMPABLE, 0);
	child_ready(ready_fd);
}

static void become_nobody_and_hide(int ready_fd)
{
	if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
		_exit(1);
	hide(ready_fd);
}

/** A root directory of a chroot may be its owner's alone: then nobody sees /proc. */
static bool others_may_enter(void)
{
	struct stat about;
	return stat("/", &about) == 0 && about.st_mode & S_IXOTH;
}

/** In a child that is nobody: what it is told of `pid`. */
static int told_to_nobody(pid_t pid, const char *part)
{
	int status;
	fflush(stdout);
	pid_t asker = fork();
	CHECK(asker >= 0);
	if (asker == 0) {
		if (setgroups(0, NULL) || setgid(NOBODY) || setuid(NOBODY))
			_exit(99);
		errno = 0;
		if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0)
			_exit(98);
		struct strobe_error *error = permission_explain(pid, errno);
		bool right = strstr(strobe_error_message(error), part);
		if (!right)
			printf("# \"%s\", expected \"%s\"\n", strobe_error_message(error), part);
		fflush(stdout);
		_exit(right ? (int)strobe_error_code(error) : 97);
	}
	CHECK_EQUAL(waitpid(asker, &status, 0), asker);
	CHECK(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void one_of_another_user(void)
{
	if (geteuid() != 0)
		SKIP("only root can become another user");
	if (!others_may_enter())
		SKIP("this folder is not open to other users");
	pid_t pid = child_start(child_ready);
	CHECK_EQUAL(told_to_nobody(pid, "it runs as uid 0, strobe as uid 65534: run strobe as that "
					"user, or with CAP_SYS_PTRACE"),
		    STROBE_ERROR_SYSTEM);
	child_end(pid);
}

static void one_that_is_not_dumpable(void)
{
	if (geteuid() != 0)
		SKIP("only root can become another user");
	if (!others_may_enter())
		SKIP("this folder is not open to other users");
	pid_t pid = child_start(become_nobody_and_hide);
	CHECK_EQUAL(told_to_nobody(pid, "it is not dumpable"), STROBE_ERROR_SYSTEM);
	child_end(pid);
	pid = child_start(hide); // root may, all the same
	CHECK_OK(permission_check(pid));
	child_end(pid);
}

static void other_errors_as_they_are(void)
{
	pid_t pid = child_start(child_ready);
	CHECK_EQUAL(code_of(permission_explain(pid, EIO), "PTRACE_SEIZE"), STROBE_ERROR_SYSTEM);
	child_end(pid);
}

CHECK_MAIN({"no such process", no_such_process}, {"a child", nothing_speaks_against_a_child},
	   {"a thread's id", a_threads_id}, {"ourselves", ourselves},
	   {"a kernel thread", a_kernel_thread}, {"a zombie", a_zombie},
	   {"a process without its first thread", one_without_its_first_thread},
	   {"one that is traced", one_that_is_traced}, {"one of another user", one_of_another_user},
	   {"one that is not dumpable", one_that_is_not_dumpable},
	   {"another error of ptrace", other_errors_as_they_are})
