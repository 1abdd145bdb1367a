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

enum { CLIENT_LIMIT = 64, CONTROL = 3 };
enum { POLL_LISTENER, POLL_SIGNAL, POLL_CLONE, POLL_CLIENTS };

// The keeper's whole state. Invariants: `snapshot` is the copy that `name` stands for as long as
// `listener` is open; `clone_fd` is -1 where the copy is no clone.
struct keeper {
	const char *name;
	struct place place;
	int listener, signal_fd, clone_fd;
	struct strobe_snapshot *snapshot;
	struct message_answer answer; // what is known, told to who asks
	struct pollfd polls[POLL_CLIENTS + CLIENT_LIMIT];
	size_t client_count;
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
static struct strobe_error *claim(struct keeper *keeper)
{
	enum place_state state;
	int lock, socket;
	struct strobe_error *error = place_open(true, &keeper->place);
	if (error)
		return error;
	error = place_lock(&keeper->place, &lock);
	if (error)
		return error;
	error = place_connect(&keeper->place, keeper->name, &state, &socket);
	if (!error && state == PLACE_CONNECTED) {
		// Its keeper may be taking the copy still: others need not wait for that.
		close(lock);
		error = say_in_use(keeper->name, socket);
		close(socket);
		return error;
	}
	if (!error) {
		place_remove(&keeper->place, keeper->name);
		error = place_listen(&keeper->place, keeper->name, &keeper->listener);
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

static void describe(struct keeper *keeper)
{
	struct message_answer *answer = &keeper->answer;
	const struct strobe_snapshot_info *info = strobe_snapshot_info(keeper->snapshot);
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

static struct strobe_error *take(struct keeper *keeper, int pid,
				 const struct strobe_snapshot_options *options)
{
	struct message_answer *answer = &keeper->answer;
	answer->magic = MESSAGE_MAGIC;
	answer->keeper_pid = getpid();
	answer->realtime_ns = clock_ns(CLOCK_REALTIME);
	answer->boottime_ns = clock_ns(CLOCK_BOOTTIME);
	read_name(pid, answer->process_name, sizeof(answer->process_name));
	struct strobe_error *error = claim(keeper);
	if (!error)
		error = strobe_snapshot_take(pid, options, &keeper->snapshot);
	if (error)
		return error;
	describe(keeper);
	if (answer->clone_pid > 0)
		keeper->clone_fd = (int)syscall(SYS_pidfd_open, answer->clone_pid, 0);
	if (answer->clone_pid > 0 && keeper->clone_fd < 0)
		return error_errno(errno, "process %d, the copy of process %d", answer->clone_pid,
				   pid);
	return NULL;
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
static size_t open_copy(const struct keeper *keeper, int *fds)
{
	char path[64];
	size_t count = 0;
	// Opened anew for reading: a client cannot change the image, nor move our file position.
	snprintf(path, sizeof(path), "/proc/self/fd/%d", snapshot_image_fd(keeper->snapshot));
	fds[count++] = open(path, O_RDONLY | O_CLOEXEC);
	if (keeper->clone_fd >= 0) {
		// We may: we trace it. And as long as we hold it, nobody else has its id.
		static const char *const parts[] = {"mem", "pagemap", "maps"};
		for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
			snprintf(path, sizeof(path), "/proc/%d/%s", keeper->answer.clone_pid,
				 parts[i]);
			fds[count++] = open(path, O_RDONLY | O_CLOEXEC);
		}
	}
	for (size_t i = 0; i < count; i++)
		if (fds[i] < 0)
			return 0;
	return count;
}

static bool answer_open(struct keeper *keeper, int client)
{
	int fds[MESSAGE_FD_LIMIT] = {-1, -1, -1, -1};
	bool sent = false;
	size_t count = open_copy(keeper, fds);
	if (count > 0) {
		sent = message_send(client, &keeper->answer, fds, count);
	} else {
		struct message_answer *failed = malloc(sizeof(*failed));
		if (failed) {
			*failed = keeper->answer;
			message_set_error(failed,
					  error_errno(errno, "keeper %d cannot open the copy",
						      keeper->answer.keeper_pid));
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
static void drop(struct keeper *keeper)
{
	int lock;
	if (keeper->listener >= 0) {
		struct strobe_error *error = place_lock(&keeper->place, &lock);
		place_remove(&keeper->place, keeper->name);
		close(keeper->listener);
		keeper->listener = -1;
		if (!error)
			close(lock);
		strobe_error_free(error);
	}
	keeper->snapshot = strobe_snapshot_close(keeper->snapshot);
}

// False: it has told all it wants, or is not one of ours.
static bool serve_client(struct keeper *keeper, int client, bool *dropped)
{
	struct message_request request;
	ssize_t size = recv(client, &request, sizeof(request), MSG_DONTWAIT);
	if (size != sizeof(request) || request.magic != MESSAGE_MAGIC)
		return false;
	switch (request.kind) {
	case MESSAGE_INFO:
		keeper->answer.private_bytes = keeper->clone_fd >= 0
						       ? private_bytes(keeper->answer.clone_pid)
						       : private_bytes(getpid());
		return message_send(client, &keeper->answer, NULL, 0);
	case MESSAGE_OPEN:
		return answer_open(keeper, client);
	case MESSAGE_DROP:
		drop(keeper);
		*dropped = true;
		return message_send(client, &keeper->answer, NULL, 0);
	default:
		return false;
	}
}

static void accept_client(struct keeper *keeper)
{
	int peer, client = accept4(keeper->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (client < 0)
		return;
	if (keeper->client_count == CLIENT_LIMIT || !place_peer_trusted(client, &peer)) {
		close(client);
		return;
	}
	keeper->polls[POLL_CLIENTS + keeper->client_count++] =
		(struct pollfd){.fd = client, .events = POLLIN};
}

// True when the copy was dropped.
static bool serve_clients(struct keeper *keeper)
{
	bool dropped = false;
	for (size_t i = 0; i < keeper->client_count && !dropped;) {
		struct pollfd *poll = &keeper->polls[POLL_CLIENTS + i];
		if (poll->revents && !serve_client(keeper, poll->fd, &dropped)) {
			close(poll->fd);
			*poll = keeper->polls[POLL_CLIENTS + --keeper->client_count];
			continue;
		}
		i++;
	}
	return dropped;
}

static void serve(struct keeper *keeper)
{
	keeper->polls[POLL_LISTENER] = (struct pollfd){.fd = keeper->listener, .events = POLLIN};
	keeper->polls[POLL_SIGNAL] = (struct pollfd){.fd = keeper->signal_fd, .events = POLLIN};
	keeper->polls[POLL_CLONE] = (struct pollfd){.fd = keeper->clone_fd, .events = POLLIN};
	for (;;) {
		if (poll(keeper->polls, POLL_CLIENTS + keeper->client_count, -1) < 0) {
			if (errno == EINTR || errno == ENOMEM)
				continue;
			return;
		}
		if (keeper->polls[POLL_SIGNAL].revents || keeper->polls[POLL_CLONE].revents)
			return;
		if (serve_clients(keeper))
			return;
		if (keeper->polls[POLL_LISTENER].revents)
			accept_client(keeper);
	}
}

static void keep(int control, int pid, const struct strobe_snapshot_options *options,
		 const char *name) __attribute__((noreturn));
static void keep(int control, int pid, const struct strobe_snapshot_options *options,
		 const char *name)
{
	struct keeper *keeper = calloc(1, sizeof(*keeper));
	if (!keeper)
		_exit(1);
	keeper->name = name;
	keeper->place.fd = keeper->listener = keeper->clone_fd = -1;
	keeper->signal_fd = detach(control);
	if (keeper->signal_fd < 0)
		_exit(1);
	struct strobe_error *error = take(keeper, pid, options);
	if (error)
		message_set_error(&keeper->answer, error);
	bool failed = error != NULL;
	if (failed)
		drop(keeper);
	// Nobody waits for it any more: a copy that nobody asked for is not kept.
	if (message_send(CONTROL, &keeper->answer, NULL, 0) && !failed) {
		close(CONTROL);
		serve(keeper);
	}
	drop(keeper);
	_exit(0);
}

struct strobe_error *keeper_start(int pid, const struct strobe_snapshot_options *options,
				  const char *name, int *ret)
{
	int sockets[2];
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		return error_errno(errno, "@%s: socketpair", name);
	// Twice: the keeper is no child of the caller, who would have to wait for it, and no leader of
	// its session, which could get a terminal.
	pid_t between = fork();
	if (between == 0) {
		setsid();
		pid_t child = fork();
		if (child == 0)
			keep(sockets[1], pid, options, name);
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
	return error_errno(errnum, "@%s: fork", name);
}
