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

static void batch_add(struct store_batch *batch, enum op_kind kind, enum store_db db,
		      const void *key, size_t key_len, const void *value, size_t value_len)
{
	struct op_head head = {value_len, (uint32_t)key_len, (uint8_t)kind, (uint8_t)db};
	uint8_t *at;

	if (!batch || batch->err < 0)
		return;
	if (db >= STORE_DB_CNT || key_len == 0 || key_len > BATCH_KEY_LEN_MAX ||
	    (store_env_databases[db].key_len && store_env_databases[db].key_len != key_len) ||
	    value_len > SIZE_MAX / 4) {
		batch->err = WEFT_ETOOLARGE;
		return;
	}
	at = batch_reserve(batch, sizeof(head) + key_len + value_len);
	if (!at)
		return;
	memcpy(at, &head, sizeof(head));
	memcpy(at + sizeof(head), key, key_len);
	if (value_len)
		memcpy(at + sizeof(head) + key_len, value, value_len);
}

void store_batch_put(struct store_batch *batch, enum store_db db, const void *key, size_t key_len,
		     const void *value, size_t value_len)
{
	batch_add(batch, OP_PUT, db, key, key_len, value, value_len);
	if (batch)
		batch->put_len += BATCH_PUT_COST + value_len;
}

void store_batch_delete(struct store_batch *batch, enum store_db db, const void *key,
			size_t key_len)
{
	batch_add(batch, OP_DELETE, db, key, key_len, NULL, 0);
}

void store_batch_put_blob(struct store_batch *batch, const uint8_t id[static 32], const void *data,
			  size_t len)
{
	batch_add(batch, OP_PUT_BLOB, STORE_BLOBS, id, 32, data, len);
	if (batch)
		batch->put_len += BATCH_PUT_COST;
}

void store_batch_delete_blob(struct store_batch *batch, const uint8_t id[static 32])
{
	batch_add(batch, OP_DELETE_BLOB, STORE_BLOBS, id, 32, NULL, 0);
}

bool store_batch_op_next(const struct store_batch *batch, size_t *io_off, struct op *out_op)
{
	const uint8_t *at = batch->ops + *io_off;
	struct op_head head;

	if (*io_off >= batch->len)
		return false;
	memcpy(&head, at, sizeof(head));
	at += sizeof(head);
	*out_op = (struct op){head.kind,      head.db, head.key_len,
			      head.value_len, at,      at + head.key_len};
	*io_off += sizeof(head) + head.key_len + (size_t)head.value_len;
	return true;
}
