// SPDX-License-Identifier: Apache-2.0
// Code to run chains on, searched in pages made for it and in a child of the C library's.
#include "process/gadgets.h"

#include <fcntl.h>
#include <sys/mman.h>

#include "base/text.h"
#include "child.h"
#include "process/proc.h"

enum { PIECE = 1 << 20 }; // what is searched at once
static const uint8_t syscall_ret[] = {0x0f, 0x05, 0xc3};
static const uint8_t restorer_long[] = {0x48, 0xc7, 0xc0, 0x0f, 0, 0, 0, 0x0f, 0x05};
static const uint8_t restorer_short[] = {0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05};
static const uint8_t pop_rax_ret[] = {0x58, 0xc3};

/** Memory of ours, and a maps text that tells of it alone. */
struct room {
	uint8_t *bytes;
	size_t size;
	char maps[128];
	int fd;
	struct gadgets found;
};

static void room_init(struct room *room, size_t size, const char *rights)
{
	room->size = size;
	room->bytes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(room->bytes != MAP_FAILED);
	uint64_t start = (uint64_t)(uintptr_t)room->bytes;
	snprintf(room->maps, sizeof(room->maps), "%llx-%llx %s 00000000 00:00 0 \n",
		 (unsigned long long)start, (unsigned long long)(start + size), rights);
	room->fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	CHECK(room->fd >= 0);
}

static void room_find(struct room *room)
{
	gadgets_find(room->fd, room->maps, &room->found);
}

static uint64_t room_put(struct room *room, size_t at, const void *bytes, size_t size)
{
	memcpy(room->bytes + at, bytes, size);
	return (uint64_t)(uintptr_t)(room->bytes + at);
}

static void room_fini(struct room *room)
{
	munmap(room->bytes, room->size);
	close(room->fd);
}

static void finds_what_is_there(void)
{
	struct room room;
	room_init(&room, 8192, "r-xp");
	room_find(&room);
	CHECK(!room.found.found);
	uint64_t restorer = room_put(&room, 4090, restorer_long, sizeof(restorer_long));
	room_find(&room);
	CHECK(!room.found.found); // its `syscall` has no `ret`
	uint64_t call = room_put(&room, 100, syscall_ret, sizeof(syscall_ret));
	room_find(&room);
	CHECK(room.found.found);
	CHECK_EQUAL(room.found.syscall_ret, call);
	CHECK_EQUAL(room.found.restorer, restorer);
	CHECK_EQUAL(room.found.pop_rax_ret, 0);
	CHECK(gadgets_check(room.fd, &room.found));
	room_fini(&room);
}

static void does_without_a_restorer(void)
{
	struct room room;
	room_init(&room, 4096, "r-xp");
	uint64_t call = room_put(&room, 4093, syscall_ret, sizeof(syscall_ret)); // the last bytes
	uint64_t pop = room_put(&room, 0, pop_rax_ret, sizeof(pop_rax_ret));
	room_find(&room);
	CHECK(room.found.found);
	CHECK_EQUAL(room.found.syscall_ret, call);
	CHECK_EQUAL(room.found.pop_rax_ret, pop);
	CHECK_EQUAL(room.found.restorer, 0);
	CHECK(gadgets_check(room.fd, &room.found));
	room_fini(&room);
}

static void finds_across_pieces(void)
{
	for (unsigned before = 1; before < sizeof(restorer_short); before++) {
		struct room room;
		room_init(&room, 3 * PIECE, "r-xp");
		uint64_t restorer =
			room_put(&room, PIECE - before, restorer_short, sizeof(restorer_short));
		uint64_t call =
			room_put(&room, 2 * PIECE - before, syscall_ret, sizeof(syscall_ret));
		room_find(&room);
		CHECK_EQUAL(room.found.restorer, restorer);
		CHECK_EQUAL(room.found.syscall_ret, call);
		room_fini(&room);
	}
}

static void looks_only_where_code_is(void)
{
	static const char *const rights[] = {"rw-p", "--xp", "r--p", "---p"};
	for (size_t i = 0; i < sizeof(rights) / sizeof(rights[0]); i++) {
		struct room room;
		room_init(&room, 4096, rights[i]);
		room_put(&room, 0, syscall_ret, sizeof(syscall_ret));
		room_put(&room, 16, restorer_short, sizeof(restorer_short));
		room_find(&room);
		CHECK(!room.found.found && !room.found.syscall_ret);
		room_fini(&room);
	}
}

static void survives_memory_that_is_gone(void)
{
	struct room room;
	room_init(&room, 4096, "r-xp");
	munmap(room.bytes, room.size);
	room_find(&room);
	CHECK(!room.found.found);
	CHECK(!gadgets_check(room.fd, &(struct gadgets){.syscall_ret = 4096, .restorer = 4096}));
	close(room.fd);
}

static void notices_code_that_changed(void)
{
	struct room room;
	room_init(&room, 4096, "r-xp");
	room_put(&room, 0, syscall_ret, sizeof(syscall_ret));
	room_put(&room, 16, restorer_short, sizeof(restorer_short));
	room_find(&room);
	CHECK(gadgets_check(room.fd, &room.found));
	room.bytes[17] = 14;
	CHECK(!gadgets_check(room.fd, &room.found));
	room.bytes[17] = 15;
	room.bytes[2] = 0x90;
	CHECK(!gadgets_check(room.fd, &room.found));
	room_fini(&room);
}

static void finds_them_in_a_child(void)
{
	pid_t pid = child_start(child_ready);
	char name[32];
	struct text maps = {0};
	struct gadgets found;
	snprintf(name, sizeof(name), "%d/maps", (int)pid);
	CHECK_EQUAL(proc_read(name, &maps), 0);
	snprintf(name, sizeof(name), "/proc/%d/mem", (int)pid);
	int fd = open(name, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0);
	gadgets_find(fd, maps.data, &found);
	CHECK(found.found);
	CHECK(found.restorer); // any C library has one
	CHECK(gadgets_check(fd, &found));
	CHECK(memcmp((const void *)(uintptr_t)found.syscall_ret, syscall_ret, 3) == 0); // as forked
	child_end(pid);
	CHECK(!gadgets_check(fd, &found));
	gadgets_find(fd, maps.data, &found);
	CHECK(!found.found);
	close(fd);
	text_fini(&maps);
}

CHECK_MAIN({"finds what is there, and says what is not", finds_what_is_there},
	   {"pop %rax does where there is no restorer", does_without_a_restorer},
	   {"code across the pieces of the search", finds_across_pieces},
	   {"only what is readable and executable", looks_only_where_code_is},
	   {"memory that went meanwhile", survives_memory_that_is_gone},
	   {"code that changed meanwhile", notices_code_that_changed},
	   {"in a child, until it ends", finds_them_in_a_child})
