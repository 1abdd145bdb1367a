// SPDX-License-Identifier: Apache-2.0
// How fast packets are decoded, against libipt's bare block decoder: pt_decode BUNDLE [THREADS [ROUNDS]]
//
// Both decode all PSBs of the bundle's first stream, split evenly among the threads, and count instructions. Times are
// the threads' own, so that others on the machine disturb the ratio little. One line a round, then the best.
#include <intel-pt.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bundle/bundle.h"
#include "pt/image.h"
#include "pt/stream.h"
#include "trace/source.h"

enum { MAX_THREADS = 64 };

static struct trace_source source;
static struct image image;
static struct pt_config config;
static uint8_t *packets;
static uint64_t packets_size;
static unsigned thread_count;

/** A thread's share. */
struct share {
	pthread_t thread;
	unsigned index;
	bool bare;
	uint64_t instructions;
	double seconds;
};

static void must(struct strobe_error *error)
{
	if (!error)
		return;
	fprintf(stderr, "pt_decode: %s\n", strobe_error_message(error));
	exit(1);
}

static double thread_seconds(void)
{
	struct timespec time;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void decode_ours(struct share *share)
{
	static const struct source_want all = {.enough = UINT32_MAX};
	struct code_map *map = NULL;
	struct window window;
	void *decoder = NULL;
	uint64_t count = source.ops->block_count(source.context, 0);
	uint64_t block = count * share->index / thread_count;
	uint64_t end = count * (share->index + 1) / thread_count;
	window_init(&window);
	must(source.ops->decoder_new(source.context, &decoder, &map));
	for (; block < end; block++) {
		struct source_want want = all;
		do {
			must(source.ops->decode(decoder, 0, block, &want, &window));
			share->instructions += window.instruction_count;
			want.part++;
		} while (window.more);
	}
	source.ops->decoder_free(decoder);
	window_fini(&window);
}

static int run_bare(struct share *share, struct pt_block_decoder *decoder, int status)
{
	while (status >= 0) {
		struct pt_block block;
		struct pt_event event;
		while (status >= 0 && status & pts_event_pending)
			status = pt_blk_event(decoder, &event, sizeof(event));
		if (status < 0)
			break;
		status = pt_blk_next(decoder, &block, sizeof(block));
		share->instructions += block.ninsn;
	}
	return status;
}

static void decode_bare(struct share *share)
{
	struct pt_config part = config;
	struct pt_image *code = NULL;
	part.begin = packets + packets_size * share->index / thread_count;
	part.end = packets + packets_size * (share->index + 1) / thread_count;
	struct pt_block_decoder *decoder = pt_blk_alloc_decoder(&part);
	must(image_for_decoder(&image, &code));
	pt_blk_set_image(decoder, code);
	for (int status; (status = pt_blk_sync_forward(decoder)) >= 0;)
		run_bare(share, decoder, status);
	pt_blk_free_decoder(decoder);
	pt_image_free(code);
}

static void *run(void *context)
{
	struct share *share = context;
	double start = thread_seconds();
	if (share->bare)
		decode_bare(share);
	else
		decode_ours(share);
	share->seconds = thread_seconds() - start;
	return NULL;
}

/** Million instructions a second of thread time. */
static double measure(bool bare)
{
	struct share shares[MAX_THREADS];
	uint64_t instructions = 0;
	double seconds = 0;
	memset(shares, 0, sizeof(shares));
	for (unsigned i = 0; i < thread_count; i++) {
		shares[i].index = i;
		shares[i].bare = bare;
		if (pthread_create(&shares[i].thread, NULL, run, &shares[i]) != 0)
			exit(1);
	}
	for (unsigned i = 0; i < thread_count; i++) {
		pthread_join(shares[i].thread, NULL);
		instructions += shares[i].instructions;
		seconds += shares[i].seconds;
	}
	printf("  %-6s %llu instructions, %.3f s\n", bare ? "libipt" : "strobe",
	       (unsigned long long)instructions, seconds);
	return (double)instructions / seconds / 1e6;
}

static void copy_packets(const struct pt_input *input)
{
	struct stream stream = {0};
	must(stream_update(&stream, &input->streams.items[0]));
	packets_size = stream.size;
	packets = malloc(packets_size);
	if (!packets)
		exit(1);
	stream_copy(&stream, 0, packets, packets_size);
	stream_fini(&stream);
}

int main(int argc, char **argv)
{
	struct pt_input input;
	double best_ours = 0, best_bare = 0;
	unsigned rounds = argc > 3 ? (unsigned)atoi(argv[3]) : 5;
	thread_count = argc > 2 ? (unsigned)atoi(argv[2]) : 2;
	if (argc < 2 || thread_count == 0 || thread_count > MAX_THREADS)
		return 2;
	pt_config_init(&config);
	must(bundle_open(argv[1], NULL, &input));
	must(image_init(&image, input.view));
	copy_packets(&input);
	must(pt_source_open(&input, &source));
	for (unsigned i = 0; i < rounds; i++) {
		double bare = measure(true), ours = measure(false);
		printf("libipt %.1f M/s, strobe %.1f M/s: %.0f %%\n", bare, ours,
		       ours / bare * 100);
		best_bare = bare > best_bare ? bare : best_bare;
		best_ours = ours > best_ours ? ours : best_ours;
	}
	printf("best: libipt %.1f M/s, strobe %.1f M/s a thread: %.0f %%\n", best_bare, best_ours,
	       best_ours / best_bare * 100);
	return 0;
}
