// SPDX-License-Identifier: Apache-2.0
// Calls on signals, locks and System V and POSIX queues that wait until somebody wakes them.
#include "battery.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { WOKEN = 42 }; // free in every libc
static int queue = -1, held_fd, wanted_fd;
static sigset_t signals;
static struct timespec minute = {60, 0};
static struct {
	long type;
	char text[8];
} message = {1, "hello"};
static char room[64];

static void fill(struct wait_call *call, long number, long a, long b, long c, long d, long e,
		 long f)
{
	*call = (struct wait_call){number, {a, b, c, d, e, f}};
}
#define P(x) ((long)(x))

static void setup_signal(void)
{
	sigemptyset(&signals);
	sigaddset(&signals, WOKEN);
	pthread_sigmask(SIG_BLOCK, &signals, NULL);
}

static void send_signal(void)
{
	CALL(SYS_tgkill, atomic_load(&shared->waiter_pid), atomic_load(&shared->waiter_tid), WOKEN);
}

static void sigwaitinfo_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_rt_sigtimedwait, P(&signals), 0, 0, 8, 0, 0);
}

static void sigtimedwait_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_rt_sigtimedwait, P(&signals), 0, P(&minute), 8, 0, 0);
}

static void open_semaphore(void)
{
	queue = semget(IPC_PRIVATE, 1, 0600);
}

static void setup_ipc(void)
{
	if (queue < 0)
		battery_skip("the queue or semaphore is refused");
}

static void raise_semaphore(void)
{
	struct sembuf up = {0, 1, 0};
	semop(queue, &up, 1);
}

static struct sembuf down = {0, -1, 0};

static void semop_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_semop, queue, P(&down), 1, 0, 0, 0);
}

static void semtimedop_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_semtimedop, queue, P(&down), 1, P(&minute), 0, 0);
}

static void remove_semaphore(void)
{
	if (atomic_load(&shared->stop))
		semctl(queue, 0, IPC_RMID);
}

static void open_messages(void)
{
	queue = msgget(IPC_PRIVATE, 0600);
}

static void send_message(void)
{
	if (msgsnd(queue, &message, sizeof(message.text), 0) != 0)
		battery_fail("the waker cannot send");
}

static void msgrcv_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_msgrcv, queue, P(room), sizeof(message.text), 0, 0, 0);
}

static void fill_messages(void)
{
	while (msgsnd(queue, &message, sizeof(message.text), IPC_NOWAIT) == 0)
		;
}

static void take_message(void)
{
	if (msgrcv(queue, room, sizeof(message.text), 0, IPC_NOWAIT) < 0)
		battery_fail("the waker cannot receive");
}

static void msgsnd_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_msgsnd, queue, P(&message), sizeof(message.text), 0, 0, 0);
}

static void remove_messages(void)
{
	if (atomic_load(&shared->stop))
		msgctl(queue, IPC_RMID, NULL);
}

static void open_queue(void)
{
	struct mq_attr attributes = {.mq_maxmsg = 1, .mq_msgsize = 8};
	char name[40];
	snprintf(name, sizeof(name), "strobe-battery-%d", (int)getpid());
	queue = (int)CALL(SYS_mq_open, name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
	CALL(SYS_mq_unlink, name);
}

static void mq_send_one(void)
{
	if (CALL(SYS_mq_timedsend, queue, "1234567", 8, 0, 0) != 0)
		battery_fail("mq_send failed");
}

static void mq_take_one(void)
{
	if (CALL(SYS_mq_timedreceive, queue, room, 8, 0, 0) != 8)
		battery_fail("mq_receive failed");
}

static void mq_receive_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_mq_timedreceive, queue, P(room), 8, 0, 0, 0);
}

static void mq_send_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_mq_timedsend, queue, P(room), 8, 0, 0, 0);
}

static void open_files(void)
{
	char name[64];
	snprintf(name, sizeof(name), "/tmp/strobe-battery-%d", (int)getpid());
	held_fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	wanted_fd = open(name, O_RDWR);
	unlink(name);
	if (held_fd < 0 || wanted_fd < 0) {
		perror("battery: open");
		exit(2);
	}
}

static void hold_flock(void)
{
	if (flock(held_fd, LOCK_EX) != 0)
		battery_fail("the waker cannot lock");
}

static void drop_flock(void)
{
	flock(held_fd, LOCK_UN);
}

static void flock_(struct wait_call *call, uint64_t start, uint64_t ns)
{
	fill(call, SYS_flock, wanted_fd, LOCK_EX, 0, 0, 0, 0);
}

static void after_flock(void)
{
	flock(wanted_fd, LOCK_UN);
}

// Locks of open file descriptions for the waker: those of one process do not shut itself out.
static void lock_held(short type, int fd)
{
	struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_len = 1};
	if (fcntl(fd, F_OFD_SETLKW, &lock) != 0)
		battery_fail("fcntl lock: %s", strerror(errno));
}

static void hold_lock(void)
{
	lock_held(F_WRLCK, held_fd);
}

static void drop_lock(void)
{
	lock_held(F_UNLCK, held_fd);
}

static struct flock wanted_lock;

static void setlkw(struct wait_call *call, uint64_t start, uint64_t ns)
{
	wanted_lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	fill(call, SYS_fcntl, wanted_fd, F_SETLKW, P(&wanted_lock), 0, 0, 0);
}

static void after_setlkw(void)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET, .l_len = 1};
	fcntl(wanted_fd, F_SETLK, &lock);
}

static void ofd_setlkw(struct wait_call *call, uint64_t start, uint64_t ns)
{
	wanted_lock = (struct flock){.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};
	fill(call, SYS_fcntl, wanted_fd, F_OFD_SETLKW, P(&wanted_lock), 0, 0, 0);
}

static void after_ofd(void)
{
	lock_held(F_UNLCK, wanted_fd);
}

#define EVENT(n, opened, blocked, woken, setup, prepare, expected, after)                          \
	{                                                                                          \
		.name = n, .proves = "no EINTR, returns when woken", .run = wait_run,              \
		.open = opened, .block = blocked, .wake = woken, .detail = &(const struct waiting) \
		{                                                                                  \
			setup, prepare, expected, after                                            \
		}                                                                                  \
	}

const struct battery_check ipc_checks[] = {
	EVENT("sigwaitinfo", NULL, NULL, send_signal, setup_signal, sigwaitinfo_, WOKEN, NULL),
	EVENT("sigtimedwait", NULL, NULL, send_signal, setup_signal, sigtimedwait_, WOKEN, NULL),
	EVENT("semop", open_semaphore, NULL, raise_semaphore, setup_ipc, semop_, 0,
	      remove_semaphore),
	EVENT("semtimedop", open_semaphore, NULL, raise_semaphore, setup_ipc, semtimedop_, 0,
	      remove_semaphore),
	EVENT("msgrcv", open_messages, NULL, send_message, setup_ipc, msgrcv_, 8, remove_messages),
	EVENT("msgsnd-full", open_messages, fill_messages, take_message, setup_ipc, msgsnd_, 0,
	      remove_messages),
	EVENT("mq_receive", open_queue, NULL, mq_send_one, setup_ipc, mq_receive_, 8, NULL),
	EVENT("mq_send-full", open_queue, mq_send_one, mq_take_one, setup_ipc, mq_send_, 0,
	      mq_take_one),
	EVENT("flock", open_files, hold_flock, drop_flock, NULL, flock_, 0, after_flock),
	EVENT("fcntl-setlkw", open_files, hold_lock, drop_lock, NULL, setlkw, 0, after_setlkw),
	EVENT("fcntl-ofd-setlkw", open_files, hold_lock, drop_lock, NULL, ofd_setlkw, 0, after_ofd),
	{0},
};
