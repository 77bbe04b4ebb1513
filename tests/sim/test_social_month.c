/* SPDX-License-Identifier: Apache-2.0 */
/*
 * People over days, with whole nodes: posts of all kinds, editions, deletions, readers taken off in both
 * ways, groups that people join and leave. Most nodes are phones that sleep. Half of the anchors die, and
 * three machines are lost with their stores. At the end what a reader may read it reads, where any node
 * that it meets has it. And all keys that a person ever held are tried on all bytes that ever came to it
 * (support/social_tap.h). None opens a post that the person was no reader of (docs/security.md).
 * MONTH_PEOPLE and MONTH_DAYS say how many; SEED=n plays another run.
 */
#include <stdlib.h>
#include <string.h>

#include "social/read/social_read.h"
#include "social/write/social_write.h"
#include "support/check.h"
#include "support/month_people.h"
#include "support/seed.h"

#define PEOPLE	  16u
#define DAYS	  2u
#define LOST	  3u
#define ACTS	  2u /* of a person, while it is awake */
#define POSTS_MAX 40000u
#define DAY_STEPS 4u
#define STEP_NS	  (86400 / DAY_STEPS * NS_PER_S)
#define AWAKE_NS  (400 * NS_PER_S) /* of a step; then all but anchors sleep */

/* A post as its author made it. */
struct truth {
	uint8_t id[POST_ID_LEN];
	unsigned author;
	enum visibility_kind kind;
	bool is_direct;
	bool is_over; /* deleted, or an edition took its place */
	bool is_gone; /* deleted */
	unsigned group;
	uint8_t key[NODE_KEY_LEN]; /* of a group's epoch */
	struct crowd ever, now;	   /* readers, of any list of readers; those that are left */
};
static struct truth posts[POSTS_MAX];
static unsigned post_cnt;
static struct truth draft; /* what the next post that is made is */
static unsigned deleted_cnt, edited_cnt, wrapped_cnt, sealed_cnt, group_change_cnt;

/* --- the truth --- */

/* A node made a post: draft says for which readers. */
static void on_made(void *arg, unsigned author, const struct post_parts *parts)
{
	static struct visibility visibility;
	struct truth *post = &posts[post_cnt];

	(void)arg;
	if (post_cnt == POSTS_MAX || author != draft.author ||
	    social_visibility_read(parts->visibility, parts->visibility_len, &visibility) < 0)
		abort();
	post_cnt++;
	*post = draft;
	memcpy(post->id, visibility.post, POST_ID_LEN);
	CHECK_EQ(visibility.kind, post->kind);
	if (post->kind != VISIBILITY_GROUP)
		return;
	/* An author seals for the newest epoch that it knows of. */
	CHECK_MEM(visibility.group.key, post->key, NODE_KEY_LEN);
}

static bool may_ever(const struct truth *post, unsigned person)
{
	if (post->author == person || post->kind == VISIBILITY_PUBLIC)
		return true;
	if (post->kind == VISIBILITY_GROUP)
		return crowd_has(epoch_members(post->key), person);
	return crowd_has(&post->ever, person);
}

/* --- what persons do --- */

static int group_of(unsigned person)
{
	unsigned from = draw(month.group_cnt);
	struct group_view view;

	for (unsigned i = 0; i < month.group_cnt; i++) {
		unsigned group = (from + i) % month.group_cnt;

		if (group_look(group, person, &view) && view.has_key && view.role != GROUP_VIEWER)
			return (int)group;
	}
	return -1;
}

static void write_post(unsigned author)
{
	char text[64];
	uint8_t readers[2][NODE_KEY_LEN];
	struct write_draft ask = {.intent = (enum post_intent)draw(5),
				  .people = (const uint8_t(*)[NODE_KEY_LEN])readers,
				  .circle = "near",
				  .is = draw(2) ? PRIVATE_DIRECT : PRIVATE_POST,
				  .text = text,
				  .done = on_written};
	int group = ask.intent == POST_TO_GROUP ? group_of(author) : -1;
	struct group_view view;
	unsigned before = month.wait_cnt;

	if (ask.intent == POST_TO_GROUP && group < 0)
		ask.intent = POST_TO_ALL;
	draft = (struct truth){.author = author, .kind = VISIBILITY_RECIPIENTS};
	ask.text_len = (size_t)snprintf(text, sizeof(text), "words %u of %u", post_cnt, author);
	if (ask.intent == POST_TO_ALL)
		draft.kind = VISIBILITY_PUBLIC;
	for (unsigned i = 0; ask.intent == POST_TO_FRIENDS && i < CONTACTS; i++)
		crowd_set(&draft.now, month.persons[author].contacts[i], true);
	if (ask.intent == POST_TO_CIRCLE)
		draft.now = month.persons[author].in_circle;
	if (ask.intent == POST_TO_PEOPLE) {
		ask.person_cnt = 1 + (ask.is == PRIVATE_POST);
		draft.is_direct = ask.is == PRIVATE_DIRECT;
		for (unsigned i = 0, at = draw(CONTACTS); i < ask.person_cnt; i++) {
			unsigned reader = month.persons[author].contacts[(at + i) % CONTACTS];

			memcpy(readers[i], key_of(reader), NODE_KEY_LEN);
			crowd_set(&draft.now, reader, true);
		}
	}
	if (ask.intent == POST_TO_GROUP) {
		(void)group_look((unsigned)group, author, &view);
		draft.kind = VISIBILITY_GROUP;
		draft.group = (unsigned)group;
		ask.group = month.groups[group].id;
		memcpy(draft.key, view.key, NODE_KEY_LEN);
	}
	draft.ever = draft.now;
	CHECK_EQ(outcome(author,
			 social_write_post(social_write_of(social_of(author)), &ask,
					   month.sim.now_ns),
			 before),
		 0);
}

/* A post of author that is still there; NULL: none was found. */
static struct truth *own_post(unsigned author)
{
	for (unsigned tries = 0, from = draw(post_cnt + 1); tries < post_cnt; tries++) {
		struct truth *post = &posts[(from + tries) % post_cnt];

		if (post->author == author && !post->is_over)
			return post;
	}
	return NULL;
}

static void edit_post(struct truth *post)
{
	const struct write_edit edit = {
		.id = post->id, .text = "better words", .text_len = 12, .done = on_written};
	unsigned before = month.wait_cnt;
	struct group_view view;
	int err;

	draft = *post;
	draft.ever = draft.now;
	if (post->kind == VISIBILITY_GROUP) {
		if (!group_look(post->group, post->author, &view) || !view.has_key)
			return;
		memcpy(draft.key, view.key, NODE_KEY_LEN);
	}
	err = social_write_edit(social_write_of(social_of(post->author)), &edit, month.sim.now_ns);
	err = outcome(post->author, err, before);
	if (err == 0) {
		post->is_over = true;
		edited_cnt++;
	} else if (err != WEFT_EREFUSED) { /* no reader is left */
		CHECK_EQ(err, 0);
	}
}

static void delete_post(struct truth *post)
{
	const struct write_delete deletion = {.id = post->id, .done = on_written};
	unsigned before = month.wait_cnt;

	CHECK_EQ(outcome(post->author,
			 social_write_delete(social_write_of(social_of(post->author)), &deletion,
					     month.sim.now_ns),
			 before),
		 0);
	post->is_over = post->is_gone = true;
	deleted_cnt++;
}

static void revoke_post(struct truth *post)
{
	struct revoke_outcome done = {0};
	struct revoke_ask ask = {.scope = {.post = post->id},
				 .way = draw(2) ? REVOKE_SEAL : REVOKE_WRAP,
				 .done = on_revoked,
				 .arg = &done};
	unsigned before = month.wait_cnt, reader = 0, made_cnt = post_cnt;

	while (reader < month.people && !crowd_has(&post->now, reader))
		reader++;
	if (reader == month.people || post->kind != VISIBILITY_RECIPIENTS || post->is_direct)
		return;
	ask.scope.person = key_of(reader);
	crowd_set(&post->now, reader, false);
	draft = *post;
	draft.ever = draft.now;
	CHECK_EQ(outcome(post->author,
			 social_revoke_start(social_revocations_of(social_of(post->author)), &ask,
					     month.sim.now_ns),
			 before),
		 0);
	CHECK_EQ(done.wrapped_cnt + done.sealed_cnt, 1);
	CHECK_EQ(post_cnt - made_cnt, done.sealed_cnt);
	post->is_over = post->is_gone = done.sealed_cnt > 0;
	wrapped_cnt += done.wrapped_cnt;
	sealed_cnt += done.sealed_cnt;
}

/* --- groups --- */

/* Its admin adds or removes a contact, or rekeys. */
static void group_change(unsigned group)
{
	unsigned admin = month.groups[group].admin, before = month.wait_cnt,
		 other = month.persons[admin].contacts[draw(CONTACTS)];
	uint8_t key[1][NODE_KEY_LEN];
	struct group_ask ask = {.group = month.groups[group].id,
				.members = (const uint8_t(*)[NODE_KEY_LEN])key,
				.member_cnt = 1,
				.role = draw(3) ? GROUP_POSTER : GROUP_VIEWER,
				.done = on_done};
	struct crowd members = members_at(group, admin);
	struct groups *of = social_groups_of(social_of(admin));
	int err;

	memcpy(key[0], key_of(other), NODE_KEY_LEN);
	if (draw(4) == 0)
		err = social_group_rekey(of, &ask, month.sim.now_ns);
	else if (crowd_has(&members, other))
		err = social_group_remove(of, &ask, month.sim.now_ns);
	else
		err = social_group_add(of, &ask, month.sim.now_ns);
	CHECK_EQ(outcome(admin, err, before), 0);
	epoch_note(group);
	group_change_cnt++;
}

/* --- a month --- */

static void act(unsigned person)
{
	struct truth *post = own_post(person);
	unsigned what = draw(12);

	accept_all(person);
	if (what == 0 && post)
		edit_post(post);
	else if (what == 1 && post)
		delete_post(post);
	else if (what <= 3 && post)
		revoke_post(post);
	else if (what == 4)
		change_circle(person);
	else
		write_post(person);
}

static void lose(unsigned person)
{
	if (is_on(person))
		sim_crash(&month.sim.nodes[person]);
	month.persons[person].is_lost = true;
}

/* Machines and anchors that go in this step of all. */
static void losses(unsigned step)
{
	unsigned all = month.days * DAY_STEPS, anchor_cnt = 0;

	for (unsigned i = 0; i < LOST; i++)
		if (step == (i + 1) * all / (LOST + 1))
			lose(4 * i + 1);
	for (unsigned i = 0; i < month.people; i++) {
		if (!month.persons[i].is_anchor || anchor_cnt++ % 2)
			continue;
		if (step == (anchor_cnt / 2 + 1) * all / (month.people / 20 + 2))
			lose(i);
	}
}

static void sleep_or_wake(unsigned person)
{
	struct life *self = &month.persons[person];
	bool is_awake = self->is_anchor || self->is_home || draw(3) == 0;

	if (self->is_lost || is_awake == is_on(person))
		return;
	if (is_awake)
		sim_start(&month.sim.nodes[person]);
	else
		sim_crash(&month.sim.nodes[person]);
}

/* Until end_ns, and a while of it with nodes that are awake. */
static void rest(uint64_t end_ns)
{
	(void)sim_run(&month.sim, AWAKE_NS, NULL, NULL);
	for (unsigned i = 0; i < month.people; i++)
		if (is_on(i) && !month.persons[i].is_anchor)
			sim_crash(&month.sim.nodes[i]);
	if (month.sim.now_ns < end_ns)
		(void)sim_run(&month.sim, end_ns - month.sim.now_ns, NULL, NULL);
}

static void step_pass(unsigned step)
{
	uint64_t end_ns = month.sim.now_ns + STEP_NS;

	losses(step);
	for (unsigned i = 0; i < month.people; i++)
		sleep_or_wake(i);
	for (unsigned i = 0; i < month.people; i++)
		if (is_on(i))
			meet_all_of(i);
	(void)sim_run(&month.sim, 60 * NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < month.people; i++)
		for (unsigned j = 0; is_on(i) && j < ACTS; j++)
			act(i);
	for (unsigned i = 0; i < month.group_cnt; i++)
		if (is_on(month.groups[i].admin) && draw(2) == 0)
			group_change(i);
	for (unsigned i = 0; i < month.group_cnt; i++)
		epoch_note(i);
	rest(end_ns);
}

static unsigned number_of(const char *name, unsigned otherwise)
{
	return getenv(name) ? (unsigned)atoi(getenv(name)) : otherwise;
}

/* --- what came out --- */

/* Whether person reads the post on its own node. */
static bool reads(unsigned person, const struct truth *post)
{
	struct opened_post *opened;

	if (social_read_open(social_read_of(social_of(person)), post->id, &opened) < 0)
		return false;
	social_opened_free(opened);
	return true;
}

static bool should_read(const struct truth *post, unsigned person)
{
	struct group_view view;

	switch (post->kind) {
	case VISIBILITY_PUBLIC:
		return are_contacts(post->author, person);
	case VISIBILITY_GROUP:
		return group_look(post->group, person, &view) && may_ever(post, person);
	default:
		return crowd_has(&post->now, person);
	}
}

/* Nodes exchange posts of people that both follow, and of groups where each takes the other for a member. */
static bool do_exchange(const struct truth *post, unsigned a, unsigned b)
{
	struct crowd of_a, of_b;
	struct group_view view;

	if (post->kind != VISIBILITY_GROUP || !group_look(post->group, a, &view))
		return are_contacts(a, b);
	of_a = members_at(post->group, a);
	of_b = members_at(post->group, b);
	return crowd_has(&of_a, b) && crowd_has(&of_b, a);
}

/* A node that person exchanges such posts with may read it as well, and has it. */
static bool is_within_reach(const struct truth *post, unsigned person)
{
	for (unsigned i = 0; i < month.people; i++)
		if (i != person && is_on(i) && do_exchange(post, i, person) &&
		    (post->author == i || should_read(post, i)) && reads(i, post))
			return true;
	return false;
}

struct tally {
	unsigned read_cnt, lost_cnt, missing_cnt, left_cnt;
};

static void missing_note(const struct truth *post, unsigned person, struct tally *tally)
{
	printf("# %u has not post %u of %u, of kind %u%s\n", person, (unsigned)(post - posts),
	       post->author, post->kind, post->is_direct ? ", direct" : "");
	tally->missing_cnt++;
}

static void tally_post(const struct truth *post, struct tally *tally)
{
	for (unsigned i = 0; i < month.people; i++) {
		if (!is_on(i) || i == post->author)
			continue;
		if (post->is_over) {
			tally->left_cnt += post->is_gone && is_on(post->author) &&
					   are_contacts(i, post->author) &&
					   post->kind != VISIBILITY_GROUP && reads(i, post);
		} else if (should_read(post, i)) {
			if (reads(i, post))
				tally->read_cnt++;
			else if (is_within_reach(post, i))
				missing_note(post, i, tally);
			else
				tally->lost_cnt++;
		}
	}
}

static struct tally tally_all(void)
{
	struct tally tally = {0};

	for (unsigned i = 0; i < post_cnt; i++)
		tally_post(&posts[i], &tally);
	return tally;
}

static unsigned leak_cnt;

static void on_opened(void *arg, unsigned person, const uint8_t *id)
{
	(void)arg;
	for (unsigned i = 0; i < post_cnt; i++) {
		if (memcmp(posts[i].id, id, POST_ID_LEN) != 0)
			continue;
		if (!may_ever(&posts[i], person)) {
			printf("# %u opens post %u of %u\n", person, i, posts[i].author);
			leak_cnt++;
		}
		return;
	}
	abort();
}

static void all_wake(void)
{
	for (unsigned i = 0; i < month.people; i++)
		if (!month.persons[i].is_lost && !is_on(i))
			sim_start(&month.sim.nodes[i]);
	for (unsigned round = 0; round < 4; round++) {
		for (unsigned i = 0; i < month.people; i++)
			if (is_on(i)) {
				meet_all_of(i);
				accept_all(i);
			}
		(void)sim_run(&month.sim, AWAKE_NS, NULL, NULL);
	}
}

static void test_after_days_of_people_readers_read_and_no_others_can(void)
{
	struct tally tally;
	struct tap_figures tried;

	month.people = number_of("MONTH_PEOPLE", PEOPLE);
	month.days = number_of("MONTH_DAYS", seed_is_small() ? 1 : DAYS);
	month_begin(on_made);
	for (unsigned step = 0; step < month.days * DAY_STEPS; step++)
		step_pass(step);
	all_wake();
	tally = tally_all();
	printf("# %u people, %u days, %u posts; %u edited, %u deleted, %u wrapped, %u "
	       "sealed anew, %u "
	       "changes of groups\n",
	       month.people, month.days, post_cnt, edited_cnt, deleted_cnt, wrapped_cnt, sealed_cnt,
	       group_change_cnt);
	printf("# %u read, %u of them at no node that is left, %u missing, %u of deleted posts\n",
	       tally.read_cnt, tally.lost_cnt, tally.missing_cnt, tally.left_cnt);
	CHECK(tally.read_cnt > 0);
	CHECK_EQ(tally.missing_cnt, 0);
	CHECK_EQ(tally.left_cnt, 0);
	tap_try(on_opened, NULL, &tried);
	printf("# %llu posts came %llu times; %llu content keys, %llu group keys: %llu open, %llu "
	       "trials shut\n",
	       (unsigned long long)tried.post_cnt, (unsigned long long)tried.got_cnt,
	       (unsigned long long)tried.content_key_cnt, (unsigned long long)tried.group_key_cnt,
	       (unsigned long long)tried.opened_cnt, (unsigned long long)tried.shut_cnt);
	CHECK(tried.opened_cnt > 0);
	CHECK_EQ(leak_cnt, 0);
	sim_report(&month.sim, "month");
	tap_end();
	sim_fini(&month.sim);
}

int main(void)
{
	RUN(test_after_days_of_people_readers_read_and_no_others_can);
	return check_done();
}
