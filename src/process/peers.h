// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_PEERS_H
#define PROCESS_PEERS_H

#include <stdbool.h>
#include <sys/types.h>

#include "process/facts.h"

/**
 * Says of each socket and pipe among the descriptors of process `pid` what is at its other end
 * (fact_descriptor.peer). To be called when the process runs again: it reads tables of sockets, and
 * the descriptors of all processes for who has the other ends, for `limit_ms` at most. False when
 * memory is short; what nobody tells stays "".
 */
bool peers_find(struct facts *facts, pid_t pid, unsigned limit_ms);

#endif
