// SPDX-License-Identifier: Apache-2.0
// What sessions of tracepoints and those who ask them say to each other: packets, and what is in them.
#include <stdlib.h>
#include <string.h>

#include "tracepoint/config.h"
#include "watch/session_message.h"

/** A tracepoint that can be read can be written, read again as the same, and is taken or refused. */
static void read_tracepoint(struct session_reader reader)
{
	struct strobe_tracepoint tracepoint, again;
	struct tracepoint_config *config = NULL;
	struct text text = {0}, text_again = {0};
	session_get_tracepoint(&reader, &tracepoint);
	if (reader.bad)
		return;
	session_put_tracepoint(&text, &tracepoint);
	struct session_reader second = {.at = text.data, .left = text.size, .arena = reader.arena};
	session_get_tracepoint(&second, &again);
	session_put_tracepoint(&text_again, &again);
	if (second.bad || second.left || text.size != text_again.size ||
	    memcmp(text.data, text_again.data, text.size) != 0)
		abort();
	struct strobe_error *error = config_new(&tracepoint, "library", &config);
	if (error && strchr(strobe_error_message(error), '\n'))
		abort();
	strobe_error_free(error);
	config_free(config);
	text_fini(&text);
	text_fini(&text_again);
}

static void read_statuses(struct session_reader reader)
{
	struct strobe_session_info info;
	struct strobe_tracepoint_status status;
	session_get_info(&reader, &info);
	for (size_t i = session_get_count(&reader, 8); i > 0 && !reader.bad; i--)
		session_get_status(&reader, &status);
	if (!reader.bad && !info.process_name)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena arena = {0};
	struct text message = {0};
	struct session_reader reader = {.at = (const char *)data, .left = size, .arena = &arena};
	bool more;
	read_tracepoint(reader);
	read_statuses(reader);
	for (unsigned i = 0; i < 3; i++)
		if (!session_take_packet((const char *)data, size, SESSION_REQUEST_LIMIT, &message,
					 &more))
			break;
	text_fini(&message);
	arena_fini(&arena);
	return 0;
}
