/* SPDX-License-Identifier: Apache-2.0 */
/* Ids, addresses that can and cannot be, and the learned time to wait. */
#include "base/random.h"
#include "kad/kad_contact.h"
#include "kad/rtt.h"
#include "support/check.h"

#define MS 1000000ull

static void test_addresses_have_their_scope(void)
{
	static const struct {
		const char *text;
		enum kad_addr_scope want;
	} rows[] = {
		{"8.8.8.8:6881", KAD_ADDR_SCOPE_GLOBAL},
		{"8.8.8.8:0", KAD_ADDR_SCOPE_NONE},
		{"0.1.2.3:6881", KAD_ADDR_SCOPE_NONE},
		{"10.0.0.1:6881", KAD_ADDR_SCOPE_SITE},
		{"172.15.0.1:6881", KAD_ADDR_SCOPE_GLOBAL},
		{"172.16.0.1:6881", KAD_ADDR_SCOPE_SITE},
		{"172.31.255.1:6881", KAD_ADDR_SCOPE_SITE},
		{"172.32.0.1:6881", KAD_ADDR_SCOPE_GLOBAL},
		{"192.168.1.1:6881", KAD_ADDR_SCOPE_SITE},
		{"192.0.0.9:6881", KAD_ADDR_SCOPE_NONE},
		{"169.254.1.1:6881", KAD_ADDR_SCOPE_SITE},
		{"100.63.0.1:6881", KAD_ADDR_SCOPE_GLOBAL},
		{"100.64.0.1:6881", KAD_ADDR_SCOPE_SITE},
		{"198.18.0.1:6881", KAD_ADDR_SCOPE_SITE},
		{"127.0.0.1:6881", KAD_ADDR_SCOPE_HOST},
		{"223.255.255.1:6881", KAD_ADDR_SCOPE_GLOBAL},
		{"224.0.0.1:6881", KAD_ADDR_SCOPE_NONE},
		{"255.255.255.255:6881", KAD_ADDR_SCOPE_NONE},
		{"[2001:db8::1]:6881", KAD_ADDR_SCOPE_GLOBAL},
		{"[2001:db8::1]:0", KAD_ADDR_SCOPE_NONE},
		{"[::1]:6881", KAD_ADDR_SCOPE_HOST},
		{"[::]:6881", KAD_ADDR_SCOPE_NONE},
		{"[fe80::1%2]:6881", KAD_ADDR_SCOPE_SITE},
		{"[fd00::1]:6881", KAD_ADDR_SCOPE_SITE},
		{"[ff02::1]:6881", KAD_ADDR_SCOPE_NONE},
		{"[64:ff9b::1]:6881", KAD_ADDR_SCOPE_NONE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct addr addr;

		printf("# %s\n", rows[i].text);
		/* addr_parse refuses port 0, so that row is made by hand. */
		if (strcmp(strrchr(rows[i].text, ':'), ":0") == 0) {
			CHECK_EQ(addr_parse(rows[i - 1].text, &addr), 0);
			addr.port = 0;
		} else {
			CHECK_EQ(addr_parse(rows[i].text, &addr), 0);
		}
		CHECK_EQ(kad_addr_scope_of(&addr), rows[i].want);
	}
}

static void test_unvalidated_sources_cannot_announce_private_addresses(void)
{
	static const char *const by_reach[] = {"", "127.0.0.1:1", "10.0.0.1:1", "8.8.8.8:1"};

	for (int teller = KAD_ADDR_SCOPE_HOST; teller <= KAD_ADDR_SCOPE_GLOBAL; teller++)
		for (int told = KAD_ADDR_SCOPE_HOST; told <= KAD_ADDR_SCOPE_GLOBAL; told++) {
			struct addr from, of;

			CHECK_EQ(addr_parse(by_reach[teller], &from), 0);
			CHECK_EQ(addr_parse(by_reach[told], &of), 0);
			CHECK_EQ(kad_addr_scope_is_credible(&of, &from), told >= teller);
			of.port = 0;
			CHECK(!kad_addr_scope_is_credible(&of, &from));
		}
}

static void test_distance_is_xor(void)
{
	struct kad_id zero = {0}, one = {{[19] = 1}}, two = {{[19] = 2}}, three = {{[19] = 3}};

	CHECK_EQ(kad_id_common_bits(&zero, &zero), 160);
	CHECK_EQ(kad_id_common_bits(&zero, &one), 159);
	CHECK_EQ(kad_id_common_bits(&zero, &three), 158);
	CHECK(kad_id_is_nearer(&three, &two, &one));
	CHECK(!kad_id_is_nearer(&three, &one, &two));
	CHECK(!kad_id_is_nearer(&three, &one, &one));
}

static void test_slow_settles_where_nine_of_ten_are_quicker(void)
{
	struct random dice;
	struct kad_rtt rtt;
	unsigned above = 0;

	random_init_seeded(&dice, 1);
	kad_rtt_init(&rtt, 1000 * MS, 1 * MS, 10000 * MS);
	for (unsigned i = 0; i < 2000; i++)
		kad_rtt_sample(&rtt, random_below(&dice, 1000) * MS);
	for (unsigned i = 0; i < 2000; i++) {
		uint64_t sample_ns = random_below(&dice, 1000) * MS;

		above += sample_ns > rtt.slow_ns;
		kad_rtt_sample(&rtt, sample_ns);
	}
	CHECK(above > 2000 * 7 / 100 && above < 2000 * 13 / 100);
}

static void test_slow_follows_a_change_and_keeps_its_limits(void)
{
	struct kad_rtt rtt;

	kad_rtt_init(&rtt, 1000 * MS, 50 * MS, 2000 * MS);
	for (unsigned i = 0; i < 1000; i++)
		kad_rtt_sample(&rtt, MS);
	CHECK_EQ(rtt.slow_ns, 50 * MS);
	for (unsigned i = 0; i < 200; i++)
		kad_rtt_sample(&rtt, UINT64_MAX);
	CHECK_EQ(rtt.slow_ns, 2000 * MS);
}

int main(void)
{
	RUN(test_addresses_have_their_scope);
	RUN(test_unvalidated_sources_cannot_announce_private_addresses);
	RUN(test_distance_is_xor);
	RUN(test_slow_settles_where_nine_of_ten_are_quicker);
	RUN(test_slow_follows_a_change_and_keeps_its_limits);
	return check_done();
}
