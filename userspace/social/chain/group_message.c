/* SPDX-License-Identifier: Apache-2.0 */
#include "social/chain/group_message.h"

#include <string.h>

#include "codec/cbor_fields.h"

static const struct cbor_field key_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct group_key_message, state.bytes),
	 CBOR_LEN(struct group_key_message, state.len), .min = 1, .max = GROUP_LEN_MAX},
	{1, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_key_message, wrapped),
	 .max = GROUP_KEY_WRAPPED_LEN},
	{2, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_key_message, wrapped_by),
	 .max = NODE_KEY_LEN},
	{3, CBOR_FIELD_TEXT, CBOR_OPTIONAL, CBOR_AT(struct group_key_message, name)},
};
static const struct cbor_table key_table = {CBOR_FIELDS(key_fields)};

static void span_read(struct cbor_reader *r, struct group_span *span, size_t len_max)
{
	span->bytes = cbor_read_bytes(r, &span->len);
	if (span->len == 0 || span->len > len_max)
		cbor_fail(r);
}

static void spans_read(struct cbor_reader *r, struct group_span *spans, unsigned cap,
		       unsigned *out_cnt)
{
	unsigned cnt = 0;

	if (cbor_enter_array(r) > cap)
		cbor_fail(r);
	while (cbor_next(r))
		span_read(r, &spans[cnt++], GROUP_PAGE_LEN_MAX);
	*out_cnt = cnt;
}

static void spans_write(struct writer *w, const struct group_span *spans, unsigned cnt)
{
	cbor_write_array(w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_bytes(w, spans[i].bytes, spans[i].len);
}

static void notes_read(struct cbor_reader *r, void *record)
{
	struct group_ask_message *ask = record;

	spans_read(r, ask->notes, GROUP_NOTES_MAX, &ask->note_cnt);
}

static void notes_write(struct writer *w, const void *record)
{
	const struct group_ask_message *ask = record;

	spans_write(w, ask->notes, ask->note_cnt);
}

static const struct cbor_field ask_fields[] = {
	{0, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_ask_message, group),
	 .max = GROUP_ID_LEN},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_ask_message, shard),
	 .max = GROUP_SHARDS_MAX - 1},
	{2, CBOR_FIELD_EXACT, CBOR_OPTIONAL, CBOR_AT(struct group_ask_message, member),
	 .max = NODE_KEY_LEN},
	{3, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_ask_message, epoch)},
	{4, CBOR_FIELD_IDS, CBOR_NEEDED, CBOR_IDS(struct group_ask_message, heads),
	 CBOR_LEN(struct group_ask_message, head_cnt)},
	{5, CBOR_FIELD_EXACT, CBOR_NEEDED, CBOR_AT(struct group_ask_message, hides_sum),
	 .max = GROUP_HASH_LEN},
	{6, CBOR_FIELD_BYTES, CBOR_WHEN(struct group_ask_message, proof.len),
	 CBOR_AT(struct group_ask_message, proof.bytes),
	 CBOR_LEN(struct group_ask_message, proof.len), .min = 1, .max = GROUP_NOTE_LEN_MAX},
	{7, CBOR_FIELD_CODED, CBOR_WHEN(struct group_ask_message, note_cnt), .read = notes_read,
	 .write = notes_write},
	{8, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct group_ask_message, after)},
};
static const struct cbor_table ask_table = {CBOR_FIELDS(ask_fields)};

static void changes_read(struct cbor_reader *r, void *record)
{
	struct group_page_message *page = record;

	spans_read(r, page->changes, GROUP_CHANGES_MAX, &page->change_cnt);
}

static void changes_write(struct writer *w, const void *record)
{
	const struct group_page_message *page = record;

	spans_write(w, page->changes, page->change_cnt);
}

static void hides_read(struct cbor_reader *r, void *record)
{
	struct group_page_message *page = record;

	spans_read(r, page->hides, GROUP_NOTES_MAX, &page->hide_cnt);
}

static void hides_write(struct writer *w, const void *record)
{
	const struct group_page_message *page = record;

	spans_write(w, page->hides, page->hide_cnt);
}

static const struct cbor_field page_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct group_page_message, epoch)},
	{1, CBOR_FIELD_CODED, CBOR_WHEN(struct group_page_message, change_cnt),
	 .read = changes_read, .write = changes_write},
	{2, CBOR_FIELD_CODED, CBOR_WHEN(struct group_page_message, hide_cnt), .read = hides_read,
	 .write = hides_write},
	{3, CBOR_FIELD_UINT, CBOR_OPTIONAL, CBOR_AT(struct group_page_message, next)},
};
static const struct cbor_table page_table = {CBOR_FIELDS(page_fields)};

void social_group_key_write(struct writer *w, const struct group_key_message *message)
{
	cbor_fields_write(w, &key_table, message);
}

int social_group_key_read(const void *bytes, size_t len, struct group_key_message *out_message)
{
	memset(out_message, 0, sizeof(*out_message));
	return len > GROUP_KEY_LEN_MAX ? WEFT_ETOOLARGE
				       : cbor_fields_parse(bytes, len, &key_table, out_message);
}

void social_group_ask_write(struct writer *w, const struct group_ask_message *message)
{
	cbor_fields_write(w, &ask_table, message);
}

int social_group_ask_read(const void *bytes, size_t len, struct group_ask_message *out_message)
{
	memset(out_message, 0, sizeof(*out_message));
	if (cbor_fields_parse(bytes, len, &ask_table, out_message) < 0 ||
	    out_message->head_cnt > out_message->epoch + 1)
		return WEFT_EMALFORMED;
	return 0;
}

void social_group_page_write(struct writer *w, const struct group_page_message *message)
{
	cbor_fields_write(w, &page_table, message);
}

int social_group_page_read(const void *bytes, size_t len, struct group_page_message *out_message)
{
	memset(out_message, 0, sizeof(*out_message));
	return cbor_fields_parse(bytes, len, &page_table, out_message);
}

/* --- the answer to 640 and 641 --- */

struct ack {
	uint64_t epoch;
};
static const struct cbor_field ack_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct ack, epoch)},
};
static const struct cbor_table ack_table = {CBOR_FIELDS(ack_fields)};

void social_group_ack_write(struct writer *w, uint64_t epoch)
{
	const struct ack ack = {epoch};

	cbor_fields_write(w, &ack_table, &ack);
}

int social_group_ack_read(const void *bytes, size_t len, uint64_t *out_epoch)
{
	struct ack ack = {0};
	int err = cbor_fields_parse(bytes, len, &ack_table, &ack);

	if (err == 0)
		*out_epoch = ack.epoch;
	return err;
}
