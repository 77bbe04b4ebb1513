/* SPDX-License-Identifier: Apache-2.0 */
/* New readers and deletions reach nodes that keep a post and may not read it. */
#include "replicas_rig.h"

#include "social/replicas/replicas_state.h"
#include "social/revoke/reader_removal.h"
#include "social/sync/sync_message.h"

/* As sync/ hears them, in a node. */
static void on_object(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	struct node *node = ctx;
	struct intake_object object = {.from = call->peer_key, .source = INTAKE_SYNC};
	struct sync_bytes said;

	if (social_sync_object_parse(call->payload, call->payload_len, &said) < 0)
		abort();
	object.bytes = said.bytes;
	object.len = said.len;
	if (call->type == MESH_POST_DELETE)
		social_intake_deletion(node->intake, &object, now_ns);
	else
		social_intake_visibility(node->intake, &object, now_ns);
	(void)node->ground.mesh.ops->answer(call->incoming, call->type, "\xa0", 1, NULL);
}

static struct made_post *made;

/* Node 0 wrote a post for node 1, and node 2, which may not read it, keeps a copy of it. */
static void begin_kept(void)
{
	begin_with(3, 1);
	for (unsigned i = 0; i < 3; i++)
		if (nodes[i].ground.mesh.ops->handle(nodes[i].mesh, MESH_POST_DELETE, on_object,
						     &nodes[i]) < 0 ||
		    nodes[i].ground.mesh.ops->handle(nodes[i].mesh, MESH_VISIBILITY_UPDATE,
						     on_object, &nodes[i]) < 0)
			abort();
	own_bytes(&nodes[2], 5000);
	made = post_make(&nodes[0], &nodes[1], 100);
	put(&nodes[0], made);
	meet(&nodes[0], &nodes[2]);
	meet(&nodes[0], &nodes[2]);
	CHECK_EQ(social_posts_known(nodes[2].posts, made->id), POST_HELD);
	CHECK_EQ(copies(&nodes[0], made), 1);
}

static void end_kept(void)
{
	social_made_post_free(made);
	end();
}

static uint64_t number_at(const struct node *node)
{
	struct post_view view;

	if (social_posts_look(node->posts, made->id, &view) < 0)
		abort();
	return view.visibility_number;
}

/* As revoke/ does: new readers, then the mark. */
static void take_off(void)
{
	static uint8_t bytes[VISIBILITY_LEN_MAX];
	static struct visibility visibility;
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reader_removal removal = {&visibility, nodes[1].mesh->key, nodes[0].key, &dice};
	struct holder_revoked revoked = {.post = made->id, .person = nodes[1].mesh->key};
	struct post post;

	if (social_visibility_read(made->visibility, made->visibility_len, &visibility) < 0 ||
	    social_post_parse(made->post, made->post_len, &post) < 0 ||
	    social_wrap_anew(&removal, &post, &w) < 0)
		abort();
	social_intake_visibility(nodes[0].intake,
				 &(struct intake_object){.bytes = bytes,
							 .len = writer_len(&w),
							 .source = INTAKE_OWN},
				 lab.now_ns);
	CHECK_EQ(social_holders_revoked(nodes[0].holders, &revoked), 0);
	pass(NS_PER_S);
	CHECK_EQ(number_at(&nodes[0]), 1);
}

static void delete_it(void)
{
	uint8_t bytes[POST_CLAIM_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	const struct post_deletion deletion = {.post = made->id, .time_ms = wall_ms(NULL)};

	social_deletion_write(&w, &deletion, nodes[0].key);
	social_intake_deletion(nodes[0].intake,
			       &(struct intake_object){
				       .bytes = bytes, .len = writer_len(&w), .source = INTAKE_OWN},
			       lab.now_ns);
	pass(NS_PER_S);
}

static void test_a_keeper_in_session_hears_of_new_readers_and_of_the_deletion_at_once(void)
{
	begin_kept();
	take_off();
	CHECK_EQ(number_at(&nodes[2]), 0);
	social_replicas_changed(nodes[0].replicas, made->id, NULL, lab.now_ns);
	pass(100 * NS_PER_MS);
	CHECK_EQ(number_at(&nodes[2]), 1);
	delete_it();
	social_replicas_changed(nodes[0].replicas, made->id, NULL, lab.now_ns);
	pass(100 * NS_PER_MS);
	CHECK_EQ(social_posts_known(nodes[2].posts, made->id), POST_GONE);
	CHECK_EQ(stats_of(&nodes[0]).told_cnt, 2);
	/* It has no copy any more, so it hears nothing more. */
	social_replicas_changed(nodes[0].replicas, made->id, NULL, lab.now_ns);
	pass(100 * NS_PER_MS);
	CHECK_EQ(stats_of(&nodes[0]).told_cnt, 2);
	end_kept();
}

static void test_a_keeper_that_was_away_hears_of_it_behind_the_next_sync(void)
{
	begin_kept();
	take_off();
	pass(DAY_NS);
	meet(&nodes[0], &nodes[2]);
	CHECK_EQ(number_at(&nodes[2]), 1);
	CHECK_EQ(stats_of(&nodes[0]).told_cnt, 1);
	/* Once: it is not said again at the next one. */
	for (unsigned i = 0; i < 3; i++) {
		pass(DAY_NS);
		meet(&nodes[0], &nodes[2]);
	}
	CHECK_EQ(stats_of(&nodes[0]).told_cnt, 1);
	CHECK_EQ(copies(&nodes[0], made), 1);
	delete_it();
	meet(&nodes[0], &nodes[2]);
	CHECK_EQ(social_posts_known(nodes[2].posts, made->id), POST_GONE);
	meet(&nodes[0], &nodes[2]);
	CHECK_EQ(stats_of(&nodes[0]).told_cnt, 2);
	end_kept();
}

/* Its answer is lost: the next sync says it again. */
static void test_what_is_not_answered_is_said_again(void)
{
	begin_kept();
	take_off();
	pass(DAY_NS);
	nodes[2].is_stuck = true; /* and so it keeps nothing */
	mesh_lab_ask(nodes[0].mesh, nodes[2].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	social_replicas_synced(nodes[0].replicas, nodes[2].mesh->key, lab.now_ns);
	mesh_lab_down(nodes[2].mesh);
	pass(60 * NS_PER_S);
	CHECK_EQ(stats_of(&nodes[0]).told_cnt, 1);
	CHECK(social_replica_is_behind(nodes[0].replicas, made->id, nodes[2].mesh->key));
	social_made_post_free(made);
	end();
}

static void test_readers_and_the_node_that_brought_it_hear_nothing(void)
{
	begin_kept();
	nodes[1].follows_all = true;
	put(&nodes[1], made);
	mesh_lab_ask(nodes[0].mesh, nodes[1].mesh, MESH_PEX_REQUEST, "", 0, &asked);
	meet(&nodes[0], &nodes[1]);
	CHECK_EQ(copies(&nodes[0], made), 2);
	/* Node 1 reads it still, and its syncs bring it new readers. */
	social_replicas_changed(nodes[0].replicas, made->id, nodes[2].mesh->key, lab.now_ns);
	pass(NS_PER_S);
	CHECK_EQ(stats_of(&nodes[0]).told_cnt, 0);
	end_kept();
}

int main(void)
{
	RUN(test_a_keeper_in_session_hears_of_new_readers_and_of_the_deletion_at_once);
	RUN(test_a_keeper_that_was_away_hears_of_it_behind_the_next_sync);
	RUN(test_what_is_not_answered_is_said_again);
	RUN(test_readers_and_the_node_that_brought_it_hear_nothing);
	return check_done();
}
