// SPDX-License-Identifier: Apache-2.0
// Seekable zstd files: the table and the frames.
#include <stdlib.h>
#include <string.h>

#include "base/zstd_seekable.h"

enum { MOST = 64, PIECE = 3000 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct zstd_seekable *seekable;
	uint8_t first[PIECE], again[PIECE];
	struct strobe_error *error = zstd_seekable_open(data, size, "input", &seekable);
	if (error) {
		if (strchr(strobe_error_message(error), '\n'))
			abort();
		strobe_error_free(error);
		return 0;
	}
	uint64_t total = zstd_seekable_size(seekable), step = total / MOST + 1;
	for (uint64_t at = 0; at < total; at += step) {
		uint64_t end;
		bool zero = zstd_seekable_zero(seekable, at, &end);
		size_t got = zstd_seekable_read(seekable, at, first, sizeof(first));
		if (end <= at || end > total || got > total - at)
			abort();
		// What is said to be zero reads so, and the same bytes come each time.
		if (zero && (got == 0 || first[0] != 0))
			abort();
		if (zstd_seekable_read(seekable, at, again, sizeof(again)) != got ||
		    memcmp(first, again, got) != 0)
			abort();
	}
	if (zstd_seekable_read(seekable, total, first, 1) != 0)
		abort();
	const char *problem = zstd_seekable_problem(seekable);
	if (problem && strchr(problem, '\n'))
		abort();
	zstd_seekable_close(seekable);
	return 0;
}
