// SPDX-License-Identifier: Apache-2.0
#include "process/gadgets.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "process/proc.h"

enum { PIECE = 1 << 20, OVERLAP = 16 };
// Code beyond this is not searched: any libc is found long before.
#define SEARCH_LIMIT (UINT64_C(512) << 20)

static const uint8_t syscall_ret[] = {0x0f, 0x05, 0xc3};
static const uint8_t restorer_long[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
static const uint8_t restorer_short[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
static const uint8_t pop_rax_ret[] = {0x58, 0xc3};

static void look(const uint8_t *bytes, size_t size, const uint8_t *wanted, size_t wanted_size,
		 uint64_t address, uint64_t *ret)
{
	const uint8_t *at = *ret ? NULL : memmem(bytes, size, wanted, wanted_size);
	if (at)
		*ret = address + (uint64_t)(at - bytes);
}

static void search(int mem_fd, const struct proc_mapping *mapping, uint8_t *piece, uint64_t *left,
		   struct gadgets *ret)
{
	for (uint64_t at = mapping->start; at < mapping->end && *left; at += PIECE - OVERLAP) {
		uint64_t want = mapping->end - at < PIECE ? mapping->end - at : PIECE;
		ssize_t size = pread(mem_fd, piece, want, (off_t)at);
		if (size <= 0)
			return;
		*left -= (uint64_t)size < *left ? (uint64_t)size : *left;
		size_t count = (size_t)size;
		look(piece, count, syscall_ret, sizeof(syscall_ret), at, &ret->syscall_ret);
		look(piece, count, restorer_long, sizeof(restorer_long), at, &ret->restorer);
		look(piece, count, restorer_short, sizeof(restorer_short), at, &ret->restorer);
		look(piece, count, pop_rax_ret, sizeof(pop_rax_ret), at, &ret->pop_rax_ret);
		if (ret->syscall_ret && ret->restorer)
			return;
	}
}

/** libc has all of them: look there first. */
static bool is_likely(const struct proc_mapping *mapping)
{
	return mapping->path_size && (memmem(mapping->path, mapping->path_size, "/libc", 5) ||
				      memmem(mapping->path, mapping->path_size, "musl", 4));
}

void gadgets_find(int mem_fd, const char *maps, struct gadgets *ret)
{
	*ret = (struct gadgets){0};
	uint8_t *piece = malloc(PIECE);
	uint64_t left = SEARCH_LIMIT;
	for (int likely = 1; piece && likely >= 0; likely--) {
		struct proc_mapping mapping;
		const char *at = maps;
		while (proc_next_mapping(&at, &mapping) && !(ret->syscall_ret && ret->restorer))
			if (mapping.executable && mapping.readable &&
			    is_likely(&mapping) == (likely == 1) &&
			    !proc_mapping_is(&mapping, "[vsyscall]"))
				search(mem_fd, &mapping, piece, &left, ret);
	}
	free(piece);
	ret->found = ret->syscall_ret && (ret->restorer || ret->pop_rax_ret);
}

static bool stands(int mem_fd, uint64_t address, const uint8_t *bytes, size_t size)
{
	uint8_t now[16];
	return pread(mem_fd, now, size, (off_t)address) == (ssize_t)size &&
	       memcmp(now, bytes, size) == 0;
}

bool gadgets_check(int mem_fd, const struct gadgets *gadgets)
{
	if (!stands(mem_fd, gadgets->syscall_ret, syscall_ret, sizeof(syscall_ret)))
		return false;
	if (!gadgets->restorer)
		return stands(mem_fd, gadgets->pop_rax_ret, pop_rax_ret, sizeof(pop_rax_ret));
	return stands(mem_fd, gadgets->restorer, restorer_long, sizeof(restorer_long)) ||
	       stands(mem_fd, gadgets->restorer, restorer_short, sizeof(restorer_short));
}
