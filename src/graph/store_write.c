// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/hash_page.h"
#include "graph/parts.h"
#include "graph/store.h"

enum { KEPT_FREE = 64 << 20 }; // bytes that a disk is left with

struct writing {
	struct store_header header;
	const void *data[STORE_SECTION_COUNT];
	uint64_t *sums;
	uint64_t sum_count;
	unsigned threads;
};

static uint64_t align(uint64_t offset)
{
	return (offset + STORE_ALIGNMENT - 1) / STORE_ALIGNMENT * STORE_ALIGNMENT;
}

/** A section's bytes, behind those before. */
static void add(struct writing *writing, enum store_section_kind kind, const void *data,
		uint64_t size)
{
	struct store_header *header = &writing->header;
	header->sections[kind] = (struct store_section){header->file_size, size};
	header->file_size = align(header->file_size + size);
	writing->data[kind] = data;
	writing->sum_count += store_sum_count(size);
}

static void lay_out(const struct strobe_graph *graph, struct writing *writing)
{
	uint64_t nodes = graph->node_count;
	writing->header.file_size = align(sizeof(struct store_header));
	add(writing, STORE_ADDRESSES, graph->addresses, nodes * 8);
	add(writing, STORE_SIZES, graph->sizes, nodes * 4);
	add(writing, STORE_TYPES, graph->types, nodes * 4);
	add(writing, STORE_EDGE_BEGIN, graph->edge_begin, (nodes + 1) * 4);
	add(writing, STORE_IDOM, graph->idom, nodes * 4);
	add(writing, STORE_RETAINED, graph->retained, nodes * 8);
	add(writing, STORE_CHUNK_BASE, graph->chunk_base, ((nodes >> GRAPH_CHUNK_SHIFT) + 1) * 8);
	add(writing, STORE_EDGES, graph->edges, graph->edge_count * 4);
	add(writing, STORE_LARGE_SIZES, graph->large_sizes, graph->large_count * 8);
	add(writing, STORE_ROOTS, graph->roots, graph->root_count * sizeof(*graph->roots));
	add(writing, STORE_GRAPH_TYPES, graph->graph_types,
	    graph->type_count * sizeof(*graph->graph_types));
	add(writing, STORE_EXTENTS, graph->extents, graph->extent_count * sizeof(*graph->extents));
	add(writing, STORE_FREE_BLOCKS, graph->free_blocks,
	    graph->free_count * sizeof(*graph->free_blocks));
	add(writing, STORE_REASONS, graph->surrogate_reasons, nodes - graph->surrogate_begin);
	add(writing, STORE_VALUES, graph->values, graph->value_count * 8);
	add(writing, STORE_STRINGS, graph->strings, graph->strings_size);
	writing->header.sums =
		(struct store_section){writing->header.file_size, writing->sum_count * 8};
	writing->header.file_size = align(writing->header.file_size + writing->sum_count * 8);
}

/** Sums of the chunks that are this part's: each threads'th. */
static void sum_chunks(void *context, unsigned part)
{
	struct writing *writing = context;
	uint64_t number = 0;
	for (unsigned kind = 0; kind < STORE_SECTION_COUNT; kind++) {
		uint64_t size = writing->header.sections[kind].size;
		for (uint64_t at = 0; at < size; at += STORE_CHUNK, number++) {
			uint64_t chunk = size - at < STORE_CHUNK ? size - at : STORE_CHUNK;
			if (number % writing->threads == part)
				writing->sums[number] =
					page_hash((const char *)writing->data[kind] + at, chunk);
		}
	}
}

static void fill_header(const struct strobe_graph *graph, const struct store_identity *identity,
			struct store_header *header)
{
	memcpy(header->magic, STORE_MAGIC, sizeof(header->magic));
	header->version = STORE_VERSION;
	header->size = sizeof(*header);
	header->builder = store_builder();
	header->identity = *identity;
	header->node_count = graph->node_count;
	header->memory_count = graph->memory_count;
	header->surrogate_begin = graph->surrogate_begin;
	header->precise = graph->precise;
	header->edge_count = graph->edge_count;
	memcpy(header->summary, &graph->summary, sizeof(header->summary));
	memcpy(header->surrogate_counts, graph->surrogate_counts, sizeof(header->surrogate_counts));
}

static struct strobe_error *put(const struct new_file *file, uint64_t offset, const void *data,
				uint64_t size)
{
	enum { AT_ONCE = 1 << 30 };
	const char *bytes = data;
	while (size) {
		ssize_t done =
			pwrite(file->fd, bytes, size < AT_ONCE ? size : AT_ONCE, (off_t)offset);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return error_errno(done < 0 ? errno : ENOSPC, "%s: cannot write",
					   file->path);
		bytes += done;
		offset += (uint64_t)done;
		size -= (uint64_t)done;
	}
	return NULL;
}

/** Is there room, and something left besides? */
static struct strobe_error *check_room(const struct new_file *file, uint64_t size)
{
	struct statvfs status;
	if (fstatvfs(file->fd, &status) == 0 &&
	    (uint64_t)status.f_bavail * status.f_frsize < size + KEPT_FREE)
		return error_errno(ENOSPC, "%s: cannot write", file->path);
	if (ftruncate(file->fd, (off_t)size) != 0)
		return error_errno(errno, "%s: cannot write", file->path);
	return NULL;
}

static struct strobe_error *put_all(const struct writing *writing, const struct new_file *file)
{
	const struct store_header *header = &writing->header;
	struct strobe_error *error = check_room(file, header->file_size);
	for (unsigned kind = 0; !error && kind < STORE_SECTION_COUNT; kind++)
		error = put(file, header->sections[kind].offset, writing->data[kind],
			    header->sections[kind].size);
	if (!error)
		error = put(file, header->sums.offset, writing->sums, header->sums.size);
	if (!error)
		error = put(file, 0, header, sizeof(*header));
	return error;
}

struct strobe_error *store_write(const struct strobe_graph *graph,
				 const struct store_identity *identity, const char *path)
{
	struct writing writing = {.threads = parts_processors()};
	struct store_header *header = &writing.header;
	struct new_file file;
	writing.threads = writing.threads < PARTS_MAX ? writing.threads : PARTS_MAX;
	lay_out(graph, &writing);
	writing.sums = calloc(writing.sum_count + 1, sizeof(*writing.sums));
	if (!writing.sums)
		return error_no_memory();
	fill_header(graph, identity, header);
	parts_run(writing.threads, sum_chunks, &writing);
	header->sums_sum = page_hash(writing.sums, header->sums.size);
	header->header_sum = hash_bytes(header, offsetof(struct store_header, header_sum));
	struct strobe_error *error = new_file_open(&file, path);
	if (!error) {
		error = put_all(&writing, &file);
		if (error)
			new_file_discard(&file);
		else // what a crash leaves of it has wrong sums, and is made again
			error = new_file_commit(&file, true);
	}
	free(writing.sums);
	return error;
}
