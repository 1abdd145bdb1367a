// SPDX-License-Identifier: Apache-2.0
#include "hold/keeper.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "hold/message.h"
#include "hold/place.h"
#include "snapshot/take.h"

enum { CLIENT_LIMIT = 64, CONTROL = 3, BLOCK_BYTES = 512 };

// One of the keeper's copies. Invariants: `snapshot` is the copy that `name` stands for as long as
// `listener` is open; `clone_fd` is -1 where the copy is no clone.
struct copy {
	const char *name;
	int listener, clone_fd;
	struct strobe_snapshot *snapshot;
	struct message_answer answer; // what is known, told to who asks
};
struct client {
	int fd;
	size_t copy; // the index of what it asks about
};
// The keeper's whole state. Invariant of serve(): polls[0] is the signals', then two a copy
// (its listener and its clone; -1 once it is dropped), then one a client.
struct keeper {
	struct place place;
	int signal_fd;
	struct copy *copies;
	size_t copy_count;
	struct client clients[CLIENT_LIMIT];
	size_t client_count;
	struct pollfd *polls; // 1 + 2 * copy_count + CLIENT_LIMIT
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

// Leaves the caller's terminal, files and habits behind. `control` becomes CONTROL.
static int detach(int control)
{
	sigset_t none, watched;
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigemptyset(&watched);
	sigaddset(&watched, SIGTERM);
	sigaddset(&watched, SIGINT);
	sigaddset(&watched, SIGHUP);
	// Before any thread is made: all inherit the mask, and none is ended behind our back.
	sigprocmask(SIG_SETMASK, &watched, NULL);
	prctl(PR_SET_NAME, "strobe-keeper");
	prctl(PR_SET_PDEATHSIG, 0);
	umask(077);
	if (chdir("/") != 0)
		return -1;
	// Descriptors 0 to 3 may be closed in the caller: all move above them first.
	control = fcntl(control, F_DUPFD_CLOEXEC, 4);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (control < 0 || null < 0)
		return -1;
	for (int fd = 0; fd <= 2; fd++)
		if (fd == null ? fcntl(fd, F_SETFD, 0) < 0 : dup2(null, fd) < 0)
			return -1;
	if (dup3(control, CONTROL, O_CLOEXEC) < 0)
		return -1;
	syscall(SYS_close_range, CONTROL + 1U, ~0U, 0U);
	return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

static struct strobe_error *say_in_use(const char *name, int socket)
{
	struct message_answer *answer = malloc(sizeof(*answer));
	struct message_request request = {MESSAGE_MAGIC, MESSAGE_INFO};
	int fds[MESSAGE_FD_LIMIT], keeper = 0;
	char label[HOLD_NAME_LIMIT + 2], since[64] = "some time ago";
	if (!answer)
		return error_no_memory();
	snprintf(label, sizeof(label), "@%s", name);
	place_peer_trusted(socket, &keeper);
	struct strobe_error *error = NULL;
	if (send(socket, &request, sizeof(request), MSG_NOSIGNAL) < 0)
		error = error_errno(errno, "%s", label);
	if (!error)
		error = message_receive(socket, label, answer, fds);
	if (error) {
		strobe_error_free(error);
		error = error_new(STROBE_ERROR_INVALID, "@%s is in use by keeper %d", name, keeper);
	} else {
		time_t seconds = (time_t)(answer->realtime_ns / 1000000000);
		struct tm broken;
		if (gmtime_r(&seconds, &broken))
			strftime(since, sizeof(since), "%Y-%m-%dT%H:%M:%SZ", &broken);
		error = error_new(STROBE_ERROR_INVALID,
				  "@%s is in use since %s: a copy of process %d (%s), keeper %d",
				  name, since, answer->pid, answer->process_name, keeper);
	}
	free(answer);
	return error;
}

// Takes the name: from now on who connects waits until the copy is there.
static struct strobe_error *claim(struct keeper *keeper, struct copy *copy)
{
	enum place_state state;
	int lock, socket;
	struct strobe_error *error = NULL;
	if (keeper->place.fd < 0)
		error = place_open(true, &keeper->place);
	if (!error)
		error = place_lock(&keeper->place, &lock);
	if (error)
		return error;
	error = place_connect(&keeper->place, copy->name, &state, &socket);
	if (!error && state == PLACE_CONNECTED) {
		// Its keeper may be taking the copy still: others need not wait for that.
		close(lock);
		error = say_in_use(copy->name, socket);
		close(socket);
		return error;
	}
	if (!error) {
		place_remove(&keeper->place, copy->name);
		error = place_listen(&keeper->place, copy->name, &copy->listener);
	}
	close(lock);
	return error;
}

static void read_name(int pid, char *name, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t count = fd < 0 ? -1 : read(fd, name, size - 1);
	if (fd >= 0)
		close(fd);
	name[count > 0 ? count : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

static void describe(struct copy *copy)
{
	struct message_answer *answer = &copy->answer;
	const struct strobe_snapshot_info *info = strobe_snapshot_info(copy->snapshot);
	answer->pid = info->pid;
	answer->clone_pid = info->clone_pid;
	answer->method = info->method;
	answer->pause_ns = info->pause_ns;
	answer->memory_bytes = info->memory_bytes;
	answer->thread_count = info->thread_count;
	answer->not_atomic_count = info->not_atomic_count;
	if (info->method_why)
		snprintf(answer->text, sizeof(answer->text), "%s", info->method_why);
	for (size_t i = 0; i < info->not_atomic_count && i < MESSAGE_RANGE_LIMIT; i++) {
		struct message_range *range = &answer->ranges[answer->range_count++];
		range->start = info->not_atomic[i].start;
		range->end = info->not_atomic[i].end;
		snprintf(range->why, sizeof(range->why), "%s", info->not_atomic[i].why);
	}
}

// What is known of a copy before it is taken.
static struct strobe_error *begin(struct keeper *keeper, struct copy *copy, int pid)
{
	struct message_answer *answer = &copy->answer;
	answer->magic = MESSAGE_MAGIC;
	answer->keeper_pid = getpid();
	answer->realtime_ns = clock_ns(CLOCK_REALTIME);
	answer->boottime_ns = clock_ns(CLOCK_BOOTTIME);
	read_name(pid, answer->process_name, sizeof(answer->process_name));
	return claim(keeper, copy);
}

static struct strobe_error *finish(struct copy *copy, int pid)
{
	struct message_answer *answer = &copy->answer;
	describe(copy);
	if (answer->clone_pid > 0)
		copy->clone_fd = (int)syscall(SYS_pidfd_open, answer->clone_pid, 0);
	if (answer->clone_pid > 0 && copy->clone_fd < 0)
		return error_errno(errno, "process %d, the copy of process %d", answer->clone_pid,
				   pid);
	return NULL;
}

// Takes, at one instant, the copies that have no error yet.
static void take_together(struct keeper *keeper, const struct keeper_order *order,
			  struct strobe_error **errors)
{
	size_t count = keeper->copy_count, wanted = 0;
	struct strobe_snapshot **snapshots = calloc(count, sizeof(struct strobe_snapshot *));
	struct strobe_error **failed = calloc(count, sizeof(struct strobe_error *));
	size_t *which = calloc(count, sizeof(*which));
	int *pids = calloc(count, sizeof(*pids));
	bool memory = snapshots && failed && which && pids;
	for (size_t i = 0; i < count && memory; i++)
		if (!errors[i]) {
			which[wanted] = i;
			pids[wanted++] = order->pids[i];
		}
	if (memory && wanted == 1)
		failed[0] = strobe_snapshot_take(pids[0], order->options, &snapshots[0]);
	else if (memory && wanted > 1)
		strobe_snapshot_take_all(pids, wanted, order->options, snapshots, failed);
	for (size_t i = 0; i < wanted; i++) {
		keeper->copies[which[i]].snapshot = snapshots[i];
		errors[which[i]] = failed[i];
	}
	for (size_t i = 0; i < count && !memory; i++)
		if (!errors[i])
			errors[i] = error_no_memory();
	free(snapshots);
	free(failed);
	free(which);
	free(pids);
}

/** Private bytes of process `pid`: what exists because of it alone. UINT64_MAX = not known. */
static uint64_t private_bytes(int pid)
{
	char path[64], line[256];
	unsigned long long kilobytes, sum = 0;
	snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", pid);
	FILE *file = fopen(path, "re");
	if (!file)
		return UINT64_MAX;
	bool found = false;
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Private_Clean: %llu", &kilobytes) == 1 ||
		    sscanf(line, "Private_Dirty: %llu", &kilobytes) == 1) {
			sum += kilobytes;
			found = true;
		}
	}
	fclose(file);
	return found ? sum * 1024 : UINT64_MAX;
}

// Opens what a client reads the copy by; returns how many descriptors, 0 if it cannot be.
static size_t open_copy(const struct copy *copy, int *fds)
{
	char path[64];
	size_t count = 0;
	// Opened anew for reading: a client cannot change the image, nor move our file position.
	snprintf(path, sizeof(path), "/proc/self/fd/%d", snapshot_image_fd(copy->snapshot));
	fds[count++] = open(path, O_RDONLY | O_CLOEXEC);
	if (copy->clone_fd >= 0) {
		// We may: we trace it. And as long as we hold it, nobody else has its id.
		static const char *const parts[] = {"mem", "pagemap", "maps"};
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", copy->answer.clone_pid,
				 parts[i]);
			fds[count++] = open(path, O_RDONLY | O_CLOEXEC);
		}
	}
	for (size_t i = 0; i < count; i++)
		if (fds[i] < 0)
			return 0;
	return count;
}

static bool answer_open(struct copy *copy, int client)
{
	int fds[MESSAGE_FD_LIMIT] = {-1, -1, -1, -1};
	bool sent = false;
	size_t count = open_copy(copy, fds);
	if (count > 0) {
		sent = message_send(client, &copy->answer, fds, count);
	} else {
		struct message_answer *failed = malloc(sizeof(*failed));
		if (failed) {
			*failed = copy->answer;
			message_set_error(failed,
					  error_errno(errno, "keeper %d cannot open the copy",
						      copy->answer.keeper_pid));
			sent = message_send(client, failed, NULL, 0);
		}
		free(failed);
	}
	for (size_t i = 0; i < MESSAGE_FD_LIMIT; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return sent;
}

// The name goes first: who finds it free may take it.
static void drop(struct keeper *keeper, struct copy *copy)
{
	int lock;
	if (copy->listener >= 0) {
		struct strobe_error *error = place_lock(&keeper->place, &lock);
		place_remove(&keeper->place, copy->name);
		close(copy->listener);
		copy->listener = -1;
		if (!error)
			close(lock);
		strobe_error_free(error);
	}
	if (copy->clone_fd >= 0)
		close(copy->clone_fd);
	copy->clone_fd = -1;
	copy->snapshot = strobe_snapshot_close(copy->snapshot);
}

// What exists for this copy alone.
static uint64_t copy_bytes(const struct copy *copy)
{
	struct stat status;
	if (copy->clone_fd >= 0)
		return private_bytes(copy->answer.clone_pid);
	return fstat(snapshot_image_fd(copy->snapshot), &status) == 0
		       ? (uint64_t)status.st_blocks * BLOCK_BYTES
		       : UINT64_MAX;
}

// False: it has told all it wants, or is not one of ours.
static bool serve_client(struct keeper *keeper, struct client *client)
{
	struct copy *copy = &keeper->copies[client->copy];
	struct message_request request;
	ssize_t size = recv(client->fd, &request, sizeof(request), MSG_DONTWAIT);
	if (size != sizeof(request) || request.magic != MESSAGE_MAGIC)
		return false;
	switch (request.kind) {
	case MESSAGE_INFO:
		copy->answer.private_bytes = copy_bytes(copy);
		return message_send(client->fd, &copy->answer, NULL, 0);
	case MESSAGE_OPEN:
		return answer_open(copy, client->fd);
	case MESSAGE_DROP:
		drop(keeper, copy);
		return message_send(client->fd, &copy->answer, NULL, 0);
	default:
		return false;
	}
}

static void accept_client(struct keeper *keeper, size_t copy)
{
	int peer, fd = accept4(keeper->copies[copy].listener, NULL, NULL,
			       SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (fd < 0)
		return;
	if (keeper->client_count == CLIENT_LIMIT || !place_peer_trusted(fd, &peer))
		close(fd);
	else
		keeper->clients[keeper->client_count++] = (struct client){fd, copy};
}

// Clients whose copy is gone go as well.
static void serve_clients(struct keeper *keeper, const struct pollfd *polls)
{
	size_t kept = 0;
	for (size_t i = 0; i < keeper->client_count; i++) {
		struct client *client = &keeper->clients[i];
		const struct copy *copy = &keeper->copies[client->copy];
		bool stays = copy->listener >= 0;
		if (stays && polls[i].revents)
			stays = serve_client(keeper, client) && copy->listener >= 0;
		if (stays)
			keeper->clients[kept++] = *client;
		else
			close(client->fd);
	}
	keeper->client_count = kept;
}

// What to wait for; how many.
static size_t list_polls(struct keeper *keeper)
{
	struct pollfd *polls = keeper->polls;
	size_t count = 0;
	polls[count++] = (struct pollfd){.fd = keeper->signal_fd, .events = POLLIN};
	for (size_t i = 0; i < keeper->copy_count; i++) {
		polls[count++] =
			(struct pollfd){.fd = keeper->copies[i].listener, .events = POLLIN};
		polls[count++] =
			(struct pollfd){.fd = keeper->copies[i].clone_fd, .events = POLLIN};
	}
	for (size_t i = 0; i < keeper->client_count; i++)
		polls[count++] = (struct pollfd){.fd = keeper->clients[i].fd, .events = POLLIN};
	return count;
}

static bool holds_any(const struct keeper *keeper)
{
	for (size_t i = 0; i < keeper->copy_count; i++)
		if (keeper->copies[i].listener >= 0)
			return true;
	return false;
}

// Until nothing is left to hold.
static void serve(struct keeper *keeper)
{
	while (holds_any(keeper)) {
		size_t count = list_polls(keeper);
		if (poll(keeper->polls, count, -1) < 0) {
			if (errno == EINTR || errno == ENOMEM)
				continue;
			return;
		}
		if (keeper->polls[0].revents)
			return;
		serve_clients(keeper, &keeper->polls[1 + 2 * keeper->copy_count]);
		for (size_t i = 0; i < keeper->copy_count; i++) {
			const struct pollfd *polls = &keeper->polls[1 + 2 * i];
			if (polls[1].revents && keeper->copies[i].clone_fd >= 0)
				drop(keeper, &keeper->copies[i]); // somebody ended the clone
			else if (polls[0].revents && keeper->copies[i].listener >= 0)
				accept_client(keeper, i);
		}
	}
}

static bool keeper_init(struct keeper *keeper, const struct keeper_order *order, int control)
{
	*keeper = (struct keeper){.place = {.fd = -1}, .copy_count = order->count};
	keeper->copies = calloc(order->count, sizeof(*keeper->copies));
	keeper->polls = calloc(1 + 2 * order->count + CLIENT_LIMIT, sizeof(*keeper->polls));
	if (!keeper->copies || !keeper->polls)
		return false;
	for (size_t i = 0; i < order->count; i++) {
		keeper->copies[i].name = order->names[i];
		keeper->copies[i].listener = keeper->copies[i].clone_fd = -1;
	}
	keeper->signal_fd = detach(control);
	return keeper->signal_fd >= 0;
}

// Tells the caller, who reads as we write. False if nobody reads.
static bool report(const struct copy *copy)
{
	struct pollfd poll_out = {.fd = CONTROL, .events = POLLOUT};
	while (poll(&poll_out, 1, HOLD_PATIENCE_S * 1000) < 0 && errno == EINTR)
		;
	return message_send(CONTROL, &copy->answer, NULL, 0);
}

// Takes all; false if nobody waits for it any more. A copy that nobody asked for is not kept.
static bool take(struct keeper *keeper, const struct keeper_order *order)
{
	struct strobe_error **errors = calloc(order->count, sizeof(struct strobe_error *));
	bool waited_for = errors != NULL;
	if (!errors)
		return false;
	for (size_t i = 0; i < order->count; i++)
		errors[i] = begin(keeper, &keeper->copies[i], order->pids[i]);
	take_together(keeper, order, errors);
	for (size_t i = 0; i < order->count; i++) {
		struct copy *copy = &keeper->copies[i];
		if (!errors[i])
			errors[i] = finish(copy, order->pids[i]);
		if (errors[i]) {
			message_set_error(&copy->answer, errors[i]);
			drop(keeper, copy);
		}
		waited_for = waited_for && report(copy);
	}
	free(errors);
	return waited_for;
}

static void keep(int control, const struct keeper_order *order) __attribute__((noreturn));
static void keep(int control, const struct keeper_order *order)
{
	struct keeper keeper;
	if (!keeper_init(&keeper, order, control))
		_exit(1);
	if (take(&keeper, order)) {
		close(CONTROL);
		serve(&keeper);
	}
	for (size_t i = 0; i < keeper.copy_count; i++)
		drop(&keeper, &keeper.copies[i]);
	_exit(0);
}

struct strobe_error *keeper_start(const struct keeper_order *order, int *ret)
{
	int sockets[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		return error_errno(errno, "@%s: socketpair", order->names[0]);
	// Twice: the keeper is no child of the caller, who would have to wait for it, and no leader of
	// its session, which could get a terminal.
	pid_t between = fork();
	if (between == 0) {
		setsid();
		pid_t child = fork();
		if (child == 0)
			keep(sockets[1], order);
		_exit(child < 0 ? errno : 0);
	}
	int errnum = errno, status;
	close(sockets[1]);
	if (between > 0) {
		pid_t waited;
		do
			waited = waitpid(between, &status, 0);
		while (waited < 0 && errno == EINTR);
		errnum = waited == between && WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	}
	if (errnum == 0) {
		*ret = sockets[0];
		return NULL;
	}
	close(sockets[0]);
	return error_errno(errnum, "@%s: fork", order->names[0]);
}
