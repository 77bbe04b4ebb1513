/* SPDX-License-Identifier: Apache-2.0 */
#include "social/routes/anchor_message.h"

#include <string.h>

#include "codec/cbor_fields.h"

struct query {
	uint8_t key[NODE_KEY_LEN];
};

static const struct cbor_field check_in_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct check_in, record),
	 CBOR_LEN(struct check_in, record_len), .min = 1, .max = SOCIAL_ADDRESS_LEN_MAX},
};
static const struct cbor_table check_in_table = {CBOR_FIELDS(check_in_fields)};

static const struct cbor_field keeping_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct check_in_answer, keep_s),
	 .max = ANCHOR_KEEP_S_MAX},
	{1, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct check_in_answer, record),
	 CBOR_LEN(struct check_in_answer, record_len), .min = 1, .max = SOCIAL_ADDRESS_LEN_MAX},
};
static const struct cbor_table keeping_table = {CBOR_FIELDS(keeping_fields)};

static const struct cbor_field query_fields[] = {
	{0, CBOR_FIELD_FIXED, CBOR_NEEDED, CBOR_AT(struct query, key)},
};
static const struct cbor_table query_table = {CBOR_FIELDS(query_fields)};

static const struct cbor_field answer_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct anchor_answer, record),
	 CBOR_LEN(struct anchor_answer, record_len), .min = 1, .max = SOCIAL_ADDRESS_LEN_MAX},
	{1, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct anchor_answer, age_s)},
};
static const struct cbor_table answer_table = {CBOR_FIELDS(answer_fields)};

void social_check_in_write(struct writer *w, const struct check_in *check_in)
{
	cbor_fields_write(w, &check_in_table, check_in);
}

int social_check_in_parse(const void *bytes, size_t len, struct check_in *out_check_in)
{
	*out_check_in = (struct check_in){.record = NULL};
	return cbor_fields_parse(bytes, len, &check_in_table, out_check_in);
}

void social_check_in_answer_write(struct writer *w, const struct check_in_answer *answer)
{
	cbor_fields_write(w, &keeping_table, answer);
}

int social_check_in_answer_parse(const void *bytes, size_t len, struct check_in_answer *out_answer)
{
	*out_answer = (struct check_in_answer){.record = NULL};
	return cbor_fields_parse(bytes, len, &keeping_table, out_answer);
}

void social_anchor_query_write(struct writer *w, const uint8_t key[static NODE_KEY_LEN])
{
	struct query query;

	memcpy(query.key, key, sizeof(query.key));
	cbor_fields_write(w, &query_table, &query);
}

int social_anchor_query_parse(const void *bytes, size_t len, uint8_t out_key[static NODE_KEY_LEN])
{
	struct query query;
	int err = cbor_fields_parse(bytes, len, &query_table, &query);

	if (err == 0)
		memcpy(out_key, query.key, sizeof(query.key));
	return err;
}

void social_anchor_answer_write(struct writer *w, const struct anchor_answer *answer)
{
	cbor_fields_write(w, &answer_table, answer);
}

int social_anchor_answer_parse(const void *bytes, size_t len, struct anchor_answer *out_answer)
{
	*out_answer = (struct anchor_answer){.record = NULL};
	return cbor_fields_parse(bytes, len, &answer_table, out_answer);
}
