// SPDX-License-Identifier: Apache-2.0
#ifndef CODE_LLVM_TEXT_H
#define CODE_LLVM_TEXT_H

// AT&T syntax as LLVM writes it: integer mnemonics with the size of their operands ("movq", "callq"), no scale of 1,
// "*" before what is jumped to indirectly. The names are those of the AT&T assembler
// (GNU as manual, i386-Mnemonics); what LLVM prints was compared on glibc's code.

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Writes the instruction into `buffer`; false (and nothing useful in it) for what only Zydis's own formatter
 *  knows to write: vector code with masks and the like. */
bool llvm_text(const ZydisDecodedInstruction *decoded, const ZydisDecodedOperand *operands,
	       uint64_t address, char *buffer, size_t size);

#endif
