// SPDX-License-Identifier: Apache-2.0
#ifndef AGENT_INSIDE_H
#define AGENT_INSIDE_H

// What runs in the target: a trampoline (trampoline.h) calls inside_hit(), which writes a record to a ring that we read. Its code is
// copied there as it is: it calls nothing, refers to nothing outside of its section, uses no vector registers and no locks, allocates
// nothing. It makes two system calls that change nothing: gettid(2), and process_vm_readv(2) of its own memory.
//
// The sites' data are private memory of the target that the kernel wipes in forked children (MADV_WIPEONFORK): there
// `control` is 0, and nothing is recorded. The ring is shared memory, which children never touch.

#include <stdint.h>

enum {
	INSIDE_SHARDS = 64,
	INSIDE_LINE = 64,
	INSIDE_RED_ZONE = 128,
	INSIDE_RING_HEAD = 4096,
	INSIDE_TRANSACTION_MAX = 8192,
	INSIDE_CODE_SIZE =
		1 << 20, // from the code's beginning to the page of struct inside_control
	// Added to the site's address: its condition was not evaluated, or could not be.
	INSIDE_UNSURE = 1
};

/** From the code's beginning to the page of struct inside_control. */
#define INSIDE_CODE_SIZE 0x100000

/** What a trampoline pushed, lowest address first; the stack was at the end of it plus the red zone. */
struct inside_frame {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8, rax, rcx, rdx, rsi, rdi, flags;
};

/** One a piece of memory that we have in the target. */
struct inside_control {
	uint64_t live;	       // 0: nothing is recorded any more
	uint64_t inside;       // threads in inside_hit() that may touch rings
	uint32_t pid;	       // as the target's namespace has it
	uint32_t reads;	       // process_vm_readv(2) may be called
	uint64_t fsgsbase;     // rdfsbase is to be had; else no fs_base is recorded
	uint64_t transactions; // xbegin is to be had
};

struct inside_record {
	uint64_t sequence; // of the claim (see inside_ring), less the slot's index
	uint64_t probe, tsc, fs_base;
	struct inside_frame frame;
	uint64_t sp;
	uint32_t tid, stack_size;
	uint32_t unsure;
	uint32_t pointees;		   // bit n: what word n of the frame points to is known
	uint8_t red_zone[INSIDE_RED_ZONE]; // below sp, known where stack is
	// Where the ring has room for a stack: INSIDE_POINTEES times INSIDE_POINTEE_SIZE, then the stack.
	uint8_t data[];
};
enum {
	INSIDE_POINTEES = 15,
	INSIDE_POINTEE_SIZE = 256,
	INSIDE_POINTEE_RBP = 4,
	INSIDE_POINTEE_ROOM = INSIDE_POINTEES * INSIDE_POINTEE_SIZE
};

/**
 * A ring of equal slots, many writers and one reader (Vyukov's bounded queue). A slot whose sequence is `n` is free for claim n; n + 1: it is
 * written; the reader then sets n + count.
 */
struct inside_ring {
	uint64_t head; // next claim
	uint8_t padding[INSIDE_LINE - 8];
	uint64_t mask; // slots - 1
	uint64_t slot_size, stack_room;
};

/** One a trampoline. */
struct inside_site {
	uint64_t control; // address of the struct; 0 in a forked child
	uint64_t ring;
	uint64_t probe;
	uint64_t stack_bytes;
	uint64_t dropped;	// no room
	uint64_t pause;		// tsc ticks within which one record is enough; 0 = all are recorded
	uint64_t next;		// tsc from which on one is recorded again
	uint64_t pauses_unsure; // 1: there is no condition, so that those that are unsure hold too
	struct {
		uint64_t condition_false, skipped, padding[6];
	} shards[INSIDE_SHARDS]; // by thread, so that threads do not share lines
};
_Static_assert(sizeof(struct inside_site) == 64 + 64 * INSIDE_SHARDS, "addressed by trampolines");

/** A store: 16 bytes at a multiple of 16. */
struct inside_store {
	uint64_t address, before[2], after[2], done;
};
_Static_assert(sizeof(struct inside_store) == 48, "known to inside_patch");
/** A mapping that is to be written to; what mprotect(2) answered at first is `result`. */
struct inside_mapping {
	uint64_t start, size, open, protection, result;
};
_Static_assert(sizeof(struct inside_mapping) == 40, "known to inside_patch");

/** A system call. */
struct inside_call {
	uint64_t number, arguments[6], result;
};
_Static_assert(sizeof(struct inside_call) == 64, "known to inside_calls");

/** The code, in our memory. */
const uint8_t *inside_code(uint64_t *size);
/** Offsets in it: inside_hit(frame, site). */
uint64_t inside_hit_offset(void);
/**
 * And inside_patch, which the helper runs: mappings are opened (r12, r13 = how many), stores made (r14, r15 = how many) if all could be,
 * all processors notice (rbx = what membarrier(2) answered, or 1), mappings are closed; int3.
 */
uint64_t inside_patch_offset(void);
/** And inside_calls: calls are made (r12, r13 = how many); int3. */
uint64_t inside_calls_offset(void);
/**
 * And inside_load: reads the bytes at rcx, of which there are as many (1 to 8) as the word says that was pushed before the call. rcx = them, the
 * others 0, and no carry; or carry: they cannot be read. All else is as it was but the flags. There is no handler of faults: the kernel reads.
 */
uint64_t inside_load_offset(void);

#endif
