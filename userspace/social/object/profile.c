/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/profile.h"

#include <string.h>

#include "social/object/social_signed.h"

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct profile, person)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct profile, time_ms)},
	{2, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct profile, name)},
	{3, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct profile, text)},
	{4, CBOR_FIELD_IDS, CBOR_NEEDED, CBOR_AT(struct profile, anchors),
	 CBOR_LEN(struct profile, anchor_cnt), .row_size = NODE_KEY_LEN},
	{5, CBOR_FIELD_FIXED, CBOR_HAS(struct profile, has_picture),
	 CBOR_AT(struct profile, picture)},
	{6, CBOR_FIELD_IDS, CBOR_WHEN(struct profile, follow_cnt), CBOR_AT(struct profile, follows),
	 CBOR_LEN(struct profile, follow_cnt), .row_size = NODE_KEY_LEN},
	{7, CBOR_FIELD_FIXED, CBOR_HAS(struct profile, has_next_key),
	 CBOR_AT(struct profile, next_key)},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};
static const struct social_kind kind = {PROFILE_TAG, &table, PROFILE_LEN_MAX};

static const struct cbor_field circle_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct profile_circle, rank),
	 .max = PROFILE_CIRCLE_RANK_MAX},
	{1, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct profile_circle, circle)},
	{2, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct profile_circle, sealed),
	 CBOR_LEN(struct profile_circle, sealed_len), .min = 1, .max = PROFILE_SEALED_LEN_MAX},
};
static const struct cbor_table circle_table = {CBOR_FIELDS(circle_fields)};
static const struct social_kind circle_kind = {PROFILE_CIRCLE_TAG, &circle_table,
					       PROFILE_CIRCLE_LEN_MAX};

int social_profile_read(const void *bytes, size_t len, struct profile *out_profile)
{
	const uint8_t *signer;
	int err;

	memset(out_profile, 0, sizeof(*out_profile));
	err = social_signed_read(&kind, bytes, len, out_profile, &signer);
	if (err == 0 && memcmp(signer, out_profile->person, NODE_KEY_LEN) != 0)
		err = WEFT_EMALFORMED;
	return err;
}

void social_profile_write(struct writer *w, const struct profile *profile,
			  const struct node_key *person)
{
	if (memcmp(node_key_public(person), profile->person, NODE_KEY_LEN) != 0)
		w->bad = true;
	else
		social_signed_write(w, &kind, profile, person);
}

int social_profile_circle_read(const void *bytes, size_t len, struct profile_circle *out_profile)
{
	*out_profile = (struct profile_circle){.sealed = NULL};
	return social_signed_read(&circle_kind, bytes, len, out_profile, &out_profile->person);
}

void social_profile_circle_write(struct writer *w, const struct profile_circle *profile,
				 const struct node_key *person)
{
	social_signed_write(w, &circle_kind, profile, person);
}
