// SPDX-License-Identifier: Apache-2.0
// Running plans over objects.
#include <string.h>

#include "lens/table.h"

/** Words that may be an address of a program's memory on x86-64: not the first page, the lower half. */
enum { PAGE_BYTES = 4096 };
/** Allocators round sizes up to multiples of 16. */
enum { SLACK_BYTES = 15 };
#define ADDRESS_LIMIT (UINT64_C(1) << 47)

/** The object being walked. Its offsets [begin, end) are at `bytes`; NULL: they cannot be read. */
struct walk {
	const struct lens *lens;
	const struct lens_memory *memory;
	uint64_t address, size;
	uint64_t limit; // where the element ends that flexible steps take the rest of
	const uint8_t *bytes;
	uint64_t begin, end;
	uint64_t unreadable;
	bool precise;
	lens_visit visit;
	void *context;
};

/** Steps that are being repeated, and where to go on behind them. */
struct frame {
	const struct plan_step *first, *end, *outer_end;
	uint64_t left, base, stride, outer_base;
};

static bool is_address(uint64_t word)
{
	return word - PAGE_BYTES < ADDRESS_LIMIT - PAGE_BYTES;
}

/** Moves the window to hold the byte at `offset`; false if that cannot be read. */
static bool move_window(struct walk *walk, uint64_t offset)
{
	size_t available = 0;
	uint64_t address = walk->address + offset;
	const uint8_t *bytes = walk->memory->at(walk->memory->reader, address, &available);
	if (!bytes || available == 0) {
		available = PAGE_BYTES - address % PAGE_BYTES;
		bytes = NULL;
	}
	if (available > walk->size - offset)
		available = walk->size - offset;
	walk->bytes = bytes;
	walk->begin = offset;
	walk->end = offset + available;
	return bytes != NULL;
}

/** Bytes that are in several windows. */
static __attribute__((noinline)) bool read_parts(struct walk *walk, uint64_t offset, void *ret,
						 unsigned width)
{
	uint8_t *to = ret;
	for (unsigned got = 0; got < width;) {
		uint64_t at = offset + got;
		bool good = at >= walk->begin && at < walk->end ? walk->bytes != NULL
								: move_window(walk, at);
		if (!good) {
			walk->unreadable += width;
			return false;
		}
		uint64_t part = walk->end - at < width - got ? walk->end - at : width - got;
		memcpy(to + got, walk->bytes + (at - walk->begin), part);
		got += part;
	}
	return true;
}

/** False outside the object and where it cannot be read. */
static inline bool read_word(struct walk *walk, uint64_t offset, uint64_t *ret)
{
	if (offset >= walk->begin && offset + 8 <= walk->end && walk->bytes) {
		memcpy(ret, walk->bytes + (offset - walk->begin), 8);
		return true;
	}
	if (walk->size < 8 || offset > walk->size - 8)
		return false;
	return read_parts(walk, offset, ret, 8);
}

static bool read_integer(struct walk *walk, uint64_t offset, unsigned width, uint64_t *ret)
{
	*ret = 0;
	if (width == 0 || width > 8 || walk->size < width || offset > walk->size - width)
		return false;
	return read_parts(walk, offset, ret, width);
}

static inline bool visit_word(struct walk *walk, const struct plan_step *step, uint64_t offset,
			      uint64_t word)
{
	struct lens_reference reference = {
		.offset = offset,
		.target = word,
		.type = step->type,
		.evidence = !step->type	 ? EVIDENCE_NONE
			    : step->link ? EVIDENCE_LINK
					 : EVIDENCE_POINTER,
		.maybe = step->maybe,
	};
	if (word & step->mask && is_address(word & ~step->mask)) {
		reference.target = word & ~step->mask;
		reference.tagged = true;
	}
	if (step->self && reference.target - walk->address < walk->size)
		return true;
	return walk->visit(walk->context, &reference);
}

static bool visit_code(struct walk *walk, const struct plan_step *step, uint64_t offset,
		       uint64_t word)
{
	struct lens_reference reference = {
		.offset = offset, .target = word, .maybe = step->maybe, .code = true};
	return walk->visit(walk->context, &reference);
}

/** How many elements there are by an element count, or by the end of the last; 0 = that makes no sense. */
static uint64_t element_count(struct walk *walk, const struct plan_step *step, uint64_t base,
			      uint64_t word)
{
	uint64_t value, stride = step->stride ? step->stride : 1;
	if (step->count_kind == PLAN_COUNT_INTEGER) {
		if (!read_integer(walk, base + step->b, step->width, &value))
			return 0;
		return value == 0 ? LENS_COUNT_NONE : value > PLAN_ELEMENT_LIMIT ? 0 : value;
	}
	if (!read_word(walk, base + step->b, &value) || value < word ||
	    (value - word) % stride != 0)
		return 0;
	value = (value - word) / stride;
	return value == 0 ? LENS_COUNT_NONE : value > PLAN_ELEMENT_LIMIT ? 0 : value;
}

static bool visit_counted(struct walk *walk, const struct plan_step *step, uint64_t base,
			  uint64_t word)
{
	struct lens_reference reference = {
		.offset = base + step->offset,
		.target = word,
		.type = step->type,
		.evidence = step->type ? EVIDENCE_POINTER : EVIDENCE_NONE,
		.maybe = step->maybe,
		.count = element_count(walk, step, base, word),
	};
	if (step->self && word - walk->address < walk->size)
		return true;
	return walk->visit(walk->context, &reference);
}

/** Every aligned word of [offset, end) that may be an address. */
static bool scan(struct walk *walk, uint64_t offset, uint64_t end, bool maybe)
{
	uint64_t word;
	end = end > walk->size ? walk->size : end;
	offset += -(walk->address + offset) & 7;
	while (offset < end && end - offset >= 8) {
		bool held = offset >= walk->begin && offset < walk->end;
		if (!(held ? walk->bytes != NULL : move_window(walk, offset))) {
			uint64_t gap = (walk->end < end ? walk->end : end) - offset;
			walk->unreadable += gap;
			offset += (gap + 7) & ~UINT64_C(7);
			continue;
		}
		if (read_word(walk, offset, &word) && is_address(word)) {
			struct lens_reference reference = {
				.offset = offset, .target = word, .guessed = true, .maybe = maybe};
			if (!walk->visit(walk->context, &reference))
				return false;
		}
		offset += 8;
	}
	return true;
}

struct stop {
	struct walk *walk;
	uint64_t base; // offset that references are told from
	bool stopped;
};

static bool visit_call(void *context, const struct lens_reference *reference)
{
	struct stop *stop = context;
	struct lens_reference placed = *reference;
	placed.offset += stop->base;
	if (!stop->stopped && !(reference->guessed && stop->walk->precise))
		stop->stopped = !stop->walk->visit(stop->walk->context, &placed);
	return !stop->stopped;
}

static bool call(struct walk *walk, const struct plan_step *step, uint64_t base)
{
	struct stop stop = {.walk = walk, .base = base};
	const uint8_t *bytes = NULL;
	if (base >= walk->size)
		return true;
	if ((base >= walk->begin && base < walk->end) || move_window(walk, base))
		bytes = walk->bytes && walk->end == walk->size ? walk->bytes + (base - walk->begin)
							       : NULL;
	step->call(walk->lens, walk->memory, step, walk->address + base, bytes, walk->size - base,
		   visit_call, &stop);
	walk->begin = walk->end = 0; // it may have read elsewhere
	return !stop.stopped;
}

/** Whether the steps below a PLAN_IF hold. */
static bool holds(struct walk *walk, const struct plan_step *step, uint64_t base)
{
	uint64_t value;
	if (!read_integer(walk, base + step->offset, step->width, &value))
		return false;
	value &= step->mask;
	return value >= step->a && value <= step->b;
}

/** A word that is not the object's. */
static bool read_elsewhere(struct walk *walk, uint64_t address, uint64_t *ret)
{
	uint8_t *to = (uint8_t *)ret;
	walk->begin = walk->end = 0;
	for (size_t got = 0, available = 0; got < sizeof(*ret); got += available) {
		const uint8_t *bytes =
			walk->memory->at(walk->memory->reader, address + got, &available);
		if (!bytes || available == 0)
			return false;
		if (available > sizeof(*ret) - got)
			available = sizeof(*ret) - got;
		memcpy(to + got, bytes, available);
	}
	return true;
}

/** Where a virtual base is; false where that cannot be told. */
static bool find_base(struct walk *walk, const struct plan_step *step, uint64_t base, uint64_t *ret)
{
	uint64_t vtable, offset;
	if (!read_word(walk, base + step->offset, &vtable) || !is_address(vtable - step->a) ||
	    !read_elsewhere(walk, vtable - step->a, &offset))
		return false;
	*ret = base + step->offset + offset;
	return *ret < walk->size;
}

/** How often the steps below `step` run, from where; 0 = not at all. */
static uint64_t enter(struct walk *walk, const struct plan_step *step, uint64_t base,
		      struct frame *frame)
{
	uint64_t room;
	frame->base = base + step->offset;
	frame->stride = step->b ? step->b : 1;
	switch (step->kind) {
	case PLAN_IF:
		frame->base = base;
		return holds(walk, step, base);
	case PLAN_BASE:
		return find_base(walk, step, base, &frame->base);
	case PLAN_FLEXIBLE:
		room = walk->limit > frame->base ? walk->limit - frame->base : 0;
		return room / frame->stride;
	default: // PLAN_REPEAT: what begins within the object
		room = walk->size > frame->base ? walk->size - frame->base : 0;
		room = room / frame->stride + (room % frame->stride != 0);
		return step->a < room ? step->a : room;
	}
}

/** PLAN_POINTER, the step of steps. */
static inline bool run_pointer(struct walk *walk, const struct plan_step *step, uint64_t base)
{
	uint64_t word, offset = base + step->offset;
	return !read_word(walk, offset, &word) || word == 0 || visit_word(walk, step, offset, word);
}

/** Any other without a span. */
static bool run_step(struct walk *walk, const struct plan_step *step, uint64_t base)
{
	uint64_t word, offset = base + step->offset;
	switch (step->kind) {
	case PLAN_CODE: // small and odd ones are entries of virtual tables: members' pointers
		return !read_word(walk, offset, &word) || word < PAGE_BYTES ||
		       visit_code(walk, step, offset, word);
	case PLAN_COUNTED:
		return !read_word(walk, offset, &word) || word == 0 ||
		       visit_counted(walk, step, base, word);
	case PLAN_SCAN:
		return walk->precise || offset >= walk->limit ||
		       scan(walk, offset,
			    step->a > walk->limit - offset ? walk->limit : offset + step->a,
			    step->maybe);
	case PLAN_CALL:
		return call(walk, step, base);
	default:
		return true;
	}
}

/** The steps of one element at `base`; false when the visitor stops. */
static bool run(struct walk *walk, const struct plan *plan, uint64_t base)
{
	struct frame stack[PLAN_NESTING_LIMIT + 1];
	unsigned depth = 0;
	const struct plan_step *step = plan->steps, *end = step + plan->step_count;
	for (;;) {
		if (step == end) {
			if (depth == 0)
				return true;
			struct frame *top = &stack[depth - 1];
			if (--top->left > 0) {
				base = top->base += top->stride;
				step = top->first;
			} else {
				base = top->outer_base;
				end = top->outer_end;
				depth--;
			}
			continue;
		}
		if (step->kind == PLAN_POINTER) {
			if (!run_pointer(walk, step, base))
				return false;
			step++;
			continue;
		}
		if (step->span == 0) {
			if (!run_step(walk, step, base))
				return false;
			step++;
			continue;
		}
		struct frame *top = &stack[depth];
		top->left = depth < PLAN_NESTING_LIMIT ? enter(walk, step, base, top) : 0;
		if (top->left == 0) {
			step += 1 + step->span;
			continue;
		}
		top->first = step + 1;
		top->end = step + 1 + step->span;
		top->outer_end = end;
		top->outer_base = base;
		base = top->base;
		step = top->first;
		end = top->end;
		depth++;
	}
}

/** A plan of nothing but plain pointers, the most common: they are read as they are in one row. */
static bool run_pointers(struct walk *walk, const struct lens_entry *entry, uint64_t base)
{
	const struct plan_step *step = entry->plan.steps, *end = step + entry->plan.step_count;
	if ((base < walk->begin || base + entry->type.size_bytes > walk->end) &&
	    !(base < walk->size && move_window(walk, base) &&
	      base + entry->type.size_bytes <= walk->end))
		return run(walk, &entry->plan, base);
	if (!walk->bytes)
		return run(walk, &entry->plan, base);
	const uint8_t *bytes = walk->bytes + (base - walk->begin);
	struct lens_reference reference = {.evidence = EVIDENCE_POINTER};
	for (; step < end; step++) {
		uint64_t word;
		memcpy(&word, bytes + step->offset, sizeof(word));
		if (word == 0)
			continue;
		reference.offset = base + step->offset;
		reference.tagged = word & step->mask && is_address(word & ~step->mask);
		reference.target = reference.tagged ? word & ~step->mask : word;
		reference.type = step->type;
		reference.maybe = step->maybe;
		if (!walk->visit(walk->context, &reference))
			return false;
	}
	return true;
}

/** Elements one behind the other; `*done` is where they end. */
static bool run_elements(struct walk *walk, const struct lens_entry *entry, uint64_t count,
			 uint64_t *done)
{
	uint64_t size = entry->type.size_bytes;
	// Division is slow, and most objects are of one element.
	uint64_t fit = size > 0 && size <= walk->size / 2 ? walk->size / size : 1;
	if (count == 0)
		count = entry->flexible ? 1 : fit;
	if (count > fit)
		count = fit;
	if (!entry->plan.leaf && count)
		(void)move_window(walk, 0);
	bool open = entry->flexible && count == 1;
	*done = open || size == 0 ? walk->size : count * size;
	for (uint64_t i = 0; i < count && !entry->plan.leaf; i++) {
		walk->limit = open || size == 0 ? walk->size : (i + 1) * size;
		if (walk->limit > walk->size)
			walk->limit = walk->size;
		if (!(entry->plain ? run_pointers(walk, entry, i * size)
				   : run(walk, &entry->plan, i * size)))
			return false;
	}
	return true;
}

void lens_walk(const struct lens *lens, const struct lens_memory *memory, uint32_t type,
	       uint64_t address, uint64_t size_bytes, uint64_t count, bool precise,
	       lens_visit visit, void *context, uint64_t *unreadable)
{
	struct walk walk = {.lens = lens,
			    .memory = memory,
			    .address = address,
			    .size = size_bytes,
			    .limit = size_bytes,
			    .precise = precise,
			    .visit = visit,
			    .context = context};
	uint64_t done = 0;
	bool more = true;
	if (unreadable)
		*unreadable = 0;
	if (size_bytes == 0 || count == LENS_COUNT_NONE || address + size_bytes < address)
		return;
	const struct lens_entry *entry =
		type == 0 || type > lens->compiled ? NULL : lens_entry(lens, type);
	if (entry && entry->storage)
		size_bytes = count && count < size_bytes ? count : size_bytes;
	else if (entry)
		more = run_elements(&walk, entry, count, &done);
	// What is behind a typed end by less than that is the allocator's rounding: nobody's words.
	uint64_t slack = done ? SLACK_BYTES : 0;
	if (more && !precise && done + slack < size_bytes)
		scan(&walk, done, size_bytes, false);
	if (unreadable)
		*unreadable = walk.unreadable;
}
