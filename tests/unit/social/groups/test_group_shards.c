/* SPDX-License-Identifier: Apache-2.0 */
/* Groups larger than a shard, up to 100,000 members on the node of their admin. */
#include "social/groups/groups.h"

#include "group_rig.h"

#define AUDIENCE    100000u
#define PER_ASK	    1000u
#define POSTS_A_DAY 10u

static uint8_t keys[AUDIENCE][NODE_KEY_LEN];
static unsigned left_cnt, left_with_key_cnt;
static size_t left_len;

static void on_leave(void *ctx, const struct group_word *word, uint64_t now_ns)
{
	(void)ctx, (void)now_ns;
	left_cnt++;
	left_with_key_cnt += word->type == MESH_GROUP_REKEY && word->len > 300;
	left_len += word->type == MESH_GROUP_REKEY ? word->len : 0;
}

static void keys_make(unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		uint8_t seed[NODE_KEY_SEED_LEN] = {99};
		struct node_key *key;

		memcpy(seed + 1, &i, sizeof(i));
		if (node_key_from_seed(seed, &key) < 0)
			abort();
		memcpy(keys[i], node_key_public(key), NODE_KEY_LEN);
		node_key_free(key);
	}
}

/* The group of one admin, to which cnt viewers are added. */
static int audience_make(struct rig_node *node, unsigned cnt)
{
	struct group_ask ask = rig_asks(node, NULL, 0, GROUP_VIEWER);
	int err = social_group_create(node->groups, &ask, rig_lab.now_ns, rig_group);

	rig_pass(NS_PER_S);
	for (unsigned at = 0; at < cnt && err == 0; at += ask.member_cnt) {
		ask.members = (const uint8_t(*)[NODE_KEY_LEN])keys[at];
		ask.member_cnt = cnt - at < PER_ASK ? cnt - at : PER_ASK;
		err = social_group_add(node->groups, &ask, rig_lab.now_ns);
		rig_pass(NS_PER_S);
	}
	return err < 0 ? err : node->err;
}

static int act_on(rig_act_fn act, struct rig_node *node, unsigned number, enum group_role role)
{
	struct group_ask ask =
		rig_asks(node, (const uint8_t(*)[NODE_KEY_LEN])keys[number], 1, role);
	int err = act(node->groups, &ask, rig_lab.now_ns);

	rig_pass(NS_PER_S);
	return err < 0 ? err : node->err;
}

static void count_shard(void *arg, const struct group_shard_view *view)
{
	(void)view;
	++*(unsigned *)arg;
}

static uint64_t epochs[GROUP_ROWS_TOTAL];
static void keep_epoch(void *arg, const struct group_shard_view *view)
{
	unsigned *changed_cnt = arg;

	*changed_cnt += epochs[view->shard] != view->epoch;
	epochs[view->shard] = view->epoch;
}

static void test_a_removal_of_100000_members_touches_one_shard(void)
{
	struct groups_stats before, after;
	struct rig_node *node;
	unsigned shard_cnt = 0, changed_cnt = 0;

	rig_begin();
	node = rig_add_leaving(on_leave);
	left_cnt = 0;
	CHECK_EQ(audience_make(node, AUDIENCE - 1), 0);
	CHECK_EQ(rig_view(node).member_cnt, AUDIENCE);
	social_group_shards(node->groups, rig_group, count_shard, &shard_cnt);
	CHECK_EQ(shard_cnt, 400);
	social_group_shards(node->groups, rig_group, keep_epoch, &changed_cnt);
	social_groups_stats(node->groups, &before);
	left_cnt = left_with_key_cnt = 0;
	left_len = 0;
	CHECK_EQ(act_on(social_group_remove, node, 77777, 0), 0);
	social_groups_stats(node->groups, &after);
	changed_cnt = 0;
	social_group_shards(node->groups, rig_group, keep_epoch, &changed_cnt);
	CHECK_EQ(changed_cnt, 1);
	CHECK_EQ(after.made_cnt - before.made_cnt, 1);
	/* 249 who stay have the new key, and the one who goes hears that. */
	CHECK_EQ(left_with_key_cnt, 249);
	CHECK_EQ(left_cnt, 250);
	CHECK(left_len <= 125000);
	printf("# 100,000 members: %u shards, %u copies a day of %u posts, a removal is for %u "
	       "members, "
	       "%zu bytes\n",
	       shard_cnt, shard_cnt * POSTS_A_DAY, POSTS_A_DAY, left_with_key_cnt, left_len);
	rig_end();
}

static void test_a_removal_of_one_of_200_seals_199_keys(void)
{
	struct groups_stats before, after;
	struct rig_node *node;

	rig_begin();
	node = rig_add_leaving(on_leave);
	CHECK_EQ(audience_make(node, 199), 0);
	social_groups_stats(node->groups, &before);
	CHECK_EQ(act_on(social_group_remove, node, 7, 0), 0);
	social_groups_stats(node->groups, &after);
	CHECK_EQ(after.wrapped_cnt - before.wrapped_cnt, 199);
	CHECK_EQ(rig_view(node).member_cnt, 199);
	rig_end();
}

static void test_posters_of_a_sharded_group_visit_its_other_shards(void)
{
	struct rig_node *node;
	unsigned changed_cnt = 0;

	rig_begin();
	node = rig_add_leaving(on_leave);
	CHECK_EQ(audience_make(node, 600), 0);
	CHECK_EQ(rig_view(node).row_cnt, 3);
	social_group_shards(node->groups, rig_group, keep_epoch, &changed_cnt);
	CHECK_EQ(act_on(social_group_give_role, node, 5, GROUP_POSTER), 0);
	changed_cnt = 0;
	social_group_shards(node->groups, rig_group, keep_epoch, &changed_cnt);
	CHECK_EQ(changed_cnt, 3);
	CHECK(social_group_may(node->groups, rig_group, keys[5], GROUP_ACT_POST));
	CHECK_EQ(rig_view(node).member_cnt, 601);
	/* A new shard has its visitors, too. */
	CHECK_EQ(rig_view(node).shard_cnt, 3);
	CHECK_EQ(act_on(social_group_give_role, node, 5, GROUP_VIEWER), 0);
	CHECK(!social_group_may(node->groups, rig_group, keys[5], GROUP_ACT_POST));
	/* A visitor who goes costs a key in its own shard alone. */
	CHECK_EQ(act_on(social_group_give_role, node, 5, GROUP_POSTER), 0);
	left_with_key_cnt = 0;
	CHECK_EQ(act_on(social_group_remove, node, 5, 0), 0);
	CHECK_EQ(rig_view(node).member_cnt, 600);
	rig_end();
}

static void test_a_33rd_visitor_is_refused_and_changes_nothing(void)
{
	struct rig_node *node;

	rig_begin();
	node = rig_add_leaving(on_leave);
	CHECK_EQ(audience_make(node, 300), 0);
	for (unsigned i = 0; i < GROUP_VISITORS_MAX - 1; i++)
		CHECK_EQ(act_on(social_group_give_role, node, i, GROUP_POSTER), 0);
	CHECK_EQ(act_on(social_group_give_role, node, 40, GROUP_POSTER), WEFT_EFULL);
	CHECK(!social_group_may(node->groups, rig_group, keys[40], GROUP_ACT_POST));
	CHECK_EQ(act_on(social_group_remove, node, 40, 0), 0);
	rig_end();
}

static void test_what_is_made_of_shards_is_there_after_a_crash(void)
{
	struct rig_node *node;
	unsigned shard_cnt = 0;

	rig_begin();
	node = rig_add_leaving(on_leave);
	CHECK_EQ(audience_make(node, 700), 0);
	CHECK_EQ(act_on(social_group_remove, node, 300, 0), 0);
	rig_crash(node);
	rig_start(node);
	CHECK_EQ(rig_view(node).member_cnt, 700);
	social_group_shards(node->groups, rig_group, count_shard, &shard_cnt);
	CHECK_EQ(shard_cnt, 3);
	CHECK(rig_view(node).has_key);
	CHECK_EQ(act_on(social_group_remove, node, 301, 0), 0);
	rig_end();
}

int main(void)
{
	keys_make(AUDIENCE);
	RUN(test_a_removal_of_100000_members_touches_one_shard);
	RUN(test_a_removal_of_one_of_200_seals_199_keys);
	RUN(test_posters_of_a_sharded_group_visit_its_other_shards);
	RUN(test_a_33rd_visitor_is_refused_and_changes_nothing);
	RUN(test_what_is_made_of_shards_is_there_after_a_crash);
	return check_done();
}
