// SPDX-License-Identifier: Apache-2.0
// Preloaded into a program that bench/coverage.c starts: waits, before its main, until sites are armed. STROBE_GATE is a socket.
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void wait_at_gate(void)
{
	const char *text = getenv("STROBE_GATE");
	char byte = 0;
	if (!text)
		return;
	int gate = atoi(text);
	unsetenv("STROBE_GATE");
	unsetenv("LD_PRELOAD");
	if (write(gate, &byte, 1) == 1 && read(gate, &byte, 1) < 0)
		_exit(126);
	close(gate);
}
