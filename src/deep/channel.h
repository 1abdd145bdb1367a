// SPDX-License-Identifier: Apache-2.0
#ifndef DEEP_CHANNEL_H
#define DEEP_CHANNEL_H

// Unary gRPC calls over one HTTP/2 connection, which is made when there is something to call, and again when it is lost. Nothing here
// waits, except channel_work() for as long as it is told to.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/tracepoint.h>

/** gRPC's statuses, those that are told apart here. */
enum grpc_status {
	GRPC_OK = 0,
	GRPC_CANCELLED = 1,
	GRPC_UNKNOWN = 2,
	GRPC_DEADLINE_EXCEEDED = 4,
	GRPC_PERMISSION_DENIED = 7,
	GRPC_RESOURCE_EXHAUSTED = 8,
	GRPC_UNIMPLEMENTED = 12,
	GRPC_INTERNAL = 13,
	GRPC_UNAVAILABLE = 14,
	GRPC_UNAUTHENTICATED = 16
};

/** A server's address. */
struct channel_target {
	char *host, port[8];
	bool tls;
};
/** "http://HOST[:PORT]", "https://HOST[:PORT]", or HOST[:PORT], which is TLS; an IPv6 address stands in brackets. INVALID, NO_MEMORY. */
struct strobe_error *channel_read_url(const char *url, struct channel_target *ret)
	STROBE_MUST_CHECK;
void channel_target_fini(struct channel_target *target);

struct channel_options {
	const char *ca_file; // NULL = the system's
	uint32_t backoff_ms, backoff_limit_ms;
	size_t response_limit; // bytes of a response's message; more is RESOURCE_EXHAUSTED
};

/** How a call ended; `message` and `body` live during the call. Calls may be made from in there. */
typedef void (*channel_done)(void *context, enum grpc_status status, const char *message,
			     const uint8_t *body, size_t size);

struct channel;
/** Takes over `target`'s strings, on success. Errors: SYSTEM (certificates cannot be read), NO_MEMORY. */
struct strobe_error *channel_new(struct channel_target *target,
				 const struct channel_options *options, struct channel **ret)
	STROBE_MUST_CHECK;
/** Drops what is under way, without telling. */
struct channel *channel_free(struct channel *channel);
/** Begins a call; `message` and `headers` are copied. False when memory is short. */
bool channel_call(struct channel *channel, const char *path, const struct strobe_pair *headers,
		  size_t header_count, const void *message, size_t size, uint32_t timeout_ms,
		  channel_done done, void *context);
/** Calls that have not ended. */
size_t channel_pending(const struct channel *channel);
/** Connected, or about to try: false while it waits before the next try. */
bool channel_ready(const struct channel *channel);
/** Reads, writes and ends calls, for at most `timeout_ms`. */
void channel_work(struct channel *channel, int timeout_ms);

#endif
