// SPDX-License-Identifier: Apache-2.0
#include "base/regex.h"
#include "check.h"

static void finds_bytes(void)
{
	struct regex *regex;
	size_t start, end;
	CHECK_OK(regex_new("b+\\xff", 6, false, &regex));
	const char subject[] = "abb\xff-b\xff";
	CHECK_EQUAL(regex_match(regex, subject, 7, 0, false, &start, &end), REGEX_MATCH);
	CHECK_EQUAL(start, 1);
	CHECK_EQUAL(end, 4);
	CHECK_EQUAL(regex_match(regex, subject, 7, 4, false, &start, &end), REGEX_MATCH);
	CHECK_EQUAL(start, 5);
	CHECK_EQUAL(regex_match(regex, subject, 7, 7, false, &start, &end), REGEX_NO_MATCH);
	CHECK_EQUAL(regex_match(regex, subject, 7, 8, false, &start, &end), REGEX_NO_MATCH);
	CHECK_EQUAL(regex_match(regex, NULL, 0, 0, false, &start, &end), REGEX_NO_MATCH);
	regex_free(regex);
}

static void folds_case_when_asked(void)
{
	struct regex *regex;
	size_t start, end;
	CHECK_OK(regex_new("ab", 2, true, &regex));
	CHECK_EQUAL(regex_match(regex, "xAB", 3, 0, false, &start, &end), REGEX_MATCH);
	regex_free(regex);
	CHECK_OK(regex_new("ab", 2, false, &regex));
	CHECK_EQUAL(regex_match(regex, "xAB", 3, 0, false, &start, &end), REGEX_NO_MATCH);
	regex_free(regex);
}

static void tells_partial_matches(void)
{
	struct regex *regex;
	size_t start, end;
	CHECK_OK(regex_new("abcd", 4, false, &regex));
	CHECK_EQUAL(regex_match(regex, "xxab", 4, 0, true, &start, &end), REGEX_PARTIAL);
	CHECK_EQUAL(start, 2);
	CHECK_EQUAL(regex_match(regex, "xxab", 4, 0, false, &start, &end), REGEX_NO_MATCH);
	regex_free(regex);
}

static void points_at_the_column(void)
{
	struct regex *regex;
	struct strobe_error *error = regex_new("ab(c", 4, false, &regex);
	CHECK(error);
	CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_SYNTAX);
	CHECK_EQUAL(strobe_error_column(error), 5);
	strobe_error_free(error);
	CHECK_ERROR(regex_new("(*UTF)a", 7, false, &regex), STROBE_ERROR_SYNTAX);
}

static void a_catastrophic_pattern_ends(void)
{
	struct regex *regex;
	size_t start, end;
	CHECK_OK(regex_new("(a+)+$", 6, false, &regex));
	char subject[64];
	memset(subject, 'a', sizeof(subject));
	subject[63] = 'b';
	CHECK(regex_match(regex, subject, 64, 0, false, &start, &end) != REGEX_MATCH);
	regex_free(regex);
}

static void knows_the_literal_of_every_match(void)
{
	static const struct {
		const char *pattern, *literal;
	} cases[] = {
		{"needle [0-9]+ here", "needle "},
		{"[xq]uiet", "uiet"},
		{"abc?de", "ab"},
		{"ab+cdef", "cdef"},
		{"ab{2}cdef", "cdef"},
		{"x*abc", "abc"},
		{"a\\.b", "a.b"},
		{"one\\d+three", "three"},
		{"(one|two)three", "three"},
		{"(?:one|t\\(wo)xyz", "xyz"},
		{"ab+?c", "ab"},
		{"one|two", ""},
		{"ab{|c}", ""},
		{"(?i)abc", ""},
		{"(?=abc)d", ""},
		{"abc\\Q.\\E", ""},
		{"\\x41bc", ""},
		{"[[:alpha:]]bc", ""},
		{"[]a]bc", "bc"},
		{"a(b", "a"},
		{"", ""},
	};
	char literal[64];
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = regex_literal(cases[i].pattern, strlen(cases[i].pattern), literal);
		literal[size] = 0;
		CHECK_STRING(literal, cases[i].literal);
	}
}

CHECK_MAIN({"finds bytes from an offset on", finds_bytes},
	   {"folds case when asked", folds_case_when_asked},
	   {"tells a match that the end cuts off", tells_partial_matches},
	   {"a wrong pattern's error points at the column", points_at_the_column},
	   {"knows the literal that every match holds", knows_the_literal_of_every_match},
	   {"a catastrophic pattern ends", a_catastrophic_pattern_ends})
