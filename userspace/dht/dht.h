/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_DHT_H
#define WEFT_DHT_DHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "base/byte_cursor.h"
#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/figure.h"
#include "base/memory/pool.h"
#include "dht/dht_reason.h"
#include "kad/lookup.h"
#include "kad/routing_table.h"
#include "weft/err.h"

/*
 * A node of the Mainline DHT (BEP-5, 32, 42, 43, 44, 45, 51) without I/O:
 * datagrams, the time and a sink go in. Both address families are networks
 * of their own, with an id and a routing table each (BEP-32, 45).
 *
 *     in   dht_input: dht_krpc_parse -> a query: dht_answer.c reads table, items and
 *          swarms and writes into the sink; a reply: dht_query.c finds what was asked
 *     out  dht_get, dht_put, ...: a lookup asks node after node; dht_flush
 *          and dht_expire send what is due
 *
 * Home worker only. Never logs, sleeps, or asks for the time; allocates in dht_new only.
 */
struct dht;
struct dgram;
struct dgram_sink;
struct dht_item;
struct load;
struct random;
struct weft_krpc_reply_keys;

#define DHT_FAMILY_CNT 2
/* Index of what there is one of per family: IPv4 first. */
enum dht_net { DHT_NET_IPV4, DHT_NET_IPV6 };

struct dht_config {
	bool is_on[DHT_FAMILY_CNT];
	bool is_read_only; /* BEP-43: asks, and answers nothing, also where others can write to it */
	struct kad_table_config table;
	struct kad_lookup_config lookup;
	uint32_t item_cap;		  /* BEP-44 items kept for others */
	uint32_t item_subnet_max;	  /* of them put from one /24 or /64 */
	uint32_t peer_cap;		  /* BEP-5 peers kept for others, of all swarms */
	uint32_t swarm_peer_max;	  /* of them in one swarm */
	uint32_t peer_subnet_max;	  /* of them announced from one /24 or /64 */
	struct fair_site site;		  /* limits.site: both are shared by network */
	uint32_t query_cap;		  /* this node's queries that wait for a reply */
	uint32_t lookup_cap;		  /* lookups at a time, an asker's or the node's own */
	uint32_t own_cap;		  /* this node's items and announces, refreshed hourly */
	uint32_t destinations_per_s;	  /* new addresses to which this node sends, per second */
	uint32_t unvalidated_bytes_per_s; /* answers in all to addresses that proved nothing */
};

void dht_config_defaults(struct dht_config *config);
/* dht_footprint: bytes that dht_new lays out, touched as they are used. */
size_t dht_footprint(const struct dht_config *config);
#define DHT_HELD_NS (2 * 3600 * 1000000000ull)

/* Events of the dht; every function may be NULL and may not call the dht. */
struct dht_events {
	/* Enough nodes agree that this node's address is addr: its id follows that (BEP-42). */
	void (*external)(void *ctx, const struct addr *addr);
	/* dht_save would give other bytes than the last time, for some time now. */
	void (*save)(void *ctx);
	/*
	 * Something was stored or refreshed under key: it may be held for DHT_HELD_NS from now. A
	 * get_peers or get is answered by dht_blob alone when its key was not reported for so long.
	 */
	void (*held)(void *ctx, const struct kad_id *key);
	/*
	 * The keys of this node's transaction ids are these from now on; no id is under the newer
	 * one yet.
	 */
	void (*reply_keys)(void *ctx, const struct weft_krpc_reply_keys *keys);
};

struct dht_params {
	struct dht_config config;
	struct load *load;		 /* of refused peers (base/fair/load.h); NULL: not kept */
	const struct dht_events *events; /* borrowed for life, as are random and sink */
	void *ctx;
	struct random *random;
	struct dgram_sink *sink;
	uint64_t now_ns;
	uint64_t wall_us; /* microseconds since 1970 at now_ns */
};

/* dht_new: 0 with *out_dht, -errno, or WEFT_EFULL. */
WEFT_MUST_CHECK
int dht_new(const struct dht_params *params, struct dht **out_dht);
/* dht_free ends what runs without a word. */
void dht_free(struct dht *dht);
void dht_set_sink(struct dht *dht, struct dgram_sink *sink);
/*
 * dht_set_hidden: others cannot write to this node first, or can. While they cannot it is read-only
 * (BEP-43): its queries say so, and queries of others are not answered.
 */
void dht_set_hidden(struct dht *dht, bool is_hidden);
bool dht_is_read_only(const struct dht *dht);
/* dht_set_wall: the wall clock jumped or drifted; now_ns is wall_us. */
void dht_set_wall(struct dht *dht, uint64_t wall_us, uint64_t now_ns);

/* dht_input takes one datagram that weft_classify calls KRPC. */
void dht_input(struct dht *dht, const struct dgram *dgram, uint64_t now_ns);
/* dht_flush sends queries that wait, until there are none or the sink is full. */
void dht_flush(struct dht *dht, uint64_t now_ns);
/* dht_expire runs what is due; call at dht_next_ns, UINT64_MAX: never. */
void dht_expire(struct dht *dht, uint64_t now_ns);
uint64_t dht_next_ns(const struct dht *dht);

/*
 * Ways in. dht_bootstrap replaces the addresses that are asked while no other node answers (cnt at
 * most DHT_BOOTSTRAP_MAX, more are ignored); node/ resolves their names. dht_add_node pings one
 * more address: 0, or why not now (dht_query_send).
 */
#define DHT_BOOTSTRAP_MAX 32
void dht_bootstrap(struct dht *dht, const struct addr *addrs, unsigned cnt, uint64_t now_ns);
int dht_add_node(struct dht *dht, const struct addr *addr, uint64_t now_ns);

/*
 * dht_ping asks whether a node is at addr. pinged is called once, never inside the call: with 0 and
 * the round trip, or with WEFT_ETIMEOUT. Returns 0; WEFT_EFULL (later), or why not now
 * (dht_query_send). dht_ping_forget: pinged is not called any more for the caller with arg.
 */
#define DHT_PINGS_MAX 32
typedef void (*dht_pinged_fn)(void *arg, int err, uint64_t took_ns);
WEFT_MUST_CHECK
int dht_ping(struct dht *dht, const struct addr *addr, dht_pinged_fn pinged, void *arg,
	     uint64_t now_ns);
void dht_ping_forget(struct dht *dht, const void *arg);

/*
 * Requests to other nodes. Each function returns a handle with which the request can be cancelled,
 * or 0 when lookup_cap (own_cap) is reached or no node is known. The asker's functions are called
 * with the results, never inside the call that asked; ended is called exactly once unless the
 * request was cancelled.
 */
typedef pool_handle dht_handle;

/* How something ended. */
struct dht_outcome {
	int err;	    /* 0; WEFT_EABSENT, ETIMEOUT, EUNREACHABLE (no answer), EREFUSED */
	unsigned asked_cnt; /* nodes */
	unsigned answered_cnt;
	unsigned stored_cnt;	  /* put, announce: nodes that took it, or have it */
	unsigned newer_cnt;	  /* put: nodes that refused it for a newer one or for cas */
	unsigned rolled_back_cnt; /* get: nodes that gave one below known_seq */
	unsigned holder_cnt;	  /* get: nodes that gave a good one, the newest or an older one */
	int64_t seq_max; /* get, put: highest that a node showed with a good signature, or -1 */
	uint64_t began_ns;
	uint64_t ended_ns;
};

#define DHT_PEERS_MAX 512

struct dht_asker {
	/* get: an item was found, valid by dht_item_verify, or one newer than the last passed. */
	void (*item)(void *ctx, const struct dht_item *item);
	/* peers: some more, each passed once, at most DHT_PEERS_MAX in all. */
	void (*peers)(void *ctx, const struct addr *addrs, unsigned cnt);
	/* get, peers, lookup: each step of the way, for traces; may be NULL. */
	void (*step)(void *ctx, const struct kad_step *step);
	/* lookup: the nodes nearest to the target that answered, nearest first, before ended. */
	void (*nodes)(void *ctx, const struct kad_contact *contacts, unsigned cnt);
	/*
	 * put and announce that are kept: called at the end of each round, and with
	 * WEFT_EUNREACHABLE while no node is known; the handle lives on.
	 */
	void (*ended)(void *ctx, const struct dht_outcome *outcome);
	void *ctx;
};

/* dht_get: the item of this target; key (32 bytes) and salt for a mutable one, else NULL. */
struct dht_get_params {
	struct kad_id target;
	const uint8_t *key;
	const uint8_t *salt;
	size_t salt_len;
	/*
	 * A mutable item with a lower seq than this is an old record that is played back. It is
	 * not passed to the asker. It is counted as rolled-back and in the outcome.
	 */
	int64_t known_seq;
	bool is_first_enough; /* ends at the first item, not when the newest is sure */
	bool is_survey;	    /* asks all of the nearest nodes, and does not look at what lies here */
	uint64_t budget_ns; /* WEFT_ETIMEOUT after this; 0: as long as it takes */
};
dht_handle dht_get(struct dht *dht, const struct dht_get_params *params,
		   const struct dht_asker *asker, uint64_t now_ns);

/*
 * dht_put stores item with the nodes nearest to its target, after it has read what those hold.
 * WEFT_ESTALE in the outcome: a node shows a higher sequence number, seq_max; sign again above it
 * (dht_seq). A node that holds the item is not sent it, and no node is if eight hold it. A kept
 * item differs: the same bytes are put again every hour, wherever they are held, until it is
 * cancelled; dht_save saves them. A kept item replaces an earlier kept one of the same target,
 * whose asker gets WEFT_ECANCELLED; of others there may be several. The handle is also 0 when
 * dht_item_verify refuses the item.
 */
struct dht_put_params {
	const struct dht_item *item; /* copied */
	bool has_cas;
	int64_t cas;
	bool is_kept;
	bool is_unsaved; /* kept for this life alone: dht_save leaves it out */
};
dht_handle dht_put(struct dht *dht, const struct dht_put_params *params,
		   const struct dht_asker *asker, uint64_t now_ns);

/*
 * dht_seq returns the sequence number for an item that is signed now: microseconds since 1970,
 * but above last whatever the clock says. last is the number of the last item known, or -1:
 * none.
 */
int64_t dht_seq(const struct dht *dht, int64_t last, uint64_t now_ns);

/* dht_peers: the peers that announced info_hash. */
dht_handle dht_peers(struct dht *dht, const struct kad_id *info_hash, const struct dht_asker *asker,
		     uint64_t now_ns);
/* dht_announce: port 0 means the source port of this node's datagrams. */
struct dht_announce_params {
	struct kad_id info_hash;
	uint16_t port;
	bool is_kept;
	uint64_t every_ns; /* of one that is kept */
};
dht_handle dht_announce(struct dht *dht, const struct dht_announce_params *params,
			const struct dht_asker *asker, uint64_t now_ns);
/* dht_lookup: the nodes nearest to target, in net. */
dht_handle dht_lookup(struct dht *dht, enum dht_net net, const struct kad_id *target,
		      const struct dht_asker *asker, uint64_t now_ns);
/*
 * dht_cancel: the asker's functions are not called any more; a handle that has ended is ignored.
 * dht_leave: they are not called any more, but what is kept goes on; the asker may be freed after
 * it, also inside ended.
 */
void dht_cancel(struct dht *dht, dht_handle handle);
void dht_leave(struct dht *dht, dht_handle handle);

/* The state of the dht. dht_nodes: an iterator of the nodes in net's table; none if net is off. */
struct kad_table_iter dht_nodes(const struct dht *dht, enum dht_net net);
/* dht_closest: the nodes nearest to target that may be passed on, as kad_table_closest. */
unsigned dht_closest(const struct dht *dht, enum dht_net net, const struct kad_id *target,
		     uint64_t now_ns, const struct kad_node *out_nodes[static KAD_CLOSEST_MAX]);
/* dht_takes_part: net is on (config.is_on). dht_own_id: zeros in one that is off. */
bool dht_takes_part(const struct dht *dht, enum dht_net net);
const struct kad_id *dht_own_id(const struct dht *dht, enum dht_net net);
/* dht_external: this node's address as others see it; false: not known yet. */
bool dht_external(const struct dht *dht, enum dht_net net, struct addr *out_addr);

struct dht_stats {
#define FIGURE FIGURE_FIELD
#include "dht/dht_counters.def"
	uint64_t reasons[DHT_REASON_CNT]; /* by enum dht_reason */
	struct kad_table_counts nodes[DHT_FAMILY_CNT];
};
void dht_stats(const struct dht *dht, uint64_t now_ns, struct dht_stats *out_stats);
/* Values kept for others, in both networks, by class. */
void dht_items_pool(const struct dht *dht, struct fair_view *out);
void dht_peers_pool(const struct dht *dht, struct fair_view *out);

/*
 * The lists from which the XDP program and userspace answer, so that both give the same bytes.
 * There is a list for each number of leading bits that a target shares with this node's id. It
 * has up to 8 nodes near such a target in compact form, 26 or 38 bytes each. dht_input and
 * dht_expire refresh the lists, at most once a second.
 *
 * dht_blob_generation changes when any blob, an id of this node or the token key did. dht_blob
 * returns bucket's length in bytes; *out_nodes is borrowed until the next dht_input or dht_expire.
 */
#define DHT_BLOB_NODES_MAX 8
uint64_t dht_blob_generation(const struct dht *dht);
size_t dht_blob(const struct dht *dht, enum dht_net net, unsigned bucket,
		const uint8_t **out_nodes);
/* dht_token_key: what weft_krpc_token makes write tokens with now; changes every 5 minutes. */
void dht_token_key(const struct dht *dht, uint64_t out_key[2]);
/*
 * dht_reply_keys: the present keys of this node's transaction ids (weft/krpc_reply.h). Borrowed,
 * and followed.
 */
const struct weft_krpc_reply_keys *dht_reply_keys(const struct dht *dht);

/*
 * dht_save writes what a warm start needs: this node's ids, good nodes, items and announces that
 * are kept. Returns the length, or WEFT_ETOOSMALL; DHT_SAVE_CAP is always enough for the nodes,
 * plus own_cap times DHT_SAVE_OWN_LEN. dht_load takes it at start, once: 0, or WEFT_EMALFORMED with
 * nothing taken.
 */
#define DHT_SAVE_CAP	 (256 * 1024)
#define DHT_SAVE_OWN_LEN 1300
WEFT_MUST_CHECK
int dht_save(const struct dht *dht, void *dst, size_t cap, uint64_t now_ns);
WEFT_MUST_CHECK
int dht_load(struct dht *dht, const void *data, size_t len, uint64_t now_ns);

#endif
