// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/code.h>
#include <strobe/source.h>

#include "command.h"
#include "describe.h"
#include "location.h"

static const struct option options[] = {
	OPTIONS_FRAME,
	{"syntax", 0, "SYNTAX", "intel|att", "Assembly syntax. Default: intel."},
	{"count", 'n', "N", NULL,
	 "Show N instructions. Default: to the end of the function or range, else 20."},
	{"source", 's', NULL, NULL, "Show the source lines between the instructions."},
	{"source-dir", 0, "DIRS", NULL,
	 "Look for source files below these ':'-separated directories, too."},
	{"bytes", 'b', NULL, NULL, "Show the instructions' bytes."},
};

enum { COUNT_DEFAULT = 20 };

/** A disassembly under way. */
struct listing {
	struct command *command;
	struct json *json;
	uint64_t pc; // of the frame, marked; meaningful if has_pc
	bool has_pc, bytes, source;
	char symbol[256]; // the heading last shown: code may run on into the next function
	struct strobe_line line;
	struct strobe_source *file;
	const char *file_name; // that `file` was opened (or tried) for
	size_t count;
};

static void instruction_json(struct listing *listing, const struct strobe_instruction *instruction)
{
	struct json *json = listing->json;
	struct strobe_line line;
	char symbol[256];
	json_object(json, NULL);
	json_address(json, "address", instruction->address);
	json_hex_begin(json, "bytes");
	json_hex(json, instruction->bytes, instruction->size_bytes);
	json_hex_end(json);
	json_string(json, "text", instruction->text);
	symbol_text(listing->command->symbols, instruction->address, symbol, sizeof(symbol));
	json_string(json, "symbol", *symbol ? symbol : NULL);
	if (instruction->has_target) {
		json_address(json, "target", instruction->target);
		json_string(json, "target_symbol", instruction->target_symbol);
	}
	if (strobe_line_at(listing->command->symbols, instruction->address, &line)) {
		json_string(json, "file", line.file);
		json_unsigned(json, "line", line.line);
	}
	json_bool(json, "current", listing->has_pc && instruction->address == listing->pc);
	json_object_end(json);
}

static void open_source(struct listing *listing, const char *name)
{
	struct command *command = listing->command;
	if (listing->file_name && strcmp(listing->file_name, name) == 0)
		return;
	listing->file = strobe_source_close(listing->file);
	listing->file_name = name;
	struct strobe_error *error = strobe_source_open(
		command->symbols, name, strobe_view_module_at(command->view, listing->line.start),
		command_option(command, "source-dir"), &listing->file);
	if (error)
		command_warn(command, "%s", strobe_error_message(error));
	strobe_error_free(error);
}

static void source_line(struct listing *listing, uint64_t address)
{
	struct strobe_line line;
	bool color = listing->command->color;
	if (!strobe_line_at(listing->command->symbols, address, &line) || !line.file)
		return;
	if (line.line == listing->line.line && listing->line.file &&
	    strcmp(line.file, listing->line.file) == 0)
		return;
	listing->line = line;
	open_source(listing, line.file);
	size_t size;
	const char *text =
		listing->file ? strobe_source_line(listing->file, line.line, &size) : NULL;
	printf("%s%s:%u%s", style_start(color, STYLE_FILE), base_name(line.file), line.line,
	       style_end(color));
	if (text) {
		putchar('\t');
		put_source(stdout, text, size);
	}
	putchar('\n');
}

// "<function>:" where another function begins.
static void heading(struct listing *listing, uint64_t address)
{
	struct strobe_symbol symbol;
	if (!strobe_symbol_at(listing->command->symbols, address, &symbol) || !symbol.name)
		symbol.name = "??";
	if (strncmp(symbol.name, listing->symbol, sizeof(listing->symbol) - 1) == 0)
		return;
	snprintf(listing->symbol, sizeof(listing->symbol), "%s", symbol.name);
	put_styled(stdout, listing->command->color, STYLE_FUNCTION, symbol.name);
	puts(":");
}

static void instruction_text(struct listing *listing, const struct strobe_instruction *instruction)
{
	bool color = listing->command->color;
	bool current = listing->has_pc && instruction->address == listing->pc;
	char offset[64] = "";
	struct strobe_symbol symbol;
	heading(listing, instruction->address);
	if (listing->source)
		source_line(listing, instruction->address);
	if (strobe_symbol_at(listing->command->symbols, instruction->address, &symbol))
		snprintf(offset, sizeof(offset), "<+%" PRIu64 ">",
			 instruction->address - symbol.address);
	printf("%s%s%s %s0x%016" PRIx64 "%s %-8s ", style_start(color, STYLE_ALERT),
	       current ? "=>" : "  ", style_end(color), style_start(color, STYLE_ADDRESS),
	       instruction->address, style_end(color), offset);
	for (unsigned i = 0; listing->bytes && i < 11; i++)
		if (i < instruction->size_bytes)
			printf("%02x ", instruction->bytes[i]);
		else
			fputs("   ", stdout);
	put_styled(stdout, color && current, STYLE_HEADING, instruction->text);
	if (instruction->target_symbol) {
		fputs("  ", stdout);
		put_styled(stdout, color, STYLE_FUNCTION, instruction->target_symbol);
	}
	putchar('\n');
}

static bool show(void *context, const struct strobe_instruction *instruction)
{
	struct listing *listing = context;
	listing->count++;
	if (listing->json)
		instruction_json(listing, instruction);
	else
		instruction_text(listing, instruction);
	return !ferror(stdout);
}

/** What to disassemble. */
struct range {
	uint64_t start, end, count;
};

// The end of "START,END" or "START,+SIZE", NULL if `text` is none of these: a signature has commas.
static const char *find_end(const char *text)
{
	uint64_t number;
	const char *comma = text ? strrchr(text, ',') : NULL;
	if (!comma || comma == text)
		return NULL;
	const char *end = comma + 1;
	return (*end == '+' ? parse_size(end + 1, &number) : parse_number(end, &number)) ? end
											 : NULL;
}

static int find_start(struct command *command, const char *text, const char *end,
		      struct location *location)
{
	char *start = text ? strndup(text, end ? (size_t)(end - 1 - text) : strlen(text)) : NULL;
	if (text && !start)
		return command_fail(command, "out of memory");
	int status = location_find(command, start, location);
	if (!status && !location->has_address)
		status = command_fail(command, "%s: no code stands there", start);
	free(start);
	return status;
}

static int set_end(struct command *command, const char *end, struct range *range)
{
	bool good = end[0] == '+'
			    ? parse_size(end + 1, &range->end) &&
				      !__builtin_add_overflow(range->start, range->end, &range->end)
			    : parse_number(end, &range->end);
	if (!good || range->end <= range->start)
		return command_usage(command, "'%s' is no end behind 0x%" PRIx64, end,
				     range->start);
	return STATUS_DONE;
}

// A function is shown whole, and so is the frame's.
static void choose_function(struct command *command, const struct location *location, bool of_frame,
			    struct range *range)
{
	struct strobe_symbol symbol;
	const struct strobe_function *function = &location->function;
	if (function->name && function->end > function->start &&
	    (of_frame || location->address == function->start)) {
		range->start = function->start;
		range->end = function->end;
	} else if (strobe_symbol_at(command->symbols, location->address, &symbol) &&
		   location->address - symbol.address < symbol.size_bytes) {
		range->start = of_frame ? symbol.address : location->address;
		range->end = symbol.address + symbol.size_bytes;
	}
}

static int choose_range(struct command *command, struct range *range)
{
	struct location location;
	const char *text = command->argument_count > 1 ? command->arguments[1] : NULL;
	const char *end = find_end(text);
	int status = command_number(command, "count", UINT64_MAX, &range->count);
	if (!status)
		status = find_start(command, text, end, &location);
	if (status)
		return status;
	range->start = location.address;
	if (end)
		return set_end(command, end, range);
	if (!location.is_address) // an address is shown as far as asked
		choose_function(command, &location, !text, range);
	if (!command_has(command, "count") && range->end == 0)
		range->count = COUNT_DEFAULT;
	return STATUS_DONE;
}

// The arrow marks the frame's pc, for a caller the instruction that will run next.
static void find_pc(struct command *command, struct listing *listing)
{
	size_t frame = 0;
	uint64_t number;
	const char *text = command_option(command, "frame");
	if (!command->stack)
		return;
	if (text && parse_number(text, &number))
		frame = number;
	if (frame >= strobe_stack_frame_count(command->stack))
		return;
	listing->pc = strobe_stack_frame(command->stack, frame)->pc;
	listing->has_pc = true;
}

static int disassemble(struct command *command, struct listing *listing, const struct range *range)
{
	const char *syntax = command_option(command, "syntax");
	struct json json;
	if (command->json) {
		json_init(&json, stdout);
		listing->json = &json;
		json_object(&json, NULL);
		json_array(&json, "instructions", true);
	}
	struct strobe_error *error = strobe_disassemble(
		command->symbols, range->start, range->end, range->count,
		syntax && strcmp(syntax, "att") == 0 ? STROBE_SYNTAX_ATT : STROBE_SYNTAX_INTEL,
		show, listing);
	if (command->json) {
		json_array_end(&json);
		json_object_end(&json);
		json_fini(&json);
	}
	return error ? command_error(command, NULL, error) : STATUS_DONE;
}

static int run_disasm(struct command *command)
{
	struct range range = {0};
	struct listing listing = {.command = command,
				  .bytes = command_has(command, "bytes"),
				  .source = command_has(command, "source")};
	int status = choose_range(command, &range);
	if (status)
		return status;
	find_pc(command, &listing);
	status = disassemble(command, &listing, &range);
	strobe_source_close(listing.file);
	return status;
}

const struct verb verb_disasm = {
	.name = "disasm",
	.arguments = "TARGET [FUNCTION|FILE:LINE|ADDRESS|START,END|START,+SIZE]",
	.summary = "machine code with symbols and source lines; of the frame's function by default",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 2,
	.has_target = true,
	.run = run_disasm,
};
