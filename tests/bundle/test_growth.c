// SPDX-License-Identifier: Apache-2.0
// A bundle whose packets are still being written: what is there is what will be there.
#include <strobe/cursor.h>
#include <strobe/trace.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "check.h"

#define CALLS TRACES "/synth/calls1"

static char folder[] = "/tmp/strobe-growth-XXXXXX";

static void in_folder(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", folder, name);
}

static void append(const char *name, const uint8_t *data, size_t size)
{
	char path[64];
	in_folder(path, sizeof(path), name);
	FILE *out = fopen(path, "ab");
	CHECK(out && fwrite(data, 1, size, out) == size);
	CHECK(fclose(out) == 0);
}

static void copy(const char *name)
{
	struct file *file;
	CHECK_OK(file_open(name[0] == 't' ? CALLS "/trace.json" : CALLS "/calls", &file));
	append(name, file->data, file->size);
	file_close(file);
}

static struct strobe_trace *open_trace(const char *path, bool follow)
{
	static const struct strobe_view_options offline = {.size = sizeof(offline),
							   .no_debuginfod = true};
	struct strobe_trace_options options = {.size = sizeof(options),
					       .view = &offline,
					       .index_path = "",
					       .threads = 1,
					       .follow = follow};
	struct strobe_trace *trace;
	CHECK_OK(strobe_trace_open(path, &options, &trace));
	return trace;
}

/** From `first` to the end of `ours`, both have the same items. */
static uint64_t compare(struct strobe_trace *ours, struct strobe_trace *whole, uint64_t first)
{
	struct strobe_cursor *a, *b;
	uint64_t count = strobe_trace_thread(ours, 0)->item_count;
	CHECK_OK(strobe_cursor_open(ours, 0, &a));
	CHECK_OK(strobe_cursor_open(whole, 0, &b));
	strobe_cursor_set_forwards(a, true);
	strobe_cursor_set_forwards(b, true);
	for (uint64_t id = first; id < count; id++) {
		uint64_t here = 0, there = 0;
		if (id == first)
			CHECK(strobe_cursor_go_to_id(a, id) && strobe_cursor_go_to_id(b, id));
		CHECK_EQUAL(strobe_cursor_kind(a), strobe_cursor_kind(b));
		CHECK_EQUAL(strobe_cursor_address(a, &here), strobe_cursor_address(b, &there));
		CHECK_EQUAL(here, there);
		CHECK_EQUAL(strobe_cursor_next(a), id + 1 < count);
		strobe_cursor_next(b);
	}
	strobe_cursor_close(a);
	strobe_cursor_close(b);
	return count;
}

static void packets_are_appended(void)
{
	enum { STEP = 1000 };
	char bundle[64];
	struct file *packets;
	CHECK(mkdtemp(folder) != NULL);
	copy("trace.json");
	copy("calls");
	CHECK_OK(file_open(CALLS "/calls.pt", &packets));
	append("calls.pt", packets->data, 5 * STEP);
	in_folder(bundle, sizeof(bundle), "trace.json");
	struct strobe_trace *whole = open_trace(CALLS "/trace.json", false);
	struct strobe_trace *trace = open_trace(bundle, true);
	CHECK(!strobe_trace_info(trace)->finished);
	uint64_t seen = compare(trace, whole, 0);
	CHECK(seen > 0);

	struct strobe_cursor *cursor;
	CHECK_OK(strobe_cursor_open(trace, 0, &cursor)); // at the newest
	uint64_t id = strobe_cursor_id(cursor);
	bool grew;
	CHECK_OK(strobe_trace_refresh(trace, &grew));
	CHECK(!grew);
	unsigned times = 0;
	for (size_t at = 5 * STEP; at < packets->size; at += STEP) {
		size_t size = packets->size - at < STEP ? packets->size - at : STEP;
		append("calls.pt", packets->data + at, size);
		CHECK_OK(strobe_trace_refresh(trace, &grew));
		CHECK_EQUAL(strobe_cursor_id(cursor), id);
		uint64_t now = strobe_trace_thread(trace, 0)->item_count;
		times += now > seen;
		CHECK(now >= seen);
		seen = compare(trace, whole, now > seen ? seen : now - 1);
	}
	// Its last block waits for one behind it.
	CHECK(times > 5 && seen < strobe_trace_thread(whole, 0)->item_count);
	strobe_cursor_set_forwards(cursor, true);
	CHECK(strobe_cursor_next(cursor));
	CHECK_EQUAL(strobe_cursor_id(cursor), id + 1);
	strobe_cursor_close(cursor);
	strobe_trace_close(trace);
	strobe_trace_close(whole);
	file_close(packets);
	const char *const names[] = {"calls.pt", "calls", "trace.json"};
	for (size_t i = 0; i < 3; i++) {
		in_folder(bundle, sizeof(bundle), names[i]);
		CHECK(unlink(bundle) == 0);
	}
	CHECK(rmdir(folder) == 0);
}

CHECK_MAIN({"packets that are appended are items behind the newest", packets_are_appended})
