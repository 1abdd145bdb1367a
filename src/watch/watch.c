// SPDX-License-Identifier: Apache-2.0
// A session: hits become events, events become results, results go to their takers.
#include "watch/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/hold.h>
#include <strobe/snapshot.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

enum { LOOK_EVERY_NS = 500000000, NS_PER_MS = 1000000 };

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// What the handler has done by others.

static void give(void *context, struct result *result)
{
	struct strobe_watch *watch = context;
	static const char *const kinds[] = {"snapshot", "log", "metric", "span", "status"};
	struct text json cleanup_text = {0}, text cleanup_text = {0};
	if (watch->takers.count) {
		result_write_json(result, &json);
		result_write_text(result, &text);
	}
	bool taken = watch->takers.count == 0;
	for (size_t i = 0; i < watch->takers.count && !json.failed; i++)
		taken |= watch->takers.items[i].taker(watch->takers.items[i].context,
						      kinds[result->kind], text_string(&json),
						      json.size, text_string(&text));
	taken &= watch_sink(watch, result);
	watch->given++;
	watch->bytes_given += json.size;
	watch->refused += !taken;
	result_free(result);
}

static void set_enabled(void *context, const struct tracepoint_config *config, bool enabled)
{
	struct strobe_watch *watch = context;
	for (size_t i = 0; i < watch->entries.count; i++)
		if (watch->entries.items[i]->config == config &&
		    watch->entries.items[i]->enabled != enabled) {
			watch->entries.items[i]->enabled = enabled;
			watch->stale = true; // not in the middle of a hit
		}
}

/** The error's one line, for as long as the next is not asked for. */
static bool say_why(struct strobe_watch *watch, struct strobe_error *error, const char **why)
{
	if (!error)
		return true;
	snprintf(watch->why, sizeof(watch->why), "%s", strobe_error_message(error));
	strobe_error_free(error);
	*why = watch->why;
	return false;
}

static bool hold(void *context, const struct event *event, const char *name, const char **why)
{
	struct strobe_hold *held = NULL;
	struct strobe_error *error = strobe_hold_take(event->pid, NULL, name, &held);
	strobe_hold_free(held);
	return say_why(context, error, why);
}

static bool snap(void *context, const struct event *event, const char *path, const char **why)
{
	struct strobe_snapshot *snapshot = NULL;
	struct strobe_view *view = NULL;
	struct strobe_write_options options = {.size = sizeof(options), .no_fsync = true};
	struct strobe_written written;
	struct strobe_error *error = strobe_snapshot_take(event->pid, NULL, &snapshot);
	if (!error)
		error = strobe_snapshot_view(snapshot, NULL, &view);
	if (!error)
		error = strobe_snapshot_write(view, path, &options, &written);
	strobe_view_close(view);
	strobe_snapshot_close(snapshot);
	return say_why(context, error, why);
}

// Sessions.

struct strobe_error *watch_wake_by(struct strobe_watch *watch, int descriptor)
{
	struct epoll_event event = {.events = EPOLLIN};
	return epoll_ctl(watch->wakes, EPOLL_CTL_ADD, descriptor, &event) == 0
		       ? NULL
		       : error_errno(errno, "epoll");
}

static struct strobe_error *open_all(struct strobe_watch *watch)
{
	struct handler_actions actions = {.context = watch,
					  .hold = hold,
					  .snap = snap,
					  .record = watch_record,
					  .enabled = set_enabled,
					  .give = give};
	watch->wakes = epoll_create1(EPOLL_CLOEXEC);
	if (watch->wakes < 0)
		return error_errno(errno, "epoll");
	watch->process = (int)syscall(SYS_pidfd_open, watch->pid, 0);
	if (watch->process < 0)
		return errno == ESRCH
			       ? error_new(STROBE_ERROR_NOT_FOUND, "no process %d", watch->pid)
			       : error_errno(errno, "process %d", watch->pid);
	struct strobe_error *error = watch_wake_by(watch, watch->process);
	if (!error)
		error = native_program_new(watch->pid, &watch->options, &watch->program);
	if (!error)
		error = handler_new(&actions, &watch->options, &watch->handler);
	return error ? error : watch_open_engines(watch);
}

struct strobe_error *strobe_watch_open(int pid, const struct strobe_watch_options *options,
				       struct strobe_watch **ret)
{
	struct strobe_watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return error_no_memory();
	watch->pid = pid;
	watch->process = watch->wakes = -1;
	if (options)
		memcpy(&watch->options, options,
		       options->size < sizeof(watch->options) ? options->size
							      : sizeof(watch->options));
	struct strobe_error *error = open_all(watch);
	if (error) {
		strobe_watch_close(watch);
		return error;
	}
	*ret = watch;
	return NULL;
}

static void free_entry(struct watch_entry *entry)
{
	for (size_t i = 0; i < entry->strings.count; i++)
		free(entry->strings.items[i]);
	array_fini(&entry->strings);
	array_fini(&entry->armed);
	free(entry->why);
	free(entry);
}

struct strobe_watch *strobe_watch_close(struct strobe_watch *watch)
{
	if (!watch)
		return NULL;
	session_unpublish(watch->server);
	watch_end_guard(watch);
	for (size_t i = 0; i < watch->entries.count; i++) {
		watch_disarm(watch, watch->entries.items[i]);
		free_entry(watch->entries.items[i]);
	}
	array_fini(&watch->entries);
	for (unsigned i = watch->engine_count; i-- > 0;)
		if (watch->engines[i].engine)
			watch->engines[i].ops->close(watch->engines[i].engine);
	session_close(watch->server);
	if (watch->handler)
		handler_thread_end(watch->handler, 0, clock_ns(CLOCK_MONOTONIC));
	watch_close_sinks(watch);
	handler_free(watch->handler);
	native_program_free(watch->program);
	array_fini(&watch->places);
	array_fini(&watch->raises);
	array_fini(&watch->takers);
	array_fini(&watch->listeners);
	array_fini(&watch->problems);
	watch_free_notes(watch);
	array_fini(&watch->notes);
	arena_fini(&watch->problems_arena);
	if (watch->process >= 0)
		close(watch->process);
	if (watch->wakes >= 0)
		close(watch->wakes);
	free(watch->hash);
	free(watch);
	return NULL;
}

/** Adds one that was read (taken over, also on an error). */
static struct strobe_error *add(struct strobe_watch *watch, struct tracepoint_config *config,
				struct watch_entry **ret)
{
	struct watch_entry *entry = calloc(1, sizeof(*entry));
	struct strobe_error *error =
		entry ? handler_add(watch->handler, config) : error_no_memory();
	if (error) {
		config_free(config);
		free(entry);
		return error;
	}
	*entry = (struct watch_entry){.config = config, .enabled = !config->disabled};
	if (!array_push(&watch->entries, entry)) {
		handler_remove(watch->handler, config);
		free(entry);
		return error_no_memory();
	}
	*ret = entry;
	return entry->enabled ? watch_arm(watch, entry) : NULL;
}

static void drop(struct strobe_watch *watch, size_t index)
{
	struct watch_entry *entry = watch->entries.items[index];
	watch_disarm(watch, entry);
	handler_remove(watch->handler, entry->config);
	free_entry(entry);
	memmove(&watch->entries.items[index], &watch->entries.items[index + 1],
		(--watch->entries.count - index) * sizeof(*watch->entries.items));
}

static size_t find_id(const struct strobe_watch *watch, const char *id)
{
	for (size_t i = 0; i < watch->entries.count; i++)
		if (strcmp(watch->entries.items[i]->config->id, id) == 0)
			return i;
	return SIZE_MAX;
}

/** The ids of all tracepoints, NULL-terminated, malloc'ed; NULL when memory is short. */
static char **list_ids(const struct strobe_watch *watch)
{
	char **ids = calloc(watch->entries.count + 1, sizeof(*ids));
	for (size_t i = 0; ids && i < watch->entries.count; i++)
		ids[i] = strdup(watch->entries.items[i]->config->id);
	return ids;
}

static void free_ids(char **ids)
{
	for (char **id = ids; id && *id; id++)
		free(*id);
	free(ids);
}

/** Tells the listeners; what one of them does hurts no other. */
static void tell(struct strobe_watch *watch, char **before, const char *old_hash,
		 const char *new_hash)
{
	char **after = watch->listeners.count ? list_ids(watch) : NULL;
	for (size_t i = 0; after && before && i < watch->listeners.count; i++)
		strobe_error_free(watch->listeners.items[i].listener(
			watch->listeners.items[i].context, clock_ns(CLOCK_REALTIME), old_hash,
			new_hash, (const char *const *)before, (const char *const *)after));
	free_ids(after);
	free_ids(before);
}

struct strobe_error *strobe_watch_register(struct strobe_watch *watch,
					   const struct strobe_tracepoint *tracepoint,
					   const char **ret_id)
{
	struct tracepoint_config *config = NULL;
	struct watch_entry *entry = NULL;
	struct strobe_error *error = config_new(tracepoint, "library", &config);
	if (error)
		return error;
	if (find_id(watch, config->id) != SIZE_MAX) {
		error = error_new(STROBE_ERROR_INVALID, "there is a tracepoint '%.100s' already",
				  config->id);
		config_free(config);
		return error;
	}
	char **before = watch->listeners.count ? list_ids(watch) : NULL;
	error = add(watch, config, &entry);
	if (error) {
		free_ids(before);
		return error;
	}
	tell(watch, before, watch->hash, watch->hash);
	if (ret_id)
		*ret_id = entry->config->id;
	return NULL;
}

bool strobe_watch_unregister(struct strobe_watch *watch, const char *id)
{
	size_t index = find_id(watch, id);
	if (index == SIZE_MAX)
		return false;
	char **before = watch->listeners.count ? list_ids(watch) : NULL;
	drop(watch, index);
	tell(watch, before, watch->hash, watch->hash);
	return true;
}

/** Notes what is wrong with one of a configuration. */
static struct strobe_error *note_problem(struct strobe_watch *watch, size_t index, const char *what)
{
	struct strobe_tracepoint_problem problem = {index,
						    arena_strdup(&watch->problems_arena, what)};
	return problem.what && array_push(&watch->problems, problem) ? NULL : error_no_memory();
}

/** One of a configuration: the same as before, changed, new, or wrong. */
static struct strobe_error *configure_one(struct strobe_watch *watch, const char *source,
					  const struct strobe_tracepoint *written, size_t index,
					  bool *kept)
{
	struct tracepoint_config *config = NULL;
	struct watch_entry *entry = NULL;
	struct strobe_error *error = config_new(written, source, &config);
	if (error && strobe_error_code(error) != STROBE_ERROR_NO_MEMORY) {
		struct strobe_error *noted =
			note_problem(watch, index, strobe_error_message(error));
		strobe_error_free(error);
		return noted;
	}
	if (error)
		return error;
	size_t known = find_id(watch, config->id);
	if (known == SIZE_MAX)
		return add(watch, config, &entry);
	const struct tracepoint_config *other = watch->entries.items[known]->config;
	if (strcmp(other->source, source) != 0 || kept[known]) {
		config_free(config);
		return note_problem(watch, index, "another tracepoint has that id");
	}
	if (other->hash == config->hash) {
		kept[known] = true;
		config_free(config);
		return NULL;
	}
	// Changed: a new one, with counts of its own, in the place of the old one.
	drop(watch, known);
	memmove(&kept[known], &kept[known + 1], watch->entries.count - known);
	kept[watch->entries.count] = true;
	return add(watch, config, &entry);
}

struct strobe_error *
strobe_watch_configure(struct strobe_watch *watch, const char *source, const char *hash,
		       const struct strobe_tracepoint *tracepoints, size_t count,
		       const struct strobe_tracepoint_problem **problems, size_t *problem_count)
{
	struct strobe_error *error = NULL;
	bool *kept = calloc(watch->entries.count + count + 1, sizeof(*kept));
	char **before = list_ids(watch);
	if (!kept || !before) {
		free(kept);
		free_ids(before);
		return error_no_memory();
	}
	watch->problems.count = 0;
	arena_fini(&watch->problems_arena);
	watch->problems_arena = (struct arena){0};
	for (size_t i = 0; i < watch->entries.count; i++)
		kept[i] = strcmp(watch->entries.items[i]->config->source, source) != 0;
	for (size_t i = 0; i < count && !error; i++) {
		size_t entries = watch->entries.count;
		error = configure_one(watch, source, &tracepoints[i], i, kept);
		if (watch->entries.count > entries)
			kept[watch->entries.count - 1] = true;
	}
	for (size_t i = watch->entries.count; i-- > 0 && !error;)
		if (!kept[i])
			drop(watch, i);
	free(kept);
	char *old_hash = watch->hash;
	watch->hash = hash ? strdup(hash) : NULL;
	tell(watch, before, old_hash, watch->hash);
	free(old_hash);
	*problems = watch->problems.items;
	*problem_count = watch->problems.count;
	return error;
}

struct strobe_error *strobe_watch_listen(struct strobe_watch *watch, strobe_watch_listener listener,
					 void *context)
{
	return array_push(&watch->listeners, (struct watch_listener){listener, context})
		       ? NULL
		       : error_no_memory();
}

void strobe_watch_unlisten(struct strobe_watch *watch, strobe_watch_listener listener,
			   void *context)
{
	for (size_t i = watch->listeners.count; i-- > 0;)
		if (watch->listeners.items[i].listener == listener &&
		    watch->listeners.items[i].context == context)
			memmove(&watch->listeners.items[i], &watch->listeners.items[i + 1],
				(--watch->listeners.count - i) * sizeof(*watch->listeners.items));
}

struct strobe_error *strobe_watch_take(struct strobe_watch *watch, strobe_watch_result taker,
				       void *context)
{
	return array_push(&watch->takers, (struct watch_taker){taker, context}) ? NULL
										: error_no_memory();
}

// Hits.

/** A hit that comes while an error is on its way out is lost. */
struct polling {
	struct strobe_watch *watch;
	struct strobe_error *error;
	int64_t wall_offset_ns;
	uint64_t hits;
};

static void see_hit(void *context, const struct engine_hit *hit)
{
	struct polling *polling = context;
	polling->hits++;
	if (!polling->error)
		watch_hit(polling->watch, hit, polling->wall_offset_ns, &polling->error);
}

/** What hits switched on or off, between two hits. */
static struct strobe_error *catch_up(struct strobe_watch *watch)
{
	struct strobe_error *error = NULL;
	watch->stale = false;
	for (size_t i = 0; i < watch->entries.count && !error; i++) {
		struct watch_entry *entry = watch->entries.items[i];
		if (!watch_is_on(entry))
			watch_disarm(watch, entry);
		else if (entry->armed.count == 0)
			error = watch_arm(watch, entry);
	}
	return error;
}

static bool has_ended(const struct strobe_watch *watch)
{
	struct pollfd process = {.fd = watch->process, .events = POLLIN};
	return poll(&process, 1, 0) > 0;
}

/** Hits of all engines; waits where none has any. `*ended`: the process is no more, and its last hits are handled. */
static struct strobe_error *wait_hits(struct strobe_watch *watch, int timeout_ms,
				      struct polling *polling, bool *ended)
{
	struct pollfd wakes = {.fd = watch->wakes, .events = POLLIN};
	struct strobe_error *error = NULL;
	poll(&wakes, 1, timeout_ms);
	bool gone = has_ended(watch);
	for (unsigned i = 0; i < watch->engine_count && !error; i++) {
		bool ignored;
		if (!watch->engines[i].engine)
			continue;
		error = watch->engines[i].ops->wait(watch->engines[i].engine, 0, see_hit, polling,
						    &ignored);
	}
	*ended = gone && polling->hits == 0;
	return error;
}

static bool thread_lives(void *context, int tid)
{
	const struct strobe_watch *watch = context;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task/%d", watch->pid, tid);
	return access(path, F_OK) == 0;
}

struct strobe_error *strobe_watch_poll(struct strobe_watch *watch, int timeout_ms, bool *ended)
{
	int64_t start = clock_ns(CLOCK_MONOTONIC), now = start;
	struct polling polling = {.watch = watch};
	struct strobe_error *error = NULL;
	*ended = false;
	watch_go(watch);
	do {
		if (now >= watch->next_look_ns && !has_ended(watch)) {
			watch->next_look_ns = now + LOOK_EVERY_NS;
			error = watch_look_again(watch);
			// It may end just then; its last hits come first.
			if (error && strobe_error_code(error) == STROBE_ERROR_NOT_FOUND)
				error = strobe_error_free(error);
			handler_tick(watch->handler, now);
			handler_miss_threads(watch->handler, thread_lives, watch, now);
		}
		int64_t left = timeout_ms < 0 ? LOOK_EVERY_NS
					      : (int64_t)timeout_ms * NS_PER_MS - (now - start);
		int64_t servers_want = (int64_t)watch_work(watch) * NS_PER_MS;
		left = left < 0 ? 0 : left > LOOK_EVERY_NS ? LOOK_EVERY_NS : left;
		left = left < servers_want ? left : servers_want;
		polling.wall_offset_ns = clock_ns(CLOCK_REALTIME) - clock_ns(CLOCK_MONOTONIC);
		uint64_t before = watch->given;
		polling.hits = 0;
		if (!error)
			error = wait_hits(watch, (int)(left / NS_PER_MS), &polling, ended);
		session_serve(watch);
		*ended |= watch->ended_by != 0;
		if (!error)
			error = polling.error;
		if (!error && watch->stale)
			error = catch_up(watch);
		if (!error)
			error = watch_judge(watch, clock_ns(CLOCK_MONOTONIC));
		if (watch->given != before)
			break;
		now = clock_ns(CLOCK_MONOTONIC);
	} while (!error && !*ended &&
		 (timeout_ms < 0 || now - start < (int64_t)timeout_ms * NS_PER_MS));
	return error;
}

int strobe_watch_pid(const struct strobe_watch *watch)
{
	return watch->pid;
}

int strobe_watch_descriptor(const struct strobe_watch *watch)
{
	return watch->wakes;
}
