// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_NATIVE_H
#define TRACEPOINT_NATIVE_H

// A native program as its hits are looked at: for the native_*.c files alone.

#include "base/arena.h"
#include "base/hash.h"
#include "tracepoint/native_scope.h"

struct code_map;
struct lazy_source;
struct strobe_view;

/** Addresses of functions that were looked for. */
struct native_addresses {
	uint64_t *items;
	size_t count;
	bool known; // since modules came or went
};

/**
 * Invariants: `view` has one thread, whose registers are `registers`; memory that no hit brought is read from the process when it is
 * looked at, and forgotten when the scope closes. `open` is the one scope there is.
 */
struct native_program {
	int pid, memory;		  // /proc/PID/mem
	const struct lazy_source *source; // the same, of the view
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct code_map *code;				// of the view, made when it is first needed
	struct native_addresses personalities, raisers; // native_exception.c
	struct hash with_text; // std::type_info of exceptions that have a text; values are not NULL
	uint8_t registers[27 * 8]; // struct user_regs_struct
	uint64_t maps_hash;
	char *root; // what file names are shortened by; NULL = nothing
	const char *const *include, *const *exclude;
	struct native_scope *open;
	struct arena places_arena;
	struct native_place *places;
	size_t place_count, place_capacity;
};

/** Memory that was mapped since the view was made (stacks of new threads, a larger heap) is taken in. */
struct strobe_error *native_program_extend(struct native_program *program) STROBE_MUST_CHECK;
/** Files of the application itself, by the options and the program's own source directory. */
bool native_is_app_frame(const struct native_program *program, const char *file,
			 size_t module_index);
/** The file's name less the application's root. */
const char *native_short_path(const struct native_program *program, const char *file);

#endif
