// SPDX-License-Identifier: Apache-2.0
#include "trace/build.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"

// A ring of slots: blocks go to workers in order, and each to the slot of its number; the slot is free again when the
// block was taken, in order. So no more than SLOTS blocks are ahead of the slowest.
enum { MAX_THREADS = 64, SLOTS_A_THREAD = 4, PROGRESS_NS = 50000000 };

struct slot {
	bool done;
	uint32_t stream;
	uint64_t index;
	struct scanned_block block;
	struct strobe_error *error;
};

struct pool {
	const struct build *build;
	pthread_mutex_t lock;
	pthread_cond_t room, filled;
	struct slot *slots;
	uint64_t slot_count;
	uint64_t given, taken; // blocks, counted over all streams
	size_t stream;	       // of the next block to be given
	uint64_t index;
	bool stopped;
};

/** Decodes block `slot->index` part by part. */
static struct strobe_error *scan_block(const struct build *build, void *decoder,
				       const struct code_map *map, struct window *window,
				       struct slot *slot)
{
	const struct trace_source *source = build->source;
	struct source_block block;
	struct strobe_error *error = NULL;
	bool more = true;
	for (uint32_t part = 0; more && !error; part++) {
		struct source_want want = {.part = part, .enough = UINT32_MAX};
		error = source->ops->decode(decoder, slot->stream, slot->index, &want, window);
		if (!error)
			error = scan_window(&slot->block, window, map, slot->stream, slot->index,
					    part);
		more = window->more && part < UINT32_MAX;
	}
	source->ops->block(source->context, slot->stream, slot->index, &block);
	scan_share_bytes(&slot->block, block.size_bytes);
	return error;
}

/** The next block's slot; NULL if there is none. Locked. */
static struct slot *give(struct pool *pool)
{
	const struct build *build = pool->build;
	while (!pool->stopped && pool->given - pool->taken == pool->slot_count)
		pthread_cond_wait(&pool->room, &pool->lock);
	while (pool->stream < build->stream_count &&
	       pool->index >= build->ranges[pool->stream].to) {
		if (++pool->stream < build->stream_count)
			pool->index = build->ranges[pool->stream].from;
	}
	if (pool->stopped || pool->stream >= build->stream_count)
		return NULL;
	struct slot *slot = &pool->slots[pool->given++ % pool->slot_count];
	slot->stream = (uint32_t)pool->stream;
	slot->index = pool->index++;
	return slot;
}

static void *work(void *argument)
{
	struct pool *pool = argument;
	const struct trace_source_ops *ops = pool->build->source->ops;
	struct window window;
	struct code_map *map = NULL;
	void *decoder = NULL;
	bool told = false;
	struct strobe_error *error = ops->decoder_new(pool->build->source->context, &decoder, &map);
	window_init(&window);
	pthread_mutex_lock(&pool->lock);
	for (struct slot *slot; (slot = give(pool));) {
		pthread_mutex_unlock(&pool->lock);
		if (!error)
			error = scan_block(pool->build, decoder, map, &window, slot);
		pthread_mutex_lock(&pool->lock);
		slot->error = error;
		slot->done = true;
		pthread_cond_signal(&pool->filled);
		told = error != NULL;
		if (told)
			break;
	}
	pthread_mutex_unlock(&pool->lock);
	window_fini(&window);
	if (decoder)
		ops->decoder_free(decoder);
	if (!told)
		strobe_error_free(error);
	return NULL;
}

static uint64_t block_total(const struct build *build)
{
	uint64_t total = 0;
	for (size_t i = 0; i < build->stream_count; i++)
		total += build->ranges[i].to - build->ranges[i].from;
	return total;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/** How far the pass has come. */
struct reach {
	uint64_t done_bytes, total_bytes, told_ns;
};

static uint64_t bytes_of(const struct build *build, uint32_t stream, uint64_t index)
{
	struct source_block block;
	build->source->ops->block(build->source->context, stream, index, &block);
	return block.size_bytes;
}

static struct strobe_error *tell_progress(const struct build *build, struct reach *reach,
					  bool at_end)
{
	if (!build->progress || (!at_end && now_ns() - reach->told_ns < PROGRESS_NS))
		return NULL;
	reach->told_ns = now_ns();
	return build->progress(build->progress_context, reach->done_bytes, reach->total_bytes)
		       ? NULL
		       : error_new(STROBE_ERROR_LIMIT, "cancelled");
}

/** Takes all blocks, in order. */
static struct strobe_error *take_all(struct pool *pool, uint64_t total, struct reach *reach)
{
	const struct build *build = pool->build;
	struct strobe_error *error = NULL;
	for (uint64_t i = 0; i < total && !error; i++) {
		struct slot *slot = &pool->slots[i % pool->slot_count];
		pthread_mutex_lock(&pool->lock);
		while (!slot->done)
			pthread_cond_wait(&pool->filled, &pool->lock);
		pthread_mutex_unlock(&pool->lock);
		error = slot->error;
		slot->error = NULL;
		if (!error)
			error = build->take(build->context, slot->stream, slot->index,
					    &slot->block);
		reach->done_bytes += bytes_of(build, slot->stream, slot->index);
		scanned_block_fini(&slot->block);
		slot->block = (struct scanned_block){0};
		if (!error)
			error = tell_progress(build, reach, i + 1 == total);
		pthread_mutex_lock(&pool->lock);
		slot->done = false;
		pool->taken++;
		pthread_cond_signal(&pool->room);
		pthread_mutex_unlock(&pool->lock);
	}
	return error;
}

static void stop(struct pool *pool, pthread_t *threads, unsigned count)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopped = true;
	pthread_cond_broadcast(&pool->room);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	for (uint64_t i = 0; i < pool->slot_count; i++) {
		scanned_block_fini(&pool->slots[i].block);
		strobe_error_free(pool->slots[i].error);
	}
}

static struct strobe_error *run_pool(struct pool *pool, unsigned wanted, uint64_t total)
{
	pthread_t threads[MAX_THREADS];
	unsigned count = 0;
	int errnum = 0;
	struct reach reach = {.told_ns = now_ns()};
	struct strobe_error *error = NULL;
	for (uint32_t s = 0; pool->build->progress && s < pool->build->stream_count; s++) {
		const struct build_range *range = &pool->build->ranges[s];
		for (uint64_t i = range->from; i < range->to; i++)
			reach.total_bytes += bytes_of(pool->build, s, i);
	}
	sigset_t all, before; // signals are for the caller's threads
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	while (count < wanted && (errnum = pthread_create(&threads[count], NULL, work, pool)) == 0)
		count++;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	error = count ? take_all(pool, total, &reach)
		      : error_errno(errnum, "a thread to build the index");
	stop(pool, threads, count);
	return error;
}

struct strobe_error *build_run(const struct build *build)
{
	uint64_t total = block_total(build);
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	unsigned threads = build->threads   ? build->threads
			   : processors > 0 ? (unsigned)processors
					    : 1;
	if (total == 0)
		return NULL;
	if (threads > MAX_THREADS)
		threads = MAX_THREADS;
	if (threads > total)
		threads = (unsigned)total;
	struct pool pool = {.build = build,
			    .slot_count = (uint64_t)threads * SLOTS_A_THREAD,
			    .index = build->ranges[0].from};
	pool.slots = calloc(pool.slot_count, sizeof(*pool.slots));
	if (!pool.slots)
		return error_no_memory();
	pthread_mutex_init(&pool.lock, NULL);
	pthread_cond_init(&pool.room, NULL);
	pthread_cond_init(&pool.filled, NULL);
	struct strobe_error *error = run_pool(&pool, threads, total);
	pthread_cond_destroy(&pool.filled);
	pthread_cond_destroy(&pool.room);
	pthread_mutex_destroy(&pool.lock);
	free(pool.slots);
	return error;
}
