// SPDX-License-Identifier: Apache-2.0
#include "graph_export/json_output.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/** What stands before a value. */
static void begin(struct json_output *json, const char *key)
{
	if (json->comma)
		output_char(json->out, ',');
	json->comma = true;
	if (!key)
		return;
	output_char(json->out, '"');
	output_string(json->out, key);
	output_bytes(json->out, "\":", 2);
}

void json_open(struct json_output *json, const char *key, char bracket)
{
	begin(json, key);
	output_char(json->out, bracket);
	json->comma = false;
}

void json_close(struct json_output *json, char bracket)
{
	output_char(json->out, bracket);
	json->comma = true;
}

/** Where a character begins, at or after `at`. */
static size_t next_character(const char *text, size_t at)
{
	while (((unsigned char)text[at] & 0xc0) == 0x80)
		at++;
	return at;
}

static void put_cut(struct json_output *json, const char *value, size_t size)
{
	struct text cut = {0};
	size_t tail = json->limit / 3, head = next_character(value, json->limit - tail);
	text_append_bytes(&cut, value, head);
	text_append(&cut, " \xe2\x80\xa6 ");
	text_append(&cut, value + next_character(value, size - tail));
	output_json(json->out, text_string(&cut), json->in_page);
	text_fini(&cut);
}

void json_text(struct json_output *json, const char *key, const char *value)
{
	size_t size = value ? strlen(value) : 0;
	begin(json, key);
	if (json->limit && size > json->limit)
		put_cut(json, value, size);
	else
		output_json(json->out, value, json->in_page);
}

void json_number(struct json_output *json, const char *key, uint64_t value)
{
	begin(json, key);
	output_unsigned(json->out, value);
}

void json_fraction(struct json_output *json, const char *key, double value)
{
	char text[64];
	snprintf(text, sizeof(text), "%.6f", isfinite(value) && fabs(value) < 1e30 ? value : 0);
	begin(json, key);
	output_string(json->out, text);
}

void json_bool(struct json_output *json, const char *key, bool value)
{
	begin(json, key);
	output_string(json->out, value ? "true" : "false");
}

void json_null(struct json_output *json, const char *key)
{
	begin(json, key);
	output_string(json->out, "null");
}

void json_address(struct json_output *json, const char *key, uint64_t address)
{
	if (!address) {
		json_null(json, key);
		return;
	}
	begin(json, key);
	output_char(json->out, '"');
	output_hex(json->out, address);
	output_char(json->out, '"');
}
