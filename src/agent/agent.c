// SPDX-License-Identifier: Apache-2.0
#include "agent/agent.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "agent/emit.h"
#include "base/error.h"
#include "process/proc.h"

enum {
	CODE_SIZE = INSIDE_CODE_SIZE,
	DATA_SIZE = 8 << 20,
	CONTROL_SIZE = 4096,
	ATTEMPTS = 5,
	HWCAP2_FSGSBASE_BIT = 2,
	TICK_NS = 5000000, // how late a hit may be noticed
};
static const struct {
	uint32_t room, slots;
} ring_kinds[AGENT_RINGS] = {{0, 16384}, {1024, 4096}, {8192, 1024}, {32768, 256}};

uint32_t agent_stack_room(unsigned ring)
{
	return ring_kinds[ring].room;
}

struct strobe_error *agent_call(struct agent *agent, long number, const uint64_t arguments[6],
				const char *what, uint64_t *ret)
{
	int64_t result;
	struct strobe_error *error = surgeon_call(&agent->surgeon, number, arguments, &result);
	if (!error && result < 0 && result > -4096)
		error = error_errno((int)-result, "%s in process %d", what, agent->pid);
	*ret = (uint64_t)result;
	return error;
}

static struct strobe_error *map_at(struct agent *agent, uint64_t address, uint64_t size,
				   int protection)
{
	uint64_t got, arguments[6] = {
			      address,
			      size,
			      (uint64_t)protection,
			      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE,
			      (uint64_t)-1,
		      };
	struct strobe_error *error = agent_call(agent, SYS_mmap, arguments, "new memory", &got);
	if (!error && got != address) { // a kernel that does not know the flag took it for a hint
		uint64_t back[6] = {got, size};
		error = agent_call(agent, SYS_munmap, back, "new memory", &got);
		if (!error)
			error = error_new(STROBE_ERROR_UNSUPPORTED,
					  "no memory at a chosen address in process %d",
					  agent->pid);
	}
	return error;
}

static struct strobe_error *write_target(struct agent *agent, uint64_t address, const void *bytes,
					 size_t size)
{
	return pwrite(agent->mem, bytes, size, (off_t)address) == (ssize_t)size
		       ? NULL
		       : error_errno(errno ? errno : EIO, "memory of process %d", agent->pid);
}

/** Code and data in memory that is there: what runs inside first, then room for trampolines. */
static struct strobe_error *furnish(struct agent *agent, struct agent_arena *arena)
{
	uint64_t size, ignored;
	const uint8_t *inside = inside_code(&size);
	uint64_t table = arena->control + CONTROL_SIZE;
	struct inside_control control = {
		.live = 1,
		.pid = agent->inner_pid,
		.reads = 1,
		.fsgsbase = agent->fsgsbase,
		.transactions = agent->transactions,
	};
	uint64_t wipe[6] = {arena->control, DATA_SIZE, MADV_WIPEONFORK};
	arena->hit = arena->base + inside_hit_offset();
	arena->load = arena->base + inside_load_offset();
	arena->code_at = arena->base + ((size + 63) & ~UINT64_C(63));
	arena->code_end = arena->base + CODE_SIZE;
	arena->data_at = table + SURGEON_TABLE;
	arena->data_end = arena->control + DATA_SIZE;
	struct strobe_error *error =
		agent_call(agent, SYS_madvise, wipe, "memory that children do not have", &ignored);
	if (!error)
		error = write_target(agent, arena->base, inside, size);
	if (!error)
		error = write_target(agent, arena->control, &control, sizeof(control));
	if (!error)
		error = surgeon_tell(&agent->surgeon, arena->control,
				     arena->base + inside_patch_offset(), table);
	return error;
}

bool agent_read_space(struct agent *agent)
{
	// The helper has the memory that jumps are in, whatever the process executes meanwhile.
	return space_read(&agent->space, agent->surgeon.helper) ||
	       space_read(&agent->space, agent->pid);
}

static bool has_room(const struct agent_arena *arena, uint64_t address)
{
	return arena->code_end - arena->code_at >= 2 * EMIT_MAX &&
	       arena->data_end - arena->data_at >= sizeof(struct inside_site) &&
	       emit_reaches(address, arena->base) && emit_reaches(address, arena->data_end) &&
	       emit_reaches(arena->base, address + 64) && emit_reaches(arena->code_end, address);
}

struct strobe_error *agent_arena_for(struct agent *agent, uint64_t address,
				     struct agent_arena **ret, const char **why)
{
	*ret = NULL;
	for (size_t i = 0; i < agent->arenas.count; i++)
		if (has_room(&agent->arenas.items[i], address)) {
			*ret = &agent->arenas.items[i];
			return NULL;
		}
	struct agent_arena arena = {0};
	uint64_t size = CODE_SIZE + DATA_SIZE, ignored;
	struct strobe_error *error = NULL;
	if (!array_reserve(&agent->arenas, agent->arenas.count + 1))
		return error_no_memory();
	for (unsigned i = 0; i < ATTEMPTS; i++) { // the target maps memory meanwhile
		strobe_error_free(error);
		if (!agent_read_space(agent) ||
		    !space_find_near(&agent->space, address, size, &arena.base)) {
			*why = "there is no free memory within reach of a jump";
			return NULL;
		}
		error = map_at(agent, arena.base, CODE_SIZE, PROT_READ | PROT_EXEC);
		if (!error || strobe_error_errno(error) != EEXIST)
			break;
	}
	if (error)
		return error;
	arena.control = arena.base + CODE_SIZE;
	error = map_at(agent, arena.control, DATA_SIZE, PROT_READ | PROT_WRITE);
	bool whole = !error;
	if (!error)
		error = furnish(agent, &arena);
	if (error) { // nothing leads there yet
		uint64_t all[6] = {arena.base, whole ? size : CODE_SIZE};
		strobe_error_free(agent_call(agent, SYS_munmap, all, "memory", &ignored));
		return error;
	}
	array_push(&agent->arenas, arena);
	*ret = &agent->arenas.items[agent->arenas.count - 1];
	agent_read_space(agent);
	return NULL;
}

/** Shared memory: made by the helper, as ours can be opened by nobody there. */
static struct strobe_error *open_memory(struct agent *agent, uint64_t name_at, uint64_t size,
					uint64_t *inner, int *ret)
{
	char path[64];
	uint64_t arguments[6] = {name_at, MFD_CLOEXEC};
	struct strobe_error *error =
		agent_call(agent, SYS_memfd_create, arguments, "shared memory", inner);
	if (error)
		return error;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)agent->surgeon.helper, (int)*inner);
	*ret = open(path, O_RDWR | O_CLOEXEC);
	if (*ret < 0 || ftruncate(*ret, (off_t)size) != 0)
		error = error_errno(errno, "shared memory of process %d", agent->pid);
	return error;
}

struct strobe_error *agent_have_ring(struct agent *agent, unsigned index)
{
	static const char name[] = "strobe hits";
	struct ring *ring = &agent->rings[index];
	uint64_t slots = ring_kinds[index].slots, room = ring_kinds[index].room, inner = 0, ignored;
	uint64_t size = ring_size(slots, room);
	int memory = -1;
	if (ring->memory)
		return NULL;
	// Any arena's page of control has room for a name.
	uint64_t name_at = agent->arenas.items[0].control + CONTROL_SIZE - sizeof(name);
	struct strobe_error *error = write_target(agent, name_at, name, sizeof(name));
	if (!error)
		error = open_memory(agent, name_at, size, &inner, &memory);
	void *mine = error ? MAP_FAILED
			   : mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (!error && mine == MAP_FAILED)
		error = error_errno(errno, "ring of hits");
	uint64_t arguments[6] = {0, size, PROT_READ | PROT_WRITE, MAP_SHARED, inner};
	uint64_t address = 0;
	if (!error)
		error = agent_call(agent, SYS_mmap, arguments, "ring of hits", &address);
	if (memory >= 0)
		close(memory);
	uint64_t close_it[6] = {inner};
	if (inner || memory >= 0)
		strobe_error_free(agent_call(agent, SYS_close, close_it, "ring", &ignored));
	if (!error) {
		ring_init(ring, mine, slots, room);
		ring->address = address;
		return surgeon_tell_ring(&agent->surgeon, address, size);
	}
	if (mine != MAP_FAILED)
		munmap(mine, size);
	return error;
}

/** Its id as its own namespace has it. */
static bool read_ids(struct agent *agent)
{
	char name[32];
	cleanup_text struct text status = {0};
	const char *at;
	unsigned count = 0;
	snprintf(name, sizeof(name), "%d/status", agent->pid);
	if (proc_read(name, &status) || !status.size)
		return false;
	size_t size = proc_field(status.data, "NSpid", &at);
	for (const char *end = at + size; at && at < end; count++) {
		char *next;
		unsigned long id = strtoul(at, &next, 10);
		if (next == at)
			break;
		agent->inner_pid = (uint32_t)id;
		at = next + strspn(next, " \t");
	}
	agent->same_ids = count <= 1;
	return true;
}

static void close_agent(void *context)
{
	struct agent *agent = context;
	surgeon_close(&agent->surgeon);
	for (unsigned i = 0; i < AGENT_RINGS; i++)
		ring_fini(&agent->rings[i]);
	for (size_t i = 0; i < agent->sites.count; i++)
		free(agent->sites.items[i].condition);
	array_fini(&agent->sites);
	array_fini(&agent->arenas);
	array_fini(&agent->wanted_pages);
	array_fini(&agent->landings);
	hash_fini(&agent->pages);
	hash_fini(&agent->spots);
	hash_fini(&agent->armed);
	hash_fini(&agent->latest);
	space_fini(&agent->space);
	int descriptors[] = {agent->mem, agent->timer, agent->process, agent->file};
	for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	free(agent);
}

static struct strobe_error *open_descriptors(struct agent *agent)
{
	char path[64];
	struct itimerspec tick = {.it_value.tv_nsec = TICK_NS, .it_interval.tv_nsec = TICK_NS};
	agent->process = (int)syscall(SYS_pidfd_open, agent->pid, 0);
	if (agent->process < 0)
		return errno == ESRCH
			       ? error_new(STROBE_ERROR_NOT_FOUND, "no process %d", agent->pid)
			       : error_errno(errno, "process %d", agent->pid);
	agent->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (agent->timer < 0 || timerfd_settime(agent->timer, 0, &tick, NULL) != 0)
		return error_errno(errno, "timer");
	struct strobe_error *error = surgeon_open(&agent->surgeon, agent->pid);
	if (error)
		return error;
	snprintf(path, sizeof(path), "/proc/%d/mem", agent->pid);
	agent->mem = open(path, O_RDWR | O_CLOEXEC);
	return agent->mem < 0 ? error_errno(errno, "memory of process %d", agent->pid) : NULL;
}

/** Restricted transactional memory, and not switched off so that each one ends at once. */
static bool has_transactions(void)
{
	unsigned eax, ebx, ecx, edx;
	return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && ebx >> 11 & 1 && !(edx >> 11 & 1);
}

static struct strobe_error *open_agent(int pid, struct strobe_symbols *symbols, void **ret)
{
	struct agent *agent = calloc(1, sizeof(*agent));
	if (!agent)
		return error_no_memory();
	*agent = (struct agent){.pid = pid,
				.process = -1,
				.mem = -1,
				.timer = -1,
				.file = -1,
				.symbols = symbols,
				.surgeon.socket = -1,
				.fsgsbase = getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE_BIT,
				.transactions = has_transactions()};
	struct strobe_error *error = open_descriptors(agent);
	if (!error && !read_ids(agent))
		error = error_new(STROBE_ERROR_NOT_FOUND, "no process %d", pid);
	if (error) {
		close_agent(agent);
		return error;
	}
	agent_start_clock(agent);
	*ret = agent;
	return NULL;
}

static void release(void *context, uint64_t token)
{
	(void)context;
	(void)token; // nobody waits
}

static void moved(void *context, struct strobe_symbols *symbols)
{
	((struct agent *)context)->symbols =
		symbols; // mappings are read anew whenever something is armed
}

static int descriptor(void *context)
{
	return ((struct agent *)context)->timer;
}

/** Has what we put there: it has executed no other program since. */
static bool is_at_home(const struct agent *agent)
{
	char path[64];
	uint8_t found[64];
	uint64_t size;
	const uint8_t *code = inside_code(&size);
	if (!agent->arenas.count)
		return true; // asked again when there is one
	snprintf(path, sizeof(path), "/proc/%d/mem", agent->pid);
	int memory = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t got = memory < 0 ? 0
				 : pread(memory, found, sizeof(found),
					 (off_t)agent->arenas.items[0].base);
	if (memory >= 0)
		close(memory);
	// 0: it is about to end, and has no memory any more.
	return got == 0 || (got == sizeof(found) && memcmp(found, code, sizeof(found)) == 0);
}

/** Armed where the process is now, or not at all: the helper may be in the memory of a program that it executed before. */
static struct strobe_error *arm(void *context, const struct probe_request *requests, size_t count,
				struct probe_answer *answers)
{
	struct agent *agent = context;
	struct strobe_error *error = NULL;
	bool home = is_at_home(agent);
	if (home)
		error = agent_arm(agent, requests, count, answers);
	if (error || (home && is_at_home(agent)))
		return error;
	for (size_t i = 0; i < count && home; i++)
		agent_disarm(agent, &answers[i].probe, 1);
	memset(answers, 0, count * sizeof(*answers));
	return error_errno(ESRCH, "process %d executes another program", agent->pid);
}

const struct engine_ops agent_engine = {
	.name = "agent",
	.open = open_agent,
	.close = close_agent,
	.arm = arm,
	.disarm = agent_disarm,
	.wait = agent_wait,
	.release = release,
	.totals = agent_totals,
	.descriptor = descriptor,
	.moved = moved,
};
