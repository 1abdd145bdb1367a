// SPDX-License-Identifier: Apache-2.0
#include "base/text.h"

#include "check.h"

static void appends(void)
{
	struct text text = {0};
	CHECK_STRING(text_string(&text), "");
	text_append(&text, "a");
	text_append_char(&text, 'b');
	text_append_bytes(&text, "cdef", 2);
	text_printf(&text, "%d", 12);
	CHECK_STRING(text_string(&text), "abcd12");
	text_truncate(&text, 3);
	CHECK_STRING(text_string(&text), "abc");
	char *stolen = text_steal(&text);
	CHECK_STRING(stolen, "abc");
	free(stolen);
	CHECK_EQUAL(text.size, 0);
}

static void grows(void)
{
	struct text text = {0};
	for (int i = 0; i < 100000; i++)
		text_append_char(&text, (char)('a' + i % 26));
	CHECK_EQUAL(text.size, 100000);
	CHECK_EQUAL(strlen(text_string(&text)), 100000);
	text_fini(&text);
}

CHECK_MAIN({"appends", appends}, {"grows", grows})
