// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_behind.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "base/error.h"
#include "snapshot/write_layout.h"

enum { BLOCKS = 3 };

/**
 * Invariants: 1. blocks [written, sent) modulo BLOCKS are the thread's, the others the caller's;
 * `sent` is being filled. 2. The counts, `stop` and `error` change under `lock` alone.
 */
struct behind {
	struct output *output;
	struct block blocks[BLOCKS];
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint64_t sent, written;
	bool stop;
	struct strobe_error *error; // the first; nothing is written after it
	bool started, alone;	    // is there a thread; can there be none
	pthread_t thread;
};

static struct strobe_error *write_block(struct output *output, struct block *block)
{
	struct strobe_error *error = NULL;
	for (size_t at = 0, end; !error && at < block->count; at = end) {
		bool zero = block->zero[at], dropped = block->dropped[at];
		for (end = at + 1; end < block->count && block->zero[end] == zero &&
				   block->dropped[end] == dropped;)
			end++;
		size_t size = (end - at) * PAGE_SIZE_BYTES;
		if (!dropped)
			error = zero ? output_skip(output, size)
				     : output_write(output, block->bytes + at * PAGE_SIZE_BYTES,
						    size);
	}
	if (!error && block->skip)
		error = output_skip(output, block->skip);
	block->count = 0;
	block->skip = 0;
	return error;
}

static void *run(void *context)
{
	struct behind *behind = context;
	pthread_mutex_lock(&behind->lock);
	while (!behind->stop) {
		if (behind->written == behind->sent) {
			pthread_cond_wait(&behind->changed, &behind->lock);
			continue;
		}
		struct block *block = &behind->blocks[behind->written % BLOCKS];
		pthread_mutex_unlock(&behind->lock);
		struct strobe_error *error = write_block(behind->output, block);
		pthread_mutex_lock(&behind->lock);
		behind->written++;
		if (error) {
			behind->error = error;
			break;
		}
		pthread_cond_signal(&behind->changed);
	}
	pthread_cond_signal(&behind->changed);
	pthread_mutex_unlock(&behind->lock);
	return NULL;
}

/** A thread that takes no signals: those are the caller's threads' business. */
static void start(struct behind *behind)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	behind->started = pthread_create(&behind->thread, NULL, run, behind) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	behind->alone = !behind->started; // then it is done without one
}

struct strobe_error *behind_new(struct output *output, struct behind **ret)
{
	struct behind *behind = calloc(1, sizeof(*behind));
	if (!behind)
		return error_no_memory();
	behind->output = output;
	behind->blocks[0].bytes = malloc((size_t)BLOCK_PAGES * PAGE_SIZE_BYTES);
	if (!behind->blocks[0].bytes) {
		free(behind);
		return error_no_memory();
	}
	pthread_mutex_init(&behind->lock, NULL);
	pthread_cond_init(&behind->changed, NULL);
	*ret = behind;
	return NULL;
}

static void end(struct behind *behind)
{
	if (!behind->started)
		return;
	pthread_mutex_lock(&behind->lock);
	behind->stop = true;
	pthread_cond_signal(&behind->changed);
	pthread_mutex_unlock(&behind->lock);
	pthread_join(behind->thread, NULL);
	behind->started = false;
}

struct behind *behind_free(struct behind *behind)
{
	if (!behind)
		return NULL;
	end(behind);
	strobe_error_free(behind->error);
	pthread_cond_destroy(&behind->changed);
	pthread_mutex_destroy(&behind->lock);
	for (size_t i = 0; i < BLOCKS; i++)
		free(behind->blocks[i].bytes);
	free(behind);
	return NULL;
}

struct block *behind_block(struct behind *behind)
{
	// What is the caller's changes by the caller alone.
	return &behind->blocks[behind->sent % BLOCKS];
}

/** Hands the block over, and waits until no more than `left` are under way. */
static struct strobe_error *pass(struct behind *behind, uint64_t left)
{
	pthread_mutex_lock(&behind->lock);
	behind->sent++;
	pthread_cond_signal(&behind->changed);
	while (!behind->error && behind->sent - behind->written > left)
		pthread_cond_wait(&behind->changed, &behind->lock);
	struct strobe_error *error = behind->error;
	behind->error = NULL;
	pthread_mutex_unlock(&behind->lock);
	return error;
}

struct strobe_error *behind_send(struct behind *behind)
{
	if (!behind->started && !behind->alone)
		start(behind);
	if (behind->alone)
		return write_block(behind->output, behind_block(behind));
	struct strobe_error *error = pass(behind, BLOCKS - 1);
	if (error)
		return error;
	struct block *next = behind_block(behind);
	if (!next->bytes)
		next->bytes = malloc((size_t)BLOCK_PAGES * PAGE_SIZE_BYTES);
	return next->bytes ? NULL : error_no_memory();
}

struct strobe_error *behind_finish(struct behind *behind)
{
	// What fits into one block is not worth a thread.
	struct strobe_error *error = behind->started
					     ? pass(behind, 0)
					     : write_block(behind->output, behind_block(behind));
	end(behind);
	return error;
}
