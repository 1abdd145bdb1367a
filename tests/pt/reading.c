// SPDX-License-Identifier: Apache-2.0
#include "reading.h"

#include <intel-pt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static void require(bool done)
{
	if (done)
		return;
	fprintf(stderr, "reading: out of memory\n");
	abort();
}

static int read_code(uint8_t *buffer, size_t size, const struct pt_asid *asid, uint64_t ip,
		     void *context)
{
	(void)asid;
	size_t got = program_read(context, ip, buffer, size);
	return got ? (int)got : -pte_nomap;
}

void reading_begin(struct reading *reading, const struct program *program, const uint8_t *bytes,
		   size_t size, const struct pt_config *frequencies)
{
	struct pt_config config;
	pt_config_init(&config);
	if (frequencies)
		config = *frequencies;
	config.begin = (uint8_t *)(uintptr_t)bytes;
	config.end = config.begin + size;
	reading->program = program;
	reading->image = pt_image_alloc("program");
	pt_image_set_callback(reading->image, read_code, (void *)(uintptr_t)program);
	reading->decoder = pt_insn_alloc_decoder(&config);
	require(reading->decoder && !pt_insn_set_image(reading->decoder, reading->image));
}

void reading_end(struct reading *reading)
{
	pt_insn_free_decoder(reading->decoder);
	pt_image_free(reading->image);
}

/** False for what is not told. */
static bool add_rare(const struct pt_event *event, struct expected_item *item)
{
	switch (event->type) {
	case ptev_overflow:
		item->is_event = false;
		item->is_error = true;
		item->address = event->ip_suppressed ? 0 : event->variant.overflow.ip;
		return true;
	case ptev_tsx:
		item->type = STROBE_EVENT_TSX;
		item->address = event->ip_suppressed ? 0 : event->variant.tsx.ip;
		item->value = event->variant.tsx.speculative;
		return true;
	case ptev_exec_mode:
		item->type = STROBE_EVENT_EXEC_MODE;
		item->address = event->ip_suppressed ? 0 : event->variant.exec_mode.ip;
		item->value = event->variant.exec_mode.mode == ptem_64bit ? 64 : 0;
		return true;
	case ptev_paging:
		item->type = STROBE_EVENT_PAGING;
		item->value = event->variant.paging.cr3;
		return true;
	case ptev_vmcs:
		item->type = STROBE_EVENT_VMCS;
		item->value = event->variant.vmcs.base;
		return true;
	case ptev_stop:
		item->type = STROBE_EVENT_STOP;
		return true;
	case ptev_cbr:
		item->type = STROBE_EVENT_CORE_BUS_RATIO;
		item->value = event->variant.cbr.ratio;
		return true;
	case ptev_mwait:
		item->type = STROBE_EVENT_MWAIT;
		item->address = event->ip_suppressed ? 0 : event->variant.mwait.ip;
		item->value = event->variant.mwait.hints;
		return true;
	case ptev_pwre:
		item->type = STROBE_EVENT_POWER_ENTRY;
		return true;
	case ptev_pwrx:
		item->type = STROBE_EVENT_POWER_EXIT;
		return true;
	case ptev_exstop:
		item->type = STROBE_EVENT_EXECUTION_STOPPED;
		item->address = event->ip_suppressed ? 0 : event->variant.exstop.ip;
		return true;
	case ptev_mnt:
		item->type = STROBE_EVENT_MAINTENANCE;
		item->value = event->variant.mnt.payload;
		return true;
	default:
		return false;
	}
}

static void note_clock(struct reading *reading, const struct pt_event *event)
{
	// A mode packet waits for a branch, and its event still has the time of the packet.
	if (!event->has_tsc || event->type == ptev_exec_mode)
		return;
	reading->backwards = reading->backwards || event->tsc < reading->last_clock;
	reading->last_clock = event->tsc;
}

static void add_event(struct reading *reading, const struct pt_event *event)
{
	struct expected_item item = {.is_event = true};
	note_clock(reading, event);
	switch (event->type) {
	case ptev_enabled:
		item.type = STROBE_EVENT_ENABLED;
		item.address = event->variant.enabled.ip;
		break;
	case ptev_disabled:
		item.type = STROBE_EVENT_DISABLED_HARDWARE;
		item.target = event->ip_suppressed ? 0 : event->variant.disabled.ip;
		break;
	case ptev_async_disabled:
		item.type = STROBE_EVENT_DISABLED_SOFTWARE;
		item.address = event->variant.async_disabled.at;
		break;
	case ptev_async_branch:
		item.type = STROBE_EVENT_ASYNC_BRANCH;
		item.address = event->variant.async_branch.from;
		item.target = event->variant.async_branch.to;
		break;
	case ptev_ptwrite:
		item.type = STROBE_EVENT_PTWRITE;
		item.address = event->ip_suppressed ? 0 : event->variant.ptwrite.ip;
		item.value = event->variant.ptwrite.payload;
		break;
	default:
		if (!add_rare(event, &item))
			return;
	}
	if (!event->status_update)
		require(array_push(&reading->items, item));
}

static int drain(struct reading *reading, int status)
{
	while (status >= 0 && status & pts_event_pending) {
		struct pt_event event;
		status = pt_insn_event(reading->decoder, &event, sizeof(event));
		if (status >= 0)
			add_event(reading, &event);
	}
	return status;
}

/** Reads to the end; the error with which it ends. */
int reading_run(struct reading *reading)
{
	int status = pt_insn_sync_forward(reading->decoder);
	for (;;) {
		struct pt_insn insn;
		status = drain(reading, status);
		if (status < 0)
			return status;
		bool at_end = status & pts_eos;
		status = pt_insn_next(reading->decoder, &insn, sizeof(insn));
		// Behind the last packet a decoder runs on as long as it needs none.
		if (at_end && reading->stop && insn.ip == reading->stop)
			return -pte_eos;
		if (insn.iclass != ptic_error) {
			struct expected_item item = {.address = insn.ip};
			require(array_push(&reading->items, item));
		}
		if (status < 0)
			return status;
	}
}

static bool equal(const struct expected_item *a, const struct expected_item *b)
{
	return a->is_event == b->is_event && a->is_error == b->is_error && a->type == b->type &&
	       a->address == b->address && a->target == b->target && a->value == b->value;
}

static void show(const char *what, const struct expected_item *item)
{
	printf("# %s: %s %d 0x%" PRIx64 " -> 0x%" PRIx64 " value 0x%" PRIx64
	       ", packets at 0x%" PRIx64 "\n",
	       what,
	       item->is_error	? "error"
	       : item->is_event ? "event"
				: "instruction",
	       (int)item->type, item->address, item->target, item->value, item->offset);
}

bool reading_compare(const struct reading *reading, const struct walk *walk, size_t count, bool all)
{
	// The first PSB may tell that tracing is enabled: that is no event.
	const struct expected_item *expected = walk->items.items;
	if (count && expected->is_event && expected->type == STROBE_EVENT_ENABLED) {
		expected++;
		count--;
	}
	for (size_t i = 0; i < reading->items.count && i < count; i++) {
		if (equal(&reading->items.items[i], &expected[i]))
			continue;
		printf("# item %zu of %zu differs\n", i, count);
		show("found", &reading->items.items[i]);
		show("expected", &expected[i]);
		return false;
	}
	if (reading->items.count >= count && (!all || reading->items.count == count))
		return true;
	printf("# %zu items were found, expected %zu\n", reading->items.count, count);
	return false;
}
