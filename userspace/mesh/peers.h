/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_PEERS_H
#define WEFT_MESH_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/map.h"
#include "base/pool.h"
#include "base/timer.h"
#include "mesh/hello.h"
#include "mesh/seam.h"

struct arena;
struct store;

/*
 * The peers this node has met, kept in the store across restarts. When
 * the table is full, the one seen longest ago makes room; peers with a
 * session are not thrown out. Records are written in batches, seconds
 * after they change: a crash forgets at most those.
 */
/* What a peer gave us to show it at our next dial to it at addr, once (RFC 9000 8.1.3). */
#define MESH_TOKEN_LEN_MAX 64 /* ours have 36 bytes; a longer one is not kept */
struct mesh_peer_token {
	struct addr addr;
	uint8_t len; /* 0: none */
	uint8_t data[MESH_TOKEN_LEN_MAX];
};

struct mesh_peer_record {
	uint32_t caps;
	struct addr last_addr;			 /* ADDR_NONE: never reached */
	struct addr addrs[MESH_HELLO_ADDRS_MAX]; /* it announced */
	unsigned addr_cnt;
	uint64_t first_seen_s, last_seen_s;
	int64_t skew_s;
	uint64_t addr_seq; /* of the newest signed address record that led to it; 0: none did */
	char agent[MESH_AGENT_CAP];
	struct mesh_peer_token token;
	/*
	 * The last good path: where we dialled it and it was there, and when. What is in
	 * last_addr may be what something between us made of its address, for it alone.
	 */
	struct addr good_addr; /* ADDR_NONE: we never did */
	uint64_t good_s;
};

struct mesh_peer_entry {
	uint8_t key[MESH_KEY_LEN];
	struct mesh_peer_record record;
	uint32_t session_cnt;
	struct addr
		foreign_at; /* where a session of another worker leads; ADDR_NONE: there is none */
	uint64_t not_before_ns; /* it said GOODBYE until then; not kept */
	bool is_changed;	/* differs from the store */
};

/* A peer is known, and no stranger, no sooner than so long after it was first seen. */
#define MESH_PEER_KNOWN_S 3600

#define MESH_PEERS_EVICTED_MAX 64

struct mesh_peers {
	struct pool pool;
	struct map by_key;
	struct store *store; /* NULL: nothing is kept */
	struct timer_wheel *timers;
	struct timer timer; /* next batch */
	uint32_t changed_cnt;
	uint8_t evicted[MESH_PEERS_EVICTED_MAX][MESH_KEY_LEN]; /* to be deleted by it */
	uint32_t evicted_cnt;
};

size_t mesh_peers_footprint(uint32_t cap_cnt);
WEFT_MUST_CHECK
int mesh_peers_init(struct mesh_peers *peers, struct arena *arena, uint32_t cap_cnt,
		    const uint64_t secret[2]);
/* mesh_peers_load reads what the store has, the freshest that fit. 0 or -errno. */
WEFT_MUST_CHECK
int mesh_peers_load(struct mesh_peers *peers, struct store *store, struct timer_wheel *timers);
/* mesh_peers_stop cancels the timer; the store is not touched. */
void mesh_peers_stop(struct mesh_peers *peers);
/* mesh_peers_flush submits what changed, all of it. */
void mesh_peers_flush(struct mesh_peers *peers);

struct mesh_peer_entry *mesh_peers_lookup(const struct mesh_peers *peers, const uint8_t *key);
/* mesh_peers_is_known: entry (may be NULL: nobody) is no stranger. */
bool mesh_peers_is_known(const struct mesh_peer_entry *entry);
/* mesh_peers_meet finds or makes the entry of key; NULL: full of peers with sessions. */
struct mesh_peer_entry *mesh_peers_meet(struct mesh_peers *peers, const uint8_t *key);
/* mesh_peers_changed: entry's record goes to the store with the next batch. */
void mesh_peers_changed(struct mesh_peers *peers, struct mesh_peer_entry *entry, uint64_t now_ns);

/*
 * A record: {0: layout 1, 1: caps, 2: last PeerAddr, 3: [PeerAddr],
 * 4: first seen, 5: last seen, 6: skew, 7: agent, 8: address record,
 * 9: PeerAddr of 10: token, 11: PeerAddr of the last good path, 12: when it was}; 2 and
 * from 8 on are missing when there is none. Parsing gives WEFT_ENEWER for a later layout.
 */
#define MESH_PEER_RECORD_LEN_MAX 704
void mesh_peer_record_write(struct writer *w, const struct mesh_peer_record *record);
WEFT_MUST_CHECK
int mesh_peer_record_parse(const uint8_t *data, size_t len, struct mesh_peer_record *out_record);

#endif
