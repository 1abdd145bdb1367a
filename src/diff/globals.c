// SPDX-License-Identifier: Apache-2.0
// Changed variables. The data of each module is compared as bytes; only where something differs is
// looked up what stands there, so that debug information of modules that did not change is not read.

#include <string.h>

#include "diff/diff.h"
#include "diff/walk.h"
#include "stack/frame.h"
#include "symbols/globals.h"
#include "value/place.h"
#include "value/value.h"

/** A module that both views have, and a stretch of its data being compared. */
struct data {
	struct strobe_diff *diff;
	size_t old_index, new_index;
	struct symbols_module *a, *b; // opened when something differs
	uint64_t shift;		      // to addresses of A
	const struct global *table;
	size_t count;
	bool opened;
};

/** The module of A that is the same file: by build id, or by path where neither has one. */
static size_t old_module(const struct strobe_diff *diff, const struct strobe_module *module)
{
	size_t count = strobe_view_module_count(diff->a), found = SIZE_MAX;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_module *other = strobe_view_module(diff->a, i);
		bool same_path = diff_same_text(other->path, module->path);
		if (!diff_same_text(other->build_id, module->build_id) ||
		    (!module->build_id && !same_path))
			continue;
		if (same_path)
			return i;
		if (found == SIZE_MAX)
			found = i;
	}
	return found;
}

/** Opens the symbols of both; the tables are of B. */
static void open_data(struct data *data)
{
	if (data->opened)
		return;
	data->opened = true;
	data->a = symbols_module(data->diff->old_symbols, data->old_index);
	data->b = symbols_module(data->diff->new_symbols, data->new_index);
	if (data->b)
		data->table = globals_plain(data->b, &data->count);
}

/** The variable in both symbols; false if they do not agree on it. */
static bool find_types(const struct data *data, const struct global *global,
		       struct walk_object *object, uint64_t *size)
{
	struct variable a, b;
	if (!data->a || !globals_variable(data->b, global, &b) ||
	    !globals_variable(data->a, global, &a) || strcmp(a.name, b.name) != 0)
		return false;
	*size = value_type_size(data->diff->new_symbols, b.type);
	if (!*size || value_type_size(data->diff->old_symbols, a.type) != *size)
		return false;
	object->old_type = a.type;
	object->new_type = b.type;
	object->name = b.name;
	object->global.file = globals_file(&b);
	return true;
}

static void report_variable(struct data *data, const struct global *global,
			    struct walk_object *object, uint64_t old_address, int tid)
{
	const char *name = globals_name(data->b, global);
	object->name = name ? name : object->name;
	object->global.knowledge = STROBE_DIFF_VARIABLE;
	object->global.variable = object->name;
	object->global.tid = tid;
	object->global.module_index = data->new_index;
	object->global.old_address = old_address;
	data->diff->totals.variables += walk_object(data->diff, object);
}

/** One range of bytes that no debug information describes. */
struct bytes_found {
	uint64_t start, end;
};

static bool keep_range(void *context, uint64_t start, uint64_t end, uint64_t changed_bytes)
{
	(void)changed_bytes;
	*(struct bytes_found *)context = (struct bytes_found){start, end};
	return false;
}

/** The first changed range from `address` on, where a byte differs, and before `end`. */
static struct bytes_found first_range(struct data *data, uint64_t address, uint64_t end)
{
	struct bytes_found found = {address, address + 1};
	struct compare_ranges ranges = {.visit = keep_range, .context = &found};
	for (uint64_t at = address; at < end && !ranges.stopped;) {
		struct compare_stretch stretch;
		// Ranges are short: no more is looked at than one may need to end.
		uint64_t step = end - at < 4096 ? end - at : 4096;
		compare_next(&data->diff->compare, at + data->shift, at, step, &stretch);
		if (stretch.kind != COMPARE_BYTES)
			break;
		compare_bytes(&ranges, at, stretch.a, stretch.b, stretch.size);
		at += stretch.size;
		if (ranges.end && at - ranges.end >= COMPARE_MERGE_BYTES)
			break;
	}
	compare_flush(&ranges);
	return found;
}

/** Tells bytes by their symbol, if one holds them; returns where to go on. */
static uint64_t report_bytes(struct data *data, uint64_t address, uint64_t end)
{
	struct strobe_diff *diff = data->diff;
	struct strobe_diff_item item = {.section = STROBE_DIFF_GLOBALS,
					.change = STROBE_DIFF_CHANGED};
	struct strobe_diff_global *global = &item.of.global;
	struct strobe_symbol symbol;
	uint64_t start = strobe_view_module(diff->b, data->new_index)->start;
	global->knowledge = STROBE_DIFF_UNNAMED;
	if (strobe_symbol_at(diff->new_symbols, address, &symbol) && symbol.name &&
	    symbol.module_index == data->new_index &&
	    address - symbol.address < symbol.size_bytes) {
		global->knowledge = STROBE_DIFF_SYMBOL;
		global->name = global->variable = symbol.name;
		start = symbol.address;
		if (end > symbol.address + symbol.size_bytes)
			end = symbol.address + symbol.size_bytes;
	}
	struct bytes_found found = first_range(data, address, end);
	global->offset_bytes = found.start - start;
	global->size_bytes = found.end - found.start;
	global->old_address = found.start + data->shift;
	global->new_address = found.start;
	global->module_index = data->new_index;
	if (global->knowledge == STROBE_DIFF_SYMBOL)
		diff->totals.symbols++;
	else
		diff->totals.unnamed++;
	diff_report(diff, &item);
	return found.end;
}

/** Tells what differs at `address` and returns where to go on. */
static uint64_t report_difference(struct data *data, uint64_t address, uint64_t end)
{
	uint64_t bias = strobe_view_module(data->diff->b, data->new_index)->bias;
	struct walk_object object = {0};
	uint64_t size = 0;
	open_data(data);
	size_t index = globals_before(data->table, data->count, address - bias);
	if (index != SIZE_MAX && find_types(data, &data->table[index], &object, &size) &&
	    address - bias - data->table[index].address < size) {
		object.global.new_address = data->table[index].address + bias;
		report_variable(data, &data->table[index], &object,
				object.global.new_address + data->shift, 0);
		return object.global.new_address + size;
	}
	uint64_t next = index + 1 < data->count ? data->table[index + 1].address + bias : end;
	if (next > address && next < end)
		end = next;
	return report_bytes(data, address, end);
}

static void compare_segment(struct data *data, uint64_t start, uint64_t end)
{
	struct strobe_diff *diff = data->diff;
	if (start < diff->options.start)
		start = diff->options.start;
	if (end - 1 > diff->last)
		end = diff->last + 1;
	for (uint64_t at = start; at < end && !diff->stopped && !diff->failed;) {
		uint64_t size = end - at;
		uint64_t offset = compare_first(&diff->compare, at + data->shift, at, 0, size);
		if (offset == size)
			return;
		uint64_t next = report_difference(data, at + offset, end);
		at = next > at + offset ? next : at + offset + 1;
	}
}

static void compare_module(struct strobe_diff *diff, size_t index)
{
	const struct strobe_module *module = strobe_view_module(diff->b, index);
	struct data data = {
		.diff = diff, .new_index = index, .old_index = old_module(diff, module)};
	uint64_t start, end;
	if (data.old_index == SIZE_MAX) {
		diff->totals.modules_differ++;
		return;
	}
	diff->totals.modules_compared++;
	data.shift = strobe_view_module(diff->a, data.old_index)->bias - module->bias;
	for (size_t i = 0; view_module_data(diff->b, index, i, &start, &end); i++)
		compare_segment(&data, start, end);
}

/** A thread in both views, as far as its thread-locals need it. */
struct thread_pair {
	int tid;
	struct strobe_stack *a, *b;
	struct place_frame old_frame, new_frame;
};

/** The thread-locals of one module in one thread. */
static void compare_block(struct data *data, struct thread_pair *thread)
{
	struct strobe_diff *diff = data->diff;
	uint64_t a, b;
	data->a = symbols_module(diff->old_symbols, data->old_index);
	data->b = symbols_module(diff->new_symbols, data->new_index);
	uint64_t size = data->b ? globals_thread_block(data->b) : 0;
	if (!size || !data->a || !place_tls(&thread->old_frame, data->a, 0, &a) ||
	    !place_tls(&thread->new_frame, data->b, 0, &b) ||
	    compare_first(&diff->compare, a, b, 0, size) == size)
		return;
	size_t count;
	const struct global *table = globals_thread_local(data->b, &count);
	for (size_t i = 0; i < count && !diff->stopped && !diff->failed; i++) {
		struct walk_object object = {0};
		uint64_t offset = table[i].address, bytes;
		if (offset >= size || !find_types(data, &table[i], &object, &bytes) ||
		    compare_first(&diff->compare, a + offset, b + offset, 0, bytes) == bytes)
			continue;
		object.global.new_address = b + offset;
		report_variable(data, &table[i], &object, a + offset, thread->tid);
	}
}

static bool open_stack(struct strobe_diff *diff, struct strobe_symbols *symbols, size_t index,
		       struct strobe_stack **ret)
{
	struct strobe_stack_options options = {.size = sizeof(options), .max_frames = 1};
	struct strobe_error *error = strobe_stack_open(symbols, index, &options, ret);
	if (!error)
		return true;
	diff->failed |= strobe_error_code(error) == STROBE_ERROR_NO_MEMORY;
	strobe_error_free(error);
	return false;
}

static void compare_thread(struct strobe_diff *diff, size_t old_index, size_t new_index)
{
	struct thread_pair thread = {.tid = strobe_view_thread(diff->b, new_index)->tid};
	size_t count = strobe_view_module_count(diff->b);
	if (open_stack(diff, diff->old_symbols, old_index, &thread.a) &&
	    open_stack(diff, diff->new_symbols, new_index, &thread.b)) {
		place_frame_init(&thread.old_frame, diff->old_symbols, thread.a, 0);
		place_frame_init(&thread.new_frame, diff->new_symbols, thread.b, 0);
		for (size_t i = 0; i < count && !diff->stopped && !diff->failed; i++) {
			struct data data = {.diff = diff, .new_index = i};
			data.old_index = old_module(diff, strobe_view_module(diff->b, i));
			if (data.old_index != SIZE_MAX)
				compare_block(&data, &thread);
		}
	}
	strobe_stack_close(thread.a);
	strobe_stack_close(thread.b);
}

void diff_globals(struct strobe_diff *diff)
{
	size_t count = strobe_view_module_count(diff->b);
	for (size_t i = 0; i < count && !diff->stopped && !diff->failed; i++)
		compare_module(diff, i);
	if (diff->options.start || diff->options.end)
		return; // thread-locals stand elsewhere in every thread
	count = strobe_view_thread_count(diff->b);
	for (size_t i = 0; i < count && !diff->stopped && !diff->failed; i++) {
		int tid = strobe_view_thread(diff->b, i)->tid;
		size_t old_index = strobe_view_thread_index(diff->a, tid);
		if (diff_wants(diff, tid) && old_index != SIZE_MAX &&
		    strobe_view_thread_index(diff->b, tid) == i)
			compare_thread(diff, old_index, i);
	}
}
