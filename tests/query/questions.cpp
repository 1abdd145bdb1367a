// SPDX-License-Identifier: Apache-2.0
// A shop whose objects are classes with virtual tables, in containers and shared pointers. Waits when it is ready.

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace shop
{

struct item {
	virtual ~item() = default;
	int price = 0;
	std::string name;
};
struct book : item {
	int pages = 0;
};
struct session {
	int id = 0;
	std::vector<std::unique_ptr<item>> cart;
	std::map<int, std::string> notes;
};
struct all {
	std::unordered_map<int, std::shared_ptr<session>> sessions;
	std::vector<book> shelf;
};

} // namespace shop

static shop::all *the_shop;

static __attribute__((noinline)) void fill()
{
	the_shop = new shop::all;
	for (int i = 0; i < 60; i++) {
		auto session = std::make_shared<shop::session>();
		session->id = i;
		for (int k = 0; k < 4; k++) {
			auto book = std::make_unique<shop::book>();
			book->price = i * k;
			book->pages = i;
			book->name = std::string(40, 'b');
			session->cart.push_back(std::move(book));
		}
		session->notes[i] = "short";
		the_shop->sessions[i] = session;
	}
	the_shop->shelf.resize(25);
	for (int i = 0; i < 25; i++)
		the_shop->shelf[i].price = 1000 + i;
}

int main()
{
	fill();
	if (write(STDOUT_FILENO, "ready\n", 6) == 6)
		for (;;)
			pause();
}
