// SPDX-License-Identifier: Apache-2.0
// LLDB's trace.json. Beside it lie "t" (packets), "s" (context switches) and "p" (a program).
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bundle/bundle.h"

static char folder[] = "/tmp/strobe-fuzz-bundle-XXXXXX";

static void remove_folder(void)
{
	static const char *const names[] = {"t", "s", "p", "trace.json"};
	char path[64];
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
		unlink(path);
	}
	rmdir(folder);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	close(fd);
}

static void make_folder(void)
{
	static const uint8_t packets[64] = {2,	  0x82, 2,    0x82, 2,	  0x82, 2,    0x82, 2,
					    0x82, 2,	0x82, 2,    0x82, 2,	0x82, 2,    0x23};
	static const uint8_t switches[32] = {15, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0, 0,
					     0,	 0, 0, 1, 0, 0, 0,  2, 0, 0, 0, 9};
	char path[64];
	if (!mkdtemp(folder))
		abort();
	atexit(remove_folder);
	write_file("t", packets, sizeof(packets));
	write_file("s", switches, sizeof(switches));
	snprintf(path, sizeof(path), "%s/p", folder);
	if (symlink("/proc/self/exe", path) != 0)
		abort();
}

static void check_line(const char *line)
{
	if (strchr(line, '\n'))
		abort();
}

static void look_at(const struct pt_input *input)
{
	size_t seen = 0;
	for (size_t i = 0; i < input->warnings.count; i++)
		check_line(input->warnings.items[i]);
	for (size_t i = 0; i < strobe_view_warning_count(input->view); i++)
		check_line(strobe_view_warning(input->view, i));
	for (size_t i = 0; i < strobe_view_module_count(input->view); i++)
		seen += strlen(strobe_view_module(input->view, i)->name);
	for (size_t i = 0; i < strobe_view_mapping_count(input->view); i++)
		if (strobe_view_mapping(input->view, i)->start >=
		    strobe_view_mapping(input->view, i)->end)
			abort();
	for (size_t i = 0; i < input->schedules.count; i++) {
		uint64_t last = 0;
		for (size_t k = 0; k < input->schedules.items[i].executions.count; k++) {
			const struct pt_execution *one =
				&input->schedules.items[i].executions.items[k];
			if (one->start < last || one->start >= one->end)
				abort();
			last = one->end;
		}
	}
	for (size_t i = 0; i < input->threads.count; i++)
		seen += (size_t)input->threads.items[i].tid;
	if (seen == SIZE_MAX)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;
	const struct strobe_view_options view = {.size = sizeof(view),
						 .sysroot = "/nonexistent",
						 .debug_directories = "/nonexistent",
						 .no_debuginfod = true};
	const struct strobe_trace_options options = {.size = sizeof(options), .view = &view};
	char path[64];
	struct pt_input input;
	if (!made)
		make_folder();
	made = true;
	write_file("trace.json", data, size);
	snprintf(path, sizeof(path), "%s/trace.json", folder);
	struct strobe_error *error = bundle_open(path, &options, &input);
	if (error) {
		check_line(strobe_error_message(error));
		strobe_error_free(error);
		return 0;
	}
	look_at(&input);
	pt_input_fini(&input);
	return 0;
}
