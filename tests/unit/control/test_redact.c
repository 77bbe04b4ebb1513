/* SPDX-License-Identifier: Apache-2.0 */
#include "control/redact.h"

#include <string.h>

#include "support/check.h"

#define ID  "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1u"
#define HEX "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static const struct {
	const char *given, *want, *why;
} rows[] = {
	{"{\"share_id\":\"" ID "\"}", "{\"share_id\":\"ybndrfg8\"}", "an id is cut"},
	{"{\"later\":\"" ID "\"}", "{\"later\":\"ybndrfg8\"}", "whatever the field is called"},
	{"{\"hash\":\"" HEX "\"}", "{\"hash\":\"00112233\"}", "also in hexadecimal digits"},
	{"{\"node_id\":\"" ID "\"}", "{\"node_id\":\"" ID "\"}", "a node's id is its name"},
	{"{\"link\":\"mesh:" ID "?at=1.2.3.4:7000\"}", "{\"link\":\"\"}", "a link is left out"},
	{"{\"text\":\"got mesh:" ID ", twice\"}", "{\"text\":\"got , twice\"}",
	 "also within a text"},
	{"{\"node_id\":[\"" ID "\"]}", "{\"node_id\":[\"ybndrfg8\"]}", "a list is no node's id"},
	{"{\"a\":[{\"b\":[\"x/" ID ".txt\"]}]}", "{\"a\":[{\"b\":[\"x/ybndrfg8.txt\"]}]}",
	 "however deep"},
	{"{\"a\":\"" ID "y\"}", "{\"a\":\"" ID "y\"}", "53 letters are no id"},
	{"{\"a\":\"meshed text, 1 true\",\"b\":1,\"c\":true,\"d\":null,\"e\":1.5}",
	 "{\"a\":\"meshed text, 1 true\",\"b\":1,\"c\":true,\"d\":null,\"e\":1.5}",
	 "the rest stays"},
};

static void test_what_opens_something_is_left_out(void)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		json_t *given = json_loads(rows[i].given, 0, NULL);
		json_t *shown = control_redact_capabilities(given);
		char *text = json_dumps(shown, JSON_COMPACT);

		CHECK(given && shown && text);
		if (strcmp(text, rows[i].want) != 0)
			printf("# %s: %s\n", rows[i].why, text);
		CHECK(strcmp(text, rows[i].want) == 0);
		free(text);
		json_decref(shown);
		json_decref(given);
	}
}

static void test_what_is_given_stays_as_it_was(void)
{
	json_t *given = json_loads("{\"a\":[\"" ID "\"]}", 0, NULL);
	json_t *shown = control_redact_capabilities(given);

	CHECK(strcmp(json_string_value(json_array_get(json_object_get(given, "a"), 0)), ID) == 0);
	json_decref(shown);
	json_decref(given);
}

static void test_of_an_answer_that_memory_lacked_for_nothing_is_left(void)
{
	CHECK(control_redact_capabilities(NULL) == NULL);
}

int main(void)
{
	RUN(test_what_opens_something_is_left_out);
	RUN(test_what_is_given_stays_as_it_was);
	RUN(test_of_an_answer_that_memory_lacked_for_nothing_is_left);
	return check_done();
}
