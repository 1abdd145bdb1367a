// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_ERROR_H
#define STROBE_ERROR_H

#include <stdint.h>

#if defined(__GNUC__)
#define STROBE_EXPORT __attribute__((visibility("default")))
#define STROBE_MUST_CHECK __attribute__((warn_unused_result))
#else
#define STROBE_EXPORT
#define STROBE_MUST_CHECK
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What kind of failure a `struct strobe_error` reports. Values are stable. */
enum strobe_error_code {
	STROBE_ERROR_NO_MEMORY = 1,  /**< an allocation failed */
	STROBE_ERROR_SYSTEM = 2,     /**< a system call failed; see strobe_error_errno() */
	STROBE_ERROR_FORMAT = 3,     /**< a file or memory structure is not what it should be */
	STROBE_ERROR_NOT_FOUND = 4,  /**< the thing asked for by name or address does not exist */
	STROBE_ERROR_INVALID = 5,    /**< an argument has no meaning here */
	STROBE_ERROR_SYNTAX = 6,     /**< an expression or pattern cannot be parsed; has a column */
	STROBE_ERROR_TYPE = 7,	     /**< an operation does not apply to its operands' types */
	STROBE_ERROR_UNREADABLE = 8, /**< memory or a register that the view does not hold */
	STROBE_ERROR_UNSUPPORTED = 9,	 /**< understood, but this build or source cannot do it */
	STROBE_ERROR_LIMIT = 10,	 /**< a named limit was reached */
	STROBE_ERROR_OPTIMIZED_OUT = 11, /**< the value does not exist at this pc */
};

/**
 * A failure: one line of text without the caller's intent, and typed detail.
 * NULL means success wherever a function returns `struct strobe_error *`. The caller owns a
 * returned error and gives it to strobe_error_free(). Errors may be read from any thread.
 */
struct strobe_error;

/** The kind of failure. `error` must not be NULL. */
STROBE_EXPORT enum strobe_error_code strobe_error_code(const struct strobe_error *error);
/** One line, no newline, never NULL; borrowed from `error`. */
STROBE_EXPORT const char *strobe_error_message(const struct strobe_error *error);
/** The errno of a STROBE_ERROR_SYSTEM, else 0. */
STROBE_EXPORT int strobe_error_errno(const struct strobe_error *error);
/** The 1-based column of a STROBE_ERROR_SYNTAX or STROBE_ERROR_TYPE in its expression, else 0. */
STROBE_EXPORT unsigned strobe_error_column(const struct strobe_error *error);
/** The first target address that a STROBE_ERROR_UNREADABLE concerns, else 0. */
STROBE_EXPORT uint64_t strobe_error_address(const struct strobe_error *error);
/** Source file and line of libstrobe where the error was made, as "file.c:12"; never NULL. */
STROBE_EXPORT const char *strobe_error_origin(const struct strobe_error *error);
/** The error that led to this one, or NULL; borrowed. */
STROBE_EXPORT const struct strobe_error *strobe_error_cause(const struct strobe_error *error);
/** Releases `error` and its causes; takes NULL; returns NULL. */
STROBE_EXPORT struct strobe_error *strobe_error_free(struct strobe_error *error);

#ifdef __cplusplus
}
#endif
#endif
