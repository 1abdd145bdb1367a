// SPDX-License-Identifier: Apache-2.0
#ifndef GRAPH_EXPORT_REPORT_PAGE_H
#define GRAPH_EXPORT_REPORT_PAGE_H

// The page of a report, made from report.html, report.css and report.js by tools/embed_page.py: what stands before the data, and behind.

#include <stddef.h>

extern const char report_page_head[], report_page_tail[];
extern const size_t report_page_head_size, report_page_tail_size;

#endif
