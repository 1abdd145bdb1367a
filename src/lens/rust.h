// SPDX-License-Identifier: Apache-2.0
#ifndef LENS_RUST_H
#define LENS_RUST_H

#include "lens/plan_builder.h"

/** Recognises a vector or slice of Rust in `type` and adds steps for what it contains, in place of its members'. False: it is
 *  none, and nothing was added. */
bool rust_class(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe);

#endif
