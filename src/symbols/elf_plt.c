// SPDX-License-Identifier: Apache-2.0
// Names for the entries of procedure linkage tables: each jumps through a slot that a relocation
// fills, and the relocation has the symbol.

#include <string.h>

#include "symbols/elf_load.h"

/** Named limits. */
enum { PLT_SLOT_LIMIT = 1 << 20, PLT_NAME_LIMIT = 4096 };

struct slots {
	struct hash names; // GOT slot's address -> name
	size_t count;
};

static const char *dynamic_name(Elf_Data *symbols, Elf_Data *strings, size_t index)
{
	if (!symbols || !strings || !strings->d_buf || !symbols->d_buf ||
	    index >= symbols->d_size / sizeof(Elf64_Sym))
		return NULL;
	Elf64_Sym symbol;
	memcpy(&symbol, (const uint8_t *)symbols->d_buf + index * sizeof(symbol), sizeof(symbol));
	if (symbol.st_name >= strings->d_size)
		return NULL;
	const char *name = (const char *)strings->d_buf + symbol.st_name;
	size_t room = strings->d_size - symbol.st_name;
	size_t size = strnlen(name, room);
	return size && size < room && size < PLT_NAME_LIMIT ? name : NULL;
}

static bool read_relocations(Elf *elf, Elf_Scn *section, const GElf_Shdr *header,
			     struct slots *slots)
{
	Elf_Data *data = elf_getdata(section, NULL);
	Elf_Scn *table = elf_getscn(elf, header->sh_link);
	GElf_Shdr table_header;
	if (!data || !data->d_buf || !table || !gelf_getshdr(table, &table_header) ||
	    table_header.sh_type != SHT_DYNSYM)
		return true;
	Elf_Scn *names = elf_getscn(elf, table_header.sh_link);
	Elf_Data *symbols = elf_getdata(table, NULL);
	Elf_Data *strings = names ? elf_getdata(names, NULL) : NULL;
	size_t count = data->d_size / sizeof(Elf64_Rela);
	for (size_t i = 0; i < count && slots->count < PLT_SLOT_LIMIT; i++) {
		Elf64_Rela entry;
		memcpy(&entry, (const uint8_t *)data->d_buf + i * sizeof(entry), sizeof(entry));
		unsigned type = ELF64_R_TYPE(entry.r_info);
		if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT)
			continue;
		const char *name = dynamic_name(symbols, strings, ELF64_R_SYM(entry.r_info));
		if (!name)
			continue;
		slots->count++;
		if (!hash_put(&slots->names, entry.r_offset, (void *)(uintptr_t)name))
			return false;
	}
	return true;
}

/** The slot that the entry's code jumps through: `[bnd] jmp *offset(%rip)`; 0 if none. */
static uint64_t jump_slot(const uint8_t *code, size_t size, uint64_t address)
{
	static const uint8_t endbr64[] = {0xf3, 0x0f, 0x1e, 0xfa};
	size_t at = size >= 4 && memcmp(code, endbr64, 4) == 0 ? 4 : 0;
	if (at < size && code[at] == 0xf2)
		at++;
	if (size - at < 6 || code[at] != 0xff || code[at + 1] != 0x25)
		return 0;
	int32_t offset;
	memcpy(&offset, code + at + 2, sizeof(offset));
	return address + at + 6 + (uint64_t)(int64_t)offset;
}

static bool add_entry(struct elf_symbols *symbols, uint64_t address, uint64_t size,
		      const char *target)
{
	static const char suffix[] = "@plt";
	size_t length = strlen(target);
	size_t start = symbols->made_names.count;
	if (start + length + sizeof(suffix) > UINT32_MAX ||
	    !array_reserve(&symbols->made_names, start + length + sizeof(suffix)))
		return false;
	memcpy(symbols->made_names.items + start, target, length);
	memcpy(symbols->made_names.items + start + length, suffix, sizeof(suffix));
	symbols->made_names.count += length + sizeof(suffix);
	return array_push(&symbols->symbols, (struct elf_symbol){
						     .value = address,
						     .size = size,
						     .name = (uint32_t)start,
						     .section = 1,
						     .info = ELF64_ST_INFO(STB_LOCAL, STT_FUNC),
						     .table = (uint8_t)symbols->table_count,
					     });
}

static bool scan_entries(struct elf_symbols *symbols, const struct slots *slots,
			 const Elf_Data *data, const GElf_Shdr *header)
{
	uint64_t step = header->sh_entsize == 8 ? 8 : 16;
	for (uint64_t at = 0; at + step <= data->d_size; at += step) {
		uint64_t slot =
			jump_slot((const uint8_t *)data->d_buf + at, step, header->sh_addr + at);
		const char *name = slot ? hash_get(&slots->names, slot) : NULL;
		if (name && !add_entry(symbols, header->sh_addr + at, step, name))
			return false;
	}
	return true;
}

static bool scan_sections(Elf *elf, size_t names, struct elf_symbols *symbols,
			  const struct slots *slots)
{
	for (Elf_Scn *section = NULL; (section = elf_nextscn(elf, section));) {
		GElf_Shdr header;
		const char *name = NULL;
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_PROGBITS &&
		    header.sh_flags & SHF_EXECINSTR)
			name = elf_strptr(elf, names, header.sh_name);
		if (!name || strncmp(name, ".plt", 4) != 0)
			continue;
		Elf_Data *data = elf_getdata(section, NULL);
		if (data && data->d_buf && !scan_entries(symbols, slots, data, &header))
			return false;
	}
	return true;
}

bool elf_load_plt(Elf *elf, struct elf_symbols *symbols)
{
	size_t names;
	if (symbols->table_count >= ELF_TABLE_LIMIT || elf_getshdrstrndx(elf, &names) < 0)
		return true;
	struct slots slots = {0};
	bool good = true;
	for (Elf_Scn *section = NULL; good && (section = elf_nextscn(elf, section));) {
		GElf_Shdr header;
		if (gelf_getshdr(section, &header) && header.sh_type == SHT_RELA)
			good = read_relocations(elf, section, &header, &slots);
	}
	if (good && slots.count)
		good = scan_sections(elf, names, symbols, &slots);
	hash_fini(&slots.names);
	if (symbols->made_names.count)
		symbols->tables[symbols->table_count++] =
			(struct elf_strings){symbols->made_names.items, symbols->made_names.count};
	return good;
}
