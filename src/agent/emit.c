// SPDX-License-Identifier: Apache-2.0
#include "agent/emit.h"

#include <string.h>

void emit_init(struct emit *code, uint64_t base)
{
	code->base = base;
	code->size = 0;
	code->failed = false;
}

void emit_put(struct emit *code, const void *bytes, size_t size)
{
	if (size > EMIT_MAX - code->size) {
		code->failed = true;
		return;
	}
	memcpy(code->bytes + code->size, bytes, size);
	code->size += size;
}

void emit_put_32(struct emit *code, uint32_t value)
{
	emit_put(code, &value, sizeof(value));
}

void emit_put_64(struct emit *code, uint64_t value)
{
	emit_put(code, &value, sizeof(value));
}

uint64_t emit_here(const struct emit *code)
{
	return code->base + code->size;
}

bool emit_reaches(uint64_t from, uint64_t target)
{
	int64_t distance = (int64_t)(target - from);
	return distance == (int32_t)distance;
}

void emit_put_relative(struct emit *code, uint64_t target, unsigned more)
{
	uint64_t from = emit_here(code) + 4 + more;
	if (!emit_reaches(from, target))
		code->failed = true;
	emit_put_32(code, (uint32_t)(target - from));
}

void emit_put_jump(struct emit *code, uint64_t target)
{
	if (emit_reaches(emit_here(code) + 5, target)) {
		EMIT(code, "\xe9");
		emit_put_relative(code, target, 0);
		return;
	}
	EMIT(code, "\xff\x25\0\0\0\0"); // jmp *0(%rip)
	emit_put_64(code, target);
}

void emit_land(struct emit *code, size_t at)
{
	uint32_t distance = (uint32_t)(code->size - at - 4);
	if (!code->failed)
		memcpy(code->bytes + at, &distance, sizeof(distance));
}
