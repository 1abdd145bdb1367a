// SPDX-License-Identifier: Apache-2.0
// What is at the other end of sockets and pipes, against those that this very program makes.
#include "process/peers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "process/sockets.h"

static const char *peer_of(const struct facts *facts, int fd)
{
	for (size_t i = 0; i < facts->descriptors.count; i++)
		if (facts->descriptors.items[i].fd == fd)
			return facts->descriptors.items[i].peer;
	return NULL;
}

static void look(struct facts *facts, pid_t pid)
{
	CHECK(facts_read_descriptors(facts, pid, 0, SIZE_MAX));
	CHECK(peers_find(facts, pid, 60000));
}

static int listen_at(struct sockaddr *address, socklen_t *size)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 && address->sa_family == AF_INET6)
		SKIP("no IPv6 here");
	CHECK(fd >= 0);
	if (bind(fd, address, *size) != 0 && address->sa_family == AF_INET6)
		SKIP("no IPv6 loopback here: %s", strerror(errno));
	CHECK(listen(fd, 4) == 0 && getsockname(fd, address, size) == 0);
	return fd;
}

static void check_tcp(struct sockaddr *address, socklen_t size, const char *host, in_port_t *port)
{
	struct facts facts = {0};
	char server[64], client[64], wanted[160];
	int listening = listen_at(address, &size);
	int caller = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	CHECK(connect(caller, address, size) == 0);
	snprintf(server, sizeof(server), "%s:%u", host, ntohs(*port));
	int called = accept(listening, NULL, NULL);
	CHECK(called >= 0 && getsockname(caller, address, &size) == 0);
	snprintf(client, sizeof(client), "%s:%u", host, ntohs(*port));
	look(&facts, getpid());
	snprintf(wanted, sizeof(wanted), "tcp %s LISTEN", server);
	CHECK_STRING(peer_of(&facts, listening), wanted);
	snprintf(wanted, sizeof(wanted), "tcp %s <- %s ESTABLISHED", server, client);
	CHECK_STRING(peer_of(&facts, called), wanted);
	snprintf(wanted, sizeof(wanted), "tcp %s -> %s ESTABLISHED", client, server);
	CHECK_STRING(peer_of(&facts, caller), wanted);
	facts_fini(&facts);
	close(called);
	close(caller);
	close(listening);
}

static void tells_tcp_connections(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	check_tcp((struct sockaddr *)&address, sizeof(address), "127.0.0.1", &address.sin_port);
}

static void tells_tcp_connections_of_ipv6(void)
{
	struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	check_tcp((struct sockaddr *)&address, sizeof(address), "[::1]", &address.sin6_port);
}

static void tells_udp_sockets(void)
{
	struct facts facts = {0};
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	char wanted[64];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, size) == 0);
	CHECK(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
	look(&facts, getpid());
	snprintf(wanted, sizeof(wanted), "udp 127.0.0.1:%u", ntohs(address.sin_port));
	CHECK_STRING(peer_of(&facts, fd), wanted);
	facts_fini(&facts);
	close(fd);
}

/** A child that has the second of `ends` alone, and a name; ends[1] is closed here. */
static pid_t make_child(int ends[2])
{
	int ready[2];
	char byte;
	CHECK(pipe(ready) == 0);
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, "other end");
		close(ends[0]);
		if (write(ready[1], "", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ends[1]);
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void tells_who_has_a_pipe(void)
{
	struct facts own = {0}, its = {0};
	int ends[2];
	char wanted[64];
	CHECK(pipe(ends) == 0);
	int reader = ends[0], writer = ends[1];
	pid_t pid = make_child(ends);
	look(&own, getpid());
	look(&its, pid);
	end_child(pid);
	snprintf(wanted, sizeof(wanted), "pipe of %d (other end)", (int)pid);
	CHECK_STRING(peer_of(&own, reader), wanted);
	snprintf(wanted, sizeof(wanted), "pipe of %d (test_peers)", (int)getpid());
	CHECK_STRING(peer_of(&its, writer), wanted);
	facts_fini(&own);
	facts_fini(&its);
	own = (struct facts){0};
	look(&own, getpid()); // now nobody writes
	CHECK_STRING(peer_of(&own, reader), "");
	facts_fini(&own);
	close(reader);
}

static void tells_who_has_a_unix_socket(void)
{
	struct facts facts = {0};
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int ends[2];
	char wanted[128];
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	int near = ends[0];
	pid_t pid = make_child(ends);
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/strobe-peers-%d", (int)getpid());
	socklen_t size = sizeof(address);
	int listening = listen_at((struct sockaddr *)&address, &size);
	look(&facts, getpid());
	unlink(address.sun_path);
	end_child(pid);
	snprintf(wanted, sizeof(wanted), "unix stream %s LISTEN", address.sun_path);
	CHECK_STRING(peer_of(&facts, listening), wanted);
	int diag = sockets_open_diag();
	if (diag < 0)
		SKIP("no sock_diag here: %s", strerror(errno));
	close(diag);
	snprintf(wanted, sizeof(wanted), "unix stream of %d (other end)", (int)pid);
	if (strcmp(peer_of(&facts, near), "unix stream") == 0)
		SKIP("this kernel has no unix_diag");
	CHECK_STRING(peer_of(&facts, near), wanted);
	facts_fini(&facts);
	close(near);
	close(listening);
}

static void survives_damaged_tables(void)
{
	static const char *const tables[] = {
		"",
		"\n\n",
		"   0: 0100007F:0050",
		"   0: 0100007F:99999 0100007F:0051 01 0:0 0:0 0 0 0 7 1",
		"   0: 0100007F0100007F:0050 0100007F0100007F:0051 01 0:0 0:0 0 0 0 7 1",
		"   0: 0100007F:0050 00000000000000000000000001000000:0051 01 0:0 0:0 0 0 0 7 1",
		"0: 00000003 0 0 0001",
	};
	static const enum socket_family families[] = {SOCKET_TCP, SOCKET_UDP, SOCKET_UNIX,
						      SOCKET_NETLINK};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (size_t k = 0; k < 4; k++) {
			struct hash wanted = {0};
			struct arena arena = {0};
			CHECK(hash_put(&wanted, 7, (char *)""));
			CHECK(sockets_describe_table(&wanted, tables[i], families[k], &arena));
			CHECK_STRING((const char *)hash_get(&wanted, 7), "");
			hash_fini(&wanted);
			arena_fini(&arena);
		}
	}
	struct hash wanted = {0};
	struct arena arena = {0};
	CHECK(hash_put(&wanted, 7, (char *)""));
	CHECK(sockets_describe_table(&wanted, "0: 0100007F:0050 0200007F:0051 FF 0:0 0:0 0 0 0 7 1",
				     SOCKET_TCP, &arena));
	CHECK_STRING((const char *)hash_get(&wanted, 7),
		     "tcp 127.0.0.1:80 -> 127.0.0.2:81 UNKNOWN");
	hash_fini(&wanted);
	arena_fini(&arena);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"both ends of a TCP connection and who listens are told", tells_tcp_connections},
		{"the same of IPv6", tells_tcp_connections_of_ipv6},
		{"a UDP socket's address is told", tells_udp_sockets},
		{"who has a pipe's other end is told", tells_who_has_a_pipe},
		{"who has a Unix socket's other end is told", tells_who_has_a_unix_socket},
		{"damaged tables tell nothing", survives_damaged_tables},
	};
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}
