// SPDX-License-Identifier: Apache-2.0
#include "process/freeze.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "process/proc.h"
#include "process/wiped.h"

static const char not_frozen[] = "shared memory, more than --shared-budget: others may write to it";
static const char not_inherited[] = "kept out of clones (MADV_DONTFORK), more than --shared-budget";
static const char wiped_away[] = "wiped in clones (MADV_WIPEONFORK): read a moment after the stop";
static const char not_stopped[] = "a thread did not stop";
static const char not_asked[] = "--no-clone";

static int64_t clock_of(clockid_t id)
{
	struct timespec now;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static char *read_maps(pid_t pid)
{
	char name[32];
	struct text text = {0};
	snprintf(name, sizeof(name), "%d/maps", (int)pid);
	if (proc_read(name, &text) || !text.size) {
		text_fini(&text);
		return NULL;
	}
	return text_steal(&text);
}

/** A mapping that the clone does not freeze. */
struct loose {
	uint64_t start, end;
	const char *why;
};
struct looses {
	ARRAY(struct loose) list;
};

static int order_by_size(const void *a, const void *b)
{
	const struct loose *x = a, *y = b;
	uint64_t p = x->end - x->start, q = y->end - y->start;
	return (p > q) - (p < q);
}

static int order_gaps(const void *a, const void *b)
{
	const struct freeze_gap *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

/** Memory of devices is not to be read, that of the kernel's own pages cannot be. */
static bool is_device(const struct proc_mapping *mapping)
{
	static const char *const kept[] = {"/dev/shm/", "/dev/zero", "/dev/hugepages/"};
	if (mapping->path_size < 5 || memcmp(mapping->path, "/dev/", 5) != 0)
		return false;
	for (size_t i = 0; i < sizeof(kept) / sizeof(kept[0]); i++)
		if (mapping->path_size >= strlen(kept[i]) &&
		    memcmp(mapping->path, kept[i], strlen(kept[i])) == 0)
			return false;
	return true;
}

/** What of the process's mappings the clone does not hold as they are: shared ones, and those that
 *  are not in its own list. */
static bool find_loose(const char *maps, const char *clone_maps, struct looses *ret)
{
	struct proc_mapping mapping, other = {0};
	const char *at = maps, *other_at = clone_maps;
	bool same = clone_maps && strcmp(maps, clone_maps) == 0;
	while (proc_next_mapping(&at, &mapping)) {
		while (!same && clone_maps && other.end <= mapping.start &&
		       proc_next_mapping(&other_at, &other))
			;
		bool inherited = same || !clone_maps ||
				 (other.start <= mapping.start && other.end >= mapping.end);
		struct loose loose = {mapping.start, mapping.end,
				      inherited ? not_frozen : not_inherited};
		if ((inherited && !mapping.shared) || is_device(&mapping) || !mapping.readable ||
		    (mapping.path_size && *mapping.path == '[' &&
		     (proc_mapping_is(&mapping, "[vvar]") ||
		      proc_mapping_is(&mapping, "[vvar_vclock]") ||
		      proc_mapping_is(&mapping, "[vsyscall]"))))
			continue;
		if (!array_push(&ret->list, loose))
			return false;
	}
	return true;
}

/** The smallest first, as far as the budget goes; the others are not of this instant. */
static struct strobe_error *copy_loose(struct frozen *frozen, size_t index,
				       const struct freeze_options *options)
{
	struct looses looses = {0};
	char *clone_maps = read_maps(frozen->clone.pid);
	struct strobe_error *error = NULL;
	if (!clone_maps || !find_loose(frozen->maps, clone_maps, &looses))
		error = error_no_memory();
	if (looses.list.count)
		qsort(looses.list.items, looses.list.count, sizeof(struct loose), order_by_size);
	uint64_t left = options->shared_budget_bytes;
	for (size_t i = 0; !error && i < looses.list.count; i++) {
		const struct loose *loose = &looses.list.items[i];
		struct freeze_gap gap = {loose->start, loose->end, loose->why};
		if (loose->end - loose->start <= left) {
			left -= loose->end - loose->start;
			error = options->copy(options->context, index, loose->start, loose->end,
					      false);
		} else if (!array_push(&frozen->gaps, gap)) {
			error = error_no_memory();
		}
	}
	array_fini(&looses.list);
	free(clone_maps);
	return error;
}

static struct strobe_error *copy_all(struct frozen *frozen, size_t index,
				     const struct freeze_options *options)
{
	struct proc_mapping mapping;
	const char *at = frozen->maps;
	struct strobe_error *error = NULL;
	frozen->copy_why = options->no_clone ? not_asked : frozen->clone.why;
	while (!error && proc_next_mapping(&at, &mapping))
		if (!is_device(&mapping))
			error = options->copy(options->context, index, mapping.start, mapping.end,
					      true);
	return error ? error : options->look(options->context, index);
}

static struct strobe_error *note_unstopped(struct frozen *frozen)
{
	struct proc_mapping mapping;
	const char *at = frozen->maps;
	// A clone is of one instant even so: nobody but its maker ran while it was made.
	while (!frozen->cloned && frozen->threads.stuck_count && proc_next_mapping(&at, &mapping)) {
		struct freeze_gap gap = {mapping.start, mapping.end, not_stopped};
		if (mapping.writable && !array_push(&frozen->gaps, gap))
			return error_no_memory();
	}
	return NULL;
}

/** While all stand. */
static struct strobe_error *take_memory(struct frozen *frozen, size_t index,
					const struct freeze_options *options)
{
	frozen->maps = read_maps(threads_alive(&frozen->threads));
	if (!frozen->maps)
		return error_new(STROBE_ERROR_NOT_FOUND, "process %d ended while it was captured",
				 (int)frozen->threads.pid);
	const char *why = NULL;
	struct strobe_error *error = options->stand(options->context, index, &why);
	if (error)
		return error;
	if (why)
		snprintf(frozen->clone.why, sizeof(frozen->clone.why), "%s", why);
	if (!options->no_clone)
		frozen->cloned = clone_make(&frozen->clone, &frozen->threads, frozen->maps);
	return frozen->cloned ? copy_loose(frozen, index, options)
			      : copy_all(frozen, index, options);
}

/** What the kernel emptied in the clone: as it is by now in the process. */
static struct strobe_error *copy_wiped(struct frozen *frozen, size_t index,
				       const struct freeze_options *options)
{
	struct wiped wiped = {0};
	uint64_t left = options->shared_budget_bytes;
	bool enough = wiped_find(threads_alive(&frozen->threads), frozen->clone.pid, frozen->maps,
				 &wiped);
	for (size_t i = 0; enough && i < wiped.list.count; i++) {
		struct freeze_gap gap = {wiped.list.items[i].start, wiped.list.items[i].end,
					 wiped_away};
		if (gap.end - gap.start <= left) {
			left -= gap.end - gap.start;
			// Should the process have ended: it reads as zeros, and is marked.
			strobe_error_free(
				options->copy(options->context, index, gap.start, gap.end, false));
		}
		enough = array_push(&frozen->gaps, gap);
	}
	array_fini(&wiped.list);
	return enough ? NULL : error_no_memory();
}

static struct strobe_error *settle(struct frozen *frozen, size_t index,
				   const struct freeze_options *options)
{
	struct strobe_error *error = note_unstopped(frozen);
	if (!error && frozen->cloned)
		error = copy_wiped(frozen, index, options);
	if (frozen->gaps.count)
		qsort(frozen->gaps.items, frozen->gaps.count, sizeof(struct freeze_gap),
		      order_gaps);
	return error;
}

static void release(struct frozen *frozen)
{
	threads_release(&frozen->threads, frozen->cloned ? frozen->clone.maker : NULL);
	clone_finish(&frozen->clone, &frozen->threads);
}

/** The stop lasts as long as we wait for a processor: where we may, we go first. Returns the
 *  priority that was. */
static int hurry(void)
{
	errno = 0;
	int before = getpriority(PRIO_PROCESS, 0); // this thread's
	before = errno ? 0 : before;
	// Without CAP_SYS_NICE it takes as long as it takes.
	(void)setpriority(PRIO_PROCESS, 0, -20);
	return before;
}

void freeze_take(struct frozen *frozen, const pid_t *pids, size_t count,
		 const struct freeze_options *options, struct strobe_error **errors)
{
	// Waits of microseconds must not be rounded up to the usual fifty.
	prctl(PR_SET_TIMERSLACK, 1000, 0, 0, 0);
	for (size_t i = 0; i < count; i++) {
		errors[i] = threads_seize(&frozen[i].threads, pids[i], options->stop_limit_ms);
		if (!errors[i] && !options->no_clone)
			clone_prepare(&frozen[i].clone, &frozen[i].threads);
	}
	int priority = hurry();
	for (size_t i = 0; i < count; i++) {
		frozen[i].realtime_ns = clock_of(CLOCK_REALTIME);
		frozen[i].boottime_ns = clock_of(CLOCK_BOOTTIME);
		if (!errors[i])
			threads_interrupt(&frozen[i].threads);
	}
	for (size_t i = 0; i < count; i++)
		if (!errors[i])
			errors[i] = threads_wait(&frozen[i].threads);
	for (size_t i = 0; i < count; i++)
		if (!errors[i])
			clone_end_last(&frozen[i].threads);
	for (size_t i = 0; i < count; i++)
		if (!errors[i])
			errors[i] = take_memory(&frozen[i], i, options);
	for (size_t i = 0; i < count; i++)
		release(&frozen[i]);
	setpriority(PRIO_PROCESS, 0, priority);
	for (size_t i = 0; i < count; i++)
		if (errors[i])
			threads_give_up(&frozen[i].threads);
	for (size_t i = 0; i < count; i++)
		if (frozen[i].cloned)
			clone_await_end(&frozen[i].clone);
	for (size_t i = 0; i < count; i++)
		if (!errors[i])
			errors[i] = settle(&frozen[i], i, options);
	for (size_t i = 0; i < count; i++)
		if (!errors[i] && frozen[i].cloned)
			errors[i] = options->look(options->context, i);
}

void freeze_fini(struct frozen *frozen)
{
	clone_drop(&frozen->clone);
	threads_fini(&frozen->threads);
	array_fini(&frozen->gaps);
	free(frozen->maps);
}
