// SPDX-License-Identifier: Apache-2.0
#include "option.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

const struct option options_common[] = {
	{"sysroot", 0, "DIR", NULL, "Look for the mapped files below DIR first."},
	{"exe", 0, "FILE", NULL, "Use FILE as the main program."},
	{"debug-dir", 0, "DIRS", NULL,
	 "Look for separate debug files below these ':'-separated directories. "
	 "Default: /usr/lib/debug."},
	{"no-debuginfod", 0, NULL, NULL, "Do not ask debuginfod servers for files."},
	{"no-overlay", 0, NULL, NULL,
	 "Do not apply what 'mem write' and 'regs --set' wrote to the target's journal."},
	{"json", 'j', NULL, NULL,
	 "Write one JSON document; json.md in the documentation describes it."},
	{"color", 0, "WHEN", "auto|always|never",
	 "Colour the output; auto, the default, on a terminal where NO_COLOR is not set."},
	{"verbose", 'v', NULL, NULL,
	 "Show where in the library an error came from, and its causes."},
	{"quiet", 'q', NULL, NULL, "Show no warnings."},
	{"help", 'h', NULL, NULL, "Show how this verb is used."},
};
const size_t options_common_count = sizeof(options_common) / sizeof(options_common[0]);
const size_t options_output = 5; // --json

const struct option options_trace[] = {
	{"thread", 0, "TID", NULL, "Use this thread. Default: the first of the trace."},
	{"code", 0, "TARGET", NULL,
	 "Take the code from TARGET, a snapshot, core, process id or @NAME, instead of the files "
	 "that "
	 "the trace names."},
	{"index", 0, "FILE", NULL,
	 "Keep the index in FILE; '' keeps none. Default: beside the trace, or where that "
	 "cannot be written, below ~/.cache/strobe."},
	{"rebuild-index", 0, NULL, NULL, "Build the index even if there is one that fits."},
	{"jobs", 0, "N", NULL, "Build the index with N threads. Default: one a processor."},
	{"cache", 0, "SIZE", NULL,
	 "Keep at most SIZE bytes of decoded trace in memory. Default: 16M."},
	{"sysroot", 0, "DIR", NULL, "Look for the mapped files below DIR first."},
	{"debug-dir", 0, "DIRS", NULL,
	 "Look for separate debug files below these ':'-separated directories. "
	 "Default: /usr/lib/debug."},
	{"no-debuginfod", 0, NULL, NULL, "Do not ask debuginfod servers for files."},
};
const size_t options_trace_count = sizeof(options_trace) / sizeof(options_trace[0]);

// Other verbs take --help alone.
static const struct option option_help = {"help", 'h', NULL, NULL, "Show how this verb is used."};

void verb_synopsis(const struct verb *verb, char *ret, size_t size)
{
	int first = (int)strcspn(verb->name, " ");
	const char *space = *verb->arguments ? " " : "";
	if (verb->target_first)
		snprintf(ret, size, "%.*s TARGET%s%s%s", first, verb->name, verb->name + first,
			 space, verb->arguments);
	else
		snprintf(ret, size, "%s%s%s", verb->name, space, verb->arguments);
}

const struct verb *verb_find(const char *name)
{
	for (size_t i = 0; verbs[i]; i++)
		if (strcmp(verbs[i]->name, name) == 0)
			return verbs[i];
	return NULL;
}

const struct option *verb_option(const struct verb *verb, size_t index)
{
	if (index < verb->option_count)
		return &verb->options[index];
	index -= verb->option_count;
	if (verb->has_trace && index < options_trace_count)
		return &options_trace[index];
	if (verb->has_trace)
		index -= options_trace_count;
	if (!verb->has_target && !verb->has_output && !verb->has_trace)
		return index == 0 ? &option_help : NULL;
	if (!verb->has_target)
		index += options_output;
	return index < options_common_count ? &options_common[index] : NULL;
}

size_t verb_option_index(const struct verb *verb, const char *name, size_t size)
{
	const struct option *option;
	for (size_t i = 0; (option = verb_option(verb, i)); i++)
		if (strlen(option->name) == size && memcmp(option->name, name, size) == 0)
			return i;
	return SIZE_MAX;
}

size_t verb_option_letter(const struct verb *verb, char letter)
{
	const struct option *option;
	for (size_t i = 0; (option = verb_option(verb, i)); i++)
		if (option->letter == letter)
			return i;
	return SIZE_MAX;
}

enum { SUGGEST_SIZE_LIMIT = 31, SUGGEST_DISTANCE = 2 };

// Levenshtein distance of `a` (a_size bytes) and `b`; large when either is long.
static size_t distance(const char *a, size_t a_size, const char *b)
{
	size_t b_size = strlen(b), row[SUGGEST_SIZE_LIMIT + 1];
	if (a_size > SUGGEST_SIZE_LIMIT || b_size > SUGGEST_SIZE_LIMIT)
		return SIZE_MAX;
	for (size_t j = 0; j <= b_size; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_size; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t j = 1; j <= b_size; j++) {
			size_t best = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			if (row[j] + 1 < best)
				best = row[j] + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
		}
	}
	return row[b_size];
}

// Worth suggesting: a prefix, or few letters off, but not a whole word's worth of letters.
static size_t unlikeness(const char *given, size_t size, const char *known)
{
	if (size >= 2 && strlen(known) > size && memcmp(given, known, size) == 0)
		return 1;
	size_t letters = distance(given, size, known);
	return letters <= SUGGEST_DISTANCE && letters < size ? letters : SIZE_MAX;
}

const struct verb *verb_suggest(const char *name)
{
	const struct verb *best = NULL;
	size_t least = SIZE_MAX;
	for (size_t i = 0; verbs[i]; i++) {
		size_t letters = unlikeness(name, strlen(name), verbs[i]->name);
		if (letters < least) {
			least = letters;
			best = verbs[i];
		}
	}
	return best;
}

const char *verb_option_suggest(const struct verb *verb, const char *name, size_t size)
{
	const struct option *option;
	const char *best = NULL;
	size_t least = SIZE_MAX;
	for (size_t i = 0; (option = verb_option(verb, i)); i++) {
		size_t letters = unlikeness(name, size, option->name);
		if (letters < least) {
			least = letters;
			best = option->name;
		}
	}
	return best;
}

bool choice_allowed(const char *choices, const char *value)
{
	size_t size = strlen(value);
	while (choices) {
		const char *end = strchrnul(choices, '|');
		if ((size_t)(end - choices) == size && memcmp(choices, value, size) == 0)
			return true;
		choices = *end ? end + 1 : NULL;
	}
	return false;
}
