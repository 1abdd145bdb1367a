// SPDX-License-Identifier: Apache-2.0
// Servers that results go to, and tracepoints come from.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/tracepoint_server.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "deep/deep.h"
#include "otlp/otlp.h"
#include "watch/watch.h"

bool watch_sink(struct strobe_watch *watch, const struct result *result)
{
	bool taken = true;
	for (size_t i = 0; i < watch->sinks.count; i++)
		taken &= watch->sinks.items[i].put(watch->sinks.items[i].context, result);
	return taken;
}

int watch_work(struct strobe_watch *watch)
{
	enum { IDLE_MS = 500 };
	int ret = IDLE_MS;
	for (size_t i = 0; i < watch->sinks.count; i++) {
		int wish = watch->sinks.items[i].work(watch->sinks.items[i].context, 0);
		ret = wish >= 0 && wish < ret ? wish : ret;
	}
	return ret;
}

void watch_close_sinks(struct strobe_watch *watch)
{
	for (size_t i = 0; i < watch->sinks.count; i++)
		watch->sinks.items[i].close(watch->sinks.items[i].context);
	array_fini(&watch->sinks);
	array_fini(&watch->resource);
	arena_fini(&watch->resource_arena);
}

// What the process is, as OpenTelemetry names it.

static bool has_resource(const struct strobe_watch *watch, const char *name)
{
	for (size_t i = 0; i < watch->resource.count; i++)
		if (strcmp(watch->resource.items[i].name, name) == 0)
			return true;
	return false;
}

/** What was said by the user stays. */
static bool add_resource(struct strobe_watch *watch, const char *name, const char *value)
{
	if (!value || has_resource(watch, name))
		return true;
	struct strobe_pair pair = {arena_strdup(&watch->resource_arena, name),
				   arena_strdup(&watch->resource_arena, value)};
	return pair.name && pair.value && array_push(&watch->resource, pair);
}

static const char *base_name(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash ? slash + 1 : path;
}

static struct strobe_error *make_resource(struct strobe_watch *watch)
{
	char link[64], path[4096] = "", pid[16], host[256] = "", service[300];
	bool good = true;
	if (watch->resource.count)
		return NULL;
	snprintf(link, sizeof(link), "/proc/%d/exe", watch->pid);
	ssize_t size = readlink(link, path, sizeof(path) - 1);
	path[size > 0 ? size : 0] = 0;
	gethostname(host, sizeof(host) - 1);
	snprintf(pid, sizeof(pid), "%d", watch->pid);
	snprintf(service, sizeof(service), "unknown_service:%.250s",
		 *path ? base_name(path) : "native");
	for (size_t i = 0; i < watch->options.resource_count; i++)
		good &= add_resource(watch, watch->options.resource[i].name,
				     watch->options.resource[i].value);
	good = good && add_resource(watch, "service.name", service) &&
	       add_resource(watch, "telemetry.sdk.name", "strobe") &&
	       add_resource(watch, "telemetry.sdk.language", "c") &&
	       add_resource(watch, "telemetry.sdk.version", STROBE_VERSION) &&
	       add_resource(watch, "process.pid", pid) &&
	       add_resource(watch, "process.executable.path", *path ? path : NULL) &&
	       add_resource(watch, "host.name", *host ? host : NULL);
	return good ? NULL : error_no_memory();
}

// Servers.

static struct strobe_error *configure(void *context, const char *hash,
				      const struct strobe_tracepoint *tracepoints, size_t count,
				      const struct strobe_tracepoint_problem **problems,
				      size_t *problem_count)
{
	return strobe_watch_configure(context, "deep", hash, tracepoints, count, problems,
				      problem_count);
}

static int64_t now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

struct strobe_error *strobe_watch_deep(struct strobe_watch *watch,
				       const struct strobe_deep_options *options)
{
	struct result_sink sink;
	const struct deep_host host = {configure, watch};
	if (watch->has_deep)
		return error_new(STROBE_ERROR_INVALID, "the session has such a server already");
	struct strobe_error *error = make_resource(watch);
	if (!error)
		error = deep_open(options, watch->resource.items, watch->resource.count, &host,
				  &sink);
	if (error)
		return error;
	if (!array_push(&watch->sinks, sink)) {
		sink.close(sink.context);
		return error_no_memory();
	}
	watch->has_deep = true;
	enum { SLICE_MS = 20 };
	int64_t wait = options->size >= offsetof(struct strobe_deep_options, wait_ms) + 4
			       ? options->wait_ms
			       : 0;
	for (int64_t end = now_ms() + wait; now_ms() < end && !deep_answered(&sink);)
		sink.work(sink.context, SLICE_MS);
	return NULL;
}

struct strobe_error *strobe_watch_otlp(struct strobe_watch *watch,
				       const struct strobe_otlp_options *options)
{
	struct result_sink sink;
	struct strobe_error *error = make_resource(watch);
	if (!error)
		error = otlp_open(options, watch->resource.items, watch->resource.count, &sink);
	if (error)
		return error;
	if (!array_push(&watch->sinks, sink)) {
		sink.close(sink.context);
		return error_no_memory();
	}
	return NULL;
}

size_t strobe_watch_delivery_count(const struct strobe_watch *watch)
{
	return watch->sinks.count;
}

void strobe_watch_delivery(const struct strobe_watch *watch, size_t index,
			   struct strobe_delivery *ret)
{
	watch->sinks.items[index].tell(watch->sinks.items[index].context, ret);
}
