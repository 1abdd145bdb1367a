// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/error.h"
#include "check.h"
#include "hold/message.h"

static struct message_answer sent, got; // too large for the stack of a case
static int sockets[2], fds[MESSAGE_FD_LIMIT];

static void begin(void)
{
	const struct timeval patience = {.tv_usec = 100000};
	memset(&sent, 0, sizeof(sent));
	memset(&got, 0xaa, sizeof(got));
	sent.magic = MESSAGE_MAGIC;
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sockets) == 0);
	setsockopt(sockets[0], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
}

static void end(void)
{
	close(sockets[0]);
	close(sockets[1]);
}

static void there_and_back(void)
{
	begin();
	sent.pid = 4711;
	sent.range_count = MESSAGE_RANGE_LIMIT;
	for (size_t i = 0; i < MESSAGE_RANGE_LIMIT; i++) {
		sent.ranges[i].start = i << 20;
		sent.ranges[i].end = (i << 20) + 4096;
		snprintf(sent.ranges[i].why, sizeof(sent.ranges[i].why), "reason %zu", i);
	}
	int memory = memfd_create("test", MFD_CLOEXEC), copies[2] = {memory, memory};
	CHECK(memory >= 0 && write(memory, "abc", 3) == 3);
	CHECK(message_send(sockets[1], &sent, copies, 2));
	close(memory);
	CHECK_OK(message_receive(sockets[0], "@x", &got, fds));
	CHECK_EQUAL(got.pid, 4711);
	CHECK_EQUAL(got.range_count, MESSAGE_RANGE_LIMIT);
	CHECK(memcmp(sent.ranges, got.ranges, sizeof(sent.ranges)) == 0);
	char text[4] = "";
	CHECK(fds[0] >= 0 && fds[1] >= 0 && fds[2] < 0 && fds[3] < 0);
	CHECK(pread(fds[1], text, 3, 0) == 3);
	CHECK_STRING(text, "abc");
	CHECK(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	close(fds[0]);
	close(fds[1]);
	end();
}

static void errors(void)
{
	begin();
	message_set_error(&sent, error_errno(EPERM, "process 1"));
	CHECK(message_send(sockets[1], &sent, NULL, 0));
	struct strobe_error *error = message_receive(sockets[0], "@x", &got, fds);
	CHECK(error != NULL);
	CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_SYSTEM);
	CHECK_EQUAL(strobe_error_errno(error), EPERM);
	CHECK_STRING(strobe_error_message(error), "process 1: Operation not permitted");
	strobe_error_free(error);
	sent.error = 1000;
	CHECK(message_send(sockets[1], &sent, NULL, 0));
	CHECK_ERROR(message_receive(sockets[0], "@x", &got, fds), STROBE_ERROR_FORMAT);
	end();
}

static void refused(size_t size)
{
	CHECK(send(sockets[1], &sent, size, 0) == (ssize_t)size);
	CHECK_ERROR(message_receive(sockets[0], "@x", &got, fds), STROBE_ERROR_FORMAT);
}

static void of_another_version(void)
{
	const size_t head = offsetof(struct message_answer, ranges);
	begin();
	refused(1);
	refused(head - 1);
	refused(head + 1);
	sent.range_count = 2;
	refused(head + sizeof(sent.ranges[0]));
	sent.range_count = UINT32_MAX;
	refused(sizeof(sent));
	sent.range_count = 0;
	sent.magic++;
	refused(head);
	end();
}

static void unterminated(void)
{
	begin();
	sent.range_count = 1;
	memset(sent.text, 'x', sizeof(sent.text));
	memset(sent.process_name, 'x', sizeof(sent.process_name));
	memset(sent.ranges[0].why, 'x', sizeof(sent.ranges[0].why));
	CHECK(message_send(sockets[1], &sent, NULL, 0));
	CHECK_OK(message_receive(sockets[0], "@x", &got, fds));
	CHECK_EQUAL(strlen(got.text), sizeof(got.text) - 1);
	CHECK_EQUAL(strlen(got.process_name), sizeof(got.process_name) - 1);
	CHECK_EQUAL(strlen(got.ranges[0].why), sizeof(got.ranges[0].why) - 1);
	end();
}

static void no_answer(void)
{
	begin();
	CHECK_ERROR(message_receive(sockets[0], "@x", &got, fds), STROBE_ERROR_LIMIT);
	close(sockets[1]);
	CHECK_ERROR(message_receive(sockets[0], "@x", &got, fds), STROBE_ERROR_NOT_FOUND);
	close(sockets[0]);
	begin();
	close(sockets[0]);
	CHECK(!message_send(sockets[1], &sent, NULL, 0)); // and no SIGPIPE
	close(sockets[1]);
}

CHECK_MAIN({"an answer of full length, with descriptors, arrives as it was sent", there_and_back},
	   {"an error arrives with its code, errno and message", errors},
	   {"messages of another shape are refused", of_another_version},
	   {"text without an end is cut", unterminated},
	   {"a keeper that hangs, and one that is gone", no_answer})
