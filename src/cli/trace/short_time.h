// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_SHORT_TIME_H
#define CLI_TRACE_SHORT_TIME_H

/** "12.3 us", for people. */
struct short_time {
	char text[32];
};
/** `ns` nanoseconds in words, in `ret`, which is returned. */
const char *short_time_text(double ns, struct short_time *ret);

#endif
