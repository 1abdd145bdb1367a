// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <strobe/heap.h>

#include "heap/heap.h"
#include "heap/threshold.h"

static const struct option options[] = {OPTION_MAX_LEAKED, OPTIONS_GRAPH};

// The books of a stored graph take longer to open than all the rest: they are asked when somebody wants all there is.
static const struct strobe_heap *books_of(const struct command *command, struct strobe_graph *graph)
{
	if (strobe_graph_was_stored(graph) && !command->verbose)
		return NULL;
	return strobe_graph_heap(graph);
}

static void allocators_json(struct json *json, const struct strobe_heap *heap)
{
	if (!heap) {
		json_null(json, "allocators");
		return;
	}
	json_array(json, "allocators", true);
	for (size_t i = 0; i < strobe_heap_allocator_count(heap); i++) {
		const struct strobe_heap_allocator *allocator = strobe_heap_allocator(heap, i);
		json_object(json, NULL);
		json_string(json, "name", allocator->name);
		json_string(json, "version", allocator->version);
		json_string(json, "module", allocator->module);
		json_string(json, "evidence", allocator->evidence);
		json_object_end(json);
	}
	json_array_end(json);
}

static void damage_json(struct json *json, const struct strobe_heap *heap)
{
	json_array(json, "damage", true);
	for (size_t i = 0; heap && i < strobe_heap_damage_count(heap); i++) {
		const struct strobe_heap_damage *damage = strobe_heap_damage(heap, i);
		json_object(json, NULL);
		json_address(json, "address", damage->address);
		json_unsigned(json, "lost_bytes", damage->lost_bytes);
		json_string(json, "what", damage->what);
		json_object_end(json);
	}
	json_array_end(json);
}

static void surrogates_json(struct json *json, const struct strobe_graph *graph)
{
	json_array(json, "surrogates", true);
	for (int i = 0; i < STROBE_SURROGATE_REASON_COUNT; i++) {
		enum strobe_surrogate_reason reason = (enum strobe_surrogate_reason)i;
		uint64_t count = strobe_graph_surrogate_count(graph, reason);
		if (!count)
			continue;
		json_object(json, NULL);
		json_string(json, "reason", strobe_surrogate_reason_name(reason));
		json_unsigned(json, "count", count);
		json_object_end(json);
	}
	json_array_end(json);
}

static void numbers_json(struct json *json, const struct strobe_graph_summary *s)
{
	const struct {
		const char *key;
		uint64_t value;
	} members[] = {{"objects", s->objects},
		       {"nodes", s->nodes},
		       {"edges", s->edges},
		       {"guessed_edges", s->guessed_edges},
		       {"maybe_edges", s->maybe_edges},
		       {"roots", s->roots},
		       {"allocated_bytes", s->allocated_bytes},
		       {"allocated_blocks", s->allocated_blocks},
		       {"reachable_bytes", s->reachable_bytes},
		       {"reachable_blocks", s->reachable_blocks},
		       {"precise_bytes", s->precise_bytes},
		       {"precise_blocks", s->precise_blocks},
		       {"leaked_bytes", s->leaked_bytes},
		       {"leaked_blocks", s->leaked_blocks},
		       {"free_bytes", s->free_bytes},
		       {"free_blocks", s->free_blocks},
		       {"book_bytes", s->book_bytes},
		       {"unexplained_bytes", s->unexplained_bytes},
		       {"typed_blocks", s->typed_blocks},
		       {"untyped_blocks", s->untyped_blocks},
		       {"unreadable_bytes", s->unreadable_bytes}};
	for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++)
		json_unsigned(json, members[i].key, members[i].value);
}

static void summary_json(struct strobe_graph *graph, const struct strobe_heap *heap,
			 const struct strobe_graph_summary *summary)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	numbers_json(&json, summary);
	surrogates_json(&json, graph);
	allocators_json(&json, heap);
	damage_json(&json, heap);
	json_bool(&json, "stored", strobe_graph_was_stored(graph));
	json_object_end(&json);
	json_fini(&json);
}

static void put_line(const char *label, uint64_t bytes, uint64_t blocks, uint64_t whole)
{
	struct size_text size;
	struct share_text share;
	printf("%-14s  %11s  in %" PRIu64 " block%s", label, size_text(bytes, &size), blocks,
	       blocks == 1 ? "" : "s");
	if (whole)
		printf(", %s", heap_share_text(bytes, whole, &share));
	putchar('\n');
}

static void put_bytes(const char *label, uint64_t bytes, const char *what)
{
	struct size_text size;
	printf("%-14s  %11s  %s\n", label, size_text(bytes, &size), what);
}

static void surrogates_text(const struct strobe_graph *graph)
{
	const char *between = "";
	printf("%-14s  ", "not had");
	for (int i = 0; i < STROBE_SURROGATE_REASON_COUNT; i++) {
		enum strobe_surrogate_reason reason = (enum strobe_surrogate_reason)i;
		uint64_t count = strobe_graph_surrogate_count(graph, reason);
		if (!count)
			continue;
		printf("%s%" PRIu64 " %s", between, count, strobe_surrogate_reason_name(reason));
		between = ", ";
	}
	puts(*between ? "" : "nothing that is referred to");
}

static void allocators_text(const struct strobe_heap *heap)
{
	for (size_t i = 0; heap && i < strobe_heap_allocator_count(heap); i++) {
		const struct strobe_heap_allocator *allocator = strobe_heap_allocator(heap, i);
		printf("%-14s  ", i ? "" : "allocators");
		put_safe(stdout, allocator->name);
		if (allocator->version) {
			putchar(' ');
			put_safe(stdout, allocator->version);
		}
		if (allocator->module) {
			fputs(" of ", stdout);
			put_safe(stdout, allocator->module);
		}
		putchar('\n');
	}
	if (heap && !strobe_heap_allocator_count(heap))
		printf("%-14s  none that is known\n", "allocators");
}

static void damage_text(const struct strobe_heap *heap)
{
	enum { SHOWN = 5 };
	uint64_t count = heap ? strobe_heap_damage_total(heap) : 0;
	for (size_t i = 0; i < SHOWN && heap && i < strobe_heap_damage_count(heap); i++) {
		const struct strobe_heap_damage *damage = strobe_heap_damage(heap, i);
		printf("%-14s  0x%" PRIx64 ": ", i ? "" : "damage", damage->address);
		put_safe(stdout, damage->what);
		putchar('\n');
	}
	if (count > SHOWN)
		printf("%-14s  and at %" PRIu64 " places more\n", "", count - SHOWN);
}

static void summary_text(struct strobe_graph *graph, const struct strobe_heap *heap,
			 const struct strobe_graph_summary *s)
{
	allocators_text(heap);
	put_line("allocated", s->allocated_bytes, s->allocated_blocks, 0);
	put_line("  reached", s->reachable_bytes, s->reachable_blocks, s->allocated_bytes);
	put_line("    by guesses", s->reachable_bytes - s->precise_bytes,
		 s->reachable_blocks - s->precise_blocks, s->allocated_bytes);
	put_line("  leaked", s->leaked_bytes, s->leaked_blocks, s->allocated_bytes);
	put_line("free", s->free_bytes, s->free_blocks, 0);
	put_bytes("books", s->book_bytes, "of the allocators' own");
	if (s->unexplained_bytes)
		put_bytes("unexplained", s->unexplained_bytes, "in no block: damage");
	damage_text(heap);
	printf("%-14s  %" PRIu64 ", with %" PRIu64 " blocks, %" PRIu64 " of them typed\n",
	       "objects", s->objects, s->allocated_blocks, s->typed_blocks);
	printf("%-14s  %" PRIu64 ", %" PRIu64 " of them guessed, %" PRIu64 " by a union's member\n",
	       "edges", s->edges, s->guessed_edges, s->maybe_edges);
	printf("%-14s  %" PRIu64 "\n", "roots", s->roots);
	surrogates_text(graph);
	if (s->unreadable_bytes)
		put_bytes("unreadable", s->unreadable_bytes, "of objects");
}

static int run_summary(struct command *command)
{
	struct strobe_graph *graph = NULL;
	struct strobe_graph_summary summary;
	uint64_t most = UINT64_MAX;
	int status = heap_bytes(command, "max-leaked", &most);
	if (!status)
		status = heap_open(command, false, &graph);
	if (!status) {
		const struct strobe_heap *heap = books_of(command, graph);
		strobe_graph_summary(graph, &summary);
		if (command->json)
			summary_json(graph, heap, &summary);
		else
			summary_text(graph, heap, &summary);
		status = heap_check_leaked(command, summary.leaked_bytes, most);
	}
	strobe_graph_close(graph);
	return status;
}

const struct verb verb_heap_summary = {
	.name = "heap summary",
	.arguments = "",
	.summary = "how much is allocated, reached, leaked and free, and what is not known",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.target_first = true,
	.run = run_summary,
};
