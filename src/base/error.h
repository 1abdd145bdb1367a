// SPDX-License-Identifier: Apache-2.0
#ifndef BASE_ERROR_H
#define BASE_ERROR_H

#include <stdint.h>
#include <strobe/error.h>

// Makers of errors. Each returns a new error (or the static out-of-memory error); none fails.

#define ERROR_STRING2(x) #x
#define ERROR_STRING(x) ERROR_STRING2(x)
#define ERROR_ORIGIN __FILE__ ":" ERROR_STRING(__LINE__)

/** The static out-of-memory error; freeing it does nothing. */
struct strobe_error *error_no_memory(void);

struct strobe_error *error_make(const char *origin, enum strobe_error_code code, const char *format,
				...) __attribute__((format(printf, 3, 4), cold));
struct strobe_error *error_make_errno(const char *origin, int errnum, const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));
struct strobe_error *error_make_at_column(const char *origin, enum strobe_error_code code,
					  unsigned column, const char *format, ...)
	__attribute__((format(printf, 4, 5), cold));
struct strobe_error *error_make_at_address(const char *origin, enum strobe_error_code code,
					   uint64_t address, const char *format, ...)
	__attribute__((format(printf, 4, 5), cold));
struct strobe_error *error_make_wrap(const char *origin, struct strobe_error *cause,
				     const char *format, ...)
	__attribute__((format(printf, 3, 4), cold));

/** error_new(code, format, ...): a plain error. */
#define error_new(...) error_make(ERROR_ORIGIN, __VA_ARGS__)
/** error_errno(errnum, format, ...): "formatted: strerror(errnum)". */
#define error_errno(...) error_make_errno(ERROR_ORIGIN, __VA_ARGS__)
/** error_column(code, column, format, ...): about the 1-based `column` of an expression. */
#define error_column(...) error_make_at_column(ERROR_ORIGIN, __VA_ARGS__)
/** error_address(code, address, format, ...): about a target address. */
#define error_address(...) error_make_at_address(ERROR_ORIGIN, __VA_ARGS__)
/** error_wrap(cause, format, ...): "formatted: cause's message"; owns `cause`; keeps its detail. */
#define error_wrap(...) error_make_wrap(ERROR_ORIGIN, __VA_ARGS__)

/** Tells where in an expression it went wrong, too; returns `error`. */
struct strobe_error *error_set_column(struct strobe_error *error, unsigned column);

/** Sets what strobe_error_errno() tells; returns `error`. For errors that another process met. */
struct strobe_error *error_set_errno(struct strobe_error *error, int errnum);

/** For __attribute__((cleanup)): frees an error that was only looked at. */
void error_freep(struct strobe_error **error);
#define cleanup_error __attribute__((cleanup(error_freep)))

#endif
