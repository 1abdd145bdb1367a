// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_DIFF_H
#define STROBE_DIFF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/stack.h>
#include <strobe/symbols.h>
#include <strobe/value.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * What changed between two views, the older one A and the newer one B: of one process at two
 * instants, of two processes of one program, or of any two. Memory is compared where it stands in
 * both, at the same addresses; global variables are compared by module, wherever it is mapped.
 * Nothing is collected: changes are visited while they are found. One thread at a time, which uses
 * neither view for anything else meanwhile.
 */
struct strobe_diff;

/** Parts of a comparison; a set of bits. */
enum strobe_diff_section {
	STROBE_DIFF_PROCESS = 1,
	STROBE_DIFF_THREADS = 2,
	STROBE_DIFF_REGISTERS = 4,
	STROBE_DIFF_MAPPINGS = 8,
	STROBE_DIFF_DESCRIPTORS = 16,
	STROBE_DIFF_MEMORY = 32,
	STROBE_DIFF_GLOBALS = 64, /**< global, static and thread-local variables */
	STROBE_DIFF_ALL = 127,
};

/** Called now and then while memory is compared; return false to stop. */
typedef bool (*strobe_diff_progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);

/** Zero-initialise, then set `size`. */
struct strobe_diff_options {
	size_t size;	     /**< sizeof(struct strobe_diff_options) */
	uint64_t start, end; /**< memory and globals only in [start, end) of B; end 0 = to
					*   the top */
	int tid;	     /**< threads, registers, thread-locals: this one only; 0 = all */
	strobe_diff_progress progress; /**< may be NULL */
	void *context;		       /**< for `progress` */
};

/** What happened to a thing. */
enum strobe_diff_change {
	STROBE_DIFF_ADDED,	 /**< only B has it */
	STROBE_DIFF_REMOVED,	 /**< only A has it */
	STROBE_DIFF_CHANGED,	 /**< both have it */
	STROBE_DIFF_GROWN,	 /**< mappings: this stretch joined one that was there */
	STROBE_DIFF_SHRUNK,	 /**< mappings: this stretch left one that is still there */
	STROBE_DIFF_MOVED,	 /**< mappings: mremap(2), or another place in another process */
	STROBE_DIFF_PERMISSIONS, /**< mappings: the same, with other permissions */
	STROBE_DIFF_REPLACED,	 /**< mappings: another file, or another part of it */
};

/** A fact of the process that both know. */
struct strobe_diff_fact {
	const char *name; /**< "pid", "command", "limit: Max open files", "namespace: net", ... */
	const char *old_text, *new_text;
};

/** Bits of strobe_diff_thread.what. */
enum strobe_diff_thread_change {
	STROBE_DIFF_THREAD_NAME = 1,
	STROBE_DIFF_THREAD_STATE = 2,
	STROBE_DIFF_THREAD_PC = 4,
	STROBE_DIFF_THREAD_SP = 8,
	STROBE_DIFF_THREAD_SIGNAL = 16,
	STROBE_DIFF_THREAD_SYSTEM_CALL = 32, /**< in another one, or in one and not in one */
	STROBE_DIFF_THREAD_RAN = 64,	     /**< used CPU time, or waited again */
	STROBE_DIFF_THREAD_SCHEDULING = 128, /**< policy, priority, nice */
	STROBE_DIFF_THREAD_MASKS = 256,	     /**< signals blocked or pending */
};
/** A thread that came, went, or is at another place. */
struct strobe_diff_thread {
	int tid;
	const struct strobe_thread *old_thread, *new_thread; /**< NULL where it is not there */
	unsigned what; /**< of enum strobe_diff_thread_change */
};

/** A register of a thread that both have; `bytes` is NULL where it is not recorded. */
struct strobe_diff_register {
	int tid;
	struct strobe_register old_register, new_register;
};

/** A stretch of address space of which the mapping changed. */
struct strobe_diff_mapping {
	uint64_t start, end;			  /**< the stretch; in A for REMOVED and SHRUNK */
	const struct strobe_mapping *old_mapping; /**< NULL for ADDED */
	const struct strobe_mapping *new_mapping; /**< NULL for REMOVED */
	uint64_t old_start, old_end; /**< MOVED: where it was; what grew on the way is not in it */
};

/** A descriptor. */
struct strobe_diff_descriptor {
	int fd;
	const struct strobe_descriptor *old_descriptor, *new_descriptor; /**< NULL if not open */
};

/** Bytes that differ: [start, end) begins and ends with one, and has no more than 7 equal ones in
 *  a row. It lies in one mapping of each view. */
struct strobe_diff_range {
	uint64_t start, end;
	uint64_t changed_bytes;
	const struct strobe_mapping *mapping; /**< of B */
};

/** How well a changed variable is known. */
enum strobe_diff_knowledge {
	STROBE_DIFF_VARIABLE, /**< by debug information: the values are there */
	STROBE_DIFF_SYMBOL,   /**< by an ELF symbol alone: bytes in it */
	STROBE_DIFF_UNNAMED,  /**< bytes of a module's data that nothing names */
};

/** A changed variable or a part of it that has no parts; or bytes of a module's data. */
struct strobe_diff_global {
	enum strobe_diff_knowledge knowledge;
	const char *name;      /**< "server.stats.requests", "table[17].next", "f::count",
			       *   "numbers[3]@4" (gdb's notation: 4 elements from [3] on); the symbol; NULL if
			       *   unnamed */
	const char *variable;  /**< without members; NULL if unnamed */
	const char *file;      /**< of a variable that is not external: the unit's; else NULL */
	int tid;	       /**< of a thread-local; else 0 */
	uint64_t offset_bytes; /**< in the variable, the symbol, the module */
	uint64_t size_bytes;
	uint64_t old_address, new_address; /**< in A and in B */
	size_t module_index;		   /**< in B */
	/** Borrowed for the call; NULL unless VARIABLE. They may be bit-fields. */
	const struct strobe_value *old_value, *new_value;
};

/** One change. */
struct strobe_diff_item {
	enum strobe_diff_section section; /**< says which of the members below is set */
	enum strobe_diff_change change;
	union {
		struct strobe_diff_fact fact;
		struct strobe_diff_thread thread;
		struct strobe_diff_register reg;
		struct strobe_diff_mapping mapping;
		struct strobe_diff_descriptor descriptor;
		struct strobe_diff_range range;
		struct strobe_diff_global global;
	} of;
};
/** Called for each change; all is borrowed for the call. Return false to stop. */
typedef bool (*strobe_diff_visit)(void *context, const struct strobe_diff_item *item);

/** What was found so far, exact for the sections that were run to their end. */
struct strobe_diff_totals {
	bool same_program; /**< by build id where both have one, else by the executable's path */
	bool same_process; /**< the same pid, too */
	uint64_t facts;
	uint64_t old_threads, new_threads;					 /**< in all */
	uint64_t threads_added, threads_removed, threads_changed, threads_moved; /**< pc or sp */
	uint64_t registers;
	uint64_t mappings_added, mappings_removed, mappings_changed; /**< stretches */
	bool descriptors_known;					     /**< in both */
	uint64_t descriptors_added, descriptors_removed, descriptors_changed;

	uint64_t ranges, changed_bytes, changed_pages; /**< pages of 4096 bytes of B */
	uint64_t compared_bytes;		       /**< known in both */
	uint64_t unread_bytes; /**< of these, equal without being read: holes, the same file */
	uint64_t old_missing_bytes,
		new_missing_bytes; /**< mapped in both, known in the other alone */
	uint64_t both_missing_bytes;
	uint64_t only_old_bytes, only_new_bytes; /**< mapped in one alone */

	uint64_t
		variables; /**< changed ones, by debug information; a thread-local counts by thread */
	uint64_t fields;   /**< changed parts of these */
	uint64_t symbols; /**< changed ranges in ELF symbols that no debug information describes */
	uint64_t unnamed; /**< changed ranges in modules' data that nothing names */
	uint64_t modules_compared,
		modules_differ; /**< those that differ are not compared by name */
};

/** Begins a comparison of the views of `a` and `b`, which must outlive it. `options` may be NULL.
 *  Errors: INVALID (an empty range), NO_MEMORY. The caller owns `*ret`. */
STROBE_EXPORT struct strobe_error *strobe_diff_open(struct strobe_symbols *a,
						    struct strobe_symbols *b,
						    const struct strobe_diff_options *options,
						    struct strobe_diff **ret) STROBE_MUST_CHECK;
/** Ends it (NULL is fine). Returns NULL. */
STROBE_EXPORT struct strobe_diff *strobe_diff_close(struct strobe_diff *diff);

/**
 * Visits the changes of `sections`, a set of enum strobe_diff_section, in the order of its bits;
 * within each in ascending order of tid, fd or address (thread-locals come last; modules in the
 * order of B). Each section is run at most once: INVALID if it was run before. `*stopped`
 * (may be NULL) tells whether `visit` or the progress function ended it early.
 */
STROBE_EXPORT struct strobe_error *strobe_diff_run(struct strobe_diff *diff, unsigned sections,
						   strobe_diff_visit visit, void *context,
						   bool *stopped) STROBE_MUST_CHECK;
STROBE_EXPORT const struct strobe_diff_totals *strobe_diff_totals(const struct strobe_diff *diff);

/** What an address of B belongs to. Strings live until the next call. */
struct strobe_diff_place {
	const char *mapping;  /**< path or label of its mapping; "[anonymous]"; NULL if unmapped */
	int tid;	      /**< whose stack it lies in; 0 if in none */
	size_t frame;	      /**< number of the frame that holds it; SIZE_MAX if in none */
	const char *function; /**< of that frame; NULL if unknown */
	const char
		*variable; /**< its argument or local that holds it, "request.id"; NULL if none */
};
/** Finds it: cheap, but that it unwinds B's stacks when first called for an address in one. */
STROBE_EXPORT void strobe_diff_place(struct strobe_diff *diff, uint64_t address,
				     struct strobe_diff_place *ret);

#ifdef __cplusplus
}
#endif
#endif
