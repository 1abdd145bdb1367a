// SPDX-License-Identifier: Apache-2.0
// The text of `diff`. The summary comes first, and counts what the sections below show the first
// changes of: those few are kept until everything has been compared.

#include "difference.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

#include "describe.h"

enum { BYTES_SHOWN = 8, HEX_SIZE = 2 * 16384 + 3 };

/** The sections' text while it grows. */
struct report {
	struct difference *difference;
	FILE *out;
	bool color;
	uint64_t seen;	 // changes of the section
	int heading_tid; // registers: whose heading was written last
	bool heading_done;
	char hex[2][HEX_SIZE];
};

static const char *const marks[] = {
	[STROBE_DIFF_ADDED] = "+",
	[STROBE_DIFF_REMOVED] = "-",
	[STROBE_DIFF_CHANGED] = " ",
	[STROBE_DIFF_GROWN] = "grown",
	[STROBE_DIFF_SHRUNK] = "shrunk",
	[STROBE_DIFF_MOVED] = "moved",
	[STROBE_DIFF_PERMISSIONS] = "permissions",
	[STROBE_DIFF_REPLACED] = "replaced",
};

// "1,234,567"; into `buffer`.
static const char *count_text(uint64_t number, char *buffer, size_t size)
{
	char digits[32];
	int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);
	size_t used = 0;
	for (int i = 0; i < length && used + 2 < size; i++) {
		if (i && (length - i) % 3 == 0)
			buffer[used++] = ',';
		buffer[used++] = digits[i];
	}
	buffer[used] = '\0';
	return buffer;
}

static void put_text(struct report *report, const char *text)
{
	if (text)
		put_safe(report->out, text);
	else
		fputs("(not known)", report->out);
}

static void styled(struct report *report, enum style style, const char *text)
{
	put_styled(report->out, report->color, style, text);
}

static void put_arrow(struct report *report)
{
	fputs(" -> ", report->out);
}

static void put_fact(struct report *report, const struct strobe_diff_fact *fact)
{
	fputs("  ", report->out);
	styled(report, STYLE_NAME, fact->name);
	fprintf(report->out, "%*s ", (int)(strlen(fact->name) < 10 ? 10 - strlen(fact->name) : 0),
		"");
	put_text(report, fact->old_text);
	put_arrow(report);
	put_text(report, fact->new_text);
	putc('\n', report->out);
}

static void put_code(struct report *report, struct strobe_symbols *symbols, uint64_t pc)
{
	char symbol[256];
	fprintf(report->out, "0x%" PRIx64, pc);
	if (*symbol_text(symbols, pc, symbol, sizeof(symbol))) {
		putc(' ', report->out);
		styled(report, STYLE_FUNCTION, symbol);
	}
}

static void put_signal(struct report *report, const struct strobe_signal *signal)
{
	char buffer[192] = "none";
	if (signal->number)
		signal_text(signal, buffer, sizeof(buffer));
	put_safe(report->out, buffer);
}

static void put_system_call(struct report *report, const struct strobe_thread *thread)
{
	const char *name =
		thread->in_system_call ? strobe_system_call_name(thread->system_call) : "none";
	if (name)
		put_safe(report->out, name);
	else
		fprintf(report->out, "%" PRId64, thread->system_call);
}

static void put_thread_facts(struct report *report, const struct strobe_diff_thread *thread)
{
	const struct strobe_thread *a = thread->old_thread, *b = thread->new_thread;
	if (thread->what & STROBE_DIFF_THREAD_SYSTEM_CALL) {
		fputs("  system call ", report->out);
		put_system_call(report, a);
		put_arrow(report);
		put_system_call(report, b);
	}
	if (thread->what & STROBE_DIFF_THREAD_RAN)
		fprintf(report->out, "  ran %.3f ms",
			(double)(b->user_ns + b->system_ns - a->user_ns - a->system_ns) / 1e6);
	if (thread->what & STROBE_DIFF_THREAD_SCHEDULING)
		fprintf(report->out, "  scheduling %s %d nice %d -> %s %d nice %d",
			a->policy ? a->policy : "?", a->realtime_priority, a->nice,
			b->policy ? b->policy : "?", b->realtime_priority, b->nice);
	if (thread->what & STROBE_DIFF_THREAD_MASKS)
		fprintf(report->out,
			"  blocked 0x%" PRIx64 " -> 0x%" PRIx64 ", pending 0x%" PRIx64
			" -> 0x%" PRIx64,
			a->blocked, b->blocked, a->pending, b->pending);
}

static void put_thread_changes(struct report *report, const struct strobe_diff_thread *thread)
{
	const struct strobe_thread *a = thread->old_thread, *b = thread->new_thread;
	if (thread->what & STROBE_DIFF_THREAD_NAME) {
		fputs("  name ", report->out);
		put_text(report, a->name);
		put_arrow(report);
		put_text(report, b->name);
	}
	if (thread->what & STROBE_DIFF_THREAD_STATE)
		fprintf(report->out, "  state %c -> %c", a->state, b->state);
	if (thread->what & STROBE_DIFF_THREAD_PC) {
		fputs("  ", report->out);
		put_code(report, report->difference->command->symbols, a->pc);
		put_arrow(report);
		put_code(report, report->difference->symbols, b->pc);
	} else if (thread->what & STROBE_DIFF_THREAD_SP) {
		fprintf(report->out, "  sp 0x%" PRIx64 " -> 0x%" PRIx64, a->sp, b->sp);
	}
	if (thread->what & STROBE_DIFF_THREAD_SIGNAL) {
		fputs("  signal ", report->out);
		put_signal(report, &a->signal);
		put_arrow(report);
		put_signal(report, &b->signal);
	}
	put_thread_facts(report, thread);
}

static void put_thread(struct report *report, const struct strobe_diff_item *item)
{
	const struct strobe_diff_thread *thread = &item->of.thread;
	const struct strobe_thread *any =
		thread->new_thread ? thread->new_thread : thread->old_thread;
	fprintf(report->out, "%s %d", marks[item->change], thread->tid);
	if (any->name) {
		putc(' ', report->out);
		styled(report, STYLE_NAME, any->name);
	}
	if (item->change == STROBE_DIFF_CHANGED) {
		put_thread_changes(report, thread);
	} else if (any->has_registers) {
		fputs("  ", report->out);
		put_code(report,
			 thread->new_thread ? report->difference->symbols
					    : report->difference->command->symbols,
			 any->pc);
	}
	putc('\n', report->out);
}

// Most significant byte first, without leading zeros.
static const char *hex_number(const struct strobe_register *reg, char *buffer)
{
	size_t bytes = reg->size_bytes, used;
	if (!reg->bytes)
		return "(not known)";
	while (bytes > 1 && reg->bytes[bytes - 1] == 0)
		bytes--;
	used = (size_t)snprintf(buffer, HEX_SIZE, "0x%x", bytes ? reg->bytes[bytes - 1] : 0);
	for (size_t i = bytes; i-- > 1 && used + 3 < HEX_SIZE;)
		used += (size_t)snprintf(buffer + used, HEX_SIZE - used, "%02x", reg->bytes[i - 1]);
	return buffer;
}

// True for a part of a wider register that changed with it.
static bool is_part(struct report *report, const struct strobe_diff_register *reg)
{
	static const char *const wider[] = {"ymm", "zmm"};
	const struct strobe_view *view = report->difference->view;
	const char *name = reg->new_register.name;
	size_t thread = strobe_view_thread_index(view, reg->tid);
	struct strobe_register other;
	char whole[16];
	if (strncmp(name, "xmm", 3) != 0 && strncmp(name, "ymm", 3) != 0)
		return false;
	for (size_t i = name[0] == 'y'; i < 2; i++) {
		snprintf(whole, sizeof(whole), "%s%s", wider[i], name + 3);
		if (strobe_view_register_by_name(view, thread, whole, &other))
			return true;
	}
	return false;
}

static void put_register(struct report *report, const struct strobe_diff_register *reg)
{
	if (!report->heading_done || report->heading_tid != reg->tid)
		fprintf(report->out, "  thread %d\n", reg->tid);
	report->heading_done = true;
	report->heading_tid = reg->tid;
	fputs("    ", report->out);
	styled(report, STYLE_NAME, reg->new_register.name);
	fprintf(report->out, "%*s ", (int)(8 - strlen(reg->new_register.name) % 9), "");
	fprintf(report->out, "%s -> ", hex_number(&reg->old_register, report->hex[0]));
	fprintf(report->out, "%s\n", hex_number(&reg->new_register, report->hex[1]));
}

static void put_mapping_range(struct report *report, const struct strobe_mapping *mapping)
{
	fprintf(report->out, "%016" PRIx64 "-%016" PRIx64, mapping->start, mapping->end);
}

static void put_mapping(struct report *report, const struct strobe_diff_item *item)
{
	const struct strobe_diff_mapping *change = &item->of.mapping;
	const struct strobe_mapping *a = change->old_mapping, *b = change->new_mapping;
	const struct strobe_mapping *any = b ? b : a;
	struct size_text size;
	char old_text[5], new_text[5];
	fprintf(report->out, "  %-11s ", marks[item->change]);
	fprintf(report->out, "%016" PRIx64 "-%016" PRIx64 " ", change->start, change->end);
	if (item->change == STROBE_DIFF_PERMISSIONS)
		fprintf(report->out, "%s -> %s", permissions_text(a->permissions, old_text),
			permissions_text(b->permissions, new_text));
	else
		fputs(permissions_text(any->permissions, new_text), report->out);
	fprintf(report->out, " %s ", size_text(change->end - change->start, &size));
	if (item->change == STROBE_DIFF_REPLACED) {
		put_safe(report->out, a->path ? a->path : "[anonymous]");
		fprintf(report->out, "+0x%" PRIx64 " -> ",
			a->offset_bytes + (change->start - a->start));
	}
	put_safe(report->out, any->path ? any->path : "[anonymous]");
	if (item->change == STROBE_DIFF_REPLACED)
		fprintf(report->out, "+0x%" PRIx64, b->offset_bytes + (change->start - b->start));
	if (item->change == STROBE_DIFF_MOVED) {
		fprintf(report->out, "  (from %016" PRIx64 "-%016" PRIx64 ")", change->old_start,
			change->old_end);
	} else if (item->change == STROBE_DIFF_GROWN || item->change == STROBE_DIFF_SHRUNK) {
		fputs("  (was ", report->out);
		put_mapping_range(report, a);
		fputs(", is ", report->out);
		put_mapping_range(report, b);
		putc(')', report->out);
	}
	putc('\n', report->out);
}

static void put_descriptor(struct report *report, const struct strobe_diff_item *item)
{
	const struct strobe_diff_descriptor *change = &item->of.descriptor;
	const struct strobe_descriptor *a = change->old_descriptor, *b = change->new_descriptor;
	const struct strobe_descriptor *any = b ? b : a;
	fprintf(report->out, "%s %d %s ", marks[item->change], change->fd,
		any->type ? any->type : "-");
	if (a && b && (!a->path || !b->path || strcmp(a->path, b->path) != 0)) {
		put_text(report, a->path);
		put_arrow(report);
	}
	put_text(report, any->path);
	if (any->peer) {
		fputs("  ", report->out);
		put_safe(report->out, any->peer);
	}
	if (a && b && a->position != b->position)
		fprintf(report->out, "  position %" PRId64 " -> %" PRId64, a->position,
			b->position);
	if (a && b && a->flags != b->flags)
		fprintf(report->out, "  flags 0%" PRIo64 " -> 0%" PRIo64, (uint64_t)a->flags,
			(uint64_t)b->flags);
	putc('\n', report->out);
}

static void put_bytes(struct report *report, const struct strobe_view *view, uint64_t address,
		      uint64_t size)
{
	uint8_t bytes[BYTES_SHOWN];
	size_t wanted = size < BYTES_SHOWN ? (size_t)size : BYTES_SHOWN;
	size_t known = strobe_memory_read(view, address, bytes, wanted);
	for (size_t i = 0; i < known; i++)
		fprintf(report->out, "%02x", bytes[i]);
	if (known < wanted)
		fputs("??", report->out);
	else if (wanted < size)
		fputs("...", report->out);
}

static void put_place(struct report *report, uint64_t address)
{
	struct strobe_diff_place place;
	strobe_diff_place(report->difference->diff, address, &place);
	if (place.mapping) {
		fputs("  ", report->out);
		styled(report, STYLE_FILE,
		       place.mapping[0] == '/' ? base_name(place.mapping) : place.mapping);
	}
	if (place.tid)
		fprintf(report->out, " thread %d", place.tid);
	if (place.frame != SIZE_MAX) {
		fprintf(report->out, " #%zu ", place.frame);
		styled(report, STYLE_FUNCTION, place.function ? place.function : "??");
	}
	if (place.variable) {
		putc(' ', report->out);
		styled(report, STYLE_NAME, place.variable);
	}
}

static void put_range(struct report *report, const struct strobe_diff_range *range)
{
	fprintf(report->out, "  %016" PRIx64 "-%016" PRIx64 " %6" PRIu64 " ", range->start,
		range->end, range->end - range->start);
	put_bytes(report, report->difference->command->view, range->start,
		  range->end - range->start);
	put_arrow(report);
	put_bytes(report, report->difference->view, range->start, range->end - range->start);
	put_place(report, range->start);
	putc('\n', report->out);
}

static void put_value(struct report *report, const struct strobe_value *value)
{
	char *text = NULL;
	struct strobe_error *error = strobe_value_format(value, &report->difference->format, &text);
	if (error) {
		fprintf(report->out, "<%s>", strobe_error_message(error));
		strobe_error_free(error);
		return;
	}
	put_safe(report->out, text);
	free(text);
}

static void put_global(struct report *report, const struct strobe_diff_global *global)
{
	const struct strobe_view *view = report->difference->view;
	fputs("  ", report->out);
	if (global->tid)
		fprintf(report->out, "thread %d ", global->tid);
	if (global->name) {
		styled(report, STYLE_NAME, global->name);
	} else {
		styled(report, STYLE_FILE, strobe_view_module(view, global->module_index)->name);
	}
	if (global->knowledge != STROBE_DIFF_VARIABLE)
		fprintf(report->out, "+0x%" PRIx64, global->offset_bytes);
	fputs("  ", report->out);
	if (global->old_value && global->new_value) {
		put_value(report, global->old_value);
		put_arrow(report);
		put_value(report, global->new_value);
	} else {
		put_bytes(report, report->difference->command->view, global->old_address,
			  global->size_bytes);
		put_arrow(report);
		put_bytes(report, view, global->new_address, global->size_bytes);
	}
	putc('\n', report->out);
}

static bool on_item(void *context, const struct strobe_diff_item *item)
{
	struct report *report = context;
	uint64_t limit = report->difference->limit;
	if (item->section == STROBE_DIFF_REGISTERS && is_part(report, &item->of.reg))
		return true;
	if (report->seen++ >= limit && limit)
		return true; // counted all the same
	switch (item->section) {
	case STROBE_DIFF_PROCESS:
		put_fact(report, &item->of.fact);
		break;
	case STROBE_DIFF_THREADS:
		put_thread(report, item);
		break;
	case STROBE_DIFF_REGISTERS:
		put_register(report, &item->of.reg);
		break;
	case STROBE_DIFF_MAPPINGS:
		put_mapping(report, item);
		break;
	case STROBE_DIFF_DESCRIPTORS:
		put_descriptor(report, item);
		break;
	case STROBE_DIFF_MEMORY:
		put_range(report, &item->of.range);
		break;
	default:
		put_global(report, &item->of.global);
	}
	return !ferror(report->out);
}

static const char *const titles[] = {"PROCESS",	    "THREADS", "REGISTERS", "MAPPINGS",
				     "DESCRIPTORS", "MEMORY",  "GLOBALS"};

// Runs one section; its text with its heading goes to `out`, nothing if nothing changed.
static struct strobe_error *run_section(struct report *report, unsigned index, FILE *out)
{
	char *text = NULL, number[32];
	size_t size = 0;
	report->out = open_memstream(&text, &size);
	report->seen = 0;
	if (!report->out)
		return NULL;
	struct strobe_error *error =
		strobe_diff_run(report->difference->diff, 1u << index, on_item, report, NULL);
	fclose(report->out);
	if (report->seen) {
		uint64_t limit = report->difference->limit;
		putc('\n', out);
		put_styled(out, report->color, STYLE_HEADING, titles[index]);
		putc('\n', out);
		fwrite(text, 1, size, out);
		if (limit && report->seen > limit)
			fprintf(out, "  ... and %s more\n",
				count_text(report->seen - limit, number, sizeof(number)));
	}
	free(text);
	return error;
}

/** The summary: parts joined with "; ". */
struct summary {
	bool begun;
};

static void part(struct summary *summary)
{
	if (summary->begun)
		fputs("; ", stdout);
	summary->begun = true;
}

static void counted(uint64_t count, const char *what)
{
	char number[32];
	printf("%s %s%s", count_text(count, number, sizeof(number)), what, count == 1 ? "" : "s");
}

static void come_and_gone(uint64_t added, uint64_t removed, uint64_t changed, const char *what)
{
	const char *separator = " ";
	printf("%s:", what);
	if (added)
		printf("%s%" PRIu64 " added", separator, added);
	separator = added ? ", " : " ";
	if (removed)
		printf("%s%" PRIu64 " removed", separator, removed);
	separator = added || removed ? ", " : " ";
	if (changed)
		printf("%s%" PRIu64 " changed", separator, changed);
}

static void summary_threads(struct summary *summary, const struct strobe_diff_totals *totals)
{
	uint64_t stayed = totals->old_threads - totals->threads_removed;
	part(summary);
	printf("%" PRIu64 " of %" PRIu64 " thread%s moved", totals->threads_moved, stayed,
	       stayed == 1 ? "" : "s");
	if (totals->threads_added)
		printf(", %" PRIu64 " came", totals->threads_added);
	if (totals->threads_removed)
		printf(", %" PRIu64 " went", totals->threads_removed);
}

static void summary_memory(struct summary *summary, const struct strobe_diff_totals *totals)
{
	struct size_text size;
	part(summary);
	counted(totals->changed_pages, "page");
	printf(" changed");
	if (!totals->changed_pages)
		return;
	printf(" (%s; ", size_text(totals->changed_pages * 4096, &size));
	counted(totals->changed_bytes, "byte");
	fputs(" in ", stdout);
	counted(totals->ranges, "range");
	putchar(')');
}

static void summary_globals(struct summary *summary, const struct strobe_diff_totals *totals)
{
	part(summary);
	counted(totals->variables, "global");
	if (totals->symbols) {
		fputs(", ", stdout);
		counted(totals->symbols, "range");
		fputs(" in symbols", stdout);
	}
	if (totals->unnamed) {
		fputs(", ", stdout);
		counted(totals->unnamed, "range");
		fputs(" in unnamed data", stdout);
	}
}

static void summary_rest(struct summary *summary, unsigned sections,
			 const struct strobe_diff_totals *totals)
{
	if (totals->mappings_added || totals->mappings_removed || totals->mappings_changed) {
		part(summary);
		come_and_gone(totals->mappings_added, totals->mappings_removed,
			      totals->mappings_changed, "mappings");
	}
	if (totals->descriptors_added || totals->descriptors_removed ||
	    totals->descriptors_changed) {
		part(summary);
		come_and_gone(totals->descriptors_added, totals->descriptors_removed,
			      totals->descriptors_changed, "descriptors");
	}
	if (sections & STROBE_DIFF_REGISTERS && sections != STROBE_DIFF_ALL) {
		part(summary);
		counted(totals->registers, "register");
	}
	if (sections & STROBE_DIFF_PROCESS && totals->facts) {
		part(summary);
		counted(totals->facts, "fact");
		fputs(" of the process", stdout);
	}
}

static void not_compared(const struct strobe_diff_totals *totals)
{
	const struct {
		uint64_t bytes;
		const char *what;
	} parts[] = {
		{totals->only_old_bytes, "mapped in A alone"},
		{totals->only_new_bytes, "mapped in B alone"},
		{totals->old_missing_bytes, "not known in A"},
		{totals->new_missing_bytes, "not known in B"},
		{totals->both_missing_bytes, "not known in either"},
	};
	struct size_text size;
	bool begun = false;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
		if (!parts[i].bytes)
			continue;
		printf("%s%s %s", begun ? ", " : "not compared: ", size_text(parts[i].bytes, &size),
		       parts[i].what);
		begun = true;
	}
	if (begun)
		putchar('\n');
}

static void put_summary(const struct difference *difference)
{
	const struct strobe_diff_totals *totals = strobe_diff_totals(difference->diff);
	unsigned sections = difference->sections;
	struct summary summary = {0};
	if (sections & STROBE_DIFF_THREADS)
		summary_threads(&summary, totals);
	if (sections & STROBE_DIFF_MEMORY)
		summary_memory(&summary, totals);
	if (sections & STROBE_DIFF_GLOBALS)
		summary_globals(&summary, totals);
	summary_rest(&summary, sections, totals);
	if (!summary.begun)
		fputs("no changes", stdout);
	putchar('\n');
	if (sections & STROBE_DIFF_MEMORY)
		not_compared(totals);
	if (sections & STROBE_DIFF_GLOBALS && totals->modules_differ)
		printf("modules that differ, not compared by name: %" PRIu64 "\n",
		       totals->modules_differ);
	if (sections & STROBE_DIFF_DESCRIPTORS && !totals->descriptors_known)
		puts("descriptors: not compared, they are not recorded on both sides");
}

int difference_text(struct difference *difference)
{
	struct report *report = calloc(1, sizeof(*report));
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct strobe_error *error = NULL;
	if (!report || !out) {
		free(report);
		if (out)
			fclose(out);
		free(text);
		return command_fail(difference->command, "out of memory");
	}
	report->difference = difference;
	report->color = difference->command->color;
	for (unsigned i = 0; i < sizeof(titles) / sizeof(titles[0]) && !error; i++)
		if (difference->sections >> i & 1)
			error = run_section(report, i, out);
	fclose(out);
	free(report);
	difference_erase_progress(difference);
	if (!error) {
		put_summary(difference);
		fwrite(text, 1, size, stdout);
	}
	free(text);
	return error ? command_error(difference->command, NULL, error) : STATUS_DONE;
}
