/* SPDX-License-Identifier: Apache-2.0 */
/* Which network pays for a value when an index, or a key, is full of an attacker's. */
#include "support/check.h"
#include "support/storage_rig.h"

#define CAP	  256
#define KEY_MAX	  32
#define ADDR_MAX  4
#define HOUR_NS	  (3600 * 1000000000ull)
#define MINUTE_NS (60 * 1000000000ull)

static struct storage_rig rig;

static void begin_with(enum addr_family family, unsigned key_addr_max)
{
	struct kad_storage_config config = {.name = "stored",
					    .value_cap = CAP,
					    .key_max = KEY_MAX,
					    .key_addr_max = key_addr_max,
					    .subnet_max = 2 * CAP,
					    .family = family};

	storage_rig_begin(&rig, &config, 7);
}

static void begin(void)
{
	begin_with(ADDR_NONE, 0);
}

/* A value put from host of the /24 network, under a key at a random place. */
static struct kad_value value_from(unsigned network, unsigned host)
{
	struct kad_value value = {
		.source = {.ip = {20, (uint8_t)(network >> 8), (uint8_t)network, (uint8_t)host},
			   .port = 1,
			   .family = ADDR_IPV4},
		.expires_ns = 100 * HOUR_NS};

	random_fill(&rig.dice, value.key.bytes, KAD_ID_LEN);
	return value;
}

/* The same right beside our own id. */
static struct kad_value near_from(unsigned network, unsigned host)
{
	struct kad_value value = value_from(network, host);

	memcpy(value.key.bytes, storage_rig_own.bytes, KAD_ID_LEN - 4);
	return value;
}

static bool is_kept(const struct kad_value *value)
{
	return kad_storage_find(rig.storage, &value->key, &value->owner);
}

static struct fair_view view(void)
{
	struct fair_view v;

	kad_storage_view(rig.storage, &v);
	return v;
}

static unsigned kept_of(const struct kad_value *values, unsigned cnt)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < cnt; i++)
		kept += is_kept(&values[i]);
	return kept;
}

/*
 * 100 x the cap near the own id, from three networks of 200 addresses each. They stand
 * against 48 values of as many honest networks far from it, which newcomers then double.
 */
static void test_spammer_of_few_networks_takes_nothing_from_others(void)
{
	struct kad_value old[48], new[48];
	uint64_t now_ns = 0;
	struct fair_view v;

	begin();
	for (unsigned i = 0; i < 48; i++) {
		old[i] = value_from(100 + i, 1);
		old[i].key.bytes[0] = 0; /* as far from us as can be */
		CHECK_EQ(kad_storage_put(rig.storage, &old[i], now_ns), KAD_PUT_ADDED);
	}
	for (unsigned i = 0; i < 100 * CAP; i++) {
		struct kad_value spam = near_from(i % 3, i / 3 % 200);

		now_ns += 1000000;
		(void)kad_storage_put(rig.storage, &spam, now_ns);
	}
	CHECK_EQ(view().held_cnt, CAP);
	CHECK_EQ(kept_of(old, 48), 48);
	for (unsigned i = 0; i < 48; i++) {
		struct kad_value spam = near_from(i % 3, i);

		new[i] = value_from(200 + i, 1);
		new[i].key.bytes[0] = 0;
		CHECK_EQ(kad_storage_put(rig.storage, &new[i], now_ns), KAD_PUT_ADDED);
		(void)kad_storage_put(rig.storage, &spam, now_ns);
	}
	CHECK_EQ(kept_of(old, 48), 48);
	CHECK_EQ(kept_of(new, 48), 48);
	/* Within its networks the spammer evicts itself. */
	v = view();
	CHECK(v.evicted_cnts[FAIR_UNKNOWN] >= 48);
	CHECK(v.refused_cnts[FAIR_UNKNOWN] > 0);
	CHECK_EQ(v.held_cnts[FAIR_UNKNOWN], CAP);
}

/* A pool without other users is used whole, and one more is refused with a time. */
static void test_one_network_may_have_all_and_no_more(void)
{
	struct kad_value value;
	uint32_t first_ms;

	begin();
	for (unsigned i = 0; i < CAP; i++) {
		value = near_from(1, 1);
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	}
	value = value_from(1, 1);
	value.key.bytes[0] = 0;
	CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_FARTHER);
	first_ms = kad_storage_not_before_ms(rig.storage, &value, 0);
	CHECK(first_ms >= 1 && first_ms <= 30000);
	for (unsigned i = 0; i < 1000; i++)
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_FARTHER);
	CHECK(kad_storage_not_before_ms(rig.storage, &value, 0) > 10 * first_ms);
	CHECK_EQ(rig.gone_cnt, 0);
	/* What it has it may trade for what is nearer. */
	CHECK_EQ(kad_storage_put(
			 rig.storage,
			 &(struct kad_value){.key = storage_rig_own, .source = value.source}, 0),
		 KAD_PUT_ADDED);
	CHECK_EQ(rig.gone_cnt, 1);
}

static void test_youngest_of_the_fullest_network_gives_way(void)
{
	struct kad_value values[CAP], newcomer;

	begin();
	for (unsigned i = 0; i < CAP; i++) {
		values[i] = value_from(i < CAP / 2 ? 1 : i, i % 8);
		CHECK_EQ(kad_storage_put(rig.storage, &values[i], i), KAD_PUT_ADDED);
	}
	newcomer = value_from(1000, 1);
	CHECK_EQ(kad_storage_put(rig.storage, &newcomer, CAP), KAD_PUT_ADDED);
	CHECK_EQ(rig.gone_cnt, 1);
	CHECK(kad_id_equal(&rig.gone.key, &values[CAP / 2 - 1].key));
	CHECK_EQ(view().evicted_cnts[FAIR_UNKNOWN], 1);
}

/* Between equals the key space decides; a network that holds more does not gain by being near. */
static void test_near_value_takes_a_place_only_of_a_network_that_holds_more(void)
{
	struct kad_value near;

	begin();
	for (unsigned i = 0; i < CAP; i++) {
		struct kad_value value = value_from(i, 1);

		value.key.bytes[0] = 0;
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	}
	near = near_from(1000, 1);
	CHECK_EQ(kad_storage_put(rig.storage, &near, 0), KAD_PUT_ADDED);
	CHECK_EQ(rig.gone_cnt, 1);
	/* Its second one would make it larger than all others. */
	near = near_from(1000, 2);
	CHECK_EQ(kad_storage_put(rig.storage, &near, 0), KAD_PUT_FARTHER);
	CHECK_EQ(rig.gone_cnt, 1);
}

static void test_values_refreshed_for_an_hour_are_known(void)
{
	static const struct {
		uint64_t at_ns;
		unsigned known_cnt;
		const char *why;
	} steps[] = {
		{20 * MINUTE_NS, 0, "one refresh"},
		{40 * MINUTE_NS, 0, "two"},
		{60 * MINUTE_NS - 1, 0, "too soon after the second"},
		{60 * MINUTE_NS, 1, "three, twenty minutes apart"},
		{200 * MINUTE_NS, 1, "it stays known"},
	};
	struct kad_value value;

	begin();
	value = value_from(1, 1);
	CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		if (i % 2)
			CHECK(kad_storage_refresh(rig.storage, &value, steps[i].at_ns));
		else
			CHECK_EQ(kad_storage_put(rig.storage, &value, steps[i].at_ns),
				 KAD_PUT_REPLACED);
		CHECK_EQ(view().held_cnts[FAIR_KNOWN], steps[i].known_cnt);
		CHECK_EQ(view().held_cnt, 1);
	}
}

/* Ten networks, known after an hour, hold all: a newcomer pays nothing for their patience. */
static void test_known_spammers_leave_newcomers_their_quarter(void)
{
	static struct kad_value spam[CAP];
	struct kad_value honest[CAP / 4];

	begin();
	for (unsigned i = 0; i < CAP; i++) {
		spam[i] = near_from(i % 10, i / 10);
		CHECK_EQ(kad_storage_put(rig.storage, &spam[i], 0), KAD_PUT_ADDED);
	}
	for (unsigned round = 1; round <= KAD_KNOWN_REFRESHES; round++)
		for (unsigned i = 0; i < CAP; i++)
			(void)kad_storage_refresh(rig.storage, &spam[i],
						  round * KAD_REFRESH_GAP_NS);
	CHECK_EQ(view().held_cnts[FAIR_KNOWN], CAP);
	for (unsigned i = 0; i < CAP / 4; i++) {
		honest[i] = value_from(100 + i, 1);
		CHECK_EQ(kad_storage_put(rig.storage, &honest[i], HOUR_NS), KAD_PUT_ADDED);
	}
	for (unsigned i = 0; i < CAP; i++)
		(void)kad_storage_put(rig.storage, &spam[i], HOUR_NS);
	/* As unvalidated sources, its ten networks have one place each of that quarter. */
	CHECK(kept_of(honest, CAP / 4) >= CAP / 4 - 10);
	CHECK_EQ(view().held_cnts[FAIR_UNKNOWN], CAP / 4);
}

/* A spammer puts a value of another first: its owner, putting it too, takes it out of the account. */
static void test_value_is_charged_to_the_emptier_of_those_that_put_it(void)
{
	struct kad_value value;

	begin();
	for (unsigned i = 0; i < CAP - 1; i++) {
		value = near_from(1, 1);
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	}
	value = value_from(1, 1);
	CHECK_EQ(kad_storage_put(rig.storage, &value, 1), KAD_PUT_ADDED);
	value.source.ip[2] = 2;
	CHECK(kad_storage_refresh(rig.storage, &value, 2));
	/* It was the youngest of the fullest network. */
	for (unsigned i = 0; i < CAP / 2; i++) {
		struct kad_value newcomer = value_from(100 + i, 1);

		CHECK_EQ(kad_storage_put(rig.storage, &newcomer, 3), KAD_PUT_ADDED);
	}
	CHECK(is_kept(&value));
	/* And putting it again from the full network does not bring it back there. */
	value.source.ip[2] = 1;
	CHECK_EQ(kad_storage_put(rig.storage, &value, 4), KAD_PUT_REPLACED);
	for (unsigned i = 0; i < CAP / 4; i++) {
		struct kad_value newcomer = value_from(300 + i, 1);

		CHECK_EQ(kad_storage_put(rig.storage, &newcomer, 5), KAD_PUT_ADDED);
	}
	CHECK(is_kept(&value));
}

static struct kad_value owner_under(const struct kad_id *key, unsigned network, unsigned host,
				    unsigned owner)
{
	struct kad_value value = value_from(network, host);

	value.key = *key;
	memcpy(value.owner.bytes, &owner, sizeof(owner));
	return value;
}

/* As many owners as are free under one key, from two networks, over those of eight honest ones. */
static void test_full_key_takes_from_its_fullest_network(void)
{
	struct kad_value honest[16];

	begin();
	for (unsigned i = 0; i < 8; i++) {
		honest[i] = owner_under(&storage_rig_own, 100 + i, 1, i);
		CHECK_EQ(kad_storage_put(rig.storage, &honest[i], 0), KAD_PUT_ADDED);
	}
	for (unsigned i = 0; i < 100 * KEY_MAX; i++) {
		struct kad_value spam = owner_under(&storage_rig_own, i % 2, i / 2 % 200, 1000 + i);

		CHECK_EQ(kad_storage_put(rig.storage, &spam, i), KAD_PUT_ADDED);
	}
	CHECK_EQ(kad_storage_key_cnt(rig.storage, &storage_rig_own), KEY_MAX);
	CHECK_EQ(kept_of(honest, 8), 8);
	for (unsigned i = 8; i < 16; i++) {
		honest[i] = owner_under(&storage_rig_own, 100 + i, 1, i);
		CHECK_EQ(kad_storage_put(rig.storage, &honest[i], 100 * KEY_MAX), KAD_PUT_ADDED);
	}
	CHECK_EQ(kept_of(honest, 16), 16);
	CHECK_EQ(kad_storage_key_cnt(rig.storage, &storage_rig_own), KEY_MAX);
}

/* The rule of a value may want fewer under its key than the index. */
static void test_value_may_want_fewer_under_its_key(void)
{
	begin();
	for (unsigned i = 0; i < 9; i++) {
		struct kad_value value = owner_under(&storage_rig_own, 100 + i, 1, i);

		value.key_max = 8;
		CHECK_EQ(kad_storage_put(rig.storage, &value, i), KAD_PUT_ADDED);
	}
	CHECK_EQ(kad_storage_key_cnt(rig.storage, &storage_rig_own), 8);
	CHECK_EQ(rig.gone.source.ip[2], 100); /* between equals, the stalest */
}

static void test_an_address_has_its_number_under_a_key(void)
{
	struct kad_value value;

	begin_with(ADDR_IPV4, ADDR_MAX);
	for (unsigned i = 0; i <= ADDR_MAX; i++) {
		value = owner_under(&storage_rig_own, 1, 1, i);
		CHECK_EQ(kad_storage_put(rig.storage, &value, i), KAD_PUT_ADDED);
		CHECK_EQ(rig.gone_cnt, i == ADDR_MAX);
	}
	CHECK_EQ(rig.gone.owner.bytes[0], 0); /* its storage_rig_own, the stalest */
	value = owner_under(&storage_rig_own, 1, 2, 100);
	CHECK_EQ(kad_storage_put(rig.storage, &value, 9), KAD_PUT_ADDED);
	CHECK_EQ(kad_storage_key_cnt(rig.storage, &storage_rig_own), ADDR_MAX + 1);
	/* Under another key it has the same again. */
	value = value_from(1, 1);
	CHECK_EQ(kad_storage_put(rig.storage, &value, 9), KAD_PUT_ADDED);
	CHECK_EQ(rig.gone_cnt, 1);
}

/* A /48 is one network, however many /64s of it put. */
static void test_prefix_of_ipv6_is_one_network(void)
{
	struct kad_value value = {
		.source = {.ip = {0x20, 0x01, 0x0d}, .port = 1, .family = ADDR_IPV6},
		.expires_ns = HOUR_NS};

	begin_with(ADDR_IPV6, 0);
	for (unsigned i = 0; i < CAP; i++) {
		value.source.ip[6] = (uint8_t)(i >> 4);
		value.source.ip[7] = (uint8_t)i;
		random_fill(&rig.dice, value.key.bytes, KAD_ID_LEN);
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
	}
	for (unsigned i = 0; i < CAP / 2; i++) {
		value.source.ip[5] = (uint8_t)(1 + i);
		random_fill(&rig.dice, value.key.bytes, KAD_ID_LEN);
		value.key.bytes[0] = 0;
		CHECK_EQ(kad_storage_put(rig.storage, &value, 0), KAD_PUT_ADDED);
		CHECK_EQ(rig.gone.source.ip[5], 0);
	}
}

/* This node's own values, and half of all after them. */
static void test_own_values_are_not_for_others_to_push_out(void)
{
	struct kad_value mine[CAP / 4];

	begin();
	for (unsigned i = 0; i < CAP / 4; i++) {
		mine[i] = value_from(0, 0);
		mine[i].source = (struct addr){0};
		mine[i].source_class = FAIR_CHOSEN;
		CHECK_EQ(kad_storage_put(rig.storage, &mine[i], 0), KAD_PUT_ADDED);
	}
	for (unsigned i = 0; i < 10000; i++) {
		struct kad_value spam = near_from(i, 1);

		(void)kad_storage_put(rig.storage, &spam, i);
	}
	CHECK_EQ(kept_of(mine, CAP / 4), CAP / 4);
	CHECK_EQ(view().held_cnts[FAIR_CHOSEN], CAP / 4);
}

int main(void)
{
	RUN(test_spammer_of_few_networks_takes_nothing_from_others);
	RUN(test_one_network_may_have_all_and_no_more);
	RUN(test_youngest_of_the_fullest_network_gives_way);
	RUN(test_near_value_takes_a_place_only_of_a_network_that_holds_more);
	RUN(test_values_refreshed_for_an_hour_are_known);
	RUN(test_known_spammers_leave_newcomers_their_quarter);
	RUN(test_value_is_charged_to_the_emptier_of_those_that_put_it);
	RUN(test_full_key_takes_from_its_fullest_network);
	RUN(test_value_may_want_fewer_under_its_key);
	RUN(test_an_address_has_its_number_under_a_key);
	RUN(test_prefix_of_ipv6_is_one_network);
	RUN(test_own_values_are_not_for_others_to_push_out);
	arena_close(&rig.arena);
	return check_done();
}
