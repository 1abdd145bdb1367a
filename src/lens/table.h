// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_TABLE_H
#define LENS_TABLE_H

// The table of types that a lens is, for the files of this folder.

#include "base/arena.h"
#include "base/array.h"
#include "base/hash.h"
#include "lens/plan_builder.h"

enum { LENS_PAGE_SHIFT = 10, LENS_PAGE_SIZE = 1 << LENS_PAGE_SHIFT };

/** A type with what its lens knows. It stays where it is. */
struct lens_entry {
	struct lens_type type;
	struct plan plan;
	uint32_t id;
	uint32_t next;	 // of the same fingerprint; 0 = the last
	const char *key; // its name without "struct"; what types of several units are the same by
	uint64_t fingerprint;					       // of kind, name and layout
	void (*build)(struct plan_builder *builder, const void *data); // of the lens's own types
	void (*place_name)(struct lens *lens, const void *data, uint64_t offset, struct text *ret);
	const void *data;
	bool flexible; // its last member takes what is left of the object
	bool plain;    // its steps are pointers of known type within its size, to others
	bool storage;  // characters: memory in which anything may be
	bool holds;    // some of its steps may find words that lens_learn() must look up
};

/** What a function tells that handles values of any type. */
struct known_held {
	uint32_t type; // 0: it is no such function, or the type is not described
	bool inside;   // the value stands in the holder itself
	bool empty;    // ... or there is none
};

/** A stretch of a module's memory where virtual tables may be. */
struct lens_range {
	uint64_t start, end;
};

/** Invariants: ids are dense; entries below `compiled` have plans, whose types' ids are <= count. */
struct lens {
	struct strobe_symbols *symbols;
	struct arena arena;
	struct lens_entry *pages[LENS_TYPE_LIMIT >> LENS_PAGE_SHIFT];
	uint32_t count;
	uint32_t compiled;	       // types with ids up to this one
	bool failed;		       // memory was short since lens_compile() told so
	struct hash by_type;	       // struct type -> its entry
	struct hash by_key;	       // fingerprint -> first entry with it
	struct hash by_name;	       // hash of a name -> the first entry called so
	uint32_t named;		       // types that are in it
	struct hash alignments;	       // struct type -> its alignment, in bytes
	struct hash extents;	       // struct type -> bytes that it takes as a base, plus 1
	struct hash vtables;	       // address -> struct known_vtable (vtables.c)
	struct hash held;	       // address of a handler -> struct known_held
	uint64_t code_begin, code_end; // of all modules
	struct lens_range *ranges;     // where virtual tables may be: sorted
	size_t range_count;
	struct links *links; // containers_of.c
};

static inline struct lens_entry *lens_entry(const struct lens *lens, uint32_t id)
{
	return &lens->pages[id >> LENS_PAGE_SHIFT][id & (LENS_PAGE_SIZE - 1)];
}

/** Makes a type of the fingerprint's; its entry, or NULL when memory or ids are short. */
struct lens_entry *lens_add(struct lens *lens, const char *key, uint64_t fingerprint);
/** The entry with that fingerprint and key; NULL if there is none. */
struct lens_entry *lens_lookup(const struct lens *lens, const char *key, uint64_t fingerprint);
/** lens_type_id() of a type that may have no name of its own: then it has that of a typedef, `alias`, if that is one. */
uint32_t lens_type_id_as(struct lens *lens, struct type *type, const char *alias);
/** Alignment that the members of `type` tell, in bytes: 1 where they tell none. */
unsigned lens_alignment(struct lens *lens, struct type *type);
/** Whether values of the (stripped) type are memory in which anything may be: characters, std::byte. */
bool lens_is_storage(const struct type *type);
/** Bytes that a member (not static, nor a virtual base) takes; 0 if it has no bounds. */
uint64_t lens_member_extent(struct lens *lens, const struct type_member *member);
/** The steps of the whole object of `type` (plan_compile.c). */
void plan_object(struct plan_builder *builder, struct type *type);
/** Finds where virtual tables may be. */
struct strobe_error *lens_find_ranges(struct lens *lens) STROBE_MUST_CHECK;
/** Whether something may be code of a module, by its address. */
static inline bool lens_may_be_code(const struct lens *lens, uint64_t address)
{
	return address >= lens->code_begin && address < lens->code_end;
}
/** What a handler is of (cplus_held.c), and the step that asks. */
void cplus_held_look_up(struct lens *lens, uint64_t handler, struct known_held *ret);
void cplus_held_walk(const struct lens *lens, const struct lens_memory *memory,
		     const struct plan_step *step, uint64_t address, const uint8_t *bytes,
		     uint64_t size_bytes,
		     bool (*visit)(void *context, const struct lens_reference *reference),
		     void *context);
struct links *links_free(struct links *links);

#endif
