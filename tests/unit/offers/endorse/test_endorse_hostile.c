/* SPDX-License-Identifier: Apache-2.0 */
/* Endorsements that come back, that are of no one service, and that drown others. */
#include "endorse_rig.h"

/* What was said for longer is signed still, and any node may bring it again. */
static void test_a_longer_word_does_not_come_back_behind_a_shorter_one(void)
{
	const struct word longer = {
		.endorser = 1, .provider = 2, .level = 3, .ago_s = 100, .life_s = 40 * LIFE_S};
	struct bytes bytes;

	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 3), 0);
	bytes = write_word(&longer);
	CHECK_EQ(put_bytes(&longer, &bytes), ENDORSE_KEPT);
	CHECK_EQ(level(2), 3);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 1, .life_s = 2 * LIFE_S), ENDORSE_KEPT);
	CHECK_EQ(level(2), 1);
	for (unsigned i = 0; i < 2; i++) {
		rig.now_s += 2 * LIFE_S;
		CHECK_EQ(level(2), 0);
		CHECK_EQ(put_bytes(&longer, &bytes), ENDORSE_KNOWN);
		CHECK_EQ(level(2), 0);
		offers_endorse_close(rig.book);
		store_close(rig.store);
		book_open();
		CHECK_EQ(put_bytes(&longer, &bytes), ENDORSE_KNOWN);
		CHECK_EQ(level(2), 0);
	}
	rig.now_s += 40 * LIFE_S + ENDORSE_SHOWN_S;
	CHECK_EQ(level(2), 0);
	CHECK_EQ(kept_of(2), 0);
	CHECK_EQ(put_bytes(&longer, &bytes), ENDORSE_UNTIMELY);
	rig_end();
}

static void test_no_endorsement_is_of_a_service_without_an_id_of_its_own(void)
{
	rig_begin();
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 1, .service = OFFERS_CUSTOM_SERVICE),
		 ENDORSE_MALFORMED);
	CHECK_EQ(
		PUT(.endorser = 1, .provider = 2, .level = 1, .service = OFFERS_CUSTOM_SERVICE - 1),
		ENDORSE_KEPT);
	rig_end();
}

/* A distrusted endorser leaves its reserved places, also over a restart. */
static void test_a_row_that_is_trusted_no_more_is_of_no_chosen_one(void)
{
	struct fair_view view;

	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 1), ENDORSE_KEPT);
	offers_endorse_fair(rig.book, &view);
	CHECK_EQ(view.held_cnts[FAIR_CHOSEN], 1);
	CHECK_EQ(trust_in(SERVICE, 1, 0), 0);
	offers_endorse_close(rig.book);
	store_close(rig.store);
	book_open();
	offers_endorse_fair(rig.book, &view);
	CHECK_EQ(view.held_cnts[FAIR_CHOSEN], 0);
	CHECK_EQ(view.held_cnt, 1);
	rig_end();
}

static void test_what_others_say_of_this_node_hides_nothing_that_it_said(void)
{
	unsigned cnt = 0;

	rig_begin();
	CHECK_EQ(PUT(.endorser = 0, .provider = 1, .level = 1, .is_mine = true), ENDORSE_KEPT);
	for (unsigned n = 2; n < 30; n++)
		CHECK_EQ(PUT(.endorser = n, .provider = 0, .level = 3), ENDORSE_KEPT);
	(void)settle();
	offers_endorse_each_own(rig.book, on_cnt, &cnt);
	CHECK_EQ(cnt, 1);
	CHECK_EQ(trust_in(SERVICE, 29, 1), 0);
	(void)settle();
	cnt = 0;
	offers_endorse_each_own(rig.book, on_cnt, &cnt);
	CHECK_EQ(cnt, 2);
	rig_end();
}

int main(void)
{
	RUN(test_a_longer_word_does_not_come_back_behind_a_shorter_one);
	RUN(test_no_endorsement_is_of_a_service_without_an_id_of_its_own);
	RUN(test_a_row_that_is_trusted_no_more_is_of_no_chosen_one);
	RUN(test_what_others_say_of_this_node_hides_nothing_that_it_said);
	return check_done();
}
