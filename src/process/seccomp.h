// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_SECCOMP_H
#define PROCESS_SECCOMP_H

// Would the target's seccomp filters let it make a call? To try it might kill the target, so its
// filters are fetched (PTRACE_SECCOMP_GET_FILTER, needs CAP_SYS_ADMIN) and run here.

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum { SECCOMP_FILTER_LIMIT = 256, SECCOMP_LENGTH_LIMIT = BPF_MAXINSNS };

/** Runs a classic BPF program over `data` as the kernel does; SECCOMP_RET_KILL_PROCESS if it is
 *  none that the kernel would have taken. */
uint32_t seccomp_run(const struct sock_filter *program, size_t length,
		     const struct seccomp_data *data);

/** The answer of all filters of the stopped thread `tid`. */
enum seccomp_answer {
	SECCOMP_ALLOWED,
	SECCOMP_REFUSED,
	SECCOMP_UNKNOWN, // the filters cannot be fetched: errno says why
};
/** Asks for all `count` calls at once. */
enum seccomp_answer seccomp_ask(pid_t tid, const struct seccomp_data *calls, size_t count);

#endif
