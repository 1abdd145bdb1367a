// SPDX-License-Identifier: Apache-2.0
#include "graph_export/database.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "graph_export/utf8.h"

static struct strobe_error *failure(const struct database *database, int code)
{
	if (code == SQLITE_NOMEM)
		return error_no_memory();
	if (code == SQLITE_INTERRUPT)
		return error_new(STROBE_ERROR_LIMIT, "cancelled");
	int errnum = database->handle ? sqlite3_system_errno(database->handle) : 0;
	const char *message =
		database->handle ? sqlite3_errmsg(database->handle) : sqlite3_errstr(code);
	return error_set_errno(
		error_new(STROBE_ERROR_SYSTEM, "%s: cannot write: %s", database->path, message),
		errnum		      ? errnum
		: code == SQLITE_FULL ? ENOSPC
				      : EIO);
}

/** Makes an empty file beside where it will stand. */
static struct strobe_error *make_file(struct database *database)
{
	static const char name[] = ".strobe-XXXXXX.tmp";
	struct stat status;
	if (stat(database->path, &status) == 0 && !S_ISREG(status.st_mode))
		return error_new(STROBE_ERROR_INVALID,
				 "%s: a database can only be written to a file", database->path);
	database->place = realpath(database->path, NULL); // a link is followed
	if (!database->place)
		database->place = strdup(database->path);
	if (!database->place)
		return error_no_memory();
	const char *slash = strrchr(database->place, '/');
	int folder = slash ? (int)(slash + 1 - database->place) : 0;
	if (asprintf(&database->temporary, "%.*s%s", folder, database->place, name) < 0) {
		database->temporary = NULL;
		return error_no_memory();
	}
	int fd = mkostemps(database->temporary, (int)strlen(".tmp"), O_CLOEXEC);
	if (fd < 0) {
		struct strobe_error *error =
			error_errno(errno, "%s: cannot create", database->path);
		free(database->temporary);
		database->temporary = NULL;
		return error;
	}
	close(fd);
	return NULL;
}

struct strobe_error *database_open(struct database *database, const char *path)
{
	*database = (struct database){.path = path};
	struct strobe_error *error =
		strcmp(path, "-") == 0
			? error_new(STROBE_ERROR_INVALID,
				    "a database cannot be written to standard output")
			: make_file(database);
	if (!error) {
		int code = sqlite3_open_v2(database->temporary, &database->handle,
					   SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
		error = code ? failure(database, code) : NULL;
	}
	if (!error) // until it is whole nobody else sees it
		error = database_run(database,
				     "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; "
				     "PRAGMA locking_mode = EXCLUSIVE; PRAGMA temp_store = FILE; "
				     "PRAGMA cache_size = -65536; BEGIN");
	if (error)
		database_discard(database);
	return error;
}

struct strobe_error *database_run(struct database *database, const char *sql)
{
	int code = sqlite3_exec(database->handle, sql, NULL, NULL, NULL);
	return code ? failure(database, code) : NULL;
}

struct strobe_error *database_fill(struct database *database, const char *sql)
{
	sqlite3_finalize(database->insert);
	database->insert = NULL;
	database->column = 0;
	int code = sqlite3_prepare_v2(database->handle, sql, -1, &database->insert, NULL);
	return code ? failure(database, code) : NULL;
}

void database_number(struct database *database, uint64_t value)
{
	sqlite3_bind_int64(database->insert, ++database->column, (sqlite3_int64)value);
}

void database_maybe(struct database *database, bool known, uint64_t value)
{
	if (known)
		database_number(database, value);
	else
		sqlite3_bind_null(database->insert, ++database->column);
}

/** `text` with U+FFFD for each byte that is not UTF-8: readers refuse such rows. */
static void bind_repaired(struct database *database, const char *text)
{
	struct text repaired = {0};
	size_t left = strlen(text);
	while (left) {
		unsigned size = utf8_sequence(text, left);
		text_append_bytes(&repaired, size ? text : "\xef\xbf\xbd", size ? size : 3);
		text += size ? size : 1;
		left -= size ? size : 1;
	}
	sqlite3_bind_text(database->insert, ++database->column, text_string(&repaired), -1,
			  SQLITE_TRANSIENT);
	text_fini(&repaired);
}

void database_text(struct database *database, const char *text)
{
	if (!text)
		sqlite3_bind_null(database->insert, ++database->column);
	else if (text[utf8_prefix(text, strlen(text))])
		bind_repaired(database, text);
	else
		sqlite3_bind_text(database->insert, ++database->column, text, -1, SQLITE_TRANSIENT);
}

struct strobe_error *database_row(struct database *database)
{
	database->column = 0;
	sqlite3_step(database->insert);
	int code = sqlite3_reset(database->insert);
	return code ? failure(database, code) : NULL;
}

/** Closes it, and puts it on the disk under its name. */
static struct strobe_error *finish(struct database *database)
{
	sqlite3_finalize(database->insert);
	database->insert = NULL;
	struct strobe_error *error = database_run(database, "COMMIT");
	int code = error ? SQLITE_OK : sqlite3_close(database->handle);
	if (error)
		return error;
	if (code)
		return failure(database, code);
	database->handle = NULL;
	int fd = open(database->temporary, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fsync(fd) != 0)
		error = error_errno(errno, "%s: cannot write", database->path);
	if (fd >= 0)
		close(fd);
	if (!error && rename(database->temporary, database->place) != 0)
		error = error_errno(errno, "%s: cannot put the finished file there",
				    database->path);
	return error;
}

struct strobe_error *database_commit(struct database *database)
{
	struct strobe_error *error = finish(database);
	if (!error) {
		free(database->temporary);
		database->temporary = NULL;
	}
	database_discard(database);
	return error;
}

void database_discard(struct database *database)
{
	sqlite3_finalize(database->insert);
	database->insert = NULL;
	sqlite3_close(database->handle);
	database->handle = NULL;
	if (database->temporary)
		unlink(database->temporary);
	free(database->temporary);
	free(database->place);
	database->temporary = database->place = NULL;
}
