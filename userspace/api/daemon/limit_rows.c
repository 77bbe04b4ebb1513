/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of what a node holds and shares, of service messages, of deposits, and of posts. Home worker. */
#include "limit_rows.h"
#include "social/people/person_profiles.h"

void api_limit_rows_add(const struct limit_listing *limits, const struct limit_row *rows,
			size_t cnt)
{
	for (size_t i = 0; i < cnt; i++) {
		struct api_limit row = {
			.name = rows[i].name,
			.unit = rows[i].unit,
			.limit = api_uint(rows[i].limit),
			.used = api_uint(rows[i].used),
		};

		if (rows[i].peak >= 0)
			API_SET(&row, peak, rows[i].peak);
		if (rows[i].refused >= 0)
			API_SET(&row, refused, rows[i].refused);
		varlink_push(limits->blocks, limits->rows, row);
	}
}

/* --- content --- */

static void content_add(const struct limit_listing *limits, const struct blobs_config *config,
			uint64_t worker_cnt, const struct blobs_stats *content)
{
	const struct limit_row rows[] = {
		{"content.share_cap", COUNT, config->share_cap, content->share_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"content.get_cap", COUNT, config->get_cap, content->get_cnt, NOT_KEPT, NOT_KEPT},
		{"content.get_active_cap", COUNT, config->get_active_cap, content->get_active_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"content.chunk_buffers", COUNT, worker_cnt * config->chunk_buffer_cnt,
		 content->chunk_buffer_used_cnt, NOT_KEPT, (int64_t)content->refused_busy_cnt},
		{"manifest buffers", COUNT, content->manifest_buffer_cap,
		 content->manifest_buffer_used_cnt, NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

/* Home's table, which other workers report to as well. */
static void members_add(const struct limit_listing *limits, const struct blobs *content)
{
	struct blobs_stats stats;

	blobs_stats(content, &stats);
	const struct limit_row rows[] = {
		{"nodes that say what they serve", COUNT, stats.member_cap, stats.member_cnt,
		 NOT_KEPT, (int64_t)stats.member_evicted_cnt},
	};

	ROWS_ADD(limits, rows);
}

/* Bytes of the month, of its cap; a metric as every limit is. */
static void months_add(const struct limit_listing *limits, const struct api *api)
{
	static const char *const names[BLOBS_DIRECTION_CNT][BLOBS_ZONE_CNT] = {
		[BLOBS_UPLOADS] = {"sharing.upload_month_lan", "sharing.upload_month"},
		[BLOBS_DOWNLOADS] = {"sharing.download_month_lan", "sharing.download_month"},
	};

	for (unsigned d = 0; d < BLOBS_DIRECTION_CNT; d++) {
		for (unsigned z = 0; z < BLOBS_ZONE_CNT; z++) {
			struct blobs_month_view month;
			struct blobs_limit_view limit;

			blobs_month_show(api->home->content, (enum blobs_direction)d,
					 (enum blobs_zone)z, &month);
			blobs_limit_show(
				api->home->content,
				blobs_month_limit((enum blobs_direction)d, (enum blobs_zone)z),
				&limit);
			const struct limit_row rows[] = {
				{names[d][z], BYTES, limit.value, month.used, NOT_KEPT, NOT_KEPT},
			};

			ROWS_ADD(limits, rows);
		}
	}
}

static void publisher_add(const struct limit_listing *limits, const struct publisher_config *config,
			  const struct api *api)
{
	const struct limit_row rows[] = {
		{"sharing.publish_cap", COUNT, config->share_cap,
		 api->publisher ? shares_publisher_cnt(api->publisher) : 0, NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

static void sharing_add(const struct limit_listing *limits, const struct sharing_config *config,
			const struct api *api)
{
	struct follows_stats follows = {0};
	struct search_stats search = {0};
	struct community_stats communities = {0};

	if (api->communities)
		communities_stats(api->communities, &communities);
	if (api->follows) {
		shares_follows_stats(api->follows, &follows);
		search_stats(api->search, &search);
	}
	const struct limit_row rows[] = {
		{"sharing.watch_cap", COUNT, config->watches.watch_cap,
		 api->watches ? shares_watches_cnt(api->watches) : 0, NOT_KEPT, NOT_KEPT},
		{"sharing.follow_cap", COUNT, config->follow.follow_cap, follows.follow_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"sharing.sync_cap", COUNT, config->follow.sync_cap, follows.sync_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"sharing.search_index_max", BYTES, config->search.index_len_max, search.index_len,
		 NOT_KEPT, NOT_KEPT},
		{"sharing.search_queries", COUNT, config->search.query_cap, search.query_cnt,
		 NOT_KEPT, (int64_t)search.refused_cnt},
		{"members asked for a newer roll", COUNT, communities.show_cap,
		 communities.show_cnt, NOT_KEPT, (int64_t)communities.show_refused_cnt},
	};

	ROWS_ADD(limits, rows);
}

void api_limit_rows_content(const struct limit_listing *limits, const struct node_config *config,
			    const struct api *api, const struct figures *f)
{
	content_add(limits, &config->content, config->worker_cnt, &f->content);
	members_add(limits, api->home->content);
	months_add(limits, api);
	publisher_add(limits, &config->sharing.publisher, api);
	sharing_add(limits, &config->sharing, api);
}

/* --- service messages --- */

static void offers_add(const struct limit_listing *limits, const struct spread_config *config,
		       const struct api *api, const struct figures *f)
{
	const struct schema_registry *registry = offers_registry(api->offers);
	struct schema_entry entry;
	unsigned schema_cnt = 0;

	while (offers_schema_registry_at(registry, schema_cnt, &entry))
		schema_cnt++;
	const struct limit_row rows[] = {
		{"offers: messages on their way to neighbours", COUNT, config->send_cap,
		 f->offers_spread.send_cnt, NOT_KEPT, (int64_t)f->offers_spread.full_cnt},
		{"offers: schemas that are known", COUNT, SCHEMA_REGISTRY_MAX, schema_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"endorsers that are trusted", COUNT, ENDORSE_TRUST_MAX,
		 f->offers_endorse.trust_cnt, NOT_KEPT, NOT_KEPT},
		{"reservations that are over", COUNT, RESERVATIONS_OVER_MAX,
		 f->offers_reserve.over_cnt, NOT_KEPT, NOT_KEPT},
		{"marks of reservations that are gone", COUNT, RESERVATION_MARKS_MAX,
		 f->offers_reserve.mark_cnt, NOT_KEPT, NOT_KEPT},
		{"reservations that this node made", COUNT, RESERVATIONS_MADE_MAX,
		 f->offers_reserve.own_cnt, NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

/* What others leave here is a pool. */
static void deposits_add(const struct limit_listing *limits, const struct deposits_stats *stats)
{
	const struct limit_row rows[] = {
		{"deposits of this node on their way", COUNT, DEPOSITS_OUT_MAX, stats->out_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"marks of deposits that this node took", COUNT, DEPOSITS_SEEN_MAX, stats->mark_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"useless deposits of pulls within a minute", COUNT, DEPOSITS_USELESS_PER_MIN,
		 stats->useless_minute_cnt, NOT_KEPT, (int64_t)stats->rest_cnt},
	};

	ROWS_ADD(limits, rows);
}

/* Shares of unknown people are pools. */
static void posts_add(const struct limit_listing *limits, const struct posts_config *config,
		      const struct posts_stats *stats)
{
	const struct limit_row rows[] = {
		{"posts held", COUNT, config->post_cap,
		 stats->own_cnt + stats->wanted_cnt + stats->addressed_cnt + stats->hosted_cnt +
			 stats->pinned_cnt,
		 NOT_KEPT, (int64_t)stats->full_cnt},
		{"bytes of posts of people followed", BYTES, config->room_len, stats->wanted_len,
		 NOT_KEPT, NOT_KEPT},
		{"bytes of posts kept for others", BYTES, stats->hosted_max, stats->hosted_len,
		 NOT_KEPT, NOT_KEPT},
		{"deletions of posts", COUNT, POSTS_GONE_MAX, stats->gone_cnt, NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

static void attachments_add(const struct limit_listing *limits,
			    const struct attachments_stats *stats)
{
	const struct limit_row rows[] = {
		{"posts with attachments", COUNT, ATTACHED_POSTS_MAX, stats->post_cnt, NOT_KEPT,
		 (int64_t)stats->full_cnt},
	};

	ROWS_ADD(limits, rows);
}

/* What the person at this node chose; what others fill are pools. */
static void people_add(const struct limit_listing *limits, const struct people_stats *stats)
{
	const struct limit_row rows[] = {
		{"personas of this node", COUNT, SOCIAL_PERSONAS_MAX, stats->persona_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"former keys of personas", COUNT, SOCIAL_FORMER_KEYS_MAX, stats->former_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"people that are followed", COUNT, SOCIAL_FOLLOWS_MAX, stats->follow_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"people that are blocked", COUNT, SOCIAL_BLOCKS_MAX, stats->block_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"people whose requests were accepted", COUNT, SOCIAL_ACCEPTED_MAX,
		 stats->accepted_cnt, NOT_KEPT, NOT_KEPT},
		{"people whose requests were refused", COUNT, SOCIAL_REFUSED_MAX,
		 stats->refused_cnt, NOT_KEPT, NOT_KEPT},
		{"circles of personas", COUNT, SOCIAL_CIRCLES_MAX, stats->circle_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"successors of keys", COUNT, SOCIAL_SUCCESSIONS_MAX, stats->succession_cnt,
		 NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

/* Invitations are a pool. */
static void groups_add(const struct limit_listing *limits, const struct groups_stats *stats)
{
	const struct limit_row rows[] = {
		{"groups of people", COUNT, GROUPS_MAX, stats->group_cnt, NOT_KEPT, NOT_KEPT},
		{"shards of groups", COUNT, GROUP_ROWS_TOTAL, stats->shard_cnt, NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

/* Where people's nodes are, and the neighbours; what unknown peers fill are pools. */
static void places_add(const struct limit_listing *limits, const struct api *api,
		       const struct figures *f)
{
	const struct slots *slots = social_slots_of(api->social);
	const struct social_routes_stats *routes = &f->social_routes;
	const struct limit_row rows[] = {
		{"anchors that profiles of this node name", COUNT, SOCIAL_OWN_ANCHORS_MAX,
		 f->social_anchors.own_cnt, NOT_KEPT, NOT_KEPT},
		{"routes of people followed", COUNT, SOCIAL_ROUTES_FOLLOW_CAP, routes->follow_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"routes of anchors", COUNT, SOCIAL_ROUTES_ANCHOR_CAP, routes->anchor_cnt, NOT_KEPT,
		 NOT_KEPT},
		{"searches for people's nodes", COUNT, SOCIAL_SEARCHES_MAX,
		 f->social_search.running_cnt, NOT_KEPT, (int64_t)f->social_search.busy_cnt},
		{"mesh slots that are preferred", COUNT, social_slots_cap(slots, SLOT_PREFERRED),
		 f->social_slots.preferred_cnt, NOT_KEPT, NOT_KEPT},
		{"mesh slots that are local", COUNT, social_slots_cap(slots, SLOT_LOCAL),
		 f->social_slots.local_cnt, NOT_KEPT, NOT_KEPT},
		{"mesh slots that are wide", COUNT, social_slots_cap(slots, SLOT_WIDE),
		 f->social_slots.wide_cnt, NOT_KEPT, NOT_KEPT},
		{"nodes that neighbours name", COUNT, SLOTS_REPORT_CAP, f->social_slots.n2_cnt,
		 NOT_KEPT, NOT_KEPT},
		{"sessions that a person waits for", COUNT, social_slots_use_cap(slots),
		 f->social_slots.session_cnt, NOT_KEPT, NOT_KEPT},
	};

	ROWS_ADD(limits, rows);
}

void api_limit_rows_offers(const struct limit_listing *limits, const struct node_config *config,
			   const struct api *api, const struct figures *f)
{
	if (api->offers)
		offers_add(limits, &config->offers.spread, api, f);
	if (api->deposits)
		deposits_add(limits, &f->deposits);
	if (api->social) {
		people_add(limits, &f->social_people);
		posts_add(limits, &config->social.posts, &f->posts);
		attachments_add(limits, &f->attachments);
		groups_add(limits, &f->social_groups);
		places_add(limits, api, f);
	}
}
