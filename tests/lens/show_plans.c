// SPDX-License-Identifier: Apache-2.0
// show_plans --die: dumps core, with all of this program's types in it.
// show_plans CORE [MODULE]: the plans of all structures of that module, or of the program itself that died, as
//   type NAME SIZE
//   OFFSET KIND TARGET
// with KIND p (a pointer), c (to code), and of arrays the first four elements.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/symbols.h>
#include <strobe/view.h>

#include "lens/lens.h"

enum { ELEMENT_LIMIT = 4 };

static void must(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "show_plans: %s\n", strobe_error_message(error));
	exit(1);
}

static void show_steps(struct lens *lens, const struct plan_step *steps, size_t count,
		       uint64_t base)
{
	for (size_t i = 0; i < count; i += 1 + steps[i].span) {
		const struct plan_step *step = &steps[i];
		const struct lens_type *type = lens_type(lens, step->type);
		uint64_t offset = base + step->offset;
		uint64_t times = step->kind == PLAN_FLEXIBLE || step->a == 0 ? 1 : step->a;
		switch (step->kind) {
		case PLAN_POINTER:
			printf("%" PRIu64 " p %s\n", offset, type ? type->name : "?");
			break;
		case PLAN_CODE:
			printf("%" PRIu64 " c ?\n", offset);
			break;
		case PLAN_REPEAT:
		case PLAN_FLEXIBLE:
			for (uint64_t n = 0; n < times && n < ELEMENT_LIMIT; n++)
				show_steps(lens, step + 1, step->span, offset + n * step->b);
			break;
		default:
			break;
		}
	}
}

static bool add_type(void *context, struct type *type)
{
	return lens_type_id(context, type) <= LENS_TYPE_LIMIT;
}

int main(int argc, char **argv)
{
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct lens *lens = NULL;
	if (argc < 2 || strcmp(argv[1], "--die") == 0)
		abort();
	must(strobe_view_open(argv[1], NULL, &view));
	must(strobe_symbols_open(view, &symbols));
	must(lens_new(symbols, &lens));
	for (size_t i = 0; i < strobe_view_module_count(view); i++)
		if (strcmp(strobe_view_module(view, i)->name, argc > 2 ? argv[2] : "show_plans") ==
		    0)
			type_each_structure(symbols, i, add_type, lens);
	must(lens_compile(lens));
	for (uint32_t id = 1; id <= lens_type_count(lens); id++) {
		const struct lens_type *type = lens_type(lens, id);
		if (!type->type ||
		    (type->type->kind != TYPE_STRUCT && type->type->kind != TYPE_CLASS) ||
		    !type->type->name)
			continue;
		printf("type %s %" PRIu64 "\n", type->name, type->size_bytes);
		show_steps(lens, type->plan->steps, type->plan->step_count, 0);
	}
	lens_free(lens);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return 0;
}
