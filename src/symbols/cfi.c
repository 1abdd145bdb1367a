// SPDX-License-Identifier: Apache-2.0
// Finds the call frame information of a module and the row for a pc in it.

#include "symbols/cfi.h"

#include <stdlib.h>
#include <string.h>

#include "base/guard.h"
#include "symbols/cfi_parse.h"
#include "symbols/elf_load.h"

/** An FDE found by reading the whole section, for sections without a search table. */
struct indexed {
	uint64_t start, end; // link-time
	uint64_t reach;	     // the largest end up to here: how far back a search must go
	size_t offset;
};

struct source {
	struct cfi_section section;
	struct cfi_header header; // count 0 = use the index
	bool indexed;
	ARRAY(struct indexed) index;
};

struct cfi {
	struct source debug_frame, eh_frame; // section.data NULL if absent
};

struct cached_row {
	enum cfi_result result;
	struct cfi_row row;
};

struct cfi *cfi_free(struct cfi *cfi)
{
	if (!cfi)
		return NULL;
	array_fini(&cfi->debug_frame.index);
	array_fini(&cfi->eh_frame.index);
	free(cfi);
	return NULL;
}

static bool find_section(Elf *elf, const char *name, struct cfi_section *ret)
{
	GElf_Shdr header;
	Elf_Scn *section = elf_load_section(elf, name, &header);
	if (!section || header.sh_type == SHT_NOBITS)
		return false;
	if (header.sh_flags & SHF_COMPRESSED && elf_compress(section, 0, 0) < 0)
		return false;
	Elf_Data *data = elf_getdata(section, NULL);
	if (!data || !data->d_buf || !data->d_size)
		return false;
	ret->data = data->d_buf;
	ret->size = data->d_size;
	ret->address = header.sh_addr;
	return true;
}

/** Bytes from link-time `address` to the end of its segment, in the file image. */
static const uint8_t *segment_bytes(Elf *elf, uint64_t address, size_t *available)
{
	size_t size, count;
	const uint8_t *image = (const uint8_t *)elf_rawfile(elf, &size);
	if (!image || elf_getphdrnum(elf, &count) < 0)
		return NULL;
	for (size_t i = 0; i < count && i < PN_XNUM; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD ||
		    address < header.p_vaddr || address - header.p_vaddr >= header.p_filesz)
			continue;
		uint64_t skip = address - header.p_vaddr;
		if (header.p_offset >= size || skip >= size - header.p_offset)
			return NULL;
		uint64_t rest = header.p_filesz - skip;
		uint64_t room = size - header.p_offset - skip;
		*available = (size_t)(rest < room ? rest : room);
		return image + header.p_offset + skip;
	}
	return NULL;
}

/** Images from memory have no section headers, but a program header for .eh_frame_hdr. */
static void open_eh_frame_by_header(Elf *elf, struct source *source)
{
	size_t count;
	if (elf_getphdrnum(elf, &count) < 0)
		return;
	for (size_t i = 0; i < count && i < PN_XNUM; i++) {
		GElf_Phdr program;
		size_t size;
		if (!gelf_getphdr(elf, (int)i, &program) || program.p_type != PT_GNU_EH_FRAME)
			continue;
		const uint8_t *bytes = segment_bytes(elf, program.p_vaddr, &size);
		if (!bytes || !cfi_read_header(bytes, size, program.p_vaddr, &source->header))
			return;
		source->section.address = source->header.frame;
		source->section.data =
			segment_bytes(elf, source->header.frame, &source->section.size);
		return;
	}
}

static void open_eh_frame(Elf *elf, struct source *source)
{
	source->section.eh = true;
	if (!find_section(elf, ".eh_frame", &source->section)) {
		open_eh_frame_by_header(elf, source);
		return;
	}
	struct cfi_section header = {0};
	if (find_section(elf, ".eh_frame_hdr", &header) &&
	    (!cfi_read_header(header.data, header.size, header.address, &source->header) ||
	     source->header.frame != source->section.address))
		source->header.count = 0;
}

static struct cfi *open_cfi(struct symbols_module *module)
{
	if (module->cfi)
		return module->cfi;
	struct cfi *cfi = calloc(1, sizeof(*cfi));
	if (!cfi)
		return NULL;
	GUARD(module->path);
	if (module->main_elf)
		open_eh_frame(module->main_elf, &cfi->eh_frame);
	if (!module->debug_elf ||
	    !find_section(module->debug_elf, ".debug_frame", &cfi->debug_frame.section))
		find_section(module->main_elf, ".debug_frame", &cfi->debug_frame.section);
	return module->cfi = cfi;
}

static int compare_indexed(const void *a, const void *b)
{
	const struct indexed *x = a, *y = b;
	return (x->start > y->start) - (x->start < y->start);
}

static void index_source(struct source *source)
{
	source->indexed = true;
	struct cfi_fde fde;
	enum cfi_entry kind;
	size_t offset = 0, at = 0;
	for (size_t i = 0; i < CFI_ENTRY_LIMIT; i++, at = offset) {
		kind = cfi_read_entry(&source->section, &offset, &fde);
		if (kind == CFI_ENTRY_END)
			break;
		if (kind == CFI_ENTRY_FDE && fde.end > fde.start &&
		    !array_push(&source->index, (struct indexed){fde.start, fde.end, 0, at}))
			break;
	}
	if (!source->index.count)
		return;
	qsort(source->index.items, source->index.count, sizeof(struct indexed), compare_indexed);
	uint64_t reach = 0;
	for (size_t i = 0; i < source->index.count; i++) {
		if (source->index.items[i].end > reach)
			reach = source->index.items[i].end;
		source->index.items[i].reach = reach;
	}
}

/** Named limit: entries looked at around a pc where they overlap. */
enum { OVERLAP_LIMIT = 64 };

static bool search_index(struct source *source, uint64_t pc, size_t *offset)
{
	if (!source->indexed)
		index_source(source);
	size_t low = 0, high = source->index.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (source->index.items[middle].start <= pc)
			low = middle + 1;
		else
			high = middle;
	}
	for (size_t i = low; i-- > 0 && low - i <= OVERLAP_LIMIT;) {
		const struct indexed *entry = &source->index.items[i];
		if (pc < entry->end) {
			*offset = entry->offset;
			return true;
		}
		if (entry->reach <= pc)
			return false;
	}
	return false;
}

static enum cfi_result find_fde(struct source *source, uint64_t pc, struct cfi_fde *ret)
{
	if (!source->section.data)
		return CFI_NONE;
	size_t offset;
	if (source->header.count) {
		uint64_t address;
		if (!cfi_search_header(&source->header, pc, &address))
			return CFI_NONE;
		if (address - source->section.address >= source->section.size)
			return CFI_DAMAGED;
		offset = (size_t)(address - source->section.address);
	} else if (!search_index(source, pc, &offset)) {
		return CFI_NONE;
	}
	if (cfi_read_entry(&source->section, &offset, ret) != CFI_ENTRY_FDE)
		return CFI_DAMAGED;
	return pc >= ret->start && pc < ret->end ? CFI_FOUND : CFI_NONE;
}

static enum cfi_result find_row(struct symbols_module *module, uint64_t pc, struct cfi_row *ret)
{
	struct cfi *cfi = open_cfi(module);
	if (!cfi)
		return CFI_NONE;
	GUARD(module->path);
	struct cfi_fde fde;
	// As gdb: where both describe a function, .debug_frame is the fuller.
	enum cfi_result result = find_fde(&cfi->debug_frame, pc, &fde);
	if (result != CFI_FOUND || !cfi_run(&fde, pc, ret))
		result = find_fde(&cfi->eh_frame, pc, &fde);
	else
		return CFI_FOUND;
	if (result == CFI_FOUND && !cfi_run(&fde, pc, ret))
		return CFI_DAMAGED;
	return result;
}

enum cfi_result cfi_row_at(struct strobe_symbols *symbols, uint64_t pc, const struct cfi_row **ret)
{
	struct cached_row *cached = hash_get(&symbols->row_cache, pc);
	if (!cached) {
		struct symbols_module *module = symbols_module_at(symbols, pc);
		if (!module)
			return CFI_NONE; // a wild pc: no need to remember it
		cached = arena_alloc(&symbols->arena, sizeof(*cached));
		if (!cached || !hash_put(&symbols->row_cache, pc, cached))
			return CFI_NONE;
		cached->result = find_row(module, pc - module->module->bias, &cached->row);
		cached->row.bias = module->module->bias;
	}
	*ret = &cached->row;
	return cached->result;
}
