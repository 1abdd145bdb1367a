// SPDX-License-Identifier: Apache-2.0
#include "symbols/elf_load.h"

#include <string.h>

#include "base/error.h"
#include "base/guard.h"
#include "base/lzma.h"

Elf_Scn *elf_load_section(Elf *elf, const char *name, GElf_Shdr *header)
{
	size_t names;
	if (!elf || elf_getshdrstrndx(elf, &names) < 0)
		return NULL;
	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		const char *text;
		if (gelf_getshdr(section, header) &&
		    (text = elf_strptr(elf, names, header->sh_name)) && strcmp(text, name) == 0)
			return section;
	}
	return NULL;
}

const char *elf_symbol_name(const struct elf_symbols *symbols, const struct elf_symbol *symbol)
{
	return symbols->tables[symbol->table].data + symbol->name;
}

// The part of a string table that is NUL-terminated, whatever the file says.
static struct elf_strings strings_of(const char *data, size_t size)
{
	while (size && data[size - 1])
		size--;
	return (struct elf_strings){.data = data, .size = size};
}

static bool wanted(const Elf64_Sym *symbol, const struct elf_strings *strings)
{
	unsigned type = ELF64_ST_TYPE(symbol->st_info);
	return symbol->st_shndx != SHN_UNDEF && type != STT_SECTION && type != STT_FILE &&
	       symbol->st_name < strings->size && strings->data[symbol->st_name];
}

static bool add_table(struct elf_symbols *symbols, const uint8_t *bytes, size_t count,
		      struct elf_strings strings)
{
	if (!strings.size || symbols->table_count == ELF_TABLE_LIMIT)
		return true;
	symbols->tables[symbols->table_count] = strings;
	size_t room = ELF_SYMBOL_LIMIT - symbols->symbols.count;
	if (count > room)
		count = room;
	if (!array_reserve(&symbols->symbols, symbols->symbols.count + count))
		return false;
	for (size_t i = 0; i < count; i++) {
		Elf64_Sym symbol;
		memcpy(&symbol, bytes + i * sizeof(symbol), sizeof(symbol));
		if (!wanted(&symbol, &strings))
			continue;
		symbols->symbols.items[symbols->symbols.count++] = (struct elf_symbol){
			.value = symbol.st_value,
			.size = symbol.st_size,
			.name = symbol.st_name,
			.section = symbol.st_shndx,
			.info = symbol.st_info,
			.table = (uint8_t)symbols->table_count,
		};
	}
	symbols->table_count++;
	return true;
}

/** Adds the symbol table in the section of type `type`, if there is one with contents. */
static bool add_section(struct elf_symbols *symbols, Elf *elf, unsigned type, bool *found)
{
	for (Elf_Scn *section = NULL; elf && (section = elf_nextscn(elf, section));) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) || header.sh_type != type)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		Elf_Scn *names = elf_getscn(elf, header.sh_link);
		Elf_Data *text = names ? elf_getdata(names, NULL) : NULL;
		if (!data || !data->d_buf || !text || !text->d_buf)
			continue;
		*found = true;
		return add_table(symbols, data->d_buf, data->d_size / sizeof(Elf64_Sym),
				 strings_of(text->d_buf, text->d_size));
	}
	return true;
}

/** Where link-time `address` is in an image of `size` bytes; SIZE_MAX if nowhere. */
static size_t image_offset(Elf *elf, uint64_t address, size_t size)
{
	size_t count;
	if (elf_getphdrnum(elf, &count) < 0)
		return SIZE_MAX;
	for (size_t i = 0; i < count && i < PN_XNUM; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD ||
		    address < header.p_vaddr || address - header.p_vaddr >= header.p_filesz)
			continue;
		uint64_t offset = address - header.p_vaddr + header.p_offset;
		return offset < size ? (size_t)offset : SIZE_MAX;
	}
	return SIZE_MAX;
}

struct dynamic {
	uint64_t symbols, strings, strings_size;
};

static bool read_dynamic(Elf *elf, const uint8_t *image, size_t size, struct dynamic *ret)
{
	size_t count;
	if (elf_getphdrnum(elf, &count) < 0)
		return false;
	for (size_t i = 0; i < count && i < PN_XNUM; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_DYNAMIC)
			continue;
		size_t offset = image_offset(elf, header.p_vaddr, size);
		for (; offset < size && size - offset >= sizeof(Elf64_Dyn);
		     offset += sizeof(Elf64_Dyn)) {
			Elf64_Dyn entry;
			memcpy(&entry, image + offset, sizeof(entry));
			if (entry.d_tag == DT_NULL)
				break;
			if (entry.d_tag == DT_SYMTAB)
				ret->symbols = entry.d_un.d_ptr;
			if (entry.d_tag == DT_STRTAB)
				ret->strings = entry.d_un.d_ptr;
			if (entry.d_tag == DT_STRSZ)
				ret->strings_size = entry.d_un.d_val;
		}
		return ret->symbols && ret->strings;
	}
	return false;
}

/** .dynsym of an image from memory, which has no section headers: by its dynamic segment. */
static bool add_dynamic(struct symbols_module *module, struct elf_symbols *symbols, bool *found)
{
	size_t size;
	Elf *elf = module->main_elf;
	const uint8_t *image = (const uint8_t *)elf_rawfile(elf, &size);
	struct dynamic dynamic = {0};
	if (!image || !read_dynamic(elf, image, size, &dynamic))
		return true;
	// The loader writes run-time addresses into the section.
	uint64_t bias = module->module->bias;
	size_t table = image_offset(elf, dynamic.symbols, size);
	if (table == SIZE_MAX)
		table = image_offset(elf, dynamic.symbols - bias, size);
	size_t names = image_offset(elf, dynamic.strings, size);
	if (names == SIZE_MAX)
		names = image_offset(elf, dynamic.strings - bias, size);
	if (table == SIZE_MAX || names == SIZE_MAX || names <= table)
		return true; // the count is not told: linkers put the strings behind the symbols
	size_t names_size = size - names;
	if (names_size > dynamic.strings_size)
		names_size = dynamic.strings_size;
	*found = true;
	return add_table(symbols, image + table, (names - table) / sizeof(Elf64_Sym),
			 strings_of((const char *)image + names, names_size));
}

static bool add_mini(struct symbols_module *module, struct elf_symbols *symbols)
{
	GElf_Shdr header;
	Elf_Scn *section = elf_load_section(module->main_elf, ".gnu_debugdata", &header);
	Elf_Data *data = section ? elf_rawdata(section, NULL) : NULL;
	if (!data || !data->d_buf || !data->d_size)
		return true;
	size_t size;
	struct strobe_error *error = lzma_unpack(data->d_buf, data->d_size, &symbols->mini, &size);
	if (error) {
		view_warn(module->symbols->view, "%s: .gnu_debugdata: %s", module->path,
			  strobe_error_message(error));
		strobe_error_free(error);
		return true;
	}
	symbols->mini_elf = elf_memory((char *)symbols->mini, size);
	if (!symbols->mini_elf || elf_kind(symbols->mini_elf) != ELF_K_ELF ||
	    gelf_getclass(symbols->mini_elf) != ELFCLASS64)
		return true;
	return add_section(symbols, symbols->mini_elf, SHT_SYMTAB, &symbols->summary.mini);
}

static int compare_extents(const void *a, const void *b)
{
	uint64_t x = ((const struct elf_extent *)a)->start;
	uint64_t y = ((const struct elf_extent *)b)->start;
	return (x > y) - (x < y);
}

static bool load_extents(Elf *elf, struct elf_symbols *symbols)
{
	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		GElf_Shdr header;
		if (!gelf_getshdr(section, &header) || !(header.sh_flags & SHF_ALLOC) ||
		    (header.sh_flags & SHF_TLS) || !header.sh_size)
			continue;
		if (!array_push(
			    &symbols->extents,
			    (struct elf_extent){header.sh_addr, header.sh_addr + header.sh_size}))
			return false;
	}
	size_t count;
	if (symbols->extents.count || elf_getphdrnum(elf, &count) < 0)
		count = 0;
	for (size_t i = 0; i < count && i < PN_XNUM; i++) {
		GElf_Phdr header;
		if (!gelf_getphdr(elf, (int)i, &header) || header.p_type != PT_LOAD)
			continue;
		if (!array_push(
			    &symbols->extents,
			    (struct elf_extent){header.p_vaddr, header.p_vaddr + header.p_memsz}))
			return false;
	}
	if (symbols->extents.count)
		qsort(symbols->extents.items, symbols->extents.count, sizeof(struct elf_extent),
		      compare_extents);
	return true;
}

static bool is_addressed(const struct elf_symbol *symbol)
{
	return ELF64_ST_TYPE(symbol->info) != STT_TLS && symbol->section != SHN_ABS;
}

// Stable radix sort by address, 11 bits a pass: millions of symbols in tens of milliseconds.
static bool sort(struct elf_symbol *items, size_t count)
{
	enum { BITS = 11, SLOTS = 1 << BITS };
	uint64_t all = 0;
	bool sorted = true;
	for (size_t i = 0; i < count; i++) {
		all |= items[i].value;
		sorted = sorted && (!i || items[i - 1].value <= items[i].value);
	}
	if (sorted)
		return true;
	struct elf_symbol *other = malloc(count * sizeof(*other));
	if (!other)
		return false;
	struct elf_symbol *from = items, *to = other;
	for (unsigned shift = 0; shift < 64 && all >> shift; shift += BITS) {
		size_t starts[SLOTS + 1] = {0};
		for (size_t i = 0; i < count; i++)
			starts[(from[i].value >> shift & (SLOTS - 1)) + 1]++;
		for (size_t i = 0; i < SLOTS; i++)
			starts[i + 1] += starts[i];
		for (size_t i = 0; i < count; i++)
			to[starts[from[i].value >> shift & (SLOTS - 1)]++] = from[i];
		struct elf_symbol *swap = from;
		from = to;
		to = swap;
	}
	if (from != items)
		memcpy(items, from, count * sizeof(*items));
	free(other);
	return true;
}

/** Moves the symbols without an address to the end and sorts the others. */
static bool arrange(struct elf_symbols *symbols)
{
	struct elf_symbol *items = symbols->symbols.items;
	ARRAY(struct elf_symbol) others = {0};
	size_t kept = 0;
	for (size_t i = 0; i < symbols->symbols.count; i++) {
		if (is_addressed(&items[i]))
			items[kept++] = items[i];
		else if (!array_push(&others, items[i]))
			return false;
	}
	if (others.count)
		memcpy(items + kept, others.items, others.count * sizeof(*items));
	array_fini(&others);
	symbols->addressed = kept;
	symbols->summary.count = symbols->symbols.count;
	return sort(items, kept);
}

static bool load_tables(struct symbols_module *module, struct elf_symbols *symbols)
{
	struct elf_symbols_summary *summary = &symbols->summary;
	Elf *main = module->main_elf;
	if (module->debug_elf && module->debug_elf != main &&
	    !add_section(symbols, module->debug_elf, SHT_SYMTAB, &summary->symtab))
		return false;
	if (!summary->symtab && !add_section(symbols, main, SHT_SYMTAB, &summary->symtab))
		return false;
	if (!main)
		return true;
	// .symtab holds what .dynsym and .gnu_debugdata do.
	if (!summary->symtab && (!add_section(symbols, main, SHT_DYNSYM, &summary->dynamic) ||
				 !add_mini(module, symbols)))
		return false;
	if (!summary->symtab && !summary->dynamic &&
	    !add_dynamic(module, symbols, &summary->dynamic))
		return false;
	return elf_load_plt(main, symbols);
}

bool elf_load(struct symbols_module *module, struct elf_symbols *symbols)
{
	GUARD(module->path);
	Elf *elf = module->main_elf ? module->main_elf : module->debug_elf;
	if (!elf || gelf_getclass(elf) != ELFCLASS64)
		return true;
	return load_extents(elf, symbols) && load_tables(module, symbols) && arrange(symbols);
}
