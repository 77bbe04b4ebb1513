/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_OVERLAY_OVERLAY_QUERY_H
#define WEFT_OVERLAY_OVERLAY_QUERY_H

#include "overlay_state.h"

/*
 * Requests to one node: sent, waited for, and what comes of them passed to the
 * table and to the run whose they are.
 */
enum overlay_query_kind {
	OVERLAY_QUERY_PING, /* FIND_NODE without a run */
	OVERLAY_QUERY_FIND,
	OVERLAY_QUERY_PAGE, /* more values of a node that was found */
	OVERLAY_QUERY_STORE,
};

struct overlay_query_params {
	enum overlay_query_kind kind;
	unsigned type; /* message */
	const void *payload;
	size_t payload_len;
	const struct kad_contact *contact;
	struct overlay_run *run; /* NULL for a ping */
	uint16_t slot;		 /* of the run's lookup */
};

/* The answer of a node. */
struct overlay_heard {
	enum overlay_query_kind kind;
	uint16_t slot;
	int err;			   /* 0, or as mesh_reply's */
	const struct overlay_found *found; /* of FIND and PAGE, err 0; nodes that can be */
};

/* overlay_query_send: 0, WEFT_EFULL (try again soon), or why it cannot be asked at all. */
WEFT_MUST_CHECK
int overlay_query_send(struct overlay *overlay, const struct overlay_query_params *params,
		       uint64_t now_ns);
/* overlay_query_ping asks contact whether it still answers. As overlay_query_send. */
WEFT_MUST_CHECK
int overlay_query_ping(struct overlay *overlay, const struct kad_contact *contact, uint64_t now_ns);
/*
 * overlay_queries_cancel takes back what run has asked, but for slow ones, which go on for no run. NULL:
 * what no run asks any more, too.
 */
void overlay_queries_cancel(struct overlay *overlay, const struct overlay_run *run,
			    uint64_t now_ns);
/* overlay_queries_mark marks in the book the nodes that requests are out to. */
void overlay_queries_mark(struct overlay *overlay);
size_t overlay_query_size(void);

#endif
