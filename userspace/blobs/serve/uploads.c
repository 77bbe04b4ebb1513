/* SPDX-License-Identifier: Apache-2.0 */
#include "uploads.h"

#include <string.h>

#include "base/assert.h"
#include "base/monotonic.h"
#include "blobs/blobs_state.h"
#include "blobs/months.h"

/* The wait of a peer that finds no slot: about the time a getter takes to end a file. */
#define SLOT_WAIT_NS (1 * NS_PER_S)
#define WAIT_MIN_NS  (50 * NS_PER_MS)
/* The bytes of an answer beside those asked for: hashes of a proof. */
#define PROOF_LEN 16384u

struct upload_peer {
	uint8_t key[UPLOAD_KEY_LEN];
	unsigned price;
	struct list_node node;	  /* in idle or in waiting; alone while all of it goes */
	struct list_node uploads; /* that wait */
	uint32_t waiting_cnt, going_cnt;
	size_t waiting_len;
	uint64_t since_ns, used_ns;
	struct byte_bucket rate;
	struct byte_meter meter;
	uint64_t sent_len;
};

int blobs_uploads_init(struct uploads *uploads, struct arena *arena, const uint64_t secret[2])
{
	int err = pool_init(&uploads->peers, arena, sizeof(struct upload_peer), UPLOAD_PEERS_MAX);

	list_init(&uploads->idle);
	list_init(&uploads->waiting);
	uploads->slot_cnt = UPLOAD_PEERS_MAX;
	return err ? err
		   : map_init(&uploads->by_key, arena, UPLOAD_KEY_LEN, UPLOAD_PEERS_MAX, secret);
}

void blobs_uploads_configure(struct uploads *uploads, const struct upload_limits *limits,
			     uint64_t now_ns)
{
	uint32_t slot_cnt = limits->slot_cnt;
	struct upload_peer *peer = NULL;

	blobs_byte_bucket_set(&uploads->rate, limits->per_s, now_ns);
	uploads->whole_per_s = limits->whole_per_s;
	uploads->peer_per_s = limits->peer_per_s;
	uploads->slot_cnt = slot_cnt && slot_cnt < UPLOAD_PEERS_MAX ? slot_cnt : UPLOAD_PEERS_MAX;
	while ((peer = pool_next(&uploads->peers, peer)))
		blobs_byte_bucket_set(&peer->rate, limits->peer_per_s, now_ns);
}

/* --- slots --- */

static bool peer_is_idle(const struct upload_peer *peer)
{
	return peer->waiting_cnt + peer->going_cnt == 0;
}

static void peer_release(struct uploads *uploads, struct upload_peer *peer)
{
	weft_assert(peer_is_idle(peer));
	list_unlink(&peer->node);
	(void)map_delete(&uploads->by_key, peer->key);
	pool_release(&uploads->peers, peer);
}

/* One at rest whose slot a peer of that price may have; NULL: none. */
static struct upload_peer *peer_leaving(const struct uploads *uploads, unsigned price,
					uint64_t now_ns)
{
	for (struct list_node *node = uploads->idle.next; node != &uploads->idle;
	     node = node->next) {
		struct upload_peer *peer = container_of(node, struct upload_peer, node);

		if (now_ns >= peer->used_ns + UPLOAD_IDLE_NS || peer->price > price ||
		    now_ns >= peer->since_ns + UPLOAD_TURN_NS)
			return peer;
	}
	return NULL;
}

static struct upload_peer *peer_acquire(struct uploads *uploads, const uint8_t *key, unsigned price,
					uint64_t now_ns)
{
	struct upload_peer *peer;

	while (uploads->peers.used_cnt >= uploads->slot_cnt) {
		peer = peer_leaving(uploads, price, now_ns);
		if (!peer)
			return NULL;
		peer_release(uploads, peer);
	}
	peer = pool_acquire(&uploads->peers);
	if (!peer || map_put(&uploads->by_key, key, peer) < 0)
		return NULL;
	memcpy(peer->key, key, sizeof(peer->key));
	peer->price = price;
	peer->since_ns = peer->used_ns = now_ns;
	list_init(&peer->uploads);
	list_init(&peer->node);
	list_push_back(&uploads->idle, &peer->node);
	blobs_byte_bucket_set(&peer->rate, uploads->peer_per_s, now_ns);
	return peer;
}

/* --- what goes and what waits --- */

static bool credit_lets(const struct uploads *uploads, const struct upload *upload)
{
	return !uploads->credits ||
	       blobs_credit_has(&uploads->credits[upload->zone], upload->len + PROOF_LEN);
}

/* len of the bytes taken for it went. */
static void credit_settle(struct uploads *uploads, struct upload *upload, size_t len)
{
	struct blobs_credit *credit = &uploads->credits[upload->zone];

	if (!uploads->credits)
		return;
	if (len > upload->credit_len)
		blobs_credit_take(credit, len - upload->credit_len);
	else
		blobs_credit_give_back(credit, upload->credit_len - len);
	upload->credit_len = 0;
}

static void upload_go(struct uploads *uploads, struct upload *upload, uint64_t now_ns)
{
	struct upload_peer *peer = upload->peer;

	if (uploads->credits) {
		upload->credit_len = upload->len + PROOF_LEN;
		blobs_credit_take(&uploads->credits[upload->zone], upload->credit_len);
	}

	if (peer->price)
		blobs_byte_bucket_take(&uploads->rate, upload->len, now_ns);
	blobs_byte_bucket_take(&peer->rate, upload->len, now_ns);
	if (peer_is_idle(peer))
		list_unlink(&peer->node);
	peer->going_cnt++;
	peer->used_ns = now_ns;
}

static void upload_queue(struct uploads *uploads, struct upload *upload)
{
	struct upload_peer *peer = upload->peer;

	upload->is_waiting = true;
	list_push_back(&peer->uploads, &upload->node);
	peer->waiting_len += upload->len;
	uploads->waiting_cnt++;
	if (peer->waiting_cnt++ > 0)
		return;
	uploads->waiting_peer_cnt++;
	list_unlink(&peer->node);
	list_push_back(&uploads->waiting, &peer->node);
}

static void upload_unqueue(struct uploads *uploads, struct upload *upload)
{
	struct upload_peer *peer = upload->peer;

	upload->is_waiting = false;
	list_unlink(&upload->node);
	peer->waiting_len -= upload->len;
	uploads->waiting_cnt--;
	if (--peer->waiting_cnt > 0)
		return;
	uploads->waiting_peer_cnt--;
	list_unlink(&peer->node);
}

static bool peer_may_go(const struct uploads *uploads, const struct upload_peer *peer,
			uint64_t now_ns)
{
	return blobs_byte_bucket_is_free(&peer->rate, now_ns) &&
	       (!peer->price || blobs_byte_bucket_is_free(&uploads->rate, now_ns));
}

static uint64_t owed_ns(const struct byte_bucket *rate, uint64_t now_ns)
{
	return rate->per_s && rate->free_ns > now_ns ? rate->free_ns - now_ns : 0;
}

/* The first upload of a peer that waits; there is one. */
static struct upload *peer_first(const struct upload_peer *peer)
{
	return container_of(peer->uploads.next, struct upload, node);
}

/* How long one more of a peer would wait: peers that wait take turns. */
static uint64_t peer_wait_ns(const struct uploads *uploads, const struct upload_peer *peer,
			     size_t len, uint64_t now_ns)
{
	uint64_t peer_cnt = uploads->waiting_peer_cnt + (peer->waiting_cnt == 0);
	uint64_t own_ns = owed_ns(&peer->rate, now_ns) +
			  blobs_byte_bucket_cost_ns(&peer->rate, peer->waiting_len);
	const struct byte_bucket whole = {.per_s = uploads->whole_per_s};
	uint64_t all_ns =
		blobs_byte_bucket_cost_ns(&whole, blobs_byte_bucket_owed(&uploads->rate, now_ns)) +
		blobs_byte_bucket_cost_ns(&whole, peer->waiting_len) * peer_cnt +
		blobs_byte_bucket_cost_ns(&whole, len) * (peer_cnt - 1);

	return peer->price && all_ns > own_ns ? all_ns : own_ns;
}

static uint64_t wait_longest(const struct uploads *uploads, const struct upload *upload,
			     uint64_t now_ns)
{
	const struct upload_peer *peer = upload->peer;
	uint64_t rate_ns = peer_wait_ns(uploads, peer, upload->len, now_ns), credit_ns = 0;

	if (uploads->credits)
		credit_ns = blobs_credit_wait_ns(&uploads->credits[upload->zone],
						 peer->waiting_len + upload->len + PROOF_LEN);
	return rate_ns > credit_ns ? rate_ns : credit_ns;
}

enum upload_verdict blobs_uploads_admit(struct uploads *uploads, struct upload *upload,
					const uint8_t key[static UPLOAD_KEY_LEN], uint64_t now_ns,
					uint64_t *out_wait_ns)
{
	struct upload_peer *peer = map_lookup(&uploads->by_key, key);
	uint64_t wait_ns;

	if (!peer)
		peer = peer_acquire(uploads, key, uploads->price_of(upload), now_ns);
	if (!peer) {
		uploads->refused_cnt++;
		*out_wait_ns = SLOT_WAIT_NS;
		return UPLOAD_BUSY;
	}
	upload->peer = peer;
	upload->is_waiting = false;
	upload->credit_len = 0;
	upload->zone = uploads->credits ? uploads->zone_of(upload) : 0;
	list_init(&upload->node);
	if (peer->waiting_cnt == 0 && peer_may_go(uploads, peer, now_ns) &&
	    credit_lets(uploads, upload)) {
		upload_go(uploads, upload, now_ns);
		return UPLOAD_GO;
	}
	wait_ns = wait_longest(uploads, upload, now_ns);
	if (wait_ns <= (peer_is_idle(peer) ? UPLOAD_FIRST_WAIT_NS : UPLOAD_WAIT_NS)) {
		upload_queue(uploads, upload);
		return UPLOAD_WAIT;
	}
	upload->peer = NULL;
	uploads->refused_cnt++;
	*out_wait_ns = wait_ns > WAIT_MIN_NS ? wait_ns : WAIT_MIN_NS;
	return UPLOAD_BUSY;
}

struct upload *blobs_uploads_next(struct uploads *uploads, uint64_t now_ns)
{
	struct upload_peer *best = NULL;
	struct upload *upload;

	for (struct list_node *node = uploads->waiting.next; node != &uploads->waiting;
	     node = node->next) {
		struct upload_peer *peer = container_of(node, struct upload_peer, node);

		if ((!best || peer->price < best->price) && peer_may_go(uploads, peer, now_ns) &&
		    credit_lets(uploads, peer_first(peer)))
			best = peer;
	}
	if (!best)
		return NULL;
	upload = peer_first(best);
	upload_unqueue(uploads, upload);
	if (best->waiting_cnt) {
		/* The others' turn. */
		list_unlink(&best->node);
		list_push_back(&uploads->waiting, &best->node);
	}
	upload_go(uploads, upload, now_ns);
	return upload;
}

uint64_t blobs_uploads_due_ns(const struct uploads *uploads)
{
	uint64_t due_ns = UPLOAD_NEVER;

	for (struct list_node *node = uploads->waiting.next; node != &uploads->waiting;
	     node = node->next) {
		const struct upload_peer *peer = container_of(node, struct upload_peer, node);
		uint64_t at_ns = peer->rate.per_s ? peer->rate.free_ns : 0;

		/* The next grant of credits asks again. */
		if (!credit_lets(uploads, peer_first(peer)))
			continue;

		if (peer->price && uploads->rate.per_s && uploads->rate.free_ns > at_ns)
			at_ns = uploads->rate.free_ns;
		due_ns = at_ns < due_ns ? at_ns : due_ns;
	}
	return due_ns;
}

static void len_correct(struct byte_bucket *rate, size_t taken, size_t len, uint64_t now_ns)
{
	if (len < taken)
		blobs_byte_bucket_give_back(rate, taken - len);
	else
		blobs_byte_bucket_take(rate, len - taken, now_ns);
}

void blobs_uploads_sent(struct uploads *uploads, struct upload *upload, size_t len, uint64_t now_ns)
{
	struct upload_peer *peer = upload->peer;

	credit_settle(uploads, upload, len);
	uploads->charged_len += peer->price ? len : 0;
	if (peer->price)
		len_correct(&uploads->rate, upload->len, len, now_ns);
	len_correct(&peer->rate, upload->len, len, now_ns);
	upload->len = 0; /* of which nothing is to be given back */
	peer->sent_len += len;
	blobs_byte_meter_note(&peer->meter, len, now_ns);
	blobs_byte_meter_note(&uploads->meter, len, now_ns);
}

void blobs_uploads_end(struct uploads *uploads, struct upload *upload, uint64_t now_ns)
{
	struct upload_peer *peer = upload->peer;

	if (!peer)
		return;
	if (upload->is_waiting) {
		upload_unqueue(uploads, upload);
	} else {
		peer->going_cnt--;
		if (upload->credit_len)
			credit_settle(uploads, upload, 0);
		if (peer->price)
			blobs_byte_bucket_give_back(&uploads->rate, upload->len);
		blobs_byte_bucket_give_back(&peer->rate, upload->len);
	}
	upload->peer = NULL;
	peer->used_ns = now_ns;
	if (peer_is_idle(peer))
		list_push_back(&uploads->idle, &peer->node);
}

bool blobs_uploads_view_next(struct upload_view_iter *iter, struct upload_view *out_view)
{
	const struct upload_peer *peer = pool_next(&iter->uploads->peers, iter->peer);

	iter->peer = peer;
	if (!peer)
		return false;
	*out_view = (struct upload_view){
		.per_s = blobs_byte_meter_per_s(&peer->meter, iter->now_ns),
		.waiting_cnt = peer->waiting_cnt,
		.going_cnt = peer->going_cnt,
	};
	return true;
}
