// SPDX-License-Identifier: Apache-2.0
#ifndef DEEP_SOCKET_H
#define DEEP_SOCKET_H

// A stream to a server, plain or by TLS, that never waits and raises no signal.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <sys/types.h>

struct tls_context;
/** Errors: SYSTEM (the certificates cannot be read), NO_MEMORY. */
struct strobe_error *tls_context_new(const char *ca_file, struct tls_context **ret)
	STROBE_MUST_CHECK;
struct tls_context *tls_context_free(struct tls_context *context);

enum socket_state {
	SOCKET_RESOLVING,
	SOCKET_CONNECTING,
	SOCKET_HANDSHAKE,
	SOCKET_OPEN,
	SOCKET_FAILED
};
enum { SOCKET_WHY = 160 };

struct socket;
/** Begins to connect; `tls` NULL = plain. NULL when memory is short. */
struct socket *socket_new(const char *host, const char *port, struct tls_context *tls);
struct socket *socket_free(struct socket *socket);
/** Goes on connecting. What went wrong is told in `why` (SOCKET_WHY bytes). */
enum socket_state socket_advance(struct socket *socket, char *why);
/** -1 while there is none. */
int socket_descriptor(const struct socket *socket);
/** poll(2)'s events that it waits for. */
short socket_events(const struct socket *socket);
/** Bytes read or written; 0 = none now; -1 = it is over. */
ssize_t socket_read(struct socket *socket, uint8_t *ret, size_t size);
ssize_t socket_write(struct socket *socket, const uint8_t *bytes, size_t size);

#endif
