// SPDX-License-Identifier: Apache-2.0
#include "base/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdlib.h>

#include "base/error.h"

struct regex {
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *context;
};

struct strobe_error *regex_new(const char *pattern, size_t pattern_size, bool caseless,
			       struct regex **ret)
{
	if (pattern_size > REGEX_PATTERN_LIMIT)
		return error_new(STROBE_ERROR_LIMIT,
				 "the regular expression is longer than %d bytes",
				 REGEX_PATTERN_LIMIT);
	struct regex *regex = calloc(1, sizeof(*regex));
	if (!regex)
		return error_no_memory();
	int number;
	PCRE2_SIZE offset;
	// A pattern could otherwise ask for UTF itself, with (*UTF), and reject most binary data.
	regex->code = pcre2_compile((PCRE2_SPTR)pattern, pattern_size,
				    PCRE2_NEVER_UTF | (caseless ? PCRE2_CASELESS : 0), &number,
				    &offset, NULL);
	if (!regex->code) {
		PCRE2_UCHAR text[160];
		if (pcre2_get_error_message(number, text, sizeof(text)) < 0)
			text[0] = 0;
		free(regex);
		return error_column(STROBE_ERROR_SYNTAX, (unsigned)offset + 1,
				    "regular expression: %s", (const char *)text);
	}
	// Where the just-in-time compiler is not to be had, matching is slower but the same.
	(void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);
	regex->match = pcre2_match_data_create_from_pattern(regex->code, NULL);
	regex->context = pcre2_match_context_create(NULL);
	if (!regex->match || !regex->context) {
		regex_free(regex);
		return error_no_memory();
	}
	pcre2_set_match_limit(regex->context, REGEX_MATCH_LIMIT);
	pcre2_set_heap_limit(regex->context, REGEX_HEAP_LIMIT_KIB);
	*ret = regex;
	return NULL;
}

struct regex *regex_free(struct regex *regex)
{
	if (!regex)
		return NULL;
	pcre2_match_context_free(regex->context);
	pcre2_match_data_free(regex->match);
	pcre2_code_free(regex->code);
	free(regex);
	return NULL;
}

enum regex_result regex_match(struct regex *regex, const void *bytes, size_t size, size_t offset,
			      bool partial, size_t *start, size_t *end)
{
	if (offset > size)
		return REGEX_NO_MATCH;
	int count = pcre2_match(regex->code, bytes ? bytes : "", size, offset,
				partial ? PCRE2_PARTIAL_HARD : 0, regex->match, regex->context);
	if (count == PCRE2_ERROR_NOMATCH)
		return REGEX_NO_MATCH;
	if (count < 0 && count != PCRE2_ERROR_PARTIAL)
		return REGEX_GAVE_UP;
	const PCRE2_SIZE *found = pcre2_get_ovector_pointer(regex->match);
	// \K in a look-ahead can put the start behind the end.
	*start = found[0] < found[1] ? found[0] : found[1];
	*end = found[1];
	return count == PCRE2_ERROR_PARTIAL ? REGEX_PARTIAL : REGEX_MATCH;
}
