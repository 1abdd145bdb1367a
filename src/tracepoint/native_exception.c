// SPDX-License-Identifier: Apache-2.0
#include "tracepoint/native_exception.h"

#include <stdlib.h>
#include <string.h>
#include <strobe/memory.h>

#include "symbols/demangle.h"
#include "tracepoint/native.h"

/** Named limits: classes above one; bytes of a name or a text. */
enum { BASES_MAX = 32, TEXT_MAX = 1024, SYMBOLS_MAX = 16 };
/** Of struct _Unwind_Exception, struct __cxa_exception (libstdc++ and libc++abi: its end is the same), from the header on. */
enum { HEADER_PRIVATE_2 = 24, HEADER_SIZE = 32, HEADER_TYPE = -80, OBJECT_TYPE = -112 };
/** Classes of exceptions: vendor and language; the last byte is 1 if it is another one's dependent. */
#define CLASS_GNU UINT64_C(0x474e5543432b2b00)
#define CLASS_CLANG UINT64_C(0x434c4e47432b2b00)
#define CLASS_RUST UINT64_C(0x4d4f5a0052555354)

static bool take_symbol(void *context, const struct strobe_symbol *symbol)
{
	struct native_addresses *list = context;
	bool code = symbol->type && strcmp(symbol->type, "function") == 0 && symbol->address;
	for (size_t i = 0; i < list->count; i++)
		code &= list->items[i] != symbol->address;
	if (code)
		list->items[list->count++] = symbol->address;
	return list->count < SYMBOLS_MAX;
}

static void find(struct native_program *program, struct native_addresses *list,
		 const char *const *names)
{
	if (list->known)
		return;
	list->known = true;
	list->count = 0;
	if (!list->items && !(list->items = calloc(SYMBOLS_MAX, sizeof(*list->items))))
		return;
	for (; *names && list->count < SYMBOLS_MAX; names++)
		strobe_error_free(strobe_symbols_find(program->symbols, STROBE_MATCH_EXACT, *names,
						      NULL, take_symbol, list));
}

const uint64_t *native_personalities(struct native_program *program, size_t *count)
{
	static const char *const names[] = {"__gxx_personality_v0", "rust_eh_personality", NULL};
	find(program, &program->personalities, names);
	*count = program->personalities.count;
	return program->personalities.items;
}

const uint64_t *native_raisers(struct native_program *program, size_t *count)
{
	static const char *const names[] = {"_Unwind_RaiseException", "_Unwind_Resume_or_Rethrow",
					    NULL};
	find(program, &program->raisers, names);
	*count = program->raisers.count;
	return program->raisers.items;
}

static bool read_word(const struct native_program *program, uint64_t address, uint64_t *ret)
{
	return strobe_memory_read(program->view, address, ret, sizeof(*ret)) == sizeof(*ret);
}

/** Text up to its NUL; NULL if there is none that can be read. */
static const char *read_string(const struct native_program *program, uint64_t address,
			       struct arena *arena)
{
	char text[TEXT_MAX];
	size_t size = address ? strobe_memory_read(program->view, address, text, sizeof(text)) : 0;
	size_t end = strnlen(text, size);
	return size && (end < size || size == sizeof(text)) ? arena_copy_string(arena, text, end)
							    : NULL;
}

/** The mangled name in a std::type_info. */
static const char *name_of(const struct native_program *program, uint64_t type, struct arena *arena)
{
	uint64_t name;
	const char *text = type && read_word(program, type + 8, &name)
				   ? read_string(program, name, arena)
				   : NULL;
	return text && *text == '*' ? text + 1 : text; // of a type that is local to a unit
}

/** Its bases: [first], or several. How many were written to `ret`. */
static size_t bases_of(struct native_program *program, uint64_t type, uint64_t *ret, size_t room)
{
	uint64_t vtable, count;
	struct strobe_symbol symbol;
	if (!read_word(program, type, &vtable) ||
	    !strobe_symbol_at(program->symbols, vtable, &symbol) || !symbol.name)
		return 0;
	if (strstr(symbol.name, "__si_class_type_info"))
		return room && read_word(program, type + 16, ret) ? 1 : 0;
	if (!strstr(symbol.name, "__vmi_class_type_info") || !read_word(program, type + 16, &count))
		return 0;
	count >>= 32; // behind its flags
	size_t done = 0;
	while (done < count && done < room && read_word(program, type + 24 + 16 * done, &ret[done]))
		done++;
	return done;
}

/** Is the class std::runtime_error or std::logic_error, or does it come from one? They have their text behind the virtual table, in
 *  both libraries. (Of several bases these are first as a rule; a text that is none is no string, or a wrong one.) */
static bool has_text(struct native_program *program, uint64_t type, const char *type_name,
		     struct arena *arena)
{
	uint64_t queue[BASES_MAX] = {type}, parts[2] = {type, 0};
	size_t count = 1;
	parts[1] = hash_bytes(type_name, strlen(type_name));
	uint64_t key = hash_bytes(parts, sizeof(parts));
	bool found = hash_get(&program->with_text, key) != NULL; // seen while the process lived
	for (size_t i = 0; i < count && !found; i++) {
		const char *name = name_of(program, queue[i], arena);
		found = name && (strcmp(name, "St13runtime_error") == 0 ||
				 strcmp(name, "St11logic_error") == 0);
		count += bases_of(program, queue[i], queue + count, BASES_MAX - count);
	}
	if (found)
		(void)hash_put(&program->with_text, key, program);
	return found;
}

static const char *text_of(struct native_program *program, const struct native_exception *exception,
			   const char *name, struct arena *arena)
{
	uint64_t text;
	if (strcmp(name, "PKc") == 0 || strcmp(name, "Pc") == 0)
		return read_word(program, exception->object, &text)
			       ? read_string(program, text, arena)
			       : NULL;
	return has_text(program, exception->type, name, arena) &&
			       read_word(program, exception->object + 8, &text)
		       ? read_string(program, text, arena)
		       : NULL;
}

/** "shop::Refused" of "N4shop7RefusedE". */
static const char *demangled(const char *name, struct arena *arena)
{
	static const char prefix[] = "typeinfo name for ";
	const char *symbol = arena_printf(arena, "_ZTS%s", name);
	char *shown = symbol ? demangle(symbol) : NULL;
	bool good = shown && strncmp(shown, prefix, sizeof(prefix) - 1) == 0;
	const char *ret = arena_strdup(arena, good ? shown + sizeof(prefix) - 1 : name);
	free(shown);
	return ret;
}

bool native_exception_read(struct native_program *program, const struct user_regs_struct *regs,
			   struct arena *arena, struct native_exception *ret)
{
	enum { CLEANUP_PHASE = 2, FORCE_UNWIND = 8 };
	uint64_t class;
	*ret = (struct native_exception){.header = regs->rcx, .type_name = "exception"};
	if (((uint32_t)regs->rsi & (CLEANUP_PHASE | FORCE_UNWIND)) != CLEANUP_PHASE ||
	    !read_word(program, ret->header, &class) ||
	    !read_word(program, ret->header + HEADER_PRIVATE_2, &ret->to))
		return false;
	if (class == CLASS_RUST)
		ret->type_name = "panic";
	if ((class & ~UINT64_C(1)) != CLASS_GNU && (class & ~UINT64_C(1)) != CLASS_CLANG)
		return true;
	ret->object = ret->header + HEADER_SIZE;
	bool found = class & 1 ? read_word(program, ret->header + HEADER_TYPE, &ret->object) &&
					 read_word(program, ret->object + OBJECT_TYPE, &ret->type)
			       : read_word(program, ret->header + HEADER_TYPE, &ret->type);
	const char *name = found ? name_of(program, ret->type, arena) : NULL;
	struct strobe_symbol symbol;
	if (!name && found && strobe_symbol_at(program->symbols, ret->type, &symbol) &&
	    symbol.linkage_name && strncmp(symbol.linkage_name, "_ZTI", 4) == 0)
		name = symbol.linkage_name + 4; // its memory is gone
	if (!name) {
		ret->object = 0;
		return true;
	}
	ret->what = text_of(program, ret, name, arena);
	ret->type_name = demangled(name, arena);
	return ret->type_name != NULL;
}
