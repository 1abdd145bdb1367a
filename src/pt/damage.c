// SPDX-License-Identifier: Apache-2.0
#include "pt/damage.h"

#include <string.h>

enum {
	// Processors pad packets to eight bytes; recorded traces have up to 8 in a row while tracing is on.
	PADDING_MAX = 16,
	PADDING_USUAL = 8,
	CALL_MAX = 8, // bytes of a near call with a prefix
	WINDOW_BEFORE = 64,
	ALIGNMENT = 16,
};

static bool has_zero_words(const uint8_t *bytes, size_t size, size_t words)
{
	size_t row = 0;
	for (size_t at = 0; at + sizeof(uint64_t) <= size; at += sizeof(uint64_t)) {
		uint64_t word;
		memcpy(&word, bytes + at, sizeof(word));
		row = word ? 0 : row + 1;
		if (row >= words)
			return true;
	}
	return false;
}

/** Reading packets for rows of PAD. */
struct row {
	size_t start, count;
	bool enabled, header;
};

// True if `packet` ends a row that is too long.
static bool see_packet(struct row *row, const struct pt_packet *packet, size_t offset, size_t most)
{
	if (packet->type == ppt_pad) {
		if (row->count++ == 0)
			row->start = offset;
		return false;
	}
	if (row->count > most && row->enabled && !row->header)
		return true;
	row->count = 0;
	if (packet->type == ppt_psb)
		row->header = true;
	if (packet->type == ppt_psbend)
		row->header = false;
	if (packet->type == ppt_tip_pge || (packet->type == ppt_fup && row->header))
		row->enabled = true;
	if (packet->type == ppt_tip_pgd || packet->type == ppt_ovf)
		row->enabled = false;
	return false;
}

size_t damage_find_zeros(const struct pt_config *config, const uint8_t *bytes, size_t size,
			 bool strict, size_t *count)
{
	struct pt_config part = *config;
	struct pt_packet packet;
	struct row row = {0};
	size_t most = strict ? PADDING_USUAL : PADDING_MAX, found = SIZE_MAX;
	uint64_t offset = 0;
	// Seventeen zero bytes hold one whole word at a multiple of eight, and more hold two.
	if (!has_zero_words(bytes, size, 1))
		return SIZE_MAX;
	part.begin = (uint8_t *)bytes;
	part.end = part.begin + size;
	struct pt_packet_decoder *decoder = pt_pkt_alloc_decoder(&part);
	int status = decoder ? pt_pkt_sync_set(decoder, 0) : -pte_nomem;
	while (status >= 0 && found == SIZE_MAX) {
		if (pt_pkt_get_offset(decoder, &offset) < 0)
			break;
		status = pt_pkt_next(decoder, &packet, sizeof(packet));
		if (status >= 0 && see_packet(&row, &packet, (size_t)offset, most))
			found = row.start;
	}
	pt_pkt_free_decoder(decoder);
	*count = row.count;
	return found;
}

// Bytes before and behind `target`; how many of those before there are in `*before`.
static size_t read_around(const struct damage *damage, uint64_t target, uint8_t *bytes,
			  size_t want_before, size_t want_behind, size_t *before)
{
	void *image = (void *)(uintptr_t)damage->image;
	uint64_t start = target < want_before ? 0 : target - want_before;
	size_t size = image_read(image, start, bytes, (size_t)(target - start) + want_behind);
	*before = (size_t)(target - start);
	if (size >= *before)
		return size - *before;
	// Not all that is before can be read: what is behind at least.
	*before = 0;
	return image_read(image, target, bytes, want_behind);
}

// E8, FF /2 with any addressing, 9A and FF /3 (far), SYSCALL: more than these do no harm.
static bool may_be_call(const uint8_t *bytes, size_t size)
{
	if (size >= 5 && bytes[size - 5] == 0xe8)
		return true;
	if (size >= 2 && bytes[size - 2] == 0x0f && bytes[size - 1] == 0x05)
		return true;
	if (size >= 2 && bytes[size - 2] == 0xcd) // INT
		return true;
	if (size >= 5 && bytes[size - 5] == 0x9a)
		return true;
	for (size_t length = 2; length <= CALL_MAX && length <= size; length++) {
		const uint8_t *at = bytes + size - length;
		unsigned field = at[1] >> 3 & 7;
		if (at[0] == 0xff && (field == 2 || field == 3))
			return true;
	}
	return false;
}

// A function begins here, or the kernel's or libc's return from a signal handler.
static bool may_be_entry(const uint8_t *at, size_t size, uint64_t address, const uint8_t *before,
			 size_t before_size)
{
	static const uint8_t landing[] = {0xf3, 0x0f, 0x1e, 0xfa}; // endbr64
	static const uint8_t restorer[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
	static const uint8_t restorer_2[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
	if (size >= sizeof(landing) && memcmp(at, landing, sizeof(landing)) == 0)
		return true;
	if (size >= sizeof(restorer) && memcmp(at, restorer, sizeof(restorer)) == 0)
		return true;
	if (size >= sizeof(restorer_2) && memcmp(at, restorer_2, sizeof(restorer_2)) == 0)
		return true;
	if (address % ALIGNMENT == 0 || size == 0 || at[0] == 0x55) // push %rbp
		return true;
	// What is behind padding, or behind code that goes elsewhere.
	uint8_t last = before_size ? before[before_size - 1] : 0x90;
	return last == 0x90 || last == 0xcc || last == 0xc3 || last == 0 ||
	       (before_size >= 2 && before[before_size - 2] == 0xeb);
}

// Does the code before a return put an address, or another stack, into its way? Retpolines, coroutines, unwinders.
static bool makes_return(const struct damage *damage, const struct code_stretch *from)
{
	const uint8_t *lengths = code_map_lengths(damage->map, from);
	uint64_t address = from->address;
	for (unsigned i = 0; i + 1 < from->count; i++) {
		uint8_t bytes[15];
		size_t size =
			image_read((void *)(uintptr_t)damage->image, address, bytes, lengths[i]);
		size_t at = 0;
		address += lengths[i];
		if (size < lengths[i] || size == 0)
			return true;
		while (at + 1 < size && (bytes[at] & 0xf0) == 0x40)
			at++; // REX
		uint8_t opcode = bytes[at], operand = at + 1 < size ? bytes[at + 1] : 0;
		bool writes_memory = opcode == 0x89 || opcode == 0xc7 || opcode == 0x87;
		bool from_memory = opcode == 0x8b || opcode == 0x8d;
		if ((opcode & 0xf8) == 0x50 || opcode == 0x68 || opcode == 0x6a ||
		    (opcode == 0xff && (operand >> 3 & 7) == 6))
			return true; // PUSH
		if (writes_memory && (operand & 7) == 4)
			return true; // to (%rsp), or to %rsp
		if (from_memory && (operand >> 3 & 7) == 4)
			return true; // MOV or LEA to %rsp
	}
	return false;
}

static bool judge_return(const struct damage *damage, const struct code_stretch *from,
			 uint64_t target, bool strict)
{
	uint8_t bytes[CALL_MAX + 16];
	size_t before = 0;
	size_t behind = read_around(damage, target, bytes, CALL_MAX, 16, &before);
	// Where nothing can be read nothing is known.
	if (before < CALL_MAX || behind == 0 || may_be_call(bytes, before))
		return true;
	if (strict)
		return false;
	return may_be_entry(bytes + before, behind, target, bytes, before) ||
	       makes_return(damage, from);
}

bool damage_check_return(struct damage *damage, const struct code_stretch *from, uint64_t target,
			 bool strict)
{
	uint64_t *kept = &damage->good[(target ^ target >> 12) % DAMAGE_VERDICTS];
	if (*kept == target && !strict)
		return true;
	if (!judge_return(damage, from, target, strict))
		return false;
	// Good whoever returns there: what depends on `from` is asked again.
	uint8_t bytes[CALL_MAX];
	size_t before = 0;
	(void)read_around(damage, target, bytes, CALL_MAX, 0, &before);
	if (before < CALL_MAX || may_be_call(bytes, before))
		*kept = target;
	return true;
}

// Instructions from `start` on up to or past `target`; `*last` is the start of the one that holds it, or `target`. False
// where something is no instruction.
static bool read_up_to(const struct damage *damage, uint64_t start, uint64_t target, uint64_t *last)
{
	uint64_t address = *last = start;
	while (address < target) {
		uint32_t index = CODE_NONE;
		struct strobe_error *error = code_map_find(damage->map, address, 64, &index);
		if (error || index == CODE_NONE) {
			strobe_error_free(error);
			return false;
		}
		const struct code_stretch *stretch = code_map_stretch(damage->map, index);
		const uint8_t *lengths = code_map_lengths(damage->map, stretch);
		for (unsigned n = 0; n < stretch->count && address < target; n++) {
			*last = address;
			address += lengths[n];
		}
	}
	if (address == target)
		*last = target;
	return true;
}

static bool are_prefixes(const struct damage *damage, uint64_t from, uint64_t to)
{
	static const uint8_t prefixes[] = {0xf0, 0xf2, 0xf3, 0x66, 0x2e, 0x36,
					   0x3e, 0x26, 0x64, 0x65, 0x67};
	uint8_t bytes[16];
	size_t size = (size_t)(to - from);
	if (size > sizeof(bytes) ||
	    image_read((void *)(uintptr_t)damage->image, from, bytes, size) != size)
		return true;
	for (size_t i = 0; i < size; i++)
		if (!memchr(prefixes, bytes[i], sizeof(prefixes)))
			return false;
	return true;
}

// Of those who begin to read at every byte some way before `target`, how many come to it?
static unsigned count_readers(const struct damage *damage, uint64_t target, unsigned starts,
			      bool *all_code)
{
	unsigned count = 0;
	*all_code = true;
	for (unsigned i = 0; i < starts; i++) {
		uint64_t last;
		if (!read_up_to(damage, target - WINDOW_BEFORE + i, target, &last))
			*all_code = false;
		else if (last == target)
			count++;
	}
	return count;
}

bool damage_is_inside(struct damage *damage, uint64_t target)
{
	enum { FUNCTION_MAX = 1 << 16, STARTS = 32 };
	bool all_code;
	uint64_t *kept = &damage->begins[(target ^ target >> 12) % DAMAGE_VERDICTS];
	uint64_t start, end, last, behind;
	// Data between instructions may put who reads all of it out of step: who begins near it is in step again.
	if (*kept == target || !damage->functions)
		return false;
	if (functions_at(damage->functions, target, &start, &end) && end - start <= FUNCTION_MAX &&
	    read_up_to(damage, start, target, &last) && last != target &&
	    !are_prefixes(damage, last, target) && read_up_to(damage, last, end, &behind) &&
	    behind == end && count_readers(damage, target, STARTS, &all_code) < STARTS / 2)
		return true;
	*kept = target;
	return false;
}

bool damage_check_boundary(const struct damage *damage, uint64_t target)
{
	enum { STARTS = 16 };
	bool all_code;
	// Not code, or not all of it: nothing is known.
	return count_readers(damage, target, STARTS, &all_code) > 0 || !all_code;
}
