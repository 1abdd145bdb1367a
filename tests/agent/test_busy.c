// SPDX-License-Identifier: Apache-2.0
// Programs that are hard to probe stay right: see busy.c and lively.cc. Named on the command line: busy, busy linked statically and stripped,
// lively, its library; then, if any, how many rounds of lively.
#include <dlfcn.h>
#include <inttypes.h>

#include "target.h"

#include "agent/relocate.h"
#include "tracepoint/program.h"

static char *const *programs;
static unsigned lively_rounds = 40;

struct busy {
	struct target target;
	int input, output;
	uint64_t function, end;
};

static void start_busy(struct busy *busy, char *program, char *argument)
{
	int in[2], out[2];
	char line[64] = "";
	*busy = (struct busy){.input = -1};
	CHECK(pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0);
	busy->target.pid = fork();
	if (busy->target.pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		execl(program, program, argument, NULL);
		_exit(99);
	}
	close(in[0]);
	close(out[1]);
	busy->input = in[1];
	busy->output = out[0];
	CHECK(read(busy->output, line, sizeof(line) - 1) > 0);
	CHECK(sscanf(line, "%" SCNx64 " %" SCNx64, &busy->function, &busy->end) >= 1);
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
	start_busy(&busy, program, NULL);
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

enum { LIVELY_SITES = 1024, LIVELY_TEXT = 8192, SPARSE = 5 };
struct lively {
	struct busy busy;
	uint8_t text[LIVELY_TEXT];
	size_t size, count;
	uint64_t sites[LIVELY_SITES];
	uint64_t guest; // offset of the library's function in it
	int mem;
	uint32_t probes[LIVELY_SITES];
	uint64_t guest_armed, armed, hits_by_site[LIVELY_SITES];
};

static void add_lively(void *context, const struct engine_hit *hit)
{
	struct lively *lively = context;
	CHECK(hit->cookie < LIVELY_SITES);
	lively->hits_by_site[hit->cookie]++;
}

/** Where each instruction of its section begins. */
static void read_lively(struct lively *lively)
{
	char path[64];
	enum relocate_kind kind;
	snprintf(path, sizeof(path), "/proc/%d/mem", lively->busy.target.pid);
	lively->mem = open(path, O_RDONLY | O_CLOEXEC);
	lively->size = lively->busy.end - lively->busy.function;
	CHECK(lively->size > 100 && lively->size <= LIVELY_TEXT);
	CHECK(pread(lively->mem, lively->text, lively->size, (off_t)lively->busy.function) ==
	      (ssize_t)lively->size);
	for (size_t at = 0; at < lively->size && lively->count + 1 < LIVELY_SITES;) {
		unsigned length = relocate_length(lively->text + at, lively->size - at, &kind);
		CHECK(length > 0);
		if (kind != RELOCATE_ROOM)
			lively->sites[lively->count++] = lively->busy.function + at;
		at += length;
	}
}

/** Where the library's function is now; 0 = it is not there. */
static uint64_t find_guest(const struct lively *lively)
{
	char path[64], line[512], flags[8];
	uint64_t start, result = 0;
	snprintf(path, sizeof(path), "/proc/%d/maps", lively->busy.target.pid);
	FILE *file = fopen(path, "r");
	while (file && !result && fgets(line, sizeof(line), file))
		if (strstr(line, programs[4]) &&
		    sscanf(line, "%" SCNx64 "-%*x %7s", &start, flags) == 2)
			result = start + lively->guest; // the first is where it begins
	if (file)
		fclose(file);
	return result;
}

static uint64_t offset_of_guest(void)
{
	Dl_info info = {0};
	void *library = dlopen(programs[4], RTLD_NOW);
	CHECK(library != NULL);
	void *function = dlsym(library, "guest_function");
	CHECK(function && dladdr(function, &info));
	uint64_t offset = (uint64_t)((uintptr_t)function - (uintptr_t)info.dli_fbase);
	dlclose(library);
	return offset;
}

/** One in SPARSE instructions, others each time, and the library's if it is there. */
static void lively_round(struct lively *lively, unsigned round, const struct probe_program *no)
{
	static struct probe_request requests[LIVELY_SITES];
	static struct probe_answer answers[LIVELY_SITES];
	size_t count = 0;
	bool ended;
	for (size_t i = round % SPARSE; i < lively->count; i += SPARSE)
		requests[count++] = (struct probe_request){.address = lively->sites[i],
							   .cookie = (uint32_t)i,
							   .condition = round % 3 == 1 ? no : NULL,
							   .stack_bytes = round % 3 == 2 ? 600 : 0};
	uint64_t guest = find_guest(lively);
	if (guest)
		requests[count++] =
			(struct probe_request){.address = guest, .cookie = LIVELY_SITES - 1};
	CHECK_OK(agent_engine.arm(lively->busy.target.engine, requests, count, answers));
	for (size_t i = 0; i < count; i++) {
		lively->probes[i] = answers[i].probe;
		lively->armed += answers[i].probe != 0;
	}
	lively->guest_armed += guest && answers[count - 1].probe;
	for (unsigned i = 0; i < 4; i++)
		CHECK_OK(agent_engine.wait(lively->busy.target.engine, 5, add_lively, lively,
					   &ended));
	CHECK(!ended);
	agent_engine.disarm(lively->busy.target.engine, lively->probes, count);
	uint8_t after[LIVELY_TEXT];
	CHECK(pread(lively->mem, after, lively->size, (off_t)lively->busy.function) ==
	      (ssize_t)lively->size);
	CHECK(memcmp(lively->text, after, lively->size) == 0);
}

static size_t sites_hit(const struct lively *lively)
{
	size_t count = 0;
	for (size_t i = 0; i < lively->count; i++)
		count += lively->hits_by_site[i] > 0;
	return count;
}

static void test_lively(void)
{
	static const struct program_step steps[] = {
		{.op = OP_REGISTER, .a = 7}, {.op = OP_CONST}, {.op = OP_EQ}, {.op = OP_END}};
	struct probe_program *no = malloc(sizeof(*no) + sizeof(steps));
	*no = (struct probe_program){.count = 4, .stack = 2};
	memcpy(no->steps, steps, sizeof(steps));
	static struct lively lively;
	lively.guest = offset_of_guest();
	start_busy(&lively.busy, programs[3], programs[4]);
	target_watch(&lively.busy.target);
	read_lively(&lively);
	for (unsigned round = 0; round < lively_rounds ||
				 (round < 50 * lively_rounds &&
				  (!lively.guest_armed || !lively.hits_by_site[LIVELY_SITES - 1] ||
				   sites_hit(&lively) < lively.count / 3));
	     round++)
		lively_round(&lively, round, no);
	printf("# %zu instructions, %zu of them hit; %" PRIu64 " armings, %" PRIu64
	       " in the library, which was hit %" PRIu64 " times\n",
	       lively.count, sites_hit(&lively), lively.armed, lively.guest_armed,
	       lively.hits_by_site[LIVELY_SITES - 1]);
	CHECK(sites_hit(&lively) >= lively.count / 3 && lively.guest_armed > 0);
	CHECK(lively.hits_by_site[LIVELY_SITES - 1] > 0);
	free(no);
	close(lively.mem);
	target_unwatch(&lively.busy.target);
	end_busy(&lively.busy);
}

static void become_another(const struct target_page *page, int input)
{
	while (!page->go)
		hot_function(1, 2);
	dup2(input, 0);
	execl("/bin/sh", "sh", "-c", "read line; test \"$line\" = go && exit 7", NULL);
	_exit(99);
}

/** Its code is another's then: nothing is put back into that. */
static void test_exec(void)
{
	struct target target = {0};
	int pipes[2], status = 0;
	bool ended;
	struct sum sum = {0};
	uint32_t probes[4];
	CHECK(pipe2(pipes, O_CLOEXEC) == 0);
	target.page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	target.pid = fork();
	if (target.pid == 0)
		become_another(target.page, pipes[0]);
	target_watch(&target);
	static const uint64_t offsets[] = {0, 7, 10, 15};
	struct probe_request requests[4];
	struct probe_answer answers[4];
	for (unsigned i = 0; i < 4; i++)
		requests[i] = (struct probe_request){.address = (uint64_t)(uintptr_t)hot_function +
								offsets[i]};
	CHECK_OK(agent_engine.arm(target.engine, requests, 4, answers));
	CHECK(answers[0].probe != 0);
	for (int64_t begin = patience_begin(); !sum.hits && patience_lasts(begin);)
		CHECK_OK(agent_engine.wait(target.engine, 10, add, &sum, &ended));
	CHECK(sum.hits > 0);
	target.page->go = 1;
	char path[64], name[64] = "";
	snprintf(path, sizeof(path), "/proc/%d/comm", target.pid);
	for (int64_t begin = patience_begin();
	     strcmp(name, "sh\n") != 0 && patience_lasts(begin);) {
		FILE *file = fopen(path, "r");
		CHECK(file && fgets(name, sizeof(name), file));
		fclose(file);
		usleep(10000);
	}
	CHECK_STRING(name, "sh\n");
	CHECK_OK(agent_engine.wait(target.engine, 10, add, &sum, &ended));
	CHECK(!ended);
	for (unsigned i = 0; i < 4; i++)
		probes[i] = answers[i].probe;
	agent_engine.disarm(target.engine, probes, 4);
	target_unwatch(&target);
	CHECK(write(pipes[1], "go\n", 3) == 3);
	CHECK_EQUAL(waitpid(target.pid, &status, 0), target.pid);
	CHECK_EQUAL(WEXITSTATUS(status), 7);
	close(pipes[0]);
	close(pipes[1]);
	munmap(target.page, 4096);
}

static const struct check_case cases[] = {
	{"signals, children and jumps out of handlers", test_dynamic},
	{"the same, linked statically and stripped", test_static},
	{"coroutines, exceptions, threads and libraries that come and go", test_lively},
	{"a process that becomes another program", test_exec},
};

int main(int argc, char **argv)
{
	if (argc < 5)
		return 2;
	programs = argv;
	if (argc > 5)
		lively_rounds = (unsigned)atoi(argv[5]);
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}
