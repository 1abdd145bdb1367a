// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/hash.h"
#include "base/hash_page.h"
#include "graph/store.h"
#include "view/build.h"

enum {
	BUILDER = 3, // changes whenever the same snapshot gives another graph
	SAMPLES = 64,
	PAGE = 4096,
};

uint64_t store_builder(void)
{
	return hash_bytes(STROBE_VERSION, sizeof(STROBE_VERSION)) * 31 + BUILDER;
}

static void mix(uint64_t *state, const void *bytes, size_t size)
{
	*state = *state * UINT64_C(0x9e3779b97f4a7c15) + page_hash(bytes, size);
}

static void mix_text(uint64_t *state, const char *text)
{
	mix(state, text ? text : "", text ? strlen(text) + 1 : 0);
}

/** Size and time of a file, as far as it is there. */
static void mix_file(uint64_t *state, const char *path)
{
	struct stat status;
	int64_t facts[3] = {0};
	if (path && stat(path, &status) == 0) {
		facts[0] = status.st_size;
		facts[1] = status.st_mtim.tv_sec;
		facts[2] = status.st_mtim.tv_nsec;
	}
	mix(state, facts, sizeof(facts));
}

/** Pages all over the file, the first and the last among them. */
static void sample(const struct file *file, uint64_t *state)
{
	for (uint64_t i = 0; i < SAMPLES; i++) {
		uint64_t last = file->size > PAGE ? file->size - PAGE : 0;
		uint64_t at = last / (SAMPLES - 1) * i, left = file->size - at;
		if (i == SAMPLES - 1) {
			at = last;
			left = file->size - at;
		}
		mix(state, file->data + at, left < PAGE ? left : PAGE);
	}
}

/** Where separate debug information of a build id usually is. */
static void mix_debug_file(uint64_t *state, const char *build_id)
{
	char path[256];
	if (!build_id || strlen(build_id) < 3)
		return;
	snprintf(path, sizeof(path), "/usr/lib/debug/.build-id/%.2s/%s.debug", build_id,
		 build_id + 2);
	mix_file(state, path);
}

/** What tells types may be installed later, or be another file. */
static uint64_t identify_files(const struct strobe_view *view)
{
	uint64_t state = 0;
	mix_text(&state, view->executable_option);
	mix_file(&state, view->executable_option);
	for (size_t i = 0; i < strobe_view_module_count(view); i++) {
		const struct strobe_module *module = strobe_view_module(view, i);
		mix_text(&state, module->build_id);
		mix_file(&state, module->path);
		mix_debug_file(&state, module->build_id);
	}
	return state;
}

void store_identify(const struct strobe_view *view, const struct strobe_graph_options *options,
		    struct store_identity *ret)
{
	const struct strobe_capture *capture = strobe_view_capture(view);
	const uint64_t wanted[] = {options->precise, options->max_nodes, options->max_frames};
	*ret = (struct store_identity){.size_bytes = view->source->size,
				       .files = identify_files(view)};
	mix(&ret->options, wanted, sizeof(wanted));
	if (capture && capture->id) {
		mix_text(&ret->snapshot[0], capture->id);
		return;
	}
	ret->modified = view->source->modified.tv_sec;
	ret->nanosecond = view->source->modified.tv_nsec;
	if (view->source->data)
		sample(view->source, &ret->snapshot[1]);
}
