/* SPDX-License-Identifier: Apache-2.0 */
/* Endorsements that a node keeps, and the levels that they make of its operator's trust. */
#include "endorse_rig.h"

/* --- what counts --- */

static void test_a_registry_key_lifts_its_providers_and_taking_it_away_lowers_them(void)
{
	rig_begin();
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2), ENDORSE_KEPT);
	CHECK_EQ(level(2), 0);
	CHECK_EQ(kept_of(2), 1);
	CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
	CHECK(settle());
	CHECK_EQ(level(2), 2);
	CHECK_EQ(level_in(OTHER, 2), 0);
	CHECK_EQ(trust_in(SERVICE, 1, 0), 0);
	CHECK(settle());
	CHECK_EQ(level(2), 0);
	CHECK_EQ(trust_in(SERVICE, 1, 0), WEFT_EABSENT);
	rig_end();
}

static void test_an_endorsement_counts_no_higher_than_its_endorser_is_trusted(void)
{
	rig_begin();
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 3), ENDORSE_KEPT);
	for (unsigned max = 1; max <= 3; max++) {
		CHECK_EQ(trust_in(ENDORSE_EACH_SERVICE, 1, max), 0);
		CHECK_EQ(level(2), max);
	}
	/* The word on one service is above that on all of them. */
	CHECK_EQ(trust_in(SERVICE, 1, 1), 0);
	CHECK_EQ(level(2), 1);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 3, .service = OTHER), ENDORSE_KEPT);
	CHECK_EQ(level_in(OTHER, 2), 3);
	rig_end();
}

static void test_an_endorser_within_three_endorsements_of_a_trusted_one_counts_as_1(void)
{
	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 3), 0);
	for (unsigned n = 1; n <= 5; n++)
		CHECK_EQ(PUT(.endorser = n, .provider = n + 1, .level = 3), ENDORSE_KEPT);
	CHECK_EQ(level(2), 3); /* by the trusted one itself */
	CHECK_EQ(level(3), 1);
	CHECK_EQ(level(4), 1);
	CHECK_EQ(level(5), 1); /* 4 is three endorsements from 1 */
	CHECK_EQ(level(6), 0); /* and 5 is four */
	/* The way is one of the service alone, and ends where one is withdrawn. */
	rig.now_s++;
	CHECK_EQ(PUT(.endorser = 2, .provider = 3, .level = 0), ENDORSE_KEPT);
	CHECK_EQ(level(3), 0);
	CHECK_EQ(level(4), 0);
	CHECK_EQ(level(2), 3);
	CHECK_EQ(PUT(.endorser = 2, .provider = 3, .level = 1, .service = OTHER), ENDORSE_KEPT);
	CHECK_EQ(level(4), 0);
	rig_end();
}

static void test_a_circle_of_unknown_endorsers_lifts_none_of_them(void)
{
	rig_begin();
	for (unsigned a = 1; a <= 5; a++)
		for (unsigned b = 1; b <= 5; b++)
			if (a != b)
				CHECK_EQ(PUT(.endorser = a, .provider = b, .level = 3),
					 ENDORSE_KEPT);
	for (unsigned n = 1; n <= 5; n++)
		CHECK_EQ(level(n), 0);
	/* What they say changes no level, so none is made anew. */
	struct endorse_stats before, after;

	offers_endorse_stats(rig.book, &before);
	rig.now_s++;
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 1), ENDORSE_KEPT);
	CHECK(!settle());
	offers_endorse_stats(rig.book, &after);
	CHECK_EQ(after.settled_cnt, before.settled_cnt);
	rig_end();
}

static void test_this_node_counts_as_one_that_knows_providers(void)
{
	rig_begin();
	CHECK_EQ(PUT(.endorser = 0, .provider = 2, .level = 3, .is_mine = true), ENDORSE_KEPT);
	CHECK_EQ(level(2), 1);
	CHECK_EQ(trust_in(SERVICE, 0, 3), 0);
	CHECK_EQ(level(2), 3);
	rig_end();
}

static void test_a_seed_form_counts_as_1_unless_of_a_registry(void)
{
	rig_begin();
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 3, .is_seed_form = true), ENDORSE_KEPT);
	CHECK_EQ(trust_in(SERVICE, 1, 1), 0);
	CHECK_EQ(level(2), 1);
	CHECK_EQ(trust_in(SERVICE, 1, 3), 0);
	CHECK_EQ(level(2), 3);
	rig_end();
}

/* --- what is kept --- */

static void test_the_newest_of_an_endorser_holds_and_level_0_withdraws(void)
{
	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 3), 0);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2), ENDORSE_KNOWN);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 3, .ago_s = 1), ENDORSE_KNOWN);
	CHECK_EQ(level(2), 2);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 0, .ago_s = -1), ENDORSE_KEPT);
	CHECK_EQ(level(2), 0);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2), ENDORSE_KNOWN);
	CHECK_EQ(level(2), 0);
	CHECK_EQ(kept_of(2), 1);
	rig_end();
}

static void test_of_one_second_the_lower_level_holds_in_any_order(void)
{
	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 3), 0);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 3), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 1), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 3), ENDORSE_KNOWN);
	CHECK_EQ(level(2), 1);
	rig_end();
}

static void test_a_level_raised_on_the_way_is_refused_in_full_cover(void)
{
	const struct word word = {.endorser = 1, .provider = 2, .level = 1};
	struct bytes bytes;
	unsigned forged_cnt = 0;

	rig_begin();
	bytes = write_word(&word);
	for (size_t at = 0; at < bytes.len; at++) {
		struct bytes raised = bytes;
		enum endorse_verdict verdict;

		raised.at[at] ^= 2;
		verdict = put_bytes(&word, &raised);
		CHECK(verdict != ENDORSE_KEPT && verdict != ENDORSE_KNOWN);
		forged_cnt += verdict == ENDORSE_FORGED;
	}
	CHECK(forged_cnt > 64);
	CHECK_EQ(kept_of(2), 0);
	CHECK_EQ(put_bytes(&word, &bytes), ENDORSE_KEPT);
	rig_end();
}

static void test_a_level_raised_on_the_way_counts_as_1_in_the_seed_form(void)
{
	struct word word = {.endorser = 1, .provider = 2, .level = 1, .is_seed_form = true};
	struct bytes bytes;
	size_t level_at = 0;

	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 1), 0);
	bytes = write_word(&word);
	/* Key 3 and its number. */
	for (size_t at = 0; at + 1 < bytes.len && !level_at; at++)
		if (bytes.at[at] == 3 && bytes.at[at + 1] == 1)
			level_at = at + 1;
	bytes.at[level_at] = 3;
	CHECK_EQ(put_bytes(&word, &bytes), ENDORSE_KEPT);
	CHECK_EQ(level(2), 1);
	rig_end();
}

static void test_a_seed_form_without_a_key_needs_one_that_is_known(void)
{
	const struct word word = {
		.endorser = 1, .provider = 2, .level = 1, .is_seed_form = true, .hides_key = true};
	struct word sent = word;

	rig_begin();
	CHECK_EQ(put(word), ENDORSE_NO_KEY);
	CHECK_EQ(trust_in(SERVICE, 1, 1), 0);
	CHECK_EQ(put(word), ENDORSE_KEPT);
	CHECK_EQ(level(2), 1);
	CHECK_EQ(trust_in(SERVICE, 1, 0), 0);
	/* Its endorser's other endorsement has the key, too. */
	sent.provider = 3;
	CHECK_EQ(put(sent), ENDORSE_KEPT);
	sent.endorser = sent.sender = 4;
	CHECK_EQ(put(sent), ENDORSE_KEPT);
	rig_end();
}

static void test_time_bounds_what_is_kept_and_for_how_long(void)
{
	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2, .ago_s = -300), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 1, .provider = 3, .level = 2, .ago_s = -301), ENDORSE_UNTIMELY);
	CHECK_EQ(PUT(.endorser = 1, .provider = 3, .level = 2, .ago_s = LIFE_S), ENDORSE_UNTIMELY);
	CHECK_EQ(level(2), 2);
	save();
	rig.now_ns += 10 * NS_PER_S;
	CHECK_EQ(offers_endorse_next_ns(rig.book, rig.now_s, rig.now_ns),
		 rig.now_ns + (LIFE_S + 300) * NS_PER_S);
	rig.now_s += LIFE_S + 299;
	CHECK_EQ(level(2), 2);
	rig.now_s++;
	CHECK(settle());
	CHECK_EQ(level(2), 0);
	rig_end();
}

static bool on_expired(void *arg, const struct endorse_view *view)
{
	*(bool *)arg = view->is_expired && view->counts == 0 && view->endorsement.level == 2;
	return true;
}

static void test_one_that_has_expired_is_shown_for_a_week(void)
{
	bool is_expired = false;

	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2), ENDORSE_KEPT);
	CHECK_EQ(level(2), 2);
	CHECK_EQ(offers_endorse_expired_cnt(rig.book, SERVICE, address_of(2)), 0);
	rig.now_s += LIFE_S;
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(level(2), 0);
		CHECK_EQ(kept_of(2), 1);
		CHECK_EQ(offers_endorse_expired_cnt(rig.book, SERVICE, address_of(2)), 1);
		CHECK_EQ(offers_endorse_claimed(rig.book, SERVICE, address_of(2)), 0);
		offers_endorse_each_of(rig.book, SERVICE, address_of(2), on_expired, &is_expired);
		CHECK(is_expired);
		is_expired = false;
		/* A start has it, too. */
		offers_endorse_close(rig.book);
		store_close(rig.store);
		book_open();
	}
	/* A new word counts again, and ends later. */
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2), ENDORSE_KEPT);
	CHECK_EQ(level(2), 2);
	CHECK_EQ(offers_endorse_expired_cnt(rig.book, SERVICE, address_of(2)), 0);
	rig.now_s += LIFE_S + ENDORSE_SHOWN_S - 1;
	CHECK_EQ(level(2), 0);
	CHECK_EQ(kept_of(2), 1);
	rig.now_s++;
	CHECK_EQ(level(2), 0);
	CHECK_EQ(kept_of(2), 0);
	CHECK_EQ(offers_endorse_expired_cnt(rig.book, SERVICE, address_of(2)), 0);
	rig_end();
}

static void test_what_is_durable_outlives_a_crash(void)
{
	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
	CHECK_EQ(PUT(.endorser = 1, .provider = 2, .level = 2), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 3, .provider = 2, .level = 1, .is_seed_form = true), ENDORSE_KEPT);
	CHECK_EQ(PUT(.endorser = 1, .provider = 4, .level = 2, .life_s = 60), ENDORSE_KEPT);
	save();
	CHECK_EQ(rig.done_cnt, 4);
	CHECK_EQ(PUT(.endorser = 1, .provider = 5, .level = 2), ENDORSE_KEPT);
	store_freeze(rig.store);
	offers_endorse_close(rig.book);
	store_crash(rig.store);
	rig.now_s += 60;
	book_open();
	CHECK_EQ(level(2), 2);
	CHECK_EQ(kept_of(2), 2);
	CHECK_EQ(kept_of(4), 1);
	CHECK_EQ(level(4), 0);
	CHECK_EQ(kept_of(5), 0);
	CHECK_EQ(trust_in(SERVICE, 1, 0), 0);
	save();
	offers_endorse_close(rig.book);
	store_close(rig.store);
	book_open();
	CHECK_EQ(level(2), 0);
	rig_end();
}

/* --- shares --- */

static void test_many_keys_of_one_network_leave_room_for_another(void)
{
	struct endorse_stats stats;

	rig_begin();
	for (unsigned n = 0; n < 3 * CAP; n++)
		(void)PUT(.endorser = 100 + n, .provider = 2, .level = 3, .network = 7);
	offers_endorse_stats(rig.book, &stats);
	CHECK_EQ(stats.row_cnt, CAP);
	for (unsigned n = 0; n < 8; n++)
		CHECK_EQ(PUT(.endorser = 10 + n, .provider = 3, .level = 1, .network = 8),
			 ENDORSE_KEPT);
	for (unsigned n = 0; n < 3 * CAP; n++)
		(void)PUT(.endorser = 100 + n, .provider = 4, .level = 3, .network = 7);
	CHECK_EQ(kept_of(3), 8);
	offers_endorse_stats(rig.book, &stats);
	CHECK_EQ(stats.row_cnt, CAP);
	CHECK(stats.evicted_cnt > 0);
	rig_end();
}

static void test_trusted_endorsers_have_places_of_their_own(void)
{
	rig_begin();
	for (unsigned n = 0; n < 12; n++)
		CHECK_EQ(PUT(.endorser = 1, .provider = 10 + n, .level = 2, .network = 7),
			 ENDORSE_KEPT);
	CHECK_EQ(trust_in(SERVICE, 1, 2), 0);
	for (unsigned n = 0; n < 3 * CAP; n++)
		(void)PUT(.endorser = 100 + n, .provider = 2, .level = 3, .network = 7 + n % 20);
	for (unsigned n = 0; n < 12; n++)
		CHECK_EQ(level(10 + n), 2);
	rig_end();
}

static void test_so_many_endorsers_are_trusted_and_one_more_is_not(void)
{
	struct endorse_trust trust;
	unsigned cnt = 0;

	rig_begin();
	for (unsigned n = 0; n < ENDORSE_TRUST_MAX; n++)
		CHECK_EQ(trust_in(SERVICE, n, 1), 0);
	CHECK_EQ(trust_in(SERVICE, ENDORSE_TRUST_MAX, 1), WEFT_EFULL);
	CHECK_EQ(trust_in(SERVICE, 7, 2), 0);
	while (offers_endorse_trust_at(rig.book, cnt, &trust))
		cnt++;
	CHECK_EQ(cnt, ENDORSE_TRUST_MAX);
	CHECK_EQ(trust_in(SERVICE, 7, 0), 0);
	CHECK_EQ(trust_in(SERVICE, ENDORSE_TRUST_MAX, 1), 0);
	rig_end();
}

/* --- proofs --- */

struct proof {
	unsigned cnt;
	uint8_t endorsers[8][NODE_KEY_LEN];
};

static bool on_proof(void *arg, const struct endorse_view *view)
{
	struct proof *proof = arg;

	memcpy(proof->endorsers[proof->cnt++], view->endorser, NODE_KEY_LEN);
	return true;
}

static void proof_make(unsigned provider, unsigned level, struct proof *proof)
{
	const struct endorse_proof_ask ask = {.service = SERVICE,
					      .address = address_of(provider),
					      .level = level,
					      .fn = on_proof,
					      .arg = proof};

	offers_endorse_proof(rig.book, &ask);
}

static void test_a_proof_has_those_first_that_state_the_level_that_is_asked_for(void)
{
	struct proof proof = {0};

	rig_begin();
	for (unsigned n = 20; n < 40; n++)
		CHECK_EQ(PUT(.endorser = n, .provider = 4, .level = n == 33 ? 2 : 1), ENDORSE_KEPT);
	CHECK_EQ(offers_endorse_claimed(rig.book, SERVICE, address_of(4)), 2);
	CHECK_EQ(offers_endorse_claimed(rig.book, OTHER, address_of(4)), 0);
	proof_make(4, 2, &proof);
	CHECK_EQ(proof.cnt, 4);
	CHECK_MEM(proof.endorsers[0], public_of(33), NODE_KEY_LEN);
	rig.now_s++;
	CHECK_EQ(PUT(.endorser = 33, .provider = 4, .level = 0), ENDORSE_KEPT);
	CHECK_EQ(offers_endorse_claimed(rig.book, SERVICE, address_of(4)), 1);
	rig_end();
}

static void test_a_proof_has_the_way_from_a_trusted_endorser(void)
{
	struct proof proof = {0};

	rig_begin();
	CHECK_EQ(trust_in(SERVICE, 1, 1), 0);
	for (unsigned n = 20; n < 40; n++)
		CHECK_EQ(PUT(.endorser = n, .provider = 4, .level = 3), ENDORSE_KEPT);
	for (unsigned n = 1; n <= 3; n++)
		CHECK_EQ(PUT(.endorser = n, .provider = n + 1, .level = 1), ENDORSE_KEPT);
	CHECK_EQ(level(4), 1);
	proof_make(4, 3, &proof);
	CHECK_EQ(proof.cnt, 4);
	CHECK_MEM(proof.endorsers[0], public_of(3), NODE_KEY_LEN);
	CHECK_MEM(proof.endorsers[1], public_of(2), NODE_KEY_LEN);
	CHECK_MEM(proof.endorsers[2], public_of(1), NODE_KEY_LEN);
	/* And again: nothing is left marked. */
	proof.cnt = 0;
	proof_make(4, 3, &proof);
	CHECK_EQ(proof.cnt, 4);
	CHECK_MEM(proof.endorsers[2], public_of(1), NODE_KEY_LEN);
	rig_end();
}

/* A page has four. */
static bool on_page(void *arg, const struct endorse_view *view)
{
	(void)view;
	return ++*(unsigned *)arg % 4 != 0;
}

static void test_all_are_listed_page_by_page(void)
{
	unsigned cnt = 0, page_cnt = 0;
	uint32_t at = 0;

	rig_begin();
	for (unsigned n = 0; n < 10; n++)
		CHECK_EQ(PUT(.endorser = 1, .provider = 10 + n, .level = 1), ENDORSE_KEPT);
	do {
		offers_endorse_each(rig.book, &at, on_page, &cnt);
		page_cnt++;
	} while (at);
	CHECK_EQ(cnt, 10);
	CHECK_EQ(page_cnt, 3);
	rig_end();
}

int main(void)
{
	RUN(test_a_registry_key_lifts_its_providers_and_taking_it_away_lowers_them);
	RUN(test_an_endorsement_counts_no_higher_than_its_endorser_is_trusted);
	RUN(test_an_endorser_within_three_endorsements_of_a_trusted_one_counts_as_1);
	RUN(test_a_circle_of_unknown_endorsers_lifts_none_of_them);
	RUN(test_this_node_counts_as_one_that_knows_providers);
	RUN(test_a_seed_form_counts_as_1_unless_of_a_registry);
	RUN(test_the_newest_of_an_endorser_holds_and_level_0_withdraws);
	RUN(test_of_one_second_the_lower_level_holds_in_any_order);
	RUN(test_a_level_raised_on_the_way_is_refused_in_full_cover);
	RUN(test_a_level_raised_on_the_way_counts_as_1_in_the_seed_form);
	RUN(test_a_seed_form_without_a_key_needs_one_that_is_known);
	RUN(test_time_bounds_what_is_kept_and_for_how_long);
	RUN(test_one_that_has_expired_is_shown_for_a_week);
	RUN(test_what_is_durable_outlives_a_crash);
	RUN(test_many_keys_of_one_network_leave_room_for_another);
	RUN(test_trusted_endorsers_have_places_of_their_own);
	RUN(test_so_many_endorsers_are_trusted_and_one_more_is_not);
	RUN(test_a_proof_has_those_first_that_state_the_level_that_is_asked_for);
	RUN(test_a_proof_has_the_way_from_a_trusted_endorser);
	RUN(test_all_are_listed_page_by_page);
	return check_done();
}
