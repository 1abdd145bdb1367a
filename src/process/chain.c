// SPDX-License-Identifier: Apache-2.0
#include "process/chain.h"

#include <assert.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/xsave.h"

enum {
	// arch/x86/include/uapi/asm/ucontext.h
	UC_FP_XSTATE = 1,
	UC_SIGCONTEXT_SS = 2,
	UC_STRICT_RESTORE_SS = 4,
	FXSAVE_SIZE = 512,
	SOFTWARE_AT = 464, // struct _fpx_sw_bytes in the FXSAVE area
	LINK_HEAD = 32,	   // what leads to rt_sigreturn, before the ucontext
	XSTATE_ALIGNMENT = 64,
};
static const uint32_t magic1 = 0x46505853, magic2 = 0x46505845;

struct frame_context { // struct sigcontext_64
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t di, si, bp, bx, dx, ax, cx, sp, ip, flags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2, fpstate, reserved[8];
};
_Static_assert(sizeof(struct frame_context) == 256, "the kernel's");

struct frame { // struct ucontext of the kernel
	uint64_t flags, link;
	uint64_t stack_pointer;
	uint32_t stack_flags, stack_padding;
	uint64_t stack_size;
	struct frame_context context;
	uint64_t blocked;
};
_Static_assert(sizeof(struct frame) == 304, "the kernel's");

struct fpx_software { // struct _fpx_sw_bytes
	uint32_t magic1, extended_size;
	uint64_t features;
	uint32_t xstate_size, padding[7];
};
_Static_assert(sizeof(struct fpx_software) == 48, "the kernel's");

void chain_init(struct chain *chain, const struct gadgets *gadgets, uint64_t base)
{
	memset(chain, 0, sizeof(*chain));
	chain->gadgets = gadgets;
	chain->base = base;
}

uint64_t chain_position(const struct chain *chain)
{
	return chain->base + chain->size;
}

size_t chain_link_size(void)
{
	size_t size = LINK_HEAD + sizeof(struct frame);
	return (size + 15) & ~(size_t)15;
}

size_t chain_end_size(size_t xstate_size)
{
	return chain_link_size() + XSTATE_ALIGNMENT + xstate_size + 64;
}

static void put_word(struct chain *chain, size_t at, uint64_t word)
{
	memcpy(chain->bytes + at, &word, sizeof(word));
}

/**
 * What stands at a link: addresses that `ret` and what it goes to take from the stack, so that
 * rt_sigreturn runs with the stack pointer 8 behind the frame's start. Returns the frame's offset.
 */
static size_t put_head(struct chain *chain)
{
	const struct gadgets *gadgets = chain->gadgets;
	size_t at = chain->size;
	if (gadgets->restorer) {
		put_word(chain, at, gadgets->restorer);
		return at +
		       8; // the stack pointer there, which the kernel takes 8 from and adds 8 to
	}
	put_word(chain, at, gadgets->pop_rax_ret);
	put_word(chain, at + 8, SYS_rt_sigreturn);
	put_word(chain, at + 16, gadgets->syscall_ret);
	return at + 24;
}

static void init_frame(struct frame *frame)
{
	memset(frame, 0, sizeof(*frame));
	frame->flags = UC_FP_XSTATE | UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
	// No flags that sigaltstack() takes: the kernel refuses, and the thread's stays as it is.
	frame->stack_flags = 0x7fffffff;
	frame->blocked = ~UINT64_C(0);
}

/** A `syscall` at, before or soon after the pc: a chain's thread is always near one. */
static bool is_at_call(int mem_fd, uint64_t pc)
{
	enum { BEFORE = 2, AROUND = 12 }; // `syscall` is two bytes, `mov $15, %rax` up to seven
	static const uint8_t syscall_code[2] = {0x0f, 0x05};
	uint8_t code[AROUND];
	ssize_t size = pread(mem_fd, code, sizeof(code), (off_t)(pc - BEFORE));
	if (size <= 0) // the pc is where a mapping begins
		size = pread(mem_fd, code, sizeof(code), (off_t)pc);
	return size > 0 && memmem(code, (size_t)size, syscall_code, sizeof(syscall_code));
}

bool chain_is_running(int mem_fd, const struct user_regs_struct *regs)
{
	enum { HEAD_MAX = 24 }; // of which the stack pointer is anywhere, see put_head()
	struct frame wanted;
	uint8_t stack[HEAD_MAX + offsetof(struct frame, stack_size)];
	init_frame(&wanted);
	// No kernel made frame has these flags for its stack.
	if (pread(mem_fd, stack, sizeof(stack), (off_t)regs->rsp) != sizeof(stack))
		return false;
	for (size_t at = 0; at <= HEAD_MAX; at += 8)
		if (memcmp(stack + at, &wanted, offsetof(struct frame, stack_size)) == 0)
			return is_at_call(mem_fd, regs->rip);
	return false;
}

static void put_frame(struct chain *chain, size_t at, const struct frame *frame)
{
	memcpy(chain->bytes + at, frame, sizeof(*frame));
	chain->size = (at + sizeof(*frame) + 15) & ~(size_t)15;
	assert(chain->size <= CHAIN_SIZE_LIMIT);
}

enum { USER_CS = 0x33, USER_SS = 0x2b, FLAGS_DEFAULT = 0x202 };

uint64_t chain_add_call(struct chain *chain, const struct chain_call *call, uint64_t next)
{
	uint64_t link = chain_position(chain);
	struct frame frame;
	init_frame(&frame);
	frame.context = (struct frame_context){
		.ax = call->number,
		.di = call->arguments[0],
		.si = call->arguments[1],
		.dx = call->arguments[2],
		.r10 = call->arguments[3],
		.r8 = call->arguments[4],
		.r9 = call->arguments[5],
		.ip = chain->gadgets->syscall_ret,
		.sp = next,
		.flags = FLAGS_DEFAULT,
		.cs = USER_CS,
		.ss = USER_SS,
	};
	put_frame(chain, put_head(chain), &frame);
	return link;
}

uint64_t chain_argument(uint64_t link, const struct chain *chain, unsigned index)
{
	static const size_t places[] = {
		offsetof(struct frame_context, di), offsetof(struct frame_context, si),
		offsetof(struct frame_context, dx), offsetof(struct frame_context, r10),
		offsetof(struct frame_context, r8), offsetof(struct frame_context, r9),
	};
	size_t head = chain->gadgets->restorer ? 8 : 24;
	return link + head + offsetof(struct frame, context) + places[index];
}

/**
 * The part of the extended state that a signal frame may hold: what must be asked for only if this
 * thread has it, for else the kernel takes the frame for too large and restores no more than SSE.
 */
static size_t frame_xstate_size(const uint8_t *xstate, size_t size, uint64_t *features)
{
	uint64_t present;
	memcpy(features, xstate + SOFTWARE_AT, sizeof(*features)); // XCR0, says the kernel
	memcpy(&present, xstate + FXSAVE_SIZE, sizeof(present));
	*features &= ~(XSAVE_TILES & ~present);
	return xsave_end(*features, size);
}

static uint64_t put_xstate(struct chain *chain, const uint8_t *xstate, size_t size)
{
	uint64_t features;
	size_t end = frame_xstate_size(xstate, size, &features);
	size_t at = (chain->size + XSTATE_ALIGNMENT - 1) & ~(size_t)(XSTATE_ALIGNMENT - 1);
	struct fpx_software software = {
		.magic1 = magic1,
		.extended_size = (uint32_t)(end + sizeof(magic2)),
		.features = features,
		.xstate_size = (uint32_t)end,
	};
	assert(at + end + sizeof(magic2) <= CHAIN_SIZE_LIMIT);
	memcpy(chain->bytes + at, xstate, end);
	memcpy(chain->bytes + at + SOFTWARE_AT, &software, sizeof(software));
	memcpy(chain->bytes + at + end, &magic2, sizeof(magic2));
	chain->size = (at + end + sizeof(magic2) + 15) & ~(size_t)15;
	return chain->base + at;
}

uint64_t chain_add_end(struct chain *chain, const struct user_regs_struct *regs, uint64_t blocked,
		       const uint8_t *xstate, size_t xstate_size)
{
	struct frame frame;
	init_frame(&frame);
	frame.blocked = blocked;
	uint64_t fpstate = 0;
	if (xstate && xstate_size >= FXSAVE_SIZE + 64)
		fpstate = put_xstate(chain, xstate, xstate_size);
	uint64_t link = chain_position(chain);
	frame.context = (struct frame_context){
		.r8 = regs->r8,
		.r9 = regs->r9,
		.r10 = regs->r10,
		.r11 = regs->r11,
		.r12 = regs->r12,
		.r13 = regs->r13,
		.r14 = regs->r14,
		.r15 = regs->r15,
		.di = regs->rdi,
		.si = regs->rsi,
		.bp = regs->rbp,
		.bx = regs->rbx,
		.dx = regs->rdx,
		.ax = regs->rax,
		.cx = regs->rcx,
		.sp = regs->rsp,
		.ip = regs->rip,
		.flags = regs->eflags,
		.cs = (uint16_t)regs->cs,
		.ss = (uint16_t)regs->ss,
		.fpstate = fpstate,
	};
	put_frame(chain, put_head(chain), &frame);
	return link;
}

void chain_start(const struct gadgets *gadgets, const struct chain_call *call, uint64_t next,
		 struct user_regs_struct *regs)
{
	regs->rax = call->number;
	regs->rdi = call->arguments[0];
	regs->rsi = call->arguments[1];
	regs->rdx = call->arguments[2];
	regs->r10 = call->arguments[3];
	regs->r8 = call->arguments[4];
	regs->r9 = call->arguments[5];
	regs->rip = gadgets->syscall_ret;
	regs->rsp = next;
	regs->orig_rax = (unsigned long long)-1; // not in a call: nothing for the kernel to restart
	regs->eflags = FLAGS_DEFAULT;
}
