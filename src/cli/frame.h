// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_FRAME_H
#define CLI_FRAME_H

#include <strobe/stack.h>

#include "command.h"
#include "json.h"

/** What of a frame is shown. */
struct frame_style {
	bool args, locals;
	bool dynamic;		     // objects as what they are by their virtual tables
	struct strobe_format format; // of locals, and of arguments in a list of their own
};

/** The frame as `bt` and `list` write it, in gdb's order: "#0  0x… in f (a=1) at file.c:12". */
void frame_text(const struct command *command, const struct strobe_stack *stack, size_t index,
		const struct frame_style *style);
void frame_json(const struct command *command, const struct strobe_stack *stack, size_t index,
		const struct frame_style *style, struct json *json);

#endif
