// SPDX-License-Identifier: Apache-2.0
#ifndef BUNDLE_JSON_H
#define BUNDLE_JSON_H

// JSON against a schema. Each value knows where it stands, so that what is wrong with it can be said in the form
// "expected an integer at traceBundle.cpuInfo.family: {"vendor": "GenuineIntel", "family": /* here */ "six"}".

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

struct file;

/** A value, and the way to it. Lives on the stack; `parent` outlives it. */
struct json_place {
	const struct json_place *parent; // NULL = the root
	const char *file;		 // for messages
	const char *key;		 // in an object; NULL = an item of an array, or the root
	size_t index;			 // in an array
	json_t *value;			 // NULL = missing
};

/** Parses a file; `*ret` is the caller's (json_decref). Errors: FORMAT with line and column, LIMIT. */
struct strobe_error *json_parse(const struct file *file, json_t **ret) STROBE_MUST_CHECK;

/** "expected WHAT at PATH: CONTEXT", or "missing value at PATH (WHAT): CONTEXT". */
struct strobe_error *json_fail(const struct json_place *place, const char *what);

/** Member `key` of an object; value NULL if there is none, or it is null. */
struct json_place json_member(const struct json_place *object, const char *key);
/** The same for a member with an older spelling. */
struct json_place json_member_or(const struct json_place *object, const char *key,
				 const char *older);
/** Item `index` of an array. */
struct json_place json_item(const struct json_place *array, size_t index);
/** Number of items. */
size_t json_count(const struct json_place *array);

struct strobe_error *json_expect_object(const struct json_place *place) STROBE_MUST_CHECK;
struct strobe_error *json_expect_array(const struct json_place *place) STROBE_MUST_CHECK;
/** An integer from 0 to `most`. */
struct strobe_error *json_read_integer(const struct json_place *place, uint64_t most, uint64_t *ret)
	STROBE_MUST_CHECK;
/** A number of 64 bits: an integer, or a string with a decimal or hexadecimal (0x) one. */
struct strobe_error *json_read_address(const struct json_place *place, uint64_t *ret)
	STROBE_MUST_CHECK;
/** A string that is not empty; borrowed from the value. */
struct strobe_error *json_read_string(const struct json_place *place, const char **ret)
	STROBE_MUST_CHECK;

#endif
