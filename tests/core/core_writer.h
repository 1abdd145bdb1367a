// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_CORE_WRITER_H
#define TESTS_CORE_WRITER_H

// Writes ELF cores byte by byte, for tests. Running out of memory aborts.

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/strobe_note.h"

enum { CORE_WRITER_REGISTERS = 27, CORE_WRITER_RIP = 16, CORE_WRITER_RSP = 19 };

struct core_writer {
	unsigned machine; // EM_X86_64 unless changed
	uint8_t *notes;
	size_t notes_size;
	struct core_writer_segment {
		uint64_t start, memory_size, file_size;
		uint32_t flags;
		const void *data; // borrowed until written; NULL = a hole of zeros
	} * segments;
	size_t segment_count;
	struct core_writer_file {
		uint64_t start, end, page_offset;
		const char *path; // borrowed
	} * files;
	size_t file_count;
};

void core_writer_init(struct core_writer *writer);
void core_writer_fini(struct core_writer *writer);
void core_writer_note(struct core_writer *writer, const char *name, uint32_t type, const void *data,
		      size_t size);
/** NT_PRSTATUS. `registers` in the order of user_regs_struct. */
void core_writer_thread(struct core_writer *writer, int tid, int signal,
			const uint64_t registers[CORE_WRITER_REGISTERS]);
/** NT_PRPSINFO. */
void core_writer_process(struct core_writer *writer, int pid, const char *name,
			 const char *arguments);
/** NT_SIGINFO of a fault. */
void core_writer_fault(struct core_writer *writer, int signal, int code, uint64_t address);
/** NT_AUXV of `count` pairs. */
void core_writer_auxv(struct core_writer *writer, const uint64_t (*pairs)[2], size_t count);
/** A note of Strobe's own: a structure and what follows it. */
void core_writer_strobe(struct core_writer *writer, enum strobe_note_type type, const void *head,
			size_t head_size, const void *rest, size_t rest_size);
/** NT_STROBE_CAPTURE: a clone taken at `realtime_ns`, CLOCK_BOOTTIME 1000 s; its id is 16 x `id`. */
void core_writer_capture(struct core_writer *writer, uint64_t realtime_ns, uint64_t pause_ns,
			 uint8_t id);
/** NT_STROBE_PROC_FILE. */
void core_writer_proc_file(struct core_writer *writer, const char *name, const void *bytes,
			   size_t size);
/** NT_STROBE_DESCRIPTOR. */
void core_writer_descriptor(struct core_writer *writer, int fd, uint32_t mode, const char *link,
			    const char *info, const char *peer);
/** A range of NT_FILE, which is written last. */
void core_writer_file(struct core_writer *writer, uint64_t start, uint64_t end,
		      uint64_t page_offset, const char *path);
void core_writer_segment(struct core_writer *writer, uint64_t start, uint64_t memory_size,
			 uint32_t flags, const void *data, uint64_t file_size);
/** Writes the core with segments at whole pages, holes sparse, PN_XNUM where needed. */
void core_writer_save(struct core_writer *writer, const char *path);

#endif
