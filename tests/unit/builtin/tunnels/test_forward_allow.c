/* SPDX-License-Identifier: Apache-2.0 */
/* The list of forward.allow. */
#include "builtin/tunnels/forward_allow.h"

#include <stdio.h>
#include <string.h>

#include "codec/text/zbase32.h"
#include "support/check.h"

#define TEXT_CAP 4096

static char id[ZBASE32_KEY_TEXT_CAP];

/* list writes the pattern's $ as an id. */
static const char *list(const char *pattern)
{
	static char text[TEXT_CAP];
	size_t len = 0;

	for (; *pattern && len + sizeof(id) < sizeof(text); pattern++)
		len += (size_t)(*pattern == '$'
					? snprintf(text + len, sizeof(text) - len, "%s", id)
					: snprintf(text + len, sizeof(text) - len, "%c", *pattern));
	text[len] = '\0';
	return text;
}

static void test_rows_name_members_and_their_servers(void)
{
	struct forward_allow allow;

	CHECK_EQ(builtin_forward_allow_parse("  ", &allow), 0);
	CHECK_EQ(allow.member_cnt, 0);
	CHECK_EQ(builtin_forward_allow_parse(
			 list(" $=127.0.0.1:80,[::1]:22\tcommunity:$=10.0.0.5:443 "), &allow),
		 0);
	CHECK_EQ(allow.member_cnt, 2);
	CHECK_EQ(allow.members[0].target_cnt, 2);
	CHECK_EQ(allow.members[0].targets[1].port, 22);
	CHECK(!allow.members[0].is_community);
	CHECK(allow.members[1].is_community);
	CHECK_EQ(allow.members[1].id[0], 9);
}

static void test_what_is_no_list_is_refused(void)
{
	static const struct {
		const char *pattern;
		int err;
	} rows[] = {
		{"$", WEFT_EMALFORMED},
		{"$=", WEFT_EMALFORMED},
		{"=127.0.0.1:80", WEFT_EMALFORMED},
		{"x=127.0.0.1:80", WEFT_EMALFORMED},
		{"community:=127.0.0.1:80", WEFT_EMALFORMED},
		{"$=localhost:80", WEFT_EMALFORMED},
		{"$=127.0.0.1", WEFT_EMALFORMED},
		{"$=127.0.0.1:0", WEFT_EMALFORMED},
		{"$=0.0.0.0:80", WEFT_EMALFORMED},
		{"$=224.0.0.1:80", WEFT_EMALFORMED},
		{"$=127.0.0.1:80,", WEFT_EMALFORMED},
		{"$=,127.0.0.1:80", WEFT_EMALFORMED},
		{"$=127.0.0.1:80 $=127.0.0.1:80 $=127.0.0.1:80", 0},
		{"$=127.0.0.1:80 $=127.0.0.1:80 $=127.0.0.1:80 $=127.0.0.1:80", WEFT_EFULL},
		{"$=1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,1.1.1.1:"
		 "8",
		 0},
		{"$=1.1.1.1:1,1.1.1.1:2,1.1.1.1:3,1.1.1.1:4,1.1.1.1:5,1.1.1.1:6,1.1.1.1:7,1.1.1.1:"
		 "8,"
		 "1.1.1.1:9",
		 WEFT_EFULL},
	};
	struct forward_allow allow = {.member_cnt = 77};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		allow.member_cnt = 77;
		CHECK_EQ(builtin_forward_allow_parse(list(rows[i].pattern), &allow), rows[i].err);
		CHECK(rows[i].err == 0 || allow.member_cnt == 77);
	}
}

/* A list that is cut short is a shorter list, or none. */
static void test_every_beginning_of_a_list_is_read_within_its_bytes(void)
{
	char whole[TEXT_CAP];
	struct forward_allow allow;

	snprintf(whole, sizeof(whole), "%s",
		 list("$=127.0.0.1:80,[::1]:22 community:$=10.0.0.5:443"));
	for (size_t len = strlen(whole); len > 0; len--) {
		char *cut = strndup(whole, len);
		int err = builtin_forward_allow_parse(cut, &allow);

		CHECK(err == 0 || err == WEFT_EMALFORMED);
		free(cut);
	}
}

int main(void)
{
	const uint8_t key[MESH_KEY_LEN] = {9, 8, 7};

	(void)zbase32_write(key, sizeof(key), id);
	RUN(test_rows_name_members_and_their_servers);
	RUN(test_what_is_no_list_is_refused);
	RUN(test_every_beginning_of_a_list_is_read_within_its_bytes);
	return check_done();
}
