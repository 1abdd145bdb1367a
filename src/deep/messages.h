// SPDX-License-Identifier: Apache-2.0
#ifndef DEEP_MESSAGES_H
#define DEEP_MESSAGES_H

// DEEP's messages, made and read.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/tracepoint.h>

#include "base/arena.h"

struct result;

/** A message; malloc'ed. */
struct message {
	uint8_t *bytes;
	size_t size;
};
/** NO_MEMORY. `hash` NULL = none. */
struct strobe_error *message_poll(int64_t time_ns, const char *hash,
				  const struct strobe_pair *resource, size_t resource_count,
				  struct message *ret) STROBE_MUST_CHECK;
/** A snapshot, field by field. NO_MEMORY. */
struct strobe_error *message_snapshot(const struct result *result,
				      const struct strobe_pair *resource, size_t resource_count,
				      struct message *ret) STROBE_MUST_CHECK;

/** What the server wants. */
struct poll_answer {
	struct arena arena; // of all of it
	bool update;	    // else nothing has changed
	const char *hash;
	struct strobe_tracepoint *tracepoints;
	size_t count;
};
/** Reads bytes from outside: memory is limited to some multiple of a MiB. Arguments that DEEP's agents ignore are left out. On success `*ret`
 *  is for poll_answer_fini(). Errors: FORMAT, NO_MEMORY. */
struct strobe_error *message_read_poll(const uint8_t *bytes, size_t size, struct poll_answer *ret)
	STROBE_MUST_CHECK;
void poll_answer_fini(struct poll_answer *answer);

#endif
