// SPDX-License-Identifier: Apache-2.0
#include "snapshot/write_stacks.h"

#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/array.h"
#include "base/error.h"
#include "elf/elf_image.h"
#include "snapshot/write_layout.h"
#include "snapshot/write_links.h"
#include "view/build.h"

enum {
	RED_ZONE = 128,		    // below the stack pointer, x86-64 psABI
	STACK_LIMIT = 1 << 20,	    // of one thread, above its stack pointer
	SCAN_LIMIT = 256 << 10,	    // of it, for the frames of signals
	ALTERNATES = 4,		    // stacks that one thread's signals interrupted
	TLS_SURPLUS = 4096,	    // what glibc reserves for libraries loaded later, and padding
	TLS_LIMIT = 1 << 20,	    // that modules' PT_TLS are believed
	CONTROL_BLOCK = 4096,	    // glibc's struct pthread, at fs_base
	DTV_LIMIT = 4096,	    // entries
	LINK_SIZE = 1536,	    // glibc's own struct link_map: gdb's thread library reads it
	DEBUG_SIZE = 48,	    // struct r_debug_extended
	NAME_LIMIT = 4096,	    // of a path
	MODULE_HEADERS = 64,	    // program headers looked at
	ARGUMENTS_LIMIT = 16 << 10, // at the end of the first stack
};
enum { USER_FS_BASE = 21 * 8 }; // struct user_regs_struct
// struct ucontext of x86-64: flags, link, stack (pointer, flags, size), then the registers.
enum {
	UCONTEXT_STACK = 16,
	UCONTEXT_STACK_SIZE = 32,
	UCONTEXT_RSP = 40 + 15 * 8,
	UCONTEXT_SIZE = 176
};

struct stretch {
	uint64_t start, end;
};

struct stacks {
	const struct strobe_view *view;
	ARRAY(struct stretch) wanted; // sorted, disjoint when found
	bool short_of_memory;
};

/** Wants what of [start, end) lies in the mapping of `start`. */
static void want(struct stacks *stacks, uint64_t start, uint64_t end)
{
	const struct strobe_mapping *mapping = strobe_view_mapping_at(stacks->view, start);
	if (!mapping || end <= start)
		return;
	if (end > mapping->end)
		end = mapping->end;
	struct stretch stretch = {
		start & ~(uint64_t)(PAGE_SIZE_BYTES - 1),
		(end + PAGE_SIZE_BYTES - 1) & ~(uint64_t)(PAGE_SIZE_BYTES - 1),
	};
	if (!array_push(&stacks->wanted, stretch))
		stacks->short_of_memory = true;
}

/** As want(), but what lies before the mapping of `end - 1` is cut off instead. */
static void want_before(struct stacks *stacks, uint64_t start, uint64_t end)
{
	const struct strobe_mapping *mapping = strobe_view_mapping_at(stacks->view, end - 1);
	if (mapping)
		want(stacks, start > mapping->start ? start : mapping->start, end);
}

static void want_stack(struct stacks *stacks, uint64_t sp)
{
	const struct strobe_mapping *mapping = strobe_view_mapping_at(stacks->view, sp);
	if (!mapping)
		return;
	uint64_t start = sp - mapping->start > RED_ZONE ? sp - RED_ZONE : mapping->start;
	want(stacks, start, sp + STACK_LIMIT);
}

/** A signal's frame on an alternate stack keeps the stack pointer of what it interrupted: struct
 *  ucontext, whose uc_stack is the stack that it lies on. */
static bool find_interrupted(const struct stacks *stacks, uint64_t sp, uint8_t *buffer,
			     uint64_t *ret)
{
	size_t size = strobe_memory_read(stacks->view, sp & ~UINT64_C(7), buffer, SCAN_LIMIT);
	for (size_t at = 0; at + UCONTEXT_SIZE <= size; at += 8) {
		uint64_t base = elf_number(buffer + at + UCONTEXT_STACK, 8);
		uint64_t length = elf_number(buffer + at + UCONTEXT_STACK_SIZE, 8);
		uint64_t before = elf_number(buffer + at + UCONTEXT_RSP, 8);
		if (base && sp >= base && sp - base < length && before - base >= length &&
		    strobe_view_mapping_at(stacks->view, before)) {
			*ret = before;
			return true;
		}
	}
	return false;
}

/** Sum of what the modules' PT_TLS take below fs_base. */
static uint64_t count_tls(const struct strobe_view *view)
{
	uint64_t sum = TLS_SURPLUS;
	for (size_t i = 0; i < view->modules.count; i++) {
		uint8_t bytes[sizeof(Elf64_Ehdr) + MODULE_HEADERS * sizeof(Elf64_Phdr)];
		struct elf_image image;
		Elf64_Phdr segment;
		const char *why;
		size_t size = strobe_memory_read(view, view->modules.items[i].start, bytes,
						 sizeof(bytes));
		if (!elf_image_init(&image, bytes, size, &why))
			continue;
		for (uint32_t k = 0; elf_image_segment(&image, k, &segment); k++)
			if (segment.p_type == PT_TLS && segment.p_memsz < TLS_LIMIT &&
			    segment.p_align < TLS_LIMIT)
				sum += segment.p_memsz + segment.p_align;
	}
	return sum < TLS_LIMIT ? sum : TLS_LIMIT;
}

/** glibc's and musl's table of a thread's TLS blocks; its second word points to it. */
static void want_dtv(struct stacks *stacks, uint64_t fs_base, uint64_t tls_size)
{
	const struct strobe_view *view = stacks->view;
	uint64_t dtv, count, block;
	if (!view_read_unsigned(view, fs_base + 8, 8, &dtv) ||
	    !view_read_unsigned(view, dtv - 16, 8, &count) || count > DTV_LIMIT)
		return;
	want(stacks, dtv - 16, dtv + (count + 1) * 16);
	for (uint64_t i = 1; i <= count; i++)
		if (view_read_unsigned(view, dtv + i * 16, 8, &block) && block && ~block)
			want(stacks, block, block + tls_size);
}

static void want_threads(struct stacks *stacks, uint8_t *buffer)
{
	const struct strobe_view *view = stacks->view;
	uint64_t tls_size = count_tls(view);
	for (size_t i = 0; i < view->threads.count; i++) {
		const struct register_blocks *blocks = &view->registers.items[i];
		uint64_t sp = view->threads.items[i].sp;
		if (!view->threads.items[i].has_registers)
			continue;
		want_stack(stacks, sp);
		for (unsigned k = 0; k < ALTERNATES && find_interrupted(stacks, sp, buffer, &sp);
		     k++)
			want_stack(stacks, sp);
		if (!blocks->general)
			continue;
		uint64_t fs_base = elf_number(blocks->general + USER_FS_BASE, 8);
		if (!strobe_view_mapping_at(view, fs_base))
			continue;
		want_before(stacks, fs_base - tls_size, fs_base + 1);
		want(stacks, fs_base, fs_base + CONTROL_BLOCK);
		want_dtv(stacks, fs_base, tls_size);
	}
}

static void want_name(struct stacks *stacks, uint64_t address)
{
	char name[NAME_LIMIT];
	size_t size = strobe_memory_read(stacks->view, address, name, sizeof(name));
	want(stacks, address, address + strnlen(name, size) + 1);
}

static void want_link(void *context, enum link_part part, uint64_t address)
{
	struct stacks *stacks = context;
	if (part == LINK_NAME)
		want_name(stacks, address);
	else
		want(stacks, address, address + (part == LINK_DEBUG ? DEBUG_SIZE : LINK_SIZE));
}

/** Is a mapping of a module one whose pages its relocations or its program write? */
static bool holds_data(const struct strobe_view *view, const struct strobe_mapping *mapping)
{
	const struct module_state *state = &view->module_states.items[mapping->module_index];
	uint64_t bias = view->modules.items[mapping->module_index].bias;
	if (mapping->permissions & STROBE_PERMISSION_WRITE)
		return true;
	for (size_t i = 0; i < state->segment_count; i++) {
		const Elf64_Phdr *load = &state->segments[i];
		if (load->p_flags & PF_W && load->p_vaddr + bias < mapping->end &&
		    load->p_vaddr + load->p_memsz + bias > mapping->start)
			return true;
	}
	return false;
}

static void want_data(struct stacks *stacks)
{
	const struct strobe_view *view = stacks->view;
	for (size_t i = 0; i < view->mappings.count; i++) {
		const struct strobe_mapping *mapping = &view->mappings.items[i];
		bool vdso = mapping->path && strcmp(mapping->path, "[vdso]") == 0;
		if (vdso || (mapping->module_index != SIZE_MAX && holds_data(view, mapping)))
			want(stacks, mapping->start, mapping->end);
	}
	uint64_t name;
	if (view_auxv_value(view, AT_EXECFN, &name))
		want(stacks, name, name + ARGUMENTS_LIMIT);
}

static int order(const void *a, const void *b)
{
	const struct stretch *x = a, *y = b;
	return x->start < y->start ? -1 : x->start > y->start;
}

static void merge(struct stacks *stacks)
{
	struct stretch *items = stacks->wanted.items;
	size_t kept = 0;
	if (stacks->wanted.count)
		qsort(items, stacks->wanted.count, sizeof(*items), order);
	for (size_t i = 0; i < stacks->wanted.count; i++) {
		if (kept && items[i].start <= items[kept - 1].end) {
			if (items[i].end > items[kept - 1].end)
				items[kept - 1].end = items[i].end;
		} else {
			items[kept++] = items[i];
		}
	}
	stacks->wanted.count = kept;
}

struct strobe_error *stacks_find(const struct strobe_view *view, struct stacks **ret)
{
	struct stacks *stacks = calloc(1, sizeof(*stacks));
	uint8_t *buffer = malloc(SCAN_LIMIT);
	if (!stacks || !buffer) {
		free(stacks);
		free(buffer);
		return error_no_memory();
	}
	stacks->view = view;
	want_threads(stacks, buffer);
	links_visit(view, want_link, stacks);
	want_data(stacks);
	free(buffer);
	if (stacks->short_of_memory) {
		stacks_free(stacks);
		return error_no_memory();
	}
	merge(stacks);
	*ret = stacks;
	return NULL;
}

void stacks_add(struct stacks *stacks, uint64_t start, uint64_t end)
{
	want(stacks, start, end);
}

struct strobe_error *stacks_settle(struct stacks *stacks)
{
	if (stacks->short_of_memory)
		return error_no_memory();
	merge(stacks);
	return NULL;
}

struct stacks *stacks_free(struct stacks *stacks)
{
	if (stacks)
		array_fini(&stacks->wanted);
	free(stacks);
	return NULL;
}

bool stacks_want(const struct stacks *stacks, uint64_t address, uint64_t *end)
{
	size_t low = 0, high = stacks->wanted.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (stacks->wanted.items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == stacks->wanted.count)
		return false;
	const struct stretch *next = &stacks->wanted.items[low];
	bool wanted = next->start <= address;
	uint64_t border = wanted ? next->end : next->start;
	if (border < *end)
		*end = border;
	return wanted;
}
