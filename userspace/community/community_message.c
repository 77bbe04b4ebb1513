/* SPDX-License-Identifier: Apache-2.0 */
#include "community_message.h"

#include "codec/cbor.h"

enum {
	REQUEST_ID,
	REQUEST_RECORD,
	REQUEST_CURSOR,
	REQUEST_FIRST,
	REQUEST_LAST,
	REQUEST_WORDS,
	REQUEST_EPOCH,
	REQUEST_KEY_EPOCH,
};
enum {
	STATE_RECORD,
	STATE_MEMBERS,
	STATE_SHARES,
	STATE_CURSOR,
	STATE_MEMBER_DIGESTS,
	STATE_SHARE_DIGESTS,
};
#define STATE_NEEDED 0x3fu
enum { SHOWN_REVOCATIONS, SHOWN_TOKEN, SHOWN_BOX };
enum { PAGE_MEMBERS, PAGE_SHARES, PAGE_CURSOR, PAGE_MORE };

static struct community_bytes bytes_read(struct cbor_reader *r, size_t len_max)
{
	struct community_bytes bytes;

	bytes.data = cbor_read_bytes(r, &bytes.len);
	if (bytes.len == 0 || bytes.len > len_max)
		cbor_fail(r);
	return bytes;
}

/* --- requests --- */

void community_request_write(struct writer *w, const struct community_request *request)
{
	bool has_range = request->first_bucket > 0 || request->last_bucket < COMMUNITY_BUCKETS - 1;

	cbor_write_map(w, 2u + (request->cursor.data != NULL) + 2u * has_range +
				  (request->words != NULL) + (request->epoch > 0) +
				  (request->key_epoch > 0));
	cbor_field_bytes(w, REQUEST_ID, request->id, COMMUNITY_ID_LEN);
	cbor_field_bytes(w, REQUEST_RECORD, request->record.data, request->record.len);
	if (request->cursor.data)
		cbor_field_bytes(w, REQUEST_CURSOR, request->cursor.data, request->cursor.len);
	if (has_range) {
		cbor_field_uint(w, REQUEST_FIRST, request->first_bucket);
		cbor_field_uint(w, REQUEST_LAST, request->last_bucket);
	}
	if (request->words)
		cbor_field_text(w, REQUEST_WORDS, request->words, request->words_len);
	if (request->epoch)
		cbor_field_uint(w, REQUEST_EPOCH, request->epoch);
	if (request->key_epoch)
		cbor_field_uint(w, REQUEST_KEY_EPOCH, request->key_epoch);
}

static void request_field_read(struct cbor_reader *r, uint64_t key,
			       struct community_request *request)
{
	switch (key) {
	case REQUEST_ID:
		request->id = cbor_read_exactly(r, COMMUNITY_ID_LEN);
		break;
	case REQUEST_RECORD:
		request->record = bytes_read(r, COMMUNITY_MEMBER_LEN_MAX);
		break;
	case REQUEST_CURSOR:
		/* Any length: whether it is one of ours is said by who reads it. */
		request->cursor = bytes_read(r, COMMUNITY_PAGE_LEN_MAX);
		break;
	case REQUEST_FIRST:
		request->first_bucket = (unsigned)cbor_read_uint_max(r, COMMUNITY_BUCKETS - 1);
		break;
	case REQUEST_LAST:
		request->last_bucket = (unsigned)cbor_read_uint_max(r, COMMUNITY_BUCKETS - 1);
		break;
	case REQUEST_WORDS:
		request->words = cbor_read_text(r, &request->words_len);
		break;
	case REQUEST_EPOCH:
		request->epoch = cbor_read_uint(r);
		break;
	case REQUEST_KEY_EPOCH:
		request->key_epoch = cbor_read_uint(r);
		break;
	default:
		cbor_skip(r);
	}
}

int community_request_parse(const void *payload, size_t len, struct community_request *out_request)
{
	struct community_request request = {.last_bucket = COMMUNITY_BUCKETS - 1};
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		request_field_read(&r, key, &request);
	if (cbor_reader_finish(&r) < 0 || !request.id || !request.record.data ||
	    request.first_bucket > request.last_bucket)
		return WEFT_EMALFORMED;
	if (request.words_len > COMMUNITY_WORDS_LEN_MAX)
		return WEFT_ETOOLARGE;
	*out_request = request;
	return 0;
}

/* --- what is said to a record that was shown --- */

void community_shown_write(struct writer *w, const struct community_shown *shown)
{
	cbor_write_map(w, 0u + (shown->revocations.data != NULL) + (shown->token.data != NULL) +
				  (shown->box != NULL));
	if (shown->revocations.data)
		cbor_field_bytes(w, SHOWN_REVOCATIONS, shown->revocations.data,
				 shown->revocations.len);
	if (shown->token.data)
		cbor_field_bytes(w, SHOWN_TOKEN, shown->token.data, shown->token.len);
	if (shown->box)
		cbor_field_bytes(w, SHOWN_BOX, shown->box, KEY_WRAP_LEN);
}

int community_shown_parse(const void *payload, size_t len, struct community_shown *out_shown)
{
	struct community_shown shown = {0};
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		if (key == SHOWN_REVOCATIONS)
			shown.revocations = bytes_read(&r, COMMUNITY_REVOCATIONS_LEN_MAX);
		else if (key == SHOWN_TOKEN)
			shown.token = bytes_read(&r, COMMUNITY_TOKEN_LEN_MAX);
		else if (key == SHOWN_BOX)
			shown.box = cbor_read_exactly(&r, KEY_WRAP_LEN);
		else
			cbor_skip(&r);
	}
	if (cbor_reader_finish(&r) < 0)
		return WEFT_EMALFORMED;
	*out_shown = shown;
	return 0;
}

/* --- the state of an answerer --- */

static void digests_write(struct writer *w, unsigned key, const struct community_digests *digests)
{
	cbor_write_uint(w, key);
	cbor_write_bytes_head(w, COMMUNITY_DIGESTS_LEN);
	for (unsigned i = 0; i < COMMUNITY_BUCKETS; i++)
		writer_be64(w, digests->buckets[i]);
}

static void digests_read(struct cbor_reader *r, struct community_digests *digests)
{
	const uint8_t *data = cbor_read_exactly(r, COMMUNITY_DIGESTS_LEN);
	struct cursor c = cursor_of(data, data ? COMMUNITY_DIGESTS_LEN : 0);

	for (unsigned i = 0; i < COMMUNITY_BUCKETS; i++)
		digests->buckets[i] = cursor_be64(&c);
}

void community_state_write(struct writer *w, const struct community_state *state)
{
	cbor_write_map(w, 6);
	cbor_field_bytes(w, STATE_RECORD, state->record.data, state->record.len);
	cbor_field_uint(w, STATE_MEMBERS, state->member_cnt);
	cbor_field_uint(w, STATE_SHARES, state->share_cnt);
	cbor_field_bytes(w, STATE_CURSOR, state->cursor.data, state->cursor.len);
	digests_write(w, STATE_MEMBER_DIGESTS, &state->members);
	digests_write(w, STATE_SHARE_DIGESTS, &state->shares);
}

static void state_field_read(struct cbor_reader *r, uint64_t key, struct community_state *state)
{
	switch (key) {
	case STATE_RECORD:
		state->record = bytes_read(r, COMMUNITY_MEMBER_LEN_MAX);
		break;
	case STATE_MEMBERS:
		state->member_cnt = cbor_read_uint_max(r, UINT32_MAX);
		break;
	case STATE_SHARES:
		state->share_cnt = cbor_read_uint_max(r, UINT32_MAX);
		break;
	case STATE_CURSOR:
		state->cursor = bytes_read(r, COMMUNITY_CURSOR_LEN);
		break;
	case STATE_MEMBER_DIGESTS:
		digests_read(r, &state->members);
		break;
	case STATE_SHARE_DIGESTS:
		digests_read(r, &state->shares);
		break;
	default:
		cbor_skip(r);
	}
}

int community_state_parse(const void *payload, size_t len, struct community_state *out_state)
{
	struct community_state state = {0};
	struct cbor_reader r;
	uint64_t key;

	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		state_field_read(&r, key, &state);
	if (cbor_reader_finish_with(&r, STATE_NEEDED) < 0)
		return WEFT_EMALFORMED;
	*out_state = state;
	return 0;
}

/* --- pages --- */

static void records_write(struct writer *w, unsigned key, const struct community_bytes *records,
			  unsigned cnt)
{
	cbor_write_uint(w, key);
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_bytes(w, records[i].data, records[i].len);
}

static unsigned records_read(struct cbor_reader *r, size_t len_max,
			     struct community_bytes records[static COMMUNITY_PAGE_MAX])
{
	unsigned cnt = 0;

	if (cbor_enter_array(r) > COMMUNITY_PAGE_MAX)
		cbor_fail(r);
	while (cbor_next(r))
		records[cnt++] = bytes_read(r, len_max);
	return cnt;
}

void community_page_write(struct writer *w, const struct community_page *page)
{
	cbor_write_map(w, 3u + (page->cursor.data != NULL));
	records_write(w, PAGE_MEMBERS, page->members, page->member_cnt);
	records_write(w, PAGE_SHARES, page->shares, page->share_cnt);
	if (page->cursor.data)
		cbor_field_bytes(w, PAGE_CURSOR, page->cursor.data, page->cursor.len);
	cbor_field_bool(w, PAGE_MORE, page->has_more);
}

static void page_field_read(struct cbor_reader *r, uint64_t key, struct community_page *page)
{
	switch (key) {
	case PAGE_MEMBERS:
		page->member_cnt = records_read(r, COMMUNITY_MEMBER_LEN_MAX, page->members);
		break;
	case PAGE_SHARES:
		page->share_cnt = records_read(r, COMMUNITY_SHARE_LEN_MAX, page->shares);
		break;
	case PAGE_CURSOR:
		page->cursor = bytes_read(r, COMMUNITY_CURSOR_LEN);
		break;
	case PAGE_MORE:
		page->has_more = cbor_read_bool(r);
		break;
	default:
		cbor_skip(r);
	}
}

int community_page_parse(const void *payload, size_t len, struct community_page *out_page)
{
	struct cbor_reader r;
	uint64_t key;

	*out_page = (struct community_page){0};
	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key))
		page_field_read(&r, key, out_page);
	/* More, and no way to it, would be asked for ever. */
	if (cbor_reader_finish(&r) < 0 || (out_page->has_more && !out_page->cursor.data))
		return WEFT_EMALFORMED;
	return out_page->member_cnt + out_page->share_cnt > COMMUNITY_PAGE_MAX ? WEFT_EMALFORMED
									       : 0;
}
