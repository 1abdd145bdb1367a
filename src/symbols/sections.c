// SPDX-License-Identifier: Apache-2.0
#include "symbols/sections.h"

#include <gelf.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[SECTION_COUNT] = {
	[SECTION_INFO] = "info",
	[SECTION_TYPES] = "types",
	[SECTION_ABBREV] = "abbrev",
	[SECTION_ADDR] = "addr",
	[SECTION_ARANGES] = "aranges",
	[SECTION_LINE] = "line",
	[SECTION_LINE_STR] = "line_str",
	[SECTION_LOC] = "loc",
	[SECTION_LOCLISTS] = "loclists",
	[SECTION_RANGES] = "ranges",
	[SECTION_RNGLISTS] = "rnglists",
	[SECTION_STR] = "str",
	[SECTION_STR_OFFSETS] = "str_offsets",
	[SECTION_MACRO] = "macro",
	[SECTION_MACINFO] = "macinfo",
	[SECTION_CU_INDEX] = "cu_index",
	[SECTION_TU_INDEX] = "tu_index",
};

const char *section_name(enum section_id id)
{
	return names[id];
}

/** The id of ".debug_info", ".zdebug_info", ".debug_info.dwo", ...; -1 if it is none of ours. */
static int identify(const char *name, bool split)
{
	bool index = !strcmp(name, ".debug_cu_index") || !strcmp(name, ".debug_tu_index");
	if (!strncmp(name, ".debug_", 7))
		name += 7;
	else if (!strncmp(name, ".zdebug_", 8))
		name += 8;
	else
		return -1;
	size_t size = strlen(name);
	bool dwo = size > 4 && !strcmp(name + size - 4, ".dwo");
	if (dwo)
		size -= 4;
	if (!index && dwo != split)
		return -1;
	for (int i = 0; i < SECTION_COUNT; i++) {
		if (strlen(names[i]) == size && !memcmp(names[i], name, size))
			return i;
	}
	return -1;
}

static bool decompress(Elf_Scn *scn, const GElf_Shdr *shdr, const char *name)
{
	if (shdr->sh_flags & SHF_COMPRESSED)
		return elf_compress(scn, 0, 0) >= 0;
	if (!strncmp(name, ".zdebug", 7) && shdr->sh_size >= 4) {
		Elf_Data *data = elf_rawdata(scn, NULL);
		// libdw has unpacked it in place if it knew the section.
		if (data && data->d_size >= 4 && !memcmp(data->d_buf, "ZLIB", 4))
			return elf_compress_gnu(scn, 0, 0) >= 0;
	}
	return true;
}

void sections_read(Elf *elf, bool split, struct sections *ret)
{
	memset(ret, 0, sizeof(*ret));
	size_t strings;
	if (!elf || elf_getshdrstrndx(elf, &strings) < 0)
		return;
	Elf_Scn *scn = NULL;
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		GElf_Shdr shdr;
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS)
			continue;
		const char *name = elf_strptr(elf, strings, shdr.sh_name);
		int id = name ? identify(name, split) : -1;
		if (id < 0 || ret->of[id].data)
			continue;
		if (!decompress(scn, &shdr, name)) {
			ret->problem = "a compressed debug section is damaged";
			continue;
		}
		Elf_Data *data = elf_rawdata(scn, NULL);
		if (data && data->d_buf && data->d_size) {
			ret->of[id].data = data->d_buf;
			ret->of[id].size = data->d_size;
		}
	}
}

uint8_t *sections_join(Elf *elf, bool split, enum section_id id, size_t *size)
{
	size_t strings, total = 0, count = 0;
	uint8_t *joined = NULL;
	if (!elf || elf_getshdrstrndx(elf, &strings) < 0)
		return NULL;
	for (Elf_Scn *scn = NULL; (scn = elf_nextscn(elf, scn)) != NULL;) {
		GElf_Shdr shdr;
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS)
			continue;
		const char *name = elf_strptr(elf, strings, shdr.sh_name);
		if (!name || identify(name, split) != (int)id || !decompress(scn, &shdr, name))
			continue;
		Elf_Data *data = elf_rawdata(scn, NULL);
		if (!data || !data->d_buf || !data->d_size)
			continue;
		uint8_t *grown = realloc(joined, total + data->d_size);
		if (!grown)
			break;
		joined = grown;
		memcpy(joined + total, data->d_buf, data->d_size);
		total += data->d_size;
		count++;
	}
	*size = total;
	if (count > 1)
		return joined;
	free(joined);
	return NULL;
}

bool section_exists(Elf *elf, const char *wanted)
{
	size_t strings;
	if (!elf || elf_getshdrstrndx(elf, &strings) < 0)
		return false;
	Elf_Scn *scn = NULL;
	while ((scn = elf_nextscn(elf, scn)) != NULL) {
		GElf_Shdr shdr;
		if (!gelf_getshdr(scn, &shdr) || shdr.sh_type == SHT_NOBITS || !shdr.sh_size)
			continue;
		const char *name = elf_strptr(elf, strings, shdr.sh_name);
		if (name && !strcmp(name, wanted))
			return true;
	}
	return false;
}
