// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_compress.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/array.h"
#include "base/compress_frame.h"
#include "base/error.h"

// One slot more than there are threads: it is filled meanwhile. Few threads make larger frames, which
// compress better; what all take together is bounded.
enum {
	SLOTS_MAX = COMPRESS_THREADS + 1,
	CONTENT_SIZE = 24 << 20,	    // of all slots' content, skipped zeros included
	CONTENT_DATA = (24 << 20) / 10 * 3, // and without them
	ZEROS_FRAME_SIZE = 512,
	CLEAR_MIN = 256 << 10, // bytes from which on memory is given back, not set to zero
	PAGE = 4096,
};

// contrib/seekable_format/zstd_seekable_compression_format.md
enum {
	SEEK_HEADER_MAGIC = 0x184D2A5E,
	SEEK_HAS_CHECKSUMS = 0x80,
	SEEK_FOOTER_SIZE = 9,
};
static const uint32_t seek_footer_magic = 0x8F92EAB1;

struct seek_entry {
	uint32_t compressed_size, size, checksum;
};
_Static_assert(sizeof(struct seek_entry) == 12, "on disk");

/** A frame on its way. FILLING and DONE ones are the caller's, the others the threads'. */
struct slot {
	enum { FILLING, READY, BUSY, DONE } state;
	size_t size;	   // of content
	size_t data;	   // bytes of it that were not skipped
	uint64_t repeat;   // so many times this frame
	uint8_t *content;  // frame_limit; made when first used
	uint8_t *frame;	   // frame_bound() of that
	size_t frame_size; // 0 = memory was short
};

/**
 * Invariants: 1. slots [written, next) modulo slot_count are under way, in the file's order; slot `next`
 * is being filled. 2. States READY and BUSY change under `lock` alone.
 */
struct compressor {
	struct sink *sink;
	int level;
	pthread_mutex_t lock;
	pthread_cond_t ready, done;
	bool stop;
	uint64_t next, written, taken; // counts of slots
	struct slot slots[SLOTS_MAX];
	unsigned slot_count;
	size_t frame_limit, data_limit; // content of a frame, and what of it was not skipped
	pthread_t threads[COMPRESS_THREADS];
	unsigned thread_count;
	uint8_t zeros[ZEROS_FRAME_SIZE]; // a whole frame of them, ready-made
	size_t zeros_size;
	ARRAY(struct seek_entry) entries;
};

static void *run(void *context)
{
	struct compressor *compressor = context;
	struct frame_maker *maker = frame_maker_new(compressor->level);
	pthread_mutex_lock(&compressor->lock);
	while (!compressor->stop) {
		// Ready-made frames may be written before any thread came by.
		if (compressor->taken < compressor->written)
			compressor->taken = compressor->written;
		if (compressor->taken == compressor->next) {
			pthread_cond_wait(&compressor->ready, &compressor->lock);
			continue;
		}
		struct slot *slot =
			&compressor->slots[compressor->taken++ % compressor->slot_count];
		if (slot->state != READY)
			continue; // ready-made
		slot->state = BUSY;
		pthread_mutex_unlock(&compressor->lock);
		size_t size = maker ? frame_make(maker, slot->content, slot->size, slot->frame) : 0;
		pthread_mutex_lock(&compressor->lock);
		slot->frame_size = size;
		slot->state = DONE;
		pthread_cond_signal(&compressor->done);
	}
	pthread_mutex_unlock(&compressor->lock);
	frame_maker_free(maker);
	return NULL;
}

/** Threads that take no signals: those are the caller's threads' business. */
static struct strobe_error *start(struct compressor *compressor, unsigned count)
{
	sigset_t all, before;
	int failed = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (!failed && compressor->thread_count < count) {
		failed = pthread_create(&compressor->threads[compressor->thread_count], NULL, run,
					compressor);
		compressor->thread_count += !failed;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	// Fewer than wanted will do.
	if (failed && !compressor->thread_count)
		return error_errno(failed, "cannot start a thread");
	return NULL;
}

static unsigned count_processors(void)
{
	cpu_set_t set;
	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned)CPU_COUNT(&set) : 1;
}

struct strobe_error *compressor_new(struct sink *sink, int level, unsigned threads,
				    struct compressor **ret)
{
	if (level < 0 || level > FRAME_LEVEL_MAX)
		return error_new(STROBE_ERROR_INVALID, "compression level %d: 1 to %d are there",
				 level, FRAME_LEVEL_MAX);
	struct compressor *compressor = calloc(1, sizeof(*compressor));
	if (!compressor)
		return error_no_memory();
	compressor->sink = sink;
	compressor->level = level ? level : COMPRESS_LEVEL;
	pthread_mutex_init(&compressor->lock, NULL);
	pthread_cond_init(&compressor->ready, NULL);
	pthread_cond_init(&compressor->done, NULL);
	if (!threads)
		threads = count_processors();
	threads = threads < COMPRESS_THREADS ? threads : COMPRESS_THREADS;
	compressor->slot_count = threads + 1;
	compressor->frame_limit = CONTENT_SIZE / compressor->slot_count / PAGE * PAGE;
	compressor->data_limit = CONTENT_DATA / compressor->slot_count / PAGE * PAGE;
	compressor->zeros_size =
		frame_make_zeros((uint32_t)compressor->frame_limit, compressor->zeros);
	struct strobe_error *error =
		compressor->zeros_size ? start(compressor, threads) : error_no_memory();
	if (error)
		compressor_free(compressor);
	else
		*ret = compressor;
	return error;
}

struct compressor *compressor_free(struct compressor *compressor)
{
	if (!compressor)
		return NULL;
	pthread_mutex_lock(&compressor->lock);
	compressor->stop = true;
	pthread_cond_broadcast(&compressor->ready);
	pthread_mutex_unlock(&compressor->lock);
	for (unsigned i = 0; i < compressor->thread_count; i++)
		pthread_join(compressor->threads[i], NULL);
	pthread_cond_destroy(&compressor->done);
	pthread_cond_destroy(&compressor->ready);
	pthread_mutex_destroy(&compressor->lock);
	for (size_t i = 0; i < SLOTS_MAX; i++) {
		if (compressor->slots[i].content)
			munmap(compressor->slots[i].content, compressor->frame_limit);
		free(compressor->slots[i].frame);
	}
	array_fini(&compressor->entries);
	free(compressor);
	return NULL;
}

/** Writes the oldest frame under way, waiting until it is made. */
static struct strobe_error *write_oldest(struct compressor *compressor)
{
	struct slot *slot = &compressor->slots[compressor->written % compressor->slot_count];
	struct strobe_error *error = NULL;
	pthread_mutex_lock(&compressor->lock);
	while (slot->state != DONE)
		pthread_cond_wait(&compressor->done, &compressor->lock);
	pthread_mutex_unlock(&compressor->lock);
	const uint8_t *frame = slot->repeat ? compressor->zeros : slot->frame;
	struct seek_entry entry = {(uint32_t)slot->frame_size, (uint32_t)slot->size, 0};
	if (!slot->frame_size)
		return error_no_memory();
	memcpy(&entry.checksum, frame + slot->frame_size - FRAME_CHECKSUM_SIZE,
	       FRAME_CHECKSUM_SIZE);
	for (uint64_t i = slot->repeat ? slot->repeat : 1; !error && i; i--) {
		error = sink_write(compressor->sink, frame, slot->frame_size);
		if (!error && !array_push(&compressor->entries, entry))
			error = error_no_memory();
	}
	pthread_mutex_lock(&compressor->lock);
	slot->state = FILLING;
	slot->size = 0;
	slot->data = 0;
	slot->repeat = 0;
	compressor->written++;
	pthread_mutex_unlock(&compressor->lock);
	return error;
}

/** The slot to fill, its memory there. */
static struct strobe_error *get_slot(struct compressor *compressor, struct slot **ret)
{
	if (compressor->next - compressor->written == compressor->slot_count) {
		struct strobe_error *error = write_oldest(compressor);
		if (error)
			return error;
	}
	struct slot *slot = &compressor->slots[compressor->next % compressor->slot_count];
	if (!slot->content) {
		void *content = mmap(NULL, compressor->frame_limit, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		slot->content = content == MAP_FAILED ? NULL : content;
	}
	if (!slot->frame)
		slot->frame = malloc(frame_bound(compressor->frame_limit));
	if (!slot->content || !slot->frame)
		return error_no_memory();
	*ret = slot;
	return NULL;
}

/** Hands over a slot, which get_slot() gave. */
static void hand_over(struct compressor *compressor, struct slot *slot, bool made)
{
	pthread_mutex_lock(&compressor->lock);
	slot->state = made ? DONE : READY;
	compressor->next++;
	pthread_cond_signal(&compressor->ready);
	pthread_mutex_unlock(&compressor->lock);
}

struct strobe_error *compressor_write(struct compressor *compressor, const void *bytes,
				      uint64_t size)
{
	const uint8_t *at = bytes;
	while (size) {
		struct slot *slot;
		struct strobe_error *error = get_slot(compressor, &slot);
		if (error)
			return error;
		size_t room = compressor->frame_limit - slot->size;
		if (room > compressor->data_limit - slot->data)
			room = compressor->data_limit - slot->data;
		size_t piece = size < room ? (size_t)size : room;
		memcpy(slot->content + slot->size, at, piece);
		slot->size += piece;
		slot->data += piece;
		at += piece;
		size -= piece;
		if (slot->size == compressor->frame_limit || slot->data == compressor->data_limit)
			hand_over(compressor, slot, false);
	}
	return NULL;
}

/** Zeros in a slot's content: many of them take no memory. */
static void clear(uint8_t *bytes, size_t size)
{
	size_t before = (size_t)(-(uintptr_t)bytes % PAGE),
	       after = (uintptr_t)(bytes + size) % PAGE;
	if (size < CLEAR_MIN || madvise(bytes + before, size - before - after, MADV_DONTNEED) < 0) {
		memset(bytes, 0, size);
		return;
	}
	memset(bytes, 0, before);
	memset(bytes + size - after, 0, after);
}

struct strobe_error *compressor_skip(struct compressor *compressor, uint64_t size)
{
	while (size) {
		struct slot *slot;
		struct strobe_error *error = get_slot(compressor, &slot);
		if (error)
			return error;
		if (!slot->size && size >= compressor->frame_limit) {
			slot->repeat = size / compressor->frame_limit;
			size %= compressor->frame_limit;
			slot->size = compressor->frame_limit;
			slot->frame_size = compressor->zeros_size;
			hand_over(compressor, slot, true);
			continue;
		}
		if (size >= compressor->frame_limit) { // zeros behind it are ready-made
			hand_over(compressor, slot, false);
			continue;
		}
		uint64_t room = compressor->frame_limit - slot->size;
		size_t piece = (size_t)(size < room ? size : room);
		clear(slot->content + slot->size, piece);
		slot->size += piece;
		size -= piece;
		if (slot->size == compressor->frame_limit)
			hand_over(compressor, slot, false);
	}
	return NULL;
}

static struct strobe_error *write_seek_table(struct compressor *compressor)
{
	uint32_t count = (uint32_t)compressor->entries.count;
	uint64_t size = (uint64_t)count * sizeof(struct seek_entry);
	if (compressor->entries.count > (UINT32_MAX - SEEK_FOOTER_SIZE) / sizeof(struct seek_entry))
		return error_new(STROBE_ERROR_LIMIT, "%s: too many frames for a seek table",
				 compressor->sink->name);
	uint32_t header[2] = {SEEK_HEADER_MAGIC, (uint32_t)size + SEEK_FOOTER_SIZE};
	uint8_t footer[SEEK_FOOTER_SIZE];
	memcpy(footer, &count, 4);
	footer[4] = SEEK_HAS_CHECKSUMS;
	memcpy(footer + 5, &seek_footer_magic, 4);
	struct strobe_error *error = sink_write(compressor->sink, header, sizeof(header));
	if (!error && size)
		error = sink_write(compressor->sink, compressor->entries.items, size);
	return error ? error : sink_write(compressor->sink, footer, sizeof(footer));
}

struct strobe_error *compressor_finish(struct compressor *compressor)
{
	struct strobe_error *error = NULL;
	struct slot *slot = &compressor->slots[compressor->next % compressor->slot_count];
	if (compressor->next - compressor->written < compressor->slot_count && slot->size)
		hand_over(compressor, slot, false);
	while (!error && compressor->written < compressor->next)
		error = write_oldest(compressor);
	return error ? error : write_seek_table(compressor);
}
