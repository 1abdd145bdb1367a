// SPDX-License-Identifier: Apache-2.0
// Objects of derived classes, pointers to members, names in namespaces, classes and templates.
#include <cstddef>
#include <cstdlib>
#include <vector>

namespace shop {
enum class Kind : unsigned char { Book, Game = 7 };
enum Size { Small = 1, Large = 8 };
int stock = 12;
static int hidden_stock = 13;
struct Named {
	int id = 3;
	virtual ~Named() {}
	virtual int describe() const { return id; }
	virtual int describe(int x) { return id + x; }
	int plain(int x) const { return x; }
	static int total;
};
int Named::total = 44;
struct Priced {
	long cents = 5;
	virtual ~Priced() {}
	virtual long price() const { return cents; }
};
struct Item : Named, Priced {
	enum Colour { Red, Green = 4 };
	Colour colour = Green;
	Kind kind = Kind::Game;
	static const Item *first;
	static constexpr int limit = 77;
	int describe() const override { return id * 2; }
	long price() const override { return cents * 2; }
	int operator[](int i) const { return id + i; }
	int method(int x);
};
const Item *Item::first = nullptr;
struct Base {
	int base = 1;
	virtual ~Base() {}
	virtual int f(int x) { return x; }
};
struct Left : virtual Base { int left = 2; };
struct Right : virtual Base { int right = 3; };
struct Both : Left, Right {
	int both = 4;
	virtual int g(int x) { return x + both; }
};
template <typename T, int N> struct Box {
	T items[N] = {};
	static int made;
	struct Inner { T value; };
	virtual ~Box() {}
	virtual T fail(T what) { return items[0] + what; }
};
template <typename T, int N> int Box<T, N>::made = N;
template <typename T> struct Deep : Box<T, 2> { T more = 9; };
template <unsigned N, typename T> struct Odd : Named { T *value = nullptr; };
template <typename T> T twice(T x) { return x + x; }
int counted() { static int calls = 5; return ++calls; }
namespace {
struct Secret : Named { int value = 4; };
int anonymous = 21;
}
}
namespace alias = shop;
typedef int (shop::Named::*method_type)() const;
union Either { shop::Kind kind : 4; bool yes : 1; unsigned char raw; };
int global = 100;
int overloaded(int x) { return x; }
int overloaded(double x) { return static_cast<int>(x); }

int shop::Item::method(int x)
{
	int id_copy = id + x;
	Named &self = *this;
	const Priced *priced = this;
	Item *item = this;
	Item &ref = *this;
	Both both;
	Base *base = &both;
	Left *left = &both;
	Right *right = &both;
	Base &base_ref = both;
	Box<int, 2> box;
	Deep<int> deep;
	Box<int, 2> *box_pointer = &deep;
	Secret secret;
	Named *named = &secret;
	Named *null = nullptr;
	void *raw = this;
	Odd<5, unsigned long> five;
	Odd<6, const char *const *> six;
	Odd<7, Box<Box<short, 2>, 3> *> seven;
	Odd<8, int (*)(volatile unsigned char *)> eight;
	Odd<9, const volatile long long> nine = {};
	Odd<10, Odd<11, const Kind>> ten = {};
	Named *odd[6] = {&five, &six, &seven, &eight, &nine, &ten};
	struct Local : Named { int local = 5; } local;
	Named *local_pointer = &local;
	Named real;
	Named *same = &real;
	Named *many[2] = {this, &secret};
	struct Holder { Named *owner; Priced &other; } holder = {this, *this};
	std::vector<int> numbers = {1, 2, 3};
	method_type virtual_const = &Named::describe;
	int (Named::*virtual_int)(int) = &Named::describe;
	int (Named::*plain_method)(int) const = &Named::plain;
	long (Priced::*virtual_price)() const = &Priced::price;
	int (Item::*null_method)(int) = nullptr;
	long (Item::*adjusted)() const = &Priced::price;
	int Named::*data = &Named::id;
	int Item::*null_data = nullptr;
	int (Base::*base_f)(int) = &Base::f;
	int (Both::*both_f)(int) = &Both::g;
	Kind kind_local = Kind::Game;
	Size size = Large;
	Either either = {};
	either.raw = 7;
	alias::Kind other_kind = static_cast<alias::Kind>(3);
	Box<int, 2>::Inner inner = {6};
	int (*function)(int) = overloaded;
	int *pointer = &global;
	if (x)
		abort();
	return id_copy + local_pointer->id + odd[0]->id + self.id + static_cast<int>(priced->cents) + item->id + ref.id + base->base +
	       left->left + right->right + base_ref.base + box.items[0] + box_pointer->fail(1) +
	       named->id + (null != nullptr) + (raw != nullptr) + same->id + many[0]->id +
	       holder.owner->id + numbers[0] + (this->*virtual_const)() +
	       (this->*virtual_int)(1) + (this->*plain_method)(1) +
	       static_cast<int>((this->*virtual_price)()) + (null_method != nullptr) +
	       static_cast<int>((this->*adjusted)()) + this->*data + (null_data != nullptr) +
	       (base->*base_f)(1) + (both.*both_f)(2) + static_cast<int>(kind_local) + size +
	       either.yes + static_cast<int>(other_kind) + inner.value + function(1) + *pointer +
	       twice(3) + hidden_stock + anonymous + counted();
}

int main()
{
	shop::Item item;
	shop::Item::first = &item;
	return item.method(1) + overloaded(1.5) + item[2];
}
