/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_CLIENT_CLIENT_LOOP_H
#define WEFT_CLIENT_CLIENT_LOOP_H

#include <poll.h>

#include "base/list.h"
#include "client/varlink.h"
#include "weft/client.h"

/*
 * The waits of a client: descriptors and deadlines of calls, watches,
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

struct weft_client {
	int epoll_fd, timer_fd;
	char *path;
	struct list_node sources;
	struct list_node dead; /* sources whose objects are freed when nothing is called back */
	unsigned depth;	       /* of callbacks under way */
	struct link *link;     /* client_ask.c; NULL: lost, until the next call */
	bool (*is_interrupted)(void); /* ends waiting with -EINTR; NULL: signals do not */
	bool is_plain; /* one call at a time, without an id: control.calls does not count it */
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
/* client_loop_{begin,end} are around all that may call back; what was buried meanwhile is freed. */
void client_loop_begin(struct weft_client *client);
void client_loop_end(struct weft_client *client);

/* client_loop_connect makes a connection to the daemon, and says what failed. */
WEFT_MUST_CHECK
int client_loop_connect(struct weft_client *client, int timeout_ms, struct varlink *out_varlink,
			struct weft_error *error);

/* client_link_open, client_ask.c: the connection that all calls share. */
WEFT_MUST_CHECK
int client_link_open(struct weft_client *client, int timeout_ms, struct weft_error *error);

#endif
