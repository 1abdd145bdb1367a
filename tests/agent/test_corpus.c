// SPDX-License-Identifier: Apache-2.0
// Every class of instruction, at every place within 16 bytes, does with a probe what it does without.
#include "target.h"

#include "tracepoint/program.h"

enum { SITES_MAX = 4096, INPUTS = 6, WORDS = 8, BUFFER = 256 };
struct corpus_site {
	uint64_t function, site;
};
extern const struct corpus_site corpus_table[] __attribute__((visibility("hidden")));
void corpus_run(uint64_t function, uint64_t a, uint64_t b, void *buffer, uint64_t out[WORDS])
	__attribute__((visibility("hidden")));
static const uint64_t inputs[INPUTS][2] = {
	{0, 0}, {1, 2}, {~0ULL, 1}, {0x7fffffff, 0x80000000}, {5, 5}, {0x8000000000000001, 63}};

struct page {
	volatile uint64_t wanted, done; // rounds
	uint64_t hashes[SITES_MAX];
};

static uint64_t mix(uint64_t hash, uint64_t word)
{
	return (hash ^ word) * 0x9e3779b97f4a7c15ULL + (hash >> 29);
}

static void run_all(struct page *page)
{
	uint8_t buffer[BUFFER];
	uint64_t out[WORDS];
	for (size_t i = 0; corpus_table[i].function; i++) {
		uint64_t hash = 1;
		for (unsigned j = 0; j < INPUTS; j++) {
			memset(buffer, 7, sizeof(buffer));
			corpus_run(corpus_table[i].function, inputs[j][0], inputs[j][1], buffer,
				   out);
			for (unsigned k = 0; k < WORDS; k++)
				hash = mix(hash, out[k]);
		}
		page->hashes[i] = hash;
	}
}

static void child(struct page *page)
{
	for (;;) {
		while (page->done == page->wanted)
			usleep(200);
		run_all(page);
		page->done++;
	}
}

static void round_of(struct page *page)
{
	page->wanted++;
	for (int64_t begin = patience_begin(); page->done != page->wanted && patience_lasts(begin);)
		usleep(500);
	CHECK_EQUAL(page->done, page->wanted);
}

static void count(void *context, const struct engine_hit *hit)
{
	uint64_t *counts = context;
	if (hit->cookie < SITES_MAX && hit->regs.rip == corpus_table[hit->cookie].site)
		counts[hit->cookie]++;
}

/** Until each one that is armed has been hit, if they are to be. */
static void collect(struct target *target, unsigned total, const uint32_t *probes, bool all,
		    uint64_t *counts)
{
	unsigned missing;
	bool ended;
	int64_t begin = patience_begin();
	do {
		CHECK_OK(agent_engine.wait(target->engine, 10, count, counts, &ended));
		missing = 0;
		for (unsigned i = 0; all && i < total; i++)
			missing += probes[i] && !counts[i];
	} while (missing && patience_lasts(begin));
}

/** With each condition a trampoline is another. */
static void test_corpus_with(const struct probe_program *condition, bool all)
{
	static uint64_t counts[SITES_MAX], before[SITES_MAX];
	static struct probe_request requests[SITES_MAX];
	static struct probe_answer answers[SITES_MAX];
	static uint32_t probes[SITES_MAX];
	struct target target = {0};
	unsigned total = 0, jumps = 0, puns = 0;
	struct page *page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(counts, 0, sizeof(counts));
	target.pid = fork();
	if (target.pid == 0)
		child(page);
	round_of(page);
	memcpy(before, page->hashes, sizeof(before));
	target_watch(&target);
	for (; corpus_table[total].function; total++)
		requests[total] = (struct probe_request){.address = corpus_table[total].site,
							 .cookie = total,
							 .condition = condition};
	CHECK(total < SITES_MAX);
	CHECK_OK(agent_engine.arm(target.engine, requests, total, answers));
	for (unsigned i = 0; i < total; i++) {
		probes[i] = answers[i].probe;
		jumps += answers[i].probe && answers[i].method[0] == 'j';
		puns += answers[i].probe && answers[i].method[0] == 'p';
		if (!answers[i].probe && i % 16 == 0)
			printf("# site %u: %s\n", i / 16, answers[i].why);
	}
	printf("# %u sites: %u jumps, %u punned jumps\n", total, jumps, puns);
	CHECK(jumps > 100);
	round_of(page);
	collect(&target, total, probes, all, counts);
	for (unsigned i = 0; i < total; i++) {
		if (page->hashes[i] != before[i])
			printf("# site %u at %u: another result\n", i / 16, i % 16);
		CHECK(page->hashes[i] == before[i]);
		if (all && answers[i].probe && counts[i] < 1)
			printf("# site %u at %u: no hits\n", i / 16, i % 16);
		CHECK(!all || !answers[i].probe || counts[i] > 0);
	}
	agent_engine.disarm(target.engine, probes, total);
	for (unsigned i = 0; i < total; i++)
		CHECK(target_code_is_ours(&target, (const void *)corpus_table[i].site, 16));
	round_of(page);
	CHECK(memcmp(page->hashes, before, total * sizeof(before[0])) == 0);
	target_unwatch(&target);
	kill(target.pid, SIGKILL);
	waitpid(target.pid, NULL, 0);
	munmap(page, sizeof(*page));
}

static void test_plain(void)
{
	test_corpus_with(NULL, true);
}

/** False, but it looks at every register that a condition can have. */
static void test_false(void)
{
	static const struct program_step steps[] = {{.op = OP_REGISTER, .a = 0},
						    {.op = OP_REGISTER, .a = 7},
						    {.op = OP_REGISTER, .a = 3},
						    {.op = OP_XOR},
						    {.op = OP_ADD},
						    {.op = OP_DUP},
						    {.op = OP_REGISTER, .a = 1},
						    {.op = OP_ADD},
						    {.op = OP_DROP},
						    {.op = OP_DUP},
						    {.op = OP_NE},
						    {.op = OP_END}};
	struct probe_program *program = malloc(sizeof(*program) + sizeof(steps));
	*program = (struct probe_program){.count = sizeof(steps) / sizeof(steps[0]), .stack = 8};
	memcpy(program->steps, steps, sizeof(steps));
	test_corpus_with(program, false);
	free(program);
}

CHECK_MAIN({"instructions do the same with a probe", test_plain},
	   {"and with a condition that is false", test_false}, )
