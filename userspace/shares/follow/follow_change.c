/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of the followed shares. Each is a batch, and shows when that is durable. Until then a
 * share that is added stands aside, so that it is not added twice.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "follow_state.h"
#include "store/store.h"

/* A change under way: reported and done when its batch is durable. */
struct change {
	struct follows *follows;
	struct followed *added, *removed;
	unsigned row_cnt; /* of the share, when its row was put */
	char name[FOLLOW_NAME_CAP];
	enum follow_tier tier;
	unsigned weight;
	char *folder; /* NULL: none */
	bool is_mirror;
	unsigned version_cnt;
	uint8_t share_id[SHARE_ID_LEN];
	follow_done_fn done;
	void *arg;
};

static void change_add(struct change *change)
{
	struct follows *follows = change->follows;
	struct followed *followed = change->added;

	list_unlink(&followed->node);
	list_push_back(&follows->all, &followed->node);
	shares_followed_refresh(followed, false);
	if (follows->is_started)
		shares_followed_schedule(followed, 0);
}

static void change_remove(struct followed *followed)
{
	struct follows *follows = followed->follows;

	shares_followed_stop(followed);
	follows->cnt--;
	shares_followed_free(followed);
	shares_follows_refresh(follows);
	blobs_holder_changed(follows->params.content);
}

static void change_free(struct change *change)
{
	free(change->folder);
	free(change);
}

static void change_set(struct change *change)
{
	struct followed *followed = shares_follows_lookup(change->follows, change->share_id);

	if (!followed)
		return; /* it was removed meanwhile */
	memcpy(followed->name, change->name, sizeof(followed->name));
	followed->view.tier = change->tier;
	followed->view.weight = change->weight;
	followed->view.is_mirror = change->is_mirror;
	followed->view.version_cnt = change->version_cnt;
	free(followed->folder);
	followed->folder = change->folder;
	followed->view.folder = followed->folder ? followed->folder : "";
	change->folder = NULL;
	if (followed->row_cnt != change->row_cnt)
		shares_followed_row_again(followed);
	shares_followed_refresh(followed, true);
	shares_follows_refresh(change->follows);
	shares_followed_folder_retry(followed);
}

static void change_failed(struct change *change)
{
	if (change->removed) {
		change->removed->is_leaving = false;
		shares_followed_refresh(change->removed, false);
	} else if (change->added) {
		change->follows->cnt--;
		shares_followed_free(change->added);
	}
}

static void change_done(void *arg, int err)
{
	struct change *change = arg;

	if (err < 0)
		change_failed(change);
	else if (change->removed)
		change_remove(change->removed);
	else if (change->added)
		change_add(change);
	else
		change_set(change);
	if (change->done)
		change->done(change->arg, err);
	change_free(change);
}

static bool name_is_fit(const char *name)
{
	size_t len = strlen(name);

	/* A link is no name, nor is what is printed as nothing. */
	return len < FOLLOW_NAME_CAP && blobs_manifest_title_is_safe(name) &&
	       strncasecmp(name, "mesh:", 5) != 0;
}

static bool list_has_name(const struct list_node *list, const char *name,
			  const uint8_t share_id[static SHARE_ID_LEN])
{
	for (struct list_node *at = list->next; at != list; at = at->next) {
		const struct followed *other = followed_of(at, node);

		if (strcmp(other->name, name) == 0 &&
		    memcmp(other->view.share_id, share_id, SHARE_ID_LEN) != 0)
			return true;
	}
	return false;
}

static int shares_settings_check(const struct follows *follows, const char *name,
				 enum follow_tier tier, unsigned weight,
				 const uint8_t share_id[static SHARE_ID_LEN])
{
	if (!name_is_fit(name) || (unsigned)tier >= FOLLOW_TIER_CNT || weight > FOLLOW_WEIGHT_MAX)
		return WEFT_EMALFORMED;
	if (name[0] && (list_has_name(&follows->all, name, share_id) ||
			list_has_name(&follows->adding, name, share_id)))
		return WEFT_EBUSY;
	return 0;
}

void shares_followed_row_again(struct followed *followed)
{
	struct store *store = followed->follows->params.store;
	struct store_batch *batch = store_batch_new(store);

	shares_follow_row_put(batch, followed, NULL,
			      followed->view.has_blocklist ? followed->blocklist_id : NULL);
	/* State that is lost when the store is full is fetched again, or set again. */
	if (store_submit(store, batch, NULL, NULL) < 0)
		store_batch_free(batch);
}

/* change_submit takes batch, also when it fails. */
static int change_submit(struct change *change, struct store_batch *batch)
{
	int err = store_submit(change->follows->params.store, batch, change_done, change);

	if (err < 0)
		store_batch_free(batch);
	return err;
}

static struct followed *followed_of_ask(struct follows *follows, const struct follow_ask *ask,
					const uint8_t share_id[static SHARE_ID_LEN])
{
	struct followed *followed = shares_followed_new(follows, share_id);

	if (!followed)
		return NULL;
	memcpy(followed->name, ask->name, strlen(ask->name) + 1);
	memcpy(followed->view.share_key, ask->link->public_key, 32);
	followed->view.tier = ask->tier;
	followed->view.weight = ask->weight;
	followed->view.followed_s = follows_wall_s(follows);
	followed->view.hint_cnt = ask->link->node_cnt;
	memcpy(followed->hints, ask->link->nodes, sizeof(followed->hints));
	return followed;
}

/* A head that was seen before the share was followed counts. */
static int seen_load(struct followed *followed)
{
	struct store_snapshot *snapshot;
	int err = store_snapshot_open(followed->follows->params.store, &snapshot);

	if (err < 0)
		return err;
	shares_followed_see(followed, snapshot);
	store_snapshot_close(snapshot);
	return 0;
}

int shares_follow_add(struct follows *follows, const struct follow_ask *ask, follow_done_fn done,
		      void *arg)
{
	uint8_t share_id[SHARE_ID_LEN];
	struct store_batch *batch;
	struct change *change;
	int err;

	if (ask->link->kind != LINK_SHARE)
		return WEFT_EMALFORMED;
	share_id_of(ask->link->public_key, share_id);
	if (shares_follow_list_lookup(&follows->all, share_id) ||
	    shares_follow_list_lookup(&follows->adding, share_id))
		return WEFT_EEXISTS;
	err = shares_settings_check(follows, ask->name, ask->tier, ask->weight, share_id);
	if (err < 0)
		return err;
	if (follows->cnt >= follows->params.config.follow_cap)
		return WEFT_EFULL;
	change = calloc(1, sizeof(*change));
	if (!change)
		return -ENOMEM;
	*change = (struct change){.follows = follows, .done = done, .arg = arg};
	change->added = followed_of_ask(follows, ask, share_id);
	if (!change->added) {
		free(change);
		return -ENOMEM;
	}
	err = seen_load(change->added);
	if (err == 0) {
		batch = store_batch_new(follows->params.store);
		shares_follow_row_put(batch, change->added, NULL, NULL);
		err = change_submit(change, batch);
	}
	if (err < 0) {
		shares_followed_free(change->added);
		free(change);
		return err;
	}
	list_push_back(&follows->adding, &change->added->node);
	follows->cnt++;
	return 0;
}

/* Puts the row of followed as change will make it. */
static void change_row_put(struct store_batch *batch, struct followed *followed,
			   struct change *change)
{
	struct followed row = *followed;

	memcpy(row.name, change->name, sizeof(row.name));
	row.view.tier = change->tier;
	row.view.weight = change->weight;
	row.folder = change->folder;
	row.view.is_mirror = change->is_mirror;
	row.view.version_cnt = change->version_cnt;
	shares_follow_row_put(batch, &row, NULL,
			      row.view.has_blocklist ? followed->blocklist_id : NULL);
	change->row_cnt = followed->row_cnt = row.row_cnt;
}

/* The folder as ask leaves it: 0, WEFT_EMALFORMED, WEFT_EREFUSED (another share's) or -ENOMEM. */
static int folder_take(struct change *change, const struct followed *followed,
		       const struct follow_change *ask)
{
	const struct follow *view = &followed->view;
	const char *folder = ask->folder ? ask->folder : view->folder;
	size_t len = strlen(folder);

	change->is_mirror = ask->is_mirror ? *ask->is_mirror : view->is_mirror;
	change->version_cnt = ask->version_cnt ? *ask->version_cnt : view->version_cnt;
	if (change->version_cnt > BLOBS_VERSIONS_MAX || len >= BLOBS_PATH_CAP ||
	    (len && folder[0] != '/'))
		return WEFT_EMALFORMED;
	while (len > 1 && folder[len - 1] == '/')
		len--;
	for (struct list_node *at = change->follows->all.next; len && at != &change->follows->all;
	     at = at->next) {
		const struct followed *other = followed_of(at, node);

		if (other != followed && strlen(other->view.folder) == len &&
		    memcmp(other->view.folder, folder, len) == 0)
			return WEFT_EREFUSED;
	}
	change->folder = len ? strndup(folder, len) : NULL;
	return len && !change->folder ? -ENOMEM : 0;
}

int shares_follow_set(struct follows *follows, const uint8_t share_id[static SHARE_ID_LEN],
		      const struct follow_change *ask, follow_done_fn done, void *arg)
{
	struct followed *followed = shares_follows_lookup(follows, share_id);
	struct store_batch *batch;
	struct change *change;
	const char *name;
	int err;

	if (!followed || followed->is_leaving)
		return WEFT_EABSENT;
	change = calloc(1, sizeof(*change));
	if (!change)
		return -ENOMEM;
	name = ask->name ? ask->name : followed->name;
	*change = (struct change){.follows = follows,
				  .tier = ask->tier ? *ask->tier : followed->view.tier,
				  .weight = ask->weight ? *ask->weight : followed->view.weight,
				  .done = done,
				  .arg = arg};
	err = folder_take(change, followed, ask);
	if (err == 0)
		err = shares_settings_check(follows, name, change->tier, change->weight, share_id);
	if (err == 0) {
		memcpy(change->share_id, share_id, SHARE_ID_LEN);
		memcpy(change->name, name, strlen(name) + 1);
		batch = store_batch_new(follows->params.store);
		change_row_put(batch, followed, change);
		err = change_submit(change, batch);
	}
	if (err < 0)
		change_free(change);
	return err;
}

int shares_follow_remove(struct follows *follows, const uint8_t share_id[static SHARE_ID_LEN],
			 follow_done_fn done, void *arg)
{
	struct followed *followed = shares_follows_lookup(follows, share_id);
	struct store_batch *batch;
	struct change *change;
	int err;

	if (!followed || followed->is_leaving)
		return WEFT_EABSENT;
	change = calloc(1, sizeof(*change));
	if (!change)
		return -ENOMEM;
	*change =
		(struct change){.follows = follows, .removed = followed, .done = done, .arg = arg};
	batch = store_batch_new(follows->params.store);
	store_batch_delete(batch, STORE_FOLLOWS, store_key(share_id, SHARE_ID_LEN));
	err = change_submit(change, batch);
	if (err < 0) {
		free(change);
		return err;
	}
	followed->is_leaving = true;
	shares_followed_refresh(followed, false);
	return 0;
}
