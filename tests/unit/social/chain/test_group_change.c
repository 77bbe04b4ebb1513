/* SPDX-License-Identifier: Apache-2.0 */
#include "social/chain/group_change.h"

#include "group_people.h"
#include "support/check.h"
#include "support/seed.h"

#include "base/random.h"

static struct signed_state first, second;
static struct group_state next;
static struct group_change said, heard;
static uint8_t bytes[GROUP_CHANGE_LEN_MAX + 1], made[GROUP_LEN_MAX];
static const uint8_t wrapped[GROUP_KEY_WRAPPED_LEN] = {5};

static size_t change_say(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_change_make(&first.state, &second.state, &said);
	said.wrapped = wrapped;
	said.wrapped_by = person(1);
	social_change_write(&w, &said);
	return w.bad ? 0 : writer_len(&w);
}

/* The change of first to second gives the signed bytes of second again. */
static void change_is_whole(void)
{
	struct writer w = writer_of(made, sizeof(made));
	size_t len = change_say();

	CHECK_EQ(social_change_read(bytes, len, &heard), 0);
	CHECK_EQ(social_change_apply(&first.state, &heard, &w), 0);
	CHECK_EQ(writer_len(&w), second.len);
	CHECK_MEM(made, second.bytes, second.len);
}

static void remove_one(unsigned number, unsigned key)
{
	uint8_t gone[1][NODE_KEY_LEN];
	const struct group_edit edit = {.gone = (const uint8_t(*)[32])gone, .gone_cnt = 1};

	memcpy(gone[0], person(number), NODE_KEY_LEN);
	state_next(&next, &first, &edit, key);
	state_sign(&second, &next, people_key(0));
}

static void test_a_change_makes_the_signed_state_again(void)
{
	state_first(&first, GROUP_SHARD_MAX);
	remove_one(200, 301);
	change_is_whole();
	CHECK_EQ(said.gone_cnt, 1);
	CHECK_EQ(said.set_cnt, 0);
}

/* D57: the bytes by which 249 members have the next epoch and its key. */
static void test_a_rekey_of_249_members_is_at_most_125_kilobytes(void)
{
	size_t len;

	state_first(&first, GROUP_SHARD_MAX);
	remove_one(200, 301);
	len = change_say();
	CHECK(len * (GROUP_SHARD_MAX - 1) <= 125000);
	printf("# a rekey of 249 members: %zu bytes each, %zu in all\n", len,
	       len * (GROUP_SHARD_MAX - 1));
}

static void test_changes_of_any_kind_make_the_signed_states_again(void)
{
	struct random dice;

	random_init_seeded(&dice, seed_of_run(3));
	state_first(&first, 40);
	for (unsigned i = 0; i < 200; i++) {
		struct group_member set[4];
		uint8_t gone[4][NODE_KEY_LEN];
		struct group_edit edit = {.set = set, .gone = (const uint8_t(*)[32])gone};

		for (unsigned s = 0; s < 4; s++) {
			unsigned who = 1 + (unsigned)random_below(&dice, 30) * 4 + s;

			if (random_below(&dice, 2)) {
				memcpy(gone[edit.gone_cnt++], person(who), NODE_KEY_LEN);
				continue;
			}
			memcpy(set[edit.set_cnt].key, person(who), NODE_KEY_LEN);
			set[edit.set_cnt].role = (enum group_role)random_below(&dice, 4);
			set[edit.set_cnt].is_visitor = set[edit.set_cnt].role != GROUP_VIEWER &&
						       random_below(&dice, 8) == 0;
			edit.set_cnt++;
		}
		state_next(&next, &first, &edit, 300 + i % 2);
		next.shard_cnt += (uint32_t)random_below(&dice, 2);
		state_sign(&second, &next, people_key(0));
		change_is_whole();
		first = second;
		CHECK_EQ(social_group_parse(first.bytes, first.len, &first.state), 0);
	}
}

static void test_every_prefix_of_a_change_is_refused(void)
{
	size_t len;

	state_first(&first, 5);
	remove_one(4, 301);
	len = change_say();
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *copy = malloc(cut + 1);

		memcpy(copy, bytes, cut);
		CHECK_EQ(social_change_read(copy, cut, &heard), WEFT_EMALFORMED);
		free(copy);
	}
	CHECK_EQ(social_change_read(bytes, GROUP_CHANGE_LEN_MAX + 1, &heard), WEFT_ETOOLARGE);
}

static void test_a_change_of_another_state_makes_no_signed_one(void)
{
	struct writer w = writer_of(made, sizeof(made));
	struct group_state parsed;
	size_t len;

	state_first(&first, 6);
	remove_one(4, 301);
	len = change_say();
	CHECK_EQ(social_change_read(bytes, len, &heard), 0);
	state_first(&first, 7);
	CHECK_EQ(social_change_apply(&first.state, &heard, &w), 0);
	CHECK_EQ(social_group_read(made, writer_len(&w), &parsed), WEFT_EDAMAGED);
}

static void test_a_change_to_more_than_a_shard_is_refused(void)
{
	struct writer w = writer_of(made, sizeof(made));

	state_first(&first, 2);
	remove_one(1, 301);
	change_say();
	heard = said;
	for (heard.set_cnt = 0; heard.set_cnt < GROUP_SHARD_MAX + 1; heard.set_cnt++)
		memcpy(heard.set[heard.set_cnt].key, person(heard.set_cnt + 10), NODE_KEY_LEN);
	CHECK_EQ(social_change_apply(&first.state, &heard, &w), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_a_change_makes_the_signed_state_again);
	RUN(test_a_rekey_of_249_members_is_at_most_125_kilobytes);
	RUN(test_changes_of_any_kind_make_the_signed_states_again);
	RUN(test_every_prefix_of_a_change_is_refused);
	RUN(test_a_change_of_another_state_makes_no_signed_one);
	RUN(test_a_change_to_more_than_a_shard_is_refused);
	people_fini();
	return check_done();
}
