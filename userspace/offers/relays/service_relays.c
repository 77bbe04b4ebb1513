/* SPDX-License-Identifier: Apache-2.0 */
#include "service_relays.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/fair/fair_path.h"
#include "base/fair/request_quota.h"
#include "base/map.h"
#include "base/memory/arena.h"
#include "base/memory/pool.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "base/timer.h"

#define EXCHANGE_TIMEOUT_NS (10 * NS_PER_S)

/* A neighbour: what it said, and what it has heard. */
struct relays_peer {
	struct fair_item share;	  /* first: a victim's leads to the rest */
	struct service_caps caps; /* made_s is 0 before its first word */
	uint64_t has_s;		  /* it has this node's of that time */
	uint64_t retry_ns;	  /* not asked before */
};

/* Capabilities on their way to a neighbour, whose answer has its own. */
struct relays_exchange {
	struct fair_item share; /* first: a victim's leads to the rest */
	struct service_relays *relays;
	struct mesh_request *request;
	uint8_t key[MESH_KEY_LEN];
	uint64_t said_s;
	uint8_t reply[SERVICE_CAPS_LEN_MAX + MESH_FRAME_OVERHEAD];
};

struct service_relays {
	struct service_relays_params params;
	struct arena arena;
	struct fair_places places, exchange_places;
	struct pool peers, exchanges;
	struct map by_key, by_exchange;
	struct request_quota quota;
	struct timer timer;
	struct service_caps own;
	uint8_t bytes[SERVICE_CAPS_LEN_MAX]; /* of own, signed */
	size_t len;
	bool is_stale;
	struct service_relays_stats stats;
};

/* --- own --- */

static bool rows_are_same(const struct service_caps *a, const struct service_caps *b)
{
	for (unsigned i = 0; i < a->row_cnt && i < b->row_cnt; i++)
		if (a->rows[i].service != b->rows[i].service ||
		    a->rows[i].roles != b->rows[i].roles ||
		    a->rows[i].version != b->rows[i].version)
			return false;
	return a->row_cnt == b->row_cnt;
}

/* The time rises with each change, though several come in a second. */
static void own_make(struct service_relays *relays)
{
	const struct service_relays_params *params = &relays->params;
	struct service_caps own = {.made_s = params->wall_s(params->ctx)};
	struct writer w = writer_of(relays->bytes, sizeof(relays->bytes));

	relays->is_stale = false;
	own.row_cnt = params->rows(params->ctx, own.rows);
	if (relays->own.made_s && rows_are_same(&own, &relays->own))
		return;
	if (own.made_s <= relays->own.made_s)
		own.made_s = relays->own.made_s + 1;
	memcpy(own.node, node_key_public(params->key), sizeof(own.node));
	offers_caps_write(&w, &own, params->key);
	weft_assert(!w.bad);
	relays->own = own;
	relays->len = writer_len(&w);
}

/* --- neighbours --- */

static struct relays_peer *peer_find(const struct service_relays *relays, const uint8_t *key)
{
	return map_lookup(&relays->by_key, key);
}

static void peer_free(struct service_relays *relays, struct relays_peer *peer, uint64_t now_ns)
{
	map_delete(&relays->by_key, peer->caps.node);
	fair_release(&relays->places.fair, &peer->share, now_ns);
	pool_release(&relays->peers, peer);
}

/* The account that pays for a place in the table, or for an exchange under way. */
static struct fair_path account_of(const struct service_relays *relays, const uint8_t *key)
{
	const struct service_relays_params *params = &relays->params;
	struct mesh_path path = {.remote.family = ADDR_NONE};
	struct fair_path account;

	(void)params->neighbours->path(params->mesh.mesh, key, &path);
	params->neighbours->account(params->mesh.mesh, key, &path.remote, &account);
	return account;
}

static struct relays_peer *peer_make(struct service_relays *relays, const uint8_t *key,
				     uint64_t now_ns)
{
	struct relays_peer *peer = peer_find(relays, key);
	struct fair_item *victim;
	struct fair_path account;
	int err;

	if (peer)
		return peer;
	peer = pool_acquire(&relays->peers);
	weft_assert(peer != NULL);
	account = account_of(relays, key);
	switch (fair_take(&relays->places.fair, &account, &peer->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		relays->stats.evicted_cnt++;
		peer_free(relays, (struct relays_peer *)victim, now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&relays->peers, peer);
		return NULL;
	}
	memcpy(peer->caps.node, key, sizeof(peer->caps.node));
	err = map_put(&relays->by_key, peer->caps.node, peer);
	weft_assert(err == 0);
	return peer;
}

/* What came from the neighbour of key; false: it is not its own, or of another time. */
static bool caps_take(struct service_relays *relays, const uint8_t *key, const uint8_t *bytes,
		      size_t len, uint64_t now_ns)
{
	uint64_t now_s = relays->params.wall_s(relays->params.ctx);
	struct relays_peer *peer;
	struct service_caps caps;

	if (offers_caps_parse(bytes, len, &caps) < 0 ||
	    memcmp(caps.node, key, sizeof(caps.node)) != 0 ||
	    (caps.made_s > now_s && caps.made_s - now_s > SERVICE_MESSAGE_SKEW_S)) {
		relays->stats.forged_cnt++;
		return false;
	}
	peer = peer_make(relays, key, now_ns);
	if (!peer || caps.made_s <= peer->caps.made_s)
		return true;
	fair_progress(&relays->places.fair, &peer->share, FAIR_WHOLE, now_ns);
	peer->caps = caps;
	relays->stats.heard_cnt++;
	return true;
}

/* --- exchanges --- */

static void exchange_free(struct service_relays *relays, struct relays_exchange *exchange)
{
	map_delete(&relays->by_exchange, exchange->key);
	fair_release(&relays->exchange_places.fair, &exchange->share,
		     relays->exchange_places.fair.now_ns);
	if (exchange->request)
		relays->params.mesh.ops->cancel(exchange->request);
	pool_release(&relays->exchanges, exchange);
}

/* The neighbour did not answer, or made room for another: it hears later. */
static void exchange_fail(struct service_relays *relays, struct relays_exchange *exchange,
			  uint64_t now_ns)
{
	struct relays_peer *peer = peer_find(relays, exchange->key);

	relays->stats.unsaid_cnt++;
	if (peer)
		peer->retry_ns = now_ns + RELAYS_RETRY_NS;
	exchange_free(relays, exchange);
}

static void on_answer(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct relays_exchange *exchange = arg;
	struct service_relays *relays = exchange->relays;
	struct relays_peer *peer;
	bool is_said = reply->err == 0 &&
		       caps_take(relays, exchange->key, reply->payload, reply->payload_len, now_ns);

	exchange->request = NULL;
	if (is_said) {
		peer = peer_find(relays, exchange->key);
		relays->stats.said_cnt++;
		if (peer)
			peer->has_s = exchange->said_s;
		exchange_free(relays, exchange);
	} else {
		exchange_fail(relays, exchange, now_ns);
	}
	/* Others wait for its place. */
	if (!timer_is_set(&relays->timer))
		timer_set(relays->params.timers, &relays->timer, now_ns + RELAYS_CHANGE_NS);
}

/* The place of an exchange with the neighbour of key; NULL: its account has its share of them. */
static struct relays_exchange *exchange_make(struct service_relays *relays, const uint8_t *key,
					     uint64_t now_ns)
{
	struct relays_exchange *exchange = pool_acquire(&relays->exchanges);
	struct fair_path account = account_of(relays, key);
	struct fair_item *victim;
	int err;

	weft_assert(exchange != NULL);
	switch (fair_take(&relays->exchange_places.fair, &account, &exchange->share, now_ns,
			  &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		relays->stats.put_off_cnt++;
		exchange_fail(relays, (struct relays_exchange *)victim, now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&relays->exchanges, exchange);
		return NULL;
	}
	exchange->relays = relays;
	exchange->said_s = relays->own.made_s;
	memcpy(exchange->key, key, sizeof(exchange->key));
	err = map_put(&relays->by_exchange, exchange->key, exchange);
	weft_assert(err == 0);
	return exchange;
}

/* false: its account has as many on their way as it may now. One that cannot be asked is asked later. */
static bool exchange_begin(struct service_relays *relays, const uint8_t *key, uint64_t now_ns)
{
	struct mesh_ask ask = {
		.type = MESH_SERVICE_CAPS,
		.payload = relays->bytes,
		.payload_len = relays->len,
		.timeout_ns = EXCHANGE_TIMEOUT_NS,
		.reply = on_answer,
	};
	struct relays_exchange *exchange;

	if (map_lookup(&relays->by_exchange, key))
		return true;
	exchange = exchange_make(relays, key, now_ns);
	if (!exchange)
		return false;
	memcpy(ask.peer.key, key, sizeof(ask.peer.key));
	ask.reply_buf = exchange->reply;
	ask.reply_cap = sizeof(exchange->reply);
	ask.arg = exchange;
	if (relays->params.mesh.ops->ask(relays->params.mesh.mesh, &ask, now_ns,
					 &exchange->request) == 0)
		return true;
	exchange->request = NULL;
	exchange_fail(relays, exchange, now_ns);
	return true;
}

/*
 * Each neighbour that relays services and has older capabilities. One that cannot hear them now holds up
 * no other. Returns when to go on.
 */
static uint64_t tell_all(struct service_relays *relays, uint64_t now_ns)
{
	const struct service_relays_params *params = &relays->params;
	struct mesh_walk walk = {.session = NULL};
	struct mesh_neighbour neighbour;
	uint64_t next_ns = UINT64_MAX;

	while (params->neighbours->next(params->mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected) {
		const struct relays_peer *peer;
		uint64_t again_ns = now_ns + RELAYS_CHANGE_NS;

		if (!(neighbour.caps & MESH_CAP_SERVICE_RELAY))
			continue;
		peer = peer_make(relays, neighbour.key, now_ns);
		if (!peer || peer->has_s == relays->own.made_s)
			continue;
		if (peer->retry_ns <= now_ns && exchange_begin(relays, neighbour.key, now_ns) &&
		    peer->retry_ns <= now_ns)
			continue;
		if (peer->retry_ns > now_ns)
			again_ns = peer->retry_ns;
		next_ns = again_ns < next_ns ? again_ns : next_ns;
	}
	return next_ns;
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct service_relays *relays = container_of(timer, struct service_relays, timer);
	uint64_t next_ns;

	if (relays->is_stale)
		own_make(relays);
	next_ns = tell_all(relays, now_ns);
	if (next_ns != UINT64_MAX)
		timer_set(relays->params.timers, timer, next_ns);
}

void offers_relays_session_up(struct service_relays *relays, const uint8_t *key, uint64_t now_ns)
{
	struct mesh_neighbour neighbour;

	/* The side that was dialled hears, and answers. */
	if (relays->params.neighbours->find(relays->params.mesh.mesh, key, &neighbour) &&
	    neighbour.is_dialled)
		(void)exchange_begin(relays, key, now_ns);
}

void offers_relays_found(struct service_relays *relays, const uint8_t *key, uint64_t now_ns)
{
	const struct relays_peer *peer = peer_find(relays, key);

	if (!peer || (!peer->caps.made_s && now_ns >= peer->retry_ns))
		(void)exchange_begin(relays, key, now_ns);
}

void offers_relays_changed(struct service_relays *relays, uint64_t now_ns)
{
	/* The first of several changes sets the time. */
	if (!relays->is_stale)
		timer_set(relays->params.timers, &relays->timer, now_ns + RELAYS_CHANGE_NS);
	relays->is_stale = true;
}

/* --- message 311 --- */

static void refuse(struct service_relays *relays, const struct mesh_call *call, const char *why)
{
	relays->params.mesh.ops->answer_error(call->incoming, MESH_CODE_REFUSED, why, 0);
}

/* A copy is lent, as the next change may come before the asker has it. false: it was not sent. */
static bool own_answer(struct service_relays *relays, const struct mesh_call *call)
{
	uint8_t *copy = malloc(relays->len);
	const struct transport_span span = {copy, relays->len, free, copy};

	if (!copy) {
		refuse(relays, call, "no memory");
		return false;
	}
	memcpy(copy, relays->bytes, relays->len);
	if (relays->params.mesh.ops->answer(call->incoming, MESH_SERVICE_CAPS, NULL, 0, &span) == 0)
		return true;
	free(copy);
	return false;
}

/* An empty one asks alone. */
static void on_caps(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct service_relays *relays = ctx;
	struct relays_peer *peer;

	if (request_quota_take(&relays->quota, call->peer_key, now_ns)) {
		relays->stats.rate_cnt++;
		refuse(relays, call, "too many capabilities in this minute");
		return;
	}
	if (call->payload_len > 0 &&
	    !caps_take(relays, call->peer_key, call->payload, call->payload_len, now_ns)) {
		refuse(relays, call, "these capabilities are not the sender's");
		return;
	}
	if (relays->is_stale)
		own_make(relays);
	peer = peer_find(relays, call->peer_key);
	if (own_answer(relays, call) && peer)
		peer->has_s = relays->own.made_s;
}

/* --- life --- */

static int relays_lay_out(struct service_relays *relays)
{
	static const struct fair_config pool = {.name = "service capabilities",
						.cap_cnt = RELAYS_PEER_CAP,
						.kind = FAIR_WORK,
						.level_cnt = FAIR_PEER_LEVELS,
						.parts = FAIR_PEER_PARTS};
	static const struct fair_config exchanges = {.name = "service capabilities on their way",
						     .cap_cnt = RELAYS_EXCHANGE_CAP,
						     .kind = FAIR_WORK,
						     .level_cnt = FAIR_PEER_LEVELS,
						     .parts = FAIR_PEER_PARTS};
	struct arena *arena = &relays->arena;
	uint64_t secret[2];
	int err;

	random_fill(relays->params.random, secret, sizeof(secret));
	/* One more than places: a row is made before the one that it evicts has gone. */
	if ((err = fair_places_init(&relays->places, arena, &pool)) < 0 ||
	    (err = fair_places_init(&relays->exchange_places, arena, &exchanges)) < 0 ||
	    (err = pool_init(&relays->peers, arena, sizeof(struct relays_peer),
			     RELAYS_PEER_CAP + 1)) < 0 ||
	    (err = pool_init(&relays->exchanges, arena, sizeof(struct relays_exchange),
			     RELAYS_EXCHANGE_CAP + 1)) < 0 ||
	    (err = map_init(&relays->by_key, arena, MESH_KEY_LEN, RELAYS_PEER_CAP + 1, secret)) <
		    0 ||
	    (err = map_init(&relays->by_exchange, arena, MESH_KEY_LEN, RELAYS_EXCHANGE_CAP + 1,
			    secret)) < 0 ||
	    (err = request_quota_init(&relays->quota, arena, RELAYS_PEER_CAP, RELAYS_SAID_PER_MIN,
				      secret)) < 0)
		return err;
	arena_fit(arena);
	return 0;
}

size_t offers_relays_footprint(void)
{
	struct random random;
	struct service_relays *relays = calloc(1, sizeof(*relays));
	size_t len = 0;

	if (!relays)
		return 0;
	random_init_seeded(&random, 1);
	relays->params.random = &random;
	if (arena_open(&relays->arena, ARENA_GROWS) == 0 && relays_lay_out(relays) == 0)
		len = sizeof(*relays) + relays->arena.used_len;
	arena_close(&relays->arena);
	free(relays);
	return len;
}

int offers_relays_new(const struct service_relays_params *params,
		      struct service_relays **out_relays)
{
	struct service_relays *relays = calloc(1, sizeof(*relays));
	int err;

	if (!relays)
		return -ENOMEM;
	relays->params = *params;
	timer_init(&relays->timer, on_due);
	err = arena_open(&relays->arena, ARENA_GROWS);
	if (err == 0)
		err = relays_lay_out(relays);
	if (err == 0)
		err = params->mesh.ops->handle(params->mesh.mesh, MESH_SERVICE_CAPS, on_caps,
					       relays);
	if (err < 0) {
		arena_close(&relays->arena);
		free(relays);
		return err;
	}
	own_make(relays);
	*out_relays = relays;
	return 0;
}

void offers_relays_free(struct service_relays *relays)
{
	struct relays_exchange *exchange;

	if (!relays)
		return;
	timer_cancel(relays->params.timers, &relays->timer);
	while ((exchange = pool_next(&relays->exchanges, NULL)))
		exchange_free(relays, exchange);
	arena_close(&relays->arena);
	free(relays);
}

/* --- what is known --- */

const struct service_caps *offers_relays_caps(const struct service_relays *relays,
					      const uint8_t *key)
{
	const struct relays_peer *peer = peer_find(relays, key);

	return peer && peer->caps.made_s ? &peer->caps : NULL;
}

enum relays_word offers_relays_of(const struct service_relays *relays, const uint8_t *key,
				  uint32_t service)
{
	const struct service_caps *caps = offers_relays_caps(relays, key);
	const struct service_caps_row *row = caps ? offers_caps_row(caps, service) : NULL;

	if (!caps)
		return RELAYS_UNKNOWN;
	return row && row->roles & SERVICE_ROLE_RELAY ? RELAYS_YES : RELAYS_NO;
}

bool offers_relays_is_connected(const struct service_relays *relays, const uint8_t *key)
{
	struct mesh_neighbour neighbour;

	return relays->params.neighbours->find(relays->params.mesh.mesh, key, &neighbour) &&
	       neighbour.is_connected;
}

const struct service_caps *offers_relays_own(const struct service_relays *relays)
{
	return &relays->own;
}

void offers_relays_each(const struct service_relays *relays, uint32_t at,
			bool (*fn)(void *arg, const struct service_caps *caps), void *arg)
{
	const struct relays_peer *peer = NULL;

	while ((peer = pool_next(&relays->peers, peer)))
		if (peer->caps.made_s && (at == 0 || at-- == 0) && !fn(arg, &peer->caps))
			return;
}

void offers_relays_stats(const struct service_relays *relays,
			 struct service_relays_stats *out_stats)
{
	*out_stats = relays->stats;
	out_stats->peer_cnt = relays->peers.used_cnt;
}

void offers_relays_fair(const struct service_relays *relays, struct fair_view *out_view)
{
	fair_read(&relays->places.fair, out_view);
}

void offers_relays_exchanges(const struct service_relays *relays, struct fair_view *out_view)
{
	fair_read(&relays->exchange_places.fair, out_view);
}
