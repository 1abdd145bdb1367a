// SPDX-License-Identifier: Apache-2.0
#include <elf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "generator.h"

const struct program_mix program_mix_usual = {
	.plain = 60,
	.conditional = 14,
	.jump = 4,
	.indirect_jump = 2,
	.call = 7,
	.indirect_call = 2,
	.call_next = 1,
	.return_ = 9,
	.system_call = 1,
};

enum { ELF_CODE_OFFSET = 0x1000 };

/** A kind of instruction: its bytes, of which the last four are a displacement if it is direct. */
struct shape {
	uint8_t size_bytes;
	uint8_t bytes[9];
	enum strobe_flow flow;
	bool direct;
};

static const struct shape plain[] = {
	{1, {0x90}, STROBE_FLOW_OTHER, false},
	{2, {0x66, 0x90}, STROBE_FLOW_OTHER, false},
	{3, {0x48, 0x89, 0xc0}, STROBE_FLOW_OTHER, false},
	{4, {0x0f, 0x1f, 0x40, 0}, STROBE_FLOW_OTHER, false},
	{7, {0x48, 0xc7, 0xc0, 1, 2, 3, 4}, STROBE_FLOW_OTHER, false},
	{9, {0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0}, STROBE_FLOW_OTHER, false},
};
static const struct shape conditional = {6, {0x0f, 0x84, 0, 0, 0, 0}, STROBE_FLOW_COND_JUMP, true};
static const struct shape jump = {5, {0xe9}, STROBE_FLOW_JUMP, true};
static const struct shape indirect_jump = {2, {0xff, 0xe0}, STROBE_FLOW_JUMP, false};
static const struct shape call = {5, {0xe8}, STROBE_FLOW_CALL, true};
static const struct shape indirect_call = {2, {0xff, 0xd0}, STROBE_FLOW_CALL, false};
static const struct shape return_ = {1, {0xc3}, STROBE_FLOW_RETURN, false};
static const struct shape system_call = {2, {0x0f, 0x05}, STROBE_FLOW_FAR_CALL, false};
static const struct shape ptwrite = {5, {0xf3, 0x48, 0x0f, 0xae, 0xe0}, STROBE_FLOW_OTHER, false};

static void require(bool done)
{
	if (done)
		return;
	fprintf(stderr, "generator: out of memory\n");
	abort();
}

static void add(struct program *program, const struct shape *shape, bool to_next)
{
	struct pt_step step = {
		.address = program->base + program->code.count,
		.size_bytes = shape->size_bytes,
		.flow = shape->flow,
		.has_target = shape->direct,
	};
	if (to_next)
		step.target = step.address + step.size_bytes;
	for (unsigned i = 0; i < shape->size_bytes; i++)
		require(array_push(&program->code, shape->bytes[i]));
	require(array_push(&program->steps, step));
}

static const struct shape *draw(struct chance *chance, const struct program_mix *mix, bool *to_next)
{
	const struct {
		unsigned weight;
		const struct shape *shape;
	} kinds[] = {
		{mix->plain, &plain[chance_below(chance, sizeof(plain) / sizeof(plain[0]))]},
		{mix->conditional, &conditional},
		{mix->jump, &jump},
		{mix->indirect_jump, &indirect_jump},
		{mix->call, &call},
		{mix->indirect_call, &indirect_call},
		{mix->return_, &return_},
		{mix->system_call, &system_call},
		{mix->ptwrite, &ptwrite},
	};
	unsigned sum = mix->call_next;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		sum += kinds[i].weight;
	unsigned at = chance_below(chance, sum);
	*to_next = false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (at < kinds[i].weight)
			return kinds[i].shape;
		at -= kinds[i].weight;
	}
	*to_next = true;
	return &call;
}

// A direct jump back could close a loop without any packets, in which nothing can be told apart: jumps go
// forwards, conditional ones and calls anywhere.
static void aim(struct program *program, struct chance *chance, size_t index)
{
	struct pt_step *step = &program->steps.items[index];
	size_t count = program->steps.count;
	uint64_t end = step->address + step->size_bytes;
	if (!step->target) {
		size_t first = step->flow == STROBE_FLOW_COND_JUMP ? 0 : index + 1;
		size_t target = first + chance_below(chance, (unsigned)(count - first));
		step->target = program->steps.items[target].address;
	}
	int32_t displacement = (int32_t)(step->target - end);
	memcpy(&program->code.items[end - 4 - program->base], &displacement, 4);
}

void program_make(struct program *program, uint64_t seed, uint64_t base, unsigned instructions,
		  const struct program_mix *mix)
{
	struct chance chance = {seed};
	bool to_next;
	*program = (struct program){.base = base};
	for (unsigned i = 0; i + 2 < instructions; i++) {
		const struct shape *shape = draw(&chance, mix, &to_next);
		add(program, shape, to_next);
	}
	add(program, &plain[0], false);
	add(program, &indirect_jump, false); // nothing runs off the end
	for (size_t i = 0; i < program->steps.count; i++)
		if (program->steps.items[i].has_target)
			aim(program, &chance, i);
}

void program_fini(struct program *program)
{
	array_fini(&program->code);
	array_fini(&program->steps);
}

size_t program_read(const struct program *program, uint64_t address, void *buffer, size_t size)
{
	uint64_t offset = address - program->base;
	if (offset >= program->code.count)
		return 0;
	if (size > program->code.count - offset)
		size = program->code.count - offset;
	memcpy(buffer, program->code.items + offset, size);
	return size;
}

const struct pt_step *program_at(const struct program *program, uint64_t address)
{
	size_t low = 0, high = program->steps.count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (program->steps.items[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == program->steps.count || program->steps.items[low].address != address)
		abort();
	return &program->steps.items[low];
}

void program_write_elf(const struct program *program, const char *path)
{
	uint64_t size = program->code.count;
	Elf64_Ehdr header = {
		.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
			    EV_CURRENT},
		.e_type = ET_EXEC,
		.e_machine = EM_X86_64,
		.e_version = EV_CURRENT,
		.e_entry = program->base,
		.e_phoff = sizeof(Elf64_Ehdr),
		.e_ehsize = sizeof(Elf64_Ehdr),
		.e_phentsize = sizeof(Elf64_Phdr),
		.e_phnum = 1,
		.e_shentsize = sizeof(Elf64_Shdr),
	};
	Elf64_Phdr segment = {PT_LOAD, PF_R | PF_X, ELF_CODE_OFFSET, program->base, program->base,
			      size,    size,	    0x1000};
	FILE *file = fopen(path, "wb");
	if (!file || fwrite(&header, sizeof(header), 1, file) != 1 ||
	    fwrite(&segment, sizeof(segment), 1, file) != 1 ||
	    fseek(file, ELF_CODE_OFFSET, SEEK_SET) ||
	    fwrite(program->code.items, 1, size, file) != size || fclose(file)) {
		perror(path);
		exit(1);
	}
}
