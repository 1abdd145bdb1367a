// SPDX-License-Identifier: Apache-2.0
#include "trace/emit.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// A terminal, a pipe, /dev/null: they are written to as they are.
static bool is_plain(const char *path)
{
	struct stat status;
	return stat(path, &status) != 0 || S_ISREG(status.st_mode);
}

static int open_file(const struct command *command, const char *path, struct emit *emit)
{
	if (!is_plain(path)) {
		emit->fd = open(path, O_WRONLY | O_CLOEXEC);
	} else {
		int size = snprintf(emit->temporary, sizeof(emit->temporary), "%s.XXXXXX", path);
		if (size < 0 || (size_t)size >= sizeof(emit->temporary))
			return command_fail(command, "%s: the name is too long", path);
		emit->fd = mkostemp(emit->temporary, O_CLOEXEC); // mode 0600
		if (emit->fd < 0)
			emit->temporary[0] = '\0';
	}
	if (emit->fd < 0)
		return command_fail(command, "%s: %s", path, strerror(errno));
	return STATUS_DONE;
}

int emit_open(const struct command *command, const char *path, struct emit *ret)
{
	*ret = (struct emit){.fd = -1, .path = path};
	ret->buffer = malloc(EMIT_BUFFER_SIZE);
	if (!ret->buffer)
		return command_fail(command, "out of memory");
	fflush(stdout);
	if (!path) {
		ret->fd = STDOUT_FILENO;
		return STATUS_DONE;
	}
	int status = open_file(command, path, ret);
	if (status)
		free(ret->buffer);
	return status;
}

static void write_out(struct emit *emit, const char *bytes, size_t size)
{
	while (size > 0 && !emit->problem) {
		ssize_t done = write(emit->fd, bytes, size);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			emit->problem = errno;
			break;
		}
		bytes += done;
		size -= (size_t)done;
	}
}

void emit_flush(struct emit *emit)
{
	write_out(emit, emit->buffer, emit->used);
	emit->used = 0;
}

int emit_close(const struct command *command, struct emit *emit, bool keep)
{
	const char *name = emit->path ? emit->path : "standard output";
	emit_flush(emit);
	free(emit->buffer);
	if (emit->path && close(emit->fd) != 0 && !emit->problem)
		emit->problem = errno;
	emit->fd = -1;
	if (emit->temporary[0] && keep && !emit->problem &&
	    rename(emit->temporary, emit->path) != 0)
		emit->problem = errno;
	if (emit->temporary[0] && (emit->problem || !keep))
		unlink(emit->temporary);
	if (!emit->problem)
		return STATUS_DONE;
	// A reader that has seen enough is no news.
	return emit->problem == EPIPE
		       ? STATUS_FAILED
		       : command_fail(command, "%s: %s", name, strerror(emit->problem));
}

void emit_bytes(struct emit *emit, const char *bytes, size_t size)
{
	if (size > EMIT_ROOM) {
		emit_flush(emit);
		write_out(emit, bytes, size);
		return;
	}
	emit_wrote(emit, write_bytes(emit_room(emit), bytes, size));
}

char *write_decimal(char *at, uint64_t number)
{
	char digits[20];
	unsigned size = 0;
	do {
		digits[size++] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	while (size > 0)
		*at++ = digits[--size];
	return at;
}

// Eight hex digits at once: a nibble a byte, then '0' or 'a' - 10 is added to each.
static uint64_t spread(uint32_t number)
{
	uint64_t bytes = number;
	bytes = (bytes | bytes << 16) & UINT64_C(0x0000ffff0000ffff);
	bytes = (bytes | bytes << 8) & UINT64_C(0x00ff00ff00ff00ff);
	bytes = (bytes | bytes << 4) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	uint64_t letters =
		(bytes + UINT64_C(0x0606060606060606)) >> 4 & UINT64_C(0x0101010101010101);
	return bytes + UINT64_C(0x3030303030303030) + letters * ('a' - '0' - 10);
}

char *write_hex16(char *at, uint64_t number)
{
	uint64_t high = __builtin_bswap64(spread((uint32_t)(number >> 32)));
	uint64_t low = __builtin_bswap64(spread((uint32_t)number));
	memcpy(at, &high, 8);
	memcpy(at + 8, &low, 8);
	return at + 16;
}

char *write_hex(char *at, uint64_t number)
{
	char digits[16];
	write_hex16(digits, number);
	unsigned skipped = number ? (unsigned)__builtin_clzll(number) / 4 : 15;
	return write_bytes(at, digits + skipped, 16 - skipped);
}

char *write_fixed(char *at, double number, unsigned decimals)
{
	uint64_t scale = decimals == 3 ? 1000 : 1000000;
	if (!(number >= 0) || number > 1e12) // what a trace of more than a quarter of an hour has
		return at + sprintf(at, "%.*f", (int)decimals, number);
	uint64_t scaled = (uint64_t)(number * (double)scale + 0.5), part = scaled % scale;
	at = write_decimal(at, scaled / scale);
	*at++ = '.';
	for (unsigned i = decimals; i-- > 0; part /= 10)
		at[i] = (char)('0' + part % 10);
	return at + decimals;
}

void decimal_set(struct decimal *decimal, uint64_t number)
{
	char digits[20];
	decimal->size = (unsigned)(write_decimal(digits, number) - digits);
	memcpy(decimal->digits + DECIMAL_SIZE - decimal->size, digits, decimal->size);
}

void decimal_step(struct decimal *decimal, bool up)
{
	char *digit = decimal->digits + DECIMAL_SIZE - 1;
	char *first = decimal->digits + DECIMAL_SIZE - decimal->size;
	char from = up ? '9' : '0', to = up ? '0' : '9';
	while (digit >= first && *digit == from)
		*digit-- = to;
	if (digit < first) { // 999 and one more; 0 and one less is not asked for
		assert(decimal->size < 20);
		*digit = '1';
		decimal->size++;
		return;
	}
	*digit = (char)(*digit + (up ? 1 : -1));
	if (*first == '0' && decimal->size > 1)
		decimal->size--;
}
