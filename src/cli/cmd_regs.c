// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <string.h>

#include "command.h"
#include "describe.h"

static const struct option options[] = {
	OPTIONS_FRAME,
	{"all", 'a', NULL, NULL,
	 "Show the floating-point, vector, mask and tile registers too. JSON always has them."},
};

// A register as in the chosen frame; the vector ones are only known for frame 0.
static bool fetch(const struct command *command, size_t thread, size_t frame, size_t index,
		  struct strobe_register *ret)
{
	strobe_view_register(command->view, thread, index, ret);
	if (frame == 0)
		return true;
	struct strobe_register unwound;
	if (!strobe_stack_register(command->stack, frame, ret->name, &unwound))
		return false;
	ret->size_bytes = unwound.size_bytes;
	ret->bytes = unwound.bytes;
	return true;
}

// Most significant byte first, without leading zeros: a number of any width.
static void hex_number(const struct strobe_register *reg, char *buffer, size_t size)
{
	size_t bytes = reg->size_bytes, used = 0;
	while (bytes > 1 && reg->bytes[bytes - 1] == 0)
		bytes--;
	used = (size_t)snprintf(buffer, size, "0x%x", bytes ? reg->bytes[bytes - 1] : 0);
	for (size_t i = bytes; i-- > 1 && used + 3 < size;)
		used += (size_t)snprintf(buffer + used, size - used, "%02x", reg->bytes[i - 1]);
}

static uint64_t low_64(const struct strobe_register *reg)
{
	uint64_t value = 0;
	memcpy(&value, reg->bytes, reg->size_bytes < 8 ? reg->size_bytes : 8);
	return value;
}

enum { HEX_SIZE = 2 * 16384 + 3 }; // an AMX tile has 1 KiB, the whole tile data 8 KiB

static void flags_text(uint64_t value)
{
	static const struct {
		unsigned bit;
		const char *name;
	} flags[] = {{0, "CF"}, {2, "PF"}, {4, "AF"},  {6, "ZF"}, {7, "SF"},
		     {8, "TF"}, {9, "IF"}, {10, "DF"}, {11, "OF"}};
	fputs("  [", stdout);
	for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (value >> flags[i].bit & 1)
			printf(" %s", flags[i].name);
	fputs(" ]", stdout);
}

static void register_text(const struct command *command, const struct strobe_register *reg,
			  bool known, char *hex)
{
	char symbol[256];
	printf("%s%-12s%s ", style_start(command->color, STYLE_NAME), reg->name,
	       style_end(command->color));
	if (!known) {
		puts("<not saved>");
		return;
	}
	hex_number(reg, hex, HEX_SIZE);
	bool general = reg->size_bytes == 8 && strcmp(reg->group, "general") == 0;
	printf(general ? "%-18s" : "%s", hex);
	if (strcmp(reg->name, "eflags") == 0)
		flags_text(low_64(reg));
	else if (general && *symbol_text(command->symbols, low_64(reg), symbol, sizeof(symbol)))
		printf("  %s", symbol);
	else if (general)
		printf("  %" PRId64, (int64_t)low_64(reg));
	putchar('\n');
}

static bool is_basic(const struct strobe_register *reg)
{
	return strcmp(reg->group, "general") == 0;
}

static void regs_json(const struct command *command, size_t thread, size_t frame, char *hex)
{
	struct json json;
	size_t count = strobe_view_register_count(command->view, thread);
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_signed(&json, "tid", strobe_view_thread(command->view, thread)->tid);
	json_unsigned(&json, "frame", frame);
	json_object(&json, "registers");
	for (size_t i = 0; i < count; i++) {
		struct strobe_register reg;
		if (fetch(command, thread, frame, i, &reg)) {
			hex_number(&reg, hex, HEX_SIZE);
			json_string(&json, reg.name, hex);
		} else if (is_basic(&reg)) {
			json_null(&json, reg.name);
		}
	}
	json_object_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void regs_text(const struct command *command, size_t thread, size_t frame, char *hex)
{
	size_t count = strobe_view_register_count(command->view, thread);
	bool all = command_has(command, "all");
	for (size_t i = 0; i < count; i++) {
		struct strobe_register reg;
		bool known = fetch(command, thread, frame, i, &reg);
		if (is_basic(&reg) || (all && known))
			register_text(command, &reg, known, hex);
	}
}

static int run_regs(struct command *command)
{
	char hex[HEX_SIZE];
	size_t thread, frame;
	int status = command_thread(command, &thread);
	if (!status)
		status = command_frame(command, &frame);
	if (status)
		return status;
	if (!strobe_view_thread(command->view, thread)->has_registers)
		return command_fail(command, "thread %d: its registers are not recorded",
				    strobe_view_thread(command->view, thread)->tid);
	if (command->json)
		regs_json(command, thread, frame, hex);
	else
		regs_text(command, thread, frame, hex);
	return STATUS_DONE;
}

const struct verb verb_regs = {
	.name = "regs",
	.arguments = "TARGET",
	.summary = "a thread's registers, in any of its frames",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_regs,
};
