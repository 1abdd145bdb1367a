// SPDX-License-Identifier: Apache-2.0
#ifndef WATCH_WATCH_YAML_H
#define WATCH_WATCH_YAML_H

// Tracepoints out of YAML: a list of them, or one below "tracepoints".

#include <strobe/tracepoint.h>

#include "base/arena.h"
#include "base/array.h"

struct watch_yaml {
	struct arena arena; // of all that tracepoints point to
	ARRAY(struct strobe_tracepoint) tracepoints;
	ARRAY(unsigned) lines; // where each begins, from 1
};
/** Reads `size` bytes, which need not be YAML, into `ret` (zeroed; to be released in any case). An entry that is wrong is reported, and left
 *  out; at most 100 reports are made. `path` is for messages. Errors: SYNTAX (with the line), LIMIT, NO_MEMORY. */
struct strobe_error *watch_yaml_parse(const char *path, const char *bytes, size_t size,
				      strobe_watch_report report, void *context,
				      struct watch_yaml *ret) STROBE_MUST_CHECK;
void watch_yaml_fini(struct watch_yaml *yaml);

#endif
