// SPDX-License-Identifier: Apache-2.0
// The JSON of `diff`.

#include "difference.h"

#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

#include "describe.h"

enum { BYTES_SHOWN = 64, HEX_SIZE = 2 * 16384 + 3 };

struct report {
	struct difference *difference;
	struct json json;
	uint64_t seen;
	char hex[HEX_SIZE];
};

static const char *const changes[] = {
	[STROBE_DIFF_ADDED] = "added",
	[STROBE_DIFF_REMOVED] = "removed",
	[STROBE_DIFF_CHANGED] = "changed",
	[STROBE_DIFF_GROWN] = "grown",
	[STROBE_DIFF_SHRUNK] = "shrunk",
	[STROBE_DIFF_MOVED] = "moved",
	[STROBE_DIFF_PERMISSIONS] = "permissions",
	[STROBE_DIFF_REPLACED] = "replaced",
};

static void number_or_null(struct json *json, const char *key, int64_t number)
{
	if (number < 0)
		json_null(json, key);
	else
		json_signed(json, key, number);
}

static void side_json(struct json *json, const char *key, const struct strobe_view *view)
{
	const struct strobe_process_info *info = strobe_view_process_info(view);
	json_object(json, key);
	json_string(json, "source", info->source_path);
	json_string(json, "source_kind", info->source_kind);
	number_or_null(json, "pid", info->pid);
	json_string(json, "name", info->name);
	json_unsigned(json, "threads", strobe_view_thread_count(view));
	json_object_end(json);
}

static void thread_json(struct json *json, const char *key, const struct strobe_thread *thread)
{
	char state[2] = {0};
	if (!thread) {
		json_null(json, key);
		return;
	}
	state[0] = thread->state;
	json_object(json, key);
	json_string(json, "name", thread->name);
	json_string(json, "state", *state ? state : NULL);
	if (thread->has_registers) {
		json_address(json, "pc", thread->pc);
		json_address(json, "sp", thread->sp);
	} else {
		json_null(json, "pc");
		json_null(json, "sp");
	}
	signal_json(json, "signal", &thread->signal, -1);
	if (thread->in_system_call > 0)
		json_signed(json, "system_call", thread->system_call);
	if (thread->user_ns >= 0) {
		json_signed(json, "user_ns", thread->user_ns);
		json_signed(json, "system_ns", thread->system_ns);
	}
	json_object_end(json);
}

static void changed_json(struct json *json, unsigned what)
{
	static const char *const names[] = {"name",	   "state", "pc",	  "sp",	  "signal",
					    "system_call", "ran",   "scheduling", "masks"};
	json_array(json, "changed", false);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (what >> i & 1)
			json_string(json, NULL, names[i]);
	json_array_end(json);
}

static void register_json(struct report *report, const char *key, const struct strobe_register *reg)
{
	size_t bytes = reg->size_bytes, used;
	if (!reg->bytes) {
		json_null(&report->json, key);
		return;
	}
	while (bytes > 1 && reg->bytes[bytes - 1] == 0)
		bytes--;
	used = (size_t)snprintf(report->hex, HEX_SIZE, "0x%x", bytes ? reg->bytes[bytes - 1] : 0);
	for (size_t i = bytes; i-- > 1 && used + 3 < HEX_SIZE;)
		used += (size_t)snprintf(report->hex + used, HEX_SIZE - used, "%02x",
					 reg->bytes[i - 1]);
	json_string(&report->json, key, report->hex);
}

static void mapping_json(struct json *json, const char *key, const struct strobe_mapping *mapping)
{
	char permissions[5];
	if (!mapping) {
		json_null(json, key);
		return;
	}
	json_object(json, key);
	json_address(json, "start", mapping->start);
	json_address(json, "end", mapping->end);
	json_string(json, "permissions", permissions_text(mapping->permissions, permissions));
	json_unsigned(json, "offset", mapping->offset_bytes);
	json_string(json, "path", mapping->path);
	json_object_end(json);
}

static void descriptor_json(struct json *json, const char *key,
			    const struct strobe_descriptor *descriptor)
{
	if (!descriptor) {
		json_null(json, key);
		return;
	}
	json_object(json, key);
	json_string(json, "type", descriptor->type);
	json_string(json, "path", descriptor->path);
	number_or_null(json, "flags", descriptor->flags);
	number_or_null(json, "position", descriptor->position);
	json_string(json, "peer", descriptor->peer);
	json_object_end(json);
}

static void bytes_json(struct json *json, const char *key, const struct strobe_view *view,
		       uint64_t address, uint64_t size)
{
	uint8_t bytes[BYTES_SHOWN];
	size_t wanted = size < BYTES_SHOWN ? (size_t)size : BYTES_SHOWN;
	size_t known = strobe_memory_read(view, address, bytes, wanted);
	json_hex_begin(json, key);
	json_hex(json, bytes, known);
	json_hex_end(json);
}

static void range_json(struct report *report, const struct strobe_diff_range *range)
{
	struct json *json = &report->json;
	struct strobe_diff_place place;
	uint64_t size = range->end - range->start;
	strobe_diff_place(report->difference->diff, range->start, &place);
	json_address(json, "start", range->start);
	json_address(json, "end", range->end);
	json_unsigned(json, "changed_bytes", range->changed_bytes);
	bytes_json(json, "old", report->difference->command->view, range->start, size);
	bytes_json(json, "new", report->difference->view, range->start, size);
	json_string(json, "mapping", range->mapping ? range->mapping->path : NULL);
	if (place.tid)
		json_signed(json, "tid", place.tid);
	if (place.frame != SIZE_MAX) {
		json_unsigned(json, "frame", place.frame);
		json_string(json, "function", place.function);
	}
	if (place.variable)
		json_string(json, "variable", place.variable);
}

static void value_json(struct report *report, const char *key, const struct strobe_value *value)
{
	char *text = NULL;
	struct strobe_error *error = strobe_value_format(value, &report->difference->format, &text);
	json_string(&report->json, key, error ? strobe_error_message(error) : text);
	strobe_error_free(error);
	free(text);
}

static void global_json(struct report *report, const struct strobe_diff_global *global)
{
	static const char *const kinds[] = {[STROBE_DIFF_VARIABLE] = "variable",
					    [STROBE_DIFF_SYMBOL] = "symbol",
					    [STROBE_DIFF_UNNAMED] = "unnamed"};
	struct json *json = &report->json;
	struct difference *difference = report->difference;
	json_string(json, "kind", kinds[global->knowledge]);
	json_string(json, "name", global->name);
	json_string(json, "variable", global->variable);
	json_string(json, "file", global->file);
	json_string(json, "module",
		    strobe_view_module(difference->view, global->module_index)->name);
	if (global->tid)
		json_signed(json, "tid", global->tid);
	json_unsigned(json, "offset", global->offset_bytes);
	json_unsigned(json, "size", global->size_bytes);
	json_address(json, "old_address", global->old_address);
	json_address(json, "new_address", global->new_address);
	if (global->old_value && global->new_value) {
		json_string(json, "type", strobe_value_type(global->new_value));
		value_json(report, "old", global->old_value);
		value_json(report, "new", global->new_value);
		return;
	}
	json_null(json, "type");
	bytes_json(json, "old", difference->command->view, global->old_address, global->size_bytes);
	bytes_json(json, "new", difference->view, global->new_address, global->size_bytes);
}

static void item_json(struct report *report, const struct strobe_diff_item *item)
{
	struct json *json = &report->json;
	switch (item->section) {
	case STROBE_DIFF_PROCESS:
		json_string(json, "name", item->of.fact.name);
		json_string(json, "old", item->of.fact.old_text);
		json_string(json, "new", item->of.fact.new_text);
		break;
	case STROBE_DIFF_THREADS:
		json_signed(json, "tid", item->of.thread.tid);
		json_string(json, "change", changes[item->change]);
		changed_json(json, item->of.thread.what);
		thread_json(json, "old", item->of.thread.old_thread);
		thread_json(json, "new", item->of.thread.new_thread);
		break;
	case STROBE_DIFF_REGISTERS:
		json_signed(json, "tid", item->of.reg.tid);
		json_string(json, "name", item->of.reg.new_register.name);
		json_string(json, "group", item->of.reg.new_register.group);
		register_json(report, "old", &item->of.reg.old_register);
		register_json(report, "new", &item->of.reg.new_register);
		break;
	case STROBE_DIFF_MAPPINGS:
		json_string(json, "change", changes[item->change]);
		json_address(json, "start", item->of.mapping.start);
		json_address(json, "end", item->of.mapping.end);
		if (item->change == STROBE_DIFF_MOVED) {
			json_address(json, "old_start", item->of.mapping.old_start);
			json_address(json, "old_end", item->of.mapping.old_end);
		}
		mapping_json(json, "old", item->of.mapping.old_mapping);
		mapping_json(json, "new", item->of.mapping.new_mapping);
		break;
	case STROBE_DIFF_DESCRIPTORS:
		json_signed(json, "fd", item->of.descriptor.fd);
		json_string(json, "change", changes[item->change]);
		descriptor_json(json, "old", item->of.descriptor.old_descriptor);
		descriptor_json(json, "new", item->of.descriptor.new_descriptor);
		break;
	case STROBE_DIFF_MEMORY:
		range_json(report, &item->of.range);
		break;
	default:
		global_json(report, &item->of.global);
	}
}

static bool on_item(void *context, const struct strobe_diff_item *item)
{
	struct report *report = context;
	uint64_t limit = report->difference->limit;
	if (report->seen++ >= limit && limit)
		return true; // counted all the same
	json_object(&report->json, NULL);
	item_json(report, item);
	json_object_end(&report->json);
	return !ferror(report->json.out);
}

static void memory_totals(struct json *json, const struct strobe_diff_totals *totals)
{
	json_object(json, "memory");
	json_unsigned(json, "ranges", totals->ranges);
	json_unsigned(json, "changed_bytes", totals->changed_bytes);
	json_unsigned(json, "changed_pages", totals->changed_pages);
	json_unsigned(json, "compared_bytes", totals->compared_bytes);
	json_unsigned(json, "unread_bytes", totals->unread_bytes);
	json_unsigned(json, "old_missing_bytes", totals->old_missing_bytes);
	json_unsigned(json, "new_missing_bytes", totals->new_missing_bytes);
	json_unsigned(json, "both_missing_bytes", totals->both_missing_bytes);
	json_unsigned(json, "only_old_bytes", totals->only_old_bytes);
	json_unsigned(json, "only_new_bytes", totals->only_new_bytes);
	json_object_end(json);
}

static void counts(struct json *json, const char *key, uint64_t added, uint64_t removed,
		   uint64_t changed)
{
	json_object(json, key);
	json_unsigned(json, "added", added);
	json_unsigned(json, "removed", removed);
	json_unsigned(json, "changed", changed);
	json_object_end(json);
}

static void globals_totals(struct json *json, const struct strobe_diff_totals *totals)
{
	json_object(json, "globals");
	json_unsigned(json, "variables", totals->variables);
	json_unsigned(json, "fields", totals->fields);
	json_unsigned(json, "symbols", totals->symbols);
	json_unsigned(json, "unnamed", totals->unnamed);
	json_unsigned(json, "modules_compared", totals->modules_compared);
	json_unsigned(json, "modules_differ", totals->modules_differ);
	json_object_end(json);
}

// Totals of the sections that were run.
static void totals_json(struct json *json, unsigned sections,
			const struct strobe_diff_totals *totals)
{
	json_object(json, "totals");
	if (sections & STROBE_DIFF_PROCESS)
		json_unsigned(json, "process", totals->facts);
	if (sections & STROBE_DIFF_THREADS) {
		json_object(json, "threads");
		json_unsigned(json, "old", totals->old_threads);
		json_unsigned(json, "new", totals->new_threads);
		json_unsigned(json, "added", totals->threads_added);
		json_unsigned(json, "removed", totals->threads_removed);
		json_unsigned(json, "changed", totals->threads_changed);
		json_unsigned(json, "moved", totals->threads_moved);
		json_object_end(json);
	}
	if (sections & STROBE_DIFF_REGISTERS)
		json_unsigned(json, "registers", totals->registers);
	if (sections & STROBE_DIFF_MAPPINGS)
		counts(json, "mappings", totals->mappings_added, totals->mappings_removed,
		       totals->mappings_changed);
	if (sections & STROBE_DIFF_DESCRIPTORS) {
		json_bool(json, "fds_recorded", totals->descriptors_known);
		counts(json, "fds", totals->descriptors_added, totals->descriptors_removed,
		       totals->descriptors_changed);
	}
	if (sections & STROBE_DIFF_MEMORY)
		memory_totals(json, totals);
	if (sections & STROBE_DIFF_GLOBALS)
		globals_totals(json, totals);
	json_object_end(json);
}

int difference_json(struct difference *difference)
{
	static const char *const keys[] = {"process", "threads", "registers", "mappings",
					   "fds",     "ranges",	 "globals"};
	struct strobe_error *error = NULL;
	struct report *report = calloc(1, sizeof(*report));
	if (!report)
		return command_fail(difference->command, "out of memory");
	const struct strobe_diff_totals *totals = strobe_diff_totals(difference->diff);
	struct json *json = &report->json;
	report->difference = difference;
	json_init(json, stdout);
	json_object(json, NULL);
	side_json(json, "a", difference->command->view);
	side_json(json, "b", difference->view);
	json_bool(json, "same_program", totals->same_program);
	json_bool(json, "same_process", totals->same_process);
	for (unsigned i = 0; i < sizeof(keys) / sizeof(keys[0]) && !error; i++) {
		if (!(difference->sections >> i & 1))
			continue;
		json_array(json, keys[i], true);
		report->seen = 0;
		error = strobe_diff_run(difference->diff, 1u << i, on_item, report, NULL);
		json_array_end(json);
	}
	totals_json(json, difference->sections, totals);
	json_object_end(json);
	json_fini(json);
	free(report);
	return error ? command_error(difference->command, NULL, error) : STATUS_DONE;
}
