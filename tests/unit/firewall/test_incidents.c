/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/incidents.h"

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

	if (firewall_ban_target_parse(text, &who) < 0)
		printf("# %s is no prefix\n", text);
	return who;
}

static void add(struct ban_target who, const char *addr, uint64_t at_ns, uint64_t code)
{
	struct incident incident = {.at_ns = at_ns, .who = who, .end.code = code};

	if (addr && addr_parse(addr, &incident.addr) < 0)
		printf("# %s is no address\n", addr);
	firewall_incidents_add(&incidents, &incident);
}

static unsigned find(struct ban_target who, uint64_t now_ns, unsigned cap)
{
	lost_cnt = firewall_incidents_lost_cnt(&incidents, now_ns);
	return firewall_incidents_find(&incidents, now_ns, &who, found, cap);
}

static void test_each_finds_its_own(void)
{
	memset(&incidents, 0, sizeof(incidents));
	add(key_of(1), "192.0.2.1:5", 1, 10);
	add(key_of(2), "[2001:db8::1]:5", 2, 20);
	add(prefix_of("192.0.2.0/24"), NULL, 3, 30);
	CHECK_EQ(find(key_of(1), 9, 10), 1);
	CHECK_EQ(found[0].end.code, 10);
	CHECK_EQ(find(key_of(3), 9, 10), 0);
	CHECK_EQ(find(prefix_of("192.0.2.1"), 9, 10), 2);
	CHECK_EQ(found[0].end.code, 10);
	CHECK_EQ(found[1].end.code, 30);
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
	CHECK_EQ(found[0].end.code, 7);
	CHECK_EQ(found[1].end.code, 1001);
	CHECK_EQ(found[INCIDENTS_CAP].end.code, 5000);
}

static void test_the_newest_are_listed_when_the_room_is_small(void)
{
	memset(&incidents, 0, sizeof(incidents));
	for (unsigned i = 0; i < 100; i++)
		add(key_of(1), NULL, i, i);
	for (unsigned cap = 1; cap < 100; cap++) {
		CHECK_EQ(find(key_of(1), 100, cap), cap);
		for (unsigned i = 0; i < cap; i++)
			CHECK_EQ(found[i].end.code, 100 - cap + i);
	}
}

static void test_a_day_is_remembered_and_no_more(void)
{
	memset(&incidents, 0, sizeof(incidents));
	for (unsigned hour = 0; hour < 60; hour++)
		add(key_of(1), NULL, hour * HOUR, hour);
	CHECK_EQ(find(key_of(1), 59 * HOUR, 60), 25);
	CHECK_EQ(found[0].end.code, 35);
	CHECK_EQ(found[24].end.code, 59);
	CHECK_EQ(find(key_of(1), 83 * HOUR, 60), 1);
	CHECK_EQ(find(key_of(1), 84 * HOUR, 60), 0);
	add(key_of(1), NULL, 5 * HOUR, 5); /* a day late */
	CHECK_EQ(find(key_of(1), 59 * HOUR, 60), 25);
}

/* A source that hammers at the door does not push others out of the hour. */
static void test_attempts_in_vain_are_counted_not_kept(void)
{
	struct incident attempt = {.kind = INCIDENT_REFUSED, .who = key_of(7)};

	memset(&incidents, 0, sizeof(incidents));
	CHECK_EQ(addr_parse("192.0.2.1:5", &attempt.addr), 0);
	add(key_of(1), "192.0.2.9:5", 1, 10);
	for (uint64_t i = 0; i < 3 * INCIDENTS_CAP; i++) {
		attempt.at_ns = 2 + i;
		attempt.at_s = i;
		attempt.addr.port = (uint16_t)i;
		firewall_incidents_add(&incidents, &attempt);
	}
	CHECK_EQ(find(key_of(1), HOUR - 1, 10), 1);
	CHECK_EQ(find(key_of(7), HOUR - 1, 10), 1);
	CHECK_EQ(found[0].at_s, 0);
	CHECK_EQ(found[0].again_cnt, 3 * INCIDENTS_CAP - 1);
	CHECK_EQ(found[0].last_s, 3 * INCIDENTS_CAP - 1);
	CHECK_EQ(lost_cnt, 0);
	/* Another cause, another place, another hour, another kind are another incident. */
	attempt.end.code = 7;
	firewall_incidents_add(&incidents, &attempt);
	attempt.addr.ip[3] = 2;
	firewall_incidents_add(&incidents, &attempt);
	attempt.kind = INCIDENT_DIAL_FAILED;
	firewall_incidents_add(&incidents, &attempt);
	attempt.at_ns += HOUR;
	firewall_incidents_add(&incidents, &attempt);
	CHECK_EQ(find(key_of(7), 2 * HOUR - 1, 10), 5);
}

/* A session that opens twice has opened twice. */
static void test_violations_of_one_rule_are_counted(void)
{
	static const char first[] = "too many calls", other[] = "too much payload";
	struct incident incident = {.kind = INCIDENT_VIOLATION, .who = key_of(1), .rule = first};

	memset(&incidents, 0, sizeof(incidents));
	for (unsigned i = 0; i < 3; i++)
		firewall_incidents_add(&incidents, &incident);
	incident.rule = other;
	firewall_incidents_add(&incidents, &incident);
	CHECK_EQ(find(key_of(1), 9, 10), 2);
	CHECK(found[0].rule == first && found[0].again_cnt == 2);
	CHECK(found[1].rule == other && found[1].again_cnt == 0);
}

static void test_sessions_are_kept_one_by_one(void)
{
	memset(&incidents, 0, sizeof(incidents));
	add(key_of(1), "192.0.2.1:5", 1, 0);
	add(key_of(1), "192.0.2.1:5", 2, 0);
	CHECK_EQ(find(key_of(1), 9, 10), 2);
}

int main(void)
{
	RUN(test_each_finds_its_own);
	RUN(test_one_more_than_an_hour_holds_loses_its_oldest);
	RUN(test_the_newest_are_listed_when_the_room_is_small);
	RUN(test_a_day_is_remembered_and_no_more);
	RUN(test_attempts_in_vain_are_counted_not_kept);
	RUN(test_violations_of_one_rule_are_counted);
	RUN(test_sessions_are_kept_one_by_one);
	return check_done();
}
