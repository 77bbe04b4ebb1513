/* SPDX-License-Identifier: Apache-2.0 */
#include "dht/proven.h"

#include "base/arena.h"
#include "weft/endpoint.h"
#include "weft/siphash.h"

#define SLOT_CNT 8192 /* power of two; more than a busy node hears in ten minutes */

struct slot {
	uint64_t words[2]; /* of struct weft_endpoint */
	uint64_t until_ns;
};

struct dht_proven {
	__u64 secret[2];
	struct slot slots[SLOT_CNT];
};

size_t dht_proven_footprint(void)
{
	return sizeof(struct dht_proven) + 64;
}

int dht_proven_new(struct arena *arena, const uint64_t secret[2], struct dht_proven **out_proven)
{
	struct dht_proven *proven = arena_alloc(arena, sizeof(*proven));

	if (!proven)
		return WEFT_EFULL;
	proven->secret[0] = secret[0];
	proven->secret[1] = secret[1];
	*out_proven = proven;
	return 0;
}

static size_t slot_idx(const struct dht_proven *proven, const struct weft_endpoint *endpoint)
{
	struct weft_siphash s;

	weft_siphash_init(&s, proven->secret);
	weft_siphash_absorb(&s, endpoint->words[0]);
	weft_siphash_absorb(&s, endpoint->words[1]);
	return weft_siphash_finish(&s, 2) & (SLOT_CNT - 1);
}

void dht_proven_add(struct dht_proven *proven, const struct addr *addr, uint64_t now_ns)
{
	struct weft_endpoint endpoint = addr_endpoint(addr);

	proven->slots[slot_idx(proven, &endpoint)] = (struct slot){
		.words = {endpoint.words[0], endpoint.words[1]},
		.until_ns = now_ns + DHT_PROVEN_NS,
	};
}

bool dht_proven_has(const struct dht_proven *proven, const struct addr *addr, uint64_t now_ns)
{
	struct weft_endpoint endpoint = addr_endpoint(addr);
	const struct slot *slot = &proven->slots[slot_idx(proven, &endpoint)];

	return slot->words[0] == endpoint.words[0] && slot->words[1] == endpoint.words[1] &&
	       now_ns < slot->until_ns;
}
