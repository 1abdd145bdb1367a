// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_RENDER_H
#define CLI_TRACE_RENDER_H

// What a dump shows of an instruction that depends on nothing but its address: written once, then copied. The memory
// for it is bounded: when it is full, all of it is dropped, and is made again where it is still needed.

#include <strobe/code.h>
#include <strobe/cursor.h>

#include "command.h"
#include "trace/place.h"

/** How instructions are shown. */
struct render_style {
	enum { RENDER_TEXT, RENDER_JSON, RENDER_PRETTY } form;
	bool kinds; // with how each goes on
	bool color;
	enum strobe_syntax syntax;
};

/** An instruction's texts, until the next render_at(). */
struct rendered {
	uint64_t address;
	struct place_key key;
	const char *heading; // "  module`function at ...\n"; of a text
	uint32_t heading_size;
	uint32_t text_size;
	const char *text; // what comes behind id and time, with the newline or the closing brace
};

struct render;

/** NULL if memory is short. */
struct render *render_new(const struct command *command, const struct render_style *style);
struct render *render_free(struct render *render);
/** The instruction at `address`, which goes on as `flow` says; NULL if memory is short. */
const struct rendered *render_at(struct render *render, uint64_t address, enum strobe_flow flow);

#endif
