// SPDX-License-Identifier: Apache-2.0
#include <strobe/crash.h>

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash_page.h"
#include "base/new_file.h"
#include "elf/strobe_note.h"
#include "snapshot/crash_input.h"
#include "snapshot/crash_layout.h"
#include "snapshot/crash_notes.h"
#include "snapshot/write_compress.h"
#include "snapshot/write_hashes.h"
#include "snapshot/write_notes.h"
#include "snapshot/write_output.h"
#include "snapshot/write_pages.h"
#include "snapshot/write_sink.h"

enum { PIECE_SIZE = 1 << 20, HASH_KIND_XXH3 = 1 };
static const uint64_t HASHED_PAGES = UINT64_C(1) << 31; // 8 TiB: a header may say anything

// One core on its way.
struct crash {
	struct crash_input input;
	struct strobe_crash_options options;
	struct crash_layout layout;
	struct notes notes;
	struct sink sink;
	struct compressor *compressor;
	struct output *output;
	struct hashes *hashes;
	struct strobe_crash_saved saved;
	uint8_t *piece; // PIECE_SIZE bytes
};

// The last page of all may be short; in the file it goes on with zeros.
static struct strobe_error *put_page(struct crash *crash, const uint8_t *page, size_t size)
{
	uint8_t padded[CRASH_PAGE] = {0};
	crash->saved.written.page_bytes += size;
	if (crash->hashes) {
		if (size < CRASH_PAGE)
			page = memcpy(padded, page, size);
		struct strobe_error *error = hashes_add(crash->hashes, page_hash(page, CRASH_PAGE));
		if (error)
			return error;
	}
	return output_write(crash->output, page, size);
}

static struct strobe_error *put_zeros(struct crash *crash, uint64_t size)
{
	if (crash->hashes && crash->output->position >= crash->layout.data_start) {
		struct strobe_error *error = hashes_add_zeros(crash->hashes, size / CRASH_PAGE);
		if (error)
			return error;
	}
	return output_skip(crash->output, size);
}

// Pages are those of the output, which need not be where `bytes` begin.
static struct strobe_error *put_pages(struct crash *crash, const uint8_t *bytes, size_t size)
{
	struct strobe_error *error = NULL;
	uint64_t start = crash->output->position;
	size_t zeros = 0, part;
	for (size_t at = 0; !error && at < size; at += part) {
		part = CRASH_PAGE - (start + at) % CRASH_PAGE;
		if (part > size - at)
			part = size - at;
		if (part == CRASH_PAGE && page_is_zero(bytes + at)) {
			zeros += part;
			continue;
		}
		if (zeros)
			error = put_zeros(crash, zeros);
		zeros = 0;
		if (!error)
			error = put_page(crash, bytes + at, part);
	}
	return !error && zeros ? put_zeros(crash, zeros) : error;
}

// Copies input up to `end`, or its own end.
static struct strobe_error *copy_until(struct crash *crash, uint64_t end, bool pages)
{
	struct crash_input *input = &crash->input;
	struct strobe_error *error = NULL;
	while (!error && input->position < end && !input->ended) {
		// To a whole page first: the others are looked at as they will lie in the file.
		size_t before = crash->output->position % CRASH_PAGE, got;
		uint64_t size = PIECE_SIZE - before;
		uint8_t *piece = crash->piece + before;
		if (size > end - input->position)
			size = end - input->position;
		error = crash_input_read(input, piece, (size_t)size, &got);
		if (!error && pages)
			error = put_pages(crash, piece, got);
		else if (!error)
			error = output_write(crash->output, piece, got);
	}
	return error;
}

// Reads on to the end: who writes must not be cut short by us.
static struct strobe_error *drain(struct crash *crash)
{
	struct strobe_error *error = NULL;
	size_t got;
	while (!error && !crash->input.ended)
		error = crash_input_read(&crash->input, crash->piece, PIECE_SIZE, &got);
	return error;
}

static struct strobe_error *save_plain(struct crash *crash)
{
	crash->saved.plain = crash->layout.plain;
	struct strobe_error *error =
		output_write(crash->output, crash->layout.prefix, crash->layout.prefix_size);
	return error ? error : copy_until(crash, UINT64_MAX, true);
}

// Sizes of notes are known, then all offsets, then what the last note says of them.
static struct strobe_error *settle(struct crash *crash)
{
	struct crash_layout *layout = &crash->layout;
	struct strobe_note_page_hashes about = {.page_size = CRASH_PAGE, .kind = HASH_KIND_XXH3};
	struct strobe_error *error =
		crash_notes_make(&crash->notes, &crash->options, &crash->saved);
	if (!error)
		error = notes_add(&crash->notes, NT_STROBE_PAGE_HASHES, &about, sizeof(about), NULL,
				  0);
	if (error)
		return error;
	crash_layout_settle(layout, crash->notes.size);
	struct strobe_note_page_hashes *hashes =
		notes_data(&crash->notes, crash->notes.items.count - 1);
	hashes->data_offset = layout->data_start;
	hashes->page_count = (layout->data_end - layout->data_start + CRASH_PAGE - 1) / CRASH_PAGE;
	hashes->table_offset = layout->data_start + hashes->page_count * CRASH_PAGE;
	if (hashes->page_count == 0 || hashes->page_count > HASHED_PAGES || layout->notes_last) {
		hashes->page_count = 0;
		return NULL;
	}
	return hashes_new(crash->output, hashes->table_offset, hashes->page_count, &crash->hashes);
}

// Memory and then, where more came, the table of its hashes.
static struct strobe_error *save_memory(struct crash *crash, uint64_t end)
{
	const struct crash_layout *layout = &crash->layout;
	struct strobe_error *error = NULL;
	// What fills up to the first page of memory is no page of it.
	if (layout->data_start)
		error = copy_until(crash, layout->data_start - layout->shift, false);
	return error ? error : copy_until(crash, end, true);
}

static struct strobe_error *save_notes(struct crash *crash)
{
	struct strobe_error *error = notes_write(&crash->notes, crash->output);
	return error ? error : copy_until(crash, crash->layout.notes_end, false);
}

// As the kernel writes them.
static struct strobe_error *save_notes_first(struct crash *crash)
{
	const struct crash_layout *layout = &crash->layout;
	struct strobe_error *error = save_notes(crash);
	if (error || crash->input.position < layout->notes_end)
		return error;
	error = output_skip(crash->output,
			    layout->notes_end + layout->shift - crash->output->position);
	if (!error)
		error = save_memory(crash, layout->end);
	if (error || crash->input.position < layout->end || !crash->hashes)
		return error;
	error = output_skip(crash->output, -crash->output->position & (CRASH_PAGE - 1));
	return error ? error : hashes_write(crash->hashes);
}

// As gdb writes them.
static struct strobe_error *save_notes_last(struct crash *crash)
{
	struct strobe_error *error = save_memory(crash, crash->layout.notes_start);
	if (error || crash->input.position < crash->layout.notes_start)
		return error;
	return save_notes(crash);
}

static struct strobe_error *save_extended(struct crash *crash)
{
	struct strobe_error *error = settle(crash);
	if (!error)
		error = crash_layout_write(&crash->layout, crash->output);
	if (error)
		return error;
	return crash->layout.notes_last ? save_notes_last(crash) : save_notes_first(crash);
}

static void count_missing(struct crash *crash)
{
	const struct crash_layout *layout = &crash->layout;
	if (layout->end > crash->input.position)
		crash->saved.missing_bytes = layout->end - crash->input.position;
	crash->saved.memory_bytes = layout->memory_bytes;
}

static struct strobe_error *save(struct crash *crash)
{
	struct strobe_error *error = crash_layout_read(&crash->layout, &crash->input);
	if (!error && crash->options.compress)
		error = compressor_new(&crash->sink, crash->options.level, crash->options.threads,
				       &crash->compressor);
	if (!error)
		error = output_new(&crash->sink, crash->compressor, &crash->output);
	if (!error)
		error = crash->layout.plain ? save_plain(crash) : save_extended(crash);
	count_missing(crash);
	if (!error)
		error = drain(crash);
	return error ? error : output_finish(crash->output);
}

static void release(struct crash *crash)
{
	hashes_free(crash->hashes);
	output_free(crash->output);
	compressor_free(crash->compressor);
	notes_fini(&crash->notes);
	crash_layout_fini(&crash->layout);
	free(crash->piece);
}

struct strobe_error *strobe_crash_save(int input, const char *path,
				       const struct strobe_crash_options *options,
				       struct strobe_crash_saved *ret)
{
	struct new_file file;
	struct crash crash = {.options.size = sizeof(*options)};
	if (options && options->size < sizeof(*options))
		return error_new(STROBE_ERROR_INVALID, "strobe_crash_options.size is %zu, not %zu",
				 options->size, sizeof(*options));
	if (options)
		crash.options = *options;
	crash.input = (struct crash_input){
		.fd = input, .progress = crash.options.progress, .context = crash.options.context};
	crash.piece = malloc(PIECE_SIZE);
	if (!crash.piece)
		return error_no_memory();
	struct strobe_error *error = new_file_open(&file, path);
	if (error) {
		free(crash.piece);
		return error;
	}
	sink_init(&crash.sink, file.fd, path);
	error = save(&crash);
	crash.saved.written.file_bytes = crash.sink.position;
	crash.saved.written.disk_bytes = sink_disk_bytes(&crash.sink);
	crash.saved.written.missing_bytes = crash.saved.missing_bytes;
	release(&crash);
	if (error)
		new_file_discard(&file);
	else
		error = new_file_commit(&file, crash.options.no_fsync);
	if (!error && ret)
		*ret = crash.saved;
	return error;
}
