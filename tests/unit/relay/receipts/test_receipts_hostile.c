/* SPDX-License-Identifier: Apache-2.0 */
/* Claims that do not hold, and keys that would fill the table of receipts. */
#include "receipts_rig.h"

/* What owner claims of the relay by hand. */
static int claim_by(const struct place *owner, struct relay_claim *claim)
{
	uint8_t bytes[RELAY_CLAIM_LEN_MAX], payload[RELAY_CLAIM_MESSAGE_LEN_MAX];
	struct writer c = writer_of(bytes, sizeof(bytes)), w = writer_of(payload, sizeof(payload));
	struct relay_claim_message message = {.claim = bytes};

	relay_claim_write(&c, owner->key, claim);
	message.claim_len = writer_len(&c);
	relay_message_claim_write(&w, &message);
	mesh_lab_ask(owner->node, nodes[0].node, MESH_RELAY_RECEIPT, payload, writer_len(&w),
		     &asked);
	return asked.reply.err;
}

static void test_claims_that_do_not_hold_are_refused(void)
{
	struct relay_claim claim = {.serial = 1, .counted = {100, 100}};
	struct place *owner, *other;

	begin();
	owner = owner_add(NULL);
	other = owner_add(NULL);
	memcpy(claim.relay, nodes[0].node->key, sizeof(claim.relay));
	claim.made_s = wall_s();
	claim.month = relay_month_of(wall_s());
	/* Nothing was carried: it fills no row. */
	CHECK_EQ(claim_by(owner, &claim), WEFT_EABSENT);
	CHECK_EQ(stats(&nodes[0]).row_cnt, 0);
	relay_receipts_carried(nodes[0].receipts, owner->node->key,
			       &(struct relay_count){100, 100});
	memcpy(claim.relay, other->node->key, sizeof(claim.relay));
	CHECK_EQ(claim_by(owner, &claim), WEFT_EREFUSED);
	memcpy(claim.relay, nodes[0].node->key, sizeof(claim.relay));
	claim.made_s = wall_s() + RELAY_CLAIM_SKEW_S + 10;
	claim.month = relay_month_of(claim.made_s);
	CHECK_EQ(claim_by(owner, &claim), WEFT_EREFUSED);
	claim.made_s = wall_s() - RELAY_CLAIM_LIFE_S - 10;
	claim.month = relay_month_of(claim.made_s);
	CHECK_EQ(claim_by(owner, &claim), WEFT_EREFUSED);
	claim.made_s = wall_s();
	claim.month = relay_month_of(wall_s());
	claim.serial = 2;
	CHECK_EQ(claim_by(owner, &claim), WEFT_EREFUSED);
	/* Claims are judged each five seconds. */
	claim.serial = 1;
	CHECK_EQ(claim_by(owner, &claim), WEFT_EBUSY);
	run_ns(RELAY_ANSWER_GAP_NS);
	CHECK_EQ(claim_by(owner, &claim), 0);
	CHECK_EQ(row_of(&nodes[0], owner, 0).serial, 1);
	CHECK_EQ(row_of(&nodes[0], other, 0).serial, 0);
	CHECK_EQ(stats(&nodes[0]).signed_cnt, 1);
	end_all();
}

static void test_a_forged_signature_is_refused(void)
{
	uint8_t bytes[RELAY_CLAIM_LEN_MAX], payload[RELAY_CLAIM_MESSAGE_LEN_MAX];
	struct writer c = writer_of(bytes, sizeof(bytes)), w = writer_of(payload, sizeof(payload));
	struct relay_claim claim = {.serial = 1, .counted = {100, 100}};
	struct relay_claim_message message = {.claim = bytes};
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	relay_receipts_carried(nodes[0].receipts, owner->node->key,
			       &(struct relay_count){100, 100});
	memcpy(claim.relay, nodes[0].node->key, sizeof(claim.relay));
	claim.made_s = wall_s();
	claim.month = relay_month_of(wall_s());
	relay_claim_write(&c, owner->key, &claim);
	message.claim_len = writer_len(&c);
	bytes[message.claim_len - 1] ^= 1;
	relay_message_claim_write(&w, &message);
	mesh_lab_ask(owner->node, nodes[0].node, MESH_RELAY_RECEIPT, payload, writer_len(&w),
		     &asked);
	CHECK_EQ(asked.reply.err, WEFT_EREFUSED);
	CHECK_EQ(row_of(&nodes[0], owner, 0).serial, 0);
	end_all();
}

static void carry(const struct place *owner, uint64_t sent)
{
	relay_receipts_carried(nodes[0].receipts, owner->node->key,
			       &(struct relay_count){.sent = sent});
}

static struct relay_claim claim_now(uint32_t serial, uint64_t sent)
{
	struct relay_claim claim = {
		.serial = serial,
		.counted = {.sent = sent},
		.made_s = wall_s(),
		.month = relay_month_of(wall_s()),
	};

	memcpy(claim.relay, nodes[0].node->key, sizeof(claim.relay));
	return claim;
}

/* Of each minute's bytes a claim names those alone that the tolerance does not give away. */
static void test_low_counts_do_not_add_up(void)
{
	const uint64_t a_minute = 1 << 20, slack = RELAY_RECEIPT_SLACK;
	struct relay_claim claim;
	uint64_t claimed = 0;
	struct place *owner;
	unsigned minutes;

	begin();
	owner = owner_add(NULL);
	for (minutes = 1; minutes < 100; minutes++) {
		carry(owner, a_minute);
		claimed += a_minute - a_minute / RELAY_RECEIPT_SLACK_PART - slack;
		claim = claim_now(minutes, claimed);
		if (claim_by(owner, &claim) < 0 || row_of(&nodes[0], owner, 0).serial != minutes)
			break;
		run_ns(RELAY_CLAIM_GAP_NS);
	}
	CHECK_EQ(minutes, 2);
	CHECK_EQ(stats(&nodes[0]).disagreed_cnt, 1);
	/* What the tolerance of the month leaves is all that is given away, however many receipts there are. */
	for (unsigned i = 0; i < 50; i++) {
		const struct relay_receipts_row row = row_of(&nodes[0], owner, 0);
		const uint64_t counted = row.counted.sent + a_minute;

		run_ns(RELAY_CLAIM_GAP_NS);
		carry(owner, a_minute);
		claim = claim_now(row.serial + 1,
				  counted - counted / RELAY_RECEIPT_SLACK_PART - slack);
		CHECK_EQ(claim_by(owner, &claim), 0);
		CHECK_EQ(row_of(&nodes[0], owner, 0).serial, row.serial + 1);
	}
	CHECK_EQ(row_of(&nodes[0], owner, 0).total.sent,
		 51 * a_minute - 51 * a_minute / RELAY_RECEIPT_SLACK_PART - slack);
	end_all();
}

static void test_a_second_receipt_in_a_minute_is_not_signed(void)
{
	struct relay_claim claim;
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	carry(owner, 100);
	claim = claim_now(1, 100);
	CHECK_EQ(claim_by(owner, &claim), 0);
	carry(owner, 100);
	run_ns(RELAY_CLAIM_GAP_NS - NS_PER_S);
	claim = claim_now(2, 200);
	CHECK_EQ(claim_by(owner, &claim), WEFT_EBUSY);
	CHECK(asked.reply.not_before_ns > lab.now_ns);
	CHECK_EQ(stats(&nodes[0]).signed_cnt, 1);
	/* The newest one is given again all the while. */
	run_ns(RELAY_ANSWER_GAP_NS);
	claim = claim_now(2, 200);
	CHECK_EQ(claim_by(owner, &claim), 0);
	CHECK_EQ(stats(&nodes[0]).signed_cnt, 2);
	carry(owner, 100);
	run_ns(RELAY_ANSWER_GAP_NS);
	claim = claim_now(2, 200);
	CHECK_EQ(claim_by(owner, &claim), 0);
	CHECK_EQ(stats(&nodes[0]).signed_cnt, 2);
	CHECK_EQ(stats(&nodes[0]).repeated_cnt, 1);
	end_all();
}

/* Less than its receipt before: the month would shrink. */
static void test_a_claim_below_the_one_before_is_not_signed(void)
{
	struct relay_claim claim;
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	carry(owner, 1000);
	claim = claim_now(1, 1000);
	CHECK_EQ(claim_by(owner, &claim), 0);
	carry(owner, 1000);
	run_ns(RELAY_CLAIM_GAP_NS);
	claim = claim_now(2, 999);
	CHECK_EQ(claim_by(owner, &claim), 0);
	CHECK_EQ(stats(&nodes[0]).repeated_cnt, 1);
	CHECK_EQ(row_of(&nodes[0], owner, 0).serial, 1);
	run_ns(RELAY_ANSWER_GAP_NS);
	claim = claim_now(2, 1000);
	CHECK_EQ(claim_by(owner, &claim), 0);
	CHECK_EQ(row_of(&nodes[0], owner, 0).serial, 2);
	end_all();
}

/* A key with an address, and without a session that matters here. */
static void stranger_key(uint32_t number, uint8_t key[static MESH_KEY_LEN])
{
	memset(key, 0, MESH_KEY_LEN);
	key[0] = 0xee;
	key[1] = (uint8_t)(number >> 16);
	key[2] = (uint8_t)(number >> 8);
	key[3] = (uint8_t)number;
}

static void test_a_million_keys_of_one_network_push_no_honest_owner_out(void)
{
	const struct relay_count some = {100, 100};
	struct place *owner;

	begin();
	owner = owner_add(NULL);
	count_same(owner, 1000, 2000);
	run_ns(11 * NS_PER_S);
	shares_network = true;
	for (uint32_t i = 0; i < 1000000; i++) {
		uint8_t key[MESH_KEY_LEN];

		stranger_key(i, key);
		relay_receipts_carried(nodes[0].receipts, key, &some);
	}
	CHECK_EQ(row_of(&nodes[0], owner, 0).serial, 1);
	CHECK_EQ(stats(&nodes[0]).row_cnt, RELAY_RECEIPTS_CAP_MIN);
	CHECK(stats(&nodes[0]).evicted_cnt + stats(&nodes[0]).homeless_cnt > 900000);
	/* And one that comes later has a place. */
	owner = owner_add(NULL);
	count_same(owner, 10, 20);
	run_ns(11 * NS_PER_S);
	check_both(owner, 1, (struct relay_count){10, 20});
	end_all();
}

static void test_a_full_table_takes_one_row_for_one(void)
{
	const struct relay_count some = {1, 1};
	uint8_t key[MESH_KEY_LEN];

	begin();
	shares_network = true;
	for (uint32_t i = 0; i < RELAY_RECEIPTS_CAP_MIN; i++) {
		stranger_key(i, key);
		relay_receipts_carried(nodes[0].receipts, key, &some);
	}
	CHECK_EQ(stats(&nodes[0]).row_cnt, RELAY_RECEIPTS_CAP_MIN);
	CHECK_EQ(stats(&nodes[0]).evicted_cnt + stats(&nodes[0]).homeless_cnt, 0);
	shares_network = false;
	stranger_key(0x10000, key);
	relay_receipts_carried(nodes[0].receipts, key, &some);
	CHECK_EQ(stats(&nodes[0]).row_cnt, RELAY_RECEIPTS_CAP_MIN);
	CHECK_EQ(stats(&nodes[0]).evicted_cnt, 1);
	end_all();
}

int main(void)
{
	RUN(test_claims_that_do_not_hold_are_refused);
	RUN(test_a_forged_signature_is_refused);
	RUN(test_low_counts_do_not_add_up);
	RUN(test_a_second_receipt_in_a_minute_is_not_signed);
	RUN(test_a_claim_below_the_one_before_is_not_signed);
	RUN(test_a_million_keys_of_one_network_push_no_honest_owner_out);
	RUN(test_a_full_table_takes_one_row_for_one);
	return check_done();
}
