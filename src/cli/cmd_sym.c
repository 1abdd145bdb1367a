// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <string.h>

#include "command.h"
#include "describe.h"

static const struct option options[] = {
	{"address", 'A', NULL, NULL,
	 "The argument is an expression: name the symbol at its value."},
	{"exact", 0, NULL, NULL, "The argument is a name, whatever characters it has."},
	{"glob", 0, NULL, NULL, "The argument is a pattern of * ? [...]; so is one with * or ?."},
	{"regex", 'r', NULL, NULL, "The argument is a PCRE2 regular expression."},
	{"module", 'm', "NAME", NULL, "Only symbols of this module."},
	{"type", 0, "TYPE", "function|object|tls|ifunc|notype|common|other",
	 "Only symbols of this type."},
	{"limit", 0, "N", NULL, "Stop after N symbols."},
	OPTIONS_FRAME,
};

/** Symbols being shown. */
struct listing {
	const struct command *command;
	struct json *json;
	const char *type;
	uint64_t limit, count;
};

static void symbol_json(struct json *json, const struct strobe_symbol *symbol)
{
	json_object(json, NULL);
	json_string(json, "name", symbol->name);
	json_string(json, "linkage_name", symbol->linkage_name);
	json_address(json, "address", symbol->address);
	json_unsigned(json, "size", symbol->size_bytes);
	json_string(json, "module", symbol->module);
	json_string(json, "type", symbol->type);
	json_string(json, "binding", symbol->binding);
	json_object_end(json);
}

static bool show(void *context, const struct strobe_symbol *symbol)
{
	struct listing *listing = context;
	bool color = listing->command->color;
	if (listing->type && strcmp(listing->type, symbol->type) != 0)
		return true;
	listing->count++;
	if (listing->json) {
		symbol_json(listing->json, symbol);
	} else {
		printf("%s0x%016" PRIx64 "%s %8" PRIu64 "  %-8s ",
		       style_start(color, STYLE_ADDRESS), symbol->address, style_end(color),
		       symbol->size_bytes, symbol->type);
		put_styled(stdout, color, STYLE_FUNCTION, symbol->name);
		fputs("  ", stdout);
		put_styled(stdout, color, STYLE_FILE, symbol->module);
		putchar('\n');
	}
	return listing->count != listing->limit && !ferror(stdout);
}

static int find_by_address(struct listing *listing, uint64_t address)
{
	struct strobe_symbol symbol;
	struct strobe_line line;
	const struct command *command = listing->command;
	if (!strobe_symbol_at(command->symbols, address, &symbol))
		return STATUS_DONE;
	show(listing, &symbol);
	if (listing->json)
		return STATUS_DONE;
	printf("    0x%" PRIx64 " is ", address);
	put_safe(stdout, symbol.name);
	printf("+0x%" PRIx64, address - symbol.address);
	if (symbol.size_bytes && address - symbol.address >= symbol.size_bytes)
		fputs(", past its end", stdout);
	if (strobe_line_at(command->symbols, address, &line)) {
		fputs(", ", stdout);
		put_safe(stdout, line.file);
		printf(":%u", line.line);
	}
	putchar('\n');
	return STATUS_DONE;
}

static int find_by_name(struct listing *listing, const char *pattern)
{
	const struct command *command = listing->command;
	enum strobe_match match = STROBE_MATCH_EXACT;
	if (command_has(command, "regex"))
		match = STROBE_MATCH_REGEX;
	else if (command_has(command, "glob") ||
		 (strpbrk(pattern, "*?") && !command_has(command, "exact")))
		match = STROBE_MATCH_GLOB;
	struct strobe_error *error = strobe_symbols_find(
		command->symbols, match, pattern, command_option(command, "module"), show, listing);
	if (!error)
		return STATUS_DONE;
	if (strobe_error_code(error) == STROBE_ERROR_NOT_FOUND)
		return command_error(command, NULL, error);
	return match == STROBE_MATCH_REGEX ? command_expression_error(command, pattern, error)
					   : command_error(command, pattern, error);
}

static int find(struct command *command, struct listing *listing)
{
	const char *what = command->arguments[1];
	uint64_t address;
	if (!command_has(command, "address"))
		return parse_number(what, &address) ? find_by_address(listing, address)
						    : find_by_name(listing, what);
	struct strobe_value *value = NULL;
	size_t frame = 0;
	int status = STATUS_DONE;
	if (strobe_view_thread_count(command->view) > 0)
		status = command_frame(command, &frame);
	if (!status)
		status = command_evaluate(command, frame, what, &value);
	if (!status && !strobe_value_integer(value, &address) &&
	    !strobe_value_address(value, &address))
		status = command_fail(command, "%s: has no address", what);
	strobe_value_close(value);
	return status ? status : find_by_address(listing, address);
}

static int run_sym(struct command *command)
{
	struct json json;
	struct listing listing = {.command = command, .type = command_option(command, "type")};
	int status = command_number(command, "limit", UINT64_MAX, &listing.limit);
	if (status)
		return status;
	if (command->json) {
		json_init(&json, stdout);
		listing.json = &json;
		json_object(&json, NULL);
		json_array(&json, "symbols", true);
	}
	status = find(command, &listing);
	if (command->json) {
		json_array_end(&json);
		json_object_end(&json);
		json_fini(&json);
	}
	if (!status && listing.count == 0)
		status = command_fail(command, "%s: no such symbol", command->arguments[1]);
	return status;
}

const struct verb verb_sym = {
	.name = "sym",
	.arguments = "TARGET NAME|PATTERN|ADDRESS",
	.summary = "symbols by name, pattern or address",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = 2,
	.has_target = true,
	.run = run_sym,
};
