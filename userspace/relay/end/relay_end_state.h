/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_END_RELAY_END_STATE_H
#define WEFT_RELAY_END_RELAY_END_STATE_H

#include "base/map.h"
#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "relay_end.h"

/* Private to relay/end/: what its files share. */

/* Datagrams that wait while a flow opens: a server's first flight is three. */
#define END_QUEUE_CNT 4
/* RELAY_FIRST_LEN_MAX is 1,452, less than which a flow carries. */
#define END_QUEUE_LEN 1452
/* An Ethernet's packet less IPv6, UDP and the label; longer ones are not tried through a relay. */
#define END_LEG_MTU 1436

/*
 * From one request for a flow to the next, and from one dial of a relay to the next. A relay that
 * loses whatever it gives costs ten of them a second. Half a second of these is in the bound of 2 s
 * for a restart.
 */
#define END_RETRY_NS (100 * NS_PER_MS)
/* After so many failures, or a refusal that time alone mends, pauses double. */
#define END_FAST_CNT 50
/* A lost flow is opened again unasked, and its relay dialled, if it was used so lately. */
#define END_RECENT_NS (30 * NS_PER_S)

/* A relay that slows a flow again and again makes an event a minute. */
#define END_SLOWED_NS (60 * NS_PER_S)

#define END_REPLY_CAP (256 + MESH_FRAME_OVERHEAD)

/* A relay that some flow uses, or whose session is kept. */
struct end_relay {
	struct relay_end *end;
	struct relay_end_place place; /* where it is dialled */
	struct mesh_path path;	      /* of the session, while is_up */
	struct addr leg; /* where datagrams go and come from: its remote, or an ADDR_LEG */
	uint32_t flow_cnt;
	bool is_used, is_kept, is_up, is_connecting;
	bool is_trial;	     /* kept beside others, until its session is up: end_keep.c */
	bool refuses_grant;  /* in this session; it is asked without one */
	uint64_t granted_ns; /* a request that shows a grant not before, as the relay says */
	unsigned fail_cnt;   /* connects in a row */
	uint64_t connect_ns; /* not before */
	uint64_t dialled_ns;
	uint64_t path_ns;    /* when path was last looked at */
	uint64_t heard_ns;   /* a datagram of some flow */
	uint64_t session_ns; /* anything over the session, as of path_ns */
	uint64_t probed_ns;
	bool is_doubted;  /* a session by one of its flows is silent */
	uint64_t owes_ns; /* since a probe then the session owes an answer; 0: it does not */
	bool is_silent;	  /* it has owed one for too long: peers cannot be reached through it */
	bool has_warned;  /* that all kept ones are doubted, since it owes */
	bool is_gone;	  /* silent, or a dial failed, since it was last heard */
};

struct end_queued {
	uint16_t len;
	uint8_t ecn;
	uint8_t bytes[END_QUEUE_LEN];
};

struct end_queue {
	struct end_queued dgrams[END_QUEUE_CNT];
	unsigned cnt;
};

struct end_search;

struct end_flow {
	struct fair_item share; /* of an accepted one; first: a victim's leads to the rest */
	struct relay_end *end;
	struct end_relay *relay; /* NULL: the slot is free */
	uint8_t peer[MESH_KEY_LEN];
	enum relay_class class;	      /* of the label */
	enum relay_class asked_class; /* of request */
	bool is_opener, is_open;
	bool was_open;	  /* ever: it is opened anew */
	bool is_back;	  /* it is open again, and QUIC is still to hear of it */
	bool is_moving;	  /* it carries less than before, or is of another class: a label is due */
	bool is_replaced; /* the search gets a flow of another class in its place */
	bool is_evicted;  /* its share went to another */
	bool is_over;	  /* the next turn ends it */
	bool is_spare;	  /* the session that used it last goes directly now */
	bool is_fresh;	  /* its label is one that QUIC has not used, since it is spare */
	bool is_asked;	  /* the peer wants to hear of this node on the path in use */
	bool has_shown;	  /* a grant, with request */
	bool is_trial;	  /* request is again without the grant that was refused */
	bool wants_content;  /* of control: a request of content was refused on it */
	bool is_wanted;	     /* of content: it is opened though nothing waits to be sent */
	unsigned offer_cnt;  /* of content: a session was offered it so often, */
	uint64_t offered_ns; /* last then, */
	uint64_t wanted_ns;  /* and a request wanted it last then */
	uint32_t instance;
	struct addr addr;			      /* the label here */
	uint8_t label[RELAY_MESSAGE_LABEL_LEN];	      /* the relay's, of kind 0 */
	uint8_t heard_label[RELAY_MESSAGE_LABEL_LEN]; /* of kind 1, by which it is found */
	uint64_t number;
	uint16_t mtu; /* END_LEG_MTU, or the shortest that the relay told */
	uint64_t expires_ns;
	uint64_t made_ns, lost_ns; /* lost: since when it is not open */
	uint64_t opened_ns;
	uint64_t slow_ns;      /* its volume ended; 0: it did not */
	uint64_t slow_told_ns; /* the last event of that */
	uint64_t sent_ns, heard_ns;
	struct addr direct;   /* while is_spare: where its peer is */
	uint64_t warm_ns;     /* a datagram of relay_end_ask went or came */
	uint64_t looked_ns;   /* when is_spare was last judged */
	uint64_t answered_ns; /* when is_asked last had its effect */
	uint64_t retry_ns;    /* FLOW_OPEN not before */
	uint64_t deferred_ns; /* nor before this, as the relay says */
	unsigned fail_cnt;    /* in a row */
	uint64_t asked_ns;
	struct mesh_request *request;
	struct end_search *search; /* waits for it; NULL: none */
	struct end_queue out;	   /* until it is open */
	unsigned carried_cnt;	   /* of out, its first ones: they travel with request */
	struct end_queue in;	   /* of an offer, until the next turn */
	uint64_t sent_cnt, heard_cnt;
	uint64_t heard_len, noted_ns; /* bytes since relayed was called last, and when that was */
	bool has_carried;	      /* relayed knows of the flow */
	uint64_t used_sent_len, used_heard_len; /* behind labels, since relay_end_flow_count */
	uint8_t reply[END_REPLY_CAP];
};

/* end_search.c: a peer is looked for at one relay after the other. */
#define END_NOTE_NS	      10000000000ull /* between two words to params.relayed */
#define END_SEARCH_CAP	      16
#define END_SEARCH_PLACES_MAX (RELAY_END_PLACES_MAX + PEER_VIAS_MAX + RELAY_END_WEB_MAX)
struct end_search {
	bool is_used, is_begun;
	bool has_found; /* a flow that was open */
	uint8_t key[MESH_KEY_LEN];
	struct relay_end_look look;
	struct relay_end_place places[END_SEARCH_PLACES_MAX];
	unsigned place_cnt, next_idx;
	struct relay_end_place again; /* asked once more before the next one */
	bool has_again;
	unsigned waiting_cnt; /* flows asked for that have neither opened nor failed */
	uint64_t next_ns;     /* the next place is asked then */
};

/* FLOW_CLOSE on its way: the flow itself is gone. */
#define END_FAREWELL_CAP 8
struct end_farewell {
	struct mesh_request *request; /* NULL: free */
	uint8_t reply[64 + MESH_FRAME_OVERHEAD];
};

/* end_leg.c: the question where the peer of a flow is. One at a time. */
struct end_question {
	struct mesh_request *request; /* NULL: none is under way */
	void (*done)(void *arg, const struct relay_end_leg *leg, uint64_t now_ns);
	void *arg;
	struct addr relay; /* its address of UDP */
	struct addr addrs[RELAY_LEG_ADDRS_MAX];
	unsigned addr_cnt;
	uint64_t flow;
	uint8_t reply[128 + MESH_FRAME_OVERHEAD];
};

struct relay_end {
	struct dgram_sink sink; /* first: what QUIC sends by */
	struct dgram_sink *inner;
	struct relay_end_params params;
	struct arena arena;
	struct fair_places places;
	uint64_t label_secret[2];
	uint32_t next_instance;
	struct map flows_by_addr;  /* struct addr -> struct end_flow */
	struct map flows_by_heard; /* label of kind 1 -> struct end_flow */
	struct end_flow *flows;	   /* flow_cap */
	struct addr *gone;	   /* flow_cap; labels whose handshakes the next turn ends */
	unsigned gone_cnt;
	struct end_relay *relays; /* flow_cap and the kept ones */
	unsigned flow_cap, relay_cap;
	struct end_search searches[END_SEARCH_CAP];
	struct end_farewell farewells[END_FAREWELL_CAP];
	struct end_question question;
	uint64_t now_ns, next_ns;
	uint64_t keep_ns;		     /* relays to keep are looked for then */
	uint64_t better_ns;		     /* relays that are trusted more are looked for then */
	unsigned better_fails;		     /* trials in a row that came to nothing */
	uint64_t review_ns;		     /* when is_hidden last became something else */
	struct peer_via vias[PEER_VIAS_MAX]; /* as last told by on_kept */
	unsigned via_cnt;
	uint64_t vias_ns; /* since when others are kept; 0: they are the same */
	struct relay_end_stats stats;
};

/* end_table.c */
WEFT_MUST_CHECK
int relay_end_table_init(struct relay_end *end);
/* relay_end_relay_make: the row of place, new if there is none; NULL: no room. */
struct end_relay *relay_end_relay_make(struct relay_end *end, const struct relay_end_place *place);
struct end_relay *relay_end_relay_find(struct relay_end *end, const uint8_t *key);
/* relay_end_relay_of_place: that of place, by its key and by how it is spoken to. */
struct end_relay *relay_end_relay_of_place(struct relay_end *end,
					   const struct relay_end_place *place);
/* relay_end_relay_look reads the session's path anew; whether there is one. */
bool relay_end_relay_look(struct end_relay *relay);
/* relay_end_relay_dial: where relay is dialled next; returns for how long. */
uint64_t relay_end_relay_dial(const struct end_relay *relay, struct relay_end_place *out_place);
/*
 * relay_end_flow_find: that of relay with peer which this end opened, or did not; over WebSocket there
 * is one for both.
 */
struct end_flow *relay_end_flow_find(struct relay_end *end, const struct end_relay *relay,
				     const uint8_t *peer, bool is_opener);
/* What says which flow it is, besides relay and opener. */
struct end_flow_of {
	const uint8_t *peer;
	enum relay_class class;
	bool is_opener;
};
/* relay_end_flow_make: a flow that is not open, with a label; NULL: there is no place for it. */
struct end_flow *relay_end_flow_make(struct relay_end *end, struct end_relay *relay,
				     const struct end_flow_of *of);
/* relay_end_flow_yield ends it now, and its handshakes in the next turn. False: too many did so. */
bool relay_end_flow_yield(struct end_flow *flow);
/*
 * relay_end_flow_free forgets it, without a word to the relay; its label leads nowhere, and its
 * handshakes are the caller's to end.
 */
void relay_end_flow_free(struct end_flow *flow);
/* relay_end_flow_count tells what the relay carried for this end since the last time. */
void relay_end_flow_count(struct end_flow *flow, bool is_over);
/* relay_end_flow_tell: the relay's word of an open flow. 0, WEFT_EMALFORMED or WEFT_EFULL. */
WEFT_MUST_CHECK
int relay_end_flow_tell(struct end_flow *flow, const struct relay_flow_message *message);
/* relay_end_flow_relabel gives it another label. 0 or WEFT_EFULL. */
WEFT_MUST_CHECK
int relay_end_flow_relabel(struct end_flow *flow);
/* relay_end_flow_begin: it is open from now on. */
void relay_end_flow_begin(struct end_flow *flow);
/* relay_end_flow_lose: it is not open any more, and its label stays. */
void relay_end_flow_lose(struct end_flow *flow);
/* relay_end_flow_retry: it is asked for as soon as END_RETRY_NS have passed since it was. */
void relay_end_flow_retry(struct end_flow *flow);
/* relay_end_flow_note tells params.relayed what came through it. */
void relay_end_flow_note(struct end_flow *flow);
/* relay_end_hurry: the next turn is to be soon. */
void relay_end_hurry(struct relay_end *end, uint64_t at_ns);

static inline uint64_t relay_end_later(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static inline uint64_t relay_end_flow_used_ns(const struct end_flow *flow)
{
	return relay_end_later(flow->sent_ns, flow->heard_ns);
}

static inline bool relay_end_flow_is_recent(const struct end_flow *flow)
{
	return flow->end->now_ns < relay_end_flow_used_ns(flow) + END_RECENT_NS;
}

/* end_legs.c: asks for sessions with relays. */
void relay_end_leg_turn(struct end_relay *relay);
/* relay_end_leg_is_doubted: it has owed an answer for a while. */
bool relay_end_leg_is_doubted(const struct end_relay *relay);
/* relay_end_leg_is_web: there is no session with this kept relay, and a connection over WebSocket. */
bool relay_end_leg_is_web(const struct end_relay *relay);
/* relay_end_leg_is_there: peers can come by it now. */
bool relay_end_leg_is_there(const struct end_relay *relay);
/* relay_end_legs_are_doubted: so are all that are kept, or they are silent; false where none is. */
bool relay_end_legs_are_doubted(const struct relay_end *end);
/* end_open.c: asks for flows. */
void relay_end_open_turn(struct relay_end *end);
void relay_end_open_stop(struct end_flow *flow);
void relay_end_say_closed(struct end_flow *flow);
/* end_content.c */
void relay_end_content_turn(struct end_flow *flow);
/* relay_end_class_at: of a flow that is opened at relay now. */
enum relay_class relay_end_class_at(const struct end_relay *relay);

/* end_spare.c, in a turn: is_spare is judged, kept warm, and is_asked has its effect. */
void relay_end_spare_turn(struct end_flow *flow);
/*
 * relay_end_spare_relabel: the opener's packets come by a spare flow again. It gets another label, so
 * QUIC takes the path for new. Of one that it knows ngtcp2 would lose an id of the peer's each time.
 */
void relay_end_spare_relabel(struct end_flow *flow);
/* relay_end_spare_heard: data is what relay_end_ask of the peer sends. */
bool relay_end_spare_heard(struct end_flow *flow, const uint8_t *data, size_t len);
/*
 * relay_end_pause_ns: pause_ns, or less where the NAT on the way to relay forgets sooner; more up to max_ns where it
 * does not.
 */
uint64_t relay_end_pause_ns(const struct end_relay *relay, uint64_t pause_ns, uint64_t max_ns);
/* end_keep.c. vias_turn tells when others are kept than before. trust: RELAY_END_REFUSED, or 0 the most. */
unsigned relay_end_trust(const struct relay_end *end, const uint8_t *relay, const uint8_t *by);
void relay_end_keep_turn(struct relay_end *end);
void relay_end_vias_turn(struct relay_end *end);

/* end_hear.c. is_welcome: opener may have a flow to this node. */
bool relay_end_is_welcome(const struct relay_end *end, const uint8_t *opener);
void relay_end_on_offer(void *ctx, const struct mesh_call *call, uint64_t now_ns);
void relay_end_on_flow(void *ctx, const struct mesh_call *call, uint64_t now_ns);

/* end_sink.c. queue_put: false: there is no room, or dgram is too long. queue_send: what waits goes. */
extern const struct dgram_sink_ops relay_end_sink_ops;
void relay_end_queue_drop(struct end_queue *queue, unsigned cnt); /* the first ones */
bool relay_end_queue_put(struct end_queue *queue, const uint8_t *data, size_t len, uint8_t ecn);
void relay_end_queue_send(struct end_flow *flow);
/* relay_end_flow_send: one datagram of an open flow, beside those of QUIC. False: it did not go. */
bool relay_end_flow_send(struct end_flow *flow, const uint8_t *data, size_t len);

/* relay_end_flow_heard: a datagram of len bytes, labels and all, came by an open flow. */
void relay_end_flow_heard(struct end_flow *flow, size_t len, uint64_t now_ns);

/* end_web.c. web_look: whether the relay is up. web_turn: the flow is open while it is. */
bool relay_end_web_look(struct end_relay *relay);
void relay_end_web_turn(struct end_flow *flow);
/* relay_end_web_commit sends what slot has; the slot stays the caller's. */
void relay_end_web_commit(struct end_flow *flow, const struct dgram_slot *slot, size_t len,
			  const struct dgram_route *route);

/* end_search.c. wake: searches go on at once, and ask at place as well. */
void relay_end_search_wake(struct relay_end *end, const struct relay_end_place *place);
void relay_end_search_turn(struct relay_end *end);
/* relay_end_search_settle: the flow that search asked for is open, or will not be. */
void relay_end_search_settle(struct end_flow *flow, bool is_open);
/* relay_end_search_again: place is asked once more, before all others. */
void relay_end_search_again(struct end_search *search, const struct relay_end_place *place);

#endif
