// SPDX-License-Identifier: Apache-2.0
#include "register_value.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/overlay.h>

enum { REGISTER_SIZE = 1024, NAME_SIZE = 32 };

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// "0x…" of any width, as `regs` shows a register: most significant digit first.
static bool parse_hex(const char *text, uint8_t *bytes, size_t size)
{
	size_t digits = strlen(text);
	memset(bytes, 0, size);
	for (size_t i = 0; i < digits; i++) {
		int value = digit(text[digits - 1 - i]);
		if (value < 0 || (value > 0 && i / 2 >= size))
			return false;
		if (i / 2 < size)
			bytes[i / 2] |= (uint8_t)(value << (i % 2 ? 4 : 0));
	}
	return digits > 0;
}

static bool put_integer(uint64_t number, bool negative, uint8_t *bytes, size_t size)
{
	int64_t value = (int64_t)number;
	if (size < 8 &&
	    (negative ? value < -(INT64_C(1) << (8 * size - 1)) : number >> (8 * size) != 0))
		return false;
	memset(bytes, negative ? 0xff : 0, size);
	memcpy(bytes, &number, size < 8 ? size : 8);
	return true;
}

// "1.5", "inf": what an x87 register holds is what long double is here. "0x…" are its bits.
static bool parse_extended(const char *text, const char *name, uint8_t *bytes, size_t size)
{
	char *end;
	if (name[0] != 's' || name[1] != 't' || size != 10 || !*text ||
	    isspace((unsigned char)*text) || strncasecmp(text, "0x", 2) == 0)
		return false;
	long double number = strtold(text, &end);
	memcpy(bytes, &number, size);
	return !*end;
}

static int evaluate(struct command *command, const char *text, uint64_t *ret)
{
	struct strobe_value *value = NULL;
	int status = command_evaluate(command, 0, text, &value);
	if (!status && !strobe_value_integer(value, ret) &&
	    !strobe_value_address(value, ret)) // a function: where it begins
		status = command_fail(command, "%s: has no address", text);
	strobe_value_close(value);
	return status;
}

static int parse_value(struct command *command, const char *name, const char *text, uint8_t *bytes,
		       size_t size)
{
	uint64_t number;
	bool negative = text[0] == '-';
	if (parse_extended(text, name, bytes, size))
		return STATUS_DONE;
	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X') &&
	    strspn(text + 2, "0123456789abcdefABCDEF") == strlen(text + 2)) {
		if (parse_hex(text + 2, bytes, size))
			return STATUS_DONE;
		return command_usage(command, "--set: %s does not fit into %s", text, name);
	}
	if (parse_number(text + negative, &number)) {
		if (negative)
			number = 0 - number;
	} else {
		int status = evaluate(command, text, &number);
		if (status)
			return status;
		negative = (int64_t)number < 0 && size > 8;
	}
	if (put_integer(number, negative, bytes, size))
		return STATUS_DONE;
	return command_usage(command, "--set: %s does not fit into %s", text, name);
}

/** "NAME=VALUE" of `size` bytes. */
static int set_one(struct command *command, size_t thread_index, const char *text, size_t size)
{
	char name[NAME_SIZE];
	uint8_t bytes[REGISTER_SIZE];
	struct strobe_register reg;
	const char *equals = memchr(text, '=', size);
	if (!equals || equals == text || (size_t)(equals - text) >= sizeof(name))
		return command_usage(command, "--set: '%.*s' is not NAME=VALUE", (int)size, text);
	memcpy(name, text, (size_t)(equals - text));
	name[equals - text] = '\0';
	if (!strobe_view_register_by_name(command->view, thread_index, name, &reg) ||
	    reg.size_bytes > sizeof(bytes))
		return command_fail(command, "thread %d: there is no register %s",
				    strobe_view_thread(command->view, thread_index)->tid, name);
	char *value = strndup(equals + 1, (size_t)(text + size - equals) - 1);
	if (!value)
		return command_fail(command, "out of memory");
	size_t width = reg.size_bytes;
	int status = parse_value(command, name, value, bytes, width);
	free(value);
	if (status)
		return status;
	struct strobe_error *error =
		strobe_overlay_set_register(command->view, thread_index, name, bytes, width);
	return error ? command_error(command, NULL, error) : STATUS_DONE;
}

int register_values_set(struct command *command, size_t thread_index, size_t *count)
{
	size_t at = 0;
	const char *text;
	int status = STATUS_DONE;
	*count = 0;
	while (!status && (text = command_option_next(command, "set", &at))) {
		for (bool more = true; more && !status;) {
			size_t size = strcspn(text, ",");
			status = set_one(command, thread_index, text, size);
			*count += status == STATUS_DONE;
			more = text[size] == ',';
			text += size + 1;
		}
	}
	if (status && *count) {
		struct strobe_error *error = strobe_overlay_undo(command->view, *count);
		if (error)
			return command_error(command, NULL, error);
	}
	return status;
}
