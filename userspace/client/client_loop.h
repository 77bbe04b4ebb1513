/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_CLIENT_LOOP_H
#define WEFT_CLIENT_CLIENT_LOOP_H

#include <poll.h>

#include "base/list.h"
#include "client/varlink.h"
#include "weft/client.h"

/*
 * What a client waits for: descriptors and deadlines of calls, watches,
 * streams and offers, each a source within its object.
 */
struct loop_source {
	struct list_node node;
	struct weft_client *client;
	int fd;
	uint32_t interest;    /* EPOLLIN, EPOLLOUT, as it was last set */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; 0: none */
	bool is_dead;
	void (*ready)(struct loop_source *source);
	void (*expired)(struct loop_source *source);
	void (*free)(struct loop_source *source); /* of the object around it */
};

#define LOOP_IDLE_CAP 4 /* connections kept for the next call */

struct weft_client {
	int epoll_fd, timer_fd;
	char *path;
	struct list_node sources;
	struct list_node dead; /* sources whose objects are freed when nothing is called back */
	unsigned depth;	       /* of callbacks under way */
	struct varlink idle[LOOP_IDLE_CAP];
	unsigned idle_cnt;
	struct shared *shared;	      /* shared.c; NULL: no call has needed it */
	bool (*is_interrupted)(void); /* ends waiting with -EINTR; NULL: signals do not */
};

/*
 * client_loop_add begins to watch source->fd for reading. 0 or -errno; then source is
 * the caller's to free.
 */
WEFT_MUST_CHECK
int client_loop_add(struct weft_client *client, struct loop_source *source);
/* client_loop_want changes what is waited for: POLLIN, POLLOUT; with 0 its end is not noticed either. */
void client_loop_want(struct loop_source *source, unsigned interest);
/* client_loop_add_deadline: a source that has no descriptor, only a deadline. */
void client_loop_add_deadline(struct weft_client *client, struct loop_source *source,
			      int timeout_ms);
/* client_loop_set_deadline: expired is called then; timeout_ms < 0: never. */
void client_loop_set_deadline(struct loop_source *source, int timeout_ms);
/* client_loop_leave: source->fd is watched no more, and closed elsewhere. */
void client_loop_leave(struct loop_source *source);
/* client_loop_bury: its object is done with; it is freed as soon as no callback is under way. */
void client_loop_bury(struct loop_source *source);
/*
 * client_loop_run turns one source until *is_done, as dispatch does with all. 0, or
 * -EINTR when the client says that signals end waiting. source may be gone
 * when it is done.
 */
int client_loop_run(struct weft_client *client, struct loop_source *source, const bool *is_done);

/* client_loop_connect gives an idle or a new connection; client_loop_keep takes one back that is idle. */
WEFT_MUST_CHECK
int client_loop_connect(struct weft_client *client, int timeout_ms, struct varlink *out_varlink,
			struct weft_error *error);
void client_loop_keep(struct weft_client *client, struct varlink *varlink);

#endif
