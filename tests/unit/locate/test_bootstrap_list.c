/* SPDX-License-Identifier: Apache-2.0 */
#include "locate/bootstrap_list.h"

#include <string.h>

#include "codec/cbor.h"
#include "crypto/node_key.h"
#include "crypto/signed.h"
#include "support/check.h"

static const uint8_t seed[NODE_KEY_SEED_LEN] = {7};
static struct node_key *key;
static uint8_t bytes[BOOTSTRAP_LEN_MAX], again[BOOTSTRAP_LEN_MAX];
static char text[BOOTSTRAP_TEXT_CAP];

static struct bootstrap_list list_of(unsigned entry_cnt)
{
	struct bootstrap_list list;

	memset(&list, 0, sizeof(list));
	list.serial = 5;
	list.made_s = 1700000000;
	list.expires_s = list.made_s + 86400;
	snprintf(list.title, sizeof(list.title), "lab");
	list.entry_cnt = entry_cnt;
	for (unsigned i = 0; i < entry_cnt; i++) {
		list.entries[i].addr = (struct addr){.family = i % 3 ? ADDR_IPV6 : ADDR_IPV4,
						     .port = (uint16_t)(7000 + i),
						     .ip = {1}};
		list.entries[i].has_key = i % 2;
		memset(list.entries[i].key, i % 2 ? (int)i : 0, sizeof(list.entries[i].key));
	}
	return list;
}

static size_t write(struct bootstrap_list *list)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	locate_bootstrap_list_write(&w, key, list);
	return w.bad ? 0 : writer_len(&w);
}

static void test_what_is_written_is_read(void)
{
	static const unsigned cnts[] = {0, 1, 7, BOOTSTRAP_ENTRIES_MAX};

	for (unsigned i = 0; i < 4; i++) {
		struct bootstrap_list list = list_of(cnts[i]), read;
		size_t len = write(&list), text_len;

		CHECK(len > 0);
		CHECK_EQ(locate_bootstrap_list_parse(bytes, len, &read), 0);
		CHECK(locate_bootstrap_list_equal(&list, &read));
		CHECK_MEM(read.issuer, node_key_public(key), 32);
		locate_bootstrap_text_write(bytes, len, text);
		CHECK_EQ(locate_bootstrap_text_read(text, again, &text_len), 0);
		CHECK_EQ(text_len, len);
		CHECK_MEM(again, bytes, len);
	}
}

static void test_every_prefix_and_every_changed_byte_is_refused(void)
{
	struct bootstrap_list list = list_of(3), read;
	size_t len = write(&list);

	for (size_t i = 0; i < len; i++)
		CHECK(locate_bootstrap_list_parse(bytes, i, &read) < 0);
	for (size_t i = 0; i < len; i++) {
		bytes[i] ^= 1;
		CHECK(locate_bootstrap_list_parse(bytes, len, &read) < 0);
		bytes[i] ^= 1;
	}
	CHECK_EQ(locate_bootstrap_list_parse(bytes, len, &read), 0);
}

static void test_times_and_serials_that_cannot_be_are_refused(void)
{
	struct bootstrap_list lists[4], read;

	for (unsigned i = 0; i < 4; i++)
		lists[i] = list_of(1);
	lists[0].serial = 0;
	lists[1].expires_s = lists[1].made_s;
	lists[2].expires_s = lists[2].made_s + BOOTSTRAP_LIFE_S_MAX + 1;
	lists[3].expires_s = lists[3].made_s + BOOTSTRAP_LIFE_S_MAX;
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(locate_bootstrap_list_parse(bytes, write(&lists[i]), &read),
			 i < 3 ? WEFT_EMALFORMED : 0);
}

/* A list of cnt entries, the first the url of a relay if so wanted, and signed under tag. */
static size_t write_foreign(unsigned cnt, bool has_url, const char *tag)
{
	uint8_t body[BOOTSTRAP_LEN_MAX];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));
	static const uint8_t ip[4] = {192, 0, 2, 1};

	cbor_write_map(&b, 5);
	for (unsigned i = 0; i < 3; i++)
		cbor_field_uint(&b, i, i + 1);
	cbor_write_uint(&b, 3);
	cbor_write_array(&b, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		if (i == 0 && has_url) {
			cbor_write_map(&b, 2);
			cbor_field_uint(&b, 2, 2);
			cbor_field_text(&b, 5, "wss://a.example", 15);
			continue;
		}
		cbor_write_map(&b, 3);
		cbor_field_bytes(&b, 0, ip, sizeof(ip));
		cbor_field_uint(&b, 1, 7000);
		cbor_field_uint(&b, 2, 0);
	}
	cbor_field_uint(&b, 9, 1);
	signed_write(&w, key, tag, body, writer_len(&b));
	return writer_len(&w);
}

static void test_later_kinds_of_entries_and_fields_are_stepped_over(void)
{
	struct bootstrap_list read;

	CHECK_EQ(locate_bootstrap_list_parse(bytes, write_foreign(3, true, BOOTSTRAP_TAG), &read),
		 0);
	CHECK_EQ(read.entry_cnt, 2);
	CHECK_EQ(locate_bootstrap_list_parse(bytes, write_foreign(32, false, BOOTSTRAP_TAG), &read),
		 0);
	CHECK_EQ(read.entry_cnt, 32);
}

static void test_too_many_entries_and_another_tag_are_refused(void)
{
	struct bootstrap_list read;

	CHECK_EQ(locate_bootstrap_list_parse(bytes, write_foreign(33, false, BOOTSTRAP_TAG), &read),
		 WEFT_ETOOLARGE);
	CHECK_EQ(locate_bootstrap_list_parse(bytes, write_foreign(1, false, "sharehead"), &read),
		 WEFT_EDAMAGED);
	CHECK_EQ(locate_bootstrap_list_parse(bytes, BOOTSTRAP_LEN_MAX + 1, &read), WEFT_ETOOLARGE);
}

static void test_text_is_read_as_people_paste_it(void)
{
	static const struct {
		const char *text;
		int err;
	} rows[] = {
		{" \n" BOOTSTRAP_SCHEME "yy\r\n ", 0},
		{BOOTSTRAP_SCHEME "yy yy", WEFT_EMALFORMED},
		{BOOTSTRAP_SCHEME "y0", WEFT_EMALFORMED},
		{"mesh:yy", WEFT_EMALFORMED},
		{"", WEFT_EMALFORMED},
	};
	static char longest[2 * BOOTSTRAP_TEXT_CAP];
	size_t len;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(locate_bootstrap_text_read(rows[i].text, again, &len), rows[i].err);
	memset(longest, 'y', sizeof(longest) - 1);
	memcpy(longest, BOOTSTRAP_SCHEME, sizeof(BOOTSTRAP_SCHEME) - 1);
	CHECK_EQ(locate_bootstrap_text_read(longest, again, &len), WEFT_ETOOLARGE);
}

int main(void)
{
	if (node_key_from_seed(seed, &key) < 0)
		return 1;
	RUN(test_what_is_written_is_read);
	RUN(test_every_prefix_and_every_changed_byte_is_refused);
	RUN(test_times_and_serials_that_cannot_be_are_refused);
	RUN(test_later_kinds_of_entries_and_fields_are_stepped_over);
	RUN(test_too_many_entries_and_another_tag_are_refused);
	RUN(test_text_is_read_as_people_paste_it);
	node_key_free(key);
	return check_done();
}
