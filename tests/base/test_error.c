// SPDX-License-Identifier: Apache-2.0
#include "base/error.h"

#include <errno.h>

#include "check.h"

static void carries_its_detail(void)
{
	struct strobe_error *error = error_errno(ENOENT, "%s", "/no/such");
	CHECK_STRING(strobe_error_message(error), "/no/such: No such file or directory");
	CHECK_EQUAL(strobe_error_errno(error), ENOENT);
	CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_SYSTEM);
	CHECK(strstr(strobe_error_origin(error), "test_error.c:"));
	error = error_wrap(error, "opening");
	CHECK_STRING(strobe_error_message(error), "opening: /no/such: No such file or directory");
	CHECK_EQUAL(strobe_error_errno(error), ENOENT);
	CHECK(strobe_error_cause(error));
	CHECK(!strobe_error_free(error));
}

static void out_of_memory_is_static(void)
{
	struct strobe_error *error = error_no_memory();
	CHECK_STRING(strobe_error_message(error), "out of memory");
	strobe_error_free(error);
	CHECK_STRING(strobe_error_message(error_no_memory()), "out of memory");
}

static void points_at_column_and_address(void)
{
	struct strobe_error *error = error_column(STROBE_ERROR_SYNTAX, 5, "expected ')'");
	CHECK_EQUAL(strobe_error_column(error), 5);
	strobe_error_free(error);
	error = error_address(STROBE_ERROR_UNREADABLE, 0x1234, "unreadable");
	CHECK_EQUAL(strobe_error_address(error), 0x1234);
	strobe_error_free(error);
}

static void stays_one_line(void)
{
	struct strobe_error *error =
		error_new(STROBE_ERROR_NOT_FOUND, "no file '%s'", "a\nb\033[1m");
	CHECK_STRING(strobe_error_message(error), "no file 'a?b?[1m'");
	strobe_error_free(error);
}

CHECK_MAIN({"carries its detail", carries_its_detail},
	   {"out of memory is static", out_of_memory_is_static},
	   {"stays one line whatever names it quotes", stays_one_line},
	   {"points at column and address", points_at_column_and_address})
