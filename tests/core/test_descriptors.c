// SPDX-License-Identifier: Apache-2.0
#include "core/descriptors.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "check.h"

static struct arena arena;

static const char *type_of(int fd)
{
	char path[64], link[256];
	struct stat st;
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t size = readlink(path, link, sizeof(link) - 1);
	CHECK(size > 0);
	link[size] = '\0';
	close(fd);
	return descriptor_type(&arena, link, st.st_mode);
}

static void names_what_this_kernel_makes(void)
{
	int pair[2];
	sigset_t none;
	sigemptyset(&none);
	CHECK_STRING(type_of(open("/proc/self/exe", O_RDONLY | O_CLOEXEC)), "file");
	CHECK_STRING(type_of(open("/", O_RDONLY | O_CLOEXEC)), "directory");
	CHECK_STRING(type_of(open("/dev/null", O_RDONLY | O_CLOEXEC)), "device");
	CHECK_STRING(type_of(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), "socket");
	CHECK_STRING(type_of(eventfd(0, EFD_CLOEXEC)), "eventfd");
	CHECK_STRING(type_of(epoll_create1(EPOLL_CLOEXEC)), "epoll");
	CHECK_STRING(type_of(timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC)), "timerfd");
	CHECK_STRING(type_of(signalfd(-1, &none, SFD_CLOEXEC)), "signalfd");
	CHECK_STRING(type_of(inotify_init1(IN_CLOEXEC)), "inotify");
	CHECK_STRING(type_of(memfd_create("x", MFD_CLOEXEC)), "memfd");
	CHECK_STRING(type_of(open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC)), "namespace");
	CHECK(pipe2(pair, O_CLOEXEC) == 0);
	CHECK_STRING(type_of(pair[0]), "pipe");
	CHECK_STRING(type_of(pair[1]), "pipe");
}

static void names_by_link_and_mode(void)
{
	static const struct {
		const char *link;
		uint32_t mode;
		const char *type;
	} cases[] = {
		{"anon_inode:[kvm-vm]", 0600, "kvm-vm"},
		{"anon_inode:kvm-vcpu:0", 0600, "kvm-vcpu:0"},
		{"anon_inode:[pidfd]", 0600, "pidfd"},
		{"/dev/pts/3", S_IFCHR | 0620, "tty"},
		{"/dev/tty", S_IFCHR | 0666, "tty"},
		{"/dev/sda", S_IFBLK | 0660, "block device"},
		{"/tmp/queue", S_IFIFO | 0600, "fifo"},
		{"/tmp/memfd:x", S_IFREG | 0600, "file"},
		{"/memfd:jit (deleted)", S_IFREG | 0777, "memfd"},
		{"/tmp/gone (deleted)", S_IFREG | 0600, "file"},
		{"/etc/link", S_IFLNK | 0777, "link"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		CHECK_STRING(descriptor_type(&arena, cases[i].link, cases[i].mode), cases[i].type);
	CHECK(!descriptor_type(&arena, "/tmp/x", 0));
	CHECK(!descriptor_type(&arena, "", 0));
	CHECK(!descriptor_type(&arena, "anon_inode:", 0));
}

static void reads_fdinfo(void)
{
	int64_t position, flags;
	descriptor_parse_info("pos:\t4096\nflags:\t02100002\nmnt_id:\t24\n", &position, &flags);
	CHECK_EQUAL(position, 4096);
	CHECK_EQUAL(flags, 02100002);
	// An epoll's list has positions of its own.
	descriptor_parse_info("flags:\t02\ntfd:        5 events: 19 data: 5  pos:0 ino:1 sdev:a\n",
			      &position, &flags);
	CHECK_EQUAL(position, -1);
	CHECK_EQUAL(flags, 2);
	descriptor_parse_info("pos:\t", &position, &flags);
	CHECK_EQUAL(position, -1);
	CHECK_EQUAL(flags, -1);
	descriptor_parse_info("flags:\t7777777777777777777777777\n\n\n", &position, &flags);
	CHECK_EQUAL(flags, -1);
	descriptor_parse_info("", &position, &flags);
	CHECK_EQUAL(flags, -1);
}

int main(void)
{
	static const struct check_case cases[] = {
		{"descriptors that this kernel makes are named", names_what_this_kernel_makes},
		{"descriptors are named by link and mode", names_by_link_and_mode},
		{"fdinfo gives position and flags", reads_fdinfo},
	};
	int status = check_run(cases, sizeof(cases) / sizeof(cases[0]));
	arena_fini(&arena);
	return status;
}
