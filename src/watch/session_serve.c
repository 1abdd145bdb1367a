// SPDX-License-Identifier: Apache-2.0
// A session that others may ask.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "hold/place.h"
#include "watch/session_message.h"
#include "watch/watch.h"

enum { CLIENT_LIMIT = 16, PATIENCE_NS = 2000000000, NAMES = 1000, NS_PER_SECOND = 1000000000 };

struct client {
	int fd, pid;
	int64_t since_ns; // when it last got on
	struct text in, out;
	size_t sent;
	bool asked, waits; // its request is whole; it is answered when the session has ended
};

/** Invariants: clients[0] to [count - 1] are open; `listener` is -1 once the name is gone. */
struct session_server {
	struct place place;
	char name[32];
	int listener, epoll;
	int64_t start_ns; // since 1970
	struct client clients[CLIENT_LIMIT];
	size_t count;
};

static int64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (int64_t)now.tv_sec * NS_PER_SECOND + now.tv_nsec;
}

// The name.

/** Takes the first name that no living session has. */
static struct strobe_error *take_name(struct session_server *server)
{
	struct strobe_error *error = NULL;
	for (unsigned i = 1; i < NAMES && server->listener < 0 && !error; i++) {
		enum place_state state;
		int other;
		snprintf(server->name, sizeof(server->name), i == 1 ? "w%d" : "w%d-%u",
			 (int)getpid(), i);
		error = place_connect(&server->place, server->name, &state, &other);
		if (!error && state == PLACE_CONNECTED) {
			close(other);
			continue;
		}
		if (!error)
			place_remove(&server->place, server->name);
		if (!error)
			error = place_listen(&server->place, server->name, &server->listener);
	}
	if (!error && server->listener < 0)
		error = error_new(STROBE_ERROR_LIMIT, "%s: too many sessions of process %d",
				  server->place.path, (int)getpid());
	return error;
}

static struct strobe_error *open_server(struct session_server *server)
{
	int lock;
	struct strobe_error *error = place_open(true, &server->place);
	if (!error)
		error = place_enter(&server->place, SESSION_FOLDER, true);
	if (!error)
		error = place_lock(&server->place, &lock);
	if (error)
		return error;
	error = take_name(server);
	close(lock);
	if (error)
		return error;
	struct epoll_event event = {.events = EPOLLIN};
	server->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (server->epoll < 0 ||
	    epoll_ctl(server->epoll, EPOLL_CTL_ADD, server->listener, &event) != 0)
		return error_errno(errno, "epoll");
	return NULL;
}

struct strobe_error *strobe_watch_publish(struct strobe_watch *watch, const char **ret_name)
{
	if (watch->server)
		return error_new(STROBE_ERROR_INVALID, "the session is known already");
	struct session_server *server = calloc(1, sizeof(*server));
	if (!server)
		return error_no_memory();
	server->place.fd = server->listener = server->epoll = -1;
	server->start_ns = clock_ns(CLOCK_REALTIME);
	struct strobe_error *error = open_server(server);
	if (!error)
		error = watch_wake_by(watch, server->epoll);
	if (error) {
		session_unpublish(server);
		session_close(server);
		return error;
	}
	watch->server = server;
	if (ret_name)
		*ret_name = server->name;
	return NULL;
}

void session_unpublish(struct session_server *server)
{
	int lock;
	if (!server || server->listener < 0)
		return;
	struct strobe_error *error = place_lock(&server->place, &lock);
	place_remove(&server->place, server->name);
	close(server->listener);
	server->listener = -1;
	if (!error)
		close(lock);
	strobe_error_free(error);
}

// Clients.

static void drop_client(struct session_server *server, size_t index)
{
	struct client *client = &server->clients[index];
	close(client->fd);
	text_fini(&client->in);
	text_fini(&client->out);
	*client = server->clients[--server->count];
}

static void accept_client(struct session_server *server)
{
	int pid, fd = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	struct epoll_event event = {.events = EPOLLIN};
	if (server->count == CLIENT_LIMIT || !place_peer_trusted(fd, &pid) ||
	    epoll_ctl(server->epoll, EPOLL_CTL_ADD, fd, &event) != 0) {
		close(fd);
		return;
	}
	server->clients[server->count++] =
		(struct client){.fd = fd, .pid = pid, .since_ns = clock_ns(CLOCK_MONOTONIC)};
}

/** False: it is gone, or none of ours. */
static bool read_client(struct client *client)
{
	static char packet[SESSION_PACKET + sizeof(struct session_packet) + 1];
	for (bool more = true; more;) {
		ssize_t size = recv(client->fd, packet, sizeof(packet), 0);
		if (size < 0 && errno == EINTR)
			continue;
		if (size < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK;
		if (client->asked ||
		    !session_take_packet(packet, (size_t)size, SESSION_REQUEST_LIMIT, &client->in,
					 &more))
			return false;
		client->since_ns = clock_ns(CLOCK_MONOTONIC);
		client->asked = !more;
	}
	return true;
}

// Answers.

static void put_error(struct text *out, struct strobe_error *error)
{
	text_truncate(out, 0);
	session_put_number(out, error ? (uint64_t)strobe_error_code(error) : 0);
	if (error) {
		session_put_string(out, strobe_error_message(error));
		session_put_number(out, strobe_error_column(error));
	}
	strobe_error_free(error);
}

static void read_name(int pid, char *ret, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	FILE *file = fopen(path, "re");
	if (!file || !fgets(ret, (int)size, file))
		*ret = 0;
	ret[strcspn(ret, "\n")] = 0;
	if (file)
		fclose(file);
}

static void put_info(struct strobe_watch *watch, struct text *out)
{
	char name[64];
	struct strobe_watch_totals totals;
	read_name(watch->pid, name, sizeof(name));
	strobe_watch_totals(watch, &totals);
	struct strobe_session_info info = {.process_name = name,
					   .pid = watch->pid,
					   .time_ns = watch->server->start_ns,
					   .tracepoint_count = watch->entries.count,
					   .armed_count = totals.armed_count,
					   .hits = totals.hits,
					   .fired = totals.fired,
					   .dropped = totals.dropped + totals.lost,
					   .cost_ns = totals.cost_ns};
	session_put_info(out, &info);
}

/** Info, and the status of tracepoints `first` to `end`. */
static void put_statuses(struct strobe_watch *watch, size_t first, size_t end, struct text *out)
{
	put_info(watch, out);
	session_put_number(out, end - first);
	for (size_t i = first; i < end; i++) {
		struct strobe_tracepoint_status status;
		strobe_watch_status(watch, i, &status);
		session_put_status(out, &status);
	}
}

static struct strobe_error *bad_request(void)
{
	return error_new(STROBE_ERROR_FORMAT, "the session does not understand the request");
}

static struct strobe_error *add(struct strobe_watch *watch, struct session_reader *reader,
				struct text *out)
{
	struct strobe_tracepoint tracepoint;
	session_get_tracepoint(reader, &tracepoint);
	if (reader->bad || reader->left)
		return bad_request();
	struct strobe_error *error = strobe_watch_register(watch, &tracepoint, NULL);
	if (!error)
		put_statuses(watch, watch->entries.count - 1, watch->entries.count, out);
	return error;
}

static struct strobe_error *take_away(struct strobe_watch *watch, struct session_reader *reader,
				      struct text *out)
{
	const char *id = session_get_string(reader);
	if (!id || reader->bad || reader->left)
		return bad_request();
	session_put_number(out, strobe_watch_unregister(watch, id));
	return NULL;
}

/** Does what a client asks for, and makes its answer. */
static void answer(struct strobe_watch *watch, struct client *client)
{
	struct arena arena = {0};
	struct session_reader reader = {
		.at = client->in.data, .left = client->in.size, .arena = &arena};
	struct strobe_error *error = NULL;
	uint64_t kind = session_get_number(&reader);
	put_error(&client->out, NULL);
	switch (reader.bad ? 0 : kind) {
	case SESSION_INFO:
		put_info(watch, &client->out);
		break;
	case SESSION_STATUS:
		put_statuses(watch, 0, watch->entries.count, &client->out);
		break;
	case SESSION_ADD:
		error = add(watch, &reader, &client->out);
		break;
	case SESSION_REMOVE:
		error = take_away(watch, &reader, &client->out);
		break;
	case SESSION_END:
		watch->ended_by = client->pid;
		client->waits = true;
		break;
	default:
		error = bad_request();
	}
	if (error)
		put_error(&client->out, error);
	text_truncate(&client->in, 0);
	arena_fini(&arena);
}

/** False: it is done with, or gone, or has not got on for too long. */
static bool serve_client(struct strobe_watch *watch, struct client *client, int64_t now_ns)
{
	bool asked = client->asked;
	if (!read_client(client))
		return false;
	if (client->asked && !asked)
		answer(watch, client);
	if (client->waits)
		return true;
	size_t before = client->sent;
	if (client->out.failed || !session_send(client->fd, &client->out, &client->sent))
		return false;
	if (client->sent != before)
		client->since_ns = now_ns;
	if (client->asked && client->sent == client->out.size)
		return false;
	if (client->asked) {
		struct epoll_event event = {.events = EPOLLIN | EPOLLOUT};
		epoll_ctl(watch->server->epoll, EPOLL_CTL_MOD, client->fd, &event);
	}
	return now_ns - client->since_ns < PATIENCE_NS;
}

void session_serve(struct strobe_watch *watch)
{
	struct session_server *server = watch->server;
	struct epoll_event events[1];
	if (!server || (server->count == 0 && epoll_wait(server->epoll, events, 1, 0) <= 0))
		return;
	accept_client(server);
	int64_t now_ns = clock_ns(CLOCK_MONOTONIC);
	for (size_t i = server->count; i-- > 0;)
		if (!serve_client(watch, &server->clients[i], now_ns))
			drop_client(server, i);
}

struct session_server *session_close(struct session_server *server)
{
	if (!server)
		return NULL;
	while (server->count) {
		struct client *client = &server->clients[0];
		if (client->waits)
			session_send(client->fd, &client->out, &client->sent);
		drop_client(server, 0);
	}
	if (server->epoll >= 0)
		close(server->epoll);
	place_close(&server->place);
	free(server);
	return NULL;
}
