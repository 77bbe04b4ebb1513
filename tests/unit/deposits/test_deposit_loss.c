/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nothing is lost and nothing comes twice: a network that loses a datagram in three, and nodes that crash at
 * any moment. Each seed is another run.
 */
#include "deposit_rig.h"

#define PUTS 60u

static const struct mem_link lossy = {.delay_ns = 20 * NS_PER_MS,
				      .jitter_ns = 80 * NS_PER_MS,
				      .loss_per_1000 = 300,
				      .mtu_len = MEM_DGRAM_LEN_MAX};
static struct rig_node *d[2], *s[2], *r;

static void meet_all(void)
{
	for (unsigned i = 0; i < 2; i++) {
		for (unsigned k = 0; k < 2; k++)
			rig_meet(d[i], s[k]);
		rig_meet(r, s[i]);
	}
}

static void begin(void)
{
	rig_begin(&lossy);
	rig_is_found = true;
	for (unsigned i = 0; i < 2; i++) {
		d[i] = rig_add(false);
		s[i] = rig_add(true);
	}
	r = rig_add(false);
	meet_all();
}

static unsigned crash_cnt;

/* Any node, in the middle of anything. */
static void crash_one(void)
{
	struct rig_node *node = &rig_nodes[random_below(&rig_dice, rig_cnt)];

	rig_crash(node);
	rig_pass(random_below(&rig_dice, 20 * NS_PER_S));
	rig_start(node);
	crash_cnt++;
	meet_all();
}

/* Deposits are made and nodes crash; then all is calm for a while. Returns how many are durable. */
static void run(bool has_crashes)
{
	uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {0};

	for (uint32_t i = 0; i < PUTS; i++) {
		struct rig_put deposit = {.from = d[i % 2],
					  .store = s[random_below(&rig_dice, 2)],
					  .recipient = r->mesh->key,
					  .number = i,
					  .life_s = 20u * RIG_HOUR_S,
					  .receipt = receipt};
		unsigned durable_cnt = deposit.from->durable_cnt;

		memcpy(receipt, &i, sizeof(i));
		/* A part that does not know whether it is durable calls again. */
		do {
			CHECK_EQ(rig_put(&deposit), 0);
			if (has_crashes && random_below(&rig_dice, 4) == 0)
				crash_one();
			rig_pass(random_below(&rig_dice, 4 * NS_PER_S) + NS_PER_S / 10);
		} while (deposit.from->durable_cnt == durable_cnt);
	}
	for (unsigned i = 0; i < 200; i++) {
		rig_pass(300 * NS_PER_S);
		meet_all();
	}
}

static void all_came(bool once)
{
	for (uint32_t i = 0; i < PUTS; i++) {
		CHECK(rig_got(r, i) >= 1);
		if (once)
			CHECK_EQ(rig_got(r, i), 1);
	}
	for (unsigned i = 0; i < 2; i++) {
		CHECK_EQ(rig_stats(d[i]).out_cnt, 0);
		CHECK_EQ(d[i]->moved_cnts[DEPOSIT_EXPIRED], 0);
		CHECK_EQ(rig_stats(s[i]).held_cnt, 0);
	}
}

static void test_in_a_network_that_loses_a_third_each_deposit_comes_once(void)
{
	begin();
	run(false);
	all_came(true);
	CHECK_EQ(d[0]->moved_cnts[DEPOSIT_DELIVERED] + d[1]->moved_cnts[DEPOSIT_DELIVERED], PUTS);
	rig_end();
}

/* The part's commit and that of the deposit are two, so a crash between them gives the same id again. */
static void test_with_crashes_of_every_node_none_is_lost_and_an_id_that_comes_again_is_known(void)
{
	unsigned again = 0;

	begin();
	run(true);
	all_came(false);
	CHECK(crash_cnt > 5);
	for (uint32_t i = 0; i < PUTS; i++)
		again += rig_got(r, i) - 1;
	CHECK(again <= crash_cnt);
	CHECK_EQ(r->got_cnt, PUTS);
	rig_end();
}

int main(void)
{
	RUN(test_in_a_network_that_loses_a_third_each_deposit_comes_once);
	RUN(test_with_crashes_of_every_node_none_is_lost_and_an_id_that_comes_again_is_known);
	return check_done();
}
