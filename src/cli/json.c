// SPDX-License-Identifier: Apache-2.0
#include "json.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"

void json_init(struct json *json, FILE *out)
{
	*json = (struct json){.out = out};
}

void json_fini(struct json *json)
{
	assert(json->depth == 0);
	putc_unlocked('\n', json->out);
	free(json->deeper);
	json->deeper = NULL;
}

static void put(struct json *json, const char *text, size_t size)
{
	fwrite_unlocked(text, 1, size, json->out);
}

static void put_escaped(struct json *json, uint8_t c)
{
	static const char letters[] = "btn\0fr";
	char escape[8];
	if (c == '"' || c == '\\')
		snprintf(escape, sizeof(escape), "\\%c", c);
	else if (c >= 8 && c <= 13 && letters[c - 8])
		snprintf(escape, sizeof(escape), "\\%c", letters[c - 8]);
	else
		snprintf(escape, sizeof(escape), "\\u%04x", c);
	put(json, escape, strlen(escape));
}

static void put_string(struct json *json, const char *value, size_t size)
{
	const uint8_t *text = (const uint8_t *)value;
	size_t plain = 0;
	putc_unlocked('"', json->out);
	for (size_t i = 0; i < size;) {
		size_t length = 1;
		bool special =
			text[i] < 0x20 || text[i] == '"' || text[i] == '\\' || text[i] == 0x7f;
		if (text[i] >= 0x80)
			length = utf8_sequence(text + i, size - i);
		if (special || length == 0) {
			put(json, value + plain, i - plain);
			if (special)
				put_escaped(json, text[i]);
			else
				put(json, "\xef\xbf\xbd", 3);
			plain = ++i;
		} else {
			i += length;
		}
	}
	put(json, value + plain, size - plain);
	putc_unlocked('"', json->out);
}

enum { LEVEL_FILLED = 1, LEVEL_LINES = 2 };

static uint8_t *level(struct json *json)
{
	return json->depth < JSON_LEVELS ? &json->levels[json->depth]
					 : &json->deeper[json->depth - JSON_LEVELS];
}

// What comes before every value: comma, new line, key.
static void before(struct json *json, const char *key)
{
	uint8_t *now = level(json);
	if (*now & LEVEL_FILLED)
		putc_unlocked(',', json->out);
	if (*now & LEVEL_LINES)
		putc_unlocked('\n', json->out);
	else if (*now & LEVEL_FILLED)
		putc_unlocked(' ', json->out);
	*now |= LEVEL_FILLED;
	if (key) {
		put_string(json, key, strlen(key));
		put(json, ": ", 2);
	}
}

static void enter(struct json *json, const char *key, char bracket, bool lines)
{
	before(json, key);
	putc_unlocked(bracket, json->out);
	json->depth++;
	if (json->depth >= JSON_LEVELS + json->capacity) {
		size_t capacity = json->capacity ? 2 * json->capacity : JSON_LEVELS;
		uint8_t *deeper = realloc(json->deeper, capacity);
		if (!deeper) { // half a document is none
			fputs("strobe: out of memory\n", stderr);
			exit(EXIT_FAILURE);
		}
		json->deeper = deeper;
		json->capacity = capacity;
	}
	*level(json) = lines ? LEVEL_LINES : 0;
}

static void leave(struct json *json, char bracket)
{
	assert(json->depth > 0);
	if (*level(json) == (LEVEL_LINES | LEVEL_FILLED))
		putc_unlocked('\n', json->out);
	json->depth--;
	putc_unlocked(bracket, json->out);
}

void json_object(struct json *json, const char *key)
{
	enter(json, key, '{', false);
}

void json_object_end(struct json *json)
{
	leave(json, '}');
}

void json_array(struct json *json, const char *key, bool lines)
{
	enter(json, key, '[', lines);
}

void json_array_end(struct json *json)
{
	leave(json, ']');
}

void json_string(struct json *json, const char *key, const char *value)
{
	if (!value) {
		json_null(json, key);
		return;
	}
	json_string_size(json, key, value, strlen(value));
}

void json_string_size(struct json *json, const char *key, const char *value, size_t size)
{
	before(json, key);
	put_string(json, value, size);
}

void json_unsigned(struct json *json, const char *key, uint64_t value)
{
	char digits[24];
	size_t at = sizeof(digits);
	before(json, key);
	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value);
	put(json, digits + at, sizeof(digits) - at);
}

void json_signed(struct json *json, const char *key, int64_t value)
{
	before(json, key);
	fprintf(json->out, "%" PRId64, value);
}

void json_decimal(struct json *json, const char *key, double value)
{
	if (!isfinite(value)) {
		json_null(json, key);
		return;
	}
	before(json, key);
	fprintf(json->out, "%.3f", value);
}

void json_bool(struct json *json, const char *key, bool value)
{
	before(json, key);
	fputs_unlocked(value ? "true" : "false", json->out);
}

void json_null(struct json *json, const char *key)
{
	before(json, key);
	put(json, "null", 4);
}

void json_address(struct json *json, const char *key, uint64_t value)
{
	before(json, key);
	fprintf(json->out, "\"0x%" PRIx64 "\"", value);
}

void json_hex_begin(struct json *json, const char *key)
{
	before(json, key);
	putc_unlocked('"', json->out);
}

void json_hex(struct json *json, const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char buffer[512];
	for (size_t i = 0; i < size;) {
		size_t used = 0;
		for (; i < size && used < sizeof(buffer); i++) {
			buffer[used++] = digits[bytes[i] >> 4];
			buffer[used++] = digits[bytes[i] & 15];
		}
		put(json, buffer, used);
	}
}

void json_hex_end(struct json *json)
{
	putc_unlocked('"', json->out);
}
