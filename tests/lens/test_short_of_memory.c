// SPDX-License-Identifier: Apache-2.0
// Allocation number N fails, N = 1, 2, 3, ...: each time there is an error, or what there is when none fails.
#include <strobe/memory.h>

#include "failing_malloc.h"
#include "lens/table.h"
#include "symbols/elf_symbols.h"
#include "symbols/program.h"

static const char source[] =
	"#include <stdlib.h>\n"
	"struct item { struct item *next; union { long n; struct item **many; } u; char name[16]; "
	"};\n"
	"struct Shape { item *owner; virtual ~Shape() {} }; struct Circle : virtual Shape { item "
	"*mine; };\n"
	"struct holder { item items[4]; Circle *circle; void (*call)(int); } *v_holder;\n"
	"int main() { v_holder = new holder(); v_holder->circle = new Circle(); abort(); }\n";

/** What a lens tells of all types, as text; false, with nothing leaked, when memory was short. */
static bool tell(struct strobe_symbols *symbols, struct type *type, uint64_t vtable,
		 struct text *ret)
{
	struct lens *lens = NULL;
	const uint32_t *found;
	struct strobe_error *error = lens_new(symbols, &lens);
	if (!error) {
		(void)!lens_type_id(lens, type);
		error = lens_compile(lens);
	}
	if (!error)
		error = lens_learn(lens, &vtable, 1);
	uint32_t links[] = {1, 2, 3};
	if (!error)
		error = lens_learn_links(lens, links, 3);
	if (error) {
		CHECK_EQUAL(strobe_error_code(error), STROBE_ERROR_NO_MEMORY);
		strobe_error_free(error);
		lens_free(lens);
		return false;
	}
	for (uint32_t id = 1; id <= lens_type_count(lens); id++) {
		const struct lens_type *known = lens_type(lens, id);
		CHECK(known->name && known->plan && (known->plan->leaf || known->plan->steps));
		text_printf(ret, "%s %u", known->name, known->plan->step_count);
		lens_place_name(lens, id, 0, 8, ret);
		// Units whose abbreviations cannot be read are passed over, for whatever reason.
		CHECK(lens_containers(lens, id, 0, &found) <= 1);
		text_append(ret, "\n");
	}
	lens_free(lens);
	return !ret->failed;
}

static void fails(void)
{
	struct program program;
	struct variable variable;
	uint64_t holder, circle, vtable;
	program_open(&program, "g++ -g -w", "cpp", source);
	CHECK(program_variable(&program, "v_holder", &variable));
	struct type *type = type_strip(program.symbols, variable.type)->target;
	struct strobe_symbol symbol;
	struct symbols_module *module = program_module(&program);
	CHECK(elf_symbols_find(module, "v_holder", 0, &symbol));
	CHECK_EQUAL(strobe_memory_read(program.view, symbol.address, &holder, 8), 8);
	CHECK_EQUAL(strobe_memory_read(program.view, holder + 4 * 32, &circle, 8), 8);
	CHECK_EQUAL(strobe_memory_read(program.view, circle, &vtable, 8), 8);
	struct text whole cleanup_text = {0};
	CHECK(tell(program.symbols, type, vtable,
		   &whole)); // the symbols have all they need from here on
	CHECK(strstr(text_string(&whole), "Circle 3.mine") != NULL);
	unsigned failures = 0, answers = 0;
	for (long n = 1; n < 1000000 && answers < 3; n += n < 300 ? 1 : n / 5) {
		struct text text cleanup_text = {0};
		allocations_left = n;
		bool told = tell(program.symbols, type, vtable, &text);
		bool reached = allocations_left == 0;
		allocations_left = 0;
		if (!told) {
			failures++;
			continue;
		}
		answers += !reached;
		CHECK_STRING(text_string(&text), text_string(&whole));
	}
	printf("# %u failures\n", failures);
	CHECK(failures > 10 && answers == 3);
	program_close(&program);
}

CHECK_MAIN({"each allocation fails in turn", fails})
