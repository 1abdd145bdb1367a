// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "option.h"

/** All verbs with a line each. */
void help_all(FILE *out);
/** How a verb is used, on stdout. */
void help_verb(const struct verb *verb);
/** The verbs that begin with the word `group`, a line each. */
void help_group(FILE *out, const char *group);
/** True if `word` is the first word of a verb of two words. */
bool verb_is_group(const char *word);
/** True if the target stands between the two words of those verbs. */
bool verb_group_target_first(const char *word);

/**
 * For the build: `--dump-options=scdoc VERB` writes a manual page's list of options, `=own` those that not all
 * verbs have, and
 * `--dump-options=synopsis VERB` its synopsis. Returns an exit status.
 */
int dump_options(const char *how, char **words);

#endif
