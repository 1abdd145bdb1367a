// SPDX-License-Identifier: Apache-2.0
#include "trace/index_read.h"

#include <assert.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/hash_page.h"
#include "trace/unit_code.h"

uint64_t index_decoder(void)
{
	return hash_bytes(STROBE_VERSION, sizeof(STROBE_VERSION));
}

/** Lets go of pages that were read: an index may be larger than memory. */
static void forget(const struct index *index, uint64_t from, uint64_t to)
{
	enum { PAGE = 4096 };
	from &= ~(uint64_t)(PAGE - 1);
	to &= ~(uint64_t)(PAGE - 1);
	if (to > from)
		(void)madvise((void *)(index->file->data + from), to - from, MADV_DONTNEED);
}

static struct strobe_error *check_sums(const struct index *index)
{
	const struct index_header *header = &index->header;
	uint64_t sum = 0;
	if (header->header_sum != hash_bytes(header, offsetof(struct index_header, header_sum)))
		return error_new(STROBE_ERROR_FORMAT, "its header is damaged");
	if (header->file_size != index->file->size)
		return error_new(STROBE_ERROR_FORMAT, "%" PRIu64 " bytes instead of %" PRIu64,
				 index->file->size, header->file_size);
	for (uint64_t at = sizeof(*header); at < index->file->size; at += INDEX_CHECK_CHUNK) {
		uint64_t rest = index->file->size - at;
		size_t size = rest < INDEX_CHECK_CHUNK ? (size_t)rest : INDEX_CHECK_CHUNK;
		sum = sum * 31 + page_hash(index->file->data + at, size);
		forget(index, at, at + size);
	}
	return sum == header->content_sum
		       ? NULL
		       : error_new(STROBE_ERROR_FORMAT, "its content is damaged");
}

static struct strobe_error *check_header(const struct index *index)
{
	const struct index_header *header = &index->header;
	if (memcmp(header->magic, INDEX_MAGIC, sizeof(header->magic)) != 0)
		return error_new(STROBE_ERROR_FORMAT, "no index of a trace");
	if (header->version != INDEX_VERSION || header->size != sizeof(*header) ||
	    header->decoder != index_decoder())
		return error_new(STROBE_ERROR_FORMAT, "made by another version of Strobe");
	return check_sums(index);
}

/** The table's entries; NULL if they do not lie in the file. */
static const void *table_of(const struct index *index, const struct index_table *table,
			    size_t entry_size)
{
	uint64_t size = index->file->size;
	if (table->offset % 8 != 0 || table->offset < sizeof(struct index_header) ||
	    table->offset > size || table->count > (size - table->offset) / entry_size)
		return NULL;
	return index->file->data + table->offset;
}

static struct strobe_error *find_tables(struct index *index)
{
	const struct index_header *header = &index->header;
	index->data = table_of(index, &header->data, 1);
	index->groups = table_of(index, &header->groups, sizeof(*index->groups));
	index->threads = table_of(index, &header->threads, sizeof(*index->threads));
	index->streams = table_of(index, &header->streams, sizeof(*index->streams));
	index->cpus = table_of(index, &header->cpus, sizeof(*index->cpus));
	index->errors = table_of(index, &header->errors, sizeof(*index->errors));
	index->texts = table_of(index, &header->texts, 1);
	if (!index->data || !index->groups || !index->threads || !index->streams || !index->cpus ||
	    !index->errors || !index->texts)
		return error_new(STROBE_ERROR_FORMAT, "a table is not in the file");
	return NULL;
}

static uint32_t units_in_group(const struct index_thread *thread, uint64_t group)
{
	uint64_t before = (group - thread->first_group) * INDEX_GROUP_UNITS;
	uint64_t left = thread->unit_count - before;
	return left < INDEX_GROUP_UNITS ? (uint32_t)left : INDEX_GROUP_UNITS;
}

static uint64_t group_count(const struct index_thread *thread)
{
	return thread->unit_count / INDEX_GROUP_UNITS +
	       (thread->unit_count % INDEX_GROUP_UNITS != 0);
}

/** Decodes `count` units; `*carry` is what is known behind them. */
static bool decode_group(const struct index *index, const struct index_group *group, uint32_t count,
			 struct unit *units, struct unit_carry *carry)
{
	*carry = (struct unit_carry){
		.cpu = group->cpu,
		.first_id = group->first_id,
		.has_before = group->mask & INDEX_MASK_BEFORE,
		.before = {.id = group->before_id, .value = group->before_value}};
	if (group->data > index->header.data.count ||
	    group->data_size > index->header.data.count - group->data || group->cpu < -1)
		return false;
	struct code_bytes bytes = {.at = index->data + group->data,
				   .end = index->data + group->data + group->data_size};
	for (uint32_t i = 0; i < count; i++)
		if (!unit_decode(&bytes, carry, &units[i]))
			return false;
	return bytes.at == bytes.end;
}

/** What units of a thread add up to. */
struct sums {
	uint64_t instructions, errors, events[STROBE_EVENT_TYPE_COUNT];
};

static bool add_up(const struct index_group *group, const struct unit *units, uint32_t count,
		   struct sums *sums)
{
	uint32_t mask = group->mask & INDEX_MASK_BEFORE;
	for (uint32_t i = 0; i < count; i++) {
		sums->instructions += units[i].instruction_count;
		sums->errors += units[i].error_count;
		mask |= units[i].error_count ? INDEX_MASK_ERRORS : 0;
		mask |= units[i].has_clock ? INDEX_MASK_CLOCKS : 0;
		for (uint32_t type = 0; type < STROBE_EVENT_TYPE_COUNT; type++) {
			sums->events[type] += units[i].event_counts[type];
			mask |= (uint32_t)(units[i].event_counts[type] != 0) << type;
		}
	}
	return mask == group->mask;
}

static bool fits_thread(const struct index_thread *thread, const struct unit_carry *carry,
			const struct sums *sums)
{
	return carry->first_id == thread->item_count &&
	       sums->instructions == thread->instruction_count &&
	       sums->errors == thread->error_count &&
	       memcmp(sums->events, thread->event_counts, sizeof(sums->events)) == 0 &&
	       carry->has_before == (thread->has_clock != 0) &&
	       (!carry->has_before || (carry->before.id == thread->last_clock_id &&
				       carry->before.value == thread->last_clock &&
				       thread->first_clock <= thread->last_clock &&
				       thread->first_clock_id <= thread->last_clock_id)) &&
	       carry->cpu == thread->last_cpu;
}

/** Decodes all groups of a thread once: each begins where the one before ends. */
static bool check_groups(struct index *index, const struct index_thread *thread)
{
	struct unit_carry carry = {.cpu = -1};
	struct unit *units = index->slots[0].units;
	struct sums sums = {0};
	uint64_t count = group_count(thread);
	if (thread->first_group > index->header.groups.count ||
	    count > index->header.groups.count - thread->first_group)
		return false;
	for (uint64_t i = 0; i < count; i++) {
		const struct index_group *group = &index->groups[thread->first_group + i];
		uint32_t unit_count = units_in_group(thread, thread->first_group + i);
		if (group->first_id != carry.first_id || group->cpu != carry.cpu ||
		    carry.has_before != ((group->mask & INDEX_MASK_BEFORE) != 0) ||
		    (carry.has_before && (group->before_id != carry.before.id ||
					  group->before_value != carry.before.value)) ||
		    !decode_group(index, group, unit_count, units, &carry) ||
		    !add_up(group, units, unit_count, &sums))
			return false;
	}
	return fits_thread(thread, &carry, &sums);
}

static bool check_errors(const struct index *index, const struct index_thread *thread)
{
	const struct index_header *header = &index->header;
	uint64_t total = 0;
	if (thread->first_error > header->errors.count ||
	    thread->error_texts > header->errors.count - thread->first_error)
		return false;
	for (uint32_t i = 0; i < thread->error_texts; i++) {
		const struct index_error *error = &index->errors[thread->first_error + i];
		if (error->text > header->texts.count ||
		    error->text_size > header->texts.count - error->text ||
		    memchr(index->texts + error->text, '\0', error->text_size) ||
		    error->count > thread->error_count)
			return false;
		total += error->count;
	}
	return total == thread->error_count;
}

static bool check_cpus(const struct index *index, const struct index_thread *thread)
{
	if (thread->first_cpu > index->header.cpus.count ||
	    thread->cpu_count > index->header.cpus.count - thread->first_cpu)
		return false;
	const int32_t *cpus = index->cpus + thread->first_cpu;
	for (uint32_t i = 0; i < thread->cpu_count; i++)
		if (cpus[i] < 0 || (i > 0 && cpus[i] <= cpus[i - 1]))
			return false;
	return true;
}

static struct strobe_error *check_threads(struct index *index)
{
	for (uint64_t i = 0; i < index->header.threads.count; i++) {
		const struct index_thread *thread = &index->threads[i];
		if (!check_groups(index, thread) || !check_errors(index, thread) ||
		    !check_cpus(index, thread))
			return error_new(STROBE_ERROR_FORMAT, "thread %" PRIu64 " is damaged", i);
	}
	forget(index, 0, index->file->size);
	return NULL;
}

static struct strobe_error *check(struct index *index)
{
	struct strobe_error *error = check_header(index);
	if (!error)
		error = find_tables(index);
	return error ? error : check_threads(index);
}

struct strobe_error *index_open(struct file *file, struct index **ret)
{
	struct index *index = calloc(1, sizeof(*index));
	if (!index) {
		file_close(file);
		return error_no_memory();
	}
	index->file = file;
	struct strobe_error *error = NULL;
	if (file->size < sizeof(index->header)) {
		error = error_new(STROBE_ERROR_FORMAT, "no index of a trace");
	} else {
		memcpy(&index->header, file->data, sizeof(index->header));
		error = check(index);
	}
	for (size_t i = 0; i < INDEX_SLOTS; i++)
		index->slots[i].group = UINT64_MAX;
	if (error)
		index_close(index);
	else
		*ret = index;
	return error;
}

struct index *index_close(struct index *index)
{
	if (!index)
		return NULL;
	file_close(index->file);
	free(index);
	return NULL;
}

/** The file was changed under us: units that lead nowhere, so that errors stand in their place. */
static void make_nothing(const struct index_group *group, uint32_t count, uint64_t end,
			 struct unit *units)
{
	memset(units, 0, count * sizeof(*units));
	for (uint32_t i = 0; i < count; i++) {
		units[i].stream = UINT32_MAX;
		units[i].cpu = -1;
		units[i].first_id = group->first_id + i;
		units[i].item_count =
			i + 1 < count || end <= units[i].first_id ? 1 : end - units[i].first_id;
	}
}

static const struct index_slot *get_group(struct index *index, const struct index_thread *thread,
					  uint64_t group)
{
	struct index_slot *slot = &index->slots[group % INDEX_SLOTS];
	if (slot->group == group)
		return slot;
	struct unit_carry carry;
	uint32_t count = units_in_group(thread, group);
	if (!decode_group(index, &index->groups[group], count, slot->units, &carry))
		make_nothing(&index->groups[group], count, carry.first_id, slot->units);
	slot->group = group;
	return slot;
}

const struct unit *index_unit(struct index *index, size_t thread, uint64_t unit)
{
	const struct index_thread *owner = &index->threads[thread];
	uint64_t group = owner->first_group + unit / INDEX_GROUP_UNITS;
	return &get_group(index, owner, group)->units[unit % INDEX_GROUP_UNITS];
}

uint64_t index_find(struct index *index, size_t thread, uint64_t id)
{
	const struct index_thread *owner = &index->threads[thread];
	uint64_t low = 0, high = group_count(owner);
	while (high - low > 1) {
		uint64_t middle = low + (high - low) / 2;
		if (index->groups[owner->first_group + middle].first_id <= id)
			low = middle;
		else
			high = middle;
	}
	const struct index_slot *slot = get_group(index, owner, owner->first_group + low);
	uint32_t unit = 0, end = units_in_group(owner, owner->first_group + low);
	while (end - unit > 1) {
		uint32_t middle = unit + (end - unit) / 2;
		if (slot->units[middle].first_id <= id)
			unit = middle;
		else
			end = middle;
	}
	return low * INDEX_GROUP_UNITS + unit;
}

uint32_t index_mask(const struct index *index, size_t thread, uint64_t unit)
{
	return index->groups[index->threads[thread].first_group + unit / INDEX_GROUP_UNITS].mask;
}
