/* SPDX-License-Identifier: Apache-2.0 */
/* Copies of posts among nodes in session: what is counted, where the next one goes, what is refused. */
#include "social/replicas/replicas.h"

#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "base/timer.h"
#include "crypto/node_key.h"
#include "social/intake/post_intake.h"
#include "social/replicas/replica_message.h"
#include "social/replicas/replica_restore.h"
#include "social/write/post_make.h"
#include "store/store.h"
#include "support/check.h"
#include "support/mesh_lab.h"
#include "support/scratch.h"
#include "support/scratch_store.h"
#include "support/seed.h"

#define NODES	6u
#define HOUR_NS (3600 * NS_PER_S)
#define DAY_NS	(24 * HOUR_NS)

struct node {
	struct mesh *mesh;
	struct node_key *key;
	struct social_ground ground;
	struct store *store;
	struct post_store *posts;
	struct intake *intake;
	struct post_holders *holders;
	struct replicas *replicas;
	struct timer_wheel timers;
	char dir[SCRATCH_CAP];
	bool follows_all;	    /* it wants the posts of all, */
	const struct node *follows; /* or of this one alone */
	bool is_audience;	    /* it follows all, as the others know */
	unsigned low_cnt;
};

static struct mesh_lab lab;
static struct random dice;
static struct node nodes[NODES];
static unsigned node_cnt;
static unsigned target; /* copies that each node wants elsewhere */
static enum intake_verdict put_verdict;
static struct mesh_lab_ask asked;
static const struct mem_link calm = {.delay_ns = 10 * NS_PER_MS, .mtu_len = MEM_DGRAM_LEN_MAX};
static uint8_t message[MESH_ASK_LEN_MAX];

/* --- ways --- */

static bool is_own(void *ctx, const uint8_t *key)
{
	return memcmp(((struct node *)ctx)->mesh->key, key, MESH_KEY_LEN) == 0;
}

static const struct node_key *own(void *ctx, const uint8_t *key)
{
	return is_own(ctx, key) ? ((struct node *)ctx)->key : NULL;
}

static bool is_none(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return false;
}

static bool is_followed(void *ctx, const uint8_t *key)
{
	const struct node *node = ctx;

	return node->follows_all &&
	       (!node->follows || memcmp(node->follows->mesh->key, key, MESH_KEY_LEN) == 0);
}

static bool is_audience(void *ctx, const uint8_t *key)
{
	(void)ctx;
	for (unsigned i = 0; i < node_cnt; i++)
		if (memcmp(nodes[i].mesh->key, key, MESH_KEY_LEN) == 0)
			return nodes[i].is_audience;
	return false;
}

static bool no_group(void *ctx, const uint8_t *group, uint64_t epoch, bool *out_opens)
{
	(void)ctx, (void)group, (void)epoch, (void)out_opens;
	return false;
}

static void not_addressed(void *ctx, const uint8_t *author, const uint8_t *post, uint64_t now_ns)
{
	(void)ctx, (void)author, (void)post, (void)now_ns;
}

static int no_profile(void *ctx, const struct intake_object *object, uint64_t now_ns)
{
	(void)ctx, (void)object, (void)now_ns;
	return WEFT_EUNKNOWN;
}

static uint64_t wall_ms(void *ctx)
{
	(void)ctx;
	return MESH_LAB_WALL_S * 1000 + lab.now_ns / NS_PER_MS;
}

static enum fair_class class_of(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
	return FAIR_UNKNOWN;
}

static void happened(void *ctx, const struct social_event *event)
{
	((struct node *)ctx)->low_cnt += event->kind == SOCIAL_COPIES_LOW;
}

/* --- nodes --- */

static void turn(void *ctx, uint64_t now_ns)
{
	struct node *node = ctx;

	timer_wheel_expire(&node->timers, now_ns);
	(void)store_reap(node->store);
}

static uint64_t next_ns(void *ctx)
{
	struct node *node = ctx;

	return store_is_pending(node->store) ? lab.now_ns : timer_wheel_next_ns(&node->timers);
}

static void posts_up(struct node *node)
{
	struct post_store_params params = {
		.ground = &node->ground, .is_own = is_own, .ctx = node, .now_ns = lab.now_ns};
	const struct intake_params intake = {.ground = &node->ground,
					     .ways = {.is_own = is_own,
						      .is_blocked = is_none,
						      .is_followed = is_followed,
						      .is_in_group = no_group,
						      .was_addressed = not_addressed,
						      .profile = no_profile,
						      .ctx = node}};
	struct intake_params intake_params = intake;

	social_posts_config_defaults(&params.config);
	params.config.post_cap = 4096;
	if (social_posts_open(&params, &node->posts) < 0)
		abort();
	intake_params.posts = node->posts;
	if (social_intake_open(&intake_params, &node->intake) < 0 ||
	    social_holders_open(&node->ground, &node->holders) < 0)
		abort();
}

static struct node *node_add(void)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)(node_cnt + 1), 41};
	struct node *node = &nodes[node_cnt++];
	struct replicas_params params = {.ways = {.own = own,
						  .is_blocked = is_none,
						  .is_acquainted = is_followed,
						  .is_audience = is_audience,
						  .ctx = node},
					 .now_ns = lab.now_ns};

	memset(node, 0, sizeof(*node));
	node->mesh = mesh_lab_add(&lab);
	if (node_key_from_seed(seed, &node->key) < 0)
		abort();
	memcpy(node->mesh->key, node_key_public(node->key), MESH_KEY_LEN);
	mesh_lab_up(node->mesh);
	timer_wheel_init(&node->timers, lab.now_ns);
	node->store = scratch_store(scratch_make(node->dir), true);
	node->ground = (struct social_ground){.key = node->key,
					      .store = node->store,
					      .mesh = mesh_lab_seam_of(node->mesh),
					      .neighbours = &mesh_lab_neighbours,
					      .timers = &node->timers,
					      .random = &dice,
					      .wall_ms = wall_ms,
					      .class_of = class_of,
					      .happened = happened,
					      .ctx = node};
	posts_up(node);
	social_replicas_config_defaults(&params.config);
	params.config.target = target;
	params.ground = &node->ground;
	params.posts = node->posts;
	params.intake = node->intake;
	params.holders = node->holders;
	if (social_replicas_open(&params, &node->replicas) < 0)
		abort();
	node->mesh->expire = turn;
	node->mesh->next_ns = next_ns;
	node->mesh->ctx = node;
	return node;
}

static void begin_with(unsigned cnt, unsigned copy_target)
{
	target = copy_target;
	random_init_seeded(&dice, seed_of_run(3));
	mesh_lab_init(&lab, seed_of_run(3), NODES, &calm);
	lab.idle_ns = 100000000 * NS_PER_S;
	node_cnt = 0;
	while (cnt--)
		(void)node_add();
}

static void begin(unsigned cnt)
{
	begin_with(cnt, 3);
}

static void end(void)
{
	for (unsigned i = 0; i < node_cnt; i++) {
		struct node *node = &nodes[i];

		social_replicas_stop(node->replicas);
		social_holders_stop(node->holders);
		social_posts_stop(node->posts);
		social_replicas_close(node->replicas);
		social_holders_close(node->holders);
		social_intake_close(node->intake);
		social_posts_close(node->posts);
		mesh_lab_down(node->mesh);
		store_close(node->store);
		node_key_free(node->key);
		scratch_remove(node->dir);
	}
	mesh_lab_fini(&lab);
}

static void pass(uint64_t for_ns)
{
	for (unsigned i = 0; i < node_cnt; i++)
		nodes[i].mesh->due_ns = 0;
	(void)mesh_lab_run(&lab, for_ns, NULL, NULL);
}

/* A session of both; and a sync over it, as a says. */
static void meet(struct node *a, struct node *b)
{
	mesh_lab_ask(a->mesh, b->mesh, MESH_PEX_REQUEST, "", 0, &asked);
	social_replicas_synced(a->replicas, b->mesh->key, lab.now_ns);
	pass(2 * NS_PER_S);
}

/* --- posts --- */

static void on_put(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	(void)arg, (void)id;
	put_verdict = verdict;
}

static void put(struct node *node, const struct made_post *made)
{
	social_intake_post(node->intake,
			   &(struct intake_ask){
				   .parts = {made->post, made->claim, made->visibility,
					     made->post_len, made->claim_len, made->visibility_len},
				   .source = node == &nodes[0] ? INTAKE_OWN : INTAKE_SYNC,
				   .done = on_put},
			   lab.now_ns);
	pass(NS_PER_S);
	if (put_verdict != INTAKE_TAKEN && put_verdict != INTAKE_KNOWN)
		abort();
}

/* A post of author: public, or for reader. */
static struct made_post *post_make(struct node *author, const struct node *reader, size_t len)
{
	static char text[200000];
	static unsigned made_cnt;
	uint8_t readers[1][NODE_KEY_LEN];
	struct made_post *made;
	struct post_making making = {.author = author->key,
				     .audience = {.kind = VISIBILITY_PUBLIC},
				     .time_ms = wall_ms(NULL) + made_cnt++,
				     .text = text,
				     .text_len = len};

	memset(text, 'a', sizeof(text));
	if (reader) {
		memcpy(readers[0], reader->mesh->key, NODE_KEY_LEN);
		making.audience.kind = VISIBILITY_RECIPIENTS;
		making.audience.readers = (const uint8_t(*)[NODE_KEY_LEN])readers;
		making.audience.reader_cnt = 1;
	}
	if (social_post_make(&making, &dice, &made) < 0)
		abort();
	return made;
}

/* Bytes of its own, so that it hosts three times as many for others. */
static void own_bytes(struct node *node, size_t len)
{
	struct made_post *made = post_make(node, NULL, len);

	put(node, made);
	social_made_post_free(made);
}

static unsigned copies(struct node *node, const struct made_post *made)
{
	struct replica_view view;

	social_replicas_view(node->replicas, made->id, &view);
	return view.copy_cnt;
}

static struct replicas_stats stats_of(const struct node *node)
{
	struct replicas_stats stats;

	social_replicas_stats(node->replicas, &stats);
	return stats;
}

/* --- tests --- */

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
	pass(2 * NS_PER_S);
	CHECK_EQ(social_posts_known(nodes[2].posts, made->id), POST_HELD);
	CHECK_EQ(social_posts_known(nodes[1].posts, made->id), POST_ABSENT);
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

static void test_the_order_of_restoration_has_four_worlds(void)
{
	struct restore_candidate all[] = {{.has_copy = true},
					  {.is_resting = true},
					  {.is_reader = false},
					  {.is_follower = true},
					  {.is_reader = true}};
	size_t idx = 99;

	CHECK_EQ(social_restore_choose(all, 5, false, &idx), RESTORE_READER);
	CHECK_EQ(idx, 4);
	CHECK_EQ(social_restore_choose(all, 5, true, &idx), RESTORE_FOLLOWER);
	CHECK_EQ(idx, 3);
	CHECK_EQ(social_restore_choose(all, 3, true, &idx), RESTORE_PEER);
	CHECK_EQ(idx, 2);
	/* A follower of a private post is a peer as any other. */
	CHECK_EQ(social_restore_choose(all, 4, false, &idx), RESTORE_PEER);
	CHECK_EQ(idx, 2);
	CHECK_EQ(social_restore_choose(all, 2, true, &idx), RESTORE_NOWHERE);
}

int main(void)
{
	RUN(test_copies_are_counted_by_syncs_alone_and_a_silent_holder_not);
	RUN(test_a_holder_that_lost_its_copy_does_not_count_at_the_next_sync);
	RUN(test_a_reader_gets_the_next_copy_of_a_private_post);
	RUN(test_a_follower_gets_the_next_copy_of_a_public_post);
	RUN(test_any_peer_with_room_gets_it_where_there_is_no_better_one);
	RUN(test_where_no_node_takes_it_the_person_hears_of_it_and_no_more_is_sent);
	RUN(test_a_node_that_may_not_read_a_post_hears_nothing_of_it);
	RUN(test_an_unknown_peer_is_not_asked_after_posts_of_people_that_are_followed);
	RUN(test_the_table_of_copies_under_way_is_not_exceeded);
	RUN(test_bytes_that_are_not_what_was_offered_are_refused);
	RUN(test_the_order_of_restoration_has_four_worlds);
	return check_done();
}
