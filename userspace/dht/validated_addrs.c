/* SPDX-License-Identifier: Apache-2.0 */
#include "dht/validated_addrs.h"

#include "base/memory/arena.h"
#include "weft/endpoint.h"
#include "weft/siphash.h"

#define SLOT_CNT 8192 /* power of two; more than write to a busy node in ten minutes */

struct slot {
	uint64_t words[2]; /* of struct weft_endpoint */
	uint64_t until_ns;
};

struct dht_validated {
	__u64 secret[2];
	struct slot slots[SLOT_CNT];
};

int dht_validated_new(struct arena *arena, const uint64_t secret[2],
		      struct dht_validated **out_validated)
{
	struct dht_validated *validated = arena_alloc(arena, sizeof(*validated));

	if (!validated)
		return WEFT_EFULL;
	validated->secret[0] = secret[0];
	validated->secret[1] = secret[1];
	*out_validated = validated;
	return 0;
}

static size_t slot_idx(const struct dht_validated *validated, const struct weft_endpoint *endpoint)
{
	struct weft_siphash s;

	weft_siphash_init(&s, validated->secret);
	weft_siphash_absorb(&s, endpoint->words[0]);
	weft_siphash_absorb(&s, endpoint->words[1]);
	return weft_siphash_finish(&s, 2) & (SLOT_CNT - 1);
}

void dht_validated_add(struct dht_validated *validated, const struct addr *addr, uint64_t now_ns)
{
	struct weft_endpoint endpoint = addr_endpoint(addr);

	validated->slots[slot_idx(validated, &endpoint)] = (struct slot){
		.words = {endpoint.words[0], endpoint.words[1]},
		.until_ns = now_ns + DHT_VALIDATED_NS,
	};
}

bool dht_validated_has(const struct dht_validated *validated, const struct addr *addr,
		       uint64_t now_ns)
{
	struct weft_endpoint endpoint = addr_endpoint(addr);
	const struct slot *slot = &validated->slots[slot_idx(validated, &endpoint)];

	return slot->words[0] == endpoint.words[0] && slot->words[1] == endpoint.words[1] &&
	       now_ns < slot->until_ns;
}
