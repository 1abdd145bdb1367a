// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_VALUE_H
#define STROBE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/stack.h>
#include <strobe/symbols.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A typed value: of a variable, or of an expression. A value that is optimized out or unreadable
 * is still a value, and says so when formatted. Owned by the caller; must be closed before the
 * symbols it came from.
 */
struct strobe_value;

/** Releases `value` (NULL is fine). Returns NULL. */
STROBE_EXPORT struct strobe_value *strobe_value_close(struct strobe_value *value);
/** Its type as the language spells it: "struct conn *", "char [16]"; borrowed. */
STROBE_EXPORT const char *strobe_value_type(const struct strobe_value *value);
/** True with its address if the value lives in memory at one place. */
STROBE_EXPORT bool strobe_value_address(const struct strobe_value *value, uint64_t *address);
/** Size of its type in bytes; 0 if incomplete. */
STROBE_EXPORT uint64_t strobe_value_size(const struct strobe_value *value);

/** What is known of a value. */
enum strobe_value_state {
	STROBE_VALUE_GOOD,	    /**< all of it is known */
	STROBE_VALUE_PARTIAL,	    /**< some bytes are optimized out or unreadable */
	STROBE_VALUE_OPTIMIZED_OUT, /**< the program does not keep it at this pc */
	STROBE_VALUE_UNREADABLE,    /**< its memory or register is not in the view */
};
STROBE_EXPORT enum strobe_value_state strobe_value_state(const struct strobe_value *value);
/** Its bits as an integer if it is a scalar of at most 8 bytes, sign-extended; else false. */
STROBE_EXPORT bool strobe_value_integer(const struct strobe_value *value, uint64_t *ret);

/** How values are written as text. Zero-initialise, then set `size`; 0 = the default given. */
struct strobe_format {
	size_t size;		/**< sizeof(struct strobe_format) */
	unsigned max_elements;	/**< array elements and string characters shown: 200 */
	unsigned repeats;	/**< equal elements in a row before <repeats N times>: 10 */
	unsigned max_depth;	/**< nesting of structures shown: 20 */
	char radix;		/**< 'x' hex, 'd' signed, 'u' unsigned, 'o' octal, 't' binary, 'c'
				 *   character, 'a' address with symbol, 'f' float, 's' string; 0 = by type */
	bool pretty;		/**< one member a line, indented */
	bool no_symbols;	/**< no <symbol+offset> behind addresses */
	bool no_static_members; /**< leave out static members of classes */
};

/**
 * The value as text, in the notation of C and gdb: {a = 1, b = 0x55… "text"}. Unknown parts read
 * <optimized out> and <unreadable at 0x…>. `*ret` is malloc'ed, the caller's. `format` may be NULL.
 */
STROBE_EXPORT struct strobe_error *strobe_value_format(const struct strobe_value *value,
						       const struct strobe_format *format,
						       char **ret) STROBE_MUST_CHECK;

/** Children: members and bases of a structure, elements of an array, the target of a pointer. */
STROBE_EXPORT uint64_t strobe_value_child_count(const struct strobe_value *value);
/** Child `index` with its name ("member", "[3]", "<Base>", "*"); `*name` is borrowed, may be NULL. */
STROBE_EXPORT struct strobe_error *strobe_value_child(const struct strobe_value *value,
						      uint64_t index, const char **name,
						      struct strobe_value **ret) STROBE_MUST_CHECK;

/**
 * What an object of C++ really is, told by its virtual table: `value` is an object, a pointer or a
 * reference to one; `*ret` the same for the whole object it is part of, with that class and the
 * address where it starts ("Shape *" -> "Circle *"). `*ret` is NULL if it is just what its type
 * says, or nothing can be told.
 */
STROBE_EXPORT struct strobe_error *strobe_value_dynamic(const struct strobe_value *value,
							struct strobe_value **ret)
	STROBE_MUST_CHECK;

/** Kind of a variable of a frame. */
enum strobe_variable_kind {
	STROBE_VARIABLE_ARGUMENT,
	STROBE_VARIABLE_LOCAL, /**< function-level statics included */
};
/** A variable visible in a frame. */
struct strobe_variable {
	const char *name;
	enum strobe_variable_kind kind;
	unsigned line;	/**< declared at; 0 if unknown */
	unsigned block; /**< lexical nesting, 0 = the function's own */
	bool shadowed;	/**< an inner block has one of this name in scope */
	bool is_static;
};
/** Called for each variable; `value` is borrowed for the call. Return false to stop. */
typedef bool (*strobe_variable_visit)(void *context, const struct strobe_variable *variable,
				      const struct strobe_value *value);
/**
 * Visits arguments in order, then the locals of the blocks that hold the frame's pc, innermost
 * block first, in order of declaration within a block.
 */
STROBE_EXPORT struct strobe_error *strobe_frame_variables(const struct strobe_stack *stack,
							  size_t frame_index,
							  strobe_variable_visit visit,
							  void *context) STROBE_MUST_CHECK;

/**
 * Evaluates a C expression. With `stack` (may be NULL) names resolve in frame `frame_index` first.
 * Grammar: docs of strobe-print(1). No code of the target runs. Errors carry a column: SYNTAX,
 * TYPE, NOT_FOUND (no such name), UNREADABLE, OPTIMIZED_OUT (a value that the operation needs).
 */
STROBE_EXPORT struct strobe_error *strobe_evaluate(struct strobe_symbols *symbols,
						   const struct strobe_stack *stack,
						   size_t frame_index, const char *expression,
						   struct strobe_value **ret) STROBE_MUST_CHECK;

/** The declaration of a type by name ("struct conn", "pid_t"), as C text; malloc'ed. */
STROBE_EXPORT struct strobe_error *strobe_type_describe(struct strobe_symbols *symbols,
							const char *name, char **ret)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
