// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <strobe/source.h>

#include "command.h"
#include "location.h"

static const struct option options[] = {
	OPTIONS_FRAME,
	{"lines", 'n', "N", NULL, "Show N lines around the place. Default: 11."},
	{"source-dir", 's', "DIRS", NULL,
	 "Look for source files below these ':'-separated directories, too."},
};

enum { LINES_DEFAULT = 11, LINES_LIMIT = 1000000 };

/** The lines to show. */
struct excerpt {
	size_t first, last, current;
};

static struct excerpt choose_lines(const struct location *location, size_t line_count,
				   uint64_t lines)
{
	struct excerpt excerpt = {.current = location->line};
	size_t before = (size_t)lines / 2;
	excerpt.first = location->line > before ? location->line - before : 1;
	excerpt.last = excerpt.first + (size_t)lines - 1;
	if (location->last_line) {
		excerpt.first = location->line;
		excerpt.last = location->last_line;
	}
	if (excerpt.last > line_count)
		excerpt.last = line_count;
	return excerpt;
}

static void list_json(const struct location *location, const struct strobe_source *source,
		      const struct excerpt *excerpt)
{
	struct json json;
	json_init(&json, stdout);
	json_object(&json, NULL);
	json_string(&json, "file", location->file);
	json_string(&json, "path", strobe_source_path(source));
	json_unsigned(&json, "line", location->line);
	json_string(&json, "function", location->function.name);
	json_bool(&json, "newer", strobe_source_is_newer(source));
	json_array(&json, "lines", true);
	for (size_t line = excerpt->first; line <= excerpt->last; line++) {
		size_t size;
		const char *text = strobe_source_line(source, line, &size);
		json_object(&json, NULL);
		json_unsigned(&json, "number", line);
		json_string_size(&json, "text", text, text ? size : 0);
		json_object_end(&json);
	}
	json_array_end(&json);
	json_object_end(&json);
	json_fini(&json);
}

static void list_text(const struct command *command, const struct location *location,
		      const struct strobe_source *source, const struct excerpt *excerpt)
{
	put_styled(stdout, command->color, STYLE_FILE, strobe_source_path(source));
	if (location->function.name) {
		fputs(", ", stdout);
		put_styled(stdout, command->color, STYLE_FUNCTION, location->function.name);
	}
	putchar('\n');
	for (size_t line = excerpt->first; line <= excerpt->last; line++) {
		size_t size;
		bool current = line == excerpt->current;
		const char *text = strobe_source_line(source, line, &size);
		printf("%s%s %5zu%s  ",
		       style_start(command->color, current ? STYLE_HEADING : STYLE_FAINT),
		       current ? "=>" : "  ", line, style_end(command->color));
		if (text)
			put_source(stdout, text, size);
		putchar('\n');
	}
}

static int show(struct command *command, const struct location *location, uint64_t lines)
{
	struct strobe_source *source = NULL;
	struct strobe_error *error =
		strobe_source_open(command->symbols, location->file, location->module_index,
				   command_option(command, "source-dir"), &source);
	if (error)
		return command_error(command, NULL, error);
	struct excerpt excerpt = choose_lines(location, strobe_source_line_count(source), lines);
	int status = STATUS_DONE;
	if (strobe_source_is_newer(source))
		command_warn(command, "%s is newer than the program: lines may have moved",
			     strobe_source_path(source));
	if (excerpt.first > excerpt.last)
		status = command_fail(command, "%s has %zu lines, not %u",
				      strobe_source_path(source), strobe_source_line_count(source),
				      location->line);
	else if (command->json)
		list_json(location, source, &excerpt);
	else
		list_text(command, location, source, &excerpt);
	strobe_source_close(source);
	return status;
}

static int run_list(struct command *command)
{
	struct location location;
	uint64_t lines = LINES_DEFAULT;
	const char *text = command->argument_count > 1 ? command->arguments[1] : NULL;
	int status = command_number(command, "lines", LINES_LIMIT, &lines);
	if (!status)
		status = location_find(command, text, &location);
	if (status)
		return status;
	if (!location.file || location.line == 0)
		return command_fail(command, "%s: its source line is not known",
				    text		     ? text
				    : location.function.name ? location.function.name
							     : "this frame");
	return show(command, &location, lines ? lines : 1);
}

const struct verb verb_list = {
	.name = "list",
	.arguments = "TARGET [FILE:LINE[,LINE]|FUNCTION|*ADDRESS]",
	.summary = "source lines: of a frame, a function, a line or an address",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 2,
	.has_target = true,
	.run = run_list,
};
