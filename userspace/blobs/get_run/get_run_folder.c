/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The folder of a followed share. Files that are not weft's to change stay. Files that former
 * revisions brought and this one has not go (mirror), after all of this one is in its place and
 * recorded. A file in the way of a folder, or the other way round, may be gone then: one more
 * round.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "get_run.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"
#include "blobs/target/removal.h"

static void removal_submit(struct get_run *get_run);

void blobs_get_run_kept(struct get_run *get_run, uint32_t item)
{
	const struct manifest_item *entry = blobs_get_run_manifest_item(get_run, item);
	char path[OBJECT_PATH_LEN_MAX];
	struct object_file file = {0};

	/* Whatever its record said: from now on it is the user's. A share's record stays. */
	if (get_run->check.has_known && get_run->check.known.is_got &&
	    blobs_target_join(&get_run->target, entry->path, entry->path_len, file.path) == 0) {
		memcpy(file.content_id, get_run->check.known.content_id, OBJECT_ID_LEN);
		blobs_object_file_forget(blobs_get_run_batch(get_run), &file);
	}
	get_run->get->view.kept_cnt++;
	blobs_get_tell(get_run->get, BLOBS_GET_KEPT, 0,
		       blobs_get_run_item_path(get_run, item, path));
	blobs_get_run_item_done(get_run, item);
}

static void kept_tell(struct get_run *get_run, const struct removal *removal)
{
	get_run->get->view.kept_cnt += removal->kept_cnt;
	if (removal->kept_cnt)
		blobs_get_tell(get_run->get, BLOBS_GET_KEPT, 0, removal->first_kept);
}

static void removal_done(struct job *job)
{
	struct removal *removal = (struct removal *)job;
	struct get_run *get_run = removal->owner;

	get_run->step_is_out = false;
	if (!blobs_get_run_job_done(get_run))
		return;
	if (!removal->is_over && !removal->err) {
		removal_submit(get_run);
		return;
	}
	get_run->folder.removed_cnt += removal->removed_cnt;
	kept_tell(get_run, removal);
	if (removal->err)
		blobs_get_run_stop(get_run, removal->err,
				   "%s: what is in the revision no more stays: %s",
				   get_run->get->asked.target, weft_err_text(removal->err));
	get_run->folder.removal = NULL;
	blobs_removal_free(removal);
}

static void removal_submit(struct get_run *get_run)
{
	get_run->step_is_out = blobs_get_run_submit(get_run, &get_run->folder.removal->job,
						    blobs_removal_run, removal_done);
}

/* The next former get of the folder; false: there is none. */
static bool removal_next(struct get_run *get_run)
{
	const struct get *get = get_run->get;
	const struct get *other =
		blobs_gets_folder_other(get->gets, get, get_run->folder.removal_id);

	if (!get->asked.folder.is_mirror || !other)
		return false;
	get_run->folder.removal_id = other->view.id;
	if (memcmp(other->asked.manifest_id, get->asked.manifest_id, OBJECT_ID_LEN) == 0)
		return true;
	get_run->folder.removal = blobs_removal_new(
		get_run->content->params.store, get->asked.target, other->asked.manifest_id,
		other->manifest.part_ids, other->manifest.part_cnt);
	if (!get_run->folder.removal) {
		blobs_get_run_stop(get_run, -ENOMEM,
				   "no memory to remove what is in the revision no more");
		return true;
	}
	get_run->folder.removal->owner = get_run;
	get_run->folder.removal->get_id = other->view.id;
	get_run->folder.removal->newer_get_id = get->view.id;
	get_run->folder.removal->has_newer = true;
	memcpy(get_run->folder.removal->newer_id, get->asked.manifest_id, OBJECT_ID_LEN);
	if (get_run->target.versions_fd >= 0)
		get_run->folder.removal->versions_fd = dup(get_run->target.versions_fd);
	removal_submit(get_run);
	return true;
}

static void prune_run(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	const struct get *get = step->get_run->get;

	step->err =
		blobs_target_prune_versions(&step->get_run->target, get->asked.folder.version_cnt);
}

static void prune_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;

	if (!blobs_get_run_step_done(get_run))
		return;
	if (step->err) {
		blobs_get_run_stop(get_run, step->err, "%s: old versions cannot be removed: %s",
				   get_run->get->asked.target, weft_err_text(step->err));
		return;
	}
	get_run->step = GET_RUN_CLOSING;
	blobs_get_run_wake(get_run);
}

/* All of it again: what was in the way is gone. */
static void round_again(struct get_run *get_run)
{
	get_run->folder.is_second_round = true;
	get_run->folder.obstacle_cnt = get_run->folder.removed_cnt = 0;
	get_run->folder.removal_id = 0;
	get_run->part.idx = 0;
	get_run->get->view.kept_cnt = 0;
	get_run->get->view.item_done_cnt = get_run->get->view.byte_done_cnt = 0;
	blobs_manifest_free(get_run->part.root);
	get_run->part.root = NULL;
	free(get_run->part.root_buf);
	get_run->part.root_buf = NULL;
	get_run->get->record.is_continued = true;
	blobs_get_run_manifest_begin(get_run, get_run->get->asked.manifest_id);
}

void blobs_get_run_removing_run(struct get_run *get_run)
{
	if (get_run->step_is_out || blobs_get_run_is_stopping(get_run))
		return;
	if (get_run->folder.removal) {
		removal_submit(get_run);
		return;
	}
	/* All is recorded: what an earlier run was about to place is known now. */
	if (get_run->folder.intent_cnt) {
		get_run->folder.intent_cnt = 0;
		blobs_get_run_intents_end(get_run, blobs_get_run_batch(get_run));
		get_run->step = GET_RUN_FLUSH;
		blobs_get_run_wake(get_run);
		return;
	}
	while (!get_run->folder.removal && !blobs_get_run_is_stopping(get_run) &&
	       removal_next(get_run))
		continue;
	if (get_run->folder.removal || blobs_get_run_is_stopping(get_run))
		return;
	if (get_run->folder.obstacle_cnt && get_run->folder.removed_cnt &&
	    !get_run->folder.is_second_round)
		round_again(get_run);
	else
		blobs_get_run_step_submit(get_run, prune_run, prune_done);
}
