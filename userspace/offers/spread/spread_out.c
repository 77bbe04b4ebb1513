/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages on their way to neighbours. A message is copied once for all of them. A neighbour that is
 * slow has SPREAD_SENDS_PER_PEER of them; what is beyond is not sent to it, since another neighbour
 * has it, too.
 */
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "offers/message/endorsement_message.h"
#include "spread_state.h"
#include "weft/bytes.h"

#define SEND_TIMEOUT_NS (10 * NS_PER_S)

static void bytes_put(struct spread_bytes *message)
{
	if (--message->use_cnt == 0)
		free(message);
}

static struct spread_bytes *bytes_get(const struct spread_flood *flood)
{
	struct spread_bytes *message = malloc(sizeof(*message) + flood->len);

	if (!message)
		return NULL;
	message->use_cnt = 1;
	message->type = flood->type ? flood->type : MESH_SERVICE_MESSAGE;
	message->is_walking = flood->from != NULL;
	if (flood->from)
		memcpy(message->from, flood->from, MESH_KEY_LEN);
	message->len = flood->len;
	memcpy(message->bytes, flood->bytes, flood->len);
	message->bytes[flood->type ? ENDORSEMENT_HOP_AT : SERVICE_MESSAGE_HOP_AT] = flood->hop_cnt;
	return message;
}

static void peer_free(struct offer_spread *spread, struct spread_peer *peer)
{
	map_delete(&spread->by_peer, peer->key);
	pool_release(&spread->peers, peer);
}

static void send_free(struct spread_send *send)
{
	struct offer_spread *spread = send->spread;
	struct spread_peer *peer = send->peer;

	timer_cancel(spread->params.timers, &send->timer);
	list_unlink(&send->link);
	if (send->request)
		spread->params.mesh.ops->cancel(send->request);
	bytes_put(send->message);
	pool_release(&spread->sends, send);
	if (--peer->send_cnt == 0)
		peer_free(spread, peer);
}

/* A neighbour did not take it. What walks is kept, unless the provider itself refused it. */
static void send_fail(struct spread_send *send, int err, uint64_t now_ns)
{
	const struct spread_bytes *message = send->message;
	uint8_t address[SERVICE_MESSAGE_ADDRESS_LEN];

	send->spread->stats.unsent_cnt++;
	if (!message->is_walking)
		return;
	offers_address(send->peer->key, address);
	if (err == WEFT_EREFUSED &&
	    memcmp(address, message->bytes + SERVICE_MESSAGE_ADDRESS_AT, sizeof(address)) == 0) {
		offers_spread_wait_end(send->spread, message, true, now_ns);
		return;
	}
	offers_spread_wait_end(send->spread, message, false, now_ns);
	offers_spread_strand(send->spread, message->bytes, message->len, message->from, now_ns);
}

static void peer_send(struct offer_spread *spread, struct spread_peer *peer, uint64_t now_ns);

/* What waits for a neighbour that does not answer is not sent; what is on its way keeps peer. */
static void peer_give_up(struct spread_peer *peer, int err, uint64_t now_ns)
{
	struct spread_send *send;

	while (peer->asked_cnt && (send = list_first(&peer->waiting, struct spread_send, link))) {
		send_fail(send, err, now_ns);
		send_free(send);
	}
}

static void on_sent(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct spread_send *send = arg;
	struct offer_spread *spread = send->spread;
	struct spread_peer *peer = send->peer;
	bool is_last;

	if (reply->err < 0 && reply->err != WEFT_EREFUSED)
		peer_give_up(peer, reply->err, now_ns);
	is_last = peer->send_cnt == 1;
	send->request = NULL;
	peer->asked_cnt--;
	if (reply->err < 0) {
		send_fail(send, reply->err, now_ns);
	} else {
		spread->stats.sent_cnt++;
		spread->stats.sent_len += send->message->len;
		if (send->message->is_walking)
			offers_spread_wait_end(spread, send->message, true, now_ns);
	}
	send_free(send);
	if (!is_last)
		peer_send(spread, peer, now_ns);
}

/* Returns whether it is on its way. */
static bool send_ask(struct spread_send *send, uint64_t now_ns)
{
	struct offer_spread *spread = send->spread;
	struct mesh_ask ask = {
		.type = send->message->type,
		.payload = send->message->bytes,
		.payload_len = send->message->len,
		.reply_buf = send->reply,
		.reply_cap = sizeof(send->reply),
		.timeout_ns = SEND_TIMEOUT_NS,
		.reply = on_sent,
		.arg = send,
	};

	memcpy(ask.peer.key, send->peer->key, MESH_KEY_LEN);
	if (spread->params.mesh.ops->ask(spread->params.mesh.mesh, &ask, now_ns, &send->request) ==
	    0)
		return true;
	send->request = NULL;
	return false;
}

/* Those that wait go on their way, in order, as far as there is room. */
static void peer_send(struct offer_spread *spread, struct spread_peer *peer, uint64_t now_ns)
{
	struct spread_send *send;

	while (peer->asked_cnt < SPREAD_SENDS_AT_ONCE &&
	       (send = list_first(&peer->waiting, struct spread_send, link))) {
		bool is_last = peer->send_cnt == 1;

		list_unlink(&send->link);
		if (send_ask(send, now_ns)) {
			peer->asked_cnt++;
			continue;
		}
		spread->stats.full_cnt++;
		send_fail(send, WEFT_EUNREACHABLE, now_ns);
		send_free(send);
		if (is_last)
			return;
	}
}

static void on_time(struct timer *timer, uint64_t now_ns)
{
	struct spread_send *send = container_of(timer, struct spread_send, timer);

	list_push_back(&send->peer->waiting, &send->link);
	peer_send(send->spread, send->peer, now_ns);
}

/* A neighbour has no more than is free (a dynamic threshold): silent ones leave room for others. */
static struct spread_peer *peer_of(struct offer_spread *spread, const uint8_t *key)
{
	struct spread_peer *peer = map_lookup(&spread->by_peer, key);
	uint32_t free_cnt = spread->sends.cap_cnt - spread->sends.used_cnt;

	if (peer)
		return peer->send_cnt < SPREAD_SENDS_PER_PEER && peer->send_cnt <= free_cnt ? peer
											    : NULL;
	peer = pool_acquire(&spread->peers);
	if (!peer)
		return NULL;
	list_init(&peer->waiting);
	memcpy(peer->key, key, MESH_KEY_LEN);
	if (map_put(&spread->by_peer, peer->key, peer) == 0)
		return peer;
	pool_release(&spread->peers, peer);
	return NULL;
}

/* Takes one use of message when it is on its way. */
static bool send_begin(struct offer_spread *spread, const uint8_t *key,
		       struct spread_bytes *message, uint64_t at_ns)
{
	struct spread_send *send = NULL;
	struct spread_peer *peer = peer_of(spread, key);

	if (peer)
		send = pool_acquire(&spread->sends);
	if (!send) {
		spread->stats.full_cnt++;
		if (peer && peer->send_cnt == 0)
			peer_free(spread, peer);
		return false;
	}
	send->spread = spread;
	send->peer = peer;
	send->message = message;
	message->use_cnt++;
	peer->send_cnt++;
	list_init(&send->link);
	timer_init(&send->timer, on_time);
	timer_set(spread->params.timers, &send->timer, at_ns);
	return true;
}

static bool flood_send(struct offer_spread *spread, const struct spread_flood *flood,
		       const uint8_t *key, struct spread_bytes *message, uint64_t now_ns)
{
	if (flood->jitter_ns)
		now_ns += random_below(spread->params.random, flood->jitter_ns);
	return send_begin(spread, key, message, now_ns);
}

bool offers_spread_send_to(struct offer_spread *spread, const uint8_t *key,
			   const struct spread_flood *flood, uint64_t now_ns)
{
	struct spread_bytes *message = bytes_get(flood);
	bool is_sent;

	if (!message)
		return false;
	is_sent = flood_send(spread, flood, key, message, now_ns);
	bytes_put(message);
	return is_sent;
}

/* --- which neighbours --- */

/* Up to fan_out service relays of a rank, each as likely as another (reservoir sampling). */
struct choice {
	uint8_t keys[SPREAD_FAN_OUT_MAX][MESH_KEY_LEN];
	unsigned cnt, seen_cnt;
};

static void choice_note(struct offer_spread *spread, struct choice *choice, const uint8_t *key)
{
	unsigned at = choice->cnt;

	choice->seen_cnt++;
	if (choice->cnt < spread->params.config.fan_out)
		choice->cnt++;
	else
		at = (unsigned)random_below(spread->params.random, choice->seen_cnt);
	if (at < choice->cnt)
		memcpy(choice->keys[at], key, MESH_KEY_LEN);
}

enum spread_rank offers_spread_rank(const struct offer_spread *spread, uint32_t service,
				    const uint8_t *peer)
{
	const struct spread_handler *handler = &spread->params.handler;

	return handler->rank ? handler->rank(handler->ctx, service, peer) : SPREAD_RANK_USUAL;
}

/* Of several services the lowest: a neighbour that gets all of them is to be right for each. */
static enum spread_rank flood_rank(struct offer_spread *spread, const struct spread_flood *flood,
				   const uint8_t *key)
{
	enum spread_rank lowest = SPREAD_RANK_FIRST, rank;

	if (!flood->query)
		return offers_spread_rank(
			spread, flood->type ? flood->service : weft_load_le32(flood->bytes), key);
	for (unsigned i = 0; i < flood->query->part_cnt; i++) {
		rank = offers_spread_rank(spread, flood->query->parts[i].service, key);
		lowest = rank < lowest ? rank : lowest;
	}
	return lowest;
}

static void choose(struct offer_spread *spread, const struct spread_flood *flood,
		   struct choice ranks[static SPREAD_RANK_CNT])
{
	struct mesh_walk walk = {.session = NULL};
	struct mesh_neighbour neighbour;

	while (spread->params.neighbours->next(spread->params.mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected) {
		if (!(neighbour.caps & MESH_CAP_SERVICE_RELAY) ||
		    (flood->except && memcmp(flood->except, neighbour.key, MESH_KEY_LEN) == 0))
			continue;
		choice_note(spread, &ranks[flood_rank(spread, flood, neighbour.key)],
			    neighbour.key);
	}
}

unsigned offers_spread_forward(struct offer_spread *spread, const struct spread_flood *flood,
			       uint64_t now_ns)
{
	struct choice ranks[SPREAD_RANK_CNT];
	unsigned left = flood->fan_out ? flood->fan_out : spread->params.config.fan_out;
	unsigned sent_cnt = 0;
	struct spread_bytes *message;

	for (unsigned i = 0; i < SPREAD_RANK_CNT; i++)
		ranks[i].cnt = ranks[i].seen_cnt = 0;
	choose(spread, flood, ranks);
	message = bytes_get(flood);
	if (!message)
		return 0;
	for (unsigned rank = SPREAD_RANK_FIRST; rank > SPREAD_RANK_NEVER; rank--)
		for (unsigned i = 0; i < ranks[rank].cnt && left > 0; i++, left--)
			sent_cnt += flood_send(spread, flood, ranks[rank].keys[i], message, now_ns);
	bytes_put(message);
	return sent_cnt;
}

void offers_spread_out_stop(struct offer_spread *spread)
{
	struct spread_send *send;

	while ((send = pool_next(&spread->sends, NULL)))
		send_free(send);
}
