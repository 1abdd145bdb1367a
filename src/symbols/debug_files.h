// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_DEBUG_FILES_H
#define SYMBOLS_DEBUG_FILES_H

// Which files a module's debug information is in, for who takes them along.

#include <stdbool.h>
#include <strobe/symbols.h>

enum debug_file_kind {
	DEBUG_FILE_SEPARATE,  // with .debug_info, apart from the module
	DEBUG_FILE_ALTERNATE, // made by dwz
	DEBUG_FILE_COMPANION, // .dwo, .dwp
};

/** One of them. Return false to stop. */
typedef bool (*debug_file_visit)(void *context, enum debug_file_kind kind, const char *path);

/** Visits each file of module `index` once; opens what is not open yet. */
void symbols_debug_files(struct strobe_symbols *symbols, size_t index, debug_file_visit visit,
			 void *context);

#endif
