// SPDX-License-Identifier: Apache-2.0
#include "hold/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

_Static_assert(sizeof(struct message_answer) < 200000, "one message of a default socket buffer");

static size_t answer_size(const struct message_answer *answer)
{
	return offsetof(struct message_answer, ranges) +
	       answer->range_count * sizeof(answer->ranges[0]);
}

bool message_send(int socket, const struct message_answer *answer, const int *fds, size_t count)
{
	union {
		char bytes[CMSG_SPACE(MESSAGE_FD_LIMIT * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct iovec part = {(void *)answer, answer_size(answer)};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (count > 0) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		struct cmsghdr *head = CMSG_FIRSTHDR(&message);
		head->cmsg_level = SOL_SOCKET;
		head->cmsg_type = SCM_RIGHTS;
		head->cmsg_len = CMSG_LEN(count * sizeof(int));
		memcpy(CMSG_DATA(head), fds, count * sizeof(int));
	}
	return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t)part.iov_len;
}

static void take_descriptors(struct msghdr *message, int *fds)
{
	for (struct cmsghdr *head = CMSG_FIRSTHDR(message); head;
	     head = CMSG_NXTHDR(message, head)) {
		if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS)
			continue;
		size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < count && i < MESSAGE_FD_LIMIT; i++)
			memcpy(&fds[i], CMSG_DATA(head) + i * sizeof(int), sizeof(int));
	}
}

static void close_descriptors(int *fds)
{
	for (size_t i = 0; i < MESSAGE_FD_LIMIT; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static bool is_whole(const struct message_answer *answer, size_t size)
{
	return size >= offsetof(struct message_answer, ranges) && answer->magic == MESSAGE_MAGIC &&
	       answer->range_count <= MESSAGE_RANGE_LIMIT && size == answer_size(answer);
}

static struct strobe_error *read_answer(struct message_answer *answer, const char *label)
{
	answer->text[sizeof(answer->text) - 1] = '\0';
	answer->process_name[sizeof(answer->process_name) - 1] = '\0';
	for (size_t i = 0; i < answer->range_count; i++)
		answer->ranges[i].why[sizeof(answer->ranges[i].why) - 1] = '\0';
	if (answer->error == 0)
		return NULL;
	if (answer->error == STROBE_ERROR_NO_MEMORY)
		return error_no_memory();
	if (answer->error < 0 || answer->error > STROBE_ERROR_OPTIMIZED_OUT)
		return error_new(STROBE_ERROR_FORMAT, "%s: its keeper answers with error %d", label,
				 answer->error);
	return error_set_errno(error_new((enum strobe_error_code)answer->error, "%s", answer->text),
			       answer->errnum);
}

struct strobe_error *message_receive(int socket, const char *label, struct message_answer *ret,
				     int *fds)
{
	union {
		char bytes[CMSG_SPACE(MESSAGE_FD_LIMIT * sizeof(int))];
		struct cmsghdr align;
	} control;
	struct iovec part = {ret, sizeof(*ret)};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.bytes,
				 .msg_controllen = sizeof(control.bytes)};
	ssize_t size;
	for (size_t i = 0; i < MESSAGE_FD_LIMIT; i++)
		fds[i] = -1;
	do
		size = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	while (size < 0 && errno == EINTR);
	struct strobe_error *error = NULL;
	if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return error_new(STROBE_ERROR_LIMIT, "%s: its keeper does not answer", label);
	if (size < 0 && errno != ECONNRESET)
		return error_errno(errno, "%s", label);
	if (size <= 0)
		return error_new(STROBE_ERROR_NOT_FOUND,
				 "%s: its keeper ended without an answer: there is no copy", label);
	take_descriptors(&message, fds);
	if (message.msg_flags & (MSG_TRUNC | MSG_CTRUNC) || !is_whole(ret, (size_t)size))
		error = error_new(STROBE_ERROR_FORMAT,
				  "%s: its keeper is of another version of strobe", label);
	else
		error = read_answer(ret, label);
	if (error)
		close_descriptors(fds);
	return error;
}

void message_set_error(struct message_answer *answer, struct strobe_error *error)
{
	answer->error = (int32_t)strobe_error_code(error);
	answer->errnum = strobe_error_errno(error);
	snprintf(answer->text, sizeof(answer->text), "%s", strobe_error_message(error));
	answer->range_count = 0;
	strobe_error_free(error);
}
