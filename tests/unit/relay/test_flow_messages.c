/* SPDX-License-Identifier: Apache-2.0 */
/* The messages that open, renew and close a flow of a relay: their fields, limits and prefixes. */
#include "relay/flow_messages.h"

#include <stdlib.h>
#include <string.h>

#include "codec/cbor.h"
#include "support/check.h"

static uint8_t bytes[RELAY_MESSAGE_LEN_MAX + 512];
static uint8_t first[RELAY_FIRST_LEN_MAX + 1], grant[RELAY_MESSAGE_GRANT_MAX + 1];

static struct relay_first two_of(uint16_t len)
{
	return (struct relay_first){.dgrams = {{first, len}, {first, len}}, .cnt = 2};
}

static size_t open_of(uint16_t grant_len, uint16_t first_len, uint16_t mtu)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct relay_open_message message = {
		.class = RELAY_CONTENT,
		.mtu = mtu,
		.grant = grant,
		.grant_len = grant_len,
		.first = first_len ? two_of(first_len) : (struct relay_first){.cnt = 0},
	};

	memset(message.peer, 7, sizeof(message.peer));
	relay_message_open_write(&w, &message);
	return w.bad ? 0 : writer_len(&w);
}

static size_t offer_of(uint16_t first_len)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct relay_offer_message message = {.class = RELAY_CONTROL, .first = two_of(first_len)};

	memset(message.opener, 8, sizeof(message.opener));
	relay_message_offer_write(&w, &message);
	return w.bad ? 0 : writer_len(&w);
}

static size_t accept_of(uint16_t mtu)
{
	struct writer w = writer_of(bytes, sizeof(bytes));

	relay_message_accept_write(&w, &(struct relay_accept_message){.mtu = mtu});
	return w.bad ? 0 : writer_len(&w);
}

/* Flows of an odd number are slow. */
static size_t flow_of(uint64_t number, uint16_t mtu, uint32_t expires_s)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct relay_flow_message message = {.class = RELAY_CONTROL,
					     .mtu = mtu,
					     .flow = number,
					     .expires_s = expires_s,
					     .is_slow = number & 1};

	memset(message.peer, 9, sizeof(message.peer));
	memset(message.label, 0x9e, sizeof(message.label));
	relay_message_flow_write(&w, &message);
	return w.bad ? 0 : writer_len(&w);
}

static size_t close_of(uint64_t number, unsigned why)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct relay_close_message message = {.flow = number, .why = (enum relay_end_why)why};

	relay_message_close_write(&w, &message);
	return w.bad ? 0 : writer_len(&w);
}

static size_t leg_of(uint64_t number, unsigned addr_cnt)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct relay_leg_message message = {.flow = number, .addr_cnt = addr_cnt};

	for (unsigned i = 0; i < addr_cnt; i++)
		message.addrs[i] = (struct addr){
			.ip = {203, 0, 113, (uint8_t)i}, .port = 7000, .family = ADDR_IPV4};
	relay_message_leg_write(&w, &message);
	return w.bad ? 0 : writer_len(&w);
}

static void test_an_open_is_read_as_written(void)
{
	struct relay_open_message open;
	size_t len = open_of(RELAY_MESSAGE_GRANT_MAX, RELAY_FIRST_LEN_MAX, 1436);

	CHECK(len > 0 && len <= RELAY_MESSAGE_LEN_MAX);
	CHECK_EQ(relay_message_open_parse(bytes, len, &open), 0);
	CHECK_EQ(open.peer[31], 7);
	CHECK_EQ(open.class, RELAY_CONTENT);
	CHECK_EQ(open.mtu, 1436);
	CHECK_EQ(open.grant_len, RELAY_MESSAGE_GRANT_MAX);
	CHECK_EQ(open.first.cnt, 2);
	CHECK_EQ(open.first.dgrams[1].len, RELAY_FIRST_LEN_MAX);
	CHECK_MEM(open.first.dgrams[1].data, first, RELAY_FIRST_LEN_MAX);
	CHECK_EQ(relay_message_open_parse(bytes, open_of(0, 0, 1200), &open), 0);
	CHECK_EQ(open.grant_len, 0);
	CHECK_EQ(open.first.cnt, 0);
}

static void test_offer_accept_flow_and_close_are_read_as_written(void)
{
	const struct relay_flow_id id = {.idx = 0xffff, .salt = 0x8001};
	const uint64_t number = relay_flow_number(id, 1);
	struct relay_offer_message offer;
	struct relay_accept_message accept;
	struct relay_flow_message flow;
	struct relay_close_message closed;

	CHECK_EQ(relay_message_offer_parse(bytes, offer_of(21), &offer), 0);
	CHECK_EQ(offer.opener[0], 8);
	CHECK_EQ(offer.first.cnt, 2);
	CHECK_EQ(offer.first.dgrams[0].len, 21);
	CHECK_EQ(relay_message_accept_parse(bytes, accept_of(1264), &accept), 0);
	CHECK_EQ(accept.mtu, 1264);
	CHECK_EQ(relay_message_flow_parse(bytes, flow_of(number, 1264, 7200), &flow), 0);
	CHECK_EQ(flow.peer[0], 9);
	CHECK_EQ(flow.flow, number);
	CHECK_EQ(flow.label[15], 0x9e);
	CHECK_EQ(flow.expires_s, 7200);
	CHECK(flow.is_slow);
	CHECK_EQ(relay_message_flow_parse(bytes, flow_of(number - 1, 1264, 7200), &flow), 0);
	CHECK(!flow.is_slow);
	CHECK_EQ(relay_message_close_parse(bytes, close_of(number, RELAY_END_PEER_GONE), &closed),
		 0);
	CHECK_EQ(closed.flow, number);
	CHECK_EQ(closed.why, RELAY_END_PEER_GONE);
}

static void test_a_question_for_a_leg_is_read_as_written(void)
{
	struct relay_leg_message leg;

	CHECK_EQ(relay_message_leg_parse(bytes, leg_of(0x112345678ull, RELAY_LEG_ADDRS_MAX), &leg),
		 0);
	CHECK_EQ(leg.flow, 0x112345678ull);
	CHECK_EQ(leg.addr_cnt, RELAY_LEG_ADDRS_MAX);
	CHECK_EQ(leg.addrs[7].ip[3], 7);
	CHECK_EQ(leg.addrs[7].port, 7000);
	CHECK_EQ(relay_message_leg_parse(bytes, leg_of(1, 0), &leg), 0);
	CHECK_EQ(leg.addr_cnt, 0);
	CHECK_EQ(relay_message_leg_parse(bytes, leg_of(1ull << 33, 0), &leg), WEFT_EMALFORMED);
}

static void test_a_number_names_index_salt_and_leg(void)
{
	const struct relay_flow_id id = {.idx = 0x1234, .salt = 0x5678};
	struct relay_flow_id got;
	unsigned leg = 0;

	CHECK_EQ(relay_flow_number(id, 1), 0x156781234ull);
	got = relay_flow_of_number(0x156781234ull, &leg);
	CHECK_EQ(got.idx, id.idx);
	CHECK_EQ(got.salt, id.salt);
	CHECK_EQ(leg, 1);
}

static void test_each_limit_is_refused_by_one_more(void)
{
	struct relay_open_message open;
	struct relay_offer_message offer;
	struct relay_accept_message accept;
	struct relay_flow_message flow;
	struct relay_close_message closed;

	CHECK_EQ(relay_message_open_parse(bytes, open_of(RELAY_MESSAGE_GRANT_MAX + 1, 0, 1200),
					  &open),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_open_parse(bytes, open_of(0, RELAY_FIRST_LEN_MAX + 1, 1200), &open),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_open_parse(bytes, open_of(0, WEFT_RELAY_INNER_LEN_MIN - 1, 1200),
					  &open),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_open_parse(bytes, open_of(0, 0, RELAY_MTU_MIN - 1), &open),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_offer_parse(bytes, offer_of(RELAY_FIRST_LEN_MAX + 1), &offer),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_accept_parse(bytes, accept_of(RELAY_MTU_MIN - 1), &accept),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_flow_parse(bytes, flow_of(1ull << 33, 1200, 1), &flow),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_flow_parse(bytes, flow_of(1, RELAY_MTU_MIN - 1, 1), &flow),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_flow_parse(bytes, flow_of(1, 1200, 14400), &flow), 0);
	CHECK_EQ(relay_message_flow_parse(bytes, flow_of(1, 1200, 14401), &flow), WEFT_EMALFORMED);
	CHECK_EQ(relay_message_close_parse(bytes, close_of(1, RELAY_END_REFUSED), &closed), 0);
	CHECK_EQ(relay_message_close_parse(bytes, close_of(1, RELAY_END_REFUSED + 1), &closed),
		 WEFT_EMALFORMED);
	CHECK_EQ(relay_message_close_parse(bytes, close_of(1ull << 33, 0), &closed),
		 WEFT_EMALFORMED);
}

/* The writer does not write three, so the third is put in by hand. */
static void test_a_third_first_datagram_is_malformed(void)
{
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct relay_offer_message offer;
	const uint8_t key[RELAY_KEY_LEN] = {1};

	cbor_write_map(&w, 3);
	cbor_field_bytes(&w, 1, key, sizeof(key));
	cbor_field_uint(&w, 2, RELAY_CONTROL);
	cbor_write_uint(&w, 5);
	cbor_write_array(&w, RELAY_FIRST_CNT_MAX + 1);
	for (unsigned i = 0; i <= RELAY_FIRST_CNT_MAX; i++)
		cbor_write_bytes(&w, first, WEFT_RELAY_INNER_LEN_MIN);
	CHECK_EQ(relay_message_offer_parse(bytes, writer_len(&w), &offer), WEFT_EMALFORMED);
}

static int parse_one(unsigned kind, const uint8_t *data, size_t len)
{
	struct relay_open_message open;
	struct relay_offer_message offer;
	struct relay_accept_message accept;
	struct relay_flow_message flow;
	struct relay_close_message closed;
	struct relay_leg_message leg;

	switch (kind) {
	case 0:
		return relay_message_open_parse(data, len, &open);
	case 1:
		return relay_message_offer_parse(data, len, &offer);
	case 2:
		return relay_message_accept_parse(data, len, &accept);
	case 3:
		return relay_message_flow_parse(data, len, &flow);
	case 4:
		return relay_message_close_parse(data, len, &closed);
	default:
		return relay_message_leg_parse(data, len, &leg);
	}
}

static void test_a_prefix_of_a_message_is_none(void)
{
	for (unsigned kind = 0; kind < 6; kind++) {
		size_t len = kind == 0	 ? open_of(30, 60, 1436)
			     : kind == 1 ? offer_of(60)
			     : kind == 2 ? accept_of(1436)
			     : kind == 3 ? flow_of(0x112345679ull, 1436, 7200)
			     : kind == 4 ? close_of(0x112345678ull, 3)
					 : leg_of(0x112345678ull, 3);

		CHECK_EQ(parse_one(kind, bytes, len), 0);
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *exact = malloc(cut ? cut : 1);

			memcpy(exact, bytes, cut);
			CHECK_EQ(parse_one(kind, exact, cut), WEFT_EMALFORMED);
			free(exact);
		}
	}
}

int main(void)
{
	for (size_t i = 0; i < sizeof(first); i++)
		first[i] = (uint8_t)(0x40 | i);
	RUN(test_an_open_is_read_as_written);
	RUN(test_offer_accept_flow_and_close_are_read_as_written);
	RUN(test_a_question_for_a_leg_is_read_as_written);
	RUN(test_a_number_names_index_salt_and_leg);
	RUN(test_each_limit_is_refused_by_one_more);
	RUN(test_a_third_first_datagram_is_malformed);
	RUN(test_a_prefix_of_a_message_is_none);
	return check_done();
}
