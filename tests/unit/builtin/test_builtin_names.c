/* SPDX-License-Identifier: Apache-2.0 */
/* The list of built-in services in weft.conf. */
#include "builtin/builtin.h"
#include "support/check.h"

#define BIT(service) (1u << (service))

static void test_names_stand_apart_by_blanks_or_commas(void)
{
	static const struct {
		const char *names;
		uint32_t offered;
	} rows[] = {
		{"", 0},
		{" , ", 0},
		{"echo", BIT(BUILTIN_ECHO)},
		{"echo,dht", BIT(BUILTIN_ECHO) | BIT(BUILTIN_DHT)},
		{" mesh-content  pod-chat ", BIT(BUILTIN_CONTENT) | BIT(BUILTIN_POD_CHAT)},
		{"echo echo", BIT(BUILTIN_ECHO)},
		{"hole-punch", BIT(BUILTIN_PUNCH)},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint32_t offered = ~0u;

		CHECK(builtin_names_parse(rows[i].names, &offered));
		CHECK_EQ(offered, rows[i].offered);
	}
}

static void test_a_name_that_is_none_is_refused_and_nothing_is_written(void)
{
	static const char *const names[] = {"ech", "echoo", "echo;dht", "echo none", "ECHO"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		uint32_t offered = 77;

		CHECK(!builtin_names_parse(names[i], &offered));
		CHECK_EQ(offered, 77);
	}
}

int main(void)
{
	RUN(test_names_stand_apart_by_blanks_or_commas);
	RUN(test_a_name_that_is_none_is_refused_and_nothing_is_written);
	return check_done();
}
