// SPDX-License-Identifier: Apache-2.0
#include "pattern.h"

#include <ctype.h>
#include <string.h>

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Hex digits in pairs, '?' for a digit that may be any, blanks and ',' between bytes, "0x" before.
static bool parse_hex(const char *text, uint8_t *bytes, uint8_t *mask, size_t *size)
{
	*size = 0;
	while (*text) {
		if (strchr(" ,:_\t", *text)) {
			text++;
			continue;
		}
		if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
			text += 2;
			continue;
		}
		if (*size == PATTERN_LIMIT)
			return false;
		uint8_t byte = 0, known = 0;
		for (int half = 0; half < 2; half++, text++) {
			int value = digit(*text);
			if (value < 0 && *text != '?')
				return false;
			byte = (uint8_t)(byte << 4 | (value < 0 ? 0 : value));
			known = (uint8_t)(known << 4 | (value < 0 ? 0 : 15));
		}
		bytes[*size] = byte;
		mask[*size] = known;
		++*size;
	}
	return *size > 0;
}

static int set_text(const struct command *command, struct pattern *pattern, const char *text)
{
	size_t size = strlen(text);
	if (size == 0 || size > PATTERN_LIMIT)
		return command_usage(command, "a pattern has 1 to %d bytes", PATTERN_LIMIT);
	memcpy(pattern->bytes, text, size);
	pattern->search.pattern_size = size;
	return STATUS_DONE;
}

static int set_bytes(const struct command *command, struct pattern *pattern, const char *text)
{
	size_t size, mask_size;
	const char *mask = command_option(command, "mask");
	if (!parse_hex(text, pattern->bytes, pattern->mask, &size))
		return command_usage(command, "--bytes: '%s' is not hex bytes like 'de ad ?? ef'",
				     text);
	pattern->search.pattern_size = size;
	if (mask) {
		uint8_t ignored[256];
		if (strchr(mask, '?') || strlen(mask) > 3 * sizeof(ignored) ||
		    size > sizeof(ignored) ||
		    !parse_hex(mask, pattern->mask, ignored, &mask_size) || mask_size != size)
			return command_usage(command, "--mask: must be %zu hex bytes", size);
	}
	for (size_t i = 0; i < size; i++)
		if (pattern->mask[i] != 0xff)
			pattern->search.mask = pattern->mask;
	return STATUS_DONE;
}

static bool parse_signed(const char *text, uint64_t *ret)
{
	bool negative = text[0] == '-';
	if (!parse_number(text + negative, ret))
		return false;
	if (negative)
		*ret = 0 - *ret;
	return true;
}

static bool fits(uint64_t number, unsigned width)
{
	int64_t value = (int64_t)number;
	return width == 8 || number >> (8 * width) == 0 ||
	       (value < 0 && value >= -(INT64_C(1) << (8 * width - 1)));
}

static int set_integer(const struct command *command, struct pattern *pattern, const char *text)
{
	uint64_t number, width = 4, mask = UINT64_MAX;
	if (!parse_signed(text, &number))
		return command_usage(command, "--int: '%s' is not a number", text);
	if (!fits(number, 4))
		width = 8;
	int status = command_number(command, "width", 8, &width);
	if (!status)
		status = command_number(command, "mask", UINT64_MAX, &mask);
	if (status)
		return status;
	if (!fits(number, (unsigned)width))
		return command_usage(command, "--int: %s does not fit into %u bytes", text,
				     (unsigned)width);
	memcpy(pattern->bytes, &number, 8);
	memcpy(pattern->mask, &mask, 8);
	pattern->search.pattern_size = width;
	pattern->search.alignment = width;
	if (mask != UINT64_MAX)
		pattern->search.mask = pattern->mask;
	return STATUS_DONE;
}

// An address, or an expression whose value is one.
static int set_pointer(struct command *command, struct pattern *pattern, const char *text)
{
	uint64_t address, mask = UINT64_MAX;
	struct strobe_value *value = NULL;
	size_t frame = 0;
	int status = command_number(command, "mask", UINT64_MAX, &mask);
	if (!status && !parse_number(text, &address)) {
		if (strobe_view_thread_count(command->view) > 0)
			status = command_frame(command, &frame);
		if (!status)
			status = command_evaluate(command, frame, text, &value);
		if (!status && !strobe_value_integer(value, &address) &&
		    !strobe_value_address(value, &address)) // of a structure, where it stands
			status = command_fail(command, "%s: is not an address", text);
		strobe_value_close(value);
	}
	if (status)
		return status;
	memcpy(pattern->bytes, &address, 8);
	memcpy(pattern->mask, &mask, 8);
	pattern->search.pattern_size = 8;
	pattern->search.alignment = 8;
	if (mask != UINT64_MAX)
		pattern->search.mask = pattern->mask;
	return STATUS_DONE;
}

static int set_what(struct command *command, struct pattern *pattern)
{
	const char *plain = command->argument_count > 1 ? command->arguments[1] : NULL;
	const char *text = command_option(command, "text"), *hex = command_option(command, "bytes");
	const char *integer = command_option(command, "int");
	const char *pointer = command_option(command, "pointer");
	const char *regex = command_option(command, "regex");
	if (!!plain + !!text + !!hex + !!integer + !!pointer + !!regex != 1)
		return command_usage(command,
				     "give one thing to look for: PATTERN, --text, --bytes, "
				     "--int, --pointer or --regex");
	if (command_has(command, "mask") && !hex && !integer && !pointer)
		return command_usage(command, "--mask goes with --bytes, --int and --pointer");
	if (regex)
		pattern->search.kind = STROBE_SEARCH_REGEX;
	if (hex)
		return set_bytes(command, pattern, hex);
	if (integer)
		return set_integer(command, pattern, integer);
	if (pointer)
		return set_pointer(command, pattern, pointer);
	return set_text(command, pattern, text ? text : plain ? plain : regex);
}

static int set_permissions(const struct command *command, struct strobe_search *search)
{
	const char *permissions = command_option(command, "perm");
	for (; permissions && *permissions; permissions++) {
		if (*permissions == 'r')
			search->permissions |= STROBE_PERMISSION_READ;
		else if (*permissions == 'w')
			search->permissions |= STROBE_PERMISSION_WRITE;
		else if (*permissions == 'x')
			search->permissions |= STROBE_PERMISSION_EXECUTE;
		else if (*permissions != '-')
			return command_usage(command, "--perm: '%s' is not made of r, w and x",
					     command_option(command, "perm"));
	}
	return STATUS_DONE;
}

int pattern_parse(struct command *command, struct pattern *ret)
{
	struct strobe_search *search = &ret->search;
	const char *range = command_option(command, "range");
	*search = (struct strobe_search){.size = sizeof(*search),
					 .pattern = ret->bytes,
					 .ignore_case = command_has(command, "ignore-case"),
					 .file_backed = !command_has(command, "no-files")};
	if (range && !parse_range(range, &search->start, &search->end))
		return command_usage(command, "--range: '%s' is neither START-END nor START+SIZE",
				     range);
	int status = set_what(command, ret);
	if (!status)
		status = command_number(command, "align", UINT64_MAX, &search->alignment);
	if (!status)
		status = command_number(command, "limit", UINT64_MAX, &search->limit);
	return status ? status : set_permissions(command, search);
}
