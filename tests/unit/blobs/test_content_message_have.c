/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/content_message_have.h"

#include <string.h>

#include "codec/cbor.h"
#include "support/check.h"

static uint8_t ids[HAVE_IDS_MAX + 1][32];

static void ids_fill(void)
{
	for (unsigned i = 0; i <= HAVE_IDS_MAX; i++)
		for (unsigned j = 0; j < 32; j++)
			ids[i][j] = (uint8_t)(i * 7 + j + (i >> 8));
}

static void test_asked_ids_are_read_back(void)
{
	static const uint32_t cnts[] = {1, 2, 300, HAVE_IDS_MAX};
	static uint8_t bytes[HAVE_REQUEST_CAP];

	for (size_t i = 0; i < sizeof(cnts) / sizeof(cnts[0]); i++) {
		struct writer w = writer_of(bytes, sizeof(bytes));
		struct message_have_request got;

		blobs_message_have_ask_ids(&w, ids, cnts[i]);
		CHECK(!w.bad);
		CHECK_EQ(blobs_message_have_request_parse(bytes, writer_len(&w), &got), 0);
		CHECK(!got.has_manifest);
		CHECK_EQ(got.id_cnt, cnts[i]);
		for (uint32_t j = 0; j < cnts[i]; j++)
			CHECK_MEM(blobs_message_have_id(&got, j), ids[j], 32);
	}
}

static void test_asked_manifest_is_read_back(void)
{
	uint8_t bytes[64];
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct message_have_request got;

	blobs_message_have_ask_manifest(&w, ids[3], 32);
	CHECK_EQ(blobs_message_have_request_parse(bytes, writer_len(&w), &got), 0);
	CHECK(got.has_manifest);
	CHECK_MEM(got.manifest_id, ids[3], 32);
	for (size_t cut = 0; cut < writer_len(&w); cut++)
		CHECK_EQ(blobs_message_have_request_parse(bytes, cut, &got), WEFT_EMALFORMED);
}

/* One id too many, none at all, neither kind of question, both kinds, an id of 31 bytes. */
static void test_wrong_questions_are_malformed(void)
{
	static uint8_t bytes[HAVE_REQUEST_CAP + 64];
	struct message_have_request got;
	struct writer w;

	for (unsigned kind = 0; kind < 5; kind++) {
		w = writer_of(bytes, sizeof(bytes));
		if (kind == 0) {
			blobs_message_have_ask_ids(&w, ids, HAVE_IDS_MAX + 1);
		} else if (kind == 1) {
			blobs_message_have_ask_ids(&w, ids, 0);
		} else if (kind == 2) {
			cbor_write_map(&w, 0);
		} else if (kind == 3) {
			cbor_write_map(&w, 2);
			cbor_write_uint(&w, 0);
			cbor_write_array(&w, 1);
			cbor_write_bytes(&w, ids[0], 32);
			cbor_write_uint(&w, 1);
			cbor_write_bytes(&w, ids[0], 32);
		} else {
			cbor_write_map(&w, 1);
			cbor_write_uint(&w, 1);
			cbor_write_bytes(&w, ids[0], 31);
		}
		CHECK(!w.bad);
		CHECK_EQ(blobs_message_have_request_parse(bytes, writer_len(&w), &got),
			 WEFT_EMALFORMED);
	}
}

static const uint8_t whole[] = {0x05, 0x00, 0x80};
static const uint8_t part_bits[] = {0xff, 0x01};

static struct message_have_answer answer_example(void)
{
	struct message_have_answer answer = {
		.whole = whole,
		.whole_len = sizeof(whole),
		.in_progress = {{.item = 1, .bits = part_bits, .bits_len = sizeof(part_bits)},
				{.item = 4, .chunks_log2 = 3, .bits = part_bits, .bits_len = 1}},
		.in_progress_cnt = 2,
	};

	return answer;
}

static size_t answer_write(const struct message_have_answer *answer, uint8_t *out, size_t cap)
{
	struct writer w = writer_of(out, cap);

	blobs_message_have_answer_write(&w, answer);
	return w.bad ? 0 : writer_len(&w);
}

static void test_answer_is_read_back(void)
{
	struct message_have_answer answer = answer_example(), got;
	uint8_t bytes[128];
	size_t len = answer_write(&answer, bytes, sizeof(bytes));

	CHECK_EQ(blobs_message_have_answer_parse(bytes, len, &got), 0);
	CHECK(!got.has_all);
	CHECK_EQ(got.whole_len, sizeof(whole));
	CHECK_EQ(got.in_progress_cnt, 2);
	CHECK_EQ(got.in_progress[1].chunks_log2, 3);
	for (size_t cut = 0; cut < len; cut++)
		CHECK_EQ(blobs_message_have_answer_parse(bytes, cut, &got), WEFT_EMALFORMED);
}

static void test_a_fetcher_of_the_rest_says_so(void)
{
	struct message_have_answer answer = answer_example(), got;
	uint8_t bytes[128];
	size_t len = answer_write(&answer, bytes, sizeof(bytes));

	CHECK_EQ(blobs_message_have_answer_parse(bytes, len, &got), 0);
	CHECK(!got.is_growing);
	answer.is_growing = true;
	len = answer_write(&answer, bytes, sizeof(bytes));
	CHECK_EQ(blobs_message_have_answer_parse(bytes, len, &got), 0);
	CHECK(got.is_growing);
	CHECK_EQ(got.in_progress_cnt, 2);
	bytes[len - 1] = 0xf4; /* false is never written */
	CHECK_EQ(blobs_message_have_answer_parse(bytes, len, &got), WEFT_EMALFORMED);
}

static void test_bits_say_what_is_here(void)
{
	static const struct {
		uint32_t item;
		uint64_t chunk;
		bool want;
		const char *why;
	} rows[] = {
		{0, 9999, true, "a whole item has every chunk"},
		{1, 8, true, "the last chunk of a part that is here"},
		{1, 9, false, "and the one behind it"},
		{1, 4000, false, "beyond the bits that were told"},
		{2, 0, true, "the third bit of the first byte"},
		{3, 0, false, "neither whole nor in part"},
		{4, 63, true, "a bit stands for eight chunks"},
		{4, 64, false, "and eight bits for sixty-four"},
		{23, 0, true, "the last bit of all"},
		{24, 0, false, "no such bit"},
		{UINT32_MAX, 0, false, "no such item"},
	};
	struct message_have_answer answer = answer_example();

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		bool got = blobs_message_have_has_chunk(&answer, rows[i].item, rows[i].chunk);

		if (got != rows[i].want)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(got, rows[i].want);
	}
}

static void test_a_complete_holder_says_so_in_few_bytes(void)
{
	struct message_have_answer answer = answer_example(), got;
	uint8_t bytes[16];
	size_t len;

	answer.has_all = true;
	len = answer_write(&answer, bytes, sizeof(bytes));
	CHECK_EQ(len, 5);
	CHECK_EQ(blobs_message_have_answer_parse(bytes, len, &got), 0);
	CHECK(got.has_all && blobs_message_have_has_chunk(&got, 2999, 1));
}

static void test_limits_of_an_answer(void)
{
	static uint8_t bits[HAVE_LEN_MAX], bytes[HAVE_ANSWER_CAP + HAVE_LEN_MAX];
	static const struct {
		size_t whole_len, bits_len;
		unsigned cnt, log2;
		int want;
		const char *why;
	} rows[] = {
		{375, HAVE_BITS_LEN_MAX, 1, 0, 0, "as much as one item may have"},
		{376, 0, 0, 0, WEFT_EMALFORMED, "more bits than a manifest has items"},
		{0, HAVE_BITS_LEN_MAX + 1, 1, 0, WEFT_EMALFORMED, "one byte too many of an item"},
		{0, HAVE_LEN_MAX / 2, 2, 0, 0, "as much as all may have"},
		{1, HAVE_LEN_MAX / 2, 2, 0, WEFT_EMALFORMED, "one byte too many of all"},
		{0, 1, HAVE_IN_PROGRESS_MAX, HAVE_LOG2_MAX, 0, "as many items in part as may be"},
		{0, 1, 1, HAVE_LOG2_MAX + 1, WEFT_EMALFORMED, "a longer run than a file has"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message_have_answer answer = {.whole = bits, .whole_len = rows[i].whole_len};
		struct message_have_answer got;
		size_t len;
		int err;

		answer.in_progress_cnt = rows[i].cnt;
		for (unsigned j = 0; j < rows[i].cnt; j++)
			answer.in_progress[j] =
				(struct message_have_file){j, rows[i].log2, bits, rows[i].bits_len};
		len = answer_write(&answer, bytes, sizeof(bytes));
		err = blobs_message_have_answer_parse(bytes, len, &got);
		if (err != rows[i].want)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(err, rows[i].want);
	}
}

/* 65 parts; the same item twice; an item no manifest has; all, and bits as well. */
static void test_wrong_answers_are_malformed(void)
{
	struct message_have_answer got;
	uint8_t bytes[1024];

	for (unsigned kind = 0; kind < 4; kind++) {
		unsigned cnt = kind == 0 ? HAVE_IN_PROGRESS_MAX + 1 : 2;
		struct writer w = writer_of(bytes, sizeof(bytes));

		cbor_write_map(&w, 2 + (kind == 3));
		cbor_write_uint(&w, 0);
		cbor_write_bytes(&w, whole, 0);
		cbor_write_uint(&w, 1);
		cbor_write_array(&w, cnt);
		for (unsigned i = 0; i < cnt; i++) {
			cbor_write_array(&w, 3);
			cbor_write_uint(&w, kind == 1 ? 5 : kind == 2 ? HAVE_ITEMS_MAX - 1 + i : i);
			cbor_write_uint(&w, 0);
			cbor_write_bytes(&w, part_bits, 1);
		}
		if (kind == 3) {
			cbor_write_uint(&w, 2);
			cbor_write_bool(&w, true);
		}
		CHECK(!w.bad);
		CHECK_EQ(blobs_message_have_answer_parse(bytes, writer_len(&w), &got),
			 WEFT_EMALFORMED);
	}
}

static void test_unknown_fields_are_skipped(void)
{
	struct message_have_answer got;
	uint8_t bytes[32];
	struct writer w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&w, 2);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, whole, sizeof(whole));
	cbor_write_uint(&w, 9);
	cbor_write_uint(&w, 1);
	CHECK_EQ(blobs_message_have_answer_parse(bytes, writer_len(&w), &got), 0);
	CHECK(blobs_message_have_has_item(&got, 2));
}

/* Runs of every length up to two words, and bits that end inside of one. */
static void test_64_chunks_at_once_are_the_same_as_one_by_one(void)
{
	static uint8_t bits[33];
	static struct message_have_answer answer;

	for (size_t i = 0; i < sizeof(bits); i++)
		bits[i] = (uint8_t)(i * 151 + 77);
	answer.whole = bits;
	answer.whole_len = 1; /* item 2 is here, 1 is not */
	answer.in_progress_cnt = 1;
	for (unsigned log2 = 0; log2 <= 7; log2++) {
		answer.in_progress[0] = (struct message_have_file){
			.item = 1, .chunks_log2 = log2, .bits = bits, .bits_len = sizeof(bits)};
		for (uint64_t first = 0; first < (sizeof(bits) * 8) << log2; first += 64)
			for (uint64_t i = 0; i < 64; i++)
				CHECK_EQ(blobs_message_have_chunks(&answer, 1, first) >> i & 1,
					 blobs_message_have_has_chunk(&answer, 1, first + i));
	}
	CHECK_EQ(blobs_message_have_chunks(&answer, 2, 0), ~0ull);
	CHECK_EQ(blobs_message_have_chunks(&answer, 4, 0), 0);
}

int main(void)
{
	ids_fill();
	RUN(test_asked_ids_are_read_back);
	RUN(test_asked_manifest_is_read_back);
	RUN(test_wrong_questions_are_malformed);
	RUN(test_answer_is_read_back);
	RUN(test_a_fetcher_of_the_rest_says_so);
	RUN(test_bits_say_what_is_here);
	RUN(test_a_complete_holder_says_so_in_few_bytes);
	RUN(test_limits_of_an_answer);
	RUN(test_wrong_answers_are_malformed);
	RUN(test_unknown_fields_are_skipped);
	RUN(test_64_chunks_at_once_are_the_same_as_one_by_one);
	return check_done();
}
