/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_BASE_THREAD_POLLER_H
#define WEFT_BASE_THREAD_POLLER_H

#include <stdbool.h>
#include <stdint.h>

#include "weft/err.h"

/*
 * Waiting of one worker for file descriptors (epoll). The watch is
 * embedded in its owner; after poller_remove its ready is not called, even
 * when the event was already fetched.
 */
struct poller;
struct poller_watch {
	/* events: POLLER_IN | POLLER_OUT | POLLER_HANGUP */
	void (*ready)(struct poller_watch *watch, unsigned events, uint64_t now_ns);
	int fd;
};

enum { POLLER_IN = 1, POLLER_OUT = 2, POLLER_HANGUP = 4 };

/*
 * poller_new: at most watch_cap watches. 0 or -errno. Sets the calling
 * thread's timer slack to 1 ns: with the usual 50 us every wait would end
 * late, and pacing with it. Context: the thread that will wait.
 */
WEFT_MUST_CHECK
int poller_new(unsigned watch_cap, struct poller **out_poller);
void poller_free(struct poller *poller);
/* poller_add: 0, WEFT_EFULL or -errno. events as above; level-triggered. */
WEFT_MUST_CHECK
int poller_add(struct poller *poller, struct poller_watch *watch, unsigned events);
WEFT_MUST_CHECK
int poller_change(struct poller *poller, struct poller_watch *watch, unsigned events);
/* poller_remove: watch was added; its fd may be closed already. */
void poller_remove(struct poller *poller, struct poller_watch *watch);
/*
 * poller_wait waits until deadline_ns (CLOCK_MONOTONIC; 0: do not wait,
 * UINT64_MAX: without end) and calls ready for each event. Returns how
 * many, at most 64, or -errno (-EINTR is 0). ready may add, change and
 * remove any watch.
 */
WEFT_MUST_CHECK
int poller_wait(struct poller *poller, uint64_t deadline_ns);
/*
 * For a caller with a clock of its own: poller_poll does what poller_wait does without waiting,
 * and passes now_ns. poller_is_ready: it would call a watch.
 */
WEFT_MUST_CHECK
int poller_poll(struct poller *poller, uint64_t now_ns);
bool poller_is_ready(const struct poller *poller);

#endif
