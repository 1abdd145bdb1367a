// SPDX-License-Identifier: Apache-2.0
#include "pt/functions.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "elf/elf_image.h"
#include "view/view.h"

enum {
	// DW_EH_PE_*: what all linkers of x86-64 write.
	VERSION = 1,
	POINTER_PCREL_SDATA4 = 0x1b,
	COUNT_UDATA4 = 0x03,
	TABLE_DATAREL_SDATA4 = 0x3b,
	ENTRY_SIZE = 8,
	FDE_SIZE = 16, // length, CIE, start, size: 4 bytes each
	SEGMENTS_MAX = 64,
};

static int64_t signed_4(const uint8_t *bytes)
{
	return (int32_t)elf_number(bytes, 4);
}

// The segment that program headers of the module at `start` name as its table.
static bool find_segment(const struct strobe_view *view, const struct strobe_module *module,
			 uint64_t *address)
{
	size_t available = 0;
	struct elf_image image;
	const char *why;
	const uint8_t *bytes = view_pointer(view, module->start, &available);
	if (!bytes || !elf_image_init(&image, bytes, available, &why))
		return false;
	for (uint32_t i = 0; i < image.segment_count && i < SEGMENTS_MAX; i++) {
		Elf64_Phdr segment;
		if (!elf_image_segment(&image, i, &segment))
			return false;
		if (segment.p_type == PT_GNU_EH_FRAME) {
			*address = segment.p_vaddr + module->bias;
			return true;
		}
	}
	return false;
}

static bool read_table(const struct strobe_view *view, const struct strobe_module *module,
		       struct function_table *ret)
{
	size_t available = 0;
	*ret = (struct function_table){.start = module->start, .end = module->end};
	if (!find_segment(view, module, &ret->address))
		return false;
	ret->bytes = view_pointer(view, ret->address, &available);
	ret->size = available;
	if (!ret->bytes || available < FUNCTION_TABLE_HEADER || ret->bytes[0] != VERSION ||
	    ret->bytes[1] != POINTER_PCREL_SDATA4 || ret->bytes[2] != COUNT_UDATA4 ||
	    ret->bytes[3] != TABLE_DATAREL_SDATA4)
		return false;
	ret->count = (uint32_t)elf_number(ret->bytes + 8, 4);
	return ret->count && ret->count <= (available - FUNCTION_TABLE_HEADER) / ENTRY_SIZE;
}

static int compare(const void *a, const void *b)
{
	const struct function_range *left = a, *right = b;
	return (left->start > right->start) - (left->start < right->start);
}

// False when memory is short.
static bool read_symbols(const struct strobe_view *view, size_t index, struct function_table *table)
{
	const struct file *file = view_module_file(view, index);
	struct elf_image image;
	const char *why;
	const uint8_t *bytes;
	uint64_t size;
	table->bytes = NULL;
	if (!file || !elf_image_init(&image, file->data, file->size, &why) || !image.wide ||
	    !elf_image_section_by_name(&image, ".symtab", &bytes, &size))
		return true;
	for (; size >= sizeof(Elf64_Sym); size -= sizeof(Elf64_Sym), bytes += sizeof(Elf64_Sym)) {
		Elf64_Sym symbol;
		memcpy(&symbol, bytes, sizeof(symbol));
		uint64_t start = symbol.st_value + strobe_view_module(view, index)->bias;
		struct function_range range = {start, start + symbol.st_size};
		if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF &&
		    range.end > start && !array_push(&table->symbols, range))
			return false;
	}
	if (table->symbols.count)
		qsort(table->symbols.items, table->symbols.count, sizeof(struct function_range),
		      compare);
	return true;
}

struct strobe_error *functions_init(struct functions *functions, const struct strobe_view *view)
{
	memset(functions, 0, sizeof(*functions));
	for (size_t i = 0; i < strobe_view_module_count(view); i++) {
		struct function_table table;
		bool done = read_table(view, strobe_view_module(view, i), &table) ||
			    read_symbols(view, i, &table);
		if (!done || ((table.bytes || table.symbols.count) &&
			      !array_push(&functions->tables, table))) {
			array_fini(&table.symbols);
			return error_no_memory();
		}
	}
	return NULL;
}

void functions_fini(struct functions *functions)
{
	for (size_t i = 0; i < functions->tables.count; i++)
		array_fini(&functions->tables.items[i].symbols);
	array_fini(&functions->tables);
}

// The last of them at or before `address`: of several that begin there, any.
static bool find_symbol(const struct function_table *table, uint64_t address, uint64_t *start,
			uint64_t *end)
{
	size_t low = 0, high = table->symbols.count;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		*(table->symbols.items[middle].start <= address ? &low : &high) = middle;
	}
	*start = table->symbols.items[low].start;
	*end = table->symbols.items[low].end;
	return *start <= address && address < *end;
}

static const struct function_table *table_at(const struct functions *functions, uint64_t address)
{
	for (size_t i = 0; i < functions->tables.count; i++) {
		const struct function_table *table = &functions->tables.items[i];
		if (address >= table->start && address < table->end)
			return table;
	}
	return NULL;
}

static const uint8_t *entry(const struct function_table *table, uint32_t index)
{
	return table->bytes + FUNCTION_TABLE_HEADER + (size_t)index * ENTRY_SIZE;
}

// Its end, by its FDE, whose start must be the same.
static bool read_end(const struct function_table *table, const uint8_t *entry, uint64_t start,
		     uint64_t *end)
{
	int64_t offset = signed_4(entry + 4);
	if (offset < 0 || (uint64_t)offset > table->size ||
	    table->size - (uint64_t)offset < FDE_SIZE)
		return false;
	const uint8_t *fde = table->bytes + offset;
	uint64_t at = table->address + (uint64_t)offset + 8;
	uint64_t length = elf_number(fde, 4), size = elf_number(fde + 12, 4);
	if (length < FDE_SIZE - 4 || length == UINT32_MAX ||
	    at + (uint64_t)signed_4(fde + 8) != start)
		return false;
	*end = start + size;
	return true;
}

bool functions_at(const struct functions *functions, uint64_t address, uint64_t *start,
		  uint64_t *end)
{
	const struct function_table *table = table_at(functions, address);
	if (table && !table->bytes)
		return find_symbol(table, address, start, end);
	if (!table || address < table->address + (uint64_t)signed_4(entry(table, 0)))
		return false;
	uint32_t low = 0, high = table->count;
	while (high - low > 1) {
		uint32_t middle = low + (high - low) / 2;
		if (table->address + (uint64_t)signed_4(entry(table, middle)) <= address)
			low = middle;
		else
			high = middle;
	}
	const uint8_t *found = entry(table, low);
	*start = table->address + (uint64_t)signed_4(found);
	return *start <= address && read_end(table, found, *start, end) && address < *end;
}
