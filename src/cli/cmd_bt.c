// SPDX-License-Identifier: Apache-2.0
#include "verbs.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"
#include "describe.h"
#include "frame.h"

static const struct option options[] = {
	{"thread", 't', "TID[,TID...]", NULL,
	 "Show these threads; 'signal' is the one that took the signal. Default: all."},
	{"frames", 'n', "N|A..B", NULL,
	 "Show the innermost N frames, or frames A to B. -N: the outermost N. Default: all."},
	{"locals", 'l', NULL, NULL, "Show the local variables of each frame."},
	{"args", 'a', NULL, NULL,
	 "Show the arguments in full; text has scalar ones in the frame's line in any case."},
	{"group", 'g', NULL, NULL, "Show threads with the same stack together, once."},
	{"past-main", 0, NULL, NULL, "Go on below main(), into the C library's start code."},
	OPTION_DYNAMIC,
	OPTIONS_FORMAT,
};

/** What is asked of `bt`. */
struct request {
	size_t *threads; // indexes
	size_t thread_count;
	uint64_t first, last; // frames; with from_end, the last `last` ones
	bool from_end;
	struct strobe_stack_options stack;
	struct frame_style style;
};

/** Threads with one stack, chained through grouping.next by their places in the request. */
struct group {
	uint64_t hash;
	size_t frame_count;
	size_t first, last;
	size_t count;
};

/** The groups of a request's threads, and a table that finds them by hash. */
struct grouping {
	struct group *groups;
	size_t count;
	size_t *next;	   // of each thread of the request; SIZE_MAX ends a chain
	size_t *slots;	   // group index + 1, 0 = empty
	size_t slot_count; // a power of two, at least twice the threads
};

static int add_thread(const struct command *command, struct request *request, char *word)
{
	const char *target = command->arguments[0];
	uint64_t tid;
	if (strcmp(word, "signal") == 0) {
		int signal_tid = strobe_view_process_info(command->view)->signal_tid;
		if (signal_tid <= 0)
			return command_fail(command, "%s: no thread took a signal", target);
		tid = (uint64_t)signal_tid;
	} else if (!parse_number(word, &tid) || tid > INT32_MAX) {
		return command_usage(command, "--thread: '%s' is not a thread id", word);
	}
	size_t index = strobe_view_thread_index(command->view, (int)tid);
	if (index >= strobe_view_thread_count(command->view))
		return command_fail(command, "thread %s: there is none in %s (see strobe threads)",
				    word, target);
	for (size_t i = 0; i < request->thread_count; i++)
		if (request->threads[i] == index)
			return STATUS_DONE;
	request->threads[request->thread_count++] = index;
	return STATUS_DONE;
}

static int choose_threads(const struct command *command, struct request *request)
{
	size_t count = strobe_view_thread_count(command->view);
	const char *list = command_option(command, "thread");
	request->threads = calloc(count + 1, sizeof(*request->threads));
	char *copy = list ? strdup(list) : NULL, *rest = copy, *word;
	int status = STATUS_DONE;
	if (!request->threads || (list && !copy))
		status = command_fail(command, "out of memory");
	else if (list && strcmp(list, "all") != 0)
		while (!status && (word = strsep(&rest, ",")))
			status = add_thread(command, request, word);
	else
		for (; request->thread_count < count; request->thread_count++)
			request->threads[request->thread_count] = request->thread_count;
	free(copy);
	return status;
}

static bool parse_frames(const char *text, struct request *request)
{
	char first[32];
	const char *dots = strstr(text, "..");
	if (text[0] == '-') {
		request->from_end = true;
		return parse_number(text + 1, &request->last);
	}
	if (!dots) {
		if (!parse_number(text, &request->last) || request->last == 0)
			return false;
		request->last--;
		return true;
	}
	if ((size_t)(dots - text) >= sizeof(first))
		return false;
	memcpy(first, text, (size_t)(dots - text));
	first[dots - text] = '\0';
	return parse_number(first, &request->first) &&
	       (!dots[2] || parse_number(dots + 2, &request->last)) &&
	       request->first <= request->last;
}

static int parse_request(const struct command *command, struct request *request)
{
	const char *frames = command_option(command, "frames");
	*request = (struct request){.last = UINT32_MAX, .stack = {.size = sizeof(request->stack)}};
	if (frames && !parse_frames(frames, request))
		return command_usage(command, "--frames: '%s' is neither N, A..B nor -N", frames);
	request->style.args = command_has(command, "args");
	request->style.locals = command_has(command, "locals");
	request->style.dynamic = command_has(command, "dynamic");
	request->stack.past_main = command_has(command, "past-main");
	if (!request->from_end && request->last < UINT32_MAX)
		request->stack.max_frames = request->last + 1;
	if (command_has(command, "group") && (request->style.args || request->style.locals))
		return command_usage(command, "--group cannot show variables: they differ");
	int status = command_format(command, &request->style.format);
	return status ? status : choose_threads(command, request);
}

// The frames of `stack` to show: [*start, *end).
static void frame_range(const struct request *request, const struct strobe_stack *stack,
			size_t *start, size_t *end)
{
	size_t count = strobe_stack_frame_count(stack);
	if (request->from_end) {
		*start = request->last < count ? count - request->last : 0;
		*end = count;
		return;
	}
	*end = request->last < count ? request->last + 1 : count;
	*start = request->first < *end ? request->first : *end;
}

static void thread_heading(const struct command *command, const struct strobe_thread *thread)
{
	char signal[256];
	bool color = command->color;
	const struct strobe_process_info *info = strobe_view_process_info(command->view);
	printf("%sThread %d%s", style_start(color, STYLE_HEADING), thread->tid, style_end(color));
	if (thread->name) {
		fputs_unlocked(" \"", stdout);
		put_safe(stdout, thread->name);
		putc_unlocked('"', stdout);
	}
	if (thread->tid == info->signal_tid && info->signal.number) {
		signal_text(&info->signal, signal, sizeof(signal));
		printf("  %stook %s%s", style_start(color, STYLE_ALERT), signal, style_end(color));
	}
	putc_unlocked('\n', stdout);
}

static void stop_text(const struct command *command, const struct request *request,
		      const struct strobe_stack *stack, size_t end)
{
	enum strobe_stack_stop stop = strobe_stack_stop(stack);
	size_t count = strobe_stack_frame_count(stack);
	if (stop == STROBE_STOP_LIMIT && end < UINT32_MAX && request->stack.max_frames)
		printf("%s    (more frames follow)%s\n", style_start(command->color, STYLE_FAINT),
		       style_end(command->color));
	else if (stop != STROBE_STOP_OUTERMOST && stop != STROBE_STOP_MAIN && end == count)
		printf("%s    (the stack ends here: %s)%s\n",
		       style_start(command->color, STYLE_FAINT), strobe_stack_stop_text(stack),
		       style_end(command->color));
}

static void stack_text(const struct command *command, const struct request *request,
		       const struct strobe_stack *stack)
{
	size_t start, end;
	frame_range(request, stack, &start, &end);
	for (size_t i = start; i < end; i++)
		frame_text(command, stack, i, &request->style);
	stop_text(command, request, stack, end);
}

static const char *stop_name(enum strobe_stack_stop stop)
{
	static const char *const names[] = {
		[STROBE_STOP_OUTERMOST] = "outermost",
		[STROBE_STOP_MAIN] = "main",
		[STROBE_STOP_LIMIT] = "limit",
		[STROBE_STOP_NO_REGISTERS] = "no-registers",
		[STROBE_STOP_UNREADABLE] = "unreadable",
		[STROBE_STOP_NO_CALLER] = "no-caller",
		[STROBE_STOP_LOOP] = "loop",
		[STROBE_STOP_BAD_CFI] = "bad-cfi",
	};
	return (size_t)stop < sizeof(names) / sizeof(names[0]) ? names[stop] : "unknown";
}

static void stack_json(const struct command *command, const struct request *request,
		       const struct strobe_stack *stack, struct json *json)
{
	size_t start, end;
	frame_range(request, stack, &start, &end);
	json_array(json, "frames", true);
	for (size_t i = start; i < end; i++)
		frame_json(command, stack, i, &request->style, json);
	json_array_end(json);
	json_string(json, "stop", stop_name(strobe_stack_stop(stack)));
	json_string(json, "stop_text", strobe_stack_stop_text(stack));
}

static struct strobe_error *open_stack(const struct command *command, const struct request *request,
				       size_t thread, struct strobe_stack **stack)
{
	return strobe_stack_open(command->symbols, thread, &request->stack, stack);
}

static int each_thread(const struct command *command, const struct request *request,
		       struct json *json)
{
	for (size_t i = 0; i < request->thread_count; i++) {
		struct strobe_stack *stack = NULL;
		const struct strobe_thread *thread =
			strobe_view_thread(command->view, request->threads[i]);
		struct strobe_error *error =
			open_stack(command, request, request->threads[i], &stack);
		if (error)
			return command_error(command, "stack", error);
		if (json) {
			json_object(json, NULL);
			json_signed(json, "tid", thread->tid);
			json_string(json, "name", thread->name);
			stack_json(command, request, stack, json);
			json_object_end(json);
		} else {
			if (i > 0)
				putc_unlocked('\n', stdout);
			thread_heading(command, thread);
			stack_text(command, request, stack);
		}
		strobe_stack_close(stack);
		if (ferror(stdout))
			return STATUS_FAILED;
	}
	return STATUS_DONE;
}

// FNV-1a over what makes two stacks the same to a reader: the pcs and why it ends.
static uint64_t stack_hash(const struct strobe_stack *stack)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < strobe_stack_frame_count(stack); i++)
		hash = (hash ^ strobe_stack_frame(stack, i)->pc) * UINT64_C(0x100000001b3);
	return (hash ^ (uint64_t)strobe_stack_stop(stack)) * UINT64_C(0x100000001b3);
}

// The group of stacks like this one; a new one (of no threads) if there is none.
static struct group *find_group(struct grouping *grouping, uint64_t hash, size_t frames)
{
	size_t slot = hash & (grouping->slot_count - 1);
	for (; grouping->slots[slot]; slot = (slot + 1) & (grouping->slot_count - 1)) {
		struct group *group = &grouping->groups[grouping->slots[slot] - 1];
		if (group->hash == hash && group->frame_count == frames)
			return group;
	}
	struct group *group = &grouping->groups[grouping->count++];
	grouping->slots[slot] = grouping->count;
	*group = (struct group){.hash = hash, .frame_count = frames};
	return group;
}

static int make_groups(const struct command *command, const struct request *request,
		       struct grouping *grouping)
{
	for (size_t i = 0; i < request->thread_count; i++) {
		struct strobe_stack *stack = NULL;
		struct strobe_error *error =
			open_stack(command, request, request->threads[i], &stack);
		if (error)
			return command_error(command, "stack", error);
		struct group *group =
			find_group(grouping, stack_hash(stack), strobe_stack_frame_count(stack));
		strobe_stack_close(stack);
		if (group->count++ == 0)
			group->first = i;
		else
			grouping->next[group->last] = i;
		group->last = i;
		grouping->next[i] = SIZE_MAX;
	}
	return STATUS_DONE;
}

static void group_heading(const struct command *command, const struct request *request,
			  const struct grouping *grouping, const struct group *group)
{
	enum { TIDS_SHOWN = 10 };
	size_t shown = 0;
	printf("%s%zu threads with this stack:%s", style_start(command->color, STYLE_HEADING),
	       group->count, style_end(command->color));
	for (size_t i = group->first; i != SIZE_MAX && shown < TIDS_SHOWN; i = grouping->next[i])
		printf("%s %d", shown++ ? "," : "",
		       strobe_view_thread(command->view, request->threads[i])->tid);
	puts(shown < group->count ? ", ..." : "");
}

static void group_json(const struct command *command, const struct request *request,
		       const struct grouping *grouping, const struct group *group,
		       struct json *json)
{
	const struct strobe_thread *first =
		strobe_view_thread(command->view, request->threads[group->first]);
	json_signed(json, "tid", first->tid);
	json_string(json, "name", first->name);
	json_array(json, "tids", false);
	for (size_t i = group->first; i != SIZE_MAX; i = grouping->next[i])
		json_signed(json, NULL,
			    strobe_view_thread(command->view, request->threads[i])->tid);
	json_array_end(json);
}

static int show_group(const struct command *command, const struct request *request,
		      const struct grouping *grouping, size_t index, struct json *json)
{
	struct strobe_stack *stack = NULL;
	const struct group *group = &grouping->groups[index];
	size_t thread = request->threads[group->first];
	struct strobe_error *error = open_stack(command, request, thread, &stack);
	if (error)
		return command_error(command, "stack", error);
	if (json) {
		json_object(json, NULL);
		group_json(command, request, grouping, group, json);
		stack_json(command, request, stack, json);
		json_object_end(json);
	} else {
		if (index > 0)
			putchar('\n');
		if (group->count > 1)
			group_heading(command, request, grouping, group);
		else
			thread_heading(command, strobe_view_thread(command->view, thread));
		stack_text(command, request, stack);
	}
	strobe_stack_close(stack);
	return STATUS_DONE;
}

static int each_group(const struct command *command, const struct request *request,
		      struct json *json)
{
	struct grouping grouping = {.slot_count = 16};
	while (grouping.slot_count < 2 * request->thread_count)
		grouping.slot_count *= 2;
	grouping.groups = calloc(request->thread_count + 1, sizeof(*grouping.groups));
	grouping.next = calloc(request->thread_count + 1, sizeof(*grouping.next));
	grouping.slots = calloc(grouping.slot_count, sizeof(*grouping.slots));
	int status = grouping.groups && grouping.next && grouping.slots
			     ? make_groups(command, request, &grouping)
			     : command_fail(command, "out of memory");
	for (size_t i = 0; i < grouping.count && !status; i++)
		status = show_group(command, request, &grouping, i, json);
	free(grouping.groups);
	free(grouping.next);
	free(grouping.slots);
	return status;
}

static int run_bt(struct command *command)
{
	struct request request;
	struct json json;
	bool group = command_has(command, "group");
	int status = parse_request(command, &request);
	if (!status && command->json) {
		json_init(&json, stdout);
		json_object(&json, NULL);
		json_array(&json, "threads", true);
		status = group ? each_group(command, &request, &json)
			       : each_thread(command, &request, &json);
		if (!status) {
			json_array_end(&json);
			json_object_end(&json);
			json_fini(&json);
		}
	} else if (!status) {
		status = group ? each_group(command, &request, NULL)
			       : each_thread(command, &request, NULL);
	}
	free(request.threads);
	return status;
}

const struct verb verb_bt = {
	.name = "bt",
	.arguments = "TARGET",
	.summary = "the stacks of all threads, with inlined calls, arguments and local variables",
	.options = options,
	.option_count = sizeof(options) / sizeof(options[0]),
	.min_arguments = 1,
	.max_arguments = 1,
	.has_target = true,
	.run = run_bt,
};
