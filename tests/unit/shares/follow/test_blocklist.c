/* SPDX-License-Identifier: Apache-2.0 */
#include "shares/follow/blocklist.h"

#include "codec/text/hex.h"
#include "codec/text/zbase32.h"
#include "support/check.h"

static void id_of(unsigned i, uint8_t id[static BLOCKLIST_ID_LEN])
{
	memset(id, (int)(i * 37 + 1), BLOCKLIST_ID_LEN);
}

static const char *zbase32_of(unsigned i)
{
	static char text[ZBASE32_KEY_TEXT_CAP];
	uint8_t id[BLOCKLIST_ID_LEN];

	id_of(i, id);
	return zbase32_write(id, sizeof(id), text);
}

static const char *hex_of(unsigned i)
{
	static char text[HEX_TEXT_CAP(BLOCKLIST_ID_LEN)];
	uint8_t id[BLOCKLIST_ID_LEN];

	id_of(i, id);
	return hex_write(id, sizeof(id), text);
}

static void test_ids_of_both_kinds_and_spellings_are_found(void)
{
	struct blocklist list;
	uint8_t id[BLOCKLIST_ID_LEN];
	char text[1024];

	snprintf(text, sizeof(text),
		 "# a list\n\nshare %s\r\n\tcontent   %s # bad\ncontent %s\n   #\nshare %s",
		 zbase32_of(3), hex_of(2), hex_of(1), zbase32_of(3));
	/* zbase32_of and hex_of have one buffer each. */
	CHECK_EQ(shares_blocklist_parse(text, strlen(text), &list), 0);
	CHECK_EQ(list.kinds[BLOCKLIST_SHARE].cnt, 2);
	CHECK_EQ(list.kinds[BLOCKLIST_CONTENT].cnt, 2);
	id_of(3, id);
	CHECK(shares_blocklist_has(&list, BLOCKLIST_SHARE, id));
	CHECK(!shares_blocklist_has(&list, BLOCKLIST_CONTENT, id));
	id_of(4, id);
	CHECK(!shares_blocklist_has(&list, BLOCKLIST_SHARE, id));
	shares_blocklist_fini(&list);
	CHECK(!shares_blocklist_has(&list, BLOCKLIST_SHARE, id));
}

static void test_empty_list_has_nothing(void)
{
	struct blocklist list;
	uint8_t id[BLOCKLIST_ID_LEN] = {0};

	CHECK_EQ(shares_blocklist_parse("", 0, &list), 0);
	CHECK(!shares_blocklist_has(&list, BLOCKLIST_SHARE, id));
	shares_blocklist_fini(&list);
}

static void test_invalid_line_is_left_out_and_reported(void)
{
	static const struct {
		const char *line, *why;
	} rows[] = {
		{"share", "no id"},
		{"shares %s", "neither share"},
		{"share %s x", "follows"},
		{"%s", "neither share"},
		{"content share ", "52"},
		{"SHARE %s", "neither share"},
		{"share x%s", "52"},
		{"share %s%s", "52"},
		{"\xff\xfe share", "neither"},
		{"share\v%s", "neither share"},
		{"share 0", "52"},
		{"blocked_share_ids: []", "neither share"},
	};
	uint8_t good[BLOCKLIST_ID_LEN];
	struct blocklist list;
	char text[700], bad[256];

	id_of(5, good);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *id = zbase32_of(5);
		const char *mark = strstr(rows[i].line, "%s");
		int before = mark ? (int)(mark - rows[i].line) : (int)strlen(rows[i].line);

		snprintf(bad, sizeof(bad), "%.*s%s%s", before, rows[i].line, mark ? id : "",
			 mark && strcmp(mark, "%s%s") == 0 ? id
			 : mark				   ? mark + 2
							   : "");
		snprintf(text, sizeof(text), "share %s\n#\n%s\ncontent %s\nrubbish\n", id, bad, id);
		CHECK_EQ(shares_blocklist_parse(text, strlen(text), &list), 0);
		CHECK_EQ(list.fault.line_cnt, 2);
		CHECK_EQ(list.fault.first_line, 3);
		CHECK(strstr(list.fault.why, rows[i].why));
		CHECK_EQ(list.kinds[BLOCKLIST_SHARE].cnt, 1);
		CHECK_EQ(list.kinds[BLOCKLIST_CONTENT].cnt, 1);
		CHECK(shares_blocklist_has(&list, BLOCKLIST_SHARE, good));
		CHECK(shares_blocklist_has(&list, BLOCKLIST_CONTENT, good));
		shares_blocklist_fini(&list);
		/* With no entry at all it is something else. */
		CHECK_EQ(shares_blocklist_parse(bad, strlen(bad), &list), WEFT_EMALFORMED);
		CHECK_EQ(list.fault.first_line, 1);
		CHECK(!shares_blocklist_has(&list, BLOCKLIST_SHARE, good));
	}
}

static void test_nul_in_a_list_is_malformed(void)
{
	struct blocklist list;

	CHECK_EQ(shares_blocklist_parse("\0", 1, &list), WEFT_EMALFORMED);
}

static void test_list_has_its_length_and_not_one_byte_more(void)
{
	char *text = malloc(BLOCKLIST_LEN_MAX + 1);
	struct blocklist list;
	unsigned cnt = 0;
	size_t len = 0;

	CHECK(text);
	memset(text, '\n', BLOCKLIST_LEN_MAX + 1);
	/* As full as can be: only the shortest lines. */
	while (len + 59 <= BLOCKLIST_LEN_MAX) {
		memcpy(text + len, "share ", 6);
		memcpy(text + len + 6, zbase32_of(cnt++ % 6), 52);
		len += 59;
	}
	CHECK_EQ(shares_blocklist_parse(text, BLOCKLIST_LEN_MAX, &list), 0);
	CHECK_EQ(list.kinds[BLOCKLIST_SHARE].cnt, cnt);
	shares_blocklist_fini(&list);
	CHECK_EQ(shares_blocklist_parse(text, BLOCKLIST_LEN_MAX + 1, &list), WEFT_ETOOLARGE);
	free(text);
}

int main(void)
{
	RUN(test_ids_of_both_kinds_and_spellings_are_found);
	RUN(test_empty_list_has_nothing);
	RUN(test_invalid_line_is_left_out_and_reported);
	RUN(test_nul_in_a_list_is_malformed);
	RUN(test_list_has_its_length_and_not_one_byte_more);
	return check_done();
}
