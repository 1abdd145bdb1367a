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

#endif
