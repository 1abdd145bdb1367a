// SPDX-License-Identifier: Apache-2.0
// Descriptors: the same ones, and closed when the target closes them. A copy of the process that
// keeps them would hold locks, ports and ends of pipes.
#include "battery.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <unistd.h>

// The descriptors and where they lead, but for the one that lists them.
static void list_descriptors(char *text, size_t size)
{
	DIR *folder = opendir("/proc/self/fd");
	size_t at = 0;
	text[0] = '\0';
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		char path[300], to[200];
		int fd = atoi(entry->d_name);
		if (entry->d_name[0] == '.' || fd == dirfd(folder))
			continue;
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ssize_t length = readlink(path, to, sizeof(to) - 1);
		to[length > 0 ? length : 0] = '\0';
		int more =
			snprintf(text + at, size - at, "%d %s 0x%x\n", fd, to, fcntl(fd, F_GETFD));
		at += (size_t)more < size - at ? (size_t)more : 0;
	}
	if (folder)
		closedir(folder);
}

static void descriptors(const struct battery_check *check)
{
	static char before[8192], after[8192];
	list_descriptors(before, sizeof(before));
	battery_ready();
	while (battery_more()) {
		list_descriptors(after, sizeof(after));
		EXPECT(strcmp(before, after) == 0, "they were: %.150s and are: %.150s", before,
		       after);
	}
}

static void lowest_free(const struct battery_check *check)
{
	int first = dup(0);
	close(first);
	battery_ready();
	while (battery_more()) {
		int fd = dup(0);
		close(fd);
		EXPECT(fd == first, "the lowest free descriptor was %d and is %d", first, fd);
	}
}

static void pipe_end(const struct battery_check *check)
{
	battery_ready();
	while (battery_more()) {
		int ends[2];
		EXPECT(pipe(ends) == 0, "pipe: %s", strerror(errno));
		usleep(200);
		close(ends[1]);
		char byte;
		fcntl(ends[0], F_SETFL, O_NONBLOCK);
		long got = read(ends[0], &byte, 1);
		EXPECT(got == 0, "the closed end of a pipe is held: read gives %ld (%s)", got,
		       got < 0 ? strerror(errno) : "");
		close(ends[0]);
	}
}

static void socket_end(const struct battery_check *check)
{
	battery_ready();
	while (battery_more()) {
		int ends[2];
		EXPECT(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0, "socketpair failed");
		usleep(200);
		close(ends[1]);
		char byte;
		long got = recv(ends[0], &byte, 1, MSG_DONTWAIT);
		EXPECT(got == 0, "the closed end of a socket is held: recv gives %ld", got);
		close(ends[0]);
	}
}

static void file_lock(const struct battery_check *check)
{
	char name[64];
	snprintf(name, sizeof(name), "/tmp/strobe-battery-%d", (int)getpid());
	int other = open(name, O_RDWR | O_CREAT, 0600);
	battery_ready();
	while (battery_more()) {
		int fd = open(name, O_RDWR);
		EXPECT(flock(fd, LOCK_EX | LOCK_NB) == 0, "lock: %s", strerror(errno));
		usleep(200);
		close(fd);
		EXPECT(flock(other, LOCK_EX | LOCK_NB) == 0,
		       "the lock of a closed file is held: %s", strerror(errno));
		flock(other, LOCK_UN);
	}
	unlink(name);
}

static void port(const struct battery_check *check)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t size = sizeof(address);
	battery_ready();
	while (battery_more()) {
		int fd = socket(AF_INET, SOCK_STREAM, 0);
		int failed = bind(fd, (struct sockaddr *)&address, sizeof(address));
		EXPECT(failed == 0, "a port that was closed is held: %s", strerror(errno));
		EXPECT(listen(fd, 1) == 0, "listen: %s", strerror(errno));
		getsockname(fd, (struct sockaddr *)&address, &size);
		usleep(200);
		close(fd);
	}
}

// A closed descriptor leaves its epoll set, unless another process has it still.
static void epoll_set(const struct battery_check *check)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	battery_ready();
	while (battery_more()) {
		int ends[2];
		EXPECT(pipe(ends) == 0, "pipe: %s", strerror(errno));
		struct epoll_event event = {.events = EPOLLIN};
		epoll_ctl(set, EPOLL_CTL_ADD, ends[0], &event);
		EXPECT(write(ends[1], "x", 1) == 1, "write: %s", strerror(errno));
		usleep(200);
		close(ends[0]);
		int got = epoll_wait(set, &event, 1, 0);
		EXPECT(got == 0, "a closed descriptor still gives events");
		close(ends[1]);
	}
}

static void position(const struct battery_check *check)
{
	char name[64];
	snprintf(name, sizeof(name), "/tmp/strobe-battery-%d", (int)getpid());
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	unlink(name);
	battery_ready();
	for (off_t at = 0; battery_more(); at++) {
		EXPECT(lseek(fd, 0, SEEK_CUR) == at, "the position of a file moved");
		EXPECT(write(fd, "x", 1) == 1, "write: %s", strerror(errno));
	}
}

static void lease(const struct battery_check *check)
{
	char name[64];
	snprintf(name, sizeof(name), "/tmp/strobe-battery-%d", (int)getpid());
	battery_ready();
	for (unsigned i = 0; battery_more(); i++) {
		// Executable files that somebody has open for writing cannot be run; the reverse too.
		int fd = open(name, O_RDWR | O_CREAT, 0600);
		usleep(100);
		close(fd);
		fd = open(name, O_RDONLY);
		int got = fcntl(fd, F_SETLEASE, F_RDLCK);
		int why = errno;
		fcntl(fd, F_SETLEASE, F_UNLCK);
		close(fd);
		EXPECT(got == 0, "a file that was closed is still open for writing: %s",
		       strerror(why));
	}
	unlink(name);
}

const struct battery_check file_checks[] = {
	{"descriptors", "the same descriptors lead to the same files", descriptors},
	{"lowest-free", "the lowest free descriptor stays", lowest_free},
	{"pipe-end", "the end of a pipe that is closed is closed", pipe_end},
	{"socket-end", "so is that of a socket", socket_end},
	{"file-lock", "a lock ends when its file is closed", file_lock},
	{"port", "a port can be had again once closed", port},
	{"epoll-set", "a closed descriptor leaves its epoll set", epoll_set},
	{"position", "positions of files stay", position},
	{"lease", "a file closed for writing is not open for writing", lease},
	{0},
};
