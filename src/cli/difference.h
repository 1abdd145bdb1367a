// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_DIFFERENCE_H
#define CLI_DIFFERENCE_H

#include <strobe/diff.h>

#include "command.h"

/** One run of `diff`: the command's view is A. */
struct difference {
	struct command *command;
	struct strobe_view *view; // B
	struct strobe_symbols *symbols;
	size_t warnings_told;
	struct strobe_diff *diff;
	unsigned sections; // of enum strobe_diff_section
	uint64_t limit;	   // changes shown of each section; 0 = all
	struct strobe_format format;
	unsigned percent; // of the progress shown
	bool progress_shown;
};

/** Runs the comparison and writes it: a summary, then what changed, section by section. */
int difference_text(struct difference *difference);
/** The same as one JSON document, written while it is found. */
int difference_json(struct difference *difference);
/** Takes away the line that shows the progress. */
void difference_erase_progress(struct difference *difference);

#endif
