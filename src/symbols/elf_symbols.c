// SPDX-License-Identifier: Apache-2.0
// Looks symbols up by address and by name. Nothing is demangled before it is shown.

#include "symbols/elf_symbols.h"

#include <ctype.h>
#include <string.h>

#include "symbols/demangle.h"
#include "symbols/elf_load.h"

/** Named limit: symbols looked at around an address, for tables that overlap without end. */
enum { NEAR_LIMIT = 1000 };

static struct elf_symbols *loaded(struct symbols_module *module)
{
	if (module->elf_symbols)
		return module->elf_symbols;
	struct elf_symbols *symbols = calloc(1, sizeof(*symbols));
	if (!symbols)
		return NULL;
	if (!elf_load(module, symbols)) {
		elf_symbols_free(symbols);
		return NULL;
	}
	return module->elf_symbols = symbols;
}

struct elf_symbols *elf_symbols_free(struct elf_symbols *symbols)
{
	if (!symbols)
		return NULL;
	array_fini(&symbols->symbols);
	array_fini(&symbols->extents);
	array_fini(&symbols->made_names);
	elf_end(symbols->mini_elf);
	free(symbols->mini);
	free(symbols->buckets);
	free(symbols->chain);
	free(symbols);
	return NULL;
}

void elf_symbols_summary(struct symbols_module *module, struct elf_symbols_summary *ret)
{
	struct elf_symbols *symbols = loaded(module);
	*ret = symbols ? symbols->summary : (struct elf_symbols_summary){0};
}

/** The section that holds `address`, or NULL. */
static const struct elf_extent *extent_at(const struct elf_symbols *symbols, uint64_t address)
{
	size_t low = 0, high = symbols->extents.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (symbols->extents.items[middle].start <= address)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low || address >= symbols->extents.items[low - 1].end)
		return NULL;
	return &symbols->extents.items[low - 1];
}

/** How many of the addressed symbols are at or below `address`. */
static size_t count_up_to(const struct elf_symbols *symbols, uint64_t address)
{
	size_t low = 0, high = symbols->addressed;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (symbols->symbols.items[middle].value <= address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool holds(const struct elf_symbol *symbol, uint64_t address)
{
	return address - symbol->value < symbol->size;
}

/** Better of two names for one address: as in gdb the one that stands last in the string table,
 *  unless it is what the assembler made up (".L1"). */
static bool is_better(const struct elf_symbols *symbols, const struct elf_symbol *symbol,
		      const struct elf_symbol *than)
{
	if (!symbol->size != !than->size)
		return symbol->size;
	const char *name = elf_symbol_name(symbols, symbol);
	const char *other = elf_symbol_name(symbols, than);
	bool plain = name[0] != '.' && name[0] != '$';
	bool other_plain = other[0] != '.' && other[0] != '$';
	if (plain != other_plain)
		return plain;
	return symbol->table == than->table ? symbol->name > than->name : strcmp(name, other) > 0;
}

/**
 * The nearest symbol whose range holds the address, else the nearest of unknown size. Sized
 * symbols that end before the address do not stand for it, as in gdb.
 */
static const struct elf_symbol *best_at(const struct elf_symbols *symbols, uint64_t address)
{
	const struct elf_extent *extent = extent_at(symbols, address);
	if (!extent)
		return NULL;
	const struct elf_symbol *best = NULL;
	bool passed = false; // a function that ends before the address: labels before it are past
	size_t end = count_up_to(symbols, address);
	for (size_t i = end; i-- > 0 && end - i <= NEAR_LIMIT;) {
		const struct elf_symbol *symbol = &symbols->symbols.items[i];
		if (symbol->value < extent->start ||
		    (best && best->size && symbol->value != best->value))
			break;
		if (symbol->size && !holds(symbol, address)) {
			passed = true;
			continue;
		}
		if (!symbol->size && (passed || (best && symbol->value != best->value)))
			continue;
		if (!best || is_better(symbols, symbol, best))
			best = symbol;
	}
	return best;
}

static const char *type_text(const struct elf_symbol *symbol)
{
	switch (ELF64_ST_TYPE(symbol->info)) {
	case STT_FUNC:
		return "function";
	case STT_OBJECT:
		return "object";
	case STT_COMMON:
		return "common";
	case STT_TLS:
		return "tls";
	case STT_GNU_IFUNC:
		return "ifunc";
	case STT_NOTYPE:
		return "notype";
	default:
		return "other";
	}
}

static const char *binding_text(const struct elf_symbol *symbol)
{
	switch (ELF64_ST_BIND(symbol->info)) {
	case STB_LOCAL:
		return "local";
	case STB_GLOBAL:
		return "global";
	case STB_WEAK:
		return "weak";
	case STB_GNU_UNIQUE:
		return "unique";
	default:
		return "other";
	}
}

/** Length of a name without its version ("memcpy@@GLIBC_2.14"), but with "@plt". */
static size_t bare_size(const char *name)
{
	const char *at = strchr(name, '@');
	return at && at != name && strcmp(at, "@plt") != 0 ? (size_t)(at - name) : strlen(name);
}

/** An old version of a symbol ("memcpy@GLIBC_2.2.5"): no caller compiled today gets it. */
static bool is_old_version(const char *name)
{
	const char *at = name + bare_size(name);
	return at[0] == '@' && at[1] != '@';
}

/** The linkage name, for as long as the symbols live. */
static const char *bare_name(struct symbols_module *module, const char *name)
{
	size_t size = bare_size(name);
	return name[size] ? arena_copy_string(&module->symbols->arena, name, size) : name;
}

/** Demangles into the arena; "_ZN1A1fEv@plt" reads "A::f()@plt". NULL if it is not mangled. */
static const char *demangled(struct symbols_module *module, const char *name, bool plain)
{
	if (!demangle_is_mangled(name))
		return NULL;
	size_t size = strlen(name);
	bool plt = size > 4 && strcmp(name + size - 4, "@plt") == 0;
	char *bare = plt ? strndup(name, size - 4) : NULL;
	if (plt && !bare)
		return NULL;
	char *text = plain ? demangle_plain(plt ? bare : name) : demangle(plt ? bare : name);
	const char *kept =
		!text ? NULL
		      : arena_printf(&module->symbols->arena, "%s%s", text, plt ? "@plt" : "");
	free(bare);
	free(text);
	return kept;
}

void elf_symbols_fill(struct symbols_module *module, const struct elf_symbols *symbols,
		      const struct elf_symbol *symbol, struct strobe_symbol *ret)
{
	const char *linkage = bare_name(module, elf_symbol_name(symbols, symbol));
	const char *name = linkage ? demangled(module, linkage, false) : NULL;
	bool fixed = symbol->section == SHN_ABS || ELF64_ST_TYPE(symbol->info) == STT_TLS;
	*ret = (struct strobe_symbol){
		.name = name ? name : (linkage ? linkage : ""),
		.linkage_name = linkage ? linkage : "",
		.address = symbol->value + (fixed ? 0 : module->module->bias),
		.size_bytes = symbol->size,
		.type = type_text(symbol),
		.binding = binding_text(symbol),
		.module_index = module->index,
		.module = module->module->name,
	};
}

bool elf_symbols_at(struct symbols_module *module, uint64_t address, struct strobe_symbol *ret)
{
	const struct elf_symbols *symbols = loaded(module);
	const struct elf_symbol *symbol = symbols ? best_at(symbols, address) : NULL;
	if (symbol)
		elf_symbols_fill(module, symbols, symbol, ret);
	return symbol;
}

const char *elf_symbols_function_at(struct symbols_module *module, uint64_t address,
				    uint64_t *start)
{
	const struct elf_symbols *symbols = loaded(module);
	const struct elf_symbol *symbol = symbols ? best_at(symbols, address) : NULL;
	if (!symbol)
		return NULL;
	*start = symbol->value;
	const char *linkage = bare_name(module, elf_symbol_name(symbols, symbol));
	const char *name = linkage ? demangled(module, linkage, true) : NULL;
	return name ? name : linkage;
}

static bool index_names(struct elf_symbols *symbols)
{
	size_t count = symbols->symbols.count;
	size_t buckets = 64;
	while (buckets < count)
		buckets *= 2;
	symbols->buckets = calloc(buckets, sizeof(*symbols->buckets));
	symbols->chain = calloc(count + 1, sizeof(*symbols->chain));
	if (!symbols->buckets || !symbols->chain) {
		free(symbols->buckets);
		free(symbols->chain);
		symbols->buckets = symbols->chain = NULL;
		return false;
	}
	symbols->bucket_count = buckets;
	for (size_t i = count; i-- > 0;) {
		const char *name = elf_symbol_name(symbols, &symbols->symbols.items[i]);
		size_t bucket = hash_bytes(name, bare_size(name)) & (buckets - 1);
		symbols->chain[i] = symbols->buckets[bucket];
		symbols->buckets[bucket] = (uint32_t)i + 1;
	}
	return true;
}

/** What to look for: the name itself, and a word that its mangled form must have. */
struct wanted {
	const char *name;
	size_t size;
	char word[64]; // "" = any
};

// "ns::A<int>::f(char)" -> "f": mangled names spell identifiers out. Anything that is not plainly
// an identifier gives no word, and every mangled name is tried.
static void find_word(struct wanted *wanted)
{
	const char *end = strchr(wanted->name, '(');
	if (!end)
		end = wanted->name + wanted->size;
	if (memchr(wanted->name, '<', (size_t)(end - wanted->name)) ||
	    strstr(wanted->name, "operator") || strchr(wanted->name, '{'))
		return;
	const char *start = end;
	while (start > wanted->name && (start[-1] == '_' || isalnum((unsigned char)start[-1])))
		start--;
	if (end > start && (size_t)(end - start) < sizeof(wanted->word))
		memcpy(wanted->word, start, (size_t)(end - start));
}

static bool names_it(const char *linkage, const struct wanted *wanted)
{
	if (!demangle_is_mangled(linkage) || !strstr(linkage, wanted->word))
		return false;
	char bare[DEMANGLE_INPUT_LIMIT];
	size_t size = bare_size(linkage);
	if (size >= sizeof(bare))
		return false;
	memcpy(bare, linkage, size);
	bare[size] = 0;
	char *full = demangle(bare);
	bool match = full && strcmp(full, wanted->name) == 0;
	if (full && !match && strncmp(full, wanted->name, wanted->size) != 0 &&
	    !strchr(full, ' ')) {
		free(full);
		return false; // without a return type in front, a match begins with the name
	}
	free(full);
	if (match)
		return true;
	char *plain = demangle_plain(bare);
	match = plain && strcmp(plain, wanted->name) == 0;
	free(plain);
	return match;
}

/** Return false to stop. */
typedef bool (*match_visit)(void *context, const struct elf_symbol *symbol);

/** Visits symbols by linkage name, then, if there are none, by demangled name. */
static bool visit_exact(struct elf_symbols *symbols, const char *name, match_visit visit,
			void *context)
{
	struct wanted wanted = {.name = name, .size = strlen(name)};
	if (!symbols->buckets && !index_names(symbols))
		return true;
	bool found = false;
	uint32_t next =
		symbols->buckets[hash_bytes(name, wanted.size) & (symbols->bucket_count - 1)];
	for (; next; next = symbols->chain[next - 1]) {
		const struct elf_symbol *symbol = &symbols->symbols.items[next - 1];
		const char *text = elf_symbol_name(symbols, symbol);
		if (strncmp(text, name, wanted.size) != 0 || bare_size(text) != wanted.size)
			continue;
		// "f@OLD" is what programs linked long ago get; "f" and "f@@NEW" are f.
		if (is_old_version(text))
			continue;
		found = true;
		if (!visit(context, symbol))
			return false;
	}
	if (found)
		return true;
	find_word(&wanted);
	for (size_t i = 0; i < symbols->symbols.count; i++) {
		const struct elf_symbol *symbol = &symbols->symbols.items[i];
		if (names_it(elf_symbol_name(symbols, symbol), &wanted) && !visit(context, symbol))
			return false;
	}
	return true;
}

struct nth {
	bool global; // which of the two rounds
	size_t left;
	const struct elf_symbol *found;
};

static bool visit_nth(void *context, const struct elf_symbol *symbol)
{
	struct nth *nth = context;
	if ((ELF64_ST_BIND(symbol->info) != STB_LOCAL) != nth->global)
		return true;
	if (nth->left--)
		return true;
	nth->found = symbol;
	return false;
}

bool elf_symbols_find(struct symbols_module *module, const char *name, size_t nth,
		      struct strobe_symbol *ret)
{
	struct elf_symbols *symbols = loaded(module);
	if (!symbols)
		return false;
	struct nth round = {.global = true, .left = nth};
	if (visit_exact(symbols, name, visit_nth, &round)) {
		round.global = false;
		visit_exact(symbols, name, visit_nth, &round);
	}
	if (round.found)
		elf_symbols_fill(module, symbols, round.found, ret);
	return round.found;
}

struct visiting {
	struct symbols_module *module;
	struct elf_symbols *symbols;
	elf_symbols_visit visit;
	void *context;
};

static bool visit_filled(void *context, const struct elf_symbol *symbol)
{
	struct visiting *visiting = context;
	struct strobe_symbol filled;
	elf_symbols_fill(visiting->module, visiting->symbols, symbol, &filled);
	return visiting->visit(visiting->context, &filled);
}

bool elf_symbols_for_each(struct symbols_module *module, const char *exact,
			  elf_symbols_filter filter, elf_symbols_visit visit, void *context)
{
	struct visiting visiting = {module, loaded(module), visit, context};
	if (!visiting.symbols)
		return true;
	if (exact)
		return visit_exact(visiting.symbols, exact, visit_filled, &visiting);
	for (size_t i = 0; i < visiting.symbols->symbols.count; i++) {
		const struct elf_symbol *symbol = &visiting.symbols->symbols.items[i];
		const char *name = elf_symbol_name(visiting.symbols, symbol);
		if (filter(context, name, bare_size(name)) && !visit_filled(&visiting, symbol))
			return false;
	}
	return true;
}
