// SPDX-License-Identifier: Apache-2.0
// The list of processes, against children in known states.
#include <errno.h>
#include <signal.h>
#include <strobe/process.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static const struct strobe_process *find(const struct strobe_process_list *list, int pid)
{
	for (size_t i = 0; i < strobe_process_list_count(list); i++)
		if (strobe_process_list_get(list, i)->pid == pid)
			return strobe_process_list_get(list, i);
	return NULL;
}

/** A child that calls `prepare`, then waits to be killed. */
static pid_t make_child(void (*prepare)(void))
{
	int ends[2];
	char ready;
	CHECK(pipe(ends) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (prepare)
			prepare();
		if (write(ends[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	CHECK(read(ends[0], &ready, 1) == 1);
	close(ends[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static struct strobe_process_list *take(void)
{
	struct strobe_process_list *list = NULL;
	CHECK_OK(strobe_process_list_take(&list));
	return list;
}

static void take_a_name(void)
{
	prctl(PR_SET_NAME, "odd) name: x");
}

static void lists_a_child(void)
{
	pid_t pid = make_child(take_a_name);
	struct strobe_process_list *list = take();
	const struct strobe_process *process = find(list, pid);
	CHECK(process);
	CHECK_EQUAL(process->ppid, getpid());
	CHECK_EQUAL(process->uid, geteuid());
	CHECK_EQUAL(process->thread_count, 1);
	CHECK(process->resident_bytes > 0);
	CHECK(!process->kernel);
	CHECK_STRING(process->name, "odd) name: x");
	CHECK(process->command && strstr(process->command, "test_list"));
	CHECK(!process->refused);
	for (size_t i = 1; i < strobe_process_list_count(list); i++)
		CHECK(strobe_process_list_get(list, i - 1)->pid <
		      strobe_process_list_get(list, i)->pid);
	CHECK(!strobe_process_list_get(list, strobe_process_list_count(list)));
	strobe_process_list_close(list);
	end_child(pid);
}

static void tells_why_not(void)
{
	struct strobe_process_list *list = take();
	CHECK(strstr(find(list, getpid())->refused, "cannot capture itself"));
	strobe_process_list_close(list);

	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	siginfo_t info;
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	list = take();
	CHECK_EQUAL(find(list, pid)->state, 'Z');
	CHECK(strncmp(find(list, pid)->refused, "is a zombie", 11) == 0);
	CHECK(!find(list, pid)->command);
	strobe_process_list_close(list);
	waitpid(pid, NULL, 0);
}

static void names_the_tracer(void)
{
	pid_t pid = make_child(take_a_name);
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) != 0) {
		int problem = errno;
		end_child(pid);
		SKIP("a child cannot be traced here: %s", strerror(problem));
	}
	struct strobe_process_list *list = take();
	const struct strobe_process *process = find(list, pid);
	CHECK(process && process->refused);
	CHECK(strncmp(process->refused, "traced by process", 17) == 0);
	CHECK(!strstr(process->refused, strerror(EPERM)));
	strobe_process_list_close(list);
	end_child(pid);
}

static void become_nobody(void)
{
	if (setgid(65534) != 0 || setuid(65534) != 0)
		_exit(1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/** The list as user 65534 sees it: does it refuse our own child, and say by which users? */
static void refuses_other_users(void)
{
	if (geteuid() != 0)
		SKIP("only root can become another user");
	struct stat about; // of a chroot, it may be its owner's alone: then nobody sees /proc
	if (stat("/", &about) || !(about.st_mode & S_IXOTH))
		SKIP("this folder is not open to other users");
	pid_t target = make_child(NULL);
	pid_t looker = fork();
	if (looker == 0) {
		struct strobe_process_list *list = NULL;
		become_nobody();
		if (strobe_process_list_take(&list))
			_exit(2);
		const struct strobe_process *process = find(list, target);
		if (!process)
			_exit(3);
		_exit(process->refused && strstr(process->refused, "runs as uid 0") ? 0 : 4);
	}
	int status;
	CHECK_EQUAL(waitpid(looker, &status, 0), looker);
	end_child(target);
	CHECK(WIFEXITED(status));
	CHECK_EQUAL(WEXITSTATUS(status), 0);
}

static void knows_the_kernels_threads(void)
{
	struct strobe_process_list *list = take();
	const struct strobe_process *kernel = NULL;
	for (size_t i = 0; !kernel && i < strobe_process_list_count(list); i++)
		if (strobe_process_list_get(list, i)->kernel)
			kernel = strobe_process_list_get(list, i);
	bool right = kernel && kernel->refused && strstr(kernel->refused, "kernel thread") &&
		     kernel->resident_bytes == 0;
	bool seen = kernel != NULL;
	strobe_process_list_close(list);
	if (!seen)
		SKIP("this process id namespace has no threads of the kernel's");
	CHECK(right);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"a child is listed with what /proc tells of it", lists_a_child},
		{"ourselves and the dead are refused", tells_why_not},
		{"the tracer of a traced process is named", names_the_tracer},
		{"processes of other users are refused", refuses_other_users},
		{"threads of the kernel's are told apart", knows_the_kernels_threads},
	};
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}
