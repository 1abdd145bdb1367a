// SPDX-License-Identifier: Apache-2.0
// Chrome's trace events: "Trace Event Format", Google, 2016. Times are microseconds, as decimal fractions.

#include <inttypes.h>
#include <stdlib.h>

#include "flow/export.h"
#include "flow/export_output.h"
#include "flow/timeline.h"

struct writing {
	struct export_job *job;
	struct export_output output;
	FILE *out;
	const struct strobe_trace_thread *thread;
	bool any; // an event was written
};

static void begin_event(struct writing *writing, const char *phase, double time_ns)
{
	fprintf(writing->out, "%s\n{\"ph\":\"%s\",\"pid\":%d,\"tid\":%d,\"ts\":%.6f",
		writing->any ? "," : "", phase, writing->thread->pid, writing->thread->tid,
		time_ns / 1000.0);
	writing->any = true;
}

static void put_member(FILE *out, const char *key, const char *value)
{
	fprintf(out, "%s:", key);
	export_put_json(out, value);
}

static struct strobe_error *begin(void *context, const struct strobe_call *call, const char *name,
				  double time_ns)
{
	struct writing *writing = context;
	begin_event(writing, "B", time_ns);
	put_member(writing->out, ",\"name\"", name);
	put_member(writing->out, ",\"cat\"", call->inlined ? "inlined" : "call");
	fputs(",\"args\":{", writing->out);
	if (call->first_id != STROBE_NO_ID)
		fprintf(writing->out, "\"id\":%" PRIu64 ",", call->first_id);
	fprintf(writing->out, "\"address\":\"0x%" PRIx64 "\"", call->address);
	if (call->module)
		put_member(writing->out, ",\"module\"", call->module);
	if (call->file) {
		put_member(writing->out, ",\"file\"", call->file);
		fprintf(writing->out, ",\"line\":%u", call->line);
	}
	fputs("}}", writing->out);
	return export_output_check(&writing->output);
}

static struct strobe_error *end(void *context, const struct strobe_call *call, const char *name,
				double time_ns)
{
	struct writing *writing = context;
	begin_event(writing, "E", time_ns);
	put_member(writing->out, ",\"name\"", name);
	fprintf(writing->out, ",\"args\":{\"instructions\":%" PRIu64 "}}", call->instruction_count);
	return export_output_check(&writing->output);
}

static struct strobe_error *note(void *context, const struct timeline_note *note)
{
	struct writing *writing = context;
	begin_event(writing, "i", note->time_ns);
	put_member(writing->out, ",\"name\"", note->error ? "error" : note->event.name);
	put_member(writing->out, ",\"s\":\"t\",\"cat\"", note->error ? "error" : "event");
	fprintf(writing->out, ",\"args\":{\"id\":%" PRIu64, note->id);
	const char *text = note->error ? note->error : note->event.text;
	if (text && *text)
		put_member(writing->out, ",\"text\"", text);
	if (!note->error)
		fprintf(writing->out, ",\"value\":%" PRIu64, note->event.value);
	fputs("}}", writing->out);
	return export_output_check(&writing->output);
}

static void name_thread(struct writing *writing)
{
	const struct strobe_process_info *process =
		strobe_view_process_info(strobe_symbols_view(writing->job->symbols));
	if (process && process->name) {
		begin_event(writing, "M", 0);
		put_member(writing->out, ",\"name\":\"process_name\",\"args\":{\"name\"",
			   process->name);
		fputs("}}", writing->out);
	}
	begin_event(writing, "M", 0);
	fputs(",\"name\":\"thread_name\",\"args\":{\"name\":", writing->out);
	if (writing->thread->name)
		export_put_json(writing->out, writing->thread->name);
	else
		fprintf(writing->out, "\"thread %d\"", writing->thread->tid);
	fputs("}}", writing->out);
}

static struct strobe_error *write_threads(struct writing *writing)
{
	struct export_job *job = writing->job;
	const struct timeline_sink sink = {begin, end, note, writing};
	for (size_t i = job->first_thread; i < job->end_thread; i++) {
		writing->thread = strobe_trace_thread(job->trace, i);
		name_thread(writing);
		struct strobe_error *error = timeline_walk(job->trace, job->symbols, i,
							   &job->options, &sink, &job->summary);
		if (error)
			return error;
	}
	return NULL;
}

struct strobe_error *export_perfetto(struct export_job *job)
{
	struct writing writing = {.job = job};
	struct strobe_error *error = export_output_open(&writing.output, job->path);
	if (error)
		return error;
	writing.out = writing.output.out;
	const struct strobe_trace_info *info = strobe_trace_info(job->trace);
	fputs("{\"displayTimeUnit\":\"ns\",\"otherData\":{\"maker\":\"strobe\"", writing.out);
	if (info->path)
		put_member(writing.out, ",\"trace\"", info->path);
	put_member(writing.out, ",\"clock\"",
		   job->summary.has_time ? "time" : "items, 1 ns each: the trace has no time");
	fputs("},\"traceEvents\":[", writing.out);
	error = write_threads(&writing);
	fputs("\n]}\n", writing.out);
	if (!error)
		error = export_output_commit(&writing.output, &job->summary.bytes);
	export_output_discard(&writing.output);
	return error;
}
