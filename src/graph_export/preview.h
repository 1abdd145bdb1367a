// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_PREVIEW_H
#define GRAPH_EXPORT_PREVIEW_H

#include "graph_export/member.h"

enum { PREVIEW_SIZE = 100 };

/** The text in an object of characters, at most PREVIEW_SIZE bytes of it, into `text` (PREVIEW_SIZE + 1 bytes). False if it is no such
 *  object, or not readable, or no text. */
bool preview_text(const struct strobe_graph *graph, const struct member *member, char *text);

#endif
