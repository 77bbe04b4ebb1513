/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_SLOTS_RELAY_SLOTS_H
#define WEFT_RELAY_SLOTS_RELAY_SLOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "codec/peer_addr.h"
#include "mesh/seam.h"
#include "mesh/seam_neighbours.h"
#include "relay/slots/slot_message.h"

struct node_key;
struct random;
struct relay_messages;

/*
 * Slots of relays (docs/wire/relay.md, decision 0042). A node registers a slot at a relay, whose
 * number it gives to others out of band. Another node asks the relay which key is behind the slot,
 * and then opens an ordinary flow to that key. So all limits of flows hold, and quotas follow keys.
 *
 *	relay_slots.c	the table of a relay, and life
 *	slot_keep.c	this node's slots at other relays, and slots of others
 *	slot_message.c	messages 450 to 452, and text
 *
 * Any key can fill the table, so it has fair shares by network and key. A full one takes a slot of the
 * account that has most; its node is then not reached by that number, and registers another time.
 *
 * Home worker; nothing blocks, reads a clock or logs.
 */
struct relay_slots;

struct relay_slots_config {
	uint32_t slot_cap;
};
#define RELAY_SLOTS_CAP_MIN 64u
void relay_slots_config_defaults(struct relay_slots_config *config);
size_t relay_slots_footprint(const struct relay_slots_config *config);

/* All borrowed. */
struct relay_slots_params {
	struct relay_slots_config config;
	bool is_relay; /* else it has no slots for others */
	const struct node_key *key;
	struct mesh_seam mesh;
	const struct mesh_neighbour_ops *neighbours;
	struct random *random;
	struct fair_site site;
	struct relay_messages *messages; /* bounds requests; NULL: this node is no relay */
	/* What key is to this node. NULL: unknown. */
	enum fair_class (*class_of)(void *ctx, const uint8_t *key);
	/* A ban keeps key out. NULL: there are no bans. */
	bool (*refuses)(void *ctx, const uint8_t *key);
	/* Relays through which this node can be reached now; how many. NULL: none. */
	unsigned (*kept)(void *ctx, struct peer_via out[static PEER_VIAS_MAX]);
	void *ctx;
	uint64_t now_ns;
};
/* relay_slots_new: 0, -ENOMEM, WEFT_EFULL, or of the mesh. stop, while the mesh is there; free. */
WEFT_MUST_CHECK
int relay_slots_new(const struct relay_slots_params *params, struct relay_slots **out_slots);
void relay_slots_stop(struct relay_slots *slots);
void relay_slots_free(struct relay_slots *slots);
void relay_slots_turn(struct relay_slots *slots, uint64_t now_ns);
uint64_t relay_slots_next_ns(const struct relay_slots *slots);

/* relay_slots_session: a session with key is there; a relay that restarted is asked at once. */
void relay_slots_session(struct relay_slots *slots, const uint8_t *key, uint64_t now_ns);

/* relay_slots_expel: slots of keys that params.refuses says no to by now are free. Takes NULL. */
void relay_slots_expel(struct relay_slots *slots, uint64_t now_ns);

/* relay_slots_kept: kept says something else now. Takes NULL. */
void relay_slots_kept(struct relay_slots *slots, uint64_t now_ns);

/*
 * relay_slots_ask asks relay for the key behind slot. done is called once, unless it is cancelled by
 * the same arg. 0, WEFT_EFULL (eight at a time) or what the mesh says.
 */
struct relay_slot_question {
	const struct mesh_peer *relay; /* borrowed for the call */
	uint64_t slot;
	void (*done)(void *arg, int err, const uint8_t *key);
	void *arg;
};
WEFT_MUST_CHECK
int relay_slots_ask(struct relay_slots *slots, const struct relay_slot_question *question,
		    uint64_t now_ns);
void relay_slots_cancel(struct relay_slots *slots, const void *arg);

struct relay_slots_row {
	bool is_own;	    /* of this node, at another relay */
	const uint8_t *key; /* the relay's, or that of the node behind it */
	uint64_t slot;
	uint64_t expires_ns;
};
/* relay_slots_next gives the slots one by one, from *idx 0 on; false: all were given. Borrowed. */
bool relay_slots_next(const struct relay_slots *slots, uint32_t *idx,
		      struct relay_slots_row *out_row);

struct relay_slots_stats {
#define FIGURE FIGURE_FIELD
#include "relay/slots/relay_slots_counters.def"
};
void relay_slots_stats(const struct relay_slots *slots, struct relay_slots_stats *out_stats);
/* relay_slots_view: slots of this relay. */
void relay_slots_view(const struct relay_slots *slots, struct fair_view *out);

#endif
