/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Gets of followed shares: each revision is a get into the share's folder. The one before stays
 * in the table until the next has finished, for its list of files says what weft wrote there.
 */
#include <string.h>

#include "get_run_calls.h"
#include "get_state.h"
#include "blobs/blobs_state.h"

static bool is_other(const struct get *get, const struct get *of)
{
	return get != of && get->view.folder && of->view.folder &&
	       memcmp(get->asked.folder.share_id, of->asked.folder.share_id, OBJECT_ID_LEN) == 0 &&
	       strcmp(get->asked.target, of->asked.target) == 0;
}

struct get *blobs_gets_folder_other(const struct gets *gets, const struct get *of, uint64_t id)
{
	for (uint32_t i = 0; i < gets->cnt; i++)
		if (gets->slots[i]->view.id > id && is_other(gets->slots[i], of))
			return gets->slots[i];
	return NULL;
}

/*
 * A version has the number of its revision. The revisions of a rotated key's successor begin at
 * 1 again. Their versions go on after those of the former key, so that the oldest are pruned
 * first.
 */
static uint64_t version_after(const struct get *base, const struct get *get)
{
	uint64_t revision = get->asked.folder.revision, former = base->asked.folder.revision;

	return base->revision.version + (revision > former ? revision - former : 1);
}

void blobs_get_folder_begin(struct get *get)
{
	const struct get *base = NULL, *other = NULL;

	while ((other = blobs_gets_folder_other(get->gets, get, other ? other->view.id : 0)))
		if (other->view.state == BLOBS_GET_FINISHED && other->view.id < get->view.id)
			base = other;
	get->view.kept_cnt = 0;
	get->revision.base_version = base ? base->revision.version : 0;
	if (!get->revision.version)
		get->revision.version =
			base ? version_after(base, get) : get->asked.folder.revision;
}

void blobs_gets_succeed(struct blobs *content, struct store_batch *batch,
			const uint8_t former_id[static OBJECT_ID_LEN],
			const uint8_t share_id[static OBJECT_ID_LEN])
{
	struct gets *gets = content->gets;

	for (uint32_t i = 0; i < gets->cnt; i++) {
		struct get *get = gets->slots[i];

		if (!get->view.folder ||
		    memcmp(get->asked.folder.share_id, former_id, OBJECT_ID_LEN) != 0)
			continue;
		memcpy(get->asked.folder.share_id, share_id, OBJECT_ID_LEN);
		if (blobs_get_put(get, batch) < 0)
			blobs_get_save_soon(get);
	}
}

static void other_delete(void *arg, int err)
{
	struct get *get = arg;

	get->record.save_cnt--;
	/* So is a record that stays. */
	if (!err && !get->gets->is_closing)
		blobs_gets_drop(get->gets, get);
}

void blobs_get_folder_done(struct get *get)
{
	struct get *other = NULL;

	if (!get->view.folder || get->view.state != BLOBS_GET_FINISHED || get->view.is_leaving)
		return;
	while ((other = blobs_gets_folder_other(get->gets, get, other ? other->view.id : 0))) {
		if (other->get_run || other->record.save_cnt || other->view.is_leaving ||
		    !blobs_get_is_ended(other) || other->view.id > get->view.id)
			continue;
		/* A record for which there is no room now is deleted after the next start. */
		(void)!blobs_get_forget_record(other, other_delete);
	}
}

int blobs_get_supersede(struct blobs *content, uint64_t id, uint64_t now_ns)
{
	struct get *get = blobs_gets_lookup(content->gets, id);

	if (!get)
		return WEFT_EABSENT;
	content->gets->now_ns = now_ns;
	if (blobs_get_is_ended(get) || get->ending.is_cancelled)
		return 0;
	get->revision.is_superseded = true;
	if (get->get_run) {
		blobs_get_run_stop(get->get_run, WEFT_ECANCELLED, "there is a newer revision");
		blobs_get_run_clear(get->get_run);
		return 0;
	}
	blobs_get_state_set(get, BLOBS_GET_STOPPED);
	get->view.err = WEFT_ECANCELLED;
	blobs_get_save_soon(get);
	return 0;
}
