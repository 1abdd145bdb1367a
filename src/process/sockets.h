// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_SOCKETS_H
#define PROCESS_SOCKETS_H

// What /proc/PID/net tells of sockets (Documentation/networking/proc_net_tcp.rst of the kernel,
// proc(5)), and sock_diag(7) of their peers.

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "base/hash.h"

/** Which tables to read. */
enum socket_family {
	SOCKET_TCP = 1,
	SOCKET_UDP = 2,
	SOCKET_UNIX = 4,
	SOCKET_NETLINK = 8,
};
/** The table that a socket of the kernel's protocol `name` ("TCPv6", "UNIX-STREAM") is in, or 0. */
unsigned socket_family_of(const char *name);

/**
 * Describes the sockets whose inodes are keys of `wanted`, as seen by process `pid`: their values
 * become text in `arena`, "tcp 127.0.0.1:80 <- 127.0.0.1:40312 ESTABLISHED". False when memory is
 * short; what is not found keeps its value.
 */
bool sockets_describe(struct hash *wanted, pid_t pid, unsigned families, struct arena *arena);
/** The same for one table's text, of `family`, with IPv6 addresses or not. */
bool sockets_describe_table(struct hash *wanted, const char *text, enum socket_family family,
			    struct arena *arena);

/** Inode of the socket that the Unix socket `inode` is connected to; 0 if it is not, or nobody
 *  tells. `diag_fd`: of sockets_open_diag(), in the network namespace of the sockets. */
uint32_t sockets_unix_peer(int diag_fd, uint32_t inode);
/** -1 if the kernel has no such thing. */
int sockets_open_diag(void);

#endif
