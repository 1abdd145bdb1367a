// SPDX-License-Identifier: Apache-2.0
// How many places of a program can be armed, by which method: sweep PID BASE < offsets (hexadecimal, one a line). They stay armed
// until the standard input of the terminal says so (SECONDS); hits are taken and thrown away. For measuring, by hand.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/symbols.h>
#include <strobe/view.h>
#include <time.h>

#include "tracepoint/engine.h"

enum { MAX = 200000, KINDS = 32 };
static struct probe_request requests[MAX];
static struct probe_answer answers[MAX];
static uint32_t probes[MAX];

static void pass(void *context, const struct engine_hit *hit)
{
	(void)hit;
	++*(uint64_t *)context;
}

static void must(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "%s\n", strobe_error_message(error));
	exit(1);
}

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static void tell(size_t count)
{
	const char *names[KINDS] = {0};
	unsigned numbers[KINDS] = {0};
	for (size_t i = 0; i < count; i++) {
		const char *name = answers[i].probe ? answers[i].method : answers[i].why;
		unsigned kind = 0;
		while (kind + 1 < KINDS && names[kind] && strcmp(names[kind], name) != 0)
			kind++;
		names[kind] = name;
		numbers[kind]++;
	}
	for (unsigned i = 0; i < KINDS && names[i]; i++)
		printf("%7.2f %%  %s\n", 100.0 * numbers[i] / (double)count, names[i]);
}

int main(int argc, char **argv)
{
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	void *engine;
	uint64_t offset, hits = 0;
	size_t count = 0;
	bool ended = false;
	if (argc != 4)
		return 2;
	uint64_t base = strtoull(argv[2], NULL, 16);
	while (count < MAX && scanf("%" SCNx64, &offset) == 1)
		requests[count] =
			(struct probe_request){.address = base + offset, .cookie = (uint32_t)count},
		count++;
	must(strobe_view_open(argv[1], NULL, &view));
	must(strobe_symbols_open(view, &symbols));
	must(agent_engine.open(atoi(argv[1]), symbols, &engine));
	double start = now_ms();
	must(agent_engine.arm(engine, requests, count, answers));
	printf("%zu places in %.1f ms\n", count, now_ms() - start);
	tell(count);
	fflush(stdout);
	for (double end = now_ms() + atof(argv[3]) * 1000; !ended && now_ms() < end;)
		must(agent_engine.wait(engine, 100, pass, &hits, &ended));
	struct engine_totals totals;
	agent_engine.totals(engine, 0, &totals);
	for (size_t i = 0; i < count; i++)
		probes[i] = answers[i].probe;
	agent_engine.disarm(engine, probes, count);
	printf("%" PRIu64 " hits, %" PRIu64 " dropped\n", totals.hits, totals.dropped);
	agent_engine.close(engine);
	return 0;
}
