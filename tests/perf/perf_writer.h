// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_PERF_WRITER_H
#define TESTS_PERF_WRITER_H

// Writes perf.data files, from the documented layout alone (perf.data-file-format.txt, perf_event_open(2)). What goes
// wrong here ends the program.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

/** Who, when and where: what ends the kernel's records. */
struct stamp {
	int pid, tid, cpu;
	uint64_t time;
};

struct perf_writer {
	struct text records, build_ids;
	bool pipe;
	uint64_t sample_type; // 0 = tid, time, cpu, identifier
	const char *cpu;      // "GenuineIntel,6,85,4"; NULL = not told
	bool with_kernel;     // the kernel was traced, too
	uint64_t aux_offset;  // grows with each piece
};

enum { WRITER_PMU_TYPE = 8, WRITER_CONFIG = 0x300e601 }; // tsc, mtc (period 3), branch

/** A record of the kernel's, or (stamp NULL) of perf's own. `body` is filled up to 8 bytes. */
void perf_writer_record(struct perf_writer *writer, uint32_t type, uint16_t misc, const void *body,
			size_t size, const struct stamp *stamp);
/** In pipe mode, what else stands in the header; call it first. */
void perf_writer_begin(struct perf_writer *writer);
struct writer_info {
	bool snapshots, per_cpu;
	uint32_t multiplier, shift;
	uint64_t zero;
};
void perf_writer_info(struct perf_writer *writer, const struct writer_info *info);
/** Packets of ring `index`; `offset` in it. */
void perf_writer_packets(struct perf_writer *writer, uint32_t index, int cpu, int tid,
			 uint64_t offset, const void *bytes, size_t size);
struct writer_map {
	uint64_t start, size, offset;
	const char *path;
	const char *build_id; // hex; NULL = as file numbers
	unsigned protection;  // 5 = read, execute
};
void perf_writer_map(struct perf_writer *writer, const struct stamp *stamp,
		     const struct writer_map *map);
void perf_writer_name(struct perf_writer *writer, const struct stamp *stamp, const char *name,
		      bool exec);
void perf_writer_fork(struct perf_writer *writer, const struct stamp *stamp, int parent, int pid,
		      int tid);
void perf_writer_exit(struct perf_writer *writer, const struct stamp *stamp);
void perf_writer_switch(struct perf_writer *writer, const struct stamp *stamp, bool out,
			bool cpu_wide);
void perf_writer_start(struct perf_writer *writer, const struct stamp *stamp);
/** Packets landed in the AUX area; `flags` of PERF_RECORD_AUX. */
void perf_writer_landed(struct perf_writer *writer, const struct stamp *stamp, uint64_t offset,
			uint64_t size, uint64_t flags);
/** For the header's list of build ids. */
void perf_writer_build_id(struct perf_writer *writer, const char *path, const char *build_id);
/** The whole file, malloc'ed. */
uint8_t *perf_writer_finish(struct perf_writer *writer, size_t *size);

#endif
