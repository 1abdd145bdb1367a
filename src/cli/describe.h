// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_DESCRIBE_H
#define CLI_DESCRIBE_H

#include <strobe/view.h>

#include "command.h"
#include "json.h"

// How things that several verbs show are written.

/** "SIGSEGV (SEGV_MAPERR at 0x10)"; into `buffer`. */
void signal_text(const struct strobe_signal *signal, char *buffer, size_t size);
/** {number, name, code, code_number, address, ...}, or null for number 0. `tid` < 0: unknown. */
void signal_json(struct json *json, const char *key, const struct strobe_signal *signal, int tid);
/** "rw-p"; `buffer` has room for 5 bytes. */
const char *permissions_text(unsigned permissions, char *buffer);
/** "<name+0x12>" for an address, "" if it has no symbol; into `buffer`. */
const char *symbol_text(struct strobe_symbols *symbols, uint64_t address, char *buffer,
			size_t size);
/** Time since 1970 in UTC, "2026-11-27T05:06:07Z", into `buffer`; NULL if negative. */
const char *time_text(int64_t time_ns, char *buffer, size_t size);
/** "sleeping" for 'S'; NULL for 0. */
const char *state_text(char state);
/** "1.5 ms", "2 min 3 s"; into `buffer`. */
const char *duration_text(int64_t duration_ns, char *buffer, size_t size);
/** The names of bits: of a signal mask, "SIGHUP SIGTERM"; "none", "all". */
void put_signal_set(FILE *out, uint64_t mask);
/** Likewise of a set of capabilities, "chown net_admin". */
void put_capabilities(FILE *out, uint64_t mask);
/** An array of signals' names. */
void signal_set_json(struct json *json, const char *key, uint64_t mask);
/** A number, or null for -1 and STROBE_NOT_KNOWN, whichever `unknown` is. */
void number_json(struct json *json, const char *key, int64_t number, int64_t unknown);
/** A time as time_text() has it, or null. */
void time_json(struct json *json, const char *key, int64_t time_ns);

/** The last component of a path. */
const char *base_name(const char *path);

#endif
