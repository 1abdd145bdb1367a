// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool reserve(struct text *text, size_t extra)
{
	if (text->failed)
		return false;
	size_t needed = text->size + extra + 1;
	if (needed <= text->capacity)
		return true;
	size_t grown = text->capacity ? text->capacity * 2 : 64;
	if (grown < needed)
		grown = needed;
	char *moved = realloc(text->data, grown);
	if (!moved) {
		text->failed = true;
		return false;
	}
	text->data = moved;
	text->capacity = grown;
	return true;
}

void text_append_bytes(struct text *text, const char *bytes, size_t size)
{
	if (!reserve(text, size))
		return;
	if (size)
		memcpy(text->data + text->size, bytes, size);
	text->size += size;
	text->data[text->size] = '\0';
}

void text_append(struct text *text, const char *string)
{
	text_append_bytes(text, string, strlen(string));
}

void text_append_char(struct text *text, char c)
{
	text_append_bytes(text, &c, 1);
}

void text_vprintf(struct text *text, const char *format, va_list args)
{
	va_list again;
	va_copy(again, args);
	int size = vsnprintf(NULL, 0, format, args);
	if (size >= 0 && reserve(text, (size_t)size)) {
		vsnprintf(text->data + text->size, (size_t)size + 1, format, again);
		text->size += (size_t)size;
	}
	va_end(again);
}

void text_printf(struct text *text, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	text_vprintf(text, format, args);
	va_end(args);
}

const char *text_string(const struct text *text)
{
	return text->data ? text->data : "";
}

char *text_steal(struct text *text)
{
	char *result = text->failed ? NULL : text->data ? text->data : strdup("");
	if (text->failed)
		free(text->data);
	*text = (struct text){0};
	return result;
}

void text_truncate(struct text *text, size_t size)
{
	if (size < text->size) {
		text->size = size;
		text->data[size] = '\0';
	}
}

void text_fini(struct text *text)
{
	free(text->data);
	*text = (struct text){0};
}
