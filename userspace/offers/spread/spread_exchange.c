/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Message 313. A service relay says to other ones what it keeps, by refs. That is all of it when
 * they meet, then what changes, a second's changes in one message. The answer has what that
 * neighbour lacks, which goes to it as message 310. A flood comes to eight neighbours of a node, and
 * this reaches the others. Parts that were apart, and nodes that were away, learn of what they missed
 * that way, too.
 *
 * A neighbour that says what is not so gets requests for it, and loses its own rate by them. One
 * that wants everything gets what was said to it, once.
 */
#include <string.h>

#include "base/assert.h"
#include "base/container_of.h"
#include "base/monotonic.h"
#include "spread_state.h"
#include "weft/bytes.h"

#define TELLINGS_CAP	32u
#define TELL_TIMEOUT_NS (10 * NS_PER_S)
/* What was asked for comes meanwhile; a neighbour that does not answer, or has enough. */
#define GIVEN_WAIT_NS (250 * NS_PER_MS)
#define PART_WAIT_NS  (50 * NS_PER_MS)
#define ENOUGH_NS     (10 * NS_PER_S)
#define RETRY_NS      (60 * NS_PER_S)
#define WANTED_NS     (5 * NS_PER_S)

static const struct fair_config told_pool = {
	.name = "neighbours that hear what is kept",
	.cap_cnt = SPREAD_TOLD_CAP,
	.kind = FAIR_WORK,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

/* --- rows --- */

static struct spread_listener *told_find(const struct offer_spread *spread, const uint8_t *key)
{
	return map_lookup(&spread->exchange.by_key, key);
}

static void told_free(struct offer_spread *spread, struct spread_listener *told, uint64_t now_ns)
{
	struct spread_exchange *exchange = &spread->exchange;

	map_delete(&exchange->by_key, told->key);
	fair_release(&exchange->places.fair, &told->share, now_ns);
	pool_release(&exchange->told, told);
}

/* The row of a neighbour, made if it has none; NULL: there is no place. */
static struct spread_listener *told_of(struct offer_spread *spread, const uint8_t *key,
				       uint64_t now_ns)
{
	const struct mesh_neighbour_ops *neighbours = spread->params.neighbours;
	struct spread_exchange *exchange = &spread->exchange;
	struct spread_listener *told = told_find(spread, key);
	struct mesh_path path = {.remote.family = ADDR_NONE};
	struct fair_item *victim;
	struct fair_path account;
	int err;

	if (told)
		return told;
	told = pool_acquire(&exchange->told);
	weft_assert(told != NULL);
	(void)neighbours->path(spread->params.mesh.mesh, key, &path);
	neighbours->account(spread->params.mesh.mesh, key, &path.remote, &account);
	switch (fair_take(&exchange->places.fair, &account, &told->share, now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		told_free(spread, (struct spread_listener *)victim, now_ns);
		break;
	case FAIR_BUSY:
		pool_release(&exchange->told, told);
		return NULL;
	}
	memcpy(told->key, key, MESH_KEY_LEN);
	told->began_ns = now_ns;
	err = map_put(&exchange->by_key, told->key, told);
	weft_assert(err == 0);
	return told;
}

/* --- what is said --- */

static void tell_at(struct offer_spread *spread, uint64_t at_ns)
{
	struct timer *timer = &spread->exchange.timer;

	if (!timer_is_set(timer) || timer->at_ns > at_ns)
		timer_set(spread->params.timers, timer, at_ns);
}

static void telling_free(struct spread_telling *telling)
{
	struct offer_spread *spread = telling->spread;

	if (telling->request)
		spread->params.mesh.ops->cancel(telling->request);
	pool_release(&spread->exchange.tellings, telling);
}

static bool was_told(const struct spread_telling *telling, const uint8_t *ref)
{
	for (unsigned i = 0; i < telling->cnt; i++)
		if (memcmp(telling->entries[i].ref, ref, STOCK_REF_LEN) == 0)
			return true;
	return false;
}

/* What the neighbour lacks goes to it. Returns when it hears more. */
static uint64_t lacked_give(struct spread_telling *telling, struct spread_listener *told,
			    const struct stock_lacks *lacked, uint64_t now_ns)
{
	struct offer_spread *spread = telling->spread;
	const struct spread_handler *handler = &spread->params.handler;

	if (lacked->looked_cnt)
		told->cursor = telling->cursors[lacked->looked_cnt - 1];
	spread->stats.told_cnt += lacked->looked_cnt;
	for (unsigned i = 0; i < lacked->cnt; i++)
		if (was_told(telling, lacked->refs[i]))
			handler->stock->give(handler->ctx, telling->key, lacked->refs[i], now_ns);
	if (lacked->looked_cnt < telling->cnt)
		return now_ns + (lacked->cnt ? GIVEN_WAIT_NS : ENOUGH_NS);
	return lacked->cnt ? now_ns + GIVEN_WAIT_NS : now_ns;
}

static void on_lacked(void *arg, const struct mesh_reply *reply, uint64_t now_ns)
{
	struct spread_telling *telling = arg;
	struct offer_spread *spread = telling->spread;
	struct spread_listener *told = told_find(spread, telling->key);
	struct stock_lacks lacked;

	telling->request = NULL;
	if (told) {
		told->is_asked = false;
		told->retry_ns = now_ns + RETRY_NS;
		if (reply->err == WEFT_EREFUSED)
			told->retry_ns = now_ns + ENOUGH_NS;
	}
	if (told && reply->err == 0 &&
	    offers_lacks_parse(reply->payload, reply->payload_len, &lacked) == 0 &&
	    lacked.looked_cnt <= telling->cnt) {
		spread->stats.told_len += reply->payload_len;
		told->retry_ns = lacked_give(telling, told, &lacked, now_ns);
	}
	if (told)
		tell_at(spread, told->retry_ns);
	telling_free(telling);
}

/* Returns how many entries there are for told; is_part: there may be more. */
static unsigned entries_list(struct offer_spread *spread, const struct spread_listener *told,
			     struct spread_telling *telling, bool *out_is_part)
{
	const struct spread_handler *handler = &spread->params.handler;
	struct spread_cursor cursor = told->cursor;

	telling->cnt = 0;
	*out_is_part = true;
	while (telling->cnt < STOCK_MAX) {
		enum spread_listing listing = handler->stock->next(handler->ctx, told->key, &cursor,
								   &telling->entries[telling->cnt]);

		telling->cursors[telling->cnt] = cursor;
		if (listing != SPREAD_LISTED) {
			*out_is_part = listing == SPREAD_LISTED_PART;
			break;
		}
		telling->cnt++;
	}
	return telling->cnt;
}

static bool telling_send(struct spread_telling *telling, uint64_t now_ns)
{
	struct offer_spread *spread = telling->spread;
	uint8_t payload[STOCK_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_ask ask = {
		.type = MESH_OFFERS_KEPT,
		.payload = payload,
		.reply_buf = telling->reply,
		.reply_cap = sizeof(telling->reply),
		.timeout_ns = TELL_TIMEOUT_NS,
		.reply = on_lacked,
		.arg = telling,
	};

	offers_stock_write(&w, telling->entries, telling->cnt);
	weft_assert(!w.bad);
	ask.payload_len = writer_len(&w);
	memcpy(ask.peer.key, telling->key, MESH_KEY_LEN);
	if (spread->params.mesh.ops->ask(spread->params.mesh.mesh, &ask, now_ns,
					 &telling->request) < 0) {
		telling->request = NULL;
		return false;
	}
	spread->stats.tellings_cnt++;
	spread->stats.told_len += ask.payload_len;
	return true;
}

/* Returns when told hears more; UINT64_MAX: when there is more, or it has answered. */
static uint64_t tell(struct offer_spread *spread, struct spread_listener *told, uint64_t now_ns)
{
	struct spread_telling *telling = pool_acquire(&spread->exchange.tellings);
	bool is_part;

	if (!telling)
		return now_ns + PART_WAIT_NS;
	telling->spread = spread;
	memcpy(telling->key, told->key, MESH_KEY_LEN);
	if (entries_list(spread, told, telling, &is_part) == 0) {
		told->cursor = telling->cursors[0];
		pool_release(&spread->exchange.tellings, telling);
		return is_part ? now_ns + PART_WAIT_NS : UINT64_MAX;
	}
	if (telling_send(telling, now_ns)) {
		told->is_asked = true;
		return UINT64_MAX;
	}
	pool_release(&spread->exchange.tellings, telling);
	told->retry_ns = now_ns + ENOUGH_NS;
	return told->retry_ns;
}

static void on_tell_due(struct timer *timer, uint64_t now_ns)
{
	struct offer_spread *spread = container_of(timer, struct offer_spread, exchange.timer);
	struct mesh_walk walk = {.session = NULL};
	struct mesh_neighbour neighbour;
	uint64_t next_ns = UINT64_MAX;

	while (spread->params.neighbours->next(spread->params.mesh.mesh, &walk, &neighbour) &&
	       neighbour.is_connected) {
		struct spread_listener *told;
		uint64_t at_ns;

		if (!(neighbour.caps & MESH_CAP_SERVICE_RELAY) ||
		    !(told = told_of(spread, neighbour.key, now_ns)) || told->is_asked)
			continue;
		at_ns = told->retry_ns > now_ns ? told->retry_ns : tell(spread, told, now_ns);
		next_ns = at_ns < next_ns ? at_ns : next_ns;
	}
	if (next_ns != UINT64_MAX)
		timer_set(spread->params.timers, timer, next_ns);
}

void offers_spread_changed(struct offer_spread *spread, uint64_t now_ns)
{
	/* The first of several changes sets the time. */
	if (spread->params.handler.stock)
		tell_at(spread, now_ns + SPREAD_TELL_NS);
}

void offers_spread_tell(struct offer_spread *spread, const uint8_t key[static MESH_KEY_LEN],
			uint64_t now_ns)
{
	struct spread_listener *told = told_find(spread, key);

	if (told && now_ns >= told->began_ns + SPREAD_TELL_AGAIN_NS) {
		told->cursor = (struct spread_cursor){0};
		told->began_ns = now_ns;
	}
	if (told)
		told->retry_ns = now_ns;
	offers_spread_changed(spread, now_ns);
}

void offers_spread_give(struct offer_spread *spread, const uint8_t key[static MESH_KEY_LEN],
			const struct spread_gift *gift, uint64_t now_ns)
{
	const struct spread_flood flood = {
		.bytes = gift->bytes, .len = gift->len, .hop_cnt = gift->hop_cnt};

	if (offers_spread_send_to(spread, key, &flood, now_ns))
		spread->stats.given_cnt++;
}

/* --- what is heard --- */

/*
 * The place of what peer was asked for, else one that is free, else the first one. Places follow from
 * both, so one neighbour takes none of what another was asked for but by chance.
 */
static struct spread_wanted *wanted_place(struct offer_spread *spread, const uint8_t *peer,
					  const uint8_t *ref, uint64_t now_ns)
{
	struct spread_wanted *wanted = spread->exchange.wanted, *empty = NULL;
	uint32_t at = weft_load_le32(ref) ^ weft_load_le32(peer);

	for (unsigned i = 0; i < SPREAD_WANTED_PROBE; i++) {
		struct spread_wanted *place = &wanted[(at + i) % SPREAD_WANTED_CNT];

		if (memcmp(place->ref, ref, sizeof(place->ref)) == 0 &&
		    memcmp(place->peer, peer, sizeof(place->peer)) == 0)
			return place;
		if (!empty && now_ns >= place->until_ns)
			empty = place;
	}
	return empty ? empty : &wanted[at % SPREAD_WANTED_CNT];
}

bool offers_spread_is_wanted(struct offer_spread *spread, const uint8_t *peer,
			     const struct service_message *message, uint64_t now_ns)
{
	const struct spread_handler *handler = &spread->params.handler;
	const struct spread_wanted *wanted;
	uint8_t ref[STOCK_REF_LEN];

	if (now_ns >= spread->exchange.wanted_until_ns ||
	    !handler->stock->ref(handler->ctx, message, ref))
		return false;
	wanted = wanted_place(spread, peer, ref, now_ns);
	return now_ns < wanted->until_ns && memcmp(wanted->ref, ref, sizeof(ref)) == 0 &&
	       memcmp(wanted->peer, peer, sizeof(wanted->peer)) == 0;
}

static void want(struct offer_spread *spread, const uint8_t *peer, const uint8_t *ref,
		 uint64_t now_ns)
{
	struct spread_wanted *wanted = wanted_place(spread, peer, ref, now_ns);

	memcpy(wanted->ref, ref, STOCK_REF_LEN);
	memcpy(wanted->peer, peer, sizeof(wanted->peer));
	wanted->until_ns = spread->exchange.wanted_until_ns = now_ns + WANTED_NS;
	spread->stats.wanted_cnt++;
}

/* Looks at entries until there is enough, and says how far it came. */
static void entries_look(struct offer_spread *spread, const uint8_t *peer,
			 const struct stock_entry *entries, unsigned cnt,
			 struct stock_lacks *lacked)
{
	const struct spread_handler *handler = &spread->params.handler;
	uint64_t now_ns = spread->exchange.heard_ns;

	lacked->cnt = 0;
	for (lacked->looked_cnt = 0; lacked->looked_cnt < cnt; lacked->looked_cnt++) {
		const struct stock_entry *entry = &entries[lacked->looked_cnt];

		/* Each that says so is asked: what a liar claims would not come from another one. */
		if (entry->hop_cnt >= spread->params.config.hops_max ||
		    handler->stock->lacks(handler->ctx, peer, entry) != SPREAD_NEW)
			continue;
		if (lacked->cnt == STOCK_LACKS_MAX ||
		    request_quota_take(&spread->exchange.wants, peer, now_ns))
			return;
		want(spread, peer, entry->ref, now_ns);
		memcpy(lacked->refs[lacked->cnt++], entry->ref, STOCK_REF_LEN);
	}
}

void offers_spread_handle_kept(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static const struct spread_refusal malformed = {MESH_CODE_MALFORMED, "no list of offers"};
	struct offer_spread *spread = ctx;
	struct stock_entry entries[STOCK_MAX];
	uint8_t payload[STOCK_LACKS_LEN_MAX];
	struct writer w = writer_of(payload, sizeof(payload));
	struct stock_lacks lacked;
	int cnt;

	if (request_quota_take(&spread->exchange.heard, call->peer_key, now_ns)) {
		spread->stats.rate_cnt++;
		offers_spread_refuse(spread, call, &offers_spread_too_many);
		return;
	}
	cnt = offers_stock_parse(call->payload, call->payload_len, entries);
	if (cnt < 0) {
		spread->stats.malformed_cnt++;
		offers_spread_refuse(spread, call, &malformed);
		return;
	}
	spread->exchange.heard_ns = now_ns;
	entries_look(spread, call->peer_key, entries, (unsigned)cnt, &lacked);
	offers_spread_changed(spread, now_ns);
	offers_lacks_write(&w, &lacked);
	weft_assert(!w.bad);
	(void)spread->params.mesh.ops->answer(call->incoming, MESH_OFFERS_KEPT, payload,
					      writer_len(&w), NULL);
}

/* --- life --- */

int offers_spread_exchange_init(struct offer_spread *spread, const uint64_t secret[2])
{
	struct spread_exchange *exchange = &spread->exchange;
	struct arena *arena = &spread->arena;
	int err;

	timer_init(&exchange->timer, on_tell_due);
	/* One more than places: a row is made before the one that it evicts has gone. */
	if ((err = fair_places_init(&exchange->places, arena, &told_pool)) < 0 ||
	    (err = pool_init(&exchange->told, arena, sizeof(struct spread_listener),
			     SPREAD_TOLD_CAP + 1)) < 0 ||
	    (err = pool_init(&exchange->tellings, arena, sizeof(struct spread_telling),
			     TELLINGS_CAP)) < 0 ||
	    (err = map_init(&exchange->by_key, arena, MESH_KEY_LEN, SPREAD_TOLD_CAP + 1, secret)) <
		    0 ||
	    (err = request_quota_init(&exchange->heard, arena, SPREAD_TOLD_CAP, SPREAD_TOLD_PER_MIN,
				      secret)) < 0 ||
	    (err = request_quota_init(&exchange->wants, arena, SPREAD_TOLD_CAP,
				      spread->params.config.relayed_per_min / 2 + 1, secret)) < 0)
		return err;
	exchange->wanted = arena_alloc(arena, SPREAD_WANTED_CNT * sizeof(*exchange->wanted));
	return exchange->wanted ? 0 : WEFT_EFULL;
}

void offers_spread_exchange_stop(struct offer_spread *spread)
{
	struct spread_telling *telling;

	timer_cancel(spread->params.timers, &spread->exchange.timer);
	while ((telling = pool_next(&spread->exchange.tellings, NULL)))
		telling_free(telling);
}
