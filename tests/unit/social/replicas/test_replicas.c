/* SPDX-License-Identifier: Apache-2.0 */
#include "replicas_rig.h"

static void test_copies_are_counted_by_syncs_alone_and_a_silent_holder_not(void)
{
	struct made_post *made;
	struct replica_view view;
	uint64_t dial_cnt;

	begin(4);
	made = post_make(&nodes[0], NULL, 100);
	for (unsigned i = 0; i < 4; i++) {
		nodes[i].follows_all = true;
		put(&nodes[i], made);
	}
	CHECK_EQ(copies(&nodes[0], made), 0);
	for (unsigned i = 1; i < 4; i++)
		meet(&nodes[0], &nodes[i]);
	CHECK_EQ(copies(&nodes[0], made), 3);
	social_replicas_view(nodes[0].replicas, made->id, &view);
	CHECK(!view.is_low);
	mesh_lab_down(nodes[2].mesh);
	mesh_lab_down(nodes[3].mesh);
	dial_cnt = nodes[0].mesh->dial_cnt;
	for (unsigned day = 0; day < 8; day++) {
		pass(DAY_NS);
		social_replicas_synced(nodes[0].replicas, nodes[1].mesh->key, lab.now_ns);
		pass(2 * NS_PER_S);
	}
	CHECK_EQ(nodes[0].mesh->dial_cnt, dial_cnt);
	CHECK_EQ(copies(&nodes[0], made), 1);
	social_replicas_view(nodes[0].replicas, made->id, &view);
	CHECK(view.is_low);
	CHECK_EQ(stats_of(&nodes[0]).bad_note_cnt, 0);
	social_made_post_free(made);
	end();
}

static void test_a_holder_that_lost_its_copy_does_not_count_at_the_next_sync(void)
{
	struct made_post *made;

	begin_with(2, 0); /* none is offered again */
	nodes[1].follows_all = true;
	made = post_make(&nodes[0], &nodes[1], 100);
	put(&nodes[0], made);
	put(&nodes[1], made);
	meet(&nodes[0], &nodes[1]);
	CHECK_EQ(copies(&nodes[0], made), 1);
	CHECK_EQ(social_posts_forget(nodes[1].posts, made->id, lab.now_ns), 0);
	pass(NS_PER_S);
	social_replicas_synced(nodes[0].replicas, nodes[1].mesh->key, lab.now_ns);
	pass(2 * NS_PER_S);
	CHECK_EQ(copies(&nodes[0], made), 0);
	social_made_post_free(made);
	end();
}

static void test_a_reader_gets_the_next_copy_of_a_private_post(void)
{
	struct post_holder holder = {0};
	struct made_post *made;

	begin(3);
	nodes[2].follows_all = true;
	own_bytes(&nodes[1], 5000);
	made = post_make(&nodes[0], &nodes[2], 100);
	put(&nodes[0], made);
	mesh_lab_ask(nodes[0].mesh, nodes[1].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	mesh_lab_ask(nodes[0].mesh, nodes[2].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	/* The stranger is met first, and the reader is met too when a copy is to go. */
	social_replicas_synced(nodes[0].replicas, nodes[1].mesh->key, lab.now_ns);
	social_replicas_synced(nodes[0].replicas, nodes[2].mesh->key, lab.now_ns);
	/* It goes when it is on the disk that the reader was given it. */
	nodes[0].is_stuck = true;
	pass(2 * NS_PER_S);
	CHECK_EQ(social_posts_known(nodes[2].posts, made->id), POST_ABSENT);
	nodes[0].is_stuck = false;
	pass(2 * NS_PER_S);
	CHECK_EQ(social_posts_known(nodes[2].posts, made->id), POST_HELD);
	CHECK_EQ(social_posts_known(nodes[1].posts, made->id), POST_ABSENT);
	CHECK_EQ(social_holders_find(nodes[0].holders, made->id, nodes[2].mesh->key, &holder), 0);
	CHECK(holder.flags & HOLDER_GIVEN);
	CHECK_EQ(copies(&nodes[0], made), 1);
	social_made_post_free(made);
	end();
}

static void test_a_follower_gets_the_next_copy_of_a_public_post(void)
{
	struct made_post *made;

	begin(3);
	nodes[2].follows_all = nodes[2].is_audience = true;
	own_bytes(&nodes[1], 5000);
	made = post_make(&nodes[0], NULL, 100);
	put(&nodes[0], made);
	mesh_lab_ask(nodes[0].mesh, nodes[1].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	mesh_lab_ask(nodes[0].mesh, nodes[2].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	social_replicas_synced(nodes[0].replicas, nodes[1].mesh->key, lab.now_ns);
	social_replicas_synced(nodes[0].replicas, nodes[2].mesh->key, lab.now_ns);
	pass(2 * NS_PER_S);
	CHECK_EQ(social_posts_known(nodes[2].posts, made->id), POST_HELD);
	CHECK_EQ(stats_of(&nodes[2]).hosted_cnt, 1);
	social_made_post_free(made);
	end();
}

/* In several pieces, since it is longer than one. */
static void test_any_peer_with_room_gets_it_where_there_is_no_better_one(void)
{
	struct made_post *made;
	struct post_quota quota;

	begin(2);
	own_bytes(&nodes[1], 100000);
	made = post_make(&nodes[0], NULL, 150000);
	put(&nodes[0], made);
	meet(&nodes[0], &nodes[1]);
	CHECK_EQ(social_posts_known(nodes[1].posts, made->id), POST_HELD);
	social_posts_quota(nodes[1].posts, &quota);
	CHECK_EQ(quota.hosted_cnt, 1);
	CHECK_EQ(copies(&nodes[0], made), 1);
	CHECK_EQ(nodes[0].low_cnt, 0);
	social_made_post_free(made);
	end();
}

static void test_where_no_node_takes_it_the_person_hears_of_it_and_no_more_is_sent(void)
{
	struct made_post *made;
	uint64_t asked_cnt;

	begin(2);
	made = post_make(&nodes[0], NULL, 100);
	put(&nodes[0], made);
	meet(&nodes[0], &nodes[1]);
	/* It has no bytes of its own, so it hosts nothing. */
	CHECK_EQ(social_posts_known(nodes[1].posts, made->id), POST_ABSENT);
	CHECK_EQ(stats_of(&nodes[1]).refused_cnt, 1);
	CHECK_EQ(nodes[0].low_cnt, 0);
	asked_cnt = nodes[0].mesh->asked_cnt;
	meet(&nodes[0], &nodes[1]);
	CHECK_EQ(nodes[0].low_cnt, 1);
	/* The sync's own question, and CHECK; no offer. */
	CHECK_EQ(nodes[0].mesh->asked_cnt, asked_cnt + 2);
	own_bytes(&nodes[1], 5000);
	pass(7 * HOUR_NS);
	meet(&nodes[0], &nodes[1]);
	CHECK_EQ(social_posts_known(nodes[1].posts, made->id), POST_HELD);
	social_made_post_free(made);
	end();
}

/* Node 1 never meets node 2, and hears by node 0 that it has the post: once, until it says it anew. */
static void test_the_note_of_a_holder_is_passed_on_once_to_each_peer(void)
{
	struct made_post *made;

	begin_with(3, 0);
	made = post_make(&nodes[0], NULL, 100);
	for (unsigned i = 0; i < 3; i++) {
		nodes[i].follows_all = true;
		put(&nodes[i], made);
	}
	meet(&nodes[0], &nodes[2]);
	for (unsigned i = 0; i < 4; i++)
		meet(&nodes[1], &nodes[0]);
	CHECK_EQ(copies(&nodes[1], made), 2);
	CHECK_EQ(stats_of(&nodes[0]).passed_cnt, 1);
	CHECK_EQ(stats_of(&nodes[1]).bad_note_cnt, 0);
	pass(DAY_NS);
	meet(&nodes[0], &nodes[2]);
	for (unsigned i = 0; i < 4; i++)
		meet(&nodes[1], &nodes[0]);
	CHECK_EQ(stats_of(&nodes[0]).passed_cnt, 2);
	/* Node 2 is gone: what is passed on keeps it alive for no longer than its own word. */
	mesh_lab_down(nodes[2].mesh);
	for (unsigned day = 0; day < 8; day++) {
		pass(DAY_NS);
		meet(&nodes[1], &nodes[0]);
	}
	CHECK_EQ(copies(&nodes[1], made), 1);
	social_made_post_free(made);
	end();
}

/* Keys are free: a holder that node 1 does not know does not count by the word of another node. */
static void test_the_note_of_an_unknown_holder_counts_for_none(void)
{
	struct made_post *made;

	begin_with(3, 0);
	made = post_make(&nodes[0], NULL, 100);
	for (unsigned i = 0; i < 3; i++) {
		nodes[i].follows_all = true;
		put(&nodes[i], made);
	}
	nodes[1].follows = &nodes[0];
	meet(&nodes[0], &nodes[2]);
	for (unsigned i = 0; i < 4; i++)
		meet(&nodes[1], &nodes[0]);
	CHECK_EQ(copies(&nodes[1], made), 1);
	CHECK_EQ(stats_of(&nodes[1]).heard_cnt, 0);
	social_made_post_free(made);
	end();
}

int main(void)
{
	RUN(test_copies_are_counted_by_syncs_alone_and_a_silent_holder_not);
	RUN(test_a_holder_that_lost_its_copy_does_not_count_at_the_next_sync);
	RUN(test_a_reader_gets_the_next_copy_of_a_private_post);
	RUN(test_a_follower_gets_the_next_copy_of_a_public_post);
	RUN(test_any_peer_with_room_gets_it_where_there_is_no_better_one);
	RUN(test_where_no_node_takes_it_the_person_hears_of_it_and_no_more_is_sent);
	RUN(test_the_note_of_a_holder_is_passed_on_once_to_each_peer);
	RUN(test_the_note_of_an_unknown_holder_counts_for_none);
	return check_done();
}
