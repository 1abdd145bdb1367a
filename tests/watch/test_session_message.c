// SPDX-License-Identifier: Apache-2.0
// Messages between sessions and those who ask: what is written is read, and what is cut or damaged is found out.
#include <sys/socket.h>
#include <unistd.h>

#include "check.h"
#include "watch/session_message.h"

static const struct strobe_pair pairs[] = {{"condition", "n > 1"}, {"log_msg", "{n}"}, {"", ""}};
static const struct strobe_tracepoint_metric metrics[] = {
	{.name = "a", .type = "counter", .labels = pairs, .label_count = 3},
	{.name = "b", .expression = "n", .metric_namespace = "s", .help = "h", .unit = "u"}};
static const char *const watches[] = {"n", "request->id"};
static const struct strobe_tracepoint example = {.size = sizeof(example),
						 .id = "one",
						 .path = "a.c",
						 .line = 12,
						 .arguments = pairs,
						 .argument_count = 3,
						 .watches = watches,
						 .watch_count = 2,
						 .metrics = metrics,
						 .metric_count = 2};

static void tracepoints(void)
{
	struct text text = {0}, again = {0};
	struct arena arena = {0};
	struct strobe_tracepoint read;
	session_put_tracepoint(&text, &example);
	struct session_reader reader = {.at = text.data, .left = text.size, .arena = &arena};
	session_get_tracepoint(&reader, &read);
	CHECK(!reader.bad && reader.left == 0);
	CHECK_STRING(read.id, "one");
	CHECK_STRING(read.arguments[1].value, "{n}");
	CHECK_STRING(read.watches[1], "request->id");
	CHECK(read.metrics[0].expression == NULL);
	CHECK_STRING(read.metrics[1].unit, "u");
	CHECK_EQUAL(read.line, 12);
	session_put_tracepoint(&again, &read);
	CHECK(again.size == text.size && memcmp(again.data, text.data, text.size) == 0);
	for (size_t size = 0; size < text.size; size++) { // cut anywhere
		reader = (struct session_reader){.at = text.data, .left = size, .arena = &arena};
		session_get_tracepoint(&reader, &read);
		CHECK(reader.bad);
	}
	for (size_t i = 0; i < text.size * 8; i++) { // any bit turned: read or found out
		text.data[i / 8] ^= (char)(1 << i % 8);
		reader = (struct session_reader){
			.at = text.data, .left = text.size, .arena = &arena};
		session_get_tracepoint(&reader, &read);
		text.data[i / 8] ^= (char)(1 << i % 8);
	}
	arena_fini(&arena);
	text_fini(&text);
	text_fini(&again);
}

static void statuses(void)
{
	static const struct strobe_armed armed[] = {{0x1000, "jump", NULL}, {~0ULL, "uprobe", "f"}};
	struct strobe_tracepoint_status status = {.id = "x",
						  .line = 7,
						  .state = "armed",
						  .moved_to = 8,
						  .armed = armed,
						  .armed_count = 2,
						  .hits = 1,
						  .cost_ns = 5},
					read;
	struct strobe_session_info info = {.process_name = "p", .pid = 3, .dropped = 9}, info_read;
	struct text text = {0};
	struct arena arena = {0};
	session_put_info(&text, &info);
	session_put_status(&text, &status);
	struct session_reader reader = {.at = text.data, .left = text.size, .arena = &arena};
	session_get_info(&reader, &info_read);
	session_get_status(&reader, &read);
	CHECK(!reader.bad && reader.left == 0);
	CHECK(info_read.pid == 3 && info_read.dropped == 9 && !info_read.problem);
	CHECK_STRING(read.armed[1].inlined_in, "f");
	CHECK(read.armed[1].address == ~0ULL && read.armed[0].inlined_in == NULL);
	CHECK(read.moved_to == 8 && read.hits == 1 && read.cost_ns == 5 && !read.error);
	for (size_t size = 0; size < text.size; size++) {
		reader = (struct session_reader){.at = text.data, .left = size, .arena = &arena};
		session_get_info(&reader, &info_read);
		session_get_status(&reader, &read);
		CHECK(reader.bad);
	}
	arena_fini(&arena);
	text_fini(&text);
}

/** A message of many packets goes through a socket that has no room for all of them. */
static void packets(void)
{
	enum { SIZE = 5000000 };
	static char packet[SESSION_PACKET + 64];
	struct text out = {0}, in = {0};
	int sockets[2];
	size_t sent = 0;
	bool more = true;
	for (unsigned i = 0; i < SIZE / 8; i++)
		session_put_number(&out, i * 0x9e3779b97f4a7c15ULL);
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, sockets) == 0);
	while (more) {
		CHECK(session_send(sockets[0], &out, &sent));
		ssize_t size = recv(sockets[1], packet, sizeof(packet), 0);
		CHECK(session_take_packet(packet, (size_t)size, SIZE, &in, &more));
	}
	CHECK(sent == out.size && in.size == out.size && memcmp(in.data, out.data, SIZE) == 0);
	CHECK(!session_take_packet(packet, 20, SIZE, &in, &more)); // too long now
	packet[0] = 'x';
	CHECK(!session_take_packet(packet, 20, 2 * SIZE, &in, &more));
	close(sockets[1]);
	sent = 0;
	CHECK(!session_send(sockets[0], &out, &sent));
	close(sockets[0]);
	text_fini(&out);
	text_fini(&in);
}

CHECK_MAIN({"a tracepoint is read as it was written, and never cut", tracepoints},
	   {"so are statuses", statuses},
	   {"messages of any length are cut into packets", packets}, )
