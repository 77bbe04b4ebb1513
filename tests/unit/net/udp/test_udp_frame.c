/* SPDX-License-Identifier: Apache-2.0 */
#include "net/checksum.h"
#include "net/udp/udp_frame.h"
#include "support/check.h"

#define IFINDEX 7

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static struct link_header link_of(unsigned tag_cnt)
{
	struct link_header link = {.bytes = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2}, .len = 12};
	static const uint8_t tags[] = {0x88, 0xa8, 0x20, 5, 0x81, 0, 0, 9};

	memcpy(link.bytes + link.len, tags + (2 - tag_cnt) * 4, tag_cnt * 4);
	link.len = (uint8_t)(link.len + tag_cnt * 4 + 2);
	return link;
}

static void link_set_type(struct link_header *link, bool is_ipv4)
{
	link->bytes[link->len - 2] = is_ipv4 ? 0x08 : 0x86;
	link->bytes[link->len - 1] = is_ipv4 ? 0x00 : 0xdd;
}

/* A datagram of len bytes with headers; returns the frame's length. */
static size_t frame_of(uint8_t *frame, size_t cap, unsigned tag_cnt, bool is_ipv4, size_t len)
{
	struct dgram_route route = {
		.local = addr_of(is_ipv4 ? "192.0.2.1:7000" : "[2001:db8::1]:7000"),
		.remote = addr_of(is_ipv4 ? "192.0.2.9:4000" : "[2001:db8::9]:4000"),
		.ecn = 1,
	};
	struct link_header link = link_of(tag_cnt);
	uint8_t data[4096];

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(i * 7 + 1);
	link_set_type(&link, is_ipv4);
	return net_udp_frame_write(&(struct dgram_slot){frame, cap}, &link, &route, data, len);
}

static void test_what_is_written_is_parsed(void)
{
	for (unsigned row = 0; row < 6; row++) {
		bool is_ipv4 = row % 2;
		unsigned tag_cnt = row / 2;
		size_t link_len = 0, len;
		uint8_t frame[2048];
		struct dgram dgram;

		len = frame_of(frame, sizeof(frame), tag_cnt, is_ipv4, 1200);
		CHECK_EQ(len, 14 + 4 * tag_cnt + (is_ipv4 ? 28 : 48) + 1200);
		CHECK(net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
		CHECK_EQ(link_len, 14 + 4 * tag_cnt);
		CHECK_EQ(dgram.len, 1200);
		CHECK(dgram.data == frame + len - 1200);
		CHECK_EQ(dgram.data[1199], (uint8_t)(1199 * 7 + 1));
		CHECK_EQ(dgram.ecn, 1);
		struct addr us = addr_of(is_ipv4 ? "192.0.2.1:7000" : "[2001:db8::1]:7000");
		struct addr peer = addr_of(is_ipv4 ? "192.0.2.9:4000" : "[2001:db8::9]:4000");

		/* We wrote it, so we are the remote here. */
		CHECK(memcmp(&dgram.remote, &us, sizeof(us)) == 0);
		CHECK(memcmp(&dgram.local, &peer, sizeof(peer)) == 0);
	}
}

static void test_a_frame_cut_anywhere_is_refused(void)
{
	for (unsigned row = 0; row < 6; row++) {
		uint8_t frame[300];
		size_t len = frame_of(frame, sizeof(frame), row / 2, row % 2, 100);

		for (size_t cut = 0; cut < len; cut++) {
			/* Exactly so long, that a sanitizer sees a read past the end. */
			uint8_t *part = malloc(cut + !cut);
			struct dgram dgram;
			size_t link_len;
			bool is_taken;

			memcpy(part, frame, cut);
			is_taken = net_udp_frame_parse(part, cut, IFINDEX, &dgram, &link_len);
			free(part);
			CHECK(!is_taken);
		}
	}
}

static void test_padding_behind_the_packet_is_not_payload(void)
{
	uint8_t frame[128] = {0};
	size_t link_len, len = frame_of(frame, sizeof(frame), 0, true, 3);
	struct dgram dgram;

	CHECK(len < 60);
	CHECK(net_udp_frame_parse(frame, 60, IFINDEX, &dgram, &link_len));
	CHECK_EQ(dgram.len, 3);
}

/* The checksum of the IPv4 header at frame + 14, made right again. */
static void ipv4_mend(uint8_t *frame)
{
	uint16_t sum;

	frame[24] = frame[25] = 0;
	sum = checksum_fold(net_checksum_add(0, frame + 14, 20));
	memcpy(frame + 24, &sum, sizeof(sum));
}

static void test_other_forms_are_refused(void)
{
	static const struct {
		bool is_ipv4;
		unsigned off;
		uint8_t value;
		const char *why;
	} rows[] = {
		{true, 14, 0x44, "IHL 4"},
		{true, 14, 0x46, "IHL 6"},
		{true, 14, 0x40, "IHL 0"},
		{true, 14, 0x65, "version 6 behind type IPv4"},
		{true, 16, 0x00, "total length 28 less than UDP's"},
		{true, 16, 0xff, "total length beyond the frame"},
		{true, 20, 0x20, "more fragments"},
		{true, 21, 0x01, "a later fragment"},
		{true, 23, 6, "TCP"},
		{true, 38, 0xff, "UDP length beyond the packet"},
		{true, 12, 0x86, "no type of ours"},
		{false, 14, 0x45, "version 4 behind type IPv6"},
		{false, 20, 44, "fragment header"},
		{false, 20, 0, "hop-by-hop options"},
		{false, 18, 0xff, "payload length beyond the frame"},
		{false, 58, 0xff, "UDP length beyond the payload"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t frame[512];
		size_t link_len, len = frame_of(frame, sizeof(frame), 0, rows[i].is_ipv4, 300);
		struct dgram dgram;

		frame[rows[i].off] = rows[i].value;
		if (rows[i].is_ipv4)
			ipv4_mend(frame);
		if (net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len))
			printf("# taken: %s\n", rows[i].why);
		CHECK(!net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
	}
}

/* Of either end: the answer would have an address of each family. */
static void test_ipv4_in_an_ipv6_header_is_refused(void)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	static const unsigned offs[] = {14 + 8, 14 + 24};

	for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
		uint8_t frame[512];
		size_t link_len, len = frame_of(frame, sizeof(frame), 0, false, 300);
		struct dgram dgram;

		CHECK(net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
		memcpy(frame + offs[i], mapped, sizeof(mapped));
		CHECK(!net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
	}
}

static void test_three_tags_are_refused(void)
{
	uint8_t frame[300], tagged[304];
	size_t link_len, len = frame_of(frame, sizeof(frame), 2, true, 100);
	static const uint8_t tag[] = {0x81, 0, 0, 1};
	struct dgram dgram;

	memcpy(tagged, frame, 12);
	memcpy(tagged + 12, tag, sizeof(tag));
	memcpy(tagged + 16, frame + 12, len - 12);
	CHECK(net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
	CHECK(!net_udp_frame_parse(tagged, len + 4, IFINDEX, &dgram, &link_len));
}

static void test_udp_lengths_at_the_edge(void)
{
	static const struct {
		uint16_t udp_len;
		bool want;
	} rows[] = {{0, false}, {7, false}, {8, false}, {9, true}, {108, true}, {109, false}};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint8_t frame[200];
		size_t link_len, len = frame_of(frame, sizeof(frame), 0, true, 100);
		struct dgram dgram;

		frame[38] = 0;
		frame[39] = (uint8_t)rows[i].udp_len;
		CHECK_EQ(net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len), rows[i].want);
		CHECK(!rows[i].want || dgram.len == rows[i].udp_len - 8u);
	}
}

static void test_a_broken_ipv4_header_is_refused_and_a_udp_checksum_not_looked_at(void)
{
	/* Zero, wrong, and partial: the pseudo-header's sum only, as left for a device. */
	static const uint16_t sums[] = {0, 0x1234, 0x8a9d};
	uint8_t frame[200];
	size_t link_len, len = frame_of(frame, sizeof(frame), 0, true, 100);
	struct dgram dgram;

	for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
		memcpy(frame + 40, &sums[i], sizeof(sums[i]));
		CHECK(net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
	}
	for (unsigned off = 14; off < 34; off++) {
		frame[off] ^= 0x10;
		CHECK(!net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
		frame[off] ^= 0x10;
	}
}

static void test_link_local_addresses_get_the_interface_as_scope(void)
{
	struct dgram_route route = {.local = addr_of("[fe80::1%3]:7000"),
				    .remote = addr_of("[fe80::2%3]:4000")};
	struct link_header link = link_of(0);
	uint8_t frame[200];
	struct dgram dgram;
	size_t link_len, len;

	link_set_type(&link, false);
	len = net_udp_frame_write(&(struct dgram_slot){frame, sizeof(frame)}, &link, &route,
				  frame + 100, 10);
	CHECK(net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
	CHECK_EQ(dgram.local.scope_id, IFINDEX);
	CHECK_EQ(dgram.remote.scope_id, IFINDEX);
}

/* The sum over pseudo-header and UDP as a receiver verifies it. */
static uint16_t udp_verify(const uint8_t *frame, size_t len, bool is_ipv4)
{
	size_t off = is_ipv4 ? 34 : 54, udp_len = len - off;
	uint64_t sum =
		is_ipv4 ? net_checksum_add(0, frame + 26, 8) : net_checksum_add(0, frame + 22, 32);

	sum = checksum_add_be16(sum, 17);
	sum = checksum_add_be16(sum, (uint16_t)udp_len);
	return checksum_fold(net_checksum_add(sum, frame + off, udp_len));
}

static void test_checksums_verify(void)
{
	for (int is_ipv4 = 0; is_ipv4 < 2; is_ipv4++) {
		for (size_t payload = 1; payload < 1400; payload += 1 + payload / 8) {
			uint8_t frame[1500];
			size_t len = frame_of(frame, sizeof(frame), 0, is_ipv4, payload);

			CHECK_EQ(udp_verify(frame, len, is_ipv4), 0);
			if (is_ipv4)
				CHECK_EQ(checksum_fold(net_checksum_add(0, frame + 14, 20)), 0);
		}
	}
}

static void test_a_udp_checksum_of_zero_is_never_sent(void)
{
	struct dgram_route route = {.local = addr_of("192.0.2.1:7000"),
				    .remote = addr_of("192.0.2.9:4000")};
	struct link_header link = link_of(0);
	unsigned ones_cnt = 0;
	uint8_t frame[100];

	link_set_type(&link, true);
	for (unsigned word = 0; word < 65536; word++) {
		const uint8_t data[2] = {(uint8_t)(word >> 8), (uint8_t)word};

		CHECK_EQ(net_udp_frame_write(&(struct dgram_slot){frame, sizeof(frame)}, &link,
					     &route, data, 2),
			 44);
		CHECK(frame[40] || frame[41]);
		ones_cnt += frame[40] == 0xff && frame[41] == 0xff;
	}
	CHECK_EQ(ones_cnt, 1);
}

static void test_a_frame_too_small_by_one_is_not_written(void)
{
	uint8_t frame[300];

	for (unsigned row = 0; row < 6; row++) {
		size_t len = 14 + row / 2 * 4 + (row % 2 ? 28 : 48) + 100;

		memset(frame, 0xee, sizeof(frame));
		CHECK_EQ(frame_of(frame, len - 1, row / 2, row % 2, 100), 0);
		CHECK_EQ(frame[0], 0xee);
		CHECK_EQ(frame_of(frame, len, row / 2, row % 2, 100), len);
		CHECK_EQ(frame[len], 0xee);
	}
}

/* Every bit of what it covers, in both families and with an odd length. */
static void test_a_damaged_datagram_is_not_whole(void)
{
	for (unsigned row = 0; row < 4; row++) {
		size_t link_len, len, data_len = row < 2 ? 32 : 33;
		uint8_t frame[200];
		struct dgram dgram;

		len = frame_of(frame, sizeof(frame), 0, row % 2, data_len);
		CHECK(net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
		CHECK(net_udp_frame_is_whole(&dgram, false));
		for (size_t bit = 0; bit < 8 * (data_len + 8); bit++) {
			uint8_t *at = dgram.data - 8 + bit / 8;

			*at ^= (uint8_t)(1 << bit % 8);
			CHECK(!net_udp_frame_is_whole(&dgram, false));
			*at ^= (uint8_t)(1 << bit % 8);
		}
		dgram.remote.ip[0] ^= 1;
		CHECK(!net_udp_frame_is_whole(&dgram, false));
	}
}

static void test_no_checksum_and_a_partial_one_are_taken_where_they_may_be(void)
{
	for (unsigned is_ipv4 = 0; is_ipv4 < 2; is_ipv4++) {
		size_t link_len, len;
		uint8_t frame[200];
		struct dgram dgram;
		uint64_t sum;
		uint16_t partial;

		len = frame_of(frame, sizeof(frame), 0, is_ipv4, 32);
		CHECK(net_udp_frame_parse(frame, len, IFINDEX, &dgram, &link_len));
		memset(dgram.data - 2, 0, 2);
		CHECK_EQ(net_udp_frame_is_whole(&dgram, false), is_ipv4);
		CHECK_EQ(net_udp_frame_is_whole(&dgram, true), is_ipv4);
		sum = net_checksum_add(0, dgram.remote.ip, is_ipv4 ? 4 : 16);
		sum = net_checksum_add(sum, dgram.local.ip, is_ipv4 ? 4 : 16);
		sum = checksum_add_be16(checksum_add_be16(sum, 17), 40);
		partial = (uint16_t)~checksum_fold(sum);
		memcpy(dgram.data - 2, &partial, 2);
		CHECK(net_udp_frame_is_whole(&dgram, true));
		CHECK(!net_udp_frame_is_whole(&dgram, false));
	}
}

static void test_an_answers_header_has_addresses_turned_and_tags_kept(void)
{
	struct link_header link = link_of(2), answer;

	link_set_type(&link, true);
	net_link_header_reverse(link.bytes, link.len, &answer);
	CHECK_EQ(answer.len, 22);
	CHECK_MEM(answer.bytes, link.bytes + 6, 6);
	CHECK_MEM(answer.bytes + 6, link.bytes, 6);
	CHECK_MEM(answer.bytes + 12, link.bytes + 12, 10);
}

int main(void)
{
	RUN(test_what_is_written_is_parsed);
	RUN(test_a_frame_cut_anywhere_is_refused);
	RUN(test_padding_behind_the_packet_is_not_payload);
	RUN(test_other_forms_are_refused);
	RUN(test_ipv4_in_an_ipv6_header_is_refused);
	RUN(test_three_tags_are_refused);
	RUN(test_udp_lengths_at_the_edge);
	RUN(test_a_broken_ipv4_header_is_refused_and_a_udp_checksum_not_looked_at);
	RUN(test_link_local_addresses_get_the_interface_as_scope);
	RUN(test_checksums_verify);
	RUN(test_a_udp_checksum_of_zero_is_never_sent);
	RUN(test_a_frame_too_small_by_one_is_not_written);
	RUN(test_a_damaged_datagram_is_not_whole);
	RUN(test_no_checksum_and_a_partial_one_are_taken_where_they_may_be);
	RUN(test_an_answers_header_has_addresses_turned_and_tags_kept);
	return check_done();
}
