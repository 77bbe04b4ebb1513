/* SPDX-License-Identifier: Apache-2.0 */
/* The epoch key: its forms, and how it reaches the members of a strict community. */
#include "blobs/scope.h"
#include "community/access/epoch_key.h"

#include <string.h>

#include "base/monotonic.h"
#include "base/random.h"
#include "community/community_state.h"
#include "crypto/key_seal.h"
#include "support/check.h"
#include "support/community_lab.h"

#define MINUTES(n) ((n) * 60 * NS_PER_S)

static struct community_lab lab;
static uint8_t id[COMMUNITY_ID_LEN];

/* --- forms --- */

static struct node_key *key_of(uint8_t number)
{
	uint8_t seed[NODE_KEY_SEED_LEN] = {number};
	struct node_key *key;

	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

static struct epoch_keys two_keys(void)
{
	struct epoch_keys keys = {0};
	struct random random;

	random_init_seeded(&random, 3);
	community_epoch_keys_make(&keys, &random, 4);
	community_epoch_keys_make(&keys, &random, 5);
	return keys;
}

static struct community_revocations revocations_of(const struct epoch_key *key)
{
	struct community_revocations revocations = {.epoch = key->epoch, .has_commit = true};

	community_epoch_key_commit(key->secret, revocations.commit);
	return revocations;
}

/* Of the same bytes, by b3sum --derive-key and --keyed. */
static void test_commitment_and_blinded_ids_are_those_of_the_vectors(void)
{
	static const uint8_t commit[32] = {0x5c, 0xb8, 0xba, 0x76, 0xeb, 0x31, 0x8d, 0x18,
					   0x03, 0x47, 0x2d, 0x2f, 0x7f, 0x7a, 0x16, 0x45,
					   0x06, 0x82, 0xa8, 0x7d, 0x31, 0xe0, 0x13, 0xb9,
					   0x23, 0x8a, 0xcf, 0x6d, 0xd5, 0x7c, 0x3b, 0xc5},
			     blind[32] = {0x26, 0xe7, 0x72, 0x7c, 0x54, 0x36, 0xa3, 0xeb,
					  0xf3, 0xf0, 0x5f, 0xb0, 0xe8, 0x0f, 0xae, 0x13,
					  0x2c, 0x28, 0x3b, 0x80, 0x7d, 0x55, 0x3b, 0x14,
					  0x9b, 0x09, 0x37, 0xc2, 0x4f, 0x09, 0xad, 0x41};
	uint8_t secret[EPOCH_KEY_LEN], content[32], out[32], name[BLIND_ID_LEN];
	struct blind_key key = {.is_missing = false};

	for (unsigned i = 0; i < 32; i++) {
		secret[i] = (uint8_t)i;
		content[i] = (uint8_t)(0x80 + i);
	}
	community_epoch_key_commit(secret, out);
	CHECK_MEM(out, commit, sizeof(commit));
	community_epoch_key_blind(secret, &key);
	blobs_blind_id_write(&key, content, name);
	CHECK_MEM(name, blind, sizeof(blind));
}

static void test_what_is_written_is_read_by_the_same_seal_alone(void)
{
	struct node_key *key = key_of(1), *other_key = key_of(2);
	struct epoch_keys keys = two_keys(), read;
	struct key_seal *seal, *other;
	uint8_t row[EPOCH_KEY_ROW_CAP];
	size_t len;

	CHECK_EQ(key_seal_new(key, &seal), 0);
	CHECK_EQ(key_seal_new(other_key, &other), 0);
	len = community_epoch_keys_write(&keys, seal, row);
	CHECK(!memmem(row, len, keys.current.secret, 8));
	CHECK(!memmem(row, len, keys.previous.secret, 8));
	CHECK_EQ(community_epoch_keys_parse(row, len, seal, &read), 0);
	CHECK_MEM(&read, &keys, sizeof(keys));
	CHECK_EQ(community_epoch_keys_parse(row, len, other, &read), WEFT_ESEALED);
	for (size_t cut = 0; cut < len; cut++)
		CHECK(community_epoch_keys_parse(row, cut, seal, &read) < 0);
	CHECK_EQ(community_epoch_keys_parse(row, len + 1, seal, &read), WEFT_EDAMAGED);
	row[0]++;
	CHECK_EQ(community_epoch_keys_parse(row, len, seal, &read), WEFT_EDAMAGED);
	key_seal_free(seal);
	key_seal_free(other);
	node_key_free(key);
	node_key_free(other_key);
}

static void test_a_box_counts_when_the_revocation_list_commits_to_it(void)
{
	struct node_key *key = key_of(1), *other = key_of(2);
	struct epoch_keys made = two_keys(), taken = {0};
	struct community_revocations revocations = revocations_of(&made.current),
				     older = revocations_of(&made.previous);
	struct community_revocations bare = {.epoch = 5};
	uint8_t box[KEY_WRAP_LEN], wrong[KEY_WRAP_LEN];

	CHECK_EQ(key_wrap(node_key_public(key), made.current.secret, box), 0);
	CHECK_EQ(key_wrap(node_key_public(key), made.previous.secret, wrong), 0);
	CHECK_EQ(community_epoch_keys_take(&taken, key, &revocations, wrong), WEFT_ESTALE);
	CHECK_EQ(community_epoch_keys_take(&taken, key, &bare, box), WEFT_ESTALE);
	CHECK_EQ(community_epoch_keys_take(&taken, other, &revocations, box), WEFT_EDAMAGED);
	CHECK_EQ(taken.current.epoch, 0);
	CHECK_EQ(community_epoch_keys_take(&taken, key, &older, wrong), 0);
	CHECK_EQ(community_epoch_keys_take(&taken, key, &revocations, box), 0);
	CHECK_MEM(&taken, &made, sizeof(made));
	CHECK(community_epoch_keys_are_of(&taken, &revocations) &&
	      !community_epoch_keys_are_of(&taken, &older));
	CHECK_EQ(community_epoch_keys_take(&taken, key, &revocations, box), WEFT_ESTALE);
	node_key_free(key);
	node_key_free(other);
}

/* --- members --- */

static struct community_lab_node *node_up(void)
{
	struct community_lab_node *node = community_lab_add(&lab);

	community_lab_start(node);
	return node;
}

static void join(struct community_lab_node *node, struct community_lab_node *issuer)
{
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	struct link link;
	int len;

	CHECK_EQ(community_link(issuer->communities, id, &link), 0);
	len = community_token(issuer->communities, id, node_key_public(node->key),
			      community_lab_wall_s(&lab) + COMMUNITY_TOKEN_LIFE_S_MAX, token);
	CHECK(len > 0);
	CHECK_EQ(community_lab_join(node, "club", &link, token, (size_t)len), 0);
}

static const struct epoch_keys *keys_of(const struct community_lab_node *node)
{
	return &community_lookup(node->communities, id)->epoch_keys;
}

struct want {
	unsigned first, cnt;
	uint64_t epoch;
};

static bool have_key(void *arg)
{
	const struct want *want = arg;

	for (unsigned i = want->first; i < want->first + want->cnt; i++)
		if (community_lab_info(&lab.nodes[i], id).key_epoch != want->epoch)
			return false;
	return true;
}

static bool wait_key(unsigned first, unsigned cnt, uint64_t epoch)
{
	struct want want = {first, cnt, epoch};

	return community_lab_run(&lab, MINUTES(15), have_key, &want);
}

static void test_members_take_the_key_of_each_epoch_and_the_expelled_do_not(void)
{
	struct community_lab_node *home, *b, *c;
	struct epoch_key first;

	community_lab_init(&lab, 21, 3);
	home = node_up(), b = node_up(), c = node_up();
	CHECK_EQ(community_lab_create(home, "club", true, id), 0);
	join(b, home);
	join(c, home);
	CHECK(wait_key(0, 3, 1));
	first = keys_of(home)->current;
	CHECK_MEM(&keys_of(b)->current, &first, sizeof(first));
	CHECK_MEM(&keys_of(c)->current, &first, sizeof(first));

	CHECK_EQ(community_expel(home->communities, id, node_key_public(c->key), true,
				 lab.mesh.now_ns),
		 0);
	CHECK(wait_key(0, 2, 2));
	CHECK_MEM(keys_of(b), keys_of(home), sizeof(struct epoch_keys));
	CHECK_MEM(&keys_of(b)->previous, &first, sizeof(first));
	CHECK(memcmp(keys_of(b)->current.secret, first.secret, sizeof(first.secret)) != 0);
	CHECK(!community_lab_run(&lab, MINUTES(30), NULL, NULL));
	CHECK_MEM(&keys_of(c)->current, &first, sizeof(first));
	community_lab_fini(&lab);
}

static void test_a_late_joiner_has_it_from_a_member_while_home_is_away(void)
{
	struct community_lab_node *home, *b, *c;
	uint8_t token[COMMUNITY_TOKEN_LEN_MAX];
	struct link link;
	int len;

	community_lab_init(&lab, 22, 3);
	home = node_up(), b = node_up(), c = node_up();
	CHECK_EQ(community_lab_create(home, "club", true, id), 0);
	join(b, home);
	CHECK(wait_key(0, 2, 1));
	len = community_token(home->communities, id, node_key_public(c->key),
			      community_lab_wall_s(&lab) + 86400, token);
	CHECK(len > 0);
	CHECK_EQ(community_link(b->communities, id, &link), 0);
	community_lab_kill(home);
	CHECK_EQ(community_lab_join(c, "club", &link, token, (size_t)len), 0);
	CHECK(wait_key(2, 1, 1));
	CHECK_MEM(&keys_of(c)->current, &keys_of(b)->current, sizeof(struct epoch_key));
	community_lab_fini(&lab);
}

static void test_keys_outlive_kill_9_sealed(void)
{
	struct node_key *own[2] = {key_of(7), key_of(8)};
	struct epoch_keys before;

	community_lab_init(&lab, 23, 2);
	for (unsigned i = 0; i < 2; i++) {
		CHECK(community_lab_add(&lab) != NULL);
		CHECK_EQ(key_seal_new(own[i], &lab.nodes[i].seal), 0);
		community_lab_start(&lab.nodes[i]);
	}
	CHECK_EQ(community_lab_create(&lab.nodes[0], "club", true, id), 0);
	join(&lab.nodes[1], &lab.nodes[0]);
	CHECK(wait_key(0, 2, 1));
	before = *keys_of(&lab.nodes[0]);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	/* Each is alone when it starts: no node could send it. */
	for (unsigned i = 0; i < 2; i++)
		community_lab_kill(&lab.nodes[i]);
	for (unsigned i = 0; i < 2; i++) {
		community_lab_start(&lab.nodes[i]);
		CHECK_EQ(community_lab_info(&lab.nodes[i], id).key_epoch, 1);
		CHECK_MEM(&keys_of(&lab.nodes[i])->current, &before.current,
			  sizeof(before.current));
		community_lab_kill(&lab.nodes[i]);
	}
	for (unsigned i = 0; i < 2; i++) {
		key_seal_free(lab.nodes[i].seal);
		node_key_free(own[i]);
	}
	community_lab_fini(&lab);
}

/* The seal of another node stands for a row that cannot be read. */
static void test_home_begins_a_new_epoch_where_its_key_is_lost(void)
{
	struct community_lab_node *home;
	struct store_batch *batch;
	uint8_t row[sizeof(EPOCH_KEY_ROW_NAME) - 1 + COMMUNITY_ID_LEN];

	community_lab_init(&lab, 24, 1);
	home = node_up();
	CHECK_EQ(community_lab_create(home, "club", true, id), 0);
	CHECK_EQ(community_lab_info(home, id).key_epoch, 1);
	memcpy(row, EPOCH_KEY_ROW_NAME, sizeof(EPOCH_KEY_ROW_NAME) - 1);
	memcpy(row + sizeof(EPOCH_KEY_ROW_NAME) - 1, id, COMMUNITY_ID_LEN);
	batch = store_batch_new(home->store);
	store_batch_delete(batch, STORE_META, store_key(row, sizeof(row)));
	CHECK_EQ(store_submit(home->store, batch, NULL, NULL), 0);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	community_lab_kill(home);
	community_lab_start(home);
	CHECK_EQ(community_lab_info(home, id).epoch, 2);
	CHECK_EQ(community_lab_info(home, id).key_epoch, 2);
	community_lab_fini(&lab);
}

static void test_an_open_community_has_no_key(void)
{
	struct community_lab_node *home;

	community_lab_init(&lab, 25, 1);
	home = node_up();
	CHECK_EQ(community_lab_create(home, "club", false, id), 0);
	CHECK(!community_lab_run(&lab, MINUTES(5), NULL, NULL));
	CHECK_EQ(community_lab_info(home, id).key_epoch, 0);
	community_lab_fini(&lab);
}

/* What is asked beyond it is asked with the next sync; it shows. */
static void test_sixteen_members_are_asked_at_once_and_no_more(void)
{
	struct community_lab_node *home, *b;
	struct community_stats stats;
	struct community *community;
	struct peer_places places;
	struct mesh_peer peer;

	community_lab_init(&lab, 26, 2);
	home = node_up(), b = node_up();
	CHECK_EQ(community_lab_create(home, "club", true, id), 0);
	join(b, home);
	CHECK(wait_key(0, 2, 1));
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	community = community_lookup(b->communities, id);
	CHECK_EQ(community_peer(b->communities, id, node_key_public(home->key), &peer, &places), 0);
	for (unsigned i = 0; i < REVOCATIONS_SHOWS_MAX; i++)
		community_revocations_show(community, &peer, lab.mesh.now_ns);
	communities_stats(b->communities, &stats);
	CHECK_EQ(stats.show_cnt, REVOCATIONS_SHOWS_MAX);
	CHECK_EQ(stats.show_cap, REVOCATIONS_SHOWS_MAX);
	CHECK_EQ(stats.show_refused_cnt, 0);
	community_revocations_show(community, &peer, lab.mesh.now_ns);
	communities_stats(b->communities, &stats);
	CHECK_EQ(stats.show_cnt, REVOCATIONS_SHOWS_MAX);
	CHECK_EQ(stats.show_refused_cnt, 1);
	CHECK(!community_lab_run(&lab, MINUTES(1), NULL, NULL));
	communities_stats(b->communities, &stats);
	CHECK_EQ(stats.show_cnt, 0);
	community_lab_fini(&lab);
}

static bool has_later_token(void *arg)
{
	return community_lookup(lab.nodes[1].communities, id)->token_expires_s > *(uint64_t *)arg;
}

/* No member hands on tokens: home replaces one that is half over. */
static void test_a_token_is_renewed_when_half_of_it_is_over_and_not_before(void)
{
	struct community_lab_node *home, *b;
	uint64_t expires_s;

	community_lab_init(&lab, 27, 2);
	home = node_up(), b = node_up();
	CHECK_EQ(community_lab_create(home, "club", true, id), 0);
	join(b, home);
	CHECK(wait_key(0, 2, 1));
	expires_s = community_lookup(b->communities, id)->token_expires_s;
	CHECK(!community_lab_run(&lab, MINUTES(14ull * 24 * 60), has_later_token, &expires_s));
	CHECK(community_lab_run(&lab, MINUTES(2ull * 24 * 60), has_later_token, &expires_s));
	CHECK(community_lookup(b->communities, id)->token_expires_s > expires_s + 14ull * 86400);
	community_lab_fini(&lab);
}

int main(void)
{
	RUN(test_a_token_is_renewed_when_half_of_it_is_over_and_not_before);
	RUN(test_sixteen_members_are_asked_at_once_and_no_more);
	RUN(test_commitment_and_blinded_ids_are_those_of_the_vectors);
	RUN(test_what_is_written_is_read_by_the_same_seal_alone);
	RUN(test_a_box_counts_when_the_revocation_list_commits_to_it);
	RUN(test_members_take_the_key_of_each_epoch_and_the_expelled_do_not);
	RUN(test_a_late_joiner_has_it_from_a_member_while_home_is_away);
	RUN(test_keys_outlive_kill_9_sealed);
	RUN(test_home_begins_a_new_epoch_where_its_key_is_lost);
	RUN(test_an_open_community_has_no_key);
	return check_done();
}
