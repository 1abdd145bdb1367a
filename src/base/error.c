// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct strobe_error {
	enum strobe_error_code code;
	int errnum;
	unsigned column;
	uint64_t address;
	const char *origin;
	struct strobe_error *cause;
	char message[];
};

// A constant cannot carry a flexible array member portably, so this one is told by its address.
static struct {
	struct strobe_error error;
	char message[16];
} no_memory = {.error = {.code = STROBE_ERROR_NO_MEMORY, .origin = "base/error.c:1"},
	       .message = "out of memory"};

struct strobe_error *error_no_memory(void)
{
	return &no_memory.error;
}

static struct strobe_error *format_error(const char *origin, enum strobe_error_code code,
					 const char *suffix, const char *format, va_list args)
{
	char *text = NULL;
	if (vasprintf(&text, format, args) < 0)
		return error_no_memory();
	size_t size = strlen(text) + (suffix ? strlen(suffix) + 2 : 0) + 1;
	struct strobe_error *error = calloc(1, sizeof(*error) + size);
	if (error) {
		error->code = code;
		error->origin = origin;
		snprintf(error->message, size, "%s%s%s", text, suffix ? ": " : "",
			 suffix ? suffix : "");
		// Names in it come from outside: a message is one line all the same.
		for (char *c = error->message; *c; c++)
			if ((unsigned char)*c < ' ' || *c == 0x7f)
				*c = '?';
	}
	free(text);
	return error ? error : error_no_memory();
}

struct strobe_error *error_make(const char *origin, enum strobe_error_code code, const char *format,
				...)
{
	va_list args;
	va_start(args, format);
	struct strobe_error *error = format_error(origin, code, NULL, format, args);
	va_end(args);
	return error;
}

struct strobe_error *error_make_errno(const char *origin, int errnum, const char *format, ...)
{
	char buffer[128];
	va_list args;
	va_start(args, format);
	struct strobe_error *error =
		format_error(origin, STROBE_ERROR_SYSTEM,
			     strerror_r(errnum, buffer, sizeof(buffer)), format, args);
	va_end(args);
	if (error != error_no_memory())
		error->errnum = errnum;
	return error;
}

struct strobe_error *error_make_at_column(const char *origin, enum strobe_error_code code,
					  unsigned column, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct strobe_error *error = format_error(origin, code, NULL, format, args);
	va_end(args);
	if (error != error_no_memory())
		error->column = column;
	return error;
}

struct strobe_error *error_make_at_address(const char *origin, enum strobe_error_code code,
					   uint64_t address, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct strobe_error *error = format_error(origin, code, NULL, format, args);
	va_end(args);
	if (error != error_no_memory())
		error->address = address;
	return error;
}

struct strobe_error *error_set_column(struct strobe_error *error, unsigned column)
{
	if (error != error_no_memory())
		error->column = column;
	return error;
}

struct strobe_error *error_set_errno(struct strobe_error *error, int errnum)
{
	if (error != error_no_memory())
		error->errnum = errnum;
	return error;
}

struct strobe_error *error_make_wrap(const char *origin, struct strobe_error *cause,
				     const char *format, ...)
{
	va_list args;
	va_start(args, format);
	struct strobe_error *error =
		format_error(origin, cause->code, strobe_error_message(cause), format, args);
	va_end(args);
	if (error == error_no_memory()) {
		strobe_error_free(cause);
		return error;
	}
	error->errnum = cause->errnum;
	error->column = cause->column;
	error->address = cause->address;
	error->cause = cause;
	return error;
}

enum strobe_error_code strobe_error_code(const struct strobe_error *error)
{
	return error->code;
}

const char *strobe_error_message(const struct strobe_error *error)
{
	return error == &no_memory.error ? no_memory.message : error->message;
}

int strobe_error_errno(const struct strobe_error *error)
{
	return error->errnum;
}

unsigned strobe_error_column(const struct strobe_error *error)
{
	return error->column;
}

uint64_t strobe_error_address(const struct strobe_error *error)
{
	return error->address;
}

const char *strobe_error_origin(const struct strobe_error *error)
{
	return error->origin;
}

const struct strobe_error *strobe_error_cause(const struct strobe_error *error)
{
	return error->cause;
}

struct strobe_error *strobe_error_free(struct strobe_error *error)
{
	while (error && error != &no_memory.error) {
		struct strobe_error *cause = error->cause;
		free(error);
		error = cause;
	}
	return NULL;
}

void error_freep(struct strobe_error **error)
{
	*error = strobe_error_free(*error);
}
