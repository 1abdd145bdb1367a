// SPDX-License-Identifier: Apache-2.0
// Calls that wait with a time limit, and reach it.
#include "battery.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static int pair[2], polled;
static struct timespec limit;
static struct timeval tv;
static struct epoll_event event;
static struct pollfd poll_fd;
static fd_set set;
static char byte;
static sigset_t signals;
static struct {
	const void *mask;
	size_t size;
} pselect_mask;

static void fill(struct wait_call *call, long number, long a, long b, long c, long d, long e,
		 long f)
{
	*call = (struct wait_call){number, {a, b, c, d, e, f}};
}
#define P(x) ((long)(x))

static void set_limit(uint64_t ns)
{
	limit.tv_sec = (time_t)(ns / 1000000000u);
	limit.tv_nsec = (long)(ns % 1000000000u);
}

static uint64_t realtime(uint64_t start, uint64_t wait)
{
	// From now on, which is a moment after the start: never early by our own fault.
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec + wait;
}

static void setup_pair(void)
{
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0)
		battery_fail("socketpair: %s", strerror(errno));
	poll_fd = (struct pollfd){.fd = pair[0], .events = POLLIN};
}

static void setup_epoll(void)
{
	setup_pair();
	polled = epoll_create1(0);
	struct epoll_event wanted = {.events = EPOLLIN};
	epoll_ctl(polled, EPOLL_CTL_ADD, pair[0], &wanted);
}

static void epoll_wait_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_epoll_wait, polled, P(&event), 1, (long)(ns / 1000000), 0, 0);
}

static void epoll_pwait_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_epoll_pwait, polled, P(&event), 1, (long)(ns / 1000000), P(&signals), 8);
}

static void epoll_pwait2_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(ns);
	fill(call, SYS_epoll_pwait2, polled, P(&event), 1, P(&limit), P(&signals), 8);
}

static void poll_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_poll, P(&poll_fd), 1, (long)(ns / 1000000), 0, 0, 0);
}

static void ppoll_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(ns);
	fill(call, SYS_ppoll, P(&poll_fd), 1, P(&limit), P(&signals), 8, 0);
}

static void select_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	tv = (struct timeval){.tv_usec = (long)(ns / 1000)};
	FD_ZERO(&set);
	FD_SET(pair[0], &set);
	fill(call, SYS_select, pair[0] + 1, P(&set), 0, 0, P(&tv), 0);
}

static void pselect_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(ns);
	FD_ZERO(&set);
	FD_SET(pair[0], &set);
	pselect_mask.mask = &signals;
	pselect_mask.size = 8;
	fill(call, SYS_pselect6, pair[0] + 1, P(&set), 0, 0, P(&limit), P(&pselect_mask));
}

static void nanosleep_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(ns);
	fill(call, SYS_nanosleep, P(&limit), 0, 0, 0, 0, 0);
}

static void clock_nanosleep_relative(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(ns);
	fill(call, SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, P(&limit), P(&tv), 0, 0);
}

static void clock_nanosleep_absolute(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(start + ns);
	fill(call, SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, P(&limit), 0, 0, 0);
}

static void clock_nanosleep_realtime(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(realtime(start, ns));
	fill(call, SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, P(&limit), 0, 0, 0);
}

static void futex_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(ns);
	fill(call, SYS_futex, P(&shared->words[0]), FUTEX_WAIT, 0, P(&limit), 0, 0);
}

static void futex_bitset(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(start + ns);
	fill(call, SYS_futex, P(&shared->words[0]), FUTEX_WAIT_BITSET, 0, P(&limit), 0, -1);
}

static void setup_futex_pi(void)
{
	shared->words[1] = (uint32_t)getppid(); // the supervisor owns it, for ever
}

static void futex_pi(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(realtime(start, ns));
	fill(call, SYS_futex, P(&shared->words[1]), FUTEX_LOCK_PI, 0, P(&limit), 0, 0);
}

static void futex_waitv_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static struct {
		uint64_t value, address;
		uint32_t flags, reserved;
	} waiter;
	waiter.address = (uint64_t)&shared->words[0];
	waiter.flags = 2; // 32 bits
	set_limit(start + ns);
	fill(call, 449, P(&waiter), 1, 0, P(&limit), CLOCK_MONOTONIC, 0);
}

static void socket_limit(int fd, uint64_t ns)
{
	struct timeval time = {.tv_usec = (long)(ns / 1000)};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time));
}

static void recv_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	socket_limit(pair[0], ns);
	fill(call, SYS_recvfrom, pair[0], P(&byte), 1, 0, 0, 0);
}

static void setup_full_socket(void)
{
	char zeros[4096] = {0};
	setup_pair();
	while (send(pair[0], zeros, sizeof(zeros), MSG_DONTWAIT) > 0)
		;
}

static void send_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	socket_limit(pair[0], ns);
	fill(call, SYS_sendto, pair[0], P(&byte), 1, 0, 0, 0);
}

static void setup_listen(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	polled = socket(AF_INET, SOCK_STREAM, 0);
	if (bind(polled, (struct sockaddr *)&address, sizeof(address)) != 0 ||
	    listen(polled, 1) != 0)
		battery_fail("listen: %s", strerror(errno));
}

static void accept_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	socket_limit(polled, ns);
	fill(call, SYS_accept, polled, 0, 0, 0, 0, 0);
}

static void setup_sigtimedwait(void)
{
	sigemptyset(&signals);
	sigaddset(&signals, SIGUSR1);
	sigprocmask(SIG_BLOCK, &signals, NULL);
}

static void sigtimedwait_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	set_limit(ns);
	fill(call, SYS_rt_sigtimedwait, P(&signals), 0, P(&limit), 8, 0, 0);
}

static void setup_semaphore(void)
{
	polled = semget(IPC_PRIVATE, 1, 0600);
	if (polled < 0)
		battery_skip("semget is refused");
}

static void semtimedop_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static struct sembuf down = {0, -1, 0};
	set_limit(ns);
	fill(call, SYS_semtimedop, polled, P(&down), 1, P(&limit), 0, 0);
}

static void remove_semaphore(void)
{
	if (atomic_load(&shared->stop))
		semctl(polled, 0, IPC_RMID);
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
	set_limit(ns);
	fill(call, SYS_io_getevents, P(aio), 1, 1, P(&done), P(&limit), 0);
}

static void setup_uring(void)
{
	struct io_uring_params params = {0};
	polled = (int)CALL(SYS_io_uring_setup, 4, &params);
	if (polled < 0)
		battery_skip("io_uring_setup is refused");
	else if (!(params.features & IORING_FEAT_EXT_ARG))
		battery_skip("this io_uring knows no time limit");
}

static void io_uring_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static struct __kernel_timespec time;
	static struct io_uring_getevents_arg argument;
	time.tv_nsec = (long long)ns;
	argument.ts = (uint64_t)&time;
	fill(call, SYS_io_uring_enter, polled, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
	     P(&argument), sizeof(argument));
}

static void setup_queue(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
	char name[40];
	snprintf(name, sizeof(name), "strobe-battery-%d", (int)getpid());
	polled = (int)CALL(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	if (polled < 0)
		battery_skip("mq_open is refused");
	CALL(SYS_mq_unlink, name);
}

static void mq_timedreceive_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	static char message[8];
	set_limit(realtime(start, ns));
	fill(call, SYS_mq_timedreceive, polled, P(message), 8, 0, P(&limit), 0);
}

#define TIMED(n, setup, prepare, expected, ...)                                                    \
	{                                                                                          \
		.name = n, .proves = "its time limit, no EINTR", .run = wait_run,                  \
		.detail = &(const struct waiting)                                                  \
		{                                                                                  \
			setup, prepare, expected, __VA_ARGS__                                      \
		}                                                                                  \
	}

const struct battery_check timed_checks[] = {
	TIMED("epoll_wait-limit", setup_epoll, epoll_wait_, 0, NULL),
	TIMED("epoll_pwait-limit", setup_epoll, epoll_pwait_, 0, NULL),
	TIMED("epoll_pwait2-limit", setup_epoll, epoll_pwait2_, 0, NULL),
	TIMED("poll-limit", setup_pair, poll_, 0, NULL),
	TIMED("ppoll-limit", setup_pair, ppoll_, 0, NULL),
	TIMED("select-limit", setup_pair, select_, 0, NULL),
	TIMED("pselect-limit", setup_pair, pselect_, 0, NULL),
	TIMED("nanosleep", NULL, nanosleep_, 0, NULL),
	TIMED("clock_nanosleep-relative", NULL, clock_nanosleep_relative, 0, NULL),
	TIMED("clock_nanosleep-absolute", NULL, clock_nanosleep_absolute, 0, NULL),
	TIMED("clock_nanosleep-realtime", NULL, clock_nanosleep_realtime, 0, NULL),
	TIMED("futex-limit", NULL, futex_, -ETIMEDOUT, NULL),
	TIMED("futex-bitset-absolute", NULL, futex_bitset, -ETIMEDOUT, NULL),
	TIMED("futex-pi-limit", setup_futex_pi, futex_pi, -ETIMEDOUT, NULL),
	TIMED("futex_waitv-limit", NULL, futex_waitv_, -ETIMEDOUT, NULL),
	TIMED("recv-limit", setup_pair, recv_, -EAGAIN, NULL, true),
	TIMED("send-limit", setup_full_socket, send_, -EAGAIN, NULL, true),
	TIMED("accept-limit", setup_listen, accept_, -EAGAIN, NULL, true),
	TIMED("sigtimedwait-limit", setup_sigtimedwait, sigtimedwait_, -EAGAIN, NULL),
	TIMED("semtimedop-limit", setup_semaphore, semtimedop_, -EAGAIN, remove_semaphore),
	TIMED("io_getevents-limit", setup_aio, io_getevents_, 0, NULL),
	TIMED("io_uring-limit", setup_uring, io_uring_, -ETIME, NULL),
	TIMED("mq_timedreceive-limit", setup_queue, mq_timedreceive_, -ETIMEDOUT, NULL),
	{0},
};
