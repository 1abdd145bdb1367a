// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_PLAN_BUILDER_H
#define LENS_PLAN_BUILDER_H

// Compiling a plan, step by step. For the lenses; one thread.

#include "lens/lens.h"

struct plan_builder;

struct lens *plan_lens(const struct plan_builder *builder);
struct strobe_symbols *plan_symbols(const struct plan_builder *builder);
/** The offset, in the object, that structures being compiled now begin at; steps' offsets are counted from there. */
uint64_t plan_base(const struct plan_builder *builder);

/** Adds a step, `step->offset` from plan_base() on; its number. SIZE_MAX past PLAN_STEP_LIMIT (what is left is then scanned) or
 *  when memory is short, which lens_compile() reports. */
size_t plan_add(struct plan_builder *builder, const struct plan_step *step);
/** Ends the span of a PLAN_REPEAT, PLAN_FLEXIBLE or PLAN_IF: all steps added since are its own. */
void plan_end(struct plan_builder *builder, size_t number);
/** Adds the steps of a value of `type` at `offset` from plan_base(): of any type; containers are recognised in it too. */
void plan_value(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe);
/** Adds a scan of `size_bytes` at `offset`. */
void plan_scan(struct plan_builder *builder, uint64_t offset, uint64_t size_bytes);
/** The id of the type that a step points to. */
uint32_t plan_type(struct plan_builder *builder, struct type *type);
/** A type that debug information does not describe: a lens's own. */
struct lens_own_type {
	const char *name;     // copied
	const char *language; // a literal: "Python"
	uint64_t size_bytes;  // of one; 0 = an object is always one
	void (*build)(struct plan_builder *builder, const void *data); // adds its steps
	/** Names the place at `offset` of one, as lens_place_name() does. NULL: no place has a name. One thread. */
	void (*place_name)(struct lens *lens, const void *data, uint64_t offset, struct text *ret);
	const void *data; // lives as long as the lens
};
/** Its id, one a name; it is compiled with the others. May be called whenever lens_type_id() may. 0 when memory is short,
 *  which lens_compile() reports. */
uint32_t lens_own_type(struct lens *lens, const struct lens_own_type *own);
/** The id of a type that is the lens's own, made by `build` when it is compiled; one a name. `data` lives as long as the lens. */
uint32_t plan_own_type(struct plan_builder *builder, const char *name, uint64_t size_bytes,
		       void (*build)(struct plan_builder *builder, const void *data),
		       const void *data);
/** Memory that lives as long as the lens; NULL when it is short. */
void *plan_memory(struct plan_builder *builder, size_t size);

/**
 * Recognises a container or another class of a standard library of C++ (libstdc++, libc++) in `type` and adds steps for what
 * it contains, in place of its members' (cplus_containers.c). False: it is none, and nothing was added.
 */
bool cplus_container(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe);
/** A value in a class where its members tell of none, or of one that is there at times. */
struct cplus_content {
	struct type *type; // NULL: there is none now
	uint64_t offset;
	const char *called; // how a path goes on: ".value"
};
/** Whether the class at `address` is one of those, and what stands in it (cplus_containers.c); false: its members tell. One
 *  thread. What memory was short for, lens_compile() reports. */
bool cplus_content(struct lens *lens, struct type *type, uint64_t address,
		   struct cplus_content *ret);
/** The types that cplus_content() may tell of, by number; false past the last. `*ret` is NULL where it may be any. */
bool cplus_possible_content(struct lens *lens, struct type *type, size_t index, struct type **ret);
/** Whether `type` is the link of a container's nodes and no more (_List_node_base): a pointer to one says nothing of what is
 *  there. */
bool cplus_is_link(const struct type *type);
/** The same for names of places in one at `address` (0: not known): "[3]", "[\"key\"]", ".first"; false: it is none. One
 *  thread. */
bool cplus_place_name(struct lens *lens, struct type *type, uint64_t address, uint64_t offset,
		      struct text *ret);

#endif
