// SPDX-License-Identifier: Apache-2.0
// Thread-local storage on x86-64 (variant II): blocks end below the thread pointer; dlopen'ed
// modules are found through the dynamic thread vector, whose slots the C library numbers.
#include <elf.h>
#include <elf.h>
#include <string.h>

#include "symbols/module.h"
#include "value/place.h"

/** Named limits on lists in target memory. */
enum { LINK_MAP_LIMIT = 10000, DYNAMIC_LIMIT = 1000, HEADER_LIMIT = 128 };

static bool auxv(const struct strobe_view *view, uint64_t wanted, uint64_t *ret)
{
	uint64_t type, value;
	for (size_t i = 0; strobe_view_auxv(view, i, &type, &value); i++) {
		if (type == wanted) {
			*ret = value;
			return true;
		}
	}
	return false;
}

/** The program header of `kind` of the main program, from its memory. */
static bool main_header(const struct strobe_view *view, uint32_t kind, Elf64_Phdr *ret,
			uint64_t *bias)
{
	uint64_t at, count, entry;
	bool found = false;
	if (!auxv(view, AT_PHDR, &at) || !auxv(view, AT_PHNUM, &count))
		return false;
	size_t index = auxv(view, AT_ENTRY, &entry) ? strobe_view_module_at(view, entry) : SIZE_MAX;
	if (index == SIZE_MAX)
		return false;
	*bias = strobe_view_module(view, index)->bias;
	for (uint64_t i = 0; i < count && i < HEADER_LIMIT && !found; i++) {
		Elf64_Phdr header;
		if (strobe_memory_read(view, at + i * sizeof(header), &header, sizeof(header)) !=
		    sizeof(header))
			return false;
		found = header.p_type == kind;
		*ret = header;
	}
	return found;
}

/** The main program's block is the first below the thread pointer. */
static bool main_program(const struct strobe_view *view, uint64_t thread_pointer, uint64_t offset,
			 uint64_t *ret)
{
	Elf64_Phdr tls;
	uint64_t bias;
	if (!main_header(view, PT_TLS, &tls, &bias))
		return false;
	uint64_t align = tls.p_align ? tls.p_align : 1;
	if (align & (align - 1))
		return false;
	uint64_t first = -(tls.p_vaddr & (align - 1)) & (align - 1);
	uint64_t block = ((tls.p_memsz - first + align - 1) & ~(align - 1)) + first;
	*ret = thread_pointer - block + offset;
	return true;
}

static bool first_link_map(const struct strobe_view *view, uint64_t *ret)
{
	Elf64_Phdr dynamic;
	uint64_t bias, debug;
	if (!main_header(view, PT_DYNAMIC, &dynamic, &bias))
		return false;
	for (size_t i = 0; i < DYNAMIC_LIMIT; i++) {
		Elf64_Dyn entry;
		uint64_t at = dynamic.p_vaddr + bias + i * sizeof(entry);
		if (strobe_memory_read(view, at, &entry, sizeof(entry)) != sizeof(entry) ||
		    entry.d_tag == DT_NULL)
			return false;
		debug = entry.d_un.d_val;
		if (entry.d_tag == DT_DEBUG)
			return debug && view_read_unsigned(view, debug + 8, 8, ret);
	}
	return false;
}

static bool keep_address(void *context, const struct strobe_symbol *symbol)
{
	*(uint64_t *)context = symbol->address;
	return false;
}

/** Where struct link_map keeps l_tls_modid: glibc tells debuggers through a symbol that holds
 *  {size in bits, count, offset in bytes}. */
static bool modid_offset(struct strobe_symbols *symbols, uint64_t *ret)
{
	uint64_t address = 0;
	strobe_error_free(strobe_symbols_find(symbols, STROBE_MATCH_EXACT,
					      "_thread_db_link_map_l_tls_modid", NULL, keep_address,
					      &address));
	return address && view_read_unsigned(symbols->view, address + 8, 4, ret);
}

static bool module_id(struct strobe_symbols *symbols, const struct strobe_module *module,
		      uint64_t *ret)
{
	const struct strobe_view *view = symbols->view;
	uint64_t map, offset, dynamic;
	if (!first_link_map(view, &map) || !modid_offset(symbols, &offset))
		return false;
	for (size_t i = 0; map && i < LINK_MAP_LIMIT; i++) {
		if (!view_read_unsigned(view, map + 16, 8, &dynamic))
			return false;
		if (dynamic >= module->start && dynamic < module->end)
			return view_read_unsigned(view, map + offset, 8, ret) && *ret;
		if (!view_read_unsigned(view, map + 24, 8, &map))
			return false;
	}
	return false;
}

static bool thread_vector(const struct strobe_view *view, uint64_t thread_pointer, uint64_t id,
			  uint64_t offset, uint64_t *ret)
{
	uint64_t vector, block;
	if (id > 1 << 20 || !view_read_unsigned(view, thread_pointer + 8, 8, &vector) ||
	    !view_read_unsigned(view, vector + id * 16, 8, &block) || block == 0 ||
	    block == UINT64_MAX)
		return false;
	*ret = block + offset;
	return true;
}

bool place_tls(const struct place_frame *frame, struct symbols_module *module, uint64_t offset,
	       uint64_t *ret)
{
	const struct strobe_view *view = frame->symbols->view;
	struct strobe_register fs_base;
	uint64_t thread_pointer = 0, entry, id;
	size_t thread = frame->stack ? frame->stack->thread_index : 0;
	if (thread >= strobe_view_thread_count(view) ||
	    !strobe_view_register_by_name(view, thread, "fs_base", &fs_base) ||
	    fs_base.size_bytes > 8)
		return false;
	memcpy(&thread_pointer, fs_base.bytes, fs_base.size_bytes);
	if (!thread_pointer)
		return false;
	if (auxv(view, AT_ENTRY, &entry) && strobe_view_module_at(view, entry) == module->index)
		return main_program(view, thread_pointer, offset, ret);
	return module_id(frame->symbols, module->module, &id) &&
	       thread_vector(view, thread_pointer, id, offset, ret);
}
