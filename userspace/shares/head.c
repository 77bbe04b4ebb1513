/* SPDX-License-Identifier: Apache-2.0 */
#include "head.h"

#include <string.h>

#include "codec/cbor_fields.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "mesh/seam_overlay.h"

#define OVERLAY_PREFIX	   "share:head:"
#define OVERLAY_PREFIX_LEN (sizeof(OVERLAY_PREFIX) - 1)
#define BODY_LEN_MAX	   (HEAD_LEN_MAX - SIGNED_OVERHEAD_MAX)

_Static_assert(HEAD_OVERLAY_NAME_LEN == OVERLAY_PREFIX_LEN + SHARE_ID_LEN, "the name of a head");

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct share_head, share_id)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct share_head, seq)},
	{2, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct share_head, manifest_id)},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct share_head, updated_s)},
	{4, CBOR_FIELD_FIXED, CBOR_HAS(struct share_head, has_successor),
	 CBOR_AT(struct share_head, successor)},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

void shares_head_write(struct writer *w, const struct node_key *key, struct share_head *head)
{
	uint8_t body[BODY_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body));

	memcpy(head->share_key, node_key_public(key), sizeof(head->share_key));
	share_id_of(head->share_key, head->share_id);
	cbor_fields_write(&b, &table, head);
	signed_write(w, key, HEAD_TAG, body, writer_len(&b));
}

/* Number 0 is none, and the last one says that nothing is left to fetch. */
static bool seq_fits(const struct share_head *head)
{
	static const uint8_t nothing[sizeof(head->manifest_id)];
	bool is_nothing = memcmp(head->manifest_id, nothing, sizeof(nothing)) == 0;

	return head->seq > 0 && is_nothing == shares_head_is_revoked(head);
}

/* It ends its share, and is another. */
static bool successor_fits(const struct share_head *head)
{
	return !head->has_successor ||
	       (shares_head_is_revoked(head) &&
		memcmp(head->successor, head->share_key, sizeof(head->successor)) != 0);
}

int shares_head_parse(const void *bytes, size_t len, struct share_head *out_head)
{
	struct signed_object object;
	struct share_head head = {.has_successor = false};
	uint8_t id[SHARE_ID_LEN];
	int err;

	if (len > HEAD_LEN_MAX)
		return WEFT_ETOOLARGE;
	err = signed_parse(bytes, len, &object);
	if (err == 0)
		err = cbor_fields_parse(object.body, object.body_len, &table, &head);
	if (err < 0)
		return err;
	if (!seq_fits(&head))
		return WEFT_EMALFORMED;
	memcpy(head.share_key, object.signer, sizeof(head.share_key));
	if (!successor_fits(&head))
		return WEFT_EMALFORMED;
	share_id_of(head.share_key, id);
	if (memcmp(id, head.share_id, sizeof(id)) != 0)
		return WEFT_EDAMAGED;
	err = signed_verify(&object, HEAD_TAG);
	if (err == 0)
		*out_head = head;
	return err;
}

bool shares_head_is_newer(const struct share_head *a, const struct share_head *b)
{
	if (a->seq != b->seq)
		return a->seq > b->seq;
	if (shares_head_is_revoked(a))
		return b->has_successor && !a->has_successor;
	if (a->updated_s != b->updated_s)
		return a->updated_s > b->updated_s;
	return memcmp(a->manifest_id, b->manifest_id, sizeof(a->manifest_id)) > 0;
}

bool shares_head_is_fork(const struct share_head *a, const struct share_head *b)
{
	return a->seq == b->seq && memcmp(a->manifest_id, b->manifest_id, 32) != 0;
}

bool shares_head_is_revoked(const struct share_head *head)
{
	return head->seq == HEAD_SEQ_REVOKED;
}

/* --- in the overlay --- */

void shares_head_overlay_name(const uint8_t share_id[static SHARE_ID_LEN],
			      uint8_t name[static HEAD_OVERLAY_NAME_LEN])
{
	memcpy(name, OVERLAY_PREFIX, OVERLAY_PREFIX_LEN);
	memcpy(name + OVERLAY_PREFIX_LEN, share_id, SHARE_ID_LEN);
}

static int rule_check(void *ctx, const struct overlay_value *value, uint64_t wall_s,
		      struct overlay_claim *out_claim)
{
	uint8_t own_name[HEAD_OVERLAY_NAME_LEN];
	struct share_head head;
	int err;

	(void)ctx;
	if (value->len == 0 || value->bytes[0] != HEAD_OVERLAY_TAG)
		return WEFT_EMALFORMED;
	err = shares_head_parse(value->bytes + 1, value->len - 1, &head);
	if (err < 0)
		return err;
	shares_head_overlay_name(head.share_id, own_name);
	if (value->name_len != sizeof(own_name) ||
	    memcmp(value->name, own_name, sizeof(own_name)) != 0 ||
	    head.updated_s > wall_s + HEAD_SKEW_S)
		return WEFT_EREFUSED;
	memcpy(out_claim->writer, head.share_id, sizeof(out_claim->writer));
	out_claim->seq = head.seq;
	out_claim->created_s = head.updated_s;
	out_claim->expires_s = wall_s + HEAD_OVERLAY_TTL_S;
	return 0;
}

/* As readers judge: else a storer keeps what all readers of both hold for the older one. */
static bool rule_is_newer(void *ctx, const struct overlay_value *value,
			  const struct overlay_value *kept)
{
	struct share_head head, former;

	(void)ctx;
	return shares_head_parse(value->bytes + 1, value->len - 1, &head) == 0 &&
	       (shares_head_parse(kept->bytes + 1, kept->len - 1, &former) < 0 ||
		shares_head_is_newer(&head, &former));
}

void shares_head_rule(struct overlay_rule *out_rule)
{
	*out_rule = (struct overlay_rule){
		.tag = HEAD_OVERLAY_TAG,
		.prefix = OVERLAY_PREFIX,
		.len_max = 1 + HEAD_LEN_MAX,
		.key_max = 1,
		.check = rule_check,
		.is_newer = rule_is_newer,
		.pool = "overlay.value_cap: share heads",
	};
}
