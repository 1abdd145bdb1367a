// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_CODE_H
#define STROBE_CODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/symbols.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Assembly syntax. */
enum strobe_syntax {
	STROBE_SYNTAX_INTEL,
	STROBE_SYNTAX_ATT,
	STROBE_SYNTAX_LLVM, /**< AT&T's as LLVM writes it: "movq", "callq", "jmpq *%rax" */
};

/** One instruction. */
struct strobe_instruction {
	uint64_t address;
	uint8_t bytes[15];
	uint8_t size_bytes; /**< 1 to 15; 1 with "(bad)" where no instruction starts */
	const char *text;   /**< assembly, operands' addresses as numbers */
	bool has_target;    /**< `target` is a branch target or rip-relative address */
	uint64_t target;
	const char *target_symbol; /**< "<name+0x12>", or NULL */
};
/** Called for each instruction; all is borrowed for the call. Return false to stop. */
typedef bool (*strobe_instruction_visit)(void *context,
					 const struct strobe_instruction *instruction);
/**
 * Disassembles from `start`, up to `end` (0 = no end) or `max_count` instructions (0 = no limit).
 * `symbols` give the code (through their view) and the names. Errors: UNREADABLE when the first
 * byte cannot be read; code that ends in the middle is a result: the walk just ends.
 */
STROBE_EXPORT struct strobe_error *
strobe_disassemble(struct strobe_symbols *symbols, uint64_t start, uint64_t end, size_t max_count,
		   enum strobe_syntax syntax, strobe_instruction_visit visit, void *context)
	STROBE_MUST_CHECK;

#ifdef __cplusplus
}
#endif
#endif
