/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/announce/rice.h"

#include "base/random.h"
#include "support/check.h"

static void test_what_is_written_is_read_back(void)
{
	struct random random;

	random_init_seeded(&random, 1);
	for (unsigned parameter = 0; parameter <= RICE_PARAMETER_MAX; parameter++) {
		uint64_t values[200], last = 0;
		uint8_t bytes[8192];
		struct rice_writer w;
		struct rice_reader r;

		shares_rice_writer_init(&w, parameter, bytes, sizeof(bytes));
		for (int i = 0; i < 200; i++) {
			last += random_below(&random, UINT64_C(5) << parameter);
			values[i] = last;
			CHECK(shares_rice_write(&w, last));
		}
		shares_rice_reader_init(&r, parameter, bytes, shares_rice_writer_len(&w));
		for (int i = 0; i < 200; i++)
			CHECK(shares_rice_read(&r) == values[i]);
		CHECK(shares_rice_reader_is_over(&r));
	}
}

static void test_bits_are_in_the_documented_order(void)
{
	/* With parameter 2: 5 is 10 01, 5 again 0 00, 18 is 1110 01. */
	static const uint8_t want[] = {0x91, 0xc8};
	uint8_t bytes[2];
	struct rice_writer w;

	shares_rice_writer_init(&w, 2, bytes, sizeof(bytes));
	CHECK(shares_rice_write(&w, 5) && shares_rice_write(&w, 5) && shares_rice_write(&w, 18));
	CHECK_EQ(shares_rice_writer_len(&w), sizeof(want));
	CHECK_MEM(bytes, want, sizeof(want));
}

static void test_long_run_of_ones_crosses_words(void)
{
	uint8_t bytes[64];
	struct rice_writer w;
	struct rice_reader r;

	shares_rice_writer_init(&w, 0, bytes, sizeof(bytes));
	CHECK(shares_rice_write(&w, 3) && shares_rice_write(&w, 303) && shares_rice_write(&w, 303));
	shares_rice_reader_init(&r, 0, bytes, shares_rice_writer_len(&w));
	CHECK_EQ(shares_rice_read(&r), 3);
	CHECK_EQ(shares_rice_read(&r), 303);
	CHECK_EQ(shares_rice_read(&r), 303);
	CHECK(shares_rice_reader_is_over(&r));
}

static void test_a_full_writer_refuses_and_keeps_what_it_has(void)
{
	uint8_t bytes[2];
	struct rice_writer w;
	struct rice_reader r;

	shares_rice_writer_init(&w, 6, bytes, sizeof(bytes));
	CHECK(shares_rice_write(&w, 10));
	CHECK(shares_rice_write(&w, 11));
	CHECK(!shares_rice_write(&w, 200)); /* 10 bits, 2 are left */
	CHECK(!shares_rice_write(&w, UINT64_MAX));
	shares_rice_reader_init(&r, 6, bytes, shares_rice_writer_len(&w));
	CHECK_EQ(shares_rice_read(&r), 10);
	CHECK_EQ(shares_rice_read(&r), 11);
	CHECK(shares_rice_reader_is_over(&r));
}

static void test_every_cut_is_noticed(void)
{
	uint8_t bytes[256];
	struct rice_writer w;
	size_t len;

	shares_rice_writer_init(&w, 6, bytes, sizeof(bytes));
	for (uint64_t i = 1; i <= 100; i++)
		CHECK(shares_rice_write(&w, 64 * i));
	len = shares_rice_writer_len(&w);
	for (size_t cut = 0; cut < len; cut++) {
		struct rice_reader r;

		shares_rice_reader_init(&r, 6, bytes, cut);
		for (int i = 0; i < 100; i++)
			(void)shares_rice_read(&r);
		CHECK(r.bad);
		CHECK_EQ(shares_rice_read(&r), 0);
		CHECK(!shares_rice_reader_is_over(&r));
	}
}

static void test_what_follows_the_last_number_is_noticed(void)
{
	static const uint8_t byte_more[] = {0x00, 0x00}, bit_set[] = {0x01};
	struct rice_reader r;

	shares_rice_reader_init(&r, 6, byte_more, sizeof(byte_more));
	CHECK_EQ(shares_rice_read(&r), 0);
	CHECK(!shares_rice_reader_is_over(&r));
	shares_rice_reader_init(&r, 6, bit_set, sizeof(bit_set));
	CHECK_EQ(shares_rice_read(&r), 0);
	CHECK(!r.bad && !shares_rice_reader_is_over(&r));
}

static void test_numbers_do_not_overflow(void)
{
	static uint8_t ones[1 << 16];
	struct rice_reader r;

	memset(ones, 0xff, sizeof(ones));
	for (unsigned parameter = 0; parameter <= RICE_PARAMETER_MAX; parameter += 16) {
		shares_rice_reader_init(&r, parameter, ones, sizeof(ones));
		CHECK_EQ(shares_rice_read(&r), 0);
		CHECK(r.bad);
	}
}

int main(void)
{
	RUN(test_what_is_written_is_read_back);
	RUN(test_bits_are_in_the_documented_order);
	RUN(test_long_run_of_ones_crosses_words);
	RUN(test_a_full_writer_refuses_and_keeps_what_it_has);
	RUN(test_every_cut_is_noticed);
	RUN(test_what_follows_the_last_number_is_noticed);
	RUN(test_numbers_do_not_overflow);
	return check_done();
}
