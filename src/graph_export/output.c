// SPDX-License-Identifier: Apache-2.0
#include "graph_export/output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "graph_export/utf8.h"

enum { BUFFER_SIZE = 256 * 1024, NUMBER_SIZE = 24 };

struct strobe_error *output_open(struct output *output, const char *path)
{
	*output = (struct output){.path = path};
	output->buffer = malloc(BUFFER_SIZE);
	if (!output->buffer)
		return error_no_memory();
	struct strobe_error *error =
		new_file_open(&output->file, strcmp(path, "-") == 0 ? "/dev/stdout" : path);
	output->open = !error;
	if (error)
		free(output->buffer);
	return error;
}

struct strobe_error *output_open_spool(struct output *output)
{
	*output = (struct output){.path = P_tmpdir};
	output->file = (struct new_file){.fd = -1, .directory = -1};
	output->buffer = malloc(BUFFER_SIZE);
	if (!output->buffer)
		return error_no_memory();
	FILE *file = tmpfile();
	output->file.fd = file ? fcntl(fileno(file), F_DUPFD_CLOEXEC, 0) : -1;
	int saved = errno;
	if (file)
		fclose(file);
	output->open = output->file.fd >= 0;
	if (output->open)
		return NULL;
	free(output->buffer);
	return error_errno(saved, "%s: cannot create a temporary file", P_tmpdir);
}

static void flush(struct output *output)
{
	for (size_t done = 0; done < output->used && !output->error_number;) {
		ssize_t wrote = write(output->file.fd, output->buffer + done, output->used - done);
		if (wrote > 0)
			done += (size_t)wrote;
		else if (wrote == 0 || errno != EINTR)
			output->error_number = wrote == 0 ? EIO : errno;
	}
	output->used = 0;
}

struct strobe_error *output_check(const struct output *output)
{
	return output->error_number
		       ? error_errno(output->error_number, "%s: cannot write", output->path)
		       : NULL;
}

struct strobe_error *output_append(struct output *output, struct output *spool)
{
	flush(spool);
	struct strobe_error *error = output_check(spool);
	for (off_t at = 0; !error;) {
		ssize_t got = pread(spool->file.fd, spool->buffer, BUFFER_SIZE, at);
		if (got == 0)
			break;
		if (got < 0 && errno != EINTR)
			error = error_errno(errno, "%s: cannot read a temporary file", spool->path);
		if (got < 0)
			continue;
		output_bytes(output, spool->buffer, (size_t)got);
		at += got;
	}
	return error;
}

struct strobe_error *output_commit(struct output *output)
{
	flush(output);
	struct strobe_error *error = output_check(output);
	if (!error)
		error = new_file_commit(&output->file, false);
	output_discard(output);
	return error;
}

void output_discard(struct output *output)
{
	if (!output->open)
		return;
	new_file_discard(&output->file);
	free(output->buffer);
	output->buffer = NULL;
	output->open = false;
}

void output_bytes(struct output *output, const char *bytes, size_t size)
{
	output->bytes += size;
	while (size > BUFFER_SIZE - output->used) {
		size_t part = BUFFER_SIZE - output->used;
		memcpy(output->buffer + output->used, bytes, part);
		output->used = BUFFER_SIZE;
		flush(output);
		bytes += part;
		size -= part;
	}
	memcpy(output->buffer + output->used, bytes, size);
	output->used += size;
}

void output_string(struct output *output, const char *string)
{
	output_bytes(output, string, strlen(string));
}

void output_char(struct output *output, char c)
{
	output_bytes(output, &c, 1);
}

static void put_number(struct output *output, uint64_t value, unsigned base)
{
	char text[NUMBER_SIZE];
	size_t at = sizeof(text);
	do {
		text[--at] = "0123456789abcdef"[value % base];
		value /= base;
	} while (value);
	output_bytes(output, text + at, sizeof(text) - at);
}

void output_unsigned(struct output *output, uint64_t value)
{
	put_number(output, value, 10);
}

void output_hex(struct output *output, uint64_t value)
{
	output_bytes(output, "0x", 2);
	put_number(output, value, 16);
}

/** U+2028 and U+2029 end a line in older JavaScript. */
static bool is_line_separator(const unsigned char *text, unsigned size)
{
	return size == 3 && text[0] == 0xe2 && text[1] == 0x80 && (text[2] & 0xfe) == 0xa8;
}

static void put_escape(struct output *output, unsigned code)
{
	static const char digits[] = "0123456789abcdef";
	const char text[] = {'\\',
			     'u',
			     digits[code >> 12 & 15],
			     digits[code >> 8 & 15],
			     digits[code >> 4 & 15],
			     digits[code & 15]};
	output_bytes(output, text, sizeof(text));
}

/** One character that is not plain. */
static void put_special(struct output *output, const unsigned char *at, unsigned size, bool in_page)
{
	if (size == 0)
		put_escape(output, 0xfffd);
	else if (*at == '"' || *at == '\\') {
		output_char(output, '\\');
		output_char(output, (char)*at);
	} else if (size == 1)
		put_escape(output, *at);
	else if (in_page && is_line_separator(at, size))
		put_escape(output, 0x2000u | (at[2] & 0x3fu));
	else
		output_bytes(output, (const char *)at, size);
}

static bool is_plain(unsigned char c, bool in_page)
{
	if (c < 0x20 || c >= 0x7f || c == '"' || c == '\\')
		return false;
	return !in_page || (c != '<' && c != '>' && c != '&');
}

void output_json_size(struct output *output, const char *text, size_t size, bool in_page)
{
	const unsigned char *at = (const unsigned char *)text, *end = at + size;
	output_char(output, '"');
	while (at < end) {
		const unsigned char *plain = at;
		while (at < end && is_plain(*at, in_page))
			at++;
		output_bytes(output, (const char *)plain, (size_t)(at - plain));
		if (at == end)
			break;
		unsigned length = utf8_sequence((const char *)at, (size_t)(end - at));
		put_special(output, at, length, in_page);
		at += length ? length : 1;
	}
	output_char(output, '"');
}

void output_json(struct output *output, const char *text, bool in_page)
{
	if (text)
		output_json_size(output, text, strlen(text), in_page);
	else
		output_string(output, "null");
}
