// SPDX-License-Identifier: Apache-2.0
#include "hold/hold.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/error.h"
#include "core/core.h"
#include "hold/keeper.h"
#include "hold/message.h"
#include "hold/place.h"

enum { HOLD_LIST_LIMIT = 10000, LIST_PATIENCE_S = 3 };

struct strobe_hold {
	struct strobe_hold_info info;
	char name[HOLD_NAME_LIMIT + 1];
	char problem[sizeof(((struct message_answer *)0)->text)];
	struct message_answer answer;
	struct strobe_not_atomic ranges[MESSAGE_RANGE_LIMIT];
};

static uint64_t age_ns(uint64_t boottime_ns)
{
	struct timespec now;
	clock_gettime(CLOCK_BOOTTIME, &now);
	uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
	return now_ns > boottime_ns ? now_ns - boottime_ns : 0;
}

static void fill_info(struct strobe_hold *hold)
{
	const struct message_answer *answer = &hold->answer;
	for (size_t i = 0; i < answer->range_count; i++)
		hold->ranges[i] = (struct strobe_not_atomic){
			answer->ranges[i].start, answer->ranges[i].end, answer->ranges[i].why};
	hold->info = (struct strobe_hold_info){
		.name = hold->name,
		.keeper_pid = answer->keeper_pid,
		.time_ns = (int64_t)answer->realtime_ns,
		.age_ns = age_ns(answer->boottime_ns),
		.process_name = answer->process_name,
		.private_bytes = answer->private_bytes,
		.snapshot = {.pid = answer->pid,
			     .thread_count = answer->thread_count,
			     .method = (enum strobe_snapshot_method)answer->method,
			     .method_why = *answer->text ? answer->text : NULL,
			     .pause_ns = answer->pause_ns,
			     .memory_bytes = answer->memory_bytes,
			     .clone_pid = answer->clone_pid,
			     .not_atomic_count = answer->range_count,
			     .not_atomic = hold->ranges},
	};
}

static struct strobe_hold *hold_new(const char *name)
{
	struct strobe_hold *hold = calloc(1, sizeof(*hold));
	if (hold) {
		snprintf(hold->name, sizeof(hold->name), "%.*s", HOLD_NAME_LIMIT, name);
		hold->info.name = hold->name;
		hold->info.process_name = "";
	}
	return hold;
}

// Asks the keeper at the other end of `socket`, which is closed. `hold->answer` is its answer.
static struct strobe_error *ask(int socket, enum message_kind kind, struct strobe_hold *hold,
				int *fds)
{
	char label[HOLD_NAME_LIMIT + 2];
	struct message_request request = {MESSAGE_MAGIC, kind};
	snprintf(label, sizeof(label), "@%s", hold->name);
	struct strobe_error *error = NULL;
	// A keeper that ends just now is met when its answer is read.
	if (send(socket, &request, sizeof(request), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		error = error_errno(errno, "%s", label);
	if (!error)
		error = message_receive(socket, label, &hold->answer, fds);
	close(socket);
	return error;
}

static struct strobe_error *no_such(const char *name, const struct place *place, bool stale)
{
	if (stale)
		return error_new(
			STROBE_ERROR_NOT_FOUND,
			"@%s: its keeper has ended, and the copy with it (strobe held drop "
			"%s forgets the name)",
			name, name);
	return error_new(STROBE_ERROR_NOT_FOUND,
			 "@%s: no frozen copy has this name (strobe held lists them; names are in "
			 "%s)",
			 name, place->path);
}

// Finds the keeper of `name` and asks it. Only errors: no such name, gone, and what goes wrong.
static struct strobe_error *find_and_ask(const char *name, enum message_kind kind,
					 struct strobe_hold *hold, int *fds)
{
	struct place place;
	enum place_state state;
	int socket;
	struct strobe_error *error = place_open(false, &place);
	if (error)
		return error;
	error = place_connect(&place, name, &state, &socket);
	if (!error && state != PLACE_CONNECTED)
		error = no_such(name, &place, state == PLACE_STALE);
	place_close(&place);
	return error ? error : ask(socket, kind, hold, fds);
}

// The keeper's answer for one of its copies.
static struct strobe_error *receive_one(int socket, const char *name, struct strobe_hold **ret)
{
	int fds[MESSAGE_FD_LIMIT];
	char label[HOLD_NAME_LIMIT + 2];
	struct strobe_hold *hold = hold_new(name);
	if (!hold)
		return error_no_memory();
	snprintf(label, sizeof(label), "@%s", name);
	struct strobe_error *error = message_receive(socket, label, &hold->answer, fds);
	if (error) {
		strobe_hold_free(hold);
		return error;
	}
	fill_info(hold);
	hold->info.private_bytes = UINT64_MAX;
	*ret = hold;
	return NULL;
}

// The first name that cannot be, or stands twice.
static struct strobe_error *check_names(const char *const *names, size_t count)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; i < count && !error; i++) {
		error = place_check_name(names[i]);
		for (size_t k = 0; k < i && !error; k++)
			if (strcmp(names[i], names[k]) == 0)
				error = error_new(STROBE_ERROR_INVALID,
						  "@%s: the name of two copies at once", names[i]);
	}
	return error;
}

struct strobe_error *strobe_hold_take_all(const int *pids, const char *const *names, size_t count,
					  const struct strobe_snapshot_options *options,
					  struct strobe_hold **holds, struct strobe_error **errors)
{
	int socket;
	for (size_t i = 0; i < count; i++) {
		holds[i] = NULL;
		errors[i] = NULL;
	}
	struct strobe_error *error = check_names(names, count);
	if (!error && count > 0)
		error = keeper_start(&(struct keeper_order){pids, names, count, options}, &socket);
	if (error || count == 0)
		return error;
	for (size_t i = 0; i < count; i++)
		errors[i] = receive_one(socket, names[i], &holds[i]);
	close(socket);
	return NULL;
}

struct strobe_error *strobe_hold_take(int pid, const struct strobe_snapshot_options *options,
				      const char *name, struct strobe_hold **ret)
{
	struct strobe_hold *hold;
	struct strobe_error *failed;
	struct strobe_error *error = strobe_hold_take_all(&pid, &name, 1, options, &hold, &failed);
	if (!error && !failed)
		*ret = hold;
	return error ? error : failed;
}

struct strobe_error *strobe_hold_find(const char *name, struct strobe_hold **ret)
{
	int fds[MESSAGE_FD_LIMIT];
	struct strobe_error *error = place_check_name(name);
	if (error)
		return error;
	struct strobe_hold *hold = hold_new(name);
	if (!hold)
		return error_no_memory();
	error = find_and_ask(name, MESSAGE_INFO, hold, fds);
	if (error) {
		strobe_hold_free(hold);
		return error;
	}
	fill_info(hold);
	*ret = hold;
	return NULL;
}

// What the keeper at `socket` (-1: gone) says of an entry. One that hangs does not hide the others.
static void describe_one(struct strobe_hold *hold, int socket)
{
	const struct timeval patience = {.tv_sec = LIST_PATIENCE_S};
	int fds[MESSAGE_FD_LIMIT];
	hold->info.gone = true;
	hold->info.private_bytes = UINT64_MAX;
	hold->info.problem = "its keeper has ended";
	if (socket < 0)
		return;
	place_peer_trusted(socket, &hold->info.keeper_pid);
	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	struct strobe_error *error = ask(socket, MESSAGE_INFO, hold, fds);
	if (!error) {
		fill_info(hold);
	} else if (strobe_error_code(error) != STROBE_ERROR_NOT_FOUND) { // else it ended meanwhile
		hold->info.gone = false;
		snprintf(hold->problem, sizeof(hold->problem), "%s", strobe_error_message(error));
		hold->info.problem = hold->problem;
	}
	strobe_error_free(error);
}

// One entry of the list; `*ret` stays NULL for a name that went meanwhile.
static struct strobe_error *list_one(const struct place *place, const char *name,
				     struct strobe_hold **ret)
{
	enum place_state state;
	int socket;
	struct strobe_error *error = place_connect(place, name, &state, &socket);
	if (error || state == PLACE_NONE)
		return error;
	struct strobe_hold *hold = hold_new(name);
	if (!hold) {
		if (state == PLACE_CONNECTED)
			close(socket);
		return error_no_memory();
	}
	describe_one(hold, state == PLACE_CONNECTED ? socket : -1);
	*ret = hold;
	return NULL;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp((*(struct strobe_hold *const *)a)->name,
		      (*(struct strobe_hold *const *)b)->name);
}

static bool is_socket(const struct place *place, const char *name)
{
	struct stat status;
	return fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	       S_ISSOCK(status.st_mode);
}

struct strobe_error *strobe_hold_list(struct strobe_hold ***ret, size_t *count)
{
	struct place place;
	ARRAY(struct strobe_hold *) holds = {0};
	struct strobe_error *error = place_open(false, &place);
	int fd = error || place.fd < 0 ? -1 : fcntl(place.fd, F_DUPFD_CLOEXEC, 0);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	while (!error && directory && (entry = readdir(directory)) &&
	       holds.count < HOLD_LIST_LIMIT) {
		struct strobe_error *bad = place_check_name(entry->d_name);
		struct strobe_hold *hold = NULL;
		if (!bad && is_socket(&place, entry->d_name))
			error = list_one(&place, entry->d_name, &hold);
		strobe_error_free(bad);
		if (hold && !array_push(&holds, hold)) {
			strobe_hold_free(hold);
			error = error_no_memory();
		}
	}
	if (directory)
		closedir(directory);
	place_close(&place);
	if (error) {
		strobe_hold_list_free(holds.items, holds.count);
		return error;
	}
	if (holds.count > 1)
		qsort(holds.items, holds.count, sizeof(*holds.items), compare_names);
	*ret = holds.items;
	*count = holds.count;
	return NULL;
}

void strobe_hold_list_free(struct strobe_hold **holds, size_t count)
{
	for (size_t i = 0; i < count; i++)
		strobe_hold_free(holds[i]);
	free(holds);
}

struct strobe_hold *strobe_hold_free(struct strobe_hold *hold)
{
	free(hold);
	return NULL;
}

const struct strobe_hold_info *strobe_hold_info(const struct strobe_hold *hold)
{
	return &hold->info;
}

// Forgets a name whose keeper is gone, unless somebody took it since.
static struct strobe_error *forget(const struct place *place, const char *name)
{
	enum place_state state;
	int lock, socket;
	struct strobe_error *error = place_lock(place, &lock);
	if (error)
		return error;
	error = place_connect(place, name, &state, &socket);
	if (!error && state == PLACE_CONNECTED)
		close(socket);
	else if (!error)
		place_remove(place, name);
	close(lock);
	return error;
}

static struct strobe_error *drop_at(const struct place *place, const char *name)
{
	enum place_state state;
	int socket, fds[MESSAGE_FD_LIMIT];
	struct strobe_error *error = place_connect(place, name, &state, &socket);
	if (error)
		return error;
	if (state == PLACE_NONE)
		return no_such(name, place, false);
	if (state == PLACE_STALE)
		return forget(place, name);
	struct strobe_hold *hold = hold_new(name);
	if (!hold) {
		close(socket);
		return error_no_memory();
	}
	error = ask(socket, MESSAGE_DROP, hold, fds);
	strobe_hold_free(hold);
	return error;
}

struct strobe_error *strobe_hold_drop(const char *name)
{
	struct place place;
	struct strobe_error *error = place_check_name(name);
	if (!error)
		error = place_open(false, &place);
	if (error)
		return error;
	error = drop_at(&place, name);
	place_close(&place);
	return error;
}

static void close_all(int *fds)
{
	for (size_t i = 0; i < MESSAGE_FD_LIMIT; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

struct strobe_error *strobe_hold_open(const char *name, const struct strobe_view_options *options,
				      struct strobe_view **ret)
{
	int fds[MESSAGE_FD_LIMIT];
	char label[HOLD_NAME_LIMIT + 2];
	struct strobe_error *error = place_check_name(name);
	if (error)
		return error;
	struct strobe_hold *hold = hold_new(name);
	if (!hold)
		return error_no_memory();
	snprintf(label, sizeof(label), "@%s", name);
	error = find_and_ask(name, MESSAGE_OPEN, hold, fds);
	strobe_hold_free(hold);
	if (error)
		return error;
	const struct process_files files = {fds[MESSAGE_FD_MEMORY], fds[MESSAGE_FD_PAGEMAP],
					    fds[MESSAGE_FD_MAPS]};
	error = core_open_frozen(fds[MESSAGE_FD_IMAGE], &files, label, options, ret);
	close_all(fds);
	return error;
}

struct strobe_error *hold_overlay_path(const char *name, char **ret)
{
	struct place place;
	struct strobe_error *error = place_check_name(name);
	if (!error)
		error = place_open(true, &place);
	if (error)
		return error;
	place_close(&place);
	if (asprintf(ret, "%s/%s%s", place.path, name, HOLD_OVERLAY_SUFFIX) < 0)
		return error_no_memory();
	return NULL;
}
