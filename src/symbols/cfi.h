// SPDX-License-Identifier: Apache-2.0
#ifndef SYMBOLS_CFI_H
#define SYMBOLS_CFI_H

// Call frame information: rows of .debug_frame and .eh_frame.

#include "symbols/module.h"

enum { CFI_REGISTER_COUNT = 17 }; // x86-64: 16 general registers and the return address

enum cfi_rule_kind {
	CFI_UNSPECIFIED, // no rule: treated as same value
	CFI_SAME,
	CFI_UNDEFINED,
	CFI_OFFSET,	  // saved at CFA + offset
	CFI_VALUE_OFFSET, // is CFA + offset
	CFI_REGISTER,	  // in another register
	CFI_EXPRESSION,	  // saved at the expression's result
	CFI_VALUE_EXPRESSION,
};

struct cfi_rule {
	enum cfi_rule_kind kind;
	unsigned reg;
	int64_t offset;
	const uint8_t *expression; // raw DWARF expression; owned by the symbols
	size_t expression_size;
};

/** The rules in force at one pc. */
struct cfi_row {
	bool cfa_is_expression;
	unsigned cfa_register;
	int64_t cfa_offset;
	const uint8_t *cfa_expression;
	size_t cfa_expression_size;
	struct cfi_rule rules[CFI_REGISTER_COUNT];
	bool signal_frame; // augmentation 'S'
	uint64_t bias;
};

enum cfi_result { CFI_FOUND, CFI_NONE, CFI_DAMAGED };
/** The row at run-time `pc`; cached. `*ret` borrowed. */
enum cfi_result cfi_row_at(struct strobe_symbols *symbols, uint64_t pc, const struct cfi_row **ret);
/** Releases module->cfi (NULL is fine); rows are in the symbols' arena. Returns NULL. */
struct cfi *cfi_free(struct cfi *cfi);

#endif
