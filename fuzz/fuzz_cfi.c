// SPDX-License-Identifier: Apache-2.0
// Call frame information: the first byte chooses .eh_frame, .debug_frame or .eh_frame_hdr, the rest
// is the section.
#include <stdlib.h>

#include "symbols/cfi_parse.h"

static unsigned sum; // so that reading what rules point to is not optimised away

static void touch(const uint8_t *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		sum += bytes[i];
}

static void run_at(const struct cfi_fde *fde, uint64_t pc)
{
	struct cfi_row row;
	if (!cfi_run(fde, pc, &row))
		return;
	if (row.cfa_is_expression)
		touch(row.cfa_expression, row.cfa_expression_size);
	else if (row.cfa_register >= CFI_REGISTER_COUNT)
		abort();
	for (unsigned i = 0; i < CFI_REGISTER_COUNT; i++) {
		const struct cfi_rule *rule = &row.rules[i];
		if (rule->kind == CFI_EXPRESSION || rule->kind == CFI_VALUE_EXPRESSION)
			touch(rule->expression, rule->expression_size);
		if (rule->kind == CFI_REGISTER && rule->reg >= CFI_REGISTER_COUNT)
			abort();
	}
}

static void walk(const struct cfi_section *section)
{
	struct cfi_fde fde;
	enum cfi_entry kind;
	size_t offset = 0, before = 0;
	while ((kind = cfi_read_entry(section, &offset, &fde)) != CFI_ENTRY_END) {
		if (offset <= before || offset > section->size)
			abort();
		before = offset;
		if (kind != CFI_ENTRY_FDE)
			continue;
		run_at(&fde, fde.start);
		run_at(&fde, fde.start + (fde.end - fde.start) / 2);
		run_at(&fde, fde.end - 1);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	if (data[0] % 3 == 2) {
		struct cfi_header header;
		uint64_t found;
		if (cfi_read_header(data + 1, size - 1, 0x400000, &header)) {
			for (uint64_t pc = 0x3ff000; pc < 0x402000; pc += 64)
				sum += cfi_search_header(&header, pc, &found);
		}
		return 0;
	}
	walk(&(struct cfi_section){data + 1, size - 1, 0x400000, data[0] % 3 == 0});
	return 0;
}
