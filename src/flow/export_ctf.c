// SPDX-License-Identifier: Apache-2.0
// Common Trace Format 1.8.3 (diamon.org/ctf): a metadata file and a file of packets for each thread.
// All is little-endian and packed by bytes.

#include <dirent.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "flow/export.h"
#include "flow/export_output.h"
#include "flow/timeline.h"

enum {
	PACKET_SIZE = 1 << 16,
	STRING_LIMIT = 4096,	  // longer names are cut
	HEADER_SIZE = 4 + 16 + 4, // magic, uuid, stream class
	CONTEXT_SIZE = 8 + 8 + 8 + 8 + 4,
	EVENT_ROOM = 4 * STRING_LIMIT, // any event fits
};
#define CTF_MAGIC UINT32_C(0xc1fc1fc1)

enum { EVENT_CALL, EVENT_RETURN, EVENT_EVENT, EVENT_ERROR };

struct packet {
	uint8_t bytes[PACKET_SIZE];
	size_t size;
	uint64_t begin, end; // times of its first and last event
};

struct writing {
	struct export_job *job;
	struct export_output output; // of the stream at hand
	const struct strobe_trace_thread *thread;
	uint8_t uuid[16];
	uint64_t now;
	bool made_directory;
	size_t streams; // that were written
	struct packet packet;
};

// What is fixed of the metadata; what is not goes before.
static const char metadata_types[] =
	"stream {\n"
	"\tid = 0;\n"
	"\tevent.header := struct { uint8_t id; clock_ns_t timestamp; };\n"
	"\tpacket.context := struct {\n"
	"\t\tclock_ns_t timestamp_begin;\n"
	"\t\tclock_ns_t timestamp_end;\n"
	"\t\tuint64_t content_size;\n"
	"\t\tuint64_t packet_size;\n"
	"\t\tint32_t tid;\n"
	"\t};\n"
	"};\n"
	"event {\n"
	"\tid = 0; name = \"call\"; stream_id = 0;\n"
	"\tfields := struct {\n"
	"\t\tstring function; string module; string how; uint32_t depth;\n"
	"\t\taddress_t address; uint64_t item;\n"
	"\t};\n"
	"};\n"
	"event {\n"
	"\tid = 1; name = \"return\"; stream_id = 0;\n"
	"\tfields := struct {\n"
	"\t\tstring function; string how; uint32_t depth;\n"
	"\t\tuint64_t instructions; uint64_t item;\n"
	"\t};\n"
	"};\n"
	"event {\n"
	"\tid = 2; name = \"event\"; stream_id = 0;\n"
	"\tfields := struct { string type; string text; uint64_t value; uint64_t item; };\n"
	"};\n"
	"event {\n"
	"\tid = 3; name = \"error\"; stream_id = 0;\n"
	"\tfields := struct { string text; uint64_t item; };\n"
	"};\n";

static const char metadata_integers[] =
	"typealias integer { size = 8; align = 8; signed = false; } := uint8_t;\n"
	"typealias integer { size = 32; align = 8; signed = false; } := uint32_t;\n"
	"typealias integer { size = 64; align = 8; signed = false; } := uint64_t;\n"
	"typealias integer { size = 32; align = 8; signed = true; } := int32_t;\n"
	"typealias integer { size = 64; align = 8; signed = false; base = 16; } := address_t;\n";

static void put(struct packet *packet, uint64_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		packet->bytes[packet->size++] = (uint8_t)(value >> 8 * i);
}

static void put_string(struct packet *packet, const char *text)
{
	size_t size = text ? strlen(text) : 0;
	if (size > STRING_LIMIT - 1)
		size = STRING_LIMIT - 1;
	if (size)
		memcpy(packet->bytes + packet->size, text, size);
	packet->size += size;
	packet->bytes[packet->size++] = 0;
}

static struct strobe_error *flush_packet(struct writing *writing)
{
	struct packet *packet = &writing->packet;
	size_t size = packet->size;
	packet->size = 0;
	if (size == 0)
		return NULL;
	put(packet, CTF_MAGIC, 4);
	memcpy(packet->bytes + packet->size, writing->uuid, sizeof(writing->uuid));
	packet->size += sizeof(writing->uuid);
	put(packet, 0, 4);
	put(packet, packet->begin, 8);
	put(packet, packet->end, 8);
	put(packet, size * 8, 8); // bits of content, and with padding, of which there is none
	put(packet, size * 8, 8);
	put(packet, (uint32_t)writing->thread->tid, 4);
	fwrite(packet->bytes, 1, size, writing->output.out);
	packet->size = 0;
	return export_output_check(&writing->output);
}

static struct strobe_error *begin_event(struct writing *writing, unsigned event, double time_ns)
{
	struct packet *packet = &writing->packet;
	if (packet->size + EVENT_ROOM > PACKET_SIZE) {
		struct strobe_error *error = flush_packet(writing);
		if (error)
			return error;
	}
	// Times must not fall: a call that was withheld until it had lasted long enough is told late.
	uint64_t time = time_ns > 0 ? (uint64_t)(time_ns + 0.5) : 0;
	writing->now = time > writing->now ? time : writing->now;
	if (packet->size == 0) {
		packet->size = HEADER_SIZE + CONTEXT_SIZE;
		packet->begin = writing->now;
	}
	packet->end = writing->now;
	put(packet, event, 1);
	put(packet, writing->now, 8);
	return NULL;
}

static struct strobe_error *begin(void *context, const struct strobe_call *call, const char *name,
				  double time_ns)
{
	struct writing *writing = context;
	struct strobe_error *error = begin_event(writing, EVENT_CALL, time_ns);
	if (error)
		return error;
	put_string(&writing->packet, name);
	put_string(&writing->packet, call->module);
	put_string(&writing->packet, strobe_call_kind_name(call->kind));
	put(&writing->packet, call->depth, 4);
	put(&writing->packet, call->address, 8);
	put(&writing->packet, call->first_id, 8);
	return NULL;
}

static struct strobe_error *end(void *context, const struct strobe_call *call, const char *name,
				double time_ns)
{
	struct writing *writing = context;
	struct strobe_error *error = begin_event(writing, EVENT_RETURN, time_ns);
	if (error)
		return error;
	put_string(&writing->packet, name);
	put_string(&writing->packet, strobe_call_end_name(call->end));
	put(&writing->packet, call->depth, 4);
	put(&writing->packet, call->instruction_count, 8);
	put(&writing->packet, call->last_id, 8);
	return NULL;
}

static struct strobe_error *note(void *context, const struct timeline_note *note)
{
	struct writing *writing = context;
	struct strobe_error *error =
		begin_event(writing, note->error ? EVENT_ERROR : EVENT_EVENT, note->time_ns);
	if (error)
		return error;
	put_string(&writing->packet, note->error ? note->error : note->event.name);
	if (!note->error) {
		put_string(&writing->packet, note->event.text);
		put(&writing->packet, note->event.value, 8);
	}
	put(&writing->packet, note->id, 8);
	return NULL;
}

static char *member_path(const struct writing *writing, const char *name, int tid)
{
	struct text path = {0};
	text_printf(&path, "%s/%s", writing->job->path, name);
	if (tid >= 0)
		text_printf(&path, "%d", tid);
	return text_steal(&path);
}

static struct strobe_error *write_stream(struct writing *writing, size_t thread)
{
	struct export_job *job = writing->job;
	const struct timeline_sink sink = {begin, end, note, writing};
	char *path = member_path(writing, "stream_", writing->thread->tid);
	if (!path)
		return error_no_memory();
	struct strobe_error *error = export_output_open(&writing->output, path);
	writing->packet.size = 0;
	writing->now = 0;
	if (!error)
		error = timeline_walk(job->trace, job->symbols, thread, &job->options, &sink,
				      &job->summary);
	if (!error)
		error = flush_packet(writing);
	if (!error)
		error = export_output_commit(&writing->output, &job->summary.bytes);
	export_output_discard(&writing->output);
	free(path);
	return error;
}

static struct strobe_error *write_streams(struct writing *writing)
{
	struct export_job *job = writing->job;
	for (size_t i = job->first_thread; i < job->end_thread; i++) {
		writing->thread = strobe_trace_thread(job->trace, i);
		struct strobe_error *error = write_stream(writing, i);
		if (error)
			return error;
		writing->streams++;
	}
	return NULL;
}

static void put_uuid(FILE *out, const uint8_t uuid[16])
{
	for (int i = 0; i < 16; i++)
		fprintf(out, "%s%02x", i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static void put_clock(const struct writing *writing, FILE *out)
{
	const struct strobe_trace_info *info = strobe_trace_info(writing->job->trace);
	int64_t zero = 0;
	if (writing->job->summary.has_time && info->wall_offset_ns)
		zero = info->time_zero_ns + info->wall_offset_ns;
	else if (writing->job->summary.has_time)
		zero = info->time_zero_ns;
	if (zero < 0)
		zero = 0;
	fprintf(out,
		"clock {\n\tname = \"strobe\";\n\tdescription = \"%s\";\n\tfreq = 1000000000;\n"
		"\toffset_s = %" PRId64 ";\n\toffset = %" PRId64 ";\n};\n",
		writing->job->summary.has_time ? "time of the trace"
					       : "items, 1 ns each: the trace has no time",
		zero / 1000000000, zero % 1000000000);
	fputs("typealias integer { size = 64; align = 8; signed = false; "
	      "map = clock.strobe.value; } := clock_ns_t;\n",
	      out);
}

static void put_metadata(const struct writing *writing, FILE *out)
{
	const struct strobe_trace_info *info = strobe_trace_info(writing->job->trace);
	fputs("/* CTF 1.8 */\n", out);
	fputs(metadata_integers, out);
	fputs("trace {\n\tmajor = 1;\n\tminor = 8;\n\tuuid = \"", out);
	put_uuid(out, writing->uuid);
	fputs("\";\n\tbyte_order = le;\n\tpacket.header := struct { uint32_t magic; "
	      "uint8_t uuid[16]; uint32_t stream_id; };\n};\n",
	      out);
	fputs("env {\n\tdomain = \"ust\";\n\ttracer_name = \"strobe\";\n\ttechnology = ", out);
	export_put_json(out, info->technology ? info->technology : "unknown");
	fputs(";\n};\n", out);
	put_clock(writing, out);
	fputs(metadata_types, out);
}

static struct strobe_error *write_metadata(struct writing *writing)
{
	char *path = member_path(writing, "metadata", -1);
	if (!path)
		return error_no_memory();
	struct strobe_error *error = export_output_open(&writing->output, path);
	if (!error) {
		put_metadata(writing, writing->output.out);
		error = export_output_commit(&writing->output, &writing->job->summary.bytes);
	}
	free(path);
	return error;
}

static bool is_empty(DIR *directory)
{
	const struct dirent *entry;
	while ((entry = readdir(directory))) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			return false;
	}
	return true;
}

static struct strobe_error *make_directory(struct writing *writing)
{
	const char *path = writing->job->path;
	writing->made_directory = mkdir(path, 0700) == 0;
	if (writing->made_directory)
		return NULL;
	if (errno != EEXIST)
		return error_errno(errno, "%s: cannot make the directory", path);
	DIR *directory = opendir(path);
	if (!directory)
		return error_errno(errno, "%s: cannot open the directory", path);
	bool empty = is_empty(directory);
	closedir(directory);
	return empty ? NULL
		     : error_new(STROBE_ERROR_INVALID, "%s: there is something in it already",
				 path);
}

static void remove_streams(struct writing *writing)
{
	for (size_t i = 0; i < writing->streams; i++) {
		int tid = strobe_trace_thread(writing->job->trace, writing->job->first_thread + i)
				  ->tid;
		char *path = member_path(writing, "stream_", tid);
		if (path)
			unlink(path);
		free(path);
	}
	if (writing->made_directory)
		rmdir(writing->job->path);
}

struct strobe_error *export_ctf(struct export_job *job)
{
	struct writing *writing = calloc(1, sizeof(*writing));
	if (!writing)
		return error_no_memory();
	writing->job = job;
	if (getrandom(writing->uuid, sizeof(writing->uuid), GRND_NONBLOCK) < 0)
		memset(writing->uuid, 1, sizeof(writing->uuid));
	writing->uuid[6] = (uint8_t)((writing->uuid[6] & 0x0f) | 0x40); // version 4, RFC 4122
	writing->uuid[8] = (uint8_t)((writing->uuid[8] & 0x3f) | 0x80);
	struct strobe_error *error = make_directory(writing);
	if (!error) {
		error = write_streams(writing);
		// Without it, it is no trace: it comes last.
		if (!error)
			error = write_metadata(writing);
		if (error)
			remove_streams(writing);
	}
	free(writing);
	return error;
}
