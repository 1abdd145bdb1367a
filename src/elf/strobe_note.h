// SPDX-License-Identifier: Apache-2.0
#ifndef ELF_STROBE_NOTE_H
#define ELF_STROBE_NOTE_H

// Strobe's own notes in its cores, name "STROBE": docs/format/snapshot.md says what each means.
// Little-endian, no padding but what is named. A reader takes a structure of at least the size of
// version 1, whatever its version, and ignores what follows and types that it does not know.

#include <stdint.h>

#define STROBE_NOTE_NAME "STROBE"

// BFD looks at the types of notes whatever their name (elfcore_grok_note() takes any note of type 2
// for floating-point registers, of type 6 for an auxiliary vector): ours are numbers of nobody's.
enum strobe_note_type {
	NT_STROBE_CAPTURE = 0x53540001,	   // struct strobe_note_capture
	NT_STROBE_PROC_FILE = 0x53540002,  // "maps\0" and the bytes of /proc/PID/maps, and so on
	NT_STROBE_THREAD = 0x53540003,	   // struct strobe_note_thread; after its NT_PRSTATUS
	NT_STROBE_DESCRIPTOR = 0x53540004, // struct strobe_note_descriptor and its strings
	NT_STROBE_NOT_ATOMIC = 0x53540005, // struct strobe_note_range and why, NUL-terminated
	NT_STROBE_EXTENTS = 0x53540006,	   // any number of struct strobe_note_extent, sorted
	NT_STROBE_PARENT = 0x53540007,	   // struct strobe_note_parent and its path, NUL-terminated
	NT_STROBE_PAGE_HASHES = 0x53540008, // struct strobe_note_page_hashes
	NT_STROBE_EMBEDDED = 0x53540009,    // struct strobe_note_embedded, its build id and path
	NT_STROBE_SIGNAL = 0x5354000a,	    // struct strobe_note_signal: one queued signal
	NT_STROBE_FROZEN = 0x5354000b,	    // struct strobe_note_frozen: never in a file on disk
};

enum { STROBE_NOTE_VERSION = 1, STROBE_ID_SIZE = 16 };

struct strobe_note_capture {
	uint32_t version;
	uint32_t method;	    // enum strobe_snapshot_method; 3 = crash handler, 0 = not told
	uint64_t realtime_ns;	    // wall clock since 1970, at the stop
	uint64_t boottime_ns;	    // CLOCK_BOOTTIME at the stop
	uint64_t pause_ns;	    // how long the process stood
	uint32_t contents;	    // enum strobe_contents
	uint32_t redacted;	    // enum strobe_redact, bit 31: patterns
	uint8_t id[STROBE_ID_SIZE]; // random: which capture this is
};
_Static_assert(sizeof(struct strobe_note_capture) == 56, "on disk");

enum strobe_note_thread_flag {
	STROBE_THREAD_NOT_STOPPED = 1,	 // did not stop in time: registers from /proc or none
	STROBE_THREAD_IN_SYSCALL = 2,	 // was inside a system call (orig_rax tells which)
	STROBE_THREAD_SIGNALS_KNOWN = 4, // blocked and pending are valid
	STROBE_THREAD_ROBUST_KNOWN = 8,	 // robust_list is valid
	STROBE_THREAD_RSEQ_KNOWN = 16,	 // rseq is valid
};
struct strobe_note_thread {
	uint32_t version;
	int32_t tid;
	uint32_t flags;
	int32_t cpu;   // that it ran on last; -1 = not known
	uint8_t state; // 'R', 'S', 'D', 'T', 't', 'Z', ... before we stopped it; 0 = not known
	uint8_t reserved[7];
	uint64_t blocked, pending; // masks: bit n-1 = signal n; pending for this thread alone
	uint64_t robust_list, robust_list_size;
	uint64_t rseq_address;
	uint32_t rseq_size, rseq_signature, rseq_flags, rseq_reserved;
};
_Static_assert(sizeof(struct strobe_note_thread) == 80, "on disk");

// Followed by three NUL-terminated strings: where /proc/PID/fd/N leads ("/tmp/x",
// "socket:[123]", "anon_inode:[eventpoll]"), the text of /proc/PID/fdinfo/N, and for sockets and
// pipes what is at the other end ("tcp 127.0.0.1:80 <- 127.0.0.1:40312 ESTABLISHED",
// "pipe of 1234 (cat)", "" = not known).
struct strobe_note_descriptor {
	int32_t fd;
	uint32_t mode; // st_mode of stat(2) through /proc/PID/fd/N; 0 = not known
};

struct strobe_note_range {
	uint64_t start, end;
};

enum strobe_extent_kind {
	STROBE_EXTENT_AS_FILE = 1,    // equal to the mapped file
	STROBE_EXTENT_AS_PARENT = 2,  // equal to the snapshot that NT_STROBE_PARENT names
	STROBE_EXTENT_UNREADABLE = 3, // could not be read when it was taken
	STROBE_EXTENT_LEFT_OUT = 4,   // not asked for (--contents)
	STROBE_EXTENT_ZERO = 5,	      // zero, and not in the file
};
struct strobe_note_extent {
	uint64_t start, end; // addresses; none of it is in a PT_LOAD's p_filesz
	uint32_t kind, reserved;
};

struct strobe_note_parent {
	uint8_t id[STROBE_ID_SIZE]; // its strobe_note_capture.id
};

// One 64-bit XXH3 (seed 0) for each page of the file from data_offset on, in the order of the
// file, but 0 for a page of zeros: a checksum, and what --since compares. The table itself stands
// at table_offset; where nothing but zeros is, it is a hole.
struct strobe_note_page_hashes {
	uint64_t table_offset, data_offset, page_count;
	uint32_t page_size, kind; // kind 1 = XXH3_64bits
};

enum strobe_embedded_kind {
	STROBE_EMBEDDED_EXECUTABLE = 1, // what was mapped: program, library
	STROBE_EMBEDDED_DEBUG = 2,	// its separate debug file
	STROBE_EMBEDDED_ALTERNATE = 3,	// dwz file
	STROBE_EMBEDDED_COMPANION = 4,	// .dwo, .dwp
};
// Followed by two NUL-terminated strings: build id in hex ("" = none), path as mapped.
struct strobe_note_embedded {
	uint64_t offset, size; // in this (uncompressed) file
	uint32_t kind, reserved;
};

// Followed by the siginfo_t, 128 bytes.
struct strobe_note_signal {
	int32_t tid; // whose queue; 0 = the process's
	uint32_t reserved;
};

struct strobe_note_frozen {
	int32_t pid; // of the clone that holds all memory that is in no PT_LOAD
	uint32_t reserved;
};

#endif
