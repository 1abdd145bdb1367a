// SPDX-License-Identifier: Apache-2.0
#include "snapshot/take.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/error.h"
#include "core/core.h"
#include "process/freeze.h"
#include "process/peers.h"
#include "process/proc.h"
#include "snapshot/image.h"
#include "snapshot/store.h"

enum {
	DEFAULT_STOP_LIMIT_MS = 200,
	THREADS_INTERVAL_MS = 5,
	CLONES_INTERVAL_MS = 100,
	PEERS_LIMIT_MS = 50
};
#define DEFAULT_SHARED_BUDGET (UINT64_C(8) << 20)

/** One of the copies that a taker holds. */
struct holding {
	struct store store;
	struct facts facts;
	bool drop, dropped;
};

/**
 * The thread that took one or several copies together: ptrace knows threads, and what it has
 * attached ends with it. Invariants, under `lock`:
 *  1. `frozen` is touched by the thread alone, until `taken`; then its facts are constant.
 *  2. The thread ends when all holdings are dropped; the last snapshot to close joins it.
 */
struct taker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t count, users;
	bool taken;
	struct strobe_snapshot_options options;
	pid_t *pids;
	struct frozen *frozen;
	struct holding *holdings;
	struct strobe_error **errors;
};

struct strobe_snapshot {
	struct taker *taker;
	size_t index;
	struct strobe_snapshot_info info;
	struct strobe_not_atomic *not_atomic;
};

static struct strobe_error *copy(void *context, size_t index, uint64_t start, uint64_t end,
				 bool sparse)
{
	struct taker *taker = context;
	pid_t pid = threads_alive(&taker->frozen[index].threads);
	return store_copy(&taker->holdings[index].store, pid, start, end, sparse);
}

// So many take some milliseconds; a process that has more is looked at when it runs again.
enum { DESCRIPTORS_IN_STOP = 256 };

static struct strobe_error *stand(void *context, size_t index, const char **why)
{
	struct taker *taker = context;
	struct facts *facts = &taker->holdings[index].facts;
	if (!facts_read_descriptors(facts, taker->pids[index], 0, DESCRIPTORS_IN_STOP))
		return error_no_memory();
	// To close a file of its own file system waits for its answer, which it cannot give.
	for (size_t i = 0; i < facts->descriptors.count; i++)
		if (strcmp(facts->descriptors.items[i].link, "/dev/fuse") == 0)
			*why = "it serves a FUSE file system";
	return NULL;
}

static struct strobe_error *look(void *context, size_t index)
{
	struct taker *taker = context;
	struct frozen *frozen = &taker->frozen[index];
	struct facts *facts = &taker->holdings[index].facts;
	pid_t pid = taker->pids[index];
	// Descriptors first: they are the living process's.
	if ((facts->descriptors.count == DESCRIPTORS_IN_STOP &&
	     !facts_read_descriptors(facts, pid, DESCRIPTORS_IN_STOP,
				     SIZE_MAX - DESCRIPTORS_IN_STOP)) ||
	    !facts_read_own(facts, pid) ||
	    !facts_read_inherited(facts, frozen->cloned ? frozen->clone.pid
							: threads_alive(&frozen->threads)))
		return error_no_memory();
	return NULL;
}

static void take(struct taker *taker)
{
	struct freeze_options options = {
		.shared_budget_bytes = taker->options.shared_budget_bytes,
		.stop_limit_ms = taker->options.stop_limit_ms,
		.no_clone = taker->options.no_clone,
		.copy = copy,
		.stand = stand,
		.look = look,
		.context = taker,
	};
	freeze_take(taker->frozen, taker->pids, taker->count, &options, taker->errors);
	for (size_t i = 0; i < taker->count; i++) {
		struct holding *holding = &taker->holdings[i];
		if (taker->errors[i])
			continue;
		store_settle(&holding->store);
		if (!peers_find(&holding->facts, taker->pids[i],
				PEERS_LIMIT_MS)) // it runs again: this takes time
			taker->errors[i] = error_no_memory();
		else
			taker->errors[i] =
				image_write(&taker->frozen[i], &holding->facts, &holding->store);
		facts_fini(&holding->facts);
	}
}

/** Drops what is to be dropped; the count of what is left. */
static size_t drop_some(struct taker *taker)
{
	size_t left = 0;
	for (size_t i = 0; i < taker->count; i++) {
		struct holding *holding = &taker->holdings[i];
		if (holding->drop && !holding->dropped) {
			clone_drop(&taker->frozen[i].clone);
			holding->dropped = true;
		}
		left += !holding->dropped;
	}
	return left;
}

/** After how many ms what is left is to be looked at again; 0 = nothing is. */
static int tend(struct taker *taker)
{
	bool threads = false, clones = false;
	for (size_t i = 0; i < taker->count; i++) {
		threads = threads_tend(&taker->frozen[i].threads) || threads;
		clones = clone_tend(&taker->frozen[i].clone) || clones;
	}
	return threads ? THREADS_INTERVAL_MS : clones ? CLONES_INTERVAL_MS : 0;
}

static void *run_taker(void *argument)
{
	struct taker *taker = argument;
	take(taker);
	pthread_mutex_lock(&taker->lock);
	taker->taken = true;
	for (size_t i = 0; i < taker->count; i++)
		if (taker->errors[i])
			taker->holdings[i].drop = true;
	size_t left = drop_some(taker);
	pthread_cond_broadcast(&taker->changed);
	while (left) {
		int pause_ms = tend(taker);
		if (pause_ms) {
			struct timespec until;
			clock_gettime(CLOCK_REALTIME, &until);
			until.tv_nsec += pause_ms * 1000000;
			until.tv_sec += until.tv_nsec / 1000000000;
			until.tv_nsec %= 1000000000;
			pthread_cond_timedwait(&taker->changed, &taker->lock, &until);
		} else {
			pthread_cond_wait(&taker->changed, &taker->lock);
		}
		left = drop_some(taker);
		pthread_cond_broadcast(&taker->changed);
	}
	pthread_mutex_unlock(&taker->lock);
	return NULL;
}

static void free_taker(struct taker *taker)
{
	for (size_t i = 0; taker->frozen && i < taker->count; i++)
		freeze_fini(&taker->frozen[i]);
	for (size_t i = 0; taker->holdings && i < taker->count; i++) {
		store_fini(&taker->holdings[i].store);
		facts_fini(&taker->holdings[i].facts);
	}
	pthread_mutex_destroy(&taker->lock);
	pthread_cond_destroy(&taker->changed);
	free(taker->pids);
	free(taker->frozen);
	free(taker->holdings);
	free(taker->errors);
	free(taker);
}

static struct taker *new_taker(const int *pids, size_t count,
			       const struct strobe_snapshot_options *options)
{
	struct taker *taker = calloc(1, sizeof(*taker));
	if (!taker)
		return NULL;
	pthread_mutex_init(&taker->lock, NULL);
	pthread_cond_init(&taker->changed, NULL);
	taker->count = count;
	taker->pids = calloc(count, sizeof(*taker->pids));
	taker->frozen = calloc(count, sizeof(*taker->frozen));
	taker->holdings = calloc(count, sizeof(*taker->holdings));
	taker->errors = calloc(count, sizeof(*taker->errors));
	if (!taker->pids || !taker->frozen || !taker->holdings || !taker->errors) {
		taker->count = 0;
		free_taker(taker);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		taker->pids[i] = pids[i];
		taker->frozen[i].threads.mem_fd = -1;
		taker->holdings[i].store.fd = -1;
	}
	if (options)
		taker->options = *options;
	if (!taker->options.shared_budget_bytes)
		taker->options.shared_budget_bytes = DEFAULT_SHARED_BUDGET;
	if (!taker->options.stop_limit_ms)
		taker->options.stop_limit_ms = DEFAULT_STOP_LIMIT_MS;
	return taker;
}

static struct strobe_error *start_taker(struct taker *taker)
{
	sigset_t all, before;
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < taker->count; i++)
		error = store_init(&taker->holdings[i].store);
	if (error)
		return error;
	// Signals are the caller's threads'.
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failed = pthread_create(&taker->thread, NULL, run_taker, taker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (failed)
		return error_errno(failed, "a thread to capture with");
	pthread_mutex_lock(&taker->lock);
	while (!taker->taken)
		pthread_cond_wait(&taker->changed, &taker->lock);
	pthread_mutex_unlock(&taker->lock);
	return NULL;
}

/** Memory that is in the process: VmRSS, in kB. */
static uint64_t resident_bytes(const struct frozen *frozen)
{
	uint64_t size = 0;
	for (size_t i = 0; i < frozen->threads.list.count; i++)
		if (frozen->threads.list.items[i].status &&
		    proc_field_number(frozen->threads.list.items[i].status, "VmRSS", 10, &size))
			break;
	return size * 1024;
}

static size_t count_threads(const struct frozen *frozen)
{
	size_t count = 0;
	for (size_t i = 0; i < frozen->threads.list.count; i++) {
		enum thread_state state = frozen->threads.list.items[i].state;
		count += state != THREAD_GONE && state != THREAD_SEIZED;
	}
	return count;
}

static struct strobe_snapshot *new_snapshot(struct taker *taker, size_t index)
{
	const struct frozen *frozen = &taker->frozen[index];
	struct strobe_snapshot *snapshot = calloc(1, sizeof(*snapshot));
	if (!snapshot)
		return NULL;
	size_t count = frozen->gaps.count;
	snapshot->not_atomic = count ? calloc(count, sizeof(*snapshot->not_atomic)) : NULL;
	if (count && !snapshot->not_atomic) {
		free(snapshot);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		const struct freeze_gap *gap = &frozen->gaps.items[i];
		snapshot->not_atomic[i] =
			(struct strobe_not_atomic){gap->start, gap->end, gap->why};
	}
	snapshot->taker = taker;
	snapshot->index = index;
	snapshot->info = (struct strobe_snapshot_info){
		.pid = taker->pids[index],
		.thread_count = count_threads(frozen),
		.method = frozen->cloned ? STROBE_SNAPSHOT_CLONE : STROBE_SNAPSHOT_COPY,
		.method_why = frozen->copy_why,
		.pause_ns = (uint64_t)(frozen->threads.released_ns - frozen->threads.first_stop_ns),
		.memory_bytes = resident_bytes(frozen),
		.clone_pid = frozen->clone.pid,
		.not_atomic_count = count,
		.not_atomic = snapshot->not_atomic,
	};
	return snapshot;
}

/** Gives up `count` of a taker's users; the last ends it. */
static void leave_taker(struct taker *taker, size_t count)
{
	pthread_mutex_lock(&taker->lock);
	taker->users -= count;
	bool last = taker->users == 0;
	pthread_mutex_unlock(&taker->lock);
	if (!last)
		return;
	pthread_join(taker->thread, NULL);
	free_taker(taker);
}

static void drop(struct taker *taker, size_t index)
{
	pthread_mutex_lock(&taker->lock);
	taker->holdings[index].drop = true;
	pthread_cond_broadcast(&taker->changed);
	while (!taker->holdings[index].dropped)
		pthread_cond_wait(&taker->changed, &taker->lock);
	pthread_mutex_unlock(&taker->lock);
}

void strobe_snapshot_take_all(const int *pids, size_t count,
			      const struct strobe_snapshot_options *options,
			      struct strobe_snapshot **snapshots, struct strobe_error **errors)
{
	for (size_t i = 0; i < count; i++) {
		snapshots[i] = NULL;
		errors[i] = NULL;
	}
	if (!count)
		return;
	struct taker *taker = new_taker(pids, count, options);
	struct strobe_error *error = taker ? start_taker(taker) : error_no_memory();
	if (error) {
		errors[0] = error;
		for (size_t i = 1; i < count; i++)
			errors[i] = error_new(strobe_error_code(error), "%s",
					      strobe_error_message(error));
		if (taker)
			free_taker(taker);
		return;
	}
	size_t failed = 0;
	taker->users = count;
	for (size_t i = 0; i < count; i++) {
		errors[i] = taker->errors[i];
		if (!errors[i] && !(snapshots[i] = new_snapshot(taker, i))) {
			drop(taker, i);
			errors[i] = error_no_memory();
		}
		failed += errors[i] != NULL;
	}
	if (failed)
		leave_taker(taker, failed);
}

struct strobe_error *strobe_snapshot_take(int pid, const struct strobe_snapshot_options *options,
					  struct strobe_snapshot **ret)
{
	struct strobe_snapshot *snapshot;
	struct strobe_error *error;
	strobe_snapshot_take_all(&pid, 1, options, &snapshot, &error);
	if (!error)
		*ret = snapshot;
	return error;
}

struct strobe_snapshot *strobe_snapshot_close(struct strobe_snapshot *snapshot)
{
	if (!snapshot)
		return NULL;
	drop(snapshot->taker, snapshot->index);
	leave_taker(snapshot->taker, 1);
	free(snapshot->not_atomic);
	free(snapshot);
	return NULL;
}

const struct strobe_snapshot_info *strobe_snapshot_info(const struct strobe_snapshot *snapshot)
{
	return &snapshot->info;
}

int snapshot_image_fd(const struct strobe_snapshot *snapshot)
{
	return snapshot->taker->holdings[snapshot->index].store.fd;
}

struct strobe_error *strobe_snapshot_view(struct strobe_snapshot *snapshot,
					  const struct strobe_view_options *options,
					  struct strobe_view **ret)
{
	char label[32];
	snprintf(label, sizeof(label), "%d", snapshot->info.pid);
	return core_open_image(snapshot_image_fd(snapshot), label, options, ret);
}
