// SPDX-License-Identifier: Apache-2.0
#include "describe.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

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

// UTC, ISO 8601: whoever reads it may sit in another zone than the machine that it is about.
const char *time_text(int64_t time_ns, char *buffer, size_t size)
{
	time_t seconds = (time_t)(time_ns / 1000000000);
	struct tm broken;
	if (time_ns < 0 || !gmtime_r(&seconds, &broken) ||
	    strftime(buffer, size, "%Y-%m-%dT%H:%M:%SZ", &broken) == 0)
		return NULL;
	return buffer;
}

void time_json(struct json *json, const char *key, int64_t time_ns)
{
	char buffer[64];
	json_string(json, key, time_text(time_ns, buffer, sizeof(buffer)));
}

const char *state_text(char state)
{
	switch (state) { // fs/proc/array.c, task_state_array
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "disk sleep";
	case 'T':
		return "stopped";
	case 't':
		return "traced";
	case 'X':
		return "dead";
	case 'Z':
		return "zombie";
	case 'P':
		return "parked";
	case 'I':
		return "idle";
	case 0:
		return NULL;
	default:
		return "unknown";
	}
}

const char *duration_text(int64_t duration_ns, char *buffer, size_t size)
{
	double seconds = (double)duration_ns / 1e9;
	if (!duration_ns)
		snprintf(buffer, size, "0 s");
	else if (duration_ns < 1000000)
		snprintf(buffer, size, "%.0f \302\265s", (double)duration_ns / 1e3);
	else if (duration_ns < 1000000000)
		snprintf(buffer, size, "%.2f ms", (double)duration_ns / 1e6);
	else if (seconds < 60)
		snprintf(buffer, size, "%.2f s", seconds);
	else
		snprintf(buffer, size, "%" PRId64 " min %" PRId64 " s",
			 duration_ns / 1000000000 / 60, duration_ns / 1000000000 % 60);
	return buffer;
}

void number_json(struct json *json, const char *key, int64_t number, int64_t unknown)
{
	if (number == unknown)
		json_null(json, key);
	else
		json_signed(json, key, number);
}

void put_signal_set(FILE *out, uint64_t mask)
{
	if (mask == UINT64_MAX)
		fputs("all", out);
	else if (!mask)
		fputs("none", out);
	else
		for (int n = 1, first = 1; n <= 64; n++)
			if (mask >> (n - 1) & 1)
				fprintf(out, "%s%s", first ? "" : " ", strobe_signal_name(n)),
					first = 0;
}

void signal_set_json(struct json *json, const char *key, uint64_t mask)
{
	json_array(json, key, false);
	for (int n = 1; n <= 64; n++)
		if (mask >> (n - 1) & 1)
			json_string(json, NULL, strobe_signal_name(n));
	json_array_end(json);
}

// include/uapi/linux/capability.h, CAP_... in lower case.
static const char *const capability_names[] = {
	"chown",
	"dac_override",
	"dac_read_search",
	"fowner",
	"fsetid",
	"kill",
	"setgid",
	"setuid",
	"setpcap",
	"linux_immutable",
	"net_bind_service",
	"net_broadcast",
	"net_admin",
	"net_raw",
	"ipc_lock",
	"ipc_owner",
	"sys_module",
	"sys_rawio",
	"sys_chroot",
	"sys_ptrace",
	"sys_pacct",
	"sys_admin",
	"sys_boot",
	"sys_nice",
	"sys_resource",
	"sys_time",
	"sys_tty_config",
	"mknod",
	"lease",
	"audit_write",
	"audit_control",
	"setfcap",
	"mac_override",
	"mac_admin",
	"syslog",
	"wake_alarm",
	"block_suspend",
	"audit_read",
	"perfmon",
	"bpf",
	"checkpoint_restore",
};
enum { CAPABILITY_COUNT = sizeof(capability_names) / sizeof(capability_names[0]) };

void put_capabilities(FILE *out, uint64_t mask)
{
	uint64_t all = (UINT64_C(1) << CAPABILITY_COUNT) - 1;
	const char *space = "";
	if (!mask || (mask & all) == all) {
		fputs(mask ? "all" : "none", out);
		return;
	}
	if (__builtin_popcountll(mask & all) > CAPABILITY_COUNT / 2) { // root's in a container
		fputs("all but ", out);
		mask = ~mask & all;
	}
	for (int n = 0; n < 64; n++) {
		if (!(mask >> n & 1))
			continue;
		if (n < CAPABILITY_COUNT)
			fprintf(out, "%s%s", space, capability_names[n]);
		else
			fprintf(out, "%s%d", space, n);
		space = " ";
	}
}
