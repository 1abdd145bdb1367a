// SPDX-License-Identifier: Apache-2.0
// For reachable.py: objects of C++ that a thread holds by pointers to their bases, in containers; as reachable.c.
#include <cstdio>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>
#include <unistd.h>

struct Shape {
	std::string name;
	explicit Shape(std::string called) : name(std::move(called))
	{
	}
	virtual ~Shape()
	{
	}
};
struct Extra {
	virtual ~Extra()
	{
	}
	long extra = 11;
};
struct Circle : Shape, Extra {
	double radius;
	std::vector<std::string> notes;
	Circle(int i) : Shape("a circle whose name is long " + std::to_string(i)), radius(i / 2.0)
	{
		for (int k = 0; k < 3; k++)
			notes.push_back("a note that is longer than a short string " +
					std::to_string(k));
	}
};

static std::map<std::string, std::vector<char>> ballast;
std::list<Extra *> global_extras;

[[gnu::noinline]] static int hold(const std::vector<std::unique_ptr<Shape>> &shapes,
				  std::map<int, std::string> &names, Extra *middle)
{
	const std::string &first = shapes[0]->name;
	Shape *last = shapes.back().get();
	printf("%d\n", getpid());
	fflush(stdout);
	for (;;)
		pause();
	return (int)(first.size() + names.size() + last->name.size() + (size_t)middle->extra);
}

static void work()
{
	std::vector<std::unique_ptr<Shape>> shapes;
	std::map<int, std::string> names;
	Extra *middle = nullptr;
	for (int i = 0; i < 2000; i++) {
		auto circle = std::make_unique<Circle>(i);
		middle = circle.get();
		names[i] = "number " + std::to_string(i) + " of names that are long";
		shapes.push_back(std::move(circle));
	}
	hold(shapes, names, middle);
}

int main(int argc, char **argv)
{
	int mib = argc > 1 ? std::stoi(argv[1]) : 16;
	for (int i = 0; i < mib; i++)
		ballast["ballast " + std::to_string(i)] = std::vector<char>(1 << 20, 'b');
	global_extras.push_back(new Circle(99));
	std::thread(work).join();
}
