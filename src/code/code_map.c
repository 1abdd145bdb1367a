// SPDX-License-Identifier: Apache-2.0
#include "code/code_map.h"

#include <assert.h>
#include <string.h>
#include <strobe/memory.h>
#include <Zydis/Zydis.h>

#include "base/array.h"
#include "base/error.h"

// Invariants:
//  1. Stretch i is item i % CODE_STRETCH_CHUNK of chunk i / CODE_STRETCH_CHUNK; chunks never move.
//  2. A stretch's lengths lie in one chunk of lengths, whole.
//  3. Each stretch stands in one slot, which says for how many bits it was decoded. At most half of the
//     slots are taken. One with a count of 0 remembers that there is no code.

enum {
	MIN_SLOTS = 1024,
	INSTRUCTION_MAX = 15,
	// The most stretches: what a hostile trace can make of its code ends here.
	MAX_STRETCHES = 1 << 26,
	MAX_LENGTH_CHUNKS = 1 << 17, // 2 GiB
	READ_SIZE = 512,
};

struct slot {
	uint32_t index; // of a stretch
	uint32_t bits;	// 0 = empty
};

struct code_map {
	const struct strobe_view *view;
	code_read read;
	void *context;
	ZydisDecoder decoders[3]; // 16, 32, 64 bits
	ARRAY(struct code_stretch *) stretches;
	ARRAY(uint8_t *) lengths;
	struct code_tables tables; // the items of both
	uint32_t count;
	uint32_t lengths_used; // of the last chunk
	struct slot *slots;
	uint32_t slot_count; // a power of two
};

/** Code being decoded, a piece at a time. */
struct reader {
	struct code_map *map;
	uint64_t address; // of bytes[0]
	size_t size;
	uint8_t bytes[READ_SIZE];
};

static size_t read_view(void *context, uint64_t address, void *buffer, size_t size)
{
	return strobe_memory_read(context, address, buffer, size);
}

static struct strobe_error *make_slots(struct code_map *map, uint32_t count)
{
	map->slots = calloc(count, sizeof(*map->slots));
	map->slot_count = count;
	return map->slots ? NULL : error_no_memory();
}

struct strobe_error *code_map_new(const struct strobe_view *view, code_read read, void *context,
				  struct code_map **ret)
{
	static const ZydisMachineMode modes[] = {ZYDIS_MACHINE_MODE_LEGACY_16,
						 ZYDIS_MACHINE_MODE_LEGACY_32,
						 ZYDIS_MACHINE_MODE_LONG_64};
	static const ZydisStackWidth widths[] = {ZYDIS_STACK_WIDTH_16, ZYDIS_STACK_WIDTH_32,
						 ZYDIS_STACK_WIDTH_64};
	struct code_map *map = calloc(1, sizeof(*map));
	if (!map)
		return error_no_memory();
	map->view = view;
	map->read = read ? read : read_view;
	map->context = read ? context : (void *)view;
	for (unsigned i = 0; i < 3; i++) {
		ZyanStatus status = ZydisDecoderInit(&map->decoders[i], modes[i], widths[i]);
		assert(ZYAN_SUCCESS(status)); // a build of Zydis without its decoder
	}
	struct strobe_error *error = make_slots(map, MIN_SLOTS);
	if (error)
		map = code_map_free(map);
	else
		*ret = map;
	return error;
}

struct code_map *code_map_free(struct code_map *map)
{
	if (!map)
		return NULL;
	for (size_t i = 0; i < map->stretches.count; i++)
		free(map->stretches.items[i]);
	for (size_t i = 0; i < map->lengths.count; i++)
		free(map->lengths.items[i]);
	array_fini(&map->stretches);
	array_fini(&map->lengths);
	free(map->slots);
	free(map);
	return NULL;
}

static struct code_stretch *stretch_at(const struct code_map *map, uint32_t index)
{
	return &map->stretches.items[index / CODE_STRETCH_CHUNK][index % CODE_STRETCH_CHUNK];
}

// Up to INSTRUCTION_MAX bytes at `address`; how many there are in `*size`.
static const uint8_t *fetch(struct reader *reader, uint64_t address, size_t *size)
{
	uint64_t offset = address - reader->address;
	if (offset > reader->size || reader->size - offset < INSTRUCTION_MAX) {
		reader->address = address;
		reader->size = reader->map->read(reader->map->context, address, reader->bytes,
						 sizeof(reader->bytes));
		offset = 0;
	}
	*size = reader->size - offset;
	return reader->bytes + offset;
}

static enum strobe_flow branch_flow(const ZydisDecodedInstruction *instruction,
				    enum strobe_flow near, enum strobe_flow far)
{
	return instruction->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ? far : near;
}

// The classes are LLDB's (TraceDumper, GetControlFlowKind), and libipt's: a VM entry leaves as an interrupt's
// return does, and XBEGIN goes on behind itself.
static enum strobe_flow classify(const ZydisDecodedInstruction *instruction)
{
	switch (instruction->mnemonic) {
	case ZYDIS_MNEMONIC_XBEGIN:
		return STROBE_FLOW_OTHER;
	case ZYDIS_MNEMONIC_VMCALL:
		return STROBE_FLOW_FAR_CALL;
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
	case ZYDIS_MNEMONIC_IRETQ:
	case ZYDIS_MNEMONIC_SYSRET:
	case ZYDIS_MNEMONIC_SYSEXIT:
	case ZYDIS_MNEMONIC_UIRET:
	case ZYDIS_MNEMONIC_VMLAUNCH:
	case ZYDIS_MNEMONIC_VMRESUME:
		return STROBE_FLOW_FAR_RETURN;
	case ZYDIS_MNEMONIC_SYSCALL:
	case ZYDIS_MNEMONIC_SYSENTER:
	case ZYDIS_MNEMONIC_INT:
	case ZYDIS_MNEMONIC_INT1:
	case ZYDIS_MNEMONIC_INT3:
	case ZYDIS_MNEMONIC_INTO:
		return STROBE_FLOW_FAR_CALL;
	default:
		break;
	}
	switch (instruction->meta.category) {
	case ZYDIS_CATEGORY_CALL:
		return branch_flow(instruction, STROBE_FLOW_CALL, STROBE_FLOW_FAR_CALL);
	case ZYDIS_CATEGORY_RET:
		return branch_flow(instruction, STROBE_FLOW_RETURN, STROBE_FLOW_FAR_RETURN);
	case ZYDIS_CATEGORY_UNCOND_BR:
		return branch_flow(instruction, STROBE_FLOW_JUMP, STROBE_FLOW_FAR_JUMP);
	case ZYDIS_CATEGORY_COND_BR:
		return STROBE_FLOW_COND_JUMP;
	default:
		return STROBE_FLOW_OTHER;
	}
}

static void set_target(struct code_stretch *stretch, const ZydisDecodedInstruction *instruction,
		       unsigned bits)
{
	if (!instruction->raw.imm[0].is_relative)
		return;
	stretch->has_target = true;
	stretch->target = stretch->end + (uint64_t)instruction->raw.imm[0].value.s;
	// With 16-bit operands a branch outside of 64-bit code stays in the lowest 64 KiB.
	if (bits != 64)
		stretch->target &= instruction->operand_width == 16 ? 0xffff : 0xffffffff;
}

// Decodes from stretch->address on; count is 0 if there is no instruction.
static void decode(struct code_map *map, unsigned bits, struct code_stretch *stretch,
		   uint8_t lengths[CODE_STRETCH_MAX])
{
	const ZydisDecoder *decoder = &map->decoders[bits == 64 ? 2 : bits == 32 ? 1 : 0];
	struct reader reader = {.map = map};
	stretch->end = stretch->address;
	while (stretch->count < CODE_STRETCH_MAX && stretch->flow == STROBE_FLOW_OTHER) {
		ZydisDecodedInstruction instruction;
		size_t size = 0;
		const uint8_t *bytes = fetch(&reader, stretch->end, &size);
		if (size == 0 || !ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(decoder, NULL, bytes,
									     size, &instruction)))
			break;
		if (instruction.length > UINT64_MAX - stretch->end)
			break;
		lengths[stretch->count++] = instruction.length;
		stretch->end += instruction.length;
		stretch->flow = (uint8_t)classify(&instruction);
		if (stretch->flow != STROBE_FLOW_OTHER)
			set_target(stretch, &instruction, bits);
	}
}

static struct strobe_error *store_lengths(struct code_map *map, struct code_stretch *stretch,
					  const uint8_t *lengths)
{
	if (map->lengths.count == 0 || CODE_LENGTHS_CHUNK - map->lengths_used < stretch->count) {
		if (map->lengths.count >= MAX_LENGTH_CHUNKS)
			return error_new(STROBE_ERROR_LIMIT, "code of too many instructions");
		uint8_t *chunk = malloc(CODE_LENGTHS_CHUNK);
		if (!chunk || !array_push(&map->lengths, chunk)) {
			free(chunk);
			return error_no_memory();
		}
		map->lengths_used = 0;
		map->tables.lengths = map->lengths.items;
	}
	uint32_t chunk = (uint32_t)map->lengths.count - 1;
	memcpy(map->lengths.items[chunk] + map->lengths_used, lengths, stretch->count);
	stretch->lengths = chunk * CODE_LENGTHS_CHUNK + map->lengths_used;
	map->lengths_used += stretch->count;
	return NULL;
}

static struct slot *find_slot(const struct code_map *map, uint64_t address, unsigned bits)
{
	uint32_t mask = map->slot_count - 1;
	uint32_t at = (uint32_t)((address + bits) * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;
	for (;; at = (at + 1) & mask) {
		struct slot *slot = &map->slots[at];
		if (slot->bits == 0 ||
		    (slot->bits == bits && stretch_at(map, slot->index)->address == address))
			return slot;
	}
}

static struct strobe_error *grow_slots(struct code_map *map)
{
	struct slot *old = map->slots;
	uint32_t old_count = map->slot_count;
	struct strobe_error *error = make_slots(map, old_count * 2);
	if (error) {
		map->slots = old;
		map->slot_count = old_count;
		return error;
	}
	for (uint32_t i = 0; i < old_count; i++)
		if (old[i].bits)
			*find_slot(map, stretch_at(map, old[i].index)->address, old[i].bits) =
				old[i];
	free(old);
	return NULL;
}

static struct strobe_error *make_room(struct code_map *map)
{
	if (map->count >= MAX_STRETCHES)
		return error_new(STROBE_ERROR_LIMIT, "code of more than %d stretches",
				 MAX_STRETCHES);
	if (map->count >= map->slot_count / 2) {
		struct strobe_error *error = grow_slots(map);
		if (error)
			return error;
	}
	if (map->count == map->stretches.count * CODE_STRETCH_CHUNK) {
		struct code_stretch *chunk = malloc(CODE_STRETCH_CHUNK * sizeof(*chunk));
		if (!chunk || !array_push(&map->stretches, chunk)) {
			free(chunk);
			return error_no_memory();
		}
		map->tables.stretches = map->stretches.items;
	}
	return NULL;
}

static struct strobe_error *add(struct code_map *map, uint64_t address, unsigned bits,
				uint32_t *ret)
{
	uint8_t lengths[CODE_STRETCH_MAX];
	struct code_stretch stretch = {.address = address};
	struct strobe_error *error = make_room(map);
	if (error)
		return error;
	decode(map, bits, &stretch, lengths);
	error = store_lengths(map, &stretch, lengths);
	if (error)
		return error;
	*find_slot(map, address, bits) = (struct slot){.index = map->count, .bits = bits};
	*stretch_at(map, map->count) = stretch;
	*ret = stretch.count ? map->count : CODE_NONE;
	map->count++;
	return NULL;
}

struct strobe_error *code_map_find(struct code_map *map, uint64_t address, unsigned bits,
				   uint32_t *ret)
{
	assert(bits == 16 || bits == 32 || bits == 64);
	const struct slot *slot = find_slot(map, address, bits);
	if (!slot->bits)
		return add(map, address, bits, ret);
	*ret = stretch_at(map, slot->index)->count ? slot->index : CODE_NONE;
	return NULL;
}

const struct code_stretch *code_map_stretch(const struct code_map *map, uint32_t index)
{
	assert(index < map->count);
	return stretch_at(map, index);
}

const uint8_t *code_map_lengths(const struct code_map *map, const struct code_stretch *stretch)
{
	return map->lengths.items[stretch->lengths / CODE_LENGTHS_CHUNK] +
	       stretch->lengths % CODE_LENGTHS_CHUNK;
}

uint64_t code_map_address(const struct code_map *map, const struct code_stretch *stretch,
			  unsigned index)
{
	const uint8_t *lengths = code_map_lengths(map, stretch);
	uint64_t address = stretch->address;
	assert(index < stretch->count);
	for (unsigned i = 0; i < index; i++)
		address += lengths[i];
	return address;
}

const struct code_tables *code_map_tables(const struct code_map *map)
{
	return &map->tables;
}

uint32_t code_map_count(const struct code_map *map)
{
	return map->count;
}

uint64_t code_map_bytes(const struct code_map *map)
{
	return sizeof(*map) + (uint64_t)map->slot_count * sizeof(*map->slots) +
	       (uint64_t)map->stretches.count * CODE_STRETCH_CHUNK * sizeof(struct code_stretch) +
	       (uint64_t)map->lengths.count * CODE_LENGTHS_CHUNK;
}
