// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <strobe/error.h>
#include <strobe/stack.h>
#include <strobe/symbols.h>
#include <strobe/trace.h>
#include <strobe/value.h>
#include <strobe/view.h>

#include "json.h"
#include "option.h"
#include "output.h"

/** Exit statuses. */
enum { STATUS_DONE = 0, STATUS_FAILED = 1, STATUS_USAGE = 2 };

enum { COMMAND_OPTION_LIMIT = 48 };

/** An option as it was given: they may be repeated. */
struct given_option {
	size_t index;
	const char *value;
};

/** One run of a verb. Invariants: what is not NULL is open and closed by command_close(). */
struct command {
	const struct verb *verb;
	const char *values[COMMAND_OPTION_LIMIT]; // by option index; "" for a flag that was given
	struct given_option *given;		  // all of them, in their order
	size_t given_count;
	const char **arguments; // the target first
	size_t argument_count;
	size_t arguments_before; // of these, that stood before "--"; all, if there was none
	bool has_dashes;
	bool json, quiet, verbose, color, help;
	bool writes;	   // set by the verb before it opens the target: to its journal of writes
	bool lists_writes; // likewise: nobody needs to be told that there are some
	struct strobe_trace *trace; // of a verb that has one: then `view` is the trace's
	size_t thread_index;	    // of the trace, that --thread names
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	struct strobe_stack *stack;
	size_t warnings_told, trace_warnings_told;
};

/** Reads the command line after the verb. A status other than STATUS_DONE has been explained. */
int command_parse(struct command *command, const struct verb *verb, int count, char **words);
/** What the common options say of opening a target. */
struct strobe_view_options command_view_options(const struct command *command);
/** Opens the target and its symbols. */
int command_open(struct command *command);
/** Opens the target alone. */
int command_open_view(struct command *command);
/** Opens the trace, building its index if need be, its symbols, and finds the thread that --thread names. */
int command_open_trace(struct command *command);
/** Opens another trace, as the same options say, and its symbols; both are the caller's, also after a failure. */
int command_open_other_trace(struct command *command, const char *path, struct strobe_trace **ret,
			     struct strobe_symbols **ret_symbols) STROBE_MUST_CHECK;
/** Tells the warnings that are still untold, and closes everything. */
void command_close(struct command *command);

/** Value of an option ("" for a flag), NULL if it was not given. It must be in the verb's table. */
const char *command_option(const struct command *command, const char *name);
bool command_has(const struct command *command, const char *name);
/** The values of an option that may be given several times: the next one from `*at` (0 at first) on,
 *  NULL after the last. */
const char *command_option_next(const struct command *command, const char *name, size_t *at);
/** An unsigned option of at most `maximum`; `*ret` stays as it is if it was not given. */
int command_number(const struct command *command, const char *name, uint64_t maximum, uint64_t *ret)
	STROBE_MUST_CHECK;

/** "strobe: VERB: formatted" on stderr; returns STATUS_FAILED. */
int command_fail(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** The same for bad usage, with a hint; returns STATUS_USAGE. */
int command_usage(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** Tells `error` after `what` (may be NULL) and frees it; returns STATUS_FAILED. */
int command_error(const struct command *command, const char *what, struct strobe_error *error);
/** "strobe: VERB: warning: formatted", unless --quiet. */
void command_warn(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** "strobe: VERB: formatted" on stderr, unless --quiet. */
void command_note(const struct command *command, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
/** Applies its journal of writes to `view`; command_open_view() does it for command->view. */
int command_open_overlay(const struct command *command, struct strobe_view *view) STROBE_MUST_CHECK;
/** The process that the target names; 0 if it is no number. */
int command_pid(const struct command *command);
/** Tells the view's and the trace's warnings that are new. */
void command_tell_warnings(struct command *command);
/** Flushes stdout: STATUS_FAILED if it cannot be written (told, unless the reader is gone). */
int command_flush(const struct command *command);

/** Index of the thread that --thread names, by default the one that took the signal. */
int command_thread(const struct command *command, size_t *ret) STROBE_MUST_CHECK;
/** Opens that thread's stack as command->stack, and gives the index that --frame names. */
int command_frame(struct command *command, size_t *ret) STROBE_MUST_CHECK;
/** Format from --max-elements, --depth, --pretty and, where the verb has it, --format. */
int command_format(const struct command *command, struct strobe_format *ret) STROBE_MUST_CHECK;

/** Decimal, 0x hexadecimal; all of `text`. */
bool parse_number(const char *text, uint64_t *ret);
/** A number, optionally followed by k, M, G or T (powers of 1024). */
bool parse_size(const char *text, uint64_t *ret);
/** "START-END" or "START+SIZE". */
bool parse_range(const char *text, uint64_t *start, uint64_t *end);

/** Evaluates `expression` for a verb; errors are told with the column marked. */
int command_evaluate(struct command *command, size_t frame, const char *expression,
		     struct strobe_value **ret) STROBE_MUST_CHECK;
/** A number, or an expression: its value as an address, or where it stands if it is a structure or
 *  an array; then `*size` becomes its size. */
int command_address(struct command *command, const char *text, uint64_t *address, uint64_t *size)
	STROBE_MUST_CHECK;
/** Tells an expression's error, with the expression and a caret below its column; frees it. */
int command_expression_error(const struct command *command, const char *expression,
			     struct strobe_error *error);

#endif
