/* SPDX-License-Identifier: Apache-2.0 */
#include "request_quota.h"

#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"

#define MINUTE_NS (60 * NS_PER_S)

struct quota_peer {
	struct list_node by_time;
	uint8_t key[REQUEST_QUOTA_KEY_LEN];
	uint64_t began_ns; /* the minute that runs */
	uint32_t cnt, former_cnt;
};

int request_quota_init(struct request_quota *quota, struct arena *arena, uint32_t peer_cap,
		       uint32_t per_min, const uint64_t secret[2])
{
	int err = pool_init(&quota->pool, arena, sizeof(struct quota_peer), peer_cap);

	quota->per_min = per_min;
	list_init(&quota->by_time);
	return err < 0 ? err
		       : map_init(&quota->by_key, arena, REQUEST_QUOTA_KEY_LEN, peer_cap, secret);
}

static void quota_forget_oldest(struct request_quota *quota)
{
	struct quota_peer *oldest = list_first(&quota->by_time, struct quota_peer, by_time);

	list_unlink(&oldest->by_time);
	map_delete(&quota->by_key, oldest->key);
	pool_release(&quota->pool, oldest);
}

static struct quota_peer *quota_acquire(struct request_quota *quota, const uint8_t *key,
					uint64_t now_ns)
{
	struct quota_peer *peer = map_lookup(&quota->by_key, key);
	int err;

	if (peer)
		return peer;
	if (quota->pool.used_cnt == quota->pool.cap_cnt)
		quota_forget_oldest(quota);
	peer = pool_acquire(&quota->pool);
	weft_assert(peer);
	memcpy(peer->key, key, sizeof(peer->key));
	peer->began_ns = now_ns;
	list_push_back(&quota->by_time, &peer->by_time);
	err = map_put(&quota->by_key, key, peer);
	weft_assert(err == 0);
	return peer;
}

static void peer_slide(struct quota_peer *peer, uint64_t now_ns)
{
	uint64_t gone = (now_ns - peer->began_ns) / MINUTE_NS;

	if (!gone)
		return;
	peer->former_cnt = gone == 1 ? peer->cnt : 0;
	peer->cnt = 0;
	peer->began_ns += gone * MINUTE_NS;
}

uint64_t request_quota_take_of(struct request_quota *quota,
			       const uint8_t key[static REQUEST_QUOTA_KEY_LEN], uint32_t per_min,
			       uint64_t now_ns)
{
	struct quota_peer *peer = quota_acquire(quota, key, now_ns);
	uint64_t room, left_ns;

	peer_slide(peer, now_ns);
	left_ns = peer->began_ns + MINUTE_NS - now_ns;
	/* The part of the former minute that is less than a minute ago, rounded up. */
	room = (peer->former_cnt * left_ns + MINUTE_NS - 1) / MINUTE_NS + peer->cnt;
	if (room < per_min) {
		peer->cnt++;
		list_unlink(&peer->by_time);
		list_push_back(&quota->by_time, &peer->by_time);
		return 0;
	}
	if (peer->cnt >= per_min || !peer->former_cnt)
		return left_ns / NS_PER_MS + 1;
	/* When one more of the former ones is gone. */
	return MINUTE_NS / peer->former_cnt / NS_PER_MS + 1;
}

uint64_t request_quota_take(struct request_quota *quota,
			    const uint8_t key[static REQUEST_QUOTA_KEY_LEN], uint64_t now_ns)
{
	return request_quota_take_of(quota, key, quota->per_min, now_ns);
}
