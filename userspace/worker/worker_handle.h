/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKER_HANDLE_H
#define WEFT_WORKER_WORKER_HANDLE_H

#include <pthread.h>
#include <semaphore.h>

#include "base/poller.h"
#include "base/random.h"
#include "base/timer.h"
#include "worker_message.h"
#include "message_credit.h"
#include "stream_inlet.h"
#include "stream_relay.h"
#include "worker.h"
#include "worker_figures.h"

/*
 * Private to workers*.c: one worker of the workers and its thread. Functions are
 * for home's thread; the worker's has worker, random, timers, what it told of
 * arrivals, the paths, is_stopping and the relay from worker_handle_start on, until it has ended.
 */
struct worker_handle {
	struct worker worker;
	struct worker_params params;
	struct random random;
	struct timer report_timer, second_timer;
	struct arrivals_report arrivals;
	struct poller_watch orders_watch;
	uint64_t reported_turn_cnt;
	bool is_stopping;
	unsigned path_cnt; /* of paths, that wait for the turn's end */
	struct addr paths[WORKER_MESSAGE_PATHS_MAX];

	struct mailbox orders;				   /* home writes */
	struct mailbox reports;				   /* the worker writes */
	struct message_credit credit;			   /* for reports, the worker's */
	struct stream_queue stream_orders, stream_reports; /* as orders and reports */
	struct stream_relay relay;
	struct stream_inlet inlet;
	struct worker_figures figures;
	pthread_t thread;
	bool is_running;
	bool is_over; /* ended was posted */
	/* Written by the thread before it posts is_open, and err again before ended. */
	sem_t is_open, ended;
	int err;
	char what[WORKER_WHAT_CAP];
};

/*
 * worker_handle_init binds its sockets and makes its mailboxes; orders may be
 * posted from then on. params is copied, but for random, what is called from
 * the worker's thread and ctx, which are filled in here; reports_fd is
 * borrowed. 0, or a negative code with what naming the object at fault
 * (WORKER_WHAT_CAP); fini takes a half-made and a zeroed one, too.
 */
WEFT_MUST_CHECK
int worker_handle_init(struct worker_handle *member, const struct worker_params *params,
		       int reports_fd, char *what);
/* worker_handle_fini: of one whose thread was joined, or never started. */
void worker_handle_fini(struct worker_handle *member);

/* worker_handle_start returns once the worker stands and has obeyed what was posted before. As init. */
WEFT_MUST_CHECK
int worker_handle_start(struct worker_handle *member, char *what);
/* worker_handle_has_ended: by order, or, with err negative, because its event loop failed. */
bool worker_handle_has_ended(struct worker_handle *member);
/*
 * worker_handle_stop orders it to say goodbye, drain and end, waiting up to
 * wait_ns for room in its mailbox. False: it takes no orders. One that has
 * ended needs none.
 */
bool worker_handle_stop(struct worker_handle *member, uint64_t wait_ns);
/* worker_handle_join waits up to wait_ns for its end. False: it runs on. */
bool worker_handle_join(struct worker_handle *member, uint64_t wait_ns);

#endif
