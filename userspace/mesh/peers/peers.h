/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_MESH_PEERS_PEERS_H
#define WEFT_MESH_PEERS_PEERS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/fair/contribution.h"
#include "base/fair/fair.h"
#include "base/list.h"
#include "base/map.h"
#include "base/memory/pool.h"
#include "base/timer.h"
#include "codec/peer_addr.h"
#include "mesh/session/hello.h"
#include "mesh/seam.h"

struct arena;
struct store;

/*
 * The peers this node has met. A key is free, so unknown peers are kept in memory only. They lie
 * in buckets, of which a network reaches 8, and a newcomer replaces only an unknown peer of its
 * own bucket. Peers that are known or chosen have rows in the store, and parts of the table of
 * their own. A full part forgets the peer of it that was seen longest ago, a chosen one only if
 * it was merely dialled by hand. Peers with a session are never thrown out. An honest unknown
 * peer notices at most that its token was forgotten.
 *
 * Records are written in batches, seconds after they change: a crash forgets at most those. Rows
 * that the store refused are written again with the next batch.
 */
/* The token of a peer, shown to it at the next dial to it at addr, once (RFC 9000 8.1.3). */
#define MESH_TOKEN_LEN_MAX 64 /* those of weft have 36 bytes; a longer one is not kept */
struct mesh_peer_token {
	struct addr addr;
	uint8_t len; /* 0: none */
	uint8_t data[MESH_TOKEN_LEN_MAX];
};

/* A peer is known when it was first seen so long ago, and was useful in so many different hours. */
#define MESH_PEER_KNOWN_S      3600
#define MESH_PEER_USEFUL_HOURS 3

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
	 * The last good path: the address at which a dial reached it, and when. last_addr may be
	 * a translation of its address by a device on the way, for this node alone.
	 */
	struct addr good_addr; /* ADDR_NONE: no dial ever did */
	uint64_t good_s;
	uint32_t choices; /* enum mesh_choice */
	uint64_t useful_hours
		[MESH_PEER_USEFUL_HOURS]; /* different hours of the wall clock, in order */
	unsigned useful_hour_cnt;
	uint8_t share_cnt; /* as so many an operator counts it in fair shares; 0 is 1 */
	struct contribution contribution; /* what it did for this node, by this node's measure */
};

struct mesh_peer_entry {
	uint8_t key[MESH_KEY_LEN];
	struct mesh_peer_record record;
	uint32_t session_cnt;
	struct addr
		foreign_at; /* where a session of another worker leads; ADDR_NONE: there is none */
	bool is_changed;    /* differs from the store */
	bool is_saving;	    /* as it was then, it is in the batch under way */
	bool is_stored;	    /* the store has a row, or will with the next batch */
	struct list_node place; /* linked while it has no session: a bucket, or its class's part */
	enum fair_class placed_as;
	uint64_t useful_hour; /* of useful_units */
	uint64_t useful_units;
	uint64_t direct_ns; /* when a session last went to a direct path; 0: none did */
	uint64_t search_ns; /* first pause of the search for one (udp_silence.c) */
	bool is_useful;	    /* among those of most use in the last hour */
	uint64_t work_min;  /* minute of the latest work that made a batch due */
	/* Relays of the newest address record that was found in this life. */
	struct peer_via vias[PEER_VIAS_MAX];
	unsigned via_cnt;
};

#define MESH_PEERS_EVICTED_MAX	   64
#define MESH_PEERS_BUCKET_CNT	   256
#define MESH_PEERS_NETWORK_BUCKETS 8 /* buckets of one network */

struct mesh_peers {
	struct pool pool;
	struct map by_key;
	struct store *store; /* NULL: nothing is kept */
	struct timer_wheel *timers;
	struct timer timer; /* next batch */
	uint32_t changed_cnt;
	struct list_node buckets[MESH_PEERS_BUCKET_CNT]; /* unknown peers, seen longest ago first */
	uint32_t bucket_cnt, bucket_cap;
	struct list_node known, chosen; /* without a session, seen longest ago first */
	uint32_t unknown_cnt, known_cnt, chosen_cnt, known_cap, chosen_cap;
	uint32_t foreign_cnt, foreign_cap; /* peers with a session of another worker */
	uint64_t evicted_cnts[FAIR_CLASS_CNT];
	uint64_t secret[2];
	/* To be deleted by it; those of the batch under way first. */
	uint8_t evicted[2 * MESH_PEERS_EVICTED_MAX][MESH_KEY_LEN];
	uint32_t evicted_cnt;
	uint32_t saving_evicted_cnt; /* of these, in the batch under way */
	bool is_saving;		     /* one is: it is for the disk to say whether they are kept */
};

/* session_cap: of this mesh; as many unknown peers may have a session of another worker. */
WEFT_MUST_CHECK
int mesh_peers_init(struct mesh_peers *peers, struct arena *arena, uint32_t cap_cnt,
		    uint32_t session_cap, const uint64_t secret[2]);
/* mesh_peers_load reads what the store has, the freshest that fit. 0 or -errno. */
WEFT_MUST_CHECK
int mesh_peers_load(struct mesh_peers *peers, struct store *store, struct timer_wheel *timers);
/* mesh_peers_stop cancels the timer, and waits for the batch under way. */
void mesh_peers_stop(struct mesh_peers *peers);
/* mesh_peers_flush submits what changed, all of it. */
void mesh_peers_flush(struct mesh_peers *peers);

struct mesh_peer_entry *mesh_peers_lookup(const struct mesh_peers *peers, const uint8_t *key);
/*
 * mesh_peers_acquire finds or makes the entry of key, which is about to have a session: take
 * it with mesh_peers_take. NULL: no room, which sessions of this mesh never see.
 */
struct mesh_peer_entry *mesh_peers_acquire(struct mesh_peers *peers, const uint8_t *key);
/*
 * mesh_peers_acquire_foreign: of a peer of another worker. NULL: as many as there may be, and
 * this one is new. set_foreign: it is at addr there now, or no more (NULL).
 */
struct mesh_peer_entry *mesh_peers_acquire_foreign(struct mesh_peers *peers, const uint8_t *key);
void mesh_peers_set_foreign(struct mesh_peers *peers, struct mesh_peer_entry *entry,
			    const struct addr *addr);
/*
 * mesh_peers_take: entry got a session, here or on another worker, and keeps its place.
 * mesh_peers_settle: its last one ended, or what decides its class changed: it takes its place among
 * those without. entry may be gone afterwards, or another one.
 */
void mesh_peers_take(struct mesh_peers *peers, struct mesh_peer_entry *entry);
void mesh_peers_settle(struct mesh_peers *peers, struct mesh_peer_entry *entry);
/*
 * mesh_peers_set_share: entry counts as share_cnt peers, 1 to FAIR_SHARE_MAX, and is chosen while
 * that is more than one. entry may be gone afterwards. WEFT_EFULL, and nothing changed: there is no
 * room for one more chosen peer, which has_chosen_room says before.
 */
bool mesh_peers_has_chosen_room(const struct mesh_peers *peers,
				const struct mesh_peer_entry *entry);
WEFT_MUST_CHECK
int mesh_peers_set_share(struct mesh_peers *peers, struct mesh_peer_entry *entry,
			 unsigned share_cnt, uint64_t now_ns);
/* mesh_peer_set_vias: the newest record of the peer names these relays; cnt is in [0, PEER_VIAS_MAX]. */
void mesh_peer_set_vias(struct mesh_peer_entry *entry, const struct peer_via *vias, unsigned cnt);
/* mesh_peers_changed: entry's record goes to the store with the next batch, if it is to be there. */
void mesh_peers_changed(struct mesh_peers *peers, struct mesh_peer_entry *entry, uint64_t now_ns);

/*
 * peer_class.c. The class of entry (may be NULL: an unknown peer), and whether it is no unknown
 * peer. note_useful: entry answered, or what it sent was verified, in all units; in hour of the
 * wall clock. note_false: what it sent proved false, so this hour does not count. rank chooses the
 * useful peers: those of most units in the last hour, at most 2 of a network, cnt in all.
 */
enum fair_class mesh_peers_class(const struct mesh_peer_entry *entry);
bool mesh_peers_is_known(const struct mesh_peer_entry *entry);
void mesh_peers_note_useful(struct mesh_peer_entry *entry, uint64_t units, uint64_t wall_s);
void mesh_peers_note_false(struct mesh_peer_entry *entry, uint64_t wall_s);
#define MESH_PEERS_USEFUL_CAP 128
void mesh_peers_rank(struct mesh_peers *peers, uint32_t cnt, uint64_t wall_s);

/*
 * A record: {0: layout 2, 1: caps, 2: last PeerAddr, 3: [PeerAddr], 4: first seen, 5: last seen,
 * 6: skew, 7: agent, 8: address record, 9: PeerAddr of 10: token, 11: PeerAddr of the last good
 * path, 12: when it was, 13: choices, 14: [useful hour], 15: share, 16: [numbers of contribution]};
 * 2, 8 to 12, 15 and 16 are missing when there is none. Layout 1 had neither 13 nor 14, so its
 * choices and hours are guessed. Parsing gives WEFT_ENEWER for a later layout.
 */
#define MESH_PEER_RECORD_LEN_MAX 864
void mesh_peer_record_write(struct writer *w, const struct mesh_peer_record *record);
WEFT_MUST_CHECK
int mesh_peer_record_parse(const uint8_t *data, size_t len, struct mesh_peer_record *out_record);

#endif
