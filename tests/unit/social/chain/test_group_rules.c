/* SPDX-License-Identifier: Apache-2.0 */
#include "social/chain/group_rules.h"

#include "group_people.h"
#include "support/check.h"

static struct signed_state first, second;
static struct group_state next;

/* Rows: Viewer, Poster, Moderator, Admin. */
static const struct {
	enum group_act act;
	bool may[4];
} matrix[] = {
	{GROUP_ACT_READ, {true, true, true, true}},
	{GROUP_ACT_POST, {false, true, true, true}},
	{GROUP_ACT_HIDE, {false, false, true, true}},
	{GROUP_ACT_REMOVE, {false, false, true, true}},
	{GROUP_ACT_REMOVE_STAFF, {false, false, false, true}},
	{GROUP_ACT_ADD, {false, false, false, true}},
	{GROUP_ACT_GIVE_ROLE, {false, false, false, true}},
	{GROUP_ACT_REKEY, {false, false, false, true}},
};

static void test_roles_limit_what_is_done_and_never_reading(void)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < sizeof(matrix) / sizeof(matrix[0]); i++)
		for (unsigned role = GROUP_VIEWER; role <= GROUP_ADMIN; role++, cnt++)
			CHECK_EQ(social_role_may((enum group_role)role, matrix[i].act),
				 matrix[i].may[role]);
	CHECK_EQ(cnt, 4 * GROUP_ACT_CNT);
}

/* The people of first by number: 0 admin, 1 moderator, 2 poster, 3 and 4 viewers; 5 is none. */
static const struct {
	const char *what;
	int gone; /* this person goes; -1: none */
	int set;  /* this person has that role then; -1: none */
	enum group_role role;
	bool has_new_key;
	enum group_verdict by[4]; /* signed by the viewer 3, the poster, the moderator, the admin */
} acts[] = {
#define NO  GROUP_VERDICT_NOT_ENTITLED
#define YES GROUP_VERDICT_NEXT
	{"removes a viewer", 4, -1, 0, true, {NO, NO, YES, YES}},
	{"removes a poster", 2, -1, 0, true, {NO, NO, YES, YES}},
	{"removes a moderator", 1, -1, 0, true, {NO, NO, NO, YES}},
	{"removes a viewer, and keeps the key",
	 4,
	 -1,
	 0,
	 false,
	 {NO, NO, GROUP_VERDICT_OLD_KEY, GROUP_VERDICT_OLD_KEY}},
	{"removes the last admin", 0, -1, 0, true, {NO, NO, NO, GROUP_VERDICT_NO_ADMIN}},
	{"adds a viewer", -1, 5, GROUP_VIEWER, false, {NO, NO, NO, YES}},
	{"makes a viewer a poster", -1, 4, GROUP_POSTER, false, {NO, NO, NO, YES}},
	{"makes itself an admin", -1, 1, GROUP_ADMIN, false, {NO, NO, NO, YES}},
	{"takes the last admin's role",
	 -1,
	 0,
	 GROUP_VIEWER,
	 false,
	 {NO, NO, NO, GROUP_VERDICT_NO_ADMIN}},
	{"removes one, and adds another", 4, 5, GROUP_VIEWER, true, {NO, NO, NO, YES}},
	{"another key alone", -1, -1, 0, true, {NO, NO, NO, YES}},
};

static void test_a_state_proves_that_its_signer_may_do_what_it_does(void)
{
	static const unsigned signers[] = {3, 2, 1, 0};

	state_first(&first, 5);
	for (unsigned i = 0; i < sizeof(acts) / sizeof(acts[0]); i++)
		for (unsigned s = 0; s < 4; s++) {
			struct group_member set = {.role = acts[i].role};
			uint8_t gone[1][NODE_KEY_LEN];
			struct group_edit edit = {.set = &set, .gone = (const uint8_t(*)[32])gone};

			if (acts[i].gone >= 0)
				memcpy(gone[edit.gone_cnt++], person((unsigned)acts[i].gone), 32);
			if (acts[i].set >= 0) {
				memcpy(set.key, person((unsigned)acts[i].set), NODE_KEY_LEN);
				edit.set_cnt = 1;
			}
			state_next(&next, &first, &edit, acts[i].has_new_key ? 301 : 300);
			state_sign(&second, &next, people_key(signers[s]));
			CHECK_EQ(social_group_judge(&first.state, first.hash, &second.state),
				 acts[i].by[s]);
		}
}

static enum group_verdict judged(unsigned signer)
{
	state_sign(&second, &next, people_key(signer));
	return social_group_judge(&first.state, first.hash, &second.state);
}

static void test_a_state_follows_exactly_one_other(void)
{
	static const uint8_t other[GROUP_HASH_LEN] = {9};
	const struct group_edit none = {0};

	state_first(&first, 5);
	state_next(&next, &first, &none, 301);
	CHECK_EQ(judged(0), GROUP_VERDICT_NEXT);
	next.epoch = 2;
	CHECK_EQ(judged(0), GROUP_VERDICT_SKIPPED);
	next.epoch = 1;
	next.previous = other;
	CHECK_EQ(judged(0), GROUP_VERDICT_FORKED);
	next.previous = first.hash;
	next.group = other;
	CHECK_EQ(judged(0), GROUP_VERDICT_ELSEWHERE);
	next.group = people_group;
	next.shard_cnt = 2;
	CHECK_EQ(judged(0), GROUP_VERDICT_NEXT);
	next.shard = 1;
	CHECK_EQ(judged(0), GROUP_VERDICT_ELSEWHERE);
}

static void test_a_state_that_is_rolled_back_is_older(void)
{
	const struct group_edit none = {0};
	static struct signed_state third;

	state_first(&first, 5);
	state_next(&next, &first, &none, 301);
	CHECK_EQ(judged(0), GROUP_VERDICT_NEXT);
	state_next(&next, &second, &none, 302);
	state_sign(&third, &next, people_key(0));
	CHECK_EQ(social_group_judge(&third.state, third.hash, &second.state), GROUP_VERDICT_OLDER);
	CHECK_EQ(social_group_judge(&third.state, third.hash, &third.state), GROUP_VERDICT_OLDER);
}

static void test_a_removed_admin_makes_no_states(void)
{
	uint8_t gone[1][NODE_KEY_LEN];
	const struct group_edit none = {0},
				edit = {.gone = (const uint8_t(*)[32])gone, .gone_cnt = 1};

	memcpy(gone[0], person(1), NODE_KEY_LEN);
	state_first(&first, 5);
	state_next(&next, &first, &edit, 301);
	state_sign(&first, &next, people_key(0));
	state_next(&next, &first, &none, 302);
	CHECK_EQ(judged(1), GROUP_VERDICT_NOT_ENTITLED);
	CHECK_EQ(judged(0), GROUP_VERDICT_NEXT);
}

static void test_one_member_more_than_a_shard_has_is_refused(void)
{
	struct group_member set = {.role = GROUP_VIEWER};
	const struct group_edit edit = {.set = &set, .set_cnt = 1};

	state_first(&first, GROUP_SHARD_MAX);
	memcpy(set.key, person(299), NODE_KEY_LEN);
	CHECK_EQ(social_group_edit(&first.state, &edit, &next), WEFT_EFULL);
	set.is_visitor = true;
	set.role = GROUP_POSTER;
	CHECK_EQ(social_group_edit(&first.state, &edit, &next), 0);
}

static void test_one_visitor_more_than_a_shard_has_is_refused(void)
{
	struct group_member set[GROUP_VISITORS_MAX + 1];
	struct group_edit edit = {.set = set, .set_cnt = GROUP_VISITORS_MAX};

	state_first(&first, 5);
	for (unsigned i = 0; i <= GROUP_VISITORS_MAX; i++) {
		memcpy(set[i].key, person(200 + i), NODE_KEY_LEN);
		set[i].role = GROUP_POSTER;
		set[i].is_visitor = true;
	}
	CHECK_EQ(social_group_edit(&first.state, &edit, &next), 0);
	edit.set_cnt++;
	CHECK_EQ(social_group_edit(&first.state, &edit, &next), WEFT_EFULL);
}

static void test_a_visitor_goes_without_another_key(void)
{
	struct group_member set = {.role = GROUP_POSTER, .is_visitor = true};
	uint8_t gone[1][NODE_KEY_LEN];
	struct group_edit edit = {.set = &set, .set_cnt = 1, .gone = (const uint8_t(*)[32])gone};

	state_first(&first, 5);
	memcpy(set.key, person(200), NODE_KEY_LEN);
	memcpy(gone[0], person(200), NODE_KEY_LEN);
	state_next(&next, &first, &edit, 300);
	state_sign(&first, &next, people_key(0));
	edit = (struct group_edit){.gone = (const uint8_t(*)[32])gone, .gone_cnt = 1};
	state_next(&next, &first, &edit, 300);
	CHECK(!social_group_needs_key(&first.state, &next));
	CHECK_EQ(judged(0), GROUP_VERDICT_NEXT);
}

int main(void)
{
	RUN(test_roles_limit_what_is_done_and_never_reading);
	RUN(test_a_state_proves_that_its_signer_may_do_what_it_does);
	RUN(test_a_state_follows_exactly_one_other);
	RUN(test_a_state_that_is_rolled_back_is_older);
	RUN(test_a_removed_admin_makes_no_states);
	RUN(test_one_member_more_than_a_shard_has_is_refused);
	RUN(test_one_visitor_more_than_a_shard_has_is_refused);
	RUN(test_a_visitor_goes_without_another_key);
	people_fini();
	return check_done();
}
