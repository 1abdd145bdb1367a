// SPDX-License-Identifier: Apache-2.0
// Seccomp filters run here as the kernel runs them, and fetched from a child that has some.
#include "process/seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>

#include "child.h"

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(value) BPF_STMT(BPF_RET | BPF_K, (value))
#define PROGRAM(name, ...) static const struct sock_filter name[] = {__VA_ARGS__}
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static uint32_t run(const struct sock_filter *program, size_t length, int number, uint64_t first)
{
	struct seccomp_data data = {.nr = number,
				    .arch = AUDIT_ARCH_X86_64,
				    .instruction_pointer = 0x7f0012345678,
				    .args = {first, 2, 3, 4, 5, 0x600000006}};
	return seccomp_run(program, length, &data);
}
#define RUN(program, number, first) run(program, COUNT(program), number, first)

// As libseccomp lays out a list of allowed calls: the architecture, x32 refused, a binary search.
PROGRAM(like_libseccomp, LOAD(arch), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 11),
	LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0xffffffff, 0, 8),
	BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_clone, 3, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 5, 0),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 4, 0), RETURN(SECCOMP_RET_ERRNO | EPERM),
	BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_clone, 0, 2),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0), RETURN(SECCOMP_RET_TRAP),
	RETURN(SECCOMP_RET_ALLOW), RETURN(SECCOMP_RET_KILL_PROCESS));

static void runs_a_list_of_calls(void)
{
	CHECK_EQUAL(RUN(like_libseccomp, SYS_read, 0), SECCOMP_RET_ALLOW);
	CHECK_EQUAL(RUN(like_libseccomp, SYS_write, 0), SECCOMP_RET_ALLOW);
	CHECK_EQUAL(RUN(like_libseccomp, SYS_open, 0), SECCOMP_RET_ERRNO | EPERM);
	CHECK_EQUAL(RUN(like_libseccomp, SYS_clone, 0), SECCOMP_RET_ALLOW);
	CHECK_EQUAL(RUN(like_libseccomp, SYS_exit_group, 0), SECCOMP_RET_ALLOW);
	CHECK_EQUAL(RUN(like_libseccomp, SYS_close_range, 0), SECCOMP_RET_TRAP);
	CHECK_EQUAL(RUN(like_libseccomp, 0x40000000 + SYS_read, 0), SECCOMP_RET_KILL_PROCESS);
	struct seccomp_data data = {.nr = SYS_read, .arch = AUDIT_ARCH_I386};
	CHECK_EQUAL(seccomp_run(like_libseccomp, COUNT(like_libseccomp), &data),
		    SECCOMP_RET_KILL_PROCESS);
}

// As systemd's RestrictNamespaces: flags of clone(2), masked.
PROGRAM(no_namespaces, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 4),
	LOAD(args[0]), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0x7e020000),
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0), RETURN(SECCOMP_RET_ERRNO | EPERM),
	RETURN(SECCOMP_RET_ALLOW));

static void looks_at_arguments(void)
{
	CHECK_EQUAL(RUN(no_namespaces, SYS_clone, 0x100), SECCOMP_RET_ALLOW);
	CHECK_EQUAL(RUN(no_namespaces, SYS_clone, 0x10000000), SECCOMP_RET_ERRNO | EPERM);
	CHECK_EQUAL(RUN(no_namespaces, SYS_clone, 0x1000000000), SECCOMP_RET_ALLOW); // upper half
	CHECK_EQUAL(RUN(no_namespaces, SYS_read, 0x10000000), SECCOMP_RET_ALLOW);
	PROGRAM(upper,
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[5]) + 4),
		BPF_STMT(BPF_RET | BPF_A, 0));
	CHECK_EQUAL(RUN(upper, 0, 0), 6);
	PROGRAM(pointer,
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_STMT(BPF_RET | BPF_A, 0));
	CHECK_EQUAL(RUN(pointer, 0, 0), 0x12345678);
}

/** a = `first`, x = `second`; one step; the answer is a. */
static uint32_t step(uint16_t code, uint32_t first, uint32_t second)
{
	struct sock_filter program[] = {BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, second),
					BPF_STMT(BPF_LD | BPF_W | BPF_IMM, first),
					BPF_STMT(code, second), BPF_STMT(BPF_RET | BPF_A, 0)};
	return RUN(program, 0, 0);
}

static void calculates(void)
{
	static const struct {
		uint16_t operation;
		uint32_t a, b, result;
	} table[] = {
		{BPF_ADD, 0xffffffff, 3, 2},	      {BPF_SUB, 2, 3, 0xffffffff},
		{BPF_MUL, 0x10001, 0x10001, 0x20001}, {BPF_DIV, 7, 2, 3},
		{BPF_AND, 0xff00, 0x0ff0, 0x0f00},    {BPF_OR, 0xff00, 0x0ff0, 0xfff0},
		{BPF_XOR, 0xff00, 0x0ff0, 0xf0f0},    {BPF_LSH, 1, 31, 0x80000000},
		{BPF_RSH, 0x80000000, 31, 1},	      {BPF_NEG, 1, 0, 0xffffffff},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		uint16_t code = BPF_ALU | table[i].operation;
		CHECK_EQUAL(step(code | BPF_K, table[i].a, table[i].b), table[i].result);
		CHECK_EQUAL(step(code | BPF_X, table[i].a, table[i].b), table[i].result);
	}
	// What the kernel's machine does with numbers that a filter can only come to by its input.
	CHECK_EQUAL(step(BPF_ALU | BPF_DIV | BPF_X, 7, 0), SECCOMP_RET_KILL_THREAD);
	CHECK_EQUAL(step(BPF_ALU | BPF_LSH | BPF_X, 1, 33), 2);
	CHECK_EQUAL(step(BPF_ALU | BPF_RSH | BPF_X, 4, 33), 2);
	// A division by zero ends the program, whatever follows.
	PROGRAM(divides, BPF_STMT(BPF_LDX | BPF_W | BPF_IMM, 0),
		BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0), RETURN(SECCOMP_RET_ALLOW));
	CHECK_EQUAL(RUN(divides, 0, 0), SECCOMP_RET_KILL_THREAD);
}

static void remembers_and_moves(void)
{
	PROGRAM(memory, LOAD(args[0]), BPF_STMT(BPF_ST, 15), BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_STX, 0), BPF_STMT(BPF_LD | BPF_IMM, 0),
		BPF_STMT(BPF_LDX | BPF_MEM, 15), BPF_STMT(BPF_MISC | BPF_TXA, 0),
		BPF_STMT(BPF_LDX | BPF_MEM, 0), BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
		BPF_STMT(BPF_RET | BPF_A, 0));
	CHECK_EQUAL(RUN(memory, 0, 21), 42);
	PROGRAM(length, BPF_STMT(BPF_LD | BPF_W | BPF_LEN, 0), BPF_STMT(BPF_RET | BPF_A, 0));
	CHECK_EQUAL(RUN(length, 0, 0), sizeof(struct seccomp_data));
	PROGRAM(set, BPF_STMT(BPF_LD | BPF_IMM, 6), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 9, 1, 0),
		RETURN(1), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 1, 0), RETURN(2),
		BPF_STMT(BPF_JMP | BPF_JA, 1), RETURN(3), RETURN(4));
	CHECK_EQUAL(RUN(set, 0, 0), 1);
	CHECK_EQUAL(run(set + 2, 1, 0, 0), 1);
	CHECK_EQUAL(run(set + 5, 3, 0, 0), 4);
}

/** None of them would the kernel have taken: what cannot be run allows nothing. */
static void refuses_what_is_no_program(void)
{
	PROGRAM(empty, RETURN(SECCOMP_RET_ALLOW));
	CHECK_EQUAL(run(empty, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
	PROGRAM(endless, LOAD(nr));
	CHECK_EQUAL(RUN(endless, 0, 0), SECCOMP_RET_KILL_PROCESS);
	PROGRAM(far, BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), RETURN(SECCOMP_RET_ALLOW));
	CHECK_EQUAL(RUN(far, 0, 0), SECCOMP_RET_KILL_PROCESS);
	PROGRAM(behind, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, sizeof(struct seccomp_data)),
		RETURN(SECCOMP_RET_ALLOW));
	CHECK_EQUAL(RUN(behind, 0, 0), SECCOMP_RET_KILL_PROCESS);
	PROGRAM(crooked, BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 2), RETURN(SECCOMP_RET_ALLOW));
	CHECK_EQUAL(RUN(crooked, 0, 0), SECCOMP_RET_KILL_PROCESS);
	PROGRAM(words, BPF_STMT(BPF_ST, BPF_MEMWORDS), RETURN(SECCOMP_RET_ALLOW));
	CHECK_EQUAL(RUN(words, 0, 0), SECCOMP_RET_KILL_PROCESS);
	PROGRAM(loads, BPF_STMT(BPF_LDX | BPF_MEM, 0xffffffff), RETURN(SECCOMP_RET_ALLOW));
	CHECK_EQUAL(RUN(loads, 0, 0), SECCOMP_RET_KILL_PROCESS);
	PROGRAM(indirect, BPF_STMT(BPF_LD | BPF_W | BPF_IND, 0), RETURN(SECCOMP_RET_ALLOW));
	CHECK_EQUAL(RUN(indirect, 0, 0), SECCOMP_RET_KILL_PROCESS);
}

static void install(const struct sock_filter *program, size_t length)
{
	struct sock_fprog what = {.len = (unsigned short)length,
				  .filter = (struct sock_filter *)program};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &what, 0, 0))
		_exit(1);
}

// Everything but close_range(2) and clone(2) with a flag; then a second one, without getppid(2).
PROGRAM(all_but_some, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_close_range, 0, 1),
	RETURN(SECCOMP_RET_ERRNO | ENOSYS), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone, 0, 3),
	LOAD(args[0]), BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x10000000, 0, 1),
	RETURN(SECCOMP_RET_KILL_PROCESS), RETURN(SECCOMP_RET_ALLOW));
PROGRAM(logs_one, LOAD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
	RETURN(SECCOMP_RET_KILL_THREAD), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getuid, 0, 1),
	RETURN(SECCOMP_RET_LOG), RETURN(SECCOMP_RET_ALLOW));

static void live_with_two_filters(int ready_fd)
{
	install(all_but_some, COUNT(all_but_some));
	install(logs_one, COUNT(logs_one));
	child_ready(ready_fd);
}

static enum seccomp_answer ask(pid_t pid, int number, uint64_t first)
{
	struct seccomp_data calls[] = {
		{.nr = SYS_read, .arch = AUDIT_ARCH_X86_64},
		{.nr = number, .arch = AUDIT_ARCH_X86_64, .args = {first}},
	};
	return seccomp_ask(pid, calls, COUNT(calls));
}

static void asks_all_filters_of_a_child(void)
{
	pid_t pid = child_start(live_with_two_filters);
	int status;
	CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
	CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	CHECK_EQUAL(waitpid(pid, &status, __WALL), pid);
	enum seccomp_answer plain = ask(pid, SYS_write, 0);
	if (plain == SECCOMP_UNKNOWN) {
		int problem = errno;
		child_end(pid);
		CHECK(problem == EACCES || problem == EPERM || problem == EIO || problem == EINVAL);
		SKIP("filters cannot be fetched here: %s", strerror(problem));
	}
	CHECK_EQUAL(plain, SECCOMP_ALLOWED);
	CHECK_EQUAL(ask(pid, SYS_close_range, 0), SECCOMP_REFUSED);
	CHECK_EQUAL(ask(pid, SYS_clone, 0), SECCOMP_ALLOWED);
	CHECK_EQUAL(ask(pid, SYS_clone, 0x10000000), SECCOMP_REFUSED);
	CHECK_EQUAL(ask(pid, SYS_getppid, 0), SECCOMP_REFUSED);
	CHECK_EQUAL(ask(pid, SYS_getuid, 0), SECCOMP_ALLOWED); // and logged
	CHECK_EQUAL(seccomp_ask(pid, NULL, 0), SECCOMP_ALLOWED);
	child_end(pid);
	CHECK_EQUAL(ask(pid, SYS_write, 0), SECCOMP_UNKNOWN); // it is gone
}

/** getppid(a, b) answers with what `operation` makes of a and b. */
static void live_with_arithmetic(uint16_t operation, uint32_t a, uint32_t b)
{
	struct sock_filter program[] = {LOAD(nr),
					BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 1, 0),
					RETURN(SECCOMP_RET_ALLOW),
					LOAD(args[1]),
					BPF_STMT(BPF_MISC | BPF_TAX, 0),
					LOAD(args[0]),
					BPF_STMT(BPF_ALU | operation | BPF_X, 0),
					BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO),
					BPF_STMT(BPF_RET | BPF_A, 0)};
	install(program, COUNT(program));
	struct seccomp_data data = {.nr = SYS_getppid, .args = {a, b}};
	uint32_t expected = seccomp_run(program, COUNT(program), &data);
	long result = syscall(SYS_getppid, (unsigned long)a, (unsigned long)b);
	_exit(result == -1 && (SECCOMP_RET_ERRNO | (uint32_t)errno) == expected ? 42 : 1);
}

static void the_kernel_agrees(void)
{
	static const struct {
		uint16_t operation;
		uint32_t a, b;
		bool kills;
	} table[] = {
		{BPF_ADD, 40, 2, false},      {BPF_SUB, 40, 2, false},
		{BPF_MUL, 6, 7, false},	      {BPF_DIV, 300, 7, false},
		{BPF_DIV, 300, 0, true},      {BPF_AND, 0xff, 0x1f, false},
		{BPF_XOR, 0xff, 0x1f, false}, {BPF_LSH, 3, 4, false},
		{BPF_LSH, 3, 36, false},      {BPF_RSH, 0x80, 2, false},
		{BPF_RSH, 0x80, 34, false},
	};
	for (size_t i = 0; i < COUNT(table); i++) {
		fflush(stdout);
		pid_t pid = fork();
		int status;
		CHECK(pid >= 0);
		if (pid == 0)
			live_with_arithmetic(table[i].operation, table[i].a, table[i].b);
		CHECK_EQUAL(waitpid(pid, &status, 0), pid);
		printf("# %x of %u and %u: status %x\n", table[i].operation, table[i].a, table[i].b,
		       status);
		if (table[i].kills)
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS);
		else
			CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
	}
}

CHECK_MAIN({"a list of calls", runs_a_list_of_calls}, {"arguments of calls", looks_at_arguments},
	   {"all arithmetic, with a constant and with x", calculates},
	   {"memory, moves and jumps", remembers_and_moves},
	   {"the kernel comes to the same", the_kernel_agrees},
	   {"what the kernel would not take", refuses_what_is_no_program},
	   {"two filters of a child", asks_all_filters_of_a_child})
