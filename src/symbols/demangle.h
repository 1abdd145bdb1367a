// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_DEMANGLE_H
#define SYMBOLS_DEMANGLE_H

// Demangling of Itanium C++ and Rust (legacy and v0) names, by libiberty.

#include <stdbool.h>
#include <stddef.h>

/** Named limits on hostile names: mangled, and what one may expand to (substitutions double). */
enum { DEMANGLE_INPUT_LIMIT = 16384, DEMANGLE_OUTPUT_LIMIT = 1 << 20 };

/** True if the name looks mangled: cheap, for filters. */
bool demangle_is_mangled(const char *name);
/** "ns::f(int)", malloc'ed; NULL if `name` is not mangled, or cannot be demangled. */
char *demangle(const char *name);
/** The same without the return type that instances of function templates have: "f<int>(int)". */
char *demangle_without_return(const char *name);
/** The same without a function's parameters and return type: "ns::f". */
char *demangle_plain(const char *name);

#endif
