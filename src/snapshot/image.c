// SPDX-License-Identifier: Apache-2.0
#include "snapshot/image.h"

#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/procfs.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "process/proc.h"
#include "snapshot/xstate.h"

#ifndef NT_X86_XSTATE
#define NT_X86_XSTATE 0x202
#endif
enum { FXSAVE_SIZE = 512, PAGE = 4096 };

/** An image under construction. `notes` may not grow: then memory is short. */
struct maker {
	const struct frozen *frozen;
	const struct facts *facts;
	const struct store *store;
	struct xstate_place places[XSTATE_COMPONENTS]; // of the extended state
	bool places_known;
	struct text notes;
	ARRAY(Elf64_Phdr) headers;
};

/** Begins a note whose description has `size` bytes, which must follow. */
static void begin_note(struct maker *maker, const char *name, uint32_t type, size_t size)
{
	static const char zeros[4] = "";
	size_t name_size = strlen(name) + 1;
	Elf64_Nhdr head = {(uint32_t)name_size, (uint32_t)size, type};
	text_append_bytes(&maker->notes, (const char *)&head, sizeof(head));
	text_append_bytes(&maker->notes, name, name_size);
	text_append_bytes(&maker->notes, zeros, -name_size & 3);
}

static void put(struct maker *maker, const void *bytes, size_t size)
{
	text_append_bytes(&maker->notes, bytes, size);
}

static void end_note(struct maker *maker)
{
	static const char zeros[4] = "";
	put(maker, zeros, -maker->notes.size & 3);
}

static void put_note(struct maker *maker, const char *name, uint32_t type, const void *bytes,
		     size_t size)
{
	begin_note(maker, name, type, size);
	put(maker, bytes, size);
	end_note(maker);
}

static void put_string(struct maker *maker, const char *string)
{
	put(maker, string, strlen(string) + 1);
}

static const struct stopped_thread *leader_of(const struct frozen *frozen)
{
	for (size_t i = 0; i < frozen->threads.list.count; i++)
		if (frozen->threads.list.items[i].tid == frozen->threads.pid)
			return &frozen->threads.list.items[i];
	return &frozen->threads.list.items[0];
}

static void put_capture(struct maker *maker)
{
	const struct frozen *frozen = maker->frozen;
	struct strobe_note_capture note = {
		.version = STROBE_NOTE_VERSION,
		.method = frozen->cloned ? 1 : 2, // enum strobe_snapshot_method
		.realtime_ns = (uint64_t)frozen->realtime_ns,
		.boottime_ns = (uint64_t)frozen->boottime_ns,
		.pause_ns = (uint64_t)(frozen->threads.released_ns - frozen->threads.first_stop_ns),
	};
	if (getrandom(note.id, sizeof(note.id), 0) != sizeof(note.id)) // else: told by its time
		memcpy(note.id, &note.realtime_ns, sizeof(note.realtime_ns));
	put_note(maker, STROBE_NOTE_NAME, NT_STROBE_CAPTURE, &note, sizeof(note));
}

static void put_file(struct maker *maker, const char *name, const char *bytes, size_t size)
{
	begin_note(maker, STROBE_NOTE_NAME, NT_STROBE_PROC_FILE, strlen(name) + 1 + size);
	put_string(maker, name);
	put(maker, bytes, size);
	end_note(maker);
}

static void put_files(struct maker *maker)
{
	const struct stopped_thread *leader = leader_of(maker->frozen);
	put_file(maker, "maps", maker->frozen->maps, strlen(maker->frozen->maps));
	if (leader->status)
		put_file(maker, "status", leader->status, strlen(leader->status));
	if (leader->stat)
		put_file(maker, "stat", leader->stat, strlen(leader->stat));
	for (size_t i = 0; i < maker->facts->files.count; i++) {
		const struct fact_file *file = &maker->facts->files.items[i];
		if (strcmp(file->name, "auxv") != 0)
			put_file(maker, file->name, file->bytes, file->size);
	}
}

static void put_descriptors(struct maker *maker)
{
	for (size_t i = 0; i < maker->facts->descriptors.count; i++) {
		const struct fact_descriptor *from = &maker->facts->descriptors.items[i];
		struct strobe_note_descriptor note = {.fd = from->fd, .mode = from->mode};
		begin_note(maker, STROBE_NOTE_NAME, NT_STROBE_DESCRIPTOR,
			   sizeof(note) + strlen(from->link) + strlen(from->fdinfo) +
				   strlen(from->peer) + 3);
		put(maker, &note, sizeof(note));
		put_string(maker, from->link);
		put_string(maker, from->fdinfo);
		put_string(maker, from->peer);
		end_note(maker);
	}
}

static void put_gaps(struct maker *maker)
{
	for (size_t i = 0; i < maker->frozen->gaps.count; i++) {
		const struct freeze_gap *gap = &maker->frozen->gaps.items[i];
		struct strobe_note_range range = {gap->start, gap->end};
		begin_note(maker, STROBE_NOTE_NAME, NT_STROBE_NOT_ATOMIC,
			   sizeof(range) + strlen(gap->why) + 1);
		put(maker, &range, sizeof(range));
		put_string(maker, gap->why);
		end_note(maker);
	}
}

static void copy_field(char *to, size_t size, const char *from, size_t from_size)
{
	memcpy(to, from, from_size < size ? from_size : size - 1);
}

static uint64_t number_of(const char *text, const char *field)
{
	uint64_t number = 0;
	if (text)
		proc_field_number(text, field, 10, &number);
	return number;
}

static int64_t stat_number(const char *stat, unsigned field)
{
	const char *at = stat ? proc_stat_field(stat, field) : NULL;
	return at ? strtoll(at, NULL, 10) : 0;
}

static void put_process(struct maker *maker)
{
	const struct stopped_thread *leader = leader_of(maker->frozen);
	struct elf_prpsinfo info = {
		.pr_sname = leader->state_before ? leader->state_before : 'R',
		.pr_nice = (char)stat_number(leader->stat, 19),
		.pr_flag = (unsigned long)stat_number(leader->stat, 9),
		.pr_uid = (unsigned)number_of(leader->status, "Uid"),
		.pr_gid = (unsigned)number_of(leader->status, "Gid"),
		.pr_pid = maker->frozen->threads.pid,
		.pr_ppid = (int)stat_number(leader->stat, 4),
		.pr_pgrp = (int)stat_number(leader->stat, 5),
		.pr_sid = (int)stat_number(leader->stat, 6),
	};
	const char *name = NULL;
	size_t size = leader->status ? proc_field(leader->status, "Name", &name) : 0;
	if (size)
		copy_field(info.pr_fname, sizeof(info.pr_fname), name, size);
	info.pr_state =
		(char)(strchr("RSDTZW", info.pr_sname) ? strchr("RSDTZW", info.pr_sname) - "RSDTZW"
						       : 0);
	info.pr_zomb = info.pr_sname == 'Z';
	for (size_t i = 0; i < maker->facts->files.count; i++) {
		const struct fact_file *file = &maker->facts->files.items[i];
		if (strcmp(file->name, "cmdline") == 0 && file->size)
			copy_field(info.pr_psargs, sizeof(info.pr_psargs), file->bytes,
				   file->size - 1);
		else if (strcmp(file->name, "auxv") == 0)
			put_note(maker, "CORE", NT_AUXV, file->bytes, file->size);
	}
	for (size_t i = 0; i + 1 < sizeof(info.pr_psargs) && i < 79; i++)
		if (!info.pr_psargs[i] && info.pr_psargs[i + 1])
			info.pr_psargs[i] = ' ';
	put_note(maker, "CORE", NT_PRPSINFO, &info, sizeof(info));
}

static bool is_file(const struct proc_mapping *mapping)
{
	return mapping->path_size && *mapping->path == '/';
}

/** NT_FILE: a count, the page size, (start, end, offset in pages) for each, then the names. */
static void put_mapped_files(struct maker *maker)
{
	struct proc_mapping mapping;
	struct text names = {0}, places = {0};
	uint64_t head[2] = {0, PAGE};
	for (const char *at = maker->frozen->maps; proc_next_mapping(&at, &mapping);) {
		if (!is_file(&mapping))
			continue;
		uint64_t place[3] = {mapping.start, mapping.end, mapping.offset / PAGE};
		text_append_bytes(&places, (const char *)place, sizeof(place));
		text_append_bytes(&names, mapping.path, mapping.path_size);
		text_append_char(&names, '\0');
		head[0]++;
	}
	if (head[0]) {
		begin_note(maker, "CORE", NT_FILE, sizeof(head) + places.size + names.size);
		put(maker, head, sizeof(head));
		put(maker, places.data, places.size);
		put(maker, names.data, names.size);
		end_note(maker);
	}
	if (names.failed || places.failed)
		maker->notes.failed = true;
	text_fini(&names);
	text_fini(&places);
}

static struct timeval ticks(int64_t count)
{
	long second = sysconf(_SC_CLK_TCK);
	return (struct timeval){count / second, count % second * (1000000 / second)};
}

/** Signals that wait for this thread alone. */
static uint64_t pending_of(const struct stopped_thread *thread)
{
	uint64_t pending = 0;
	if (thread->status)
		proc_field_number(thread->status, "SigPnd", 16, &pending);
	return pending;
}

static void put_status(struct maker *maker, const struct stopped_thread *thread)
{
	struct elf_prstatus status = {
		.pr_cursig = (short)thread->signal,
		.pr_info.si_signo = thread->signal,
		.pr_sighold = thread->blocked,
		.pr_pid = thread->tid,
		.pr_ppid = (int)stat_number(thread->stat, 4),
		.pr_pgrp = (int)stat_number(thread->stat, 5),
		.pr_sid = (int)stat_number(thread->stat, 6),
		.pr_fpvalid = thread->xstate != NULL,
	};
	struct timeval user = ticks(stat_number(thread->stat, 14));
	struct timeval system = ticks(stat_number(thread->stat, 15));
	memcpy(&status.pr_utime, &user, sizeof(user));
	memcpy(&status.pr_stime, &system, sizeof(system));
	_Static_assert(sizeof(status.pr_reg) == sizeof(thread->regs), "the same registers");
	memcpy(&status.pr_reg, &thread->regs, sizeof(thread->regs));
	status.pr_sigpend = pending_of(thread);
	put_note(maker, "CORE", NT_PRSTATUS, &status, sizeof(status));
}

static void put_thread_facts(struct maker *maker, const struct stopped_thread *thread)
{
	struct strobe_note_thread note = {
		.version = STROBE_NOTE_VERSION,
		.tid = thread->tid,
		.cpu = thread->stat && proc_stat_field(thread->stat, 39)
			       ? (int32_t)stat_number(thread->stat, 39)
			       : -1,
		.state = (uint8_t)thread->state_before,
		.blocked = thread->blocked,
		.pending = pending_of(thread),
		.robust_list = thread->robust_list,
		.robust_list_size = thread->robust_size,
		.rseq_address = thread->rseq_address,
		.rseq_size = thread->rseq_size,
		.rseq_signature = thread->rseq_signature,
		.rseq_flags = thread->rseq_flags,
	};
	if (thread->state != THREAD_STOPPED)
		note.flags |= STROBE_THREAD_NOT_STOPPED;
	if ((long long)thread->regs.orig_rax >= 0 && thread->state != THREAD_DEAD)
		note.flags |= STROBE_THREAD_IN_SYSCALL;
	if (thread->has_blocked)
		note.flags |= STROBE_THREAD_SIGNALS_KNOWN;
	if (thread->has_robust)
		note.flags |= STROBE_THREAD_ROBUST_KNOWN;
	if (thread->has_rseq)
		note.flags |= STROBE_THREAD_RSEQ_KNOWN;
	put_note(maker, STROBE_NOTE_NAME, NT_STROBE_THREAD, &note, sizeof(note));
}

static void put_signals(struct maker *maker, const struct stopped_thread *thread)
{
	for (size_t i = 0; i < thread->queue_count; i++) {
		bool shared = i + thread->queue_shared >= thread->queue_count;
		struct strobe_note_signal note = {.tid = shared ? 0 : thread->tid};
		begin_note(maker, STROBE_NOTE_NAME, NT_STROBE_SIGNAL,
			   sizeof(note) + sizeof(siginfo_t));
		put(maker, &note, sizeof(note));
		put(maker, &thread->queue[i], sizeof(siginfo_t));
		end_note(maker);
	}
}

static void put_xstate(struct maker *maker, const struct stopped_thread *thread)
{
	uint8_t room[XSTATE_LIMIT];
	size_t size = thread->xstate_size;
	if (!maker->places_known)
		xstate_places(thread->xstate, size, maker->places);
	maker->places_known = true;
	const uint8_t *bytes =
		xstate_usual(thread->xstate, &size, maker->places, room, sizeof(room));
	put_note(maker, "CORE", NT_FPREGSET, bytes, FXSAVE_SIZE);
	put_note(maker, "LINUX", NT_X86_XSTATE, bytes, size);
}

static void put_thread(struct maker *maker, const struct stopped_thread *thread)
{
	char name[64];
	if (thread->state == THREAD_GONE || thread->state == THREAD_SEIZED)
		return;
	put_status(maker, thread);
	put_thread_facts(maker, thread);
	if (thread->xstate)
		put_xstate(maker, thread);
	put_signals(maker, thread);
	snprintf(name, sizeof(name), "task/%d/status", (int)thread->tid);
	if (thread->status && thread != leader_of(maker->frozen))
		put_file(maker, name, thread->status, strlen(thread->status));
	snprintf(name, sizeof(name), "task/%d/stat", (int)thread->tid);
	if (thread->stat)
		put_file(maker, name, thread->stat, strlen(thread->stat));
}

/** The leader first, which debuggers take for the current thread; last where it has ended. */
static void put_threads(struct maker *maker)
{
	const struct stopped_thread *leader = leader_of(maker->frozen);
	if (leader->state != THREAD_DEAD)
		put_thread(maker, leader);
	for (size_t i = 0; i < maker->frozen->threads.list.count; i++)
		if (&maker->frozen->threads.list.items[i] != leader)
			put_thread(maker, &maker->frozen->threads.list.items[i]);
	if (leader->state == THREAD_DEAD)
		put_thread(maker, leader);
}

static bool add_load(struct maker *maker, const struct proc_mapping *mapping, uint64_t start,
		     uint64_t end, uint64_t offset, bool held)
{
	Elf64_Phdr load = {
		.p_type = PT_LOAD,
		.p_flags = (mapping->readable ? PF_R : 0) | (mapping->writable ? PF_W : 0) |
			   (mapping->executable ? PF_X : 0),
		.p_offset = offset,
		.p_vaddr = start,
		.p_memsz = end - start,
		.p_filesz = held ? end - start : 0,
		.p_align = PAGE,
	};
	return start >= end || array_push(&maker->headers, load);
}

/** Each mapping, cut at what the store holds of it. */
static bool add_loads(struct maker *maker)
{
	struct proc_mapping mapping;
	size_t run = 0;
	bool done = true;
	for (const char *at = maker->frozen->maps; done && proc_next_mapping(&at, &mapping);) {
		uint64_t from = mapping.start;
		while (run < maker->store->runs.count &&
		       maker->store->runs.items[run].end <= mapping.start)
			run++;
		for (; done && run < maker->store->runs.count &&
		       maker->store->runs.items[run].start < mapping.end;
		     run++) {
			const struct store_run *held = &maker->store->runs.items[run];
			done = add_load(maker, &mapping, from, held->start, 0, false) &&
			       add_load(maker, &mapping, held->start, held->end, held->offset,
					true);
			from = held->end;
		}
		done = done && add_load(maker, &mapping, from, mapping.end, 0, false);
	}
	return done;
}

static struct strobe_error *put_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t written =
			pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));
		if (written <= 0 && errno != EINTR)
			return error_errno(errno, "room for a process's image");
		done += written > 0 ? (size_t)written : 0;
	}
	return NULL;
}

/** The parts' places: pages (from the store), notes, program headers; the ELF header is first. */
static struct strobe_error *write_parts(struct maker *maker)
{
	int fd = maker->store->fd;
	uint64_t notes_at = (maker->store->size + PAGE - 1) & ~(uint64_t)(PAGE - 1);
	uint64_t headers_at = (notes_at + maker->notes.size + 7) & ~UINT64_C(7);
	size_t count = maker->headers.count;
	maker->headers.items[0] = (Elf64_Phdr){
		.p_type = PT_NOTE,
		.p_offset = notes_at,
		.p_filesz = maker->notes.size,
		.p_align = 4,
	};
	Elf64_Ehdr head = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_CORE,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_phoff = headers_at,
		.e_ehsize = sizeof(head),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = count < PN_XNUM ? (Elf64_Half)count : PN_XNUM,
	};
	Elf64_Shdr section = {.sh_info = (Elf64_Word)count};
	uint64_t headers_size = count * sizeof(Elf64_Phdr);
	if (count >= PN_XNUM) {
		head.e_shoff = headers_at + headers_size;
		head.e_shentsize = sizeof(section);
		head.e_shnum = 1;
	}
	struct strobe_error *error = put_at(fd, &head, sizeof(head), 0);
	if (!error)
		error = put_at(fd, maker->notes.data, maker->notes.size, notes_at);
	if (!error)
		error = put_at(fd, maker->headers.items, headers_size, headers_at);
	if (!error && count >= PN_XNUM)
		error = put_at(fd, &section, sizeof(section), head.e_shoff);
	return error;
}

struct strobe_error *image_write(const struct frozen *frozen, const struct facts *facts,
				 const struct store *store)
{
	struct maker maker = {.frozen = frozen, .facts = facts, .store = store};
	struct strobe_note_frozen clone = {.pid = frozen->clone.pid};
	struct strobe_error *error = NULL;
	put_capture(&maker);
	if (frozen->cloned)
		put_note(&maker, STROBE_NOTE_NAME, NT_STROBE_FROZEN, &clone, sizeof(clone));
	put_files(&maker);
	put_descriptors(&maker);
	put_gaps(&maker);
	if (store->extents.count)
		put_note(&maker, STROBE_NOTE_NAME, NT_STROBE_EXTENTS, store->extents.items,
			 store->extents.count * sizeof(struct strobe_note_extent));
	put_process(&maker);
	put_mapped_files(&maker);
	put_threads(&maker);
	Elf64_Phdr notes = {.p_type = PT_NOTE};
	if (maker.notes.failed || !array_push(&maker.headers, notes) || !add_loads(&maker))
		error = error_no_memory();
	if (!error)
		error = write_parts(&maker);
	text_fini(&maker.notes);
	array_fini(&maker.headers);
	return error;
}
