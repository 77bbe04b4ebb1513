/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_LOOKUP_DHT_LOOKUP_STATE_H
#define WEFT_DHT_LOOKUP_DHT_LOOKUP_STATE_H

#include "base/timer.h"
#include "crypto/node_key.h"
#include "dht/krpc/krpc_message.h"
#include "dht_lookup.h"

/* A lookup's insides, private to dht_lookup*.c. */

struct lookup_token {
	uint8_t len; /* 0: none, so nothing can be written there */
	uint8_t bytes[KRPC_TOKEN_LEN_MAX];
};

/* What a query carries beside the lookup's handle: a slot of a leg's lookup, and what was asked. */
#define LOOKUP_SLOT_MASK      0x7f
#define LOOKUP_SLOT_NET_SHIFT 8
#define LOOKUP_SLOT_WRITE     0x200
_Static_assert(KAD_LOOKUP_NODES_MAX <= LOOKUP_SLOT_MASK + 1, "a slot fits beside the flags");

/* Peers found in one lookup, each once; hashes in a table that stays half empty. */
#define LOOKUP_PEERS_SLOTS (2 * DHT_PEERS_MAX)

enum lookup_phase { LEG_OFF, LEG_ASKING, LEG_WRITING, LEG_DONE };

/* A lookup's walk of one network. Slots are those of the lookup. */
struct lookup_leg {
	enum lookup_phase phase;
	struct kad_lookup lookup;
	struct lookup_token tokens[KAD_LOOKUP_NODES_MAX];
	bool has_item[KAD_LOOKUP_NODES_MAX]; /* the very bytes that are to be written */
	uint16_t to_write[KAD_K_MAX];
	unsigned write_cnt, written_cnt; /* of to_write: all, and those sent */
	unsigned write_out_cnt;		 /* sent and not answered */
	unsigned heard_cnt;		 /* answers of any kind in this phase */
	bool is_second;			 /* no node answered the first time */
};

struct dht_lookup {
	struct timer timer;
	struct dht *dht;
	struct dht_lookup_params params;
	uint8_t key[NODE_KEY_LEN];
	uint8_t salt[DHT_SALT_LEN_MAX];
	struct lookup_leg legs[DHT_FAMILY_CNT];
	struct dht_outcome outcome;
	uint64_t retry_ns;		    /* sending was refused until then */
	bool has_found;			    /* an item or peers */
	unsigned peer_cnt;		    /* passed to the asker */
	uint64_t peers[LOOKUP_PEERS_SLOTS]; /* hash of each, 0: free */
	bool wants_flush;
	bool has_looked; /* at what this node keeps for others itself */
};

struct dht_lookups {
	struct pool pool;
	bool wants_flush; /* some lookup does */
};

/* --- dht_lookup_reply.c --- */

/*
 * dht_lookup_hear_own: the item that is asked for may lie here, where no other node would be asked
 * for it. False: lookup is gone.
 */
bool dht_lookup_hear_own(struct dht_lookup *dht_lookup, uint64_t now_ns);
/* dht_lookup_hear: what a node answered, or NULL. May free the lookup. */
void dht_lookup_hear(struct dht *dht, pool_handle handle, uint16_t slot,
		     const struct krpc_message *reply, uint64_t now_ns);

/* --- dht_lookup.c --- */

/* dht_lookup_end reports the outcome and frees the lookup. */
void dht_lookup_end(struct dht_lookup *dht_lookup, int err, uint64_t now_ns);
/* dht_lookup_wake: it has something to send or may be at its end. */
void dht_lookup_wake(struct dht_lookup *dht_lookup);

/* --- dht_lookup_write.c --- */

/*
 * dht_leg_write_begin chooses the nodes to write to: the nearest that answered, gave a token and
 * lack it.
 */
void dht_leg_write_begin(struct dht_lookup *dht_lookup, struct lookup_leg *leg);
/* dht_leg_write sends what is left to send; 0, or why not (dht_query.h). */
WEFT_MUST_CHECK
int dht_leg_write(struct dht_lookup *dht_lookup, enum dht_net net, uint64_t now_ns);

#endif
