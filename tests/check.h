// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_CHECK_H
#define TESTS_CHECK_H

// A test program is a list of named cases, told in TAP. A failed CHECK ends its case.

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/error.h>

static jmp_buf check_jump;
static char check_skip_reason[256];

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			printf("# %s:%d: CHECK(%s) is false\n", __FILE__, __LINE__, #condition);   \
			longjmp(check_jump, 1);                                                    \
		}                                                                                  \
	} while (0)
#define CHECK_EQUAL(a, b)                                                                          \
	do {                                                                                       \
		unsigned long long check_a = (unsigned long long)(a);                              \
		unsigned long long check_b = (unsigned long long)(b);                              \
		if (check_a != check_b) {                                                          \
			printf("# %s:%d: %s is %llu (0x%llx), expected %s = %llu (0x%llx)\n",      \
			       __FILE__, __LINE__, #a, check_a, check_a, #b, check_b, check_b);    \
			longjmp(check_jump, 1);                                                    \
		}                                                                                  \
	} while (0)
#define CHECK_STRING(a, b)                                                                         \
	do {                                                                                       \
		const char *check_a = (a), *check_b = (b);                                         \
		if (!check_a || !check_b || strcmp(check_a, check_b) != 0) {                       \
			printf("# %s:%d: %s is \"%s\", expected \"%s\"\n", __FILE__, __LINE__, #a, \
			       check_a ? check_a : "(null)", check_b ? check_b : "(null)");        \
			longjmp(check_jump, 1);                                                    \
		}                                                                                  \
	} while (0)
/** The call must succeed. */
#define CHECK_OK(call)                                                                             \
	do {                                                                                       \
		struct strobe_error *check_error = (call);                                         \
		if (check_error) {                                                                 \
			printf("# %s:%d: %s: %s (%s)\n", __FILE__, __LINE__, #call,                \
			       strobe_error_message(check_error),                                  \
			       strobe_error_origin(check_error));                                  \
			strobe_error_free(check_error);                                            \
			longjmp(check_jump, 1);                                                    \
		}                                                                                  \
	} while (0)
/** The call must fail with `expected_code`. */
#define CHECK_ERROR(call, expected_code)                                                           \
	do {                                                                                       \
		struct strobe_error *check_error = (call);                                         \
		CHECK(check_error != NULL);                                                        \
		int check_code = strobe_error_code(check_error);                                   \
		if (check_code != (int)(expected_code))                                            \
			printf("# message: %s\n", strobe_error_message(check_error));              \
		strobe_error_free(check_error);                                                    \
		CHECK_EQUAL(check_code, expected_code);                                            \
	} while (0)
/** Ends the case as skipped. */
#define SKIP(...)                                                                                  \
	do {                                                                                       \
		snprintf(check_skip_reason, sizeof(check_skip_reason), __VA_ARGS__);               \
		longjmp(check_jump, 2);                                                            \
	} while (0)

struct check_case {
	const char *name; // a sentence about the situation
	void (*run)(void);
};

static inline int check_run(const struct check_case *cases, size_t count)
{
	volatile int failed = 0;
	printf("1..%zu\n", count);
	for (volatile size_t i = 0; i < count; i++) {
		int how = setjmp(check_jump);
		if (how == 0)
			cases[i].run();
		if (how == 1)
			failed++;
		printf("%s %zu - %s", how == 1 ? "not ok" : "ok", (size_t)i + 1, cases[i].name);
		if (how == 2)
			printf(" # SKIP %s", check_skip_reason);
		printf("\n");
		fflush(stdout);
	}
	return failed ? 1 : 0;
}
#define CHECK_MAIN(...)                                                                            \
	int main(void)                                                                             \
	{                                                                                          \
		static const struct check_case cases[] = {__VA_ARGS__};                            \
		return check_run(cases, sizeof(cases) / sizeof(cases[0]));                         \
	}

#endif
