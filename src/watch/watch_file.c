// SPDX-License-Identifier: Apache-2.0
// The file of tracepoints.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "watch/watch.h"
#include "watch/watch_yaml.h"

enum { FILE_LIMIT = 4 << 20, SETTLED_NS = 100000000 };

/** Has it had this content for a while? If not there may be more to come: editors empty a file first. The file's times are not asked:
 *  they may be of another machine's clock. */
static bool is_settled(struct strobe_watch *watch, uint64_t hash)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	int64_t now_ns = (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
	if (hash != watch->file_hash_seen) {
		watch->file_hash_seen = hash;
		watch->file_seen_ns = now_ns;
	}
	return watch->file_hash == 0 || now_ns - watch->file_seen_ns >= SETTLED_NS;
}

static struct strobe_error *read_content(const char *path, struct text *ret)
{
	char bytes[65536];
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(errno, "%s", path);
	while ((got = read(fd, bytes, sizeof(bytes))) > 0 && ret->size <= FILE_LIMIT)
		text_append_bytes(ret, bytes, (size_t)got);
	int problem = errno;
	close(fd);
	if (got < 0)
		return error_errno(problem, "%s", path);
	if (ret->size > FILE_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "%s: larger than %d bytes", path, FILE_LIMIT);
	return ret->failed ? error_no_memory() : NULL;
}

struct strobe_error *strobe_watch_read_file(struct strobe_watch *watch, const char *path,
					    strobe_watch_report report, void *context,
					    bool *changed)
{
	struct watch_yaml yaml = {0};
	const struct strobe_tracepoint_problem *problems = NULL;
	struct text content cleanup_text = {0};
	size_t problem_count = 0;
	char text[20];
	if (changed)
		*changed = false;
	struct strobe_error *error = read_content(path, &content);
	uint64_t hash = hash_bytes(content.data ? content.data : "", content.size) | 1;
	if (error || !is_settled(watch, hash) || hash == watch->file_hash)
		return error;
	watch->file_hash = hash; // also of what is wrong: it is said once
	snprintf(text, sizeof(text), "%016" PRIx64, hash);
	error = watch_yaml_parse(path, content.data ? content.data : "", content.size, report,
				 context, &yaml);
	if (!error)
		error = strobe_watch_configure(watch, "file", text, yaml.tracepoints.items,
					       yaml.tracepoints.count, &problems, &problem_count);
	for (size_t i = 0; !error && i < problem_count && report; i++)
		report(context, yaml.lines.items[problems[i].index], problems[i].what);
	if (changed)
		*changed = !error;
	watch_yaml_fini(&yaml);
	return error;
}
