// SPDX-License-Identifier: Apache-2.0
// Files of tracepoints, and the tracepoints that they have.
#include <stdlib.h>
#include <string.h>

#include "tracepoint/config.h"
#include "watch/watch_yaml.h"

enum { MOST_REPORTS = 100, MOST_LINES = 10000000 };

static void report(void *context, unsigned line, const char *what)
{
	unsigned *reports = context;
	if (++*reports > MOST_REPORTS || line > MOST_LINES || strchr(what, '\n'))
		abort();
}

static void check_error(struct strobe_error *error)
{
	if (error && strchr(strobe_error_message(error), '\n'))
		abort();
	strobe_error_free(error);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct watch_yaml yaml = {0};
	unsigned reports = 0;
	check_error(watch_yaml_parse("input", (const char *)data, size, report, &reports, &yaml));
	if (yaml.lines.count != yaml.tracepoints.count)
		abort();
	for (size_t i = 0; i < yaml.tracepoints.count; i++) {
		struct tracepoint_config *config = NULL, *again = NULL;
		struct strobe_error *error =
			config_new(&yaml.tracepoints.items[i], "file", &config);
		if (!error)
			error = config_new(&yaml.tracepoints.items[i], "file", &again);
		if (!error && config->hash != again->hash)
			abort();
		check_error(error);
		config_free(config);
		config_free(again);
	}
	watch_yaml_fini(&yaml);
	return 0;
}
