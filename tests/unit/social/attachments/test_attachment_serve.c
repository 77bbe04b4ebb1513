/* SPDX-License-Identifier: Apache-2.0 */
/* Which pieces other nodes get. */
#include "attachments_rig.h"

/* One question, and what comes of it. */
static struct mesh_incoming question(const uint8_t *post, uint32_t attachment, uint32_t piece)
{
	struct mesh_incoming incoming = {.is_answered = false};
	struct attachment_get get = {.attachment = attachment, .piece = piece};
	uint8_t payload[64];
	struct writer w = writer_of(payload, sizeof(payload));
	struct mesh_call call = {.incoming = &incoming, .peer_key = rig_key(3), .payload = payload};

	memcpy(get.post, post, POST_ID_LEN);
	social_attachment_get_write(&w, &get);
	call.payload_len = writer_len(&w);
	on_question(question_ctx, &call, rig_now_ns);
	while (jobs_in_flight(jobs))
		(void)jobs_reap(jobs);
	return incoming;
}

static struct rig_post held(void)
{
	uint8_t id[POST_ID_LEN];
	struct rig_post post;

	id_of("hello", id);
	post = post_say(1, id);
	answer("hello", 0);
	return post;
}

static void test_a_node_that_may_have_the_post_gets_its_pieces(void)
{
	struct mesh_incoming got;
	struct rig_post post;

	begin();
	post = held();
	got = question(post.id, 0, 0);
	CHECK_EQ(got.code, 0);
	CHECK_EQ(got.tail_len, 5);
	CHECK_MEM(got.tail, "hello", 5);
	CHECK_EQ(figures().served_cnt, 1);
	end();
}

static void test_any_other_question_is_answered_as_one_for_what_is_not_here(void)
{
	static const uint8_t unknown[POST_ID_LEN] = {9};
	struct mesh_incoming none, other, beyond;
	struct rig_post post;

	begin();
	post = held();
	none = question(unknown, 0, 0);
	beyond = question(post.id, 0, 1);
	may_have = false;
	other = question(post.id, 0, 0);
	CHECK_EQ(none.code, MESH_CODE_ABSENT);
	CHECK_EQ(memcmp(&none, &other, sizeof(none)), 0);
	CHECK_EQ(memcmp(&none, &beyond, sizeof(none)), 0);
	CHECK_EQ(question(post.id, 1, 0).code, MESH_CODE_ABSENT);
	CHECK_EQ(figures().served_cnt, 0);
	end();
}

static void test_a_post_that_names_a_blob_of_other_origin_gives_it_to_none(void)
{
	struct store_batch *batch;
	struct rig_post post;
	uint8_t id[POST_ID_LEN];

	begin();
	id_of("hello", id);
	batch = store_batch_new(rig_ground.store);
	store_batch_put_blob(batch, id, "hello", 5);
	CHECK_EQ(store_submit(rig_ground.store, batch, NULL, NULL), 0);
	rig_settle();
	post = post_say(1, id);
	CHECK_EQ(figures().wanted_len, 0);
	CHECK_EQ(question(post.id, 0, 0).code, MESH_CODE_ABSENT);
	CHECK_EQ(figures().served_cnt, 0);
	/* Its author proves to have it. */
	answer("hello", 0);
	CHECK_EQ(figures().wanted_len, 5);
	CHECK_EQ(question(post.id, 0, 0).tail_len, 5);
	end();
}

static void test_rubbish_is_refused(void)
{
	struct mesh_incoming incoming = {.is_answered = false};
	const struct mesh_call call = {.incoming = &incoming,
				       .peer_key = NULL,
				       .payload = (const uint8_t *)"x",
				       .payload_len = 1};
	struct mesh_call asked_by = call;

	begin();
	asked_by.peer_key = rig_key(3);
	on_question(question_ctx, &asked_by, rig_now_ns);
	CHECK_EQ(incoming.code, MESH_CODE_MALFORMED);
	CHECK_EQ(figures().malformed_cnt, 1);
	end();
}

static void test_1200_questions_a_minute_are_answered_and_one_more_is_not(void)
{
	struct rig_post post;

	begin();
	post = held();
	for (unsigned i = 0; i < 1200; i++)
		CHECK_EQ(question(post.id, 0, 0).code, 0);
	CHECK_EQ(question(post.id, 0, 0).code, MESH_CODE_REFUSED);
	rig_pass(130 * NS_PER_S);
	CHECK_EQ(question(post.id, 0, 0).code, 0);
	end();
}

int main(void)
{
	RUN(test_a_node_that_may_have_the_post_gets_its_pieces);
	RUN(test_any_other_question_is_answered_as_one_for_what_is_not_here);
	RUN(test_a_post_that_names_a_blob_of_other_origin_gives_it_to_none);
	RUN(test_rubbish_is_refused);
	RUN(test_1200_questions_a_minute_are_answered_and_one_more_is_not);
	return check_done();
}
