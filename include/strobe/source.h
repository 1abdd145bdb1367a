// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_SOURCE_H
#define STROBE_SOURCE_H

#include <stddef.h>
#include <strobe/error.h>
#include <strobe/symbols.h>

#ifdef __cplusplus
extern "C" {
#endif

/** A source file's lines. */
struct strobe_source;

/**
 * Opens the source file that debug information names: below the sysroot if the symbols' view has
 * one, then at the path itself, then below each ':'-separated directory of `search_path` (may be
 * NULL) with leading components removed one by one, then from debuginfod by the module's build id
 * where DEBUGINFOD_URLS is set (`module_index` SIZE_MAX = do not ask).
 * Errors: NOT_FOUND names what was tried.
 */
STROBE_EXPORT struct strobe_error *strobe_source_open(struct strobe_symbols *symbols,
						      const char *file, size_t module_index,
						      const char *search_path,
						      struct strobe_source **ret) STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_source *strobe_source_close(struct strobe_source *source);
/** Where the file was found. */
STROBE_EXPORT const char *strobe_source_path(const struct strobe_source *source);
STROBE_EXPORT size_t strobe_source_line_count(const struct strobe_source *source);
/** Text of 1-based `line` without newline, `*size` bytes (not NUL-terminated); NULL if out of range. */
STROBE_EXPORT const char *strobe_source_line(const struct strobe_source *source, size_t line,
					     size_t *size);
/** True if the file is newer than the module that was compiled from it. */
STROBE_EXPORT int strobe_source_is_newer(const struct strobe_source *source);

#ifdef __cplusplus
}
#endif
#endif
