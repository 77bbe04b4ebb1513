/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many messages a neighbour may send in a minute. A neighbour that is no service relay sends its
 * own announces and queries. A relay sends those of many nodes, and has a number for all of them. No
 * provider has more of it than it would have as a neighbour. Reserves of one provider are ten times as
 * many from a relay as from a consumer. A key is free, so its network has no more than three keys.
 */
#include <string.h>

#include "spread_state.h"
#include "weft/bytes.h"

#define RATE_PEERS 8192u

enum { RATE_SERVICE_AT = 12, RATE_PROVIDER_AT = 16 };

/*
 * A quota's key: 12 bytes of the neighbour's, the service, and 16 of the provider's address. Without
 * a message it is of all services: an id costs its sender nothing.
 */
static void rate_key(uint8_t key[static REQUEST_QUOTA_KEY_LEN], const uint8_t *peer,
		     const struct service_message *message, bool has_provider)
{
	memset(key, 0, REQUEST_QUOTA_KEY_LEN);
	memcpy(key, peer, RATE_SERVICE_AT);
	if (!message)
		return;
	weft_store_le32(key + RATE_SERVICE_AT, message->service);
	if (has_provider)
		memcpy(key + RATE_PROVIDER_AT, message->provider, SERVICE_MESSAGE_ADDRESS_LEN);
}

int offers_spread_rates_init(struct offer_spread *spread, const uint64_t secret[2])
{
	const struct spread_config *config = &spread->params.config;
	struct spread_rates *rates = &spread->rates;
	struct arena *arena = &spread->arena;
	int err = request_quota_init(&rates->providers, arena, RATE_PEERS,
				     config->announces_per_min, secret);

	if (err == 0)
		err = request_quota_init(&rates->relayed, arena, RATE_PEERS,
					 config->relayed_per_min, secret);
	if (err == 0)
		err = request_quota_init(&rates->queries, arena, RATE_PEERS,
					 config->queries_per_min, secret);
	if (err == 0)
		err = request_quota_init(&rates->relayed_queries, arena, RATE_PEERS,
					 config->relayed_per_min, secret);
	if (err == 0)
		err = request_quota_init(&rates->reserves, arena, RATE_PEERS,
					 config->reserves_per_min, secret);
	if (err == 0)
		err = request_quota_init(&rates->relayed_reserves, arena, RATE_PEERS,
					 config->relayed_per_min, secret);
	if (err == 0)
		err = request_quota_init(&rates->network_reserves, arena, RATE_PEERS,
					 config->reserves_per_min, secret);
	return err;
}

static bool peer_is_relay(struct offer_spread *spread, const uint8_t *peer)
{
	struct mesh_neighbour neighbour;

	return spread->params.neighbours->find(spread->params.mesh.mesh, peer, &neighbour) &&
	       neighbour.caps & MESH_CAP_SERVICE_RELAY;
}

/* What the schema of the service says goes before what is usual. */
static uint32_t per_min_of(const struct offer_spread *spread, const struct request_quota *quota,
			   const struct service_message *message)
{
	const struct spread_handler *handler = &spread->params.handler;
	uint32_t per_min = handler->rate ? handler->rate(handler->ctx, message) : 0;

	return per_min ? per_min : quota->per_min;
}

static uint64_t quota_take(struct offer_spread *spread, struct request_quota *quota,
			   const uint8_t *key, const struct service_message *message,
			   uint64_t now_ns)
{
	return request_quota_take_of(quota, key, per_min_of(spread, quota, message), now_ns);
}

/* A quota's key of the network of peer, for one provider; relays are counted apart. */
static void network_key(struct offer_spread *spread, uint8_t key[static REQUEST_QUOTA_KEY_LEN],
			const uint8_t *peer, const struct service_message *message, bool is_relay)
{
	const struct mesh_neighbour_ops *neighbours = spread->params.neighbours;
	struct mesh_path path = {.remote.family = ADDR_NONE};
	uint8_t network[MESH_KEY_LEN] = {0};
	struct fair_path account;

	(void)neighbours->path(spread->params.mesh.mesh, peer, &path);
	neighbours->account(spread->params.mesh.mesh, peer, &path.remote, &account);
	weft_store_le64(network, fair_path_network(&account));
	network[8] = is_relay;
	rate_key(key, network, message, true);
}

/*
 * A consumer has some for each service. A relay brings those of many consumers. What one network sends
 * to one provider comes last, so that what was refused before counts for no other key of it.
 */
static uint64_t reserve_take(struct offer_spread *spread, const uint8_t *peer,
			     const struct service_message *message, uint64_t now_ns)
{
	struct spread_rates *rates = &spread->rates;
	bool is_relay = peer_is_relay(spread, peer);
	uint32_t per_min = per_min_of(spread, &rates->reserves, message);
	uint8_t key[REQUEST_QUOTA_KEY_LEN];
	uint64_t wait_ms;

	if (is_relay)
		per_min *= SPREAD_RELAY_RESERVES;
	rate_key(key, peer, NULL, false);
	if ((wait_ms = request_quota_take(&rates->relayed_reserves, key, now_ns)))
		return wait_ms;
	rate_key(key, peer, message, is_relay);
	if ((wait_ms = request_quota_take_of(&rates->reserves, key, per_min, now_ns)))
		return wait_ms;
	network_key(spread, key, peer, message, is_relay);
	return request_quota_take_of(&rates->network_reserves, key, FAIR_NETWORK_FACTOR * per_min,
				     now_ns);
}

uint64_t offers_spread_rates_take(struct offer_spread *spread, const uint8_t *peer,
				  const struct service_message *message, uint64_t now_ns)
{
	struct spread_rates *rates = &spread->rates;
	bool is_relay = peer_is_relay(spread, peer);
	uint8_t key[REQUEST_QUOTA_KEY_LEN];
	uint64_t wait_ms;

	switch (message->type) {
	case SERVICE_MESSAGE_ANNOUNCE:
	case SERVICE_MESSAGE_UPDATE:
	case SERVICE_MESSAGE_REVOKE:
		/* All of them first: it bounds how many providers and services are counted. */
		rate_key(key, peer, NULL, false);
		if ((wait_ms = request_quota_take(&rates->relayed, key, now_ns)))
			return wait_ms;
		/* Of what this node asked for a neighbour may have much of one provider. */
		if (offers_spread_is_wanted(spread, peer, message, now_ns))
			return 0;
		rate_key(key, peer, message, is_relay);
		return quota_take(spread, &rates->providers, key, message, now_ns);
	case SERVICE_MESSAGE_QUERY:
		rate_key(key, peer, NULL, false);
		if ((wait_ms = request_quota_take(&rates->relayed_queries, key, now_ns)) ||
		    is_relay)
			return wait_ms;
		rate_key(key, peer, message, false);
		return quota_take(spread, &rates->queries, key, message, now_ns);
	case SERVICE_MESSAGE_RESERVE:
	case SERVICE_MESSAGE_CANCEL:
		return reserve_take(spread, peer, message, now_ns);
	case SERVICE_MESSAGE_RESPONSE:
		return 0; /* its token has a number */
	default:
		/* Nothing is done with it, and that is bounded too. */
		rate_key(key, peer, NULL, false);
		return request_quota_take(&rates->relayed_reserves, key, now_ns);
	}
}
