/* SPDX-License-Identifier: Apache-2.0 */
/* The key of a community that was made here, as it lies in the store. */
#include "base/monotonic.h"
#include "crypto/key_seal.h"
#include "support/check.h"
#include "support/community_lab.h"

static struct community_lab lab;

/* The row of a community has its seed sealed: it is longer by as much. */
static size_t row_len(const struct community_lab_node *node, const uint8_t *id)
{
	struct store_snapshot *snapshot;
	const void *row;
	size_t len;

	if (store_snapshot_open(node->store, &snapshot) < 0 ||
	    store_get(snapshot, STORE_COMMUNITIES, store_key(id, COMMUNITY_ID_LEN), &row, &len) < 0)
		abort();
	store_snapshot_close(snapshot);
	return len;
}

static bool can_sign(struct community_lab_node *node, const uint8_t *id)
{
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];

	return community_token(node->communities, id, node_key_public(node->key),
			       community_lab_wall_s(&lab) + 60, token) > 0;
}

static void test_a_key_is_sealed_by_the_next_start_and_outlives_kill_9(void)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {1}, id[COMMUNITY_ID_LEN];
	struct community_lab_node *node;
	struct key_seal *seal;
	struct node_key *key;
	size_t plain_len;

	CHECK_EQ(node_key_from_seed(seed, &key), 0);
	CHECK_EQ(key_seal_new(key, &seal), 0);
	community_lab_init(&lab, 13, 1);
	node = community_lab_add(&lab);
	community_lab_start(node);
	CHECK_EQ(community_lab_create(node, "club", true, id), 0);
	CHECK(!community_lab_run(&lab, 60 * NS_PER_S, NULL, NULL));
	plain_len = row_len(node, id);
	node->seal = seal;
	for (unsigned i = 0; i < 2; i++) {
		community_lab_kill(node);
		community_lab_start(node);
		CHECK(!community_lab_run(&lab, 60 * NS_PER_S, NULL, NULL));
		CHECK_EQ(row_len(node, id), plain_len + KEY_SEAL_LEN_MAX - NODE_KEY_SEED_LEN);
		CHECK(can_sign(node, id));
	}
	community_lab_fini(&lab);
	key_seal_free(seal);
	node_key_free(key);
}

int main(void)
{
	RUN(test_a_key_is_sealed_by_the_next_start_and_outlives_kill_9);
	return check_done();
}
