/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Folders of followed shares: the newest revision that is here is fetched into each, by a get of
 * its own (blobs.h, struct blobs_folder). The table of gets remembers what is there; so after
 * any restart this begins what is missing, and what runs already is found.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "blobs/blobs.h"
#include "follow_state.h"

int shares_followed_folder_set(struct followed *followed, const char *folder)
{
	char *copy = strdup(folder);

	if (!copy)
		return -ENOMEM;
	free(followed->folder);
	followed->folder = copy;
	followed->view.folder = copy;
	return 0;
}

/* The youngest get of the folder, or NULL. */
static const struct blobs_get *newest_get(const struct followed *followed)
{
	struct blobs_get_iter iter = {.content = followed->follows->params.content};
	const struct blobs_get *get, *found = NULL;

	while ((get = blobs_gets_next(&iter)))
		if (get->folder && !get->is_leaving && strcmp(get->target, followed->folder) == 0 &&
		    memcmp(get->folder->share_id, followed->view.share_id, SHARE_ID_LEN) == 0)
			found = get;
	return found;
}

static bool is_under_way(const struct blobs_get *get)
{
	return get->state < BLOBS_GET_FINISHED;
}

static void folder_get(struct followed *followed)
{
	struct follows *follows = followed->follows;
	const struct follow *view = &followed->view;
	struct blobs_folder folder = {.revision = view->revisions[0].seq,
				      .is_mirror = view->is_mirror,
				      .version_cnt = view->version_cnt};
	const struct blobs_get_ask ask = {
		.manifest_id = view->revisions[0].manifest_id,
		.nodes = view->hints,
		.node_cnt = view->hint_cnt,
		.target = followed->folder,
		.priority = BLOBS_GET_PRIORITY,
		.folder = &folder,
	};
	uint64_t id;
	int err;

	memcpy(folder.share_id, view->share_id, sizeof(folder.share_id));
	err = blobs_get_start(follows->params.content, &ask, follows->now_ns, &id);
	followed->view.folder_err = err < 0 ? err : 0;
}

/* Begins the newest revision, after what is under way for an older one has ended. */
static void folder_run(struct followed *followed)
{
	struct blobs *content = followed->follows->params.content;
	const struct follow *view = &followed->view;
	const struct blobs_get *get;

	if (!followed->folder || !view->is_used || !view->revision_cnt || followed->is_leaving)
		return;
	get = newest_get(followed);
	if (get && memcmp(get->manifest_id, view->revisions[0].manifest_id, 32) == 0)
		return;
	if (get && is_under_way(get))
		(void)!blobs_get_supersede(content, get->id, followed->follows->now_ns);
	else
		folder_get(followed);
}

void shares_follows_run_folders(struct follows *follows)
{
	follows->are_folders_due = false;
	for (struct list_node *at = follows->all.next; at != &follows->all; at = at->next)
		folder_run(followed_of(at, node));
}

/*
 * A get that stopped for want of a source or of room is tried again whenever there is news of
 * the share.
 */
void shares_followed_folder_retry(struct followed *followed)
{
	struct blobs *content = followed->follows->params.content;
	const struct blobs_get *get;

	followed->follows->are_folders_due = true;
	if (!followed->folder || followed->is_leaving)
		return;
	get = newest_get(followed);
	if (get && get->state == BLOBS_GET_STOPPED && get->err != WEFT_ECANCELLED)
		(void)!blobs_get_resume(content, get->id, followed->follows->now_ns);
}
