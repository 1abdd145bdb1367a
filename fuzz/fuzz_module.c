// SPDX-License-Identifier: Apache-2.0
// ELF files with their symbols, DWARF and call frame information: the input is the file mapped at
// SYNTHETIC_BASE. Faults inside elfutils are not ours to mend; the guard is to have named them.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/code.h>
#include <strobe/stack.h>
#include <strobe/value.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/guard.h"
#include "lens/lens.h"
#include "synthetic_core.h"

enum { ADDRESSES = 48, STEP = 13 };

static sigjmp_buf jump;
static struct sigaction before[65];

static bool faulted;

/** LeakSanitizer asks: what was left behind where elfutils faulted is not our leak. */
int __lsan_is_turned_off(void);
int __lsan_is_turned_off(void)
{
	return faulted;
}

static void on_fault(int number, siginfo_t *info, void *context)
{
	const char *guarded = guard_enter(NULL);
	if (guarded) {
		faulted = true;
		siglongjmp(jump, 1);
	}
	if (before[number].sa_flags & SA_SIGINFO)
		before[number].sa_sigaction(number, info, context);
	abort();
}

static void catch_faults(void)
{
	const int numbers[] = {SIGSEGV, SIGBUS, SIGFPE, SIGABRT};
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct sigaction action = {.sa_sigaction = on_fault,
					   .sa_flags = SA_SIGINFO | SA_NODEFER};
		sigaction(numbers[i], &action, &before[numbers[i]]);
	}
}

static bool visit_symbol(void *context, const struct strobe_symbol *symbol)
{
	size_t *count = context;
	return symbol->name && ++*count < 1000;
}

static bool visit_variable(void *context, const struct strobe_variable *variable,
			   const struct strobe_value *value)
{
	char *text = NULL;
	strobe_value_type(value);
	strobe_error_free(strobe_value_format(value, NULL, &text));
	free(text);
	return context || variable->name;
}

static void look_at_names(struct strobe_symbols *symbols)
{
	static const char *const expressions[] = {
		"global", "*head",	"(struct node *)0x400000", "sizeof(struct node)",
		"main",	  "&head->next"};
	size_t count = 0;
	strobe_error_free(
		strobe_symbols_find(symbols, STROBE_MATCH_GLOB, "*", NULL, visit_symbol, &count));
	for (size_t i = 0; i < sizeof(expressions) / sizeof(expressions[0]); i++) {
		struct strobe_value *value = NULL;
		char *text = NULL;
		struct strobe_error *error =
			strobe_evaluate(symbols, NULL, 0, expressions[i], &value);
		if (!error)
			error = strobe_value_format(value, NULL, &text);
		strobe_error_free(error);
		strobe_value_close(value);
		free(text);
	}
}

static bool add_type(void *context, struct type *type)
{
	lens_type_id(context, type);
	return lens_type_count(context) < 2000;
}

/** Memory in which every word may be an address. */
static const uint8_t *read_row(void *reader, uint64_t address, size_t *available)
{
	static uint8_t row[4096];
	memset(row, 0x40, sizeof(row) / 2);
	*available = sizeof(row) - address % sizeof(row);
	return address % 5 == 4 ? NULL : row + address % sizeof(row);
}

static bool count_reference(void *context, const struct lens_reference *reference)
{
	size_t *left = context;
	return --*left > 0;
}

/** Plans of all structures, walked; their names, members and virtual tables. */
static void look_at_types(struct strobe_symbols *symbols)
{
	static const struct lens_memory memory = {read_row, NULL};
	static const uint64_t vtables[] = {SYNTHETIC_BASE + 0x2010, SYNTHETIC_BASE + 0x2d50,
					   SYNTHETIC_BASE + 0x3db0};
	uint32_t links[] = {1, 2, 3, 5};
	struct lens *lens = NULL;
	struct strobe_error *error = lens_new(symbols, &lens);
	if (!error) {
		type_each_structure(symbols, 0, add_type, lens);
		error = lens_compile(lens);
	}
	if (!error)
		error = lens_learn_links(lens, links, sizeof(links) / sizeof(links[0]));
	if (!error)
		error = lens_learn(lens, vtables, sizeof(vtables) / sizeof(vtables[0]));
	for (uint32_t id = 1; !error && id <= lens_type_count(lens); id++) {
		struct text name cleanup_text = {0};
		size_t left = 10000;
		lens_walk(lens, &memory, id, 0x10000 + id, 10000, 0, id % 2, count_reference, &left,
			  NULL);
		for (uint64_t offset = 0; offset < 64; offset += 8)
			lens_place_name(lens, id, 0, offset, &name);
	}
	strobe_error_free(error);
	lens_free(lens);
}

static void look_at_code(struct strobe_symbols *symbols)
{
	for (uint64_t i = 0; i < ADDRESSES; i++) {
		uint64_t pc = SYNTHETIC_BASE + 0x1000 + i * STEP;
		struct strobe_symbol symbol;
		struct strobe_line line;
		struct strobe_function function;
		strobe_symbol_at(symbols, pc, &symbol);
		strobe_line_at(symbols, pc, &line);
		strobe_function_at(symbols, pc, &function);
	}
	struct strobe_stack *stack = NULL;
	const struct strobe_stack_options options = {.size = sizeof(options), .max_frames = 64};
	strobe_error_free(strobe_stack_open(symbols, 0, &options, &stack));
	for (size_t i = 0; stack && i < strobe_stack_frame_count(stack); i++)
		strobe_error_free(strobe_frame_variables(stack, i, visit_variable, NULL));
	strobe_stack_close(stack);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool ready;
	if (!ready)
		catch_faults();
	ready = true;
	char file[32], core[32];
	int file_fd = memory_file("program", data, size);
	snprintf(file, sizeof(file), "/proc/self/fd/%d", file_fd);
	// A file that is newer than the core, or seems so to a coarse clock, would not be believed.
	(void)!futimens(file_fd, (struct timespec[2]){{0, 0}, {0, 0}});
	int core_fd =
		synthetic_core(file, size, SYNTHETIC_BASE + 0x1010 + (size ? data[size - 1] : 0));
	snprintf(core, sizeof(core), "/proc/self/fd/%d", core_fd);
	struct strobe_view *view = NULL;
	struct strobe_symbols *symbols = NULL;
	const struct strobe_view_options options = {.size = sizeof(options),
						    .no_debuginfod = true,
						    .debug_directories = "/nonexistent"};
	if (sigsetjmp(jump, 1) == 0) {
		strobe_error_free(strobe_view_open(core, &options, &view));
		if (view)
			strobe_error_free(strobe_symbols_open(view, &symbols));
		if (symbols) {
			look_at_code(symbols);
			look_at_names(symbols);
			look_at_types(symbols);
		}
		strobe_symbols_close(symbols);
		strobe_view_close(view);
	}
	close(file_fd);
	close(core_fd);
	return 0;
}
