/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket, and beside it a cache of addresses by hash. An address that another one pushes
 * out of its slot counts as new once more.
 */
#include "dht/rate_limiter.h"

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/siphash_bytes.h"
#include "weft/bucket.h"

#define SLOT_CNT 4096

struct rate_limiter_slot {
	uint64_t tag; /* hash of the address, 0: empty */
	uint64_t sent_ns;
};

struct dht_rate_limiter {
	struct weft_bucket bucket;
	uint64_t cost_ns;
	uint64_t secret[2];
	struct rate_limiter_slot slots[SLOT_CNT];
};

#define BURST_NS 2000000000ull

int dht_rate_limiter_new(struct arena *arena, uint32_t per_s, const uint64_t secret[2],
			 struct dht_rate_limiter **out_rate_limiter)
{
	struct dht_rate_limiter *rate_limiter = arena_alloc(arena, sizeof(*rate_limiter));

	weft_assert(per_s >= 1);
	if (!rate_limiter)
		return WEFT_EFULL;
	rate_limiter->cost_ns = 1000000000ull / per_s;
	rate_limiter->bucket.credit_ns = BURST_NS;
	rate_limiter->secret[0] = secret[0];
	rate_limiter->secret[1] = secret[1];
	*out_rate_limiter = rate_limiter;
	return 0;
}

/* The tokens that must be left after a new address of this urgency. */
static uint64_t reserve_ns(enum dht_urgency urgency)
{
	return urgency == DHT_UPKEEP ? BURST_NS / 2 : 0;
}

static uint64_t credit_ns(const struct dht_rate_limiter *rate_limiter, uint64_t now_ns)
{
	const struct weft_bucket *bucket = &rate_limiter->bucket;
	uint64_t earned_ns = now_ns > bucket->filled_at_ns ? now_ns - bucket->filled_at_ns : 0;

	return earned_ns < BURST_NS - bucket->credit_ns ? bucket->credit_ns + earned_ns : BURST_NS;
}

bool dht_rate_limiter_admit(struct dht_rate_limiter *rate_limiter, const struct addr *addr,
			    enum dht_urgency urgency, uint64_t now_ns)
{
	const struct weft_bucket_rate rate = {.cost_ns = rate_limiter->cost_ns,
					      .credit_max_ns = BURST_NS};
	uint64_t tag = siphash(rate_limiter->secret, addr, sizeof(*addr)) | 1;
	struct rate_limiter_slot *slot = &rate_limiter->slots[tag / 2 % SLOT_CNT];

	if (slot->tag != tag || now_ns - slot->sent_ns >= DHT_DESTINATION_NS) {
		if (credit_ns(rate_limiter, now_ns) < reserve_ns(urgency) + rate.cost_ns ||
		    !weft_bucket_take(&rate_limiter->bucket, &rate, now_ns))
			return false;
	}
	*slot = (struct rate_limiter_slot){tag, now_ns};
	return true;
}

uint64_t dht_rate_limiter_next_ns(const struct dht_rate_limiter *rate_limiter,
				  enum dht_urgency urgency, uint64_t now_ns)
{
	uint64_t want_ns = reserve_ns(urgency) + rate_limiter->cost_ns;
	uint64_t have_ns = credit_ns(rate_limiter, now_ns);

	return have_ns >= want_ns ? now_ns : now_ns + (want_ns - have_ns);
}
