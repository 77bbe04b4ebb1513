/* SPDX-License-Identifier: Apache-2.0 */
/* Search, ShowSearch: finding in the shares that are followed, and the index of them. */
#include "search/search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shares/follow/follow.h"
#include "api/methods.h"
#include "method_share_target.h"

struct search_wait {
	struct api *api;
	struct control_call *call;
	struct search_run *run;
	uint32_t page, page_len;
	unsigned tiers;
	bool has_share; /* only that one is searched: */
	uint8_t share_id[SHARE_ID_LEN];
};

/* --- the answer --- */

static struct api_snippet snippet_row(struct varlink_blocks *blocks, const struct snippet *snippet)
{
	struct api_snippet row = {.text = snippet->text,
				  .cut_before = snippet->is_cut_before,
				  .cut_behind = snippet->is_cut_behind};

	for (unsigned i = 0; i < snippet->mark_cnt; i++)
		varlink_push(blocks, &row.marks, {snippet->marks[i].off, snippet->marks[i].len});
	return row;
}

static void hit_add(struct varlink_blocks *blocks, const struct search_hit *hit,
		    struct api_search_hit_list *hits)
{
	struct api_search_hit row = {
		.path = hit->path,
		.size = api_uint(hit->size),
		.score = hit->score / 100.0,
		.content_id = api_id(blocks, hit->content_id),
		.share_id = api_id(blocks, hit->share_id),
		.share = hit->share_title,
		.trust = shares_follow_tier_name((enum follow_tier)hit->tier),
		.collection_id = api_id(blocks, hit->manifest_id),
		.mime = hit->mime[0] ? hit->mime : NULL,
		.shown = snippet_row(blocks, &hit->path_snippet),
	};
	struct api_snippet *about =
		hit->about.mark_cnt ? varlink_alloc(blocks, sizeof(*about)) : NULL;

	for (const char *tag = hit->tags; *tag; tag += strlen(tag) + 1)
		varlink_push(blocks, &row.tags, tag);
	if (about)
		*about = snippet_row(blocks, &hit->about);
	row.about = about;
	varlink_push(blocks, hits, row);
}

/* Shares followed whose first revision is not here yet: the index does not know them. */
static uint32_t unfetched_cnt(const struct search_wait *wait)
{
	const struct follow *follow = NULL;
	uint32_t cnt = 0;

	while ((follow = shares_follows_next(wait->api->follows, follow)))
		cnt += follow->state == FOLLOW_NEW && (wait->tiers >> follow->tier & 1) &&
		       (!wait->has_share ||
			memcmp(wait->share_id, follow->share_id, sizeof(wait->share_id)) == 0);
	return cnt;
}

static void search_reply(struct search_wait *wait, const struct search_result *result)
{
	struct api_search_out out = {
		.found = api_uint(result->found_cnt),
		.reachable = result->reachable_cnt,
		.page = wait->page + 1,
		.page_size = wait->page_len,
		.shares = result->share_cnt,
		.pending_shares = result->pending_cnt + unfetched_cnt(wait),
	};

	for (uint32_t i = 0; i < result->hit_cnt; i++)
		hit_add(control_blocks(wait->call), &result->hits[i], &out.hits);
	control_reply(wait->call, api_search_out_write(&out));
}

static void search_done(void *arg, const struct search_result *result)
{
	struct search_wait *wait = arg;

	if (!wait->api->control) { /* it forgot the call */
		free(wait);
		return;
	}
	if (result->err < 0)
		control_fail(wait->call, result->err, "search index", weft_err_text(result->err),
			     "search again; if that fails, too, start weftd again: a damaged "
			     "index is found and made anew then");
	else
		search_reply(wait, result);
	free(wait);
}

static void search_caller_left(void *arg)
{
	struct search_wait *wait = arg;

	search_cancel(wait->run);
	free(wait);
}

/* --- the question --- */

static void search_refuse(struct control_call *call, int err, uint32_t query_cap)
{
	char why[160];

	switch (err) {
	case WEFT_EABSENT:
		control_fail(call, WEFT_EMALFORMED, "query", "no word is in it",
			     "give at least one letter or digit to look for");
		return;
	case WEFT_ETOOLARGE:
		snprintf(why, sizeof(why), "it has more than %u bytes or %u different words",
			 QUERY_TEXT_LEN_MAX, QUERY_TERMS_MAX);
		control_fail(call, err, "query", why, "leave some out");
		return;
	case WEFT_EMALFORMED:
		control_fail(call, err, "query", "it is not UTF-8", "write it in UTF-8");
		return;
	case WEFT_EBUSY:
		snprintf(why, sizeof(why), "%u queries are under way (sharing.search_queries)",
			 query_cap);
		control_fail(call, err, "query", why, "try again in a moment");
		return;
	case WEFT_EFULL:
		control_fail(call, err, "query", "all jobs are taken (node.job_cap)",
			     "try again in a moment");
		return;
	default:
		control_fail(call, err, "query", weft_err_text(err), "try again");
	}
}

/* The tiers down to the one that is named, or NULL; false: call was failed. */
static bool tiers_read(struct control_call *call, const char *trust, unsigned *out_tiers)
{
	unsigned least = trust ? 0 : SEARCH_NORMAL;

	while (trust && least < SEARCH_TIER_CNT &&
	       strcmp(trust, shares_follow_tier_name((enum follow_tier)least)) != 0)
		least++;
	if (least == SEARCH_TIER_CNT) {
		control_fail(call, WEFT_EMALFORMED, trust, "not a degree of trust",
			     "it is trusted, normal or untrusted");
		return false;
	}
	*out_tiers = (2u << least) - 1;
	return true;
}

/* false: call was failed. */
static bool page_read(struct control_call *call, const struct api_search_in *in,
		      struct search_ask *ask)
{
	int64_t number = in->has_page ? in->page : 1;
	int64_t len = in->has_page_size ? in->page_size : SEARCH_PAGE;
	char why[128];

	if (len < 1 || len > SEARCH_PAGE_MAX) {
		snprintf(why, sizeof(why), "it is not from 1 to %u", SEARCH_PAGE_MAX);
		control_fail(call, WEFT_ETOOLARGE, "page size", why, "give another");
		return false;
	}
	if (number < 1 || number > (SEARCH_HITS_MAX + len - 1) / len) {
		snprintf(why, sizeof(why), "only the first %u hits can be looked at",
			 SEARCH_HITS_MAX);
		control_fail(call, WEFT_ETOOLARGE, "page", why,
			     "look for more words, so that fewer items have them all");
		return false;
	}
	ask->page = (uint32_t)number - 1;
	ask->page_len = (uint32_t)len;
	return true;
}

/* --- blocked contents --- */

static struct follow_blocked_iter blocked_iter(const struct api *api)
{
	return (struct follow_blocked_iter){.follows = api->follows, .kind = BLOCKLIST_CONTENT};
}

static int id_compare(const void *a, const void *b)
{
	return memcmp(a, b, BLOCKLIST_ID_LEN);
}

/* Tells search what is blocked by now, before it is asked. */
static int search_block_now(struct api *api)
{
	uint64_t stamp = shares_follows_blocked_stamp(api->follows);
	struct follow_blocked_iter iter = blocked_iter(api);
	uint8_t(*ids)[BLOCKLIST_ID_LEN] = NULL;
	const uint8_t *id;
	size_t cnt = 0;
	int err;

	if (stamp == api->blocked_stamp)
		return 0;
	while (shares_follows_blocked_next(&iter))
		cnt++;
	if (cnt) {
		ids = malloc(cnt * sizeof(*ids));
		if (!ids)
			return -ENOMEM;
		iter = blocked_iter(api);
		for (size_t i = 0; (id = shares_follows_blocked_next(&iter)); i++)
			memcpy(ids[i], id, BLOCKLIST_ID_LEN);
		qsort(ids, cnt, sizeof(*ids), id_compare);
	}
	err = search_block(api->search, (const uint8_t(*)[BLOCKLIST_ID_LEN])ids, cnt);
	free(ids);
	if (err == 0)
		api->blocked_stamp = stamp;
	return err;
}

/* --- asking --- */

static void search_ask_for(struct api *api, struct control_call *call, struct search_ask *ask)
{
	struct search_wait *wait = calloc(1, sizeof(*wait));
	int err = wait ? search_block_now(api) : -ENOMEM;

	if (err == 0) {
		*wait = (struct search_wait){.api = api,
					     .call = call,
					     .page = ask->page,
					     .page_len = ask->page_len,
					     .tiers = ask->tiers,
					     .has_share = ask->share_id != NULL};
		if (ask->share_id)
			memcpy(wait->share_id, ask->share_id, sizeof(wait->share_id));
		ask->done = search_done;
		ask->arg = wait;
		err = search_query(api->search, ask, &wait->run);
	}
	if (err < 0) {
		free(wait);
		search_refuse(call, err, api->config->sharing.search.query_cap);
		return;
	}
	control_on_gone(call, search_caller_left, wait);
}

void api_search(struct api *api, struct control_call *call, const struct api_search_in *in,
		uint64_t now_ns)
{
	struct search_ask ask = {.text = in->query, .text_len = strlen(in->query)};

	(void)now_ns;
	if (!api_sharing_is_on(api, call) || !page_read(call, in, &ask) ||
	    !tiers_read(call, in->trust, &ask.tiers))
		return;
	if (in->share) {
		const struct follow *follow = api_follow_named(api, call, in->share);

		if (!follow)
			return;
		ask.share_id = follow->share_id;
		/* A caller that names a share wants it, whatever its tier. */
		ask.tiers = (1u << SEARCH_TIER_CNT) - 1;
	}
	search_ask_for(api, call, &ask);
}

/* --- how the index is --- */

static enum api_search_share_state state_of(const struct search_share_status *status)
{
	if (status->is_ready)
		return API_SEARCH_SHARE_STATE_READY;
	if (status->is_indexing)
		return API_SEARCH_SHARE_STATE_INDEXING;
	return status->err ? API_SEARCH_SHARE_STATE_FAILED : API_SEARCH_SHARE_STATE_WAITING;
}

static void share_add(struct varlink_blocks *blocks, struct api_search_share_list *shares,
		      const struct search_share_status *status)
{
	varlink_push(blocks, shares,
		     {.share_id = api_id(blocks, status->share_id),
		      .title = varlink_text(blocks, status->title),
		      .trust = shares_follow_tier_name((enum follow_tier)status->tier),
		      .weight = status->weight,
		      .state = state_of(status),
		      .items = api_uint(status->item_cnt),
		      .items_indexed = api_uint(status->done_cnt),
		      .items_all = api_uint(status->all_cnt),
		      .error = status->err ? weft_err_text(status->err) : NULL});
}

void api_show_search(struct api *api, struct control_call *call,
		     const struct api_show_search_in *in, uint64_t now_ns)
{
	struct api_show_search_out out = {.search = {0}};
	struct search_share_iter iter = {.search = api->search};
	struct search_share_status status;
	struct search_stats stats;

	(void)in, (void)now_ns;
	if (!api_sharing_is_on(api, call))
		return;
	search_stats(api->search, &stats);
	struct api_fill fills[] = {
		{"bytes of the index", api_uint(stats.index_len), api_uint(stats.index_len_max),
		 "sharing.search_index_max"},
		{"queries", stats.query_cnt, api->config->sharing.search.query_cap,
		 "sharing.search_queries"},
	};
	out.search = (struct api_search_index){
		.shares_followed = stats.share_cnt,
		.shares_ready = stats.ready_cnt,
		.items = api_uint(stats.item_cnt),
		.blocked = api_uint(stats.blocked_cnt),
		.queries = api_uint(stats.asked_cnt),
		.refused = api_uint(stats.refused_cnt),
		.shards_built = api_uint(stats.built_cnt),
		.shards_reused = api_uint(stats.reused_cnt),
		.fills = API_ROWS(fills),
	};
	while (search_shares_next(&iter, &status))
		share_add(control_blocks(call), &out.search.shares, &status);
	control_reply(call, api_show_search_out_write(&out));
}
