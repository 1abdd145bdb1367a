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

// C0 controls and DEL; C1 controls too, which terminals obey in UTF-8 form (0xc2 0x80-0x9f).
static bool is_control(const uint8_t *text, size_t size)
{
	return text[0] < 0x20 || text[0] == 0x7f ||
	       (text[0] == 0xc2 && size > 1 && text[1] >= 0x80 && text[1] < 0xa0);
}

void put_safe_size(FILE *out, const char *text, size_t size)
{
	const uint8_t *bytes = (const uint8_t *)text;
	size_t plain = 0;
	for (size_t i = 0; i < size; i++) {
		if (!is_control(bytes + i, size - i))
			continue;
		fwrite_unlocked(text + plain, 1, i - plain, out);
		fprintf(out, "\\%03o", bytes[i]);
		plain = i + 1;
	}
	fwrite_unlocked(text + plain, 1, size - plain, out);
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
