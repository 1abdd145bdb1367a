// SPDX-License-Identifier: Apache-2.0
#include "watch/live.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/tracepoint.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "command.h"
#include "progress.h"
#include "table.h"

enum {
	DRAW_EVERY_MS = 500,
	RATE_OVER_MS = 1000,
	NS_PER_MS = 1000000,
	ROWS_LEAST = 3,
	ROWS_OTHER = 3
};

void live_begin(struct live *live, const struct command *command, struct strobe_watch *session)
{
	const char *terminal = getenv("TERM");
	*live = (struct live){.command = command, .session = session};
	live->on = isatty(STDOUT_FILENO) && terminal && strcmp(terminal, "dumb") != 0;
}

static unsigned terminal_rows(void)
{
	struct winsize window;
	return ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 0 ? window.ws_row
										   : 24;
}

void live_clear(struct live *live)
{
	if (!live->lines)
		return;
	if (output_width() != live->width) {
		// How the terminal broke its lines anew is not known: it stays, and scrolls away.
		putchar('\n');
	} else {
		putchar('\r');
		for (unsigned i = 1; i < live->lines; i++)
			fputs("\033[A", stdout);
		fputs("\033[J", stdout);
	}
	live->lines = 0;
	fflush(stdout); // what comes next may go to stderr
}

// Rates.

static bool have_room(struct live *live, size_t count)
{
	uint64_t *hits = realloc(live->hits, (count + 1) * sizeof(*hits));
	if (hits)
		live->hits = hits;
	double *rates = realloc(live->rates, (count + 1) * sizeof(*rates));
	if (rates)
		live->rates = rates;
	if (!hits || !rates)
		return false;
	for (; live->count < count; live->count++) {
		live->hits[live->count] = UINT64_MAX; // not known yet
		live->rates[live->count] = 0;
	}
	live->count = count;
	return true;
}

/** Hits a second, over the last one or so. */
static void take_rates(struct live *live, size_t count, uint64_t now_ns)
{
	uint64_t span_ns = now_ns - live->rates_ns;
	if (!have_room(live, count) || span_ns < (uint64_t)RATE_OVER_MS * NS_PER_MS)
		return;
	for (size_t i = 0; i < count; i++) {
		struct strobe_tracepoint_status status;
		strobe_watch_status(live->session, i, &status);
		live->rates[i] =
			status.hits >= live->hits[i]
				? (double)(status.hits - live->hits[i]) * 1e9 / (double)span_ns
				: 0;
		live->hits[i] = status.hits;
	}
	live->rates_ns = now_ns;
}

// The table.

static void put_row(struct table *table, const struct live *live, size_t index)
{
	struct strobe_tracepoint_status status;
	strobe_watch_status(live->session, index, &status);
	unsigned line = status.moved_to ? status.moved_to : status.line;
	table_text(table, status.id);
	if (status.path && *status.path && line)
		table_cell(table, "%s:%u", status.path, line);
	else
		table_text(table, status.method_name);
	if (status.armed_count)
		table_cell(table, "%zu %s", status.armed_count, status.armed[0].method);
	else
		table_text(table, NULL);
	table_cell(table, "%" PRIu64, status.hits);
	table_cell(table, "%.0f", index < live->count ? live->rates[index] : 0.0);
	table_cell(table, "%" PRIu64, status.dropped);
	table_cell(table, "%.1f ms", (double)status.cost_ns / 1e6);
	table_text(table, status.state);
}

/** Its text without colours; malloc'ed, NULL when memory is short. */
static char *write_table(struct live *live, size_t rows)
{
	static const struct table_column columns[] = {
		{"ID", false, STYLE_NAME},     {"PLACE", false, STYLE_FILE},
		{"ARMED", false, STYLE_PLAIN}, {"HITS", true, STYLE_PLAIN},
		{"HITS/S", true, STYLE_PLAIN}, {"DROPPED", true, STYLE_PLAIN},
		{"COST", true, STYLE_PLAIN},   {"STATE", false, STYLE_PLAIN},
	};
	struct table table;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	if (!out)
		return NULL;
	table_init(&table, columns, sizeof(columns) / sizeof(columns[0]));
	for (size_t i = 0; i < rows; i++)
		put_row(&table, live, i);
	table_write(&table, out, false);
	table_fini(&table);
	return fclose(out) == 0 ? text : NULL;
}

/** A line, cut at the terminal's edge, where its cursor would not know where it is. */
static void put_line(struct live *live, const char *line, size_t size, enum style style)
{
	size_t columns = 0, at = 0;
	while (at < size && columns + 1 < live->width) {
		size_t step = utf8_sequence((const uint8_t *)line + at, size - at);
		at += step ? step : 1;
		columns++;
	}
	if (live->lines++)
		putchar('\n');
	fputs(style_start(live->command->color, style), stdout);
	fwrite(line, 1, at, stdout);
	fputs(style_end(live->command->color), stdout);
}

void live_draw(struct live *live)
{
	uint64_t now_ns = monotonic_ns();
	if (!live->on ||
	    (live->lines && now_ns - live->drawn_ns < (uint64_t)DRAW_EVERY_MS * NS_PER_MS))
		return;
	size_t count = strobe_watch_count(live->session), rows = terminal_rows();
	take_rates(live, count, now_ns);
	// Some of the terminal is for the results.
	rows = rows > ROWS_LEAST + ROWS_OTHER ? rows - ROWS_OTHER : ROWS_LEAST;
	size_t shown = count < rows ? count : rows - 1;
	char *text = write_table(live, shown);
	if (!text)
		return;
	live_clear(live);
	live->width = output_width();
	live->drawn_ns = now_ns;
	for (const char *line = text, *end; (end = strchr(line, '\n')); line = end + 1)
		put_line(live, line, (size_t)(end - line),
			 line == text ? STYLE_HEADING : STYLE_PLAIN);
	if (shown < count) {
		char more[64];
		int size = snprintf(more, sizeof(more), "and %zu more", count - shown);
		put_line(live, more, (size_t)size, STYLE_FAINT);
	}
	free(text);
	fflush(stdout);
}

void live_end(struct live *live)
{
	if (live->on) {
		live_clear(live);
		live_draw(live);
		if (live->lines)
			putchar('\n');
		fflush(stdout);
	}
	free(live->hits);
	free(live->rates);
	*live = (struct live){0};
}
