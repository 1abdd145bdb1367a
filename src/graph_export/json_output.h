// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_JSON_OUTPUT_H
#define GRAPH_EXPORT_JSON_OUTPUT_H

// JSON, written as it goes. `key` is the member's name in an object, and NULL in an array.

#include "graph_export/output.h"

struct json_output {
	struct output *out;
	bool in_page; // it stands in a <script>: see output_json()
	size_t limit; // bytes of one text, of a longer one its middle is left out; 0 = none
	bool comma;   // something stands before what comes next
};

/** `bracket` is '{' or '['. */
void json_open(struct json_output *json, const char *key, char bracket);
/** `bracket` is '}' or ']'. */
void json_close(struct json_output *json, char bracket);
/** NULL is null. */
void json_text(struct json_output *json, const char *key, const char *value);
void json_number(struct json_output *json, const char *key, uint64_t value);
/** Six digits behind the point. */
void json_fraction(struct json_output *json, const char *key, double value);
void json_bool(struct json_output *json, const char *key, bool value);
void json_null(struct json_output *json, const char *key);
/** "0x..."; 0 is null. */
void json_address(struct json_output *json, const char *key, uint64_t address);

#endif
