// SPDX-License-Identifier: Apache-2.0
// Memory as several threads read it, against the view's own answer: mapped, fetched and kept, fetched and not kept.
#include <signal.h>
#include <strobe/memory.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "graph/memory.h"
#include "graph/workers.h"
#include "symbols/program.h"

enum { READS = 20000, LONGEST = 40000, HELD = 3 << 20, LARGEST = 64 << 20 };

static const char idle_program[] = "#include <stdlib.h>\n#include <string.h>\n"
				   "int main(void) { memset(malloc(3 << 20), 7, 3 << 20);\n"
				   "  for (int i = 0; i < 2000; i++) *(int *)malloc(300) = i;\n"
				   "  abort(); }\n";

static uint64_t next_random(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
	return *state >> 20;
}

struct comparing {
	const struct strobe_view *view;
	struct graph_memory *memory;
	struct graph_reader *readers[4];
	uint8_t *expected; // of one stretch
	uint64_t start, size;
	unsigned wrong;
};

/** Threads read a stretch, in pieces of any length, and compare it with what the view has told. */
static bool compare_part(void *context, unsigned thread, uint64_t from, uint64_t to)
{
	struct comparing *comparing = context;
	uint64_t state = from + 1;
	for (uint64_t i = from; i < to; i++) {
		uint64_t offset = next_random(&state) % comparing->size;
		uint64_t left = next_random(&state) % LONGEST + 1;
		if (left > comparing->size - offset)
			left = comparing->size - offset;
		while (left) {
			size_t available;
			const uint8_t *bytes = graph_reader_at(
				comparing->readers[thread], comparing->start + offset, &available);
			if (available > left)
				available = (size_t)left;
			if (!bytes || !available ||
			    memcmp(bytes, comparing->expected + offset, available) != 0) {
				__atomic_add_fetch(&comparing->wrong, 1, __ATOMIC_RELAXED);
				return false;
			}
			offset += available;
			left -= available;
		}
	}
	return true;
}

static void compare_stretch(struct comparing *comparing, struct workers *workers)
{
	comparing->expected = malloc(comparing->size);
	CHECK(comparing->expected != NULL);
	uint64_t size = strobe_memory_read(comparing->view, comparing->start, comparing->expected,
					   comparing->size);
	// Where the view ends, so do we.
	size_t available;
	CHECK((graph_reader_at(comparing->readers[0], comparing->start, &available) != NULL) ==
	      (size > 0));
	if (size < comparing->size)
		CHECK(graph_reader_at(comparing->readers[0], comparing->start + size, &available) ==
		      NULL);
	comparing->size = size;
	if (size)
		CHECK(workers_run(workers, 0, READS / 50, 8, compare_part, comparing));
	CHECK_EQUAL(comparing->wrong, 0);
	free(comparing->expected);
}

/** All mappings of a view, with `budget` for what is fetched. */
static void compare_view(const struct strobe_view *view, uint64_t budget)
{
	struct comparing comparing = {.view = view};
	struct workers *workers;
	CHECK_OK(graph_memory_new(view, &comparing.memory));
	graph_memory_set_budget(comparing.memory, budget);
	CHECK_OK(workers_new(4, &workers));
	for (unsigned i = 0; i < 4; i++)
		CHECK((comparing.readers[i] = graph_reader_new(comparing.memory)) != NULL);
	for (size_t i = 0; i < strobe_view_mapping_count(view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		comparing.start = mapping->start;
		comparing.size = mapping->end - mapping->start;
		if (comparing.size > LARGEST) // sanitizers have mappings of terabytes
			continue;
		struct strobe_memory_extent extent;
		strobe_memory_extent(view, mapping->start, &extent);
		bool readable =
			extent.state == STROBE_MEMORY_PRESENT || extent.state == STROBE_MEMORY_FILE;
		CHECK_EQUAL(graph_memory_state(comparing.memory, mapping->start),
			    readable ? GRAPH_MEMORY_READABLE : GRAPH_MEMORY_MISSING);
		if (mapping->permissions & STROBE_PERMISSION_READ)
			compare_stretch(&comparing, workers);
	}
	CHECK_EQUAL(graph_memory_state(comparing.memory, 4096), GRAPH_MEMORY_UNMAPPED);
	for (unsigned i = 0; i < 4; i++)
		graph_reader_free(comparing.readers[i]);
	workers_free(workers);
	graph_memory_free(comparing.memory);
}

static void test_core(void)
{
	struct program program;
	program_open(&program, "gcc -g", "c", idle_program);
	compare_view(program.view, UINT64_MAX);
	program_close(&program);
}

static void test_fetched(void)
{
	static const uint64_t budgets[] = {UINT64_MAX, 1 << 20, 0};
	char target[32];
	int ready[2];
	CHECK(pipe(ready) == 0);
	pid_t child = fork();
	if (child == 0) {
		uint8_t *held = mmap(NULL, HELD, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (unsigned i = 0; i < HELD / 2; i++) // the rest is never touched
			held[i] = (uint8_t)(i * 31 >> 8);
		if (write(ready[1], "", 1) == 1)
			pause();
		_exit(0);
	}
	CHECK(child > 0);
	CHECK(read(ready[0], target, 1) == 1);
	close(ready[0]);
	close(ready[1]);
	snprintf(target, sizeof(target), "%d", child);
	struct strobe_view *view = NULL;
	struct strobe_error *error = strobe_view_open(target, NULL, &view);
	char reason[200] = "";
	if (error)
		snprintf(reason, sizeof(reason), "%s", strobe_error_message(error));
	strobe_error_free(error);
	for (size_t i = 0; view && i < sizeof(budgets) / sizeof(*budgets); i++)
		compare_view(view, budgets[i]);
	bool opened = view;
	strobe_view_close(view);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	if (!opened)
		SKIP("a process cannot be looked at: %s", reason);
}

CHECK_MAIN({"a core that is mapped", test_core},
	   {"a process, fetched and kept or not", test_fetched}, )
