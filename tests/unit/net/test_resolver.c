/* SPDX-License-Identifier: Apache-2.0 */
#include "net/resolver.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include "support/check.h"

static void test_targets_are_parsed_or_refused(void)
{
	static const struct {
		const char *text;
		const char *host; /* NULL: refused */
		uint16_t port;
	} rows[] = {
		{"dht.example.org:25401", "dht.example.org", 25401},
		{"192.0.2.1:1", "192.0.2.1", 1},
		{"[2001:db8::1]:65535", "2001:db8::1", 65535},
		{"_a-1.b:80", "_a-1.b", 80},
		{"", NULL, 0},
		{":1", NULL, 0},
		{"host", NULL, 0},
		{"host:", NULL, 0},
		{"host:0", NULL, 0},
		{"host:65536", NULL, 0},
		{"host:99999999999999999999", NULL, 0},
		{"host:-1", NULL, 0},
		{"host: 1", NULL, 0},
		{"host:1x", NULL, 0},
		{"ho st:1", NULL, 0},
		{"ho/st:1", NULL, 0},
		{"h:o:1", NULL, 0},
		{"2001:db8::1:1", NULL, 0},
		{"[2001:db8::1]1:1", NULL, 0},
		{"[host]:1", NULL, 0},
		{"[]:1", NULL, 0},
	};
	char longest[RESOLVER_HOST_CAP + 8];
	struct resolver_target target;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int err = net_resolver_target_parse(rows[i].text, &target);

		if ((err == 0) != (rows[i].host != NULL))
			printf("# %s\n", rows[i].text);
		CHECK_EQ(err, rows[i].host ? 0 : WEFT_EMALFORMED);
		if (err == 0) {
			CHECK_STR(target.host, rows[i].host);
			CHECK_EQ(target.port, rows[i].port);
		}
	}
	for (int over = 0; over <= 1; over++) {
		memset(longest, 'a', sizeof(longest));
		strcpy(longest + RESOLVER_HOST_CAP - 1 + over, ":1");
		CHECK_EQ(net_resolver_target_parse(longest, &target), over ? WEFT_EMALFORMED : 0);
	}
}

/* An address is its own answer, without a query. */
static void test_an_address_is_looked_up_without_a_server(void)
{
	static const char *const texts[] = {"192.0.2.1:7", "[2001:db8::1]:9"};
	char text[ADDR_TEXT_CAP];

	for (size_t i = 0; i < 2; i++) {
		struct resolver_target target;
		struct addr addrs[2];

		CHECK_EQ(net_resolver_target_parse(texts[i], &target), 0);
		CHECK_EQ(net_resolver_lookup(&target, UINT64_MAX / 2, -1, addrs, 2), 1);
		CHECK_STR(addr_format(&addrs[0], text), texts[i]);
	}
}

/* Nor is there a query after that: an address would have been an answer. */
static void test_a_stopped_lookup_ends_at_once(void)
{
	struct resolver_target target;
	struct addr addrs[1];
	int stop_fd = eventfd(1, EFD_CLOEXEC);

	CHECK_EQ(net_resolver_target_parse("192.0.2.1:7", &target), 0);
	CHECK_EQ(net_resolver_lookup(&target, UINT64_MAX / 2, stop_fd, addrs, 1), WEFT_ECANCELLED);
	close(stop_fd);
}

int main(void)
{
	RUN(test_targets_are_parsed_or_refused);
	RUN(test_an_address_is_looked_up_without_a_server);
	RUN(test_a_stopped_lookup_ends_at_once);
	return check_done();
}
