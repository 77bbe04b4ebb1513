/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/find/list_message.h"

#include "codec/cbor.h"
#include "support/check.h"

static uint8_t bytes[RELAY_LIST_LEN_MAX + 64], filling[RELAY_LIST_LEN_MAX];

static size_t ask_make(uint64_t wanted_cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&w, 1);
	cbor_field_uint(&w, 0, wanted_cnt);
	return writer_len(&w);
}

static size_t list_make(unsigned cnt, size_t len)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 0);
	cbor_write_array(&w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_bytes(&w, filling, len);
	return w.bad ? 0 : writer_len(&w);
}

static void test_a_request_wants_one_to_sixteen(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	unsigned wanted = 99;

	relay_list_ask_write(&w, RELAY_LIST_MAX);
	CHECK(writer_len(&w) <= RELAY_LIST_ASK_LEN_MAX);
	CHECK_EQ(relay_list_ask_parse(bytes, writer_len(&w), &wanted), 0);
	CHECK_EQ(wanted, 16);
	CHECK_EQ(relay_list_ask_parse(bytes, ask_make(1), &wanted), 0);
	CHECK_EQ(wanted, 1);
	CHECK_EQ(relay_list_ask_parse(bytes, ask_make(0), &wanted), WEFT_EMALFORMED);
	CHECK_EQ(relay_list_ask_parse(bytes, ask_make(17), &wanted), WEFT_EMALFORMED);
	CHECK_EQ(wanted, 1);
}

static void test_a_list_of_sixteen_is_read_and_of_seventeen_is_not(void)
{
	struct relay_listed listed[RELAY_LIST_MAX];

	CHECK_EQ(relay_list_parse(bytes, list_make(0, 1), listed), 0);
	CHECK_EQ(relay_list_parse(bytes, list_make(16, 1024), listed), 16);
	CHECK_EQ(listed[15].len, 1024);
	CHECK_EQ(relay_list_parse(bytes, list_make(17, 1), listed), WEFT_EMALFORMED);
}

static void test_a_list_of_32_kib_is_read_and_one_byte_more_is_not(void)
{
	struct relay_listed listed[RELAY_LIST_MAX];
	size_t len = RELAY_LIST_LEN_MAX - 6; /* map, key, array and the head of the bytes */

	CHECK_EQ(list_make(1, len), RELAY_LIST_LEN_MAX);
	CHECK_EQ(relay_list_parse(bytes, RELAY_LIST_LEN_MAX, listed), 1);
	CHECK_EQ(list_make(1, len + 1), RELAY_LIST_LEN_MAX + 1);
	CHECK_EQ(relay_list_parse(bytes, RELAY_LIST_LEN_MAX + 1, listed), WEFT_ETOOLARGE);
}

static void test_every_prefix_is_refused(void)
{
	const struct relay_listed two[2] = {{filling, 3}, {filling, 30}};
	struct relay_listed listed[RELAY_LIST_MAX];
	struct writer w = writer_of(bytes, sizeof(bytes));
	size_t len;

	relay_list_write(&w, two, 2);
	len = writer_len(&w);
	for (size_t i = 0; i < len; i++) {
		uint8_t *copy = malloc(i ? i : 1);

		memcpy(copy, bytes, i);
		CHECK_EQ(relay_list_parse(copy, i, listed), WEFT_EMALFORMED);
		free(copy);
	}
	CHECK_EQ(relay_list_parse(bytes, len, listed), 2);
	CHECK_EQ(listed[1].len, 30);
	len = ask_make(16);
	for (size_t i = 0; i < len; i++) {
		unsigned wanted;

		CHECK_EQ(relay_list_ask_parse(bytes, i, &wanted), WEFT_EMALFORMED);
	}
}

/* The vector of docs/wire/relay_announcement.md. */
static void test_the_vectors_of_the_wire_page(void)
{
	const struct relay_listed one = {(const uint8_t *)"\x01\x02", 2};
	struct writer w = writer_of(bytes, sizeof(bytes));

	relay_list_ask_write(&w, 16);
	CHECK_EQ(writer_len(&w), 3);
	CHECK_MEM(bytes, "\xa1\x00\x10", 3);
	w = writer_of(bytes, sizeof(bytes));
	relay_list_write(&w, &one, 1);
	CHECK_EQ(writer_len(&w), 6);
	CHECK_MEM(bytes, "\xa1\x00\x81\x42\x01\x02", 6);
}

int main(void)
{
	RUN(test_a_request_wants_one_to_sixteen);
	RUN(test_a_list_of_sixteen_is_read_and_of_seventeen_is_not);
	RUN(test_a_list_of_32_kib_is_read_and_one_byte_more_is_not);
	RUN(test_every_prefix_is_refused);
	RUN(test_the_vectors_of_the_wire_page);
	return check_done();
}
