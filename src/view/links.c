// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <string.h>

#include "elf/elf_image.h"
#include "view/build.h"
#include "view/view.h"

// The dynamic loader's own list of what it loaded (struct r_debug and link_map of <link.h>):
// names modules where the source does not list the mapped files.

enum { MAX_LINKS = 65536, MAX_DYNAMIC = 4096, MAX_HEADERS = 4096, MAX_PATH = 4096 };

/** A word of the target at `index` words behind `address`. */
static bool read_word(const struct strobe_view *view, uint64_t address, unsigned index,
		      uint64_t *ret)
{
	return view_read_unsigned(view, address + (uint64_t)index * view->word_bytes,
				  view->word_bytes, ret);
}

/** Address of the program's dynamic section, by its program headers in memory. */
static bool find_dynamic(const struct strobe_view *view, uint64_t *ret)
{
	uint64_t headers, count, dynamic = 0, own = 0;
	bool has_dynamic = false, has_own = false;
	if (!view_auxv_value(view, AT_PHDR, &headers) || !view_auxv_value(view, AT_PHNUM, &count))
		return false;
	bool wide = view->word_bytes == 8;
	size_t size = wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr);
	for (uint64_t i = 0; i < count && i < MAX_HEADERS; i++) {
		uint8_t bytes[sizeof(Elf64_Phdr)];
		Elf64_Phdr segment;
		if (strobe_memory_read(view, headers + i * size, bytes, size) != size)
			return false;
		elf_segment_decode(wide, bytes, &segment);
		if (segment.p_type == PT_DYNAMIC) {
			dynamic = segment.p_vaddr;
			has_dynamic = true;
		} else if (segment.p_type == PT_PHDR) {
			own = segment.p_vaddr;
			has_own = true;
		}
	}
	*ret = dynamic + (has_own ? headers - own : 0);
	return has_dynamic;
}

bool view_find_r_debug(const struct strobe_view *view, uint64_t *ret)
{
	uint64_t dynamic, tag;
	if (!find_dynamic(view, &dynamic))
		return false;
	for (unsigned i = 0; i < MAX_DYNAMIC; i++) {
		if (!read_word(view, dynamic, 2 * i, &tag) || tag == DT_NULL)
			return false;
		if (tag == DT_DEBUG)
			return read_word(view, dynamic, 2 * i + 1, ret) && *ret;
	}
	return false;
}

static bool find_list(const struct strobe_view *view, uint64_t *ret)
{
	uint64_t debug;
	return view_find_r_debug(view, &debug) &&
	       read_word(view, debug, 1, ret); // r_map, behind r_version
}

/** Names the module whose bias is `bias` and which holds the dynamic section at `dynamic`. */
static void name_module(struct strobe_view *view, uint64_t bias, uint64_t dynamic, const char *path)
{
	for (size_t i = 0; i < view->modules.count; i++) {
		struct strobe_module *module = &view->modules.items[i];
		if (module->bias != bias || *module->path || dynamic < module->start ||
		    dynamic >= module->end)
			continue;
		const char *slash = strrchr(path, '/');
		module->path = path;
		module->name = slash && slash[1] ? slash + 1 : path;
		for (size_t k = view_mapping_index(view, module->start);
		     k < view->mappings.count && view->mappings.items[k].start < module->end; k++) {
			// Where its pages lie in the file follows from its program headers.
			struct strobe_mapping *mapping = &view->mappings.items[k];
			const struct module_state *state = &view->module_states.items[i];
			for (size_t n = 0; n < state->segment_count; n++) {
				const Elf64_Phdr *load = &state->segments[n];
				uint64_t start = (load->p_vaddr + bias) & ~UINT64_C(4095);
				uint64_t end = load->p_vaddr + bias + load->p_filesz;
				if (mapping->path || mapping->start < start ||
				    mapping->start >= end)
					continue;
				mapping->path = path;
				mapping->offset_bytes = (load->p_offset & ~UINT64_C(4095)) +
							(mapping->start - start);
			}
		}
	}
}

struct strobe_error *view_follow_links(struct strobe_view *view)
{
	uint64_t link, bias, name, dynamic, next;
	if (view->files_listed || !find_list(view, &link))
		return NULL;
	for (unsigned i = 0; link && i < MAX_LINKS; i++, link = next) {
		// l_addr, l_name, l_ld, l_next
		if (!read_word(view, link, 0, &bias) || !read_word(view, link, 1, &name) ||
		    !read_word(view, link, 2, &dynamic) || !read_word(view, link, 3, &next))
			break;
		const char *path = view_read_string(view, name, MAX_PATH);
		uint64_t given;
		if (i == 0 && (!path || !*path) && view_auxv_value(view, AT_EXECFN, &given))
			path = view_read_string(view, given, MAX_PATH);
		if (path && *path)
			name_module(view, bias, dynamic, path);
	}
	return NULL;
}
