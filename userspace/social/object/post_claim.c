/* SPDX-License-Identifier: Apache-2.0 */
#include "social/object/post_claim.h"

#include "social/object/social_signed.h"

static const struct cbor_field claim_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct post_claim, post), .max = POST_ID_LEN},
	{1, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct post_claim, logical_id),
	 .max = POST_LOGICAL_ID_LEN},
	{2, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct post_claim, supersedes),
	 .max = POST_ID_LEN},
};
static const struct cbor_table claim_table = {CBOR_FIELDS(claim_fields)};
static const struct social_kind claim_kind = {POST_CLAIM_TAG, &claim_table, POST_CLAIM_LEN_MAX};

static const struct cbor_field deletion_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct post_deletion, post), .max = POST_ID_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct post_deletion, time_ms)},
	{2, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct post_deletion, superseded_by),
	 .max = POST_ID_LEN},
};
static const struct cbor_table deletion_table = {CBOR_FIELDS(deletion_fields)};
static const struct social_kind deletion_kind = {POST_DELETION_TAG, &deletion_table,
						 POST_CLAIM_LEN_MAX};

int social_claim_read(const void *bytes, size_t len, struct post_claim *out_claim)
{
	*out_claim = (struct post_claim){.post = NULL};
	return social_signed_read(&claim_kind, bytes, len, out_claim, &out_claim->author);
}

int social_claim_parse(const void *bytes, size_t len, struct post_claim *out_claim)
{
	*out_claim = (struct post_claim){.post = NULL};
	return social_signed_parse(&claim_kind, bytes, len, out_claim, &out_claim->author);
}

int social_deletion_read(const void *bytes, size_t len, struct post_deletion *out_deletion)
{
	*out_deletion = (struct post_deletion){.post = NULL};
	return social_signed_read(&deletion_kind, bytes, len, out_deletion, &out_deletion->author);
}

int social_deletion_parse(const void *bytes, size_t len, struct post_deletion *out_deletion)
{
	*out_deletion = (struct post_deletion){.post = NULL};
	return social_signed_parse(&deletion_kind, bytes, len, out_deletion, &out_deletion->author);
}

void social_claim_write(struct writer *w, const struct post_claim *claim,
			const struct node_key *author)
{
	social_signed_write(w, &claim_kind, claim, author);
}

void social_deletion_write(struct writer *w, const struct post_deletion *deletion,
			   const struct node_key *author)
{
	social_signed_write(w, &deletion_kind, deletion, author);
}
