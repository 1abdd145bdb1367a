// SPDX-License-Identifier: Apache-2.0
#include "written_bytes.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void written_bytes_fini(struct written_bytes *written)
{
	free(written->bytes);
	*written = (struct written_bytes){0};
}

static int append(const struct command *command, struct written_bytes *written, const void *bytes,
		  size_t size)
{
	if (size > WRITTEN_LIMIT - written->size)
		return command_fail(command, "more than %d MiB in one write", WRITTEN_LIMIT >> 20);
	if (written->size + size > written->capacity) {
		size_t capacity = (written->size + size) * 2;
		uint8_t *grown = realloc(written->bytes, capacity);
		if (!grown)
			return command_fail(command, "out of memory");
		written->bytes = grown;
		written->capacity = capacity;
	}
	memcpy(written->bytes + written->size, bytes, size);
	written->size += size;
	return STATUS_DONE;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// Pairs of hex digits; blanks, ',', ':' and '_' between them, as `mem search --bytes` has it.
static int append_hex(const struct command *command, struct written_bytes *written,
		      const char *text)
{
	int status = STATUS_DONE;
	for (const char *at = text; *at && !status;) {
		if (strchr(" ,:_\t", *at)) {
			at++;
			continue;
		}
		int high = digit(at[0]), low = high < 0 ? -1 : digit(at[1]);
		if (low < 0)
			return command_usage(command,
					     "'%s' is not hex bytes like 'de ad be ef'; a number "
					     "needs its --type",
					     text);
		uint8_t byte = (uint8_t)(high << 4 | low);
		status = append(command, written, &byte, 1);
		at += 2;
	}
	return status;
}

static bool parse_signed(const char *text, uint64_t *ret, bool *negative)
{
	*negative = text[0] == '-';
	if (!parse_number(text + *negative, ret))
		return false;
	if (*negative)
		*ret = 0 - *ret;
	return true;
}

/** A number, or an expression's value. */
static int find_integer(struct command *command, const char *text, uint64_t *ret, bool *negative)
{
	struct strobe_value *value = NULL;
	size_t frame = 0;
	if (parse_signed(text, ret, negative))
		return STATUS_DONE;
	if (!command->symbols)
		return command_usage(command, "'%s' is not a number", text);
	int status = STATUS_DONE;
	if (strobe_view_thread_count(command->view) > 0)
		status = command_frame(command, &frame);
	if (!status)
		status = command_evaluate(command, frame, text, &value);
	if (!status && !strobe_value_integer(value, ret))
		status = command_fail(command, "%s: is no integer", text);
	*negative = !status && (int64_t)*ret < 0;
	strobe_value_close(value);
	return status;
}

static bool fits(uint64_t number, bool negative, unsigned bits, bool is_signed)
{
	int64_t least = bits == 64 ? INT64_MIN : -(INT64_C(1) << (bits - 1));
	if (negative)
		return is_signed && (int64_t)number < 0 && (int64_t)number >= least;
	uint64_t most = UINT64_MAX >> (64 - bits + is_signed);
	return number <= most;
}

static int append_integer(struct command *command, struct written_bytes *written, const char *type,
			  const char *text)
{
	uint64_t number = 0;
	bool negative = false;
	unsigned bits = (unsigned)atoi(type + 1);
	int status = find_integer(command, text, &number, &negative);
	if (status)
		return status;
	// An expression of an unsigned 64-bit type has no sign for us to see.
	bool whole = bits == 64 && type[0] == 'u' && text[0] != '-';
	if (!whole && !fits(number, negative, bits, type[0] == 'i'))
		return command_usage(command, "%s does not fit into %s", text, type);
	return append(command, written, &number, bits / 8); // little-endian, as the target is
}

static int append_float(const struct command *command, struct written_bytes *written, bool wide,
			const char *text)
{
	char *end;
	errno = 0;
	double number = strtod(text, &end);
	float narrow = wide ? 0 : strtof(text, NULL);
	if (end == text || *end || isspace((unsigned char)*text))
		return command_usage(command, "'%s' is not a number", text);
	if ((isinf(number) || (!wide && isinf(narrow))) && errno == ERANGE)
		return command_usage(command, "%s does not fit into %s", text,
				     wide ? "f64" : "f32");
	return wide ? append(command, written, &number, sizeof(number))
		    : append(command, written, &narrow, sizeof(narrow));
}

static int append_file(const struct command *command, struct written_bytes *written,
		       const char *path)
{
	FILE *file = fopen(path, "re");
	if (!file)
		return command_fail(command, "%s: %s", path, strerror(errno));
	char buffer[65536];
	int status = STATUS_DONE;
	size_t got;
	while (!status && (got = fread(buffer, 1, sizeof(buffer), file)) > 0)
		status = append(command, written, buffer, got);
	if (!status && ferror(file))
		status = command_fail(command, "%s: %s", path, strerror(errno));
	fclose(file);
	return status;
}

bool written_bytes_need_view(const struct command *command)
{
	const char *type = command_option(command, "type");
	uint64_t number;
	bool negative;
	for (size_t i = 2; type && *type != 'f' && i < command->argument_count; i++)
		if (!parse_signed(command->arguments[i], &number, &negative))
			return true;
	return false;
}

static int append_values(struct command *command, size_t first, struct written_bytes *ret)
{
	const char *type = command_option(command, "type");
	int status = STATUS_DONE;
	for (size_t i = first; i < command->argument_count && !status; i++) {
		const char *text = command->arguments[i];
		if (!type)
			status = append_hex(command, ret, text);
		else if (*type == 'f')
			status = append_float(command, ret, strcmp(type, "f64") == 0, text);
		else
			status = append_integer(command, ret, type, text);
	}
	return status;
}

int written_bytes_parse(struct command *command, size_t first, struct written_bytes *ret)
{
	const char *text = command_option(command, "string"),
		   *file = command_option(command, "file");
	bool values = command->argument_count > first;
	if (values + !!text + !!file != 1)
		return command_usage(command,
				     "give one thing to write: VALUEs, --string or --file");
	if (command_has(command, "type") && !values)
		return command_usage(command, "--type goes with VALUEs");
	if (command_has(command, "nul") && !text)
		return command_usage(command, "--nul goes with --string");
	int status;
	if (text)
		status = append(command, ret, text, strlen(text) + command_has(command, "nul"));
	else if (file)
		status = append_file(command, ret, file);
	else
		status = append_values(command, first, ret);
	if (!status && ret->size == 0)
		status = command_usage(command, "nothing to write");
	return status;
}
