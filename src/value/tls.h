// SPDX-License-Identifier: Apache-2.0
#ifndef VALUE_TLS_H
#define VALUE_TLS_H

// Where threads keep the thread-local variables of modules.

#include "symbols/module.h"

/** How a module's block is found; the same for all threads. */
struct tls_module {
	bool main;	 // the main program's: at a fixed distance below the thread pointer
	uint64_t before; // that distance
	uint64_t id;	 // of others: their number in the thread's vector
};

/** False if the module has no block, or it cannot be told where. */
bool tls_module_find(struct strobe_symbols *symbols, const struct symbols_module *module,
		     struct tls_module *ret);
/** The address of the block of the thread with that thread pointer; false if it has none (yet). */
bool tls_block(const struct strobe_view *view, uint64_t thread_pointer,
	       const struct tls_module *module, uint64_t *ret);
/** The thread pointer of thread `thread_index`; false if unknown. */
bool tls_thread_pointer(const struct strobe_view *view, size_t thread_index, uint64_t *ret);

#endif
