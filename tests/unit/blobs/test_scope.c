/* SPDX-License-Identifier: Apache-2.0 */
/* Which peers a manifest is for, read from its bytes and kept beside it. */
#include "blobs/scope.h"
#include "base/byte_cursor.h"
#include "codec/cbor.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "content_rig.h"

static struct node_key *key;
static uint8_t ids[MANIFEST_COMMUNITIES_MAX][32];
static uint8_t bytes[4096];
static size_t len;

/* A manifest of one file and cnt communities; signed unless cnt is 0. */
static void manifest_make(uint32_t cnt)
{
	const uint8_t content_id[32] = {1};
	struct manifest_item item = {
		.content_id = content_id, .size = 3, .path = "a", .path_len = 1};
	struct manifest_revision revision = {.key = key,
					     .seq = 1,
					     .created_s = 1,
					     .title = "a title",
					     .description = "a description",
					     .is_public = true,
					     .communities = (const uint8_t(*)[32])ids,
					     .community_cnt = cnt};
	struct manifest_builder *builder;
	const uint8_t *made;

	for (unsigned i = 0; i < MANIFEST_COMMUNITIES_MAX; i++)
		ids[i][0] = (uint8_t)(i + 1);
	CHECK_EQ(blobs_manifest_builder_new(&builder), 0);
	CHECK_EQ(blobs_manifest_builder_add_item(builder, &item), 0);
	if (cnt)
		CHECK_EQ(blobs_manifest_builder_sign(builder, MANIFEST_WHOLE, &revision, &made,
						     &len),
			 0);
	else
		made = blobs_manifest_builder_encode(builder, MANIFEST_WHOLE, 1, "", &len);
	CHECK(len <= sizeof(bytes));
	memcpy(bytes, made, len);
	blobs_manifest_builder_free(builder);
}

static void test_communities_are_read_up_to_as_many_as_a_manifest_has(void)
{
	struct scope scope;

	manifest_make(MANIFEST_COMMUNITIES_MAX);
	CHECK_EQ(blobs_scope_parse(bytes, len, &scope), 0);
	CHECK_EQ(scope.cnt, MANIFEST_COMMUNITIES_MAX);
	CHECK(!scope.is_closed && !blobs_scope_is_open(&scope));
	CHECK_MEM(scope.ids, ids, sizeof(ids));
	manifest_make(0);
	CHECK_EQ(blobs_scope_parse(bytes, len, &scope), 0);
	CHECK(blobs_scope_is_open(&scope));
}

/* The wrapper has lengths: none of its prefixes is one. */
static void test_every_prefix_is_refused(void)
{
	struct scope scope;

	manifest_make(3);
	for (size_t i = 0; i < len; i++) {
		uint8_t *prefix = malloc(i ? i : 1);

		memcpy(prefix, bytes, i);
		CHECK_EQ(blobs_scope_parse(prefix, i, &scope), WEFT_EMALFORMED);
		free(prefix);
	}
}

static void body_sign(const uint8_t *body, size_t body_len)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	signed_write(&w, key, MANIFEST_TAG, body, body_len);
	len = writer_len(&w);
}

static void test_one_community_more_or_a_short_id_is_refused(void)
{
	uint8_t body[1024];
	struct writer w = writer_of(body, sizeof(body));
	struct scope scope;

	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 9);
	cbor_write_array(&w, MANIFEST_COMMUNITIES_MAX + 1);
	for (unsigned i = 0; i <= MANIFEST_COMMUNITIES_MAX; i++)
		cbor_write_bytes(&w, ids[0], 32);
	body_sign(body, writer_len(&w));
	CHECK_EQ(blobs_scope_parse(bytes, len, &scope), WEFT_EMALFORMED);
	w = writer_of(body, sizeof(body));
	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 9);
	cbor_write_array(&w, 1);
	cbor_write_bytes(&w, ids[0], 31);
	body_sign(body, writer_len(&w));
	CHECK_EQ(blobs_scope_parse(bytes, len, &scope), WEFT_EMALFORMED);
}

static int put(struct blobs_rig *rig, const uint8_t *id, bool has_row, bool has_blob)
{
	struct store_batch *batch = store_batch_new(rig->store);
	int err;

	if (has_blob)
		store_batch_put_blob(batch, id, bytes, len);
	if (has_row)
		blobs_scope_put(batch, id, bytes, len);
	else
		blobs_scope_drop(batch, id);
	err = store_submit(rig->store, batch, NULL, NULL);
	rig_turn(rig);
	return err;
}

static void test_scope_is_kept_beside_its_manifest(void)
{
	struct blobs_rig rig;
	struct scope scope, same;
	uint8_t id[32];

	CHECK(rig_begin(&rig));
	manifest_make(2);
	blake3_hash(bytes, len, id);
	CHECK_EQ(blobs_scope_load(rig.store, id, &scope), WEFT_EABSENT);
	CHECK_EQ(put(&rig, id, true, false), 0);
	CHECK_EQ(blobs_scope_load(rig.store, id, &scope), 0); /* the row is enough */
	CHECK_EQ(scope.cnt, 2);
	CHECK_EQ(put(&rig, id, false, true), 0);
	CHECK_EQ(blobs_scope_load(rig.store, id, &same), 0); /* and so are the bytes */
	CHECK(blobs_scope_is_equal(&scope, &same));
	rig_end(&rig);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};

	if (node_key_from_seed(seed, &key) < 0)
		return 1;
	RUN(test_communities_are_read_up_to_as_many_as_a_manifest_has);
	RUN(test_every_prefix_is_refused);
	RUN(test_one_community_more_or_a_short_id_is_refused);
	RUN(test_scope_is_kept_beside_its_manifest);
	node_key_free(key);
	return check_done();
}
