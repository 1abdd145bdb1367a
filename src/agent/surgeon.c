// SPDX-License-Identifier: Apache-2.0
#include "agent/surgeon.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/inside.h"
#include "agent/journal.h"
#include "base/error.h"

enum { UNDO_ATTEMPTS = 10 };
enum request_kind { REQUEST_CALL, REQUEST_CALLS, REQUEST_TELL, REQUEST_RING, REQUEST_PATCH };
struct request {
	enum request_kind kind;
	uint32_t count;
	int64_t number;
	uint64_t arguments[6];
};
struct reply {
	int32_t code; // an enum strobe_error_code of the opening, or: 1 = done, 0 = the helper is gone
	int32_t errnum, helper;
	int64_t result;
	char message[256];
};
struct message {
	struct request request;
	union {
		struct surgeon_patch patches[SURGEON_BATCH];
		struct inside_call calls[SURGEON_BATCH];
	};
};

/** Leaves the caller's terminal, files and habits behind: what is meant for it must not end us before it. */
static int detach(int socket)
{
	static const int ignored[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGPIPE, SIGTSTP};
	sigset_t none;
	for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
		signal(ignored[i], SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	setsid();
	prctl(PR_SET_NAME, "strobe-surgeon");
	// Where the target keeps all processors busy: it works for microseconds only.
	(void)setpriority(PRIO_PROCESS, 0, -20);
	prctl(PR_SET_PDEATHSIG, 0);
	if (chdir("/") != 0)
		return -1;
	socket = fcntl(socket, F_DUPFD_CLOEXEC, 4);
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = 0; null >= 0 && fd <= 2; fd++)
		if (dup2(null, fd) < 0)
			return -1;
	if (null < 0 || dup3(socket, 3, O_CLOEXEC) < 0)
		return -1;
	syscall(SYS_close_range, 4U, ~0U, 0U);
	return 3;
}

static struct strobe_error *register_barrier(struct journal *journal)
{
	int64_t result = -1;
	uint64_t arguments[6] = {MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE};
	if (helper_call(&journal->helper, SYS_membarrier, arguments, &result) && result == 0)
		return NULL;
	return error_new(STROBE_ERROR_UNSUPPORTED,
			 "the kernel has no membarrier(2) for changed code (Linux 4.16 has)");
}

/** Has our code: it was not made in a program that the target executed meanwhile. */
static bool is_at_home(const struct journal *journal)
{
	char path[64];
	uint8_t found[64];
	uint64_t size;
	const uint8_t *code = inside_code(&size) + inside_patch_offset();
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)journal->helper.pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	bool same = mem >= 0 &&
		    pread(mem, found, sizeof(found), (off_t)journal->patch_code) == sizeof(found) &&
		    memcmp(found, code, sizeof(found)) == 0;
	if (mem >= 0)
		close(mem);
	return same;
}

/** If somebody killed it, a new one. */
static bool have_helper(struct journal *journal, pid_t target)
{
	if (journal->helper.pid && kill(journal->helper.pid, 0) == 0)
		return true;
	struct strobe_error *error = helper_open(&journal->helper, target);
	bool good = !error && (!journal->patch_code || is_at_home(journal));
	strobe_error_free(error);
	if (!good)
		helper_close(&journal->helper);
	return good;
}

static bool serve(struct journal *journal, struct message *message, struct reply *reply)
{
	const struct request *request = &message->request;
	switch (request->kind) {
	case REQUEST_CALL:
		return helper_call(&journal->helper, (long)request->number, request->arguments,
				   &reply->result);
	case REQUEST_CALLS:
		return request->count <= SURGEON_BATCH &&
		       journal_calls(journal, message->calls, request->count);
	case REQUEST_TELL:
		journal->patch_code = request->arguments[1];
		journal->table = request->arguments[2];
		return !request->arguments[0] ||
		       array_push(&journal->controls, request->arguments[0]);
	case REQUEST_RING:
		return array_push(&journal->rings, (struct journal_ring){request->arguments[0],
									 request->arguments[1]});
	case REQUEST_PATCH:
		return request->count <= SURGEON_BATCH &&
		       journal_patch(journal, message->patches, request->count);
	}
	return false;
}

/** Of what goes with a request, and with its reply. */
static size_t items_size(const struct request *request)
{
	if (request->kind == REQUEST_PATCH)
		return request->count * sizeof(struct surgeon_patch);
	return request->kind == REQUEST_CALLS ? request->count * sizeof(struct inside_call) : 0;
}

/** Serves until the other end is closed or the target has ended. */
static void serve_all(struct journal *journal, int socket, int target_fd, pid_t target)
{
	static struct message message;
	for (;;) {
		struct pollfd polls[] = {{.fd = socket, .events = POLLIN},
					 {.fd = target_fd, .events = POLLIN}};
		if (poll(polls, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return;
		}
		if (polls[1].revents && target_fd >= 0) {
			helper_close(&journal->helper); // its memory is to go with it
			target_fd = -1;
		}
		if (!polls[0].revents)
			continue;
		ssize_t size = recv(socket, &message, sizeof(message), 0);
		if (size < (ssize_t)sizeof(message.request))
			return;
		struct reply reply = {0};
		// Again: that the helper was killed may show only when it is to work.
		for (unsigned i = 0; i < 3 && !reply.code && target_fd >= 0; i++)
			reply.code =
				have_helper(journal, target) && serve(journal, &message, &reply);
		reply.helper = journal->helper.pid;
		struct iovec parts[] = {{&reply, sizeof(reply)},
					{message.patches, items_size(&message.request)}};
		struct msghdr header = {.msg_iov = parts, .msg_iovlen = 2};
		if (sendmsg(socket, &header, MSG_NOSIGNAL) < 0)
			return;
	}
}

static void run(int socket, pid_t target)
{
	struct journal journal = {.mem = -1};
	struct reply reply = {.code = -1};
	char path[64];
	socket = detach(socket);
	int target_fd = (int)syscall(SYS_pidfd_open, target, 0);
	struct strobe_error *error = helper_open(&journal.helper, target);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)journal.helper.pid);
	if (!error && (journal.mem = open(path, O_RDWR | O_CLOEXEC)) < 0)
		error = error_errno(errno, "memory of process %d", (int)target);
	if (!error)
		error = register_barrier(&journal);
	if (error) {
		reply.code = (int32_t)strobe_error_code(error);
		reply.errnum = strobe_error_errno(error);
		snprintf(reply.message, sizeof(reply.message), "%s", strobe_error_message(error));
	}
	reply.helper = journal.helper.pid;
	if (send(socket, &reply, sizeof(reply), MSG_NOSIGNAL) == sizeof(reply) && !error)
		serve_all(&journal, socket, target_fd, target);
	for (unsigned i = 0; i < UNDO_ATTEMPTS;
	     i++) { // a library that is unmapped just then takes the helper along
		if (!error && journal.patches.count && !have_helper(&journal, target))
			break;
		if (journal_undo(&journal))
			break;
	}
	helper_close(&journal.helper);
	_exit(0);
}

static struct strobe_error *lost(void)
{
	return error_errno(ESRCH, "the process that changes the target is gone");
}

struct strobe_error *surgeon_open(struct surgeon *surgeon, pid_t target)
{
	int sockets[2];
	struct reply reply;
	*surgeon = (struct surgeon){.socket = -1};
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) != 0)
		return error_errno(errno, "socket");
	surgeon->pid = fork();
	if (surgeon->pid == 0)
		run(sockets[1], target);
	int errnum = errno;
	close(sockets[1]);
	surgeon->socket = sockets[0];
	struct strobe_error *error = NULL;
	if (surgeon->pid < 0)
		error = error_errno(errnum, "new process");
	else if (recv(surgeon->socket, &reply, sizeof(reply), 0) != sizeof(reply))
		error = lost();
	else if (reply.code >= 0)
		error = error_set_errno(
			error_new((enum strobe_error_code)reply.code, "%s", reply.message),
			reply.errnum);
	if (error)
		surgeon_close(surgeon);
	else
		surgeon->helper = reply.helper;
	return error;
}

static struct strobe_error *ask(struct surgeon *surgeon, const struct request *request, void *items,
				struct reply *reply)
{
	size_t size = items_size(request);
	struct iovec out[] = {{(void *)(uintptr_t)request, sizeof(*request)}, {items, size}};
	struct iovec in[] = {{reply, sizeof(*reply)}, {items, size}};
	struct msghdr header = {.msg_iov = out, .msg_iovlen = items ? 2 : 1};
	ssize_t count;
	while ((count = sendmsg(surgeon->socket, &header, MSG_NOSIGNAL)) < 0 && errno == EINTR)
		;
	header = (struct msghdr){.msg_iov = in, .msg_iovlen = items ? 2 : 1};
	if (count < 0)
		return lost();
	while ((count = recvmsg(surgeon->socket, &header, 0)) < 0 && errno == EINTR)
		;
	if (count < (ssize_t)sizeof(*reply))
		return lost();
	surgeon->helper = reply->helper;
	return reply->code == 1 ? NULL : error_errno(ESRCH, "the helper in the target is gone");
}

struct strobe_error *surgeon_call(struct surgeon *surgeon, long number, const uint64_t arguments[6],
				  int64_t *ret)
{
	struct request request = {.kind = REQUEST_CALL, .number = number};
	struct reply reply;
	memcpy(request.arguments, arguments, sizeof(request.arguments));
	struct strobe_error *error = ask(surgeon, &request, NULL, &reply);
	*ret = error ? -ESRCH : reply.result;
	return error;
}

struct strobe_error *surgeon_calls(struct surgeon *surgeon, struct inside_call *calls, size_t count)
{
	struct request request = {.kind = REQUEST_CALLS, .count = (uint32_t)count};
	struct reply reply;
	return ask(surgeon, &request, calls, &reply);
}

struct strobe_error *surgeon_tell(struct surgeon *surgeon, uint64_t control, uint64_t patch_code,
				  uint64_t table)
{
	struct request request = {.kind = REQUEST_TELL, .arguments = {control, patch_code, table}};
	struct reply reply;
	return ask(surgeon, &request, NULL, &reply);
}

struct strobe_error *surgeon_tell_ring(struct surgeon *surgeon, uint64_t address, uint64_t size)
{
	struct request request = {.kind = REQUEST_RING, .arguments = {address, size}};
	struct reply reply;
	return ask(surgeon, &request, NULL, &reply);
}

struct strobe_error *surgeon_patch(struct surgeon *surgeon, struct surgeon_patch *patches,
				   size_t count)
{
	struct request request = {.kind = REQUEST_PATCH, .count = (uint32_t)count};
	struct reply reply;
	return ask(surgeon, &request, patches, &reply);
}

void surgeon_close(struct surgeon *surgeon)
{
	if (surgeon->socket >= 0)
		close(surgeon->socket);
	surgeon->socket = -1;
	while (surgeon->pid > 0 && waitpid(surgeon->pid, NULL, 0) < 0 && errno == EINTR)
		;
	surgeon->pid = 0;
}
