// SPDX-License-Identifier: Apache-2.0
// Every operation of a cursor against the plain list of items, along random walks.
#include <math.h>

#include "base/error.h"
#include "check.h"
#include "fake_source.h"
#include "trace/cursor.h"
#include "trace/rows.h"

struct scene {
	struct fake *fake;
	struct strobe_trace *trace;
	struct fake_truth truth;
	struct strobe_cursor *cursor;
	uint64_t random;
};

static struct scene scene;

static uint64_t draw(uint64_t below)
{
	scene.random = scene.random * UINT64_C(6364136223846793005) + 1442695040888963407;
	return below ? (scene.random >> 24) % below : 0;
}

static void begin(const struct fake_options *options, uint64_t cache_bytes, uint32_t thread)
{
	struct strobe_trace_options wanted = {
		.size = sizeof(wanted), .index_path = "", .threads = 2, .cache_bytes = cache_bytes};
	scene = (struct scene){.fake = fake_new(options), .random = options->seed};
	struct trace_source source = fake_open(scene.fake);
	CHECK_OK(trace_new(&source, &wanted, &scene.trace));
	rows_check(scene.trace);
	scene.truth = fake_truth(scene.fake, thread);
	CHECK_OK(strobe_cursor_open(scene.trace, thread, &scene.cursor));
}

static void end(void)
{
	window_cache_check(&scene.trace->cache);
	strobe_cursor_close(scene.cursor);
	strobe_trace_close(scene.trace);
	CHECK_EQUAL(fake_open_count(scene.fake), 0);
	fake_truth_free(&scene.truth);
	fake_free(scene.fake);
}

static const struct fake_options one_thread = {
	.seed = 1, .streams = 1, .threads = 1, .blocks = 30, .windows = 3, .elements = 60};
static const struct fake_options many_cpus = {.seed = 2,
					      .streams = 3,
					      .threads = 4,
					      .blocks = 25,
					      .windows = 2,
					      .elements = 80,
					      .per_cpu = true};

static void check_instruction(const struct fake_item *item, uint64_t index)
{
	uint64_t address;
	unsigned size;
	enum strobe_flow flow;
	struct strobe_run run;
	CHECK(strobe_cursor_address(scene.cursor, &address));
	CHECK_EQUAL(address, item->address);
	CHECK(strobe_cursor_instruction(scene.cursor, &size, &flow));
	CHECK_EQUAL(size, item->size_bytes);
	CHECK_EQUAL(flow, item->flow);
	CHECK(strobe_cursor_run(scene.cursor, &run));
	const struct fake_item *first = &scene.truth.items[item->run_first];
	uint64_t last = run.first_id + run.count - 1;
	CHECK(run.first_id >= item->run_first && last < item->run_first + item->run_count);
	CHECK(run.first_id <= index && index <= last);
	CHECK_EQUAL(run.first_id, item->run_first);
	CHECK_EQUAL(run.address, first->address);
	CHECK_EQUAL(run.last_address, scene.truth.items[last].address);
	CHECK_EQUAL(run.end, run.last_address + scene.truth.items[last].size_bytes);
	CHECK_EQUAL(run.flow, scene.truth.items[last].flow);
	for (uint32_t i = 0; i < run.count; i++)
		CHECK_EQUAL(run.lengths[i], scene.truth.items[run.first_id + i].size_bytes);
}

static void check_note(const struct fake_item *item)
{
	uint64_t address;
	unsigned size;
	enum strobe_flow flow;
	enum strobe_event_type type;
	struct strobe_event event;
	struct strobe_run run;
	CHECK(!strobe_cursor_address(scene.cursor, &address));
	CHECK(!strobe_cursor_run(scene.cursor, &run));
	CHECK(!strobe_cursor_instruction(scene.cursor, &size, &flow));
	if (item->kind == STROBE_ITEM_ERROR) {
		CHECK_STRING(strobe_cursor_error(scene.cursor), item->text);
		CHECK(!strobe_cursor_event_type(scene.cursor, &type));
		CHECK(!strobe_cursor_event(scene.cursor, &event));
		return;
	}
	CHECK(!strobe_cursor_error(scene.cursor));
	CHECK(strobe_cursor_event_type(scene.cursor, &type));
	CHECK_EQUAL(type, item->type);
	CHECK(strobe_cursor_event(scene.cursor, &event));
	CHECK_EQUAL(event.value, item->value);
	CHECK_STRING(event.name, strobe_event_type_name(type));
	CHECK(event.text != NULL);
	CHECK((strobe_cursor_sync_point_metadata(scene.cursor) != NULL) ==
	      (type == STROBE_EVENT_SYNC_POINT));
}

/** The time that the points around it give. */
static bool true_time(uint64_t index, double *ret)
{
	const struct fake_truth *truth = &scene.truth;
	size_t next = 0;
	while (next < truth->point_count && truth->points[next].index <= index)
		next++;
	if (next == 0)
		return false;
	const struct fake_point *from = &truth->points[next - 1];
	double start = trace_clock_ns(scene.trace, from->value);
	if (next == truth->point_count) {
		*ret = -1; // the rate is not ours to say
		return true;
	}
	double stop = trace_clock_ns(scene.trace, truth->points[next].value);
	*ret = start + (stop - start) * ((double)(index - from->index) /
					 (double)(truth->points[next].index - from->index));
	return true;
}

static void check_clock(const struct fake_item *item, uint64_t index)
{
	uint64_t clock;
	double time, expected = 0;
	bool has = strobe_cursor_hw_clock(scene.cursor, &clock);
	CHECK_EQUAL(has, item->has_clock);
	if (has)
		CHECK_EQUAL(clock, item->clock);
	CHECK_EQUAL(strobe_cursor_time_ns(scene.cursor, &time), true_time(index, &expected));
	if (has && expected >= 0)
		CHECK(fabs(time - expected) <= 1e-9 * expected + 1e-9);
}

/** All that the cursor tells, when it must be at item `index`. */
static void check_at(uint64_t index)
{
	cursor_check(scene.cursor);
	CHECK(strobe_cursor_has_value(scene.cursor));
	CHECK_EQUAL(strobe_cursor_id(scene.cursor), index);
	const struct fake_item *item = &scene.truth.items[index];
	CHECK_EQUAL(strobe_cursor_kind(scene.cursor), item->kind);
	CHECK_EQUAL((unsigned)strobe_cursor_cpu(scene.cursor), (unsigned)item->cpu);
	if (item->kind == STROBE_ITEM_INSTRUCTION)
		check_instruction(item, index);
	else
		check_note(item);
	check_clock(item, index);
}

static void check_off(void)
{
	uint64_t address;
	double time;
	struct strobe_position position;
	cursor_check(scene.cursor);
	CHECK(!strobe_cursor_has_value(scene.cursor));
	CHECK_EQUAL(strobe_cursor_id(scene.cursor), STROBE_NO_ID);
	CHECK_EQUAL(strobe_cursor_kind(scene.cursor), STROBE_ITEM_ERROR);
	CHECK(!strobe_cursor_address(scene.cursor, &address));
	CHECK(!strobe_cursor_error(scene.cursor));
	CHECK(!strobe_cursor_hw_clock(scene.cursor, &address));
	CHECK(!strobe_cursor_time_ns(scene.cursor, &time));
	CHECK(!strobe_cursor_tell(scene.cursor, &position));
	CHECK_STRING(position.text, "");
	CHECK_EQUAL((unsigned)strobe_cursor_cpu(scene.cursor), (unsigned)-1);
}

/** Where the model of the cursor is: an item, or off an end: -1 or count. */
static int64_t place;

static void check_place(void)
{
	if (place >= 0 && place < (int64_t)scene.truth.count)
		check_at((uint64_t)place);
	else
		check_off();
}

static bool matches(uint64_t index, const struct strobe_sought *sought)
{
	const struct fake_item *item = &scene.truth.items[index];
	if (item->kind == STROBE_ITEM_ERROR)
		return sought->errors;
	if (item->kind == STROBE_ITEM_EVENT)
		return sought->event_types >> item->type & 1;
	for (size_t i = 0; i < sought->range_count; i++)
		if (item->address >= sought->ranges[i].start &&
		    item->address < sought->ranges[i].end)
			return true;
	return false;
}

static void step_find(void)
{
	struct strobe_address_range ranges[2];
	struct strobe_sought sought = {.ranges = ranges,
				       .range_count = (size_t)draw(3),
				       .event_types = (uint32_t)(draw(2) ? 0 : draw(1 << 26)),
				       .errors = draw(2)};
	uint64_t base = 0x400000;
	for (size_t i = 0; i < 2; i++) {
		ranges[i].start = base + draw(4000);
		ranges[i].end = ranges[i].start + draw(200);
		base = ranges[i].end;
	}
	int64_t count = (int64_t)scene.truth.count;
	int64_t step = strobe_cursor_is_forwards(scene.cursor) ? 1 : -1;
	place += step;
	while (place >= 0 && place < count && !matches((uint64_t)place, &sought))
		place += step;
	if (place < -1)
		place = -1;
	if (place > count)
		place = count;
	CHECK_EQUAL(strobe_cursor_find(scene.cursor, &sought), place >= 0 && place < count);
}

static void step_next(unsigned steps)
{
	int64_t count = (int64_t)scene.truth.count;
	for (unsigned i = 0; i < steps; i++) {
		place += strobe_cursor_is_forwards(scene.cursor) ? 1 : -1;
		if (place < -1)
			place = -1;
		if (place > count)
			place = count;
		CHECK_EQUAL(strobe_cursor_next(scene.cursor), place >= 0 && place < count);
	}
}

static void step_seek(void)
{
	int64_t count = (int64_t)scene.truth.count;
	enum strobe_seek origin = (enum strobe_seek)draw(3);
	int64_t offset = (int64_t)draw((uint64_t)count * 2 + 2) - count;
	if (draw(2))
		offset /= 100;
	place = offset + (origin == STROBE_SEEK_BEGIN ? 0
			  : origin == STROBE_SEEK_END ? count - 1
						      : place);
	bool inside = place >= 0 && place < count;
	CHECK_EQUAL(strobe_cursor_seek(scene.cursor, offset, origin), inside);
	if (place < 0)
		place = -1;
	if (place > count)
		place = count;
}

static void step_next_run(void)
{
	int64_t count = (int64_t)scene.truth.count;
	bool inside = place >= 0 && place < count;
	const struct fake_item *item = inside ? &scene.truth.items[place] : NULL;
	if (strobe_cursor_is_forwards(scene.cursor)) {
		if (item && item->run_count)
			place = (int64_t)(item->run_first + item->run_count);
		else if (place < count)
			place++;
	} else {
		if (item && item->run_count)
			place = (int64_t)item->run_first - 1;
		else if (place >= 0)
			place--;
	}
	CHECK_EQUAL(strobe_cursor_next_run(scene.cursor), place >= 0 && place < count);
}

static void step_position(void)
{
	struct strobe_position position;
	if (!strobe_cursor_tell(scene.cursor, &position))
		return;
	strobe_cursor_go_to_id(scene.cursor, draw(scene.truth.count));
	CHECK_OK(strobe_cursor_go_to(scene.cursor, position.text));
}

static void step_time(void)
{
	const struct fake_truth *truth = &scene.truth;
	if (truth->point_count < 2)
		return;
	double last = trace_clock_ns(scene.trace, truth->points[truth->point_count - 1].value);
	double wanted = (double)draw(1 << 20) / (1 << 20) * last, time = 0;
	size_t item = 0;
	while (item < truth->count && (!true_time(item, &time) || (time >= 0 && time < wanted)))
		item++;
	bool found = strobe_cursor_seek_time(scene.cursor, wanted);
	CHECK_EQUAL(found, item < truth->count);
	place = (int64_t)item;
}

static void step(void)
{
	switch (draw(12)) {
	case 0:
		strobe_cursor_set_forwards(scene.cursor, draw(2));
		break;
	case 1:
		place = (int64_t)draw(scene.truth.count + 3);
		CHECK_EQUAL(strobe_cursor_go_to_id(scene.cursor, (uint64_t)place),
			    place < (int64_t)scene.truth.count);
		if (place > (int64_t)scene.truth.count)
			place = (int64_t)scene.truth.count;
		break;
	case 2:
		step_seek();
		break;
	case 3:
		step_find();
		break;
	case 4:
		step_next_run();
		break;
	case 5:
		step_position();
		break;
	case 6:
		if (draw(8) == 0)
			step_time();
		break;
	case 7: {
		uint64_t id = draw(scene.truth.count + 3);
		bool there = id < scene.truth.count;
		CHECK_EQUAL(strobe_cursor_has_item(scene.cursor, id), there);
		CHECK_EQUAL(strobe_cursor_has_id(scene.cursor, id),
			    there && scene.truth.items[id].kind == STROBE_ITEM_INSTRUCTION);
		break;
	}
	default:
		step_next((unsigned)draw(40));
	}
}

static void walk(const struct fake_options *options, uint64_t cache_bytes, unsigned steps)
{
	for (uint32_t thread = 0; thread < options->threads; thread++) {
		begin(options, cache_bytes, thread);
		CHECK(scene.truth.count > 0);
		place = (int64_t)scene.truth.count - 1;
		check_place();
		for (unsigned i = 0; i < steps; i++) {
			step();
			check_place();
		}
		end();
	}
}

static void walk_one_thread(void)
{
	for (uint64_t seed = 1; seed < 6; seed++) {
		struct fake_options options = one_thread;
		options.seed = seed;
		walk(&options, 0, 20000);
	}
}

static void walk_many_cpus(void)
{
	for (uint64_t seed = 1; seed < 4; seed++) {
		struct fake_options options = many_cpus;
		options.seed = seed;
		walk(&options, 0, 8000);
	}
}

static void walk_without_a_cache(void)
{
	walk(&one_thread, 1, 4000);
	walk(&many_cpus, 1, 2000);
}

static void walk_threads_of_several_streams(void)
{
	struct fake_options options = one_thread;
	options.streams = 4;
	options.threads = 2;
	options.blocks = 6;
	walk(&options, 1 << 14, 5000);
}

/** All items one after the other, in both directions. */
static void there_and_back(void)
{
	const struct fake_options *all[] = {&one_thread, &many_cpus};
	for (size_t i = 0; i < 2; i++) {
		begin(all[i], 0, 0);
		uint64_t count = scene.truth.count;
		for (uint64_t k = count; k-- > 0;) {
			check_at(k);
			CHECK_EQUAL(strobe_cursor_next(scene.cursor), k > 0);
		}
		check_off();
		strobe_cursor_set_forwards(scene.cursor, true);
		for (uint64_t k = 0; k < count; k++) {
			CHECK(strobe_cursor_next(scene.cursor));
			check_at(k);
		}
		CHECK(!strobe_cursor_next(scene.cursor));
		CHECK(!strobe_cursor_next(scene.cursor));
		check_off();
		strobe_cursor_set_forwards(scene.cursor, false);
		CHECK(strobe_cursor_next(scene.cursor));
		check_at(count - 1);
		end();
	}
}

/** Times grow from each item to the next, whatever the clocks do. */
static void times_grow(void)
{
	for (uint64_t seed = 1; seed < 30; seed++) {
		struct fake_options options = seed % 2 ? one_thread : many_cpus;
		options.seed = seed;
		options.falling_clocks = seed % 3 == 0;
		begin(&options, 0, 0);
		double before = -1, time;
		uint64_t clock_before = 0, clock;
		bool had = false;
		CHECK(strobe_cursor_seek(scene.cursor, 0, STROBE_SEEK_BEGIN));
		strobe_cursor_set_forwards(scene.cursor, true);
		do {
			bool has = strobe_cursor_time_ns(scene.cursor, &time);
			CHECK(has || !had);
			had |= has;
			if (!has)
				continue;
			CHECK(time > before);
			CHECK(strobe_cursor_hw_clock(scene.cursor, &clock));
			CHECK(clock >= clock_before);
			CHECK(time >= trace_clock_ns(scene.trace, clock));
			before = time;
			clock_before = clock;
		} while (strobe_cursor_next(scene.cursor));
		const struct strobe_trace_thread *info = strobe_trace_thread(scene.trace, 0);
		CHECK(!info->has_time || info->last_time_ns >= before - 1e-6);
		end();
	}
}

static void no_times_without_conversion(void)
{
	struct fake_options options = one_thread;
	double time;
	uint64_t clock;
	options.no_conversion = true;
	begin(&options, 0, 0);
	CHECK(!strobe_cursor_time_ns(scene.cursor, &time));
	CHECK(strobe_cursor_hw_clock(scene.cursor, &clock));
	CHECK_EQUAL(clock, scene.truth.items[scene.truth.count - 1].clock);
	CHECK(!strobe_trace_thread(scene.trace, 0)->has_time);
	CHECK(!strobe_cursor_seek_time(scene.cursor, 5));
	check_off();
	end();
}

static void clones_are_independent(void)
{
	struct strobe_cursor *clone;
	begin(&many_cpus, 1, 1);
	for (unsigned i = 0; i < 50; i++) {
		uint64_t id = draw(scene.truth.count), other = draw(scene.truth.count);
		CHECK(strobe_cursor_go_to_id(scene.cursor, id));
		CHECK_OK(strobe_cursor_clone(scene.cursor, &clone));
		CHECK(strobe_cursor_go_to_id(scene.cursor, other));
		check_at(other);
		struct strobe_cursor *kept = scene.cursor;
		scene.cursor = clone;
		check_at(id);
		scene.cursor = kept;
		strobe_cursor_close(clone);
		check_at(other);
	}
	end();
}

static void bad_positions(void)
{
	char text[80];
	struct strobe_position position;
	begin(&one_thread, 0, 0);
	CHECK(strobe_cursor_tell(scene.cursor, &position));
	CHECK(strncmp(position.text, "101#", 4) == 0);
	static const char *const bad[] = {"",
					  "x",
					  "1x",
					  "101#",
					  "#5",
					  "101#5@",
					  "5@123456789abc",
					  "101#5@12",
					  "101##5",
					  "99999999999999999999",
					  "-1",
					  "101#-1",
					  " 5"};
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint64_t before = strobe_cursor_id(scene.cursor);
		CHECK_ERROR(strobe_cursor_go_to(scene.cursor, bad[i]), STROBE_ERROR_SYNTAX);
		CHECK_EQUAL(strobe_cursor_id(scene.cursor), before);
	}
	CHECK_ERROR(strobe_cursor_go_to(scene.cursor, "102#5"), STROBE_ERROR_INVALID);
	CHECK_ERROR(strobe_cursor_go_to(scene.cursor, "101#5@000000000000"), STROBE_ERROR_INVALID);
	snprintf(text, sizeof(text), "101#%zu", scene.truth.count);
	CHECK_ERROR(strobe_cursor_go_to(scene.cursor, text), STROBE_ERROR_NOT_FOUND);
	check_off();
	CHECK_OK(strobe_cursor_go_to(scene.cursor, "7"));
	check_at(7);
	CHECK_OK(strobe_cursor_go_to(scene.cursor, "101#9"));
	check_at(9);
	CHECK_OK(strobe_cursor_go_to(scene.cursor, position.text));
	check_at(scene.truth.count - 1);
	end();
}

CHECK_MAIN({"random walks on one thread", walk_one_thread},
	   {"random walks on threads that move between CPUs", walk_many_cpus},
	   {"random walks with room for one window at most", walk_without_a_cache},
	   {"random walks on threads of several streams", walk_threads_of_several_streams},
	   {"n forward and n back", there_and_back},
	   {"times grow from item to item, falling clocks or not", times_grow},
	   {"without a conversion there are clock values and no times",
	    no_times_without_conversion},
	   {"clones are independent", clones_are_independent},
	   {"positions that are none", bad_positions}, )
