// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_TYPE_CANONICAL_H
#define SYMBOLS_TYPE_CANONICAL_H

#include <stddef.h>

struct strobe_symbols;

/** Named limit: words of a base type such as "long long unsigned int". */
enum { TYPE_WORD_LIMIT = 5 };

/** The one spelling of a C base type written in any order of its words ("long unsigned int" is
 *  "unsigned long"), or NULL if the words are not one. */
const char *type_canonical_words(const char *text, size_t size);

/**
 * A name of the debug information as gdb spells it: base types in C's usual order, also within
 * template arguments of C++. `name` (may be NULL) must live as long as the symbols; so does what
 * is returned.
 */
const char *type_canonical_name(struct strobe_symbols *symbols, const char *name, int language);

/** The same of a name of C++, malloc'ed; NULL when memory is short. */
char *type_canonical_copy(const char *name);

#endif
