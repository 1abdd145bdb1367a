// SPDX-License-Identifier: Apache-2.0
// Which engines a session has: jumps where they can be had, uprobes for what those cannot take.
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "watch/watch.h"

enum { AGENT, UPROBE };	    // of engine_why
enum { AGENTS_LIMIT = 20 }; // of a process that executes program after program

static bool is_named(const struct strobe_watch *watch, const char *name)
{
	return watch->options.engine && strcmp(watch->options.engine, name) == 0;
}

/** Notes why an engine is not to be had; memory that is short, and a process that is no more, are errors of the session. */
static struct strobe_error *note(struct strobe_watch *watch, int which, struct strobe_error *error)
{
	enum strobe_error_code code = error ? strobe_error_code(error) : 0;
	if (!error || code == STROBE_ERROR_NO_MEMORY || code == STROBE_ERROR_NOT_FOUND)
		return error;
	snprintf(watch->engine_why[which], sizeof(watch->engine_why[which]), "%s",
		 strobe_error_message(error));
	return strobe_error_free(error);
}

/** Opens the agent, which has its place in the table. */
static struct strobe_error *open_agent(struct strobe_watch *watch)
{
	void *agent = NULL;
	if (watch->agents++ >= AGENTS_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "%d were lost", AGENTS_LIMIT);
	struct strobe_error *error =
		agent_engine.open(watch->pid, native_program_symbols(watch->program), &agent);
	if (error)
		return error;
	watch->engines[0].engine = agent;
	return watch_wake_by(watch, agent_engine.descriptor(agent));
}

static struct strobe_error *open_uprobes(struct strobe_watch *watch)
{
	struct watch_engine *engine = &watch->engines[watch->engine_count];
	struct strobe_error *error = uprobe_engine.open(
		watch->pid, native_program_symbols(watch->program), &engine->engine);
	if (error)
		return error;
	engine->ops = &uprobe_engine;
	watch->engine_count++;
	return watch_wake_by(watch, uprobe_engine.descriptor(engine->engine));
}

static struct strobe_error *say_both(struct strobe_error *agent, const char *uprobes)
{
	if (strobe_error_code(agent) == STROBE_ERROR_NO_MEMORY)
		return agent;
	struct strobe_error *both =
		error_set_errno(error_new(strobe_error_code(agent), "%s; nor jumps: %s", uprobes,
					  strobe_error_message(agent)),
				strobe_error_errno(agent));
	strobe_error_free(agent);
	return both;
}

struct strobe_error *watch_open_engines(struct strobe_watch *watch)
{
	bool automatic = !watch->options.engine || is_named(watch, "auto");
	bool agent = is_named(watch, agent_engine.name);
	struct strobe_error *error = NULL;
	if (!automatic && !agent && !is_named(watch, uprobe_engine.name))
		return error_new(STROBE_ERROR_UNSUPPORTED,
				 "no engine '%.50s'; there are auto, agent and uprobe",
				 watch->options.engine);
	if (automatic || agent)
		watch->engines[watch->engine_count++].ops = &agent_engine;
	if (agent)
		error = open_agent(watch);
	if (!error)
		error = open_uprobes(watch);
	// Without uprobes there is still what jumps can do.
	if (watch->engine_count && !(agent && !watch->engines[0].engine))
		error = note(watch, UPROBE, error);
	if (error || !watch->engine_why[UPROBE][0] || agent)
		return error;
	error = open_agent(watch);
	return error ? say_both(error, watch->engine_why[UPROBE]) : NULL;
}

unsigned watch_uprobes(const struct strobe_watch *watch)
{
	for (unsigned i = 0; i < watch->engine_count; i++)
		if (watch->engines[i].ops == &uprobe_engine)
			return i;
	return watch->engine_count;
}

/** None is in the way of the uprobes: engine 0 is theirs now. */
static void forget_agent(struct strobe_watch *watch)
{
	for (size_t i = 0; i < watch->places.count; i++) {
		struct watch_place *place = watch->places.items[i];
		if (place && place->engine == 0)
			place->probe = 0;
		else if (place)
			place->engine = 0;
	}
	watch->engines[0] = watch->engines[1];
	watch->engine_count--;
}

/** It cannot be had (any more), for this reason, which is taken over: uprobes are left, or nothing is. */
static struct strobe_error *do_without_agent(struct strobe_watch *watch, struct strobe_error *why)
{
	bool alone = watch->engine_count < 2;
	if (alone || strobe_error_code(why) == STROBE_ERROR_NO_MEMORY)
		return why;
	forget_agent(watch);
	snprintf(watch->engine_why[AGENT], sizeof(watch->engine_why[AGENT]), "%s",
		 strobe_error_message(why));
	strobe_error_free(why);
	return NULL;
}

struct strobe_error *watch_have_agent(struct strobe_watch *watch, bool *ret)
{
	struct strobe_error *error = NULL;
	*ret = watch->engine_count && watch->engines[0].ops == &agent_engine;
	if (!*ret || watch->engines[0].engine)
		return NULL;
	error = open_agent(watch);
	if (error)
		error = do_without_agent(watch, error);
	*ret = watch->engines[0].engine && watch->engines[0].ops == &agent_engine;
	return error;
}

struct strobe_error *watch_lose_agent(struct strobe_watch *watch, struct strobe_error *error)
{
	if (watch->engines[0].ops != &agent_engine ||
	    strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
		return error;
	for (size_t i = 0; i < watch->places.count; i++)
		if (watch->places.items[i] && watch->places.items[i]->engine == 0)
			watch->places.items[i]->probe = 0;
	agent_engine.close(watch->engines[0].engine);
	watch->engines[0].engine = NULL;
	watch->lost = true;
	struct strobe_error *again = open_agent(watch);
	strobe_error_free(error);
	return again ? do_without_agent(watch, again) : NULL;
}

const char *strobe_watch_lacks(struct strobe_watch *watch)
{
	if (watch->engine_why[AGENT][0])
		snprintf(watch->lacks, sizeof(watch->lacks), "by uprobes alone, no jumps: %s",
			 watch->engine_why[AGENT]);
	else if (watch->engine_why[UPROBE][0])
		snprintf(watch->lacks, sizeof(watch->lacks), "by jumps alone, no uprobes: %s",
			 watch->engine_why[UPROBE]);
	return watch->lacks[0] ? watch->lacks : NULL;
}
