// SPDX-License-Identifier: Apache-2.0
#include "trace/code_place.h"

#include <inttypes.h>
#include <string.h>

#include "describe.h"

void code_place_find(struct strobe_symbols *symbols, uint64_t address, struct code_place *ret)
{
	const struct strobe_view *view = strobe_symbols_view(symbols);
	size_t module = strobe_view_module_at(view, address);
	struct strobe_scope scope;
	struct strobe_symbol symbol;
	*ret = (struct code_place){.address = address};
	if (module != SIZE_MAX)
		ret->module = strobe_view_module(view, module)->name;
	if (strobe_scopes_at(symbols, address, &scope, 1)) {
		ret->function = scope.name;
		ret->offset = scope.start && address >= scope.start ? address - scope.start : 0;
		ret->inlined = scope.inlined;
		ret->file = scope.file;
		ret->line = scope.line;
	} else if (strobe_symbol_at(symbols, address, &symbol)) {
		ret->function = symbol.name;
		ret->offset = address - symbol.address;
	}
}

void put_code_place(const struct command *command, const struct code_place *place)
{
	printf("%s0x%016" PRIx64 "%s", style_start(command->color, STYLE_ADDRESS), place->address,
	       style_end(command->color));
	if (!place->function && place->module)
		printf(" %s`(none)", place->module);
	if (place->function) {
		putchar(' ');
		put_styled(stdout, command->color, STYLE_FUNCTION, place->function);
		if (place->offset)
			printf(" + %" PRIu64, place->offset);
		if (place->inlined)
			fputs(" [inlined]", stdout);
	}
	if (place->file && place->line) {
		fputs(" at ", stdout);
		put_styled(stdout, command->color, STYLE_FILE, base_name(place->file));
		printf(":%u", place->line);
	}
}

void code_place_json(struct json *json, const struct code_place *place)
{
	json_address(json, "address", place->address);
	json_string(json, "module", place->module);
	json_string(json, "function", place->function);
	json_bool(json, "inlined", place->inlined);
	json_string(json, "file", place->file);
	if (place->line)
		json_unsigned(json, "line", place->line);
	else
		json_null(json, "line");
}

void put_item_time(struct strobe_cursor *cursor)
{
	double time_ns;
	if (strobe_cursor_time_ns(cursor, &time_ns))
		printf(" [%.3f ns]", time_ns);
	else
		fputs(" [unavailable]", stdout);
}

void put_item(const struct command *command, struct strobe_symbols *symbols,
	      struct strobe_cursor *cursor)
{
	struct strobe_event event;
	struct code_place place;
	uint64_t address;
	if (strobe_cursor_address(cursor, &address)) {
		code_place_find(symbols, address, &place);
		put_code_place(command, &place);
	} else if (strobe_cursor_event(cursor, &event)) {
		printf("(event) %s", event.name);
		if (event.text && *event.text) {
			fputs(" [", stdout);
			put_safe(stdout, event.text);
			putchar(']');
		}
	} else if (strobe_cursor_error(cursor)) {
		fputs("(error) ", stdout);
		put_styled(stdout, command->color, STYLE_ALERT, strobe_cursor_error(cursor));
	}
}

static const char *kind_name(enum strobe_item_kind kind)
{
	switch (kind) {
	case STROBE_ITEM_ERROR:
		return "error";
	case STROBE_ITEM_EVENT:
		return "event";
	default:
		return "instruction";
	}
}

void item_json(struct json *json, struct strobe_symbols *symbols, struct strobe_cursor *cursor)
{
	struct strobe_event event;
	struct strobe_position position;
	struct code_place place;
	uint64_t address;
	double time_ns;
	json_unsigned(json, "id", strobe_cursor_id(cursor));
	if (strobe_cursor_time_ns(cursor, &time_ns))
		json_unsigned(json, "time_ns", time_ns > 0 ? (uint64_t)time_ns : 0);
	else
		json_null(json, "time_ns");
	if (strobe_cursor_tell(cursor, &position))
		json_string(json, "position", position.text);
	json_string(json, "kind", kind_name(strobe_cursor_kind(cursor)));
	if (strobe_cursor_address(cursor, &address)) {
		code_place_find(symbols, address, &place);
		code_place_json(json, &place);
	} else if (strobe_cursor_event(cursor, &event)) {
		json_string(json, "event", event.name);
		json_string(json, "text", event.text);
	} else {
		json_string(json, "error", strobe_cursor_error(cursor));
	}
}
