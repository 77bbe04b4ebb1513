/* SPDX-License-Identifier: Apache-2.0 */
#include "social/sync/post_ranges.h"

#include "base/memory/arena.h"
#include "base/random.h"
#include "support/check.h"

#define POSTS_MAX 120000u
#define SECRET	  7u /* flags of a post that the peer may not have */

/* One of two nodes. */
struct side {
	struct post_index index;
	struct range_posts posts;
	uint32_t lacking_cnt;
	struct post_row *lacking; /* ids alone */
};
static struct side sides[2];
static struct arena arena;
static struct random random_state;
static size_t bytes_sent;
static unsigned message_cnt;

static bool is_open(void *ctx, const struct post_row *row)
{
	(void)ctx;
	return row->flags != SECRET;
}

static void on_lacking(void *ctx, const uint8_t row[static RANGE_ROW_LEN])
{
	struct side *side = ctx;

	if (side->lacking_cnt < POSTS_MAX)
		memcpy(side->lacking[side->lacking_cnt++].id, row, POST_ID_LEN);
}

static void sides_up(void)
{
	if (arena_open(&arena, ARENA_GROWS) < 0)
		exit(1);
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = &sides[i];

		if (social_index_init(&side->index, &arena, POSTS_MAX) < 0)
			exit(1);
		side->lacking = calloc(POSTS_MAX, sizeof(*side->lacking));
		side->lacking_cnt = 0;
		side->posts = (struct range_posts){.index = &side->index,
						   .may_have = is_open,
						   .lacking = on_lacking,
						   .ctx = side};
	}
	random_init_seeded(&random_state, 18);
	bytes_sent = 0;
	message_cnt = 0;
}

static void sides_down(void)
{
	for (unsigned i = 0; i < 2; i++)
		free(sides[i].lacking);
	arena_close(&arena);
}

static struct post_row row_of_time(uint64_t time_ms)
{
	struct post_row row = {.time_ms = time_ms};

	random_fill(&random_state, row.id, sizeof(row.id));
	return row;
}

static void put(struct side *side, const struct post_row *row)
{
	if (!social_index_put(&side->index, row))
		exit(1);
}

/* Messages go to and fro until one side has nothing to say. Less than 0: a message was refused. */
static int sync_sides(void)
{
	static uint8_t buffers[2][RANGE_MESSAGE_MAX];
	struct writer w = writer_of(buffers[0], sizeof(buffers[0]));
	unsigned at = 0;
	int more = 1;

	social_ranges_open(&sides[0].posts, &w);
	while (more > 0) {
		struct writer next = writer_of(buffers[1 - at], sizeof(buffers[0]));

		if (w.bad || message_cnt > 10000)
			return -1;
		bytes_sent += writer_len(&w);
		message_cnt++;
		at = 1 - at;
		more = social_ranges_answer(&sides[at].posts, w.start, writer_len(&w), &next);
		w = next;
	}
	return more;
}

/* What a side was found to lack; each is then put, as if it had been fetched. */
static uint32_t fetch(unsigned to)
{
	struct side *side = &sides[to], *other = &sides[1 - to];
	struct post_place place = {0};
	const struct post_row *row;
	uint32_t cnt = 0;

	while ((row = social_index_next(&other->index, &place)))
		for (uint32_t i = 0; i < side->lacking_cnt; i++)
			if (memcmp(row->id, side->lacking[i].id, POST_ID_LEN) == 0 &&
			    !social_index_find(&side->index, row->time_ms, row->id)) {
				put(side, row);
				cnt++;
				break;
			}
	side->lacking_cnt = 0;
	return cnt;
}

static bool sides_are_equal(void)
{
	struct post_place places[2] = {{0}};
	const struct post_row *a, *b;

	do {
		a = social_index_next(&sides[0].index, &places[0]);
		b = social_index_next(&sides[1].index, &places[1]);
		if (!a != !b || (a && memcmp(a->id, b->id, POST_ID_LEN) != 0))
			return false;
	} while (a);
	return true;
}

/* Sets of any size and overlap, with many posts of one moment. */
static void test_both_sides_learn_all_that_they_lack(void)
{
	for (unsigned round = 0; round < 200; round++) {
		uint32_t cnt = round % 3 == 0 ? round : 40 * round;
		uint32_t want[2] = {0};

		sides_up();
		for (uint32_t i = 0; i < cnt; i++) {
			struct post_row row = row_of_time(random_u64(&random_state) % (cnt + 1));
			unsigned who = (unsigned)(random_u64(&random_state) % 20);

			if (who != 0)
				put(&sides[0], &row);
			if (who != 1)
				put(&sides[1], &row);
			want[0] += who == 0;
			want[1] += who == 1;
		}
		CHECK_EQ(sync_sides(), 0);
		CHECK_EQ(fetch(0), want[0]);
		CHECK_EQ(fetch(1), want[1]);
		CHECK(sides_are_equal());
		sides_down();
	}
}

static void test_an_empty_side_learns_of_10000_posts(void)
{
	for (unsigned who = 0; who < 2; who++) {
		sides_up();
		for (uint32_t i = 0; i < 10000; i++) {
			struct post_row row = row_of_time(i / 3);

			put(&sides[who], &row);
		}
		CHECK_EQ(sync_sides(), 0);
		CHECK_EQ(sides[who].lacking_cnt, 0);
		CHECK_EQ(fetch(1 - who), 10000);
		sides_down();
	}
}

static void test_100000_posts_of_which_10_differ_take_50_kb(void)
{
	sides_up();
	for (uint32_t i = 0; i < 100000; i++) {
		struct post_row row = row_of_time(1800000000000 + i * 60000ull);

		if (i % 10000 != 777)
			put(&sides[0], &row);
		put(&sides[1], &row);
	}
	CHECK_EQ(sync_sides(), 0);
	CHECK_EQ(fetch(0), 10);
	printf("# %zu bytes in %u messages\n", bytes_sent, message_cnt);
	CHECK(bytes_sent <= 50000);
	sides_down();
}

/* Equal but for posts that the other may not have: nothing is said, and one message goes. */
static void test_what_the_peer_may_not_have_is_not_counted(void)
{
	sides_up();
	for (uint32_t i = 0; i < 1000; i++) {
		struct post_row row = row_of_time(i), secret = row_of_time(i);

		secret.flags = SECRET;
		put(&sides[0], &row);
		put(&sides[1], &row);
		put(&sides[1], &secret);
	}
	CHECK_EQ(sync_sides(), 0);
	CHECK_EQ(message_cnt, 1);
	CHECK_EQ(sides[0].lacking_cnt + sides[1].lacking_cnt, 0);
	sides_down();
}

static void test_100000_posts_take_50_kb_where_each_side_has_20000_for_itself(void)
{
	sides_up();
	for (uint32_t i = 0; i < 100000; i++) {
		struct post_row row = row_of_time(1800000000000 + i * 60000ull);

		row.flags = i % 10 < 2 ? SECRET : 0;
		if (row.flags == SECRET)
			put(&sides[i % 10], &row);
		else if (i % 10000 != 777)
			put(&sides[0], &row);
		if (row.flags != SECRET)
			put(&sides[1], &row);
	}
	CHECK_EQ(sync_sides(), 0);
	CHECK_EQ(fetch(0), 10);
	CHECK_EQ(sides[1].lacking_cnt, 0);
	CHECK(bytes_sent <= 50000);
	sides_down();
}

/* One of 100,000 has other readers on one side: both sides name it, and no other. */
static void test_another_edition_of_a_visibility_differs(void)
{
	sides_up();
	for (uint32_t i = 0; i < 100000; i++) {
		struct post_row row = row_of_time(1800000000000 + i * 60000ull);

		row.number = 1;
		put(&sides[0], &row);
		row.number = i == 4711 ? 257 : 1;
		put(&sides[1], &row);
	}
	CHECK_EQ(sync_sides(), 0);
	CHECK_EQ(sides[0].lacking_cnt, 1);
	CHECK_EQ(sides[1].lacking_cnt, 1);
	CHECK_MEM(sides[0].lacking[0].id, sides[1].lacking[0].id, POST_ID_LEN);
	CHECK(bytes_sent <= 10000);
	sides_down();
}

static void test_no_part_of_a_message_is_one_and_no_changed_one_harms(void)
{
	static uint8_t message[RANGE_MESSAGE_MAX], out[RANGE_MESSAGE_MAX];
	struct writer first = writer_of(out, sizeof(out)), w = writer_of(message, sizeof(message));
	size_t len;

	sides_up();
	for (uint32_t i = 0; i < 500; i++) {
		struct post_row row = row_of_time(i / 50);

		put(&sides[i % 2], &row);
	}
	social_ranges_open(&sides[0].posts, &first);
	CHECK_EQ(social_ranges_answer(&sides[1].posts, out, writer_len(&first), &w), 1);
	len = writer_len(&w);
	for (size_t cut = 0; cut < len; cut++) {
		struct writer next = writer_of(out, sizeof(out));
		uint8_t *exact = malloc(cut ? cut : 1);

		memcpy(exact, message, cut);
		CHECK_EQ(social_ranges_answer(&sides[0].posts, exact, cut, &next), WEFT_EMALFORMED);
		free(exact);
	}
	for (size_t i = 0; i < len * 8; i++) {
		struct writer next = writer_of(out, sizeof(out));

		message[i / 8] ^= (uint8_t)(1u << i % 8);
		CHECK(social_ranges_answer(&sides[0].posts, message, len, &next) <= 1);
		CHECK(!next.bad);
		message[i / 8] ^= (uint8_t)(1u << i % 8);
	}
	sides_down();
}

int main(void)
{
	RUN(test_both_sides_learn_all_that_they_lack);
	RUN(test_an_empty_side_learns_of_10000_posts);
	RUN(test_100000_posts_of_which_10_differ_take_50_kb);
	RUN(test_what_the_peer_may_not_have_is_not_counted);
	RUN(test_100000_posts_take_50_kb_where_each_side_has_20000_for_itself);
	RUN(test_another_edition_of_a_visibility_differs);
	RUN(test_no_part_of_a_message_is_one_and_no_changed_one_harms);
	return check_done();
}
