/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/profile.h"

#include "social/object/group_epoch.h"
#include "support/check.h"

static struct node_key *person, *other;
static uint8_t bytes[PROFILE_LEN_MAX + 1];
static struct profile said, heard;
static struct group_state group, heard_group;
static const uint8_t id[32] = {9};

static struct node_key *key_of(uint8_t byte)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct node_key *made;

	memset(seed, byte, sizeof(seed));
	if (node_key_from_seed(seed, &made) < 0)
		exit(1);
	return made;
}

static void said_make(void)
{
	said = (struct profile){.time_ms = 5, .has_picture = true, .has_next_key = true};
	memcpy(said.person, node_key_public(person), NODE_KEY_LEN);
	memset(said.name, 'n', PROFILE_NAME_CAP - 1);
	memset(said.text, 't', PROFILE_TEXT_CAP - 1);
	said.anchor_cnt = PROFILE_ANCHORS_MAX;
	said.follow_cnt = PROFILE_FOLLOWS_MAX;
	said.follows[PROFILE_FOLLOWS_MAX - 1][31] = 7;
}

static size_t written(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_profile_write(&w, &said, person);
	return w.bad ? 0 : writer_len(&w);
}

static void test_the_longest_profile_is_read_as_written(void)
{
	size_t len;

	said_make();
	CHECK((len = written()) > 0);
	CHECK(len <= PROFILE_LEN_MAX);
	CHECK_EQ(social_profile_read(bytes, len, &heard), 0);
	CHECK_MEM(&heard, &said, sizeof(said));
	for (size_t cut = 0; cut < len; cut += cut < 200 || cut > len - 200 ? 1 : 97) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK(social_profile_read(exact, cut, &heard) < 0);
		free(exact);
	}
	CHECK_EQ(social_profile_read(bytes, sizeof(bytes), &heard), WEFT_ETOOLARGE);
}

static void test_a_profile_is_its_person_s_alone(void)
{
	size_t len;

	said_make();
	len = written();
	bytes[len / 2] ^= 1;
	CHECK(social_profile_read(bytes, len, &heard) < 0);
	memcpy(said.person, node_key_public(other), NODE_KEY_LEN);
	CHECK_EQ(written(), 0);
}

static void test_a_profile_of_a_circle_is_read_as_written(void)
{
	static const uint8_t sealed[PROFILE_SEALED_LEN_MAX + 1];
	struct profile_circle circle = {
		.rank = 3, .circle = {1}, .sealed = sealed, .sealed_len = PROFILE_SEALED_LEN_MAX};
	struct profile_circle heard_circle;
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_profile_circle_write(&w, &circle, person);
	CHECK_EQ(social_profile_circle_read(bytes, writer_len(&w), &heard_circle), 0);
	CHECK_EQ(heard_circle.rank, 3);
	CHECK_EQ(heard_circle.sealed_len, PROFILE_SEALED_LEN_MAX);
	CHECK_MEM(heard_circle.person, node_key_public(person), NODE_KEY_LEN);
	circle.sealed_len++;
	w = writer_of(bytes, sizeof(bytes));
	social_profile_circle_write(&w, &circle, person);
	CHECK(w.bad ||
	      social_profile_circle_read(bytes, writer_len(&w), &heard_circle) == WEFT_EMALFORMED);
}

static void group_make(unsigned member_cnt)
{
	group = (struct group_state){.group = id,
				     .key = node_key_public(other),
				     .epoch = 1,
				     .member_cnt = member_cnt,
				     .shard_cnt = 1,
				     .root = id,
				     .previous = id};
	for (unsigned i = 0; i < member_cnt; i++) {
		group.members[i].key[0] = (uint8_t)i;
		group.members[i].role = (enum group_role)(i % 4);
	}
}

static int group_said_and_heard(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_group_write(&w, &group, person);
	return w.bad ? WEFT_ETOOSMALL : social_group_read(bytes, writer_len(&w), &heard_group);
}

static void test_a_whole_shard_is_read_as_written(void)
{
	uint8_t key[NODE_KEY_LEN] = {249}, none[NODE_KEY_LEN] = {250};

	group_make(GROUP_SHARD_MAX);
	CHECK_EQ(group_said_and_heard(), 0);
	CHECK_EQ(heard_group.member_cnt, GROUP_SHARD_MAX);
	CHECK_EQ(social_group_member(&heard_group, key)->role, GROUP_POSTER);
	CHECK(!social_group_member(&heard_group, none));
	CHECK_MEM(heard_group.admin, node_key_public(person), NODE_KEY_LEN);
}

static void test_a_state_that_says_two_things_is_refused(void)
{
	group_make(2);
	group.previous = NULL;
	CHECK_EQ(group_said_and_heard(), WEFT_ETOOSMALL);
	group.epoch = 0;
	CHECK_EQ(group_said_and_heard(), 0);
	group.shard = 1;
	CHECK_EQ(group_said_and_heard(), WEFT_ETOOSMALL);
	group.shard = 0;
	group.members[1].key[0] = 0;
	CHECK_EQ(group_said_and_heard(), WEFT_ETOOSMALL);
}

int main(void)
{
	person = key_of(1);
	other = key_of(2);
	RUN(test_the_longest_profile_is_read_as_written);
	RUN(test_a_profile_is_its_person_s_alone);
	RUN(test_a_profile_of_a_circle_is_read_as_written);
	RUN(test_a_whole_shard_is_read_as_written);
	RUN(test_a_state_that_says_two_things_is_refused);
	node_key_free(person);
	node_key_free(other);
	return check_done();
}
