/* SPDX-License-Identifier: Apache-2.0 */
#include "community_message.h"

#include "codec/cbor_fields.h"

/* --- requests --- */

static const struct cbor_field request_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct community_request, id),
	 .max = COMMUNITY_ID_LEN},
	{1, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct community_request, record.data),
	 CBOR_LEN(struct community_request, record.len), .min = 1, .max = COMMUNITY_MEMBER_LEN_MAX},
	/* Any length: its reader says whether it is a cursor of its own. */
	{2, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct community_request, cursor.data),
	 CBOR_LEN(struct community_request, cursor.len), .min = 1, .max = COMMUNITY_PAGE_LEN_MAX},
	{3, CBOR_FIELD_UINT, CBOR_HAS(struct community_request, has_range),
	 CBOR_AT(struct community_request, first_bucket), .max = COMMUNITY_BUCKETS - 1},
	{4, CBOR_FIELD_UINT, CBOR_HAS(struct community_request, has_range),
	 CBOR_AT(struct community_request, last_bucket), .max = COMMUNITY_BUCKETS - 1},
	{5, CBOR_FIELD_SPAN, CBOR_OPTIONAL, CBOR_AT(struct community_request, words),
	 CBOR_LEN(struct community_request, words_len)},
	{6, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct community_request, epoch)},
	{7, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct community_request, key_epoch)},
};
static const struct cbor_table request_table = {CBOR_FIELDS(request_fields)};

void community_request_write(struct writer *w, const struct community_request *request)
{
	struct community_request own = *request;

	own.has_range = own.first_bucket > 0 || own.last_bucket < COMMUNITY_BUCKETS - 1;
	cbor_fields_write(w, &request_table, &own);
}

int community_request_parse(const void *payload, size_t len, struct community_request *out_request)
{
	struct community_request request = {.last_bucket = COMMUNITY_BUCKETS - 1};

	if (cbor_fields_parse(payload, len, &request_table, &request) < 0 ||
	    request.first_bucket > request.last_bucket)
		return WEFT_EMALFORMED;
	if (request.words_len > COMMUNITY_WORDS_LEN_MAX)
		return WEFT_ETOOLARGE;
	*out_request = request;
	return 0;
}

/* --- what is said to a record that was shown --- */

static const struct cbor_field shown_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct community_shown, revocations.data),
	 CBOR_LEN(struct community_shown, revocations.len), .min = 1,
	 .max = COMMUNITY_REVOCATIONS_LEN_MAX},
	{1, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct community_shown, token.data),
	 CBOR_LEN(struct community_shown, token.len), .min = 1, .max = COMMUNITY_TOKEN_LEN_MAX},
	{2, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct community_shown, box),
	 .max = KEY_WRAP_LEN},
};
static const struct cbor_table shown_table = {CBOR_FIELDS(shown_fields)};

void community_shown_write(struct writer *w, const struct community_shown *shown)
{
	cbor_fields_write(w, &shown_table, shown);
}

int community_shown_parse(const void *payload, size_t len, struct community_shown *out_shown)
{
	struct community_shown shown = {0};

	if (cbor_fields_parse(payload, len, &shown_table, &shown) < 0)
		return WEFT_EMALFORMED;
	*out_shown = shown;
	return 0;
}

/* --- the state of an answerer --- */

static void digests_write(struct writer *w, const void *member)
{
	const struct community_digests *digests = member;

	cbor_write_bytes_head(w, COMMUNITY_DIGESTS_LEN);
	for (unsigned i = 0; i < COMMUNITY_BUCKETS; i++)
		writer_be64(w, digests->buckets[i]);
}

static void digests_read(struct cbor_reader *r, void *member)
{
	struct community_digests *digests = member;
	const uint8_t *data = cbor_read_exactly(r, COMMUNITY_DIGESTS_LEN);
	struct cursor c = cursor_of(data, data ? COMMUNITY_DIGESTS_LEN : 0);

	for (unsigned i = 0; i < COMMUNITY_BUCKETS; i++)
		digests->buckets[i] = cursor_be64(&c);
}

static const struct cbor_field state_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct community_state, record.data),
	 CBOR_LEN(struct community_state, record.len), .min = 1, .max = COMMUNITY_MEMBER_LEN_MAX},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_state, member_cnt),
	 .max = UINT32_MAX},
	{2, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct community_state, share_cnt),
	 .max = UINT32_MAX},
	{3, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct community_state, cursor.data),
	 CBOR_LEN(struct community_state, cursor.len), .min = 1, .max = COMMUNITY_CURSOR_LEN},
	{4, CBOR_FIELD_CODED, CBOR_NEEDED, CBOR_AT(struct community_state, members),
	 .read = digests_read, .write = digests_write},
	{5, CBOR_FIELD_CODED, CBOR_NEEDED, CBOR_AT(struct community_state, shares),
	 .read = digests_read, .write = digests_write},
};
static const struct cbor_table state_table = {CBOR_FIELDS(state_fields)};

void community_state_write(struct writer *w, const struct community_state *state)
{
	cbor_fields_write(w, &state_table, state);
}

int community_state_parse(const void *payload, size_t len, struct community_state *out_state)
{
	struct community_state state = {0};

	if (cbor_fields_parse(payload, len, &state_table, &state) < 0)
		return WEFT_EMALFORMED;
	*out_state = state;
	return 0;
}

/* --- pages --- */

static void records_write(struct writer *w, const struct community_bytes *records, unsigned cnt)
{
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_bytes(w, records[i].data, records[i].len);
}

static struct community_bytes bytes_read(struct cbor_reader *r, size_t len_max)
{
	struct community_bytes bytes;

	bytes.data = cbor_read_bytes(r, &bytes.len);
	if (bytes.len == 0 || bytes.len > len_max)
		cbor_fail(r);
	return bytes;
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

static void members_read(struct cbor_reader *r, void *of)
{
	struct community_page *page = of;

	page->member_cnt = records_read(r, COMMUNITY_MEMBER_LEN_MAX, page->members);
}

static void members_write(struct writer *w, const void *of)
{
	const struct community_page *page = of;

	records_write(w, page->members, page->member_cnt);
}

static void shares_read(struct cbor_reader *r, void *of)
{
	struct community_page *page = of;

	page->share_cnt = records_read(r, COMMUNITY_SHARE_LEN_MAX, page->shares);
}

static void shares_write(struct writer *w, const void *of)
{
	const struct community_page *page = of;

	records_write(w, page->shares, page->share_cnt);
}

static const struct cbor_field page_fields[] = {
	{0, CBOR_FIELD_CODED, CBOR_USUAL, .read = members_read, .write = members_write},
	{1, CBOR_FIELD_CODED, CBOR_USUAL, .read = shares_read, .write = shares_write},
	{2, CBOR_FIELD_BYTES, CBOR_OPTIONAL, CBOR_AT(struct community_page, cursor.data),
	 CBOR_LEN(struct community_page, cursor.len), .min = 1, .max = COMMUNITY_CURSOR_LEN},
	{3, CBOR_FIELD_BOOL, CBOR_USUAL, CBOR_AT(struct community_page, has_more)},
};
static const struct cbor_table page_table = {CBOR_FIELDS(page_fields)};

void community_page_write(struct writer *w, const struct community_page *page)
{
	cbor_fields_write(w, &page_table, page);
}

int community_page_parse(const void *payload, size_t len, struct community_page *out_page)
{
	*out_page = (struct community_page){0};
	/* More, and no way to it, would be asked for ever. */
	if (cbor_fields_parse(payload, len, &page_table, out_page) < 0 ||
	    (out_page->has_more && !out_page->cursor.data))
		return WEFT_EMALFORMED;
	return out_page->member_cnt + out_page->share_cnt > COMMUNITY_PAGE_MAX ? WEFT_EMALFORMED
									       : 0;
}
