// SPDX-License-Identifier: Apache-2.0
// The files "status" and "stat" of a process and of its threads.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/proc.h"

enum {
	STAT_SIZE = 4096,	// of the one line
	TICK_NS = 10 * 1000000, // USER_HZ is 100 on x86-64, whatever the kernel's HZ
};

/** The kernel writes newline and backslash in names as two characters. */
static void copy_name(char *to, size_t room, const char *from, size_t length)
{
	size_t used = 0;
	for (size_t i = 0; i < length && used + 1 < room; i++) {
		char c = from[i];
		if (c == '\\' && i + 1 < length && (from[i + 1] == '\\' || from[i + 1] == 'n'))
			c = from[++i] == 'n' ? '\n' : '\\';
		to[used++] = c;
	}
	to[used] = '\0';
}

/** How a line of status is read. */
enum line_kind {
	LINE_NUMBER,
	LINE_OCTAL,
	LINE_KIB,
	LINE_IDS,
	LINE_MASK,
};
struct status_line {
	const char *key;
	enum line_kind kind;
	size_t place; // offset in struct proc_status, or the mask's number
};
#define PLACE(field) offsetof(struct proc_status, field)
static const struct status_line status_lines[] = {
	{"Umask", LINE_OCTAL, PLACE(umask)},
	{"Tgid", LINE_NUMBER, PLACE(pid)},
	{"PPid", LINE_NUMBER, PLACE(ppid)},
	{"Uid", LINE_IDS, PLACE(user_ids)},
	{"Gid", LINE_IDS, PLACE(group_ids)},
	{"NSpgid", LINE_NUMBER, PLACE(pgid)},
	{"NSsid", LINE_NUMBER, PLACE(sid)},
	{"VmHWM", LINE_KIB, PLACE(resident_peak_bytes)},
	{"VmRSS", LINE_KIB, PLACE(resident_bytes)},
	{"VmSwap", LINE_KIB, PLACE(swapped_bytes)},
	{"SigPnd", LINE_MASK, PROC_MASK_PENDING},
	{"ShdPnd", LINE_MASK, PROC_MASK_SHARED_PENDING},
	{"SigBlk", LINE_MASK, PROC_MASK_BLOCKED},
	{"SigIgn", LINE_MASK, PROC_MASK_IGNORED},
	{"SigCgt", LINE_MASK, PROC_MASK_CAUGHT},
	{"CapInh", LINE_MASK, PROC_MASK_INHERITABLE},
	{"CapPrm", LINE_MASK, PROC_MASK_PERMITTED},
	{"CapEff", LINE_MASK, PROC_MASK_EFFECTIVE},
	{"CapBnd", LINE_MASK, PROC_MASK_BOUNDING},
	{"CapAmb", LINE_MASK, PROC_MASK_AMBIENT},
	{"NoNewPrivs", LINE_NUMBER, PLACE(no_new_privileges)},
	{"Seccomp", LINE_NUMBER, PLACE(seccomp)},
	{"Seccomp_filters", LINE_NUMBER, PLACE(seccomp_filters)},
	{"voluntary_ctxt_switches", LINE_NUMBER, PLACE(voluntary_switches)},
	{"nonvoluntary_ctxt_switches", LINE_NUMBER, PLACE(involuntary_switches)},
};

/** A number that is not negative; -1 where there is none, or it does not fit. */
static int64_t parse_count(const char **text, int base)
{
	char *end;
	*text += strspn(*text, " \t");
	if (**text < '0' || **text > '9')
		return -1;
	unsigned long long value = strtoull(*text, &end, base);
	*text = end;
	return value <= INT64_MAX ? (int64_t)value : -1;
}

static void parse_line(const struct status_line *line, const char *value, struct proc_status *ret)
{
	int64_t *number = (int64_t *)((char *)ret + line->place);
	char *end;
	switch (line->kind) {
	case LINE_NUMBER:
		*number = parse_count(&value, 10);
		break;
	case LINE_OCTAL:
		*number = parse_count(&value, 8);
		break;
	case LINE_KIB:
		*number = parse_count(&value, 10);
		if (*number > INT64_MAX / 1024)
			*number = -1;
		*number *= *number < 0 ? 1 : 1024;
		break;
	case LINE_IDS:
		for (int i = 0; i < 4; i++)
			number[i] = parse_count(&value, 10);
		break;
	case LINE_MASK:
		value += strspn(value, " \t");
		ret->masks[line->place] = strtoull(value, &end, 16);
		if (end != value)
			ret->known |= 1u << line->place;
		break;
	}
}

void proc_parse_status(const char *text, size_t size, struct proc_status *ret)
{
	const char *at = text, *end = text + size;
	char line[PROC_LINE_SIZE];
	memset(ret, 0xff, sizeof(*ret)); // -1 everywhere
	memset(ret->name, 0, sizeof(ret->name));
	ret->state = 0;
	ret->known = 0;
	ret->groups = ret->groups_end = NULL;
	for (const char *start = at; proc_next_line(&at, end, line); start = at) {
		char *colon = strchr(line, ':');
		if (!colon)
			continue;
		*colon = '\0';
		const char *value = colon + 1 + strspn(colon + 1, " \t");
		if (strcmp(line, "Name") == 0)
			copy_name(ret->name, sizeof(ret->name), value, strlen(value));
		else if (strcmp(line, "State") == 0)
			ret->state = *value;
		else if (strcmp(line, "Groups") == 0) // of 65,536 groups: longer than `line`
			ret->groups = start + (colon + 1 - line), ret->groups_end = at;
		for (size_t i = 0; i < sizeof(status_lines) / sizeof(status_lines[0]); i++)
			if (strcmp(line, status_lines[i].key) == 0)
				parse_line(&status_lines[i], value, ret);
	}
}

/** Field n of stat, counted from 1 as in proc(5). The third is the first behind the name. */
enum stat_field {
	STAT_FIRST = 4, // behind the state
	STAT_PPID = 4,
	STAT_PGID = 5,
	STAT_SID = 6,
	STAT_USER_TIME = 14,
	STAT_SYSTEM_TIME = 15,
	STAT_NICE = 19,
	STAT_START_TIME = 22,
	STAT_CPU = 39,
	STAT_REALTIME_PRIORITY = 40,
	STAT_POLICY = 41,
	STAT_END = 42,
};

static int64_t ticks(int64_t count)
{
	int64_t result;
	return count < 0 || __builtin_mul_overflow(count, TICK_NS, &result) ? -1 : result;
}

bool proc_parse_stat(const char *text, size_t size, struct proc_stat *ret)
{
	char line[STAT_SIZE];
	long long fields[STAT_END];
	size_t length = size < sizeof(line) - 1 ? size : sizeof(line) - 1;
	memcpy(line, text, length);
	line[length] = '\0';
	char *open = strchr(line, '('), *close = strrchr(line, ')'); // names have brackets, too
	if (!open || !close || close < open || close[1] != ' ' || !close[2])
		return false;
	for (size_t i = 0; i < STAT_END; i++)
		fields[i] = -1;
	int count = STAT_FIRST;
	for (char *at = close + 3, *end; count < STAT_END; count++, at = end) {
		long long value = strtoll(at, &end, 10);
		if (end == at)
			break;
		fields[count] = value;
	}
	*ret = (struct proc_stat){
		.state = close[2],
		.ppid = fields[STAT_PPID],
		.pgid = fields[STAT_PGID],
		.sid = fields[STAT_SID],
		.user_ns = ticks(fields[STAT_USER_TIME]),
		.system_ns = ticks(fields[STAT_SYSTEM_TIME]),
		.start_ns = ticks(fields[STAT_START_TIME]),
		.nice = count > STAT_NICE ? (int)fields[STAT_NICE] : STROBE_NOT_KNOWN,
		.cpu = fields[STAT_CPU],
		.realtime_priority = fields[STAT_REALTIME_PRIORITY],
		.policy = fields[STAT_POLICY],
	};
	copy_name(ret->name, sizeof(ret->name), open + 1, (size_t)(close - open - 1));
	return true;
}
