// SPDX-License-Identifier: Apache-2.0
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "hold/hold.h"
#include "hold/place.h"

static char folder[PATH_MAX];

// A fresh runtime directory, which $XDG_RUNTIME_DIR names.
static void fresh_runtime(void)
{
	snprintf(folder, sizeof(folder), "/tmp/strobe-test-XXXXXX");
	CHECK(mkdtemp(folder) != NULL);
	setenv("XDG_RUNTIME_DIR", folder, 1);
}

static void remove_runtime(void)
{
	char command[PATH_MAX + 16];
	snprintf(command, sizeof(command), "rm -rf '%s'", folder);
	CHECK(system(command) == 0);
}

static void names(void)
{
	static const char *const good[] = {"a", "4711", "before-update_2.1", "x.overlay.y", "_"};
	static const char *const bad[] = {"",	 ".",  "..",   "-x",	    ".lock",
					  "a/b", " a", "a\nb", "x.overlay", "\xc3\xa9"};
	char longest[HOLD_NAME_LIMIT + 2];
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		CHECK_OK(place_check_name(good[i]));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_ERROR(place_check_name(bad[i]), STROBE_ERROR_INVALID);
	memset(longest, 'x', sizeof(longest));
	longest[HOLD_NAME_LIMIT] = '\0';
	CHECK_OK(place_check_name(longest));
	longest[HOLD_NAME_LIMIT] = 'x';
	longest[HOLD_NAME_LIMIT + 1] = '\0';
	CHECK_ERROR(place_check_name(longest), STROBE_ERROR_INVALID);
}

static void made_private(void)
{
	struct place place;
	struct stat status;
	fresh_runtime();
	CHECK_OK(place_open(false, &place));
	CHECK(place.fd < 0);
	umask(0);
	CHECK_OK(place_open(true, &place));
	umask(022);
	CHECK(fstat(place.fd, &status) == 0);
	CHECK_EQUAL(status.st_mode & 07777, 0700);
	CHECK(strncmp(place.path, folder, strlen(folder)) == 0);
	place_close(&place);
	CHECK_OK(place_open(false, &place));
	CHECK(place.fd >= 0);
	place_close(&place);
	remove_runtime();
}

static void a_link_is_refused(void)
{
	struct place place;
	char path[PATH_MAX + 16], other[PATH_MAX + 16];
	fresh_runtime();
	snprintf(path, sizeof(path), "%s/strobe", folder);
	snprintf(other, sizeof(other), "%s/other", folder);
	CHECK(mkdir(other, 0700) == 0 && symlink(other, path) == 0);
	CHECK_ERROR(place_open(true, &place), STROBE_ERROR_INVALID);
	CHECK_ERROR(place_open(false, &place), STROBE_ERROR_INVALID);
	CHECK(unlink(path) == 0);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	close(fd);
	CHECK_ERROR(place_open(true, &place), STROBE_ERROR_INVALID);
	remove_runtime();
}

static void open_to_others_is_refused(void)
{
	struct place place;
	char path[PATH_MAX + 16];
	fresh_runtime();
	snprintf(path, sizeof(path), "%s/strobe", folder);
	CHECK(mkdir(path, 0700) == 0 && chmod(path, 0750) == 0);
	CHECK_ERROR(place_open(true, &place), STROBE_ERROR_INVALID);
	remove_runtime();
}

static void of_another_user_is_refused(void)
{
	struct place place;
	char path[PATH_MAX + 16];
	enum { SOMEBODY = 12345 };
	if (geteuid() != 0)
		SKIP("only root can make another user's directory");
	fresh_runtime();
	snprintf(path, sizeof(path), "%s/strobe", folder);
	CHECK(mkdir(path, 0700) == 0 && chown(path, SOMEBODY, SOMEBODY) == 0);
	CHECK_ERROR(place_open(true, &place), STROBE_ERROR_INVALID);
	// Nor is a runtime directory of another user's taken: sudo leaves the variable as it was.
	CHECK(chown(folder, SOMEBODY, SOMEBODY) == 0);
	CHECK_OK(place_open(false, &place));
	CHECK_STRING(place.path, "/run/strobe");
	place_close(&place);
	remove_runtime();
}

static void connecting(void)
{
	struct place place;
	enum place_state state;
	int listener, socket, pid;
	fresh_runtime();
	CHECK_OK(place_open(true, &place));
	CHECK_OK(place_connect(&place, "one", &state, &socket));
	CHECK_EQUAL(state, PLACE_NONE);
	CHECK_OK(place_listen(&place, "one", &listener));
	CHECK_ERROR(place_listen(&place, "one", &socket), STROBE_ERROR_SYSTEM);
	CHECK_OK(place_connect(&place, "one", &state, &socket));
	CHECK_EQUAL(state, PLACE_CONNECTED);
	CHECK(place_peer_trusted(socket, &pid));
	CHECK_EQUAL(pid, getpid());
	close(socket);
	close(listener);
	CHECK_OK(place_connect(&place, "one", &state, &socket));
	CHECK_EQUAL(state, PLACE_STALE);
	char *overlay;
	CHECK_OK(hold_overlay_path("one", &overlay));
	int fd = open(overlay, O_WRONLY | O_CREAT, 0600);
	CHECK(fd >= 0);
	close(fd);
	place_remove(&place, "one");
	CHECK(access(overlay, F_OK) != 0);
	CHECK_OK(place_connect(&place, "one", &state, &socket));
	CHECK_EQUAL(state, PLACE_NONE);
	free(overlay);
	place_close(&place);
	remove_runtime();
}

static void a_long_path(void)
{
	struct place place;
	enum place_state state;
	int listener, socket;
	char longer[PATH_MAX + 256], part[201];
	fresh_runtime();
	memset(part, 'd', sizeof(part) - 1);
	part[sizeof(part) - 1] = '\0';
	snprintf(longer, sizeof(longer), "%s/%s", folder, part);
	CHECK(mkdir(longer, 0700) == 0);
	setenv("XDG_RUNTIME_DIR", longer, 1);
	CHECK_OK(place_open(true, &place));
	CHECK_OK(place_listen(&place, "one", &listener));
	CHECK_OK(place_connect(&place, "one", &state, &socket));
	CHECK_EQUAL(state, PLACE_CONNECTED);
	close(socket);
	close(listener);
	place_close(&place);
	remove_runtime();
}

static void the_lock(void)
{
	struct place place;
	int lock;
	char path[PATH_MAX + 16];
	fresh_runtime();
	CHECK_OK(place_open(true, &place));
	CHECK_OK(place_lock(&place, &lock));
	snprintf(path, sizeof(path), "%s/strobe/.lock", folder);
	int other = open(path, O_RDWR | O_CLOEXEC);
	CHECK(other >= 0 && flock(other, LOCK_EX | LOCK_NB) != 0);
	close(lock);
	CHECK(flock(other, LOCK_EX | LOCK_NB) == 0);
	close(other);
	place_close(&place);
	remove_runtime();
}

CHECK_MAIN({"names are short and plain", names},
	   {"the directory is made for its owner alone", made_private},
	   {"a link or a file in the directory's place is refused", a_link_is_refused},
	   {"a directory that others may enter is refused", open_to_others_is_refused},
	   {"another user's directory is refused", of_another_user_is_refused},
	   {"connecting tells who listens, who is gone and who never was", connecting},
	   {"a runtime directory whose path is longer than a socket's address", a_long_path},
	   {"one at a time holds the lock", the_lock})
