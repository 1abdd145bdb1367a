// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_LENS_KNOWN_H
#define TESTS_LENS_KNOWN_H

// For programs that tell their own references: included into their source. They write the file `known` before they dump core:
//   object ADDRESS SIZE TYPE          an object; what follows are its references, in the order of memory
//   ref OFFSET TARGET TYPE MARKS NAME
// Marks: g guessed, m maybe, c code, t tagged, - none; COUNT behind a colon. Names are what a path calls the place.

static const char known_writer[] =
	"#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n#include <stddef.h>\n"
	"#include <stdint.h>\n"
	"static FILE *known; static const char *base;\n"
	"static void object(const void *at, size_t size, const char *type) {\n"
	"  if (!known) known = fopen(\"known\", \"w\");\n"
	"  base = (const char *)at;\n"
	"  fprintf(known, \"object %lx %zu %s\\n\", (unsigned long)at, size, type); }\n"
	"static void ref(const void *place, const void *target, const char *marks,\n"
	"    const char *type, const char *name) {\n"
	"  fprintf(known, \"ref %zu %lx %s %s | %s\\n\", (size_t)((const char *)place - base),\n"
	"    (unsigned long)target, marks, type, name); }\n"
	"static void end(void) { fclose(known); abort(); }\n"
	"#define OBJECT(p, T) object((p), sizeof(T), #T)\n"
	"#define REF(place, marks, type, name) ref((const void *)&(place), (const void *)(place), "
	"marks, type, name)\n";

#endif
