// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_DATABASE_H
#define GRAPH_EXPORT_DATABASE_H

// An SQLite database that appears under its name whole or not at all, and how rows are put into it quickly.

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>
#include <strobe/error.h>

struct database {
	sqlite3 *handle;
	sqlite3_stmt *insert; // into the table that is filled
	int column;	      // that is bound next
	const char *path;     // as asked for
	char *place;	      // where it will stand
	char *temporary;      // where it stands until then
};

/** `path` is borrowed. Errors: SYSTEM, INVALID (it is no regular file), NO_MEMORY. */
struct strobe_error *database_open(struct database *database, const char *path) STROBE_MUST_CHECK;
/** Runs statements that return nothing. */
struct strobe_error *database_run(struct database *database, const char *sql) STROBE_MUST_CHECK;
/** Begins to fill a table, by an INSERT with a parameter a column. */
struct strobe_error *database_fill(struct database *database, const char *sql) STROBE_MUST_CHECK;
// The columns of a row in their order, then database_row().
void database_number(struct database *database, uint64_t value);
/** NULL where `known` is false. */
void database_maybe(struct database *database, bool known, uint64_t value);
/** `text` need not outlive the call; NULL is NULL. A byte that is not UTF-8 becomes U+FFFD. */
void database_text(struct database *database, const char *text);
struct strobe_error *database_row(struct database *database) STROBE_MUST_CHECK;
/** Puts it in its place. */
struct strobe_error *database_commit(struct database *database) STROBE_MUST_CHECK;
/** Leaves nothing behind; nothing to do after a commit. */
void database_discard(struct database *database);

#endif
