// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

/**
 * A string under construction. Zero-initialise. A failed allocation sets `failed` and makes every
 * later append do nothing, so that a writer checks once, at the end. text_fini() releases it;
 * text_steal() hands the string (malloc'ed, NUL-terminated) to the caller, NULL when it failed.
 */
struct text {
	char *data;
	size_t size; // bytes without the terminating NUL
	size_t capacity;
	bool failed;
};

void text_append(struct text *text, const char *string);
void text_append_bytes(struct text *text, const char *bytes, size_t size);
void text_append_char(struct text *text, char c);
void text_printf(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_vprintf(struct text *text, const char *format, va_list args)
	__attribute__((format(printf, 2, 0)));
/** The string so far, never NULL; valid until the next append. */
const char *text_string(const struct text *text);
char *text_steal(struct text *text);
void text_truncate(struct text *text, size_t size);
void text_fini(struct text *text);
#define cleanup_text __attribute__((cleanup(text_fini)))

#endif
