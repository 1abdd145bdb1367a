// SPDX-License-Identifier: Apache-2.0
#include "code/llvm_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/** What is appended to a mnemonic. */
enum suffix {
	SUFFIX_NONE,
	SUFFIX_WIDTH,	// the operands' width: b w l q
	SUFFIX_SOURCE,	// that of the source
	SUFFIX_MEMORY,	// that of the source, if it is memory
	SUFFIX_FLOAT,	// of x87 memory operands: s l t
	SUFFIX_INTEGER, // of x87 integers: s l ll
	SUFFIX_WIDEN,	// from and to: bl, wq
};

/** A mnemonic that AT&T calls or ends differently. */
struct spelling {
	ZydisMnemonic mnemonic;
	enum suffix suffix;
	const char *name; // NULL = Zydis's
};

#define SIZED(name)                                                                                \
	{                                                                                          \
		ZYDIS_MNEMONIC_##name, SUFFIX_WIDTH, NULL                                          \
	}
#define NAMED(mnemonic, name)                                                                      \
	{                                                                                          \
		ZYDIS_MNEMONIC_##mnemonic, SUFFIX_NONE, name                                       \
	}
static const struct spelling spellings[] = {
	SIZED(ADC),
	SIZED(ADCX),
	SIZED(ADD),
	SIZED(ADOX),
	SIZED(AND),
	SIZED(ANDN),
	SIZED(BEXTR),
	SIZED(BLSI),
	SIZED(BLSMSK),
	SIZED(BLSR),
	SIZED(BSF),
	SIZED(BSR),
	SIZED(BSWAP),
	SIZED(BT),
	SIZED(BTC),
	SIZED(BTR),
	SIZED(BTS),
	SIZED(BZHI),
	SIZED(CALL),
	SIZED(CMP),
	SIZED(CMPXCHG),
	SIZED(DEC),
	SIZED(DIV),
	SIZED(IDIV),
	SIZED(IMUL),
	SIZED(IN),
	SIZED(INC),
	SIZED(LEA),
	SIZED(LZCNT),
	SIZED(MOV),
	SIZED(MOVBE),
	SIZED(MUL),
	SIZED(MULX),
	SIZED(NEG),
	SIZED(NOT),
	SIZED(OR),
	SIZED(OUT),
	SIZED(PDEP),
	SIZED(PEXT),
	SIZED(POP),
	SIZED(POPCNT),
	SIZED(PUSH),
	SIZED(RCL),
	SIZED(RCR),
	SIZED(RET),
	SIZED(ROL),
	SIZED(ROR),
	SIZED(RORX),
	SIZED(SAR),
	SIZED(SARX),
	SIZED(SBB),
	SIZED(SHL),
	SIZED(SHLD),
	SIZED(SHLX),
	SIZED(SHR),
	SIZED(SHRD),
	SIZED(SHRX),
	SIZED(SUB),
	SIZED(TEST),
	SIZED(TZCNT),
	SIZED(XADD),
	SIZED(XCHG),
	SIZED(XOR),
	{ZYDIS_MNEMONIC_CVTSI2SD, SUFFIX_MEMORY, NULL},
	{ZYDIS_MNEMONIC_CVTSI2SS, SUFFIX_MEMORY, NULL},
	{ZYDIS_MNEMONIC_VCVTSI2SD, SUFFIX_MEMORY, NULL},
	{ZYDIS_MNEMONIC_VCVTSI2SS, SUFFIX_MEMORY, NULL},
	{ZYDIS_MNEMONIC_CRC32, SUFFIX_SOURCE, NULL},
	{ZYDIS_MNEMONIC_MOVZX, SUFFIX_WIDEN, "movz"},
	{ZYDIS_MNEMONIC_MOVSX, SUFFIX_WIDEN, "movs"},
	{ZYDIS_MNEMONIC_MOVSXD, SUFFIX_WIDEN, "movs"},
	{ZYDIS_MNEMONIC_FLD, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FST, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FSTP, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FADD, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FMUL, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FSUB, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FSUBR, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FDIV, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FDIVR, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FCOM, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FCOMP, SUFFIX_FLOAT, NULL},
	{ZYDIS_MNEMONIC_FILD, SUFFIX_INTEGER, NULL},
	{ZYDIS_MNEMONIC_FIST, SUFFIX_INTEGER, NULL},
	{ZYDIS_MNEMONIC_FISTP, SUFFIX_INTEGER, NULL},
	{ZYDIS_MNEMONIC_FISTTP, SUFFIX_INTEGER, NULL},
	{ZYDIS_MNEMONIC_FIADD, SUFFIX_INTEGER, NULL},
	{ZYDIS_MNEMONIC_FIMUL, SUFFIX_INTEGER, NULL},
	{ZYDIS_MNEMONIC_FISUB, SUFFIX_INTEGER, NULL},
	{ZYDIS_MNEMONIC_FIDIV, SUFFIX_INTEGER, NULL},
	NAMED(CBW, "cbtw"),
	NAMED(CWDE, "cwtl"),
	NAMED(CDQE, "cltq"),
	NAMED(CWD, "cwtd"),
	NAMED(CDQ, "cltd"),
	NAMED(CQO, "cqto"),
	NAMED(FWAIT, "wait"),
	NAMED(XLAT, "xlatb"),
	NAMED(FCOMIP, "fcompi"),
	NAMED(FUCOMIP, "fucompi"),
	// AT&T has these two pairs the wrong way round, for ever.
	NAMED(FSUBP, "fsubrp"),
	NAMED(FSUBRP, "fsubp"),
	NAMED(FDIVP, "fdivrp"),
	NAMED(FDIVRP, "fdivp"),
	NAMED(JZ, "je"),
	NAMED(JNZ, "jne"),
	NAMED(JNB, "jae"),
	NAMED(JNBE, "ja"),
	NAMED(JNLE, "jg"),
	NAMED(JNL, "jge"),
	NAMED(SETZ, "sete"),
	NAMED(SETNZ, "setne"),
	NAMED(SETNB, "setae"),
	NAMED(SETNBE, "seta"),
	NAMED(SETNLE, "setg"),
	NAMED(SETNL, "setge"),
	{ZYDIS_MNEMONIC_CMOVZ, SUFFIX_WIDTH, "cmove"},
	{ZYDIS_MNEMONIC_CMOVNZ, SUFFIX_WIDTH, "cmovne"},
	{ZYDIS_MNEMONIC_CMOVNB, SUFFIX_WIDTH, "cmovae"},
	{ZYDIS_MNEMONIC_CMOVNBE, SUFFIX_WIDTH, "cmova"},
	{ZYDIS_MNEMONIC_CMOVNLE, SUFFIX_WIDTH, "cmovg"},
	{ZYDIS_MNEMONIC_CMOVNL, SUFFIX_WIDTH, "cmovge"},
	SIZED(CMOVB),
	SIZED(CMOVBE),
	SIZED(CMOVL),
	SIZED(CMOVLE),
	SIZED(CMOVO),
	SIZED(CMOVNO),
	SIZED(CMOVS),
	SIZED(CMOVNS),
	SIZED(CMOVP),
	SIZED(CMOVNP),
	// String instructions name their size in Intel's syntax, too; AT&T calls a dword "l".
	{ZYDIS_MNEMONIC_MOVSB, SUFFIX_WIDTH, "movs"},
	{ZYDIS_MNEMONIC_MOVSW, SUFFIX_WIDTH, "movs"},
	{ZYDIS_MNEMONIC_MOVSQ, SUFFIX_WIDTH, "movs"},
	{ZYDIS_MNEMONIC_STOSB, SUFFIX_WIDTH, "stos"},
	{ZYDIS_MNEMONIC_STOSW, SUFFIX_WIDTH, "stos"},
	{ZYDIS_MNEMONIC_STOSD, SUFFIX_WIDTH, "stos"},
	{ZYDIS_MNEMONIC_STOSQ, SUFFIX_WIDTH, "stos"},
	{ZYDIS_MNEMONIC_LODSB, SUFFIX_WIDTH, "lods"},
	{ZYDIS_MNEMONIC_LODSW, SUFFIX_WIDTH, "lods"},
	{ZYDIS_MNEMONIC_LODSD, SUFFIX_WIDTH, "lods"},
	{ZYDIS_MNEMONIC_LODSQ, SUFFIX_WIDTH, "lods"},
	{ZYDIS_MNEMONIC_SCASB, SUFFIX_WIDTH, "scas"},
	{ZYDIS_MNEMONIC_SCASW, SUFFIX_WIDTH, "scas"},
	{ZYDIS_MNEMONIC_SCASD, SUFFIX_WIDTH, "scas"},
	{ZYDIS_MNEMONIC_SCASQ, SUFFIX_WIDTH, "scas"},
	{ZYDIS_MNEMONIC_CMPSB, SUFFIX_WIDTH, "cmps"},
	{ZYDIS_MNEMONIC_CMPSW, SUFFIX_WIDTH, "cmps"},
	{ZYDIS_MNEMONIC_CMPSQ, SUFFIX_WIDTH, "cmps"},
};

enum { SPELLING_COUNT = sizeof(spellings) / sizeof(spellings[0]) };

/** A text that grows; what does not fit is lost. */
struct text {
	char *at;
	size_t left;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct text *text, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int size = vsnprintf(text->at, text->left, format, args);
	va_end(args);
	if (size < 0)
		return;
	size_t used = (size_t)size < text->left ? (size_t)size : text->left - 1;
	text->at += used;
	text->left -= used;
}

static const char *width_letter(unsigned bits)
{
	return bits == 8 ? "b" : bits == 16 ? "w" : bits == 32 ? "l" : bits == 64 ? "q" : "";
}

// The last visible operand that is no immediate: where data comes from.
static unsigned source_width(const ZydisDecodedInstruction *decoded,
			     const ZydisDecodedOperand *operands)
{
	for (unsigned i = decoded->operand_count_visible; i-- > 0;)
		if (operands[i].type != ZYDIS_OPERAND_TYPE_IMMEDIATE)
			return operands[i].size;
	return 0;
}

static const char *x87_letter(const ZydisDecodedInstruction *decoded,
			      const ZydisDecodedOperand *operands, bool integer)
{
	if (decoded->operand_count_visible == 0)
		return "";
	for (unsigned i = 0; i < decoded->operand_count_visible; i++) {
		if (operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		if (integer)
			return operands[i].size == 16 ? "s" : operands[i].size == 32 ? "l" : "ll";
		return operands[i].size == 32 ? "s" : operands[i].size == 64 ? "l" : "t";
	}
	return "";
}

static void put_suffix(struct text *text, enum suffix suffix,
		       const ZydisDecodedInstruction *decoded, const ZydisDecodedOperand *operands)
{
	switch (suffix) {
	case SUFFIX_NONE:
		return;
	case SUFFIX_WIDTH:
		put(text, "%s", width_letter(decoded->operand_width));
		return;
	case SUFFIX_MEMORY:
		if (operands[decoded->operand_count_visible - 1].type != ZYDIS_OPERAND_TYPE_MEMORY)
			return;
		// fall through
	case SUFFIX_SOURCE:
		put(text, "%s", width_letter(source_width(decoded, operands)));
		return;
	case SUFFIX_FLOAT:
	case SUFFIX_INTEGER:
		put(text, "%s", x87_letter(decoded, operands, suffix == SUFFIX_INTEGER));
		return;
	case SUFFIX_WIDEN:
		put(text, "%s%s", width_letter(operands[1].size), width_letter(operands[0].size));
	}
}

static bool is_indirect_branch(const ZydisDecodedInstruction *decoded,
			       const ZydisDecodedOperand *operands)
{
	return (decoded->mnemonic == ZYDIS_MNEMONIC_CALL ||
		decoded->mnemonic == ZYDIS_MNEMONIC_JMP) &&
	       operands[0].type != ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

static void put_prefixes(struct text *text, const ZydisDecodedInstruction *decoded)
{
	static const struct {
		ZydisInstructionAttributes attribute;
		const char *name;
	} prefixes[] = {
		{ZYDIS_ATTRIB_HAS_LOCK, "lock "},
		{ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE, "rep "},
		{ZYDIS_ATTRIB_HAS_REPNE, "repne "},
		{ZYDIS_ATTRIB_HAS_NOTRACK, "notrack "},
	};
	for (unsigned i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
		if (decoded->attributes & prefixes[i].attribute)
			put(text, "%s", prefixes[i].name);
}

static const struct spelling *find_spelling(ZydisMnemonic mnemonic)
{
	for (unsigned i = 0; i < SPELLING_COUNT; i++)
		if (spellings[i].mnemonic == mnemonic)
			return &spellings[i];
	return NULL;
}

static void put_mnemonic(struct text *text, const ZydisDecodedInstruction *decoded,
			 const ZydisDecodedOperand *operands)
{
	const struct spelling *spelling = find_spelling(decoded->mnemonic);
	put_prefixes(text, decoded);
	if (decoded->mnemonic == ZYDIS_MNEMONIC_MOV && decoded->raw.imm[0].size == 64)
		put(text, "movabs");
	else if (decoded->mnemonic == ZYDIS_MNEMONIC_RET &&
		 decoded->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
		put(text, "lret");
	else
		put(text, "%s",
		    spelling && spelling->name ? spelling->name
					       : ZydisMnemonicGetString(decoded->mnemonic));
	if (spelling)
		put_suffix(text, spelling->suffix, decoded, operands);
	else if (decoded->mnemonic == ZYDIS_MNEMONIC_NOP && decoded->operand_count_visible)
		put_suffix(text, SUFFIX_WIDTH, decoded, operands);
	else if (decoded->mnemonic == ZYDIS_MNEMONIC_JMP && is_indirect_branch(decoded, operands))
		put(text, "q");
}

static void put_register(struct text *text, ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_ST0 && reg <= ZYDIS_REGISTER_ST7)
		put(text, "%%st(%d)", (int)(reg - ZYDIS_REGISTER_ST0));
	else
		put(text, "%%%s", ZydisRegisterGetString(reg));
}

static void put_signed(struct text *text, int64_t value)
{
	if (value < 0)
		put(text, "-0x%" PRIx64, (uint64_t)0 - (uint64_t)value);
	else
		put(text, "0x%" PRIx64, (uint64_t)value);
}

static void put_memory(struct text *text, const ZydisDecodedInstruction *decoded,
		       const ZydisDecodedOperand *operand)
{
	bool override = decoded->attributes & ZYDIS_ATTRIB_HAS_SEGMENT;
	bool has_base = operand->mem.base != ZYDIS_REGISTER_NONE;
	bool has_index = operand->mem.index != ZYDIS_REGISTER_NONE;
	// Of string instructions the destination is always in %es.
	if (operand->mem.segment == ZYDIS_REGISTER_ES ||
	    (override && operand->mem.segment != ZYDIS_REGISTER_NONE &&
	     operand->mem.segment >= ZYDIS_REGISTER_FS))
		put(text, "%%%s:", ZydisRegisterGetString(operand->mem.segment));
	if (operand->mem.disp.has_displacement || (!has_base && !has_index))
		if (operand->mem.disp.value || (!has_base && !has_index) ||
		    operand->mem.base == ZYDIS_REGISTER_RIP)
			put_signed(text, operand->mem.disp.value);
	if (!has_base && !has_index)
		return;
	put(text, "(");
	if (has_base)
		put_register(text, operand->mem.base);
	if (has_index) {
		put(text, ",");
		put_register(text, operand->mem.index);
		if (operand->mem.scale != 1 || !has_base)
			put(text, ",%u", operand->mem.scale);
	}
	put(text, ")");
}

static void put_immediate(struct text *text, const ZydisDecodedInstruction *decoded,
			  const ZydisDecodedOperand *operand, uint64_t address)
{
	ZyanU64 target;
	if (operand->imm.is_relative &&
	    ZYAN_SUCCESS(ZydisCalcAbsoluteAddress(decoded, operand, address, &target))) {
		put(text, "0x%" PRIx64, (uint64_t)target);
		return;
	}
	put(text, "$");
	// A byte is a signed number, and so is what is extended; all else are plain bits.
	if (operand->imm.is_signed &&
	    (decoded->raw.imm[0].size == 8 || decoded->raw.imm[0].size < decoded->operand_width))
		put_signed(text, operand->imm.value.s);
	else if (operand->imm.is_signed && decoded->operand_width < 64)
		put(text, "0x%" PRIx64,
		    operand->imm.value.u & ((UINT64_C(1) << decoded->operand_width) - 1));
	else
		put(text, "0x%" PRIx64, operand->imm.value.u);
}

static void put_operand(struct text *text, const ZydisDecodedInstruction *decoded,
			const ZydisDecodedOperand *operand, uint64_t address)
{
	switch (operand->type) {
	case ZYDIS_OPERAND_TYPE_REGISTER:
		put_register(text, operand->reg.value);
		return;
	case ZYDIS_OPERAND_TYPE_MEMORY:
		put_memory(text, decoded, operand);
		return;
	case ZYDIS_OPERAND_TYPE_IMMEDIATE:
		put_immediate(text, decoded, operand, address);
		return;
	default:
		return;
	}
}

/** The operands that are written, in the order of Intel's syntax. */
struct shown {
	const ZydisDecodedOperand *operands[ZYDIS_MAX_OPERAND_COUNT];
	unsigned count;
	bool in_order; // they are not turned round
};

static void choose_operands(const ZydisDecodedInstruction *decoded,
			    const ZydisDecodedOperand *operands, struct shown *ret)
{
	unsigned count = decoded->operand_count_visible;
	bool shifts_by_one = count == 2 && decoded->raw.imm[0].size == 0 &&
			     operands[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
	if (decoded->meta.category == ZYDIS_CATEGORY_STRINGOP)
		count = 2; // which hide them in Intel's syntax
	if (shifts_by_one)
		count = 1;
	ret->count = 0;
	for (unsigned i = 0; i < count; i++) {
		if (decoded->mnemonic == ZYDIS_MNEMONIC_NOP &&
		    operands[i].type != ZYDIS_OPERAND_TYPE_MEMORY && count > 1)
			continue;
		ret->operands[ret->count++] = &operands[i];
	}
	ret->in_order = decoded->mnemonic == ZYDIS_MNEMONIC_ENTER ||
			(decoded->mnemonic == ZYDIS_MNEMONIC_XCHG && count == 2 &&
			 operands[0].type == operands[1].type);
}

static bool is_top(const ZydisDecodedOperand *operand)
{
	return operand->type == ZYDIS_OPERAND_TYPE_REGISTER &&
	       operand->reg.value == ZYDIS_REGISTER_ST0;
}

static bool can_be_written(const ZydisDecodedInstruction *decoded, const struct shown *shown)
{
	if (decoded->encoding == ZYDIS_INSTRUCTION_ENCODING_EVEX ||
	    decoded->encoding == ZYDIS_INSTRUCTION_ENCODING_MVEX)
		return false;
	for (unsigned i = 0; i < shown->count; i++)
		if (shown->operands[i]->type == ZYDIS_OPERAND_TYPE_POINTER)
			return false;
	return true;
}

bool llvm_text(const ZydisDecodedInstruction *decoded, const ZydisDecodedOperand *operands,
	       uint64_t address, char *buffer, size_t size)
{
	struct text text = {buffer, size};
	struct shown shown;
	choose_operands(decoded, operands, &shown);
	if (!can_be_written(decoded, &shown))
		return false;
	put_mnemonic(&text, decoded, operands);
	bool star = is_indirect_branch(decoded, operands);
	bool top_shown =
		shown.count != 2; // of two x87 registers the top of the stack has no number
	for (unsigned i = 0; i < shown.count; i++) {
		unsigned index = shown.in_order ? i : shown.count - 1 - i;
		const ZydisDecodedOperand *operand = shown.operands[index];
		put(&text, "%s%s", i ? ", " : " ", star ? "*" : "");
		if (!top_shown && is_top(operand) && (index == 0 || !is_top(shown.operands[0])))
			put(&text, "%%st");
		else
			put_operand(&text, decoded, operand, address);
	}
	return true;
}
