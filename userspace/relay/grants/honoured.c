/* SPDX-License-Identifier: Apache-2.0 */
#include "honoured.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/store.h"

#define REVOKED_KEY "relay-revoked"

/* A row of the relay that an honoured grant has. */
struct honoured_row {
	uint64_t serial; /* 0: none */
	uint64_t expires_s;
};

struct relay_honoured {
	struct relay_honoured_params params;
	uint8_t operator_key[32];
	struct relay_revocations list;
	uint8_t list_bytes[RELAY_REVOCATIONS_LEN_MAX]; /* of list */
	size_t list_len;
	uint64_t turned_s;
	struct honoured_row rows[WEFT_RELAY_GRANT_CNT];
};

/* --- life --- */

/* bytes were parsed to list. */
static void list_set(struct relay_honoured *honoured, const struct relay_revocations *list,
		     const void *bytes, size_t len)
{
	honoured->list = *list;
	memcpy(honoured->list_bytes, bytes, len);
	honoured->list_len = len;
}

/* A list of the operator that was named before is left out. */
static int list_load(struct relay_honoured *honoured)
{
	struct relay_revocations *list = calloc(1, sizeof(*list));
	struct store_snapshot *snapshot;
	const void *record;
	size_t len;
	int err;

	if (!list)
		return -ENOMEM;
	err = store_snapshot_open(honoured->params.store, &snapshot);
	if (err == 0) {
		err = store_get(snapshot, STORE_META,
				store_key(REVOKED_KEY, sizeof(REVOKED_KEY) - 1), &record, &len);
		if (err == 0)
			err = relay_revocations_parse(record, len, list);
		if (err == 0 && memcmp(list->issuer, honoured->operator_key,
				       sizeof(honoured->operator_key)) == 0)
			list_set(honoured, list, record, len);
		store_snapshot_close(snapshot);
	}
	free(list);
	return err == WEFT_EABSENT ? 0 : err;
}

int relay_honoured_new(const struct relay_honoured_params *params,
		       struct relay_honoured **out_honoured)
{
	struct relay_honoured *honoured = calloc(1, sizeof(*honoured));
	int err;

	if (!honoured)
		return -ENOMEM;
	honoured->params = *params;
	memcpy(honoured->operator_key, params->operator_key, sizeof(honoured->operator_key));
	err = params->store ? list_load(honoured) : 0;
	if (err < 0) {
		free(honoured);
		return err;
	}
	*out_honoured = honoured;
	return 0;
}

void relay_honoured_free(struct relay_honoured *honoured)
{
	free(honoured);
}

/* --- rows --- */

static void row_close(struct relay_honoured *honoured, unsigned row)
{
	honoured->rows[row].serial = 0;
	relay_grant_close(honoured->params.relay, row);
}

void relay_honoured_turn(struct relay_honoured *honoured, uint64_t wall_s)
{
	if (wall_s == honoured->turned_s)
		return;
	honoured->turned_s = wall_s;
	for (unsigned row = 1; row < WEFT_RELAY_GRANT_CNT; row++)
		if (honoured->rows[row].serial && honoured->rows[row].expires_s <= wall_s)
			row_close(honoured, row);
}

/* A grant without flows loses nothing by its row: the ledger keeps its volume. */
static bool room_make(struct relay_honoured *honoured)
{
	for (unsigned row = 1; row < WEFT_RELAY_GRANT_CNT; row++)
		if (honoured->rows[row].serial &&
		    !relay_grant_flow_cnt(honoured->params.relay, row)) {
			row_close(honoured, row);
			return true;
		}
	return false;
}

static enum relay_grant_fault row_open(struct relay_honoured *honoured,
				       const struct relay_shown *shown, unsigned *out_row)
{
	const struct relay_grant_record *grant = &shown->grant;
	struct relay_grant_terms terms = {
		.per_s = grant->per_s,
		.burst_len = grant->burst_len,
		.month_len = grant->month_len,
		.flow_max = grant->flow_max,
	};
	int row;

	relay_grant_id(grant, terms.id);
	row = relay_grant_open(honoured->params.relay, &terms);
	if (row == WEFT_EFULL && room_make(honoured))
		row = relay_grant_open(honoured->params.relay, &terms);
	if (row < 0)
		return row == WEFT_EFULL ? RELAY_GRANT_FULL : RELAY_GRANT_STORE;
	honoured->rows[row] = (struct honoured_row){grant->serial, grant->expires_s};
	*out_row = (unsigned)row;
	if (relay_grant_flow_cnt(honoured->params.relay, *out_row) >= grant->flow_max)
		return RELAY_GRANT_FLOWS;
	return RELAY_GRANT_FINE;
}

/* --- showing --- */

enum relay_grant_fault relay_honoured_show(struct relay_honoured *honoured,
					   const struct relay_showing *showing, uint64_t wall_s,
					   unsigned *out_row)
{
	const struct relay_grant_place place = {.issuer = honoured->operator_key,
						.relay = honoured->params.own_key,
						.user = showing->user,
						.wall_s = wall_s};
	struct relay_shown shown;
	enum relay_grant_fault fault;

	if (relay_shown_parse(showing->bytes, showing->len, &shown) < 0)
		return RELAY_GRANT_MALFORMED;
	fault = relay_shown_judge(&shown, &place);
	if (fault != RELAY_GRANT_FINE)
		return fault;
	if (relay_revocations_have(&honoured->list, shown.grant.serial))
		return RELAY_GRANT_REVOKED;
	if (showing->is_content && !shown.grant.is_content)
		return RELAY_GRANT_CONTENT;
	if (relay_shown_verify(&shown) < 0)
		return RELAY_GRANT_FORGED;
	return row_open(honoured, &shown, out_row);
}

/* --- revoking --- */

static void list_enforce(struct relay_honoured *honoured, const struct relay_revocations *list)
{
	for (unsigned row = 1; row < WEFT_RELAY_GRANT_CNT; row++)
		if (honoured->rows[row].serial &&
		    relay_revocations_have(list, honoured->rows[row].serial))
			row_close(honoured, row);
}

static int list_store(struct relay_honoured *honoured, const void *bytes, size_t len,
		      relay_revoke_fn done, void *arg)
{
	struct store *store = honoured->params.store;
	struct store_batch *batch;
	int err;

	if (!store) {
		done(arg, 0);
		return 0;
	}
	batch = store_batch_new(store);
	store_batch_put(batch, STORE_META, store_key(REVOKED_KEY, sizeof(REVOKED_KEY) - 1), bytes,
			len);
	err = store_submit(store, batch, done, arg);
	if (err < 0)
		store_batch_free(batch);
	return err;
}

static int list_judge(const struct relay_honoured *honoured, const struct relay_revocations *list)
{
	if (memcmp(list->issuer, honoured->operator_key, sizeof(honoured->operator_key)) != 0)
		return WEFT_EWRONGKEY;
	return list->serial <= honoured->list.serial ? WEFT_EEXISTS : 0;
}

int relay_honoured_revoke(struct relay_honoured *honoured, const void *bytes, size_t len,
			  relay_revoke_fn done, void *arg)
{
	struct relay_revocations *list = calloc(1, sizeof(*list));
	int err;

	if (!list)
		return -ENOMEM;
	if ((err = relay_revocations_parse(bytes, len, list)) == 0 &&
	    (err = list_judge(honoured, list)) == 0 &&
	    (err = list_store(honoured, bytes, len, done, arg)) == 0) {
		list_set(honoured, list, bytes, len);
		list_enforce(honoured, list);
	}
	free(list);
	return err;
}

const struct relay_revocations *relay_honoured_list(const struct relay_honoured *honoured)
{
	return &honoured->list;
}

const uint8_t *relay_honoured_list_bytes(const struct relay_honoured *honoured, size_t *out_len)
{
	*out_len = honoured->list_len;
	return honoured->list_bytes;
}
