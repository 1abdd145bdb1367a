// SPDX-License-Identifier: Apache-2.0
#include "graph/build.h"

struct strobe_error *strobe_graph_open(struct strobe_symbols *symbols,
				       const struct strobe_graph_options *options,
				       struct strobe_graph **ret)
{
	return graph_build(symbols, options, ret);
}
