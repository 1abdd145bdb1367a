// SPDX-License-Identifier: Apache-2.0
#include "watch/watch_yaml.h"

#include <libfyaml.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/hash.h"

/** Named limits on a file that somebody else may have written. Nodes are counted with what aliases stand for. */
enum {
	ENTRY_LIMIT = 10000,
	ITEM_LIMIT = 1000,
	ARGUMENT_LIMIT = 200,
	NODE_LIMIT = 500000,
	REPORT_LIMIT = 100
};

/** A text being read. */
struct reader {
	struct watch_yaml *yaml;
	strobe_watch_report report;
	void *context;
	unsigned line, told; // the last line that is known; how many reports
	bool failed;	     // memory was short
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
	for (char *at = text; *at; at++) // of a key, say
		if ((unsigned char)*at < ' ' || *at == 0x7f)
			*at = ' ';
	unsigned line = line_of(node);
	reader->told++;
	if (reader->told == REPORT_LIMIT)
		snprintf(text, sizeof(text), "more is wrong than is told here");
	if (reader->report && reader->told <= REPORT_LIMIT)
		reader->report(reader->context, line ? line : reader->line, text);
}

/** Remembers where it is, for what has no line of its own. */
static void note_line(struct reader *reader, struct fy_node *node)
{
	unsigned line = line_of(node);
	if (line)
		reader->line = line;
}

/** Room for as many items as a list or mapping has; NULL, and told, if they are too many. */
static void *get_room(struct reader *reader, struct fy_node *node, size_t item_size,
		      const char *what)
{
	int count = fy_node_is_sequence(node)  ? fy_node_sequence_item_count(node)
		    : fy_node_is_mapping(node) ? fy_node_mapping_item_count(node)
					       : 1;
	if (count < 0 || count > ITEM_LIMIT) {
		tell(reader, node, "%s are more than %d", what, ITEM_LIMIT);
		return NULL;
	}
	void *room = arena_alloc(&reader->yaml->arena, ((size_t)count + 1) * item_size);
	reader->failed |= !room;
	return room;
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
	if (memchr(text, 0, size)) {
		tell(reader, node, "%s has a NUL in it", what);
		return NULL;
	}
	text = arena_copy_string(&reader->yaml->arena, text, size);
	reader->failed |= !text;
	return text;
}

/** The texts of a list, or of one text alone. */
static bool read_texts(struct reader *reader, struct fy_node *node, const char *what,
		       const char *const **ret, size_t *count)
{
	const char **texts = get_room(reader, node, sizeof(*texts), what);
	void *at = NULL;
	struct fy_node *item;
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
	while ((item = fy_node_sequence_iterate(node, &at)))
		if (!(texts[(*count)++] = read_text(reader, item, what)))
			return false;
	return true;
}

static bool read_labels(struct reader *reader, struct fy_node *node,
			struct strobe_tracepoint_metric *metric)
{
	struct strobe_pair *labels = get_room(reader, node, sizeof(*labels), "labels");
	void *at = NULL;
	struct fy_node_pair *pair;
	if (!labels)
		return false;
	if (!fy_node_is_mapping(node)) {
		tell(reader, node, "labels are no mapping");
		return false;
	}
	metric->labels = labels;
	metric->label_count = 0;
	while ((pair = fy_node_mapping_iterate(node, &at))) {
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
		get_room(reader, node, sizeof(*metrics), "metrics");
	void *at = NULL;
	struct fy_node *item;
	if (!metrics)
		return false;
	if (!fy_node_is_sequence(node)) {
		tell(reader, node, "metrics are no list");
		return false;
	}
	tracepoint->metrics = metrics;
	while ((item = fy_node_sequence_iterate(node, &at)))
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
	if (!name || !value)
		return false;
	if (*count >= ARGUMENT_LIMIT) {
		tell(reader, NULL, "it has more than %d arguments", ARGUMENT_LIMIT);
		return false;
	}
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
			if (fy_node_is_sequence(item)) {
				tell(reader, item, "an action is no list");
				return false;
			} else if (!add_action(reader, item, arguments, count)) {
				return false;
			}
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
	if (!text || *end || value > INT32_MAX || *text < '0' || *text > '9') {
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
	struct strobe_pair arguments[ARGUMENT_LIMIT];
	void *at = NULL;
	struct fy_node_pair *pair;
	note_line(reader, node);
	unsigned line = reader->line;
	if (!fy_node_is_mapping(node)) {
		tell(reader, node, "a tracepoint is no mapping");
		return false;
	}
	while ((pair = fy_node_mapping_iterate(node, &at))) {
		note_line(reader, fy_node_pair_key(pair));
		const char *key = read_text(reader, fy_node_pair_key(pair), "a key");
		if (!key ||
		    !read_member(reader, key, fy_node_pair_value(pair), &tracepoint, arguments))
			return false;
	}
	struct strobe_pair *kept =
		arena_alloc(&reader->yaml->arena, (tracepoint.argument_count + 1) * sizeof(*kept));
	if (kept && tracepoint.argument_count)
		memcpy(kept, arguments, tracepoint.argument_count * sizeof(*kept));
	tracepoint.arguments = kept;
	if (!kept || !array_push(&reader->yaml->lines, line) ||
	    !array_push(&reader->yaml->tracepoints, tracepoint))
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
	if (fy_node_sequence_item_count(root) > ENTRY_LIMIT) {
		tell(reader, root, "there are more than %d tracepoints: none is taken",
		     ENTRY_LIMIT);
		return;
	}
	while ((item = fy_node_sequence_iterate(root, &at)) && !reader->failed)
		read_tracepoint(reader, item);
}

// Aliases are made copies of what they stand for: how many nodes that will be is known before.

struct counter {
	struct hash
		counts; // of each list and mapping that was passed; WITHIN of those that it is in
	bool cyclic, failed;
};
static const uintptr_t WITHIN = UINTPTR_MAX;

static uintptr_t count_nodes(struct counter *counter, struct fy_node *node);

static uintptr_t count_items(struct counter *counter, struct fy_node *node)
{
	uintptr_t count = 1;
	void *at = NULL;
	struct fy_node_pair *pair;
	struct fy_node *item;
	if (fy_node_is_sequence(node))
		while ((item = fy_node_sequence_iterate(node, &at)) && count <= NODE_LIMIT)
			count += count_nodes(counter, item);
	else
		while ((pair = fy_node_mapping_iterate(node, &at)) && count <= NODE_LIMIT)
			count += count_nodes(counter, fy_node_pair_key(pair)) +
				 count_nodes(counter, fy_node_pair_value(pair));
	return count > NODE_LIMIT ? NODE_LIMIT + 1 : count;
}

/** At most NODE_LIMIT + 1. Goes no deeper than the parser did: what an alias stands for came before it. */
static uintptr_t count_nodes(struct counter *counter, struct fy_node *node)
{
	uint64_t key = (uint64_t)(uintptr_t)node;
	if (node && fy_node_is_alias(node)) {
		struct fy_node *target = fy_node_resolve_alias(node);
		uintptr_t known =
			target ? (uintptr_t)hash_get(&counter->counts, (uint64_t)(uintptr_t)target)
			       : 1;
		counter->cyclic |= known == WITHIN;
		return known && known != WITHIN ? known : 1;
	}
	if (!node || fy_node_is_scalar(node))
		return 1;
	counter->failed |= !hash_put(&counter->counts, key, (void *)WITHIN);
	uintptr_t count = count_items(counter, node);
	counter->failed |= !hash_put(&counter->counts, key, (void *)count);
	return count;
}

static struct strobe_error *check_aliases(struct fy_document *document, const char *path)
{
	struct counter counter = {0};
	uintptr_t count = count_nodes(&counter, fy_document_root(document));
	hash_fini(&counter.counts);
	if (counter.failed)
		return error_no_memory();
	if (counter.cyclic)
		return error_new(STROBE_ERROR_SYNTAX, "%s: an alias is within what it stands for",
				 path);
	if (count > NODE_LIMIT)
		return error_new(STROBE_ERROR_LIMIT,
				 "%s: more than %d values, with what aliases stand for", path,
				 NODE_LIMIT);
	return NULL;
}

static struct strobe_error *first_problem(struct fy_diag *diag, const char *path)
{
	void *at = NULL;
	const struct fy_diag_error *first = fy_diag_errors_iterate(diag, &at);
	if (!first || !first->msg)
		return error_new(STROBE_ERROR_SYNTAX, "%s: no YAML", path);
	size_t size = strcspn(first->msg, "\n");
	return error_new(STROBE_ERROR_SYNTAX, "%s:%d: %.*s", path, first->line,
			 size > 200 ? 200 : (int)size, first->msg);
}

/** The documents of a stream: the first is read. */
static struct strobe_error *read_documents(struct reader *reader, struct fy_parser *parser,
					   struct fy_diag *diag, const char *path)
{
	struct fy_document *document = fy_parse_load_document(parser), *next = NULL;
	struct strobe_error *error = NULL;
	if (document)
		error = check_aliases(document, path);
	if (document && !error && fy_document_resolve(document))
		error = first_problem(diag, path);
	if (document && !error)
		next = fy_parse_load_document(parser);
	if (!error && fy_parser_get_stream_error(parser))
		error = first_problem(diag, path);
	if (!error && next)
		error = error_new(STROBE_ERROR_SYNTAX, "%s: there is more than one document", path);
	if (document && !error)
		read_root(reader, fy_document_root(document));
	fy_parse_document_destroy(parser, next);
	fy_parse_document_destroy(parser, document);
	return error;
}

/** Bytes of the UTF-8 character at `at`, of `size` that are left; 0 if it is none that a text has. */
static size_t character_size(const unsigned char *at, size_t size)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t length = at[0] < 0x80   ? 1
			: at[0] < 0xc0 ? 0
			: at[0] < 0xe0 ? 2
			: at[0] < 0xf0 ? 3
				       : 4;
	uint32_t code = length == 1 ? at[0] : at[0] & (0xffu >> (length + 1));
	if (length > size || at[0] >= 0xf8 || at[0] == 0)
		return 0;
	for (size_t i = 1; i < length; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (at[i] & 0x3f);
	}
	bool surrogate = code >= 0xd800 && code < 0xe000;
	return code > 0x10ffff || surrogate || (length > 1 && code < least[length]) ? 0 : length;
}

/** The parser must not see other bytes: it may never come back (libfyaml 0.7.12: a directive of 0xff). */
static struct strobe_error *check_text(const char *path, const char *bytes, size_t size)
{
	unsigned line = 1;
	size_t length = 0;
	for (size_t at = 0; at < size; at += length) {
		length = character_size((const unsigned char *)bytes + at, size - at);
		if (!length)
			return error_new(STROBE_ERROR_SYNTAX, "%s:%u: byte 0x%02x is no UTF-8",
					 path, line, (unsigned char)bytes[at]);
		line += bytes[at] == '\n';
	}
	return NULL;
}

struct strobe_error *watch_yaml_parse(const char *path, const char *bytes, size_t size,
				      strobe_watch_report report, void *context,
				      struct watch_yaml *ret)
{
	struct reader reader = {.yaml = ret, .report = report, .context = context};
	struct fy_diag_cfg diagnosis;
	struct strobe_error *error = check_text(path, bytes, size);
	if (error)
		return error;
	fy_diag_cfg_default(&diagnosis);
	diagnosis.fp = NULL;
	diagnosis.level = FYET_MAX; // what is wrong is asked for
	struct fy_diag *diag = fy_diag_create(&diagnosis);
	struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_COLLECT_DIAG, .diag = diag};
	if (!diag)
		return error_no_memory();
	fy_diag_set_collect_errors(diag, true);
	struct fy_parser *parser = fy_parser_create(&config);
	if (!parser || fy_parser_set_string(parser, bytes, size))
		error = error_no_memory();
	if (!error)
		error = read_documents(&reader, parser, diag, path);
	if (parser)
		fy_parser_destroy(parser);
	fy_diag_destroy(diag);
	return !error && reader.failed ? error_no_memory() : error;
}

void watch_yaml_fini(struct watch_yaml *yaml)
{
	array_fini(&yaml->tracepoints);
	array_fini(&yaml->lines);
	arena_fini(&yaml->arena);
}
