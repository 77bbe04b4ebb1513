/* SPDX-License-Identifier: Apache-2.0 */
/* The row of a peer in STORE_PEERS, as bytes; peers.h has the layout. */
#include "codec/cbor_fields.h"
#include "codec/peer_addr.h"
#include "peers.h"

#define RECORD_LAYOUT	  2
#define RECORD_LAYOUT_OLD 1 /* of schema version 4: also unknown peers were kept */

static void token_read(struct cbor_reader *r, void *member)
{
	struct mesh_peer_token *token = member;
	size_t len;
	const uint8_t *data = cbor_read_bytes(r, &len);

	if (!data || len > sizeof(token->data))
		return;
	memcpy(token->data, data, len);
	token->len = (uint8_t)len;
}

static void token_write(struct writer *w, const void *member)
{
	const struct mesh_peer_token *token = member;

	cbor_write_bytes(w, token->data, token->len);
}

static void hours_read(struct cbor_reader *r, void *of)
{
	struct mesh_peer_record *record = of;
	unsigned cnt = 0;

	if (cbor_enter_array(r) > MESH_PEER_USEFUL_HOURS)
		cbor_fail(r);
	while (cbor_next(r) && cnt < MESH_PEER_USEFUL_HOURS)
		record->useful_hours[cnt++] = cbor_read_uint(r);
	record->useful_hour_cnt = cnt;
}

static void hours_write(struct writer *w, const void *of)
{
	const struct mesh_peer_record *record = of;

	cbor_write_array(w, record->useful_hour_cnt);
	for (unsigned i = 0; i < record->useful_hour_cnt; i++)
		cbor_write_uint(w, record->useful_hours[i]);
}

static void contribution_read(struct cbor_reader *r, void *member)
{
	struct contribution *contribution = member;
	uint64_t numbers[CONTRIBUTION_NUMBER_CNT] = {0};
	unsigned cnt = 0;

	if (cbor_enter_array(r) != CONTRIBUTION_NUMBER_CNT)
		cbor_fail(r);
	while (cbor_next(r) && cnt < CONTRIBUTION_NUMBER_CNT)
		numbers[cnt++] = cbor_read_uint(r);
	contribution_load(contribution, numbers);
}

static void contribution_write(struct writer *w, const void *member)
{
	uint64_t numbers[CONTRIBUTION_NUMBER_CNT];

	contribution_store(member, numbers);
	cbor_write_array(w, CONTRIBUTION_NUMBER_CNT);
	for (unsigned i = 0; i < CONTRIBUTION_NUMBER_CNT; i++)
		cbor_write_uint(w, numbers[i]);
}

#define AT(member)   CBOR_AT(struct mesh_peer_record, member)
#define WHEN(member) CBOR_WHEN(struct mesh_peer_record, member)

static const struct cbor_field fields[] = {
	{0, CBOR_FIELD_CONSTANT, CBOR_USUAL, .max = RECORD_LAYOUT},
	{1, CBOR_FIELD_UINT, CBOR_USUAL, AT(caps)},
	{2, CBOR_FIELD_ADDR, WHEN(last_addr.family), AT(last_addr)},
	{3, CBOR_FIELD_ADDRS, CBOR_USUAL, AT(addrs), CBOR_LEN(struct mesh_peer_record, addr_cnt)},
	{4, CBOR_FIELD_UINT, CBOR_USUAL, AT(first_seen_s)},
	{5, CBOR_FIELD_UINT, CBOR_USUAL, AT(last_seen_s)},
	{6, CBOR_FIELD_INT, CBOR_USUAL, AT(skew_s)},
	{7, CBOR_FIELD_TEXT, CBOR_USUAL, AT(agent)},
	{8, CBOR_FIELD_UINT, CBOR_OPTIONAL, AT(addr_seq)},
	{9, CBOR_FIELD_ADDR, WHEN(token.len), AT(token.addr)},
	{10, CBOR_FIELD_CODED, WHEN(token.len), AT(token), .read = token_read,
	 .write = token_write},
	{11, CBOR_FIELD_ADDR, WHEN(good_addr.family), AT(good_addr)},
	{12, CBOR_FIELD_UINT, WHEN(good_addr.family), AT(good_s)},
	{13, CBOR_FIELD_UINT, CBOR_USUAL, AT(choices)},
	{14, CBOR_FIELD_CODED, CBOR_USUAL, .read = hours_read, .write = hours_write},
	{15, CBOR_FIELD_UINT, CBOR_OPTIONAL, AT(share_cnt), .max = FAIR_SHARE_MAX},
	{16, CBOR_FIELD_CODED, WHEN(contribution.aged_s), AT(contribution),
	 .read = contribution_read, .write = contribution_write},
};
static const struct cbor_table table = {CBOR_FIELDS(fields)};

void mesh_peer_record_write(struct writer *w, const struct mesh_peer_record *record)
{
	struct mesh_peer_record written = *record;

	if (written.share_cnt == 1) /* as when nothing is said */
		written.share_cnt = 0;
	cbor_fields_write(w, &table, &written);
}

/*
 * Gives a reason to records of an earlier version, which had none. A peer that this node dialled
 * counts as dialled by its operator, and one that came back after an hour as known. The others
 * were unknown peers.
 */
static void record_migrate(struct mesh_peer_record *record)
{
	uint64_t hour = record->last_seen_s / 3600;

	if (record->good_addr.family != ADDR_NONE)
		record->choices = MESH_CHOICE_DIALLED;
	if (record->last_seen_s < record->first_seen_s + MESH_PEER_KNOWN_S ||
	    hour < MESH_PEER_USEFUL_HOURS)
		return;
	record->useful_hour_cnt = MESH_PEER_USEFUL_HOURS;
	for (unsigned i = 0; i < MESH_PEER_USEFUL_HOURS; i++)
		record->useful_hours[i] = hour - MESH_PEER_USEFUL_HOURS + 1 + i;
}

int mesh_peer_record_parse(const uint8_t *data, size_t len, struct mesh_peer_record *out_record)
{
	struct mesh_peer_record record = {0};
	struct cbor_reader r;
	int err = cbor_enter_record(&r, data, len, RECORD_LAYOUT);
	bool is_old =
		err == WEFT_EMALFORMED && cbor_enter_record(&r, data, len, RECORD_LAYOUT_OLD) == 0;

	if (err < 0 && !is_old)
		return err;
	cbor_fields_read_on(&r, &table, &record);
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	if (is_old)
		record_migrate(&record);
	*out_record = record;
	return 0;
}
