/* SPDX-License-Identifier: Apache-2.0 */
/* Reservations between a consumer and a provider: states, units, crashes, and what others may try. */
#include "reservations_rig.h"

#define TOKEN_AT (SERVICE_MESSAGE_HEAD_LEN + 3) /* behind a map of five, key 0 and a length */

static uint8_t id[RESERVATION_ID_LEN], other_id[RESERVATION_ID_LEN];

/* --- the way of one --- */

static void test_a_reservation_is_asked_for_and_confirmed_with_words_of_both(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, "on Friday?", id), 0);
	CHECK_EQ(rig.sent_cnt, 0); /* nothing leaves before it is durable */
	rig_pass(1);
	CHECK_EQ(rig.done_cnt, 1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	CHECK_STR(rig_text, "on Friday?");
	CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_ASKED], 1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, "at six"), 0);
	CHECK_EQ(rig.put_cnt, 0); /* likewise */
	rig_pass(70);
	CHECK_EQ(rig.put_cnt, 1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_CONFIRMED);
	CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_CONFIRMED);
	CHECK_STR(rig_answer, "at six");
	CHECK_EQ(rig.settled_cnt, 1);
	CHECK_EQ(rig.consumer.happened[RESERVATION_EVENT_CONFIRMED], 1);
	rig_end();
}

static void test_a_refused_one_is_over_on_both_sides(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.consumer, id, RESERVATION_CONFIRM, NULL), WEFT_EWRONGKEY);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CANCEL, NULL), WEFT_ESTALE);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_REFUSE, "it is gone"), 0);
	rig_pass(70);
	CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_REFUSED);
	CHECK_STR(rig_answer, "it is gone");
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), WEFT_ESTALE);
	CHECK_EQ(rig_decide(&rig.consumer, id, RESERVATION_CANCEL, NULL), WEFT_ESTALE);
	rig_end();
}

static void test_either_side_cancels_and_the_units_are_free_again(void)
{
	struct offer_name name;

	rig_begin();
	rig_name(0, &name);
	for (unsigned round = 0; round < 2; round++) {
		CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
		rig_pass(1);
		CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
		rig_pass(70);
		CHECK_EQ(offers_reservations_confirmed(rig.provider.reservations, &name), 1);
		CHECK_EQ(rig_decide(round ? &rig.provider : &rig.consumer, id, RESERVATION_CANCEL,
				    "sorry"),
			 0);
		rig_pass(700);
		CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_CANCELLED);
		CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_CANCELLED);
		CHECK_EQ(offers_reservations_confirmed(rig.provider.reservations, &name), 0);
	}
	rig_end();
}

/* A consumer with a confirmed reservation waits for nothing, and looks all the same. */
static void test_a_consumer_hears_within_a_minute_that_a_confirmed_one_was_taken_back(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(2, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	rig_pass(10);
	CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_CONFIRMED);
	rig_pass(600);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CANCEL, NULL), 0);
	rig_pass(61);
	CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_CANCELLED);
	rig_end();
}

static void test_the_consumer_learns_of_it_days_later_and_after_a_restart(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	rig_close(&rig.consumer);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	rig.now_ns += NS_PER_S;
	for (unsigned i = 0; i < 10; i++) {
		timer_wheel_expire(&rig.provider.timers, rig.now_ns += NS_PER_S);
		(void)store_reap(rig.provider.store);
	}
	CHECK_EQ(rig.put_cnt, 1);
	/* Its own end has come by then, and the answer counts all the same. */
	rig.now_s += (RESERVATION_HOURS + 5) * 3600;
	rig_open(&rig.consumer);
	rig_pass(10);
	CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_CONFIRMED);
	rig_end();
}

/* --- units --- */

static void test_no_unit_is_confirmed_twice(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(2, 2, NULL, id), 0);
	CHECK_EQ(rig_ask(2, 2, NULL, other_id), 0);
	CHECK_EQ(rig_ask(2, 4, NULL, other_id), WEFT_ETOOSMALL); /* it has three */
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	/* The first one counts before it is durable. */
	CHECK_EQ(rig_decide(&rig.provider, other_id, RESERVATION_CONFIRM, NULL), WEFT_EFULL);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), WEFT_ESTALE);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), WEFT_ESTALE);
	CHECK_EQ(rig_decide(&rig.provider, other_id, RESERVATION_CONFIRM, NULL), WEFT_EFULL);
	rig.units[2] = 4;
	CHECK_EQ(rig_decide(&rig.provider, other_id, RESERVATION_CONFIRM, NULL), 0);
	rig_end();
}

/* Whatever is asked, decided, lost and killed: units hold, and what was acknowledged stays. */
static void test_units_hold_in_any_order_of_words_and_crashes(void)
{
	enum { CNT = 48 };
	static uint8_t ids[CNT][RESERVATION_ID_LEN];
	static unsigned acknowledged[CNT];
	unsigned cnt = 0, crash_cnt = 0;

	rig_begin();
	memset(acknowledged, 0, sizeof(acknowledged));
	for (unsigned step = 0; step < 4000; step++) {
		unsigned offer = (unsigned)random_below(&rig.dice, RIG_OFFERS);
		unsigned at = cnt ? (unsigned)random_below(&rig.dice, cnt) : 0;
		unsigned done_cnt = rig.done_cnt;
		struct offer_name name;
		int err = -1;

		rig.neighbour = (uint8_t)offer;
		if (cnt < CNT && random_below(&rig.dice, 20) == 0) {
			rig_skip(61);
			cnt += rig_ask(offer, 1 + (uint32_t)random_below(&rig.dice, offer + 1),
				       NULL, ids[cnt]) == 0;
		} else if (cnt) {
			err = rig_decide(
				random_below(&rig.dice, 4) ? &rig.provider : &rig.consumer, ids[at],
				(enum reservation_decision)random_below(&rig.dice, 3), NULL);
		}
		for (unsigned k = (unsigned)random_below(&rig.dice, 3); k; k--)
			rig_turn(4 * NS_PER_MS);
		if (err == 0 && rig.done_cnt > done_cnt && rig_state(&rig.provider, ids[at]))
			acknowledged[at] = rig_record.state;
		if (random_below(&rig.dice, 50) == 0) {
			rig_crash(random_below(&rig.dice, 2) ? &rig.provider : &rig.consumer);
			crash_cnt++;
		}
		if (rig.put_cnt > RIG_BOXED / 2)
			rig.put_cnt = 0;
		for (unsigned i = 0; i < RIG_OFFERS; i++) {
			rig_name(i, &name);
			CHECK(offers_reservations_confirmed(rig.provider.reservations, &name) <=
			      rig.units[i]);
		}
	}
	/* A confirmed one may have been cancelled since, and is nothing else. */
	for (unsigned i = 0; i < cnt; i++)
		if (acknowledged[i] == RESERVATION_CONFIRMED)
			CHECK(rig_state(&rig.provider, ids[i]) == RESERVATION_CONFIRMED ||
			      rig_state(&rig.provider, ids[i]) == RESERVATION_CANCELLED ||
			      !rig_state(&rig.provider, ids[i]));
	printf("# %u reservations, %u crashes\n", cnt, crash_cnt);
	CHECK(cnt > 20 && crash_cnt > 20);
	rig_end();
}

/* --- crashes --- */

static void test_a_crash_at_any_step_loses_no_answer_and_signs_no_second(void)
{
	for (unsigned step = 0; step < 12; step++) {
		unsigned before_cnt;
		bool was_done;

		rig_begin();
		CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
		rig_pass(1);
		CHECK_EQ(rig_ask(0, 1, NULL, other_id), 0);
		rig_pass(1);
		rig.done_cnt = 0;
		rig.consumer.is_cut = true;
		CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
		for (unsigned i = 0; i < step; i++)
			rig_turn(NS_PER_MS);
		was_done = rig.done_cnt == 1;
		before_cnt = rig.put_cnt;
		CHECK(was_done || before_cnt == 0);
		rig_crash(&rig.provider);
		CHECK_EQ(rig_state(&rig.provider, id),
			 was_done ? RESERVATION_CONFIRMED : RESERVATION_ASKED);
		CHECK_EQ(rig_decide(&rig.provider, other_id, RESERVATION_CONFIRM, NULL),
			 was_done ? WEFT_EFULL : 0);
		rig_pass(2);
		CHECK(rig.put_cnt >= 1);
		/* What is put again is the same deposit, byte for byte. */
		for (unsigned i = 1; i < rig.put_cnt; i++) {
			CHECK_EQ(rig.boxed[i].len, rig.boxed[0].len);
			CHECK_MEM(rig.boxed[i].bytes, rig.boxed[0].bytes, rig.boxed[0].len);
			CHECK_MEM(rig.boxed[i].receipt, rig.boxed[0].receipt, 16);
		}
		rig_end();
	}
}

static void test_what_cannot_be_saved_is_as_it_was_and_is_not_sent(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	store_freeze(rig.provider.store);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	rig_pass(2);
	CHECK_EQ(rig.failed_cnt, 1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	CHECK_EQ(rig.put_cnt, 0);
	CHECK(rig_stats(&rig.provider).failed_cnt > 0);
	rig_end();
}

/* --- others --- */

static void test_a_replayed_reserve_changes_nothing(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_KNOWN);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_REFUSE, NULL), 0);
	rig_pass(1);
	CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_KNOWN);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_REFUSED);
	CHECK_EQ(rig_stats(&rig.provider).asked_cnt, 1);
	rig_end();
}

static void test_an_altered_reserve_is_none(void)
{
	rig_begin();
	rig.consumer.is_cut = true;
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	/* Behind the header, any byte but the token: offer, key, nonce, box. */
	for (size_t i = SERVICE_MESSAGE_HEAD_LEN; i < rig.sent_len; i++) {
		enum reservation_verdict verdict;

		if (i >= TOKEN_AT && i < TOKEN_AT + RESERVATION_TOKEN_LEN)
			continue;
		rig.sent[i] ^= 1;
		verdict = rig_bring(rig.sent, rig.sent_len);
		CHECK(verdict == RESERVATION_NOT_FOR || verdict == RESERVATION_NO_OFFER);
		rig.sent[i] ^= 1;
	}
	CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_TAKEN);
	/* The box is not bound to the token, so another one is no other reservation. */
	rig.sent[TOKEN_AT] ^= 1;
	CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_KNOWN);
	rig_end();
}

/* A third party knows all that lies open of a reservation, and not what its two sides agreed on. */
static void test_a_third_party_cannot_cancel(void)
{
	uint8_t payload[RESERVATION_LEN_MAX], bytes[RESERVATION_MESSAGE_MAX], secret[32] = {5};
	static const uint8_t nonce[AGREED_NONCE_LEN] = {1};
	const struct reservation_draft draft = {
		.type = SERVICE_MESSAGE_CANCEL, .nonce = nonce, .content = {.units = 1}};
	struct writer p = writer_of(payload, sizeof(payload));
	struct writer w = writer_of(bytes, sizeof(bytes));
	struct reservation_seal seal = {.service = RIG_SERVICE};
	struct service_message message;

	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	memcpy(seal.provider, rig_record.parties.provider, sizeof(seal.provider));
	memcpy(seal.token, rig_record.parties.token, sizeof(seal.token));
	memcpy(seal.offer_id, rig_record.parties.offer_id, sizeof(seal.offer_id));
	CHECK_EQ(offers_reservation_begin(&seal, rig_record.parties.reserve_key, secret), 0);
	memcpy(seal.one_time, rig_record.parties.one_time, sizeof(seal.one_time));
	offers_reservation_write(&p, &seal, &draft);
	message = (struct service_message){.service = RIG_SERVICE,
					   .type = SERVICE_MESSAGE_CANCEL,
					   .version = 1,
					   .provider = seal.provider,
					   .hop_max = 4,
					   .ttl_hours = 1,
					   .timestamp_s = rig.now_s,
					   .payload = payload,
					   .payload_len = writer_len(&p)};
	offers_message_write(&w, &message);
	CHECK(!p.bad && !w.bad);
	CHECK_EQ(rig_bring(bytes, writer_len(&w)), RESERVATION_NOT_FOR);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	rig_end();
}

static void test_a_confirm_of_another_node_is_counted_and_changes_nothing(void)
{
	uint8_t consumer[NODE_KEY_LEN], bytes[RESERVATION_MESSAGE_MAX];
	const uint8_t seed[NODE_KEY_SEED_LEN] = {77};
	struct service_message message;
	struct node_key *stranger;
	struct writer w;

	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	rig.consumer.is_cut = true;
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	rig_turn(10 * NS_PER_MS);
	rig_turn(10 * NS_PER_MS);
	CHECK_EQ(rig.put_cnt, 1);
	memcpy(consumer, rig.boxed[0].recipient, sizeof(consumer));
	/* The same sealed text, signed by another; its address, then the provider's. */
	CHECK_EQ(offers_message_parse(rig.boxed[0].bytes, rig.boxed[0].len, &message), 0);
	CHECK_EQ(node_key_from_seed(seed, &stranger), 0);
	w = writer_of(bytes, sizeof(bytes));
	offers_message_sign(&w, &message, stranger);
	CHECK_EQ(rig_deliver(consumer, bytes, writer_len(&w)), RESERVATION_NOT_FOR);
	memcpy(bytes + SERVICE_MESSAGE_ADDRESS_AT, message.provider, SERVICE_MESSAGE_ADDRESS_LEN);
	CHECK_EQ(rig_deliver(consumer, bytes, writer_len(&w)), RESERVATION_NOT_FOR);
	/* Its signature cut off, or for a key that none of its reservations has. */
	rig.boxed[0].bytes[30] ^= 1;
	CHECK_EQ(rig_deliver(consumer, rig.boxed[0].bytes, rig.boxed[0].len), RESERVATION_NOT_FOR);
	rig.boxed[0].bytes[30] ^= 1;
	CHECK_EQ(rig_deliver(seed, rig.boxed[0].bytes, rig.boxed[0].len), RESERVATION_NOT_FOR);
	CHECK_EQ(rig_stats(&rig.consumer).stranger_cnt, 4);
	CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_ASKED);
	CHECK_EQ(rig_deliver(consumer, rig.boxed[0].bytes, rig.boxed[0].len), RESERVATION_TAKEN);
	node_key_free(stranger);
	rig_end();
}

/* --- keys and times of offers --- */

static void test_a_key_of_a_live_announce_is_met_and_of_an_expired_one_not(void)
{
	for (unsigned has_image = 0; has_image < 2; has_image++) {
		rig_begin();
		rig.has_image = has_image;
		rig.expires_s = RIG_NOON_S + 10 * 3600;
		rig.consumer.is_cut = true;
		CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
		rig_pass(1);
		rig.now_s = rig.expires_s;
		CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_NO_OFFER);
		rig.now_s = rig.expires_s - 1;
		rig.is_withdrawn = true;
		CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_NO_OFFER);
		rig.is_withdrawn = false;
		CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_TAKEN);
		rig_end();
	}
}

static void test_one_without_an_answer_expires_and_its_provider_is_reminded(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	rig_skip((RESERVATION_HOURS - 1) * 3600);
	CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_EXPIRES_SOON], 1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	rig_skip(3600);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_EXPIRED);
	CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_EXPIRED);
	CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_EXPIRED], 1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), WEFT_ESTALE);
	rig_skip(RESERVATION_OVER_LIFE_S);
	CHECK_EQ(rig_state(&rig.provider, id), 0);
	CHECK_EQ(rig_state(&rig.consumer, id), 0);
	rig_crash(&rig.provider);
	CHECK_EQ(rig_stats(&rig.provider).over_cnt, 0);
	rig_end();
}

static void test_a_reserve_that_found_no_way_goes_when_a_session_is_there(void)
{
	static const uint8_t neighbour[NODE_KEY_LEN] = {3};

	rig_begin();
	rig.consumer.is_cut = true;
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig.sent_cnt, 1);
	rig.consumer.is_cut = false;
	offers_reservations_session_up(rig.consumer.reservations, neighbour, rig.now_ns);
	rig_pass(1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	rig_end();
}

/* --- limits --- */

static void test_five_are_made_in_a_minute_and_no_text_is_too_long(void)
{
	static char text[RESERVATION_TEXT_LEN_MAX + 2];

	rig_begin();
	memset(text, 'x', RESERVATION_TEXT_LEN_MAX + 1);
	CHECK_EQ(rig_ask(0, 1, text, id), WEFT_ETOOLARGE);
	text[RESERVATION_TEXT_LEN_MAX] = '\0';
	CHECK_EQ(rig_ask(0, 1, text, id), 0);
	for (unsigned i = 1; i < RESERVATIONS_MADE_PER_MIN; i++)
		CHECK_EQ(rig_ask(0, 1, NULL, other_id), 0);
	CHECK_EQ(rig_ask(0, 1, NULL, other_id), WEFT_EREFUSED);
	rig_skip(120);
	CHECK_EQ(rig_ask(0, 1, NULL, other_id), 0);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	CHECK_STR(rig_text, text);
	rig_end();
}

static void test_one_more_than_may_be_made_needs_one_that_is_over(void)
{
	rig_begin();
	rig.consumer.is_cut = true;
	for (unsigned i = 0; i < RESERVATIONS_MADE_MAX; i++) {
		if (i % RESERVATIONS_MADE_PER_MIN == 0) {
			rig.now_ns += 120 * NS_PER_S;
			rig_turn(10 * NS_PER_MS);
		}
		CHECK_EQ(rig_ask(0, 1, NULL, i ? other_id : id), 0);
	}
	rig.now_ns += 120 * NS_PER_S;
	rig_turn(10 * NS_PER_MS);
	rig_turn(10 * NS_PER_MS);
	CHECK_EQ(rig_ask(0, 1, NULL, other_id), WEFT_EFULL);
	CHECK_EQ(rig_decide(&rig.consumer, id, RESERVATION_CANCEL, NULL), 0);
	rig_turn(10 * NS_PER_MS);
	rig_turn(10 * NS_PER_MS);
	CHECK_EQ(rig_ask(0, 1, NULL, other_id), 0);
	CHECK_EQ(rig_state(&rig.consumer, id), 0);
	CHECK_EQ(rig_stats(&rig.consumer).own_cnt, RESERVATIONS_MADE_MAX);
	rig_end();
}

static void test_a_neighbour_that_fills_the_table_takes_no_place_of_another(void)
{
	unsigned number = 0, taken_cnt = 0;

	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	while (rig_stats(&rig.provider).received_cnt < RESERVATIONS_RECEIVED_MAX) {
		CHECK_EQ(rig_stranger_ask(number++, 1), RESERVATION_TAKEN);
		if (number % 500 == 0) {
			rig_turn(10 * NS_PER_MS);
			rig_turn(10 * NS_PER_MS);
		}
	}
	rig_turn(10 * NS_PER_MS);
	rig_turn(10 * NS_PER_MS);
	CHECK_EQ(rig_stranger_ask(number++, 1), RESERVATION_NO_ROOM);
	for (unsigned i = 0; i < 100; i++)
		taken_cnt += rig_stranger_ask(number++, 2) == RESERVATION_TAKEN;
	CHECK_EQ(taken_cnt, 100);
	CHECK_EQ(rig_stats(&rig.provider).evicted_cnt, 100);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	rig_turn(10 * NS_PER_MS);
	rig_turn(10 * NS_PER_MS);
	rig_crash(&rig.provider);
	CHECK_EQ(rig_stats(&rig.provider).received_cnt, RESERVATIONS_RECEIVED_MAX);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	rig_end();
}

static void test_free_keys_take_no_place_of_one_that_is_over(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_REFUSE, NULL), 0);
	CHECK_EQ(rig_ask(1, 1, NULL, other_id), 0);
	rig_pass(1);
	rig.consumer.is_cut = true;
	/* One more than there is room for, for an hour each. */
	for (unsigned i = 0; i < RESERVATIONS_OVER_MAX + 1; i++)
		CHECK_EQ(rig_stranger(
				 &(struct rig_stranger){.neighbour = 1, .number = i, .hours = 1}),
			 RESERVATION_TAKEN);
	rig_pass(1);
	CHECK_EQ(rig_stats(&rig.provider).over_cnt, 1);
	rig.provider.is_cut = true; /* what is put is not looked at here */
	rig_skip(3600);
	rig_pass(3);
	CHECK_EQ(rig_stats(&rig.provider).over_cnt, RESERVATIONS_OVER_MAX);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_REFUSED);
	/* One that was not answered belongs to the session that brought it. */
	rig_skip(72 * 3600);
	rig_pass(3);
	CHECK_EQ(rig_state(&rig.provider, other_id), RESERVATION_EXPIRED);
	CHECK_EQ(rig_stats(&rig.provider).over_cnt, RESERVATIONS_OVER_MAX);
	rig_crash(&rig.provider);
	rig_pass(1);
	CHECK_EQ(rig_stats(&rig.provider).over_cnt, RESERVATIONS_OVER_MAX);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_REFUSED);
	CHECK_EQ(rig_state(&rig.provider, other_id), RESERVATION_EXPIRED);
	rig_end();
}

static void test_a_reservation_is_named_by_eight_letters_and_more(void)
{
	char name[RESERVATION_REF_TEXT_CAP];

	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	zbase32_write(id, sizeof(id), name);
	name[8] = '\0';
	CHECK_EQ(offers_reservations_show(rig.consumer.reservations, name, rig_see, NULL), 0);
	name[7] = '\0';
	CHECK_EQ(offers_reservations_show(rig.consumer.reservations, name, rig_see, NULL),
		 WEFT_EMALFORMED);
	CHECK_EQ(offers_reservations_show(rig.consumer.reservations, "yyyyyyyyy", rig_see, NULL),
		 WEFT_EABSENT);
	rig_end();
}

int main(void)
{
	RUN(test_a_reservation_is_asked_for_and_confirmed_with_words_of_both);
	RUN(test_a_refused_one_is_over_on_both_sides);
	RUN(test_either_side_cancels_and_the_units_are_free_again);
	RUN(test_a_consumer_hears_within_a_minute_that_a_confirmed_one_was_taken_back);
	RUN(test_the_consumer_learns_of_it_days_later_and_after_a_restart);
	RUN(test_no_unit_is_confirmed_twice);
	RUN(test_units_hold_in_any_order_of_words_and_crashes);
	RUN(test_a_crash_at_any_step_loses_no_answer_and_signs_no_second);
	RUN(test_what_cannot_be_saved_is_as_it_was_and_is_not_sent);
	RUN(test_a_replayed_reserve_changes_nothing);
	RUN(test_an_altered_reserve_is_none);
	RUN(test_a_third_party_cannot_cancel);
	RUN(test_a_confirm_of_another_node_is_counted_and_changes_nothing);
	RUN(test_a_key_of_a_live_announce_is_met_and_of_an_expired_one_not);
	RUN(test_one_without_an_answer_expires_and_its_provider_is_reminded);
	RUN(test_a_reserve_that_found_no_way_goes_when_a_session_is_there);
	RUN(test_five_are_made_in_a_minute_and_no_text_is_too_long);
	RUN(test_one_more_than_may_be_made_needs_one_that_is_over);
	RUN(test_a_neighbour_that_fills_the_table_takes_no_place_of_another);
	RUN(test_free_keys_take_no_place_of_one_that_is_over);
	RUN(test_a_reservation_is_named_by_eight_letters_and_more);
	return check_done();
}
