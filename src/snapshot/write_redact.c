// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_redact.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/keyed_hash.h"
#include "base/regex.h"
#include "elf/elf_image.h"
#include "elf/strobe_note.h"
#include "snapshot/write_environment.h"
#include "snapshot/write_links.h"
#include "snapshot/write_text.h"
#include "view/build.h"

enum {
	SHORTEST_TEXT = 6,
	TEXT_CUT = 64 << 10, // text is cut at addresses that are multiples of it
	WORD = 8,
	MATCH_CONTEXT = 4096, // a match may reach so far into the next piece
	LOOK_STEP = 512,
	MATCHER_SLACK = 64, // PCRE2's compiled code loads whole vectors at the subject's end
	PATH_LIMIT = 4096,
	PSARGS_AT = 56, // in NT_PRPSINFO
	PSARGS_SIZE = 80,
};
static const uint64_t lowest_address = 0x10000; // of mappings, by vm.mmap_min_addr

struct redactor {
	const struct strobe_view *view;
	unsigned redact;
	struct keyed_hash hash;
	ARRAY(struct regex *) patterns;
	struct arena arena;
	struct hash paths; // hash of a text that stays -> the text
	bool short_of_memory;
	uint64_t environment, environment_end;
	uint8_t *environment_bytes; // with its values redacted
	uint8_t *window;	    // the piece as it was, and what is around it
	size_t window_size;
	char *token;
	size_t token_size;
};

struct redactor *redactor_free(struct redactor *redactor)
{
	if (!redactor)
		return NULL;
	for (size_t i = 0; i < redactor->patterns.count; i++)
		regex_free(redactor->patterns.items[i]);
	array_fini(&redactor->patterns);
	hash_fini(&redactor->paths);
	arena_fini(&redactor->arena);
	keyed_hash_fini(&redactor->hash);
	free(redactor->environment_bytes);
	free(redactor->window);
	free(redactor->token);
	free(redactor);
	return NULL;
}

static bool grow(void **bytes, size_t *size, size_t needed)
{
	if (needed <= *size)
		return true;
	void *larger = realloc(*bytes, needed);
	if (!larger)
		return false;
	*bytes = larger;
	*size = needed;
	return true;
}

/** Puts the hash of [start, end) of `text` over what of it lies in [from, from + size) of `text`,
 *  which are `bytes`. */
static bool replace(struct redactor *redactor, const uint8_t *text, size_t start, size_t end,
		    size_t from, uint8_t *bytes, size_t size)
{
	size_t first = start > from ? start : from;
	size_t last = end < from + size ? end : from + size;
	if (first >= last)
		return true;
	if (!grow((void **)&redactor->token, &redactor->token_size, end - start))
		return false;
	keyed_hash_text(&redactor->hash, text + start, end - start, redactor->token);
	memcpy(bytes + (first - from), redactor->token + (first - start), last - first);
	return true;
}

/** The values of "NAME=value" strings, in place. */
static bool redact_values(struct redactor *redactor, uint8_t *bytes, size_t size)
{
	for (size_t at = 0, length; at < size; at += length + 1) {
		length = strnlen((const char *)bytes + at, size - at);
		const uint8_t *equals = memchr(bytes + at, '=', length);
		size_t value = equals ? (size_t)(equals - bytes) + 1 : at + length;
		if (!replace(redactor, bytes, value, at + length, 0, bytes, size))
			return false;
	}
	return true;
}

static void keep_path(struct redactor *redactor, const char *path)
{
	uint64_t key = hash_bytes(path, strlen(path));
	if (*path && !hash_get(&redactor->paths, key) &&
	    !hash_put(&redactor->paths, key, (void *)path))
		redactor->short_of_memory = true;
}

static void keep_link(void *context, enum link_part part, uint64_t address)
{
	struct redactor *redactor = context;
	char path[PATH_LIMIT];
	if (part != LINK_NAME)
		return;
	size_t size = strobe_memory_read(redactor->view, address, path, sizeof(path));
	size_t length = strnlen(path, size);
	char *copy = length < size ? arena_copy_string(&redactor->arena, path, length) : NULL;
	if (copy)
		keep_path(redactor, copy);
}

static struct strobe_error *read_environment(struct redactor *redactor)
{
	uint64_t start, end;
	if (!environment_find(redactor->view, &start, &end))
		return NULL;
	redactor->environment_bytes = malloc(end - start);
	if (!redactor->environment_bytes)
		return error_no_memory();
	size_t size =
		strobe_memory_read(redactor->view, start, redactor->environment_bytes, end - start);
	redactor->environment = start;
	redactor->environment_end = start + size;
	return redact_values(redactor, redactor->environment_bytes, size) ? NULL
									  : error_no_memory();
}

struct strobe_error *redactor_new(const struct strobe_view *view, unsigned redact,
				  const char *const *patterns, size_t pattern_count,
				  struct redactor **ret)
{
	struct redactor *redactor = calloc(1, sizeof(*redactor));
	struct strobe_error *error = NULL;
	if (!redactor)
		return error_no_memory();
	redactor->view = view;
	redactor->redact = redact;
	if (!keyed_hash_init(&redactor->hash))
		error = error_errno(errno, "getrandom");
	for (size_t i = 0; !error && i < pattern_count; i++) {
		struct regex *regex;
		error = regex_new(patterns[i], strlen(patterns[i]), false, &regex);
		if (!error && !array_push(&redactor->patterns, regex)) {
			regex_free(regex);
			error = error_no_memory();
		}
	}
	for (size_t i = 0; i < view->mappings.count; i++)
		if (view->mappings.items[i].path)
			keep_path(redactor, view->mappings.items[i].path);
	links_visit(view, keep_link, redactor);
	if (!error && redact & STROBE_REDACT_ENVIRONMENT)
		error = read_environment(redactor);
	if (!error && redactor->short_of_memory)
		error = error_no_memory();
	if (error)
		redactor_free(redactor);
	else
		*ret = redactor;
	return error;
}

/** Bytes around a piece: text and matches do not end where pieces do. */
struct window {
	const uint8_t *bytes;
	uint64_t address; // of bytes[0]
	size_t size;
	size_t piece; // where the piece begins
};

/** How far before `address` the window must begin for text that runs into the piece. */
static uint64_t find_start(const struct redactor *redactor, uint64_t address, uint8_t first)
{
	uint8_t bytes[LOOK_STEP];
	uint64_t cut = address & ~(uint64_t)(TEXT_CUT - 1);
	uint64_t limit = cut > WORD ? cut - WORD : 0;
	if (!(redactor->redact & STROBE_REDACT_STRINGS) || !text_may_hold(first))
		return address;
	while (address > limit) {
		size_t size = address - limit < LOOK_STEP ? address - limit : LOOK_STEP;
		if (strobe_memory_read(redactor->view, address - size, bytes, size) != size)
			return address;
		for (size_t i = size; i-- > 0;)
			if (!text_may_hold(bytes[i]))
				return address - size + i;
		address -= size;
	}
	return address;
}

/** Likewise, behind it; one word more, which tells text from pointers. */
static uint64_t find_end(const struct redactor *redactor, uint64_t address, uint8_t last)
{
	uint8_t bytes[LOOK_STEP];
	uint64_t limit = ((address + TEXT_CUT - 1) & ~(uint64_t)(TEXT_CUT - 1)) + WORD;
	if (!(redactor->redact & STROBE_REDACT_STRINGS) || !text_may_hold(last))
		return address;
	while (address < limit) {
		size_t size = limit - address < LOOK_STEP ? limit - address : LOOK_STEP;
		size = strobe_memory_read(redactor->view, address, bytes, size);
		for (size_t i = 0; i < size; i++)
			if (!text_may_hold(bytes[i]))
				return address + i + WORD;
		if (!size)
			return address;
		address += size;
	}
	return address;
}

/** Memory around the piece, as far as it is there. */
static struct strobe_error *make_window(struct redactor *redactor, uint64_t address,
					const uint8_t *bytes, size_t size, struct window *ret)
{
	uint64_t start = find_start(redactor, address, bytes[0]);
	uint64_t end = find_end(redactor, address + size, bytes[size - 1]);
	if (redactor->patterns.count) {
		uint64_t before = address > MATCH_CONTEXT ? address - MATCH_CONTEXT : 0;
		start = start < before ? start : before;
		end = end > address + size + MATCH_CONTEXT ? end : address + size + MATCH_CONTEXT;
	}
	if (!grow((void **)&redactor->window, &redactor->window_size, end - start + MATCHER_SLACK))
		return error_no_memory();
	// What is not readable right before the piece is not part of it.
	size_t before = (size_t)(address - start), there;
	while (before && (there = strobe_memory_read(redactor->view, start, redactor->window,
						     before)) < before) {
		uint64_t next = (start + there + WORD * 512) & ~(uint64_t)(WORD * 512 - 1);
		start = next < address ? next : address;
		before = (size_t)(address - start);
	}
	memcpy(redactor->window + before, bytes, size);
	size_t after = end > address + size ? strobe_memory_read(redactor->view, address + size,
								 redactor->window + before + size,
								 (size_t)(end - address - size))
					    : 0;
	memset(redactor->window + before + size + after, 0, MATCHER_SLACK);
	*ret = (struct window){redactor->window, start, before + size + after, before};
	return NULL;
}

/** Is the last word of a text a pointer, whose zero bytes end the text by chance? */
static bool ends_in_pointer(const struct redactor *redactor, const struct window *window,
			    size_t end, size_t *word)
{
	uint64_t last = (window->address + end - 1) & ~(uint64_t)(WORD - 1);
	size_t at = last >= window->address ? (size_t)(last - window->address) : SIZE_MAX;
	if (at == SIZE_MAX || at + WORD > window->size)
		return false;
	uint64_t value = elf_number(window->bytes + at, WORD);
	*word = at;
	return value >= lowest_address && strobe_view_mapping_at(redactor->view, value);
}

static bool is_kept(const struct redactor *redactor, const uint8_t *text, size_t size)
{
	const char *path = hash_get(&redactor->paths, hash_bytes(text, size));
	return path && strlen(path) == size && memcmp(path, text, size) == 0;
}

static bool redact_strings(struct redactor *redactor, const struct window *window, uint8_t *bytes,
			   size_t size)
{
	size_t end, word;
	for (size_t start = 0; text_next_run(window->bytes, window->size, &start, &end);
	     start = end) {
		size_t stop = end;
		if (start >= window->piece + size)
			break;
		if (end - start < SHORTEST_TEXT)
			continue;
		if (ends_in_pointer(redactor, window, end, &word))
			stop = word > start ? word : start;
		if (stop - start < SHORTEST_TEXT ||
		    is_kept(redactor, window->bytes + start, stop - start))
			continue;
		for (size_t at = start, next; at < stop; at = next) {
			uint64_t address = window->address + at;
			uint64_t cut = (address | (TEXT_CUT - 1)) + 1;
			next = cut - window->address < stop ? (size_t)(cut - window->address)
							    : stop;
			if (!replace(redactor, window->bytes, at, next, window->piece, bytes, size))
				return false;
		}
	}
	return true;
}

/** Matches in `text`, of which [from, from + size) are `bytes`. */
static struct strobe_error *redact_matches(struct redactor *redactor, const uint8_t *text,
					   size_t text_size, size_t from, uint8_t *bytes,
					   size_t size)
{
	for (size_t i = 0; i < redactor->patterns.count; i++) {
		size_t start = 0, end = 0;
		for (size_t at = 0; at < from + size;) {
			enum regex_result result = regex_match(redactor->patterns.items[i], text,
							       text_size, at, false, &start, &end);
			if (result == REGEX_GAVE_UP)
				return error_new(STROBE_ERROR_LIMIT,
						 "redaction: pattern %zu takes too long", i + 1);
			if (result != REGEX_MATCH)
				break;
			if (!replace(redactor, text, start, end, from, bytes, size))
				return error_no_memory();
			// Before the piece, a match may hide another that reaches into it.
			at = start < from || end == start ? start + 1 : end;
		}
	}
	return NULL;
}

/** Is it the process's own, not a file's as it is on disk? */
static bool is_private(const struct strobe_mapping *mapping)
{
	const char *path = mapping->path ? mapping->path : "";
	if (mapping->permissions & (STROBE_PERMISSION_WRITE | STROBE_PERMISSION_SHARED))
		return true;
	return strncmp(path, "/memfd:", 7) == 0 || (*path != '/' && strncmp(path, "[v", 2) != 0);
}

static void put_environment(const struct redactor *redactor, uint64_t address, uint8_t *bytes,
			    size_t size)
{
	uint64_t start = address > redactor->environment ? address : redactor->environment;
	uint64_t end = address + size < redactor->environment_end ? address + size
								  : redactor->environment_end;
	if (redactor->environment_bytes && start < end)
		memcpy(bytes + (start - address),
		       redactor->environment_bytes + (start - redactor->environment),
		       (size_t)(end - start));
}

struct strobe_error *redact_memory(struct redactor *redactor, uint32_t mapping, uint64_t address,
				   uint8_t *bytes, size_t size)
{
	struct window window = {0};
	bool strings = redactor->redact & STROBE_REDACT_STRINGS &&
		       is_private(&redactor->view->mappings.items[mapping]);
	if (!strings && !redactor->patterns.count) {
		put_environment(redactor, address, bytes, size);
		return NULL;
	}
	struct strobe_error *error = make_window(redactor, address, bytes, size, &window);
	if (!error)
		error = redact_matches(redactor, window.bytes, window.size, window.piece, bytes,
				       size);
	if (error)
		return error;
	put_environment(redactor, address, bytes, size);
	return !strings || redact_strings(redactor, &window, bytes, size) ? NULL
									  : error_no_memory();
}

/** The command's arguments but the first, in place. */
static bool redact_arguments(struct redactor *redactor, uint8_t *bytes, size_t size, char separator)
{
	const uint8_t *first = memchr(bytes, separator, size);
	size_t at = first ? (size_t)(first - bytes) + 1 : size, end;
	for (; at < size; at = end + 1) {
		const uint8_t *next = memchr(bytes + at, '\0', size - at);
		end = next ? (size_t)(next - bytes) : size;
		if (!replace(redactor, bytes, at, end, 0, bytes, size))
			return false;
	}
	return true;
}

static bool is_proc_file(const struct out_note *note, const char *name)
{
	size_t size = strlen(name) + 1;
	return note->size >= size && memcmp(note->data, name, size) == 0;
}

/** Where the text begins that patterns apply to; `size` = nowhere. */
static size_t text_of(const struct out_note *note, bool is_ours)
{
	if (!is_ours)
		return note->type == NT_PRPSINFO && note->size >= PSARGS_AT + PSARGS_SIZE
			       ? PSARGS_AT
			       : note->size;
	if (note->type == NT_STROBE_DESCRIPTOR)
		return note->size < sizeof(struct strobe_note_descriptor)
			       ? note->size
			       : sizeof(struct strobe_note_descriptor);
	// Without these files the rest could not be understood.
	if (note->type != NT_STROBE_PROC_FILE || is_proc_file(note, "maps") ||
	    is_proc_file(note, "exe") || is_proc_file(note, "stat"))
		return note->size;
	return strnlen((const char *)note->data, note->size);
}

static struct strobe_error *redact_note(struct redactor *redactor, struct notes *notes,
					struct out_note *note)
{
	bool is_ours = note->name_size >= strlen(STROBE_NOTE_NAME) &&
		       memcmp(note->name, STROBE_NOTE_NAME, strlen(STROBE_NOTE_NAME)) == 0;
	bool strings = redactor->redact & STROBE_REDACT_STRINGS, good = true;
	size_t at = text_of(note, is_ours);
	if (at >= note->size)
		return NULL;
	size_t size = note->size - at;
	uint8_t *copy = arena_alloc(&notes->arena, note->size);
	if (!copy)
		return error_no_memory();
	memcpy(copy, note->data, note->size);
	struct strobe_error *error =
		redact_matches(redactor, note->data + at, size, 0, copy + at, size);
	if (!is_ours && strings)
		good = redact_arguments(redactor, copy + at, strnlen((char *)copy + at, size), ' ');
	else if (is_ours && is_proc_file(note, "cmdline") && strings)
		good = redact_arguments(redactor, copy + at + 1, size - 1, '\0');
	else if (is_ours && is_proc_file(note, "environ") && redactor->redact)
		good = redact_values(redactor, copy + at + 1, size - 1);
	note->data = copy;
	return error || good ? error : error_no_memory();
}

struct strobe_error *redact_notes(struct redactor *redactor, struct notes *notes)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < notes->items.count; i++)
		error = redact_note(redactor, notes, &notes->items.items[i]);
	return error;
}
