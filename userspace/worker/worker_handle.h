/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_WORKER_WORKER_HANDLE_H
#define WEFT_WORKER_WORKER_HANDLE_H

#include <pthread.h>
#include <semaphore.h>

#include "base/thread/mailbox.h"
#include "base/map.h"
#include "base/thread/poller.h"
#include "base/memory/pool.h"
#include "base/random.h"
#include "base/timer.h"
#include "firewall/arrivals_report.h"
#include "report_credit.h"
#include "stream_inlet.h"
#include "stream_relay.h"
#include "worker.h"
#include "worker_figures.h"
#include "workers.h"

/* Orders under way to one worker. Power of two. */
#define WORKER_ORDER_CNT_MAX 1024
/* A message's receiver: the worker's struct worker_handle; its content, or home's end of it. */
enum { WORKER_MAIL_HANDLE, WORKER_MAIL_CONTENT, WORKER_MAIL_CNT };
/* Proven paths that go in one report: those of all connections come again and again. */
#define WORKER_REPORT_PATHS_MAX 32

/*
 * Private to worker/: one worker of the workers and its thread. Functions are for home's thread.
 * From worker_handle_start on, until it has ended, the worker's thread has worker, random,
 * timers, its reports of arrivals, the paths, is_stopping and the relay.
 */
struct worker_handle {
	struct worker worker;
	struct workers *workers; /* home's */
	struct worker_params params;
	struct random random;
	struct timer report_timer, second_timer;
	struct arrivals_report arrivals;
	struct poller_watch orders_watch;
	uint64_t reported_turn_cnt;
	bool is_stopping;
	unsigned path_cnt; /* of paths, that wait for the turn's end */
	struct addr paths[WORKER_REPORT_PATHS_MAX];

	struct mailbox orders;				   /* home posts */
	struct mailbox reports;				   /* the worker posts */
	struct report_credit credit;			   /* the worker's */
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

struct workers {
	struct workers_params params;
	unsigned cnt;
	int fd; /* reports of all of them */
	bool is_stopping;
	struct arena arena;
	struct pool sessions;
	struct map sessions_by_key; /* the newest of each peer */
	struct worker_handle handles[];
};

/*
 * worker_handle_init binds its sockets and makes its mailboxes; orders may be
 * posted from then on. params is copied, but for random, what is called from
 * the worker's thread and ctx, which are filled in here; reports_fd is
 * borrowed. 0, or a negative code with what naming the object at fault
 * (WORKER_WHAT_CAP); fini takes a half-made and a zeroed one, too.
 */
WEFT_MUST_CHECK
int worker_handle_init(struct worker_handle *handle, const struct worker_params *params,
		       int reports_fd, char *what);
/* worker_handle_fini: of one whose thread was joined, or never started. */
void worker_handle_fini(struct worker_handle *handle);

/* worker_handle_start returns once the worker stands and has obeyed what was posted before. As init. */
WEFT_MUST_CHECK
int worker_handle_start(struct worker_handle *handle, char *what);
/* worker_handle_has_ended: by order, or, with err negative, because its event loop failed. */
bool worker_handle_has_ended(struct worker_handle *handle);
/*
 * worker_handle_stop orders it to say goodbye, drain and end, waiting up to
 * wait_ns for room in its mailbox. False: it takes no orders. One that has
 * ended needs none.
 */
bool worker_handle_stop(struct worker_handle *handle, uint64_t wait_ns);
/* worker_handle_join waits up to wait_ns for its end. False: it runs on. */
bool worker_handle_join(struct worker_handle *handle, uint64_t wait_ns);

/*
 * A worker's reports (worker_reports.c), on its thread. worker_reports_init hooks params to it.
 * worker_reports_turn, at the end of a turn, posts what the turn gathered and sets the timers of
 * the rest. worker_report_figures posts how the worker stands now. worker_report_queue_left says
 * that the worker has no more to do with queue.
 */
void worker_reports_init(struct worker_handle *handle, const struct fair_paths *paths);
void worker_reports_turn(struct worker_handle *handle, uint64_t now_ns);
void worker_report_figures(struct worker_handle *handle);
void worker_report_queue_left(struct worker_handle *handle, const struct workers_queue *queue,
			      int err);
/* workers_note_session: worker idx has a session, or, with is_up false, no more. Home's thread. */
void workers_note_session(struct workers *workers, unsigned idx, const struct mesh_peer_info *peer,
			  bool is_up);

#endif
