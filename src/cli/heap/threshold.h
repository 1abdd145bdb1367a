// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_HEAP_THRESHOLD_H
#define CLI_HEAP_THRESHOLD_H

// Thresholds for who runs a verb as a test: what is over one is told, and the exit status is 1.

#include "heap/heap.h"

#define OPTION_MAX_LEAKED                                                                          \
	{                                                                                          \
		"max-leaked", 0, "SIZE", NULL,                                                     \
			"Fail, with exit status 1, if more than SIZE bytes are leaked."            \
	}
#define OPTION_MAX_GROWTH                                                                          \
	{                                                                                          \
		"max-growth", 0, "SIZE", NULL,                                                     \
			"Fail, with exit status 1, if the allocated bytes grew by more than SIZE." \
	}
#define OPTION_MAX_SHARE                                                                           \
	{                                                                                          \
		"max-share", 0, "PART", NULL,                                                      \
			"Fail, with exit status 1, if one suspect explains more than this part, "  \
			"as "                                                                      \
			"10% or 0.1."                                                              \
	}

int heap_check_leaked(const struct command *command, uint64_t leaked_bytes, uint64_t most);
int heap_check_growth(const struct command *command, uint64_t before, uint64_t after,
		      uint64_t most);
int heap_check_share(const struct command *command, double share, double most, const char *what);

#endif
