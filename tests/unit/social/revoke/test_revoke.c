/* SPDX-License-Identifier: Apache-2.0 */
/* Posts are taken from readers: plans, both ways, and a kill at every step. */
#include "social/revoke/revoke.h"

#include "../post_rig.h"
#include "social/intake/post_intake.h"
#include "social/write/post_make.h"

#define CIRCLE_ID      "sixteen letters."
#define CIRCLE_MEMBERS 3u /* people 1 to 3 */
#define STEPS_MAX      400u
#define PLAN_CAP       64u

static struct intake *intake;
static struct post_holders *holders;
static struct revocations *revocations;
static struct revoke_outcome outcome;
static unsigned outcome_cnt, given_cnt, cut_cnt;
static struct revoke_cost costs[PLAN_CAP];
static struct visibility visibility;
static enum intake_verdict put_verdict;

/* --- ways --- */

static bool no_one(void *ctx, const uint8_t *key)
{
	(void)ctx, (void)key;
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

static const struct node_key *persona(void *ctx, unsigned idx)
{
	(void)ctx;
	return idx == 0 ? rig_people[0] : NULL;
}

static const struct node_key *own(void *ctx, const uint8_t *key)
{
	(void)ctx;
	return memcmp(key, rig_key(0), NODE_KEY_LEN) == 0 ? rig_people[0] : NULL;
}

static bool is_in_circle(void *ctx, const uint8_t *circle, const uint8_t *person)
{
	(void)ctx;
	for (unsigned i = 1; i <= CIRCLE_MEMBERS; i++)
		if (memcmp(person, rig_key(i), NODE_KEY_LEN) == 0)
			return memcmp(circle, CIRCLE_ID, REVOKE_CIRCLE_ID_LEN) == 0;
	return false;
}

static void on_cut(void *ctx, const uint8_t *person, const uint8_t *post, uint64_t now_ns)
{
	(void)ctx, (void)person, (void)post, (void)now_ns;
	cut_cnt++;
}

/* --- life --- */

static void parts_up(void)
{
	const struct intake_params intake_params = {.ground = &rig_ground,
						    .posts = rig_posts,
						    .ways = {.is_own = rig_is_own,
							     .is_blocked = no_one,
							     .is_followed = no_one,
							     .is_in_group = no_group,
							     .was_addressed = not_addressed,
							     .profile = no_profile}};

	if (social_intake_open(&intake_params, &intake) < 0 ||
	    social_holders_open(&rig_ground, &holders) < 0)
		abort();
	const struct revoke_params params = {.ground = &rig_ground,
					     .posts = rig_posts,
					     .intake = intake,
					     .holders = holders,
					     .ways = {.persona = persona,
						      .own = own,
						      .is_in_circle = is_in_circle,
						      .cut = on_cut},
					     .now_ns = rig_now_ns};

	if (social_revoke_open(&params, &revocations) < 0)
		abort();
}

static void parts_down(void)
{
	social_revoke_stop(revocations);
	social_holders_stop(holders);
	social_posts_stop(rig_posts);
	social_revoke_close(revocations);
	social_holders_close(holders);
	social_intake_close(intake);
}

static void begin(void)
{
	rig_begin();
	outcome_cnt = given_cnt = cut_cnt = 0;
	parts_up();
}

static void end(void)
{
	parts_down();
	rig_end();
}

/* kill -9: what is not durable is gone. */
static void crash(void)
{
	store_freeze(rig_store);
	parts_down();
	social_posts_close(rig_posts);
	store_crash(rig_store);
	timer_wheel_init(&rig_timers, rig_now_ns);
	rig_up();
	parts_up();
}

static void settle(void)
{
	for (unsigned i = 0; i < 40; i++)
		rig_settle();
}

/* --- posts --- */

static void on_put(void *arg, enum intake_verdict verdict, const uint8_t *id)
{
	(void)arg, (void)id;
	put_verdict = verdict;
}

/* A post of person 0, of that minute, for people [1, 1 + reader_cnt). */
static void post_make(unsigned minute, unsigned reader_cnt, uint8_t out_id[static POST_ID_LEN])
{
	uint8_t readers[RIG_PEOPLE][NODE_KEY_LEN];
	struct made_post *made;
	const struct post_making making = {
		.author = rig_people[0],
		.audience = {.kind = VISIBILITY_RECIPIENTS,
			     .readers = (const uint8_t(*)[NODE_KEY_LEN])readers,
			     .reader_cnt = reader_cnt},
		.time_ms = RIG_WALL_MS + minute * RIG_MINUTE_MS,
		.text = "what was said",
		.text_len = 13};

	for (unsigned i = 0; i < reader_cnt; i++)
		memcpy(readers[i], rig_key(1 + i), NODE_KEY_LEN);
	if (social_post_make(&making, &rig_dice, &made) < 0)
		abort();
	social_intake_post(intake,
			   &(struct intake_ask){.parts = {made->post, made->claim, made->visibility,
							  made->post_len, made->claim_len,
							  made->visibility_len},
						.source = INTAKE_OWN,
						.marks = POST_READ,
						.done = on_put},
			   rig_now_ns);
	memcpy(out_id, made->id, POST_ID_LEN);
	social_made_post_free(made);
	settle();
	if (put_verdict != INTAKE_TAKEN)
		abort();
}

/* The key of a post as person opens it, with any wrap of its header; false: it does not. */
static bool opens(const uint8_t *id, unsigned person)
{
	uint8_t nonce[CONTENT_NONCE_LEN], key[CONTENT_KEY_LEN];
	char text[64];
	struct writer w = writer_of(text, sizeof(text));
	struct post_copy *copy;
	struct post post;
	bool is = false;

	if (social_posts_read(rig_posts, id, &copy) < 0)
		return false;
	if (social_post_parse(copy->parts.post, copy->parts.post_len, &post) < 0 ||
	    social_visibility_read(copy->parts.visibility, copy->parts.visibility_len,
				   &visibility) < 0 ||
	    social_content_nonce(post.content, post.content_len, nonce) < 0)
		abort();
	for (unsigned i = 0; i < visibility.recipient_cnt && !is; i++) {
		struct content_wrap wrap = {post.author, visibility.recipients[i].reader, nonce};

		is = social_key_unwrap(&wrap, rig_people[person], visibility.recipients[i].wrapped,
				       key) == 0 &&
		     social_content_open(key, post.content, post.content_len, &w) == 0;
	}
	social_post_copy_free(copy);
	return is;
}

static void on_given(void *arg, int err)
{
	(void)arg;
	given_cnt += err == 0;
}

static void give(const uint8_t *id, unsigned person)
{
	struct holders_give giving = {.person = rig_key(person),
				      .posts = (const uint8_t(*)[POST_ID_LEN])id,
				      .post_cnt = 1,
				      .done = on_given};

	if (social_holders_give(holders, &giving) < 0)
		abort();
	settle();
}

static void on_outcome(void *arg, const struct revoke_outcome *got)
{
	(void)arg;
	outcome = *got;
	outcome_cnt += got->err != WEFT_ECANCELLED;
}

static int start(unsigned person, const uint8_t *post, const char *circle, enum revoke_way way)
{
	struct revoke_ask ask = {.scope = {.person = rig_key(person),
					   .post = post,
					   .circle = (const uint8_t *)circle},
				 .way = way,
				 .done = on_outcome};

	return social_revoke_start(revocations, &ask, rig_now_ns);
}

/* The edition of the post that was written in that minute; false: there is not one alone. */
struct looking {
	uint64_t time_ms;
	unsigned cnt;
	uint8_t id[POST_ID_LEN];
};
static bool look(void *arg, const struct post_view *view)
{
	struct looking *looking = arg;

	if (view->time_ms != looking->time_ms)
		return true;
	looking->cnt++;
	memcpy(looking->id, view->id, POST_ID_LEN);
	return true;
}
static bool edition_of(unsigned minute, uint8_t out_id[static POST_ID_LEN])
{
	struct looking looking = {.time_ms = RIG_WALL_MS + minute * RIG_MINUTE_MS};
	struct post_cursor next;

	if (social_posts_walk(rig_posts, &(struct post_walk){.from = NULL}, look, &looking, &next) <
	    0)
		abort();
	memcpy(out_id, looking.id, POST_ID_LEN);
	return looking.cnt == 1;
}

/* --- tests --- */

static void test_a_plan_says_what_each_post_costs_and_whether_it_was_fetched(void)
{
	struct revoke_plan plan = {.scope = {.person = NULL}, .costs = costs, .cap = PLAN_CAP};
	uint8_t ids[4][POST_ID_LEN];

	begin();
	for (unsigned i = 0; i < 4; i++)
		post_make(1 + i, i == 3 ? 1 : 3, ids[i]);
	give(ids[0], 2);
	give(ids[1], 3);
	plan.scope.person = rig_key(2);
	CHECK_EQ(social_revoke_plan(revocations, &plan), 0);
	CHECK_EQ(plan.cnt, 3);
	CHECK(plan.is_all);
	/* Newest first; the fourth is not for person 2. */
	CHECK_MEM(costs[0].post, ids[2], POST_ID_LEN);
	CHECK_EQ(costs[0].fetched, REVOKE_NEVER);
	CHECK_EQ(costs[0].advised, REVOKE_WRAP);
	CHECK_EQ(costs[0].copy_cnt, 0);
	CHECK_EQ(costs[1].fetched, REVOKE_MAYBE);
	CHECK_EQ(costs[1].advised, REVOKE_SEAL);
	CHECK_EQ(costs[2].fetched, REVOKE_FETCHED);
	CHECK_EQ(costs[2].copy_cnt, 1);
	CHECK_EQ(costs[2].wrap_cnt, 2);
	CHECK(costs[2].given_ms > 0 && costs[2].seal_len > costs[2].wrap_len);
	CHECK(costs[2].wrap_len > 0);
	plan.scope.post = ids[3];
	CHECK_EQ(social_revoke_plan(revocations, &plan), WEFT_EABSENT);
	plan.scope.post = ids[1];
	CHECK_EQ(social_revoke_plan(revocations, &plan), 0);
	CHECK_EQ(plan.cnt, 1);
	/* Nothing of all that changed anything. */
	CHECK(opens(ids[0], 2) && opens(ids[1], 2));
	end();
}

static void test_pages_of_a_plan_go_on_where_the_last_one_ended(void)
{
	struct revoke_plan plan = {.costs = costs, .cap = 2};
	uint8_t ids[5][POST_ID_LEN];
	struct post_cursor from;

	begin();
	for (unsigned i = 0; i < 5; i++)
		post_make(1 + i, 2, ids[i]);
	plan.scope.person = rig_key(1);
	CHECK_EQ(social_revoke_plan(revocations, &plan), 0);
	CHECK_EQ(plan.cnt, 2);
	CHECK(!plan.is_all);
	CHECK_MEM(costs[1].post, ids[3], POST_ID_LEN);
	from = plan.next;
	plan.from = &from;
	CHECK_EQ(social_revoke_plan(revocations, &plan), 0);
	CHECK_MEM(costs[0].post, ids[2], POST_ID_LEN);
	end();
}

static void test_the_cheap_way_leaves_the_post_and_shuts_its_header(void)
{
	struct post_holder holder;
	uint8_t id[POST_ID_LEN];

	begin();
	post_make(1, 3, id);
	CHECK(opens(id, 2));
	CHECK_EQ(start(2, id, NULL, REVOKE_ADVISED), 0);
	settle();
	CHECK_EQ(outcome_cnt, 1);
	CHECK_EQ(outcome.err, 0);
	CHECK_EQ(outcome.wrapped_cnt, 1);
	CHECK_EQ(outcome.wrap_cnt, 2);
	CHECK(!opens(id, 2));
	CHECK(opens(id, 1) && opens(id, 3) && opens(id, 0));
	CHECK_EQ(cut_cnt, 1);
	CHECK_EQ(social_holders_find(holders, id, rig_key(2), &holder), 0);
	CHECK(holder.flags & HOLDER_REVOKED);
	CHECK_EQ(social_revoke_cnt(revocations), 0);
	end();
}

static void test_the_heavy_way_puts_another_post_in_its_place(void)
{
	uint8_t id[POST_ID_LEN], next[POST_ID_LEN];
	struct post_view view;

	begin();
	post_make(1, 3, id);
	give(id, 2);
	CHECK_EQ(start(2, id, NULL, REVOKE_ADVISED), 0);
	settle();
	CHECK_EQ(outcome.err, 0);
	CHECK_EQ(outcome.sealed_cnt, 1);
	CHECK_EQ(social_posts_known(rig_posts, id), POST_GONE);
	CHECK(edition_of(1, next));
	CHECK(!opens(next, 2));
	CHECK(opens(next, 1) && opens(next, 3) && opens(next, 0));
	CHECK_EQ(social_posts_look(rig_posts, next, &view), 0);
	CHECK(view.flags & POST_READ);
	end();
}

static void test_a_circle_s_posts_are_those_that_it_alone_reads(void)
{
	uint8_t inside[POST_ID_LEN], outside[POST_ID_LEN];

	begin();
	post_make(1, CIRCLE_MEMBERS, inside);
	post_make(2, CIRCLE_MEMBERS + 1, outside);
	CHECK_EQ(start(2, NULL, CIRCLE_ID, REVOKE_WRAP), 0);
	settle();
	CHECK_EQ(outcome.wrapped_cnt, 1);
	CHECK(!opens(inside, 2));
	CHECK(opens(outside, 2));
	CHECK_EQ(start(2, NULL, NULL, REVOKE_WRAP), 0);
	settle();
	CHECK(!opens(outside, 2));
	end();
}

static void test_no_person_of_this_node_is_taken_off_and_one_revocation_too_many_is_refused(void)
{
	uint8_t id[POST_ID_LEN];

	begin();
	post_make(1, 2, id);
	CHECK_EQ(start(0, id, NULL, REVOKE_WRAP), WEFT_EREFUSED);
	for (unsigned i = 0; i < REVOCATIONS_MAX; i++)
		CHECK_EQ(start(5, id, NULL, REVOKE_WRAP), 0);
	CHECK_EQ(start(5, id, NULL, REVOKE_WRAP), WEFT_EFULL);
	for (unsigned i = 0; i < 8; i++)
		settle();
	CHECK_EQ(outcome_cnt, REVOCATIONS_MAX);
	CHECK_EQ(social_revoke_cnt(revocations), 0);
	CHECK_EQ(start(5, id, NULL, REVOKE_WRAP), 0);
	settle();
	end();
}

static void test_the_proof_holds_the_deletion_and_the_readers_that_remain(void)
{
	static uint8_t bytes[REVOKE_PROOF_LEN_MAX];
	uint8_t cheap[POST_ID_LEN], heavy[POST_ID_LEN];
	struct writer w = writer_of(bytes, sizeof(bytes));

	begin();
	post_make(1, 3, cheap);
	post_make(2, 3, heavy);
	CHECK_EQ(social_revoke_proof(revocations, cheap, rig_key(2), &w), WEFT_EABSENT);
	CHECK_EQ(start(2, cheap, NULL, REVOKE_WRAP), 0);
	CHECK_EQ(start(2, heavy, NULL, REVOKE_SEAL), 0);
	settle();
	CHECK_EQ(social_revoke_proof(revocations, cheap, rig_key(2), &w), 0);
	CHECK_EQ(bytes[0], 0xa1);
	w = writer_of(bytes, sizeof(bytes));
	CHECK_EQ(social_revoke_proof(revocations, heavy, rig_key(2), &w), 0);
	CHECK_EQ(bytes[0], 0xa2);
	w = writer_of(bytes, sizeof(bytes));
	CHECK_EQ(social_revoke_proof(revocations, heavy, rig_key(1), &w), WEFT_EABSENT);
	end();
}

/*
 * Three posts are taken from a reader that fetched one. The process is killed behind step after step, and
 * each time a post has its old readers or its new ones. What is left goes on by itself.
 */
static bool killed_at(unsigned step, enum revoke_way way)
{
	uint8_t ids[3][POST_ID_LEN], edition[POST_ID_LEN];
	bool was_over;

	begin();
	for (unsigned i = 0; i < 3; i++)
		post_make(1 + i, 3, ids[i]);
	give(ids[1], 2);
	if (start(2, NULL, NULL, way) < 0)
		abort();
	while (step-- && !outcome_cnt)
		rig_pass(NS_PER_MS);
	was_over = outcome_cnt;
	crash();
	for (unsigned i = 0; i < 3; i++) {
		struct looking looking = {.time_ms = RIG_WALL_MS + (1 + i) * RIG_MINUTE_MS};
		struct post_cursor next;

		if (social_posts_walk(rig_posts, &(struct post_walk){.from = NULL}, look, &looking,
				      &next) < 0 ||
		    looking.cnt == 0 || !opens(looking.id, 1) || !opens(looking.id, 3))
			abort();
	}
	for (unsigned i = 0; i < 4; i++)
		settle();
	if (social_revoke_cnt(revocations))
		abort();
	for (unsigned i = 0; i < 3; i++) {
		bool is_begun = !opens(ids[i], 2);

		/* Without its row nothing of it was begun, and no caller heard otherwise. */
		if (!is_begun && was_over)
			abort();
		if (is_begun && (!edition_of(1 + i, edition) || opens(edition, 2) ||
				 !opens(edition, 1) || !opens(edition, 3)))
			abort();
	}
	end();
	return was_over;
}

static void test_a_kill_at_any_step_leaves_old_readers_or_new_ones(void)
{
	static const enum revoke_way ways[] = {REVOKE_WRAP, REVOKE_SEAL, REVOKE_ADVISED};

	for (unsigned i = 0; i < 3; i++) {
		unsigned step = 0;

		while (step < STEPS_MAX && !killed_at(step, ways[i]))
			step++;
		CHECK(step > 4);
		CHECK(step < STEPS_MAX);
	}
}

int main(void)
{
	RUN(test_a_plan_says_what_each_post_costs_and_whether_it_was_fetched);
	RUN(test_pages_of_a_plan_go_on_where_the_last_one_ended);
	RUN(test_the_cheap_way_leaves_the_post_and_shuts_its_header);
	RUN(test_the_heavy_way_puts_another_post_in_its_place);
	RUN(test_a_circle_s_posts_are_those_that_it_alone_reads);
	RUN(test_no_person_of_this_node_is_taken_off_and_one_revocation_too_many_is_refused);
	RUN(test_the_proof_holds_the_deletion_and_the_readers_that_remain);
	RUN(test_a_kill_at_any_step_leaves_old_readers_or_new_ones);
	return check_done();
}
