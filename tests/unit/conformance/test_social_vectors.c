/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Objects of the social layer against tests/vectors/social.json, whose bytes another implementation
 * made (tests/conformance/social_objects.py). Each is read, and made again to the same bytes. What is
 * sealed is opened, and sealed to the same bytes.
 */
#include <jansson.h>

#include "crypto/blake3/blake3.h"
#include "social/object/group_epoch.h"
#include "social/object/group_note.h"
#include "social/object/post_claim.h"
#include "social/object/profile.h"
#include "social/object/replica_note.h"
#include "social/object/social_address.h"
#include "social/object/successor.h"
#include "social/object/visibility.h"
#include "social/seal/group_key.h"
#include "social/seal/profile_seal.h"
#include "support/check.h"

#define CAP 8192

static json_t *file;
static struct node_key *ada, *ben, *epoch;
static uint8_t bytes[CAP], made[CAP];

static struct node_key *key_of(uint8_t first)
{
	uint8_t seed[NODE_KEY_SEED_LEN];
	struct node_key *key;

	memset(seed, first, sizeof(seed));
	if (node_key_from_seed(seed, &key) < 0)
		abort();
	return key;
}

/* The bytes of a vector, in bytes; 0: there is none. */
static size_t vector_load(const char *name)
{
	const char *hex =
		json_string_value(json_object_get(json_object_get(file, "vectors"), name));
	size_t len = hex ? strlen(hex) / 2 : 0;

	if (len > sizeof(bytes))
		abort();
	for (size_t i = 0; i < len; i++)
		if (sscanf(hex + 2 * i, "%2hhx", &bytes[i]) != 1)
			abort();
	return len;
}

#define CHECK_SAME(name, type, read, write, key)                                                   \
	do {                                                                                       \
		static struct type object;                                                         \
		struct writer w = writer_of(made, sizeof(made));                                   \
		size_t len = vector_load(name);                                                    \
                                                                                                   \
		CHECK(len > 0);                                                                    \
		CHECK_EQ(read(bytes, len, &object), 0);                                            \
		write(&w, &object, key);                                                           \
		CHECK(!w.bad);                                                                     \
		CHECK_EQ(writer_len(&w), len);                                                     \
		CHECK_MEM(made, bytes, len);                                                       \
	} while (0)

static void test_objects_of_another_implementation_are_read_and_made(void)
{
	CHECK_SAME("profile", profile, social_profile_read, social_profile_write, ada);
	CHECK_SAME("profilecircle", profile_circle, social_profile_circle_read,
		   social_profile_circle_write, ada);
	CHECK_SAME("address", social_address, social_address_read, social_address_write, ada);
	CHECK_SAME("replica", replica_note, social_replica_read, social_replica_write, ada);
	CHECK_SAME("post", post_claim, social_claim_read, social_claim_write, ada);
	CHECK_SAME("delete", post_deletion, social_deletion_read, social_deletion_write, ada);
	CHECK_SAME("vis", visibility, social_visibility_read, social_visibility_write, ada);
	CHECK_SAME("group", group_state, social_group_read, social_group_write, ada);
	CHECK_SAME("grouphide", group_hide, social_hide_read, social_hide_write, ada);
	CHECK_SAME("groupleave", group_leave, social_leave_read, social_leave_write, ada);
	CHECK_SAME("groupproof", group_proof, social_proof_read, social_proof_write, epoch);
}

static void test_a_succession_is_signed_by_both_keys(void)
{
	struct writer w = writer_of(made, sizeof(made));
	size_t len = vector_load("successor");
	uint8_t hash[BLAKE3_HASH_LEN];
	static struct profile profile;
	struct successor successor;

	CHECK_EQ(social_successor_read(bytes, len, &successor), 0);
	CHECK(successor.is_signed_by_former);
	CHECK_MEM(successor.former, node_key_public(ada), NODE_KEY_LEN);
	social_successor_write(&w, &successor, ben, ada);
	CHECK_EQ(writer_len(&w), len);
	CHECK_MEM(made, bytes, len);
	CHECK_EQ(social_profile_read(bytes, vector_load("profile"), &profile), 0);
	social_successor_hash(node_key_public(epoch), hash);
	CHECK_MEM(profile.next_key, hash, sizeof(hash));
}

/* As the script draws it: a key of sevens, and two nonces. */
static void fresh_fill(uint8_t fresh[static PROFILE_SEAL_RANDOM_LEN])
{
	memset(fresh, 7, 32);
	for (unsigned i = 0; i < 12; i++) {
		fresh[32 + i] = (uint8_t)i;
		fresh[44 + i] = (uint8_t)(100 + i);
	}
}

static void test_a_profile_for_one_reader_opens_and_is_sealed_the_same(void)
{
	uint8_t fresh[PROFILE_SEAL_RANDOM_LEN], text[PROFILE_SEAL_TEXT_MAX],
		sealed[PROFILE_SEAL_LEN];
	const struct profile_seal seal = {node_key_public(ada), node_key_public(ben), fresh};
	size_t len = vector_load("profilecircle"), text_len;
	struct profile_circle circle;

	fresh_fill(fresh);
	CHECK_EQ(social_profile_circle_read(bytes, len, &circle), 0);
	CHECK_EQ(circle.sealed_len, PROFILE_SEAL_LEN);
	CHECK_EQ(social_profile_unseal(&seal, ben, circle.sealed, text, &text_len), 0);
	CHECK_EQ(social_profile_seal(&seal, ada, text, text_len, sealed), 0);
	CHECK_MEM(sealed, circle.sealed, sizeof(sealed));
}

static void test_the_key_of_an_epoch_opens_and_is_sealed_the_same(void)
{
	static const uint8_t zeros[GROUP_NONCE_LEN];
	uint8_t group[GROUP_ID_LEN], seed[NODE_KEY_SEED_LEN], wrapped[GROUP_KEY_WRAPPED_LEN],
		nonce[12];
	const struct group_wrap wrap = {group, node_key_public(ada), node_key_public(ben), 1};

	social_group_id_make(node_key_public(epoch), zeros, group);
	CHECK_EQ(vector_load("sealed_epoch"), GROUP_KEY_WRAPPED_LEN);
	CHECK_EQ(social_group_unwrap(&wrap, ben, bytes, seed), 0);
	CHECK_MEM(seed, node_key_seed(epoch), sizeof(seed));
	memcpy(nonce, bytes, sizeof(nonce));
	CHECK_EQ(social_group_wrap(&wrap, ada, seed, nonce, wrapped), 0);
	CHECK_MEM(wrapped, bytes, sizeof(wrapped));
}

static void test_a_note_for_readers_opens_and_is_sealed_the_same(void)
{
	uint8_t key[CONTENT_KEY_LEN], note[REPLICA_NOTE_LEN_MAX], nonce[CONTENT_NONCE_LEN];
	struct writer w = writer_of(made, sizeof(made));
	size_t len = vector_load("sealed_replica"), note_len;

	memset(key, 7, sizeof(key));
	CHECK_EQ(social_replica_open(key, bytes, len, note, &note_len), 0);
	memcpy(nonce, bytes, sizeof(nonce));
	social_replica_seal(&w, key, nonce, note, note_len);
	CHECK_EQ(writer_len(&w), len);
	CHECK_MEM(made, bytes, len);
	CHECK_EQ(vector_load("replica"), note_len);
	CHECK_MEM(note, bytes, note_len);
}

int main(void)
{
	file = json_load_file("tests/vectors/social.json", 0, NULL);
	if (!file)
		abort();
	ada = key_of(1);
	ben = key_of(2);
	epoch = key_of(3);
	RUN(test_objects_of_another_implementation_are_read_and_made);
	RUN(test_a_succession_is_signed_by_both_keys);
	RUN(test_a_profile_for_one_reader_opens_and_is_sealed_the_same);
	RUN(test_the_key_of_an_epoch_opens_and_is_sealed_the_same);
	RUN(test_a_note_for_readers_opens_and_is_sealed_the_same);
	node_key_free(ada);
	node_key_free(ben);
	node_key_free(epoch);
	json_decref(file);
	return check_done();
}
