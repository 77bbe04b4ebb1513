/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_SERVICE_OUTGOING_CALL_ASK_H
#define WEFT_SERVICE_OUTGOING_CALL_ASK_H

#include "base/addr.h"
#include "base/fair/fair.h"
#include "base/list.h"
#include "base/timer.h"
#include "base/fair/turns.h"
#include "service/call_head.h"
#include "service/incoming/router_intake.h"
#include "service/incoming/routes.h"
#include "codec/text/semver.h"

struct service_find;
struct service_outcome;
struct service_outlet;

/* Shared by the files of the client: call_client.c, ask_find.c, ask_route.c, ask_stream.c. */
#define SERVICE_PROVIDERS_MAX 4 /* that one call tries */

#define SERVICE_OTHER_VERSIONS_TEXT                                                                \
	"the named provider offers no version in this range; weft service find lists those it has"
#define SERVICE_WAITED_TEXT "other calls to the provider took all the time there was"

/* A provider that may be asked, and for which of its versions. */
struct service_provider {
	uint8_t key[MESH_KEY_LEN];
	uint8_t service_id[SERVICE_ID_LEN];
	bool has_major;
	bool is_read_only; /* its owner says so of the method that is called */
	bool is_equal;	   /* of the same version and about the same reputation as the best */
	uint32_t major;
	struct peer_places places;
};

enum service_ask_state {
	SERVICE_ASK_FINDING, /* the directory looks for providers */
	SERVICE_ASK_WAITING, /* for others at its provider to end */
	SERVICE_ASK_RESTING, /* before it is sent to the same provider again */
	SERVICE_ASK_UNSENT,  /* its stream takes no bytes yet */
	SERVICE_ASK_SENT,
	SERVICE_ASK_LOCAL,    /* in the router's hands */
	SERVICE_ASK_TELLING,  /* its end is reported in the next turn */
	SERVICE_ASK_OPEN,     /* a stream that was taken: its channel has all events */
	SERVICE_ASK_ANSWERED, /* reported; only its stream's end is left */
};

/* A call of this node, or the opening of a stream. */
struct service_ask {
	struct service *service;
	enum service_ask_state state;
	struct list_node node;	/* of its outlet's busy, of service->answered */
	struct turns_item turn; /* while it waits at its outlet */
	struct fair_path asker;
	struct fair_item share; /* while it is pending */
	struct timer timer;	/* deadline, telling, end of the stream */
	uint64_t began_ns, sent_ns, deadline_ns;
	struct service_call_head head;
	bool leaves_trace; /* its provider is older than field 10 */
	bool is_signed;
	bool is_named;	 /* its caller named the provider: no other will do */
	bool only_reads; /* its caller may only read */
	bool is_unread;	 /* a provider was passed over for that */
	bool has_own; /* own_id and own_version say which offer of this node is the last resort */
	uint8_t own_id[SERVICE_ID_LEN];
	char own_version[SEMVER_RANGE_LEN_MAX + 1];
	bool is_passing; /* its route's circuit is owed how it ends */
	bool is_probe;
	bool is_touched; /* the provider may have seen bytes of it, now or before */
	bool is_again;	 /* this is not the first time at this provider */
	bool is_pinned;	 /* pieces of the stream were sent: it cannot be opened elsewhere */
	struct service_body *payload;
	service_answer_fn done;
	void *arg;
	struct service_find *find;	 /* under way */
	struct service_channel *channel; /* that it opens; then done is not set */
	struct service_call *call;	 /* local */
	struct mesh_stream *stream;
	struct service_outlet *outlet;
	struct service_provider providers[SERVICE_PROVIDERS_MAX];
	unsigned provider_cnt, provider_idx;
	struct service_intake intake;
	struct service_reply_head reply;
	struct service_body *answer; /* of TELLING */
	uint64_t wait_ns;	     /* of its end */
	uint64_t first_ns;	     /* when it was first sent to this provider */
	uint64_t rest_ns;	     /* the last time that it rested */
	uint64_t hedge_ns;	     /* when its provider has been silent for too long; 0: never */
};

const struct service_provider *service_ask_provider(const struct service_ask *ask);
const struct mesh_stream_ops *service_ask_ops(const struct service_ask *ask);

/*
 * call_client.c. finish answers the asker: before that ask is gone, but perhaps for the end of its
 * stream. finish_soon does so in a later turn. reset gives the stream up; its code shows the
 * provider whether to go on.
 */
void service_ask_finish(struct service_ask *ask, const struct service_outcome *outcome,
			uint64_t now_ns);
void service_ask_finish_soon(struct service_ask *ask, enum service_status status, const char *text,
			     uint64_t wait_ns);
void service_ask_reset(struct service_ask *ask, uint64_t code);
void service_ask_release(struct service_ask *ask);
/* service_ask_settle: it is pending no more, however it ended. */
void service_ask_settle(struct service_ask *ask);

/*
 * ask_find.c. find: finds the providers of target, and goes there. doubt: its provider keeps
 * silent; if no other is known, the next ask looks for one.
 */
void service_ask_find(struct service_ask *ask, const struct service_target *target,
		      uint64_t now_ns);
void service_ask_doubt(const struct service_ask *ask);

/*
 * hedge.c. arm: it was just sent, and may go on to the next provider if this one keeps
 * silent. fire: the timer rang; false: not for that.
 */
void service_hedge_arm(struct service_ask *ask, uint64_t now_ns);
bool service_hedge_fire(struct service_ask *ask, uint64_t now_ns);

/* spread.c. spread puts one of the providers that are as good as the first in its place. */
void service_ask_spread(struct service_ask *ask, uint64_t now_ns);

/*
 * ask_route.c. route takes ask to the first provider from here on that does not rest; why: there is
 * none. leave: ask is done at its provider. note: the result for the provider's circuit. fail: the
 * sent call gets no answer. retry goes on to the next provider, or asks the same again; false:
 * neither is safe. again: its rest is over.
 */
enum service_ask_loss {
	SERVICE_ASK_REFUSED, /* the provider says that no handler saw the call */
	SERVICE_ASK_CUT_OFF, /* the way to the provider is gone */
	SERVICE_ASK_BROKEN,  /* the provider's bytes are no answer */
};
void service_ask_route(struct service_ask *ask, const char *why, uint64_t now_ns);
void service_ask_leave(struct service_ask *ask, uint64_t now_ns);
void service_ask_note(struct service_ask *ask, enum service_verdict verdict, uint64_t now_ns);
void service_ask_fail(struct service_ask *ask, enum service_ask_loss loss,
		      enum service_status status, const char *text, uint64_t now_ns);
bool service_ask_retry(struct service_ask *ask, enum service_ask_loss loss, const char *why,
		       uint64_t now_ns);
void service_ask_again(struct service_ask *ask, uint64_t now_ns);
/* service_ask_pass_by: its provider is silent, and the next one is there and may be asked. */
void service_ask_pass_by(struct service_ask *ask, uint64_t now_ns);
/* service_ask_end_text says how a stream ended, or why it was not opened. */
const char *service_ask_end_text(int err);

/* ask_stream.c. start sends the bytes that the stream takes now; an error is permanent. */
WEFT_MUST_CHECK
int service_ask_start(struct service_ask *ask, uint64_t now_ns);
extern const struct mesh_stream_events service_ask_events; /* arg: the ask */

#endif
