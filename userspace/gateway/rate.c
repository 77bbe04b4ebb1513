/* SPDX-License-Identifier: Apache-2.0 */
/* Requests per client address: a virtual schedule (GCRA), one number per address. */
#include "gateway/rate.h"

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/siphash_bytes.h"
#include "gateway/gateway.h"

#define IPV4_PREFIX_LEN 32
#define IPV6_PREFIX_LEN 64

void gateway_rate_init(struct rate *rate, uint64_t interval_ns, unsigned burst)
{
	struct random random;

	random_init_system(&random);
	random_fill(&random, rate->secret, sizeof(rate->secret));
	rate->interval_ns = interval_ns;
	rate->burst_ns = rate->interval_ns * burst;
}

struct addr gateway_rate_prefix(const struct addr *addr)
{
	return addr_prefix_key(addr, addr->family == ADDR_IPV4 ? IPV4_PREFIX_LEN : IPV6_PREFIX_LEN);
}

static struct rate_slot *rate_slot(struct rate *rate, const struct addr *prefix)
{
	uint64_t hash = siphash(rate->secret, prefix, sizeof(*prefix));
	struct rate_slot *row = &rate->slots[hash % RATE_SLOT_CNT / RATE_WAY_CNT * RATE_WAY_CNT];
	struct rate_slot *least = row;

	for (unsigned i = 0; i < RATE_WAY_CNT; i++) {
		if (addr_equal(&row[i].prefix, prefix))
			return &row[i];
		if (row[i].repaid_ns < least->repaid_ns)
			least = &row[i];
	}
	*least = (struct rate_slot){.prefix = *prefix};
	return least;
}

bool gateway_rate_take(struct rate *rate, const struct addr *addr, uint64_t now_ns)
{
	struct addr prefix = gateway_rate_prefix(addr);
	struct rate_slot *slot;
	uint64_t repaid_ns;

	if (!rate->interval_ns)
		return true;
	slot = rate_slot(rate, &prefix);
	repaid_ns = slot->repaid_ns > now_ns ? slot->repaid_ns : now_ns;
	if (repaid_ns + rate->interval_ns > now_ns + rate->burst_ns)
		return false;
	slot->repaid_ns = repaid_ns + rate->interval_ns;
	return true;
}

int gateway_rates_init(struct gateway_rates *rates, struct arena *arena,
		       const struct gateway_config *config)
{
	const struct {
		uint64_t per_ns;
		unsigned cnt, burst;
	} kinds[GATEWAY_RATE_CNT] = {
		[GATEWAY_RATE_OTHER] = {NS_PER_S, config->request_rate_per_s,
					config->request_burst},
		[GATEWAY_RATE_BUSY] = {60 * NS_PER_S, config->busy_rate_per_min,
				       config->busy_burst},
		[GATEWAY_RATE_FILES] = {NS_PER_S, config->file_rate_per_s, config->file_burst},
	};

	rates->each = arena_alloc(arena, GATEWAY_RATE_CNT * sizeof(*rates->each));
	if (!rates->each)
		return WEFT_EFULL;
	for (unsigned i = 0; i < GATEWAY_RATE_CNT; i++)
		gateway_rate_init(&rates->each[i],
				  kinds[i].cnt ? kinds[i].per_ns / kinds[i].cnt : 0,
				  kinds[i].burst);
	return 0;
}
