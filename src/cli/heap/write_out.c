// SPDX-License-Identifier: Apache-2.0
#include "heap/write_out.h"

#include <string.h>
#include <sys/stat.h>

#include "progress.h"

static void tell(const struct command *command, const char *output, const char *format)
{
	struct stat status;
	struct size_text size;
	uint64_t bytes = stat(output, &status) == 0 ? (uint64_t)status.st_size : 0;
	struct json json;
	if (command->json) {
		json_init(&json, stdout);
		json_object(&json, NULL);
		json_string(&json, "output", output);
		json_string(&json, "format", format);
		json_unsigned(&json, "bytes", bytes);
		json_object_end(&json);
		json_fini(&json);
	} else if (strcmp(output, "-") != 0) {
		printf("%s: %s, %s\n", output, format, size_text(bytes, &size));
	}
}

int heap_check_output(const struct command *command)
{
	const char *output = command_option(command, "output");
	if (!output)
		return command_usage(command, "say where to with --output");
	if (command->json && strcmp(output, "-") == 0)
		return command_usage(command, "--json and --output - both want standard output");
	return STATUS_DONE;
}

int heap_write_out(struct command *command, struct strobe_graph *graph,
		   enum strobe_graph_format format, const char *format_name,
		   struct strobe_graph_export_options *wanted)
{
	const char *output = command_option(command, "output");
	struct progress progress;
	progress_begin(&progress, "exporting", command->quiet);
	wanted->progress = progress_tell_part;
	wanted->progress_context = &progress;
	struct strobe_error *error = strobe_graph_export(graph, format, output, wanted);
	progress_end(&progress);
	bool interrupted = progress_interrupted();
	progress_release();
	if (error && interrupted && strobe_error_code(error) == STROBE_ERROR_LIMIT) {
		strobe_error_free(error);
		return command_fail(command, "interrupted; nothing was written");
	}
	if (error)
		return command_error(command, NULL, error);
	tell(command, output, format_name);
	return STATUS_DONE;
}
