// SPDX-License-Identifier: Apache-2.0
#include "pt/events.h"

#include <inttypes.h>

#include "base/error.h"

// A target that the packet may have left out.
static void set_target(struct window_note *note, const struct pt_event *event, uint64_t target)
{
	note->has_target = !event->ip_suppressed;
	note->target = event->ip_suppressed ? 0 : target;
}

static void set_address(struct window_note *note, const struct pt_event *event, uint64_t address)
{
	note->has_address = !event->ip_suppressed;
	note->address = event->ip_suppressed ? 0 : address;
}

static const char *describe_tsx(const struct pt_event *event)
{
	if (event->variant.tsx.aborted)
		return "aborted";
	return event->variant.tsx.speculative ? "began" : "committed";
}

static const char *describe_mode(enum pt_exec_mode mode)
{
	switch (mode) {
	case ptem_16bit:
		return "16-bit code";
	case ptem_32bit:
		return "32-bit code";
	case ptem_64bit:
		return "64-bit code";
	default:
		return "unknown code";
	}
}

static unsigned mode_value(enum pt_exec_mode mode)
{
	return mode == ptem_16bit ? 16 : mode == ptem_32bit ? 32 : mode == ptem_64bit ? 64 : 0;
}

// Where execution goes.
static bool describe_flow(const struct decoder *decoder, const struct pt_event *event,
			  struct window_note *note)
{
	switch (event->type) {
	case ptev_enabled:
		note->type = STROBE_EVENT_ENABLED;
		note->value = event->variant.enabled.resumed;
		note->text = event->variant.enabled.resumed ? "resumed" : NULL;
		set_address(note, event, event->variant.enabled.ip);
		return true;
	case ptev_disabled:
		note->type = STROBE_EVENT_DISABLED_HARDWARE;
		note->has_address = decoder->has_last;
		note->address = decoder->last;
		set_target(note, event, event->variant.disabled.ip);
		return true;
	case ptev_async_disabled:
		note->type = STROBE_EVENT_DISABLED_SOFTWARE;
		note->has_address = true;
		note->address = event->variant.async_disabled.at;
		set_target(note, event, event->variant.async_disabled.ip);
		return true;
	case ptev_async_branch:
		note->type = STROBE_EVENT_ASYNC_BRANCH;
		note->has_address = true;
		note->address = event->variant.async_branch.from;
		set_target(note, event, event->variant.async_branch.to);
		return true;
	case ptev_stop:
		note->type = STROBE_EVENT_STOP;
		return true;
	default:
		return false;
	}
}

// What the processor's state became.
static bool describe_state(const struct pt_event *event, struct window_note *note)
{
	switch (event->type) {
	case ptev_paging:
		note->type = STROBE_EVENT_PAGING;
		note->value = event->variant.paging.cr3;
		note->value_2 = event->variant.paging.non_root;
		return true;
	case ptev_async_paging:
		note->type = STROBE_EVENT_PAGING;
		note->value = event->variant.async_paging.cr3;
		note->value_2 = event->variant.async_paging.non_root;
		set_address(note, event, event->variant.async_paging.ip);
		return true;
	case ptev_exec_mode:
		note->type = STROBE_EVENT_EXEC_MODE;
		note->value = mode_value(event->variant.exec_mode.mode);
		note->text = describe_mode(event->variant.exec_mode.mode);
		set_address(note, event, event->variant.exec_mode.ip);
		return true;
	case ptev_tsx:
		note->type = STROBE_EVENT_TSX;
		note->value = event->variant.tsx.speculative;
		note->value_2 = event->variant.tsx.aborted;
		note->text = describe_tsx(event);
		set_address(note, event, event->variant.tsx.ip);
		return true;
	case ptev_vmcs:
		note->type = STROBE_EVENT_VMCS;
		note->value = event->variant.vmcs.base;
		return true;
	case ptev_async_vmcs:
		note->type = STROBE_EVENT_VMCS;
		note->value = event->variant.async_vmcs.base;
		set_address(note, event, event->variant.async_vmcs.ip);
		return true;
	default:
		return false;
	}
}

// Power, payloads, frequencies.
static bool describe_rest(const struct pt_event *event, struct window_note *note)
{
	switch (event->type) {
	case ptev_exstop:
		note->type = STROBE_EVENT_EXECUTION_STOPPED;
		set_address(note, event, event->variant.exstop.ip);
		return true;
	case ptev_mwait:
		note->type = STROBE_EVENT_MWAIT;
		note->value = event->variant.mwait.hints;
		note->value_2 = event->variant.mwait.ext;
		set_address(note, event, event->variant.mwait.ip);
		return true;
	case ptev_pwre:
		note->type = STROBE_EVENT_POWER_ENTRY;
		note->value = event->variant.pwre.state;
		note->value_2 = event->variant.pwre.sub_state;
		return true;
	case ptev_pwrx:
		note->type = STROBE_EVENT_POWER_EXIT;
		note->value = event->variant.pwrx.last;
		note->value_2 = event->variant.pwrx.deepest;
		return true;
	case ptev_ptwrite:
		note->type = STROBE_EVENT_PTWRITE;
		note->value = event->variant.ptwrite.payload;
		note->value_2 = event->variant.ptwrite.size;
		set_address(note, event, event->variant.ptwrite.ip);
		return true;
	case ptev_cbr:
		note->type = STROBE_EVENT_CORE_BUS_RATIO;
		note->value = event->variant.cbr.ratio;
		return true;
	case ptev_mnt:
		note->type = STROBE_EVENT_MAINTENANCE;
		note->value = event->variant.mnt.payload;
		return true;
	default:
		return false;
	}
}

// Words for what has numbers. NULL = memory is short.
static const char *write_text(struct arena *arena, const struct pt_event *event)
{
	switch (event->type) {
	case ptev_paging:
		return arena_printf(arena, "CR3 = 0x%" PRIx64 "%s", event->variant.paging.cr3,
				    event->variant.paging.non_root ? ", in a virtual machine" : "");
	case ptev_async_paging:
		return arena_printf(arena, "CR3 = 0x%" PRIx64 "%s", event->variant.async_paging.cr3,
				    event->variant.async_paging.non_root ? ", in a virtual machine"
									 : "");
	case ptev_vmcs:
		return arena_printf(arena, "VMCS = 0x%" PRIx64, event->variant.vmcs.base);
	case ptev_async_vmcs:
		return arena_printf(arena, "VMCS = 0x%" PRIx64, event->variant.async_vmcs.base);
	case ptev_mwait:
		return arena_printf(arena, "hints 0x%x, extensions 0x%x",
				    event->variant.mwait.hints, event->variant.mwait.ext);
	case ptev_pwre:
		return arena_printf(arena, "C-state %u, sub-state %u%s", event->variant.pwre.state,
				    event->variant.pwre.sub_state,
				    event->variant.pwre.hw ? ", by hardware" : "");
	case ptev_pwrx:
		return arena_printf(arena, "from C-state %u, deepest %u%s%s%s",
				    event->variant.pwrx.last, event->variant.pwrx.deepest,
				    event->variant.pwrx.interrupt ? ", by an interrupt" : "",
				    event->variant.pwrx.store ? ", by a store" : "",
				    event->variant.pwrx.autonomous ? ", by hardware" : "");
	case ptev_ptwrite:
		return arena_printf(arena, "0x%" PRIx64, event->variant.ptwrite.payload);
	case ptev_cbr:
		return arena_printf(arena, "ratio %u", event->variant.cbr.ratio);
	case ptev_mnt:
		return arena_printf(arena, "0x%" PRIx64, event->variant.mnt.payload);
	default:
		return "";
	}
}

// An overflow: packets were lost.
static struct strobe_error *note_overflow(struct decoder *decoder, const struct pt_event *event)
{
	decoder->has_last = false;
	if (event->ip_suppressed)
		return decoding_error(decoder, "overflow: packets were lost");
	return decoding_error(decoder, "overflow: packets were lost up to: 0x%016" PRIx64,
			      event->variant.overflow.ip);
}

static bool explain(const struct decoder *decoder, const struct pt_event *event,
		    struct window_note *note)
{
	const struct pt_input *input = &decoder->source->input;
	return event->type == ptev_ptwrite && input->explain &&
	       input->explain(input->context, decoder->stream, event->variant.ptwrite.payload, note,
			      &decoder->window->arena);
}

static struct strobe_error *note_event(struct decoder *decoder, const struct pt_event *event)
{
	struct window_note note = {0};
	if (event->type == ptev_overflow)
		return note_overflow(decoder, event);
	// What PSB+ says again of the state is no event.
	if (event->status_update)
		return NULL;
	if (!describe_flow(decoder, event, &note) && !describe_state(event, &note) &&
	    !describe_rest(event, &note))
		return NULL; // a tick: its time is all it has
	if (event->type == ptev_enabled)
		decoder->has_last = false;
	if (!explain(decoder, event, &note) && !note.text) {
		note.text = write_text(&decoder->window->arena, event);
		if (!note.text)
			return error_no_memory();
	}
	return decoding_note(decoder, &note);
}

struct strobe_error *events_take(struct decoder *decoder)
{
	struct strobe_error *error = NULL;
	decoder->came = false;
	while (!error && decoder->status >= 0 && decoder->status & pts_event_pending) {
		struct pt_event event;
		decoder->status = pt_blk_event(decoder->pt, &event, sizeof(event));
		if (decoder->status < 0)
			break;
		if (event.has_tsc)
			error = decoding_tick(decoder, event.tsc);
		if (!error)
			error = note_event(decoder, &event);
	}
	return error;
}
