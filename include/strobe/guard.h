// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_GUARD_H
#define STROBE_GUARD_H

#include <strobe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * For programs (not libraries) that use libstrobe on files they do not trust. Installs handlers for
 * SIGSEGV, SIGBUS, SIGFPE, SIGILL and SIGABRT on an alternate stack, and a CPU-time watch: if a
 * third-party reader crashes or spins inside a damaged file, the process prints one line,
 * "PROGRAM: FILE: ...", that names the file being read, and exits with status 1 instead of dying
 * from the signal. Call once, early, from the main thread. `program` is copied (63 bytes).
 * `seconds` is the CPU-time limit of one guarded step; 0 = 120.
 */
STROBE_EXPORT void strobe_guard_install(const char *program, unsigned seconds);

#ifdef __cplusplus
}
#endif
#endif
