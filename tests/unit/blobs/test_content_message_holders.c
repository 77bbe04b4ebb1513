/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/content_message_holders.h"

#include <string.h>

#include "codec/cbor.h"
#include "support/check.h"

static struct addr addr_example(unsigned i)
{
	struct addr addr = {.ip = {0x20, 0x01, 0x0d, 0xb8, [15] = (uint8_t)i},
			    .port = (uint16_t)(60000 + i),
			    .family = ADDR_IPV6};

	return addr;
}

static void test_request_is_read_back(void)
{
	static const struct {
		bool is_serving;
		unsigned addr_cnt;
	} rows[] = {{false, 0}, {true, 0}, {true, 1}, {true, PEER_ADDRS_MAX}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct message_holders_request request = {.id = {1, [31] = 7}}, got;
		uint8_t bytes[HOLDERS_REQUEST_CAP];
		struct writer w = writer_of(bytes, sizeof(bytes));

		request.is_serving = rows[i].is_serving;
		request.addr_cnt = rows[i].addr_cnt;
		for (unsigned j = 0; j < request.addr_cnt; j++)
			request.addrs[j] = addr_example(j);
		blobs_message_holders_request_write(&w, &request);
		CHECK(!w.bad);
		CHECK_EQ(blobs_message_holders_request_parse(bytes, writer_len(&w), &got), 0);
		CHECK_MEM(got.id, request.id, 32);
		CHECK_EQ(got.is_serving, request.is_serving);
		CHECK_EQ(got.addr_cnt, request.addr_cnt);
		CHECK_MEM(got.addrs, request.addrs, request.addr_cnt * sizeof(got.addrs[0]));
		for (size_t cut = 0; cut < writer_len(&w); cut++)
			CHECK_EQ(blobs_message_holders_request_parse(bytes, cut, &got),
				 WEFT_EMALFORMED);
	}
}

static void test_request_without_an_id_is_malformed(void)
{
	struct message_holders_request got;
	uint8_t bytes[16];
	struct writer w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 1);
	cbor_write_array(&w, 0);
	CHECK_EQ(blobs_message_holders_request_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
}

static void test_request_with_nine_addresses_is_malformed(void)
{
	struct message_holders_request got;
	struct peer_addr addr;
	struct addr example = addr_example(1);
	uint8_t bytes[HOLDERS_REQUEST_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&w, 2);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, (const uint8_t[32]){0}, 32);
	cbor_write_uint(&w, 1);
	cbor_write_array(&w, PEER_ADDRS_MAX + 1);
	addr = peer_addr_of(&example);
	for (unsigned i = 0; i <= PEER_ADDRS_MAX; i++)
		peer_addr_write(&w, &addr);
	CHECK(!w.bad);
	CHECK_EQ(blobs_message_holders_request_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
}

static struct message_holder holders[HOLDERS_MAX + 1], got_holders[HOLDERS_MAX];

static void holders_fill(unsigned addr_cnt)
{
	memset(holders, 0, sizeof(holders));
	for (unsigned i = 0; i <= HOLDERS_MAX; i++) {
		holders[i].key[0] = (uint8_t)(i + 1);
		holders[i].addr_cnt = addr_cnt;
		for (unsigned j = 0; j < addr_cnt; j++)
			holders[i].addrs[j] = addr_example(i + j);
	}
}

static void test_answer_is_read_back(void)
{
	static const unsigned cnts[] = {0, 1, HOLDERS_MAX};
	static uint8_t bytes[HOLDERS_ANSWER_CAP];

	holders_fill(PEER_ADDRS_MAX);
	for (size_t i = 0; i < sizeof(cnts) / sizeof(cnts[0]); i++) {
		struct writer w = writer_of(bytes, sizeof(bytes));

		blobs_message_holders_write(&w, holders, cnts[i]);
		CHECK(!w.bad);
		CHECK_EQ(blobs_message_holders_parse(bytes, writer_len(&w), got_holders), cnts[i]);
		for (unsigned j = 0; j < cnts[i]; j++) {
			CHECK_MEM(got_holders[j].key, holders[j].key, 32);
			CHECK_EQ(got_holders[j].addr_cnt, PEER_ADDRS_MAX);
			CHECK_MEM(got_holders[j].addrs, holders[j].addrs, sizeof(holders[j].addrs));
		}
	}
}

static void test_cut_answer_is_malformed(void)
{
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));

	holders_fill(1);
	blobs_message_holders_write(&w, holders, 2);
	CHECK(!w.bad);
	for (size_t cut = 0; cut < writer_len(&w); cut++)
		CHECK_EQ(blobs_message_holders_parse(bytes, cut, got_holders), WEFT_EMALFORMED);
}

static void test_one_holder_too_many_is_malformed(void)
{
	static uint8_t bytes[HOLDERS_ANSWER_CAP];
	struct writer w = writer_of(bytes, sizeof(bytes));

	holders_fill(1);
	blobs_message_holders_write(&w, holders, HOLDERS_MAX + 1);
	CHECK(!w.bad);
	CHECK_EQ(blobs_message_holders_parse(bytes, writer_len(&w), got_holders), WEFT_EMALFORMED);
}

static void test_answer_without_a_list_is_malformed(void)
{
	static const uint8_t empty_map[] = {0xa0};

	CHECK_EQ(blobs_message_holders_parse(empty_map, 1, got_holders), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_request_is_read_back);
	RUN(test_request_without_an_id_is_malformed);
	RUN(test_request_with_nine_addresses_is_malformed);
	RUN(test_answer_is_read_back);
	RUN(test_cut_answer_is_malformed);
	RUN(test_one_holder_too_many_is_malformed);
	RUN(test_answer_without_a_list_is_malformed);
	return check_done();
}
