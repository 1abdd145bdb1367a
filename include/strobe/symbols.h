// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_SYMBOLS_H
#define STROBE_SYMBOLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/view.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The symbols and debug information of a view's modules, opened module by module when first
 * needed. Strings it returns are borrowed and live as long as it does. One thread at a time.
 */
struct strobe_symbols;

/** Makes symbols for `view`, which must outlive them. Opens no file yet. */
STROBE_EXPORT struct strobe_error *strobe_symbols_open(const struct strobe_view *view,
						       struct strobe_symbols **ret)
	STROBE_MUST_CHECK;
STROBE_EXPORT struct strobe_symbols *strobe_symbols_close(struct strobe_symbols *symbols);
STROBE_EXPORT const struct strobe_view *strobe_symbols_view(const struct strobe_symbols *symbols);

/** What is known of a module's names. */
enum strobe_debug_kind {
	STROBE_DEBUG_NONE,    /**< no symbols at all */
	STROBE_DEBUG_DYNAMIC, /**< .dynsym only */
	STROBE_DEBUG_MINI,    /**< .gnu_debugdata (minidebuginfo) */
	STROBE_DEBUG_SYMTAB,  /**< .symtab, no DWARF */
	STROBE_DEBUG_DWARF,   /**< DWARF */
};

/** Debug state of a module. */
struct strobe_module_debug {
	enum strobe_debug_kind kind;
	const char *kind_name; /**< "none", "dynamic", "mini", "symtab", "dwarf" */
	const char *file;      /**< where the symbols or DWARF came from; NULL if none */
	const char *problem;   /**< one line, what is missing or wrong; NULL if nothing */
};
/** Opens module `module_index` (of the view) if need be and tells what was found. */
STROBE_EXPORT void strobe_symbols_module_debug(struct strobe_symbols *symbols, size_t module_index,
					       struct strobe_module_debug *ret);

/** An ELF symbol in the process. */
struct strobe_symbol {
	const char *name;	  /**< demangled */
	const char *linkage_name; /**< as in the file, without version */
	uint64_t address;	  /**< run-time address */
	uint64_t size_bytes;	  /**< 0 if the file does not tell */
	const char *type;	  /**< "function", "object", "tls", "ifunc", "notype", ... */
	const char *binding;	  /**< "local", "global", "weak" */
	size_t module_index;
	const char *module; /**< module name */
};

/**
 * The best symbol at or before `address` in its module: one whose range holds it if any, else
 * the nearest lower one of unknown size in the same section. False if there is none.
 */
STROBE_EXPORT bool strobe_symbol_at(struct strobe_symbols *symbols, uint64_t address,
				    struct strobe_symbol *ret);

/** How strobe_symbols_find() matches names. */
enum strobe_match {
	STROBE_MATCH_EXACT, /**< the whole demangled or linkage name */
	STROBE_MATCH_GLOB,  /**< fnmatch(3) pattern */
	STROBE_MATCH_REGEX, /**< PCRE2, unanchored */
};
/** Called for each symbol; return false to stop. */
typedef bool (*strobe_symbol_visit)(void *context, const struct strobe_symbol *symbol);
/**
 * Visits matching symbols of all modules, or of the module with that name or path if not NULL; a
 * library's name may lack its ".so...". Errors: NOT_FOUND (no such module), SYNTAX (pattern).
 */
STROBE_EXPORT struct strobe_error *
strobe_symbols_find(struct strobe_symbols *symbols, enum strobe_match match, const char *pattern,
		    const char *module, strobe_symbol_visit visit, void *context) STROBE_MUST_CHECK;

/** A source position. */
struct strobe_line {
	const char *file;      /**< as in the debug information, made absolute with its directory */
	unsigned line, column; /**< 1-based; 0 = unknown */
	uint64_t start, end;   /**< addresses of this row, [start, end) */
};
/** The line of the instruction at `address`; false if unknown. */
STROBE_EXPORT bool strobe_line_at(struct strobe_symbols *symbols, uint64_t address,
				  struct strobe_line *ret);
/** The same, but of several rows at one address the last, even if it begins no statement: lldb's choice, where
 *  strobe_line_at() is gdb's. */
STROBE_EXPORT bool strobe_line_row_at(struct strobe_symbols *symbols, uint64_t address,
				      struct strobe_line *ret);
/** Called for each address; return false to stop. */
typedef bool (*strobe_line_visit)(void *context, uint64_t address, const struct strobe_line *line);
/**
 * Visits the statement starts of `file`:`line`. `file` matches whole trailing path components.
 * Errors: NOT_FOUND when no unit has such a file.
 */
STROBE_EXPORT struct strobe_error *strobe_line_find(struct strobe_symbols *symbols,
						    const char *file, unsigned line,
						    strobe_line_visit visit, void *context)
	STROBE_MUST_CHECK;

/**
 * The full name of the first source file that `file` matches as above, also if no code stands in
 * it, and the index of its module. Errors: NOT_FOUND.
 */
STROBE_EXPORT struct strobe_error *strobe_line_file(struct strobe_symbols *symbols,
						    const char *file, const char **ret,
						    size_t *ret_module) STROBE_MUST_CHECK;

/** Where a function's source stands; from a name as print takes it ("f", "ns::f", "'a.c'::f"). */
struct strobe_function {
	const char *name;    /**< qualified, without parameters */
	const char *file;    /**< NULL if unknown */
	unsigned line;	     /**< of the declaration; 0 if unknown */
	uint64_t start, end; /**< entry and end of its first range */
	size_t module_index;
};
/** The function that holds `address` (not inlined ones); false if unknown. */
STROBE_EXPORT bool strobe_function_at(struct strobe_symbols *symbols, uint64_t address,
				      struct strobe_function *ret);
/** A function that is active at an address: a call that is inlined there, or the function itself. */
struct strobe_scope {
	const char *name; /**< qualified, without parameters; NULL if unknown */
	uint64_t
		start; /**< its entry; of an inlined call, of its piece of code here; 0 = unknown */
	bool inlined;  /**< into the scope that follows */
	const char *file;      /**< of the position in this scope; NULL if unknown */
	unsigned line, column; /**< 1-based; 0 = unknown */
	uint64_t entity; /**< the same number for the same code's scope, another for any other */
};
/**
 * The functions that are active at `address` by its debug information, innermost first: inlined calls, then the
 * function. Fills at most `limit`, and returns how many there are; 0 where there is none.
 */
STROBE_EXPORT size_t strobe_scopes_at(struct strobe_symbols *symbols, uint64_t address,
				      struct strobe_scope *ret, size_t limit);
/** A function by name; NOT_FOUND if there is none. DWARF first, then ELF symbols. */
STROBE_EXPORT struct strobe_error *
strobe_function_find(struct strobe_symbols *symbols, const char *name, struct strobe_function *ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
