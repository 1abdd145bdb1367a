// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/emit.h"
#include "base/error.h"

enum {
	JUMP = 5,
	SPOT = 16,
	PAGE = 4096,
	TRIES = 4096,
	ASIDE = 64,
	PAGES_MAX = 16384,
	BREAKPOINT = 0xcc
};
enum { STARTS_MAX = 4, SPOTS_MAX = 1 << STARTS_MAX };
/** Segment overrides: before a jump they mean nothing. */
enum { PREFIX = 0x2e };

/** What agent->pages has for a page: chosen, or not to be had. */
static char wanted, mapped, lost;

static bool is_usable(const struct agent *agent, uint64_t spot)
{
	uint64_t first = spot & ~(uint64_t)(PAGE - 1),
		 last = (spot + SPOT - 1) & ~(uint64_t)(PAGE - 1);
	for (uint64_t page = first; page <= last; page += PAGE) {
		const void *state = hash_get(&agent->pages, page);
		if (state == &lost || (!state && !space_is_free(&agent->space, page, page + PAGE)))
			return false;
	}
	// At most one begins within 16 bytes.
	for (uint64_t near = spot / SPOT - 1; near <= spot / SPOT + 1; near++) {
		uint64_t other = (uint64_t)(uintptr_t)hash_get(&agent->spots, near);
		if (other && spot < other + SPOT && other < spot + SPOT)
			return false;
	}
	return true;
}

/** Starts of instructions within a jump. */
static unsigned starts_in(const struct pun *pun, unsigned extent)
{
	unsigned count = 0;
	while (count < pun->start_count && pun->starts[count] < extent)
		count++;
	return count;
}

/** Where the jump leads, with breakpoints at the starts in `set`. */
static uint64_t destination(const struct pun *pun, const uint8_t after[AGENT_SITE_BYTES],
			    unsigned extent, unsigned set)
{
	uint8_t bytes[AGENT_SITE_BYTES];
	int32_t distance;
	memcpy(bytes, after, sizeof(bytes));
	for (unsigned i = 0; set >> i; i++)
		if (set >> i & 1)
			bytes[pun->starts[i]] = BREAKPOINT;
	memcpy(&distance, bytes + extent - sizeof(distance), sizeof(distance));
	return pun->address + extent + (uint64_t)(int64_t)distance;
}

/** All places that this choice leads to; false if one is not to be had. */
static bool find_spots(const struct agent *agent, const struct pun *pun,
		       const uint8_t after[AGENT_SITE_BYTES], unsigned extent,
		       uint64_t spots[SPOTS_MAX])
{
	unsigned count = 1U << starts_in(pun, extent);
	for (unsigned set = 0; set < count; set++) {
		spots[set] = destination(pun, after, extent, set);
		if (!is_usable(agent, spots[set]))
			return false;
		for (unsigned i = 0; i < set; i++)
			if ((spots[i] != spots[set] || i == 0) && spots[i] < spots[set] + SPOT &&
			    spots[set] < spots[i] + SPOT)
				return false;
	}
	return true;
}

static struct strobe_error *take_page(struct agent *agent, uint64_t page)
{
	if (hash_get(&agent->pages, page))
		return NULL;
	if (!hash_put(&agent->pages, page, &wanted) || !array_push(&agent->wanted_pages, page))
		return error_no_memory();
	agent->page_count++;
	return NULL;
}

static struct strobe_error *take_spot(struct agent *agent, uint64_t spot, uint64_t target)
{
	struct strobe_error *error = take_page(agent, spot & ~(uint64_t)(PAGE - 1));
	if (!error)
		error = take_page(agent, (spot + SPOT - 1) & ~(uint64_t)(PAGE - 1));
	if (!error && (!hash_put(&agent->spots, spot / SPOT, (void *)(uintptr_t)spot) ||
		       !array_push(&agent->landings, (struct landing){spot, target})))
		error = error_no_memory();
	return error;
}

static struct strobe_error *take_spots(struct agent *agent, const struct pun *pun, unsigned extent,
				       const uint64_t spots[SPOTS_MAX], const uint64_t targets[2])
{
	struct strobe_error *error = NULL;
	for (unsigned set = 0; !error && set < 1U << starts_in(pun, extent); set++) {
		bool same = false;
		for (unsigned i = 0; i < set; i++)
			same |= spots[i] == spots[set];
		if (!same)
			error = take_spot(agent, spots[set], targets[set != 0]);
	}
	return error;
}

/** With so many prefixes before the jump: other bytes are its distance. */
static bool choose_with(const struct agent *agent, const struct pun *pun, unsigned prefixes,
			uint8_t after[AGENT_SITE_BYTES], uint64_t spots[SPOTS_MAX])
{
	unsigned free_bytes = pun->size - prefixes - 1, extent = prefixes + JUMP;
	uint64_t choices = UINT64_C(1) << (8 * free_bytes);
	// In steps that leave room for others, over as much of the range as can be tried. Not at first where the lower bits of the address
	// are those of the site: processors take one branch for the other by them (7 ns here).
	uint64_t step = choices <= 256 ? 1 : choices <= 65536 ? SPOT : PAGE + SPOT;
	if (starts_in(pun, extent) > STARTS_MAX)
		return false;
	for (uint64_t i = 0; i < TRIES && i * step < choices; i++) {
		uint64_t choice = (ASIDE + i * step) & (choices - 1);
		memcpy(after, pun->bytes, AGENT_SITE_BYTES);
		memset(after, PREFIX, prefixes);
		after[prefixes] = 0xe9;
		for (unsigned j = 0; j < free_bytes; j++)
			after[prefixes + 1 + j] = (uint8_t)(choice >> (8 * j));
		if (find_spots(agent, pun, after, extent, spots))
			return true;
	}
	return false;
}

struct strobe_error *landing_choose(struct agent *agent, const struct pun *pun,
				    const uint64_t targets[2], uint8_t after[AGENT_SITE_BYTES],
				    unsigned *extent)
{
	uint64_t spots[SPOTS_MAX];
	*extent = 0;
	if (agent->page_count >= PAGES_MAX)
		return NULL;
	for (unsigned prefixes = 0; prefixes < pun->size && prefixes + JUMP <= pun->reach;
	     prefixes++)
		if (choose_with(agent, pun, prefixes, after, spots)) {
			*extent = prefixes + JUMP;
			return take_spots(agent, pun, *extent, spots, targets);
		}
	return NULL;
}

/** At most a batch. */
static struct strobe_error *map_pages(struct agent *agent, const uint64_t *pages, size_t count)
{
	static _Thread_local struct inside_call calls[SURGEON_BATCH];
	for (size_t i = 0; i < count; i++)
		calls[i] = (struct inside_call){
			.number = SYS_mmap,
			.arguments = {pages[i], PAGE, PROT_READ | PROT_EXEC,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE,
				      (uint64_t)-1}};
	struct strobe_error *error = surgeon_calls(&agent->surgeon, calls, count);
	for (size_t i = 0; i < count; i++) {
		bool good = !error && calls[i].result == pages[i];
		if (!error && !good && calls[i].result < (uint64_t)-4095) {
			// A kernel that does not know the flag took it for a hint.
			uint64_t ignored, back[6] = {calls[i].result, PAGE};
			error = agent_call(agent, SYS_munmap, back, "landing", &ignored);
		}
		if (!hash_put(&agent->pages, pages[i], good ? &mapped : &lost) && !error)
			error = error_no_memory();
	}
	return error;
}

static bool is_mapped(const struct agent *agent, uint64_t spot)
{
	return hash_get(&agent->pages, spot & ~(uint64_t)(PAGE - 1)) == &mapped &&
	       hash_get(&agent->pages, (spot + SPOT - 1) & ~(uint64_t)(PAGE - 1)) == &mapped;
}

static struct strobe_error *write_landing(const struct agent *agent, const struct landing *landing)
{
	struct emit jump;
	if (!is_mapped(agent, landing->spot))
		return NULL;
	emit_init(&jump, landing->spot);
	emit_put_jump(&jump, landing->target);
	errno = 0;
	if (pwrite(agent->mem, jump.bytes, jump.size, (off_t)landing->spot) != (ssize_t)jump.size)
		return error_errno(errno ? errno : EIO, "memory of process %d", agent->pid);
	return NULL;
}

struct strobe_error *landing_map(struct agent *agent)
{
	struct strobe_error *error = NULL;
	for (size_t i = 0; !error && i < agent->wanted_pages.count; i += SURGEON_BATCH) {
		size_t count = agent->wanted_pages.count - i;
		error = map_pages(agent, agent->wanted_pages.items + i,
				  count < SURGEON_BATCH ? count : SURGEON_BATCH);
	}
	for (size_t i = 0; !error && i < agent->landings.count; i++)
		error = write_landing(agent, &agent->landings.items[i]);
	agent->wanted_pages.count = agent->landings.count = 0;
	return error;
}

bool landing_is_there(const struct agent *agent, const struct pun *pun,
		      const uint8_t after[AGENT_SITE_BYTES], unsigned extent)
{
	for (unsigned set = 0; set < 1U << starts_in(pun, extent); set++)
		if (!is_mapped(agent, destination(pun, after, extent, set)))
			return false;
	return true;
}
