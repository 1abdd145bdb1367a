// SPDX-License-Identifier: Apache-2.0
// Thread-local storage on x86-64 (variant II): blocks end below the thread pointer; dlopen'ed
// modules are found through the dynamic thread vector, whose slots the C library numbers.
#include <elf.h>
#include <string.h>

#include "value/place.h"
#include "value/tls.h"

/** Named limits on lists in target memory. */
enum { LINK_MAP_LIMIT = 10000, DYNAMIC_LIMIT = 1000, HEADER_LIMIT = 128, TLS_ID_LIMIT = 1 << 20 };

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
static bool main_program(const struct strobe_view *view, uint64_t *ret)
{
	Elf64_Phdr tls;
	uint64_t bias;
	if (!main_header(view, PT_TLS, &tls, &bias))
		return false;
	uint64_t align = tls.p_align ? tls.p_align : 1;
	if (align & (align - 1))
		return false;
	uint64_t first = -(tls.p_vaddr & (align - 1)) & (align - 1);
	*ret = ((tls.p_memsz - first + align - 1) & ~(align - 1)) + first;
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

bool tls_module_find(struct strobe_symbols *symbols, const struct symbols_module *module,
		     struct tls_module *ret)
{
	uint64_t entry;
	*ret = (struct tls_module){0};
	if (auxv(symbols->view, AT_ENTRY, &entry) &&
	    strobe_view_module_at(symbols->view, entry) == module->index) {
		ret->main = true;
		return main_program(symbols->view, &ret->before);
	}
	return module_id(symbols, module->module, &ret->id) && ret->id <= TLS_ID_LIMIT;
}

bool tls_block(const struct strobe_view *view, uint64_t thread_pointer,
	       const struct tls_module *module, uint64_t *ret)
{
	uint64_t vector, block;
	if (module->main) {
		*ret = thread_pointer - module->before;
		return true;
	}
	if (!view_read_unsigned(view, thread_pointer + 8, 8, &vector) ||
	    !view_read_unsigned(view, vector + module->id * 16, 8, &block) || block == 0 ||
	    block == UINT64_MAX)
		return false;
	*ret = block;
	return true;
}

bool tls_thread_pointer(const struct strobe_view *view, size_t thread_index, uint64_t *ret)
{
	struct strobe_register fs_base;
	uint64_t pointer = 0;
	if (thread_index >= strobe_view_thread_count(view) ||
	    !strobe_view_register_by_name(view, thread_index, "fs_base", &fs_base) ||
	    fs_base.size_bytes > sizeof(pointer))
		return false;
	memcpy(&pointer, fs_base.bytes, fs_base.size_bytes);
	*ret = pointer;
	return pointer != 0;
}

bool place_tls(const struct place_frame *frame, struct symbols_module *module, uint64_t offset,
	       uint64_t *ret)
{
	const struct strobe_view *view = frame->symbols->view;
	struct tls_module found;
	uint64_t thread_pointer, block;
	if (!tls_thread_pointer(view, frame->stack ? frame->stack->thread_index : 0,
				&thread_pointer) ||
	    !tls_module_find(frame->symbols, module, &found) ||
	    !tls_block(view, thread_pointer, &found, &block))
		return false;
	*ret = block + offset;
	return true;
}
