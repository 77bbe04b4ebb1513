/* SPDX-License-Identifier: Apache-2.0 */
/* The room of a STORE node: its shares, and what gives way. Puts are made without a network. */
#include "deposit_rig.h"
#include "deposits/deposits_state.h"

static struct rig_node *s;
static uint64_t number;

static void begin(void)
{
	rig_begin(&rig_calm);
	s = rig_add(true);
	number = 0;
}

struct left {
	unsigned depositor; /* a key */
	unsigned network;   /* a /24 */
	unsigned recipient;
	enum fair_class class;
	size_t sealed_len; /* 0: a unit */
	uint64_t life_s;   /* 0: an hour */
	bool is_ipv6;
};

static void key_of(unsigned from, uint8_t key[static DEPOSIT_KEY_LEN])
{
	memset(key, 0x33, DEPOSIT_KEY_LEN);
	memcpy(key, &from, sizeof(from));
}

/* What a PUT comes to; the number of the deposit is its id. */
static int leave(const struct left *left)
{
	static uint8_t sealed[DEPOSIT_SEALED_LEN_MAX];
	uint8_t depositor[DEPOSIT_KEY_LEN], recipient[DEPOSIT_KEY_LEN], id[DEPOSIT_ID_LEN] = {0};
	struct deposit_record record = {
		.kind = DEPOSIT_RECORD_KEPT,
		.class = left->class,
		.source = {.ip = {20, (uint8_t)(left->network >> 8), (uint8_t)left->network, 1},
			   .family = ADDR_IPV4},
		.expires_s = mesh_lab_wall_s(&rig_lab) + (left->life_s ? left->life_s : RIG_HOUR_S),
		.peer = depositor,
		.recipient = recipient,
		.id = id,
		.sealed = sealed,
		.sealed_len = left->sealed_len ? left->sealed_len : DEPOSIT_SEALED_LEN_MIN,
	};

	if (left->is_ipv6)
		record.source = (struct addr){
			.ip = {0x20, 1, 0, (uint8_t)(left->network >> 8), (uint8_t)left->network},
			.family = ADDR_IPV6};
	key_of(left->depositor, depositor);
	key_of(left->recipient, recipient);
	number++;
	memcpy(id, &number, sizeof(number));
	if (deposits_write_lags(s->deposits)) {
		rig_pass(NS_PER_S);
		if (deposits_write_lags(s->deposits))
			abort();
	}
	return deposits_row_keep(s->deposits, &record, rig_lab.now_ns);
}

static unsigned kept_for(unsigned recipient)
{
	uint8_t key[DEPOSIT_KEY_LEN];
	const struct deposit_recipient *of;

	key_of(recipient, key);
	of = deposits_recipient_lookup(s->deposits, key);
	return of ? of->kept_cnt : 0;
}

/* How many of them came by addresses of family. */
static unsigned kept_of(unsigned recipient, uint8_t family)
{
	uint8_t key[DEPOSIT_KEY_LEN];
	const struct deposit_recipient *of;
	unsigned cnt = 0;

	key_of(recipient, key);
	of = deposits_recipient_lookup(s->deposits, key);
	for (const struct list_node *at = of->kept.next; at != &of->kept; at = at->next)
		cnt += container_of(at, struct deposit_row, link)->source.family == family;
	return cnt;
}

static void test_a_million_puts_of_a_thousand_keys_take_nothing_of_another_network(void)
{
	unsigned kept = 0;

	begin();
	for (unsigned i = 0; i < 40; i++)
		kept += leave(&(struct left){
				.depositor = 9000 + i, .network = 2, .recipient = i}) == 0;
	CHECK_EQ(kept, 40);
	for (unsigned i = 0; i < 1000000; i++) {
		(void)!leave(&(struct left){
			.depositor = i % 1000, .network = 1, .recipient = 100 + i % 5000});
		if (i % 20000 == 0)
			rig_pass(NS_PER_MS * 20);
	}
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(kept_for(i), 1);
	/* The room is full, and a third network gets its share all the same. */
	CHECK_EQ(rig_stats(s).unit_cnt, 1024);
	for (unsigned i = 0; i < 200; i++)
		kept += leave(&(struct left){
				.depositor = 9500, .network = 3, .recipient = 7000 + i}) == 0;
	CHECK_EQ(kept, 240);
	for (unsigned i = 0; i < 40; i++)
		CHECK_EQ(kept_for(i), 1);
	rig_end();
}

static void test_what_was_kept_stays_and_the_youngest_of_the_largest_gives_way(void)
{
	unsigned first = 0;

	begin();
	for (unsigned i = 0; i < 1024; i++)
		CHECK_EQ(leave(&(struct left){.depositor = 1, .network = 1, .recipient = i}), 0);
	/* One more of the same account is refused: nothing leaves for it. */
	CHECK_EQ(leave(&(struct left){.depositor = 1, .network = 1, .recipient = 5000}),
		 WEFT_EFULL);
	CHECK_EQ(leave(&(struct left){.depositor = 2, .network = 2, .recipient = 5000}), 0);
	CHECK_EQ(kept_for(1023), 0);
	for (unsigned i = 0; i < 1023; i++)
		first += kept_for(i);
	CHECK_EQ(first, 1023);
	CHECK_EQ(rig_stats(s).evicted_cnt, 1);
	rig_end();
}

static void test_a_recipient_has_256_deposits_at_most_and_no_network_all_of_them(void)
{
	begin();
	rig_stop(s);
	s->config.room_len = 16 * DEPOSITS_ROOM_MIN;
	rig_start(s);
	for (unsigned i = 0; i < DEPOSITS_PER_RECIPIENT; i++)
		CHECK_EQ(leave(&(struct left){.depositor = i, .network = 1, .recipient = 1}), 0);
	CHECK_EQ(leave(&(struct left){.depositor = 1, .network = 1, .recipient = 1}), WEFT_EFULL);
	CHECK_EQ(leave(&(struct left){.depositor = 1, .network = 1, .recipient = 2}), 0);
	/* Another network takes of it, up to as much as is left. */
	for (unsigned i = 0; i < DEPOSITS_PER_RECIPIENT / 2; i++)
		CHECK_EQ(leave(&(struct left){.depositor = 2, .network = 2, .recipient = 1}), 0);
	CHECK_EQ(leave(&(struct left){.depositor = 2, .network = 2, .recipient = 1}), WEFT_EFULL);
	CHECK_EQ(kept_for(1), DEPOSITS_PER_RECIPIENT);
	/* A better class does before. */
	CHECK_EQ(leave(&(struct left){
			 .depositor = 2, .network = 2, .recipient = 1, .class = FAIR_CHOSEN}),
		 0);
	CHECK_EQ(kept_for(1), DEPOSITS_PER_RECIPIENT);
	rig_end();
}

static void test_a_recipient_has_a_sixteenth_of_the_room(void)
{
	begin();
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(leave(&(struct left){.depositor = 1,
					      .network = 1,
					      .recipient = 1,
					      .sealed_len = 16 * 1024 - DEPOSIT_RECORD_HEAD_LEN}),
			 0);
	CHECK_EQ(leave(&(struct left){.depositor = 1, .network = 1, .recipient = 1}), WEFT_EFULL);
	CHECK_EQ(rig_stats(s).unit_cnt, 64);
	CHECK_EQ(leave(&(struct left){.depositor = 1,
				      .network = 1,
				      .recipient = 2,
				      .sealed_len = 64 * 1024 - DEPOSIT_RECORD_HEAD_LEN + 1}),
		 WEFT_EFULL);
	CHECK_EQ(rig_stats(s).unit_cnt, 64);
	rig_end();
}

static void test_a_recipients_share_is_counted_by_bytes_and_by_family(void)
{
	/* 32 of 256 places. */
	const size_t long_len = 8 * 1024 - DEPOSIT_RECORD_HEAD_LEN;
	unsigned i;

	begin();
	/* Four networks of IPv4 with 2 long ones each, and all places are taken. */
	for (i = 0; i < 8; i++)
		CHECK_EQ(leave(&(struct left){.depositor = 1 + i / 2,
					      .network = 1 + i / 2,
					      .recipient = 1,
					      .sealed_len = long_len}),
			 0);
	/* A network with many short ones holds less than one with a long one more. */
	for (i = 0; i < 8; i++)
		CHECK_EQ(leave(&(struct left){.depositor = 9, .network = 9, .recipient = 1}), 0);
	CHECK_EQ(kept_for(1), 7 + 8);
	CHECK_EQ(rig_stats(s).evicted_cnt, 1);
	CHECK_EQ(leave(&(struct left){.depositor = 9, .network = 9, .recipient = 1}), 0);
	CHECK_EQ(kept_for(1), 6 + 9);
	/* Networks of one family have a half of it, and the other family the other half. */
	for (i = 0; i < 1000; i++)
		(void)!leave(&(struct left){
			.depositor = 100 + i, .network = 100 + i, .recipient = 1, .is_ipv6 = true});
	CHECK(kept_of(1, ADDR_IPV6) >= 30 && kept_of(1, ADDR_IPV6) <= 34);
	rig_end();
}

static void test_nothing_gives_way_to_a_deposit_that_gets_no_room(void)
{
	unsigned i;

	begin();
	rig_stop(s);
	s->config.room_len = 16 * DEPOSITS_ROOM_MIN;
	rig_start(s);
	for (i = 0; i < DEPOSITS_PER_RECIPIENT; i++)
		CHECK_EQ(leave(&(struct left){.depositor = i, .network = 1, .recipient = 1}), 0);
	/* Network 2 has all the rest of the room, so it gets one unit for one, and no more. */
	for (i = 0; rig_stats(s).unit_cnt < 16 * DEPOSITS_ROOM_MIN / DEPOSIT_UNIT_LEN; i++)
		CHECK_EQ(leave(&(struct left){.depositor = i, .network = 2, .recipient = 10 + i}),
			 0);
	CHECK_EQ(leave(&(struct left){.depositor = 9999999,
				      .network = 2,
				      .recipient = 1,
				      .sealed_len = 10 * 1024}),
		 WEFT_EFULL);
	CHECK_EQ(kept_for(1), DEPOSITS_PER_RECIPIENT);
	CHECK_EQ(rig_stats(s).evicted_cnt, 0);
	CHECK_EQ(rig_stats(s).unit_cnt, 16 * DEPOSITS_ROOM_MIN / DEPOSIT_UNIT_LEN);
	rig_end();
	begin();
	for (i = 0; i < 1024; i++)
		CHECK_EQ(leave(&(struct left){
				 .depositor = i, .network = i < 530 ? 1 : 2, .recipient = i}),
			 0);
	/* Network 1 gives up 17 units before it has as few as network 2, and 40 are wanted. */
	CHECK_EQ(leave(&(struct left){.depositor = 9999,
				      .network = 2,
				      .recipient = 9999,
				      .sealed_len = 40 * 1024 - DEPOSIT_RECORD_HEAD_LEN}),
		 WEFT_EFULL);
	CHECK_EQ(rig_stats(s).held_cnt, 1024);
	CHECK_EQ(rig_stats(s).evicted_cnt, 0);
	CHECK_EQ(leave(&(struct left){.depositor = 9999,
				      .network = 2,
				      .recipient = 9999,
				      .sealed_len = 17 * 1024 - DEPOSIT_RECORD_HEAD_LEN}),
		 0);
	CHECK_EQ(rig_stats(s).evicted_cnt, 17);
	CHECK_EQ(rig_stats(s).unit_cnt, 1024);
	rig_crash(s);
	rig_start(s);
	rig_end();
}

static void test_the_room_is_the_same_behind_a_crash(void)
{
	unsigned unit_cnt;

	begin();
	for (unsigned i = 0; i < 300; i++)
		CHECK_EQ(leave(&(struct left){.depositor = i % 7,
					      .network = i % 3,
					      .recipient = i % 50,
					      .sealed_len = DEPOSIT_SEALED_LEN_MIN + 10 * i,
					      .life_s = i < 100 ? 60 : 0}),
			 0);
	rig_pass(NS_PER_S);
	unit_cnt = rig_stats(s).unit_cnt;
	rig_crash(s);
	rig_start(s);
	CHECK_EQ(rig_stats(s).held_cnt, 300);
	CHECK_EQ(rig_stats(s).unit_cnt, unit_cnt);
	CHECK_EQ(kept_for(3), 6);
	rig_pass(60 * NS_PER_S);
	CHECK_EQ(rig_stats(s).held_cnt, 200);
	CHECK_EQ(rig_stats(s).expired_cnt, 100);
	rig_crash(s);
	rig_start(s);
	CHECK_EQ(rig_stats(s).held_cnt, 200);
	/* What is not durable is gone. */
	CHECK_EQ(leave(&(struct left){.depositor = 1, .network = 1, .recipient = 1}), 0);
	rig_crash(s);
	rig_start(s);
	CHECK_EQ(rig_stats(s).held_cnt, 200);
	rig_end();
}

static void test_a_record_that_is_none_is_deleted_at_the_start(void)
{
	struct store_batch *batch;
	uint8_t key[DEPOSIT_RECORD_KEY_LEN] = {0, 0, 0, 0, 0, 0, 0, 9};

	begin();
	batch = store_batch_new(s->store);
	store_batch_put(batch, STORE_DEPOSITS, store_key(key, sizeof(key)), "rubbish", 7);
	CHECK_EQ(store_submit(s->store, batch, NULL, NULL), 0);
	store_flush(s->store);
	rig_stop(s);
	rig_start(s);
	CHECK_EQ(rig_stats(s).damaged_cnt, 1);
	rig_pass(NS_PER_S);
	rig_stop(s);
	rig_start(s);
	CHECK_EQ(rig_stats(s).damaged_cnt, 0);
	rig_end();
}

static void test_what_the_disk_refuses_is_not_kept_and_its_call_learns_it(void)
{
	struct rig_put deposit;
	const uint8_t receipt[DEPOSIT_RECEIPT_LEN] = {1};

	begin();
	deposit = (struct rig_put){
		.from = s, .store = s, .recipient = s->mesh->key, .receipt = receipt};
	store_freeze(s->store);
	CHECK_EQ(leave(&(struct left){.depositor = 1, .network = 1, .recipient = 1}), 0);
	CHECK_EQ(rig_put(&deposit), 0);
	rig_pass(NS_PER_S);
	CHECK_EQ(s->failed_cnt, 1);
	CHECK_EQ(rig_stats(s).held_cnt, 0);
	CHECK_EQ(rig_stats(s).out_cnt, 0);
	CHECK_EQ(rig_stats(s).unit_cnt, 0);
	CHECK_EQ(rig_stats(s).failed_cnt, 2);
	rig_end();
}

static void test_puts_are_refused_while_the_disk_lags(void)
{
	static const struct left whole = {
		.depositor = 1, .network = 1, .recipient = 1, .sealed_len = DEPOSIT_SEALED_LEN_MAX};
	struct rig_put deposit;
	struct left left = whole;
	unsigned cnt = 0;

	begin();
	rig_stop(s);
	s->config.room_len = 16 * DEPOSITS_ROOM_MIN;
	rig_start(s);
	deposit = (struct rig_put){.from = s, .store = s, .recipient = s->mesh->key};
	for (; !deposits_write_lags(s->deposits); cnt++) {
		left.recipient = cnt;
		CHECK_EQ(leave(&left), 0);
	}
	CHECK_EQ(cnt, DEPOSITS_LAG_MAX / DEPOSIT_RECORD_LEN_MAX);
	CHECK_EQ(rig_put(&deposit), WEFT_EBUSY);
	rig_pass(NS_PER_S);
	CHECK_EQ(rig_put(&deposit), 0);
	rig_end();
}

int main(void)
{
	RUN(test_a_million_puts_of_a_thousand_keys_take_nothing_of_another_network);
	RUN(test_what_was_kept_stays_and_the_youngest_of_the_largest_gives_way);
	RUN(test_a_recipient_has_256_deposits_at_most_and_no_network_all_of_them);
	RUN(test_a_recipient_has_a_sixteenth_of_the_room);
	RUN(test_a_recipients_share_is_counted_by_bytes_and_by_family);
	RUN(test_nothing_gives_way_to_a_deposit_that_gets_no_room);
	RUN(test_the_room_is_the_same_behind_a_crash);
	RUN(test_a_record_that_is_none_is_deleted_at_the_start);
	RUN(test_what_the_disk_refuses_is_not_kept_and_its_call_learns_it);
	RUN(test_puts_are_refused_while_the_disk_lags);
	return check_done();
}
