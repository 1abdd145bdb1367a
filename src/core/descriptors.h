// SPDX-License-Identifier: Apache-2.0
#ifndef CORE_DESCRIPTORS_H
#define CORE_DESCRIPTORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

/** What kind of thing a link in /proc/PID/fd leads to; `mode` is its st_mode, 0 = not known. NULL
 *  if nobody can tell. Names that are made up by the kernel's drivers are put into `arena`. */
const char *descriptor_type(struct arena *arena, const char *link, uint32_t mode);
/** "pos:" and "flags:" of the text of /proc/PID/fdinfo/FD; -1 where it has none. */
void descriptor_parse_info(const char *text, int64_t *position, int64_t *flags);

#endif
