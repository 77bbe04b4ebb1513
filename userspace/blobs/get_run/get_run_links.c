/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Empty directories and symbolic links of a manifest. They come after its files, so that no file
 * is ever written through a link. In the folder of a followed share, a newer revision's link
 * replaces one that weft made there and that is unchanged. Any other link stays. Each is noted
 * in the store before it is made (link_claims.h).
 */
#include <errno.h>
#include <string.h>

#include "get_run.h"
#include "store/store.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"

/* --- claims --- */

int blobs_get_run_links_load(struct get_run *get_run)
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(get_run->content->params.store, &snapshot);

	if (err)
		return err;
	for (unsigned i = 0; i < get_run->folder.intent_id_cnt && !err; i++)
		err = blobs_link_claims_load(&get_run->folder.links, snapshot,
					     get_run->folder.intent_ids[i], NULL);
	store_snapshot_close(snapshot);
	return err;
}

void blobs_get_run_links_forget(struct store_batch *batch, const struct get *get)
{
	blobs_link_claims_forget(batch, get->view.id, get->asked.manifest_id);
	for (uint32_t i = 0; i < get->manifest.part_cnt; i++)
		blobs_link_claims_forget(batch, get->view.id,
					 get->manifest.part_ids + (size_t)i * OBJECT_ID_LEN);
}

/* The link that stands at path is weft's own; nothing at all is not. */
static bool stands_own(const struct get_run *get_run, struct target_dir *dir,
		       const struct manifest_link *link)
{
	char text[MANIFEST_LINK_LEN_MAX + 1];
	int len = blobs_target_look_link(dir, link->path, link->path_len, text);
	const struct manifest_link found = {.path = link->path,
					    .path_len = link->path_len,
					    .text = text,
					    .text_len = len < 0 ? 0 : (size_t)len};

	return len == WEFT_EABSENT ||
	       (len >= 0 && blobs_link_claims_have(&get_run->folder.links, &found));
}

static void look_run(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;
	const struct manifest *manifest = get_run->manifest;
	struct target_dir dir;

	step->err = 0;
	blobs_link_claims_fini(&get_run->folder.new_links);
	blobs_target_dir_init(&dir, &get_run->target);
	for (uint32_t i = 0; i < manifest->link_cnt && !step->err; i++) {
		const struct manifest_link *link = &manifest->links[i];

		if (blobs_get_wants(get_run->get, link->path, link->path_len) &&
		    stands_own(get_run, &dir, link))
			step->err = blobs_link_claims_add(&get_run->folder.new_links, link);
	}
	blobs_target_dir_fini(&dir);
	/* A second round finds them in their places. */
	if (!step->err)
		step->err =
			blobs_link_claims_merge(&get_run->folder.links, &get_run->folder.new_links);
}

static void noted(void *arg, int err)
{
	struct get_run *get_run = arg;

	get_run->out_cnt--;
	get_run->folder.is_noting_links = false;
	get_run->folder.are_links_noted = !err;
	blobs_get_run_wake(get_run);
	if (err)
		blobs_get_run_stop(get_run, err, "cannot store which links are made: %s",
				   weft_err_text(err));
}

static void look_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;
	struct store *store = get_run->content->params.store;
	struct store_batch *batch;
	int err = step->err;

	if (!blobs_get_run_step_done(get_run))
		return;
	batch = store_batch_new(store);
	blobs_link_claims_put(&get_run->folder.new_links, batch, get_run->get->view.id,
			      get_run->part.id);
	if (!err)
		err = store_submit(store, batch, noted, get_run);
	if (!err) {
		get_run->out_cnt++;
		get_run->folder.is_noting_links = true;
		return;
	}
	store_batch_free(batch);
	if (err == WEFT_EFULL)
		get_run->must_retry_soon = true;
	else
		blobs_get_run_stop(get_run, err, "cannot store which links are made: %s",
				   weft_err_text(err));
}

/* --- making --- */

static int dirs_make(struct get_run_step_job *step)
{
	const struct manifest *manifest = step->get_run->manifest;
	int err = 0;

	for (uint32_t i = 0; i < manifest->dir_cnt && !err; i++) {
		step->path = manifest->dirs[i].path;
		step->path_len = manifest->dirs[i].path_len;
		err = blobs_target_make_dir(&step->get_run->target, step->path, step->path_len);
	}
	return err;
}

static int links_make(struct get_run_step_job *step)
{
	const struct get_run *get_run = step->get_run;
	const struct manifest *manifest = get_run->manifest;
	bool is_folder = get_run->get->view.folder;
	struct target_dir dir;
	int err = 0;

	blobs_target_dir_init(&dir, &get_run->target);
	for (uint32_t i = 0; i < manifest->link_cnt && err >= 0; i++) {
		const struct manifest_link *link = &manifest->links[i];

		if (!blobs_get_wants(get_run->get, link->path, link->path_len))
			continue;
		step->path = link->path;
		step->path_len = link->path_len;
		err = blobs_target_make_link(&dir, link,
					     is_folder ? stands_own(get_run, &dir, link)
						       : get_run->get->asked.is_replacing);
		step->link_left_cnt += err == 1;
		/* In a share's folder what is in the way stays. */
		if (is_folder && (err == WEFT_EEXISTS || err == WEFT_EUNSAFE)) {
			step->link_kept_cnt++;
			err = 0;
		}
	}
	blobs_target_dir_fini(&dir);
	return err < 0 ? err : 0;
}

static void dirs_run(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;

	step->link_left_cnt = step->link_kept_cnt = 0;
	step->err = blobs_get_is_partial(step->get_run->get) ? 0 : dirs_make(step);
	if (!step->err)
		step->err = links_make(step);
}

static void dirs_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;

	if (!blobs_get_run_step_done(get_run))
		return;
	get_run->records.has_unsynced = true;
	get_run->folder.are_links_noted = false;
	get_run->folder.link_left_cnt += step->link_left_cnt;
	get_run->folder.obstacle_cnt += step->link_kept_cnt;
	get_run->get->view.kept_cnt += step->link_kept_cnt;
	if (step->err)
		blobs_get_run_stop_at_path(get_run, step->path, step->path_len, step->err);
	else
		blobs_fetch_stored_next(get_run);
}

void blobs_get_run_dirs_run(struct get_run *get_run)
{
	const struct manifest *manifest = get_run->manifest;
	bool has_dirs = manifest->dir_cnt > 0 && !blobs_get_is_partial(get_run->get);

	if (get_run->folder.is_noting_links)
		return;
	if (manifest->link_cnt && get_run->get->view.folder && !get_run->folder.are_links_noted)
		blobs_get_run_step_submit(get_run, look_run, look_done);
	else if (manifest->link_cnt || has_dirs)
		blobs_get_run_step_submit(get_run, dirs_run, dirs_done);
	else
		blobs_fetch_stored_next(get_run);
}
