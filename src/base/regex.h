// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_REGEX_H
#define BASE_REGEX_H

#include <stdbool.h>
#include <stddef.h>
#include <strobe/error.h>

/** A compiled PCRE2 pattern over bytes: no UTF, '.' is any byte but newline. */
struct regex;

/** Named limits: a hostile pattern or subject ends a match attempt, not the process. */
enum { REGEX_PATTERN_LIMIT = 65536, REGEX_MATCH_LIMIT = 10000000, REGEX_HEAP_LIMIT_KIB = 65536 };

/** Compiles `pattern`. Errors: SYNTAX with the 1-based column, LIMIT (too long). */
struct strobe_error *regex_new(const char *pattern, size_t pattern_size, bool caseless,
			       struct regex **ret) STROBE_MUST_CHECK;
struct regex *regex_free(struct regex *regex);

/**
 * Bytes that every match of the pattern holds, in a row: written to `ret`, which has room for the
 * pattern; their count, 0 if none are known. With caseless matching, letters of either case.
 */
size_t regex_literal(const char *pattern, size_t size, char *ret);

/** Outcomes of a match attempt. */
enum regex_result {
	REGEX_MATCH,
	REGEX_NO_MATCH,
	REGEX_PARTIAL, // only if asked for: the subject ends inside what may become a match
	REGEX_GAVE_UP, // a limit was reached
};

/**
 * Looks for the first match that starts at or after `offset` in the `size` bytes of the subject
 * (what lies before `offset` is seen by look-behind and anchors). `*start` and `*end` are offsets
 * in the subject, set for REGEX_MATCH, and for REGEX_PARTIAL (`*end` is then `size`). With
 * `partial`, a match that may still grow past the end of the subject is reported as partial.
 */
enum regex_result regex_match(struct regex *regex, const void *bytes, size_t size, size_t offset,
			      bool partial, size_t *start, size_t *end);

#endif
