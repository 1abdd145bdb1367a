// SPDX-License-Identifier: Apache-2.0
#include "recording/recording.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "recording/explain.h"
#include "recording/format.h"
#include "recording/scan.h"
#include "recording/writer.h"
#include "trace/module_view.h"

bool recording_is(const uint8_t *bytes, size_t size)
{
	return size >= sizeof(RECORDING_MAGIC) - 1 &&
	       memcmp(bytes, RECORDING_MAGIC, sizeof(RECORDING_MAGIC) - 1) == 0;
}

/** True for what the view shows: what the first process had last. */
static bool is_last(const struct recording *recording, const struct recorded_code *code)
{
	return code->pid == recording->pid && code->until == UINT64_MAX;
}

struct places {
	ARRAY(struct module_place) modules;
	ARRAY(struct memory_place) memory;
};

static bool add_place(struct places *places, const struct recorded_code *code)
{
	if (!code->path)
		return array_push(&places->memory, (struct memory_place){.start = code->start,
									 .data = code->data,
									 .size = code->size,
									 .name = code->name});
	return array_push(&places->modules, (struct module_place){.path = code->path,
								  .file = code->file,
								  .build_id = code->build_id,
								  .start = code->start,
								  .size = code->size,
								  .offset = code->offset});
}

/** Adds what is gone, the newest first, where nothing stands now: nobody else would show it. */
static struct strobe_error *add_gone(const struct recording *recording, struct places *places)
{
	struct history shown = {0};
	struct strobe_error *error = NULL;
	size_t count = recording->history.code.count;
	for (size_t i = 0; !error && i < count; i++)
		if (is_last(recording, &recording->history.code.items[i]))
			error = history_add(&shown, &recording->history.code.items[i]);
	for (size_t i = count; !error && i-- > 0;) {
		struct recorded_code code = recording->history.code.items[i];
		if (is_last(recording, &code) ||
		    !history_is_free(&shown, recording->pid, code.start, code.size))
			continue;
		code.pid = recording->pid;
		code.until = UINT64_MAX;
		error = add_place(places, &code) ? history_add(&shown, &code) : error_no_memory();
	}
	history_fini(&shown);
	return error;
}

static struct strobe_error *make_view(struct recording *recording,
				      const struct strobe_view_options *options,
				      struct pt_input *input)
{
	struct places places = {0};
	bool done = true;
	for (size_t i = 0; done && i < recording->history.code.count; i++) {
		const struct recorded_code *code = &recording->history.code.items[i];
		if (is_last(recording, code))
			done = add_place(&places, code);
	}
	struct strobe_error *error = done ? add_gone(recording, &places) : error_no_memory();
	if (!error)
		error = module_view_new(recording->pid, places.modules.items, places.modules.count,
					places.memory.items, places.memory.count, options,
					&input->view);
	array_fini(&places.modules);
	array_fini(&places.memory);
	return error;
}

/** Code that the view does not have. */
static struct strobe_error *add_code(struct recording *recording, struct pt_input *input,
				     const struct recorded_code *code)
{
	const char *path = code->file ? code->file : code->path ? code->path : recording->file.path;
	struct pt_code added = {.start = code->start,
				.size = code->size,
				.offset = code->offset,
				.path = path,
				.pid = code->pid,
				.from = code->from,
				.until = code->until};
	return array_push(&input->code, added) ? NULL : error_no_memory();
}

static struct strobe_error *add_other_code(struct recording *recording, struct pt_input *input)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < recording->history.code.count; i++) {
		const struct recorded_code *code = &recording->history.code.items[i];
		if (!is_last(recording, code))
			error = add_code(recording, input, code);
	}
	return error;
}

static void set_finished(struct recording *recording, struct pt_input *input)
{
	input->finished = true;
	for (size_t i = 0; i < input->streams.count; i++)
		input->streams.items[i].finished = true;
	(void)recording;
}

/** Scans; and finds out if there will be more. */
static struct strobe_error *look(struct recording *recording, struct pt_input *input)
{
	bool written = growing_file_is_locked(&recording->file);
	struct strobe_error *error = growing_file_refresh(&recording->file);
	if (!error)
		error = recording_scan(recording, input);
	if (error)
		return error;
	if (!recording->marked_finished && written)
		return NULL;
	if (!recording->marked_finished && !input->finished) {
		const char *text =
			arena_strdup(&input->arena, "the recorder was killed: the end is missing");
		if (!text || !array_push(&input->warnings, text))
			return error_no_memory();
	}
	set_finished(recording, input);
	return NULL;
}

static uint64_t count_bytes(const struct pt_input *input)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < input->streams.count; i++)
		for (size_t k = 0; k < input->streams.items[i].pieces.count; k++)
			sum += input->streams.items[i].pieces.items[k].size;
	return sum;
}

static struct strobe_error *refresh(void *context, struct pt_input *input, bool *ret_grew)
{
	struct recording *recording = context;
	uint64_t bytes = count_bytes(input);
	size_t threads = input->threads.count, known = recording->history.code.count;
	bool finished = input->finished;
	struct strobe_error *error = finished ? NULL : look(recording, input);
	// The view is as it was; whatever came since is beside it.
	for (size_t i = known; !error && i < recording->history.code.count; i++)
		error = add_code(recording, input, &recording->history.code.items[i]);
	*ret_grew = count_bytes(input) != bytes || input->threads.count != threads ||
		    input->finished != finished;
	return error;
}

static void close_recording(void *context)
{
	struct recording *recording = context;
	growing_file_close(&recording->file);
	hash_fini(&recording->events);
	history_fini(&recording->history);
	free(recording);
}

static bool explain(void *context, size_t stream, uint64_t payload, struct window_note *note,
		    struct arena *arena)
{
	const struct recording *recording = context;
	const uint8_t *record;
	(void)stream;
	if ((payload & ~(uint64_t)UINT32_MAX) != RECORDING_PAYLOAD)
		return false;
	record = hash_get(&recording->events, (payload & UINT32_MAX) + 1);
	return record && explain_event(record, note, arena);
}

static const char *name_method(uint32_t method)
{
	return method == RECORDING_INTEL_PT ? "intel-pt" : "single-step";
}

static struct strobe_error *fill(struct recording *recording,
				 const struct strobe_view_options *options, struct pt_input *input)
{
	struct strobe_error *error = recording_read_header(recording);
	if (!error)
		error = look(recording, input);
	if (!error)
		error = make_view(recording, options, input);
	if (!error)
		error = add_other_code(recording, input);
	input->path = recording->file.path;
	input->format = "strobe";
	input->technology = name_method(recording->method);
	return error;
}

struct strobe_error *recording_open(const char *path, const struct strobe_trace_options *options,
				    struct pt_input *ret)
{
	struct recording *recording = calloc(1, sizeof(*recording));
	struct pt_input input;
	if (!recording)
		return error_no_memory();
	pt_input_init(&input);
	input.context = recording;
	input.close = close_recording;
	input.refresh = refresh;
	input.explain = explain;
	struct strobe_error *error = growing_file_open(&recording->file, path);
	if (!error)
		error = fill(recording, options ? options->view : NULL, &input);
	if (error) {
		pt_input_fini(&input);
		return error;
	}
	*ret = input;
	return NULL;
}
