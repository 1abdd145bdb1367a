// SPDX-License-Identifier: Apache-2.0
#include "watch/servers.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strobe/tracepoint_server.h>

#include "command.h"

enum { HEADER_LIMIT = 16, PASSWORD_LIMIT = 4096 };

static void report_of(const struct command *command, const char *kind, const char *what)
{
	if (command->quiet)
		return;
	fprintf(stderr, "strobe: watch: %s: ", kind);
	put_safe(stderr, what);
	fputc('\n', stderr);
}

static void report_deep(void *context, const char *what)
{
	report_of(context, "deep", what);
}

static void report_otlp(void *context, const char *what)
{
	report_of(context, "otlp", what);
}

/** "NAME=VALUE" or "NAME: VALUE"; the text is ours. */
static int read_headers(struct command *command, const char *option, struct strobe_pair *ret,
			size_t *count)
{
	const char *text;
	size_t at = 0;
	while ((text = command_option_next(command, option, &at))) {
		size_t size = strcspn(text, "=:");
		if (*count == HEADER_LIMIT || !text[size] || !size)
			return command_usage(command, "--%s: '%s' is not NAME=VALUE", option, text);
		const char *value = text + size + 1;
		if (text[size] == ':')
			value += strspn(value, " ");
		ret[(*count)++] = (struct strobe_pair){strndup(text, size), strdup(value)};
	}
	return STATUS_DONE;
}

static void free_headers(struct strobe_pair *headers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		free((char *)(uintptr_t)headers[i].name);
		free((char *)(uintptr_t)headers[i].value);
	}
}

/** The first line of a file: a password has no place on a command line. */
static int read_password(struct command *command, char *ret)
{
	const char *path = command_option(command, "deep-password-file");
	if (!path)
		return STATUS_DONE;
	FILE *file = fopen(path, "re");
	if (!file)
		return command_fail(command, "%s: %s", path, strerror(errno));
	if (!fgets(ret, PASSWORD_LIMIT, file))
		*ret = 0;
	ret[strcspn(ret, "\r\n")] = 0;
	fclose(file);
	return STATUS_DONE;
}

static int attach_deep(struct command *command, struct strobe_watch *session, int waits)
{
	enum { WAIT_MS = 3000 };
	struct strobe_pair headers[HEADER_LIMIT];
	char password[PASSWORD_LIMIT] = "", *end;
	const char *interval = command_option(command, "deep-interval");
	double seconds = interval ? strtod(interval, &end) : 10;
	struct strobe_deep_options options = {
		.size = sizeof(options),
		.url = command_option(command, "deep"),
		.user = command_option(command, "deep-user"),
		.percent_space = command_has(command, "deep-percent-space"),
		.ca_file = command_option(command, "ca-file"),
		.allow_files = command_has(command, "deep-allow-files"),
		.metadata = headers,
		.wait_ms = waits ? WAIT_MS : 0,
		.report = report_deep,
		.report_context = command,
	};
	if (interval &&
	    (!isdigit((unsigned char)*interval) || *end || seconds < 0.01 || seconds > 86400))
		return command_usage(command,
				     "--deep-interval: '%s' is no number of seconds from 0.01 to "
				     "86400",
				     interval);
	options.interval_ms = (uint32_t)(seconds * 1000);
	int status = read_password(command, password);
	if (!status && command_has(command, "deep-password-file"))
		options.password = password;
	if (!status)
		status = read_headers(command, "deep-header", headers, &options.metadata_count);
	struct strobe_error *error = status ? NULL : strobe_watch_deep(session, &options);
	free_headers(headers, options.metadata_count);
	explicit_bzero(password, sizeof(password));
	return error ? command_error(command, "--deep", error) : status;
}

static int attach_otlp(struct command *command, struct strobe_watch *session)
{
	struct strobe_pair headers[HEADER_LIMIT];
	struct strobe_otlp_options options = {
		.size = sizeof(options),
		.url = command_option(command, "otlp"),
		.ca_file = command_option(command, "ca-file"),
		.headers = headers,
		.report = report_otlp,
		.report_context = command,
	};
	int status = read_headers(command, "otlp-header", headers, &options.header_count);
	struct strobe_error *error = status ? NULL : strobe_watch_otlp(session, &options);
	free_headers(headers, options.header_count);
	return error ? command_error(command, "--otlp", error) : status;
}

int attach_servers(struct command *command, struct strobe_watch *session, int waits)
{
	int status = command_has(command, "otlp") ? attach_otlp(command, session) : STATUS_DONE;
	if (!status && command_has(command, "deep"))
		status = attach_deep(command, session, waits);
	return status;
}

void show_servers(const struct strobe_watch *session, int all)
{
	for (size_t i = 0; i < strobe_watch_delivery_count(session); i++) {
		struct strobe_delivery delivery;
		strobe_watch_delivery(session, i, &delivery);
		if (!all && !delivery.dropped && !delivery.error)
			continue;
		fprintf(stderr, "strobe: watch: %s ", delivery.kind);
		put_safe(stderr, delivery.url);
		fprintf(stderr,
			": %" PRIu64 " sent, %" PRIu64 " dropped, %" PRIu64
			" sent again, %zu waiting",
			delivery.sent, delivery.dropped, delivery.retried, delivery.waiting);
		if (delivery.polls)
			fprintf(stderr, ", %" PRIu64 " polls answered", delivery.polls);
		if (delivery.error) {
			fputs(": ", stderr);
			put_safe(stderr, delivery.error);
		}
		fputc('\n', stderr);
	}
}
