/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/grants/grant_revocations.h"

#include <string.h>

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "support/check.h"

static struct node_key *key;
static struct relay_revocations list, back;
static uint8_t bytes[2 * RELAY_REVOCATIONS_LEN_MAX];

static void list_make(uint32_t cnt)
{
	memset(&list, 0, sizeof(list));
	list.serial = 3;
	list.made_s = 1700000000;
	for (uint32_t i = 0; i < cnt; i++)
		CHECK_EQ(relay_revocations_add(&list, UINT64_MAX - 2 * i), 0);
}

static size_t list_write(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	relay_revocations_write(&w, key, &list);
	return w.bad ? 0 : writer_len(&w);
}

static void test_what_is_written_is_read(void)
{
	static const uint32_t cnts[] = {0, 1, 2, RELAY_REVOKED_MAX};

	for (unsigned i = 0; i < 4; i++) {
		size_t len;

		list_make(cnts[i]);
		list.below = i;
		len = list_write();
		CHECK(len > 0 && len <= RELAY_REVOCATIONS_LEN_MAX);
		CHECK_EQ(relay_revocations_parse(bytes, len, &back), 0);
		CHECK_MEM(&back, &list, sizeof(list));
		CHECK_MEM(back.issuer, node_key_public(key), 32);
	}
}

static void test_every_prefix_and_every_changed_byte_is_refused(void)
{
	size_t len;

	list_make(3);
	list.below = 9;
	len = list_write();
	for (size_t i = 0; i < len; i++)
		CHECK(relay_revocations_parse(bytes, i, &back) < 0);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		CHECK(relay_revocations_parse(bytes, len, &back) < 0);
		bytes[i] ^= 1;
	}
	CHECK_EQ(relay_revocations_parse(bytes, len, &back), 0);
}

/* cnt serials, each step above the one before; with an unknown field. */
static size_t foreign_write(uint64_t serial, unsigned cnt, uint64_t step)
{
	static uint8_t body[RELAY_REVOCATIONS_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));

	cbor_write_map(&b, 4);
	cbor_field_uint(&b, 0, serial);
	cbor_field_uint(&b, 1, 1);
	cbor_write_uint(&b, 3);
	cbor_write_array(&b, cnt);
	for (unsigned i = 0; i < cnt; i++)
		cbor_write_uint(&b, 5 + i * step);
	cbor_field_uint(&b, 9, 1);
	signed_write(&w, key, RELAY_REVOKE_TAG, body, writer_len(&b));
	return writer_len(&w);
}

static void test_serials_ascend_and_are_not_too_many(void)
{
	static const struct {
		uint64_t serial;
		unsigned cnt;
		uint64_t step;
		int err;
	} rows[] = {
		{1, 2, 1, 0},
		{0, 2, 1, WEFT_EMALFORMED},
		{1, 2, 0, WEFT_EMALFORMED},
		{1, 2, UINT64_MAX, WEFT_EMALFORMED},
		{1, RELAY_REVOKED_MAX, 1, 0},
		{1, RELAY_REVOKED_MAX + 1, 1, WEFT_EMALFORMED},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(relay_revocations_parse(
				 bytes, foreign_write(rows[i].serial, rows[i].cnt, rows[i].step),
				 &back),
			 rows[i].err);
	CHECK_EQ(relay_revocations_parse(bytes, RELAY_REVOCATIONS_LEN_MAX + 1, &back),
		 WEFT_ETOOLARGE);
}

static void test_a_serial_is_revoked_once_and_where_it_belongs(void)
{
	static const uint64_t serials[] = {50, 10, 30, 20, 40};

	list_make(0);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(relay_revocations_add(&list, serials[i]), 0);
	CHECK_EQ(relay_revocations_add(&list, 30), WEFT_EEXISTS);
	for (unsigned i = 0; i < 5; i++) {
		CHECK_EQ(list.serials[i], 10 * (i + 1));
		CHECK(relay_revocations_have(&list, 10 * (i + 1)));
		CHECK(!relay_revocations_have(&list, 10 * (i + 1) + 1));
	}
	CHECK(!relay_revocations_have(&list, 9));
	relay_revocations_raise(&list, 30);
	CHECK_EQ(list.cnt, 3);
	CHECK_EQ(list.serials[0], 30);
	CHECK(relay_revocations_have(&list, 29));
	CHECK_EQ(relay_revocations_add(&list, 29), WEFT_EEXISTS);
	relay_revocations_raise(&list, 20);
	CHECK_EQ(list.below, 30);
}

static void test_one_serial_too_many_is_refused_until_below_rises(void)
{
	list_make(RELAY_REVOKED_MAX);
	CHECK_EQ(relay_revocations_add(&list, 1), WEFT_EFULL);
	relay_revocations_raise(&list, list.serials[0] + 1);
	CHECK_EQ(list.cnt, RELAY_REVOKED_MAX - 1);
	CHECK_EQ(relay_revocations_add(&list, list.below), 0);
}

static void test_text_has_its_scheme(void)
{
	static char text[RELAY_REVOCATIONS_TEXT_CAP];
	static uint8_t read[RELAY_REVOCATIONS_LEN_MAX];
	size_t len, read_len;

	list_make(RELAY_REVOKED_MAX);
	len = list_write();
	relay_revocations_text_write(bytes, len, text);
	CHECK_EQ(relay_revocations_text_read(text, read, &read_len), 0);
	CHECK_EQ(read_len, len);
	CHECK_MEM(read, bytes, len);
	text[6] = 'x';
	CHECK_EQ(relay_revocations_text_read(text, read, &read_len), WEFT_EMALFORMED);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {4};

	if (node_key_from_seed(seed, &key) < 0)
		return 1;
	RUN(test_what_is_written_is_read);
	RUN(test_every_prefix_and_every_changed_byte_is_refused);
	RUN(test_serials_ascend_and_are_not_too_many);
	RUN(test_a_serial_is_revoked_once_and_where_it_belongs);
	RUN(test_one_serial_too_many_is_refused_until_below_rises);
	RUN(test_text_has_its_scheme);
	node_key_free(key);
	return check_done();
}
