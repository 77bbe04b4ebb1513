/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two lists that ascend by path are merged. A part that both sides have holds
 * the same files on both, so leaving it out of both changes nothing.
 */
#include "diff.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/thread/jobs.h"
#include "blobs/manifest/manifest.h"

struct side {
	struct store *store;
	struct stored_manifest root, part;
	uint32_t part_idx; /* the next part to be read */
	uint32_t item_idx; /* of part, or of a root that is whole */
	const struct side *other;
};

struct diff_job {
	struct job job; /* first */
	struct store *store;
	uint8_t ids[2][32]; /* before, after */
	struct diff diff;
	int err;
	diff_done_fn done;
	void *arg;
};

static bool has_part(const struct side *side, const uint8_t *id)
{
	const struct manifest *root = side->root.manifest;

	for (uint32_t i = 0; i < root->part_cnt; i++)
		if (memcmp(root->parts[i].manifest_id, id, 32) == 0)
			return true;
	return false;
}

/* The next part that the other side has not; false: there is none, or err. */
static bool part_next(struct side *side, int *io_err)
{
	const struct manifest *root = side->root.manifest;

	blobs_stored_manifest_fini(&side->part);
	side->item_idx = 0;
	while (*io_err == 0 && side->part_idx < root->part_cnt) {
		const uint8_t *id = root->parts[side->part_idx++].manifest_id;

		if (has_part(side->other, id))
			continue;
		*io_err = blobs_stored_manifest_load(side->store, id, &side->part);
		return *io_err == 0;
	}
	return false;
}

/* The item that side stands at; NULL at the end, or after an error. */
static const struct manifest_item *side_item(struct side *side, int *io_err)
{
	const struct manifest *root = side->root.manifest;

	if (!root->part_cnt)
		return side->item_idx < root->item_cnt ? &root->items[side->item_idx] : NULL;
	while (!side->part.manifest || side->item_idx >= side->part.manifest->item_cnt)
		if (!part_next(side, io_err))
			return NULL;
	return &side->part.manifest->items[side->item_idx];
}

static int diff_add(struct diff *diff, enum diff_kind kind, const struct manifest_item *before,
		    const struct manifest_item *after)
{
	const struct manifest_item *item = after ? after : before;
	struct diff_line *line;

	diff->cnts[kind]++;
	if (diff->line_cnt == DIFF_LINES_MAX) {
		diff->is_cut = true;
		return 0;
	}
	line = &diff->lines[diff->line_cnt];
	line->path = strndup(item->path, item->path_len);
	if (!line->path)
		return -ENOMEM;
	line->kind = kind;
	line->before_len = before ? before->size : 0;
	line->after_len = after ? after->size : 0;
	diff->line_cnt++;
	return 0;
}

static int sides_merge(struct side *before, struct side *after, struct diff *diff)
{
	int err = 0;

	while (err == 0) {
		const struct manifest_item *b = side_item(before, &err);
		const struct manifest_item *a = side_item(after, &err);
		int order;

		if (err < 0 || (!a && !b))
			break;
		order = !a   ? -1
			: !b ? 1
			     : blobs_manifest_path_compare(b->path, b->path_len, a->path,
							   a->path_len);
		if (order < 0)
			err = diff_add(diff, DIFF_REMOVED, b, NULL);
		else if (order > 0)
			err = diff_add(diff, DIFF_ADDED, NULL, a);
		else if (memcmp(a->content_id, b->content_id, 32) != 0)
			err = diff_add(diff, DIFF_CHANGED, b, a);
		before->item_idx += order <= 0;
		after->item_idx += order >= 0;
	}
	return err;
}

static void diff_run(struct job *job)
{
	struct diff_job *own = (void *)job;
	struct side before = {.store = own->store}, after = {.store = own->store, .other = &before};

	before.other = &after;
	own->diff.lines = calloc(DIFF_LINES_MAX, sizeof(*own->diff.lines));
	own->err = own->diff.lines
			   ? blobs_stored_manifest_load(own->store, own->ids[0], &before.root)
			   : -ENOMEM;
	if (own->err == 0)
		own->err = blobs_stored_manifest_load(own->store, own->ids[1], &after.root);
	if (own->err == 0)
		own->err = sides_merge(&before, &after, &own->diff);
	blobs_stored_manifest_fini(&before.part);
	blobs_stored_manifest_fini(&before.root);
	blobs_stored_manifest_fini(&after.part);
	blobs_stored_manifest_fini(&after.root);
}

static void diff_done(struct job *job)
{
	struct diff_job *own = (void *)job;

	own->done(own->arg, own->err, &own->diff);
	for (uint32_t i = 0; i < own->diff.line_cnt; i++)
		free(own->diff.lines[i].path);
	free(own->diff.lines);
	free(own);
}

int shares_diff_start(struct store *store, struct jobs *jobs, const struct diff_ask *ask)
{
	struct diff_job *own = calloc(1, sizeof(*own));
	int err;

	if (!own)
		return -ENOMEM;
	own->job = (struct job){.run = diff_run, .done = diff_done};
	own->store = store;
	memcpy(own->ids[0], ask->before, 32);
	memcpy(own->ids[1], ask->after, 32);
	own->done = ask->done;
	own->arg = ask->arg;
	err = jobs_submit(jobs, &own->job);
	if (err < 0)
		free(own);
	return err;
}
