// SPDX-License-Identifier: Apache-2.0
// C++ programs that leak, or do not: leaking NAME. Then it waits, or with a second argument exits.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#define APART __attribute__((noinline, noclone))

namespace
{

struct base {
	virtual ~base()
	{
	}
	base *peer = nullptr;
};
struct second {
	virtual ~second()
	{
	}
	long number = 1;
};
struct both : base, second {
	char *text =
		strdup("held by an object with two virtual tables, one of which is in its middle");
};
struct cyclic {
	std::shared_ptr<cyclic> self;
	char payload[80] = {};
};

std::map<int, std::string> *held_map;
std::vector<std::string> held_strings;
second *held_second;
std::unique_ptr<both> held_unique;
std::list<int> held_list;

APART void fill(std::map<int, std::string> *map)
{
	for (int i = 0; i < 40; i++)
		(*map)[i] = std::string(50, 'm'); // too long to be in the node
}

APART void lost_map()
{
	fill(new std::map<int, std::string>);
}
APART void kept_map()
{
	fill(held_map = new std::map<int, std::string>);
}
APART void lost_vector()
{
	auto *vector = new std::vector<std::string>;
	vector->reserve(30);
	for (int i = 0; i < 30; i++)
		vector->push_back(std::string(70, 'v'));
}
APART void kept_vector()
{
	for (int i = 0; i < 30; i++)
		held_strings.push_back(std::string(70, 'v'));
}
APART void lost_cycle()
{
	auto object = std::make_shared<cyclic>();
	object->self = object;
}
APART void lost_hash()
{
	auto *hash = new std::unordered_map<int, std::string>;
	for (int i = 0; i < 25; i++)
		(*hash)[i] = std::string(90, 'h');
}
APART void kept_by_its_second_base()
{
	held_second = new both;
}
APART void kept_uniquely()
{
	held_unique = std::make_unique<both>();
	held_unique->peer = new base;
}
APART void lost_object()
{
	new both;
}
APART void kept_list()
{
	for (int i = 0; i < 20; i++)
		held_list.push_back(i);
}

const struct {
	const char *name;
	void (*run)();
} programs[] = {
#define PROGRAM(name)                                                                              \
	{                                                                                          \
#name, name                                                                        \
	}
	PROGRAM(lost_map),     PROGRAM(kept_map),   PROGRAM(lost_vector),
	PROGRAM(kept_vector),  PROGRAM(lost_cycle), PROGRAM(lost_hash),
	PROGRAM(lost_object),  PROGRAM(kept_list),  PROGRAM(kept_by_its_second_base),
	PROGRAM(kept_uniquely)};

// What calls left on the stack would be somebody's pointers.
APART void scrub()
{
	volatile char stack[65536];
	for (size_t i = 0; i < sizeof(stack); i++)
		stack[i] = 0;
}

// pause(), with nothing left in registers.
APART void wait_here()
{
	for (;;) {
		long number = 34;
		__asm__ volatile(
			"xor %%edi, %%edi; xor %%esi, %%esi; xor %%edx, %%edx; xor %%r8d, %%r8d; "
			"xor %%r9d, %%r9d; xor %%r10d, %%r10d; xor %%ebx, %%ebx; xor %%r12d, "
			"%%r12d; "
			"xor %%r13d, %%r13d; xor %%r14d, %%r14d; xor %%r15d, %%r15d; syscall"
			: "+a"(number)
			:
			: "rdi", "rsi", "rdx", "rcx", "rbx", "r8", "r9", "r10", "r11", "r12", "r13",
			  "r14", "r15", "memory");
	}
}

APART void run(const char *name)
{
	for (const auto &program : programs)
		if (strcmp(program.name, name) == 0)
			program.run();
}

} // namespace

int main(int argc, char **argv)
{
	if (argc == 1) {
		for (const auto &program : programs)
			puts(program.name);
		return 0;
	}
	run(argv[1]);
	scrub();
	if (argc > 2)
		_exit(0); // not exit(): what static objects hold is held
	if (write(STDOUT_FILENO, "ready\n", 6) == 6)
		wait_here();
}
