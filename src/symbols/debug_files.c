// SPDX-License-Identifier: Apache-2.0
#include "symbols/debug_files.h"

#include <string.h>

#include "symbols/module.h"
#include "symbols/split.h"
#include "symbols/unit.h"

/** The files of split units, each of which may hold several. */
static bool visit_companions(struct symbols_module *module, debug_file_visit visit, void *context)
{
	struct hash seen = {0};
	bool go_on = true;
	for (size_t i = 0; go_on && i < unit_count(module); i++) {
		struct unit *unit = unit_get(module, i);
		const char *path = unit && unit->split_file ? unit->split_file->path : NULL;
		if (!path)
			continue;
		uint64_t key = hash_bytes(path, strlen(path));
		const char *known = hash_get(&seen, key);
		if (known && strcmp(known, path) == 0)
			continue;
		// Short of memory, a file is told more than once.
		(void)hash_put(&seen, key, (void *)path);
		go_on = visit(context, DEBUG_FILE_COMPANION, path);
	}
	hash_fini(&seen);
	return go_on;
}

void symbols_debug_files(struct strobe_symbols *symbols, size_t index, debug_file_visit visit,
			 void *context)
{
	struct symbols_module *module = symbols_module(symbols, index);
	if (!module)
		return;
	bool go_on = !module->debug_file ||
		     visit(context, DEBUG_FILE_SEPARATE, module->debug_file->path);
	if (go_on && module->alternate_file)
		go_on = visit(context, DEBUG_FILE_ALTERNATE, module->alternate_file->path);
	if (go_on && module->dwarf)
		visit_companions(module, visit, context);
}
