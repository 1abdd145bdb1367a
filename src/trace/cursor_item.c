// SPDX-License-Identifier: Apache-2.0
// What a cursor tells of its item.
#include "trace/cursor.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"

enum strobe_item_kind strobe_cursor_kind(const struct strobe_cursor *cursor)
{
	return (enum strobe_item_kind)cursor->kind;
}

bool strobe_cursor_address(const struct strobe_cursor *cursor, uint64_t *ret)
{
	if (!cursor->lengths)
		return false;
	*ret = cursor->address;
	return true;
}

int strobe_cursor_cpu(const struct strobe_cursor *cursor)
{
	return cursor->count ? cursor->unit.cpu : -1;
}

bool strobe_cursor_event_type(const struct strobe_cursor *cursor, enum strobe_event_type *ret)
{
	if (!cursor->note || cursor->note->is_error)
		return false;
	*ret = (enum strobe_event_type)cursor->note->type;
	return true;
}

/** The data of an event whose source had no words for it. */
static void describe(const struct window_note *note, char *text, size_t size)
{
	uint64_t value = note->value;
	text[0] = '\0';
	switch ((enum strobe_event_type)note->type) {
	case STROBE_EVENT_CPU_CHANGED:
		snprintf(text, size, "new CPU=%" PRIu64, value);
		break;
	case STROBE_EVENT_CLOCK_TICK:
		snprintf(text, size, "%" PRIu64, value);
		break;
	case STROBE_EVENT_SYNC_POINT:
		snprintf(text, size, "offset = 0x%" PRIx64, value);
		break;
	case STROBE_EVENT_PAGING:
		snprintf(text, size, "cr3 = 0x%" PRIx64, value);
		break;
	case STROBE_EVENT_EXEC_MODE:
		snprintf(text, size, "%" PRIu64 "-bit", value);
		break;
	case STROBE_EVENT_VMCS:
		snprintf(text, size, "base = 0x%" PRIx64, value);
		break;
	case STROBE_EVENT_PTWRITE:
		snprintf(text, size, "payload = 0x%" PRIx64, value);
		break;
	case STROBE_EVENT_MWAIT:
		snprintf(text, size, "hints = 0x%" PRIx64 ", extensions = 0x%" PRIx64, value,
			 note->value_2);
		break;
	case STROBE_EVENT_CORE_BUS_RATIO:
		snprintf(text, size, "ratio = %" PRIu64, value);
		break;
	case STROBE_EVENT_SYSTEM_CALL:
	case STROBE_EVENT_SIGNAL:
		snprintf(text, size, "number = %" PRIu64, value);
		break;
	case STROBE_EVENT_SYSTEM_CALL_END:
		snprintf(text, size, "result = %" PRId64, (int64_t)value);
		break;
	case STROBE_EVENT_THREAD_END:
		snprintf(text, size, "status = 0x%" PRIx64, value);
		break;
	default:
		break;
	}
}

/** Appends where it took effect and where execution went on. */
static void describe_places(const struct window_note *note, char *text, size_t size)
{
	size_t used = strlen(text);
	if (note->has_address)
		used += (size_t)snprintf(text + used, size - used, "%sat 0x%" PRIx64,
					 used ? ", " : "", note->address);
	if (note->has_target && used < size)
		snprintf(text + used, size - used, "%sto 0x%" PRIx64, used ? ", " : "",
			 note->target);
}

static const char *words_of(const struct strobe_cursor *cursor)
{
	const struct window_note *note = cursor->note;
	// The text's room is the cursor's: no visible change.
	struct strobe_cursor *room = (struct strobe_cursor *)cursor;
	if (note->text && *note->text)
		snprintf(room->text, sizeof(room->text), "%s", note->text);
	else
		describe(note, room->text, sizeof(room->text));
	if (note->type != STROBE_EVENT_SYNC_POINT && note->type != STROBE_EVENT_CLOCK_TICK)
		describe_places(note, room->text, sizeof(room->text));
	return room->text;
}

bool strobe_cursor_event(const struct strobe_cursor *cursor, struct strobe_event *ret)
{
	const struct window_note *note = cursor->note;
	if (!note || note->is_error)
		return false;
	*ret = (struct strobe_event){
		.type = (enum strobe_event_type)note->type,
		.name = strobe_event_type_name((enum strobe_event_type)note->type),
		.has_address = note->has_address,
		.address = note->address,
		.has_target = note->has_target,
		.target = note->target,
		.value = note->value,
		.value_2 = note->value_2,
		.text = words_of(cursor)};
	return true;
}

const char *strobe_cursor_sync_point_metadata(const struct strobe_cursor *cursor)
{
	enum strobe_event_type type;
	if (!strobe_cursor_event_type(cursor, &type) || type != STROBE_EVENT_SYNC_POINT)
		return NULL;
	return words_of(cursor);
}

const char *strobe_cursor_error(const struct strobe_cursor *cursor)
{
	if (!cursor->note || !cursor->note->is_error)
		return NULL;
	return cursor->note->text ? cursor->note->text : "error";
}

bool strobe_cursor_has_id(struct strobe_cursor *cursor, uint64_t id)
{
	struct strobe_trace *trace = cursor->trace;
	if (!strobe_cursor_has_item(cursor, id))
		return false;
	uint64_t index = units_find(trace, cursor->thread, id);
	struct unit unit = *units_get(trace, cursor->thread, index);
	if (unit.instruction_count == unit.item_count)
		return true;
	uint64_t item = id - unit.first_id;
	if (unit.instruction_count == 0 || (item == 0 && unit.cpu_changed))
		return false;
	item -= unit.cpu_changed;
	struct cached_window *window;
	struct strobe_error *error = cursor_unit_window(
		trace, &unit, item < UINT32_MAX ? (uint32_t)item : UINT32_MAX, &window);
	if (error) {
		strobe_error_free(error); // an error item stands there now
		return false;
	}
	uint32_t first, end;
	cursor_unit_extent(&unit, &window->window, &first, &end);
	bool found = item < end - first;
	if (found) {
		uint32_t part = window_part_at(&window->window, first + (uint32_t)item);
		found = !(window->window.parts.items[part].what & WINDOW_NOTE);
	}
	window_cache_unpin(&trace->cache, window);
	return found;
}

const char *strobe_flow_name(enum strobe_flow flow)
{
	static const char *const names[] = {"other",	 "call",     "return",	   "jump",
					    "cond jump", "far call", "far return", "far jump"};
	return (unsigned)flow < sizeof(names) / sizeof(names[0]) ? names[flow] : NULL;
}

static bool is_whole(const struct strobe_cursor *cursor)
{
	return cursor->count == cursor->stretch->count;
}

bool strobe_cursor_run(const struct strobe_cursor *cursor, struct strobe_run *ret)
{
	if (!cursor->lengths)
		return false;
	const struct code_stretch *stretch = cursor->stretch;
	bool whole = is_whole(cursor);
	uint64_t end = stretch->end;
	if (!whole) {
		end = cursor->address;
		for (uint32_t i = cursor->at; i < cursor->count; i++)
			end += cursor->lengths[i];
	}
	*ret = (struct strobe_run){.first_id = cursor->id - cursor->at,
				   .count = cursor->count,
				   .address = stretch->address,
				   .lengths = cursor->lengths,
				   .last_address = end - cursor->lengths[cursor->count - 1],
				   .end = end,
				   .flow = whole ? (enum strobe_flow)stretch->flow
						 : STROBE_FLOW_OTHER,
				   .has_target = whole && stretch->has_target,
				   .target = whole ? stretch->target : 0,
				   .code_index = cursor->parts[cursor->part].what};
	return true;
}

bool strobe_cursor_next_run(struct strobe_cursor *cursor)
{
	return cursor->forwards ? cursor_step_forwards(cursor) : cursor_step_backwards(cursor);
}

bool strobe_cursor_instruction(const struct strobe_cursor *cursor, unsigned *ret_size_bytes,
			       enum strobe_flow *ret_flow)
{
	if (!cursor->lengths)
		return false;
	bool last = cursor->at + 1u == cursor->stretch->count;
	*ret_size_bytes = cursor->lengths[cursor->at];
	*ret_flow = last ? (enum strobe_flow)cursor->stretch->flow : STROBE_FLOW_OTHER;
	return true;
}
