// SPDX-License-Identifier: Apache-2.0
// Which code was where is compared with an array that has one entry an address.

#include "check.h"
#include "recording/history.h"

enum { SPACE = 64, ROUNDS = 4000, PIDS = 2 };

struct byte {
	uint64_t from; // 0 = nothing there
	uint64_t offset;
};

static uint64_t state = 1;

static unsigned below(unsigned limit)
{
	state = state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (unsigned)(state >> 33) % limit;
}

/** What is alive, by address. */
static void check(const struct history *history, struct byte space[PIDS][SPACE])
{
	bool seen[PIDS][SPACE] = {{0}};
	for (size_t i = 0; i < history->code.count; i++) {
		const struct recorded_code *code = &history->code.items[i];
		if (code->until != UINT64_MAX)
			continue;
		for (uint64_t k = 0; k < code->size; k++) {
			CHECK(!seen[code->pid][code->start + k]);
			seen[code->pid][code->start + k] = true;
			CHECK_EQUAL(code->offset + k, space[code->pid][code->start + k].offset);
		}
	}
	for (int pid = 0; pid < PIDS; pid++)
		for (unsigned k = 0; k < SPACE; k++)
			CHECK(seen[pid][k] == (space[pid][k].from != 0));
	for (size_t i = 1; i < history->alive.count; i++) {
		const struct recorded_code *a = &history->code.items[history->alive.items[i - 1]];
		const struct recorded_code *b = &history->code.items[history->alive.items[i]];
		CHECK(a->pid < b->pid || (a->pid == b->pid && a->start + a->size <= b->start));
	}
}

static void code_comes_and_goes(void)
{
	struct history history = {0};
	static struct byte space[PIDS][SPACE];
	for (uint64_t now = 1; now < ROUNDS; now++) {
		unsigned pid = below(PIDS), start = below(SPACE), size = 1 + below(SPACE - start);
		struct recorded_code code = {.from = now,
					     .until = UINT64_MAX,
					     .pid = (int)pid,
					     .start = start,
					     .size = size,
					     .offset = now * 1000};
		bool add = below(3) > 0;
		if (add)
			CHECK_OK(history_add(&history, &code));
		else
			CHECK_OK(history_end(&history, (int)pid, start, size, now));
		for (unsigned k = 0; k < size; k++)
			space[pid][start + k] =
				add ? (struct byte){now, now * 1000 + k} : (struct byte){0};
		if (now % 16 == 0)
			check(&history, space);
	}
	history_fini(&history);
}

static void all_of_a_process_ends(void)
{
	struct history history = {0};
	for (uint64_t i = 0; i < 100; i++) {
		struct recorded_code code = {.from = 1,
					     .until = UINT64_MAX,
					     .pid = (int)(i % 2),
					     .start = i * 16,
					     .size = 16};
		CHECK_OK(history_add(&history, &code));
	}
	CHECK_OK(history_end(&history, 0, 0, UINT64_MAX, 9));
	CHECK_EQUAL(history.alive.count, 50);
	for (size_t i = 0; i < 100; i++)
		CHECK_EQUAL(history.code.items[i].until, i % 2 ? UINT64_MAX : 9);
	history_fini(&history);
}

CHECK_MAIN({"code comes, goes, and is replaced in part", code_comes_and_goes},
	   {"all of a process's code ends", all_of_a_process_ends})
