/* SPDX-License-Identifier: Apache-2.0 */
#include "firewall/ban_rule.h"

#include "base/byte_cursor.h"
#include "support/check.h"

static void test_targets_are_read_and_written(void)
{
	static const struct {
		const char *text;
		int err;
		const char *want; /* written again; NULL: nothing was read */
	} rows[] = {
		{"192.0.2.1", 0, "192.0.2.1"},
		{"192.0.2.1/32", 0, "192.0.2.1"},
		{"192.0.2.0/24", 0, "192.0.2.0/24"},
		{"128.0.0.0/1", 0, "128.0.0.0/1"},
		{"2001:db8::1", 0, "2001:db8::1"},
		{"2001:db8::/48", 0, "2001:db8::/48"},
		{"2001:db8::/128", 0, "2001:db8::"},
		{"::ffff:192.0.2.1", 0, "192.0.2.1"},
		{"::ffff:192.0.2.0/120", 0, "192.0.2.0/24"},
		{"::/96", 0, "::/96"},
		{"192.0.2.1/24", WEFT_EUNSAFE, "192.0.2.0/24"},
		{"2001:db8::1/64", WEFT_EUNSAFE, "2001:db8::/64"},
		{"0.0.0.0/0", WEFT_ETOOLARGE, NULL},
		{"::/0", WEFT_ETOOLARGE, NULL},
		{"192.0.2.0/33", WEFT_ETOOLARGE, NULL},
		{"2001:db8::/129", WEFT_ETOOLARGE, NULL},
		{"192.0.2.0/", WEFT_ETOOLARGE, NULL},
		{"192.0.2.0/2 ", WEFT_ETOOLARGE, NULL},
		{"192.0.2.0/99999999999999999999", WEFT_ETOOLARGE, NULL},
		{"192.0.2.1:7000", WEFT_EMALFORMED, NULL},
		{"[2001:db8::1]:7000", WEFT_EMALFORMED, NULL},
		{"192.0.2", WEFT_EMALFORMED, NULL},
		{"192.0.2.256", WEFT_EMALFORMED, NULL},
		{"", WEFT_EMALFORMED, NULL},
		{"/8", WEFT_EMALFORMED, NULL},
		{"fe80::1%3", WEFT_EMALFORMED, NULL},
		{"host.example", WEFT_EMALFORMED, NULL},
		{"2001:0db8:0000:0000:0000:0000:0000:0000:0000:0001", WEFT_EMALFORMED, NULL},
	};
	char buf[BAN_TARGET_TEXT_CAP];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ban_target target = {0};

		printf("# %s\n", rows[i].text);
		CHECK_EQ(firewall_ban_target_parse(rows[i].text, &target), rows[i].err);
		if (rows[i].want)
			CHECK_STR(firewall_ban_target_format(&target, buf), rows[i].want);
	}
}

static bool target_has(const char *prefix, const char *from)
{
	struct ban_target target;
	struct addr addr;

	return firewall_ban_target_parse(prefix, &target) == 0 && addr_parse(from, &addr) == 0 &&
	       firewall_ban_target_has(&target, &addr);
}

static void test_a_prefix_has_its_addresses_and_no_other(void)
{
	CHECK(target_has("192.0.2.0/24", "192.0.2.0:1"));
	CHECK(target_has("192.0.2.0/24", "192.0.2.255:65535"));
	CHECK(!target_has("192.0.2.0/24", "192.0.3.0:1"));
	CHECK(!target_has("192.0.2.128/25", "192.0.2.127:1"));
	CHECK(target_has("192.0.2.1", "192.0.2.1:1"));
	CHECK(!target_has("192.0.2.1", "192.0.2.2:1"));
	CHECK(target_has("2001:db8::/47", "[2001:db8:1::5]:1"));
	CHECK(!target_has("2001:db8::/48", "[2001:db8:1::5]:1"));
	CHECK(!target_has("::/1", "192.0.2.1:1"));
}

static void test_records_come_back_as_they_were(void)
{
	static const char *const texts[] = {"192.0.2.0/24", "2001:db8::/33", "2001:db8::1"};
	uint8_t id[BAN_ID_LEN], record[BAN_RECORD_LEN_MAX], again[BAN_ID_LEN];

	for (size_t i = 0; i < 4; i++) {
		struct ban ban = {.target.kind = BAN_KEY, .added_s = 5, .expires_s = i}, got;
		struct writer w = writer_of(record, sizeof(record));

		if (i < 3)
			CHECK_EQ(firewall_ban_target_parse(texts[i], &ban.target), 0);
		else
			memset(ban.target.key, 7, sizeof(ban.target.key));
		if (i >= 2) {
			ban.is_automatic = true;
			ban.cause = UINT64_MAX - i;
			ban.is_limit = i == 2;
			memset(ban.source.ip, 0x20, sizeof(ban.source.ip));
			ban.source.family = ADDR_IPV6;
		}
		memset(ban.reason, 'x', BAN_REASON_CAP - 1);
		firewall_ban_record_write(&w, &ban);
		CHECK(!w.bad);
		firewall_ban_target_id(&ban.target, id);
		CHECK_EQ(firewall_ban_record_parse(id, record, writer_len(&w), &got), 0);
		firewall_ban_target_id(&got.target, again);
		CHECK_MEM(again, id, sizeof(id));
		CHECK_STR(got.reason, ban.reason);
		CHECK_EQ(got.added_s, 5);
		CHECK_EQ(got.expires_s, i);
		CHECK_EQ(got.is_automatic, ban.is_automatic);
		CHECK_EQ(got.is_limit, ban.is_limit);
		CHECK_EQ(got.cause, ban.cause);
		CHECK(addr_equal(&got.source, &ban.source));
		for (size_t len = 0; len < writer_len(&w); len++)
			CHECK(firewall_ban_record_parse(id, record, len, &got) < 0);
	}
}

static void test_a_record_has_the_bytes_of_its_layout(void)
{
	static const uint8_t operators[] = {0xa4, 0, 1, 1, 5, 2, 0, 3, 0x60};
	static const uint8_t automatic[] = {0xa7, 0,	1, 1, 5, 2, 25, 1,    44, 3,
					    0x61, 0x78, 5, 7, 6, 1, 7,	0xa3, 0,  0x44,
					    0xc0, 0,	2, 1, 1, 1, 2,	0};
	struct ban ban = {.target.kind = BAN_KEY, .added_s = 5};
	uint8_t record[BAN_RECORD_LEN_MAX];
	struct writer w = writer_of(record, sizeof(record));

	firewall_ban_record_write(&w, &ban);
	CHECK_EQ(writer_len(&w), sizeof(operators));
	CHECK_MEM(record, operators, sizeof(operators));
	ban.expires_s = 300;
	strcpy(ban.reason, "x");
	ban.is_automatic = true;
	ban.cause = 7;
	ban.is_limit = true;
	CHECK_EQ(addr_parse("192.0.2.1:0", &ban.source), 0);
	w = writer_of(record, sizeof(record));
	firewall_ban_record_write(&w, &ban);
	CHECK_EQ(writer_len(&w), sizeof(automatic));
	CHECK_MEM(record, automatic, sizeof(automatic));
}

static void test_damaged_and_later_records_are_refused(void)
{
	struct ban ban = {.target.kind = BAN_KEY}, got;
	uint8_t id[BAN_ID_LEN] = {BAN_KEY}, record[BAN_RECORD_LEN_MAX];
	struct writer w = writer_of(record, sizeof(record));

	firewall_ban_record_write(&w, &ban);
	id[0] = BAN_KEY + 1;
	CHECK_EQ(firewall_ban_record_parse(id, record, writer_len(&w), &got), WEFT_EMALFORMED);
	id[0] = BAN_IPV4; /* a prefix of no bits */
	CHECK_EQ(firewall_ban_record_parse(id, record, writer_len(&w), &got), WEFT_EMALFORMED);
	id[17] = 33;
	CHECK_EQ(firewall_ban_record_parse(id, record, writer_len(&w), &got), WEFT_EMALFORMED);
	id[17] = 8;
	id[2] = 1; /* a bit beyond the prefix */
	CHECK_EQ(firewall_ban_record_parse(id, record, writer_len(&w), &got), WEFT_EMALFORMED);
	id[2] = 0;
	CHECK_EQ(firewall_ban_record_parse(id, record, writer_len(&w), &got), 0);
	record[2] = 2; /* the layout */
	CHECK_EQ(firewall_ban_record_parse(id, record, writer_len(&w), &got), WEFT_ENEWER);
}

/* Earlier versions had bans of connection ids alone. Here they would keep out everything. */
static void test_a_record_of_an_earlier_version_keeps_nothing_out(void)
{
	uint8_t id[BAN_ID_LEN] = {BAN_KEY}, record[] = "\xa5\0\1\1\5\2\0\3\x61x\4\1";
	const size_t len = sizeof(record) - 1;
	struct ban got;

	CHECK_EQ(firewall_ban_record_parse(id, record, len, &got), WEFT_EABSENT);
	record[len - 1] = 0;
	CHECK_EQ(firewall_ban_record_parse(id, record, len, &got), 0);
	CHECK_STR(got.reason, "x");
	record[len - 1] = 2;
	CHECK_EQ(firewall_ban_record_parse(id, record, len, &got), WEFT_EMALFORMED);
}

int main(void)
{
	RUN(test_targets_are_read_and_written);
	RUN(test_a_prefix_has_its_addresses_and_no_other);
	RUN(test_records_come_back_as_they_were);
	RUN(test_a_record_has_the_bytes_of_its_layout);
	RUN(test_damaged_and_later_records_are_refused);
	RUN(test_a_record_of_an_earlier_version_keeps_nothing_out);
	return check_done();
}
