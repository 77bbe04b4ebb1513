/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_INCOMING_ROUTER_H
#define WEFT_SERVICE_INCOMING_ROUTER_H

#include "base/list.h"
#include "base/timer.h"
#include "service/call_head.h"
#include "service/limits/callers.h"
#include "service/http_envelope.h"
#include "router_intake.h"

struct service_idempotent;

enum service_call_state {
	SERVICE_CALL_READING,  /* its frame is coming */
	SERVICE_CALL_STARTING, /* local: the handler gets it in the next turn */
	SERVICE_CALL_WAITING,  /* one of the same idempotency key runs */
	SERVICE_CALL_IN_HAND,  /* a handler owes the answer, or a stream is open */
	SERVICE_CALL_ANSWERED, /* the rest of its stream is drained */
};

/* A call in an offer's hands, or the opening of a stream, from its first byte on. */
struct service_call {
	struct service *service;
	enum service_call_state state;
	bool is_stream;
	struct list_node node;		  /* of its offer's calls, once admitted */
	struct list_node idempotent_node; /* of a kept answer's waiters */
	struct service_admission admission;
	struct service_caller caller;
	struct service_call_head head;
	struct timer timer; /* start, deadline, drain */
	uint64_t began_ns;
	bool is_listed;	 /* in calls_by_id */
	bool is_cut;	 /* its caller's deadline is clearly shorter than the offer's timeout */
	bool is_overdue; /* its deadline passed, and it is not cut */
	bool is_noted;	 /* its end was counted by method, and reported */
	char verb[SERVICE_HTTP_VERB_LEN_MAX + 1]; /* of a request over HTTP */
	bool is_settled; /* it was counted, and holds nothing it was admitted with */
	uint8_t session_id[16];
	struct mesh_stream *stream;		     /* NULL: local, or the caller left */
	struct service_ask *ask;		     /* local: the waiting asker; NULL: it left */
	const struct service_local_ask_ops *ask_ops; /* local */
	struct service_channel *channel;	     /* has all events from now on */
	struct service_idempotent *idempotent;	     /* that it runs for */
	struct service_intake intake;
	struct service_body *unsent; /* an answer that found no room */
};

/* By which the calls in hand are found. */
struct service_call_id {
	pool_handle caller;
	uint8_t correlation[SERVICE_KEY_LEN];
};

/* service_router_init registers the messages with the mesh, if there is one. */
WEFT_MUST_CHECK
int service_router_init(struct service *service, const uint64_t secret[2]);
void service_router_fini(struct service *service);

/*
 * What a local call wants of the ask that waits for it, which the outgoing side gives. payload
 * returns a reference. After answered the call does not use ask again.
 */
struct service_local_ask_ops {
	struct service_body *(*payload)(struct service_ask *ask);
	void (*answered)(struct service_ask *ask, const struct service_outcome *outcome,
			 uint64_t now_ns);
};

/* A call of this node's own programs. */
struct service_local_call {
	struct service *service;
	const struct service_local_ask_ops *ask_ops;
	const struct service_call_head *head;
	bool is_stream;
	uint64_t deadline_ns; /* at most; UINT64_MAX: its service's own */
};
/*
 * service_router_call_local hands ask's call to an offer of this node, whose handler gets it in a
 * later turn. NULL: ask was given the reason. service_router_cancel: ask leaves; a call with an
 * idempotency key goes on, unless the call is taken back.
 */
struct service_call *service_router_call_local(struct service_ask *ask,
					       const struct service_local_call *asked,
					       uint64_t now_ns);
void service_router_cancel(struct service_call *call, bool is_taken_back, uint64_t now_ns);
/* service_router_withdraw answers the calls that offer has in hand. */
void service_router_withdraw(struct service_offer *offer, uint64_t now_ns);

/* service_topic_stream takes or ends the stream that call opens, which is a subscription. */
void service_topic_stream(struct service_call *call, const uint8_t *head, size_t len,
			  uint64_t now_ns);

/*
 * For service_channel.c. taken: the stream that call opens is open from now on. over: it ended with
 * status. gone: and nothing is left of it.
 */
void service_router_taken(struct service_call *call);
void service_router_channel_over(struct service_call *call, enum service_status status,
				 uint64_t now_ns);
void service_router_channel_gone(struct service_call *call);

#endif
