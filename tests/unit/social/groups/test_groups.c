/* SPDX-License-Identifier: Apache-2.0 */
#include "social/groups/groups.h"
#include "social/object/post_claim.h"

#include "group_rig.h"

#define MINUTE (60 * NS_PER_S)

static void nodes_add(unsigned cnt)
{
	rig_begin();
	for (unsigned i = 0; i < cnt; i++)
		rig_add();
}

static void test_members_that_accept_have_the_key_of_the_epoch(void)
{
	struct visibility_group of;

	nodes_add(4);
	CHECK_EQ(rig_found(3, GROUP_POSTER), 0);
	of = rig_sealed(&rig_nodes[0]);
	for (unsigned i = 0; i < 3; i++) {
		struct group_view view = rig_view(&rig_nodes[i]);

		CHECK(view.is_member);
		CHECK(view.has_key);
		CHECK_EQ(view.member_cnt, 3);
		CHECK_EQ(view.role, i == 0 ? GROUP_ADMIN : GROUP_POSTER);
		CHECK_STR(view.name, "boats");
		CHECK(rig_opens(&rig_nodes[i], &of));
		CHECK(social_group_is_reader(rig_nodes[1].groups, &of, rig_nodes[i].mesh->key));
	}
	CHECK(!rig_opens(&rig_nodes[3], &of));
	CHECK(!social_group_is_reader(rig_nodes[1].groups, &of, rig_nodes[3].mesh->key));
	rig_end();
}

static void invite_count(void *arg, const struct group_invite_view *view)
{
	CHECK_STR(view->name, "boats");
	CHECK_MEM(view->from, rig_nodes[0].mesh->key, NODE_KEY_LEN);
	++*(unsigned *)arg;
}

static void test_a_group_that_was_not_asked_for_waits_for_the_person(void)
{
	uint8_t members[1][NODE_KEY_LEN];
	struct group_ask ask =
		rig_asks(&rig_nodes[0], (const uint8_t(*)[NODE_KEY_LEN])members, 1, GROUP_VIEWER);
	struct group_view view;
	unsigned cnt = 0;

	nodes_add(2);
	memcpy(members[0], rig_nodes[1].mesh->key, NODE_KEY_LEN);
	rig_meet(&rig_nodes[0], &rig_nodes[1]);
	CHECK_EQ(social_group_create(rig_nodes[0].groups, &ask, rig_lab.now_ns, rig_group), 0);
	rig_pass(NS_PER_S);
	CHECK(!social_group_now(rig_nodes[1].groups, rig_group, &view));
	social_group_invites(rig_nodes[1].groups, invite_count, &cnt);
	CHECK_EQ(cnt, 1);
	/* It is durable. */
	rig_crash(&rig_nodes[1]);
	rig_start(&rig_nodes[1]);
	social_group_invites(rig_nodes[1].groups, invite_count, &cnt);
	CHECK_EQ(cnt, 2);
	CHECK_EQ(rig_act(social_group_refuse, &rig_nodes[1], NULL, GROUP_VIEWER), 0);
	social_group_invites(rig_nodes[1].groups, invite_count, &cnt);
	CHECK_EQ(cnt, 2);
	CHECK_EQ(rig_act(social_group_accept, &rig_nodes[1], NULL, GROUP_VIEWER), WEFT_EABSENT);
	/* It does not come again, also after a crash, until 30 days are over. */
	rig_crash(&rig_nodes[1]);
	rig_start(&rig_nodes[1]);
	rig_meet(&rig_nodes[0], &rig_nodes[1]);
	social_group_invites(rig_nodes[1].groups, invite_count, &cnt);
	CHECK_EQ(cnt, 2);
	rig_nodes[1].ahead_ms = (int64_t)GROUP_REFUSED_MS;
	rig_meet(&rig_nodes[0], &rig_nodes[1]);
	social_group_invites(rig_nodes[1].groups, invite_count, &cnt);
	CHECK_EQ(cnt, 3);
	rig_end();
}

static void test_a_person_away_when_invited_hears_at_the_next_session(void)
{
	uint8_t members[1][NODE_KEY_LEN];
	struct group_ask ask =
		rig_asks(&rig_nodes[0], (const uint8_t(*)[NODE_KEY_LEN])members, 1, GROUP_VIEWER);
	unsigned cnt = 0;

	nodes_add(2);
	memcpy(members[0], rig_nodes[1].mesh->key, NODE_KEY_LEN);
	CHECK_EQ(social_group_create(rig_nodes[0].groups, &ask, rig_lab.now_ns, rig_group), 0);
	rig_pass(MINUTE);
	rig_meet(&rig_nodes[0], &rig_nodes[1]);
	social_group_invites(rig_nodes[1].groups, invite_count, &cnt);
	CHECK_EQ(cnt, 1);
	rig_end();
}

static void test_a_removed_member_opens_nothing_of_the_next_epoch(void)
{
	struct visibility_group old, new;

	nodes_add(4);
	CHECK_EQ(rig_found(4, GROUP_VIEWER), 0);
	old = rig_sealed(&rig_nodes[0]);
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[0], &rig_nodes[2], 0), 0);
	new = rig_sealed(&rig_nodes[0]);
	CHECK(memcmp(old.key, new.key, NODE_KEY_LEN) != 0);
	for (unsigned i = 0; i < 4; i++) {
		CHECK_EQ(rig_opens(&rig_nodes[i], &new), i != 2);
		CHECK(rig_opens(&rig_nodes[i], &old));
		CHECK_EQ(rig_view(&rig_nodes[i]).epoch, 1);
	}
	CHECK(!rig_view(&rig_nodes[2]).is_member);
	CHECK_EQ(rig_nodes[2].happened_cnts[SOCIAL_GROUP_INVITED], 1);
	CHECK_EQ(rig_nodes[2].happened_cnts[SOCIAL_GROUP_ROLE], 1);
	CHECK_EQ(rig_nodes[1].happened_cnts[SOCIAL_GROUP_ROLE], 0);
	CHECK(!social_group_is_reader(rig_nodes[0].groups, &new, rig_nodes[2].mesh->key));
	CHECK(social_group_is_reader(rig_nodes[0].groups, &old, rig_nodes[2].mesh->key));
	rig_end();
}

static void test_a_member_that_missed_ten_epochs_catches_up_from_any_other(void)
{
	struct visibility_group sealed[11];

	nodes_add(8);
	CHECK_EQ(rig_found(8, GROUP_VIEWER), 0);
	sealed[0] = rig_sealed(&rig_nodes[0]);
	rig_stop(&rig_nodes[1]);
	for (unsigned i = 1; i <= 10; i++) {
		CHECK_EQ(i % 2 ? rig_act(social_group_remove, &rig_nodes[0], &rig_nodes[2 + i / 2],
					 0)
			       : rig_act(social_group_rekey, &rig_nodes[0], NULL, 0),
			 0);
		sealed[i] = rig_sealed(&rig_nodes[0]);
	}
	/* The admin is away now. Node 7 was a member all the time. */
	rig_stop(&rig_nodes[0]);
	rig_start(&rig_nodes[1]);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 0);
	rig_meet(&rig_nodes[1], &rig_nodes[7]);
	rig_pass(10 * NS_PER_S);
	CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 10);
	for (unsigned i = 0; i <= 10; i++)
		CHECK(rig_opens(&rig_nodes[1], &sealed[i]));
	rig_end();
}

static void test_forks_of_two_admins_end_in_one_state_with_the_acts_of_both(void)
{
	struct group_view views[5];

	nodes_add(5);
	CHECK_EQ(rig_found(5, GROUP_VIEWER), 0);
	CHECK_EQ(rig_act(social_group_give_role, &rig_nodes[0], &rig_nodes[1], GROUP_ADMIN), 0);
	/* Both act on the same state, and neither has a session. */
	rig_lab.session_epoch++;
	for (unsigned i = 0; i < 5; i++)
		rig_nodes[i].mesh->session_cnt = 0;
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[0], &rig_nodes[2], 0), 0);
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[1], &rig_nodes[3], 0), 0);
	for (unsigned round = 0; round < 3; round++)
		for (unsigned i = 0; i < 5; i++)
			for (unsigned j = 0; j < i; j++)
				rig_meet(&rig_nodes[i], &rig_nodes[j]);
	for (unsigned i = 0; i < 5; i++)
		views[i] = rig_view(&rig_nodes[i]);
	for (unsigned i = 0; i < 5; i++) {
		bool is_gone = i == 2 || i == 3;

		CHECK_EQ(views[i].is_member, !is_gone);
		if (is_gone)
			continue;
		CHECK_EQ(views[i].member_cnt, 3);
		CHECK_MEM(views[i].key, views[0].key, NODE_KEY_LEN);
		CHECK(views[i].has_key);
	}
	rig_end();
}

static void test_roles_limit_persons_on_their_own_nodes(void)
{
	nodes_add(5);
	CHECK_EQ(rig_found(4, GROUP_VIEWER), 0);
	CHECK_EQ(rig_act(social_group_give_role, &rig_nodes[0], &rig_nodes[1], GROUP_MODERATOR), 0);
	CHECK_EQ(rig_act(social_group_add, &rig_nodes[1], &rig_nodes[4], GROUP_VIEWER),
		 WEFT_EREFUSED);
	CHECK_EQ(rig_act(social_group_rekey, &rig_nodes[1], NULL, 0), WEFT_EREFUSED);
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[1], &rig_nodes[0], 0), WEFT_EREFUSED);
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[2], &rig_nodes[3], 0), WEFT_EREFUSED);
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[1], &rig_nodes[3], 0), 0);
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[0], &rig_nodes[0], 0), WEFT_EREFUSED);
	CHECK_EQ(rig_act(social_group_add, &rig_nodes[0], &rig_nodes[1], 0), WEFT_EEXISTS);
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[0], &rig_nodes[4], 0), WEFT_EABSENT);
	rig_end();
}

static void test_a_viewer_may_not_write_and_a_poster_may_as_long_as_it_was_one(void)
{
	struct visibility_group first, second, third;

	nodes_add(3);
	CHECK_EQ(rig_found(3, GROUP_VIEWER), 0);
	first = rig_sealed(&rig_nodes[0]);
	CHECK_EQ(rig_act(social_group_give_role, &rig_nodes[0], &rig_nodes[1], GROUP_POSTER), 0);
	second = rig_sealed(&rig_nodes[0]);
	CHECK_EQ(rig_act(social_group_remove, &rig_nodes[0], &rig_nodes[1], 0), 0);
	third = rig_sealed(&rig_nodes[0]);
	CHECK(!social_group_may_write(rig_nodes[2].groups, &first, rig_nodes[1].mesh->key));
	CHECK(social_group_may_write(rig_nodes[2].groups, &second, rig_nodes[1].mesh->key));
	CHECK(!social_group_may_write(rig_nodes[2].groups, &third, rig_nodes[1].mesh->key));
	CHECK(social_group_may_write(rig_nodes[2].groups, &third, rig_nodes[0].mesh->key));
	/* The same without a key, of one epoch and of the newest. */
	for (unsigned i = 0; i < 4; i++) {
		const uint64_t *epochs[4] = {NULL, &first.epoch, &second.epoch, &third.epoch};

		CHECK_EQ(social_group_is_poster(rig_nodes[2].groups, rig_group, epochs[i],
						rig_nodes[1].mesh->key),
			 i == 2);
		CHECK(social_group_is_poster(rig_nodes[2].groups, rig_group, epochs[i],
					     rig_nodes[0].mesh->key));
	}
	CHECK(!social_group_is_poster(rig_nodes[2].groups, third.key, NULL,
				      rig_nodes[0].mesh->key));
	rig_end();
}

static void test_moderators_hide_posts_for_all_and_others_do_not(void)
{
	static const uint8_t logical_id[POST_LOGICAL_ID_LEN] = {5}, other_id[POST_LOGICAL_ID_LEN];
	struct group_hide what = {.logical_id = logical_id, .is_hidden = true}, other;
	struct group_ask ask;
	unsigned done_cnt;

	nodes_add(4);
	CHECK_EQ(rig_found(4, GROUP_POSTER), 0);
	what.author = rig_nodes[2].mesh->key;
	ask = rig_asks(&rig_nodes[1], NULL, 0, 0);
	CHECK_EQ(social_group_hide_post(rig_nodes[1].groups, &ask, &what, rig_lab.now_ns),
		 WEFT_EREFUSED);
	ask = rig_asks(&rig_nodes[0], NULL, 0, 0);
	done_cnt = rig_nodes[0].done_cnt;
	CHECK_EQ(social_group_hide_post(rig_nodes[0].groups, &ask, &what, rig_lab.now_ns), 0);
	/* It is answered for when it is durable. Then members hear, that have a session for long. */
	CHECK_EQ(rig_nodes[0].done_cnt, done_cnt);
	rig_pass(2 * NS_PER_S);
	CHECK_EQ(rig_nodes[0].done_cnt, done_cnt + 1);
	what.group = ask.group;
	for (unsigned i = 1; i < 4; i++) {
		CHECK(social_group_is_hidden(rig_nodes[i].groups, &what));
		CHECK_EQ(rig_nodes[i].hidden_cnt, 1);
		/* Another post of that author, the same of another author, and of another group are not. */
		other = what;
		other.logical_id = other_id;
		CHECK(!social_group_is_hidden(rig_nodes[i].groups, &other));
		other = what;
		other.author = rig_nodes[1].mesh->key;
		CHECK(!social_group_is_hidden(rig_nodes[i].groups, &other));
		other = what;
		other.group = rig_nodes[1].mesh->key;
		CHECK(!social_group_is_hidden(rig_nodes[i].groups, &other));
	}
	rig_pass(NS_PER_S);
	what.is_hidden = false;
	CHECK_EQ(social_group_hide_post(rig_nodes[0].groups, &ask, &what, rig_lab.now_ns), 0);
	rig_pass(NS_PER_S);
	CHECK(!social_group_is_hidden(rig_nodes[1].groups, &what));
	rig_end();
}

static void test_a_leaving_member_is_removed_by_the_next_admin_that_hears(void)
{
	struct visibility_group of;

	nodes_add(3);
	CHECK_EQ(rig_found(3, GROUP_VIEWER), 0);
	CHECK_EQ(rig_act(social_group_leave, &rig_nodes[0], NULL, 0), WEFT_EREFUSED);
	CHECK_EQ(rig_act(social_group_leave, &rig_nodes[1], NULL, 0), 0);
	CHECK(rig_view(&rig_nodes[1]).is_leaving);
	rig_meet(&rig_nodes[1], &rig_nodes[0]);
	rig_pass(5 * NS_PER_S);
	CHECK_EQ(rig_view(&rig_nodes[0]).member_cnt, 2);
	of = rig_sealed(&rig_nodes[0]);
	CHECK(!rig_opens(&rig_nodes[1], &of));
	CHECK(rig_opens(&rig_nodes[2], &of));
	rig_end();
}

/* Whatever step a node ends at, it has all of an edit or nothing, and no second state of an epoch. */
static void test_a_crash_at_any_step_of_a_rekey_makes_no_second_epoch(void)
{
	for (unsigned step = 0; step < 6; step++) {
		struct visibility_group of;
		uint8_t member[1][NODE_KEY_LEN];
		struct group_ask ask;

		nodes_add(3);
		CHECK_EQ(rig_found(3, GROUP_VIEWER), 0);
		ask = rig_asks(&rig_nodes[0], (const uint8_t(*)[NODE_KEY_LEN])member, 1, 0);
		memcpy(member[0], rig_nodes[2].mesh->key, NODE_KEY_LEN);
		CHECK_EQ(social_group_remove(rig_nodes[0].groups, &ask, rig_lab.now_ns), 0);
		rig_nodes[0].mesh->due_ns = 0;
		if (step > 0)
			(void)mesh_lab_run(&rig_lab, step * 7 * NS_PER_MS, NULL, NULL);
		rig_crash(&rig_nodes[0]);
		rig_start(&rig_nodes[0]);
		CHECK_EQ(rig_view(&rig_nodes[0]).epoch, step > 0);
		if (rig_view(&rig_nodes[0]).epoch == 0)
			CHECK_EQ(rig_act(social_group_remove, &rig_nodes[0], &rig_nodes[2], 0), 0);
		rig_meet(&rig_nodes[0], &rig_nodes[1]);
		of = rig_sealed(&rig_nodes[0]);
		CHECK_EQ(rig_view(&rig_nodes[1]).epoch, 1);
		CHECK(rig_opens(&rig_nodes[1], &of));
		CHECK(rig_opens(&rig_nodes[0], &of));
		rig_meet(&rig_nodes[0], &rig_nodes[2]);
		CHECK(!rig_opens(&rig_nodes[2], &of));
		rig_end();
	}
}

int main(void)
{
	RUN(test_members_that_accept_have_the_key_of_the_epoch);
	RUN(test_a_group_that_was_not_asked_for_waits_for_the_person);
	RUN(test_a_person_away_when_invited_hears_at_the_next_session);
	RUN(test_a_removed_member_opens_nothing_of_the_next_epoch);
	RUN(test_a_member_that_missed_ten_epochs_catches_up_from_any_other);
	RUN(test_forks_of_two_admins_end_in_one_state_with_the_acts_of_both);
	RUN(test_roles_limit_persons_on_their_own_nodes);
	RUN(test_a_viewer_may_not_write_and_a_poster_may_as_long_as_it_was_one);
	RUN(test_moderators_hide_posts_for_all_and_others_do_not);
	RUN(test_a_leaving_member_is_removed_by_the_next_admin_that_hears);
	RUN(test_a_crash_at_any_step_of_a_rekey_makes_no_second_epoch);
	return check_done();
}
