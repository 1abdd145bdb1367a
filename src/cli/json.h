// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/**
 * Writes one JSON document to a stream as it goes: nothing is collected, so that a hundred
 * thousand hits cost no memory. `key` is the member's name in an object and NULL in an array.
 * The text is always valid UTF-8: each byte of a string that is not part of a well-formed UTF-8
 * sequence is written as U+FFFD.
 */
enum { JSON_LEVELS = 64 };
struct json {
	FILE *out;
	size_t depth; // open objects and arrays
	// Of each: has it a member already, are its members on lines of their own?
	uint8_t levels[JSON_LEVELS];
	uint8_t *deeper; // from JSON_LEVELS on
	size_t capacity; // of `deeper`
};

void json_init(struct json *json, FILE *out);
/** Ends the document, which must be complete. A command that ends with an error need not call it. */
void json_fini(struct json *json);

void json_object(struct json *json, const char *key);
void json_object_end(struct json *json);
/** An array; with `lines`, each element starts on a new line. */
void json_array(struct json *json, const char *key, bool lines);
void json_array_end(struct json *json);

/** A string; NULL is written as null. */
void json_string(struct json *json, const char *key, const char *value);
void json_string_size(struct json *json, const char *key, const char *value, size_t size);
void json_unsigned(struct json *json, const char *key, uint64_t value);
void json_signed(struct json *json, const char *key, int64_t value);
/** A number with three digits behind the point; what is no number is null. */
void json_decimal(struct json *json, const char *key, double value);
void json_bool(struct json *json, const char *key, bool value);
void json_null(struct json *json, const char *key);
/** "0x…", the lower-case hex of an address. */
void json_address(struct json *json, const char *key, uint64_t value);
/** Bytes as a string of lower-case hex digits; begin, any number of pieces, end. */
void json_hex_begin(struct json *json, const char *key);
void json_hex(struct json *json, const uint8_t *bytes, size_t size);
void json_hex_end(struct json *json);

#endif
