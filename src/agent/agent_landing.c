// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "agent/emit.h"
#include "base/error.h"

enum { JUMP = 5, SPOT = 16, PAGE = 4096, TRIES = 4096, PAGES_MAX = 8192, BREAKPOINT = 0xcc };
enum { SPOTS_MAX = 1 << LANDING_STARTS };

static bool is_ours(const struct agent *agent, uint64_t page)
{
	for (size_t i = 0; i < agent->landing_pages.count; i++)
		if (agent->landing_pages.items[i] == page)
			return true;
	return false;
}

static bool is_taken(const struct agent *agent, uint64_t spot)
{
	for (size_t i = 0; i < agent->landings.count; i++)
		if (spot < agent->landings.items[i] + SPOT &&
		    agent->landings.items[i] < spot + SPOT)
			return true;
	return false;
}

static bool is_usable(const struct agent *agent, uint64_t spot)
{
	uint64_t first = spot & ~(uint64_t)(PAGE - 1),
		 last = (spot + SPOT - 1) & ~(uint64_t)(PAGE - 1);
	for (uint64_t page = first; page <= last; page += PAGE)
		if (!is_ours(agent, page) && !space_is_free(&agent->space, page, page + PAGE))
			return false;
	return !is_taken(agent, spot);
}

/** Where the jump leads, with breakpoints at the starts in `set`. */
static uint64_t destination(const struct pun *pun, const uint8_t after[AGENT_SITE_BYTES],
			    unsigned set)
{
	uint8_t bytes[AGENT_SITE_BYTES];
	int32_t distance;
	memcpy(bytes, after, sizeof(bytes));
	for (unsigned i = 0; i < pun->start_count; i++)
		if (set >> i & 1)
			bytes[pun->starts[i]] = BREAKPOINT;
	memcpy(&distance, bytes + 1, sizeof(distance));
	return pun->address + JUMP + (uint64_t)(int64_t)distance;
}

/** All places that this choice leads to; false if one is not to be had. */
static bool find_spots(const struct agent *agent, const struct pun *pun,
		       const uint8_t after[AGENT_SITE_BYTES], uint64_t spots[SPOTS_MAX])
{
	unsigned count = 1U << pun->start_count;
	for (unsigned set = 0; set < count; set++) {
		spots[set] = destination(pun, after, set);
		if (!is_usable(agent, spots[set]))
			return false;
		for (unsigned i = 0; i < set; i++)
			if (spots[i] != spots[set] && spots[i] < spots[set] + SPOT &&
			    spots[set] < spots[i] + SPOT)
				return false;
	}
	return true;
}

/** `*mapped` = false if somebody was faster. */
static struct strobe_error *map_page(struct agent *agent, uint64_t page, bool *mapped)
{
	uint64_t got,
		arguments[6] = {page, PAGE, PROT_READ | PROT_EXEC,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, (uint64_t)-1};
	*mapped = is_ours(agent, page);
	if (*mapped || agent->landing_pages.count >= PAGES_MAX)
		return NULL;
	if (!array_reserve(&agent->landing_pages, agent->landing_pages.count + 1))
		return error_no_memory();
	struct strobe_error *error = agent_call(agent, SYS_mmap, arguments, "landing", &got);
	if (error) {
		int errnum = strobe_error_errno(error);
		if (errnum != EEXIST && errnum != ENOMEM && errnum != EPERM)
			return error;
		strobe_error_free(error);
		return NULL;
	}
	*mapped = got == page;
	if (*mapped)
		array_push(&agent->landing_pages, page);
	else if (got != page)
		return agent_call(agent, SYS_munmap, (uint64_t[6]){got, PAGE}, "landing", &got);
	return NULL;
}

static struct strobe_error *take_spot(struct agent *agent, uint64_t spot, uint64_t target,
				      bool *taken)
{
	struct strobe_error *error = NULL;
	uint64_t last = (spot + SPOT - 1) & ~(uint64_t)(PAGE - 1);
	*taken = true;
	for (uint64_t page = spot & ~(uint64_t)(PAGE - 1); !error && *taken && page <= last;
	     page += PAGE)
		error = map_page(agent, page, taken);
	if (error || !*taken)
		return error;
	if (!array_push(&agent->landings, spot))
		return error_no_memory();
	struct emit jump;
	emit_init(&jump, spot);
	emit_put_jump(&jump, target);
	if (pwrite(agent->mem, jump.bytes, jump.size, (off_t)spot) != (ssize_t)jump.size)
		return error_errno(errno, "memory of process %d", agent->pid);
	return NULL;
}

static struct strobe_error *take_spots(struct agent *agent, const struct pun *pun,
				       const uint64_t spots[SPOTS_MAX], uint64_t target,
				       bool *taken)
{
	struct strobe_error *error = NULL;
	*taken = true;
	for (unsigned set = 0; !error && *taken && set < 1U << pun->start_count; set++) {
		bool same = false;
		for (unsigned i = 0; i < set; i++)
			same |= spots[i] == spots[set];
		if (!same)
			error = take_spot(agent, spots[set], target, taken);
	}
	return error;
}

struct strobe_error *landing_make(struct agent *agent, const struct pun *pun, uint64_t target,
				  uint8_t after[AGENT_SITE_BYTES], bool *found)
{
	uint64_t choices = UINT64_C(1) << (8 * (pun->size - 1)), spots[SPOTS_MAX];
	// In steps that leave room for others, over as much of the range as can be tried.
	uint64_t step = choices <= 256 ? 1 : choices <= 65536 ? SPOT : PAGE + SPOT;
	*found = false;
	for (uint64_t i = 0, choice = 0; i < TRIES && choice < choices; i++, choice += step) {
		memcpy(after, pun->bytes, AGENT_SITE_BYTES);
		after[0] = 0xe9;
		for (unsigned j = 1; j < pun->size; j++)
			after[j] = (uint8_t)(choice >> (8 * (j - 1)));
		if (!find_spots(agent, pun, after, spots))
			continue;
		struct strobe_error *error = take_spots(agent, pun, spots, target, found);
		if (error || *found)
			return error;
	}
	return NULL;
}
