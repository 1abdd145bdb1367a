// SPDX-License-Identifier: Apache-2.0
#include "process/sockets.h"

#include <arpa/inet.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/text.h"
#include "process/proc.h"

enum {
	LINE_SIZE = 512,
	STATE_ESTABLISHED = 1,
	STATE_LISTEN = 10,
	UNIX_ACCEPTS = 0x10000, // __SO_ACCEPTCON
	DIAG_WAIT_MS = 100,
};

/** Ports that somebody listens on: who has one was called, who has none has called. */
struct ports {
	uint8_t bits[65536 / 8];
};

static const char *const states[] = {
	"UNKNOWN", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2",    "TIME_WAIT",
	"CLOSE",   "CLOSE_WAIT",  "LAST_ACK", "LISTEN",	  "CLOSING",   "NEW_SYN_RECV",
};

unsigned socket_family_of(const char *name)
{
	if (strncmp(name, "TCP", 3) == 0 || strncmp(name, "MPTCP", 5) == 0)
		return SOCKET_TCP;
	if (strncmp(name, "UDP", 3) == 0)
		return SOCKET_UDP;
	if (strncmp(name, "UNIX", 4) == 0)
		return SOCKET_UNIX;
	return strcmp(name, "NETLINK") == 0 ? SOCKET_NETLINK : 0;
}

/** The next line of `*at`, cut to LINE_SIZE; false at the end. */
static bool next_line(const char **at, char line[LINE_SIZE])
{
	const char *start = *at, *end = strchrnul(start, '\n');
	if (!*start)
		return false;
	size_t size = (size_t)(end - start);
	size = size < LINE_SIZE - 1 ? size : LINE_SIZE - 1;
	memcpy(line, start, size);
	line[size] = '\0';
	*at = *end ? end + 1 : end;
	return true;
}

/** "0100007F:0050" -> "127.0.0.1:80". Words of the address are as they stand in memory. */
static void address_text(const char *hex, unsigned port, char *ret, size_t size)
{
	uint32_t words[4] = {0};
	char text[INET6_ADDRSTRLEN] = "?";
	bool wide = strlen(hex) == 32;
	for (size_t i = 0; i < (wide ? 4 : 1); i++) {
		char word[9] = "";
		memcpy(word, hex + 8 * i, strnlen(hex + 8 * i, 8));
		words[i] = (uint32_t)strtoul(word, NULL, 16);
	}
	inet_ntop(wide ? AF_INET6 : AF_INET, words, text, sizeof(text));
	snprintf(ret, size, wide ? "[%s]:%u" : "%s:%u", text, port);
}

struct internet_line {
	char local[33], remote[33];
	unsigned local_port, remote_port, state;
	unsigned long inode;
};

static bool parse_internet(const char *line, struct internet_line *ret)
{
	return sscanf(line,
		      " %*[^:]: %32[0-9A-Fa-f]:%x %32[0-9A-Fa-f]:%x %x %*s %*s %*s %*s %*s %lu",
		      ret->local, &ret->local_port, ret->remote, &ret->remote_port, &ret->state,
		      &ret->inode) == 6 &&
	       (strlen(ret->local) == 8 || strlen(ret->local) == 32) &&
	       strlen(ret->remote) == strlen(ret->local) && ret->local_port < 65536;
}

static char *describe_internet(const struct internet_line *line, const char *protocol,
			       const struct ports *listening, struct arena *arena)
{
	char local[64], remote[64];
	const char *state =
		line->state < sizeof(states) / sizeof(states[0]) ? states[line->state] : states[0];
	bool udp = strcmp(protocol, "udp") == 0;
	address_text(line->local, line->local_port, local, sizeof(local));
	address_text(line->remote, line->remote_port, remote, sizeof(remote));
	if (!line->remote_port)
		return arena_printf(arena, "%s %s%s%s", protocol, local, udp ? "" : " ",
				    udp ? "" : state);
	bool called = listening->bits[line->local_port / 8] >> line->local_port % 8 & 1;
	return arena_printf(arena, "%s %s %s %s%s%s", protocol, local, called ? "<-" : "->", remote,
			    udp ? "" : " ", udp ? "" : state);
}

static void note_listening(const char *text, struct ports *listening)
{
	struct internet_line parsed;
	char line[LINE_SIZE];
	for (const char *at = text; next_line(&at, line);)
		if (parse_internet(line, &parsed) && parsed.state == STATE_LISTEN)
			listening->bits[parsed.local_port / 8] |=
				(uint8_t)(1 << parsed.local_port % 8);
}

static char *describe_unix(const char *line, struct arena *arena, unsigned long *inode)
{
	unsigned flags, type, state;
	int path_at = 0;
	static const char *const types[] = {"", "stream", "datagram", "", "", "seqpacket"};
	if (sscanf(line, "%*s %*x %*x %x %x %x %lu %n", &flags, &type, &state, inode, &path_at) < 4)
		return NULL;
	const char *path = path_at ? line + path_at : "";
	return arena_printf(arena, "unix %s%s%s%s", type < 6 ? types[type] : "", *path ? " " : "",
			    path, flags & UNIX_ACCEPTS ? " LISTEN" : "");
}

bool sockets_describe_table(struct hash *wanted, const char *text, enum socket_family family,
			    struct arena *arena)
{
	struct ports listening = {{0}};
	char line[LINE_SIZE];
	if (family == SOCKET_TCP)
		note_listening(text, &listening);
	for (const char *at = text; next_line(&at, line);) {
		struct internet_line parsed;
		unsigned long inode = 0;
		char *found = NULL;
		unsigned protocol;
		// Only lines of sockets that are asked for are put into words.
		if (family == SOCKET_TCP || family == SOCKET_UDP) {
			if (!parse_internet(line, &parsed) || !parsed.inode ||
			    !hash_get(wanted, parsed.inode))
				continue;
			inode = parsed.inode;
			found = describe_internet(&parsed, family == SOCKET_TCP ? "tcp" : "udp",
						  &listening, arena);
		} else if (family == SOCKET_UNIX) {
			unsigned long number = 0;
			if (sscanf(line, "%*s %*x %*x %*x %*x %*x %lu", &number) != 1 || !number ||
			    !hash_get(wanted, number))
				continue;
			found = describe_unix(line, arena, &inode);
		} else {
			if (sscanf(line, "%*s %u %*s %*s %*s %*s %*s %*s %*s %lu", &protocol,
				   &inode) != 2 ||
			    !inode || !hash_get(wanted, inode))
				continue;
			found = arena_printf(arena, "netlink protocol %u", protocol);
		}
		if (!found || !hash_put(wanted, inode, found))
			return false;
	}
	return true;
}

bool sockets_describe(struct hash *wanted, pid_t pid, unsigned families, struct arena *arena)
{
	static const struct {
		const char *name;
		enum socket_family family;
	} tables[] = {
		{"tcp", SOCKET_TCP},  {"tcp6", SOCKET_TCP},  {"udp", SOCKET_UDP},
		{"udp6", SOCKET_UDP}, {"unix", SOCKET_UNIX}, {"netlink", SOCKET_NETLINK},
	};
	for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		char name[64];
		cleanup_text struct text text = {0};
		if (!(families & tables[i].family))
			continue;
		snprintf(name, sizeof(name), "%d/net/%s", (int)pid, tables[i].name);
		if (proc_read(name, &text) == 0 &&
		    !sockets_describe_table(wanted, text_string(&text), tables[i].family, arena))
			return false;
	}
	return true;
}

int sockets_open_diag(void)
{
	struct timeval wait = {.tv_usec = DIAG_WAIT_MS * 1000};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	return fd;
}

uint32_t sockets_unix_peer(int diag_fd, uint32_t inode)
{
	struct {
		struct nlmsghdr head;
		struct unix_diag_req body;
	} request = {
		.head = {.nlmsg_len = sizeof(request),
			 .nlmsg_type = SOCK_DIAG_BY_FAMILY,
			 .nlmsg_flags = NLM_F_REQUEST},
		.body = {.sdiag_family = AF_UNIX,
			 .udiag_states = UINT32_MAX,
			 .udiag_ino = inode,
			 .udiag_show = UDIAG_SHOW_PEER,
			 .udiag_cookie = {UINT32_MAX, UINT32_MAX}},
	};
	_Alignas(struct nlmsghdr) char answer[4096];
	if (send(diag_fd, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
		return 0;
	ssize_t size = recv(diag_fd, answer, sizeof(answer), 0);
	const struct nlmsghdr *head = (const struct nlmsghdr *)answer;
	if (size < (ssize_t)sizeof(*head) || !NLMSG_OK(head, (uint32_t)size) ||
	    head->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
	    head->nlmsg_len < NLMSG_LENGTH(sizeof(struct unix_diag_msg)))
		return 0;
	struct unix_diag_msg *body = NLMSG_DATA(head);
	struct rtattr *attribute = (struct rtattr *)(body + 1);
	unsigned rest = head->nlmsg_len - (unsigned)NLMSG_LENGTH(sizeof(*body));
	for (; RTA_OK(attribute, rest); attribute = RTA_NEXT(attribute, rest)) {
		uint32_t peer;
		if (attribute->rta_type != UNIX_DIAG_PEER || RTA_PAYLOAD(attribute) < sizeof(peer))
			continue;
		memcpy(&peer, RTA_DATA(attribute), sizeof(peer));
		return peer;
	}
	return 0;
}
