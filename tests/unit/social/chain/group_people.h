/* SPDX-License-Identifier: Apache-2.0 */
#ifndef WEFT_TESTS_GROUP_PEOPLE_H
#define WEFT_TESTS_GROUP_PEOPLE_H

#include <stdlib.h>
#include <string.h>

#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "social/chain/group_rules.h"
#include "support/check.h"

/* People with keys of known seeds, and states of groups of them. */
#define PEOPLE_CAP 400u

static struct node_key *people[PEOPLE_CAP];

static inline struct node_key *people_key(unsigned number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)number, (uint8_t)(number >> 8), 31};

	if (!people[number] && node_key_from_seed(seed, &people[number]) < 0)
		abort();
	return people[number];
}

static inline const uint8_t *person(unsigned number)
{
	return node_key_public(people_key(number));
}

static inline void people_fini(void)
{
	for (unsigned i = 0; i < PEOPLE_CAP; i++)
		node_key_free(people[i]);
}

static inline int people_order(const void *a, const void *b)
{
	return memcmp(((const struct group_member *)a)->key, ((const struct group_member *)b)->key,
		      NODE_KEY_LEN);
}

/* A state as bytes, and as it is read. */
struct signed_state {
	uint8_t bytes[GROUP_LEN_MAX];
	size_t len;
	uint8_t hash[GROUP_HASH_LEN];
	struct group_state state;
};

static inline void state_sign(struct signed_state *out, const struct group_state *state,
			      const struct node_key *admin)
{
	struct writer w = writer_of(out->bytes, sizeof(out->bytes));

	social_group_write(&w, state, admin);
	if (w.bad || social_group_read(out->bytes, writer_len(&w), &out->state) < 0)
		abort();
	out->len = writer_len(&w);
	blake3_hash(out->bytes, out->len, out->hash);
}

/* Epoch 0 of a group of the people [0, cnt): 0 is admin, 1 moderator, 2 poster, the others viewers. */
static const uint8_t people_group[GROUP_ID_LEN] = {71};
static inline void state_first(struct signed_state *out, unsigned cnt)
{
	static struct group_state state;

	state = (struct group_state){
		.group = people_group, .key = person(300), .member_cnt = cnt, .shard_cnt = 1};
	for (unsigned i = 0; i < cnt; i++) {
		memcpy(state.members[i].key, person(i), NODE_KEY_LEN);
		state.members[i].role = i < 3 ? (enum group_role)(GROUP_ADMIN - i) : GROUP_VIEWER;
	}
	qsort(state.members, cnt, sizeof(state.members[0]), people_order);
	state_sign(out, &state, people_key(0));
}

/* What follows before with edit, with the key of that person's number, not signed yet. */
static inline void state_next(struct group_state *out, const struct signed_state *before,
			      const struct group_edit *edit, unsigned key)
{
	CHECK_EQ(social_group_edit(&before->state, edit, out), 0);
	out->previous = before->hash;
	out->key = person(key);
}

#endif
