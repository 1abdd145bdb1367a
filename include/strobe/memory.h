// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_MEMORY_H
#define STROBE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Copies memory into `buffer` and returns how many bytes from `address` on could be read before
 * the first one that cannot (0 to `size`). Unreadable memory is a result, not an error.
 */
STROBE_EXPORT size_t strobe_memory_read(const struct strobe_view *view, uint64_t address,
					void *buffer, size_t size);

/** What backs a stretch of address space. */
enum strobe_memory_state {
	STROBE_MEMORY_UNMAPPED, /**< no mapping */
	STROBE_MEMORY_PRESENT,	/**< in the source */
	STROBE_MEMORY_FILE,	/**< in a checked local file of the mapping */
	STROBE_MEMORY_MISSING,	/**< mapped, but not captured */
};

/** The longest stretch of one state that starts at an address. */
struct strobe_memory_extent {
	uint64_t start, end; /**< [start, end); end may be 0 for 2^64 */
	enum strobe_memory_state state;
	const char *why; /**< for MISSING and UNMAPPED, a few words; never NULL then */
};
STROBE_EXPORT void strobe_memory_extent(const struct strobe_view *view, uint64_t address,
					struct strobe_memory_extent *ret);

/** What to look for. */
enum strobe_search_kind {
	STROBE_SEARCH_BYTES, /**< `pattern`, `pattern_size` bytes, with `mask` if not NULL */
	STROBE_SEARCH_REGEX, /**< a PCRE2 byte-wise regular expression in `pattern` */
};

/** A search. Zero-initialise, then set `size`, kind and pattern. */
struct strobe_search {
	size_t size; /**< sizeof(struct strobe_search) */
	enum strobe_search_kind kind;
	const void *pattern;  /**< bytes, or the regular expression's text */
	size_t pattern_size;  /**< 1 to 65536 */
	const uint8_t *mask;  /**< pattern_size bytes, or NULL: a zero bit matches anything */
	uint64_t alignment;   /**< hits only at multiples of it; 0 and 1 mean any */
	uint64_t start, end;  /**< addresses to search, [start, end); end 0 = to the top */
	unsigned permissions; /**< only mappings with all these bits of enum strobe_permission */
	uint64_t limit;	      /**< stop after so many hits; 0 = no limit */
	bool ignore_case;     /**< ASCII case folding for bytes; the caseless option for a regex */
	bool file_backed;     /**< search pages taken from local files too, not the source alone */
};

/** One hit, `size` bytes at `address`. Return false to end the search. */
typedef bool (*strobe_search_hit)(void *context, uint64_t address, uint64_t size);
/** Called now and then; return false to end the search. May be NULL. */
typedef bool (*strobe_search_progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);

/**
 * Calls `hit` for every match, in ascending address order, while the search runs: nothing is
 * collected. Matches may overlap (bytes) or follow each other (regex), and may run across mappings
 * that touch. A regex match is found whole if it is at most 65,536 bytes long.
 * Errors: INVALID (empty pattern, unsuitable option), SYNTAX with column (regex).
 */
STROBE_EXPORT struct strobe_error *
strobe_memory_search(const struct strobe_view *view, const struct strobe_search *search,
		     strobe_search_hit hit, strobe_search_progress progress, void *context)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
