/* SPDX-License-Identifier: Apache-2.0 */
#include "control/idl.h"

#include "varlink/node.h"
#include "control/control_server.h"
#include "support/check.h"

static int parse(const char *text, struct idl **out_idl)
{
	unsigned line;

	return control_idl_parse(text, out_idl, &line);
}

static void test_our_interfaces_parse(void)
{
	for (size_t i = 0; i < API_INTERFACE_CNT; i++) {
		struct idl *idl;

		CHECK_EQ(parse(api_interfaces[i].text, &idl), 0);
		CHECK(control_idl_members(idl) != NULL);
		CHECK(control_interface_lookup(api_interfaces[i].name) == &api_interfaces[i]);
		control_idl_free(idl);
	}
	CHECK(control_interface_lookup("net.weft") == NULL);
}

static void test_bad_descriptions_are_refused(void)
{
	static const struct {
		const char *text;
		unsigned line;
	} rows[] = {
		{"", 1},
		{"interface", 1},
		{"interface a.b\nmethod", 2},
		{"interface a.b\nmethod M", 2},
		{"interface a.b\nmethod M()", 2},
		{"interface a.b\nmethod M() -> ", 2},
		{"interface a.b\nmethod M() -> (", 2},
		{"interface a.b\nmethod M() -> (a: int", 2},
		{"interface a.b\nmethod M() -> (a: int,)", 2},
		{"interface a.b\nmethod M() -> (a)", 2},
		{"interface a.b\nmethod M() -> (a: int, b)", 2},
		{"interface a.b\nmethod M() -> (a: Missing)", 2},
		{"interface a.b\ntype T (a, b: int)", 2},
		{"interface a.b\ntype T T", 2},
		{"interface a.b\ntype T (a: int)\ntype T (b: int)", 3},
		{"interface a.b\nmethods M() -> ()", 2},
		{"interface a.b\nmethod M(a: method) -> ()\nmethod method() -> ()", 3},
		{"interface a.b\ntype T (a: [][][][][][][][][][][][][][][][][]int)", 2},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct idl *idl;
		unsigned line = 0;

		CHECK_EQ(control_idl_parse(rows[i].text, &idl, &line), WEFT_EMALFORMED);
		CHECK_EQ(line, rows[i].line);
	}
}

static void test_every_cut_of_a_description_is_read_within_bounds(void)
{
	static const char text[] = "interface a.b\n# c\ntype T (a, b)\n"
				   "method M(a: ?[]T, b: [string]int) -> (c: (d: bool))";

	for (size_t len = 0; len < sizeof(text); len++) {
		char *cut = strndup(text, len);
		struct idl *idl;

		if (parse(cut, &idl) == 0)
			control_idl_free(idl);
		free(cut);
	}
}

int main(void)
{
	RUN(test_our_interfaces_parse);
	RUN(test_bad_descriptions_are_refused);
	RUN(test_every_cut_of_a_description_is_read_within_bounds);
	return check_done();
}
