/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ways to providers on the disk, and what waits for one. A way is a hint: those of a second are
 * written at once, and a crash loses no more than that second. Keys are a kind and 16 bytes; values:
 *
 *	way	u8 layout 1 | u8 hops: 1 the first is set, 2 proved, 4 the second is set, 8 proved
 *		u8 family, 16 bytes of address | u64be expires | key of the first 32, of the second 32
 *	wait	u8 layout 1 | u8 family, 16 bytes of address | u64be expires | neighbour 32 | message
 */
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "spread_state.h"
#include "store/store.h"

#define LAYOUT	  1u
#define WINDOW_NS NS_PER_S
#define FAILED_NS (60 * NS_PER_S)
#define WAY_LEN	  (27u + SPREAD_ROUTE_HOPS * MESH_KEY_LEN)
#define WAIT_LEN  (26u + MESH_KEY_LEN + RESERVATION_MESSAGE_LEN_MAX)

enum { KIND_WAY = 'w', KIND_WAIT = 'm' };

static void key_write(uint8_t key[static SPREAD_WAY_KEY_LEN], uint8_t kind, const uint8_t *id)
{
	key[0] = kind;
	memcpy(key + 1, id, SPREAD_WAY_KEY_LEN - 1);
}

/* --- records --- */

static void source_write(struct writer *w, const struct addr *source)
{
	writer_u8(w, source->family);
	writer_bytes(w, source->ip, sizeof(source->ip));
}

static bool source_read(struct cursor *c, struct addr *source)
{
	source->family = cursor_u8(c);
	cursor_copy(c, source->ip, sizeof(source->ip));
	return source->family == ADDR_NONE || source->family == ADDR_IPV4 ||
	       source->family == ADDR_IPV6;
}

void offers_spread_way_write(struct writer *w, const struct spread_route *route)
{
	uint8_t flags = 0;

	for (unsigned i = 0; i < SPREAD_ROUTE_HOPS; i++)
		flags |=
			(uint8_t)((route->hops[i].is_set | route->hops[i].is_proved << 1) << 2 * i);
	writer_u8(w, LAYOUT);
	writer_u8(w, flags);
	source_write(w, &route->source);
	writer_be64(w, route->expires_s);
	for (unsigned i = 0; i < SPREAD_ROUTE_HOPS; i++)
		writer_bytes(w, route->hops[i].key, MESH_KEY_LEN);
}

bool offers_spread_way_parse(const uint8_t *bytes, size_t len, struct spread_route *out_route)
{
	struct cursor c = cursor_of(bytes, len);
	struct spread_route route = {.is_dirty = false};
	uint8_t layout = cursor_u8(&c), flags = cursor_u8(&c);
	bool holds = source_read(&c, &route.source);

	route.expires_s = route.saved_s = cursor_be64(&c);
	for (unsigned i = 0; i < SPREAD_ROUTE_HOPS; i++) {
		struct spread_hop *hop = &route.hops[i];

		cursor_copy(&c, hop->key, MESH_KEY_LEN);
		hop->is_set = flags >> 2 * i & 1;
		hop->is_proved = flags >> (2 * i + 1) & 1;
		holds = holds && (hop->is_set || !hop->is_proved);
	}
	if (c.bad || cursor_left(&c) != 0 || layout != LAYOUT || !holds ||
	    flags >> 2 * SPREAD_ROUTE_HOPS)
		return false;
	*out_route = route;
	return true;
}

void offers_spread_wait_write(struct writer *w, const struct spread_wait *wait)
{
	writer_u8(w, LAYOUT);
	source_write(w, &wait->source);
	writer_be64(w, wait->expires_s);
	writer_bytes(w, wait->from, sizeof(wait->from));
	writer_bytes(w, wait->bytes, wait->len);
}

bool offers_spread_wait_parse(const uint8_t *bytes, size_t len, struct spread_wait *out_wait)
{
	struct cursor c = cursor_of(bytes, len);
	struct spread_wait wait = {.is_going = false};
	struct service_message message;
	uint8_t layout = cursor_u8(&c);
	bool holds = source_read(&c, &wait.source);

	wait.expires_s = cursor_be64(&c);
	cursor_copy(&c, wait.from, sizeof(wait.from));
	wait.len = cursor_left(&c);
	if (c.bad || layout != LAYOUT || !holds || wait.len > sizeof(wait.bytes))
		return false;
	cursor_copy(&c, wait.bytes, wait.len);
	if (offers_message_parse(wait.bytes, wait.len, &message) < 0 ||
	    offers_message_proof(&message) != SERVICE_MESSAGE_PROOF_SEAL)
		return false;
	offers_message_id(&message, wait.id);
	*out_wait = wait;
	return true;
}

/* --- batches --- */

static void keep_later(struct offer_spread *spread, uint64_t at_ns)
{
	if (spread->params.store && !timer_is_set(&spread->keep.timer))
		timer_set(spread->params.timers, &spread->keep.timer, at_ns);
}

/* The open batch; NULL: there is no store, or no memory. */
static struct store_batch *keep_batch(struct offer_spread *spread, uint64_t now_ns)
{
	struct spread_keep *keep = &spread->keep;

	if (!keep->batch && spread->params.store)
		keep->batch = store_batch_new(spread->params.store);
	keep_later(spread, now_ns + WINDOW_NS);
	return keep->batch;
}

/* All ways are written again later. What waits is in memory, too, and is lost with this process. */
static void on_saved(void *arg, int err)
{
	struct offer_spread *spread = arg;
	struct spread_route *route = NULL;

	if (err == 0)
		return;
	while ((route = pool_next(&spread->routes, route)))
		if (route->hops[0].is_set || route->hops[1].is_set)
			route->is_dirty = spread->keep.has_dirty = true;
	if (spread->keep.has_dirty)
		keep_later(spread, spread->keep.submitted_ns + FAILED_NS);
}

static void dirty_write(struct offer_spread *spread, uint64_t now_ns)
{
	struct store_batch *batch = keep_batch(spread, now_ns);
	struct spread_route *route = NULL;

	if (!batch || !spread->keep.has_dirty)
		return;
	spread->keep.has_dirty = false;
	while ((route = pool_next(&spread->routes, route))) {
		uint8_t key[SPREAD_WAY_KEY_LEN], bytes[WAY_LEN];
		struct writer w = writer_of(bytes, sizeof(bytes));

		if (!route->is_dirty)
			continue;
		route->is_dirty = false;
		route->saved_s = route->expires_s;
		key_write(key, KIND_WAY, route->address);
		offers_spread_way_write(&w, route);
		store_batch_put(batch, STORE_WAYS, store_key(key, sizeof(key)), bytes,
				writer_len(&w));
	}
}

static void on_due(struct timer *timer, uint64_t now_ns)
{
	struct offer_spread *spread = container_of(timer, struct offer_spread, keep.timer);
	struct spread_keep *keep = &spread->keep;
	int err;

	spread->keep.submitted_ns = now_ns;
	dirty_write(spread, now_ns);
	timer_cancel(spread->params.timers, timer);
	err = keep->batch ? store_submit(spread->params.store, keep->batch, on_saved, spread) : 0;
	if (err == WEFT_EFULL) {
		keep_later(spread, now_ns + WINDOW_NS);
		return;
	}
	if (err < 0) {
		store_batch_free(keep->batch);
		on_saved(spread, err);
	}
	keep->batch = NULL;
	if (spread->keep.has_dirty)
		keep_later(spread, now_ns + FAILED_NS);
}

void offers_spread_keep_route(struct offer_spread *spread, struct spread_route *route,
			      uint64_t now_ns)
{
	route->is_dirty = spread->keep.has_dirty = true;
	keep_later(spread, now_ns + WINDOW_NS);
}

void offers_spread_keep_route_delete(struct offer_spread *spread, const struct spread_route *route,
				     uint64_t now_ns)
{
	uint8_t key[SPREAD_WAY_KEY_LEN];

	if (!route->saved_s || !spread->params.store)
		return;
	key_write(key, KIND_WAY, route->address);
	store_batch_delete(keep_batch(spread, now_ns), STORE_WAYS, store_key(key, sizeof(key)));
}

void offers_spread_keep_wait(struct offer_spread *spread, const struct spread_wait *wait,
			     uint64_t now_ns)
{
	uint8_t key[SPREAD_WAY_KEY_LEN], bytes[WAIT_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (!spread->params.store)
		return;
	key_write(key, KIND_WAIT, wait->id);
	offers_spread_wait_write(&w, wait);
	store_batch_put(keep_batch(spread, now_ns), STORE_WAYS, store_key(key, sizeof(key)), bytes,
			writer_len(&w));
}

void offers_spread_keep_wait_delete(struct offer_spread *spread, const struct spread_wait *wait,
				    uint64_t now_ns)
{
	uint8_t key[SPREAD_WAY_KEY_LEN];

	if (!spread->params.store)
		return;
	key_write(key, KIND_WAIT, wait->id);
	store_batch_delete(keep_batch(spread, now_ns), STORE_WAYS, store_key(key, sizeof(key)));
}

/* --- life --- */

void offers_spread_keep_init(struct offer_spread *spread)
{
	timer_init(&spread->keep.timer, on_due);
}

static bool item_load(struct offer_spread *spread, const struct store_item *item)
{
	uint64_t now_ns = spread->params.now_ns;
	struct spread_route route;
	struct spread_wait wait;

	if (item->key[0] == KIND_WAIT)
		return offers_spread_wait_parse(item->value, item->value_len, &wait) &&
		       memcmp(wait.id, item->key + 1, SPREAD_WAY_KEY_LEN - 1) == 0 &&
		       offers_spread_wait_restore(spread, &wait, now_ns);
	if (item->key[0] != KIND_WAY ||
	    !offers_spread_way_parse(item->value, item->value_len, &route))
		return false;
	memcpy(route.address, item->key + 1, sizeof(route.address));
	return offers_spread_route_restore(spread, &route, now_ns);
}

int offers_spread_keep_load(struct offer_spread *spread)
{
	struct store_iter iter;
	struct store_item item;

	if (!spread->params.store)
		return 0;
	iter = store_iter_fresh(spread->params.store, STORE_WAYS, STORE_ALL);
	while (store_iter_next(&iter, &item))
		if (!item_load(spread, &item))
			store_batch_delete(keep_batch(spread, spread->params.now_ns), STORE_WAYS,
					   store_key(item.key, item.key_len));
	return store_iter_end(&iter);
}

void offers_spread_keep_stop(struct offer_spread *spread)
{
	struct spread_keep *keep = &spread->keep;

	if (!spread->params.store)
		return;
	dirty_write(spread, 0);
	timer_cancel(spread->params.timers, &keep->timer);
	if (keep->batch && store_submit(spread->params.store, keep->batch, NULL, NULL) < 0)
		store_batch_free(keep->batch);
	keep->batch = NULL;
	store_flush(spread->params.store);
}
