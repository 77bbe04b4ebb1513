/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/content_message.h"

#include "mesh/seam.h"
#include "support/check.h"

static const unsigned request_types[] = {MESH_GET_MANIFEST, MESH_GET_CHUNK, MESH_GET_CHUNK_HASHES,
					 MESH_RANGE_PROOF};
static const unsigned answer_types[] = {MESH_MANIFEST_DATA, MESH_CHUNK_DATA, MESH_CHUNK_HASH_LIST,
					MESH_RANGE_PROOF};

static struct message_request request_example(unsigned type)
{
	struct message_request request = {.id = {1, 2, 3, [31] = 32}};

	request.first = type == MESH_GET_MANIFEST ? 0 : 70000;
	request.cnt = type == MESH_GET_CHUNK_HASHES || type == MESH_RANGE_PROOF ? 300 : 0;
	return request;
}

static size_t answer_write(unsigned type, const struct message_answer *answer, uint8_t *out,
			   size_t cap)
{
	struct writer w = writer_of(out, cap);
	uint8_t end[MESSAGE_END_CAP];
	size_t end_len = blobs_message_answer_write_end(type, answer, end);

	blobs_message_answer_write_head(&w, type, answer);
	writer_bytes(&w, answer->bytes, answer->len);
	writer_bytes(&w, end, end_len);
	return w.bad ? 0 : writer_len(&w);
}

static struct message_answer answer_example(unsigned type)
{
	struct message_answer answer = {
		.id = {9, [31] = 8}, .bytes = (const uint8_t *)"abcdef", .len = 6};

	answer.first = type == MESH_MANIFEST_DATA ? 0 : 5;
	answer.total = type == MESH_CHUNK_HASH_LIST || type == MESH_RANGE_PROOF ? 1ull << 40 : 0;
	return answer;
}

static void test_written_request_is_read_back(void)
{
	for (size_t i = 0; i < 4; i++) {
		struct message_request request = request_example(request_types[i]), got;
		uint8_t bytes[MESSAGE_REQUEST_CAP];
		size_t len = blobs_message_request_write(request_types[i], &request, bytes);

		CHECK_EQ(blobs_message_request_parse(request_types[i], bytes, len, &got), 0);
		CHECK_MEM(got.id, request.id, sizeof(got.id));
		CHECK_EQ(got.first, request.first);
		CHECK_EQ(got.cnt, request.cnt);
		for (size_t cut = 0; cut < len; cut++)
			CHECK_EQ(blobs_message_request_parse(request_types[i], bytes, cut, &got),
				 WEFT_EMALFORMED);
	}
}

static void test_longest_request_fits(void)
{
	struct message_request request = {.first = UINT64_MAX, .cnt = UINT64_MAX}, got;
	uint8_t bytes[MESSAGE_REQUEST_CAP];
	size_t len = blobs_message_request_write(MESH_RANGE_PROOF, &request, bytes);

	CHECK_EQ(blobs_message_request_parse(MESH_RANGE_PROOF, bytes, len, &got), 0);
	CHECK(got.first == UINT64_MAX && got.cnt == UINT64_MAX);
}

static void test_written_answer_is_read_back(void)
{
	for (size_t i = 0; i < 4; i++) {
		struct message_answer answer = answer_example(answer_types[i]), got;
		uint8_t bytes[MESSAGE_HEAD_CAP + 16];
		size_t len = answer_write(answer_types[i], &answer, bytes, sizeof(bytes));

		CHECK(len > 0);
		CHECK_EQ(blobs_message_answer_parse(answer_types[i], bytes, len, &got), 0);
		CHECK_MEM(got.id, answer.id, sizeof(got.id));
		CHECK_EQ(got.first, answer.first);
		CHECK_EQ(got.total, answer.total);
		CHECK_EQ(got.len, answer.len);
		CHECK_MEM(got.bytes, answer.bytes, answer.len);
		for (size_t cut = 0; cut < len; cut++)
			CHECK_EQ(blobs_message_answer_parse(answer_types[i], bytes, cut, &got),
				 WEFT_EMALFORMED);
	}
}

static void test_longest_head_fits(void)
{
	struct message_answer answer = {.first = UINT64_MAX, .total = UINT64_MAX, .len = 1u << 30};
	uint8_t bytes[MESSAGE_HEAD_CAP];

	for (size_t i = 0; i < 4; i++) {
		struct writer w = writer_of(bytes, sizeof(bytes));

		blobs_message_answer_write_head(&w, answer_types[i], &answer);
		CHECK(!w.bad);
	}
}

/* One kind's bytes under another's number: a field is missing or too many. */
static void test_message_of_another_kind_is_malformed(void)
{
	uint8_t bytes[MESSAGE_HEAD_CAP + 16];
	struct message_request request = request_example(MESH_GET_CHUNK), got_request;
	struct message_answer answer = answer_example(MESH_CHUNK_DATA), got;
	size_t len = blobs_message_request_write(MESH_GET_CHUNK, &request, bytes);

	CHECK_EQ(blobs_message_request_parse(MESH_GET_MANIFEST, bytes, len, &got_request),
		 WEFT_EMALFORMED);
	CHECK_EQ(blobs_message_request_parse(MESH_GET_CHUNK_HASHES, bytes, len, &got_request),
		 WEFT_EMALFORMED);
	len = answer_write(MESH_CHUNK_DATA, &answer, bytes, sizeof(bytes));
	CHECK_EQ(blobs_message_answer_parse(MESH_CHUNK_HASH_LIST, bytes, len, &got),
		 WEFT_EMALFORMED);
	CHECK_EQ(blobs_message_answer_parse(MESH_MANIFEST_DATA, bytes, len, &got), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_written_request_is_read_back);
	RUN(test_longest_request_fits);
	RUN(test_written_answer_is_read_back);
	RUN(test_longest_head_fits);
	RUN(test_message_of_another_kind_is_malformed);
	return check_done();
}
