/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/group_state.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3/blake3.h"
#include "social/object/social_signed.h"

static const struct cbor_field member_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct group_member, key)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_member, role), .max = GROUP_ADMIN},
};
static const struct cbor_table member_table = {CBOR_FIELDS(member_fields)};

static const struct cbor_field shard_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_state, shard)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_state, shard_cnt), .min = 1,
	 .max = GROUP_SHARDS_MAX},
};
static const struct cbor_table shard_table = {CBOR_FIELDS(shard_fields)};

static void shard_read(struct cbor_reader *r, void *record)
{
	cbor_row_read(r, &shard_table, record);
}

static void shard_write(struct writer *w, const void *record)
{
	cbor_row_write(w, &shard_table, record);
}

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_state, group), .max = GROUP_ID_LEN},
	{1, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_state, key), .max = NODE_KEY_LEN},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_state, epoch)},
	{3, CBOR_FIELD_ROWS, CBOR_NEEDED, CBOR_ROWS(struct group_state, members, member_table),
	 CBOR_LEN(struct group_state, member_cnt)},
	{4, CBOR_FIELD_CODED, CBOR_NEEDED, .read = shard_read, .write = shard_write},
	{5, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_state, root),
	 .max = BLAKE3_HASH_LEN},
	{6, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_state, previous),
	 .max = BLAKE3_HASH_LEN},
};
/* A role or a right that a later version adds is not passed over. */
static const struct cbor_table table = {CBOR_FIELDS(fields), .is_closed = true};
static const struct social_kind kind = {GROUP_TAG, &table, GROUP_LEN_MAX};

static bool is_sound(const struct group_state *state)
{
	if (!state->previous != (state->epoch == 0) || state->shard >= state->shard_cnt)
		return false;
	for (unsigned i = 1; i < state->member_cnt; i++)
		if (memcmp(state->members[i - 1].key, state->members[i].key, NODE_KEY_LEN) >= 0)
			return false;
	return true;
}

int social_group_read(const void *bytes, size_t len, struct group_state *out_state)
{
	int err;

	memset(out_state, 0, sizeof(*out_state));
	err = social_signed_read(&kind, bytes, len, out_state, &out_state->admin);
	return err == 0 && !is_sound(out_state) ? WEFT_EMALFORMED : err;
}

void social_group_write(struct writer *w, const struct group_state *state,
			const struct node_key *admin)
{
	if (is_sound(state))
		social_signed_write(w, &kind, state, admin);
	else
		w->bad = true;
}

static int key_compare(const void *key, const void *member)
{
	return memcmp(key, ((const struct group_member *)member)->key, NODE_KEY_LEN);
}

const struct group_member *social_group_member(const struct group_state *state,
					       const uint8_t key[static NODE_KEY_LEN])
{
	return bsearch(key, state->members, state->member_cnt, sizeof(state->members[0]),
		       key_compare);
}

void social_group_id_make(const uint8_t key[static NODE_KEY_LEN],
			  const uint8_t nonce[static GROUP_NONCE_LEN],
			  uint8_t out_id[static GROUP_ID_LEN])
{
	uint8_t bytes[NODE_KEY_LEN + GROUP_NONCE_LEN];

	memcpy(bytes, key, NODE_KEY_LEN);
	memcpy(bytes + NODE_KEY_LEN, nonce, GROUP_NONCE_LEN);
	blake3_hash(bytes, sizeof(bytes), out_id);
}
