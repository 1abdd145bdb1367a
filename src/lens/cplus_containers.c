// SPDX-License-Identifier: Apache-2.0
#include "lens/plan_builder.h"

bool cplus_container(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	return false;
}

bool cplus_place_name(struct lens *lens, struct type *type, uint64_t offset, struct text *ret)
{
	return false;
}
