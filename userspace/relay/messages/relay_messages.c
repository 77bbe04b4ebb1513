/* SPDX-License-Identifier: Apache-2.0 */
#include "relay_messages.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/fair/fair_path.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "weft/bucket.h"

/* In thousandths: of messages a second, and of points. */
#define RATE_LEAST 10000u
#define RATE_MORE  40000u
#define HALF_SCORE 10000u
#define BURST_S	   (RELAY_MESSAGES_BURST_NS / NS_PER_S)

static const struct fair_config message_pool = {
	.name = "relay messages",
	.kind = FAIR_WORK,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

/* A peer with messages in the last two seconds. */
struct message_peer {
	uint8_t key[MESH_KEY_LEN];
	struct weft_bucket bucket;
	uint32_t slot_cnt;
};

struct message_slot {
	struct fair_item share;
	struct message_peer *peer;
	uint64_t taken_ns;
};

struct relay_messages {
	struct relay_messages_params params;
	struct arena arena;
	struct fair fair;
	struct pool peers;
	struct map peers_by_key;
	struct message_slot *slots; /* a ring: the oldest first */
	uint32_t slot_cap, oldest_idx, slot_cnt;
	struct relay_messages_stats stats;
};

void relay_messages_config_defaults(struct relay_messages_config *config)
{
	*config = (struct relay_messages_config){.per_s = 2000};
}

uint32_t relay_messages_rate(uint32_t score)
{
	return RATE_LEAST +
	       (uint32_t)((uint64_t)RATE_MORE * score / ((uint64_t)score + HALF_SCORE));
}

/* --- life --- */

static int messages_lay_out(struct relay_messages *messages, struct random *random)
{
	struct fair_config pool = message_pool;
	uint64_t secret[2];
	int err = arena_open(&messages->arena, ARENA_GROWS);

	if (err < 0)
		return err;
	pool.cap_cnt = messages->slot_cap = messages->params.config.per_s * BURST_S;
	random_fill(random, secret, sizeof(secret));
	messages->slots = arena_alloc(&messages->arena, pool.cap_cnt * sizeof(*messages->slots));
	if (!messages->slots)
		return WEFT_EFULL;
	if ((err = fair_init(&messages->fair, &messages->arena, &pool, secret)) < 0 ||
	    (err = pool_init(&messages->peers, &messages->arena, sizeof(struct message_peer),
			     pool.cap_cnt)) < 0 ||
	    (err = map_init(&messages->peers_by_key, &messages->arena, MESH_KEY_LEN, pool.cap_cnt,
			    secret)) < 0)
		return err;
	arena_fit(&messages->arena);
	return 0;
}

size_t relay_messages_footprint(const struct relay_messages_config *config)
{
	struct relay_messages messages = {.params.config = *config};
	struct random random;
	size_t len = 0;

	random_init_seeded(&random, 1);
	if (messages_lay_out(&messages, &random) == 0)
		len = sizeof(messages) + messages.arena.used_len;
	arena_close(&messages.arena);
	return len;
}

int relay_messages_new(const struct relay_messages_params *params,
		       struct relay_messages **out_messages)
{
	struct relay_messages *messages = calloc(1, sizeof(*messages));
	int err;

	if (!messages)
		return -ENOMEM;
	messages->params = *params;
	err = messages_lay_out(messages, params->random);
	if (err < 0) {
		relay_messages_free(messages);
		return err;
	}
	*out_messages = messages;
	return 0;
}

void relay_messages_free(struct relay_messages *messages)
{
	if (!messages)
		return;
	arena_close(&messages->arena);
	free(messages);
}

/* --- a message --- */

static void peer_drop(struct relay_messages *messages, struct message_peer *peer)
{
	map_delete(&messages->peers_by_key, peer->key);
	pool_release(&messages->peers, peer);
}

static void slots_expire(struct relay_messages *messages, uint64_t now_ns)
{
	while (messages->slot_cnt) {
		struct message_slot *slot = &messages->slots[messages->oldest_idx];

		if (now_ns < slot->taken_ns + RELAY_MESSAGES_BURST_NS)
			return;
		fair_release(&messages->fair, &slot->share, now_ns);
		if (--slot->peer->slot_cnt == 0)
			peer_drop(messages, slot->peer);
		messages->oldest_idx = (messages->oldest_idx + 1) % messages->slot_cap;
		messages->slot_cnt--;
	}
}

/* A new peer has the credit of two seconds. There are as many rows as slots. */
static struct message_peer *peer_of(struct relay_messages *messages, const uint8_t *key,
				    uint64_t now_ns)
{
	struct message_peer *peer = map_lookup(&messages->peers_by_key, key);
	int err;

	if (peer)
		return peer;
	peer = pool_acquire(&messages->peers);
	weft_assert(peer);
	memcpy(peer->key, key, sizeof(peer->key));
	peer->bucket = (struct weft_bucket){now_ns, RELAY_MESSAGES_BURST_NS};
	peer->slot_cnt = 0;
	err = map_put(&messages->peers_by_key, key, peer);
	weft_assert(err == 0);
	return peer;
}

static void slot_take(struct relay_messages *messages, struct message_peer *peer,
		      const struct fair_path *path, uint64_t now_ns)
{
	uint32_t idx = (messages->oldest_idx + messages->slot_cnt) % messages->slot_cap;
	struct message_slot *slot = &messages->slots[idx];
	struct fair_item *victim;
	enum fair_verdict verdict;

	*slot = (struct message_slot){.peer = peer, .taken_ns = now_ns};
	verdict = fair_take(&messages->fair, path, &slot->share, now_ns, &victim);
	weft_assert(verdict == FAIR_TAKEN); /* one is free */
	messages->slot_cnt++;
	peer->slot_cnt++;
}

/* Its own rate first: a peer beyond it costs the others nothing. 0, or the wait in ms. */
static uint32_t peer_take(struct relay_messages *messages, struct message_peer *peer,
			  uint64_t now_ns)
{
	uint32_t score = messages->params.score(messages->params.ctx, peer->key);
	const struct weft_bucket_rate rate = {
		.cost_ns = NS_PER_S * 1000 / relay_messages_rate(score),
		.credit_max_ns = RELAY_MESSAGES_BURST_NS,
	};

	if (weft_bucket_take_units(&peer->bucket, &rate, 1, now_ns))
		return 0;
	return (uint32_t)((rate.cost_ns - peer->bucket.credit_ns) / NS_PER_MS + 1);
}

static void refuse(struct relay_messages *messages, const struct mesh_call *call,
		   enum mesh_code code, const char *text, uint32_t wait_ms)
{
	const struct mesh_ops *ops = messages->params.mesh.ops;

	ops->note_refused(call->incoming, message_pool.name, wait_ms);
	ops->answer_error(call->incoming, code, text, wait_ms);
}

/* Of one that may not be handled: why, and when to come back. */
struct judged {
	enum mesh_code code;
	const char *text;
	uint32_t wait_ms;
};

static bool message_take(struct relay_messages *messages, const uint8_t *key,
			 const struct fair_path *path, uint64_t now_ns, struct judged *out_judged)
{
	struct message_peer *peer;
	uint32_t wait_ms;

	slots_expire(messages, now_ns);
	if (!fair_may_hold(&messages->fair, path, messages->slot_cap - messages->slot_cnt)) {
		messages->stats.over_pool_cnt++;
		fair_refuse(&messages->fair, path, now_ns);
		*out_judged =
			(struct judged){MESH_CODE_BUSY, "this relay has no share of messages left",
					fair_not_before_ms(&messages->fair, path, now_ns)};
		return false;
	}
	peer = peer_of(messages, key, now_ns);
	wait_ms = peer_take(messages, peer, now_ns);
	if (wait_ms) {
		messages->stats.over_rate_cnt++;
		*out_judged = (struct judged){
			MESH_CODE_REFUSED,
			"more messages to this relay than your contribution allows", wait_ms};
		return false;
	}
	slot_take(messages, peer, path, now_ns);
	messages->stats.admitted_cnt++;
	return true;
}

bool relay_messages_admit(struct relay_messages *messages, const struct mesh_call *call,
			  uint64_t now_ns)
{
	struct judged judged;
	struct fair_path path;

	if (!messages)
		return true;
	messages->params.mesh.ops->asker_path(call->incoming, &path);
	if (message_take(messages, call->peer_key, &path, now_ns, &judged))
		return true;
	refuse(messages, call, judged.code, judged.text, judged.wait_ms);
	return false;
}

bool relay_messages_admit_key(struct relay_messages *messages, const uint8_t *key,
			      const struct fair_path *path, uint64_t now_ns)
{
	struct judged judged;

	return !messages || message_take(messages, key, path, now_ns, &judged);
}

void relay_messages_stats(const struct relay_messages *messages,
			  struct relay_messages_stats *out_stats)
{
	*out_stats = messages->stats;
	out_stats->peer_now = messages->peers.used_cnt;
}

void relay_messages_view(struct relay_messages *messages, uint64_t now_ns, struct fair_view *out)
{
	slots_expire(messages, now_ns);
	fair_read(&messages->fair, out);
}
