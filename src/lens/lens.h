// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_LENS_H
#define LENS_LENS_H

// A lens reads the objects and frames of one language out of a view. It knows types as *plans*: compiled once from
// debug information, run for every object, by several threads. C and C++ are the first (c_*.c, cplus_*.c); another
// language adds its own types, roots and plans to the same table and finds the rest ready.

#include "lens/plan.h"
#include "symbols/type.h"
#include "base/text.h"

struct strobe_symbols;
struct lens;

/** Target memory as the walk reads it, from several threads at once: bytes at `address`, `*available` of them in a row
 *  (at least 1), valid until the next call by the same thread with the same `reader`; NULL if unreadable. */
struct lens_memory {
	const uint8_t *(*at)(void *reader, uint64_t address, size_t *available);
	void *reader; // one a thread
};

/** How sure an object's type is; higher is surer. Also what a reference says of its target. */
enum lens_evidence {
	EVIDENCE_NONE,	// untyped
	EVIDENCE_ALIKE, // of the size and shape of others of that type
	EVIDENCE_LINK,	// something points at a member that only this type has there: container_of
	EVIDENCE_POINTER,  // a typed pointer leads to its start
	EVIDENCE_VTABLE,   // its pointer to a virtual table says so
	EVIDENCE_DECLARED, // a variable of that type
};
const char *lens_evidence_name(
	enum lens_evidence
		evidence); // "none", "alike", "link", "pointer", "virtual table", "declared"

/** Ids of types: dense, from 1 on; 0 = untyped. 24 bits. */
enum { LENS_TYPE_NONE = 0, LENS_TYPE_LIMIT = 1 << 24 };

/** A type of objects. */
struct lens_type {
	const char *name;     // as people write it: "struct conn", "std::vector<int>"; never NULL
	const char *language; // "C", "C++"
	uint64_t size_bytes;  // of one; 0 = unknown
	struct type *type;    // its description; NULL for types that are the lens's own
	const struct plan *plan; // NULL until lens_compile(); then never NULL
	uint64_t
		vtable_offset; // where the object has its pointer to a virtual table; UINT64_MAX = it has none
};

/** One reference that an object holds. */
struct lens_reference {
	uint64_t offset; // in the object, of the word that holds it
	uint64_t target; // address; as stored, less the tag's bits
	uint32_t type;	 // of what is there, by what the referrer knows; 0 = nothing
	uint64_t
		count; // elements of that type there; 0 = as many as the block holds; LENS_COUNT_NONE = none yet
	uint8_t evidence; // enum lens_evidence, of `type`
	bool guessed;	  // found by scanning words, not by a type
	bool maybe;	  // a member of a union: one of several readings
	bool code;	  // points to a function: a leaf
	bool tagged;	  // tag bits were taken off
	bool outside; // the word is not in the object itself but in memory that it describes (see plan.h)
	bool unknown; // what is there depends on a word, `target`, that lens_learn() must look up first; `code` is set
};
/** Space for elements that a container holds but does not use: its block has a type and nothing in it. */
#define LENS_COUNT_NONE UINT64_MAX
/** Called for each reference, in a fixed order for fixed memory; return false to stop. Does not read with the walk's own
 *  `reader`: what that returned last is still in use. */
typedef bool (*lens_visit)(void *context, const struct lens_reference *reference);

struct strobe_error *lens_new(struct strobe_symbols *symbols, struct lens **ret) STROBE_MUST_CHECK;
struct lens *lens_free(struct lens *lens);
struct strobe_symbols *lens_symbols(const struct lens *lens);

// One thread at a time may call what follows, none of the others meanwhile.

/** The id of a type, registered when it is new; typedefs and qualifiers stripped; types that are the same by name and
 *  layout in several units or modules have one id. 0 for void, incomplete types, or when memory is short. */
uint32_t lens_type_id(struct lens *lens, struct type *type);
/** Compiles all registered types, and all that they lead to, until there is nothing new. */
struct strobe_error *lens_compile(struct lens *lens) STROBE_MUST_CHECK;
/** Looks up virtual tables that lens_vtable_type() did not know, and what references said is unknown; registers and compiles
 *  their types. */
struct strobe_error *lens_learn(struct lens *lens, const uint64_t *words, size_t count)
	STROBE_MUST_CHECK;
/** The same of all that a walk of that object (as lens_walk()) would find unknown. */
struct strobe_error *lens_learn_object(struct lens *lens, const struct lens_memory *memory,
				       uint32_t type, uint64_t address, uint64_t size_bytes,
				       uint64_t count) STROBE_MUST_CHECK;
/** Looks through all debug information for structures that have a member of one of the types `links` and are larger
 *  than that, registers and compiles them: for container_of. What it found for others before stays. */
struct strobe_error *lens_learn_links(struct lens *lens, const uint32_t *links, size_t count)
	STROBE_MUST_CHECK;
/** The type that a stored graph called `name`, of a module (SIZE_MAX: not told) with its DIE at `offset`: see
 *  graph/store; 0 if it is not found. */
uint32_t lens_type_find(struct lens *lens, const char *name, size_t module_index, uint64_t offset,
			bool in_types);

// Any number of threads may call what follows at once.

uint32_t lens_type_count(const struct lens *lens); // ids are 1 to count
const struct lens_type *lens_type(const struct lens *lens, uint32_t id);
/** Whether its last member takes what is left of an object, which is then one of it, however long. */
bool lens_type_is_open(const struct lens *lens, uint32_t id);
/** The class of a virtual table; false if it is not known yet: collect it for lens_learn(). `*ret` is 0 where it
 *  is known to be none. `*offset_to_top` (bytes, >= 0) is how far the whole object begins before the pointer. */
bool lens_vtable_type(const struct lens *lens, uint64_t vtable, uint32_t *ret,
		      uint64_t *offset_to_top);
/** Whether something may be a virtual table at all, by its address: cheap. */
bool lens_may_be_vtable(const struct lens *lens, uint64_t address);

/** The types that have a member of type `link` at `offset` (bytes; in structures and arrays in them, too), of those that
 *  lens_learn_links() found: small ones first. The list is borrowed until that is called again. */
size_t lens_containers(const struct lens *lens, uint32_t link, uint64_t offset,
		       const uint32_t **ret);
/** The one of them that an allocation of `size_bytes` was made for: the largest that fits, if what is left is what
 *  allocators round up by. 0 if there is none, or several are as large. */
uint32_t lens_container_of(const struct lens *lens, uint32_t link, uint64_t offset,
			   uint64_t size_bytes);

/**
 * Visits the references of the object at `address`: `size_bytes` long, `count` elements of `type` (0: as many as fit;
 * LENS_COUNT_NONE: none, and nothing is visited).
 * Behind its last element, where 16 bytes or more are left (less is allocators' rounding), and for type 0 everywhere,
 * words are visited as guesses, unless `precise`: then only what types tell. Unreadable parts are skipped; `*unreadable` (may be NULL) counts their bytes.
 */
void lens_walk(const struct lens *lens, const struct lens_memory *memory, uint32_t type,
	       uint64_t address, uint64_t size_bytes, uint64_t count, bool precise,
	       lens_visit visit, void *context, uint64_t *unreadable);

/** The name of the place at `offset` of an object of `type` at `address` (0: not known), as it continues a path: ".next",
 *  ".buffers[3]", "[2].key"; "+0x18" where no type tells. One thread at a time. */
void lens_place_name(struct lens *lens, uint32_t type, uint64_t address, uint64_t offset,
		     struct text *ret);

#endif
