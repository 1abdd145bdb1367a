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
/** Shorter texts in blocks that are not of characters are numbers, or the ends of addresses, as likely as not. */
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
	struct strobe_error *error; // of asking who points to a text
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

/** A text in a block: where, and how long without its NUL. */
struct text_place {
	const uint8_t *bytes; // valid until the next piece is read
	size_t offset, length;
};

/** Where pointers into a block lead. */
struct leads {
	uint32_t node;
	uint64_t address;
	unsigned start, behind;
};

static bool count_lead(void *context, const struct lens_reference *reference, uint64_t edge,
		       uint32_t to)
{
	struct leads *leads = context;
	(void)edge;
	leads->start += to == leads->node && reference->target == leads->address;
	leads->behind += to == leads->node && reference->target == leads->address + 1;
	return true;
}

// What the first byte of a text is only those tell who point to it: a letter, or how long the rest is.
static bool leads_behind_first(struct strobe_duplicates *d, uint32_t node)
{
	enum { ASKED = 4, EDGE_LIMIT = 64 };
	struct leads leads = {.node = node, .address = d->graph->addresses[node]};
	uint64_t end, asked = 0;
	if (!d->error && !d->graph->referrers)
		d->error = graph_referrers_make(d->graph);
	if (d->error)
		return false;
	for (uint64_t i = graph_referrers_of(d->graph, node, &end); i < end && asked < ASKED; i++) {
		uint32_t from = d->graph->referrers[i];
		uint64_t edges =
			graph_edges_end(d->graph, from) - graph_edges_begin(d->graph, from);
		if (edges > EDGE_LIMIT || d->error)
			continue;
		asked++;
		d->error = graph_walk_node(d->graph, from, count_lead, &leads);
	}
	return leads.behind && !leads.start;
}

// From where on a text may stand in a block of structures: behind the one that is there. SIZE_MAX: nowhere.
static size_t header_least(const struct strobe_graph *graph, uint32_t node)
{
	enum { WORD = 8 };
	const struct graph_type *type = &graph->graph_types[graph_node_type(graph, node)];
	uint64_t size = type->size_bytes;
	if (graph_element_count(graph, node) != 1 || size > TEXT_HEADER_LIMIT)
		return SIZE_MAX;
	if (!(type->flags & GRAPH_TYPE_OPEN))
		return size ? (size_t)size : SIZE_MAX;
	return size > WORD ? (size_t)size - WORD : 1; // char text[1], and what pads it
}

// The text at the beginning of a block.
static bool find_first(struct strobe_duplicates *d, uint32_t node, const uint8_t *bytes,
		       size_t size, struct text_place *ret)
{
	*ret = (struct text_place){.bytes = bytes};
	if (!text_bytes_begin(bytes, size, true, &ret->length) ||
	    text_bytes_address(d->graph->view, bytes, size))
		return false;
	if (graph_node_type(d->graph, node) == 0 && text_bytes_short_header(bytes, ret->length) &&
	    leads_behind_first(d, node))
		*ret = (struct text_place){bytes + 1, 1, ret->length - 1};
	return true;
}

// The text of a block, at its beginning or behind a header; false if it has none that counts. `*read` is false if it is unreadable.
static bool find_text(struct strobe_duplicates *d, uint32_t node, struct text_place *ret,
		      bool *read)
{
	const char *type = groups_type_name(d->graph, groups_of(d->graph, node));
	bool characters = type && is_character(type);
	size_t least = !type ? 1 : characters ? SIZE_MAX : header_least(d->graph, node);
	uint64_t size = graph_node_size(d->graph, node), shortest = d->options.min_bytes;
	size_t wanted = size < PIECE_LIMIT ? (size_t)size : PIECE_LIMIT;
	struct text_behind behind;
	*read = true;
	if (type && !characters && least >= wanted)
		return false;
	const uint8_t *bytes = piece_read(&d->reader, d->graph->addresses[node], wanted);
	*read = bytes != NULL;
	if (!bytes)
		return false;
	if (!characters && shortest < UNTYPED_LEAST)
		shortest = UNTYPED_LEAST;
	// A letter or three before a zero byte may be a number.
	bool first = (!type || characters) && find_first(d, node, bytes, wanted, ret);
	if (first && (characters || ret->length >= UNTYPED_LEAST))
		return ret->length >= shortest;
	if (least >= wanted || !text_bytes_behind(bytes, wanted, size, least, &behind))
		return false;
	*ret = (struct text_place){bytes + behind.offset, behind.offset, behind.length};
	return ret->length >= shortest &&
	       !(behind.offset % 8 == 0 &&
		 text_bytes_address(d->graph->view, ret->bytes, wanted - behind.offset));
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
	struct text_place text;
	bool read = true;
	uint64_t size = 0;
	content_hash_begin(d->hash);
	if (d->options.strings) {
		if (find_text(d, node, &text, &read)) {
			content_hash_add(d->hash, text.bytes, text.length);
			size = text.length;
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
		if (d->error)
			return d->error;
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
	struct text_place text;
	bool read;
	if (!find_text(d, node, &text, &read))
		return NULL;
	group->content_bytes = text.length;
	group->text_offset = text.offset;
	group->text = arena_copy_string(&d->arena, (const char *)text.bytes,
					whole_characters(text.bytes, text.length));
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
