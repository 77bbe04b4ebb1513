/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Manifests of a get, one at a time: from our own store if an earlier run
 * left it there, else from the swarm. A root leads from part to part.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "content/get/fetch.h"
#include "content/get/twins.h"
#include "store/store.h"

#define REPLY_CAP (MANIFEST_LEN_MAX + MESSAGE_HEAD_CAP + MESH_FRAME_OVERHEAD)

void fetch_volume_free(struct fetch *fetch)
{
	manifest_free(fetch->manifest);
	fetch->manifest = NULL;
	free(fetch->manifest_buf);
	fetch->manifest_buf = NULL;
	free(fetch->items);
	fetch->items = NULL;
	fetch->item_cnt = 0;
}

void fetch_manifest_begin(struct fetch *fetch, const uint8_t id[static OBJECT_ID_LEN])
{
	memcpy(fetch->manifest_id, id, OBJECT_ID_LEN);
	fetch->manifest_buf = malloc(REPLY_CAP);
	if (!fetch->manifest_buf) {
		fetch_stop(fetch, -ENOMEM, "no memory for a manifest");
		return;
	}
	fetch->step = FETCH_LOADING;
	fetch_wake(fetch);
}

/* --- items of a volume --- */

/* Chains items of equal content to the first of them. */
static int twins_find(struct fetch *fetch)
{
	struct twins twins;
	int err = twins_init(&twins, fetch->manifest->items, fetch->item_cnt,
			     fetch->content->params.random);

	for (uint32_t i = 0; i < fetch->item_cnt && err == 0; i++) {
		struct fetch_item *item = &fetch->items[i], *first;

		if (item->state == ITEM_SKIPPED)
			continue;
		item->next_twin = item->twin_of = FETCH_NONE;
		first = &fetch->items[twins_first(&twins, i)];
		if (first == item)
			continue;
		item->state = ITEM_TWIN;
		item->twin_of = (uint32_t)(first - fetch->items);
		item->next_twin = first->next_twin;
		first->next_twin = i;
	}
	twins_fini(&twins);
	return err;
}

/* Only what is wanted counts. */
static void items_choose(struct fetch *fetch)
{
	struct content_get *view = &fetch->get->view;

	for (uint32_t i = 0; i < fetch->item_cnt; i++) {
		const struct manifest_item *entry = fetch_manifest_item(fetch, i);

		fetch->items[i].is_first =
			get_wants_first(fetch->get, entry->path, entry->path_len);
		if (!get_is_partial(fetch->get))
			continue;
		if (get_wants(fetch->get, entry->path, entry->path_len)) {
			view->item_cnt++;
			view->byte_cnt += entry->size;
		} else {
			fetch->items[i].state = ITEM_SKIPPED;
			fetch->done_cnt++;
		}
	}
}

static int volume_lay_out(struct fetch *fetch)
{
	uint32_t cnt = fetch->manifest->item_cnt;

	fetch->items = calloc(cnt ? cnt : 1, sizeof(*fetch->items));
	if (!fetch->items)
		return -ENOMEM;
	fetch->item_cnt = cnt;
	fetch->done_cnt = 0;
	fetch->check_idx = 0;
	fetch->checks_others = !fetch->get->first;
	fetch->need_idx = 0;
	fetch->ready_twins = FETCH_NONE;
	fetch->needed_len = fetch->check.reserved_len = 0;
	items_choose(fetch);
	return twins_find(fetch);
}

/* The first wanted file that is not to be fetched, or NULL. */
static const struct manifest_item *blocked_find(const struct fetch *fetch)
{
	for (uint32_t i = 0; i < fetch->item_cnt; i++) {
		const struct manifest_item *entry = fetch_manifest_item(fetch, i);

		if (fetch->items[i].state != ITEM_SKIPPED &&
		    content_is_blocked(fetch->content, entry->content_id))
			return entry;
	}
	return NULL;
}

static void volume_begin(struct fetch *fetch)
{
	int err = volume_lay_out(fetch);
	const struct manifest_item *blocked;

	if (err) {
		fetch_stop(fetch, err, "no memory for the list of files");
		return;
	}
	blocked = blocked_find(fetch);
	if (blocked) {
		fetch_stop(fetch, WEFT_EREFUSED,
			   "%.*s is on the blocklist of a share that is followed (weft sub "
			   "list); --exclude fetches the others",
			   (int)blocked->path_len, blocked->path);
		return;
	}
	if (fetch->get->range_cnt > 0) {
		fetch_range_begin(fetch);
		return;
	}
	swarm_set_volume(fetch->swarm, fetch->manifest_id, true);
	if (fetch->get->view.state == CONTENT_GET_MANIFEST)
		fetch->get->view.state = CONTENT_GET_VERIFYING;
	fetch->step = FETCH_ITEMS;
	fetch_wake(fetch);
}

void fetch_volume_next(struct fetch *fetch)
{
	fetch_volume_free(fetch);
	if (fetch->root && fetch->part_idx < fetch->root->part_cnt) {
		fetch_manifest_begin(fetch, fetch->root->parts[fetch->part_idx++].manifest_id);
		return;
	}
	fetch->step = FETCH_FLUSH;
	fetch_wake(fetch);
}

/* --- what a manifest says --- */

static int part_check(const struct fetch *fetch, const struct manifest *manifest)
{
	const struct manifest_part *part;

	if (!fetch->root)
		return manifest->shape == MANIFEST_PART ? WEFT_EMALFORMED : 0;
	part = &fetch->root->parts[fetch->part_idx - 1];
	return manifest->shape == MANIFEST_PART && manifest->all_item_cnt == part->item_cnt &&
			       manifest->all_byte_cnt == part->byte_cnt
		       ? 0
		       : WEFT_EMALFORMED;
}

static int root_keep(struct fetch *fetch)
{
	struct get *get = fetch->get;
	uint32_t cnt = fetch->manifest->part_cnt;

	free(get->part_ids);
	get->part_cnt = 0;
	get->part_ids = malloc((size_t)cnt * OBJECT_ID_LEN);
	if (!get->part_ids && cnt)
		return -ENOMEM;
	for (uint32_t i = 0; i < cnt; i++)
		memcpy(get->part_ids + (size_t)i * OBJECT_ID_LEN,
		       fetch->manifest->parts[i].manifest_id, OBJECT_ID_LEN);
	get->part_cnt = cnt;
	content_reach_changed(get->gets->content);
	fetch->root = fetch->manifest;
	fetch->root_buf = fetch->manifest_buf;
	fetch->manifest = NULL;
	fetch->manifest_buf = NULL;
	return 0;
}

/*
 * Stored at once, not with the files: others who get the same may ask for it
 * from now on. What finds no room is stored with the files after all.
 */
static void manifest_keep(struct fetch *fetch)
{
	struct store *store = fetch->content->params.store;
	struct store_batch *batch = store_batch_new(store);

	store_batch_put_blob(batch, fetch->manifest_id, fetch->manifest_bytes, fetch->manifest_len);
	/* Parts have the scope of their root. */
	if (!fetch->root)
		scope_put(batch, fetch->manifest_id, fetch->manifest_bytes, fetch->manifest_len);
	if (store_submit(store, batch, NULL, NULL) == 0)
		return;
	store_batch_free(batch);
	store_batch_put_blob(fetch_batch(fetch), fetch->manifest_id, fetch->manifest_bytes,
			     fetch->manifest_len);
}

/* Bytes that are what their id says; whether they make sense is another question. */
static void manifest_use(struct fetch *fetch)
{
	struct get *get = fetch->get;
	struct manifest *manifest;
	int err = manifest_parse(fetch->manifest_bytes, fetch->manifest_len, &manifest);

	if (!err) {
		fetch->manifest = manifest;
		err = part_check(fetch, manifest);
	}
	if (err) {
		fetch_stop(fetch, err, "the manifest cannot be used: %s", weft_err_text(err));
		return;
	}
	manifest_keep(fetch);
	if (!fetch->root) {
		scope_of_manifest(manifest, &get->scope);
		content_reach_changed(get->gets->content);
		memcpy(get->title, manifest->title, sizeof(get->title));
		get->view.item_cnt = get_is_partial(get) ? 0 : manifest->all_item_cnt;
		get->view.byte_cnt = get_is_partial(get) ? 0 : manifest->all_byte_cnt;
	}
	if (manifest->shape != MANIFEST_ROOT) {
		volume_begin(fetch);
		return;
	}
	err = root_keep(fetch);
	if (err)
		fetch_stop(fetch, err, "no memory for the manifest's parts");
	else
		fetch_volume_next(fetch);
}

static bool is_manifest(const struct fetch *fetch, const uint8_t *bytes, size_t len)
{
	uint8_t id[OBJECT_ID_LEN];

	blake3_hash(bytes, len, id);
	return memcmp(id, fetch->manifest_id, sizeof(id)) == 0;
}

/* --- from our own store --- */

static void load_run(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;
	struct store *store = fetch->content->params.store;
	struct store_snapshot *snapshot;
	int64_t len;

	step->err = store_snapshot_open(store, &snapshot);
	if (step->err)
		return;
	len = store_blob_len(snapshot, fetch->manifest_id);
	store_snapshot_close(snapshot);
	if (len < 0 || (uint64_t)len > MANIFEST_LEN_MAX) {
		step->err = WEFT_EABSENT;
		return;
	}
	fetch->manifest_bytes = fetch->manifest_buf;
	fetch->manifest_len = (size_t)len;
	step->err = store_blob_read(store, fetch->manifest_id, 0, fetch->manifest_buf, (size_t)len);
}

static void load_done(struct job *job)
{
	struct fetch_step_job *step = (struct fetch_step_job *)job;
	struct fetch *fetch = step->fetch;

	if (!fetch_step_done(fetch))
		return;
	if (!step->err && is_manifest(fetch, fetch->manifest_bytes, fetch->manifest_len))
		manifest_use(fetch);
	else
		fetch->step = FETCH_MANIFEST;
}

/* --- from the swarm --- */

static bool manifest_check(void *arg, const struct message_answer *answer)
{
	return is_manifest(arg, answer->bytes, answer->len);
}

static void on_manifest(void *arg, const struct swarm_answer *answer, uint64_t now_ns)
{
	struct fetch *fetch = arg;

	fetch->get->gets->now_ns = now_ns;
	fetch_wake(fetch);
	if (answer->err) {
		fetch_swarm_failed(fetch, answer->err, answer->detail);
		return;
	}
	fetch_answered(fetch, answer->message.len, now_ns);
	fetch->manifest_bytes = answer->message.bytes;
	fetch->manifest_len = answer->message.len;
	manifest_use(fetch);
}

static void manifest_ask(struct fetch *fetch, uint64_t now_ns)
{
	static const char what[] = "the collection";

	fetch->manifest_ask = (struct swarm_ask){
		.type = MESH_GET_MANIFEST,
		.what = what,
		.what_len = sizeof(what) - 1,
		.buf = fetch->manifest_buf,
		.cap = REPLY_CAP,
		.check = manifest_check,
		.done = on_manifest,
		.arg = fetch,
	};
	memcpy(fetch->manifest_ask.request.id, fetch->manifest_id, OBJECT_ID_LEN);
	/* Without a member of its own choice, an ask is always taken. */
	(void)!swarm_ask(fetch->swarm, &fetch->manifest_ask, now_ns);
}

void fetch_manifest_run(struct fetch *fetch, uint64_t now_ns)
{
	if (fetch->step == FETCH_LOADING)
		fetch_step_submit(fetch, load_run, load_done);
	else if (!fetch->manifest_ask.swarm)
		manifest_ask(fetch, now_ns);
}
