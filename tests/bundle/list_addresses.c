// SPDX-License-Identifier: Apache-2.0
// Prints "TID ADDRESS" for each instruction of a trace, thread by thread: list_addresses TRACE
#include <inttypes.h>
#include <stdio.h>
#include <strobe/cursor.h>
#include <strobe/trace.h>

static void list(struct strobe_trace *trace, size_t index)
{
	struct strobe_cursor *cursor;
	int tid = strobe_trace_thread(trace, index)->tid;
	struct strobe_error *error = strobe_cursor_open(trace, index, &cursor);
	if (error) {
		fprintf(stderr, "%s\n", strobe_error_message(error));
		strobe_error_free(error);
		return;
	}
	strobe_cursor_set_forwards(cursor, true);
	bool more = strobe_cursor_seek(cursor, 0, STROBE_SEEK_BEGIN);
	for (; more; more = strobe_cursor_next(cursor)) {
		uint64_t address;
		if (strobe_cursor_address(cursor, &address))
			printf("%d %" PRIx64 "\n", tid, address);
	}
	strobe_cursor_close(cursor);
}

int main(int argc, char **argv)
{
	const struct strobe_view_options view = {.size = sizeof(view), .no_debuginfod = true};
	const struct strobe_trace_options options = {
		.size = sizeof(options), .view = &view, .index_path = ""};
	struct strobe_trace *trace;
	if (argc != 2)
		return 2;
	struct strobe_error *error = strobe_trace_open(argv[1], &options, &trace);
	if (error) {
		fprintf(stderr, "list_addresses: %s\n", strobe_error_message(error));
		strobe_error_free(error);
		return 1;
	}
	for (size_t i = 0; i < strobe_trace_thread_count(trace); i++)
		list(trace, i);
	strobe_trace_close(trace);
	return 0;
}
