/* SPDX-License-Identifier: Apache-2.0 */
/* What is kept of a peer in STORE_PEERS, as bytes; peers.h has the layout. */
#include "codec/cbor.h"
#include "codec/peer_addr.h"
#include "peers.h"

#define RECORD_LAYOUT	  2
#define RECORD_LAYOUT_OLD 1 /* of schema version 4: also unknown peers were kept */

void mesh_peer_record_write(struct writer *w, const struct mesh_peer_record *record)
{
	bool has_addr = record->last_addr.family != ADDR_NONE;
	bool has_token = record->token.len > 0, has_good = record->good_addr.family != ADDR_NONE;
	struct peer_addr addr = peer_addr_of(&record->last_addr);

	cbor_write_map(w, 9u + has_addr + (record->addr_seq > 0) + (has_token ? 2 : 0) +
				  (has_good ? 2 : 0) + (record->share_cnt > 1));
	cbor_field_uint(w, 0, RECORD_LAYOUT);
	cbor_field_uint(w, 1, record->caps);
	if (has_addr) {
		cbor_write_uint(w, 2);
		peer_addr_write(w, &addr);
	}
	cbor_write_uint(w, 3);
	peer_addrs_write(w, record->addrs, record->addr_cnt);
	cbor_field_uint(w, 4, record->first_seen_s);
	cbor_field_uint(w, 5, record->last_seen_s);
	cbor_write_uint(w, 6);
	cbor_write_int(w, record->skew_s);
	cbor_field_text(w, 7, record->agent, strlen(record->agent));
	if (record->addr_seq)
		cbor_field_uint(w, 8, record->addr_seq);
	if (has_token) {
		addr = peer_addr_of(&record->token.addr);
		cbor_write_uint(w, 9);
		peer_addr_write(w, &addr);
		cbor_field_bytes(w, 10, record->token.data, record->token.len);
	}
	if (has_good) {
		addr = peer_addr_of(&record->good_addr);
		cbor_write_uint(w, 11);
		peer_addr_write(w, &addr);
		cbor_field_uint(w, 12, record->good_s);
	}
	cbor_field_uint(w, 13, record->choices);
	cbor_write_uint(w, 14);
	cbor_write_array(w, record->useful_hour_cnt);
	for (unsigned i = 0; i < record->useful_hour_cnt; i++)
		cbor_write_uint(w, record->useful_hours[i]);
	if (record->share_cnt > 1)
		cbor_field_uint(w, 15, record->share_cnt);
}

static void record_read_hours(struct cbor_reader *r, struct mesh_peer_record *record)
{
	unsigned cnt = 0;

	if (cbor_enter_array(r) > MESH_PEER_USEFUL_HOURS)
		cbor_fail(r);
	while (cbor_next(r) && cnt < MESH_PEER_USEFUL_HOURS)
		record->useful_hours[cnt++] = cbor_read_uint(r);
	record->useful_hour_cnt = cnt;
}

static void record_read_token(struct cbor_reader *r, struct mesh_peer_token *token)
{
	size_t len;
	const uint8_t *data = cbor_read_bytes(r, &len);

	if (!data || len > sizeof(token->data))
		return;
	memcpy(token->data, data, len);
	token->len = (uint8_t)len;
}

static void record_read_field(struct cbor_reader *r, uint64_t key, struct mesh_peer_record *record)
{
	struct peer_addr addr;

	switch (key) {
	case 1:
		record->caps = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case 2:
		peer_addr_read(r, &addr);
		if (!cbor_is_bad(r))
			record->last_addr = addr.peer.addr;
		break;
	case 3:
		record->addr_cnt = peer_addrs_read(r, record->addrs);
		break;
	case 4:
		record->first_seen_s = cbor_read_uint(r);
		break;
	case 5:
		record->last_seen_s = cbor_read_uint(r);
		break;
	case 6:
		record->skew_s = cbor_read_int(r);
		break;
	case 7:
		cbor_read_text_copy(r, record->agent, sizeof(record->agent));
		break;
	case 8:
		record->addr_seq = cbor_read_uint(r);
		break;
	case 9:
		peer_addr_read(r, &addr);
		if (!cbor_is_bad(r))
			record->token.addr = addr.peer.addr;
		break;
	case 10:
		record_read_token(r, &record->token);
		break;
	case 11:
		peer_addr_read(r, &addr);
		if (!cbor_is_bad(r))
			record->good_addr = addr.peer.addr;
		break;
	case 12:
		record->good_s = cbor_read_uint(r);
		break;
	case 13:
		record->choices = (uint32_t)cbor_read_uint_max(r, UINT32_MAX);
		break;
	case 14:
		record_read_hours(r, record);
		break;
	case 15:
		record->share_cnt = (uint8_t)cbor_read_uint_max(r, FAIR_SHARE_MAX);
		break;
	default:
		cbor_skip(r);
	}
}

/*
 * What an earlier version kept without a word of why: whom it dialled counts as dialled by
 * its operator, and who came back after an hour as known. The others were unknown peers.
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
	uint64_t key;
	int err = cbor_enter_record(&r, data, len, RECORD_LAYOUT);
	bool is_old =
		err == WEFT_EMALFORMED && cbor_enter_record(&r, data, len, RECORD_LAYOUT_OLD) == 0;

	if (err < 0 && !is_old)
		return err;
	while (cbor_next_key(&r, &key))
		record_read_field(&r, key, &record);
	if ((err = cbor_reader_finish(&r)) < 0)
		return err;
	if (is_old)
		record_migrate(&record);
	*out_record = record;
	return 0;
}
