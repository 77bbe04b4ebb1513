/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fair/fair_path.h"

#include <stdlib.h>
#include "support/check.h"

static struct fair_path path_of(const struct fair_paths *paths, const char *text)
{
	struct fair_path path;
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	fair_path_of_addr(paths, &addr, FAIR_UNKNOWN, &path);
	return path;
}

static unsigned common_levels(const struct fair_path *a, const struct fair_path *b)
{
	unsigned cnt = 0;

	while (cnt < a->level_cnt && cnt < b->level_cnt && a->ids[cnt] == b->ids[cnt])
		cnt++;
	return cnt;
}

static void test_two_addresses_share_the_levels_of_their_common_prefix(void)
{
	static const struct {
		const char *site, *a, *b;
		unsigned level_cnt, want;
	} rows[] = {
		{NULL, "192.0.2.1:1", "192.0.2.1:2", 3, 3},
		{NULL, "192.0.2.1:1", "192.0.2.2:1", 3, 2},
		{NULL, "192.0.2.1:1", "192.0.3.1:1", 3, 1},
		{NULL, "192.0.2.1:1", "[2001:db8::1]:1", 3, 0},
		{NULL, "[2001:db8::1]:1", "[2001:db8::2]:1", 4, 4},
		{NULL, "[2001:db8::1]:1", "[2001:db8:0:1::1]:1", 4, 3},
		{NULL, "[2001:db8::1]:1", "[2001:db8:0:100::1]:1", 4, 2},
		{NULL, "[2001:db8::1]:1", "[2001:db8:1::1]:1", 4, 1},
		{"10.0.0.0/8:28", "10.1.1.1:1", "10.1.1.17:1", 3, 1},
		{"10.0.0.0/8:28", "10.1.1.1:1", "10.1.1.2:1", 3, 2},
		{"10.0.0.0/8:32", "10.1.1.1:1", "10.1.1.2:1", 2, 1},
		{"10.0.0.0/8:28", "11.1.1.1:1", "11.1.1.17:1", 3, 2},
		{"fd00::/48:64", "[fd00::1]:1", "[fd00:0:0:1::1]:1", 2, 1},
		{"fd00::/48:128", "[fd00::1]:1", "[fd00::2]:1", 2, 1},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fair_paths paths = {.secret = {1, 2}};
		struct fair_path a, b;

		if (rows[i].site)
			CHECK_EQ(fair_site_parse(rows[i].site, &paths.site), 0);
		a = path_of(&paths, rows[i].a);
		b = path_of(&paths, rows[i].b);
		printf("# %s %s\n", rows[i].a, rows[i].b);
		CHECK_EQ(a.level_cnt, rows[i].level_cnt);
		CHECK_EQ(common_levels(&a, &b), rows[i].want);
	}
}

static void test_a_key_is_an_account_of_its_address(void)
{
	struct fair_paths paths = {.secret = {1, 2}};
	struct fair_path a = path_of(&paths, "192.0.2.1:1");
	struct fair_path b = path_of(&paths, "192.0.2.2:1");

	fair_path_add(&paths, &a, "key", 3);
	fair_path_add(&paths, &b, "key", 3);
	CHECK_EQ(a.level_cnt, 4);
	CHECK(a.ids[3] != b.ids[3]);
}

static void test_a_site_that_is_no_prefix_is_refused(void)
{
	static const char *const bad[] = {
		"10.0.0.0",	  "10.0.0.0/8",	   "10.0.0.0/8:",    "10.0.0.0/33:33",
		"10.0.0.0/8:7",	  "10.0.0.0/8:33", "10.0.0.0/8:28x", "10.0.0/8:28",
		"fd00::/48:129",  "fd00::/:64",	   "/8:28",	     "10.0.0.0/8:28:1",
		"10.0.0.0:1/8:28"};
	struct fair_site site = {.prefix_len = 77};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		printf("# %s\n", bad[i]);
		CHECK_EQ(fair_site_parse(bad[i], &site), WEFT_EMALFORMED);
		CHECK_EQ(site.prefix_len, 77);
	}
}

static void test_a_site_is_written_as_it_is_read(void)
{
	static const char *const good[] = {"", "10.0.0.0/8:28", "fd00::/48:64", "0.0.0.0/0:32"};
	char text[FAIR_SITE_TEXT_CAP];
	struct fair_site site;

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CHECK_EQ(fair_site_parse(good[i], &site), 0);
		CHECK_STR(fair_site_format(&site, text), good[i]);
	}
}

static uint64_t network_of(const char *text, unsigned key)
{
	static const struct fair_paths paths = {.secret = {1, 2}};
	struct addr addr = {.family = ADDR_NONE};
	struct fair_path path;

	if (text && addr_parse(text, &addr) < 0)
		abort();
	fair_path_of_addr(&paths, &addr, FAIR_UNKNOWN, &path);
	fair_path_add(&paths, &path, &key, sizeof(key));
	return fair_path_network(&path);
}

static void test_keys_of_a_network_and_those_without_an_address_share_it(void)
{
	CHECK(network_of("192.0.2.1:1", 1) == network_of("192.0.2.2:1", 2));
	CHECK(network_of("192.0.2.1:1", 1) != network_of("192.0.3.1:1", 1));
	CHECK(network_of("[2001:db8::1]:1", 1) == network_of("[2001:db8:0:1::1]:1", 2));
	CHECK(network_of("[2001:db8::1]:1", 1) != network_of("[2001:db8:1::1]:1", 1));
	CHECK(network_of(NULL, 1) == network_of(NULL, 2));
}

int main(void)
{
	RUN(test_two_addresses_share_the_levels_of_their_common_prefix);
	RUN(test_a_key_is_an_account_of_its_address);
	RUN(test_a_site_that_is_no_prefix_is_refused);
	RUN(test_a_site_is_written_as_it_is_read);
	RUN(test_keys_of_a_network_and_those_without_an_address_share_it);
	return check_done();
}
