/* SPDX-License-Identifier: Apache-2.0 */
/* What may be asked of the DHT: each is one lookup (dht_lookup.h). */
#include "dht/dht.h"
#include "dht/dht_state.h"
#include "dht/lookup/dht_publish.h"
#include "dht_lookup.h"

dht_handle dht_get(struct dht *dht, const struct dht_get_params *params,
		   const struct dht_asker *asker, uint64_t now_ns)
{
	const struct dht_lookup_params dht_lookup = {
		.kind = DHT_FIND_ITEM,
		.target = params->target,
		.nets = DHT_NETS_ALL,
		.key = params->key,
		.salt = params->salt,
		.salt_len = params->salt_len,
		.known_seq = params->known_seq,
		.is_first_enough = params->is_first_enough,
		.is_survey = params->is_survey,
		.budget_ns = params->budget_ns,
		.asker = *asker,
	};

	if (params->salt_len > DHT_SALT_LEN_MAX)
		return 0;
	return dht_lookup_start(dht, &dht_lookup, now_ns);
}

dht_handle dht_peers(struct dht *dht, const struct kad_id *info_hash, const struct dht_asker *asker,
		     uint64_t now_ns)
{
	const struct dht_lookup_params dht_lookup = {
		.kind = DHT_FIND_PEERS,
		.target = *info_hash,
		.nets = DHT_NETS_ALL,
		.asker = *asker,
	};

	return dht_lookup_start(dht, &dht_lookup, now_ns);
}

dht_handle dht_lookup(struct dht *dht, enum dht_net net, const struct kad_id *target,
		      const struct dht_asker *asker, uint64_t now_ns)
{
	const struct dht_lookup_params dht_lookup = {
		.kind = DHT_FIND_NODES,
		.target = *target,
		.nets = 1u << net,
		.asker = *asker,
	};

	return dht_lookup_start(dht, &dht_lookup, now_ns);
}

void dht_cancel(struct dht *dht, dht_handle handle)
{
	if (dht_own_is(handle))
		dht_own_cancel(dht, handle);
	else
		dht_lookup_cancel(dht, handle);
}

void dht_leave(struct dht *dht, dht_handle handle)
{
	if (dht_own_is(handle))
		dht_own_leave(dht, handle);
	else
		dht_lookup_cancel(dht, handle);
}
