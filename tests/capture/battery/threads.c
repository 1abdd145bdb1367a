// SPDX-License-Identifier: Apache-2.0
// Unusual threads and unusual stacks.
#include "battery.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { CANARY = 0x5a };

static bool clean(const unsigned char *from, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (from[i] != CANARY)
			return false;
	return true;
}

static void spin(int times)
{
	for (volatile int i = 0; i < times; i++)
		;
}

// Spins and sleeps by turns, until the end.
static void *work(void *unused)
{
	while (battery_more()) {
		struct timespec time = {0, 500000};
		spin(100000);
		long got = CALL(SYS_nanosleep, &time, 0);
		if (got != 0) {
			battery_fail("nanosleep gives %ld", got);
			break;
		}
	}
	return NULL;
}

// On memory with canaries around it.
struct stack {
	unsigned char *whole, *low;
	size_t size;
	pthread_t thread;
};
enum { AROUND = 16384 };

static void make_stack(struct stack *stack, size_t size)
{
	stack->whole = malloc(size + 2 * AROUND + 64);
	memset(stack->whole, CANARY, size + 2 * AROUND + 64);
	stack->low = (unsigned char *)(((uintptr_t)stack->whole + AROUND + 63) & ~(uintptr_t)63);
	stack->size = size;
}

static bool intact(const struct stack *stack)
{
	return clean(stack->whole, (size_t)(stack->low - stack->whole)) &&
	       clean(stack->low + stack->size, AROUND);
}

static void small_stacks(const struct battery_check *check)
{
	struct stack stacks[4];
	for (int i = 0; i < 4; i++) {
		pthread_attr_t attributes;
		pthread_attr_init(&attributes);
		make_stack(&stacks[i], 32 * 1024);
		pthread_attr_setstack(&attributes, stacks[i].low, stacks[i].size);
		EXPECT(pthread_create(&stacks[i].thread, &attributes, work, NULL) == 0,
		       "pthread_create with 32 KiB fails");
	}
	battery_ready();
	while (battery_more()) {
		for (int i = 0; i < 4; i++)
			EXPECT(intact(&stacks[i]), "bytes around a small stack changed");
		usleep(300);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(stacks[i].thread, NULL);
}

// A switch of stacks as coroutine libraries do it.
__asm__(".text\n"
	".type switch_stack,@function\n"
	"switch_stack:\n" // rdi: where to keep this stack's pointer, rsi: that of the other
	"	push %rbp\n push %rbx\n push %r12\n push %r13\n push %r14\n push %r15\n"
	"	mov %rsp, (%rdi)\n"
	"	mov %rsi, %rsp\n"
	"	pop %r15\n pop %r14\n pop %r13\n pop %r12\n pop %rbx\n pop %rbp\n"
	"	ret\n"
	".size switch_stack,.-switch_stack\n");
void switch_stack(uint64_t **keep, uint64_t *other);

struct coroutine {
	struct stack stack;
	uint64_t *here, *caller;
	size_t room; // bytes that it leaves below itself
};
static _Thread_local struct coroutine *running;

// Sleeps and spins on a stack that has `room` bytes left: whoever uses more meets the canaries.
static void coroutine_body(void)
{
	for (;;) {
		struct coroutine *self = running;
		static struct timespec time = {0, 300000};
		spin(200000);
		long got = CALL(SYS_nanosleep, &time, 0);
		if (got != 0)
			battery_fail("nanosleep gives %ld", got);
		switch_stack(&self->here, self->caller);
	}
}

static void coroutine_init(struct coroutine *coroutine, size_t size, size_t room)
{
	make_stack(&coroutine->stack, size);
	// What stands below `room` bytes of the frame is not the coroutine's to use.
	uintptr_t top = (uintptr_t)(coroutine->stack.low + (room ? room + 512 : size));
	uint64_t *at = (uint64_t *)((top & ~(uintptr_t)15) - 64);
	memset(at, 0, 64);
	at[6] = (uint64_t)coroutine_body; // where the switch returns to
	coroutine->here = at;
	coroutine->room = room;
}

static void *run_coroutines(void *room)
{
	struct coroutine coroutines[4];
	for (int i = 0; i < 4; i++)
		coroutine_init(&coroutines[i], 16 * 1024, (size_t)room);
	battery_ready();
	for (int i = 0; battery_more(); i = (i + 1) % 4) {
		running = &coroutines[i];
		switch_stack(&coroutines[i].caller, coroutines[i].here);
		if (!intact(&coroutines[i].stack)) {
			battery_fail("bytes around a coroutine's stack changed");
			break;
		}
	}
	return NULL;
}

static void coroutines(const struct battery_check *check)
{
	run_coroutines(NULL);
}

// Hardly a frame's worth of stack is left: there is room for the red zone and some more, no more.
static void full_stack(const struct battery_check *check)
{
	run_coroutines((void *)256);
}

static void coroutine_threads(const struct battery_check *check)
{
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, run_coroutines, (void *)(uintptr_t)(i * 128));
	run_coroutines((void *)256);
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

static struct stack signal_stack;

static void handle_long(int signal)
{
	work(NULL);
}

// All the time in a handler, on an alternate stack as small as handlers need it.
static void on_altstack(const struct battery_check *check)
{
	size_t least = getauxval(AT_MINSIGSTKSZ);
	make_stack(&signal_stack, (least ? least : 2048) + 1536);
	stack_t set = {.ss_sp = signal_stack.low, .ss_size = signal_stack.size}, now;
	EXPECT(sigaltstack(&set, NULL) == 0, "sigaltstack: %s", strerror(errno));
	struct sigaction action = {.sa_handler = handle_long, .sa_flags = SA_ONSTACK};
	sigaction(SIGUSR1, &action, NULL);
	battery_ready();
	raise(SIGUSR1);
	EXPECT(intact(&signal_stack), "bytes around the alternate stack changed");
	sigaltstack(NULL, &now);
	EXPECT(now.ss_sp == set.ss_sp && now.ss_size == set.ss_size && now.ss_flags == 0,
	       "its settings changed");
}

static void *outlive(void *unused)
{
	battery_sleep_ns(20000000);
	battery_ready();
	work(NULL);
	atomic_store(&shared->finished, 1);
	_exit(0);
}

static void leader_gone(const struct battery_check *check)
{
	pthread_t thread;
	pthread_create(&thread, NULL, outlive, NULL);
	pthread_exit(NULL);
}

static void *sleep_long(void *unused)
{
	while (battery_more()) {
		struct timespec time = {0, 50000000};
		long got = CALL(SYS_nanosleep, &time, 0);
		if (got != 0)
			battery_fail("nanosleep gives %ld", got);
	}
	return NULL;
}

static void many_threads(const struct battery_check *check)
{
	enum { COUNT = 500 };
	static pthread_t threads[COUNT];
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	for (int i = 0; i < COUNT; i++)
		EXPECT(pthread_create(&threads[i], &attributes, i % 100 ? sleep_long : work,
				      NULL) == 0,
		       "thread %d cannot be made", i);
	battery_ready();
	for (int i = 0; i < COUNT; i++)
		pthread_join(threads[i], NULL);
}

static void *give_back(void *value)
{
	return value;
}

static void thread_churn(const struct battery_check *check)
{
	pthread_attr_t attributes;
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	battery_ready();
	for (uintptr_t round = 0; battery_more(); round++) {
		pthread_t threads[8];
		for (uintptr_t i = 0; i < 8; i++)
			EXPECT(pthread_create(&threads[i], &attributes, give_back,
					      (void *)(round + i)) == 0,
			       "pthread_create: %s", strerror(errno));
		for (uintptr_t i = 0; i < 8; i++) {
			void *value = NULL;
			EXPECT(pthread_join(threads[i], &value) == 0 &&
				       value == (void *)(round + i),
			       "a thread gave another value");
		}
	}
}

// Threads that start threads and end themselves: no list of them is ever complete.
static pthread_attr_t relay_attributes;

static void *relay(void *unused)
{
	pthread_t next;
	if (!battery_more())
		return NULL;
	if (pthread_create(&next, &relay_attributes, relay, NULL) != 0)
		battery_fail("pthread_create: %s", strerror(errno));
	else
		pthread_detach(next);
	return NULL;
}

static void thread_relay(const struct battery_check *check)
{
	pthread_attr_init(&relay_attributes);
	pthread_attr_setstacksize(&relay_attributes, 64 * 1024);
	for (int i = 0; i < 3; i++)
		relay(NULL);
	battery_ready();
	while (!atomic_load(&shared->stop) && !atomic_load(&shared->failed))
		usleep(1000);
	usleep(20000); // the last ones end
}

// A robust lock in shared memory: who dies with it, or seems to, leaves EOWNERDEAD.
static void robust_lock(const struct battery_check *check)
{
	pthread_mutexattr_t attributes;
	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
	pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
	pthread_mutex_t *lock =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_init(lock, &attributes);
	battery_ready();
	while (battery_more()) {
		int got = pthread_mutex_lock(lock);
		EXPECT(got == 0, "lock: %s", strerror(got));
		for (int i = 0; i < 100; i++) {
			got = pthread_mutex_trylock(lock);
			EXPECT(got == EBUSY, "trylock of one's own: %s", strerror(got));
			usleep(20);
		}
		got = pthread_mutex_unlock(lock);
		EXPECT(got == 0, "unlock: %s", strerror(got));
	}
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static uint64_t turn;

static void *take_turns(void *number)
{
	uint64_t me = (uintptr_t)number;
	while (battery_more()) {
		pthread_mutex_lock(&mutex);
		while (turn % 3 != me && !atomic_load(&shared->stop))
			pthread_cond_wait(&condition, &mutex);
		turn++;
		pthread_cond_broadcast(&condition);
		pthread_mutex_unlock(&mutex);
	}
	pthread_cond_broadcast(&condition);
	return NULL;
}

static void locks(const struct battery_check *check)
{
	pthread_t threads[3];
	for (uintptr_t i = 0; i < 3; i++)
		pthread_create(&threads[i], NULL, take_turns, (void *)i);
	battery_ready();
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
}

const struct battery_check thread_checks[] = {
	{"small-stacks", "threads with stacks of 32 KiB", small_stacks},
	{"coroutines", "stacks of 16 KiB in the heap, none but such in use", coroutines},
	{"full-stack", "a thread with 256 bytes of its stack left", full_stack},
	{"coroutine-threads", "several such threads", coroutine_threads},
	{"on-altstack", "a handler on the smallest alternate stack", on_altstack},
	{"leader-gone", "the first thread has ended", leader_gone},
	{"many-threads", "500 threads", many_threads},
	{"thread-churn", "threads come and go all the time", thread_churn},
	{"thread-relay", "threads that start the next and end", thread_relay},
	{"robust-lock", "a robust lock in shared memory keeps its owner", robust_lock},
	{"locks", "threads that wait for each other go on", locks},
	{0},
};
