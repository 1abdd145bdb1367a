// SPDX-License-Identifier: Apache-2.0
// What a probe of the agent costs a program, in ns a call of a small function, next to none: build/bench/agent
// (built with the tests; run alone on a quiet machine).
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/symbols.h>
#include <strobe/view.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tracepoint/engine.h"
#include "tracepoint/program.h"

enum { CALLS = 1000000, ROUNDS = 11, SITES = 1000, PACED = 200, PACED_ROUNDS = 101 };

uint64_t probed_function(uint64_t number, uint64_t other);
uint64_t wide_function(uint64_t number, uint64_t other);
extern const uint8_t many_sites[];
// The first instruction is one that the kernel has to single-step.
__asm__(".text\n"
	".balign 64\n"
	".type probed_function,@function\n"
	"probed_function:\n"
	"lea (%rdi,%rdi,2), %rax\n"
	"add %rsi, %rax\n"
	"mov %rax, -8(%rsp)\n"
	"ret\n"
	".size probed_function, .-probed_function\n"
	".balign 64\n"
	".type wide_function,@function\n"
	"wide_function:\n"
	"lea 0x123456(%rdi,%rdi,2), %rax\n"
	"add %rsi, %rax\n"
	"mov %rax, -8(%rsp)\n"
	"ret\n"
	".balign 64\n"
	"many_sites:\n"
	".rept 1000\n"
	"mov $0x1234567, %eax\n"
	"ret\n"
	".balign 32\n"
	".endr\n");

struct page {
	volatile uint64_t wanted, done;
	uint64_t function;
	volatile uint64_t calls; // in a round
	volatile double ns[ROUNDS];
	char text[64]; // what the second argument points to
};

static double now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static void child(struct page *page)
{
	for (;;) {
		while (page->done == page->wanted)
			usleep(100);
		for (unsigned round = 0; round < (page->calls == CALLS ? ROUNDS : 1); round++) {
			double start = now_ns();
			for (uint64_t i = 0; i < page->calls; i++)
				__asm__ volatile("call *%2"
						 :
						 : "D"(i), "S"(page->text), "r"(page->function)
						 : "rax", "memory", "cc");
			page->ns[round] = (now_ns() - start) / (double)page->calls;
		}
		page->done++;
	}
}

static int by_value(const void *a, const void *b)
{
	const double *x = a, *y = b;
	return (*x > *y) - (*x < *y);
}

static void pass(void *context, const struct engine_hit *hit)
{
	(void)hit;
	++*(uint64_t *)context;
}

static void measure(struct page *page, void *engine, const char *name)
{
	double ns[ROUNDS];
	uint64_t hits = 0;
	bool ended;
	page->wanted++;
	while (page->done != page->wanted) {
		if (engine && agent_engine.wait(engine, 1, pass, &hits, &ended))
			abort();
		if (!engine)
			usleep(1000);
	}
	memcpy(ns, (const void *)page->ns, sizeof(ns));
	qsort(ns, ROUNDS, sizeof(ns[0]), by_value);
	printf("%-44s median %8.2f ns, best %8.2f (%lu hits taken)\n", name, ns[ROUNDS / 2], ns[0],
	       (unsigned long)hits);
}

/** As many at a time as there is room for: none is dropped, and the reader does not work meanwhile. */
static void measure_paced(struct page *page, void *engine, const char *name)
{
	double ns[PACED_ROUNDS];
	uint64_t hits = 0;
	bool ended;
	page->calls = PACED;
	for (unsigned i = 0; i < PACED_ROUNDS; i++) {
		page->wanted++;
		while (page->done != page->wanted)
			usleep(100);
		ns[i] = page->ns[0];
		while (hits < (uint64_t)(i + 1) * PACED)
			if (agent_engine.wait(engine, 1, pass, &hits, &ended))
				abort();
	}
	page->calls = CALLS;
	qsort(ns, PACED_ROUNDS, sizeof(ns[0]), by_value);
	printf("%-44s median %8.2f ns, best %8.2f (%lu hits taken)\n", name, ns[PACED_ROUNDS / 2],
	       ns[0], (unsigned long)hits);
}

static struct probe_program *program_of(const struct program_step *steps, uint32_t count)
{
	struct probe_program *program = malloc(sizeof(*program) + count * sizeof(*steps));
	program->count = count;
	program->stack = 4;
	memcpy(program->steps, steps, count * sizeof(*steps));
	return program;
}

static void must(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "%s\n", strobe_error_message(error));
	exit(1);
}

static void with_probe(struct page *page, void *engine, const char *name,
		       struct probe_request request)
{
	bool paced = !request.condition;
	struct probe_answer answer;
	request.address = page->function;
	must(agent_engine.arm(engine, &request, 1, &answer));
	if (!answer.probe) {
		printf("%s: %s\n", name, answer.why);
		return;
	}
	char text[80];
	snprintf(text, sizeof(text), "%s (%s)", name, answer.method);
	(paced ? measure_paced : measure)(page, engine, text);
	agent_engine.disarm(engine, &answer.probe, 1);
}

static void arm_many(void *engine)
{
	static struct probe_request requests[SITES];
	static struct probe_answer answers[SITES];
	static uint32_t probes[SITES];
	unsigned armed = 0;
	for (unsigned i = 0; i < SITES; i++)
		requests[i] = (struct probe_request){
			.address = (uint64_t)(uintptr_t)many_sites + 32 * i, .cookie = i};
	double start = now_ns();
	must(agent_engine.arm(engine, requests, SITES, answers));
	double middle = now_ns();
	for (unsigned i = 0; i < SITES; i++) {
		probes[i] = answers[i].probe;
		armed += answers[i].probe != 0;
	}
	agent_engine.disarm(engine, probes, SITES);
	printf("%u sites armed in %.1f ms, disarmed in %.1f ms\n", armed, (middle - start) / 1e6,
	       (now_ns() - middle) / 1e6);
}

int main(void)
{
	static const struct program_step signed_compare[] = {
		{.op = OP_REGISTER, .a = 5},
		{.op = OP_EXTEND, .a = 4, .b = 1},
		{.op = OP_CONST, .value = (uint64_t)-5},
		{.op = OP_LT, .b = 1},
		{.op = OP_END}};
	static const struct program_step on_stack[] = {{.op = OP_REGISTER, .a = 7},
						       {.op = OP_LOAD, .a = 8},
						       {.op = OP_CONST, .value = 1},
						       {.op = OP_EQ},
						       {.op = OP_END}};
	static const struct program_step pointer[] = {{.op = OP_REGISTER, .a = 4},
						      {.op = OP_LOAD, .a = 4, .b = 1},
						      {.op = OP_CONST, .value = 1},
						      {.op = OP_EQ},
						      {.op = OP_END}};
	struct page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	void *engine;
	char name[20];
	page->calls = CALLS;
	page->function = (uint64_t)(uintptr_t)probed_function;
	strcpy(page->text, "a string that is copied at the hit");
	pid_t pid = fork();
	if (pid == 0)
		child(page);
	snprintf(name, sizeof(name), "%d", pid);
	must(strobe_view_open(name, NULL, &view));
	must(strobe_symbols_open(view, &symbols));
	measure(page, NULL, "no probe");
	double start = now_ns();
	must(agent_engine.open(pid, symbols, &engine));
	printf("opened in %.1f ms\n", (now_ns() - start) / 1e6);
	with_probe(page, engine, "condition on a register, false",
		   (struct probe_request){.condition = program_of(signed_compare, 5)});
	page->function = (uint64_t)(uintptr_t)wide_function;
	with_probe(page, engine, "condition on a register, false",
		   (struct probe_request){.condition = program_of(signed_compare, 5)});
	with_probe(page, engine, "condition on the stack, false",
		   (struct probe_request){.condition = program_of(on_stack, 5)});
	with_probe(page, engine, "condition through a pointer, false",
		   (struct probe_request){.condition = program_of(pointer, 5)});
	with_probe(page, engine, "every call, registers", (struct probe_request){.cookie = 1});
	with_probe(page, engine, "every call, a string, 256 bytes of stack",
		   (struct probe_request){.cookie = 1, .stack_bytes = 256});
	with_probe(page, engine, "every call, a string, 1 KiB of stack",
		   (struct probe_request){.cookie = 1, .stack_bytes = 1024});
	arm_many(engine);
	agent_engine.close(engine);
	measure(page, NULL, "after it was closed");
	kill(pid, 9);
	waitpid(pid, NULL, 0);
	return 0;
}
