// SPDX-License-Identifier: Apache-2.0
#include "deep/socket.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "deep/resolve.h"

struct tls_context {
	SSL_CTX *context;
};

/** Invariants: `fd` is open from CONNECTING on; with TLS, what the network gave goes through `input`, what it gets through `output`. */
struct socket {
	enum socket_state state;
	struct resolve *resolve;
	struct addrinfo *addresses, *next;
	int fd, error;
	char *host;
	SSL *ssl;
	BIO *input, *output; // the SSL's
	uint8_t pending[16384];
	size_t pending_size, pending_sent; // of what TLS wants to be written
};

struct strobe_error *tls_context_new(const char *ca_file, struct tls_context **ret)
{
	struct tls_context *context = calloc(1, sizeof(*context));
	static const unsigned char protocols[] = "\x02h2";
	if (!context || !(context->context = SSL_CTX_new(TLS_client_method()))) {
		free(context);
		return error_no_memory();
	}
	SSL_CTX_set_min_proto_version(context->context, TLS1_2_VERSION);
	SSL_CTX_set_verify(context->context, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(context->context,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_set_alpn_protos(context->context, protocols, sizeof(protocols) - 1);
	int good = ca_file ? SSL_CTX_load_verify_locations(context->context, ca_file, NULL)
			   : SSL_CTX_set_default_verify_paths(context->context);
	ERR_clear_error();
	if (good != 1) {
		tls_context_free(context);
		return error_new(STROBE_ERROR_SYSTEM, "%.200s: no certificates can be read from it",
				 ca_file ? ca_file : "the system's certificates");
	}
	*ret = context;
	return NULL;
}

struct tls_context *tls_context_free(struct tls_context *context)
{
	if (context)
		SSL_CTX_free(context->context);
	free(context);
	return NULL;
}

/** The SSL owns its two BIOs from when both are there. */
static bool begin_tls(struct socket *sock, struct tls_context *tls)
{
	struct in6_addr address;
	sock->ssl = SSL_new(tls->context);
	sock->input = BIO_new(BIO_s_mem());
	sock->output = BIO_new(BIO_s_mem());
	if (!sock->ssl || !sock->input || !sock->output) {
		BIO_free(sock->input);
		BIO_free(sock->output);
		return false;
	}
	BIO_set_mem_eof_return(sock->input, -1);
	SSL_set_bio(sock->ssl, sock->input, sock->output);
	SSL_set_connect_state(sock->ssl);
	if (inet_pton(AF_INET, sock->host, &address) == 1 ||
	    inet_pton(AF_INET6, sock->host, &address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(sock->ssl), sock->host) == 1;
	return SSL_set1_host(sock->ssl, sock->host) == 1 &&
	       SSL_set_tlsext_host_name(sock->ssl, sock->host) == 1;
}

struct socket *socket_new(const char *host, const char *port, struct tls_context *tls)
{
	struct socket *sock = calloc(1, sizeof(*sock));
	if (!sock)
		return NULL;
	sock->fd = -1;
	sock->host = strdup(host);
	sock->resolve = sock->host ? resolve_begin(host, port) : NULL;
	if (!sock->resolve || (tls && !begin_tls(sock, tls)))
		return socket_free(sock);
	return sock;
}

struct socket *socket_free(struct socket *sock)
{
	if (!sock)
		return NULL;
	SSL_free(sock->ssl);
	resolve_free(sock->resolve);
	if (sock->addresses)
		freeaddrinfo(sock->addresses);
	if (sock->fd >= 0)
		close(sock->fd);
	free(sock->host);
	free(sock);
	return NULL;
}

/** Tries the next address; FAILED after the last. */
static void try_next(struct socket *sock)
{
	int on = 1;
	if (sock->fd >= 0)
		close(sock->fd);
	sock->fd = -1;
	for (; sock->next; sock->next = sock->next->ai_next) {
		sock->fd = socket(sock->next->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
				  0);
		if (sock->fd < 0) {
			sock->error = errno;
			continue;
		}
		setsockopt(sock->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
		setsockopt(sock->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
		if (connect(sock->fd, sock->next->ai_addr, sock->next->ai_addrlen) == 0 ||
		    errno == EINPROGRESS) {
			sock->next = sock->next->ai_next;
			sock->state = SOCKET_CONNECTING;
			return;
		}
		sock->error = errno;
		close(sock->fd);
		sock->fd = -1;
	}
	sock->state = SOCKET_FAILED;
}

/** Whether the connection stands; else goes on to the next address. */
static void finish_connect(struct socket *sock)
{
	struct pollfd poll_fd = {sock->fd, POLLOUT, 0};
	int error = 0;
	socklen_t size = sizeof(error);
	if (poll(&poll_fd, 1, 0) != 1)
		return;
	if (getsockopt(sock->fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0) {
		sock->state = sock->ssl ? SOCKET_HANDSHAKE : SOCKET_OPEN;
		return;
	}
	sock->error = error;
	try_next(sock);
}

static bool over(int error)
{
	return error != EAGAIN && error != EWOULDBLOCK && error != EINTR;
}

/** Sends what TLS has made; false when the connection is lost. */
static bool flush_tls(struct socket *sock)
{
	for (;;) {
		if (sock->pending_sent == sock->pending_size) {
			int size = BIO_read(sock->output, sock->pending, sizeof(sock->pending));
			sock->pending_sent = 0;
			sock->pending_size = size > 0 ? (size_t)size : 0;
			if (size <= 0)
				return true;
		}
		ssize_t sent = send(sock->fd, sock->pending + sock->pending_sent,
				    sock->pending_size - sock->pending_sent, MSG_NOSIGNAL);
		if (sent <= 0)
			return !over(errno);
		sock->pending_sent += (size_t)sent;
	}
}

/** Gives TLS what the network has; false when the connection is lost or ended. */
static bool fill_tls(struct socket *sock)
{
	uint8_t bytes[16384];
	ssize_t size = recv(sock->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (size == 0)
		return false;
	if (size < 0)
		return !over(errno);
	return BIO_write(sock->input, bytes, (int)size) == size;
}

static void say_tls(const struct socket *sock, char *why)
{
	long verified = SSL_get_verify_result(sock->ssl);
	char text[100] = "the connection ended";
	unsigned long error = ERR_get_error();
	if (error)
		ERR_error_string_n(error, text, sizeof(text));
	snprintf(why, SOCKET_WHY, "TLS: %.100s",
		 verified != X509_V_OK ? X509_verify_cert_error_string(verified) : text);
	ERR_clear_error();
}

static void shake_hands(struct socket *sock, char *why)
{
	const unsigned char *protocol;
	unsigned size;
	bool alive = fill_tls(sock);
	ERR_clear_error();
	int done = SSL_do_handshake(sock->ssl);
	int error = done == 1 ? 0 : SSL_get_error(sock->ssl, done);
	if (!flush_tls(sock) || (!alive && done != 1) ||
	    (done != 1 && error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)) {
		say_tls(sock, why);
		sock->state = SOCKET_FAILED;
		return;
	}
	if (done != 1)
		return;
	SSL_get0_alpn_selected(sock->ssl, &protocol, &size);
	sock->state = SOCKET_OPEN;
	if (size != 2 || memcmp(protocol, "h2", 2) != 0) {
		snprintf(why, SOCKET_WHY, "TLS: the server does not speak HTTP/2");
		sock->state = SOCKET_FAILED;
	}
}

enum socket_state socket_advance(struct socket *sock, char *why)
{
	int error = 0;
	*why = 0;
	if (sock->state == SOCKET_RESOLVING &&
	    resolve_ended(sock->resolve, &sock->addresses, &error)) {
		sock->next = sock->addresses;
		try_next(sock);
		if (!sock->addresses)
			snprintf(why, SOCKET_WHY, "%.60s: %s", sock->host, gai_strerror(error));
	}
	if (sock->state == SOCKET_CONNECTING)
		finish_connect(sock);
	if (sock->state == SOCKET_HANDSHAKE)
		shake_hands(sock, why);
	if (sock->state == SOCKET_FAILED && !*why)
		snprintf(why, SOCKET_WHY, "cannot connect: %s", strerror(sock->error));
	return sock->state;
}

int socket_descriptor(const struct socket *sock)
{
	return sock->fd;
}

short socket_events(const struct socket *sock)
{
	bool writes = sock->state == SOCKET_CONNECTING || sock->pending_sent < sock->pending_size;
	return (short)(POLLIN | (writes ? POLLOUT : 0));
}

ssize_t socket_read(struct socket *sock, uint8_t *ret, size_t size)
{
	if (!sock->ssl) {
		ssize_t got = recv(sock->fd, ret, size, MSG_DONTWAIT);
		return got > 0 ? got : got == 0 || over(errno) ? -1 : 0;
	}
	bool alive = fill_tls(sock);
	ERR_clear_error();
	int got = SSL_read(sock->ssl, ret, (int)size);
	if (got > 0)
		return got;
	int error = SSL_get_error(sock->ssl, got);
	return alive && error == SSL_ERROR_WANT_READ && flush_tls(sock) ? 0 : -1;
}

ssize_t socket_write(struct socket *sock, const uint8_t *bytes, size_t size)
{
	if (!sock->ssl) {
		ssize_t sent = send(sock->fd, bytes, size, MSG_NOSIGNAL);
		return sent > 0 ? sent : over(errno) ? -1 : 0;
	}
	if (!flush_tls(sock))
		return -1;
	if (sock->pending_sent < sock->pending_size)
		return 0;
	enum { PIECE = 16384 };
	ERR_clear_error();
	int sent = SSL_write(sock->ssl, bytes, size > PIECE ? PIECE : (int)size);
	if (sent <= 0 && SSL_get_error(sock->ssl, sent) != SSL_ERROR_WANT_READ)
		return -1;
	return flush_tls(sock) ? (sent > 0 ? sent : 0) : -1;
}
