// SPDX-License-Identifier: Apache-2.0
#include "process/permission.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "process/proc.h"

/** What of /proc/PID/status the rules are about. */
struct facts {
	char name[32];
	char state;
	uint64_t tgid, tracer;
	uint64_t uid[4], gid[4]; // real, effective, saved, file system
	uint64_t permitted;	 // capabilities
};

static void read_ids(const char *status, const char *field, uint64_t ids[4])
{
	const char *at;
	if (!proc_field(status, field, &at))
		return;
	for (unsigned i = 0; i < 4; i++) {
		char *end;
		ids[i] = strtoull(at, &end, 10);
		at = end;
	}
}

static bool read_facts(pid_t pid, struct facts *ret)
{
	char name[32];
	cleanup_text struct text text = {0};
	const char *at;
	*ret = (struct facts){0};
	snprintf(name, sizeof(name), "%d/status", (int)pid);
	if (proc_read(name, &text) || !text.size)
		return false;
	size_t size = proc_field(text.data, "Name", &at);
	snprintf(ret->name, sizeof(ret->name), "%.*s", (int)(size < 31 ? size : 31), at ? at : "");
	ret->state = proc_field(text.data, "State", &at) ? *at : '?';
	proc_field_number(text.data, "Tgid", 10, &ret->tgid);
	proc_field_number(text.data, "TracerPid", 10, &ret->tracer);
	proc_field_number(text.data, "CapPrm", 16, &ret->permitted);
	read_ids(text.data, "Uid", ret->uid);
	read_ids(text.data, "Gid", ret->gid);
	return true;
}

static bool have_capability(unsigned capability)
{
	struct facts own;
	cleanup_text struct text text = {0};
	uint64_t effective = 0;
	return read_facts(getpid(), &own) && proc_read("self/status", &text) == 0 && text.size &&
	       proc_field_number(text.data, "CapEff", 16, &effective) &&
	       effective >> capability & 1;
}

static struct strobe_error *refuse(pid_t pid, const struct facts *facts, const char *why)
{
	struct strobe_error *cause = error_errno(EPERM, "%s", why);
	struct strobe_error *error = error_wrap(cause, "process %d (%s)", (int)pid, facts->name);
	return error;
}

static struct strobe_error *check_tracer(pid_t pid, const struct facts *facts)
{
	struct facts tracer;
	if (!facts->tracer)
		return NULL;
	char why[160];
	bool known = read_facts((pid_t)facts->tracer, &tracer);
	snprintf(why, sizeof(why),
		 "traced by process %" PRIu64 " (%s) already: a process has one tracer at a time; "
		 "detach that one first",
		 facts->tracer, known ? tracer.name : "?");
	return refuse(pid, facts, why);
}

static bool is_kernel_thread(pid_t pid)
{
	enum { PF_KTHREAD = 0x200000 }; // include/linux/sched.h
	char name[32];
	cleanup_text struct text text = {0};
	snprintf(name, sizeof(name), "%d/stat", (int)pid);
	const char *flags =
		proc_read(name, &text) == 0 && text.size ? proc_stat_field(text.data, 9) : NULL;
	return flags && strtoull(flags, NULL, 10) & PF_KTHREAD;
}

static bool is_32_bit(pid_t pid)
{
	char path[64];
	unsigned char head[EI_NIDENT];
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t size = read(fd, head, sizeof(head));
	close(fd);
	return size == sizeof(head) && memcmp(head, ELFMAG, SELFMAG) == 0 &&
	       head[EI_CLASS] == ELFCLASS32;
}

static struct strobe_error *check_kind(pid_t pid, const struct facts *facts)
{
	if (facts->tgid != (uint64_t)pid)
		return error_new(STROBE_ERROR_NOT_FOUND,
				 "%d is a thread of process %" PRIu64 " (%s): give that number",
				 (int)pid, facts->tgid, facts->name);
	if (pid == getpid())
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "process %d is this one: a process cannot capture itself",
				 (int)pid);
	if (is_kernel_thread(pid))
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "process %d (%s) is a kernel thread: it has no memory of its own",
				 (int)pid, facts->name);
	if (is_32_bit(pid))
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "process %d (%s) is a 32-bit program: only x86_64 is captured",
				 (int)pid, facts->name);
	return NULL;
}

/** A zombie leader whose other threads live on is none. */
static struct strobe_error *check_dead(pid_t pid, const struct facts *facts)
{
	if (facts->state != 'Z' && facts->state != 'X')
		return NULL;
	struct proc_tids tids = {0};
	bool alone = proc_threads(pid, &tids) || tids.list.count <= 1;
	array_fini(&tids.list);
	if (!alone)
		return NULL;
	return error_new(STROBE_ERROR_UNSUPPORTED,
			 "process %d (%s) is a zombie: it has ended and holds nothing any more; "
			 "its parent has not waited for it yet",
			 (int)pid, facts->name);
}

struct strobe_error *permission_check(pid_t pid)
{
	struct facts facts;
	if (pid <= 0 || !read_facts(pid, &facts))
		return error_new(STROBE_ERROR_NOT_FOUND, "no process %d", (int)pid);
	struct strobe_error *error = check_kind(pid, &facts);
	if (!error)
		error = check_dead(pid, &facts);
	if (!error)
		error = check_tracer(pid, &facts);
	return error;
}

static bool same_user(const struct facts *facts)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	for (unsigned i = 0; i < 3; i++)
		if (facts->uid[i] != uid || facts->gid[i] != gid)
			return false;
	return true;
}

/** The files of a process that is not dumpable belong to root in /proc (proc(5)); not its folder. */
static bool is_dumpable(pid_t pid, const struct facts *facts)
{
	char path[32];
	struct stat about;
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	return stat(path, &about) != 0 || about.st_uid == facts->uid[1];
}

static int yama_scope(void)
{
	cleanup_text struct text text = {0};
	if (proc_read("sys/kernel/yama/ptrace_scope", &text) || !text.size)
		return 0;
	return (int)strtol(text.data, NULL, 10);
}

struct strobe_error *permission_explain(pid_t pid, int errnum)
{
	struct facts facts;
	if (errnum == ESRCH || !read_facts(pid, &facts))
		return error_new(STROBE_ERROR_NOT_FOUND, "process %d has ended", (int)pid);
	struct strobe_error *error = check_tracer(pid, &facts);
	if (error)
		return error;
	if (errnum != EPERM && errnum != EACCES)
		return error_errno(errnum, "process %d (%s): PTRACE_SEIZE", (int)pid, facts.name);
	char why[256];
	int scope = yama_scope();
	bool capable = have_capability(CAP_SYS_PTRACE);
	if (scope == 3)
		snprintf(why, sizeof(why),
			 "kernel.yama.ptrace_scope is 3: nobody may trace until the next boot");
	else if (!capable && !same_user(&facts))
		snprintf(why, sizeof(why),
			 "it runs as uid %" PRIu64
			 ", strobe as uid %u: run strobe as that user, or "
			 "with CAP_SYS_PTRACE (sudo)",
			 facts.uid[1], (unsigned)geteuid());
	else if (!capable && !is_dumpable(pid, &facts))
		snprintf(why, sizeof(why),
			 "it is not dumpable (prctl PR_SET_DUMPABLE, or it changed its user or "
			 "capabilities): run strobe with CAP_SYS_PTRACE (sudo)");
	else if (!capable && scope > 0)
		snprintf(why, sizeof(why),
			 "kernel.yama.ptrace_scope is %d: only %s may trace it; run strobe with "
			 "CAP_SYS_PTRACE (sudo)%s",
			 scope, scope == 1 ? "its ancestors" : "privileged processes",
			 scope == 1 ? ", or set it to 0" : "");
	else if (!capable && facts.permitted)
		snprintf(why, sizeof(why),
			 "it has capabilities (%" PRIx64 ") that strobe lacks: run strobe with "
			 "CAP_SYS_PTRACE (sudo)",
			 facts.permitted);
	else
		snprintf(why, sizeof(why),
			 "a security module or a user namespace refuses it (see the kernel's audit "
			 "log); run strobe in the initial namespaces with CAP_SYS_PTRACE");
	return refuse(pid, &facts, why);
}
