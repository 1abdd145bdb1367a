// SPDX-License-Identifier: Apache-2.0
#include "symbols/variable.h"

#include <dwarf.h>

#include "program.h"
#include "stack/frame.h"

static const char source[] =
	"#include <stdio.h>\n#include <stdlib.h>\n"
	"struct s { int a, b; };\n"
	"extern int v_extern; extern char **environ;\n"
	"static const int v_constant = 77; int v_zero;\n"
	"static inline int inner(int q, struct s *p) {\n"
	"  static int count; int loc = q * 2; { int nested = loc + p->a;\n"
	"    if (nested > 100) abort(); loc += nested; } count++; return loc + count; }\n"
	"static int __attribute__((noinline)) callee(int unused, int used) {\n"
	"  extern int v_extern; int opt = used + 1; const int k = 5; int dead = used * 17;\n"
	"  for (int i = 0; i < used; i++) { struct s t = {i, used}; int w = inner(i, &t); opt += "
	"w;\n"
	"    if (opt > 300) abort(); }\n"
	"  return opt + k + v_extern; }\n"
	"int v_extern = 3;\n"
	"int main(int argc, char **argv) {\n"
	"  int x = argc * 30; char buf[16]; int vla[argc + 2]; vla[argc] = x;\n"
	"  sprintf(buf, \"%d\", x + v_zero + v_constant - v_constant + !environ);\n"
	"  int r = callee(x, atoi(buf));\n"
	"  { int y = r; printf(\"%d\\n\", y); } return r + vla[argc]; }\n";

static bool list(void *context, const struct variable *variable)
{
	fprintf(context, " %s:%s", variable->argument ? "arg" : "var", variable->name);
	return true;
}

static const char gdb_script[] =
	"python\n"
	"f = gdb.newest_frame()\n"
	"while f is not None:\n"
	"    if f.function() is not None and f.function().symtab.filename.endswith('source.c'):\n"
	"        line = 'GDB %s' % f.function().name\n"
	"        b = f.block()\n"
	"        fb = b\n"
	"        while fb.function is None: fb = fb.superblock\n"
	"        for s in fb:\n"
	"            if s.is_argument: line += ' arg:' + s.name\n"
	"        while b is not None:\n"
	"            for s in b:\n"
	"                c = s.addr_class\n"
	"                if not s.is_argument and c != gdb.SYMBOL_LOC_UNRESOLVED and \\\n"
	"                   c != gdb.SYMBOL_LOC_LABEL and c != gdb.SYMBOL_LOC_BLOCK and c != "
	"gdb.SYMBOL_LOC_TYPEDEF:\n"
	"                    line += ' var:' + s.name\n"
	"            if b.function is not None: break\n"
	"            b = b.superblock\n"
	"        print(line)\n"
	"    f = f.older()\n"
	"end\n";

/** One line a frame of our source: its function, arguments and locals in order. */
static void list_frames(const struct program *program, FILE *out)
{
	struct strobe_stack *stack;
	CHECK_OK(strobe_stack_open(program->symbols, 0, NULL, &stack));
	for (size_t i = 0; i < strobe_stack_frame_count(stack); i++) {
		const struct code_scope *scope = stack_scope(stack, i);
		if (!scope || !scope->unit || scope->unit->module != program_module(program))
			continue;
		uint64_t pc = stack_physical(stack, i)->lookup_pc;
		fprintf(out, "GDB %s", scope->function);
		scope_variables(scope, pc - scope->unit->module->module->bias, list, out);
		fprintf(out, "\n");
	}
	strobe_stack_close(stack);
}

static void compare(const char *command)
{
	struct program program;
	char *ours = NULL;
	size_t size, compared = 0, differ = 0;
	program_open(&program, command, "c", source);
	FILE *out = open_memstream(&ours, &size);
	list_frames(&program, out);
	fclose(out);
	char *gdb = program_gdb(&program, gdb_script);
	program_close(&program);
	if (!gdb || !strstr(gdb, "GDB ")) {
		free(gdb);
		free(ours);
		SKIP("gdb with Python is not installed");
	}
	for (char *line = strtok(ours, "\n"); line; line = strtok(NULL, "\n")) {
		compared++;
		char *found = strstr(gdb, line);
		if (found && found[strlen(line)] == '\n')
			continue;
		differ++;
		printf("# ours: %s\n", line);
	}
	if (differ)
		for (char *at = strstr(gdb, "GDB "); at; at = strstr(at + 1, "GDB "))
			printf("# gdb:  %.*s\n", (int)strcspn(at, "\n"), at);
	free(gdb);
	free(ours);
	CHECK(compared >= 2);
	CHECK_EQUAL(differ, 0);
}

static void lists_as_gdb_unoptimized(void)
{
	compare("gcc -g -w");
}

static void lists_as_gdb_optimized(void)
{
	compare("gcc -g -O2 -w");
}

static void lists_as_gdb_in_split_dwarf(void)
{
	compare("gcc -gdwarf-4 -gsplit-dwarf -O1 -w");
	compare("gcc -gdwarf-5 -gsplit-dwarf -O1 -w");
}

static void lists_as_gdb_with_clang(void)
{
	compare("clang -g -O1 -w");
}

static void lists_as_gdb_with_lto(void)
{
	compare("gcc -g -O2 -flto -w");
}

static struct location_piece locate(const struct variable *variable)
{
	struct expression_context context = {.unit = variable->unit};
	struct location location;
	variable_locate(variable, &context, &location);
	struct location_piece piece = location.pieces[0];
	location_fini(&location);
	return piece;
}

static void finds_globals(void)
{
	struct program program;
	struct variable variable;
	struct location_piece piece;
	int32_t value = 0;
	size_t got;
	program_open(&program, "gcc -g -w", "c", source);
	CHECK(program_variable(&program, "v_extern", &variable));
	piece = locate(&variable); // the declaration comes first
	CHECK_EQUAL(piece.kind, LOCATION_MEMORY);
	got = strobe_memory_read(program.view, piece.address, &value, sizeof(value));
	CHECK_EQUAL(got, sizeof(value));
	CHECK_EQUAL(value, 3);
	CHECK(program_variable(&program, "environ", &variable)); // of libc, by its ELF symbol
	CHECK_EQUAL(locate(&variable).kind, LOCATION_MEMORY);
	CHECK(program_variable(&program, "v_zero", &variable));
	CHECK(variable.is_static);
	CHECK_EQUAL(locate(&variable).kind, LOCATION_MEMORY);
	program_close(&program);
	program_open(&program, "gcc -g -O2 -w", "c", source);
	CHECK(program_variable(&program, "v_constant", &variable));
	piece = locate(&variable);
	if (piece.kind == LOCATION_VALUE) {
		memcpy(&value, piece.bytes, sizeof(value));
		CHECK_EQUAL(value, 77);
	}
	program_close(&program);
}

CHECK_MAIN({"lists variables as gdb does without optimization", lists_as_gdb_unoptimized},
	   {"lists variables as gdb does with -O2", lists_as_gdb_optimized},
	   {"lists variables as gdb does in split DWARF", lists_as_gdb_in_split_dwarf},
	   {"lists variables as gdb does with clang", lists_as_gdb_with_clang},
	   {"lists variables as gdb does with -flto", lists_as_gdb_with_lto},
	   {"finds globals where they are", finds_globals})
