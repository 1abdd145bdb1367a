// SPDX-License-Identifier: Apache-2.0
// The roots of modules: variables, as debug information or symbol tables tell them, and the rest of their data.
#include "lens/roots_build.h"

#include <string.h>

#include "symbols/elf_objects.h"
#include "symbols/globals.h"

/** Named limit: data segments of one module. */
enum { SEGMENT_LIMIT = 64 };

/** A module being told. */
struct module_roots {
	struct roots *roots;
	struct symbols_module *module;
	bool is_library; // the C library, or the dynamic loader
	struct stretch segments[SEGMENT_LIMIT];
	size_t segment_count;
	struct root_set set;
	size_t described; // items with types, settled
};

const char *roots_library_name(const char *variable)
{
	static const struct {
		const char *variable, *name;
	} known[] = {
		{"environ", "environment"},   {"__environ", "environment"},
		{"_environ", "environment"},  {"__exit_funcs", "atexit"},
		{"initial", "atexit"},	      {"__quick_exit_funcs", "atexit"},
		{"initial_quick", "atexit"},  {"_IO_list_all", "stdio"},
		{"_IO_2_1_stdin_", "stdio"},  {"_IO_2_1_stdout_", "stdio"},
		{"_IO_2_1_stderr_", "stdio"}, {"stdin", "stdio"},
		{"stdout", "stdio"},	      {"stderr", "stdio"},
		{"__stdin_FILE", "stdio"},    {"__stdout_FILE", "stdio"},
		{"__stderr_FILE", "stdio"},   {"ofl_head", "stdio"},
	};
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
		if (strcmp(variable, known[i].variable) == 0)
			return known[i].name;
	return NULL;
}

static bool is_c_library(const char *name)
{
	static const char *const starts[] = {"libc.so", "libc-2",   "libc.musl",
					     "ld-musl", "ld-linux", "ld-2"};
	for (size_t i = 0; i < sizeof(starts) / sizeof(*starts); i++)
		if (strncmp(name, starts[i], strlen(starts[i])) == 0)
			return true;
	return false;
}

static bool in_segments(const struct module_roots *m, uint64_t address, uint64_t size)
{
	for (size_t i = 0; i < m->segment_count; i++)
		if (address >= m->segments[i].start && address < m->segments[i].end &&
		    size <= m->segments[i].end - address)
			return true;
	return false;
}

/** Adds a variable, if it lies in the module's data. False: it is over. */
static bool add(struct module_roots *m, struct root *root)
{
	struct roots *roots = m->roots;
	const char *library = m->is_library ? roots_library_name(root->name) : NULL;
	if (!root->size_bytes || !in_segments(m, root->address, root->size_bytes))
		return true;
	if (library) {
		root->kind = ROOT_LIBRARY;
		root->name = library;
	}
	if (!roots_is_free(roots, root->address, root->address + root->size_bytes) &&
	    !(roots_is_hole(roots, root->address) && roots_take_words(roots, root)))
		return !roots->short_of_memory;
	roots->short_of_memory |= !root_set_add(&m->set, root);
	return !roots->short_of_memory;
}

static void add_described(struct module_roots *m)
{
	size_t count;
	const struct global *table = globals_plain(m->module, &count);
	uint64_t bias = m->module->module->bias;
	for (size_t i = 0; i < count; i++) {
		struct variable variable;
		if (!in_segments(m, table[i].address + bias, 1) ||
		    !globals_variable(m->module, &table[i], &variable))
			continue;
		bool is_static = table[i].scope || globals_file(&variable);
		struct root root = {
			.kind = is_static ? ROOT_STATIC : ROOT_GLOBAL,
			.thread = SIZE_MAX,
			.frame = SIZE_MAX,
			.module = m->module->index,
			.name = globals_name(m->module, &table[i]),
			.address = table[i].address + bias,
		};
		if (!root.name)
			root.name = variable.name;
		if (roots_set_type(m->roots, &root, variable.type) && !add(m, &root))
			return;
	}
}

/** What only the symbol table knows. */
static bool add_symbol(void *context, const struct strobe_symbol *symbol)
{
	struct module_roots *m = context;
	uint64_t end = symbol->address + symbol->size_bytes;
	if (strcmp(symbol->type, "tls") == 0 || end < symbol->address)
		return true;
	size_t after = root_set_owner_after(&m->set, symbol->address);
	if (after < m->set.owners.count &&
	    m->set.items.items[m->set.owners.items[after]].root.address < end)
		return true;
	const struct root_item *last = m->set.items.count > m->described
					       ? &m->set.items.items[m->set.items.count - 1]
					       : NULL;
	if (last && last->root.address == symbol->address)
		return true; // another name of it
	struct root root = {
		.kind = strcmp(symbol->binding, "local") == 0 ? ROOT_STATIC : ROOT_GLOBAL,
		.thread = SIZE_MAX,
		.frame = SIZE_MAX,
		.module = m->module->index,
		.name = symbol->name,
		.address = symbol->address,
		.size_bytes = symbol->size_bytes,
	};
	bool was_library = m->is_library;
	m->is_library |= roots_library_name(symbol->name) != NULL && root.kind == ROOT_GLOBAL;
	bool going = add(m, &root);
	m->is_library = was_library;
	return going;
}

/** [start, end), in no variable: by sections. */
static bool tell_data(struct module_roots *m, uint64_t start, uint64_t end)
{
	uint64_t bias = m->module->module->bias;
	while (start < end) {
		uint64_t stop;
		const char *name = elf_section_at(m->module, start - bias, &stop);
		stop += stop == UINT64_MAX ? 0 : bias;
		if (stop > end || stop <= start)
			stop = end;
		uint64_t whole =
			stop == end ? end : (stop + ROOT_WORD - 1) & ~(uint64_t)(ROOT_WORD - 1);
		struct root root = {
			.kind = ROOT_DATA,
			.thread = SIZE_MAX,
			.frame = SIZE_MAX,
			.module = m->module->index,
			.name = name ? name : "data",
			.address = start,
			.size_bytes = whole - start,
		};
		if (!roots_tell(m->roots, &root))
			return false;
		start = whole;
	}
	return true;
}

/** What is free of claims in a segment, and in no variable. */
static bool tell_segment(struct module_roots *m, const struct stretch *segment)
{
	struct stretch gap, free, usable;
	for (uint64_t at = segment->start; root_set_gap(&m->set, &at, segment->end, &gap);) {
		uint64_t start = gap.start;
		while (claims_free(&m->roots->claims, start, gap.end, &free)) {
			start = free.end;
			while (claims_free(&m->roots->holes, free.start, free.end, &usable)) {
				free.start = usable.end;
				if (!tell_data(m, usable.start, usable.end))
					return false;
			}
		}
	}
	return true;
}

/** Claims what is left of a segment. */
static bool claim_segment(struct roots *roots, const struct stretch *segment)
{
	struct stretch free;
	for (uint64_t at = segment->start; claims_free(&roots->claims, at, segment->end, &free);
	     at = free.end)
		if (!roots_claim(roots, free.start, free.end))
			return false;
	return true;
}

static void find_segments(struct module_roots *m)
{
	const struct strobe_view *view = m->roots->view;
	struct stretch segment;
	m->segment_count = 0;
	for (size_t i = 0;
	     m->segment_count < SEGMENT_LIMIT &&
	     view_module_data(view, m->module->index, i, &segment.start, &segment.end);
	     i++) {
		// To the end of the page: the dynamic loader allocates there.
		const struct strobe_mapping *last = strobe_view_mapping_at(view, segment.end - 1);
		uint64_t end = (segment.end + ROOT_PAGE - 1) & ~(uint64_t)(ROOT_PAGE - 1);
		if (last && last->end >= end)
			segment.end = end;
		struct stretch *before =
			m->segment_count ? &m->segments[m->segment_count - 1] : NULL;
		if (before && segment.start < before->end)
			segment.start = before->end; // damage, or the same page
		if (segment.start < segment.end)
			m->segments[m->segment_count++] = segment;
	}
}

static bool tell_module(struct module_roots *m)
{
	struct roots *roots = m->roots;
	root_set_clear(&m->set);
	m->is_library = is_c_library(m->module->module->name);
	find_segments(m);
	add_described(m);
	roots->short_of_memory |= !root_set_settle(&m->set);
	m->described = m->set.items.count;
	if (!roots->short_of_memory)
		elf_objects(m->module, add_symbol, m);
	roots->short_of_memory |= !root_set_settle(&m->set);
	bool going = !roots->short_of_memory;
	for (size_t i = 0; going && i < m->set.items.count; i++)
		going = roots_tell_item(roots, &m->set, &m->set.items.items[i]);
	for (size_t i = 0; going && i < m->segment_count; i++)
		going = tell_segment(m, &m->segments[i]) && claim_segment(roots, &m->segments[i]);
	return going;
}

bool roots_modules(struct roots *roots)
{
	struct module_roots m = {.roots = roots};
	size_t count = strobe_view_module_count(roots->view);
	bool going = true;
	for (size_t i = 0; going && i < count; i++) {
		m.module = symbols_module(roots->symbols, i);
		going = m.module ? tell_module(&m) : true;
	}
	root_set_fini(&m.set);
	return going;
}
