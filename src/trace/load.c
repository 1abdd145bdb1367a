// SPDX-License-Identifier: Apache-2.0
#include "trace/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/new_file.h"
#include "trace/index_write.h"
#include "trace/rows.h"

enum { MAX_PLACES = 2 };

/** Files that the index may be in, the best first. */
struct places {
	char *paths[MAX_PLACES];
	size_t count;
	bool asked_for; // by name: it must be there
	bool cache;	// the last one is in the user's cache
};

void load_forget_rows(struct strobe_trace *trace)
{
	for (size_t i = 0; i < trace->rows.count; i++) {
		array_fini(&trace->rows.items[i].cpus);
		array_fini(&trace->rows.items[i].errors);
		array_fini(&trace->rows.items[i].grown);
	}
	array_fini(&trace->rows);
	array_fini(&trace->indexed);
	trace->has_clock = false;
	trace->lowest_clock = 0;
}

static void warn(struct strobe_trace *trace, const char *path, const char *what)
{
	const char *text = arena_printf(&trace->arena, "%s: %s", path, what);
	if (text && !array_push(&trace->warnings, text))
		return; // then it goes unsaid
}

static void forget_places(struct places *places)
{
	for (size_t i = 0; i < places->count; i++)
		free(places->paths[i]);
}

/** The folder of the user's cache; NULL if there is none. */
static char *cache_folder(void)
{
	char *folder = NULL;
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int size = -1;
	if (cache && *cache == '/')
		size = asprintf(&folder, "%s/strobe", cache);
	else if (home && *home == '/')
		size = asprintf(&folder, "%s/.cache/strobe", home);
	return size < 0 ? NULL : folder;
}

static char *cache_path(const struct strobe_trace *trace)
{
	char name[2 * sizeof(trace->about.fingerprint) + 1], *path = NULL;
	char *folder = cache_folder();
	for (size_t i = 0; i < sizeof(trace->about.fingerprint); i++)
		snprintf(name + 2 * i, 3, "%02x", trace->about.fingerprint[i]);
	if (folder && asprintf(&path, "%s/%s.strobe-index", folder, name) < 0)
		path = NULL;
	free(folder);
	return path;
}

static void find_places(const struct strobe_trace *trace, const char *asked, struct places *ret)
{
	*ret = (struct places){.asked_for = asked && *asked};
	char *path = NULL;
	if (asked) {
		if (*asked && (path = strdup(asked)))
			ret->paths[ret->count++] = path;
		return;
	}
	if (trace->about.path && asprintf(&path, "%s.strobe-index", trace->about.path) >= 0)
		ret->paths[ret->count++] = path;
	if ((path = cache_path(trace))) {
		ret->paths[ret->count++] = path;
		ret->cache = true;
	}
}

/** True if each stream is all of one thread: then ids stay what they are when blocks are added. */
static bool may_extend(const struct strobe_trace *trace)
{
	const struct trace_source *source = &trace->source;
	size_t streams = source->ops->stream_count(source->context);
	bool *seen = calloc(trace->rows.count + 1, sizeof(*seen)), fine = seen != NULL;
	for (size_t i = 0; i < streams && fine; i++) {
		uint32_t thread;
		fine = source->ops->stream_thread(source->context, i, &thread) && !seen[thread];
		if (fine)
			seen[thread] = true;
	}
	free(seen);
	return fine;
}

/** Did the trace end, when it was indexed, where a block still ends? Else its last block has grown. */
static bool ended_at_block(const struct strobe_trace *trace, const struct index *index)
{
	const struct trace_source *source = &trace->source;
	uint64_t bytes = 0;
	for (size_t i = 0; i < index->header.streams.count; i++) {
		struct source_block block;
		if (!index->streams[i])
			continue;
		source->ops->block(source->context, i, index->streams[i] - 1, &block);
		bytes += block.offset + block.size_bytes;
	}
	return bytes == index->header.raw_bytes;
}

/** Why the index is not this trace's; NULL if it is. */
static const char *find_misfit(const struct strobe_trace *trace, const struct index *index)
{
	const struct index_header *header = &index->header;
	const struct trace_source *source = &trace->source;
	uint64_t streams = source->ops->stream_count(source->context);
	bool less = header->streams.count < streams || header->threads.count < trace->rows.count;
	if (memcmp(header->fingerprint, trace->about.fingerprint, sizeof(header->fingerprint)) != 0)
		return "of another trace, or of other code";
	if (header->streams.count > streams || header->threads.count > trace->rows.count)
		return "of more than there is";
	for (size_t i = 0; i < header->streams.count; i++) {
		uint64_t blocks = source->ops->block_count(source->context, i);
		if (index->streams[i] > blocks)
			return "of more than there is";
		less |= index->streams[i] < blocks;
	}
	for (size_t i = 0; i < header->threads.count; i++)
		if (index->threads[i].tid != trace->rows.items[i].info.tid ||
		    index->threads[i].pid != trace->rows.items[i].info.pid)
			return "of other threads";
	if (less && !may_extend(trace))
		return "of less than there is";
	if (less && !ended_at_block(trace, index))
		return "of a trace that ended within a block";
	if (!less && header->raw_bytes != trace->about.raw_bytes)
		return "of a trace of another size";
	return NULL;
}

static struct strobe_error *adopt_row(struct strobe_trace *trace, const struct index *index,
				      size_t i)
{
	struct trace_row *row = &trace->rows.items[i];
	const struct index_thread *thread = &index->threads[i];
	row->info.item_count = thread->item_count;
	row->info.instruction_count = thread->instruction_count;
	row->info.error_count = thread->error_count;
	row->info.raw_bytes = thread->raw_bytes;
	row->info.unit_count = row->stored = thread->unit_count;
	memcpy(row->info.event_counts, thread->event_counts, sizeof(row->info.event_counts));
	row->last_cpu = thread->last_cpu;
	row->has_clock = thread->has_clock;
	row->first_clock = (struct clock_point){thread->first_clock_id, thread->first_clock};
	row->last_clock = (struct clock_point){thread->last_clock_id, thread->last_clock};
	row->cpus.count = row->errors.count = row->grown.count = 0;
	for (uint32_t k = 0; k < thread->cpu_count; k++)
		if (!array_push(&row->cpus, index->cpus[thread->first_cpu + k]))
			return error_no_memory();
	for (uint32_t k = 0; k < thread->error_texts; k++) {
		const struct index_error *entry = &index->errors[thread->first_error + k];
		struct strobe_trace_error_count count = {
			.count = entry->count,
			.text = arena_copy_string(&trace->arena, index->texts + entry->text,
						  entry->text_size)};
		if (!count.text || !array_push(&row->errors, count))
			return error_no_memory();
	}
	return NULL;
}

/** Takes over `index`, and makes the rows what it says. */
static struct strobe_error *adopt(struct strobe_trace *trace, struct index *index)
{
	struct strobe_error *error = NULL;
	index_close(trace->index);
	trace->index = index;
	trace->has_clock = index->header.has_clock;
	trace->lowest_clock = index->header.lowest_clock;
	trace->indexed.count = 0;
	for (size_t i = 0; i < index->header.threads.count && !error; i++)
		error = adopt_row(trace, index, i);
	for (size_t i = 0; i < index->header.streams.count && !error; i++)
		if (!array_push(&trace->indexed, index->streams[i]))
			error = error_no_memory();
	return error;
}

static bool is_there(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0;
}

/** Uses what is stored at `path`, if it fits; `*ret_done` tells. */
static struct strobe_error *try_stored(struct strobe_trace *trace, const char *path, bool *ret_done)
{
	struct file *file;
	struct index *index = NULL;
	if (!is_there(path))
		return NULL;
	struct strobe_error *error = file_open(path, &file);
	if (!error)
		error = index_open(file, &index);
	if (error && strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
		return error;
	if (error) {
		warn(trace, path, strobe_error_message(error));
		return strobe_error_free(error);
	}
	if (find_misfit(trace, index)) { // it is stale: nothing to speak of
		index_close(index);
		return NULL;
	}
	*ret_done = true;
	trace->info.index_path = arena_strdup(&trace->arena, path);
	return trace->info.index_path ? adopt(trace, index) : error_no_memory();
}

/** Where an index is being made. */
struct site {
	struct new_file file;
	int fd;
	const char *path; // NULL = in memory
};

static bool may_be_replaced(const char *path)
{
	struct stat status;
	if (lstat(path, &status) == 0)
		return S_ISREG(status.st_mode); // no link, no device: not ours to follow
	return errno == ENOENT;
}

static struct strobe_error *open_site(const char *path, bool cache, struct site *ret)
{
	*ret = (struct site){.fd = -1, .path = path};
	if (!path) {
		ret->fd = memfd_create("strobe-index", MFD_CLOEXEC);
		return ret->fd >= 0 ? NULL : error_errno(errno, "memory for the index");
	}
	if (cache) {
		char *folder = cache_folder();
		if (folder) {
			char *slash = strrchr(folder, '/');
			*slash = '\0';
			(void)mkdir(folder, 0700); // it mostly is there; opening the file tells
			*slash = '/';
			(void)mkdir(folder, 0700);
		}
		free(folder);
	}
	if (!may_be_replaced(path))
		return error_new(STROBE_ERROR_INVALID, "%s: not a plain file", path);
	struct strobe_error *error = new_file_open(&ret->file, path);
	if (!error)
		ret->fd = ret->file.fd;
	return error;
}

static void close_site(struct site *site)
{
	if (site->path && site->fd >= 0)
		new_file_discard(&site->file);
	else if (site->fd >= 0)
		close(site->fd);
	site->fd = -1;
}

/** Gives the file its name, and uses it. */
static struct strobe_error *keep_site(struct strobe_trace *trace, struct site *site)
{
	struct file *file;
	struct index *index = NULL;
	struct strobe_error *error =
		file_open_descriptor(site->fd, site->path ? site->path : "the index", &file);
	if (!error)
		error = index_open(file, &index);
	if (error)
		return error;
	trace->info.index_path = NULL;
	if (site->path) {
		error = new_file_commit(&site->file, false);
		if (error) {
			warn(trace, "the index is not kept", strobe_error_message(error));
			strobe_error_free(error);
		} else {
			trace->info.index_path = arena_strdup(&trace->arena, site->path);
		}
		site->fd = -1;
	}
	return adopt(trace, index);
}

/** All units that the rows have, again. */
static struct strobe_error *write_rows(struct strobe_trace *trace)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < trace->rows.count && !error; i++)
		for (uint64_t k = 0; k < units_count(trace, i) && !error; k++)
			error = index_writer_add(trace->writer, i, units_get(trace, i, k));
	return error;
}

static struct strobe_error *start_rows(struct strobe_trace *trace)
{
	load_forget_rows(trace);
	trace->index = index_close(trace->index);
	return rows_add_threads(trace);
}

/** Makes an index at the site: of what there is, or (`known`) of what the rows have already. */
static struct strobe_error *make_at(struct strobe_trace *trace, struct site *site, bool known,
				    bool *ret_cannot_write)
{
	struct index_writer *writer = NULL;
	struct strobe_error *error = known ? NULL : start_rows(trace);
	if (!error)
		error = index_writer_new(site->fd, &writer);
	trace->writer = writer;
	if (!error)
		error = known ? write_rows(trace) : rows_extend(trace);
	trace->writer = NULL;
	if (!error)
		error = index_writer_finish(writer, trace);
	*ret_cannot_write = error && writer && index_writer_failed(writer);
	index_writer_free(writer);
	return error ? error : keep_site(trace, site);
}

/** Makes it at the first place that takes it: if not at one that was asked for, in memory. */
static struct strobe_error *make(struct strobe_trace *trace, const struct places *places,
				 bool known)
{
	for (size_t i = 0; i <= places->count; i++) {
		const char *path = i < places->count ? places->paths[i] : NULL;
		bool cannot_write = false;
		struct site site;
		struct strobe_error *error =
			open_site(path, places->cache && i + 1 == places->count, &site);
		if (error)
			cannot_write = strobe_error_code(error) != STROBE_ERROR_NO_MEMORY;
		else
			error = make_at(trace, &site, known, &cannot_write);
		close_site(&site);
		if (!error || !cannot_write || !path || places->asked_for)
			return error;
		if (i + 1 == places->count)
			warn(trace, "the index is kept in memory only",
			     strobe_error_message(error));
		strobe_error_free(error);
	}
	return NULL;
}

static bool has_all_blocks(const struct strobe_trace *trace)
{
	const struct trace_source *source = &trace->source;
	size_t streams = source->ops->stream_count(source->context);
	for (size_t i = 0; i < streams; i++)
		if (i >= trace->indexed.count ||
		    trace->indexed.items[i] < source->ops->block_count(source->context, i))
			return false;
	return true;
}

/** What was stored is of a part only. */
static struct strobe_error *extend(struct strobe_trace *trace, const struct places *places,
				   bool follow)
{
	struct strobe_error *error = rows_extend(trace);
	trace->info.index_was_built = true;
	if (error || follow)
		return error;
	error = make(trace, places, true);
	if (error && strobe_error_code(error) != STROBE_ERROR_NO_MEMORY) {
		warn(trace, "the index is not kept", strobe_error_message(error));
		error = strobe_error_free(error);
	}
	return error;
}

struct strobe_error *load_index(struct strobe_trace *trace,
				const struct strobe_trace_options *options)
{
	struct places places;
	bool found = false, follow = options->follow && !trace->about.finished;
	find_places(trace, options->index_path, &places);
	struct strobe_error *error = rows_add_threads(trace);
	for (size_t i = 0; i < places.count && !error && !found && !options->rebuild_index; i++)
		error = try_stored(trace, places.paths[i], &found);
	if (!error && !found) {
		// What grows is not worth keeping: it would be stale at once.
		const struct places none = {0};
		error = make(trace, follow ? &none : &places, false);
		trace->info.index_was_built = true;
	} else if (!error && !has_all_blocks(trace)) {
		error = extend(trace, &places, follow);
	}
	forget_places(&places);
	return error;
}
