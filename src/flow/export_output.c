// SPDX-License-Identifier: Apache-2.0
#include "flow/export_output.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"

struct strobe_error *export_output_open(struct export_output *output, const char *path)
{
	*output = (struct export_output){.path = path};
	struct strobe_error *error =
		new_file_open(&output->file, strcmp(path, "-") == 0 ? "/dev/stdout" : path);
	if (error)
		return error;
	int fd = fcntl(output->file.fd, F_DUPFD_CLOEXEC, 0);
	output->out = fd < 0 ? NULL : fdopen(fd, "w");
	if (output->out)
		return NULL;
	error = error_errno(errno, "%s: cannot open", path);
	if (fd >= 0)
		close(fd);
	new_file_discard(&output->file);
	return error;
}

struct strobe_error *export_output_check(struct export_output *output)
{
	return ferror(output->out)
		       ? error_errno(errno ? errno : EIO, "%s: cannot write", output->path)
		       : NULL;
}

struct strobe_error *export_output_commit(struct export_output *output, uint64_t *bytes)
{
	bool failed = fflush(output->out) != 0 || ferror(output->out);
	int saved = errno;
	off_t size = ftello(output->out);
	if (fclose(output->out) != 0 && !failed) {
		failed = true;
		saved = errno;
	}
	output->out = NULL;
	if (failed) {
		new_file_discard(&output->file);
		return error_errno(saved ? saved : EIO, "%s: cannot write", output->path);
	}
	*bytes += size > 0 ? (uint64_t)size : 0;
	return new_file_commit(&output->file, false);
}

void export_output_discard(struct export_output *output)
{
	if (!output->out)
		return;
	fclose(output->out);
	output->out = NULL;
	new_file_discard(&output->file);
}

/** Bytes of the well-formed UTF-8 sequence at `text` (Unicode 15, table 3-7), 0 if there is none. */
static unsigned sequence_size(const unsigned char *text)
{
	unsigned size = 0;
	if (text[0] < 0x80)
		size = 1;
	else if (text[0] >= 0xc2 && text[0] < 0xf5)
		size = text[0] < 0xe0 ? 2 : text[0] < 0xf0 ? 3 : 4;
	for (unsigned i = 1; i < size; i++) {
		unsigned low = 0x80, high = 0xbf;
		if (i == 1 && text[0] == 0xe0)
			low = 0xa0;
		if (i == 1 && text[0] == 0xf0)
			low = 0x90;
		if (i == 1 && text[0] == 0xed)
			high = 0x9f;
		if (i == 1 && text[0] == 0xf4)
			high = 0x8f;
		if (text[i] < low || text[i] > high)
			return 0;
	}
	return size;
}

void export_put_json(FILE *out, const char *text)
{
	putc('"', out);
	for (const unsigned char *at = (const unsigned char *)text; *at;) {
		unsigned size = sequence_size(at);
		if (size == 0)
			fputs("\\ufffd", out);
		else if (*at == '"' || *at == '\\')
			fprintf(out, "\\%c", *at);
		else if (*at < 0x20)
			fprintf(out, "\\u%04x", *at);
		else
			fwrite(at, 1, size, out);
		at += size ? size : 1;
	}
	putc('"', out);
}
