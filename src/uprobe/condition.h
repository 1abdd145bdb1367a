// SPDX-License-Identifier: Apache-2.0
#ifndef UPROBE_CONDITION_H
#define UPROBE_CONDITION_H

// Conditions as BPF: evaluated where the hit is, so that one that is false costs no record.

#include "tracepoint/program.h"
#include "uprobe/bpf.h"

/**
 * Adds the condition: r6 has the registers. Where it is false the code ends; where it holds r9 is 1, and where it could not be
 * evaluated (memory that cannot be read) 0: what is added next runs then. False if it has what BPF does not do; then `code` is
 * of no use.
 */
bool bpf_put_condition(struct bpf_code *code, const struct probe_program *program);
/** Where copies go: a table of `count` items in the record that r7 points to, the first at `offset`: address, size, bytes. */
struct bpf_copies {
	uint32_t offset, item_bytes, count;
};
/** Adds copies: OP_COPY of at most as many bytes as an item has room for, one item each. What cannot be read has size 0. False likewise. */
bool bpf_put_copies(struct bpf_code *code, const struct probe_program *program,
		    const struct bpf_copies *copies);

#endif
