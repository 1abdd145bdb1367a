// SPDX-License-Identifier: Apache-2.0
#include "snapshot/crash_notes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/error.h"
#include "base/text.h"
#include "elf/strobe_note.h"
#include "process/facts.h"
#include "process/proc.h"

enum { METHOD_CRASH = 3, THREAD_LIMIT = 200000 };

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;
	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static struct strobe_error *add_capture(struct notes *notes,
					const struct strobe_crash_options *options)
{
	struct strobe_note_capture capture = {
		.version = STROBE_NOTE_VERSION,
		.method = METHOD_CRASH,
		.realtime_ns = options->time_ns > 0 ? (uint64_t)options->time_ns
						    : clock_ns(CLOCK_REALTIME),
		.boottime_ns = clock_ns(CLOCK_BOOTTIME),
	};
	if (getrandom(capture.id, sizeof(capture.id), 0) != sizeof(capture.id))
		return error_errno(errno, "getrandom");
	return notes_add(notes, NT_STROBE_CAPTURE, &capture, sizeof(capture), NULL, 0);
}

static struct strobe_error *add_file(struct notes *notes, const char *name, const char *bytes,
				     size_t size)
{
	return notes_add(notes, NT_STROBE_PROC_FILE, name, strlen(name) + 1, bytes, size);
}

// /proc/PID/`name`; what is gone is left out.
static struct strobe_error *read_file(struct notes *notes, int pid, const char *name, bool *found)
{
	char path[96];
	cleanup_text struct text text = {0};
	snprintf(path, sizeof(path), "%d/%s", pid, name);
	*found = proc_read(path, &text) == 0;
	if (text.failed)
		return error_no_memory();
	return *found ? add_file(notes, name, text_string(&text), text.size) : NULL;
}

static struct strobe_error *add_threads(struct notes *notes, int pid, size_t *count)
{
	struct proc_tids tids = {0};
	char name[64];
	bool found;
	struct strobe_error *error = NULL;
	if (proc_threads(pid, &tids) != 0)
		return NULL;
	for (size_t i = 0; !error && i < tids.list.count && i < THREAD_LIMIT; i++) {
		snprintf(name, sizeof(name), "task/%d/status", tids.list.items[i]);
		error = read_file(notes, pid, name, &found);
		snprintf(name, sizeof(name), "task/%d/stat", tids.list.items[i]);
		if (!error)
			error = read_file(notes, pid, name, &found);
	}
	*count = tids.list.count;
	array_fini(&tids.list);
	return error;
}

static struct strobe_error *add_descriptor(struct notes *notes, const struct fact_descriptor *from)
{
	struct strobe_note_descriptor note = {.fd = from->fd, .mode = from->mode};
	cleanup_text struct text strings = {0};
	text_append_bytes(&strings, from->link, strlen(from->link) + 1);
	text_append_bytes(&strings, from->fdinfo, strlen(from->fdinfo) + 1);
	text_append_bytes(&strings, from->peer, strlen(from->peer) + 1);
	if (strings.failed)
		return error_no_memory();
	return notes_add(notes, NT_STROBE_DESCRIPTOR, &note, sizeof(note), text_string(&strings),
			 strings.size);
}

static struct strobe_error *add_facts(struct notes *notes, int pid)
{
	struct facts facts = {0};
	struct strobe_error *error = NULL;
	if (!facts_read_inherited(&facts, pid) || !facts_read_own(&facts, pid) ||
	    !facts_read_descriptors(&facts, pid, 0, SIZE_MAX))
		error = error_no_memory();
	for (size_t i = 0; !error && i < facts.files.count; i++) {
		const struct fact_file *file = &facts.files.items[i];
		if (strcmp(file->name, "auxv") != 0) // the core has it in a note of its own
			error = add_file(notes, file->name, file->bytes, file->size);
	}
	for (size_t i = 0; !error && i < facts.descriptors.count; i++)
		error = add_descriptor(notes, &facts.descriptors.items[i]);
	facts_fini(&facts);
	return error;
}

struct strobe_error *crash_notes_make(struct notes *notes,
				      const struct strobe_crash_options *options,
				      struct strobe_crash_saved *saved)
{
	static const char *const files[] = {"maps", "stat"};
	bool found = false;
	struct strobe_error *error = add_capture(notes, options);
	if (!error && options->pid > 0)
		error = read_file(notes, options->pid, "status", &found);
	saved->process_gone = options->pid > 0 && !found;
	if (error || !found)
		return error;
	for (size_t i = 0; !error && i < sizeof(files) / sizeof(files[0]); i++)
		error = read_file(notes, options->pid, files[i], &found);
	if (!error)
		error = add_facts(notes, options->pid);
	return error ? error : add_threads(notes, options->pid, &saved->thread_count);
}
