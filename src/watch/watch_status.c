// SPDX-License-Identifier: Apache-2.0
// How tracepoints do.
#include <stdlib.h>
#include <string.h>
#include <strobe/tracepoint_session.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "watch/watch.h"

/** What its engine counted at a place; false if it is not armed. */
static bool place_totals(const struct strobe_watch *watch, const struct watch_place *place,
			 struct engine_totals *ret)
{
	if (!place || !place->probe)
		return false;
	const struct watch_engine *engine = &watch->engines[place->engine];
	engine->ops->totals(engine->engine, place->probe, ret);
	return true;
}

size_t strobe_watch_count(const struct strobe_watch *watch)
{
	return watch->entries.count;
}

void strobe_watch_status(struct strobe_watch *watch, size_t index,
			 struct strobe_tracepoint_status *ret)
{
	struct watch_entry *entry = watch->entries.items[index];
	*ret = (struct strobe_tracepoint_status){
		.id = entry->config->id,
		.path = entry->config->path,
		.line = entry->config->line,
		.method_name = entry->config->method_name,
		.state = entry->armed.count					? "armed"
			 : entry->why && strncmp(entry->why, "pending", 7) == 0 ? "pending"
			 : entry->why						? "rejected"
										: "disarmed",
		.moved_to = entry->moved_to,
		.armed = entry->armed.items,
		.armed_count = entry->armed.count,
		.error = entry->why,
	};
	handler_status(watch->handler, entry->config, ret);
	struct watch_use use = watch_use(watch, entry);
	ret->cost_ns = use.cost_ns;
	ret->dropped += use.dropped;
	ret->hits += use.skipped;
}

struct watch_use watch_use(struct strobe_watch *watch, const struct watch_entry *entry)
{
	struct watch_use ret = {0};
	for (size_t i = 0; i < watch->places.count; i++) {
		struct engine_totals totals;
		const struct watch_place *place = watch->places.items[i];
		if (!place_totals(watch, place, &totals))
			continue;
		for (size_t j = 0; j < place->roles.count; j++) {
			if (place->roles.items[j].config != entry->config)
				continue;
			ret.hits += totals.hits;
			ret.cost_ns += watch_cost(watch, place, &totals);
			ret.dropped += totals.dropped;
			ret.skipped += totals.skipped;
			break; // it may be there for more than one thing
		}
	}
	return ret;
}

static struct strobe_error *tell_one(struct strobe_watch *watch, size_t index)
{
	struct strobe_tracepoint_status status;
	struct timespec now;
	struct text json cleanup_text = {0}, text cleanup_text = {0};
	struct result *result = calloc(1, sizeof(*result));
	if (!result)
		return error_no_memory();
	clock_gettime(CLOCK_REALTIME, &now);
	strobe_watch_status(watch, index, &status);
	*result = (struct result){.kind = RESULT_STATUS,
				  .config = watch->entries.items[index]->config,
				  .pid = watch->pid,
				  .time_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec,
				  .status = &status};
	result_write_json(result, &json);
	result_write_text(result, &text);
	result_free(result);
	if (json.failed || text.failed)
		return error_no_memory();
	for (size_t i = 0; i < watch->takers.count; i++)
		watch->takers.items[i].taker(watch->takers.items[i].context, "status",
					     text_string(&json), json.size, text_string(&text));
	return NULL;
}

struct strobe_error *strobe_watch_tell_status(struct strobe_watch *watch)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < watch->entries.count && !error; i++)
		error = tell_one(watch, i);
	return error;
}

void strobe_watch_totals(struct strobe_watch *watch, struct strobe_watch_totals *ret)
{
	uint64_t told = 0; // hits that were lost, and whose that is known
	struct engine_totals totals;
	*ret = (struct strobe_watch_totals){0};
	for (size_t i = 0; i < watch->entries.count; i++) {
		struct strobe_tracepoint_status status;
		strobe_watch_status(watch, i, &status);
		ret->armed_count += status.armed_count > 0;
		ret->hits += status.hits;
		ret->fired += status.fired;
		ret->errors += status.errors;
		ret->dropped += status.dropped;
		ret->cost_ns += status.cost_ns;
	}
	for (size_t i = 0; i < watch->places.count; i++)
		if (place_totals(watch, watch->places.items[i], &totals))
			told += totals.dropped;
	for (unsigned i = 0; i < watch->engine_count; i++) {
		if (!watch->engines[i].engine)
			continue;
		watch->engines[i].ops->totals(watch->engines[i].engine, 0, &totals);
		ret->lost += totals.dropped;
	}
	ret->lost -= told < ret->lost ? told : ret->lost;
}

int strobe_watch_ended_by(const struct strobe_watch *watch)
{
	return watch->ended_by;
}
