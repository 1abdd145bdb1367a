// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_MEMBERS_H
#define CLI_TRACE_MEMBERS_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

// Members of an item's JSON object behind its first one, in lldb's layout ("pretty") or on one line.

struct members {
	FILE *out;
	bool pretty;
};

/** ",", and the member's name up to its value. */
void put_key(const struct members *members, const char *key);
void put_string(const struct members *members, const char *key, const char *value);
void put_number(const struct members *members, const char *key, uint64_t value);
/** "0x..." */
void put_address(const struct members *members, const char *key, uint64_t value);

#endif
