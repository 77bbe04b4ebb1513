/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_RELAY_SLOTS_SLOTS_STATE_H
#define WEFT_RELAY_SLOTS_SLOTS_STATE_H

#include "base/list.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "relay_slots.h"

/* Private to relay/slots/: what its files share. */

#define SLOT_SECRET_LEN 32
#define SLOT_REPLY_CAP	(RELAY_SLOT_MESSAGE_LEN_MAX + MESH_FRAME_OVERHEAD)
#define SLOT_ASK_CAP	8u

/* A slot of this relay. */
struct slot_row {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct list_node link;	/* of free_rows, or of rows: the one that expires first in front */
	uint8_t key[MESH_KEY_LEN];
	uint64_t slot;
	uint64_t expires_ns;
	bool is_used;
};

/* A slot of this node. */
struct own_slot {
	struct relay_slots *slots;
	bool is_used;
	uint8_t relay[MESH_KEY_LEN];
	uint64_t slot, expires_ns; /* expires_ns 0: not registered */
	uint64_t next_ns;	   /* registered again then */
	struct mesh_request *request;
	uint8_t reply[SLOT_REPLY_CAP];
};

/* A slot of another node. */
struct slot_ask {
	struct relay_slots *slots;
	struct mesh_request *request; /* NULL: free */
	uint64_t slot;
	void (*done)(void *arg, int err, const uint8_t *key);
	void *arg;
	uint8_t reply[SLOT_REPLY_CAP];
};

struct relay_slots {
	struct relay_slots_params params;
	struct arena arena;
	struct fair_places places;
	struct map by_key, by_slot;
	struct slot_row *rows_at; /* row_cnt; one more than shares */
	uint32_t row_cnt;	  /* 0: no relay */
	struct list_node free_rows, rows;
	uint8_t secret[SLOT_SECRET_LEN];
	uint64_t nonce; /* of own slots */
	struct own_slot own[PEER_VIAS_MAX];
	struct slot_ask asks[SLOT_ASK_CAP];
	uint64_t now_ns, next_ns, looked_ns;
	struct relay_slots_stats stats;
};

/* slot_keep.c */
void relay_slots_keep_turn(struct relay_slots *slots);
void relay_slots_keep_stop(struct relay_slots *slots);

#endif
