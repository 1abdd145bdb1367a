// SPDX-License-Identifier: Apache-2.0
#ifndef VIEW_SIGNALS_H
#define VIEW_SIGNALS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/view.h>

/** Decodes a siginfo_t as the kernel writes it (`wide`: of a 64-bit process). False if cut. */
bool signal_from_siginfo(const uint8_t *bytes, size_t size, bool wide, struct strobe_signal *ret);
/** A signal of which only the number is known. */
struct strobe_signal signal_from_number(int number);

#endif
