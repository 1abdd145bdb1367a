// SPDX-License-Identifier: Apache-2.0
#include "trace/members.h"

#include <inttypes.h>

#include "json.h"

void put_key(const struct members *members, const char *key)
{
	fprintf(members->out, members->pretty ? ",\n    \"%s\": " : ",\"%s\":", key);
}

void put_string(const struct members *members, const char *key, const char *value)
{
	struct json json;
	put_key(members, key);
	json_init(&json, members->out);
	json_string(&json, NULL, value);
}

void put_number(const struct members *members, const char *key, uint64_t value)
{
	put_key(members, key);
	fprintf(members->out, "%" PRIu64, value);
}

void put_address(const struct members *members, const char *key, uint64_t value)
{
	put_key(members, key);
	fprintf(members->out, "\"0x%" PRIx64 "\"", value);
}
