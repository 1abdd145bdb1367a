// SPDX-License-Identifier: Apache-2.0
#ifndef STROBE_TRACEPOINT_SERVER_H
#define STROBE_TRACEPOINT_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <strobe/error.h>
#include <strobe/tracepoint.h>

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Servers of a session: one that tracepoints come from and snapshots go to, in DEEP's protocol, and collectors of OpenTelemetry, which
 * get logs, metrics and spans. All of it is done in strobe_watch_poll(), in the caller's thread, without waiting for a server (names are
 * looked up in a thread of their own). What cannot be sent waits in a queue that is bounded, is tried again later and later, and is
 * dropped and counted when the queue is full.
 */

/** Called when something changes with a server: it cannot be reached, can again, refused something; one line. */
typedef void (*strobe_server_report)(void *context, const char *what);

/** A server in DEEP's protocol (gRPC). Zero-initialise, then set `size` and `url`. Strings are copied. */
struct strobe_deep_options {
	size_t size; /**< sizeof(struct strobe_deep_options) */
	const char *
		url; /**< "http://HOST:PORT", "https://HOST:PORT"; without a scheme TLS, without a port 43315 */
	const char *user, *password; /**< Basic authorisation; NULL = none */
	bool percent_space; /**< write "Basic%20" for "Basic ", as DEEP's own agent for Python does */
	/** Makes the value of the header "authorization" for each call, in place of Basic; NULL = none. Borrowed until it is called again. */
	const char *(*authorize)(void *context);
	void *authorize_context;
	const struct strobe_pair *metadata; /**< further headers, such as x-scope-orgid */
	size_t metadata_count;		    /**< at most 16 */
	const char *ca_file;		    /**< certificates to trust (PEM); NULL = the system's */
	uint32_t interval_ms;		    /**< between two polls; 0 = 10,000 */
	uint32_t timeout_ms;		    /**< of a call; 0 = 10,000 */
	uint32_t backoff_ms,
		backoff_limit_ms; /**< before the second try, at most; 0 = 1,000, 60,000 */
	size_t queue_limit;	  /**< snapshots that wait; 0 = 10,000 */
	size_t queue_bytes;	  /**< of them together; 0 = 64 MiB */
	uint32_t
		wait_ms; /**< how long strobe_watch_deep() waits for the first answer; 0 = not at all */
	uint32_t flush_ms; /**< how long strobe_watch_close() goes on sending; 0 = 3,000 */
	/** Tracepoints of the server may hold, snap and record, which write files here; else those that ask for it are refused. */
	bool allow_files;
	strobe_server_report report; /**< may be NULL */
	void *report_context;
};
/**
 * Attaches a server in DEEP's protocol: its tracepoints come as the source "deep", and snapshots of all tracepoints go to it. Each that is
 * wrong is reported and left out. An unreachable server is no error: it is tried again. One a session. Errors: INVALID (an option, by name; or
 * there is one already), SYSTEM (certificates cannot be read), NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_watch_deep(struct strobe_watch *watch,
						     const struct strobe_deep_options *options)
	STROBE_MUST_CHECK;

/** A collector that takes OTLP/HTTP in JSON. Zero-initialise, then set `size` and `url`. Strings are copied. */
struct strobe_otlp_options {
	size_t size; /**< sizeof(struct strobe_otlp_options) */
	const char
		*url; /**< "http://HOST:4318"; /v1/logs, /v1/metrics and /v1/traces are appended */
	const struct strobe_pair *headers; /**< of each request */
	size_t header_count;		   /**< at most 32 */
	const char *ca_file;		   /**< NULL = the system's */
	uint32_t interval_ms;		   /**< between two batches; 0 = 1,000 */
	uint32_t timeout_ms;		   /**< of a request; 0 = 10,000 */
	uint32_t backoff_ms,
		backoff_limit_ms; /**< before the second try, at most; 0 = 1,000, 60,000 */
	size_t queue_limit;	  /**< logs, and spans, that wait; 0 = 10,000 of each */
	size_t queue_bytes;	  /**< of them together; 0 = 64 MiB */
	size_t series_limit;	  /**< metrics, told apart by their labels; 0 = 10,000 */
	uint32_t flush_ms;	  /**< how long strobe_watch_close() goes on sending; 0 = 3,000 */
	strobe_server_report report; /**< may be NULL */
	void *report_context;
};
/**
 * Attaches a collector: log messages and snapshots become log records, metrics cumulative series, spans spans. Several may be attached.
 * Errors: INVALID (an option, by name), SYSTEM, NO_MEMORY.
 */
STROBE_EXPORT struct strobe_error *strobe_watch_otlp(struct strobe_watch *watch,
						     const struct strobe_otlp_options *options)
	STROBE_MUST_CHECK;

/** How a server does. */
struct strobe_delivery {
	const char *kind, *url; /**< "deep", "otlp" */
	uint64_t sent;		/**< results that it took */
	uint64_t
		dropped; /**< that it never got: the queue was full, it refused them, or the session ended */
	uint64_t retried;  /**< times that something was sent again */
	size_t waiting;	   /**< results in the queue */
	uint64_t polls;	   /**< answers of a server that tracepoints come from */
	const char *error; /**< what is wrong now; NULL = nothing that is known */
};
/** Servers that are attached. */
STROBE_EXPORT size_t strobe_watch_delivery_count(const struct strobe_watch *watch);
/** Server `index` < count, in the order in which they were attached. Strings are borrowed until the next call of the session. */
STROBE_EXPORT void strobe_watch_delivery(const struct strobe_watch *watch, size_t index,
					 struct strobe_delivery *ret);

#ifdef __cplusplus
}
#endif
#endif
