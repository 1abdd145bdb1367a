// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_NATIVE_VARIABLES_H
#define TRACEPOINT_NATIVE_VARIABLES_H

// Values of a native program as DEEP's variables: each once by identity, breadth first, within limits.

#include "tracepoint/result.h"
#include "value/value.h"

struct variable_walk;
/** NULL when memory is short. */
struct variable_walk *variable_walk_new(struct result *result, const struct config_limits *limits);
struct variable_walk *variable_walk_free(struct variable_walk *walk);
bool variable_walk_fills(const struct variable_walk *walk, const struct result *result);
/** Adds a value (taken over if it returns true), with what it holds in turn after variable_walk_finish(). `watched`: it is a watch's, and
 *  counts with what it holds towards max_watch_vars. False if there are too many, or memory is short. */
bool variable_walk_add(struct variable_walk *walk, struct strobe_value *value, const char *name,
		       bool watched, struct variable_name *ret);
/** Walks on to what the values hold. False when memory is short. */
bool variable_walk_finish(struct variable_walk *walk);
/** A value's text; NULL when memory is short. */
const char *variable_text(const struct strobe_value *value, const struct config_limits *limits,
			  struct arena *arena, bool *truncated);

#endif
