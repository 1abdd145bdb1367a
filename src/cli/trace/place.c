// SPDX-License-Identifier: Apache-2.0
#include "trace/place.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "describe.h"

static const char stub_mark[] = "@plt";

// Inside a symbol, or where one of no size begins: the nearest lower one says nothing.
static bool symbol_holds(const struct strobe_symbol *symbol, uint64_t address)
{
	uint64_t offset = address - symbol->address;
	return symbol->name && (symbol->size_bytes == 0 || offset < symbol->size_bytes);
}

static void find_symbol(const struct command *command, struct place *place)
{
	struct strobe_symbol symbol;
	if (!strobe_symbol_at(command->symbols, place->address, &symbol) ||
	    !symbol_holds(&symbol, place->address))
		return;
	if (!place->function) {
		place->function = symbol.name;
		place->start = symbol.address;
	} else if (place->has_debug && symbol.address == place->start && strchr(symbol.name, '(')) {
		place->function = symbol.name; // with its parameters
	}
}

void place_find(const struct command *command, uint64_t address, struct place *ret)
{
	enum { SCOPES = 16 };
	struct strobe_scope scopes[SCOPES];
	size_t count = strobe_scopes_at(command->symbols, address, scopes, SCOPES);
	size_t module = strobe_view_module_at(command->view, address);
	*ret = (struct place){.address = address, .module = module};
	if (module < strobe_view_module_count(command->view))
		ret->module_name = base_name(strobe_view_module(command->view, module)->path);
	if (count > 0 && count <= SCOPES) {
		ret->has_debug = true;
		ret->function = scopes[count - 1].name;
		ret->start = scopes[count - 1].start;
	}
	struct strobe_line line;
	if (count > 0 && strobe_line_row_at(command->symbols, address, &line)) {
		ret->file = line.file;
		ret->line = line.line;
		ret->column = line.column;
	}
	if (count > 0 && scopes[0].inlined) {
		ret->inlined = scopes[0].entity;
		ret->inlined_name = scopes[0].name;
		ret->inlined_start = scopes[0].start;
	}
	find_symbol(command, ret);
	size_t size = ret->function ? strlen(ret->function) : 0, mark = sizeof(stub_mark) - 1;
	if (size > mark && strcmp(ret->function + size - mark, stub_mark) == 0)
		ret->stub = ret->function;
}

const char *place_function(const struct place *place)
{
	return place->inlined ? place->inlined_name : place->function;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

struct place_key place_key(const struct place *place)
{
	return (struct place_key){
		.start = place->start,
		.inlined = place->inlined,
		.file = place->file,
		.module = (uint32_t)place->module,
		.line = place->line,
		.column = place->column,
		.has_function = place->function,
		.has_debug = place->has_debug,
	};
}

bool place_same(const struct place_key *a, const struct place_key *b)
{
	if (a->module != b->module || a->has_debug != b->has_debug || a->start != b->start ||
	    a->has_function != b->has_function)
		return false;
	if (!a->has_debug)
		return true;
	return a->inlined == b->inlined && a->line == b->line && a->column == b->column &&
	       same_text(a->file, b->file);
}

/** A text that grows; what does not fit is lost. */
struct growing {
	char *buffer;
	size_t size, room;
};

static void put(struct growing *text, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static void put(struct growing *text, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int size = vsnprintf(text->buffer + text->size, text->room - text->size, format, args);
	va_end(args);
	if (size > 0)
		text->size += (size_t)size < text->room - text->size ? (size_t)size
								     : text->room - text->size - 1;
}

static void put_name(struct growing *text, const struct place *place)
{
	if (place->stub)
		put(text, "symbol stub for: %.*s",
		    (int)(strlen(place->stub) + 1 - sizeof(stub_mark)), place->stub);
	else
		put(text, "%s", place->function);
}

static void put_offset(struct growing *text, uint64_t offset)
{
	if (offset)
		put(text, " + %" PRIu64, offset);
}

static void put_inlined_and_line(struct growing *text, const struct place *place)
{
	if (place->inlined) {
		put(text, " [inlined] %s", place->inlined_name ? place->inlined_name : "??");
		if (place->inlined_start && place->inlined_start <= place->address)
			put_offset(text, place->address - place->inlined_start);
	}
	if (!place->file || !place->line)
		return;
	put(text, " at %s:%u", base_name(place->file), place->line);
	if (place->column)
		put(text, ":%u", place->column);
}

size_t place_text(const struct place *place, char *buffer, size_t size)
{
	struct growing text = {buffer, 0, size};
	if (!place->module_name) {
		put(&text, "(none)");
		return text.size;
	}
	put(&text, "%s`", place->module_name);
	if (!place->function) {
		put(&text, "(none)");
		return text.size;
	}
	put_name(&text, place);
	put_offset(&text, place->address - place->start);
	put_inlined_and_line(&text, place);
	return text.size;
}

size_t place_reference(const struct command *command, const struct place *from, uint64_t address,
		       char *buffer, size_t size)
{
	struct growing text = {buffer, 0, size};
	struct place to;
	place_find(command, address, &to);
	if (!to.function)
		return 0;
	if (from->function && to.module == from->module && to.start == from->start) {
		put(&text, "<+%" PRIu64 ">", address - to.start);
	} else {
		put_name(&text, &to);
		put_offset(&text, to.stub ? 0 : address - to.start);
	}
	put_inlined_and_line(&text, &to);
	return text.size;
}
