// SPDX-License-Identifier: Apache-2.0
#include "symbols/type.h"

#include <dwarf.h>

#include "program.h"
#include "symbols/type_canonical.h"
#include "symbols/type_die.h"

// Every global is called v_something; the names and layouts of their types are compared with gdb's.
static const char c_source[] =
	"#include <stdlib.h>\n"
	"enum plain { P0, P1 = 5, P3 = 3 } v_plain;\n"
	"enum flags { FA = 1, FB = 2, FD = 4 } v_flags;\n"
	"enum negative { NA = -1, NB = 1 } v_negative;\n"
	"enum large { LA = 0x80000000u, LB = 1 } v_large;\n"
	"unsigned long v_ul; long long unsigned v_ull; short unsigned v_us; __int128 v_i128;\n"
	"_Bool v_bool; long double v_ld; unsigned char v_uc; signed char v_sc; long v_l; short "
	"v_s;\n"
	"char v_c; unsigned v_u; _Complex double v_cd; float v_f;\n"
	"int old(); int (*v_old)() = old; int (*v_void)(void); int (*v_dots)(const char *, ...);\n"
	"int old() { return 1; }\n"
	"struct { int a; } v_anon; enum { AN1, AN2 } v_anone; union { int x; } v_anonu, "
	"*v_panonu;\n"
	"const char *const v_cpc = \"a\"; char *const *v_cpp; char *const volatile *restrict "
	"v_rr;\n"
	"int v_m[3][4]; int (*v_pm)[4]; int *v_am[4]; const char v_ca[3];\n"
	"int (*(*v_ff)(int))(char); void (*(*v_sig)(int, void (*)(int)))(int);\n"
	"struct flexible { int n; int d[]; } *v_flexible;\n"
	"struct zero { int n; int d[0]; } *v_zero;\n"
	"typedef int v4si __attribute__((vector_size(16))); v4si v_v4;\n"
	"float __attribute__((vector_size(8))) v_vf; _Atomic int v_ai; int *_Atomic v_aip;\n"
	"typedef struct tag { int q; } tag_t; tag_t v_tag; const tag_t v_ctag; struct tag v_stag;\n"
	"typedef int array_t[5]; array_t v_array; struct opaque *v_opaque; const void *v_cvp;\n"
	"struct bits { unsigned a : 3; int b : 5; unsigned long c : 40; char d; _Bool e : 1;\n"
	"  struct { short f : 9; unsigned char g; }; union { int h; char i[4]; } j; } v_bits;\n"
	"struct __attribute__((packed)) packed { char a; long b; short c : 4; } v_packed;\n"
	"int main(void) { abort(); }\n";

static const char cplus_source[] =
	"#include <stdlib.h>\n"
	"namespace ns {\n"
	"struct A { int x; virtual ~A() {} virtual int f(int a) { return a; } static int st;\n"
	"  static const int sc = 4; enum E { E1, E2 }; enum class C : unsigned char { P = 1, Q = 2 "
	"};\n"
	"  E e; C c; struct In { int y; } in; int m(int) const { return 1; } };\n"
	"int A::st = 5;\n"
	"template <class T, unsigned long N> struct Tm { T t[N]; };\n"
	"struct B : A { int b : 3; unsigned c : 5; bool d : 1; };\n"
	"struct V1 : virtual A { int v1; }; struct V2 : virtual A { int v2; };\n"
	"struct D : V1, V2 { int d; }; }\n"
	"ns::A v_a; ns::B v_b; ns::D v_d; ns::A::E v_e; ns::A::C v_ec; ns::A::In v_in;\n"
	"ns::Tm<unsigned long, 3> v_tm; ns::Tm<ns::Tm<unsigned short, 2>, 3ul> v_tmm;\n"
	"template <class... T> struct Pack {}; Pack<const ns::A &, const char *, bool> v_pack;\n"
	"template <bool b, char c> struct Const {}; Const<true, 'a'> v_const;\n"
	"int ns::A::*v_pm; int (ns::A::*v_pf)(int) const = &ns::A::m;\n"
	"ns::A &v_ra = v_a; ns::A &&v_rr = static_cast<ns::A &&>(v_a); const ns::A &v_cra = v_a;\n"
	"void (*v_fp)(ns::A const &, int &, ...); wchar_t v_wc; char16_t v_c16;\n"
	"int *__restrict__ v_rp; bool v_bo; typedef struct { int z; } tz; tz v_tz;\n"
	"int main() { abort(); }\n";

static void all_globals(const struct program *program,
			void (*visit)(const struct program *, const struct variable *, void *),
			void *context)
{
	struct symbols_module *module = program_module(program);
	CHECK(module != NULL);
	for (size_t i = 0; i < unit_count(module); i++) {
		struct unit *unit = unit_get(module, i);
		Dwarf_Die die;
		for (bool more = unit && children_first(&unit->die, &die); more;
		     more = children_next(&die)) {
			struct variable variable;
			if (dwarf_tag(&die) == DW_TAG_variable &&
			    variable_from_die(unit, &die, &variable) &&
			    strncmp(variable.name, "v_", 2) == 0 &&
			    !dwarf_hasattr(&die, DW_AT_specification))
				visit(program, &variable, context);
		}
	}
}

static void describe(const struct program *program, const struct variable *variable, void *context)
{
	struct strobe_symbols *symbols = program->symbols;
	struct type *type = type_strip(symbols, variable->type);
	uint64_t size;
	FILE *out = context;
	fprintf(out, "%s|%s", variable->name, type_name(symbols, variable->type));
	if (type_size(symbols, type, &size))
		fprintf(out, "|%llu", (unsigned long long)size);
	bool structure =
		type->kind == TYPE_STRUCT || type->kind == TYPE_CLASS || type->kind == TYPE_UNION;
	for (size_t i = 0; structure && i < type->member_count; i++) {
		const struct type_member *member = &type->members[i];
		fprintf(out, "|%s:%s", member->name ? member->name : "None",
			type_name(symbols, member->type));
		if (!member->static_member && !member->virtual_base)
			fprintf(out, ":%llu:%u", (unsigned long long)member->offset_bits,
				member->bit_size);
	}
	for (size_t i = 0; i < type->enumerator_count; i++)
		fprintf(out, "|%s=%lld", type->enumerators[i].name,
			(long long)type->enumerators[i].value);
	fprintf(out, "\n");
}

static const char gdb_script[] =
	"python\n"
	"import gdb, re\n"
	"def one(name):\n"
	"    v = gdb.parse_and_eval(name)\n"
	"    t = v.type\n"
	"    s = gdb.execute('whatis ' + name, to_string=True).strip()[7:]\n"
	"    if t.code in (gdb.TYPE_CODE_REF, gdb.TYPE_CODE_RVALUE_REF):\n"
	"        line = '%s|%s|%d' % (name, s, 8)\n"
	"        return line\n"
	"    t = t.strip_typedefs()\n"
	"    line = '%s|%s|%d' % (name, s, t.sizeof)\n"
	"    if t.code in (gdb.TYPE_CODE_STRUCT, gdb.TYPE_CODE_UNION):\n"
	"        for f in t.fields():\n"
	"            n = f.name\n"
	"            line += '|%s:%s' % (n if n else None, f.type)\n"
	"            if hasattr(f, 'bitpos') and not (f.is_base_class and 'V' in t.name):\n"
	"                line += ':%d:%d' % (f.bitpos, f.bitsize)\n"
	"    if t.code == gdb.TYPE_CODE_ENUM:\n"
	"        for f in t.fields():\n"
	"            line += '|%s=%d' % (f.name, f.enumval)\n"
	"    return line\n"
	"text = gdb.execute('info variables -q -n ^v_', to_string=True)\n"
	"for name in re.findall(r'\\b(v_[a-z0-9]+)\\b', text):\n"
	"    print('GDB ' + one(name))\n"
	"end\n";

/** Each of our lines must be one of gdb's, word for word. */
static void compare_with_gdb(const char *command, const char *suffix, const char *source)
{
	struct program program;
	char *ours = NULL;
	size_t size = 0, compared = 0, differ = 0;
	program_open(&program, command, suffix, source);
	char commands[sizeof(gdb_script) + 64];
	snprintf(commands, sizeof(commands), "set language %s\n%s",
		 strcmp(suffix, "c") == 0 ? "c" : "c++", gdb_script);
	char *gdb = program_gdb(&program, commands);
	FILE *out = open_memstream(&ours, &size);
	all_globals(&program, describe, out);
	fclose(out);
	program_close(&program);
	if (!gdb || !strstr(gdb, "GDB ")) {
		free(gdb);
		free(ours);
		SKIP("gdb with Python is not installed");
	}
	for (char *line = strtok(ours, "\n"); line; line = strtok(NULL, "\n")) {
		char wanted[4096];
		snprintf(wanted, sizeof(wanted), "GDB %s\n", line);
		compared++;
		if (strstr(gdb, wanted))
			continue;
		differ++;
		size_t name = strcspn(line, "|");
		snprintf(wanted, sizeof(wanted), "GDB %.*s|", (int)name, line);
		char *theirs = strstr(gdb, wanted);
		printf("# ours: %s\n# gdb:  %.*s\n", line,
		       theirs ? (int)strcspn(theirs + 4, "\n") : 4, theirs ? theirs + 4 : "none");
	}
	free(gdb);
	free(ours);
	CHECK(compared >= 20);
	CHECK_EQUAL(differ, 0);
}

static void c_is_as_in_gdb(void)
{
	compare_with_gdb("gcc -g -w", "c", c_source);
}

static void dwarf_2_is_as_in_gdb(void)
{
	compare_with_gdb("gcc -gdwarf-2 -gstrict-dwarf -w -fno-lto -D_Atomic=", "c", c_source);
}

static void split_dwarf_4_is_as_in_gdb(void)
{
	compare_with_gdb("gcc -gdwarf-4 -gsplit-dwarf -w", "c", c_source);
}

static void split_dwarf_5_is_as_in_gdb(void)
{
	compare_with_gdb("gcc -gdwarf-5 -gsplit-dwarf -w", "c", c_source);
}

static void clang_is_as_in_gdb(void)
{
	compare_with_gdb("clang -g -w", "c", c_source);
}

static void cplus_is_as_in_gdb(void)
{
	compare_with_gdb("g++ -g -w", "cc", cplus_source);
}

static void cplus_in_dwarf_4_is_as_in_gdb(void)
{
	compare_with_gdb("g++ -gdwarf-4 -w", "cc", cplus_source);
}

static void type_units_are_as_in_gdb(void)
{
	compare_with_gdb("g++ -gdwarf-4 -fdebug-types-section -w", "cc", cplus_source);
}

static void static_members_and_virtual_bases(void)
{
	struct program program;
	struct variable variable;
	program_open(&program, "g++ -g -w", "cc", cplus_source);
	CHECK(program_variable(&program, "v_a", &variable));
	struct type *type = type_strip(program.symbols, variable.type);
	CHECK(type->vtable);
	size_t statics = 0;
	for (size_t i = 0; i < type->member_count; i++)
		statics += type->members[i].static_member;
	CHECK_EQUAL(statics, 2);
	CHECK(program_variable(&program, "v_d", &variable));
	type = type_strip(program.symbols, variable.type);
	CHECK(type->members[0].base && !type->members[0].virtual_base);
	type = type_strip(program.symbols, type->members[0].type);
	CHECK(type->vtable && type->members[0].base && type->members[0].virtual_base);
	program_close(&program);
}

static void flag_enums_are_of_single_bits(void)
{
	struct program program;
	struct variable variable;
	program_open(&program, "gcc -g -w", "c", c_source);
	CHECK(program_variable(&program, "v_flags", &variable));
	CHECK(type_strip(program.symbols, variable.type)->is_flag_enum);
	CHECK(program_variable(&program, "v_plain", &variable));
	CHECK(!type_strip(program.symbols, variable.type)->is_flag_enum);
	CHECK(program_variable(&program, "v_negative", &variable));
	CHECK(!type_strip(program.symbols, variable.type)->is_flag_enum);
	CHECK(type_strip(program.symbols, variable.type)->is_signed);
	CHECK(program_variable(&program, "v_large", &variable));
	CHECK(type_strip(program.symbols, variable.type)->is_flag_enum);
	CHECK(!type_strip(program.symbols, variable.type)->is_signed);
	program_close(&program);
}

static void base_types_have_one_spelling(void)
{
	static const char *const pairs[][2] = {{"long unsigned int", "unsigned long"},
					       {"unsigned long int", "unsigned long"},
					       {"int long unsigned", "unsigned long"},
					       {"short int", "short"},
					       {"long long int", "long long"},
					       {"unsigned", "unsigned int"},
					       {"signed", "int"},
					       {"char signed", "signed char"},
					       {"long double", "long double"},
					       {"long long unsigned", "unsigned long long"}};
	static const char *const none[] = {"",		 "long long long", "unsigned signed",
					   "short long", "double char",	   "foo",
					   "long foo",	 "unsigned double"};
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		CHECK_STRING(type_canonical_words(pairs[i][0], strlen(pairs[i][0])), pairs[i][1]);
	for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++)
		CHECK(!type_canonical_words(none[i], strlen(none[i])));
}

static void derived_types_are_kept(void)
{
	struct strobe_symbols symbols = {0};
	struct type *character = type_builtin(&symbols, "char");
	struct type *pointer = type_pointer_to(&symbols, character);
	CHECK(pointer == type_pointer_to(&symbols, character));
	CHECK_STRING(type_name(&symbols, pointer), "char *");
	struct type *array = type_array_of(&symbols, pointer, 3);
	CHECK(array == type_array_of(&symbols, pointer, 3));
	CHECK(array != type_array_of(&symbols, pointer, 4));
	CHECK_EQUAL(array->size, 24);
	CHECK_STRING(type_name(&symbols, array), "char *[3]");
	CHECK_STRING(type_name(&symbols, type_pointer_to(&symbols, array)), "char *(*)[3]");
	CHECK(type_find(&symbols, NULL, " long  unsigned int ") ==
	      type_builtin(&symbols, "unsigned long"));
	CHECK(type_find(&symbols, NULL, "uint8_t") != NULL);
	CHECK(!type_find(&symbols, NULL, "struct nothing"));
	CHECK(!type_find(&symbols, NULL, ""));
	type_table_free(symbols.types);
	arena_fini(&symbols.arena);
}

static void found_by_name(void)
{
	struct program program;
	struct type *type;
	program_open(&program, "gcc -g -w", "c", c_source);
	type = type_find(program.symbols, NULL, "struct bits");
	CHECK(type != NULL);
	CHECK_STRING(type_name(program.symbols, type), "struct bits");
	type = type_find(program.symbols, NULL, "tag_t");
	CHECK(type != NULL);
	CHECK_EQUAL(type->kind, TYPE_TYPEDEF);
	type = type_find(program.symbols, NULL, "enum flags");
	CHECK(type != NULL && type->kind == TYPE_ENUM);
	CHECK(!type_find(program.symbols, NULL, "union bits"));
	CHECK(!type_find(program.symbols, NULL, "bits"));
	program_close(&program);
	program_open(&program, "g++ -g -w", "cc", cplus_source);
	type = type_find(program.symbols, NULL, "ns::A");
	CHECK(type != NULL && type_complete(program.symbols, type)->member_count > 0);
	program_close(&program);
}

CHECK_MAIN({"C is as in gdb", c_is_as_in_gdb}, {"DWARF 2 is as in gdb", dwarf_2_is_as_in_gdb},
	   {"split DWARF 4 is as in gdb", split_dwarf_4_is_as_in_gdb},
	   {"split DWARF 5 is as in gdb", split_dwarf_5_is_as_in_gdb},
	   {"clang is as in gdb", clang_is_as_in_gdb}, {"C++ is as in gdb", cplus_is_as_in_gdb},
	   {"C++ in DWARF 4 is as in gdb", cplus_in_dwarf_4_is_as_in_gdb},
	   {"type units are as in gdb", type_units_are_as_in_gdb},
	   {"static members and virtual bases", static_members_and_virtual_bases},
	   {"flag enums are of single bits", flag_enums_are_of_single_bits},
	   {"base types have one spelling", base_types_have_one_spelling},
	   {"derived types are kept", derived_types_are_kept}, {"found by name", found_by_name})
