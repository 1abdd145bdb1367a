// SPDX-License-Identifier: Apache-2.0
#include "graph/parts.h"

#include <assert.h>
#include <pthread.h>
#include <sched.h>
#include <stddef.h>

struct part {
	pthread_t thread;
	void (*run)(void *context, unsigned part);
	void *context;
	unsigned number;
};

unsigned parts_processors(void)
{
	cpu_set_t set;
	int count = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	return count < 1 ? 1 : (unsigned)count;
}

static void *run_part(void *context)
{
	struct part *part = context;
	part->run(part->context, part->number);
	return NULL;
}

void parts_run(unsigned count, void (*run)(void *context, unsigned part), void *context)
{
	struct part parts[PARTS_MAX];
	unsigned started = 1;
	assert(count <= PARTS_MAX);
	for (; started < count; started++) {
		struct part *part = &parts[started];
		*part = (struct part){.run = run, .context = context, .number = started};
		if (pthread_create(&part->thread, NULL, run_part, part) != 0)
			break;
	}
	if (count)
		run(context, 0);
	for (unsigned i = started; i < count; i++)
		run(context, i);
	for (unsigned i = 1; i < started; i++)
		pthread_join(parts[i].thread, NULL);
}
