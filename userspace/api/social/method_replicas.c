/* SPDX-License-Identifier: Apache-2.0 */
/* ShowReplicas, ShowSocialQuota. */
#include <string.h>

#include "api/social/method_post.h"
#include "api/social/person_words.h"
#include "social/keep/post_store.h"
#include "social/replicas/replicas.h"

struct holding {
	struct varlink_blocks *blocks;
	struct api_replica_holder_list list;
};

static bool on_holder(void *arg, const struct post_holder *holder)
{
	struct holding *holding = arg;

	varlink_push(holding->blocks, &holding->list,
		     ((struct api_replica_holder){
			     .node = api_id(holding->blocks, holder->person),
			     .given = holder->flags & HOLDER_GIVEN,
			     .has = holder->flags & HOLDER_HAS,
			     .heard_ms = (int64_t)holder->heard_ms,
		     }));
	return true;
}

void api_show_replicas(struct api *api, struct control_call *call,
		       const struct api_show_replicas_in *in, uint64_t now_ns)
{
	struct holding holding = {.blocks = control_blocks(call)};
	uint8_t post[POST_ID_LEN];
	struct replica_view view;
	int err;

	(void)now_ns;
	if (!api_people(api, call) || !api_post_id_read(api, call, in->post, post))
		return;
	if (social_posts_known(social_posts_of(api->social), post) != POST_HELD) {
		control_fail(call, WEFT_EABSENT, in->post, "no such post is here",
			     "weft feed lists posts");
		return;
	}
	err = social_holders_each(social_holders_of(api->social), post, on_holder, &holding);
	if (err < 0) {
		control_fail(call, err, in->post, weft_err_text(err), "weft store check");
		return;
	}
	social_replicas_view(social_replicas_of(api->social), post, &view);
	api_reply(call, show_replicas,
		  .replica = {.post = in->post,
			      .copies = view.copy_cnt,
			      .target = view.target,
			      .low = view.is_low},
		  .holders = holding.list);
}

void api_show_social_quota(struct api *api, struct control_call *call,
			   const struct api_show_social_quota_in *in, uint64_t now_ns)
{
	struct post_quota quota;
	struct attachments_stats attached;
	struct replicas_stats stats;

	(void)in, (void)now_ns;
	if (!api_people(api, call))
		return;
	social_posts_quota(social_posts_of(api->social), &quota);
	social_replicas_stats(social_replicas_of(api->social), &stats);
	social_attachments_stats(social_attachments_of(api->social), &attached);
	api_reply(call, show_social_quota,
		  .quota = {.own_bytes = (int64_t)quota.own_len,
			    .own = quota.own_cnt,
			    .wanted_bytes = (int64_t)quota.wanted_len,
			    .own_attached_bytes = (int64_t)attached.own_len,
			    .wanted_attached_bytes = (int64_t)attached.wanted_len,
			    .addressed_attached_bytes = (int64_t)attached.addressed_len,
			    .hosted_attached_bytes = (int64_t)attached.hosted_len,
			    .addressed_bytes = (int64_t)quota.addressed_len,
			    .hosted_bytes = (int64_t)quota.hosted_len,
			    .hosted_max = (int64_t)quota.hosted_max,
			    .hosted = quota.hosted_cnt,
			    .pinned_bytes = (int64_t)quota.pinned_len,
			    .pinned = quota.pinned_cnt,
			    .placed = (int64_t)stats.placed_cnt,
			    .refused = (int64_t)stats.refused_cnt});
}
