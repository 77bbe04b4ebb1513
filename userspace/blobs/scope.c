/* SPDX-License-Identifier: Apache-2.0 */
#include "scope.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "crypto/signed.h"
#include "store/store.h"

#define KEY_COMMUNITIES 9u
#define ROW_PREFIX	"scope:"
#define ROW_KEY_LEN	(sizeof(ROW_PREFIX) - 1 + 32)

bool blobs_scope_is_open(const struct scope *scope)
{
	return !scope->is_closed && scope->cnt == 0;
}

bool blobs_scope_is_equal(const struct scope *a, const struct scope *b)
{
	return a->is_closed == b->is_closed && a->cnt == b->cnt &&
	       memcmp(a->ids, b->ids, a->cnt * sizeof(a->ids[0])) == 0;
}

void blobs_scope_of_manifest(const struct manifest *manifest, struct scope *out_scope)
{
	*out_scope = (struct scope){.cnt = manifest->community_cnt};
	for (uint32_t i = 0; i < manifest->community_cnt; i++)
		memcpy(out_scope->ids[i], manifest->communities[i], sizeof(out_scope->ids[i]));
}

/* --- from the bytes --- */

static void communities_read(struct cbor_reader *r, struct scope *scope)
{
	if (cbor_enter_array(r) > MANIFEST_COMMUNITIES_MAX)
		cbor_fail(r);
	while (cbor_next(r))
		cbor_read_fixed(r, scope->ids[scope->cnt++], sizeof(scope->ids[0]));
}

/* Keys ascend: what comes behind the communities, as the items do, is not looked at. */
static int body_parse(const void *bytes, size_t len, struct scope *scope)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key) && key <= KEY_COMMUNITIES) {
		if (key == KEY_COMMUNITIES)
			communities_read(&r, scope);
		else
			cbor_skip(&r);
	}
	return cbor_is_bad(&r) ? WEFT_EMALFORMED : 0;
}

static bool is_signed(const void *bytes, size_t len)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, bytes, len);
	cbor_enter_map(&r);
	return cbor_next_key(&r, &key) && key == 0 && cbor_peek(&r) == CBOR_BYTES;
}

int blobs_scope_parse(const void *bytes, size_t len, struct scope *out_scope)
{
	struct signed_object object = {.body = bytes, .body_len = len};
	struct scope scope = {0};
	int err = is_signed(bytes, len) ? signed_parse(bytes, len, &object) : 0;

	if (err == 0)
		err = body_parse(object.body, object.body_len, &scope);
	if (err < 0)
		return WEFT_EMALFORMED;
	*out_scope = scope;
	return 0;
}

/* --- in the store --- */

static void row_key(const uint8_t *id, uint8_t key[static ROW_KEY_LEN])
{
	memcpy(key, ROW_PREFIX, sizeof(ROW_PREFIX) - 1);
	memcpy(key + sizeof(ROW_PREFIX) - 1, id, 32);
}

/* The ids, one behind the other. */
static int row_read(struct store *store, const uint8_t *id, struct scope *out_scope)
{
	struct store_snapshot *snapshot;
	struct scope scope = {0};
	uint8_t key[ROW_KEY_LEN];
	const void *bytes;
	size_t len;
	int err = store_snapshot_open(store, &snapshot);

	if (err < 0)
		return err;
	row_key(id, key);
	err = store_get(snapshot, STORE_META, store_key(key, sizeof(key)), &bytes, &len);
	if (err == 0 && (len > sizeof(scope.ids) || len % sizeof(scope.ids[0]) != 0))
		err = WEFT_EDAMAGED;
	if (err == 0) {
		scope.cnt = (uint32_t)(len / sizeof(scope.ids[0]));
		memcpy(scope.ids, bytes, len);
		*out_scope = scope;
	}
	store_snapshot_close(snapshot);
	return err;
}

int blobs_scope_load(struct store *store, const uint8_t id[static 32], struct scope *out_scope)
{
	uint8_t *bytes;
	size_t len;
	int err;

	if (row_read(store, id, out_scope) == 0)
		return 0;
	err = store_blob_load(store, id, MANIFEST_LEN_MAX, &bytes, &len);
	if (err < 0)
		return err;
	err = blobs_scope_parse(bytes, len, out_scope);
	free(bytes);
	return err;
}

void blobs_scope_put(struct store_batch *batch, const uint8_t id[static 32], const void *bytes,
		     size_t len)
{
	uint8_t key[ROW_KEY_LEN];
	struct scope scope;

	if (blobs_scope_parse(bytes, len, &scope) < 0)
		return;
	row_key(id, key);
	store_batch_put(batch, STORE_META, store_key(key, sizeof(key)), scope.ids,
			scope.cnt * sizeof(scope.ids[0]));
}

void blobs_scope_drop(struct store_batch *batch, const uint8_t id[static 32])
{
	uint8_t key[ROW_KEY_LEN];

	row_key(id, key);
	store_batch_delete(batch, STORE_META, store_key(key, sizeof(key)));
}
