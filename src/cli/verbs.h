// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_VERBS_H
#define CLI_VERBS_H

#include "option.h"

// One a file cmd_NAME.c.
extern const struct verb verb_bt;
extern const struct verb verb_completion;
extern const struct verb verb_diff;
extern const struct verb verb_disasm;
extern const struct verb verb_fds;
extern const struct verb verb_held;
extern const struct verb verb_held_drop;
extern const struct verb verb_heap_diff;
extern const struct verb verb_heap_dominators;
extern const struct verb verb_heap_duplicates;
extern const struct verb verb_heap_export;
extern const struct verb verb_heap_find;
extern const struct verb verb_heap_free;
extern const struct verb verb_heap_histogram;
extern const struct verb verb_heap_leaks;
extern const struct verb verb_heap_path;
extern const struct verb verb_heap_report;
extern const struct verb verb_heap_retained;
extern const struct verb verb_heap_roots;
extern const struct verb verb_heap_show;
extern const struct verb verb_heap_summary;
extern const struct verb verb_heap_suspects;
extern const struct verb verb_heap_top;
extern const struct verb verb_help;
extern const struct verb verb_info;
extern const struct verb verb_list;
extern const struct verb verb_maps;
extern const struct verb verb_mem_read;
extern const struct verb verb_mem_search;
extern const struct verb verb_mem_undo;
extern const struct verb verb_mem_write;
extern const struct verb verb_mem_writes;
extern const struct verb verb_modules;
extern const struct verb verb_print;
extern const struct verb verb_ps;
extern const struct verb verb_record;
extern const struct verb verb_regs;
extern const struct verb verb_snap;
extern const struct verb verb_sym;
extern const struct verb verb_threads;
extern const struct verb verb_trace_calls;
extern const struct verb verb_trace_cover;
extern const struct verb verb_trace_diff;
extern const struct verb verb_trace_export;
extern const struct verb verb_trace_find;
extern const struct verb verb_trace_hot;
extern const struct verb verb_trace_dump;
extern const struct verb verb_trace_info;
extern const struct verb verb_trace_save;
extern const struct verb verb_trace_step;
extern const struct verb verb_trace_trim;
extern const struct verb verb_version;
extern const struct verb verb_watch;

#endif
