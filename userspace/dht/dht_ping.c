/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks whether a node of Mainline is at an address: one ping, whose outcome the caller gets. For
 * callers that check an address by hand: upkeep pings by the table's own rules.
 */
#include "dht/dht.h"
#include "dht/dht_state.h"
#include "dht/lookup/dht_query.h"

static void ping_replied(struct dht *dht, pool_handle owner, uint16_t slot,
			 const struct krpc_message *reply, uint64_t now_ns)
{
	struct dht_ping ping = dht->pings[slot];

	/* Another ping has the place since: the first was forgotten. */
	if (!ping.pinged || ping.number != owner)
		return;
	dht->pings[slot].pinged = NULL;
	ping.pinged(ping.arg, reply ? 0 : WEFT_ETIMEOUT, now_ns - ping.began_ns);
}

int dht_ping(struct dht *dht, const struct addr *addr, dht_pinged_fn pinged, void *arg,
	     uint64_t now_ns)
{
	struct krpc_query query = {.method = KRPC_PING};
	struct dht_query_params params = {
		.query = &query, .remote = *addr, .urgency = DHT_URGENT, .replied = ping_replied};
	uint16_t slot = 0;
	int err;

	while (slot < DHT_PINGS_MAX && dht->pings[slot].pinged)
		slot++;
	if (slot == DHT_PINGS_MAX)
		return WEFT_EFULL;
	if (kad_addr_scope_of(addr) == KAD_ADDR_SCOPE_NONE)
		return WEFT_EUNREACHABLE;
	params.slot = slot;
	params.owner = ++dht->ping_number;
	err = dht_query_send(dht, &params, now_ns);
	if (err == 0)
		dht->pings[slot] = (struct dht_ping){pinged, arg, params.owner, now_ns};
	return err;
}

void dht_ping_forget(struct dht *dht, const void *arg)
{
	for (unsigned i = 0; i < DHT_PINGS_MAX; i++)
		if (dht->pings[i].arg == arg)
			dht->pings[i].pinged = NULL;
}
