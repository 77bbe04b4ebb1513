/* SPDX-License-Identifier: Apache-2.0 */
#include <arpa/inet.h>

#include "support/check.h"
#include "weft/endpoint.h"

static struct weft_endpoint endpoint_of(const char *text)
{
	struct weft_endpoint endpoint = {.port_be = htons(7000)};
	__u8 bytes[16];

	if (inet_pton(AF_INET, text, bytes) == 1)
		weft_endpoint_set_ipv4(&endpoint, bytes);
	else if (inet_pton(AF_INET6, text, bytes) == 1)
		weft_endpoint_set_ipv6(&endpoint, bytes);
	else
		abort();
	return endpoint;
}

/* RFC 6890: the first and the last address of each block, and their neighbours outside. */
static const struct {
	const char *text;
	enum weft_addr_scope addr_scope;
} reaches[] = {
	{"0.255.255.255", WEFT_ADDR_SCOPE_NONE},
	{"1.0.0.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"9.255.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"10.0.0.0", WEFT_ADDR_SCOPE_SITE},
	{"10.255.255.255", WEFT_ADDR_SCOPE_SITE},
	{"11.0.0.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"100.63.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"100.64.0.0", WEFT_ADDR_SCOPE_SITE},
	{"100.127.255.255", WEFT_ADDR_SCOPE_SITE},
	{"100.128.0.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"126.255.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"127.0.0.0", WEFT_ADDR_SCOPE_HOST},
	{"127.255.255.255", WEFT_ADDR_SCOPE_HOST},
	{"128.0.0.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"169.253.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"169.254.0.0", WEFT_ADDR_SCOPE_SITE},
	{"169.254.255.255", WEFT_ADDR_SCOPE_SITE},
	{"169.255.0.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"172.15.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"172.16.0.0", WEFT_ADDR_SCOPE_SITE},
	{"172.31.255.255", WEFT_ADDR_SCOPE_SITE},
	{"172.32.0.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"191.255.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"192.0.0.0", WEFT_ADDR_SCOPE_NONE},
	{"192.0.0.255", WEFT_ADDR_SCOPE_NONE},
	{"192.0.1.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"192.167.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"192.168.0.0", WEFT_ADDR_SCOPE_SITE},
	{"192.168.255.255", WEFT_ADDR_SCOPE_SITE},
	{"192.169.0.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"198.17.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"198.18.0.0", WEFT_ADDR_SCOPE_SITE},
	{"198.19.255.255", WEFT_ADDR_SCOPE_SITE},
	{"198.20.0.0", WEFT_ADDR_SCOPE_GLOBAL},
	{"223.255.255.255", WEFT_ADDR_SCOPE_GLOBAL},
	{"224.0.0.0", WEFT_ADDR_SCOPE_NONE},
	{"255.255.255.255", WEFT_ADDR_SCOPE_NONE},
	{"::", WEFT_ADDR_SCOPE_NONE},
	{"::1", WEFT_ADDR_SCOPE_HOST},
	{"::2", WEFT_ADDR_SCOPE_NONE},
	{"1fff:ffff::", WEFT_ADDR_SCOPE_NONE},
	{"2000::", WEFT_ADDR_SCOPE_GLOBAL},
	{"3fff:ffff::", WEFT_ADDR_SCOPE_GLOBAL},
	{"4000::", WEFT_ADDR_SCOPE_NONE},
	{"fbff::1", WEFT_ADDR_SCOPE_NONE},
	{"fc00::", WEFT_ADDR_SCOPE_SITE},
	{"fdff:ffff::", WEFT_ADDR_SCOPE_SITE},
	{"fe00::", WEFT_ADDR_SCOPE_NONE},
	{"fe7f:ffff::", WEFT_ADDR_SCOPE_NONE},
	{"fe80::", WEFT_ADDR_SCOPE_SITE},
	{"febf:ffff::", WEFT_ADDR_SCOPE_SITE},
	{"fec0::", WEFT_ADDR_SCOPE_NONE},
	{"ff02::1", WEFT_ADDR_SCOPE_NONE},
};

static void test_scope_of_each_block_covers_its_first_and_last_address(void)
{
	for (size_t i = 0; i < sizeof(reaches) / sizeof(*reaches); i++) {
		struct weft_endpoint endpoint = endpoint_of(reaches[i].text);

		if (weft_endpoint_scope(&endpoint) != reaches[i].addr_scope)
			printf("# %s\n", reaches[i].text);
		CHECK_EQ(weft_endpoint_scope(&endpoint), reaches[i].addr_scope);
	}
}

static const struct {
	const char *source, *local;
	bool may;
} sends[] = {
	{"192.0.2.1", "192.0.2.2", true},	{"192.0.2.2", "192.0.2.2", false},
	{"127.0.0.1", "127.0.0.2", true},	{"127.0.0.1", "192.0.2.2", false},
	{"0.0.0.1", "192.0.2.2", false},	{"1.0.0.1", "192.0.2.2", true},
	{"223.255.255.255", "192.0.2.2", true}, {"224.0.0.0", "192.0.2.2", false},
	{"2001:db8::1", "2001:db8::2", true},	{"::", "2001:db8::2", false},
	{"ff02::1", "2001:db8::2", false},	{"fe80::1", "2001:db8::2", true},
	{"::1", "2001:db8::2", false},		{"1::", "2001:db8::2", true},
	{"::2", "2001:db8::2", true},
};

static void test_source_that_nothing_may_answer_does_not_send(void)
{
	for (size_t i = 0; i < sizeof(sends) / sizeof(*sends); i++) {
		struct weft_endpoint source = endpoint_of(sends[i].source);
		struct weft_endpoint local = endpoint_of(sends[i].local);

		if (weft_endpoint_may_send(&source, &local) != sends[i].may)
			printf("# %s\n", sends[i].source);
		CHECK_EQ(weft_endpoint_may_send(&source, &local), sends[i].may);
		source.port_be = 0;
		CHECK(!weft_endpoint_may_send(&source, &local));
	}
}

static void test_same_address_with_another_port_may_send(void)
{
	struct weft_endpoint source = endpoint_of("192.0.2.1"), local = source;

	source.port_be = htons(7001);
	CHECK(weft_endpoint_may_send(&source, &local));
}

static void test_prefix_of_each_level_has_its_length(void)
{
	struct weft_endpoint six = endpoint_of("2001:db8:1:2233:4455::1");
	struct weft_endpoint four = endpoint_of("192.0.2.255"), back;

	CHECK_EQ(weft_endpoint_level_cnt(&six), 3);
	CHECK_EQ(weft_endpoint_level_cnt(&four), 2);
	CHECK_EQ(weft_endpoint_prefix(&six, 0), 0x20010db800012233ull);
	CHECK_EQ(weft_endpoint_prefix(&six, 1), 0x20010db800012200ull);
	CHECK_EQ(weft_endpoint_prefix(&six, 2), 0x20010db800010000ull);
	CHECK_EQ(weft_endpoint_prefix(&four, 0), 0xffffffffc00002ffull);
	CHECK_EQ(weft_endpoint_prefix(&four, 1), 0xffffffffc0000200ull);

	back = weft_prefix_endpoint(weft_endpoint_prefix(&four, 0));
	four.port_be = 0;
	CHECK(weft_endpoint_equal(&back, &four));
	back = weft_prefix_endpoint(weft_endpoint_prefix(&six, 0));
	six = endpoint_of("2001:db8:1:2233::");
	six.port_be = 0;
	CHECK(weft_endpoint_equal(&back, &six));
}

int main(void)
{
	RUN(test_scope_of_each_block_covers_its_first_and_last_address);
	RUN(test_source_that_nothing_may_answer_does_not_send);
	RUN(test_same_address_with_another_port_may_send);
	RUN(test_prefix_of_each_level_has_its_length);
	return check_done();
}
