// SPDX-License-Identifier: Apache-2.0
// Indexes that are kept: used again, found stale, damaged, hostile, or with no place to be.
#include <errno.h>
#include <ftw.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/hash.h"
#include "base/hash_page.h"
#include "check.h"
#include "fake_source.h"
#include "trace/cursor.h"
#include "trace/index_format.h"
#include "trace/rows.h"
#include "trace/unit_code.h"

static char folder[] = "/tmp/strobe-index-XXXXXX";
static char trace_path[128], index_path[160], cache_path[128];

static const struct fake_options one_thread = {
	.seed = 3, .streams = 1, .threads = 1, .blocks = 90, .windows = 2, .elements = 12};
static const struct fake_options many_cpus = {.seed = 4,
					      .streams = 3,
					      .threads = 4,
					      .blocks = 20,
					      .windows = 2,
					      .elements = 30,
					      .per_cpu = true};

static void prepare(void)
{
	if (!*trace_path) {
		CHECK(mkdtemp(folder) != NULL);
		snprintf(trace_path, sizeof(trace_path), "%s/trace", folder);
		snprintf(index_path, sizeof(index_path), "%s.strobe-index", trace_path);
		snprintf(cache_path, sizeof(cache_path), "%s/cache", folder);
		setenv("XDG_CACHE_HOME", cache_path, 1);
	}
	unlink(index_path);
}

static struct fake *make_fake(const struct fake_options *options)
{
	struct fake *fake = fake_new(options);
	fake_set_path(fake, trace_path);
	return fake;
}

static struct strobe_trace *open_with(struct fake *fake, struct strobe_trace_options options)
{
	struct strobe_trace *trace = NULL;
	struct trace_source source = fake_open(fake);
	options.size = sizeof(options);
	options.threads = 2;
	CHECK_OK(trace_new(&source, &options, &trace));
	return trace;
}

/** Every item of every thread is as it must be. */
static void check_items(struct strobe_trace *trace, const struct fake *fake)
{
	rows_check(trace);
	for (size_t thread = 0; thread < strobe_trace_thread_count(trace); thread++) {
		struct fake_truth truth = fake_truth(fake, (uint32_t)thread);
		struct strobe_cursor *cursor;
		uint64_t address, clock;
		CHECK_EQUAL(strobe_trace_thread(trace, thread)->item_count, truth.count);
		CHECK_OK(strobe_cursor_open(trace, thread, &cursor));
		for (uint64_t id = truth.count; id-- > 0;) {
			CHECK_EQUAL(strobe_cursor_id(cursor), id);
			CHECK_EQUAL(strobe_cursor_kind(cursor), truth.items[id].kind);
			if (strobe_cursor_address(cursor, &address))
				CHECK_EQUAL(address, truth.items[id].address);
			CHECK_EQUAL(strobe_cursor_hw_clock(cursor, &clock),
				    truth.items[id].has_clock);
			CHECK(!truth.items[id].has_clock || clock == truth.items[id].clock);
			CHECK_EQUAL((unsigned)strobe_cursor_cpu(cursor),
				    (unsigned)truth.items[id].cpu);
			CHECK_EQUAL(strobe_cursor_next(cursor), id > 0);
		}
		strobe_cursor_close(cursor);
		fake_truth_free(&truth);
	}
}

/** Opens, checks all, closes; true if the index was made and not found. */
static bool reopen(struct fake *fake, struct strobe_trace_options options)
{
	struct strobe_trace *trace = open_with(fake, options);
	bool built = strobe_trace_info(trace)->index_was_built;
	check_items(trace, fake);
	strobe_trace_close(trace);
	return built;
}

static const struct strobe_trace_options plain;

static void it_is_kept_and_used_again(void)
{
	const struct fake_options *all[] = {&one_thread, &many_cpus};
	for (size_t i = 0; i < 2; i++) {
		struct stat status;
		prepare();
		struct fake *fake = make_fake(all[i]);
		CHECK(reopen(fake, plain));
		CHECK_EQUAL(stat(index_path, &status), 0);
		CHECK_EQUAL(status.st_mode & 07777, 0600);
		unsigned long decoded = fake_decoded(fake);
		struct strobe_trace *trace = open_with(fake, plain);
		CHECK(!strobe_trace_info(trace)->index_was_built);
		CHECK_STRING(strobe_trace_info(trace)->index_path, index_path);
		CHECK_EQUAL(strobe_trace_info(trace)->index_bytes, status.st_size);
		CHECK_EQUAL(strobe_trace_warning_count(trace), 0);
		CHECK_EQUAL(fake_decoded(fake), decoded); // nothing had to be looked at
		check_items(trace, fake);
		strobe_trace_close(trace);
		CHECK(reopen(fake, (struct strobe_trace_options){.rebuild_index = true}));
		fake_free(fake);
	}
}

/** Counts, times and texts of errors are the same whether the index was made or read. */
static void threads_are_told_alike(void)
{
	prepare();
	struct fake *fake = make_fake(&many_cpus);
	struct strobe_trace *made = open_with(fake, plain), *read = open_with(fake, plain);
	CHECK(strobe_trace_info(made)->index_was_built &&
	      !strobe_trace_info(read)->index_was_built);
	CHECK_EQUAL(strobe_trace_info(made)->time_zero_ns, strobe_trace_info(read)->time_zero_ns);
	for (size_t i = 0; i < 4; i++) {
		const struct strobe_trace_thread *a = strobe_trace_thread(made, i);
		const struct strobe_trace_thread *b = strobe_trace_thread(read, i);
		CHECK_EQUAL(a->instruction_count, b->instruction_count);
		CHECK_EQUAL(a->raw_bytes, b->raw_bytes);
		CHECK_EQUAL(a->index_bytes, b->index_bytes);
		CHECK(a->has_time && b->has_time && a->first_time_ns == b->first_time_ns);
		CHECK(a->last_time_ns == b->last_time_ns);
		CHECK_EQUAL(a->cpu_count, b->cpu_count);
		CHECK(memcmp(a->cpus, b->cpus, a->cpu_count * sizeof(int)) == 0);
		CHECK(memcmp(a->event_counts, b->event_counts, sizeof(a->event_counts)) == 0);
		struct strobe_trace_error_count x, y;
		for (size_t k = 0; strobe_trace_error_count(made, i, k, &x); k++) {
			CHECK(strobe_trace_error_count(read, i, k, &y));
			CHECK_STRING(x.text, y.text);
			CHECK_EQUAL(x.count, y.count);
		}
	}
	strobe_trace_close(made);
	strobe_trace_close(read);
	fake_free(fake);
}

static void a_stale_one_is_made_again(void)
{
	prepare();
	struct fake *fake = make_fake(&one_thread);
	CHECK(reopen(fake, plain));
	CHECK(!reopen(fake, plain));
	fake_set_fingerprint(fake, 77);
	CHECK(reopen(fake, plain));
	CHECK(!reopen(fake, plain));
	fake_set_fingerprint(fake, 0);
	CHECK(reopen(fake, plain));
	fake_free(fake);
	struct fake_options other = one_thread; // another trace in its place
	other.seed++;
	fake = make_fake(&other);
	CHECK(reopen(fake, plain));
	fake_free(fake);
}

static uint8_t *read_index(size_t *ret_size)
{
	FILE *file = fopen(index_path, "rb");
	CHECK(file != NULL);
	fseek(file, 0, SEEK_END);
	*ret_size = (size_t)ftell(file);
	rewind(file);
	uint8_t *bytes = malloc(*ret_size);
	CHECK(bytes && fread(bytes, 1, *ret_size, file) == *ret_size);
	fclose(file);
	return bytes;
}

static void write_index(const uint8_t *bytes, size_t size)
{
	FILE *file = fopen(index_path, "wb");
	CHECK(file && fwrite(bytes, 1, size, file) == size);
	fclose(file);
}

static void damage_is_found(void)
{
	size_t size;
	prepare();
	struct fake *fake = make_fake(&one_thread);
	CHECK(reopen(fake, plain));
	uint8_t *bytes = read_index(&size);
	for (size_t at = 0; at < size; at += at < 208 ? 3 : 61) {
		bytes[at] ^= 0x10;
		write_index(bytes, size);
		bytes[at] ^= 0x10;
		struct strobe_trace *trace = open_with(fake, plain);
		CHECK(strobe_trace_info(trace)->index_was_built);
		strobe_trace_close(trace);
	}
	for (size_t cut = 0; cut < size; cut += cut < 256 ? 31 : 211) {
		write_index(bytes, cut);
		struct strobe_trace *trace = open_with(fake, plain);
		CHECK(strobe_trace_info(trace)->index_was_built);
		CHECK_EQUAL(strobe_trace_warning_count(trace), 1);
		strobe_trace_close(trace);
	}
	free(bytes);
	CHECK(!reopen(fake, plain));
	fake_free(fake);
}

static void put_sums_right(uint8_t *bytes, size_t size)
{
	struct index_header header;
	memcpy(&header, bytes, sizeof(header));
	header.file_size = size;
	header.content_sum = 0;
	for (size_t at = sizeof(header); at < size; at += INDEX_CHECK_CHUNK) {
		size_t chunk = size - at < INDEX_CHECK_CHUNK ? size - at : INDEX_CHECK_CHUNK;
		header.content_sum = header.content_sum * 31 + page_hash(bytes + at, chunk);
	}
	header.header_sum = hash_bytes(&header, offsetof(struct index_header, header_sum));
	memcpy(bytes, &header, sizeof(header));
}

/** Whoever can write an index can make its sums right: whatever it says, nothing breaks. */
static void lies_break_nothing(void)
{
	size_t size;
	uint64_t random = 88172645463325252u;
	unsigned believed = 0;
	prepare();
	struct fake *fake = make_fake(&one_thread);
	CHECK(reopen(fake, plain));
	uint8_t *bytes = read_index(&size), *lie = malloc(size);
	for (unsigned i = 0; i < 150; i++) {
		memcpy(lie, bytes, size);
		for (unsigned k = 0; k < 1 + i % 3; k++) {
			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			lie[8 + random % (size - 8)] = (uint8_t)(random >> 40);
		}
		put_sums_right(lie, size);
		write_index(lie, size);
		struct strobe_trace *trace = open_with(fake, plain);
		struct strobe_cursor *cursor;
		believed += !strobe_trace_info(trace)->index_was_built;
		CHECK_OK(strobe_cursor_open(trace, 0, &cursor));
		double time;
		for (unsigned k = 0; k < 200 && strobe_cursor_has_value(cursor); k++) {
			uint64_t count = strobe_trace_thread(trace, 0)->item_count;
			strobe_cursor_go_to_id(cursor, random % count);
			random ^= random << 13, random ^= random >> 7, random ^= random << 17;
			strobe_cursor_next(cursor);
			strobe_cursor_time_ns(cursor, &time);
			cursor_check(cursor);
		}
		strobe_cursor_close(cursor);
		strobe_trace_close(trace);
	}
	CHECK(believed > 2); // some lies are about what is seen only when it is decoded
	free(bytes);
	free(lie);
	fake_free(fake);
}

static void no_place_beside_the_trace(void)
{
	char nowhere[160];
	prepare();
	struct fake *fake = make_fake(&one_thread);
	snprintf(nowhere, sizeof(nowhere), "%s/nowhere/trace", folder);
	fake_set_path(fake, nowhere);
	CHECK(reopen(fake, plain));
	CHECK(!reopen(fake, plain)); // it is in the user's cache
	struct strobe_trace *trace = open_with(fake, plain);
	const char *path = strobe_trace_info(trace)->index_path;
	CHECK(path && strncmp(path, cache_path, strlen(cache_path)) == 0);
	struct stat status;
	char cache[160];
	snprintf(cache, sizeof(cache), "%s/strobe", cache_path);
	CHECK_EQUAL(stat(cache, &status), 0);
	CHECK_EQUAL(status.st_mode & 07777, 0700);
	CHECK_EQUAL(unlink(path), 0);
	strobe_trace_close(trace);
	setenv("XDG_CACHE_HOME", "/dev/null", 1);
	CHECK(reopen(fake, plain));
	trace = open_with(fake, plain);
	CHECK(strobe_trace_info(trace)->index_was_built);
	CHECK(!strobe_trace_info(trace)->index_path);
	CHECK_EQUAL(strobe_trace_warning_count(trace), 1);
	strobe_trace_close(trace);
	setenv("XDG_CACHE_HOME", cache_path, 1);
	fake_free(fake);
}

static void a_place_that_was_asked_for(void)
{
	char path[160];
	struct strobe_trace *trace = NULL;
	prepare();
	struct fake *fake = make_fake(&one_thread);
	snprintf(path, sizeof(path), "%s/mine", folder);
	CHECK(reopen(fake, (struct strobe_trace_options){.index_path = path}));
	CHECK(!reopen(fake, (struct strobe_trace_options){.index_path = path}));
	CHECK(access(index_path, F_OK) < 0 && errno == ENOENT);
	unlink(path);
	CHECK(reopen(fake, (struct strobe_trace_options){.index_path = ""}));
	CHECK(access(index_path, F_OK) < 0 && errno == ENOENT);
	struct strobe_trace_options options = {.size = sizeof(options),
					       .index_path = "/nowhere/at/all"};
	struct trace_source source = fake_open(fake);
	CHECK_ERROR(trace_new(&source, &options, &trace), STROBE_ERROR_SYSTEM);
	CHECK_EQUAL(fake_open_count(fake), 0);
	fake_free(fake);
}

static void a_link_is_not_followed(void)
{
	char target[160];
	struct stat status;
	prepare();
	struct fake *fake = make_fake(&one_thread);
	snprintf(target, sizeof(target), "%s/precious", folder);
	CHECK_EQUAL(symlink(target, index_path), 0);
	CHECK(reopen(fake, plain));
	CHECK(lstat(index_path, &status) == 0 && S_ISLNK(status.st_mode));
	CHECK(stat(target, &status) < 0);
	fake_free(fake);
}

static void what_was_added_is_indexed_alone(void)
{
	struct fake_options options = one_thread;
	prepare();
	options.visible = 50;
	struct fake *fake = make_fake(&options);
	CHECK(reopen(fake, plain));
	unsigned long whole = fake_decoded(fake);
	CHECK(!reopen(fake, plain));
	fake_grow(fake, 40);
	bool grew;
	struct trace_source source = fake_open(fake);
	CHECK_OK(source.ops->refresh(source.context, &grew));
	source.ops->close(source.context);
	unsigned long before = fake_decoded(fake);
	struct strobe_trace *trace = open_with(fake, plain);
	CHECK(strobe_trace_info(trace)->index_was_built);
	CHECK(fake_decoded(fake) - before < whole);
	check_items(trace, fake);
	strobe_trace_close(trace);
	CHECK(!reopen(fake, plain)); // and was kept
	fake_free(fake);
}

static void what_grows_is_not_kept(void)
{
	struct fake_options options = one_thread;
	bool grew;
	prepare();
	options.visible = 30;
	struct fake *fake = make_fake(&options);
	struct strobe_trace *trace = open_with(fake, (struct strobe_trace_options){.follow = true});
	CHECK(access(index_path, F_OK) < 0);
	for (unsigned i = 0; i < 6; i++) {
		fake_grow(fake, 10);
		CHECK_OK(strobe_trace_refresh(trace, &grew));
		CHECK(grew);
		check_items(trace, fake);
	}
	strobe_trace_close(trace);
	fake_free(fake);
}

static void units_are_small(void)
{
	struct fake_options options = one_thread;
	options.blocks = 3000;
	options.windows = 1;
	options.elements = 400;
	prepare();
	struct fake *fake = make_fake(&options);
	struct strobe_trace *trace = open_with(fake, plain);
	uint64_t units = strobe_trace_thread(trace, 0)->unit_count;
	CHECK(units > 2000);
	CHECK(strobe_trace_info(trace)->index_bytes < 20 * units + 1000);
	strobe_trace_close(trace);
	fake_free(fake);
}

static void numbers_are_read_as_written(void)
{
	uint64_t values[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_MAX >> 1, UINT64_MAX};
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		uint8_t bytes[16];
		size_t size = (size_t)(code_put(bytes, values[i]) - bytes);
		struct code_bytes all = {.at = bytes, .end = bytes + size};
		CHECK_EQUAL(code_get(&all), values[i]);
		CHECK(!all.bad && all.at == all.end);
		struct code_bytes most = {.at = bytes, .end = bytes + size};
		code_get_most(&most, values[i] ? values[i] - 1 : 0);
		CHECK_EQUAL(most.bad, values[i] != 0);
		struct code_bytes cut = {.at = bytes, .end = bytes + size - 1};
		code_get(&cut);
		CHECK(cut.bad);
	}
	const uint8_t long_one[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02};
	struct code_bytes bytes = {.at = long_one, .end = long_one + sizeof(long_one)};
	code_get(&bytes);
	CHECK(bytes.bad);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *walk)
{
	return remove(path);
}

static void clean_up(void)
{
	prepare();
	CHECK_EQUAL(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), 0);
}

CHECK_MAIN({"an index is kept, and used again", it_is_kept_and_used_again},
	   {"threads are told alike", threads_are_told_alike},
	   {"a stale one is made again", a_stale_one_is_made_again},
	   {"damage is found", damage_is_found},
	   {"lies with right sums break nothing", lies_break_nothing},
	   {"no place beside the trace", no_place_beside_the_trace},
	   {"a place that was asked for", a_place_that_was_asked_for},
	   {"a link is not followed", a_link_is_not_followed},
	   {"what was added is indexed alone", what_was_added_is_indexed_alone},
	   {"what grows is not kept", what_grows_is_not_kept}, {"units are small", units_are_small},
	   {"numbers are read as they were written", numbers_are_read_as_written},
	   {"nothing is left behind", clean_up}, )
