// SPDX-License-Identifier: Apache-2.0
#include "pt/shared.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/hash_page.h"
#include "pt/decoder.h"
#include "trace/source.h"

enum {
	// Changes when other items come out of the same input: stored indexes do not fit then.
	DECODER_VERSION = 2,
	SAMPLE_SIZE = 4096,
};

static void close_source(void *context)
{
	struct pt_source *source = context;
	for (size_t i = 0; i < source->streams.count; i++)
		stream_fini(&source->streams.items[i]);
	array_fini(&source->streams);
	array_fini(&source->stream_threads);
	array_fini(&source->stream_schedules);
	hash_fini(&source->threads);
	image_fini(&source->image);
	functions_fini(&source->functions);
	pt_input_fini(&source->input);
	free(source);
}

static void info(void *context, struct source_info *ret)
{
	const struct pt_source *source = context;
	const struct pt_input *input = &source->input;
	*ret = (struct source_info){
		.path = input->path,
		.format = input->format,
		.technology = input->technology,
		.cpu = source->cpu[0] ? source->cpu : NULL,
		.per_cpu = input->per_cpu,
		.has_clock = input->has_clock,
		.clock_multiplier = input->clock_multiplier,
		.clock_shift = input->clock_shift,
		.clock_zero = input->clock_zero,
		.wall_offset_ns = input->wall_offset_ns,
		.finished = input->finished,
	};
	for (size_t i = 0; i < source->streams.count; i++)
		ret->raw_bytes += source->streams.items[i].size;
	memcpy(ret->fingerprint, source->fingerprint, sizeof(ret->fingerprint));
}

static size_t thread_count(void *context)
{
	return ((struct pt_source *)context)->input.threads.count;
}

static void thread(void *context, size_t index, struct source_thread *ret)
{
	const struct pt_thread *from = &((struct pt_source *)context)->input.threads.items[index];
	*ret = (struct source_thread){.pid = from->pid, .tid = from->tid, .name = from->name};
}

static size_t stream_count(void *context)
{
	return ((struct pt_source *)context)->streams.count;
}

static uint64_t block_count(void *context, size_t stream)
{
	return ((struct pt_source *)context)->streams.items[stream].count;
}

static void block(void *context, size_t stream, uint64_t index, struct source_block *ret)
{
	const struct stream *from = &((struct pt_source *)context)->streams.items[stream];
	ret->offset = stream_block_start(from, index);
	ret->size_bytes = stream_block_end(from, ret->offset) - ret->offset;
}

static bool stream_thread(void *context, size_t stream, uint32_t *ret_thread)
{
	*ret_thread = ((struct pt_source *)context)->stream_threads.items[stream];
	return *ret_thread != WINDOW_NOBODY;
}

static const struct strobe_view *view(void *context)
{
	return ((struct pt_source *)context)->input.view;
}

static const char *warning(void *context, size_t index)
{
	const struct pt_input *input = &((struct pt_source *)context)->input;
	return index < input->warnings.count ? input->warnings.items[index] : NULL;
}

static uint32_t find_thread(const struct pt_input *input, const struct pt_stream *stream)
{
	if (input->per_cpu && !input->kernel)
		return WINDOW_NOBODY;
	for (size_t i = 0; i < input->threads.count; i++) {
		const struct pt_thread *thread = &input->threads.items[i];
		if (thread->tid == (input->per_cpu ? stream->cpu : stream->tid))
			return (uint32_t)i;
	}
	return WINDOW_NOBODY;
}

static const struct pt_cpu_schedule *find_schedule(const struct pt_input *input,
						   const struct pt_stream *stream)
{
	for (size_t i = 0; input->per_cpu && !input->kernel && i < input->schedules.count; i++)
		if (input->schedules.items[i].cpu == stream->cpu)
			return &input->schedules.items[i];
	return NULL;
}

static struct strobe_error *list_threads(struct pt_source *source)
{
	for (size_t i = 0; i < source->input.threads.count; i++) {
		uint64_t tid = (uint64_t)(unsigned)source->input.threads.items[i].tid;
		if (!hash_put(&source->threads, tid, (void *)(uintptr_t)(i + 1)))
			return error_no_memory();
	}
	return NULL;
}

// Takes note of what the input has, for the first time or after it grew.
static struct strobe_error *update(struct pt_source *source)
{
	const struct pt_input *input = &source->input;
	for (size_t i = 0; i < input->streams.count; i++) {
		const struct pt_stream *from = &input->streams.items[i];
		if (i == source->streams.count &&
		    (!array_push(&source->streams, (struct stream){0}) ||
		     !array_push(&source->stream_threads, WINDOW_NOBODY) ||
		     !array_push(&source->stream_schedules, NULL)))
			return error_no_memory();
		struct stream *stream = &source->streams.items[i];
		source->stream_threads.items[i] = find_thread(input, from);
		source->stream_schedules.items[i] = find_schedule(input, from);
		struct strobe_error *error = stream_update(stream, from);
		if (!error)
			error = stream_scan(stream, from->finished || input->finished);
		if (error)
			return error;
	}
	return list_threads(source);
}

static struct strobe_error *refresh(void *context, bool *ret_grew)
{
	struct pt_source *source = context;
	*ret_grew = false;
	if (!source->input.refresh || source->input.finished)
		return NULL;
	struct strobe_error *error =
		source->input.refresh(source->input.context, &source->input, ret_grew);
	return error || !*ret_grew ? error : update(source);
}

static const struct trace_source_ops ops = {
	.close = close_source,
	.info = info,
	.thread_count = thread_count,
	.thread = thread,
	.stream_count = stream_count,
	.block_count = block_count,
	.block = block,
	.stream_thread = stream_thread,
	.refresh = refresh,
	.decoder_new = decoder_new,
	.decoder_free = decoder_free,
	.decode = decoder_decode,
	.view = view,
	.warning = warning,
};

static struct strobe_error *configure(struct pt_source *source)
{
	struct pt_input *input = &source->input;
	struct pt_config *config = &source->config;
	const char *vendor = input->cpu_vendor;
	pt_config_init(config);
	if (vendor)
		snprintf(source->cpu, sizeof(source->cpu), "%.32s %u/%u/%u", vendor,
			 input->cpu_family, input->cpu_model, input->cpu_stepping);
	if (vendor && strcmp(vendor, "GenuineIntel") == 0)
		config->cpu.vendor = pcv_intel;
	config->cpu.family = (uint16_t)input->cpu_family;
	config->cpu.model = (uint8_t)input->cpu_model;
	config->cpu.stepping = (uint8_t)input->cpu_stepping;
	config->mtc_freq = input->mtc_frequency;
	config->nom_freq = input->nominal_frequency;
	config->cpuid_0x15_eax = input->cpuid_15_eax;
	config->cpuid_0x15_ebx = input->cpuid_15_ebx;
	source->timed = input->mtc_frequency || input->cpuid_15_eax || input->nominal_frequency;
	if (pt_cpu_errata(&config->errata, &config->cpu) >= 0)
		return NULL;
	memset(&config->errata, 0, sizeof(config->errata));
	if (input->technology && strcmp(input->technology, "single-step") == 0)
		return NULL; // no processor made these packets
	const char *text = arena_printf(&input->arena,
					"%s%s: libipt does not know its errata: decoded without",
					vendor ? "CPU " : "unknown CPU", vendor ? source->cpu : "");
	return text && array_push(&input->warnings, text) ? NULL : error_no_memory();
}

// Code that was there at some time only. Where other code is at other times, the view's is taken, or the first one's.
static struct strobe_error *add_code(struct pt_source *source)
{
	struct pt_input *input = &source->input;
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < input->code.count && !error; i++) {
		const struct pt_code *code = &input->code.items[i];
		bool added = false;
		error = image_add_file(&source->image, code->path, code->offset, code->start,
				       code->size, &added);
		if (error || added)
			continue;
		const char *text = arena_printf(
			&input->arena,
			"%s at 0x%" PRIx64
			": not there, or other code is there at another time: not used",
			code->path, code->start);
		if (!text || !array_push(&input->warnings, text))
			error = error_no_memory();
	}
	return error;
}

struct digest {
	uint64_t parts[2];
};

static void digest_bytes(struct digest *digest, const void *bytes, size_t size)
{
	uint64_t chain[3] = {digest->parts[0], digest->parts[1], page_hash(bytes, size)};
	digest->parts[0] = page_hash(chain, sizeof(chain));
	chain[0] = ~chain[0];
	digest->parts[1] = page_hash(chain, sizeof(chain));
}

static void digest_number(struct digest *digest, uint64_t number)
{
	digest_bytes(digest, &number, sizeof(number));
}

// What it begins with, and a little of it everywhere: all of it would have to be read from the disk.
static void digest_code(struct digest *digest, const struct image_section *section)
{
	enum { STEPS = 64 };
	size_t first = section->size < SAMPLE_SIZE ? (size_t)section->size : SAMPLE_SIZE;
	digest_number(digest, section->start);
	digest_number(digest, section->size);
	digest_bytes(digest, section->data, first);
	uint64_t step = section->size / STEPS;
	for (uint64_t at = step; step >= SAMPLE_SIZE && at + 64 <= section->size; at += step)
		digest_bytes(digest, section->data + at, 64);
}

static void digest_stream(struct digest *digest, const struct pt_stream *input,
			  const struct stream *stream)
{
	uint8_t bytes[SAMPLE_SIZE];
	digest_number(digest, (uint64_t)(unsigned)input->tid);
	digest_number(digest, (uint64_t)(unsigned)input->cpu);
	// The first block does not change when the stream grows.
	uint64_t size = stream->count ? stream_block_end(stream, 0) : 0;
	digest_bytes(digest, bytes,
		     stream_copy(stream, 0, bytes, size < sizeof(bytes) ? size : sizeof(bytes)));
}

static void digest_schedules(struct digest *digest, const struct pt_input *input)
{
	for (size_t i = 0; i < input->schedules.count; i++) {
		const struct pt_cpu_schedule *schedule = &input->schedules.items[i];
		digest_number(digest, (uint64_t)(unsigned)schedule->cpu);
		if (schedule->executions.count)
			digest_number(digest, schedule->executions.items[0].start);
	}
	for (size_t i = 0; i < input->threads.count && i < 1; i++)
		digest_number(digest, (uint64_t)(unsigned)input->threads.items[i].tid);
}

static void make_fingerprint(struct pt_source *source)
{
	const struct pt_input *input = &source->input;
	struct digest digest = {{DECODER_VERSION, STREAM_BLOCK_MIN}};
	uint64_t settings[] = {
		source->config.cpu.vendor,
		input->cpu_family,
		input->cpu_model,
		input->cpu_stepping,
		input->mtc_frequency,
		input->nominal_frequency,
		input->cpuid_15_eax,
		input->cpuid_15_ebx,
		input->per_cpu,
		input->kernel,
		input->clock_multiplier,
		input->clock_shift,
		input->clock_zero,
		input->has_clock,
	};
	digest_bytes(&digest, settings, sizeof(settings));
	for (size_t i = 0; i < source->image.sections.count; i++)
		digest_code(&digest, &source->image.sections.items[i]);
	for (size_t i = 0; i < source->streams.count; i++)
		digest_stream(&digest, &input->streams.items[i], &source->streams.items[i]);
	digest_schedules(&digest, input);
	memcpy(source->fingerprint, digest.parts, sizeof(source->fingerprint));
}

struct strobe_error *pt_source_open(struct pt_input *input, struct trace_source *ret)
{
	struct pt_source *source = calloc(1, sizeof(*source));
	if (!source) {
		pt_input_fini(input);
		return error_no_memory();
	}
	source->input = *input;
	source->image.copy = -1;
	pt_input_init(input);
	struct strobe_error *error = configure(source);
	if (!error)
		error = image_init(&source->image, source->input.view);
	if (!error)
		error = functions_init(&source->functions, source->input.view);
	if (!error)
		error = add_code(source);
	if (!error)
		error = update(source);
	if (error) {
		close_source(source);
		return error;
	}
	make_fingerprint(source);
	*ret = (struct trace_source){.ops = &ops, .context = source};
	return NULL;
}

const struct pt_input *pt_source_input(const struct trace_source *source)
{
	return source->ops == &ops ? &((const struct pt_source *)source->context)->input : NULL;
}
