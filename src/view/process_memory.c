// SPDX-License-Identifier: Apache-2.0
#include "view/process_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/array.h"
#include "base/error.h"
#include "view/build.h"
#include "view/view.h"

// Linux 6.7, include/uapi/linux/fs.h: Debian 12's headers are older.
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arguments {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_CALL _IOWR('f', 16, struct scan_arguments)
enum {
	PAGE_IS_FILE = 1 << 2,
	PAGE_IS_PRESENT = 1 << 3,
	PAGE_IS_SWAPPED = 1 << 4,
	PAGE_IS_PFNZERO = 1 << 5,
	PAGE_IS_GUARD = 1 << 8, // MADV_GUARD_INSTALL; Linux 6.15
};
// /proc/PID/pagemap, Documentation/admin-guide/mm/pagemap.rst
#define ENTRY_PRESENT (UINT64_C(1) << 63)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_FILE (UINT64_C(1) << 61)
#define ENTRY_GUARD (UINT64_C(1) << 58)

enum {
	BATCH_REGIONS = 1024,
	BATCH_ENTRIES = 65536, // of pagemap, read at once
	SCAN_MIN = 2 << 20,    // bytes of address space looked at for one question,
	SCAN_SMALL = 64 << 10, // for one about a page or a few: who asks those may jump about,
	READ_MAX = 1 << 20,
	PAGE = 4096,
};
#define SCAN_MAX (UINT64_C(64) << 30) // and for a walk through all of it

/** What a mapping's pages are where its page tables have none. */
enum origin {
	ORIGIN_ZERO,	// private and of no file
	ORIGIN_FILE,	// private, of a file that is there
	ORIGIN_SHARED,	// shared, of a file that is there
	ORIGIN_UNKNOWN, // only reading can tell: shared memory, deleted files, the vdso
	ORIGIN_NONE,	// not ours to read: devices and what the kernel keeps for itself
};
struct vma {
	uint64_t start, end;
	uint64_t readable_end; // the file ends here
	enum origin origin;
};

struct process_memory {
	int pid;
	int memory, pagemap; // descriptors
	bool no_scan;
	bool no_guard; // the kernel does not tell of guard pages
	ARRAY(struct vma) vmas;
	size_t last_vma; // a cache
	uint64_t top;	 // where the last one ends, but for the kernel's

	// What is known of [batch_start, batch_end): sorted regions, with nothing between them.
	uint64_t batch_start, batch_end, batch_span;
	size_t region_count, last_region;
	struct scan_region regions[BATCH_REGIONS];
	uint64_t *entries; // room for BATCH_ENTRIES
};

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

static bool ends(const char *text, const char *with)
{
	size_t size = strlen(text), end = strlen(with);
	return size >= end && strcmp(text + size - end, with) == 0;
}

static enum origin origin_of(const char *path, bool shared)
{
	static const char *const kernels[] = {"[vvar]", "[vvar_vclock]", "[vsyscall]"};
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++)
		if (strcmp(path, kernels[i]) == 0)
			return ORIGIN_NONE;
	if (begins(path, "/dev/zero") || begins(path, "/anon_hugepage"))
		return shared ? ORIGIN_UNKNOWN : ORIGIN_ZERO;
	// Reading a device's memory may make it do something.
	if ((begins(path, "/dev/") && !begins(path, "/dev/shm/") &&
	     !begins(path, "/dev/hugepages/")) ||
	    begins(path, "/sys/") || begins(path, "/proc/"))
		return ORIGIN_NONE;
	if (!shared && (!*path || strcmp(path, "[heap]") == 0 || begins(path, "[stack") ||
			begins(path, "[anon:")))
		return ORIGIN_ZERO;
	// Nobody can find the file of a deleted name: its pages count as the process's own.
	if (*path != '/' || ends(path, " (deleted)") || begins(path, "/memfd:") ||
	    begins(path, "/SYSV") || begins(path, "/dev/shm/"))
		return ORIGIN_UNKNOWN;
	return shared ? ORIGIN_SHARED : ORIGIN_FILE;
}

/** Pages beyond a file's end cannot be read: known before it is tried. */
static uint64_t end_in_file(const char *path, unsigned long device, uint64_t inode, uint64_t start,
			    uint64_t end, uint64_t offset)
{
	struct stat st;
	if (stat(path, &st) < 0 || !S_ISREG(st.st_mode) || st.st_ino != inode ||
	    st.st_dev != device)
		return end;
	uint64_t size = ((uint64_t)st.st_size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	if (size <= offset)
		return start;
	return size - offset < end - start ? start + (size - offset) : end;
}

static bool add_vma(struct process_memory *memory, const char *line)
{
	struct vma vma;
	char permissions[5];
	unsigned int major_number, minor_number;
	uint64_t offset, inode;
	int path_at = 0;
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n", &vma.start,
		   &vma.end, permissions, &offset, &major_number, &minor_number, &inode,
		   &path_at) < 7 ||
	    vma.start >= vma.end)
		return true;
	const char *path = path_at ? line + path_at : "";
	vma.origin = origin_of(path, permissions[3] == 's');
	vma.readable_end = vma.end;
	if (vma.origin == ORIGIN_FILE || vma.origin == ORIGIN_SHARED)
		vma.readable_end = end_in_file(path, makedev(major_number, minor_number), inode,
					       vma.start, vma.end, offset);
	if (vma.end <= INT64_MAX)
		memory->top = vma.end;
	return array_push(&memory->vmas, vma);
}

/** Opens /proc/PID/`part`, or takes a copy of what was `opened` (-1: nothing). */
static struct strobe_error *open_part(int pid, const char *part, int opened, int *ret)
{
	char name[64];
	snprintf(name, sizeof(name), "/proc/%d/%s", pid, part);
	*ret = opened < 0 ? open(name, O_RDONLY | O_CLOEXEC) : fcntl(opened, F_DUPFD_CLOEXEC, 0);
	return *ret < 0 ? error_errno(errno, "%s", name) : NULL;
}

static struct strobe_error *read_maps(struct process_memory *memory, int opened)
{
	int fd;
	char *line = NULL;
	size_t room = 0;
	struct strobe_error *error = open_part(memory->pid, "maps", opened, &fd);
	if (error)
		return error;
	FILE *file = fdopen(fd, "r");
	if (!file) {
		close(fd);
		return error_no_memory();
	}
	ssize_t size;
	while (!error && (size = getline(&line, &room, file)) > 0) {
		if (line[size - 1] == '\n')
			line[size - 1] = '\0';
		if (!add_vma(memory, line))
			error = error_no_memory();
	}
	free(line);
	fclose(file);
	return error;
}

struct strobe_error *process_memory_open(int pid, const struct process_files *files, bool no_scan,
					 struct process_memory **ret)
{
	static const struct process_files none = {-1, -1, -1};
	struct process_memory *memory = calloc(1, sizeof(*memory));
	if (!memory)
		return error_no_memory();
	memory->pid = pid;
	memory->no_scan = no_scan;
	memory->pagemap = -1;
	files = files ? files : &none;
	struct strobe_error *error = open_part(pid, "mem", files->memory, &memory->memory);
	if (!error) // without it every page counts as data
		strobe_error_free(open_part(pid, "pagemap", files->pagemap, &memory->pagemap));
	if (!error)
		error = read_maps(memory, files->maps);
	if (error)
		process_memory_close(memory);
	else
		*ret = memory;
	return error;
}

struct process_memory *process_memory_close(struct process_memory *memory)
{
	if (!memory)
		return NULL;
	if (memory->memory >= 0)
		close(memory->memory);
	if (memory->pagemap >= 0)
		close(memory->pagemap);
	array_fini(&memory->vmas);
	free(memory->entries);
	free(memory);
	return NULL;
}

/** The first mapping that ends after `address`; NULL if none. */
static const struct vma *vma_from(struct process_memory *memory, uint64_t address)
{
	const struct vma *items = memory->vmas.items;
	size_t low = 0, high = memory->vmas.count, last = memory->last_vma;
	if (last < high && items[last].start <= address && address < items[last].end)
		return &items[last];
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (items[middle].end <= address)
			low = middle + 1;
		else
			high = middle;
	}
	memory->last_vma = low;
	return low < memory->vmas.count ? &items[low] : NULL;
}

/** Not by process_vm_readv(): it pins pages, and for that the kernel gives a clone a copy of each
 *  page that it shares with its original. */
static size_t read_memory(void *context, uint64_t position, void *buffer, size_t size)
{
	const struct process_memory *memory = context;
	size_t done = 0;
	if (position > INT64_MAX) // the kernel's half
		return 0;
	while (done < size) {
		size_t part = size - done < READ_MAX ? size - done : READ_MAX;
		ssize_t got = pread(memory->memory, (char *)buffer + done, part,
				    (off_t)(position + done));
		if (got < 0 && errno == EINTR)
			continue;
		if (got > 0) {
			done += (size_t)got;
			continue;
		}
		// Some kernels give up on the whole request: the pages before the bad one count.
		size_t left = PAGE - (size_t)((position + done) % PAGE);
		if (got == 0 || part <= left)
			break;
		got = pread(memory->memory, (char *)buffer + done, left, (off_t)(position + done));
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return done;
}

/** Has its memory gone with it? Reading from it gives no byte and no error then, wherever that is. */
static bool is_gone(const struct process_memory *memory)
{
	char byte;
	return pread(memory->memory, &byte, 1, 0) == 0;
}

/** Asks the kernel for [start, end); false if it does not know the call, or the process has ended. */
static bool scan_batch(struct process_memory *memory, uint64_t start, uint64_t end)
{
	uint64_t pages = (end - start + PAGE - 1) / PAGE;
	struct scan_arguments arguments = {
		.size = sizeof(arguments),
		.start = start,
		.end = end,
		.vec = (uint64_t)(uintptr_t)memory->regions,
		// The kernel makes room for them at each call.
		.vec_len = pages < BATCH_REGIONS ? pages : BATCH_REGIONS,
		.category_anyof_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED,
		.return_mask = PAGE_IS_PRESENT | PAGE_IS_SWAPPED | PAGE_IS_FILE | PAGE_IS_PFNZERO,
	};
	if (!memory->no_guard)
		arguments.return_mask |= PAGE_IS_GUARD;
	int count = memory->no_scan ? -1 : ioctl(memory->pagemap, SCAN_CALL, &arguments);
	if (count < 0 && !memory->no_scan && !memory->no_guard) {
		memory->no_guard = true; // an older kernel knows no such pages
		arguments.return_mask &= ~(uint64_t)PAGE_IS_GUARD;
		count = ioctl(memory->pagemap, SCAN_CALL, &arguments);
	}
	if (count < 0) {
		memory->no_scan = true;
		return false;
	}
	// Of memory that is gone it says that no page is there: that is not what a page of zeros is.
	if (count == 0 && is_gone(memory))
		return false;
	memory->region_count = (size_t)count;
	memory->batch_end = arguments.walk_end > start ? arguments.walk_end : end;
	return true;
}

/** The same from the entries of pagemap, 8 bytes a page. */
static bool read_batch(struct process_memory *memory, uint64_t start, uint64_t end)
{
	uint64_t pages = (end - start) / PAGE;
	if (pages > BATCH_ENTRIES)
		pages = BATCH_ENTRIES;
	if (!memory->entries)
		memory->entries = malloc(BATCH_ENTRIES * sizeof(*memory->entries));
	if (!memory->entries)
		return false;
	ssize_t got = pread(memory->pagemap, memory->entries, pages * sizeof(*memory->entries),
			    (off_t)(start / PAGE * sizeof(*memory->entries)));
	if (got < (ssize_t)sizeof(*memory->entries))
		return false;
	pages = (uint64_t)got / sizeof(*memory->entries);
	memory->region_count = 0;
	uint64_t at = 0;
	for (; at < pages; at++) {
		uint64_t entry = memory->entries[at], categories = 0;
		struct scan_region *last = &memory->regions[memory->region_count];
		categories |= entry & ENTRY_PRESENT ? PAGE_IS_PRESENT : 0;
		categories |= entry & ENTRY_SWAPPED ? PAGE_IS_SWAPPED : 0;
		if (!categories)
			continue;
		categories |= entry & ENTRY_FILE ? PAGE_IS_FILE : 0;
		categories |= entry & ENTRY_GUARD ? PAGE_IS_GUARD : 0;
		uint64_t address = start + at * PAGE;
		if (memory->region_count && last[-1].end == address &&
		    last[-1].categories == categories) {
			last[-1].end += PAGE;
			continue;
		}
		if (memory->region_count == BATCH_REGIONS)
			break;
		*last = (struct scan_region){address, address + PAGE, categories};
		memory->region_count++;
	}
	memory->batch_end = start + at * PAGE;
	return true;
}

/** Makes the batch hold `address`, which lies before `end`; `asked` is where the question ends. False where nobody
 *  can tell. */
static bool look_up(struct process_memory *memory, uint64_t address, uint64_t end, uint64_t asked)
{
	if (address >= memory->batch_start && address < memory->batch_end)
		return true;
	if (memory->pagemap < 0)
		return false;
	// Who walks on from where the last batch ended is walking through all of it.
	bool walking = address == memory->batch_end && memory->batch_span;
	uint64_t span = asked - address < SCAN_SMALL ? SCAN_SMALL : SCAN_MIN;
	if (walking)
		span = memory->batch_span * 4;
	memory->batch_span = span < SCAN_MAX ? span : SCAN_MAX;
	uint64_t start = address & ~(uint64_t)(PAGE - 1);
	if (end - start > memory->batch_span)
		end = start + memory->batch_span;
	memory->batch_start = start;
	memory->batch_end = start; // nothing, unless
	memory->last_region = 0;
	return scan_batch(memory, start, end) || read_batch(memory, start, end);
}

/** What page tables say of `address`, which the batch holds, and where that ends. */
static uint64_t categories_at(struct process_memory *memory, uint64_t address, uint64_t *end)
{
	size_t index = memory->last_region;
	const struct scan_region *regions = memory->regions;
	if (index && (index > memory->region_count || regions[index - 1].end > address))
		index = 0;
	while (index < memory->region_count && regions[index].end <= address)
		index++;
	memory->last_region = index;
	*end = memory->batch_end;
	if (index == memory->region_count)
		return 0;
	if (regions[index].start > address) {
		*end = regions[index].start;
		return 0;
	}
	*end = regions[index].end;
	return regions[index].categories;
}

static enum view_run_kind kind_of(enum origin origin, uint64_t categories)
{
	bool has_page = categories & (PAGE_IS_PRESENT | PAGE_IS_SWAPPED);
	// Nobody reads there: who touches it gets SIGSEGV.
	if (categories & PAGE_IS_GUARD)
		return VIEW_RUN_MISSING;
	if (origin == ORIGIN_FILE)
		return !has_page || categories & PAGE_IS_FILE ? VIEW_RUN_FILE : VIEW_RUN_DATA;
	// The page of zeros that reading memory never written to gives.
	return !has_page || categories & PAGE_IS_PFNZERO ? VIEW_RUN_ZERO : VIEW_RUN_DATA;
}

static void run(void *context, uint64_t position, uint64_t limit, struct view_run *ret)
{
	struct process_memory *memory = context;
	const char *why;
	uint64_t end = process_memory_check(memory, position, limit, &why);
	*ret = (struct view_run){.end = end, .kind = VIEW_RUN_MISSING};
	if (why)
		return;
	enum origin origin = memory->vmas.items[memory->last_vma].origin;
	ret->kind = origin == ORIGIN_SHARED ? VIEW_RUN_FILE : VIEW_RUN_DATA;
	if (origin != ORIGIN_FILE && origin != ORIGIN_ZERO)
		return;
	// Batches run on into the next mappings: there may be thousands of small ones.
	for (uint64_t at = position; at < end;) {
		if (!look_up(memory, at, memory->top, end))
			return;
		uint64_t next;
		enum view_run_kind kind = kind_of(origin, categories_at(memory, at, &next));
		if (at > position && kind != ret->kind) {
			ret->end = at;
			return;
		}
		ret->kind = kind;
		at = next;
	}
}

static void close_memory(void *context)
{
	process_memory_close(context);
}

struct lazy_source process_memory_source(struct process_memory *memory)
{
	return (struct lazy_source){read_memory, run, close_memory, memory};
}

uint64_t process_memory_check(struct process_memory *memory, uint64_t address, uint64_t limit,
			      const char **why)
{
	const struct vma *vma = vma_from(memory, address);
	uint64_t end = !vma ? limit : vma->start > address ? vma->start : vma->end;
	*why = "not in the frozen copy";
	if (vma && vma->start <= address) {
		*why = NULL;
		if (vma->origin == ORIGIN_NONE)
			*why = "the kernel's or a device's memory";
		else if (address >= vma->readable_end)
			*why = "beyond the end of its file";
		else
			end = vma->readable_end;
	}
	return end < limit ? end : limit;
}

/** Memory that the process itself may not read is taken if there is any: collectors and sandboxes
 *  hide data so; a reserve of gigabytes is no data. */
static bool holds_data(struct process_memory *memory, uint64_t start, uint64_t end)
{
	while (start < end) {
		struct view_run found;
		run(memory, start, end, &found);
		if (found.kind == VIEW_RUN_DATA)
			return true;
		start = found.end;
	}
	return false;
}

static struct strobe_error *add_part(struct strobe_view *view, const struct lazy_source *source,
				     const struct strobe_mapping *mapping, uint64_t start,
				     uint64_t end)
{
	struct process_memory *memory = source->context;
	while (start < end) {
		struct segment lost = {.start = start};
		lost.end = process_memory_check(memory, start, end, &lost.why);
		if (!lost.why && !(mapping->permissions & STROBE_PERMISSION_READ) &&
		    !holds_data(memory, start, lost.end))
			lost.why = "the process may not read it";
		struct strobe_error *error = NULL;
		if (!lost.why)
			error = view_add_lazy(view, start, lost.end, source, start);
		else if (!array_push(&view->segments, lost))
			error = error_no_memory();
		if (error)
			return error;
		start = lost.end;
	}
	return NULL;
}

/** All of a mapping that the first `count` segments do not cover; `*next` is a cursor on them. */
static struct strobe_error *add_mapping(struct strobe_view *view, const struct lazy_source *source,
					const struct strobe_mapping *mapping, size_t count,
					size_t *next)
{
	uint64_t at = mapping->start;
	while (*next < count && view->segments.items[*next].end <= at)
		++*next;
	for (size_t i = *next; at < mapping->end; i++) {
		uint64_t end = mapping->end, after = mapping->end;
		if (i < count && view->segments.items[i].start < end) {
			end = view->segments.items[i].start;
			after = view->segments.items[i].end;
		}
		struct strobe_error *error =
			at < end ? add_part(view, source, mapping, at, end) : NULL;
		if (error)
			return error;
		at = after;
	}
	return NULL;
}

struct strobe_error *view_add_process_memory(struct strobe_view *view, int pid)
{
	struct process_memory *memory;
	const struct lazy_source *source;
	struct strobe_error *error = process_memory_open(pid, view->process_files, false, &memory);
	if (error && strobe_error_code(error) == STROBE_ERROR_SYSTEM) {
		view_warn(view, "%s: the frozen copy's memory cannot be read: %s",
			  view->info.source_path, strobe_error_message(error));
		strobe_error_free(error);
		return NULL;
	}
	if (error)
		return error;
	struct lazy_source made = process_memory_source(memory);
	error = view_own_source(view, &made, &source);
	size_t count = view->segments.count, next = 0;
	for (size_t i = 0; !error && i < view->mappings.count; i++)
		error = add_mapping(view, source, &view->mappings.items[i], count, &next);
	view_sort_segments(view);
	return error;
}
