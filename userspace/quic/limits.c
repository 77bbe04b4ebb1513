/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting by prefix and by key. One pool of counts serves both: an
 * accepted connection holds a prefix before its key is proved and a key
 * afterwards, never both, so the connection table's size is enough.
 */
#include "quic/limits.h"

#include <string.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/siphash.h"

struct limit_count {
	struct map *home;
	union {
		struct addr prefix;
		uint8_t key[TRANSPORT_KEY_LEN];
	};
	uint32_t cnt;
};

#define PREFIX_BITS_IPV4 32
#define PREFIX_BITS_IPV6 64
#define PROVING_DIVISOR	 4
/* Stateless answers to one prefix: a handful at once, ten a second for long. */
#define ANSWER_COST_NS	 (100 * NS_PER_MS)
#define ANSWER_CREDIT_NS (16 * ANSWER_COST_NS)

size_t quic_limits_footprint(uint32_t conn_cap)
{
	return pool_footprint(sizeof(struct limit_count), conn_cap) +
	       map_footprint(sizeof(struct addr), conn_cap) +
	       map_footprint(TRANSPORT_KEY_LEN, conn_cap);
}

int quic_limits_init(struct quic_limits *limits, struct arena *arena, uint32_t conn_cap,
		     uint32_t per_prefix_cap, uint32_t per_key_cap, const uint64_t secret[2])
{
	memset(limits, 0, sizeof(*limits));
	memcpy(limits->secret, secret, sizeof(limits->secret));
	limits->per_prefix_cap = per_prefix_cap;
	limits->per_key_cap = per_key_cap;
	for (unsigned i = 0; i < LIMITS_ANSWER_BUCKETS; i++)
		limits->answers[i].credit_ns = ANSWER_CREDIT_NS;
	if (pool_init(&limits->counts, arena, sizeof(struct limit_count), conn_cap) < 0 ||
	    map_init(&limits->by_prefix, arena, sizeof(struct addr), conn_cap, secret) < 0 ||
	    map_init(&limits->by_key, arena, TRANSPORT_KEY_LEN, conn_cap, secret) < 0)
		return WEFT_EFULL;
	return 0;
}

static struct limit_count *hold(struct quic_limits *limits, struct map *home, const void *name,
				uint32_t cap)
{
	struct limit_count *count = map_lookup(home, name);

	if (count) {
		if (count->cnt >= cap)
			return NULL;
		count->cnt++;
		return count;
	}
	count = cap ? pool_acquire(&limits->counts) : NULL;
	if (!count)
		return NULL;
	count->home = home;
	memcpy(count->key, name, home->key_len);
	count->cnt = 1;
	if (map_put(home, name, count) == 0)
		return count;
	pool_release(&limits->counts, count);
	return NULL;
}

static struct addr prefix_of(const struct addr *remote)
{
	return addr_prefix_key(remote,
			       remote->family == ADDR_IPV4 ? PREFIX_BITS_IPV4 : PREFIX_BITS_IPV6);
}

struct limit_count *quic_limits_hold_prefix(struct quic_limits *limits, const struct addr *remote)
{
	struct addr prefix = prefix_of(remote);

	return hold(limits, &limits->by_prefix, &prefix, limits->per_prefix_cap);
}

struct limit_count *quic_limits_hold_key(struct quic_limits *limits,
					 const uint8_t key[static TRANSPORT_KEY_LEN])
{
	return hold(limits, &limits->by_key, key, limits->per_key_cap);
}

void quic_limits_release(struct quic_limits *limits, struct limit_count *count)
{
	if (!count || --count->cnt)
		return;
	(void)map_delete(count->home, count->key);
	pool_release(&limits->counts, count);
}

void quic_limits_reserve(struct quic_limits *limits, uint32_t conn_cap, uint32_t percent)
{
	uint32_t reserved_cnt = (uint32_t)((uint64_t)conn_cap * percent / 100);
	uint32_t stranger_cap = conn_cap - reserved_cnt;
	uint32_t less_cnt = reserved_cnt < stranger_cap ? reserved_cnt : stranger_cap;

	limits->stranger_cap = stranger_cap;
	limits->stranger_open_cap = stranger_cap - less_cnt / PROVING_DIVISOR;
}

bool quic_limits_move(struct quic_limits *limits, enum quic_standing *standing,
		      enum quic_standing to)
{
	uint32_t cnt = limits->stranger_cnt - (*standing != QUIC_KNOWN) + (to != QUIC_KNOWN);
	uint32_t open_cnt = limits->stranger_open_cnt - (*standing == QUIC_STRANGER_OPEN) +
			    (to == QUIC_STRANGER_OPEN);

	/* Leaving is always possible, also when the caps have become less. */
	if (cnt > limits->stranger_cnt && cnt > limits->stranger_cap)
		return false;
	if (open_cnt > limits->stranger_open_cnt && open_cnt > limits->stranger_open_cap)
		return false;
	limits->stranger_cnt = cnt;
	limits->stranger_open_cnt = open_cnt;
	*standing = to;
	return true;
}

bool quic_limits_may_answer(struct quic_limits *limits, const struct addr *remote, uint64_t now_ns)
{
	static const struct weft_bucket_rate rate = {ANSWER_COST_NS, ANSWER_CREDIT_NS};
	struct addr prefix = prefix_of(remote);
	uint64_t hash = siphash(limits->secret, &prefix, sizeof(prefix));

	return weft_bucket_take(&limits->answers[hash % LIMITS_ANSWER_BUCKETS], &rate, now_ns);
}
