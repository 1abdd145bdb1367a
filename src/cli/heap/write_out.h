// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_HEAP_WRITE_OUT_H
#define CLI_HEAP_WRITE_OUT_H

#include <strobe/graph_export.h>

#include "heap/heap.h"

/** Writes `graph` to --output, with a bar, and tells what was written: as JSON {output, format, bytes} with --json. `wanted` gets the
 *  progress of it. */
int heap_write_out(struct command *command, struct strobe_graph *graph,
		   enum strobe_graph_format format, const char *format_name,
		   struct strobe_graph_export_options *wanted) STROBE_MUST_CHECK;
/** What is wrong with --output, if anything. */
int heap_check_output(const struct command *command) STROBE_MUST_CHECK;

#endif
