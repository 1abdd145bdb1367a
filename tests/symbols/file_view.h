// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_SYMBOLS_FILE_VIEW_H
#define TESTS_SYMBOLS_FILE_VIEW_H

#include <strobe/view.h>

// A stand-in for src/view: a view whose only module is one ELF file, at its link-time addresses
// plus `bias`. Symbols are tested with it, without a core.

struct strobe_view *file_view_open(const char *path, uint64_t bias);
struct strobe_view *file_view_close(struct strobe_view *view);

#endif
