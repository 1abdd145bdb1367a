// SPDX-License-Identifier: Apache-2.0
// The engine that takes the kernel's uprobes: a BPF program copies registers and stack to a ring. The kernel puts the breakpoints in and
// takes them out again when our descriptors close, however that comes about.
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/array.h"
#include "base/error.h"
#include "tracepoint/engine.h"
#include "uprobe/bpf.h"
#include "uprobe/condition.h"

enum {
	RING_SIZE = 16 << 20,
	COUNTERS = 4, // of the BPF program: dropped
	STACK_CLASSES = 4,
	RED_ZONE = 128,	    // below the stack pointer: a leaf function's own (System V ABI, AMD64)
	BELOW = 1024,	    // bytes below the stack pointer, where a request wants some
	RESERVE_HEADER = 8, // of a record in the ring
	PROBE_LIMIT = 100000,
	REGISTERS = 21, // words of struct pt_regs
	AT_ONCE = 256,	// hits
	AT_ONCE_NS = 50000000,
	POINTEES = 15, // registers r15 to rdi of struct pt_regs
	POINTEE_SIZE = 256,
	POINTEE_RBP = 4, // the stack is copied anyhow
	COPIES = 3,	 // that a request may ask for
	COPY_SIZE = 256,
};
/** Bytes of stack that a record has room for. */
static const uint32_t stack_sizes[STACK_CLASSES] = {0, 1024, 8192, 32768};

/** A hit in the ring, as the BPF program writes it. */
struct record {
	uint64_t cookie, time_ns, pid_tid, fs_base;
	uint64_t regs[REGISTERS]; // struct pt_regs: r15 ... ss
	uint32_t stack_size;	  // that was copied
	uint32_t pointees_known;  // bit n: what register n pointed to
	uint64_t checked; // the condition holds; 0 = there is none, or it could not be evaluated
	uint64_t red_zone_missing; // 0 = it was copied
	uint8_t red_zone[RED_ZONE];
	uint8_t pointees[POINTEES][POINTEE_SIZE];
	struct copy {
		uint64_t address, size;
		uint8_t bytes[COPY_SIZE];
	} copies[COPIES];
	uint8_t stack[];
};

struct probe {
	int link; // -1 = free
	uint32_t cookie;
	enum probe_kind kind;
	bool below;
	uint64_t address;
	struct engine_totals totals;
};

/** Invariants: probes[i] is the probe whose number is i + 1; the cookie that the kernel keeps is that number. */
struct uprobe {
	int pid, process; // and a descriptor of it
	struct strobe_symbols *symbols;
	int ring, counters;
	int programs[STACK_CLASSES][2]; // [1]: with what is below the stack pointer
	uint32_t fs_base;		// where the kernel keeps it in a task; 0 = not known
	ARRAY(struct probe) probes;
	uint64_t *consumer;	  // mapped: our position
	const uint64_t *producer; // the kernel's
	const uint8_t *data;	  // twice in a row
	uint64_t dropped;	  // told so far
};

static void put_call(struct bpf_code *code, int helper)
{
	bpf_put(code, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

static void put_copy(struct bpf_code *code, uint8_t to, uint8_t from)
{
	bpf_put(code, BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

static void put_constant(struct bpf_code *code, uint8_t to, int32_t value)
{
	bpf_put(code, BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}

static void put_store(struct bpf_code *code, uint8_t base, size_t offset, uint8_t from)
{
	bpf_put(code, BPF_STX | BPF_MEM | BPF_DW, base, from, (int16_t)offset, 0);
}

/** Counts what finds no room. */
static void put_drop(struct bpf_code *code, int counters)
{
	bpf_put(code, BPF_ST | BPF_MEM | BPF_W, BPF_REG_10, 0, -4, 0);
	bpf_put_map(code, BPF_REG_1, counters);
	put_copy(code, BPF_REG_2, BPF_REG_10);
	bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, -4);
	put_call(code, BPF_FUNC_map_lookup_elem);
	unsigned none = code->count;
	bpf_put(code, BPF_JMP | BPF_JEQ | BPF_K, BPF_REG_0, 0, 0, 0);
	put_constant(code, BPF_REG_1, 1);
	bpf_put(code, BPF_STX | BPF_ATOMIC | BPF_DW, BPF_REG_0, BPF_REG_1, 0, BPF_ADD);
	bpf_land(code, none);
	put_constant(code, BPF_REG_0, 0);
	bpf_put(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/** thread.fsbase of the task that runs. */
static void put_fs_base(struct bpf_code *code, uint32_t offset)
{
	bpf_put(code, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_7, 0, offsetof(struct record, fs_base), 0);
	if (!offset)
		return;
	put_call(code, BPF_FUNC_get_current_task);
	put_copy(code, BPF_REG_3, BPF_REG_0);
	bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, (int32_t)offset);
	put_copy(code, BPF_REG_1, BPF_REG_7);
	bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0,
		offsetof(struct record, fs_base));
	put_constant(code, BPF_REG_2, 8);
	put_call(code, BPF_FUNC_probe_read_kernel);
}

/** Tries to copy from the stack: as many bytes as r8 says and `more`. On success that is noted, and the code goes on at what is landed. */
static unsigned put_stack_try(struct bpf_code *code, int32_t more, int32_t below)
{
	put_copy(code, BPF_REG_1, BPF_REG_7);
	bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, offsetof(struct record, stack));
	put_copy(code, BPF_REG_2, BPF_REG_8);
	bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_2, 0, 0, more);
	bpf_put(code, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, BPF_REG_6, 19 * 8, 0); // rsp
	bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, -below);
	put_call(code, BPF_FUNC_probe_read_user);
	unsigned failed = code->count;
	bpf_put(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, 0);
	bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_8, 0, 0, more);
	bpf_put(code, BPF_STX | BPF_MEM | BPF_W, BPF_REG_7, BPF_REG_8,
		offsetof(struct record, stack_size), 0);
	unsigned done = code->count;
	bpf_put(code, BPF_JMP | BPF_JA, 0, 0, 0, 0);
	bpf_land(code, failed);
	return done;
}

/** As much of the stack as can be read: all, or up to the last page that is there, from `below` bytes below its pointer on. */
static void put_stack(struct bpf_code *code, uint32_t size, int32_t below)
{
	enum { PAGE = 4096, TRIES = 12 };
	unsigned done[TRIES], count = 0;
	bpf_put(code, BPF_ST | BPF_MEM | BPF_W, BPF_REG_7, 0, offsetof(struct record, stack_size),
		0);
	if (!size)
		return;
	put_constant(code, BPF_REG_8, 0);
	done[count++] = put_stack_try(code, (int32_t)size, below);
	// r8 = what is left of the page.
	bpf_put(code, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_6, 19 * 8, 0);
	bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0, -below);
	bpf_put(code, BPF_ALU64 | BPF_AND | BPF_K, BPF_REG_1, 0, 0, PAGE - 1);
	put_constant(code, BPF_REG_8, PAGE);
	bpf_put(code, BPF_ALU64 | BPF_SUB | BPF_X, BPF_REG_8, BPF_REG_1, 0, 0);
	for (uint32_t pages = size / PAGE; pages-- > 0 && count < TRIES - 1;)
		done[count++] = put_stack_try(code, (int32_t)(pages * PAGE), below);
	while (count-- > 0)
		bpf_land(code, done[count]);
}

/** Where stack is wanted: the bytes below its pointer that are in use, too. */
static void put_red_zone(struct bpf_code *code, uint32_t stack_size)
{
	if (!stack_size) {
		put_constant(code, BPF_REG_0, 1);
	} else {
		put_copy(code, BPF_REG_1, BPF_REG_7);
		bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0,
			offsetof(struct record, red_zone));
		put_constant(code, BPF_REG_2, RED_ZONE);
		bpf_put(code, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, BPF_REG_6, 19 * 8, 0); // rsp
		bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_3, 0, 0, -RED_ZONE);
		put_call(code, BPF_FUNC_probe_read_user);
	}
	put_store(code, BPF_REG_7, offsetof(struct record, red_zone_missing), BPF_REG_0);
}

/** What registers point to, as far as it can be read: r8 collects which. */
static void put_pointees(struct bpf_code *code)
{
	put_constant(code, BPF_REG_8, 0);
	for (int i = 0; i < POINTEES; i++) {
		if (i == POINTEE_RBP)
			continue;
		put_copy(code, BPF_REG_1, BPF_REG_7);
		bpf_put(code, BPF_ALU64 | BPF_ADD | BPF_K, BPF_REG_1, 0, 0,
			(int32_t)(offsetof(struct record, pointees) + (size_t)i * POINTEE_SIZE));
		put_constant(code, BPF_REG_2, POINTEE_SIZE);
		bpf_put(code, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_3, BPF_REG_6, (int16_t)(i * 8),
			0);
		put_call(code, BPF_FUNC_probe_read_user);
		unsigned failed = code->count;
		bpf_put(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, 0);
		bpf_put(code, BPF_ALU64 | BPF_OR | BPF_K, BPF_REG_8, 0, 0, 1 << i);
		bpf_land(code, failed);
	}
	bpf_put(code, BPF_STX | BPF_MEM | BPF_W, BPF_REG_7, BPF_REG_8,
		offsetof(struct record, pointees_known), 0);
}

static bool put_copies(struct bpf_code *code, const struct probe_program *program)
{
	const struct bpf_copies copies = {offsetof(struct record, copies), sizeof(struct copy),
					  COPIES};
	for (unsigned i = 0; i < COPIES; i++)
		bpf_put(code, BPF_ST | BPF_MEM | BPF_DW, BPF_REG_7, 0,
			(int16_t)(offsetof(struct record, copies[0].size) +
				  i * sizeof(struct copy)),
			0);
	return !program || bpf_put_copies(code, program, &copies);
}

/** The program that a hit runs: r6 = registers, r7 = the record. */
static bool make_program(struct bpf_code *code, const struct uprobe *engine, uint32_t stack_size,
			 bool below, const struct probe_program *condition,
			 const struct probe_program *copied)
{
	code->count = 0;
	put_copy(code, BPF_REG_6, BPF_REG_1);
	put_constant(code, BPF_REG_9, 0);
	if (condition && !bpf_put_condition(code, condition))
		return false;
	bpf_put_map(code, BPF_REG_1, engine->ring);
	put_constant(code, BPF_REG_2, (int32_t)(sizeof(struct record) + stack_size));
	put_constant(code, BPF_REG_3, 0);
	put_call(code, BPF_FUNC_ringbuf_reserve);
	unsigned got = code->count;
	bpf_put(code, BPF_JMP | BPF_JNE | BPF_K, BPF_REG_0, 0, 0, 0);
	put_drop(code, engine->counters);
	bpf_land(code, got);
	put_copy(code, BPF_REG_7, BPF_REG_0);
	put_copy(code, BPF_REG_1, BPF_REG_6);
	put_call(code, BPF_FUNC_get_attach_cookie);
	put_store(code, BPF_REG_7, offsetof(struct record, cookie), BPF_REG_0);
	put_call(code, BPF_FUNC_ktime_get_ns);
	put_store(code, BPF_REG_7, offsetof(struct record, time_ns), BPF_REG_0);
	put_call(code, BPF_FUNC_get_current_pid_tgid);
	put_store(code, BPF_REG_7, offsetof(struct record, pid_tid), BPF_REG_0);
	for (unsigned i = 0; i < REGISTERS; i++) {
		bpf_put(code, BPF_LDX | BPF_MEM | BPF_DW, BPF_REG_1, BPF_REG_6, (int16_t)(i * 8),
			0);
		put_store(code, BPF_REG_7, offsetof(struct record, regs) + i * 8, BPF_REG_1);
	}
	put_store(code, BPF_REG_7, offsetof(struct record, checked), BPF_REG_9);
	put_fs_base(code, engine->fs_base);
	put_stack(code, stack_size, below ? BELOW : 0);
	put_red_zone(code, stack_size);
	put_pointees(code);
	bool good = put_copies(code, copied);
	put_copy(code, BPF_REG_1, BPF_REG_7);
	put_constant(code, BPF_REG_2, 0);
	put_call(code, BPF_FUNC_ringbuf_submit);
	put_constant(code, BPF_REG_0, 0);
	bpf_put(code, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
	return good && code->count < sizeof(code->items) / sizeof(code->items[0]);
}

static void close_engine(void *context)
{
	struct uprobe *engine = context;
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	for (size_t i = 0; i < engine->probes.count; i++)
		if (engine->probes.items[i].link >= 0)
			close(engine->probes.items[i].link);
	array_fini(&engine->probes);
	if (engine->consumer)
		munmap(engine->consumer, page);
	if (engine->producer)
		munmap((void *)(uintptr_t)engine->producer, page + 2 * RING_SIZE);
	int descriptors[] = {engine->ring, engine->counters, engine->process};
	for (size_t i = 0; i < sizeof(descriptors) / sizeof(descriptors[0]); i++)
		if (descriptors[i] >= 0)
			close(descriptors[i]);
	for (unsigned i = 0; i < 2 * STACK_CLASSES; i++)
		if (engine->programs[i / 2][i % 2] >= 0)
			close(engine->programs[i / 2][i % 2]);
	free(engine);
}

static struct strobe_error *refused(const char *what)
{
	if (errno == EPERM || errno == EACCES)
		return error_errno(errno,
				   "%s: the kernel lets only root (CAP_BPF and CAP_PERFMON) use "
				   "uprobes by BPF",
				   what);
	return error_errno(errno, "%s", what);
}

static struct strobe_error *map_ring(struct uprobe *engine)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, engine->ring, 0);
	void *producer =
		mmap(NULL, page + 2 * RING_SIZE, PROT_READ, MAP_SHARED, engine->ring, (off_t)page);
	if (consumer != MAP_FAILED)
		engine->consumer = consumer;
	if (producer != MAP_FAILED) {
		engine->producer = producer;
		engine->data = (const uint8_t *)producer + page;
	}
	return engine->consumer && engine->producer ? NULL : error_errno(errno, "ring of hits");
}

static struct strobe_error *load_programs(struct uprobe *engine)
{
	struct bpf_code code;
	char log[1024];
	if (!btf_offset("task_struct", "thread.fsbase", &engine->fs_base))
		engine->fs_base = 0;
	for (unsigned i = 0; i < 2 * STACK_CLASSES; i++) {
		int *program = &engine->programs[i / 2][i % 2];
		make_program(&code, engine, stack_sizes[i / 2], i % 2, NULL, NULL);
		*program = bpf_program_load(&code, NULL, 0);
		if (*program >= 0)
			continue;
		if (errno == EPERM || errno == EACCES) {
			int saved = errno;
			log[0] = 0;
			if (bpf_program_load(&code, log, sizeof(log)) < 0 && log[0] &&
			    saved == EACCES)
				return error_new(
					STROBE_ERROR_UNSUPPORTED,
					"program for uprobes: the kernel's verifier: %.200s", log);
			errno = saved;
		}
		if (errno == EINVAL)
			return error_new(STROBE_ERROR_UNSUPPORTED,
					 "program for uprobes: this kernel has no uprobe_multi "
					 "links (Linux 6.6 has)");
		return refused("program for uprobes");
	}
	return NULL;
}

static struct strobe_error *open_engine(int pid, struct strobe_symbols *symbols, void **ret)
{
	struct uprobe *engine = calloc(1, sizeof(*engine));
	struct strobe_error *error = NULL;
	if (!engine)
		return error_no_memory();
	*engine = (struct uprobe){
		.pid = pid, .symbols = symbols, .ring = -1, .counters = -1, .process = -1};
	for (unsigned i = 0; i < 2 * STACK_CLASSES; i++)
		engine->programs[i / 2][i % 2] = -1;
	engine->process = (int)syscall(SYS_pidfd_open, pid, 0);
	if (engine->process < 0)
		error = errno == ESRCH ? error_new(STROBE_ERROR_NOT_FOUND, "no process %d", pid)
				       : error_errno(errno, "process %d", pid);
	if (!error &&
	    (engine->ring = bpf_map_new(BPF_MAP_TYPE_RINGBUF, 0, 0, RING_SIZE, "strobe_hits")) < 0)
		error = refused("ring of hits");
	if (!error && (engine->counters = bpf_map_new(BPF_MAP_TYPE_ARRAY, 4, 8, COUNTERS,
						      "strobe_counts")) < 0)
		error = refused("counters of hits");
	if (!error)
		error = map_ring(engine);
	if (!error)
		error = load_programs(engine);
	if (error) {
		close_engine(engine);
		return error;
	}
	*ret = engine;
	return NULL;
}

/** The file that the code at `address` is of, as the kernel can open it, and where in it; false with `why`. */
static bool find_file(const struct uprobe *engine, uint64_t address, char *path, size_t size,
		      uint64_t *offset, char *why, size_t why_size)
{
	const struct strobe_mapping *mapping =
		strobe_view_mapping_at(strobe_symbols_view(engine->symbols), address);
	if (!mapping || !(mapping->permissions & STROBE_PERMISSION_EXECUTE)) {
		snprintf(why, why_size, "no code is mapped at 0x%" PRIx64, address);
		return false;
	}
	if (!mapping->path || mapping->path[0] != '/') {
		snprintf(why, why_size,
			 "the code at 0x%" PRIx64
			 " is of no file (%s): the kernel's probes need one",
			 address, mapping->path ? mapping->path : "made at run time");
		return false;
	}
	*offset = mapping->offset_bytes + (address - mapping->start);
	// Whatever the file is called now, and in whatever mount namespace.
	snprintf(path, size, "/proc/%d/map_files/%" PRIx64 "-%" PRIx64, engine->pid, mapping->start,
		 mapping->end);
	if (access(path, R_OK) != 0)
		snprintf(path, size, "/proc/%d/root%s", engine->pid, mapping->path);
	return true;
}

static unsigned stack_class(uint32_t bytes)
{
	for (unsigned i = 0; i + 1 < STACK_CLASSES; i++)
		if (bytes <= stack_sizes[i])
			return i;
	return STACK_CLASSES - 1;
}

static struct probe *free_probe(struct uprobe *engine)
{
	for (size_t i = 0; i < engine->probes.count; i++)
		if (engine->probes.items[i].link < 0)
			return &engine->probes.items[i];
	if (engine->probes.count >= PROBE_LIMIT ||
	    !array_push(&engine->probes, (struct probe){.link = -1}))
		return NULL;
	return &engine->probes.items[engine->probes.count - 1];
}

/** The engine's program for the request, or one of its own (`*own`) if it has a condition or copies that BPF can do. */
static int choose_program(const struct uprobe *engine, const struct probe_request *request,
			  int *own)
{
	struct bpf_code code;
	unsigned class = stack_class(request->stack_bytes);
	if (!request->condition && !request->copies)
		return engine->programs[class][request->below];
	if (make_program(&code, engine, stack_sizes[class], request->below, request->condition,
			 request->copies) ||
	    make_program(&code, engine, stack_sizes[class], request->below, NULL, request->copies))
		*own = bpf_program_load(&code, NULL, 0);
	return *own >= 0 ? *own : engine->programs[class][request->below];
}

static bool arm_one(struct uprobe *engine, const struct probe_request *request,
		    struct probe_answer *answer)
{
	char path[512];
	uint64_t offset = 0;
	struct probe *probe = NULL;
	*answer = (struct probe_answer){.method = "uprobe"};
	if (request->kind == PROBE_SIGNAL)
		snprintf(answer->why, sizeof(answer->why), "uprobes do not see signals");
	else if (find_file(engine, request->address, path, sizeof(path), &offset, answer->why,
			   sizeof(answer->why)) &&
		 !(probe = free_probe(engine)))
		return false;
	if (!probe)
		return true;
	uint64_t number = (uint64_t)(probe - engine->probes.items) + 1;
	int own = -1, program = choose_program(engine, request, &own);
	int link = bpf_attach(program, path, offset, number, engine->pid,
			      request->kind == PROBE_RETURN);
	if (own >= 0)
		close(own); // the link holds it
	if (link < 0) {
		snprintf(answer->why, sizeof(answer->why),
			 "the kernel refuses a probe at 0x%" PRIx64 ": %s", request->address,
			 strerror(errno));
		return true;
	}
	*probe = (struct probe){.link = link,
				.cookie = request->cookie,
				.kind = request->kind,
				.below = request->below,
				.address = request->address};
	answer->probe = (uint32_t)number;
	return true;
}

static void disarm(void *context, const uint32_t *probes, size_t count)
{
	struct uprobe *engine = context;
	for (size_t i = 0; i < count; i++) {
		if (probes[i] == 0 || probes[i] > engine->probes.count)
			continue;
		struct probe *probe = &engine->probes.items[probes[i] - 1];
		if (probe->link >= 0)
			close(probe->link);
		probe->link = -1;
	}
}

static struct strobe_error *arm(void *context, const struct probe_request *requests, size_t count,
				struct probe_answer *answers)
{
	for (size_t i = 0; i < count; i++)
		if (!arm_one(context, &requests[i], &answers[i])) {
			for (size_t j = 0; j < i; j++)
				disarm(context, &answers[j].probe, 1);
			return error_no_memory();
		}
	return NULL;
}

/** Registers in the order of struct pt_regs and of struct user_regs_struct, which begins with the same. */
static void copy_registers(const struct record *record, struct user_regs_struct *ret)
{
	memset(ret, 0, sizeof(*ret));
	memcpy(ret, record->regs, sizeof(record->regs));
	ret->fs_base = record->fs_base;
}

static void visit_record(struct uprobe *engine, const struct record *record, engine_visit visit,
			 void *context)
{
	if (record->cookie == 0 || record->cookie > engine->probes.count)
		return;
	struct probe *probe = &engine->probes.items[record->cookie - 1];
	if (probe->link < 0)
		return; // disarmed meanwhile
	struct engine_hit hit = {
		.cookie = probe->cookie,
		.pid = (int)(record->pid_tid >> 32),
		.tid = (int)(uint32_t)record->pid_tid,
		.time_ns = (int64_t)record->time_ns,
		.has_bases = engine->fs_base != 0,
		.checked = record->checked,
		.stack = record->stack,
		.stack_size = record->stack_size,
	};
	struct hit_chunk chunks[POINTEES + COPIES + 2];
	copy_registers(record, &hit.regs);
	if (!record->red_zone_missing)
		chunks[hit.chunk_count++] =
			(struct hit_chunk){hit.regs.rsp - RED_ZONE, record->red_zone, RED_ZONE};
	for (unsigned i = 0; i < POINTEES; i++)
		if (record->pointees_known >> i & 1)
			chunks[hit.chunk_count++] = (struct hit_chunk){
				record->regs[i], record->pointees[i], POINTEE_SIZE};
	for (unsigned i = 0; i < COPIES; i++)
		if (record->copies[i].size && record->copies[i].size <= COPY_SIZE)
			chunks[hit.chunk_count++] = (struct hit_chunk){
				record->copies[i].address, record->copies[i].bytes,
				(size_t)record->copies[i].size};
	if (probe->below && hit.stack_size > BELOW) {
		chunks[hit.chunk_count++] =
			(struct hit_chunk){hit.regs.rsp - BELOW, hit.stack, BELOW};
		hit.stack += BELOW;
		hit.stack_size -= BELOW;
	} else if (probe->below) {
		chunks[hit.chunk_count++] =
			(struct hit_chunk){hit.regs.rsp - BELOW, hit.stack, hit.stack_size};
		hit.stack_size = 0;
	}
	hit.chunks = chunks;
	hit.frame = hit.regs.rsp + (probe->kind == PROBE_AT ? 8 : 0);
	if (probe->kind == PROBE_AT)
		hit.regs.rip = probe->address;
	probe->totals.hits++;
	visit(context, &hit);
}

static int64_t monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/** What is in the ring, but not more than some at once: they may come faster than they are handled. How many there were. */
static size_t drain(struct uprobe *engine, engine_visit visit, void *context)
{
	uint64_t position = *engine->consumer, end;
	size_t count = 0;
	int64_t start = monotonic_ns();
	while (count < AT_ONCE && monotonic_ns() - start < AT_ONCE_NS &&
	       position < (end = __atomic_load_n(engine->producer, __ATOMIC_ACQUIRE))) {
		const uint8_t *at = engine->data + position % RING_SIZE;
		uint32_t size =
			__atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_ACQUIRE);
		if (size & BPF_RINGBUF_BUSY_BIT)
			break;
		bool discarded = size & BPF_RINGBUF_DISCARD_BIT;
		size &= ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
		if (!discarded && size >= sizeof(struct record)) {
			visit_record(engine, (const void *)(at + RESERVE_HEADER), visit, context);
			count++;
		}
		position += (RESERVE_HEADER + (uint64_t)size + 7) / 8 * 8;
		__atomic_store_n(engine->consumer, position, __ATOMIC_RELEASE);
	}
	return count;
}

static struct strobe_error *wait_hits(void *context, int timeout_ms, engine_visit visit,
				      void *visitor, bool *ended)
{
	struct uprobe *engine = context;
	*ended = false;
	if (drain(engine, visit, visitor))
		return NULL;
	struct pollfd descriptors[] = {{.fd = engine->ring, .events = POLLIN},
				       {.fd = engine->process, .events = POLLIN}};
	if (poll(descriptors, 2, timeout_ms) < 0 && errno != EINTR)
		return error_errno(errno, "waiting for hits");
	// What it did last is in the ring still.
	*ended = drain(engine, visit, visitor) == 0 && descriptors[1].revents != 0;
	return NULL;
}

static void release(void *context, uint64_t token)
{
	(void)context;
	(void)token; // nobody waits
}

static void totals(void *context, uint32_t probe, struct engine_totals *ret)
{
	struct uprobe *engine = context;
	uint32_t key = 0;
	uint64_t dropped = 0;
	*ret = (struct engine_totals){0};
	if (probe > 0 && probe <= engine->probes.count) {
		*ret = engine->probes.items[probe - 1].totals;
		return;
	}
	// Of all together: who found no room did not say where it was.
	for (size_t i = 0; i < engine->probes.count; i++)
		ret->hits += engine->probes.items[i].totals.hits;
	if (bpf_map_get(engine->counters, &key, &dropped))
		ret->dropped = dropped;
}

static int descriptor(void *context)
{
	return ((struct uprobe *)context)->ring;
}

static void moved(void *context, struct strobe_symbols *symbols)
{
	((struct uprobe *)context)->symbols = symbols;
}

const struct engine_ops uprobe_engine = {
	.name = "uprobe",
	.open = open_engine,
	.close = close_engine,
	.arm = arm,
	.disarm = disarm,
	.wait = wait_hits,
	.release = release,
	.totals = totals,
	.descriptor = descriptor,
	.moved = moved,
};
