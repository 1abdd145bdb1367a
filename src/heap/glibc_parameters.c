// SPDX-License-Identifier: Apache-2.0
// What is told once for all arenas: malloc_par, and the version.
#include "heap/glibc.h"

#include <stdio.h>
#include <string.h>

#include "view/view.h"

// Named limits: how much of a module is searched for its version.
enum { VERSION_LIMIT = 64 << 20, VERSION_SIZE = 16 };

/** Where members are. What stands in between is of no interest here. */
struct layout {
	unsigned huge_page; // hp_pagesize; 0 = there is none
	unsigned counts;    // n_mmaps, n_mmaps_max, max_n_mmaps, no_dyn_threshold: four bytes each
	unsigned mmapped; // mmapped_mem, max_mmapped_mem, sbrk_base, tcache_bins, tcache_max_bytes
	unsigned size;
};
static const struct layout layouts[] = {
	{48, 60, 80, 136}, // 2.35 to 2.42
	{0, 40, 56, 112},  // up to 2.34
	{56, 68, 88, 144}, // 2.43
};
enum {
	ARENA_TEST = 24,
	ARENA_MAX = 32,
	MAX_MMAPPED = 8,
	SBRK_BASE = 16,
	CACHE_BINS = 24,
	CACHE_MAX = 32
};

static uint64_t word(const uint8_t *bytes)
{
	uint64_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static int32_t number(const uint8_t *bytes)
{
	int32_t value;
	memcpy(&value, bytes, sizeof(value));
	return value;
}

static bool is_page_size(uint64_t value)
{
	return value == 0 ||
	       (value >= PAGE_SIZE && value <= UINT64_C(1) << 40 && (value & (value - 1)) == 0);
}

/** The sizes that thread caches take, and how many lists that makes, belong together. */
static bool caches_agree(uint64_t bins, uint64_t largest)
{
	uint64_t chunk = (largest + 8 + 15) & ~UINT64_C(15);
	if (largest > 4 << 20 || bins > 80)
		return false;
	if (chunk < CHUNK_MIN)
		chunk = CHUNK_MIN;
	return bins == (chunk - CHUNK_MIN) / 16 + 1 || (bins == 0 && largest == 0);
}

static bool counts_agree(const uint8_t *at, const struct layout *layout)
{
	int32_t count = number(at + layout->counts), limit = number(at + layout->counts + 4);
	int32_t most = number(at + layout->counts + 8), fixed = number(at + layout->counts + 12);
	uint64_t bytes = word(at + layout->mmapped);
	uint64_t most_bytes = word(at + layout->mmapped + MAX_MMAPPED);
	return count >= 0 && limit >= 0 && count <= most && (fixed == 0 || fixed == 1) &&
	       bytes <= most_bytes && bytes % PAGE_SIZE == 0 && most_bytes % PAGE_SIZE == 0 &&
	       bytes / PAGE_SIZE >= (uint64_t)count && (count == 0) == (bytes == 0) &&
	       (most == 0) == (most_bytes == 0);
}

/** How sure it is that malloc_par stands at `at`: 0 = it does not. */
static unsigned evidence(const struct glibc *glibc, const uint8_t *at, const struct layout *layout)
{
	uint64_t base = word(at + layout->mmapped + SBRK_BASE);
	if (word(at + ARENA_TEST) > 1 << 20 || word(at + ARENA_MAX) > 1 << 20 ||
	    !counts_agree(at, layout))
		return 0;
	if (layout->huge_page && (!is_page_size(word(at + layout->huge_page)) ||
				  !is_page_size(word(at + layout->huge_page - 8))))
		return 0;
	if (base && !glibc_span_end(glibc->view, base))
		return 0;
	bool agree = caches_agree(word(at + layout->mmapped + CACHE_BINS),
				  word(at + layout->mmapped + CACHE_MAX));
	bool usual = number(at + layout->counts + 4) == 65536 && word(at + ARENA_TEST) == 8;
	bool thresholds = word(at) >= 1024 && word(at + 16) >= 1024 && word(at + 16) <= 1 << 30;
	if (!thresholds && !usual)
		return 0;
	if (!base && !(agree && usual))
		return 0;
	return 1 + 2 * (base != 0) + 2 * agree + usual;
}

static void take(struct glibc *glibc, const uint8_t *bytes, const struct layout *layout,
		 uint64_t address)
{
	glibc->parameters = (struct glibc_parameters){
		.address = address,
		.sbrk_base = word(bytes + layout->mmapped + SBRK_BASE),
		.mmapped_count = (uint64_t)number(bytes + layout->counts),
		.mmapped_bytes = word(bytes + layout->mmapped),
		.huge_page_bytes = layout->huge_page ? word(bytes + layout->huge_page) : 0,
	};
}

static void look_through(struct glibc *glibc, uint64_t start, uint64_t end, unsigned *best)
{
	uint8_t bytes[PAGE_SIZE];
	// Pages overlap by what malloc_par takes.
	for (uint64_t at = (start + 7) & ~UINT64_C(7); at < end; at += sizeof(bytes) - 256) {
		size_t size = end - at < sizeof(bytes) ? (size_t)(end - at) : sizeof(bytes);
		size = strobe_memory_read(glibc->view, at, bytes, size);
		for (size_t offset = 0; offset < size; offset += 8)
			for (size_t i = 0; i < sizeof(layouts) / sizeof(layouts[0]); i++) {
				if (size - offset < layouts[i].size)
					continue;
				unsigned sure = evidence(glibc, bytes + offset, &layouts[i]);
				if (sure <= *best)
					continue;
				*best = sure;
				take(glibc, bytes + offset, &layouts[i], at + offset);
			}
	}
}

void glibc_find_parameters(struct glibc *glibc)
{
	unsigned best = 1; // less is not believed
	uint64_t start, end;
	if (glibc->module == SIZE_MAX) { // what stands beside the main arena
		const struct strobe_mapping *mapping =
			strobe_view_mapping_at(glibc->view, glibc->arenas.items[0].bins);
		if (mapping)
			look_through(glibc, mapping->start, mapping->end, &best);
		return;
	}
	for (size_t i = 0; view_module_data(glibc->view, glibc->module, i, &start, &end); i++)
		look_through(glibc, start, end, &best);
}

/** The number behind `text` in what is mapped of the module. */
static bool version_in(const struct strobe_view *view, const struct strobe_mapping *mapping,
		       size_t *left, char *ret, size_t ret_size)
{
	static const char text[] = "stable release version ";
	for (uint64_t at = mapping->start; at < mapping->end && *left;) {
		size_t available;
		const char *bytes = (const char *)view_pointer(view, at, &available);
		if (!bytes || !available) {
			at = (at | (PAGE_SIZE - 1)) + 1;
			continue;
		}
		if (available > mapping->end - at)
			available = mapping->end - at;
		if (available > *left)
			available = *left;
		const char *found = memmem(bytes, available, text, sizeof(text) - 1);
		size_t rest = found ? available - (size_t)(found - bytes) - (sizeof(text) - 1) : 0;
		if (rest > VERSION_SIZE) {
			found += sizeof(text) - 1;
			size_t size = 0;
			while (size < VERSION_SIZE && strchr("0123456789.", found[size]))
				size++;
			if (size > 0 && size < VERSION_SIZE && found[size - 1] == '.')
				size--; // the sentence ends
			snprintf(ret, ret_size, "%.*s", (int)size, found);
			return size > 0 && size < VERSION_SIZE;
		}
		*left -= available;
		at += available;
	}
	return false;
}

bool glibc_find_version(struct glibc *glibc, char *ret, size_t size)
{
	size_t count = strobe_view_mapping_count(glibc->view), left = VERSION_LIMIT;
	if (glibc->module == SIZE_MAX)
		return false;
	for (size_t i = 0; i < count; i++) {
		const struct strobe_mapping *mapping = strobe_view_mapping(glibc->view, i);
		if (mapping->module_index == glibc->module &&
		    !(mapping->permissions &
		      (STROBE_PERMISSION_WRITE | STROBE_PERMISSION_EXECUTE)) &&
		    version_in(glibc->view, mapping, &left, ret, size))
			return true;
	}
	return false;
}
