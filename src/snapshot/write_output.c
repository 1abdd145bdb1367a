// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_output.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

struct strobe_error *output_new(struct sink *sink, struct compressor *compressor,
				struct output **ret)
{
	struct output *output = malloc(sizeof(*output));
	if (!output)
		return error_no_memory();
	output->sink = sink;
	output->compressor = compressor;
	output->position = 0;
	output->gathered = 0;
	*ret = output;
	return NULL;
}

struct output *output_free(struct output *output)
{
	free(output);
	return NULL;
}

static struct strobe_error *pass_on(struct output *output, const void *bytes, size_t size)
{
	return output->compressor ? compressor_write(output->compressor, bytes, size)
				  : sink_write(output->sink, bytes, size);
}

static struct strobe_error *flush(struct output *output)
{
	size_t size = output->gathered;
	output->gathered = 0;
	return size ? pass_on(output, output->buffer, size) : NULL;
}

struct strobe_error *output_write(struct output *output, const void *bytes, size_t size)
{
	struct strobe_error *error = NULL;
	if (output->gathered + size > sizeof(output->buffer))
		error = flush(output);
	if (error)
		return error;
	output->position += size;
	// After a flush nothing is gathered: what is too large always goes here. Pages come in
	// stretches with holes between them, where gathering would only copy them.
	if (size >= OUTPUT_DIRECT && !output->gathered)
		return pass_on(output, bytes, size);
	memcpy(output->buffer + output->gathered, bytes, size);
	output->gathered += size;
	return NULL;
}

struct strobe_error *output_skip(struct output *output, uint64_t size)
{
	struct strobe_error *error = size ? flush(output) : NULL;
	if (error || !size)
		return error;
	output->position += size;
	return output->compressor ? compressor_skip(output->compressor, size)
				  : sink_skip(output->sink, size);
}

bool output_can_write_ahead(const struct output *output)
{
	return output->sink->seekable && !output->compressor;
}

struct strobe_error *output_write_ahead(struct output *output, uint64_t offset, const void *bytes,
					size_t size)
{
	return sink_write_ahead(output->sink, offset, bytes, size);
}

struct strobe_error *output_finish(struct output *output)
{
	struct strobe_error *error = flush(output);
	if (!error && output->compressor)
		error = compressor_finish(output->compressor);
	return error ? error : sink_finish(output->sink);
}
