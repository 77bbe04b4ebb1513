/* SPDX-License-Identifier: Apache-2.0 */
/* The most expensive peers, against an exact count of all. */
#include "base/fair/load.h"

#include "base/memory/arena.h"
#include "base/random.h"
#include "support/check.h"

#define S	   1000000000ull
#define TICK_NS	   (LOAD_HALF_NS / 16)
#define LINE_CNT   64u
#define LIGHT_CNT  20000u
#define HEAVY_CNT  12u
#define STEP_CNT   400000u
#define ROUNDING   48 /* one of level and of excess a tick, decaying: 2 / (1 - 2^(-1/16)) */
#define TICK_DECAY 0.957603280698573646936305635147915443

static const uint64_t secret[2] = {7, 8};
static struct arena arena;
static struct load load;

static void load_make(uint32_t line_cnt)
{
	if (arena_open(&arena, ARENA_GROWS) < 0 || load_init(&load, &arena, line_cnt, secret) < 0)
		abort();
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return addr;
}

static struct fair_path path_of(const char *text)
{
	const struct addr addr = addr_of(text);
	struct fair_path path;

	load_path(&load, &(struct load_who){.addr = &addr}, &path);
	return path;
}

static void charge(const char *text, uint32_t price, uint64_t now_ns)
{
	const struct addr addr = addr_of(text);

	load_charge(&load, &(struct load_who){.addr = &addr}, price, now_ns);
}

enum { FAMILY, NETWORK, ADDRESS };

static uint32_t read_of(const char *text, unsigned level, uint64_t now_ns)
{
	const struct fair_path path = path_of(text);

	return load_read(&load, &path, level, now_ns);
}

static void test_cost_counts_at_every_level_and_halves(void)
{
	load_make(LOAD_LINE_CNT);
	charge("192.0.2.1:1", 1000, S);
	charge("192.0.2.2:1", 600, S);
	charge("198.51.100.1:1", 400, S);
	CHECK_EQ(read_of("192.0.2.1:9", ADDRESS, S), 1000);
	CHECK_EQ(read_of("192.0.2.9:1", NETWORK, S), 1600);
	CHECK_EQ(read_of("192.0.2.9:1", ADDRESS, S), 0);
	CHECK_EQ(read_of("203.0.113.1:1", FAMILY, S), 2000);
	CHECK_EQ(read_of("192.0.2.1:1", NETWORK, S + LOAD_HALF_NS), 800);
	CHECK_EQ(read_of("192.0.2.1:1", NETWORK, S + 40 * LOAD_HALF_NS), 0);
	arena_close(&arena);
}

static void test_clock_that_goes_backwards_changes_nothing(void)
{
	load_make(LOAD_LINE_CNT);
	charge("192.0.2.1:1", 1000, 100 * S);
	charge("192.0.2.1:1", 1000, S);
	CHECK_EQ(read_of("192.0.2.1:1", ADDRESS, S), 2000);
	CHECK_EQ(read_of("192.0.2.1:1", ADDRESS, 100 * S), 2000);
	CHECK_EQ(read_of("192.0.2.1:1", ADDRESS, 100 * S + LOAD_HALF_NS), 1000);
	arena_close(&arena);
}

static void test_load_stops_at_its_greatest(void)
{
	load_make(LOAD_LINE_CNT);
	charge("192.0.2.1:1", LOAD_MAX - 1, S);
	CHECK_EQ(read_of("192.0.2.1:1", ADDRESS, S), LOAD_MAX - 1);
	charge("192.0.2.1:1", 1, S);
	charge("192.0.2.1:1", 1, S);
	charge("192.0.2.1:1", UINT32_MAX, S);
	CHECK_EQ(read_of("192.0.2.1:1", ADDRESS, S), LOAD_MAX);
	CHECK_EQ(read_of("192.0.2.1:1", ADDRESS, S + LOAD_HALF_NS), LOAD_MAX / 2);
	arena_close(&arena);
}

static void test_the_lighter_branch_goes_first_where_paths_part(void)
{
	struct fair_path busy, neighbour, other, ipv6;

	load_make(LOAD_LINE_CNT);
	charge("192.0.2.1:1", 300, S);
	charge("198.51.100.1:1", 200, S);
	busy = path_of("192.0.2.1:1");
	neighbour = path_of("192.0.2.2:1");
	other = path_of("198.51.100.1:1");
	ipv6 = path_of("[2001:db8::1]:1");
	CHECK(load_compare(&load, &other, &busy, S) < 0);
	/* Its network costs more, though it has cost nothing itself. */
	CHECK(load_compare(&load, &neighbour, &other, S) > 0);
	CHECK(load_compare(&load, &neighbour, &busy, S) < 0);
	CHECK(load_compare(&load, &ipv6, &other, S) < 0);
	CHECK_EQ(load_compare(&load, &busy, &busy, S), 0);
	arena_close(&arena);
}

static void test_refused_take_is_charged_to_address_and_key_alone(void)
{
	const struct addr addr = addr_of("192.0.2.1:1");
	const uint8_t key[32] = {1};
	const struct load_who who = {.addr = &addr, .key = key};
	struct load_network networks[LOAD_NETWORK_CNT];
	struct fair_path path;

	load_make(LOAD_LINE_CNT);
	for (unsigned i = 0; i < 100; i++)
		load_refuse(&load, &who, "a pool", 20, S);
	load_path(&load, &who, &path);
	CHECK_EQ(path.level_cnt, 4);
	CHECK_EQ(load_read(&load, &path, 3, S), 100 * LOAD_PRICE_REFUSED);
	CHECK_EQ(load_read(&load, &path, ADDRESS, S), 100 * LOAD_PRICE_REFUSED);
	CHECK_EQ(load_read(&load, &path, NETWORK, S), 0);
	CHECK_EQ(load_read(&load, &path, FAMILY, S), 0);
	CHECK_EQ(load_networks(&load, S, networks), 0);
	load_refuse(NULL, &who, "a pool", 20, S);
	arena_close(&arena);
}

static unsigned rows_of(const struct refused *who, struct refusal rows[static REFUSALS_WAYS])
{
	const struct refusal *row = NULL;
	unsigned cnt = 0;

	while ((row = refusals_next(&load.refusals, row)))
		if (refused_equal(&row->who, who) && cnt < REFUSALS_WAYS)
			rows[cnt++] = *row;
	return cnt;
}

static void test_refusals_name_the_pool_how_often_and_until_when(void)
{
	const struct addr addr = addr_of("192.0.2.1:1"), port = addr_of("192.0.2.1:2");
	const uint8_t key[32] = {1};
	const struct refused by_key = refused_of_key(key), by_addr = refused_of_addr(&port);
	const struct refused nobody = refused_of_user(1000);
	struct refusal rows[REFUSALS_WAYS];

	load_make(LOAD_LINE_CNT);
	load_refuse(&load, &(struct load_who){.addr = &addr, .key = key}, "one", 20, S);
	load_refuse(&load, &(struct load_who){.addr = &addr, .key = key}, "one", 500, 2 * S);
	load_refuse(&load, &(struct load_who){.addr = &addr}, "two", 0, 3 * S);
	CHECK_EQ(rows_of(&by_key, rows), 1);
	CHECK_STR(rows[0].pool, "one");
	CHECK_EQ(rows[0].cnt, 2);
	CHECK_EQ(rows[0].last_ns, 2 * S);
	CHECK_EQ(rows[0].until_ns, 2 * S + S / 2);
	CHECK_EQ(rows_of(&by_addr, rows), 2);
	CHECK_EQ(rows_of(&nobody, rows), 0);
	load_refuse(&load, &(struct load_who){.uid = 1000}, "control", 0, 3 * S);
	CHECK_EQ(rows_of(&nobody, rows), 1);
	arena_close(&arena);
}

static void test_full_refusals_forget_the_oldest(void)
{
	struct refusal rows[REFUSALS_WAYS], newest[REFUSALS_NEWER_CNT];
	uint8_t key[32] = {0};
	struct refused who;

	load_make(LOAD_LINE_CNT);
	for (uint32_t i = 0; i < 8 * REFUSALS_CNT; i++) {
		memcpy(key, &i, sizeof(i));
		load_refuse(&load, &(struct load_who){.key = key}, "a pool", 1, S + i);
	}
	who = refused_of_key(key);
	CHECK_EQ(rows_of(&who, rows), 1);
	CHECK_EQ(refusals_newest(&load.refusals, newest), REFUSALS_NEWER_CNT);
	CHECK(refused_equal(&newest[0].who, &who));
	for (unsigned i = 1; i < REFUSALS_NEWER_CNT; i++)
		CHECK_EQ(newest[i].last_ns, newest[0].last_ns - i);
	memset(key, 0, sizeof(key));
	who = refused_of_key(key);
	CHECK_EQ(rows_of(&who, rows), 0);
	arena_close(&arena);
}

/* An address is refused as often as all of its keys together. */
static void test_of_one_moment_those_refused_most_come_first(void)
{
	struct refusal newest[REFUSALS_NEWER_CNT];
	const struct addr addr = {.ip = {192, 0, 2, 1}, .family = ADDR_IPV4};
	uint8_t key[32] = {0};

	load_make(LOAD_LINE_CNT);
	for (uint8_t i = 0; i < 2 * REFUSALS_NEWER_CNT; i++) {
		key[0] = i;
		load_refuse(&load, &(struct load_who){.key = key, .addr = &addr}, "a pool", 1, S);
	}
	CHECK_EQ(refusals_newest(&load.refusals, newest), REFUSALS_NEWER_CNT);
	CHECK_EQ(newest[0].who.kind, REFUSED_ADDR);
	CHECK_EQ(newest[0].cnt, 2 * REFUSALS_NEWER_CNT);
	arena_close(&arena);
}

static void test_costliest_networks_are_named_in_order(void)
{
	struct load_network one[LOAD_NETWORK_CNT] = {0}, two[LOAD_NETWORK_CNT] = {0};
	char text[ADDR_TEXT_CAP];

	load_make(LOAD_LINE_CNT);
	for (unsigned i = 1; i <= 40; i++) {
		snprintf(text, sizeof(text), "10.0.%u.7:1", i);
		charge(text, 10 * i, S);
	}
	charge("[2001:db8:5::9]:1", 9000, S);
	CHECK_EQ(load_networks(&load, S, one), LOAD_NETWORK_CNT);
	CHECK_STR(addr_format(&one[0].prefix, text), "[2001:db8:5::]:0");
	CHECK_EQ(one[0].prefix_len, 48);
	CHECK_EQ(one[0].load, 9000);
	for (unsigned i = 1; i < LOAD_NETWORK_CNT; i++) {
		CHECK_EQ(one[i].prefix_len, 24);
		CHECK_EQ(one[i].prefix.ip[2], 41 - i);
		CHECK_EQ(one[i].load, 10 * (41 - i));
	}
	two[0] = one[1];
	two[1] =
		(struct load_network){.prefix = addr_of("10.9.9.0:0"), .prefix_len = 24, .load = 5};
	load_networks_add(two, one);
	CHECK_EQ(two[0].load, 9000);
	CHECK_EQ(two[1].load, 800);
	CHECK_EQ(two[2].load, 390);
	arena_close(&arena);
}

/* A site's networks are those that fair shares use. */
static void test_site_moves_the_network(void)
{
	struct load_network networks[LOAD_NETWORK_CNT];

	load_make(LOAD_LINE_CNT);
	CHECK_EQ(fair_site_parse("10.0.0.0/8:28", &load.paths.site), 0);
	charge("10.1.1.17:1", 50, S);
	CHECK_EQ(load_networks(&load, S, networks), 1);
	CHECK_EQ(networks[0].prefix_len, 28);
	CHECK_EQ(networks[0].prefix.ip[3], 16);
	CHECK_EQ(networks[0].load, 50);
	arena_close(&arena);
}

/* --- the slow model: every peer's exact cost, decayed by the same steps --- */

struct model_account {
	double cost;
	uint64_t tick;
};
static struct model_account accounts[LIGHT_CNT + HEAVY_CNT];
static uint64_t model_tick;

static double model_cost(unsigned account)
{
	double cost = accounts[account].cost;

	for (uint64_t tick = accounts[account].tick; tick < model_tick && cost > 1e-9; tick++)
		cost *= TICK_DECAY;
	return cost;
}

static struct load_who who_of(unsigned account)
{
	return (struct load_who){.uid = account};
}

static void both_charge(unsigned account, uint32_t price, uint64_t now_ns)
{
	const struct load_who who = who_of(account);

	if (now_ns / TICK_NS > model_tick)
		model_tick = now_ns / TICK_NS;
	accounts[account].cost = model_cost(account) + price;
	accounts[account].tick = model_tick;
	load_charge(&load, &who, price, now_ns);
}

static double total;

/* No account is blamed for more than it cost, nor a costly one for much less. */
static void model_check(uint64_t now_ns)
{
	double bound, worst = 0;

	total = 0;
	for (unsigned i = 0; i < LIGHT_CNT + HEAVY_CNT; i++)
		total += model_cost(i);
	bound = ROUNDING + 4 * total / (LINE_CNT * LOAD_WAYS);
	for (unsigned i = 0; i < LIGHT_CNT + HEAVY_CNT; i++) {
		const struct load_who who = who_of(i);
		struct fair_path path;
		double cost = model_cost(i), missed;

		load_path(&load, &who, &path);
		missed = cost - load_read(&load, &path, 0, now_ns);
		CHECK(missed > -1e-6);
		worst = missed > worst ? missed : worst;
		CHECK(missed <= bound);
	}
}

static void run_against_model(uint64_t seed)
{
	struct random random;
	uint64_t now_ns = S;

	load_make(LINE_CNT);
	memset(accounts, 0, sizeof(accounts));
	model_tick = 0;
	random_init_seeded(&random, seed);
	for (unsigned i = 0; i < STEP_CNT && !check_failed; i++) {
		uint64_t draw = random_u64(&random);
		uint64_t at_ns;
		bool is_heavy = draw % 100 < 30;
		unsigned account = (unsigned)(draw >> 32);

		account = is_heavy ? LIGHT_CNT + account % HEAVY_CNT : account % LIGHT_CNT;
		now_ns += draw % 90000; /* some 18 s in all */
		at_ns = draw % 64 == 0 ? now_ns / 2 : now_ns;
		both_charge(account, (uint32_t)(is_heavy ? 1 + draw % 3 : draw % 4), at_ns);
		if (i % 40000 == 39999)
			model_check(now_ns);
	}
	arena_close(&arena);
}

static void test_heavy_accounts_are_found_and_light_ones_not_blamed(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++)
		run_against_model(seed);
}

int main(void)
{
	RUN(test_cost_counts_at_every_level_and_halves);
	RUN(test_clock_that_goes_backwards_changes_nothing);
	RUN(test_load_stops_at_its_greatest);
	RUN(test_the_lighter_branch_goes_first_where_paths_part);
	RUN(test_refused_take_is_charged_to_address_and_key_alone);
	RUN(test_refusals_name_the_pool_how_often_and_until_when);
	RUN(test_full_refusals_forget_the_oldest);
	RUN(test_of_one_moment_those_refused_most_come_first);
	RUN(test_costliest_networks_are_named_in_order);
	RUN(test_site_moves_the_network);
	RUN(test_heavy_accounts_are_found_and_light_ones_not_blamed);
	return check_done();
}
