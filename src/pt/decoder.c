// SPDX-License-Identifier: Apache-2.0
#include "pt/decoder.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "pt/decoding.h"
#include "pt/events.h"
#include "pt/header.h"
#include "pt/plain.h"

enum {
	// Straight code without a packet: more than that is a loop that never ends, or code that is not what ran.
	IDLE_INSTRUCTIONS = 500000,
	// A window ends at the first branch behind so many parts: with the straight code that may come before
	// that branch it stays within WINDOW_MAX_PARTS.
	ENOUGH_PARTS = WINDOW_MAX_PARTS / 2 - 64,
	RELEASE_EVERY = 1 << 20,
};

struct strobe_error *decoder_new(void *source, void **ret, struct code_map **ret_map)
{
	const struct pt_source *shared = source;
	struct decoder *decoder = calloc(1, sizeof(*decoder));
	if (!decoder)
		return error_no_memory();
	decoder->source = shared;
	struct strobe_error *error =
		code_map_new(shared->input.view, image_read, (void *)&shared->image, &decoder->map);
	if (!error)
		error = image_for_decoder(&shared->image, &decoder->image);
	if (!error)
		error = runs_init(&decoder->runs, decoder->map);
	decoder->damage.image = &shared->image;
	decoder->damage.map = decoder->map;
	decoder->damage.functions = &shared->functions;
	if (!error)
		error = plain_new(decoder->map, &decoder->plain);
	if (error) {
		decoder_free(decoder);
		return error;
	}
	*ret = decoder;
	*ret_map = decoder->map;
	return NULL;
}

static void close_slice(struct decoder *decoder)
{
	pt_blk_free_decoder(decoder->pt);
	decoder->pt = NULL;
	decoder->slice = decoder->slice_end;
}

void decoder_free(void *context)
{
	struct decoder *decoder = context;
	if (!decoder)
		return;
	close_slice(decoder);
	plain_free(decoder->plain);
	runs_fini(&decoder->runs);
	pt_image_free(decoder->image);
	code_map_free(decoder->map);
	array_fini(&decoder->gathered);
	free(decoder);
}

// libipt's errors: "text: 0xADDRESS", as LLDB has it.
static struct strobe_error *refuse(struct decoder *decoder, int status, uint64_t address)
{
	const char *text = pt_errstr(pt_errcode(status));
	close_slice(decoder);
	return address ? decoding_error(decoder, "%s: 0x%016" PRIx64, text, address)
		       : decoding_error(decoder, "%s", text);
}

static uint64_t slice_limit(const struct decoder *decoder)
{
	return decoder->cut.text ? decoder->cut.end : decoder->slice_end;
}

static struct strobe_error *open_libipt(struct decoder *decoder)
{
	struct pt_config config = decoder->source->config;
	config.begin = (uint8_t *)decoder->bytes + decoder->slice;
	config.end = (uint8_t *)decoder->bytes + slice_limit(decoder);
	decoder->pt = pt_blk_alloc_decoder(&config);
	if (!decoder->pt || pt_blk_set_image(decoder->pt, decoder->image) < 0)
		return error_no_memory();
	decoder->status = pt_blk_sync_set(decoder->pt, 0);
	return NULL;
}

static struct strobe_error *note_sync(struct decoder *decoder, const uint64_t *clock)
{
	struct window_note note = {
		.type = STROBE_EVENT_SYNC_POINT,
		.value = decoder->start + decoder->slice,
		.text = "",
	};
	struct strobe_error *error = clock ? decoding_tick(decoder, *clock) : NULL;
	return error ? error : decoding_note(decoder, &note);
}

static bool is_last_slice(const struct decoder *decoder)
{
	const struct stream *stream = &decoder->source->streams.items[decoder->stream];
	return decoder->start + decoder->slice_end == stream->size;
}

// Bytes that are zero look like padding to libipt.
static void cut_at_zeros(struct decoder *decoder)
{
	size_t count = 0;
	size_t offset =
		damage_find_zeros(&decoder->source->config, decoder->bytes + decoder->slice,
				  slice_limit(decoder) - decoder->slice, decoder->strict, &count);
	if (offset == SIZE_MAX)
		return;
	decoder->cut.end = decoder->slice + offset;
	decoder->cut.text = "zero bytes where packets should be";
}

// Where the next PSB says that execution was. False if memory is short.
static bool find_next(struct decoder *decoder)
{
	const struct stream *stream = &decoder->source->streams.items[decoder->stream];
	uint8_t bytes[PSB_HEADER_MAX];
	struct psb_header header = {0};
	uint64_t end = decoder->start + decoder->slice_end;
	decoder->has_next = !decoder->cut.text && end < stream->size;
	if (!decoder->has_next)
		return true;
	size_t size = stream_copy(stream, end, bytes, sizeof(bytes));
	if (!psb_header_read(&decoder->source->config, bytes, size, &header))
		return false;
	// A header that is damaged says nothing.
	decoder->has_next = header.whole;
	decoder->next_has_ip = header.has_ip;
	decoder->next_ip = header.ip;
	return true;
}

static struct strobe_error *start_libipt(struct decoder *decoder)
{
	uint64_t time = 0;
	struct strobe_error *error = open_libipt(decoder);
	if (error)
		return error;
	// The stream ends within PSB+: nothing was executed behind it.
	if (decoder->status == -pte_eos && is_last_slice(decoder)) {
		close_slice(decoder);
		return NULL;
	}
	bool has_time = pt_blk_time(decoder->pt, &time, NULL, NULL) >= 0;
	error = note_sync(decoder, has_time ? &time : NULL);
	if (!error && decoder->status < 0)
		error = refuse(decoder, decoder->status, 0);
	return error;
}

// Decodes the slice without libipt, if it is plain.
static struct strobe_error *try_plain(struct decoder *decoder, bool *done)
{
	bool has_clock = false;
	uint64_t clock = 0;
	enum plain_outcome outcome = PLAIN_REFUSED;
	*done = false;
	if (!decoder->plain || decoder->cut.text || decoder->strict ||
	    !plain_begin(decoder->plain, decoder, &has_clock, &clock))
		return NULL;
	if (!find_next(decoder))
		return error_no_memory();
	struct strobe_error *error = note_sync(decoder, has_clock ? &clock : NULL);
	if (!error)
		error = plain_decode(decoder->plain, decoder, &outcome);
	if (error)
		return error;
	*done = outcome != PLAIN_REFUSED;
	if (outcome == PLAIN_DONE)
		close_slice(decoder);
	if (outcome == PLAIN_REFUSED) {
		window_truncate(decoder->window, decoder->first_item);
		decoder->now = decoder->before;
		runs_close(&decoder->runs);
	}
	return NULL;
}

static struct strobe_error *start_slice(struct decoder *decoder)
{
	bool done = false;
	decoder->tail = false;
	decoder->idle = 0;
	decoder->has_last = decoder->came = false;
	decoder->in_window = true;
	decoder->first_item = decoder->window->item_count;
	cut_at_zeros(decoder);
	struct strobe_error *error = try_plain(decoder, &done);
	return error || done ? error : start_libipt(decoder);
}

// The next PSB of the block behind the one at `slice`.
static uint64_t find_slice_end(const struct decoder *decoder, uint64_t from)
{
	const struct stream *stream = &decoder->source->streams.items[decoder->stream];
	uint64_t next = stream_psb(stream, decoder->start + from);
	return next == STREAM_NONE || next - decoder->start > decoder->size ? decoder->size
									    : next - decoder->start;
}

static struct strobe_error *next_slice(struct decoder *decoder)
{
	bool at_psb = decoder->size - decoder->slice >= STREAM_PSB_SIZE &&
		      find_slice_end(decoder, decoder->slice) == decoder->slice;
	decoder->cut = (struct slice_cut){0};
	decoder->strict = false;
	if (at_psb) {
		decoder->before = decoder->now;
		decoder->slice_end = find_slice_end(decoder, decoder->slice + STREAM_PSB_SIZE);
		return start_slice(decoder);
	}
	// Only the first block begins with something else.
	uint64_t end = find_slice_end(decoder, decoder->slice), skipped = end - decoder->slice;
	decoder->slice = decoder->slice_end = end;
	return decoding_error(decoder, "%" PRIu64 " bytes without a PSB before them: not decoded",
			      skipped);
}

// No packet is left: how far does the code go on?
static bool enter_tail(struct decoder *decoder)
{
	decoder->tail = true;
	decoder->idle = 0;
	return find_next(decoder);
}

static bool is_packet_error(int status)
{
	return status == -pte_bad_opc || status == -pte_bad_packet;
}

// Begins the slice anew, with what is known of it now.
static struct strobe_error *restart_slice(struct decoder *decoder)
{
	window_truncate(decoder->window, decoder->first_item);
	pt_blk_free_decoder(decoder->pt);
	decoder->pt = NULL;
	decoder->now = decoder->before;
	runs_close(&decoder->runs);
	return start_slice(decoder);
}

// The packets of this slice are not those of this code: something is wrong before.
static bool proves_damage(int status, bool missed)
{
	switch (pt_errcode(status)) {
	case pte_bad_query:
	case pte_bad_context:
	case pte_bad_retcomp:
	case pte_retstack_empty:
	case pte_bad_insn:
	case pte_bad_opc:
	case pte_bad_packet:
		return true;
	default:
		return missed;
	}
}

// Decodes the slice again where that finds out more. Where packets cannot be read, up to there: libipt reads ahead, and
// gives up before what it has read already is used.
static struct strobe_error *look_again(struct decoder *decoder, bool missed, bool *ret_again)
{
	int status = decoder->status;
	uint64_t offset = 0;
	*ret_again = false;
	if (!decoder->in_window || decoder->cut.text)
		return NULL;
	if (!decoder->strict && proves_damage(status, missed)) {
		decoder->strict = true;
		*ret_again = true;
	} else if (is_packet_error(status) && pt_blk_get_offset(decoder->pt, &offset) >= 0 &&
		   offset > STREAM_PSB_SIZE) {
		decoder->cut.end = decoder->slice + offset;
		decoder->cut.text = pt_errstr(pt_errcode(status));
		*ret_again = true;
	}
	return *ret_again ? restart_slice(decoder) : NULL;
}

static struct strobe_error *note_missed(struct decoder *decoder)
{
	if (decoder->next_has_ip)
		return decoding_error(
			decoder, "packets are missing: the next PSB is not reached: 0x%016" PRIx64,
			decoder->next_ip);
	return decoding_error(decoder,
			      "packets are missing: tracing is off at the next PSB: 0x%016" PRIx64,
			      decoder->last);
}

// libipt cannot go on.
static struct strobe_error *end_slice(struct decoder *decoder, uint64_t address)
{
	int status = decoder->status;
	bool missed = status == -pte_eos && decoder->tail && decoder->has_next && decoder->idle > 0;
	bool again = false;
	struct strobe_error *error = look_again(decoder, missed, &again);
	if (error || again)
		return error;
	const char *text = decoder->cut.text;
	if (status != -pte_eos && !text)
		return refuse(decoder, status, address);
	close_slice(decoder);
	if (text)
		return decoding_error(decoder, "%s at byte 0x%" PRIx64 " of the packets", text,
				      decoder->start + decoder->cut.end);
	return missed ? note_missed(decoder) : NULL;
}

// One that goes where it cannot tell.
static bool is_branch(enum strobe_flow flow)
{
	return flow == STROBE_FLOW_RETURN || flow == STROBE_FLOW_CALL || flow == STROBE_FLOW_JUMP;
}

// Can execution be where the packets say it went?
static struct strobe_error *check_arrival(struct decoder *decoder, uint64_t address)
{
	const struct code_stretch *from = code_map_stretch(decoder->map, decoder->came_from);
	decoder->came = false;
	if (decoder->came_flow == STROBE_FLOW_RETURN &&
	    !damage_check_return(&decoder->damage, from, address, decoder->strict)) {
		close_slice(decoder);
		return decoding_error(decoder, "return to where no call came from: 0x%016" PRIx64,
				      address);
	}
	if (is_branch(decoder->came_flow) &&
	    (damage_is_inside(&decoder->damage, address) ||
	     (decoder->strict && !damage_check_boundary(&decoder->damage, address)))) {
		close_slice(decoder);
		return decoding_error(decoder, "branch into an instruction: 0x%016" PRIx64,
				      address);
	}
	return NULL;
}

static struct strobe_error *add_block(struct decoder *decoder, const struct pt_block *block,
				      struct runs_result *added)
{
	bool until = decoder->tail && decoder->has_next && decoder->next_has_ip;
	uint64_t left = IDLE_INSTRUCTIONS - decoder->idle;
	if (!until && block->ninsn <= left)
		return runs_add(&decoder->runs, decoder->window, block, added);
	return runs_add_until(&decoder->runs, decoder->window, block,
			      until ? &decoder->next_ip : NULL, (uint32_t)left, added);
}

static struct strobe_error *check_block(struct decoder *decoder, const struct runs_result *added)
{
	if (added->met) {
		close_slice(decoder);
		return NULL;
	}
	if (!added->agrees) {
		close_slice(decoder);
		return decoding_error(decoder, "code is not what libipt makes of it: 0x%016" PRIx64,
				      added->after);
	}
	if (decoder->idle < IDLE_INSTRUCTIONS)
		return NULL;
	close_slice(decoder);
	return decoding_error(
		decoder, "possible infinite loop: %d instructions without a packet: 0x%016" PRIx64,
		IDLE_INSTRUCTIONS, decoder->last);
}

// One block of libipt's, whether or not it is whole.
static struct strobe_error *take_block(struct decoder *decoder, const struct pt_block *block,
				       bool *consumed)
{
	struct runs_result added = {0};
	struct strobe_error *error = NULL;
	if (decoder->came)
		error = check_arrival(decoder, block->ip);
	if (error || !decoder->pt)
		return error;
	error = add_block(decoder, block, &added);
	if (error)
		return error;
	decoder->came = added.consumes && is_branch(added.flow);
	decoder->came_flow = added.flow;
	decoder->came_from = added.stretch;
	decoder->last = added.last;
	decoder->has_last = true;
	*consumed = added.consumes;
	decoder->idle = added.consumes && !decoder->tail ? 0 : decoder->idle + added.added;
	if (!added.agrees || added.met || decoder->idle)
		error = check_block(decoder, &added);
	return error;
}

static struct strobe_error *end_at(struct decoder *decoder, const struct pt_block *block)
{
	uint64_t address = block->ip;
	if (block->ninsn && decoder->status == -pte_nomap && decoder->runs.open)
		address = decoder->runs.next;
	else if (block->ninsn)
		address = block->end_ip;
	return end_slice(decoder, address);
}

static bool is_full(const struct decoder *decoder, bool consumed)
{
	return decoder->window->item_count > decoder->enough ||
	       (consumed && decoder->window->parts.count >= ENOUGH_PARTS);
}

static struct strobe_error *pass_time(struct decoder *decoder)
{
	uint64_t time = 0;
	if (pt_blk_time(decoder->pt, &time, NULL, NULL) >= 0)
		return decoding_clock(decoder, time);
	return NULL;
}

// Decodes in the slice until it ends, or the window is full.
static struct strobe_error *follow(struct decoder *decoder, bool *full)
{
	struct strobe_error *error = NULL;
	bool consumed = false;
	while (!error && decoder->pt && !*full) {
		struct pt_block block;
		if (decoder->status >= 0 && decoder->status & pts_event_pending) {
			error = events_take(decoder);
			if (error)
				break;
			block = (struct pt_block){.ip = decoder->has_last ? decoder->last : 0};
		} else {
			if (decoder->status & pts_eos && !decoder->tail && !enter_tail(decoder))
				return error_no_memory();
			decoder->status = pt_blk_next(decoder->pt, &block, sizeof(block));
			if (block.ninsn)
				error = take_block(decoder, &block, &consumed);
			if (!error && consumed && decoder->source->timed && decoder->pt)
				error = pass_time(decoder);
		}
		if (!error && decoder->pt && decoder->status < 0)
			error = end_at(decoder, &block);
		*full = is_full(decoder, consumed);
	}
	return error;
}

// Where the block lies in memory, in one row.
static struct strobe_error *gather(struct decoder *decoder)
{
	const struct stream *stream = &decoder->source->streams.items[decoder->stream];
	uint64_t row = 0;
	decoder->bytes = stream_at(stream, decoder->start, &row);
	if (row >= decoder->size)
		return NULL;
	if (!array_reserve(&decoder->gathered, decoder->size))
		return error_no_memory();
	stream_copy(stream, decoder->start, decoder->gathered.items, decoder->size);
	decoder->bytes = decoder->gathered.items;
	return NULL;
}

static void release(struct decoder *decoder)
{
	const struct stream *stream = &decoder->source->streams.items[decoder->touched_stream];
	if (decoder->touched_end > decoder->touched_start)
		stream_release(stream, decoder->touched_start,
			       decoder->touched_end - decoder->touched_start);
	decoder->touched_stream = decoder->stream;
	decoder->touched_start = decoder->touched_end = decoder->start;
}

// The clock at the PSB that a block begins with: 0 for the first block, UINT64_MAX behind the last.
static bool read_first_clock(const struct decoder *decoder, uint64_t start, uint64_t *ret)
{
	const struct stream *stream = &decoder->source->streams.items[decoder->stream];
	uint8_t bytes[PSB_HEADER_MAX];
	struct psb_header header = {0};
	*ret = start ? UINT64_MAX : 0;
	if (start == 0 || start >= stream->size)
		return true;
	size_t size = stream_copy(stream, start, bytes, sizeof(bytes));
	if (!psb_header_read(&decoder->source->config, bytes, size, &header))
		return false;
	if (header.has_clock)
		*ret = header.clock;
	return true;
}

// Which of the sideband's events are this block's.
static struct strobe_error *find_events(struct decoder *decoder)
{
	const struct pt_input *input = &decoder->source->input;
	uint64_t from = 0;
	size_t low = 0, high = input->events.count;
	decoder->events_until = 0;
	if (high == 0)
		return NULL;
	if (!read_first_clock(decoder, decoder->start, &from) ||
	    !read_first_clock(decoder, decoder->start + decoder->size, &decoder->events_until))
		return error_no_memory();
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (input->events.items[middle].clock <= from && decoder->start > 0)
			low = middle + 1;
		else
			high = middle;
	}
	decoder->now.event = low;
	return NULL;
}

static struct strobe_error *start_block(struct decoder *decoder, size_t stream_index,
					uint64_t block)
{
	const struct stream *stream = &decoder->source->streams.items[stream_index];
	bool next = decoder->size && decoder->stream == stream_index && decoder->block + 1 == block;
	assert(block < stream->count);
	close_slice(decoder);
	decoder->start = next ? decoder->start + decoder->size : stream_block_start(stream, block);
	decoder->size = stream_block_end(stream, decoder->start) - decoder->start;
	decoder->stream = stream_index;
	decoder->block = block;
	decoder->slice = decoder->slice_end = 0;
	decoder->schedule = decoder->source->stream_schedules.items[stream_index];
	decoder->now = (struct moment){
		.owner = decoder->source->stream_threads.items[stream_index],
	};
	runs_close(&decoder->runs);
	if (!next || decoder->touched_end - decoder->touched_start > RELEASE_EVERY)
		release(decoder);
	decoder->touched_end = decoder->start + decoder->size;
	struct strobe_error *error = find_events(decoder);
	return error ? error : gather(decoder);
}

// Fills the window from where the decoder is.
static struct strobe_error *fill(struct decoder *decoder, struct window *window)
{
	struct strobe_error *error = NULL;
	bool full = false;
	window_clear(window);
	decoder->window = window;
	decoder->in_window = false;
	runs_close(&decoder->runs);
	window->cpu = decoder->source->input.streams.items[decoder->stream].cpu;
	error = window_add_cut(window, decoder->now.owner,
			       decoder->schedule ? decoder->now.clock : 0);
	if (!error && decoder->now.clock)
		error = window_add_clock(window, decoder->now.clock);
	while (!error && !full && (decoder->pt || decoder->slice < decoder->size)) {
		error = decoder->pt ? follow(decoder, &full) : next_slice(decoder);
		full = full || window->item_count > decoder->enough;
	}
	window->more = decoder->pt || decoder->slice < decoder->size;
	if (!error && !window->more)
		error = decoding_events(decoder, decoder->events_until);
	window->complete = window->item_count <= decoder->enough || !window->more;
	if (!window->complete)
		window->more = false;
	decoder->window = NULL;
	return error;
}

struct strobe_error *decoder_decode(void *context, size_t stream, uint64_t block,
				    const struct source_want *want, struct window *window)
{
	struct decoder *decoder = context;
	struct strobe_error *error = NULL;
	bool goes_on = decoder->resumable && decoder->stream == stream && decoder->block == block &&
		       decoder->part + 1 == want->part;
	decoder->resumable = false;
	if (!goes_on) {
		error = start_block(decoder, stream, block);
		decoder->part = UINT32_MAX;
	}
	while (!error && decoder->part != want->part) {
		decoder->part++;
		decoder->enough = decoder->part == want->part ? want->enough : UINT32_MAX;
		error = fill(decoder, window);
		if (!error && decoder->part != want->part && !window->more) {
			window_clear(window); // there is no such part
			window->complete = true;
			break;
		}
	}
	decoder->resumable = !error && window->more;
	return error;
}
