/* SPDX-License-Identifier: Apache-2.0 */
/* What is remembered of a followed share: its row, and what its row leads to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/cbor.h"
#include "codec/peer_addr.h"
#include "blobs/blobs.h"
#include "follow_state.h"
#include "blobs/object.h"
#include "blobs/stored_manifest.h"
#include "store/store.h"

_Static_assert(LINK_ADDRS_MAX == PEER_ADDRS_MAX, "a hint has as many addresses as a list of them");

enum {
	KEY_NAME = 0,
	KEY_TIER = 1,
	KEY_WEIGHT = 2,
	KEY_FOLLOWED = 3,
	KEY_SHARE_KEY = 4,
	KEY_HINTS = 5,
	KEY_REVISIONS = 6,
	KEY_BLOCKLIST = 7,
	KEY_IS_BLOCKLIST_DUE = 8,
	KEY_FOLDER = 9,
	KEY_IS_MIRROR = 10,
	KEY_VERSIONS = 11,
	KEY_MOVES = 12,
};

/* --- the row --- */

static void hints_write(struct writer *w, const struct followed *followed)
{
	cbor_write_array(w, followed->view.hint_cnt);
	for (unsigned i = 0; i < followed->view.hint_cnt; i++) {
		const struct link_node *hint = &followed->hints[i];

		cbor_write_array(w, 2);
		cbor_write_bytes(w, hint->key, sizeof(hint->key));
		peer_addrs_write(w, hint->addrs, hint->addr_cnt);
	}
}

static void revision_write(struct writer *w, const struct follow_revision *revision)
{
	cbor_write_array(w, 2);
	cbor_write_uint(w, revision->seq);
	cbor_write_bytes(w, revision->manifest_id, sizeof(revision->manifest_id));
}

static void revisions_write(struct writer *w, const struct follow *view,
			    const struct follow_revision *revision)
{
	unsigned room = FOLLOW_REVISIONS_MAX - (revision != NULL);
	unsigned cnt = view->revision_cnt < room ? view->revision_cnt : room;

	cbor_write_array(w, cnt + (revision != NULL));
	if (revision)
		revision_write(w, revision);
	for (unsigned i = 0; i < cnt; i++)
		revision_write(w, &view->revisions[i]);
}

void shares_follow_row_put(struct store_batch *batch, struct followed *followed,
			   const struct follow_revision *revision, const uint8_t *blocklist_id)
{
	const struct follow *view = &followed->view;
	uint8_t row[FOLLOW_ROW_CAP];
	struct writer w = writer_of(row, sizeof(row));

	cbor_write_map(&w, 8u + (blocklist_id != NULL) + (followed->folder ? 3u : 0) +
				   (followed->move_cnt > 0));
	cbor_field_text(&w, KEY_NAME, followed->name, strlen(followed->name));
	cbor_field_uint(&w, KEY_TIER, view->tier);
	cbor_field_uint(&w, KEY_WEIGHT, view->weight);
	cbor_field_uint(&w, KEY_FOLLOWED, view->followed_s);
	cbor_field_bytes(&w, KEY_SHARE_KEY, view->share_key, sizeof(view->share_key));
	cbor_write_uint(&w, KEY_HINTS);
	hints_write(&w, followed);
	cbor_write_uint(&w, KEY_REVISIONS);
	revisions_write(&w, view, revision);
	if (blocklist_id)
		cbor_field_bytes(&w, KEY_BLOCKLIST, blocklist_id, 32);
	cbor_field_bool(&w, KEY_IS_BLOCKLIST_DUE, followed->is_blocklist_due);
	if (followed->folder) {
		/* A path need not be UTF-8. */
		cbor_field_bytes(&w, KEY_FOLDER, followed->folder, strlen(followed->folder));
		cbor_field_bool(&w, KEY_IS_MIRROR, view->is_mirror);
		cbor_field_uint(&w, KEY_VERSIONS, view->version_cnt);
	}
	if (followed->move_cnt)
		cbor_field_uint(&w, KEY_MOVES, followed->move_cnt);
	weft_assert(!w.bad);
	store_batch_put(batch, STORE_FOLLOWS, view->share_id, sizeof(view->share_id), row,
			writer_len(&w));
	followed->row_cnt++;
}

static void hints_read(struct cbor_reader *r, struct followed *followed)
{
	if (cbor_enter_array(r) > FOLLOW_HINTS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct link_node *hint = &followed->hints[followed->view.hint_cnt++];

		if (cbor_enter_array(r) != 2 || !cbor_next(r))
			cbor_fail(r);
		cbor_read_fixed(r, hint->key, sizeof(hint->key));
		if (!cbor_next(r))
			cbor_fail(r);
		hint->addr_cnt = (uint8_t)peer_addrs_read(r, hint->addrs);
		if (cbor_next(r))
			cbor_fail(r);
	}
}

static void folder_read(struct cbor_reader *r, struct followed *followed)
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);
	char path[OBJECT_PATH_LEN_MAX];

	if (!bytes || len == 0 || len >= sizeof(path) || memchr(bytes, 0, len)) {
		cbor_fail(r);
		return;
	}
	memcpy(path, bytes, len);
	path[len] = '\0';
	if (shares_followed_folder_set(followed, path) < 0)
		cbor_fail(r);
}

static void revisions_read(struct cbor_reader *r, struct follow *view)
{
	if (cbor_enter_array(r) > FOLLOW_REVISIONS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct follow_revision *revision = &view->revisions[view->revision_cnt++];

		if (cbor_enter_array(r) != 2 || !cbor_next(r))
			cbor_fail(r);
		revision->seq = cbor_read_uint(r);
		if (!cbor_next(r))
			cbor_fail(r);
		cbor_read_fixed(r, revision->manifest_id, sizeof(revision->manifest_id));
		if (cbor_next(r))
			cbor_fail(r);
	}
}

int shares_follow_row_parse(const uint8_t *data, size_t len, struct followed *followed)
{
	struct follow *view = &followed->view;
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, data, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case KEY_NAME:
			cbor_read_text_copy(&r, followed->name, sizeof(followed->name));
			break;
		case KEY_TIER:
			view->tier = (enum follow_tier)cbor_read_uint_max(&r, FOLLOW_TIER_CNT - 1);
			break;
		case KEY_WEIGHT:
			view->weight = (unsigned)cbor_read_uint_max(&r, FOLLOW_WEIGHT_MAX);
			break;
		case KEY_FOLLOWED:
			view->followed_s = cbor_read_uint(&r);
			break;
		case KEY_SHARE_KEY:
			cbor_read_fixed(&r, view->share_key, sizeof(view->share_key));
			break;
		case KEY_HINTS:
			hints_read(&r, followed);
			break;
		case KEY_REVISIONS:
			revisions_read(&r, view);
			break;
		case KEY_BLOCKLIST:
			view->has_blocklist = true;
			cbor_read_fixed(&r, followed->blocklist_id, sizeof(followed->blocklist_id));
			break;
		case KEY_IS_BLOCKLIST_DUE:
			followed->is_blocklist_due = cbor_read_bool(&r);
			break;
		case KEY_FOLDER:
			folder_read(&r, followed);
			break;
		case KEY_IS_MIRROR:
			view->is_mirror = cbor_read_bool(&r);
			break;
		case KEY_VERSIONS:
			view->version_cnt = (unsigned)cbor_read_uint_max(&r, BLOBS_VERSIONS_MAX);
			break;
		case KEY_MOVES:
			followed->move_cnt = (unsigned)cbor_read_uint_max(&r, HEAD_SUCCESSORS_MAX);
			break;
		default:
			cbor_skip(&r);
		}
	}
	return cbor_reader_finish(&r) == 0 ? 0 : WEFT_EDAMAGED;
}

/* --- what it leads to --- */

void shares_followed_see(struct followed *followed, struct store_snapshot *snapshot)
{
	struct follow *view = &followed->view;
	struct head_seen seen;

	if (shares_head_seen_get(snapshot, view->share_id, &seen) < 0 ||
	    (view->head.seq && !shares_head_is_newer(&seen.head, &view->head)))
		return;
	followed->seen = seen;
	view->head = seen.head;
}

int shares_followed_describe(struct followed *followed, const struct manifest *manifest)
{
	struct follow *view = &followed->view;
	char *description = NULL;

	if (manifest->description_len) {
		description = strndup(manifest->description, manifest->description_len);
		if (!description)
			return -ENOMEM;
	}
	free(followed->description);
	followed->description = description;
	view->description = description ? description : "";
	memcpy(followed->title, manifest->title, sizeof(followed->title));
	view->is_public = manifest->is_public;
	view->created_s = manifest->created_s;
	view->expires_s = manifest->expires_s;
	view->item_cnt = manifest->all_item_cnt;
	view->byte_cnt = manifest->all_byte_cnt;
	view->recommended_cnt = manifest->recommended_cnt;
	for (unsigned i = 0; i < manifest->recommended_cnt; i++)
		memcpy(followed->recommended[i], manifest->recommended[i], SHARE_ID_LEN);
	return 0;
}

static int revision_load(struct followed *followed, unsigned i)
{
	struct stored_manifest root;
	int err = blobs_stored_manifest_load(followed->follows->params.store,
					     followed->view.revisions[i].manifest_id, &root);

	if (err < 0)
		return err;
	err = blobs_manifest_part_ids(root.manifest, &followed->parts[i].ids);
	if (err == 0)
		followed->parts[i].cnt = root.manifest->part_cnt;
	if (err == 0 && i == 0)
		err = shares_followed_describe(followed, root.manifest);
	blobs_stored_manifest_fini(&root);
	return err;
}

/* A revision that is damaged or gone is fetched again: it is forgotten with those after it. */
static int revisions_load(struct followed *followed)
{
	for (unsigned i = 0; i < followed->view.revision_cnt; i++) {
		int err = revision_load(followed, i);

		if (err == -ENOMEM)
			return err;
		if (err < 0) {
			followed->view.revision_cnt = i;
			return 0;
		}
	}
	return 0;
}

static int blocklist_load(struct followed *followed)
{
	uint8_t *bytes = NULL;
	size_t len;
	int err = store_blob_load(followed->follows->params.store, followed->blocklist_id,
				  BLOCKLIST_LEN_MAX, &bytes, &len);

	if (err == 0)
		err = shares_blocklist_parse(bytes, len, &followed->blocklist);
	followed->view.fault = followed->blocklist.fault;
	free(bytes);
	followed->view.has_blocklist = err == 0;
	return err == -ENOMEM ? err : 0;
}

int shares_follow_load(struct followed *followed, struct store_snapshot *snapshot)
{
	struct follow *view = &followed->view;
	int err;

	shares_followed_see(followed, snapshot);
	err = revisions_load(followed);
	if (err == 0 && view->has_blocklist)
		err = blocklist_load(followed);
	return err;
}
