/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting by key, half-open connections, answers by lot.
 */
#include "quic/limits/quic_limits.h"

#include <string.h>

#include "base/memory/arena.h"
#include "base/assert.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/siphash_bytes.h"

struct limit_count {
	uint8_t key[TRANSPORT_KEY_LEN];
	uint32_t cnt;
};

#define PREFIX_BITS_IPV4 32
#define PREFIX_BITS_IPV6 64

/* A per_s of answers, and as many at once as in a quarter of a second. */
#define ANSWERS(per_s) {NS_PER_S / (per_s), NS_PER_S / 4}
/* A Retry takes a worker some 5 us; the others are seldom needed at all. */
static const struct weft_bucket_rate answer_rates[QUIC_ANSWER_CNT] = {
	[QUIC_ANSWER_RETRY] = ANSWERS(50000),
	[QUIC_ANSWER_VERSION] = ANSWERS(2000),
	[QUIC_ANSWER_RESET] = ANSWERS(1000),
	[QUIC_ANSWER_CLOSE] = ANSWERS(2000),
};

void quic_half_open_init(struct quic_half_open *half_open, const uint64_t secret[2])
{
	memset(half_open, 0, sizeof(*half_open));
	memcpy(half_open->secret, secret, sizeof(half_open->secret));
}

static uint16_t half_open_place(const struct quic_half_open *half_open, const struct addr *remote)
{
	struct addr prefix = addr_prefix_key(
		remote, remote->family == ADDR_IPV4 ? PREFIX_BITS_IPV4 : PREFIX_BITS_IPV6);

	return (uint16_t)(siphash(half_open->secret, &prefix, sizeof(prefix)) %
			  QUIC_HALF_OPEN_PLACE_CNT);
}

uint16_t quic_half_open_enter(struct quic_half_open *half_open, uint32_t cap,
			      const struct addr *remote)
{
	uint16_t place = half_open_place(half_open, remote);

	if (half_open->cnt >= cap || half_open->places[place] >= QUIC_HALF_OPEN_PREFIX_MAX)
		return QUIC_HALF_OPEN_NONE;
	half_open->places[place]++;
	half_open->cnt++;
	if (half_open->cnt > half_open->peak_cnt)
		half_open->peak_cnt = half_open->cnt;
	return place;
}

void quic_half_open_leave(struct quic_half_open *half_open, uint16_t place)
{
	if (place == QUIC_HALF_OPEN_NONE)
		return;
	weft_assert(half_open->cnt > 0);
	weft_assert(half_open->places[place] > 0);
	half_open->places[place]--;
	half_open->cnt--;
}

int quic_limits_init(struct quic_limits *limits, struct arena *arena, uint32_t conn_cap,
		     uint32_t per_key_cap, struct random *random)
{
	uint64_t secret[2];

	memset(limits, 0, sizeof(*limits));
	limits->per_key_cap = per_key_cap;
	random_fill(random, secret, sizeof(secret));
	quic_half_open_init(&limits->half_open, secret);
	random_fill(random, secret, sizeof(secret));
	random_fill(random, limits->salt, sizeof(limits->salt));
	if (pool_init(&limits->counts, arena, sizeof(struct limit_count), conn_cap) < 0 ||
	    map_init(&limits->by_key, arena, TRANSPORT_KEY_LEN, conn_cap, secret) < 0)
		return WEFT_EFULL;
	return 0;
}

struct limit_count *quic_limits_hold_key(struct quic_limits *limits,
					 const uint8_t key[static TRANSPORT_KEY_LEN])
{
	struct limit_count *count = map_lookup(&limits->by_key, key);

	if (count) {
		if (count->cnt >= limits->per_key_cap)
			return NULL;
		count->cnt++;
		return count;
	}
	count = limits->per_key_cap ? pool_acquire(&limits->counts) : NULL;
	if (!count)
		return NULL;
	memcpy(count->key, key, TRANSPORT_KEY_LEN);
	count->cnt = 1;
	if (map_put(&limits->by_key, key, count) == 0)
		return count;
	pool_release(&limits->counts, count);
	return NULL;
}

void quic_limits_release(struct quic_limits *limits, struct limit_count *count)
{
	if (!count || --count->cnt)
		return;
	(void)map_delete(&limits->by_key, count->key);
	pool_release(&limits->counts, count);
}

bool quic_limits_may_answer(struct quic_limits *limits, enum quic_answer kind, uint64_t now_ns)
{
	return weft_random_drop_take(&limits->answers[kind], &answer_rates[kind], limits->salt,
				     now_ns);
}
