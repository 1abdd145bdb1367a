// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_EXPORT_H
#define GRAPH_EXPORT_EXPORT_H

// One file a format, export_FORMAT.c.

#include "graph_export/job.h"

struct strobe_error *graph_export_dot(const struct export_job *job) STROBE_MUST_CHECK;
struct strobe_error *graph_export_folded(const struct export_job *job) STROBE_MUST_CHECK;
struct strobe_error *graph_export_heapsnapshot(const struct export_job *job) STROBE_MUST_CHECK;
struct strobe_error *graph_export_html(const struct export_job *job) STROBE_MUST_CHECK;
struct strobe_error *graph_export_jsonl(const struct export_job *job) STROBE_MUST_CHECK;
struct strobe_error *graph_export_sqlite(const struct export_job *job) STROBE_MUST_CHECK;

#endif
