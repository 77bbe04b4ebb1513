/* SPDX-License-Identifier: Apache-2.0 */
#include "node/incidents.h"

#include "support/check.h"

#define HOUR INCIDENTS_HOUR_NS

static struct incidents incidents;
static struct incident found[INCIDENTS_HOUR_CNT * INCIDENTS_CAP + 1];
static uint64_t lost_cnt;

static struct ban_target key_of(uint8_t byte)
{
	struct ban_target who = {.kind = BAN_KEY};

	memset(who.key, byte, sizeof(who.key));
	return who;
}

static struct ban_target prefix_of(const char *text)
{
	struct ban_target who = {0};

	if (ban_target_parse(text, &who) < 0)
		printf("# %s is no prefix\n", text);
	return who;
}

static void add(struct ban_target who, const char *addr, uint64_t at_ns, uint64_t code)
{
	struct incident incident = {.at_ns = at_ns, .who = who, .code = code};

	if (addr && addr_parse(addr, &incident.addr) < 0)
		printf("# %s is no address\n", addr);
	incidents_add(&incidents, &incident);
}

static unsigned find(struct ban_target who, uint64_t now_ns, unsigned cap)
{
	return incidents_find(&incidents, now_ns, &who, found, cap, &lost_cnt);
}

static void test_each_finds_its_own(void)
{
	memset(&incidents, 0, sizeof(incidents));
	add(key_of(1), "192.0.2.1:5", 1, 10);
	add(key_of(2), "[2001:db8::1]:5", 2, 20);
	add(prefix_of("192.0.2.0/24"), NULL, 3, 30);
	CHECK_EQ(find(key_of(1), 9, 10), 1);
	CHECK_EQ(found[0].code, 10);
	CHECK_EQ(find(key_of(3), 9, 10), 0);
	CHECK_EQ(find(prefix_of("192.0.2.1"), 9, 10), 2);
	CHECK_EQ(found[0].code, 10);
	CHECK_EQ(found[1].code, 30);
	CHECK_EQ(find(prefix_of("192.0.2.2"), 9, 10), 1);
	CHECK_EQ(find(prefix_of("192.0.0.0/16"), 9, 10), 2);
	CHECK_EQ(find(prefix_of("192.0.3.0/24"), 9, 10), 0);
	CHECK_EQ(find(prefix_of("2001:db8::/48"), 9, 10), 1);
}

static void test_one_more_than_an_hour_holds_loses_its_oldest(void)
{
	memset(&incidents, 0, sizeof(incidents));
	add(key_of(1), NULL, HOUR - 1, 7); /* another hour's stays */
	for (unsigned i = 0; i < INCIDENTS_CAP; i++)
		add(key_of(1), NULL, HOUR + i, 1000 + i);
	CHECK_EQ(find(key_of(1), 2 * HOUR - 1, INCIDENTS_CAP + 2), INCIDENTS_CAP + 1);
	CHECK_EQ(lost_cnt, 0);
	add(key_of(1), NULL, 2 * HOUR - 1, 5000);
	CHECK_EQ(find(key_of(1), 2 * HOUR - 1, INCIDENTS_CAP + 2), INCIDENTS_CAP + 1);
	CHECK_EQ(lost_cnt, 1);
	CHECK_EQ(found[0].code, 7);
	CHECK_EQ(found[1].code, 1001);
	CHECK_EQ(found[INCIDENTS_CAP].code, 5000);
}

static void test_the_newest_are_told_when_the_room_is_small(void)
{
	memset(&incidents, 0, sizeof(incidents));
	for (unsigned i = 0; i < 100; i++)
		add(key_of(1), NULL, i, i);
	for (unsigned cap = 1; cap < 100; cap++) {
		CHECK_EQ(find(key_of(1), 100, cap), cap);
		for (unsigned i = 0; i < cap; i++)
			CHECK_EQ(found[i].code, 100 - cap + i);
	}
}

static void test_a_day_is_remembered_and_no_more(void)
{
	memset(&incidents, 0, sizeof(incidents));
	for (unsigned hour = 0; hour < 60; hour++)
		add(key_of(1), NULL, hour * HOUR, hour);
	CHECK_EQ(find(key_of(1), 59 * HOUR, 60), 25);
	CHECK_EQ(found[0].code, 35);
	CHECK_EQ(found[24].code, 59);
	CHECK_EQ(find(key_of(1), 83 * HOUR, 60), 1);
	CHECK_EQ(find(key_of(1), 84 * HOUR, 60), 0);
	add(key_of(1), NULL, 5 * HOUR, 5); /* a day late */
	CHECK_EQ(find(key_of(1), 59 * HOUR, 60), 25);
}

int main(void)
{
	RUN(test_each_finds_its_own);
	RUN(test_one_more_than_an_hour_holds_loses_its_oldest);
	RUN(test_the_newest_are_told_when_the_room_is_small);
	RUN(test_a_day_is_remembered_and_no_more);
	return check_done();
}
