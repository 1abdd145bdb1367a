// SPDX-License-Identifier: Apache-2.0
#include "graph/workers.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/error.h"

struct member {
	struct workers *workers;
	unsigned number;
	pthread_t thread;
};

struct workers {
	unsigned count; // with the caller's
	struct member members[WORKERS_LIMIT];
	pthread_mutex_t lock;
	pthread_cond_t begin, end;
	uint64_t generation; // of work; the others wait for the next
	unsigned busy;	     // of them
	bool leaving;
	// The work.
	workers_part part;
	void *context;
	uint64_t next, limit, step;
	bool stopped;
};

static void work(struct workers *workers, unsigned number)
{
	while (!__atomic_load_n(&workers->stopped, __ATOMIC_RELAXED)) {
		uint64_t number_of_part = __atomic_fetch_add(&workers->next, 1, __ATOMIC_RELAXED);
		uint64_t from = number_of_part * workers->step;
		if (from >= workers->limit)
			return;
		uint64_t to = workers->limit - from < workers->step ? workers->limit
								    : from + workers->step;
		if (!workers->part(workers->context, number, from, to))
			__atomic_store_n(&workers->stopped, true, __ATOMIC_RELAXED);
	}
}

static void *run(void *context)
{
	struct member *member = context;
	struct workers *workers = member->workers;
	uint64_t seen = 0;
	pthread_mutex_lock(&workers->lock);
	for (;;) {
		while (workers->generation == seen && !workers->leaving)
			pthread_cond_wait(&workers->begin, &workers->lock);
		if (workers->leaving)
			break;
		seen = workers->generation;
		pthread_mutex_unlock(&workers->lock);
		work(workers, member->number);
		pthread_mutex_lock(&workers->lock);
		if (--workers->busy == 0)
			pthread_cond_signal(&workers->end);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

struct strobe_error *workers_new(unsigned count, struct workers **ret)
{
	struct workers *workers = calloc(1, sizeof(*workers));
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	sigset_t all, before; // signals are for the caller's threads
	if (!workers)
		return error_no_memory();
	if (!count)
		count = processors > 0 ? (unsigned)processors : 1;
	if (count > WORKERS_LIMIT)
		count = WORKERS_LIMIT;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->begin, NULL);
	pthread_cond_init(&workers->end, NULL);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (workers->count = 1; workers->count < count; workers->count++) {
		struct member *member = &workers->members[workers->count];
		*member = (struct member){.workers = workers, .number = workers->count};
		if (pthread_create(&member->thread, NULL, run, member) != 0)
			break;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	*ret = workers;
	return NULL;
}

struct workers *workers_free(struct workers *workers)
{
	if (!workers)
		return NULL;
	pthread_mutex_lock(&workers->lock);
	workers->leaving = true;
	pthread_cond_broadcast(&workers->begin);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 1; i < workers->count; i++)
		pthread_join(workers->members[i].thread, NULL);
	pthread_cond_destroy(&workers->begin);
	pthread_cond_destroy(&workers->end);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
	return NULL;
}

unsigned workers_count(const struct workers *workers)
{
	return workers->count;
}

bool workers_run(struct workers *workers, uint64_t begin, uint64_t end, uint64_t step,
		 workers_part part, void *context)
{
	if (begin >= end)
		return true;
	workers->part = part;
	workers->context = context;
	workers->step = step;
	workers->next = begin / step;
	workers->limit = end;
	workers->stopped = false;
	bool alone = workers->count == 1 || end - begin <= step;
	if (!alone) {
		pthread_mutex_lock(&workers->lock);
		workers->generation++;
		workers->busy = workers->count - 1;
		pthread_cond_broadcast(&workers->begin);
		pthread_mutex_unlock(&workers->lock);
	}
	work(workers, 0);
	if (!alone) {
		pthread_mutex_lock(&workers->lock);
		while (workers->busy)
			pthread_cond_wait(&workers->end, &workers->lock);
		pthread_mutex_unlock(&workers->lock);
	}
	return !workers->stopped;
}
