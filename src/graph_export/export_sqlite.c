// SPDX-License-Identifier: Apache-2.0
// The graph as an SQLite database: docs/format/graph-sqlite.md. Tables are filled in one transaction, indexes made when they are full.

#include <strobe/view.h>

#include "base/error.h"
#include "graph_export/database.h"
#include "graph_export/export.h"
#include "graph_export/label.h"
#include "graph_export/member.h"
#include "graph_export/preview.h"
#include "graph_export/progress.h"

// Version 1. Changing it changes the document, meta's schema_version and the tests.
static const char schema[] =
	"CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"

	"CREATE TABLE types(id INTEGER PRIMARY KEY, name TEXT NOT NULL, language TEXT,"
	" size_bytes INTEGER, count INTEGER NOT NULL, total_bytes INTEGER NOT NULL,"
	" module TEXT);"

	"CREATE TABLE objects(id INTEGER PRIMARY KEY, kind TEXT NOT NULL, address INTEGER,"
	" size_bytes INTEGER NOT NULL, retained_bytes INTEGER NOT NULL,"
	" type_id INTEGER REFERENCES types, elements INTEGER NOT NULL,"
	" evidence TEXT NOT NULL, reachable INTEGER NOT NULL, precise INTEGER NOT NULL,"
	" dominator INTEGER REFERENCES objects, name TEXT, text TEXT);"

	"CREATE TABLE edges(from_id INTEGER NOT NULL REFERENCES objects,"
	" to_id INTEGER NOT NULL REFERENCES objects, offset INTEGER NOT NULL,"
	" name TEXT NOT NULL, guessed INTEGER NOT NULL, maybe INTEGER NOT NULL);"

	"CREATE TABLE roots(id INTEGER PRIMARY KEY REFERENCES objects, kind TEXT NOT NULL,"
	" name TEXT NOT NULL, parent INTEGER REFERENCES objects, tid INTEGER, frame INTEGER,"
	" module TEXT);"

	"CREATE TABLE surrogates(id INTEGER PRIMARY KEY REFERENCES objects, address INTEGER,"
	" reason TEXT NOT NULL);"

	"CREATE TABLE arenas(id INTEGER PRIMARY KEY, allocator TEXT NOT NULL,"
	" name TEXT NOT NULL, address INTEGER, mapped_bytes INTEGER NOT NULL);"

	"CREATE TABLE free_blocks(address INTEGER PRIMARY KEY, size_bytes INTEGER NOT NULL,"
	" arena INTEGER NOT NULL, state TEXT NOT NULL);";

static const char indexes[] =
	"CREATE INDEX edges_from ON edges(from_id);"
	"CREATE INDEX edges_to ON edges(to_id);"
	"CREATE INDEX objects_type ON objects(type_id);"
	"CREATE INDEX objects_dominator ON objects(dominator);"
	"CREATE INDEX objects_address ON objects(address);"

	"CREATE VIEW named_objects AS SELECT o.id, o.kind,"
	" CASE WHEN o.address IS NOT NULL THEN printf('0x%x', o.address) END AS hex,"
	" coalesce(o.name, t.name, s.reason, '(untyped)') AS label, t.name AS type,"
	" o.size_bytes, o.retained_bytes, o.elements, o.evidence, o.reachable, o.precise,"
	" o.dominator, o.text FROM objects o LEFT JOIN types t ON t.id = o.type_id"
	" LEFT JOIN surrogates s ON s.id = o.id;"

	"ANALYZE;";

/** While it is filled. */
struct filling {
	const struct export_job *job;
	struct strobe_graph *graph;
	struct database database;
	struct strobe_error *error; // of a row
	uint32_t from;		    // whose edges are put
};

static struct strobe_error *put_meta(struct filling *filling, const char *key, const char *text,
				     uint64_t number)
{
	database_text(&filling->database, key);
	if (text)
		database_text(&filling->database, text);
	else
		database_number(&filling->database, number);
	return database_row(&filling->database);
}

static struct strobe_error *fill_meta(struct filling *filling)
{
	const struct strobe_graph_summary *all = &filling->graph->summary;
	const struct {
		const char *key, *text;
		uint64_t number;
	} rows[] = {
		{"schema_version", NULL, 1},
		{"strobe_version", STROBE_VERSION, 0},
		{"target", member_target_name(filling->graph), 0},
		{"nodes", NULL, filling->graph->node_count},
		{"edges", NULL, filling->graph->edge_count},
		{"guessed_edges", NULL, all->guessed_edges},
		{"maybe_edges", NULL, all->maybe_edges},
		{"roots", NULL, all->roots},
		{"allocated_bytes", NULL, all->allocated_bytes},
		{"allocated_blocks", NULL, all->allocated_blocks},
		{"reachable_bytes", NULL, all->reachable_bytes},
		{"reachable_blocks", NULL, all->reachable_blocks},
		{"leaked_bytes", NULL, all->leaked_bytes},
		{"leaked_blocks", NULL, all->leaked_blocks},
		{"free_bytes", NULL, all->free_bytes},
		{"book_bytes", NULL, all->book_bytes},
		{"unexplained_bytes", NULL, all->unexplained_bytes},
		{"unreadable_bytes", NULL, all->unreadable_bytes},
		{"surrogate_references", NULL, all->surrogates},
	};
	struct strobe_error *error =
		database_fill(&filling->database, "INSERT INTO meta VALUES(?, ?)");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]) && !error; i++)
		error = put_meta(filling, rows[i].key, rows[i].text, rows[i].number);
	return error;
}

static const char *module_name(const struct strobe_graph *graph, uint32_t module)
{
	if (!graph->view || module >= strobe_view_module_count(graph->view))
		return NULL;
	return strobe_view_module(graph->view, module)->name;
}

static struct strobe_error *fill_types(struct filling *filling)
{
	const struct strobe_graph *graph = filling->graph;
	struct database *database = &filling->database;
	struct strobe_error *error =
		database_fill(database, "INSERT INTO types VALUES(?, ?, ?, ?, ?, ?, ?)");
	for (size_t i = 1; i < graph->type_count && !error; i++) {
		const struct graph_type *type = &graph->graph_types[i];
		database_number(database, i);
		database_text(database, graph_string(graph, type->name));
		database_text(database, graph_string(graph, type->language));
		database_maybe(database, type->size_bytes, type->size_bytes);
		database_number(database, type->count);
		database_number(database, type->total_bytes);
		database_text(database, module_name(graph, type->module));
		error = database_row(database);
	}
	return error;
}

static struct strobe_error *put_object(struct filling *filling, const struct member *member)
{
	struct database *database = &filling->database;
	char text[PREVIEW_SIZE + 1];
	database_number(database, member->node);
	database_text(database, member_kind_name(member->kind));
	database_maybe(database, member->address, member->address);
	database_number(database, member->size_bytes);
	database_number(database, member->retained_bytes);
	database_maybe(database, member->type, member->type);
	database_number(database, member->element_count);
	database_text(database, strobe_evidence_name(member->evidence));
	database_number(database, member->reachable);
	database_number(database, member->precise);
	database_maybe(database, member->dominator != NODE_NONE, member->dominator);
	database_text(database, member->name);
	database_text(database, preview_text(filling->graph, member, text) ? text : NULL);
	return database_row(database);
}

static struct strobe_error *fill_objects(struct filling *filling)
{
	uint32_t count = filling->graph->node_count;
	struct strobe_error *error =
		database_fill(&filling->database,
			      "INSERT INTO objects VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)");
	for (uint32_t i = 0; i < count && !error; i++) {
		struct member member;
		member_get(filling->graph, i, &member);
		error = put_object(filling, &member);
		if (!error && !(i & PROGRESS_MASK))
			error = progress_tell(filling->job, "writing objects", i, count);
	}
	return error;
}

static bool put_edge(void *context, const struct label *label)
{
	struct filling *filling = context;
	struct database *database = &filling->database;
	database_number(database, filling->from);
	database_number(database, label->to);
	database_number(database, label->offset);
	database_text(database, label->name);
	database_number(database, label->guessed);
	database_number(database, label->maybe);
	filling->error = database_row(database);
	return !filling->error;
}

static struct strobe_error *fill_edges(struct filling *filling)
{
	uint32_t count = filling->graph->node_count;
	struct strobe_error *error =
		database_fill(&filling->database, "INSERT INTO edges VALUES(?, ?, ?, ?, ?, ?)");
	for (uint32_t i = 0; i < count && !error; i++) {
		filling->from = i;
		error = labels_visit(filling->graph, i, put_edge, filling);
		if (filling->error) {
			strobe_error_free(error);
			return filling->error;
		}
		if (!error && !(i & PROGRESS_MASK))
			error = progress_tell(filling->job, "writing edges", i, count);
	}
	return error;
}

static const char *root_name(const struct graph_root *root)
{
	if (root->kind >= ROOT_KIND_NODE)
		return member_kind_name(root->kind - ROOT_KIND_NODE);
	return root_kind_name(root->kind);
}

static struct strobe_error *fill_roots(struct filling *filling)
{
	const struct strobe_graph *graph = filling->graph;
	struct database *database = &filling->database;
	struct strobe_error *error =
		database_fill(database, "INSERT OR IGNORE INTO roots VALUES(?, ?, ?, ?, ?, ?, ?)");
	for (size_t i = 0; i < graph->root_count && !error; i++) {
		const struct graph_root *root = &graph->roots[i];
		const struct strobe_thread *thread = NULL;
		if (graph->view && root->thread < strobe_view_thread_count(graph->view))
			thread = strobe_view_thread(graph->view, root->thread);
		database_number(database, root->node);
		database_text(database, root_name(root));
		database_text(database, graph_string(graph, root->name));
		database_number(database, root->parent);
		database_maybe(database, thread, thread ? (uint64_t)thread->tid : 0);
		database_maybe(database, root->frame != UINT32_MAX, root->frame);
		database_text(database, module_name(graph, root->module));
		error = database_row(database);
	}
	return error;
}

static struct strobe_error *fill_surrogates(struct filling *filling)
{
	const struct strobe_graph *graph = filling->graph;
	struct database *database = &filling->database;
	struct strobe_error *error =
		database_fill(database, "INSERT INTO surrogates VALUES(?, ?, ?)");
	for (uint32_t i = graph->surrogate_begin; i < graph->node_count && !error; i++) {
		uint8_t reason = graph->surrogate_reasons[i - graph->surrogate_begin];
		database_number(database, i);
		database_maybe(database, graph->addresses[i], graph->addresses[i]);
		database_text(database, strobe_surrogate_reason_name(reason));
		error = database_row(database);
	}
	return error;
}

static struct strobe_error *fill_arenas(struct filling *filling)
{
	struct database *database = &filling->database;
	struct strobe_heap *heap = NULL;
	if (filling->graph->symbols) { // one that was filled by hand has no allocator
		heap = strobe_graph_heap(filling->graph);
		if (!heap)
			return error_no_memory();
	}
	size_t count = heap ? strobe_heap_arena_count(heap) : 0;
	struct strobe_error *error =
		database_fill(database, "INSERT INTO arenas VALUES(?, ?, ?, ?, ?)");
	for (size_t i = 0; i < count && !error; i++) {
		const struct strobe_heap_arena *arena = strobe_heap_arena(heap, i);
		database_number(database, i);
		database_text(database, strobe_heap_allocator(heap, arena->allocator)->name);
		database_text(database, arena->name);
		database_maybe(database, arena->address, arena->address);
		database_number(database, arena->mapped_bytes);
		error = database_row(database);
	}
	return error;
}

static struct strobe_error *fill_free(struct filling *filling)
{
	const struct strobe_graph *graph = filling->graph;
	struct database *database = &filling->database;
	struct strobe_error *error =
		database_fill(database, "INSERT OR IGNORE INTO free_blocks VALUES(?, ?, ?, ?)");
	for (size_t i = 0; i < graph->free_count && !error; i++) {
		const struct graph_free_block *block = &graph->free_blocks[i];
		database_number(database, block->address);
		database_number(database, block->size_bytes);
		database_number(database, block->arena);
		database_text(database, member_state_name(block->state));
		error = database_row(database);
	}
	return error;
}

/** SQLite asks now and then, while it makes indexes. */
static int asked_to_stop(void *context)
{
	struct filling *filling = context;
	struct strobe_error *error = progress_tell(filling->job, "making indexes", 0, 1);
	strobe_error_free(error);
	return error != NULL;
}

static struct strobe_error *fill(struct filling *filling)
{
	struct strobe_error *(*const steps[])(struct filling *) = {
		fill_meta,  fill_types,	     fill_objects, fill_edges,
		fill_roots, fill_surrogates, fill_arenas,  fill_free,
	};
	struct strobe_error *error = database_run(&filling->database, schema);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]) && !error; i++)
		error = steps[i](filling);
	if (error)
		return error;
	sqlite3_progress_handler(filling->database.handle, 1000000, asked_to_stop, filling);
	error = database_run(&filling->database, indexes);
	sqlite3_progress_handler(filling->database.handle, 0, NULL, NULL);
	return error;
}

struct strobe_error *graph_export_sqlite(const struct export_job *job)
{
	struct filling filling = {.job = job, .graph = job->graph};
	struct strobe_error *error = database_open(&filling.database, job->path);
	if (error)
		return error;
	error = fill(&filling);
	if (!error)
		return database_commit(&filling.database);
	database_discard(&filling.database);
	return error;
}
