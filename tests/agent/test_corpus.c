// SPDX-License-Identifier: Apache-2.0
// Every class of instruction, at every place within 16 bytes, does with a probe what it does without. With a number of hits on the command
// line that many are made in the last case: 1000000000 takes minutes.
#include "target.h"

#include "tracepoint/program.h"

enum { SITES_MAX = 4096, INPUTS = 6, WORDS = 8, BUFFER = 256, LOOPS = 50 };
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
	volatile uint64_t loops;	// in a round
	volatile uint64_t wrong;	// results of a round that are not those of the round before
	uint64_t hashes[SITES_MAX];
};
static uint64_t hits_wanted = 3000000;

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
		page->wrong += page->hashes[i] && page->hashes[i] != hash;
		page->hashes[i] = hash;
	}
}

static void child(struct page *page)
{
	for (;;) {
		while (page->done == page->wanted)
			usleep(200);
		for (uint64_t i = 0; i < page->loops; i++)
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

struct corpus {
	struct target target;
	struct page *page;
	unsigned total, armed;
	uint32_t probes[SITES_MAX];
	struct probe_answer answers[SITES_MAX];
};

static void corpus_start(struct corpus *corpus)
{
	memset(corpus, 0, sizeof(*corpus));
	corpus->page = mmap(NULL, sizeof(*corpus->page), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	corpus->page->loops = 1;
	corpus->target.pid = fork();
	if (corpus->target.pid == 0)
		child(corpus->page);
	round_of(corpus->page);
	target_watch(&corpus->target);
}

static void corpus_arm(struct corpus *corpus, const struct probe_program *condition)
{
	static struct probe_request requests[SITES_MAX];
	unsigned total = 0, jumps = 0, puns = 0;
	for (; corpus_table[total].function; total++)
		requests[total] = (struct probe_request){.address = corpus_table[total].site,
							 .cookie = total,
							 .condition = condition};
	CHECK(total < SITES_MAX);
	CHECK_OK(agent_engine.arm(corpus->target.engine, requests, total, corpus->answers));
	for (unsigned i = 0; i < total; i++) {
		const struct probe_answer *answer = &corpus->answers[i];
		corpus->probes[i] = answer->probe;
		jumps += answer->probe && answer->method[0] == 'j';
		puns += answer->probe && answer->method[0] == 'p';
		if (!answer->probe && i % 16 == 0)
			printf("# site %u: %s\n", i / 16, answer->why);
	}
	corpus->total = total;
	corpus->armed = jumps + puns;
	printf("# %u sites: %u jumps, %u punned jumps\n", total, jumps, puns);
	CHECK(jumps > 100 && puns > 100);
}

static void corpus_disarm(struct corpus *corpus)
{
	agent_engine.disarm(corpus->target.engine, corpus->probes, corpus->total);
	for (unsigned i = 0; i < corpus->total; i++)
		CHECK(target_code_is_ours(&corpus->target, (const void *)corpus_table[i].site, 16));
}

static void corpus_end(struct corpus *corpus)
{
	target_unwatch(&corpus->target);
	kill(corpus->target.pid, SIGKILL);
	waitpid(corpus->target.pid, NULL, 0);
	munmap(corpus->page, sizeof(*corpus->page));
}

/** With each condition a trampoline is another. */
static void test_corpus_with(const struct probe_program *condition, bool all)
{
	static uint64_t counts[SITES_MAX], before[SITES_MAX];
	static struct corpus corpus;
	struct page *page;
	memset(counts, 0, sizeof(counts));
	corpus_start(&corpus);
	page = corpus.page;
	memcpy(before, page->hashes, sizeof(before));
	corpus_arm(&corpus, condition);
	round_of(page);
	collect(&corpus.target, corpus.total, corpus.probes, all, counts);
	for (unsigned i = 0; i < corpus.total; i++) {
		if (page->hashes[i] != before[i])
			printf("# site %u at %u: another result\n", i / 16, i % 16);
		CHECK(page->hashes[i] == before[i]);
		if (all && corpus.probes[i] && counts[i] < 1)
			printf("# site %u at %u: no hits\n", i / 16, i % 16);
		CHECK(!all || !corpus.probes[i] || counts[i] > 0);
	}
	corpus_disarm(&corpus);
	round_of(page);
	CHECK(memcmp(page->hashes, before, corpus.total * sizeof(before[0])) == 0);
	corpus_end(&corpus);
}

static void test_plain(void)
{
	test_corpus_with(NULL, true);
}

/** False, but it looks at every register that a condition can have. */
static struct probe_program *false_program(void)
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
	return program;
}

static void test_false(void)
{
	struct probe_program *program = false_program();
	test_corpus_with(program, false);
	free(program);
}

static uint64_t passed_by(struct corpus *corpus)
{
	struct engine_totals totals;
	agent_engine.totals(corpus->target.engine, 0, &totals);
	return totals.hits + totals.condition_false;
}

/** All kinds, until so many were hit; all of them are counted, and each result is looked at. */
static void test_many(void)
{
	static struct corpus corpus;
	static uint64_t counts[SITES_MAX];
	struct probe_program *program = false_program();
	uint64_t hits[2] = {0};
	corpus_start(&corpus);
	corpus.page->loops = LOOPS;
	for (unsigned recorded = 0; recorded < 2; recorded++) {
		// One in ten is recorded, or dropped where the ring is full.
		uint64_t wanted = recorded ? hits_wanted / 10 : hits_wanted, rounds = 0;
		uint64_t start = passed_by(&corpus);
		corpus_arm(&corpus, recorded ? NULL : program);
		for (; hits[recorded] < wanted; rounds++) {
			bool ended;
			round_of(corpus.page);
			CHECK_EQUAL(corpus.page->wrong, 0);
			while (recorded) {
				uint64_t before = counts[0];
				CHECK_OK(agent_engine.wait(corpus.target.engine, 0, count, counts,
							   &ended));
				if (counts[0] == before)
					break;
			}
			hits[recorded] = passed_by(&corpus) - start;
		}
		CHECK(hits[recorded] >= rounds * LOOPS * INPUTS * corpus.armed / 2);
		corpus_disarm(&corpus);
	}
	printf("# %lu hits counted, %lu recorded or dropped, %lu results wrong\n",
	       (unsigned long)hits[0], (unsigned long)hits[1], (unsigned long)corpus.page->wrong);
	free(program);
	corpus_end(&corpus);
}

static const struct check_case cases[] = {
	{"instructions do the same with a probe", test_plain},
	{"and with a condition that is false", test_false},
	{"millions of hits, and every result is right", test_many},
};

int main(int argc, char **argv)
{
	if (argc > 1)
		hits_wanted = strtoull(argv[1], NULL, 10);
	return argc > 1 ? check_run(cases + 2, 1) : check_run(cases, 3);
}
