/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/find/known_relays.h"

#include "base/memory/arena.h"
#include "base/monotonic.h"
#include "base/random.h"
#include "support/check.h"

#define CAP    64u
#define WALL_S 1800000000ull

static struct arena arena;
static struct random dice;
static struct relay_known *known;

typedef unsigned (*rank_fn)(void *ctx, const uint8_t *key);

static void begin_ranked_of(rank_fn rank, uint32_t cap)
{
	const struct relay_known_config config = {.cap = cap, .rank = rank};

	random_init_seeded(&dice, 7);
	if (arena_open(&arena, ARENA_GROWS) < 0 ||
	    relay_known_new(&arena, &config, &dice, &known) < 0)
		abort();
}

static void begin_ranked(rank_fn rank)
{
	begin_ranked_of(rank, CAP);
}

static void begin(void)
{
	begin_ranked(NULL);
}

static void end(void)
{
	arena_close(&arena);
}

static struct addr addr_of(unsigned network, uint8_t host)
{
	return (struct addr){.family = ADDR_IPV4,
			     .ip = {10, (uint8_t)(network >> 8), (uint8_t)network, host},
			     .port = 7000};
}

static struct relay_announcement announcement_of(unsigned number)
{
	struct relay_announcement announcement = {
		.key = {(uint8_t)(number >> 8), (uint8_t)number, 1},
		.addr_cnt = 1,
		.caps = RELAY_ANNOUNCEMENT_CAP,
		.issued_s = WALL_S,
		.expires_s = WALL_S + 3600,
	};

	announcement.addrs[0] = addr_of(number, 1);
	return announcement;
}

static enum relay_known_verdict put(const struct relay_announcement *announcement,
				    struct relay_teller teller)
{
	return relay_known_put(known,
			       &(struct relay_known_entry){.announcement = announcement,
							   .bytes = announcement->key,
							   .len = 3,
							   .teller = teller},
			       NS_PER_S);
}

static enum relay_known_verdict put_at(unsigned number, unsigned place)
{
	struct relay_announcement announcement = announcement_of(number);

	return put(&announcement, (struct relay_teller){RELAY_TOLD_BY_OVERLAY, .place = place});
}

static enum relay_known_verdict put_told(unsigned number, struct addr teller)
{
	struct relay_announcement announcement = announcement_of(number);

	return put(&announcement, (struct relay_teller){RELAY_TOLD_BY_RELAY, .addr = teller});
}

static bool has(unsigned number)
{
	return relay_known_find(known, announcement_of(number).key) != NULL;
}

static void succeed(unsigned number)
{
	struct relay_announcement announcement = announcement_of(number);

	relay_known_succeeded(known, announcement.key, &announcement.addrs[0], NS_PER_MS, NS_PER_S);
}

static void test_a_later_announcement_takes_the_place_of_the_one_before(void)
{
	struct relay_announcement announcement = announcement_of(1);
	const struct relay_teller teller = {RELAY_TOLD_BY_OVERLAY, .place = 3};

	begin();
	CHECK_EQ(put(&announcement, teller), RELAY_KNOWN_ADDED);
	succeed(1);
	CHECK_EQ(put(&announcement, teller), RELAY_KNOWN_OLD);
	announcement.issued_s++;
	announcement.capacity.flow_cap = 9;
	CHECK_EQ(put(&announcement, teller), RELAY_KNOWN_RENEWED);
	CHECK_EQ(relay_known_cnt(known), 1);
	CHECK_EQ(relay_known_find(known, announcement.key)->announcement.capacity.flow_cap, 9);
	CHECK_EQ(relay_known_find(known, announcement.key)->score.success_cnt, 1);
	end();
}

static void test_an_announcement_leaves_when_it_expires(void)
{
	begin();
	CHECK_EQ(put_at(1, 0), RELAY_KNOWN_ADDED);
	relay_known_expire(known, WALL_S + 3599, NS_PER_S);
	CHECK(has(1));
	relay_known_expire(known, WALL_S + 3600, NS_PER_S);
	CHECK(!has(1));
	CHECK_EQ(put_at(1, 0), RELAY_KNOWN_ADDED);
	end();
}

static void test_one_more_than_the_table_holds_is_no_more(void)
{
	struct fair_view view;

	begin();
	for (unsigned i = 0; i < CAP; i++)
		CHECK_EQ(put_told(i, addr_of(9000, 1)), RELAY_KNOWN_ADDED);
	CHECK_EQ(relay_known_cnt(known), CAP);
	CHECK_EQ(put_told(CAP, addr_of(9000, 1)), RELAY_KNOWN_FULL);
	CHECK_EQ(relay_known_cnt(known), CAP);
	CHECK(!has(CAP));
	relay_known_view(known, &view);
	CHECK_EQ(view.cap_cnt, CAP);
	CHECK_EQ(view.held_cnt, CAP);
	CHECK_EQ(view.refused_cnts[FAIR_UNKNOWN], 1);
	end();
}

/* Keys and addresses cost nothing: a liar names as many as it likes. */
static void test_a_flood_by_one_teller_costs_no_other_its_place(void)
{
	begin();
	for (unsigned i = 0; i < 4 * CAP; i++)
		(void)put_told(i, addr_of(9000, 1));
	for (unsigned i = 0; i < 8; i++)
		CHECK_EQ(put_at(10000 + i, i), RELAY_KNOWN_ADDED);
	for (unsigned i = 0; i < 4 * CAP; i++)
		(void)put_told(20000 + i, addr_of(9000, 2));
	for (unsigned i = 0; i < 8; i++)
		CHECK(has(10000 + i));
	CHECK_EQ(relay_known_cnt(known), CAP);
	end();
}

static void test_a_flooded_place_costs_the_other_places_nothing(void)
{
	begin();
	for (unsigned i = 0; i < 4 * CAP; i++)
		(void)put_at(i, 5);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(put_at(10000 + i, i), RELAY_KNOWN_ADDED);
	for (unsigned i = 0; i < 4 * CAP; i++)
		(void)put_at(20000 + i, 5);
	for (unsigned i = 0; i < 4; i++)
		CHECK(has(10000 + i));
	end();
}

static void test_relays_that_have_served_keep_half_of_the_table(void)
{
	begin();
	for (unsigned i = 0; i < CAP / 2; i++) {
		CHECK_EQ(put_at(i, i % RELAY_PLACES), RELAY_KNOWN_ADDED);
		succeed(i);
	}
	for (unsigned i = 0; i < 8 * CAP; i++)
		(void)put_at(10000 + i, i % RELAY_PLACES);
	for (unsigned i = 0; i < CAP / 2; i++)
		CHECK(has(i));
	CHECK_EQ(relay_known_live_cnt(known), CAP / 2);
	end();
}

static void test_a_draw_gives_each_relay_once_and_paused_ones_last(void)
{
	const struct relay_known_row *drawn[CAP];
	struct relay_want want = {0};
	unsigned cnt;

	begin();
	for (unsigned i = 0; i < 6; i++)
		CHECK_EQ(put_at(i, i), RELAY_KNOWN_ADDED);
	for (unsigned i = 0; i < 2; i++)
		relay_known_failed(known, announcement_of(i).key, NS_PER_S);
	for (unsigned round = 0; round < 50; round++) {
		cnt = relay_known_draw(known, &want, NS_PER_S, drawn, CAP);
		CHECK_EQ(cnt, 6);
		for (unsigned i = 0; i < cnt; i++) {
			CHECK_EQ(drawn[i]->announcement.key[1] < 2, i >= 4);
			for (unsigned k = 0; k < i; k++)
				CHECK(drawn[i] != drawn[k]);
		}
	}
	CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, drawn, 3), 3);
	end();
}

static void test_a_draw_leaves_out_what_is_not_wanted(void)
{
	struct relay_announcement content = announcement_of(1);
	const uint8_t skip[1][PEER_ADDR_KEY_LEN] = {{0, 2, 1}};
	struct relay_want want = {.skip = skip, .skip_cnt = 1};
	const struct relay_known_row *drawn[CAP];

	begin();
	content.caps |= 0x10000;
	CHECK_EQ(put(&content, (struct relay_teller){0}), RELAY_KNOWN_ADDED);
	CHECK_EQ(put_at(2, 1), RELAY_KNOWN_ADDED);
	CHECK_EQ(put_at(3, 2), RELAY_KNOWN_ADDED);
	CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, drawn, CAP), 2);
	CHECK(drawn[0]->announcement.key[1] != 2 && drawn[1]->announcement.key[1] != 2);
	want = (struct relay_want){.caps = 0x10000};
	CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, drawn, CAP), 1);
	CHECK_EQ(drawn[0]->announcement.key[1], 1);
	end();
}

/* Of two relays one has the weight of 40 points at 100 ms, the other of 10 at 200 ms. */
static void test_draws_follow_the_weights(void)
{
	const struct relay_known_row *drawn;
	struct relay_want want = {0};
	struct relay_announcement good = announcement_of(1);
	unsigned good_cnt = 0;

	begin();
	CHECK_EQ(put_at(1, 1), RELAY_KNOWN_ADDED);
	CHECK_EQ(put_at(2, 2), RELAY_KNOWN_ADDED);
	for (unsigned i = 0; i < 30; i++)
		relay_known_succeeded(known, good.key, &good.addrs[0], 100 * NS_PER_MS, NS_PER_S);
	for (unsigned i = 0; i < 7000; i++) {
		CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, &drawn, 1), 1);
		good_cnt += drawn->announcement.key[1] == 1;
	}
	/* 40000/200 lots of 40000/200 + 10000/300: six in seven. */
	CHECK(good_cnt > 5880 && good_cnt < 6120);
	end();
}

/* --- ranks --- */

static unsigned ranked_cnt;
static unsigned ranks[256]; /* by the second byte of the key */

static unsigned rank_of(void *ctx, const uint8_t *key)
{
	(void)ctx;
	ranked_cnt++;
	return ranks[key[1]];
}

static void test_lower_ranks_are_drawn_first_whatever_their_score(void)
{
	const struct relay_want want = {.rank_end = 4}, middle = {.rank_min = 1, .rank_end = 3};
	const struct relay_known_row *drawn[CAP];
	struct relay_announcement good = announcement_of(1);

	begin_ranked(rank_of);
	ranks[1] = 3, ranks[2] = 2, ranks[3] = 1, ranks[4] = 0;
	for (unsigned i = 1; i <= 4; i++)
		CHECK_EQ(put_at(i, i), RELAY_KNOWN_ADDED);
	for (unsigned i = 0; i < 30; i++)
		relay_known_succeeded(known, good.key, &good.addrs[0], NS_PER_MS, NS_PER_S);
	CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, drawn, CAP), 4);
	for (unsigned i = 0; i < 4; i++)
		CHECK_EQ(drawn[i]->announcement.key[1], 4 - i);
	/* One that failed lately stands behind all that did not. */
	relay_known_failed(known, announcement_of(4).key, NS_PER_S);
	CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, drawn, CAP), 4);
	CHECK_EQ(drawn[0]->announcement.key[1], 3);
	CHECK_EQ(drawn[3]->announcement.key[1], 4);
	/* Ranks outside are left out. */
	CHECK_EQ(relay_known_draw(known, &middle, NS_PER_S, drawn, CAP), 2);
	CHECK_EQ(drawn[0]->announcement.key[1], 3);
	CHECK_EQ(drawn[1]->announcement.key[1], 2);
	end();
}

/* A list for others is one: it must not show which relays this node trusts. */
static void test_a_draw_without_ranks_asks_for_none_and_heeds_none(void)
{
	const struct relay_want want = {0};
	const struct relay_known_row *drawn;
	unsigned first_cnt = 0;

	begin_ranked(rank_of);
	ranked_cnt = 0;
	ranks[1] = 3, ranks[2] = 0;
	CHECK_EQ(put_at(1, 1), RELAY_KNOWN_ADDED);
	CHECK_EQ(put_at(2, 2), RELAY_KNOWN_ADDED);
	for (unsigned i = 0; i < 1000; i++) {
		CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, &drawn, 1), 1);
		first_cnt += drawn->announcement.key[1] == 1;
	}
	CHECK(first_cnt > 400 && first_cnt < 600);
	CHECK_EQ(ranked_cnt, 0);
	end();
}

static void test_a_rank_is_asked_for_once_a_minute(void)
{
	const struct relay_want want = {.rank_end = 4};
	const struct relay_known_row *drawn[CAP];

	begin_ranked(rank_of);
	ranked_cnt = 0;
	ranks[1] = 1;
	CHECK_EQ(put_at(1, 1), RELAY_KNOWN_ADDED);
	for (unsigned i = 0; i < 100; i++)
		CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, drawn, CAP), 1);
	CHECK_EQ(ranked_cnt, 1);
	ranks[1] = 0;
	CHECK_EQ(relay_known_draw(known, &want, 60 * NS_PER_S, drawn, CAP), 1);
	CHECK_EQ(drawn[0]->rank, 1);
	CHECK_EQ(relay_known_draw(known, &want, 61 * NS_PER_S, drawn, CAP), 1);
	CHECK_EQ(drawn[0]->rank, 0);
	CHECK_EQ(ranked_cnt, 2);
	end();
}

/* The look into the store is bounded in a draw: the 257th relay waits for the next. */
static void test_no_more_ranks_than_the_bound_are_asked_for_in_one_draw(void)
{
	const struct relay_want want = {.rank_end = 4};
	const struct relay_known_row *drawn[1];

	begin_ranked_of(rank_of, 4 * RELAY_RANKS_MAX);
	ranked_cnt = 0;
	for (unsigned i = 0; i <= RELAY_RANKS_MAX; i++)
		CHECK_EQ(put_at(i, i % RELAY_PLACES), RELAY_KNOWN_ADDED);
	CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, drawn, 1), 1);
	CHECK_EQ(ranked_cnt, RELAY_RANKS_MAX);
	CHECK_EQ(relay_known_draw(known, &want, NS_PER_S, drawn, 1), 1);
	CHECK_EQ(ranked_cnt, RELAY_RANKS_MAX + 1);
	end();
}

int main(void)
{
	RUN(test_lower_ranks_are_drawn_first_whatever_their_score);
	RUN(test_a_draw_without_ranks_asks_for_none_and_heeds_none);
	RUN(test_a_rank_is_asked_for_once_a_minute);
	RUN(test_no_more_ranks_than_the_bound_are_asked_for_in_one_draw);
	RUN(test_a_later_announcement_takes_the_place_of_the_one_before);
	RUN(test_an_announcement_leaves_when_it_expires);
	RUN(test_one_more_than_the_table_holds_is_no_more);
	RUN(test_a_flood_by_one_teller_costs_no_other_its_place);
	RUN(test_a_flooded_place_costs_the_other_places_nothing);
	RUN(test_relays_that_have_served_keep_half_of_the_table);
	RUN(test_a_draw_gives_each_relay_once_and_paused_ones_last);
	RUN(test_a_draw_leaves_out_what_is_not_wanted);
	RUN(test_draws_follow_the_weights);
	return check_done();
}
