/* SPDX-License-Identifier: Apache-2.0 */
/* What a store lists for neighbours that may lack it. */
#include "offer_store_rig.h"

#define HOPS_MAX	 4u
#define PUT(...)	 rig_put(&(struct rig_word){__VA_ARGS__})
#define PUT_AT(hop, ...) put_at(hop, &(struct rig_word){__VA_ARGS__})

static const uint8_t one[32] = {1}, two[32] = {2};
static struct stock_entry listed[10000];

static enum offer_verdict put_at(uint8_t hop_cnt, const struct rig_word *word)
{
	static struct rig_message message;

	rig_write(word, &message);
	message.msg.hop_cnt = hop_cnt;
	message.bytes[SERVICE_MESSAGE_HOP_AT] = hop_cnt;
	return rig_put_message(word, &message);
}

/* How many are listed from cursor on. */
static unsigned list(const uint8_t *peer, struct offer_cursor *cursor)
{
	unsigned cnt = 0;

	for (;;) {
		enum offer_listing listing =
			offers_store_next(rig.offers, peer, HOPS_MAX, cursor, &listed[cnt]);

		if (listing == OFFER_LIST_END)
			return cnt;
		cnt += listing == OFFER_LIST_ONE;
	}
}

static void test_a_neighbour_that_is_new_hears_all_and_then_what_changes(void)
{
	struct offer_cursor cursor = {0};

	rig_begin(64);
	for (unsigned i = 0; i < 10; i++)
		CHECK_EQ(PUT(.provider = i), OFFER_STORED);
	CHECK_EQ(list(one, &cursor), 10);
	CHECK_EQ(list(one, &cursor), 0);
	CHECK_EQ(PUT(.provider = 20), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 3, .sequence = 2), OFFER_REPLACED);
	CHECK_EQ(PUT(.provider = 4, .sequence = 2, .type = SERVICE_MESSAGE_REVOKE), OFFER_REVOKED);
	CHECK_EQ(list(one, &cursor), 3);
	CHECK_EQ(listed[0].sequence, 1);
	CHECK_EQ(listed[1].sequence, 2);
	CHECK_EQ(list(one, &cursor), 0);
	rig_end();
}

static void test_the_neighbour_that_brought_an_offer_does_not_hear_of_it(void)
{
	struct offer_cursor first = {0}, second = {0};

	rig_begin(64);
	CHECK_EQ(list(one, &first) + list(two, &second), 0);
	CHECK_EQ(PUT(.provider = 1), OFFER_STORED);
	offers_store_passed(rig.offers, one);
	CHECK_EQ(PUT(.provider = 2), OFFER_STORED);
	CHECK_EQ(list(one, &first), 1);
	CHECK_EQ(list(two, &second), 2);
	rig_end();
}

static void test_an_offer_is_listed_as_far_as_its_hops_go(void)
{
	struct offer_cursor cursor = {0};

	rig_begin(64);
	CHECK_EQ(PUT_AT(2, .provider = 1), OFFER_STORED);
	CHECK_EQ(PUT_AT(3, .provider = 2), OFFER_STORED);
	CHECK_EQ(PUT_AT(OFFER_HOPS_NONE, .provider = 3), OFFER_STORED);
	CHECK_EQ(PUT(.provider = 4, .is_own = true), OFFER_STORED);
	CHECK_EQ(list(one, &cursor), 2);
	CHECK_EQ(listed[0].hop_cnt, 3);
	CHECK_EQ(listed[1].hop_cnt, 0);
	/* It came by a shorter way, too, so now it goes on. */
	CHECK_EQ(PUT_AT(1, .provider = 2), OFFER_DUPLICATE);
	CHECK_EQ(PUT_AT(3, .provider = 1), OFFER_DUPLICATE);
	CHECK_EQ(list(one, &cursor), 1);
	CHECK_EQ(listed[0].hop_cnt, 2);
	/* A start keeps what was written. */
	rig_pass(0);
	rig_crash();
	cursor = (struct offer_cursor){0};
	CHECK_EQ(list(one, &cursor), 2);
	rig_end();
}

static void test_a_neighbour_that_missed_more_than_the_ring_hears_all_again(void)
{
	struct offer_cursor cursor = {0}, late = {0};

	rig_begin(64);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(PUT(.provider = i), OFFER_STORED);
	CHECK_EQ(list(one, &cursor), 5);
	CHECK_EQ(list(two, &late), 5);
	for (unsigned i = 0; i < OFFER_CHANGES_CNT; i++)
		CHECK_EQ(PUT(.provider = 1, .sequence = 2 + i), OFFER_REPLACED);
	/* The oldest change is still there: the offer is named once for each. */
	CHECK_EQ(list(one, &cursor), OFFER_CHANGES_CNT);
	CHECK_EQ(PUT(.provider = 2, .sequence = 9), OFFER_REPLACED);
	CHECK_EQ(list(two, &late), 5);
	CHECK_EQ(list(two, &late), 0);
	rig_end();
}

static void test_what_is_lacked_is_what_is_not_here_or_older(void)
{
	struct offer_cursor cursor = {0};
	struct stock_entry entry, other = {.ref = {1}, .sequence = 1};

	rig_begin(64);
	CHECK_EQ(PUT_AT(3, .provider = 1, .sequence = 5), OFFER_STORED);
	CHECK_EQ(PUT_AT(2, .provider = 2), OFFER_STORED);
	CHECK_EQ(list(one, &cursor), 1);
	CHECK_EQ(PUT_AT(1, .provider = 1, .sequence = 5), OFFER_DUPLICATE);
	CHECK_EQ(list(one, &cursor), 1);
	entry = listed[0];
	CHECK_EQ(offers_store_lacks(rig.offers, one, &other), OFFER_LACKED);
	CHECK_EQ(offers_store_lacks(rig.offers, one, &entry), OFFER_HAD);
	entry.sequence = 6;
	CHECK_EQ(offers_store_lacks(rig.offers, one, &entry), OFFER_LACKED);
	entry.sequence = 4;
	entry.hop_cnt = 0;
	CHECK_EQ(offers_store_lacks(rig.offers, one, &entry), OFFER_HAD);
	CHECK_EQ(list(one, &cursor), 0);
	/* A neighbour has the same word, and nearer. It does not hear of that, others do. */
	entry.sequence = 5;
	CHECK_EQ(offers_store_lacks(rig.offers, two, &entry), OFFER_HAD);
	CHECK_EQ(list(one, &cursor), 1);
	CHECK_EQ(listed[0].hop_cnt, 1);
	rig_end();
}

static void test_a_store_that_is_nearly_full_lacks_nothing(void)
{
	struct stock_entry other = {.ref = {1}, .sequence = 1};

	rig_begin(64);
	for (unsigned i = 0; i < 59; i++)
		CHECK_EQ(PUT(.provider = i), OFFER_STORED);
	CHECK_EQ(offers_store_lacks(rig.offers, one, &other), OFFER_LACKED);
	CHECK_EQ(PUT(.provider = 59), OFFER_STORED);
	CHECK_EQ(offers_store_lacks(rig.offers, one, &other), OFFER_NO_ROOM);
	rig_end();
}

static void test_what_a_neighbour_lacks_is_given_with_its_hop_count_of_now(void)
{
	struct offer_cursor cursor = {0};

	rig_begin(64);
	CHECK_EQ(PUT_AT(2, .provider = 1), OFFER_STORED);
	CHECK_EQ(list(one, &cursor), 1);
	CHECK_EQ(PUT_AT(0, .provider = 1), OFFER_DUPLICATE);
	CHECK_EQ(offers_store_get_listed(rig.offers, &listed[0], HOPS_MAX, rig_see, NULL), 0);
	CHECK_EQ(listed[0].hop_cnt, 1);
	CHECK_EQ(rig_seen.announce[SERVICE_MESSAGE_HOP_AT], 0);
	CHECK_EQ(offers_store_get_listed(rig.offers, &listed[0], 1, rig_see, NULL), WEFT_EABSENT);
	listed[0].ref[0]++;
	CHECK_EQ(offers_store_get_listed(rig.offers, &listed[0], HOPS_MAX, rig_see, NULL),
		 WEFT_EABSENT);
	rig_end();
}

int main(void)
{
	RUN(test_a_neighbour_that_is_new_hears_all_and_then_what_changes);
	RUN(test_the_neighbour_that_brought_an_offer_does_not_hear_of_it);
	RUN(test_an_offer_is_listed_as_far_as_its_hops_go);
	RUN(test_a_neighbour_that_missed_more_than_the_ring_hears_all_again);
	RUN(test_what_is_lacked_is_what_is_not_here_or_older);
	RUN(test_a_store_that_is_nearly_full_lacks_nothing);
	RUN(test_what_a_neighbour_lacks_is_given_with_its_hop_count_of_now);
	return check_done();
}
