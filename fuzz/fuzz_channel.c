// SPDX-License-Identifier: Apache-2.0
// What a server writes on an HTTP/2 connection that gRPC calls are made on: frames, headers, messages, trailers.
#include <stdlib.h>
#include <string.h>

#include "deep/channel.h"
#include "deep/socket.h"

enum { ROUNDS = 64, RESPONSE_LIMIT = 4096, CALLS = 3 };

// The connection, in place of deep/socket.c: the input's first byte tells in what pieces the rest comes.
static struct {
	const uint8_t *data;
	size_t size, at, piece;
	size_t written;
	unsigned connections;
} server;
static unsigned ended;

struct tls_context *tls_context_free(struct tls_context *context)
{
	return NULL;
}

struct strobe_error *tls_context_new(const char *ca_file, struct tls_context **ret)
{
	abort(); // no https here
}

struct socket *socket_new(const char *host, const char *port, struct tls_context *tls)
{
	// Who is not content with the first connection finds that no other is to be had.
	return server.connections++ ? NULL : (struct socket *)&server;
}

struct socket *socket_free(struct socket *socket)
{
	return NULL;
}

enum socket_state socket_advance(struct socket *socket, char *why)
{
	return SOCKET_OPEN;
}

int socket_descriptor(const struct socket *socket)
{
	return -1;
}

short socket_events(const struct socket *socket)
{
	return 0;
}

ssize_t socket_read(struct socket *socket, uint8_t *ret, size_t size)
{
	size_t left = server.size - server.at, count = left < server.piece ? left : server.piece;
	if (!left)
		return -1;
	count = count < size ? count : size;
	memcpy(ret, server.data + server.at, count);
	server.at += count;
	return (ssize_t)count;
}

ssize_t socket_write(struct socket *socket, const uint8_t *bytes, size_t size)
{
	size_t count = size < server.piece ? size : server.piece;
	server.written += count;
	return (ssize_t)count;
}

static void done(void *context, enum grpc_status status, const char *message, const uint8_t *body,
		 size_t size)
{
	size_t sum = message ? strlen(message) : 0;
	if (size > RESPONSE_LIMIT || (size && !body))
		abort();
	for (size_t i = 0; i < size; i++)
		sum += body[i];
	if (sum == SIZE_MAX)
		abort();
	if (++*(unsigned *)context > 1)
		abort(); // each call ends once
	ended++;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct channel_options options = {
		.backoff_ms = 1000, .backoff_limit_ms = 1000, .response_limit = RESPONSE_LIMIT};
	const struct strobe_pair header = {"authorization", "Basic eDp5"};
	struct channel_target target;
	struct channel *channel;
	unsigned ends[CALLS] = {0};
	if (size < 1)
		return 0;
	server.data = data + 1;
	server.size = size - 1;
	server.at = 0;
	server.piece = data[0] + 1U;
	server.connections = 0;
	ended = 0;
	if (channel_read_url("http://server:1", &target) ||
	    channel_new(&target, &options, &channel))
		abort();
	for (unsigned i = 0; i < CALLS; i++)
		if (!channel_call(channel, "/service/method", &header, 1, "abc", i, 60000, done,
				  &ends[i]))
			abort();
	for (unsigned i = 0; i < ROUNDS && ended < CALLS; i++)
		channel_work(channel, 0);
	if (channel_pending(channel) + ended != CALLS)
		abort();
	channel_free(channel);
	return 0;
}
