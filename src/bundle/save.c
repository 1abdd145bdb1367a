// SPDX-License-Identifier: Apache-2.0
// Which packets a part of a trace stands in: whole blocks, for decoding begins there.
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/cursor.h>
#include <strobe/trace_save.h>

#include "base/error.h"
#include "bundle/write.h"
#include "trace/source.h"
#include "trace/state.h"
#include "trace/units.h"

// Behind a block's last packets some instructions follow that need none. They are there only if what follows is.
enum { TAIL_ITEMS = 512 };

struct saving {
	struct strobe_trace *trace;
	const struct trace_source *source;
	const struct pt_input *input;
	const struct strobe_trace_save_options *options;
	bool *threads;		   // of the input: is it saved?
	struct bundle_part *parts; // of its streams; in blocks at first, then in bytes
	struct strobe_trace_saved saved;
};

/** Units [first, last] of a thread, last SIZE_MAX = none. */
struct unit_range {
	uint64_t first, last;
};

static uint64_t count_blocks(const struct saving *saving, size_t stream)
{
	return saving->source->ops->block_count(saving->source->context, stream);
}

static void take_unit(struct saving *saving, const struct unit *unit, bool with_next)
{
	struct bundle_part *part = &saving->parts[unit->stream];
	uint64_t end = unit->block + 1;
	if (with_next && end < count_blocks(saving, unit->stream))
		end++;
	if (part->from == part->to)
		*part = (struct bundle_part){.from = unit->block, .to = end};
	if (unit->block < part->from)
		part->from = unit->block;
	if (end > part->to)
		part->to = end;
}

/** Takes the units of items [first, last] of a thread. */
static void take_items(struct saving *saving, size_t thread, uint64_t first, uint64_t last)
{
	uint64_t from = units_find(saving->trace, thread, first);
	uint64_t to = units_find(saving->trace, thread, last);
	for (uint64_t i = from; i <= to; i++) {
		const struct unit *unit = units_get(saving->trace, thread, i);
		bool at_end = i == to && last + TAIL_ITEMS >= unit->first_id + unit->item_count;
		take_unit(saving, unit, at_end);
	}
}

static bool is_taken(const struct saving *saving, const struct unit *unit)
{
	const struct bundle_part *part = &saving->parts[unit->stream];
	return part->from <= unit->block && unit->block < part->to;
}

/** Which items of the thread the blocks hold, around those that were asked for. */
static void note_ids(struct saving *saving, size_t thread, uint64_t first, uint64_t last)
{
	struct strobe_trace *trace = saving->trace;
	uint64_t from = units_find(trace, thread, first), to = units_find(trace, thread, last);
	if (saving->saved.has_ids)
		return;
	while (from > 0 && is_taken(saving, units_get(trace, thread, from - 1)))
		from--;
	while (to + 1 < units_count(trace, thread) &&
	       is_taken(saving, units_get(trace, thread, to + 1)))
		to++;
	const struct unit *end = units_get(trace, thread, to);
	saving->saved.last_id = end->first_id + end->item_count - 1;
	saving->saved.first_id = units_get(trace, thread, from)->first_id;
	saving->saved.has_ids = true;
}

/** All blocks of the streams that are the thread's alone; of others, those that hold items of it. */
static void take_thread(struct saving *saving, size_t thread, uint64_t item_count)
{
	const struct trace_source *source = saving->source;
	bool alone = false;
	for (size_t i = 0; i < saving->input->streams.count; i++) {
		uint32_t whose;
		if (!source->ops->stream_thread(source->context, i, &whose) || whose != thread)
			continue;
		alone = true;
		saving->parts[i] = (struct bundle_part){.to = count_blocks(saving, i)};
	}
	if (!alone && item_count)
		take_items(saving, thread, 0, item_count - 1);
}

/** Items of a thread at the wanted time; false if there are none. */
static struct strobe_error *find_times(struct saving *saving, size_t thread, uint64_t *first,
				       uint64_t *last, bool *found)
{
	const struct strobe_trace_save_options *options = saving->options;
	struct strobe_cursor *cursor;
	double time;
	struct strobe_error *error = strobe_cursor_open(saving->trace, thread, &cursor);
	if (error)
		return error;
	*found = strobe_cursor_seek_time(cursor, options->first_ns) &&
		 strobe_cursor_time_ns(cursor, &time) && time <= options->last_ns;
	*first = strobe_cursor_id(cursor);
	if (strobe_cursor_seek_time(cursor, options->last_ns))
		*last = strobe_cursor_id(cursor);
	else
		*last = strobe_trace_thread(saving->trace, thread)->item_count - 1;
	strobe_cursor_close(cursor);
	return NULL;
}

/** The part of one thread that is wanted. */
static struct strobe_error *select_thread(struct saving *saving, size_t thread)
{
	const struct strobe_trace_save_options *options = saving->options;
	uint64_t count = strobe_trace_thread(saving->trace, thread)->item_count;
	uint64_t first = options->first_id, last = options->last_id;
	if (options->by_id && (first > last || last >= count))
		return error_new(STROBE_ERROR_INVALID,
				 "thread %d has no items %" PRIu64 " to %" PRIu64
				 ": it has %" PRIu64,
				 saving->input->threads.items[thread].tid, first, last, count);
	if (options->by_time) {
		bool found = false;
		struct strobe_error *error =
			count ? find_times(saving, thread, &first, &last, &found) : NULL;
		if (error || !found) {
			saving->threads[thread] = false;
			return error;
		}
	}
	if (options->by_id || options->by_time)
		take_items(saving, thread, first, last);
	else
		take_thread(saving, thread, count);
	if (options->by_id || options->by_time)
		note_ids(saving, thread, first, last);
	return NULL;
}

/** Which threads are saved. */
static struct strobe_error *choose_threads(struct saving *saving)
{
	const struct strobe_trace_save_options *options = saving->options;
	size_t chosen = options->tid_count ? options->tid_count : saving->input->threads.count;
	for (size_t i = 0; i < options->tid_count; i++) {
		size_t index = strobe_trace_thread_index(saving->trace, options->tids[i]);
		if (index == SIZE_MAX)
			return error_new(STROBE_ERROR_INVALID,
					 "there is no thread %d in this trace", options->tids[i]);
		saving->threads[index] = true;
	}
	for (size_t i = 0; !options->tid_count && i < saving->input->threads.count; i++)
		saving->threads[i] = true;
	if (options->by_id && chosen != 1)
		return error_new(STROBE_ERROR_INVALID,
				 "items are counted by thread: name one to save a part by ids");
	if (options->by_id && options->by_time)
		return error_new(STROBE_ERROR_INVALID,
				 "a part is told by ids or by time, not both");
	return NULL;
}

/** What the clock of its CPU reads first in a block; `otherwise` if there is no such block, or no clock in it. */
static struct strobe_error *block_clock(struct saving *saving, size_t stream, uint64_t block,
					uint64_t otherwise, uint64_t *ret)
{
	const struct source_want want = {.enough = 1};
	struct window window;
	*ret = otherwise;
	if (block >= count_blocks(saving, stream))
		return NULL;
	window_init(&window);
	struct strobe_error *error =
		saving->source->ops->decode(saving->trace->decoder, stream, block, &want, &window);
	if (!error && window.clocks.count)
		*ret = window.clocks.items[0].value;
	window_fini(&window);
	return error;
}

/** From numbers of blocks to offsets of bytes, and to times. */
static struct strobe_error *turn_into_bytes(struct saving *saving)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < saving->input->streams.count; i++) {
		struct bundle_part *part = &saving->parts[i];
		struct source_block first, last;
		if (part->from >= part->to) {
			*part = (struct bundle_part){0};
			continue;
		}
		uint64_t begin = part->from ? part->from : UINT64_MAX; // from 0 on: all before, too
		error = block_clock(saving, i, begin, 0, &part->first_clock);
		if (!error)
			error = block_clock(saving, i, part->to, UINT64_MAX, &part->last_clock);
		saving->source->ops->block(saving->source->context, i, part->from, &first);
		saving->source->ops->block(saving->source->context, i, part->to - 1, &last);
		part->from = first.offset;
		part->to = last.offset + last.size_bytes;
	}
	return error;
}

static struct strobe_error *write_folder(struct saving *saving, const char *directory)
{
	struct bundle_writing writing = {
		.input = saving->input,
		.view = strobe_trace_view(saving->trace),
		.threads = saving->threads,
		.parts = saving->parts,
		.reference_modules = saving->options->reference_modules,
		.saved = &saving->saved,
	};
	struct strobe_error *error = folder_begin(&writing.folder, directory);
	writing.folder.progress = saving->options->progress;
	writing.folder.progress_context = saving->options->progress_context;
	if (!error)
		error = bundle_write(&writing);
	if (!error)
		error = folder_commit(&writing.folder);
	folder_end(&writing.folder);
	return error;
}

static struct strobe_error *select_all(struct saving *saving)
{
	struct strobe_error *error = choose_threads(saving);
	bool any = false;
	for (size_t i = 0; !error && i < saving->input->threads.count; i++) {
		if (saving->threads[i])
			error = select_thread(saving, i);
		any = any || saving->threads[i];
	}
	if (!error && !any)
		return error_new(STROBE_ERROR_INVALID, "nothing ran from %.3f to %.3f ns",
				 saving->options->first_ns, saving->options->last_ns);
	return error;
}

struct strobe_error *strobe_trace_save(struct strobe_trace *trace, const char *directory,
				       const struct strobe_trace_save_options *options,
				       struct strobe_trace_saved *ret)
{
	static const struct strobe_trace_save_options all = {.size = sizeof(all)};
	if (options && options->size < sizeof(*options))
		return error_new(STROBE_ERROR_INVALID,
				 "strobe_trace_save_options.size is %zu, not %zu", options->size,
				 sizeof(*options));
	if (!directory || !*directory)
		return error_new(STROBE_ERROR_INVALID, "no folder given");
	struct saving saving = {.trace = trace,
				.source = &trace->source,
				.input = pt_source_input(&trace->source),
				.options = options ? options : &all};
	if (!saving.input)
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "there are no packets behind this trace");
	saving.threads = calloc(saving.input->threads.count + 1, sizeof(*saving.threads));
	saving.parts = calloc(saving.input->streams.count + 1, sizeof(*saving.parts));
	bool good = saving.threads && saving.parts;
	struct strobe_error *error = good ? select_all(&saving) : error_no_memory();
	if (!error)
		error = turn_into_bytes(&saving);
	if (!error)
		error = write_folder(&saving, directory);
	if (!error && ret)
		*ret = saving.saved;
	free(saving.threads);
	free(saving.parts);
	return error;
}
