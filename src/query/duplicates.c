// SPDX-License-Identifier: Apache-2.0
// Blocks with the same content.

#include <stdlib.h>
#include <string.h>
#include <strobe/graph_duplicates.h>

#include "base/arena.h"
#include "base/content_hash.h"
#include "base/error.h"
#include "query/groups.h"
#include "query/options.h"
#include "query/piece.h"
#include "query/text_bytes.h"

/** Bytes of a text that are kept to be shown, and nodes between two calls of the progress. */
enum { SHOWN_TEXT = 256, PROGRESS_NODES = 1 << 14 };
/** Shorter texts in blocks of no type are numbers, or the ends of addresses, as likely as not. */
enum { UNTYPED_LEAST = 4 };

/** A block's content: 96 bits of its hash. */
struct content {
	uint64_t hash;
	uint32_t more_hash, node;
};

struct strobe_duplicates {
	struct strobe_graph *graph;
	struct strobe_duplicate_options options;
	struct strobe_duplicate_total total;
	ARRAY(struct content) contents;
	ARRAY(struct strobe_duplicate_group) groups;
	struct piece_reader reader;
	struct content_hash *hash;
	struct arena arena;
};

// Of a typed block, what its elements are; of others all that the allocator gave.
static uint64_t content_bytes(const struct strobe_graph *graph, uint32_t node)
{
	uint64_t size = graph_node_size(graph, node), all;
	uint64_t one = graph->graph_types[graph_node_type(graph, node)].size_bytes;
	if (one == 0 || __builtin_mul_overflow(one, graph_element_count(graph, node), &all))
		return size;
	return all > 0 && all < size ? all : size;
}

static bool is_character(const char *type)
{
	static const char *const types[] = {"char", "unsigned char", "signed char", "char8_t"};
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i], type) == 0)
			return true;
	return false;
}

// Bytes that a text in `node` must have; 0 if its type says that it holds none.
static uint64_t least_text(const struct strobe_duplicates *d, uint32_t node)
{
	const char *type = groups_type_name(d->graph, groups_of(d->graph, node));
	if (type)
		return is_character(type) ? d->options.min_bytes : 0;
	return d->options.min_bytes > UNTYPED_LEAST ? d->options.min_bytes : UNTYPED_LEAST;
}

// The text at the beginning of a block; NULL if there is none, `*read` is false if it is unreadable.
static const uint8_t *text_of(struct strobe_duplicates *d, uint32_t node, size_t *length,
			      bool *read)
{
	uint64_t size = graph_node_size(d->graph, node);
	size_t wanted = size < PIECE_LIMIT ? (size_t)size : PIECE_LIMIT;
	const uint8_t *bytes = piece_read(&d->reader, d->graph->addresses[node], wanted);
	*read = bytes != NULL;
	if (!bytes || !text_bytes_begin(bytes, wanted, true, length) ||
	    text_bytes_address(d->graph->view, bytes, wanted))
		return NULL;
	return bytes;
}

static bool add_pieces(struct strobe_duplicates *d, uint64_t address, uint64_t size)
{
	while (size) {
		size_t piece = size < PIECE_LIMIT ? (size_t)size : PIECE_LIMIT;
		const uint8_t *bytes = piece_read(&d->reader, address, piece);
		if (!bytes)
			return false;
		content_hash_add(d->hash, bytes, piece);
		address += piece;
		size -= piece;
	}
	return true;
}

// The content of `node` into the hash: how many bytes it has, 0 if it has none that counts.
static uint64_t add_content(struct strobe_duplicates *d, uint32_t node)
{
	size_t length = 0;
	bool read = true;
	uint64_t size = 0;
	content_hash_begin(d->hash);
	if (d->options.strings) {
		uint64_t least = least_text(d, node);
		const uint8_t *text = least ? text_of(d, node, &length, &read) : NULL;
		if (text && length >= least) {
			content_hash_add(d->hash, text, length);
			size = length;
		}
	} else if ((size = content_bytes(d->graph, node)) < d->options.min_bytes) {
		size = 0;
	} else {
		read = add_pieces(d, d->graph->addresses[node], size);
	}
	d->total.unreadable_blocks += !read;
	if (!read)
		return 0;
	content_hash_add(d->hash, &size, sizeof(size)); // a length is part of the content
	return size;
}

static struct strobe_error *read_all(struct strobe_duplicates *d)
{
	const struct strobe_graph *graph = d->graph;
	for (uint32_t node = 1; node <= graph->memory_count; node++) {
		if (node % PROGRESS_NODES == 0 && d->options.progress &&
		    !d->options.progress(d->options.progress_context, "comparing blocks",
					 (double)node / graph->memory_count))
			return error_new(STROBE_ERROR_LIMIT, "cancelled");
		uint64_t size = node_is_block(graph, node) ? add_content(d, node) : 0, more;
		if (!size)
			continue;
		struct content content = {.node = node};
		content_hash_end(d->hash, &content.hash, &more);
		content.more_hash = (uint32_t)more;
		d->total.compared_blocks++;
		d->total.compared_bytes += size;
		if (!array_push(&d->contents, content))
			return error_no_memory();
	}
	return NULL;
}

static bool is_same(const struct content *a, const struct content *b)
{
	return a->hash == b->hash && a->more_hash == b->more_hash;
}

static int by_content(const void *first, const void *second)
{
	const struct content *a = first, *b = second;
	if (a->hash != b->hash)
		return a->hash < b->hash ? -1 : 1;
	if (a->more_hash != b->more_hash)
		return a->more_hash < b->more_hash ? -1 : 1;
	return (a->node > b->node) - (a->node < b->node);
}

static size_t whole_characters(const uint8_t *text, size_t length)
{
	size_t at = 0, step;
	while (at < length && (step = text_bytes_sequence(text + at, length - at)) &&
	       at + step <= SHOWN_TEXT)
		at += step;
	return at;
}

static struct strobe_error *add_text(struct strobe_duplicates *d, uint32_t node,
				     struct strobe_duplicate_group *group)
{
	size_t length = 0;
	bool read;
	const uint8_t *text = text_of(d, node, &length, &read);
	if (!text)
		return NULL;
	group->content_bytes = length;
	group->text =
		arena_copy_string(&d->arena, (const char *)text, whole_characters(text, length));
	return group->text ? NULL : error_no_memory();
}

static struct strobe_error *add_group(struct strobe_duplicates *d, const struct content *contents,
				      size_t count)
{
	struct strobe_graph *graph = d->graph;
	uint32_t node = contents[0].node;
	uint64_t *nodes = arena_alloc(&d->arena, count * sizeof(*nodes));
	struct strobe_duplicate_group group = {
		.node = node,
		.address = graph->addresses[node],
		.count = count,
		.content_bytes = content_bytes(graph, node),
		.type = groups_type_name(graph, groups_of(graph, node)),
		.nodes = nodes};
	if (!nodes)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		nodes[i] = contents[i].node;
		group.wasted_bytes += i ? graph_node_size(graph, contents[i].node) : 0;
	}
	struct strobe_error *error = d->options.strings ? add_text(d, node, &group) : NULL;
	if (error)
		return error;
	d->total.groups++;
	d->total.wasted_blocks += count - 1;
	d->total.wasted_bytes += group.wasted_bytes;
	return array_push(&d->groups, group) ? NULL : error_no_memory();
}

static struct strobe_error *make_groups(struct strobe_duplicates *d)
{
	struct strobe_error *error = NULL;
	size_t count = d->contents.count;
	const struct content *all = d->contents.items;
	if (count)
		qsort(d->contents.items, count, sizeof(*all), by_content);
	for (size_t i = 0, end; !error && i < count; i = end) {
		for (end = i + 1; end < count && is_same(&all[end], &all[i]); end++)
			;
		if (end - i > 1)
			error = add_group(d, all + i, end - i);
	}
	return error;
}

static int most_wasted_first(const void *first, const void *second)
{
	const struct strobe_duplicate_group *a = first, *b = second;
	if (a->wasted_bytes != b->wasted_bytes)
		return a->wasted_bytes < b->wasted_bytes ? 1 : -1;
	return (a->node > b->node) - (a->node < b->node);
}

struct strobe_error *strobe_duplicates_open(struct strobe_graph *graph,
					    const struct strobe_duplicate_options *options,
					    struct strobe_duplicates **ret)
{
	struct strobe_duplicates *d = calloc(1, sizeof(*d));
	if (!d)
		return error_no_memory();
	d->graph = graph;
	OPTIONS_TAKE(&d->options, options);
	if (!d->options.min_bytes)
		d->options.min_bytes = 1;
	d->hash = content_hash_new();
	struct strobe_error *error =
		d->hash ? piece_reader_init(&d->reader, graph->view) : error_no_memory();
	if (!error)
		error = read_all(d);
	if (!error)
		error = make_groups(d);
	array_fini(&d->contents);
	piece_reader_fini(&d->reader);
	d->hash = content_hash_free(d->hash);
	if (error) {
		strobe_duplicates_close(d);
		return error;
	}
	if (d->groups.count)
		qsort(d->groups.items, d->groups.count, sizeof(*d->groups.items),
		      most_wasted_first);
	*ret = d;
	return NULL;
}

struct strobe_duplicates *strobe_duplicates_close(struct strobe_duplicates *duplicates)
{
	if (!duplicates)
		return NULL;
	array_fini(&duplicates->groups);
	arena_fini(&duplicates->arena);
	free(duplicates);
	return NULL;
}

void strobe_duplicates_total(const struct strobe_duplicates *duplicates,
			     struct strobe_duplicate_total *ret)
{
	*ret = duplicates->total;
}

size_t strobe_duplicates_count(const struct strobe_duplicates *duplicates)
{
	return duplicates->groups.count;
}

const struct strobe_duplicate_group *
strobe_duplicates_get(const struct strobe_duplicates *duplicates, size_t index)
{
	return &duplicates->groups.items[index];
}
