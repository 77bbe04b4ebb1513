/* SPDX-License-Identifier: Apache-2.0 */
/* Which nodes are asked for slots, where redirects end, and the nodes that a node begins with. */
#include <string.h>

#include "base/monotonic.h"
#include "social/slots/social_slots_state.h"
#include "support/check.h"
#include "support/social_slots_lab.h"

static struct slots_lab_place *hub(void)
{
	return &slots_lab_places[0];
}

/* --- redirects that lead nowhere --- */

struct liar {
	struct slots_lab_place *place;
	unsigned next; /* the place that it names */
};
static struct liar liars[8];

static void on_liar_hail(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	const struct liar *liar = ctx;
	uint8_t bytes[SLOT_REDIRECT_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct slot_redirect redirect = {.cnt = 1};

	(void)now_ns;
	memcpy(redirect.nodes[0], slots_lab_places[liar->next].node->key, MESH_KEY_LEN);
	social_slot_redirect_write(&w, &redirect);
	(void)mesh_lab_seam_of(liar->place->node)
		.ops->answer(call->incoming, MESH_REFUSE_REDIRECT, bytes, writer_len(&w), NULL);
}

/* Place 0 asks; the others send it from one to the next. */
static void liars_begin(unsigned cnt, bool is_circle)
{
	struct mesh_seam seam;

	slots_lab_begin(5);
	(void)slots_lab_add();
	hub()->sources[hub()->source_cnt++] = 1;
	for (unsigned i = 1; i <= cnt; i++) {
		struct liar *liar = &liars[i - 1];

		*liar = (struct liar){slots_lab_add(), i < cnt ? i + 1 : 1};
		if (!is_circle && i == cnt)
			liar->next = 0; /* to the asker itself */
		mesh_lab_up(liar->place->node);
		seam = mesh_lab_seam_of(liar->place->node);
		CHECK_EQ(seam.ops->handle(seam.mesh, MESH_INITIAL_EXCHANGE, on_liar_hail, liar), 0);
	}
	for (unsigned i = 1; i < cnt; i++)
		slots_lab_meet(&slots_lab_places[i], &slots_lab_places[i + 1]);
	if (is_circle)
		slots_lab_meet(&slots_lab_places[cnt], &slots_lab_places[1]);
	slots_lab_up(hub());
	slots_lab_pass(20 * NS_PER_S);
}

static void test_redirects_in_a_circle_end(void)
{
	liars_begin(2, true);
	CHECK_EQ(slots_lab_stats(hub()).followed_cnt, 1);
	CHECK_EQ(slots_lab_stats(hub()).redirect_loop_cnt, 1);
	slots_lab_end();
	liars_begin(1, false);
	CHECK_EQ(slots_lab_stats(hub()).followed_cnt, 0);
	CHECK_EQ(slots_lab_stats(hub()).redirect_loop_cnt, 1);
	slots_lab_end();
}

static void test_a_chain_of_redirects_ends_after_three_of_them(void)
{
	liars_begin(8, true);
	CHECK_EQ(slots_lab_stats(hub()).followed_cnt, 3);
	CHECK_EQ(slots_lab_stats(hub()).redirect_loop_cnt, 1);
	/* Not at once again. */
	CHECK_EQ(hub()->moved_cnt, 4);
	slots_lab_end();
}

/* --- redirects of a node with a slot --- */

/* Place 1 answers each further request for a slot with the place that it names. */
static void turn_liar(unsigned next)
{
	struct mesh *node = slots_lab_places[1].node;

	liars[0] = (struct liar){&slots_lab_places[1], next};
	slots_lab_places[1].blocked = 0; /* it asks for no slot itself */
	for (unsigned i = 0; i < MESH_LAB_TYPES; i++)
		if (node->handlers[i].type == MESH_INITIAL_EXCHANGE) {
			node->handlers[i].fn = on_liar_hail;
			node->handlers[i].ctx = &liars[0];
		}
}

/* Place 0 has a slot at place 1, which it asked for; place 2 is down. */
static void pair_begin(void)
{
	slots_lab_begin(5);
	for (unsigned i = 0; i < 3; i++)
		(void)slots_lab_add();
	hub()->sources[hub()->source_cnt++] = 1;
	slots_lab_up(hub());
	slots_lab_up(&slots_lab_places[1]);
	slots_lab_pass(20 * NS_PER_S);
	CHECK(social_slots_has(hub()->slots, slots_lab_places[1].node->key));
}

static void idle_check(void)
{
	CHECK_EQ(hub()->slots->talks.used_cnt, 0);
	CHECK_EQ(hub()->slots->by_talk.used_cnt, 0);
	CHECK_EQ(hub()->slots->grown_cnt, 0);
}

/* It is away, and asked again. next 2: it names a node that is not reached; 0: the asker. */
static void return_check(unsigned next)
{
	pair_begin();
	turn_liar(next);
	slots_lab_part(hub(), &slots_lab_places[1]);
	slots_lab_pass(30 * NS_PER_S);
	CHECK_EQ(slots_lab_stats(hub()).followed_cnt, next ? 1 : 0);
	CHECK(!social_slots_has(hub()->slots, slots_lab_places[1].node->key));
	CHECK_EQ(slots_lab_total(hub()), 0);
	idle_check();
	/* It is full, and left alone for a while. */
	CHECK_EQ(hub()->moved_cnt, next ? 3 : 2);
	slots_lab_pass(SLOTS_GRACE_NS + SLOTS_STALE_NS);
	CHECK_EQ(slots_lab_total(hub()), 0);
	idle_check();
	slots_lab_end();
}

static void test_a_redirect_ends_the_slot_that_was_asked_for_again(void)
{
	return_check(2);
	return_check(0);
}

static void test_a_redirect_of_a_node_with_a_slot_leads_to_another_slot(void)
{
	pair_begin();
	slots_lab_up(&slots_lab_places[2]);
	slots_lab_meet(&slots_lab_places[1], &slots_lab_places[2]);
	turn_liar(2);
	slots_lab_part(hub(), &slots_lab_places[1]);
	slots_lab_pass(30 * NS_PER_S);
	CHECK(!social_slots_has(hub()->slots, slots_lab_places[1].node->key));
	CHECK(social_slots_has(hub()->slots, slots_lab_places[2].node->key));
	idle_check();
	slots_lab_pass(SLOTS_GRACE_NS + SLOTS_STALE_NS);
	CHECK_EQ(slots_lab_total(hub()), 1);
	slots_lab_end();
}

/* A friend with a slot is asked for a preferred one. */
static void test_a_redirect_instead_of_a_better_slot_ends_the_slot(void)
{
	pair_begin();
	turn_liar(2);
	hub()->friends[hub()->friend_cnt++] = 1;
	slots_lab_pass(30 * NS_PER_S);
	CHECK_EQ(slots_lab_stats(hub()).followed_cnt, 1);
	CHECK(!social_slots_has(hub()->slots, slots_lab_places[1].node->key));
	idle_check();
	slots_lab_pass(SLOTS_GRACE_NS + SLOTS_STALE_NS);
	CHECK_EQ(slots_lab_total(hub()), 0);
	idle_check();
	slots_lab_end();
}

static void test_a_node_that_is_not_reached_is_left_alone_after_three_times(void)
{
	slots_lab_begin(5);
	(void)slots_lab_add();
	(void)slots_lab_add();
	hub()->sources[hub()->source_cnt++] = 1;
	slots_lab_up(hub());
	slots_lab_pass(300 * NS_PER_S);
	CHECK_EQ(hub()->moved_cnt, 3);
	slots_lab_pass(600 * NS_PER_S);
	CHECK_EQ(hub()->moved_cnt, 4);
	slots_lab_pass(1100 * NS_PER_S);
	CHECK_EQ(hub()->moved_cnt, 4);
	slots_lab_end();
}

/* A reporter names 256 keys that are of no node. */
static void test_made_up_nodes_cost_two_dials_at_a_time(void)
{
	slots_lab_star(1);
	hub()->only = SLOTS_LAB_ANY;
	slots_lab_all_up();
	slots_lab_pass(20 * NS_PER_S);
	hub()->moved_cnt = 0;
	CHECK_EQ(slots_lab_send_share(&slots_lab_places[1], hub(), SLOT_IDS_MAX), 0);
	slots_lab_pass(500 * NS_PER_S);
	/* Two at once, until three in a row were not reached. */
	CHECK(hub()->moved_cnt >= 3);
	CHECK(hub()->moved_cnt <= 6);
	slots_lab_end();
}

/* --- sessions that a person uses --- */

static void key_of(unsigned number, uint8_t key[static MESH_KEY_LEN])
{
	memset(key, 0, MESH_KEY_LEN);
	memcpy(key, &number, sizeof(number));
}

static void uses_check(bool is_light, unsigned cap)
{
	uint8_t key[MESH_KEY_LEN];

	slots_lab_begin(5);
	slots_lab_add()->config.is_light = is_light;
	slots_lab_up(hub());
	for (unsigned i = 1; i <= cap; i++) {
		key_of(i, key);
		CHECK(!social_slots_use(hub()->slots, key, slots_lab.now_ns + i));
	}
	/* One that is used again takes none; a further one takes that of the idlest. */
	key_of(1, key);
	CHECK(!social_slots_use(hub()->slots, key, slots_lab.now_ns + cap + 1));
	key_of(cap + 1, key);
	CHECK(social_slots_use(hub()->slots, key, slots_lab.now_ns + cap + 2));
	CHECK(social_slots_is_used(hub()->slots, key, slots_lab.now_ns + cap + 2));
	key_of(2, key);
	CHECK(!social_slots_is_used(hub()->slots, key, slots_lab.now_ns + cap + 2));
	key_of(1, key);
	CHECK(social_slots_is_used(hub()->slots, key, slots_lab.now_ns + cap + 2));
	/* They end by themselves. */
	CHECK(!social_slots_is_used(hub()->slots, key, slots_lab.now_ns + cap + 2 + SLOTS_USE_NS));
	CHECK_EQ(slots_lab_total(hub()), 0);
	slots_lab_end();
}

static void test_the_21st_session_takes_the_place_of_the_idlest(void)
{
	uses_check(false, SLOTS_SESSIONS_MAX);
	uses_check(true, SLOTS_LIGHT_SESSIONS_MAX);
}

static void test_a_session_that_a_person_waits_for_is_made_and_made_again(void)
{
	struct slots_lab_place *other;
	unsigned held_cnt;

	slots_lab_begin(5);
	slots_lab_add();
	other = slots_lab_add();
	slots_lab_up(hub());
	slots_lab_up(other);
	(void)social_slots_use(hub()->slots, other->node->key, slots_lab.now_ns);
	CHECK_EQ(hub()->held_cnt, 1);
	(void)social_slots_use(hub()->slots, other->node->key, slots_lab.now_ns);
	CHECK_EQ(hub()->held_cnt, 1);
	/* It is not there: again each half minute, until nothing waits for it. */
	slots_lab_pass(100 * NS_PER_S);
	CHECK(hub()->held_cnt >= 3);
	CHECK(hub()->held_cnt <= 5);
	slots_lab_meet(hub(), other);
	social_slots_session(hub()->slots, other->node->key, true, slots_lab.now_ns);
	held_cnt = hub()->held_cnt;
	slots_lab_pass(100 * NS_PER_S);
	CHECK_EQ(hub()->held_cnt, held_cnt);
	slots_lab_part(hub(), other);
	slots_lab_pass(SLOTS_USE_NS);
	held_cnt = hub()->held_cnt;
	slots_lab_pass(100 * NS_PER_S);
	CHECK_EQ(hub()->held_cnt, held_cnt);
	slots_lab_end();
}

static void test_a_node_of_the_first_ones_is_asked_where_it_is_said_to_be(void)
{
	struct slots_lab_place *other;
	struct peer_places places = {.addr_cnt = 1};

	slots_lab_begin(5);
	slots_lab_add();
	other = slots_lab_add();
	slots_lab_up(hub());
	slots_lab_up(other);
	places.addrs[0] = other->node->addr;
	social_slots_note_at(hub()->slots, other->node->key, SLOT_TIER_ANCHOR, &places,
			     slots_lab.now_ns);
	slots_lab_pass(30 * NS_PER_S);
	CHECK(social_slots_has(hub()->slots, other->node->key));
	CHECK(social_slots_has(other->slots, hub()->node->key));
	slots_lab_end();
}

/* --- tiers --- */

static unsigned tier_cnt(enum slot_tier tier)
{
	struct fair_view view;

	social_slots_known_view(hub()->slots, tier, &view);
	return view.held_cnt;
}

static void test_a_flooded_tier_takes_nothing_of_another(void)
{
	uint8_t key[MESH_KEY_LEN];

	slots_lab_begin(5);
	(void)slots_lab_add();
	slots_lab_up(hub());
	for (unsigned i = 1; i <= 40; i++) {
		key_of(i, key);
		social_slots_note(hub()->slots, key, SLOT_TIER_ANCHOR, slots_lab.now_ns);
		key_of(1000 + i, key);
		social_slots_note(hub()->slots, key, SLOT_TIER_FOLLOW, slots_lab.now_ns);
		key_of(2000 + i, key);
		social_slots_note(hub()->slots, key, SLOT_TIER_NEARBY, slots_lab.now_ns);
	}
	for (unsigned i = 0; i < 10000; i++) {
		key_of(10000 + i, key);
		social_slots_note(hub()->slots, key, SLOT_TIER_PULLED, slots_lab.now_ns);
	}
	CHECK_EQ(tier_cnt(SLOT_TIER_ANCHOR), 40);
	CHECK_EQ(tier_cnt(SLOT_TIER_FOLLOW), 40);
	CHECK_EQ(tier_cnt(SLOT_TIER_NEARBY), 40);
	CHECK_EQ(tier_cnt(SLOT_TIER_PULLED), 128);
	/* Each of the others has a limit, too. */
	for (unsigned i = 0; i < 1000; i++) {
		key_of(30000 + i, key);
		social_slots_note(hub()->slots, key, SLOT_TIER_ANCHOR, slots_lab.now_ns);
		key_of(40000 + i, key);
		social_slots_note(hub()->slots, key, SLOT_TIER_FOLLOW, slots_lab.now_ns);
		key_of(50000 + i, key);
		social_slots_note(hub()->slots, key, SLOT_TIER_NEARBY, slots_lab.now_ns);
	}
	CHECK_EQ(tier_cnt(SLOT_TIER_ANCHOR), 64);
	CHECK_EQ(tier_cnt(SLOT_TIER_FOLLOW), 512);
	CHECK_EQ(tier_cnt(SLOT_TIER_NEARBY), 64);
	CHECK_EQ(slots_lab_stats(hub()).known_cnt, 64 + 512 + 64 + 128);
	slots_lab_end();
}

static void test_scores_prefer_few_reporters_and_what_is_in_no_digest(void)
{
	CHECK_EQ(social_slots_score(1, true), 100);
	CHECK_EQ(social_slots_score(1, false), 130);
	CHECK_EQ(social_slots_score(2, false), 80);
	CHECK_EQ(social_slots_score(2, true), 50);
	CHECK_EQ(social_slots_score(3, false), 63);
	CHECK_EQ(social_slots_score(101, true), 0);
	CHECK_EQ(social_slots_score(0, false), 130);
}

int main(void)
{
	RUN(test_redirects_in_a_circle_end);
	RUN(test_a_chain_of_redirects_ends_after_three_of_them);
	RUN(test_a_redirect_ends_the_slot_that_was_asked_for_again);
	RUN(test_a_redirect_of_a_node_with_a_slot_leads_to_another_slot);
	RUN(test_a_redirect_instead_of_a_better_slot_ends_the_slot);
	RUN(test_a_node_that_is_not_reached_is_left_alone_after_three_times);
	RUN(test_made_up_nodes_cost_two_dials_at_a_time);
	RUN(test_the_21st_session_takes_the_place_of_the_idlest);
	RUN(test_a_session_that_a_person_waits_for_is_made_and_made_again);
	RUN(test_a_node_of_the_first_ones_is_asked_where_it_is_said_to_be);
	RUN(test_a_flooded_tier_takes_nothing_of_another);
	RUN(test_scores_prefer_few_reporters_and_what_is_in_no_digest);
	return check_done();
}
