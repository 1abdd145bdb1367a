// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/text.h"
#include "bundle/write.h"
#include "view/build.h"
#include "view/view.h"

enum { MAX_MEMORY = 1 << 28 }; // bytes of one mapping that no file has

struct module_list {
	struct bundle_writing *writing;
	json_t *modules;
	struct hash names; // of files in the bundle -> anything
	unsigned renamed;
};

uint64_t bundle_module_bytes(const struct bundle_writing *writing)
{
	uint64_t bytes = 0;
	for (size_t i = 0;
	     !writing->reference_modules && i < strobe_view_module_count(writing->view); i++) {
		const struct file *file = view_module_file(writing->view, i);
		bytes += file ? file->size : 0;
	}
	return bytes;
}

/** "modules/opt/app/libfoo.so" for "/opt/app/libfoo.so"; no way leads out of the folder. */
static struct strobe_error *name_file(struct module_list *list, const char *path, struct text *ret)
{
	text_append(ret, "modules");
	for (const char *at = path; *at;) {
		size_t length = strcspn(at, "/");
		bool dots = (length == 1 || length == 2) && strspn(at, ".") >= length;
		if (length) {
			text_append_char(ret, '/');
			for (size_t i = 0; i < length; i++)
				text_append_char(ret, dots || at[i] < ' ' ? '_' : at[i]);
		}
		at += length + (at[length] == '/');
	}
	uint64_t key = hash_bytes(text_string(ret), ret->size);
	if (hash_get(&list->names, key))
		text_printf(ret, ".%u", ++list->renamed);
	if (ret->failed || !hash_put(&list->names, hash_bytes(text_string(ret), ret->size), list))
		return error_no_memory();
	return NULL;
}

static struct strobe_error *write_file(struct module_list *list, const char *name,
				       const void *bytes, uint64_t size)
{
	struct folder *folder = &list->writing->folder;
	int fd;
	struct strobe_error *error = folder_open(folder, name, &fd);
	if (error)
		return error;
	error = folder_write(folder, fd, bytes, size);
	struct strobe_error *closed = folder_close(folder, fd);
	if (error)
		strobe_error_free(closed);
	return error ? error : closed;
}

static bool set(json_t *object, const char *key, json_t *value)
{
	return json_object_set_new(object, key, value) == 0;
}

/** LLDB wants a module to lie where the first byte of its first segment is. */
static uint64_t load_address(const struct strobe_view *view, size_t index)
{
	const struct module_state *state = &view->module_states.items[index];
	const struct strobe_module *module = &view->modules.items[index];
	return state->segment_count ? state->segments[0].p_vaddr + module->bias : module->start;
}

static struct strobe_error *add_item(struct module_list *list, const char *system_path,
				     const char *file, uint64_t address, const char *build_id)
{
	char text[32];
	json_t *item = json_object();
	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	bool good = set(item, "systemPath", bundle_json_string(system_path)) &&
		    set(item, "file", bundle_json_string(file)) &&
		    set(item, "loadAddress", json_string(text));
	if (build_id)
		good = good && set(item, "uuid", json_string(build_id));
	list->writing->saved->module_count++;
	return json_array_append_new(list->modules, item) == 0 && good ? NULL : error_no_memory();
}

static struct strobe_error *write_copy(struct module_list *list, const char *path,
				       const void *bytes, uint64_t size, uint64_t address,
				       const char *build_id)
{
	struct text name cleanup_text = {0};
	struct strobe_error *error = name_file(list, path, &name);
	if (!error)
		error = write_file(list, text_string(&name), bytes, size);
	return error ? error : add_item(list, path, text_string(&name), address, build_id);
}

/** The kernel's own image has no file: its bytes are one. */
static struct strobe_error *write_vdso(struct module_list *list, const struct strobe_module *module)
{
	uint64_t size = module->end - module->start;
	uint8_t *bytes = size <= MAX_MEMORY ? malloc(size) : NULL;
	if (!bytes)
		return size <= MAX_MEMORY ? error_no_memory() : NULL;
	size_t got = strobe_memory_read(list->writing->view, module->start, bytes, size);
	struct strobe_error *error = NULL;
	if (got)
		error = write_copy(list, "[vdso]", bytes, got, module->start, module->build_id);
	free(bytes);
	return error;
}

static struct strobe_error *write_module(struct module_list *list, size_t index)
{
	const struct strobe_view *view = list->writing->view;
	const struct file *file = view_module_file(view, index);
	const struct strobe_module *module = strobe_view_module(view, index);
	if (module->path && strcmp(module->path, "[vdso]") == 0)
		return write_vdso(list, module);
	if (!file) {
		list->writing->saved->module_missing_count++;
		return NULL;
	}
	uint64_t address = load_address(view, index);
	if (!list->writing->reference_modules)
		return write_copy(list, module->path, file->data, file->size, address,
				  module->build_id);
	char *whole = realpath(file->path, NULL);
	if (!whole)
		return error_no_memory();
	struct strobe_error *error = add_item(list, module->path, whole, address, module->build_id);
	free(whole);
	return error;
}

/** Code that no file has (made at run time) becomes a file with one segment. */
static struct strobe_error *write_memory(struct module_list *list,
					 const struct strobe_mapping *mapping)
{
	const struct strobe_view *view = list->writing->view;
	struct {
		Elf64_Ehdr header;
		Elf64_Phdr segment;
	} head = {0};
	uint64_t size = mapping->end - mapping->start;
	char path[64];
	if (size > MAX_MEMORY)
		return NULL;
	uint8_t *bytes = malloc(sizeof(head) + size);
	if (!bytes)
		return error_no_memory();
	size_t got = strobe_memory_read(view, mapping->start, bytes + sizeof(head), size);
	memcpy(head.header.e_ident, ELFMAG, SELFMAG);
	head.header.e_ident[EI_CLASS] = ELFCLASS64;
	head.header.e_ident[EI_DATA] = ELFDATA2LSB;
	head.header.e_ident[EI_VERSION] = EV_CURRENT;
	head.header.e_type = ET_EXEC;
	head.header.e_machine = EM_X86_64;
	head.header.e_version = EV_CURRENT;
	head.header.e_phoff = offsetof(__typeof__(head), segment);
	head.header.e_ehsize = sizeof(head.header);
	head.header.e_phentsize = sizeof(head.segment);
	head.header.e_phnum = 1;
	head.segment.p_type = PT_LOAD;
	head.segment.p_flags = PF_R | PF_X;
	head.segment.p_offset = sizeof(head);
	head.segment.p_vaddr = head.segment.p_paddr = mapping->start;
	head.segment.p_filesz = head.segment.p_memsz = got;
	head.segment.p_align = 1;
	memcpy(bytes, &head, sizeof(head));
	snprintf(path, sizeof(path), "/memory/%" PRIx64, mapping->start);
	struct strobe_error *error = NULL;
	if (got)
		error = write_copy(list, path, bytes, sizeof(head) + got, mapping->start, NULL);
	free(bytes);
	return error;
}

static struct strobe_error *write_list(struct module_list *list)
{
	const struct strobe_view *view = list->writing->view;
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < strobe_view_module_count(view); i++)
		error = write_module(list, i);
	for (size_t i = 0; !error && i < strobe_view_mapping_count(view); i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(view, i);
		if (mapping->module_index == SIZE_MAX && mapping->present_bytes &&
		    mapping->permissions & STROBE_PERMISSION_EXECUTE)
			error = write_memory(list, mapping);
	}
	return error;
}

struct strobe_error *bundle_write_modules(struct bundle_writing *writing, json_t **ret)
{
	struct module_list list = {.writing = writing, .modules = json_array()};
	if (!list.modules)
		return error_no_memory();
	struct strobe_error *error = write_list(&list);
	hash_fini(&list.names);
	if (error)
		json_decref(list.modules);
	else
		*ret = list.modules;
	return error;
}
