// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_FOLD_H
#define GRAPH_EXPORT_FOLD_H

// The dominator tree, made small enough to look at: children of one node that are alike become one group, and so does a run of
// nodes alike where each dominates the next (a list, a tree). What is big stands alone.

#include "base/array.h"
#include "base/hash.h"
#include "graph_export/job.h"
#include "graph_export/member.h"
#include "graph_export/phrase.h"

enum { FOLD_NONE = UINT32_MAX };

/** Nodes that are alike, at one place of the tree. Groups have higher indexes than their parents. */
struct fold_group {
	uint32_t parent; // FOLD_NONE of the first
	uint32_t phrase; // what they are called
	uint32_t
		node; // the first of them; NODE_NONE = it stands for what was too small, or for what leaked
	uint32_t depth;
	uint64_t count;	      // nodes
	uint64_t self_bytes;  // their own
	uint64_t total_bytes; // with the groups below
	enum strobe_node_kind kind;
	bool leaked; // it, or what is above it, is what nothing reaches
};

struct fold_options {
	uint32_t node;	       // begin there
	uint64_t alone_bytes;  // who retains as much is a group of its own; UINT64_MAX = nobody
	uint32_t max_depth;    // what is deeper belongs to the group there
	uint64_t max_groups;   // what is smaller belongs to a group "(smaller)" of its parent
	bool with_unreachable; // leaked blocks by type, below a group "(leaked)"
};

struct fold {
	ARRAY(struct fold_group) groups;
	struct phrases phrases;
	struct hash places; // parent and phrase -> group
};

/** Errors: NO_MEMORY, LIMIT ("cancelled"). 20 bytes a node while it runs; groups 48 bytes each. fold_fini() also after a failure. */
struct strobe_error *fold_make(struct fold *fold, const struct export_job *job,
			       const struct fold_options *options) STROBE_MUST_CHECK;
void fold_fini(struct fold *fold);
const char *fold_name(const struct fold *fold, const struct fold_group *group);

#endif
