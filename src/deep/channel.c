// SPDX-License-Identifier: Apache-2.0
#include "deep/channel.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <time.h>

#include "base/array.h"
#include "base/error.h"
#include "deep/socket.h"

/** Named limits: how long a connection may take to come about; reads of one pass; headers of a call; bytes of gRPC's frame. */
enum { CONNECT_MS = 10000, READS_A_PASS = 64, HEADER_LIMIT = 32, PREFIX = 5, NS_PER_MS = 1000000 };

/** A call. Invariants: `stream` > 0 while a stream of the session belongs to it; `ended` is never taken back. */
struct call {
	struct channel *channel;
	char *path;
	struct strobe_pair headers[HEADER_LIMIT]; // copies
	size_t header_count;
	uint8_t *message; // with its prefix
	size_t size, sent;
	int64_t start_ns, deadline_ns;
	uint32_t timeout_ms;
	int32_t stream;
	ARRAY(uint8_t) body;
	int http_status, grpc_status; // 0, -1: not told yet
	char text[200];
	bool ended;
	channel_done done;
	void *context;
};

/** Invariants: with a session there is an open socket; without a socket no call has a stream. */
struct channel {
	struct channel_target target;
	struct channel_options options;
	struct tls_context *tls;
	struct socket *socket;
	nghttp2_session *session;
	ARRAY(struct call *) calls;
	const uint8_t *output; // the session's
	size_t output_size;
	unsigned failures;
	int64_t next_try_ns, connect_deadline_ns, opened_ns, received_ns;
	bool leaving; // the server takes no more calls on this connection
};

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

// Addresses.

static struct strobe_error *bad_url(const char *url, struct channel_target *ret)
{
	channel_target_fini(ret);
	return error_new(STROBE_ERROR_INVALID,
			 "'%.100s' is no address: [http://|https://]HOST[:PORT] is wanted", url);
}

struct strobe_error *channel_read_url(const char *url, struct channel_target *ret)
{
	const char *at = url, *end, *port;
	*ret = (struct channel_target){.tls = true, .port = "43315"};
	if (strncasecmp(at, "https://", 8) == 0) {
		at += 8;
	} else if (strncasecmp(at, "http://", 7) == 0) {
		at += 7;
		ret->tls = false;
	}
	bool bracket = *at == '[';
	at += bracket;
	end = at + strcspn(at, bracket ? "]" : ":/");
	if (end == at || (bracket && *end != ']') || strcspn(at, " \t@?#%") < (size_t)(end - at))
		return bad_url(url, ret);
	if (!(ret->host = strndup(at, (size_t)(end - at))))
		return error_no_memory();
	end += bracket;
	if (*end == ':') {
		port = end + 1;
		size_t digits = strspn(port, "0123456789");
		if (digits == 0 || digits > 5 || atoi(port) < 1 || atoi(port) > 65535)
			return bad_url(url, ret);
		memcpy(ret->port, port, digits);
		ret->port[digits] = 0;
		end = port + digits;
	}
	return *end && strcmp(end, "/") != 0 ? bad_url(url, ret) : NULL;
}

void channel_target_fini(struct channel_target *target)
{
	free(target->host);
	target->host = NULL;
}

// Calls.

static void free_call(struct call *call)
{
	for (size_t i = 0; i < call->header_count; i++) {
		free((char *)(uintptr_t)call->headers[i].name);
		free((char *)(uintptr_t)call->headers[i].value);
	}
	free(call->path);
	free(call->message);
	array_fini(&call->body);
	free(call);
}

static void end_call(struct call *call, enum grpc_status status, const char *text)
{
	if (call->ended)
		return;
	call->ended = true;
	call->grpc_status = (int)status;
	if (text && text != call->text)
		snprintf(call->text, sizeof(call->text), "%s", text);
}

/** Tells of the calls that have ended. What is called may begin others. */
static void deliver(struct channel *channel)
{
	for (size_t i = 0; i < channel->calls.count;) {
		struct call *call = channel->calls.items[i];
		if (!call->ended) {
			i++;
			continue;
		}
		memmove(&channel->calls.items[i], &channel->calls.items[i + 1],
			(--channel->calls.count - i) * sizeof(*channel->calls.items));
		bool good = call->grpc_status == GRPC_OK;
		call->done(call->context, (enum grpc_status)call->grpc_status, call->text,
			   good ? call->body.items + PREFIX : NULL,
			   good ? call->body.count - PREFIX : 0);
		free_call(call);
		i = 0;
	}
}

static bool copy_headers(struct call *call, const struct strobe_pair *headers, size_t count)
{
	for (size_t i = 0; i < count && i < HEADER_LIMIT; i++) {
		struct strobe_pair copy = {strdup(headers[i].name), strdup(headers[i].value)};
		call->headers[call->header_count++] = copy;
		if (!copy.name || !copy.value)
			return false;
	}
	return true;
}

bool channel_call(struct channel *channel, const char *path, const struct strobe_pair *headers,
		  size_t header_count, const void *message, size_t size, uint32_t timeout_ms,
		  channel_done done, void *context)
{
	struct call *call = calloc(1, sizeof(*call));
	if (!call)
		return false;
	call->channel = channel;
	call->grpc_status = -1;
	call->done = done;
	call->context = context;
	call->timeout_ms = timeout_ms;
	call->start_ns = now_ns();
	call->deadline_ns = call->start_ns + (int64_t)timeout_ms * NS_PER_MS;
	call->size = size + PREFIX;
	call->path = strdup(path);
	call->message = calloc(1, call->size);
	if (!call->path || !call->message || !copy_headers(call, headers, header_count) ||
	    !array_push(&channel->calls, call)) {
		free_call(call);
		return false;
	}
	for (unsigned i = 0; i < 4; i++)
		call->message[1 + i] = (uint8_t)(size >> (24 - 8 * i));
	if (size)
		memcpy(call->message + PREFIX, message, size);
	return true;
}

size_t channel_pending(const struct channel *channel)
{
	return channel->calls.count;
}

bool channel_ready(const struct channel *channel)
{
	return channel->socket || now_ns() >= channel->next_try_ns;
}

// What the session calls.

static bool is_name(const char *name, const uint8_t *bytes, size_t size)
{
	return strlen(name) == size && memcmp(name, bytes, size) == 0;
}

static int hex_digit(uint8_t digit)
{
	return digit >= '0' && digit <= '9'   ? digit - '0'
	       : digit >= 'a' && digit <= 'f' ? digit - 'a' + 10
	       : digit >= 'A' && digit <= 'F' ? digit - 'A' + 10
					      : -1;
}

/** grpc-message: percent-encoded; it becomes one line. */
static void take_text(struct call *call, const uint8_t *value, size_t size)
{
	size_t used = 0;
	for (size_t i = 0; i < size && used < sizeof(call->text) - 1; i++) {
		uint8_t byte = value[i];
		if (byte == '%' && i + 2 < size && hex_digit(value[i + 1]) >= 0 &&
		    hex_digit(value[i + 2]) >= 0) {
			byte = (uint8_t)(hex_digit(value[i + 1]) << 4 | hex_digit(value[i + 2]));
			i += 2;
		}
		call->text[used++] = byte < ' ' || byte == 0x7f ? ' ' : (char)byte;
	}
	call->text[used] = 0;
}

static int take_number(const uint8_t *value, size_t size, int wrong)
{
	int number = 0;
	for (size_t i = 0; i < size; i++) {
		if (value[i] < '0' || value[i] > '9' || size > 3)
			return wrong;
		number = number * 10 + value[i] - '0';
	}
	return size ? number : wrong;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_size, const uint8_t *value, size_t size, uint8_t flags,
		     void *context)
{
	struct call *call = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
	(void)flags;
	(void)context;
	if (!call)
		return 0;
	if (is_name(":status", name, name_size))
		call->http_status = take_number(value, size, 0);
	else if (is_name("grpc-status", name, name_size))
		call->grpc_status = take_number(value, size, GRPC_UNKNOWN);
	else if (is_name("grpc-message", name, name_size))
		take_text(call, value, size);
	return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream, const uint8_t *data,
		   size_t size, void *context)
{
	struct call *call = nghttp2_session_get_stream_user_data(session, stream);
	const struct channel *channel = context;
	(void)flags;
	if (!call || call->ended)
		return 0;
	if (call->body.count + size > channel->options.response_limit + PREFIX ||
	    !array_reserve(&call->body, call->body.count + size)) {
		end_call(call, GRPC_RESOURCE_EXHAUSTED, "the response is too large");
		nghttp2_session_set_stream_user_data(session, stream, NULL);
		call->stream = 0;
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream, NGHTTP2_CANCEL);
		return 0;
	}
	memcpy(call->body.items + call->body.count, data, size);
	call->body.count += size;
	return 0;
}

/** What a response without grpc-status means. */
static enum grpc_status guess_status(const struct call *call, uint32_t error_code)
{
	switch (call->http_status) {
	case 401:
		return GRPC_UNAUTHENTICATED;
	case 403:
		return GRPC_PERMISSION_DENIED;
	case 404:
		return GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return GRPC_UNAVAILABLE;
	}
	return error_code == NGHTTP2_REFUSED_STREAM	 ? GRPC_UNAVAILABLE
	       : error_code == NGHTTP2_ENHANCE_YOUR_CALM ? GRPC_RESOURCE_EXHAUSTED
							 : GRPC_UNKNOWN;
}

static bool is_whole(const struct call *call)
{
	const uint8_t *body = call->body.items;
	return call->body.count >= PREFIX && body[0] == 0 &&
	       call->body.count - PREFIX == ((size_t)body[1] << 24 | (size_t)body[2] << 16 |
					     (size_t)body[3] << 8 | (size_t)body[4]);
}

static int on_close(nghttp2_session *session, int32_t stream, uint32_t error_code, void *context)
{
	struct call *call = nghttp2_session_get_stream_user_data(session, stream);
	char text[80];
	(void)context;
	if (!call)
		return 0;
	call->stream = 0;
	if (call->grpc_status < 0) {
		snprintf(text, sizeof(text), "no gRPC status (HTTP status %d, stream error %u)",
			 call->http_status, error_code);
		end_call(call, guess_status(call, error_code), text);
	} else if (call->grpc_status == GRPC_OK && !is_whole(call)) {
		end_call(call, GRPC_INTERNAL, "the response is no message");
	} else {
		end_call(call, (enum grpc_status)call->grpc_status, call->text);
	}
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
	struct channel *channel = context;
	(void)session;
	if (frame->hd.type == NGHTTP2_GOAWAY)
		channel->leaving = true;
	return 0;
}

static ssize_t read_message(nghttp2_session *session, int32_t stream, uint8_t *ret, size_t size,
			    uint32_t *flags, nghttp2_data_source *source, void *context)
{
	struct call *call = nghttp2_session_get_stream_user_data(session, stream);
	(void)source;
	(void)context;
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	if (size > call->size - call->sent)
		size = call->size - call->sent;
	memcpy(ret, call->message + call->sent, size);
	call->sent += size;
	if (call->sent == call->size)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)size;
}

// Connections.

/** Closes; calls that wait for their streams wait for the next connection, if `keep`. */
static void disconnect(struct channel *channel, bool keep, const char *why)
{
	for (size_t i = 0; i < channel->calls.count; i++) {
		struct call *call = channel->calls.items[i];
		if (!keep || call->stream)
			end_call(call, GRPC_UNAVAILABLE, why);
		call->stream = 0;
	}
	nghttp2_session_del(channel->session);
	channel->session = NULL;
	channel->socket = socket_free(channel->socket);
	channel->output_size = 0;
	channel->leaving = false;
}

/** Exponential, with a fifth of jitter either way. */
static void back_off(struct channel *channel)
{
	uint64_t wait = channel->options.backoff_ms;
	uint16_t random = 0x8000;
	for (unsigned i = 0; i < channel->failures && wait < channel->options.backoff_limit_ms; i++)
		wait = wait * 8 / 5 + 1;
	if (wait > channel->options.backoff_limit_ms)
		wait = channel->options.backoff_limit_ms;
	(void)!getrandom(&random, sizeof(random), GRND_NONBLOCK);
	int64_t fifth = (int64_t)wait * NS_PER_MS / 5;
	channel->next_try_ns =
		now_ns() + (int64_t)wait * NS_PER_MS - fifth + 2 * fifth * random / UINT16_MAX;
	channel->failures++;
}

static void fail(struct channel *channel, const char *why)
{
	back_off(channel);
	disconnect(channel, false, why);
}

static bool begin_session(struct channel *channel)
{
	const nghttp2_settings_entry settings[] = {
		{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
		{NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, 65536},
	};
	nghttp2_session_callbacks *callbacks;
	if (nghttp2_session_callbacks_new(&callbacks) != 0)
		return false;
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	int failed = nghttp2_session_client_new(&channel->session, callbacks, channel);
	nghttp2_session_callbacks_del(callbacks);
	channel->opened_ns = channel->received_ns = now_ns();
	return !failed && nghttp2_submit_settings(channel->session, NGHTTP2_FLAG_NONE, settings,
						  sizeof(settings) / sizeof(settings[0])) == 0;
}

static nghttp2_nv make_header(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
			    strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static void submit(struct channel *channel, struct call *call)
{
	nghttp2_nv headers[HEADER_LIMIT + 8];
	nghttp2_data_provider provider = {.read_callback = read_message};
	char authority[300], timeout[24];
	size_t count = 0;
	bool address = strchr(channel->target.host, ':') != NULL;
	snprintf(authority, sizeof(authority), address ? "[%s]:%s" : "%s:%s", channel->target.host,
		 channel->target.port);
	snprintf(timeout, sizeof(timeout), "%um", call->timeout_ms % 100000000);
	headers[count++] = make_header(":method", "POST");
	headers[count++] = make_header(":scheme", channel->target.tls ? "https" : "http");
	headers[count++] = make_header(":path", call->path);
	headers[count++] = make_header(":authority", authority);
	headers[count++] = make_header("te", "trailers");
	headers[count++] = make_header("content-type", "application/grpc");
	headers[count++] = make_header("user-agent", "strobe/" STROBE_VERSION);
	headers[count++] = make_header("grpc-timeout", timeout);
	for (size_t i = 0; i < call->header_count; i++)
		headers[count++] = make_header(call->headers[i].name, call->headers[i].value);
	call->stream =
		nghttp2_submit_request(channel->session, NULL, headers, count, &provider, call);
	if (call->stream < 0) {
		call->stream = 0;
		end_call(call, GRPC_INTERNAL, nghttp2_strerror(NGHTTP2_ERR_NOMEM));
	}
}

/** Ends what took too long. A connection on which nothing came in all that time is given up. */
static void expire(struct channel *channel, int64_t now)
{
	bool silent = false;
	for (size_t i = 0; i < channel->calls.count; i++) {
		struct call *call = channel->calls.items[i];
		if (call->ended || now < call->deadline_ns)
			continue;
		silent |= channel->session && channel->received_ns <= call->start_ns;
		if (call->stream) {
			nghttp2_session_set_stream_user_data(channel->session, call->stream, NULL);
			nghttp2_submit_rst_stream(channel->session, NGHTTP2_FLAG_NONE, call->stream,
						  NGHTTP2_CANCEL);
			call->stream = 0;
		}
		end_call(call, GRPC_DEADLINE_EXCEEDED, "the server did not answer in time");
	}
	if (silent)
		fail(channel, "the server is silent");
}

static bool send_output(struct channel *channel)
{
	for (;;) {
		if (!channel->output_size) {
			ssize_t size = nghttp2_session_mem_send(channel->session, &channel->output);
			if (size <= 0)
				return size == 0;
			channel->output_size = (size_t)size;
		}
		ssize_t sent = socket_write(channel->socket, channel->output, channel->output_size);
		if (sent <= 0)
			return sent == 0;
		channel->output += sent;
		channel->output_size -= (size_t)sent;
	}
}

static bool receive_input(struct channel *channel, int64_t now)
{
	uint8_t bytes[16384];
	for (unsigned i = 0; i < READS_A_PASS; i++) {
		ssize_t size = socket_read(channel->socket, bytes, sizeof(bytes));
		if (size <= 0)
			return size == 0;
		channel->received_ns = now;
		if (nghttp2_session_mem_recv(channel->session, bytes, (size_t)size) < 0)
			return false;
		// One who answers has a connection that is worth keeping.
		channel->failures = 0;
	}
	return true;
}

/** Traffic of an open connection. */
static void exchange(struct channel *channel, int64_t now)
{
	bool had_streams = false;
	for (size_t i = 0; i < channel->calls.count; i++) {
		struct call *call = channel->calls.items[i];
		if (!call->ended && !call->stream && !channel->leaving)
			submit(channel, call);
		had_streams |= call->stream > 0;
	}
	if (!send_output(channel) || !receive_input(channel, now) || !send_output(channel)) {
		// An idle connection may be closed by the other side at any time.
		if (!had_streams && channel->failures == 0)
			disconnect(channel, true, "");
		else
			fail(channel, "the connection is lost");
		return;
	}
	bool has_streams = false;
	for (size_t i = 0; i < channel->calls.count; i++)
		has_streams |= channel->calls.items[i]->stream > 0;
	if ((channel->leaving && !has_streams) || (!nghttp2_session_want_read(channel->session) &&
						   !nghttp2_session_want_write(channel->session))) {
		if (now - channel->opened_ns < (int64_t)channel->options.backoff_ms * NS_PER_MS)
			back_off(
				channel); // one that only says goodbye is not asked again and again
		disconnect(channel, true, "the server closed the connection");
	}
}

static void connect_or_wait(struct channel *channel, int64_t now)
{
	char why[SOCKET_WHY];
	if (!channel->socket) {
		if (!channel->calls.count || now < channel->next_try_ns)
			return;
		channel->socket =
			socket_new(channel->target.host, channel->target.port, channel->tls);
		channel->connect_deadline_ns = now + (int64_t)CONNECT_MS * NS_PER_MS;
		if (!channel->socket) {
			fail(channel, "out of memory");
			return;
		}
	}
	enum socket_state state = socket_advance(channel->socket, why);
	if (state == SOCKET_FAILED)
		fail(channel, why);
	else if (state != SOCKET_OPEN && now >= channel->connect_deadline_ns)
		fail(channel, "cannot connect: it takes too long");
	else if (state == SOCKET_OPEN && !begin_session(channel))
		fail(channel, "out of memory");
}

void channel_work(struct channel *channel, int timeout_ms)
{
	enum { SLICE_MS = 10 }; // looking up a name has no descriptor
	int64_t now = now_ns(), end = now + (int64_t)timeout_ms * NS_PER_MS;
	for (;;) {
		size_t before = channel->calls.count;
		expire(channel, now);
		if (!channel->session)
			connect_or_wait(channel, now);
		if (channel->session)
			exchange(channel, now);
		deliver(channel);
		now = now_ns();
		if (now >= end || channel->calls.count != before)
			return;
		int left = (int)((end - now) / NS_PER_MS) + 1;
		struct pollfd descriptor = {.fd = -1};
		if (channel->socket) {
			descriptor.fd = socket_descriptor(channel->socket);
			descriptor.events = socket_events(channel->socket);
			if (channel->output_size)
				descriptor.events |= POLLOUT;
		}
		poll(&descriptor, 1, left < SLICE_MS ? left : SLICE_MS);
		now = now_ns();
	}
}

struct strobe_error *channel_new(struct channel_target *target,
				 const struct channel_options *options, struct channel **ret)
{
	struct channel *channel = calloc(1, sizeof(*channel));
	struct strobe_error *error = NULL;
	if (!channel)
		return error_no_memory();
	channel->options = *options;
	if (target->tls)
		error = tls_context_new(options->ca_file, &channel->tls);
	if (error) {
		free(channel);
		return error;
	}
	channel->target = *target;
	*target = (struct channel_target){0};
	*ret = channel;
	return NULL;
}

struct channel *channel_free(struct channel *channel)
{
	if (!channel)
		return NULL;
	nghttp2_session_del(channel->session);
	socket_free(channel->socket);
	for (size_t i = 0; i < channel->calls.count; i++)
		free_call(channel->calls.items[i]);
	array_fini(&channel->calls);
	tls_context_free(channel->tls);
	channel_target_fini(&channel->target);
	free(channel);
	return NULL;
}
