// SPDX-License-Identifier: Apache-2.0
#include "deep/deep.h"

#include <ctype.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "deep/channel.h"
#include "deep/messages.h"

/** Named limits: snapshots that are on their way at once; tries of one that the server says no to; a snapshot that servers take; a
 *  response; headers; how often it is looked for what comes. */
enum {
	IN_FLIGHT_LIMIT = 8,
	TRY_LIMIT = 5,
	SNAPSHOT_LIMIT = 4 << 20,
	RESPONSE_LIMIT = 4 << 20,
	METADATA_LIMIT = 16,
	BUSY_MS = 5,
	IDLE_MS = 200,
	REJECTED_TOLD = 20,
	NS_PER_MS = 1000000
};

/** A snapshot on its way or in the queue. */
struct item {
	struct deep *deep;
	struct item *next;
	struct message message;
	unsigned tries; // that the server itself said no to
	bool sent_before;
};

/** Invariants: `waiting` items are in the list, `bytes` are theirs and those in flight; no item is in both. */
struct deep {
	struct strobe_deep_options options; // strings are in `arena`
	struct arena arena;
	struct channel *channel;
	const struct strobe_pair *resource;
	size_t resource_count;
	struct deep_host host;
	char *basic; // the header's value; NULL
	struct item *first, **last;
	size_t waiting, in_flight, bytes;
	int64_t next_poll_ns, next_send_ns;
	unsigned poll_failures, send_failures;
	bool polling, answered, closing;
	char *hash;
	uint64_t sent, dropped, dropped_told, retried, polls;
	char wrong[300]; // "" = nothing
};

static int64_t now_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void report(struct deep *deep, const char *what)
{
	if (deep->options.report)
		deep->options.report(deep->options.report_context, what);
}

/** Says what is wrong, once for as long as it stays the same. */
static void note(struct deep *deep, const char *what, const char *why)
{
	char text[sizeof(deep->wrong)];
	snprintf(text, sizeof(text), "%s: %s", what, why);
	if (strcmp(text, deep->wrong) == 0)
		return;
	strcpy(deep->wrong, text);
	report(deep, text);
}

static void note_good(struct deep *deep)
{
	if (*deep->wrong)
		report(deep, "the server answers again");
	*deep->wrong = 0;
}

static const char *name_status(enum grpc_status status)
{
	static const char *const names[] = {"OK",
					    "CANCELLED",
					    "UNKNOWN",
					    "INVALID_ARGUMENT",
					    "DEADLINE_EXCEEDED",
					    "NOT_FOUND",
					    "ALREADY_EXISTS",
					    "PERMISSION_DENIED",
					    "RESOURCE_EXHAUSTED",
					    "FAILED_PRECONDITION",
					    "ABORTED",
					    "OUT_OF_RANGE",
					    "UNIMPLEMENTED",
					    "INTERNAL",
					    "UNAVAILABLE",
					    "DATA_LOSS",
					    "UNAUTHENTICATED"};
	return (size_t)status < sizeof(names) / sizeof(names[0]) ? names[status] : "UNKNOWN";
}

static void note_status(struct deep *deep, const char *what, enum grpc_status status,
			const char *message)
{
	char why[260];
	snprintf(why, sizeof(why), "%s: %s", name_status(status), message);
	note(deep, what, why);
}

static int64_t backoff_ns(const struct deep *deep, unsigned failures)
{
	uint64_t wait = deep->options.backoff_ms;
	for (unsigned i = 0; i < failures && wait < deep->options.backoff_limit_ms; i++)
		wait *= 2;
	if (wait > deep->options.backoff_limit_ms)
		wait = deep->options.backoff_limit_ms;
	return (int64_t)wait * NS_PER_MS;
}

/** The headers of a call. */
static size_t make_headers(const struct deep *deep,
			   struct strobe_pair ret[static METADATA_LIMIT + 1])
{
	size_t count = 0;
	const char *authorization =
		deep->options.authorize ? deep->options.authorize(deep->options.authorize_context)
					: deep->basic;
	if (authorization && !authorization[strcspn(authorization, "\r\n")])
		ret[count++] = (struct strobe_pair){"authorization", authorization};
	for (size_t i = 0; i < deep->options.metadata_count; i++)
		ret[count++] = deep->options.metadata[i];
	return count;
}

// Polling.

/** A server is not trusted with this machine's files, unless that was said. */
static void refuse_files(struct deep *deep, struct poll_answer *answer)
{
	static const char *const names[] = {"hold", "snap", "record"};
	for (size_t i = 0; i < answer->count && !deep->options.allow_files;) {
		struct strobe_tracepoint *one = &answer->tracepoints[i];
		const char *found = NULL;
		for (size_t j = 0; j < one->argument_count && !found; j++)
			for (size_t k = 0; k < sizeof(names) / sizeof(names[0]); k++)
				if (strcasecmp(one->arguments[j].name, names[k]) == 0)
					found = names[k];
		if (!found) {
			i++;
			continue;
		}
		char text[200];
		snprintf(text, sizeof(text),
			 "tracepoint '%.60s' is not taken: %s, for a server, must be allowed here",
			 one->id ? one->id : "", found);
		report(deep, text);
		memmove(one, one + 1, (--answer->count - i) * sizeof(*one));
	}
}

static struct strobe_error *configure(struct deep *deep, struct poll_answer *answer)
{
	const struct strobe_tracepoint_problem *problems = NULL;
	size_t problem_count = 0;
	refuse_files(deep, answer);
	char *hash = answer->hash ? strdup(answer->hash) : NULL;
	struct strobe_error *error =
		deep->host.configure(deep->host.context, answer->hash, answer->tracepoints,
				     answer->count, &problems, &problem_count);
	for (size_t i = 0; i < problem_count && i < REJECTED_TOLD; i++) {
		char text[400];
		const char *id = problems[i].index < answer->count
					 ? answer->tracepoints[problems[i].index].id
					 : NULL;
		snprintf(text, sizeof(text), "tracepoint '%.60s' is not taken: %.250s",
			 id ? id : "", problems[i].what);
		report(deep, text);
	}
	if (error) {
		free(hash);
		return error;
	}
	free(deep->hash);
	deep->hash = hash;
	return NULL;
}

static void plan_poll(struct deep *deep)
{
	int64_t interval = (int64_t)deep->options.interval_ms * NS_PER_MS,
		now = now_ns(CLOCK_MONOTONIC);
	int64_t wait = interval;
	if (deep->poll_failures) {
		wait = backoff_ns(deep, deep->poll_failures - 1);
		if (wait > interval)
			wait = interval;
	}
	deep->next_poll_ns = now + wait;
}

static void polled(void *context, enum grpc_status status, const char *message, const uint8_t *body,
		   size_t size)
{
	struct deep *deep = context;
	struct poll_answer answer;
	struct strobe_error *error = NULL;
	deep->polling = false;
	if (status == GRPC_OK)
		error = message_read_poll(body, size, &answer);
	if (status == GRPC_OK && !error) {
		deep->polls++;
		if (answer.update)
			error = configure(deep, &answer);
		poll_answer_fini(&answer);
	}
	if (status != GRPC_OK)
		note_status(deep, "poll", status, message);
	else if (error)
		note(deep, "poll", strobe_error_message(error));
	else
		note_good(deep);
	bool good = status == GRPC_OK && !error;
	if (good && deep->poll_failures)
		deep->next_send_ns = 0; // it is back
	deep->answered |= good;
	deep->poll_failures = good ? 0 : deep->poll_failures + 1;
	strobe_error_free(error);
	plan_poll(deep);
}

static void poll_server(struct deep *deep)
{
	struct message message = {0};
	struct strobe_pair headers[METADATA_LIMIT + 1];
	struct strobe_error *error = message_poll(now_ns(CLOCK_REALTIME), deep->hash,
						  deep->resource, deep->resource_count, &message);
	strobe_error_free(error);
	deep->polling =
		!error && channel_call(deep->channel, "/deepproto.proto.poll.v1.PollConfig/poll",
				       headers, make_headers(deep, headers), message.bytes,
				       message.size, deep->options.timeout_ms, polled, deep);
	free(message.bytes);
	if (!deep->polling)
		plan_poll(deep);
}

// Sending.

static void free_item(struct deep *deep, struct item *item)
{
	deep->bytes -= item->message.size;
	free(item->message.bytes);
	free(item);
}

static void append(struct deep *deep, struct item *item)
{
	item->next = NULL;
	*deep->last = item;
	deep->last = &item->next;
	deep->waiting++;
}

static void put_back(struct deep *deep, struct item *item)
{
	if (!deep->first)
		deep->last = &item->next;
	item->next = deep->first;
	deep->first = item;
	deep->waiting++;
}

/** What may be the server's state or the snapshot: a server that ends cancels what is under way. */
static bool is_limited(enum grpc_status status)
{
	return status == GRPC_RESOURCE_EXHAUSTED || status == GRPC_CANCELLED;
}

/** Whether another try may do better: what is not the snapshot's own fault. */
static bool may_retry(const struct item *item, enum grpc_status status)
{
	if (status == GRPC_UNAVAILABLE || status == GRPC_DEADLINE_EXCEEDED)
		return true;
	return is_limited(status) && item->tries < TRY_LIMIT;
}

static void sent(void *context, enum grpc_status status, const char *message, const uint8_t *body,
		 size_t size)
{
	struct item *item = context;
	struct deep *deep = item->deep;
	(void)body; // an empty message, whatever it says
	(void)size;
	deep->in_flight--;
	if (status == GRPC_OK) {
		deep->sent++;
		deep->send_failures = 0;
		free_item(deep, item);
		return;
	}
	item->tries += is_limited(status);
	note_status(deep, "send", status, message);
	if (!may_retry(item, status)) {
		deep->dropped++;
		free_item(deep, item);
		return;
	}
	put_back(deep, item);
	int64_t now = now_ns(CLOCK_MONOTONIC);
	if (now < deep->next_send_ns)
		return; // one of several that failed together
	if (deep->send_failures < 30)
		deep->send_failures++;
	deep->next_send_ns = now + backoff_ns(deep, deep->send_failures - 1);
}

static void send_some(struct deep *deep, int64_t now)
{
	struct strobe_pair headers[METADATA_LIMIT + 1];
	// After a failure one goes ahead, to try.
	size_t limit = deep->send_failures ? 1 : IN_FLIGHT_LIMIT;
	while (deep->first && deep->in_flight < limit && now >= deep->next_send_ns) {
		struct item *item = deep->first;
		if (!channel_call(deep->channel,
				  "/deepproto.proto.tracepoint.v1.SnapshotService/send", headers,
				  make_headers(deep, headers), item->message.bytes,
				  item->message.size, deep->options.timeout_ms, sent, item))
			return;
		deep->first = item->next;
		if (!deep->first)
			deep->last = &deep->first;
		deep->waiting--;
		deep->in_flight++;
		deep->retried += item->sent_before;
		item->sent_before = true;
	}
}

static bool put(void *context, const struct result *result)
{
	struct deep *deep = context;
	struct item *item;
	struct message message = {0};
	if (result->kind != RESULT_SNAPSHOT)
		return true; // not what DEEP's servers take
	struct strobe_error *error =
		message_snapshot(result, deep->resource, deep->resource_count, &message);
	strobe_error_free(error);
	bool fits = !error && message.size <= SNAPSHOT_LIMIT &&
		    deep->waiting + deep->in_flight < deep->options.queue_limit &&
		    deep->bytes + message.size <= deep->options.queue_bytes;
	if (!fits || !(item = calloc(1, sizeof(*item)))) {
		free(message.bytes);
		deep->dropped++;
		return false;
	}
	*item = (struct item){.deep = deep, .message = message};
	deep->bytes += message.size;
	append(deep, item);
	return true;
}

/** Each drop is counted; that there are some is said when the number has grown by half. */
static void tell_drops(struct deep *deep)
{
	char text[100];
	if (deep->dropped <= deep->dropped_told + deep->dropped_told / 2)
		return;
	deep->dropped_told = deep->dropped;
	snprintf(text, sizeof(text), "%llu snapshots are dropped so far",
		 (unsigned long long)deep->dropped);
	report(deep, text);
}

static int work(void *context, int timeout_ms)
{
	struct deep *deep = context;
	int64_t now = now_ns(CLOCK_MONOTONIC);
	if (channel_ready(deep->channel)) {
		if (!deep->polling && !deep->closing && now >= deep->next_poll_ns)
			poll_server(deep);
		send_some(deep, now);
	}
	channel_work(deep->channel, timeout_ms);
	tell_drops(deep);
	bool busy = (channel_pending(deep->channel) && channel_ready(deep->channel)) ||
		    (deep->waiting && now_ns(CLOCK_MONOTONIC) >= deep->next_send_ns);
	return busy ? BUSY_MS : IDLE_MS;
}

static void tell(const void *context, struct strobe_delivery *ret)
{
	const struct deep *deep = context;
	*ret = (struct strobe_delivery){
		.kind = "deep",
		.url = deep->options.url,
		.sent = deep->sent,
		.dropped = deep->dropped,
		.retried = deep->retried,
		.waiting = deep->waiting + deep->in_flight,
		.polls = deep->polls,
		.error = *deep->wrong ? deep->wrong : NULL,
	};
}

static void free_deep(struct deep *deep)
{
	channel_free(deep->channel);
	while (deep->first) {
		struct item *item = deep->first;
		deep->first = item->next;
		free_item(deep, item);
	}
	free(deep->hash);
	if (deep->basic)
		memset(deep->basic, 0, strlen(deep->basic));
	free(deep->basic);
	arena_fini(&deep->arena);
	free(deep);
}

static void close_deep(void *context)
{
	struct deep *deep = context;
	int64_t end = now_ns(CLOCK_MONOTONIC) + (int64_t)deep->options.flush_ms * NS_PER_MS;
	char text[100];
	deep->closing = true;
	deep->send_failures = 0;
	deep->next_send_ns = 0;
	while ((deep->waiting || deep->in_flight) && deep->send_failures < 2 &&
	       now_ns(CLOCK_MONOTONIC) < end)
		work(deep, BUSY_MS);
	if (deep->waiting + deep->in_flight) {
		snprintf(text, sizeof(text), "%zu snapshots could not be sent any more",
			 deep->waiting + deep->in_flight);
		report(deep, text);
	}
	free_deep(deep);
}

// Opening.

static bool make_basic(struct deep *deep)
{
	const struct strobe_deep_options *options = &deep->options;
	if (!options->user && !options->password)
		return true;
	struct text plain cleanup_text = {0}, header cleanup_text = {0};
	text_printf(&plain, "%s:%s", options->user ? options->user : "",
		    options->password ? options->password : "");
	char *encoded = plain.failed ? NULL : malloc(4 * ((plain.size + 2) / 3) + 1);
	if (!encoded)
		return false;
	EVP_EncodeBlock((unsigned char *)encoded, (const unsigned char *)plain.data,
			(int)plain.size);
	text_append(&header, options->percent_space ? "Basic%20" : "Basic ");
	text_append(&header, encoded);
	free(encoded);
	memset(plain.data, 0, plain.size);
	deep->basic = text_steal(&header);
	return deep->basic != NULL;
}

/** Copies them; names in small letters, as HTTP/2 wants them. */
static struct strobe_error *copy_metadata(struct deep *deep)
{
	const struct strobe_pair *given = deep->options.metadata;
	size_t count = deep->options.metadata_count;
	if (count > METADATA_LIMIT)
		return error_new(STROBE_ERROR_INVALID, "metadata: more than %d headers",
				 METADATA_LIMIT);
	struct strobe_pair *pairs = arena_alloc(&deep->arena, (count + 1) * sizeof(*pairs));
	if (!pairs)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		char *name = arena_strdup(&deep->arena, given[i].name);
		char *value = arena_strdup(&deep->arena, given[i].value);
		if (!name || !value)
			return error_no_memory();
		bool bad = !*name;
		for (char *at = name; *at; at++) {
			*at = (char)tolower((unsigned char)*at);
			bad |= !isalnum((unsigned char)*at) && !strchr("-_.", *at);
		}
		for (const char *at = value; *at; at++)
			bad |= (unsigned char)*at < ' ' || *at == 0x7f;
		if (bad)
			return error_new(STROBE_ERROR_INVALID, "metadata: '%.60s' is no header",
					 name);
		pairs[i] = (struct strobe_pair){name, value};
	}
	deep->options.metadata = pairs;
	return NULL;
}

static void set_defaults(struct strobe_deep_options *options)
{
	uint32_t *const times[] = {&options->interval_ms, &options->timeout_ms,
				   &options->backoff_ms, &options->backoff_limit_ms,
				   &options->flush_ms};
	static const uint32_t defaults[] = {10000, 10000, 1000, 60000, 3000};
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (!*times[i])
			*times[i] = defaults[i];
	if (!options->queue_limit)
		options->queue_limit = 10000;
	if (!options->queue_bytes)
		options->queue_bytes = 64 << 20;
}

static struct strobe_error *open_channel(struct deep *deep)
{
	struct channel_target target = {0};
	const struct channel_options options = {.ca_file = deep->options.ca_file,
						.backoff_ms = deep->options.backoff_ms,
						.backoff_limit_ms = deep->options.backoff_limit_ms,
						.response_limit = RESPONSE_LIMIT};
	struct strobe_error *error = channel_read_url(deep->options.url, &target);
	if (!error)
		error = channel_new(&target, &options, &deep->channel);
	channel_target_fini(&target);
	return error;
}

struct strobe_error *deep_open(const struct strobe_deep_options *options,
			       const struct strobe_pair *resource, size_t resource_count,
			       const struct deep_host *host, struct result_sink *ret)
{
	struct deep *deep = calloc(1, sizeof(*deep));
	if (!deep)
		return error_no_memory();
	deep->last = &deep->first;
	memcpy(&deep->options, options,
	       options->size < sizeof(deep->options) ? options->size : sizeof(deep->options));
	set_defaults(&deep->options);
	deep->options.url = arena_strdup(&deep->arena, options->url ? options->url : "");
	deep->options.ca_file = arena_strdup(&deep->arena, options->ca_file);
	deep->resource = resource;
	deep->resource_count = resource_count;
	deep->host = *host;
	struct strobe_error *error = deep->options.url ? copy_metadata(deep) : error_no_memory();
	if (!error && !make_basic(deep))
		error = error_no_memory();
	deep->options.user = deep->options.password = NULL; // not ours
	if (!error)
		error = open_channel(deep);
	if (error) {
		free_deep(deep);
		return error;
	}
	*ret = (struct result_sink){put, work, tell, close_deep, deep};
	return NULL;
}

bool deep_answered(const struct result_sink *sink)
{
	const struct deep *deep = sink->context;
	return deep->answered;
}
