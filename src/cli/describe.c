// SPDX-License-Identifier: Apache-2.0
#include "describe.h"

#include <inttypes.h>
#include <string.h>

void signal_text(const struct strobe_signal *signal, char *buffer, size_t size)
{
	char detail[96] = "", sender[64] = "";
	const char *code = signal->code_name;
	if (signal->sender_pid > 0)
		snprintf(sender, sizeof(sender), " from pid %d", signal->sender_pid);
	if (signal->has_address)
		snprintf(detail, sizeof(detail), " at 0x%" PRIx64, signal->address);
	if (code)
		snprintf(buffer, size, "%s (%s%s%s)", signal->name, code, detail, sender);
	else
		snprintf(buffer, size, "%s (code %d%s%s)", signal->name, signal->code, detail,
			 sender);
}

void signal_json(struct json *json, const char *key, const struct strobe_signal *signal, int tid)
{
	if (signal->number == 0) {
		json_null(json, key);
		return;
	}
	json_object(json, key);
	json_signed(json, "number", signal->number);
	json_string(json, "name", signal->name);
	json_string(json, "code", signal->code_name);
	json_signed(json, "code_number", signal->code);
	if (signal->has_address)
		json_address(json, "address", signal->address);
	else
		json_null(json, "address");
	if (signal->sender_pid > 0)
		json_signed(json, "sender_pid", signal->sender_pid);
	if (tid > 0)
		json_signed(json, "tid", tid);
	json_object_end(json);
}

const char *permissions_text(unsigned permissions, char *buffer)
{
	buffer[0] = permissions & STROBE_PERMISSION_READ ? 'r' : '-';
	buffer[1] = permissions & STROBE_PERMISSION_WRITE ? 'w' : '-';
	buffer[2] = permissions & STROBE_PERMISSION_EXECUTE ? 'x' : '-';
	buffer[3] = permissions & STROBE_PERMISSION_SHARED ? 's' : 'p';
	buffer[4] = '\0';
	return buffer;
}

const char *symbol_text(struct strobe_symbols *symbols, uint64_t address, char *buffer, size_t size)
{
	struct strobe_symbol symbol;
	buffer[0] = '\0';
	if (!strobe_symbol_at(symbols, address, &symbol) || !symbol.name)
		return buffer;
	uint64_t offset = address - symbol.address;
	if (symbol.size_bytes && offset >= symbol.size_bytes)
		return buffer; // the nearest one says nothing about it
	if (offset)
		snprintf(buffer, size, "<%s+0x%" PRIx64 ">", symbol.name, offset);
	else
		snprintf(buffer, size, "<%s>", symbol.name);
	return buffer;
}

const char *base_name(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path;
}
