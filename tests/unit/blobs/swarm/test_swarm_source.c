/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/swarm/swarm_source.h"

#include "base/monotonic.h"
#include "blobs/rates/zones.h"
#include "support/check.h"

#define CHUNK 262144u
#define S     NS_PER_S

static struct source source_of(unsigned price, uint64_t rate)
{
	return (struct source){.price = price, .rate = rate, .window = 100};
}

/* What one asks of a source, chunk by chunk whenever it may. */
static uint64_t asked_within(struct source *source, uint64_t per_s, uint64_t span_ns)
{
	uint64_t len = 0;

	for (uint64_t now_ns = S; now_ns < S + span_ns; now_ns += NS_PER_MS)
		while (blobs_source_has_room(source, 100, now_ns)) {
			blobs_source_limit(source, per_s, CHUNK, now_ns);
			len += CHUNK;
			if (!per_s)
				return len;
		}
	return len;
}

static void test_limit_of_a_source_holds(void)
{
	struct source source = source_of(ZONE_PRICE, 0);
	uint64_t len = asked_within(&source, 1250000, 20 * S);

	CHECK(len >= 23750000 && len <= 26250000); /* within 5 % */
}

static void test_without_a_limit_a_source_is_asked_at_once(void)
{
	struct source source = source_of(ZONE_PRICE, 0);

	for (unsigned i = 0; i < 100; i++) {
		CHECK(blobs_source_has_room(&source, 100, S));
		blobs_source_limit(&source, 0, CHUNK, S);
	}
}

/* Of two that are as fast the cheaper is asked; a much faster one all the same. */
static void test_cheaper_source_is_asked_first(void)
{
	static const struct {
		unsigned price, other_price;
		uint64_t rate, other_rate;
		const char *why;
	} rows[] = {
		{0, ZONE_PRICE, 10000000, 10000000, "free before the usual price"},
		{0, ZONE_PRICE, 6000000, 10000000, "free, and not half as fast"},
		{ZONE_PRICE, 50, 4000000, 10000000, "the usual price before a dear one"},
		{ZONE_PRICE, 0, 30000000, 10000000, "three times as fast as the free one"},
		{ZONE_PRICE, ZONE_PRICE, 11000000, 10000000, "of one price the faster"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct source source = source_of(rows[i].price, rows[i].rate);
		struct source other = source_of(rows[i].other_price, rows[i].other_rate);

		if (blobs_source_rank(&source) >= blobs_source_rank(&other))
			printf("# %s\n", rows[i].why);
		CHECK(blobs_source_rank(&source) < blobs_source_rank(&other));
	}
}

/* What the price is says nothing of how long an answer takes. */
static void test_price_does_not_change_the_cost(void)
{
	struct source cheap = source_of(0, 10000000), dear = source_of(1000, 10000000);

	CHECK_EQ(blobs_source_cost(&cheap), blobs_source_cost(&dear));
}

static void test_guessed_addresses_do_not_keep_out_a_known_one(void)
{
	struct addr guesses[MESH_PEER_ADDRS_MAX] = {{.port = 0}};
	struct addr known = {.ip = {192, 0, 2, 1}, .port = 7000, .family = ADDR_IPV4};
	struct source source = {.window = 1};

	for (unsigned i = 0; i < MESH_PEER_ADDRS_MAX; i++)
		guesses[i] = (struct addr){
			.ip = {10, 0, 0, (uint8_t)i}, .port = 7000, .family = ADDR_IPV4};
	blobs_source_learn(&source, guesses, MESH_PEER_ADDRS_MAX);
	blobs_source_learn(&source, &known, 1);
	CHECK(!addr_equal(&source.addrs[0], &known));
	blobs_source_prefer(&source, &known, 1);
	CHECK(addr_equal(&source.addrs[0], &known));
	CHECK(addr_equal(&source.addrs[1], &guesses[0]));
	CHECK_EQ(source.addr_cnt, MESH_PEER_ADDRS_MAX);
}

int main(void)
{
	RUN(test_limit_of_a_source_holds);
	RUN(test_without_a_limit_a_source_is_asked_at_once);
	RUN(test_cheaper_source_is_asked_first);
	RUN(test_price_does_not_change_the_cost);
	RUN(test_guessed_addresses_do_not_keep_out_a_known_one);
	return check_done();
}
