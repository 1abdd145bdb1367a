// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "elf/elf_image.h"
#include "view/build.h"
#include "view/view.h"

// The ELF files among the mappings: where each lies, and which one it is.

enum {
	PAGE = 4096,
	MAX_SEGMENTS = 256,	// PT_LOADs of one module
	MAX_NOTES = 64 * 1024,	// bytes of one PT_NOTE
	MAX_FILES_TRIED = 4096, // files opened to see whether they are ELF files
};
static const uint64_t max_span = UINT64_C(1) << 47;

static uint64_t page_floor(uint64_t value)
{
	return value & ~(uint64_t)(PAGE - 1);
}

/** A module found, before it is believed. */
struct candidate {
	struct elf_image image;
	uint64_t bias, start, end;
	Elf64_Phdr loads[MAX_SEGMENTS];
	size_t load_count;
};

/** Reads the PT_LOADs of an ELF header that lies at `start` in memory. */
static bool read_layout(struct candidate *candidate, uint64_t start)
{
	uint64_t low = UINT64_MAX, high = 0;
	bool anchored = false;
	Elf64_Phdr segment;
	candidate->load_count = 0;
	for (uint32_t i = 0; elf_image_segment(&candidate->image, i, &segment); i++) {
		if (segment.p_type != PT_LOAD || !segment.p_memsz)
			continue;
		uint64_t end = segment.p_vaddr + segment.p_memsz;
		if (end < segment.p_vaddr || candidate->load_count == MAX_SEGMENTS)
			return false;
		if (!anchored && page_floor(segment.p_offset) == 0) {
			candidate->bias = start - page_floor(segment.p_vaddr);
			anchored = true;
		}
		if (page_floor(segment.p_vaddr) < low)
			low = page_floor(segment.p_vaddr);
		if (end > high)
			high = end;
		candidate->loads[candidate->load_count++] = segment;
	}
	if (!anchored || high - low > max_span)
		return false;
	candidate->start = low + candidate->bias;
	candidate->end = page_floor(high + PAGE - 1) + candidate->bias;
	return candidate->start < candidate->end && candidate->start <= start &&
	       start < candidate->end;
}

/** True if the PT_LOAD is mapped where it should be. */
static bool lies_in_place(const struct strobe_view *view, const struct candidate *candidate,
			  const Elf64_Phdr *load, const char *path)
{
	uint64_t address = page_floor(load->p_vaddr) + candidate->bias;
	size_t index = view_mapping_index(view, address);
	if (index == SIZE_MAX)
		return false;
	const struct strobe_mapping *mapping = &view->mappings.items[index];
	// A file mapped whole to be read as data has its code in place too, but not executable.
	bool known = !view->mapping_states.items[index].permissions_guessed;
	if (known && load->p_flags & PF_X && !(mapping->permissions & STROBE_PERMISSION_EXECUTE))
		return false;
	if (!path) // no list of files: permissions are all there is to compare
		return true;
	return mapping->path && strcmp(mapping->path, path) == 0 &&
	       mapping->offset_bytes + (address - mapping->start) == page_floor(load->p_offset);
}

/** Loaded, and not merely mapped to be read as data? */
static bool is_loaded(const struct strobe_view *view, const struct candidate *candidate,
		      const char *path)
{
	bool has_code = false, in_place = true;
	for (size_t i = 0; i < candidate->load_count; i++) {
		const Elf64_Phdr *load = &candidate->loads[i];
		bool code = load->p_flags & PF_X;
		if (code && lies_in_place(view, candidate, load, path))
			return true;
		has_code |= code;
		in_place = in_place && lies_in_place(view, candidate, load, path);
	}
	return !has_code && in_place;
}

/** The build id as memory has it; NULL if its note is not in the source. */
static const char *build_id_in_memory(struct strobe_view *view, const struct candidate *candidate)
{
	Elf64_Phdr segment;
	char id[ELF_BUILD_ID_TEXT];
	for (uint32_t i = 0; elf_image_segment(&candidate->image, i, &segment); i++) {
		size_t available;
		if (segment.p_type != PT_NOTE)
			continue;
		const uint8_t *notes =
			view_source_pointer(view, segment.p_vaddr + candidate->bias, &available);
		uint64_t size = segment.p_filesz < available ? segment.p_filesz : available;
		if (notes && size <= MAX_NOTES &&
		    elf_notes_build_id(notes, size, segment.p_align, id))
			return arena_strdup(&view->arena, id);
	}
	return NULL;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

/** The path without the kernel's remark that the file is gone. */
static const char *plain_path(struct strobe_view *view, const char *path)
{
	static const char suffix[] = " (deleted)";
	size_t length = strlen(path), cut = sizeof(suffix) - 1;
	if (length > cut && strcmp(path + length - cut, suffix) == 0)
		return arena_copy_string(&view->arena, path, length - cut);
	return path;
}

static struct strobe_error *push_module(struct strobe_view *view, const char *path,
					const struct candidate *candidate, bool header_present,
					const char *hint)
{
	bool special = path && *path == '[';
	struct module_state state = {.backing = SIZE_MAX, .header_present = header_present};
	struct strobe_module module = {
		.start = candidate->start,
		.end = candidate->end,
		.bias = candidate->bias,
		.build_id = header_present ? build_id_in_memory(view, candidate) : NULL,
	};
	if (!module.build_id)
		module.build_id = hint;
	module.path = path ? plain_path(view, path) : "";
	if (!module.path)
		return error_no_memory();
	module.name = special ? path : last_component(module.path);
	if (special)
		module.file_problem = "the kernel's own image, which has no file";
	state.segment_count = candidate->load_count;
	state.segments = arena_alloc(&view->arena, sizeof(Elf64_Phdr) * candidate->load_count);
	if (!state.segments)
		return error_no_memory();
	memcpy(state.segments, candidate->loads, sizeof(Elf64_Phdr) * candidate->load_count);
	if (!array_push(&view->modules, module) || !array_push(&view->module_states, state))
		return error_no_memory();
	return NULL;
}

static const char *hinted_build_id(const struct strobe_view *view, uint64_t start)
{
	for (size_t i = 0; i < view->hints.count; i++)
		if (view->hints.items[i].start == start)
			return view->hints.items[i].build_id;
	return NULL;
}

struct strobe_error *view_add_module(struct strobe_view *view, uint64_t start, const char *path,
				     bool certain, size_t *ret)
{
	struct candidate candidate;
	struct file *file = NULL;
	struct strobe_error *error = NULL;
	const char *why;
	size_t available;
	*ret = SIZE_MAX;
	const char *hint = hinted_build_id(view, start);
	const uint8_t *bytes = view_source_pointer(view, start, &available);
	bool header_present = bytes != NULL;
	if (!bytes && path && *path == '/') {
		bool unchecked;
		error = files_find_local(view->files, path, hint, &file, &unchecked, NULL);
		if (error || !file)
			return error;
		bytes = file->data;
		available = file->size;
	}
	if (bytes && elf_image_init(&candidate.image, bytes, available, &why) &&
	    read_layout(&candidate, start) && (certain || is_loaded(view, &candidate, path))) {
		error = push_module(view, path, &candidate, header_present, hint);
		if (!error)
			*ret = view->modules.count - 1;
	}
	file_close(file);
	return error;
}

/** Mapped files without a list of them: every header in memory that holds together. */
static bool worth_a_look(const struct strobe_view *view, const struct strobe_mapping *mapping)
{
	if (view->files_listed)
		return mapping->path && mapping->offset_bytes == 0;
	return !mapping->path && mapping->present_bytes >= sizeof(Elf64_Ehdr) &&
	       mapping->permissions & STROBE_PERMISSION_READ;
}

struct strobe_error *view_find_modules(struct strobe_view *view)
{
	uint64_t covered = 0, vdso = 0;
	const char *covered_path = NULL;
	unsigned tried = 0;
	size_t index;
	view_auxv_value(view, AT_SYSINFO_EHDR, &vdso);
	for (size_t i = 0; i < view->mappings.count; i++) {
		const struct strobe_mapping *mapping = &view->mappings.items[i];
		bool is_vdso = vdso && mapping->start == vdso;
		if (!is_vdso && !worth_a_look(view, mapping))
			continue;
		// Small programs map their first page more than once.
		bool same =
			mapping->path == covered_path ||
			(mapping->path && covered_path && strcmp(mapping->path, covered_path) == 0);
		if (mapping->start < covered && same)
			continue;
		if (!mapping->present_bytes && tried++ >= MAX_FILES_TRIED)
			continue;
		struct strobe_error *error = view_add_module(
			view, mapping->start, is_vdso ? "[vdso]" : mapping->path, is_vdso, &index);
		if (error)
			return error;
		if (index != SIZE_MAX) {
			covered = view->modules.items[index].end;
			covered_path = mapping->path;
		}
	}
	return NULL;
}

struct sortable {
	struct strobe_module module;
	struct module_state state;
};

static int order_modules(const void *a, const void *b)
{
	const struct sortable *x = a, *y = b;
	return x->module.start < y->module.start ? -1 : x->module.start > y->module.start;
}

static bool sort_modules(struct strobe_view *view)
{
	size_t count = view->modules.count;
	struct sortable *all = calloc(count + 1, sizeof(*all));
	if (!all)
		return false;
	for (size_t i = 0; i < count; i++)
		all[i] = (struct sortable){view->modules.items[i], view->module_states.items[i]};
	qsort(all, count, sizeof(*all), order_modules);
	for (size_t i = 0; i < count; i++) {
		view->modules.items[i] = all[i].module;
		view->module_states.items[i] = all[i].state;
	}
	free(all);
	return true;
}

/** Does a PT_LOAD of module `index` reach `address`? Others may have mapped something between. */
static bool is_loaded_at(const struct strobe_view *view, size_t index, uint64_t address)
{
	const struct module_state *state = &view->module_states.items[index];
	uint64_t bias = view->modules.items[index].bias;
	for (size_t i = 0; i < state->segment_count; i++) {
		const Elf64_Phdr *load = &state->segments[i];
		if (address >= page_floor(load->p_vaddr) + bias &&
		    address < load->p_vaddr + load->p_memsz + bias)
			return true;
	}
	return false;
}

/** Gives the mappings that module `index` covers to it: its file's, and its zeroed data. */
static void claim_mappings(struct strobe_view *view, size_t index)
{
	struct strobe_module *module = &view->modules.items[index];
	size_t i = view_mapping_index(view, module->start);
	const char *path = i == SIZE_MAX ? NULL : view->mappings.items[i].path;
	for (; i < view->mappings.count && view->mappings.items[i].start < module->end; i++) {
		struct strobe_mapping *mapping = &view->mappings.items[i];
		bool ours = mapping->path && path ? strcmp(mapping->path, path) == 0
						  : is_loaded_at(view, index, mapping->start);
		if (ours && mapping->module_index == SIZE_MAX)
			mapping->module_index = index;
	}
}

/** One backing a module, and one for every other path. */
static bool make_backings(struct strobe_view *view)
{
	struct hash paths = {0};
	bool good = true;
	for (size_t i = 0; good && i < view->modules.count; i++) {
		const struct strobe_module *module = &view->modules.items[i];
		if (!*module->path || *module->path == '[')
			continue;
		view->module_states.items[i].backing = view->backings.count;
		good = array_push(&view->backings, (struct backing){.path = module->path,
								    .build_id = module->build_id,
								    .module_index = i});
	}
	for (size_t i = 0; good && i < view->mappings.count; i++) {
		const struct strobe_mapping *mapping = &view->mappings.items[i];
		size_t *backing = &view->mapping_states.items[i].backing;
		if (!mapping->path || *mapping->path == '[')
			continue;
		if (mapping->module_index != SIZE_MAX) {
			*backing = view->module_states.items[mapping->module_index].backing;
			continue;
		}
		uint64_t key = hash_bytes(mapping->path, strlen(mapping->path));
		size_t known = (size_t)(uintptr_t)hash_get(&paths, key);
		if (known && strcmp(view->backings.items[known - 1].path, mapping->path) == 0) {
			*backing = known - 1;
			continue;
		}
		*backing = view->backings.count;
		good = array_push(&view->backings, (struct backing){.path = mapping->path,
								    .module_index = SIZE_MAX}) &&
		       hash_put(&paths, key, (void *)(uintptr_t)view->backings.count);
	}
	hash_fini(&paths);
	return good;
}

/** Permissions that the source did not tell, from the program headers. */
static void guess_permissions(struct strobe_view *view)
{
	for (size_t i = 0; i < view->mappings.count; i++) {
		struct strobe_mapping *mapping = &view->mappings.items[i];
		if (!view->mapping_states.items[i].permissions_guessed ||
		    mapping->module_index == SIZE_MAX)
			continue;
		const struct module_state *state =
			&view->module_states.items[mapping->module_index];
		uint64_t bias = view->modules.items[mapping->module_index].bias;
		for (size_t k = 0; k < state->segment_count; k++) {
			const Elf64_Phdr *load = &state->segments[k];
			if (mapping->start >= page_floor(load->p_vaddr) + bias &&
			    mapping->start < load->p_vaddr + load->p_memsz + bias)
				mapping->permissions = load->p_flags & 7;
		}
	}
}

struct strobe_error *view_settle_modules(struct strobe_view *view)
{
	if (!sort_modules(view))
		return error_no_memory();
	for (size_t i = 0; i < view->modules.count; i++)
		claim_mappings(view, i);
	guess_permissions(view);
	return make_backings(view) ? NULL : error_no_memory();
}

bool view_module_data(const struct strobe_view *view, size_t module_index, size_t index,
		      uint64_t *start, uint64_t *end)
{
	const struct module_state *state = &view->module_states.items[module_index];
	uint64_t bias = view->modules.items[module_index].bias;
	for (size_t i = 0; i < state->segment_count; i++) {
		const Elf64_Phdr *segment = &state->segments[i];
		*start = segment->p_vaddr + bias;
		*end = *start + segment->p_memsz;
		// A damaged one may end below its start.
		if (segment->p_flags & PF_W && *start < *end && !index--)
			return true;
	}
	return false;
}
