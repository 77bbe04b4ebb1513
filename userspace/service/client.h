/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_CLIENT_H
#define WEFT_SERVICE_CLIENT_H

#include "base/addr.h"
#include "base/list.h"
#include "base/timer.h"
#include "service/call.h"
#include "service/intake.h"

struct service_outcome;
struct service_outlet;

#define SERVICE_PROVIDERS_MAX 4 /* that one call tries */

/* Who may be asked, and for which of its versions. */
struct service_provider {
	uint8_t key[MESH_KEY_LEN];
	uint8_t service_id[SERVICE_ID_LEN];
	bool has_major;
	uint32_t major;
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	unsigned addr_cnt;
};

enum service_ask_state {
	SERVICE_ASK_FINDING, /* the directory looks for providers */
	SERVICE_ASK_WAITING, /* for others at its provider to end */
	SERVICE_ASK_UNSENT,  /* its stream takes no bytes yet */
	SERVICE_ASK_SENT,
	SERVICE_ASK_LOCAL,    /* in the router's hands */
	SERVICE_ASK_TELLING,  /* its end is told in the next turn */
	SERVICE_ASK_OPEN,     /* a stream that was taken: its channel has all events */
	SERVICE_ASK_ANSWERED, /* told; what is left is its stream's end */
};

/* A call of ours, or the opening of a stream. */
struct service_ask {
	struct service *service;
	enum service_ask_state state;
	struct list_node node; /* of its outlet's waiting, of service->answered */
	struct timer timer;    /* deadline, telling, end of the stream */
	uint64_t began_ns, sent_ns, deadline_ns;
	struct service_call_head head;
	bool is_signed;
	bool is_named;	 /* its caller named the provider: no other will do */
	bool is_passing; /* its route's circuit is owed how it ends */
	bool is_probe;
	bool is_touched; /* the provider may have seen bytes of it */
	bool is_pinned;	 /* pieces of the stream were sent: it cannot be opened elsewhere */
	struct service_body *payload;
	service_answer_fn done;
	void *arg;
	struct service_channel *channel; /* that it opens; then done is not set */
	struct service_call *call;	 /* local */
	struct mesh_stream *stream;
	struct service_outlet *outlet;
	struct service_provider providers[SERVICE_PROVIDERS_MAX];
	unsigned provider_cnt, provider_idx;
	struct service_intake intake;
	struct service_reply_head reply;
	struct service_body *answer; /* of TELLING */
	uint64_t wait_ns;	     /* of TELLING */
};

size_t service_client_footprint(const struct service_limits *limits);
WEFT_MUST_CHECK
int service_client_init(struct service *service);
void service_client_fini(struct service *service);

/* An opening of a stream for channel.c: as service_call_start. */
WEFT_MUST_CHECK
int service_client_open(struct service *service, const struct service_target *target,
			const void *head, size_t len, uint64_t timeout_ns,
			struct service_channel *channel, uint64_t now_ns);
/* service_client_opened: the local stream that ask opens was taken; ask is gone. */
void service_client_opened(struct service_ask *ask, uint64_t now_ns);
/* service_client_gone: the mesh's stream of an ask that is open is gone, and ask with it. */
void service_client_gone(struct service_ask *ask);
/* service_client_is_started: bytes may follow the opening. */
bool service_client_is_started(const struct service_ask *ask);

/* For router.c: what a local ask asks (a reference), and how it ended. */
struct service_body *service_client_payload(struct service_ask *ask);
void service_client_answered(struct service_ask *ask, const struct service_outcome *outcome,
			     uint64_t now_ns);

#endif
