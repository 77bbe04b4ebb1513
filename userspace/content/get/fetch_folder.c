/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of a followed share: what is not weft's to change stays, and what former revisions
 * brought and this one has not goes (mirror), after all of this one is in its place and recorded.
 * A file in the way of a folder, or the other way round, may be gone then: one more round.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "content/get/fetch.h"
#include "content/get/removal.h"

static void removal_submit(struct fetch *fetch);

void fetch_kept(struct fetch *fetch, uint32_t item)
{
	const struct manifest_item *entry = fetch_manifest_item(fetch, item);
	char path[OBJECT_PATH_LEN_MAX];
	struct object_file file = {0};

	/* Whatever its record said: from now on it is the user's. A share's record stays. */
	if (fetch->check.has_known && fetch->check.known.is_got &&
	    target_join(&fetch->target, entry->path, entry->path_len, file.path) == 0) {
		memcpy(file.content_id, fetch->check.known.content_id, OBJECT_ID_LEN);
		object_file_forget(fetch_batch(fetch), &file);
	}
	fetch->get->view.kept_cnt++;
	get_tell(fetch->get, CONTENT_GET_KEPT, 0, fetch_item_path(fetch, item, path));
	fetch_item_done(fetch, item);
}

static void kept_tell(struct fetch *fetch, const struct removal *removal)
{
	fetch->get->view.kept_cnt += removal->kept_cnt;
	if (removal->kept_cnt)
		get_tell(fetch->get, CONTENT_GET_KEPT, 0, removal->first_kept);
}

static void removal_done(struct job *job)
{
	struct removal *removal = (struct removal *)job;
	struct fetch *fetch = removal->owner;

	fetch->step_is_out = false;
	if (!fetch_job_done(fetch))
		return;
	if (!removal->is_over && !removal->err) {
		removal_submit(fetch);
		return;
	}
	fetch->removed_cnt += removal->removed_cnt;
	kept_tell(fetch, removal);
	if (removal->err)
		fetch_stop(fetch, removal->err, "%s: what is in the revision no more stays: %s",
			   fetch->get->target, weft_err_text(removal->err));
	fetch->removal = NULL;
	removal_free(removal);
}

static void removal_submit(struct fetch *fetch)
{
	fetch->step_is_out = fetch_submit(fetch, &fetch->removal->job, removal_run, removal_done);
}

/* The next former get of the folder; false: there is none. */
static bool removal_next(struct fetch *fetch)
{
	const struct get *get = fetch->get;
	const struct get *other = gets_folder_other(get->gets, get, fetch->removal_id);

	if (!get->folder.is_mirror || !other)
		return false;
	fetch->removal_id = other->view.id;
	if (memcmp(other->manifest_id, get->manifest_id, OBJECT_ID_LEN) == 0)
		return true;
	fetch->removal = removal_new(fetch->content->params.store, get->target, other->manifest_id,
				     other->part_ids, other->part_cnt);
	if (!fetch->removal) {
		fetch_stop(fetch, -ENOMEM, "no memory to remove what is in the revision no more");
		return true;
	}
	fetch->removal->owner = fetch;
	fetch->removal->get_id = other->view.id;
	fetch->removal->newer_get_id = get->view.id;
	fetch->removal->has_newer = true;
	memcpy(fetch->removal->newer_id, get->manifest_id, OBJECT_ID_LEN);
	if (fetch->target.versions_fd >= 0)
		fetch->removal->versions_fd = dup(fetch->target.versions_fd);
	removal_submit(fetch);
	return true;
}

static void prune_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	const struct get *get = step->fetch->get;

	step->err = target_prune_versions(&step->fetch->target, get->folder.version_cnt);
}

static void prune_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	if (!fetch_step_done(fetch))
		return;
	if (step->err) {
		fetch_stop(fetch, step->err, "%s: old versions cannot be removed: %s",
			   fetch->get->target, weft_err_text(step->err));
		return;
	}
	fetch->step = FETCH_CLOSING;
	fetch_wake(fetch);
}

/* All of it again: what was in the way is gone. */
static void round_again(struct fetch *fetch)
{
	fetch->is_second_round = true;
	fetch->obstacle_cnt = fetch->removed_cnt = 0;
	fetch->removal_id = 0;
	fetch->part_idx = 0;
	fetch->get->view.kept_cnt = 0;
	fetch->get->view.item_done_cnt = fetch->get->view.byte_done_cnt = 0;
	manifest_free(fetch->root);
	fetch->root = NULL;
	free(fetch->root_buf);
	fetch->root_buf = NULL;
	fetch->get->is_continued = true;
	fetch_manifest_begin(fetch, fetch->get->manifest_id);
}

void fetch_removing_run(struct fetch *fetch)
{
	if (fetch->step_is_out || fetch_is_stopping(fetch))
		return;
	if (fetch->removal) {
		removal_submit(fetch);
		return;
	}
	/* All is recorded: what an earlier run was about to place is known now. */
	if (fetch->intent_cnt) {
		fetch->intent_cnt = 0;
		fetch_intents_end(fetch, fetch_batch(fetch));
		fetch->step = FETCH_FLUSH;
		fetch_wake(fetch);
		return;
	}
	while (!fetch->removal && !fetch_is_stopping(fetch) && removal_next(fetch))
		continue;
	if (fetch->removal || fetch_is_stopping(fetch))
		return;
	if (fetch->obstacle_cnt && fetch->removed_cnt && !fetch->is_second_round)
		round_again(fetch);
	else
		fetch_step_submit(fetch, prune_run, prune_done);
}
