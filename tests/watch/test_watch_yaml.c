// SPDX-License-Identifier: Apache-2.0
// Files of tracepoints, right, wrong, hostile and huge.
#include "base/text.h"
#include "check.h"
#include "watch/watch_yaml.h"

static struct text told;
static unsigned reports;

static void report(void *context, unsigned line, const char *what)
{
	(void)context;
	reports++;
	if (strchr(what, '\n'))
		abort();
	text_printf(&told, "%u: %s\n", line, what);
}

static struct strobe_error *parse_bytes(const char *bytes, size_t size, struct watch_yaml *yaml)
{
	text_truncate(&told, 0);
	reports = 0;
	*yaml = (struct watch_yaml){0};
	return watch_yaml_parse("f", bytes, size, report, NULL, yaml);
}

/** Must be taken as `count` tracepoints, with these reports. */
static void takes(const char *text, size_t count, const char *reported)
{
	struct watch_yaml yaml;
	CHECK_OK(parse_bytes(text, strlen(text), &yaml));
	CHECK_STRING(text_string(&told), reported);
	CHECK_EQUAL(yaml.tracepoints.count, count);
	CHECK_EQUAL(yaml.lines.count, count);
	watch_yaml_fini(&yaml);
}

/** Must be refused, with this one line. */
static void refuses(const char *text, const char *message)
{
	struct watch_yaml yaml;
	struct strobe_error *error = parse_bytes(text, strlen(text), &yaml);
	watch_yaml_fini(&yaml);
	CHECK(error != NULL);
	bool same = strcmp(strobe_error_message(error), message) == 0;
	if (!same)
		printf("# %s\n", strobe_error_message(error));
	strobe_error_free(error);
	CHECK(same);
}

static void shapes(void)
{
	static const char text[] =
		"# a file\n"
		"tracepoints:\n"
		"- id: a\n"
		"  path: a.c\n"
		"  line: 12\n"
		"  watches: [n, 'm > 1']\n"
		"  log_msg: \"n={n}\"\n"
		"  metrics:\n"
		"  - {name: x, type: gauge, expression: n, namespace: s, help: h, unit: u,\n"
		"     labels: {who: '{w}'}}\n"
		"  actions: [snapshot, {hold: h}]\n"
		"\n"
		"- {method_name: f, watches: n, actions: {fire_count: 3}}\n";
	struct watch_yaml yaml;
	CHECK_OK(parse_bytes(text, strlen(text), &yaml));
	CHECK_EQUAL(reports, 0);
	CHECK_EQUAL(yaml.tracepoints.count, 2);
	const struct strobe_tracepoint *a = &yaml.tracepoints.items[0], *b = a + 1;
	CHECK_EQUAL(yaml.lines.items[0], 3);
	CHECK_EQUAL(yaml.lines.items[1], 13);
	CHECK_STRING(a->id, "a");
	CHECK_EQUAL(a->line, 12);
	CHECK_EQUAL(a->watch_count, 2);
	CHECK_STRING(a->watches[1], "m > 1");
	CHECK_EQUAL(a->argument_count, 3);
	CHECK_STRING(a->arguments[1].name, "snapshot");
	CHECK_STRING(a->arguments[1].value, "collect");
	CHECK_STRING(a->arguments[2].value, "h");
	CHECK_STRING(a->metrics[0].unit, "u");
	CHECK_STRING(a->metrics[0].labels[0].value, "{w}");
	CHECK_EQUAL(b->watch_count, 1);
	CHECK_STRING(b->arguments[1].value, "3");
	watch_yaml_fini(&yaml);
	takes("", 0, "");
	takes("# nothing\n", 0, "");
	takes("---\n...\n", 0, "");
	takes("[]", 0, "");
	takes("tracepoints: []\n", 0, "");
	takes("\xef\xbb\xbf- {path: a.c, line: 1}\n", 1, "");
}

static void wrong_entries(void)
{
	takes("- {path: a.c, line: 1}\n- text\n- {path: a.c, line: x}\n- {path: [a], line: 2}\n"
	      "- {path: a.c, line: 3}\n",
	      2, "2: a tracepoint is no mapping\n3: line is no line number\n4: path is no text\n");
	takes("- path: a.c\n  line: -3\n- path: a.c\n  line: 99999999999\n- path: a.c\n  line: "
	      "+3\n",
	      0,
	      "2: line is no line number\n4: line is no line number\n6: line is no line number\n");
	takes("- path: a.c\n  line: 3\n  watches: {a: b}\n", 0, "3: watches is no list\n");
	takes("- path: a.c\n  metrics: x\n- path: a.c\n  metrics:\n  - name: x\n    colour: y\n"
	      "- metrics: [{name: x, labels: [a]}]\n- metrics: [3]\n",
	      0,
	      "2: metrics are no list\n6: a metric has no 'colour'\n7: labels are no mapping\n"
	      "8: a metric is no mapping\n");
	takes("- actions: [explode]\n- actions: [[snapshot]]\n- actions: 3\n", 0,
	      "1: no action is called 'explode'\n2: an action is no list\n"
	      "3: actions are no list and no mapping\n");
	takes("-\n-\n- {}\n- {path: a.c, line: }\n", 1,
	      "0: a tracepoint is no mapping\n0: a tracepoint is no mapping\n4: line is no line "
	      "number\n");
	takes("- {path: \"a\\0b\", line: 3}\n", 0, "1: path has a NUL in it\n");
	takes("hello: there\n", 0, "1: the file is no list of tracepoints\n");
	takes("hello\n", 0, "1: the file is no list of tracepoints\n");
}

static void no_yaml(void)
{
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {{"- {path: a.c\n", 2},
		    {"- path: a.c\n  line: 3\n x: y\n", 3},
		    {"- path: a.c\n- 'abc\n", 2},
		    {"- path: \"\\q\"\n", 1},
		    {"- {a: 1}\n- {b: 2, b: 3}\n", 2},
		    {"- a\n- *nothing\n", 2},
		    {"- a\n- \xff\n", 2},
		    {"\xc3\xbc\n\n\xc0\x80\n", 3},
		    {"\xed\xa0\x80", 1},
		    {"\xf4\x90\x80\x80", 1},
		    {"%\xff\xff", 1},
		    {"a\n\xe2\x82", 2}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct watch_yaml yaml;
		char start[20];
		struct strobe_error *error = parse_bytes(rows[i].text, strlen(rows[i].text), &yaml);
		watch_yaml_fini(&yaml);
		if (!error)
			printf("# %zu is taken\n", i);
		CHECK(error != NULL);
		snprintf(start, sizeof(start), "f:%u: ", rows[i].line);
		bool good = strncmp(strobe_error_message(error), start, strlen(start)) == 0 &&
			    !strchr(strobe_error_message(error), '\n') &&
			    strobe_error_code(error) == STROBE_ERROR_SYNTAX;
		if (!good)
			printf("# %zu: %s\n", i, strobe_error_message(error));
		strobe_error_free(error);
		CHECK(good);
	}
	refuses("- {path: a.c, line: 1}\n---\n- {path: a.c, line: 2}\n",
		"f: there is more than one document");
}

static void aliases(void)
{
	struct watch_yaml yaml;
	static const char text[] = "- &base {id: one, path: a.c, line: 3}\n"
				   "- {<<: *base, id: two}\n"
				   "- {id: &x three, path: *x, line: 4}\n";
	CHECK_OK(parse_bytes(text, strlen(text), &yaml));
	CHECK_EQUAL(yaml.tracepoints.count, 3);
	CHECK_STRING(yaml.tracepoints.items[1].id, "two");
	CHECK_STRING(yaml.tracepoints.items[1].path, "a.c");
	CHECK_EQUAL(yaml.tracepoints.items[1].line, 3);
	CHECK_STRING(yaml.tracepoints.items[2].path, "three");
	watch_yaml_fini(&yaml);
	refuses("- &a [*a]\n", "f: an alias is within what it stands for");
	refuses("- {<<: &a {<<: *a}}\n", "f: an alias is within what it stands for");
}

/** Ten of ten of ten ...: 10^9 values in 300 bytes. */
static void bomb(void)
{
	struct text text = {0};
	for (unsigned level = 0; level < 9; level++) {
		text_printf(&text, "- &a%u [", level);
		for (unsigned i = 0; i < 10; i++) {
			if (level)
				text_printf(&text, "*a%u,", level - 1);
			else
				text_append(&text, "x,");
		}
		text_append(&text, "]\n");
	}
	refuses(text_string(&text), "f: more than 500000 values, with what aliases stand for");
	// The same in mappings, merged.
	text_truncate(&text, 0);
	text_append(&text, "- &b0 {x: y}\n");
	for (unsigned level = 1; level < 40; level++)
		text_printf(&text, "- &b%u {p: *b%u, q: *b%u}\n", level, level - 1, level - 1);
	refuses(text_string(&text), "f: more than 500000 values, with what aliases stand for");
	text_fini(&text);
}

static void huge(void)
{
	struct text text = {0};
	struct watch_yaml yaml;
	for (unsigned i = 0; i < 10000; i++)
		text_printf(&text, "- {path: a.c, line: %u}\n", i + 1);
	CHECK_OK(parse_bytes(text.data, text.size, &yaml));
	CHECK_EQUAL(yaml.tracepoints.count, 10000);
	CHECK_EQUAL(yaml.lines.items[9999], 10000);
	watch_yaml_fini(&yaml);
	text_append(&text, "- {path: a.c, line: 1}\n");
	takes(text_string(&text), 0, "1: there are more than 10000 tracepoints: none is taken\n");
	text_truncate(&text, 0);
	for (unsigned i = 0; i < 2000; i++)
		text_append(&text, "- wrong\n");
	CHECK_OK(parse_bytes(text.data, text.size, &yaml));
	CHECK_EQUAL(reports, 100);
	CHECK(strstr(text_string(&told), "99: a tracepoint is no mapping\n100: more is wrong") !=
	      NULL);
	watch_yaml_fini(&yaml);
	text_truncate(&text, 0);
	for (unsigned i = 0; i < 300000; i++)
		text_append(&text, "-\n-\n");
	refuses(text_string(&text), "f: more than 500000 values, with what aliases stand for");
	text_truncate(&text, 0);
	text_append(&text, "- watches: [");
	for (unsigned i = 0; i < 1001; i++)
		text_append(&text, "n,");
	text_append(&text, "]\n- {");
	for (unsigned i = 0; i < 201; i++)
		text_printf(&text, "a%u: b, ", i);
	text_append(&text, "}\n");
	takes(text_string(&text), 0,
	      "1: watches are more than 1000\n2: it has more than 200 arguments\n");
	text_truncate(&text, 0);
	for (unsigned i = 0; i < 100000; i++)
		text_append_char(&text, '[');
	CHECK_ERROR(parse_bytes(text.data, text.size, &yaml), STROBE_ERROR_SYNTAX);
	watch_yaml_fini(&yaml);
	text_fini(&text);
}

CHECK_MAIN({"tracepoints of all shapes", shapes},
	   {"wrong entries are told with their line", wrong_entries},
	   {"what is no YAML is refused with its line", no_yaml},
	   {"anchors, aliases and merge keys", aliases}, {"aliases of aliases of aliases", bomb},
	   {"huge files", huge}, )
