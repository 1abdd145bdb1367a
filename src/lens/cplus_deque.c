// SPDX-License-Identifier: Apache-2.0
// Deques: buffers of elements, and a map with their addresses, of which only the deque knows what is in use.
#include "lens/cplus.h"

/** Named limit: of one deque. */
enum { BUFFER_LIMIT = 1 << 24 };

/** Where a deque has what. Offsets are from its start. */
struct deque {
	uint32_t element, element_bytes;
	uint32_t map; // the type of the map: which of its words are in use only the deque knows
	uint32_t map_offset, first_offset,
		last_offset; // of the map; of what says where its first and last word in use are
	// libstdc++: where the last iterator is, and where its buffer begins. libc++: index of the first element; how many.
	uint32_t cursor_offset, buffer_offset;
	uint32_t buffer_elements; // of libc++
};

/** Buffers in the words of the map from `first` on: `full` ones, one with `left` elements, others without any. */
struct buffers {
	uint64_t first, count, full, left;
};

static bool tell_buffers(const struct lens_memory *memory, const struct deque *deque,
			 uint64_t offset, const struct buffers *buffers, lens_visit visit,
			 void *context)
{
	enum { AT_ONCE = 64 };
	uint64_t words[AT_ONCE];
	for (uint64_t done = 0; done < buffers->count;) {
		uint64_t rest = buffers->count - done;
		size_t part = rest < AT_ONCE ? (size_t)rest : AT_ONCE;
		if (!cplus_read(memory, buffers->first + done * 8, words, part * 8))
			return true;
		for (size_t i = 0; i < part; i++, done++) {
			struct lens_reference reference = {
				.offset = offset + deque->map_offset,
				.target = words[i],
				.type = deque->element,
				.evidence = EVIDENCE_POINTER,
				.count = done < buffers->full			  ? 0
					 : done == buffers->full && buffers->left ? buffers->left
										  : LENS_COUNT_NONE,
				.outside = true,
			};
			if (words[i] && !visit(context, &reference))
				return false;
		}
	}
	return true;
}

/** Tells the map, then its buffers, which begin at the words that two others of the deque lead to. */
static bool tell_map(const struct lens_memory *memory, const struct plan_step *step, uint64_t at,
		     struct buffers *buffers, uint64_t *last, lens_visit visit, void *context)
{
	const struct deque *deque = step->data;
	uint64_t map;
	if (!cplus_read(memory, at + deque->map_offset, &map, 8) || !map ||
	    !cplus_read(memory, at + deque->first_offset, &buffers->first, 8) ||
	    !cplus_read(memory, at + deque->last_offset, last, 8))
		return false;
	struct lens_reference reference = {
		.offset = step->offset + deque->map_offset,
		.target = map,
		.type = deque->map,
		.evidence = EVIDENCE_POINTER,
	};
	return visit(context, &reference) && buffers->first >= map && *last >= buffers->first &&
	       (*last - buffers->first) % 8 == 0 && (*last - buffers->first) / 8 < BUFFER_LIMIT;
}

static void walk_deque(const struct lens *lens, const struct lens_memory *memory,
		       const struct plan_step *step, uint64_t address, const uint8_t *bytes,
		       uint64_t size_bytes,
		       bool (*visit)(void *context, const struct lens_reference *reference),
		       void *context)
{
	const struct deque *deque = step->data;
	uint64_t last, cursor, buffer, at = address + step->offset;
	struct buffers buffers;
	(void)lens;
	(void)bytes;
	(void)size_bytes;
	if (!cplus_read(memory, at + deque->cursor_offset, &cursor, 8) ||
	    !cplus_read(memory, at + deque->buffer_offset, &buffer, 8) ||
	    !tell_map(memory, step, at, &buffers, &last, visit, context))
		return;
	buffers.full = (last - buffers.first) / 8;
	buffers.count = buffers.full + 1;
	buffers.left = cursor >= buffer ? (cursor - buffer) / deque->element_bytes : 0;
	tell_buffers(memory, deque, step->offset, &buffers, visit, context);
}

static void walk_split_deque(const struct lens *lens, const struct lens_memory *memory,
			     const struct plan_step *step, uint64_t address, const uint8_t *bytes,
			     uint64_t size_bytes,
			     bool (*visit)(void *context, const struct lens_reference *reference),
			     void *context)
{
	const struct deque *deque = step->data;
	uint64_t last, start, count, at = address + step->offset;
	struct buffers buffers;
	(void)lens;
	(void)bytes;
	(void)size_bytes;
	if (!cplus_read(memory, at + deque->cursor_offset, &start, 8) ||
	    !cplus_read(memory, at + deque->buffer_offset, &count, 8) ||
	    !tell_map(memory, step, at, &buffers, &last, visit, context))
		return;
	buffers.count = (last - buffers.first) / 8;
	buffers.full = (start + count) / deque->buffer_elements;
	buffers.left = (start + count) % deque->buffer_elements;
	tell_buffers(memory, deque, step->offset, &buffers, visit, context);
}

static void build_nothing(struct plan_builder *builder, const void *data)
{
	(void)builder;
	(void)data;
}

static uint32_t map_id(struct plan_builder *builder, struct type *element)
{
	struct text name cleanup_text = {0};
	text_printf(&name, "std::deque<%s>::_Map", type_name(plan_symbols(builder), element));
	return plan_own_type(builder, text_string(&name), 8, build_nothing, NULL);
}

/** `paths`: of the members that struct deque has the offsets of, in its order. NULL: it is not as expected. */
static struct deque *make_deque(struct plan_builder *builder, struct type *type,
				const char *const *paths)
{
	enum { MEMBERS = 5, OFFSET_LIMIT = 1000 };
	struct strobe_symbols *symbols = plan_symbols(builder);
	struct type *element = cplus_argument(symbols, type, 0);
	uint64_t size = element ? cplus_size(symbols, element) : 0;
	struct cplus_member members[MEMBERS];
	for (size_t i = 0; i < MEMBERS; i++)
		if (!cplus_find(symbols, type, paths[i], &members[i]) ||
		    members[i].offset > OFFSET_LIMIT)
			return NULL;
	struct deque *deque =
		size && size <= UINT32_MAX ? plan_memory(builder, sizeof(*deque)) : NULL;
	if (deque)
		*deque = (struct deque){
			.element = plan_type(builder, element),
			.element_bytes = (uint32_t)size,
			.map = map_id(builder, element),
			.map_offset = (uint32_t)members[0].offset,
			.first_offset = (uint32_t)members[1].offset,
			.last_offset = (uint32_t)members[2].offset,
			.cursor_offset = (uint32_t)members[3].offset,
			.buffer_offset = (uint32_t)members[4].offset,
		};
	return deque;
}

bool cplus_deque_plan(struct plan_builder *builder, struct type *type, uint64_t offset, bool maybe)
{
	static const char *const paths[] = {"_M_impl._M_map", "_M_impl._M_start._M_node",
					    "_M_impl._M_finish._M_node", "_M_impl._M_finish._M_cur",
					    "_M_impl._M_finish._M_first"};
	const struct deque *deque = make_deque(builder, type, paths);
	if (!deque)
		return false;
	plan_add(builder, &(struct plan_step){.kind = PLAN_CALL,
					      .offset = (uint32_t)offset,
					      .call = walk_deque,
					      .data = deque,
					      .maybe = maybe});
	return true;
}

bool cplus_split_deque_plan(struct plan_builder *builder, struct type *type, uint64_t offset,
			    bool maybe)
{
	// LLVM's, whichever way it has the size beside its allocator.
	static const char *const paths[][5] = {
		{"__map_.__first_", "__map_.__begin_", "__map_.__end_", "__start_",
		 "__size_.__value_"},
		{"__map_.__first_", "__map_.__begin_", "__map_.__end_", "__start_", "__size_"}};
	enum { SMALL_BYTES = 256, BUFFER_BYTES = 4096, LARGE_ELEMENTS = 16 };
	struct deque *deque = make_deque(builder, type, paths[0]);
	if (!deque)
		deque = make_deque(builder, type, paths[1]);
	if (!deque)
		return false;
	deque->buffer_elements = deque->element_bytes < SMALL_BYTES
					 ? BUFFER_BYTES / deque->element_bytes
					 : LARGE_ELEMENTS;
	plan_add(builder, &(struct plan_step){.kind = PLAN_CALL,
					      .offset = (uint32_t)offset,
					      .call = walk_split_deque,
					      .data = deque,
					      .maybe = maybe});
	return true;
}
