// SPDX-License-Identifier: Apache-2.0
// Journals of writes. The first byte says what the rest is: the file itself, or records that are put
// behind a good header, with or without their checksums put right. Whatever was applied, undoing
// it must bring back what was there.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>
#include <strobe/overlay.h>
#include <unistd.h>

#include "base/hash.h"
#include "synthetic_core.h"

enum { HEADER = 48, RECORD = 40, SIZE_AT = 16, CHECKSUM = 8, SEEN = SYNTHETIC_STACK };
enum mode { WHOLE_FILE, RECORDS, CHECKED_RECORDS, MODES };

/** What of a view is looked at. */
struct sight {
	uint8_t stack[SEEN], code[SEEN];
	size_t stack_size, code_size;
	uint64_t pc, sp;
	size_t register_count;
	uint64_t registers_hash;
};

static void look(const struct strobe_view *view, struct sight *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->stack_size =
		strobe_memory_read(view, SYNTHETIC_STACK_BASE, ret->stack, sizeof(ret->stack));
	ret->code_size = strobe_memory_read(view, SYNTHETIC_BASE, ret->code, sizeof(ret->code));
	const struct strobe_thread *thread = strobe_view_thread(view, 0);
	ret->pc = thread ? thread->pc : 0;
	ret->sp = thread ? thread->sp : 0;
	ret->register_count = strobe_view_register_count(view, 0);
	for (size_t i = 0; i < ret->register_count; i++) {
		struct strobe_register reg;
		strobe_view_register(view, 0, i, &reg);
		ret->registers_hash =
			ret->registers_hash * 31 + hash_bytes(reg.bytes, reg.size_bytes);
	}
}

static size_t good_header(const struct strobe_view *view, uint8_t header[HEADER])
{
	char folder[] = "/tmp/strobe-fuzz-XXXXXX", path[64];
	if (!mkdtemp(folder))
		abort();
	snprintf(path, sizeof(path), "%s/journal", folder);
	struct strobe_error *error = strobe_overlay_save(view, path);
	FILE *file = error ? NULL : fopen(path, "rb");
	size_t size = file ? fread(header, 1, HEADER, file) : 0;
	if (file)
		fclose(file);
	unlink(path);
	rmdir(folder);
	strobe_error_free(error);
	return size;
}

static void put_checksums_right(uint8_t *bytes, size_t size)
{
	for (size_t at = 0; size - at >= RECORD + CHECKSUM;) {
		uint64_t payload;
		memcpy(&payload, bytes + at + SIZE_AT, sizeof(payload));
		if (payload > size - at - RECORD - CHECKSUM)
			break;
		uint64_t sum = hash_bytes(bytes + at, RECORD + payload);
		memcpy(bytes + at + RECORD + payload, &sum, sizeof(sum));
		at += RECORD + payload + CHECKSUM;
	}
}

/** The journal's file; -1 if there is none. */
static int make_journal(const struct strobe_view *view, const uint8_t *data, size_t size)
{
	enum mode mode = data[0] % MODES;
	if (mode == WHOLE_FILE)
		return memory_file("journal", data + 1, size - 1);
	uint8_t *bytes = malloc(HEADER + size);
	if (!bytes || good_header(view, bytes) != HEADER) {
		free(bytes);
		return -1;
	}
	memcpy(bytes + HEADER, data + 1, size - 1);
	if (mode == CHECKED_RECORDS)
		put_checksums_right(bytes + HEADER, size - 1);
	int fd = memory_file("journal", bytes, HEADER + size - 1);
	free(bytes);
	return fd;
}

static void look_at_entries(const struct strobe_view *view)
{
	struct strobe_overlay_entry entry;
	size_t count = strobe_overlay_count(view);
	for (size_t i = 0; i < count; i++) {
		uint8_t byte;
		if (!strobe_overlay_entry(view, i, &entry) || !entry.size_bytes)
			abort();
		if (entry.kind == STROBE_OVERLAY_MEMORY &&
		    strobe_memory_read(view, entry.address, &byte, 1) != 1)
			abort();
	}
	// The last one shows.
	if (count && entry.kind == STROBE_OVERLAY_MEMORY) {
		uint8_t *bytes = malloc(entry.size_bytes);
		if (bytes && (strobe_memory_read(view, entry.address, bytes, entry.size_bytes) !=
				      entry.size_bytes ||
			      memcmp(bytes, entry.new_bytes, entry.size_bytes) != 0))
			abort();
		free(bytes);
	}
}

static void apply(struct strobe_view *view, int journal)
{
	static struct sight before, after;
	char path[32];
	struct strobe_overlay_loaded loaded = {.size = sizeof(loaded)};
	snprintf(path, sizeof(path), "/proc/self/fd/%d", journal);
	look(view, &before);
	struct strobe_error *error = strobe_overlay_load(view, path, &loaded);
	if (!error && loaded.count != strobe_overlay_count(view))
		abort();
	strobe_error_free(error);
	look_at_entries(view);
	look(view, &after);
	strobe_error_free(strobe_overlay_undo(view, 1));
	look_at_entries(view);
	strobe_error_free(strobe_overlay_undo(view, SIZE_MAX));
	look(view, &after);
	if (strobe_overlay_count(view) || memcmp(&before, &after, sizeof(before)) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char core[32];
	struct strobe_view *view = NULL;
	const struct strobe_view_options options = {.size = sizeof(options),
						    .no_debuginfod = true,
						    .debug_directories = "/nonexistent"};
	if (size == 0)
		return 0;
	int fd = synthetic_core("/nonexistent", SYNTHETIC_STACK, SYNTHETIC_BASE);
	snprintf(core, sizeof(core), "/proc/self/fd/%d", fd);
	strobe_error_free(strobe_view_open(core, &options, &view));
	if (view) {
		int journal = make_journal(view, data, size);
		if (journal >= 0)
			apply(view, journal);
		close(journal);
	}
	strobe_view_close(view);
	close(fd);
	return 0;
}
