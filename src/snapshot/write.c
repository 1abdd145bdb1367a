// SPDX-License-Identifier: Apache-2.0
#include <strobe/snapshot.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/error.h"
#include "base/new_file.h"
#include "elf/strobe_note.h"
#include "snapshot/write_compress.h"
#include "snapshot/write_embed.h"
#include "snapshot/write_hashes.h"
#include "snapshot/write_layout.h"
#include "snapshot/write_notes.h"
#include "snapshot/write_output.h"
#include "snapshot/write_pack.h"
#include "snapshot/write_pages.h"
#include "snapshot/write_select.h"
#include "snapshot/write_since.h"
#include "view/build.h"

enum { REDACTED_PATTERNS = 1u << 31, SPARSE_GAP_PAGES = 1, HASH_KIND_XXH3 = 1, HASH_ALIGN = 8 };

/** One file being written. */
struct writing {
	const struct strobe_view *view;
	struct strobe_write_options options;
	const char *path; // NULL = to a descriptor
	struct sink sink;
	struct compressor *compressor;
	struct output *output;
	struct layout layout;
	bool packed;
	struct pack pack;
	struct notes notes;
	struct hashes *hashes;
	uint64_t table_offset; // of the page hashes
	struct since *since;
	struct embed embed;
	struct redactor *redactor; // NULL = nothing to redact
	struct strobe_written written;
};

static struct strobe_error *check_options(const struct strobe_write_options *options)
{
	if (options->size < sizeof(*options))
		return error_new(STROBE_ERROR_INVALID, "strobe_write_options.size is %zu, not %zu",
				 options->size, sizeof(*options));
	if (options->contents > STROBE_CONTENTS_REACHABLE)
		return error_new(STROBE_ERROR_INVALID, "there are no contents %d",
				 (int)options->contents);
	if (options->redact & ~(unsigned)(STROBE_REDACT_STRINGS | STROBE_REDACT_ENVIRONMENT))
		return error_new(STROBE_ERROR_INVALID, "there is no redaction 0x%x",
				 options->redact);
	return NULL;
}

static struct strobe_error *add_capture(struct writing *writing)
{
	struct strobe_note_capture capture = {
		.version = STROBE_NOTE_VERSION,
		.realtime_ns =
			writing->view->info.time_ns > 0 ? (uint64_t)writing->view->info.time_ns : 0,
	};
	const struct raw_note *old = notes_find(writing->view, NT_STROBE_CAPTURE, sizeof(capture));
	if (old)
		memcpy(&capture, old->data, sizeof(capture));
	capture.version = STROBE_NOTE_VERSION;
	capture.contents = writing->options.contents;
	// What was redacted once stays so.
	capture.redacted |= writing->options.redact |
			    (writing->options.redact_pattern_count ? REDACTED_PATTERNS : 0);
	if (getrandom(capture.id, sizeof(capture.id), 0) != sizeof(capture.id))
		return error_errno(errno, "getrandom");
	return notes_add(&writing->notes, NT_STROBE_CAPTURE, &capture, sizeof(capture), NULL, 0);
}

static struct strobe_error *add_extents(struct writing *writing)
{
	struct strobe_note_extent *extents;
	size_t count;
	struct strobe_error *error = layout_extents(&writing->layout, &extents, &count);
	if (error)
		return error;
	if (count)
		error = notes_add(&writing->notes, NT_STROBE_EXTENTS, extents,
				  count * sizeof(*extents), NULL, 0);
	free(extents);
	return error;
}

static struct strobe_error *add_parent(struct writing *writing)
{
	char *path = since_path(writing->since, writing->path);
	if (!path)
		return error_no_memory();
	struct strobe_error *error =
		notes_add(&writing->notes, NT_STROBE_PARENT, since_id(writing->since),
			  STROBE_ID_SIZE, path, strlen(path) + 1);
	free(path);
	return error;
}

static struct strobe_error *make_notes(struct writing *writing)
{
	struct strobe_error *error = notes_copy(&writing->notes, writing->view);
	if (!error && writing->redactor)
		error = redact_notes(writing->redactor, &writing->notes);
	if (!error)
		error = add_capture(writing);
	if (!error && writing->since)
		error = add_parent(writing);
	if (!error)
		error = add_extents(writing);
	if (!error)
		error = embed_add_notes(&writing->embed, &writing->notes);
	// Frames have checksums of their own, and hashes cannot be compressed.
	if (error || writing->options.compress)
		return error;
	// Where the table is follows from the size of all notes: it is the last, and known later.
	struct strobe_note_page_hashes hashes = {.page_size = PAGE_SIZE_BYTES,
						 .kind = HASH_KIND_XXH3};
	return notes_add(&writing->notes, NT_STROBE_PAGE_HASHES, &hashes, sizeof(hashes), NULL, 0);
}

/** Sets all offsets. */
static struct strobe_error *settle(struct writing *writing)
{
	struct layout *layout = &writing->layout;
	// Program headers that change have to be written last, what is compressed has no holes, and where
	// they are all that tells the mappings, they are not to be split.
	if (output_can_write_ahead(writing->output) &&
	    view_facts_proc_file(&writing->view->facts, "maps"))
		layout->spare = pack_spare(layout);
	layout_settle(layout, writing->notes.size);
	uint64_t pages = layout->stored_bytes / PAGE_SIZE_BYTES;
	uint64_t end = embed_settle(&writing->embed, &writing->notes,
				    layout->data_offset + layout->stored_bytes);
	writing->written.missing_bytes = layout_left_out(layout, STROBE_EXTENT_UNREADABLE);
	writing->written.equal_bytes = layout_left_out(layout, STROBE_EXTENT_AS_PARENT);
	if (writing->options.compress)
		return NULL;
	writing->table_offset = (end + HASH_ALIGN - 1) & ~(uint64_t)(HASH_ALIGN - 1);
	struct strobe_note_page_hashes *hashes =
		notes_data(&writing->notes, writing->notes.items.count - 1);
	hashes->table_offset = writing->table_offset;
	hashes->data_offset = layout->data_offset;
	hashes->page_count = pages;
	return hashes_new(writing->output, writing->table_offset, pages, &writing->hashes);
}

static struct strobe_error *plan(struct writing *writing)
{
	const struct strobe_write_options *options = &writing->options;
	struct selection selection = {
		.view = writing->view,
		.contents = options->contents,
		.limits = {.max_bytes = options->max_bytes, .max_depth = options->max_depth},
		.zero_limit = writing->sink.seekable || options->compress ? select_zero_limit
									  : select_zero_limit_pipe,
		.since = writing->since,
		.progress = options->progress,
		.context = options->context,
	};
	// What is reached lies here and there: what is between would be most of the file.
	bool sparse = options->since || options->contents == STROBE_CONTENTS_REACHABLE;
	layout_init(&writing->layout, sparse ? SPARSE_GAP_PAGES : LAYOUT_GAP_PAGES);
	struct strobe_error *error = select_pages(&selection, &writing->layout);
	if (!error && options->with_files)
		error = embed_find(&writing->embed, writing->view);
	if (!error)
		error = make_notes(writing);
	return error ? error : settle(writing);
}

static struct strobe_error *write_pages(struct writing *writing)
{
	struct pages pages = {
		.view = writing->view,
		.layout = &writing->layout,
		.output = writing->output,
		.pack = writing->packed ? &writing->pack : NULL,
		.hashes = writing->hashes,
		.redactor = writing->redactor,
		.progress = writing->options.progress,
		.context = writing->options.context,
		.total_bytes = writing->layout.stored_bytes,
	};
	struct strobe_error *error = output_skip(
		writing->output, writing->layout.data_offset - writing->output->position);
	if (!error)
		error = pages_write(&pages);
	writing->written.page_bytes = pages.nonzero_bytes;
	return error;
}

/** The program headers, or the room for them where they are not known yet. */
static struct strobe_error *begin(struct writing *writing)
{
	void *headers = NULL;
	size_t size;
	if (writing->layout.spare) {
		struct strobe_error *error = pack_init(&writing->pack, &writing->layout);
		writing->packed = true;
		return error ? error : output_skip(writing->output, writing->layout.notes_offset);
	}
	struct strobe_error *error = layout_headers(&writing->layout, writing->view,
						    writing->notes.size, &headers, &size);
	if (!error)
		error = output_write(writing->output, headers, size);
	free(headers);
	return error;
}

/** When all pages are written: the program headers that were not known. */
static struct strobe_error *finish_headers(struct writing *writing)
{
	void *headers = NULL;
	size_t size;
	if (!writing->packed)
		return NULL;
	struct strobe_error *error = layout_headers(pack_layout(&writing->pack), writing->view,
						    writing->notes.size, &headers, &size);
	if (!error)
		error = output_write_ahead(writing->output, 0, headers, size);
	free(headers);
	return error;
}

static struct strobe_error *write_all(struct writing *writing)
{
	const struct strobe_write_options *options = &writing->options;
	struct strobe_error *error = NULL;
	if (options->compress)
		error = compressor_new(&writing->sink, options->level, options->threads,
				       &writing->compressor);
	if (!error)
		error = output_new(&writing->sink, writing->compressor, &writing->output);
	if (!error)
		error = plan(writing);
	if (!error)
		error = begin(writing);
	if (!error)
		error = notes_write(&writing->notes, writing->output);
	if (!error)
		error = write_pages(writing);
	if (!error)
		error = finish_headers(writing);
	if (!error)
		error = embed_write(&writing->embed, &writing->notes, writing->output);
	if (!error && writing->hashes)
		error = output_skip(writing->output,
				    writing->table_offset - writing->output->position);
	if (!error && writing->hashes)
		error = hashes_write(writing->hashes);
	if (!error)
		error = output_finish(writing->output);
	writing->written.file_bytes = writing->sink.position;
	return error;
}

static void release(struct writing *writing)
{
	hashes_free(writing->hashes);
	notes_fini(&writing->notes);
	layout_fini(&writing->layout);
	pack_fini(&writing->pack);
	output_free(writing->output);
	compressor_free(writing->compressor);
	since_free(writing->since);
	embed_fini(&writing->embed);
	redactor_free(writing->redactor);
}

/** A lost pipe and a file that grows too large are errors, not the end of the caller. */
static void hold_signals(sigset_t *held, sigset_t *before)
{
	sigset_t pending;
	sigemptyset(held);
	sigpending(&pending);
	if (!sigismember(&pending, SIGPIPE))
		sigaddset(held, SIGPIPE);
	if (!sigismember(&pending, SIGXFSZ))
		sigaddset(held, SIGXFSZ);
	pthread_sigmask(SIG_BLOCK, held, before);
}

static void release_signals(const sigset_t *held, const sigset_t *before)
{
	static const struct timespec at_once = {0, 0};
	while (sigtimedwait(held, NULL, &at_once) > 0)
		continue;
	pthread_sigmask(SIG_SETMASK, before, NULL);
}

/** All but putting a file in its place. */
static struct strobe_error *write_to(const struct strobe_view *view, int fd, const char *path,
				     const struct strobe_write_options *options,
				     struct strobe_written *ret)
{
	struct writing writing = {.view = view, .path = path};
	sigset_t held, before;
	writing.options.size = sizeof(writing.options);
	if (options)
		writing.options = *options;
	struct strobe_error *error = check_options(&writing.options);
	if (error)
		return error;
	sink_init(&writing.sink, fd, path ? path : "the output");
	writing.sink.unhurried = writing.options.no_fsync || !path;
	hold_signals(&held, &before);
	if (writing.options.since)
		error = since_open(writing.options.since, view, &writing.since);
	if (!error && (writing.options.redact || writing.options.redact_pattern_count))
		error = redactor_new(view, writing.options.redact, writing.options.redact_patterns,
				     writing.options.redact_pattern_count, &writing.redactor);
	if (!error)
		error = write_all(&writing);
	// Half a core is none.
	if (error && !path && writing.sink.seekable && ftruncate(fd, 0) == 0)
		(void)lseek(fd, 0, SEEK_SET);
	release_signals(&held, &before);
	release(&writing);
	writing.written.disk_bytes = sink_disk_bytes(&writing.sink);
	if (!error && ret)
		*ret = writing.written;
	return error;
}

struct strobe_error *strobe_snapshot_write(const struct strobe_view *view, const char *path,
					   const struct strobe_write_options *options,
					   struct strobe_written *ret)
{
	struct new_file file;
	if (!path || !*path)
		return error_new(STROBE_ERROR_INVALID, "no file to write to is given");
	struct strobe_error *error = new_file_open(&file, path);
	if (error)
		return error;
	error = write_to(view, file.fd, path, options, ret);
	if (error)
		new_file_discard(&file);
	else
		error = new_file_commit(&file, options && options->no_fsync);
	return error;
}

struct strobe_error *strobe_snapshot_write_fd(const struct strobe_view *view, int fd,
					      const struct strobe_write_options *options,
					      struct strobe_written *ret)
{
	return write_to(view, fd, NULL, options, ret);
}
