// SPDX-License-Identifier: Apache-2.0
// Asking the sessions of other processes.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/error.h"
#include "hold/place.h"
#include "watch/session_message.h"

enum { SESSION_LIMIT = 10000, PATIENCE_S = 10, LIST_PATIENCE_S = 3, END_PATIENCE_S = 60 };

/** Invariant: what `info` and `statuses` point to is in `arena`, or a member. */
struct strobe_session {
	struct strobe_session_info info;
	struct arena arena;
	char name[HOLD_NAME_LIMIT + 1], folder[PATH_MAX], problem[256];
	struct strobe_tracepoint_status *statuses;
	size_t count;
};
struct sessions {
	ARRAY(struct strobe_session *) list;
};

static struct strobe_session *free_session(struct strobe_session *session)
{
	if (session)
		arena_fini(&session->arena);
	free(session);
	return NULL;
}

static struct strobe_session *new_session(const struct place *place, const char *name)
{
	struct strobe_session *session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	snprintf(session->name, sizeof(session->name), "%s", name);
	snprintf(session->folder, sizeof(session->folder), "%s", place->path);
	session->info = (struct strobe_session_info){
		.name = session->name, .process_name = "", .user = place->owner};
	return session;
}

// Messages.

static void set_patience(int socket, int seconds)
{
	const struct timeval patience = {.tv_sec = seconds};
	setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static struct strobe_error *silent(const char *name)
{
	return error_new(STROBE_ERROR_LIMIT, "session %s does not answer: is its process stopped?",
			 name);
}

static struct strobe_error *gone(const char *name)
{
	return error_new(STROBE_ERROR_NOT_FOUND, "session %s has ended", name);
}

static struct strobe_error *other_version(const char *name)
{
	return error_new(STROBE_ERROR_FORMAT, "session %s is of another version of strobe", name);
}

/** The whole answer. */
static struct strobe_error *receive(int socket, const char *name, struct text *ret)
{
	enum { ROOM = SESSION_PACKET + sizeof(struct session_packet) + 1 };
	char *packet = malloc(ROOM);
	struct strobe_error *error = packet ? NULL : error_no_memory();
	for (bool more = true; more && !error;) {
		ssize_t size = recv(socket, packet, ROOM, 0);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			error = silent(name);
		else if (size < 0 && errno != ECONNRESET)
			error = error_errno(errno, "session %s", name);
		else if (size <= 0)
			error = gone(name);
		else if (!session_take_packet(packet, (size_t)size, SESSION_ANSWER_LIMIT, ret,
					      &more))
			error = ret->failed ? error_no_memory() : other_version(name);
	}
	free(packet);
	return error;
}

/** The error that an answer begins with; NULL = it is a good one. */
static struct strobe_error *read_error(struct session_reader *reader, const char *name)
{
	uint64_t code = session_get_number(reader);
	if (reader->bad || code > STROBE_ERROR_OPTIMIZED_OUT)
		return other_version(name);
	if (!code)
		return NULL;
	const char *message = session_get_string(reader);
	if (code == STROBE_ERROR_NO_MEMORY)
		return error_no_memory();
	return message ? error_new((enum strobe_error_code)code, "%s", message)
		       : other_version(name);
}

/** Asks at a socket, which is closed; `reader` is at the answer's content, in `bytes`. */
static struct strobe_error *exchange(int socket, const char *name, const struct text *request,
				     struct text *bytes, struct session_reader *reader)
{
	size_t sent = 0;
	struct strobe_error *error = NULL;
	// One that ends just now is met when its answer is read.
	if (request->failed)
		error = error_no_memory();
	else if (request->size > SESSION_REQUEST_LIMIT)
		error = error_new(STROBE_ERROR_LIMIT, "a tracepoint of more than %d bytes",
				  SESSION_REQUEST_LIMIT);
	else if (session_send(socket, request, &sent) && sent < request->size)
		error = silent(name);
	if (!error)
		error = receive(socket, name, bytes);
	close(socket);
	reader->at = bytes->data;
	reader->left = bytes->size;
	return error ? error : read_error(reader, name);
}

static struct strobe_error *connect_to(const struct strobe_session *session, int *ret)
{
	struct place place;
	enum place_state state = PLACE_NONE;
	struct strobe_error *error =
		place_open_path(session->folder, session->info.user, false, &place);
	if (error)
		return error;
	error = place_connect(&place, session->name, &state, ret);
	place_close(&place);
	return error || state == PLACE_CONNECTED ? error : gone(session->name);
}

static struct strobe_error *ask(struct strobe_session *session, const struct text *request,
				int patience_s, struct text *bytes, struct session_reader *reader)
{
	int socket;
	struct strobe_error *error = connect_to(session, &socket);
	if (error)
		return error;
	set_patience(socket, patience_s);
	return exchange(socket, session->name, request, bytes, reader);
}

static struct strobe_error *take_info(struct strobe_session *session, struct session_reader *reader)
{
	struct strobe_session_info info;
	session_get_info(reader, &info);
	if (reader->bad)
		return other_version(session->name);
	info.name = session->info.name;
	info.watcher_pid = session->info.watcher_pid;
	info.user = session->info.user;
	session->info = info;
	return NULL;
}

// The list.

/** What the session at `socket` says; one that hangs does not hide the others. */
static void describe(struct strobe_session *session, int socket)
{
	struct text request cleanup_text = {0}, bytes cleanup_text = {0};
	struct session_reader reader = {.arena = &session->arena};
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		session->info.watcher_pid = peer.pid;
	set_patience(socket, LIST_PATIENCE_S);
	session_put_number(&request, SESSION_INFO);
	struct strobe_error *error = exchange(socket, session->name, &request, &bytes, &reader);
	if (!error)
		error = take_info(session, &reader);
	if (!error)
		return;
	snprintf(session->problem, sizeof(session->problem), "%s", strobe_error_message(error));
	session->info.problem = session->problem;
	strobe_error_free(error);
}

/** Forgets a name whose session was killed, unless somebody took it since. Root leaves others' to them. */
static void forget(const struct place *place, const char *name)
{
	enum place_state state;
	int lock, socket;
	if (place->owner != geteuid())
		return;
	struct strobe_error *error = place_lock(place, &lock);
	if (!error) {
		error = place_connect(place, name, &state, &socket);
		if (!error && state == PLACE_CONNECTED)
			close(socket);
		else if (!error && state == PLACE_STALE)
			place_remove(place, name);
		close(lock);
	}
	strobe_error_free(error);
}

static struct strobe_error *list_one(struct sessions *sessions, const struct place *place,
				     const char *name)
{
	enum place_state state;
	struct stat status;
	int socket;
	if (*name != 'w' || strlen(name) > HOLD_NAME_LIMIT ||
	    fstatat(place->fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !S_ISSOCK(status.st_mode))
		return NULL;
	struct strobe_error *error = place_connect(place, name, &state, &socket);
	if (error) { // of another user's process, say
		strobe_error_free(error);
		return NULL;
	}
	if (state == PLACE_STALE)
		forget(place, name);
	if (state != PLACE_CONNECTED)
		return NULL;
	struct strobe_session *session = new_session(place, name);
	if (!session || !array_push(&sessions->list, session)) {
		close(socket);
		free_session(session);
		return error_no_memory();
	}
	describe(session, socket);
	return NULL;
}

static struct strobe_error *list_place(struct sessions *sessions, struct place *place)
{
	struct strobe_error *error = place_enter(place, SESSION_FOLDER, false);
	int fd = error || place->fd < 0 ? -1 : fcntl(place->fd, F_DUPFD_CLOEXEC, 0);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	while (!error && directory && sessions->list.count < SESSION_LIMIT &&
	       (entry = readdir(directory)))
		error = list_one(sessions, place, entry->d_name);
	if (directory)
		closedir(directory);
	place_close(place);
	return error;
}

/** Directories of others: those that cannot be entered, or are not safe, are passed over. */
static struct strobe_error *list_user(struct sessions *sessions, const char *path, uid_t owner)
{
	struct place place;
	struct strobe_error *error = place_open_path(path, owner, false, &place);
	if (!error)
		error = list_place(sessions, &place);
	if (error && strobe_error_code(error) != STROBE_ERROR_NO_MEMORY)
		error = strobe_error_free(error);
	return error;
}

/** Those of all users: PARENT/PREFIX<uid>SUFFIX. */
static struct strobe_error *list_users(struct sessions *sessions, const char *parent,
				       const char *prefix, const char *suffix)
{
	DIR *directory = opendir(parent);
	struct dirent *entry;
	struct strobe_error *error = NULL;
	while (directory && !error && (entry = readdir(directory))) {
		const char *number = entry->d_name + strlen(prefix);
		char *end, path[PATH_MAX];
		if (strncmp(entry->d_name, prefix, strlen(prefix)) != 0 || *number < '0' ||
		    *number > '9')
			continue;
		unsigned long owner = strtoul(number, &end, 10);
		if (*end || owner > UINT32_MAX || owner == 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s%s", parent, entry->d_name, suffix);
		error = list_user(sessions, path, (uid_t)owner);
	}
	if (directory)
		closedir(directory);
	return error;
}

/** The other places that this user's sessions may be in, and for root everybody's. */
static struct strobe_error *list_others(struct sessions *sessions, const char *own)
{
	char paths[2][PATH_MAX];
	struct strobe_error *error = NULL;
	snprintf(paths[0], PATH_MAX, "/run/user/%u/strobe", geteuid());
	if (geteuid() == 0)
		snprintf(paths[1], PATH_MAX, "/run/strobe");
	else
		snprintf(paths[1], PATH_MAX, "/tmp/strobe-%u", geteuid());
	for (unsigned i = 0; i < 2 && !error; i++)
		if (strcmp(paths[i], own) != 0)
			error = list_user(sessions, paths[i], geteuid());
	if (!error && geteuid() == 0)
		error = list_users(sessions, "/run/user", "", "/strobe");
	if (!error && geteuid() == 0)
		error = list_users(sessions, "/tmp", "strobe-", "");
	return error;
}

static int compare(const void *a, const void *b)
{
	const struct strobe_session *x = *(struct strobe_session *const *)a;
	const struct strobe_session *y = *(struct strobe_session *const *)b;
	if (x->info.user != y->info.user)
		return x->info.user < y->info.user ? -1 : 1;
	return strverscmp(x->name, y->name);
}

struct strobe_error *strobe_session_list(struct strobe_session ***ret, size_t *count)
{
	struct sessions sessions = {0};
	struct place place;
	char own[PATH_MAX];
	struct strobe_error *error = place_open(false, &place);
	if (error)
		return error;
	snprintf(own, sizeof(own), "%s", place.path);
	error = list_place(&sessions, &place);
	if (!error)
		error = list_others(&sessions, own);
	if (error) {
		strobe_session_list_free(sessions.list.items, sessions.list.count);
		return error;
	}
	if (sessions.list.count > 1)
		qsort(sessions.list.items, sessions.list.count, sizeof(*sessions.list.items),
		      compare);
	*ret = sessions.list.items;
	*count = sessions.list.count;
	return NULL;
}

void strobe_session_list_free(struct strobe_session **sessions, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free_session(sessions[i]);
	free(sessions);
}

struct strobe_error *strobe_session_find(const char *name, struct strobe_session ***ret,
					 size_t *count)
{
	char *end;
	struct strobe_session **all;
	size_t all_count, found = 0;
	unsigned long pid = *name >= '0' && *name <= '9' ? strtoul(name, &end, 10) : 0;
	bool is_pid = pid && !*end && pid <= INT32_MAX;
	struct strobe_error *error = strobe_session_list(&all, &all_count);
	if (error)
		return error;
	for (size_t i = 0; i < all_count; i++) {
		const struct strobe_session_info *info = &all[i]->info;
		bool wanted = is_pid ? info->pid == (int)pid : strcmp(info->name, name) == 0;
		if (wanted)
			all[found++] = all[i];
		else
			free_session(all[i]);
	}
	if (found) {
		*ret = all;
		*count = found;
		return NULL;
	}
	free(all);
	return is_pid ? error_new(STROBE_ERROR_NOT_FOUND, "no session watches process %lu", pid)
		      : error_new(STROBE_ERROR_NOT_FOUND, "no session '%s'", name);
}

const struct strobe_session_info *strobe_session_info(const struct strobe_session *session)
{
	return &session->info;
}

// One of them.

/** Takes an answer of statuses in place of what was known. */
static struct strobe_error *ask_statuses(struct strobe_session *session, const struct text *request)
{
	struct text bytes cleanup_text = {0};
	arena_fini(&session->arena);
	session->arena = (struct arena){0};
	session->info.process_name = "";
	session->statuses = NULL;
	session->count = 0;
	struct session_reader reader = {.arena = &session->arena};
	struct strobe_error *error = ask(session, request, PATIENCE_S, &bytes, &reader);
	if (!error)
		error = take_info(session, &reader);
	if (error)
		return error;
	size_t count = session_get_count(&reader, 8);
	struct strobe_tracepoint_status *statuses =
		arena_alloc(&session->arena, (count + 1) * sizeof(*statuses));
	if (!statuses)
		return error_no_memory();
	for (size_t i = 0; i < count; i++)
		session_get_status(&reader, &statuses[i]);
	if (reader.bad || reader.left)
		return other_version(session->name);
	session->statuses = statuses;
	session->count = count;
	return NULL;
}

struct strobe_error *strobe_session_ask(struct strobe_session *session)
{
	struct text request cleanup_text = {0};
	session_put_number(&request, SESSION_STATUS);
	return ask_statuses(session, &request);
}

struct strobe_error *strobe_session_add(struct strobe_session *session,
					const struct strobe_tracepoint *tracepoint)
{
	struct text request cleanup_text = {0};
	session_put_number(&request, SESSION_ADD);
	session_put_tracepoint(&request, tracepoint);
	return ask_statuses(session, &request);
}

size_t strobe_session_status_count(const struct strobe_session *session)
{
	return session->count;
}

void strobe_session_status(const struct strobe_session *session, size_t index,
			   struct strobe_tracepoint_status *ret)
{
	*ret = session->statuses[index];
}

struct strobe_error *strobe_session_remove(struct strobe_session *session, const char *id,
					   bool *found)
{
	struct text request cleanup_text = {0}, bytes cleanup_text = {0};
	struct session_reader reader = {.arena = &session->arena};
	session_put_number(&request, SESSION_REMOVE);
	session_put_string(&request, id);
	struct strobe_error *error = ask(session, &request, PATIENCE_S, &bytes, &reader);
	if (error)
		return error;
	uint64_t count = session_get_number(&reader);
	if (reader.bad || reader.left || count > 1)
		return other_version(session->name);
	*found = count;
	return NULL;
}

struct strobe_error *strobe_session_end(struct strobe_session *session)
{
	struct text request cleanup_text = {0}, bytes cleanup_text = {0};
	struct session_reader reader = {.arena = &session->arena};
	session_put_number(&request, SESSION_END);
	return ask(session, &request, END_PATIENCE_S, &bytes, &reader);
}
