// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/result.h"

#include <stdlib.h>

struct result *result_free(struct result *result)
{
	if (!result)
		return NULL;
	for (size_t i = 0; i < result->frames.count; i++)
		array_fini(&result->frames.items[i].variables);
	for (size_t i = 0; i < result->variables.count; i++)
		array_fini(&result->variables.items[i].children);
	array_fini(&result->frames);
	array_fini(&result->variables);
	array_fini(&result->watches);
	array_fini(&result->attributes);
	array_fini(&result->resource);
	array_fini(&result->metric.labels);
	arena_fini(&result->arena);
	free(result);
	return NULL;
}
