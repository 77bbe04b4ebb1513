/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole nodes of a group that has shards. A post for it has an edition in each shard, and a moderator
 * hides it in all of them. That counts for an edition that comes later, too.
 * SEED=n plays another run.
 */
#include <stdlib.h>
#include <string.h>

#include "node/node_state.h"
#include "social/groups/groups.h"
#include "social/sync/sync.h"
#include "social/write/social_write.h"
#include "support/check.h"
#include "support/sim.h"
#include "support/sim_ask.h"
#include "support/sim_people.h"

enum { ADMIN, MEMBER, LATER, PEOPLE };
/* The first shard is full, and members of the test are in the second. */
#define OTHERS (GROUP_SHARD_MAX + 20u)

static const struct mem_link calm = {.delay_ns = 20 * NS_PER_MS};
static struct sim sim;
static uint8_t group[GROUP_ID_LEN], others[OTHERS][NODE_KEY_LEN];
static int last_err;
static unsigned done_cnt;
static uint8_t last_id[POST_ID_LEN];

static struct social *social_of(unsigned person)
{
	return sim.nodes[person].node->social;
}

static const uint8_t *key_of(unsigned person)
{
	return node_key_public(sim.nodes[person].key);
}

static void on_done(void *arg, int err)
{
	(void)arg;
	last_err = err;
	done_cnt++;
}

static void on_written(void *arg, int err, const uint8_t *id)
{
	on_done(arg, err);
	if (id)
		memcpy(last_id, id, sizeof(last_id));
}

static bool is_done(void *arg)
{
	return done_cnt >= *(unsigned *)arg;
}

static void wait_done(unsigned person, int err)
{
	unsigned want = done_cnt + 1;

	sim_wake(&sim.nodes[person]);
	if (err < 0 || !sim_run(&sim, 60 * NS_PER_S, is_done, &want) || last_err < 0)
		abort();
}

static void meet(unsigned from, unsigned to)
{
	if (!sim_dial(&sim.nodes[from], &sim.nodes[to]))
		abort();
	(void)sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
}

static void others_make(void)
{
	for (unsigned i = 0; i < OTHERS; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {98, (uint8_t)i, (uint8_t)(i >> 8)};
		struct node_key *key;

		if (node_key_from_seed(seed, &key) < 0)
			abort();
		memcpy(others[i], node_key_public(key), NODE_KEY_LEN);
		node_key_free(key);
	}
}

static void add(const uint8_t (*keys)[NODE_KEY_LEN], unsigned cnt)
{
	const struct group_ask ask = {.group = group,
				      .members = keys,
				      .member_cnt = cnt,
				      .role = GROUP_VIEWER,
				      .done = on_done};

	wait_done(ADMIN, social_group_add(social_groups_of(social_of(ADMIN)), &ask, sim.now_ns));
}

static void join(unsigned person)
{
	const struct group_ask ask = {.group = group, .done = on_done};

	sim_follow(social_of(person), key_of(ADMIN), sim.now_ns);
	meet(person, ADMIN);
	wait_done(person,
		  social_group_accept(social_groups_of(social_of(person)), &ask, sim.now_ns));
	(void)sim_run(&sim, 5 * NS_PER_S, NULL, NULL);
}

static void begin(void)
{
	struct group_ask ask = {.group = group, .name = "boats", .done = on_done};
	uint8_t members[2][NODE_KEY_LEN];

	sim_init(&sim, sim_seed(1), &calm);
	for (unsigned i = 0; i < PEOPLE; i++) {
		struct sim_node *node = sim_person_add(&sim);

		sim_start(node);
	}
	others_make();
	ask.person = key_of(ADMIN);
	wait_done(ADMIN,
		  social_group_create(social_groups_of(social_of(ADMIN)), &ask, sim.now_ns, group));
	add((const uint8_t(*)[NODE_KEY_LEN])others, OTHERS);
	memcpy(members[0], key_of(MEMBER), NODE_KEY_LEN);
	memcpy(members[1], key_of(LATER), NODE_KEY_LEN);
	add((const uint8_t(*)[NODE_KEY_LEN])members, 2);
	join(MEMBER);
}

static void write_post(const char *text)
{
	const struct write_draft draft = {.intent = POST_TO_GROUP,
					  .group = group,
					  .text = text,
					  .text_len = strlen(text),
					  .done = on_written};

	wait_done(ADMIN, social_write_post(social_write_of(social_of(ADMIN)), &draft, sim.now_ns));
}

static struct post_view view_of(unsigned person, const uint8_t *id)
{
	struct post_view view = {.flags = 0};

	if (social_posts_look(social_posts_of(social_of(person)), id, &view) < 0)
		abort();
	return view;
}

/* The edition of the post that person reads, of what the admin wrote. */
static struct post_view edition_at(unsigned person, const struct post_view *of)
{
	uint8_t id[POST_ID_LEN] = {0};

	if (social_posts_edition(social_posts_of(social_of(person)), of->author, of->logical_id,
				 id) < 0)
		abort();
	return view_of(person, id);
}

static void hide(const struct post_view *view, bool is_hidden)
{
	const struct group_ask ask = {.group = group, .done = on_done};
	const struct group_hide what = {
		.author = view->author, .logical_id = view->logical_id, .is_hidden = is_hidden};

	if (social_group_hide_post(social_groups_of(social_of(ADMIN)), &ask, &what, sim.now_ns) < 0)
		abort();
	/* A session that was silent has ended. */
	sim_wake(&sim.nodes[ADMIN]);
	for (unsigned i = MEMBER; i < PEOPLE; i++)
		meet(i, ADMIN);
}

static struct post_editions editions;

static unsigned hidden_cnt_at(unsigned person, const struct post_view *of)
{
	unsigned cnt = 0;

	social_posts_editions(social_posts_of(social_of(person)), of->author, of->logical_id,
			      &editions);
	for (unsigned i = 0; i < editions.cnt; i++)
		cnt += (view_of(person, editions.ids[i]).flags & POST_HIDDEN) != 0;
	return cnt;
}

static void test_a_moderator_hides_a_post_in_all_shards(void)
{
	struct post_view own, theirs, other;

	begin();
	write_post("We sail on Friday");
	own = view_of(ADMIN, last_id);
	write_post("We sail on Saturday");
	other = view_of(ADMIN, last_id);
	(void)sim_run(&sim, 400 * NS_PER_S, NULL, NULL);
	CHECK_EQ(hidden_cnt_at(ADMIN, &own), 0);
	CHECK_EQ(editions.cnt, 2);
	theirs = edition_at(MEMBER, &own);
	/* It is another post, of another shard. */
	CHECK(memcmp(theirs.id, own.id, POST_ID_LEN) != 0);
	CHECK(theirs.flags & POST_READABLE);
	hide(&own, true);
	CHECK_EQ(hidden_cnt_at(ADMIN, &own), 2);
	CHECK(edition_at(MEMBER, &own).flags & POST_HIDDEN);
	CHECK(!(edition_at(MEMBER, &other).flags & POST_HIDDEN));
	/* One that joins later gets it as hidden, too. */
	join(LATER);
	(void)sim_run(&sim, 400 * NS_PER_S, NULL, NULL);
	CHECK(edition_at(LATER, &own).flags & POST_HIDDEN);
	CHECK(!(edition_at(LATER, &other).flags & POST_HIDDEN));
	hide(&own, false);
	CHECK_EQ(hidden_cnt_at(ADMIN, &own), 0);
	CHECK(!(edition_at(MEMBER, &own).flags & POST_HIDDEN));
	sim_fini(&sim);
}

/* A moderator of a group has no say on posts that are not of it. */
static void test_a_moderator_does_not_hide_what_is_not_of_the_group(void)
{
	struct post_view view;
	const struct write_draft draft = {
		.intent = POST_TO_ALL, .text = "For all", .text_len = 7, .done = on_written};

	begin();
	wait_done(MEMBER,
		  social_write_post(social_write_of(social_of(MEMBER)), &draft, sim.now_ns));
	view = view_of(MEMBER, last_id);
	hide(&view, true);
	(void)sim_run(&sim, 400 * NS_PER_S, NULL, NULL);
	CHECK(!(view_of(MEMBER, view.id).flags & POST_HIDDEN));
	sim_fini(&sim);
}

int main(void)
{
	RUN(test_a_moderator_hides_a_post_in_all_shards);
	RUN(test_a_moderator_does_not_hide_what_is_not_of_the_group);
	return check_done();
}
