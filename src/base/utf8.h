// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

struct arena;

/** Length of the UTF-8 character that `at` (NUL-terminated) begins with; 0 if it is none. */
unsigned utf8_size(const char *at);
/** `text` if all of it is UTF-8; else a copy in `arena`, in which each byte that is none has become the character of its number (Latin 1).
 *  NULL when memory is short, or for NULL. */
const char *utf8_clean(struct arena *arena, const char *text);

#endif
