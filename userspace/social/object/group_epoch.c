/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/group_epoch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/blake3/blake3.h"
#include "crypto/signed.h"
#include "social/object/group_rows.h"
#include "social/object/social_signed.h"

static void standing_read(struct cbor_reader *r, void *record)
{
	struct group_member *member = record;
	uint64_t standing = cbor_read_uint_max(r, GROUP_VISITS + GROUP_ADMIN);

	member->role = (enum group_role)(standing % GROUP_VISITS);
	member->is_visitor = standing >= GROUP_VISITS;
}

static void standing_write(struct writer *w, const void *record)
{
	const struct group_member *member = record;

	cbor_write_uint(w, member->role + (member->is_visitor ? GROUP_VISITS : 0));
}

static const struct cbor_field member_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct group_member, key)},
	{1, CBOR_FIELD_CODED, CBOR_NEEDED, .read = standing_read, .write = standing_write},
};
const struct cbor_table social_group_member_table = {CBOR_FIELDS(member_fields)};

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
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_state, epoch),
	 .max = GROUP_EPOCH_MAX},
	{3, CBOR_FIELD_ROWS, CBOR_NEEDED,
	 CBOR_ROWS(struct group_state, members, social_group_member_table),
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
	unsigned visitor_cnt = 0;

	if (!state->previous != (state->epoch == 0) || state->shard >= state->shard_cnt)
		return false;
	for (unsigned i = 0; i < state->member_cnt; i++) {
		const struct group_member *member = &state->members[i];

		visitor_cnt += member->is_visitor;
		if ((member->is_visitor && member->role == GROUP_VIEWER) ||
		    (i > 0 && memcmp(member[-1].key, member->key, NODE_KEY_LEN) >= 0))
			return false;
	}
	return visitor_cnt <= GROUP_VISITORS_MAX &&
	       state->member_cnt - visitor_cnt <= GROUP_SHARD_MAX;
}

static int state_parse(const void *bytes, size_t len, struct signed_object *out_object,
		       struct group_state *out_state)
{
	int err;

	memset(out_state, 0, sizeof(*out_state));
	if (len > GROUP_LEN_MAX)
		return WEFT_ETOOLARGE;
	if ((err = signed_parse(bytes, len, out_object)) < 0 ||
	    (err = cbor_fields_parse(out_object->body, out_object->body_len, &table, out_state)) <
		    0)
		return err;
	out_state->admin = out_object->signer;
	out_state->signature = out_object->signature;
	return is_sound(out_state) ? 0 : WEFT_EMALFORMED;
}

int social_group_parse(const void *bytes, size_t len, struct group_state *out_state)
{
	struct signed_object object;

	return state_parse(bytes, len, &object, out_state);
}

int social_group_read(const void *bytes, size_t len, struct group_state *out_state)
{
	struct signed_object object;
	int err = state_parse(bytes, len, &object, out_state);

	return err < 0 ? err : signed_verify(&object, GROUP_TAG);
}

void social_group_write(struct writer *w, const struct group_state *state,
			const struct node_key *admin)
{
	if (is_sound(state))
		social_signed_write(w, &kind, state, admin);
	else
		w->bad = true;
}

void social_group_rewrite(struct writer *w, const struct group_state *state,
			  const uint8_t admin[static NODE_KEY_LEN],
			  const uint8_t signature[static NODE_KEY_SIG_LEN])
{
	uint8_t *body = malloc(GROUP_LEN_MAX);
	struct writer b = writer_of(body, body ? GROUP_LEN_MAX : 0);

	cbor_fields_write(&b, &table, state);
	if (b.bad || !is_sound(state)) {
		w->bad = true;
	} else {
		cbor_write_map(w, 3);
		cbor_field_bytes(w, 0, body, writer_len(&b));
		cbor_field_bytes(w, 1, admin, NODE_KEY_LEN);
		cbor_field_bytes(w, 2, signature, NODE_KEY_SIG_LEN);
	}
	free(body);
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
