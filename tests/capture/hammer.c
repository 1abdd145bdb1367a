// SPDX-License-Identifier: Apache-2.0
// Captures a process again and again, as fast as it goes, until it is gone or SIGTERM comes; looks
// after each capture at what it left. Prints one line of JSON at the end.
#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/error.h>
#include <strobe/snapshot.h>
#include <time.h>
#include <unistd.h>

enum { HELD_MAX = 64 };

struct hammer {
	int pid;
	unsigned held_limit, most_ms; // frozen copies to keep; 0 = no limit of time
	bool may_be_stopped;
	struct strobe_snapshot *held[HELD_MAX];
	unsigned long captures, clones, copies, errors;
	uint64_t pause_max_ns, pause_sum_ns;
	char error[300], left[200], why[200];
};

static volatile sig_atomic_t asked_to_stop;

static void ask_to_stop(int signal)
{
	asked_to_stop = 1;
}

static uint64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static char state_of(int pid)
{
	char path[64], text[512] = "";
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	FILE *file = fopen(path, "r");
	if (!file)
		return 0;
	size_t size = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[size] = '\0';
	const char *after = strrchr(text, ')');
	return after && after[1] ? after[2] : 0;
}

static int thread_count(int pid)
{
	char path[64];
	int count = 0;
	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));)
		count += entry->d_name[0] != '.';
	if (folder)
		closedir(folder);
	return count;
}

// Ended, perhaps not waited for yet. A process whose first thread has ended looks like a zombie.
static bool gone(int pid)
{
	char state = state_of(pid);
	return !state || ((state == 'Z' || state == 'X') && thread_count(pid) <= 1);
}

static void look_once(struct hammer *hammer)
{
	char path[300], text[512];
	snprintf(path, sizeof(path), "/proc/%d/task", hammer->pid);
	DIR *folder = opendir(path);
	for (struct dirent *entry; folder && (entry = readdir(folder));) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", hammer->pid, entry->d_name);
		FILE *file = fopen(path, "r");
		if (!file)
			continue;
		char state = '?';
		while (fgets(text, sizeof(text), file)) {
			if (strncmp(text, "State:\t", 7) == 0)
				state = text[7];
			bool bad =
				strncmp(text, "State:\tt", 8) == 0 ||
				(strncmp(text, "State:\tT", 8) == 0 && !hammer->may_be_stopped) ||
				(strncmp(text, "TracerPid:", 10) == 0 && atoi(text + 10) != 0);
			if (bad)
				snprintf(hammer->left, sizeof(hammer->left),
					 "thread %.20s in state %c: %.*s", entry->d_name, state,
					 (int)strcspn(text, "\n"), text);
		}
		fclose(file);
	}
	if (folder)
		closedir(folder);
}

// No thread of the target may be stopped or traced once a capture is over. One that did not stop in
// time is let go as soon as it does.
static void look_for_stopped(struct hammer *hammer)
{
	char before[sizeof(hammer->left)];
	memcpy(before, hammer->left, sizeof(before));
	for (int tries = 0; tries < 3000; tries++) {
		hammer->left[0] = '\0';
		look_once(hammer);
		if (!hammer->left[0]) {
			memcpy(hammer->left, before, sizeof(before));
			return;
		}
		usleep(1000);
	}
}

static void drop(struct hammer *hammer, unsigned index)
{
	struct strobe_snapshot *snapshot = hammer->held[index];
	int clone = snapshot ? strobe_snapshot_info(snapshot)->clone_pid : 0;
	hammer->held[index] = strobe_snapshot_close(snapshot);
	for (int tries = 0; clone && !gone(clone) && tries < 200; tries++)
		usleep(1000);
	if (clone && !gone(clone) && !hammer->left[0])
		snprintf(hammer->left, sizeof(hammer->left), "the clone %d is still there", clone);
}

static void keep_error(struct hammer *hammer, struct strobe_error *error)
{
	// The target may end at any time: this is no failure of ours. Ending takes a while.
	for (int tries = 0; !gone(hammer->pid) && tries < 300 && !asked_to_stop; tries++)
		usleep(1000);
	if (!gone(hammer->pid) && strobe_error_code(error) != STROBE_ERROR_NOT_FOUND) {
		hammer->errors++;
		snprintf(hammer->error, sizeof(hammer->error), "%s", strobe_error_message(error));
	}
	strobe_error_free(error);
}

static bool capture(struct hammer *hammer)
{
	unsigned index = (unsigned)(hammer->captures % (hammer->held_limit + 1));
	struct strobe_snapshot *snapshot = NULL;
	struct strobe_error *error = strobe_snapshot_take(hammer->pid, NULL, &snapshot);
	if (error) {
		keep_error(hammer, error);
		return !gone(hammer->pid) && hammer->errors < 20;
	}
	const struct strobe_snapshot_info *info = strobe_snapshot_info(snapshot);
	hammer->captures++;
	hammer->clones += info->method == STROBE_SNAPSHOT_CLONE;
	hammer->copies += info->method == STROBE_SNAPSHOT_COPY;
	if (info->method_why)
		snprintf(hammer->why, sizeof(hammer->why), "%s", info->method_why);
	hammer->pause_sum_ns += info->pause_ns;
	if (info->pause_ns > hammer->pause_max_ns)
		hammer->pause_max_ns = info->pause_ns;
	look_for_stopped(hammer);
	if (hammer->held[index])
		drop(hammer, index);
	hammer->held[index] = snapshot;
	if (hammer->held_limit == 0)
		drop(hammer, index);
	return true;
}

static void write_string(const char *name, const char *text)
{
	printf(", \"%s\": \"", name);
	for (; *text; text++)
		if (*text == '"' || *text == '\\')
			printf("\\%c", *text);
		else
			printf((unsigned char)*text < ' ' ? "\\u%04x" : "%c", *text);
	printf("\"");
}

int main(int argc, char **argv)
{
	static struct hammer hammer;
	for (int i = 1; i < argc; i++)
		if (strcmp(argv[i], "--may-be-stopped") == 0)
			hammer.may_be_stopped = true;
		else if (strcmp(argv[i], "--held") == 0 && i + 1 < argc)
			hammer.held_limit = (unsigned)atoi(argv[++i]);
		else if (strcmp(argv[i], "--ms") == 0 && i + 1 < argc)
			hammer.most_ms = (unsigned)atoi(argv[++i]);
		else
			hammer.pid = atoi(argv[i]);
	if (hammer.pid <= 0 || hammer.held_limit >= HELD_MAX) {
		fprintf(stderr, "usage: hammer [--held N] [--ms N] [--may-be-stopped] PID\n");
		return 2;
	}
	struct sigaction action = {.sa_handler = ask_to_stop};
	sigset_t term;
	sigaction(SIGTERM, &action, NULL);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_UNBLOCK, &term, NULL); // it may be waiting since before we began
	uint64_t start = now_ns();
	while (!asked_to_stop && !gone(hammer.pid) &&
	       (!hammer.most_ms || now_ns() - start < hammer.most_ms * 1000000ull))
		if (!capture(&hammer))
			break;
	for (unsigned i = 0; i < HELD_MAX; i++)
		drop(&hammer, i);
	printf("{\"captures\": %lu, \"clones\": %lu, \"copies\": %lu, \"errors\": %lu, "
	       "\"pause_max_ns\": %llu, \"pause_mean_ns\": %llu",
	       hammer.captures, hammer.clones, hammer.copies, hammer.errors,
	       (unsigned long long)hammer.pause_max_ns,
	       (unsigned long long)(hammer.captures ? hammer.pause_sum_ns / hammer.captures : 0));
	write_string("error", hammer.error);
	write_string("left", hammer.left);
	write_string("why", hammer.why);
	printf("}\n");
	return 0;
}
