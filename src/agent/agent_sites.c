// SPDX-License-Identifier: Apache-2.0
// Sites: one instruction each, in whose place a jump is put. Nothing but its own bytes is changed, so that no thread can stand
// within what is.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/relocate.h"
#include "agent/trampoline.h"
#include "base/error.h"

enum { JUMP = 5, WORD = 16, SITE_LIMIT = 100000, BREAKPOINT = 0xcc, LANDING_ROUNDS = 4 };

static bool refuse(struct probe_answer *answer, const char *why)
{
	snprintf(answer->why, sizeof(answer->why), "%s", why);
	return false;
}

/** Code as the file has it: with somebody's breakpoints in it, it is left alone. */
static bool is_as_in_file(struct agent *agent, const struct space_mapping *mapping,
			  uint64_t address, const uint8_t *bytes, size_t size)
{
	uint8_t original[AGENT_LOOK];
	if (agent->file < 0 || agent->file_start != mapping->start) {
		char path[96];
		if (agent->file >= 0)
			close(agent->file);
		snprintf(path, sizeof(path), "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, agent->pid,
			 mapping->start, mapping->end);
		agent->file = open(path, O_RDONLY | O_CLOEXEC);
		agent->file_start = mapping->start;
	}
	if (agent->file < 0)
		return true; // not to be had; nothing says otherwise
	ssize_t count = pread(agent->file, original, size,
			      (off_t)(mapping->offset + (address - mapping->start)));
	return count == (ssize_t)size && memcmp(original, bytes, size) == 0;
}

/** Reads the code at an address, if it is any that may be changed. */
static bool read_site(struct agent *agent, uint64_t address, uint8_t bytes[AGENT_LOOK],
		      size_t *size, struct probe_answer *answer)
{
	const struct space_mapping *mapping = space_at(&agent->space, address);
	if (!mapping || !mapping->executable)
		return refuse(answer, "no code is mapped there");
	if (mapping->writable || mapping->shared || !mapping->has_file)
		return refuse(answer, "the code there is made at run time, and may change");
	*size = mapping->end - address < AGENT_LOOK ? mapping->end - address : AGENT_LOOK;
	if (pread(agent->mem, bytes, *size, (off_t)address) != (ssize_t)*size)
		return refuse(answer, "the code there cannot be read");
	return true;
}

/** The one that is armed at an address; NULL = none. */
static const struct agent_site *armed_at(const struct agent *agent, uint64_t address)
{
	uint64_t number = (uint64_t)(uintptr_t)hash_get(&agent->armed, address);
	const struct agent_site *site = number ? &agent->sites.items[number - 1] : NULL;
	return site && site->armed ? site : NULL;
}

/**
 * What was armed near by, and would be in the way: bytes that are part of a jump's distance, though not changed, have to
 * stay as they are. (A breakpoint there is allowed for, see agent_landing.c.) `*reach`, the bytes that could be part of a jump of ours of
 * which `size` are changed, is cut to what is free.
 */
static bool is_in_the_way(const struct agent *agent, uint64_t address, unsigned size,
			  unsigned *reach, struct probe_answer *answer)
{
	if (armed_at(agent, address)) {
		refuse(answer, "a jump of ours is there already");
		return true;
	}
	bool in_the_way = false;
	for (unsigned i = 1; i < AGENT_SITE_BYTES; i++) {
		const struct agent_site *before = armed_at(agent, address - i);
		in_the_way |= before && before->extent > i;
		if (i < *reach && armed_at(agent, address + i))
			*reach = i;
	}
	in_the_way |= *reach < size || *reach < JUMP;
	if (in_the_way)
		refuse(answer, "its bytes are part of a jump that is armed");
	return in_the_way;
}

static bool same_condition(const struct probe_program *a, const struct probe_program *b)
{
	return a == b || (a && b && a->count == b->count &&
			  memcmp(a->steps, b->steps, a->count * sizeof(a->steps[0])) == 0);
}

static unsigned ring_for(uint32_t stack_bytes)
{
	for (unsigned i = 0; i + 1 < AGENT_RINGS; i++)
		if (stack_bytes <= agent_stack_room(i))
			return i;
	return AGENT_RINGS - 1;
}

/** One that was there before, with all that it needs. */
static struct agent_site *find_old(struct agent *agent, const struct probe_request *request)
{
	uint64_t number = (uint64_t)(uintptr_t)hash_get(&agent->latest, request->address);
	while (number) {
		struct agent_site *site = &agent->sites.items[number - 1];
		if (!site->armed && site->data && site->ring == ring_for(request->stack_bytes) &&
		    same_condition(site->condition, request->condition))
			return site;
		number = site->older;
	}
	return NULL;
}

static struct probe_program *copy_condition(const struct probe_program *condition)
{
	size_t size = sizeof(*condition) + condition->count * sizeof(condition->steps[0]);
	struct probe_program *copy = malloc(size);
	if (copy)
		memcpy(copy, condition, size);
	return copy;
}

static uint64_t round_up(uint64_t address)
{
	return (address + WORD - 1) & ~(uint64_t)(WORD - 1);
}

/** Memory of a module: there as long as its code is. */
static bool is_mapped(const void *context, uint64_t address, unsigned size)
{
	const struct space_mapping *mapping = space_at(context, address);
	return mapping && mapping->readable && mapping->has_file && address + size <= mapping->end;
}

/** The second, if any, is behind the first. */
static struct strobe_error *write_trampolines(struct agent *agent, struct agent_site *site,
					      struct agent_arena *arena, const struct emit code[2])
{
	struct inside_site inside = {
		.control = arena->control,
		.ring = agent->rings[site->ring].address,
	};
	errno = 0;
	if (pwrite(agent->mem, &inside, offsetof(struct inside_site, shards),
		   (off_t)arena->data_at) < 0)
		return error_errno(errno ? errno : EIO, "memory of process %d", agent->pid);
	for (unsigned i = 0; i < 2 && code[i].size; i++) {
		if (pwrite(agent->mem, code[i].bytes, code[i].size, (off_t)code[i].base) !=
		    (ssize_t)code[i].size)
			return error_errno(errno ? errno : EIO, "memory of process %d", agent->pid);
		arena->code_at = round_up(code[i].base + code[i].size);
	}
	site->data = arena->data_at;
	arena->data_at += sizeof(struct inside_site);
	return NULL;
}

/** The jump's bytes. */
static struct strobe_error *lead_to(struct agent *agent, struct agent_site *site,
				    struct probe_answer *answer)
{
	if (site->pun.size == JUMP) {
		uint32_t distance = (uint32_t)(site->targets[0] - (site->address + JUMP));
		site->extent = JUMP;
		site->after[0] = 0xe9;
		memcpy(site->after + 1, &distance, sizeof(distance));
		return NULL;
	}
	unsigned extent;
	struct strobe_error *error =
		landing_choose(agent, &site->pun, site->targets, site->after, &extent);
	site->extent = (uint8_t)extent;
	if (!error && !extent)
		refuse(answer, "the places that a punned jump could lead to are in use");
	return error;
}

/** The instructions within the jump's last bytes are executed in the trampoline as well; but not where one of them has a breakpoint. */
static bool make_trampolines(struct trampoline *trampoline, struct agent_site *site, uint64_t base,
			     struct emit code[2], const char **why)
{
	unsigned count = site->pun.size < JUMP && site->pun.start_count ? 2 : 1;
	emit_init(&code[1], base);
	for (unsigned i = 0; i < count; i++) {
		emit_init(&code[i], base);
		trampoline->until = i == 0 && count == 2 ? site->address + JUMP : site->address;
		if (!trampoline_make(trampoline, &code[i], &site->checked, why))
			return false;
		site->targets[i] = base;
		base = round_up(base + code[i].size);
	}
	if (count == 1)
		site->targets[1] = site->targets[0];
	return true;
}

/** The jump at a site, and what it leads to; or the reason in `answer`. */
static struct strobe_error *make_jump(struct agent *agent, const struct probe_request *request,
				      struct agent_site *site, const uint8_t *bytes, size_t size,
				      struct probe_answer *answer)
{
	struct agent_arena *arena;
	const char *why = NULL;
	struct strobe_error *error = agent_arena_for(agent, request->address, &arena, &why);
	if (!error && arena)
		error = agent_have_ring(agent, site->ring);
	if (error || !arena) {
		if (!error)
			refuse(answer, why);
		return error;
	}
	struct emit code[2];
	struct trampoline trampoline = {
		.address = request->address,
		.instruction = bytes,
		.available = size,
		.condition = request->condition,
		.data = arena->data_at,
		.hit = arena->hit,
		.load = arena->load,
		.transactions = agent->transactions,
		.fsgsbase = agent->fsgsbase,
		.is_mapped = is_mapped,
		.context = &agent->space,
	};
	if (!make_trampolines(&trampoline, site, arena->code_at, code, &why)) {
		refuse(answer, why);
		return NULL;
	}
	error = lead_to(agent, site, answer);
	if (error || answer->why[0])
		return error;
	return write_trampolines(agent, site, arena, code);
}

/** How much of a jump there is room for at an instruction of `length`, and what follows it. */
static bool find_pun(const uint8_t *bytes, size_t size, uint64_t address, unsigned length,
		     enum relocate_kind kind, struct pun *ret, struct probe_answer *answer)
{
	unsigned in_word = WORD - address % WORD;
	*ret = (struct pun){.address = address,
			    .size = length < JUMP ? length : JUMP,
			    .reach = size < AGENT_SITE_BYTES ? (unsigned)size : AGENT_SITE_BYTES};
	if (ret->size > in_word)
		ret->size = in_word;
	if (size < JUMP)
		return refuse(answer, "the code ends there");
	memcpy(ret->bytes, bytes, ret->reach);
	for (unsigned at = length; at < ret->reach;) {
		bool reached = kind != RELOCATE_END; // else it is padding
		unsigned next = relocate_length(bytes + at, size - at, &kind);
		if (!next || (kind == RELOCATE_ROOM && reached)) {
			ret->reach = at;
			break;
		}
		if (!reached)
			kind = RELOCATE_END;
		if (bytes[at] != BREAKPOINT)
			ret->starts[ret->start_count++] = at;
		at += next;
	}
	return ret->reach >= JUMP || refuse(answer, "what follows a short instruction there may be "
						    "written over by others");
}

static struct strobe_error *make_site(struct agent *agent, const struct probe_request *request,
				      struct agent_site *site, struct probe_answer *answer)
{
	uint8_t bytes[AGENT_LOOK];
	struct pun pun;
	size_t size;
	enum relocate_kind kind;
	uint64_t address = request->address;
	if (!read_site(agent, address, bytes, &size, answer))
		return NULL;
	unsigned length = relocate_length(bytes, size, &kind);
	if (!length) {
		refuse(answer, "no instruction can be read there");
		return NULL;
	}
	if (!find_pun(bytes, size, address, length, kind, &pun, answer) ||
	    is_in_the_way(agent, address, pun.size, &pun.reach, answer))
		return NULL;
	if (!is_as_in_file(agent, space_at(&agent->space, address), address, bytes,
			   length > pun.reach ? length : pun.reach)) {
		refuse(answer, "the code there is not what its file has: somebody's breakpoint?");
		return NULL;
	}
	*site = (struct agent_site){.address = address,
				    .size = (uint8_t)pun.size,
				    .method = pun.size == JUMP ? "jump" : "punned jump",
				    .ring = ring_for(request->stack_bytes),
				    .pun = pun};
	memcpy(site->before, bytes, pun.reach);
	if (request->condition && !(site->condition = copy_condition(request->condition)))
		return error_no_memory();
	return make_jump(agent, request, site, bytes, size, answer);
}

/** A new one, in the table; NULL if it cannot be. */
static struct strobe_error *add_site(struct agent *agent, const struct probe_request *request,
				     struct agent_site **ret, struct probe_answer *answer)
{
	struct agent_site site = {0};
	*ret = NULL;
	if (agent->sites.count >= SITE_LIMIT) {
		refuse(answer, "there are too many");
		return NULL;
	}
	struct strobe_error *error = make_site(agent, request, &site, answer);
	site.older = (size_t)(uintptr_t)hash_get(&agent->latest, request->address);
	if (!error && site.data && !array_push(&agent->sites, site))
		error = error_no_memory();
	if (error || !site.data) {
		free(site.condition);
		return error;
	}
	if (!hash_put(&agent->latest, request->address, (void *)(uintptr_t)agent->sites.count))
		return error_no_memory();
	*ret = &agent->sites.items[agent->sites.count - 1];
	return NULL;
}

/** Tells the trampoline whose it is now: what is counted before that is not ours. */
static struct strobe_error *begin_site(struct agent *agent, struct agent_site *site,
				       const struct probe_request *request)
{
	uint64_t number = (uint64_t)(site - agent->sites.items) + 1;
	if (!hash_put(&agent->armed, site->address, (void *)(uintptr_t)number))
		return error_no_memory();
	site->generation++;
	site->cookie = request->cookie;
	site->hits = 0;
	site->base = (struct engine_totals){0};
	site->armed = true; // from the first hit on; undone if it comes to nothing
	struct {
		uint64_t probe, stack_bytes;
	} words = {number | (uint64_t)site->generation << 32,
		   request->stack_bytes < agent_stack_room(site->ring)
			   ? request->stack_bytes
			   : agent_stack_room(site->ring)};
	struct engine_totals base = {0};
	if (site->generation > 1)
		agent_totals(agent, (uint32_t)number, &base);
	site->base = base;
	struct {
		uint64_t pause, next, pauses_unsure;
	} pause = {request->pause_ns > 0 ? agent_ticks(agent, request->pause_ns) : 0, 0,
		   !request->condition};
	if (pwrite(agent->mem, &pause, sizeof(pause),
		   (off_t)(site->data + offsetof(struct inside_site, pause))) != sizeof(pause) ||
	    pwrite(agent->mem, &words, sizeof(words),
		   (off_t)(site->data + offsetof(struct inside_site, probe))) != sizeof(words))
		return error_errno(errno, "memory of process %d", agent->pid);
	return NULL;
}

/** Everything that its jump is made of still stands there. */
static bool is_usable_again(struct agent *agent, const struct agent_site *site,
			    struct probe_answer *answer)
{
	uint8_t bytes[AGENT_SITE_BYTES];
	unsigned reach = site->extent;
	if (pread(agent->mem, bytes, reach, (off_t)site->address) != (ssize_t)reach ||
	    memcmp(bytes, site->before, reach) != 0)
		return refuse(answer, "the code there is not what it was: somebody's breakpoint?");
	if (is_in_the_way(agent, site->address, site->size, &reach, answer))
		return false;
	return reach == site->extent ||
	       refuse(answer, "its bytes are part of a jump that is armed");
}

static struct strobe_error *prepare(struct agent *agent, const struct probe_request *request,
				    struct agent_site **ret, struct probe_answer *answer)
{
	*ret = NULL;
	*answer = (struct probe_answer){.method = "none"};
	if (request->kind != PROBE_AT) {
		refuse(answer, "jumps are put before instructions only: no returns, no signals");
		return NULL;
	}
	if (request->waits || request->copies || request->below) {
		refuse(answer, request->waits ? "threads do not wait at jumps"
					      : "at jumps what registers point to is copied, and "
						"nothing else");
		return NULL;
	}
	struct agent_site *site = find_old(agent, request);
	if (site && !is_usable_again(agent, site, answer))
		return NULL;
	struct strobe_error *error = NULL;
	if (!site)
		error = add_site(agent, request, &site, answer);
	if (!error && site)
		error = begin_site(agent, site, request);
	*ret = site;
	return error;
}

struct pending {
	size_t request;
	uint32_t probe;
	uint64_t address;
};

static int by_address(const void *a, const void *b)
{
	const struct pending *x = a, *y = b;
	return (x->address > y->address) - (x->address < y->address);
}

static struct surgeon_patch patch_of(const struct agent_site *site, bool undo)
{
	struct surgeon_patch patch = {.address = site->address, .size = site->size, .undo = undo};
	memcpy(patch.before, undo ? site->after : site->before, site->size);
	memcpy(patch.after, undo ? site->before : site->after, site->size);
	return patch;
}

/** At most a batch. */
static struct strobe_error *change(struct agent *agent, const struct pending *pending, size_t count,
				   bool undo, struct probe_answer *answers)
{
	struct surgeon_patch *patches = calloc(SURGEON_BATCH, sizeof(*patches));
	if (!patches)
		return error_no_memory();
	for (size_t i = 0; i < count; i++)
		patches[i] = patch_of(&agent->sites.items[pending[i].probe - 1], undo);
	struct strobe_error *error = surgeon_patch(&agent->surgeon, patches, count);
	for (size_t i = 0; i < count && answers; i++) {
		struct probe_answer *answer = &answers[pending[i].request];
		struct agent_site *site = &agent->sites.items[pending[i].probe - 1];
		if (!error && patches[i].done) {
			answer->probe = pending[i].probe;
			answer->method = site->method;
			continue;
		}
		site->armed = false;
		refuse(answer, "its code cannot be made writable, or has just changed");
	}
	free(patches);
	return error;
}

static struct strobe_error *change_all(struct agent *agent, struct pending *pending, size_t count,
				       bool undo, struct probe_answer *answers)
{
	struct strobe_error *error = NULL;
	qsort(pending, count, sizeof(*pending), by_address);
	for (size_t i = 0; !error && i < count; i += SURGEON_BATCH)
		error = change(agent, pending + i,
			       count - i < SURGEON_BATCH ? count - i : SURGEON_BATCH, undo,
			       answers);
	return error;
}

static bool has_landings(const struct agent *agent, const struct agent_site *site)
{
	return site->size == JUMP ||
	       (site->extent && landing_is_there(agent, &site->pun, site->after, site->extent));
}

/** Has the landings of what is to be armed; another choice where one is not to be had. */
static struct strobe_error *have_landings(struct agent *agent, struct pending *pending,
					  size_t *count, struct probe_answer *answers)
{
	struct strobe_error *error = landing_map(agent);
	for (unsigned round = 0; !error && round < LANDING_ROUNDS; round++) {
		size_t lacking = 0;
		for (size_t i = 0; !error && i < *count; i++) {
			struct agent_site *site = &agent->sites.items[pending[i].probe - 1];
			if (has_landings(agent, site))
				continue;
			lacking++;
			error = lead_to(agent, site, &answers[pending[i].request]);
		}
		if (lacking && !error)
			error = landing_map(agent);
		if (!lacking)
			break;
	}
	size_t kept = 0;
	for (size_t i = 0; !error && i < *count; i++) {
		struct agent_site *site = &agent->sites.items[pending[i].probe - 1];
		if (has_landings(agent, site)) {
			answers[pending[i].request].why[0] = 0;
			pending[kept++] = pending[i];
			continue;
		}
		site->armed = false;
		site->data = 0; // of no use again
		refuse(&answers[pending[i].request],
		       "the places that a punned jump could lead to are in use");
	}
	if (!error)
		*count = kept;
	return error;
}

struct strobe_error *agent_arm(void *context, const struct probe_request *requests, size_t count,
			       struct probe_answer *answers)
{
	struct agent *agent = context;
	struct pending *pending = calloc(count ? count : 1, sizeof(*pending));
	struct strobe_error *error = NULL;
	size_t pending_count = 0;
	if (!pending || !agent_read_space(agent))
		error = pending ? error_new(STROBE_ERROR_NOT_FOUND, "no process %d", agent->pid)
				: error_no_memory();
	for (size_t i = 0; !error && i < count; i++) {
		struct agent_site *site;
		error = prepare(agent, &requests[i], &site, &answers[i]);
		if (site)
			pending[pending_count++] = (struct pending){
				i, (uint32_t)(site - agent->sites.items) + 1, requests[i].address};
	}
	if (!error)
		error = have_landings(agent, pending, &pending_count, answers);
	if (!error)
		error = change_all(agent, pending, pending_count, false, answers);
	if (error && pending) {
		for (size_t i = 0; i < pending_count; i++)
			agent_disarm(agent, &pending[i].probe, 1);
		memset(answers, 0, count * sizeof(*answers));
	}
	free(pending);
	return error;
}

void agent_disarm(void *context, const uint32_t *probes, size_t count)
{
	struct agent *agent = context;
	struct pending *pending = calloc(count ? count : 1, sizeof(*pending));
	size_t pending_count = 0;
	for (size_t i = 0; i < count; i++) {
		if (probes[i] == 0 || probes[i] > agent->sites.count ||
		    !agent->sites.items[probes[i] - 1].armed)
			continue;
		struct agent_site *site = &agent->sites.items[probes[i] - 1];
		site->armed = false;
		struct pending one = {i, probes[i], site->address};
		if (pending)
			pending[pending_count++] = one;
		else // one by one, then
			strobe_error_free(change_all(agent, &one, 1, true, NULL));
	}
	// Should it fail, the jump stays, and what it leads to is told apart from what is armed later.
	if (pending)
		strobe_error_free(change_all(agent, pending, pending_count, true, NULL));
	free(pending);
}
