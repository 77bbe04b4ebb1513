/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_BROKER_RELAY_BROKER_H
#define WEFT_RELAY_BROKER_RELAY_BROKER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "mesh/seam_neighbours.h"
#include "mesh/seam.h"
#include "relay/flow_messages.h"
#include "relay/messages/relay_messages.h"
#include "relay/relay.h"

struct random;

/*
 * The relay's side of the messages that open, renew and close flows (docs/wire/relay.md). An end
 * asks for a flow to another (broker_open.c). The other end is asked whether it takes the flow, and
 * both get their labels (broker_ask.c). A leg is at the address of its end's session, and follows
 * it; the flows of an end go with its session (broker_ends.c).
 *
 * Home worker; nothing blocks, reads a clock or logs.
 */
struct relay_broker;

#define RELAY_ACCEPTED_MAX 64 /* flows that one key has taken from others */
#define RELAY_OFFER_NS	   5000000000ull

struct relay_broker_config {
	uint32_t ask_cap;      /* requests to ends in flight: offers, labels, ends of flows */
	bool has_free_content; /* content flows without a grant, too */
};
#define RELAY_ASK_MIN 64u
void relay_broker_config_defaults(struct relay_broker_config *config);
/* relay_broker_footprint: bytes that relay_broker_new lays out, touched as they are used. */
size_t relay_broker_footprint(const struct relay_broker_config *config, uint32_t flow_cap);

/* A datagram between a client over WebSocket and a key that has a session. Borrowed. */
struct relay_guest_dgram {
	const uint8_t *guest, *peer;
	const uint8_t *data;
	size_t len;
};

/* All borrowed. */
struct relay_broker_params {
	struct relay_broker_config config;
	struct relay *relay;
	uint32_t flow_cap;	/* the relay's */
	const uint8_t *own_key; /* RELAY_KEY_LEN bytes */
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	enum fair_class (*class_of)(void *ctx, const uint8_t *key);
	/* The worker that has the session with key, which is on TCP. NULL: home has all. */
	unsigned (*worker_of)(void *ctx, const uint8_t *key);
	/*
	 * Judges the grant that opener shows for a flow of class. 0 with the open row of the relay,
	 * or an error and *out_why, a static sentence. NULL: this relay takes no grants.
	 */
	int (*grant)(void *ctx, const uint8_t *opener, const struct relay_open_message *message,
		     unsigned *out_row, const char **out_why);
	/* FLOW_CLOSE may be a relay's word to this node as an end; answered here. NULL: it is none. */
	void (*end_closed)(void *ctx, const uint8_t *key, const struct relay_close_message *message,
			   uint64_t now_ns);
	/*
	 * guest: whether key is that of a client over WebSocket, and where it is. guest_refused: guest
	 * has no flow to peer, or none any more. guest_deliver: a datagram of peer for guest. NULL: there
	 * are no such clients.
	 */
	bool (*guest)(void *ctx, const uint8_t *key, struct addr *out_remote);
	void (*guest_refused)(void *ctx, const uint8_t *guest, const uint8_t *peer);
	void (*guest_deliver)(void *ctx, const struct relay_guest_dgram *dgram);
	/*
	 * A flow that opener asked for carried len more bytes; is_first: both its ends are heard by
	 * now. Each four seconds, and where an end closes the flow. May be NULL.
	 */
	void (*carried)(void *ctx, const uint8_t *opener, uint64_t len, bool is_first);
	struct relay_messages *messages; /* what ends may ask; NULL: no limit (tests) */
	void *ctx;
	struct random *random;
	struct fair_site site;
	uint64_t now_ns, wall_s;
};
/* relay_broker_new adds the handlers of FLOW_OPEN, FLOW_CLOSE and FLOW_LEG. 0, -ENOMEM, or what those say. */
WEFT_MUST_CHECK
int relay_broker_new(const struct relay_broker_params *params, struct relay_broker **out_broker);
/* relay_broker_stop takes back what is asked, while the mesh is there. Both take NULL. */
void relay_broker_stop(struct relay_broker *broker);
void relay_broker_free(struct relay_broker *broker);

void relay_broker_turn(struct relay_broker *broker, uint64_t now_ns, uint64_t wall_s);
uint64_t relay_broker_next_ns(const struct relay_broker *broker);

/* relay_broker_set_off: no flow opens from now on, or flows do again; those that are open stay. */
void relay_broker_set_off(struct relay_broker *broker, bool is_off);

/*
 * relay_broker_session_changed: a session with key is over or elsewhere. Its flows end if it has no
 * other; else its legs follow at once. The sweep finds a move too, within a tenth of a second.
 */
void relay_broker_session_changed(struct relay_broker *broker, const uint8_t *key, uint64_t now_ns);
/* relay_broker_closed: the relay closed a flow by itself (relay_params.on_closed). */
void relay_broker_closed(struct relay_broker *broker, struct relay_flow_id id,
			 enum relay_close_why why);
/* relay_broker_slowed: the flow's volume ended, or is there again (relay_params.on_slowed). */
void relay_broker_slowed(struct relay_broker *broker, struct relay_flow_id id, bool is_slow);

/*
 * relay_broker_guest_send: 0 with the label that goes before the guest's datagram to peer.
 * WEFT_EBUSY: a flow is being asked for; the datagram travels along if it is the first, else it is
 * lost. WEFT_EABSENT: there is none, and none is asked for.
 */
WEFT_MUST_CHECK
int relay_broker_guest_send(struct relay_broker *broker, const struct relay_guest_dgram *dgram,
			    uint64_t now_ns, uint8_t label[static RELAY_MESSAGE_LABEL_LEN]);
/* relay_broker_guest_of: data is a flow's datagram for the leg of a guest. False: it is none. */
bool relay_broker_guest_of(const struct relay_broker *broker, const uint8_t *data, size_t len,
			   struct relay_guest_dgram *out);

/* relay_broker_settle: relay_flow_settle for each flow that key opened. Takes NULL. */
void relay_broker_settle(struct relay_broker *broker, const uint8_t *key);

/* What `weft relay show` prints of a flow beside relay_flow_read. Borrowed for the turn. */
struct relay_broker_flow {
	struct relay_flow_id id;
	enum relay_class class;
	const uint8_t *keys[2];	       /* the opener's first */
	const struct addr *remotes[2]; /* where they are */
};
/* relay_broker_next gives the open flows one by one, from *idx 0 on; false: all were given. */
bool relay_broker_next(const struct relay_broker *broker, uint32_t *idx,
		       struct relay_broker_flow *out_flow);

struct relay_broker_stats {
#define FIGURE FIGURE_FIELD
#include "relay/broker/relay_broker_counters.def"
};
void relay_broker_stats(const struct relay_broker *broker, struct relay_broker_stats *out_stats);
/* relay_broker_view: places of requests to ends, by the class of the end on whose account they are. */
void relay_broker_view(const struct relay_broker *broker, struct fair_view *out);

#endif
