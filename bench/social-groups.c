/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rekey of a shard costs: a member of 250 goes, and the others get the next state with its key.
 * Time of the core, so that what else the machine does is no part of it.
 *
 *	rekey	edit, sign, seal 249 keys and write 249 changes; a row for the state alone
 *	take	a member makes the state of a change, verifies it and opens its key
 *
 *	make bench B=social-groups
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/monotonic.h"
#include "crypto/blake3/blake3.h"
#include "crypto/node_key.h"
#include "social/chain/group_change.h"
#include "support/own_use.h"

#define ROUNDS 40u

static struct node_key *members[GROUP_SHARD_MAX];
static struct group_state first, next, read_next;
static struct group_change change, heard;
static uint8_t first_bytes[GROUP_LEN_MAX], next_bytes[GROUP_LEN_MAX], made[GROUP_LEN_MAX];
static uint8_t changes[GROUP_SHARD_MAX][512], hash[GROUP_HASH_LEN];
static size_t first_len, next_len, change_lens[GROUP_SHARD_MAX];
static const uint8_t id[GROUP_ID_LEN] = {1};

static void die(const char *what)
{
	fprintf(stderr, "bench/social-groups: %s\n", what);
	exit(1);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(node_key_public(*(struct node_key *const *)a),
		      node_key_public(*(struct node_key *const *)b), NODE_KEY_LEN);
}

static struct node_key *key_of(unsigned number)
{
	const uint8_t seed[NODE_KEY_SEED_LEN] = {(uint8_t)number, (uint8_t)(number >> 8), 5};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		die("no key");
	return key;
}

static void first_make(const struct node_key *secret)
{
	struct writer w = writer_of(first_bytes, sizeof(first_bytes));

	for (unsigned i = 0; i < GROUP_SHARD_MAX; i++)
		members[i] = key_of(i);
	qsort(members, GROUP_SHARD_MAX, sizeof(members[0]), by_key);
	first = (struct group_state){.group = id,
				     .key = node_key_public(secret),
				     .shard_cnt = 1,
				     .member_cnt = GROUP_SHARD_MAX};
	for (unsigned i = 0; i < GROUP_SHARD_MAX; i++)
		memcpy(first.members[i].key, node_key_public(members[i]), NODE_KEY_LEN);
	first.members[0].role = GROUP_ADMIN;
	social_group_write(&w, &first, members[0]);
	first_len = writer_len(&w);
	if (w.bad || social_group_parse(first_bytes, first_len, &first) < 0)
		die("no state");
	blake3_hash(first_bytes, first_len, hash);
}

static void next_make(const struct node_key *secret)
{
	uint8_t gone[1][NODE_KEY_LEN];
	const struct group_edit edit = {.gone = (const uint8_t(*)[NODE_KEY_LEN])gone,
					.gone_cnt = 1};
	struct writer w = writer_of(next_bytes, sizeof(next_bytes));

	memcpy(gone[0], node_key_public(members[GROUP_SHARD_MAX - 1]), NODE_KEY_LEN);
	if (social_group_edit(&first, &edit, &next) < 0)
		die("no edit");
	next.previous = hash;
	next.key = node_key_public(secret);
	social_group_write(&w, &next, members[0]);
	next_len = writer_len(&w);
	if (w.bad || social_group_parse(next_bytes, next_len, &next) < 0)
		die("no next state");
}

static void changes_make(const struct node_key *secret)
{
	struct group_wrap wrap = {
		.group = id, .admin = node_key_public(members[0]), .epoch = next.epoch};
	uint8_t nonce[12] = {0}, wrapped[GROUP_KEY_WRAPPED_LEN];

	social_change_make(&first, &next, &change);
	change.wrapped = wrapped;
	for (unsigned i = 0; i + 1 < GROUP_SHARD_MAX; i++) {
		struct writer w = writer_of(changes[i], sizeof(changes[i]));

		nonce[0] = (uint8_t)i;
		wrap.member = node_key_public(members[i]);
		if (social_group_wrap(&wrap, members[0], node_key_seed(secret), nonce, wrapped) < 0)
			die("no wrap");
		social_change_write(&w, &change);
		change_lens[i] = writer_len(&w);
	}
	change.wrapped = NULL;
}

static void change_take(unsigned member)
{
	struct group_wrap wrap = {.group = id,
				  .admin = node_key_public(members[0]),
				  .member = node_key_public(members[member]),
				  .epoch = 1};
	struct writer w = writer_of(made, sizeof(made));
	uint8_t seed[NODE_KEY_SEED_LEN];

	if (social_change_read(changes[member], change_lens[member], &heard) < 0 ||
	    social_change_apply(&first, &heard, &w) < 0 ||
	    social_group_read(made, writer_len(&w), &read_next) < 0 ||
	    social_group_judge(&first, hash, &read_next) != GROUP_VERDICT_NEXT ||
	    social_group_unwrap(&wrap, members[member], heard.wrapped, seed) < 0)
		die("no member takes it");
}

int main(void)
{
	struct node_key *secret = key_of(1000), *next_secret = key_of(1001);
	uint64_t state_ns, rekey_ns, take_ns, since_ns;

	first_make(secret);
	since_ns = own_core_ns();
	for (unsigned i = 0; i < ROUNDS; i++)
		next_make(next_secret);
	state_ns = (own_core_ns() - since_ns) / ROUNDS;
	since_ns = own_core_ns();
	for (unsigned i = 0; i < ROUNDS; i++)
		changes_make(next_secret);
	rekey_ns = (own_core_ns() - since_ns) / ROUNDS + state_ns;
	since_ns = own_core_ns();
	for (unsigned i = 0; i < ROUNDS; i++)
		change_take(1 + i);
	take_ns = (own_core_ns() - since_ns) / ROUNDS;
	printf("rekey of a shard: %.1f ms for 249 members, of it the state %.2f ms; %zu bytes\n",
	       (double)rekey_ns / 1e6, (double)state_ns / 1e6,
	       change_lens[0] * (GROUP_SHARD_MAX - 1));
	printf("a member takes it: %.2f ms\n", (double)take_ns / 1e6);
	for (unsigned i = 0; i < GROUP_SHARD_MAX; i++)
		node_key_free(members[i]);
	node_key_free(secret);
	node_key_free(next_secret);
	return 0;
}
