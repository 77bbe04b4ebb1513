/* SPDX-License-Identifier: Apache-2.0 */
/* Places of a node on the wire: addresses, and relays as addresses with field 4. */
#include "codec/peer_addr.h"

#include <string.h>

#include "support/check.h"

static struct addr addr_v4(unsigned last)
{
	return (struct addr){.family = ADDR_IPV4, .ip = {192, 0, 2, (uint8_t)last}, .port = 7000};
}

static struct addr addr_v6(unsigned last)
{
	return (struct addr){
		.family = ADDR_IPV6,
		.ip = {0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)last},
		.port = 7000};
}

/* With relays of the keys 0x51 and 0x52. */
static struct peer_places places_of(unsigned addr_cnt, unsigned via_cnt)
{
	struct peer_places places = {.addr_cnt = addr_cnt, .via_cnt = via_cnt};

	for (unsigned i = 0; i < addr_cnt; i++)
		places.addrs[i] = addr_v4(i + 1);
	for (unsigned i = 0; i < via_cnt; i++) {
		places.vias[i].addr = i ? addr_v6(0x52) : addr_v4(0x51);
		memset(places.vias[i].key, 0x51 + (int)i, sizeof(places.vias[i].key));
	}
	return places;
}

static int places_parse(const uint8_t *bytes, size_t len, struct peer_places *out_places)
{
	struct cbor_reader r;

	cbor_reader_init(&r, bytes, len);
	peer_places_read(&r, out_places);
	return cbor_reader_finish(&r);
}

static void test_places_read_back_equal(void)
{
	for (unsigned addr_cnt = 0; addr_cnt <= PEER_ADDRS_MAX; addr_cnt++) {
		for (unsigned via_cnt = 0; via_cnt <= PEER_VIAS_MAX; via_cnt++) {
			struct peer_places places = places_of(addr_cnt, via_cnt), got;
			uint8_t bytes[1024];
			struct writer w = writer_of(bytes, sizeof(bytes));

			peer_places_write(&w, &places);
			CHECK(!w.bad);
			CHECK_EQ(places_parse(bytes, writer_len(&w), &got), 0);
			/* The last addresses make room for relays. */
			if (addr_cnt + via_cnt > PEER_ADDRS_MAX)
				places.addr_cnt = PEER_ADDRS_MAX - via_cnt;
			CHECK(peer_places_equal(&got, &places));
		}
	}
}

/* The bytes as docs/wire/session.md has them: one relay at 192.0.2.81:7000, with the key 0x51. */
static void test_a_relay_is_an_address_with_field_4(void)
{
	static const uint8_t head[] = {0x81, 0xa4, 0, 0x44, 192,  0,	2,    81, 1,	0x19, 0x1b,
				       0x58, 2,	   0, 4,    0xa2, 0,	0xa4, 0,  0x44, 192,  0,
				       2,    81,   1, 0x19, 0x1b, 0x58, 2,    0,  3,	0x58, 0x20};
	struct peer_places places = places_of(0, 1);
	uint8_t bytes[128], want[sizeof(head) + 34];
	struct writer w = writer_of(bytes, sizeof(bytes));

	memcpy(want, head, sizeof(head));
	memset(want + sizeof(head), 0x51, 32);
	want[sizeof(head) + 32] = 1;
	want[sizeof(head) + 33] = 0;
	peer_places_write(&w, &places);
	CHECK_EQ(writer_len(&w), sizeof(want));
	CHECK_MEM(bytes, want, sizeof(want));
}

static void test_every_prefix_is_refused(void)
{
	struct peer_places places = places_of(2, 2), got;
	uint8_t bytes[512];
	struct writer w = writer_of(bytes, sizeof(bytes));

	peer_places_write(&w, &places);
	for (size_t len = 0; len < writer_len(&w); len++) {
		uint8_t prefix[512];

		memcpy(prefix, bytes, len);
		CHECK(places_parse(prefix, len, &got) < 0);
	}
}

static size_t one_write(uint8_t *bytes, size_t cap, const struct peer_addr *addr, unsigned cnt)
{
	struct writer w = writer_of(bytes, cap);

	cbor_write_array(&w, cnt);
	for (unsigned i = 0; i < cnt; i++)
		peer_addr_write(&w, addr);
	return writer_len(&w);
}

static void test_relays_of_another_kind_are_stepped_over(void)
{
	struct peer_addr addr = {.has_relay = true};
	struct peer_places got;
	uint8_t bytes[2048];
	size_t len;

	addr.peer = addr.relay =
		peer_addr_of(
			&(struct addr){.family = ADDR_IPV4, .ip = {192, 0, 2, 81}, .port = 7000})
			.peer;
	/* Without a key a relay cannot be proved. */
	len = one_write(bytes, sizeof(bytes), &addr, 1);
	CHECK_EQ(places_parse(bytes, len, &got), 0);
	CHECK_EQ(got.addr_cnt + got.via_cnt, 0);
	addr.relay.has_key = true;
	addr.relay.transport = PEER_ADDR_TCP;
	len = one_write(bytes, sizeof(bytes), &addr, 1);
	CHECK_EQ(places_parse(bytes, len, &got), 0);
	CHECK_EQ(got.addr_cnt + got.via_cnt, 0);
	/* The third is one too many, and the ninth address is malformed. */
	addr.relay.transport = PEER_ADDR_QUIC;
	len = one_write(bytes, sizeof(bytes), &addr, PEER_VIAS_MAX + 1);
	CHECK_EQ(places_parse(bytes, len, &got), 0);
	CHECK_EQ(got.via_cnt, PEER_VIAS_MAX);
	len = one_write(bytes, sizeof(bytes), &addr, PEER_ADDRS_MAX);
	CHECK_EQ(places_parse(bytes, len, &got), 0);
	len = one_write(bytes, sizeof(bytes), &addr, PEER_ADDRS_MAX + 1);
	CHECK(places_parse(bytes, len, &got) < 0);
}

int main(void)
{
	RUN(test_places_read_back_equal);
	RUN(test_a_relay_is_an_address_with_field_4);
	RUN(test_every_prefix_is_refused);
	RUN(test_relays_of_another_kind_are_stepped_over);
	return check_done();
}
