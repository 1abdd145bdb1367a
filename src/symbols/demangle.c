// SPDX-License-Identifier: Apache-2.0
#include "symbols/demangle.h"

#include <libiberty/demangle.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

struct output {
	struct text text;
	jmp_buf too_long;
};

static void append(const char *bytes, size_t size, void *opaque)
{
	struct output *output = opaque;
	// A few substitutions that name each other print as 2^n pieces: the only way out is a jump.
	if (output->text.size + size > DEMANGLE_OUTPUT_LIMIT)
		longjmp(output->too_long, 1);
	text_append_bytes(&output->text, bytes, size);
}

bool demangle_is_mangled(const char *name)
{
	if (name[0] != '_')
		return false;
	return name[1] == 'Z' || name[1] == 'R' || (name[1] == '_' && name[2] == 'Z') ||
	       strncmp(name, "_GLOBAL_", 8) == 0;
}

static bool run(const char *name, int options, struct output *output)
{
	if (rust_demangle_callback(name, options, append, output))
		return true;
	text_truncate(&output->text, 0);
	return cplus_demangle_v3_callback(name, options, append, output);
}

// C++ clones (".cold", ".part.0") keep their suffix, as in the form with parameters.
static void append_clones(struct output *output, const char *name)
{
	const char *dot = strchr(name, '.');
	if (!dot || name[1] != 'Z' || !output->text.size || strstr(output->text.data, " [clone "))
		return;
	text_printf(&output->text, " [clone %s]", dot);
}

static char *demangle_with(const char *name, int options)
{
	if (!demangle_is_mangled(name) ||
	    strnlen(name, DEMANGLE_INPUT_LIMIT) >= DEMANGLE_INPUT_LIMIT)
		return NULL;
	struct output output = {0};
	bool done = false;
	if (setjmp(output.too_long) == 0)
		done = run(name, options, &output);
	else
		output.text.failed = true;
	if (!done || output.text.failed || !output.text.size) {
		text_fini(&output.text);
		return NULL;
	}
	if (!(options & DMGL_PARAMS))
		append_clones(&output, name);
	return text_steal(&output.text);
}

char *demangle(const char *name)
{
	return demangle_with(name, DMGL_PARAMS | DMGL_ANSI);
}

char *demangle_without_return(const char *name)
{
	return demangle_with(name, DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP);
}

char *demangle_plain(const char *name)
{
	return demangle_with(name, DMGL_ANSI);
}
