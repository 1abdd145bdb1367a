// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_PROMPT_H
#define CLI_TRACE_PROMPT_H

// What the commands of `strobe trace step` share.

#include <strobe/cursor.h>
#include <strobe/source.h>

#include "command.h"
#include "trace/render.h"

/** The prompt: where it is, and what it keeps. */
struct prompt {
	struct command *command;
	struct strobe_cursor *cursor; // at an item, unless the thread has none
	struct render *render;
	struct strobe_cursor
		*dump; // where `dump` goes on; NULL before the first and after a motion
	struct strobe_source *source;
	const char *source_name; // that `source` was opened (or tried) for
	unsigned listed;	 // the last line that `list` showed; 0 = none since the last motion
	bool interactive;	 // somebody types
	bool done, failed;	 // a command failed
	struct json json;
};

/** Where the cursor is: heading, source line, instruction, event or error. */
void prompt_show_place(struct prompt *prompt);
/** Source lines around `line` of `file`, or what follows those listed last (`file` NULL). */
void prompt_list(struct prompt *prompt, const char *file, unsigned line);
/** Instructions in memory around the cursor's, `count` before and behind. */
void prompt_disassemble(struct prompt *prompt, uint64_t count);
/** The next `count` items in the trace, from where the last call ended. */
void prompt_dump(struct prompt *prompt, uint64_t count);
/** The stack at the cursor: calls that have not returned, at most `limit`. */
void prompt_where(struct prompt *prompt, uint64_t limit);
/** Id, time, CPU, thread, in words. */
void prompt_info(struct prompt *prompt);

/** "strobe: trace step: ..." on stderr; the run's exit status becomes 1. */
void prompt_fail(struct prompt *prompt, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif
