/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chooses the members to ask in a community. Partners are members that answered, and are asked
 * in turn. Every few rounds another node is asked. It is a seed (of the link, of the overlay's
 * hints, or a former asker), or a member from a random place of the roster. A partner that fails
 * several times is one no more.
 */
#include <string.h>

#include "base/monotonic.h"
#include "base/list.h"
#include "base/random.h"
#include "community/community_state.h"
#include "community/record/community_rule.h"
#include "store/store.h"

#define FIRST_NS	    (1 * NS_PER_S)
#define LEAVING_NS	    (3 * NS_PER_S) /* between two times that we say so */
#define FAILED_MAX	    3u
#define NOT_ADMITTED_ROUNDS 8u	/* of so many, one asks a node that is no partner */
#define LOOK_MAX	    32u /* rows looked at for a member that can be asked */

/* --- seeds --- */

static struct community_seed *seed_find(struct community *community, const uint8_t *key)
{
	for (unsigned i = 0; i < community->seed_cnt; i++)
		if (memcmp(community->seeds[i].key, key, COMMUNITY_KEY_LEN) == 0)
			return &community->seeds[i];
	return NULL;
}

/* One that failed most gives way. */
static struct community_seed *seed_place(struct community *community)
{
	struct community_seed *worst = &community->seeds[0];

	if (community->seed_cnt < COMMUNITY_SEEDS_MAX)
		return &community->seeds[community->seed_cnt++];
	for (unsigned i = 1; i < community->seed_cnt; i++)
		if (community->seeds[i].failed_cnt > worst->failed_cnt)
			worst = &community->seeds[i];
	return worst;
}

static void seed_set(struct community *community, const uint8_t *key,
		     const struct community_seed *wanted)
{
	struct community_seed *seed = seed_find(community, key);

	if (memcmp(key, community->all->own_key, COMMUNITY_KEY_LEN) == 0)
		return;
	/* Words of unknown peers do not replace the nodes that a link named. */
	if (seed && !seed->is_told && wanted->is_told)
		return;
	if (!seed)
		seed = seed_place(community);
	*seed = *wanted;
	memcpy(seed->key, key, sizeof(seed->key));
}

void community_partners_named(struct community *community, const struct link_node *node)
{
	const struct community_seed seed = {.places = node->places};

	seed_set(community, node->key, &seed);
}

void community_partners_told(struct community *community, const uint8_t *key,
			     const struct peer_places *places)
{
	const struct community_seed seed = {.places = *places, .is_told = true};

	seed_set(community, key, &seed);
}

/* --- partners --- */

struct community_partner *community_partners_partner(struct community *community,
						     const uint8_t *key)
{
	for (unsigned i = 0; i < community->partner_cnt; i++)
		if (memcmp(community->partners[i].key, key, COMMUNITY_KEY_LEN) == 0)
			return &community->partners[i];
	return NULL;
}

static void partner_drop(struct community *community, struct community_partner *partner)
{
	*partner = community->partners[--community->partner_cnt];
	community_save(community);
}

struct community_partner *community_partners_answered(struct community *community,
						      const uint8_t *key)
{
	struct community_partner *partner = community_partners_partner(community, key);
	struct community_seed *seed = seed_find(community, key);

	if (seed)
		seed->failed_cnt = 0;
	if (!partner && community->partner_cnt == COMMUNITY_PARTNERS_MAX) {
		/* Now and then another, so that no few keep all others from us. */
		partner_drop(community,
			     &community->partners[random_below(community->all->params.random,
							       COMMUNITY_PARTNERS_MAX)]);
	}
	if (!partner) {
		partner = &community->partners[community->partner_cnt++];
		*partner = (struct community_partner){0};
		memcpy(partner->key, key, sizeof(partner->key));
		community_save(community);
	}
	partner->failed_cnt = 0;
	return partner;
}

void community_partners_failed(struct community *community, const uint8_t *key, bool is_final)
{
	struct community_partner *partner = community_partners_partner(community, key);
	struct community_seed *seed = seed_find(community, key);

	if (seed)
		seed->failed_cnt++;
	if (partner && (++partner->failed_cnt >= FAILED_MAX || is_final))
		partner_drop(community, partner);
}

/* --- the next one --- */

/* Addresses of its own record are its claim, which may name any host; those of a link stay here. */
static bool member_places(struct community *community, const uint8_t *key,
			  struct peer_places *out_places, bool *out_is_told)
{
	const struct community_seed *seed = seed_find(community, key);
	struct community_member member = {0};
	struct store_snapshot *snapshot;
	struct roster_row row;
	bool is_member;

	if (store_snapshot_open(community->all->params.store, &snapshot) < 0)
		return false;
	is_member = community_roster_get(snapshot, community->roster.id, ROSTER_MEMBER, key,
					 &row) == 0 &&
		    row.is_live && community_member_parse(row.record, row.len, &member) == 0;
	store_snapshot_close(snapshot);
	if (!is_member && !seed)
		return false;
	*out_places = is_member ? member.places : seed->places;
	*out_is_told = is_member || seed->is_told;
	return true;
}

static bool peer_set(struct community *community, const uint8_t *key, struct mesh_peer *out_peer,
		     struct peer_places *places)
{
	bool is_told;

	*places = (struct peer_places){.addr_cnt = 0};
	if (!member_places(community, key, places, &is_told))
		return false;
	*out_peer = mesh_peer_at(key, places);
	out_peer->told_cnt = is_told ? places->addr_cnt : 0;
	return true;
}

int community_peer(struct communities *all, const uint8_t id[static COMMUNITY_ID_LEN],
		   const uint8_t key[static COMMUNITY_KEY_LEN], struct mesh_peer *out_peer,
		   struct peer_places *places)
{
	struct community *community = community_lookup(all, id);

	return community && peer_set(community, key, out_peer, places) ? 0 : WEFT_EABSENT;
}

static bool seed_next(struct community *community, struct mesh_peer *out_peer,
		      struct peer_places *places)
{
	const struct community_seed *best = NULL;

	for (unsigned i = 0; i < community->seed_cnt; i++) {
		/* In turn: of those that failed as often, another one each round. */
		const struct community_seed *seed =
			&community->seeds[(i + community->round) % community->seed_cnt];

		if (!community_partners_partner(community, seed->key) &&
		    (!best || seed->failed_cnt < best->failed_cnt))
			best = seed;
	}
	return best && peer_set(community, best->key, out_peer, places);
}

static bool member_is_candidate(struct community *community, const struct roster_row *row)
{
	struct community_member member;

	return row->is_live && row->until_s > community_wall_s(community->all) &&
	       memcmp(row->key, community->all->own_key, COMMUNITY_KEY_LEN) != 0 &&
	       !community_partners_partner(community, row->key) &&
	       community_member_parse(row->record, row->len, &member) == 0 &&
	       (member.places.addr_cnt > 0 || member.places.via_cnt > 0);
}

static bool member_next(struct community *community, struct mesh_peer *out_peer,
			struct peer_places *places)
{
	uint8_t from[ROSTER_KEY_LEN], key[COMMUNITY_KEY_LEN];
	struct store_snapshot *snapshot;
	bool is_found = false;
	struct roster_iter iter;
	struct roster_row row;

	random_fill(community->all->params.random, from, sizeof(from));
	if (store_snapshot_open(community->all->params.store, &snapshot) < 0)
		return false;
	community_roster_walk(&iter, snapshot, community->roster.id, ROSTER_MEMBER, from);
	iter.wraps = true;
	for (unsigned i = 0; i < LOOK_MAX && !is_found && community_roster_next(&iter, &row); i++) {
		is_found = member_is_candidate(community, &row);
		memcpy(key, row.key, sizeof(key));
	}
	is_found = community_roster_end(&iter) == 0 && is_found;
	store_snapshot_close(snapshot);
	return is_found && peer_set(community, key, out_peer, places);
}

static bool partner_next(struct community *community, struct mesh_peer *out_peer,
			 struct peer_places *places)
{
	unsigned cnt = community->partner_cnt;

	return cnt > 0 && peer_set(community, community->partners[community->round % cnt].key,
				   out_peer, places);
}

bool community_partners_next(struct community *community, struct mesh_peer *out_peer,
			     struct peer_places *places)
{
	bool is_wide = community->partner_cnt < COMMUNITY_PARTNERS_MAX
			       ? community->round % 2 == 0 || !community->partner_cnt
			       : community->round % NOT_ADMITTED_ROUNDS == 0;
	bool is_seeds = random_below(community->all->params.random, 2) == 0;

	if (is_wide && is_seeds &&
	    (seed_next(community, out_peer, places) || member_next(community, out_peer, places)))
		return true;
	if (is_wide && !is_seeds &&
	    (member_next(community, out_peer, places) || seed_next(community, out_peer, places)))
		return true;
	return partner_next(community, out_peer, places);
}

/* --- the overlay --- */

static void get_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct community *community = arg;

	(void)result;
	community->get = NULL;
	if (community->seed_cnt && !community->partner_cnt)
		community_sync_start(community, now_ns);
}

/* A member's own record, looked for because a hint names it without an address. */
static void hear_member(void *arg, const uint8_t *value, size_t len,
			const struct overlay_claim *claim)
{
	struct community *community = arg;
	struct community_member member;

	(void)claim;
	if (community_member_parse(value + 1, len - 1, &member) == 0 && member.is_joined)
		community_partners_told(community, member.key, &member.places);
}

static void get_member(struct community *community, uint64_t now_ns)
{
	const struct overlay_seam *overlay = &community->all->params.overlay;
	uint8_t name[COMMUNITY_NAME_CAP];
	size_t len = community_name_member(community->roster.id, community->sample, name);

	community->has_sample = false;
	if (overlay->ops->get(overlay->overlay,
			      &(struct overlay_get_params){.name = name,
							   .name_len = len,
							   .tag = COMMUNITY_TAG_MEMBER,
							   .value = hear_member,
							   .done = get_done,
							   .arg = community},
			      now_ns, &community->get) < 0)
		community->get = NULL;
}

static void hints_done(void *arg, const struct overlay_result *result, uint64_t now_ns)
{
	struct community *community = arg;

	get_done(arg, result, now_ns);
	if (community->has_sample)
		get_member(community, now_ns);
}

static void hear_hint(void *arg, const uint8_t *value, size_t len,
		      const struct overlay_claim *claim)
{
	struct community *community = arg;
	struct community_hint hint;

	(void)claim;
	if (community_hint_parse(value + 1, len - 1, &hint) < 0)
		return;
	/* Without an address it may have a session with us. */
	community_partners_told(community, hint.key, &hint.places);
	if (hint.sample_cnt) {
		uint64_t at = random_below(community->all->params.random, hint.sample_cnt);

		memcpy(community->sample, hint.samples[at], sizeof(community->sample));
		community->has_sample = true;
	}
}

static void get_hints(struct community *community, uint64_t now_ns)
{
	const struct overlay_seam *overlay = &community->all->params.overlay;
	uint8_t name[COMMUNITY_NAME_CAP];
	size_t len = community_name_hint(community->roster.id, name);

	if (!community_has_overlay(community) || community->get)
		return;
	community->has_sample = false;
	if (overlay->ops->get(overlay->overlay,
			      &(struct overlay_get_params){.name = name,
							   .name_len = len,
							   .tag = COMMUNITY_TAG_HINT,
							   .value = hear_hint,
							   .done = hints_done,
							   .arg = community},
			      now_ns, &community->get) < 0)
		community->get = NULL;
}

/* --- rounds --- */

/* No member was met yet: soon again at first, then as seldom as others are asked. */
static uint64_t pause_ns(struct community *community)
{
	uint64_t sync_ns = community->all->params.config.sync_ns;
	uint64_t ns = sync_ns;

	if (!community->partner_cnt && community->idle_cnt < 4)
		ns = (2 * NS_PER_S) << community->idle_cnt;
	if (ns > sync_ns)
		ns = sync_ns;
	/* Not all members at once: three quarters to five quarters of it. */
	return ns - ns / 4 + random_below(community->all->params.random, ns / 2 + 1);
}

static void partners_expire(struct timer *timer, uint64_t now_ns)
{
	struct community *community = container_of(timer, struct community, sync_timer);

	if (community->phase == COMMUNITY_LEAVING) {
		/* Again, as a busy member takes it in only later. */
		if (!community->is_record_stale && !community->own.is_waiting)
			community_sync_tell(community, now_ns);
		timer_set(community->all->params.timers, &community->sync_timer,
			  now_ns + LEAVING_NS);
		return;
	}
	community_announce_check(community, now_ns);
	/* Nothing is asked without a record to show. */
	if (community->phase == COMMUNITY_IN && community->record_len) {
		community->round++;
		if (!community->partner_cnt) {
			get_hints(community, now_ns);
			community->idle_cnt++;
		} else {
			community->idle_cnt = 0;
		}
		community_sync_start(community, now_ns);
	}
	timer_set(community->all->params.timers, &community->sync_timer,
		  now_ns + pause_ns(community));
}

void community_partners_init(struct community *community)
{
	timer_init(&community->sync_timer, partners_expire);
}

void community_partners_start(struct community *community, uint64_t now_ns)
{
	timer_set(community->all->params.timers, &community->sync_timer, now_ns + FIRST_NS);
}

void community_partners_soon(struct community *community, uint64_t now_ns)
{
	if (timer_is_set(&community->sync_timer))
		timer_set(community->all->params.timers, &community->sync_timer, now_ns);
}

void community_partners_stop(struct community *community)
{
	timer_cancel(community->all->params.timers, &community->sync_timer);
	if (community->get)
		community->all->params.overlay.ops->cancel(community->get);
	community->get = NULL;
}
