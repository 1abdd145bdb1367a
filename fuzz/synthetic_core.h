// SPDX-License-Identifier: Apache-2.0
#ifndef FUZZ_SYNTHETIC_CORE_H
#define FUZZ_SYNTHETIC_CORE_H

#include <stddef.h>
#include <stdint.h>

// A small core file in memory: one thread, one mapped file, a stack. It makes the reader under test
// meet the fuzzed bytes with everything around them in order.

enum { SYNTHETIC_STACK = 4096, SYNTHETIC_BASE = 0x400000, SYNTHETIC_STACK_BASE = 0x7fff0000 };

/** A new memfd that holds `size` bytes; -1 on failure. Readable as /proc/self/fd/N. */
int memory_file(const char *name, const void *bytes, size_t size);
/**
 * A memfd with a core whose one thread stopped at `pc`, in which `mapped_path` (of `mapped_size`
 * bytes) is mapped at SYNTHETIC_BASE, not dumped. The stack holds the words `pc` + 8 * n.
 */
int synthetic_core(const char *mapped_path, uint64_t mapped_size, uint64_t pc);

#endif
