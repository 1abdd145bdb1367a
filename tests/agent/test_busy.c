// SPDX-License-Identifier: Apache-2.0
// Programs that are hard to probe stay right: see busy.c. Named on the command line: it, and it linked statically and stripped.
#include "target.h"

static char *const *programs;

struct busy {
	struct target target;
	int input, output;
	uint64_t function;
};

static void start_busy(struct busy *busy, char *program)
{
	int in[2], out[2];
	char line[64] = "";
	*busy = (struct busy){.input = -1};
	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	busy->target.pid = fork();
	if (busy->target.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(program, program, NULL);
		_exit(99);
	}
	close(in[0]);
	close(out[1]);
	busy->input = in[1];
	busy->output = out[0];
	CHECK(read(busy->output, line, sizeof(line) - 1) > 0);
	busy->function = strtoull(line, NULL, 16);
}

static void end_busy(struct busy *busy)
{
	int status = -1;
	close(busy->input);
	CHECK_EQUAL(waitpid(busy->target.pid, &status, 0), busy->target.pid);
	CHECK_EQUAL(status, 0);
	close(busy->output);
}

struct sum {
	uint64_t hits, strange;
	uint64_t function;
	int pid;
};

static void add(void *context, const struct engine_hit *hit)
{
	struct sum *sum = context;
	sum->hits++;
	sum->strange += hit->pid != sum->pid || hit->regs.rip < sum->function ||
			hit->regs.rip > sum->function + 64;
}

static void test_program(char *program)
{
	static const uint64_t offsets[] = {0, 7, 9, 13, 18, 24};
	enum { COUNT = 6 };
	struct busy busy;
	uint8_t before[64], after[64];
	bool ended;
	start_busy(&busy, program);
	target_watch(&busy.target);
	struct sum sum = {.function = busy.function, .pid = busy.target.pid};
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", busy.target.pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(pread(mem, before, sizeof(before), (off_t)busy.function) == sizeof(before));
	unsigned armed = 0;
	// On a machine that does other work the functions are seldom on their way while the probes are there.
	int64_t begin = patience_begin();
	for (unsigned round = 0; round < 100 || (sum.hits <= 1000 && patience_lasts(begin));
	     round++) {
		struct probe_request requests[COUNT];
		struct probe_answer answers[COUNT];
		uint32_t probes[COUNT];
		for (unsigned i = 0; i < COUNT; i++)
			requests[i] = (struct probe_request){.address = busy.function + offsets[i],
							     .cookie = i,
							     .stack_bytes = round % 3 * 600};
		CHECK_OK(agent_engine.arm(busy.target.engine, requests, COUNT, answers));
		for (unsigned i = 0; i < COUNT; i++) {
			probes[i] = answers[i].probe;
			armed += answers[i].probe != 0;
			if (round == 0 && !answers[i].probe)
				printf("# %lu: %s\n", (unsigned long)offsets[i], answers[i].why);
		}
		CHECK_OK(agent_engine.wait(busy.target.engine, 20, add, &sum, &ended));
		CHECK(!ended);
		agent_engine.disarm(busy.target.engine, probes, COUNT);
	}
	printf("# %u armed, %lu hits\n", armed, (unsigned long)sum.hits);
	CHECK(armed >= 100 && sum.hits > 1000 && sum.strange == 0);
	CHECK(pread(mem, after, sizeof(after), (off_t)busy.function) == sizeof(after));
	CHECK(memcmp(before, after, sizeof(before)) == 0);
	close(mem);
	target_unwatch(&busy.target);
	end_busy(&busy);
}

static void test_dynamic(void)
{
	test_program(programs[1]);
}

static void test_static(void)
{
	test_program(programs[2]);
}

static const struct check_case cases[] = {
	{"signals, children and jumps out of handlers", test_dynamic},
	{"the same, linked statically and stripped", test_static},
};

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	programs = argv;
	return check_run(cases, 2);
}
