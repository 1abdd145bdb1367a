// SPDX-License-Identifier: Apache-2.0
#ifndef UPROBE_BPF_H
#define UPROBE_BPF_H

// The few calls of bpf(2) that are needed, without a library: maps, one program, links (include/uapi/linux/bpf.h).

#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** A program under construction. */
struct bpf_code {
	struct bpf_insn items[1024];
	unsigned count;
};
void bpf_put(struct bpf_code *code, uint8_t opcode, uint8_t to, uint8_t from, int16_t offset,
	     int32_t immediate);
/** Loads the address of map `fd` into register `to`. */
void bpf_put_map(struct bpf_code *code, uint8_t to, int fd);
/** Makes the jump at `from` lead to what is added next. */
void bpf_land(struct bpf_code *code, unsigned from);

/** Each returns a descriptor, close-on-exec, or -1 with errno. */
int bpf_map_new(uint32_t type, uint32_t key_size, uint32_t value_size, uint32_t entries,
		const char *name);
/** `log` (may be NULL) gets the verifier's reasons. */
int bpf_program_load(const struct bpf_code *code, char *log, size_t log_size);
/** Attaches a program to the instruction at `offset` of a file, in process `pid` alone. */
int bpf_attach(int program, const char *path, uint64_t offset, uint64_t cookie, int pid,
	       bool on_return);
bool bpf_map_get(int map, const void *key, void *value);

/** Offset of `outer`'s member `inner` (of a member structure: "thread.fsbase") by the kernel's own description of its types
 *  (/sys/kernel/btf/vmlinux; Documentation/bpf/btf.rst). False if that is not there. */
bool btf_offset(const char *structure, const char *member, uint32_t *ret);

#endif
