// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_WALKING_H
#define GRAPH_WALKING_H

// The walk, as its parts share it: walk.c has the rounds, claims.c what one reference does to the node that it leads to, and
// how the claims of a round become types.

#include "graph/building.h"
#include "graph/object.h"

enum {
	// References are put by where they lead, and looked up a bin at a time: what is read of the tables of all nodes is
	// then near to each other.
	BIN_COUNT = 64,
	BIN_SHIFT = 24, // 16 MiB
	BIN_SIZE = 128,
	AHEAD = 16,	   // objects whose memory is asked for before they are walked
	LIST_LIMIT = 4096, // nodes of a round that one thread does without asking the others
	PART = 1 << 16,	   // nodes that a thread takes at once
	CLAIM_SHIFT = 24,  // a claim: evidence above, the type's rank below
	CLAIM_RANK = (1 << CLAIM_SHIFT) - 1,
};

/** What the walk wants to know of a type. */
struct walk_type {
	uint32_t rank; // larger types have higher ranks; of equal ones, those with lower ids
	uint32_t vtable_offset; // UINT32_MAX: none
	uint64_t size_bytes;
	const struct plan *plan;
	bool simple;   // see chain.c
	bool guesses;  // it may have parts that are scanned
	bool may_link; // it is a structure: perhaps a member of what is allocated
	bool links;    // ... and what has it as a member is known
};

/** A reference on its way to its node. */
struct walk_reference {
	uint64_t target;
	uint64_t count;
	uint32_t entry; // of locate; then the node
	uint32_t type;
	uint32_t from;
	uint8_t evidence; // 0 = it says nothing of a type
	bool reachable, precise;
	bool start;  // it leads to where its node begins; false: perhaps
	bool rescue; // a word that is no pointer by its object's type
};

/** An element count for a node, if it becomes of that type. */
struct walk_count {
	uint32_t node, type;
	uint64_t count;
};

struct walk;

/** One thread's part. */
struct walker {
	struct walk *walk;
	unsigned number;
	struct graph_reader *reader;
	struct graph_reader *probe; // for what is looked at while an object is walked
	struct lens_memory memory;
	struct walk_reference *bins; // BIN_COUNT * BIN_SIZE
	uint64_t filled;	     // a bit a bin that is not empty
	uint16_t in_bin[BIN_COUNT];
	uint32_t from; // the object that is walked
	bool rescue;   // ... for words that are no pointers
	bool reachable, precise;
	uint32_t list[LIST_LIMIT];
	uint64_t found;		       // nodes of the next round, those in the list first
	uint64_t walked, walked_bytes; // bytes of what was
	bool retyped;
	ARRAY(struct walk_count) counts;
	ARRAY(struct walk_count) singles; // of what has room for more; exact counts are better
	ARRAY(uint64_t) unknown;	  // virtual tables and handlers that the lens must look up
	uint64_t *
		links; // a bit a type: pointers to it lead into blocks that are not of it, and `links` is not set
	ARRAY(uint32_t) pending; // nodes that wait for them
	bool short_of_memory;
};

struct walk {
	struct build *build;
	const struct lens *lens;
	uint32_t *types, *claims;
	uint64_t low, high; // of all nodes
	struct walk_type *by_id;
	uint32_t *by_rank;
	uint32_t type_count;  // with 0
	uint64_t *now, *next; // a bit a node
	size_t bitmap_size;   // bytes
	bool precise;	      // typed references alone
	bool guesses_alone;   // typed references are not looked at
	bool rescuing;	// words of what is typed are looked at, too: for what nothing else leads to
	uint64_t *lost; // a bit a node that was not reached before that
	unsigned walker_count;
	struct walker *walkers;
	uint32_t list[LIST_LIMIT]; // of this round, if it is short
	uint64_t rounds;
	uint64_t limit;	  // of what all rounds of one walk may cost: see walked()
	const char *what; // for progress
	double done;
};

struct strobe_error *walk_init(struct walk *walk, struct build *build) STROBE_MUST_CHECK;
void walk_fini(struct walk *walk);
/** Rounds until nothing new is found. The first has all nodes of `next`'s bits. */
struct strobe_error *walk_rounds(struct walk *walk) STROBE_MUST_CHECK;

// plural.c

/** May a block that has room for several objects of `type` be an array of them, by what is in it? Not while an object is
 *  walked. */
bool plural_is_array(struct walker *walker, uint32_t node, uint32_t type);

// chain.c

enum { CHAIN_LIMIT = 1 << 20 };
/** Can its references be followed by chain_follow()? */
bool chain_is_simple(const struct lens_type *type);
/** Does rounds of one node, `node` first, whose type is decided, as long as they are simple; by types alone. The node of
 *  the round that is not; 0: the last one has led to other nodes, or to none, and they are found. */
uint32_t chain_follow(struct walker *walker, uint32_t node);

// infer.c

/** Looks for types of blocks that have none, by others like them; `*ret`: some were found, and are claims of the next
 *  round. */
struct strobe_error *walk_infer(struct walk *walk, bool *ret) STROBE_MUST_CHECK;

// claims.c

/** Makes the table of types anew: they have become more. Errors: NO_MEMORY. */
struct strobe_error *walk_types_update(struct walk *walk) STROBE_MUST_CHECK;
uint32_t walk_claim_of(const struct walk *walk, uint32_t word);
/** Looks for what has the types as members that led into untyped blocks since the last time; `*ret`: something is known that
 *  was not. */
struct strobe_error *walk_learn_links(struct walk *walk, bool *ret) STROBE_MUST_CHECK;
/** A visitor of references; its context is a walker. */
bool walk_visit(void *context, const struct lens_reference *reference);
/** Does what the references that were visited say. */
void walk_flush(struct walker *walker);
/** Decides the type of a node that the last round found. */
void walk_decide(struct walker *walker, uint32_t node);
/** Puts a node into the next round. */
void walk_push(struct walker *walker, uint32_t node);
/** The claim of a virtual table at `address`, which `node` should begin with; 0 if there is none. Tables that are not known
 *  yet are put down, and `*unknown` is set. */
uint32_t walk_vtable_claim(struct walker *walker, uint32_t node, uint64_t address, bool *unknown);

#endif
