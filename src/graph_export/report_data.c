// SPDX-License-Identifier: Apache-2.0
#include "graph_export/report_data.h"

#include <stdio.h>
#include <stdlib.h>
#include <strobe/graph_arenas.h>
#include <strobe/graph_duplicates.h>
#include <strobe/graph_leaks.h>
#include <strobe/graph_paths.h>
#include <strobe/graph_query.h>
#include <strobe/graph_suspects.h>
#include <strobe/heap.h>
#include <strobe/view.h>

#include "base/error.h"

// Rows of the tables. What is beyond is summed up by the page's numbers in all.
enum {
	MAX_TYPES = 1000,
	MAX_GROUPS = 300,
	MAX_DUPLICATES = 200,
	MAX_ADDRESSES = 4,
	MAX_DAMAGE = 100
};

static void put_process(struct json_output *json, const struct strobe_graph *graph)
{
	const struct strobe_process_info *info =
		graph->view ? strobe_view_process_info(graph->view) : NULL;
	json_text(json, "name", member_process_name(graph));
	json_text(json, "target", member_target_name(graph));
	json_text(json, "version", STROBE_VERSION);
	json_text(json, "source", info ? info->source_path : NULL);
	json_text(json, "command", info ? info->command : NULL);
	if (info && info->pid > 0)
		json_number(json, "pid", (uint64_t)info->pid);
	if (info && info->time_ns > 0)
		json_number(json, "time_ms", (uint64_t)info->time_ns / 1000000);
	json_number(json, "threads", graph->view ? strobe_view_thread_count(graph->view) : 0);
}

void report_summary(struct json_output *json, const struct export_job *job)
{
	const struct strobe_graph_summary *all = &job->graph->summary;
	json_text(json, "title", job->options.title);
	put_process(json, job->graph);
	json_open(json, "summary", '{');
	json_number(json, "objects", all->objects);
	json_number(json, "edges", job->graph->edge_count);
	json_number(json, "guessed_edges", all->guessed_edges);
	json_number(json, "roots", all->roots);
	json_number(json, "allocated_bytes", all->allocated_bytes);
	json_number(json, "allocated_blocks", all->allocated_blocks);
	json_number(json, "reachable_bytes", all->reachable_bytes);
	json_number(json, "reachable_blocks", all->reachable_blocks);
	json_number(json, "precise_bytes", all->precise_bytes);
	json_number(json, "leaked_bytes", all->leaked_bytes);
	json_number(json, "leaked_blocks", all->leaked_blocks);
	json_number(json, "free_bytes", all->free_bytes);
	json_number(json, "free_blocks", all->free_blocks);
	json_number(json, "book_bytes", all->book_bytes);
	json_number(json, "unexplained_bytes", all->unexplained_bytes);
	json_number(json, "unreadable_bytes", all->unreadable_bytes);
	json_number(json, "typed_blocks", all->typed_blocks);
	json_number(json, "untyped_blocks", all->untyped_blocks);
	json_number(json, "surrogates", all->surrogates);
	json_close(json, '}');
}

static void put_group(struct json_output *json, const struct strobe_graph *graph,
		      const struct fold_group *group)
{
	bool has_address = group->node != NODE_NONE && graph->addresses[group->node];
	json_open(json, NULL, '[');
	json_number(json, NULL, group->parent == FOLD_NONE ? 0 : group->parent);
	json_number(json, NULL, group->phrase);
	json_number(json, NULL, group->count);
	json_number(json, NULL, group->self_bytes);
	json_number(json, NULL, group->total_bytes);
	json_number(json, NULL, group->node == NODE_NONE ? STROBE_NODE_GROUP : group->kind);
	json_number(json, NULL, group->leaked);
	if (has_address && group->count == 1)
		json_address(json, NULL, graph->addresses[group->node]);
	json_close(json, ']');
	output_char(json->out, '\n');
}

void report_tree(struct json_output *json, struct strobe_graph *graph, const struct fold *fold)
{
	// Names of groups that were summed up are not in it: numbers are given anew by the page.
	uint8_t *used = calloc(fold->phrases.list.count + 1, 1);
	for (size_t i = 0; used && i < fold->groups.count; i++)
		used[fold->groups.items[i].phrase] = 1;
	json_open(json, "names", '{');
	for (size_t i = 0; i < fold->phrases.list.count; i++) {
		char key[24];
		if (used && !used[i])
			continue;
		snprintf(key, sizeof(key), "%zu", i);
		json_text(json, key, fold->phrases.list.items[i]);
	}
	json_close(json, '}');
	free(used);
	json_open(json, "tree", '[');
	for (size_t i = 0; i < fold->groups.count; i++)
		put_group(json, graph, &fold->groups.items[i]);
	json_close(json, ']');
}

static void put_damage(struct json_output *json, struct strobe_heap *heap)
{
	size_t count = heap ? strobe_heap_damage_count(heap) : 0;
	json_number(json, "damage_total", heap ? strobe_heap_damage_total(heap) : 0);
	json_open(json, "damage", '[');
	for (size_t i = 0; i < count && i < MAX_DAMAGE; i++) {
		const struct strobe_heap_damage *damage = strobe_heap_damage(heap, i);
		json_open(json, NULL, '{');
		json_address(json, "address", damage->address);
		json_number(json, "lost_bytes", damage->lost_bytes);
		json_text(json, "what", damage->what);
		json_close(json, '}');
	}
	json_close(json, ']');
}

void report_unknown(struct json_output *json, struct strobe_graph *graph)
{
	json_open(json, "surrogates", '[');
	for (unsigned i = 0; i < STROBE_SURROGATE_REASON_COUNT; i++) {
		json_open(json, NULL, '{');
		json_text(json, "reason", strobe_surrogate_reason_name(i));
		json_number(json, "count", graph->surrogate_counts[i]);
		json_close(json, '}');
	}
	json_close(json, ']');
	put_damage(json, graph->symbols ? strobe_graph_heap(graph) : NULL);
}

struct strobe_error *report_types(struct json_output *json, const struct export_job *job)
{
	struct strobe_histogram_row *rows = NULL;
	size_t count = 0;
	struct strobe_error *error = strobe_graph_histogram(job->graph, NULL, &rows, &count);
	if (error)
		return error;
	json_number(json, "type_count", count);
	json_open(json, "types", '[');
	for (size_t i = 0; i < count && i < MAX_TYPES; i++) {
		json_open(json, NULL, '{');
		json_text(json, "type", rows[i].type);
		json_number(json, "count", rows[i].count);
		json_number(json, "size", rows[i].size_bytes);
		json_number(json, "retained", rows[i].retained_bytes);
		json_close(json, '}');
	}
	json_close(json, ']');
	free(rows);
	return NULL;
}

/** The path to whatever it is asked for. */
struct path_text {
	char *text;
	bool failed; // memory is short
};

static bool keep_path(void *context, const struct strobe_path *path)
{
	struct path_text *kept = context;
	kept->text = strobe_path_text(path);
	kept->failed = !kept->text;
	return false;
}

static struct strobe_error *put_path(struct json_output *json, const char *key,
				     struct strobe_graph *graph, uint64_t node)
{
	struct path_text path = {0};
	if (node >= graph->node_count || !member_is_reachable(graph, (uint32_t)node)) {
		json_null(json, key);
		return NULL;
	}
	struct strobe_error *error = strobe_graph_paths(graph, &node, 1, NULL, keep_path, &path);
	if (!error && path.failed)
		error = error_no_memory();
	if (!error)
		json_text(json, key, path.text);
	free(path.text);
	return error;
}

static struct strobe_error *put_suspect(struct json_output *json, struct strobe_graph *graph,
					const struct strobe_suspect *suspect)
{
	static const char *const kinds[] = {"object", "type", "leak"};
	json_open(json, NULL, '{');
	json_text(json, "kind", kinds[suspect->kind]);
	json_text(json, "type", suspect->type);
	json_text(json, "name", suspect->name);
	json_number(json, "count", suspect->count);
	json_number(json, "retained", suspect->retained_bytes);
	json_fraction(json, "share", suspect->share);
	json_text(json, "text", suspect->text);
	json_address(json, "address", graph->addresses[suspect->node]);
	struct strobe_error *error = put_path(json, "path", graph, suspect->node);
	if (!error && suspect->accumulation != suspect->node)
		error = put_path(json, "below", graph, suspect->accumulation);
	json_close(json, '}');
	return error;
}

struct strobe_error *report_suspects(struct json_output *json, const struct export_job *job)
{
	const struct strobe_suspect_options options = {
		.size = sizeof(options),
		.min_share = 0.05,
		.limit = 12,
	};
	struct strobe_suspects *suspects = NULL;
	struct strobe_error *error = strobe_suspects_open(job->graph, &options, &suspects);
	if (error)
		return error;
	json_open(json, "suspects", '[');
	for (size_t i = 0; i < strobe_suspects_count(suspects) && !error; i++)
		error = put_suspect(json, job->graph, strobe_suspects_get(suspects, i));
	json_close(json, ']');
	strobe_suspects_close(suspects);
	return error;
}

static void put_addresses(struct json_output *json, const struct strobe_graph *graph,
			  const uint64_t *nodes, uint64_t count)
{
	json_open(json, "addresses", '[');
	for (uint64_t i = 0; i < count && i < MAX_ADDRESSES; i++)
		json_address(json, NULL, graph->addresses[nodes[i]]);
	json_close(json, ']');
}

struct strobe_error *report_leaks(struct json_output *json, const struct export_job *job)
{
	struct strobe_leaks *leaks = NULL;
	struct strobe_leak_total total;
	struct strobe_error *error = strobe_leaks_open(job->graph, NULL, &leaks);
	if (error)
		return error;
	strobe_leaks_total(leaks, &total);
	json_number(json, "leaked_direct_blocks", total.direct_blocks);
	json_number(json, "leaked_direct_bytes", total.direct_bytes);
	json_number(json, "leak_count", strobe_leaks_count(leaks));
	json_open(json, "leaks", '[');
	for (size_t i = 0; i < strobe_leaks_count(leaks) && i < MAX_GROUPS; i++) {
		const struct strobe_leak_group *group = strobe_leaks_get(leaks, i);
		json_open(json, NULL, '{');
		json_text(json, "type", group->type);
		json_text(json, "pattern", group->pattern);
		json_number(json, "blocks", group->blocks);
		json_number(json, "size", group->size_bytes);
		json_number(json, "least", group->least_bytes);
		json_number(json, "most", group->most_bytes);
		json_number(json, "direct", group->direct_blocks);
		json_number(json, "held", group->held_bytes);
		put_addresses(json, job->graph, group->nodes, group->blocks);
		json_close(json, '}');
	}
	json_close(json, ']');
	strobe_leaks_close(leaks);
	return NULL;
}

static void put_duplicates(struct json_output *json, const struct strobe_graph *graph,
			   const struct strobe_duplicates *duplicates)
{
	struct strobe_duplicate_total total;
	strobe_duplicates_total(duplicates, &total);
	json_number(json, "groups", total.groups);
	json_number(json, "wasted", total.wasted_bytes);
	json_number(json, "compared", total.compared_bytes);
	json_open(json, "rows", '[');
	for (size_t i = 0; i < strobe_duplicates_count(duplicates) && i < MAX_DUPLICATES; i++) {
		const struct strobe_duplicate_group *group = strobe_duplicates_get(duplicates, i);
		json_open(json, NULL, '{');
		json_text(json, "text", group->text);
		json_text(json, "type", group->type);
		json_number(json, "count", group->count);
		json_number(json, "size", group->content_bytes);
		json_number(json, "wasted", group->wasted_bytes);
		put_addresses(json, graph, group->nodes, group->count);
		json_close(json, '}');
	}
	json_close(json, ']');
}

struct strobe_error *report_duplicates(struct json_output *json, const struct export_job *job)
{
	static const char *const keys[] = {"same_blocks", "same_strings"};
	for (unsigned strings = 0; strings < 2; strings++) {
		const struct strobe_duplicate_options options = {
			.size = sizeof(options),
			.strings = strings,
			.min_bytes = strings ? 4 : 16,
			.progress = job->options.progress,
			.progress_context = job->options.progress_context,
		};
		struct strobe_duplicates *duplicates = NULL;
		struct strobe_error *error =
			strobe_duplicates_open(job->graph, &options, &duplicates);
		if (error)
			return error;
		json_open(json, keys[strings], '{');
		put_duplicates(json, job->graph, duplicates);
		json_close(json, '}');
		strobe_duplicates_close(duplicates);
	}
	return NULL;
}

static void put_arena(struct json_output *json, const struct strobe_arena_use *use)
{
	json_open(json, NULL, '{');
	json_bool(json, "all", use->arena == SIZE_MAX);
	json_text(json, "name", use->name);
	json_text(json, "allocator", use->allocator);
	json_number(json, "mapped", use->mapped_bytes);
	json_number(json, "allocated", use->allocated_bytes);
	json_number(json, "blocks", use->allocated_blocks);
	json_number(json, "free", use->free_bytes);
	json_number(json, "free_blocks", use->free_blocks);
	json_number(json, "cached", use->cached_bytes);
	json_number(json, "fastbin", use->fastbin_bytes);
	json_number(json, "top", use->top_bytes);
	json_number(json, "books", use->book_bytes);
	json_number(json, "lost", use->lost_bytes);
	json_number(json, "largest", use->largest_free_bytes);
	json_fraction(json, "fragmentation", use->fragmentation);
	json_open(json, "classes", '[');
	for (size_t i = 0; i < STROBE_ARENA_CLASSES; i++)
		json_number(json, NULL, use->class_bytes[i]);
	json_close(json, ']');
	json_close(json, '}');
}

struct strobe_error *report_arenas(struct json_output *json, const struct export_job *job)
{
	struct strobe_arena_use *uses = NULL;
	size_t count = 0;
	struct strobe_error *error = NULL;
	if (job->graph->symbols) // one that was filled by hand has no allocator
		error = strobe_graph_arenas(job->graph, &uses, &count);
	if (error)
		return error;
	json_open(json, "arenas", '[');
	for (size_t i = 0; i < count; i++)
		put_arena(json, &uses[i]);
	json_close(json, ']');
	free(uses);
	return NULL;
}
