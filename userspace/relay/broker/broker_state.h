/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_BROKER_BROKER_STATE_H
#define WEFT_RELAY_BROKER_BROKER_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "relay_broker.h"

/* Private to relay/broker/: what its files share. */

/* A key with flows or with a request for one. */
struct broker_end {
	uint8_t key[RELAY_KEY_LEN];
	struct list_node by_sweep; /* of broker->ends */
	struct list_node legs;
	struct addr remote, local; /* of its session, when last looked at; its legs are there */
	uint64_t session;	   /* in which it has its labels; 0: unknown */
	uint32_t pending_cnt;	   /* its requests whose offers are out */
	uint32_t free_cnt; /* flows that it opened without a grant, such requests included */
	uint32_t accepted_cnt;
	bool is_guest; /* its legs are a connection over WebSocket */
};

struct broker_leg {
	struct list_node by_end;
	struct broker_end *end;
	uint32_t told_generation; /* of the label that the end has */
	bool is_told;
	bool told_slow; /* what it heard of the flow's volume */
	bool is_asking; /* a label is on its way */
};

/* A flow of relay/, by its index. legs[0] is the opener's. */
struct broker_flow {
	struct relay_flow_id id;
	struct broker_leg legs[2];
	uint32_t generation;
	uint16_t mtu;
	uint8_t class;
	bool is_open, is_free;
	bool has_carried;   /* both ends were heard, and params.carried knows */
	uint64_t noted_len; /* bytes that params.carried knows of */
	bool is_slow;	    /* its volume is used up */
};

enum broker_ask_kind { BROKER_OFFER, BROKER_LABEL, BROKER_CLOSE };

#define BROKER_REPLY_CAP (256 + MESH_FRAME_OVERHEAD)

/* A request of this relay to an end. */
struct broker_ask {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct list_node link;	/* of broker->asks */
	struct relay_broker *broker;
	struct mesh_request *request;
	enum broker_ask_kind kind;
	struct relay_flow_id id; /* of LABEL and CLOSE, and the leg */
	unsigned leg;
	uint32_t generation; /* of LABEL */
	bool is_slow;	     /* likewise */
	/* Of OFFER: */
	struct mesh_incoming *opening; /* the opener's request */
	struct broker_end *opener;
	uint8_t peer[RELAY_KEY_LEN];
	bool is_peer_guest; /* it is not asked: a client over WebSocket hears from any key */
	bool has_grant;
	uint8_t grant_id[RELAY_GRANT_LEN]; /* its row may be another's when the offer is answered */
	uint16_t mtu;
	uint8_t class;
	enum fair_class account;
	uint8_t reply[BROKER_REPLY_CAP];
};

struct relay_broker {
	struct relay_broker_params params;
	struct arena arena;
	struct fair_places places; /* of asks */
	struct pool ask_slots, end_slots;
	struct list_node asks, ends;
	struct map ends_by_key;
	struct broker_flow *flows; /* params.flow_cap */
	struct relay_broker_stats stats;
	uint64_t now_ns, wall_s, turned_ns;
	bool is_off;	    /* this node has not the role of a relay now */
	uint32_t sweep_idx; /* of flows, the next whose labels are looked at */
	uint32_t open_cnt;
};

/* broker_ends.c. end_make: NULL: no place. end_drop: one without flows and requests is forgotten. */
struct broker_end *relay_broker_end_find(const struct relay_broker *broker, const uint8_t *key);
struct broker_end *relay_broker_end_make(struct relay_broker *broker, const uint8_t *key);
void relay_broker_end_drop(struct relay_broker *broker, struct broker_end *end);
/* session_look: where the session of key is; false: it has none that can be a leg. */
bool relay_broker_session_look(const struct relay_broker *broker, const uint8_t *key,
			       struct mesh_path *out_path);
/* leg_set: leg of the flow with id is end's, which is at path. As relay_flow_set_leg. */
WEFT_MUST_CHECK
int relay_broker_leg_set(const struct relay_broker *broker, struct relay_flow_id id, unsigned leg,
			 const struct broker_end *end, const struct mesh_path *path);
/* flow_at: the flow of leg, and which of its legs that is. */
struct broker_flow *relay_broker_flow_at(const struct relay_broker *broker,
					 const struct broker_leg *leg, unsigned *out_leg);
/* ends_sweep: the legs of some ends follow their sessions. */
void relay_broker_ends_sweep(struct relay_broker *broker);
/* flow_of: NULL: it is not open, or of another allocation. flow_drop: its legs leave their ends. */
struct broker_flow *relay_broker_flow_of(const struct relay_broker *broker,
					 struct relay_flow_id id);
/* flow_note tells params.carried what the flow carried since it was told last. */
void relay_broker_flow_note(struct relay_broker *broker, struct broker_flow *flow);
void relay_broker_flow_drop(struct relay_broker *broker, struct broker_flow *flow);

/* broker_ask.c. ask_begin sends an offer, with its fields set; WEFT_EFULL: there is no place. */
struct broker_ask_terms {
	const struct fair_path *path;
	const uint8_t *key; /* of the end that is asked */
	unsigned type;
	const uint8_t *payload;
	size_t payload_len;
	uint64_t timeout_ns;
};
WEFT_MUST_CHECK
int relay_broker_ask_begin(struct relay_broker *broker, const struct broker_ask *fields,
			   const struct broker_ask_terms *terms);
struct fair_path relay_broker_path_of(const struct relay_broker *broker, const uint8_t *key,
				      const struct addr *remote);
/* ask_end: out of its place; the request is over, or is taken back. */
void relay_broker_ask_end(struct relay_broker *broker, struct broker_ask *ask);
/* label_tell: an end gets the label of its leg; again in a later turn if that fails now. */
void relay_broker_label_tell(struct relay_broker *broker, struct broker_flow *flow, unsigned leg);
void relay_broker_close_tell(struct relay_broker *broker, struct broker_flow *flow, unsigned leg,
			     enum relay_end_why why);
size_t relay_broker_flow_write(const struct relay_broker *broker, const struct broker_flow *flow,
			       unsigned leg, uint8_t *out, size_t cap);
/* flow_end closes flow; the end of leg learns why. */
void relay_broker_flow_end(struct relay_broker *broker, struct broker_flow *flow, unsigned leg,
			   enum relay_end_why why);

/*
 * broker_guest.c. end_look: where key is, with a session or as a guest. guest_refuse: guest hears
 * that there is no flow to peer, unless there is another one than ended. guest_deliver: it gets what
 * peer's request has in front.
 */
#define BROKER_GUEST_MTU 1452u /* a packet as long as a leg on TCP carries behind its label */
bool relay_broker_end_look(const struct relay_broker *broker, const uint8_t *key,
			   struct mesh_path *out_path, bool *out_is_guest);
void relay_broker_guest_refuse(struct relay_broker *broker, const uint8_t *guest,
			       const uint8_t *peer, const struct broker_flow *ended);
/*
 * guest_room: a guest closes no flow itself. Where it has as many as it may, one ends of the openers'
 * network that has most. False: none has two more than the network of opener.
 */
bool relay_broker_guest_room(struct relay_broker *broker, const struct broker_end *guest,
			     const struct addr *opener);
void relay_broker_guest_deliver(struct relay_broker *broker, const uint8_t *guest,
				const uint8_t *peer, const struct relay_first *first);

/* broker_open.c. guest_open asks for a flow of guest; false: it is refused. */
bool relay_broker_guest_open(struct relay_broker *broker, const uint8_t *guest,
			     const struct relay_open_message *message);
void relay_broker_on_open(void *ctx, const struct mesh_call *call, uint64_t now_ns);
void relay_broker_on_close(void *ctx, const struct mesh_call *call, uint64_t now_ns);
/* broker_leg.c */
void relay_broker_on_leg(void *ctx, const struct mesh_call *call, uint64_t now_ns);
/* offer_done: the other end answered the offer, or did not. ask is gone after this. */
void relay_broker_offer_done(struct relay_broker *broker, struct broker_ask *ask,
			     const struct mesh_reply *reply);
/* offer_evicted: its place went to another account. */
void relay_broker_offer_evicted(struct relay_broker *broker, struct broker_ask *ask);

#endif
