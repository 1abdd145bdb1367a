// SPDX-License-Identifier: Apache-2.0
// Writes a view to a file, for the scenarios of this folder.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <fcntl.h>
#include <inttypes.h>
#include <strobe/snapshot.h>

static bool cancel_at_once(void *context, uint64_t done, uint64_t total)
{
	return ++*(unsigned *)context < 3;
}

static int usage(void)
{
	fprintf(stderr, "usage: write_view [--full] [--stacks] [--compress LEVEL] [--threads N]\n"
			"  [--since FILE] [--files] [--redact-strings] [--redact-environment]\n"
			"  [--redact PATTERN] [--no-fsync] [--cancel] SOURCE TARGET|-\n");
	return 2;
}

int main(int argc, char **argv)
{
	struct strobe_write_options options = {.size = sizeof(options)};
	struct strobe_view_options view_options = {.size = sizeof(view_options),
						   .no_debuginfod = true};
	struct strobe_view *view;
	struct strobe_written written;
	const char *patterns[8];
	unsigned told = 0;
	int i = 1;
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
		const char *option = argv[i] + 2;
		const char *value = i + 1 < argc ? argv[i + 1] : "";
		if (strcmp(option, "full") == 0)
			options.contents = STROBE_CONTENTS_FULL;
		else if (strcmp(option, "stacks") == 0)
			options.contents = STROBE_CONTENTS_STACKS;
		else if (strcmp(option, "compress") == 0)
			options.compress = true, options.level = atoi(value), i++;
		else if (strcmp(option, "threads") == 0)
			options.threads = (unsigned)atoi(value), i++;
		else if (strcmp(option, "since") == 0)
			options.since = value, i++;
		else if (strcmp(option, "files") == 0)
			options.with_files = true;
		else if (strcmp(option, "redact-strings") == 0)
			options.redact |= STROBE_REDACT_STRINGS;
		else if (strcmp(option, "redact-environment") == 0)
			options.redact |= STROBE_REDACT_ENVIRONMENT;
		else if (strcmp(option, "redact") == 0 && options.redact_pattern_count < 8)
			patterns[options.redact_pattern_count++] = value, i++;
		else if (strcmp(option, "no-fsync") == 0)
			options.no_fsync = true;
		else if (strcmp(option, "cancel") == 0)
			options.progress = cancel_at_once, options.context = &told;
		else
			return usage();
	}
	if (argc - i != 2)
		return usage();
	options.redact_patterns = patterns;
	struct strobe_error *error = strobe_view_open(argv[i], &view_options, &view);
	if (!error) {
		error = strcmp(argv[i + 1], "-") == 0
				? strobe_snapshot_write_fd(view, STDOUT_FILENO, &options, &written)
				: strobe_snapshot_write(view, argv[i + 1], &options, &written);
		strobe_view_close(view);
	}
	if (error) {
		fprintf(stderr, "write_view: %s\n", strobe_error_message(error));
		strobe_error_free(error);
		return 1;
	}
	fprintf(stderr,
		"file %" PRIu64 " disk %" PRIu64 " pages %" PRIu64 " equal %" PRIu64
		" missing %" PRIu64 "\n",
		written.file_bytes, written.disk_bytes, written.page_bytes, written.equal_bytes,
		written.missing_bytes);
	return 0;
}
