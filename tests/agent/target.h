// SPDX-License-Identifier: Apache-2.0
#ifndef TESTS_AGENT_TARGET_H
#define TESTS_AGENT_TARGET_H

// A child whose threads call a function all the time, and which says at the end whether every result was right.

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <strobe/symbols.h>
#include <strobe/view.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "patience.h"
#include "tracepoint/engine.h"

/** Begins with an instruction of seven bytes that is relative to the pc. */
uint64_t hot_function(uint64_t number, uint64_t other);
extern const uint8_t hot_end[];
__asm__(".pushsection .text\n"
	".balign 64\n"
	".type hot_function,@function\n"
	"hot_function:\n"
	"lea hot_function(%rip), %rax\n"
	"sub %rax, %rax\n"
	"lea 3(%rdi, %rsi), %rax\n"
	"ret\n"
	"hot_end:\n"
	".size hot_function, .-hot_function\n"
	".popsection\n");

/** Shared with the child. */
struct target_page {
	volatile uint64_t calls_wanted; // each thread; 0 = until `stop`
	volatile uint64_t stop, wrong, calls, running, go, finished;
};
struct target {
	pid_t pid;
	unsigned threads;
	struct target_page *page;
	struct strobe_view *view;
	struct strobe_symbols *symbols;
	void *engine;
};

static inline void *target_run(void *context)
{
	struct target_page *page = context;
	uint64_t calls = 0, wrong = 0;
	__atomic_fetch_add(&page->running, 1, __ATOMIC_SEQ_CST);
	while (!page->go)
		usleep(100);
	while (page->calls_wanted ? calls < page->calls_wanted : !page->stop) {
		wrong += hot_function(calls, 5) != calls + 8;
		calls++;
	}
	__atomic_fetch_add(&page->calls, calls, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&page->wrong, wrong, __ATOMIC_SEQ_CST);
	__atomic_fetch_add(&page->finished, 1, __ATOMIC_SEQ_CST);
	return NULL;
}

static inline void target_child(struct target *target)
{
	pthread_t threads[16];
	for (unsigned i = 0; i < target->threads; i++)
		pthread_create(&threads[i], NULL, target_run, target->page);
	for (unsigned i = 0; i < target->threads; i++)
		pthread_join(threads[i], NULL);
	while (!target->page->stop)
		usleep(1000);
	_exit(target->page->wrong ? 1 : 0);
}

static inline void target_start(struct target *target, unsigned threads, uint64_t calls)
{
	*target = (struct target){.threads = threads};
	target->page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(target->page != MAP_FAILED);
	target->page->calls_wanted = calls;
	target->pid = fork();
	if (target->pid == 0)
		target_child(target);
	while (target->page->running < threads)
		usleep(1000);
}

static inline void target_watch(struct target *target)
{
	char name[20];
	snprintf(name, sizeof(name), "%d", target->pid);
	CHECK_OK(strobe_view_open(name, NULL, &target->view));
	CHECK_OK(strobe_symbols_open(target->view, &target->symbols));
	CHECK_OK(agent_engine.open(target->pid, target->symbols, &target->engine));
}

static inline void target_unwatch(struct target *target)
{
	if (target->engine)
		agent_engine.close(target->engine);
	strobe_symbols_close(target->symbols);
	strobe_view_close(target->view);
	target->engine = NULL;
}

/** It ends by itself, with all results right. */
static inline void target_end(struct target *target)
{
	int status = -1;
	target->page->go = target->page->stop = 1;
	CHECK_EQUAL(waitpid(target->pid, &status, 0), target->pid);
	CHECK_EQUAL(status, 0);
	munmap(target->page, 4096);
}

/** What stands in its memory; our own code is the same program's. */
static inline bool target_code_is_ours(const struct target *target, const void *code, size_t size)
{
	uint8_t now[4096];
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/mem", target->pid);
	int mem = open(path, O_RDONLY | O_CLOEXEC);
	bool same = mem >= 0;
	for (size_t at = 0; same && at < size; at += sizeof(now)) {
		size_t part = size - at < sizeof(now) ? size - at : sizeof(now);
		const uint8_t *ours = (const uint8_t *)code + at;
		same = pread(mem, now, part, (off_t)(uintptr_t)ours) == (ssize_t)part &&
		       memcmp(now, ours, part) == 0;
	}
	close(mem);
	return same;
}

extern const uint8_t target_text_start[] __asm__("_init"), target_text_end[] __asm__("etext");
/** All of the program's. */
static inline bool target_text_is_ours(const struct target *target)
{
	return target_code_is_ours(target, target_text_start,
				   (size_t)(target_text_end - target_text_start));
}

#endif
