/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/group_note.h"

#include <string.h>

#include "crypto/blake3/blake3.h"
#include "social/object/post.h"
#include "social/object/post_claim.h"
#include "social/object/social_signed.h"
#include "social/seal/group_key.h"

static const struct cbor_field hide_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_hide, group), .max = GROUP_ID_LEN},
	{1, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_hide, author), .max = NODE_KEY_LEN},
	{2, CBOR_FIELD_BOOL, CBOR_NEEDED, CBOR_AT(struct group_hide, is_hidden)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_hide, time_ms)},
	{4, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_hide, logical_id),
	 .max = POST_LOGICAL_ID_LEN},
};
static const struct cbor_table hide_table = {CBOR_FIELDS(hide_fields), .is_closed = true};
static const struct social_kind hide_kind = {GROUP_HIDE_TAG, &hide_table, GROUP_NOTE_LEN_MAX};

static const struct cbor_field leave_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_leave, group), .max = GROUP_ID_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_leave, time_ms)},
};
static const struct cbor_table leave_table = {CBOR_FIELDS(leave_fields), .is_closed = true};
static const struct social_kind leave_kind = {GROUP_LEAVE_TAG, &leave_table, GROUP_NOTE_LEN_MAX};

static const struct cbor_field proof_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_proof, group), .max = GROUP_ID_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_proof, epoch)},
	{2, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_proof, session),
	 .max = GROUP_SESSION_LEN},
};
static const struct cbor_table proof_table = {CBOR_FIELDS(proof_fields), .is_closed = true};
static const struct social_kind proof_kind = {GROUP_PROOF_TAG, &proof_table, GROUP_NOTE_LEN_MAX};

int social_hide_read(const void *bytes, size_t len, struct group_hide *out_hide)
{
	memset(out_hide, 0, sizeof(*out_hide));
	return social_signed_read(&hide_kind, bytes, len, out_hide, &out_hide->signer);
}

void social_hide_name(const struct group_hide *hide, uint8_t out_name[static GROUP_HIDE_NAME_LEN])
{
	struct blake3 hash;

	blake3_init_derive_key(&hash, "mesh/distsoc/group-hide/v1");
	blake3_update(&hash, hide->group, GROUP_ID_LEN);
	blake3_update(&hash, hide->author, NODE_KEY_LEN);
	blake3_update(&hash, hide->logical_id, POST_LOGICAL_ID_LEN);
	blake3_final(&hash, out_name, GROUP_HIDE_NAME_LEN);
}

int social_leave_read(const void *bytes, size_t len, struct group_leave *out_leave)
{
	memset(out_leave, 0, sizeof(*out_leave));
	return social_signed_read(&leave_kind, bytes, len, out_leave, &out_leave->signer);
}

int social_proof_read(const void *bytes, size_t len, struct group_proof *out_proof)
{
	memset(out_proof, 0, sizeof(*out_proof));
	return social_signed_read(&proof_kind, bytes, len, out_proof, &out_proof->signer);
}

void social_hide_write(struct writer *w, const struct group_hide *hide, const struct node_key *key)
{
	social_signed_write(w, &hide_kind, hide, key);
}

void social_leave_write(struct writer *w, const struct group_leave *leave,
			const struct node_key *key)
{
	social_signed_write(w, &leave_kind, leave, key);
}

void social_proof_write(struct writer *w, const struct group_proof *proof,
			const struct node_key *key)
{
	social_signed_write(w, &proof_kind, proof, key);
}
