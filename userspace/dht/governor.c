/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A token bucket, and beside it a cache of addresses by hash: who is
 * pushed out of its slot by another counts as new once more.
 */
#include "dht/governor.h"

#include "base/arena.h"
#include "base/assert.h"
#include "base/siphash.h"
#include "weft/bucket.h"

#define SLOT_CNT 4096

struct governor_slot {
	uint64_t tag; /* hash of the address, 0: empty */
	uint64_t sent_ns;
};

struct dht_governor {
	struct weft_bucket bucket;
	uint64_t cost_ns;
	uint64_t secret[2];
	struct governor_slot slots[SLOT_CNT];
};

#define BURST_NS 2000000000ull

size_t dht_governor_footprint(void)
{
	return (sizeof(struct dht_governor) + 63) & ~(size_t)63;
}

int dht_governor_new(struct arena *arena, uint32_t per_s, const uint64_t secret[2],
		     struct dht_governor **out_governor)
{
	struct dht_governor *governor = arena_alloc(arena, sizeof(*governor));

	weft_assert(per_s >= 1);
	if (!governor)
		return WEFT_EFULL;
	governor->cost_ns = 1000000000ull / per_s;
	governor->bucket.credit_ns = BURST_NS;
	governor->secret[0] = secret[0];
	governor->secret[1] = secret[1];
	*out_governor = governor;
	return 0;
}

/* What must be left after a new address of this urgency. */
static uint64_t reserve_ns(enum dht_urgency urgency)
{
	return urgency == DHT_UPKEEP ? BURST_NS / 2 : 0;
}

static uint64_t credit_ns(const struct dht_governor *governor, uint64_t now_ns)
{
	const struct weft_bucket *bucket = &governor->bucket;
	uint64_t earned_ns = now_ns > bucket->filled_at_ns ? now_ns - bucket->filled_at_ns : 0;

	return earned_ns < BURST_NS - bucket->credit_ns ? bucket->credit_ns + earned_ns : BURST_NS;
}

bool dht_governor_admit(struct dht_governor *governor, const struct addr *addr,
			enum dht_urgency urgency, uint64_t now_ns)
{
	const struct weft_bucket_rate rate = {.cost_ns = governor->cost_ns,
					      .credit_max_ns = BURST_NS};
	uint64_t tag = siphash(governor->secret, addr, sizeof(*addr)) | 1;
	struct governor_slot *slot = &governor->slots[tag / 2 % SLOT_CNT];

	if (slot->tag != tag || now_ns - slot->sent_ns >= DHT_DESTINATION_NS) {
		if (credit_ns(governor, now_ns) < reserve_ns(urgency) + rate.cost_ns ||
		    !weft_bucket_take(&governor->bucket, &rate, now_ns))
			return false;
	}
	*slot = (struct governor_slot){tag, now_ns};
	return true;
}

uint64_t dht_governor_next_ns(const struct dht_governor *governor, enum dht_urgency urgency,
			      uint64_t now_ns)
{
	uint64_t want_ns = reserve_ns(urgency) + governor->cost_ns;
	uint64_t have_ns = credit_ns(governor, now_ns);

	return have_ns >= want_ns ? now_ns : now_ns + (want_ns - have_ns);
}
