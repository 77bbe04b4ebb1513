/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_END_RELAY_END_H
#define WEFT_RELAY_END_RELAY_END_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dgram.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "codec/peer_addr.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"
#include "relay/flow_messages.h"

struct random;

/*
 * The ends of flows through relays: this node speaks QUIC with a peer that no datagram of its own
 * reaches. A flow appears to QUIC as a path between two equal labels (ADDR_RELAY in base/addr.h).
 *
 * Outbound: QUIC writes to a label. The sink that relay_end_sink gives puts the relay's 16 bytes
 * before each packet, and sends it to the relay's address. Inbound: relay_end_input compares the 16
 * bytes with those that the relay told, and the address with that of the session with it. Then it
 * gives the packet the label.
 *
 * A label outlives the flow. A relay that restarts has lost its flows, so the opener opens anew and
 * the label stays. A flow that carries less than before gets another label, and no flow carries more
 * than it did.
 *
 * The session of two ends may move to a direct path. Its flow is then spare: it stays open, so that the
 * session can come back, and makes room for another flow where there is none.
 *
 * Peers can fill the table of accepted flows, by fair shares of the relays' networks and keys. An
 * honest peer is then refused, and asks through another relay.
 *
 * Home worker; nothing blocks, reads a clock or logs.
 */
struct relay_end;

enum relay_end_use {
	RELAY_USE_AUTO,	  /* sessions with relays are kept while no other node can write first */
	RELAY_USE_ALWAYS, /* they are always kept */
	RELAY_USE_NO,	  /* no flow is opened or accepted */
};
enum relay_end_accept { RELAY_ACCEPT_ALL, RELAY_ACCEPT_KNOWN, RELAY_ACCEPT_NONE };

struct relay_end_config {
	enum relay_end_use use;
	enum relay_end_accept accept; /* the openers that are welcome */
	uint32_t opened_cap;
	uint32_t accepted_cap;
};
#define RELAY_END_CAP_MIN 8u
#define RELAY_END_CAP_MAX 1024u
void relay_end_config_defaults(struct relay_end_config *config);
size_t relay_end_footprint(const struct relay_end_config *config);

/* A relay, and where it is. */
#define RELAY_END_PLACES_MAX 6
struct relay_end_place {
	uint8_t key[MESH_KEY_LEN];
	struct addr addrs[MESH_PEER_ADDRS_MAX];
	unsigned addr_cnt;
	bool is_told; /* by another node than the relay: it is not proved that the relay is there */
	bool is_web;  /* it is spoken to over WebSocket alone, and knows no flows */
};

/*
 * Relays over WebSocket (relay/web_end/web_end.h), at which a peer is by its key alone. All of it is
 * called at any time.
 */
#define RELAY_END_WEB_MAX  6
#define RELAY_END_KEPT_MAX PEER_VIAS_MAX
struct relay_end_web {
	/* Writes those that are dialled by; how many. Their key, and one address. */
	unsigned (*places)(void *ctx, struct relay_end_place out[static RELAY_END_WEB_MAX]);
	bool (*is_up)(void *ctx, const uint8_t *key);
	/*
	 * These kept relays, RELAY_END_KEPT_MAX at most, are reached by no session: they are to be among
	 * places, and those of an earlier call no more. Calls nothing back. May be NULL.
	 */
	void (*use)(void *ctx, const struct relay_end_place *relays, unsigned cnt);
	/* A packet of QUIC for peer, at the relay of key. */
	void (*send)(void *ctx, const uint8_t *key, const uint8_t *peer, const struct dgram *dgram);
};

#define RELAY_END_REFUSED UINT_MAX

/* Borrowed for the turn. */
struct relay_end_grant {
	const uint8_t *bytes;
	size_t len;
	bool is_content; /* flows may carry content under it */
};

enum relay_end_event_kind {
	RELAY_END_EVENT_OPENED,
	RELAY_END_EVENT_REOPENED,
	RELAY_END_EVENT_LOST,
	RELAY_END_EVENT_SLOWED, /* the relay says that the flow's volume ended; once a minute */
	RELAY_END_EVENT_CNT,
};
struct relay_end_event {
	enum relay_end_event_kind kind;
	const uint8_t *relay, *peer;
	bool is_opener;
	uint16_t mtu;
};

/* All borrowed. What follows params.ctx is called in relay_end_turn alone, but where it says so. */
struct relay_end_params {
	struct relay_end_config config;
	const uint8_t *own_key;
	struct mesh_seam mesh;
	struct random *random;
	struct fair_site site;
	uint64_t now_ns;
	/* False: no session with key, or one through a relay. At any time. */
	bool (*path)(void *ctx, const uint8_t *key, struct mesh_path *out_path);
	/*
	 * The session with key is on TCP: the worker that has it (NULL: home has all), and a datagram for
	 * it (ADDR_LEG). leg_send is called from the sink.
	 */
	unsigned (*worker_of)(void *ctx, const uint8_t *key);
	void (*leg_send)(void *ctx, const struct addr *leg, const struct dgram *dgram);
	/* A ban keeps key out. May be NULL: there are no bans. At any time. */
	bool (*refuses)(void *ctx, const uint8_t *key);
	/* What key is to this node. At any time. */
	enum fair_class (*key_class)(void *ctx, const uint8_t *key);
	/* Writes relays to open flows at, in the order in which they are asked; how many. */
	unsigned (*relays)(void *ctx, struct relay_end_place out[static RELAY_END_PLACES_MAX]);
	/*
	 * How far relay is trusted, 0 most of all; RELAY_END_REFUSED: it is not to be used. by: the peer
	 * whose record names it, or NULL. May be NULL: all are alike. At any time.
	 */
	unsigned (*trust)(void *ctx, const uint8_t *relay, const uint8_t *by);
	/* The relay opened a flow after took_ns, or is not there (0). May be NULL. At any time. */
	void (*tell_relay)(void *ctx, const uint8_t *key, uint64_t took_ns);
	/*
	 * Through a flow of relay len more bytes came from peer; is_first: before it none had. Each
	 * ten seconds, and at the flow's end. False: it does not count, so the next is the first
	 * still. May be NULL. At any time.
	 */
	bool (*relayed)(void *ctx, const uint8_t *relay, const uint8_t *peer, uint64_t len,
			bool is_first);
	/* A grant to show to the relay of key; false: none. May be NULL. At any time. */
	bool (*grant)(void *ctx, const uint8_t *key, struct relay_end_grant *out_grant);
	/*
	 * When relay said to ask for flows again is of requests without a grant; the next one shows one.
	 * May be NULL. At any time.
	 */
	void (*undefer)(void *ctx, const uint8_t *relay);
	/* Others cannot write to this node first, as far as is known. May be NULL: they can. */
	bool (*is_hidden)(void *ctx);
	/* A flow of family through this node's NAT is to have a datagram so often; 0: not known. May be NULL. */
	uint64_t (*keepalive_ns)(void *ctx, enum addr_family family);
	/* The session with key is sent a packet that has to be answered. May be NULL. */
	void (*probe)(void *ctx, const uint8_t *key);
	/* relay_end_kept says something else now. May be NULL. */
	void (*on_kept)(void *ctx);
	/* A packet of QUIC, whose addresses are a label. */
	void (*deliver)(void *ctx, struct dgram *dgram);
	/* A label leads nowhere any more: handshakes with it end. */
	void (*expel)(void *ctx, const struct addr *label);
	/* QUIC moves from one label to another; an acceptor's peer does that. May be NULL. */
	void (*move)(void *ctx, const struct addr *from, const struct addr *to);
	/* The session that leads to remote can go through label's flow as well. May be NULL. */
	void (*spare)(void *ctx, const struct addr *remote, const struct addr *label);
	/* A spare flow has another label, which packets come from next. May be NULL. At any time. */
	void (*relabelled)(void *ctx, const struct addr *from, const struct addr *to);
	/*
	 * A flow of content is open to peer. Its session goes there, if it goes by one of control. May be
	 * NULL.
	 */
	void (*content)(void *ctx, const uint8_t *peer, const struct addr *label);
	/* Packets to a label arrive again, after a time in which the flow was lost. May be NULL. */
	void (*path_back)(void *ctx, const struct addr *label);
	/*
	 * Relay carried more bytes behind labels, of flows that this end opened: lens[0] sent, lens[1]
	 * received. is_over: it lost or ended one. May be NULL. At any time.
	 */
	void (*used)(void *ctx, const uint8_t *relay, const uint64_t lens[static 2], bool is_over);
	/* May be NULL. At any time. */
	void (*on_event)(void *ctx, const struct relay_end_event *event);
	const struct relay_end_web *web; /* NULL: there are none */
	/* As mesh_connect: makes a session with a relay. */
	int (*connect)(void *ctx, const struct relay_end_place *place, uint64_t timeout_ns,
		       mesh_connect_fn done, void *arg);
	void *ctx;
};

/* relay_end_new adds the handlers of 465 and 467. 0, -ENOMEM, WEFT_EFULL, or what the mesh says. */
WEFT_MUST_CHECK
int relay_end_new(const struct relay_end_params *params, struct relay_end **out_end);
/* relay_end_stop, while the mesh is there, takes back what is under way. Both take NULL. */
void relay_end_stop(struct relay_end *end);
void relay_end_free(struct relay_end *end);
void relay_end_turn(struct relay_end *end, uint64_t now_ns);
uint64_t relay_end_next_ns(const struct relay_end *end);
/* relay_end_session: a session with key is there, or the last one is gone. Takes NULL. */
void relay_end_session(struct relay_end *end, const uint8_t *key, bool is_up, uint64_t now_ns);
/* relay_end_review: is_hidden, relays or trust may say something else now. Takes NULL. */
void relay_end_review(struct relay_end *end, uint64_t now_ns);
/* relay_end_expel: flows of peers and relays that params.refuses says no to by now end. Takes NULL. */
void relay_end_expel(struct relay_end *end, uint64_t now_ns);
/* relay_end_granted: grant may say something else now; relays that refused one, or a flow, are shown it. */
void relay_end_granted(struct relay_end *end);
/*
 * relay_end_want_content: a request of content to key was refused, as its session goes by a flow of control.
 * Where this node has a grant of content, and the peer opened that flow, this node opens one.
 */
void relay_end_want_content(struct relay_end *end, const uint8_t *key, uint64_t now_ns);
/* relay_end_kept: relays through which this node can be reached now; how many. */
unsigned relay_end_kept(const struct relay_end *end, struct peer_via out[static PEER_VIAS_MAX]);
/*
 * relay_end_relay_at: a relay whose session is kept, or is to be, by index from 0 on; false: there are no
 * more. relay_end_wants_kept: whether this node is to be reached through relays. Borrowed.
 */
struct relay_end_relay {
	const uint8_t *key;
	bool is_up, is_silent;
	bool is_web;   /* not up, and connected to over WebSocket */
	bool is_trial; /* beside those that are kept: it is trusted more than one of them */
};
bool relay_end_relay_at(const struct relay_end *end, unsigned idx, struct relay_end_relay *out);
bool relay_end_wants_kept(const struct relay_end *end);
/*
 * relay_end_closed: the relay of key says that a flow of an end is over (468). Returns whether it is
 * one of this end. The caller answers.
 */
bool relay_end_closed(struct relay_end *end, const uint8_t *key,
		      const struct relay_close_message *message, uint64_t now_ns);

/* relay_end_sink: what QUIC sends by; all but labels goes to inner, which may change. */
struct dgram_sink *relay_end_sink(struct relay_end *end, struct dgram_sink *inner);
/*
 * relay_end_input: dgram came from a relay's address, or by its session on TCP. True: dgram is a packet
 * of QUIC now, from and to a label. False: it was dropped.
 */
bool relay_end_input(struct relay_end *end, struct dgram *dgram, uint64_t now_ns);
/*
 * relay_end_web_input: dgram came from peer, by the relay of key over WebSocket. As relay_end_input.
 * relay_end_web_gone: that relay does not reach peer. relay_end_web_changed: it is there, or is not.
 */
bool relay_end_web_input(struct relay_end *end, const uint8_t *key, const uint8_t *peer,
			 struct dgram *dgram, uint64_t now_ns);
void relay_end_web_gone(struct relay_end *end, const uint8_t *key, const uint8_t *peer,
			uint64_t now_ns);
void relay_end_web_changed(struct relay_end *end, const uint8_t *key, uint64_t now_ns);
/* relay_end_len_max: the longest packet that a flow carries; 0: no such label. */
size_t relay_end_len_max(const struct relay_end *end, const struct addr *label);
/*
 * relay_end_ask: the peer at the other end of label's flow is asked to write to this node on the path
 * that their session uses now.
 */
void relay_end_ask(struct relay_end *end, const struct addr *label);
/*
 * relay_end_leg_silent: a session on label waits for its peer. This node's NAT may have rebound, and the
 * relay moves a leg with its session. So the session with the relay is written on.
 */
void relay_end_leg_silent(struct relay_end *end, const struct addr *label);
/* relay_end_relabel gives the flow of label another one, which replaces it. False: none is open. */
bool relay_end_relabel(struct relay_end *end, struct addr *label);
/* relay_end_relay_of: the key of a label's relay, or NULL. */
const uint8_t *relay_end_relay_of(const struct relay_end *end, const struct addr *label);

/*
 * relay_end_ask_leg asks the relay of label at which of addrs, RELAY_LEG_ADDRS_MAX at most, the session
 * of the peer with it is, by UDP. done gets that address, or NULL, and the relay's own. 0;
 * WEFT_EABSENT: no flow of label is open over UDP; WEFT_EBUSY: a question is under way; or as
 * mesh_ops.ask. cancel: done is not called any more.
 */
struct relay_end_leg {
	const struct addr *host; /* NULL: the peer is at none of addrs, or nothing was answered */
	const struct addr *relay;
};
struct relay_end_leg_ask {
	const struct addr *label;
	const struct addr *addrs;
	unsigned addr_cnt;
	void (*done)(void *arg, const struct relay_end_leg *leg, uint64_t now_ns);
	void *arg;
};
WEFT_MUST_CHECK
int relay_end_ask_leg(struct relay_end *end, const struct relay_end_leg_ask *asked);
void relay_end_cancel_leg(struct relay_end *end);

/*
 * The way "relay" of a dial, as a locator of the mesh (mesh/session/discovery.h): look opens flows to
 * key at one relay after the other. Each label is given to found at once, so that QUIC's first
 * packets travel with the request. ended: a flow is open (0), or no relay was left
 * (WEFT_EUNREACHABLE). Neither is called inside look. 0, WEFT_EFULL or WEFT_EUNREACHABLE.
 * look_hint: a record of the key names these relays; they are asked next.
 */
struct relay_end_look {
	void (*found)(void *arg, const struct addr *label, uint64_t now_ns);
	void (*ended)(void *arg, int err, uint64_t now_ns);
	void *arg;
	bool is_web;   /* relays over WebSocket alone are asked */
	bool is_named; /* those of a hint alone are asked: others are not to learn the key */
};
WEFT_MUST_CHECK
int relay_end_look(struct relay_end *end, const uint8_t key[static MESH_KEY_LEN],
		   const struct relay_end_look *look, uint64_t now_ns, void **out_run);
void relay_end_look_hint(struct relay_end *end, void *run, const struct peer_via *vias,
			 unsigned cnt, uint64_t now_ns);
void relay_end_look_cancel(struct relay_end *end, void *run);

struct relay_end_row {
	const uint8_t *relay, *peer;
	bool is_web; /* it is no flow of a relay's: the relay is used over WebSocket */
	struct addr label;
	enum relay_class class;
	bool is_opener, is_open;
	uint16_t mtu;
	uint64_t sent_cnt, heard_cnt;
	uint64_t since_ns; /* it is open, or is not */
	uint64_t heard_ns; /* a datagram came last; 0: none did */
	uint64_t slow_ns;  /* its volume ended, so it carries little; 0: it did not */
};
/* relay_end_row: the flow of slot idx; false: there is none. Borrowed for the turn. */
bool relay_end_row(const struct relay_end *end, unsigned idx, struct relay_end_row *out_row);
unsigned relay_end_row_cap(const struct relay_end *end);

struct relay_end_stats {
#define FIGURE FIGURE_FIELD
#include "relay/end/relay_end_counters.def"
};
void relay_end_stats(const struct relay_end *end, struct relay_end_stats *out_stats);
/* relay_end_view: places of accepted flows. */
void relay_end_view(const struct relay_end *end, struct fair_view *out);

#endif
