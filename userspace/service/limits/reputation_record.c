/* SPDX-License-Identifier: Apache-2.0 */
#include "reputation_record.h"

#include "codec/cbor_fields.h"

#define RECORD_LAYOUT 1

static const struct cbor_field violation_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_violation_record, at_s)},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct service_violation_record, observation),
	 .max = SERVICE_OBSERVATION_CNT - 1},
	{2, CBOR_FIELD_TEXT, CBOR_NEEDED, CBOR_AT(struct service_violation_record, why)},
};
static const struct cbor_table violation_table = {CBOR_FIELDS(violation_fields)};

#define AT(member) CBOR_AT(struct service_reputation_record, member)

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = RECORD_LAYOUT},
	{1, CBOR_FIELD_UINT, CBOR_USUAL, AT(state.score), .max = 100},
	{2, CBOR_FIELD_UINT, CBOR_USUAL, AT(state.heard_s)},
	{3, CBOR_FIELD_UINT, CBOR_USUAL, AT(state.ban_cnt)},
	{4, CBOR_FIELD_UINT, CBOR_USUAL, AT(state.banned_until_s)},
	{5, CBOR_FIELD_UINT, CBOR_USUAL, AT(hour_s)},
	{6, CBOR_FIELD_UINT, CBOR_USUAL, AT(observation_cnt)},
	{7, CBOR_FIELD_ROWS, CBOR_USUAL,
	 CBOR_ROWS(struct service_reputation_record, state.violations, violation_table),
	 CBOR_LEN(struct service_reputation_record, state.violation_cnt)},
	{8, CBOR_FIELD_UINT, CBOR_USUAL, AT(taken_points)},
	{9, CBOR_FIELD_UINT, CBOR_USUAL, AT(other_s)},
	{10, CBOR_FIELD_UINT, CBOR_USUAL, AT(hour_violation_cnt)},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

void service_reputation_record_write(struct writer *w,
				     const struct service_reputation_record *record)
{
	cbor_fields_write(w, &table, record);
}

int service_reputation_record_parse(const void *data, size_t len,
				    struct service_reputation_record *out_record)
{
	struct service_reputation_record record = {0};
	struct cbor_reader r;
	int err = cbor_enter_record(&r, data, len, RECORD_LAYOUT);

	if (err < 0)
		return err;
	cbor_fields_read_on(&r, &table, &record);
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	if (!cbor_has_key(&r, 9))
		record.other_s = record.state.heard_s;
	*out_record = record;
	return 0;
}
