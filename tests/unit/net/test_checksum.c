/* SPDX-License-Identifier: Apache-2.0 */
#include "base/random.h"
#include "net/checksum.h"
#include "support/check.h"

/* RFC 1071 word by word, on the wire's byte order. */
static uint16_t plain(const uint8_t *data, size_t len)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : (uint64_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static uint16_t as_be16(uint16_t stored)
{
	uint8_t bytes[2];

	memcpy(bytes, &stored, sizeof(bytes));
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void test_rfc_1071_example(void)
{
	const uint8_t data[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	/* RFC 1071 3: the sum is ddf2. */
	CHECK_EQ(as_be16(checksum_fold(net_checksum_add(0, data, sizeof(data)))), 0xffff - 0xddf2);
}

static void test_every_length_and_alignment_agrees_with_the_plain_sum(void)
{
	static uint8_t data[2100], copy[2100];
	struct random random;

	random_init_seeded(&random, 1);
	random_fill(&random, data, sizeof(data));
	for (size_t off = 0; off < 16; off++) {
		for (size_t len = 0; len <= 2048; len += len < 200 ? 1 : 13) {
			uint64_t sum;

			CHECK_EQ(as_be16(checksum_fold(net_checksum_add(0, data + off, len))),
				 plain(data + off, len));
			memset(copy, 0xee, sizeof(copy));
			sum = net_checksum_copy(0, copy + off, data + off, len);
			CHECK_EQ(as_be16(checksum_fold(sum)), plain(data + off, len));
			CHECK_MEM(copy + off, data + off, len);
			CHECK_EQ(copy[off + len], 0xee);
		}
	}
}

static void test_no_carry_is_lost(void)
{
	static uint8_t ones[65536];

	memset(ones, 0xff, sizeof(ones));
	CHECK_EQ(as_be16(checksum_fold(net_checksum_add(0, ones, sizeof(ones)))), 0);
	CHECK_EQ(as_be16(checksum_fold(net_checksum_add(1ull << 40, ones, 65535))),
		 plain(ones, 65535) - as_be16(0x0100));
}

static void test_parts_add_up(void)
{
	uint8_t data[100];
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 37);
	for (size_t i = 0; i < sizeof(data); i += 20)
		sum = net_checksum_add(sum, data + i, 20);
	sum = checksum_add_be16(sum, 0x1234);
	CHECK_EQ(as_be16(checksum_fold(sum)),
		 (uint16_t)~(((uint32_t)(uint16_t)~plain(data, sizeof(data)) + 0x1234) % 0xffff));
}

int main(void)
{
	RUN(test_rfc_1071_example);
	RUN(test_every_length_and_alignment_agrees_with_the_plain_sum);
	RUN(test_no_carry_is_lost);
	RUN(test_parts_add_up);
	return check_done();
}
