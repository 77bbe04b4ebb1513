/* SPDX-License-Identifier: Apache-2.0 */
/* A deposit on its way: from its depositor to a STORE node, and from there to its recipient. */
#include "deposit_rig.h"
#include "deposits/deposit_seal.h"

/* D leaves deposits at S for R. */
static struct rig_node *d, *s, *r;

static void begin(void)
{
	rig_begin(&rig_calm);
	d = rig_add(false);
	s = rig_add(true);
	r = rig_add(false);
	rig_meet(d, s);
}

static void put(uint32_t number)
{
	const struct rig_put deposit = {
		.from = d, .store = s, .recipient = r->mesh->key, .number = number};

	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(NS_PER_S);
}

static void test_a_deposit_waits_for_its_recipient_and_comes_once(void)
{
	begin();
	rig_stop(r);
	put(1);
	CHECK_EQ(d->durable_cnt, 1);
	CHECK_EQ(d->moved_cnts[DEPOSIT_KEPT], 1);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	rig_pass(600 * NS_PER_S);
	rig_start(r);
	rig_meet(r, s);
	CHECK_EQ(rig_got(r, 1), 1);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	CHECK_EQ(rig_stats(s).tombstone_cnt, 1);
	CHECK_EQ(d->moved_cnts[DEPOSIT_DELIVERED], 0);
	/* The depositor learns of it when it asks the next time. */
	rig_pass(3600 * NS_PER_S);
	CHECK_EQ(d->moved_cnts[DEPOSIT_DELIVERED], 1);
	CHECK_EQ(rig_stats(d).out_cnt, 0);
	CHECK_EQ(rig_stats(d).arrived_cnt, 1);
	CHECK_EQ(rig_got(r, 1), 1);
	rig_end();
}

static void test_a_deposit_that_is_never_taken_ends_with_its_time(void)
{
	begin();
	put(1);
	rig_pass(3595 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	CHECK_EQ(rig_stats(d).out_cnt, 1);
	rig_pass(10 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	CHECK_EQ(rig_stats(d).out_cnt, 0);
	CHECK_EQ(d->moved_cnts[DEPOSIT_EXPIRED], 1);
	rig_meet(r, s);
	CHECK_EQ(r->asked_cnt, 0);
	rig_end();
}

static void test_the_life_of_a_deposit_is_a_day_or_a_month_where_one_is_chosen(void)
{
	struct rig_put deposit;

	begin();
	deposit = (struct rig_put){
		.from = d, .store = s, .recipient = r->mesh->key, .life_s = 40u * 24 * RIG_HOUR_S};
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass((DEPOSITS_LIFE_S - 5) * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	CHECK_EQ(rig_stats(s).kept_cnt, 1);
	/* Then it is put again, as long as its depositor wants, and is a new one there. */
	rig_pass(2 * RIG_HOUR_S * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	CHECK_EQ(rig_stats(s).kept_cnt, 2);
	CHECK_EQ(d->moved_cnts[DEPOSIT_EXPIRED], 0);
	rig_end();
	for (unsigned i = 0; i < 3; i += 2) {
		begin();
		deposit.from = d;
		deposit.store = s;
		deposit.recipient = r->mesh->key;
		rig_chosen[i] = 1;
		CHECK_EQ(rig_put(&deposit), 0);
		rig_pass((DEPOSITS_CHOSEN_LIFE_S - 5) * NS_PER_S);
		CHECK_EQ(rig_stats(s).held_cnt, 1);
		CHECK_EQ(rig_stats(s).kept_cnt, 1);
		rig_end();
	}
}

static void test_a_deposit_is_acknowledged_when_its_part_has_it_durably(void)
{
	begin();
	put(1);
	r->manner = RIG_HOLDS;
	rig_meet(r, s);
	CHECK_EQ(r->held_cnt, 1);
	rig_pass(200 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	CHECK_EQ(r->held_cnt, 1); /* it is in hand, and was asked for three times since */
	deposits_settle(r->deposits, r->held[0], WEFT_EBUSY, rig_lab.now_ns);
	rig_pass(61 * NS_PER_S);
	CHECK_EQ(r->held_cnt, 2);
	deposits_settle(r->deposits, r->held[0], 0, rig_lab.now_ns);
	rig_pass(NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1); /* the former ticket is no ticket any more */
	deposits_settle(r->deposits, r->held[1], 0, rig_lab.now_ns);
	deposits_settle(r->deposits, r->held[1], 0, rig_lab.now_ns);
	rig_pass(NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	CHECK_EQ(rig_stats(r).delivered_cnt, 1);
	rig_end();
}

static void test_a_deposit_that_is_put_off_comes_again_and_an_unfit_one_does_not(void)
{
	begin();
	put(1);
	r->manner = RIG_PUTS_OFF;
	rig_meet(r, s);
	CHECK_EQ(r->asked_cnt, 1);
	rig_pass(61 * NS_PER_S);
	CHECK_EQ(r->asked_cnt, 2);
	r->manner = RIG_WANTS_NONE;
	rig_pass(61 * NS_PER_S);
	CHECK_EQ(r->asked_cnt, 3);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	rig_pass(61 * NS_PER_S);
	CHECK_EQ(r->asked_cnt, 3);
	rig_end();
}

static void test_a_lost_acknowledgement_is_said_again_and_nothing_comes_twice(void)
{
	begin();
	put(1);
	r->manner = RIG_HOLDS;
	rig_meet(r, s);
	rig_stop(s);
	deposits_settle(r->deposits, r->held[0], 0, rig_lab.now_ns);
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(rig_stats(r).tombstone_cnt, 1);
	r->manner = RIG_TAKES;
	rig_start(s);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	rig_crash(r);
	rig_start(r);
	rig_meet(r, s);
	CHECK_EQ(r->got_cnt, 0);
	CHECK_EQ(rig_stats(r).repeated_cnt, 1);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	rig_end();
}

static void test_the_same_deposit_at_two_nodes_comes_once(void)
{
	const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {1, 2};
	struct rig_put deposit;
	struct rig_node *other;

	begin();
	other = rig_add(true);
	rig_meet(d, other);
	deposit = (struct rig_put){
		.from = d, .store = s, .recipient = r->mesh->key, .number = 1, .receipt = receipt};
	CHECK_EQ(rig_put(&deposit), 0);
	CHECK_EQ(rig_put(&deposit), 0); /* the same once more */
	CHECK_EQ(rig_stats(d).out_cnt, 1);
	deposit.store = other;
	CHECK_EQ(rig_put(&deposit), 0);
	CHECK_EQ(rig_stats(d).out_cnt, 2);
	rig_pass(NS_PER_S);
	CHECK_EQ(d->durable_cnt, 3);
	rig_meet(r, s);
	rig_meet(r, other);
	CHECK_EQ(rig_got(r, 1), 1);
	CHECK_EQ(rig_stats(s).held_cnt + rig_stats(other).held_cnt, 0);
	rig_end();
}

static void test_a_node_that_is_no_store_node_is_tried_again_with_the_reason(void)
{
	struct rig_put deposit;

	begin();
	rig_meet(d, r);
	deposit = (struct rig_put){.from = d, .store = r, .recipient = s->mesh->key, .number = 1};
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(d->moved_err, WEFT_EUNKNOWN);
	CHECK_EQ(d->moved_cnts[DEPOSIT_WAITING], 1); /* said once */
	CHECK(rig_stats(d).unsent_cnt >= 3);
	rig_stop(r);
	r->config.is_store = true;
	rig_start(r);
	rig_meet(d, r);
	rig_pass(600 * NS_PER_S);
	CHECK_EQ(d->moved_cnts[DEPOSIT_KEPT], 1);
	CHECK_EQ(d->moved_err, 0);
	rig_end();
}

static void test_a_node_that_takes_no_more_messages_is_left_alone_for_a_while(void)
{
	begin();
	s->refuses_messages = true;
	put(1);
	CHECK_EQ(d->moved_err, WEFT_EREFUSED);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	s->refuses_messages = false;
	rig_pass(30 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	rig_end();
}

static void test_what_a_store_node_lost_is_put_again(void)
{
	begin();
	put(1);
	rig_stop(s);
	scratch_remove(s->dir);
	scratch_make(s->dir);
	rig_start(s);
	rig_meet(d, s);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	rig_pass(120 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	rig_end();
}

static void test_the_outbox_outlives_a_crash_and_what_was_withdrawn_does_not_come_back(void)
{
	uint8_t id[DEPOSIT_ID_LEN];
	const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {1, 2};
	struct rig_put deposit;

	begin();
	rig_stop(s);
	deposit = (struct rig_put){
		.from = d, .store = s, .recipient = r->mesh->key, .number = 1, .receipt = receipt};
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(NS_PER_S);
	CHECK_EQ(d->durable_cnt, 1);
	rig_crash(d);
	rig_start(d);
	CHECK_EQ(rig_stats(d).out_cnt, 1);
	rig_start(s);
	rig_meet(d, s);
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	deposits_id_of(receipt, id);
	CHECK_EQ(deposits_withdraw(d->deposits, id, rig_lab.now_ns), 1);
	CHECK_EQ(deposits_withdraw(d->deposits, id, rig_lab.now_ns), 0);
	rig_pass(NS_PER_S);
	rig_crash(d);
	rig_start(d);
	CHECK_EQ(rig_stats(d).out_cnt, 0);
	rig_end();
}

/* --- limits --- */

static void test_a_draft_has_its_limits(void)
{
	const uint8_t no_key[DEPOSIT_KEY_LEN] = {0};
	struct rig_put deposit;
	uint8_t id[DEPOSIT_ID_LEN];
	struct deposit_draft draft = {.kind = DEPOSIT_KIND_MAX + 1, .content = "", .len = 0};

	begin();
	rig_stop(s);
	s->config.room_len = DEPOSITS_ROOM_MIN;
	rig_start(s);
	rig_meet(d, s);
	deposit = (struct rig_put){.from = d, .store = s, .recipient = r->mesh->key, .number = 1};
	deposit.len = DEPOSIT_CONTENT_LEN_MAX + 1;
	CHECK_EQ(rig_put(&deposit), WEFT_ETOOLARGE);
	deposit.len--;
	CHECK_EQ(rig_put(&deposit), 0);
	deposit.len = 0;
	deposit.life_s = UINT64_MAX - mesh_lab_wall_s(&rig_lab) + 1; /* ends at 0 */
	CHECK_EQ(rig_put(&deposit), WEFT_ETIMEOUT);
	deposit.life_s = 0;
	deposit.recipient = no_key;
	CHECK_EQ(rig_put(&deposit), WEFT_EMALFORMED);
	draft.store = s->mesh->key;
	draft.recipient = r->mesh->key;
	draft.expires_s = UINT64_MAX;
	CHECK_EQ(deposits_put_at(d->deposits, &draft, rig_lab.now_ns, id), WEFT_EMALFORMED);
	rig_pass(NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 1);
	rig_meet(r, s);
	CHECK_EQ(rig_got(r, 1), 1);
	rig_end();
}

static void test_one_part_has_half_of_the_outbox(void)
{
	struct rig_put deposit;
	int err = 0;

	begin();
	rig_stop(s);
	deposit = (struct rig_put){.from = d, .store = s, .recipient = r->mesh->key};
	for (; deposit.number < DEPOSITS_OUT_MAX / 2; deposit.number++)
		err |= rig_put(&deposit);
	CHECK_EQ(err, 0);
	CHECK_EQ(rig_put(&deposit), WEFT_EFULL);
	rig_end();
}

static void test_a_store_node_of_little_room_keeps_as_much_as_fits(void)
{
	struct rig_put deposit;

	begin();
	deposit = (struct rig_put){.from = d, .store = s, .recipient = r->mesh->key};
	/* A sixteenth of 1,024 units: 64 deposits of one. */
	for (; deposit.number < 65; deposit.number++)
		CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(30 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 64);
	CHECK(rig_stats(s).refused_cnt > 0);
	CHECK_EQ(d->moved_err, WEFT_EREFUSED);
	/* Delivered ones make room, and the last one gets in. */
	rig_meet(r, s);
	rig_pass(700 * NS_PER_S);
	CHECK_EQ(r->got_cnt, 65);
	rig_end();
}

int main(void)
{
	RUN(test_a_deposit_waits_for_its_recipient_and_comes_once);
	RUN(test_a_deposit_that_is_never_taken_ends_with_its_time);
	RUN(test_the_life_of_a_deposit_is_a_day_or_a_month_where_one_is_chosen);
	RUN(test_a_deposit_is_acknowledged_when_its_part_has_it_durably);
	RUN(test_a_deposit_that_is_put_off_comes_again_and_an_unfit_one_does_not);
	RUN(test_a_lost_acknowledgement_is_said_again_and_nothing_comes_twice);
	RUN(test_the_same_deposit_at_two_nodes_comes_once);
	RUN(test_a_node_that_is_no_store_node_is_tried_again_with_the_reason);
	RUN(test_a_node_that_takes_no_more_messages_is_left_alone_for_a_while);
	RUN(test_what_a_store_node_lost_is_put_again);
	RUN(test_the_outbox_outlives_a_crash_and_what_was_withdrawn_does_not_come_back);
	RUN(test_a_draft_has_its_limits);
	RUN(test_one_part_has_half_of_the_outbox);
	RUN(test_a_store_node_of_little_room_keeps_as_much_as_fits);
	return check_done();
}
