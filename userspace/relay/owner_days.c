/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The days of owners in the store, so that a relay that starts again gives none a second day.
 *
 * What is stored is ahead of what was counted, as with the leases of grants. A count is leased in
 * sixteenths of the day, and the next one is ordered when half of one is left. So a crash costs an
 * owner an eighth of its day at most. It gives back what came within the last second at most. An
 * owner costs 51 writes a day at most. A batch of BATCH_CNT goes each second, networks before keys.
 * Where more owners begin at once, the second becomes one for each batch.
 *
 * A row in the store is that of a place in the table, so there are never more rows than places. An
 * owner that takes a place overwrites the row of the last one. Rows of days that are over are
 * deleted. Home.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/container_of.h"
#include "base/monotonic.h"
#include "codec/cbor.h"
#include "relay_state.h"
#include "store/store.h"

#define DAY_PREFIX     "relay-day:"
#define DAY_PREFIX_LEN (sizeof(DAY_PREFIX) - 1)
#define DAY_KEY_LEN    (DAY_PREFIX_LEN + 10) /* the table's digit, a colon, eight digits */
#define DAY_RECORD_CAP 96
#define DAY_COUNT_MAX  (1ull << 60)

#define STEP_CNT   16u
#define STEP_SPENT (STEP_CNT + 1u) /* beyond the limit */
#define BATCH_CNT  1024u
#define BATCH_NS   NS_PER_S
/* Places looked at in a turn for days that are over: all of them within a minute. */
#define SWEEP_TURNS 600u

/* --- leases --- */

static uint64_t step_of(uint64_t limit)
{
	return limit / STEP_CNT + 1;
}

/* What is stored of a count: an owner that has not gone beyond the limit is not said to have. */
static uint64_t leased_len(uint64_t limit, unsigned leased)
{
	uint64_t len = leased * step_of(limit);

	if (leased == STEP_SPENT)
		return limit + 1;
	return len < limit ? len : limit;
}

static unsigned lease_wanted(uint64_t limit, uint64_t count)
{
	uint64_t step = step_of(limit), want = (count + step / 2) / step + 1;

	if (count > limit)
		return STEP_SPENT;
	return count == 0 ? 0 : want < STEP_CNT ? (unsigned)want : STEP_CNT;
}

static void owner_due(struct relay *relay, struct relay_owners *owners, struct relay_owner *owner)
{
	if (owner->is_due || !relay->params.store)
		return;
	owner->is_due = true;
	if (!owner->is_on_way)
		list_push_back(&owners->due, &owner->by_save);
}

void relay_days_lease(struct relay *relay, struct relay_owners *owners, struct relay_owner *owner)
{
	for (unsigned i = 0; i < RELAY_DAY_COUNT_CNT; i++) {
		unsigned want =
			lease_wanted(relay_owners_limit(relay, owners, i), owner->counts[i]);

		if (want <= owner->leased[i])
			continue;
		owner->leased[i] = (uint8_t)want;
		owner_due(relay, owners, owner);
	}
}

/* --- writing --- */

static uint32_t place_of(const struct relay_owners *owners, const struct relay_owner *owner)
{
	return (uint32_t)(owner - owners->rows);
}

static struct relay_owners *table_of(struct relay *relay, const struct relay_owner *owner)
{
	bool is_network =
		owner >= relay->networks.rows && owner < relay->networks.rows + relay->networks.cap;

	return is_network ? &relay->networks : &relay->owners;
}

static struct store_key day_key(const struct relay *relay, const struct relay_owners *owners,
				uint32_t place, char text[static DAY_KEY_LEN + 1])
{
	snprintf(text, DAY_KEY_LEN + 1, DAY_PREFIX "%u:%08x", owners == &relay->networks, place);
	return store_key(text, DAY_KEY_LEN);
}

static void day_put(const struct relay *relay, const struct relay_owners *owners,
		    const struct relay_owner *owner, struct store_batch *batch)
{
	char text[DAY_KEY_LEN + 1];
	uint8_t record[DAY_RECORD_CAP];
	struct writer w = writer_of(record, sizeof(record));

	cbor_write_array(&w, 2 + RELAY_DAY_COUNT_CNT);
	cbor_write_bytes(&w, owner->key, sizeof(owner->key));
	cbor_write_uint(&w, owner->day);
	for (unsigned i = 0; i < RELAY_DAY_COUNT_CNT; i++)
		cbor_write_uint(&w, relay->is_settling
					    ? owner->counts[i]
					    : leased_len(relay_owners_limit(relay, owners, i),
							 owner->leased[i]));
	store_batch_put(batch, STORE_META, day_key(relay, owners, place_of(owners, owner), text),
			record, writer_len(&w));
}

static void place_write(const struct relay *relay, const struct relay_owners *owners,
			struct relay_owner *owner, struct store_batch *batch)
{
	char text[DAY_KEY_LEN + 1];

	if (owner->is_used)
		day_put(relay, owners, owner, batch);
	else if (owner->is_stored)
		store_batch_delete(batch, STORE_META,
				   day_key(relay, owners, place_of(owners, owner), text));
	owner->is_stored = owner->is_used;
}

static unsigned due_write(struct relay *relay, struct relay_owners *owners, unsigned cnt,
			  struct store_batch *batch)
{
	struct relay_owner *owner;

	for (; cnt < BATCH_CNT && (owner = list_first(&owners->due, struct relay_owner, by_save));
	     cnt++) {
		list_unlink(&owner->by_save);
		list_push_back(&relay->days_on_way, &owner->by_save);
		owner->is_due = false;
		owner->is_on_way = true;
		place_write(relay, owners, owner, batch);
	}
	return cnt;
}

/* What failed is written again with the next batch. */
static void days_done(void *arg, int err)
{
	struct relay *relay = arg;
	struct relay_owner *owner;

	relay->is_saving_days = false;
	while ((owner = list_first(&relay->days_on_way, struct relay_owner, by_save))) {
		list_unlink(&owner->by_save);
		owner->is_on_way = false;
		if (err < 0) {
			relay->stats.unsaved_cnt++;
			owner->is_stored = owner->is_due = true;
		}
		if (owner->is_due)
			list_push_back(&table_of(relay, owner)->due, &owner->by_save);
	}
}

static void days_save(struct relay *relay)
{
	struct store *store = relay->params.store;
	struct store_batch *batch;
	int err;

	if (relay->is_saving_days ||
	    (list_is_empty(&relay->networks.due) && list_is_empty(&relay->owners.due)))
		return;
	batch = store_batch_new(store);
	(void)due_write(relay, &relay->owners, due_write(relay, &relay->networks, 0, batch), batch);
	relay->is_saving_days = true;
	err = store_submit(store, batch, days_done, relay);
	if (err == 0)
		return;
	store_batch_free(batch);
	days_done(relay, err);
}

static void days_sweep(struct relay *relay, struct relay_owners *owners)
{
	uint32_t step = owners->place_cnt / SWEEP_TURNS + 1;

	for (uint32_t i = 0; i < step && i < owners->place_cnt; i++) {
		struct relay_owner *owner;

		owners->sweep_idx =
			owners->sweep_idx + 1 < owners->place_cnt ? owners->sweep_idx + 1 : 0;
		owner = &owners->rows[owners->sweep_idx];
		if (!owner->is_used || owner->flow_cnt || owner->day >= relay_today(relay))
			continue;
		relay_owners_vacate(owners, owner);
		if (owner->is_stored)
			owner_due(relay, owners, owner);
	}
}

void relay_days_turn(struct relay *relay)
{
	days_sweep(relay, &relay->networks);
	days_sweep(relay, &relay->owners);
	if (!relay->params.store || relay->now_ns < relay->days_ns)
		return;
	relay->days_ns = relay->now_ns + BATCH_NS;
	days_save(relay);
}

/* Those whose counts are behind their leases. */
static void leases_return(struct relay *relay, struct relay_owners *owners)
{
	for (uint32_t place = 0; place < owners->place_cnt; place++) {
		struct relay_owner *owner = &owners->rows[place];

		if (owner->is_used && owner->day >= relay_today(relay))
			owner_due(relay, owners, owner);
	}
}

void relay_days_settle(struct relay *relay)
{
	struct store *store = relay->params.store;
	uint64_t unsaved_cnt = relay->stats.unsaved_cnt;

	if (!store || !relay->owners.rows || !relay->networks.rows)
		return;
	/* A batch on its way is over before the next one, and before its owners are gone. */
	store_flush(store);
	relay->is_settling = true;
	leases_return(relay, &relay->networks);
	leases_return(relay, &relay->owners);
	while (relay->stats.unsaved_cnt == unsaved_cnt &&
	       !(list_is_empty(&relay->networks.due) && list_is_empty(&relay->owners.due))) {
		days_save(relay);
		store_flush(store);
	}
}

/* --- reading --- */

struct stored_day {
	struct relay_owners *owners;
	uint32_t place;
	const uint8_t *key;
	uint64_t day;
	uint64_t counts[RELAY_DAY_COUNT_CNT];
};

static int name_parse(struct relay *relay, const struct store_item *item, struct stored_day *out)
{
	char text[DAY_KEY_LEN + 1] = "";
	char *end;

	if (item->key_len != DAY_KEY_LEN)
		return WEFT_EMALFORMED;
	memcpy(text, item->key, DAY_KEY_LEN);
	out->owners = text[DAY_PREFIX_LEN] == '1' ? &relay->networks : &relay->owners;
	out->place = (uint32_t)strtoul(text + DAY_PREFIX_LEN + 2, &end, 16);
	return *end || out->place >= out->owners->cap ? WEFT_EMALFORMED : 0;
}

static int day_parse(const struct store_item *item, struct stored_day *out)
{
	struct cbor_reader r;
	size_t key_len = 0;

	cbor_reader_init(&r, item->value, item->value_len);
	if (cbor_enter_array(&r) != 2 + RELAY_DAY_COUNT_CNT)
		return WEFT_EMALFORMED;
	if (cbor_next(&r))
		out->key = cbor_read_bytes(&r, &key_len);
	if (cbor_next(&r))
		out->day = cbor_read_uint_max(&r, DAY_COUNT_MAX);
	for (unsigned i = 0; i < RELAY_DAY_COUNT_CNT; i++)
		if (cbor_next(&r))
			out->counts[i] = cbor_read_uint_max(&r, DAY_COUNT_MAX);
	(void)cbor_next(&r);
	return cbor_reader_finish(&r) < 0 || key_len != RELAY_KEY_LEN ? WEFT_EMALFORMED : 0;
}

/* An owner that lost its place and took another may have two rows: the larger counts hold. */
static void day_load(struct relay *relay, const struct stored_day *stored)
{
	struct relay_owners *owners = stored->owners;
	struct relay_owner *place, *owner;

	relay_owners_reach(owners, stored->place);
	place = &owners->rows[stored->place];
	place->is_stored = true;
	owner = map_lookup(&owners->by_key, stored->key);
	if (!owner && stored->day >= relay_today(relay))
		owner = relay_owners_place(owners, place, stored->key);
	if (owner != place)
		owner_due(relay, owners, place);
	if (!owner || stored->day < owner->day)
		return;
	/* The row that goes may have had more. */
	if (owner != place)
		owner_due(relay, owners, owner);
	if (stored->day > owner->day)
		memset(owner->counts, 0, sizeof(owner->counts));
	owner->day = stored->day;
	for (unsigned i = 0; i < RELAY_DAY_COUNT_CNT; i++) {
		uint64_t limit = relay_owners_limit(relay, owners, i);

		if (stored->counts[i] > owner->counts[i])
			owner->counts[i] = stored->counts[i];
		/* No more than is stored: the next count orders the next lease. */
		owner->leased[i] = owner->counts[i] > limit
					   ? STEP_SPENT
					   : (uint8_t)(owner->counts[i] / step_of(limit));
	}
}

static bool walk_next(struct store_iter *iter, struct store_item *item)
{
	return store_iter_next(iter, item) && item->key_len >= DAY_PREFIX_LEN &&
	       memcmp(item->key, DAY_PREFIX, DAY_PREFIX_LEN) == 0;
}

static void strays_delete(struct relay *relay, struct store_batch *batch)
{
	if (store_submit(relay->params.store, batch, days_done, relay) == 0)
		relay->is_saving_days = true;
	else
		store_batch_free(batch);
}

/*
 * Rows without a place, as relay.flow_cap was lowered, are of no use any more. So many of them go at
 * a start.
 */
int relay_days_load(struct relay *relay)
{
	struct store_batch *batch = NULL;
	struct store_iter iter;
	struct store_item item;
	unsigned stray_cnt = 0;

	if (!relay->params.store)
		return 0;
	iter = store_iter_fresh(relay->params.store, STORE_META,
				store_key(DAY_PREFIX, DAY_PREFIX_LEN));
	while (walk_next(&iter, &item)) {
		struct stored_day stored = {.key = NULL};

		if (name_parse(relay, &item, &stored) == 0 && day_parse(&item, &stored) == 0) {
			day_load(relay, &stored);
			continue;
		}
		if (++stray_cnt > BATCH_CNT)
			continue;
		if (!batch)
			batch = store_batch_new(relay->params.store);
		store_batch_delete(batch, STORE_META, store_key(item.key, item.key_len));
	}
	if (batch)
		strays_delete(relay, batch);
	return store_iter_end(&iter);
}
