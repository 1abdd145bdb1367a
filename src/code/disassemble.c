// SPDX-License-Identifier: Apache-2.0
#include <strobe/code.h>

#include <Zydis/Zydis.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "code/llvm_text.h"
#include "view/view.h"

enum { INSTRUCTION_SIZE = 15, TEXT_SIZE = 256, SYMBOL_SIZE = 512 };

/** A run through the code. */
struct decoder {
	struct strobe_symbols *symbols;
	const struct strobe_view *view;
	ZydisDecoder decoder;
	ZydisFormatter formatter;
	bool as_llvm;
	char text[TEXT_SIZE];
	char symbol[SYMBOL_SIZE];
};

// Up to 15 bytes at `address`: where they lie if they lie in a row, else copied into `buffer`.
static const uint8_t *fetch(const struct strobe_view *view, uint64_t address,
			    uint8_t buffer[INSTRUCTION_SIZE], size_t *size)
{
	size_t available = 0;
	const uint8_t *bytes = view_pointer(view, address, &available);
	if (bytes && available >= INSTRUCTION_SIZE) {
		*size = INSTRUCTION_SIZE;
		return bytes;
	}
	*size = strobe_memory_read(view, address, buffer, INSTRUCTION_SIZE);
	return buffer;
}

// What a branch goes to, or a rip-relative or absolute operand names.
static bool find_target(const ZydisDecodedInstruction *decoded, const ZydisDecodedOperand *operands,
			uint64_t address, uint64_t *target)
{
	for (unsigned i = 0; i < decoded->operand_count_visible; i++) {
		const ZydisDecodedOperand *operand = &operands[i];
		bool relative =
			operand->type == ZYDIS_OPERAND_TYPE_IMMEDIATE && operand->imm.is_relative;
		bool memory = operand->type == ZYDIS_OPERAND_TYPE_MEMORY &&
			      operand->mem.base == ZYDIS_REGISTER_RIP;
		if ((relative || memory) &&
		    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(decoded, operand, address, target)))
			return true;
	}
	return false;
}

static const char *name_target(struct decoder *decoder, uint64_t target)
{
	struct strobe_symbol symbol;
	if (!strobe_symbol_at(decoder->symbols, target, &symbol) || !symbol.name)
		return NULL;
	uint64_t offset = target - symbol.address;
	if (offset && offset >= symbol.size_bytes)
		return NULL; // the nearest symbol says nothing about what is past its end
	if (offset)
		snprintf(decoder->symbol, sizeof(decoder->symbol), "<%s+0x%" PRIx64 ">",
			 symbol.name, offset);
	else
		snprintf(decoder->symbol, sizeof(decoder->symbol), "<%s>", symbol.name);
	return decoder->symbol;
}

static void set_bad(struct strobe_instruction *instruction)
{
	instruction->size_bytes = 1;
	instruction->text = "(bad)";
}

static bool write_text(struct decoder *decoder, const ZydisDecodedInstruction *decoded,
		       const ZydisDecodedOperand *operands, uint64_t address)
{
	if (decoder->as_llvm &&
	    llvm_text(decoded, operands, address, decoder->text, sizeof(decoder->text)))
		return true;
	return ZYAN_SUCCESS(ZydisFormatterFormatInstruction(
		&decoder->formatter, decoded, operands, decoded->operand_count_visible,
		decoder->text, sizeof(decoder->text), address, NULL));
}

static void decode(struct decoder *decoder, const uint8_t *bytes, size_t size, uint64_t address,
		   struct strobe_instruction *ret)
{
	ZydisDecodedInstruction decoded;
	ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
	*ret = (struct strobe_instruction){.address = address};
	if (!ZYAN_SUCCESS(
		    ZydisDecoderDecodeFull(&decoder->decoder, bytes, size, &decoded, operands)))
		set_bad(ret);
	else if (!write_text(decoder, &decoded, operands, address))
		set_bad(ret);
	else {
		ret->size_bytes = decoded.length;
		ret->text = decoder->text;
		ret->has_target = find_target(&decoded, operands, address, &ret->target);
		if (ret->has_target)
			ret->target_symbol = name_target(decoder, ret->target);
	}
	memcpy(ret->bytes, bytes, ret->size_bytes);
}

static void init(struct decoder *decoder, struct strobe_symbols *symbols, enum strobe_syntax syntax)
{
	decoder->symbols = symbols;
	decoder->view = strobe_symbols_view(symbols);
	decoder->as_llvm = syntax == STROBE_SYNTAX_LLVM;
	// Neither fails with these arguments; what would be wrong is a build without the decoder.
	(void)ZydisDecoderInit(&decoder->decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	(void)ZydisFormatterInit(&decoder->formatter, syntax == STROBE_SYNTAX_INTEL
							      ? ZYDIS_FORMATTER_STYLE_INTEL
							      : ZYDIS_FORMATTER_STYLE_ATT);
	(void)ZydisFormatterSetProperty(&decoder->formatter, ZYDIS_FORMATTER_PROP_HEX_UPPERCASE,
					ZYAN_FALSE);
	(void)ZydisFormatterSetProperty(&decoder->formatter,
					ZYDIS_FORMATTER_PROP_ADDR_PADDING_ABSOLUTE,
					(ZyanUPointer)ZYDIS_PADDING_DISABLED);
	(void)ZydisFormatterSetProperty(&decoder->formatter, ZYDIS_FORMATTER_PROP_DISP_PADDING,
					(ZyanUPointer)ZYDIS_PADDING_DISABLED);
	(void)ZydisFormatterSetProperty(&decoder->formatter, ZYDIS_FORMATTER_PROP_IMM_PADDING,
					(ZyanUPointer)ZYDIS_PADDING_DISABLED);
}

struct strobe_error *strobe_disassemble(struct strobe_symbols *symbols, uint64_t start,
					uint64_t end, size_t max_count, enum strobe_syntax syntax,
					strobe_instruction_visit visit, void *context)
{
	struct decoder decoder;
	uint64_t address = start;
	init(&decoder, symbols, syntax);
	for (size_t count = 0; max_count == 0 || count < max_count; count++) {
		uint8_t buffer[INSTRUCTION_SIZE];
		struct strobe_instruction instruction;
		size_t size = 0;
		if (end && address >= end)
			break;
		const uint8_t *bytes = fetch(decoder.view, address, buffer, &size);
		if (size == 0 && address == start)
			return error_address(STROBE_ERROR_UNREADABLE, start,
					     "0x%" PRIx64 ": code is not readable", start);
		if (size == 0)
			break;
		decode(&decoder, bytes, size, address, &instruction);
		if (!visit(context, &instruction) || instruction.size_bytes > UINT64_MAX - address)
			break;
		address += instruction.size_bytes;
	}
	return NULL;
}
