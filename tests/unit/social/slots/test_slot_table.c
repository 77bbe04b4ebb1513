/* SPDX-License-Identifier: Apache-2.0 */
/* Mesh slots: which nodes have one, and what they tell each other. */
#include "social/slots/social_slots.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "social/slots/social_slot_message.h"
#include "support/check.h"
#include "support/mesh_lab_wire.h"
#include "support/social_slots_lab.h"

static void befriend(unsigned a, unsigned b)
{
	struct slots_lab_place *one = &slots_lab_places[a], *other = &slots_lab_places[b];

	one->friends[one->friend_cnt++] = b;
	other->friends[other->friend_cnt++] = a;
}

static struct slots_lab_place *hub(void)
{
	return &slots_lab_places[0];
}

static void test_slots_fill_to_10_71_20_and_the_102nd_is_sent_on(void)
{
	struct slots_lab_place *last;
	struct slots_stats stats;
	unsigned found_cnt = 0;

	slots_lab_star(101);
	for (unsigned i = 1; i <= 10; i++)
		befriend(0, i);
	slots_lab_all_up();
	slots_lab_pass(60 * NS_PER_S);
	stats = slots_lab_stats(hub());
	CHECK_EQ(stats.preferred_cnt, 10);
	CHECK_EQ(stats.local_cnt, 71);
	CHECK_EQ(stats.wide_cnt, 20);
	CHECK_EQ(stats.redirected_cnt, 0);

	last = slots_lab_add();
	last->sources[last->source_cnt++] = 0;
	slots_lab_up(last);
	slots_lab_pass(60 * NS_PER_S);
	CHECK_EQ(slots_lab_total(hub()), 101);
	CHECK(slots_lab_stats(hub()).redirected_cnt > 0);
	CHECK(!social_slots_has(hub()->slots, last->node->key));
	CHECK(slots_lab_stats(last).followed_cnt > 0);
	/* It has a slot where it was sent, on both sides. */
	for (unsigned i = 1; i <= 101; i++)
		found_cnt += social_slots_has(last->slots, slots_lab_places[i].node->key) &&
			     social_slots_has(slots_lab_places[i].slots, last->node->key);
	CHECK(found_cnt > 0);
	slots_lab_end();
}

static void test_a_light_node_has_15_slots(void)
{
	struct slots_stats stats;

	slots_lab_star(40);
	for (unsigned i = 1; i <= 5; i++)
		befriend(0, i);
	hub()->config.is_light = true;
	slots_lab_all_up();
	slots_lab_pass(60 * NS_PER_S);
	stats = slots_lab_stats(hub());
	CHECK_EQ(stats.preferred_cnt, 3);
	CHECK_EQ(stats.local_cnt + stats.wide_cnt, 12);
	CHECK(stats.redirected_cnt > 0);
	slots_lab_end();
}

static void test_slots_take_half_of_the_sessions_of_the_mesh(void)
{
	slots_lab_star(40);
	hub()->config.session_cap = 32;
	slots_lab_all_up();
	slots_lab_pass(60 * NS_PER_S);
	CHECK_EQ(social_slots_cap(hub()->slots, SLOT_PREFERRED) +
			 social_slots_cap(hub()->slots, SLOT_LOCAL) +
			 social_slots_cap(hub()->slots, SLOT_WIDE),
		 15);
	CHECK(slots_lab_total(hub()) <= 15);
	CHECK(slots_lab_total(hub()) >= 12);
	slots_lab_end();
}

static void test_a_preferred_slot_is_mutual(void)
{
	struct slots_lab_place *one, *other;

	slots_lab_begin(5);
	one = slots_lab_add();
	other = slots_lab_add();
	one->friends[one->friend_cnt++] = 1;
	slots_lab_all_up();
	slots_lab_pass(20 * NS_PER_S);
	CHECK_EQ(slots_lab_stats(one).preferred_cnt, 0);
	CHECK_EQ(slots_lab_stats(other).preferred_cnt, 0);
	CHECK_EQ(slots_lab_total(one), 1);
	/* It sees the other one likewise now. */
	other->friends[other->friend_cnt++] = 0;
	slots_lab_pass(1300 * NS_PER_S);
	CHECK_EQ(slots_lab_stats(one).preferred_cnt, 1);
	CHECK_EQ(slots_lab_stats(other).preferred_cnt, 1);
	CHECK_EQ(slots_lab_total(one), 1);
	slots_lab_end();
}

static bool share_has(const struct slots_lab_place *place)
{
	for (unsigned i = 0; i < slots_lab_share.cnt; i++)
		if (memcmp(slots_lab_share.nodes[i], place->node->key, MESH_KEY_LEN) == 0)
			return true;
	return false;
}

static void test_a_share_has_slots_and_contacts_and_nothing_learnt(void)
{
	struct slots_lab_place *a, *b, *c, *d;
	uint8_t record[SLOT_RECORD_LEN_MAX];

	slots_lab_begin(5);
	a = slots_lab_add();
	b = slots_lab_add();
	c = slots_lab_add();
	d = slots_lab_add();
	/* a - b - c - d, and b has a contact that is away. */
	a->only = 1;
	b->only = 2;
	c->only = 3;
	d->only = 3;
	a->sources[a->source_cnt++] = 1;
	b->sources[b->source_cnt++] = 2;
	c->sources[c->source_cnt++] = 3;
	(void)slots_lab_add();
	b->friends[b->friend_cnt++] = 4;
	slots_lab_up(a);
	slots_lab_up(b);
	slots_lab_up(c);
	slots_lab_up(d);
	slots_lab_pass(600 * NS_PER_S);
	CHECK(social_slots_has(a->slots, b->node->key));
	CHECK(social_slots_has(b->slots, c->node->key));
	/* b says where c is to a, which has a slot there, and not to d; and not where d is. */
	CHECK(social_slots_tell(b->slots, a->node->key, c->node->key, record, sizeof(record)) > 0);
	CHECK_EQ(social_slots_tell(b->slots, d->node->key, c->node->key, record, sizeof(record)),
		 0);
	CHECK_EQ(social_slots_tell(b->slots, a->node->key, d->node->key, record, sizeof(record)),
		 0);
	CHECK_EQ(social_slots_tell(b->slots, a->node->key, c->node->key, record, 10), 0);
	/* b knows d by c's share, */
	CHECK_MEM(social_slots_reporter(b->slots, d->node->key), c->node->key, MESH_KEY_LEN);
	CHECK_EQ(slots_lab_send_share(a, b, 0), 0);
	CHECK_EQ(slots_lab_share.cnt, 3);
	CHECK(share_has(a) && share_has(c) && share_has(&slots_lab_places[4]));
	/* and does not say so to a. */
	CHECK(!share_has(d));
	CHECK(social_slots_reporter(a->slots, d->node->key) == NULL);
	slots_lab_end();
}

static void test_a_node_without_a_slot_hears_nothing(void)
{
	struct slots_lab_place *stranger;

	slots_lab_star(3);
	slots_lab_all_up();
	slots_lab_pass(20 * NS_PER_S);
	stranger = slots_lab_add();
	mesh_lab_up(stranger->node);
	CHECK_EQ(slots_lab_send_share(stranger, hub(), 0), WEFT_EABSENT);
	CHECK_EQ(slots_lab_total(hub()), 3);
	/* Its session is none of the slots' business. */
	CHECK(mesh_lab_session_lookup(hub()->node, stranger->node->key) != NULL);
	CHECK_EQ(slots_lab_stats(hub()).n2_cnt, 0);
	slots_lab_end();
}

static void test_a_reporter_names_256_nodes_and_takes_no_room_of_another(void)
{
	slots_lab_star(3);
	slots_lab_all_up();
	slots_lab_pass(20 * NS_PER_S);
	for (unsigned i = 1; i <= 3; i++)
		CHECK_EQ(slots_lab_send_share(&slots_lab_places[i], hub(), SLOT_IDS_MAX), 0);
	/* All three named the same nodes. */
	CHECK_EQ(slots_lab_stats(hub()).n2_cnt, SLOT_IDS_MAX);
	slots_lab_end();
}

static void test_a_difference_adds_none_beyond_256(void)
{
	slots_lab_star(1);
	slots_lab_all_up();
	slots_lab_pass(20 * NS_PER_S);
	CHECK_EQ(slots_lab_send_share(&slots_lab_places[1], hub(), SLOT_IDS_MAX - 1), 0);
	CHECK_EQ(slots_lab_send_diff(&slots_lab_places[1], hub(), 9, 1), 0);
	CHECK_EQ(slots_lab_diff.held, 10);
	CHECK_EQ(slots_lab_stats(hub()).n2_cnt, SLOT_IDS_MAX);
	CHECK_EQ(slots_lab_send_share(&slots_lab_places[1], hub(), SLOT_IDS_MAX - 1), 0);
	CHECK_EQ(slots_lab_send_diff(&slots_lab_places[1], hub(), 9, 2), 0);
	CHECK_EQ(slots_lab_stats(hub()).n2_cnt, SLOT_IDS_MAX);
	slots_lab_end();
}

static void test_a_difference_from_another_version_is_not_taken(void)
{
	slots_lab_star(1);
	slots_lab_all_up();
	slots_lab_pass(20 * NS_PER_S);
	CHECK_EQ(slots_lab_send_share(&slots_lab_places[1], hub(), 5), 0);
	CHECK_EQ(slots_lab_send_diff(&slots_lab_places[1], hub(), 8, 3), 0);
	CHECK_EQ(slots_lab_diff.held, 0);
	CHECK_EQ(slots_lab_stats(hub()).n2_cnt, 5);
	slots_lab_end();
}

static void test_neighbours_at_rest_send_differences_of_a_few_bytes(void)
{
	struct slots_stats before, after;

	slots_lab_star(1);
	slots_lab_all_up();
	slots_lab_pass(200 * NS_PER_S);
	before = slots_lab_stats(hub());
	slots_lab_pass(1200 * NS_PER_S);
	after = slots_lab_stats(hub());
	/* Every two minutes, as the answer of a difference, and no whole list. */
	CHECK_EQ(after.diff_cnt - before.diff_cnt, 10);
	CHECK_EQ(after.share_cnt, before.share_cnt);
	CHECK(after.diff_bytes - before.diff_bytes <= 10 * 40);
	slots_lab_end();
}

static void test_a_change_comes_with_the_next_difference(void)
{
	struct slots_lab_place *leaf = &slots_lab_places[1];

	slots_lab_star(2);
	slots_lab_up(hub());
	slots_lab_up(leaf);
	slots_lab_pass(30 * NS_PER_S);
	CHECK_EQ(slots_lab_stats(leaf).n2_cnt, 0);
	slots_lab_up(&slots_lab_places[2]);
	slots_lab_pass(130 * NS_PER_S);
	CHECK_EQ(slots_lab_stats(leaf).n2_cnt, 1);
	slots_lab_down(&slots_lab_places[2]);
	slots_lab_part(hub(), &slots_lab_places[2]);
	/* It may come back for two minutes, but is in no share. */
	slots_lab_pass(125 * NS_PER_S);
	CHECK_EQ(slots_lab_stats(leaf).n2_cnt, 0);
	slots_lab_pass(20 * NS_PER_S);
	CHECK_EQ(slots_lab_total(hub()), 1);
	slots_lab_end();
}

/* All slots are taken, and the node of one of them is away for a minute. */
static void test_a_slot_waits_for_its_session(void)
{
	struct slots_lab_place *leaf = &slots_lab_places[1];

	slots_lab_star(95);
	slots_lab_all_up();
	slots_lab_pass(60 * NS_PER_S);
	CHECK_EQ(slots_lab_total(hub()), 91);
	for (unsigned i = 1; !social_slots_has(hub()->slots, leaf->node->key); i++)
		leaf = &slots_lab_places[i];
	leaf->only = SLOTS_LAB_ANY - 1; /* it dials none */
	slots_lab_part(hub(), leaf);
	slots_lab_pass(60 * NS_PER_S);
	CHECK_EQ(slots_lab_total(hub()), 91);
	leaf->only = 0;
	slots_lab_pass(45 * NS_PER_S);
	CHECK(social_slots_has(hub()->slots, leaf->node->key));
	CHECK(social_slots_has(leaf->slots, hub()->node->key));
	/* Another one has it when the time is over. */
	leaf->only = SLOTS_LAB_ANY - 1;
	slots_lab_part(hub(), leaf);
	slots_lab_pass(150 * NS_PER_S);
	CHECK(!social_slots_has(hub()->slots, leaf->node->key));
	slots_lab_end();
}

static void test_a_blocked_node_sees_a_full_one(void)
{
	struct slots_lab_place *blocked = &slots_lab_places[2];

	slots_lab_star(2);
	hub()->blocked = 2;
	slots_lab_all_up();
	slots_lab_pass(60 * NS_PER_S);
	CHECK_EQ(slots_lab_total(hub()), 1);
	CHECK_EQ(slots_lab_total(blocked), 0);
	CHECK(slots_lab_stats(hub()).redirected_cnt > 0);
	CHECK_EQ(slots_lab_stats(blocked).followed_cnt, 0);
	/* One that is blocked later loses its slot. */
	hub()->blocked = 1;
	social_slots_changed(hub()->slots, slots_lab.now_ns);
	slots_lab_pass(2 * NS_PER_S);
	CHECK(!social_slots_has(hub()->slots, slots_lab_places[1].node->key));
	slots_lab_end();
}

/* 100 nodes of one network came first; others get in. */
static void test_a_network_does_not_hold_all_slots(void)
{
	unsigned other_cnt = 0;

	slots_lab_star(130);
	for (unsigned i = 1; i <= 100; i++)
		slots_lab_places[i].node->addr = (struct addr){
			.ip = {9, 9, 9, (uint8_t)i}, .port = 7000, .family = ADDR_IPV4};
	for (unsigned i = 0; i <= 100; i++)
		slots_lab_up(&slots_lab_places[i]);
	slots_lab_pass(60 * NS_PER_S);
	CHECK_EQ(slots_lab_total(hub()), 91);
	slots_lab_all_up();
	slots_lab_pass(60 * NS_PER_S);
	CHECK_EQ(slots_lab_total(hub()), 91);
	for (unsigned i = 101; i <= 130; i++)
		other_cnt += social_slots_has(hub()->slots, slots_lab_places[i].node->key);
	CHECK_EQ(other_cnt, 30);
	CHECK(slots_lab_stats(hub()).evicted_cnt >= 30);
	slots_lab_end();
}

/* --- gossip --- */

/* Of a node with 50 follows, the anchors in 100 differences have sessions with it. */
static void test_gossip_names_connected_anchors_alone(void)
{
	unsigned seen_cnt = 0;

	slots_lab_star(60);
	for (unsigned i = 11; i <= 60; i++)
		hub()->friends[hub()->friend_cnt++] = i;
	for (unsigned i = 0; i <= 10; i++) {
		slots_lab_places[i].is_anchor = i > 2;
		slots_lab_up(&slots_lab_places[i]);
	}
	for (unsigned i = 40; i <= 60; i++)
		slots_lab_places[i].is_anchor = true;
	slots_lab_pass(60 * NS_PER_S);
	for (unsigned n = 0; n < 100; n++) {
		/* Its limit is 60 a minute. */
		slots_lab_pass(2 * NS_PER_S);
		CHECK_EQ(slots_lab_send_diff(&slots_lab_places[1], hub(), 0, 0), 0);
		for (unsigned i = 0; i < slots_lab_diff.anchor_cnt; i++) {
			const struct slots_lab_place *anchor =
				slots_lab_place_of(slots_lab_diff.anchors[i].key);

			seen_cnt++;
			CHECK(anchor && anchor->is_anchor);
			CHECK(mesh_lab_session_lookup(hub()->node, slots_lab_diff.anchors[i].key) !=
			      NULL);
			CHECK(anchor >= &slots_lab_places[3] && anchor <= &slots_lab_places[10]);
		}
	}
	CHECK_EQ(seen_cnt, 400);
	slots_lab_end();
}

static void test_a_peer_sends_60_messages_a_minute_and_not_one_more(void)
{
	unsigned taken_cnt = 0;

	slots_lab_star(1);
	slots_lab_all_up();
	slots_lab_pass(130 * NS_PER_S);
	for (unsigned n = 0; n < 70; n++) {
		int err = slots_lab_send_diff(&slots_lab_places[1], hub(), 0, 0);

		taken_cnt += err == 0;
		CHECK(err == 0 || err == WEFT_EREFUSED);
	}
	/* One of its own may be among them. */
	CHECK(taken_cnt == 60 || taken_cnt == 59);
	/* It keeps its slot: a limit is no reason to lose it. */
	slots_lab_pass(200 * NS_PER_S);
	CHECK_EQ(slots_lab_total(hub()), 1);
	slots_lab_end();
}

int main(void)
{
	RUN(test_slots_fill_to_10_71_20_and_the_102nd_is_sent_on);
	RUN(test_a_light_node_has_15_slots);
	RUN(test_slots_take_half_of_the_sessions_of_the_mesh);
	RUN(test_a_preferred_slot_is_mutual);
	RUN(test_a_share_has_slots_and_contacts_and_nothing_learnt);
	RUN(test_a_node_without_a_slot_hears_nothing);
	RUN(test_a_reporter_names_256_nodes_and_takes_no_room_of_another);
	RUN(test_a_difference_adds_none_beyond_256);
	RUN(test_a_difference_from_another_version_is_not_taken);
	RUN(test_neighbours_at_rest_send_differences_of_a_few_bytes);
	RUN(test_a_change_comes_with_the_next_difference);
	RUN(test_a_slot_waits_for_its_session);
	RUN(test_a_blocked_node_sees_a_full_one);
	RUN(test_a_network_does_not_hold_all_slots);
	RUN(test_gossip_names_connected_anchors_alone);
	RUN(test_a_peer_sends_60_messages_a_minute_and_not_one_more);
	return check_done();
}
