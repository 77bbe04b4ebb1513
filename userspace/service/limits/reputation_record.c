/* SPDX-License-Identifier: Apache-2.0 */
#include "reputation_record.h"

#include <string.h>

#include "codec/cbor.h"

#define RECORD_LAYOUT 1

void service_reputation_record_write(struct writer *w,
				     const struct service_reputation_record *record)
{
	const struct service_reputation_state *state = &record->state;
	const uint64_t fields[] = {RECORD_LAYOUT,	   state->score,	  state->heard_s,
				   state->ban_cnt,	   state->banned_until_s, record->hour_s,
				   record->observation_cnt};
	const unsigned field_cnt = sizeof(fields) / sizeof(fields[0]);

	cbor_write_map(w, field_cnt + 4);
	for (unsigned i = 0; i < field_cnt; i++) {
		cbor_write_uint(w, i);
		cbor_write_uint(w, fields[i]);
	}
	cbor_write_uint(w, field_cnt);
	cbor_write_array(w, state->violation_cnt);
	for (unsigned i = 0; i < state->violation_cnt; i++) {
		const struct service_violation_record *violation = &state->violations[i];

		cbor_write_array(w, 3);
		cbor_write_uint(w, violation->at_s);
		cbor_write_uint(w, violation->observation);
		cbor_write_text(w, violation->why, strlen(violation->why));
	}
	cbor_field_uint(w, 8, record->taken_points);
	cbor_field_uint(w, 9, record->other_s);
	cbor_field_uint(w, 10, record->hour_violation_cnt);
}

static void violations_read(struct cbor_reader *r, struct service_reputation_state *state)
{
	if (cbor_enter_array(r) > SERVICE_VIOLATIONS_TO_BAN)
		cbor_fail(r);
	while (cbor_next(r)) {
		struct service_violation_record *violation =
			&state->violations[state->violation_cnt++];

		if (cbor_enter_array(r) != 3)
			cbor_fail(r);
		for (unsigned i = 0; cbor_next(r); i++) {
			if (i == 0)
				violation->at_s = cbor_read_uint(r);
			else if (i == 1)
				violation->observation =
					(enum service_observation)cbor_read_uint_max(
						r, SERVICE_OBSERVATION_CNT - 1);
			else
				cbor_read_text_copy(r, violation->why, sizeof(violation->why));
		}
	}
}

int service_reputation_record_parse(const void *data, size_t len,
				    struct service_reputation_record *out_record)
{
	struct service_reputation_record record = {0};
	struct cbor_reader r;
	uint64_t key;
	int err = cbor_enter_record(&r, data, len, RECORD_LAYOUT);

	if (err < 0)
		return err;
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 1:
			record.state.score = (unsigned)cbor_read_uint_max(&r, 100);
			break;
		case 2:
			record.state.heard_s = record.other_s = cbor_read_uint(&r);
			break;
		case 3:
			record.state.ban_cnt = (unsigned)cbor_read_uint_max(&r, UINT32_MAX);
			break;
		case 4:
			record.state.banned_until_s = cbor_read_uint(&r);
			break;
		case 5:
			record.hour_s = cbor_read_uint(&r);
			break;
		case 6:
			record.observation_cnt = (unsigned)cbor_read_uint_max(&r, UINT32_MAX);
			break;
		case 7:
			violations_read(&r, &record.state);
			break;
		case 8:
			record.taken_points = (unsigned)cbor_read_uint_max(&r, UINT32_MAX);
			break;
		case 9:
			record.other_s = cbor_read_uint(&r);
			break;
		case 10:
			record.hour_violation_cnt = (unsigned)cbor_read_uint_max(&r, UINT32_MAX);
			break;
		default:
			cbor_skip(&r);
		}
	}
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	*out_record = record;
	return 0;
}
