/* SPDX-License-Identifier: Apache-2.0 */
/* Search, ShowSearch: finding in the shares that are followed, and the index of them. */
#include "content/search/search.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "content/follow/follow.h"
#include "node/methods/methods.h"
#include "node/methods/share_target.h"
#include "node/sharing/sharing_state.h"

struct search_wait {
	struct node *node;
	struct control_call *call;
	struct search_run *run;
	uint32_t page, page_len;
	unsigned tiers;
	bool has_share; /* only that one is searched: */
	uint8_t share_id[SHARE_ID_LEN];
};

/* --- the answer --- */

static json_t *json_snippet(const struct snippet *snippet)
{
	json_t *marks = json_array();

	for (unsigned i = 0; i < snippet->mark_cnt; i++)
		json_array_append_new(marks,
				      json_pack("{s:i, s:i}", "offset", snippet->marks[i].off,
						"length", snippet->marks[i].len));
	return json_pack("{s:s, s:b, s:b, s:o}", "text", snippet->text, "cut_before",
			 snippet->is_cut_before, "cut_behind", snippet->is_cut_behind, "marks",
			 marks);
}

static json_t *json_hit(const struct search_hit *hit)
{
	json_t *tags = json_array();
	json_t *json;

	for (const char *tag = hit->tags; *tag; tag += strlen(tag) + 1)
		json_array_append_new(tags, json_string(tag));
	json = json_pack("{s:s, s:o, s:f, s:o, s:o, s:s, s:s, s:o, s:o, s:o}", "path", hit->path,
			 "size", method_json_uint(hit->size), "score", hit->score / 100.0,
			 "content_id", method_json_id(hit->content_id), "share_id",
			 method_json_id(hit->share_id), "share", hit->share_title, "trust",
			 follow_tier_name((enum follow_tier)hit->tier), "collection_id",
			 method_json_id(hit->manifest_id), "tags", tags, "shown",
			 json_snippet(&hit->path_snippet));
	if (hit->mime[0])
		json_object_set_new(json, "mime", json_string(hit->mime));
	if (hit->about.mark_cnt)
		json_object_set_new(json, "about", json_snippet(&hit->about));
	return json;
}

struct unfetched {
	const struct search_wait *wait;
	uint32_t cnt;
};

/* A share without any revision is not known to the index. */
static bool unfetched_count(void *arg, const struct follow *follow)
{
	struct unfetched *unfetched = arg;
	const struct search_wait *wait = unfetched->wait;

	unfetched->cnt += follow->state == FOLLOW_NEW && (wait->tiers >> follow->tier & 1) &&
			  (!wait->has_share ||
			   memcmp(wait->share_id, follow->share_id, sizeof(wait->share_id)) == 0);
	return true;
}

/* Shares followed whose first revision is not here yet. */
static uint32_t unfetched_cnt(const struct search_wait *wait)
{
	struct unfetched unfetched = {wait, 0};

	follows_each(wait->node->sharing->follows, unfetched_count, &unfetched);
	return unfetched.cnt;
}

static void search_done(void *arg, const struct search_result *result)
{
	struct search_wait *wait = arg;
	json_t *hits;

	if (!wait->node->control) { /* it forgot the call */
		free(wait);
		return;
	}
	if (result->err < 0) {
		control_fail(wait->call, result->err, "search index", weft_err_text(result->err),
			     "search again; if that fails, too, start weftd again: a damaged "
			     "index is found and made anew then");
		free(wait);
		return;
	}
	hits = json_array();
	for (uint32_t i = 0; i < result->hit_cnt; i++)
		json_array_append_new(hits, json_hit(&result->hits[i]));
	control_reply(wait->call, json_pack("{s:o, s:o, s:i, s:i, s:i, s:i, s:i}", "hits", hits,
					    "found", method_json_uint(result->found_cnt),
					    "reachable", (int)result->reachable_cnt, "page",
					    (int)wait->page + 1, "page_size", (int)wait->page_len,
					    "shares", (int)result->share_cnt, "pending_shares",
					    (int)(result->pending_cnt + unfetched_cnt(wait))));
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

/* The tiers down to the one that is named; false: call was failed. */
static bool tiers_read(struct control_call *call, const json_t *parameters, unsigned *out_tiers)
{
	const char *trust = json_string_value(json_object_get(parameters, "trust"));
	unsigned least = trust ? 0 : SEARCH_NORMAL;

	while (trust && least < SEARCH_TIER_CNT &&
	       strcmp(trust, follow_tier_name((enum follow_tier)least)) != 0)
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
static bool page_read(struct control_call *call, const json_t *parameters, struct search_ask *ask)
{
	const json_t *page = json_object_get(parameters, "page");
	const json_t *page_size = json_object_get(parameters, "page_size");
	json_int_t number = json_is_integer(page) ? json_integer_value(page) : 1;
	json_int_t len = json_is_integer(page_size) ? json_integer_value(page_size) : SEARCH_PAGE;
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

static void search_ask_for(struct node *node, struct control_call *call, struct search_ask *ask)
{
	struct search_wait *wait = calloc(1, sizeof(*wait));
	int err = wait ? sharing_search_block(node->sharing) : -ENOMEM;

	if (err == 0) {
		*wait = (struct search_wait){.node = node,
					     .call = call,
					     .page = ask->page,
					     .page_len = ask->page_len,
					     .tiers = ask->tiers,
					     .has_share = ask->share_id != NULL};
		if (ask->share_id)
			memcpy(wait->share_id, ask->share_id, sizeof(wait->share_id));
		ask->done = search_done;
		ask->arg = wait;
		err = search_query(node->sharing->search, ask, &wait->run);
	}
	if (err < 0) {
		free(wait);
		search_refuse(call, err, node->config->sharing.search.query_cap);
		return;
	}
	control_on_gone(call, search_caller_left, wait);
}

void method_search(void *ctx, struct control_call *call, const json_t *parameters, uint64_t now_ns)
{
	struct node *node = ctx;
	const json_t *query = json_object_get(parameters, "query");
	const char *share = json_string_value(json_object_get(parameters, "share"));
	struct search_ask ask = {.text = json_string_value(query),
				 .text_len = json_string_length(query)};

	(void)now_ns;
	if (!method_sharing_is_on(node, call) || !page_read(call, parameters, &ask) ||
	    !tiers_read(call, parameters, &ask.tiers))
		return;
	if (share) {
		const struct follow *follow = method_follow_named(node, call, share);

		if (!follow)
			return;
		ask.share_id = follow->share_id;
		/* Who names it means it. */
		ask.tiers = (1u << SEARCH_TIER_CNT) - 1;
	}
	search_ask_for(node, call, &ask);
}

/* --- how the index is --- */

static bool json_share_add(void *arg, const struct search_share_status *status)
{
	json_t *json = json_pack("{s:o, s:s, s:s, s:i, s:s, s:o, s:o, s:o}", "share_id",
				 method_json_id(status->share_id), "title", status->title, "trust",
				 follow_tier_name((enum follow_tier)status->tier), "weight",
				 (int)status->weight, "state",
				 status->is_ready      ? "ready"
				 : status->is_indexing ? "indexing"
				 : status->err	       ? "failed"
						       : "waiting",
				 "items", method_json_uint(status->item_cnt), "items_indexed",
				 method_json_uint(status->done_cnt), "items_all",
				 method_json_uint(status->all_cnt));

	if (status->err)
		json_object_set_new(json, "error", json_string(weft_err_text(status->err)));
	json_array_append_new(arg, json);
	return true;
}

void method_show_search(void *ctx, struct control_call *call, const json_t *parameters,
			uint64_t now_ns)
{
	struct node *node = ctx;
	json_t *shares, *fills;
	struct search_stats stats;

	(void)parameters, (void)now_ns;
	if (!method_sharing_is_on(node, call))
		return;
	search_stats(node->sharing->search, &stats);
	shares = json_array();
	search_shares_each(node->sharing->search, json_share_add, shares);
	fills = json_array();
	json_array_append_new(fills,
			      method_json_fill("bytes of the index", stats.index_len,
					       stats.index_len_max, "sharing.search_index_max"));
	json_array_append_new(fills, method_json_fill("queries", stats.query_cnt,
						      node->config->sharing.search.query_cap,
						      "sharing.search_queries"));
	control_reply(call,
		      json_pack("{s:{s:i, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}}", "search",
				"shares_followed", (int)stats.share_cnt, "shares_ready",
				(int)stats.ready_cnt, "items", method_json_uint(stats.item_cnt),
				"blocked", method_json_uint(stats.blocked_cnt), "queries",
				method_json_uint(stats.asked_cnt), "refused",
				method_json_uint(stats.refused_cnt), "shards_built",
				method_json_uint(stats.built_cnt), "shards_reused",
				method_json_uint(stats.reused_cnt), "shares", shares, "fills",
				fills));
}
