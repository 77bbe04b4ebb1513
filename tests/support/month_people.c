/* SPDX-License-Identifier: Apache-2.0 */
#include "support/month_people.h"

#include <stdlib.h>
#include <string.h>

#include "node/node_state.h"
#include "social/people/circles.h"
#include "social/people/person_profiles.h"
#include "support/check.h"
#include "support/sim_ask.h"
#include "support/sim_people.h"

static const struct mem_link calm = {.delay_ns = 20 * NS_PER_MS};
struct month month;
static const struct people_done people_done = {on_done, NULL};

/* --- persons --- */

bool crowd_has(const struct crowd *crowd, unsigned person)
{
	return crowd->bits[person / 8] >> person % 8 & 1;
}

void crowd_set(struct crowd *crowd, unsigned person, bool is_in)
{
	crowd->bits[person / 8] &= (uint8_t)~(1u << person % 8);
	crowd->bits[person / 8] |= (uint8_t)(is_in << person % 8);
}

static void crowd_join(struct crowd *crowd, const struct crowd *other)
{
	for (unsigned i = 0; i < sizeof(crowd->bits); i++)
		crowd->bits[i] |= other->bits[i];
}

unsigned draw(unsigned below)
{
	return (unsigned)random_below(&month.sim.dice, below);
}

bool is_on(unsigned person)
{
	return month.sim.nodes[person].node != NULL;
}

struct social *social_of(unsigned person)
{
	return month.sim.nodes[person].node->social;
}

const uint8_t *key_of(unsigned person)
{
	return node_key_public(month.sim.nodes[person].key);
}

static unsigned person_of(const uint8_t *key)
{
	for (unsigned i = 0; i < month.people; i++)
		if (memcmp(key_of(i), key, NODE_KEY_LEN) == 0)
			return i;
	return month.people;
}

bool are_contacts(unsigned a, unsigned b)
{
	for (unsigned i = 0; i < CONTACTS; i++)
		if (month.persons[a].contacts[i] == b)
			return true;
	return false;
}

bool do_meet(unsigned a, unsigned b)
{
	if (are_contacts(a, b))
		return true;
	for (unsigned i = 0; i < month.group_cnt; i++)
		if (crowd_has(&month.groups[i].met, a) && crowd_has(&month.groups[i].met, b))
			return true;
	return false;
}

void meet_all_of(unsigned person)
{
	for (unsigned i = 0; i < month.people; i++)
		if (i != person && is_on(i) && do_meet(person, i))
			(void)sim_dial(&month.sim.nodes[person], &month.sim.nodes[i]);
}

/* --- what is asked of nodes, one after another --- */

void on_done(void *arg, int err)
{
	(void)arg;
	month.last_err = err;
	month.wait_cnt++;
}

void on_written(void *arg, int err, const uint8_t *id)
{
	(void)id;
	on_done(arg, err);
}

void on_revoked(void *arg, const struct revoke_outcome *done)
{
	*(struct revoke_outcome *)arg = *done;
	on_done(arg, done->err);
}

static bool is_waited(void *arg)
{
	return month.wait_cnt != *(unsigned *)arg;
}

/* The outcome of what was asked of person, where before is wait_cnt before it. */
int outcome(unsigned person, int err, unsigned before)
{
	if (err < 0)
		return err;
	sim_wake(&month.sim.nodes[person]);
	if (!sim_run(&month.sim, 60 * NS_PER_S, is_waited, &before))
		abort();
	return month.last_err;
}

/* --- circles and groups --- */

struct crowd *epoch_members(const uint8_t *key)
{
	for (unsigned i = 0; i < month.epoch_key_cnt; i++)
		if (memcmp(month.epoch_keys[i].key, key, NODE_KEY_LEN) == 0)
			return &month.epoch_keys[i].members;
	if (month.epoch_key_cnt == KEYS_MAX)
		abort();
	memcpy(month.epoch_keys[month.epoch_key_cnt].key, key, NODE_KEY_LEN);
	return &month.epoch_keys[month.epoch_key_cnt++].members;
}

static void on_member(void *arg, const struct group_row_view *view)
{
	unsigned person = person_of(view->member->key);

	if (person < month.people)
		crowd_set(arg, person, true);
}

struct crowd members_at(unsigned group, unsigned person)
{
	struct crowd members = {{0}};

	social_group_members(social_groups_of(social_of(person)), month.groups[group].id, on_member,
			     &members);
	return members;
}

bool group_look(unsigned group, unsigned person, struct group_view *out_view)
{
	return social_group_now(social_groups_of(social_of(person)), month.groups[group].id,
				out_view) &&
	       out_view->is_member;
}

void epoch_note(unsigned group)
{
	struct group_view view;
	struct crowd members;

	if (!is_on(month.groups[group].admin) ||
	    !group_look(group, month.groups[group].admin, &view))
		return;
	members = members_at(group, month.groups[group].admin);
	crowd_join(epoch_members(view.key), &members);
	crowd_join(&month.groups[group].met, &members);
}

void change_circle(unsigned person)
{
	unsigned other = month.persons[person].contacts[draw(CONTACTS)], before = month.wait_cnt;
	const struct circle_member member = {month.persons[person].circle, key_of(other)};
	bool is_in = crowd_has(&month.persons[person].in_circle, other);
	struct people *of = social_people(social_of(person));

	CHECK_EQ(outcome(person,
			 (is_in ? social_circle_remove
				: social_circle_add)(of, &member, &people_done, month.sim.now_ns),
			 before),
		 0);
	crowd_set(&month.persons[person].in_circle, other, !is_in);
}

static void group_make(unsigned admin)
{
	struct group_ask ask = {
		.group = month.groups[month.group_cnt].id, .name = "boats", .done = on_done};
	uint8_t members[CONTACTS][NODE_KEY_LEN];
	unsigned before = month.wait_cnt;

	for (unsigned i = 0; i < CONTACTS; i++)
		memcpy(members[i], key_of(month.persons[admin].contacts[i]), NODE_KEY_LEN);
	ask.person = key_of(admin);
	ask.members = (const uint8_t(*)[NODE_KEY_LEN])members;
	ask.member_cnt = CONTACTS - 1;
	ask.role = GROUP_POSTER;
	month.groups[month.group_cnt].admin = admin;
	CHECK_EQ(outcome(admin,
			 social_group_create(social_groups_of(social_of(admin)), &ask,
					     month.sim.now_ns, month.groups[month.group_cnt].id),
			 before),
		 0);
	epoch_note(month.group_cnt++);
}

struct invites {
	unsigned cnt;
	uint8_t groups[GROUP_INVITES_MAX][GROUP_ID_LEN];
};
static void on_invite(void *arg, const struct group_invite_view *view)
{
	struct invites *invites = arg;

	memcpy(invites->groups[invites->cnt++], view->group, GROUP_ID_LEN);
}

void accept_all(unsigned person)
{
	struct invites invites = {.cnt = 0};

	social_group_invites(social_groups_of(social_of(person)), on_invite, &invites);
	for (unsigned i = 0; i < invites.cnt; i++) {
		const struct group_ask ask = {.group = invites.groups[i], .done = on_done};
		unsigned before = month.wait_cnt;

		(void)outcome(person,
			      social_group_accept(social_groups_of(social_of(person)), &ask,
						  month.sim.now_ns),
			      before);
	}
}

/* Each person has three on each side of it, a ring; that is the same from both sides. */
static void person_begin(unsigned person)
{
	static const struct circle_draft near = {.name = "near", .rank = 1};
	const struct profile_change profile = {.name = "A person"};
	struct life *self = &month.persons[person];
	unsigned before;

	for (unsigned i = 0; i < CONTACTS; i++)
		sim_follow(social_of(person), key_of(self->contacts[i]), month.sim.now_ns);
	before = month.wait_cnt;
	CHECK_EQ(outcome(person,
			 social_profile_set(social_people(social_of(person)), &profile,
					    &people_done, month.sim.now_ns),
			 before),
		 0);
	before = month.wait_cnt;
	CHECK_EQ(outcome(person,
			 social_circle_create(social_people(social_of(person)), &near, &people_done,
					      month.sim.now_ns, self->circle),
			 before),
		 0);
	for (unsigned i = 0; i < 3; i++)
		change_circle(person);
}

void month_begin(tap_made_fn made)
{
	sim_init(&month.sim, sim_seed(1), &calm);
	tap_begin(&month.sim, made, NULL);
	for (unsigned i = 0; i < month.people; i++) {
		struct sim_node *node = sim_add(&month.sim);

		month.persons[i].is_anchor = i % 10 == 0;
		month.persons[i].is_home = i % 4 == 1;
		for (unsigned j = 0; j < CONTACTS / 2; j++) {
			month.persons[i].contacts[2 * j] = (i + j * j + 1) % month.people;
			month.persons[i].contacts[2 * j + 1] =
				(i + month.people - j * j - 1) % month.people;
		}
		social_config_defaults(&node->config.social);
		node->config.social.posts.post_cap = 4096;
		node->config.social.sync.every_ns = 300 * NS_PER_S;
		node->config.social.anchors.role =
			month.persons[i].is_anchor ? ANCHOR_ROLE_YES : ANCHOR_ROLE_NO;
		sim_start(node);
	}
	for (unsigned i = 0; i < month.people; i++)
		person_begin(i);
	for (unsigned i = 0; i < month.people; i++)
		meet_all_of(i);
	for (unsigned i = 0; i < month.people && month.group_cnt < GROUPS_CAP; i += 8)
		group_make(i);
	(void)sim_run(&month.sim, 60 * NS_PER_S, NULL, NULL);
	for (unsigned i = 0; i < month.people; i++)
		accept_all(i);
}
