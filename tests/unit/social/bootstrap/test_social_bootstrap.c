/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>
#include <string.h>

#include "codec/json_heap.h"
#include "social/bootstrap/social_bootstrap.h"
#include "support/check.h"

#define KEY  "eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeey"
#define NODE "{\"key\":\"" KEY "\",\"addresses\":[\"192.0.2.1:7000\"]"

static struct first_nodes list;
static char why[FIRST_WHY_CAP];

static int parse(const char *text)
{
	return social_bootstrap_parse(text, strlen(text), &list, why);
}

static void test_nodes_are_read_with_and_without_a_name(void)
{
	CHECK_EQ(parse("[" NODE "}," NODE ",\"name\":\"a library\"}]"), 0);
	CHECK_EQ(list.cnt, 2);
	CHECK_EQ(list.nodes[0].places.addr_cnt, 1);
	CHECK_EQ(list.nodes[0].places.addrs[0].port, 7000);
	CHECK(strcmp(list.nodes[0].name, "") == 0);
	CHECK(strcmp(list.nodes[1].name, "a library") == 0);
	CHECK_EQ(parse("[]"), 0);
	CHECK_EQ(list.cnt, 0);
}

static void test_what_is_wrong_is_said_with_its_row(void)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"", "no JSON"},
		{"[", "no JSON"},
		{"[" NODE "]", "no JSON"},
		{"{}", "no list"},
		{"[1]", "row 1: it is no object"},
		{"[" NODE "},{}]", "row 2: \"key\""},
		{"[{\"key\":\"short\"}]", "row 1: \"key\""},
		{"[{\"key\":\"" KEY "\"}]", "row 1: \"addresses\""},
		{"[{\"key\":\"" KEY "\",\"addresses\":[]}]", "row 1: \"addresses\""},
		{"[{\"key\":\"" KEY "\",\"addresses\":[\"a:1\",\"b:1\",\"c:1\",\"d:1\",\"e:1\"]}]",
		 "row 1: \"addresses\""},
		{"[{\"key\":\"" KEY "\",\"addresses\":[\"192.0.2.1\"]}]", "row 1: an address"},
		{"[{\"key\":\"" KEY "\",\"addresses\":[\"192.0.2.1:0\"]}]", "row 1: an address"},
		{"[{\"key\":\"" KEY "\",\"addresses\":[7]}]", "row 1: an address"},
		{"[" NODE ",\"name\":\"a\\u001bb\"}]", "row 1: \"name\""},
		{"[" NODE ",\"name\":\"\"}]", "row 1: \"name\""},
		{"[" NODE ",\"nmae\":\"x\"}]", "row 1: it has a member"},
		{"[" NODE ",\"key\":\"" KEY "\"}]", "no JSON"},
	};

	list.cnt = 7;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CHECK_EQ(parse(rows[i].text), WEFT_EMALFORMED);
		if (!strstr(why, rows[i].why))
			printf("# %s: %s\n", rows[i].text, why);
		CHECK(strstr(why, rows[i].why));
	}
	CHECK_EQ(list.cnt, 7);
}

static void test_64_nodes_are_taken_and_one_more_is_refused(void)
{
	static char text[FIRST_LEN_MAX];
	size_t len = 0;

	for (unsigned i = 0; i <= FIRST_NODES_MAX; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%c" NODE "}",
					i ? ',' : '[');
	snprintf(text + len, sizeof(text) - len, "]");
	CHECK_EQ(parse(text), WEFT_ETOOLARGE);
	CHECK(strstr(why, "row 65"));
	text[len - strlen("," NODE "}")] = ']';
	text[len - strlen("," NODE "}") + 1] = '\0';
	CHECK_EQ(parse(text), 0);
	CHECK_EQ(list.cnt, FIRST_NODES_MAX);
}

static void test_a_file_that_is_not_there_is_no_list(void)
{
	CHECK(social_bootstrap_read("/nonexistent/bootstrap.json", &list, why) < 0);
	CHECK(social_bootstrap_read("/", &list, why) < 0);
	CHECK(*why);
}

int main(void)
{
	json_heap_begin();
	RUN(test_nodes_are_read_with_and_without_a_name);
	RUN(test_what_is_wrong_is_said_with_its_row);
	RUN(test_64_nodes_are_taken_and_one_more_is_refused);
	RUN(test_a_file_that_is_not_there_is_no_list);
	return check_done();
}
