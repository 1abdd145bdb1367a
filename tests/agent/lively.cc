// SPDX-License-Identifier: Apache-2.0
// A program whose stacks do what they like: coroutines that switch within probed functions, C++ exceptions through them, threads that come
// and go, a library that is loaded and unloaded. What is to be probed is in one section; prints where that is. Runs until its
// standard input ends; exits with 0 if all results were right.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdexcept>
#include <ucontext.h>
#include <unistd.h>

#define HOT __attribute__((section("hot_text"), noinline))
extern "C" const uint8_t __start_hot_text[], __stop_hot_text[];

static volatile bool stop;
static uint64_t wrong;
static uint64_t rounds[4];

static void expect(bool good)
{
	if (!good)
		__atomic_fetch_add(&wrong, 1, __ATOMIC_SEQ_CST);
}

struct failure : std::runtime_error {
	uint64_t number;
	explicit failure(uint64_t n) : std::runtime_error("failure"), number(n)
	{
	}
};

struct counted {
	uint64_t &count;
	explicit counted(uint64_t &c) : count(c)
	{
		count++;
	}
	~counted()
	{
		count--;
	}
};

HOT uint64_t throw_at(uint64_t depth, uint64_t number, uint64_t &alive)
{
	counted here(alive);
	if (depth == 0)
		throw failure(number);
	return throw_at(depth - 1, number + depth, alive) + 1;
}

HOT uint64_t catch_it(uint64_t number)
{
	uint64_t alive = 0;
	try {
		throw_at(6, number, alive);
	} catch (const failure &failed) {
		return failed.number + alive;
	}
	return 0;
}

static void *run_exceptions(void *)
{
	for (uint64_t i = 0; !stop; i++, rounds[0]++)
		expect(catch_it(i) == i + 21);
	return nullptr;
}

struct coroutine {
	ucontext_t own, caller;
	uint64_t value;
	char stack[65536];
};
static thread_local struct coroutine *current;

HOT void yield_value(uint64_t value)
{
	struct coroutine *self = current;
	self->value = value;
	swapcontext(&self->own, &self->caller);
}

HOT void produce()
{
	for (uint64_t i = 0, a = 1;; i++) {
		yield_value(a);
		a = a * 3 + i;
	}
}

HOT uint64_t resume(struct coroutine *coroutine)
{
	current = coroutine;
	swapcontext(&coroutine->caller, &coroutine->own);
	return coroutine->value;
}

static void *run_coroutines(void *)
{
	enum { COUNT = 3, STEPS = 200 };
	auto *all = new coroutine[COUNT];
	for (; !stop; rounds[1]++) {
		for (unsigned i = 0; i < COUNT; i++) {
			getcontext(&all[i].own);
			all[i].own.uc_stack.ss_sp = all[i].stack;
			all[i].own.uc_stack.ss_size = sizeof(all[i].stack);
			all[i].own.uc_link = nullptr;
			makecontext(&all[i].own, produce, 0);
		}
		uint64_t a = 1;
		for (uint64_t step = 0; step < STEPS; step++) {
			for (unsigned i = 0; i < COUNT; i++)
				expect(resume(&all[i]) == a);
			a = a * 3 + step;
		}
	}
	delete[] all;
	return nullptr;
}

HOT void *live_shortly(void *context)
{
	uint64_t sum = 0;
	for (uint64_t i = 0; i < 50; i++)
		sum += catch_it(i) * (reinterpret_cast<uint64_t>(context) & 0xff);
	return reinterpret_cast<void *>(sum);
}

static void *run_threads(void *)
{
	for (; !stop; rounds[2]++) {
		pthread_t threads[3];
		for (uint64_t i = 0; i < 3; i++)
			pthread_create(&threads[i], nullptr, live_shortly,
				       reinterpret_cast<void *>(i));
		for (uint64_t i = 0; i < 3; i++) {
			void *result;
			pthread_join(threads[i], &result);
			expect(reinterpret_cast<uint64_t>(result) == i * (50 * 21 + 49 * 25));
		}
	}
	return nullptr;
}

/** The library's function: it comes, is called for a while, and goes. */
static void *run_library(void *path)
{
	for (; !stop; rounds[3]++) {
		void *library = dlopen(static_cast<const char *>(path), RTLD_NOW | RTLD_LOCAL);
		if (!library) {
			expect(false);
			return nullptr;
		}
		auto function =
			reinterpret_cast<uint64_t (*)(uint64_t)>(dlsym(library, "guest_function"));
		for (uint64_t i = 0; i < 3000; i++)
			expect(function(i) == i * 7 + 3);
		dlclose(library);
	}
	return nullptr;
}

int main(int, char **argv)
{
	void *(*const kinds[])(void *) = {run_exceptions, run_coroutines, run_threads, run_library};
	pthread_t threads[4];
	char byte;
	printf("%lx %lx\n", reinterpret_cast<unsigned long>(__start_hot_text),
	       reinterpret_cast<unsigned long>(__stop_hot_text));
	fflush(stdout);
	for (unsigned i = 0; i < 4; i++)
		pthread_create(&threads[i], nullptr, kinds[i], argv[1]);
	while (read(0, &byte, 1) > 0)
		;
	stop = true;
	for (pthread_t thread : threads)
		pthread_join(thread, nullptr);
	fprintf(stderr,
		"# %lu exceptions, %lu coroutines' rounds, %lu of threads, %lu of a library; %lu "
		"wrong\n",
		(unsigned long)rounds[0], (unsigned long)rounds[1], (unsigned long)rounds[2],
		(unsigned long)rounds[3], (unsigned long)wrong);
	bool all = rounds[0] && rounds[1] && rounds[2] && rounds[3];
	return wrong != 0 || !all;
}
