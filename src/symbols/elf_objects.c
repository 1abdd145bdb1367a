// SPDX-License-Identifier: Apache-2.0
#include "symbols/elf_objects.h"

#include <string.h>

#include "base/guard.h"
#include "symbols/elf_load.h"

/** Virtual tables and type descriptions: constants, however many a library has. */
static bool is_class_data(const char *name)
{
	return strncmp(name, "_ZT", 3) == 0 && strchr("VTIS", name[3]);
}

static bool is_object(const struct elf_symbols *symbols, const struct elf_symbol *symbol)
{
	unsigned type = ELF64_ST_TYPE(symbol->info);
	return (type == STT_OBJECT || type == STT_COMMON || type == STT_TLS) && symbol->size &&
	       symbol->section != SHN_UNDEF && symbol->section != SHN_ABS &&
	       !is_class_data(elf_symbol_name(symbols, symbol));
}

bool elf_objects(struct symbols_module *module, elf_symbols_visit visit, void *context)
{
	GUARD(module->path);
	struct elf_symbols_summary summary;
	elf_symbols_summary(module, &summary); // loads them
	const struct elf_symbols *symbols = module->elf_symbols;
	for (size_t i = 0; symbols && i < symbols->symbols.count; i++) {
		struct strobe_symbol filled;
		if (!is_object(symbols, &symbols->symbols.items[i]))
			continue;
		elf_symbols_fill(module, symbols, &symbols->symbols.items[i], &filled);
		if (!visit(context, &filled))
			return false;
	}
	return true;
}

const char *elf_section_at(struct symbols_module *module, uint64_t address, uint64_t *end)
{
	GUARD(module->path);
	size_t names;
	*end = UINT64_MAX;
	if (!module->main_elf || elf_getshdrstrndx(module->main_elf, &names) != 0)
		return NULL;
	for (Elf_Scn *section = NULL; (section = elf_nextscn(module->main_elf, section));) {
		GElf_Shdr header;
		// .tbss takes no memory of the module's.
		if (!gelf_getshdr(section, &header) || !(header.sh_flags & SHF_ALLOC) ||
		    (header.sh_flags & SHF_TLS && header.sh_type == SHT_NOBITS) || !header.sh_size)
			continue;
		if (header.sh_addr > address && header.sh_addr < *end)
			*end = header.sh_addr;
		if (header.sh_addr > address || address - header.sh_addr >= header.sh_size)
			continue;
		const char *name = elf_strptr(module->main_elf, names, header.sh_name);
		if (!name || !*name)
			continue;
		*end = header.sh_addr + header.sh_size;
		return name;
	}
	return NULL;
}
