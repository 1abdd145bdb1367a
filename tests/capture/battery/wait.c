// SPDX-License-Identifier: Apache-2.0
#include "battery.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

// One round: the call, what it gave, and how long that took.
static void wait_once(const struct battery_check *check, uint64_t wait_ns)
{
	const struct waiting *waiting = check->detail;
	struct wait_call call = {0};
	if (check->wake)
		battery_arm(wait_ns);
	uint64_t start = battery_now_ns();
	waiting->prepare(&call, start, wait_ns);
	const long *a = call.argument;
	errno = 12345;
	long got = battery_call(call.number, a[0], a[1], a[2], a[3], a[4], a[5]);
	uint64_t end = battery_now_ns();
	EXPECT(errno == 12345, "errno changed to %d", errno);
	if (waiting->expected == WAIT_DESCRIPTOR && got >= 0)
		close((int)got);
	else
		EXPECT(got == waiting->expected,
		       "returned %ld (%s), not %ld, after %.1f of %.1f ms", got,
		       got < 0 ? strerror((int)-got) : "", waiting->expected,
		       (double)(end - start) / 1e6, (double)wait_ns / 1e6);
	uint64_t due = start + wait_ns;
	if (check->wake) {
		EXPECT(atomic_load(&shared->woken) == atomic_load(&shared->armed),
		       "returned before it was woken");
		due = atomic_load(&shared->woken_ns);
	}
	EXPECT(end >= due, "returned %.3f ms early", (double)(due - end) / 1e6);
	EXPECT(waiting->begins_anew || end - due <= options.slack_ns, "returned %.1f ms late", (double)(end - due) / 1e6);
	if (waiting->after)
		waiting->after();
}

void wait_run(const struct battery_check *check)
{
	const struct waiting *waiting = check->detail;
	pthread_t waker;
	atomic_store(&shared->waiter_pid, getpid());
	atomic_store(&shared->waiter_tid, (int)CALL(SYS_gettid));
	if (waiting->setup)
		waiting->setup();
	if (shared->skip[0])
		return;
	bool threaded = check->wake && options.waker_is_thread;
	if (threaded)
		EXPECT(pthread_create(&waker, NULL, battery_waker, (void *)check) == 0,
		       "pthread_create failed");
	battery_ready();
	for (uint64_t round = 0; battery_more(); round++)
		wait_once(check, (5 + round * 17 % 60) * 1000 * 1000);
	atomic_store(&shared->finished, 1);
	if (threaded)
		pthread_join(waker, NULL);
}
