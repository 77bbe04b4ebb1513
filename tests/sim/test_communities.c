/* SPDX-License-Identifier: Apache-2.0 */
/* Communities of several nodes: joined, heard of, left, and with tokens. */
#include "communities_rig.h"

/* The link with nothing but id and key. */
static struct link bare_link_of(struct community_lab_node *node, const uint8_t *of)
{
	struct link link = link_of(node, of);

	link.node_cnt = 0;
	return link;
}

/* Each of the first cnt nodes lists all of them. */
struct all_know {
	unsigned cnt;
};
static bool knows_all(void *arg, unsigned part, char why[static CONVERGE_WHY_CAP])
{
	const struct all_know *want = arg;

	for (unsigned i = 0; i < want->cnt; i++) {
		if (community_lab_knows(&lab.nodes[part], id, &lab.nodes[i]))
			continue;
		snprintf(why, CONVERGE_WHY_CAP, "it does not know member %u", i);
		return false;
	}
	return true;
}

static bool lab_run(void *world, uint64_t for_ns, bool (*done)(void *arg), void *arg)
{
	return community_lab_run(world, for_ns, done, arg);
}

/* all_meet: the first members know each other within so much time. */
static bool all_meet(uint64_t within_ns, struct all_know *want)
{
	const struct converge ask = {
		.what = "all members know each other",
		.part_cnt = want->cnt,
		.part_name = "member",
		.holds = knows_all,
		.arg = want,
		.within_ns = within_ns,
		.run = lab_run,
		.world = &lab,
	};

	return converge(&ask, &lab.mesh.now_ns, NULL);
}

struct one_lists {
	struct community_lab_node *node;
	const uint8_t *share_id;
};
static bool one_lists(void *arg)
{
	const struct one_lists *want = arg;

	return community_lab_lists(want->node, id, want->share_id);
}

static void test_a_wrong_key_for_an_id_is_refused(void)
{
	struct community_lab_node *a, *b;
	struct link link;

	community_lab_init(&lab, 1, 2);
	a = node_up(false), b = node_up(false);
	CHECK_EQ(community_lab_create(a, "lab", false, id), 0);
	link = link_of(a, id);
	link.public_key[5] ^= 1;
	CHECK_EQ(community_lab_join(b, "lab", &link, NULL, 0), WEFT_EREFUSED);
	link = link_of(a, id);
	link.community_id[5] ^= 1;
	CHECK_EQ(community_lab_join(b, "lab", &link, NULL, 0), WEFT_EREFUSED);
	CHECK(!community_lab_info(b, id).id);
	community_lab_fini(&lab);
}

static void test_names_are_unlike_each_other_and_plain(void)
{
	static const char *const bad[] = {"", "two words", "esc\x1b", "line\n"};
	char longest[COMMUNITY_NAME_LEN_MAX + 2];
	struct community_lab_node *a;
	uint8_t other[COMMUNITY_ID_LEN];

	community_lab_init(&lab, 2, 1);
	a = node_up(false);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK_EQ(community_lab_create(a, bad[i], false, id), WEFT_EMALFORMED);
	memset(longest, 'n', sizeof(longest));
	longest[COMMUNITY_NAME_LEN_MAX + 1] = '\0';
	CHECK_EQ(community_lab_create(a, longest, false, id), WEFT_EMALFORMED);
	longest[COMMUNITY_NAME_LEN_MAX] = '\0';
	CHECK_EQ(community_lab_create(a, longest, false, id), 0);
	CHECK_EQ(community_lab_create(a, longest, false, other), WEFT_EEXISTS);
	for (unsigned i = 1; i < a->config.community_cap; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i);
		CHECK_EQ(community_lab_create(a, name, false, other), 0);
	}
	CHECK_EQ(community_lab_create(a, "one-more", false, other), WEFT_EFULL);
	/* What was left goes on telling so, and takes no place meanwhile. */
	CHECK_EQ(community_lab_leave(a, id), 0);
	CHECK_EQ(community_lab_create(a, "one-more", false, other), 0);
	CHECK_EQ(community_lab_create(a, "two-more", false, other), WEFT_EFULL);
	community_lab_fini(&lab);
}

static void test_a_member_that_joins_by_a_link_is_seen_both_ways(void)
{
	struct peer_places places;
	struct all_know want = {3};
	struct mesh_peer peer;
	struct link link;

	community_lab_init(&lab, 3, 3);
	for (unsigned i = 0; i < 3; i++)
		node_up(false);
	CHECK_EQ(community_lab_create(&lab.nodes[0], "lab", false, id), 0);
	link = link_of(&lab.nodes[0], id);
	CHECK_EQ(community_lab_join(&lab.nodes[1], "lab", &link, NULL, 0), 0);
	CHECK_EQ(community_lab_join(&lab.nodes[2], "ours", &link, NULL, 0), 0);
	CHECK(all_meet(MINUTES(5), &want));
	CHECK_EQ(community_lab_info(&lab.nodes[1], id).member_cnt, 3);
	/*
	 * Addresses that members state for themselves may name any host, and are dialled as
	 * unverified.
	 */
	CHECK_EQ(community_peer(lab.nodes[1].communities, id, node_key_public(lab.nodes[2].key),
				&peer, &places),
		 0);
	CHECK(peer.addr_cnt > 0);
	CHECK_EQ(peer.told_cnt, peer.addr_cnt);
	CHECK(community_lab_info(&lab.nodes[0], id).is_ours);
	CHECK(!community_lab_info(&lab.nodes[1], id).is_ours);
	community_lab_fini(&lab);
}

static void test_id_and_key_are_enough_where_hints_lie(void)
{
	struct all_know want = {3};
	struct link link;

	community_lab_init(&lab, 4, 3);
	for (unsigned i = 0; i < 3; i++)
		node_up(false);
	CHECK_EQ(community_lab_create(&lab.nodes[0], "lab", false, id), 0);
	link = bare_link_of(&lab.nodes[0], id);
	CHECK_EQ(community_lab_join(&lab.nodes[1], "lab", &link, NULL, 0), 0);
	CHECK_EQ(community_lab_join(&lab.nodes[2], "lab", &link, NULL, 0), 0);
	CHECK(all_meet(MINUTES(10), &want));
	community_lab_fini(&lab);
}

/* No node can dial either of them; a third that can be dialled is between. */
static void test_two_behind_firewalls_hear_of_each_other(void)
{
	struct community_lab_node *open, *a, *b;
	struct all_know want = {3};
	uint8_t share_id[COMMUNITY_ID_LEN];
	struct one_lists lists;
	struct link link;

	community_lab_init(&lab, 5, 3);
	open = node_up(false);
	a = node_up(true), b = node_up(true);
	CHECK_EQ(community_lab_create(open, "lab", false, id), 0);
	link = link_of(open, id);
	CHECK_EQ(community_lab_join(a, "lab", &link, NULL, 0), 0);
	CHECK_EQ(community_lab_join(b, "lab", &link, NULL, 0), 0);
	CHECK(all_meet(MINUTES(10), &want));
	CHECK_EQ(community_lab_bind(a, id, 1, 1, true, "from behind", share_id), 0);
	lists = (struct one_lists){b, share_id};
	CHECK(community_lab_run(&lab, MINUTES(10), one_lists, &lists));
	community_lab_fini(&lab);
}

static void test_a_share_is_shown_where_it_is_bound_and_nowhere_else(void)
{
	struct community_lab_node *a, *b;
	uint8_t x[COMMUNITY_ID_LEN], y[COMMUNITY_ID_LEN], share_id[COMMUNITY_ID_LEN];
	struct link link_x, link_y;
	struct one_lists lists;

	community_lab_init(&lab, 6, 2);
	a = node_up(false), b = node_up(false);
	CHECK_EQ(community_lab_create(a, "x", false, x), 0);
	CHECK_EQ(community_lab_create(a, "y", false, y), 0);
	link_x = link_of(a, x), link_y = link_of(a, y);
	CHECK_EQ(community_lab_join(b, "x", &link_x, NULL, 0), 0);
	CHECK_EQ(community_lab_join(b, "y", &link_y, NULL, 0), 0);
	CHECK(!community_lab_run(&lab, MINUTES(3), NULL,
				 NULL)); /* what is heard first is no event */
	CHECK_EQ(community_lab_bind(a, x, 7, 1, true, "maps", share_id), 0);
	memcpy(id, x, sizeof(id));
	lists = (struct one_lists){b, share_id};
	CHECK(community_lab_run(&lab, MINUTES(10), one_lists, &lists));
	CHECK(!community_lab_run(&lab, MINUTES(10), NULL, NULL));
	CHECK(!community_lab_lists(b, y, share_id));
	CHECK_EQ(community_lab_info(b, y).share_cnt, 0);

	/* The next revision of it is bound no more. */
	CHECK_EQ(community_lab_bind(a, x, 7, 2, false, "maps", share_id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(10), NULL, NULL));
	CHECK(!community_lab_lists(b, x, share_id));
	CHECK_EQ(b->event_cnt[COMMUNITY_SHARE_UPSERTED], 1);
	CHECK_EQ(b->event_cnt[COMMUNITY_SHARE_ENDED], 1);
	/* What was bound before is old news. */
	CHECK_EQ(community_lab_bind(a, x, 7, 1, true, "maps", share_id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(5), NULL, NULL));
	CHECK(!community_lab_lists(a, x, share_id));
	community_lab_fini(&lab);
}

static bool is_kept(const uint8_t *name, size_t len)
{
	for (size_t i = 0; i < lab.overlay.value_cnt; i++)
		if (lab.overlay.values[i].name_len == len &&
		    memcmp(lab.overlay.values[i].name, name, len) == 0)
			return true;
	return false;
}

/* How many of the three kinds of a's records the overlay keeps. */
static unsigned kept_of(struct community_lab_node *a, const uint8_t *share_id)
{
	const uint8_t *key = node_key_public(a->key);
	uint8_t name[COMMUNITY_NAME_CAP];
	unsigned cnt = 0;

	cnt += is_kept(name, community_name_member(id, key, name));
	cnt += is_kept(name, community_name_share(id, share_id, name));
	cnt += is_kept(name, community_name_hint(id, name));
	return cnt;
}

struct all_kept {
	struct community_lab_node *node;
	const uint8_t *share_id;
};
static bool all_kept(void *arg)
{
	const struct all_kept *want = arg;

	return kept_of(want->node, want->share_id) == 3;
}

static void test_a_share_is_shown_at_once_where_no_overlay_answers(void)
{
	struct community_lab_node *a, *b;
	uint8_t share_id[COMMUNITY_ID_LEN];
	struct one_lists lists;
	struct all_kept kept;
	struct link link;

	community_lab_init(&lab, 7, 2);
	a = node_up(false), b = node_up(false);
	lab.overlay.err = WEFT_EUNREACHABLE;
	CHECK_EQ(community_lab_create(a, "lab", false, id), 0);
	CHECK_EQ(community_lab_bind(a, id, 1, 1, true, "maps", share_id), 0);
	lists = (struct one_lists){a, share_id};
	CHECK(community_lab_run(&lab, 3 * NS_PER_S, one_lists, &lists));
	link = link_of(a, id);
	CHECK_EQ(community_lab_join(b, "lab", &link, NULL, 0), 0);
	lists.node = b;
	CHECK(community_lab_run(&lab, 5 * NS_PER_S, one_lists, &lists));
	CHECK(!community_lab_run(&lab, MINUTES(3), NULL, NULL));
	CHECK_EQ(kept_of(a, share_id), 0);

	/* What it did not take is told to it when it answers. */
	lab.overlay.err = 0;
	kept = (struct all_kept){a, share_id};
	CHECK(community_lab_run(&lab, MINUTES(2), all_kept, &kept));
	CHECK(!community_lab_run(&lab, MINUTES(2), NULL, NULL)); /* b's, too */
	lab.overlay.put_cnt = 0;
	CHECK(!community_lab_run(&lab, MINUTES(30), NULL, NULL));
	CHECK_EQ(lab.overlay.put_cnt, 0);
	community_lab_fini(&lab);
}

static void test_a_member_that_leaves_is_gone_for_all_and_may_come_back(void)
{
	struct all_know all = {3};
	struct link link;

	community_lab_init(&lab, 7, 3);
	for (unsigned i = 0; i < 3; i++)
		node_up(false);
	CHECK_EQ(community_lab_create(&lab.nodes[0], "lab", false, id), 0);
	link = link_of(&lab.nodes[0], id);
	CHECK_EQ(community_lab_join(&lab.nodes[1], "lab", &link, NULL, 0), 0);
	CHECK_EQ(community_lab_join(&lab.nodes[2], "lab", &link, NULL, 0), 0);
	CHECK(all_meet(MINUTES(5), &all));
	CHECK_EQ(community_lab_leave(&lab.nodes[2], id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(5), NULL, NULL));
	CHECK(!community_lab_info(&lab.nodes[2], id).id);
	CHECK(!community_lab_knows(&lab.nodes[0], id, &lab.nodes[2]));
	CHECK(!community_lab_knows(&lab.nodes[1], id, &lab.nodes[2]));
	/*
	 * Its departure is remembered for a week, against members that still hand on the former
	 * record.
	 */
	CHECK_EQ(community_lab_info(&lab.nodes[0], id).member_cnt, 2);
	CHECK_EQ(community_lab_info(&lab.nodes[0], id).member_row_cnt, 3);

	CHECK_EQ(community_lab_join(&lab.nodes[2], "again", &link, NULL, 0), 0);
	CHECK(all_meet(MINUTES(5), &all));
	community_lab_fini(&lab);
}

static void test_a_record_of_a_departure_expires_after_a_week(void)
{
	struct all_know all = {2};
	struct link link;

	community_lab_init(&lab, 8, 2);
	node_up(false), node_up(false);
	CHECK_EQ(community_lab_create(&lab.nodes[0], "lab", false, id), 0);
	link = link_of(&lab.nodes[0], id);
	CHECK_EQ(community_lab_join(&lab.nodes[1], "lab", &link, NULL, 0), 0);
	CHECK(all_meet(MINUTES(5), &all));
	CHECK_EQ(community_lab_leave(&lab.nodes[1], id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	lab.skew_s = COMMUNITY_RECORD_LIFE_S - 3600;
	CHECK(!community_lab_run(&lab, MINUTES(21), NULL, NULL));
	CHECK_EQ(community_lab_info(&lab.nodes[0], id).member_row_cnt, 2);
	lab.skew_s = COMMUNITY_RECORD_LIFE_S;
	CHECK(!community_lab_run(&lab, MINUTES(21), NULL, NULL));
	CHECK_EQ(community_lab_info(&lab.nodes[0], id).member_row_cnt, 1);
	CHECK(community_lab_knows(&lab.nodes[0], id, &lab.nodes[0]));
	community_lab_fini(&lab);
}

static void test_members_and_cursors_outlive_kill_9(void)
{
	struct all_know all = {3};
	struct link link;

	community_lab_init(&lab, 9, 3);
	for (unsigned i = 0; i < 3; i++)
		node_up(false);
	CHECK_EQ(community_lab_create(&lab.nodes[0], "lab", false, id), 0);
	link = link_of(&lab.nodes[0], id);
	CHECK_EQ(community_lab_join(&lab.nodes[1], "lab", &link, NULL, 0), 0);
	/* As soon as the join is told, it is kept. */
	community_lab_kill(&lab.nodes[1]);
	community_lab_start(&lab.nodes[1]);
	CHECK_EQ(community_lab_join(&lab.nodes[2], "lab", &link, NULL, 0), 0);
	CHECK(all_meet(MINUTES(5), &all));
	CHECK(!community_lab_run(&lab, MINUTES(3), NULL, NULL));
	community_lab_kill(&lab.nodes[0]);
	community_lab_start(&lab.nodes[0]);
	CHECK(all_meet(0, &all));
	CHECK(community_lab_info(&lab.nodes[0], id).is_ours);
	CHECK(community_lab_info(&lab.nodes[0], id).partner_cnt > 0);
	/* Killed while it leaves, it goes on with that. */
	CHECK_EQ(community_lab_leave(&lab.nodes[2], id), 0);
	community_lab_kill(&lab.nodes[2]);
	community_lab_start(&lab.nodes[2]);
	CHECK(!community_lab_run(&lab, MINUTES(3), NULL, NULL));
	CHECK(!community_lab_info(&lab.nodes[2], id).id);
	CHECK(!community_lab_knows(&lab.nodes[0], id, &lab.nodes[2]));
	community_lab_fini(&lab);
}

/* What could not be stored would be gone after a restart: it was not joined at all. */
static void test_a_leave_and_a_rename_that_cannot_be_saved_change_nothing(void)
{
	struct community_lab_node *first, *second;
	struct link link;

	community_lab_init(&lab, 31, 2);
	first = node_up(false);
	second = node_up(false);
	CHECK_EQ(community_lab_create(first, "lab", false, id), 0);
	link = link_of(first, id);
	CHECK_EQ(community_lab_join(second, "lab", &link, NULL, 0), 0);
	CHECK(!community_lab_run(&lab, MINUTES(2), NULL, NULL));
	fail_nth_arm_all(1, ENOSPC);
	CHECK_EQ(community_lab_leave(second, id), -ENOSPC);
	CHECK(fail_nth_disarm());
	CHECK(community_is_joined(second->communities, id));
	CHECK_EQ(second->event_cnt[COMMUNITY_LEFT], 0);
	fail_nth_arm_all(1, ENOSPC);
	CHECK_EQ(community_lab_join(second, "again", &link, NULL, 0), -ENOSPC);
	CHECK(fail_nth_disarm());
	CHECK_STR(community_lab_info(second, id).name, "lab");
	CHECK(!community_lab_run(&lab, MINUTES(2), NULL, NULL));
	CHECK(community_lab_knows(first, id, second));
	/* And what can be saved does both. */
	CHECK_EQ(community_lab_join(second, "again", &link, NULL, 0), 0);
	CHECK_STR(community_lab_info(second, id).name, "again");
	CHECK_EQ(community_lab_leave(second, id), 0);
	CHECK(!community_is_joined(second->communities, id));
	CHECK_EQ(second->event_cnt[COMMUNITY_LEFT], 1);
	community_lab_fini(&lab);
}

static void test_what_cannot_be_saved_was_not_joined(void)
{
	struct community_lab_node *first, *second;
	uint8_t others[COMMUNITY_ID_LEN];
	struct link link;

	community_lab_init(&lab, 12, 2);
	first = node_up(false);
	second = node_up(false);
	CHECK_EQ(community_lab_create(first, "lab", false, id), 0);
	link = link_of(first, id);
	fail_nth_arm_all(1, ENOSPC);
	CHECK_EQ(community_lab_create(second, "mine", false, others), -ENOSPC);
	CHECK(fail_nth_disarm());
	fail_nth_arm_all(1, ENOSPC);
	CHECK_EQ(community_lab_join(second, "lab", &link, NULL, 0), -ENOSPC);
	CHECK(fail_nth_disarm());
	CHECK(!community_lab_run(&lab, MINUTES(2), NULL, NULL));
	CHECK(!community_lab_info(second, id).id);
	CHECK(!community_lab_info(second, others).id);
	CHECK_EQ(second->event_cnt[COMMUNITY_JOINED], 2);
	CHECK_EQ(second->event_cnt[COMMUNITY_LEFT], 2);
	CHECK(!community_lab_knows(first, id, second));
	/* The names are free, and so are the places. */
	CHECK_EQ(community_lab_join(second, "mine", &link, NULL, 0), 0);
	CHECK_EQ(community_lab_create(second, "lab", false, others), 0);
	/* One that is kept stays when it cannot be saved again. */
	fail_nth_arm_all(1, ENOSPC);
	CHECK_EQ(community_lab_join(second, "again", &link, NULL, 0), -ENOSPC);
	CHECK(fail_nth_disarm());
	CHECK(!community_lab_run(&lab, MINUTES(2), NULL, NULL));
	CHECK(community_lab_knows(first, id, second));
	community_lab_fini(&lab);
}

/* --- strict --- */

static void test_strict_takes_members_by_token_alone(void)
{
	struct community_lab_node *a, *b, *c;
	struct all_know both = {2};
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	size_t len;
	struct link link;

	community_lab_init(&lab, 10, 3);
	a = node_up(false), b = node_up(false), c = node_up(false);
	CHECK_EQ(community_lab_create(a, "club", true, id), 0);
	link = link_of(a, id);
	len = token_for(a, b, 3600, token);
	CHECK_EQ(community_lab_join(b, "club", &link, token, len), 0);
	/* One of another node, one that was changed, and none. */
	CHECK_EQ(community_lab_join(c, "club", &link, token, len), WEFT_EDAMAGED);
	len = token_for(a, c, 3600, token);
	token[len - 1] ^= 1;
	CHECK_EQ(community_lab_join(c, "club", &link, token, len), WEFT_EDAMAGED);
	CHECK_EQ(community_lab_join(c, "club", &link, NULL, 0), 0);
	CHECK(all_meet(MINUTES(5), &both));
	CHECK(!community_lab_run(&lab, MINUTES(5), NULL, NULL));
	CHECK(!community_lab_knows(a, id, c));
	CHECK(!community_lab_knows(c, id, a));
	CHECK(!community_lab_knows(c, id, b));
	CHECK_EQ(community_lab_info(c, id).member_cnt, 1);

	/* The token ends, and with it the membership, on all sides. */
	CHECK(!community_lab_run(&lab, MINUTES(60), NULL, NULL));
	CHECK(!community_lab_knows(a, id, b));
	len = token_for(a, b, 3600, token);
	CHECK_EQ(community_lab_join(b, NULL, &link, token, len), 0);
	CHECK(all_meet(MINUTES(5), &both));
	community_lab_fini(&lab);
}

/* A hint, a member's record or a share in the overlay would name the members. */
static void test_nothing_of_a_strict_community_is_in_the_overlay(void)
{
	struct community_lab_node *a, *b, *c;
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX], share_id[COMMUNITY_ID_LEN];
	struct one_lists lists;
	struct all_know all = {3};
	struct link link;
	size_t len;

	community_lab_init(&lab, 12, 3);
	a = node_up(false), b = node_up(false), c = node_up(false);
	CHECK_EQ(community_lab_create(a, "club", true, id), 0);
	link = link_of(a, id);
	len = token_for(a, b, 7 * 86400, token);
	CHECK_EQ(community_lab_join(b, "club", &link, token, len), 0);
	len = token_for(a, c, 7 * 86400, token);
	CHECK_EQ(community_lab_join(c, "club", &link, token, len), 0);
	CHECK_EQ(community_lab_bind(a, id, 1, 1, true, "maps", share_id), 0);
	CHECK(all_meet(MINUTES(15), &all));
	lists = (struct one_lists){c, share_id};
	CHECK(community_lab_run(&lab, MINUTES(15), one_lists, &lists));
	/* Halves of lives, and leaving, sign and would put again. */
	CHECK(!community_lab_run(&lab, 5 * 86400 * NS_PER_S, NULL, NULL));
	CHECK(community_lab_knows(b, id, c));
	CHECK_EQ(community_lab_leave(c, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(15), NULL, NULL));
	CHECK(!community_lab_knows(b, id, c));
	CHECK_EQ(lab.overlay.put_cnt, 0);
	CHECK_EQ(lab.overlay.get_cnt, 0);
	community_lab_fini(&lab);
}

static void test_a_token_that_has_expired_joins_nothing(void)
{
	struct community_lab_node *a, *b;
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	struct link link;
	size_t len;

	community_lab_init(&lab, 11, 2);
	a = node_up(false), b = node_up(false);
	CHECK_EQ(community_lab_create(a, "club", true, id), 0);
	link = link_of(a, id);
	len = token_for(a, b, 60, token);
	CHECK(!community_lab_run(&lab, MINUTES(2), NULL, NULL));
	CHECK_EQ(community_lab_join(b, "club", &link, token, len), WEFT_ESTALE);
	CHECK_EQ(community_token(a->communities, id, node_key_public(b->key),
				 community_lab_wall_s(&lab), token),
		 WEFT_EMALFORMED);
	CHECK_EQ(community_token(a->communities, id, node_key_public(b->key),
				 community_lab_wall_s(&lab) + COMMUNITY_TOKEN_LIFE_S_MAX + 1,
				 token),
		 WEFT_EMALFORMED);
	community_lab_fini(&lab);
}

int main(void)
{
	RUN(test_a_wrong_key_for_an_id_is_refused);
	RUN(test_names_are_unlike_each_other_and_plain);
	RUN(test_a_member_that_joins_by_a_link_is_seen_both_ways);
	RUN(test_id_and_key_are_enough_where_hints_lie);
	RUN(test_two_behind_firewalls_hear_of_each_other);
	RUN(test_a_share_is_shown_where_it_is_bound_and_nowhere_else);
	RUN(test_a_share_is_shown_at_once_where_no_overlay_answers);
	RUN(test_a_member_that_leaves_is_gone_for_all_and_may_come_back);
	RUN(test_a_record_of_a_departure_expires_after_a_week);
	RUN(test_members_and_cursors_outlive_kill_9);
	RUN(test_what_cannot_be_saved_was_not_joined);
	RUN(test_a_leave_and_a_rename_that_cannot_be_saved_change_nothing);
	RUN(test_strict_takes_members_by_token_alone);
	RUN(test_nothing_of_a_strict_community_is_in_the_overlay);
	RUN(test_a_token_that_has_expired_joins_nothing);
	return check_done();
}
