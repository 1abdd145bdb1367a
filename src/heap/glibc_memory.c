// SPDX-License-Identifier: Apache-2.0
#include "heap/glibc_memory.h"

#include <stdlib.h>

#include "view/view.h"

enum { AFTER_LEAP = 16384 };

bool glibc_window_init(struct glibc_window *window, const struct strobe_view *view,
		       size_t buffer_size)
{
	*window = (struct glibc_window){.view = view,
					.buffer = buffer_size ? malloc(buffer_size) : NULL,
					.buffer_size = buffer_size};
	return window->buffer || !buffer_size;
}

void glibc_window_fini(struct glibc_window *window)
{
	free(window->buffer);
	*window = (struct glibc_window){.buffer = NULL};
}

const uint8_t *glibc_window_fetch(struct glibc_window *window, uint64_t address, size_t size)
{
	size_t available = 0, wanted = window->buffer_size;
	// After a leap over a large block not much may be wanted of what is there.
	if (address - (window->start + window->size) > AFTER_LEAP && wanted > AFTER_LEAP)
		wanted = AFTER_LEAP;
	const uint8_t *bytes = window->buffer ? view_stream(window->view, address, window->buffer,
							    wanted, &available)
					      : view_pointer(window->view, address, &available);
	if (bytes && available >= size) {
		window->bytes = bytes;
		window->start = address;
		window->size = available;
		return bytes;
	}
	window->size = 0;
	if (strobe_memory_read(window->view, address, window->spill, size) != size)
		return NULL;
	return window->spill;
}

bool glibc_read_word(const struct strobe_view *view, uint64_t address, uint64_t *ret)
{
	return strobe_memory_read(view, address, ret, sizeof(*ret)) == sizeof(*ret);
}
