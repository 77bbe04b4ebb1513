/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Grants and their ledger. Forwarding takes a grant's volume out of its row
 * by an atomic; home puts it there as leases of about a second. A lease is
 * durable before it is handed out and counts as used after a crash. So the
 * ledger never says less than went, and at most a lease more. The rest at a
 * clean stop is taken back. One batch for all grants at a time. Home.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/container_of.h"
#include "base/random.h"
#include "base/byte_cursor.h"
#include "codec/cbor.h"
#include "codec/text/hex.h"
#include "relay_state.h"
#include "store/store.h"

#define LEDGER_PREFIX	  "relay-grant:"
#define LEDGER_KEY_CAP	  (sizeof(LEDGER_PREFIX) + 2 * RELAY_GRANT_LEN)
#define LEDGER_RECORD_CAP 32
#define LEDGER_LEN_MAX	  (1ull << 60)

/* A lease of a grant without a rate begins at this and follows what it uses. */
#define LEASE_MIN (1ull << 20)
#define LEASE_MAX (1ull << 32)
/* Less of a month is no packet's worth: the month is spent. */
#define PACKET_LEN_MAX 1500

/* A lease on its way into the store. */
struct relay_lease {
	uint32_t row;
	uint64_t month, leased_len;
};

struct relay_grant *relay_grant_at(const struct relay *relay, unsigned row)
{
	return row && row < WEFT_RELAY_GRANT_CNT ? &relay->grants[row] : NULL;
}

static uint32_t row_of(const struct relay *relay, const struct relay_grant *grant)
{
	return (uint32_t)(grant - relay->grants);
}

static __s64 *volume_of(const struct relay *relay, const struct relay_grant *grant)
{
	return &relay->tables.grants[row_of(relay, grant)].volume_left;
}

/* Below zero only while a refused datagram's bytes are on their way back. */
static uint64_t volume_left(const struct relay *relay, const struct relay_grant *grant)
{
	__s64 left = __atomic_load_n(volume_of(relay, grant), __ATOMIC_ACQUIRE);

	return left > 0 ? (uint64_t)left : 0;
}

/* The volume in the row comes back to the month. */
static void volume_withdraw(struct relay *relay, struct relay_grant *grant)
{
	uint64_t left = volume_left(relay, grant);

	__atomic_fetch_sub(volume_of(relay, grant), (__s64)left, __ATOMIC_ACQ_REL);
	grant->month.handed_len -= left;
}

static void volume_hand(struct relay *relay, struct relay_grant *grant)
{
	uint64_t len = grant->month.leased_len - grant->month.handed_len;

	grant->month.handed_len += len;
	__atomic_fetch_add(volume_of(relay, grant), (__s64)len, __ATOMIC_ACQ_REL);
}

static uint64_t used_of(const struct relay *relay, const struct relay_grant *grant)
{
	return grant->month.handed_len - volume_left(relay, grant);
}

/* Months since 1970, of UTC. */
static uint64_t month_number(uint64_t wall_s)
{
	time_t at = (time_t)wall_s;
	struct tm utc;

	return gmtime_r(&at, &utc) ? (uint64_t)(utc.tm_year - 70) * 12 + (uint64_t)utc.tm_mon : 0;
}

/* --- rows in the store --- */

static struct store_key ledger_key(const struct relay_grant *grant, char text[LEDGER_KEY_CAP])
{
	memcpy(text, LEDGER_PREFIX, sizeof(LEDGER_PREFIX) - 1);
	hex_write(grant->terms.id, RELAY_GRANT_LEN, text + sizeof(LEDGER_PREFIX) - 1);
	return store_key(text, LEDGER_KEY_CAP - 1);
}

static void ledger_put(struct store_batch *batch, const struct relay_grant *grant,
		       const struct relay_lease *lease)
{
	uint8_t record[LEDGER_RECORD_CAP];
	struct writer w = writer_of(record, sizeof(record));
	char text[LEDGER_KEY_CAP];

	cbor_write_array(&w, 2);
	cbor_write_uint(&w, lease->month);
	cbor_write_uint(&w, lease->leased_len);
	store_batch_put(batch, STORE_META, ledger_key(grant, text), record, writer_len(&w));
}

static int ledger_parse(const void *record, size_t len, struct relay_month *out_month)
{
	struct relay_month month = {.number = 0};
	struct cbor_reader r;

	cbor_reader_init(&r, record, len);
	if (cbor_enter_array(&r) != 2)
		return WEFT_EMALFORMED;
	if (cbor_next(&r))
		month.number = cbor_read_uint_max(&r, UINT32_MAX);
	if (cbor_next(&r))
		month.leased_len = cbor_read_uint_max(&r, LEDGER_LEN_MAX);
	(void)cbor_next(&r);
	if (cbor_reader_finish(&r) < 0)
		return WEFT_EMALFORMED;
	month.handed_len = month.leased_len;
	*out_month = month;
	return 0;
}

/*
 * The leased volume counts as used. A row that cannot be read is the store's
 * fault, and an error.
 */
static int ledger_load(struct relay *relay, struct relay_grant *grant)
{
	struct store_snapshot *snapshot;
	char text[LEDGER_KEY_CAP];
	const void *record;
	size_t len;
	int err;

	if (!relay->params.store)
		return 0;
	err = store_snapshot_open(relay->params.store, &snapshot);
	if (err < 0)
		return err;
	err = store_get(snapshot, STORE_META, ledger_key(grant, text), &record, &len);
	if (err == 0)
		err = ledger_parse(record, len, &grant->month);
	store_snapshot_close(snapshot);
	return err == WEFT_EABSENT ? 0 : err;
}

/* --- leases --- */

static void grant_set_slow(struct relay *relay, struct relay_grant *grant, bool is_slow)
{
	struct list_node *node;

	if (grant->is_slow == is_slow)
		return;
	grant->is_slow = is_slow;
	for (node = grant->flows.next; node != &grant->flows; node = node->next)
		relay_flow_set_slow(relay, container_of(node, struct relay_flow, link), is_slow);
}

/*
 * A later month begins at nothing; of a clock that was put back the later one goes on. By more than a
 * month it was wrong before: what went counts for this month, or none would begin for long.
 */
static void month_enter(struct relay *relay, struct relay_grant *grant)
{
	uint64_t number = month_number(relay->wall_s);

	if (number + 1 < grant->month.number)
		grant->month.number = number;
	if (number <= grant->month.number)
		return;
	/* A lease of the month before is void: what is used from now on is durable under the new one. */
	volume_withdraw(relay, grant);
	grant->month = (struct relay_month){.number = number};
	grant_set_slow(relay, grant, false);
}

/* Bytes that the row should have at most: those of about a second. */
static uint64_t lease_len(const struct relay *relay, const struct relay_grant *grant)
{
	const struct list_node *node;
	uint64_t cnt = 0;

	if (!grant->is_slow)
		return grant->terms.per_s ? grant->terms.per_s : grant->lease_len;
	for (node = grant->flows.next; node != &grant->flows; node = node->next)
		cnt++;
	/* A burst of each, or no datagram ever fits. */
	return cnt * (relay->params.config.slow_per_s + 2 * PACKET_LEN_MAX);
}

static bool month_is_spent(const struct relay *relay, const struct relay_grant *grant)
{
	return grant->terms.month_len && grant->month.leased_len >= grant->terms.month_len &&
	       volume_left(relay, grant) < PACKET_LEN_MAX;
}

/* The bytes that should be leased by now; false: as many are. */
static bool lease_wanted(struct relay *relay, struct relay_grant *grant, uint64_t *out_len)
{
	uint64_t want = lease_len(relay, grant), left = volume_left(relay, grant);
	uint64_t leased = used_of(relay, grant) + want;

	if (!grant->is_open) { /* what is not used is given back */
		*out_len = grant->month.handed_len;
		return grant->month.leased_len != grant->month.handed_len;
	}
	if (left >= want / 2)
		return false;
	/* Without a rate: as much as went in the time of this one, and again. */
	if (!grant->terms.per_s && left == 0 && grant->lease_len < LEASE_MAX)
		grant->lease_len *= 2;
	if (grant->terms.month_len && !grant->is_slow && leased > grant->terms.month_len)
		leased = grant->terms.month_len;
	*out_len = leased;
	return leased > grant->month.handed_len;
}

static void leases_done(void *arg, int err)
{
	struct relay *relay = arg;

	relay->is_storing = false;
	for (uint32_t i = 0; i < relay->lease_cnt; i++) {
		const struct relay_lease *lease = &relay->leases[i];
		struct relay_grant *grant = &relay->grants[lease->row];

		/* One that failed is asked for again by the next turn: nothing goes until then. */
		if (err < 0 || grant->month.number != lease->month)
			continue;
		grant->month.leased_len = lease->leased_len;
		relay->stats.lease_cnt++;
		if (grant->is_open)
			volume_hand(relay, grant);
	}
}

/*
 * Collects the leases that are wanted and not durable yet; one that was durable
 * before is handed out at once.
 */
static void leases_collect(struct relay *relay)
{
	relay->lease_cnt = 0;
	for (uint32_t row = 1; row < relay->grant_cap; row++) {
		struct relay_grant *grant = &relay->grants[row];
		uint64_t wanted;

		if (!lease_wanted(relay, grant, &wanted))
			continue;
		if (grant->is_open && wanted <= grant->month.leased_len)
			volume_hand(relay, grant);
		else
			relay->leases[relay->lease_cnt++] =
				(struct relay_lease){row, grant->month.number, wanted};
	}
}

static void leases_renew(struct relay *relay)
{
	struct store *store = relay->params.store;
	struct store_batch *batch;

	if (relay->is_storing)
		return;
	leases_collect(relay);
	if (!relay->lease_cnt)
		return;
	if (!store) {
		leases_done(relay, 0);
		return;
	}
	batch = store_batch_new(store);
	for (uint32_t i = 0; i < relay->lease_cnt; i++)
		ledger_put(batch, &relay->grants[relay->leases[i].row], &relay->leases[i]);
	relay->is_storing = true;
	if (store_submit(store, batch, leases_done, relay) == 0)
		return;
	relay->is_storing = false;
	store_batch_free(batch);
}

void relay_grants_turn(struct relay *relay)
{
	for (unsigned row = 1; row < relay->grant_cap; row++) {
		struct relay_grant *grant = &relay->grants[row];

		if (!grant->is_open)
			continue;
		month_enter(relay, grant);
		if (month_is_spent(relay, grant))
			grant_set_slow(relay, grant, true);
	}
	leases_renew(relay);
}

void relay_grants_settle(struct relay *relay)
{
	if (!relay->grants || !relay->params.store)
		return;
	for (unsigned row = 1; row < relay->grant_cap; row++) {
		if (relay->grants[row].is_open)
			volume_withdraw(relay, &relay->grants[row]);
		relay->grants[row].is_open = false;
	}
	/* A lease on its way is durable first, and then taken back. */
	store_flush(relay->params.store);
	leases_renew(relay);
	store_flush(relay->params.store);
}

/* --- opening --- */

int relay_grants_init(struct relay *relay)
{
	uint64_t secret[2];

	random_fill(relay->params.random, secret, sizeof(secret));
	relay->grants = arena_alloc(&relay->arena, WEFT_RELAY_GRANT_CNT * sizeof(*relay->grants));
	relay->leases = arena_alloc(&relay->arena, WEFT_RELAY_GRANT_CNT * sizeof(*relay->leases));
	relay->grant_cap = 1;
	if (!relay->grants || !relay->leases)
		return WEFT_EFULL;
	return map_init(&relay->grant_rows, &relay->arena, RELAY_GRANT_LEN, WEFT_RELAY_GRANT_CNT,
			secret);
}

/* A row never used, or one of a closed grant whose ledger is settled. NULL: all are in use. */
static struct relay_grant *grant_free_row(struct relay *relay)
{
	if (relay->grant_cap < WEFT_RELAY_GRANT_CNT)
		return &relay->grants[relay->grant_cap++];
	for (unsigned row = 1; row < WEFT_RELAY_GRANT_CNT; row++) {
		struct relay_grant *grant = &relay->grants[row];

		if (grant->is_open || relay->is_storing ||
		    grant->month.leased_len != grant->month.handed_len)
			continue;
		(void)map_delete(&relay->grant_rows, grant->terms.id);
		return grant;
	}
	return NULL;
}

static int grant_add(struct relay *relay, const struct relay_grant_terms *terms,
		     struct relay_grant **out_grant)
{
	struct relay_grant *grant = grant_free_row(relay);
	int err;

	if (!grant)
		return WEFT_EFULL;
	*grant = (struct relay_grant){.terms = *terms, .lease_len = LEASE_MIN};
	list_init(&grant->flows);
	err = ledger_load(relay, grant);
	if (err == 0)
		err = map_put(&relay->grant_rows, grant->terms.id, grant);
	/* A later row may be this grant's: this one, free again, must not take it out of the map. */
	if (err < 0)
		memset(grant->terms.id, 0, sizeof(grant->terms.id));
	*out_grant = grant;
	return err;
}

/* The row's rate: two words that a reader may see apart for a moment, and no more than that. */
static void row_set_rate(struct relay *relay, const struct relay_grant *grant)
{
	struct weft_relay_grant *row = &relay->tables.grants[row_of(relay, grant)];

	row->rate = weft_relay_rate(grant->terms.per_s, grant->terms.burst_len);
}

int relay_grant_open(struct relay *relay, const struct relay_grant_terms *terms)
{
	struct relay_grant *grant = map_lookup(&relay->grant_rows, terms->id);
	int err = grant ? 0 : grant_add(relay, terms, &grant);

	if (err < 0)
		return err;
	relay->stats.grant_cnt += !grant->is_open;
	grant->terms = *terms;
	grant->is_open = true;
	row_set_rate(relay, grant);
	month_enter(relay, grant);
	if (!terms->month_len || used_of(relay, grant) < terms->month_len)
		grant_set_slow(relay, grant, false);
	leases_renew(relay);
	return (int)row_of(relay, grant);
}

void relay_grant_close(struct relay *relay, unsigned row)
{
	struct relay_grant *grant = relay_grant_at(relay, row);

	if (!grant || !grant->is_open)
		return;
	while (!list_is_empty(&grant->flows))
		relay_flow_end(relay, container_of(grant->flows.next, struct relay_flow, link),
			       RELAY_CLOSED_GRANT);
	volume_withdraw(relay, grant);
	grant->is_open = false;
	leases_renew(relay);
	relay->stats.grant_cnt--;
}

int relay_grant_used(const struct relay *relay, unsigned row, uint64_t *out_len)
{
	const struct relay_grant *grant = relay_grant_at(relay, row);

	if (!grant || row >= relay->grant_cap)
		return WEFT_EABSENT;
	*out_len = used_of(relay, grant);
	return 0;
}

uint32_t relay_grant_flow_cnt(const struct relay *relay, unsigned row)
{
	const struct relay_grant *grant = relay_grant_at(relay, row);

	return grant && grant->is_open ? grant->flow_cnt : 0;
}

unsigned relay_grant_row(const struct relay *relay, const uint8_t id[static RELAY_GRANT_LEN])
{
	const struct relay_grant *grant = map_lookup(&relay->grant_rows, id);

	return grant && grant->is_open ? row_of(relay, grant) : RELAY_NO_GRANT;
}

const uint8_t *relay_grant_id_at(const struct relay *relay, unsigned row)
{
	const struct relay_grant *grant = relay_grant_at(relay, row);

	return grant && grant->is_open ? grant->terms.id : NULL;
}
