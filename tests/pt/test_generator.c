// SPDX-License-Identifier: Apache-2.0
// The generator's truth is libipt's, too: undamaged traces decode to it exactly, damaged ones up to the damage.

#include <intel-pt.h>

#include "check.h"
#include "reading.h"
#include "situations.h"

enum { SEEDS = 12, INSTRUCTIONS = 5000, READ_AHEAD = 12 };

static void init_config(struct pt_config *config, const struct situation *situation)
{
	pt_config_init(config);
	if (!situation->mtc)
		return;
	config->mtc_freq = MADE_MTC_SHIFT;
	config->nom_freq = MADE_BUS_RATIO;
	config->cpuid_0x15_eax = 1;
	config->cpuid_0x15_ebx = MADE_CRYSTAL_RATIO;
}

/** Up to the first error. */
static void check_trace(const struct situation *situation, uint64_t seed)
{
	struct made_trace trace;
	struct reading reading = {0};
	struct pt_config config;
	init_config(&config, situation);
	make_trace(&trace, situation, seed, INSTRUCTIONS);
	size_t certain = made_trace_certain(&trace), wanted = certain;
	// This decoder reads a packet ahead, and gives up without what it could still walk to.
	while (trace.damaged && wanted &&
	       trace.walk.items.items[wanted - 1].offset + READ_AHEAD >= trace.damage.start)
		wanted--;
	CHECK(certain > 0 || trace.damage.start == 0);
	CHECK(trace.damaged == (certain < trace.walk.items.count));
	reading_begin(&reading, &trace.program, trace.bytes, trace.size, &config);
	int status = reading_run(&reading);
	reading_end(&reading);
	if (!trace.damaged)
		CHECK_EQUAL(-status, pte_eos);
	CHECK(reading_compare(&reading, &trace.walk, wanted, !trace.damaged));
	// Nobody's time goes backwards, nor far beyond the truth.
	CHECK(trace.damaged || !reading.backwards);
	CHECK(trace.damaged || reading.last_clock <= trace.walk.clock);
	CHECK(trace.damaged || !situation->mtc || reading.last_clock + 1000 > trace.walk.clock);
	array_fini(&reading.items);
	made_trace_fini(&trace);
}

static void check_all(bool damaged)
{
	for (size_t i = 0; i < situation_count; i++) {
		if ((situations[i].damage != NULL) != damaged)
			continue;
		for (uint64_t seed = 0; seed < SEEDS; seed++) {
			printf("# %s, seed %d\n", situations[i].name, (int)seed);
			check_trace(&situations[i], seed);
		}
	}
}

static void undamaged_traces(void)
{
	check_all(false);
}

static void damaged_traces(void)
{
	check_all(true);
}

static void traces_are_reproducible(void)
{
	struct made_trace a, b;
	const struct situation *situation = situation_find("garbled");
	make_trace(&a, situation, 3, 1000);
	make_trace(&b, situation, 3, 1000);
	CHECK_EQUAL(a.size, b.size);
	CHECK(memcmp(a.bytes, b.bytes, a.size) == 0);
	made_trace_fini(&a);
	made_trace_fini(&b);
}

CHECK_MAIN({"undamaged traces are read back exactly", undamaged_traces},
	   {"damaged ones up to the damage", damaged_traces},
	   {"the same seed makes the same bytes", traces_are_reproducible})
