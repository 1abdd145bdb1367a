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
/** The last component of a path. */
const char *base_name(const char *path);

#endif
