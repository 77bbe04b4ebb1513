/* SPDX-License-Identifier: Apache-2.0 */
/* Profiles that come, and own ones; keys that take the place of others. */
#include "people_rig.h"

#include "social/object/successor.h"

static int set_of(unsigned persona, const char *name, const char *text)
{
	const struct profile_change change = {.persona = persona, .name = name, .text = text};

	return social_profile_set(rig.people, &change, &done, rig.now_ns);
}

/* --- what comes --- */

static void test_the_later_profile_holds_whatever_comes_first(void)
{
	struct said first, second;

	rig_begin();
	first = *say(key_of(1), "First", NOON_MS);
	second = *say(key_of(1), "Second", NOON_MS + 1);
	CHECK_EQ(put_said(&second, 1), 0);
	CHECK_EQ(put_said(&first, 1), WEFT_EEXISTS);
	CHECK_EQ(put_said(&second, 1), WEFT_EEXISTS);
	CHECK_STR(name_of(id_of(1)), "Second");
	CHECK_EQ(rig.event_cnts[SOCIAL_PERSON_PROFILE], 1);
	save();
	crash();
	CHECK_STR(name_of(id_of(1)), "Second");
	CHECK_EQ(put_said(&first, 1), WEFT_EEXISTS);
	CHECK_EQ(social_profile_time(rig.people, id_of(1)), NOON_MS + 1);
	rig_end();
}

/* Of two edits of one time both sides end with the same. */
static void test_two_profiles_of_one_time_end_alike_in_any_order(void)
{
	char names[2][SOCIAL_NAME_CAP];

	for (unsigned order = 0; order < 2; order++) {
		struct said a, b;

		rig_begin();
		a = *say(key_of(1), "A", NOON_MS);
		b = *say(key_of(1), "B", NOON_MS);
		(void)!put_said(order ? &a : &b, 1);
		(void)!put_said(order ? &b : &a, 1);
		snprintf(names[order], sizeof(names[order]), "%s", name_of(id_of(1)));
		rig_end();
	}
	CHECK_STR(names[0], names[1]);
}

static void test_crossing_edits_of_an_own_profile_end_with_the_later_one(void)
{
	struct said older, newer;

	rig_begin();
	CHECK_EQ(set_of(0, "Here", ""), 0);
	older = *say(rig.own, "Elsewhere", NOON_MS - 1);
	newer = *say(rig.own, "Elsewhere", NOON_MS + 5);
	CHECK_EQ(put_said(&older, 1), WEFT_EEXISTS);
	CHECK_STR(name_of(node_key_public(rig.own)), "Here");
	CHECK_EQ(put_said(&newer, 1), 0);
	CHECK_STR(name_of(node_key_public(rig.own)), "Elsewhere");
	/* The next one here is later again, though the clock is not. */
	CHECK_EQ(set_of(0, "Here", NULL), 0);
	save();
	crash();
	CHECK_STR(name_of(node_key_public(rig.own)), "Here");
	CHECK_EQ(put_said(&newer, 1), WEFT_EEXISTS);
	rig_end();
}

static void test_forged_untimely_and_steering_profiles_are_refused(void)
{
	static const char *const names[] = {
		"a\nb",	 "a\x1b[31m", "\xe2\x80\xaegnp.exe", " ", "\xe2\x80\x8b",
		"a\x7f", "\xc2\x85",
	};
	struct said said;

	rig_begin();
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		CHECK_EQ(put_said(say(key_of(1), names[i], NOON_MS), 1), WEFT_EMALFORMED);
	CHECK_EQ(put_said(say(key_of(1), "Ada", NOON_MS + SOCIAL_AHEAD_MS), 1), 0);
	CHECK_EQ(put_said(say(key_of(2), "Ada", NOON_MS + SOCIAL_AHEAD_MS + 1), 1), WEFT_ESTALE);
	said = *say(key_of(3), "Ada", NOON_MS);
	said.bytes[said.len - 5] ^= 1;
	CHECK_EQ(put_said(&said, 1), WEFT_EDAMAGED);
	said.len--;
	CHECK(put_said(&said, 1) < 0);
	/* Letters of HTML are letters: what shows them shows text. */
	CHECK_EQ(put_said(say(key_of(4), "<b>&amp;</b>", NOON_MS), 1), 0);
	CHECK_EQ(stats().profile_refused_cnt, 10);
	CHECK_EQ(stats().profile_cnt, 2);
	rig_end();
}

static void test_what_a_node_says_of_itself_is_refused_when_others_would_not_take_it(void)
{
	char longest[SOCIAL_NAME_CAP + 1];

	rig_begin();
	memset(longest, 'n', sizeof(longest));
	longest[SOCIAL_NAME_MAX + 1] = '\0';
	CHECK_EQ(set_of(0, NULL, "no name yet"), WEFT_EMALFORMED);
	CHECK_EQ(set_of(0, longest, ""), WEFT_ETOOLARGE);
	longest[SOCIAL_NAME_MAX] = '\0';
	CHECK_EQ(set_of(0, longest, "lines\nof text"), 0);
	CHECK_EQ(set_of(0, "x\ty", NULL), WEFT_EMALFORMED);
	CHECK_STR(name_of(node_key_public(rig.own)), longest);
	rig_end();
}

static void test_profiles_of_unknown_people_share_2048_places_by_network(void)
{
	static char name[16];

	rig_begin();
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	CHECK_EQ(put_said(say(key_of(1), "Friend", NOON_MS), 9), 0);
	CHECK_EQ(put_said(say(key_of(2), "Early", NOON_MS), 1), 0);
	for (unsigned n = 3; n < 3 + SOCIAL_PROFILES_UNKNOWN_MAX; n++) {
		snprintf(name, sizeof(name), "n%u", n);
		(void)!put_said(say(key_of(n), name, NOON_MS), 9);
		if (n % 256 == 0)
			save();
	}
	CHECK_EQ(stats().profile_cnt, 1 + SOCIAL_PROFILES_UNKNOWN_MAX);
	CHECK_EQ(stats().profile_full_cnt, 1);
	CHECK_STR(name_of(id_of(1)), "Friend");
	CHECK_STR(name_of(id_of(2)), "Early");
	CHECK_EQ(put_said(say(key_of(5000), "Late", NOON_MS), 2), 0);
	CHECK_STR(name_of(id_of(5000)), "Late");
	/* One that is followed then has a place apart. */
	CHECK_EQ(follow(0, id_of(3), FOLLOW_PUBLIC), 0);
	CHECK_EQ(put_said(say(key_of(5001), "Later", NOON_MS), 9), 0);
	CHECK_EQ(stats().profile_cnt, 2 + SOCIAL_PROFILES_UNKNOWN_MAX);
	rig_end();
}

/* --- own ones --- */

static void test_a_profile_shows_public_follows_only_when_it_is_to(void)
{
	struct profile_change change = {.name = "Ada", .has_shows_follows = true};
	static struct profile profile;

	rig_begin();
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	CHECK_EQ(follow(0, id_of(2), FOLLOW_PRIVATE), 0);
	CHECK_EQ(set_of(0, "Ada", ""), 0);
	CHECK(social_profile_own(rig.people, 0, &profile));
	CHECK_EQ(profile.follow_cnt, 0);
	change.shows_follows = true;
	CHECK_EQ(social_profile_set(rig.people, &change, &done, rig.now_ns), 0);
	CHECK(social_profile_own(rig.people, 0, &profile));
	CHECK_EQ(profile.follow_cnt, 1);
	CHECK_MEM(profile.follows[0], id_of(1), NODE_KEY_LEN);
	/* A later follow is in it by itself; a private one never is. */
	CHECK_EQ(follow(0, id_of(3), FOLLOW_PUBLIC), 0);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PRIVATE), 0);
	save();
	crash();
	CHECK(social_profile_own(rig.people, 0, &profile));
	CHECK_EQ(profile.follow_cnt, 1);
	CHECK_MEM(profile.follows[0], id_of(3), NODE_KEY_LEN);
	CHECK(social_profile_shows_follows(rig.people, 0));
	rig_end();
}

static void test_personas_share_no_anchor(void)
{
	const struct persona_draft draft = {"x", false};
	uint8_t key[NODE_KEY_LEN], anchors[PROFILE_ANCHORS_MAX + 1][NODE_KEY_LEN];
	struct profile_change change = {.name = "Ada", .anchors = anchors, .anchor_cnt = 1};

	rig_begin();
	CHECK_EQ(social_persona_add(rig.people, &draft, &done, rig.now_ns, key), 0);
	memcpy(anchors[0], id_of(1), NODE_KEY_LEN);
	CHECK_EQ(social_profile_set(rig.people, &change, &done, rig.now_ns), 0);
	change.persona = 1;
	CHECK_EQ(social_profile_set(rig.people, &change, &done, rig.now_ns), WEFT_EREFUSED);
	memcpy(anchors[0], node_key_public(rig.own), NODE_KEY_LEN);
	CHECK_EQ(social_profile_set(rig.people, &change, &done, rig.now_ns), WEFT_EREFUSED);
	memcpy(anchors[0], id_of(2), NODE_KEY_LEN);
	CHECK_EQ(social_profile_set(rig.people, &change, &done, rig.now_ns), 0);
	for (unsigned i = 0; i <= PROFILE_ANCHORS_MAX; i++)
		memcpy(anchors[i], id_of(10 + i), NODE_KEY_LEN);
	change.anchor_cnt = PROFILE_ANCHORS_MAX;
	CHECK_EQ(social_profile_set(rig.people, &change, &done, rig.now_ns), 0);
	change.anchor_cnt++;
	CHECK_EQ(social_profile_set(rig.people, &change, &done, rig.now_ns), WEFT_ETOOLARGE);
	rig_end();
}

static void test_what_is_stored_of_a_profile_is_what_its_person_signed(void)
{
	uint8_t bytes[PROFILE_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	static struct profile profile;
	struct said said;

	rig_begin();
	said = *say(key_of(1), "Ada", NOON_MS);
	CHECK_EQ(put_said(&said, 1), 0);
	CHECK_EQ(social_profile_bytes(rig.people, id_of(1), &w),
		 WEFT_EABSENT); /* not yet on the disk */
	save();
	w = writer_of(bytes, sizeof(bytes));
	CHECK_EQ(social_profile_bytes(rig.people, id_of(1), &w), 0);
	CHECK_EQ(writer_len(&w), said.len);
	CHECK_MEM(bytes, said.bytes, said.len);
	CHECK_EQ(social_person_profile(rig.people, id_of(1), &profile), 0);
	CHECK_STR(profile.name, "Ada");
	CHECK_EQ(social_person_profile(rig.people, id_of(2), &profile), WEFT_EABSENT);
	rig_end();
}

/* --- successors --- */

#define OLD	1u
#define NEW	2u
#define THIEF	3u
#define WAIT_MS SOCIAL_SUCCESSION_MS

/* OLD's profile names the hash of a next key. */
static int commit_to(unsigned next, uint64_t time_ms)
{
	int err;

	scratch_profile.has_next_key = true;
	social_successor_hash(id_of(next), scratch_profile.next_key);
	err = put_said(say(key_of(OLD), "Ada", time_ms), 1);
	scratch_profile.has_next_key = false;
	memset(scratch_profile.next_key, 0, sizeof(scratch_profile.next_key));
	return err;
}

static int claim(unsigned next, bool is_signed_by_former)
{
	const struct successor said = {.former = id_of(OLD), .time_ms = rig.now_ms};
	uint8_t bytes[SUCCESSOR_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));

	social_successor_write(&w, &said, key_of(next), is_signed_by_former ? key_of(OLD) : NULL);
	return w.bad ? -1 : social_successor_put(rig.people, bytes, writer_len(&w), rig.now_ns);
}

static enum follow_kind kind_of(unsigned n)
{
	return social_follow_of(rig.people, 0, id_of(n));
}

static void old_is_followed(void)
{
	rig_begin();
	(void)!follow(0, id_of(OLD), FOLLOW_PUBLIC);
	(void)!social_petname_set(rig.people, id_of(OLD), "Ada L.", &done, rig.now_ns);
}

static void test_a_key_committed_to_30_days_ago_takes_the_place_of_the_former_one(void)
{
	struct circle_member member;
	const struct circle_draft draft = {0, "kin", 0};
	uint8_t id[SOCIAL_CIRCLE_ID_LEN];

	old_is_followed();
	CHECK_EQ(social_circle_create(rig.people, &draft, &done, rig.now_ns, id), 0);
	member = (struct circle_member){id, id_of(OLD)};
	CHECK_EQ(social_circle_add(rig.people, &member, &done, rig.now_ns), 0);
	CHECK_EQ(commit_to(NEW, NOON_MS), 0);
	pass_ms(WAIT_MS - 1);
	CHECK_EQ(claim(NEW, false), WEFT_EREFUSED);
	pass_ms(1);
	CHECK_EQ(claim(NEW, false), 0);
	CHECK_EQ(kind_of(NEW), FOLLOW_PUBLIC);
	CHECK_EQ(kind_of(OLD), FOLLOW_NONE);
	CHECK(social_circle_has(rig.people, id, id_of(NEW)));
	CHECK(!social_circle_has(rig.people, id, id_of(OLD)));
	CHECK_STR(name_of(id_of(NEW)), "Ada L.");
	CHECK_EQ(rig.change_cnts[PEOPLE_SUCCEEDED], 1);
	save();
	crash();
	CHECK_EQ(kind_of(NEW), FOLLOW_PUBLIC);
	CHECK_MEM(social_successor_of(rig.people, id_of(OLD)), id_of(NEW), NODE_KEY_LEN);
	CHECK_EQ(claim(NEW, false), WEFT_EEXISTS);
	rig_end();
}

/* The commitment counts from when this node saw it, whatever time the profile says. */
static void test_a_backdated_commitment_counts_from_when_it_was_seen(void)
{
	old_is_followed();
	pass_ms(2 * WAIT_MS);
	CHECK_EQ(commit_to(THIEF, NOON_MS), 0);
	CHECK_EQ(claim(THIEF, false), WEFT_EREFUSED);
	CHECK_EQ(kind_of(OLD), FOLLOW_PUBLIC);
	rig_end();
}

static void test_without_a_commitment_the_person_is_asked(void)
{
	old_is_followed();
	CHECK_EQ(claim(NEW, false), WEFT_EREFUSED);
	CHECK_EQ(claim(NEW, true), 0);
	CHECK_EQ(rig.event_cnts[SOCIAL_PERSON_SUCCESSOR], 1);
	CHECK_EQ(kind_of(OLD), FOLLOW_PUBLIC);
	CHECK_EQ(kind_of(NEW), FOLLOW_NONE);
	save();
	crash();
	CHECK_EQ(social_successor_accept(rig.people, id_of(OLD), id_of(THIEF), &done, rig.now_ns),
		 WEFT_EABSENT);
	CHECK_EQ(social_successor_accept(rig.people, id_of(OLD), id_of(NEW), &done, rig.now_ns), 0);
	CHECK_EQ(kind_of(NEW), FOLLOW_PUBLIC);
	rig_end();
}

static void test_two_successors_freeze_both_until_the_person_has_said_which(void)
{
	old_is_followed();
	CHECK_EQ(commit_to(NEW, NOON_MS), 0);
	pass_ms(WAIT_MS);
	CHECK_EQ(claim(NEW, false), 0);
	CHECK_EQ(kind_of(NEW), FOLLOW_PUBLIC);
	CHECK_EQ(claim(THIEF, true), 0);
	CHECK_EQ(kind_of(NEW), FOLLOW_NONE);
	CHECK_EQ(kind_of(THIEF), FOLLOW_NONE);
	CHECK_EQ(kind_of(OLD), FOLLOW_NONE);
	CHECK(social_person(rig.people, id_of(NEW))->is_frozen);
	CHECK_EQ(rig.change_cnts[PEOPLE_FROZEN], 1);
	CHECK(social_successor_of(rig.people, id_of(OLD)) == NULL);
	save();
	crash();
	CHECK_EQ(kind_of(NEW), FOLLOW_NONE);
	CHECK_EQ(social_successor_accept(rig.people, id_of(OLD), id_of(NEW), &done, rig.now_ns), 0);
	CHECK_EQ(kind_of(NEW), FOLLOW_PUBLIC);
	CHECK_EQ(claim(THIEF, true), WEFT_EEXISTS);
	save();
	crash();
	CHECK_EQ(kind_of(NEW), FOLLOW_PUBLIC);
	CHECK_EQ(stats().follow_cnt, 1);
	rig_end();
}

static void test_the_other_of_two_successors_may_be_chosen(void)
{
	old_is_followed();
	CHECK_EQ(claim(NEW, true), 0);
	CHECK_EQ(claim(THIEF, true), 0);
	CHECK_EQ(kind_of(OLD), FOLLOW_NONE);
	CHECK_EQ(social_successor_accept(rig.people, id_of(OLD), id_of(THIEF), &done, rig.now_ns),
		 0);
	CHECK_EQ(kind_of(THIEF), FOLLOW_PUBLIC);
	CHECK_EQ(kind_of(OLD), FOLLOW_NONE);
	CHECK_EQ(stats().follow_cnt, 1);
	rig_end();
}

/* A thief of the key floods it with commitments; the first one stays. */
static void test_a_flood_of_commitments_does_not_push_out_the_first(void)
{
	old_is_followed();
	CHECK_EQ(commit_to(NEW, NOON_MS), 0);
	pass_ms(1000);
	for (unsigned i = 0; i < 20; i++)
		CHECK_EQ(commit_to(10 + i, rig.now_ms + i), 0);
	save();
	crash();
	pass_ms(WAIT_MS);
	CHECK_EQ(claim(NEW, false), 0);
	CHECK_EQ(kind_of(NEW), FOLLOW_PUBLIC);
	rig_end();
}

static void test_claims_on_people_that_are_not_known_take_no_place(void)
{
	rig_begin();
	CHECK_EQ(claim(NEW, true), WEFT_EABSENT);
	CHECK_EQ(stats().succession_cnt, 0);
	rig_end();
}

static void test_an_own_key_is_succeeded_by_the_one_that_it_committed_to(void)
{
	static struct profile profile;
	uint8_t next[NODE_KEY_LEN], hash[BLAKE3_HASH_LEN], bytes[SUCCESSOR_LEN_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct successor said;

	rig_begin();
	CHECK_EQ(social_persona_commit(rig.people, 0, &done, rig.now_ns), WEFT_EABSENT);
	CHECK_EQ(set_of(0, "Ada", ""), 0);
	CHECK_EQ(follow(0, id_of(1), FOLLOW_PUBLIC), 0);
	CHECK_EQ(social_persona_rotate(rig.people, 0, &done, rig.now_ns, next), WEFT_EABSENT);
	CHECK_EQ(social_persona_commit(rig.people, 0, &done, rig.now_ns), 0);
	CHECK_EQ(social_persona_commit(rig.people, 0, &done, rig.now_ns), WEFT_EEXISTS);
	CHECK(social_profile_own(rig.people, 0, &profile));
	CHECK(profile.has_next_key);
	save();
	crash();
	CHECK_EQ(social_persona_rotate(rig.people, 0, &done, rig.now_ns, next), 0);
	social_successor_hash(next, hash);
	CHECK_MEM(hash, profile.next_key, sizeof(hash));
	save();
	crash();
	/* The node's own key stays for sessions, and what it followed is the next one's. */
	CHECK_EQ(social_persona_cnt(rig.people), 2);
	CHECK_EQ(social_persona_of(rig.people, next), 1);
	CHECK_EQ(social_follow_of(rig.people, 1, id_of(1)), FOLLOW_PUBLIC);
	CHECK_EQ(social_follow_of(rig.people, 0, id_of(1)), FOLLOW_NONE);
	CHECK_STR(name_of(next), "Ada");
	CHECK_EQ(social_successor_bytes(rig.people, node_key_public(rig.own), &w), 0);
	CHECK_EQ(social_successor_read(bytes, writer_len(&w), &said), 0);
	CHECK(said.is_signed_by_former);
	CHECK_MEM(said.next, next, NODE_KEY_LEN);
	/* That persona commits again, and its former key opens what was sealed for it. */
	CHECK_EQ(social_persona_commit(rig.people, 1, &done, rig.now_ns), 0);
	CHECK_EQ(social_persona_rotate(rig.people, 1, &done, rig.now_ns, hash), 0);
	save();
	crash();
	CHECK_EQ(social_persona_cnt(rig.people), 2);
	CHECK(social_own_key(rig.people, next) != NULL);
	CHECK_EQ(social_persona_of(rig.people, next), SOCIAL_PERSONA_NONE);
	CHECK(social_former_key(rig.people, 0) != NULL);
	CHECK(social_former_key(rig.people, 1) == NULL);
	CHECK_EQ(social_follow_of(rig.people, 1, id_of(1)), FOLLOW_PUBLIC);
	rig_end();
}

static void test_a_17th_former_key_is_refused(void)
{
	const struct persona_draft draft = {"x", false};
	uint8_t next[NODE_KEY_LEN];

	rig_begin();
	CHECK_EQ(social_persona_add(rig.people, &draft, &done, rig.now_ns, next), 0);
	CHECK_EQ(set_of(1, "Ada", ""), 0);
	for (unsigned i = 0; i < SOCIAL_FORMER_KEYS_MAX; i++) {
		CHECK_EQ(social_persona_commit(rig.people, 1, &done, rig.now_ns), 0);
		CHECK_EQ(social_persona_rotate(rig.people, 1, &done, rig.now_ns, next), 0);
	}
	CHECK_EQ(social_persona_commit(rig.people, 1, &done, rig.now_ns), 0);
	CHECK_EQ(social_persona_rotate(rig.people, 1, &done, rig.now_ns, next), WEFT_EFULL);
	save();
	crash();
	CHECK_EQ(stats().former_cnt, SOCIAL_FORMER_KEYS_MAX);
	rig_end();
}

int main(void)
{
	RUN(test_the_later_profile_holds_whatever_comes_first);
	RUN(test_two_profiles_of_one_time_end_alike_in_any_order);
	RUN(test_crossing_edits_of_an_own_profile_end_with_the_later_one);
	RUN(test_forged_untimely_and_steering_profiles_are_refused);
	RUN(test_what_a_node_says_of_itself_is_refused_when_others_would_not_take_it);
	RUN(test_profiles_of_unknown_people_share_2048_places_by_network);
	RUN(test_a_profile_shows_public_follows_only_when_it_is_to);
	RUN(test_personas_share_no_anchor);
	RUN(test_what_is_stored_of_a_profile_is_what_its_person_signed);
	RUN(test_a_key_committed_to_30_days_ago_takes_the_place_of_the_former_one);
	RUN(test_a_backdated_commitment_counts_from_when_it_was_seen);
	RUN(test_without_a_commitment_the_person_is_asked);
	RUN(test_two_successors_freeze_both_until_the_person_has_said_which);
	RUN(test_the_other_of_two_successors_may_be_chosen);
	RUN(test_a_flood_of_commitments_does_not_push_out_the_first);
	RUN(test_claims_on_people_that_are_not_known_take_no_place);
	RUN(test_an_own_key_is_succeeded_by_the_one_that_it_committed_to);
	RUN(test_a_17th_former_key_is_refused);
	return check_done();
}
