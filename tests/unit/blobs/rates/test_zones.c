/* SPDX-License-Identifier: Apache-2.0 */
#include "blobs/rates/zones.h"

#include <stdio.h>
#include <string.h>

#include "support/check.h"

static struct zones zones;

static unsigned price(const char *text)
{
	struct addr addr;

	return addr_parse(text, &addr) < 0 ? 9999 : blobs_zones_price(&zones, &addr);
}

static void test_longest_prefix_counts(void)
{
	static const struct {
		const char *addr;
		unsigned want;
	} rows[] = {
		{"10.1.2.3:7000", 0},	       {"10.9.2.3:7000", 7},
		{"10.9.2.200:1", 7},	       {"11.0.0.1:7000", ZONE_PRICE},
		{"[2001:db8::1]:7000", 3},     {"[2001:db9::1]:7000", ZONE_PRICE},
		{"[::ffff:10.1.2.3]:7000", 0}, {"192.0.2.1:7000", 1000},
	};
	const char *at;

	CHECK_EQ(blobs_zones_parse("10.0.0.0/8=0, 10.9.0.0/16=7\t2001:db8::/32=3 192.0.2.1/32=1000",
				   &zones, &at),
		 0);
	CHECK_EQ(zones.cnt, 4);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (price(rows[i].addr) != rows[i].want)
			printf("# %s\n", rows[i].addr);
		CHECK_EQ(price(rows[i].addr), rows[i].want);
	}
}

static void test_all_may_have_a_price(void)
{
	const char *at;

	CHECK_EQ(blobs_zones_parse("0.0.0.0/0=5 ::/0=6", &zones, &at), 0);
	CHECK_EQ(price("203.0.113.9:1"), 5);
	CHECK_EQ(price("[2001:db8::1]:7000"), 6);
}

static void test_peers_behind_relays_have_the_price_of_no_zone(void)
{
	const struct addr label = {.family = ADDR_IPV6,
				   .transport = ADDR_RELAY,
				   .ip = {0xfd, 0x6d, 0x65, 0x73, 0, 0x68, 1},
				   .port = ADDR_RELAY_CONTENT_PORT};
	const char *at;

	CHECK_EQ(blobs_zones_parse("fd00::/8=0", &zones, &at), 0);
	CHECK_EQ(price("[fd6d:6573:68:100::1]:7000"), 0);
	CHECK_EQ(blobs_zones_price(&zones, &label), ZONE_PRICE);
}

static void test_no_zones_are_one_price(void)
{
	const char *at;

	CHECK_EQ(blobs_zones_parse("", &zones, &at), 0);
	CHECK_EQ(price("10.1.2.3:7000"), ZONE_PRICE);
	CHECK_EQ(blobs_zones_price(&zones, &(struct addr){.family = ADDR_NONE}), ZONE_PRICE);
}

static void test_wrong_entries_are_named(void)
{
	static const struct {
		const char *text;
		int want;
		const char *at;
	} rows[] = {
		{"10.0.0.0/8", WEFT_EMALFORMED, "10.0.0.0/8"},
		{"10.0.0.0=1", WEFT_EMALFORMED, "10.0.0.0=1"},
		{"10.0.0.0/33=1", WEFT_EMALFORMED, "10.0.0.0/33=1"},
		{"::/129=1", WEFT_EMALFORMED, "::/129=1"},
		{"10.0.0.1/8=1", WEFT_EMALFORMED, "10.0.0.1/8=1"},
		{"10.0.0.0/8=-1", WEFT_EMALFORMED, "10.0.0.0/8=-1"},
		{"10.0.0.0/8=1x", WEFT_EMALFORMED, "10.0.0.0/8=1x"},
		{"10.0.0.0/8=", WEFT_EMALFORMED, "10.0.0.0/8="},
		{"name/8=1", WEFT_EMALFORMED, "name/8=1"},
		{"10.0.0.0/8=0 11.0.0.0/8=1001", WEFT_ETOOLARGE, "11.0.0.0/8=1001"},
		{"10.0.0.0/8=0 10.0.0.0/8=1", WEFT_EEXISTS, "10.0.0.0/8=1"},
	};

	zones.cnt = 99;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *at = "";
		int err = blobs_zones_parse(rows[i].text, &zones, &at);

		if (err != rows[i].want)
			printf("# %s\n", rows[i].text);
		CHECK_EQ(err, rows[i].want);
		CHECK_STR(at, rows[i].at);
	}
	CHECK_EQ(zones.cnt, 99);
}

static void test_one_zone_too_many_is_refused(void)
{
	char text[ZONES_TEXT_CAP];
	size_t len = 0;
	const char *at;

	for (unsigned i = 0; i < ZONES_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%u.0.0.0/8=1 ", i + 1);
	CHECK_EQ(blobs_zones_parse(text, &zones, &at), 0);
	CHECK_EQ(zones.cnt, ZONES_MAX);
	snprintf(text + len, sizeof(text) - len, "200.0.0.0/8=1");
	CHECK_EQ(blobs_zones_parse(text, &zones, &at), WEFT_EFULL);
}

int main(void)
{
	RUN(test_longest_prefix_counts);
	RUN(test_all_may_have_a_price);
	RUN(test_peers_behind_relays_have_the_price_of_no_zone);
	RUN(test_no_zones_are_one_price);
	RUN(test_wrong_entries_are_named);
	RUN(test_one_zone_too_many_is_refused);
	return check_done();
}
