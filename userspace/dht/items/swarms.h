/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_DHT_ITEMS_SWARMS_H
#define WEFT_DHT_ITEMS_SWARMS_H

#include <stddef.h>
#include <stdint.h>

#include "dht/dht_reason.h"
#include "kad/storage.h"
#include "weft/err.h"

/*
 * Peers that announced themselves under an info-hash (BEP-5), in one of the two networks.
 * kad/storage.h says which give way when it is full.
 */
struct dht_swarms;

/* BitTorrent clients announce every half an hour: one that missed it three times has gone. */
#define DHT_PEER_LIFE_NS (2 * 3600 * 1000000000ull)

/*
 * Peers of one info-hash at one address, IPv4 /32 or IPv6 /64. Subscribers behind one address that
 * share a swarm are few. An unvalidated source that claims each of its ports must not fill the
 * answers about the swarm.
 */
#define DHT_SWARM_ADDR_MAX 16

struct dht_swarms_config {
	uint32_t peer_cap;	 /* in all */
	uint32_t swarm_max;	 /* of one info-hash */
	uint32_t subnet_max;	 /* announced from one kad_subnet */
	enum addr_family family; /* of all that announce */
	struct fair_site site;
};

WEFT_MUST_CHECK
int dht_swarms_new(struct arena *arena, const struct dht_swarms_config *config,
		   const struct kad_id *own_id, struct random *random,
		   struct dht_swarms **out_swarms);
void dht_swarms_set_own_id(struct dht_swarms *swarms, const struct kad_id *own_id);

/*
 * dht_swarms_announce: peer, its port that of its listening socket, is in
 * info_hash. DHT_ANNOUNCED, SUBNET_FULL or STORE_FULL.
 */
enum dht_reason dht_swarms_announce(struct dht_swarms *swarms, const struct kad_id *info_hash,
				    const struct addr *peer, uint64_t now_ns);
/*
 * dht_swarms_sample gives peers of info_hash, at most cap; when there are
 * more, others each time. Returns how many.
 */
unsigned dht_swarms_sample(const struct dht_swarms *swarms, const struct kad_id *info_hash,
			   struct addr *out_peers, unsigned cap);
void dht_swarms_expire(struct dht_swarms *swarms, uint64_t now_ns);
uint64_t dht_swarms_next_ns(const struct dht_swarms *swarms);

struct dht_swarms_counts {
	uint32_t swarm_cnt, peer_cnt;
};
/* dht_swarms_not_before_ms: when source, refused as STORE_FULL just now, may find a place. */
uint32_t dht_swarms_not_before_ms(struct dht_swarms *swarms, const struct addr *source,
				  uint64_t now_ns);
void dht_swarms_view(const struct dht_swarms *swarms, struct fair_view *out);
void dht_swarms_count(const struct dht_swarms *swarms, struct dht_swarms_counts *out_counts);

#endif
