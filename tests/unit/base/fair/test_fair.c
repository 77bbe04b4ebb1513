/* SPDX-License-Identifier: Apache-2.0 */
#include "base/memory/arena.h"
#include "base/fair/fair.h"
#include "base/fair/fair_path.h"
#include "base/random.h"
#include "support/check.h"

#define MS    1000000ull
#define S     (1000 * MS)
#define ITEMS 256u

static const struct fair_paths paths = {.secret = {5, 6}};
static struct arena arena;
static struct fair fair;
static struct fair_item items[ITEMS];
static struct fair_item *victim;

static void pool_make(const struct fair_config *config)
{
	memset(items, 0, sizeof(items));
	victim = NULL;
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    fair_init(&fair, &arena, config, paths.secret) < 0)
		abort();
}

static const struct fair_config work = {.name = "work",
					.kind = FAIR_WORK,
					.cap_cnt = 16,
					.level_cnt = FAIR_PEER_LEVELS,
					.idle_ns = 30 * S,
					.busy_ns = 2 * S,
					.parts = FAIR_PEER_PARTS};

static struct fair_path path_of(const char *text, unsigned key, enum fair_class class)
{
	struct fair_path path;
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	fair_path_of_addr(&paths, &addr, class, &path);
	fair_path_add(&paths, &path, &key, sizeof(key));
	return path;
}

static enum fair_verdict take(const char *text, unsigned key, enum fair_class class, unsigned item,
			      uint64_t now_ns)
{
	struct fair_path path = path_of(text, key, class);

	return fair_take(&fair, &path, &items[item], now_ns, &victim);
}

/* One unknown peer's key takes the whole pool, from items[0] on. */
static void pool_fill(uint64_t now_ns)
{
	for (unsigned i = 0; i < fair.config.cap_cnt; i++)
		if (take("192.0.2.1:1", 1, FAIR_UNKNOWN, i, now_ns) != FAIR_TAKEN)
			abort();
}

static void test_a_pool_too_small_to_divide_is_refused(void)
{
	static const struct {
		struct fair_config config;
		int want;
		const char *why;
	} rows[] = {
		{{.cap_cnt = 8, .level_cnt = 5, .parts = FAIR_PEER_PARTS}, 0, "each gets one"},
		{{.cap_cnt = 7, .level_cnt = 5, .parts = FAIR_PEER_PARTS},
		 WEFT_ETOOSMALL,
		 "the useful get none"},
		{{.cap_cnt = 0, .level_cnt = 5}, WEFT_ETOOSMALL, "no slot"},
		{{.cap_cnt = 1, .level_cnt = 1}, 0, "nothing to divide"},
		{{.cap_cnt = 64, .level_cnt = 5, .parts = {16, 1}}, WEFT_ETOOLARGE, "17 of 16"},
		{{.cap_cnt = 64, .level_cnt = FAIR_LEVEL_MAX + 1}, WEFT_ETOOLARGE, "too deep"},
		{{.cap_cnt = 64, .level_cnt = 0}, WEFT_ETOOLARGE, "no level"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (arena_open(&arena, ARENA_GROWS) < 0)
			abort();
		printf("# %s\n", rows[i].why);
		CHECK_EQ(fair_init(&fair, &arena, &rows[i].config, paths.secret), rows[i].want);
		arena_close(&arena);
	}
}

static void test_an_arena_smaller_than_the_footprint_is_refused(void)
{
	size_t len;

	if (arena_open(&arena, 4096) < 0)
		abort();
	CHECK_EQ(fair_init(&fair, &arena, &work, paths.secret), WEFT_EFULL);
	arena_close(&arena);
	pool_make(&work);
	len = arena.used_len;
	arena_close(&arena);
	if (arena_open(&arena, len) < 0)
		abort();
	CHECK_EQ(fair_init(&fair, &arena, &work, paths.secret), 0);
	CHECK_EQ(arena.used_len, arena.cap);
	arena_close(&arena);
}

static void test_one_account_may_use_an_idle_pool_whole_and_then_pays(void)
{
	pool_make(&work);
	pool_fill(S);
	CHECK_EQ(take("192.0.2.1:1", 1, FAIR_UNKNOWN, 20, S), FAIR_BUSY);
	CHECK_EQ(take("198.51.100.1:1", 2, FAIR_UNKNOWN, 21, S), FAIR_TAKEN_FROM);
	CHECK(victim == &items[0]);
	CHECK(!fair_item_holds(victim));
	arena_close(&arena);
}

/* 40 keys of one address are one address: the newcomer's network gets half of the pool. */
static void test_keys_of_one_address_share_one_share(void)
{
	unsigned granted_cnt = 0;

	pool_make(&work);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(take("192.0.2.1:1", i, FAIR_UNKNOWN, i, S), FAIR_TAKEN);
	for (unsigned i = 0; i < 16; i++)
		granted_cnt += take("198.51.100.1:1", 100, FAIR_UNKNOWN, 32 + i, S) != FAIR_BUSY;
	CHECK_EQ(granted_cnt, 8);
	arena_close(&arena);
}

static void test_the_slot_longest_without_progress_goes_first(void)
{
	pool_make(&work);
	pool_fill(S);
	fair_progress(&fair, &items[0], FAIR_WHOLE, 2 * S);
	fair_wait_own(&fair, &items[1], 2 * S);
	CHECK_EQ(take("198.51.100.1:1", 2, FAIR_UNKNOWN, 21, 2 * S), FAIR_TAKEN_FROM);
	CHECK(victim == &items[2]);
	arena_close(&arena);
}

static void test_a_standing_pool_drops_the_youngest_and_refuses_a_tie(void)
{
	struct fair_config config = work;

	config.kind = FAIR_LASTING;
	pool_make(&config);
	pool_fill(S);
	CHECK_EQ(take("198.51.100.1:1", 2, FAIR_UNKNOWN, 20, 100 * S), FAIR_TAKEN_FROM);
	CHECK(victim == &items[15]);
	for (unsigned i = 0; i < 7; i++)
		CHECK_EQ(take("198.51.100.1:1", 2, FAIR_UNKNOWN, 21 + i, 100 * S), FAIR_TAKEN_FROM);
	CHECK_EQ(take("198.51.100.1:1", 2, FAIR_UNKNOWN, 30, 1000 * S), FAIR_BUSY);
	arena_close(&arena);
}

/* More networks than slots: each holds one, and only time without progress tells them apart. */
static void test_a_tie_takes_only_what_is_past_the_grace(void)
{
	char text[32];

	pool_make(&work);
	for (unsigned i = 0; i < 16; i++) {
		snprintf(text, sizeof(text), "10.%u.0.1:1", i);
		CHECK_EQ(take(text, i, FAIR_UNKNOWN, i, S), FAIR_TAKEN);
	}
	CHECK_EQ(take("10.99.0.1:1", 99, FAIR_UNKNOWN, 20, S + 199 * MS), FAIR_BUSY);
	fair_progress(&fair, &items[0], FAIR_WHOLE, S + 199 * MS);
	fair_wait_own(&fair, &items[1], S + 199 * MS);
	CHECK_EQ(take("10.99.0.1:1", 99, FAIR_UNKNOWN, 20, S + 200 * MS), FAIR_TAKEN_FROM);
	CHECK(victim == &items[2]);
	arena_close(&arena);
}

static void test_a_class_below_its_floor_is_never_refused(void)
{
	pool_make(&work);
	for (unsigned i = 0; i < 16; i++)
		CHECK_EQ(take("192.0.2.1:1", 1, FAIR_CHOSEN, i, S), FAIR_TAKEN);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(take("198.51.100.1:1", 2, FAIR_UNKNOWN, 32 + i, S), FAIR_TAKEN_FROM);
	CHECK_EQ(take("198.51.100.1:1", 2, FAIR_UNKNOWN, 40, S), FAIR_BUSY);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(take("198.51.100.2:1", 3, FAIR_KNOWN, 48 + i, S), FAIR_TAKEN_FROM);
	arena_close(&arena);
}

static void test_a_class_above_its_floor_takes_from_the_lowest_above_theirs(void)
{
	pool_make(&work);
	pool_fill(S);
	for (unsigned i = 0; i < 12; i++)
		CHECK_EQ(take("198.51.100.1:1", 2, FAIR_CHOSEN, 32 + i, S), FAIR_TAKEN_FROM);
	CHECK_EQ(take("198.51.100.1:1", 2, FAIR_CHOSEN, 50, S), FAIR_BUSY);
	CHECK_EQ(fair.classes[FAIR_UNKNOWN] != NULL, true);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(take("198.51.100.2:1", 3, FAIR_KNOWN, 60 + i, S), FAIR_TAKEN_FROM);
	CHECK(victim >= &items[32] && victim < &items[48]);
	arena_close(&arena);
}

static void test_useful_peers_hold_their_part_and_then_count_as_known(void)
{
	struct fair_view view;

	pool_make(&work);
	for (unsigned i = 0; i < 5; i++)
		CHECK_EQ(take("192.0.2.1:1", 1, FAIR_USEFUL, i, S), FAIR_TAKEN);
	fair_read(&fair, &view);
	CHECK_EQ(view.held_cnts[FAIR_USEFUL], 2);
	CHECK_EQ(view.held_cnts[FAIR_KNOWN], 3);
	arena_close(&arena);
}

static void test_a_reserved_floor_is_kept_and_cannot_exceed_the_pool(void)
{
	pool_make(&work);
	CHECK_EQ(fair_reserve(&fair, FAIR_CHOSEN, 7), WEFT_ETOOLARGE);
	CHECK_EQ(fair_reserve(&fair, FAIR_KNOWN, 0), 0);
	CHECK_EQ(fair_reserve(&fair, FAIR_CHOSEN, 10), 0);
	arena_close(&arena);
}

static void test_one_byte_is_no_progress_and_a_steady_rate_is(void)
{
	static const struct {
		uint32_t bytes_per_100_ms;
		bool is_overdue;
	} rows[] = {{1, true}, {90, true}, {120, false}};
	uint64_t next_ns;

	for (unsigned row = 0; row < 3; row++) {
		pool_make(&work);
		CHECK_EQ(take("192.0.2.1:1", 1, FAIR_UNKNOWN, 0, S), FAIR_TAKEN);
		for (uint64_t now_ns = S; now_ns < 31 * S; now_ns += 100 * MS)
			fair_progress(&fair, &items[0], rows[row].bytes_per_100_ms, now_ns);
		CHECK_EQ(fair_overdue(&fair, 31 * S, &next_ns) != NULL, rows[row].is_overdue);
		arena_close(&arena);
	}
}

static void test_a_slot_of_a_peer_that_owes_nothing_is_never_overdue(void)
{
	uint64_t next_ns;

	pool_make(&work);
	CHECK_EQ(take("192.0.2.1:1", 1, FAIR_UNKNOWN, 0, S), FAIR_TAKEN);
	fair_wait_own(&fair, &items[0], 2 * S);
	CHECK(fair_overdue(&fair, 10000 * S, &next_ns) == NULL);
	CHECK(next_ns == UINT64_MAX);
	fair_wait_peer(&fair, &items[0], 10000 * S);
	CHECK(fair_overdue(&fair, 10029 * S, &next_ns) == NULL);
	CHECK_EQ(next_ns, 10030 * S);
	CHECK(fair_overdue(&fair, 10030 * S, &next_ns) == &items[0]);
	arena_close(&arena);
}

static void test_deadlines_are_short_from_a_full_take_until_a_tenth_was_free_for_a_second(void)
{
	uint64_t next_ns;

	pool_make(&work);
	pool_fill(S);
	CHECK(fair_overdue(&fair, 4 * S, &next_ns) == NULL);
	CHECK_EQ(take("192.0.2.1:1", 1, FAIR_UNKNOWN, 20, 1 * S), FAIR_TAKEN_FROM);
	CHECK(fair_overdue(&fair, 4 * S, &next_ns) == &items[1]);
	for (unsigned i = 1; i < 16; i++)
		fair_release(&fair, &items[i], 4 * S);
	fair_progress(&fair, &items[20], FAIR_WHOLE, 4 * S);
	CHECK(fair_overdue(&fair, 4 * S + 999 * MS, &next_ns) == NULL);
	CHECK_EQ(next_ns, 6 * S);
	CHECK(fair_overdue(&fair, 5 * S, &next_ns) == NULL);
	CHECK_EQ(next_ns, 34 * S);
	arena_close(&arena);
}

static void test_acquainted_peers_are_spared_where_the_pool_says_so(void)
{
	struct fair_config config = work;
	uint64_t next_ns;

	config.spares_acquainted = true;
	pool_make(&config);
	CHECK_EQ(take("192.0.2.1:1", 1, FAIR_KNOWN, 0, S), FAIR_TAKEN);
	CHECK_EQ(take("192.0.2.1:1", 1, FAIR_UNKNOWN, 1, 2 * S), FAIR_TAKEN);
	CHECK(fair_overdue(&fair, 100 * S, &next_ns) == &items[1]);
	arena_close(&arena);
}

static struct fair_item *moving;

static bool poll_moving(struct fair_item *item, uint64_t now_ns)
{
	if (item == moving)
		fair_progress(&fair, item, FAIR_WHOLE, now_ns);
	return item == moving;
}

static void test_an_owner_that_is_polled_may_say_that_there_was_progress(void)
{
	uint64_t next_ns;

	pool_make(&work);
	fair_set_poll(&fair, poll_moving);
	moving = &items[0];
	pool_fill(S);
	CHECK_EQ(take("192.0.2.1:1", 1, FAIR_UNKNOWN, 20, S + 300 * MS), FAIR_TAKEN_FROM);
	CHECK(victim == &items[1]);
	CHECK(fair_overdue(&fair, 3 * S, &next_ns) == &items[2]);
	arena_close(&arena);
}

static void test_not_before_grows_with_refusals_in_a_row_up_to_thirty_seconds(void)
{
	struct fair_path path = path_of("198.51.100.1:1", 9, FAIR_UNKNOWN);
	struct fair_path other = path_of("203.0.113.1:1", 8, FAIR_UNKNOWN);
	struct fair_config config = work;
	uint32_t wait_ms;

	config.kind = FAIR_LASTING;
	config.cap_cnt = 8;
	pool_make(&config);
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(take("198.51.100.1:1", 9, FAIR_UNKNOWN, i, S), FAIR_TAKEN);
	for (unsigned row = 1; row <= 1000; row++) {
		CHECK_EQ(fair_take(&fair, &path, &items[20], S, &victim), FAIR_BUSY);
		wait_ms = fair_not_before_ms(&fair, &path, S);
		CHECK(wait_ms >= (row < 500 ? 50 * (1 + row) : 25000) && wait_ms <= 30000);
		CHECK(row > 100 || wait_ms <= 150 * (1 + row));
	}
	wait_ms = fair_not_before_ms(&fair, &other, S);
	CHECK(wait_ms >= 100 && wait_ms <= 300);
	CHECK_EQ(fair_take(&fair, &path, &items[20], 100 * S, &victim), FAIR_BUSY);
	wait_ms = fair_not_before_ms(&fair, &path, 100 * S);
	CHECK(wait_ms >= 100 && wait_ms <= 300);
	arena_close(&arena);
}

static void test_a_moved_slot_leaves_its_old_account(void)
{
	struct fair_path known = path_of("192.0.2.1:1", 1, FAIR_KNOWN);
	struct fair_view view;

	pool_make(&work);
	pool_fill(S);
	fair_move(&fair, &items[3], &known, 2 * S);
	fair_read(&fair, &view);
	CHECK_EQ(view.held_cnts[FAIR_UNKNOWN], 15);
	CHECK_EQ(view.held_cnts[FAIR_KNOWN], 1);
	CHECK_EQ(view.held_cnt, 16);
	CHECK_EQ(view.largest_cnts[0], 15);
	CHECK_EQ(view.largest_cnts[3], 15);
	CHECK_EQ(view.largest_cnts[4], 0);
	arena_close(&arena);
}

#define TRACE_STEPS 20000u
#define HONEST_CNT  4u

/* Five attacking networks of unknown peers and crowds of the other classes, at random. */
static void attack(struct random *random, uint64_t now_ns)
{
	unsigned item = 16 + (unsigned)random_below(random, 200);
	char text[48];

	if (fair_item_holds(&items[item]))
		return fair_release(&fair, &items[item], now_ns);
	snprintf(text, sizeof(text),
		 random_below(random, 2) ? "10.%u.0.%u:1" : "[2001:db8:%u::%u]:1",
		 (unsigned)random_below(random, 3), (unsigned)random_below(random, 9));
	(void)!take(text, (unsigned)random_below(random, 40),
		    random_below(random, 3) ? FAIR_UNKNOWN
					    : (enum fair_class)random_below(random, FAIR_CLASS_CNT),
		    item, now_ns);
}

/*
 * The honest hold at most two slots each, of 64: their floor's sixteen
 * divide by two families, then by four networks. A /24 of theirs has two
 * keys with one slot.
 */
static void trace_run(uint64_t seed, bool is_attacked, uint8_t *out_verdicts)
{
	static const struct fair_config config = {.name = "trace",
						  .kind = FAIR_WORK,
						  .cap_cnt = 64,
						  .level_cnt = FAIR_PEER_LEVELS,
						  .parts = FAIR_PEER_PARTS};
	static const char *const addrs[HONEST_CNT] = {
		"198.51.100.1:1", "198.51.100.2:1", "[2001:db8:77::1]:1", "[2001:db8:77:100::2]:1"};
	struct random honest, attacker;

	pool_make(&config);
	random_init_seeded(&honest, seed);
	random_init_seeded(&attacker, seed + 1000);
	for (unsigned step = 0; step < TRACE_STEPS; step++) {
		unsigned i = (unsigned)random_below(&honest, HONEST_CNT);
		uint64_t now_ns = S + step * MS;

		for (unsigned j = 0; is_attacked && j < 8; j++)
			attack(&attacker, now_ns);
		if (!fair_item_holds(&items[i]))
			out_verdicts[step] =
				take(addrs[i], 1000 + i, FAIR_UNKNOWN, i, now_ns) == FAIR_BUSY;
		else if (random_below(&honest, 2))
			fair_release(&fair, &items[i], now_ns);
		out_verdicts[step] |= (uint8_t)(fair_item_holds(&items[i]) << 1);
	}
	arena_close(&arena);
}

static void test_attackers_change_no_verdict_of_accounts_within_their_share(void)
{
	static uint8_t alone[TRACE_STEPS], attacked[TRACE_STEPS];

	for (uint64_t seed = 1; seed <= 8; seed++) {
		memset(alone, 0, sizeof(alone));
		memset(attacked, 0, sizeof(attacked));
		trace_run(seed, false, alone);
		trace_run(seed, true, attacked);
		CHECK_EQ(memcmp(alone, attacked, sizeof(alone)), 0);
	}
}

static void test_two_accounts_that_take_in_turn_stop_evicting_each_other(void)
{
	unsigned evicted_cnt = 0;

	pool_make(&work);
	pool_fill(S);
	for (unsigned round = 0; round < 100; round++)
		for (unsigned i = 16; i < 48; i++)
			if (!fair_item_holds(&items[i]))
				evicted_cnt += take(i % 2 ? "198.51.100.1:1" : "203.0.113.1:1",
						    i % 2, FAIR_UNKNOWN, i, S) == FAIR_TAKEN_FROM;
	CHECK(evicted_cnt <= 16);
	arena_close(&arena);
}

/* A resource beside the slots is full: the same item goes that a full pool would take from. */
static void test_victim_is_named_while_slots_are_free(void)
{
	struct fair_path asker = path_of("198.51.100.1:1", 9, FAIR_UNKNOWN);
	struct fair_path own = path_of("192.0.2.1:1", 1, FAIR_UNKNOWN);
	struct fair_view view;

	pool_make(&work);
	CHECK(!fair_victim(&fair, &asker, 0));
	for (unsigned i = 0; i < 3; i++)
		CHECK_EQ(take("192.0.2.1:1", 1, FAIR_UNKNOWN, i, i), FAIR_TAKEN);
	CHECK_EQ(fair_held(&fair, &own, 1), 3);
	CHECK_EQ(fair_held(&fair, &asker, 1), 0);
	CHECK(fair_victim(&fair, &asker, 3) == &items[0]);
	CHECK(!fair_victim(&fair, &own, 3)); /* no peer holds more than it does */
	fair_evict(&fair, &items[0], 3);
	CHECK(!fair_item_holds(&items[0]));
	fair_read(&fair, &view);
	CHECK_EQ(view.held_cnt, 2);
	CHECK_EQ(view.evicted_cnts[FAIR_UNKNOWN], 1);
}

/*
 * Each peer in turn asks for a slot, again and again; one that lost its slot asks like all others.
 */
static void peers_compete(const struct fair_path *peers, unsigned cnt, unsigned round_cnt)
{
	for (unsigned i = 0; i < round_cnt * cnt; i++) {
		struct fair_item *item = items;

		while (fair_item_holds(item))
			item++;
		(void)!fair_take(&fair, &peers[i % cnt], item, S + i, &victim);
	}
}

static unsigned held_by(const struct fair_path *path)
{
	unsigned held_cnt = 0;

	for (unsigned i = 0; i < (path->share_cnt ? path->share_cnt : 1u); i++) {
		struct fair_path branch = *path;

		/* As the branches of a share are made. */
		branch.share_cnt = 0;
		branch.ids[1] += i * 0x9e3779b97f4a7c15ull;
		held_cnt += fair_held(&fair, &branch, 1);
	}
	return held_cnt;
}

#define SIBLINGS 9u

/* peers[0] has share, the others have none; each is in a network of its own. */
static void siblings_make(struct fair_path peers[static SIBLINGS], uint8_t share_cnt)
{
	struct fair_config config = work;
	char text[32];

	config.cap_cnt = 128;
	config.kind = FAIR_LASTING;
	pool_make(&config);
	for (unsigned i = 0; i < SIBLINGS; i++) {
		snprintf(text, sizeof(text), "198.51.%u.1:1", i);
		peers[i] = path_of(text, i, FAIR_CHOSEN);
	}
	peers[0].share_cnt = share_cnt;
}

static void test_a_share_of_eight_holds_eight_times_what_a_sibling_does(void)
{
	static const uint8_t shares[] = {0, 1, 2, 8, FAIR_SHARE_MAX};
	struct fair_path peers[SIBLINGS];

	for (unsigned i = 0; i < sizeof(shares); i++) {
		unsigned share_cnt = shares[i] ? shares[i] : 1;
		unsigned part_cnt = 128 / (SIBLINGS - 1 + share_cnt);

		printf("# share %u\n", shares[i]);
		siblings_make(peers, shares[i]);
		peers_compete(peers, SIBLINGS, 200);
		CHECK_EQ(fair.held_cnt, 128);
		for (unsigned k = 1; k < SIBLINGS; k++)
			CHECK(held_by(&peers[k]) - part_cnt <= 1);
		CHECK(held_by(&peers[0]) >= part_cnt * share_cnt);
		CHECK(held_by(&peers[0]) <= (part_cnt + 1) * share_cnt);
		arena_close(&arena);
	}
}

/* What it is given is its own: neighbours of its network do not lose by it, nor gain. */
static void test_neighbours_of_a_share_keep_the_part_of_their_network(void)
{
	struct fair_path peers[SIBLINGS];

	siblings_make(peers, 8);
	peers[1] = path_of("198.51.0.2:1", 1, FAIR_CHOSEN);
	peers_compete(peers, SIBLINGS, 200);
	/* Seven networks and the seven branches of the share, and one that both are in. */
	CHECK(fair_held(&fair, &peers[2], 1) - 128 / 15 <= 1);
	CHECK(fair_held(&fair, &peers[1], 1) - 128 / 15 <= 1);
	CHECK(fair_held(&fair, &peers[1], 2) >= 128 / 15 / 2);
	arena_close(&arena);
}

static void test_a_share_is_asked_and_taken_alike(void)
{
	struct fair_path peers[SIBLINGS];
	unsigned granted_cnt = 0;

	siblings_make(peers, 8);
	for (unsigned i = 0; i < 128; i++)
		(void)!fair_take(&fair, &peers[1 + i % (SIBLINGS - 1)], &items[i], S, &victim);
	for (unsigned i = 128; i < ITEMS; i++) {
		bool may = fair_may_take(&fair, &peers[0], S);

		CHECK_EQ(fair_take(&fair, &peers[0], &items[i], S, &victim) != FAIR_BUSY, may);
		granted_cnt += may;
	}
	CHECK_EQ(granted_cnt, 64);
	arena_close(&arena);
}

int main(void)
{
	RUN(test_a_pool_too_small_to_divide_is_refused);
	RUN(test_an_arena_smaller_than_the_footprint_is_refused);
	RUN(test_one_account_may_use_an_idle_pool_whole_and_then_pays);
	RUN(test_keys_of_one_address_share_one_share);
	RUN(test_the_slot_longest_without_progress_goes_first);
	RUN(test_a_standing_pool_drops_the_youngest_and_refuses_a_tie);
	RUN(test_a_tie_takes_only_what_is_past_the_grace);
	RUN(test_a_class_below_its_floor_is_never_refused);
	RUN(test_a_class_above_its_floor_takes_from_the_lowest_above_theirs);
	RUN(test_useful_peers_hold_their_part_and_then_count_as_known);
	RUN(test_a_reserved_floor_is_kept_and_cannot_exceed_the_pool);
	RUN(test_one_byte_is_no_progress_and_a_steady_rate_is);
	RUN(test_a_slot_of_a_peer_that_owes_nothing_is_never_overdue);
	RUN(test_deadlines_are_short_from_a_full_take_until_a_tenth_was_free_for_a_second);
	RUN(test_acquainted_peers_are_spared_where_the_pool_says_so);
	RUN(test_an_owner_that_is_polled_may_say_that_there_was_progress);
	RUN(test_not_before_grows_with_refusals_in_a_row_up_to_thirty_seconds);
	RUN(test_a_moved_slot_leaves_its_old_account);
	RUN(test_attackers_change_no_verdict_of_accounts_within_their_share);
	RUN(test_two_accounts_that_take_in_turn_stop_evicting_each_other);
	RUN(test_victim_is_named_while_slots_are_free);
	RUN(test_a_share_of_eight_holds_eight_times_what_a_sibling_does);
	RUN(test_neighbours_of_a_share_keep_the_part_of_their_network);
	RUN(test_a_share_is_asked_and_taken_alike);
	return check_done();
}
