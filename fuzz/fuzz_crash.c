// SPDX-License-Identifier: Apache-2.0
// Cores on their way through the crash handler: headers, notes, segments, in one pass.
#include <stdio.h>
#include <stdlib.h>
#include <strobe/crash.h>
#include <strobe/view.h>
#include <unistd.h>

#include "synthetic_core.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64];
	struct strobe_crash_saved saved;
	const struct strobe_crash_options options = {.size = sizeof(options),
						     .compress = size && data[size - 1] & 1,
						     .threads = 1,
						     .no_fsync = true};
	const struct strobe_view_options looking = {.size = sizeof(looking),
						    .sysroot = "/nonexistent",
						    .debug_directories = "/nonexistent",
						    .no_debuginfod = true};
	int fd = memory_file("core", data, size);
	if (fd < 0 || lseek(fd, 0, SEEK_SET) != 0) // it is read as from a pipe
		abort();
	snprintf(path, sizeof(path), "/dev/shm/strobe-fuzz-crash-%d", (int)getpid());
	struct strobe_error *error = strobe_crash_save(fd, path, &options, &saved);
	if (!error) {
		struct strobe_view *view = NULL;
		strobe_error_free(strobe_view_open(path, &looking, &view));
		strobe_view_close(view);
		unlink(path);
	}
	strobe_error_free(error);
	close(fd);
	return 0;
}
