/* SPDX-License-Identifier: Apache-2.0 */
/* Circles, and what their members see of a profile. */
#include "people_rig.h"

static uint8_t id[SOCIAL_CIRCLE_ID_LEN], second[SOCIAL_CIRCLE_ID_LEN];

static int create(const char *name, uint8_t rank, uint8_t out_id[static SOCIAL_CIRCLE_ID_LEN])
{
	const struct circle_draft draft = {0, name, rank};

	return social_circle_create(rig.people, &draft, &done, rig.now_ns, out_id);
}

static int add(const uint8_t *circle, unsigned n)
{
	const struct circle_member member = {circle, id_of(n)};

	return social_circle_add(rig.people, &member, &done, rig.now_ns);
}

static int take_out(const uint8_t *circle, unsigned n)
{
	const struct circle_member member = {circle, id_of(n)};

	return social_circle_remove(rig.people, &member, &done, rig.now_ns);
}

static bool on_member(void *arg, const uint8_t *person)
{
	const uint8_t **last = arg;

	if (*last && memcmp(*last, person, NODE_KEY_LEN) >= 0)
		return false;
	*last = person;
	return true;
}

static bool on_circle(void *arg, const struct circle_view *view)
{
	char *names = arg;

	strcat(names, view->name);
	return true;
}

/* --- verbs --- */

static void test_a_circle_is_made_renamed_filled_and_deleted_and_survives_crashes(void)
{
	const struct circle_draft renamed = {0, "kin", 9};
	const uint8_t *last = NULL;
	struct circle_view view;

	rig_begin();
	CHECK_EQ(create("family", 5, id), 0);
	CHECK_EQ(create("family", 5, second), WEFT_EEXISTS);
	CHECK_EQ(create("fa\x1bmily", 5, second), WEFT_EMALFORMED);
	CHECK_EQ(create("", 5, second), WEFT_EMALFORMED);
	for (unsigned n = 1; n <= 9; n++)
		CHECK_EQ(add(id, n), 0);
	CHECK_EQ(add(id, 3), WEFT_EEXISTS);
	CHECK_EQ(take_out(id, 3), 0);
	CHECK_EQ(take_out(id, 3), WEFT_EABSENT);
	save();
	crash();
	CHECK(social_circle_find(rig.people, 0, "family", &view));
	CHECK_EQ(view.member_cnt, 8);
	CHECK_MEM(view.id, id, sizeof(id));
	CHECK(!social_circle_has(rig.people, id, id_of(3)));
	CHECK(social_circle_has(rig.people, id, id_of(4)));
	social_circle_members(rig.people, id, on_member, &last);
	CHECK(last != NULL);
	CHECK_EQ(social_circle_set(rig.people, id, &renamed, &done, rig.now_ns), 0);
	save();
	crash();
	CHECK(!social_circle_find(rig.people, 0, "family", &view));
	CHECK(social_circle_find(rig.people, 0, "kin", &view));
	CHECK_EQ(view.rank, 9);
	CHECK_EQ(social_circle_delete(rig.people, id, &done, rig.now_ns), 0);
	CHECK_EQ(social_circle_delete(rig.people, id, &done, rig.now_ns), WEFT_EABSENT);
	save();
	crash();
	CHECK_EQ(stats().circle_cnt, 0);
	CHECK_EQ(add(id, 1), WEFT_EABSENT);
	rig_end();
}

static void test_the_501st_member_and_the_65th_circle_are_refused(void)
{
	char name[8];

	rig_begin();
	CHECK_EQ(create("all", 0, id), 0);
	for (unsigned n = 1; n <= SOCIAL_CIRCLE_MEMBERS_MAX; n++)
		CHECK_EQ(add(id, n), 0);
	CHECK_EQ(add(id, SOCIAL_CIRCLE_MEMBERS_MAX + 1), WEFT_EFULL);
	CHECK_EQ(take_out(id, 1), 0);
	CHECK_EQ(add(id, SOCIAL_CIRCLE_MEMBERS_MAX + 1), 0);
	for (unsigned i = 1; i < SOCIAL_CIRCLES_MAX; i++) {
		snprintf(name, sizeof(name), "c%u", i);
		CHECK_EQ(create(name, 0, second), 0);
	}
	CHECK_EQ(create("more", 0, second), WEFT_EFULL);
	save();
	crash();
	CHECK_EQ(stats().circle_cnt, SOCIAL_CIRCLES_MAX);
	CHECK_EQ(add(id, SOCIAL_CIRCLE_MEMBERS_MAX + 2), WEFT_EFULL);
	rig_end();
}

static void test_circles_come_by_rank_and_hold_no_blocked_person(void)
{
	char names[32] = "";

	rig_begin();
	CHECK_EQ(create("b", 1, id), 0);
	CHECK_EQ(create("a", 7, second), 0);
	social_circles_each(rig.people, SOCIAL_EACH_PERSONA, on_circle, names);
	CHECK(strcmp(names, "ab") == 0);
	CHECK_EQ(add(id, 1), 0);
	CHECK_EQ(social_block_set(rig.people, id_of(1), true, &done, rig.now_ns), 0);
	CHECK(!social_circle_has(rig.people, id, id_of(1)));
	CHECK_EQ(add(id, 1), WEFT_EREFUSED);
	rig_end();
}

/* --- profiles of circles: D59 --- */

/* A reader's node is the rig of another time: it opens what is written with a key of its own. */
static struct {
	uint8_t bytes[PROFILE_CIRCLE_LEN_MAX];
	size_t len;
} given;

static int give(unsigned n, const uint8_t *have)
{
	const struct personal_ask ask = {0, id_of(n), have};
	struct writer w = writer_of(given.bytes, sizeof(given.bytes));
	int err = social_personal_write(rig.people, &ask, &w);

	given.len = w.bad ? 0 : writer_len(&w);
	return err;
}

static int profile_of(const uint8_t *circle, const char *name, const char *text)
{
	const struct profile_change change = {.circle = circle, .name = name, .text = text};

	return social_profile_set(rig.people, &change, &done, rig.now_ns);
}

/* What the node of reader sees of this one, which gave it a public and a personal profile. */
static const char *seen_by(struct node_key *reader, const struct said *public)
{
	static char name[SOCIAL_NAME_CAP];
	static __typeof__(rig) writer;
	struct profile_put put = {.bytes = given.bytes, .len = given.len};

	save(); /* no timer is set */
	writer = rig;
	scratch_make(rig.dir);
	rig.own = reader;
	people_up();
	if (put_said(public, 1) == 0 && social_personal_put(rig.people, &put, rig.now_ns) == 0)
		snprintf(name, sizeof(name), "%s", name_of(scratch_profile.person));
	else
		snprintf(name, sizeof(name), "refused");
	people_down();
	scratch_remove(rig.dir);
	rig = writer;
	return name;
}

static const struct said *own_said(void)
{
	static struct said said;
	struct writer w = writer_of(said.bytes, sizeof(said.bytes));

	if (social_profile_bytes(rig.people, node_key_public(rig.own), &w) < 0)
		abort();
	said.len = writer_len(&w);
	memcpy(scratch_profile.person, node_key_public(rig.own), NODE_KEY_LEN);
	return &said;
}

static void test_a_reader_sees_the_profile_of_the_highest_circle_that_it_is_in(void)
{
	struct node_key *reader = key_make(1);

	rig_begin();
	CHECK_EQ(profile_of(NULL, "Public", ""), 0);
	CHECK_EQ(create("low", 1, id), 0);
	CHECK_EQ(create("high", 2, second), 0);
	CHECK_EQ(profile_of(id, "Low", "l"), 0);
	CHECK_EQ(profile_of(second, "High", "h"), 0);
	save();
	CHECK_EQ(give(1, NULL), 0);
	CHECK_STR(seen_by(reader, own_said()), "Public");
	CHECK_EQ(add(id, 1), 0);
	CHECK_EQ(give(1, NULL), 0);
	CHECK_STR(seen_by(reader, own_said()), "Low");
	CHECK_EQ(add(second, 1), 0);
	CHECK_EQ(give(1, NULL), 0);
	CHECK_STR(seen_by(reader, own_said()), "High");
	CHECK_EQ(take_out(second, 1), 0);
	CHECK_EQ(give(1, NULL), 0);
	CHECK_STR(seen_by(reader, own_said()), "Low");
	save();
	crash();
	CHECK_EQ(give(1, NULL), 0);
	CHECK_STR(seen_by(reader, own_said()), "Low");
	CHECK_EQ(give(2, NULL), 0);
	CHECK_STR(seen_by(reader, own_said()), "refused"); /* it is for another reader */
	rig_end();
	node_key_free(reader);
}

static void test_what_readers_are_given_does_not_say_that_there_are_circles(void)
{
	struct profile_circle object, outsider;
	size_t len;

	rig_begin();
	CHECK_EQ(profile_of(NULL, "Public", ""), 0);
	CHECK_EQ(give(1, NULL), 0);
	len = given.len;
	CHECK_EQ(create("low", 3, id), 0);
	CHECK_EQ(profile_of(id, "Somebody else altogether", "A longer text than the public one."),
		 0);
	CHECK_EQ(add(id, 2), 0);
	CHECK_EQ(give(2, NULL), 0);
	CHECK_EQ(given.len, len);
	CHECK_EQ(social_profile_circle_read(given.bytes, given.len, &object), 0);
	CHECK_EQ(object.rank, 0);
	CHECK(memcmp(object.circle, id, sizeof(id)) != 0);
	CHECK_EQ(give(1, NULL), 0);
	CHECK_EQ(given.len, len);
	CHECK_EQ(social_profile_circle_read(given.bytes, given.len, &outsider), 0);
	CHECK_EQ(outsider.sealed_len, object.sealed_len);
	rig_end();
}

static void test_an_edition_is_given_once_and_changes_with_the_reader_s_view_alone(void)
{
	uint8_t edition[SOCIAL_EDITION_LEN], own[NODE_KEY_LEN];
	struct node_key *reader = key_make(1);
	struct profile_put put = {.bytes = given.bytes};

	rig_begin();
	memcpy(own, node_key_public(rig.own), sizeof(own));
	CHECK_EQ(profile_of(NULL, "Public", ""), 0);
	CHECK_EQ(give(1, NULL), 0);
	put.len = given.len;
	/* The reader's own node learns the edition. */
	struct said public = *own_said();
	rig_end();
	memset(&rig, 0, sizeof(rig));
	scratch_make(rig.dir);
	random_init_seeded(&rig.dice, 1);
	rig.own = reader;
	rig.now_ms = NOON_MS;
	rig.now_ns = NS_PER_S;
	people_up();
	social_personal_edition(rig.people, own, edition);
	CHECK_EQ(edition[0] | edition[7], 0);
	CHECK_EQ(put_said(&public, 1), 0);
	CHECK_EQ(social_personal_put(rig.people, &put, rig.now_ns), 0);
	CHECK_EQ(social_personal_put(rig.people, &put, rig.now_ns), WEFT_EEXISTS);
	save();
	crash();
	social_personal_edition(rig.people, own, edition);
	CHECK_STR(name_of(own), "Public");
	people_down();
	scratch_remove(rig.dir);
	rig_begin();
	CHECK_EQ(profile_of(NULL, "Public", ""), 0);
	CHECK_EQ(give(1, edition), WEFT_EEXISTS);
	CHECK_EQ(give(2, edition), 0);
	CHECK_EQ(create("low", 3, id), 0);
	CHECK_EQ(profile_of(id, "Low", ""), 0);
	CHECK_EQ(add(id, 2), 0);
	CHECK_EQ(give(1, edition), WEFT_EEXISTS);
	CHECK_EQ(add(id, 1), 0);
	CHECK_EQ(give(1, edition), 0);
	CHECK_EQ(social_block_set(rig.people, id_of(1), true, &done, rig.now_ns), 0);
	CHECK_EQ(give(1, NULL), WEFT_EREFUSED);
	rig_end();
	node_key_free(reader);
}

struct heard {
	unsigned cnt;
	size_t len;
};

static bool on_said(void *arg, const void *bytes, size_t len)
{
	struct heard *heard = arg;
	const struct profile_put put = {.bytes = bytes, .len = len};

	heard->cnt++;
	heard->len += len;
	/* What the node says of itself is known to it, or for another reader. */
	return social_said_put(rig.people, &put, rig.now_ns) < 0;
}

static struct heard hear(unsigned n)
{
	struct heard heard = {0};

	social_said_to(rig.people, id_of(n), on_said, &heard);
	return heard;
}

static void test_a_reader_is_given_personas_that_it_follows_alone(void)
{
	const struct persona_draft draft = {"work", false};
	struct audience_note note = {id_of(1), 2, from_network(1)};
	struct profile_change change = {.persona = 1, .name = "Dr. A"};
	uint8_t key[NODE_KEY_LEN];

	rig_begin();
	note.person = id_of(1);
	CHECK_EQ(hear(1).cnt, 0);
	CHECK_EQ(profile_of(NULL, "Ada", ""), 0);
	CHECK_EQ(hear(1).cnt, 2);
	CHECK_EQ(social_persona_add(rig.people, &draft, &done, rig.now_ns, key), 0);
	CHECK_EQ(social_profile_set(rig.people, &change, &done, rig.now_ns), 0);
	CHECK_EQ(hear(1).cnt, 2);
	CHECK_EQ(social_audience_note(rig.people, &note, rig.now_ns), 0);
	CHECK_EQ(hear(1).cnt, 4);
	CHECK_EQ(hear(2).cnt, 2);
	CHECK_EQ(social_block_set(rig.people, id_of(2), true, &done, rig.now_ns), 0);
	CHECK_EQ(hear(2).cnt, 0);
	/* The next key is given with the statement of the former one. */
	CHECK_EQ(social_persona_commit(rig.people, 0, &done, rig.now_ns), 0);
	CHECK_EQ(social_persona_rotate(rig.people, 0, &done, rig.now_ns, key), 0);
	CHECK_EQ(hear(3).cnt, 3);
	rig_end();
}

int main(void)
{
	RUN(test_a_circle_is_made_renamed_filled_and_deleted_and_survives_crashes);
	RUN(test_the_501st_member_and_the_65th_circle_are_refused);
	RUN(test_circles_come_by_rank_and_hold_no_blocked_person);
	RUN(test_a_reader_sees_the_profile_of_the_highest_circle_that_it_is_in);
	RUN(test_what_readers_are_given_does_not_say_that_there_are_circles);
	RUN(test_an_edition_is_given_once_and_changes_with_the_reader_s_view_alone);
	RUN(test_a_reader_is_given_personas_that_it_follows_alone);
	return check_done();
}
