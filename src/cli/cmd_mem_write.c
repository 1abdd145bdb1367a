// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <strobe/process.h>

#include "command.h"
#include "writes.h"
#include "written_bytes.h"

static const struct option options[] = {
	{"type", 'y', "TYPE", "u8|u16|u32|u64|i8|i16|i32|i64|f32|f64",
	 "The VALUEs are numbers of this type, or expressions. Default: hex bytes."},
	{"string", 's', "TEXT", NULL, "Write the bytes of TEXT."},
	{"nul", 'z', NULL, NULL, "Write a NUL byte after --string."},
	{"file", 0, "FILE", NULL, "Write what FILE holds."},
	OPTIONS_FRAME,
};

/** What was done to a living process, shown as an entry of a journal is. */
static void show_live(const struct command *command, int pid,
		      const struct strobe_overlay_entry *entry)
{
	if (!command->json) {
		write_text(command, entry);
		return;
	}
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_signed(&json, "pid", pid);
	json_null(&json, "journal");
	json_array(&json, "writes", true);
	write_json(&json, entry);
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static int write_live(struct command *command, int pid, uint64_t address,
		      const struct written_bytes *written)
{
	struct strobe_process_written done = {.size = sizeof(done)};
	uint8_t *old = malloc(written->size);
	if (!old)
		return command_fail(command, "out of memory");
	struct strobe_error *error =
		strobe_process_write(pid, address, written->bytes, written->size, old, &done);
	if (error) {
		free(old);
		return command_error(command, NULL, error);
	}
	struct strobe_overlay_entry entry = {.kind = STROBE_OVERLAY_MEMORY,
					     .address = address,
					     .size_bytes = written->size,
					     .old_bytes = old,
					     .new_bytes = written->bytes,
					     .read_only = done.read_only};
	show_live(command, pid, &entry);
	free(old);
	return STATUS_DONE;
}

static int write_journal(struct command *command, uint64_t address,
			 const struct written_bytes *written)
{
	struct strobe_error *error =
		strobe_overlay_write(command->view, address, written->bytes, written->size);
	if (error)
		return command_error(command, NULL, error);
	writes_show(command, 1);
	return STATUS_DONE;
}

static int run_mem_write(struct command *command)
{
	struct written_bytes written = {0};
	int pid = command_pid(command), status = STATUS_DONE;
	uint64_t address, size;
	command->writes = pid == 0;
	// A process need not be looked at for an address and bytes that are given as such.
	if (pid == 0 || !parse_number(command->arguments[1], &address) ||
	    written_bytes_need_view(command))
		status = command_open(command);
	if (!status)
		status = command_address(command, command->arguments[1], &address, &size);
	if (!status)
		status = written_bytes_parse(command, 2, &written);
	if (!status)
		status = pid ? write_live(command, pid, address, &written)
			     : write_journal(command, address, &written);
	written_bytes_fini(&written);
	return status;
}

const struct verb verb_mem_write = {
	.name = "mem write",
	.arguments = "TARGET ADDRESS|EXPRESSION [VALUE...]",
	.summary = "write to a living process, or to the journal of a file",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 2,
	.max_arguments = INT_MAX,
	.has_target = true,
	.opens_itself = true,
	.run = run_mem_write,
};
