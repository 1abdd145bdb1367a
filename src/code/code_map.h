// SPDX-License-Identifier: Apache-2.0
#ifndef CODE_CODE_MAP_H
#define CODE_CODE_MAP_H

// Code by stretches: instructions one behind the other up to the first that may go elsewhere. Each is decoded
// once, when it is first executed. Memory: some 50 bytes a stretch and 1 byte an instruction of code that was
// executed, however often.

#include <stdbool.h>
#include <stdint.h>
#include <strobe/cursor.h>
#include <strobe/view.h>

/** A stretch longer than this ends without a branch and goes on at `end`. */
enum { CODE_STRETCH_MAX = 256 };
/** No stretch: the code is not readable, or no instruction. */
#define CODE_NONE UINT32_MAX

struct code_stretch {
	uint64_t address; // of the first instruction
	uint64_t end;	  // behind the last
	uint64_t target;  // of a direct branch
	uint32_t lengths; // index of the first instruction's length; code_map_lengths()
	uint16_t count;	  // instructions, 1 to CODE_STRETCH_MAX
	uint8_t flow; // enum strobe_flow of the last one; STROBE_FLOW_OTHER = simply ends at `end`
	bool has_target;
};

enum { CODE_STRETCH_CHUNK = 512, CODE_LENGTHS_CHUNK = 16384 };
/** Where a map keeps what it has; chunks never move, the tables of them may with the next code_map_find(). For those
 *  who look at stretches by the million; others ask code_map_stretch(). */
struct code_tables {
	struct code_stretch **
		stretches; // stretch i is item i % CODE_STRETCH_CHUNK of chunk i / CODE_STRETCH_CHUNK
	uint8_t **lengths;
};

static inline const struct code_stretch *code_tables_stretch(const struct code_tables *tables,
							     uint32_t index)
{
	return &tables->stretches[index / CODE_STRETCH_CHUNK][index % CODE_STRETCH_CHUNK];
}

static inline const uint8_t *code_tables_lengths(const struct code_tables *tables,
						 const struct code_stretch *stretch)
{
	return tables->lengths[stretch->lengths / CODE_LENGTHS_CHUNK] +
	       stretch->lengths % CODE_LENGTHS_CHUNK;
}

struct code_map;

/** A map of the code in `view`, which must outlive it; `view` is only read, and may be shared by maps in
 *  other threads only if `read` (NULL = from the view) can be. */
typedef size_t (*code_read)(void *context, uint64_t address, void *buffer, size_t size);
struct strobe_error *code_map_new(const struct strobe_view *view, code_read read, void *context,
				  struct code_map **ret) STROBE_MUST_CHECK;
struct code_map *code_map_free(struct code_map *map);

/** Index of the stretch that begins at `address`, in `bits`-bit code (16, 32, 64); CODE_NONE where there is
 *  no instruction to be read. Fast for what was asked before. Errors: out of memory. */
struct strobe_error *code_map_find(struct code_map *map, uint64_t address, unsigned bits,
				   uint32_t *ret) STROBE_MUST_CHECK;
/** Borrowed from the map, which never moves what it gave: stretches and lengths stand in chunks. Cursors
 *  keep pointers to both while other windows are decoded. */
const struct code_stretch *code_map_stretch(const struct code_map *map, uint32_t index);
const uint8_t *code_map_lengths(const struct code_map *map, const struct code_stretch *stretch);
/** Address of instruction `index` < count. */
uint64_t code_map_address(const struct code_map *map, const struct code_stretch *stretch,
			  unsigned index);
/** Its tables, which live as long as the map. */
const struct code_tables *code_map_tables(const struct code_map *map);
uint32_t code_map_count(const struct code_map *map);
uint64_t code_map_bytes(const struct code_map *map);

#endif
