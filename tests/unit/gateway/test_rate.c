/* SPDX-License-Identifier: Apache-2.0 */
#include "gateway/rate.h"

#include "base/monotonic.h"
#include "support/check.h"

static struct rate rate;

static void start(void)
{
	memset(&rate, 0, sizeof(rate));
	gateway_rate_init(&rate, NS_PER_S / 2, 10);
}

static struct addr addr_of(const char *text)
{
	struct addr addr;

	return addr_parse(text, &addr) == 0 ? addr : (struct addr){.family = ADDR_NONE};
}

static unsigned take_all(const char *text, uint64_t now_ns)
{
	struct addr addr = addr_of(text);
	unsigned cnt = 0;

	while (cnt < 1000 && gateway_rate_take(&rate, &addr, now_ns))
		cnt++;
	return cnt;
}

static void test_a_burst_then_two_a_second(void)
{
	static const struct {
		uint64_t at_ns;
		unsigned cnt;
		const char *why;
	} steps[] = {
		{NS_PER_S, 10, "a fresh address has its burst"},
		{NS_PER_S, 0, "and no more"},
		{NS_PER_S + NS_PER_S / 2 - 1, 0, "half a second is not over"},
		{NS_PER_S + NS_PER_S / 2, 1, "one is earned"},
		{3 * NS_PER_S + NS_PER_S / 2, 4, "two a second"},
		{99 * NS_PER_S, 10, "no more than the burst is saved up"},
	};

	start();
	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		unsigned cnt = take_all("192.0.2.1:1", steps[i].at_ns);

		if (cnt != steps[i].cnt)
			printf("# %s\n", steps[i].why);
		CHECK_EQ(cnt, steps[i].cnt);
	}
}

static void test_a_client_is_an_ipv4_address_or_an_ipv6_64(void)
{
	start();
	CHECK_EQ(take_all("192.0.2.1:1", NS_PER_S), 10);
	CHECK_EQ(take_all("192.0.2.1:2", NS_PER_S), 0);
	CHECK_EQ(take_all("192.0.2.2:1", NS_PER_S), 10);
	CHECK_EQ(take_all("[2001:db8::1]:1", NS_PER_S), 10);
	CHECK_EQ(take_all("[2001:db8::ffff:1]:1", NS_PER_S), 0);
	CHECK_EQ(take_all("[2001:db8:0:1::1]:1", NS_PER_S), 10);
}

/* Ten times as many addresses as there are places: each is served, nothing grows. */
static void test_more_addresses_than_places(void)
{
	start();
	for (uint32_t i = 0; i < 10 * RATE_SLOT_CNT; i++) {
		struct addr addr = {.family = ADDR_IPV4,
				    .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};

		CHECK(gateway_rate_take(&rate, &addr, NS_PER_S));
	}
}

/* A client at the limit keeps the place as long as there are others with less to answer for. */
static void test_the_most_active_client_is_forgotten_last(void)
{
	unsigned kept_cnt = 0;

	start();
	CHECK_EQ(take_all("192.0.2.1:1", NS_PER_S), 10);
	for (uint32_t i = 0; i < RATE_SLOT_CNT; i++) {
		struct addr addr = {.family = ADDR_IPV4,
				    .ip = {10, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i}};

		kept_cnt += gateway_rate_take(&rate, &addr, NS_PER_S);
	}
	CHECK_EQ(kept_cnt, RATE_SLOT_CNT);
	CHECK_EQ(take_all("192.0.2.1:1", NS_PER_S), 0);
}

int main(void)
{
	RUN(test_a_burst_then_two_a_second);
	RUN(test_a_client_is_an_ipv4_address_or_an_ipv6_64);
	RUN(test_more_addresses_than_places);
	RUN(test_the_most_active_client_is_forgotten_last);
	return check_done();
}
