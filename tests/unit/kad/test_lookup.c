/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The iterative lookup, once for each plane: the nodes that it asks, what it believes, when it
 * ends.
 */
#include "planes.h"

#define MS 1000000ull

static struct random dice;
static struct kad_lookup_config config;
static struct kad_rtt rtt;
static struct kad_lookup lookup;
static const struct kad_id own = {{0xff}};
static const struct kad_id target = {{0x12, 0x34}};
static struct kad_step steps[512];
static unsigned step_cnt;

static void note_step(void *arg, const struct kad_step *step)
{
	(void)arg;
	if (step_cnt < 512)
		steps[step_cnt++] = *step;
}

static void begin(enum kad_lookup_kind kind)
{
	struct kad_lookup_params params = {.config = &config,
					   .rtt = &rtt,
					   .target = target,
					   .own_id = own,
					   .kind = kind,
					   .family = plane->family,
					   .step = note_step};

	kad_lookup_defaults(&config);
	config.k = plane->k;
	config.alpha = plane->alpha;
	random_init_seeded(&dice, 11);
	kad_rtt_init(&rtt, 300 * MS, MS, 1000 * MS);
	step_cnt = 0;
	kad_lookup_init(&lookup, &params, SECOND);
}

/* Seeds cnt contacts that share bits or more bits with the target, numbered from first. */
static void seed(unsigned cnt, unsigned bits, unsigned first)
{
	for (unsigned i = 0; i < cnt; i++) {
		struct kad_contact contact = plane_contact(&target, bits, first + i, &dice);

		(void)kad_lookup_seed(&lookup, &contact);
	}
}

/* Asks the next node; the slot, or KAD_NO_SLOT. */
static uint16_t ask(uint64_t now_ns)
{
	struct kad_ask next;

	if (!kad_lookup_next(&lookup, &next))
		return KAD_NO_SLOT;
	kad_lookup_asked(&lookup, next.slot, now_ns);
	return next.slot;
}

static void test_plane_over_both_families_takes_both(void)
{
	struct kad_contact contacts[2];

	begin(KAD_FIND_NODE);
	for (unsigned i = 0; i < 2; i++)
		contacts[i] = plane_contact(&target, 4, i + 1, &dice);
	contacts[1].addr.family = plane->family == ADDR_IPV4 ? ADDR_IPV6 : ADDR_IPV4;
	contacts[1].addr.ip[0] = 0x20;
	CHECK_EQ(kad_lookup_seed(&lookup, &contacts[1]), KAD_LEARNED_FAMILY);
	lookup.params.family = ADDR_NONE;
	CHECK_EQ(kad_lookup_seed(&lookup, &contacts[0]), KAD_LEARNED_TAKEN);
	CHECK_EQ(kad_lookup_seed(&lookup, &contacts[1]), KAD_LEARNED_TAKEN);
}

static void test_asks_alpha_at_once(void)
{
	begin(KAD_FIND_NODE);
	CHECK(kad_lookup_is_done(&lookup));
	seed(config.k, 4, 1);
	CHECK(!kad_lookup_is_done(&lookup));
	for (unsigned i = 0; i < config.alpha; i++)
		CHECK(ask(SECOND) != KAD_NO_SLOT);
	CHECK_EQ(ask(SECOND), KAD_NO_SLOT);
}

static void test_slow_node_is_replaced_at_once_and_still_counts(void)
{
	uint16_t first;

	begin(KAD_FIND_NODE);
	seed(2 * config.k, 4, 1);
	first = ask(SECOND);
	for (unsigned i = 1; i < config.alpha; i++)
		(void)ask(SECOND);
	CHECK_EQ(kad_lookup_next_ns(&lookup), SECOND + rtt.slow_ns);
	kad_lookup_expire(&lookup, SECOND + rtt.slow_ns - 1);
	CHECK_EQ(ask(SECOND + rtt.slow_ns), KAD_NO_SLOT);
	kad_lookup_expire(&lookup, SECOND + rtt.slow_ns);
	CHECK_EQ(lookup.stats.slow_cnt, config.alpha);
	CHECK(ask(SECOND + rtt.slow_ns) != KAD_NO_SLOT);
	kad_lookup_answered(&lookup, first,
			    &(struct kad_answer){.tag = 77, .contacts = NULL, .cnt = 0},
			    2 * SECOND);
	CHECK_EQ(lookup.stats.answered_cnt, 1);
	kad_lookup_answered(&lookup, first,
			    &(struct kad_answer){.tag = 78, .contacts = NULL, .cnt = 0},
			    2 * SECOND);
	CHECK_EQ(lookup.stats.answered_cnt, 1);
}

static void test_no_more_than_out_max_are_out(void)
{
	uint64_t now_ns = SECOND;
	unsigned asked = 0;

	begin(KAD_FIND_NODE);
	seed(60, 4, 1);
	for (unsigned i = 0; i < 20; i++) {
		while (ask(now_ns) != KAD_NO_SLOT)
			asked++;
		now_ns += SECOND;
		kad_lookup_expire(&lookup, now_ns);
	}
	CHECK_EQ(asked, config.out_max);
	CHECK(!kad_lookup_is_done(&lookup));
}

static void test_no_more_than_asked_max_are_asked(void)
{
	unsigned asked = 0;
	uint16_t slot;

	begin(KAD_FIND_NODE);
	seed(KAD_LOOKUP_NODES_MAX, 4, 1);
	for (; (slot = ask(SECOND)) != KAD_NO_SLOT; asked++)
		kad_lookup_failed(&lookup, slot, SECOND);
	CHECK_EQ(asked, config.asked_max);
	CHECK(kad_lookup_is_done(&lookup));
}

static void test_ends_when_the_k_closest_answered(void)
{
	struct kad_closest closest[KAD_K_MAX];
	unsigned asked = 0;
	uint16_t slot;

	begin(KAD_FIND_NODE);
	seed(config.k, 10, 1);
	seed(config.k, 2, 100);
	for (; (slot = ask(SECOND)) != KAD_NO_SLOT; asked++)
		kad_lookup_answered(
			&lookup, slot,
			&(struct kad_answer){.tag = 1000u + slot, .contacts = NULL, .cnt = 0},
			2 * SECOND);
	CHECK_EQ(asked, config.k);
	CHECK(kad_lookup_is_done(&lookup));
	CHECK_EQ(lookup.stats.end_ns, 2 * SECOND);
	CHECK_EQ(kad_lookup_result(&lookup, closest, KAD_K_MAX), config.k);
	for (unsigned i = 0; i < config.k; i++) {
		CHECK(kad_id_common_bits(&closest[i].contact->id, &target) == 10);
		CHECK(closest[i].answer_tag >= 1000);
		CHECK(i == 0 || kad_id_is_nearer(&target, &closest[i - 1].contact->id,
						 &closest[i].contact->id));
	}
}

static void test_slow_ones_are_waited_for_only_below_k_answers(void)
{
	uint16_t slow;

	begin(KAD_FIND_NODE);
	seed(config.k, 10, 1);
	slow = ask(SECOND);
	for (uint16_t slot; (slot = ask(SECOND)) != KAD_NO_SLOT;)
		kad_lookup_answered(&lookup, slot,
				    &(struct kad_answer){.tag = 0, .contacts = NULL, .cnt = 0},
				    SECOND);
	kad_lookup_expire(&lookup, 2 * SECOND);
	CHECK(!kad_lookup_is_done(&lookup));
	seed(1, 3, 100);
	kad_lookup_answered(&lookup, ask(2 * SECOND),
			    &(struct kad_answer){.tag = 0, .contacts = NULL, .cnt = 0}, 2 * SECOND);
	CHECK(kad_lookup_is_done(&lookup));
	kad_lookup_failed(&lookup, slow, 3 * SECOND);
	CHECK(kad_lookup_is_done(&lookup));
}

/* Of three nodes two are dead: that costs as long as an answer would have taken, and no more. */
static void test_slow_ones_are_left_once_another_answered(void)
{
	uint64_t late_ns = SECOND + 2 * rtt.slow_ns;
	uint16_t slow, lives;

	begin(KAD_FIND_NODE);
	config.wait_ns = 10 * SECOND;
	seed(3, 4, 1);
	slow = ask(SECOND);
	(void)ask(SECOND);
	lives = ask(SECOND);
	kad_lookup_expire(&lookup, late_ns);
	CHECK(!kad_lookup_is_done(&lookup)); /* no answer yet: nothing to end with */
	kad_lookup_answered(&lookup, lives,
			    &(struct kad_answer){.tag = 0, .contacts = NULL, .cnt = 0}, late_ns);
	CHECK(!kad_lookup_is_done(&lookup));
	CHECK_EQ(kad_lookup_next_ns(&lookup), late_ns);
	kad_lookup_expire(&lookup, late_ns);
	CHECK(kad_lookup_is_done(&lookup));
	CHECK_EQ(lookup.stats.answered_cnt, 1);
	kad_lookup_answered(&lookup, slow,
			    &(struct kad_answer){.tag = 0, .contacts = NULL, .cnt = 0}, late_ns);
	CHECK_EQ(lookup.stats.answered_cnt, 2);
	config.wait_ns = 0;
}

static void test_starts_take_turns(void)
{
	struct kad_contact told[KAD_K_MAX];
	uint16_t first;

	begin(KAD_FIND_NODE);
	seed(config.alpha, 4, 1);
	first = ask(SECOND);
	for (unsigned i = 1; i < config.alpha; i++)
		(void)ask(SECOND);
	for (unsigned i = 0; i < config.k; i++)
		told[i] = plane_contact(&target, 30 + i, 100 + i, &dice);
	kad_lookup_answered(&lookup, first,
			    &(struct kad_answer){.tag = 0, .contacts = told, .cnt = config.k},
			    2 * SECOND);
	/* The start that answered may ask one; the nearer ones in its answer wait. */
	CHECK(ask(2 * SECOND) != KAD_NO_SLOT);
	CHECK_EQ(ask(2 * SECOND), KAD_NO_SLOT);
	for (unsigned i = 0; i < step_cnt; i++)
		if (steps[i].kind == KAD_STEP_ASKED)
			for (unsigned j = 0; j < i && i < config.alpha; j++)
				CHECK(steps[j].start != steps[i].start);
}

/* What one liar says, k things of each kind: none of it is taken but k contacts. */
static void test_lies_are_dropped_by_reason(void)
{
	struct kad_contact told[16 * KAD_K_MAX], liar;
	unsigned cnt = 0, k;
	uint16_t slot;

	begin(KAD_FIND_VALUE);
	k = config.k;
	seed(1, 4, 1);
	slot = ask(SECOND);
	liar = lookup.nodes[slot].contact;
	for (unsigned kind = 0; kind < 8; kind++)
		for (unsigned i = 0; i < k; i++) {
			struct kad_contact c = plane_contact(&target, 20 + i, 100 + i, &dice);

			if (kind == 0)
				c.id = own;
			if (kind == 1)
				c.id = target;
			if (kind == 2)
				c.addr.port = 0;
			if (kind == 3)
				c.addr.ip[0] = plane->family == ADDR_IPV4 ? 10 : 0xfd;
			if (kind == 4)
				c.addr.family = plane->family == ADDR_IPV4 ? ADDR_IPV6 : ADDR_IPV4;
			if (kind == 5)
				c.addr.ip[0] = plane->family == ADDR_IPV4 ? 0 : 0xff;
			if (kind == 6)
				c = liar;
			if (kind == 7)
				c.addr = liar.addr;
			told[cnt++] = c;
		}
	kad_lookup_answered(&lookup, slot,
			    &(struct kad_answer){.tag = 0, .contacts = told, .cnt = 7 * k},
			    2 * SECOND);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_SELF], k);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_TARGET], k);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_MARTIAN], 3 * k);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_FAMILY], k);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_KNOWN], k);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_TAKEN], 0);
	CHECK_EQ(lookup.node_cnt, 1);

	begin(KAD_FIND_VALUE);
	(void)kad_lookup_seed(&lookup, &liar);
	kad_lookup_answered(&lookup, ask(SECOND),
			    &(struct kad_answer){.tag = 0, .contacts = told + 7 * k, .cnt = k},
			    2 * SECOND);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_TWO_IDS], k);
	CHECK_EQ(lookup.node_cnt, 1);
}

static void test_one_answer_gives_at_most_k(void)
{
	struct kad_contact told[2 * KAD_K_MAX];

	begin(KAD_FIND_NODE);
	seed(1, 4, 1);
	for (unsigned i = 0; i < config.k + 1; i++)
		told[i] = plane_contact(&target, 20 + i, 100 + i, &dice);
	kad_lookup_answered(&lookup, ask(SECOND),
			    &(struct kad_answer){.tag = 0, .contacts = told, .cnt = config.k + 1},
			    2 * SECOND);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_TAKEN], config.k);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_TOO_MANY], 1);
}

static void test_one_subnet_gives_at_most_its_share(void)
{
	struct kad_contact told[KAD_K_MAX];

	begin(KAD_FIND_NODE);
	seed(1, 4, 1);
	for (unsigned i = 0; i < config.subnet_max + 1; i++) {
		told[i] = plane_contact(&target, 20 + i, 100, &dice);
		told[i].addr = plane_addr(100, 1 + i);
	}
	kad_lookup_answered(
		&lookup, ask(SECOND),
		&(struct kad_answer){.tag = 0, .contacts = told, .cnt = config.subnet_max + 1},
		2 * SECOND);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_TAKEN], config.subnet_max);
	CHECK_EQ(lookup.stats.told[KAD_LEARNED_SUBNET], 1);
}

static void test_private_network_is_not_capped(void)
{
	begin(KAD_FIND_NODE);
	for (unsigned i = 0; i < 3 * config.subnet_max; i++) {
		struct kad_contact contact = plane_contact(&target, 20, 0, &dice);

		contact.addr.ip[0] = plane->family == ADDR_IPV4 ? 10 : 0xfd;
		contact.addr.port = (uint16_t)(1000 + i);
		CHECK_EQ(kad_lookup_seed(&lookup, &contact), KAD_LEARNED_TAKEN);
	}
}

static void test_false_address_does_not_hide_the_true_one(void)
{
	struct kad_contact truth;

	begin(KAD_FIND_NODE);
	truth = plane_contact(&target, 20, 1, &dice);
	for (unsigned i = 0; i < 3; i++) {
		struct kad_contact told = truth;

		told.addr = plane_addr(50 + i, 1);
		CHECK_EQ(kad_lookup_seed(&lookup, &told),
			 i < 2 ? KAD_LEARNED_TAKEN : KAD_LEARNED_TWO_ADDRS);
	}
	kad_lookup_failed(&lookup, ask(SECOND), SECOND);
	CHECK_EQ(kad_lookup_seed(&lookup, &truth), KAD_LEARNED_TAKEN);
}

static void test_unvalidated_near_the_target_do_not_crowd_out_validated(void)
{
	struct kad_closest closest[KAD_K_MAX];
	unsigned unproven = 0;

	begin(KAD_FIND_VALUE);
	for (unsigned i = 0; i < 3 * config.k; i++) {
		struct kad_contact contact = plane_contact(&target, 40, 200 + i, &dice);

		contact.is_proven = false;
		CHECK_EQ(kad_lookup_seed(&lookup, &contact), KAD_LEARNED_TAKEN);
	}
	seed(config.k, 10, 1);
	for (uint16_t slot; (slot = ask(SECOND)) != KAD_NO_SLOT;) {
		unproven += !lookup.nodes[slot].contact.is_proven;
		kad_lookup_answered(&lookup, slot,
				    &(struct kad_answer){.tag = 0, .contacts = NULL, .cnt = 0},
				    SECOND);
	}
	CHECK_EQ(unproven, config.k);
	CHECK(kad_lookup_is_done(&lookup));
	CHECK_EQ(kad_lookup_result(&lookup, closest, KAD_K_MAX), config.k);
	for (unsigned i = 0; i < config.k; i++)
		CHECK(closest[i].contact->is_proven);
}

static void test_unvalidated_nodes_are_found_where_no_node_is_validated(void)
{
	struct kad_closest closest[KAD_K_MAX];

	begin(KAD_FIND_VALUE);
	for (unsigned i = 0; i < 2 * config.k; i++) {
		struct kad_contact contact = plane_contact(&target, 10, 200 + i, &dice);

		contact.is_proven = false;
		CHECK_EQ(kad_lookup_seed(&lookup, &contact), KAD_LEARNED_TAKEN);
	}
	for (uint16_t slot; (slot = ask(SECOND)) != KAD_NO_SLOT;)
		kad_lookup_answered(&lookup, slot,
				    &(struct kad_answer){.tag = 0, .contacts = NULL, .cnt = 0},
				    SECOND);
	CHECK(kad_lookup_is_done(&lookup));
	CHECK_EQ(lookup.stats.asked_cnt, config.k);
	CHECK_EQ(kad_lookup_result(&lookup, closest, KAD_K_MAX), config.k);
}

static void test_full_lookup_keeps_the_nearest(void)
{
	struct kad_contact far, near;
	struct kad_ask next;

	begin(KAD_FIND_NODE);
	seed(KAD_LOOKUP_NODES_MAX, 10, 1);
	CHECK_EQ(lookup.node_cnt, KAD_LOOKUP_NODES_MAX);
	far = plane_contact(&target, 3, 500, &dice);
	near = plane_contact(&target, 50, 501, &dice);
	CHECK_EQ(kad_lookup_seed(&lookup, &far), KAD_LEARNED_FAR);
	CHECK_EQ(kad_lookup_seed(&lookup, &near), KAD_LEARNED_TAKEN);
	CHECK_EQ(lookup.node_cnt, KAD_LOOKUP_NODES_MAX);
	for (unsigned i = 1; i < KAD_LOOKUP_NODES_MAX; i++)
		CHECK(!kad_id_is_nearer(&target, &lookup.nodes[lookup.order[i]].contact.id,
					&lookup.nodes[lookup.order[i - 1]].contact.id));
	for (unsigned i = 0; i < config.alpha; i++) {
		CHECK(kad_lookup_next(&lookup, &next));
		if (kad_id_equal(&next.contact->id, &near.id))
			return;
		kad_lookup_asked(&lookup, next.slot, SECOND);
	}
	CHECK(!"the nearest was asked");
}

static void test_trace_records_every_step(void)
{
	struct kad_contact told;
	uint16_t first, second;

	begin(KAD_FIND_NODE);
	seed(1, 4, 1);
	first = ask(SECOND);
	told = plane_contact(&target, 20, 100, &dice);
	kad_lookup_answered(&lookup, first,
			    &(struct kad_answer){.tag = 0, .contacts = &told, .cnt = 1},
			    SECOND + 30 * MS);
	second = ask(SECOND + 40 * MS);
	kad_lookup_expire(&lookup, 2 * SECOND);
	kad_lookup_failed(&lookup, second, 3 * SECOND);
	CHECK_EQ(step_cnt, 5);
	CHECK_EQ(steps[1].kind, KAD_STEP_ANSWERED);
	CHECK_EQ(steps[1].told_cnt, 1);
	CHECK_EQ(steps[1].after_ns, 30 * MS);
	CHECK_EQ(steps[2].teller, first);
	CHECK_EQ(steps[2].common_bits, 20);
	CHECK_EQ(steps[2].after_ns, 40 * MS);
	CHECK_EQ(steps[3].kind, KAD_STEP_SLOW);
	CHECK_EQ(steps[4].kind, KAD_STEP_FAILED);
	CHECK_EQ(steps[0].teller, KAD_NO_SLOT);
}

int main(void)
{
	RUN_PLANES(test_plane_over_both_families_takes_both);
	RUN_PLANES(test_asks_alpha_at_once);
	RUN_PLANES(test_slow_node_is_replaced_at_once_and_still_counts);
	RUN_PLANES(test_no_more_than_out_max_are_out);
	RUN_PLANES(test_no_more_than_asked_max_are_asked);
	RUN_PLANES(test_ends_when_the_k_closest_answered);
	RUN_PLANES(test_slow_ones_are_waited_for_only_below_k_answers);
	RUN_PLANES(test_slow_ones_are_left_once_another_answered);
	RUN_PLANES(test_starts_take_turns);
	RUN_PLANES(test_lies_are_dropped_by_reason);
	RUN_PLANES(test_one_answer_gives_at_most_k);
	RUN_PLANES(test_one_subnet_gives_at_most_its_share);
	RUN_PLANES(test_private_network_is_not_capped);
	RUN_PLANES(test_false_address_does_not_hide_the_true_one);
	RUN_PLANES(test_unvalidated_near_the_target_do_not_crowd_out_validated);
	RUN_PLANES(test_unvalidated_nodes_are_found_where_no_node_is_validated);
	RUN_PLANES(test_full_lookup_keeps_the_nearest);
	RUN_PLANES(test_trace_records_every_step);
	return check_done();
}
