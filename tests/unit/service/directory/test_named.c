/* SPDX-License-Identifier: Apache-2.0 */
#include "service/directory/named.h"

#include <string.h>

#include "support/check.h"

#define NODE "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1y"
/* 52 letters whose unused bits are set: no key, and too long for a version it is not. */
#define NO_NODE "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot19"

static void test_a_name_has_a_provider_and_a_version(void)
{
	static const struct {
		const char *text, *name, *version;
		bool has_provider;
	} rows[] = {
		{"hello", "hello", "", false},
		{"hello@^1", "hello", "^1", false},
		{"hello@>=1.0.0 <3", "hello", ">=1.0.0 <3", false},
		{"hello@" NODE, "hello", "", true},
		{"hello@" NODE "@1.2.0", "hello", "1.2.0", true},
		{"hello@" NO_NODE, "hello", NO_NODE, false},
	};
	struct service_named named;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(service_named_parse(rows[i].text, &named), 0);
		CHECK_STR(named.name, rows[i].name);
		CHECK_STR(named.version, rows[i].version);
		CHECK_EQ(named.has_provider, rows[i].has_provider);
	}
}

static void test_what_is_no_name_leaves_the_outcome_as_it_was(void)
{
	static const char *const rows[] = {
		"", "@", "@^1", "a@", "a@^1@", "a@^1@" NODE, "a@" NODE "@" NODE "@^1@^2", "a@@^1",
	};
	struct service_named named = {.name = "before"};
	char text[512];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		CHECK_EQ(service_named_parse(rows[i], &named), WEFT_EMALFORMED);
	memset(text, 'a', sizeof(text));
	text[SERVICE_NAME_LEN_MAX + 1] = '\0';
	CHECK_EQ(service_named_parse(text, &named), WEFT_EMALFORMED);
	CHECK_STR(named.name, "before");
	text[SERVICE_NAME_LEN_MAX] = '\0';
	CHECK_EQ(service_named_parse(text, &named), 0);
	memset(text, '1', sizeof(text));
	memcpy(text, "a@", 2);
	text[2 + SEMVER_RANGE_LEN_MAX] = '\0';
	CHECK_EQ(service_named_parse(text, &named), 0);
	text[2 + SEMVER_RANGE_LEN_MAX] = '1';
	text[3 + SEMVER_RANGE_LEN_MAX] = '\0';
	CHECK_EQ(service_named_parse(text, &named), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_a_name_has_a_provider_and_a_version);
	RUN(test_what_is_no_name_leaves_the_outcome_as_it_was);
	return check_done();
}
