// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_text.h"

#include "check.h"

/** The runs in `bytes`, each in brackets. */
static const char *runs_of(const void *bytes, size_t size)
{
	static char text[256];
	size_t start = 0, end, at = 0;
	while (text_next_run(bytes, size, &start, &end)) {
		at += (size_t)snprintf(text + at, sizeof(text) - at, "[%.*s]", (int)(end - start),
				       (const char *)bytes + start);
		start = end;
	}
	text[at] = '\0';
	return text;
}

#define RUNS(literal) runs_of(literal, sizeof(literal) - 1)

static void finds_ascii(void)
{
	CHECK_STRING(RUNS("one\0two\nthree\x7f\x01"
			  "four\tfive"),
		     "[one][two][three][four\tfive]");
	CHECK_STRING(RUNS("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0a\0\0\0\0\0\0\0\0\0\0b"), "[a][b]");
	CHECK_STRING(RUNS(""), "");
}

static void finds_utf8_and_nothing_like_it(void)
{
	CHECK_STRING(RUNS("gr\xc3\xbc\xc3\x9f"
			  "e \xe2\x82\xac \xf0\x9f\x98\x80!"),
		     "[gr\xc3\xbc\xc3\x9f"
		     "e \xe2\x82\xac \xf0\x9f\x98\x80!]");
	// Cut off, overlong, surrogates, controls, too large, a stray continuation.
	CHECK_STRING(RUNS("a\xc3|\xc0\xaf|\xe0\x80\x80|\xed\xa0\x80|\xc2\x85|\xf4\x90\x80\x80|\x80"
			  "b"),
		     "[a][|][|][|][|][|][|][b]");
	CHECK_STRING(RUNS("end\xe2\x82"), "[end]");
}

CHECK_MAIN({"printable ASCII, bounded by all else", finds_ascii},
	   {"UTF-8, but only if it is valid", finds_utf8_and_nothing_like_it})
