/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what is published (publish_state.h), written and read at start. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "codec/cbor_fields.h"
#include "publish_state.h"
#include "blobs/manifest/manifest.h"
#include "crypto/key_seal.h"
#include "crypto/node_key.h"
#include "store/store.h"

#define SETTINGS_ROW_CAP (sizeof(struct publish_settings) + 512)
#define REVISION_ROW_CAP 160
#define REVISION_KEY_LEN (SHARE_ID_LEN + 8)
#define DIGEST_LEN	 32

static const struct cbor_field settings_fields[] = {
	{0, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct publish_settings_row, settings.name)},
	{1, CBOR_FIELD_BYTES, CBOR_USUAL, CBOR_AT(struct publish_settings_row, seed),
	 CBOR_LEN(struct publish_settings_row, seed_len)},
	{2, CBOR_FIELD_TEXT, CBOR_OPTIONAL, CBOR_AT(struct publish_settings_row, settings.path)},
	{3, CBOR_FIELD_TEXT, CBOR_OPTIONAL, CBOR_AT(struct publish_settings_row, settings.title)},
	{4, CBOR_FIELD_TEXT, CBOR_OPTIONAL,
	 CBOR_AT(struct publish_settings_row, settings.description)},
	{5, CBOR_FIELD_BOOL, CBOR_USUAL, CBOR_AT(struct publish_settings_row, settings.is_public)},
	{6, CBOR_FIELD_IDS, CBOR_USUAL, CBOR_IDS(struct publish_settings_row, settings.communities),
	 CBOR_LEN(struct publish_settings_row, settings.community_cnt)},
	{7, CBOR_FIELD_IDS, CBOR_USUAL, CBOR_IDS(struct publish_settings_row, settings.recommended),
	 CBOR_LEN(struct publish_settings_row, settings.recommended_cnt)},
	{8, CBOR_FIELD_TEXT, CBOR_OPTIONAL, CBOR_AT(struct publish_settings_row, settings.rules)},
	{9, CBOR_FIELD_TEXT, CBOR_OPTIONAL, CBOR_AT(struct publish_settings_row, settings.only)},
};
static const struct cbor_table settings_table = {CBOR_FIELDS(settings_fields)};

struct revision_row {
	struct publish_revision revision;
	uint8_t digest[DIGEST_LEN];
};

static const struct cbor_field revision_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_USUAL, CBOR_AT(struct revision_row, revision.manifest_id)},
	{1, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct revision_row, revision.created_s)},
	{2, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct revision_row, revision.expires_s)},
	{3, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct revision_row, revision.item_cnt)},
	{4, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct revision_row, revision.byte_cnt)},
	{5, CBOR_FIELD_FIXED, CBOR_USUAL, CBOR_AT(struct revision_row, digest)},
};
static const struct cbor_table revision_table = {CBOR_FIELDS(revision_fields)};

/* --- writing --- */

void shares_record_put_settings(struct store_batch *batch, const struct publication *publication,
				const struct publish_settings *settings)
{
	struct publish_settings_row row = {.settings = *settings};
	uint8_t bytes[SETTINGS_ROW_CAP], seed[KEY_SEAL_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	row.seed = seed;
	row.seed_len = key_seal_write(publication->publisher->params.seal,
				      node_key_seed(publication->key), seed);
	cbor_fields_write(&w, &settings_table, &row);
	store_batch_put(batch, STORE_PUBLISHED, store_key(publication->view.share_id, SHARE_ID_LEN),
			bytes, writer_len(&w));
	explicit_bzero(bytes, sizeof(bytes));
	explicit_bzero(seed, sizeof(seed));
}

static void revision_key(const struct publication *publication, uint64_t seq,
			 uint8_t key[static REVISION_KEY_LEN])
{
	struct writer w = writer_of(key, REVISION_KEY_LEN);

	writer_bytes(&w, publication->view.share_id, SHARE_ID_LEN);
	writer_be64(&w, seq);
}

void shares_record_put_revision(struct store_batch *batch, const struct publication *publication,
				const struct publish_revision *revision,
				const struct revision_parts *parts)
{
	uint8_t bytes[REVISION_ROW_CAP], key[REVISION_KEY_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct revision_row row = {.revision = *revision};

	memcpy(row.digest, parts->digest, sizeof(row.digest));
	cbor_fields_write(&w, &revision_table, &row);
	revision_key(publication, revision->seq, key);
	store_batch_put(batch, STORE_REVISIONS, store_key(key, sizeof(key)), bytes, writer_len(&w));
}

void shares_record_delete_revision(struct store_batch *batch, const struct publication *publication,
				   uint64_t seq)
{
	uint8_t key[REVISION_KEY_LEN];

	revision_key(publication, seq, key);
	store_batch_delete(batch, STORE_REVISIONS, store_key(key, sizeof(key)));
}

/* --- reading --- */

int shares_record_parse_settings(const void *bytes, size_t len,
				 struct publish_settings_row *out_row)
{
	return cbor_fields_parse(bytes, len, &settings_table, out_row) == 0 &&
			       out_row->settings.name[0] && out_row->seed
		       ? 0
		       : WEFT_EDAMAGED;
}

int shares_record_parse_revision(const struct store_item *item, struct publish_revision *revision,
				 uint8_t digest[static DIGEST_LEN])
{
	struct cursor c = cursor_of(item->key, item->key_len);
	struct revision_row row = {0};

	(void)cursor_bytes(&c, SHARE_ID_LEN);
	row.revision.seq = cursor_be64(&c);
	if (cbor_fields_parse(item->value, item->value_len, &revision_table, &row) < 0 || c.bad)
		return WEFT_EDAMAGED;
	*revision = row.revision;
	memcpy(digest, row.digest, sizeof(row.digest));
	return 0;
}

/* parts_read takes the ids of a root's parts from its manifest; a lost one has none. */
static int parts_read(struct store *store, const uint8_t *manifest_id, struct revision_parts *parts)
{
	struct stored_manifest root;
	int err = blobs_stored_manifest_load(store, manifest_id, &root);

	if (err < 0)
		return err == -ENOMEM ? err : 0;
	err = blobs_manifest_part_ids(root.manifest, &parts->ids);
	if (err == 0)
		parts->cnt = root.manifest->part_cnt;
	blobs_stored_manifest_fini(&root);
	return err;
}

static int revision_load(struct publication *publication, struct store *store,
			 const struct store_item *item)
{
	struct publish_revision revision = {0};
	struct revision_parts parts = {0};
	int err = shares_record_parse_revision(item, &revision, parts.digest);

	if (err == 0)
		err = parts_read(store, revision.manifest_id, &parts);
	if (err == 0)
		shares_publication_push(publication, &revision, &parts);
	free(parts.ids);
	return err;
}

static int key_open(const struct key_seal *seal, const struct publish_settings_row *row,
		    struct node_key **out_key)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	int err = key_seal_open(seal, row->seed, row->seed_len, seed);

	if (err == 0)
		err = node_key_from_seed(seed, out_key);
	explicit_bzero(seed, sizeof(seed));
	return err;
}

static int publication_load(struct publisher *publisher, struct store_snapshot *snapshot,
			    const struct store_item *item)
{
	const struct key_seal *seal = publisher->params.seal;
	struct publish_settings_row row = {0};
	struct publication *publication = NULL;
	struct node_key *key = NULL;
	int err = shares_record_parse_settings(item->value, item->value_len, &row);

	if (err == 0)
		err = key_open(seal, &row, &key);
	if (err == 0 && !(publication = shares_publication_new(publisher, key, &row.settings)))
		err = -ENOMEM;
	if (!publication) {
		node_key_free(key);
		return err;
	}
	publication->is_seal_due = key_seal_is_due(seal, row.seed_len);
	publication->next = publisher->first;
	publisher->first = publication;
	publisher->cnt++;
	if (memcmp(item->key, publication->view.share_id, SHARE_ID_LEN) != 0)
		return WEFT_EDAMAGED;
	err = shares_head_seen_get(snapshot, publication->view.share_id, &publication->newest);
	return err == WEFT_EABSENT ? 0 : err;
}

static int revisions_load(struct publication *publication, struct store *store,
			  struct store_snapshot *snapshot)
{
	const uint8_t *id = publication->view.share_id;
	struct store_iter iter = store_iter(snapshot, STORE_REVISIONS, store_key(id, SHARE_ID_LEN));
	struct store_item item;

	while (store_iter_next(&iter, &item) && memcmp(item.key, id, SHARE_ID_LEN) == 0)
		iter.err = revision_load(publication, store, &item);
	return store_iter_end(&iter);
}

int shares_record_load(struct publisher *publisher)
{
	struct store *store = publisher->params.store;
	struct store_snapshot *snapshot;
	struct store_iter iter;
	struct store_item item;
	int err = store_snapshot_open(store, &snapshot);

	if (err < 0)
		return err;
	iter = store_iter(snapshot, STORE_PUBLISHED, STORE_ALL);
	while (store_iter_next(&iter, &item))
		iter.err = publication_load(publisher, snapshot, &item);
	err = store_iter_end(&iter);
	for (struct publication *at = publisher->first; at && err == 0; at = at->next)
		err = revisions_load(at, store, snapshot);
	store_snapshot_close(snapshot);
	return err;
}

void shares_record_seal(struct publisher *publisher)
{
	struct store *store = publisher->params.store;
	struct store_batch *batch = NULL;

	for (struct publication *at = publisher->first; at; at = at->next) {
		if (!at->is_seal_due)
			continue;
		if (!batch)
			batch = store_batch_new(store);
		shares_record_put_settings(batch, at, &at->settings);
		at->is_seal_due = false;
	}
	if (batch && store_submit(store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}
