// SPDX-License-Identifier: Apache-2.0
#include "hold/place.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/error.h"

enum { LISTEN_BACKLOG = 64 };
static const char lock_name[] = ".lock"; // no name begins with '.'

static void choose_path(char *path, size_t size)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	struct stat status;
	// Under sudo the variable may still name the other user's directory.
	if (runtime && *runtime == '/' && strlen(runtime) + sizeof("/strobe") <= size &&
	    stat(runtime, &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == geteuid())
		snprintf(path, size, "%s/strobe", runtime);
	else if (geteuid() == 0)
		snprintf(path, size, "/run/strobe");
	else
		snprintf(path, size, "/tmp/strobe-%u", geteuid());
}

static struct strobe_error *check_directory(const struct place *place)
{
	struct stat status;
	if (fstat(place->fd, &status) != 0)
		return error_errno(errno, "%s", place->path);
	if (status.st_uid != place->owner)
		return error_new(STROBE_ERROR_INVALID,
				 "%s belongs to user %u, not to user %u: it is not safe to use",
				 place->path, status.st_uid, place->owner);
	if (status.st_mode & 077)
		return error_new(STROBE_ERROR_INVALID,
				 "%s is open to others (mode %03o, should be 700): it is not safe "
				 "to use",
				 place->path, status.st_mode & 0777);
	return NULL;
}

/** Has `place` be the directory `name` in `at` (or a path of its own), which its path is set for. */
static struct strobe_error *open_at(int at, const char *name, bool create, struct place *place)
{
	place->fd = -1;
	if (create && mkdirat(at, name, 0700) != 0 && errno != EEXIST)
		return error_errno(errno, "%s", place->path);
	place->fd = openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (place->fd < 0 && errno == ENOENT)
		return NULL;
	if (place->fd < 0 && (errno == ELOOP || errno == ENOTDIR))
		return error_new(STROBE_ERROR_INVALID,
				 "%s is no directory but a link or a file: it is not safe to use",
				 place->path);
	if (place->fd < 0)
		return error_errno(errno, "%s", place->path);
	struct strobe_error *error = check_directory(place);
	if (error)
		place_close(place);
	return error;
}

struct strobe_error *place_open_path(const char *path, uid_t owner, bool create, struct place *ret)
{
	ret->owner = owner;
	snprintf(ret->path, sizeof(ret->path), "%s", path);
	return open_at(AT_FDCWD, path, create, ret);
}

struct strobe_error *place_open(bool create, struct place *ret)
{
	char path[PATH_MAX];
	choose_path(path, sizeof(path));
	return place_open_path(path, geteuid(), create, ret);
}

struct strobe_error *place_enter(struct place *place, const char *name, bool create)
{
	int outer = place->fd;
	size_t size = strlen(place->path);
	if (outer < 0)
		return NULL;
	snprintf(place->path + size, sizeof(place->path) - size, "/%s", name);
	struct strobe_error *error = open_at(outer, name, create, place);
	close(outer);
	return error;
}

void place_close(struct place *place)
{
	if (place->fd >= 0)
		close(place->fd);
	place->fd = -1;
}

struct strobe_error *place_lock(const struct place *place, int *ret)
{
	int fd = openat(place->fd, lock_name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return error_errno(errno, "%s/%s", place->path, lock_name);
	int status;
	do
		status = flock(fd, LOCK_EX);
	while (status != 0 && errno == EINTR);
	if (status == 0) {
		*ret = fd;
		return NULL;
	}
	struct strobe_error *error = error_errno(errno, "%s/%s", place->path, lock_name);
	close(fd);
	return error;
}

void place_remove(const struct place *place, const char *name)
{
	char overlay[HOLD_NAME_LIMIT + sizeof(HOLD_OVERLAY_SUFFIX)];
	snprintf(overlay, sizeof(overlay), "%s%s", name, HOLD_OVERLAY_SUFFIX);
	unlinkat(place->fd, overlay, 0);
	unlinkat(place->fd, name, 0);
}

struct strobe_error *place_check_name(const char *name)
{
	static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				      "0123456789_.-";
	size_t size = strlen(name), suffix = strlen(HOLD_OVERLAY_SUFFIX);
	if (size == 0 || size > HOLD_NAME_LIMIT || strspn(name, letters) != size || *name == '.' ||
	    *name == '-')
		return error_new(STROBE_ERROR_INVALID,
				 "'%s' is no name for a frozen copy: 1 to %d letters, digits, "
				 "'_', '.' and '-', the first no '.' or '-'",
				 name, HOLD_NAME_LIMIT);
	if (size > suffix && strcmp(name + size - suffix, HOLD_OVERLAY_SUFFIX) == 0)
		return error_new(STROBE_ERROR_INVALID,
				 "'%s' is no name for a frozen copy: it ends in '%s'", name,
				 HOLD_OVERLAY_SUFFIX);
	return NULL;
}

// Through the directory's descriptor: that is the directory that was checked, and its path may be
// longer than a socket's address.
static void make_address(const struct place *place, const char *name, struct sockaddr_un *ret)
{
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(ret->sun_path, sizeof(ret->sun_path), "/proc/self/fd/%d/%.*s", place->fd,
		 HOLD_NAME_LIMIT, name);
}

struct strobe_error *place_listen(const struct place *place, const char *name, int *ret)
{
	struct sockaddr_un address;
	make_address(place, name, &address);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_errno(errno, "%s/%s", place->path, name);
	if (bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    listen(fd, LISTEN_BACKLOG) == 0) {
		*ret = fd;
		return NULL;
	}
	struct strobe_error *error = error_errno(errno, "%s/%s", place->path, name);
	close(fd);
	return error;
}

static bool is_of(int fd, uid_t owner, int *pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0)
		return false;
	*pid = peer.pid;
	return peer.uid == owner || peer.uid == 0;
}

bool place_peer_trusted(int fd, int *pid)
{
	return is_of(fd, geteuid(), pid);
}

struct strobe_error *place_connect(const struct place *place, const char *name,
				   enum place_state *state, int *ret)
{
	struct sockaddr_un address;
	int pid;
	*state = PLACE_NONE;
	if (place->fd < 0)
		return NULL;
	make_address(place, name, &address);
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return error_errno(errno, "%s/%s", place->path, name);
	// A keeper that hangs must not hang us: connecting waits while its queue is full.
	const struct timeval patience = {.tv_sec = HOLD_PATIENCE_S};
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	struct strobe_error *error = NULL;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
		if (errno == ECONNREFUSED)
			*state = PLACE_STALE;
		else if (errno != ENOENT)
			error = error_errno(errno, "%s/%s", place->path, name);
	} else if (!is_of(fd, place->owner, &pid)) {
		error = error_new(STROBE_ERROR_INVALID,
				  "%s/%s: another user's process answers: it is not trusted",
				  place->path, name);
	} else {
		*state = PLACE_CONNECTED;
		*ret = fd;
		return NULL;
	}
	close(fd);
	return error;
}
