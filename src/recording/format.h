// SPDX-License-Identifier: Apache-2.0
#ifndef RECORDING_FORMAT_H
#define RECORDING_FORMAT_H

// Strobe's own trace file as it is on disk: docs/format/recording.md. Little-endian. Changing anything here bumps
// RECORDING_VERSION, the document, and the fixture of its test.

#include <assert.h>
#include <stdint.h>

#define RECORDING_MAGIC "STROBERC"
enum {
	RECORDING_VERSION = 1,
	RECORDING_ALIGNMENT = 8,	 // of chunks
	RECORDING_CHUNK_LIMIT = 1 << 30, // bytes; a larger one is damage
	RECORDING_TEXT_LIMIT = 65536,
};

struct recording_header {
	char magic[8];
	uint32_t version;
	uint32_t header_size;
	uint8_t id[16];	    // random
	int64_t created_ns; // since 1970
	uint32_t method;    // enum recording_method
	uint32_t zero;
	uint32_t pid; // of the first process
	uint32_t zero_2;
	uint64_t checksum; // XXH3 of all before
};
static_assert(sizeof(struct recording_header) == 64, "header");

enum recording_chunk_type {
	CHUNK_CLOCK = 1,
	CHUNK_CPU = 2,
	CHUNK_THREAD = 3,
	CHUNK_MAPPING = 4,
	CHUNK_UNMAPPING = 5,
	CHUNK_CODE = 6,
	CHUNK_EVENTS = 7,
	CHUNK_PACKETS = 8,
	CHUNK_SWITCHES = 9,
	CHUNK_FINISHED = 10,
};

struct recording_chunk {
	uint32_t type;	 // unknown ones are skipped
	uint32_t stream; // of CHUNK_PACKETS, else 0
	uint64_t size;	 // of the payload, which is filled up with zeros to a multiple of 8
	uint64_t payload_checksum; // XXH3
	uint64_t checksum;	   // XXH3 of the 24 bytes before
};
static_assert(sizeof(struct recording_chunk) == 32, "chunk");

struct recording_clock_chunk {
	uint64_t zero;
	int64_t wall_offset_ns;
	uint32_t multiplier;
	uint32_t shift;
};
static_assert(sizeof(struct recording_clock_chunk) == 24, "clock");

struct recording_cpu_chunk {
	char vendor[16];
	uint32_t family, model, stepping;
	uint32_t cpuid_15_eax, cpuid_15_ebx;
	uint8_t mtc_frequency, nominal_frequency;
	uint16_t zero;
};
static_assert(sizeof(struct recording_cpu_chunk) == 40, "cpu");

// A stream and the thread, or the CPU, that it is of.
struct recording_thread_chunk {
	uint64_t clock;
	uint32_t stream;  // counted from 0 in the order of these chunks
	int32_t pid, tid; // -1: of a CPU
	int32_t cpu;	  // -1: of a thread
			  // then the name
};
static_assert(sizeof(struct recording_thread_chunk) == 24, "thread");

struct recording_mapping_chunk {
	uint64_t clock;
	uint64_t start, size, offset;
	int32_t pid;
	uint16_t path_size,
		file_size; // of the texts that follow: path, file (where it can be read, if not at
			   // `path`), then the build id in bytes up to the end
};
static_assert(sizeof(struct recording_mapping_chunk) == 40, "mapping");

struct recording_unmapping_chunk {
	uint64_t clock;
	uint64_t start, size;
	int32_t pid;
	uint32_t zero;
};
static_assert(sizeof(struct recording_unmapping_chunk) == 32, "unmapping");

struct recording_code_chunk {
	uint64_t clock;
	uint64_t start;
	int32_t pid;
	uint32_t name_size; // then the name, filled up to a multiple of 8, then the code
};
static_assert(sizeof(struct recording_code_chunk) == 24, "code");

/** In recording_thread_chunk.stream: a name only. */
#define RECORDING_NO_STREAM UINT32_MAX

enum { EVENT_HAS_ADDRESS = 1, EVENT_HAS_TARGET = 2 };

struct recording_event_record {
	uint32_t size; // of the record with its text, a multiple of 8
	uint16_t type; // enum strobe_event_type
	uint16_t flags;
	uint64_t id; // in a PTWRITE payload: RECORDING_PAYLOAD | id
	uint64_t clock;
	int32_t pid, tid;
	uint64_t address, target, value, value_2;
	uint64_t arguments[6]; // of a system call
			       // then a text, ended by a NUL
};
static_assert(sizeof(struct recording_event_record) == 112, "event");

/** Payloads of PTWRITE packets that name an event: "STRB" in the upper half. */
#define RECORDING_PAYLOAD (UINT64_C(0x42525453) << 32)

struct recording_switch_record {
	uint64_t start, end; // on the clock; end UINT64_MAX = not known
	int32_t pid, tid;
	int32_t cpu;
	uint32_t zero;
};
static_assert(sizeof(struct recording_switch_record) == 32, "switch");

struct recording_finished_chunk {
	uint64_t clock;
	uint64_t instructions;
	uint64_t lost_bytes; // packets that did not reach the file
};
static_assert(sizeof(struct recording_finished_chunk) == 24, "finished");

#endif
