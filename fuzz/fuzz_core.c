// SPDX-License-Identifier: Apache-2.0
// Core files, their program headers and notes.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <strobe/stack.h>
#include <unistd.h>

#include "synthetic_core.h"

enum { MOST = 200 }; // of anything looked at in one run

static bool stop_after(void *context, uint64_t address, uint64_t size)
{
	unsigned *hits = context;
	(void)address;
	(void)size;
	return ++*hits < MOST;
}

static void look_at_memory(const struct strobe_view *view)
{
	char buffer[256];
	for (size_t i = 0; i < strobe_view_mapping_count(view) && i < MOST; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		struct strobe_memory_extent extent;
		strobe_memory_read(view, mapping->start, buffer, sizeof(buffer));
		strobe_memory_read(view, mapping->end - 16, buffer, sizeof(buffer));
		strobe_memory_extent(view, mapping->start, &extent);
		if (!strobe_view_mapping_at(view, mapping->start))
			abort();
	}
	unsigned hits = 0;
	const struct strobe_search search = {
		.size = sizeof(search), .pattern = "\0\1", .pattern_size = 2, .limit = MOST};
	strobe_error_free(strobe_memory_search(view, &search, stop_after, NULL, &hits));
}

static void look_at_threads(const struct strobe_view *view)
{
	for (size_t i = 0; i < strobe_view_thread_count(view) && i < MOST; i++) {
		struct strobe_register value;
		strobe_view_thread(view, i);
		for (size_t r = 0; r < strobe_view_register_count(view, i); r++)
			strobe_view_register(view, i, r, &value);
		strobe_view_register_by_name(view, i, "al", &value);
		strobe_view_register_by_name(view, i, "zmm31", &value);
	}
	uint64_t type, value;
	for (size_t i = 0; i < MOST && strobe_view_auxv(view, i, &type, &value); i++)
		continue;
	for (size_t i = 0; i < strobe_view_module_count(view) && i < MOST; i++)
		strobe_view_module(view, i);
	for (size_t i = 0; i < strobe_view_descriptor_count(view, NULL) && i < MOST; i++)
		strobe_view_descriptor(view, i);
}

static void look_at_facts(const struct strobe_view *view)
{
	const struct strobe_capture *capture = strobe_view_capture(view);
	const struct strobe_credentials *credentials = strobe_view_credentials(view);
	size_t seen = capture && capture->id ? strlen(capture->id) : 0, size;
	const char *text;
	for (size_t i = 0; (text = strobe_view_proc_file_name(view, i)) && i < MOST; i++) {
		const char *bytes = strobe_view_proc_file(view, text, &size);
		for (size_t k = 0; k < size; k++)
			seen += (unsigned char)bytes[k];
	}
	for (size_t i = 0; (text = strobe_view_environment(view, i)) && i < MOST; i++)
		seen += strlen(text);
	for (size_t i = 0; (text = strobe_view_argument(view, i)) && i < MOST; i++)
		seen += strlen(text);
	for (size_t i = 0; i < strobe_view_not_atomic_count(view) && i < MOST; i++) {
		const struct strobe_not_atomic *range = strobe_view_not_atomic(view, i);
		seen += strlen(range->why);
		if (range->start >= range->end)
			abort();
	}
	for (size_t i = 0; i < strobe_view_limit_count(view) && i < MOST; i++)
		seen += strlen(strobe_view_limit(view, i)->name);
	for (size_t i = 0; i < strobe_view_namespace_count(view) && i < MOST; i++)
		seen += strlen(strobe_view_namespace(view, i)->name);
	for (size_t i = 0; i < strobe_view_queued_signal_count(view) && i < MOST; i++)
		seen += (size_t)strobe_view_queued_signal(view, i)->tid;
	for (size_t i = 0; credentials && i < credentials->group_count; i++)
		seen += credentials->groups[i];
	for (size_t i = 0; i < strobe_view_descriptor_count(view, NULL) && i < MOST; i++) {
		const struct strobe_descriptor *descriptor = strobe_view_descriptor(view, i);
		seen += descriptor->type ? strlen(descriptor->type) : 0;
		seen += descriptor->info ? strlen(descriptor->info) : 0;
	}
	for (size_t i = 0; i < strobe_view_thread_count(view) && i < MOST; i++)
		strobe_system_call_name(strobe_view_thread(view, i)->system_call);
	if (seen == SIZE_MAX)
		abort(); // everything was really read
}

static void look_at_stacks(const struct strobe_view *view)
{
	struct strobe_symbols *symbols = NULL;
	const struct strobe_stack_options options = {.size = sizeof(options), .max_frames = MOST};
	strobe_error_free(strobe_symbols_open(view, &symbols));
	for (size_t i = 0; symbols && i < strobe_view_thread_count(view) && i < 4; i++) {
		struct strobe_stack *stack = NULL;
		strobe_error_free(strobe_stack_open(symbols, i, &options, &stack));
		strobe_stack_close(stack);
	}
	strobe_symbols_close(symbols);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[32];
	int fd = memory_file("core", data, size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct strobe_view *view = NULL;
	const struct strobe_view_options options = {.size = sizeof(options),
						    .sysroot = "/nonexistent",
						    .debug_directories = "/nonexistent",
						    .no_debuginfod = true};
	strobe_error_free(strobe_view_open(path, &options, &view));
	if (view) {
		strobe_view_process_info(view);
		look_at_threads(view);
		look_at_facts(view);
		look_at_memory(view);
		look_at_stacks(view);
		for (size_t i = 0; i < strobe_view_warning_count(view); i++)
			if (strchr(strobe_view_warning(view, i), '\n'))
				abort();
	}
	strobe_view_close(view);
	close(fd);
	return 0;
}
