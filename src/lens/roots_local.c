// SPDX-License-Identifier: Apache-2.0
// Thread-locals: what modules have, once; then each thread's blocks, and the C library's structure of the thread.
#include "lens/roots_build.h"

#include <string.h>

#include "symbols/elf_objects.h"
#include "symbols/globals.h"

enum {
	THREAD_SIZE = 2304, // of glibc's struct pthread, where no symbol tells
	THREAD_SIZE_LIMIT = 65536,
	THREAD_PADDING = 4096, // behind it, to the end of its mapping
};

static bool add_local(struct roots *roots, struct root_local_module *module,
		      const struct root_local *local)
{
	if (local->name && local->size_bytes && local->offset < module->size_bytes &&
	    local->size_bytes <= module->size_bytes - local->offset &&
	    !array_push(&module->locals, *local))
		roots->short_of_memory = true;
	return !roots->short_of_memory;
}

static bool add_described(struct roots *roots, struct symbols_module *module,
			  struct root_local_module *ret)
{
	size_t count;
	const struct global *table = globals_thread_local(module, &count);
	for (size_t i = 0; i < count && !roots->short_of_memory; i++) {
		struct variable variable;
		struct root root = {0};
		if (!globals_variable(module, &table[i], &variable) ||
		    !roots_set_type(roots, &root, variable.type))
			continue;
		struct root_local local = {
			.name = globals_name(module, &table[i]),
			.type = root.type,
			.offset = table[i].address,
			.size_bytes = root.size_bytes,
		};
		add_local(roots, ret, &local);
	}
	return !roots->short_of_memory;
}

struct adding {
	struct roots *roots;
	struct root_local_module *module;
};

/** What a symbol table alone knows of. */
static bool add_symbol(void *context, const struct strobe_symbol *symbol)
{
	struct adding *adding = context;
	if (strcmp(symbol->type, "tls") != 0)
		return true;
	for (size_t i = 0; i < adding->module->locals.count; i++) {
		const struct root_local *other = &adding->module->locals.items[i];
		if (symbol->address < other->offset + other->size_bytes &&
		    other->offset < symbol->address + symbol->size_bytes)
			return true;
	}
	struct root_local local = {
		.name = symbol->name, .offset = symbol->address, .size_bytes = symbol->size_bytes};
	return add_local(adding->roots, adding->module, &local);
}

static bool keep_address(void *context, const struct strobe_symbol *symbol)
{
	*(uint64_t *)context = symbol->address;
	return false;
}

/** glibc tells debuggers how large its structure is. */
static uint64_t thread_size(const struct roots *roots)
{
	uint64_t at = 0, size;
	strobe_error_free(strobe_symbols_find(roots->symbols, STROBE_MATCH_EXACT,
					      "_thread_db_sizeof_pthread", NULL, keep_address,
					      &at));
	bool told = at && view_read_unsigned(roots->view, at, 4, &size) && size &&
		    size < THREAD_SIZE_LIMIT;
	return told ? size : THREAD_SIZE;
}

bool roots_local_prepare(struct roots *roots)
{
	size_t count = strobe_view_module_count(roots->view);
	roots->thread_size = thread_size(roots);
	for (size_t i = 0; i < count && !roots->short_of_memory; i++) {
		struct symbols_module *module = symbols_module(roots->symbols, i);
		struct root_local_module local = {.module = i};
		if (!module || !(local.size_bytes = globals_thread_block(module)) ||
		    local.size_bytes > ROOT_TLS_LIMIT ||
		    !tls_module_find(roots->symbols, module, &local.where))
			continue;
		if (!array_push(&roots->local_modules, local))
			return false;
		struct root_local_module *added =
			&roots->local_modules.items[roots->local_modules.count - 1];
		struct adding adding = {roots, added};
		if (add_described(roots, module, added))
			elf_objects(module, add_symbol, &adding);
	}
	return !roots->short_of_memory;
}

void roots_local_fini(struct roots *roots)
{
	for (size_t i = 0; i < roots->local_modules.count; i++)
		array_fini(&roots->local_modules.items[i].locals);
	array_fini(&roots->local_modules);
}

void roots_thread_area(struct roots *roots, size_t thread_index, struct root_thread_area *ret)
{
	uint64_t pointer, block;
	*ret = (struct root_thread_area){0};
	if (!tls_thread_pointer(roots->view, thread_index, &pointer) || pointer % ROOT_WORD)
		return;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(roots->view, pointer);
	if (!mapping)
		return;
	*ret = (struct root_thread_area){pointer, pointer, pointer};
	for (size_t i = 0; i < roots->local_modules.count; i++)
		if (tls_block(roots->view, pointer, &roots->local_modules.items[i].where, &block) &&
		    block < ret->start && block >= mapping->start &&
		    pointer - block <= ROOT_TLS_LIMIT)
			ret->start = block & ~(uint64_t)(ROOT_WORD - 1);
	uint64_t end = pointer + roots->thread_size;
	if (end > mapping->end)
		end = mapping->end;
	// A thread's own mapping ends with it, but for padding; the main thread's holds other things.
	uint64_t sp = strobe_view_thread(roots->view, thread_index)->sp;
	if (mapping->end - end <= THREAD_PADDING && sp >= mapping->start && sp < pointer)
		end = mapping->end;
	if (!roots_is_free(roots, ret->start, pointer + ROOT_WORD))
		*ret = (struct root_thread_area){0};
	else
		ret->end = roots_free_end(roots, pointer, end);
}

/** The variables of one module's block of one thread, added to the set: in memory if `free`. */
static bool add_block(struct roots *roots, struct root_set *set, size_t thread,
		      const struct root_local_module *module, uint64_t block, bool free)
{
	for (size_t i = 0; i < module->locals.count; i++) {
		const struct root_local *local = &module->locals.items[i];
		struct root root = {
			.kind = ROOT_THREAD_LOCAL,
			.thread = thread,
			.frame = SIZE_MAX,
			.module = module->module,
			.name = local->name,
			.type = local->type,
			.address = block + local->offset,
			.size_bytes = local->size_bytes,
		};
		if ((free || roots_take_words(roots, &root)) && !root_set_add(set, &root))
			roots->short_of_memory = true;
	}
	return !roots->short_of_memory;
}

static bool tell_rest(struct roots *roots, const struct root_set *set, size_t thread,
		      const char *name, uint64_t start, uint64_t end)
{
	struct stretch gap;
	while (root_set_gap(set, &start, end, &gap)) {
		struct root root = {
			.kind = ROOT_LIBRARY,
			.thread = thread,
			.frame = SIZE_MAX,
			.module = SIZE_MAX,
			.name = name,
			.address = gap.start,
			.size_bytes = gap.end - gap.start,
		};
		if (!roots_tell(roots, &root))
			return false;
	}
	return true;
}

bool roots_thread_locals(struct roots *roots, size_t thread_index,
			 const struct root_thread_area *area)
{
	struct root_set set = {0};
	ARRAY(struct stretch) blocks = {0};
	bool good = true;
	if (area->end)
		good = roots_claim(roots, area->start, area->end) &&
		       array_push(&blocks, (struct stretch){area->start, area->pointer});
	for (size_t i = 0; good && i < roots->local_modules.count; i++) {
		const struct root_local_module *module = &roots->local_modules.items[i];
		uint64_t pointer, block;
		if (!tls_thread_pointer(roots->view, thread_index, &pointer) ||
		    !tls_block(roots->view, pointer, &module->where, &block))
			continue;
		bool inside = block >= area->start && block < area->pointer &&
			      module->size_bytes <= area->pointer - block;
		bool own = !inside && roots_is_free(roots, block, block + module->size_bytes);
		if (own)
			good = roots_claim(roots, block, block + module->size_bytes) &&
			       array_push(&blocks,
					  (struct stretch){block, block + module->size_bytes});
		good = good && add_block(roots, &set, thread_index, module, block, inside || own);
	}
	if (!good || !root_set_settle(&set))
		roots->short_of_memory = true;
	good = !roots->short_of_memory;
	for (size_t i = 0; good && i < set.items.count; i++)
		good = roots_tell_item(roots, &set, &set.items.items[i]);
	for (size_t i = 0; good && i < blocks.count; i++)
		good = tell_rest(roots, &set, thread_index, "thread-local storage",
				 blocks.items[i].start, blocks.items[i].end);
	if (good && area->end)
		good = tell_rest(roots, &set, thread_index, "struct pthread", area->pointer,
				 area->end);
	root_set_fini(&set);
	array_fini(&blocks);
	return good;
}
