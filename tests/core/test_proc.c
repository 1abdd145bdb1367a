// SPDX-License-Identifier: Apache-2.0
// The text of /proc: status, stat, lines.
#include "core/proc.h"

#include "check.h"

static void reads_status(void)
{
	static const char text[] = "Name:\todd\\nname\\\\x\nUmask:\t0027\nState:\tS (sleeping)\n"
				   "Tgid:\t12\t\nPid:\t13\nPPid:\t1\n"
				   "Uid:\t1000\t1001\t1002\t1003\nGid:\t0\t4294967295\t2\t3\n"
				   "Groups:\t4 24 1000 \nNSpgid:\t11\t1\nNSsid:\t10\t1\n"
				   "VmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n"
				   "SigPnd:\t0000000000000001\nShdPnd:\t0000000000004000\n"
				   "SigBlk:\tfffffffe7ffbfeff\nSigIgn:\t0000000000001000\n"
				   "SigCgt:\t0000000180004002\nCapEff:\t000001ffffffffff\n"
				   "NoNewPrivs:\t1\nSeccomp:\t2\nSeccomp_filters:\t3\n"
				   "voluntary_ctxt_switches:\t42\nnonvoluntary_ctxt_switches:\t7\n";
	struct proc_status status;
	proc_parse_status(text, sizeof(text) - 1, &status);
	CHECK_STRING(status.name, "odd\nname\\x");
	CHECK_EQUAL(status.state, 'S');
	CHECK_EQUAL(status.pid, 12);
	CHECK_EQUAL(status.ppid, 1);
	CHECK_EQUAL(status.pgid, 11);
	CHECK_EQUAL(status.sid, 10);
	CHECK_EQUAL(status.umask, 027);
	CHECK_EQUAL(status.user_ids[3], 1003);
	CHECK_EQUAL(status.group_ids[1], 4294967295u);
	CHECK_EQUAL(status.resident_peak_bytes, 2048 * 1024);
	CHECK_EQUAL(status.resident_bytes, 1024 * 1024);
	CHECK_EQUAL(status.swapped_bytes, -1);
	CHECK_EQUAL(status.known, 1u << PROC_MASK_PENDING | 1u << PROC_MASK_SHARED_PENDING |
					  1u << PROC_MASK_BLOCKED | 1u << PROC_MASK_IGNORED |
					  1u << PROC_MASK_CAUGHT | 1u << PROC_MASK_EFFECTIVE);
	CHECK_EQUAL(status.masks[PROC_MASK_BLOCKED], 0xfffffffe7ffbfeff);
	CHECK_EQUAL(status.masks[PROC_MASK_EFFECTIVE], 0x1ffffffffff);
	CHECK_EQUAL(status.no_new_privileges, 1);
	CHECK_EQUAL(status.seccomp, 2);
	CHECK_EQUAL(status.seccomp_filters, 3);
	CHECK_EQUAL(status.voluntary_switches, 42);
	CHECK_EQUAL(status.involuntary_switches, 7);
	CHECK(strncmp(status.groups, "\t4 24 1000 \n", 12) == 0);
	CHECK_EQUAL(status.groups_end - status.groups, 12);
}

static void knows_nothing_of_an_empty_status(void)
{
	static const char *const texts[] = {"",
					    "\n\n",
					    "Uid",
					    "Uid:",
					    "Uid:\t\nTgid: -5\nVmRSS: x",
					    "VmRSS:\t99999999999999999999 kB\nSigIgn:\t"};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct proc_status status;
		proc_parse_status(texts[i], strlen(texts[i]), &status);
		CHECK_EQUAL(status.user_ids[0], -1);
		CHECK_EQUAL(status.pid, -1);
		CHECK_EQUAL(status.resident_bytes, -1);
		CHECK_EQUAL(status.known, 0);
		CHECK_EQUAL(status.state, 0);
		CHECK_STRING(status.name, "");
	}
}

static const char stat_text[] =
	"77 (a) S b) R 1 2 3 0 -1 4194304 90 0 0 0 250 4 0 0 20 -5 3 0 12345 3133440 397 "
	"18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 99 1 0 0 0 1 1 1 1 1 1 1 0\n";

static void reads_stat(void)
{
	struct proc_stat stat;
	CHECK(proc_parse_stat(stat_text, sizeof(stat_text) - 1, &stat));
	CHECK_STRING(stat.name, "a) S b");
	CHECK_EQUAL(stat.state, 'R');
	CHECK_EQUAL(stat.ppid, 1);
	CHECK_EQUAL(stat.sid, 3);
	CHECK_EQUAL(stat.user_ns, INT64_C(2500000000));
	CHECK_EQUAL(stat.system_ns, 40000000);
	CHECK_EQUAL(stat.start_ns, INT64_C(123450000000));
	CHECK_EQUAL(stat.nice, -5);
	CHECK_EQUAL(stat.cpu, 1);
	CHECK_EQUAL(stat.realtime_priority, 99);
	CHECK_EQUAL(stat.policy, 1);
}

static void reads_this_process(void)
{
	char text[4096];
	FILE *file = fopen("/proc/self/stat", "re");
	CHECK(file);
	size_t size = fread(text, 1, sizeof(text), file);
	fclose(file);
	struct proc_stat stat;
	CHECK(proc_parse_stat(text, size, &stat));
	CHECK_STRING(stat.name, "test_proc");
	CHECK_EQUAL(stat.state, 'R');
	CHECK(stat.start_ns > 0);
	CHECK(stat.cpu >= 0 && stat.policy >= 0);
}

static void reads_what_there_is_of_a_cut_stat(void)
{
	for (size_t size = 0; size < sizeof(stat_text); size++) {
		struct proc_stat stat;
		bool good = proc_parse_stat(stat_text, size, &stat);
		// "77 (a) S" looks like the line of a thread called "a".
		CHECK_EQUAL(good,
			    size >= strlen("77 (a) S b) R") ||
				    (size >= strlen("77 (a) S") && size < strlen("77 (a) S b)")));
		if (good && size < strlen("77 (a) S b) R 1 2 3 0 -1 4194304 90 0 0 0 2")) {
			CHECK_EQUAL(stat.user_ns, -1);
			CHECK_EQUAL(stat.nice, STROBE_NOT_KNOWN);
		}
	}
}

static void reads_lines(void)
{
	static char text[PROC_LINE_SIZE * 2 + 5];
	char line[PROC_LINE_SIZE];
	memset(text, 'x', sizeof(text));
	text[PROC_LINE_SIZE * 2] = '\n';
	const char *at = text, *end = text + sizeof(text);
	CHECK(proc_next_line(&at, end, line));
	CHECK_EQUAL(strlen(line), PROC_LINE_SIZE - 1);
	CHECK(proc_next_line(&at, end, line));
	CHECK_STRING(line, "xxxx");
	CHECK(!proc_next_line(&at, end, line));
}

int main(void)
{
	static const struct check_case cases[] = {
		{"status is read", reads_status},
		{"what status does not tell is not known", knows_nothing_of_an_empty_status},
		{"stat is read, whatever the name holds", reads_stat},
		{"stat of this very process is read", reads_this_process},
		{"a cut stat gives what there is", reads_what_there_is_of_a_cut_stat},
		{"lines are cut at the limit", reads_lines},
	};
	return check_run(cases, sizeof(cases) / sizeof(cases[0]));
}
