// SPDX-License-Identifier: Apache-2.0
// What a trace's FILE is: told by its first bytes, not by its name.
#include "target/open_trace.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "bundle/bundle.h"
#include "perf/perf_data.h"
#include "pt/input.h"
#include "recording/recording.h"
#include "trace/source.h"

typedef struct strobe_error *(*open_input)(const char *path,
					   const struct strobe_trace_options *options,
					   struct pt_input *ret);

static const struct {
	bool (*is)(const uint8_t *bytes, size_t size);
	open_input open;
} formats[] = {
	{bundle_is, bundle_open},
	{perf_data_is, perf_data_open},
	{recording_is, recording_open},
};

/** Who reads the file; NULL if nobody does. */
static open_input recognise(const struct file *file)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (formats[i].is(file->data, file->size))
			return formats[i].open;
	return NULL;
}

bool open_trace_is_one(const char *path)
{
	struct file *file;
	struct strobe_error *error = file_open(path, &file);
	bool is = !error && recognise(file);
	if (!error)
		file_close(file);
	strobe_error_free(error);
	return is;
}

static struct strobe_error *open_path(const char *path, const struct strobe_trace_options *options,
				      struct pt_input *ret)
{
	struct file *file;
	struct strobe_error *error = file_open(path, &file);
	if (error)
		return error;
	open_input open = recognise(file);
	if (!open)
		error = error_new(
			STROBE_ERROR_FORMAT,
			"%s: %s: expected a bundle's trace.json, a perf.data with Intel PT, "
			"or a trace of Strobe's",
			path, file->size ? "no trace" : "empty file");
	file_close(file);
	return error ? error : open(path, options, ret);
}

/** A bundle's folder stands for its description. */
static struct strobe_error *
open_target(const char *path, const struct strobe_trace_options *options, struct pt_input *ret)
{
	struct arena arena = {0};
	struct stat status;
	bool folder = stat(path, &status) == 0 && S_ISDIR(status.st_mode);
	const char *inside = folder ? arena_printf(&arena, "%s/trace.json", path) : path;
	struct strobe_error *error = inside ? open_path(inside, options, ret) : error_no_memory();
	arena_fini(&arena);
	return error;
}

/** Code comes from a view of the caller's choice: a snapshot has what the files may have lost. */
static struct strobe_error *take_code(const struct strobe_trace_options *options,
				      struct pt_input *input)
{
	struct strobe_view *view;
	struct strobe_error *error = strobe_view_open(options->code, options->view, &view);
	if (error)
		return error_wrap(error, "code from %s", options->code);
	strobe_view_close(input->view);
	input->view = view;
	return NULL;
}

struct strobe_error *strobe_trace_open(const char *path, const struct strobe_trace_options *options,
				       struct strobe_trace **ret)
{
	struct pt_input input;
	struct trace_source source;
	if (!path || !*path)
		return error_new(STROBE_ERROR_INVALID, "no trace given");
	if (options && options->size < sizeof(*options))
		return error_new(STROBE_ERROR_INVALID, "strobe_trace_options.size is %zu, not %zu",
				 options->size, sizeof(*options));
	struct strobe_error *error = open_target(path, options, &input);
	if (error)
		return error;
	if (options && options->code)
		error = take_code(options, &input);
	if (error) {
		pt_input_fini(&input);
		return error;
	}
	error = pt_source_open(&input, &source);
	return error ? error : trace_new(&source, options, ret);
}
