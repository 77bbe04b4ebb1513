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

/* Idle ones looked at for the one that has used least. */
#define LOOK_CNT 8u

static int table_init(struct relay *relay, struct relay_owners *owners, uint32_t weight)
{
	uint32_t cap = relay->params.config.flow_cap;
	uint64_t secret[2];
	int err;

	list_init(&owners->free);
	list_init(&owners->idle);
	list_init(&owners->due);
	owners->weight = weight;
	random_fill(relay->params.random, secret, sizeof(secret));
	if ((err = map_init(&owners->by_key, &relay->arena, RELAY_KEY_LEN, cap, secret)) < 0)
		return err;
	owners->rows = arena_alloc(&relay->arena, cap * sizeof(*owners->rows));
	if (!owners->rows)
		return WEFT_EFULL;
	owners->cap = cap;
	return 0;
}

int relay_owners_init(struct relay *relay)
{
	int err = table_init(relay, &relay->owners, 1);

	list_init(&relay->days_on_way);
	return err < 0 ? err
		       : table_init(relay, &relay->networks, relay->params.config.free_network);
}

uint64_t relay_today(const struct relay *relay)
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

	memset(out_key, 0, RELAY_KEY_LEN);
	out_key[0] = network.family;
	memcpy(out_key + 1, network.ip, sizeof(network.ip));
}

uint64_t relay_owners_limit(const struct relay *relay, const struct relay_owners *owners,
			    enum relay_day_count count)
{
	const struct relay_config *config = &relay->params.config;
	const uint64_t of_key[RELAY_DAY_COUNT_CNT] = {
		[RELAY_DAY_OPENED] = config->free_opens,
		[RELAY_DAY_CONTROL] = config->free_day_len,
		[RELAY_DAY_CONTENT] = config->free_content_day_len,
	};

	return of_key[count] * owners->weight;
}

/* --- one owner --- */

/* Memory of places that were never used is not touched. */
void relay_owners_reach(struct relay_owners *owners, uint32_t idx)
{
	while (owners->place_cnt <= idx && owners->place_cnt < owners->cap)
		list_push_back(&owners->free, &owners->rows[owners->place_cnt++].by_use);
}

struct relay_owner *relay_owners_place(struct relay_owners *owners, struct relay_owner *owner,
				       const uint8_t *key)
{
	if (owner->is_used)
		return NULL;
	owner->day = 0;
	owner->flow_cnt = 0;
	memset(owner->counts, 0, sizeof(owner->counts));
	memset(owner->leased, 0, sizeof(owner->leased));
	memcpy(owner->key, key, sizeof(owner->key));
	if (map_put(&owners->by_key, owner->key, owner) < 0)
		return NULL;
	owner->is_used = true;
	list_unlink(&owner->by_use);
	list_push_back(&owners->idle, &owner->by_use);
	return owner;
}

void relay_owners_vacate(struct relay_owners *owners, struct relay_owner *owner)
{
	(void)map_delete(&owners->by_key, owner->key);
	owner->is_used = false;
	list_unlink(&owner->by_use);
	list_push_back(&owners->free, &owner->by_use);
}

static unsigned weight_of(const struct relay *relay, const struct relay_owner *owner)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < RELAY_DAY_COUNT_CNT && owner->day >= relay_today(relay); i++)
		sum += owner->leased[i];
	return sum;
}

/* Of the longest idle the one that has used least goes. Those that stay have their turn again later. */
static void room_make(const struct relay *relay, struct relay_owners *owners)
{
	struct relay_owner *least = NULL;

	for (unsigned i = 0; i < LOOK_CNT && !list_is_empty(&owners->idle); i++) {
		struct relay_owner *owner = list_first(&owners->idle, struct relay_owner, by_use);

		if (owner == least)
			break;
		if (!least || weight_of(relay, owner) < weight_of(relay, least))
			least = owner;
		list_unlink(&owner->by_use);
		list_push_back(&owners->idle, &owner->by_use);
	}
	if (least)
		relay_owners_vacate(owners, least);
}

static struct relay_owner *owner_make(const struct relay *relay, struct relay_owners *owners,
				      const uint8_t *key)
{
	struct relay_owner *owner = map_lookup(&owners->by_key, key);

	if (owner)
		return owner;
	if (list_is_empty(&owners->free))
		relay_owners_reach(owners, owners->place_cnt);
	if (list_is_empty(&owners->free))
		room_make(relay, owners);
	if (list_is_empty(&owners->free))
		return NULL;
	owner = relay_owners_place(owners, list_first(&owners->free, struct relay_owner, by_use),
				   key);
	if (owner)
		owner->day = relay_today(relay);
	return owner;
}

/*
 * A clock that was put back by less than a day goes on with the later one. One that was further ahead
 * would hold an owner's day back for as long.
 */
static bool is_today(const struct relay *relay, const struct relay_owner *owner)
{
	return owner->day == relay_today(relay) || owner->day == relay_today(relay) + 1;
}

static void owner_enter_day(const struct relay *relay, struct relay_owner *owner)
{
	if (is_today(relay, owner))
		return;
	owner->day = relay_today(relay);
	memset(owner->counts, 0, sizeof(owner->counts));
	memset(owner->leased, 0, sizeof(owner->leased));
}

static void owner_take(struct relay *relay, struct relay_owners *owners, struct relay_owner *owner)
{
	owner_enter_day(relay, owner);
	owner->counts[RELAY_DAY_OPENED]++;
	if (owner->flow_cnt++ == 0)
		list_unlink(&owner->by_use);
	relay_days_lease(relay, owners, owner);
}

static void owner_lose(struct relay_owners *owners, struct relay_owner *owner)
{
	if (--owner->flow_cnt == 0)
		list_push_back(&owners->idle, &owner->by_use);
}

static void owner_charge(struct relay *relay, struct relay_owners *owners,
			 struct relay_owner *owner, enum relay_day_count count, uint64_t len)
{
	owner_enter_day(relay, owner);
	owner->counts[count] += len;
	relay_days_lease(relay, owners, owner);
}

static bool has_opened_all(const struct relay *relay, const struct relay_owners *owners,
			   const struct relay_owner *owner)
{
	return owner && is_today(relay, owner) &&
	       owner->counts[RELAY_DAY_OPENED] >=
		       relay_owners_limit(relay, owners, RELAY_DAY_OPENED);
}

static enum relay_day_count count_of(enum relay_class traffic)
{
	return traffic == RELAY_CONTENT ? RELAY_DAY_CONTENT : RELAY_DAY_CONTROL;
}

static bool has_used_all(const struct relay *relay, const struct relay_owners *owners,
			 const struct relay_owner *owner, enum relay_class traffic)
{
	enum relay_day_count count = count_of(traffic);

	return owner && is_today(relay, owner) &&
	       owner->counts[count] > relay_owners_limit(relay, owners, count);
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
		owner_take(relay, &relay->networks, network);
	}
	owner_take(relay, &relay->owners, owner);
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
	enum relay_day_count count = count_of(flow->traffic);

	owner_charge(relay, &relay->owners, flow->owner, count, len);
	if (flow->network)
		owner_charge(relay, &relay->networks, flow->network, count, len);
}

bool relay_owners_are_spent(const struct relay *relay, const struct relay_flow *flow)
{
	return has_used_all(relay, &relay->owners, flow->owner, flow->traffic) ||
	       has_used_all(relay, &relay->networks, flow->network, flow->traffic);
}
