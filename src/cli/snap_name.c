// SPDX-License-Identifier: Apache-2.0
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "snap.h"

// A process may call itself anything; its name must stay one component of a path.
static void put_name(FILE *out, const char *name)
{
	if (!*name)
		fputs("unknown", out);
	for (const char *c = name; *c; c++) {
		bool bad = *c == '/' || (unsigned char)*c < ' ' || *c == 127 ||
			   (c == name && (*c == '.' || *c == '-'));
		putc(bad ? '_' : *c, out);
	}
}

static bool put_escape(FILE *out, char letter, const struct snap_name *name)
{
	switch (letter) {
	case 'p':
		fprintf(out, "%d", name->pid);
		return true;
	case 'n':
		put_name(out, name->name);
		return true;
	case 't':
		fprintf(out, "%" PRId64, name->time);
		return true;
	case 's':
		fprintf(out, "%d", name->signal);
		return true;
	case '%':
		putc('%', out);
		return true;
	default:
		return false;
	}
}

char *snap_expand(const char *template, const struct snap_name *name, char *bad)
{
	char *text = NULL;
	size_t size;
	*bad = '\0';
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	bool good = true;
	for (const char *c = template; *c && good; c++) {
		if (*c != '%') {
			putc(*c, out);
			continue;
		}
		*bad = *++c;
		good = put_escape(out, *c, name);
		if (!*c)
			break;
	}
	if (fclose(out) != 0 || !good) {
		free(text);
		return NULL;
	}
	return text;
}
