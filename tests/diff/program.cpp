// Changes known things between two calls of checkpoint(), where the test takes cores.
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <pthread.h>
#include <sys/mman.h>
#include <thread>

struct Stats {
	long requests, errors;
	double load;
	unsigned flag : 3, other : 5;
};
struct Node {
	int id;
	Node *next;
	char name[16];
};
struct Base {
	int base_member = 1;
	virtual ~Base() {}
};
struct Derived : Base {
	int derived_member = 2;
	static int count;
};
int Derived::count = 9;
struct Server {
	const char *name;
	Stats stats;
	union {
		int i;
		float f;
	} u;
	struct {
		int inner;
	};
	Stats many[4];
};

Server server = {"one", {1, 2, 3.5, 1, 2}, {7}, {3}, {}};
Node table[40];
static int numbers[100];
char text[2000];
int matrix[3][5];
thread_local int tls_counter = 5;
thread_local Stats tls_stats;
namespace ns
{
Derived object;
int unchanged = 3;
} // namespace ns
void *moved;
int big[1 << 20];
enum Color { RED, GREEN } color;

static std::mutex mutex;
static std::condition_variable condition;
static int step;

static int bump()
{
	static int calls;
	return ++calls;
}

static void wait_for(int wanted)
{
	std::unique_lock<std::mutex> lock(mutex);
	condition.wait(lock, [wanted] { return step >= wanted; });
}

static void go_to(int next)
{
	std::lock_guard<std::mutex> lock(mutex);
	step = next;
	condition.notify_all();
}

extern "C" __attribute__((noinline)) void checkpoint(int n)
{
	asm volatile("" ::"r"(n) : "memory");
}

static std::mutex started_mutex;
static int started;
static void count_start()
{
	std::lock_guard<std::mutex> lock(started_mutex);
	started++;
}

static void stays()
{
	count_start();
	wait_for(1);
	tls_counter = 100;
	count_start();
	wait_for(9);
}

static void wait_started(int wanted)
{
	for (bool done = false; !done; std::this_thread::yield()) {
		std::lock_guard<std::mutex> lock(started_mutex);
		done = started >= wanted;
	}
}

int main()
{
	int local = 1;
	long buffer[10] = {};
	moved = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(moved, 7, 1 << 20);
	char *shut = (char *)mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memset(shut, 3, 1 << 20);
	char *heap = (char *)malloc(100000);
	memset(heap, 1, 100000);
	std::thread first(stays), goes([] {
		count_start();
		wait_for(1);
	});
	wait_started(2);
	checkpoint(1);
	go_to(1);
	goes.join();
	std::thread comes(stays);
	wait_started(5);
	server.stats.requests = 77;
	server.stats.flag = 5;
	server.many[2].load = 1.5;
	server.u.i = 8;
	server.inner = 33;
	server.name = "two";
	table[17].next = &table[3];
	table[17].id = 4;
	strcpy(table[18].name, "hello");
	for (int i = 30; i < 35; i++)
		numbers[i] = i;
	numbers[80] = 8;
	memcpy(text + 1000, "abcdef", 6);
	text[1010] = 'x';
	matrix[1][3] = 6;
	tls_counter = 6;
	tls_stats.errors = 3;
	Derived::count++;
	ns::object.derived_member = 44;
	ns::object.base_member = 45;
	color = GREEN;
	big[1000000] = 5;
	bump();
	heap[5000] = 2;
	heap[5009] = 3;
	heap[5018] = 4;
	heap[70000] = 9;
	void *there = mmap(nullptr, 2 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	moved = mremap(moved, 1 << 20, 2 << 20, MREMAP_MAYMOVE | MREMAP_FIXED, there);
	mprotect(shut + 8192, 8192, PROT_READ);
	local = 2;
	buffer[3] = 9;
	checkpoint(2);
	go_to(9);
	first.join();
	comes.join();
	return local + (int)buffer[3] + heap[0] + ns::unchanged;
}
