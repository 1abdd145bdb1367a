// SPDX-License-Identifier: Apache-2.0
// Chains that run: a child in known registers makes calls by signal frames, and is as it was.
#include "process/chain.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "child.h"
#include "process/clone.h"

enum { XSTATE_ROOM = 16384, ROOM = 128 * 1024, CHAIN_AT = 65536, LOOP_AT = 15 };

// What the child stands in: every register has a value of its own, and flags are set. It stops at
// the first trap; a chain that ends there, behind the instruction, meets the second.
extern const char chain_test_first[], chain_test_second[];
static void stand(void) __attribute__((noinline));
static void stand(void)
{
	static const uint64_t wide[4] = {0x1111, 0x2222, 0x3333, 0x4444};
	if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vmovups (%0), %%ymm15" ::"r"(wide) : "memory");
	__asm__ volatile("movups %0, %%xmm3" ::"m"(wide));
	__asm__ volatile("fldpi");
	__asm__ volatile("push %%rbp\n\t"
			 "push %%rbx\n\t"
			 "mov $0x1001, %%rbx\n\tmov $0x1002, %%rcx\n\tmov $0x1003, %%rdx\n\t"
			 "mov $0x1004, %%rsi\n\tmov $0x1005, %%rdi\n\tmov $0x1006, %%rbp\n\t"
			 "mov $0x1008, %%r8\n\tmov $0x1009, %%r9\n\tmov $0x100a, %%r10\n\t"
			 "mov $0x100b, %%r11\n\tmov $0x100c, %%r12\n\tmov $0x100d, %%r13\n\t"
			 "mov $0x100e, %%r14\n\tmov $0x100f, %%r15\n\tmov $0x1000, %%rax\n\t"
			 "std\n\t"
			 "stc\n\t"
			 "int3\n\t"
			 ".globl chain_test_first\nchain_test_first:\n\t"
			 "int3\n\t"
			 ".globl chain_test_second\nchain_test_second:\n\t"
			 "cld\n\t"
			 "pop %%rbx\n\t"
			 "pop %%rbp\n\t" ::
				 : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11",
				   "r12", "r13", "r14", "r15", "memory", "cc");
}

static uint8_t *room; // shared with the child at the same address: code, results, the chain
static int told[2];   // what the calls write

static void live(int ready_fd)
{
	static char alternate[65536];
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)}, now;
	sigset_t blocked;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	sigaddset(&blocked, 40);
	sigprocmask(SIG_SETMASK, &blocked, NULL);
	sigaltstack(&stack, NULL);
	ptrace(PTRACE_TRACEME, 0, 0, 0);
	child_ready(ready_fd);
	stand();
	if (sigaltstack(NULL, &now) || now.ss_sp != alternate || now.ss_size != sizeof(alternate) ||
	    now.ss_flags)
		_exit(1);
	_exit(42);
}

/** What a thread is, as a tracer sees it. */
struct state {
	struct user_regs_struct regs;
	uint64_t blocked;
	uint8_t xstate[XSTATE_ROOM];
	size_t xstate_size;
};

static void state_get(pid_t pid, struct state *ret)
{
	memset(ret, 0, sizeof(*ret));
	struct iovec regs = {&ret->regs, sizeof(ret->regs)};
	struct iovec xstate = {ret->xstate, sizeof(ret->xstate)};
	CHECK(ptrace(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &regs) == 0);
	CHECK(ptrace(PTRACE_GETREGSET, pid, (void *)NT_X86_XSTATE, &xstate) == 0);
	CHECK(ptrace(PTRACE_GETSIGMASK, pid, 8, &ret->blocked) == 0);
	ret->xstate_size = xstate.iov_len;
}

static void expect_trap(pid_t pid)
{
	int status;
	CHECK_EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQUAL(WSTOPSIG(status), SIGTRAP);
}

/** Code to run on, of both kinds; the child inherits it. */
static void make_room(struct gadgets *gadgets, bool with_restorer)
{
	static const uint8_t code[] = {0x0f, 0x05, 0xc3, 0x90, 0xb8, 0x0f, 0,	 0,   0,
				       0x0f, 0x05, 0xcc, 0x58, 0xc3, 0xcc, 0xeb, 0xfe};
	room = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(room != MAP_FAILED);
	memcpy(room, code, sizeof(code));
	CHECK(mprotect(room, 4096, PROT_READ | PROT_EXEC) == 0);
	uint64_t at = (uint64_t)(uintptr_t)room;
	*gadgets = (struct gadgets){.syscall_ret = at, .found = true};
	if (with_restorer)
		gadgets->restorer = at + 4;
	else
		gadgets->pop_rax_ret = at + 12;
	CHECK(pipe2(told, O_CLOEXEC | O_NONBLOCK) == 0);
	memcpy(room + 4096, "abc", 3);
}

static struct chain_call write_byte(unsigned index)
{
	return (struct chain_call){
		.number = SYS_write,
		.arguments = {(uint64_t)told[1], (uint64_t)(uintptr_t)room + 4096 + index, 1}};
}

/** Runs `count` calls in a child and looks at what it is afterwards. */
static void run(unsigned count, bool with_restorer, bool with_xstate)
{
	struct gadgets gadgets;
	make_room(&gadgets, with_restorer);
	pid_t pid = child_start(live);
	expect_trap(pid);
	struct state before, after;
	state_get(pid, &before);
	CHECK_EQUAL(before.regs.rip, (uint64_t)(uintptr_t)chain_test_first);
	CHECK_EQUAL(before.regs.r12, 0x100c);

	struct chain *chain = malloc(sizeof(*chain));
	CHECK(chain);
	uint64_t base = (uint64_t)(uintptr_t)(room + CHAIN_AT);
	chain_init(chain, &gadgets, base);
	CHECK_EQUAL(chain_position(chain), base);
	uint64_t next = chain_add_end(chain, &before.regs, before.blocked,
				      with_xstate ? before.xstate : NULL, before.xstate_size);
	CHECK(chain->size <= chain_end_size(before.xstate_size));
	for (unsigned i = count; i-- > 1;) {
		struct chain_call call = write_byte(i);
		uint64_t link = chain_add_call(chain, &call, next);
		CHECK(chain_position(chain) - link <= chain_link_size());
		uint64_t argument;
		memcpy(&argument, chain->bytes + (chain_argument(link, chain, 1) - base), 8);
		CHECK_EQUAL(argument, call.arguments[1]);
		next = link;
	}
	struct chain_call call = write_byte(0);
	struct user_regs_struct regs = before.regs;
	chain_start(&gadgets, &call, next, &regs);
	memcpy(room + CHAIN_AT, chain->bytes, chain->size);
	free(chain);
	uint64_t all = ~UINT64_C(0);
	CHECK(ptrace(PTRACE_SETSIGMASK, pid, sizeof(all), &all) == 0);
	struct iovec part = {&regs, sizeof(regs)};
	CHECK(ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &part) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	expect_trap(pid);

	char written[8] = {0};
	CHECK_EQUAL(read(told[0], written, sizeof(written)), count);
	CHECK(memcmp(written, "abc", count) == 0);
	state_get(pid, &after);
	CHECK_EQUAL(after.regs.rip, (uint64_t)(uintptr_t)chain_test_second);
	after.regs.rip = before.regs.rip;
	for (size_t i = 0; i < sizeof(after.regs) / 8; i++) // by number, to be told which
		if (((uint64_t *)&after.regs)[i] != ((uint64_t *)&before.regs)[i])
			printf("# register %zu of struct user_regs_struct\n", i);
	CHECK(memcmp(&after.regs, &before.regs, sizeof(after.regs)) == 0);
	CHECK_EQUAL(after.blocked, before.blocked);
	CHECK_EQUAL(after.xstate_size, before.xstate_size);
	if (with_xstate) {
		CHECK(memcmp(after.xstate, before.xstate, after.xstate_size) == 0);
	} else {
		static const uint8_t initial[16];
		CHECK(memcmp(before.xstate + 160 + 3 * 16, initial, 16) != 0); // xmm3
		CHECK(memcmp(after.xstate + 160 + 3 * 16, initial, 16) == 0);
	}
	int status;
	CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
	CHECK_EQUAL(waitpid(pid, &status, 0), pid);
	CHECK(WIFEXITED(status));
	CHECK_EQUAL(WEXITSTATUS(status), 42); // its alternate stack is as it was
	close(told[0]);
	close(told[1]);
	munmap(room, ROOM);
}

static void runs_one_call(void)
{
	run(1, true, true);
}

static void runs_three_calls(void)
{
	run(3, true, true);
}

static void runs_one_call_without_restorer(void)
{
	run(1, false, true);
}

static void runs_three_calls_without_restorer(void)
{
	run(3, false, true);
}

static void ends_in_initial_extended_state(void)
{
	run(2, true, false);
	run(2, false, false);
}

/** A call that fails does not end the chain: the next is made. */
static void goes_on_after_a_call_that_fails(void)
{
	struct gadgets gadgets;
	make_room(&gadgets, true);
	pid_t pid = child_start(live);
	expect_trap(pid);
	struct state before, after;
	state_get(pid, &before);
	struct chain *chain = malloc(sizeof(*chain));
	CHECK(chain);
	uint64_t base = (uint64_t)(uintptr_t)(room + CHAIN_AT);
	chain_init(chain, &gadgets, base);
	uint64_t end = chain_add_end(chain, &before.regs, before.blocked, before.xstate,
				     before.xstate_size);
	struct chain_call second = write_byte(1);
	uint64_t link = chain_add_call(chain, &second, end);
	struct chain_call first = {.number = SYS_close, .arguments = {UINT32_MAX}};
	struct user_regs_struct regs = before.regs;
	chain_start(&gadgets, &first, link, &regs);
	memcpy(room + CHAIN_AT, chain->bytes, chain->size);
	free(chain);
	struct iovec part = {&regs, sizeof(regs)};
	CHECK(ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &part) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	expect_trap(pid);
	char written = 0;
	CHECK_EQUAL(read(told[0], &written, 1), 1);
	CHECK_EQUAL(written, 'b');
	state_get(pid, &after);
	after.regs.rip = before.regs.rip;
	CHECK(memcmp(&after.regs, &before.regs, sizeof(after.regs)) == 0);
	child_end(pid);
	close(told[0]);
	close(told[1]);
	munmap(room, ROOM);
}

/** Starts a chain of one call that reads a byte, and leaves the child to it; its end is an endless
 *  loop. */
static pid_t leave_on_chain(struct gadgets *gadgets)
{
	pid_t pid = child_start(live);
	expect_trap(pid);
	struct state state;
	state_get(pid, &state);
	state.regs.rip = (uint64_t)(uintptr_t)room + LOOP_AT;
	struct chain *chain = malloc(sizeof(*chain));
	CHECK(chain);
	chain_init(chain, gadgets, (uint64_t)(uintptr_t)(room + CHAIN_AT));
	uint64_t end =
		chain_add_end(chain, &state.regs, state.blocked, state.xstate, state.xstate_size);
	struct chain_call call = {
		.number = SYS_read,
		.arguments = {(uint64_t)told[0], (uint64_t)(uintptr_t)room + 4096, 1}};
	chain_start(gadgets, &call, end, &state.regs);
	memcpy(room + CHAIN_AT, chain->bytes, chain->size);
	free(chain);
	uint64_t all = ~UINT64_C(0);
	struct iovec part = {&state.regs, sizeof(state.regs)};
	CHECK(ptrace(PTRACE_SETSIGMASK, pid, sizeof(all), &all) == 0);
	CHECK(ptrace(PTRACE_SETREGSET, pid, (void *)NT_PRSTATUS, &part) == 0);
	CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
	return pid;
}

/** Who captures finds a thread on the chain of a capture before: it is let go to the end. */
static void let_end(bool with_restorer)
{
	enum { LIMIT_MS = 200, TRIES = 100 };
	struct gadgets gadgets;
	make_room(&gadgets, with_restorer);
	CHECK(fcntl(told[0], F_SETFL, 0) == 0); // to wait for the byte
	pid_t pid = leave_on_chain(&gadgets);
	struct threads threads;
	CHECK_OK(threads_seize(&threads, pid, LIMIT_MS));
	threads_interrupt(&threads);
	CHECK_OK(threads_wait(&threads));
	struct stopped_thread *thread = &threads.list.items[0];
	CHECK(chain_is_running(threads.mem_fd, &thread->regs));
	// One that does not end is left as it is.
	clone_end_last(&threads);
	CHECK_EQUAL(thread->state, THREAD_STOPPED);
	CHECK(chain_is_running(threads.mem_fd, &thread->regs));
	CHECK(write(told[1], "x", 1) == 1);
	for (unsigned i = 0; i < TRIES && chain_is_running(threads.mem_fd, &thread->regs); i++)
		clone_end_last(&threads);
	CHECK_EQUAL(thread->state, THREAD_STOPPED);
	CHECK_EQUAL(thread->regs.rip, (uint64_t)(uintptr_t)room + LOOP_AT);
	CHECK_EQUAL(thread->regs.r12, 0x100c);
	CHECK_EQUAL(thread->blocked, UINT64_C(1) << (SIGUSR1 - 1) | UINT64_C(1) << 39);
	CHECK_EQUAL(room[4096], 'x');
	threads_release(&threads, NULL);
	threads_fini(&threads);
	child_end(pid);
	close(told[0]);
	close(told[1]);
	munmap(room, ROOM);
}

static void a_chain_left_over_is_let_end(void)
{
	let_end(true);
	let_end(false);
}

CHECK_MAIN({"one call", runs_one_call}, {"three calls", runs_three_calls},
	   {"one call, without a restorer", runs_one_call_without_restorer},
	   {"three calls, without a restorer", runs_three_calls_without_restorer},
	   {"without extended state", ends_in_initial_extended_state},
	   {"a chain left over", a_chain_left_over_is_let_end},
	   {"a call that fails", goes_on_after_a_call_that_fails})
