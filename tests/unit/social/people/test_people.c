/* SPDX-License-Identifier: Apache-2.0 */
/* Personas, follows, blocks and the audience. */
#include "people_rig.h"

static uint8_t persona_key[NODE_KEY_LEN];

static int persona_add(const char *label, bool is_via_anchors)
{
	const struct persona_draft draft = {label, is_via_anchors};

	return social_persona_add(rig.people, &draft, &done, rig.now_ns, persona_key);
}

static int note(unsigned n, uint32_t personas, unsigned network)
{
	const struct audience_note note = {id_of(n), personas, from_network(network)};

	return social_audience_note(rig.people, &note, rig.now_ns);
}

static int block(unsigned n, bool is_blocked)
{
	return social_block_set(rig.people, id_of(n), is_blocked, &done, rig.now_ns);
}

/* --- personas --- */

static void test_the_node_is_persona_0_and_others_survive_a_crash(void)
{
	struct persona_view view;

	rig_begin();
	CHECK_EQ(social_persona_cnt(rig.people), 1);
	CHECK(social_persona(rig.people, 0) == rig.own);
	CHECK_EQ(persona_add("work", true), 0);
	CHECK_EQ(rig.done_cnt, 0);
	save();
	CHECK_EQ(rig.done_cnt, 1);
	crash();
	CHECK_EQ(social_persona_cnt(rig.people), 2);
	CHECK_MEM(node_key_public(social_persona(rig.people, 1)), persona_key, NODE_KEY_LEN);
	social_persona_view(rig.people, 1, &view);
	CHECK(view.is_via_anchors && strcmp(view.label, "work") == 0 && view.number == 1);
	CHECK(social_own_key(rig.people, persona_key) != NULL);
	CHECK(social_own_key(rig.people, id_of(1)) == NULL);
	CHECK_EQ(social_persona_of(rig.people, persona_key), 1);
	rig_end();
}

static void test_a_17th_persona_is_refused(void)
{
	rig_begin();
	for (unsigned i = 1; i < SOCIAL_PERSONAS_MAX; i++)
		CHECK_EQ(persona_add(NULL, false), 0);
	CHECK_EQ(persona_add(NULL, false), WEFT_EFULL);
	CHECK_EQ(social_persona_remove(rig.people, 3, &done, rig.now_ns), 0);
	CHECK_EQ(persona_add(NULL, false), 0);
	/* The number that was free is given again, and others keep theirs. */
	CHECK_EQ(social_persona_numbered(rig.people, 3), 3);
	CHECK_MEM(node_key_public(social_persona(rig.people, 3)), persona_key, NODE_KEY_LEN);
	rig_end();
}

static void test_the_seed_of_a_persona_is_sealed_in_the_store(void)
{
	struct store_iter iter;
	struct store_item item;
	uint8_t seed[NODE_KEY_SEED_LEN];
	unsigned row_cnt = 0;

	rig_begin();
	CHECK_EQ(persona_add("x", false), 0);
	memcpy(seed, node_key_seed(social_persona(rig.people, 1)), sizeof(seed));
	save();
	iter = store_iter_fresh(rig.store, STORE_PEOPLE, STORE_ALL);
	while (store_iter_next(&iter, &item)) {
		row_cnt++;
		CHECK(memmem(item.value, item.value_len, seed, sizeof(seed)) == NULL);
	}
	CHECK_EQ(store_iter_end(&iter), 0);
	CHECK_EQ(row_cnt, 1);
	rig_end();
}

static void test_a_persona_that_is_removed_takes_what_it_follows_with_it(void)
{
	rig_begin();
	CHECK_EQ(social_persona_remove(rig.people, 0, &done, rig.now_ns), WEFT_EREFUSED);
	CHECK_EQ(persona_add("x", false), 0);
	CHECK_EQ(follow(1, id_of(1), FOLLOW_PUBLIC), 0);
	CHECK_EQ(follow(0, id_of(2), FOLLOW_PUBLIC), 0);
	CHECK_EQ(follow(1, id_of(2), FOLLOW_PRIVATE), 0);
	CHECK_EQ(social_persona_remove(rig.people, 1, &done, rig.now_ns), 0);
	save();
	crash();
	CHECK_EQ(social_persona_cnt(rig.people), 1);
	CHECK_EQ(social_follow_of(rig.people, SOCIAL_EACH_PERSONA, id_of(1)), FOLLOW_NONE);
	CHECK_EQ(social_follow_of(rig.people, SOCIAL_EACH_PERSONA, id_of(2)), FOLLOW_PUBLIC);
	CHECK_EQ(stats().follow_cnt, 1);
	rig_end();
}

/* --- follows --- */

struct listed {
	unsigned cnt, public_cnt;
	const uint8_t *last;
	const char *petname;
};

static bool on_follow(void *arg, const struct follow_view *view)
{
	struct listed *listed = arg;

	listed->cnt++;
	listed->public_cnt += view->kind == FOLLOW_PUBLIC;
	listed->last = view->person;
	listed->petname = view->petname;
	return true;
}

static struct listed list(unsigned persona)
{
	struct listed listed = {0};

	social_follows_each(rig.people, persona, on_follow, &listed);
	return listed;
}

static void test_follows_are_of_each_persona_and_survive_a_crash(void)
{
	rig_begin();
	CHECK_EQ(persona_add("x", false), 0);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	pass_ms(1);
	CHECK_EQ(follow(1, id_of(2), FOLLOW_PRIVATE), 0);
	CHECK_EQ(social_petname_set(rig.people, id_of(2), "Bo", &done, rig.now_ns), 0);
	CHECK_EQ(social_petname_set(rig.people, id_of(3), "Cy", &done, rig.now_ns), WEFT_EABSENT);
	CHECK_EQ(social_petname_set(rig.people, id_of(2), "B\no", &done, rig.now_ns),
		 WEFT_EMALFORMED);
	save();
	crash();
	CHECK_EQ(list(SOCIAL_EACH_PERSONA).cnt, 2);
	CHECK_EQ(list(SOCIAL_EACH_PERSONA).public_cnt, 1);
	CHECK_MEM(list(SOCIAL_EACH_PERSONA).last, id_of(2), NODE_KEY_LEN);
	CHECK_EQ(list(0).cnt, 1);
	CHECK_EQ(list(1).public_cnt, 0);
	CHECK(strcmp(name_of(id_of(2)), "Bo") == 0);
	CHECK_EQ(social_follow_of(rig.people, 0, id_of(2)), FOLLOW_NONE);
	CHECK_EQ(social_follow_of(rig.people, 1, id_of(2)), FOLLOW_PRIVATE);
	CHECK(social_is_acquainted(rig.people, id_of(2)));
	CHECK_EQ(follow(1, id_of(2), FOLLOW_NONE), 0);
	save();
	crash();
	CHECK_EQ(list(SOCIAL_EACH_PERSONA).cnt, 1);
	rig_end();
}

static void test_what_is_no_follow_is_refused(void)
{
	static const uint8_t small_order[NODE_KEY_LEN] = {1};

	rig_begin();
	CHECK_EQ(follow(0, node_key_public(rig.own), FOLLOW_PUBLIC), WEFT_EREFUSED);
	CHECK_EQ(follow(0, small_order, FOLLOW_PUBLIC), WEFT_EMALFORMED);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_NONE), WEFT_EABSENT);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), WEFT_EEXISTS);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PRIVATE), 0);
	rig_end();
}

static void test_one_follow_more_than_4096_is_refused(void)
{
	rig_begin();
	for (unsigned i = 1; i <= SOCIAL_FOLLOWS_MAX; i++) {
		CHECK_EQ(follow(0, id_of(i), FOLLOW_PUBLIC), 0);
		if (i % 512 == 0)
			save();
	}
	CHECK_EQ(follow(0, id_of(SOCIAL_FOLLOWS_MAX + 1), FOLLOW_PUBLIC), WEFT_EFULL);
	/* A follow in another way takes no further place. */
	CHECK_EQ(follow(0, id_of(7), FOLLOW_PRIVATE), 0);
	save();
	crash();
	CHECK_EQ(stats().follow_cnt, SOCIAL_FOLLOWS_MAX);
	rig_end();
}

/* --- blocks --- */

static void test_a_blocked_person_is_in_nothing_else(void)
{
	rig_begin();
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	CHECK_EQ(note(1, 1, 1), 0);
	CHECK_EQ(put_said(say(key_of(1), "Ada", NOON_MS), 1), 0);
	CHECK_EQ(block(1, true), 0);
	CHECK_EQ(block(1, true), WEFT_EEXISTS);
	CHECK(social_is_blocked(rig.people, id_of(1)));
	CHECK_EQ(social_follow_of(rig.people, 0, id_of(1)), FOLLOW_NONE);
	CHECK_EQ(social_audience_of(rig.people, id_of(1)), 0);
	CHECK_EQ(note(1, 1, 1), WEFT_EREFUSED);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), WEFT_EREFUSED);
	CHECK_EQ(put_said(say(key_of(1), "Ada", NOON_MS + 1), 1), WEFT_EREFUSED);
	CHECK(social_person(rig.people, id_of(1)) == NULL);
	save();
	crash();
	CHECK(social_is_blocked(rig.people, id_of(1)));
	CHECK(social_person(rig.people, id_of(1)) == NULL);
	CHECK_EQ(block(1, false), 0);
	CHECK_EQ(block(1, false), WEFT_EABSENT);
	CHECK_EQ(social_block_set(rig.people, node_key_public(rig.own), true, &done, rig.now_ns),
		 WEFT_EREFUSED);
	save();
	crash();
	CHECK(!social_is_blocked(rig.people, id_of(1)));
	rig_end();
}

static void test_one_block_more_than_4096_is_refused(void)
{
	rig_begin();
	for (unsigned i = 1; i <= SOCIAL_BLOCKS_MAX; i++) {
		CHECK_EQ(block(i, true), 0);
		if (i % 512 == 0)
			save();
	}
	CHECK_EQ(block(SOCIAL_BLOCKS_MAX + 1, true), WEFT_EFULL);
	rig_end();
}

/* --- the audience --- */

static void test_the_audience_follows_what_a_hello_says(void)
{
	rig_begin();
	CHECK_EQ(persona_add("x", false), 0);
	CHECK_EQ(note(1, 2, 1), 0);
	CHECK_EQ(note(2, 3, 1), 0);
	save();
	crash();
	CHECK_EQ(social_audience_of(rig.people, id_of(1)), 2);
	CHECK_EQ(social_audience_of(rig.people, id_of(2)), 3);
	CHECK_EQ(note(1, 0, 1), 0);
	CHECK_EQ(social_persona_remove(rig.people, 1, &done, rig.now_ns), 0);
	save();
	crash();
	CHECK_EQ(social_audience_of(rig.people, id_of(1)), 0);
	CHECK_EQ(social_audience_of(rig.people, id_of(2)), 1);
	rig_end();
}

static void test_a_network_that_fills_the_audience_pays_for_newcomers(void)
{
	uint8_t key[NODE_KEY_LEN];
	struct audience_note fresh = {key, 1, {0}};

	rig_begin();
	CHECK_EQ(note(1, 1, 1), 0);
	for (unsigned i = 0; i < 2 * SOCIAL_AUDIENCE_MAX; i++) {
		random_fill(&rig.dice, key, sizeof(key));
		fresh.source = from_network(2);
		(void)!social_audience_note(rig.people, &fresh, rig.now_ns);
		if (i % 512 == 0)
			save();
	}
	CHECK_EQ(stats().audience_cnt, SOCIAL_AUDIENCE_MAX);
	CHECK_EQ(social_audience_of(rig.people, id_of(1)), 1);
	CHECK_EQ(note(2, 1, 3), 0);
	CHECK_EQ(social_audience_of(rig.people, id_of(2)), 1);
	CHECK_EQ(stats().audience_cnt, SOCIAL_AUDIENCE_MAX);
	rig_end();
}

/* --- the disk --- */

static void test_what_was_not_acknowledged_may_be_gone_after_a_crash(void)
{
	rig_begin();
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	save();
	CHECK_EQ(follow(0, id_of(2), FOLLOW_PUBLIC), 0);
	crash();
	CHECK_EQ(rig.done_cnt, 1);
	CHECK_EQ(social_follow_of(rig.people, 0, id_of(1)), FOLLOW_PUBLIC);
	CHECK_EQ(social_follow_of(rig.people, 0, id_of(2)), FOLLOW_NONE);
	rig_end();
}

static void test_what_the_disk_did_not_take_is_written_again(void)
{
	char dir[SCRATCH_CAP];
	struct store *frozen;

	rig_begin();

	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	store_freeze(rig.store);
	save();
	CHECK_EQ(rig.failed_cnt, 1);
	CHECK_EQ(rig.done_cnt, 0);
	CHECK_EQ(stats().failed_cnt, 1);
	/* It holds all the same, and a disk that takes it gets it. */
	CHECK_EQ(social_follow_of(rig.people, 0, id_of(1)), FOLLOW_PUBLIC);
	frozen = rig.store;
	memcpy(dir, rig.dir, sizeof(dir));
	scratch_make(rig.dir);
	rig.ground.store = rig.store = scratch_store(rig.dir, true);
	pass_ms(1000);
	pass_ms(2000);
	save();
	store_close(frozen);
	scratch_remove(dir);
	crash();
	CHECK_EQ(social_follow_of(rig.people, 0, id_of(1)), FOLLOW_PUBLIC);
	rig_end();
}

int main(void)
{
	RUN(test_the_node_is_persona_0_and_others_survive_a_crash);
	RUN(test_a_17th_persona_is_refused);
	RUN(test_the_seed_of_a_persona_is_sealed_in_the_store);
	RUN(test_a_persona_that_is_removed_takes_what_it_follows_with_it);
	RUN(test_follows_are_of_each_persona_and_survive_a_crash);
	RUN(test_what_is_no_follow_is_refused);
	RUN(test_one_follow_more_than_4096_is_refused);
	RUN(test_a_blocked_person_is_in_nothing_else);
	RUN(test_one_block_more_than_4096_is_refused);
	RUN(test_the_audience_follows_what_a_hello_says);
	RUN(test_a_network_that_fills_the_audience_pays_for_newcomers);
	RUN(test_what_was_not_acknowledged_may_be_gone_after_a_crash);
	RUN(test_what_the_disk_did_not_take_is_written_again);
	return check_done();
}
