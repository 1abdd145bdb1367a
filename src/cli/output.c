// SPDX-License-Identifier: Apache-2.0
#include "output.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

const char *style_start(bool color, enum style style)
{
	static const char *const sequences[] = {
		[STYLE_PLAIN] = "",	      [STYLE_HEADING] = "\033[1m",
		[STYLE_ADDRESS] = "\033[34m", [STYLE_FUNCTION] = "\033[33m",
		[STYLE_FILE] = "\033[32m",    [STYLE_NAME] = "\033[36m",
		[STYLE_ALERT] = "\033[1;31m", [STYLE_FAINT] = "\033[2m",
	};
	return color ? sequences[style] : "";
}

const char *style_end(bool color)
{
	return color ? "\033[0m" : "";
}

size_t utf8_sequence(const uint8_t *text, size_t size)
{
	uint8_t first = text[0];
	size_t length = first < 0x80   ? 1
			: first < 0xc2 ? 0
			: first < 0xe0 ? 2
			: first < 0xf0 ? 3
				       : 4;
	if (length == 0 || first > 0xf4 || length > size)
		return 0;
	for (size_t i = 1; i < length; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	// Overlong forms, surrogates, and what lies above U+10FFFF.
	if (length == 3 && ((first == 0xe0 && text[1] < 0xa0) || (first == 0xed && text[1] > 0x9f)))
		return 0;
	if (length == 4 && ((first == 0xf0 && text[1] < 0x90) || (first == 0xf4 && text[1] > 0x8f)))
		return 0;
	return length;
}

// Length of what the terminal may get as it is at `text`; 0 for a byte that it may not: controls
// (those of C1 too, which terminals obey in UTF-8 form) and what is not UTF-8.
static size_t harmless(const uint8_t *text, size_t size)
{
	size_t length = utf8_sequence(text, size);
	bool control = text[0] < 0x20 || text[0] == 0x7f ||
		       (length == 2 && text[0] == 0xc2 && text[1] < 0xa0);
	return control ? 0 : length;
}

void put_safe_size(FILE *out, const char *text, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t plain = 0;
	for (size_t i = 0; i < size;) {
		size_t length =
			bytes[i] >= 0x20 && bytes[i] < 0x7f ? 1 : harmless(bytes + i, size - i);
		i += length;
		if (length)
			continue;
		fwrite_unlocked(text + plain, 1, i - plain, out);
		fprintf(out, "\\%03o", bytes[i]);
		plain = ++i;
	}
	fwrite_unlocked(text + plain, 1, size - plain, out);
}

void put_source(FILE *out, const char *text, size_t size)
{
	for (size_t start = 0; start <= size;) {
		size_t end = start;
		while (end < size && text[end] != '\t')
			end++;
		put_safe_size(out, text + start, end - start);
		if (end < size)
			putc_unlocked('\t', out);
		start = end + 1;
	}
}

void put_quoted(FILE *out, const uint8_t *bytes, size_t size)
{
	putc_unlocked('"', out);
	for (size_t i = 0; i < size; i++) {
		if (bytes[i] == '"' || bytes[i] == '\\')
			fprintf(out, "\\%c", bytes[i]);
		else if (bytes[i] == '\n')
			fputs_unlocked("\\n", out);
		else if (bytes[i] == '\t')
			fputs_unlocked("\\t", out);
		else if (bytes[i] >= 0x20 && bytes[i] < 0x7f)
			putc_unlocked(bytes[i], out);
		else
			fprintf(out, "\\%03o", bytes[i]);
	}
	putc_unlocked('"', out);
}

void put_safe(FILE *out, const char *text)
{
	if (text)
		put_safe_size(out, text, strlen(text));
}

void put_safe_lines(FILE *out, const char *text, unsigned indent)
{
	for (;;) {
		const char *end = strchrnul(text, '\n');
		put_safe_size(out, text, (size_t)(end - text));
		if (!*end)
			return;
		fprintf(out, "\n%*s", (int)indent, "");
		text = end + 1;
	}
}

void put_styled(FILE *out, bool color, enum style style, const char *text)
{
	if (color)
		fputs_unlocked(style_start(color, style), out);
	put_safe(out, text);
	if (color)
		fputs_unlocked(style_end(color), out);
}

unsigned output_width(void)
{
	struct winsize window;
	if (ioctl(fileno(stdout), TIOCGWINSZ, &window) == 0 && window.ws_col > 0)
		return window.ws_col;
	const char *columns = getenv("COLUMNS");
	unsigned long width = columns ? strtoul(columns, NULL, 10) : 0;
	return width >= 20 && width <= 10000 ? (unsigned)width : 80;
}

size_t text_columns(const char *text)
{
	size_t columns = 0;
	for (; *text; text++) {
		uint8_t byte = (uint8_t)*text;
		if (byte < 0x20 || byte == 0x7f)
			columns += 4; // as put_safe() writes it
		else
			columns += (byte & 0xc0) != 0x80;
	}
	return columns;
}

void put_wrapped(FILE *out, const char *text, unsigned indent, unsigned column, unsigned width)
{
	bool first = true;
	while (*text) {
		size_t size = strcspn(text, " ");
		if (!first && column + 1 + size > width) {
			fprintf(out, "\n%*s", (int)indent, "");
			column = indent;
			first = true;
		}
		if (!first) {
			putc_unlocked(' ', out);
			column++;
		}
		fwrite_unlocked(text, 1, size, out);
		column += (unsigned)size;
		first = false;
		text += size;
		text += strspn(text, " ");
	}
	putc_unlocked('\n', out);
}

const char *size_text(uint64_t bytes, struct size_text *ret)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	unsigned unit = 0;
	double value = (double)bytes;
	while (value >= 1024 && unit + 1 < sizeof(units) / sizeof(units[0])) {
		value /= 1024;
		unit++;
	}
	if (unit == 0)
		snprintf(ret->text, sizeof(ret->text), "%" PRIu64 " B", bytes);
	else
		snprintf(ret->text, sizeof(ret->text), "%.1f %s", value, units[unit]);
	return ret->text;
}
