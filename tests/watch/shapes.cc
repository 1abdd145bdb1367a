// SPDX-License-Identifier: Apache-2.0
// A C++ program to be watched: methods, templates, what is inlined.
#include <csignal>
#include <cstdio>
#include <string>
#include <unistd.h>

static volatile sig_atomic_t stop;

namespace bank
{
class Account
{
	long balance;

      public:
	int id;
	static int made;
	explicit Account(int number) : balance(100), id(number)
	{
		made++;
	}
	__attribute__((noinline)) long deposit(long amount)
	{
		balance += amount;
		return balance; // DEPOSIT
	}
	__attribute__((always_inline)) long peek() const
	{
		long seen = balance + id;
		return seen; // PEEK
	}
	// Another of the same name, with other parameters.
	__attribute__((noinline)) long deposit(const std::string &text)
	{
		return balance + (long)text.size(); // DEPOSIT TEXT
	}
};
int Account::made;
} // namespace bank

template <typename T> __attribute__((noinline)) static T biggest(T a, T b)
{
	T most = a > b ? a : b;
	return most; // BIGGEST
}

int main()
{
	bank::Account account(7);
	signal(SIGTERM, [](int) { stop = 1; });
	long sum = 0;
	for (long i = 0; !stop; i++) {
		sum += account.deposit(i % 3);
		sum += account.deposit(std::string("text"));
		sum += account.peek();
		sum += biggest(3, 4) + (long)biggest(1.5, 0.5);
		usleep(1000);
	}
	std::puts(sum ? "output is the program's own" : "");
	return 3;
}
