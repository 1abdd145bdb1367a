// SPDX-License-Identifier: Apache-2.0
// Roots of a C++ program, for compare_roots.py: as rooted.c.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <unistd.h>

namespace shop
{
struct Item {
	static Item *registered;
	static std::vector<int> sizes;
	std::string name;
	int count;
	explicit Item(const char *called) : name(called), count(3)
	{
	}
	virtual ~Item()
	{
	}
	virtual int weigh(const Item &other, int factor);
};
Item *Item::registered;
std::vector<int> Item::sizes{1, 2, 3};
static std::unique_ptr<Item> kept;
std::vector<Item> shelf;
} // namespace shop

static void tell(const char *kind, const char *name, const void *address, size_t size)
{
	printf("%s %s %p %zu\n", kind, name, address, size);
}

namespace
{
long hidden = 17;
}

static inline __attribute__((always_inline)) int add(const shop::Item &left, shop::Item &&right,
						     int factor)
{
	int sum = left.count * factor + right.count;
	volatile int here = sum;
	if (factor > 100)
		printf("%d\n", here);
	for (;;)
		pause();
}

static std::vector<std::string> *counted()
{
	static std::vector<std::string> *words = new std::vector<std::string>{"a", "b"};
	thread_local std::string spoken = "a long string that is in the heap";
	tell("static", "counted()::words", &words, sizeof(words));
	tell("thread-local", "counted()::spoken", &spoken, sizeof(spoken));
	return words;
}

int shop::Item::weigh(const Item &other, int factor)
{
	auto words = counted();
	std::string local = (*words)[0] + " and what is longer than is short";
	std::vector<int> numbers(10, factor);
	const std::string &alias = local;
	auto closure = [&](int extra) {
		shop::Item moved("moved");
		return add(other, std::move(moved), factor + extra + (int)alias.size());
	};
	if (factor == 7) {
		tell("local", "local", &local, sizeof(local));
		tell("local", "numbers", &numbers, sizeof(numbers));
	}
	return closure((int)numbers.size()) + 1;
}

int main()
{
	setvbuf(stdout, nullptr, _IOLBF, 0);
	shop::Item first("first"), second("second with a name that is long");
	shop::kept = std::make_unique<shop::Item>("kept");
	shop::Item::registered = shop::kept.get();
	shop::shelf.emplace_back("shelved");
	tell("global", "shop::Item::registered", &shop::Item::registered, 8);
	tell("global", "shop::Item::sizes", &shop::Item::sizes, sizeof(shop::Item::sizes));
	tell("global", "shop::shelf", &shop::shelf, sizeof(shop::shelf));
	tell("static", "shop::kept", &shop::kept, sizeof(shop::kept));
	tell("static", "(anonymous namespace)::hidden", &hidden, sizeof(hidden));
	std::thread worker([&] { first.weigh(second, 7); });
	sleep(1);
	tell("local", "first", &first, sizeof(first));
	abort();
}
