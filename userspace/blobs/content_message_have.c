/* SPDX-License-Identifier: Apache-2.0 */
/* HAVE_CONTENT, to and from bytes. */
#include "content_message_have.h"

#include "codec/cbor_fields.h"

#define ID_LEN	     32u
#define ID_HEAD_LEN  2u /* a byte string of 32 bytes: 58 20 */
#define ID_CODED_LEN (ID_HEAD_LEN + ID_LEN)

static bool bit_is_set(const uint8_t *bits, size_t len, uint64_t idx)
{
	return idx / 8 < len && bits[idx / 8] & 1u << idx % 8;
}

const uint8_t *blobs_message_have_id(const struct message_have_request *request, uint32_t idx)
{
	return request->ids + (size_t)idx * ID_CODED_LEN;
}

void blobs_message_have_ask_ids(struct writer *w, const uint8_t (*ids)[32], uint32_t id_cnt)
{
	cbor_write_map(w, 1);
	cbor_write_uint(w, 0);
	cbor_write_array(w, id_cnt);
	for (uint32_t i = 0; i < id_cnt; i++)
		cbor_write_bytes(w, ids[i], ID_LEN);
}

void blobs_message_have_ask_manifest(struct writer *w, const uint8_t *id, size_t len)
{
	cbor_write_map(w, 1);
	cbor_field_bytes(w, 1, id, len);
}

static void manifest_read(struct cbor_reader *r, struct message_have_request *request)
{
	size_t len = 0;
	const uint8_t *id = cbor_read_bytes(r, &len);

	if (!id || (len != ID_LEN && len != 2 * ID_LEN)) {
		cbor_fail(r);
		return;
	}
	request->manifest_id = id;
	request->veiled = len == ID_LEN ? NULL : id + ID_LEN;
	request->has_manifest = true;
}

/* Each head has one shortest form, so the ids lie at equal distances. */
static void ids_read(struct cbor_reader *r, struct message_have_request *request)
{
	uint64_t cnt = cbor_enter_array(r);

	if (cnt == 0 || cnt > HAVE_IDS_MAX)
		cbor_fail(r);
	while (cbor_next(r)) {
		const uint8_t *id = cbor_read_exactly(r, ID_LEN);

		if (!request->ids)
			request->ids = id;
	}
	request->id_cnt = (uint32_t)cnt;
}

int blobs_message_have_request_parse(const void *payload, size_t len,
				     struct message_have_request *out_request)
{
	struct message_have_request request = {0};
	struct cbor_reader r;
	uint64_t key;
	int err;

	cbor_reader_init(&r, payload, len);
	cbor_enter_map(&r);
	while (cbor_next_key(&r, &key)) {
		switch (key) {
		case 0:
			ids_read(&r, &request);
			break;
		case 1:
			manifest_read(&r, &request);
			break;
		default:
			cbor_skip(&r);
		}
	}
	err = cbor_reader_finish(&r);
	if (err)
		return err;
	if (request.has_manifest == (request.id_cnt > 0))
		return WEFT_EMALFORMED;
	*out_request = request;
	return 0;
}

/* A row: [item, log2 of the chunks of a bit, bits]. */
static const struct cbor_field in_progress_fields[] = {
	{0, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct message_have_file, item),
	 .max = HAVE_ITEMS_MAX - 1},
	{1, CBOR_FIELD_UINT, CBOR_NEEDED, CBOR_AT(struct message_have_file, chunks_log2),
	 .max = HAVE_LOG2_MAX},
	{2, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct message_have_file, bits),
	 CBOR_LEN(struct message_have_file, bits_len), .max = HAVE_BITS_LEN_MAX},
};
static const struct cbor_table in_progress_table = {CBOR_FIELDS(in_progress_fields)};
static const struct cbor_field answer_fields[] = {
	{0, CBOR_FIELD_BYTES, CBOR_NEEDED, CBOR_AT(struct message_have_answer, whole),
	 CBOR_LEN(struct message_have_answer, whole_len), .max = (HAVE_ITEMS_MAX + 7) / 8},
	{1, CBOR_FIELD_ROWS, CBOR_OPTIONAL,
	 CBOR_ROWS(struct message_have_answer, in_progress, in_progress_table),
	 CBOR_LEN(struct message_have_answer, in_progress_cnt)},
	{2, CBOR_FIELD_FLAG, CBOR_OPTIONAL, CBOR_AT(struct message_have_answer, has_all)},
	{3, CBOR_FIELD_FLAG, CBOR_OPTIONAL, CBOR_AT(struct message_have_answer, is_growing)},
};
static const struct cbor_table answer_table = {CBOR_FIELDS(answer_fields)};

void blobs_message_have_answer_write(struct writer *w, const struct message_have_answer *answer)
{
	bool has_in_progress = answer->in_progress_cnt > 0 && !answer->has_all;

	bool is_growing = answer->is_growing && !answer->has_all;

	cbor_write_map(w, 1u + has_in_progress + answer->has_all + is_growing);
	cbor_field_bytes(w, 0, answer->whole, answer->has_all ? 0 : answer->whole_len);
	if (has_in_progress) {
		cbor_write_uint(w, 1);
		cbor_write_array(w, answer->in_progress_cnt);
		for (unsigned i = 0; i < answer->in_progress_cnt; i++)
			cbor_row_write(w, &in_progress_table, &answer->in_progress[i]);
	}
	if (answer->has_all || is_growing) {
		cbor_write_uint(w, answer->has_all ? 2 : 3);
		cbor_write_bool(w, true);
	}
}

static bool answer_is_sound(const struct message_have_answer *answer)
{
	size_t len = answer->whole_len;

	for (unsigned i = 0; i < answer->in_progress_cnt; i++) {
		/* By ascending item, so that none is named twice. */
		if (i && answer->in_progress[i - 1].item >= answer->in_progress[i].item)
			return false;
		len += answer->in_progress[i].bits_len;
	}
	return len <= HAVE_LEN_MAX && !(answer->has_all && len > 0);
}

int blobs_message_have_answer_parse(const void *payload, size_t len,
				    struct message_have_answer *out_answer)
{
	int err;

	out_answer->has_all = out_answer->is_growing = false;
	out_answer->in_progress_cnt = 0;
	err = cbor_fields_parse(payload, len, &answer_table, out_answer);
	return err || answer_is_sound(out_answer) ? err : WEFT_EMALFORMED;
}

bool blobs_message_have_has_item(const struct message_have_answer *answer, uint32_t item)
{
	return answer->has_all || bit_is_set(answer->whole, answer->whole_len, item);
}

bool blobs_message_have_has_chunk(const struct message_have_answer *answer, uint32_t item,
				  uint64_t chunk)
{
	if (blobs_message_have_has_item(answer, item))
		return true;
	for (unsigned i = 0; i < answer->in_progress_cnt; i++) {
		const struct message_have_file *partial = &answer->in_progress[i];

		if (partial->item == item)
			return bit_is_set(partial->bits, partial->bits_len,
					  chunk >> partial->chunks_log2);
	}
	return false;
}

/* cnt bits from bit at on, a multiple of cnt, which is a power of two up to 64. */
static uint64_t bits_at(const struct message_have_file *partial, uint64_t at, unsigned cnt)
{
	uint64_t bits = 0;

	for (unsigned i = 0; i < cnt; i += 8)
		if ((at + i) / 8 < partial->bits_len)
			bits |= (uint64_t)(partial->bits[(at + i) / 8] >> at % 8) << i;
	return cnt < 8 ? bits & ((1u << cnt) - 1) : bits;
}

/* Each of the 64 >> log2 bits becomes as many as its run has chunks. */
static uint64_t runs_spread(uint64_t runs, unsigned log2)
{
	uint64_t run = (1ull << (1u << log2)) - 1, chunks = 0;

	for (; runs; runs &= runs - 1)
		chunks |= run << ((unsigned)__builtin_ctzll(runs) << log2);
	return chunks;
}

uint64_t blobs_message_have_chunks(const struct message_have_answer *answer, uint32_t item,
				   uint64_t first)
{
	if (blobs_message_have_has_item(answer, item))
		return ~0ull;
	for (unsigned i = 0; i < answer->in_progress_cnt; i++) {
		const struct message_have_file *partial = &answer->in_progress[i];
		unsigned log2 = partial->chunks_log2;

		if (partial->item != item)
			continue;
		if (log2 >= 6)
			return blobs_message_have_has_chunk(answer, item, first) ? ~0ull : 0;
		return log2 ? runs_spread(bits_at(partial, first >> log2, 64u >> log2), log2)
			    : bits_at(partial, first, 64);
	}
	return 0;
}
