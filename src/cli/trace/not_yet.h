// SPDX-License-Identifier: Apache-2.0
#ifndef CLI_TRACE_NOT_YET_H
#define CLI_TRACE_NOT_YET_H

// For as long as the library lacks some of them, the command links without them.

#pragma weak strobe_cursor_address
#pragma weak strobe_cursor_clone
#pragma weak strobe_cursor_close
#pragma weak strobe_cursor_cpu
#pragma weak strobe_cursor_error
#pragma weak strobe_cursor_event
#pragma weak strobe_cursor_event_type
#pragma weak strobe_cursor_find
#pragma weak strobe_cursor_go_to
#pragma weak strobe_cursor_go_to_id
#pragma weak strobe_cursor_has_id
#pragma weak strobe_cursor_has_item
#pragma weak strobe_cursor_has_value
#pragma weak strobe_cursor_hw_clock
#pragma weak strobe_cursor_id
#pragma weak strobe_cursor_instruction
#pragma weak strobe_cursor_is_forwards
#pragma weak strobe_cursor_kind
#pragma weak strobe_cursor_next
#pragma weak strobe_cursor_next_run
#pragma weak strobe_cursor_open
#pragma weak strobe_cursor_run
#pragma weak strobe_cursor_seek
#pragma weak strobe_cursor_seek_time
#pragma weak strobe_cursor_set_forwards
#pragma weak strobe_cursor_sync_point_metadata
#pragma weak strobe_cursor_tell
#pragma weak strobe_cursor_thread_index
#pragma weak strobe_cursor_time_ns
#pragma weak strobe_cursor_trace
#pragma weak strobe_event_type_name
#pragma weak strobe_flow_name
#pragma weak strobe_trace_close
#pragma weak strobe_trace_error_count
#pragma weak strobe_trace_info
#pragma weak strobe_trace_open
#pragma weak strobe_trace_refresh
#pragma weak strobe_trace_thread
#pragma weak strobe_trace_thread_count
#pragma weak strobe_trace_thread_index
#pragma weak strobe_trace_view
#pragma weak strobe_trace_warning
#pragma weak strobe_trace_warning_count

#endif
