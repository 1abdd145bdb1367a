// SPDX-License-Identifier: Apache-2.0
// show_roots TARGET [--summary] [--heap] [--fail N] [--hole START END]...: the roots of a core or process, one a line:
//   kind tid frame module | function | name | type | address size | words
// with "-" for what a root does not have. With --fail, allocation N of the library fails. With --summary how many of each kind and their bytes instead. Ends with status 2
// if two of them overlap, neither being the other's, or one lies in a hole. --heap: the heap's regions are holes.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "failing_malloc.h"
#include "lens/roots.h"
#include <strobe/heap.h>
#include <strobe/symbols.h>
#include "view/view.h"

enum { KINDS = ROOT_MAPPING + 1, HOLES = 64 };

struct place {
	uint64_t start, end;
};

struct telling {
	struct lens *lens;
	const struct strobe_view *view;
	bool summary, heap;
	ARRAY(struct place) places;
	size_t counts[KINDS];
	uint64_t bytes[KINDS];
};

static void tell_number(size_t number)
{
	if (number == SIZE_MAX)
		printf("- ");
	else
		printf("%zu ", number);
}

static void tell_line(struct telling *telling, const struct root *root)
{
	const struct strobe_module *module =
		root->module == SIZE_MAX ? NULL : strobe_view_module(telling->view, root->module);
	printf("%s ", root_kind_name(root->kind));
	tell_number(root->thread == SIZE_MAX
			    ? SIZE_MAX
			    : (size_t)strobe_view_thread(telling->view, root->thread)->tid);
	tell_number(root->frame);
	printf("%s | %s | %s | ", module ? module->name : "-",
	       root->function ? root->function : "-", root->name);
	printf("%s | ", root->type ? lens_type(telling->lens, root->type)->name : "-");
	if (root->address)
		printf("0x%" PRIx64 " %" PRIu64 " |", root->address, root->size_bytes);
	else
		printf("- %" PRIu64 " |", root->size_bytes);
	for (size_t i = 0; !root->address && i < root->value_count; i++)
		printf(" 0x%" PRIx64, root->values[i]);
	printf("\n");
}

static bool tell(void *context, const struct root *root)
{
	struct telling *telling = context;
	telling->counts[root->kind]++;
	telling->bytes[root->kind] += root->size_bytes;
	if (root->address &&
	    !array_push(&telling->places,
			(struct place){root->address, root->address + root->size_bytes}))
		abort();
	if (!telling->summary)
		tell_line(telling, root);
	return true;
}

static int by_start(const void *a, const void *b)
{
	const struct place *x = a, *y = b;
	if (x->start != y->start)
		return x->start < y->start ? -1 : 1;
	return x->end < y->end ? -1 : x->end > y->end;
}

static int check(const struct telling *telling)
{
	int status = 0;
	struct place *items = telling->places.items;
	if (telling->places.count)
		qsort(items, telling->places.count, sizeof(*items), by_start);
	for (size_t i = 0; i < telling->places.count; i++) {
		bool alias = i && items[i].start == items[i - 1].start &&
			     items[i].end == items[i - 1].end;
		bool bad = items[i].start >= items[i].end ||
			   (i && !alias && items[i].start < items[i - 1].end);
		if (bad)
			fprintf(stderr, "0x%" PRIx64 " to 0x%" PRIx64 " overlaps\n", items[i].start,
				items[i].end);
		status |= bad;
	}
	return status;
}

/** The regions of the heap, instead of the holes that were given. */
static struct strobe_error *take_heap(struct strobe_symbols *symbols, struct root_options *options)
{
	struct strobe_heap *heap;
	struct strobe_error *error = strobe_heap_open(symbols, &heap);
	if (error)
		return error;
	options->hole_count = strobe_heap_region_count(heap);
	struct root_hole *holes = calloc(options->hole_count + 1, sizeof(*holes));
	for (size_t i = 0; holes && i < options->hole_count; i++)
		holes[i] = (struct root_hole){strobe_heap_region(heap, i)->start,
					      strobe_heap_region(heap, i)->end};
	options->holes = holes;
	strobe_heap_close(heap);
	return NULL;
}

static void note_holes(struct telling *telling, const struct root_options *options)
{
	for (size_t i = 0; i < options->hole_count; i++)
		if (!array_push(&telling->places,
				(struct place){options->holes[i].start, options->holes[i].end}))
			abort();
}

static struct strobe_error *run(const char *target, struct telling *telling,
				struct root_options *options)
{
	const struct strobe_view_options view_options = {.size = sizeof(view_options),
							 .no_debuginfod = true};
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	struct strobe_error *error = strobe_view_open(target, &view_options, &view);
	if (!error)
		error = strobe_symbols_open(view, &symbols);
	if (!error)
		error = lens_new(symbols, &telling->lens);
	telling->view = view;
	if (!error && telling->heap)
		error = take_heap(symbols, options);
	note_holes(telling, options);
	if (!error)
		error = lens_roots(telling->lens, options, tell, telling);
	lens_free(telling->lens);
	strobe_symbols_close(symbols);
	strobe_view_close(view);
	return error;
}

int main(int argc, char **argv)
{
	struct telling telling = {0};
	struct root_hole holes[HOLES];
	struct root_options options = {.holes = holes};
	for (int i = 2; i < argc; i++) {
		telling.summary |= strcmp(argv[i], "--summary") == 0;
		telling.heap |= strcmp(argv[i], "--heap") == 0;
		if (strcmp(argv[i], "--fail") == 0 && i + 1 < argc)
			allocations_left = atol(argv[i + 1]);
		if (strcmp(argv[i], "--hole") == 0 && i + 2 < argc && options.hole_count < HOLES)
			holes[options.hole_count++] = (struct root_hole){
				strtoull(argv[i + 1], NULL, 0), strtoull(argv[i + 2], NULL, 0)};
	}
	struct strobe_error *error = run(argc > 1 ? argv[1] : "", &telling, &options);
	allocations_left = 0;
	if (error) {
		fprintf(stderr, "%s\n", strobe_error_message(error));
		strobe_error_free(error);
		array_fini(&telling.places);
		return 1;
	}
	for (int i = 0; telling.summary && i < KINDS; i++)
		printf("%s %zu %" PRIu64 "\n", root_kind_name((enum root_kind)i), telling.counts[i],
		       telling.bytes[i]);
	int status = check(&telling) ? 2 : 0;
	if (telling.heap)
		free((void *)options.holes);
	array_fini(&telling.places);
	return status;
}
