/* SPDX-License-Identifier: Apache-2.0 */
/* What may be in the payloads of 200 to 202. */
#include "codec/cbor.h"
#include "overlay/overlay_message.h"
#include "support/check.h"

static uint8_t key[32], writer_key[OVERLAY_WRITER_LEN];
static uint8_t bytes[2 * OVERLAY_VALUES_LEN_MAX], value[OVERLAY_VALUE_LEN_MAX + 1];
static struct overlay_found found, got;

static void begin(void)
{
	memset(key, 'k', sizeof(key));
	memset(writer_key, 'w', sizeof(writer_key));
	memset(value, 'v', sizeof(value));
}

static void test_find_is_read_as_written(void)
{
	static const size_t target_lens[] = {KAD_ID_LEN, OVERLAY_KEY_LEN};

	begin();
	for (unsigned i = 0; i < 8; i++) {
		size_t target_len = target_lens[i & 1];
		struct overlay_find find = {.target = key, .is_serving = i & 2}, back;
		struct writer w = writer_of(bytes, OVERLAY_FIND_LEN_MAX);

		find.after = (i & 1) && (i & 4) ? writer_key : NULL;
		overlay_find_write(&w, &find, target_len);
		CHECK(!w.bad);
		CHECK_EQ(overlay_find_parse(bytes, writer_len(&w), target_len, &back), 0);
		CHECK_MEM(back.target, key, target_len);
		CHECK_EQ(back.is_serving, find.is_serving);
		CHECK_EQ(back.after != NULL, find.after != NULL);
		for (size_t len = 0; len < writer_len(&w); len++)
			CHECK_EQ(overlay_find_parse(bytes, len, target_len, &back),
				 WEFT_EMALFORMED);
		/* A place is no key and a key no place. */
		CHECK_EQ(overlay_find_parse(bytes, writer_len(&w), target_lens[!(i & 1)], &back),
			 WEFT_EMALFORMED);
	}
}

static void test_find_of_a_later_version_is_understood(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct overlay_find back;

	begin();
	cbor_write_map(&w, 2);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, key, KAD_ID_LEN);
	cbor_write_uint(&w, 9);
	cbor_write_text(&w, "later", 5);
	CHECK_EQ(overlay_find_parse(bytes, writer_len(&w), KAD_ID_LEN, &back), 0);
}

static size_t store_write(size_t key_len, size_t name_len, size_t value_len, uint64_t ttl_s)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	begin();
	cbor_write_map(&w, ttl_s ? 4 : 3);
	cbor_write_uint(&w, 0);
	cbor_write_bytes(&w, value, key_len);
	cbor_write_uint(&w, 1);
	cbor_write_bytes(&w, value, name_len);
	cbor_write_uint(&w, 2);
	cbor_write_bytes(&w, value, value_len);
	if (ttl_s) {
		cbor_write_uint(&w, 3);
		cbor_write_uint(&w, ttl_s);
	}
	return writer_len(&w);
}

static void test_store_has_its_limits(void)
{
	static const struct {
		size_t key_len, name_len, value_len;
		int want;
	} rows[] = {
		{32, 1, 1, 0},
		{32, OVERLAY_NAME_LEN_MAX, OVERLAY_VALUE_LEN_MAX, 0},
		{31, 1, 1, WEFT_EMALFORMED},
		{33, 1, 1, WEFT_EMALFORMED},
		{32, 0, 1, WEFT_EMALFORMED},
		{32, OVERLAY_NAME_LEN_MAX + 1, 1, WEFT_EMALFORMED},
		{32, 1, 0, WEFT_EMALFORMED},
		{32, 1, OVERLAY_VALUE_LEN_MAX + 1, WEFT_ETOOLARGE},
	};
	struct overlay_store back;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		size_t len = store_write(rows[i].key_len, rows[i].name_len, rows[i].value_len, 0);

		CHECK_EQ(overlay_store_parse(bytes, len, &back), rows[i].want);
	}
}

static void test_store_is_read_as_written(void)
{
	struct overlay_store store = {.key = key,
				      .name = (const uint8_t *)"svc:a",
				      .name_len = 5,
				      .value = value,
				      .value_len = 300,
				      .ttl_s = 7};
	struct writer w = writer_of(bytes, OVERLAY_STORE_LEN_MAX);
	struct overlay_store back;

	begin();
	overlay_store_write(&w, &store);
	CHECK(!w.bad);
	CHECK_EQ(overlay_store_parse(bytes, writer_len(&w), &back), 0);
	CHECK_MEM(back.key, key, 32);
	CHECK_EQ(back.name_len, 5);
	CHECK_MEM(back.name, "svc:a", 5);
	CHECK_EQ(back.value_len, 300);
	CHECK_EQ(back.ttl_s, 7);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(overlay_store_parse(bytes, len, &back), WEFT_EMALFORMED);
	store.name_len = OVERLAY_NAME_LEN_MAX;
	store.name = value;
	store.value_len = OVERLAY_VALUE_LEN_MAX;
	store.ttl_s = UINT64_MAX;
	w = writer_of(bytes, OVERLAY_STORE_LEN_MAX);
	overlay_store_write(&w, &store);
	CHECK(!w.bad); /* the longest there is fits what is said of it */
	CHECK(writer_len(&w) <= MESH_ASK_LEN_MAX);
}

static void test_stored_is_read_as_written(void)
{
	struct writer w = writer_of(bytes, OVERLAY_STORED_LEN_MAX);
	uint64_t stored_s;

	overlay_stored_write(&w, UINT64_MAX);
	CHECK(!w.bad);
	CHECK_EQ(overlay_stored_parse(bytes, writer_len(&w), &stored_s), 0);
	CHECK(stored_s == UINT64_MAX);
	for (size_t len = 0; len < writer_len(&w); len++)
		CHECK_EQ(overlay_stored_parse(bytes, len, &stored_s), WEFT_EMALFORMED);
	bytes[0] = 0xa0; /* an empty map */
	CHECK_EQ(overlay_stored_parse(bytes, 1, &stored_s), WEFT_EMALFORMED);
}

static void found_fill(unsigned node_cnt, unsigned value_cnt, size_t value_len)
{
	begin();
	memset(&found, 0, sizeof(found));
	found.node_cnt = node_cnt;
	for (unsigned i = 0; i < node_cnt && i < OVERLAY_NODES_MAX; i++) {
		memset(found.nodes[i].key, (int)i, MESH_KEY_LEN);
		found.nodes[i].addr_cnt = OVERLAY_NODE_ADDRS_MAX;
		for (unsigned a = 0; a < OVERLAY_NODE_ADDRS_MAX; a++) {
			memset(found.nodes[i].addrs[a].ip, 0xfe, 16);
			found.nodes[i].addrs[a].family = ADDR_IPV6;
			found.nodes[i].addrs[a].port = 65535;
		}
	}
	found.value_cnt = value_cnt;
	for (unsigned i = 0; i < value_cnt; i++)
		found.values[i] = (struct overlay_span){value, value_len};
}

static size_t found_write(bool has_values)
{
	struct writer w =
		writer_of(bytes, has_values ? OVERLAY_VALUES_LEN_MAX : OVERLAY_NODES_LEN_MAX);

	overlay_found_write(&w, &found, has_values);
	return w.bad ? 0 : writer_len(&w);
}

static void test_answers_are_read_as_written(void)
{
	size_t len;

	found_fill(OVERLAY_NODES_MAX, 0, 0);
	len = found_write(false);
	CHECK(len);
	CHECK_EQ(overlay_found_parse(bytes, len, &got), 0);
	CHECK_EQ(got.node_cnt, OVERLAY_NODES_MAX);
	CHECK_MEM(got.nodes, found.nodes, sizeof(found.nodes));
	CHECK_EQ(got.value_cnt, 0);
	for (size_t cut = 0; cut < len; cut++)
		CHECK_EQ(overlay_found_parse(bytes, cut, &got), WEFT_EMALFORMED);

	found_fill(OVERLAY_NODES_MAX, OVERLAY_KEY_MAX, OVERLAY_PAGE_LEN_MAX / OVERLAY_KEY_MAX);
	found.next = writer_key;
	len = found_write(true);
	CHECK(len);
	CHECK_EQ(overlay_found_parse(bytes, len, &got), 0);
	CHECK_EQ(got.value_cnt, OVERLAY_KEY_MAX);
	CHECK_MEM(got.next, writer_key, OVERLAY_WRITER_LEN);
	CHECK_EQ(got.values[5].len, OVERLAY_PAGE_LEN_MAX / OVERLAY_KEY_MAX);

	found_fill(0, 1, OVERLAY_PAGE_LEN_MAX);
	len = found_write(true);
	CHECK(len);
	CHECK_EQ(overlay_found_parse(bytes, len, &got), 0);
	CHECK(!got.next);
}

/* One more of each than there may be. */
static void test_answers_have_their_limits(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	begin();
	cbor_write_map(&w, 1);
	cbor_write_uint(&w, 0);
	cbor_write_array(&w, OVERLAY_NODES_MAX + 1);
	for (unsigned i = 0; i < OVERLAY_NODES_MAX + 1; i++) {
		cbor_write_array(&w, 2);
		cbor_write_bytes(&w, key, MESH_KEY_LEN);
		cbor_write_array(&w, 0);
	}
	CHECK_EQ(overlay_found_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
	w = writer_of(bytes, sizeof(bytes));
	cbor_write_map(&w, 2);
	cbor_write_uint(&w, 0);
	cbor_write_array(&w, 0);
	cbor_write_uint(&w, 1);
	cbor_write_array(&w, OVERLAY_KEY_MAX + 1);
	for (unsigned i = 0; i < OVERLAY_KEY_MAX + 1; i++)
		cbor_write_bytes(&w, value, 1);
	CHECK_EQ(overlay_found_parse(bytes, writer_len(&w), &got), WEFT_EMALFORMED);
	found_fill(0, 2, OVERLAY_PAGE_LEN_MAX / 2);
	found.values[1].len++;
	CHECK_EQ(overlay_found_parse(bytes, found_write(true), &got), WEFT_EMALFORMED);
	found.values[1].len = 0;
	CHECK_EQ(overlay_found_parse(bytes, found_write(true), &got), WEFT_EMALFORMED);
	bytes[0] = 0xa0; /* no nodes */
	CHECK_EQ(overlay_found_parse(bytes, 1, &got), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_find_is_read_as_written);
	RUN(test_find_of_a_later_version_is_understood);
	RUN(test_store_has_its_limits);
	RUN(test_store_is_read_as_written);
	RUN(test_stored_is_read_as_written);
	RUN(test_answers_are_read_as_written);
	RUN(test_answers_have_their_limits);
	return check_done();
}
