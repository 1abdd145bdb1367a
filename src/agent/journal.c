// SPDX-License-Identifier: Apache-2.0
#include "agent/journal.h"

#include <linux/membarrier.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent/inside.h"
#include "process/proc.h"

enum { WORD = 16, ROUNDS = 4, MAPPINGS_MAX = 128, LEAVE_ROUNDS = 1000, ATTEMPTS = 8 };
enum outcome { OUTCOME_DONE, OUTCOME_MAPPING_REFUSED, OUTCOME_HELPER_GONE };

struct code_mappings {
	struct inside_mapping items[MAPPINGS_MAX];
	size_t count;
};
_Static_assert(sizeof(((struct code_mappings *)NULL)->items) +
			       SURGEON_BATCH * sizeof(struct inside_store) <=
		       SURGEON_TABLE,
	       "the table holds both");

static bool touches(const struct proc_mapping *mapping, const struct surgeon_patch *patches,
		    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (patches[i].address >= mapping->start &&
		    patches[i].address + patches[i].size <= mapping->end)
			return true;
	return false;
}

/** Mappings that do not become writable. */
struct refused {
	uint64_t starts[ATTEMPTS];
	size_t count;
};

static bool is_refused(const struct refused *refused, uint64_t start)
{
	for (size_t i = 0; i < refused->count; i++)
		if (refused->starts[i] == start)
			return true;
	return false;
}

/** Whole mappings become writable, so that none is cut into pieces; for other threads nothing changes. */
static bool find_mappings(struct journal *journal, const struct surgeon_patch *patches,
			  size_t count, const struct refused *refused, struct code_mappings *ret)
{
	char name[32];
	cleanup_text struct text maps = {0};
	struct proc_mapping mapping;
	ret->count = 0;
	snprintf(name, sizeof(name), "%d/maps", (int)journal->helper.pid);
	if (proc_read(name, &maps) || !maps.size) {
		helper_close(&journal->helper); // killed
		return false;
	}
	const char *at = maps.data;
	while (proc_next_mapping(&at, &mapping) && ret->count < MAPPINGS_MAX) {
		if (!mapping.executable || mapping.shared || is_refused(refused, mapping.start) ||
		    !touches(&mapping, patches, count))
			continue;
		int protection = PROT_EXEC | (mapping.readable ? PROT_READ : 0) |
				 (mapping.writable ? PROT_WRITE : 0);
		ret->items[ret->count++] = (struct inside_mapping){
			mapping.start, mapping.end - mapping.start,
			(uint64_t)(protection | PROT_WRITE), (uint64_t)protection, 0};
	}
	return ret->count > 0;
}

static bool is_writable(const struct code_mappings *mappings, const struct surgeon_patch *patch)
{
	for (size_t i = 0; i < mappings->count; i++)
		if (patch->address >= mappings->items[i].start &&
		    patch->address + patch->size <=
			    mappings->items[i].start + mappings->items[i].size)
			return true;
	return false;
}

/** One store a word, though several patches may be in it; `owner[i]` is the store of patch i, or -1. */
static size_t plan(const struct journal *journal, const struct code_mappings *mappings,
		   struct surgeon_patch *patches, size_t count, struct inside_store *stores,
		   int *owner)
{
	size_t used = 0;
	for (size_t i = 0; i < count; i++) {
		struct surgeon_patch *patch = &patches[i];
		uint64_t word = patch->address & ~(uint64_t)(WORD - 1),
			 offset = patch->address - word;
		owner[i] = -1;
		if (patch->done || !patch->size || offset + patch->size > WORD ||
		    !is_writable(mappings, patch))
			continue;
		struct inside_store *store = used ? &stores[used - 1] : NULL;
		if (!store || store->address != word) {
			store = &stores[used];
			*store = (struct inside_store){.address = word};
			if (pread(journal->mem, store->before, WORD, (off_t)word) != WORD)
				continue;
			memcpy(store->after, store->before, WORD);
			used++;
		}
		uint8_t *after = (uint8_t *)store->after + offset;
		if (memcmp(after, patch->after, patch->size) == 0)
			patch->done = 1; // by a helper that was killed behind it
		if (memcmp(after, patch->before, patch->size) != 0)
			continue; // not what was there: left alone
		memcpy(after, patch->after, patch->size);
		owner[i] = (int)(used - 1);
	}
	return used;
}

static bool barrier(struct journal *journal)
{
	int64_t result;
	uint64_t arguments[6] = {MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE};
	return helper_call(&journal->helper, SYS_membarrier, arguments, &result) && result == 0;
}

static bool write_table(const struct journal *journal, const struct code_mappings *mappings,
			const struct inside_store *stores, size_t used)
{
	size_t head = mappings->count * sizeof(mappings->items[0]);
	size_t bytes = used * sizeof(stores[0]);
	return pwrite(journal->mem, mappings->items, head, (off_t)journal->table) ==
		       (ssize_t)head &&
	       pwrite(journal->mem, stores, bytes, (off_t)(journal->table + head)) ==
		       (ssize_t)bytes;
}

static enum outcome store_all(struct journal *journal, const struct code_mappings *mappings,
			      struct surgeon_patch *patches, size_t count)
{
	static struct inside_store stores[SURGEON_BATCH]; // one thread
	static int owner[SURGEON_BATCH];
	size_t head = mappings->count * sizeof(mappings->items[0]);
	// What else is in a word may be changed by others (another's breakpoint): then again.
	for (unsigned round = 0; round < ROUNDS; round++) {
		size_t used = plan(journal, mappings, patches, count, stores, owner);
		size_t bytes = used * sizeof(stores[0]);
		uint64_t registers[4] = {journal->table, mappings->count, journal->table + head,
					 used};
		int64_t result = 0;
		if (!used)
			break;
		if (!write_table(journal, mappings, stores, used) ||
		    !helper_run(&journal->helper, journal->patch_code, registers, &result) ||
		    pread(journal->mem, stores, bytes, (off_t)(journal->table + head)) !=
			    (ssize_t)bytes)
			return OUTCOME_HELPER_GONE;
		if (result == 1)
			return OUTCOME_MAPPING_REFUSED;
		for (size_t i = 0; i < count; i++)
			if (owner[i] >= 0 && (stores[owner[i]].done & 0xff))
				patches[i].done = 1;
	}
	return OUTCOME_DONE;
}

/** Which of the table's mappings did not become writable. */
static void note_refused(const struct journal *journal, const struct code_mappings *mappings,
			 struct refused *refused)
{
	struct inside_mapping answers[MAPPINGS_MAX];
	size_t bytes = mappings->count * sizeof(answers[0]);
	if (pread(journal->mem, answers, bytes, (off_t)journal->table) != (ssize_t)bytes)
		return;
	for (size_t i = 0; i < mappings->count && refused->count < ATTEMPTS; i++)
		if (answers[i].result)
			refused->starts[refused->count++] = answers[i].start;
}

bool journal_calls(struct journal *journal, struct inside_call *calls, size_t count)
{
	size_t bytes = count * sizeof(*calls);
	uint64_t code = journal->patch_code - inside_patch_offset() + inside_calls_offset();
	int64_t result;
	return journal->patch_code && count && bytes <= SURGEON_TABLE &&
	       pwrite(journal->mem, calls, bytes, (off_t)journal->table) == (ssize_t)bytes &&
	       helper_run(&journal->helper, code, (uint64_t[4]){journal->table, count}, &result) &&
	       pread(journal->mem, calls, bytes, (off_t)journal->table) == (ssize_t)bytes;
}

static void forget(struct journal *journal, const struct surgeon_patch *patch)
{
	for (size_t i = journal->patches.count; i-- > 0;)
		if (journal->patches.items[i].address == patch->address) {
			memmove(&journal->patches.items[i], &journal->patches.items[i + 1],
				(journal->patches.count - i - 1) * sizeof(*patch));
			journal->patches.count--;
			return;
		}
}

static bool patch_unwritten(struct journal *journal, struct surgeon_patch *patches, size_t count)
{
	struct code_mappings mappings;
	struct refused refused = {.count = 0};
	for (unsigned i = 0; i < ATTEMPTS && journal->helper.pid; i++) {
		if (!find_mappings(journal, patches, count, &refused, &mappings))
			return journal->helper.pid != 0; // nothing there
		enum outcome outcome = store_all(journal, &mappings, patches, count);
		if (outcome != OUTCOME_MAPPING_REFUSED)
			return outcome == OUTCOME_DONE;
		if (i > 0) // at first it may just have been unmapped
			note_refused(journal, &mappings, &refused);
	}
	return journal->helper.pid != 0;
}

bool journal_patch(struct journal *journal, struct surgeon_patch *patches, size_t count)
{
	bool noted = true;
	for (size_t i = 0; i < count; i++) { // before it is done
		patches[i].done = 0;
		if (!patches[i].undo)
			noted = array_push(&journal->patches, patches[i]) && noted;
	}
	bool good = noted && patch_unwritten(journal, patches, count);
	for (size_t i = 0; i < count; i++)
		if (patches[i].undo ? patches[i].done : noted && good && !patches[i].done)
			forget(journal, &patches[i]);
	return good;
}

/** False if the helper was lost meanwhile. */
static bool restore_code(struct journal *journal)
{
	static struct surgeon_patch batch[SURGEON_BATCH];
	while (journal->patches.count) {
		size_t count = 0, left = journal->patches.count;
		while (count < SURGEON_BATCH && left) {
			const struct surgeon_patch *last = &journal->patches.items[--left];
			batch[count] = (struct surgeon_patch){
				.address = last->address, .size = last->size, .undo = 1};
			memcpy(batch[count].before, last->after, last->size);
			memcpy(batch[count].after, last->before, last->size);
			count++;
		}
		if (!patch_unwritten(journal, batch, count))
			return false;
		journal->patches.count = left;
	}
	return true;
}

/** Nobody begins to write to a ring any more; waits for those who do. False if some stay. */
static bool end_recording(struct journal *journal)
{
	static const uint64_t off = 0;
	struct timespec pause = {.tv_nsec = 1000000};
	struct inside_control control;
	for (size_t i = 0; i < journal->controls.count; i++)
		if (pwrite(journal->mem, &off, sizeof(off),
			   (off_t)(journal->controls.items[i] +
				   offsetof(struct inside_control, live))) != sizeof(off))
			return false;
	if (!barrier(journal))
		return false;
	for (size_t i = 0; i < journal->controls.count; i++)
		for (unsigned round = 0;; round++) {
			if (pread(journal->mem, &control, sizeof(control),
				  (off_t)journal->controls.items[i]) != sizeof(control))
				return false;
			if (!control.inside)
				break;
			if (round >= LEAVE_ROUNDS)
				return false;
			nanosleep(&pause, NULL);
		}
	return true;
}

bool journal_undo(struct journal *journal)
{
	int64_t result;
	if (!restore_code(journal))
		return false;
	if (!journal->helper.pid || !end_recording(journal))
		return true;
	for (size_t i = 0; i < journal->rings.count; i++) {
		uint64_t arguments[6] = {journal->rings.items[i].address,
					 journal->rings.items[i].size};
		helper_call(&journal->helper, SYS_munmap, arguments, &result);
	}
	return true;
}
