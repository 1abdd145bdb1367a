// SPDX-License-Identifier: Apache-2.0
// Tracepoints out of a YAML file.
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/text.h"
#include "watch/watch.h"

/** Named limits on a file that somebody else may have written. */
enum { FILE_LIMIT = 4 << 20, ENTRY_LIMIT = 10000, ITEM_LIMIT = 1000 };

/** A file being read. */
struct reader {
	struct arena arena;
	ARRAY(struct strobe_tracepoint) tracepoints;
	ARRAY(unsigned) lines; // of each
	strobe_watch_report report;
	void *context;
	bool failed; // memory was short
};

/** The line that a node begins in: that of its first text. 0 = it has none. */
static unsigned line_of(struct fy_node *node)
{
	for (unsigned depth = 0; node && depth < 20 && !fy_node_is_scalar(node); depth++) {
		void *at = NULL;
		struct fy_node_pair *pair;
		if (fy_node_is_sequence(node))
			node = fy_node_sequence_iterate(node, &at);
		else
			node = (pair = fy_node_mapping_iterate(node, &at)) ? fy_node_pair_key(pair)
									   : NULL;
	}
	struct fy_token *token =
		node && fy_node_is_scalar(node) ? fy_node_get_scalar_token(node) : NULL;
	const struct fy_mark *mark = token ? fy_token_start_mark(token) : NULL;
	return mark && mark->line >= 0 ? (unsigned)mark->line + 1 : 0;
}

static void tell(struct reader *reader, struct fy_node *node, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static void tell(struct reader *reader, struct fy_node *node, const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (reader->report)
		reader->report(reader->context, line_of(node), text);
}

/** A scalar's text; NULL, and told, if it is something else. */
static const char *read_text(struct reader *reader, struct fy_node *node, const char *what)
{
	size_t size;
	const char *text = fy_node_is_scalar(node) ? fy_node_get_scalar(node, &size) : NULL;
	if (!text) {
		tell(reader, node, "%s is no text", what);
		return NULL;
	}
	text = arena_copy_string(&reader->arena, text, size);
	reader->failed |= !text;
	return text;
}

/** The texts of a list, or of one text alone. */
static bool read_texts(struct reader *reader, struct fy_node *node, const char *what,
		       const char *const **ret, size_t *count)
{
	const char **texts = arena_alloc(&reader->arena, ITEM_LIMIT * sizeof(*texts));
	void *at = NULL;
	struct fy_node *item;
	reader->failed |= !texts;
	*count = 0;
	if (!texts)
		return false;
	*ret = texts;
	if (fy_node_is_scalar(node))
		return (texts[(*count)++] = read_text(reader, node, what)) != NULL;
	if (!fy_node_is_sequence(node)) {
		tell(reader, node, "%s is no list", what);
		return false;
	}
	while ((item = fy_node_sequence_iterate(node, &at)) && *count < ITEM_LIMIT)
		if (!(texts[(*count)++] = read_text(reader, item, what)))
			return false;
	return true;
}

static bool read_labels(struct reader *reader, struct fy_node *node,
			struct strobe_tracepoint_metric *metric)
{
	struct strobe_pair *labels = arena_alloc(&reader->arena, ITEM_LIMIT * sizeof(*labels));
	void *at = NULL;
	struct fy_node_pair *pair;
	reader->failed |= !labels;
	if (!labels || !fy_node_is_mapping(node)) {
		tell(reader, node, "labels are no mapping");
		return false;
	}
	metric->labels = labels;
	while ((pair = fy_node_mapping_iterate(node, &at)) && metric->label_count < ITEM_LIMIT) {
		struct strobe_pair *label = &labels[metric->label_count++];
		label->name = read_text(reader, fy_node_pair_key(pair), "a label's name");
		label->value = read_text(reader, fy_node_pair_value(pair), "a label");
		if (!label->name || !label->value)
			return false;
	}
	return true;
}

static bool read_metric(struct reader *reader, struct fy_node *node,
			struct strobe_tracepoint_metric *metric)
{
	const struct {
		const char *name;
		const char **to;
	} members[] = {{"name", &metric->name},
		       {"type", &metric->type},
		       {"expression", &metric->expression},
		       {"namespace", &metric->metric_namespace},
		       {"help", &metric->help},
		       {"unit", &metric->unit}};
	void *at = NULL;
	struct fy_node_pair *pair;
	if (!fy_node_is_mapping(node)) {
		tell(reader, node, "a metric is no mapping");
		return false;
	}
	while ((pair = fy_node_mapping_iterate(node, &at))) {
		const char *key = read_text(reader, fy_node_pair_key(pair), "a key");
		size_t i = 0;
		if (!key)
			return false;
		if (strcmp(key, "labels") == 0) {
			if (!read_labels(reader, fy_node_pair_value(pair), metric))
				return false;
			continue;
		}
		while (i < sizeof(members) / sizeof(members[0]) &&
		       strcmp(members[i].name, key) != 0)
			i++;
		if (i == sizeof(members) / sizeof(members[0])) {
			tell(reader, fy_node_pair_key(pair), "a metric has no '%.50s'", key);
			return false;
		}
		if (!(*members[i].to = read_text(reader, fy_node_pair_value(pair), key)))
			return false;
	}
	return true;
}

static bool read_metrics(struct reader *reader, struct fy_node *node,
			 struct strobe_tracepoint *tracepoint)
{
	struct strobe_tracepoint_metric *metrics =
		arena_alloc(&reader->arena, ITEM_LIMIT * sizeof(*metrics));
	void *at = NULL;
	struct fy_node *item;
	reader->failed |= !metrics;
	if (!metrics || !fy_node_is_sequence(node)) {
		tell(reader, node, "metrics are no list");
		return false;
	}
	tracepoint->metrics = metrics;
	while ((item = fy_node_sequence_iterate(node, &at)) &&
	       tracepoint->metric_count < ITEM_LIMIT)
		if (!read_metric(reader, item, &metrics[tracepoint->metric_count++]))
			return false;
	return true;
}

/** "actions": a mapping of arguments, or a list of words and such mappings. */
static bool add_arguments(struct reader *reader, struct fy_node *node,
			  struct strobe_pair *arguments, size_t *count);

static bool add_argument(struct reader *reader, const char *name, const char *value,
			 struct strobe_pair *arguments, size_t *count)
{
	if (!name || !value || *count >= ITEM_LIMIT)
		return false;
	arguments[(*count)++] = (struct strobe_pair){name, value};
	return true;
}

static bool add_action(struct reader *reader, struct fy_node *node, struct strobe_pair *arguments,
		       size_t *count)
{
	if (!fy_node_is_scalar(node))
		return add_arguments(reader, node, arguments, count);
	const char *word = read_text(reader, node, "an action");
	if (word && strcmp(word, "snapshot") == 0)
		return add_argument(reader, "snapshot", "collect", arguments, count);
	if (word && strcmp(word, "no_snapshot") == 0)
		return add_argument(reader, "snapshot", "no_collect", arguments, count);
	if (word)
		tell(reader, node, "no action is called '%.50s'", word);
	return false;
}

static bool add_arguments(struct reader *reader, struct fy_node *node,
			  struct strobe_pair *arguments, size_t *count)
{
	void *at = NULL;
	struct fy_node_pair *pair;
	struct fy_node *item;
	if (fy_node_is_sequence(node)) {
		while ((item = fy_node_sequence_iterate(node, &at)))
			if (!fy_node_is_sequence(item) ? !add_action(reader, item, arguments, count)
						       : true)
				return false;
		return true;
	}
	if (!fy_node_is_mapping(node)) {
		tell(reader, node, "actions are no list and no mapping");
		return false;
	}
	while ((pair = fy_node_mapping_iterate(node, &at))) {
		const char *name = read_text(reader, fy_node_pair_key(pair), "a key");
		if (!name ||
		    !add_argument(reader, name, read_text(reader, fy_node_pair_value(pair), name),
				  arguments, count))
			return false;
	}
	return true;
}

static bool read_line(struct reader *reader, struct fy_node *node, unsigned *ret)
{
	const char *text = read_text(reader, node, "line");
	char *end;
	unsigned long value = text ? strtoul(text, &end, 10) : 0;
	if (!text || *end || !*text || value > INT32_MAX || *text == '-') {
		tell(reader, node, "line is no line number");
		return false;
	}
	*ret = (unsigned)value;
	return true;
}

static bool read_member(struct reader *reader, const char *key, struct fy_node *value,
			struct strobe_tracepoint *tracepoint, struct strobe_pair *arguments)
{
	if (strcmp(key, "id") == 0)
		return (tracepoint->id = read_text(reader, value, key)) != NULL;
	if (strcmp(key, "path") == 0)
		return (tracepoint->path = read_text(reader, value, key)) != NULL;
	if (strcmp(key, "line") == 0)
		return read_line(reader, value, &tracepoint->line);
	if (strcmp(key, "watches") == 0)
		return read_texts(reader, value, key, &tracepoint->watches,
				  &tracepoint->watch_count);
	if (strcmp(key, "metrics") == 0)
		return read_metrics(reader, value, tracepoint);
	if (strcmp(key, "actions") == 0)
		return add_arguments(reader, value, arguments, &tracepoint->argument_count);
	return add_argument(reader, key, read_text(reader, value, key), arguments,
			    &tracepoint->argument_count);
}

static bool read_tracepoint(struct reader *reader, struct fy_node *node)
{
	struct strobe_tracepoint tracepoint = {.size = sizeof(tracepoint)};
	struct strobe_pair *arguments =
		arena_alloc(&reader->arena, ITEM_LIMIT * sizeof(*arguments));
	void *at = NULL;
	struct fy_node_pair *pair;
	reader->failed |= !arguments;
	if (!arguments || !fy_node_is_mapping(node)) {
		tell(reader, node, "a tracepoint is no mapping");
		return false;
	}
	while ((pair = fy_node_mapping_iterate(node, &at))) {
		const char *key = read_text(reader, fy_node_pair_key(pair), "a key");
		if (!key ||
		    !read_member(reader, key, fy_node_pair_value(pair), &tracepoint, arguments))
			return false;
	}
	tracepoint.arguments = arguments;
	if (reader->tracepoints.count >= ENTRY_LIMIT ||
	    !array_push(&reader->lines, line_of(node)) ||
	    !array_push(&reader->tracepoints, tracepoint))
		reader->failed = true;
	return !reader->failed;
}

/** A list of tracepoints, or one below "tracepoints". */
static void read_root(struct reader *reader, struct fy_node *root)
{
	void *at = NULL;
	struct fy_node *item;
	if (root && fy_node_is_mapping(root)) {
		struct fy_node *list = fy_node_mapping_lookup_by_string(root, "tracepoints", FY_NT);
		root = list ? list : root;
	}
	if (!root || (fy_node_is_scalar(root) && fy_node_get_scalar_length(root) == 0))
		return; // an empty file has none
	if (!fy_node_is_sequence(root)) {
		tell(reader, root, "the file is no list of tracepoints");
		return;
	}
	while ((item = fy_node_sequence_iterate(root, &at)))
		read_tracepoint(reader, item);
}

static struct strobe_error *read_content(const char *path, struct text *ret)
{
	char bytes[65536];
	ssize_t got;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return error_errno(errno, "%s", path);
	while ((got = read(fd, bytes, sizeof(bytes))) > 0 && ret->size <= FILE_LIMIT)
		text_append_bytes(ret, bytes, (size_t)got);
	int problem = errno;
	close(fd);
	if (got < 0)
		return error_errno(problem, "%s", path);
	if (ret->size > FILE_LIMIT)
		return error_new(STROBE_ERROR_LIMIT, "%s: larger than %d bytes", path, FILE_LIMIT);
	return ret->failed ? error_no_memory() : NULL;
}

static struct strobe_error *parse(struct reader *reader, const char *path,
				  const struct text *content)
{
	struct fy_diag_cfg diagnosis;
	fy_diag_cfg_default(&diagnosis);
	diagnosis.fp = NULL;
	diagnosis.level = FYET_MAX; // what is wrong is asked for
	struct fy_diag *diag = fy_diag_create(&diagnosis);
	struct fy_parse_cfg config = {
		.flags = FYPCF_RESOLVE_DOCUMENT | FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
	struct strobe_error *error = NULL;
	if (diag)
		fy_diag_set_collect_errors(diag, true);
	struct fy_document *document = fy_document_build_from_string(
		&config, content->data ? content->data : "", content->size);
	if (document) {
		read_root(reader, fy_document_root(document));
		fy_document_destroy(document);
	} else {
		void *at = NULL;
		struct fy_diag_error *first = diag ? fy_diag_errors_iterate(diag, &at) : NULL;
		error = first ? error_new(STROBE_ERROR_SYNTAX, "%s:%d: %.200s", path,
					  first->line + 1, first->msg)
			      : error_new(STROBE_ERROR_SYNTAX, "%s: no YAML", path);
	}
	if (diag)
		fy_diag_destroy(diag);
	return !error && reader->failed ? error_no_memory() : error;
}

struct strobe_error *strobe_watch_read_file(struct strobe_watch *watch, const char *path,
					    strobe_watch_report report, void *context,
					    bool *changed)
{
	struct reader reader = {.report = report, .context = context};
	const struct strobe_tracepoint_problem *problems = NULL;
	struct text content cleanup_text = {0};
	size_t problem_count = 0;
	char text[20];
	if (changed)
		*changed = false;
	struct strobe_error *error = read_content(path, &content);
	uint64_t hash = hash_bytes(content.data ? content.data : "", content.size) | 1;
	if (error || hash == watch->file_hash)
		return error;
	watch->file_hash = hash; // also of what is wrong: it is said once
	snprintf(text, sizeof(text), "%016" PRIx64, hash);
	error = parse(&reader, path, &content);
	if (!error)
		error = strobe_watch_configure(watch, "file", text, reader.tracepoints.items,
					       reader.tracepoints.count, &problems, &problem_count);
	for (size_t i = 0; !error && i < problem_count && report; i++)
		report(context, reader.lines.items[problems[i].index], problems[i].what);
	if (changed)
		*changed = !error;
	array_fini(&reader.tracepoints);
	array_fini(&reader.lines);
	arena_fini(&reader.arena);
	return error;
}
