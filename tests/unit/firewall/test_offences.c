/* SPDX-License-Identifier: Apache-2.0 */
/* What follows from bans for the addresses of those banned. */
#include "firewall/offences.h"

#include <string.h>

#include "support/check.h"

#define NOW_S 1000000ull

static struct offences offences;

static struct addr place_of(const char *text)
{
	struct addr addr;

	if (addr_parse(text, &addr) < 0)
		abort();
	return firewall_offences_place(&addr);
}

static void note(unsigned key, const char *at, uint64_t at_s)
{
	struct offence offence = {.place = place_of(at), .at_s = at_s, .cause = 1000 + key};

	memcpy(offence.key, &key, sizeof(key));
	firewall_offences_note(&offences, &offence);
}

static uint64_t until_s(const char *at, uint64_t now_s)
{
	const struct addr place = place_of(at);

	return firewall_offences_limit_until_s(&offences, &place, now_s);
}

static void test_three_keys_within_an_hour_limit_an_address(void)
{
	memset(&offences, 0, sizeof(offences));
	note(1, "192.0.2.1:7000", NOW_S);
	note(2, "192.0.2.1:7001", NOW_S + 10);
	CHECK_EQ(until_s("192.0.2.1:9", NOW_S + 20), 0);
	note(1, "192.0.2.1:7000", NOW_S + 30); /* once more: still two keys */
	CHECK_EQ(until_s("192.0.2.1:9", NOW_S + 30), 0);
	note(3, "192.0.2.2:7000", NOW_S + 30); /* a neighbour in its /24 */
	CHECK_EQ(until_s("192.0.2.1:9", NOW_S + 30), 0);
	note(3, "192.0.2.1:7002", NOW_S + 40);
	CHECK_EQ(until_s("192.0.2.1:9", NOW_S + 40), NOW_S + 10 + 3600);
	CHECK_EQ(until_s("192.0.2.2:9", NOW_S + 40), 0);
	CHECK_EQ(until_s("192.0.2.1:9", NOW_S + 10 + 3600), 0);
}

static void test_an_address_of_ipv6_is_its_64(void)
{
	memset(&offences, 0, sizeof(offences));
	note(1, "[2001:db8:0:1::1]:1", NOW_S);
	note(2, "[2001:db8:0:1::2]:1", NOW_S);
	note(3, "[2001:db8:0:2::3]:1", NOW_S);
	CHECK_EQ(until_s("[2001:db8:0:1::9]:1", NOW_S), 0);
	note(3, "[2001:db8:0:1::3]:1", NOW_S);
	CHECK_EQ(until_s("[2001:db8:0:1::9]:1", NOW_S), NOW_S + 3600);
}

static void place_told(void *arg, const struct addr *place)
{
	CHECK_EQ(place->ip[3], 1);
	++*(unsigned *)arg;
}

static void test_a_cause_is_taken_back_wherever_it_led(void)
{
	const uint8_t key_two[BAN_KEY_LEN] = {2};
	struct offences before;
	unsigned told_cnt = 0;

	memset(&offences, 0, sizeof(offences));
	note(1, "192.0.2.1:1", NOW_S);
	note(3, "192.0.2.1:1", NOW_S);
	before = offences;
	note(2, "192.0.2.1:1", NOW_S + 1);
	note(2, "198.51.100.1:1", NOW_S + 2);
	CHECK_EQ(firewall_offences_cause(&offences, key_two, 7), 1002);
	CHECK(until_s("192.0.2.1:1", NOW_S) != 0);
	firewall_offences_forget_cause(&offences, 1002, place_told, &told_cnt);
	CHECK_EQ(told_cnt, 2);
	CHECK_EQ(until_s("192.0.2.1:1", NOW_S), 0);
	CHECK_EQ(offences.cnt, before.cnt);
	CHECK_MEM(offences.offences, before.offences, before.cnt * sizeof(before.offences[0]));
	CHECK_EQ(firewall_offences_cause(&offences, key_two, 7), 7);
}

static void test_a_pardoned_address_begins_anew(void)
{
	const struct addr place = place_of("192.0.2.1:1");

	memset(&offences, 0, sizeof(offences));
	for (unsigned i = 0; i < 5; i++)
		note(i, "192.0.2.1:1", NOW_S);
	note(9, "192.0.2.9:1", NOW_S);
	firewall_offences_forget_place(&offences, &place);
	CHECK_EQ(offences.cnt, 1);
	note(6, "192.0.2.1:1", NOW_S);
	CHECK_EQ(until_s("192.0.2.1:1", NOW_S), 0);
}

static void test_one_address_fills_no_table_of_offences(void)
{
	memset(&offences, 0, sizeof(offences));
	note(1, "192.0.2.1:1", NOW_S);
	note(2, "192.0.2.1:1", NOW_S);
	for (unsigned i = 0; i < 5000; i++)
		note(10 + i, "203.0.113.1:1", NOW_S + 1);
	CHECK_EQ(offences.cnt, 2 + OFFENCES_PLACE_CAP);
	note(3, "192.0.2.1:1", NOW_S + 2);
	CHECK(until_s("192.0.2.1:1", NOW_S + 2) != 0);
}

static void test_a_full_table_forgets_the_oldest_offence(void)
{
	char text[32];

	memset(&offences, 0, sizeof(offences));
	for (unsigned i = 0; i <= OFFENCES_CAP; i++) {
		snprintf(text, sizeof(text), "10.%u.%u.1:1", i / 256, i % 256);
		note(i, text, NOW_S + i);
	}
	CHECK_EQ(offences.cnt, OFFENCES_CAP);
	CHECK_EQ(firewall_offences_cause(&offences, (const uint8_t[BAN_KEY_LEN]){0}, 7), 7);
	CHECK_EQ(firewall_offences_cause(&offences, (const uint8_t[BAN_KEY_LEN]){1}, 7), 1001);
}

int main(void)
{
	RUN(test_three_keys_within_an_hour_limit_an_address);
	RUN(test_an_address_of_ipv6_is_its_64);
	RUN(test_a_cause_is_taken_back_wherever_it_led);
	RUN(test_a_pardoned_address_begins_anew);
	RUN(test_one_address_fills_no_table_of_offences);
	RUN(test_a_full_table_forgets_the_oldest_offence);
	return check_done();
}
