/* SPDX-License-Identifier: Apache-2.0 */
/* The stored state of a followed share: its row, and the objects that its row leads to. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "codec/cbor_fields.h"
#include "codec/peer_addr.h"
#include "blobs/blobs.h"
#include "follow_state.h"
#include "blobs/manifest/manifest.h"
#include "store/store.h"

_Static_assert(LINK_ADDRS_MAX == PEER_ADDRS_MAX, "a hint has as many addresses as a list of them");

/* --- the row --- */

static const struct cbor_field hint_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct link_node, key)},
	{1, CBOR_FIELD_PLACES, CBOR_NEEDED, CBOR_AT(struct link_node, places)},
};
static const struct cbor_table hint_table = {CBOR_FIELDS(hint_fields)};

static const struct cbor_field revision_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct follow_revision, seq)},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct follow_revision, manifest_id)},
};
static const struct cbor_table revision_table = {CBOR_FIELDS(revision_fields)};

/* A path need not be UTF-8. */
static void folder_write(struct writer *w, const void *of)
{
	const struct followed *followed = of;

	cbor_write_bytes(w, followed->folder, strlen(followed->folder));
}

static void folder_read(struct cbor_reader *r, void *of)
{
	size_t len;
	const uint8_t *bytes = cbor_read_bytes(r, &len);
	char path[BLOBS_PATH_CAP];

	if (!bytes || len == 0 || len >= sizeof(path) || memchr(bytes, 0, len)) {
		cbor_fail(r);
		return;
	}
	memcpy(path, bytes, len);
	path[len] = '\0';
	if (shares_followed_folder_set(of, path) < 0)
		cbor_fail(r);
}

static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_TEXT, CBOR_USUAL, CBOR_AT(struct followed, name)},
	{1, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct followed, view.tier),
	 .max = FOLLOW_TIER_CNT - 1},
	{2, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct followed, view.weight),
	 .max = FOLLOW_WEIGHT_MAX},
	{3, CBOR_FIELD_UINT, CBOR_USUAL, CBOR_AT(struct followed, view.followed_s)},
	{4, CBOR_FIELD_FIXED, CBOR_USUAL, CBOR_AT(struct followed, view.share_key)},
	{5, CBOR_FIELD_ROWS, CBOR_USUAL, CBOR_ROWS(struct followed, hints, hint_table),
	 CBOR_LEN(struct followed, view.hint_cnt)},
	{6, CBOR_FIELD_ROWS, CBOR_USUAL, CBOR_ROWS(struct followed, view.revisions, revision_table),
	 CBOR_LEN(struct followed, view.revision_cnt)},
	{7, CBOR_FIELD_FIXED, CBOR_HAS(struct followed, view.has_blocklist),
	 CBOR_AT(struct followed, blocklist_id)},
	{8, CBOR_FIELD_BOOL, CBOR_USUAL, CBOR_AT(struct followed, is_blocklist_due)},
	{9, CBOR_FIELD_CODED, CBOR_WHEN(struct followed, folder), .read = folder_read,
	 .write = folder_write},
	{10, CBOR_FIELD_BOOL, CBOR_WHEN(struct followed, folder),
	 CBOR_AT(struct followed, view.is_mirror)},
	{11, CBOR_FIELD_UINT, CBOR_WHEN(struct followed, folder),
	 CBOR_AT(struct followed, view.version_cnt), .max = BLOBS_VERSIONS_MAX},
	{12, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct followed, move_cnt),
	 .max = HEAD_SUCCESSORS_MAX},
};
static const struct cbor_table row_table = {CBOR_FIELDS(row_fields)};

static void revision_push(struct follow *view, const struct follow_revision *revision)
{
	unsigned kept = view->revision_cnt < FOLLOW_REVISIONS_MAX ? view->revision_cnt
								  : FOLLOW_REVISIONS_MAX - 1;

	memmove(&view->revisions[1], &view->revisions[0], kept * sizeof(*revision));
	view->revisions[0] = *revision;
	view->revision_cnt = kept + 1;
}

void shares_follow_row_put(struct store_batch *batch, struct followed *followed,
			   const struct follow_revision *revision, const uint8_t *blocklist_id)
{
	struct followed row = *followed; /* what it shall be */
	uint8_t bytes[FOLLOW_ROW_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	if (revision)
		revision_push(&row.view, revision);
	row.view.has_blocklist = blocklist_id != NULL;
	if (blocklist_id)
		memcpy(row.blocklist_id, blocklist_id, sizeof(row.blocklist_id));
	cbor_fields_write(&w, &row_table, &row);
	weft_assert(!w.bad);
	store_batch_put(batch, STORE_FOLLOWS, store_key(row.view.share_id, SHARE_ID_LEN), bytes,
			writer_len(&w));
	followed->row_cnt++;
}

int shares_follow_row_parse(const uint8_t *data, size_t len, struct followed *followed)
{
	return cbor_fields_parse(data, len, &row_table, followed) == 0 ? 0 : WEFT_EDAMAGED;
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
