/* SPDX-License-Identifier: Apache-2.0 */
/* Which values are kept for others: caps, order, expiry. */
#include "kad/routing_table.h"
#include "support/check.h"
#include "support/storage_rig.h"

#define CAP 64

static struct storage_rig rig;

static void begin(unsigned key_max, unsigned subnet_max)
{
	struct kad_storage_config config = {
		.value_cap = CAP, .key_max = key_max, .subnet_max = subnet_max};

	storage_rig_begin(&rig, &config, 3);
}

/* A value of key and owner number, from a subnet of its own, that expires at 100. */
static struct kad_value value_of(unsigned key, unsigned owner, uint64_t seq)
{
	static unsigned net;
	struct kad_value value = {.key = {{0x80, (uint8_t)(key >> 8), (uint8_t)key}},
				  .owner = {{(uint8_t)owner}},
				  .source = {.ip = {20, (uint8_t)(++net >> 8), (uint8_t)net, 1},
					     .port = 1,
					     .family = ADDR_IPV4},
				  .seq = seq,
				  .expires_ns = 100,
				  .handle = seq};

	return value;
}

static struct kad_storage_counts counts(void)
{
	struct kad_storage_counts c;

	kad_storage_count(rig.storage, &c);
	return c;
}

static void test_freshest_of_an_owner_wins(void)
{
	static const struct {
		uint64_t seq;
		enum kad_put want;
	} rows[] = {
		{5, KAD_PUT_ADDED},    {4, KAD_PUT_OLDER}, {5, KAD_PUT_REPLACED},
		{6, KAD_PUT_REPLACED}, {5, KAD_PUT_OLDER},
	};

	begin(4, CAP);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kad_value value = value_of(1, 1, rows[i].seq);

		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), rows[i].want);
	}
	CHECK_EQ(rig.gone_cnt, 2);
	CHECK_EQ(rig.gone.seq, 5);
	CHECK_EQ(kad_storage_first(rig.storage, &rig.gone.key)->seq, 6);
	CHECK_EQ(kad_storage_key_cnt(rig.storage, &rig.gone.key), 1);
}

static void test_full_key_drops_what_was_refreshed_longest_ago(void)
{
	struct kad_value first = value_of(1, 1, 1), second = value_of(1, 2, 2);
	struct kad_value third = value_of(1, 3, 3), fourth = value_of(1, 4, 4);

	begin(3, CAP);
	CHECK_EQ(kad_storage_put(rig.storage, &first, 0), KAD_PUT_ADDED);
	CHECK_EQ(kad_storage_put(rig.storage, &second, 0), KAD_PUT_ADDED);
	CHECK_EQ(kad_storage_put(rig.storage, &third, 0), KAD_PUT_ADDED);
	first.expires_ns = 200;
	CHECK(kad_storage_refresh(rig.storage, &first, 0));
	CHECK_EQ(kad_storage_put(rig.storage, &fourth, 0), KAD_PUT_ADDED);
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK_EQ(rig.gone.handle, second.handle);
	CHECK_EQ(kad_storage_key_cnt(rig.storage, &first.key), 3);
	CHECK_EQ(kad_storage_first(rig.storage, &first.key)->handle, fourth.handle);
	CHECK_EQ(kad_storage_next(kad_storage_first(rig.storage, &first.key))->handle,
		 first.handle);
	CHECK_EQ(counts().displaced, 1);
}

static void test_subnet_has_its_share(void)
{
	struct kad_value value = value_of(1, 1, 1);

	begin(4, 2);
	for (unsigned i = 0; i < 3; i++) {
		value.key.bytes[2] = (uint8_t)i;
		value.source.ip[3] = (uint8_t)i;
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0),
			 i < 2 ? KAD_PUT_ADDED : KAD_PUT_SUBNET_FULL);
	}
	/* What it has it may bring up to date. */
	value.key.bytes[2] = 1;
	value.seq = 2;
	CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_REPLACED);
	/* What goes gives its share back. */
	kad_storage_drop(rig.storage, &value.key, &value.owner);
	value.key.bytes[2] = 2;
	CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	CHECK_EQ(counts().subnets, 1);
}

static void test_room_of_a_subnet_is_known_before_a_put(void)
{
	struct kad_value value = value_of(1, 1, 1), second = value_of(2, 1, 1);

	begin(4, 1);
	second.source = value.source;
	CHECK(kad_storage_has_room_for(rig.storage, &value));
	CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	CHECK(!kad_storage_has_room_for(rig.storage, &second));
	CHECK_EQ(kad_storage_put(rig.storage, &second, 0), KAD_PUT_SUBNET_FULL);
	value.seq++;
	CHECK(kad_storage_has_room_for(rig.storage, &value)); /* it takes its own place */
}

static void test_refresh_by_another_costs_neither(void)
{
	struct kad_value value = value_of(1, 1, 1);

	begin(4, 1);
	CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	value.expires_ns = 300;
	value.source.ip[1]++;
	CHECK(kad_storage_refresh(rig.storage, &value, 0));
	CHECK_EQ(kad_storage_next_ns(rig.storage), 300);
	value.owner.bytes[0] = 9;
	CHECK(!kad_storage_refresh(rig.storage, &value, 0));
}

static void test_full_index_keeps_what_is_near(void)
{
	struct kad_value far = value_of(0, 0, 1), near = value_of(2, 0, 1);

	begin(4, CAP);
	for (unsigned i = 0; i < CAP; i++) {
		struct kad_value value = value_of(i, 0, 1);

		value.key.bytes[0] = 0x00; /* as far as can be */
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	}
	far.key.bytes[0] = 0x7f;
	CHECK_EQ(kad_storage_put(rig.storage, &far, 0), KAD_PUT_FARTHER);
	CHECK_EQ(kad_storage_put(rig.storage, &near, 0), KAD_PUT_ADDED);
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK_EQ(rig.gone.key.bytes[0], 0);
	CHECK_EQ(counts().values, CAP);
	CHECK_EQ(counts().evicted, 1);
}

static void test_a_million_foreign_puts_change_nothing_but_counts(void)
{
	struct kad_value mine = value_of(0, 0, 1);

	begin(4, CAP);
	mine.key = storage_rig_own;
	CHECK_EQ(kad_storage_put(rig.storage, &mine, 0), KAD_PUT_ADDED);
	for (unsigned i = 0; i < 1000000; i++) {
		struct kad_value value = value_of(i, i >> 16, 1);

		random_fill(&rig.dice, value.key.bytes, KAD_ID_LEN);
		(void)kad_storage_put(rig.storage, &value, 0);
	}
	CHECK_EQ(counts().values, CAP);
	CHECK(kad_storage_find(rig.storage, &storage_rig_own, &mine.owner));
}

static void test_values_expire_in_order(void)
{
	uint64_t last_ns = 0;

	begin(CAP, CAP);
	for (unsigned i = 0; i < CAP; i++) {
		struct kad_value value = value_of(i, i, 1);

		value.expires_ns = 1 + random_below(&rig.dice, 1000);
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	}
	CHECK(counts().values == CAP);
	while (kad_storage_next_ns(rig.storage) != UINT64_MAX) {
		uint64_t next_ns = kad_storage_next_ns(rig.storage);
		unsigned before = counts().values;

		CHECK(next_ns > last_ns);
		kad_storage_expire(rig.storage, next_ns - 1);
		CHECK_EQ(counts().values, before);
		kad_storage_expire(rig.storage, next_ns);
		CHECK(counts().values < before);
		CHECK_EQ(rig.gone.expires_ns, next_ns);
		last_ns = next_ns;
	}
	CHECK_EQ(counts().values + counts().keys + counts().subnets, 0);
	CHECK_EQ(counts().expired, CAP);
}

/* What a list of the same puts says, after many puts, drops and expiries. */
static void test_index_agrees_with_a_list(void)
{
	static struct kad_value list[CAP];
	unsigned cnt = 0;

	begin(CAP, CAP);
	for (unsigned round = 0; round < 20000; round++) {
		struct kad_value value = value_of((unsigned)random_below(&rig.dice, 8),
						  (unsigned)random_below(&rig.dice, 7), round);
		unsigned at = 0;

		while (at < cnt && !(kad_id_equal(&list[at].key, &value.key) &&
				     kad_id_equal(&list[at].owner, &value.owner)))
			at++;
		value.expires_ns = round + 1 + random_below(&rig.dice, 200);
		if (random_below(&rig.dice, 4) == 0) {
			kad_storage_drop(rig.storage, &value.key, &value.owner);
			if (at < cnt)
				list[at] = list[--cnt];
		} else {
			CHECK_EQ(kad_storage_put(rig.storage, &value, 0),
				 at < cnt ? KAD_PUT_REPLACED : KAD_PUT_ADDED);
			list[at] = value;
			cnt += at == cnt;
		}
		kad_storage_expire(rig.storage, round);
		for (unsigned i = 0; i < cnt; i++)
			if (list[i].expires_ns <= round)
				list[i--] = list[--cnt];
		CHECK_EQ(counts().values, cnt);
	}
	for (unsigned i = 0; i < cnt; i++)
		CHECK_EQ(kad_storage_find(rig.storage, &list[i].key, &list[i].owner)->seq,
			 list[i].seq);
}

static void test_evicted_is_what_is_farther(void)
{
	struct kad_value far = value_of(1, 1, 1), near = value_of(0, 1, 1);
	struct kad_value value = value_of(1, 1, 1);

	begin(1, CAP);
	far.key.bytes[0] = 0x01;
	CHECK(!kad_storage_evict(rig.storage, &near, 0)); /* nothing is there */
	CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	CHECK(!kad_storage_evict(rig.storage, &far, 0));
	CHECK_EQ(counts().values, 1);
	CHECK(kad_storage_evict(rig.storage, &near, 0));
	CHECK_EQ(counts().values, 0);
	CHECK_EQ(counts().evicted, 1);
	CHECK_EQ(rig.gone_cnt, 1);
}

static void test_arena_too_small_is_refused(void)
{
	struct kad_storage_config config = {.value_cap = CAP, .key_max = 1, .subnet_max = 1};
	struct kad_storage *none = NULL;
	struct arena small = {0};

	storage_rig_begin(&rig, &config, 1);
	CHECK_EQ(arena_open(&small, rig.arena.used_len - 128), 0);
	CHECK_EQ(kad_storage_new(&small,
				 &(struct kad_storage_params){.config = &config,
							      .own_id = &storage_rig_own,
							      .random = &rig.dice,
							      .dropped = NULL},
				 &none),
		 WEFT_EFULL);
	CHECK(!none);
	arena_close(&small);
}

int main(void)
{
	RUN(test_freshest_of_an_owner_wins);
	RUN(test_full_key_drops_what_was_refreshed_longest_ago);
	RUN(test_subnet_has_its_share);
	RUN(test_room_of_a_subnet_is_known_before_a_put);
	RUN(test_refresh_by_another_costs_neither);
	RUN(test_full_index_keeps_what_is_near);
	RUN(test_a_million_foreign_puts_change_nothing_but_counts);
	RUN(test_values_expire_in_order);
	RUN(test_index_agrees_with_a_list);
	RUN(test_evicted_is_what_is_farther);
	RUN(test_arena_too_small_is_refused);
	arena_close(&rig.arena);
	return check_done();
}
