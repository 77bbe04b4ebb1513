/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of posts of a group: its members have the key, so they come first (D53). */
#include "replicas_rig.h"

static struct made_post *made;

/* Node 0 is in the group, and wrote a post for it; all have met it but in no order of merit. */
static void begin_group(unsigned cnt, unsigned copy_target)
{
	begin_with(cnt, copy_target);
	nodes[0].is_in_group = true;
	made = post_make_for(&nodes[0], NULL, true, 100);
	put(&nodes[0], made);
}

static void end_group(void)
{
	social_made_post_free(made);
	end();
}

static bool has_copy(unsigned node)
{
	return social_posts_known(nodes[node].posts, made->id) == POST_HELD;
}

static void meet_all(void)
{
	for (unsigned i = 1; i < node_cnt; i++)
		mesh_lab_ask(nodes[0].mesh, nodes[i].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	for (unsigned i = 1; i < node_cnt; i++)
		social_replicas_synced(nodes[0].replicas, nodes[i].mesh->key, lab.now_ns);
	pass(2 * NS_PER_S);
}

/* Node 3 is a member, node 2 follows the author, node 1 is any peer. */
static void test_a_member_gets_the_next_copy(void)
{
	begin_group(4, 1);
	nodes[3].is_in_group = true;
	nodes[2].is_audience = nodes[2].follows_all = true;
	own_bytes(&nodes[1], 5000);
	own_bytes(&nodes[2], 5000);
	meet_all();
	CHECK(has_copy(3));
	CHECK(!has_copy(1) && !has_copy(2));
	CHECK_EQ(copies(&nodes[0], made), 1);
	CHECK_EQ(stats_of(&nodes[0]).bad_note_cnt, 0);
	end_group();
}

/* A follower has no right to what is for a group: it is a peer as any other. */
static void test_without_a_member_any_peer_with_room_gets_it(void)
{
	begin_group(3, 2);
	nodes[2].is_audience = true;
	own_bytes(&nodes[1], 5000);
	own_bytes(&nodes[2], 5000);
	/* At the first sync a member may be still to come. */
	meet_all();
	CHECK(!has_copy(1) && !has_copy(2));
	meet_all();
	meet_all();
	CHECK(has_copy(1) && has_copy(2));
	CHECK_EQ(copies(&nodes[0], made), 2);
	end_group();
}

static void test_where_no_node_takes_it_the_person_hears_of_it(void)
{
	begin_group(2, 1);
	meet_all();
	meet_all(); /* it has no room */
	CHECK(!has_copy(1));
	CHECK_EQ(nodes[0].low_cnt, 0);
	meet_all();
	CHECK_EQ(nodes[0].low_cnt, 1);
	end_group();
}

/* A member that has another's post asks and offers as its author does, of members that it does not follow, too. */
static void test_members_keep_the_posts_of_each_other(void)
{
	begin_group(4, 2);
	for (unsigned i = 1; i < 3; i++)
		nodes[i].is_in_group = true;
	put(&nodes[1], made);
	own_bytes(&nodes[3], 5000);
	mesh_lab_ask(nodes[1].mesh, nodes[3].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	mesh_lab_ask(nodes[1].mesh, nodes[2].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	social_replicas_synced(nodes[1].replicas, nodes[3].mesh->key, lab.now_ns);
	social_replicas_synced(nodes[1].replicas, nodes[2].mesh->key, lab.now_ns);
	pass(2 * NS_PER_S);
	CHECK(has_copy(2));
	CHECK(!has_copy(3)); /* it would learn of the group */
	social_replicas_synced(nodes[1].replicas, nodes[2].mesh->key, lab.now_ns);
	pass(2 * NS_PER_S);
	CHECK_EQ(copies(&nodes[1], made), 1);
	end_group();
}

/* What the note says of a group's post, members alone can read. */
static void test_a_node_outside_of_the_group_hears_nothing_of_the_post(void)
{
	static uint8_t message[MESH_ASK_LEN_MAX];
	static struct replica_status status;
	struct replica_check check = {.post_cnt = 1};
	struct replica_note note;
	struct writer w = writer_of(message, sizeof(message));

	begin_group(3, 0);
	nodes[1].is_in_group = true;
	memcpy(check.posts[0], made->id, POST_ID_LEN);
	social_check_write(&w, &check);
	for (unsigned i = 1; i < 3; i++) {
		mesh_lab_ask(nodes[i].mesh, nodes[0].mesh, MESH_REPLICA_CHECK, message,
			     writer_len(&w), &asked);
		CHECK_EQ(asked.reply.err, 0);
		CHECK_EQ(social_status_parse(asked.reply.payload, asked.reply.payload_len, &status),
			 0);
		CHECK_EQ(status.row_cnt, i == 1);
		if (i == 1)
			CHECK(social_replica_read(status.rows[0].note, status.rows[0].note_len,
						  &note) < 0);
	}
	end_group();
}

int main(void)
{
	RUN(test_a_member_gets_the_next_copy);
	RUN(test_without_a_member_any_peer_with_room_gets_it);
	RUN(test_where_no_node_takes_it_the_person_hears_of_it);
	RUN(test_members_keep_the_posts_of_each_other);
	RUN(test_a_node_outside_of_the_group_hears_nothing_of_the_post);
	return check_done();
}
