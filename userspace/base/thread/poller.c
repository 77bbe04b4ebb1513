/* SPDX-License-Identifier: Apache-2.0 */
#include "base/thread/poller.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/monotonic.h"

#define FETCH_MAX 64

struct poller {
	int fd;
	unsigned watch_cnt, watch_cap;
	struct epoll_event fetched[FETCH_MAX];
	int fetched_cnt; /* while dispatching */
};

int poller_new(unsigned watch_cap, struct poller **out_poller)
{
	struct poller *poller = calloc(1, sizeof(*poller));

	if (!poller)
		return -ENOMEM;
	poller->watch_cap = watch_cap;
	poller->fd = epoll_create1(EPOLL_CLOEXEC);
	if (poller->fd < 0) {
		int err = -errno;

		free(poller);
		return err;
	}
	(void)prctl(PR_SET_TIMERSLACK, 1);
	*out_poller = poller;
	return 0;
}

void poller_free(struct poller *poller)
{
	if (!poller)
		return;
	close(poller->fd);
	free(poller);
}

static int poller_control(struct poller *poller, int op, struct poller_watch *watch,
			  unsigned events)
{
	struct epoll_event event = {.data.ptr = watch};

	if (events & POLLER_IN)
		event.events |= EPOLLIN;
	if (events & POLLER_OUT)
		event.events |= EPOLLOUT;
	if (events & POLLER_HANGUP)
		event.events |= EPOLLRDHUP;
	return epoll_ctl(poller->fd, op, watch->fd, &event) < 0 ? -errno : 0;
}

int poller_add(struct poller *poller, struct poller_watch *watch, unsigned events)
{
	int err;

	if (poller->watch_cnt == poller->watch_cap)
		return WEFT_EFULL;
	err = poller_control(poller, EPOLL_CTL_ADD, watch, events);
	poller->watch_cnt += err == 0;
	return err;
}

int poller_change(struct poller *poller, struct poller_watch *watch, unsigned events)
{
	return poller_control(poller, EPOLL_CTL_MOD, watch, events);
}

void poller_remove(struct poller *poller, struct poller_watch *watch)
{
	/* A descriptor closed before left epoll by itself (-EBADF), but its place is still counted. */
	if (poller_control(poller, EPOLL_CTL_DEL, watch, 0) != -ENOENT)
		poller->watch_cnt--;
	for (int i = 0; i < poller->fetched_cnt; i++)
		if (poller->fetched[i].data.ptr == watch)
			poller->fetched[i].data.ptr = NULL;
}

static unsigned events_of(uint32_t epoll_events)
{
	unsigned events = 0;

	if (epoll_events & EPOLLIN)
		events |= POLLER_IN;
	if (epoll_events & EPOLLOUT)
		events |= POLLER_OUT;
	if (epoll_events & (EPOLLHUP | EPOLLRDHUP | EPOLLERR))
		events |= POLLER_HANGUP;
	return events;
}

static int poller_fetch(struct poller *poller, uint64_t deadline_ns)
{
	uint64_t now_ns = deadline_ns == 0 || deadline_ns == UINT64_MAX ? 0 : clock_monotonic_ns();
	uint64_t wait_ns = deadline_ns > now_ns ? deadline_ns - now_ns : 0;
	struct timespec timeout = {(time_t)(wait_ns / NS_PER_S), (long)(wait_ns % NS_PER_S)};

	return epoll_pwait2(poller->fd, poller->fetched, FETCH_MAX,
			    deadline_ns == UINT64_MAX ? NULL : &timeout, NULL);
}

static int poller_dispatch(struct poller *poller, int cnt, uint64_t now_ns)
{
	poller->fetched_cnt = cnt;
	for (int i = 0; i < cnt; i++) {
		struct poller_watch *watch = poller->fetched[i].data.ptr;

		if (watch)
			watch->ready(watch, events_of(poller->fetched[i].events), now_ns);
	}
	poller->fetched_cnt = 0;
	return cnt;
}

int poller_wait(struct poller *poller, uint64_t deadline_ns)
{
	int cnt = poller_fetch(poller, deadline_ns);

	if (cnt < 0)
		return errno == EINTR ? 0 : -errno;
	return cnt ? poller_dispatch(poller, cnt, clock_monotonic_ns()) : 0;
}

int poller_poll(struct poller *poller, uint64_t now_ns)
{
	int cnt = poller_fetch(poller, 0);

	if (cnt < 0)
		return errno == EINTR ? 0 : -errno;
	return poller_dispatch(poller, cnt, now_ns);
}

bool poller_is_ready(const struct poller *poller)
{
	struct pollfd look = {.fd = poller->fd, .events = POLLIN};

	return poll(&look, 1, 0) > 0;
}
