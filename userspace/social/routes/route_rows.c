/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Routes on the disk: 'r' and the key -> {0: tier, 1: where a dial reached it, 2: seen at, in ms,
 * 3: [PeerAddr], 4: address record, 5: introduced by}. Changes are written a moment later, and at
 * most one batch each second, so a crash forgets at most those. A row that was not written goes with the next batch.
 */
#include <errno.h>
#include <string.h>

#include "base/monotonic.h"
#include "codec/cbor_fields.h"
#include "social/routes/routes_state.h"
#include "store/store.h"

#define ROW_KIND     'r'
#define ROW_KEY_LEN  (1 + NODE_KEY_LEN)
#define ROW_LEN_MAX  (SOCIAL_ADDRESS_LEN_MAX + 1024u)
#define SAVE_NS	     NS_PER_S	     /* between two batches, at least */
#define SAVE_SOON_NS (NS_PER_S / 10) /* what changes together is one batch */
#define GONE_MAX     512u	     /* deletions that wait, at most */

struct row {
	enum social_tier tier;
	struct addr proved;
	bool has_proved;
	uint64_t seen_ms;
	struct addr told[PEER_ADDRS_MAX];
	unsigned told_cnt;
	const uint8_t *record;
	size_t record_len;
	uint8_t introduced_by[NODE_KEY_LEN];
	bool is_introduced;
};

static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct row, tier), .max = SOCIAL_TIER_CNT - 1},
	{1, CBOR_FIELD_ADDR, CBOR_HAS(struct row, has_proved), CBOR_AT(struct row, proved)},
	{2, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct row, seen_ms)},
	{3, CBOR_FIELD_ADDRS, CBOR_OPTIONAL, CBOR_AT(struct row, told),
	 CBOR_LEN(struct row, told_cnt)},
	{4, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct row, record),
	 CBOR_LEN(struct row, record_len), .min = 1, .max = SOCIAL_ADDRESS_LEN_MAX},
	{5, CBOR_FIELD_FIXED, CBOR_HAS(struct row, is_introduced),
	 CBOR_AT(struct row, introduced_by)},
};
static const struct cbor_table row_table = {CBOR_FIELDS(row_fields)};

static void row_key_write(uint8_t out[static ROW_KEY_LEN], const uint8_t *key)
{
	out[0] = ROW_KIND;
	memcpy(out + 1, key, NODE_KEY_LEN);
}

/* --- out --- */

static void row_put(struct store_batch *batch, struct route *route)
{
	struct row row = {
		.tier = route->tier,
		.proved = route->proved,
		.has_proved = route->proved.family != ADDR_NONE,
		.seen_ms = route->seen_ms,
		.told_cnt = route->told_cnt,
		.record = route->record_len ? route->record : NULL,
		.record_len = route->record_len,
		.is_introduced = route->is_introduced,
	};
	uint8_t key[ROW_KEY_LEN], value[ROW_LEN_MAX];
	struct writer w = writer_of(value, sizeof(value));

	memcpy(row.told, route->told, sizeof(row.told));
	memcpy(row.introduced_by, route->introduced_by, sizeof(row.introduced_by));
	row_key_write(key, route->key);
	cbor_fields_write(&w, &row_table, &row);
	store_batch_put(batch, STORE_ROUTES, store_key(key, sizeof(key)), value, writer_len(&w));
	route->is_changed = false;
	route->is_stored = true;
}

static void all_change(struct social_routes *routes)
{
	struct route *route = NULL;

	while ((route = pool_next(&routes->pool, route)))
		route->is_changed = true;
}

static void saved(void *arg, int err)
{
	struct social_routes *routes = arg;

	routes->is_saving = false;
	if (err == 0)
		return;
	routes->stats.failed_cnt++;
	all_change(routes);
}

void social_routes_flush(struct social_routes *routes)
{
	struct store *store = routes->params.ground->store;
	struct store_batch *batch = routes->gone ? routes->gone : store_batch_new(store);
	struct route *route = NULL;

	timer_cancel(routes->params.ground->timers, &routes->timer);
	routes->gone = NULL;
	routes->gone_cnt = 0;
	while ((route = pool_next(&routes->pool, route)))
		if (route->is_changed)
			row_put(batch, route);
	routes->is_saving = true;
	if (store_submit(store, batch, saved, routes) == 0)
		return;
	store_batch_free(batch);
	saved(routes, -ENOSPC);
}

void social_routes_expire(struct timer *timer, uint64_t now_ns)
{
	struct social_routes *routes = container_of(timer, struct social_routes, timer);

	if (routes->is_saving) {
		timer_set(routes->params.ground->timers, timer, now_ns + SAVE_NS);
	} else {
		routes->saved_ns = now_ns;
		social_routes_flush(routes);
	}
}

/*
 * The profile that names an anchor is on the disk at once. After a crash its place is needed as well:
 * without it the anchor cannot be asked.
 */
static void save_soon(struct social_routes *routes, uint64_t now_ns)
{
	uint64_t at_ns = now_ns + SAVE_SOON_NS;

	if (timer_is_set(&routes->timer) || routes->is_stopped)
		return;
	if (routes->saved_ns && at_ns < routes->saved_ns + SAVE_NS)
		at_ns = routes->saved_ns + SAVE_NS;
	timer_set(routes->params.ground->timers, &routes->timer, at_ns);
}

void social_route_changed(struct social_routes *routes, struct route *route, uint64_t now_ns)
{
	route->is_changed = true;
	save_soon(routes, now_ns);
}

void social_route_gone(struct social_routes *routes, const struct route *route, uint64_t now_ns)
{
	uint8_t key[ROW_KEY_LEN];

	/* What is left over is dropped when it is read: its node has no tier any more. */
	if (!route->is_stored || routes->gone_cnt == GONE_MAX)
		return;
	if (!routes->gone)
		routes->gone = store_batch_new(routes->params.ground->store);
	row_key_write(key, route->key);
	store_batch_delete(routes->gone, STORE_ROUTES, store_key(key, sizeof(key)));
	routes->gone_cnt++;
	save_soon(routes, now_ns);
}

/* --- in --- */

/* Anchors are of this node's list, or of a person that is followed still. */
static enum social_tier row_tier(const struct social_routes *routes, const uint8_t *key,
				 const struct row *row)
{
	const struct social_routes_params *params = &routes->params;
	enum social_tier tier = params->tier_of(params->ctx, key);

	if (tier != SOCIAL_TIER_NONE || row->tier != SOCIAL_TIER_ANCHOR)
		return tier;
	if (row->is_introduced &&
	    params->tier_of(params->ctx, row->introduced_by) != SOCIAL_TIER_FOLLOW)
		return SOCIAL_TIER_NONE;
	return SOCIAL_TIER_ANCHOR;
}

static void row_take(struct social_routes *routes, const uint8_t *key, const struct row *row,
		     uint64_t now_ns)
{
	const struct social_route_hint hint = {
		.key = key,
		.tier = row_tier(routes, key, row),
		.introduced_by = row->is_introduced ? row->introduced_by : NULL,
		.teller = row->told_cnt ? &row->told[0] : NULL,
	};
	struct route *route = NULL;

	if (hint.tier != SOCIAL_TIER_NONE)
		route = social_route_make(routes, &hint, now_ns);
	if (!route)
		return;
	route->is_stored = true;
	route->proved = row->proved;
	route->seen_ms = row->seen_ms;
	route->told_cnt = row->told_cnt;
	memcpy(route->told, row->told, sizeof(route->told));
	/* It was verified before it was kept, and a row has a check of its own. */
	if (row->record_len &&
	    social_address_read(row->record, row->record_len, &route->address) == 0 &&
	    memcmp(route->address.node, key, NODE_KEY_LEN) == 0) {
		route->record_len = (uint16_t)row->record_len;
		memcpy(route->record, row->record, row->record_len);
	}
}

int social_routes_load(struct social_routes *routes, uint64_t now_ns)
{
	static const uint8_t first = ROW_KIND;
	struct store_iter iter =
		store_iter_fresh(routes->params.ground->store, STORE_ROUTES, store_key(&first, 1));
	struct store_item item;

	while (store_iter_next(&iter, &item) && item.key[0] == ROW_KIND) {
		struct row row = {.tier = SOCIAL_TIER_NONE};

		if (cbor_fields_parse(item.value, item.value_len, &row_table, &row) < 0)
			routes->stats.damaged_cnt++;
		else
			row_take(routes, item.key + 1, &row, now_ns);
	}
	return store_iter_end(&iter);
}
