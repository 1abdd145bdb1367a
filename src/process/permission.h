// SPDX-License-Identifier: Apache-2.0
#ifndef PROCESS_PERMISSION_H
#define PROCESS_PERMISSION_H

#include <sys/types.h>
#include <strobe/error.h>

/**
 * Why process `pid` cannot be captured, before it is touched: NULL if nothing speaks against it.
 * Errors: NOT_FOUND (no such process, or a thread's id), UNSUPPORTED (a kernel thread, a zombie, a
 * 32-bit process, ourselves), SYSTEM with EPERM (another tracer, another user, the rules of
 * ptrace(2), "Ptrace access mode checking"), each with what would allow it.
 */
struct strobe_error *permission_check(pid_t pid) STROBE_MUST_CHECK;
/** The same after PTRACE_SEIZE failed with `errnum`: always an error. */
struct strobe_error *permission_explain(pid_t pid, int errnum) STROBE_MUST_CHECK;

#endif
