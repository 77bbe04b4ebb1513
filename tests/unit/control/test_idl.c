/* SPDX-License-Identifier: Apache-2.0 */
#include "control/idl.h"

#include "control/interface.h"
#include "support/check.h"

static int parse(const char *text, struct idl **out_idl)
{
	unsigned line;

	return idl_parse(text, out_idl, &line);
}

static void test_our_interfaces_parse(void)
{
	for (size_t i = 0; i < INTERFACE_CNT; i++) {
		struct idl *idl;

		CHECK_EQ(parse(interfaces[i].text, &idl), 0);
		CHECK(idl_members(idl) != NULL);
		CHECK(interface_lookup(interfaces[i].name) == &interfaces[i]);
		idl_free(idl);
	}
	CHECK(interface_lookup("net.weft") == NULL);
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

		CHECK_EQ(idl_parse(rows[i].text, &idl, &line), WEFT_EMALFORMED);
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
			idl_free(idl);
		free(cut);
	}
}

static const char shop[] =
	"interface a.b\n"
	"type Colour (red, green)\n"
	"type Item (name: string, colour: ?Colour)\n"
	"type Alias Item\n"
	"method Buy(item: Alias, cnt: int, tags: ?[]string, sizes: ?[string]int,\n"
	"  extra: ?object, fast: ?bool, weight: ?float) -> ()\n";

static void test_values_follow_their_types(void)
{
	static const struct {
		const char *json;
		const char *field; /* NULL: it follows */
	} rows[] = {
		{"{'item': {'name': 'a'}, 'cnt': 1}", NULL},
		{"{'item': {'name': 'a', 'colour': 'red'}, 'cnt': 1}", NULL},
		{"{'item': {'name': 'a', 'colour': null}, 'cnt': 1, 'tags': []}", NULL},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'tags': ['x'], 'sizes': {'s': 1}}", NULL},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'extra': {'y': [1]}, 'weight': 1}", NULL},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'weight': 1.5, 'fast': true}", NULL},
		{"{'cnt': 1}", "item"},
		{"{'item': {'name': 'a'}}", "cnt"},
		{"{'item': null, 'cnt': 1}", "item"},
		{"{'item': {'name': 1}, 'cnt': 1}", "item"},
		{"{'item': {'name': 'a', 'colour': 'blue'}, 'cnt': 1}", "item"},
		{"{'item': {'name': 'a', 'price': 1}, 'cnt': 1}", "item"},
		{"{'item': {'name': 'a'}, 'cnt': 1.0}", "cnt"},
		{"{'item': {'name': 'a'}, 'cnt': '1'}", "cnt"},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'tags': [1]}", "tags"},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'tags': {}}", "tags"},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'sizes': {'s': 'x'}}", "sizes"},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'sizes': []}", "sizes"},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'extra': []}", "extra"},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'fast': 1}", "fast"},
		{"{'item': {'name': 'a'}, 'cnt': 1, 'unknown': 1}", "unknown"},
	};
	struct idl *idl;
	const struct idl_member *method;

	CHECK_EQ(parse(shop, &idl), 0);
	method = idl_lookup(idl, IDL_METHOD, "Buy");
	CHECK(method != NULL);
	CHECK(idl_lookup(idl, IDL_ERROR, "Buy") == NULL);
	CHECK(idl_lookup(idl, IDL_METHOD, "Bu") == NULL);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[128], field[IDL_FIELD_CAP];
		json_t *value;
		bool follows;

		snprintf(text, sizeof(text), "%s", rows[i].json);
		for (char *c = text; *c; c++)
			*c = *c == '\'' ? '"' : *c;
		value = json_loads(text, 0, NULL);
		CHECK(value != NULL);
		follows = idl_check(idl, method->input, value, field);
		CHECK_EQ(follows, rows[i].field == NULL);
		CHECK_STR(field, rows[i].field ? rows[i].field : "");
		json_decref(value);
	}
	idl_free(idl);
}

static void test_a_long_unknown_field_is_named_in_part(void)
{
	char long_name[IDL_FIELD_CAP + 10], field[IDL_FIELD_CAP];
	json_t *value = json_object();
	struct idl *idl;

	memset(long_name, 'x', sizeof(long_name));
	long_name[sizeof(long_name) - 1] = '\0';
	json_object_set_new(value, long_name, json_null());
	CHECK_EQ(parse("interface a.b\nmethod M() -> ()", &idl), 0);
	CHECK(!idl_check(idl, idl_members(idl)->input, value, field));
	CHECK_EQ(strlen(field), IDL_FIELD_CAP - 1);
	json_decref(value);
	idl_free(idl);
}

int main(void)
{
	RUN(test_our_interfaces_parse);
	RUN(test_bad_descriptions_are_refused);
	RUN(test_every_cut_of_a_description_is_read_within_bounds);
	RUN(test_values_follow_their_types);
	RUN(test_a_long_unknown_field_is_named_in_part);
	return check_done();
}
