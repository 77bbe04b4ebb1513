/* SPDX-License-Identifier: Apache-2.0 */
/* What peers say and ask too much of is bounded, and ends with their session. */
#include "social/sync/sync_state.h"
#include "sync_posts_rig.h"
#include "sync_rig.h"

enum { ALICE, BOB, CAROL, DAVE };
static struct rig_node *a, *b, *c;
static struct sync_page page;

static void begin(void)
{
	rig_begin(&rig_calm);
	a = rig_add();
	b = rig_add();
	c = rig_add();
}

static void follows_fill(uint8_t (*keys)[NODE_KEY_LEN], unsigned from, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		memset(keys[i], 0, NODE_KEY_LEN);
		keys[i][0] = (uint8_t)((from + i) >> 8);
		keys[i][1] = (uint8_t)(from + i);
	}
}

/* --- memory --- */

static void test_what_a_peer_said_is_gone_with_its_session(void)
{
	struct sync_hello hello = {.question = SYNC_LIST};

	begin();
	b->follows = b->chosen = WHO(ALICE);
	(void)rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	rig_meet(b, a);
	CHECK_EQ(rig_stats(a).peer_cnt, 1);
	CHECK_EQ(rig_stats(a).unit_cnt, 2);
	CHECK_EQ(rig_hear(rig_say_hello(b, a, &hello))->rows_len, SYNC_ROW_LEN);
	rig_part(a, b);
	CHECK_EQ(rig_stats(a).peer_cnt, 0);
	CHECK_EQ(rig_stats(a).unit_cnt, 0);
	/* In another session nothing counts of it, even before this one noticed. */
	CHECK_EQ(rig_hear(rig_say_hello(b, a, &hello))->rows_len, 0);
	rig_end();
}

static void test_another_session_of_a_key_begins_with_nothing(void)
{
	struct sync_hello hello = {.question = SYNC_LIST};

	begin();
	b->follows = b->chosen = WHO(ALICE);
	(void)rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);
	rig_meet(b, a);
	CHECK_EQ(rig_hear(rig_say_hello(b, a, &hello))->rows_len, SYNC_ROW_LEN);
	rig_lab.session_epoch++;
	CHECK_EQ(rig_hear(rig_say_hello(b, a, &hello))->rows_len, 0);
	CHECK_EQ(rig_stats(a).unit_cnt, 1);
	rig_end();
}

static void test_a_peer_says_at_most_4096_follows(void)
{
	static uint8_t keys[SYNC_FOLLOWS_PER_HELLO][NODE_KEY_LEN];
	struct sync_hello hello = {.follows = keys[0], .follows_len = sizeof(keys)};

	begin();
	for (unsigned i = 0; i < 4; i++) {
		follows_fill(keys, i * SYNC_FOLLOWS_PER_HELLO, SYNC_FOLLOWS_PER_HELLO);
		hello.more = i > 0;
		CHECK_EQ(rig_say_hello(b, a, &hello)->err, 0);
	}
	CHECK_EQ(rig_stats(a).unit_cnt, 1 + 4096 / SYNC_UNIT_FOLLOWS);
	follows_fill(keys, 5000, 1);
	hello.follows_len = NODE_KEY_LEN;
	CHECK_EQ(rig_say_hello(b, a, &hello)->err, WEFT_EBUSY);
	rig_end();
}

/* The keys are another's follows, for all that this node knows: they open what is public, no more. */
static void test_follows_of_another_open_public_posts_alone(void)
{
	uint8_t keys[RIG_PEOPLE][NODE_KEY_LEN];
	struct sync_hello hello = {.question = SYNC_LIST, .follows = keys[0]};
	struct rig_post of_dave;

	begin();
	of_dave = rig_post(a, DAVE, VISIBILITY_PUBLIC, 0);
	(void)rig_post(a, DAVE, VISIBILITY_RECIPIENTS, WHO(BOB));
	for (unsigned i = 0; i < RIG_PEOPLE; i++)
		memcpy(keys[i], rig_key(i), NODE_KEY_LEN);
	qsort(keys, RIG_PEOPLE, NODE_KEY_LEN, rig_key_compare);
	hello.follows_len = sizeof(keys);
	CHECK_EQ(rig_hear(rig_say_hello(c, a, &hello))->rows_len, SYNC_ROW_LEN);
	CHECK_MEM(rig_answer.rows, of_dave.id, POST_ID_LEN);
	rig_end();
}

/* 4,096 fresh keys of one network fill the units; one of another network takes a place from them. */
static void test_fresh_keys_of_one_network_leave_room_for_another(void)
{
	const struct fair_paths paths = {.secret = {3, 4}};
	const uint8_t session[SYNC_SESSION_LEN] = {1};
	struct addr addr = {.family = ADDR_IPV4, .ip = {198, 51, 100, 1}, .port = 7000};
	uint8_t key[NODE_KEY_LEN] = {0};
	struct fair_path path;

	begin();
	for (unsigned i = 0; i < SYNC_UNITS_MAX + 1; i++) {
		struct sync_peer *peer;

		key[0] = (uint8_t)(i >> 8);
		key[1] = (uint8_t)i;
		if (i == SYNC_UNITS_MAX)
			addr.ip[0] = 203;
		fair_path_of_addr(&paths, &addr, FAIR_UNKNOWN, &path);
		fair_path_add(&paths, &path, key, sizeof(key));
		peer = social_sync_peer_of(a->sync, key, session, &path, rig_lab.now_ns);
		CHECK(peer != NULL);
		if (!peer)
			break;
		CHECK_EQ(rig_stats(a).evicted_cnt, i == SYNC_UNITS_MAX);
	}
	CHECK_EQ(rig_stats(a).unit_cnt, SYNC_UNITS_MAX);
	/* One more of the first network finds nothing. */
	addr.ip[0] = 198;
	key[2] = 1;
	fair_path_of_addr(&paths, &addr, FAIR_UNKNOWN, &path);
	fair_path_add(&paths, &path, key, sizeof(key));
	CHECK(!social_sync_peer_of(a->sync, key, session, &path, rig_lab.now_ns));
	rig_end();
}

/* --- work --- */

static void test_a_peer_makes_240_requests_in_a_minute(void)
{
	struct sync_hello hello = {.question = SYNC_GREET};
	unsigned cnt = 0;
	uint64_t end_ns;

	begin();
	CHECK_EQ(rig_say_hello(b, a, &hello)->err, 0);
	end_ns = rig_lab.now_ns + 25 * NS_PER_S;
	for (cnt = 1; rig_lab.now_ns < end_ns && rig_say_hello(b, a, &hello)->err == 0; cnt++)
		;
	CHECK_EQ(cnt, SYNC_PER_KEY_MIN);
	CHECK_EQ(rig_asked.reply.err, WEFT_EREFUSED);
	CHECK(rig_asked.reply.not_before_ns > 0);
	CHECK_EQ(rig_stats(a).hurried_cnt, 1);
	/* Others are heard. */
	CHECK_EQ(rig_say_hello(c, a, &hello)->err, 0);
	rig_end();
}

/* Answers that are not taken: a key holds some of the 16, and another one finds room. */
static void test_answers_on_their_way_are_shared(void)
{
	struct sync_get get = {.posts_len = POST_ID_LEN};
	struct rig_post for_b, for_c;
	unsigned cnt = 0;

	begin();
	for_b = rig_post_of(a, ALICE, VISIBILITY_RECIPIENTS, WHO(BOB), 5000);
	for_c = rig_post_of(a, ALICE, VISIBILITY_RECIPIENTS, WHO(CAROL), 5000);
	a->mesh->is_unacknowledged = true;
	get.posts = for_b.id;
	while (cnt <= SYNC_PAGES_MAX && rig_say_get(b, a, &get)->err == 0)
		cnt++;
	CHECK(cnt >= 4 && cnt < SYNC_PAGES_MAX);
	CHECK_EQ(rig_asked.reply.err, WEFT_EBUSY);
	CHECK_EQ(rig_stats(a).full_cnt, 1);
	get.posts = for_c.id;
	CHECK_EQ(rig_say_get(c, a, &get)->err, 0);
	mesh_lab_acknowledge(a->mesh);
	get.posts = for_b.id;
	CHECK_EQ(rig_say_get(b, a, &get)->err, 0);
	rig_end();
}

static void test_messages_that_are_none_are_answered_and_counted(void)
{
	static const unsigned types[] = {MESH_SOCIAL_HELLO,	 MESH_SOCIAL_POSTS,
					 MESH_POST_GET,		 MESH_PROFILE_UPDATE,
					 MESH_VISIBILITY_UPDATE, MESH_POST_DELETE};

	begin();
	rig_message[0] = 0xff;
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		CHECK_EQ(rig_say(b, a, types[i], 1)->err, WEFT_EMALFORMED);
		CHECK_EQ(rig_stats(a).malformed_cnt, i + 1);
	}
	/* Ranges inside a hello that are none. */
	CHECK_EQ(rig_say_hello(b, a,
			       &(struct sync_hello){.question = SYNC_RANGES,
						    .ranges = (const uint8_t *)"x",
						    .ranges_len = 1})
			 ->err,
		 WEFT_EMALFORMED);
	rig_end();
}

static void test_an_offer_has_at_most_64_rows_and_that_of_an_unknown_peer_is_not_heeded(void)
{
	static uint8_t rows[(SYNC_OFFERED_MAX + 1) * SYNC_ROW_LEN];
	struct sync_answer offer = {.rows = rows, .rows_len = sizeof(rows)};
	struct writer w = writer_of(rig_message, sizeof(rig_message));

	begin();
	rig_meet(a, c);
	social_sync_answer_write(&w, &offer);
	CHECK_EQ(rig_say(c, a, MESH_SOCIAL_POSTS, writer_len(&w))->err, WEFT_EMALFORMED);
	offer.rows_len -= SYNC_ROW_LEN;
	w = writer_of(rig_message, sizeof(rig_message));
	social_sync_answer_write(&w, &offer);
	CHECK_EQ(rig_say(c, a, MESH_SOCIAL_POSTS, writer_len(&w))->err, 0);
	rig_pass(10 * NS_PER_S);
	CHECK_EQ(a->asked_cnt, 0);
	CHECK_EQ(rig_stats(a).offer_cnt, 0);
	rig_end();
}

/* --- peers that lie to the one that pulls --- */

static struct rig_post given; /* the only post that the liar ever gives */
static unsigned liar_named_cnt;

static void liar_hello(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t rows[SYNC_ROWS_MAX * SYNC_ROW_LEN], bytes[SYNC_ROWS_MAX * SYNC_ROW_LEN + 64];
	struct transport_span span = {.data = bytes};
	struct sync_answer said = {.follows = NULL};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct sync_hello hello;

	(void)now_ns;
	if (social_sync_hello_parse(call->payload, call->payload_len, &hello) < 0)
		abort();
	if (hello.question != SYNC_GREET) {
		for (unsigned i = 0; i < SYNC_ROWS_MAX; i++) {
			memset(rows + i * SYNC_ROW_LEN, 0x55, SYNC_ROW_LEN);
			memcpy(rows + i * SYNC_ROW_LEN, &liar_named_cnt, sizeof(liar_named_cnt));
			liar_named_cnt++;
		}
		said.rows = rows;
		said.rows_len = sizeof(rows);
		said.cursor.is_set = true; /* and there is always more */
		said.cursor.time_ms = RIG_TIME - liar_named_cnt;
	}
	social_sync_answer_write(&w, &said);
	span.len = writer_len(&w);
	(void)mesh_lab_seam_of(ctx).ops->answer(call->incoming, MESH_SOCIAL_POSTS, NULL, 0, &span);
}

static void liar_get(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static const uint8_t claim[] = {1};
	static uint8_t bytes[1000];
	struct writer w = writer_of(bytes, sizeof(bytes));

	(void)now_ns;
	page.post_cnt = 1;
	page.has_rest = false;
	page.posts[0] = (struct sync_post){given.id, given.post, {claim, 1}, given.visibility};
	social_sync_page_write(&w, &page);
	(void)mesh_lab_seam_of(ctx).ops->answer(call->incoming, MESH_POST_DATA, bytes,
						writer_len(&w), NULL);
}

static void a_lies(void)
{
	for (unsigned i = 0; i < MESH_LAB_TYPES; i++) {
		if (a->mesh->handlers[i].type == MESH_SOCIAL_HELLO)
			a->mesh->handlers[i].fn = liar_hello;
		else if (a->mesh->handlers[i].type == MESH_POST_GET)
			a->mesh->handlers[i].fn = liar_get;
		else
			continue;
		a->mesh->handlers[i].ctx = a->mesh;
	}
}

static void test_a_peer_that_names_posts_without_end_and_gives_none_is_left(void)
{
	begin();
	b->follows = b->chosen = WHO(ALICE);
	given = rig_post(c, CAROL, VISIBILITY_PUBLIC, 0);
	liar_named_cnt = 0;
	a_lies();
	rig_meet(b, a);
	rig_pass(10 * NS_PER_S);
	CHECK_EQ(rig_held_cnt(b), 0);
	CHECK(rig_stats(b).unasked_cnt >= 16);
	CHECK(rig_stats(b).useless_cnt > SYNC_USELESS_MAX);
	CHECK(rig_stats(b).useless_cnt <= 3 * (SYNC_USELESS_MAX + SYNC_GET_MAX));
	CHECK_EQ(rig_stats(b).pulled_cnt, 0);
	CHECK(rig_stats(b).failed_cnt >= 1);
	rig_end();
}

/* --- pulls that do not end --- */

static void hello_hears(struct rig_node *node, mesh_handler_fn fn)
{
	for (unsigned i = 0; i < MESH_LAB_TYPES; i++)
		if (node->mesh->handlers[i].type == MESH_SOCIAL_HELLO) {
			node->mesh->handlers[i].fn = fn;
			node->mesh->handlers[i].ctx = node->mesh;
		}
}

static void silent_hello(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	(void)ctx, (void)call, (void)now_ns;
}

/* Followers that this node did not choose hold half of the pulls, and a chosen peer finds room. */
static void test_silent_followers_leave_half_of_the_pulls_to_chosen_peers(void)
{
	struct rig_node *d;

	begin();
	d = rig_add();
	for (unsigned i = 1; i <= SYNC_OTHER_PULLS_MAX + 1; i++) {
		struct rig_node *node = i < 4 ? &rig_nodes[i] : rig_add();

		hello_hears(node, silent_hello);
		a->related |= WHO(i);
		mesh_lab_ask(a->mesh, node->mesh, MESH_PEX_REQUEST, "", 0, &rig_asked);
		social_sync_session_up(a->sync, node->mesh->key, rig_lab.now_ns);
		rig_pass(100 * NS_PER_MS);
		CHECK_EQ(rig_stats(a).running_cnt,
			 i < SYNC_OTHER_PULLS_MAX ? i : SYNC_OTHER_PULLS_MAX);
	}
	CHECK_EQ(d->number, DAVE);
	/* The last one is chosen now. */
	a->chosen = WHO(SYNC_OTHER_PULLS_MAX + 1);
	social_sync_follows_changed(a->sync, rig_lab.now_ns);
	rig_pass(100 * NS_PER_MS);
	CHECK_EQ(rig_stats(a).running_cnt, SYNC_OTHER_PULLS_MAX + 1);
	rig_end();
}

/* Whatever happens here meanwhile. */
static void test_a_silent_follower_holds_one_push(void)
{
	static const unsigned types[] = {MESH_SOCIAL_POSTS, MESH_PROFILE_UPDATE, MESH_POST_DELETE};
	unsigned asked_cnt;

	begin();
	b->follows = b->chosen = WHO(ALICE);
	a->related = WHO(BOB);
	rig_meet(a, b);
	for (unsigned i = 0; i < MESH_LAB_TYPES; i++)
		for (unsigned j = 0; j < 3; j++)
			if (b->mesh->handlers[i].type == types[j])
				b->mesh->handlers[i].fn = silent_hello;
	asked_cnt = a->asked_cnt;
	for (unsigned i = 0; i < 10; i++) {
		struct rig_post post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);

		social_sync_news(a->sync, post.id, NULL, rig_lab.now_ns);
		social_sync_profile_changed(a->sync, rig_lab.now_ns);
		rig_pass(100 * NS_PER_MS);
	}
	CHECK_EQ(a->asked_cnt - asked_cnt, 1);
	CHECK_EQ(a->sync->pushes.used_cnt, 1);
	rig_end();
}

/* Ten posts, while the push of the first one is under way: the others go as one. */
static void test_what_is_new_while_a_push_is_under_way_goes_as_one(void)
{
	static const struct mem_link slow = {.delay_ns = NS_PER_S, .mtu_len = MEM_DGRAM_LEN_MAX};
	unsigned asked_cnt;

	rig_begin(&slow);
	a = rig_add();
	b = rig_add();
	b->follows = b->chosen = WHO(ALICE);
	rig_meet(a, b);
	rig_pass(30 * NS_PER_S);
	asked_cnt = a->asked_cnt;
	for (unsigned i = 0; i < 10; i++) {
		struct rig_post post = rig_post(a, ALICE, VISIBILITY_PUBLIC, 0);

		social_sync_news(a->sync, post.id, NULL, rig_lab.now_ns);
		rig_pass(100 * NS_PER_MS);
	}
	CHECK_EQ(a->asked_cnt - asked_cnt, 1);
	rig_pass(20 * NS_PER_S);
	CHECK_EQ(a->asked_cnt - asked_cnt, 2);
	CHECK_EQ(rig_held_cnt(b), 10);
	rig_end();
}

static unsigned page_row_cnt, page_cnt;
static int page_step; /* by which the cursor of each page is below the one before */

static void endless_hello(void *ctx, const struct mesh_call *call, uint64_t now_ns)
{
	static uint8_t row[SYNC_ROW_LEN], bytes[SYNC_ROW_LEN + 64];
	struct sync_answer said = {.follows = NULL};
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct sync_hello hello;

	(void)now_ns;
	if (social_sync_hello_parse(call->payload, call->payload_len, &hello) < 0)
		abort();
	if (hello.question != SYNC_GREET) {
		page_cnt++;
		memcpy(row, &page_cnt, sizeof(page_cnt));
		said.rows = page_row_cnt ? row : NULL;
		said.rows_len = page_row_cnt * SYNC_ROW_LEN;
		said.cursor.is_set = true;
		said.cursor.time_ms = RIG_TIME - (uint64_t)page_step * page_cnt;
	}
	social_sync_answer_write(&w, &said);
	(void)mesh_lab_seam_of(ctx).ops->answer(call->incoming, MESH_SOCIAL_POSTS, bytes,
						writer_len(&w), NULL);
}

static void endless_begin(unsigned row_cnt, int step)
{
	begin();
	b->follows = b->chosen = WHO(ALICE);
	hello_hears(a, endless_hello);
	page_row_cnt = row_cnt;
	page_step = step;
	page_cnt = 0;
	rig_meet(b, a);
}

static void test_a_list_has_rows_in_each_page_and_its_cursor_descends(void)
{
	endless_begin(0, 1);
	CHECK_EQ(page_cnt, 1);
	CHECK_EQ(rig_stats(b).failed_cnt, 1);
	rig_end();
	endless_begin(1, 0);
	CHECK_EQ(page_cnt, 2);
	CHECK_EQ(rig_stats(b).failed_cnt, 1);
	rig_end();
	endless_begin(1, 1);
	CHECK(page_cnt > 2);
	CHECK_EQ(rig_stats(b).failed_cnt, 0);
	rig_end();
}

static void test_a_pull_asks_nothing_more_after_5_minutes(void)
{
	static const struct mem_link slow = {.delay_ns = NS_PER_S, .mtu_len = MEM_DGRAM_LEN_MAX};

	rig_begin(&slow);
	a = rig_add();
	b = rig_add();
	b->follows = b->chosen = WHO(ALICE);
	hello_hears(a, endless_hello);
	page_row_cnt = 1;
	page_step = 1;
	page_cnt = 0;
	rig_meet(b, a);
	rig_pass(SYNC_PULL_NS - 10 * NS_PER_S);
	CHECK_EQ(rig_stats(b).pull_cnt, 1);
	CHECK_EQ(rig_stats(b).failed_cnt, 0);
	rig_pass(12 * NS_PER_S);
	CHECK_EQ(rig_stats(b).failed_cnt, 1);
	CHECK(page_cnt > 100);
	rig_end();
}

int main(void)
{
	RUN(test_what_a_peer_said_is_gone_with_its_session);
	RUN(test_another_session_of_a_key_begins_with_nothing);
	RUN(test_a_peer_says_at_most_4096_follows);
	RUN(test_follows_of_another_open_public_posts_alone);
	RUN(test_fresh_keys_of_one_network_leave_room_for_another);
	RUN(test_a_peer_makes_240_requests_in_a_minute);
	RUN(test_answers_on_their_way_are_shared);
	RUN(test_messages_that_are_none_are_answered_and_counted);
	RUN(test_an_offer_has_at_most_64_rows_and_that_of_an_unknown_peer_is_not_heeded);
	RUN(test_a_peer_that_names_posts_without_end_and_gives_none_is_left);
	RUN(test_silent_followers_leave_half_of_the_pulls_to_chosen_peers);
	RUN(test_a_silent_follower_holds_one_push);
	RUN(test_what_is_new_while_a_push_is_under_way_goes_as_one);
	RUN(test_a_list_has_rows_in_each_page_and_its_cursor_descends);
	RUN(test_a_pull_asks_nothing_more_after_5_minutes);
	return check_done();
}
