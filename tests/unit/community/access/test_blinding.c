/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys a node blinds ids with, as its store says. */
#include "community/access/blinding.h"

#include <string.h>

#include "base/monotonic.h"
#include "blobs/scope.h"
#include "community/access/epoch_key.h"
#include "community/record/community_record.h"
#include "crypto/node_key.h"
#include "support/check.h"
#include "support/community_lab.h"

#define MINUTES(n) ((n) * 60 * NS_PER_S)

static struct community_lab lab;
static uint8_t id[COMMUNITY_ID_LEN];
static struct blind_keys keys;
static const uint8_t content[32] = {'x'};

static struct community_lab_node *node_up(void)
{
	struct community_lab_node *node = community_lab_add(&lab);

	community_lab_start(node);
	return node;
}

/* NULL: it could not join. */
static struct community_lab_node *member_up(struct community_lab_node *issuer)
{
	struct community_lab_node *node = node_up();
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	struct link link;
	int len = 0;

	if (community_link(issuer->communities, id, &link) < 0 ||
	    (len = community_token(issuer->communities, id, node_key_public(node->key),
				   community_lab_wall_s(&lab) + COMMUNITY_TOKEN_LIFE_S_MAX,
				   token)) < 0 ||
	    community_lab_join(node, "club", &link, token, (size_t)len) < 0)
		return NULL;
	return node;
}

static bool has_key(void *arg)
{
	struct community_lab_node *node = arg;
	struct community_info info = community_lab_info(node, id);

	return info.key_epoch && info.key_epoch == community_lab_info(&lab.nodes[0], id).epoch;
}

/* How many keys node has after_s seconds later. */
static unsigned key_cnt(const struct community_lab_node *node, uint64_t after_s)
{
	uint64_t wall_s = community_lab_wall_s(&lab) + after_s;

	return community_blind_keys(node->store, node->seal, wall_s, &keys) < 0 ? 99 : keys.cnt;
}

static bool opens(const uint8_t *name)
{
	uint8_t opened[32];
	const struct blind_key *key = blobs_blind_id_open(&keys, name, opened);

	return key && memcmp(key->community, id, sizeof(id)) == 0 &&
	       memcmp(opened, content, sizeof(content)) == 0;
}

static void test_members_name_things_alike_and_those_of_the_epoch_before_for_the_grace(void)
{
	struct community_lab_node *home, *member, *expelled;
	uint8_t old_name[BLIND_ID_LEN], name[BLIND_ID_LEN];

	community_lab_init(&lab, 31, 3);
	home = node_up();
	CHECK_EQ(community_lab_create(home, "club", true, id), 0);
	member = member_up(home);
	expelled = member_up(home);
	CHECK(member && expelled);
	CHECK(community_lab_run(&lab, MINUTES(15), has_key, member));
	CHECK(community_lab_run(&lab, MINUTES(15), has_key, expelled));
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	CHECK_EQ(key_cnt(home, 0), 1);
	blobs_blind_id_write(&keys.keys[0], content, old_name);
	CHECK(memcmp(old_name, content, 32) != 0 && memcmp(old_name + 32, content, 32) != 0);
	CHECK_EQ(key_cnt(member, 0), 1);
	CHECK(opens(old_name));

	CHECK_EQ(community_expel(home->communities, id, node_key_public(expelled->key), true,
				 lab.mesh.now_ns),
		 0);
	CHECK(community_lab_run(&lab, MINUTES(15), has_key, member));
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	CHECK_EQ(key_cnt(member, 0), 2);
	CHECK(opens(old_name));
	blobs_blind_id_write(&keys.keys[0], content, name);
	CHECK(memcmp(name, old_name, 32) != 0);
	/* An expelled member cannot tell what members ask for, nor ask by the name of now. */
	CHECK_EQ(key_cnt(expelled, 0), 1);
	CHECK(!opens(name));
	CHECK_EQ(key_cnt(member, COMMUNITY_GRACE_S), 1);
	CHECK(opens(name) && !opens(old_name));
	community_lab_fini(&lab);
}

static void test_an_epoch_without_its_key_is_listed_as_missing(void)
{
	struct community_lab_node *home;
	struct store_batch *batch;
	uint8_t row[sizeof(EPOCH_KEY_ROW_NAME) - 1 + COMMUNITY_ID_LEN];

	community_lab_init(&lab, 32, 1);
	home = node_up();
	CHECK_EQ(community_lab_create(home, "club", true, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	memcpy(row, EPOCH_KEY_ROW_NAME, sizeof(EPOCH_KEY_ROW_NAME) - 1);
	memcpy(row + sizeof(EPOCH_KEY_ROW_NAME) - 1, id, COMMUNITY_ID_LEN);
	batch = store_batch_new(home->store);
	store_batch_delete(batch, STORE_META, store_key(row, sizeof(row)));
	CHECK_EQ(store_submit(home->store, batch, NULL, NULL), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	CHECK_EQ(key_cnt(home, 0), 1);
	CHECK(keys.keys[0].is_missing);
	CHECK(blobs_blind_keys_first(&keys, id) == &keys.keys[0]);
	community_lab_fini(&lab);
}

static void test_open_communities_blind_nothing(void)
{
	struct community_lab_node *home;

	community_lab_init(&lab, 33, 1);
	home = node_up();
	CHECK_EQ(community_lab_create(home, "club", false, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	CHECK_EQ(key_cnt(home, 0), 0);
	community_lab_fini(&lab);
}

/* More than there is room for at first. */
static void test_keys_of_many_communities_are_all_found(void)
{
	struct blind_keys many = {.cnt = 0};
	uint8_t name[BLIND_ID_LEN], opened[32];

	for (unsigned i = 0; i < 100; i++) {
		struct blind_key *key = blobs_blind_keys_add(&many);

		CHECK(key != NULL);
		*key = (struct blind_key){.community = {(uint8_t)i}, .blind = {1, (uint8_t)i}};
	}
	for (unsigned i = 0; i < 100; i++) {
		blobs_blind_id_write(&many.keys[i], content, name);
		CHECK(blobs_blind_id_open(&many, name, opened) == &many.keys[i]);
		CHECK_MEM(opened, content, sizeof(opened));
		name[i % BLIND_ID_LEN] ^= 1;
		CHECK(!blobs_blind_id_open(&many, name, opened));
	}
	blobs_blind_keys_fini(&many);
}

int main(void)
{
	RUN(test_members_name_things_alike_and_those_of_the_epoch_before_for_the_grace);
	RUN(test_an_epoch_without_its_key_is_listed_as_missing);
	RUN(test_open_communities_blind_nothing);
	RUN(test_keys_of_many_communities_are_all_found);
	blobs_blind_keys_fini(&keys);
	return check_done();
}
