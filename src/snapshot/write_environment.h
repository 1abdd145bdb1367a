// SPDX-License-Identifier: Apache-2.0
#ifndef SNAPSHOT_WRITE_ENVIRONMENT_H
#define SNAPSHOT_WRITE_ENVIRONMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "view/view.h"

/** Where the environment lies that the process was started with: "NAME=value" strings, each with
 *  its NUL. False if it cannot be found. */
bool environment_find(const struct strobe_view *view, uint64_t *start, uint64_t *end);

#endif
