// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_VIEW_H
#define STROBE_VIEW_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * A view is what is true of one process at one instant: memory, threads with registers, mappings,
 * modules, descriptors, and what is not known. It is immutable, but for what a caller writes on top of it
 * (strobe/overlay.h). Structures that its functions
 * return are borrowed from it and live as long as it does. One thread at a time per view, but
 * different views may be used from different threads.
 */
struct strobe_view;

/** Where to look for the files that a view needs. Zero-initialise, then set `size`. */
struct strobe_view_options {
	size_t size;		       /**< sizeof(struct strobe_view_options) */
	const char *sysroot;	       /**< prefix for mapped files' paths; NULL = "/" */
	const char *executable;	       /**< file to use for the main program; NULL = as recorded */
	const char *debug_directories; /**< ':'-separated; NULL = "/usr/lib/debug" */
	bool no_debuginfod;	       /**< do not ask servers even where DEBUGINFOD_URLS is set */
};

/**
 * Opens `target`: all digits are the id of a process, which is stopped for as long as it takes to
 * copy its registers and page tables and then read from that copy (strobe_snapshot_take()); "@NAME"
 * is a frozen copy that somebody holds (strobe_hold_take()); "FILE@TID#ID" is what a trace tells of
 * its process at that item (strobe_trace_view_at()); all else is the path of an ELF core
 * file (Strobe's, the kernel's, gdb's gcore, ...) or a minidump. A file whose name is all digits, or
 * begins with '@', is "./123".
 * A file is mapped, not read: cost is proportional to its program headers and notes.
 * `options` may be NULL. A damaged file opens as far as it can be read, with warnings; an error
 * is returned only when nothing of it can be shown. On success `*ret` is the caller's.
 */
STROBE_EXPORT struct strobe_error *strobe_view_open(const char *target,
						    const struct strobe_view_options *options,
						    struct strobe_view **ret) STROBE_MUST_CHECK;
/** Closes `view` (NULL is fine); everything made from it must be closed before. Returns NULL. */
STROBE_EXPORT struct strobe_view *strobe_view_close(struct strobe_view *view);

/** Problems met so far (damage, mismatched files, ...), oldest first. Grows as parts are used. */
STROBE_EXPORT size_t strobe_view_warning_count(const struct strobe_view *view);
/** Warning `index` < count: one line without newline. */
STROBE_EXPORT const char *strobe_view_warning(const struct strobe_view *view, size_t index);

/** A signal as recorded in a siginfo. */
struct strobe_signal {
	int number;	       /**< 0 = none */
	const char *name;      /**< "SIGSEGV", or "SIG37"; NULL when number is 0 */
	int code;	       /**< si_code */
	const char *code_name; /**< "SEGV_MAPERR", ...; NULL if unknown */
	bool has_address;      /**< true for faults: `address` is si_addr */
	uint64_t address;      /**< the fault address */
	int sender_pid;	       /**< who sent it, for SI_USER and the like; else 0 */
	int sender_uid;	       /**< likewise; -1 when not known */
};

/** For numbers that may be negative: the source does not tell. */
#define STROBE_NOT_KNOWN INT_MIN

/** The process as a whole. Strings are NULL and numbers -1 where the source does not tell. */
struct strobe_process_info {
	int pid, ppid, pgid, sid;
	int64_t uid, gid;
	char state;		/**< 'R', 'S', ... of the process; 0 if unknown */
	const char *executable; /**< absolute path */
	const char *name;	/**< the kernel's comm, 15 bytes at most */
	const char *
		command; /**< command line, joined with spaces; kernel and gdb cut it at 80 bytes */
	struct strobe_signal signal; /**< what ended the process, if anything */
	int signal_tid;		     /**< the thread that took it; -1 if unknown */
	int64_t time_ns;	     /**< when, wall clock since 1970; -1 if unknown */
	bool time_is_file_time;	     /**< `time_ns` is the file's modification time */
	uint64_t mapped_bytes;	     /**< sum of all mappings */
	uint64_t present_bytes;	     /**< of these, in the source itself */
	uint64_t file_bytes;	     /**< of these, readable from files that were checked */
	uint64_t missing_bytes;	     /**< of these, neither */
	const char *source_kind;     /**< "core", "minidump", "snapshot", "frozen copy" */
	const char *source_path;     /**< as opened */
	const char *source_maker; /**< "kernel", "gdb", "strobe", ... if recognisable, else NULL */
	const char *machine;	  /**< "x86_64" */
	uint32_t page_size_bytes;
	// What follows is known of Strobe's own snapshots, and in part of others.
	bool executable_deleted;       /**< the file at `executable` was gone, or replaced */
	const char *working_directory; /**< where it led, as the process saw it */
	const char *root;	       /**< "/", unless it had changed its root */
	const char *cgroup;	       /**< its path; where it has several, the longest */
	int64_t start_time_ns;	       /**< when the process began, wall clock since 1970 */
	int64_t user_ns, system_ns;    /**< CPU time of all its threads, ended ones included */
	int64_t resident_bytes;	       /**< of its memory in RAM, shared pages included */
	int64_t resident_peak_bytes;   /**< the most that ever was */
	int64_t swapped_bytes;
	int nice;		  /**< -20 to 19; STROBE_NOT_KNOWN if unknown */
	int oom_score_adjustment; /**< -1000 to 1000; STROBE_NOT_KNOWN if unknown */
	int umask;		  /**< 0 to 0777 */
};
STROBE_EXPORT const struct strobe_process_info *
strobe_view_process_info(const struct strobe_view *view);

/** A thread. */
struct strobe_thread {
	int tid;
	const char *name; /**< NULL where not recorded */
	char state;	  /**< 0 if unknown */
	bool has_registers;
	uint64_t pc, sp;	     /**< valid if has_registers */
	struct strobe_signal signal; /**< number 0 = none */
	bool not_stopped;   /**< it did not stop in time: what is told of it is of no one instant */
	int cpu;	    /**< that it ran on last; -1 if unknown */
	int in_system_call; /**< 1 = it is inside one, 0 = not, -1 = unknown */
	int64_t system_call;		   /**< its number; valid if in_system_call is 1 */
	uint64_t system_call_arguments[6]; /**< likewise: the registers that carry arguments */
	bool signals_known;		   /**< `blocked` and `pending` are valid */
	uint64_t blocked, pending; /**< bit n - 1 = signal n; pending for this thread alone */
	bool robust_list_known;	   /**< the next two are valid */
	uint64_t robust_list;	   /**< head of the list of robust futexes; 0 = none */
	uint64_t robust_list_size_bytes;
	bool rseq_known; /**< the next three are valid */
	uint64_t rseq;	 /**< address of its struct rseq; 0 = none */
	uint32_t rseq_size_bytes, rseq_signature;
	const char *policy;	      /**< "other", "fifo", "rr", "batch", "idle", "deadline" */
	int realtime_priority;	      /**< 1 to 99, 0 for policies that have none; -1 if unknown */
	int nice;		      /**< -20 to 19; STROBE_NOT_KNOWN if unknown */
	int64_t start_time_ns;	      /**< wall clock since 1970; -1 if unknown */
	int64_t user_ns, system_ns;   /**< CPU time; -1 if unknown */
	int64_t voluntary_switches;   /**< times that it waited; -1 if unknown */
	int64_t involuntary_switches; /**< times that it was made to wait; -1 if unknown */
};
/** Threads, in the order of the source (the one that took the signal is first in cores). */
STROBE_EXPORT size_t strobe_view_thread_count(const struct strobe_view *view);
/** Thread `index` < count. */
STROBE_EXPORT const struct strobe_thread *strobe_view_thread(const struct strobe_view *view,
							     size_t index);
/** Index of the thread `tid`; SIZE_MAX if there is none. */
STROBE_EXPORT size_t strobe_view_thread_index(const struct strobe_view *view, int tid);

/** One register of a thread. */
struct strobe_register {
	const char *name;  /**< lower case, as gdb spells it: "rip", "eflags", "ymm0", "k1" */
	const char *group; /**< "general", "x87", "vector", "mask", "tile", "other" */
	uint32_t size_bytes;
	const uint8_t *bytes; /**< little-endian; valid until the next call for this view */
};
/** How many registers thread `index` has here (only those that the source recorded). */
STROBE_EXPORT size_t strobe_view_register_count(const struct strobe_view *view,
						size_t thread_index);
/** Register `register_index` < count. */
STROBE_EXPORT void strobe_view_register(const struct strobe_view *view, size_t thread_index,
					size_t register_index, struct strobe_register *ret);
/**
 * A register by name, sub-registers ("eax", "ax", "al", "ah", "r8d", "xmm3", ...) and the aliases
 * "pc", "sp", "fp" included. False if this thread's registers do not include it.
 */
STROBE_EXPORT bool strobe_view_register_by_name(const struct strobe_view *view, size_t thread_index,
						const char *name, struct strobe_register *ret);

/** Bits of strobe_mapping.permissions. */
enum strobe_permission {
	STROBE_PERMISSION_EXECUTE = 1,
	STROBE_PERMISSION_WRITE = 2,
	STROBE_PERMISSION_READ = 4,
	STROBE_PERMISSION_SHARED = 8, /**< where the source tells */
};

/** A mapping [start, end). Mappings are sorted and do not overlap. */
struct strobe_mapping {
	uint64_t start, end;
	unsigned permissions;	/**< of enum strobe_permission */
	uint64_t offset_bytes;	/**< in the file at `path` */
	const char *path;	/**< file, or "[stack]", "[heap]", "[vdso]"; NULL if anonymous */
	uint64_t present_bytes; /**< held by the source itself */
	size_t module_index;	/**< index of its module; SIZE_MAX if none */
	uint64_t inode;		/**< of the file; 0 = none, or not told */
	unsigned device_major, device_minor; /**< where that inode is */
	bool deleted; /**< the file was gone; `path` then ends in " (deleted)", as the kernel has it */
};
STROBE_EXPORT size_t strobe_view_mapping_count(const struct strobe_view *view);
STROBE_EXPORT const struct strobe_mapping *strobe_view_mapping(const struct strobe_view *view,
							       size_t index);
/** The mapping that holds `address`, or NULL. O(log n). */
STROBE_EXPORT const struct strobe_mapping *strobe_view_mapping_at(const struct strobe_view *view,
								  uint64_t address);

/** An ELF file mapped into the process: the program, a shared library, the vdso. */
struct strobe_module {
	const char *name;	  /**< last path component, "[vdso]" */
	const char *path;	  /**< as mapped in the process */
	uint64_t start, end;	  /**< first and last mapped address (end exclusive) */
	uint64_t bias;		  /**< run-time address minus link-time address, modulo 2^64 */
	const char *build_id;	  /**< lower-case hex; NULL if not known */
	const char *file;	  /**< the local file used for it, checked; NULL if none */
	const char *file_problem; /**< why `file` is NULL, one line; else NULL */
};
/** Modules sorted by `start`. */
STROBE_EXPORT size_t strobe_view_module_count(const struct strobe_view *view);
STROBE_EXPORT const struct strobe_module *strobe_view_module(const struct strobe_view *view,
							     size_t index);
/** Index of the module whose mappings hold `address`; SIZE_MAX if none. O(log n). */
STROBE_EXPORT size_t strobe_view_module_at(const struct strobe_view *view, uint64_t address);

/** An open descriptor. */
struct strobe_descriptor {
	int fd;
	const char *type; /**< "file", "directory", "fifo", "pipe", "socket", "tty", "device",
			       "block device", "memfd", "eventfd", "epoll", "timerfd", "signalfd",
			       "inotify", "pidfd", "namespace", ...; NULL if unknown */
	const char *path; /**< where it leads: "/tmp/x", "socket:[123]"; NULL if unknown */
	int64_t flags;	  /**< open(2) flags, -1 if unknown */
	int64_t position; /**< -1 if unknown */
	uint32_t mode;	  /**< st_mode; 0 if unknown */
	const char *peer; /**< the other end of a socket or pipe, in words; NULL if unknown */
	const char *info; /**< the text of /proc/PID/fdinfo/FD, lines; NULL if unknown */
};
/** Number of descriptors; 0 with `*known` false (may be NULL) when the source records none. */
STROBE_EXPORT size_t strobe_view_descriptor_count(const struct strobe_view *view, bool *known);
STROBE_EXPORT const struct strobe_descriptor *strobe_view_descriptor(const struct strobe_view *view,
								     size_t index);

/** Result of strobe_view_verify(). */
struct strobe_verification {
	uint64_t page_count;	/**< pages that were compared */
	uint64_t damaged_count; /**< of these, that are not as they were written */
	uint64_t first_offset;	/**< of the first damaged page, in the (unpacked) file */
	bool has_address;	/**< `first_address` is valid */
	uint64_t first_address; /**< memory that the first damaged page holds */
};
/** Called now and then; return false to end it. May be NULL. */
typedef bool (*strobe_verify_progress)(void *context, uint64_t done_bytes, uint64_t total_bytes);
/**
 * Compares every page that a snapshot file stores with the hash that was stored with it; of a
 * compressed file, which has checksums in its frames, all of it with those. Errors: UNSUPPORTED (the
 * source has neither), FORMAT (the hashes cannot be read), SYSTEM (reading),
 * LIMIT with "cancelled" in its message.
 */
STROBE_EXPORT struct strobe_error *
strobe_view_verify(const struct strobe_view *view, strobe_verify_progress progress, void *context,
		   struct strobe_verification *ret) STROBE_MUST_CHECK;

/** One entry of the auxiliary vector; false past its end. */
STROBE_EXPORT bool strobe_view_auxv(const struct strobe_view *view, size_t index, uint64_t *type,
				    uint64_t *value);

/** Whom the process acts for, and what it may do: credentials(7), capabilities(7). */
struct strobe_credentials {
	int64_t user_ids[4];	/**< real, effective, saved, of the file system; -1 if unknown */
	int64_t group_ids[4];	/**< likewise */
	const uint32_t *groups; /**< supplementary ones */
	size_t group_count;
	bool capabilities_known; /**< the next five are valid; bit n = capability n */
	uint64_t inheritable, permitted, effective, bounding, ambient;
	int no_new_privileges;	 /**< 1 = set, 0 = not, -1 = unknown */
	int seccomp;		 /**< 0 = none, 1 = strict, 2 = filters; -1 = unknown */
	int64_t seccomp_filters; /**< how many; -1 if unknown */
};
/** Its main thread's; NULL where the source does not tell. */
STROBE_EXPORT const struct strobe_credentials *
strobe_view_credentials(const struct strobe_view *view);

/** What the process does with signals. Bit n - 1 = signal n. */
struct strobe_signal_actions {
	uint64_t pending; /**< for the process as a whole; threads have their own */
	uint64_t ignored;
	uint64_t caught; /**< has a handler */
};
/** NULL where the source does not tell. */
STROBE_EXPORT const struct strobe_signal_actions *
strobe_view_signal_actions(const struct strobe_view *view);

/** A resource limit: getrlimit(2). */
struct strobe_limit {
	const char *name;    /**< "Max open files" */
	uint64_t soft, hard; /**< UINT64_MAX = unlimited */
	const char *unit;    /**< "bytes"; NULL if it has none */
};
/** Number of limits; 0 where the source does not tell. */
STROBE_EXPORT size_t strobe_view_limit_count(const struct strobe_view *view);
/** Limit `index` < count, in the kernel's order. */
STROBE_EXPORT const struct strobe_limit *strobe_view_limit(const struct strobe_view *view,
							   size_t index);

/** A namespace that the process is in. */
struct strobe_namespace {
	const char *name; /**< "mnt", "net", "pid_for_children" */
	uint64_t inode;	  /**< equal for processes that share it */
};
/** Number of namespaces; 0 where the source does not tell. */
STROBE_EXPORT size_t strobe_view_namespace_count(const struct strobe_view *view);
/** Namespace `index` < count. */
STROBE_EXPORT const struct strobe_namespace *strobe_view_namespace(const struct strobe_view *view,
								   size_t index);

/** Argument `index` of the command line; NULL past the last, or where they are not told apart. */
STROBE_EXPORT const char *strobe_view_argument(const struct strobe_view *view, size_t index);
/** Variable `index` of the environment, "NAME=value", as it was when the program began; NULL past
 *  the last, or where the source does not tell. */
STROBE_EXPORT const char *strobe_view_environment(const struct strobe_view *view, size_t index);

/** Name of system call `number` of Linux on x86-64: "read"; NULL if it is not known. */
STROBE_EXPORT const char *strobe_system_call_name(int64_t number);
/** Name of signal `number`: "SIGTERM", "SIG37"; NULL if there is none. */
STROBE_EXPORT const char *strobe_signal_name(int number);

/** How a snapshot of Strobe's was taken. */
struct strobe_capture {
	const char *id;	       /**< 32 hexadecimal digits, random: which capture this is */
	const char *method;    /**< "clone", "copy", "crash"; NULL if not told */
	int64_t time_ns;       /**< wall clock since 1970, at the stop */
	int64_t boot_time_ns;  /**< CLOCK_BOOTTIME at the stop */
	int64_t pause_ns;      /**< how long the process stood; -1 = not told, or it crashed */
	const char *contents;  /**< "changed", "full", "stacks", "reachable"; NULL if not told */
	unsigned redacted;     /**< what was: of enum strobe_redact in <strobe/snapshot.h> */
	bool redacted_matches; /**< what patterns match was redacted */
	const char *parent_id; /**< id of the snapshot that this one is relative to; NULL = none */
	const char *parent_path; /**< where that one was; NULL = none */
};
/** How it was taken; NULL for what Strobe did not take. */
STROBE_EXPORT const struct strobe_capture *strobe_view_capture(const struct strobe_view *view);

/** Memory that may have changed while it was copied. */
struct strobe_not_atomic {
	uint64_t start, end; /**< [start, end) */
	const char *why;     /**< a few words, never NULL */
};
STROBE_EXPORT size_t strobe_view_not_atomic_count(const struct strobe_view *view);
/** Range `index` < count, sorted by `start`. */
STROBE_EXPORT const struct strobe_not_atomic *strobe_view_not_atomic(const struct strobe_view *view,
								     size_t index);

/** A signal that was sent and not yet delivered. */
struct strobe_queued_signal {
	int tid; /**< whose queue it stood in; 0 = the process's */
	struct strobe_signal signal;
};
STROBE_EXPORT size_t strobe_view_queued_signal_count(const struct strobe_view *view);
/** Signal `index` < count, in the order of their queues. */
STROBE_EXPORT const struct strobe_queued_signal *
strobe_view_queued_signal(const struct strobe_view *view, size_t index);

/**
 * The bytes of /proc/PID/`name` as they were at the stop ("status", "limits", "task/12/stat"), or
 * where a link there led ("cwd", "ns/mnt"); NULL where the source has none. They are not
 * NUL-terminated: `*size` (may be NULL) says how many there are.
 */
STROBE_EXPORT const char *strobe_view_proc_file(const struct strobe_view *view, const char *name,
						size_t *size);
/** Names of what strobe_view_proc_file() has; NULL past the last. */
STROBE_EXPORT const char *strobe_view_proc_file_name(const struct strobe_view *view, size_t index);

#ifdef __cplusplus
}
#endif
#endif
