// SPDX-License-Identifier: Apache-2.0
// Decimal floating point in the binary encoding that x86-64 uses (IEEE 754-2008, 3.5.2), as text in
// the notation of IEEE 754's to-scientific-string.
#include <string.h>

#include "value/format.h"

typedef unsigned __int128 wide;

struct decimal {
	bool negative, infinite, not_a_number;
	wide coefficient;
	int exponent; // of the last digit
};

static void decode(const uint8_t *bytes, uint64_t size, struct decimal *ret)
{
	unsigned bits = (unsigned)size * 8;
	unsigned exponent_bits = size == 4 ? 8 : size == 8 ? 10 : 14;
	int bias = size == 4 ? 101 : size == 8 ? 398 : 6176;
	wide most = size == 4 ? 9999999 : size == 8 ? 9999999999999999ull : 1;
	wide raw = 0;
	memcpy(&raw, bytes, size);
	unsigned top = (unsigned)(raw >> (bits - 6)) & 31; // behind the sign
	unsigned shift = bits - 1 - exponent_bits;
	*ret = (struct decimal){.negative = raw >> (bits - 1) & 1,
				.infinite = top == 30,
				.not_a_number = top == 31};
	for (int i = 0; size == 16 && i < 34; i++)
		most *= 10;
	most -= size == 16;
	if (top >= 24) { // a large coefficient: its top bits, 100, are implied
		shift -= 2;
		ret->coefficient = ((wide)4 << shift) | (raw & (((wide)1 << shift) - 1));
	} else {
		ret->coefficient = raw & (((wide)1 << shift) - 1);
	}
	ret->exponent = (int)((raw >> shift) & ((1u << exponent_bits) - 1)) - bias;
	if (ret->coefficient > most)
		ret->coefficient = 0; // not canonical
}

/** Digits of the coefficient in `digits`, which ends with a NUL; returns where they start. */
static const char *digits_of(wide coefficient, char digits[40])
{
	char *at = digits + 39;
	*at = '\0';
	do {
		*--at = (char)('0' + (unsigned)(coefficient % 10));
		coefficient /= 10;
	} while (coefficient);
	return at;
}

void format_decimal(struct printer *p, const uint8_t *bytes, uint64_t size)
{
	struct decimal d;
	char buffer[40];
	if (size != 4 && size != 8 && size != 16) {
		text_append(p->out, "<invalid float>");
		return;
	}
	decode(bytes, size, &d);
	text_append(p->out, d.negative ? "-" : "");
	if (d.infinite || d.not_a_number) {
		text_append(p->out, d.infinite ? "Infinity" : "NaN");
		return;
	}
	const char *digits = digits_of(d.coefficient, buffer);
	int count = (int)strlen(digits), adjusted = d.exponent + count - 1;
	int point = count + d.exponent; // digits before it
	if (d.exponent > 0 || adjusted < -6) {
		text_printf(p->out, "%c%s%sE%+d", digits[0], count > 1 ? "." : "", digits + 1,
			    adjusted);
	} else if (point > 0) {
		text_printf(p->out, "%.*s%s%s", point, digits, digits[point] ? "." : "",
			    digits + point);
	} else {
		text_printf(p->out, "0.%.*s%s", -point, "00000000", digits);
	}
}
