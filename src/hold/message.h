// SPDX-License-Identifier: Apache-2.0
#ifndef HOLD_MESSAGE_H
#define HOLD_MESSAGE_H

// What keepers and those who ask them say to each other, one message each way, over a socket that
// keeps messages apart. Both ends may be of different versions of Strobe: the magic number has it.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/snapshot.h>

enum { MESSAGE_MAGIC = 0x31425453 }; // "STB1"
enum { MESSAGE_RANGE_LIMIT = 1024, MESSAGE_FD_LIMIT = 4 };

enum message_kind {
	MESSAGE_INFO = 1, // what is known of the copy
	MESSAGE_OPEN = 2, // the same, with descriptors: enum message_fd
	MESSAGE_DROP = 3, // answered when the copy is gone
};
struct message_request {
	uint32_t magic, kind;
};

enum message_fd {	    // of an answer to MESSAGE_OPEN; the last three where there is a clone
	MESSAGE_FD_IMAGE,   // the memfd with the ELF core
	MESSAGE_FD_MEMORY,  // /proc/CLONE/mem
	MESSAGE_FD_PAGEMAP, // /proc/CLONE/pagemap
	MESSAGE_FD_MAPS,    // /proc/CLONE/maps
};

struct message_range {
	uint64_t start, end;
	char why[48];
};
struct message_answer {
	uint32_t magic;
	int32_t error; // enum strobe_error_code, 0 = none
	int32_t errnum;
	int32_t pid, clone_pid, keeper_pid;
	uint32_t method, range_count; // ranges that follow
	uint64_t realtime_ns, boottime_ns, pause_ns, memory_bytes, private_bytes;
	uint64_t thread_count, not_atomic_count;
	char process_name[16];
	char text[512]; // the error's message, or why there is no clone
	struct message_range ranges[MESSAGE_RANGE_LIMIT];
};

/** Sends `answer`, cut after its ranges, with `count` descriptors; false if nobody takes it. */
bool message_send(int socket, const struct message_answer *answer, const int *fds, size_t count);
/** Receives one; descriptors go to `fds` (MESSAGE_FD_LIMIT of them), -1 where there is none. `label`
 *  is for messages. An answer that reports an error is that error. */
struct strobe_error *message_receive(int socket, const char *label, struct message_answer *ret,
				     int *fds) STROBE_MUST_CHECK;
/** Puts `error` into `answer` and frees it. */
void message_set_error(struct message_answer *answer, struct strobe_error *error);

#endif
