// SPDX-License-Identifier: Apache-2.0
#ifndef WATCH_SESSION_MESSAGE_H
#define WATCH_SESSION_MESSAGE_H

// What a session and those who ask it say to each other, over a socket that keeps packets apart: a message each way, cut into packets of
// at most SESSION_PACKET bytes that each begin with struct session_packet. Numbers are 8 bytes, strings a number and that many bytes. Both ends
// may be of different versions of Strobe: the magic number has it. Nothing that is read is trusted.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/tracepoint_session.h>

#include "base/arena.h"
#include "base/text.h"

#define SESSION_FOLDER ".watch" // within that of frozen copies; none of them can be called so
enum {
	SESSION_MAGIC = 0x31575453, // "STW1"
	SESSION_PACKET = 32768,
	SESSION_REQUEST_LIMIT = 1 << 20,
	SESSION_ANSWER_LIMIT = 64 << 20,
};
enum session_kind {
	SESSION_INFO = 1, // answered by: info
	SESSION_STATUS,	  // info, number of tracepoints, a status each
	SESSION_ADD,	  // a tracepoint follows; as SESSION_STATUS, of that one
	SESSION_REMOVE,	  // an id follows; 1 = it was there
	SESSION_END,	  // answered when all is taken back
};
// An answer begins with an enum strobe_error_code: 0, or its message and column follow, and nothing else.

struct session_packet {
	uint32_t magic;
	uint32_t more; // 1 = another packet follows
};

void session_put_number(struct text *out, uint64_t number);
/** NULL stays NULL. */
void session_put_string(struct text *out, const char *string);
void session_put_tracepoint(struct text *out, const struct strobe_tracepoint *tracepoint);
void session_put_status(struct text *out, const struct strobe_tracepoint_status *status);
/** All but name, problem, watcher_pid and user, which who asks knows. */
void session_put_info(struct text *out, const struct strobe_session_info *info);

/** What is left of a message; `bad` once something was not there, or memory was short: then all that is got is 0 or NULL. */
struct session_reader {
	const char *at;
	size_t left;
	bool bad;
	struct arena *arena; // of what is got
};
uint64_t session_get_number(struct session_reader *reader);
const char *session_get_string(struct session_reader *reader);
/** How many things follow that take at least `size` bytes each; never more than there can be. */
size_t session_get_count(struct session_reader *reader, size_t size);
void session_get_tracepoint(struct session_reader *reader, struct strobe_tracepoint *ret);
void session_get_status(struct session_reader *reader, struct strobe_tracepoint_status *ret);
void session_get_info(struct session_reader *reader, struct strobe_session_info *ret);

/** Puts one packet's content into `message`; false if it is none, or the message becomes longer than `limit`. */
bool session_take_packet(const char *packet, size_t size, size_t limit, struct text *message,
			 bool *more);
/** Sends packets of `message` from `*sent` on: all, or until the socket would wait. False if nobody takes them. */
bool session_send(int socket, const struct text *message, size_t *sent);

#endif
