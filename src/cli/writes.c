// SPDX-License-Identifier: Apache-2.0
#include "writes.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "describe.h"

enum { SHOWN_BYTES = 16, LARGEST_PID_DIGITS = 9 };

int command_pid(const struct command *command)
{
	uint64_t number;
	const char *text = command->arguments[0];
	if (strspn(text, "0123456789") != strlen(text) || strlen(text) > LARGEST_PID_DIGITS ||
	    !parse_number(text, &number))
		return 0;
	return (int)number;
}

/** A journal that cannot be applied to what is only read: the untouched file is better than none. */
static int tell_unusable(const struct command *command, struct strobe_error *error)
{
	if (command->writes || strobe_error_code(error) == STROBE_ERROR_NO_MEMORY)
		return command_error(command, NULL, error);
	command_warn(command, "%s: its writes are not applied", strobe_error_message(error));
	strobe_error_free(error);
	return STATUS_DONE;
}

int command_open_overlay(const struct command *command, struct strobe_view *view)
{
	struct strobe_overlay_loaded loaded = {.size = sizeof(loaded)};
	const char *path = strobe_overlay_path(view);
	bool without = command_has(command, "no-overlay");
	if (command->writes && without)
		return command_usage(command, "--no-overlay does not go with writing");
	if (command->writes && !path)
		return command_fail(command, "%s: there is no place for a journal of writes to it",
				    command->arguments[0]);
	if (!path || without)
		return STATUS_DONE;
	struct strobe_error *error = command->writes ? strobe_overlay_open(view, path, &loaded)
						     : strobe_overlay_load(view, path, &loaded);
	if (error)
		return tell_unusable(command, error);
	if (loaded.damaged)
		command_warn(command, "%s: %s: it and what follows are not applied", path,
			     loaded.why);
	else if (loaded.ignored_bytes)
		command_warn(command, "%s: its last record is half written: not applied", path);
	if (loaded.count && !command->writes && !command->lists_writes)
		command_note(command, "with %zu write%s of %s", loaded.count,
			     loaded.count == 1 ? "" : "s", path);
	return STATUS_DONE;
}

static void put_bytes(const uint8_t *bytes, const uint8_t *known, size_t size)
{
	for (size_t i = 0; i < size && i < SHOWN_BYTES; i++) {
		if (!known || known[i])
			printf("%s%02x", i ? " " : "", bytes[i]);
		else
			printf("%s??", i ? " " : "");
	}
	if (size > SHOWN_BYTES)
		fputs(" ...", stdout);
}

// Most significant byte first, as `regs` shows it.
static void put_number(const uint8_t *bytes, size_t size)
{
	while (size > 1 && bytes[size - 1] == 0)
		size--;
	printf("0x%x", bytes[size - 1]);
	while (--size > 0)
		printf("%02x", bytes[size - 1]);
}

static void put_place(const struct command *command, const struct strobe_overlay_entry *entry)
{
	char symbol[256] = "";
	if (command->symbols)
		symbol_text(command->symbols, entry->address, symbol, sizeof(symbol));
	printf("%s0x%016" PRIx64 "%s", style_start(command->color, STYLE_ADDRESS), entry->address,
	       style_end(command->color));
	if (*symbol) {
		putchar(' ');
		put_styled(stdout, command->color, STYLE_FUNCTION, symbol);
	}
	printf("  %zu byte%s  ", entry->size_bytes, entry->size_bytes == 1 ? "" : "s");
}

void write_text(const struct command *command, const struct strobe_overlay_entry *entry)
{
	if (entry->kind == STROBE_OVERLAY_REGISTER) {
		printf("thread %d  ", entry->tid);
		put_styled(stdout, command->color, STYLE_NAME, entry->register_name);
		fputs("  ", stdout);
		put_number(entry->old_bytes, entry->size_bytes);
		fputs(" -> ", stdout);
		put_number(entry->new_bytes, entry->size_bytes);
		putchar('\n');
		return;
	}
	put_place(command, entry);
	put_bytes(entry->old_bytes, entry->old_known, entry->size_bytes);
	fputs(" -> ", stdout);
	put_bytes(entry->new_bytes, NULL, entry->size_bytes);
	if (entry->read_only)
		fputs(entry->executable ? "  (code)" : "  (read-only memory)", stdout);
	putchar('\n');
}

static size_t count_unknown(const struct strobe_overlay_entry *entry)
{
	size_t count = 0;
	for (size_t i = 0; entry->old_known && i < entry->size_bytes; i++)
		count += !entry->old_known[i];
	return count;
}

void write_json(struct json *json, const struct strobe_overlay_entry *entry)
{
	bool memory = entry->kind == STROBE_OVERLAY_MEMORY;
	json_object(json, NULL);
	json_string(json, "kind", memory ? "memory" : "register");
	if (memory)
		json_address(json, "address", entry->address);
	else
		json_null(json, "address");
	if (memory)
		json_null(json, "tid");
	else
		json_signed(json, "tid", entry->tid);
	json_string(json, "register", entry->register_name);
	json_unsigned(json, "size", entry->size_bytes);
	json_hex_begin(json, "old");
	json_hex(json, entry->old_bytes, entry->size_bytes);
	json_hex_end(json);
	json_unsigned(json, "old_missing_bytes", count_unknown(entry));
	json_hex_begin(json, "new");
	json_hex(json, entry->new_bytes, entry->size_bytes);
	json_hex_end(json);
	json_bool(json, "read_only", entry->read_only);
	json_bool(json, "executable", entry->executable);
	json_object_end(json);
}

static void show_json(const struct command *command, size_t first)
{
	struct strobe_overlay_entry entry;
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_null(&json, "pid");
	json_string(&json, "journal", strobe_overlay_path(command->view));
	json_array(&json, "writes", true);
	for (size_t i = first; strobe_overlay_entry(command->view, i, &entry); i++)
		write_json(&json, &entry);
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

void writes_show(const struct command *command, size_t count)
{
	struct strobe_overlay_entry entry;
	size_t all = strobe_overlay_count(command->view), first = count < all ? all - count : 0;
	if (command->json) {
		show_json(command, first);
		return;
	}
	for (size_t i = first; strobe_overlay_entry(command->view, i, &entry); i++)
		write_text(command, &entry);
}
