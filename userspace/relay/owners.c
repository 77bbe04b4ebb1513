/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The owners of flows without a grant, and what is left of their day. The limits are those of a key. A
 * key costs nothing, so unknown keys of one network (/24 of IPv4, /48 of IPv6) together have what
 * config.free_network keys have. A key that is known here is charged alone: it does not pay for its
 * neighbours. A flow beyond the day's volume is slow, and never cut; one beyond the day's number is
 * not opened. Home.
 */
#include <string.h>

#include "base/random.h"
#include "base/container_of.h"
#include "relay_state.h"

static int table_init(struct relay *relay, struct relay_owners *owners, uint32_t weight)
{
	uint32_t cap = relay->params.config.flow_cap;
	uint64_t secret[2];
	int err;

	random_fill(relay->params.random, secret, sizeof(secret));
	if ((err = map_init(&owners->by_key, &relay->arena, RELAY_KEY_LEN, cap, secret)) < 0 ||
	    (err = pool_init(&owners->slots, &relay->arena, sizeof(struct relay_owner), cap)) < 0)
		return err;
	list_init(&owners->idle);
	owners->weight = weight;
	return 0;
}

int relay_owners_init(struct relay *relay)
{
	int err = table_init(relay, &relay->owners, 1);

	return err < 0 ? err
		       : table_init(relay, &relay->networks, relay->params.config.free_network);
}

static uint64_t day_of(const struct relay *relay)
{
	return relay->wall_s / RELAY_DAY_S;
}

uint32_t relay_day_left_s(const struct relay *relay)
{
	return RELAY_DAY_S - (uint32_t)(relay->wall_s % RELAY_DAY_S);
}

static void network_key(const struct addr *addr, uint8_t out_key[static RELAY_KEY_LEN])
{
	const struct addr network = addr_prefix_key(addr, addr->family == ADDR_IPV4 ? 24 : 48);

	_Static_assert(sizeof(network) <= RELAY_KEY_LEN, "a network is a key");
	memset(out_key, 0, RELAY_KEY_LEN);
	memcpy(out_key, &network, sizeof(network));
}

/* --- one owner --- */

static struct relay_owner *owner_make(const struct relay *relay, struct relay_owners *owners,
				      const uint8_t *key)
{
	struct relay_owner *owner = map_lookup(&owners->by_key, key);

	if (owner)
		return owner;
	owner = pool_acquire(&owners->slots);
	if (!owner) {
		if (list_is_empty(&owners->idle))
			return NULL;
		owner = container_of(owners->idle.next, struct relay_owner, by_use);
		list_unlink(&owner->by_use);
		(void)map_delete(&owners->by_key, owner->key);
	}
	*owner = (struct relay_owner){.day = day_of(relay)};
	memcpy(owner->key, key, sizeof(owner->key));
	list_push_back(&owners->idle, &owner->by_use);
	if (map_put(&owners->by_key, owner->key, owner) == 0)
		return owner;
	list_unlink(&owner->by_use);
	pool_release(&owners->slots, owner);
	return NULL;
}

/*
 * A clock that was put back by less than a day goes on with the later one. One that was further ahead
 * would hold an owner's day back for as long.
 */
static bool is_today(const struct relay *relay, const struct relay_owner *owner)
{
	return owner->day == day_of(relay) || owner->day == day_of(relay) + 1;
}

static void owner_enter_day(const struct relay *relay, struct relay_owner *owner)
{
	if (is_today(relay, owner))
		return;
	owner->day = day_of(relay);
	owner->opened_cnt = 0;
	memset(owner->used_lens, 0, sizeof(owner->used_lens));
}

static void owner_take(const struct relay *relay, struct relay_owner *owner)
{
	owner_enter_day(relay, owner);
	owner->opened_cnt++;
	if (owner->flow_cnt++ == 0)
		list_unlink(&owner->by_use);
}

static void owner_lose(struct relay_owners *owners, struct relay_owner *owner)
{
	if (--owner->flow_cnt == 0)
		list_push_back(&owners->idle, &owner->by_use);
}

static bool has_opened_all(const struct relay *relay, const struct relay_owners *owners,
			   const struct relay_owner *owner)
{
	return owner && is_today(relay, owner) &&
	       owner->opened_cnt >= (uint64_t)relay->params.config.free_opens * owners->weight;
}

static bool has_used_all(const struct relay *relay, const struct relay_owners *owners,
			 const struct relay_owner *owner, enum relay_class traffic)
{
	const struct relay_config *config = &relay->params.config;
	uint64_t len =
		traffic == RELAY_CONTENT ? config->free_content_day_len : config->free_day_len;

	return owner && is_today(relay, owner) && owner->used_lens[traffic] > len * owners->weight;
}

/* --- a flow's two --- */

static bool has_network(const struct relay_flow_terms *terms)
{
	return terms->class == FAIR_UNKNOWN && terms->addr;
}

int relay_owners_judge(const struct relay *relay, const struct relay_flow_terms *terms)
{
	const struct relay_owner *owner = map_lookup(&relay->owners.by_key, terms->owner);
	uint8_t key[RELAY_KEY_LEN];

	if (owner && owner->flow_cnt >= RELAY_OPENED_MAX)
		return WEFT_EREFUSED;
	if (has_opened_all(relay, &relay->owners, owner))
		return WEFT_EBUSY;
	if (!has_network(terms))
		return 0;
	network_key(terms->addr, key);
	owner = map_lookup(&relay->networks.by_key, key);
	return has_opened_all(relay, &relay->networks, owner) ? WEFT_EBUSY : 0;
}

int relay_owners_enter(struct relay *relay, struct relay_flow *flow,
		       const struct relay_flow_terms *terms)
{
	struct relay_owner *owner = owner_make(relay, &relay->owners, terms->owner),
			   *network = NULL;
	uint8_t key[RELAY_KEY_LEN];

	if (!owner)
		return WEFT_EFULL;
	if (has_network(terms)) {
		network_key(terms->addr, key);
		network = owner_make(relay, &relay->networks, key);
		if (!network)
			return WEFT_EFULL;
		owner_take(relay, network);
	}
	owner_take(relay, owner);
	flow->owner = owner;
	flow->network = network;
	flow->traffic = terms->traffic;
	return 0;
}

void relay_owners_leave(struct relay *relay, struct relay_flow *flow)
{
	owner_lose(&relay->owners, flow->owner);
	if (flow->network)
		owner_lose(&relay->networks, flow->network);
	flow->owner = flow->network = NULL;
}

void relay_owners_charge(struct relay *relay, const struct relay_flow *flow, uint64_t len)
{
	owner_enter_day(relay, flow->owner);
	flow->owner->used_lens[flow->traffic] += len;
	if (!flow->network)
		return;
	owner_enter_day(relay, flow->network);
	flow->network->used_lens[flow->traffic] += len;
}

bool relay_owners_are_spent(const struct relay *relay, const struct relay_flow *flow)
{
	return has_used_all(relay, &relay->owners, flow->owner, flow->traffic) ||
	       has_used_all(relay, &relay->networks, flow->network, flow->traffic);
}
