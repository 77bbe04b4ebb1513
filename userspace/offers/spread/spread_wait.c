/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reserves and Cancels that found no way here. Their handler keeps them for a provider that comes and
 * asks. But a provider that is some nodes away never asks this one. So they go on when a way appears:
 * an announce, a response, or a session with a neighbour that leads there.
 */
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "spread_state.h"

#define LOOK_NS	      (3600 * NS_PER_S) /* for those whose time is over */
#define AGAIN_NS      NS_PER_S
#define DOUBLINGS_MAX 9u /* of AGAIN_NS: eight minutes */

static const struct fair_config wait_pool = {
	.name = "Reserves that wait for a way",
	.kind = FAIR_LASTING,
	.cap_cnt = SPREAD_WAITS_MAX,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

static const uint8_t *address_of(const struct spread_wait *wait)
{
	return wait->bytes + SERVICE_MESSAGE_ADDRESS_AT;
}

static void wait_drop(struct spread_wait *wait, bool is_deleted, uint64_t now_ns)
{
	struct offer_spread *spread = wait->spread;

	if (is_deleted)
		offers_spread_keep_wait_delete(spread, wait, now_ns);
	timer_cancel(spread->params.timers, &wait->timer);
	map_delete(&spread->by_wait, wait->id);
	fair_release(&spread->wait_places.fair, &wait->share, now_ns);
	pool_release(&spread->waits, wait);
}

/* On its way to a neighbour, if one leads on. */
static void wait_try(struct spread_wait *wait, uint64_t now_ns)
{
	struct offer_spread *spread = wait->spread;
	const uint8_t *next = offers_spread_next(spread, address_of(wait), wait->from);
	struct spread_flood flood = {.bytes = wait->bytes, .len = wait->len, .from = wait->from};
	struct service_message message;

	if (!next || offers_message_parse(wait->bytes, wait->len, &message) < 0 ||
	    offers_message_hop(&message, SPREAD_WALK_HOPS_MAX) != SERVICE_MESSAGE_FORWARD)
		return;
	flood.hop_cnt = (uint8_t)(message.hop_cnt + 1);
	wait->is_going = offers_spread_send_to(spread, next, &flood, now_ns);
	if (!wait->is_going)
		timer_set(spread->params.timers, &wait->timer, now_ns + AGAIN_NS);
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct spread_wait *wait = container_of(timer, struct spread_wait, timer);
	struct offer_spread *spread = wait->spread;

	if (wait->expires_s <= spread->params.wall_s(spread->params.ctx)) {
		wait_drop(wait, true, now_ns);
		return;
	}
	timer_set(spread->params.timers, timer, now_ns + LOOK_NS);
	if (!wait->is_going)
		wait_try(wait, now_ns);
}

/* A place in the share of the session that brought it; NULL: there is none. */
static struct spread_wait *wait_make(struct offer_spread *spread, const struct spread_wait *like,
				     uint64_t now_ns)
{
	struct spread_wait *wait = pool_acquire(&spread->waits);
	struct fair_item *victim;
	struct fair_path path;

	if (!wait)
		return NULL;
	*wait = *like;
	wait->spread = spread;
	timer_init(&wait->timer, on_due);
	spread->params.neighbours->account(spread->params.mesh.mesh, wait->from, &wait->source,
					   &path);
	switch (fair_take(&spread->wait_places.fair, &path, &wait->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		wait_drop((struct spread_wait *)victim, true, now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&spread->waits, wait);
		return NULL;
	}
	if (map_put(&spread->by_wait, wait->id, wait) < 0) {
		fair_release(&spread->wait_places.fair, &wait->share, now_ns);
		pool_release(&spread->waits, wait);
		return NULL;
	}
	timer_set(spread->params.timers, &wait->timer, now_ns + LOOK_NS);
	return wait;
}

void offers_spread_wait_add(struct offer_spread *spread, const struct spread_message *message)
{
	uint64_t wall_s = spread->params.wall_s(spread->params.ctx);
	struct mesh_path path = {.remote.family = ADDR_NONE};
	struct spread_wait like = {.len = message->len}, *wait;

	offers_message_id(message->parsed, like.id);
	if (message->len > sizeof(like.bytes) || map_lookup(&spread->by_wait, like.id))
		return;
	memcpy(like.bytes, message->bytes, message->len);
	memcpy(like.from, message->peer, sizeof(like.from));
	(void)spread->params.neighbours->path(spread->params.mesh.mesh, like.from, &path);
	like.source.family = path.remote.family;
	memcpy(like.source.ip, path.remote.ip, sizeof(like.source.ip));
	like.expires_s = offers_message_expires_s(message->parsed);
	if (like.expires_s > wall_s + SPREAD_WAIT_LIFE_S)
		like.expires_s = wall_s + SPREAD_WAIT_LIFE_S;
	wait = wait_make(spread, &like, message->now_ns);
	if (wait)
		offers_spread_keep_wait(spread, wait, message->now_ns);
}

bool offers_spread_wait_restore(struct offer_spread *spread, const struct spread_wait *saved,
				uint64_t now_ns)
{
	return saved->expires_s > spread->params.wall_s(spread->params.ctx) &&
	       !map_lookup(&spread->by_wait, saved->id) && wait_make(spread, saved, now_ns);
}

void offers_spread_wait_end(struct offer_spread *spread, const struct spread_bytes *bytes,
			    bool is_gone, uint64_t now_ns)
{
	struct service_message message;
	uint8_t id[SERVICE_MESSAGE_ID_LEN];
	struct spread_wait *wait;
	unsigned doublings;

	if (spread->waits.used_cnt == 0 ||
	    offers_message_parse(bytes->bytes, bytes->len, &message) < 0)
		return;
	offers_message_id(&message, id);
	wait = map_lookup(&spread->by_wait, id);
	if (!wait || !wait->is_going)
		return;
	wait->is_going = false;
	if (is_gone) {
		spread->stats.resumed_cnt++;
		wait_drop(wait, true, now_ns);
		return;
	}
	doublings = wait->try_cnt < DOUBLINGS_MAX ? wait->try_cnt : DOUBLINGS_MAX;
	wait->try_cnt++;
	timer_set(spread->params.timers, &wait->timer, now_ns + (AGAIN_NS << doublings));
}

void offers_spread_waits_look(struct offer_spread *spread, const uint8_t *address, uint64_t now_ns)
{
	struct spread_wait *wait = NULL;

	while ((wait = pool_next(&spread->waits, wait)))
		if (!wait->is_going &&
		    (!address ||
		     memcmp(address, address_of(wait), SERVICE_MESSAGE_ADDRESS_LEN) == 0) &&
		    offers_spread_next(spread, address_of(wait), wait->from))
			timer_set(spread->params.timers, &wait->timer, now_ns);
}

int offers_spread_waits_init(struct offer_spread *spread, const uint64_t secret[2])
{
	struct arena *arena = &spread->arena;
	int err = fair_places_init(&spread->wait_places, arena, &wait_pool);

	/* One more than shares: one is made before the one that it evicts has gone. */
	if (err == 0)
		err = pool_init(&spread->waits, arena, sizeof(struct spread_wait),
				SPREAD_WAITS_MAX + 1);
	return err < 0 ? err
		       : map_init(&spread->by_wait, arena, SERVICE_MESSAGE_ID_LEN,
				  SPREAD_WAITS_MAX + 1, secret);
}

void offers_spread_waits_stop(struct offer_spread *spread)
{
	struct spread_wait *wait = NULL;

	while ((wait = pool_next(&spread->waits, wait)))
		timer_cancel(spread->params.timers, &wait->timer);
}
