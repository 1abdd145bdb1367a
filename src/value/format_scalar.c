// SPDX-License-Identifier: Apache-2.0
// Numbers, enumerations, pointers and references.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "symbols/demangle.h"
#include "symbols/function.h"
#include "value/format.h"

typedef unsigned __int128 wide;

static void put_decimal(struct printer *p, wide value, bool is_signed)
{
	char digits[48], *at = digits + sizeof(digits);
	bool negative = is_signed && (__int128)value < 0;
	if (negative)
		value = -value;
	*--at = '\0';
	do {
		*--at = (char)('0' + (unsigned)(value % 10));
		value /= 10;
	} while (value);
	if (negative)
		*--at = '-';
	text_append(p->out, at);
}

static void put_base(struct printer *p, wide value, unsigned shift, const char *prefix)
{
	char digits[136], *at = digits + sizeof(digits);
	*--at = '\0';
	bool zero = !value;
	do {
		*--at = "0123456789abcdef"[(unsigned)value & ((1u << shift) - 1)];
		value >>= shift;
	} while (value);
	if (!zero || shift == 4)
		text_append(p->out, prefix);
	text_append(p->out, at);
}

static bool symbol_for(struct printer *p, uint64_t address, struct strobe_symbol *symbol)
{
	if (address < 4096 || !strobe_symbol_at(p->symbols, address, symbol))
		return false;
	if (symbol->size_bytes)
		return address - symbol->address < symbol->size_bytes;
	bool code = strcmp(symbol->type, "function") == 0 || strcmp(symbol->type, "ifunc") == 0;
	if (code || strcmp(symbol->type, "notype") != 0)
		return code;
	const struct strobe_mapping *mapping = strobe_view_mapping_at(p->symbols->view, address);
	return mapping && mapping->permissions & STROBE_PERMISSION_EXECUTE;
}

/**
 * The function that debug information knows at `address`, if it says more than the ELF symbol: in
 * a part that the compiler moved away ("f.cold"), and under the names that link-time optimisation
 * invents. The rule is gdb's, and so is the offset, which may be negative.
 */
static const char *function_for(struct printer *p, uint64_t address, const char *symbol,
				uint64_t symbol_start, int64_t *offset)
{
	const struct strobe_mapping *mapping = strobe_view_mapping_at(p->symbols->view, address);
	if (!mapping || !(mapping->permissions & STROBE_PERMISSION_EXECUTE))
		return NULL;
	const struct code_position *position = code_position_at(p->symbols, address);
	if (!position || !position->scope_count)
		return NULL;
	const struct code_scope *scope = &position->scopes[position->scope_count - 1];
	// C++ and Rust names are spelled with their parameters: only the ELF symbol has these.
	if (!scope->function || scope->linkage_name || strstr(scope->function, "::") ||
	    (symbol && symbol_start > scope->start))
		return NULL;
	*offset = (int64_t)(address - scope->start);
	return scope->function;
}

/** An instance of a function template that debug information knows, as gdb spells it: without the
 *  type of what it returns; malloc'ed. NULL for all others. */
static char *instance_for(struct printer *p, const struct strobe_symbol *symbol)
{
	if (strcmp(symbol->type, "function") != 0 || !strchr(symbol->name, '<') ||
	    !demangle_is_mangled(symbol->linkage_name))
		return NULL;
	const struct code_position *position = code_position_at(p->symbols, symbol->address);
	bool known = position && position->scope_count &&
		     position->scopes[position->scope_count - 1].start == symbol->address;
	return known ? demangle_without_return(symbol->linkage_name) : NULL;
}

void format_address(struct printer *p, uint64_t address)
{
	text_printf(p->out, "0x%llx", (unsigned long long)address);
	struct strobe_symbol symbol;
	if (p->options.no_symbols)
		return;
	bool known = symbol_for(p, address, &symbol);
	int64_t offset = known ? (int64_t)(address - symbol.address) : 0;
	const char *name = known ? symbol.name : NULL;
	const char *function = function_for(p, address, name, known ? symbol.address : 0, &offset);
	char *instance = function || !known ? NULL : instance_for(p, &symbol);
	if (function || instance)
		name = function ? function : instance;
	if (name && offset)
		text_printf(p->out, " <%s%+lld>", name, (long long)offset);
	else if (name)
		text_printf(p->out, " <%s>", name);
	free(instance);
}

static const struct type *peel(const struct type *type)
{
	for (int i = 0; type && type->kind >= TYPE_TYPEDEF && type->kind <= TYPE_ATOMIC && i < 64;
	     i++)
		type = type->target;
	return type;
}

bool format_is_text(struct printer *p, const struct type *type)
{
	char radix = p->options.radix;
	if (radix && radix != 's')
		return false;
	const struct type *real = peel(type);
	if (!real)
		return false;
	if (real->kind == TYPE_CHARACTER)
		return true;
	for (int i = 0; type && i < 64; i++, type = type->target) {
		const char *name = type->name;
		if (name && (strcmp(name, "wchar_t") == 0 || strcmp(name, "char16_t") == 0 ||
			     strcmp(name, "char32_t") == 0))
			return true;
		if (type == real)
			break;
	}
	return real->kind == TYPE_INTEGER && real->size == 1;
}

void format_pointer(struct printer *p, struct type *target, uint64_t address)
{
	format_address(p, address);
	if (target && address && format_is_text(p, target)) {
		text_append_char(p->out, ' ');
		format_string_at(p, target, address);
	}
}

// IEEE 754 binary16, by hand: clang 14 knows _Float16 on some targets only.
float format_half(uint16_t raw)
{
	int exponent = raw >> 10 & 31, mantissa = raw & 0x3ff;
	float size = exponent == 31 ? (mantissa ? NAN : INFINITY)
		     : exponent	    ? ldexpf((float)(mantissa | 0x400), exponent - 25)
				    : ldexpf((float)mantissa, -24);
	return raw & 0x8000 ? -size : size;
}

/** Binary floating point of these sizes: digits that tell every number from its neighbours. */
void format_float(struct printer *p, const uint8_t *bytes, uint64_t size)
{
	char buffer[80] = "";
	long double value = 0;
	unsigned long long mantissa = 0;
	if (size == 4) {
		float f;
		uint32_t raw;
		memcpy(&f, bytes, 4);
		memcpy(&raw, bytes, 4);
		value = f;
		mantissa = raw & 0x7fffff;
		snprintf(buffer, sizeof(buffer), "%.9g", (double)f);
	} else if (size == 8) {
		double d;
		memcpy(&d, bytes, 8);
		memcpy(&mantissa, bytes, 8);
		value = d;
		mantissa &= 0xfffffffffffffULL;
		snprintf(buffer, sizeof(buffer), "%.17g", d);
	} else if (size == 2) {
		uint16_t raw;
		memcpy(&raw, bytes, 2);
		value = format_half(raw);
		mantissa = raw & 0x3ff;
		snprintf(buffer, sizeof(buffer), "%.5g", (double)value);
	} else if (size >= 10) {
		memcpy(&value, bytes, 10);
		memcpy(&mantissa, bytes, 8);
		snprintf(buffer, sizeof(buffer), "%.21Lg", value);
	}
	if (isnan(value))
		text_printf(p->out, "%snan(0x%llx)", signbit(value) ? "-" : "", mantissa);
	else
		text_append(p->out, buffer);
}

// glibc's headers hide it from clang, which spells the type so.
typedef __float128 float128;
int strfromf128(char *restrict, size_t, const char *restrict, float128);

static void format_float128(struct printer *p, const uint8_t *bytes)
{
	char buffer[80];
	float128 value;
	memcpy(&value, bytes, sizeof(value));
	strfromf128(buffer, sizeof(buffer), "%.36g", value);
	text_append(p->out, buffer);
}

static void put_enum(struct printer *p, const struct type *type, wide raw)
{
	int64_t value = (int64_t)raw;
	for (size_t i = 0; i < type->enumerator_count; i++) {
		if (type->enumerators[i].value == value) {
			const char *name = type->enumerators[i].name;
			text_append(p->out, name ? name : "?");
			return;
		}
	}
	if (!type->is_flag_enum) {
		put_decimal(p, raw, true);
		return;
	}
	bool any = false;
	for (size_t i = 0; i < type->enumerator_count; i++) {
		if (!(value & type->enumerators[i].value))
			continue;
		text_printf(p->out, "%s%s", any ? " | " : "(", type->enumerators[i].name);
		value &= ~type->enumerators[i].value;
		any = true;
	}
	if (value)
		text_printf(p->out, "%sunknown: 0x%llx)", any ? " | " : "(",
			    (unsigned long long)value);
	else
		text_append(p->out, any ? ")" : "0");
}

static void put_integer(struct printer *p, const struct strobe_value *value,
			const struct type *type, wide raw)
{
	put_decimal(p, raw, type->is_signed);
	if (!p->rust && format_is_text(p, value->type) && !p->in_vector) {
		text_append_char(p->out, ' ');
		format_character(p, value->type, (uint32_t)raw);
	}
}

/** Number under an explicit radix. False if the radix does not apply to it. */
static bool put_radix(struct printer *p, const struct strobe_value *value, const struct type *type,
		      wide raw)
{
	unsigned bits = (unsigned)type->size * 8; // bit-fields are extended to their type
	wide cut = bits < 128 ? raw & (((wide)1 << bits) - 1) : raw;
	wide sign = bits && bits < 128 && cut >> (bits - 1) & 1 ? ~(wide)0 << bits : 0;
	uint8_t bytes[16];
	switch (p->options.radix) {
	case 'x':
		put_base(p, cut, 4, "0x");
		return true;
	case 'o':
		put_base(p, cut, 3, "0");
		return true;
	case 't':
		put_base(p, cut, 1, "");
		return true;
	case 'd':
		put_decimal(p, cut | sign, true);
		return true;
	case 'u':
		put_decimal(p, cut, false);
		return true;
	case 'a':
		format_address(p, (uint64_t)cut);
		return true;
	case 'c':
		put_decimal(p, type->is_signed ? (cut | sign) : cut, true);
		text_append_char(p->out, ' ');
		format_character(p, type->size == 1 ? type : type_builtin(p->symbols, "char"),
				 (uint32_t)cut & 0xff);
		return true;
	case 'f':
		if (type->kind == TYPE_FLOAT || (type->size != 4 && type->size != 8))
			return false;
		memcpy(bytes, &cut, sizeof(bytes));
		format_float(p, bytes, type->size);
		return true;
	default:
		return false;
	}
}

static void put_function(struct printer *p, const struct strobe_value *value)
{
	text_printf(p->out, "{%s} ", type_name(p->symbols, value->type));
	format_address(p, value->address);
}

static void put_reference(struct printer *p, const struct strobe_value *value, struct type *type)
{
	unsigned __int128 raw = 0;
	uint64_t bad = 0;
	enum read_state state = value_scalar(value, &raw, &bad);
	if (state != READ_GOOD) {
		format_missing(p, value, state, bad);
		if (state == READ_SYNTHETIC && !p->depth && value->store->target) {
			text_append(p->out, ": ");
			p->depth++;
			format_value(p, value->store->target);
			p->depth--;
		}
		return;
	}
	text_printf(p->out, "@0x%llx", (unsigned long long)raw);
	if (p->depth) // as gdb: parts of structures are not followed
		return;
	text_append(p->out, ": ");
	struct type *target = type->target ? type->target : type_builtin(p->symbols, "void");
	struct strobe_value inner = value_in_memory(p->symbols, target, (uint64_t)raw);
	if (++p->depth < FORMAT_NESTING_LIMIT)
		format_value(p, &inner);
	p->depth--;
}

static void put_complex(struct printer *p, const struct strobe_value *value,
			const struct type *type)
{
	uint8_t bytes[32] = {0};
	uint64_t bad = 0, half = type->size / 2;
	if (half > 16 || half < 2)
		return;
	enum read_state state = value_read(value, 0, bytes, type->size, &bad);
	if (state != READ_GOOD) {
		format_missing(p, value, state, bad);
		return;
	}
	format_float(p, bytes, half);
	text_append(p->out, " + ");
	format_float(p, bytes + half, half);
	text_append_char(p->out, 'i');
}

static void put_data_member(struct printer *p, struct type *container, uint64_t offset)
{
	struct type *class = container ? type_strip(p->symbols, container) : NULL;
	if (offset == UINT64_MAX) {
		text_append(p->out, "NULL");
		return;
	}
	for (size_t i = 0; class && i < class->member_count; i++) {
		const struct type_member *m = &class->members[i];
		if (m->base || m->static_member || m->offset_bits != offset * 8 || !m->name)
			continue;
		text_printf(p->out, "&%s::%s", class->name ? class->name : "", m->name);
		return;
	}
	text_printf(p->out, "%lld", (long long)offset);
}

/** Code address, or one more than the offset in the virtual table; and what to add to `this`. */
static void put_method_pointer(struct printer *p, const struct strobe_value *value,
			       const struct type *type, uint64_t code, uint64_t adjustment)
{
	const char *name = code & 1 ? type_virtual_method(p->symbols, type->container,
							  (code - 1) / 8, adjustment)
				    : NULL;
	if (name) {
		text_printf(p->out, "&virtual %s", name);
		return;
	}
	if (code & 1) {
		text_printf(p->out, "&virtual table offset %llu", (unsigned long long)code - 1);
	} else if (code) {
		text_printf(p->out, "(%s) ", type_name(p->symbols, value_stripped(value)));
		format_address(p, code);
	} else {
		text_append(p->out, "NULL");
	}
	if (adjustment)
		text_printf(p->out, ", this adjustment %lld", (long long)adjustment);
}

static void put_member_pointer(struct printer *p, const struct strobe_value *value,
			       const struct type *type)
{
	uint64_t parts[2] = {0}, bad = 0;
	const struct type *target = peel(type->target);
	bool method = target && target->kind == TYPE_FUNCTION;
	enum read_state state = value_read(value, 0, parts, method ? 16 : 8, &bad);
	if (state != READ_GOOD)
		format_missing(p, value, state, bad);
	else if (method)
		put_method_pointer(p, value, type, parts[0], parts[1]);
	else
		put_data_member(p, type->container, parts[0]);
}

static void put_float(struct printer *p, const struct strobe_value *value, const struct type *type)
{
	uint8_t bytes[16] = {0};
	uint64_t bad = 0;
	if (type->size > 16 || type->size < 2) {
		text_append(p->out, "<invalid float>");
		return;
	}
	enum read_state state = value_read(value, 0, bytes, type->size, &bad);
	if (state != READ_GOOD) {
		format_missing(p, value, state, bad);
		return;
	}
	bool quad = type->size == 16 && type->name &&
		    (strstr(type->name, "128") || strstr(type->name, "quad"));
	char radix = p->options.radix;
	if (radix && radix != 'f' && radix != 's') {
		wide raw = 0; // its bits, as gdb 13 shows them
		memcpy(&raw, bytes, type->size);
		put_radix(p, value, type, raw);
		return;
	}
	if (quad)
		format_float128(p, bytes);
	else
		format_float(p, bytes, type->size);
}

static void put_decimal_float(struct printer *p, const struct strobe_value *value,
			      const struct type *type)
{
	uint8_t bytes[16] = {0};
	uint64_t bad = 0;
	enum read_state state =
		type->size <= 16 ? value_read(value, 0, bytes, type->size, &bad) : READ_GOOD;
	if (state == READ_GOOD)
		format_decimal(p, bytes, type->size);
	else
		format_missing(p, value, state, bad);
}

static void put_number(struct printer *p, const struct strobe_value *value, struct type *type)
{
	wide raw = 0;
	uint64_t bad = 0;
	enum read_state state = value_scalar(value, &raw, &bad);
	if (state != READ_GOOD) {
		format_missing(p, value, state, bad);
		return;
	}
	if (p->options.radix && put_radix(p, value, type, raw))
		return;
	switch (type->kind) {
	case TYPE_BOOLEAN:
		if (raw <= 1)
			text_append(p->out, raw ? "true" : "false");
		else
			put_decimal(p, raw, type->is_signed);
		break;
	case TYPE_ENUM:
		put_enum(p, type, raw);
		break;
	case TYPE_POINTER:
		format_pointer(p, type->target, (uint64_t)raw);
		break;
	default:
		put_integer(p, value, type, raw);
	}
}

void format_scalar(struct printer *p, const struct strobe_value *value)
{
	struct type *type = value_stripped(value);
	switch (type->kind) {
	case TYPE_VOID: // C++ has another type without a description: nullptr_t
		text_append(p->out,
			    type->name && strstr(type->name, "nullptr") ? "nullptr" : "void");
		break;
	case TYPE_FUNCTION:
		put_function(p, value);
		break;
	case TYPE_REFERENCE:
	case TYPE_RVALUE_REFERENCE:
		put_reference(p, value, type);
		break;
	case TYPE_COMPLEX:
		put_complex(p, value, type);
		break;
	case TYPE_FLOAT:
		put_float(p, value, type);
		break;
	case TYPE_DECIMAL:
		put_decimal_float(p, value, type);
		break;
	case TYPE_MEMBER_POINTER:
		put_member_pointer(p, value, type);
		break;
	case TYPE_UNKNOWN:
		text_printf(p->out, "<unsupported type %s>", type->name ? type->name : "");
		break;
	default:
		if (type->size == 0 || type->size > 16)
			text_append(p->out, "<incomplete type>");
		else
			put_number(p, value, type);
	}
}
