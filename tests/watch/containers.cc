// SPDX-License-Identifier: Apache-2.0
// Containers that live as long as the program, which stays until SIGTERM and ends with status 3.
#include <csignal>
#include <string>
#include <unistd.h>
#include <vector>

struct point {
	int x, y;
};
static std::string brief = "brief", whole(2000, 'w'), empty;
static std::vector<int> squares, none;
static std::vector<std::string> names;
static std::vector<std::vector<point>> paths;
static std::vector<bool> bits{true, false};

static __attribute__((noinline)) int serve(const std::string &text, std::string *more, std::vector<int> &numbers)
{
	asm volatile("" : : "r"(&text), "r"(more), "r"(&numbers) : "memory");
	return 1; // SERVE
}

static void leave(int)
{
	_exit(3);
}

int main()
{
	signal(SIGTERM, leave);
	for (int i = 0; i < 25; i++)
		squares.push_back(i * i);
	names = {"one", "a name of more than sixteen bytes", ""};
	paths = {{{1, 2}, {3, 4}}, {}};
	serve(brief, &whole, squares);
	serve(empty, &brief, none);
	for (;;)
		pause();
}
