// SPDX-License-Identifier: Apache-2.0
// Calls on descriptors and futexes that wait until somebody wakes them.
#include "battery.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

// Made before the target is: the waker may be another process.
static int near_end, far_end, polled;
static char name[108];
static struct epoll_event event;
static struct pollfd poll_fd;
static fd_set set;
static sigset_t signals;
static char bytes[512];
static struct sockaddr_un address;

static void fill(struct wait_call *call, long number, long a, long b, long c, long d, long e,
		 long f)
{
	*call = (struct wait_call){number, {a, b, c, d, e, f}};
}
#define P(x) ((long)(x))

static void must(long result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "battery: %s: %s\n", what, strerror(errno));
		exit(2);
	}
}

static void open_pipe(void)
{
	int ends[2];
	must(pipe(ends), "pipe");
	near_end = ends[0];
	far_end = ends[1];
	poll_fd = (struct pollfd){.fd = near_end, .events = POLLIN};
}

static void open_sockets(void)
{
	int ends[2];
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
	near_end = ends[0];
	far_end = ends[1];
}

static void write_byte(void)
{
	if (write(far_end, "x", 1) != 1)
		battery_fail("the waker cannot write: %s", strerror(errno));
}

static void read_byte(void)
{
	if (read(near_end, bytes, 1) != 1)
		battery_fail("nothing to read after it was woken");
}

static void setup_epoll(void)
{
	polled = epoll_create1(0);
	struct epoll_event wanted = {.events = EPOLLIN};
	epoll_ctl(polled, EPOLL_CTL_ADD, near_end, &wanted);
}

static void epoll_wait_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_epoll_wait, polled, P(&event), 1, -1, 0, 0);
}

static void epoll_pwait_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_epoll_pwait, polled, P(&event), 1, -1, P(&signals), 8);
}

static void poll_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_poll, P(&poll_fd), 1, -1, 0, 0, 0);
}

static void ppoll_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_ppoll, P(&poll_fd), 1, 0, P(&signals), 8, 0);
}

static void select_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	FD_ZERO(&set);
	FD_SET(near_end, &set);
	fill(call, SYS_select, near_end + 1, P(&set), 0, 0, 0, 0);
}

static void pselect_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static struct {
		const void *mask;
		size_t size;
	} mask = {&signals, 8};
	FD_ZERO(&set);
	FD_SET(near_end, &set);
	fill(call, SYS_pselect6, near_end + 1, P(&set), 0, 0, 0, P(&mask));
}

static void read_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_read, near_end, P(bytes), 1, 0, 0, 0);
}

static void recvmsg_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static char data[8];
	static struct {
		void *base;
		size_t size;
	} vector = {data, 1};
	static struct msghdr message;
	message.msg_iov = (void *)&vector;
	message.msg_iovlen = 1;
	fill(call, SYS_recvmsg, near_end, P(&message), 0, 0, 0, 0);
}

static void open_eventfd(void)
{
	near_end = far_end = eventfd(0, 0);
}

static void write_event(void)
{
	uint64_t one = 1;
	if (write(far_end, &one, 8) != 8)
		battery_fail("the waker cannot write");
}

static void read_eight(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_read, near_end, P(bytes), 8, 0, 0, 0);
}

static void make_name(void)
{
	static unsigned number; // one for each check of this process
	snprintf(name, sizeof(name), "/tmp/strobe-battery-%d-%u", (int)getpid(), number++);
	unlink(name);
}

static void open_inotify(void)
{
	make_name();
	near_end = inotify_init();
	must(inotify_add_watch(near_end, "/tmp", IN_MOVED_TO), "inotify_add_watch");
	// Of a file of our own: /tmp sees much else.
	far_end = open(name, O_RDWR | O_CREAT, 0600);
	inotify_rm_watch(near_end, 1);
	must(inotify_add_watch(near_end, name, IN_MODIFY), "inotify_add_watch");
	unlink(name);
	must(read(near_end, bytes, sizeof(bytes)), "read"); // IN_IGNORED
}

static void inotify_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_read, near_end, P(bytes), sizeof(struct inotify_event), 0, 0, 0);
}

static void open_terminal(void)
{
	far_end = posix_openpt(O_RDWR | O_NOCTTY);
	must(far_end, "posix_openpt");
	grantpt(far_end);
	unlockpt(far_end);
	near_end = open(ptsname(far_end), O_RDWR | O_NOCTTY);
	must(near_end, "open of the terminal");
}

static void write_line(void)
{
	if (write(far_end, "\n", 1) != 1)
		battery_fail("the waker cannot write");
}

static void fill_pipe(void)
{
	char page[4096] = {0};
	fcntl(far_end, F_SETFL, O_NONBLOCK);
	while (write(far_end, page, sizeof(page)) > 0)
		;
	fcntl(far_end, F_SETFL, 0);
}

static void empty_page(void)
{
	char page[4096];
	if (read(near_end, page, sizeof(page)) != sizeof(page))
		battery_fail("the waker cannot read");
}

static void write_page(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static char page[4096];
	fill(call, SYS_write, far_end, P(page), sizeof(page), 0, 0, 0);
}

static void splice_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_splice, near_end, 0, polled, 0, 1, 0);
}

static void setup_null(void)
{
	polled = open("/dev/null", O_WRONLY);
}

static void open_listener(void)
{
	make_name();
	address.sun_family = AF_UNIX;
	memcpy(address.sun_path + 1, name, strlen(name)); // abstract: no file
	near_end = socket(AF_UNIX, SOCK_STREAM, 0);
	must(bind(near_end, (struct sockaddr *)&address, sizeof(address)), "bind");
	must(listen(near_end, 0), "listen");
}

static void connect_once(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
		battery_fail("the waker cannot connect: %s", strerror(errno));
	close(fd);
}

// The backlog holds one; later rounds find it full already.
static void fill_backlog(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno != EAGAIN)
		battery_fail("the waker cannot connect: %s", strerror(errno));
	close(fd);
}

static void accept_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_accept, near_end, 0, 0, 0, 0, 0);
}

static void connect_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	polled = socket(AF_UNIX, SOCK_STREAM, 0);
	fill(call, SYS_connect, polled, P(&address), sizeof(address), 0, 0, 0);
}

static void accept_one(void)
{
	int fd = accept(near_end, NULL, NULL);
	if (fd < 0)
		battery_fail("the waker cannot accept");
	close(fd);
}

static void close_polled(void)
{
	close(polled);
}

static void open_fifo_name(void)
{
	make_name();
	must(mkfifo(name, 0600), "mkfifo");
}

static void open_fifo(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_open, P(name), O_RDONLY, 0, 0, 0, 0);
}

static void open_other_end(void)
{
	int fd; // fails while there is no reader yet
	while ((fd = open(name, O_WRONLY | O_NONBLOCK)) < 0 && !atomic_load(&shared->failed) &&
	       !atomic_load(&shared->finished))
		usleep(50);
	close(fd);
}

static void remove_name(void)
{
	if (atomic_load(&shared->stop))
		unlink(name);
}

static int futex_flag(void)
{
	return options.waker_is_thread ? FUTEX_PRIVATE_FLAG : 0;
}

static void futex_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_futex, P(&shared->words[0]), FUTEX_WAIT | futex_flag(), 0, 0, 0, 0);
}

static void futex_bitset(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_futex, P(&shared->words[0]), FUTEX_WAIT_BITSET | futex_flag(), 0, 0, 0, 5);
}

static void futex_wake(void)
{
	// Woken, not changed: a call that is made anew would wait for ever. It may not wait yet.
	while (CALL(SYS_futex, &shared->words[0], FUTEX_WAKE | futex_flag(), 1) == 0 &&
	       !atomic_load(&shared->failed) && !atomic_load(&shared->finished))
		usleep(50);
}

static void futex_waitv_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static struct {
		uint64_t value, address;
		uint32_t flags, reserved;
	} waiter;
	waiter.address = (uint64_t)&shared->words[0];
	waiter.flags = 2u | (unsigned)futex_flag(); // 32 bits
	fill(call, 449, P(&waiter), 1, 0, 0, 0, 0);
}

static void lock_pi(void)
{
	if (CALL(SYS_futex, &shared->words[1], FUTEX_LOCK_PI, 0, 0) != 0)
		battery_fail("the waker cannot lock");
}

static void unlock_pi(void)
{
	if (CALL(SYS_futex, &shared->words[1], FUTEX_UNLOCK_PI, 0, 0) != 0)
		battery_fail("cannot unlock");
}

static void futex_pi(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_futex, P(&shared->words[1]), FUTEX_LOCK_PI, 0, 0, 0, 0);
}

static aio_context_t aio;

static void setup_aio(void)
{
	if (CALL(SYS_io_setup, 4, &aio) != 0)
		battery_skip("io_setup is refused");
}

static void io_getevents_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static struct io_event done;
	static struct iocb block;
	struct iocb *blocks = &block;
	block = (struct iocb){.aio_lio_opcode = IOCB_CMD_POLL,
			      .aio_fildes = (uint32_t)near_end,
			      .aio_buf = POLLIN};
	if (CALL(SYS_io_submit, aio, 1, &blocks) != 1)
		battery_fail("io_submit failed");
	fill(call, SYS_io_getevents, P(aio), 1, 1, P(&done), 0, 0);
}

static struct io_uring_params ring;
static char *queues;
static struct io_uring_sqe *entries;

static void setup_uring(void)
{
	polled = (int)CALL(SYS_io_uring_setup, 4, &ring);
	if (polled < 0) {
		battery_skip("io_uring_setup is refused");
		return;
	}
	queues = mmap(NULL, ring.cq_off.cqes + ring.cq_entries * sizeof(struct io_uring_cqe),
		      PROT_READ | PROT_WRITE, MAP_SHARED, polled, IORING_OFF_SQ_RING);
	entries = mmap(NULL, ring.sq_entries * sizeof(*entries), PROT_READ | PROT_WRITE, MAP_SHARED,
		       polled, IORING_OFF_SQES);
	if (queues == MAP_FAILED || entries == MAP_FAILED)
		battery_fail("mmap of the ring failed");
}

static void uring_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	_Atomic uint32_t *tail = (void *)(queues + ring.sq_off.tail);
	uint32_t at = atomic_load(tail) & (ring.sq_entries - 1);
	((uint32_t *)(queues + ring.sq_off.array))[at] = at;
	entries[at] = (struct io_uring_sqe){
		.opcode = IORING_OP_POLL_ADD, .fd = near_end, .poll32_events = POLLIN};
	atomic_fetch_add(tail, 1);
	if (CALL(SYS_io_uring_enter, polled, 1, 0, 0, 0, 0) != 1)
		battery_fail("io_uring_enter takes nothing");
	fill(call, SYS_io_uring_enter, polled, 0, 1, IORING_ENTER_GETEVENTS, 0, 0);
}

static void after_uring(void)
{
	_Atomic uint32_t *head = (void *)(queues + ring.cq_off.head);
	if (atomic_load((_Atomic uint32_t *)(queues + ring.cq_off.tail)) - atomic_load(head) != 1)
		battery_fail("the ring does not hold one result");
	atomic_fetch_add(head, 1);
	read_byte();
}

#define EVENT(n, opened, blocked, woken, setup, prepare, expected, after)                          \
	{                                                                                          \
		.name = n, .proves = "no EINTR, returns when woken", .run = wait_run,              \
		.open = opened, .block = blocked, .wake = woken, .detail = &(const struct waiting) \
		{                                                                                  \
			setup, prepare, expected, after                                            \
		}                                                                                  \
	}
enum { EVENT_SIZE = sizeof(struct inotify_event) };

const struct battery_check event_checks[] = {
	EVENT("epoll_wait", open_pipe, NULL, write_byte, setup_epoll, epoll_wait_, 1, read_byte),
	EVENT("epoll_pwait", open_pipe, NULL, write_byte, setup_epoll, epoll_pwait_, 1, read_byte),
	EVENT("poll", open_pipe, NULL, write_byte, NULL, poll_, 1, read_byte),
	EVENT("ppoll", open_pipe, NULL, write_byte, NULL, ppoll_, 1, read_byte),
	EVENT("select", open_pipe, NULL, write_byte, NULL, select_, 1, read_byte),
	EVENT("pselect", open_pipe, NULL, write_byte, NULL, pselect_, 1, read_byte),
	EVENT("read-pipe", open_pipe, NULL, write_byte, NULL, read_, 1, NULL),
	EVENT("read-socket", open_sockets, NULL, write_byte, NULL, read_, 1, NULL),
	EVENT("recvmsg", open_sockets, NULL, write_byte, NULL, recvmsg_, 1, NULL),
	EVENT("read-eventfd", open_eventfd, NULL, write_event, NULL, read_eight, 8, NULL),
	EVENT("read-inotify", open_inotify, NULL, write_byte, NULL, inotify_, EVENT_SIZE, NULL),
	EVENT("read-terminal", open_terminal, NULL, write_line, NULL, read_, 1, NULL),
	EVENT("splice-pipe", open_pipe, NULL, write_byte, setup_null, splice_, 1, NULL),
	EVENT("write-full-pipe", open_pipe, fill_pipe, empty_page, NULL, write_page, 4096, NULL),
	EVENT("accept", open_listener, NULL, connect_once, NULL, accept_, WAIT_DESCRIPTOR, NULL),
	EVENT("connect", open_listener, fill_backlog, accept_one, NULL, connect_, 0, close_polled),
	EVENT("open-fifo", open_fifo_name, NULL, open_other_end, NULL, open_fifo, WAIT_DESCRIPTOR,
	      remove_name),
	EVENT("futex", NULL, NULL, futex_wake, NULL, futex_, 0, NULL),
	EVENT("futex-bitset", NULL, NULL, futex_wake, NULL, futex_bitset, 0, NULL),
	EVENT("futex_waitv", NULL, NULL, futex_wake, NULL, futex_waitv_, 0, NULL),
	EVENT("futex-pi", NULL, lock_pi, unlock_pi, NULL, futex_pi, 0, unlock_pi),
	EVENT("io_getevents", open_pipe, NULL, write_byte, setup_aio, io_getevents_, 1, read_byte),
	EVENT("io_uring", open_pipe, NULL, write_byte, setup_uring, uring_, 0, after_uring),
	{0},
};
