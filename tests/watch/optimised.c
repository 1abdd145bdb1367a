// SPDX-License-Identifier: Apache-2.0
// Built with -O2: what is dead is not there.
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static volatile int stop, sink;

__attribute__((noinline)) static int work(int n, int unused)
{
	int gone = sink; // read once, and overwritten
	sink = gone + unused;
	int kept = n + 1;
	sink = kept; // FIRST
	sink = 5;
	__asm__ volatile(""
			 :
			 :
			 : "memory", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11");
	sink = 6; // GONE
	return sink;
}

static void end(int number)
{
	(void)number;
	stop = 1;
}

int main(void)
{
	signal(SIGTERM, end);
	for (int i = 0; !stop; i++) {
		work(i, 2);
		usleep(1000);
	}
	puts("output is the program's own");
	return 3;
}
