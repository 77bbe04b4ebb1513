/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_PROVIDER_PROGRAM_HEALTH_H
#define WEFT_PROVIDER_PROGRAM_HEALTH_H

#include "base/thread/poller.h"
#include "base/timer.h"
#include "provider/provider.h"

struct offer;
struct health_ask;

/*
 * Private to provider/: whether an offer's program lives. Its offer is ready while it does. The
 * test is by kind:
 *
 *	http	it accepts a connection, and answers GET of its health path, if it has one, by a
 *		status below 400
 *	socket	it accepts a connection
 *	exec	its user can run the file
 *
 * One slow answer is forgiven, two in a row are not. A refused connection counts at once.
 *
 * A stopped program still accepts connections, since the kernel does. So two calls or requests
 * of HTTP in a row may use up the offer's own timeout while the program answers none. Then the
 * offer is down for a pause, which doubles each time. An answer ends the pause and the doubling.
 */
#define HEALTH_TIMEOUT_NS   (3ull * 1000000000)
#define HEALTH_SOON_NS	    (1ull * 1000000000) /* while it is down, or after one slow answer */
#define HEALTH_OVERDUE_MAX  2			/* calls in a row that set it down */
#define HEALTH_PAUSE_NS	    (5ull * 1000000000) /* the first */
#define HEALTH_PAUSE_NS_MAX (80ull * 1000000000)

struct health {
	enum provider_state state;
	uint64_t since_ns;
	uint64_t checked_ns;
	const char *why;      /* of DOWN; static */
	unsigned slow_cnt;    /* in a row */
	unsigned overdue_cnt; /* calls in a row */
	uint64_t answered_ns; /* when a call was answered last */
	uint64_t pause_ns;    /* the last pause; 0: none since a call was answered */
	bool is_pausing;
	struct timer timer; /* the next check, or the end of this one */
	struct poller_watch watch;
	bool is_watched;
	bool is_asked;		/* exec: the launcher has yet to answer */
	struct health_ask *ask; /* the question of a health path, while it is under way */
};

/* provider_health_start checks now; the offer is not ready until then. */
void provider_health_start(struct offer *offer, uint64_t now_ns);
void provider_health_stop(struct offer *offer);
/* provider_health_suspect: a connection closed for no reason we know; checked soon. */
void provider_health_suspect(struct offer *offer, uint64_t now_ns);
/* provider_health_refused: connecting to the program failed by err, -errno. */
void provider_health_refused(struct offer *offer, int err, uint64_t now_ns);
/* provider_health_call_answered: the program replied to a call, by a result or an error. */
void provider_health_call_answered(struct offer *offer, uint64_t now_ns);
/* provider_health_call_overdue: a call that came at came_ns used up the offer's own timeout. */
void provider_health_call_overdue(struct offer *offer, uint64_t came_ns, uint64_t now_ns);

/* provider_health_checked: the launcher's result; fault NULL: it can be run. */
void provider_health_checked(struct offer *offer, const char *fault, uint64_t now_ns);

#endif
