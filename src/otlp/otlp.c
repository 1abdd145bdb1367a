// SPDX-License-Identifier: Apache-2.0
#include "otlp/otlp.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/arena.h"
#include "base/error.h"
#include "otlp/encode.h"

/** Named limits: records, and bytes, of a request; bytes of an answer; headers. */
enum {
	BATCH_LIMIT = 512,
	BATCH_BYTES = 4 << 20,
	ANSWER_LIMIT = 64 << 10,
	HEADER_LIMIT = 32,
	BUSY_MS = 5,
	IDLE_MS = 200,
	NS_PER_MS = 1000000
};
enum { LOGS, METRICS, SPANS, SIGNALS };

/** A record, or a batch that waits to be sent again. */
struct record {
	struct record *next;
	size_t size;
	char text[];
};

/** One of the three kinds. Invariants: `body` is there while it is in flight and, for logs and spans, until it was taken or refused. */
struct signal_queue {
	struct otlp *otlp;
	const char *kind;
	char *url;
	CURL *easy;
	struct record *first, **last;
	size_t waiting;
	char *body;
	size_t body_size, body_records, answer_size;
	bool in_flight, again;
	unsigned failures;
	int64_t next_ns;
};
struct otlp {
	struct strobe_otlp_options options; // strings are in `arena`
	struct arena arena;
	const struct strobe_pair *resource;
	size_t resource_count;
	CURLM *multi;
	struct curl_slist *headers;
	struct signal_queue signals[SIGNALS];
	struct series *series;
	size_t series_count, bytes;
	uint64_t sent, dropped, dropped_told, retried;
	char wrong[300];
};

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void report(struct otlp *otlp, const char *what)
{
	if (otlp->options.report)
		otlp->options.report(otlp->options.report_context, what);
}

static void note(struct otlp *otlp, const char *kind, const char *why)
{
	char text[sizeof(otlp->wrong)];
	snprintf(text, sizeof(text), "%s: %s", kind, why);
	if (strcmp(text, otlp->wrong) == 0)
		return;
	strcpy(otlp->wrong, text);
	report(otlp, text);
}

static bool put_record(struct otlp *otlp, struct signal_queue *channel, const struct text *text)
{
	struct record *record = NULL;
	if (!text->failed && channel->waiting < otlp->options.queue_limit &&
	    otlp->bytes + text->size <= otlp->options.queue_bytes)
		record = malloc(sizeof(*record) + text->size);
	if (!record) {
		otlp->dropped++;
		return false;
	}
	record->next = NULL;
	record->size = text->size;
	memcpy(record->text, text_string(text), text->size);
	*channel->last = record;
	channel->last = &record->next;
	channel->waiting++;
	otlp->bytes += text->size;
	return true;
}

static bool put(void *context, const struct result *result)
{
	struct otlp *otlp = context;
	struct text text cleanup_text = {0};
	switch (result->kind) {
	case RESULT_SNAPSHOT:
	case RESULT_LOG:
		encode_log(result, &text);
		return put_record(otlp, &otlp->signals[LOGS], &text);
	case RESULT_SPAN:
		encode_span(result, &text);
		return put_record(otlp, &otlp->signals[SPANS], &text);
	case RESULT_METRIC:
		if (series_feed(result, &otlp->series, &otlp->series_count,
				otlp->options.series_limit))
			return true;
		otlp->dropped++;
		return false;
	case RESULT_STATUS:
		break;
	}
	return true;
}

// Requests.

static void take_records(struct otlp *otlp, struct signal_queue *channel, struct text *body)
{
	while (channel->first && channel->body_records < BATCH_LIMIT && body->size < BATCH_BYTES) {
		struct record *record = channel->first;
		text_append(body, channel->body_records ? "," : "");
		text_append_bytes(body, record->text, record->size);
		channel->first = record->next;
		if (!channel->first)
			channel->last = &channel->first;
		channel->waiting--;
		otlp->bytes -= record->size;
		channel->body_records++;
		free(record);
	}
}

static void take_series(struct otlp *otlp, struct signal_queue *channel, struct text *body)
{
	for (size_t i = 0; i < otlp->series_count; i++) {
		if (!otlp->series[i].changed)
			continue;
		text_append(body, channel->body_records++ ? "," : "");
		encode_series(&otlp->series[i], body);
		otlp->series[i].changed = false;
	}
}

/** Whether there is something to send. */
static bool make_body(struct otlp *otlp, struct signal_queue *channel)
{
	bool metrics = channel == &otlp->signals[METRICS];
	struct text body cleanup_text = {0};
	bool any = channel->first != NULL;
	for (size_t i = 0; i < otlp->series_count && metrics; i++)
		any |= otlp->series[i].changed;
	if (channel->body || !any)
		return channel->body != NULL;
	channel->body_records = 0;
	encode_head(channel->kind, otlp->resource, otlp->resource_count, &body);
	if (metrics)
		take_series(otlp, channel, &body);
	else
		take_records(otlp, channel, &body);
	encode_tail(&body);
	channel->body_size = body.size;
	channel->body = text_steal(&body);
	if (channel->body)
		return true;
	otlp->dropped += channel->body_records;
	return false;
}

/** Answers are not looked at, and must end. */
static size_t take_answer(char *bytes, size_t size, size_t count, void *context)
{
	struct signal_queue *channel = context;
	(void)bytes;
	channel->answer_size += size * count;
	return channel->answer_size > ANSWER_LIMIT ? 0 : size * count;
}

static void begin(struct otlp *otlp, struct signal_queue *channel)
{
	const struct strobe_otlp_options *options = &otlp->options;
	if (!channel->easy && !(channel->easy = curl_easy_init()))
		return;
	CURL *easy = channel->easy;
	channel->answer_size = 0;
	curl_easy_setopt(easy, CURLOPT_URL, channel->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, otlp->headers);
	curl_easy_setopt(easy, CURLOPT_POST, 1L);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)channel->body_size);
	curl_easy_setopt(easy, CURLOPT_POSTFIELDS, channel->body);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_answer);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, channel);
	curl_easy_setopt(easy, CURLOPT_PRIVATE, channel);
	if (options->ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, options->ca_file);
	otlp->retried += channel->again;
	channel->in_flight = curl_multi_add_handle(otlp->multi, easy) == CURLM_OK;
}

static void end_body(struct signal_queue *channel)
{
	free(channel->body);
	channel->body = NULL;
	channel->body_records = 0;
	channel->again = false;
}

/** The same again, later: as the collector says, or later each time. */
static void retry(struct otlp *otlp, struct signal_queue *channel, curl_off_t after_s)
{
	uint64_t wait = otlp->options.backoff_ms;
	for (unsigned i = 0; i < channel->failures && wait < otlp->options.backoff_limit_ms; i++)
		wait *= 2;
	if (after_s > 0)
		wait = (uint64_t)after_s * 1000;
	if (wait > otlp->options.backoff_limit_ms)
		wait = otlp->options.backoff_limit_ms;
	channel->next_ns = now_ns() + (int64_t)wait * NS_PER_MS;
	if (channel->failures < 30)
		channel->failures++;
	channel->again = true;
}

static void finish(struct otlp *otlp, struct signal_queue *channel, CURLcode result)
{
	long status = 0;
	curl_off_t after_s = 0;
	char why[100];
	channel->in_flight = false;
	curl_easy_getinfo(channel->easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(channel->easy, CURLINFO_RETRY_AFTER, &after_s);
	curl_multi_remove_handle(otlp->multi, channel->easy);
	if (result == CURLE_OK && status / 100 == 2) {
		otlp->sent += channel->body_records;
		channel->failures = 0;
		if (*otlp->wrong)
			report(otlp, "the collector answers again");
		*otlp->wrong = 0;
		channel->next_ns = now_ns() + (int64_t)otlp->options.interval_ms * NS_PER_MS;
		end_body(channel);
		return;
	}
	if (result == CURLE_OK)
		snprintf(why, sizeof(why), "HTTP status %ld", status);
	note(otlp, channel->kind, result == CURLE_OK ? why : curl_easy_strerror(result));
	bool later = result != CURLE_OK || status == 429 || (status >= 502 && status <= 504);
	if (later) {
		retry(otlp, channel, after_s);
		return;
	}
	otlp->dropped += channel->body_records;
	channel->next_ns = now_ns() + (int64_t)otlp->options.interval_ms * NS_PER_MS;
	end_body(channel);
}

static void tell_drops(struct otlp *otlp)
{
	char text[100];
	if (otlp->dropped <= otlp->dropped_told + otlp->dropped_told / 2)
		return;
	otlp->dropped_told = otlp->dropped;
	snprintf(text, sizeof(text), "%llu results are dropped so far",
		 (unsigned long long)otlp->dropped);
	report(otlp, text);
}

static int work(void *context, int timeout_ms)
{
	struct otlp *otlp = context;
	CURLMsg *message;
	int running = 0, left;
	int64_t now = now_ns();
	for (size_t i = 0; i < SIGNALS; i++) {
		struct signal_queue *channel = &otlp->signals[i];
		if (!channel->in_flight && now >= channel->next_ns && make_body(otlp, channel))
			begin(otlp, channel);
	}
	if (timeout_ms > 0)
		curl_multi_poll(otlp->multi, NULL, 0, timeout_ms, NULL);
	curl_multi_perform(otlp->multi, &running);
	while ((message = curl_multi_info_read(otlp->multi, &left))) {
		char *channel = NULL;
		if (message->msg != CURLMSG_DONE)
			continue;
		CURLcode result = message->data.result;
		curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &channel);
		finish(otlp, (struct signal_queue *)(void *)channel, result);
	}
	tell_drops(otlp);
	return running ? BUSY_MS : IDLE_MS;
}

static size_t count_waiting(const struct otlp *otlp)
{
	size_t ret = 0;
	for (size_t i = 0; i < SIGNALS; i++)
		ret += otlp->signals[i].waiting +
		       (otlp->signals[i].body ? otlp->signals[i].body_records : 0);
	for (size_t i = 0; i < otlp->series_count; i++)
		ret += otlp->series[i].changed;
	return ret;
}

static void tell(const void *context, struct strobe_delivery *ret)
{
	const struct otlp *otlp = context;
	*ret = (struct strobe_delivery){
		.kind = "otlp",
		.url = otlp->options.url,
		.sent = otlp->sent,
		.dropped = otlp->dropped,
		.retried = otlp->retried,
		.waiting = count_waiting(otlp),
		.error = *otlp->wrong ? otlp->wrong : NULL,
	};
}

static void free_otlp(struct otlp *otlp)
{
	for (size_t i = 0; i < SIGNALS; i++) {
		struct signal_queue *channel = &otlp->signals[i];
		if (channel->in_flight)
			curl_multi_remove_handle(otlp->multi, channel->easy);
		curl_easy_cleanup(channel->easy);
		while (channel->first) {
			struct record *record = channel->first;
			channel->first = record->next;
			free(record);
		}
		free(channel->body);
	}
	curl_multi_cleanup(otlp->multi);
	curl_slist_free_all(otlp->headers);
	for (size_t i = 0; i < otlp->series_count; i++)
		series_fini(&otlp->series[i]);
	free(otlp->series);
	arena_fini(&otlp->arena);
	free(otlp);
}

static void close_otlp(void *context)
{
	struct otlp *otlp = context;
	int64_t end = now_ns() + (int64_t)otlp->options.flush_ms * NS_PER_MS;
	unsigned failures = 0;
	char text[100];
	otlp->options.interval_ms = 0;
	for (size_t i = 0; i < SIGNALS; i++)
		otlp->signals[i].next_ns = otlp->signals[i].failures = 0;
	while (count_waiting(otlp) && failures < 2 && now_ns() < end) {
		work(otlp, BUSY_MS);
		failures = 0;
		for (size_t i = 0; i < SIGNALS; i++)
			failures = otlp->signals[i].failures > failures ? otlp->signals[i].failures
									: failures;
	}
	size_t lost = count_waiting(otlp);
	if (lost) {
		snprintf(text, sizeof(text), "%zu results could not be sent any more", lost);
		report(otlp, text);
	}
	free_otlp(otlp);
}

// Opening.

static void set_defaults(struct strobe_otlp_options *options)
{
	uint32_t *const times[] = {&options->interval_ms, &options->timeout_ms,
				   &options->backoff_ms, &options->backoff_limit_ms,
				   &options->flush_ms};
	static const uint32_t defaults[] = {1000, 10000, 1000, 60000, 3000};
	for (size_t i = 0; i < sizeof(defaults) / sizeof(defaults[0]); i++)
		if (!*times[i])
			*times[i] = defaults[i];
	options->queue_limit = options->queue_limit ? options->queue_limit : 10000;
	options->queue_bytes = options->queue_bytes ? options->queue_bytes : 64 << 20;
	options->series_limit = options->series_limit ? options->series_limit : 10000;
}

static struct strobe_error *add_header(struct otlp *otlp, const char *name, const char *value)
{
	char *line = arena_printf(&otlp->arena, "%s: %s", name, value);
	struct curl_slist *more = NULL;
	if (line && (!*name || line[strcspn(line, "\r\n")]))
		return error_new(STROBE_ERROR_INVALID, "headers: '%.60s' is no header", name);
	if (line)
		more = curl_slist_append(otlp->headers, line);
	if (!more)
		return error_no_memory();
	otlp->headers = more;
	return NULL;
}

static struct strobe_error *prepare(struct otlp *otlp, const struct strobe_otlp_options *options)
{
	static const char *const kinds[] = {"Logs", "Metrics", "Spans"};
	static const char *const paths[] = {"logs", "metrics", "traces"};
	const char *url = otlp->options.url = arena_strdup(&otlp->arena, options->url);
	struct strobe_error *error = NULL;
	if (!url || (strncasecmp(url, "http://", 7) != 0 && strncasecmp(url, "https://", 8) != 0))
		return error_new(STROBE_ERROR_INVALID,
				 "'%.100s' is no address: http[s]://HOST[:PORT] is wanted",
				 url ? url : "");
	if (options->header_count > HEADER_LIMIT)
		return error_new(STROBE_ERROR_INVALID, "headers: more than %d", HEADER_LIMIT);
	size_t size = strlen(url);
	size -= url[size - 1] == '/';
	for (size_t i = 0; i < SIGNALS; i++) {
		otlp->signals[i] = (struct signal_queue){.otlp = otlp, .kind = kinds[i]};
		otlp->signals[i].last = &otlp->signals[i].first;
		otlp->signals[i].url =
			arena_printf(&otlp->arena, "%.*s/v1/%s", (int)size, url, paths[i]);
		if (!otlp->signals[i].url)
			return error_no_memory();
	}
	error = add_header(otlp, "Content-Type", "application/json");
	if (!error)
		error = add_header(otlp, "Expect", "");
	for (size_t i = 0; i < options->header_count && !error; i++)
		error = add_header(otlp, options->headers[i].name, options->headers[i].value);
	return !error && !(otlp->multi = curl_multi_init()) ? error_no_memory() : error;
}

struct strobe_error *otlp_open(const struct strobe_otlp_options *options,
			       const struct strobe_pair *resource, size_t resource_count,
			       struct result_sink *ret)
{
	struct otlp *otlp = calloc(1, sizeof(*otlp));
	if (!otlp)
		return error_no_memory();
	memcpy(&otlp->options, options,
	       options->size < sizeof(otlp->options) ? options->size : sizeof(otlp->options));
	set_defaults(&otlp->options);
	otlp->options.ca_file = arena_strdup(&otlp->arena, options->ca_file);
	otlp->resource = resource;
	otlp->resource_count = resource_count;
	struct strobe_error *error = prepare(otlp, options);
	if (error) {
		free_otlp(otlp);
		return error;
	}
	*ret = (struct result_sink){put, work, tell, close_otlp, otlp};
	return NULL;
}
