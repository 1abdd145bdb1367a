// SPDX-License-Identifier: Apache-2.0
// Coverage as an lcov tracefile: geninfo(1), "FILES".

#include <inttypes.h>
#include <strobe/coverage.h>

#include "flow/export_output.h"

// Records are lines, and a function's name goes up to the end of its line.
static void put_line(FILE *out, const char *text)
{
	for (; *text; text++)
		putc((unsigned char)*text < 0x20 ? '?' : *text, out);
	putc('\n', out);
}

static void put_functions(const struct strobe_coverage_file *file, FILE *out)
{
	for (size_t i = 0; i < file->function_count; i++) {
		fprintf(out, "FN:%u,", file->functions[i].line);
		put_line(out, file->functions[i].name);
	}
	for (size_t i = 0; i < file->function_count; i++) {
		fprintf(out, "FNDA:%" PRIu64 ",", file->functions[i].count);
		put_line(out, file->functions[i].name);
	}
	fprintf(out, "FNF:%zu\nFNH:%zu\n", file->function_count, file->functions_hit);
}

static void put_file(const struct strobe_coverage_file *file, const char *test, FILE *out)
{
	fprintf(out, "TN:%s\nSF:", test);
	put_line(out, file->path);
	put_functions(file, out);
	for (size_t i = 0; i < file->line_count; i++)
		fprintf(out, "DA:%u,%" PRIu64 "\n", file->lines[i].line, file->lines[i].count);
	fprintf(out, "LF:%zu\nLH:%zu\nend_of_record\n", file->line_count, file->lines_hit);
}

struct strobe_error *strobe_coverage_write_lcov(const struct strobe_coverage *coverage,
						const char *path, const char *test)
{
	struct export_output output;
	uint64_t bytes = 0;
	struct strobe_error *error = export_output_open(&output, path);
	if (error)
		return error;
	size_t count = strobe_coverage_file_count(coverage);
	for (size_t i = 0; i < count; i++)
		put_file(strobe_coverage_file(coverage, i), test ? test : "", output.out);
	return export_output_commit(&output, &bytes);
}
