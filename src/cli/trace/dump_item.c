// SPDX-License-Identifier: Apache-2.0
// One item of a dump, in lldb's forms.

#include "trace/dump.h"
#include "trace/members.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { DECIMALS_TEXT = 3, DECIMALS_JSON = 6 };

static bool is_json(const struct dump *dump)
{
	return dump->style.form != RENDER_TEXT;
}

void dump_begin(struct dump *dump)
{
	const struct command *command = dump->command;
	char line[128];
	if (is_json(dump)) {
		emit_text(&dump->emit, "[");
		return;
	}
	snprintf(line, sizeof(line), "%sthread #%zu: tid = %d%s\n",
		 style_start(command->color, STYLE_HEADING), command->thread_index + 1,
		 strobe_trace_thread(command->trace, command->thread_index)->tid,
		 style_end(command->color));
	emit_text(&dump->emit, line);
}

void dump_end(struct dump *dump, bool no_more)
{
	if (is_json(dump))
		emit_text(&dump->emit, dump->filled ? "\n]\n" : "]\n");
	else if (no_more)
		emit_text(&dump->emit, "    no more data\n");
}

// What stands before all that differs: of a text "    12: [3.000 ns] ", of JSON the id and time.
static char *write_start(struct dump *dump, char *at, const struct item_time *time)
{
	bool pretty = dump->style.form == RENDER_PRETTY;
	if (is_json(dump)) {
		if (dump->filled)
			*at++ = ',';
		dump->filled = true;
		at = pretty ? write_bytes(at, "\n  {\n    \"id\": ", 15)
			    : write_bytes(at, "\n{\"id\":", 7);
		at = write_counted(at, &dump->id);
		if (!time)
			return at;
		at = pretty ? write_bytes(at, ",\n    \"timestamp_ns\": ", 22)
			    : write_bytes(at, ",\"timestamp_ns\":", 16);
		if (!time->known)
			return write_bytes(at, "null", 4);
		*at++ = '"';
		at = write_fixed(at, time->ns, DECIMALS_JSON);
		*at++ = '"';
		return at;
	}
	at = write_bytes(at, "    ", 4);
	at = write_counted(at, &dump->id);
	at = write_bytes(at, ": ", 2);
	if (!time)
		return at;
	*at++ = '[';
	if (time->known) {
		at = write_fixed(at, time->ns, DECIMALS_TEXT);
		return write_bytes(at, " ns] ", 5);
	}
	return write_bytes(at, "unavailable] ", 13);
}

static char *write_raw(const struct dump *dump, char *at, uint64_t address)
{
	switch (dump->style.form) {
	case RENDER_TEXT:
		at = write_bytes(at, "0x", 2);
		at = write_hex16(at, address);
		*at++ = '\n';
		return at;
	case RENDER_PRETTY:
		at = write_bytes(at, ",\n    \"loadAddress\": \"0x", 24);
		at = write_hex(at, address);
		return write_bytes(at, "\"\n  }", 5);
	default:
		at = write_bytes(at, ",\"loadAddress\":\"0x", 18);
		at = write_hex(at, address);
		return write_bytes(at, "\"}", 2);
	}
}

bool dump_instruction(struct dump *dump, uint64_t address, enum strobe_flow flow,
		      const struct item_time *time)
{
	char *at = emit_room(&dump->emit);
	dump->was_error = false;
	if (!dump->render) {
		at = write_start(dump, at, time);
		emit_wrote(&dump->emit, write_raw(dump, at, address));
		return true;
	}
	const struct rendered *rendered = render_at(dump->render, address, flow);
	if (!rendered)
		return false;
	if (!is_json(dump) && !(dump->has_key && place_same(&dump->key, &rendered->key)))
		at = write_bytes(at, rendered->heading, rendered->heading_size);
	dump->key = rendered->key;
	dump->has_key = true;
	at = write_start(dump, at, time);
	emit_wrote(&dump->emit, write_bytes(at, rendered->text, rendered->text_size));
	return true;
}

// What lldb shows of the five kinds that it has; of all others what is known of them.
static void event_text(FILE *out, const struct strobe_event *event, int cpu, const char *metadata)
{
	switch (event->type) {
	case STROBE_EVENT_DISABLED_SOFTWARE:
	case STROBE_EVENT_DISABLED_HARDWARE:
		return;
	case STROBE_EVENT_CPU_CHANGED:
		if (cpu < 0)
			fputs(" [new CPU=unavailable]", out);
		else
			fprintf(out, " [new CPU=%d]", cpu);
		return;
	case STROBE_EVENT_CLOCK_TICK:
		fprintf(out, " [%" PRIu64 "]", event->value);
		return;
	case STROBE_EVENT_SYNC_POINT:
		fprintf(out, " [%s]", metadata ? metadata : "");
		return;
	default:
		break;
	}
	if (event->text[0]) {
		fputs(" [", out);
		put_safe(out, event->text);
		putc(']', out);
	}
}

static bool has_number(enum strobe_event_type type)
{
	return type > STROBE_EVENT_ASYNC_BRANCH && type != STROBE_EVENT_STOP &&
	       type != STROBE_EVENT_THREAD_START && type != STROBE_EVENT_EXEC &&
	       type != STROBE_EVENT_SKIPPED;
}

static void event_members(const struct members *members, const struct strobe_event *event, int cpu,
			  const char *metadata)
{
	put_string(members, "event", event->name);
	switch (event->type) {
	case STROBE_EVENT_DISABLED_SOFTWARE:
	case STROBE_EVENT_DISABLED_HARDWARE:
		return;
	case STROBE_EVENT_CPU_CHANGED:
		if (cpu >= 0)
			put_number(members, "cpuId", (uint64_t)cpu);
		return;
	case STROBE_EVENT_CLOCK_TICK:
		put_number(members, "hwClock", event->value);
		return;
	case STROBE_EVENT_SYNC_POINT:
		put_string(members, "syncPointMetadata", metadata);
		return;
	default:
		break;
	}
	if (event->has_address)
		put_address(members, "address", event->address);
	if (event->has_target)
		put_address(members, "target", event->target);
	if (has_number(event->type))
		put_number(members, "value", event->value);
	if (event->text[0])
		put_string(members, "text", event->text);
}

static void note_json(const struct dump *dump, FILE *out)
{
	struct members members = {out, dump->style.form == RENDER_PRETTY};
	struct strobe_event event;
	const char *error = strobe_cursor_error(dump->cursor);
	if (error)
		put_string(&members, "error", error);
	else if (strobe_cursor_event(dump->cursor, &event))
		event_members(&members, &event, strobe_cursor_cpu(dump->cursor),
			      strobe_cursor_sync_point_metadata(dump->cursor));
	fputs(members.pretty ? "\n  }" : "}", out);
}

static void note_text(const struct dump *dump, FILE *out)
{
	bool color = dump->command->color;
	struct strobe_event event;
	const char *error = strobe_cursor_error(dump->cursor);
	fputs(style_start(color, error ? STYLE_ALERT : STYLE_FAINT), out);
	if (error) {
		fputs("(error) ", out);
		put_safe(out, error);
	} else if (strobe_cursor_event(dump->cursor, &event)) {
		fprintf(out, "(event) %s", event.name);
		event_text(out, &event, strobe_cursor_cpu(dump->cursor),
			   strobe_cursor_sync_point_metadata(dump->cursor));
	}
	fprintf(out, "%s\n", style_end(color));
}

void dump_note(struct dump *dump, uint64_t id, const struct item_time *time)
{
	bool error = strobe_cursor_error(dump->cursor) != NULL;
	char *text = NULL;
	size_t size = 0;
	if (error && !dump->was_error && !is_json(dump))
		emit_text(&dump->emit, "    ...missing instructions\n");
	dump->was_error = error;
	decimal_set(&dump->id, id);
	emit_wrote(&dump->emit, write_start(dump, emit_room(&dump->emit), time));
	FILE *out = open_memstream(&text, &size);
	if (out) {
		if (is_json(dump))
			note_json(dump, out);
		else
			note_text(dump, out);
		fclose(out);
		emit_bytes(&dump->emit, text, size);
	}
	free(text);
}
