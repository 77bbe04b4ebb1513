/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of what is published (publish_state.h), written and read at start. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_cursor.h"
#include "codec/cbor.h"
#include "publish_state.h"
#include "blobs/stored_manifest.h"
#include "crypto/key_seal.h"
#include "crypto/node_key.h"
#include "store/store.h"

#define SETTINGS_ROW_CAP (sizeof(struct publish_settings) + 512)
#define REVISION_ROW_CAP 160
#define REVISION_KEY_LEN (SHARE_ID_LEN + 8)
#define DIGEST_LEN	 32

/* --- writing --- */

static void field_text(struct writer *w, uint64_t key, const char *text)
{
	if (!text[0])
		return;
	cbor_field_text(w, key, text, strlen(text));
}

static void field_ids(struct writer *w, uint64_t key, const uint8_t (*ids)[32], uint32_t cnt)
{
	cbor_write_uint(w, key);
	cbor_write_array(w, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		cbor_write_bytes(w, ids[i], 32);
}

void shares_record_put_settings(struct store_batch *batch, const struct publication *publication,
				const struct publish_settings *settings)
{
	uint8_t row[SETTINGS_ROW_CAP], seed[KEY_SEAL_LEN_MAX];
	struct writer w = writer_of(row, sizeof(row));
	size_t seed_len = key_seal_write(publication->publisher->params.seal,
					 node_key_seed(publication->key), seed);

	cbor_write_map(&w, 5u + (settings->path[0] != 0) + (settings->title[0] != 0) +
				   (settings->description[0] != 0) + (settings->rules[0] != 0) +
				   (settings->only[0] != 0));
	field_text(&w, 0, settings->name);
	cbor_field_bytes(&w, 1, seed, seed_len);
	field_text(&w, 2, settings->path);
	field_text(&w, 3, settings->title);
	field_text(&w, 4, settings->description);
	cbor_field_bool(&w, 5, settings->is_public);
	field_ids(&w, 6, settings->communities, settings->community_cnt);
	field_ids(&w, 7, settings->recommended, settings->recommended_cnt);
	field_text(&w, 8, settings->rules);
	field_text(&w, 9, settings->only);
	store_batch_put(batch, STORE_PUBLISHED, publication->view.share_id, SHARE_ID_LEN, row,
			writer_len(&w));
	explicit_bzero(row, sizeof(row));
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
	uint8_t row[REVISION_ROW_CAP], key[REVISION_KEY_LEN];
	struct writer w = writer_of(row, sizeof(row));

	cbor_write_map(&w, 6);
	cbor_field_bytes(&w, 0, revision->manifest_id, sizeof(revision->manifest_id));
	cbor_field_uint(&w, 1, revision->created_s);
	cbor_field_uint(&w, 2, revision->expires_s);
	cbor_field_uint(&w, 3, revision->item_cnt);
	cbor_field_uint(&w, 4, revision->byte_cnt);
	cbor_field_bytes(&w, 5, parts->digest, DIGEST_LEN);
	revision_key(publication, revision->seq, key);
	store_batch_put(batch, STORE_REVISIONS, key, sizeof(key), row, writer_len(&w));
}

void shares_record_delete_revision(struct store_batch *batch, const struct publication *publication,
				   uint64_t seq)
{
	uint8_t key[REVISION_KEY_LEN];

	revision_key(publication, seq, key);
	store_batch_delete(batch, STORE_REVISIONS, key, sizeof(key));
}

/* --- reading --- */

static uint32_t ids_read(struct cbor_reader *r, uint8_t (*ids)[32], uint32_t max)
{
	uint32_t cnt = 0;

	if (cbor_enter_array(r) > max)
		cbor_fail(r);
	while (cbor_next(r))
		cbor_read_fixed(r, ids[cnt++], 32);
	return cnt;
}

int shares_record_parse_settings(const void *row, size_t len, struct publish_settings *settings,
				 struct record_seed *out_seed)
{
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, row, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 0:
			cbor_read_text_copy(&r, settings->name, sizeof(settings->name));
			break;
		case 1:
			out_seed->bytes = cbor_read_bytes(&r, &out_seed->len);
			break;
		case 2:
			cbor_read_text_copy(&r, settings->path, sizeof(settings->path));
			break;
		case 3:
			cbor_read_text_copy(&r, settings->title, sizeof(settings->title));
			break;
		case 4:
			cbor_read_text_copy(&r, settings->description,
					    sizeof(settings->description));
			break;
		case 5:
			settings->is_public = cbor_read_bool(&r);
			break;
		case 6:
			settings->community_cnt =
				ids_read(&r, settings->communities, MANIFEST_COMMUNITIES_MAX);
			break;
		case 7:
			settings->recommended_cnt =
				ids_read(&r, settings->recommended, MANIFEST_RECOMMENDED_MAX);
			break;
		case 8:
			cbor_read_text_copy(&r, settings->rules, sizeof(settings->rules));
			break;
		case 9:
			cbor_read_text_copy(&r, settings->only, sizeof(settings->only));
			break;
		default:
			cbor_skip(&r);
		}
	}
	return cbor_reader_finish(&r) == 0 && settings->name[0] && out_seed->bytes ? 0
										   : WEFT_EDAMAGED;
}

int shares_record_parse_revision(const struct store_item *item, struct publish_revision *revision,
				 uint8_t digest[static DIGEST_LEN])
{
	struct cursor c = cursor_of(item->key, item->key_len);
	struct cbor_reader r;
	uint64_t key;

	(void)cursor_bytes(&c, SHARE_ID_LEN);
	revision->seq = cursor_be64(&c);
	cbor_reader_init(&r, item->value, item->value_len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 0:
			cbor_read_fixed(&r, revision->manifest_id, sizeof(revision->manifest_id));
			break;
		case 1:
			revision->created_s = cbor_read_uint(&r);
			break;
		case 2:
			revision->expires_s = cbor_read_uint(&r);
			break;
		case 3:
			revision->item_cnt = cbor_read_uint(&r);
			break;
		case 4:
			revision->byte_cnt = cbor_read_uint(&r);
			break;
		case 5:
			cbor_read_fixed(&r, digest, DIGEST_LEN);
			break;
		default:
			cbor_skip(&r);
		}
	}
	return cbor_reader_finish(&r) == 0 && !c.bad ? 0 : WEFT_EDAMAGED;
}

struct load {
	struct publisher *publisher;
	struct publication *publication; /* whose revisions are read */
	struct store_snapshot *snapshot;
	int err;
};

/* parts_read takes the ids of a root's parts from its manifest; a lost one has none. */
static int parts_read(struct load *load, const uint8_t *manifest_id, struct revision_parts *parts)
{
	struct stored_manifest root;
	int err = blobs_stored_manifest_load(load->publisher->params.store, manifest_id, &root);

	if (err < 0)
		return err == -ENOMEM ? err : 0;
	err = blobs_manifest_part_ids(root.manifest, &parts->ids);
	if (err == 0)
		parts->cnt = root.manifest->part_cnt;
	blobs_stored_manifest_fini(&root);
	return err;
}

static bool revision_load(void *arg, const struct store_item *item)
{
	struct load *load = arg;
	struct publication *publication = load->publication;
	struct publish_revision revision = {0};
	struct revision_parts parts = {0};

	if (memcmp(item->key, publication->view.share_id, SHARE_ID_LEN) != 0)
		return false;
	load->err = shares_record_parse_revision(item, &revision, parts.digest);
	if (load->err == 0)
		load->err = parts_read(load, revision.manifest_id, &parts);
	if (load->err == 0)
		shares_publication_push(publication, &revision, &parts);
	free(parts.ids);
	return load->err == 0;
}

static int key_open(const struct key_seal *seal, const struct record_seed *stored,
		    struct node_key **out_key)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	int err = key_seal_open(seal, stored->bytes, stored->len, seed);

	if (err == 0)
		err = node_key_from_seed(seed, out_key);
	explicit_bzero(seed, sizeof(seed));
	return err;
}

static int publication_load(struct load *load, const struct store_item *item)
{
	const struct key_seal *seal = load->publisher->params.seal;
	struct publish_settings *settings = calloc(1, sizeof(*settings));
	struct record_seed seed = {0};
	struct publication *publication = NULL;
	struct node_key *key = NULL;
	int err = settings ? shares_record_parse_settings(item->value, item->value_len, settings,
							  &seed)
			   : -ENOMEM;

	if (err == 0)
		err = key_open(seal, &seed, &key);
	if (err == 0 && !(publication = shares_publication_new(load->publisher, key, settings)))
		err = -ENOMEM;
	free(settings);
	if (!publication) {
		node_key_free(key);
		return err;
	}
	publication->is_seal_due = key_seal_is_due(seal, seed.len);
	publication->next = load->publisher->first;
	load->publisher->first = publication;
	load->publisher->cnt++;
	if (memcmp(item->key, publication->view.share_id, SHARE_ID_LEN) != 0)
		return WEFT_EDAMAGED;
	load->publication = publication;
	err = shares_head_seen_get(load->snapshot, publication->view.share_id,
				   &publication->newest);
	return err == WEFT_EABSENT ? 0 : err;
}

static bool publication_load_one(void *arg, const struct store_item *item)
{
	struct load *load = arg;

	load->err = publication_load(load, item);
	return load->err == 0;
}

int shares_record_load(struct publisher *publisher)
{
	struct load load = {.publisher = publisher};
	int err = store_snapshot_open(publisher->params.store, &load.snapshot);

	if (err < 0)
		return err;
	err = store_each(load.snapshot, STORE_PUBLISHED, NULL, 0, publication_load_one, &load);
	for (struct publication *at = publisher->first; at && !err && !load.err; at = at->next) {
		load.publication = at;
		err = store_each(load.snapshot, STORE_REVISIONS, at->view.share_id, SHARE_ID_LEN,
				 revision_load, &load);
	}
	store_snapshot_close(load.snapshot);
	return err < 0 ? err : load.err;
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
