// SPDX-License-Identifier: Apache-2.0
#include "trace/render.h"
#include "trace/members.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
	ENTRY_LIMIT = 1 << 16, // instructions that are kept
	TEXT_LIMIT = 12 << 20, // bytes of their texts
	SLOT_COUNT_FIRST = 1 << 12,
	ENTRY_TEXT_SIZE = 2048, // of one instruction; longer names are cut
	MNEMONIC_WIDTH = 6,
	COMMENT_COLUMN = 33,
	FLOW_WIDTH = 12,
};

/** Invariants: slots has slot_count (a power of two) entries, at most half of them used; used <= ENTRY_LIMIT;
 *  text_used <= TEXT_LIMIT. */
struct render {
	const struct command *command;
	struct render_style style;
	struct rendered *slots; // free ones have no text
	size_t slot_count, used;
	char *texts;
	size_t text_used;
};

struct render *render_new(const struct command *command, const struct render_style *style)
{
	struct render *render = calloc(1, sizeof(*render));
	if (!render)
		return NULL;
	*render = (struct render){.command = command, .style = *style};
	render->slot_count = SLOT_COUNT_FIRST;
	render->slots = calloc(render->slot_count, sizeof(*render->slots));
	render->texts = malloc(TEXT_LIMIT); // the kernel gives what is touched
	return render->slots && render->texts ? render : render_free(render);
}

struct render *render_free(struct render *render)
{
	if (render) {
		free(render->slots);
		free(render->texts);
	}
	free(render);
	return NULL;
}

static struct rendered *slot_of(struct rendered *slots, size_t count, uint64_t address)
{
	size_t at = (size_t)(address * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (count - 1);
	while (slots[at].text && slots[at].address != address)
		at = (at + 1) & (count - 1);
	return &slots[at];
}

static bool grow(struct render *render)
{
	size_t count = 2 * render->slot_count;
	struct rendered *slots = calloc(count, sizeof(*slots));
	if (!slots)
		return false;
	for (size_t i = 0; i < render->slot_count; i++)
		if (render->slots[i].text)
			*slot_of(slots, count, render->slots[i].address) = render->slots[i];
	free(render->slots);
	render->slots = slots;
	render->slot_count = count;
	return true;
}

static void forget(struct render *render)
{
	memset(render->slots, 0, render->slot_count * sizeof(*render->slots));
	render->used = 0;
	render->text_used = 0;
}

/** What the disassembler says of one instruction. */
struct seen {
	bool found;
	char text[256];
	bool has_target;
	uint64_t target;
};

static bool keep(void *context, const struct strobe_instruction *instruction)
{
	struct seen *seen = context;
	seen->found = true;
	snprintf(seen->text, sizeof(seen->text), "%s", instruction->text);
	seen->has_target = instruction->has_target;
	seen->target = instruction->target;
	return false;
}

static void disassemble(const struct render *render, uint64_t address, struct seen *ret)
{
	ret->found = ret->has_target = false;
	struct strobe_error *error = strobe_disassemble(render->command->symbols, address, 0, 1,
							render->style.syntax, keep, ret);
	strobe_error_free(error); // code that is not there was told as an item of the trace
	if (!ret->found)
		snprintf(ret->text, sizeof(ret->text), "<unknown>");
}

// Control characters, which a hostile file's names may have, never get out.
static size_t put_clean(char *at, size_t room, const char *text)
{
	size_t size = 0;
	for (; *text && size + 1 < room; text++) {
		unsigned char c = (unsigned char)*text;
		at[size++] = (char)(c < 0x20 || c == 0x7f ? '?' : c);
	}
	return size;
}

static size_t write_heading(const struct render *render, const struct place *place, char *at,
			    size_t room)
{
	char text[1024];
	place_text(place, text, sizeof(text));
	size_t size = (size_t)snprintf(at, room, "  %s",
				       style_start(render->style.color, STYLE_FUNCTION));
	size += put_clean(at + size, room - size - 16, text);
	size += (size_t)snprintf(at + size, room - size, "%s\n", style_end(render->style.color));
	return size;
}

// "movq   %rax, %rbx"; where something is said of the operand, "; it" from a column on.
static size_t write_assembly(const struct render *render, const struct place *place,
			     const struct seen *seen, char *at, size_t room)
{
	char reference[768];
	const char *space = strchr(seen->text, ' ');
	size_t name = space ? (size_t)(space - seen->text) : strlen(seen->text);
	int size = snprintf(at, room, "%-*.*s %s", MNEMONIC_WIDTH, (int)name, seen->text,
			    space ? space + 1 : "");
	if (size < 0 || (size_t)size >= room)
		return 0;
	size_t used = (size_t)size;
	if (!seen->has_target ||
	    !place_reference(render->command, place, seen->target, reference, sizeof(reference)))
		return used;
	while (used < COMMENT_COLUMN && used + 4 < room)
		at[used++] = ' ';
	if (at[used - 1] != ' ')
		at[used++] = ' ';
	at[used++] = ';';
	at[used++] = ' ';
	return used + put_clean(at + used, room - used, reference);
}

static size_t write_text(const struct render *render, const struct place *place,
			 enum strobe_flow flow, char *at, size_t room)
{
	struct seen seen;
	bool color = render->style.color;
	disassemble(render, place->address, &seen);
	size_t size = (size_t)snprintf(at, room, "%s0x%016" PRIx64 "%s    ",
				       style_start(color, STYLE_ADDRESS), place->address,
				       style_end(color));
	if (render->style.kinds)
		size += (size_t)snprintf(at + size, room - size, "%-*s", FLOW_WIDTH,
					 strobe_flow_name(flow));
	size += write_assembly(render, place, &seen, at + size, room - size - 2);
	at[size++] = '\n';
	return size;
}

static const char *stub_name(const struct place *place, char *buffer, size_t size)
{
	const char *name = place_function(place);
	if (!place->stub || !name)
		return name;
	snprintf(buffer, size, "%.*s", (int)strcspn(name, "@"), name);
	return buffer;
}

static void put_members(const struct render *render, const struct place *place,
			enum strobe_flow flow, const struct members *members)
{
	char address[32], name[256];
	struct seen seen;
	disassemble(render, place->address, &seen);
	snprintf(address, sizeof(address), "0x%" PRIx64, place->address);
	put_string(members, "loadAddress", address);
	put_string(members, "module", place->module_name);
	put_string(members, "symbol", stub_name(place, name, sizeof(name)));
	seen.text[strcspn(seen.text, " ")] = '\0';
	put_string(members, "mnemonic", seen.text);
	if (render->style.kinds)
		put_string(members, "controlFlowKind", strobe_flow_name(flow));
	if (place->file && place->line) {
		put_string(members, "source", place->file);
		put_number(members, "line", place->line);
		put_number(members, "column", place->column);
	}
	fputs(members->pretty ? "\n  }" : "}", members->out);
}

static size_t write_json(const struct render *render, const struct place *place,
			 enum strobe_flow flow, char *at, size_t room)
{
	struct members members = {fmemopen(at, room, "w"), render->style.form == RENDER_PRETTY};
	if (!members.out)
		return 0;
	put_members(render, place, flow, &members);
	long size = ftell(members.out);
	fclose(members.out);
	return size > 0 ? (size_t)size : 0;
}

static bool fill(struct render *render, uint64_t address, enum strobe_flow flow,
		 struct rendered *ret)
{
	char *at = render->texts + render->text_used;
	struct place place;
	place_find(render->command, address, &place);
	*ret = (struct rendered){.address = address, .key = place_key(&place), .text = at};
	if (render->style.form == RENDER_TEXT) {
		ret->heading = at;
		ret->heading_size =
			(uint32_t)write_heading(render, &place, at, ENTRY_TEXT_SIZE / 2);
		ret->text = at + ret->heading_size;
		ret->text_size = (uint32_t)write_text(render, &place, flow, at + ret->heading_size,
						      ENTRY_TEXT_SIZE / 2);
	} else {
		ret->text_size = (uint32_t)write_json(render, &place, flow, at, ENTRY_TEXT_SIZE);
	}
	render->text_used += ret->heading_size + ret->text_size;
	return ret->text_size > 0;
}

const struct rendered *render_at(struct render *render, uint64_t address, enum strobe_flow flow)
{
	struct rendered *slot = slot_of(render->slots, render->slot_count, address);
	if (slot->text)
		return slot;
	if (render->used == ENTRY_LIMIT || render->text_used > TEXT_LIMIT - ENTRY_TEXT_SIZE)
		forget(render);
	else if (render->used >= render->slot_count / 2 && !grow(render))
		return NULL;
	slot = slot_of(render->slots, render->slot_count, address);
	if (!fill(render, address, flow, slot)) {
		slot->text = NULL;
		return NULL;
	}
	render->used++;
	return slot;
}
