/* SPDX-License-Identifier: Apache-2.0 */
#include "replicas_rig.h"

static uint8_t message[MESH_ASK_LEN_MAX];

static unsigned rows_answered(struct node *from, struct node *to, const uint8_t *id)
{
	static struct replica_status status;
	struct replica_check check = {.post_cnt = 1};
	struct writer w = writer_of(message, sizeof(message));

	memcpy(check.posts[0], id, POST_ID_LEN);
	social_check_write(&w, &check);
	mesh_lab_ask(from->mesh, to->mesh, MESH_REPLICA_CHECK, message, writer_len(&w), &asked);
	if (asked.reply.err < 0 ||
	    social_status_parse(asked.reply.payload, asked.reply.payload_len, &status) < 0)
		abort();
	return status.row_cnt;
}

static void test_a_node_that_may_not_read_a_post_hears_nothing_of_it(void)
{
	static const uint8_t unknown[POST_ID_LEN] = {9};
	struct made_post *made;
	size_t len;

	begin(3);
	made = post_make(&nodes[0], &nodes[1], 100);
	put(&nodes[0], made);
	CHECK_EQ(rows_answered(&nodes[1], &nodes[0], made->id), 1);
	CHECK_EQ(rows_answered(&nodes[2], &nodes[0], unknown), 0);
	len = asked.reply.payload_len;
	CHECK_EQ(rows_answered(&nodes[2], &nodes[0], made->id), 0);
	CHECK_EQ(asked.reply.payload_len, len);
	social_made_post_free(made);
	end();
}

/* Public posts of others tell who is followed. */
static void test_an_unknown_peer_is_not_asked_after_posts_of_people_that_are_followed(void)
{
	struct made_post *made;

	begin(3);
	nodes[0].follows_all = true;
	nodes[0].follows = &nodes[2];
	own_bytes(&nodes[1], 5000);
	made = post_make(&nodes[2], NULL, 100);
	social_intake_post(nodes[0].intake,
			   &(struct intake_ask){.parts = {made->post, made->claim, made->visibility,
							  made->post_len, made->claim_len,
							  made->visibility_len},
						.source = INTAKE_SYNC,
						.done = on_put},
			   lab.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(put_verdict, INTAKE_TAKEN);
	meet(&nodes[0], &nodes[1]);
	CHECK_EQ(stats_of(&nodes[0]).checked_cnt, 0);
	meet(&nodes[0], &nodes[2]);
	CHECK_EQ(stats_of(&nodes[0]).checked_cnt, 1);
	CHECK_EQ(stats_of(&nodes[0]).offered_cnt, 0);
	CHECK_EQ(social_posts_known(nodes[1].posts, made->id), POST_ABSENT);
	social_made_post_free(made);
	end();
}

static void offer(struct node *from, struct node *to, const struct replica_offer *said)
{
	struct writer w = writer_of(message, sizeof(message));

	social_offer_write(&w, said);
	if (w.bad)
		abort();
	mesh_lab_ask(from->mesh, to->mesh, MESH_REPLICA_OFFER, message, writer_len(&w), &asked);
}

static void test_the_table_of_copies_under_way_is_not_exceeded(void)
{
	struct replica_offer said = {.lens = {.post = 100, .claim = 100, .visibility = 100}};

	begin(2);
	own_bytes(&nodes[1], 5000);
	for (unsigned i = 0; i <= REPLICA_HOSTING_CAP; i++) {
		said.post[0] = (uint8_t)(i + 1);
		offer(&nodes[0], &nodes[1], &said);
		CHECK_EQ(asked.reply.err, 0);
		CHECK_EQ(stats_of(&nodes[1]).hosting_cnt,
			 i < REPLICA_HOSTING_CAP ? i + 1 : REPLICA_HOSTING_CAP);
	}
	/* Offers that do not go on give their places back. */
	pass(60 * NS_PER_S);
	said.post[0] = 99;
	offer(&nodes[0], &nodes[1], &said);
	CHECK_EQ(stats_of(&nodes[1]).hosting_cnt, 1);
	end();
}

static enum replica_reason reason_of_answer(void)
{
	struct replica_refuse refuse;

	if (asked.reply.err < 0 || asked.reply.type != MESH_REPLICA_REFUSE ||
	    social_refuse_parse(asked.reply.payload, asked.reply.payload_len, &refuse) < 0)
		return 0;
	return refuse.reason;
}

/* What is claimed costs nothing; bytes do. */
static void test_the_hour_is_spent_by_bytes_that_come(void)
{
	static const uint8_t bytes[300] = {1};
	struct replica_offer said = {.lens = {.post = 100, .claim = 100, .visibility = 200}};

	hosted_per_hour = 600;
	begin(2);
	own_bytes(&nodes[1], 5000);
	for (unsigned i = 0; i < 4; i++) {
		said.post[0] = (uint8_t)(i + 1);
		offer(&nodes[0], &nodes[1], &said);
		CHECK_EQ(asked.reply.type, MESH_REPLICA_ACCEPT);
	}
	said.bytes = bytes;
	said.len = sizeof(bytes);
	said.post[0] = 1;
	offer(&nodes[0], &nodes[1], &said);
	CHECK_EQ(asked.reply.type, MESH_REPLICA_ACCEPT);
	/* 300 are left: what claims 400 does not fit, and what claims 300 does. */
	said.post[0] = 2;
	offer(&nodes[0], &nodes[1], &said);
	CHECK_EQ(reason_of_answer(), REPLICA_BUSY);
	said.bytes = NULL;
	said.len = 0;
	said.post[0] = 9;
	said.lens.visibility = 101;
	offer(&nodes[0], &nodes[1], &said);
	CHECK_EQ(reason_of_answer(), REPLICA_BUSY);
	said.lens.visibility = 100;
	offer(&nodes[0], &nodes[1], &said);
	CHECK_EQ(asked.reply.type, MESH_REPLICA_ACCEPT);
	hosted_per_hour = 0;
	end();
}

static void test_bytes_that_are_not_what_was_offered_are_refused(void)
{
	static const uint8_t bytes[300] = {1};
	struct replica_offer said = {.post = {7},
				     .lens = {.post = 100, .claim = 100, .visibility = 100},
				     .bytes = bytes,
				     .len = sizeof(bytes)};
	struct replica_refuse refuse;

	begin(2);
	own_bytes(&nodes[1], 5000);
	offer(&nodes[0], &nodes[1], &said);
	CHECK_EQ(asked.reply.type, MESH_REPLICA_REFUSE);
	CHECK_EQ(social_refuse_parse(asked.reply.payload, asked.reply.payload_len, &refuse), 0);
	CHECK_EQ(refuse.reason, REPLICA_UNWANTED);
	CHECK_EQ(stats_of(&nodes[1]).hosting_cnt, 0);
	mesh_lab_ask(nodes[0].mesh, nodes[1].mesh, MESH_REPLICA_OFFER, "x", 1, &asked);
	CHECK_EQ(asked.reply.code, MESH_CODE_MALFORMED);
	end();
}

/* A post of four pieces is half there when its reader is taken off. */
static void test_a_copy_on_its_way_to_a_reader_that_was_taken_off_ends(void)
{
	struct made_post *made;
	uint64_t asked_cnt;

	begin(3);
	own_bytes(&nodes[1], 190000);
	made = post_make(&nodes[0], &nodes[1], 150000);
	put(&nodes[0], made);
	mesh_lab_ask(nodes[0].mesh, nodes[1].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	social_replicas_synced(nodes[0].replicas, nodes[1].mesh->key, lab.now_ns);
	pass(90 * NS_PER_MS);
	CHECK_EQ(stats_of(&nodes[1]).hosting_cnt, 1);
	social_replicas_cut(nodes[0].replicas, nodes[2].mesh->key, made->id);
	CHECK_EQ(stats_of(&nodes[0]).cut_cnt, 0);
	social_replicas_cut(nodes[0].replicas, nodes[1].mesh->key, made->id);
	CHECK_EQ(stats_of(&nodes[0]).cut_cnt, 1);
	asked_cnt = nodes[0].mesh->asked_cnt;
	pass(5 * NS_PER_S);
	CHECK_EQ(nodes[0].mesh->asked_cnt, asked_cnt);
	CHECK_EQ(social_posts_known(nodes[1].posts, made->id), POST_ABSENT);
	CHECK_EQ(stats_of(&nodes[0]).placed_cnt, 0);
	social_made_post_free(made);
	end();
}

int main(void)
{
	RUN(test_a_node_that_may_not_read_a_post_hears_nothing_of_it);
	RUN(test_an_unknown_peer_is_not_asked_after_posts_of_people_that_are_followed);
	RUN(test_the_table_of_copies_under_way_is_not_exceeded);
	RUN(test_the_hour_is_spent_by_bytes_that_come);
	RUN(test_bytes_that_are_not_what_was_offered_are_refused);
	RUN(test_a_copy_on_its_way_to_a_reader_that_was_taken_off_ends);
	return check_done();
}
