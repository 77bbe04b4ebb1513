/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of receipts, and its rows in the store. A row is stored with the network that pays for
 * it: after a restart shares are what they were. Its address is not kept, nor any time of a flow.
 */
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "base/random.h"
#include "codec/cbor.h"
#include "codec/text/hex.h"
#include "crypto/node_key.h"
#include "receipts_state.h"
#include "store/store.h"

#define ROW_PREFIX     "relay-receipt:"
#define ROW_PREFIX_LEN (sizeof(ROW_PREFIX) - 1)
#define ROW_NAME_LEN   (4 + 1 + MESH_KEY_LEN) /* month, side, party */
#define ROW_KEY_CAP    (sizeof(ROW_PREFIX) + 2 * ROW_NAME_LEN)
#define ROW_RECORD_CAP (RELAY_RECEIPT_LEN_MAX + 32u)
#define SAVE_CNT_MAX   64u

static const struct fair_config pool = {
	.name = "relay receipts",
	.kind = FAIR_LASTING,
	.level_cnt = FAIR_PEER_LEVELS,
	.parts = FAIR_PEER_PARTS,
};

int relay_receipts_rows_init(struct relay_receipts *receipts)
{
	uint32_t cap = receipts->params.config.row_cap;
	struct fair_config config = pool;
	uint64_t secret[2];
	int err;

	config.cap_cnt = cap;
	random_fill(receipts->params.random, secret, sizeof(secret));
	receipts->rows = arena_alloc(&receipts->arena, (cap + 1) * sizeof(*receipts->rows));
	if (!receipts->rows)
		return WEFT_EFULL;
	if ((err = fair_places_init(&receipts->places, &receipts->arena, &config)) < 0 ||
	    (err = map_init(&receipts->names, &receipts->arena, sizeof(struct receipt_name),
			    cap + 1, secret)) < 0)
		return err;
	receipts->places.paths.site = receipts->params.site;
	for (uint32_t i = 0; i <= cap; i++)
		list_push_back(&receipts->free_rows, &receipts->rows[i].link);
	return 0;
}

/* --- the store --- */

static struct store_key row_key(const struct receipt_name *name, char text[ROW_KEY_CAP])
{
	uint8_t bytes[ROW_NAME_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	writer_be32(&w, name->month);
	writer_u8(&w, (uint8_t)name->side);
	writer_bytes(&w, name->party, sizeof(name->party));
	memcpy(text, ROW_PREFIX, ROW_PREFIX_LEN);
	hex_write(bytes, sizeof(bytes), text + ROW_PREFIX_LEN);
	return store_key(text, ROW_KEY_CAP - 1);
}

static void row_put(struct store_batch *batch, const struct receipt_row *row)
{
	uint8_t record[ROW_RECORD_CAP];
	struct writer w = writer_of(record, sizeof(record));
	char text[ROW_KEY_CAP];

	cbor_write_array(&w, 3);
	cbor_write_bytes(&w, row->bytes, row->len);
	cbor_write_uint(&w, row->addr.family);
	cbor_write_bytes(&w, row->addr.ip, sizeof(row->addr.ip));
	store_batch_put(batch, STORE_META, row_key(&row->name, text), record, writer_len(&w));
}

static void row_dirty(struct receipt_row *row, bool is_dirty)
{
	if (row->is_dirty == is_dirty || !row->receipts->params.store)
		return;
	row->is_dirty = is_dirty;
	row->receipts->dirty_cnt += is_dirty ? 1 : -1u;
}

/* Rows of a batch that failed are written again with the next one. */
static void saving_end(struct relay_receipts *receipts, int err)
{
	for (uint32_t i = 0; i <= receipts->params.config.row_cap; i++) {
		struct receipt_row *row = &receipts->rows[i];

		if (!row->is_used || !row->is_on_way)
			continue;
		row->is_on_way = false;
		if (err < 0) {
			row_dirty(row, true);
			receipts->stats.unsaved_cnt++;
		}
	}
}

static void on_saved(void *arg, int err)
{
	struct relay_receipts *receipts = arg;

	receipts->is_saving = false;
	saving_end(receipts, err);
}

static void on_deleted(void *arg, int err)
{
	/* One that could not be deleted is a row again after a restart, and goes for its age. */
	(void)arg, (void)err;
}

static void row_delete(struct relay_receipts *receipts, const struct receipt_row *row)
{
	struct store *store = receipts->params.store;
	struct store_batch *batch;
	char text[ROW_KEY_CAP];

	if (!store || !row->len)
		return;
	batch = store_batch_new(store);
	store_batch_delete(batch, STORE_META, row_key(&row->name, text));
	if (store_submit(store, batch, on_deleted, NULL) < 0)
		store_batch_free(batch);
}

static void dirty_put(struct relay_receipts *receipts, struct store_batch *batch)
{
	unsigned cnt = 0;

	for (uint32_t i = 0; i <= receipts->params.config.row_cap && cnt < SAVE_CNT_MAX; i++) {
		struct receipt_row *row = &receipts->rows[i];

		if (!row->is_used || !row->is_dirty)
			continue;
		row_put(batch, row);
		row_dirty(row, false);
		row->is_on_way = true;
		cnt++;
	}
}

/*
 * A receipt that is not stored when the process is killed is not lost. The other signer has it: an
 * owner shows it with its next claim, a relay gives it for the next.
 */
void relay_receipts_rows_save(struct relay_receipts *receipts)
{
	struct store *store = receipts->params.store;
	struct store_batch *batch;
	int err;

	if (!receipts->dirty_cnt || receipts->is_saving || !store)
		return;
	batch = store_batch_new(store);
	dirty_put(receipts, batch);
	receipts->is_saving = true;
	err = store_submit(store, batch, on_saved, receipts);
	if (err == 0)
		return;
	store_batch_free(batch);
	on_saved(receipts, err);
}

/* --- rows --- */

static struct receipt_name name_of(enum relay_receipt_side side, const uint8_t *party,
				   uint32_t month)
{
	struct receipt_name name = {.month = month, .side = side};

	memcpy(name.party, party, sizeof(name.party));
	return name;
}

struct receipt_row *relay_receipts_row_find(const struct relay_receipts *receipts,
					    enum relay_receipt_side side, const uint8_t *party,
					    uint32_t month)
{
	const struct receipt_name name = name_of(side, party, month);

	return map_lookup(&receipts->names, &name);
}

/* Its share is given back already. */
static void row_vacate(struct relay_receipts *receipts, struct receipt_row *row)
{
	if (row->request)
		receipts->params.mesh.ops->cancel(row->request);
	row->request = NULL;
	row_dirty(row, false);
	row_delete(receipts, row);
	(void)map_delete(&receipts->names, &row->name);
	row->is_used = false;
	list_unlink(&row->link);
	list_push_back(&receipts->free_rows, &row->link);
	receipts->stats.row_cnt--;
}

static void row_free(struct relay_receipts *receipts, struct receipt_row *row)
{
	fair_release(&receipts->places.fair, &row->share, receipts->now_ns);
	row_vacate(receipts, row);
}

static struct fair_path path_of(const struct relay_receipts *receipts,
				const struct receipt_name *name, const struct addr *addr)
{
	const struct relay_receipts_params *params = &receipts->params;
	enum fair_class class = FAIR_UNKNOWN;
	struct fair_path path;

	/* This node chose the relays that it opens flows at. */
	if (name->side == RELAY_SIDE_OWNER)
		class = FAIR_CHOSEN;
	else if (params->class_of)
		class = params->class_of(params->ctx, name->party);
	fair_path_of_addr(&receipts->places.paths, addr, class, &path);
	fair_path_add(&receipts->places.paths, &path, name->party, sizeof(name->party));
	return path;
}

static struct receipt_row *row_take(struct relay_receipts *receipts,
				    const struct receipt_name *name, const struct addr *addr)
{
	struct receipt_row *row = list_first(&receipts->free_rows, struct receipt_row, link);
	struct fair_path path = path_of(receipts, name, addr);
	struct fair_item *victim;

	row->share = (struct fair_item){.leaf = NULL};
	switch (fair_take(&receipts->places.fair, &path, &row->share, receipts->now_ns, &victim)) {
	case FAIR_TAKEN:
		break;
	case FAIR_TAKEN_FROM:
		receipts->stats.evicted_cnt++;
		row_vacate(receipts, (struct receipt_row *)victim);
		break;
	case FAIR_BUSY:
		return NULL;
	}
	list_unlink(&row->link);
	*row = (struct receipt_row){.share = row->share,
				    .receipts = receipts,
				    .name = *name,
				    .addr = *addr,
				    .is_used = true};
	list_push_back(&receipts->sides[name->side], &row->link);
	receipts->stats.row_cnt++;
	if (map_put(&receipts->names, &row->name, row) == 0)
		return row;
	row_free(receipts, row);
	return NULL;
}

/* A /24 or a /48: what is one network to fair shares. */
static void addr_blur(struct addr *addr)
{
	size_t keep = addr->family == ADDR_IPV4 ? 3 : 6;

	memset(addr->ip + keep, 0, sizeof(addr->ip) - keep);
	addr->port = 0;
	addr->scope_id = 0;
	addr->transport = ADDR_UDP;
}

struct receipt_row *relay_receipts_row_make(struct relay_receipts *receipts,
					    enum relay_receipt_side side, const uint8_t *party,
					    uint32_t month)
{
	const struct receipt_name name = name_of(side, party, month);
	struct receipt_row *row = map_lookup(&receipts->names, &name);
	struct mesh_path path = {.received_len = 0};

	if (row)
		return row;
	if (!receipts->params.neighbours->path(receipts->params.mesh.mesh, party, &path))
		path.remote = (struct addr){.family = ADDR_NONE};
	addr_blur(&path.remote);
	return row_take(receipts, &name, &path.remote);
}

void relay_receipts_row_set(struct receipt_row *row, const uint8_t *bytes, size_t len,
			    const struct relay_receipt *receipt)
{
	row->len = (uint16_t)len;
	memcpy(row->bytes, bytes, len);
	row->serial = receipt->claim.serial;
	row->total = relay_receipt_total(receipt);
	row->made_s = receipt->made_s;
	row_dirty(row, true);
}

/* --- loading --- */

struct stored_row {
	const uint8_t *bytes;
	size_t len;
	struct addr addr;
};

static int stored_parse(const struct store_item *item, struct stored_row *out)
{
	struct stored_row stored = {.len = 0};
	const uint8_t *ip = NULL;
	struct cbor_reader r;
	size_t ip_len = 0;

	cbor_reader_init(&r, item->value, item->value_len);
	if (cbor_enter_array(&r) != 3)
		return WEFT_EMALFORMED;
	if (cbor_next(&r))
		stored.bytes = cbor_read_bytes(&r, &stored.len);
	if (cbor_next(&r))
		stored.addr.family = (uint8_t)cbor_read_uint_max(&r, ADDR_IPV6);
	if (cbor_next(&r))
		ip = cbor_read_bytes(&r, &ip_len);
	(void)cbor_next(&r);
	if (cbor_reader_finish(&r) < 0 || ip_len != sizeof(stored.addr.ip))
		return WEFT_EMALFORMED;
	memcpy(stored.addr.ip, ip, ip_len);
	*out = stored;
	return 0;
}

/* Its key says no more than the receipt does. */
static void row_load(struct relay_receipts *receipts, const struct store_item *item)
{
	const uint8_t *own = node_key_public(receipts->params.key);
	struct relay_receipt receipt;
	struct stored_row stored;
	enum relay_receipt_side side;
	struct receipt_name name;
	struct receipt_row *row;

	if (stored_parse(item, &stored) < 0 ||
	    relay_receipt_parse(stored.bytes, stored.len, &receipt) < 0)
		return;
	side = memcmp(receipt.relay, own, MESH_KEY_LEN) == 0 ? RELAY_SIDE_RELAY : RELAY_SIDE_OWNER;
	/* Of another key that this state directory had. */
	if (side == RELAY_SIDE_OWNER && memcmp(receipt.claim.owner, own, MESH_KEY_LEN) != 0)
		return;
	name = name_of(side, side == RELAY_SIDE_RELAY ? receipt.claim.owner : receipt.relay,
		       receipt.claim.month);
	row = map_lookup(&receipts->names, &name) ? NULL : row_take(receipts, &name, &stored.addr);
	if (!row)
		return;
	relay_receipts_row_set(row, stored.bytes, stored.len, &receipt);
	row_dirty(row, false);
}

int relay_receipts_rows_load(struct relay_receipts *receipts)
{
	struct store_iter iter;
	struct store_item item;

	if (!receipts->params.store)
		return 0;
	iter = store_iter_fresh(receipts->params.store, STORE_META,
				store_key(ROW_PREFIX, ROW_PREFIX_LEN));
	while (store_iter_next(&iter, &item)) {
		if (item.key_len < ROW_PREFIX_LEN ||
		    memcmp(item.key, ROW_PREFIX, ROW_PREFIX_LEN) != 0)
			break;
		row_load(receipts, &item);
	}
	return store_iter_end(&iter);
}

/* --- months --- */

void relay_receipts_row_hand_over(struct relay_receipts *receipts, struct receipt_row *row)
{
	const struct receipt_name name = row->name;
	const struct relay_count pending = row->pending;
	uint64_t since_ns = row->since_ns;
	struct receipt_row *next;

	if (name.month >= receipts->month || row->claim_len || (!pending.sent && !pending.received))
		return;
	row->pending = (struct relay_count){.sent = 0};
	next = relay_receipts_row_make(receipts, name.side, name.party, receipts->month);
	if (!next) {
		receipts->stats.homeless_cnt++;
		return;
	}
	if (!next->since_ns)
		next->since_ns = since_ns;
	next->pending.sent += pending.sent;
	next->pending.received += pending.received;
}

/*
 * A clock that is put forward by a year takes all receipts along. It is the machine's clock that is
 * wrong then, by which certificates and grants have ended as well.
 */
void relay_receipts_rows_enter_month(struct relay_receipts *receipts)
{
	for (uint32_t i = 0; i <= receipts->params.config.row_cap; i++) {
		struct receipt_row *row = &receipts->rows[i];

		if (!row->is_used || row->name.month >= receipts->month)
			continue;
		relay_receipts_row_hand_over(receipts, row);
		if (row->is_used && row->name.month + RELAY_RECEIPT_MONTHS <= receipts->month) {
			receipts->stats.expired_cnt++;
			row_free(receipts, row);
		}
	}
}
