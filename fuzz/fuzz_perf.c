// SPDX-License-Identifier: Apache-2.0
// perf.data with Intel PT.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "perf/perf_data.h"
#include "synthetic_core.h"

static void check_line(const char *line)
{
	if (strchr(line, '\n'))
		abort();
}

static void look_at(const struct pt_input *input)
{
	uint64_t sum = 0, last = 0;
	for (size_t i = 0; i < input->warnings.count; i++)
		check_line(input->warnings.items[i]);
	for (size_t i = 0; i < strobe_view_warning_count(input->view); i++)
		check_line(strobe_view_warning(input->view, i));
	for (size_t i = 0; i < input->streams.count; i++)
		for (size_t k = 0; k < input->streams.items[i].pieces.count; k++)
			for (size_t b = 0; b < input->streams.items[i].pieces.items[k].size; b++)
				sum += input->streams.items[i].pieces.items[k].data[b];
	for (size_t i = 0; i < input->events.count; i++) {
		if (input->events.items[i].clock < last)
			abort();
		last = input->events.items[i].clock;
		sum += strlen(input->events.items[i].note.text);
	}
	for (size_t i = 0; i < input->code.count; i++) {
		if (!input->code.items[i].size)
			abort();
		sum += strlen(input->code.items[i].path);
	}
	for (size_t i = 0; i < input->schedules.count; i++) {
		last = 0;
		for (size_t k = 0; k < input->schedules.items[i].executions.count; k++) {
			const struct pt_execution *one =
				&input->schedules.items[i].executions.items[k];
			if (one->start < last || one->start >= one->end)
				abort();
			last = one->end;
		}
	}
	for (size_t i = 0; i < input->threads.count; i++)
		sum += input->threads.items[i].name ? strlen(input->threads.items[i].name) : 0;
	for (size_t i = 0; i < strobe_view_module_count(input->view); i++)
		sum += strlen(strobe_view_module(input->view, i)->name);
	if (sum == UINT64_MAX)
		abort(); // everything was really read
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct strobe_view_options view = {.size = sizeof(view),
						 .sysroot = "/nonexistent",
						 .debug_directories = "/nonexistent",
						 .no_debuginfod = true};
	const struct strobe_trace_options options = {.size = sizeof(options), .view = &view};
	struct pt_input input;
	char path[32];
	int fd = memory_file("perf", data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct strobe_error *error = perf_data_open(path, &options, &input);
	if (error) {
		check_line(strobe_error_message(error));
		strobe_error_free(error);
	} else {
		look_at(&input);
		pt_input_fini(&input);
	}
	close(fd);
	return 0;
}
