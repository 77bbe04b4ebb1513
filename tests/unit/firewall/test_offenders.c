/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/offenders.h"

#include "support/check.h"

#define HOUR OFFENDERS_HOUR_NS
#define DAY  (24 * HOUR)

static struct offenders offenders;
static struct offender top[OFFENDERS_HOUR_CNT * OFFENDERS_CAP];

static struct weft_endpoint ipv4(uint32_t number)
{
	const uint8_t addr[4] = {10, (uint8_t)(number >> 16), (uint8_t)(number >> 8),
				 (uint8_t)number};
	struct weft_endpoint endpoint = {.port_be = (__be16)(number + 1)};

	weft_endpoint_set_ipv4(&endpoint, addr);
	return endpoint;
}

static void add(struct weft_endpoint source, enum weft_reason reason, uint32_t weight,
		uint64_t at_ns)
{
	const struct weft_sample sample = {
		.at_ns = at_ns, .source = source, .weight = weight, .reason = (__u16)reason};

	firewall_offenders_add(&offenders, &sample);
}

static unsigned all_at(uint64_t now_ns)
{
	return firewall_offenders_top(&offenders, now_ns, top, sizeof(top) / sizeof(top[0]));
}

static void test_ports_and_hosts_of_a_64_are_one_source(void)
{
	struct weft_endpoint a = {.port_be = 1}, b = {.port_be = 2};
	const uint8_t first[16] = {0x20, 1, 0xd, 0xb8, [15] = 1};
	const uint8_t second[16] = {0x20, 1, 0xd, 0xb8, [15] = 2};

	memset(&offenders, 0, sizeof(offenders));
	weft_endpoint_set_ipv6(&a, first);
	weft_endpoint_set_ipv6(&b, second);
	add(a, WEFT_REASON_BAD_ID, 3, 5);
	add(b, WEFT_REASON_BAD_ID, 4, 6);
	add(b, WEFT_REASON_BANNED, 1, 7);
	CHECK_EQ(all_at(10), 2);
	CHECK_EQ(top[0].cnt, 7);
	CHECK_EQ(top[0].first_ns, 5);
	CHECK_EQ(top[0].last_ns, 6);
	CHECK_EQ(top[0].source.port_be, 0);
	CHECK_EQ(top[1].reason, WEFT_REASON_BANNED);
}

static void test_one_more_than_fits_takes_the_place_of_the_least(void)
{
	memset(&offenders, 0, sizeof(offenders));
	for (uint32_t i = 0; i < OFFENDERS_CAP; i++)
		add(ipv4(i), WEFT_REASON_BAD_ID, 10 + i, i);
	CHECK_EQ(all_at(HOUR - 1), OFFENDERS_CAP);
	add(ipv4(OFFENDERS_CAP), WEFT_REASON_BAD_ID, 1, HOUR - 1);
	CHECK_EQ(all_at(HOUR - 1), OFFENDERS_CAP);
	for (unsigned i = 0; i < OFFENDERS_CAP; i++) {
		struct weft_endpoint gone = ipv4(0), fresh = ipv4(OFFENDERS_CAP);

		gone.port_be = fresh.port_be = 0;
		CHECK(!weft_endpoint_equal(&top[i].source, &gone));
		if (!weft_endpoint_equal(&top[i].source, &fresh))
			continue;
		CHECK_EQ(top[i].cnt, 11);
		CHECK_EQ(top[i].error_cnt, 10);
	}
}

/* However many pass by, a source beyond its share is found, and not undercounted. */
static void test_the_heavy_ones_are_found_among_a_million(void)
{
	const unsigned heavy_cnt = 4;

	memset(&offenders, 0, sizeof(offenders));
	for (uint32_t i = 0; i < 1000000; i++)
		add(ipv4(i % 50 ? 1000 + i : i / 50 % heavy_cnt), WEFT_REASON_KRPC_LIMIT, 1, i);
	CHECK_EQ(all_at(HOUR - 1), OFFENDERS_CAP);
	for (unsigned i = 0; i < heavy_cnt; i++) {
		struct weft_endpoint source = top[i].source;

		CHECK(weft_endpoint_ipv4(&source) < 0x0a000000 + heavy_cnt);
		CHECK(top[i].cnt >= 5000);
		CHECK(top[i].cnt - top[i].error_cnt <= 5000);
	}
}

static void test_hours_add_up_for_a_day_and_are_forgotten(void)
{
	memset(&offenders, 0, sizeof(offenders));
	for (unsigned hour = 0; hour < 24; hour++)
		add(ipv4(1), WEFT_REASON_BAD_ID, 2, hour * HOUR);
	CHECK_EQ(all_at(DAY - 1), 1);
	CHECK_EQ(top[0].cnt, 48);
	CHECK_EQ(top[0].first_ns, 0);
	CHECK_EQ(top[0].last_ns, 23 * HOUR);
	CHECK_EQ(all_at(DAY), 1);
	CHECK_EQ(all_at(DAY + HOUR), 1);
	CHECK_EQ(top[0].cnt, 46);
	CHECK_EQ(all_at(2 * DAY), 0);
	/* A sample that comes a day late falls into no hour. */
	add(ipv4(2), WEFT_REASON_BAD_ID, 1, 2 * DAY + 2 * HOUR);
	add(ipv4(3), WEFT_REASON_BAD_ID, 1, DAY + HOUR);
	CHECK_EQ(all_at(2 * DAY + 2 * HOUR), 1);
}

int main(void)
{
	RUN(test_ports_and_hosts_of_a_64_are_one_source);
	RUN(test_one_more_than_fits_takes_the_place_of_the_least);
	RUN(test_the_heavy_ones_are_found_among_a_million);
	RUN(test_hours_add_up_for_a_day_and_are_forgotten);
	return check_done();
}
