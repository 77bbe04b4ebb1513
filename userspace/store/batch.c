/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A batch is one run of bytes: heads and copies in the order they were
 * asked for. The worker fills it; the store thread reads it (commit.c).
 */
#include "store/store_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_KEY_LEN_MAX 511 /* LMDB's default */
#define BATCH_CAP_FIRST	  512
/* Pages touched by one put beside its own bytes: about one leaf. */
#define BATCH_PUT_COST 4096

struct op_head {
	uint64_t value_len;
	uint32_t key_len;
	uint8_t kind;
	uint8_t db;
};

struct store_batch *store_batch_new(struct store *store)
{
	(void)store;
	return calloc(1, sizeof(struct store_batch));
}

void store_batch_free(struct store_batch *batch)
{
	if (!batch)
		return;
	free(batch->ops);
	free(batch);
}

static uint8_t *batch_reserve(struct store_batch *batch, size_t len)
{
	size_t need, cap = batch->cap ? batch->cap : BATCH_CAP_FIRST;
	uint8_t *ops;

	if (__builtin_add_overflow(batch->len, len, &need) || need > SIZE_MAX / 4) {
		batch->err = WEFT_ETOOLARGE;
		return NULL;
	}
	while (cap < need)
		cap *= 2;
	if (cap != batch->cap) {
		ops = realloc(batch->ops, cap);
		if (!ops) {
			batch->err = -ENOMEM;
			return NULL;
		}
		batch->ops = ops;
		batch->cap = cap;
	}
	ops = batch->ops + batch->len;
	batch->len = need;
	return ops;
}

static void batch_add(struct store_batch *batch, const struct op *op)
{
	struct op_head head = {op->value_len, (uint32_t)op->key.len, op->kind, op->db};
	size_t value_len = (size_t)op->value_len;
	uint8_t *at;

	if (!batch || batch->err < 0)
		return;
	if (op->db >= STORE_DB_CNT || op->key.len == 0 || op->key.len > BATCH_KEY_LEN_MAX ||
	    (store_env_databases[op->db].key_len &&
	     store_env_databases[op->db].key_len != op->key.len) ||
	    value_len > SIZE_MAX / 4) {
		batch->err = WEFT_ETOOLARGE;
		return;
	}
	at = batch_reserve(batch, sizeof(head) + op->key.len + value_len);
	if (!at)
		return;
	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), op->key.bytes, op->key.len);
	if (value_len)
		memcpy(at + sizeof(head) + op->key.len, op->value, value_len);
}

void store_batch_put(struct store_batch *batch, enum store_db db, struct store_key key,
		     const void *value, size_t value_len)
{
	batch_add(batch, &(struct op){OP_PUT, (uint8_t)db, key, value_len, value});
	if (batch)
		batch->put_len += BATCH_PUT_COST + value_len;
}

void store_batch_delete(struct store_batch *batch, enum store_db db, struct store_key key)
{
	batch_add(batch, &(struct op){OP_DELETE, (uint8_t)db, key, 0, NULL});
}

void store_batch_put_blob(struct store_batch *batch, const uint8_t id[static 32], const void *data,
			  size_t len)
{
	batch_add(batch, &(struct op){OP_PUT_BLOB, STORE_BLOBS, store_key(id, 32), len, data});
	if (batch)
		batch->put_len += BATCH_PUT_COST;
}

void store_batch_delete_blob(struct store_batch *batch, const uint8_t id[static 32])
{
	batch_add(batch, &(struct op){OP_DELETE_BLOB, STORE_BLOBS, store_key(id, 32), 0, NULL});
}

bool store_batch_op_next(const struct store_batch *batch, size_t *io_off, struct op *out_op)
{
	const uint8_t *at = batch->ops + *io_off;
	struct op_head head;

	if (*io_off >= batch->len)
		return false;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	*out_op = (struct op){head.kind, head.db, store_key(at, head.key_len), head.value_len,
			      at + head.key_len};
	*io_off += sizeof(head) + head.key_len + (size_t)head.value_len;
	return true;
}
