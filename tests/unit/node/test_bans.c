/* SPDX-License-Identifier: Apache-2.0 */
#include "node/bans.h"
#include "support/check.h"

static struct bans bans;

static struct ban ban_of(const char *text, uint64_t expires_ns)
{
	struct ban ban = {.expires_ns = expires_ns};

	if (ban_parse(text, &ban.prefix, &ban.prefix_len) < 0)
		abort();
	return ban;
}

static void test_prefixes_are_read_and_written_alike(void)
{
	static const struct {
		const char *text, *want; /* NULL: malformed */
	} rows[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.1/32", "192.0.2.1"},
		{"192.0.2.77/24", "192.0.2.0/24"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"2001:db8::1", "2001:db8::1"},
		{"2001:db8:1::/32", "2001:db8::/32"},
		{"192.0.2.1/33", NULL},
		{"2001:db8::/129", NULL},
		{"192.0.2.1/", NULL},
		{"192.0.2.1/-1", NULL},
		{"192.0.2.1/2x", NULL},
		{"", NULL},
		{"/8", NULL},
		{"host.example", NULL},
		{"192.0.2.1:80", NULL},
		{"192.0.2.1/ 24", NULL},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ban ban = {0};
		char text[BAN_TEXT_CAP];
		int err = ban_parse(rows[i].text, &ban.prefix, &ban.prefix_len);

		CHECK_EQ(err, rows[i].want ? 0 : WEFT_EMALFORMED);
		if (rows[i].want)
			CHECK_STR(ban_format(&ban, text), rows[i].want);
	}
}

static void test_a_ban_of_the_same_prefix_is_replaced_and_one_too_many_refused(void)
{
	struct ban ban = ban_of("192.0.2.0/24", 5), removed;
	char text[32];

	memset(&bans, 0, sizeof(bans));
	CHECK_EQ(bans_put(&bans, &ban), 0);
	CHECK_EQ(ban.rule, 1);
	ban.expires_ns = 9;
	CHECK_EQ(bans_put(&bans, &ban), 0);
	CHECK_EQ(bans.cnt, 1);
	CHECK_EQ(bans.list[0].expires_ns, 9);
	for (unsigned i = 1; i < BANS_CAP; i++) {
		snprintf(text, sizeof(text), "2001:db8::%x", i);
		ban = ban_of(text, 0);
		CHECK_EQ(bans_put(&bans, &ban), 0);
	}
	ban = ban_of("192.0.3.0/24", 0);
	CHECK_EQ(bans_put(&bans, &ban), WEFT_EFULL);
	CHECK_EQ(bans_count(&bans, ADDR_IPV4), 1);
	CHECK_EQ(bans_count(&bans, ADDR_IPV6), BANS_CAP - 1);
	ban = ban_of("192.0.2.0/25", 0);
	CHECK(!bans_remove(&bans, &ban.prefix, ban.prefix_len, &removed));
	ban = ban_of("192.0.2.0/24", 0);
	CHECK(bans_remove(&bans, &ban.prefix, ban.prefix_len, &removed));
	CHECK_EQ(removed.rule, 1);
	ban = ban_of("192.0.3.0/24", 0);
	CHECK_EQ(bans_put(&bans, &ban), 0);
}

static void test_bans_expire_at_their_time(void)
{
	struct ban forever = ban_of("192.0.2.1", 0), soon = ban_of("192.0.2.2", 10), out;

	memset(&bans, 0, sizeof(bans));
	CHECK_EQ(bans_put(&bans, &forever), 0);
	CHECK_EQ(bans_put(&bans, &soon), 0);
	CHECK(!bans_expire(&bans, 9, &out));
	CHECK(bans_expire(&bans, 10, &out));
	CHECK_EQ(out.rule, 2);
	CHECK(!bans_expire(&bans, UINT64_MAX, &out));
	CHECK_EQ(bans.cnt, 1);
}

int main(void)
{
	RUN(test_prefixes_are_read_and_written_alike);
	RUN(test_a_ban_of_the_same_prefix_is_replaced_and_one_too_many_refused);
	RUN(test_bans_expire_at_their_time);
	return check_done();
}
