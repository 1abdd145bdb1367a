// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_CPLUS_H
#define LENS_CPLUS_H

// What the standard libraries of C++ are made of, by the names and members that debug information gives: for the
// cplus_*.c files alone. Layouts: libstdc++ of GCC 5 to 14 (old strings too), libc++ of LLVM 11 to 19.

#include "lens/plan_builder.h"

/** A member, however deep, and where it is. */
struct cplus_member {
	struct type *type; // stripped
	uint64_t offset;
};
/** The member at `path` ("_M_impl._M_start"), each name also looked for in base classes. False if there is none. */
bool cplus_find(struct strobe_symbols *symbols, struct type *type, const char *path,
		struct cplus_member *ret);
/** The template's name without arguments, and without the library's namespaces: "vector" of "std::__cxx11::vector<int>". 0 if it
 *  is of no standard library; else the size of the name at `*ret`. */
size_t cplus_template_name(const struct type *type, const char **ret);
/** Size of a stripped type; 0 if not known. */
uint64_t cplus_size(struct strobe_symbols *symbols, struct type *type);
/** Type argument `index`, stripped; NULL if there is none. */
struct type *cplus_argument(struct strobe_symbols *symbols, struct type *type, size_t index);

/** Adds a pointer that leads to a `type` (an id), if that is what is there: a link of a list, which ends where it began. */
void cplus_link(struct plan_builder *builder, uint64_t offset, uint32_t type, bool maybe);
/** Adds a pointer at `offset` to elements of `type` up to the address in the word at `end`. */
void cplus_elements(struct plan_builder *builder, uint64_t offset, uint64_t end, struct type *type,
		    bool maybe);
/** Adds a pointer at `offset` to as many of type `id` as the word at `count` says; not if they are in the object itself. */
void cplus_counted(struct plan_builder *builder, uint64_t offset, uint64_t count, uint32_t id,
		   bool maybe);

/** How places in a class are called. A row ends with NULL. */
struct cplus_place {
	const char *path; // of a member
	const char *name; // "" = go on in the member
};
/** A class of a library: how its references are found, and what they are called. */
struct cplus_class {
	const char *name;
	/** Adds steps; false if the class is not as expected: then its members are walked as those of any class. */
	bool (*plan)(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe);
	const struct cplus_place *places; // may be NULL
	/** The value that stands at `*offset` of the class; NULL = none. May be NULL. */
	struct type *(*value)(struct strobe_symbols *symbols, struct type *type, uint64_t *offset);
};
extern const struct cplus_class cplus_libstdcxx[]; // ends with a NULL name
extern const struct cplus_class cplus_libcxx[];

/** Reads `size` bytes while an object is walked; false if they are not all there. */
bool cplus_read(const struct lens_memory *memory, uint64_t address, void *buffer, size_t size);

// cplus_deque.c

/** std::deque of libstdc++, and of libc++, which has its map in a split buffer. */
bool cplus_deque_plan(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe);
bool cplus_split_deque_plan(struct plan_builder *builder, struct type *type, uint64_t offset,
			    bool maybe);

// cplus_choices.c

/** As cplus_container(), cplus_content() and cplus_place_name(), for what is there at times. */
bool cplus_choice_plan(struct plan_builder *builder, struct type *type, uint64_t offset,
		       bool maybe);
bool cplus_choice_content(struct lens *lens, struct type *type, uint64_t address,
			  struct cplus_content *ret);
bool cplus_choice_possible(struct lens *lens, struct type *type, size_t index, struct type **ret);
bool cplus_choice_place_name(struct lens *lens, struct type *type, uint64_t address,
			     uint64_t offset, struct text *ret);

// cplus_held.c

/** The same for what is held in std::function and the like. */
bool cplus_held_plan(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe);
bool cplus_held_content(struct lens *lens, struct type *type, uint64_t address,
			struct cplus_content *ret);
bool cplus_held_possible(struct lens *lens, struct type *type);
bool cplus_held_place_name(struct lens *lens, struct type *type, uint64_t address, uint64_t offset,
			   struct text *ret);

#endif
