// SPDX-License-Identifier: Apache-2.0
// Where a tracepoint is in a native program's code.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

#include "base/error.h"
#include "symbols/code_lines.h"
#include "symbols/code_sites.h"
#include "tracepoint/native.h"
#include "tracepoint/native_exception.h"
#include "tracepoint/native_exits.h"

/** Named limits: places of one tracepoint; lines that it moves on to where its own has no code. */
enum { PLACE_LIMIT = 10000, MOVE_LIMIT = 200, SCOPE_LIMIT = 64 };

/** A row that may be one of the places. */
struct row {
	uint64_t address;
	uint32_t line;
	const char *file;
};
struct search {
	struct native_program *program;
	const struct tracepoint_config *config;
	ARRAY(struct row) rows;
	uint32_t line; // the nearest so far, from the wanted one on
	const char *file;
	bool several_files, failed, found;
	const char *why; // ends that could not be found
};

static bool add_place(struct native_program *program, const struct native_place *place)
{
	if (program->place_count == PLACE_LIMIT)
		return true;
	if (program->place_count == program->place_capacity &&
	    !array_grow((void **)&program->places, &program->place_capacity,
			program->place_count + 1, sizeof(*place)))
		return false;
	program->places[program->place_count++] = *place;
	return true;
}

/** Rows of the wanted line, or of the first behind it that has some. */
static bool see_row(void *context, const struct code_line *row)
{
	struct search *search = context;
	uint32_t wanted = search->config->line;
	if (!row->statement || row->line < wanted || row->line > wanted + MOVE_LIMIT ||
	    (search->line && row->line > search->line))
		return true;
	if (search->line && row->line < search->line)
		search->rows.count = 0;
	search->line = row->line;
	search->several_files |= search->file && strcmp(search->file, row->file) != 0;
	search->file = row->file;
	if (search->rows.count < PLACE_LIMIT &&
	    !array_push(&search->rows, (struct row){row->start, row->line, row->file}))
		search->failed = true;
	return !search->failed;
}

static int order(const void *a, const void *b)
{
	const struct row *left = a, *right = b;
	return (left->address > right->address) - (left->address < right->address);
}

/** The scope that an address is in, and what it is inlined into (NULL: it is not). */
static uint64_t scope_at(struct native_program *program, uint64_t address, const char **function,
			 const char **inlined_in)
{
	struct strobe_scope scopes[SCOPE_LIMIT];
	size_t count = strobe_scopes_at(program->symbols, address, scopes, SCOPE_LIMIT);
	*function = count ? scopes[0].name : NULL;
	*inlined_in = NULL;
	if (count > SCOPE_LIMIT)
		count = SCOPE_LIMIT;
	if (count > 1 && scopes[0].inlined)
		*inlined_in = scopes[count - 1].name;
	return count ? scopes[0].entity * 31 + scopes[0].start : 0;
}

/** Where a thread that came to `from` leaves it, by all the ways there are. */
static void add_exits(struct search *search, struct native_place *from, struct native_exits *exits,
		      struct strobe_error *error)
{
	struct native_place place = *from;
	place.is_end = true;
	for (size_t i = 0; !error && i < exits->items.count && !search->failed; i++) {
		place.address = exits->items.items[i].address;
		place.leave = exits->items.items[i].leave;
		search->failed = !add_place(search->program, &place);
	}
	from->repeats = exits->repeats;
	if (exits->why)
		search->why = exits->why;
	search->failed |= error != NULL;
	strobe_error_free(error);
	native_exits_fini(exits);
}

static bool add_line(struct search *search, struct native_place *place)
{
	struct native_exits exits = {0};
	if (config_waits_for_end(search->config))
		add_exits(search, place, &exits,
			  native_line_exits(search->program, place->address, false, &exits));
	return !search->failed && add_place(search->program, place);
}

/** Where exceptions are noticed. */
static void add_exceptions(struct search *search)
{
	struct native_place place = {.is_end = true, .leave = LEAVE_UNWIND};
	bool wanted = config_is_of_exceptions(search->config);
	size_t count;
	const uint64_t *items = native_personalities(search->program, &count);
	place.is_end = !wanted;
	for (size_t i = 0; i < count && !search->failed; i++) {
		place.address = items[i];
		search->failed = !add_place(search->program, &place);
	}
	items = wanted ? native_raisers(search->program, &count) : NULL;
	place.is_end = true;
	place.leave = LEAVE_RAISE;
	for (size_t i = 0; items && i < count && !search->failed; i++) {
		place.address = items[i];
		search->failed = !add_place(search->program, &place);
	}
}

/** One place for each function, and each inlined copy, that has code of the line: where that begins. */
static bool add_rows(struct search *search)
{
	struct native_program *program = search->program;
	ARRAY(uint64_t) seen = {0};
	qsort(search->rows.items, search->rows.count, sizeof(struct row), order);
	for (size_t i = 0; i < search->rows.count && !search->failed; i++) {
		struct native_place place = {.address = search->rows.items[i].address,
					     .line = search->rows.items[i].line,
					     .file = search->rows.items[i].file};
		uint64_t scope =
			scope_at(program, place.address, &place.function, &place.inlined_in);
		bool known = false;
		for (size_t j = 0; j < seen.count && !known; j++)
			known = scope && seen.items[j] == scope;
		if (known)
			continue;
		search->failed = !array_push(&seen, scope) || !add_line(search, &place);
	}
	array_fini(&seen);
	return !search->failed;
}

/** Where a function's arguments stand where debug information says: behind a prologue that makes a frame. */
static uint64_t after_prologue(struct native_program *program, uint64_t entry)
{
	static const uint8_t frame[] = {0x55, 0x48, 0x89, 0xe5},
			     landing[] = {0xf3, 0x0f, 0x1e, 0xfa};
	struct strobe_line line;
	uint8_t bytes[8] = {0};
	strobe_memory_read(program->view, entry, bytes, sizeof(bytes));
	size_t at = memcmp(bytes, landing, sizeof(landing)) == 0 ? sizeof(landing) : 0;
	if (memcmp(bytes + at, frame, sizeof(frame)) != 0 ||
	    !strobe_line_at(program->symbols, entry, &line))
		return entry;
	return line.end > entry ? line.end : entry;
}

static bool add_function(struct search *search, uint64_t entry, bool inlined, const char *name)
{
	struct native_program *program = search->program;
	struct strobe_line line;
	struct native_place place = {.address = inlined ? entry : after_prologue(program, entry)};
	struct strobe_function function;
	if (inlined)
		scope_at(program, entry, &place.function, &place.inlined_in);
	else if (strobe_function_at(program->symbols, entry, &function))
		place.function = function.name;
	if (name)
		place.function = name;
	if (strobe_line_at(program->symbols, entry, &line)) {
		place.file = line.file;
		place.line = line.line;
	}
	struct native_exits exits = {0};
	if (config_waits_for_end(search->config))
		add_exits(search, &place, &exits,
			  inlined ? native_line_exits(program, entry, true, &exits)
				  : native_function_exits(program, entry, &exits));
	place.repeats = false;
	search->failed |= !add_place(program, &place);
	return !search->failed;
}

bool native_path_matches(const char *file, const char *path)
{
	size_t size = strlen(file), wanted = strlen(path);
	return size >= wanted && strcmp(file + size - wanted, path) == 0 &&
	       (size == wanted || file[size - wanted - 1] == '/' || path[0] == '/');
}

static bool see_site(void *context, const struct code_site *site)
{
	struct search *search = context;
	struct strobe_function function;
	code_site_function(search->program->symbols, site, &function);
	if (search->config->path &&
	    (!function.file || !native_path_matches(function.file, search->config->path)))
		return true;
	search->found = true;
	return add_function(search, site->entry, site->inlined, function.name);
}

/** The functions that have code of the line. */
static void functions_of_rows(struct search *search)
{
	uint64_t last = 0;
	qsort(search->rows.items, search->rows.count, sizeof(struct row), order);
	for (size_t i = 0; i < search->rows.count && !search->failed; i++) {
		struct strobe_function function;
		if (!strobe_function_at(search->program->symbols, search->rows.items[i].address,
					&function) ||
		    function.start == last)
			continue;
		last = function.start;
		add_function(search, function.start, false, NULL);
	}
}

static const char *say(const struct tracepoint_config *config, const char *format, const char *name)
{
	// The arena is of what the configuration points to; this is one of those.
	struct arena *arena = (struct arena *)(uintptr_t)&config->arena;
	const char *text = arena_printf(arena, "%s '%s'", format, name);
	return text ? text : format;
}

static const char *say_ends(const struct tracepoint_config *config, const char *what)
{
	struct arena *arena = (struct arena *)(uintptr_t)&config->arena;
	const char *text = arena_printf(arena, "some of its ends are not noticed: %s", what);
	return text ? text : what;
}

static struct strobe_error *find_line(struct search *search, uint32_t *moved_to, const char **why)
{
	const struct tracepoint_config *config = search->config;
	struct strobe_error *error =
		code_lines_for_each(search->program->symbols, config->path, see_row, search);
	if (error && strobe_error_code(error) == STROBE_ERROR_NOT_FOUND) {
		strobe_error_free(error);
		*why = say(config, "pending: no module has a source file", config->path);
		return NULL;
	}
	if (error)
		return error;
	if (!search->rows.count)
		*why = say(config, "no code at that line, nor soon after it, in", config->path);
	else if (config_is_method(config))
		functions_of_rows(search);
	else
		add_rows(search);
	if (search->line && search->line != config->line)
		*moved_to = search->line;
	return NULL;
}

static struct strobe_error *find_method(struct search *search, const char **why)
{
	struct strobe_error *error = code_sites_for_each(
		search->program->symbols, search->config->method_name, see_site, search);
	if (error && strobe_error_code(error) == STROBE_ERROR_NOT_FOUND) {
		strobe_error_free(error);
		error = NULL;
	}
	if (!error && !search->found)
		*why = say(search->config, "pending: no module has a function",
			   search->config->method_name);
	return error;
}

struct strobe_error *native_places(struct native_program *program,
				   const struct tracepoint_config *config,
				   const struct native_place **ret, size_t *count,
				   uint32_t *moved_to, const char **why)
{
	struct search search = {.program = program, .config = config};
	struct strobe_error *error = NULL;
	program->place_count = 0;
	*moved_to = 0;
	*why = NULL;
	bool wanted = config_is_of_exceptions(config);
	if (wanted || config_waits_for_end(config))
		add_exceptions(&search);
	if (wanted && !program->place_count)
		*why = "pending: no module throws exceptions (__gxx_personality_v0)";
	else if (wanted)
		error = NULL;
	else if (config_is_method(config) && config->method_name)
		error = find_method(&search, why);
	else
		error = find_line(&search, moved_to, why);
	if (!error && search.failed)
		error = error_no_memory();
	if (!error && !*why && search.why)
		*why = say_ends(config, search.why);
	array_fini(&search.rows);
	*ret = program->places;
	*count = error ? 0 : program->place_count;
	return error;
}
