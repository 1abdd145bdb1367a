// SPDX-License-Identifier: Apache-2.0
#include "trace/module_view.h"

#include <elf.h>
#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "elf/elf_image.h"
#include "view/build.h"
#include "view/view.h"

enum {
	PAGE = 4096,
	MAX_MODULES = 8192,
	MAX_SEGMENTS = 256, // PT_LOADs of one module
};
static const uint64_t max_span = UINT64_C(1) << 47;

/** What the program headers of a place's file say. */
struct layout {
	Elf64_Phdr loads[MAX_SEGMENTS];
	size_t load_count;
	Elf64_Half type, machine;
	bool wide, has_interpreter;
	uint64_t bias, start, end, entry;
};

static uint64_t page_floor(uint64_t value)
{
	return value & ~(uint64_t)(PAGE - 1);
}

static uint64_t page_ceiling(uint64_t value)
{
	return page_floor(value + PAGE - 1);
}

/** The PT_LOADs of a file; NULL, or why they are of no use. */
static const char *read_loads(const struct file *file, struct layout *layout)
{
	struct elf_image image;
	const char *why;
	Elf64_Phdr segment;
	if (!elf_image_init(&image, file->data, file->size, &why))
		return why;
	layout->type = image.header.e_type;
	layout->machine = image.header.e_machine;
	layout->wide = image.wide;
	layout->entry = image.header.e_entry;
	for (uint32_t i = 0; elf_image_segment(&image, i, &segment); i++) {
		layout->has_interpreter |= segment.p_type == PT_INTERP;
		if (segment.p_type != PT_LOAD || !segment.p_memsz)
			continue;
		if (segment.p_vaddr + segment.p_memsz + PAGE < segment.p_vaddr)
			return "an ELF file with a segment beyond the address space";
		if (layout->load_count == MAX_SEGMENTS)
			return "an ELF file with more segments than are believed";
		if (segment.p_filesz > segment.p_memsz)
			segment.p_filesz = segment.p_memsz;
		layout->loads[layout->load_count++] = segment;
	}
	return layout->load_count ? NULL : "an ELF file that maps nothing";
}

/** The segment that a mapping of `offset` belongs to: of two on one page, the executable one. */
static const Elf64_Phdr *segment_of(const struct layout *layout, uint64_t offset)
{
	const Elf64_Phdr *found = NULL;
	for (size_t i = 0; i < layout->load_count; i++) {
		const Elf64_Phdr *load = &layout->loads[i];
		if (offset < page_floor(load->p_offset) ||
		    offset >= page_ceiling(load->p_offset + load->p_filesz))
			continue;
		if (!found || load->p_flags & PF_X)
			found = load;
	}
	return found;
}

/** Where the file lies in memory; NULL, or why that cannot be. */
static const char *place_layout(struct layout *layout, const struct module_place *place)
{
	const Elf64_Phdr *anchor =
		place->size ? segment_of(layout, place->offset) : &layout->loads[0];
	if (!anchor)
		return "mapped from a place in it that is in no segment";
	layout->bias = place->start - anchor->p_vaddr;
	if (place->size)
		layout->bias += anchor->p_offset - place->offset;
	uint64_t low = UINT64_MAX, high = 0;
	for (size_t i = 0; i < layout->load_count; i++) {
		uint64_t start = layout->loads[i].p_vaddr;
		uint64_t end = page_ceiling(start + layout->loads[i].p_memsz);
		low = page_floor(start) < low ? page_floor(start) : low;
		high = end > high ? end : high;
	}
	layout->start = low + layout->bias;
	layout->end = high + layout->bias;
	return high - low > max_span || layout->start >= layout->end ? "spread too wide" : NULL;
}

static struct strobe_error *add_areas(struct strobe_view *view, const struct layout *layout,
				      const char *path)
{
	for (size_t i = 0; i < layout->load_count; i++) {
		const Elf64_Phdr *load = &layout->loads[i];
		// What shares a page with it in the file is in memory, too.
		uint64_t lead =
			load->p_vaddr % PAGE == load->p_offset % PAGE ? load->p_vaddr % PAGE : 0;
		uint64_t start = load->p_vaddr - lead + layout->bias;
		uint64_t middle = page_ceiling(load->p_vaddr + load->p_filesz) + layout->bias;
		struct area file = {.start = start,
				    .end = load->p_filesz ? middle : start,
				    .permissions = load->p_flags & (PF_X | PF_W | PF_R),
				    .offset_bytes = load->p_offset - lead,
				    .path = path};
		struct area zeros = {.start = file.end,
				     .end = page_ceiling(load->p_vaddr + load->p_memsz) +
					    layout->bias,
				     .permissions = file.permissions};
		if ((file.start < file.end && !array_push(&view->areas, file)) ||
		    (zeros.start < zeros.end && !array_push(&view->areas, zeros)))
			return error_no_memory();
	}
	return NULL;
}

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

static struct strobe_error *push_module(struct strobe_view *view, const char *path,
					const char *build_id, const struct layout *layout)
{
	struct module_state state = {.backing = SIZE_MAX, .segment_count = layout->load_count};
	struct strobe_module module = {.path = path,
				       .name = last_component(path),
				       .start = layout->start,
				       .end = layout->end,
				       .bias = layout->bias,
				       .build_id = build_id};
	size_t size = layout->load_count * sizeof(Elf64_Phdr);
	state.segments = arena_alloc(&view->arena, size ? size : 1);
	if (!state.segments)
		return error_no_memory();
	memcpy(state.segments, layout->loads, size);
	if (!array_push(&view->modules, module) || !array_push(&view->module_states, state))
		return error_no_memory();
	return NULL;
}

/** The module that is in the way of `layout`; NULL if none is. */
static const struct strobe_module *overlapped(const struct strobe_view *view,
					      const struct layout *layout)
{
	for (size_t i = 0; i < view->modules.count; i++) {
		const struct strobe_module *module = &view->modules.items[i];
		if (layout->start < module->end && module->start < layout->end)
			return module;
	}
	return NULL;
}

/** The machine is that of the first file, the program the first that looks like one. */
static struct strobe_error *note_program(struct strobe_view *view, const char *path,
					 const struct layout *layout)
{
	struct auxv_entry entry = {AT_ENTRY, layout->entry + layout->bias};
	if (!view->info.machine) {
		view->is_x86_64 = layout->machine == EM_X86_64 && layout->wide;
		view->word_bytes = layout->wide ? 8 : 4;
		view->info.machine = elf_machine_name(layout->machine);
	}
	if (view->info.executable || !(layout->type == ET_EXEC || layout->has_interpreter))
		return NULL;
	view->info.executable = path;
	return array_push(&view->auxv, entry) ? NULL : error_no_memory();
}

/** A stretch of a file of which nothing is known but that it was mapped there. */
static struct strobe_error *add_bare(struct strobe_view *view, const struct module_place *place,
				     const char *path)
{
	uint64_t size = place->size ? place->size : PAGE;
	if (size > UINT64_MAX - place->start)
		size = UINT64_MAX - place->start;
	struct layout layout = {.start = place->start,
				.end = place->start + size,
				.bias = place->start - place->offset};
	struct area area = {.start = place->start,
			    .end = place->start + size,
			    .permissions = STROBE_PERMISSION_READ | STROBE_PERMISSION_EXECUTE,
			    .offset_bytes = place->offset,
			    .path = path};
	const struct strobe_module *other = overlapped(view, &layout);
	if (other && strcmp(other->path, path) != 0)
		view_warn(view, "%s: at 0x%" PRIx64 " where %s is: left out", path, place->start,
			  other->path);
	if (other || !size)
		return NULL;
	if (!array_push(&view->areas, area))
		return error_no_memory();
	return push_module(view, path, place->build_id, &layout);
}

/** The file of a place, with the same checks as when it is opened later; NULL without one. */
static struct strobe_error *find_file(struct strobe_view *view, const struct module_place *place,
				      const char *path, struct file **ret)
{
	bool unchecked;
	char *problem = NULL;
	// Without a size, the file alone tells where it ends: then it is worth asking a server.
	bool ask = !place->size && place->build_id && files_ask_servers(view->files);
	struct strobe_error *error = (ask ? files_find_executable : files_find_local)(
		view->files, path, place->build_id, ret, &unchecked, &problem);
	if (!error && !*ret)
		view_warn(view, "%s: %s", path, problem ? problem : "not found");
	free(problem);
	return error;
}

static struct strobe_error *add_file(struct strobe_view *view, const struct module_place *place,
				     const char *path, const struct file *file)
{
	struct layout layout = {0};
	char id[ELF_BUILD_ID_TEXT];
	const char *why = read_loads(file, &layout);
	if (!why)
		why = place_layout(&layout, place);
	if (why) {
		view_warn(view, "%s: %s is %s", path, file->path, why);
		return add_bare(view, place, path);
	}
	const struct strobe_module *other = overlapped(view, &layout);
	if (other && other->bias == layout.bias && strcmp(other->path, path) == 0)
		return NULL; // another segment of it
	if (other) {
		view_warn(view, "%s: at 0x%" PRIx64 " where %s is: left out", path, layout.start,
			  other->path);
		return NULL;
	}
	struct elf_image image;
	const char *build_id = place->build_id;
	if (!build_id && elf_image_init(&image, file->data, file->size, &why) &&
	    elf_image_build_id(&image, id)) {
		if (!place->file)
			view_warn(view,
				  "%s: used as it is on disk: no build id is known to check "
				  "it by",
				  path);
		build_id = arena_strdup(&view->arena, id);
		if (!build_id)
			return error_no_memory();
	}
	struct strobe_error *error = add_areas(view, &layout, path);
	if (!error)
		error = note_program(view, path, &layout);
	return error ? error : push_module(view, path, build_id, &layout);
}

static struct strobe_error *add_place(struct strobe_view *view, const struct module_place *place)
{
	struct file *file = NULL;
	const char *path = arena_strdup(&view->arena, place->path);
	struct module_place own = *place;
	if (!path)
		return error_no_memory();
	if (place->build_id && !(own.build_id = arena_strdup(&view->arena, place->build_id)))
		return error_no_memory();
	struct strobe_error *error = find_file(view, &own, path, &file);
	if (!error)
		error = file ? add_file(view, &own, path, file) : add_bare(view, &own, path);
	file_close(file);
	return error;
}

/** Where the files of the places are: found before any by the same name on this machine. */
struct given_files {
	struct files_embedded *list;
	const char **files;
	size_t count;
};

static struct strobe_error *open_given(void *context, size_t index, struct file **ret)
{
	const struct given_files *given = context;
	return file_open(given->files[index], ret);
}

static struct strobe_error *offer_files(struct strobe_view *view, const struct module_place *places,
					size_t count)
{
	struct arena *arena = &view->arena;
	struct given_files *given = arena_alloc(arena, sizeof(*given));
	if (!given)
		return error_no_memory();
	given->list = arena_alloc(arena, (count + 1) * sizeof(*given->list));
	given->files = arena_alloc(arena, (count + 1) * sizeof(*given->files));
	if (!given->list || !given->files)
		return error_no_memory();
	for (size_t i = 0; i < count; i++) {
		struct files_embedded *one = &given->list[given->count];
		if (!places[i].file)
			continue;
		*one = (struct files_embedded){
			.kind = FILES_EXECUTABLE,
			.build_id = arena_strdup(arena, places[i].build_id),
			.path = arena_strdup(arena, places[i].path),
		};
		given->files[given->count] = arena_strdup(arena, places[i].file);
		if (!one->path || !given->files[given->count] ||
		    (places[i].build_id && !one->build_id))
			return error_no_memory();
		given->count++;
	}
	files_set_embedded(view->files, given->list, given->count, open_given, given);
	return NULL;
}

static struct strobe_error *add_memory(struct strobe_view *view, const struct memory_place *memory)
{
	bool is_vdso = memory->name && strcmp(memory->name, "[vdso]") == 0;
	struct auxv_entry entry = {AT_SYSINFO_EHDR, memory->start};
	uint64_t size = memory->size;
	if (size > UINT64_MAX - memory->start)
		size = UINT64_MAX - memory->start;
	if (!size)
		return NULL;
	struct segment segment = {
		.start = memory->start, .end = memory->start + size, .data = memory->data};
	struct area area = {.start = memory->start,
			    .end = memory->start + size,
			    .permissions = STROBE_PERMISSION_READ | STROBE_PERMISSION_EXECUTE,
			    .path = arena_strdup(&view->arena, memory->name)};
	struct layout layout = {.start = segment.start, .end = segment.end};
	bool covered = overlapped(view, &layout) != NULL; // part of a module, as it was in memory
	if ((memory->name && !area.path) || !array_push(&view->segments, segment) ||
	    (!covered && !array_push(&view->areas, area)) ||
	    (is_vdso && !array_push(&view->auxv, entry)))
		return error_no_memory();
	return NULL;
}

static struct strobe_error *fill(struct strobe_view *view, const struct module_place *modules,
				 size_t module_count, const struct memory_place *memory,
				 size_t memory_count)
{
	if (module_count > MAX_MODULES) {
		view_warn(view, "%zu modules: more than the %d that are believed", module_count,
			  MAX_MODULES);
		module_count = MAX_MODULES;
	}
	struct strobe_error *error = offer_files(view, modules, module_count);
	for (size_t i = 0; !error && i < module_count; i++)
		error = add_place(view, &modules[i]);
	for (size_t i = 0; !error && i < memory_count; i++)
		error = add_memory(view, &memory[i]);
	if (!view->info.machine) { // nothing says so: the only kind that is traced
		view->info.machine = "x86_64";
		view->is_x86_64 = true;
	}
	return error ? error : view_finish(view);
}

struct strobe_error *module_view_new(int pid, const struct module_place *modules,
				     size_t module_count, const struct memory_place *memory,
				     size_t memory_count, const struct strobe_view_options *options,
				     struct strobe_view **ret)
{
	struct strobe_view *view;
	struct strobe_error *error = view_new(options, &view);
	if (error)
		return error;
	view->info.pid = pid;
	view->info.source_kind = "trace";
	view->parts_dumped = true;
	view->not_held = "not recorded";
	error = fill(view, modules, module_count, memory, memory_count);
	if (error)
		strobe_view_close(view);
	else
		*ret = view;
	return error;
}
