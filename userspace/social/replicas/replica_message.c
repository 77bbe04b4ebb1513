/* SPDX-License-Identifier: Apache-2.0 */
#include "social/replicas/replica_message.h"

#include "codec/cbor_fields.h"

static const struct cbor_field check_fields[] = {
	{0, CBOR_FIELD_IDS, CBOR_NEEDED, CBOR_IDS(struct replica_check, posts),
	 CBOR_LEN(struct replica_check, post_cnt)},
};
static const struct cbor_table check_table = {CBOR_FIELDS(check_fields)};

static const struct cbor_field row_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct replica_row, post)},
	{1, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct replica_row, note),
	 CBOR_LEN(struct replica_row, note_len), .min = 1, .max = REPLICA_STORED_LEN_MAX},
};
static const struct cbor_table row_table = {CBOR_FIELDS(row_fields)};
static const struct cbor_field status_fields[] = {
	{0, CBOR_FIELD_ROWS, CBOR_NEEDED, CBOR_ROWS(struct replica_status, rows, row_table),
	 CBOR_LEN(struct replica_status, row_cnt)},
};
static const struct cbor_table status_table = {CBOR_FIELDS(status_fields)};

static const struct cbor_field lens_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct replica_offer, lens.post),
	 .max = POST_LEN_MAX},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct replica_offer, lens.claim),
	 .max = POST_CLAIM_LEN_MAX},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct replica_offer, lens.visibility),
	 .max = VISIBILITY_LEN_MAX},
};
static const struct cbor_table lens_table = {CBOR_FIELDS(lens_fields)};

static void lens_read(struct cbor_reader *r, void *record)
{
	cbor_row_read(r, &lens_table, record);
}

static void lens_write(struct writer *w, const void *record)
{
	cbor_row_write(w, &lens_table, record);
}

static const struct cbor_field offer_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct replica_offer, post)},
	{1, CBOR_FIELD_CODED, CBOR_NEEDED, .read = lens_read, .write = lens_write},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct replica_offer, off)},
	{3, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct replica_offer, bytes),
	 CBOR_LEN(struct replica_offer, len), .min = 1, .max = REPLICA_PIECE_LEN_MAX},
};
static const struct cbor_table offer_table = {CBOR_FIELDS(offer_fields)};

static const struct cbor_field accept_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct replica_accept, post)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct replica_accept, off)},
};
static const struct cbor_table accept_table = {CBOR_FIELDS(accept_fields)};

static const struct cbor_field refuse_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct replica_refuse, post)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct replica_refuse, reason), .min = 1,
	 .max = REPLICA_BUSY},
	{2, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct replica_refuse, room_len)},
};
static const struct cbor_table refuse_table = {CBOR_FIELDS(refuse_fields)};

void social_check_write(struct writer *w, const struct replica_check *check)
{
	cbor_fields_write(w, &check_table, check);
}

int social_check_parse(const void *bytes, size_t len, struct replica_check *out_check)
{
	out_check->post_cnt = 0;
	return cbor_fields_parse(bytes, len, &check_table, out_check) < 0 ? WEFT_EMALFORMED : 0;
}

void social_status_write(struct writer *w, const struct replica_status *status)
{
	cbor_fields_write(w, &status_table, status);
}

int social_status_parse(const void *bytes, size_t len, struct replica_status *out_status)
{
	out_status->row_cnt = 0;
	return cbor_fields_parse(bytes, len, &status_table, out_status) < 0 ? WEFT_EMALFORMED : 0;
}

void social_offer_write(struct writer *w, const struct replica_offer *offer)
{
	cbor_fields_write(w, &offer_table, offer);
}

int social_offer_parse(const void *bytes, size_t len, struct replica_offer *out_offer)
{
	struct replica_offer offer = {.off = 0};
	uint32_t whole;

	if (cbor_fields_parse(bytes, len, &offer_table, &offer) < 0)
		return WEFT_EMALFORMED;
	whole = replica_offer_len(&offer);
	if (!offer.lens.post || !offer.lens.claim || !offer.lens.visibility || offer.off > whole ||
	    offer.len > whole - offer.off || (!offer.bytes && offer.off))
		return WEFT_EMALFORMED;
	*out_offer = offer;
	return 0;
}

void social_accept_write(struct writer *w, const struct replica_accept *accept)
{
	cbor_fields_write(w, &accept_table, accept);
}

int social_accept_parse(const void *bytes, size_t len, struct replica_accept *out_accept)
{
	struct replica_accept accept = {.off = 0};

	if (cbor_fields_parse(bytes, len, &accept_table, &accept) < 0)
		return WEFT_EMALFORMED;
	*out_accept = accept;
	return 0;
}

void social_refuse_write(struct writer *w, const struct replica_refuse *refuse)
{
	cbor_fields_write(w, &refuse_table, refuse);
}

int social_refuse_parse(const void *bytes, size_t len, struct replica_refuse *out_refuse)
{
	struct replica_refuse refuse = {.room_len = 0};

	if (cbor_fields_parse(bytes, len, &refuse_table, &refuse) < 0 || !refuse.reason)
		return WEFT_EMALFORMED;
	*out_refuse = refuse;
	return 0;
}
