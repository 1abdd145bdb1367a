// SPDX-License-Identifier: Apache-2.0
#include "recording/explain.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strobe/view.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "base/text.h"
#include "recording/format.h"

/** "openat(0xffffff9c, 0x7ffd..., 0x0, 0x0, 0x0, 0x0)", and what the recorder read of the arguments. */
static void tell_system_call(struct text *text, const struct recording_event_record *record,
			     const char *words)
{
	const char *name = strobe_system_call_name((int64_t)record->value);
	if (name)
		text_append(text, name);
	else
		text_printf(text, "system call %" PRId64, (int64_t)record->value);
	text_append_char(text, '(');
	for (unsigned i = 0; i < 6; i++)
		text_printf(text, "%s0x%" PRIx64, i ? ", " : "", record->arguments[i]);
	text_append_char(text, ')');
	if (*words)
		text_printf(text, " %s", words);
}

static void tell_result(struct text *text, const struct recording_event_record *record)
{
	enum { ERRNO_LIMIT = 4095 };
	const char *name = strobe_system_call_name((int64_t)record->value_2);
	int64_t result = (int64_t)record->value;
	const char *error =
		result < 0 && result >= -ERRNO_LIMIT ? strerrorname_np((int)-result) : NULL;
	if (name)
		text_append(text, name);
	else
		text_printf(text, "system call %" PRId64, (int64_t)record->value_2);
	if (error)
		text_printf(text, " = -%s", error);
	else if (result >= -ERRNO_LIMIT && result < 1 << 20)
		text_printf(text, " = %" PRId64, result);
	else
		text_printf(text, " = 0x%" PRIx64, (uint64_t)result);
}

static void tell_status(struct text *text, int status)
{
	const char *name = WIFSIGNALED(status) ? strobe_signal_name(WTERMSIG(status)) : NULL;
	if (WIFEXITED(status))
		text_printf(text, "exit status %d", WEXITSTATUS(status));
	else if (name)
		text_printf(text, "killed by %s", name);
	else
		text_printf(text, "killed by signal %d", WTERMSIG(status));
}

static void tell_signal(struct text *text, const struct recording_event_record *record,
			const char *words)
{
	const char *name = strobe_signal_name((int)record->value);
	if (name)
		text_append(text, name);
	else
		text_printf(text, "signal %d", (int)record->value);
	if (*words)
		text_printf(text, " %s", words);
}

static void tell(struct text *text, const struct recording_event_record *record, const char *words)
{
	switch (record->type) {
	case STROBE_EVENT_SYSTEM_CALL:
		tell_system_call(text, record, words);
		break;
	case STROBE_EVENT_SYSTEM_CALL_END:
		tell_result(text, record);
		break;
	case STROBE_EVENT_SIGNAL:
		tell_signal(text, record, words);
		break;
	case STROBE_EVENT_THREAD_END:
		tell_status(text, (int)record->value);
		break;
	default:
		text_append(text, words);
	}
}

bool explain_event(const uint8_t *bytes, struct window_note *note, struct arena *arena)
{
	struct recording_event_record record;
	struct text text = {0};
	memcpy(&record, bytes, sizeof(record));
	if (record.type >= STROBE_EVENT_TYPE_COUNT)
		return false;
	tell(&text, &record, (const char *)bytes + sizeof(record));
	*note = (struct window_note){
		.has_address = record.flags & EVENT_HAS_ADDRESS,
		.has_target = record.flags & EVENT_HAS_TARGET,
		.type = (uint8_t)record.type,
		.address = record.address,
		.target = record.target,
		.value = record.value,
		.value_2 = record.value_2,
		.text = text.failed ? NULL
				    : arena_copy_string(arena, text_string(&text), text.size),
	};
	text_fini(&text);
	return note->text != NULL;
}
