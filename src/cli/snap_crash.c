// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/crash.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "progress.h"
#include "snap.h"

// The kernel's buffer for core_pattern (CORENAME_MAX_SIZE), its NUL included.
enum { PATTERN_SIZE = 128, SIGNAL_MAXIMUM = 64 };

// The kernel starts a handler with standard input alone: what opens next must not become standard
// output, and complaints go where somebody may see them.
static void open_missing_streams(void)
{
	if (fcntl(STDOUT_FILENO, F_GETFD) < 0) {
		int fd = open("/dev/null", O_WRONLY);
		if (fd >= 0 && fd != STDOUT_FILENO) {
			dup2(fd, STDOUT_FILENO);
			close(fd);
		}
	}
	if (fcntl(STDERR_FILENO, F_GETFD) >= 0)
		return;
	int fd = open("/dev/kmsg", O_WRONLY);
	if (fd < 0)
		fd = open("/dev/null", O_WRONLY);
	if (fd >= 0 && fd != STDERR_FILENO) {
		dup2(fd, STDERR_FILENO);
		close(fd);
	}
	setvbuf(stderr, NULL, _IOLBF, BUFSIZ); // a line is a message there
}

static void read_name(int pid, char *name, size_t size)
{
	char path[64];
	*name = '\0';
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	int fd = pid > 0 ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	ssize_t count = fd < 0 ? -1 : read(fd, name, size - 1);
	if (fd >= 0)
		close(fd);
	name[count > 0 ? count : 0] = '\0';
	name[strcspn(name, "\n")] = '\0';
}

struct crash_words {
	uint64_t pid, tid, signal, time;
};

static int read_words(const struct command *command, struct crash_words *ret)
{
	*ret = (struct crash_words){0};
	int status = command_number(command, "pid", INT_MAX, &ret->pid);
	if (!status)
		status = command_number(command, "tid", INT_MAX, &ret->tid);
	if (!status)
		status = command_number(command, "signal", SIGNAL_MAXIMUM, &ret->signal);
	if (!status)
		status = command_number(command, "time", INT64_MAX / 1000000000, &ret->time);
	return status;
}

// Doubles each '%': the kernel reads them, too.
static void put_for_kernel(FILE *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '%')
			putc('%', out);
		putc(*text, out);
	}
}

static int print_line(const struct command *command, const char *output,
		      const struct strobe_write_options *write)
{
	char program[PATH_MAX], *line = NULL;
	size_t size;
	ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);
	FILE *out = open_memstream(&line, &size);
	if (length < 0 || !out)
		return command_fail(command, "/proc/self/exe: %s", strerror(errno));
	program[length] = '\0';
	fprintf(out, "|%s snap --core-pattern -o ", program);
	put_for_kernel(out, output);
	if (write->level)
		fprintf(out, " --level %d", write->level);
	else if (write->compress)
		fputs(" -z", out);
	if (write->no_fsync)
		fputs(" --no-fsync", out);
	fputs(" --pid %P --signal %s --time %t", out);
	if (fclose(out) != 0) {
		free(line);
		return command_fail(command, "out of memory");
	}
	int status = STATUS_DONE;
	// The kernel takes the line apart at blanks, and knows no quotes.
	if (strpbrk(program, " \t\n") || strpbrk(output, " \t\n"))
		status = command_fail(command, "core_pattern cannot hold blanks in a path");
	else if (*output != '/')
		status = command_fail(command,
				      "-o %s: the kernel starts handlers in '/': give a "
				      "whole path",
				      output);
	else if (size >= PATTERN_SIZE)
		status = command_fail(command,
				      "the line has %zu bytes, the kernel takes %d: shorten the "
				      "paths, by a link for example",
				      size, PATTERN_SIZE - 1);
	else
		puts(line);
	free(line);
	return status;
}

static int tell_saved(const struct command *command, const char *file, const char *name,
		      const struct crash_words *words, const struct strobe_crash_saved *saved,
		      uint64_t start_ns)
{
	struct snap_result result = {
		.file = file,
		.pid = words->pid ? (int)words->pid : -1,
		.name = name,
		.method = "crash",
		.pause_ns = -1,
		.thread_count = saved->thread_count,
		.memory_bytes = saved->memory_bytes,
		.total_ns = monotonic_ns() - start_ns,
		.written = &saved->written,
	};
	struct size_text size;
	if (command->json) {
		struct json json;
		json_init(&json, stdout);
		snap_json(&json, &result);
		json_fini(&json);
	} else {
		snap_text(command, stdout, &result);
	}
	if (saved->plain)
		command_warn(command, "%s: saved as it came: %s", file, saved->plain);
	if (saved->process_gone)
		command_warn(command,
			     "%s: process %" PRIu64 " is gone: what /proc tells is not in it "
			     "(kernel.core_pipe_limit greater than 0 keeps it)",
			     file, words->pid);
	if (!saved->missing_bytes)
		return STATUS_DONE;
	return command_fail(command, "%s: the core broke off: the last %s did not come", file,
			    size_text(saved->missing_bytes, &size));
}

static int save(const struct command *command, const char *template,
		const struct strobe_write_options *write, const struct crash_words *words)
{
	char name[64], bad;
	uint64_t start_ns = monotonic_ns();
	int64_t seconds = words->time ? (int64_t)words->time : (int64_t)time(NULL);
	read_name((int)words->pid, name, sizeof(name));
	const struct snap_name escapes = {.pid = (int)words->pid,
					  .name = name,
					  .signal = (int)words->signal,
					  .time = seconds};
	char *file = snap_expand(template, &escapes, &bad);
	if (!file)
		return bad ? command_usage(command, "-o %s: %%%c is none of %%p %%n %%t %%s %%%%",
					   template, bad)
			   : command_fail(command, "out of memory");
	struct progress progress;
	progress_begin(&progress, file, command->quiet);
	struct strobe_crash_options options = {
		.size = sizeof(options),
		.pid = (int)words->pid,
		.time_ns = seconds * 1000000000,
		.compress = write->compress,
		.level = write->level,
		.no_fsync = write->no_fsync,
		.progress = progress_tell,
		.context = &progress,
	};
	struct strobe_crash_saved saved;
	struct strobe_error *error = strobe_crash_save(STDIN_FILENO, file, &options, &saved);
	progress_end(&progress);
	int status, number = progress_interrupted();
	if (error && number) {
		strobe_error_free(error);
		status = command_fail(command, "%s: cancelled by SIG%s: nothing is left of it",
				      file, sigabbrev_np(number));
	} else if (error) {
		status = command_error(command, file, error);
	} else {
		status = tell_saved(command, file, name, words, &saved, start_ns);
	}
	free(file);
	return status;
}

int snap_crash(const struct command *command, const struct strobe_write_options *write)
{
	static const char *const others[] = {
		"hold",		  "contents", "since",	   "with-files",    "redact",
		"redact-pattern", "all-of",   "tree",	   "shared-budget", "stop-limit",
		"no-clone",	  "force",    "max-bytes", "max-depth"};
	const char *output = command_option(command, "output");
	struct crash_words words;
	open_missing_streams();
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		if (command_has(command, others[i]))
			return command_usage(command, "--%s does not go with --core-pattern",
					     others[i]);
	if (command->argument_count)
		return command_usage(command, "--core-pattern reads standard input: no target");
	if (!output || strcmp(output, "-") == 0)
		return command_usage(command,
				     "--core-pattern needs -o FILE, which may hold %%p %%n "
				     "%%t %%s");
	int status = read_words(command, &words);
	if (status)
		return status;
	if (command_has(command, "install-line"))
		return print_line(command, output, write);
	if (isatty(STDIN_FILENO))
		return command_usage(command,
				     "--core-pattern: standard input is a terminal, no core");
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return save(command, output, write, &words);
}
