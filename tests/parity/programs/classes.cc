// SPDX-License-Identifier: Apache-2.0
// C++: bases, virtual bases, references, templates, containers, exceptions, lambdas.
#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace shop {
enum class Kind : unsigned char { Book, Game = 7 };
struct Named {
	virtual ~Named() {}
	virtual std::string describe() const { return name; }
	std::string name = "unnamed";
};
struct Priced {
	virtual ~Priced() {}
	long cents = 0;
	static int count;
};
int Priced::count = 2;
class Item : public Named, protected Priced {
public:
	Item(const char *n, long c, Kind k) : kind(k) { name = n; cents = c; }
	std::string describe() const override { return name + "!"; }
	long price() const { return cents; }
	Kind kind;
	bool sold : 1;
private:
	int secret = 99;
};
struct Left : virtual Named { int left = 1; };
struct Right : virtual Named { int right = 2; };
struct Both : Left, Right { int both = 3; };
template <typename T, int N> struct Box {
	T items[N];
	int used = 0;
	__attribute__((noinline)) int put(const T &item, T &&other)
	{
		items[used++] = item;
		if (used == N) {
			const T &last = items[N - 1];
			fail(last);
		}
		return used + static_cast<int>(sizeof(other));
	}
	__attribute__((noinline)) static void fail(const T &what);
};
template <typename T, int N> void Box<T, N>::fail(const T &what)
{
	const T *address = &what;
	if (address)
		throw std::runtime_error("box is full");
}
namespace {
struct Hidden { int value = 4; };
__attribute__((noinline)) int hidden(Hidden &h, int (Item::*method)() const, long Priced::*field)
{
	Hidden copy = h;
	(void)method;
	(void)field;
	Box<int, 2> box;
	box.put(1, 2);
	box.put(3, 4);
	return copy.value;
}
}
__attribute__((noinline)) int run(const Item &item, Named *base, std::vector<int> &numbers)
{
	Both both;
	std::map<std::string, int> ages = {{"ann", 31}, {"bob", 27}};
	auto shared = std::make_shared<Item>("shared", 5, Kind::Game);
	std::unique_ptr<int> unique(new int(8));
	Hidden h;
	std::nullptr_t null = nullptr;
	Kind odd = static_cast<Kind>(3);
	auto lambda = [&](int x) { return hidden(h, nullptr, nullptr) + x + both.both; };
	int &reference = numbers[1];
	int result = lambda(5);
	(void)null;
	(void)odd;
	return result + reference + *unique + static_cast<int>(base->name.size() + item.name.size());
}
}

int main()
{
	shop::Item item("novel", 1299, shop::Kind::Book);
	std::vector<int> numbers = {1, 2, 3};
	return shop::run(item, &item, numbers);
}
