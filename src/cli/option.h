// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/**
 * One option of a verb. --help, the manual's OPTIONS and the shells' completions are made from
 * these, so that an option exists everywhere or nowhere.
 */
struct option {
	const char *name;     // long name without "--"
	char letter;	      // short name, or 0
	const char *argument; // what its value is called, NULL for a flag
	const char *choices;  // "a|b|c" when only these values are allowed, else NULL
	const char *help;     // a sentence or two, no newline
};

struct command;

/** A verb: what `strobe NAME ...` does. "mem read" is one, too. */
struct verb {
	const char *name;
	const char *arguments; // as in a synopsis: "CORE EXPRESSION..."
	const char *summary;   // one line, no full stop
	const struct option *options;
	size_t option_count;
	size_t min_arguments, max_arguments; // the target, or trace, is one of them
	bool has_target;		     // first argument is a target; common options apply
	bool opens_itself;		     // run() opens the target, where there is one
	bool has_output;		     // no target, but the common options of output apply
	bool has_trace; // first argument is a trace; options_trace and those of output apply
	bool target_first; // of two words, the target between them: "heap TARGET summary"; not in `arguments`
	int (*run)(struct command *command);
};

/** The options that every verb with a target takes; from options_output on, those of verbs that
 *  have an output alone. */
extern const struct option options_common[];
extern const size_t options_common_count, options_output;

/** The options that every verb with a trace takes. */
extern const struct option options_trace[];
extern const size_t options_trace_count;

/** The verbs, in the order of the help text; NULL ends them. */
extern const struct verb *const verbs[];

/** How `verb` is used, without its options: "mem read CORE ADDRESS", "heap TARGET path EXPR". Cut to `size` bytes. */
void verb_synopsis(const struct verb *verb, char *ret, size_t size);
/** The verb called `name`, or NULL. */
const struct verb *verb_find(const char *name);
/** The verb that `name` may be a misspelling of, or NULL. */
const struct verb *verb_suggest(const char *name);
/** Option `index` of `verb`, the common ones after its own; NULL past the last. */
const struct option *verb_option(const struct verb *verb, size_t index);
/** Index of the option with that long name (`size` bytes), or letter; SIZE_MAX if none. */
size_t verb_option_index(const struct verb *verb, const char *name, size_t size);
size_t verb_option_letter(const struct verb *verb, char letter);
/** The long name that `name` (`size` bytes) may be a misspelling of, or NULL. */
const char *verb_option_suggest(const struct verb *verb, const char *name, size_t size);
/** True if `value` is one of the '|'-separated `choices`. */
bool choice_allowed(const char *choices, const char *value);

// Options that several verbs share.
#define OPTIONS_FRAME                                                                              \
	{"thread", 't', "TID", NULL, "Use this thread. Default: 'signal', the one that took it."}, \
	{                                                                                          \
		"frame", 'f', "N", NULL,                                                           \
			"Use this frame of the thread's stack. Default: 0, the innermost."         \
	}
#define OPTION_DYNAMIC                                                                             \
	{                                                                                          \
		"dynamic", 0, NULL, NULL,                                                          \
			"Show C++ objects, and pointers and references to them, as what they are " \
			"by their virtual tables."                                                 \
	}
#define OPTIONS_FORMAT                                                                             \
	{"max-elements", 0, "N", NULL,                                                             \
	 "Show at most N elements of an array and N characters of a string. Default: 200; 0 is "   \
	 "all."},                                                                                  \
		{"depth", 0, "N", NULL, "Show structures nested at most N deep. Default: 20."},    \
	{                                                                                          \
		"pretty", 0, NULL, NULL, "Write one member a line, indented."                      \
	}

#endif
