/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_MESH_H
#define WEFT_MESH_MESH_H

#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "base/transport.h"
#include "mesh/session/discovery.h"
#include "mesh/seam.h"
#include "mesh/seam_stream.h"
#include "mesh/session/ways.h"

struct contribution;
struct store;
struct timer_wheel;
struct random;

/*
 * Sessions between keys: HELLO, frames, requests and answers, the peer
 * table. Speaks over a struct transport, knows no packets.
 *
 * A fresh dial races a session whose peer was asked and stays silent. The first to answer wins;
 * the rule is on top of redial.c.
 */
struct mesh_config {
	uint32_t session_cap;
	uint32_t request_cap; /* of this node in flight, in all */
	uint32_t request_per_session_cap;
	uint32_t incoming_cap; /* peers' requests in hand, in all; fair shares of it (slots.h) */
	uint32_t incoming_per_session_cap;
	uint32_t medium_buffer_cnt, large_buffer_cnt; /* for the payloads of peers' requests */
	uint32_t stream_cap;		 /* of frames, in all, of this node; and as many of peers */
	uint32_t stream_per_session_cap; /* of this node in use with one peer; and as many of its */
	uint32_t peer_cap;		 /* peer table kept in the store */
	uint64_t dial_stagger_ns;	 /* between two addresses of one peer */
	struct mesh_ways ways[MESH_NETWORK_CNT]; /* which of them are dialled, and which first */
	uint64_t skew_max_s;			 /* clock difference that is reported */
	uint32_t caps;	      /* capability bitmap to announce, when the node is not light */
	bool is_light;	      /* it does nothing for others that it need not */
	struct addr addrs[8]; /* what HELLO announces */
	unsigned addr_cnt;
	char agent[65];
	struct fair_site site; /* its nodes share a network */
};
void mesh_config_defaults(struct mesh_config *config);
/* mesh_config_caps: what HELLO says before anything else is announced. */
uint32_t mesh_config_caps(const struct mesh_config *config);
/* mesh_footprint: bytes that mesh_new lays out, touched as they are used. */
size_t mesh_footprint(const struct mesh_config *config);

/* A peer as `peer list` shows it; kept in the store, freshness in wall seconds. */
struct mesh_peer_info {
	uint8_t key[MESH_KEY_LEN];
	uint32_t caps;
	struct addr last_addr;
	uint64_t first_seen_s, last_seen_s;
	int64_t skew_s; /* peer's clock minus this node's at its last HELLO */
	char agent[65];
	bool is_connected;
	uint64_t connected_since_s;	 /* when connected: this node's clock as it began */
	struct transport_conn_info conn; /* when connected */
	uint32_t requests_in_flight, incoming_in_flight;
	unsigned share_cnt;		     /* as so many peers it counts in fair shares */
	struct peer_via vias[PEER_VIAS_MAX]; /* that its address record named */
	unsigned via_cnt;
	struct transport_close end; /* where the last session is down */
};

/* A connection that became no session: one that was dialled, or one whose key was refused. */
struct mesh_failure {
	uint8_t key[MESH_KEY_LEN]; /* dialled, or proved by the peer that came */
	struct addr remote;
	bool is_dialler;
	struct transport_close end;
};

/* A part of the peer table: those of it without a session. */
struct mesh_peer_part {
	uint32_t cnt, cap;
	uint64_t evicted_cnt; /* forgotten for others of the part */
};

/* The pools that peers take from by fair shares (slots.h). */
enum mesh_pool {
	MESH_POOL_INCOMING, /* requests in hand */
	MESH_POOL_MEDIUM,   /* buffers in which their payloads are assembled */
	MESH_POOL_LARGE,
	MESH_POOL_STREAMS, /* of frames, that peers opened */
	MESH_POOL_CNT,
};

struct mesh_stats {
#define FIGURE FIGURE_FIELD
#include "mesh/mesh_counters.def"
	struct mesh_peer_part unknown, known, chosen;
	uint32_t peer_cnt;
	uint32_t told_cnt; /* addresses of the last minute from unknown peers */
	uint32_t
		deferral_cnt; /* peers, and messages of peers, that are not asked yet (deferral.h) */
	struct fair_view pools[MESH_POOL_CNT];
	struct addr pools_largest[MESH_POOL_CNT]; /* of the account that pays next, or none */
};

/* mesh_peer_class: what the peer of key is to this node now, which decides whose part it takes from. */
enum fair_class mesh_peer_class(const struct mesh *mesh, const uint8_t *key);

/* mesh_refuse_fn: may a session with key, whose datagrams come from remote, not be? */
typedef bool (*mesh_refuse_fn)(void *ctx, const uint8_t *key, const struct addr *remote);

/*
 * mesh_new lays out its tables; the transport is given afterwards because
 * each needs the other's table. wall_s is the wall clock at now_ns, from
 * which HELLO times are computed. Everything is borrowed.
 */
struct mesh_params {
	struct mesh_config config;
	const uint8_t *own_key;
	struct store *store; /* NULL: peers are not kept (tests) */
	struct timer_wheel *timers;
	struct random *random;
	uint64_t now_ns;
	uint64_t wall_s;
	/*
	 * A peer's first HELLO, and its last session's end, for the event
	 * stream; may be NULL.
	 */
	void (*on_session)(void *ctx, const struct mesh_peer_info *peer, bool is_up);
	/* The session with key leads to remote from now on; may be NULL. */
	void (*on_moved)(void *ctx, const uint8_t key[MESH_KEY_LEN], const struct addr *remote);
	mesh_step_fn on_step; /* each step of looking for a key, as it ends; may be NULL */
	void (*on_failure)(void *ctx, const struct mesh_failure *failure); /* may be NULL */
	/* enum mesh_choice, of what others say of key: asked at each HELLO. May be NULL. */
	uint32_t (*choices)(void *ctx, const uint8_t key[MESH_KEY_LEN]);
	/* key is told to no locator now, whatever asks for it (session/discovery.h). May be NULL. */
	bool (*is_unsought)(void *ctx, const uint8_t key[MESH_KEY_LEN]);
	/*
	 * A session with key, which this node dialled, goes through a relay: a direct path to the
	 * peer is to be found. Asked again with growing pauses. May be NULL.
	 */
	void (*find_path)(void *ctx, const uint8_t key[MESH_KEY_LEN]);
	/*
	 * A request of content was refused: its session with key goes by a relay's flow of control. May be
	 * NULL.
	 */
	void (*on_barred)(void *ctx, const uint8_t key[MESH_KEY_LEN]);
	/* Asks whether a program is at remote; mesh_knocked brings the answer, never inside. May be NULL. */
	void (*port_probe)(void *ctx, const struct addr *remote);
	/* Sends a STUN request to remote; mesh_stun_answered says that it was answered. May be NULL. */
	void (*stun_ask)(void *ctx, const struct addr *remote);
	void *ctx;
	struct load *load;	/* which peer is refused what (base/fair/load.h); NULL: not kept */
	mesh_refuse_fn refuses; /* may be NULL: none is */
	/* A session with remote has one request and one stream at a time; may be NULL. */
	bool (*is_limited)(void *refuses_ctx, const struct addr *remote);
	void *refuses_ctx;
};
WEFT_MUST_CHECK
int mesh_new(const struct mesh_params *params, struct mesh **out_mesh);
/* mesh_free forgets everything; nothing that waits is called. NULL is nothing. */
void mesh_free(struct mesh *mesh);
void mesh_set_transport(struct mesh *mesh, struct transport *transport);
extern const struct transport_events mesh_transport_events; /* ctx: struct mesh */
struct mesh_seam mesh_seam_of(struct mesh *mesh);
struct mesh_stream_seam mesh_stream_seam_of(struct mesh *mesh);

/* mesh_caps: what HELLO says that this node can do; set_caps: from now on, in place of that. */
uint32_t mesh_caps(const struct mesh *mesh);
void mesh_set_caps(struct mesh *mesh, uint32_t caps);
/* mesh_set_addrs: what HELLO says from now on of where this node is; cnt up to MESH_PEER_ADDRS_MAX. */
void mesh_set_addrs(struct mesh *mesh, const struct addr *addrs, unsigned cnt);
/* mesh_configure takes what can change at run time: the caps per session, dial_stagger, ways, skew_max. */
void mesh_configure(struct mesh *mesh, const struct mesh_config *config);
/*
 * mesh_expel closes every session, and fails every dial, that refuses says
 * no to by now. Returns how many sessions. An attempt under way at one of a
 * dial's addresses is the transport's to end.
 */
unsigned mesh_expel(struct mesh *mesh, uint64_t now_ns);
/* mesh_set_wall: the wall clock jumped or drifted; now_ns is wall_s. */
void mesh_set_wall(struct mesh *mesh, uint64_t wall_s, uint64_t now_ns);
/*
 * mesh_goodbye sends every peer the reason and the time to come back, spread over the second half
 * of not_before_ms, and closes; for shut-down.
 */
void mesh_goodbye(struct mesh *mesh, unsigned reason, uint64_t not_before_ms, uint64_t now_ns);
/*
 * mesh_wake: the machine has a link, an address or a route that it had not. Dials under way
 * begin anew. Peers whose dialled sessions ended in silence within the last ten minutes are
 * dialled, as many as their table holds.
 */
void mesh_wake(struct mesh *mesh, uint64_t now_ns);
/*
 * mesh_knocked passes on the result of a port probe at remote. Either a program that speaks QUIC
 * is there, whether or not it knows this node. Or the host is there and says that no program
 * listens at that port. A session there that is well says so by itself.
 */
enum mesh_port_probe { MESH_PORT_PROBE_THERE, MESH_PORT_PROBE_NOBODY };
void mesh_knocked(struct mesh *mesh, const struct addr *remote, enum mesh_port_probe answer,
		  uint64_t now_ns);
/* mesh_stun_answered: a node is at remote, whose addresses put off are dialled. Not inside stun_ask. */
void mesh_stun_answered(struct mesh *mesh, const struct addr *remote, uint64_t now_ns);
/* mesh_connect: `peer connect`, as the function of the seam; it is not taken back. */
WEFT_MUST_CHECK
int mesh_connect(struct mesh *mesh, const struct mesh_connect *connect, uint64_t now_ns);
/* mesh_deferred_until: before this the peer of key wants no session, as it stated; 0: it did not. */
uint64_t mesh_deferred_until(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN]);
/*
 * mesh_undefer: what the peer of key stated of messages of type was of other requests than the next
 * one, which is sent at once.
 */
void mesh_undefer(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], unsigned type);
/*
 * mesh_ping: `peer ping`, over a session that is there. 0, WEFT_EABSENT
 * (no session: connect first), WEFT_EBUSY (one is under way, or the
 * control stream is not open yet), WEFT_EFULL. done: 0 with the round
 * trip, WEFT_ETIMEOUT, WEFT_ECLOSED, or WEFT_EUNKNOWN (the peer has no ping).
 */
typedef void (*mesh_ping_fn)(void *arg, int err, uint64_t rtt_ns);
struct mesh_ping_ask {
	const uint8_t *key;
	uint64_t timeout_ns;
	mesh_ping_fn done;
	void *arg;
};
WEFT_MUST_CHECK
int mesh_ping(struct mesh *mesh, const struct mesh_ping_ask *ask, uint64_t now_ns);
/*
 * mesh_udp_is_silent: TCP connected to a peer that QUIC did not reach, within the last hour. No
 * session came about by QUIC since, and none is there.
 */
bool mesh_udp_is_silent(const struct mesh *mesh);
/* mesh_session_probe sends the peer of key a packet that it has to answer, if there is a session. */
void mesh_session_probe(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN]);
/*
 * mesh_session_id gives what names the session with key on both of its
 * sides and nowhere else (RFC 8446 7.5, label EXPORTER-mesh-session-v1).
 * 0 or WEFT_EABSENT.
 */
WEFT_MUST_CHECK
int mesh_session_id(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		    uint8_t out_id[static MESH_SESSION_ID_LEN]);
/*
 * mesh_session_export derives len <= 64 bytes that the two nodes of the session with key know, and no
 * other (RFC 8446 7.5). 0; WEFT_EABSENT: no session, or another worker has it.
 */
WEFT_MUST_CHECK
int mesh_session_export(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
			const char *label, uint8_t *out, size_t len);
/* mesh_may_not_dial: an operator's ban, or the order of transports, forbids a packet to key at addr. */
bool mesh_may_not_dial(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       const struct addr *addr);
/*
 * mesh_note_peer remembers a peer that another worker of this node has met or lost. The facts in
 * info are kept as for a session of this worker. While the peer is connected, it is found as a
 * neighbour that has dialled this node (seam_neighbours.h).
 */
void mesh_note_peer(struct mesh *mesh, const struct mesh_peer_info *info, uint64_t now_ns);
/* mesh_choose adds choices to a peer that was met, or takes them away. */
void mesh_choose(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], uint32_t choices,
		 bool is_on, uint64_t now_ns);
/*
 * mesh_set_share lets the peer of key, which was met, count as share_cnt peers in fair shares, 1
 * to FAIR_SHARE_MAX. The peer is chosen while share_cnt is more than one. done is called once
 * the row is durable and the share in force, or once it is known that neither will be. Without a
 * store done is called before mesh_set_share returns. Returns 0; then done follows. Or, without
 * done:
 *   WEFT_EABSENT    no such peer was met
 *   WEFT_ETOOLARGE  share_cnt is not in 1 to 64
 *   WEFT_EFULL      chosen peers that stay fill their part of the table
 *   or an error of store_submit
 */
typedef void (*mesh_share_fn)(void *arg, int err);
struct mesh_share_ask {
	const uint8_t *key;
	unsigned share_cnt;
	mesh_share_fn done;
	void *arg;
};
WEFT_MUST_CHECK
int mesh_set_share(struct mesh *mesh, const struct mesh_share_ask *ask, uint64_t now_ns);
/*
 * mesh_shares writes the peers that count as more than one, at most cap, and returns how many
 * there are. mesh_take_shares makes them those of this mesh, of another worker, which has no
 * others then.
 */
struct mesh_share {
	uint8_t key[MESH_KEY_LEN];
	uint8_t share_cnt;
};
uint32_t mesh_shares(const struct mesh *mesh, struct mesh_share *out_shares, uint32_t cap);
void mesh_take_shares(struct mesh *mesh, const struct mesh_share *shares, uint32_t cnt,
		      uint64_t now_ns);
/*
 * mesh_note_useful: key answered, or sent what was verified: units of that many bytes, one at
 * least. mesh_note_false: what it sent proved false. By this an unknown peer becomes known.
 */
#define MESH_USEFUL_UNIT_LEN 1000u
void mesh_note_useful(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], uint64_t units);
void mesh_note_false(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN]);
/*
 * mesh_may_dial_web: a WebSocket may be dialled at addr, where an unknown relay says that it is. It had
 * a session with this node there, or it takes of the budget in peers/unverified.h. mesh_web_answered:
 * the relay at addr proved its key.
 */
bool mesh_may_dial_web(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       const struct addr *addr, uint64_t now_ns);
void mesh_web_answered(struct mesh *mesh, const struct addr *addr);
/*
 * What the peer of key did for this node, or took from it, as this node saw it. It is kept with the
 * peer's record: peers/contributions.c. mesh_contribution gives what it comes to now; false: key is
 * not known, and *out_contribution has nothing.
 */
enum mesh_work {
	MESH_WORK_ANSWERED, /* a request of this node */
	MESH_WORK_FAILED,   /* to answer one */
	MESH_WORK_GAVE,	    /* content, verified */
	MESH_WORK_TOOK,	    /* content, or bytes of flows that this node relayed for it */
	MESH_WORK_RELAYED,  /* bytes of flows for this node */
	MESH_WORK_OPENED,   /* a flow, through which the other end was heard */
};
void mesh_note_work(struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], enum mesh_work work,
		    uint64_t len);
bool mesh_contribution(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       struct contribution *out_contribution);
void mesh_stats(const struct mesh *mesh, struct mesh_stats *out_stats);
/* A session with a peer. conn.remote is a label where it goes through a relay. */
struct mesh_session_path {
	struct transport_conn_info conn;
	uint64_t since_ns;  /* it leads there */
	uint64_t search_ns; /* a direct path by QUIC is looked for next; 0: it is not */
	bool is_retired;    /* another is used; it ends with its streams */
	bool is_silent;	    /* its peer owes an answer, and is looked for elsewhere */
};
/* mesh_session_path: session idx with key, the one in use first; false: this worker has no more. */
bool mesh_session_path(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN],
		       unsigned idx, struct mesh_session_path *out_path);
/* An address at which a dial looks for a peer. */
enum mesh_trial_state { MESH_TRIAL_WAITS, MESH_TRIAL_RUNS, MESH_TRIAL_FAILED };
struct mesh_trial {
	struct addr addr;
	enum mesh_trial_state state;
};
/* mesh_trial: address idx of what is dialled for key; false: there is none. */
bool mesh_trial(const struct mesh *mesh, const uint8_t key[static MESH_KEY_LEN], unsigned idx,
		struct mesh_trial *out_trial);
/* mesh_peers_next gives the known peers one by one, connected ones first; false: all were given. */
bool mesh_peers_next(struct mesh *mesh, struct mesh_walk *walk, struct mesh_peer_info *out_peer);

#endif
