/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Empty directories and symbolic links of a manifest, after its files, so that none of them is ever
 * written through a link. In the folder of a followed share a link that weft made there, and that
 * stands as it made it, is replaced by that of a newer revision; any other stays. What is about to
 * be made is noted in the store first (link_claims.h).
 */
#include <errno.h>
#include <string.h>

#include "content/get/fetch.h"
#include "store/store.h"

/* --- claims --- */

int fetch_links_load(struct fetch *fetch)
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(fetch->content->params.store, &snapshot);

	if (err)
		return err;
	for (unsigned i = 0; i < fetch->intent_id_cnt && !err; i++)
		err = link_claims_load(&fetch->links, snapshot, fetch->intent_ids[i], NULL);
	store_snapshot_close(snapshot);
	return err;
}

void fetch_links_forget(struct store_batch *batch, const struct get *get)
{
	link_claims_forget(batch, get->view.id, get->manifest_id);
	for (uint32_t i = 0; i < get->part_cnt; i++)
		link_claims_forget(batch, get->view.id, get->part_ids + (size_t)i * OBJECT_ID_LEN);
}

/* The link that stands at path is weft's own; nothing at all is nobody's. */
static bool stands_own(const struct fetch *fetch, struct target_dir *dir,
		       const struct manifest_link *link)
{
	char text[MANIFEST_LINK_LEN_MAX + 1];
	int len = target_look_link(&fetch->target, dir, link->path, link->path_len, text);
	const struct manifest_link found = {.path = link->path,
					    .path_len = link->path_len,
					    .text = text,
					    .text_len = len < 0 ? 0 : (size_t)len};

	return len == WEFT_EABSENT || (len >= 0 && link_claims_have(&fetch->links, &found));
}

static void look_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;
	const struct manifest *manifest = fetch->manifest;
	struct target_dir dir;

	step->err = 0;
	link_claims_fini(&fetch->new_links);
	target_dir_init(&dir);
	for (uint32_t i = 0; i < manifest->link_cnt && !step->err; i++) {
		const struct manifest_link *link = &manifest->links[i];

		if (get_wants(fetch->get, link->path, link->path_len) &&
		    stands_own(fetch, &dir, link))
			step->err = link_claims_add(&fetch->new_links, link);
	}
	target_dir_fini(&dir);
	/* A second round finds them in their places. */
	if (!step->err)
		step->err = link_claims_merge(&fetch->links, &fetch->new_links);
}

static void noted(void *arg, int err)
{
	struct fetch *fetch = arg;

	fetch->out_cnt--;
	fetch->is_noting_links = false;
	fetch->are_links_noted = !err;
	fetch_wake(fetch);
	if (err)
		fetch_stop(fetch, err, "cannot store which links are made: %s", weft_err_text(err));
}

static void look_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;
	struct store *store = fetch->content->params.store;
	struct store_batch *batch;
	int err = step->err;

	if (!fetch_step_done(fetch))
		return;
	batch = store_batch_new(store);
	link_claims_put(&fetch->new_links, batch, fetch->get->view.id, fetch->manifest_id);
	if (!err)
		err = store_submit(store, batch, noted, fetch);
	if (!err) {
		fetch->out_cnt++;
		fetch->is_noting_links = true;
		return;
	}
	store_batch_free(batch);
	if (err == WEFT_EFULL)
		fetch->must_retry_soon = true;
	else
		fetch_stop(fetch, err, "cannot store which links are made: %s", weft_err_text(err));
}

/* --- making --- */

static int dirs_make(struct fetch_step_job *step)
{
	const struct manifest *manifest = step->fetch->manifest;
	int err = 0;

	for (uint32_t i = 0; i < manifest->dir_cnt && !err; i++) {
		step->path = manifest->dirs[i].path;
		step->path_len = manifest->dirs[i].path_len;
		err = target_make_dir(&step->fetch->target, step->path, step->path_len);
	}
	return err;
}

static int links_make(struct fetch_step_job *step)
{
	const struct fetch *fetch = step->fetch;
	const struct manifest *manifest = fetch->manifest;
	bool is_folder = fetch->get->view.folder;
	struct target_dir dir;
	int err = 0;

	target_dir_init(&dir);
	for (uint32_t i = 0; i < manifest->link_cnt && err >= 0; i++) {
		const struct manifest_link *link = &manifest->links[i];

		if (!get_wants(fetch->get, link->path, link->path_len))
			continue;
		step->path = link->path;
		step->path_len = link->path_len;
		err = target_make_link(&fetch->target, &dir, link,
				       is_folder ? stands_own(fetch, &dir, link)
						 : fetch->get->is_replacing);
		step->link_left_cnt += err == 1;
		/* In a share's folder what is in the way stays. */
		if (is_folder && (err == WEFT_EEXISTS || err == WEFT_EUNSAFE)) {
			step->link_kept_cnt++;
			err = 0;
		}
	}
	target_dir_fini(&dir);
	return err < 0 ? err : 0;
}

static void dirs_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;

	step->link_left_cnt = step->link_kept_cnt = 0;
	step->err = get_is_partial(step->fetch->get) ? 0 : dirs_make(step);
	if (!step->err)
		step->err = links_make(step);
}

static void dirs_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	if (!fetch_step_done(fetch))
		return;
	fetch->has_unsynced = true;
	fetch->are_links_noted = false;
	fetch->link_left_cnt += step->link_left_cnt;
	fetch->obstacle_cnt += step->link_kept_cnt;
	fetch->get->view.kept_cnt += step->link_kept_cnt;
	if (step->err)
		fetch_stop_at_path(fetch, step->path, step->path_len, step->err);
	else
		fetch_volume_next(fetch);
}

void fetch_dirs_run(struct fetch *fetch)
{
	const struct manifest *manifest = fetch->manifest;
	bool has_dirs = manifest->dir_cnt > 0 && !get_is_partial(fetch->get);

	if (fetch->is_noting_links)
		return;
	if (manifest->link_cnt && fetch->get->view.folder && !fetch->are_links_noted)
		fetch_step_submit(fetch, look_run, look_done);
	else if (manifest->link_cnt || has_dirs)
		fetch_step_submit(fetch, dirs_run, dirs_done);
	else
		fetch_volume_next(fetch);
}
