// SPDX-License-Identifier: Apache-2.0
// What a server in DEEP's protocol answers to a poll.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "deep/messages.h"
#include "tracepoint/config.h"

/** Everything of it is read; what is taken is made into a configuration, as a session does. */
static size_t look_at(const struct poll_answer *answer)
{
	size_t sum = answer->hash ? strlen(answer->hash) : 0;
	for (size_t i = 0; i < answer->count; i++) {
		const struct strobe_tracepoint *one = &answer->tracepoints[i];
		struct tracepoint_config *config = NULL;
		sum += one->id ? strlen(one->id) : 0;
		for (size_t j = 0; j < one->argument_count; j++) {
			sum += strlen(one->arguments[j].name) + strlen(one->arguments[j].value);
			if (j && strcmp(one->arguments[j - 1].name, one->arguments[j].name) > 0)
				abort(); // a map has no order: they come sorted
		}
		for (size_t j = 0; j < one->metric_count; j++)
			sum += one->metrics[j].label_count;
		struct strobe_error *error = config_new(one, "deep", &config);
		strobe_error_free(error);
		config_free(config);
	}
	return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct poll_answer answer;
	struct strobe_error *error = message_read_poll(data, size, &answer);
	if (error) {
		strobe_error_free(error);
		return 0;
	}
	if (look_at(&answer) == SIZE_MAX)
		abort();
	poll_answer_fini(&answer);
	return 0;
}
