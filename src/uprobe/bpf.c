// SPDX-License-Identifier: Apache-2.0
#include "uprobe/bpf.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/** Of Linux 6.6, which older headers do not have. */
enum { ATTACH_UPROBE_MULTI = 48, UPROBE_MULTI_RETURN = 1 };
struct link_attributes {
	uint32_t program, target, attach_type, flags;
	uint64_t path, offsets, reference_counters, cookies;
	uint32_t count, probe_flags, pid, padding;
};

void bpf_put(struct bpf_code *code, uint8_t opcode, uint8_t to, uint8_t from, int16_t offset,
	     int32_t immediate)
{
	if (code->count < sizeof(code->items) / sizeof(code->items[0]))
		code->items[code->count++] = (struct bpf_insn){.code = opcode,
							       .dst_reg = to,
							       .src_reg = from,
							       .off = offset,
							       .imm = immediate};
}

void bpf_put_map(struct bpf_code *code, uint8_t to, int fd)
{
	bpf_put(code, BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, fd);
	bpf_put(code, 0, 0, 0, 0, 0);
}

void bpf_land(struct bpf_code *code, unsigned from)
{
	code->items[from].off = (int16_t)(code->count - from - 1);
}

static int call(int command, void *attributes, size_t size)
{
	int result;
	do // The verifier gives way to signals.
		result = (int)syscall(SYS_bpf, command, attributes, size);
	while (result < 0 && errno == EAGAIN);
	return result;
}

int bpf_map_new(uint32_t type, uint32_t key_size, uint32_t value_size, uint32_t entries,
		const char *name)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof(attributes));
	attributes.map_type = type;
	attributes.key_size = key_size;
	attributes.value_size = value_size;
	attributes.max_entries = entries;
	strncpy(attributes.map_name, name, sizeof(attributes.map_name) - 1);
	return call(BPF_MAP_CREATE, &attributes, sizeof(attributes));
}

int bpf_program_load(const struct bpf_code *code, char *log, size_t log_size)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof(attributes));
	attributes.prog_type = BPF_PROG_TYPE_KPROBE;
	attributes.expected_attach_type = ATTACH_UPROBE_MULTI;
	attributes.insns = (uintptr_t)code->items;
	attributes.insn_cnt = code->count;
	attributes.license =
		(uintptr_t) "GPL"; // what some helpers of the kernel ask of who calls them
	if (log) {
		attributes.log_buf = (uintptr_t)log;
		attributes.log_size = (uint32_t)log_size;
		attributes.log_level = 1;
	}
	return call(BPF_PROG_LOAD, &attributes, sizeof(attributes));
}

int bpf_attach(int program, const char *path, uint64_t offset, uint64_t cookie, int pid,
	       bool on_return)
{
	struct link_attributes attributes = {
		.program = (uint32_t)program,
		.attach_type = ATTACH_UPROBE_MULTI,
		.path = (uintptr_t)path,
		.offsets = (uintptr_t)&offset,
		.cookies = (uintptr_t)&cookie,
		.count = 1,
		.probe_flags = on_return ? UPROBE_MULTI_RETURN : 0,
		.pid = (uint32_t)pid,
	};
	return call(BPF_LINK_CREATE, &attributes, sizeof(attributes));
}

bool bpf_map_get(int map, const void *key, void *value)
{
	union bpf_attr attributes;
	memset(&attributes, 0, sizeof(attributes));
	attributes.map_fd = (uint32_t)map;
	attributes.key = (uintptr_t)key;
	attributes.value = (uintptr_t)value;
	return call(BPF_MAP_LOOKUP_ELEM, &attributes, sizeof(attributes)) == 0;
}
