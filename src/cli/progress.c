// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "output.h"

enum { BAR_WIDTH = 30, BAR_WIDTH_LEAST = 10, BAR_ROOM = 52, TERMINAL_WIDTH = 80 };
static const uint64_t first_ns = 300000000; // what is done sooner needs no bar
static const uint64_t between_ns = 100000000;

static volatile sig_atomic_t interrupted;

static void note_signal(int number)
{
	interrupted = number;
}

uint64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int progress_interrupted(void)
{
	return interrupted;
}

static void watch_signal(int number)
{
	struct sigaction action = {.sa_handler = note_signal, .sa_flags = SA_RESTART}, old;
	// What the parent wants ignored (nohup, a background job) stays ignored.
	if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
		sigaction(number, &action, NULL);
}

static void release_signal(int number)
{
	struct sigaction old;
	if (sigaction(number, NULL, &old) == 0 && old.sa_handler == note_signal)
		signal(number, SIG_DFL);
}

void progress_release(void)
{
	release_signal(SIGINT);
	release_signal(SIGTERM);
	release_signal(SIGHUP);
	interrupted = 0;
}

void progress_begin(struct progress *progress, const char *label, bool quiet)
{
	watch_signal(SIGINT);
	watch_signal(SIGTERM);
	watch_signal(SIGHUP);
	*progress = (struct progress){.label = label,
				      .shown = !quiet && isatty(STDERR_FILENO),
				      .start_ns = monotonic_ns()};
}

static unsigned terminal_width(void)
{
	struct winsize size;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col
									   : TERMINAL_WIDTH;
}

static unsigned put_bar(double part)
{
	char bar[BAR_WIDTH + 1];
	unsigned columns = terminal_width() > BAR_ROOM + BAR_WIDTH ? BAR_WIDTH : BAR_WIDTH_LEAST;
	if (!(part <= 1))
		part = 1;
	memset(bar, '.', columns);
	memset(bar, '#', (size_t)(part * columns));
	bar[columns] = '\0';
	fprintf(stderr, "\r\033[K[%s] %3.0f %%", bar, part * 100);
	return columns;
}

// Where there is room behind the bar.
static void put_label(const char *label, unsigned columns)
{
	if (terminal_width() > BAR_ROOM + columns + strlen(label) + 2) {
		fputs("  ", stderr);
		put_safe(stderr, label);
	}
	fflush(stderr);
}

static void draw(struct progress *progress, uint64_t done, uint64_t total, uint64_t now)
{
	struct size_text done_text, total_text, rate_text;
	double seconds = (double)(now - progress->start_ns) / 1e9;
	unsigned columns = put_bar(total ? (double)done / (double)total : 0);
	fprintf(stderr, "  %s of %s  %s/s", size_text(done, &done_text),
		size_text(total, &total_text),
		size_text((uint64_t)((double)done / seconds), &rate_text));
	put_label(progress->label, columns);
	progress->drawn = true;
	progress->last_ns = now;
}

static bool is_time(const struct progress *progress, uint64_t now)
{
	return now - progress->start_ns > first_ns && now - progress->last_ns > between_ns;
}

bool progress_tell(void *context, uint64_t done_bytes, uint64_t total_bytes)
{
	struct progress *progress = context;
	if (progress->shown) {
		uint64_t now = monotonic_ns();
		if (is_time(progress, now))
			draw(progress, done_bytes, total_bytes, now);
	}
	return !interrupted;
}

bool progress_tell_part(void *context, const char *what, double done)
{
	struct progress *progress = context;
	uint64_t now = progress->shown ? monotonic_ns() : 0;
	if (progress->shown && is_time(progress, now)) {
		put_label(what ? what : progress->label, put_bar(done));
		progress->drawn = true;
		progress->last_ns = now;
	}
	return !interrupted;
}

void progress_end(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
}
