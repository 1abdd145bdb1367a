// SPDX-License-Identifier: Apache-2.0
#include "snapshot/crash_input.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "base/error.h"

static bool wants_on(const struct crash_input *input)
{
	return !input->progress ||
	       input->progress(input->context, input->position, input->expected);
}

struct strobe_error *crash_input_read(struct crash_input *input, void *bytes, size_t size,
				      size_t *got)
{
	*got = 0;
	while (*got < size && !input->ended) {
		// Unlike read(), poll() ends at every signal: a wish to stop is heard in silence, too.
		struct pollfd ready = {.fd = input->fd, .events = POLLIN};
		int count = poll(&ready, 1, -1);
		if (!wants_on(input))
			return error_new(STROBE_ERROR_LIMIT, "cancelled");
		if (count <= 0)
			continue;
		ssize_t done = read(input->fd, (char *)bytes + *got, size - *got);
		if (done < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (done < 0)
			return error_errno(errno, "the core's input");
		input->ended = done == 0;
		*got += (size_t)done;
		input->position += (uint64_t)done;
	}
	return NULL;
}
