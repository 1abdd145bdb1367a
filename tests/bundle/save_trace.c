// SPDX-License-Identifier: Apache-2.0
// Saves a trace or a part of it: save_trace TRACE FOLDER [TID FIRST_ID LAST_ID]
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strobe/trace_save.h>

static int fail(struct strobe_error *error)
{
	fprintf(stderr, "save_trace: %s\n", strobe_error_message(error));
	strobe_error_free(error);
	return 1;
}

int main(int argc, char **argv)
{
	const struct strobe_view_options view = {.size = sizeof(view), .no_debuginfod = true};
	const struct strobe_trace_options options = {
		.size = sizeof(options), .view = &view, .index_path = ""};
	struct strobe_trace_save_options part = {.size = sizeof(part)};
	struct strobe_trace_saved saved;
	struct strobe_trace *trace;
	int tid;
	if (argc != 3 && argc != 6)
		return 2;
	if (argc == 6) {
		tid = atoi(argv[3]);
		part.tids = &tid;
		part.tid_count = 1;
		part.by_id = true;
		part.first_id = strtoull(argv[4], NULL, 10);
		part.last_id = strtoull(argv[5], NULL, 10);
	}
	struct strobe_error *error = strobe_trace_open(argv[1], &options, &trace);
	if (error)
		return fail(error);
	error = strobe_trace_save(trace, argv[2], &part, &saved);
	strobe_trace_close(trace);
	if (error)
		return fail(error);
	printf("%" PRIu64 " %" PRIu64 "\n", saved.first_id, saved.last_id);
	return 0;
}
