/* SPDX-License-Identifier: Apache-2.0 */
#include "offers/message/service_caps.h"

#include "codec/cbor.h"
#include "crypto/signed.h"
#include "support/check.h"

#define NOON_S 1800000000ull

static struct node_key *node, *other;
static uint8_t bytes[SERVICE_CAPS_LEN_MAX + 1];

static struct service_caps caps_of(unsigned cnt)
{
	struct service_caps caps = {.made_s = NOON_S, .row_cnt = cnt};

	for (unsigned i = 0; i < cnt; i++)
		caps.rows[i] = (struct service_caps_row){
			.service = 0x80000000 + 3 * i, .roles = SERVICE_ROLE_RELAY, .version = 127};
	return caps;
}

/* What was written, 0 for nothing that is reported, SIZE_MAX for nothing that is not. */
static size_t written(const struct service_caps *caps)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	offers_caps_write(&w, caps, node);
	return w.bad ? 0 : writer_len(&w) ? writer_len(&w) : SIZE_MAX;
}

static void test_capabilities_are_read_as_written(void)
{
	struct service_caps caps = caps_of(3), heard;
	size_t len = written(&caps);

	CHECK_EQ(offers_caps_parse(bytes, len, &heard), 0);
	CHECK_MEM(heard.node, node_key_public(node), NODE_KEY_LEN);
	CHECK_EQ(heard.made_s, NOON_S);
	CHECK_EQ(heard.row_cnt, 3);
	CHECK_EQ(offers_caps_row(&heard, 0x80000003)->version, 127);
	CHECK_EQ(offers_caps_row(&heard, 0x80000003)->roles, SERVICE_ROLE_RELAY);
	CHECK(!offers_caps_row(&heard, 0x80000004));
	for (size_t cut = 0; cut < len; cut++) {
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, bytes, cut);
		CHECK_EQ(offers_caps_parse(exact, cut, &heard), WEFT_EMALFORMED);
		free(exact);
	}
}

static void test_each_flipped_bit_is_noticed(void)
{
	struct service_caps caps = caps_of(2), heard;
	size_t len = written(&caps);

	for (size_t bit = 0; bit < 8 * len; bit++) {
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		CHECK(offers_caps_parse(bytes, len, &heard) < 0);
		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
}

/* By another program: the rows as they are, with the address of a node. */
static int read_rows(const struct service_caps *caps, unsigned cnt, const struct node_key *of)
{
	uint8_t body[SERVICE_CAPS_LEN_MAX], address[SERVICE_MESSAGE_ADDRESS_LEN];
	struct writer b = writer_of(body, sizeof(body)), w = writer_of(bytes, sizeof(bytes));
	struct service_caps heard;

	offers_address(node_key_public(of), address);
	cbor_write_map(&b, 3);
	cbor_field_bytes(&b, 0, address, sizeof(address));
	cbor_write_uint(&b, 1);
	cbor_write_array(&b, cnt);
	for (unsigned i = 0; i < cnt; i++) {
		const struct service_caps_row *row = &caps->rows[i % SERVICE_CAPS_ROWS_MAX];

		cbor_write_array(&b, 3);
		cbor_write_uint(&b, i < SERVICE_CAPS_ROWS_MAX ? row->service : UINT32_MAX);
		cbor_write_uint(&b, row->roles);
		cbor_write_uint(&b, row->version);
	}
	cbor_field_uint(&b, 2, caps->made_s);
	signed_write(&w, node, SERVICE_CAPS_TAG, body, writer_len(&b));
	return w.bad || b.bad ? -1 : offers_caps_parse(bytes, writer_len(&w), &heard);
}

static void test_a_node_has_at_most_128_services(void)
{
	struct service_caps caps = caps_of(SERVICE_CAPS_ROWS_MAX), heard;
	size_t len = written(&caps);

	CHECK(len > 0);
	CHECK_EQ(offers_caps_parse(bytes, len, &heard), 0);
	CHECK_EQ(heard.row_cnt, SERVICE_CAPS_ROWS_MAX);
	CHECK_EQ(read_rows(&caps, SERVICE_CAPS_ROWS_MAX, node), 0);
	CHECK_EQ(read_rows(&caps, SERVICE_CAPS_ROWS_MAX + 1, node), WEFT_EMALFORMED);
	CHECK_EQ(offers_caps_parse(bytes, SERVICE_CAPS_LEN_MAX + 1, &heard), WEFT_ETOOLARGE);
	CHECK_EQ(offers_caps_parse(bytes, SERVICE_CAPS_LEN_MAX, &heard), WEFT_EMALFORMED);
}

static void test_a_writer_that_was_bad_stays_so(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct service_caps caps = caps_of(1);

	w.bad = true;
	offers_caps_write(&w, &caps, node);
	CHECK(w.bad);
}

static void test_services_ascend(void)
{
	struct service_caps caps = caps_of(3);

	caps.rows[2].service = caps.rows[1].service;
	CHECK_EQ(written(&caps), 0);
	CHECK_EQ(read_rows(&caps, 3, node), WEFT_EMALFORMED);
	caps.rows[2].service--;
	CHECK_EQ(written(&caps), 0);
	CHECK_EQ(read_rows(&caps, 3, node), WEFT_EMALFORMED);
	caps.rows[2].service = OFFERS_ANY_SERVICE;
	CHECK_EQ(written(&caps), 0);
	CHECK_EQ(read_rows(&caps, 3, node), WEFT_EMALFORMED);
	caps.rows[2].service++;
	CHECK_EQ(read_rows(&caps, 3, node), 0);
	caps.rows[0].service = OFFERS_RESERVED_SERVICE;
	CHECK_EQ(read_rows(&caps, 3, node), WEFT_EMALFORMED);
}

static void test_an_address_of_another_node_is_refused(void)
{
	struct service_caps caps = caps_of(1);

	CHECK_EQ(read_rows(&caps, 1, node), 0);
	CHECK_EQ(read_rows(&caps, 1, other), WEFT_EWRONGKEY);
}

/* Which services a node asks for is neither said nor heard. */
static void test_no_node_is_a_consumer_by_its_capabilities(void)
{
	struct service_caps caps = caps_of(1), heard;

	caps.rows[0].roles = 0xff;
	CHECK_EQ(offers_caps_parse(bytes, written(&caps), &heard), 0);
	CHECK_EQ(heard.rows[0].roles, SERVICE_ROLE_PROVIDER | SERVICE_ROLE_RELAY);
	caps.rows[0].roles = 4;
	CHECK_EQ(read_rows(&caps, 1, node), 0);
	caps.rows[0].version = 128;
	CHECK_EQ(read_rows(&caps, 1, node), WEFT_EMALFORMED);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1}, other_seed[NODE_KEY_SEED_LEN] = {2};

	if (node_key_from_seed(seed, &node) < 0 || node_key_from_seed(other_seed, &other) < 0)
		return 1;
	RUN(test_capabilities_are_read_as_written);
	RUN(test_each_flipped_bit_is_noticed);
	RUN(test_a_node_has_at_most_128_services);
	RUN(test_a_writer_that_was_bad_stays_so);
	RUN(test_services_ascend);
	RUN(test_an_address_of_another_node_is_refused);
	RUN(test_no_node_is_a_consumer_by_its_capabilities);
	node_key_free(node);
	node_key_free(other);
	return check_done();
}
