// SPDX-License-Identifier: Apache-2.0
// The literal that every match of a pattern holds. Knows the plainest part of PCRE2's grammar and
// gives up at the rest: an answer that is none costs time, a wrong one costs matches.

#include <stdint.h>
#include <string.h>

#include "base/regex.h"

struct reading {
	const char *pattern;
	size_t size, at;
	size_t depth;		// of groups: only what stands in none is always there
	size_t run, run_size;	// the literal being read, its place in `text`
	size_t best, best_size; // the longest so far
	char *text;
	size_t used;
};

/** Ends the literal being read. */
static void end_run(struct reading *reading)
{
	if (reading->run_size > reading->best_size) {
		reading->best = reading->run;
		reading->best_size = reading->run_size;
	}
	reading->run = reading->used;
	reading->run_size = 0;
}

static void take(struct reading *reading, char c)
{
	if (reading->depth)
		return;
	reading->text[reading->used++] = c;
	reading->run_size++;
}

/** '*', '?', '{': what stands before it may be missing. */
static void drop_last(struct reading *reading)
{
	if (reading->run_size)
		reading->run_size--;
	end_run(reading);
}

static bool read_escape(struct reading *reading)
{
	if (reading->at == reading->size)
		return false;
	char c = reading->pattern[reading->at++];
	if (strchr("dDwWsSbB", c) && c) {
		end_run(reading);
		return true;
	}
	bool plain = c > ' ' && c < 0x7f && !(c >= '0' && c <= '9') &&
		     !((c | 0x20) >= 'a' && (c | 0x20) <= 'z');
	if (plain)
		take(reading, c);
	return plain;
}

static bool skip_class(struct reading *reading)
{
	end_run(reading);
	if (reading->at < reading->size && reading->pattern[reading->at] == '^')
		reading->at++;
	for (size_t first = reading->at; reading->at < reading->size;) {
		char c = reading->pattern[reading->at++];
		if (c == '[' || c == '\\')
			return false; // named classes, \Q, ...
		if (c == ']' && reading->at - 1 != first)
			return true;
	}
	return false;
}

static bool skip_counts(struct reading *reading)
{
	drop_last(reading);
	while (reading->at < reading->size) {
		char c = reading->pattern[reading->at++];
		if (c == '}')
			return true;
		if (c != ',' && (c < '0' || c > '9'))
			return false; // no counts: literal text
	}
	return false;
}

static bool open_group(struct reading *reading)
{
	end_run(reading);
	reading->depth++;
	size_t left = reading->size - reading->at;
	const char *next = reading->pattern + reading->at;
	if (left && (*next == '*' || *next == '?')) {
		if (left < 2 || *next == '*' || next[1] != ':')
			return false; // verbs, options, assertions
		reading->at += 2;
	}
	return true;
}

static bool read_one(struct reading *reading)
{
	char c = reading->pattern[reading->at++];
	switch (c) {
	case '\\':
		return read_escape(reading);
	case '[':
		return skip_class(reading);
	case '{':
		return skip_counts(reading);
	case '(':
		return open_group(reading);
	case ')':
		end_run(reading);
		return reading->depth-- > 0;
	case '|':
		return reading->depth > 0;
	case '*':
	case '?':
		drop_last(reading);
		return true;
	case '+':
	case '.':
	case '^':
	case '$':
		end_run(reading);
		return true;
	default:
		take(reading, c);
		return true;
	}
}

size_t regex_literal(const char *pattern, size_t size, char *ret)
{
	struct reading reading = {.pattern = pattern, .size = size, .text = ret};
	while (reading.at < size)
		if (!read_one(&reading))
			return 0;
	end_run(&reading);
	memmove(ret, ret + reading.best, reading.best_size);
	return reading.best_size;
}
