// SPDX-License-Identifier: Apache-2.0
#ifndef TRACEPOINT_ENGINE_H
#define TRACEPOINT_ENGINE_H

// What makes hits. The handler (handler.h) knows addresses, and not how a thread that comes to one is noticed; an engine knows
// nothing of tracepoints. src/uprobe is one (the kernel's uprobes), src/agent another (jumps into code of ours).

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/symbols.h>
#include <sys/user.h>

struct probe_program; // program.h

enum probe_kind {
	PROBE_AT,     // before the instruction at `address`
	PROBE_RETURN, // when the call of the function at `address` returns, by whatever way: the hit is at the return address
	PROBE_SIGNAL, // when a signal is delivered that ends the process; `address` is not used
};

/** What is wanted. */
struct probe_request {
	enum probe_kind kind;
	uint64_t address;
	uint32_t cookie; // comes back with each hit; one a request
	const struct probe_program *
		condition; // NULL = always. An engine that cannot run it reports all hits as not checked
	const struct probe_program *copies; // memory to be copied at the hit; NULL = none
	uint32_t
		stack_bytes; // of the stack from sp on; the red zone below it comes along, as a chunk
	bool below; // and some below it, as chunks: what a function that is about to return had there
	int64_t pause_ns; // hits that soon after one that counted need not be reported; 0 = all are wanted
	bool waits; // the thread waits at the hit until engine_release(), or for at most 1 s
};
struct probe_answer {
	uint32_t probe;	    // its number, for disarm; 0 = not armed
	const char *method; // static text
	char why[160];	    // where it is not armed
};

/** Memory as it was at the hit. */
struct hit_chunk {
	uint64_t address;
	const uint8_t *bytes;
	size_t size;
};
/** A hit. All is borrowed for the visit. */
struct engine_hit {
	uint32_t cookie;
	int pid, tid;
	int64_t time_ns; // CLOCK_MONOTONIC
	struct user_regs_struct
		regs; // rip is the probe's address; fs_base and gs_base are valid if has_bases
	bool has_bases;
	uint64_t
		frame; // of a PROBE_AT at a function's entry, and its PROBE_RETURN: the same number (sp before the call); else 0
	bool checked;  // the condition was evaluated, and holds
	uint64_t token;	      // of a thread that waits: engine_release(); 0 = it does not
	const uint8_t *stack; // regs.rsp on
	size_t stack_size;
	const struct hit_chunk *chunks;
	size_t chunk_count;
};
typedef void (*engine_visit)(void *context, const struct engine_hit *hit);

struct engine_totals {
	uint64_t hits, condition_false, condition_errors, dropped, cost_ns;
	uint64_t skipped; // of hits: within the pause
};

struct engine_ops {
	const char *name;
	/** Errors: SYSTEM, UNSUPPORTED (with what would help). `symbols` are of a view of the process, and outlive it. */
	struct strobe_error *(*open)(int pid, struct strobe_symbols *symbols, void **ret);
	void (*close)(void *engine);
	/** Arms all at once; those that cannot be say why. Errors: NO_MEMORY, SYSTEM (none was armed). */
	struct strobe_error *(*arm)(void *engine, const struct probe_request *requests,
				    size_t count, struct probe_answer *answers);
	void (*disarm)(void *engine, const uint32_t *probes, size_t count);
	/** Visits what came, in the order of time; waits for at most `timeout_ms` if nothing did. `*ended`: the process is no more. */
	struct strobe_error *(*wait)(void *engine, int timeout_ms, engine_visit visit,
				     void *context, bool *ended);
	void (*release)(void *engine, uint64_t token);
	void (*totals)(void *engine, uint32_t probe, struct engine_totals *ret);
	int (*descriptor)(void *engine);
	/** Modules came or went: `symbols` are of a new view, in place of those before. */
	void (*moved)(void *engine, struct strobe_symbols *symbols);
};
extern const struct engine_ops uprobe_engine, agent_engine;

#endif
