/* SPDX-License-Identifier: Apache-2.0 */
/* Places of the values that a get found: one of each writer, and fair shares of the tellers. */
#include "api/services/found_values.h"

#include "support/check.h"

static struct found_values found;
static struct varlink_blocks blocks;

static struct found_value *place(unsigned writer, uint64_t seq, unsigned teller)
{
	struct overlay_claim claim = {.seq = seq, .teller = teller};

	claim.writer[0] = (uint8_t)writer;
	claim.writer[1] = (uint8_t)(writer >> 8);
	return api_found_value_place(&found, &blocks, &claim);
}

static unsigned held(unsigned teller)
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < found.cnt; i++)
		cnt += found.values[i]->claim.teller == teller;
	return cnt;
}

static void end(void)
{
	varlink_blocks_free(&blocks);
	found.cnt = 0;
}

static void test_a_writer_has_its_newest_value(void)
{
	struct found_value *first = place(1, 5, 1);

	CHECK(first);
	CHECK(!place(1, 4, 2));
	CHECK(place(1, 6, 2) == first);
	CHECK_EQ(found.cnt, 1);
	CHECK_EQ(first->claim.seq, 6);
	CHECK_EQ(first->claim.teller, 2);
	end();
}

static void test_one_value_more_than_there_are_places_is_refused(void)
{
	for (unsigned i = 0; i < FOUND_VALUE_MAX; i++)
		CHECK(place(i, 1, 1));
	CHECK(!place(FOUND_VALUE_MAX, 1, 1));
	CHECK_EQ(found.cnt, FOUND_VALUE_MAX);
	end();
}

/* Two liars fill all places with writers of their own, before or after the others come. */
static void test_tellers_have_equal_shares(void)
{
	for (unsigned i = 0; i < FOUND_VALUE_MAX; i++)
		CHECK(place(i, 1, 1 + i % 2));
	for (unsigned teller = 3; teller <= 6; teller++)
		for (unsigned i = 0; i < 8; i++)
			CHECK(place(1000 + 8 * teller + i, 1, teller));
	CHECK_EQ(held(1) + held(2), FOUND_VALUE_MAX - 32);
	CHECK(!place(999, 1, 1));
	for (unsigned teller = 3; teller <= 6; teller++)
		CHECK_EQ(held(teller), 8);
	CHECK(place(2000, 1, 3));
	CHECK_EQ(held(3), 9);
	CHECK_EQ(held(1) + held(2), FOUND_VALUE_MAX - 33);
	end();
}

int main(void)
{
	RUN(test_a_writer_has_its_newest_value);
	RUN(test_one_value_more_than_there_are_places_is_refused);
	RUN(test_tellers_have_equal_shares);
	return check_done();
}
