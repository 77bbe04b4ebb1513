/* SPDX-License-Identifier: Apache-2.0 */
#include "relay/find/place_rule.h"

#include "crypto/node_key.h"
#include "relay/find/announcement.h"
#include "support/check.h"
#include "support/fake_overlay.h"

#define HOUR   500000ull
#define WALL_S (HOUR * RELAY_HOUR_S + 1800)

static struct node_key *key;
static struct fake_overlay fake;
static uint8_t value[1 + RELAY_ANNOUNCEMENT_LEN_MAX];
static size_t value_len;

static void make(uint64_t issued_s, uint64_t life_s)
{
	struct writer w = writer_of(value, sizeof(value));
	struct relay_announcement announcement = {
		.addrs = {{.family = ADDR_IPV4, .ip = {192, 0, 2, 1}, .port = 7000}},
		.addr_cnt = 1,
		.caps = RELAY_ANNOUNCEMENT_CAP,
		.issued_s = issued_s,
		.expires_s = issued_s + life_s,
	};

	writer_u8(&w, RELAY_PLACE_TAG);
	relay_announcement_write(&w, key, &announcement);
	value_len = w.bad ? 0 : writer_len(&w);
}

static int judge_name(const void *name, size_t name_len, uint64_t wall_s,
		      struct overlay_claim *claim)
{
	return fake.rules[0].check(fake.rules[0].ctx,
				   &(struct overlay_value){name, name_len, value, value_len},
				   wall_s, claim);
}

static int judge(uint64_t hour, unsigned place, uint64_t wall_s, struct overlay_claim *claim)
{
	uint8_t name[RELAY_PLACE_NAME_LEN];

	relay_place_name(hour, place, name);
	return judge_name(name, sizeof(name), wall_s, claim);
}

static unsigned own_place(uint64_t hour)
{
	return relay_place_of(node_key_public(key), hour, 0);
}

static void test_the_rule_is_that_of_its_key_space(void)
{
	CHECK_EQ(fake.rule_cnt, 1);
	CHECK_EQ(fake.rules[0].tag, 0x20);
	CHECK_STR(fake.rules[0].prefix, "scp2p:relay:rendezvous");
	CHECK_EQ(fake.rules[0].key_max, 32);
	CHECK_EQ(fake.rules[0].prefix_max, 2);
	CHECK_EQ(fake.rules[0].len_max, 1025);
}

static void test_an_announcement_lies_at_the_places_of_its_relay_alone(void)
{
	struct overlay_claim claim;

	make(WALL_S, 7200);
	for (unsigned place = 0; place < RELAY_PLACES; place++) {
		bool is_own = place == own_place(HOUR) ||
			      place == relay_place_of(node_key_public(key), HOUR, 1);

		CHECK_EQ(judge(HOUR, place, WALL_S, &claim), is_own ? 0 : WEFT_EREFUSED);
	}
	CHECK_EQ(judge(HOUR, RELAY_PLACES + own_place(HOUR), WALL_S, &claim), WEFT_EREFUSED);
	CHECK_EQ(judge(HOUR, own_place(HOUR), WALL_S, &claim), 0);
	CHECK_MEM(claim.writer, node_key_public(key), 32);
	CHECK_EQ(claim.seq, WALL_S);
	CHECK_EQ(claim.expires_s, WALL_S + 5400); /* the next hour ends */
	make(WALL_S, 60);
	CHECK_EQ(judge(HOUR, own_place(HOUR), WALL_S, &claim), 0);
	CHECK_EQ(claim.expires_s, WALL_S + 60);
}

static void test_the_hours_around_now_are_taken(void)
{
	static const struct {
		uint64_t hour, wall_s;
		int want;
		const char *why;
	} rows[] = {
		{HOUR - 2, WALL_S, WEFT_EREFUSED, "two hours ago"},
		{HOUR - 1, WALL_S, 0, "the hour before"},
		{HOUR, WALL_S, 0, "this hour"},
		{HOUR + 1, WALL_S, WEFT_EREFUSED, "the next hour"},
		{HOUR + 1, (HOUR + 1) * RELAY_HOUR_S - 300, 0, "within the skew"},
		{HOUR + 1, (HOUR + 1) * RELAY_HOUR_S - 301, WEFT_EREFUSED, "beyond it"},
		{UINT64_MAX, WALL_S, WEFT_EREFUSED, "the last number"},
	};
	struct overlay_claim claim;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make(rows[i].wall_s, 7200);
		if (judge(rows[i].hour, own_place(rows[i].hour), rows[i].wall_s, &claim) !=
		    rows[i].want)
			printf("# %s\n", rows[i].why);
		CHECK_EQ(judge(rows[i].hour, own_place(rows[i].hour), rows[i].wall_s, &claim),
			 rows[i].want);
	}
}

static void test_times_and_signatures_are_looked_at(void)
{
	struct overlay_claim claim;

	make(WALL_S, 7200);
	CHECK_EQ(judge(HOUR, own_place(HOUR), WALL_S + 7200, &claim), WEFT_EREFUSED); /* hour */
	make(WALL_S - 100, 100);
	CHECK_EQ(judge(HOUR, own_place(HOUR), WALL_S, &claim), WEFT_ESTALE);
	make(WALL_S + 301, 100);
	CHECK_EQ(judge(HOUR, own_place(HOUR), WALL_S, &claim), WEFT_EREFUSED);
	make(WALL_S, 7200);
	value[value_len - 1] ^= 1;
	CHECK_EQ(judge(HOUR, own_place(HOUR), WALL_S, &claim), WEFT_EDAMAGED);
}

static void test_short_values_and_names_are_refused(void)
{
	uint8_t name[RELAY_PLACE_NAME_LEN + 1] = {0};
	struct overlay_claim claim;
	size_t len;

	make(WALL_S, 7200);
	relay_place_name(HOUR, own_place(HOUR), name);
	for (size_t i = 0; i <= sizeof(name); i++)
		CHECK_EQ(judge_name(name, i, WALL_S, &claim),
			 i == RELAY_PLACE_NAME_LEN ? 0 : WEFT_EREFUSED);
	for (len = value_len, value_len = 0; value_len < len; value_len++)
		CHECK(judge_name(name, RELAY_PLACE_NAME_LEN, WALL_S, &claim) < 0);
	value[0] = 0x21;
	CHECK_EQ(judge_name(name, RELAY_PLACE_NAME_LEN, WALL_S, &claim), WEFT_EMALFORMED);
}

int main(void)
{
	static const uint8_t seed[NODE_KEY_SEED_LEN] = {1};
	struct overlay_seam overlay = fake_overlay_seam(&fake);

	if (node_key_from_seed(seed, &key) < 0 || relay_place_rule_add(&overlay) < 0)
		return 1;
	RUN(test_the_rule_is_that_of_its_key_space);
	RUN(test_an_announcement_lies_at_the_places_of_its_relay_alone);
	RUN(test_the_hours_around_now_are_taken);
	RUN(test_times_and_signatures_are_looked_at);
	RUN(test_short_values_and_names_are_refused);
	node_key_free(key);
	fake_overlay_fini(&fake);
	return check_done();
}
