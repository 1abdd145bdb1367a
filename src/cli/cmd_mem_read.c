// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

#include "command.h"
#include "describe.h"
#include "memory_piece.h"

static const struct option options[] = {
	OPTIONS_FRAME,
	{"format", 'x', "LETTER", "x|d|u|c|s",
	 "Show words, not a dump: x hexadecimal, d signed, u unsigned, c characters; s shows "
	 "NUL-terminated strings."},
	{"width", 'w', "BYTES", "1|2|4|8", "Bytes in a word. Default: 8."},
	{"raw", 'r', NULL, NULL, "Write the bytes themselves, with zeros for those not known."},
	{"no-squeeze", 0, NULL, NULL, "Show equal lines too; otherwise '*' stands for them."},
};

enum { DEFAULT_SIZE = 128 };

/** What is read and how far it got. */
struct reading {
	uint64_t address, size;
	uint64_t known; // bytes
	char format;	// 0 = dump
	unsigned width;
	bool raw, squeeze;
	struct range {
		uint64_t start, end;
	} * missing;
	size_t missing_count, missing_capacity;
	bool squeezed; // the last line was like the one before
	uint8_t line[16];
	bool line_known[16], has_line; // the last line of the piece before
	char first_why[160];
};

// ADDR as a number, or an expression: its value as an address, or where it stands if it is a
// structure or an array, with its size.
static int find_address(struct command *command, struct reading *reading)
{
	const char *text = command->arguments[1];
	struct strobe_value *value = NULL;
	size_t frame = 0;
	reading->size = DEFAULT_SIZE;
	if (parse_number(text, &reading->address))
		return STATUS_DONE;
	int status = STATUS_DONE;
	if (strobe_view_thread_count(command->view) > 0)
		status = command_frame(command, &frame);
	if (!status)
		status = command_evaluate(command, frame, text, &value);
	if (status)
		return status;
	if (strobe_value_integer(value, &reading->address))
		;
	else if (!strobe_value_address(value, &reading->address))
		status = command_fail(command, "%s: has no address", text);
	else if (strobe_value_size(value) > 0)
		reading->size = strobe_value_size(value);
	strobe_value_close(value);
	return status;
}

static int parse_reading(struct command *command, struct reading *reading)
{
	const char *format = command_option(command, "format");
	uint64_t width = 8;
	int status = command_number(command, "width", 8, &width);
	if (!status)
		status = find_address(command, reading);
	if (status)
		return status;
	if (command->argument_count > 2 &&
	    (!parse_size(command->arguments[2], &reading->size) || reading->size == 0))
		return command_usage(command, "'%s' is not a size", command->arguments[2]);
	if (reading->size > UINT64_MAX - reading->address)
		reading->size = UINT64_MAX - reading->address;
	reading->format = format ? format[0] : command_has(command, "width") ? 'x' : 0;
	reading->width = reading->format == 'c' ? 1 : (unsigned)width;
	reading->raw = command_has(command, "raw");
	reading->squeeze = !command_has(command, "no-squeeze");
	if (reading->raw && (command->json || reading->format))
		return command_usage(command, "--raw goes with neither --json nor --format");
	return STATUS_DONE;
}

static bool note_missing(const struct command *command, struct reading *reading, uint64_t start,
			 uint64_t end)
{
	struct range *last =
		reading->missing_count ? &reading->missing[reading->missing_count - 1] : NULL;
	if (last && last->end == start) {
		last->end = end;
		return true;
	}
	if (!last) {
		struct strobe_memory_extent extent;
		strobe_memory_extent(command->view, start, &extent);
		snprintf(reading->first_why, sizeof(reading->first_why), "0x%" PRIx64 ": %s", start,
			 extent.why ? extent.why : "not readable");
	}
	if (reading->missing_count == reading->missing_capacity) {
		size_t capacity = reading->missing_capacity ? reading->missing_capacity * 2 : 16;
		struct range *grown = reallocarray(reading->missing, capacity, sizeof(*grown));
		if (!grown)
			return false;
		reading->missing = grown;
		reading->missing_capacity = capacity;
	}
	reading->missing[reading->missing_count++] = (struct range){start, end};
	return true;
}

static bool note_all_missing(const struct command *command, struct reading *reading,
			     const struct memory_piece *piece)
{
	for (size_t i = 0; i < piece->size;) {
		size_t end = i;
		while (end < piece->size && piece->known[end] == piece->known[i])
			end++;
		if (!piece->known[i] &&
		    !note_missing(command, reading, piece->address + i, piece->address + end))
			return false;
		i = end;
	}
	return true;
}

static void dump_text(const struct command *command, struct reading *reading,
		      const struct memory_piece *piece)
{
	for (size_t at = 0; at < piece->size; at += 16) {
		const uint8_t *before = at ? piece->bytes + at - 16 : reading->line;
		const bool *known = at ? piece->known + at - 16 : reading->line_known;
		bool same = (at || reading->has_line) && at + 16 <= piece->size &&
			    reading->squeeze && memcmp(piece->bytes + at, before, 16) == 0 &&
			    memcmp(piece->known + at, known, 16 * sizeof(*known)) == 0;
		if (!same)
			memory_piece_line(command, piece, at);
		else if (!reading->squeezed)
			puts("*");
		reading->squeezed = same;
	}
	reading->has_line = piece->size >= 16;
	if (!reading->has_line)
		return;
	memcpy(reading->line, piece->bytes + piece->size - 16, 16);
	memcpy(reading->line_known, piece->known + piece->size - 16, sizeof(reading->line_known));
}

static void put_word(const struct reading *reading, const struct memory_piece *piece, size_t at)
{
	uint64_t word = 0;
	unsigned width = reading->width, digits = width * 2;
	int64_t extended;
	if (memchr(piece->known + at, false, width)) {
		printf("  %*s", reading->format == 'x' ? (int)digits + 2 : 0, "??");
		return;
	}
	memcpy(&word, piece->bytes + at, width);
	extended = (int64_t)(word << (64 - 8 * width)) >> (64 - 8 * width);
	if (reading->format == 'x')
		printf("  0x%0*" PRIx64, (int)digits, word);
	else if (reading->format == 'd')
		printf("  %*" PRId64, (int)digits + 3, extended);
	else if (reading->format == 'u')
		printf("  %*" PRIu64, (int)digits + 3, word);
	else if (isprint((int)word))
		printf("  '%c'   ", (int)word);
	else
		printf("  '\\%03o'", (unsigned)word);
}

static void words_text(const struct command *command, const struct reading *reading,
		       const struct memory_piece *piece)
{
	size_t row = reading->width == 1 ? 8 : 16;
	char symbol[256];
	for (size_t at = 0; at < piece->size; at += row) {
		uint64_t address = piece->address + at;
		printf("%s0x%016" PRIx64 "%s", style_start(command->color, STYLE_ADDRESS), address,
		       style_end(command->color));
		symbol_text(command->symbols, address, symbol, sizeof(symbol));
		printf("%s%s:", *symbol ? " " : "", symbol);
		for (size_t i = at; i < at + row && i + reading->width <= piece->size;
		     i += reading->width)
			put_word(reading, piece, i);
		putchar('\n');
	}
}

static void strings_text(const struct command *command, const struct memory_piece *piece)
{
	for (size_t at = 0; at < piece->size; at++) {
		size_t start = at;
		while (at < piece->size && piece->known[at] && piece->bytes[at])
			at++;
		if (at == start)
			continue;
		printf("%s0x%016" PRIx64 "%s  ", style_start(command->color, STYLE_ADDRESS),
		       piece->address + start, style_end(command->color));
		put_quoted(stdout, piece->bytes + start, at - start);
		puts(at < piece->size && piece->known[at] ? "" : "...");
	}
}

static void show_piece(const struct command *command, struct reading *reading,
		       const struct memory_piece *piece, struct json *json)
{
	if (json)
		json_hex(json, piece->bytes, piece->size);
	else if (reading->raw)
		fwrite_unlocked(piece->bytes, 1, piece->size, stdout);
	else if (reading->format == 0)
		dump_text(command, reading, piece);
	else if (reading->format == 's')
		strings_text(command, piece);
	else
		words_text(command, reading, piece);
}

/** How much of the next `left` bytes would show nothing, behind a piece of which nothing is known. */
static uint64_t size_of_nothing(const struct command *command, const struct reading *reading,
				uint64_t address, uint64_t left)
{
	struct strobe_memory_extent extent;
	bool shown = command->json || reading->raw ||
		     (reading->format == 0 ? !reading->squeeze : reading->format != 's');
	if (shown)
		return 0;
	strobe_memory_extent(command->view, address, &extent);
	if (extent.state == STROBE_MEMORY_PRESENT || extent.state == STROBE_MEMORY_FILE)
		return 0;
	uint64_t size = extent.end - address;
	return (size < left ? size : left) & ~UINT64_C(15);
}

static int read_all(const struct command *command, struct reading *reading, struct json *json)
{
	struct memory_piece *piece = malloc(sizeof(*piece));
	int status = piece ? STATUS_DONE : command_fail(command, "out of memory");
	for (uint64_t done = 0; done < reading->size && !status && !ferror(stdout);) {
		uint64_t left = reading->size - done;
		size_t size = left < PIECE_SIZE ? (size_t)left : PIECE_SIZE;
		size_t known =
			memory_piece_read(command->view, reading->address + done, size, piece);
		reading->known += known;
		if (!note_all_missing(command, reading, piece))
			status = command_fail(command, "out of memory");
		show_piece(command, reading, piece, json);
		done += size;
		if (known || done == reading->size || status)
			continue;
		uint64_t at = reading->address + done;
		uint64_t skipped = size_of_nothing(command, reading, at, reading->size - done);
		if (skipped && !note_missing(command, reading, at, at + skipped))
			status = command_fail(command, "out of memory");
		done += skipped;
	}
	free(piece);
	return status;
}

static int read_json(const struct command *command, struct reading *reading)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_address(&json, "address", reading->address);
	json_unsigned(&json, "size", reading->size);
	json_hex_begin(&json, "bytes");
	int status = read_all(command, reading, &json);
	json_hex_end(&json);
	json_array(&json, "missing", false);
	for (size_t i = 0; i < reading->missing_count; i++) {
		json_object(&json, NULL);
		json_address(&json, "start", reading->missing[i].start);
		json_address(&json, "end", reading->missing[i].end);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
	return status;
}

static int run_mem_read(struct command *command)
{
	struct reading reading = {0};
	int status = parse_reading(command, &reading);
	if (!status)
		status = command->json ? read_json(command, &reading)
				       : read_all(command, &reading, NULL);
	if (!status && reading.known == 0)
		status = command_fail(command, "%s", reading.first_why);
	else if (!status && reading.missing_count)
		command_warn(command, "%" PRIu64 " of %" PRIu64 " bytes are not known, from %s",
			     reading.size - reading.known, reading.size, reading.first_why);
	free(reading.missing);
	return status;
}

const struct verb verb_mem_read = {
	.name = "mem read",
	.arguments = "TARGET ADDRESS|EXPRESSION [SIZE]",
	.summary = "memory, as a dump, words, strings or raw bytes",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = 3,
	.has_target = true,
	.run = run_mem_read,
};
