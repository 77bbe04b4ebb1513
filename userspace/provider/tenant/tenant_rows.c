/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rows of tenants in STORE_ROWS, under the prefix of their account (tenant_account.c) and the key.
 *
 * A tenant's fill is what its rows take when all its writes are durable. Writes become durable in
 * the order of their submits. So the row that an operation replaces is that of the newest
 * waiting write with that key, else that of the store. When a write fails, the next one with that
 * key replaces what the failed one would have replaced, and the fill follows.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/byte_cursor.h"
#include "base/siphash_bytes.h"
#include "provider/tenant/tenant_state.h"

#define ABSENT	     (-1)
#define OP_CAP_FIRST 8u

/* A key's row after a write. Lengths are of key and value; ABSENT: no row. */
struct row_op {
	uint64_t hash; /* of the key, under a secret: two keys never share one */
	size_t key_off;
	uint32_t key_len;
	bool is_void; /* a later one of the write has its key */
	int64_t old_len, new_len;
};

struct provider_write {
	struct list_node node;
	struct row_account *account;
	struct store_batch *batch;
	struct row_op *ops;
	unsigned op_cnt, op_cap;
	uint8_t *keys; /* in the store, one behind the other */
	size_t key_off, key_cap;
	uint32_t *slots; /* hash -> its operation's number, and 1; made by submit */
	size_t slot_cap; /* a power of two */
	int64_t row_delta, len_delta;
	int err; /* sticky */
	void (*done)(void *arg, int err);
	void *arg;
};

struct provider_walk {
	struct provider_tenant *tenant;
	struct store_iter iter;
	bool is_empty; /* there is no store */
	bool is_of_keys;
	uint8_t from[TENANT_KEY_CAP];
	size_t prefix_len; /* of from, that all keys have */
	int err;
};

size_t provider_walk_len(void)
{
	return sizeof(struct provider_walk);
}

static bool key_write(const struct row_account *account, const void *key, size_t key_len,
		      uint8_t out_key[TENANT_KEY_CAP])
{
	struct writer w = writer_of(out_key, TENANT_KEY_CAP);

	if (key_len > PROVIDER_ROW_KEY_LEN_MAX)
		return false;
	writer_bytes(&w, account->prefix, account->prefix_len);
	if (key_len)
		writer_bytes(&w, key, key_len);
	return true;
}

/* ---- collecting ---- */

struct provider_write *provider_write_new(struct provider_tenant *tenant)
{
	struct provider_write *write = calloc(1, sizeof(*write));

	if (!write)
		return NULL;
	list_init(&write->node);
	write->account = tenant->account;
	if (!tenant->declared.row_cnt_max || !tenant->node->params.store)
		write->err = WEFT_EREFUSED;
	else if (!(write->batch = store_batch_new(tenant->node->params.store)))
		write->err = -ENOMEM;
	return write;
}

void provider_write_free(struct provider_write *write)
{
	if (!write)
		return;
	store_batch_free(write->batch);
	free(write->ops);
	free(write->keys);
	free(write->slots);
	free(write);
}

/* room_make: an array of items of len has room for cnt of them. False: no memory. */
static bool room_make(void **array, size_t *cap, size_t cnt, size_t len)
{
	size_t wanted = *cap ? *cap : OP_CAP_FIRST;
	void *grown;

	while (wanted < cnt)
		wanted *= 2;
	if (wanted == *cap)
		return true;
	grown = realloc(*array, wanted * len);
	if (!grown)
		return false;
	*array = grown;
	*cap = wanted;
	return true;
}

/* op_add: its key, as the store has it; NULL: an error stands. */
static const uint8_t *op_add(struct provider_write *write, const void *key, size_t key_len,
			     int64_t value_len)
{
	uint8_t whole[TENANT_KEY_CAP];
	size_t op_cap = write->op_cap, len = write->account->prefix_len + key_len;
	struct row_op *op;

	if (!key_len || !key_write(write->account, key, key_len, whole) ||
	    value_len > (int64_t)PROVIDER_ROW_VALUE_LEN_MAX) {
		write->err = WEFT_ETOOLARGE;
		return NULL;
	}
	if (!room_make((void **)&write->ops, &op_cap, write->op_cnt + 1u, sizeof(*op)) ||
	    !room_make((void **)&write->keys, &write->key_cap, write->key_off + len, 1)) {
		write->err = -ENOMEM;
		return NULL;
	}
	write->op_cap = (unsigned)op_cap;
	op = &write->ops[write->op_cnt++];
	*op = (struct row_op){
		.hash = siphash(write->account->node->secret, whole, len),
		.key_off = write->key_off,
		.key_len = (uint32_t)len,
		.old_len = ABSENT,
		.new_len = value_len < 0 ? ABSENT : (int64_t)key_len + value_len,
	};
	memcpy(write->keys + write->key_off, whole, len);
	write->key_off += len;
	return write->keys + op->key_off;
}

void provider_write_put(struct provider_write *write, const void *key, size_t key_len,
			const void *value, size_t value_len)
{
	const uint8_t *whole;

	if (!write || write->err < 0)
		return;
	whole = op_add(write, key, key_len, (int64_t)value_len);
	if (whole)
		store_batch_put(write->batch, STORE_ROWS,
				store_key(whole, write->account->prefix_len + key_len), value,
				value_len);
}

void provider_write_delete(struct provider_write *write, const void *key, size_t key_len)
{
	const uint8_t *whole;

	if (!write || write->err < 0)
		return;
	whole = op_add(write, key, key_len, ABSENT);
	if (whole)
		store_batch_delete(write->batch, STORE_ROWS,
				   store_key(whole, write->account->prefix_len + key_len));
}

/* ---- the fill ---- */

/* slot_of: where the number of hash is, or belongs. */
static uint32_t *slot_of(const struct provider_write *write, uint64_t hash)
{
	size_t at = (size_t)hash & (write->slot_cap - 1);

	while (write->slots[at] && write->ops[write->slots[at] - 1].hash != hash)
		at = (at + 1) & (write->slot_cap - 1);
	return &write->slots[at];
}

static struct row_op *op_find(const struct provider_write *write, uint64_t hash)
{
	uint32_t number = write->slot_cap ? *slot_of(write, hash) : 0;

	return number ? &write->ops[number - 1] : NULL;
}

/* stored_len: old_len of op becomes the length of its row in the store, or ABSENT. */
static int stored_len(const struct provider_write *write, struct store_snapshot *snapshot,
		      struct row_op *op)
{
	int64_t len =
		store_len(snapshot, STORE_ROWS, store_key(write->keys + op->key_off, op->key_len));

	if (len >= 0)
		op->old_len = (int64_t)(op->key_len - write->account->prefix_len) + len;
	return len < 0 && len != WEFT_EABSENT ? (int)len : 0;
}

/* op_settle: what op replaces, in this write, in one that waits, or in the store. */
static int op_settle(struct provider_write *write, struct store_snapshot *snapshot,
		     struct row_op *op)
{
	const struct list_node *end = &write->account->writes;
	struct row_op *before = op_find(write, op->hash);

	if (before) {
		before->is_void = true;
		op->old_len = before->old_len;
		return 0;
	}
	for (const struct list_node *node = end->prev; node != end; node = node->prev) {
		before = op_find(container_of(node, struct provider_write, node), op->hash);
		if (before) {
			op->old_len = before->new_len;
			return 0;
		}
	}
	return stored_len(write, snapshot, op);
}

static int64_t row_of(int64_t len)
{
	return len != ABSENT;
}

static int64_t len_of(int64_t len)
{
	return len == ABSENT ? 0 : len;
}

static void deltas_sum(struct provider_write *write)
{
	write->row_delta = write->len_delta = 0;
	for (unsigned i = 0; i < write->op_cnt; i++) {
		const struct row_op *op = &write->ops[i];

		if (op->is_void)
			continue;
		write->row_delta += row_of(op->new_len) - row_of(op->old_len);
		write->len_delta += len_of(op->new_len) - len_of(op->old_len);
	}
}

/* write_settle finds what each operation replaces. 0 or -errno. */
static int write_settle(struct provider_write *write)
{
	struct store_snapshot *snapshot;
	size_t slot_cap = OP_CAP_FIRST;
	int err;

	while (slot_cap < 2u * (size_t)write->op_cnt)
		slot_cap *= 2;
	write->slots = calloc(slot_cap, sizeof(*write->slots));
	if (!write->slots)
		return -ENOMEM;
	write->slot_cap = slot_cap;
	err = store_snapshot_open(write->account->node->params.store, &snapshot);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < write->op_cnt && err == 0; i++) {
		err = op_settle(write, snapshot, &write->ops[i]);
		*slot_of(write, write->ops[i].hash) = i + 1;
	}
	store_snapshot_close(snapshot);
	deltas_sum(write);
	return err;
}

static bool is_beyond(uint64_t fill, int64_t delta, uint64_t max)
{
	return delta > 0 && fill + (uint64_t)delta > max;
}

static bool write_is_beyond(const struct provider_write *write)
{
	const struct row_account *account = write->account;
	const struct provider_declaration *declared = &account->tenant->declared;

	return is_beyond(account->row_cnt, write->row_delta, declared->row_cnt_max) ||
	       is_beyond(account->row_len, write->len_delta, declared->row_len_max);
}

static void fill_add(struct row_account *account, int64_t rows, int64_t len)
{
	account->row_cnt += (uint64_t)rows;
	account->row_len += (uint64_t)len;
}

/* op_undo: op was not stored; the next write with its key replaces what it would have. */
static void op_undo(struct provider_write *write, const struct row_op *op)
{
	const struct list_node *end = &write->account->writes;

	for (struct list_node *node = write->node.next; node != end; node = node->next) {
		struct row_op *next =
			op_find(container_of(node, struct provider_write, node), op->hash);

		if (!next)
			continue;
		next->old_len = op->old_len;
		return;
	}
	fill_add(write->account, row_of(op->old_len) - row_of(op->new_len),
		 len_of(op->old_len) - len_of(op->new_len));
}

static void write_done(void *arg, int err)
{
	struct provider_write *write = arg;
	struct row_account *account = write->account;
	void (*done)(void *arg, int err) = write->done;
	void *done_arg = write->arg;

	for (unsigned i = 0; err < 0 && i < write->op_cnt; i++)
		if (!write->ops[i].is_void)
			op_undo(write, &write->ops[i]);
	list_unlink(&write->node);
	account->write_cnt--;
	write->batch = NULL; /* the store took it */
	provider_write_free(write);
	provider_account_rest(account);
	if (done)
		done(done_arg, err);
}

int provider_write_submit(struct provider_write *write, void (*done)(void *arg, int err), void *arg)
{
	struct row_account *account;
	struct provider_tenant *tenant;
	int err;

	if (!write)
		return -ENOMEM;
	account = write->account;
	tenant = account->tenant;
	if (write->err < 0)
		return provider_tenant_refuse(tenant, write->err);
	if (!provider_account_may_write(account))
		return provider_tenant_refuse(tenant,
					      account->is_of_program ? WEFT_EBUSY : WEFT_EFULL);
	err = write_settle(write);
	if (err == 0 && write_is_beyond(write))
		err = provider_tenant_refuse(tenant, WEFT_EFULL);
	else if (err == 0 &&
		 !provider_account_has_share(account, write->row_delta, write->len_delta))
		err = provider_tenant_refuse(tenant, WEFT_EBUSY);
	if (err < 0)
		return write->err = err;
	write->done = done;
	write->arg = arg;
	err = store_submit(account->node->params.store, write->batch, write_done, write);
	if (err < 0)
		return write->err = err;
	fill_add(account, write->row_delta, write->len_delta);
	list_push_back(&account->writes, &write->node);
	account->write_cnt++;
	return 0;
}

/* ---- reading ---- */

int provider_row_read(struct provider_tenant *tenant, const void *key, size_t key_len, void *dst,
		      size_t cap)
{
	uint8_t whole[TENANT_KEY_CAP];
	struct store_snapshot *snapshot;
	const void *value;
	size_t len;
	int err;

	if (!tenant->declared.row_cnt_max || !tenant->node->params.store)
		return provider_tenant_refuse(tenant, WEFT_EREFUSED);
	if (!key_write(tenant->account, key, key_len, whole))
		return WEFT_EABSENT;
	if ((err = store_snapshot_open(tenant->node->params.store, &snapshot)) < 0)
		return err;
	err = store_get(snapshot, STORE_ROWS,
			store_key(whole, tenant->account->prefix_len + key_len), &value, &len);
	if (err == 0 && len > cap)
		err = WEFT_ETOOLARGE;
	if (err == 0 && len)
		memcpy(dst, value, len);
	store_snapshot_close(snapshot);
	return err < 0 ? err : (int)len;
}

struct provider_walk *provider_walk_open(struct provider_tenant *tenant,
					 const struct provider_row_range *range)
{
	struct provider_walk *walk = pool_acquire(&tenant->node->walks);
	const void *from = range->from_len ? range->from : range->prefix;
	size_t from_len = range->from_len ? range->from_len : range->prefix_len;

	if (!walk) {
		tenant->refused_cnt++;
		return NULL;
	}
	weft_assert(from_len >= range->prefix_len);
	walk->tenant = tenant;
	walk->is_empty = !tenant->node->params.store;
	walk->is_of_keys = range->is_of_keys;
	walk->prefix_len = tenant->account->prefix_len + range->prefix_len;
	if (!tenant->declared.row_cnt_max)
		walk->err = provider_tenant_refuse(tenant, WEFT_EREFUSED);
	else if (!key_write(tenant->account, from, from_len, walk->from))
		walk->err = WEFT_ETOOLARGE;
	else if (!walk->is_empty)
		walk->iter = store_iter_fresh(
			tenant->node->params.store, STORE_ROWS,
			store_key(walk->from, tenant->account->prefix_len + from_len));
	return walk;
}

static bool walk_step(struct provider_walk *walk, struct store_item *out_item)
{
	return walk->is_of_keys ? store_iter_next_len(&walk->iter, out_item)
				: store_iter_next(&walk->iter, out_item);
}

bool provider_walk_next(struct provider_walk *walk, struct provider_row *out_row)
{
	struct store_item item;
	size_t skip_len;

	if (!walk || walk->is_empty || walk->err < 0 || !walk_step(walk, &item) ||
	    item.key_len < walk->prefix_len || memcmp(item.key, walk->from, walk->prefix_len) != 0)
		return false;
	skip_len = walk->tenant->account->prefix_len;
	*out_row = (struct provider_row){.key = item.key + skip_len,
					 .key_len = item.key_len - skip_len,
					 .value = item.value,
					 .value_len = item.value_len};
	return true;
}

int provider_walk_close(struct provider_walk *walk)
{
	int err;

	if (!walk)
		return WEFT_EFULL;
	err = walk->err;
	if (err == 0 && !walk->is_empty)
		err = store_iter_end(&walk->iter);
	pool_release(&walk->tenant->node->walks, walk);
	return err;
}

int provider_rows_count(struct provider_tenant *tenant)
{
	struct row_account *account = tenant->account;
	struct store_iter iter;
	struct store_item item;

	if (!tenant->declared.row_cnt_max || !tenant->node->params.store)
		return 0;
	iter = store_iter_fresh(tenant->node->params.store, STORE_ROWS,
				store_key(account->prefix, account->prefix_len));
	while (store_iter_next_len(&iter, &item) && item.key_len >= account->prefix_len &&
	       memcmp(item.key, account->prefix, account->prefix_len) == 0)
		fill_add(account, 1,
			 (int64_t)(item.key_len - account->prefix_len + item.value_len));
	return store_iter_end(&iter);
}
