/* SPDX-License-Identifier: Apache-2.0 */
/* Which values of which writers are kept under a key. */
#include "base/memory/arena.h"
#include "base/random.h"
#include "overlay/values.h"
#include "support/check.h"

#define CAP	   64
#define KEY_MAX	   8
#define PREFIX_MAX 2
#define MEMORY_LEN (1024 * 1024)

static struct arena arena;
static struct random dice;
static struct overlay_values *values;
static const struct kad_id own = {{0x80}};
static struct overlay_rule rule = {
	.tag = 1, .prefix = "x:", .len_max = 65536, .key_max = KEY_MAX, .prefix_max = PREFIX_MAX};
static unsigned forgot_cnt;
static uint8_t forgot_writer;
static const struct overlay_stored *kept;

static void note_forgot(void *ctx, const struct overlay_stored *gone)
{
	(void)ctx;
	forgot_cnt++;
	forgot_writer = gone->claim.writer[0];
}

static void begin(void)
{
	struct overlay_values_config config = {.own_id = &own,
					       .random = &dice,
					       .forgot = note_forgot,
					       .value_cap = CAP,
					       .memory_len = MEMORY_LEN,
					       .subnet_max = CAP};

	random_init_seeded(&dice, 3);
	forgot_cnt = 0;
	overlay_values_free(values);
	arena_close(&arena);
	if (arena_open(&arena, ARENA_GROWS) < 0 || overlay_values_new(&arena, &config, &values) < 0)
		abort();
}

/* What a writer states, from a network of its own unless said otherwise. */
struct statement {
	uint8_t key, writer;
	uint64_t seq;
	char text; /* the value is all this letter */
	size_t len;
	struct addr source;
	uint64_t until_ns;
};

static struct addr source_of(uint8_t a, uint8_t b, uint8_t c, uint8_t host)
{
	return (struct addr){.ip = {a, b, c, host}, .port = 7000, .family = ADDR_IPV4};
}

static struct statement by(uint8_t writer, uint64_t seq)
{
	return (struct statement){.key = 0x81,
				  .writer = writer,
				  .seq = seq,
				  .text = 'a',
				  .len = 10,
				  .source = source_of(20, 1, writer, 1),
				  .until_ns = 1000};
}

static enum overlay_reason put(const struct statement *s)
{
	static uint8_t value[65536];
	uint8_t key[OVERLAY_KEY_LEN];
	struct overlay_claim claim = {.seq = s->seq, .expires_s = UINT64_MAX};
	struct overlay_put what = {
		.key = key,
		.name = (const uint8_t *)"x:name",
		.name_len = 6,
		.value = value,
		.value_len = s->len,
		.rule = &rule,
		.claim = &claim,
		.source = s->source,
		.until_ns = s->until_ns,
		.is_checked = true,
	};

	memset(key, s->key, sizeof(key));
	memset(claim.writer, s->writer, sizeof(claim.writer));
	memset(value, s->text, s->len);
	return overlay_values_put(values, &what, &kept);
}

static unsigned list(uint8_t key_byte, struct overlay_stored **out)
{
	uint8_t key[OVERLAY_KEY_LEN];

	memset(key, key_byte, sizeof(key));
	return overlay_values_list(values, key, NULL, out);
}

static void test_highest_number_of_a_writer_wins(void)
{
	static const struct {
		uint64_t seq;
		char text;
		enum overlay_reason want;
	} rows[] = {
		{5, 'a', OVERLAY_STORED},    {4, 'b', OVERLAY_OLD_SEQ}, {5, 'b', OVERLAY_EQUAL_SEQ},
		{5, 'a', OVERLAY_REFRESHED}, {6, 'c', OVERLAY_STORED},	{5, 'a', OVERLAY_OLD_SEQ},
	};
	struct overlay_stored *listed[OVERLAY_KEY_MAX];

	begin();
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct statement s = by(1, rows[i].seq);

		s.text = rows[i].text;
		CHECK_EQ(put(&s), rows[i].want);
	}
	CHECK_EQ(list(0x81, listed), 1);
	CHECK_EQ(listed[0]->claim.seq, 6);
	CHECK_MEM(overlay_stored_value(listed[0]), "cccccccccc", 10);
	CHECK_EQ(forgot_cnt, 0); /* another of its writer came */
}

static bool letter_is_higher(void *ctx, const struct overlay_value *value,
			     const struct overlay_value *former)
{
	(void)ctx;
	return value->name_len == 6 && former->name_len == 6 && value->len == 10 &&
	       former->len == 10 && value->bytes[0] > former->bytes[0];
}

static void test_of_one_number_the_rule_prefers_one_in_whatever_order_they_come(void)
{
	static const char *const orders[] = {"abcab", "cba", "bca"};
	struct overlay_stored *listed[OVERLAY_KEY_MAX];

	rule.is_newer = letter_is_higher;
	for (size_t i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		char highest = '\0';

		begin();
		for (const char *letter = orders[i]; *letter; letter++) {
			struct statement s = by(1, 5);
			enum overlay_reason reason;

			s.text = *letter;
			reason = put(&s);
			CHECK_EQ(reason, *letter > highest ? OVERLAY_STORED : OVERLAY_EQUAL_SEQ);
			highest = *letter > highest ? *letter : highest;
		}
		CHECK_EQ(list(0x81, listed), 1);
		CHECK_MEM(overlay_stored_value(listed[0]), "cccccccccc", 10);
		CHECK_EQ(forgot_cnt, 0);
	}
	rule.is_newer = NULL;
}

static void test_refresh_moves_the_end(void)
{
	struct statement s = by(1, 5);

	begin();
	CHECK_EQ(put(&s), OVERLAY_STORED);
	s.until_ns = 5000;
	CHECK_EQ(put(&s), OVERLAY_REFRESHED);
	CHECK_EQ(kept->until_ns, 5000);
	overlay_values_expire(values, 4999);
	CHECK_EQ(overlay_values_next_ns(values), 5000);
	overlay_values_expire(values, 5000);
	CHECK_EQ(forgot_cnt, 1);
	CHECK(overlay_values_next_ns(values) == UINT64_MAX);
}

static void test_one_writer_too_many_displaces_the_stalest(void)
{
	struct overlay_stored *listed[OVERLAY_KEY_MAX];
	struct overlay_values_counts counts;
	struct statement s;

	begin();
	for (uint8_t i = 1; i <= KEY_MAX; i++) {
		s = by(i, 1);
		CHECK_EQ(put(&s), OVERLAY_STORED);
	}
	CHECK_EQ(list(0x81, listed), KEY_MAX);
	s = by(1, 1);
	CHECK_EQ(put(&s), OVERLAY_REFRESHED); /* so the second is stalest now */
	s = by(KEY_MAX + 1, 1);
	CHECK_EQ(put(&s), OVERLAY_STORED);
	CHECK_EQ(list(0x81, listed), KEY_MAX);
	CHECK_EQ(forgot_cnt, 1);
	CHECK_EQ(forgot_writer, 2);
	overlay_values_count(values, &counts);
	CHECK_EQ(counts.displaced, 1);
	CHECK_EQ(counts.values, KEY_MAX);
	CHECK_EQ(counts.keys, 1);
}

static void test_prefix_has_its_share_of_a_key(void)
{
	struct addr v6 = {.ip = {0x20, 1, 2, 3, 4, 5, 6}, .port = 7000, .family = ADDR_IPV6};
	struct statement s;

	begin();
	for (uint8_t i = 1; i <= PREFIX_MAX + 1; i++) {
		s = by(i, 1);
		s.source = source_of(20, 1, 1, i);
		CHECK_EQ(put(&s), i <= PREFIX_MAX ? OVERLAY_STORED : OVERLAY_PREFIX_FULL);
	}
	s.key = 0x82; /* of this key: another has its own */
	CHECK_EQ(put(&s), OVERLAY_STORED);
	s = by(1, 2);
	s.source = source_of(20, 1, 1, 77);
	CHECK_EQ(put(&s), OVERLAY_STORED); /* a newer one of theirs is none more */
	for (uint8_t i = 11; i <= 11 + PREFIX_MAX; i++) {
		s = by(i, 1);
		s.source = v6;
		s.source.ip[7] = i; /* another /64 of the same /56 */
		CHECK_EQ(put(&s), i < 11 + PREFIX_MAX ? OVERLAY_STORED : OVERLAY_PREFIX_FULL);
	}
	s.source.ip[6]++;
	CHECK_EQ(put(&s), OVERLAY_STORED);
}

static void test_own_site_is_not_counted_by_prefix(void)
{
	struct statement s;

	begin();
	for (uint8_t i = 1; i <= PREFIX_MAX + 1; i++) {
		s = by(i, 1);
		s.source = source_of(10, 0, 0, i);
		CHECK_EQ(put(&s), OVERLAY_STORED);
	}
	rule.prefix_max = 0;
	for (uint8_t i = 1; i <= PREFIX_MAX + 1; i++) {
		s = by(i, 2);
		s.source = source_of(20, 1, 1, i);
		CHECK_EQ(put(&s), OVERLAY_STORED);
	}
	rule.prefix_max = PREFIX_MAX;
}

static void test_list_goes_on_after_a_writer(void)
{
	struct overlay_stored *listed[OVERLAY_KEY_MAX];
	uint8_t key[OVERLAY_KEY_LEN], after[OVERLAY_WRITER_LEN];
	static const uint8_t writers[] = {9, 3, 7, 1};

	begin();
	for (size_t i = 0; i < sizeof(writers); i++) {
		struct statement s = by(writers[i], 1);

		CHECK_EQ(put(&s), OVERLAY_STORED);
	}
	memset(key, 0x81, sizeof(key));
	memset(after, 3, sizeof(after));
	CHECK_EQ(list(0x81, listed), 4);
	for (unsigned i = 1; i < 4; i++)
		CHECK(listed[i - 1]->claim.writer[0] < listed[i]->claim.writer[0]);
	CHECK_EQ(overlay_values_list(values, key, after, listed), 2);
	CHECK_EQ(listed[0]->claim.writer[0], 7);
	memset(after, 9, sizeof(after));
	CHECK_EQ(overlay_values_list(values, key, after, listed), 0);
}

static void test_full_of_bytes_keeps_what_is_near(void)
{
	struct overlay_values_counts counts;
	struct statement s = by(1, 1);
	unsigned stored = 0;

	begin();
	s.len = 65000;
	for (uint8_t i = 0; i < CAP; i++) {
		s.key = (uint8_t)(0x7f - i); /* far from us, each nearer than the one before */
		stored += put(&s) == OVERLAY_STORED;
	}
	CHECK(stored > 10 && forgot_cnt > 0);
	overlay_values_count(values, &counts);
	CHECK(counts.len <= MEMORY_LEN);
	CHECK_EQ(counts.evicted, forgot_cnt);
	s.key = 0x7f; /* the farthest of all */
	CHECK_EQ(put(&s), OVERLAY_STORE_FULL);
	s.key = 0x80;
	CHECK_EQ(put(&s), OVERLAY_STORED);
}

static void test_subnet_has_its_share_of_all(void)
{
	struct overlay_values_config config = {.own_id = &own,
					       .random = &dice,
					       .forgot = note_forgot,
					       .value_cap = CAP,
					       .memory_len = MEMORY_LEN,
					       .subnet_max = 3};
	struct arena small = {0};
	struct overlay_values *former = values;
	struct statement s = by(1, 1);

	CHECK_EQ(arena_open(&small, ARENA_GROWS), 0);
	CHECK_EQ(overlay_values_new(&small, &config, &values), 0);
	for (uint8_t i = 1; i <= 4; i++) {
		s.key = i;
		CHECK_EQ(put(&s), i <= 3 ? OVERLAY_STORED : OVERLAY_SUBNET_FULL);
	}
	for (uint8_t i = 2; i <= KEY_MAX + 1; i++) {
		struct statement other = by(i, 1);

		CHECK_EQ(put(&other), OVERLAY_STORED);
	}
	forgot_cnt = 0;
	s.key = 0x81; /* which is full as well */
	CHECK_EQ(put(&s), OVERLAY_SUBNET_FULL);
	CHECK_EQ(forgot_cnt, 0); /* a value that is refused displaces nothing */
	overlay_values_free(values);
	arena_close(&small);
	values = former;
}

static void test_key_that_shares_its_place_is_not_mixed_up(void)
{
	struct overlay_stored *listed[OVERLAY_KEY_MAX];
	uint8_t key[OVERLAY_KEY_LEN];
	struct statement s = by(1, 1);

	begin();
	CHECK_EQ(put(&s), OVERLAY_STORED);
	memset(key, 0x81, sizeof(key));
	key[31] = 0; /* the first 20 bytes, by which distance is told, are the same */
	CHECK_EQ(overlay_values_list(values, key, NULL, listed), 0);
	CHECK(!overlay_values_has(values, key, (const uint8_t *)"aaaaaaaaaa", 10));
	key[31] = 0x81;
	CHECK(overlay_values_has(values, key, (const uint8_t *)"aaaaaaaaaa", 10));
	CHECK(!overlay_values_has(values, key, (const uint8_t *)"aaaaaaaaab", 10));
}

int main(void)
{
	RUN(test_highest_number_of_a_writer_wins);
	RUN(test_of_one_number_the_rule_prefers_one_in_whatever_order_they_come);
	RUN(test_refresh_moves_the_end);
	RUN(test_one_writer_too_many_displaces_the_stalest);
	RUN(test_prefix_has_its_share_of_a_key);
	RUN(test_own_site_is_not_counted_by_prefix);
	RUN(test_list_goes_on_after_a_writer);
	RUN(test_full_of_bytes_keeps_what_is_near);
	RUN(test_subnet_has_its_share_of_all);
	RUN(test_key_that_shares_its_place_is_not_mixed_up);
	overlay_values_free(values);
	arena_close(&arena);
	return check_done();
}
