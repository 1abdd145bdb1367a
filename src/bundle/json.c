// SPDX-License-Identifier: Apache-2.0
#include "bundle/json.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

enum {
	MAX_FILE_BYTES = 256 << 20,
	MAX_DEPTH = 64,	   // of a path in a message
	SHOWN_STRING = 40, // characters
	SHOWN_AROUND = 4,  // members before and after the one meant
	// Integers of so many digits may be beyond jansson's 63 bits.
	LONG_DIGITS = 19,
};

/** Puts long integers between quotes, where json_read_address() takes them as well. */
static void quote_long_integers(struct text *text, const char *bytes, size_t size)
{
	bool in_string = false;
	for (size_t i = 0; i < size;) {
		size_t digits = 0;
		while (!in_string && i + digits < size && isdigit((unsigned char)bytes[i + digits]))
			digits++;
		char next = i + digits < size ? bytes[i + digits] : 0;
		if (digits >= LONG_DIGITS && next != '.' && next != 'e' && next != 'E' &&
		    (!i || !strchr(".-+eE", bytes[i - 1]))) {
			text_append_char(text, '"');
			text_append_bytes(text, bytes + i, digits);
			text_append_char(text, '"');
			i += digits;
			continue;
		}
		size_t taken = digits ? digits : 1;
		if (bytes[i] == '"')
			in_string = !in_string;
		else if (in_string && bytes[i] == '\\' && i + 1 < size)
			taken = 2;
		text_append_bytes(text, bytes + i, taken);
		i += taken;
	}
}

/** One line, whatever the file has in it. */
static void clean(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 127)
			*text = '?';
}

static struct strobe_error *syntax_error(const struct file *file, json_error_t *error)
{
	clean(error->text);
	if (json_error_code(error) == json_error_out_of_memory)
		return error_no_memory();
	return error_new(STROBE_ERROR_FORMAT, "%s:%d:%d: not JSON: %s", file->path, error->line,
			 error->column, error->text);
}

struct strobe_error *json_parse(const struct file *file, json_t **ret)
{
	json_error_t error;
	if (file->size > MAX_FILE_BYTES)
		return error_new(STROBE_ERROR_LIMIT,
				 "%s: %" PRIu64 " bytes: more than the %d that are read of JSON",
				 file->path, file->size, MAX_FILE_BYTES);
	const char *bytes = file->size ? (const char *)file->data : "";
	*ret = json_loadb(bytes, file->size, JSON_DECODE_ANY, &error);
	if (*ret)
		return NULL;
	if (json_error_code(&error) == json_error_numeric_overflow) {
		struct text quoted cleanup_text = {0};
		quote_long_integers(&quoted, bytes, file->size);
		if (quoted.failed)
			return error_no_memory();
		*ret = json_loadb(text_string(&quoted), quoted.size, JSON_DECODE_ANY, &error);
	}
	return *ret ? NULL : syntax_error(file, &error);
}

static void append_path(struct text *text, const struct json_place *place)
{
	const struct json_place *chain[MAX_DEPTH];
	size_t depth = 0;
	for (; place->parent && depth < MAX_DEPTH; place = place->parent)
		chain[depth++] = place;
	text_append(text, "traceBundle");
	while (depth--) {
		if (chain[depth]->key)
			text_printf(text, ".%s", chain[depth]->key);
		else
			text_printf(text, "[%zu]", chain[depth]->index);
	}
}

static void append_string(struct text *text, const char *string)
{
	size_t shown = 0;
	text_append_char(text, '"');
	for (; *string && shown < SHOWN_STRING; string++, shown++) {
		if (*string == '"' || *string == '\\')
			text_append_char(text, '\\');
		text_append_char(text,
				 (unsigned char)*string < ' ' || *string == 127 ? '?' : *string);
	}
	text_append(text, *string ? "...\"" : "\"");
}

static void append_short(struct text *text, const json_t *value)
{
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		text_append(text, json_object_size(value) ? "{...}" : "{}");
		break;
	case JSON_ARRAY:
		text_append(text, json_array_size(value) ? "[...]" : "[]");
		break;
	case JSON_STRING:
		append_string(text, json_string_value(value));
		break;
	case JSON_INTEGER:
		text_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		text_printf(text, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
	case JSON_FALSE:
		text_append(text, json_is_true(value) ? "true" : "false");
		break;
	case JSON_NULL:
		text_append(text, "null");
		break;
	}
}

static const char marker[] = "/* here */";

static void append_array(struct text *text, const json_t *array, size_t marked)
{
	size_t count = json_array_size(array);
	size_t first = marked > SHOWN_AROUND ? marked - SHOWN_AROUND : 0;
	text_append(text, first ? "[..., " : "[");
	for (size_t i = first; i < count && i <= marked + SHOWN_AROUND; i++) {
		text_append(text, i > first ? ", " : "");
		if (i == marked)
			text_printf(text, "%s ", marker);
		append_short(text, json_array_get(array, i));
	}
	text_append(text, marked + SHOWN_AROUND + 1 < count ? ", ...]" : "]");
}

/** Position of `key` among an object's members; their number if it is missing. */
static size_t member_index(json_t *object, const char *key)
{
	size_t index = 0;
	const char *name;
	json_t *value;
	json_object_foreach(object, name, value)
	{
		if (strcmp(name, key) == 0)
			break;
		index++;
	}
	return index;
}

static void append_object(struct text *text, json_t *object, const char *key)
{
	size_t marked = member_index(object, key), index = 0, count = json_object_size(object);
	size_t first = marked > SHOWN_AROUND ? marked - SHOWN_AROUND : 0;
	const char *name;
	json_t *value;
	text_append(text, first ? "{..., " : "{");
	json_object_foreach(object, name, value)
	{
		size_t i = index++;
		if (i < first || i > marked + SHOWN_AROUND)
			continue;
		text_append(text, i > first ? ", " : "");
		append_string(text, name);
		text_printf(text, ": %s", i == marked ? marker : "");
		text_append(text, i == marked ? " " : "");
		append_short(text, value);
	}
	if (marked == count)
		text_printf(text, "%s%s", count ? ", " : "", marker);
	text_append(text, marked + SHOWN_AROUND + 1 < count ? ", ...}" : "}");
}

struct strobe_error *json_fail(const struct json_place *place, const char *what)
{
	struct text path cleanup_text = {0}, context cleanup_text = {0};
	append_path(&path, place);
	json_t *around = place->parent ? place->parent->value : NULL;
	if (around && json_is_object(around) && place->key)
		append_object(&context, around, place->key);
	else if (around && json_is_array(around))
		append_array(&context, around, place->index);
	else if (place->value)
		append_short(&context, place->value);
	if (path.failed || context.failed)
		return error_no_memory();
	if (!place->value)
		return error_new(STROBE_ERROR_FORMAT, "%s: missing value at %s (%s): %s",
				 place->file, text_string(&path), what, text_string(&context));
	return error_new(STROBE_ERROR_FORMAT, "%s: expected %s at %s: %s", place->file, what,
			 text_string(&path), text_string(&context));
}

struct json_place json_member(const struct json_place *object, const char *key)
{
	json_t *value = json_object_get(object->value, key);
	return (struct json_place){
		.parent = object,
		.file = object->file,
		.key = key,
		.value = json_is_null(value) ? NULL : value,
	};
}

struct json_place json_member_or(const struct json_place *object, const char *key,
				 const char *older)
{
	struct json_place found = json_member(object, key);
	struct json_place other = json_member(object, older);
	return !found.value && other.value ? other : found;
}

struct json_place json_item(const struct json_place *array, size_t index)
{
	return (struct json_place){
		.parent = array,
		.file = array->file,
		.index = index,
		.value = json_array_get(array->value, index),
	};
}

size_t json_count(const struct json_place *array)
{
	return json_array_size(array->value);
}

struct strobe_error *json_expect_object(const struct json_place *place)
{
	return json_is_object(place->value) ? NULL : json_fail(place, "an object");
}

struct strobe_error *json_expect_array(const struct json_place *place)
{
	return json_is_array(place->value) ? NULL : json_fail(place, "an array");
}

struct strobe_error *json_read_integer(const struct json_place *place, uint64_t most, uint64_t *ret)
{
	char what[64];
	json_int_t value = json_is_integer(place->value) ? json_integer_value(place->value) : -1;
	if (!json_is_integer(place->value))
		return json_fail(place, "an integer");
	snprintf(what, sizeof(what), "an integer from 0 to %" PRIu64, most);
	if (value < 0 || (uint64_t)value > most)
		return json_fail(place, what);
	*ret = (uint64_t)value;
	return NULL;
}

static bool parse_number(const char *text, uint64_t *ret)
{
	bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
	const char *digits = hex ? text + 2 : text;
	char *end;
	if (!isxdigit((unsigned char)*digits)) // strtoull() takes signs and blanks
		return false;
	errno = 0;
	unsigned long long value = strtoull(digits, &end, hex ? 16 : 10);
	if (*end || end == digits || errno)
		return false;
	*ret = value;
	return true;
}

struct strobe_error *json_read_address(const struct json_place *place, uint64_t *ret)
{
	static const char what[] = "a number of 64 bits, or a string with one";
	if (json_is_integer(place->value) && json_integer_value(place->value) >= 0) {
		*ret = (uint64_t)json_integer_value(place->value);
		return NULL;
	}
	if (json_is_string(place->value) && parse_number(json_string_value(place->value), ret))
		return NULL;
	return json_fail(place, what);
}

struct strobe_error *json_read_string(const struct json_place *place, const char **ret)
{
	if (!json_is_string(place->value) || !*json_string_value(place->value))
		return json_fail(place, "a string");
	*ret = json_string_value(place->value);
	return NULL;
}
