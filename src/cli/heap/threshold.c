// SPDX-License-Identifier: Apache-2.0
#include "heap/threshold.h"

#include <inttypes.h>

int heap_check_leaked(const struct command *command, uint64_t leaked_bytes, uint64_t most)
{
	if (leaked_bytes <= most)
		return STATUS_DONE;
	return command_fail(command, "%" PRIu64 " bytes are leaked, more than --max-leaked %s",
			    leaked_bytes, command_option(command, "max-leaked"));
}

int heap_check_growth(const struct command *command, uint64_t before, uint64_t after, uint64_t most)
{
	if (after <= before || after - before <= most)
		return STATUS_DONE;
	return command_fail(command,
			    "the heap grew by %" PRIu64 " bytes, more than --max-growth %s",
			    after - before, command_option(command, "max-growth"));
}

int heap_check_share(const struct command *command, double share, double most, const char *what)
{
	if (share <= most)
		return STATUS_DONE;
	return command_fail(command,
			    "%.1f %% is explained by one suspect, more than --max-share %s: %s",
			    100 * share, command_option(command, "max-share"), what);
}
