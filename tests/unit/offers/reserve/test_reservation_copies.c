/* SPDX-License-Identifier: Apache-2.0 */
/* Reservations against copies, lost messages, and disks that fail. */
#include "reservations_rig.h"

#define TIMESTAMP_AT (SERVICE_MESSAGE_HEAD_LEN - 8)
#define TTL_AT	     (SERVICE_MESSAGE_HEAD_LEN - 10)
#define DAY_S	     (24u * 3600)

static uint8_t id[RESERVATION_ID_LEN], other_id[RESERVATION_ID_LEN];

/* The latest message that was sent. */
static struct service_message sent_message(void)
{
	struct service_message message;

	if (offers_message_parse(rig.sent, rig.sent_len, &message) < 0)
		abort();
	return message;
}

static void on_received(void *arg, const struct reservation_view *view)
{
	if (!view->record->is_made)
		memcpy(arg, view->id, RESERVATION_ID_LEN);
}

/* --- copies --- */

static void test_a_reserve_that_a_relay_dates_anew_is_none(void)
{
	rig_begin();
	rig.consumer.is_cut = true;
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	rig.sent[TIMESTAMP_AT] ^= 1;
	CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_NOT_FOR);
	rig.sent[TIMESTAMP_AT] ^= 1;
	rig.sent[TTL_AT] ^= 1;
	CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_NOT_FOR);
	rig.sent[TTL_AT] ^= 1;
	CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_TAKEN);
	rig_end();
}

static void test_a_copy_of_one_whose_time_is_over_asks_for_nothing(void)
{
	rig_begin();
	rig.consumer.is_cut = true;
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	rig.now_s = RIG_NOON_S + RESERVATION_HOURS * 3600;
	CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_NO_OFFER);
	rig_end();
}

/* Of an older make, which says no date under its seal: a relay may send it again for ever. */
static void test_a_copy_asks_for_nothing_after_its_row_went(void)
{
	const struct rig_stranger undated = {.neighbour = 1, .number = 1};
	struct rig_stranger fresh = {.neighbour = 1, .number = 2};

	rig_begin();
	CHECK_EQ(rig_stranger(&undated), RESERVATION_TAKEN);
	rig_pass(1);
	offers_reservations_each(rig.provider.reservations, on_received, id);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_REFUSE, NULL), 0);
	rig_pass(1);
	rig_skip(RESERVATION_OVER_LIFE_S + 1);
	CHECK_EQ(rig_state(&rig.provider, id), 0);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, 1);
	CHECK_EQ(rig_stranger(&undated), RESERVATION_KNOWN);
	rig_crash(&rig.provider);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, 1);
	CHECK_EQ(rig_stranger(&undated), RESERVATION_KNOWN);
	CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_ASKED], 1);
	CHECK_EQ(rig_stranger(&fresh), RESERVATION_TAKEN);
	/* When its offer is over no copy can be taken, and the mark goes. */
	rig.now_s = rig.expires_s;
	CHECK_EQ(rig_stranger(&undated), RESERVATION_NO_OFFER);
	rig_skip(700);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, 0);
	rig_crash(&rig.provider);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, 0);
	rig_end();
}

/* One that left the list of those over early is marked for as long as its own date says. */
static void test_a_row_that_made_room_leaves_a_mark(void)
{
	const struct rig_stranger first = {.neighbour = 1, .number = 0, .hours = 72};
	const struct rig_stranger cancel = {
		.type = SERVICE_MESSAGE_CANCEL, .neighbour = 1, .number = 0, .hours = 72};
	struct rig_stranger said = first;

	rig_begin();
	rig.provider.is_cut = true;
	CHECK_EQ(rig_stranger(&first), RESERVATION_TAKEN);
	rig_pass(1);
	CHECK_EQ(rig_stranger(&cancel), RESERVATION_TAKEN);
	rig_pass(1);
	said.hours = 1;
	for (said.number = 1; said.number <= RESERVATIONS_OVER_MAX; said.number++)
		CHECK_EQ(rig_stranger(&said), RESERVATION_TAKEN);
	rig_pass(1);
	rig_skip(3600);
	rig_pass(3);
	CHECK_EQ(rig_stats(&rig.provider).over_cnt, RESERVATIONS_OVER_MAX);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, 1);
	said = first;
	said.hours = 0; /* with a time of now */
	CHECK_EQ(rig_stranger(&said), RESERVATION_KNOWN);
	rig_end();
}

static void test_a_neighbour_that_fills_the_marks_takes_none_of_another(void)
{
	struct rig_stranger said = {
		.type = SERVICE_MESSAGE_CANCEL, .neighbour = 2, .number = 0, .hours = 24};

	rig_begin();
	CHECK_EQ(rig_stranger(&said), RESERVATION_TAKEN);
	said.neighbour = 1;
	for (; said.number < RESERVATION_MARKS_MAX - 1; said.number++) {
		CHECK_EQ(rig_stranger(&said), RESERVATION_TAKEN);
		if (said.number % 1000 == 0)
			rig_pass(1);
	}
	rig_pass(1);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, RESERVATION_MARKS_MAX);
	CHECK_EQ(rig_stats(&rig.provider).mark_lost_cnt, 0);
	CHECK_EQ(rig_stranger(&said), RESERVATION_TAKEN);
	rig_pass(1);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, RESERVATION_MARKS_MAX);
	CHECK_EQ(rig_stats(&rig.provider).mark_lost_cnt, 1);
	said = (struct rig_stranger){.neighbour = 2, .number = 0, .hours = 72};
	CHECK_EQ(rig_stranger(&said), RESERVATION_TAKEN);
	rig_pass(1);
	/* It was marked, so no person is asked. */
	CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_ASKED], 0);
	rig_end();
}

/* --- Cancels --- */

static void test_a_cancel_that_is_lost_goes_again_until_it_is_answered(void)
{
	unsigned sent_cnt;

	rig_begin();
	CHECK_EQ(rig_ask(0, 1, "on Friday?", id), 0);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	rig_pass(70);
	rig.consumer.is_cut = true;
	CHECK_EQ(rig_decide(&rig.consumer, id, RESERVATION_CANCEL, "I am ill"), 0);
	rig_pass(2);
	/* Days later, and after a restart, as its node was away. */
	for (unsigned i = 0; i < 8; i++) {
		rig_skip(DAY_S);
		CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_CANCELLED);
		CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_CONFIRMED);
		if (i == 4)
			rig_crash(&rig.consumer);
	}
	rig.consumer.is_cut = false;
	rig_skip(6 * 3600);
	/* It is dated anew, so that no node on its way takes it for an old one. */
	CHECK(sent_message().timestamp_s + 13 * 3600 > rig.now_s);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_CANCELLED);
	CHECK_STR(rig_text, "I am ill");
	rig_pass(400);
	/* Without it the row would stay: its week is over. */
	CHECK_EQ(rig_stats(&rig.consumer).answered_cnt, 1);
	CHECK_EQ(rig_state(&rig.consumer, id), 0);
	sent_cnt = rig.sent_cnt;
	rig_skip(DAY_S);
	rig_crash(&rig.consumer);
	rig_skip(DAY_S);
	CHECK_EQ(rig.sent_cnt, sent_cnt);
	rig_end();
}

static void test_a_cancel_without_an_answer_ends_with_the_offer(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	rig.consumer.is_cut = true;
	CHECK_EQ(rig_decide(&rig.consumer, id, RESERVATION_CANCEL, NULL), 0);
	rig_pass(1);
	rig_skip(rig.expires_s - rig.now_s - 600);
	CHECK_EQ(rig_state(&rig.consumer, id), RESERVATION_CANCELLED);
	rig_skip(1200);
	CHECK_EQ(rig_state(&rig.consumer, id), 0);
	rig_end();
}

static void test_a_cancel_that_comes_before_its_reserve_is_applied_to_it(void)
{
	uint8_t reserve[RESERVATION_MESSAGE_MAX];
	size_t len;

	for (unsigned has_crash = 0; has_crash < 2; has_crash++) {
		rig_begin();
		rig.consumer.is_cut = true;
		CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
		rig_pass(1);
		memcpy(reserve, rig.sent, len = rig.sent_len);
		CHECK_EQ(rig_decide(&rig.consumer, id, RESERVATION_CANCEL, "no more"), 0);
		rig_pass(1);
		CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_TAKEN);
		CHECK_EQ(rig_bring(rig.sent, rig.sent_len), RESERVATION_KNOWN);
		rig_pass(1);
		if (has_crash)
			rig_crash(&rig.provider);
		CHECK_EQ(rig_bring(reserve, len), RESERVATION_TAKEN);
		rig_pass(1);
		CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_CANCELLED);
		CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_ASKED], 0);
		CHECK_EQ(rig_stats(&rig.provider).mark_cnt, 0);
		rig_pass(70);
		CHECK(rig_state(&rig.consumer, id) && rig_record.is_settled);
		CHECK_EQ(rig_bring(reserve, len), RESERVATION_KNOWN);
		rig_end();
	}
}

static void test_an_early_cancel_of_another_consumer_stops_nothing(void)
{
	struct rig_stranger said = {.type = SERVICE_MESSAGE_CANCEL, .neighbour = 1, .hours = 24};

	rig_begin();
	CHECK_EQ(rig_stranger(&said), RESERVATION_TAKEN);
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_ASKED);
	rig_end();
}

/* --- disks --- */

/* Nothing can be read either, so what was durable is to be in memory. */
static void test_a_confirmed_one_stays_when_a_change_of_it_cannot_be_saved(void)
{
	struct store_snapshot *snapshots[512];
	struct offer_name name;
	unsigned cnt = 0;

	rig_begin();
	rig_name(0, &name);
	CHECK_EQ(rig_ask(0, 1, "on Friday?", id), 0);
	rig_pass(1);
	CHECK_EQ(rig_ask(0, 1, NULL, other_id), 0);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, "at six"), 0);
	rig_pass(70);
	while (cnt < 512 && store_snapshot_open(rig.provider.store, &snapshots[cnt]) == 0)
		cnt++;
	CHECK(cnt < 512);
	store_freeze(rig.provider.store);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CANCEL, "sorry"), 0);
	/* One change at a time is on its way. */
	CHECK_EQ(rig_decide(&rig.consumer, other_id, RESERVATION_CANCEL, NULL), 0);
	rig_pass(2);
	CHECK_EQ(rig.failed_cnt, 1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_CONFIRMED);
	CHECK_STR(rig_text, "on Friday?");
	CHECK_STR(rig_answer, "at six");
	CHECK_EQ(offers_reservations_confirmed(rig.provider.reservations, &name), 1);
	CHECK_EQ(rig_state(&rig.provider, other_id), RESERVATION_ASKED);
	CHECK_EQ(rig_stats(&rig.provider).received_cnt, 2);
	CHECK_EQ(rig_decide(&rig.provider, other_id, RESERVATION_CONFIRM, NULL), WEFT_EFULL);
	while (cnt > 0)
		store_snapshot_close(snapshots[--cnt]);
	rig_crash(&rig.provider);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_CONFIRMED);
	rig_end();
}

static void test_a_second_change_waits_for_the_first(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CANCEL, NULL), WEFT_EBUSY);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CANCEL, NULL), 0);
	rig_end();
}

/* An early Cancel that could not be saved is taken from its box once more. */
static void test_a_mark_that_cannot_be_saved_is_none(void)
{
	struct rig_stranger said = {.type = SERVICE_MESSAGE_CANCEL, .neighbour = 1, .hours = 24};

	rig_begin();
	store_freeze(rig.provider.store);
	CHECK_EQ(rig_stranger(&said), RESERVATION_TAKEN);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, 1);
	rig_pass(1);
	CHECK_EQ(rig_stats(&rig.provider).mark_cnt, 0);
	rig_end();
}

/* --- slots --- */

static void test_both_sides_are_reminded_a_day_before_the_slot(void)
{
	struct rig_side *sides[] = {&rig.provider, &rig.consumer};

	rig_begin();
	rig.slot_s = RIG_NOON_S + 5 * DAY_S;
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	CHECK_EQ(rig_ask(1, 1, NULL, other_id), 0); /* is not confirmed */
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	rig_pass(70);
	rig_skip(rig.slot_s - RESERVATION_SLOT_SOON_S - rig.now_s - 10);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(sides[i]->happened[RESERVATION_EVENT_SLOT_SOON], 0);
	rig_pass(20);
	for (unsigned i = 0; i < 2; i++)
		CHECK_EQ(sides[i]->happened[RESERVATION_EVENT_SLOT_SOON], 1);
	/* Once; and once more after a restart, as events are not kept. */
	rig_crash(&rig.provider);
	rig_skip(3600);
	CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_SLOT_SOON], 2);
	CHECK_EQ(rig.consumer.happened[RESERVATION_EVENT_SLOT_SOON], 1);
	rig_skip(DAY_S);
	rig_crash(&rig.consumer);
	rig_skip(DAY_S);
	CHECK_EQ(rig.consumer.happened[RESERVATION_EVENT_SLOT_SOON], 1);
	rig_end();
}

static void on_each(void *arg, const struct reservation_view *view)
{
	(void)view;
	(*(unsigned *)arg)++;
}

static unsigned shown_cnt(const struct rig_side *side)
{
	unsigned cnt = 0;

	offers_reservations_each(side->reservations, on_each, &cnt);
	return cnt;
}

/* A provider that confirmed one at once was told that the disk does not keep up. */
static void test_a_new_one_is_shown_when_no_crash_can_take_it(void)
{
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	CHECK_EQ(shown_cnt(&rig.consumer), 0);
	rig_pass(1);
	CHECK_EQ(shown_cnt(&rig.consumer), 1);
	rig_end();
	rig_begin();
	CHECK_EQ(rig_stranger(&(struct rig_stranger){.neighbour = 1, .number = 1}),
		 RESERVATION_TAKEN);
	CHECK_EQ(shown_cnt(&rig.provider), 0);
	CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_ASKED], 0);
	rig_pass(1);
	CHECK_EQ(shown_cnt(&rig.provider), 1);
	CHECK_EQ(rig.provider.happened[RESERVATION_EVENT_ASKED], 1);
	rig_end();
	rig_begin();
	CHECK_EQ(rig_ask(0, 1, NULL, id), 0);
	rig_pass(1);
	CHECK_EQ(rig_decide(&rig.provider, id, RESERVATION_CONFIRM, NULL), 0);
	/* One that changes stays. */
	CHECK_EQ(shown_cnt(&rig.provider), 1);
	rig_pass(1);
	CHECK_EQ(rig_state(&rig.provider, id), RESERVATION_CONFIRMED);
	rig_end();
}

int main(void)
{
	RUN(test_a_reserve_that_a_relay_dates_anew_is_none);
	RUN(test_a_copy_of_one_whose_time_is_over_asks_for_nothing);
	RUN(test_a_copy_asks_for_nothing_after_its_row_went);
	RUN(test_a_row_that_made_room_leaves_a_mark);
	RUN(test_a_neighbour_that_fills_the_marks_takes_none_of_another);
	RUN(test_a_cancel_that_is_lost_goes_again_until_it_is_answered);
	RUN(test_a_cancel_without_an_answer_ends_with_the_offer);
	RUN(test_a_cancel_that_comes_before_its_reserve_is_applied_to_it);
	RUN(test_an_early_cancel_of_another_consumer_stops_nothing);
	RUN(test_a_confirmed_one_stays_when_a_change_of_it_cannot_be_saved);
	RUN(test_a_second_change_waits_for_the_first);
	RUN(test_a_mark_that_cannot_be_saved_is_none);
	RUN(test_a_new_one_is_shown_when_no_crash_can_take_it);
	RUN(test_both_sides_are_reminded_a_day_before_the_slot);
	return check_done();
}
