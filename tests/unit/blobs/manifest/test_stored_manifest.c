/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/manifest/manifest.h"
#include "unit/blobs/content_rig.h"

static void id_of(unsigned number, uint8_t id[static 32])
{
	memset(id, 0, 32);
	id[0] = (uint8_t)number;
}

/* A root of cnt parts, which have numbers for ids. */
static void root_encode(uint32_t cnt, uint8_t *out, size_t cap, size_t *out_len)
{
	struct manifest_builder *builder;
	const uint8_t *bytes;
	uint8_t id[32];
	size_t len;

	CHECK_EQ(blobs_manifest_builder_new(&builder), 0);
	for (uint32_t i = 0; i < cnt; i++) {
		id_of(100 + i, id);
		CHECK_EQ(blobs_manifest_builder_add_part(builder,
							 &(struct manifest_part){.manifest_id = id,
										 .item_cnt = 1,
										 .byte_cnt = 1,
										 .len = 100}),
			 0);
	}
	bytes = blobs_manifest_builder_encode(builder, MANIFEST_ROOT, 7, "many", &len);
	CHECK(len <= cap);
	memcpy(out, bytes, len);
	blobs_manifest_builder_free(builder);
	*out_len = len;
}

static int blob_put(struct blobs_rig *rig, const uint8_t *id, const void *bytes, size_t len)
{
	struct store_batch *batch = store_batch_new(rig->store);
	int err;

	store_batch_put_blob(batch, id, bytes, len);
	err = store_submit(rig->store, batch, NULL, NULL);
	rig_turn(rig);
	return err;
}

static void test_a_manifest_is_loaded_with_its_bytes(void)
{
	struct blobs_rig rig;
	struct stored_manifest stored;
	uint8_t id[32], bytes[512], *ids;
	size_t len = 0;

	root_encode(3, bytes, sizeof(bytes), &len);
	CHECK(rig_begin(&rig));
	id_of(1, id);
	CHECK_EQ(blob_put(&rig, id, bytes, len), 0);
	CHECK_EQ(blobs_stored_manifest_load(rig.store, id, &stored), 0);
	CHECK_MEM(stored.id, id, sizeof(id));
	CHECK_EQ(stored.len, len);
	CHECK_MEM(stored.bytes, bytes, len);
	CHECK_EQ(stored.manifest->part_cnt, 3);
	CHECK_EQ(blobs_manifest_part_ids(stored.manifest, &ids), 0);
	for (unsigned i = 0; i < 3; i++) {
		id_of(100 + i, id);
		CHECK_MEM(ids + 32 * i, id, sizeof(id));
	}
	free(ids);
	blobs_stored_manifest_fini(&stored);
	CHECK(stored.manifest == NULL && stored.bytes == NULL);
	blobs_stored_manifest_fini(&stored);
	rig_end(&rig);
}

static void test_a_failed_load_leaves_no_stored_manifest(void)
{
	static uint8_t much[MANIFEST_LEN_MAX + 1];
	struct blobs_rig rig;
	struct stored_manifest stored = {.len = 77};
	uint8_t id[32];

	CHECK(rig_begin(&rig));
	id_of(1, id);
	CHECK_EQ(blobs_stored_manifest_load(rig.store, id, &stored), WEFT_EABSENT);
	CHECK_EQ(blob_put(&rig, id, "no manifest", 11), 0);
	CHECK_EQ(blobs_stored_manifest_load(rig.store, id, &stored), WEFT_EMALFORMED);
	id_of(2, id);
	CHECK_EQ(blob_put(&rig, id, much, sizeof(much)), 0);
	CHECK_EQ(blobs_stored_manifest_load(rig.store, id, &stored), WEFT_EDAMAGED);
	CHECK_EQ(stored.len, 77);
	rig_end(&rig);
}

int main(void)
{
	RUN(test_a_manifest_is_loaded_with_its_bytes);
	RUN(test_a_failed_load_leaves_no_stored_manifest);
	return check_done();
}
