// SPDX-License-Identifier: Apache-2.0
#include "heap/glibc_memory.h"

#include <stdlib.h>

#include "view/view.h"

bool glibc_window_init(struct glibc_window *window, const struct strobe_view *view,
		       size_t buffer_size)
{
	*window = (struct glibc_window){
		.view = view, .buffer = malloc(buffer_size), .buffer_size = buffer_size};
	return window->buffer != NULL;
}

void glibc_window_fini(struct glibc_window *window)
{
	free(window->buffer);
	*window = (struct glibc_window){.buffer = NULL};
}

const uint8_t *glibc_window_fetch(struct glibc_window *window, uint64_t address, size_t size)
{
	size_t available = 0;
	const uint8_t *bytes =
		view_stream(window->view, address, window->buffer, window->buffer_size, &available);
	if (bytes && available >= size) {
		window->bytes = bytes;
		window->start = address;
		window->size = available;
		return bytes;
	}
	window->size = 0;
	if (view_read_through(window->view, address, window->spill, size) != size)
		return NULL;
	return window->spill;
}

bool glibc_read_word(const struct strobe_view *view, uint64_t address, uint64_t *ret)
{
	return view_read_through(view, address, ret, sizeof(*ret)) == sizeof(*ret);
}
