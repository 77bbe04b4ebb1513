/* SPDX-License-Identifier: Apache-2.0 */
/* Finding in shares that are followed: what of them is searched, and what is told of it. */
#include "search/search.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "codec/zbase32.h"
#include "shares/follow/follow.h"
#include "node/node_state.h"
#include "node/sharing/sharing_state.h"

_Static_assert((int)FOLLOW_TRUSTED == SEARCH_TRUSTED && (int)FOLLOW_NORMAL == SEARCH_NORMAL &&
		       (int)FOLLOW_UNTRUSTED == SEARCH_UNTRUSTED,
	       "the tiers of search are those of follow");

static const char *const event_names[] = {
	[SEARCH_INDEX_RESET] = "search.index-reset",
	[SEARCH_SHARE_READY] = "search.share-ready",
	[SEARCH_SHARE_FAILED] = "search.share-failed",
};

static void event_log(const struct search_event *event, const char *share)
{
	switch (event->kind) {
	case SEARCH_INDEX_RESET:
		log_notice("the search index is made again: the one that was there is %s",
			   event->err ? "damaged" : "of another version of weft");
		break;
	case SEARCH_SHARE_FAILED:
		log_warn("share %.12s could not be indexed for search: %s; it is tried again in "
			 "ten minutes",
			 share, weft_err_text(event->err));
		break;
	case SEARCH_SHARE_READY:
		break;
	}
}

static void on_event(void *ctx, const struct search_event *event)
{
	struct node *node = ((struct sharing *)ctx)->node;
	char share[ZBASE32_KEY_TEXT_CAP] = "";
	json_t *fields;

	if (event->share_id)
		zbase32_write(event->share_id, SHARE_ID_LEN, share);
	event_log(event, share);
	if (!node->control)
		return;
	fields = json_object();
	if (event->share_id)
		json_object_set_new(fields, "share_id", json_string(share));
	if (event->kind == SEARCH_SHARE_READY)
		json_object_set_new(fields, "items", json_integer((json_int_t)event->item_cnt));
	if (event->cut_cnt)
		json_object_set_new(fields, "cut_shards", json_integer((json_int_t)event->cut_cnt));
	if (event->err)
		json_object_set_new(fields, "error", json_string(weft_err_text(event->err)));
	node_tell(node, event_names[event->kind], fields);
}

int node_sharing_open_search(struct sharing *sharing)
{
	struct node *node = sharing->node;
	const struct search_params params = {
		.config = node->config->sharing.search,
		.state_dir = node->config->store.dir,
		.store = node->store,
		.jobs = node->home.jobs,
		.timers = &node->home.timers,
		.random = node->random,
		.on_event = on_event,
		.ctx = sharing,
	};

	return search_new(&params, &sharing->search);
}

void node_sharing_search_follow(void *ctx, const struct follow *follow)
{
	struct sharing *sharing = ctx;
	uint64_t now_ns = sharing->node->home.now_ns;
	int err;

	if (!follow->is_used) {
		search_drop_share(sharing->search, follow->share_id, now_ns);
		return;
	}
	err = search_put_share(sharing->search, follow->share_id, (enum search_tier)follow->tier,
			       follow->weight, follow->revisions[0].manifest_id, now_ns);
	if (err == WEFT_EFULL)
		log_warn("a followed share is not searched: no more than %u are",
			 SEARCH_SHARES_MAX);
	else if (err < 0)
		log_warn("a followed share is not searched: the index in %s/search cannot be "
			 "opened: %s",
			 sharing->node->config->store.dir, weft_err_text(err));
}

/* --- blocked contents --- */

struct blocked {
	uint8_t (*ids)[BLOCKLIST_ID_LEN];
	size_t cnt, cap;
};

static void blocked_count(void *arg, const uint8_t id[static BLOCKLIST_ID_LEN])
{
	(void)id;
	((struct blocked *)arg)->cap++;
}

static void blocked_add(void *arg, const uint8_t id[static BLOCKLIST_ID_LEN])
{
	struct blocked *blocked = arg;

	memcpy(blocked->ids[blocked->cnt++], id, BLOCKLIST_ID_LEN);
}

static int id_compare(const void *a, const void *b)
{
	return memcmp(a, b, BLOCKLIST_ID_LEN);
}

int node_sharing_search_block(struct sharing *sharing)
{
	uint64_t stamp = shares_follows_blocked_stamp(sharing->follows);
	struct blocked blocked = {0};
	int err;

	if (stamp == sharing->blocked_stamp)
		return 0;
	shares_follows_blocked_each(sharing->follows, BLOCKLIST_CONTENT, blocked_count, &blocked);
	if (blocked.cap) {
		blocked.ids = malloc(blocked.cap * sizeof(*blocked.ids));
		if (!blocked.ids)
			return -ENOMEM;
		shares_follows_blocked_each(sharing->follows, BLOCKLIST_CONTENT, blocked_add,
					    &blocked);
		qsort(blocked.ids, blocked.cnt, sizeof(*blocked.ids), id_compare);
	}
	err = search_block(sharing->search, (const uint8_t(*)[BLOCKLIST_ID_LEN])blocked.ids,
			   blocked.cnt);
	free(blocked.ids);
	if (err == 0)
		sharing->blocked_stamp = stamp;
	return err;
}
