/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests of a get, one at a time: from our own store if an earlier run
 * left it there, else from the swarm. A root leads from part to part.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "get_run.h"
#include "blobs/get/get_state.h"
#include "blobs/blobs_state.h"
#include "blobs/get_run/duplicates.h"
#include "store/store.h"

#define REPLY_CAP (MANIFEST_LEN_MAX + MESSAGE_HEAD_CAP + MESH_FRAME_OVERHEAD)

void blobs_fetch_stored_free(struct get_run *get_run)
{
	blobs_manifest_free(get_run->manifest);
	get_run->manifest = NULL;
	free(get_run->part.buf);
	get_run->part.buf = NULL;
	free(get_run->items.all);
	get_run->items.all = NULL;
	get_run->items.cnt = 0;
}

void blobs_get_run_manifest_begin(struct get_run *get_run, const uint8_t id[static OBJECT_ID_LEN])
{
	memcpy(get_run->part.id, id, OBJECT_ID_LEN);
	get_run->part.buf = malloc(REPLY_CAP);
	if (!get_run->part.buf) {
		blobs_get_run_stop(get_run, -ENOMEM, "no memory for a manifest");
		return;
	}
	get_run->step = GET_RUN_LOADING;
	blobs_get_run_wake(get_run);
}

/* --- items of a part --- */

/* Chains items of equal content to the first of them. */
static int duplicates_find(struct get_run *get_run)
{
	struct duplicates duplicates;
	int err = blobs_duplicates_init(&duplicates, get_run->manifest->items, get_run->items.cnt,
					get_run->content->params.random);

	for (uint32_t i = 0; i < get_run->items.cnt && err == 0; i++) {
		struct get_run_item *item = &get_run->items.all[i], *first;

		if (item->state == ITEM_SKIPPED)
			continue;
		item->next_twin = item->twin_of = GET_RUN_NONE;
		first = &get_run->items.all[blobs_duplicates_first(&duplicates, i)];
		if (first == item)
			continue;
		item->state = ITEM_TWIN;
		item->twin_of = (uint32_t)(first - get_run->items.all);
		item->next_twin = first->next_twin;
		first->next_twin = i;
	}
	blobs_duplicates_fini(&duplicates);
	return err;
}

/* Only what is wanted counts. */
static void items_choose(struct get_run *get_run)
{
	struct blobs_get *view = &get_run->get->view;

	for (uint32_t i = 0; i < get_run->items.cnt; i++) {
		const struct manifest_item *entry = blobs_get_run_manifest_item(get_run, i);

		get_run->items.all[i].is_first =
			blobs_get_wants_first(get_run->get, entry->path, entry->path_len);
		if (!blobs_get_is_partial(get_run->get))
			continue;
		if (blobs_get_wants(get_run->get, entry->path, entry->path_len)) {
			view->item_cnt++;
			view->byte_cnt += entry->size;
		} else {
			get_run->items.all[i].state = ITEM_SKIPPED;
			get_run->items.done_cnt++;
		}
	}
}

static int stored_lay_out(struct get_run *get_run)
{
	uint32_t cnt = get_run->manifest->item_cnt;

	get_run->items.all = calloc(cnt ? cnt : 1, sizeof(*get_run->items.all));
	if (!get_run->items.all)
		return -ENOMEM;
	get_run->items.cnt = cnt;
	get_run->items.done_cnt = 0;
	get_run->items.check_idx = 0;
	get_run->items.checks_others = !get_run->get->asked.first;
	get_run->items.need_idx = 0;
	get_run->items.ready_duplicates = GET_RUN_NONE;
	get_run->items.needed_len = get_run->check.reserved_len = 0;
	items_choose(get_run);
	return duplicates_find(get_run);
}

/* The first wanted file that is not to be fetched, or NULL. */
static const struct manifest_item *blocked_find(const struct get_run *get_run)
{
	for (uint32_t i = 0; i < get_run->items.cnt; i++) {
		const struct manifest_item *entry = blobs_get_run_manifest_item(get_run, i);

		if (get_run->items.all[i].state != ITEM_SKIPPED &&
		    blobs_is_blocked(get_run->content, entry->content_id))
			return entry;
	}
	return NULL;
}

static void stored_begin(struct get_run *get_run)
{
	int err = stored_lay_out(get_run);
	const struct manifest_item *blocked;

	if (err) {
		blobs_get_run_stop(get_run, err, "no memory for the list of files");
		return;
	}
	blocked = blocked_find(get_run);
	if (blocked) {
		blobs_get_run_stop(get_run, WEFT_EREFUSED,
				   "%.*s is on the blocklist of a share that is followed (weft sub "
				   "list); --exclude fetches the others",
				   (int)blocked->path_len, blocked->path);
		return;
	}
	if (get_run->get->asked.range_cnt > 0) {
		blobs_get_run_range_begin(get_run);
		return;
	}
	blobs_swarm_set_manifest(get_run->swarm, get_run->part.id, true);
	if (get_run->get->view.state == BLOBS_GET_MANIFEST)
		blobs_get_state_set(get_run->get, BLOBS_GET_VERIFYING);
	get_run->step = GET_RUN_ITEMS;
	blobs_get_run_wake(get_run);
}

void blobs_fetch_stored_next(struct get_run *get_run)
{
	blobs_fetch_stored_free(get_run);
	if (get_run->part.root && get_run->part.idx < get_run->part.root->part_cnt) {
		blobs_get_run_manifest_begin(
			get_run, get_run->part.root->parts[get_run->part.idx++].manifest_id);
		return;
	}
	get_run->step = GET_RUN_FLUSH;
	blobs_get_run_wake(get_run);
}

/* --- what a manifest says --- */

static int part_check(const struct get_run *get_run, const struct manifest *manifest)
{
	const struct manifest_part *part;

	if (!get_run->part.root)
		return manifest->shape == MANIFEST_PART ? WEFT_EMALFORMED : 0;
	part = &get_run->part.root->parts[get_run->part.idx - 1];
	return manifest->shape == MANIFEST_PART && manifest->all_item_cnt == part->item_cnt &&
			       manifest->all_byte_cnt == part->byte_cnt
		       ? 0
		       : WEFT_EMALFORMED;
}

static int root_keep(struct get_run *get_run)
{
	struct get *get = get_run->get;
	uint32_t cnt = get_run->manifest->part_cnt;

	free(get->manifest.part_ids);
	get->manifest.part_cnt = 0;
	get->manifest.part_ids = malloc((size_t)cnt * OBJECT_ID_LEN);
	if (!get->manifest.part_ids && cnt)
		return -ENOMEM;
	for (uint32_t i = 0; i < cnt; i++)
		memcpy(get->manifest.part_ids + (size_t)i * OBJECT_ID_LEN,
		       get_run->manifest->parts[i].manifest_id, OBJECT_ID_LEN);
	get->manifest.part_cnt = cnt;
	blobs_served_changed(get->gets->content);
	get_run->part.root = get_run->manifest;
	get_run->part.root_buf = get_run->part.buf;
	get_run->manifest = NULL;
	get_run->part.buf = NULL;
	return 0;
}

/*
 * The manifest is stored at once, not with the files: other getters may ask for it
 * from now on. A manifest that finds no room is stored with the files.
 */
static void manifest_keep(struct get_run *get_run)
{
	struct store *store = get_run->content->params.store;
	struct store_batch *batch = store_batch_new(store);

	store_batch_put_blob(batch, get_run->part.id, get_run->part.bytes, get_run->part.len);
	/* Parts have the scope of their root. */
	if (!get_run->part.root)
		blobs_scope_put(batch, get_run->part.id, get_run->part.bytes, get_run->part.len);
	if (store_submit(store, batch, NULL, NULL) == 0)
		return;
	store_batch_free(batch);
	store_batch_put_blob(blobs_get_run_batch(get_run), get_run->part.id, get_run->part.bytes,
			     get_run->part.len);
}

/* Bytes that are what their id says; whether they make sense is another question. */
static void manifest_use(struct get_run *get_run)
{
	struct get *get = get_run->get;
	struct manifest *manifest;
	int err = blobs_manifest_parse(get_run->part.bytes, get_run->part.len, &manifest);

	if (!err) {
		get_run->manifest = manifest;
		err = part_check(get_run, manifest);
	}
	if (err) {
		blobs_get_run_stop(get_run, err, "the manifest cannot be used: %s",
				   weft_err_text(err));
		return;
	}
	manifest_keep(get_run);
	if (!get_run->part.root) {
		blobs_scope_of_manifest(manifest, &get->manifest.scope);
		blobs_served_changed(get->gets->content);
		memcpy(get->manifest.title, manifest->title, sizeof(get->manifest.title));
		get->view.item_cnt = blobs_get_is_partial(get) ? 0 : manifest->all_item_cnt;
		get->view.byte_cnt = blobs_get_is_partial(get) ? 0 : manifest->all_byte_cnt;
	}
	if (manifest->shape != MANIFEST_ROOT) {
		stored_begin(get_run);
		return;
	}
	err = root_keep(get_run);
	if (err)
		blobs_get_run_stop(get_run, err, "no memory for the manifest's parts");
	else
		blobs_fetch_stored_next(get_run);
}

static bool is_manifest(const struct get_run *get_run, const uint8_t *bytes, size_t len)
{
	uint8_t id[OBJECT_ID_LEN];

	blake3_hash(bytes, len, id);
	return memcmp(id, get_run->part.id, sizeof(id)) == 0;
}

/* --- from our own store --- */

static void load_run(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;
	struct store *store = get_run->content->params.store;
	struct store_snapshot *snapshot;
	int64_t len;

	step->err = store_snapshot_open(store, &snapshot);
	if (step->err)
		return;
	len = store_blob_len(snapshot, get_run->part.id);
	store_snapshot_close(snapshot);
	if (len < 0 || (uint64_t)len > MANIFEST_LEN_MAX) {
		step->err = WEFT_EABSENT;
		return;
	}
	get_run->part.bytes = get_run->part.buf;
	get_run->part.len = (size_t)len;
	step->err = store_blob_read(store, get_run->part.id, 0, get_run->part.buf, (size_t)len);
}

static void load_done(struct job *job)
{
	struct get_run_step_job *step = (struct get_run_step_job *)job;
	struct get_run *get_run = step->get_run;

	if (!blobs_get_run_step_done(get_run))
		return;
	if (!step->err && is_manifest(get_run, get_run->part.bytes, get_run->part.len))
		manifest_use(get_run);
	else
		get_run->step = GET_RUN_MANIFEST;
}

/* --- from the swarm --- */

static bool manifest_check(void *arg, const struct message_answer *answer)
{
	return is_manifest(arg, answer->bytes, answer->len);
}

static void on_manifest(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct get_run *get_run = arg;

	get_run->get->gets->now_ns = now_ns;
	blobs_get_run_wake(get_run);
	if (answer->err) {
		blobs_get_run_swarm_failed(get_run, answer->err, answer->detail);
		return;
	}
	blobs_get_run_answered(get_run, answer->message.len, now_ns);
	get_run->part.bytes = answer->message.bytes;
	get_run->part.len = answer->message.len;
	manifest_use(get_run);
}

static void manifest_ask(struct get_run *get_run, uint64_t now_ns)
{
	static const char what[] = "the collection";

	get_run->part.ask = (struct swarm_ask){
		.type = MESH_GET_MANIFEST,
		.what = what,
		.what_len = sizeof(what) - 1,
		.buf = get_run->part.buf,
		.cap = REPLY_CAP,
		.check = manifest_check,
		.done = on_manifest,
		.arg = get_run,
	};
	memcpy(get_run->part.ask.request.id, get_run->part.id, OBJECT_ID_LEN);
	/* Without a member of its own choice, an ask is always taken. */
	(void)!blobs_swarm_ask(get_run->swarm, &get_run->part.ask, now_ns);
}

void blobs_get_run_manifest_run(struct get_run *get_run, uint64_t now_ns)
{
	if (get_run->step == GET_RUN_LOADING)
		blobs_get_run_step_submit(get_run, load_run, load_done);
	else if (!get_run->part.ask.swarm)
		manifest_ask(get_run, now_ns);
}
