/* SPDX-License-Identifier: Apache-2.0 */
/* ShowSocialSlots, SuggestPeers. */
#include <string.h>

#include "api/social/person_words.h"
#include "base/monotonic.h"
#include "social/people/person_profiles.h"
#include "social/slots/social_slots.h"
#include "social/social.h"

/* --- neighbours --- */

struct slot_listing {
	struct varlink_blocks *blocks;
	struct api_slot_node_list nodes;
};

static bool on_slot(void *arg, const struct slot_info *info)
{
	struct slot_listing *listing = arg;

	varlink_push(listing->blocks, &listing->nodes,
		     ((struct api_slot_node){
			     .node = api_id(listing->blocks, info->key),
			     .class = (enum api_slot_node_class)info->class,
			     .own = info->is_own,
			     .anchor = info->is_anchor,
			     .names = info->reported_cnt,
			     .since_s = api_uint(info->age_ns / NS_PER_S),
		     }));
	return true;
}

static struct api_slot_state state_of(const struct slots *slots, const struct slots_stats *stats)
{
	return (struct api_slot_state){
		.n1 = api_uint(stats->n1_cnt),
		.n2 = api_uint(stats->n2_cnt),
		.n3 = api_uint(stats->n3_cnt),
		.known = api_uint(stats->known_cnt),
		.sessions = api_uint(stats->session_cnt),
		.sessions_max = social_slots_use_cap(slots),
		.granted = api_uint(stats->granted_cnt),
		.gained = api_uint(stats->gained_cnt),
		.lost = api_uint(stats->lost_cnt),
		.evicted = api_uint(stats->evicted_cnt),
		.redirected = api_uint(stats->redirected_cnt),
		.followed = api_uint(stats->followed_cnt),
		.refused = api_uint(stats->refused_cnt),
		.searches = api_uint(stats->search_cnt),
		.found = api_uint(stats->found_cnt),
	};
}

void api_show_social_slots(struct api *api, struct control_call *call,
			   const struct api_show_social_slots_in *in, uint64_t now_ns)
{
	struct slot_listing listing = {.blocks = control_blocks(call)};
	struct api_slot_class_list classes = {0};
	struct slots_stats stats;
	const struct slots *slots;

	(void)in;
	if (!api_people(api, call))
		return;
	slots = social_slots_of(api->social);
	social_slots_stats(slots, &stats);
	for (unsigned i = 0; i < SLOT_CLASS_CNT; i++) {
		const uint64_t used[SLOT_CLASS_CNT] = {stats.preferred_cnt, stats.local_cnt,
						       stats.wide_cnt};

		varlink_push(listing.blocks, &classes,
			     ((struct api_slot_class){
				     .class = (enum api_slot_class_class)i,
				     .used = api_uint(used[i]),
				     .limit = social_slots_cap(slots, (enum slot_class)i)}));
	}
	social_slots_each(slots, now_ns, on_slot, &listing);
	api_reply(call, show_social_slots, .slots = state_of(slots, &stats), .classes = classes,
		  .nodes = listing.nodes);
}

/* --- suggestions --- */

#define SUGGESTIONS_MAX 50u

struct suggesting {
	struct api *api;
	struct varlink_blocks *blocks;
	enum api_suggest_reason reason; /* of the pass */
	struct api_peer_suggestion_list rows;
};

static const struct first_node *bootstrap_node_of(const struct social *social, const uint8_t *key)
{
	const struct first_nodes *list = social_bootstrap_of(social);

	for (unsigned i = 0; i < list->cnt; i++)
		if (memcmp(list->nodes[i].key, key, MESH_KEY_LEN) == 0)
			return &list->nodes[i];
	return NULL;
}

/* Followed people, those that are blocked, and this node are not suggested. */
static bool is_wanted(const struct suggesting *suggesting, const uint8_t *key)
{
	struct people *people = social_people(suggesting->api->social);

	return suggesting->rows.cnt < SUGGESTIONS_MAX && !social_own_key(people, key) &&
	       !social_is_blocked(people, key) &&
	       social_follow_of(people, SOCIAL_EACH_PERSONA, key) == FOLLOW_NONE;
}

static void suggestion_push(struct suggesting *suggesting, const uint8_t *key,
			    unsigned reporter_cnt)
{
	const struct first_node *first = bootstrap_node_of(suggesting->api->social, key);
	struct people *people = social_people(suggesting->api->social);
	struct mesh_peer_info peer;
	const char *node = api_id(suggesting->blocks, key);
	const char *name = api_person_name(suggesting->blocks, people, key);

	if (first && !*name)
		name = varlink_text(suggesting->blocks, first->name);
	varlink_push(suggesting->blocks, &suggesting->rows,
		     ((struct api_peer_suggestion){
			     .node = node,
			     .name = name,
			     .reason = suggesting->reason,
			     .reporters = reporter_cnt,
			     .connected = api_peer_lookup(suggesting->api, node, &peer) == 1 &&
					  peer.is_connected,
		     }));
}

static enum api_suggest_reason reason_of(const struct suggesting *suggesting,
					 const struct slot_suggestion *suggestion)
{
	if (bootstrap_node_of(suggesting->api->social, suggestion->key))
		return API_SUGGEST_REASON_BOOTSTRAP;
	switch (suggestion->tier) {
	case SLOT_TIER_NEARBY:
		return API_SUGGEST_REASON_LAN;
	case SLOT_TIER_PULLED:
		return API_SUGGEST_REASON_PULLED;
	case SLOT_TIER_ANCHOR:
		return API_SUGGEST_REASON_ANCHOR;
	default:
		return API_SUGGEST_REASON_REPORTED;
	}
}

/* Nodes of former slots are named where neighbours name them. People that follow come by themselves. */
static bool is_of_pass(const struct suggesting *suggesting,
		       const struct slot_suggestion *suggestion)
{
	enum api_suggest_reason reason = reason_of(suggesting, suggestion);

	return reason == suggesting->reason &&
	       (reason == API_SUGGEST_REASON_BOOTSTRAP ||
		(suggestion->tier != SLOT_TIER_FORMER && suggestion->tier != SLOT_TIER_FOLLOW));
}

static void on_suggestion(void *arg, const struct slot_suggestion *suggestion)
{
	struct suggesting *suggesting = arg;
	struct people *people = social_people(suggesting->api->social);

	if (is_of_pass(suggesting, suggestion) && !social_audience_of(people, suggestion->key) &&
	    is_wanted(suggesting, suggestion->key))
		suggestion_push(suggesting, suggestion->key, suggestion->reporter_cnt);
}

static bool on_audience(void *arg, const uint8_t *person, uint32_t personas)
{
	struct suggesting *suggesting = arg;

	(void)personas;
	if (is_wanted(suggesting, person))
		suggestion_push(suggesting, person, 0);
	return suggesting->rows.cnt < SUGGESTIONS_MAX;
}

void api_suggest_peers(struct api *api, struct control_call *call,
		       const struct api_suggest_peers_in *in, uint64_t now_ns)
{
	struct suggesting suggesting = {.api = api,
					.blocks = control_blocks(call),
					.reason = API_SUGGEST_REASON_FOLLOWS_YOU};

	const struct first_nodes *first;

	(void)in, (void)now_ns;
	if (!api_people(api, call))
		return;
	first = social_bootstrap_of(api->social);
	social_audience_each(social_people(api->social), on_audience, &suggesting);
	for (unsigned i = API_SUGGEST_REASON_LAN; i <= API_SUGGEST_REASON_REPORTED; i++) {
		suggesting.reason = (enum api_suggest_reason)i;
		social_slots_suggest(social_slots_of(api->social), on_suggestion, &suggesting);
	}
	api_reply(call, suggest_peers, .peers = suggesting.rows,
		  .fault = *first->fault ? first->fault : NULL);
}
