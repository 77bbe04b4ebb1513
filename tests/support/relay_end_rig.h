/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_RELAY_END_RIG_H
#define WEFT_TESTS_RELAY_END_RIG_H

#include "base/random.h"
#include "relay/end/relay_end.h"

/*
 * The ends of one node with everything around them scripted. The mesh keeps what is asked and
 * answered, the sink keeps the last run, QUIC is a count.
 */
#define END_RIG_ASKS   256
#define END_RIG_RELAYS 80
#define END_RIG_RUN    65536
#define END_RIG_WEB    90

struct mesh_request {
	struct mesh_ask ask;
	uint8_t payload[RELAY_MESSAGE_LEN_MAX];
	bool is_used;
};

struct relay_end_rig {
	struct relay_end *end;
	struct random random;
	uint64_t now_ns;
	mesh_handler_fn on_offer, on_flow;
	void *handler_ctx;
	struct mesh_request asks[END_RIG_ASKS];
	unsigned ask_cnt;   /* in hand */
	unsigned asked_cnt; /* in all */
	/* Of the last call. */
	bool is_answered;
	enum mesh_code code; /* 0: it was no error */
	unsigned answer_type;
	/* Relays are numbered from 0: the key begins with the number, and the address ends with it. */
	unsigned relay_cnt;
	bool is_down[END_RIG_RELAYS]; /* there is no session with it */
	bool is_mute[END_RIG_RELAYS]; /* it says nothing over the session */
	bool is_quiet;		      /* relays say nothing unasked: they answer probes alone */
	uint64_t answered_ns[END_RIG_RELAYS];
	unsigned probed_cnts[END_RIG_RELAYS];
	unsigned trusts[END_RIG_RELAYS],
		told_trusts[END_RIG_RELAYS]; /* where a peer's record names it */
	struct addr address[END_RIG_RELAYS];
	enum fair_class class;
	unsigned banned; /* this relay or peer; 0: none */
	enum relay_class offer_class;
	size_t grant_len; /* of what is shown to relays; 0: nothing */
	bool is_grant_of_content;
	uint64_t not_before_ns;	 /* with replies that are errors */
	unsigned undeferred_cnt; /* requests that what a relay said of others does not hold back */
	/* The sink. */
	struct dgram_sink sink;
	uint8_t run[END_RIG_RUN];
	size_t run_len;
	size_t cap; /* of a slot; 0: no room */
	struct dgram_route route;
	unsigned run_cnt, cancelled_cnt;
	/* Datagrams for sessions on TCP, and the last of them. */
	unsigned leg_cnt;
	struct addr leg;
	uint8_t leg_bytes[1500], leg_ecn;
	size_t leg_len;
	/* One relay over WebSocket, whose key is that of relay END_RIG_WEB, and what was sent by it. */
	bool has_web, is_web_up;
	/* Kept relays that are to be tried so, by their numbers, and those that are connected to. */
	unsigned web_used_cnt, web_used[RELAY_END_KEPT_MAX];
	bool is_web_upgraded[END_RIG_RELAYS];
	unsigned web_cnt;
	uint8_t web_peer[MESH_KEY_LEN], web_ecn;
	size_t web_len; /* of the last one */
	/* QUIC, and what the ends said. */
	unsigned delivered_cnt, expelled_cnt, moved_cnt, probed_cnt, connect_cnt;
	struct addr delivered_at, found, moved_to, expelled;
	unsigned found_cnt, ended_cnt;
	int ended_err;
	unsigned event_cnts[RELAY_END_EVENT_CNT];
	unsigned served_cnts[END_RIG_RELAYS], gone_cnts[END_RIG_RELAYS]; /* words on relays */
	/* Words on what came through flows: of the last relay and peer. */
	bool is_uncounted; /* what is told does not count */
	unsigned carried_cnt, first_cnt;
	uint64_t carried_len;
	uint8_t carried_relay, carried_peer; /* the first bytes of their keys */
	unsigned kept_cnt;		     /* changes of the relays that are kept */
	uint64_t used[2];		     /* what relays carried for this end */
	unsigned over_cnt;		     /* of flows, as used says it */
	mesh_connect_fn connect_done;
	void *connect_arg;
	struct relay_end_place dialled; /* the last */
	uint64_t dialled_timeout_ns;
};

void relay_end_rig_init(struct relay_end_rig *rig, const struct relay_end_config *config);
void relay_end_rig_fini(struct relay_end_rig *rig);
/* relay_end_rig_run turns for_ns in steps of 10 ms. */
void relay_end_rig_run(struct relay_end_rig *rig, uint64_t for_ns);
/* relay_end_rig_key: of relays by their number, of peers from 100 on. */
void relay_end_rig_key(unsigned number, uint8_t out_key[static MESH_KEY_LEN]);

/* relay_end_rig_offer: relay says that peer opens a flow; the first datagrams are two of len. */
void relay_end_rig_offer(struct relay_end_rig *rig, unsigned relay, unsigned peer, uint16_t len);
/* relay_end_rig_told: what relay tells of a flow with peer; each number has a label of its own. */
struct relay_flow_message relay_end_rig_told(unsigned relay, unsigned peer, unsigned number);
void relay_end_rig_flow(struct relay_end_rig *rig, unsigned relay,
			const struct relay_flow_message *message);
/* relay_end_rig_call gives the handler of type any payload, of relay. */
void relay_end_rig_call(struct relay_end_rig *rig, unsigned relay, unsigned type,
			const uint8_t *payload, size_t len);
/* relay_end_rig_asked: the oldest request of type in hand, or NULL. */
struct mesh_request *relay_end_rig_asked(struct relay_end_rig *rig, unsigned type);
/* relay_end_rig_reply ends a request: with message, or with err. */
void relay_end_rig_reply(struct relay_end_rig *rig, struct mesh_request *request, int err,
			 const struct relay_flow_message *message);
/* relay_end_rig_look looks for peer, and runs until its first label was found. */
void *relay_end_rig_look(struct relay_end_rig *rig, unsigned peer);
/* relay_end_rig_send has QUIC write a run of cnt datagrams of len, the last one shorter by less. */
void relay_end_rig_send(struct relay_end_rig *rig, const struct addr *label, size_t len,
			unsigned cnt, size_t less);
/* relay_end_rig_hear: a datagram of kind comes from relay's address; whether it is for QUIC. */
bool relay_end_rig_hear(struct relay_end_rig *rig, unsigned relay,
			const struct relay_flow_message *flow, unsigned kind, size_t inner_len);
struct relay_end_stats relay_end_rig_stats(const struct relay_end_rig *rig);

#endif
