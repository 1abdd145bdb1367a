// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_ROOTS_BUILD_H
#define LENS_ROOTS_BUILD_H

// One run of lens_roots(), as its parts share it: threads with their stacks and thread-locals, modules, mappings.

#include "base/hash.h"
#include "lens/roots.h"
#include "lens/roots_claims.h"
#include "lens/roots_set.h"
#include "symbols/module.h"
#include "value/tls.h"
#include "value/value.h"

/** Named limits. */
enum {
	ROOT_VALUE_LIMIT = 1 << 20, // bytes of a variable that are kept as words
	ROOT_WORD = 8,
	ROOT_TLS_LIMIT = 1 << 20, // that a thread's block reaches below its thread pointer
	ROOT_PAGE = 4096,
};

/** Stack memory below a stack pointer, down to `floor` at most: dead. */
struct root_dead {
	uint64_t floor, end;
};

/** A thread-local variable of a module, or what its symbol table knows of one. */
struct root_local {
	const char *name;
	uint32_t type;
	uint64_t offset, size_bytes; // in the module's block
};

/** A module that has thread-locals. */
struct root_local_module {
	size_t module;
	uint64_t size_bytes; // of the block
	struct tls_module where;
	ARRAY(struct root_local) locals;
};

struct roots {
	struct lens *lens;
	struct strobe_symbols *symbols;
	const struct strobe_view *view;
	const struct root_options *options;
	root_visit visit;
	void *context;
	bool stopped;	      // by who visits
	bool short_of_memory; // nothing is told any more
	struct claims claims; // memory that was told, or is dead
	struct claims holes;
	struct hash type_ids;		// struct type -> id + 1
	ARRAY(uint64_t) stack_pointers; // of all threads, sorted
	ARRAY(struct root_dead) dead;
	ARRAY(struct root_local_module) local_modules;
	uint64_t thread_size; // of the C library's struct pthread
};

/** A thread's memory above its stack: thread-locals, and behind them the C library's structure. All 0 if unknown. */
struct root_thread_area {
	uint64_t start, pointer, end;
};

// roots.c
/** Sets the type and size of a variable's root. Of a class that is described nowhere the first word has its name, and no
 *  type. False if it has no size. */
bool roots_set_type(struct roots *roots, struct root *root, struct type *type);
/** Tells a root. False: it is over. */
bool roots_tell(struct roots *roots, const struct root *root);
/** Tells an item of a settled set as what it became: with its own memory, its owner's, or as words. */
bool roots_tell_item(struct roots *roots, const struct root_set *set, const struct root_item *item);
/** Makes a root in memory one that is in none: its bytes are read, those that cannot be are 0. False if none can be. */
bool roots_take_words(struct roots *roots, struct root *root);
/** `size` bytes as words; NULL when memory is short. They live as long as the symbols. */
uint64_t *roots_words(struct roots *roots, size_t size);
/** Is all of [start, end) free of claims and holes? */
bool roots_is_free(const struct roots *roots, uint64_t start, uint64_t end);
bool roots_is_hole(const struct roots *roots, uint64_t address);
/** The end of what is free from `address` on, at most `end`. */
uint64_t roots_free_end(const struct roots *roots, uint64_t address, uint64_t end);
bool roots_claim(struct roots *roots, uint64_t start, uint64_t end);

// roots_threads.c
bool roots_threads(struct roots *roots);
// roots_local.c
bool roots_local_prepare(struct roots *roots);
void roots_local_fini(struct roots *roots);
void roots_thread_area(struct roots *roots, size_t thread_index, struct root_thread_area *ret);
/** Tells a thread's thread-locals, the rest of their blocks, and its structure. */
bool roots_thread_locals(struct roots *roots, size_t thread_index,
			 const struct root_thread_area *area);
// roots_modules.c
bool roots_modules(struct roots *roots);
/** What the C library's variable of that name is to people: "environment", "atexit", "stdio"; NULL for others. */
const char *roots_library_name(const char *variable);
// roots_mappings.c
bool roots_mappings(struct roots *roots);

#endif
