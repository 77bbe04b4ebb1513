/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A peer is stored in the index alone. Its address is the value's source, its port the handle,
 * and both together are the owner. So a peer that announces again refreshes itself.
 */
#include "swarms.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/random.h"

struct dht_swarms {
	struct kad_storage *index;
	struct random *random;
};

static struct kad_storage_config index_config(const struct dht_swarms_config *config)
{
	return (struct kad_storage_config){
		.name = "dht.peer_cap",
		.value_cap = config->peer_cap,
		.key_max = config->swarm_max,
		.key_addr_max = DHT_SWARM_ADDR_MAX,
		.subnet_max = config->subnet_max,
		.family = config->family,
		.site = config->site,
	};
}

static void peer_dropped(void *arg, const struct kad_value *value)
{
	(void)arg;
	(void)value;
}

int dht_swarms_new(struct arena *arena, const struct dht_swarms_config *config,
		   const struct kad_id *own_id, struct random *random,
		   struct dht_swarms **out_swarms)
{
	struct kad_storage_config index = index_config(config);
	struct dht_swarms *swarms = arena_alloc(arena, sizeof(*swarms));
	int err;

	if (!swarms)
		return WEFT_EFULL;
	swarms->random = random;
	err = kad_storage_new(arena,
			      &(struct kad_storage_params){.config = &index,
							   .own_id = own_id,
							   .random = random,
							   .dropped = peer_dropped},
			      &swarms->index);
	if (err < 0)
		return err;
	*out_swarms = swarms;
	return 0;
}

void dht_swarms_set_own_id(struct dht_swarms *swarms, const struct kad_id *own_id)
{
	kad_storage_set_own_id(swarms->index, own_id);
}

static struct kad_id owner_of(const struct addr *peer)
{
	struct kad_id owner = {{0}};

	memcpy(owner.bytes, peer->ip, sizeof(peer->ip));
	owner.bytes[16] = (uint8_t)(peer->port >> 8);
	owner.bytes[17] = (uint8_t)peer->port;
	return owner;
}

enum dht_reason dht_swarms_announce(struct dht_swarms *swarms, const struct kad_id *info_hash,
				    const struct addr *peer, uint64_t now_ns)
{
	const struct kad_value value = {
		.key = *info_hash,
		.owner = owner_of(peer),
		.source = *peer,
		.expires_ns = now_ns + DHT_PEER_LIFE_NS,
		.handle = peer->port,
	};

	switch (kad_storage_put(swarms->index, &value, now_ns)) {
	case KAD_PUT_ADDED:
	case KAD_PUT_REPLACED:
		return DHT_ANNOUNCED;
	case KAD_PUT_SUBNET_FULL:
		return DHT_SUBNET_FULL;
	default:
		return DHT_STORE_FULL;
	}
}

unsigned dht_swarms_sample(const struct dht_swarms *swarms, const struct kad_id *info_hash,
			   struct addr *out_peers, unsigned cap)
{
	unsigned left = kad_storage_key_cnt(swarms->index, info_hash), cnt = 0;
	const struct kad_value *value = kad_storage_first(swarms->index, info_hash);

	/* Knuth's selection: each of those left is taken with the odds that fill what is free. */
	for (; value && cnt < cap; value = kad_storage_next(value), left--) {
		if (left > cap - cnt && random_below(swarms->random, left) >= cap - cnt)
			continue;
		out_peers[cnt] = value->source;
		out_peers[cnt++].port = (uint16_t)value->handle;
	}
	return cnt;
}

void dht_swarms_expire(struct dht_swarms *swarms, uint64_t now_ns)
{
	kad_storage_expire(swarms->index, now_ns);
}

uint64_t dht_swarms_next_ns(const struct dht_swarms *swarms)
{
	return kad_storage_next_ns(swarms->index);
}

uint32_t dht_swarms_not_before_ms(struct dht_swarms *swarms, const struct addr *source,
				  uint64_t now_ns)
{
	const struct kad_value value = {.source = *source};

	return kad_storage_not_before_ms(swarms->index, &value, now_ns);
}

void dht_swarms_view(const struct dht_swarms *swarms, struct fair_view *out)
{
	kad_storage_view(swarms->index, out);
}

void dht_swarms_count(const struct dht_swarms *swarms, struct dht_swarms_counts *out_counts)
{
	struct kad_storage_counts counts;

	kad_storage_count(swarms->index, &counts);
	out_counts->swarm_cnt = counts.keys;
	out_counts->peer_cnt = counts.values;
}
