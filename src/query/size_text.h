// SPDX-License-Identifier: Apache-2.0
#ifndef QUERY_SIZE_TEXT_H
#define QUERY_SIZE_TEXT_H

#include <stdint.h>

#include "base/text.h"

/** "1.5 MiB", "24 bytes". */
void size_text_append(uint64_t bytes, struct text *ret);

#endif
