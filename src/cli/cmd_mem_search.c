// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "command.h"
#include "describe.h"
#include "memory_piece.h"
#include "pattern.h"

static const struct option options[] = {
	{"text", 0, "TEXT", NULL, "Look for TEXT; the same as PATTERN."},
	{"bytes", 'b', "HEX", NULL, "Look for bytes: 'de ad ?? ef', where ?? is any byte."},
	{"int", 'i', "N", NULL, "Look for an integer, at addresses aligned to its width."},
	{"width", 'w', "BYTES", "1|2|4|8", "Width of --int. Default: 4, or 8 where needed."},
	{"pointer", 'p', "ADDRESS|EXPRESSION", NULL, "Look for pointers to it, aligned to 8."},
	{"regex", 'r', "PATTERN", NULL, "Look for a PCRE2 regular expression over bytes."},
	{"mask", 0, "MASK", NULL, "Compare only these bits of --bytes, --int or --pointer."},
	{"align", 0, "N", NULL, "Only at multiples of N; 1 is anywhere."},
	{"ignore-case", 0, NULL, NULL, "Do not tell A from a."},
	{"range", 0, "START-END|START+SIZE", NULL, "Only at these addresses."},
	{"perm", 0, "rwx", NULL, "Only in mappings with all these permissions."},
	{"no-files", 0, NULL, NULL,
	 "Search only what the core itself holds, not the pages that come from local files."},
	{"limit", 0, "N", NULL, "Stop after N hits."},
	{"context", 0, "N", NULL, "Show N bytes before and after each hit."},
	{"no-symbols", 0, NULL, NULL, "Do not look up the hits' symbols."},
	OPTIONS_FRAME,
};

enum { SHOWN_LIMIT = 256, TEXT_SHOWN = 80, CONTEXT_LIMIT = 4096 };

/** A search under way. */
struct hunt {
	struct command *command;
	struct json *json;
	struct memory_piece *piece;
	uint64_t context, hits;
	bool symbols, text;
	bool progress_shown;
	struct timespec started, told;
};

static double seconds_since(const struct timespec *then)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)(now.tv_sec - then->tv_sec) + (double)(now.tv_nsec - then->tv_nsec) / 1e9;
}

static void erase_progress(struct hunt *hunt)
{
	if (hunt->progress_shown)
		fputs("\r\033[K", stderr);
	hunt->progress_shown = false;
}

// Hits that were found wait no longer than this in our buffer; nor does the bar move more often.
static bool on_progress(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct hunt *hunt = context;
	if (seconds_since(&hunt->told) < 0.2)
		return !ferror(stdout);
	clock_gettime(CLOCK_MONOTONIC, &hunt->told);
	fflush(stdout);
	if (isatty(STDERR_FILENO) && total_bytes && seconds_since(&hunt->started) > 0.5) {
		fprintf(stderr, "\r%3.0f%% of %.1f GiB, %" PRIu64 " hits",
			100.0 * (double)done_bytes / (double)total_bytes,
			(double)total_bytes / (1 << 30), hunt->hits);
		hunt->progress_shown = true;
	}
	return !ferror(stdout);
}

static const char *hit_symbol(const struct hunt *hunt, const struct strobe_mapping *mapping,
			      uint64_t address, char *buffer, size_t size)
{
	buffer[0] = '\0';
	if (hunt->symbols && mapping && mapping->module_index != SIZE_MAX)
		symbol_text(hunt->command->symbols, address, buffer, size);
	return buffer;
}

static void hit_json(struct hunt *hunt, uint64_t address, uint64_t size,
		     const struct strobe_mapping *mapping, const char *symbol)
{
	const struct memory_piece *piece = hunt->piece;
	json_object(hunt->json, NULL);
	json_address(hunt->json, "address", address);
	json_unsigned(hunt->json, "size", size);
	json_string(hunt->json, "mapping", mapping ? mapping->path : NULL);
	json_string(hunt->json, "symbol", *symbol ? symbol : NULL);
	json_hex_begin(hunt->json, "bytes");
	json_hex(hunt->json, piece->bytes, piece->size);
	json_hex_end(hunt->json);
	json_object_end(hunt->json);
}

static void hit_bytes(const struct hunt *hunt, uint64_t size)
{
	const struct memory_piece *piece = hunt->piece;
	if (hunt->text) {
		size_t shown = piece->size < TEXT_SHOWN ? piece->size : TEXT_SHOWN;
		put_quoted(stdout, piece->bytes, shown);
		if (size > shown)
			fputs("...", stdout);
		return;
	}
	for (size_t i = 0; i < piece->size && i < 16; i++)
		printf("%s%02x", i ? " " : "", piece->bytes[i]);
}

static void hit_text(struct hunt *hunt, uint64_t address, uint64_t size,
		     const struct strobe_mapping *mapping, const char *symbol)
{
	bool color = hunt->command->color;
	printf("%s0x%016" PRIx64 "%s  ", style_start(color, STYLE_ADDRESS), address,
	       style_end(color));
	hit_bytes(hunt, size);
	fputs("  ", stdout);
	put_styled(stdout, color, STYLE_FILE,
		   mapping && mapping->path ? base_name(mapping->path) : "[anonymous]");
	if (mapping)
		printf("+0x%" PRIx64, address - mapping->start);
	if (*symbol) {
		fputs("  ", stdout);
		put_styled(stdout, color, STYLE_FUNCTION, symbol);
	}
	putchar('\n');
}

static void show_context(struct hunt *hunt, uint64_t address, uint64_t size)
{
	uint64_t before = address < hunt->context ? address : hunt->context;
	uint64_t start = (address - before) & ~UINT64_C(15);
	uint64_t total =
		address - start + (size < SHOWN_LIMIT ? size : SHOWN_LIMIT) + hunt->context;
	if (total > UINT64_MAX - start)
		total = UINT64_MAX - start;
	memory_piece_read(hunt->command->view, start, (size_t)total, hunt->piece);
	for (size_t at = 0; at < hunt->piece->size; at += 16) {
		fputs("    ", stdout);
		memory_piece_line(hunt->command, hunt->piece, at);
	}
}

static bool on_hit(void *context, uint64_t address, uint64_t size)
{
	struct hunt *hunt = context;
	char symbol[256];
	const struct strobe_mapping *mapping = strobe_view_mapping_at(hunt->command->view, address);
	hunt->hits++;
	erase_progress(hunt);
	hit_symbol(hunt, mapping, address, symbol, sizeof(symbol));
	memory_piece_read(hunt->command->view, address,
			  size < SHOWN_LIMIT ? (size_t)size : SHOWN_LIMIT, hunt->piece);
	if (hunt->json) {
		hit_json(hunt, address, size, mapping, symbol);
	} else {
		hit_text(hunt, address, size, mapping, symbol);
		if (hunt->context)
			show_context(hunt, address, size);
	}
	return !ferror(stdout);
}

static int search(struct hunt *hunt, const struct strobe_search *what)
{
	struct json json;
	struct command *command = hunt->command;
	if (command->json) {
		json_init(&json, stdout);
		hunt->json = &json;
		json_object(&json, NULL);
		json_array(&json, "hits", true);
	}
	struct strobe_error *error =
		strobe_memory_search(command->view, what, on_hit, on_progress, hunt);
	erase_progress(hunt);
	if (command->json) {
		json_array_end(&json);
		json_object_end(&json);
		json_fini(&json);
	}
	if (error && what->kind == STROBE_SEARCH_REGEX && strobe_error_column(error))
		return command_expression_error(command, command_option(command, "regex"), error);
	if (error)
		return command_error(command, NULL, error);
	if (hunt->hits == 0 && !command->quiet) // a result, so the status is that of success
		command_fail(command, "%s: not found", command->arguments[0]);
	return STATUS_DONE;
}

static int run_mem_search(struct command *command)
{
	struct hunt hunt = {.command = command, .symbols = !command_has(command, "no-symbols")};
	struct pattern *pattern = calloc(1, sizeof(*pattern));
	hunt.piece = malloc(sizeof(*hunt.piece));
	int status = command_number(command, "context", CONTEXT_LIMIT, &hunt.context);
	if (!pattern || !hunt.piece)
		status = command_fail(command, "out of memory");
	if (!status)
		status = pattern_parse(command, pattern);
	if (!status) {
		hunt.text = command->argument_count > 1 || command_has(command, "text") ||
			    command_has(command, "regex");
		clock_gettime(CLOCK_MONOTONIC, &hunt.started);
		hunt.told = hunt.started;
		status = search(&hunt, &pattern->search);
	}
	free(pattern);
	free(hunt.piece);
	return status;
}

const struct verb verb_mem_search = {
	.name = "mem search",
	.arguments = "TARGET [PATTERN]",
	.summary = "where in memory a text, bytes, an integer, a pointer or an expression stands",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 2,
	.has_target = true,
	.run = run_mem_search,
};
