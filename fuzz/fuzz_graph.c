// SPDX-License-Identifier: Apache-2.0
// Stored graphs. The first byte says what the rest is: a file as it is, or one whose version and sums are put right. What is
// taken for a graph must be safe to use, and hold together as far as opening promises.
#include <unistd.h>

#include "base/file.h"
#include "synthetic_core.h"
#include "use_graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static volatile uint64_t sum;
	struct file *file;
	struct strobe_graph *graph = NULL;
	if (size < 2)
		return 0;
	uint8_t *bytes = malloc(size - 1);
	if (!bytes)
		return 0;
	memcpy(bytes, data + 1, size - 1);
	if (data[0] % 2)
		put_graph_right(bytes, size - 1);
	int fd = memory_file("graph", bytes, size - 1);
	free(bytes);
	struct strobe_error *error = fd < 0 ? NULL : file_open_descriptor(fd, "graph", &file);
	if (fd >= 0 && !error)
		error = store_open(file, NULL, NULL, &graph);
	if (graph)
		sum += use_graph(graph);
	strobe_error_free(error);
	strobe_graph_close(graph);
	if (fd >= 0)
		close(fd);
	return 0;
}
