/* SPDX-License-Identifier: Apache-2.0 */
#include "content/follow/blocklist.h"

#include "codec/hex.h"
#include "codec/zbase32.h"
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
	unsigned line;
	char text[1024];

	snprintf(text, sizeof(text),
		 "# a list\n\nshare %s\r\n\tcontent   %s # bad\ncontent %s\n   #\nshare %s",
		 zbase32_of(3), hex_of(2), hex_of(1), zbase32_of(3));
	/* zbase32_of and hex_of have one buffer each. */
	CHECK_EQ(blocklist_parse(text, strlen(text), &list, &line), 0);
	CHECK_EQ(list.kinds[BLOCKLIST_SHARE].cnt, 2);
	CHECK_EQ(list.kinds[BLOCKLIST_CONTENT].cnt, 2);
	id_of(3, id);
	CHECK(blocklist_has(&list, BLOCKLIST_SHARE, id));
	CHECK(!blocklist_has(&list, BLOCKLIST_CONTENT, id));
	id_of(4, id);
	CHECK(!blocklist_has(&list, BLOCKLIST_SHARE, id));
	blocklist_fini(&list);
	CHECK(!blocklist_has(&list, BLOCKLIST_SHARE, id));
}

static void test_empty_list_has_nothing(void)
{
	struct blocklist list;
	uint8_t id[BLOCKLIST_ID_LEN] = {0};
	unsigned line;

	CHECK_EQ(blocklist_parse("", 0, &list, &line), 0);
	CHECK(!blocklist_has(&list, BLOCKLIST_SHARE, id));
	blocklist_fini(&list);
}

static void test_line_that_is_no_entry_is_told(void)
{
	static const char *const lines[] = {
		"share",	  "shares %s", "share %s x", "%s",
		"content share ", "SHARE %s",  "share x%s",  "share %s%s",
		"\xff\xfe share", "share\v%s", "share 0",    "blocked_share_ids: []",
	};
	struct blocklist list;
	char text[512], bad[256];
	unsigned line;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *id = zbase32_of(5);
		const char *mark = strstr(lines[i], "%s");
		int before = mark ? (int)(mark - lines[i]) : (int)strlen(lines[i]);

		snprintf(bad, sizeof(bad), "%.*s%s%s", before, lines[i], mark ? id : "",
			 mark && strcmp(mark, "%s%s") == 0 ? id
			 : mark				   ? mark + 2
							   : "");
		snprintf(text, sizeof(text), "share %s\n#\n%s\n", id, bad);
		line = 0;
		CHECK_EQ(blocklist_parse(text, strlen(text), &list, &line), WEFT_EMALFORMED);
		CHECK_EQ(line, 3);
	}
}

static void test_nul_in_a_list_is_malformed(void)
{
	struct blocklist list;
	unsigned line;

	CHECK_EQ(blocklist_parse("\0", 1, &list, &line), WEFT_EMALFORMED);
}

static void test_list_has_its_length_and_not_one_byte_more(void)
{
	char *text = malloc(BLOCKLIST_LEN_MAX + 1);
	struct blocklist list;
	unsigned line, cnt = 0;
	size_t len = 0;

	CHECK(text);
	memset(text, '\n', BLOCKLIST_LEN_MAX + 1);
	/* As full as can be: only the shortest lines. */
	while (len + 59 <= BLOCKLIST_LEN_MAX) {
		memcpy(text + len, "share ", 6);
		memcpy(text + len + 6, zbase32_of(cnt++ % 6), 52);
		len += 59;
	}
	CHECK_EQ(blocklist_parse(text, BLOCKLIST_LEN_MAX, &list, &line), 0);
	CHECK_EQ(list.kinds[BLOCKLIST_SHARE].cnt, cnt);
	blocklist_fini(&list);
	CHECK_EQ(blocklist_parse(text, BLOCKLIST_LEN_MAX + 1, &list, &line), WEFT_ETOOLARGE);
	free(text);
}

int main(void)
{
	RUN(test_ids_of_both_kinds_and_spellings_are_found);
	RUN(test_empty_list_has_nothing);
	RUN(test_line_that_is_no_entry_is_told);
	RUN(test_nul_in_a_list_is_malformed);
	RUN(test_list_has_its_length_and_not_one_byte_more);
	return check_done();
}
