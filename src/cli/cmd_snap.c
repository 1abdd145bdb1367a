// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/hold.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process_list.h"
#include "progress.h"
#include "snap.h"

enum { STOP_LIMIT_MS_MAXIMUM = 60000, LEVEL_MAXIMUM = 19, PATTERN_LIMIT = 100 };

// One run. Invariants: snapshots[i] and errors[i] belong to pids[i] and are closed or NULL.
struct snap {
	struct command *command;
	struct strobe_snapshot_options take;
	struct strobe_write_options write;
	const char *patterns[PATTERN_LIMIT];
	struct progress progress;
	bool several; // results go into an array, files into a directory or by a template
	struct json json;
	FILE *out; // results; stderr when the snapshot itself goes to standard output
	uint64_t start_ns;
};

static int read_redaction(struct snap *snap)
{
	const struct command *command = snap->command;
	const char *kinds, *pattern;
	size_t at = 0;
	while ((kinds = command_option_next(command, "redact", &at))) {
		for (const char *kind = kinds;; kind += strcspn(kind, ",") + 1) {
			int size = (int)strcspn(kind, ",");
			if (size == 7 && strncmp(kind, "strings", 7) == 0)
				snap->write.redact |= STROBE_REDACT_STRINGS;
			else if (size == 11 && strncmp(kind, "environment", 11) == 0)
				snap->write.redact |= STROBE_REDACT_ENVIRONMENT;
			else
				return command_usage(command,
						     "--redact: '%.*s' is neither strings nor "
						     "environment",
						     size, kind);
			if (!kind[size])
				break;
		}
	}
	at = 0;
	while ((pattern = command_option_next(command, "redact-pattern", &at))) {
		if (snap->write.redact_pattern_count == PATTERN_LIMIT)
			return command_usage(command, "more than %d times --redact-pattern",
					     PATTERN_LIMIT);
		snap->patterns[snap->write.redact_pattern_count++] = pattern;
	}
	snap->write.redact_patterns = snap->patterns;
	return STATUS_DONE;
}

static int read_limits(struct snap *snap)
{
	const struct command *command = snap->command;
	const char *bytes = command_option(command, "max-bytes");
	uint64_t depth = 0;
	if ((bytes || command_has(command, "max-depth")) &&
	    snap->write.contents != STROBE_CONTENTS_REACHABLE)
		return command_usage(command, "--%s goes with --contents reachable",
				     bytes ? "max-bytes" : "max-depth");
	int status = command_number(command, "max-depth", UINT_MAX, &depth);
	if (status)
		return status;
	if (command_has(command, "max-depth") && depth == 0)
		return command_usage(command, "--max-depth: the least is 1");
	snap->write.max_depth = (unsigned)depth;
	if (bytes && strcmp(bytes, "all") == 0)
		snap->write.max_bytes = UINT64_MAX;
	else if (bytes && (!parse_size(bytes, &snap->write.max_bytes) || !snap->write.max_bytes))
		return command_usage(command, "--max-bytes: '%s' is neither a size nor 'all'",
				     bytes);
	return STATUS_DONE;
}

static int read_write_options(struct snap *snap)
{
	const struct command *command = snap->command;
	const char *contents = command_option(command, "contents");
	uint64_t level = 0;
	snap->write.size = sizeof(snap->write);
	if (contents && strcmp(contents, "full") == 0)
		snap->write.contents = STROBE_CONTENTS_FULL;
	else if (contents && strcmp(contents, "stacks") == 0)
		snap->write.contents = STROBE_CONTENTS_STACKS;
	else if (contents && strcmp(contents, "reachable") == 0)
		snap->write.contents = STROBE_CONTENTS_REACHABLE;
	int status = read_limits(snap);
	if (!status)
		status = command_number(command, "level", LEVEL_MAXIMUM, &level);
	if (status)
		return status;
	if (command_has(command, "level") && level == 0)
		return command_usage(command, "--level: the least is 1");
	snap->write.level = (int)level;
	snap->write.compress = command_has(command, "compress") || level > 0;
	snap->write.since = command_option(command, "since");
	snap->write.with_files = command_has(command, "with-files");
	snap->write.no_fsync = command_has(command, "no-fsync");
	snap->write.progress = progress_tell;
	snap->write.context = &snap->progress;
	return read_redaction(snap);
}

static int read_take_options(struct snap *snap)
{
	const struct command *command = snap->command;
	const char *budget = command_option(command, "shared-budget");
	uint64_t limit_ms = 0;
	snap->take.size = sizeof(snap->take);
	snap->take.no_clone = command_has(command, "no-clone");
	int status = command_number(command, "stop-limit", STOP_LIMIT_MS_MAXIMUM, &limit_ms);
	if (status)
		return status;
	if (command_has(command, "stop-limit") && limit_ms == 0)
		return command_usage(command, "--stop-limit: the least is 1 ms");
	snap->take.stop_limit_ms = (unsigned)limit_ms;
	if (!budget)
		return STATUS_DONE;
	if (strcmp(budget, "all") == 0)
		snap->take.shared_budget_bytes = UINT64_MAX;
	else if (!parse_size(budget, &snap->take.shared_budget_bytes))
		return command_usage(command, "--shared-budget: '%s' is neither a size nor 'all'",
				     budget);
	if (snap->take.shared_budget_bytes == 0)
		snap->take.shared_budget_bytes = 1; // 0 means the default; no page fits into 1
	return STATUS_DONE;
}

static bool is_directory(const char *path)
{
	struct stat status;
	return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

// The file for one snapshot, malloc'ed; NULL has been told.
static char *choose_file(const struct snap *snap, int pid, const char *name)
{
	const struct command *command = snap->command;
	const char *output = command_option(command, "output");
	const char *suffix = snap->write.compress ? ".zst" : "";
	bool directory = output && is_directory(output);
	struct snap_name escapes = {.pid = pid, .name = name, .time = time(NULL)};
	char bad, *path = NULL, *file = NULL;
	if (output && !directory) {
		path = snap->several ? snap_expand(output, &escapes, &bad) : strdup(output);
		if (!path)
			command_fail(command, "out of memory");
		return path;
	}
	// A name that we make up must not cost anybody an older file.
	file = snap_expand("%n.%p.core", &escapes, &bad);
	if (!file || asprintf(&path, "%s%s%s%s", directory ? output : "", directory ? "/" : "",
			      file, suffix) < 0) {
		command_fail(command, "out of memory");
		path = NULL;
	} else if (access(path, F_OK) == 0 && !command_has(command, "force")) {
		command_fail(command,
			     "%s exists; give --force to replace it, or another name by -o", path);
		free(path);
		path = NULL;
	}
	free(file);
	return path;
}

// `value` of `option` is to name each of several processes' results.
static int check_names(const struct snap *snap, const char *option, const char *value,
		       const char *otherwise)
{
	const struct snap_name escapes = {.name = ""};
	char bad;
	char *tried = snap_expand(value, &escapes, &bad);
	if (!tried && bad)
		return command_usage(snap->command, "%s %s: %%%c is none of %%p %%n %%t %%%%",
				     option, value, bad);
	free(tried);
	if (strcmp(value, "-") == 0 || !strstr(value, "%p"))
		return command_usage(snap->command,
				     "%s %s: for several processes give %sa name with %%p in it",
				     option, value, otherwise);
	return STATUS_DONE;
}

static int check_template(const struct snap *snap)
{
	const char *output = command_option(snap->command, "output");
	const char *hold = command_option(snap->command, "hold");
	if (snap->several && hold)
		return check_names(snap, "--hold", hold, "");
	if (!snap->several || !output || is_directory(output))
		return STATUS_DONE;
	return check_names(snap, "-o", output, "a directory that exists, or ");
}

static void tell(struct snap *snap, const struct snap_result *result)
{
	if (snap->command->json) {
		snap_json(&snap->json, result);
		if (!snap->several)
			json_fini(&snap->json); // warnings may follow in the same stream
	} else {
		snap_text(snap->command, snap->out, result);
	}
	snap_warn(snap->command, result);
}

static int write_failed(const struct snap *snap, const char *file, struct strobe_error *error)
{
	int number = progress_interrupted();
	if (!number)
		return command_error(snap->command, file, error);
	strobe_error_free(error);
	return command_fail(snap->command, "%s: cancelled by SIG%s: nothing is left of it", file,
			    sigabbrev_np(number));
}

// What nobody misses is not told: the kernel's clock pages, which no other process may read, and
// guard pages, which the process itself may not.
static uint64_t missing_bytes(const struct strobe_view *view, const struct strobe_written *written)
{
	uint64_t expected = 0;
	size_t count = strobe_view_mapping_count(view);
	for (size_t i = 0; i < count; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		if (!(mapping->permissions & STROBE_PERMISSION_READ) ||
		    (mapping->path && strncmp(mapping->path, "[vvar", 5) == 0))
			expected += mapping->end - mapping->start;
	}
	return written->missing_bytes > expected ? written->missing_bytes - expected : 0;
}

// Writes `view` to where the options say; `info` is NULL if it is no copy that we took.
static int write_view(struct snap *snap, struct strobe_view *view,
		      const struct strobe_snapshot_info *info)
{
	const struct strobe_process_info *process = strobe_view_process_info(view);
	const char *name = process->name ? process->name : "";
	struct strobe_written written = {0};
	struct strobe_error *error;
	char *file = choose_file(snap, process->pid, name);
	if (!file)
		return STATUS_FAILED;
	bool to_stdout = strcmp(file, "-") == 0;
	snap->progress.label = file;
	snap->progress.start_ns = monotonic_ns();
	error = to_stdout ? strobe_snapshot_write_fd(view, STDOUT_FILENO, &snap->write, &written)
			  : strobe_snapshot_write(view, file, &snap->write, &written);
	progress_end(&snap->progress);
	int status = STATUS_DONE;
	if (error) {
		status = write_failed(snap, to_stdout ? "standard output" : file, error);
	} else {
		struct snap_result result = {
			.file = file,
			.pid = process->pid,
			.name = name,
			.thread_count = strobe_view_thread_count(view),
			.total_ns = monotonic_ns() - snap->start_ns,
			.written = &written,
			.missing_bytes = missing_bytes(view, &written),
		};
		if (info)
			snap_set_info(&result, info);
		else
			snap_set_view(&result, view);
		tell(snap, &result);
	}
	free(file);
	return status;
}

static int write_snapshot(struct snap *snap, struct strobe_snapshot *snapshot)
{
	struct command *command = snap->command;
	struct strobe_view_options options = command_view_options(command);
	const struct strobe_snapshot_info *info = strobe_snapshot_info(snapshot);
	struct strobe_error *error = strobe_snapshot_view(snapshot, &options, &command->view);
	if (error) {
		char what[32];
		snprintf(what, sizeof(what), "%d", info->pid);
		return command_error(command, what, error);
	}
	int status = write_view(snap, command->view, info);
	command_tell_warnings(command);
	command->warnings_told = 0;
	command->view = strobe_view_close(command->view);
	return status;
}

// Takes all of `pids` at one instant, and writes one after the other.
static int snap_processes(struct snap *snap, const int *pids, size_t count)
{
	struct strobe_snapshot **snapshots = calloc(count, sizeof(struct strobe_snapshot *));
	struct strobe_error **errors = calloc(count, sizeof(struct strobe_error *));
	int status = STATUS_DONE;
	if (!snapshots || !errors) {
		free(snapshots);
		free(errors);
		return command_fail(snap->command, "out of memory");
	}
	snap->start_ns = monotonic_ns();
	if (count == 1)
		errors[0] = strobe_snapshot_take(pids[0], &snap->take, &snapshots[0]);
	else
		strobe_snapshot_take_all(pids, count, &snap->take, snapshots, errors);
	for (size_t i = 0; i < count; i++) {
		int one = STATUS_DONE;
		if (errors[i])
			one = command_error(snap->command, NULL, errors[i]);
		else if (!progress_interrupted())
			one = write_snapshot(snap, snapshots[i]);
		else if (status == STATUS_DONE)
			one = command_fail(snap->command, "%d: cancelled by SIG%s", pids[i],
					   sigabbrev_np(progress_interrupted()));
		status = one ? one : status;
		strobe_snapshot_close(snapshots[i]);
	}
	free(snapshots);
	free(errors);
	return status;
}

static void tell_held(struct snap *snap, const struct strobe_hold_info *info)
{
	struct snap_result result = {
		.hold = info->name,
		.pid = info->snapshot.pid,
		.name = info->process_name,
		.thread_count = info->snapshot.thread_count,
		.total_ns = monotonic_ns() - snap->start_ns,
	};
	snap_set_info(&result, &info->snapshot);
	tell(snap, &result);
}

// Holds all of `pids` under `names`, taken at one instant.
static int hold_processes(struct snap *snap, const int *pids, char *const *names, size_t count)
{
	struct strobe_hold **holds = calloc(count, sizeof(struct strobe_hold *));
	struct strobe_error **errors = calloc(count, sizeof(struct strobe_error *));
	struct strobe_error *error = NULL;
	int status = STATUS_DONE;
	snap->start_ns = monotonic_ns();
	if (!holds || !errors)
		status = command_fail(snap->command, "out of memory");
	else
		error = strobe_hold_take_all(pids, (const char *const *)names, count, &snap->take,
					     holds, errors);
	if (error)
		status = command_error(snap->command, NULL, error);
	for (size_t i = 0; i < count && !status && !error; i++)
		if (holds[i])
			tell_held(snap, strobe_hold_info(holds[i]));
	for (size_t i = 0; holds && errors && i < count; i++) {
		if (errors[i])
			status = command_error(snap->command, NULL, errors[i]);
		strobe_hold_free(holds[i]);
	}
	free(holds);
	free(errors);
	return status;
}

// The names that `template` gives `list`; false if memory is short. What is there is the caller's.
static bool expand_names(const char *template, const struct process_list *list, char **names)
{
	bool whole = true;
	char bad;
	for (size_t i = 0; i < list->count && whole; i++) {
		const struct snap_name escapes = {
			.pid = list->items[i].pid, .name = list->items[i].name, .time = time(NULL)};
		names[i] = snap_expand(template, &escapes, &bad);
		whole = names[i] != NULL;
	}
	return whole;
}

static int snap_list(struct snap *snap, const struct process_list *list)
{
	const char *hold = command_option(snap->command, "hold");
	int *pids = calloc(list->count, sizeof(*pids));
	char **names = calloc(list->count, sizeof(*names));
	int status = STATUS_DONE;
	if (!pids || !names || (hold && !expand_names(hold, list, names)))
		status = command_fail(snap->command, "out of memory");
	for (size_t i = 0; i < list->count && !status; i++)
		pids[i] = list->items[i].pid;
	if (!status)
		status = hold ? hold_processes(snap, pids, names, list->count)
			      : snap_processes(snap, pids, list->count);
	for (size_t i = 0; names && i < list->count; i++)
		free(names[i]);
	free(names);
	free(pids);
	return status;
}

static bool read_pid(const char *text, int *ret)
{
	uint64_t number;
	if (!isdigit((unsigned char)*text) || !parse_number(text, &number) || number == 0 ||
	    number > INT_MAX)
		return false;
	*ret = (int)number;
	return true;
}

static int snap_several(struct snap *snap, const char *name, const char *root)
{
	struct process_list list;
	int pid = 0;
	if (root && !read_pid(root, &pid))
		return command_usage(snap->command, "--tree: '%s' is no process id", root);
	int status = check_template(snap);
	if (status)
		return status;
	if (!process_list_read(&list))
		return command_fail(snap->command, "out of memory");
	if (name)
		process_list_keep_named(&list, name);
	else
		process_list_keep_tree(&list, pid);
	if (list.count > 0)
		status = snap_list(snap, &list);
	else if (name)
		status = command_fail(snap->command, "--all-of %s: no process of %s has this name",
				      name, geteuid() == 0 ? "this machine" : "this user");
	else
		status =
			command_fail(snap->command, "--tree %d: no such process of this user", pid);
	process_list_fini(&list);
	return status;
}

static int check_hold(const struct snap *snap, const char *name)
{
	static const char *const of_files[] = {
		"output", "contents",	    "compress", "level", "since",     "with-files",
		"redact", "redact-pattern", "no-fsync", "force", "max-bytes", "max-depth"};
	struct command *command = snap->command;
	for (size_t i = 0; i < sizeof(of_files) / sizeof(of_files[0]); i++)
		if (command_has(command, of_files[i]))
			return command_usage(command,
					     "--%s is for files; a copy that is held is written by "
					     "strobe snap @%s -o FILE",
					     of_files[i], name);
	return STATUS_DONE;
}

static int snap_hold(struct snap *snap, const char *target, const char *name)
{
	int pid;
	char *const names[] = {(char *)name};
	if (!read_pid(target, &pid))
		return command_usage(snap->command, "--hold %s: '%s' is no process id", name,
				     target);
	return hold_processes(snap, &pid, names, 1);
}

// The name of a program where a target should stand: says which processes have it.
static int explain_name(const struct command *command, const char *name)
{
	enum { SHOWN = 8 };
	struct process_list list;
	char pids[SHOWN * 12 + 8] = "";
	if (!process_list_read(&list))
		return command_fail(command, "out of memory");
	process_list_keep_named(&list, name);
	for (size_t i = 0; i < list.count && i < SHOWN; i++)
		snprintf(pids + strlen(pids), sizeof(pids) - strlen(pids), "%s%d", i ? ", " : "",
			 list.items[i].pid);
	if (list.count > SHOWN)
		strcat(pids, ", ...");
	size_t count = list.count;
	process_list_fini(&list);
	if (count == 0)
		return command_fail(command,
				    "%s: no process id, no @NAME, and no file or process has this "
				    "name",
				    name);
	return command_fail(command,
			    "%s: a name where a process id is wanted: %zu process%s %s this name "
			    "(%s); --all-of %s takes %s",
			    name, count, count == 1 ? "" : "es", count == 1 ? "has" : "have", pids,
			    name, count == 1 ? "it" : "all");
}

static int snap_target(struct snap *snap, const char *target)
{
	struct command *command = snap->command;
	int pid;
	if (read_pid(target, &pid))
		return snap_processes(snap, &pid, 1);
	if (*target != '@' && access(target, F_OK) != 0 && errno == ENOENT && !strchr(target, '/'))
		return explain_name(command, target);
	snap->start_ns = monotonic_ns();
	int status = command_open_view(command);
	return status ? status : write_view(snap, command->view, NULL);
}

static int run_chosen(struct snap *snap)
{
	const struct command *command = snap->command;
	static const char *const of_crash[] = {"pid", "tid", "signal", "time"};
	for (size_t i = 0; i < sizeof(of_crash) / sizeof(of_crash[0]); i++)
		if (command_has(command, of_crash[i]))
			return command_usage(command, "--%s goes with --core-pattern", of_crash[i]);
	const char *name = command_option(command, "all-of"),
		   *root = command_option(command, "tree");
	const char *hold = command_option(command, "hold");
	const char *target = command->argument_count ? command->arguments[0] : NULL;
	if (!!name + !!root + !!target != 1)
		return command_usage(command, "give one of TARGET, --all-of NAME and --tree PID");
	int status = hold ? check_hold(snap, hold) : STATUS_DONE;
	if (status)
		return status;
	if (hold && target)
		return snap_hold(snap, target, hold);
	progress_begin(&snap->progress, "", command->quiet);
	return target ? snap_target(snap, target) : snap_several(snap, name, root);
}

static int run_snap(struct command *command)
{
	struct snap snap = {.command = command, .out = stdout};
	const char *output = command_option(command, "output");
	int status = read_write_options(&snap);
	if (!status)
		status = read_take_options(&snap);
	if (status)
		return status;
	if (command_has(command, "core-pattern") || command_has(command, "install-line"))
		return snap_crash(command, &snap.write);
	signal(SIGPIPE, SIG_IGN); // a reader that goes away is an error like any other
	if (output && strcmp(output, "-") == 0)
		snap.out = stderr;
	if (snap.out == stderr && isatty(STDOUT_FILENO))
		return command_usage(command, "-o -: standard output is a terminal");
	snap.several = command_has(command, "all-of") || command_has(command, "tree");
	if (command->json) {
		json_init(&snap.json, snap.out);
		if (snap.several) {
			json_object(&snap.json, NULL);
			json_array(&snap.json, "snapshots", true);
		}
	}
	status = run_chosen(&snap);
	if (command->json && snap.several && status != STATUS_USAGE) {
		json_array_end(&snap.json);
		json_object_end(&snap.json);
		json_fini(&snap.json);
	}
	return status;
}

static const struct option options[] = {
	{"output", 'o', "FILE", NULL,
	 "Write to FILE, or to standard output if it is '-'. A directory that exists gets a file "
	 "NAME.PID.core, which is also the default in the current one. For several processes, %p, "
	 "%n and %t in FILE stand for the process's id, its name, and the time in seconds."},
	{"hold", 0, "NAME", NULL,
	 "Write nothing: keep the copy in memory as @NAME until it is dropped (strobe-held). For "
	 "several processes, %p, %n and %t in NAME stand for the process's id, its name, and the "
	 "time."},
	{"force", 0, NULL, NULL, "Replace a file NAME.PID.core that exists."},
	{"contents", 0, "WHAT", "changed|full|stacks|reachable",
	 "What of the memory is written: all but what mapped files hold just so (the default), "
	 "all, "
	 "registers, stacks, thread-local and global variables alone, or these and what they lead "
	 "to."},
	{"max-bytes", 0, "SIZE", NULL,
	 "With --contents reachable: keep at most so much of what variables lead to, nearest to "
	 "the stacks "
	 "first; 'all' is no limit. Default: all that variables of threads lead to by their types, "
	 "and 8M "
	 "each of what is only guessed from there and of what only global variables lead to."},
	{"max-depth", 0, "N", NULL,
	 "With --contents reachable: follow at most so many references from a variable."},
	{"compress", 'z', NULL, NULL,
	 "Write the seekable zstd format: strobe reads it as it is, zstd -d makes the plain core."},
	{"level", 0, "N", NULL, "How hard to compress, 1 (the default) to 19; implies --compress."},
	{"since", 0, "FILE", NULL,
	 "Leave out the pages that are as in this snapshot, which is then needed for reading."},
	{"with-files", 0, NULL, NULL,
	 "Add the executable, the libraries and their debug information, so that another machine "
	 "needs nothing else."},
	{"redact", 0, "KINDS", NULL,
	 "Replace contents by hashes: 'strings' (text in writable memory), 'environment' (values "
	 "of the environment), or both with a comma."},
	{"redact-pattern", 0, "REGEX", NULL,
	 "Replace what matches by hashes, too. May be given several times."},
	{"all-of", 0, "NAME", NULL,
	 "Take all processes whose name or program is NAME, at one instant: this user's, or "
	 "everybody's for root."},
	{"tree", 0, "PID", NULL, "Take process PID and all its descendants, at one instant."},
	{"shared-budget", 0, "SIZE", NULL,
	 "Copy at most so much shared memory while the process stands still; the rest is marked as "
	 "not atomic. 'all' is no limit. Default: 8M."},
	{"stop-limit", 0, "MS", NULL,
	 "Do not wait longer than this for threads that do not stop. Default: 200."},
	{"no-clone", 0, NULL, NULL,
	 "Copy the memory while the process stands still, even where a clone would do."},
	{"no-fsync", 0, NULL, NULL, "Do not wait until the file is on the disk."},
	{"core-pattern", 0, NULL, NULL,
	 "Be the kernel's crash handler: save the core that comes on standard input. In FILE, %p, "
	 "%n, %t and %s stand for process, name, time and signal."},
	{"install-line", 0, NULL, NULL,
	 "Show the line for /proc/sys/kernel/core_pattern that makes this the crash handler, and "
	 "do nothing else."},
	{"pid", 0, "PID", NULL, "With --core-pattern: the process that dies (the kernel's %P)."},
	{"tid", 0, "TID", NULL, "With --core-pattern: its thread that dies (%I)."},
	{"signal", 0, "N", NULL, "With --core-pattern: the signal (%s)."},
	{"time", 0, "SECONDS", NULL, "With --core-pattern: when, in seconds since 1970 (%t)."},
};

const struct verb verb_snap = {
	.name = "snap",
	.arguments = "[TARGET]",
	.summary = "take a snapshot of a living process: to a file, or held in memory",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 0,
	.max_arguments = 1,
	.has_target = true,
	.opens_itself = true,
	.run = run_snap,
};
