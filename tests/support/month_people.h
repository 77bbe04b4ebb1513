/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_MONTH_PEOPLE_H
#define WEFT_TESTS_MONTH_PEOPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "social/groups/groups.h"
#include "social/people/circles.h"
#include "social/revoke/revoke.h"
#include "social/social.h"
#include "support/sim.h"
#include "support/social_tap.h"

/*
 * People of a simulation by their numbers, each with a node. They have contacts, which follow each other,
 * circles, and groups with the keys that the epochs had. What is asked of a node is waited for.
 */
#define CONTACTS   6u
#define KEYS_MAX   4096u
#define GROUPS_CAP 64u

struct crowd {
	uint8_t bits[TAP_NODES_MAX / 8];
};
bool crowd_has(const struct crowd *crowd, unsigned person);
void crowd_set(struct crowd *crowd, unsigned person, bool is_in);

struct life {
	bool is_anchor, is_home, is_lost;
	unsigned contacts[CONTACTS];
	uint8_t circle[SOCIAL_CIRCLE_ID_LEN];
	struct crowd in_circle;
};
struct month_group {
	uint8_t id[GROUP_ID_LEN];
	unsigned admin;
	struct crowd met; /* all that ever were in it: they meet each other */
};
/* The public key of an epoch, and the members while it was in force, as its admin saw it. */
struct month_epoch_key {
	uint8_t key[NODE_KEY_LEN];
	struct crowd members;
};
struct month {
	struct sim sim;
	unsigned people, days;
	struct life persons[TAP_NODES_MAX];
	struct month_group groups[GROUPS_CAP];
	unsigned group_cnt;
	struct month_epoch_key epoch_keys[KEYS_MAX];
	unsigned epoch_key_cnt;
	unsigned wait_cnt; /* answers that came */
	int last_err;
};
extern struct month month;

/* month_begin: the numbers of people and days are set; all nodes are up, made is as tap_begin has it. */
void month_begin(tap_made_fn made);
unsigned draw(unsigned below);
bool is_on(unsigned person);
struct social *social_of(unsigned person);
const uint8_t *key_of(unsigned person);
bool are_contacts(unsigned a, unsigned b);
/* do_meet: they are contacts, or were in one group. */
bool do_meet(unsigned a, unsigned b);
void meet_all_of(unsigned person);

/* Callbacks for what is asked; arg is not looked at, but of a revocation where its outcome goes. */
void on_done(void *arg, int err);
void on_written(void *arg, int err, const uint8_t *id);
void on_revoked(void *arg, const struct revoke_outcome *done);
/* outcome: of what was asked of person, with err; before is wait_cnt before it. */
int outcome(unsigned person, int err, unsigned before);

void change_circle(unsigned person);
/* epoch_members: those of the epochs with that key. */
struct crowd *epoch_members(const uint8_t *key);
struct crowd members_at(unsigned group, unsigned person);
/* group_look: false: person is no member. */
bool group_look(unsigned group, unsigned person, struct group_view *out_view);
/* epoch_note: what the admin's node has of the group now is part of the truth. */
void epoch_note(unsigned group);
void accept_all(unsigned person);

#endif
