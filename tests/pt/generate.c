// SPDX-License-Identifier: Apache-2.0
// Writes a generated trace as a bundle that LLDB and Strobe load, and the truth beside it:
// generate FOLDER SITUATION [SEED [INSTRUCTIONS]]

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "situations.h"

static FILE *create(const char *folder, const char *name)
{
	char path[4096];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	if (!file) {
		perror(path);
		exit(1);
	}
	return file;
}

static void finish(FILE *file, const char *name)
{
	if (ferror(file) || fclose(file)) {
		fprintf(stderr, "generate: %s: %s\n", name, strerror(errno));
		exit(1);
	}
}

static void write_truth(const struct made_trace *trace, const char *folder)
{
	FILE *file = create(folder, "truth.txt");
	size_t certain = made_trace_certain(trace);
	fprintf(file, "# %zu items, the first %zu whatever is damaged", trace->walk.items.count,
		certain);
	if (trace->damaged)
		fprintf(file, "; damage from byte 0x%" PRIx64, trace->damage.start);
	fputc('\n', file);
	for (size_t i = 0; i < trace->walk.items.count; i++) {
		const struct expected_item *item = &trace->walk.items.items[i];
		if (item->is_error)
			fprintf(file, "error 0x%" PRIx64 "\n", item->address);
		else if (item->is_event)
			fprintf(file, "event %d 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 "\n",
				(int)item->type, item->address, item->target, item->value);
		else
			fprintf(file, "0x%" PRIx64 "\n", item->address);
	}
	finish(file, "truth.txt");
}

static void write_description(const struct made_trace *trace, const char *folder)
{
	FILE *file = create(folder, "trace.json");
	fprintf(file,
		"{\"type\": \"intel-pt\",\n"
		" \"cpuInfo\": {\"vendor\": \"GenuineIntel\", \"family\": 6, \"model\": 85, "
		"\"stepping\": 4},\n"
		" \"processes\": [{\"pid\": 4242, \"triple\": \"x86_64-*-linux\",\n"
		"  \"threads\": [{\"tid\": 4242, \"iptTrace\": \"trace.pt\"}],\n"
		"  \"modules\": [{\"systemPath\": \"program\", \"file\": \"program\", "
		"\"loadAddress\": %" PRIu64 "}]}]}\n",
		trace->program.base);
	finish(file, "trace.json");
}

int main(int argc, char **argv)
{
	struct made_trace trace;
	char path[4096];
	const struct situation *situation = argc >= 3 ? situation_find(argv[2]) : NULL;
	if (!situation || argc > 5) {
		fprintf(stderr, "usage: generate FOLDER SITUATION [SEED [INSTRUCTIONS]]\n");
		for (size_t i = 0; i < situation_count; i++)
			fprintf(stderr, "  %-14s %s\n", situations[i].name, situations[i].what);
		return 2;
	}
	uint64_t seed = argc > 3 ? strtoull(argv[3], NULL, 0) : 1;
	unsigned count = argc > 4 ? (unsigned)strtoul(argv[4], NULL, 0) : 20000;
	if (mkdir(argv[1], 0777) && errno != EEXIST) {
		perror(argv[1]);
		return 1;
	}
	make_trace(&trace, situation, seed, count);
	snprintf(path, sizeof(path), "%s/program", argv[1]);
	program_write_elf(&trace.program, path);
	FILE *file = create(argv[1], "trace.pt");
	fwrite(trace.bytes, 1, trace.size, file);
	finish(file, "trace.pt");
	write_description(&trace, argv[1]);
	write_truth(&trace, argv[1]);
	made_trace_fini(&trace);
	return 0;
}
