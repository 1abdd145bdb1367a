// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_BUILD_H
#define VIEW_BUILD_H

// A view's inside, for the sources that make one. A source calls view_new(), fills in what it
// read (threads, segments, areas, file ranges, auxv, info), then calls view_finish() once.
//
// Invariants after view_finish():
//  1. `segments` and `mappings` are each sorted by start; within each, none overlap or are empty.
//  2. `mapping_states` runs parallel to `mappings`, `registers` to `threads`, `module_states` to
//     `modules`.
//  3. Every segment's bytes lie in `source`, or in the arena, for as long as the view lives, or are
//     fetched by a lazy area, which is in `lazy_areas`.
//  4. Only `warnings`, opened backings, totals, the overlay and the caches change later; with the
//     overlay a thread's `registers`, and the pc and sp that they give.

#include <elf.h>
#include <strobe/memory.h>
#include <strobe/view.h>

#include "base/arena.h"
#include "base/array.h"
#include "base/file.h"
#include "base/hash.h"
#include "files/files.h"
#include "view/blocks.h"
#include "view/facts.h"
#include "view/lazy.h"

enum { VIEW_MAX_WARNINGS = 1000, VIEW_SCRATCH_SIZE = 1024 };

// How much of the source stays mapped while it is read piece by piece: 64 x 64 KiB.
enum { VIEW_WINDOW_SIZE = 65536, VIEW_WINDOWS = 64 };

/** Memory that the source holds, or (data and lazy NULL) held once but lost to damage. */
struct segment {
	uint64_t start, end;
	const uint8_t *data;
	const char *why;	// when lost
	struct lazy_area *lazy; // holds at least [start, end); NULL if `data` or lost
};

/** A stretch of address space as the source lists it. May overlap others: view_finish() sorts. */
struct area {
	uint64_t start, end;
	unsigned permissions;
	uint64_t offset_bytes;
	const char *path; // NULL if the source does not tell
	uint64_t inode;
	unsigned device_major, device_minor;
};

/** A file's place in memory, from a list apart from the areas (NT_FILE). */
struct file_range {
	uint64_t start, end;
	uint64_t offset_bytes;
	const char *path;
};

/** What a source's own list of modules says of one. */
struct module_hint {
	uint64_t start;
	const char *path;
	const char *build_id; // NULL = not told
};

/** Where pages come from that the source leaves out: one for a module, one for any other file. */
struct backing {
	const char *path;
	const char *build_id; // known from memory; NULL if not
	size_t module_index;  // SIZE_MAX: not a module
	enum { BACKING_UNTRIED, BACKING_NOT_LOCAL, BACKING_FAILED, BACKING_OPEN } state;
	struct file *file;   // when open
	const char *problem; // when not
};

struct mapping_state {
	size_t backing; // index, SIZE_MAX if none
	bool permissions_guessed;
};

struct module_state {
	size_t backing;
	Elf64_Phdr *segments; // its PT_LOADs, link-time
	size_t segment_count;
	bool header_present; // its ELF header is in the source
};

struct auxv_entry {
	uint64_t type, value;
};

/** A note as the source holds it, for who writes the view to a file again. */
struct raw_note {
	uint32_t type, name_size, size;
	const char *name; // name_size bytes
	const uint8_t *data;
	uint64_t file_offset; // of its header
	size_t thread_index;  // of the last NT_PRSTATUS before or at it; SIZE_MAX = none
};

/** What a view holds on to while it is open: a frozen copy, say. Closed after all else. */
struct view_owner {
	void (*close)(void *context); // NULL = nothing to close
	void *context;
};

struct process_files;

struct strobe_view {
	struct view_owner owner;
	struct arena arena;
	struct files *files;
	struct file *source;
	uint64_t source_size;		  // of its bytes, unpacked
	const struct lazy_source *packed; // these bytes, where the file has them compressed
	const char *executable_option;
	struct strobe_process_info info;
	bool totals_known;
	bool is_x86_64;
	bool files_listed;     // the source names the mapped files
	bool anonymous_dumped; // private changed pages are in the source: what is not was not changed
	unsigned word_bytes;   // of the target: 8 or 4

	ARRAY(struct area) areas; // released by view_finish()
	ARRAY(struct file_range) ranges;
	ARRAY(struct module_hint) hints;
	bool parts_dumped; // the source was free to leave out changed memory
	// Why bytes are missing that no file holds, and that nothing is known of what is mapped there;
	// NULL: the source lists what is mapped.
	const char *not_held;

	ARRAY(struct segment) segments;
	ARRAY(struct lazy_area *) lazy_areas;
	ARRAY(struct lazy_source *) lazy_sources;
	bool made_by_us; // an image of our own: NT_STROBE_FROZEN is believed
	const struct process_files *process_files; // of that process, until view_finish(); or NULL
	ARRAY(struct strobe_mapping) mappings;
	ARRAY(struct mapping_state) mapping_states;
	ARRAY(struct backing) backings;
	ARRAY(struct strobe_module) modules;
	ARRAY(struct module_state) module_states;
	ARRAY(struct strobe_thread) threads;
	ARRAY(struct register_blocks) registers;
	ARRAY(struct auxv_entry) auxv;
	ARRAY(const char *) warnings;
	ARRAY(struct strobe_descriptor) descriptors;
	bool descriptors_known;
	struct view_facts facts;		 // what Strobe's own notes tell
	ARRAY(struct raw_note) notes;		 // all of the source's, in its order
	struct overlay *overlay;		 // what was written on top; NULL = nothing ever was
	const char *overlay_path;		 // where a journal of it is kept; NULL = nowhere
	const struct recorded_stack *recorded;	 // of one thread (view/recorded.h); NULL = none
	const struct xsave_layout *xsave_layout; // the same for all threads; NULL = not told

	struct hash tids;		    // tid -> index + 1
	struct hash warned;		    // hash of a warning's text -> the text
	size_t last_segment, last_mapping;  // caches: where the last look-up ended
	uint64_t windows[VIEW_WINDOWS];	    // of the source, last touched + 1, by number
	unsigned window_count;		    // touched since the source was unmapped
	uint8_t scratch[VIEW_SCRATCH_SIZE]; // a register put together from parts
};

/** A thread of which only the id is known. */
struct strobe_thread view_thread(int tid);

struct strobe_error *view_new(const struct strobe_view_options *options, struct strobe_view **ret)
	STROBE_MUST_CHECK;
/** Sorts, merges, finds modules, labels mappings. Only out-of-memory is an error. */
struct strobe_error *view_finish(struct strobe_view *view) STROBE_MUST_CHECK;

/** mappings.c: areas and ranges become mappings; segments are sorted and made disjoint. */
struct strobe_error *view_build_mappings(struct strobe_view *view) STROBE_MUST_CHECK;
/** mappings.c: names for what no file backs: "[stack]", "[heap]", ... */
void view_label_mappings(struct strobe_view *view);
/** segments.c: takes over `source` (closes it on an error); `*ret` is borrowed. */
struct strobe_error *view_own_source(struct strobe_view *view, const struct lazy_source *source,
				     const struct lazy_source **ret) STROBE_MUST_CHECK;
/** segments.c: a segment fetched from `source`, where [start, end) stands at `position`. */
struct strobe_error *view_add_lazy(struct strobe_view *view, uint64_t start, uint64_t end,
				   const struct lazy_source *source, uint64_t position)
	STROBE_MUST_CHECK;
/** segments.c: what NT_STROBE_EXTENTS says of memory that no PT_LOAD holds. */
struct strobe_error *view_add_extents(struct strobe_view *view) STROBE_MUST_CHECK;
/** segments.c: sorts them and makes them disjoint. */
void view_sort_segments(struct strobe_view *view);
/** segments.c: the last segment that starts at or before `address`; SIZE_MAX if none. */
size_t view_segment_before(const struct strobe_view *view, uint64_t address);
/** segments.c: where the first segment after `address` starts, at most `limit`. */
uint64_t view_next_segment(const struct strobe_view *view, uint64_t address, uint64_t limit);
/** modules.c */
struct strobe_error *view_find_modules(struct strobe_view *view) STROBE_MUST_CHECK;
/** links.c: names modules, and finds more, by the dynamic loader's list. */
struct strobe_error *view_follow_links(struct strobe_view *view) STROBE_MUST_CHECK;
/** links.c: address of the dynamic loader's struct r_debug; false if it cannot be found. */
bool view_find_r_debug(const struct strobe_view *view, uint64_t *ret);
/** modules.c: takes the ELF image whose header lies at `start` as a module if it holds together.
 *  `certain`: known to be one (vdso, the loader's list). `*ret` = its index or SIZE_MAX. */
struct strobe_error *view_add_module(struct strobe_view *view, uint64_t start, const char *path,
				     bool certain, size_t *ret) STROBE_MUST_CHECK;
/** modules.c: sorts them and ties mappings to them; after the last view_add_module(). */
struct strobe_error *view_settle_modules(struct strobe_view *view) STROBE_MUST_CHECK;

/** resident.c: notes that bytes of the source were read; unmaps them all when they are many. */
void view_touched(struct strobe_view *view, const uint8_t *bytes, size_t size);
/** memory.c: bytes in the source alone, never from files. */
const uint8_t *view_source_pointer(const struct strobe_view *view, uint64_t address,
				   size_t *available);
/** memory.c: strobe_memory_read() without what was written on top; it may stop early, but not at
 *  once unless the byte at `address` cannot be read. */
size_t view_own_read(const struct strobe_view *view, uint64_t address, void *buffer, size_t size);
/** memory.c: is `address` mapped? The answer, and whether it can be read, hold up to `*end` (0 =
 *  2^64). */
bool view_is_mapped(const struct strobe_view *view, uint64_t address, uint64_t *end);
/** overlay.c: the overlay's bytes at `address`, NULL where the view's own hold; up to `*end` at
 *  least (0 = 2^64). The view has an overlay. */
const uint8_t *overlay_run(const struct strobe_view *view, uint64_t address, uint64_t *end);
/** overlay.c: releases what was written, and closes its file. */
void overlay_free(struct strobe_view *view);
/** memory.c: index of the mapping that holds `address`, SIZE_MAX if none. */
size_t view_mapping_index(const struct strobe_view *view, uint64_t address);
/** memory.c: the sums in strobe_process_info. */
void view_count_totals(struct strobe_view *view);

/** backing.c: opens a backing at first use; NULL if there is no file for it. */
struct file *view_backing_file(struct strobe_view *view, size_t index, bool ask_servers);

/** The value of an auxv entry; false if there is none. */
bool view_auxv_value(const struct strobe_view *view, uint64_t type, uint64_t *ret);
/** A NUL-terminated string of the target of at most `limit` bytes, in the arena; NULL if not so. */
const char *view_read_string(struct strobe_view *view, uint64_t address, size_t limit);

#endif
