// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_OPTIONS_H
#define QUERY_OPTIONS_H

#include <string.h>

/** Takes the options that a caller gave, NULL or of an older and shorter header, into a zeroed structure. */
#define OPTIONS_TAKE(into, options)                                                                \
	do {                                                                                       \
		if (options)                                                                       \
			memcpy((into), (options),                                                  \
			       (options)->size < sizeof(*(into)) ? (options)->size                 \
								 : sizeof(*(into)));               \
	} while (0)

#endif
