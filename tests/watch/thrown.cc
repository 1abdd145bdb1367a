// SPDX-License-Identifier: Apache-2.0
// What the tests of exceptions watch: some that are thrown through several calls, caught here and there, and thrown again.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <unistd.h>

static volatile sig_atomic_t stop;
static volatile int sink;

namespace shop
{
struct Refused : std::runtime_error {
	int code;
	explicit Refused(int number) : std::runtime_error("refused " + std::to_string(number)), code(number)
	{
	}
};
struct Guard {
	int *count;
	~Guard()
	{
		++*count;
	}
};
} // namespace shop

__attribute__((noinline)) static int thrower(int n)
{
	if (n % 4 == 1)
		throw shop::Refused(n); // THROWS
	if (n % 4 == 2)
		throw n * 10; // THROWS INT
	if (n % 4 == 3)
		throw "a text";
	return n;
}

__attribute__((noinline)) static int middle(int n)
{
	int cleaned = 0;
	shop::Guard guard{&cleaned};
	int got = thrower(n); // MIDDLE
	sink += got;
	return got + 1;
}

// Catches what it can, and throws it on if the number is great.
__attribute__((noinline)) static int catcher(int n)
{
	int result = 0;
	try {
		result = middle(n); // TRIES
		sink = result;	    // TRIED
	} catch (const std::exception &error) {
		result = -n; // CATCHES
		if (n >= 100)
			throw;
	} catch (int number) {
		result = number; // CATCHES INT
	} catch (const char *text) {
		result = text[0];
	}
	return result; // CAUGHT
}

__attribute__((noinline)) static int outer(int n)
{
	try {
		return catcher(n);
	} catch (const std::runtime_error &error) {
		return -1000;
	}
}

// thrown ROUNDS: ends with status 3, and says what all that was returned adds up to; with LINGER set not before SIGTERM.
int main(int argc, char **argv)
{
	int rounds = argc > 1 ? std::atoi(argv[1]) : 1000000;
	long total = 0;
	std::signal(SIGTERM, [](int) { stop = 1; });
	for (int i = 0; i < rounds && !stop; i++) {
		total += outer(i);
		usleep(1000);
	}
	if (std::getenv("LINGER"))
		while (!stop)
			usleep(1000);
	std::printf("total %ld\n", argc > 1 ? total : 0);
	return 3;
}
