// SPDX-License-Identifier: Apache-2.0
#include "graph_export/preview.h"

#include <string.h>
#include <strobe/memory.h>

#include "graph_export/utf8.h"

static bool has_characters(const struct member *member)
{
	return member->kind == STROBE_NODE_BLOCK && member->type_name &&
	       strcmp(member->type_name, "char") == 0;
}

/** Bytes of whole characters in text that may have been cut in the middle of one. */
static size_t whole(const char *text, size_t size)
{
	for (size_t back = 0; back < 4 && back < size; back++)
		if (utf8_prefix(text, size - back) == size - back)
			return size - back;
	return 0;
}

bool preview_text(const struct strobe_graph *graph, const struct member *member, char *text)
{
	if (!graph->view || !has_characters(member))
		return false;
	size_t size = member->size_bytes < PREVIEW_SIZE ? member->size_bytes : PREVIEW_SIZE;
	size = strobe_memory_read(graph->view, member->address, text, size);
	size_t length = strnlen(text, size);
	length = length == PREVIEW_SIZE ? whole(text, length) : length;
	text[length] = '\0';
	if (length == 0 || utf8_prefix(text, length) != length)
		return false;
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)text[i] < 0x20 && !strchr("\t\n\r", text[i]))
			return false;
	return true;
}
